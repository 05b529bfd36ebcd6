//! The collection of malformed exports (testdata/malformed/README.md): each body through the real routers over
//! loopback, its answer and every stored column compared with what is written down there.
//!
//! All bodies of a protocol take one connection, so that one which spoils it for those behind is found too.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use hotspan_collector::decode::{Limits, OtlpDecoder};
use hotspan_collector::{Collector, ConnectionLimits, Settings};
use model::access::Access;
use model::ingest::Pending;
use model::{Ack, Batch, Decoder, Error, Ingest, Ledger, ManualClock, Signal};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::support::{RECEIVED, Running};

mod answers;
mod clients;
mod rows;

use answers::Answer;
use clients::{Client, Grpc, Http};

/// `answers.json`: what all classes share.
#[derive(Deserialize)]
struct Shared {
    limit: u64,
    answers: Map<String, Value>,
    rows: Map<String, Value>,
}

/// A class's `expect.json`.
#[derive(Deserialize)]
struct Class {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    file: String,
    signal: String,
    format: String,
    #[serde(default = "identity")]
    encoding: String,
    answer: String,
    #[serde(default)]
    rejected: u64,
    #[serde(default)]
    says: Vec<String>,
    rows: Vec<Value>,
}

fn identity() -> String {
    "identity".to_owned()
}

impl Case {
    fn signal(&self) -> Signal {
        match self.signal.as_str() {
            "traces" => Signal::Traces,
            "metrics" => Signal::Metrics,
            "logs" => Signal::Logs,
            other => panic!("{other} is no signal"),
        }
    }

    fn is_json(&self) -> bool {
        self.format == "json"
    }
}

fn folder() -> PathBuf {
    PathBuf::from("../testdata/malformed")
}

fn parsed<T: for<'de> Deserialize<'de>>(path: &Path) -> T {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All cases with the folder that they are in, in the order of their names.
fn cases() -> Vec<(PathBuf, Case)> {
    let folders =
        std::fs::read_dir(folder()).expect("the collection is there").map(|entry| entry.expect("reads").path());
    let mut folders: Vec<_> = folders.filter(|path| path.join("expect.json").exists()).collect();
    folders.sort();
    let cases_of = |folder: PathBuf| {
        let class: Class = parsed(&folder.join("expect.json"));
        class.cases.into_iter().map(move |case| (folder.clone(), case))
    };
    folders.into_iter().flat_map(cases_of).collect()
}

/// A store that keeps what it is given.
#[derive(Default)]
struct Keeping(Mutex<Vec<Batch>>);

impl Keeping {
    fn take(&self) -> Vec<Batch> {
        std::mem::take(&mut *self.0.lock().expect("not poisoned"))
    }
}

impl Ingest for Keeping {
    fn append(&self, batch: Batch) -> Pending<'_, Ack> {
        self.0.lock().expect("not poisoned").push(batch);
        Box::pin(async { Ok(Ack { duplicate: false }) })
    }

    fn refuses(&self, _: u64) -> Option<Error> {
        None
    }
}

/// A server and what it stands on.
struct Server {
    shared: Shared,
    store: Arc<Keeping>,
    ledger: Arc<Ledger>,
    decoder: Arc<OtlpDecoder>,
    collector: Collector,
}

impl Server {
    fn new() -> Self {
        let shared: Shared = parsed(&folder().join("answers.json"));
        let limits = Limits { max_decoded_bytes: usize::try_from(shared.limit).expect("small"), ..Limits::default() };
        let settings = Settings { max_request_bytes: shared.limit, ..Settings::default() };
        let (store, ledger) = (Arc::new(Keeping::default()), Arc::new(Ledger::default()));
        let decoder = Arc::new(OtlpDecoder::new(limits));
        let clock = Arc::new(ManualClock::at(RECEIVED));
        let access = Arc::new(Access::open());
        let collector = Collector::new(settings, access, ledger.clone(), decoder.clone(), store.clone(), clock);
        Server { shared, store, ledger, decoder, collector }
    }

    /// Sends the case and says all that is wrong with what came of it.
    async fn run(&self, client: &mut impl Client, folder: &Path, case: &Case) -> Vec<String> {
        let body = std::fs::read(folder.join(&case.file)).expect("the body is there");
        let before = self.ledger.of(case.signal()).totals();
        let answer = client.send(case, body).await;
        let batches = self.store.take();
        let mut wrong = self.compare_answer(case, &answer);
        let expected: Vec<Value> =
            case.rows.iter().map(|row| rows::resolved(row, &self.shared.rows[&case.signal])).collect();
        let stored: Vec<Value> = batches.iter().flat_map(|batch| rows::rows(&batch.rows)).collect();
        wrong.extend(rows::differences(&expected, &stored));
        for batch in &batches {
            let again = self.decoder.decode(&batch.payload).expect("it decoded once");
            if !same(&again.rows, &batch.rows) {
                wrong.push("decoding the stored payload again gives other rows".to_owned());
            }
        }
        let after = self.ledger.of(case.signal()).totals();
        let settled = (after.stored - before.stored, after.rejected - before.rejected, after.in_flight);
        if settled != (expected.len() as u64, case.rejected, 0) {
            wrong.push(format!("the ledger has (stored, rejected, in flight) {settled:?}"));
        }
        wrong
    }

    fn compare_answer(&self, case: &Case, answer: &Answer) -> Vec<String> {
        let expected = &self.shared.answers[&case.answer];
        let mut wrong = Vec::new();
        let code = if answer.is_grpc { &expected["grpc"] } else { &expected["http"] };
        if *code != answer.code {
            wrong.push(format!("answered {} ({:?}), not {code}", answer.code, answer.message));
        }
        if answer.is_retryable {
            wrong.push(format!("the client is told to try again: {answer:?}"));
        }
        if answer.rejected != case.rejected {
            wrong.push(format!("{} are told as rejected, not {}", answer.rejected, case.rejected));
        }
        for part in &case.says {
            if !answer.message.contains(part.as_str()) {
                wrong.push(format!("the message lacks {part:?}: {:?}", answer.message));
            }
        }
        if case.says.is_empty() && !answer.message.is_empty() {
            wrong.push(format!("there is nothing to tell, but it says {:?}", answer.message));
        }
        wrong
    }
}

/// Equal, with NaN equal to itself.
fn same(a: &RecordBatch, b: &RecordBatch) -> bool {
    a.num_rows() == b.num_rows() && rows::rows(a) == rows::rows(b)
}

/// Runs all cases that `wanted` picks over one client and fails with everything that was wrong.
async fn run_all<C: Client>(server: &Server, mut client: C, wanted: impl Fn(&Case) -> bool) -> usize {
    let mut wrong = Vec::new();
    let mut run = 0;
    for (folder, case) in cases().into_iter().filter(|(_, case)| wanted(case)) {
        run += 1;
        let class = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let found = server.run(&mut client, &folder, &case).await;
        wrong.extend(found.into_iter().map(|what| format!("{class}/{}: {what}", case.file)));
    }
    assert!(wrong.is_empty(), "{} things are wrong:\n{}", wrong.len(), wrong.join("\n"));
    run
}

#[tokio::test]
async fn malformed_exports_over_http() {
    let server = Server::new();
    let running = Running::start(server.collector.http_router(), ConnectionLimits::default(), None).await;
    let run = run_all(&server, Http::connect(running.address).await, |_| true).await;
    assert!(run >= 400, "only {run} cases were found");
    assert_eq!(running.connections.accepted(), 1, "no body costs the connection");
    running.stop().await;
}

#[tokio::test]
async fn malformed_exports_over_grpc() {
    let server = Server::new();
    let running = Running::start(server.collector.grpc_router(), ConnectionLimits::default(), None).await;
    let run = run_all(&server, Grpc::connect(running.address).await, |case| !case.is_json()).await;
    assert!(run >= 300, "only {run} cases were found");
    assert_eq!(running.connections.accepted(), 1, "no body costs the connection");
    running.stop().await;
}
