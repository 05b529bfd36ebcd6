//! How many calls one request causes, of traces whose attempts are counted by hand.

use model::{Signal, Tenant};
use serde_json::{Value, json};

use super::fixture::{Fixture, STATES, State, and, span};
use crate::analysis;

/// The fixture's first ten seconds as the baseline, the next ten as the window.
const SIDES: [(&str, &str); 4] =
    [("start", "now-50s"), ("end", "now-40s"), ("baseline_start", "now-60s"), ("baseline_end", "now-50s")];

async fn run(rows: &[Value], state: State, parameters: &[(&str, &str)]) -> Value {
    let engine = Fixture::new().with(Signal::Traces, rows, state).await.engine();
    let parameters: Vec<_> = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    analysis::run(&engine, &Tenant::default(), "amplification", &parameters).await.expect("an answer")
}

/// One request of gateway → order → stock → stock-db, where each of the lower two calls is tried so many times; all attempts
/// but those of the last call fail.
fn request(trace: u64, at: i64, tries: [u64; 2]) -> Vec<Value> {
    let id = |n: u64| trace * 1_000 + n;
    let failed = |row: Value, is: bool| and(row, json!({ "status_code": if is { "ERROR" } else { "UNSET" } }));
    let mut rows = vec![
        span(trace, id(1), 0, ("gateway", "POST /order", "SERVER"), at, at + 90),
        span(trace, id(2), id(1), ("gateway", "POST /order", "CLIENT"), at + 1, at + 89),
        span(trace, id(3), id(2), ("order", "POST /order", "SERVER"), at + 2, at + 88),
    ];
    for outer in 0..tries[0] {
        let (from, call) = (at + 3 + 20 * outer as i64, id(10 + 20 * outer));
        let is_last = outer + 1 == tries[0];
        rows.push(failed(span(trace, call, id(3), ("order", "POST /reserve", "CLIENT"), from, from + 19), !is_last));
        rows.push(span(trace, call + 1, call, ("stock", "POST /reserve", "SERVER"), from + 1, from + 18));
        for inner in 0..tries[1] {
            let start = from + 2 + 4 * inner as i64;
            let query = span(trace, call + 2 + inner, call + 1, ("stock", "UPDATE stock", "CLIENT"), start, start + 3);
            let store = json!({ "db_system_name": "postgresql", "peer_service": "stock-db" });
            rows.push(failed(and(query, store), inner + 1 < tries[1] || !is_last));
        }
    }
    rows
}

/// A request each 100 ms: ten seconds with one attempt of each call, then ten with three of each in every second request.
fn storm() -> Vec<Value> {
    let tries = |n: u64| if n >= 100 && n % 2 == 1 { [3, 3] } else { [1, 1] };
    (0..200).flat_map(|n| request(n + 1, n as i64 * 100, tries(n))).collect()
}

fn row<'a>(answer: &'a Value, callee: &str) -> &'a Value {
    let rows = answer["rows"].as_array().expect("rows");
    rows.iter().find(|row| row["callee"] == callee).unwrap_or_else(|| panic!("{callee}: {answer:#}"))
}

fn close(value: &Value, expected: f64) -> bool {
    value.as_f64().is_some_and(|value| (value - expected).abs() < 1e-9)
}

#[tokio::test]
async fn retries_of_two_tiers_multiply_at_the_third() {
    for state in STATES {
        let answer = run(&storm(), state, &SIDES).await;
        assert_eq!((&answer["requests"], &answer["baseline_requests"]), (&json!(100), &json!(100)), "{state:?}");
        let db = row(&answer, "stock-db");
        assert_eq!((&db["path"], &db["verdict"]), (&json!("gateway → order → stock → stock-db"), &json!("amplified")));
        // Half of the requests cause 1 call, half 9.
        assert!(close(&db["calls_per_request"], 5.0) && close(&db["baseline_calls_per_request"], 1.0), "{db:#}");
        assert_eq!((&db["most"], &db["callee_type"]), (&json!(9), &json!("database")));
        let factors: Vec<_> =
            db["tiers"].as_array().expect("tiers").iter().map(|tier| tier["factor"].as_f64()).collect();
        // 2 calls of stock for each of order's requests, 2.5 of its database for each of stock's.
        assert_eq!(factors, [Some(1.0), Some(2.0), Some(2.5)]);
        // At stock 100 of 200 calls repeat one that failed. At the database 2 of 3 do within each of 150 servings.
        assert!(close(&db["retry_factor"], 2.0 * 500.0 / 200.0) && close(&db["baseline_retry_factor"], 1.0), "{db:#}");
        assert_eq!((&db["multiplied_by"], &db["multiplied_calls_of"]), (&json!("stock"), &json!("stock-db")));
        let said = "One request to \"POST /order\" of gateway causes 5.00 calls of stock-db, 1.00 at normal times: gateway → \
                    order ×1.00 → stock ×2.00 → stock-db ×2.50. They are multiplied by stock (2.50 calls of stock-db for each \
                    request it serves, 1.00 at normal times; 60 % repeat a failed call) and by order (2.00 calls of stock for \
                    each request it serves, 1.00 at normal times; 50 % repeat a failed call).";
        assert_eq!(db["explanation"]["en"], said);
        assert_eq!(row(&answer, "order")["verdict"], "steady");
        assert_eq!(answer["rows"][0]["callee"], "stock-db", "what is amplified most comes first");
    }
}

#[tokio::test]
async fn without_a_baseline_repeats_of_failed_calls_tell() {
    let answer = run(&storm(), State::Stored, &[("start", "now-50s"), ("end", "now-40s")]).await;
    let db = row(&answer, "stock-db");
    assert_eq!((&db["verdict"], &db["baseline_calls_per_request"]), (&json!("amplified"), &Value::Null));
    assert!(db["explanation"]["en"].as_str().expect("text").contains("5.00 calls of stock-db, 1.00 without repeats"));
    let calm = run(&storm(), State::Stored, &[("start", "now-60s"), ("end", "now-50s")]).await;
    assert_eq!((&calm["amplified"], &row(&calm, "stock-db")["multiplied_by"]), (&json!(0), &Value::Null));
}

#[tokio::test]
async fn calls_that_were_always_many_are_no_amplification_and_few_requests_tell_nothing() {
    // Five calls one after the other, none of which fails, at any time; and a request that comes five times.
    let mut rows = Vec::new();
    for n in 0..200_u64 {
        let (trace, at) = (n + 1, n as i64 * 100);
        let id = |k: u64| trace * 1_000 + k;
        rows.push(span(trace, id(1), 0, ("bff", "GET /page", "SERVER"), at, at + 80));
        let call = |k: u64| {
            span(trace, id(2 + k), id(1), ("bff", "GET price", "CLIENT"), at + 10 * k as i64, at + 10 * k as i64 + 9)
        };
        rows.extend((0..5).map(call));
        if n % 40 == 0 {
            rows.extend(request(1_000 + trace, at, if n >= 100 { [3, 3] } else { [1, 1] }));
        }
    }
    let answer = run(&rows, State::Files, &SIDES).await;
    let prices = row(&answer, "GET price");
    assert!(close(&prices["calls_per_request"], 5.0) && close(&prices["retry_factor"], 1.0), "{prices:#}");
    assert_eq!((&prices["verdict"], &prices["callee_type"]), (&json!("steady"), &json!("external")));
    assert_eq!(row(&answer, "stock-db")["verdict"], "not_enough_data");
}

/// One CLIENT span around all attempts of a proxy, and one around spans of each attempt.
#[tokio::test]
async fn attempts_are_counted_whichever_spans_tell_of_them() {
    let mut rows = Vec::new();
    for n in 0..40_u64 {
        let (trace, at) = (n + 1, n as i64 * 100);
        let id = |k: u64| trace * 1_000 + k;
        rows.push(span(trace, id(1), 0, ("bff", "GET /page", "SERVER"), at, at + 90));
        rows.push(span(trace, id(2), id(1), ("bff", "GET /item", "CLIENT"), at + 1, at + 30));
        rows.extend((0..3).map(|k| {
            span(
                trace,
                id(3 + k),
                id(2),
                ("item", "GET /item", "SERVER"),
                at + 2 + 9 * k as i64,
                at + 10 + 9 * k as i64,
            )
        }));
        rows.push(span(trace, id(10), id(1), ("bff", "call with retries", "CLIENT"), at + 40, at + 80));
        for k in 0..4_i64 {
            let call = span(
                trace,
                id(11 + k as u64),
                id(10),
                ("bff", "GET /price", "CLIENT"),
                at + 41 + 9 * k,
                at + 49 + 9 * k,
            );
            rows.push(and(call, json!({ "peer_service": "price", "status_code": if k < 3 { "ERROR" } else { "OK" } })));
        }
    }
    let answer = run(&rows, State::Memory, &[]).await;
    for (callee, factor) in [("item", 3.0), ("price", 4.0)] {
        let found = row(&answer, callee);
        assert!(close(&found["calls_per_request"], factor) && close(&found["retry_factor"], factor), "{found:#}");
    }
    assert_eq!(answer["found"], 2, "{answer:#}");
}
