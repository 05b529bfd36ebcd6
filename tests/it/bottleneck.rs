//! The product's promise, end to end: a shop gets more load, one statement does not bear it, and the page names it.

use serde_json::Value;

use crate::cli::{demo, reveal, truth};
use crate::server::{Home, Server, until};

#[test]
fn the_hidden_bottleneck_of_the_demo_is_named_first() {
    let home = Home::new();
    let shop = ["--fault", "slow_sql", "--seed", "7", "--rates", "20", "100", "--step-after", "30s"];
    let server = Server::spawn(home.clone(), demo(&home, &shop)).ready();
    let truth = truth(&reveal(&home).success());

    let (begun, mut last) = (std::time::Instant::now(), Value::Null);
    let answer = until("the verdict", || {
        let answer = server.json("/api/v1/hotspots?start=now-2m");
        if answer["verdict"] != last {
            let (seconds, requests) = (begun.elapsed().as_secs(), &answer["window"]["requests"]);
            println!("verdict after {seconds} s: {} ({requests} requests)", answer["verdict"]);
            last = answer["verdict"].clone();
        }
        let found = answer["verdict"] == "bottleneck";
        // Asking takes the same two cores as the shop.
        std::thread::sleep(std::time::Duration::from_secs(u64::from(!found)));
        found.then_some(answer)
    });

    let first = &answer["hotspots"][0];
    let place = |spot: &Value| (spot["service"].clone(), spot["operation"].clone());
    let mut accepted = vec![place(&truth)];
    accepted.extend(truth["also"].as_array().into_iter().flatten().map(|pair| (pair[0].clone(), pair[1].clone())));
    assert!(accepted.contains(&place(first)), "first is {first:#}\nthe truth is {truth:#}");
    assert_eq!(first["rank"], 1);
    let mut categories = vec![&truth["category"]];
    categories.extend(truth["accepted_categories"].as_array().into_iter().flatten());
    assert!(categories.contains(&&first["category"]), "first is {first:#}\nthe truth is {truth:#}");
    assert!(answer["baseline"]["requests"].as_u64() > Some(0), "{:#}", answer["baseline"]);
    assert!(first["change_ns_per_request"].as_f64() > Some(0.0), "{first:#}");
    for language in ["en", "zh"] {
        assert!(first["explanation"][language].as_str().is_some_and(|text| !text.is_empty()), "{language}: {first:#}");
    }
    every_exemplar_shows_it(&server, first);

    server.signal(rustix::process::Signal::INT);
    let mut server = server;
    let status = server.wait();
    assert_eq!(status.code(), Some(0), "after Ctrl-C: {status:?}");
}

fn every_exemplar_shows_it(server: &Server, spot: &Value) {
    let exemplars: Vec<&str> = spot["exemplars"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(!exemplars.is_empty(), "{spot:#}");
    for id in exemplars {
        let trace = server.json(&format!("/api/v1/traces/{id}"));
        let spans = trace["spans"].as_array().expect("spans");
        let shows = |span: &&Value| span["service"] == spot["service"] && span["name"] == spot["operation"];
        assert!(
            spans.iter().any(|span| shows(&span)),
            "trace {id} does not hold {} {}",
            spot["service"],
            spot["operation"]
        );
    }
}
