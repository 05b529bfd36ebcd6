//! What a run of the generator found, as a table for people and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::tally::{Latency, Tally, Totals};

/// One level of load, or one second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Seconds since the start.
    pub at: f64,
    pub seconds: f64,
    /// Spans due by the schedule.
    pub asked: u64,
    #[serde(flatten)]
    pub totals: Totals,
    /// Of exports, counted from when each was due.
    pub latency_ms: Latency,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub seconds: f64,
    /// Spans due by the schedule.
    pub asked: u64,
    pub totals: Totals,
    /// Spans due by the schedule whose turn did not come before the end.
    pub unsent: u64,
    /// Of exports, counted from when each was due.
    pub latency_ms: Latency,
    /// How long after it was due an export was begun: the generator's own lateness, and the wait for room among the
    /// exports that may be on their way at once. Part of the latency.
    pub begun_late_ms: Latency,
    /// By load level.
    pub steps: Vec<Row>,
    /// By the second in which an export was due.
    pub per_second: Vec<Row>,
    /// CPU time of this process during the run, where the system tells it.
    pub cpu_seconds: Option<f64>,
    /// Requests made before the run, and the CPU time for that.
    pub prepared: u64,
    pub prepare_cpu_seconds: Option<f64>,
    /// The first few different reasons of refusals and failures, with their number.
    pub reasons: BTreeMap<String, u64>,
}

/// How many different reasons are kept.
const REASONS: usize = 8;

impl Row {
    pub fn new(at: Duration, lasts: Duration, asked: u64, tally: &Tally) -> Self {
        let (at, seconds) = (at.as_secs_f64(), lasts.as_secs_f64());
        Row { at, seconds, asked, totals: tally.totals, latency_ms: tally.latency() }
    }
}

impl Report {
    /// CPU time of this process by span sent, in microseconds.
    pub fn cpu_us_per_span(&self) -> Option<f64> {
        let sent = self.totals.sent.max(1) as f64;
        self.cpu_seconds.map(|cpu| cpu * 1e6 / sent)
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
            "{:>5} {:>9} {:>10} {:>10} {:>10} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8}",
            "step",
            "spans/s",
            "asked",
            "sent",
            "accepted",
            "rejected",
            "refused",
            "failed",
            "p50 ms",
            "p90 ms",
            "p99 ms",
            "p99.9",
            "max"
        )?;
        for (number, row) in self.steps.iter().enumerate() {
            write_row(f, &(number + 1).to_string(), row)?;
        }
        let (asked, totals, latency_ms) = (self.asked, self.totals, self.latency_ms);
        write_row(f, "all", &Row { at: 0.0, seconds: self.seconds, asked, totals, latency_ms })?;
        let Latency { p50, p99, .. } = self.begun_late_ms;
        writeln!(
            f,
            "latency counts from when an export was due; it was begun {p50:.1} ms (p50), {p99:.1} ms (p99) later"
        )?;
        if self.unsent > 0 {
            writeln!(f, "{} spans were due but not sent: the server did not keep up", self.unsent)?;
        }
        if totals.refusals > 0 {
            writeln!(
                f,
                "{} answers told to send later; {} spans were accepted later",
                totals.refusals, totals.accepted_later
            )?;
        }
        if totals.possible_duplicates > 0 {
            let spans = totals.possible_duplicates;
            writeln!(f, "{spans} spans were sent again after a try without an answer: possible duplicates")?;
        }
        if let (Some(cpu), Some(each)) = (self.cpu_seconds, self.cpu_us_per_span()) {
            writeln!(f, "the generator used {cpu:.2} s of CPU, {each:.2} µs a span")?;
        }
        if let (1.., Some(cpu)) = (self.prepared, self.prepare_cpu_seconds) {
            writeln!(f, "{} requests were made before, in {cpu:.1} s of CPU", self.prepared)?;
        }
        for (reason, count) in &self.reasons {
            writeln!(f, "{count} × {reason}")?;
        }
        Ok(())
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, name: &str, row: &Row) -> fmt::Result {
    let Totals { sent, accepted, rejected, refused, failed, .. } = row.totals;
    let rate = accepted as f64 / row.seconds.max(1e-9);
    let Latency { p50, p90, p99, p999, max } = row.latency_ms;
    writeln!(
        f,
        "{name:>5} {rate:>9.0} {:>10} {sent:>10} {accepted:>10} {rejected:>9} {refused:>9} {failed:>9} {p50:>8.1} \
         {p90:>8.1} {p99:>8.1} {p999:>8.1} {max:>8.1}",
        row.asked
    )
}
