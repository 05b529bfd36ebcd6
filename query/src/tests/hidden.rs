//! Where latency hides, statements and exceptions, against rows whose figures are known.

use model::{Signal, Tenant};
use serde_json::{Value, json};

use super::fixture::{Fixture, STATES, and, span};
use crate::analysis;

async fn rows_of(rows: &[Value], state: super::fixture::State, name: &str, parameters: &[(&str, &str)]) -> Vec<Value> {
    let engine = Fixture::new().with(Signal::Traces, rows, state).await.engine();
    let parameters: Vec<_> = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let found = analysis::run(&engine, &Tenant::default(), name, &parameters).await;
    let found = found.unwrap_or_else(|e| panic!("{name}: {e:?}"));
    let list = if name == "hidden" { "rows" } else { name };
    found[list].as_array().cloned().expect("rows")
}

/// A page that asks for six prices one by one, tries a payment twice, and waits for the stock's worker.
fn pages(requests: u64) -> Vec<Value> {
    let mut rows = Vec::new();
    for n in 0..requests {
        let (trace, at, root) = (n + 1, n as i64 * 300, n * 100 + 1);
        rows.push(span(trace, root, 0, ("bff", "GET /page", "SERVER"), at, at + 200));
        for call in 0..6 {
            let from = at + 5 + call * 11;
            let id = root + 1 + call as u64;
            rows.push(span(trace, id, root, ("bff", "GET price", "CLIENT"), from, from + 10));
        }
        let pay =
            |id: u64, from: i64, to: i64| span(trace, id, root, ("bff", "POST /pay", "CLIENT"), at + from, at + to);
        rows.push(and(pay(root + 10, 80, 100), json!({ "status_code": "ERROR", "error_type": "timeout" })));
        rows.push(pay(root + 11, 120, 130));
        rows.push(span(trace, root + 20, root, ("bff", "POST /reserve", "CLIENT"), at + 140, at + 180));
        rows.push(span(trace, root + 21, root + 20, ("stock", "POST /reserve", "SERVER"), at + 155, at + 178));
    }
    rows
}

#[tokio::test]
async fn time_is_found_in_calls_one_by_one_in_retries_and_before_work_begins() {
    for state in STATES {
        let found = rows_of(&pages(20), state, "hidden", &[]).await;
        let row =
            |pattern: &str| found.iter().find(|row| row["pattern"] == pattern).unwrap_or_else(|| panic!("{pattern}"));
        let figures = |row: &Value| {
            let ms = row["time_ns_per_request"].as_i64().map(|ns| ns / 1_000_000);
            (row["service"].clone(), row["operation"].clone(), row["count"].as_i64(), row["calls"].as_f64(), ms)
        };
        // Six calls of 10 ms, one of which there would be anyway.
        assert_eq!(figures(row("n_plus_one")), (json!("bff"), json!("GET price"), Some(20), Some(6.0), Some(50)));
        assert_eq!(figures(row("retry")), (json!("bff"), json!("POST /pay"), Some(20), Some(2.0), Some(40)));
        // The call takes 40 ms, its serving 23.
        assert_eq!(
            figures(row("before_served")),
            (json!("stock"), json!("POST /reserve"), Some(20), Some(1.0), Some(17))
        );
        assert_eq!(row("before_served")["caller_service"], "bff");
        assert_eq!(figures(row("before_first_call")), (json!("bff"), json!("GET /page"), Some(20), Some(1.0), Some(5)));
        assert_eq!(found[0]["pattern"], "n_plus_one", "the most costly comes first");
        assert_eq!(found.len(), 4, "{found:#?}");
    }
}

/// Ten requests of 200 ms that ask a store twenty times, one after the other, what `said` makes of the number of the question.
/// Those with even numbers take 6 ms, the others 4.
fn questions(said: impl Fn(u64) -> Value) -> Vec<Value> {
    let mut rows = Vec::new();
    for n in 0..10_u64 {
        let (trace, at) = (n + 1, n as i64 * 300);
        let root = trace * 100;
        rows.push(span(trace, root, 0, ("shop", "GET /page", "SERVER"), at, at + 200));
        for call in 0..20 {
            let from = at + 10 * call as i64;
            let took = if call % 2 == 0 { 6 } else { 4 };
            let asked = span(trace, root + 1 + call, root, ("shop", "SELECT shop", "CLIENT"), from, from + took);
            rows.push(and(and(asked, json!({ "db_system_name": "mysql", "peer_service": "shop-db" })), said(call)));
        }
    }
    rows
}

/// Statement, calls and ms lost for each request of the rows of one pattern.
async fn repeated(
    rows: &[Value],
    state: super::fixture::State,
    pattern: &str,
) -> Vec<(Value, Option<f64>, Option<i64>)> {
    let found = rows_of(rows, state, "hidden", &[]).await;
    let of_pattern = found.into_iter().filter(|row| row["pattern"] == pattern);
    let lost = |row: &Value| row["time_ns_per_request"].as_i64().map(|ns| ns / 1_000_000);
    of_pattern.map(|row| (row["statement"].clone(), row["calls"].as_f64(), lost(&row))).collect()
}

/// Issue 5: calls of one operation were taken for equal, whatever they said.
#[tokio::test]
async fn issue_5_only_calls_that_say_the_same_are_an_n_plus_one() {
    let item = "SELECT * FROM item WHERE id = ?";
    for state in STATES {
        let same = questions(|n| json!({ "db_query_text": format!("SELECT * FROM item WHERE id = {n}") }));
        // Ten of 6 ms and ten of 4, less one of the longest.
        assert_eq!(repeated(&same, state, "n_plus_one").await, [(json!(item), Some(20.0), Some(94))], "{state:?}");
        let others = questions(|n| json!({ "db_query_text": format!("SELECT * FROM table_{n} WHERE id = 1") }));
        assert_eq!(repeated(&others, state, "n_plus_one").await, [], "{state:?}");
    }
    let state = super::fixture::State::Stored;
    let unsaid = questions(|_| json!({}));
    assert_eq!(repeated(&unsaid, state, "n_plus_one").await, [(Value::Null, Some(20.0), Some(94))]);
    // Two in turn, by the older name of the attribute: what costs more comes first.
    let turns =
        questions(|n| json!({ "db_statement": if n % 2 == 0 { "SELECT a FROM t" } else { "SELECT b FROM t" } }));
    let expected = [(json!("SELECT a FROM t"), Some(10.0), Some(54)), (json!("SELECT b FROM t"), Some(10.0), Some(36))];
    assert_eq!(repeated(&turns, state, "n_plus_one").await, expected);
}

#[tokio::test]
async fn one_question_to_many_servers_is_no_n_plus_one() {
    let to = |servers: u64| {
        questions(
            move |n| json!({ "db_query_text": "SELECT 1", "server_address": format!("shard-{}.db", n % servers), "server_port": 3306 }),
        )
    };
    let state = super::fixture::State::Mixed;
    assert_eq!(repeated(&to(20), state, "n_plus_one").await, []);
    assert_eq!(repeated(&to(3), state, "n_plus_one").await, [(json!("SELECT ?"), Some(20.0), Some(94))], "replicas");
}

#[tokio::test]
async fn another_statement_after_one_that_failed_is_no_retry() {
    let failing = |text: fn(u64) -> String| {
        questions(move |n| json!({ "db_query_text": text(n), "status_code": if n == 3 { "ERROR" } else { "UNSET" } }))
    };
    let state = super::fixture::State::Memory;
    assert_eq!(repeated(&failing(|n| format!("SELECT a{n} FROM t")), state, "retry").await, []);
    // From the start of the fourth to that of the fifth.
    let found = repeated(&failing(|_| "SELECT a FROM t".to_owned()), state, "retry").await;
    assert_eq!(found, [(json!("SELECT a FROM t"), Some(2.0), Some(10))]);
}

/// Category and sentence of what one request asks more of than it did, when it says so each time.
async fn spot_of(said: fn(u64) -> String) -> (Value, String) {
    let mut rows = Vec::new();
    for n in 0..400_u64 {
        let (trace, at) = (n + 1, n as i64 * 100);
        let (root, calls) = (trace * 100, if n < 200 { 1 } else { 20 });
        rows.push(span(trace, root, 0, ("shop", "GET /page", "SERVER"), at, at + 5 + 4 * calls));
        for call in 0..calls {
            let from = at + 2 + 4 * call;
            let asked = span(trace, root + 1 + call as u64, root, ("shop", "SELECT shop", "CLIENT"), from, from + 4);
            let text = said(call as u64);
            rows.push(and(
                asked,
                json!({ "db_system_name": "mysql", "peer_service": "shop-db", "db_query_text": text }),
            ));
        }
    }
    let engine = Fixture::new().with(Signal::Traces, &rows, super::fixture::State::Stored).await.engine();
    let sides = [("start", "now-40s"), ("end", "now-20s"), ("baseline_start", "now-60s"), ("baseline_end", "now-40s")];
    let parameters: Vec<_> = sides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let found = analysis::run(&engine, &Tenant::default(), "hotspots", &parameters).await.expect("hot spots");
    let mut spots = found["hotspots"].as_array().expect("hot spots").iter();
    let spot = spots.find(|spot| spot["operation"] == "SELECT shop").expect("the statement");
    (spot["category"].clone(), spot["explanation"]["en"].to_string())
}

#[tokio::test]
async fn issue_5_hot_spots_compare_statements_too() {
    let (category, said) = spot_of(|n| format!("SELECT * FROM item WHERE id = {n}")).await;
    assert_eq!(category, "n_plus_one");
    assert!(said.contains("(SELECT * FROM item WHERE id = ?) many times in sequence"), "{said}");
    let (category, _) = spot_of(|n| format!("SELECT * FROM table_{n} WHERE id = 1")).await;
    assert_eq!(category, "database");
}

#[tokio::test]
async fn statements_are_one_whatever_their_values() {
    let query = |n: u64, text: &str, ms: i64| {
        let row = span(n, n, 0, ("stock", "SELECT stock", "CLIENT"), n as i64 * 100, n as i64 * 100 + ms);
        and(row, json!({ "db_system_name": "postgresql", "peer_service": "stock-db", "db_query_text": text }))
    };
    let mut rows: Vec<Value> =
        (1..=10).map(|n| query(n, &format!("SELECT * FROM stock WHERE sku = {n} AND name = 'a{n}'"), 20)).collect();
    rows.push(query(11, "DELETE FROM cart WHERE id = 4", 50));
    rows.push(span(12, 12, 0, ("stock", "GET /stock", "SERVER"), 0, 500));
    for state in STATES {
        let found = rows_of(&rows, state, "statements", &[]).await;
        let shown: Vec<_> =
            found.iter().map(|r| (r["statement"].as_str(), r["count"].as_i64(), r["total_ns"].as_i64())).collect();
        let expected = [
            (Some("SELECT * FROM stock WHERE sku = ? AND name = ?"), Some(10), Some(200_000_000)),
            (Some("DELETE FROM cart WHERE id = ?"), Some(1), Some(50_000_000)),
        ];
        assert_eq!(shown, expected, "{state:?}");
        assert_eq!((&found[0]["peer"], &found[0]["system"]), (&json!("stock-db"), &json!("postgresql")));
        assert_eq!(found[1]["slowest"], format!("{:032x}", 11));
    }
}

#[tokio::test]
async fn exceptions_are_counted_by_type_and_place_beside_the_baseline() {
    let thrown = |n: u64, at: i64, line: u32| {
        let stack =
            format!("java.sql.SQLException: no\n\tat com.shop.Stock.reserve(Stock.java:{line})\n\tat x.Y.z(Y.java:1)");
        let attributes = json!({ "exception.type": "java.sql.SQLException", "exception.message": format!("no {n}"), "exception.stacktrace": stack });
        let event = json!({ "name": "exception", "attributes": attributes.to_string() });
        and(
            span(n, n, 0, ("stock", "POST /reserve", "SERVER"), at, at + 5),
            json!({ "status_code": "ERROR", "events": [event] }),
        )
    };
    // One in the baseline's ten seconds, three in the window's, one of them elsewhere; a span that only failed.
    let mut rows = vec![thrown(1, 1_000, 42), thrown(2, 11_000, 42), thrown(3, 12_000, 42), thrown(4, 13_000, 99)];
    let failed = json!({ "status_code": "ERROR", "error_type": "503", "status_message": "busy" });
    rows.push(and(span(5, 5, 0, ("bff", "GET /page", "SERVER"), 14_000, 14_010), failed));
    rows.push(span(6, 6, 0, ("bff", "GET /page", "SERVER"), 15_000, 15_010));
    let window = [("start", "now-50s"), ("end", "now-40s"), ("baseline_start", "now-60s"), ("baseline_end", "now-50s")];
    for state in STATES {
        let found = rows_of(&rows, state, "exceptions", &window).await;
        let shown: Vec<_> = found
            .iter()
            .map(|r| (r["type"].as_str(), r["place"].as_str(), r["count"].as_i64(), r["baseline_count"].as_i64()))
            .collect();
        let place = |line: u32| format!("com.shop.Stock.reserve(Stock.java:{line})");
        let (here, there) = (place(42), place(99));
        let sql = Some("java.sql.SQLException");
        let expected = [
            (Some("503"), None, Some(1), Some(0)),
            (sql, Some(here.as_str()), Some(2), Some(1)),
            (sql, Some(there.as_str()), Some(1), Some(0)),
        ];
        assert_eq!(shown, expected, "{state:?}");
        assert_eq!((&found[1]["message"], &found[1]["exemplar"]), (&json!("no 3"), &json!(format!("{:032x}", 3))));
        assert_eq!(found[0]["message"], "busy");
        // A baseline that the window is a part of.
        let window =
            [("start", "now-50s"), ("end", "now-40s"), ("baseline_start", "now-60s"), ("baseline_end", "now-40s")];
        let found = rows_of(&rows, state, "exceptions", &window).await;
        let both = found.iter().find(|r| r["place"] == here.as_str()).expect("listed");
        assert_eq!((&both["count"], &both["baseline_count"]), (&json!(2), &json!(3)), "{state:?}");
    }
}
