//! Latency from the intended start, and closed loops, against rows whose figures are known.

use model::time::SECOND;
use model::{Signal, Tenant};
use serde_json::{Value, json};

use super::fixture::{Fixture, NOW, STATES, State, and, span};
use crate::analysis;

const ATTRIBUTE: &str = "hotspan.intended_start_unix_nano";

async fn answer(rows: &[Value], state: State, parameters: &[(&str, &str)]) -> Value {
    let engine = Fixture::new().with(Signal::Traces, rows, state).await.engine();
    let parameters: Vec<_> = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let found = analysis::run(&engine, &Tenant::default(), "coordinated-omission", &parameters).await;
    found.unwrap_or_else(|e| panic!("{e:?}"))
}

/// A row that tells when it was meant to start, in milliseconds as `span` takes them.
fn meant(row: Value, at_ms: i64, as_text: bool) -> Value {
    let at = NOW - 60 * SECOND + at_ms * 1_000_000;
    let value = if as_text { json!(at.to_string()) } else { json!(at) };
    let mut attributes = serde_json::Map::new();
    attributes.insert("user.tier".to_owned(), json!("gold"));
    attributes.insert(ATTRIBUTE.to_owned(), value);
    and(row, json!({ "attributes": Value::Object(attributes).to_string() }))
}

/// Twenty requests of 10 ms, five of which were sent 100 ms late; ten whose generator has a span of its own; and ten
/// that tell nothing.
fn requests() -> Vec<Value> {
    let mut rows = Vec::new();
    for n in 0..20_u64 {
        let at = n as i64 * 1_000;
        let row = span(n + 1, n + 1, 0, ("shop", "GET /", "SERVER"), at, at + 10);
        rows.push(meant(row, if n < 5 { at - 100 } else { at }, n % 2 == 0));
    }
    for n in 0..10_u64 {
        let (trace, at) = (n + 101, n as i64 * 1_000 + 300);
        rows.push(meant(span(trace, trace * 2, 0, ("k6", "order", "CLIENT"), at, at + 30), at - 20, true));
        rows.push(span(trace, trace * 2 + 1, trace * 2, ("shop", "POST /order", "SERVER"), at + 5, at + 25));
        let plain = n + 201;
        rows.push(span(plain, plain * 2, 0, ("shop", "GET /plain", "SERVER"), at, at + 10));
    }
    rows
}

#[tokio::test]
async fn latency_counts_from_when_a_request_was_meant_to_be_sent() {
    for state in STATES {
        let found = answer(&requests(), state, &[]).await;
        let entries = found["entries"].as_array().expect("entries");
        let of = |operation: &str| {
            entries.iter().find(|e| e["operation"] == operation).unwrap_or_else(|| panic!("{operation}"))
        };
        let near = |entry: &Value, name: &str, ms: f64| {
            let found = entry[name].as_f64().unwrap_or_else(|| panic!("{name} of {entry}")) / 1e6;
            assert!((found - ms).abs() <= 0.02 * ms, "{name} {found} for {ms}, {state:?}");
        };
        let late = of("GET /");
        assert_eq!(
            (&late["requests"], &late["with_intended_start"], &late["carried_by"], &late["late_share"]),
            (&json!(20), &json!(20), &json!("entry"), &json!(0.25))
        );
        assert_eq!(late["worst_delay_ns"], json!(100_000_000));
        for (name, ms) in [("p50_ns", 10.0), ("p99_ns", 10.0), ("p50_intended_ns", 10.0), ("p99_intended_ns", 110.0)] {
            near(late, name, ms);
        }
        let order = of("POST /order");
        assert_eq!(
            (&order["requests"], &order["with_intended_start"], &order["carried_by"], &order["late_share"]),
            (&json!(10), &json!(10), &json!("root"), &json!(1.0))
        );
        near(order, "p50_ns", 30.0);
        near(order, "p50_intended_ns", 50.0);
        let plain = of("GET /plain");
        assert_eq!(
            (&plain["with_intended_start"], &plain["carried_by"], &plain["worst_delay_ns"], &plain["p99_intended_ns"]),
            (&json!(0), &Value::Null, &Value::Null, &Value::Null)
        );
        near(plain, "p99_ns", 10.0);
        assert_eq!(entries[0]["operation"], "GET /", "what hides the most comes first");
        assert_eq!(
            (&found["known"], &found["requests"], &found["with_intended_start"], &found["hint"]),
            (&json!(true), &json!(40), &json!(30), &Value::Null)
        );
    }
}

#[tokio::test]
async fn where_no_request_tells_it_is_said_how_to() {
    let rows: Vec<Value> =
        (1..=5).map(|n| span(n, n, 0, ("shop", "GET /", "SERVER"), n as i64 * 100, n as i64 * 100 + 10)).collect();
    let found = answer(&rows, State::Mixed, &[]).await;
    assert_eq!((&found["known"], &found["attribute"]), (&json!(false), &json!(ATTRIBUTE)));
    for language in ["en", "zh"] {
        let hint = found["hint"][language].as_str().expect("a sentence");
        assert!(hint.contains(ATTRIBUTE) && hint.contains("baggage") && hint.contains("k6"), "{hint}");
    }
    assert_eq!(found["entries"][0]["closed_loop_suspected"], Value::Null, "five requests tell nothing");
    let nothing = answer(&[], State::Memory, &[]).await;
    assert_eq!((&nothing["known"], &nothing["entries"]), (&json!(false), &json!([])));
}

/// Four users for a minute, without a pause between requests, which take 100 and 400 ms in turns of five seconds.
fn closed_loop() -> Vec<Value> {
    let mut rows = Vec::new();
    for user in 0..4 {
        let mut at = user * 20;
        while at < 60_000 {
            let takes = if (at / 5_000) % 2 == 0 { 100 } else { 400 };
            let id = rows.len() as u64 + 1;
            rows.push(span(id, id, 0, ("shop", "GET /", "SERVER"), at - 120_000, at - 120_000 + takes));
            at += takes;
        }
    }
    rows
}

/// The same latencies at a constant rate.
fn open_loop() -> Vec<Value> {
    let request = |n: u64| {
        let at = n as i64 * 50;
        let takes = if (at / 5_000) % 2 == 0 { 100 } else { 400 };
        span(n + 1, n + 1, 0, ("shop", "GET /", "SERVER"), at - 120_000, at - 120_000 + takes)
    };
    (0..1_200).map(request).collect()
}

#[tokio::test]
async fn a_generator_that_waits_for_answers_is_suspected() {
    let window = [("start", "now-180s"), ("end", "now-120s")];
    let found = answer(&closed_loop(), State::Mixed, &window).await;
    let entry = &found["entries"][0];
    assert_eq!(
        (&entry["closed_loop_suspected"], &found["closed_loops_suspected"]),
        (&json!(true), &json!(1)),
        "{entry}"
    );
    assert!(entry["explanation"]["en"].as_str().is_some_and(|text| text.contains("closed loop")), "{entry}");
    let found = answer(&open_loop(), State::Mixed, &window).await;
    assert_eq!(found["entries"][0]["closed_loop_suspected"], json!(false), "{}", found["entries"][0]);
}
