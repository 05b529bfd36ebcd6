//! Instances that differ from their siblings, and instances that start, against rows whose figures are known.

use model::{Signal, Tenant};
use serde_json::{Value, json};

use super::fixture::{Fixture, STATES, State, and, span};
use crate::analysis;

async fn answer(rows: &[Value], state: State, name: &str, parameters: &[(&str, &str)]) -> Value {
    let engine = Fixture::new().with(Signal::Traces, rows, state).await.engine();
    let parameters: Vec<_> = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let found = analysis::run(&engine, &Tenant::default(), name, &parameters).await;
    found.unwrap_or_else(|e| panic!("{name}: {e:?}"))
}

/// Requests one after the other, each a trace of one span.
struct Calls {
    rows: Vec<Value>,
}

impl Calls {
    /// So many calls of an instance from a time on, as far apart as told, of so many milliseconds; those that `is_bad`
    /// says fail.
    fn add(
        &mut self,
        place: (&str, &str, &str),
        (n, from, apart): (i64, i64, i64),
        ms: i64,
        is_bad: impl Fn(i64) -> bool,
    ) {
        let (service, operation, instance) = place;
        for call in 0..n {
            let (id, at) = (self.rows.len() as u64 + 1, from + call * apart);
            let row = span(id, id, 0, (service, operation, "SERVER"), at, at + ms);
            let status = if is_bad(call) { "ERROR" } else { "UNSET" };
            self.rows.push(and(row, json!({ "instance_id": instance, "status_code": status })));
        }
    }
}

/// Twenty seconds: one of three instances takes 30 ms instead of 10, one of three fails every other call, one of three
/// is called twice as often; besides, a service of one instance, one without instances, and one with three calls.
fn uneven() -> Vec<Value> {
    let mut calls = Calls { rows: Vec::new() };
    let fine = |_: i64| false;
    for (instance, ms) in [("stock-a", 10), ("stock-b", 10), ("stock-c", 30)] {
        calls.add(("stock", "GET /stock", instance), (40, 0, 500), ms, fine);
    }
    calls.add(("stock", "GET /stock", "stock-d"), (3, 0, 500), 10, fine);
    for instance in ["pay-a", "pay-b", "pay-c"] {
        calls.add(("pay", "POST /pay", instance), (40, 0, 500), 10, |call| instance == "pay-a" && call % 2 == 1);
    }
    for (instance, n, apart) in [("cart-a", 80, 250), ("cart-b", 40, 500), ("cart-c", 40, 500)] {
        calls.add(("cart", "GET /cart", instance), (n, 0, apart), 10, fine);
    }
    calls.add(("solo", "GET /solo", "solo-1"), (40, 0, 500), 10, fine);
    let from = calls.rows.len();
    calls.add(("nameless", "GET /nameless", ""), (25, 0, 500), 10, fine);
    calls.rows[from..].iter_mut().for_each(|row| row["instance_id"] = Value::Null);
    calls.rows
}

const LAST_MINUTE: &[(&str, &str)] = &[("start", "now-60s"), ("end", "now")];

#[tokio::test]
async fn instances_that_are_slower_fail_more_or_carry_more_are_named() {
    for state in STATES {
        let found = answer(&uneven(), state, "instance-skew", LAST_MINUTE).await;
        let rows = found["rows"].as_array().expect("rows");
        let shown: Vec<_> = rows
            .iter()
            .map(|r| (r["kind"].as_str(), r["service"].as_str(), r["instance"].as_str(), r["ratio"].as_f64()))
            .collect();
        let expected = [
            (Some("slow"), Some("stock"), Some("stock-c"), Some(3.0)),
            // Its siblings never fail, so there is no ratio.
            (Some("errors"), Some("pay"), Some("pay-a"), None),
            (Some("load"), Some("cart"), Some("cart-a"), Some(2.0)),
        ];
        assert_eq!(shown, expected, "{state:?}");
        let slow = &rows[0];
        assert_eq!(
            (&slow["mean_ns"], &slow["siblings_mean_ns"], &slow["calls"], &slow["instances"]),
            (&json!(30_000_000), &json!(10_000_000), &json!(40), &json!(4))
        );
        // 40 calls lose 20 ms each in the 48 seconds that are settled.
        assert_eq!(slow["lost_ns_per_minute"], json!(1_000_000_000));
        assert_eq!(slow["q"].as_f64(), Some(0.0));
        let near = |row: &Value, name: &str, ms: f64| (row[name].as_f64().expect("ns") / 1e6 - ms).abs() <= 0.02 * ms;
        assert!(near(slow, "p50_ns", 30.0) && near(slow, "p99_ns", 30.0), "{slow}");
        assert!(near(slow, "siblings_p50_ns", 10.0) && near(slow, "siblings_p99_ns", 10.0), "{slow}");
        assert_eq!((&rows[1]["error_rate"], &rows[1]["siblings_error_rate"]), (&json!(0.5), &json!(0.0)));
        assert_eq!((&rows[1]["lost_ns_per_minute"], &rows[2]["lost_ns_per_minute"]), (&Value::Null, &Value::Null));
        assert_eq!((&rows[2]["share_of_calls"], &rows[2]["siblings_share_of_calls"]), (&json!(0.5), &json!(0.25)));
        assert_eq!((&found["verdict"], &found["compared"]["operations"]), (&json!("skewed"), &json!(3)));
        // Three instances each of stock, pay and cart; the fourth of stock has three calls.
        assert_eq!(found["compared"]["instances"], json!(9));
        assert_eq!(found["left_out"], json!({ "no_instance_id": 1, "one_instance": 1, "too_few_calls": 1 }));
        for language in ["en", "zh"] {
            assert!(slow["explanation"][language].as_str().is_some_and(|text| text.contains("stock-c")), "{slow}");
        }
    }
}

#[tokio::test]
async fn instances_that_are_alike_and_too_few_calls_are_said() {
    let mut calls = Calls { rows: Vec::new() };
    for instance in ["a", "b", "c"] {
        calls.add(("stock", "GET /stock", instance), (30, 0, 500), 10, |_| false);
    }
    let found = answer(&calls.rows, State::Mixed, "instance-skew", LAST_MINUTE).await;
    assert_eq!((&found["verdict"], &found["rows"]), (&json!("even"), &json!([])));
    let found = answer(&calls.rows[..5], State::Mixed, "instance-skew", LAST_MINUTE).await;
    assert_eq!(found["verdict"], "not_enough_data");
    assert!(found["summary"]["zh"].as_str().is_some_and(|text| text.contains("数据不足")), "{found}");
}

/// Two minutes, from three minutes before now: an old instance serves a call a second in 10 ms; a new one comes after a
/// minute and takes 40 ms for its first ten calls. A function takes 500 ms for two cold invocations of twenty, else 100.
fn starting() -> Vec<Value> {
    let mut calls = Calls { rows: Vec::new() };
    let fine = |_: i64| false;
    calls.add(("shop", "GET /", "old"), (120, -120_000, 1_000), 10, fine);
    calls.add(("shop", "GET /", "new"), (10, -60_000, 1_000), 40, fine);
    calls.add(("shop", "GET /", "new"), (50, -50_000, 1_000), 10, fine);
    calls.add(("thumbs", "resize", "thumbs-1"), (18, -120_000, 5_000), 100, fine);
    let from = calls.rows.len();
    calls.add(("thumbs", "resize", "thumbs-1"), (2, -25_000, 5_000), 500, fine);
    let cold = json!({ "attributes": json!({ "faas.coldstart": true, "faas.trigger": "http" }).to_string() });
    calls.rows[from..].iter_mut().for_each(|row| *row = and(row.clone(), cold.clone()));
    calls.rows
}

#[tokio::test]
async fn an_instance_that_starts_is_slow_until_it_is_warm() {
    let window = [("start", "now-180s"), ("end", "now-60s")];
    for state in STATES {
        let found = answer(&starting(), state, "cold-starts", &window).await;
        let rows = found["rows"].as_array().expect("rows");
        let shown: Vec<_> = rows
            .iter()
            .map(|r| (r["kind"].as_str(), r["service"].as_str(), r["started"].as_i64(), r["lost_ns"].as_i64()))
            .collect();
        let expected = [
            (Some("function"), Some("thumbs"), Some(2), Some(800_000_000)),
            (Some("instance"), Some("shop"), Some(1), Some(300_000_000)),
        ];
        assert_eq!(shown, expected, "{state:?}");
        assert_eq!((&rows[0]["mean_ns"], &rows[0]["later_mean_ns"]), (&json!(500_000_000), &json!(100_000_000)));
        let shop = &rows[1];
        assert_eq!(
            (&shop["slow"], &shop["calls"], &shop["mean_ns"], &shop["later_mean_ns"], &shop["ratio"]),
            (&json!(1), &json!(10), &json!(40_000_000), &json!(10_000_000), &json!(4.0))
        );
        // Two bins of five seconds.
        assert_eq!((&shop["slow_for_ns"], &shop["lost_ns_per_call"]), (&json!(10_000_000_000_i64), &json!(30_000_000)));
        let new = &shop["instances"][0];
        assert_eq!((&new["instance"], &new["outcome"]), (&json!("new"), &json!("slow")));
        assert_eq!(new["first_seen"], "2023-11-14T22:11:20.000000000Z");
        assert_eq!(
            (&found["services"], &found["started"], &found["cold_invocations"]),
            (&json!(2), &json!(1), &json!(2))
        );
    }
}

#[tokio::test]
async fn what_began_with_its_service_did_not_start() {
    let mut calls = Calls { rows: Vec::new() };
    for instance in ["a", "b"] {
        calls.add(("shop", "GET /", instance), (10, -90_000, 1_000), 40, |_| false);
        calls.add(("shop", "GET /", instance), (50, -80_000, 1_000), 10, |_| false);
    }
    let found = answer(&calls.rows, State::Mixed, "cold-starts", &[("start", "now-180s"), ("end", "now-60s")]).await;
    assert_eq!((&found["services"], &found["started"], &found["rows"]), (&json!(1), &json!(0), &json!([])));
    assert!(found["summary"]["en"].as_str().is_some_and(|text| text.contains("no instance started")), "{found}");
}
