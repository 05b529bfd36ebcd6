//! What a run of the generator found, as a table for people and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// What happened to the spans of a run or of a part of it. Every span sent ends in exactly one of `accepted`,
/// `rejected`, `failed` and `lost`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Exports that were made, re-sends not counted.
    pub exports: u64,
    /// Their spans.
    pub sent: u64,
    pub accepted: u64,
    /// Told by partial success.
    pub rejected: u64,
    /// Accepted after at least one refusal; part of `accepted`.
    pub refused_then_accepted: u64,
    /// In exports that the server refused for good.
    pub failed: u64,
    /// In exports given up: the queue of re-sends was full, or patience was over.
    pub lost: u64,
    /// Answers that asked for another try.
    pub refusals: u64,
}

/// Export latency in milliseconds, counted from when an export was due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

/// One level of load, or one second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Seconds since the start.
    pub at: f64,
    pub seconds: f64,
    #[serde(flatten)]
    pub totals: Totals,
    pub latency_ms: Latency,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub seconds: f64,
    pub totals: Totals,
    /// Spans due by the schedule whose turn did not come before the end.
    pub unsent: u64,
    pub latency_ms: Latency,
    /// By load level.
    pub steps: Vec<Row>,
    /// By the second in which an export was due.
    pub per_second: Vec<Row>,
    /// CPU time of this process, where the system tells it.
    pub cpu_seconds: Option<f64>,
    /// The first few different reasons of refusals and failures, with their number.
    pub reasons: BTreeMap<String, u64>,
}

/// Longest latency told apart, in microseconds.
const LONGEST_US: u64 = 600_000_000;
/// How many different reasons are kept.
const REASONS: usize = 8;

/// Totals and latencies of one part of a run.
pub struct Tally {
    pub totals: Totals,
    latencies: Histogram<u64>,
}

impl Tally {
    /// Latencies are kept to so many significant digits.
    pub fn new(digits: u8) -> Self {
        let latencies = Histogram::new_with_max(LONGEST_US, digits).expect("bounds and digits are constants in range");
        Tally { totals: Totals::default(), latencies }
    }

    pub fn record(&mut self, latency: Duration) {
        let microseconds = u64::try_from(latency.as_micros()).unwrap_or(LONGEST_US);
        self.latencies.saturating_record(microseconds.max(1));
    }

    pub fn latency(&self) -> Latency {
        let at = |quantile| self.latencies.value_at_quantile(quantile) as f64 / 1e3;
        if self.latencies.is_empty() {
            return Latency::default();
        }
        Latency { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: self.latencies.max() as f64 / 1e3 }
    }

    pub fn row(&self, at: f64, seconds: f64) -> Row {
        Row { at, seconds, totals: self.totals, latency_ms: self.latency() }
    }
}

/// Counts a reason, as long as there are not too many different ones.
pub fn count_reason(reasons: &mut BTreeMap<String, u64>, why: String) {
    if let Some(count) = reasons.get_mut(&why) {
        *count += 1;
    } else if reasons.len() < REASONS {
        reasons.insert(why, 1);
    }
}

/// CPU time of this process so far, in seconds, from `/proc/self/stat`.
pub fn cpu_seconds() -> Option<f64> {
    // Times there are in ticks of the user-space clock, which is 100 Hz on every Linux.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>8} {:>10} {:>12} {:>12} {:>10} {:>10} {:>10} {:>9} {:>9} {:>9} {:>9}",
            "step",
            "spans/s",
            "sent",
            "accepted",
            "rejected",
            "refused",
            "lost",
            "p50 ms",
            "p90 ms",
            "p99 ms",
            "max ms"
        )?;
        for (number, row) in self.steps.iter().enumerate() {
            write_row(f, &(number + 1).to_string(), row)?;
        }
        let all = Row { at: 0.0, seconds: self.seconds, totals: self.totals, latency_ms: self.latency_ms };
        write_row(f, "all", &all)?;
        writeln!(f, "latency counts from when an export was due, not from when it was sent")?;
        if self.unsent > 0 {
            writeln!(f, "{} spans were due but not sent: the server did not keep up", self.unsent)?;
        }
        if self.totals.refused_then_accepted > 0 {
            writeln!(f, "{} spans were accepted after a refusal", self.totals.refused_then_accepted)?;
        }
        if let Some(cpu) = self.cpu_seconds {
            writeln!(f, "the generator used {cpu:.1} s of CPU")?;
        }
        for (reason, count) in &self.reasons {
            writeln!(f, "{count} × {reason}")?;
        }
        Ok(())
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, name: &str, row: &Row) -> fmt::Result {
    let Totals { sent, accepted, rejected, refusals, failed, lost, .. } = row.totals;
    let rate = accepted as f64 / row.seconds.max(1e-9);
    let Latency { p50, p90, p99, max } = row.latency_ms;
    writeln!(
        f,
        "{name:>8} {rate:>10.0} {sent:>12} {accepted:>12} {rejected:>10} {refusals:>10} {:>10} {p50:>9.1} {p90:>9.1} \
         {p99:>9.1} {max:>9.1}",
        lost + failed
    )
}
