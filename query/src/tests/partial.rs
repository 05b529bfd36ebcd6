//! Answers that are added up from pieces of files are those of a whole scan.

use std::sync::Arc;

use arrow::array::RecordBatch;
use model::time::SECOND;
use model::{Result, Signal, Tenant};
use serde_json::Value;
use storage::{Expected, Packed, Summarize, Summary};
use xxhash_rust::xxh3::xxh3_64;

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

/// So many milliseconds after [`NOW`], as Unix seconds.
fn seconds(ms: i64) -> String {
    let at = NOW / 1_000_000 + ms;
    format!("{}.{:03}", at / 1_000, at % 1_000)
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
    for row in found["patterns"].as_array_mut().into_iter().flatten() {
        for sampled in ["example", "exemplar"] {
            row[sampled] = Value::Null;
        }
    }
    found
}

#[tokio::test]
async fn pieces_add_up_to_what_a_scan_finds() {
    let stored = files();
    let keeping = Fixture::new().with_files(Signal::Traces, &stored, 10_000).await.engine();
    let summarized =
        Fixture::new().summarized(crate::summaries()).with_files(Signal::Traces, &stored, 10_000).await.engine();
    let exports: Vec<Vec<Value>> = stored.concat().chunks(500).map(<[Value]>::to_vec).collect();
    let held = Fixture::new().with_exports(Signal::Traces, &exports).engine();
    // An export with a span of two hours ago is always read.
    let mut all = stored.concat();
    all.push(span(999, 999, 0, ("gateway", "GET /item", "SERVER"), -7_200_000, -7_199_000));
    let reading = Fixture::new().with(Signal::Traces, &all, State::Memory).await.engine();
    let at = |ms: i64| seconds(ms - 60_000);
    let windows = [
        vec![("start", at(0)), ("end", at(48_000)), ("baseline_start", at(-60_000)), ("baseline_end", at(0))],
        // Edges within files, on seconds and off them.
        vec![("start", at(5_000)), ("end", at(41_000)), ("baseline_start", at(-47_000)), ("baseline_end", at(-3_000))],
        vec![("start", at(5_137)), ("end", at(40_991)), ("baseline_start", at(-47_500)), ("baseline_end", at(-3_001))],
        vec![("start", at(-60_000)), ("end", at(60_000))],
    ];
    for window in &windows {
        for name in ["hotspots", "steps", "services", "operations", "heatmap"] {
            let scanned = asked(&reading, name, window).await;
            for kept in [&keeping, &keeping, &summarized, &held, &held] {
                assert_eq!(asked(kept, name, window).await, scanned, "{name} {window:?}");
            }
        }
        for asked_of in [("service", "gateway"), ("operation", "render"), ("kind", "CLIENT"), ("instance", "i-1")] {
            let window = [&window[..2], &[(asked_of.0, asked_of.1.to_owned())]].concat();
            let of_service = [&window[..], &[("service", "gateway".to_owned())]].concat();
            let plain = ["services", "operations"].map(|name| (name, &window));
            for (name, window) in plain.into_iter().chain(["heatmap", "steps"].map(|name| (name, &of_service))) {
                let scanned = asked(&reading, name, window).await;
                for kept in [&keeping, &summarized, &held] {
                    assert_eq!(asked(kept, name, window).await, scanned, "{name} {window:?}");
                }
            }
        }
    }
    let hot = asked(&keeping, "hotspots", &windows[0]).await;
    assert_eq!(hot["hotspots"][0]["operation"], "SELECT stock", "{hot:#}");
    assert_eq!((keeping.shared.pieces.known(), reading.shared.pieces.known()), ([4; 3], [0; 3]));
    // Where runs end depends on the numbers of the exports: 107,999 rows or so make six or seven runs, mostly.
    let table = held.shared.snapshot(&Tenant::default()).expect("a snapshot").table(Signal::Traces).clone();
    let is_end = |rows: &Packed| xxh3_64(&rows.number().to_le_bytes()) % 16_384 < rows.num_rows() as u64;
    let runs = table.assembled_memory(NOW).iter().filter(|export| is_end(&export.rows)).count();
    let [_, rates, latencies] = held.shared.pieces.known();
    assert!(latencies <= runs && (runs < 3 || (rates > 0 && latencies > 0)), "{runs} {rates} {latencies}");
}

/// Adds everything to summaries a second time.
#[derive(Debug)]
struct Twice;

impl Summarize for Twice {
    fn begin(&self, file: Expected) -> Option<Box<dyn Summary>> {
        Some(Box::new(OfTwice(crate::summaries().begin(file)?)))
    }
}

struct OfTwice(Box<dyn Summary>);

impl Summary for OfTwice {
    fn add(&mut self, rows: &RecordBatch) -> Result<()> {
        self.0.add(rows).and_then(|()| self.0.add(rows))
    }

    fn finish(self: Box<Self>) -> Option<Vec<u8>> {
        self.0.finish()
    }
}

/// Says something else than it should.
#[derive(Debug)]
struct Nonsense;

impl Summarize for Nonsense {
    fn begin(&self, _: Expected) -> Option<Box<dyn Summary>> {
        struct Word;
        impl Summary for Word {
            fn add(&mut self, _: &RecordBatch) -> Result<()> {
                Ok(())
            }

            fn finish(self: Box<Self>) -> Option<Vec<u8>> {
                Some(b"nonsense".to_vec())
            }
        }
        Some(Box::new(Word))
    }
}

#[tokio::test]
async fn what_a_file_says_at_its_end_is_believed_unless_it_cannot_be_read() {
    let stored = files();
    let spans: i64 = stored.iter().map(|rows| rows.len() as i64).sum();
    // The second window ends within a second that has spans, but after the last of them.
    let whole = [60_000, 100].map(|end| [("start", seconds(-120_000)), ("end", seconds(end))]);
    for (summarize, expected) in [(Arc::new(Twice) as Arc<dyn Summarize>, 2 * spans), (Arc::new(Nonsense), spans)] {
        let fixture = Fixture::new().summarized(summarize.clone());
        let engine = fixture.with_files(Signal::Traces, &stored, 10_000).await.engine();
        for window in &whole {
            let found = asked(&engine, "services", window).await;
            assert_eq!(found["services"][0]["spans"], expected, "{summarize:?} {window:?}");
            let of_service = [&window[..], &[("service", "gateway".to_owned())]].concat();
            let found = asked(&engine, "heatmap", &of_service).await;
            assert_eq!(found["total"], expected, "{summarize:?} {window:?}");
        }
    }
}

/// Lines of two services, a thousand a second, in files of 30 s; one pattern in the second minute only.
fn lines() -> Vec<Vec<Value>> {
    let file = |number: i64| {
        let line = |n: i64| {
            let at = NOW + (number * 30 - 60) * SECOND + n * SECOND / 1_000;
            let body = match n % 3 {
                0 => format!("order {n} placed in {} ms", n % 40),
                1 => format!("cache hit for sku-{n}"),
                _ if number < 2 => format!("paid {n} by card"),
                _ => format!("payment {n} refused: code {}", n % 7),
            };
            let severity = if body.contains("refused") { 17 } else { 9 };
            serde_json::json!({
                "time_unix_nano": at, "severity_number": severity, "body": body, "attributes": "{}",
                "service_name": if n % 2 == 0 { "shop" } else { "pay" },
                "trace_id": format!("{:032x}", number * 100_000 + n + 1), "span_id": format!("{:016x}", n + 1),
            })
        };
        (0..30_000).map(line).collect()
    };
    (0..4).map(file).collect()
}

#[tokio::test]
async fn lines_of_files_add_up_to_those_of_a_scan() {
    let stored = lines();
    let keeping = Fixture::new().with_files(Signal::Logs, &stored, 10_000).await.engine();
    let reading = Fixture::new().with(Signal::Logs, &stored.concat(), State::Memory).await.engine();
    for (start, end, before) in [(0, 60_000, -60_000), (1_000, 41_000, -50_000), (1_137, 40_991, -50_501)] {
        let [from, to, before_from, before_to] = [start, end, before, -5].map(seconds);
        let window = [("start", from), ("end", to), ("baseline_start", before_from), ("baseline_end", before_to)];
        let expected = asked(&reading, "log-patterns", &window).await;
        for _ in 0..2 {
            assert_eq!(asked(&keeping, "log-patterns", &window).await, expected);
        }
        let patterns = expected["patterns"].as_array().expect("a list");
        let of = |service: &str, pattern: &str| {
            let found = patterns.iter().find(|row| row["service"] == service && row["pattern"] == pattern);
            found.unwrap_or_else(|| panic!("no {pattern} of {service} in {expected:#}"))
        };
        // Each third line, of which each second is the shop's.
        let (now, then) = ((end - start) / 6, (-5 - before) / 6);
        let near = |count: &Value, expected: i64| count.as_i64().is_some_and(|count| (count - expected).abs() <= 1);
        for (pattern, change, counts) in [
            ("order * placed in * ms", Value::Null, (now, then)),
            ("payment * refused: code *", "new".into(), (now, 0)),
            ("paid * by card", "gone".into(), (0, then)),
        ] {
            let row = of("shop", pattern);
            assert_eq!(row["change"], change, "{row}");
            assert!(near(&row["count"], counts.0) && near(&row["baseline_count"], counts.1), "{row} {counts:?}");
        }
        assert_eq!(expected["patterns"][0]["severity"], "error", "new errors come first");
    }
    // A baseline that the window is a part of.
    let [from, to, before] = [0, 60_000, -60_000].map(seconds);
    let window = [("start", from), ("end", to.clone()), ("baseline_start", before), ("baseline_end", to)];
    let expected = asked(&reading, "log-patterns", &window).await;
    assert_eq!(asked(&keeping, "log-patterns", &window).await, expected);
    let patterns = expected["patterns"].as_array().expect("a list");
    let row = patterns.iter().find(|row| row["service"] == "shop" && row["pattern"] == "order * placed in * ms");
    let counts = row.map(|row| [&row["count"], &row["baseline_count"]].map(Value::as_i64));
    assert_eq!(counts, Some([Some(10_000), Some(20_000)]));
}
