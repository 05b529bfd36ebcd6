//! `kill -9` again and again on one data folder, under load: what was acknowledged is there, once.
//!
//! ```text
//!   sender ─ export (client, seq) ─▶ server ─ acknowledged ─▶ remembered
//!      │                               ✗ killed
//!      └─ answer lost ─▶ waits for the next server ─▶ most are sent again, byte for byte
//! ```
//! Every id is computed from (client, seq), so the checker needs no log of its own. Counts as a failure: an
//! acknowledged export that is missing or not whole, anything twice, anything that nobody sent. An export whose answer
//! was lost and that was not sent again may be there or not, but whole and once.
//!
//! Rows are flushed, committed, compacted and trimmed from the log several times a second, so kills hit all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::StatusCode;
use serde_json::Value;

use crate::otlp::{self, PROTOBUF};
use crate::server::{Home, PATIENCE, Server, http_builder, until};

const SEED: u64 = 3;
const KILLS: u32 = 22;
const SENDERS: u16 = 6;
/// Spans of an export.
const SPANS: u64 = 5;

const SETTINGS: &str = "[storage]\nhold_seconds = 0.3\nflush_seconds = 0.15\n[query]\nmax_rows = 1000000\n";

/// Who sent it, and which of its exports it was.
type Key = (u16, u64);

/// The export with this key, always the same bytes.
fn export(key: Key) -> ExportTraceServiceRequest {
    let (client, seq) = key;
    let trace_id = u128::from(client + 1) << 64 | u128::from(seq + 1);
    let spans = (0..SPANS).map(|at| {
        let id = u64::from(client + 1) << 48 | seq << 8 | (at + 1);
        let mut span = otlp::span(trace_id, id, &format!("sender-{client}"));
        // The number of the export is the duration, so that SQL can group by it.
        span.end_time_unix_nano = span.start_time_unix_nano + seq;
        if at > 0 {
            span.parent_span_id = (id - at).to_be_bytes().to_vec();
        }
        span.attributes = vec![otlp::text("http.route", "/order"), otlp::text("padding", &"x".repeat(200))];
        span
    });
    otlp::export("crash", spans.collect())
}

/// What all sides know.
#[derive(Default)]
struct State {
    /// The server that runs now: its number, and its addresses.
    server: Option<(u32, Addresses)>,
    acknowledged: BTreeSet<Key>,
    /// The answer was lost and it was never sent again.
    unknown: BTreeSet<Key>,
    resent: u64,
    over: bool,
}

#[derive(Clone)]
struct Addresses {
    grpc: String,
    http: String,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.lock().expect("no sender panicked"));
        self.changed.notify_all();
        result
    }

    /// Waits for a server later than `number`; `None` when it is all over.
    fn next(&self, number: u32) -> Option<(u32, Addresses)> {
        let mut state = self.state.lock().expect("no sender panicked");
        loop {
            match &state.server {
                _ if state.over => return None,
                Some((later, addresses)) if *later > number => return Some((*later, addresses.clone())),
                _ => {}
            }
            let (guard, waited) = self.changed.wait_timeout(state, PATIENCE).expect("no sender panicked");
            assert!(!waited.timed_out(), "no server for {PATIENCE:?}");
            state = guard;
        }
    }

    /// Whether the server with this number may still answer.
    fn is_current(&self, number: u32) -> bool {
        let state = self.state.lock().expect("no sender panicked");
        !state.over && state.server.as_ref().is_some_and(|(current, _)| *current == number)
    }
}

/// What became of a sent export.
#[derive(PartialEq)]
enum Outcome {
    Acknowledged,
    /// Told to come back.
    Refused,
    /// The connection broke.
    Lost,
}

/// One connection to one server.
enum Client {
    Grpc(tokio::runtime::Runtime, Box<TraceServiceClient<tonic::transport::Channel>>),
    Http(reqwest::blocking::Client, String),
}

impl Client {
    fn new(client: u16, addresses: &Addresses) -> Self {
        if client.is_multiple_of(2) {
            let url = format!("http://{}/v1/traces", addresses.http);
            return Client::Http(http_builder().build().expect("a client"), url);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", addresses.grpc));
        let channel = runtime.block_on(async { endpoint.expect("an address").timeout(PATIENCE).connect_lazy() });
        Client::Grpc(runtime, Box::new(TraceServiceClient::new(channel)))
    }

    fn send(&mut self, request: &ExportTraceServiceRequest) -> Outcome {
        match self {
            Client::Http(client, url) => {
                let request = client.post(url.as_str()).header("content-type", PROTOBUF).body(request.encode_to_vec());
                match request.send().and_then(|response| Ok((response.status(), response.bytes()?))) {
                    Ok((StatusCode::OK, body)) => {
                        assert!(body.is_empty(), "all was acknowledged or nothing");
                        Outcome::Acknowledged
                    }
                    Ok((StatusCode::SERVICE_UNAVAILABLE, _)) => Outcome::Refused,
                    Ok((status, _)) => panic!("an answer that fits neither: {status}"),
                    Err(_) => Outcome::Lost,
                }
            }
            Client::Grpc(runtime, client) => match runtime.block_on(client.export(request.clone())) {
                Ok(response) => {
                    assert_eq!(response.into_inner().partial_success, None);
                    Outcome::Acknowledged
                }
                // A broken connection is `Unavailable` too, `Unknown` or `Cancelled`; only the server's own has details.
                Err(status) if !status.details().is_empty() => {
                    assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
                    Outcome::Refused
                }
                Err(_) => Outcome::Lost,
            },
        }
    }

    /// Sends until it is acknowledged or the connection breaks.
    fn deliver(&mut self, key: Key, shared: &Shared) -> bool {
        let request = export(key);
        loop {
            match self.send(&request) {
                Outcome::Acknowledged => {
                    shared.change(|state| state.acknowledged.insert(key));
                    return true;
                }
                Outcome::Lost => return false,
                Outcome::Refused => std::thread::yield_now(),
            }
        }
    }
}

/// Sends one export after the other, without a pause, until all is over.
fn sender(client: u16, shared: &Shared) {
    let mut chance = StdRng::seed_from_u64(SEED << 16 | u64::from(client));
    let (mut number, mut seq) = (0, 0);
    // Sent, but not known to be there; and the last one that is.
    let mut lost: Option<Key> = None;
    let mut last: Option<Key> = None;
    while let Some((now, addresses)) = shared.next(number) {
        number = now;
        let mut connection = Client::new(client, &addresses);
        // An acknowledged one again, as by a client that died before it noted the answer.
        let again: Vec<Key> = lost.into_iter().chain(last.filter(|_| chance.random_bool(0.5))).collect();
        let mut alive = true;
        for key in again {
            alive = alive && connection.deliver(key, shared);
            if alive {
                shared.change(|state| state.resent += 1);
            }
        }
        if alive {
            lost = None;
        }
        while alive && shared.is_current(number) {
            let key = (client, seq);
            seq += 1;
            alive = connection.deliver(key, shared);
            match alive {
                true => last = Some(key),
                false => lost = Some(key),
            }
        }
        // Some clients give up on an export.
        if let Some(key) = lost.filter(|_| chance.random_bool(0.25)) {
            shared.change(|state| state.unknown.insert(key));
            lost = None;
        }
    }
    if let Some(key) = lost {
        shared.change(|state| state.unknown.insert(key));
    }
}

/// Counted in two steps: `count(DISTINCT …)` keeps a set for each of a hundred thousand exports.
const COUNTS: &str = "SELECT name, duration_ns, sum(copies) AS n, count(*) AS ids FROM \
    (SELECT name, duration_ns, span_id, count(*) AS copies FROM spans GROUP BY 1, 2, 3) GROUP BY 1, 2";

/// Rows and different span ids of each export.
type Found = BTreeMap<Key, (u64, u64)>;

fn found<'a>(rows: impl Iterator<Item = [&'a str; 4]>) -> Found {
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let client = |name: &str| name.strip_prefix("sender-").and_then(|n| n.parse().ok()).expect("a name that was sent");
    rows.map(|[name, seq, rows, ids]| ((client(name), number(seq)), (number(rows), number(ids)))).collect()
}

/// Statements for each sender: an answer has at most 100,000 rows, and what is counted has to fit into memory.
const PARTS: u16 = 4;

/// The statements for all exports.
fn counts() -> impl Iterator<Item = String> {
    (0..SENDERS * PARTS).map(|n| {
        let (client, part) = (n / PARTS, n % PARTS);
        let rows = format!("FROM spans WHERE name = 'sender-{client}' AND duration_ns % {PARTS} = {part}");
        COUNTS.replace("FROM spans", &rows)
    })
}

/// By SQL on the running server.
fn on_server(server: &Server) -> Found {
    let mut all = Found::new();
    for statement in counts() {
        let rows = server.sql(&statement);
        let text = |cell: &Value| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
        let rows: Vec<[String; 4]> = rows.iter().map(|row| [0, 1, 2, 3].map(|at| text(&row[at]))).collect();
        all.extend(found(rows.iter().map(|row| row.each_ref().map(String::as_str))));
    }
    all
}

/// By SQL on the folder.
fn on_folder(home: &Home) -> Found {
    let mut all = Found::new();
    for statement in counts() {
        let rows = home.sql_on_folder(&statement);
        all.extend(found(rows.iter().map(|row| [0, 1, 2, 3].map(|at| row[at].as_str()))));
    }
    all
}

/// Compares what is there with what was acknowledged before it was asked for.
fn compare(found: &Found, acknowledged: &BTreeSet<Key>) -> Result<(), String> {
    let missing: Vec<&Key> = acknowledged.iter().filter(|key| !found.contains_key(key)).collect();
    if !missing.is_empty() {
        return Err(format!("{} acknowledged exports are lost: {:?}", missing.len(), head(&missing)));
    }
    let wrong: Vec<_> = found.iter().filter(|(_, counts)| **counts != (SPANS, SPANS)).collect();
    if !wrong.is_empty() {
        return Err(format!("{} exports are doubled or not whole: {:?}", wrong.len(), head(&wrong)));
    }
    Ok(())
}

#[test]
fn the_checker_notices_what_it_is_there_for() {
    let whole = (SPANS, SPANS);
    let acknowledged = BTreeSet::from([(0, 1), (0, 2)]);
    let told = |found: &[(Key, (u64, u64))]| compare(&found.iter().copied().collect(), &acknowledged);
    assert_eq!(told(&[((0, 1), whole), ((0, 2), whole), ((1, 7), whole)]), Ok(()));
    assert!(told(&[((0, 1), whole)]).is_err_and(|e| e.contains("lost: [(0, 2)]")));
    assert!(told(&[((0, 1), whole), ((0, 2), (SPANS - 1, SPANS - 1))]).is_err_and(|e| e.contains("not whole")));
    assert!(told(&[((0, 1), whole), ((0, 2), (2 * SPANS, SPANS))]).is_err_and(|e| e.contains("doubled")));
}

fn head<T>(all: &[T]) -> &[T] {
    &all[..all.len().min(10)]
}

fn snapshot(shared: &Shared) -> BTreeSet<Key> {
    shared.change(|state| state.acknowledged.clone())
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_kill_9() {
    let home = Home::new();
    let config = home.file("hotspan.toml", SETTINGS);
    let shared = Arc::new(Shared::default());
    let senders: Vec<_> = (0..SENDERS)
        .map(|client| {
            let shared = shared.clone();
            std::thread::spawn(move || sender(client, &shared))
        })
        .collect();

    let mut chance = StdRng::seed_from_u64(SEED);
    let start = || Server::spawn(home.clone(), home.serve(&["--config", &config]));
    for number in 1..=KILLS {
        if chance.random_bool(0.25) {
            // Not even ready: the kill hits the recovery from the one before.
            let server = start();
            std::thread::sleep(Duration::from_millis(chance.random_range(5..400)));
            server.kill();
        }
        let server = start().ready();
        let before = snapshot(&shared);
        // The senders wait meanwhile: the longer it takes the more there would be to look at.
        compare(&on_server(&server), &before).unwrap_or_else(|e| panic!("after kill {}: {e}", number - 1));
        publish(&shared, number, &server);
        std::thread::sleep(Duration::from_millis(chance.random_range(20..1_500)));
        assert!(senders.iter().all(|s| !s.is_finished()), "a sender stopped");
        server.kill();
    }

    // The last server takes what was sent again, and then stops as it should.
    let server = start().ready();
    publish(&shared, KILLS + 1, &server);
    until("re-sent exports", || (shared.change(|s| s.resent) > 0).then_some(()));
    let before = snapshot(&shared).len();
    until("the load to go on", || (snapshot(&shared).len() > before + usize::from(SENDERS)).then_some(()));
    shared.change(|state| state.over = true);
    for sender in senders {
        sender.join().expect("a sender panicked");
    }
    let (acknowledged, unknown, resent) =
        shared.change(|s| (std::mem::take(&mut s.acknowledged), std::mem::take(&mut s.unknown), s.resent));
    let found = on_server(&server);
    compare(&found, &acknowledged).unwrap_or_else(|e| panic!("at the end: {e}"));
    let unsent: Vec<&Key> = found.keys().filter(|k| !acknowledged.contains(k) && !unknown.contains(k)).collect();
    assert!(unsent.is_empty(), "nobody sent {:?}", head(&unsent));
    assert!(resent >= 20, "only {resent} exports were sent again: this run shows little");

    let status = server.json("/api/v1/status");
    // Counted over all processes: each row that is there was stored once.
    let counted = status["ledger_since_creation"]["spans"]["stored"].as_i64();
    assert_eq!(counted, Some(server.number("SELECT count(*) FROM spans")), "{status}");
    let files = status["tables"].clone();
    server.stop();
    assert_eq!(on_folder(&home), found, "the folder after a clean stop");
    let report = home.run("check", &[]);
    assert_eq!(report.code, Some(0), "{}{}", report.text(), report.stderr);
    println!("{} exports acknowledged, {} given up, {resent} sent again; {files}", acknowledged.len(), unknown.len());
}

fn publish(shared: &Shared, number: u32, server: &Server) {
    let addresses = Addresses { grpc: server.grpc.clone(), http: server.http.clone() };
    shared.change(|state| state.server = Some((number, addresses)));
}
