//! Example traces of comparisons, against rows of which it is known by hand which are typical of what differs.

use model::{Signal, Tenant};
use serde_json::{Value, json};

use super::fixture::{Fixture, STATES, State, and, span};
use crate::analysis;

const PAGE: (&str, &str, &str) = ("shop", "GET /", "SERVER");

async fn asked(fixture: Fixture, name: &str, parameters: &[(&str, &str)]) -> Value {
    let engine = fixture.engine();
    let parameters: Vec<_> = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    analysis::run(&engine, &Tenant::default(), name, &parameters).await.unwrap_or_else(|e| panic!("{name}: {e:?}"))
}

fn ids(traces: impl IntoIterator<Item = u64>) -> Value {
    traces.into_iter().map(|trace| json!(format!("{trace:032x}"))).collect()
}

/// A request of so many milliseconds, on a node.
fn on(trace: u64, node: &str, ms: i64) -> Value {
    let attributes = json!({ "node": node }).to_string();
    and(span(trace, trace, 0, PAGE, trace as i64 * 10, trace as i64 * 10 + ms), json!({ "attributes": attributes }))
}

/// Slow: 21 requests on n7 of 200, 210, … 400 ms, whose median is 300, and five of just 300 ms elsewhere, which do not show
/// what slow ones have in common. The rest: 30 of 10 to 39 ms on n1, and three on n7.
fn slow_on_one_node() -> Vec<Value> {
    let slow = (0..21).map(|n| on(100 + n, "n7", 200 + 10 * n as i64));
    let elsewhere = (0..5).map(|n| on(200 + n, "n1", 300));
    let rest = (0..30).map(|n| on(300 + n, "n1", 10 + n as i64));
    let fast_there = (0..3).map(|n| on(400 + n, "n7", 25));
    slow.chain(elsewhere).chain(rest).chain(fast_there).collect()
}

#[tokio::test]
async fn traces_of_a_selection_are_typical_of_those_with_what_sets_it_apart() {
    for state in STATES {
        let fixture = Fixture::new().with(Signal::Traces, &slow_on_one_node(), state).await;
        let found = asked(fixture, "compare", &[("service", "shop"), ("sel_min_ns", "150000000")]).await;
        let first = &found["differences"][0];
        assert_eq!((&first["key"], &first["value"]), (&json!("node"), &json!("n7")), "{state:?}: {found:#}");
        // By their distance to 300 ms: 0, 10, 10, 20, 20, … of equally near ones the smaller id first.
        let near = [110, 109, 111, 108, 112, 107, 113, 106, 114, 105];
        assert_eq!(found["exemplars"]["selection"], ids(near), "{state:?}");
        // Of thirty from 10 ms on the sixteenth takes 25.
        let near = [315, 314, 316, 313, 317, 312, 318, 311, 319, 310];
        assert_eq!(found["exemplars"]["baseline"], ids(near), "{state:?}");
        let of = json!({"service": "shop", "operation": "GET /", "shows": {"key": "node", "value": "n7"}});
        assert_eq!(found["exemplars"]["of"], of, "{state:?}");
    }
}

/// Each third page is slow and answered with 503; so is each fourth of what is fast, which is another operation.
#[tokio::test]
async fn values_in_columns_of_their_own_are_found_again() {
    let mut rows = Vec::new();
    for n in 0..60_u64 {
        let (at, slow) = (n as i64 * 100, n.is_multiple_of(3));
        let takes = if slow { 500 } else { 10 } + n as i64;
        let status = |failed: bool| json!({ "http_response_status_code": if failed { 503 } else { 200 } });
        rows.push(and(span(n + 1, n + 1, 0, PAGE, at, at + takes), status(slow)));
        let odd = span(500 + n, 500 + n, 0, ("shop", "GET /odd", "SERVER"), at, at + 20);
        rows.push(and(odd, status(n.is_multiple_of(4))));
    }
    let fixture = Fixture::new().with(Signal::Traces, &rows, State::Mixed).await;
    let found = asked(fixture, "compare", &[("service", "shop"), ("sel_min_ns", "400000000")]).await;
    let shows = json!({"key": "http.response.status_code", "value": "503"});
    assert_eq!(found["exemplars"]["of"], json!({"service": "shop", "operation": "GET /", "shows": shows}), "{found:#}");
    // Of twenty slow ones, n = 0, 3, … 57, the eleventh is n = 30, of trace 31.
    assert_eq!(found["exemplars"]["selection"], ids([31, 28, 34, 25, 37, 22, 40, 19, 43, 16]));
    // Of forty fast pages, n = 1, 2, 4, 5, …, the 21st is n = 31, of trace 32.
    assert_eq!(found["exemplars"]["baseline"], ids([32, 33, 30, 29, 35, 36, 27, 26, 38, 39]));
}

#[tokio::test]
async fn without_a_difference_all_of_either_side_are_candidates() {
    let rows: Vec<Value> =
        (0..9).map(|n| on(1 + n, "n1", [900, 10, 11, 12, 13, 14, 15, 16, 800][n as usize])).collect();
    let fixture = Fixture::new().with(Signal::Traces, &rows, State::Stored).await;
    let found = asked(fixture, "compare", &[("service", "shop")]).await;
    let selection = found["exemplars"]["selection"].as_array().expect("a list");
    assert_eq!((selection.len(), &selection[0]), (9, &ids([6])[0]), "14 ms is the median of nine: {found:#}");
    assert_eq!((&found["exemplars"]["baseline"], &found["exemplars"]["of"]["shows"]), (&json!([]), &Value::Null));
    let nothing = asked(Fixture::new(), "compare", &[("service", "shop")]).await;
    assert_eq!(nothing["exemplars"], json!({"selection": [], "baseline": [], "of": null}));
}

const PAY: (&str, &str, &str) = ("shop", "POST /pay", "SERVER");

/// 20 requests of either operation each second, for a minute from `from_s` on: `n` from 0 to 1,199.
fn minute(first: u64, from_s: i64, of: impl Fn(u64) -> (i64, bool)) -> Vec<Value> {
    let rows = (0..1_200_u64).flat_map(|n| {
        let (page_ms, pay_fails) = of(n);
        let at = from_s * 1_000 + n as i64 * 50;
        let pay = span(first + 5_000 + n, first + 5_000 + n, 0, PAY, at, at + 20 + (n % 3) as i64);
        let status = json!({ "status_code": if pay_fails { "ERROR" } else { "UNSET" } });
        [span(first + n, first + n, 0, PAGE, at, at + page_ms), and(pay, status)]
    });
    rows.collect()
}

/// Before, pages take 10 to 12 ms and nothing fails. After, each fourth page takes 200 to 400 ms, and each fourth payment
/// fails.
#[tokio::test]
async fn traces_of_compared_runs_are_typical_of_the_calls_that_changed() {
    let mut rows = minute(100_000, -400, |n| (10 + (n % 3) as i64, false));
    rows.extend(minute(200_000, -200, |n| match n.is_multiple_of(4) {
        true => (200 + 10 * (n / 4 % 21) as i64, true),
        false => (10, false),
    }));
    for state in [State::Stored, State::Mixed] {
        let fixture = Fixture::new().with(Signal::Traces, &rows, state).await;
        let fixture =
            fixture.with_run("a1", "round-1", -400_000, -340_000).with_run("b1", "round-2", -200_000, -140_000);
        let found = asked(fixture, "run-diff", &[("run", "round-2"), ("baseline_run", "round-1")]).await;
        let operation = |name: &str| {
            let all = found["operations"].as_array().into_iter().flatten();
            all.clone().find(|o| o["operation"] == name).cloned().unwrap_or_else(|| panic!("no {name}: {found:#}"))
        };
        let (page, pay) = (operation("GET /"), operation("POST /pay"));
        assert_eq!((&page["outcome"], &pay["outcome"]), (&json!("worse"), &json!("worse")), "{found:#}");
        // 300 ms is the median of the slow ones: n / 4 is 10, 31, 52, … and not that of all pages, which is 10 ms.
        assert_eq!(page["exemplars_b"], ids([10, 31, 52, 73, 94].map(|slow| 200_000 + 4 * slow)), "{page:#}");
        // 11 ms is the median of before.
        assert_eq!(page["exemplars_a"], ids([1, 4, 7, 10, 13].map(|n| 100_000 + n)), "{page:#}");
        assert_eq!(pay["measure"], "error_rate");
        // Payments that failed, of which 21 ms is the median: n divides by four and is one more than what divides by three.
        assert_eq!(pay["exemplars_b"], ids([4, 16, 28, 40, 52].map(|n| 205_000 + n)), "{pay:#}");
        assert_eq!(pay["exemplars_a"], ids([1, 4, 7, 10, 13].map(|n| 105_000 + n)), "{pay:#}");
    }
}

#[tokio::test]
async fn what_did_not_change_has_no_example_traces() {
    let mut rows = minute(100_000, -400, |n| (10 + (n % 3) as i64, false));
    rows.extend(minute(200_000, -200, |n| (10 + (n % 3) as i64, false)));
    let fixture = Fixture::new().with(Signal::Traces, &rows, State::Stored).await;
    let fixture = fixture.with_run("a1", "round-1", -400_000, -340_000).with_run("b1", "round-2", -200_000, -140_000);
    let found = asked(fixture, "run-diff", &[("run", "round-2"), ("baseline_run", "round-1")]).await;
    for operation in found["operations"].as_array().expect("a list") {
        assert_eq!((&operation["exemplars_a"], &operation["exemplars_b"]), (&json!([]), &json!([])), "{operation:#}");
    }
}
