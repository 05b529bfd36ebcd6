//! Volume: OTLP exports whose parts are encoded once, patched per send, sent on a schedule that does not wait for the
//! server.
//!
//! ```text
//! template (encoded once) ─▶ generator (ids, times, customers of export n) ─▶ body ─▶ place on a connection ─▶ server
//! schedule (when export n is due) ──────────▶ run ────────────────────────────┘         │
//!                                             │ ▲ retry queue (numbers) ◀─ outcomes ◀───┘
//!                                             └─▶ tally, seconds, ids file ─▶ Report
//! ```
//! *Invariants:* export `n` of a run is a pure function of the settings and the start time, so a re-send has the same
//! bytes, and a checker can recompute every id ([`Layout::ids`]). Latency counts from the moment at which an export
//! was due, not from when it was sent, so a slow server cannot hide by slowing the generator (coordinated omission).

mod acknowledged;
mod body;
mod content;
mod generator;
mod layout;
mod report;
mod retry;
mod run;
mod schedule;
mod seconds;
mod send;
mod tally;
mod template;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use acknowledged::Acknowledged;
pub use generator::Generator;
pub use layout::Layout;
pub use report::{Report, Row};
pub use run::run;
use schedule::Schedule;
pub use tally::{Latency, Totals};

/// Largest export that the generator makes; OTLP exporters' batches are at most about as large.
pub const MOST_SPANS_PER_EXPORT: usize = 5_000;

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
    /// Spans in one export; all come from one instance of one service. At most: see [`Settings::export_spans`].
    pub spans_per_export: usize,
    pub seed: u64,
    /// How long after the start one operation begins to take four times as long.
    pub slow_after: Option<Duration>,
    pub encoding: Encoding,
    /// How many of the first requests to make before the run, so that making them takes no CPU from the server. Their
    /// spans are as much older as that takes.
    pub prepare: u64,
    pub connections: usize,
    /// Exports that may be on their way at once on each gRPC connection. An HTTP connection carries one at a time.
    pub in_flight: usize,
    /// How long to wait for an answer.
    pub timeout: Duration,
    /// Whether an export that is refused for a while or gets no answer is sent again.
    pub retry: bool,
    /// Exports that may wait to be sent again; one more is given up.
    pub retry_queue: usize,
    /// How long an export may go on being refused before it is given up.
    pub patience: Duration,
    /// Sent as the `authorization` header, e.g. `Bearer …`.
    pub authorization: Option<String>,
    /// Sent as `X-Scope-OrgID`.
    pub tenant: Option<String>,
    /// File to which every trace with acknowledged spans is appended ([`Acknowledged`]).
    pub ids_file: Option<PathBuf>,
    /// File that gets a line for each second.
    pub csv: Option<PathBuf>,
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
pub enum Encoding {
    None,
    Gzip,
    Zstd,
}

impl Encoding {
    /// Its name in headers.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Encoding::None => None,
            Encoding::Gzip => Some("gzip"),
            Encoding::Zstd => Some("zstd"),
        }
    }
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
            slow_after: None,
            encoding: Encoding::None,
            prepare: 0,
            connections: 4,
            in_flight: 8,
            timeout: Duration::from_secs(10),
            retry: false,
            retry_queue: 4_096,
            patience: Duration::from_secs(60),
            authorization: None,
            tenant: None,
            ids_file: None,
            csv: None,
        }
    }
}

impl Settings {
    /// The load levels, whichever way they were given.
    pub fn levels(&self) -> Vec<Step> {
        if self.steps.is_empty() { vec![Step { rate: self.rate, duration: self.duration }] } else { self.steps.clone() }
    }

    pub fn layout(&self) -> Layout {
        let spans_per_export = self.export_spans();
        Layout { seed: self.seed, spans_per_trace: self.spans_per_trace, spans_per_export }
    }

    /// Spans of each export as it is made. Where no level fills one in its first second, exports would come late or not
    /// at all: then they have a span for each trace of a second, so that a block of them holds the traces of a second.
    pub fn export_spans(&self) -> usize {
        let levels = self.levels();
        let traces_at_first = |level: &Step| level.rate * level.duration.as_secs_f64().min(1.0);
        let fills_one = |level: &Step| {
            level.rate == 0.0 || traces_at_first(level) * self.spans_per_trace as f64 >= self.spans_per_export as f64
        };
        if levels.iter().any(fills_one) {
            return self.spans_per_export;
        }
        let fewest = levels.iter().map(traces_at_first).fold(f64::INFINITY, f64::min);
        (fewest as usize).clamp(1, self.spans_per_export)
    }

    fn places_per_connection(&self) -> usize {
        match self.protocol {
            Protocol::Grpc => self.in_flight,
            Protocol::Http => 1,
        }
    }

    fn validate_slowed(&self) -> Result<(), Error> {
        let Some(after) = self.slow_after else { return Ok(()) };
        let (levels, least) = (self.levels(), layout::SPANS_WITH_SLOWED);
        if self.spans_per_trace < least {
            return Err(Error::Settings(format!("what is slow after a while is in traces of at least {least} spans")));
        }
        let lasts = levels.iter().map(|level| level.duration).sum::<Duration>();
        if after >= lasts || levels.iter().any(|level| level.rate == 0.0) {
            let why = "what is slow after a while needs a rate, and a time before the end";
            return Err(Error::Settings(why.to_owned()));
        }
        Ok(())
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
        self.validate_slowed()?;
        if self.spans_per_export > MOST_SPANS_PER_EXPORT {
            let most = MOST_SPANS_PER_EXPORT;
            return Err(Error::Settings(format!("{} spans per export is more than {most}", self.spans_per_export)));
        }
        if let Some(level) = self.levels().iter().find(|level| !level.rate.is_finite() || level.rate < 0.0) {
            return Err(Error::Settings(format!("{} is not a rate", level.rate)));
        }
        if Schedule::new(self).exports() == 0 {
            let asked = "the load is less than one span, so nothing would be sent; give a higher rate or a longer time";
            return Err(Error::Settings(asked.to_owned()));
        }
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Settings(String),
    #[error("{endpoint:?} is not an address to send to: {why}")]
    Endpoint { endpoint: String, why: String },
    #[error("{path}: {source}")]
    File { path: String, source: std::io::Error },
    #[error("cannot make a request: {0}")]
    Compression(std::io::Error),
}
