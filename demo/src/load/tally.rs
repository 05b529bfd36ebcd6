//! Adding up what became of exports: over the run, by load level, by second.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// What happened to the spans of a run or of a part of it. Every span sent ends in exactly one of `accepted`,
/// `rejected`, `refused` and `failed`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Exports that were made; sending one again does not count.
    pub exports: u64,
    /// Their spans.
    pub sent: u64,
    pub accepted: u64,
    /// Left out by the server and told by partial success.
    pub rejected: u64,
    /// In exports that the server told to send later, and that were given up: without `retry`, because too many
    /// waited, or because patience was over.
    pub refused: u64,
    /// In exports that the server refused for good, or that got no answer.
    pub failed: u64,
    /// Accepted after at least one refusal; part of `accepted`.
    pub accepted_later: u64,
    /// Sent again after a try that got no answer, so the server may have had them before.
    pub possible_duplicates: u64,
    /// Answers that told to send later.
    pub refusals: u64,
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    #[serde(rename = "p99.9")]
    pub p999: f64,
    pub max: f64,
}

/// Longest latency told apart, in microseconds.
const LONGEST_US: u64 = 600_000_000;

pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// Kept to so many significant digits.
    pub fn new(digits: u8) -> Self {
        Latencies(Histogram::new_with_max(LONGEST_US, digits).expect("bounds and digits are constants in range"))
    }

    pub fn record(&mut self, latency: Duration) {
        let microseconds = u64::try_from(latency.as_micros()).unwrap_or(LONGEST_US);
        self.0.saturating_record(microseconds.max(1));
    }

    pub fn summary(&self) -> Latency {
        if self.0.is_empty() {
            return Latency::default();
        }
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1e3;
        Latency { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: self.0.max() as f64 / 1e3 }
    }
}

/// What became of one try to send an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Accepted {
        rejected: u64,
    },
    /// Told to send later, and it will be.
    Later,
    /// It did not get to the server, and will be sent again.
    Again,
    /// It got no answer, and will be sent again; the server may have it.
    Uncertain,
    /// Told to send later, and given up.
    Refused,
    Failed,
}

/// Totals and latencies of one part of a run.
pub struct Tally {
    pub totals: Totals,
    latencies: Latencies,
}

impl Tally {
    pub fn new(digits: u8) -> Self {
        Tally { totals: Totals::default(), latencies: Latencies::new(digits) }
    }

    pub fn begin(&mut self, spans: u64) {
        self.totals.exports += 1;
        self.totals.sent += spans;
    }

    pub fn add(&mut self, fate: &Fate, tries: u32, latency: Duration, spans: u64) {
        let totals = &mut self.totals;
        match fate {
            Fate::Accepted { rejected } => {
                let accepted = spans.saturating_sub(*rejected);
                totals.accepted += accepted;
                totals.rejected += spans - accepted;
                if tries > 1 {
                    totals.accepted_later += accepted;
                }
                self.latencies.record(latency);
            }
            Fate::Later => totals.refusals += 1,
            Fate::Again => {}
            Fate::Uncertain => totals.possible_duplicates += spans,
            Fate::Refused => {
                totals.refusals += 1;
                totals.refused += spans;
            }
            Fate::Failed => totals.failed += spans,
        }
    }

    pub fn latency(&self) -> Latency {
        self.latencies.summary()
    }

    /// Spans whose fate is not known yet.
    pub fn open(&self) -> u64 {
        let Totals { sent, accepted, rejected, refused, failed, .. } = self.totals;
        sent - accepted - rejected - refused - failed
    }
}
