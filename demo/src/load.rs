//! Volume: OTLP exports made once, patched per send, sent on a schedule that does not wait for the server.
//!
//! ```text
//! template (encoded once) ─▶ generator (patches ids and times of export n) ─▶ workers ─▶ server
//! schedule (when export n is due) ──────────────────────────────────────────┘  │ ▲
//!                                                    retry queue (numbers) ◀────┘ │ outcomes ─▶ tally ─▶ Report
//! ```
//! *Invariants:* export `n` of a run is a pure function of the settings and the start time, so a re-send has the same
//! bytes, and a checker can recompute every id ([`Layout::ids`]). Latency counts from the moment at which an export
//! was due, not from when a worker got round to it, so a slow server cannot hide by slowing the generator
//! (coordinated omission).

mod generator;
mod layout;
mod ledger;
mod report;
mod retry;
mod schedule;
mod send;
mod template;
#[cfg(test)]
mod tests;
mod worker;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use generator::Generator;
pub use layout::{Layout, span_ids};
pub use ledger::Acknowledged;
pub use report::{Latency, Report, Row, Totals};
pub use worker::run;

/// What to send, how fast, and where to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// `http://host:port`; for HTTP the path `/v1/traces` is added.
    pub endpoint: String,
    pub protocol: Protocol,
    /// Traces per second for the whole `duration`, when there are no steps. 0 means as fast as the server answers.
    pub rate: f64,
    pub duration: Duration,
    /// Load levels, one after the other.
    pub steps: Vec<Step>,
    pub spans_per_trace: usize,
    /// Spans in one export; all come from one instance of one service.
    pub spans_per_export: usize,
    pub seed: u64,
    pub compression: Compression,
    pub connections: usize,
    /// Exports that may be on their way at once on each connection.
    pub in_flight: usize,
    /// Exports that may wait to be sent again; one more is given up.
    pub retry_queue: usize,
    /// How long an export may go on being refused before it is given up.
    pub patience: Duration,
    /// Sent as the `authorization` header, e.g. `Bearer …`.
    pub authorization: Option<String>,
    /// Sent as `X-Scope-OrgID`.
    pub tenant: Option<String>,
    /// File to which each acknowledged export is written.
    pub ledger: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Traces per second; 0 means as fast as the server answers.
    pub rate: f64,
    pub duration: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Grpc,
    Http,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            endpoint: "http://127.0.0.1:4317".to_owned(),
            protocol: Protocol::Grpc,
            rate: 1_000.0,
            duration: Duration::from_secs(30),
            steps: Vec::new(),
            spans_per_trace: 12,
            spans_per_export: 490,
            seed: 1,
            compression: Compression::None,
            connections: 4,
            in_flight: 8,
            retry_queue: 4_096,
            patience: Duration::from_secs(60),
            authorization: None,
            tenant: None,
            ledger: None,
        }
    }
}

impl Settings {
    /// The load levels, whichever way they were given.
    pub fn levels(&self) -> Vec<Step> {
        if self.steps.is_empty() { vec![Step { rate: self.rate, duration: self.duration }] } else { self.steps.clone() }
    }

    pub fn layout(&self) -> Layout {
        Layout { seed: self.seed, spans_per_trace: self.spans_per_trace, spans_per_export: self.spans_per_export }
    }

    fn validate(&self) -> Result<(), Error> {
        let positive = [
            ("spans per trace", self.spans_per_trace),
            ("spans per export", self.spans_per_export),
            ("connections", self.connections),
            ("exports in flight", self.in_flight),
        ];
        if let Some((what, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(Error::Settings(format!("{what} is 0")));
        }
        if self.spans_per_trace > layout::MOST_SPANS_PER_TRACE {
            let most = layout::MOST_SPANS_PER_TRACE;
            return Err(Error::Settings(format!("{} spans per trace is more than {most}", self.spans_per_trace)));
        }
        match self.levels().iter().find(|level| !level.rate.is_finite() || level.rate < 0.0) {
            Some(level) => Err(Error::Settings(format!("{} is not a rate", level.rate))),
            None => Ok(()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Settings(String),
    #[error("{endpoint:?} is not an address to send to: {why}")]
    Endpoint { endpoint: String, why: String },
    #[error("{path}: {source}")]
    Ledger { path: String, source: std::io::Error },
}
