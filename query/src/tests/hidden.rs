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
