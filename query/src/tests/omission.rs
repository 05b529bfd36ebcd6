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
        // Of all thirty that tell it: fifteen of 10 ms, ten of 50 and five of 110; from their start twenty of 10, ten of 30.
        let total = &found["total"];
        for (name, ms) in [("p50_intended_ns", 10.0), ("p90_intended_ns", 110.0), ("p99_intended_ns", 110.0)] {
            near(total, name, ms);
        }
        near(total, "p50_ns", 10.0);
        near(total, "p99_ns", 30.0);
        assert_eq!((&total["requests"], &total["late_share"]), (&json!(30), &json!(0.5)));
        assert_eq!(found["clock"]["known"], json!(true));
        assert!(found["clock"]["en"].as_str().is_some_and(|text| text.starts_with("30 of 40 requests tell")));
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
    assert_eq!((&found["clock"]["known"], &found["total"]), (&json!(false), &Value::Null));
    assert!(found["clock"]["en"].as_str().is_some_and(|text| text.contains("cannot be known")), "{}", found["clock"]);
    assert!(found["clock"]["zh"].as_str().is_some_and(|text| text.contains("无法得知")), "{}", found["clock"]);
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

/// 20 requests of 10 to 12 ms each second, for a minute from `from_s` on; each tenth was sent so many milliseconds late.
/// `None`: they do not tell it.
fn minute(first: u64, from_s: i64, late_ms: Option<i64>) -> Vec<Value> {
    let request = |n: u64| {
        let at = from_s * 1_000 + n as i64 * 50;
        let row = span(first + n, first + n, 0, ("shop", "GET /", "SERVER"), at, at + 10 + (n % 3) as i64);
        match late_ms {
            Some(late) => meant(row, if n.is_multiple_of(10) { at - late } else { at }, n.is_multiple_of(2)),
            None => row,
        }
    };
    (0..1_200).map(request).collect()
}

async fn compared(before: Vec<Value>, after: Vec<Value>, state: State) -> Value {
    let rows: Vec<Value> = before.into_iter().chain(after).collect();
    let fixture = Fixture::new().with(Signal::Traces, &rows, state).await;
    let fixture = fixture.with_run("a1", "round-1", -400_000, -340_000).with_run("b1", "round-2", -200_000, -140_000);
    let engine = fixture.engine();
    let parameters = [("run", "round-2"), ("baseline_run", "round-1")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    analysis::run(&engine, &Tenant::default(), "run-diff", &parameters).await.unwrap_or_else(|e| panic!("{e:?}"))
}

/// The server is as fast as before, and the load generator waits: only the other clock shows it.
#[tokio::test]
async fn runs_are_compared_from_the_intended_start_where_both_tell_it() {
    for state in [State::Stored, State::Mixed] {
        let found = compared(minute(1, -400, Some(0)), minute(10_000, -200, Some(500)), state).await;
        assert_eq!((&found["verdict"], &found["clock"]["known"]), (&json!("worse"), &json!(true)), "{found:#}");
        let operation = &found["operations"][0];
        assert_eq!((&operation["outcome"], operation["measures"].as_array().map(Vec::len)), (&json!("worse"), Some(9)));
        let measure = |name: &str| {
            let all = operation["measures"].as_array().into_iter().flatten();
            all.clone().find(|m| m["measure"] == name).cloned().unwrap_or_else(|| panic!("no {name} in {operation:#}"))
        };
        let ms = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value}")) / 1e6;
        for name in ["mean_ns", "p50_ns", "p95_ns", "p99_ns"] {
            assert_ne!(measure(name)["outcome"], "worse", "{name}: {operation:#}");
        }
        // A tenth of them waited for 500 ms: 50 of the mean, all of the last hundredth.
        let (mean, p99) = (measure("mean_intended_ns"), measure("p99_intended_ns"));
        assert_eq!((&mean["outcome"], &p99["outcome"]), (&json!("worse"), &json!("worse")), "{operation:#}");
        assert!((ms(&mean["before"]) - 11.0).abs() < 0.1 && (ms(&mean["after"]) - 61.0).abs() < 0.1, "{mean}");
        assert!((ms(&p99["before"]) - 12.0).abs() < 0.3 && (ms(&p99["after"]) - 512.0).abs() < 10.0, "{p99}");
        assert_ne!(measure("p50_intended_ns")["outcome"], "worse");
        let side = |name: &str| ms(&found[name]["intended"]["p99_intended_ns"]);
        assert!((side("a") - 12.0).abs() < 0.3 && (side("b") - 512.0).abs() < 10.0, "{found:#}");
        // The examples are of those that waited, with 11 ms of their own: by hand, n is 10, 40, 70, 100, 130.
        let waited = [10, 40, 70, 100, 130].map(|n| json!(format!("{:032x}", 10_000 + n)));
        assert_eq!(operation["exemplars_b"], json!(waited), "{operation:#}");
    }
}

#[tokio::test]
async fn a_comparison_says_where_the_other_clock_cannot_be_had() {
    let said = |found: &Value| found["clock"]["en"].as_str().unwrap_or_default().to_owned();
    let one = compared(minute(1, -400, None), minute(10_000, -200, Some(500)), State::Stored).await;
    assert!(said(&one).contains("only the requests after") && one["clock"]["known"] == false, "{one:#}");
    assert_ne!(one["verdict"], "worse");
    assert_eq!(one["operations"][0]["measures"].as_array().map(Vec::len), Some(5), "{one:#}");
    assert_eq!((&one["a"]["intended"], one["b"]["intended"].is_object()), (&Value::Null, true));
    let none = compared(minute(1, -400, None), minute(10_000, -200, None), State::Stored).await;
    assert!(said(&none).contains("cannot be known"), "{none:#}");
}

#[tokio::test]
async fn a_capacity_says_from_when_its_latencies_count() {
    for (late, known, word) in [(Some(0), true, "is known"), (None, false, "cannot be known")] {
        let engine = Fixture::new().with(Signal::Traces, &minute(1, -200, late), State::Mixed).await.engine();
        let window = [("start", "now-260s"), ("end", "now-200s")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let found = analysis::run(&engine, &Tenant::default(), "capacity", &window).await.expect("an answer");
        assert_eq!(found["clock"]["known"], known, "{}", found["clock"]);
        assert!(found["clock"]["en"].as_str().is_some_and(|text| text.contains(word)), "{}", found["clock"]);
    }
}
