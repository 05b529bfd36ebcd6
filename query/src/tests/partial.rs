//! Answers that are added up from pieces of files are those of a whole scan.

use model::{Signal, Tenant};
use serde_json::Value;

use super::fixture::{Fixture, NOW, State, and, span};
use crate::{Engine, analysis};

/// Two minutes in files of 30 s: 300 requests a second of three spans each, the call slower in the second minute.
fn files() -> Vec<Vec<Value>> {
    const RATE: i64 = 300;
    let file = |number: i64| {
        let mut rows = Vec::new();
        for n in 0..30 * RATE {
            let at = (number * 30 - 60) * 1_000 + n * 1_000 / RATE;
            let trace = (number * 1_000_000 + n) as u64 + 1;
            let call = if number < 2 { 10 } else { 60 } + n % 7;
            let entry = if n % 3 == 0 { "GET /item" } else { "POST /order" };
            rows.push(span(trace, trace * 4 + 1, 0, ("gateway", entry, "SERVER"), at, at + 20 + call));
            let query =
                span(trace, trace * 4 + 2, trace * 4 + 1, ("gateway", "SELECT stock", "CLIENT"), at + 5, at + 5 + call);
            rows.push(and(query, serde_json::json!({ "peer_service": "db", "db_system_name": "postgresql" })));
            let work = ("gateway", "render", "INTERNAL");
            rows.push(span(trace, trace * 4 + 3, trace * 4 + 1, work, at + 6 + call, at + 12 + call));
        }
        rows
    };
    (0..4).map(file).collect()
}

async fn asked(engine: &Engine, name: &str, window: &[(&str, String)]) -> Value {
    let parameters: Vec<_> = window.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    let found = analysis::run(engine, &Tenant::default(), name, &parameters).await;
    let mut found = found.unwrap_or_else(|e| panic!("{name}: {e:?}"));
    // What depends on which traces are kept, and how long it took.
    found["meta"]["elapsed_ms"] = Value::Null;
    for spot in found["hotspots"].as_array_mut().into_iter().flatten() {
        for sampled in ["exemplars", "p99_ns", "baseline_p99_ns"] {
            spot[sampled] = Value::Null;
        }
    }
    found
}

#[tokio::test]
async fn pieces_add_up_to_what_a_scan_finds() {
    let stored = files();
    let keeping = Fixture::new().with_files(Signal::Traces, &stored, 10_000).await.engine();
    // Rows in memory are always read.
    let reading = Fixture::new().with(Signal::Traces, &stored.concat(), State::Memory).await.engine();
    let at = |ms: i64| {
        let at = NOW / 1_000_000 - 60_000 + ms;
        format!("{}.{:03}", at / 1_000, at % 1_000)
    };
    let windows = [
        vec![("start", at(0)), ("end", at(48_000)), ("baseline_start", at(-60_000)), ("baseline_end", at(0))],
        // Edges within files, on seconds and off them.
        vec![("start", at(5_000)), ("end", at(41_000)), ("baseline_start", at(-47_000)), ("baseline_end", at(-3_000))],
        vec![("start", at(5_137)), ("end", at(40_991)), ("baseline_start", at(-47_500)), ("baseline_end", at(-3_001))],
        vec![("start", at(-60_000)), ("end", at(60_000))],
    ];
    for window in &windows {
        for name in ["hotspots", "steps"] {
            let (first, again) = (asked(&keeping, name, window).await, asked(&keeping, name, window).await);
            let scanned = asked(&reading, name, window).await;
            assert_eq!(first, again, "{name} {window:?}");
            assert_eq!(first, scanned, "{name} {window:?}");
        }
    }
    let hot = asked(&keeping, "hotspots", &windows[0]).await;
    assert_eq!(hot["hotspots"][0]["operation"], "SELECT stock", "{hot:#}");
    assert_eq!((keeping.shared.pieces.known(), reading.shared.pieces.known()), ((4, 4), (0, 0)));
}
