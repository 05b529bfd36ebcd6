//! Spans that come faster than they are written: what is only in the log counts, and is not read where its sums tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use model::{
    Batch, Decoded, Decoder, Encoding, Format, Ingest, ManualClock, Payload, Result, Signal, Tenant, TraceId,
    time::SECOND,
};
use serde_json::{Value, json};
use storage::{Source, Store};

use super::fixture::{NOW, and, batch, span};
use crate::{Engine, Settings, analysis};

/// Reads a list of rows as JSON, and counts how often questions have it do so: the store reads the log too, whenever it
/// tries to write.
#[derive(Default)]
struct Rows {
    read: AtomicUsize,
}

impl Decoder for Rows {
    fn decode(&self, payload: &Payload) -> Result<Decoded> {
        if std::thread::current().name().is_some_and(|name| name.starts_with("query")) {
            self.read.fetch_add(1, Ordering::Relaxed);
        }
        let rows: Vec<Value> = serde_json::from_slice(&payload.body).expect("rows");
        let hash = xxhash_rust::xxh3::xxh3_128(&payload.body);
        let rows = batch(payload.signal, &rows);
        Ok(Decoded { rows, rejected: 0, notes: vec![], reasons: vec![], hash, decoded_bytes: payload.body.len() })
    }
}

const EXPORTS: i64 = 150;
const SPANS: i64 = 400;

/// Each export holds a tenth of a second, half of it calls of a database that fail one time in ten.
fn export(number: i64) -> Vec<Value> {
    let row = |n: i64| {
        let id = (number * SPANS + n + 1) as u64;
        let at = 40_000 + number * 100 + n % 100;
        if n % 2 == 0 {
            return span(id, id, 0, ("gateway", "GET /item", "SERVER"), at, at + 5 + n % 40);
        }
        let query = span(id, id, 0, ("stock", "SELECT stock", "CLIENT"), at, at + 100);
        let failed = if n % 20 == 1 { "ERROR" } else { "UNSET" };
        and(query, json!({ "db_system_name": "postgresql", "status_code": failed }))
    };
    (0..SPANS).map(row).collect()
}

async fn asked(engine: &Engine, name: &str) -> Value {
    let second = |at: i64| (at / SECOND).to_string();
    let window = [("start", second(NOW - 60 * SECOND)), ("end", second(NOW))];
    let window: Vec<_> = window.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    analysis::run(engine, &Tenant::default(), name, &window).await.expect("answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_count_what_is_only_in_the_log_without_reading_it_again() {
    let (folder, clock) = (tempfile::tempdir().expect("a folder"), Arc::new(ManualClock::at(NOW)));
    // A file stands where the day's folder should be: nothing can be written.
    let day = chrono::DateTime::from_timestamp_nanos(NOW).format("received_date=%Y-%m-%d").to_string();
    std::fs::create_dir_all(folder.path().join("tables/spans")).expect("made");
    std::fs::write(folder.path().join("tables/spans").join(day), b"in the way").expect("written");
    let settings = storage::Settings { memory_bytes: 8 << 20, min_free_bytes: 0, ..storage::Settings::default() };
    let decoder = Arc::new(Rows::default());
    let opened = Store::open(folder.path(), settings, clock.clone(), decoder.clone(), crate::summaries()).await;
    let store = opened.expect("opens").0;
    let backlog = || store.snapshot(&Tenant::default()).expect("a snapshot").table(Signal::Traces).backlog.clone();
    let known = || -> usize { backlog().iter().flat_map(|backlog| backlog.known().to_vec()).map(|k| k.rows).sum() };
    let dropped = || backlog().map_or(0, |backlog| backlog.rows()) as usize;
    // One part may not be full, and another wait for its sum.
    let summed = async || {
        while known() + 2 * 8 * (SPANS as usize) < dropped() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    for number in 0..EXPORTS {
        let body = serde_json::to_vec(&export(number)).expect("JSON").into();
        let (format, encoding, received) = (Format::Protobuf, Encoding::Identity, NOW);
        let payload = Payload { tenant: Tenant::default(), signal: Signal::Traces, format, encoding, received, body };
        let Decoded { rows, hash, .. } = decoder.decode(&payload).expect("rows");
        store.append(Batch { payload, rows, hash }).await.expect("acknowledged");
        // Where exports come faster than sums, parts go without.
        tokio::time::timeout(Duration::from_secs(60), summed()).await.expect("is summed up meanwhile");
    }
    let dropped = dropped();

    let engine = Engine::new(Settings { threads: 2, ..Settings::default() }, Arc::new(store.clone()), clock);
    let engine = engine.expect("an engine");
    let rest = (dropped - known()) / SPANS as usize;
    let operations = asked(&engine, "operations").await;
    let read = decoder.read.load(Ordering::Relaxed);
    assert!(read <= rest, "{read} exports were read, and no sum is known of {rest}");

    let row = |name: &str| {
        let rows = operations["operations"].as_array().expect("rows");
        rows.iter().find(|row| row["operation"] == name).expect("there").clone()
    };
    let (requests, calls) = (row("GET /item"), row("SELECT stock"));
    let half = EXPORTS * SPANS / 2;
    assert_eq!((&requests["count"], &requests["errors"]), (&json!(half), &json!(0)));
    assert_eq!((&calls["count"], &calls["errors"]), (&json!(half), &json!(half / 10)));
    assert_eq!(calls["max_ns"], json!(100_000_000));
    let trend: i64 = calls["trend"].as_array().expect("points").iter().filter_map(Value::as_i64).sum();
    assert_eq!(trend, half);

    // No request of the log is known as one: it says so instead of decoding all of it in vain.
    let hot_spots = asked(&engine, "hotspots").await;
    assert_eq!(decoder.read.load(Ordering::Relaxed), read);
    let note = hot_spots["meta"]["notes"][0].as_str().expect("a note");
    assert!(note.starts_with(&format!("{dropped} spans wait to be written")), "{note}");
    // What no sum tells is read.
    asked(&engine, "statements").await;
    assert_eq!(decoder.read.load(Ordering::Relaxed), read + dropped / SPANS as usize);
    // The oldest rows have left memory.
    let trace = engine.trace(&Tenant::default(), TraceId(1u128.to_be_bytes()), 10).await.expect("is in the log");
    let names: Vec<_> = trace["spans"].as_array().expect("spans").iter().map(|span| &span["name"]).collect();
    assert_eq!(names, ["GET /item"]);
}
