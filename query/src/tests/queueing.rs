//! The gap between callers and callees against load, of traces whose queue is known.

use model::time::SECOND;
use model::{Signal, Tenant};
use serde_json::{Value, json};

use super::fixture::{Fixture, NOW, STATES, State, and, answer, span};
use crate::analysis;

/// Twenty seconds with 30 calls a second that wait 2 ms, then twenty with 90 that wait 40 ms and more, beside their serving of
/// 5 ms. The callee's clock is ahead by so many ms. Of the third service nothing ever waits.
fn load(ahead_ms: i64) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut trace = 0;
    for second in 0..40_i64 {
        let (calls, wait) = if second < 20 { (30, 2) } else { (90, 40) };
        for n in 0..calls {
            trace += 1;
            let (at, wait) = (second * 1_000 + n * 1_000 / calls, wait + n % 3);
            let id = |k: u64| trace * 10 + k;
            rows.push(span(trace, id(1), 0, ("gateway", "POST /order", "SERVER"), at, at + wait + 20));
            rows.push(span(trace, id(2), id(1), ("gateway", "POST /order", "CLIENT"), at + 1, at + 6 + wait));
            let begun = at + 1 + wait + ahead_ms;
            rows.push(span(trace, id(3), id(2), ("order", "POST /order", "SERVER"), begun, begun + 5));
            rows.push(span(trace, id(4), id(1), ("gateway", "GET /user", "CLIENT"), at + 10 + wait, at + 17 + wait));
            rows.push(span(trace, id(5), id(4), ("user", "GET /user", "SERVER"), at + 11 + wait, at + 16 + wait));
        }
    }
    rows
}

async fn run(rows: &[Value], state: State, parameters: &[(&str, &str)]) -> Value {
    let engine = Fixture::new().with(Signal::Traces, rows, state).await.engine();
    let parameters: Vec<_> = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    analysis::run(&engine, &Tenant::default(), "queueing", &parameters).await.expect("an answer")
}

const WINDOW: [(&str, &str); 2] = [("start", "now-60s"), ("end", "now-20s")];

fn row<'a>(answer: &'a Value, service: &str) -> &'a Value {
    let rows = answer["rows"].as_array().expect("rows");
    rows.iter().find(|row| row["service"] == service).unwrap_or_else(|| panic!("{service}: {answer:#}"))
}

#[tokio::test]
async fn a_queue_is_told_from_a_network_by_the_load() {
    // A batch for each of 12,000 rows takes too long.
    for state in STATES.into_iter().filter(|state| *state != State::Trickled) {
        let found = run(&load(0), state, &WINDOW).await;
        let order = row(&found, "order");
        assert_eq!((&order["verdict"], &order["calls"]), (&json!("grows_with_load"), &json!(2_400)), "{state:?}");
        let rates = ["quiet_rate", "busy_rate"].map(|key| order[key].as_f64().expect("a rate"));
        assert!((rates[0] - 30.0).abs() < 2.0 && (rates[1] - 90.0).abs() < 2.0, "{rates:?}");
        // 2, 3 and 4 ms by turns, then 40 to 42.
        let ms = |key: &str| order[key].as_f64().expect("a time") / 1e6;
        assert!((ms("quiet_mean_ns") - 3.0).abs() < 0.1 && (ms("busy_mean_ns") - 41.0).abs() < 0.1, "{order:#}");
        assert!((ms("busy_p50_ns") - 41.0).abs() < 1.0 && (ms("busy_p99_ns") - 42.0).abs() < 1.0, "{order:#}");
        let said = order["explanation"]["en"].as_str().expect("a sentence");
        assert!(said.contains("grows with load: 3.00 ms at 30/s, 41.0 ms at 90/s"), "{said}");
        assert_eq!(found["rows"][0]["service"], "order", "what grows comes first");
        let user = row(&found, "user");
        assert_eq!((&user["verdict"], &user["busy_mean_ns"]), (&json!("does_not_depend_on_load"), &json!(2_000_000)));
        assert!(order["bins"].as_array().is_some_and(|bins| bins.len() >= 20), "{order:#}");
    }
}

/// Three minutes ahead, and most of one behind: only durations count.
#[tokio::test]
async fn clocks_of_hosts_do_not_matter() {
    let plain = run(&load(0), State::Stored, &WINDOW).await;
    for ahead in [180_000, -50_000] {
        let skewed = run(&load(ahead), State::Stored, &WINDOW).await;
        assert_eq!(skewed["rows"], plain["rows"], "{ahead}");
    }
}

#[tokio::test]
async fn a_steady_load_and_few_calls_are_refused() {
    let steady = run(&load(0), State::Memory, &[("start", "now-60s"), ("end", "now-40s")]).await;
    let order = row(&steady, "order");
    assert_eq!(order["verdict"], "not_enough_load_range");
    let said = order["explanation"]["en"].as_str().expect("a sentence");
    assert!(said.contains("30/s to 30/s; at least ×2 is needed"), "{said}");
    let few = run(&load(0), State::Memory, &[("start", "now-60s"), ("end", "now-57s")]).await;
    assert_eq!(row(&few, "order")["verdict"], "not_enough_data");
}

/// A call that a proxy tried twice has no gap of its own.
#[tokio::test]
async fn calls_that_were_served_twice_are_left_out() {
    let mut rows = load(0);
    for served in rows.clone().iter().filter(|row| row["service_name"] == "order") {
        let id = u64::from_str_radix(served["span_id"].as_str().expect("an id"), 16).expect("hex") + 6;
        rows.push(and(served.clone(), json!({ "span_id": format!("{id:016x}") })));
    }
    let found = run(&rows, State::Stored, &WINDOW).await;
    let services: Vec<_> = found["rows"].as_array().expect("rows").iter().map(|row| row["service"].clone()).collect();
    assert_eq!(services, [json!("user")]);
}

#[tokio::test]
async fn sql_has_the_same_figures() {
    let engine = Fixture::new().with(Signal::Traces, &load(0), State::Stored).await.engine();
    let (start, end) = ((NOW - 60 * SECOND) / SECOND, (NOW - 20 * SECOND) / SECOND);
    let sql = format!(
        "SELECT caller_service, service, verdict, calls, round(busy_mean_ns / 1e6) FROM queueing('{start}', '{end}') \
         ORDER BY service"
    );
    let expected = ["gateway\torder\tgrows_with_load\t2400\t41.0", "gateway\tuser\tdoes_not_depend_on_load\t2400\t2.0"];
    assert_eq!(answer(&engine, &sql).await, expected);
}
