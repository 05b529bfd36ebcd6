//! The ledger since the store was made: it goes on over clean stops and over `kill -9`, and adds up at every reading.

use std::sync::atomic::{AtomicBool, Ordering};

use prost::Message;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::otlp::{self, PROTOBUF};
use crate::server::{Home, Server, until};

const SETTINGS: &str = "[storage]\nhold_seconds = 0.1\nflush_seconds = 0.1\n";
const NAMES: [&str; 2] = ["hotspan_ledger_rows", "hotspan_ledger_rows_since_creation"];
const ACCOUNTS: [&str; 6] = ["received", "stored", "rejected", "refused", "duplicates", "in_flight"];

/// An export of `spans` good spans, and one without an id when `broken`.
fn send(server: &Server, first: u64, spans: u64, broken: bool) {
    let mut all: Vec<_> = (first..first + spans).map(|at| otlp::span(u128::from(at), at, "checkout")).collect();
    if broken {
        all.push(otlp::span(0, 0, "without ids"));
    }
    let request = otlp::export("shop", all).encode_to_vec();
    let response = server.otlp("/v1/traces", PROTOBUF, request).send().expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
}

fn since_creation(server: &Server) -> Value {
    server.json("/api/v1/status")["ledger_since_creation"]["spans"].clone()
}

fn totals(stored: u64, rejected: u64, duplicates: u64) -> Value {
    let received = stored + rejected + duplicates;
    json!({"received": received, "stored": stored, "rejected": rejected, "refused": 0, "duplicates": duplicates, "in_flight": 0})
}

#[test]
fn it_goes_on_over_stops_and_kills() {
    let home = Home::new();
    let settings = home.file("hotspan.toml", SETTINGS);
    let start = |home: Home| home.start_with(&["--config", &settings]);

    let server = start(home);
    send(&server, 1, 10, true);
    // The same bytes again.
    send(&server, 1, 10, true);
    assert_eq!(since_creation(&server), totals(10, 2, 10));
    let server = start(server.stop());
    assert_eq!(since_creation(&server), totals(10, 2, 10), "after a clean stop");
    assert_eq!(server.json("/api/v1/status")["ledger"]["spans"], totals(0, 0, 0), "this process took nothing yet");

    // What a kill finds in files and in the log counts all the same.
    send(&server, 100, 5, false);
    until("rows in files", || (server.metric("hotspan_memory_rows") == 0.0).then_some(()));
    send(&server, 200, 7, false);
    let server = start(server.kill());
    assert_eq!(since_creation(&server), totals(22, 2, 10), "after kill -9");
    let (rows, sample) = (server.number("SELECT count(*) FROM spans"), "hotspan_ledger_rows_since_creation");
    assert_eq!(server.metric(&format!("{sample}{{table=\"spans\",account=\"stored\"}}")) as i64, rows);
    // Killed again before anything was written, and again.
    let server = start(start(server.kill()).kill());
    assert_eq!(since_creation(&server), totals(22, 2, 10), "after three kills");

    // A folder of before there was a ledger begins with what its tables hold.
    let home = server.stop();
    std::fs::remove_file(home.data().join("ledger.json")).expect("it was there");
    let server = start(home);
    assert_eq!(since_creation(&server), totals(22, 0, 0));
    send(&server, 300, 1, false);
    let server = start(server.kill());
    assert_eq!(since_creation(&server), totals(23, 0, 0));
    server.stop();
}

/// By account, for one table, out of one answer of `/metrics`.
fn accounts(text: &str, name: &str, table: &str) -> [f64; 6] {
    ACCOUNTS.map(|account| {
        let sample = format!("{name}{{table=\"{table}\",account=\"{account}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(sample.as_str()));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {sample} in\n{text}"))
    })
}

#[test]
fn it_adds_up_at_every_scrape_under_load() {
    const SENDERS: u64 = 4;
    const EXPORTS: u64 = 150;
    let home = Home::new();
    let settings = home.file("hotspan.toml", SETTINGS);
    let server = home.start_with(&["--config", &settings]);
    let over = AtomicBool::new(false);
    let scrapes = std::thread::scope(|threads| {
        let scraper = threads.spawn(|| {
            let (mut scrapes, mut last) = (0u64, [[0.0; 6]; 2]);
            while !over.load(Ordering::SeqCst) {
                let text = server.request("/metrics").send().and_then(|r| r.text()).expect("metrics");
                for (name, last) in NAMES.into_iter().zip(&mut last) {
                    let now @ [received, outcomes @ ..] = accounts(&text, name, "spans");
                    assert_eq!(received, outcomes.iter().sum::<f64>(), "{name}: {now:?}");
                    let grows = now[..5].iter().zip(&*last).all(|(now, last)| now >= last);
                    assert!(grows, "{name}: {now:?} after {last:?}");
                    *last = now;
                }
                scrapes += 1;
            }
            scrapes
        });
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let server = &server;
                threads.spawn(move || {
                    for export in 0..EXPORTS {
                        let first = (sender + 1) << 32 | export << 8 | 1;
                        send(server, first, 4, export.is_multiple_of(3));
                        if export.is_multiple_of(5) {
                            send(server, first, 4, export.is_multiple_of(3));
                        }
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.join().expect("a sender");
        }
        over.store(true, Ordering::SeqCst);
        scraper.join().expect("the scraper")
    });
    assert!(scrapes >= 3, "only {scrapes} scrapes");
    // Each third export has a broken span, each fifth comes twice.
    let (all, twice) = (SENDERS * EXPORTS, SENDERS * EXPORTS / 5);
    let broken = SENDERS * EXPORTS / 3 + SENDERS * (0..EXPORTS).filter(|e| e % 15 == 0).count() as u64;
    assert_eq!(since_creation(&server), totals(4 * all, broken, 4 * twice));
    server.stop();
}
