//! The time at which a load generator meant to send a request, as an attribute of the request's span tells it, and what
//! requests took from then on. Pure.
//!
//! *Invariants:* a time that lies after the request's start says that two clocks differ, and counts as sent in time; one
//! that lies more than an hour before it is in another unit than nanoseconds, and is not used.

use serde_json::{Value, json};

use super::super::histogram::Histogram;

/// The attribute: nanoseconds since 1970, as an int or as text.
pub const ATTRIBUTE: &str = "hotspan.intended_start_unix_nano";
/// Sent later than this counts as late.
pub const LATE: i64 = 10_000_000;
const HOUR: u64 = 3_600_000_000_000;

/// The attribute's value in a span's attributes as JSON text.
pub fn intended_start(attributes: &str) -> Option<i64> {
    let (_, value) = attributes.split_once(&format!("\"{ATTRIBUTE}\":"))?;
    let value = value.strip_prefix('"').unwrap_or(value);
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    value[..digits].parse().ok()
}

/// Requests that tell when they were meant to start.
#[derive(Debug, Clone, Default)]
pub struct Delays {
    /// From the start, and from the intended start, to the end.
    pub from_start: Histogram,
    pub from_intended: Histogram,
    pub late: u64,
    /// Intended after they started: their clocks differ.
    pub ahead: u64,
    /// Not in nanoseconds.
    pub unusable: u64,
    /// The longest delay in ns and its trace.
    pub worst: (i64, u128),
}

impl Delays {
    /// Counts a request, and answers what it took from its intended start; `None` where that cannot be used.
    pub fn count(&mut self, intended: i64, start: i64, end: i64, trace: u128) -> Option<i64> {
        let delay = start.saturating_sub(intended);
        if delay.unsigned_abs() > HOUR {
            self.unusable += 1;
            return None;
        }
        self.ahead += u64::from(delay < 0);
        let (delay, took) = (delay.max(0), (end - start).max(0));
        self.late += u64::from(delay > LATE);
        self.from_start.record(took);
        self.from_intended.record(took + delay);
        self.worst = self.worst.max((delay, trace));
        Some(took + delay)
    }

    pub fn requests(&self) -> u64 {
        self.from_start.count()
    }

    /// Latency of those that tell it, from both clocks; null where none does.
    pub fn json(&self) -> Value {
        let told = self.requests();
        if told == 0 {
            return Value::Null;
        }
        let ns = |of: &Histogram, q: f64| of.quantile(q).map(|ns| ns as i64);
        let (start, intended) = (&self.from_start, &self.from_intended);
        json!({
            "requests": told,
            "p50_ns": ns(start, 0.5), "p90_ns": ns(start, 0.9), "p95_ns": ns(start, 0.95),
            "p99_ns": ns(start, 0.99), "p999_ns": ns(start, 0.999),
            "p50_intended_ns": ns(intended, 0.5), "p90_intended_ns": ns(intended, 0.9),
            "p95_intended_ns": ns(intended, 0.95), "p99_intended_ns": ns(intended, 0.99),
            "p999_intended_ns": ns(intended, 0.999),
            "late_share": self.late as f64 / told as f64,
            "worst_delay_ns": self.worst.0,
        })
    }

    pub fn merge(&mut self, more: &Delays) {
        self.from_start.merge(&more.from_start);
        self.from_intended.merge(&more.from_intended);
        self.late += more.late;
        self.ahead += more.ahead;
        self.unusable += more.unusable;
        self.worst = self.worst.max(more.worst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attribute_is_read_as_a_number_and_as_text() {
        let at = 1_700_000_000_123_456_789;
        assert_eq!(intended_start(&format!("{{\"a\":1,\"{ATTRIBUTE}\":{at},\"b\":2}}")), Some(at));
        assert_eq!(intended_start(&format!("{{\"{ATTRIBUTE}\":\"{at}\"}}")), Some(at));
        for other in ["{}", "", "{\"hotspan.intended_start_unix_nano\":null}", "{\"x\":\"hotspan.intended\"}"] {
            assert_eq!(intended_start(other), None, "{other}");
        }
        // Within another value it is no key.
        assert_eq!(intended_start("{\"x\":\"\\\"hotspan.intended_start_unix_nano\\\":5\"}"), None);
        assert_eq!(intended_start(&format!("{{\"{ATTRIBUTE}\":99999999999999999999}}")), None);
    }

    #[test]
    fn latency_counts_from_the_intended_start() {
        let mut delays = Delays::default();
        // In time, 10 ms late, 90 ms late, ahead of its own start, and in milliseconds.
        let (now, ms) = (1_700_000_000_000_000_000, 1_000_000);
        for (trace, intended) in [(1, now), (2, now - 10 * ms), (3, now - 90 * ms), (4, now + ms), (5, now / ms)] {
            delays.count(intended, now, now + 20 * ms, trace);
        }
        assert_eq!((delays.requests(), delays.late, delays.ahead, delays.unusable), (4, 1, 1, 1));
        assert_eq!(delays.worst, (90 * ms, 3));
        let ms_of = |histogram: &Histogram, q: f64| (histogram.quantile(q).expect("some") / 1e6).round();
        assert_eq!((ms_of(&delays.from_start, 1.0), ms_of(&delays.from_intended, 0.5)), (20.0, 20.0));
        assert!((ms_of(&delays.from_intended, 1.0) - 110.0).abs() <= 2.0);
        let mut twice = delays.clone();
        twice.merge(&delays);
        assert_eq!((twice.requests(), twice.late, twice.worst), (8, 2, (90 * ms, 3)));
    }
}
