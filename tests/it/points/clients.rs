//! Clients that export until their server is gone, and what they know then.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Instant;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use reqwest::StatusCode;

use super::cases::REACHED;
use crate::otlp::{self, PROTOBUF};
use crate::server::Server;

/// Rows of an export.
pub const ROWS: u64 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    Spans,
    Logs,
}

/// What and which: an export is computed from it, so that it is sent again byte for byte.
pub type Key = (Table, u64);

/// What became of everything that was sent.
#[derive(Default)]
pub struct Known {
    pub acknowledged: Mutex<BTreeSet<Key>>,
    pub unanswered: Mutex<BTreeSet<Key>>,
}

pub fn trace_id(seq: u64) -> u128 {
    u128::from(seq + 1) << 64 | 7
}

pub fn span_id(seq: u64, at: u64) -> u64 {
    (seq + 1) << 8 | (at + 1)
}

pub fn log_text(seq: u64, at: u64) -> String {
    format!("record {seq} {at}")
}

fn body((table, seq): Key, padding: usize) -> (&'static str, Vec<u8>) {
    let padding = "x".repeat(padding);
    match table {
        Table::Spans => {
            let spans = (0..ROWS).map(|at| {
                let mut span = otlp::span(trace_id(seq), span_id(seq, at), "work");
                span.end_time_unix_nano -= at * 1_000;
                if at > 0 {
                    span.parent_span_id = span_id(seq, 0).to_be_bytes().to_vec();
                }
                span.attributes = vec![otlp::text("padding", &padding)];
                span
            });
            ("/v1/traces", otlp::export("points", spans.collect()).encode_to_vec())
        }
        Table::Logs => {
            let record = |at| LogRecord {
                time_unix_nano: otlp::NEW_YEAR,
                body: Some(AnyValue { value: Some(any_value::Value::StringValue(log_text(seq, at))) }),
                attributes: vec![otlp::text("padding", &padding)],
                ..LogRecord::default()
            };
            let log_records = (0..ROWS).map(record).collect();
            let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
            let resource = otlp::export("points", vec![]).resource_spans.remove(0).resource;
            let resource_logs = vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }];
            ("/v1/logs", ExportLogsServiceRequest { resource_logs }.encode_to_vec())
        }
    }
}

impl Known {
    /// Sends until it is acknowledged; false when the server is gone before.
    pub fn deliver(&self, server: &Server, key: Key, padding: usize) -> bool {
        let (path, body) = body(key, padding);
        self.unanswered.lock().expect("no panic").insert(key);
        loop {
            let sent = server.otlp(path, PROTOBUF, body.clone()).send();
            match sent.and_then(|response| Ok((response.status(), response.bytes()?))) {
                Ok((StatusCode::OK, rejected)) => {
                    assert!(rejected.is_empty(), "all was acknowledged or nothing");
                    self.unanswered.lock().expect("no panic").remove(&key);
                    self.acknowledged.lock().expect("no panic").insert(key);
                    return true;
                }
                Ok((StatusCode::SERVICE_UNAVAILABLE, _)) => std::thread::yield_now(),
                Ok((status, _)) => panic!("an answer that fits neither: {status}"),
                Err(_) => return false,
            }
        }
    }

    /// Spans and logs, one export after the other from `first` on, until the server is gone, `most` were sent, or it
    /// has taken too long.
    pub fn load(&self, server: &Server, first: u64, most: u64, padding: usize) {
        let begun = Instant::now();
        let goes_on = || begun.elapsed() < REACHED;
        std::thread::scope(|scope| {
            for table in [Table::Spans, Table::Logs] {
                scope.spawn(move || {
                    (first..first + most).all(|seq| goes_on() && self.deliver(server, (table, seq), padding))
                });
            }
        });
    }

    /// As a client does whose answer was lost.
    pub fn send_again(&self, server: &Server, padding: usize) -> usize {
        let keys: Vec<Key> = self.unanswered.lock().expect("no panic").iter().copied().collect();
        assert!(keys.iter().all(|key| self.deliver(server, *key, padding)), "the server died once more");
        keys.len()
    }

    pub fn all(&self) -> BTreeSet<Key> {
        self.acknowledged.lock().expect("no panic").clone()
    }
}
