//! Latency histograms with log-linear buckets: 32 equal buckets between each power of two and the next.
//!
//! A bucket's number is a pure function of the value, so histograms made anywhere (a SQL aggregate, a rollup, another
//! machine) merge by adding counts. Values up to 63 ns are exact; above, the middle of a bucket is at most 1/64
//! (1.6 %) away from any value in it, which is the error of every quantile here. The layout is that of
//! HdrHistogram (Tene) with 5 bits of precision.

use std::ops::Range;

const BITS: u32 = 5;
const PER_OCTAVE: u64 = 1 << BITS;

/// The largest relative error of a quantile.
pub const RELATIVE_ERROR: f64 = 1.0 / (2 * PER_OCTAVE) as f64;

/// The bucket of a duration in ns; negative durations count as 0.
pub fn bucket_of(ns: i64) -> u16 {
    let value = ns.max(0) as u64;
    let octave = (u64::BITS - (value >> BITS).leading_zeros()) as u64;
    let within = match octave {
        0 => value,
        _ => (value >> (octave - 1)) - PER_OCTAVE,
    };
    (octave * PER_OCTAVE + within) as u16
}

/// The durations in ns that fall into a bucket.
pub fn bounds(bucket: u16) -> Range<u64> {
    let (octave, within) = (u64::from(bucket) / PER_OCTAVE, u64::from(bucket) % PER_OCTAVE);
    if octave == 0 {
        return within..within + 1;
    }
    let width = 1u64.checked_shl(octave as u32 - 1).unwrap_or(u64::MAX);
    let start = (PER_OCTAVE + within).saturating_mul(width);
    start..start.saturating_add(width)
}

/// The value that stands for a bucket.
pub fn middle(bucket: u16) -> f64 {
    let Range { start, end } = bounds(bucket);
    (start as f64 + (end - 1) as f64) / 2.0
}

/// Counts by bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Counts of the buckets from `first` on.
    counts: Vec<u64>,
    first: u16,
}

impl Histogram {
    /// Buckets that there are: of all durations up to the longest.
    pub const BUCKETS: u16 = 59 * PER_OCTAVE as u16;

    pub fn record(&mut self, ns: i64) {
        self.add(bucket_of(ns), 1);
    }

    pub fn add(&mut self, bucket: u16, count: u64) {
        if count == 0 {
            return;
        }
        self.cover(bucket..bucket + 1);
        self.counts[usize::from(bucket - self.first)] += count;
    }

    pub fn merge(&mut self, other: &Histogram) {
        if other.counts.is_empty() {
            return;
        }
        self.cover(other.buckets());
        let offset = usize::from(other.first - self.first);
        for (mine, theirs) in self.counts[offset..].iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The range of buckets that may hold something.
    pub fn buckets(&self) -> Range<u16> {
        self.first..self.first + self.counts.len() as u16
    }

    /// Buckets with their counts, rising, without empty ones.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        (self.first..).zip(self.counts.iter().copied()).filter(|&(_, count)| count > 0)
    }

    /// The value with rank `ceil(q * count)`, within [`RELATIVE_ERROR`]; `None` of nothing.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let rank = (q.clamp(0.0, 1.0) * self.count() as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        self.iter().find_map(|(bucket, count)| {
            seen += count;
            (seen >= rank).then(|| middle(bucket))
        })
    }

    /// Makes room for the buckets of `range`.
    fn cover(&mut self, range: Range<u16>) {
        if self.counts.is_empty() {
            self.first = range.start;
        }
        if range.start < self.first {
            let more = usize::from(self.first - range.start);
            self.counts.splice(..0, std::iter::repeat_n(0, more));
            self.first = range.start;
        }
        let needed = usize::from(range.end - self.first);
        if needed > self.counts.len() {
            self.counts.resize(needed, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_worked_out_by_hand() {
        // Below 64 each value has its own; 64-127 go in twos; 1,000,000 lies in [2^19, 2^20) in steps of 2^14.
        assert_eq!((bucket_of(-5), bucket_of(0), bucket_of(31), bucket_of(32), bucket_of(63)), (0, 0, 31, 32, 63));
        assert_eq!((bucket_of(64), bucket_of(65), bucket_of(66)), (64, 64, 65));
        assert_eq!(bounds(bucket_of(1_000_000)), 999_424..1_015_808);
        assert_eq!(bucket_of(i64::MAX), 59 * 32 - 1);
    }

    #[test]
    fn quantiles_of_nothing_and_of_one() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        histogram.record(17);
        assert_eq!((histogram.quantile(0.0), histogram.quantile(1.0)), (Some(17.0), Some(17.0)));
    }

    proptest! {
        #[test]
        fn a_value_lies_in_its_bucket_and_near_its_middle(ns in 0i64..) {
            let bucket = bucket_of(ns);
            prop_assert!(bounds(bucket).contains(&(ns as u64)));
            prop_assert!((middle(bucket) - ns as f64).abs() <= RELATIVE_ERROR * ns as f64);
        }

        #[test]
        fn buckets_follow_one_another(bucket in 0u16..58 * 32) {
            prop_assert_eq!(bounds(bucket).end, bounds(bucket + 1).start);
        }

        #[test]
        fn quantiles_agree_with_sorting(mut values in proptest::collection::vec(0i64..1 << 40, 1..200), q in 0.0..=1.0f64) {
            let mut histogram = Histogram::default();
            values.iter().for_each(|&v| histogram.record(v));
            values.sort_unstable();
            let rank = (q * values.len() as f64).ceil().max(1.0) as usize;
            let exact = values[rank - 1] as f64;
            let found = histogram.quantile(q).expect("not empty");
            prop_assert!((found - exact).abs() <= RELATIVE_ERROR * exact, "{} for {}", found, exact);
        }

        #[test]
        fn merging_is_recording_both(a in proptest::collection::vec(0i64..1 << 50, 0..50), b in proptest::collection::vec(0i64..1 << 50, 0..50)) {
            let of = |values: &[i64]| {
                let mut h = Histogram::default();
                values.iter().for_each(|&v| h.record(v));
                h
            };
            let mut merged = of(&a);
            merged.merge(&of(&b));
            let both = of(&[a, b].concat());
            prop_assert_eq!(merged.iter().collect::<Vec<_>>(), both.iter().collect::<Vec<_>>());
        }
    }
}
