package shop;

import static io.gatling.javaapi.core.CoreDsl.*;
import static io.gatling.javaapi.http.HttpDsl.*;

import io.gatling.javaapi.core.*;

/** Killed (SIGKILL) once its log was written for the first time. */
public class Killed extends Simulation {
  {
    setUp(scenario("browse").exec(http("Home").get("/")).injectOpen(constantUsersPerSec(120).during(30)))
        .protocols(http.baseUrl("http://127.0.0.1:" + System.getProperty("port")));
  }
}
