package shop;

import static io.gatling.javaapi.core.CoreDsl.*;
import static io.gatling.javaapi.http.HttpDsl.*;

import io.gatling.javaapi.core.*;
import java.time.Duration;

/** Two scenarios after each other, groups, names beyond Latin-1, failures, a request that never is one, assertions. */
public class Checkout extends Simulation {
  ScenarioBuilder browse =
      scenario("browse")
          .exec(http("Home").get("/"))
          .pause(Duration.ofMillis(300))
          .group("cart")
          .on(group("items").on(exec(http("Zufügen – 加入").get("/slow"))));
  ScenarioBuilder buy =
      scenario("kaufen 購入")
          .exec(http("Pay").get("/fail").check(status().is(200)))
          .exec(http("Home").get("/missing"))
          .exec(http("No name").get("#{nothing}"));

  {
    setUp(
            browse
                .injectOpen(atOnceUsers(2), rampUsers(4).during(2))
                .andThen(buy.injectOpen(atOnceUsers(2))))
        .assertions(
            global().responseTime().percentile3().lt(800),
            details("cart", "items", "Zufügen – 加入").failedRequests().percent().lte(5.0),
            forAll().requestsPerSec().gt(0.1))
        .protocols(http.baseUrl("http://127.0.0.1:" + System.getProperty("port")));
  }
}
