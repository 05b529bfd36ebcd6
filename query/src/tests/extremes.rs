//! Spans with the most extreme times that OTLP can say: each analysis still answers, about them and about the others.

use model::time::SECOND;
use model::{Kind, Signal, Tenant};
use serde_json::{Value, json};

use super::fixture::{Fixture, NOW, State, and, shop, span};
use crate::{Engine, analysis};

/// Two spans of one operation that begin at `start`, Unix ns, and never end.
fn endless(number: u64, start: i64) -> Vec<Value> {
    let row = |n: u64| {
        let id = 9_000 + number * 10 + n;
        let row = span(id, id, 0, ("gateway", "GET /for-ever", "SERVER"), 0, 1);
        let duration = i64::MAX - start;
        and(
            row,
            json!({ "start_time_unix_nano": start, "end_time_unix_nano": i64::MAX, "duration_ns": duration, "status_code": "ERROR",
                "test_run_id": "for-ever" }),
        )
    };
    vec![row(1), row(2)]
}

/// A call that never ends, and what served it: later, and it ended before it began.
fn never_answered() -> Vec<Value> {
    let start = NOW - 40 * SECOND;
    let call = span(8_000, 8_001, 0, ("gateway", "reserve", "CLIENT"), 0, 1);
    let times =
        json!({ "start_time_unix_nano": start, "end_time_unix_nano": i64::MAX, "duration_ns": i64::MAX - start });
    let served = span(8_000, 8_002, 8_001, ("inventory", "reserve", "SERVER"), 0, 1);
    let later = json!({ "start_time_unix_nano": start + SECOND, "end_time_unix_nano": 0, "duration_ns": 0 });
    vec![and(call, times), and(served, later)]
}

async fn trouble(engine: &Engine, window: (i64, i64)) -> Vec<String> {
    let mut found = Vec::new();
    for known in analysis::all() {
        let window = [("start", window.0), ("end", window.1)];
        let parameters: Vec<_> = window.into_iter().map(|(key, at)| (key.to_owned(), at.to_string())).collect();
        match analysis::run(engine, &Tenant::default(), known.name, &parameters).await {
            Err(error) if !matches!(error.kind, Kind::Invalid | Kind::NotFound) => {
                found.push(format!("{}: {error:?}", known.name));
            }
            _ => {}
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_never_end_break_no_analysis() {
    let starts = [0, 1, NOW - 30 * SECOND, NOW - SECOND, i64::MAX - 1, i64::MAX];
    let endless = (0..).zip(starts).flat_map(|(number, start)| endless(number, start));
    let rows: Vec<Value> = shop(40).into_iter().chain(endless).chain(never_answered()).collect();
    for state in [State::Memory, State::Stored, State::Mixed] {
        let fixture = Fixture::new().summarized(crate::summaries()).with(Signal::Traces, &rows, state).await;
        let engine = fixture.engine();
        let now = NOW / SECOND;
        for window in [(now - 60, now), (0, now), (now - 1, 7_258_118_400)] {
            let found = trouble(&engine, window).await;
            assert!(found.is_empty(), "{state:?}, {window:?}:\n{}", found.join("\n"));
        }
        let runs = analysis::runs::all(&engine, &Tenant::default()).await.expect("runs");
        assert_eq!((runs.len(), runs[0].start, runs[0].end), (1, 0, None), "{state:?}: it goes on");
    }
}

#[tokio::test]
async fn windows_that_times_cannot_hold_are_refused_by_all_analyses() {
    let engine = Fixture::new().with(Signal::Traces, &shop(4), State::Memory).await.engine();
    let windows = [("now-99999999999d", "now"), ("-8e9", "8e9"), ("0", "8e9"), ("1600-01-01T00:00:00Z", "now")];
    for (start, end) in windows {
        for known in analysis::all() {
            let window = [("start", start), ("end", end)].map(|(key, at)| (key.to_owned(), at.to_owned()));
            let error = analysis::run(&engine, &Tenant::default(), known.name, &window).await.expect_err(start);
            assert_eq!(error.kind, Kind::Invalid, "{} {start}: {error:?}", known.name);
        }
    }
    let many: Vec<_> = (0..33).map(|n| ("attr".to_owned(), format!("{n}=1"))).collect();
    let error = analysis::run(&engine, &Tenant::default(), "operations", &many).await.expect_err("too many");
    assert!(error.message.contains("33 times attr"), "{error:?}");
}
