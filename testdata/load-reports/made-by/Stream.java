package shop;

import static io.gatling.javaapi.core.CoreDsl.*;
import static io.gatling.javaapi.http.HttpDsl.*;

import io.gatling.javaapi.core.*;
import java.time.Duration;

/** A stream whose messages do not fit: errors that have a message, and texts that are meant again. */
public class Stream extends Simulation {
  {
    setUp(
            scenario("watch")
                .exec(sse("Prices").get("/events"))
                .exec(
                    sse("Wait")
                        .setCheck()
                        .await(2)
                        .on(sse.checkMessage("third").check(regex(".*data.*[45].*"))))
                .pause(Duration.ofMillis(700))
                .exec(sse("Leave").close())
                .injectOpen(atOnceUsers(2)))
        .protocols(http.baseUrl("http://127.0.0.1:" + System.getProperty("port")));
  }
}
