//! A latency histogram with bounds at powers of two, 128 µs to 16.8 s: one increment to record, no lock.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The smallest bound, in microseconds.
const FIRST: u64 = 128;
const BOUNDS: usize = 18;

#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// One a bound, and the rest above the last.
    buckets: [AtomicU64; BOUNDS + 1],
    micros: AtomicU64,
}

impl Histogram {
    pub fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Cumulative buckets, sum and count, as Prometheus wants them.
    pub fn write(&self, out: &mut String, name: &str, labels: &str) {
        let mut count = 0;
        for (at, bucket) in self.buckets.iter().enumerate() {
            count += bucket.load(Ordering::Relaxed);
            let bound = match at {
                BOUNDS => "+Inf".to_owned(),
                _ => ((FIRST << at) as f64 / 1e6).to_string(),
            };
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}");
        }
        let sum = self.micros.load(Ordering::Relaxed) as f64 / 1e6;
        let _ = writeln!(out, "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {count}");
    }
}

/// The least bound, in nanoseconds, within which this part of all that was recorded stayed; 0 of nothing.
pub(super) fn quantile_ns(histograms: &[&Histogram], quantile: f64) -> u64 {
    let at = |bucket: usize| histograms.iter().map(|h| h.buckets[bucket].load(Ordering::Relaxed)).sum::<u64>();
    let total: u64 = (0..=BOUNDS).map(at).sum();
    let rank = (total as f64 * quantile).ceil() as u64;
    let mut seen = 0;
    let found = (0..=BOUNDS).find(|&bucket| {
        seen += at(bucket);
        total > 0 && seen >= rank
    });
    found.map_or(0, |bucket| (FIRST << bucket) * 1_000)
}

/// The first bucket whose bound, `128 µs · 2^at`, is not below.
fn bucket(micros: u64) -> usize {
    let doublings = micros.div_ceil(FIRST).max(1).next_power_of_two().trailing_zeros() as usize;
    doublings.min(BOUNDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_belong_to_their_own_bucket() {
        for (micros, expected) in
            [(0, 0), (1, 0), (128, 0), (129, 1), (256, 1), (257, 2), (128 << 17, 17), (u64::MAX / 2, 18)]
        {
            assert_eq!(bucket(micros), expected, "{micros} µs");
        }
    }

    #[test]
    fn buckets_are_written_cumulatively() {
        let histogram = Histogram::default();
        for micros in [100, 200, 200, 60_000_000] {
            histogram.record(Duration::from_micros(micros));
        }
        let mut out = String::new();
        histogram.write(&mut out, "x", "a=\"b\"");
        assert!(out.contains("x_bucket{a=\"b\",le=\"0.000128\"} 1\n"), "{out}");
        assert!(out.contains("x_bucket{a=\"b\",le=\"0.000256\"} 3\n"), "{out}");
        assert!(out.contains("x_bucket{a=\"b\",le=\"+Inf\"} 4\n"), "{out}");
        assert!(out.contains("x_sum{a=\"b\"} 60.0005\nx_count{a=\"b\"} 4\n"), "{out}");
    }
}
