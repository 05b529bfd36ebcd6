//! The state of the latency aggregates: a [`Histogram`] with the exact least and greatest value beside it, and its
//! form as bytes between the stages of a plan.

use crate::analysis::histogram::Histogram;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    histogram: Histogram,
    total: u64,
    least: i64,
    greatest: i64,
}

impl Sketch {
    /// Values below zero count as zero.
    pub fn add(&mut self, value: i64) {
        let value = value.max(0);
        self.histogram.record(value);
        self.widen(value, value);
        self.total += 1;
    }

    fn widen(&mut self, least: i64, greatest: i64) {
        if self.total == 0 {
            (self.least, self.greatest) = (least, greatest);
        }
        self.least = self.least.min(least);
        self.greatest = self.greatest.max(greatest);
    }

    pub fn merge(&mut self, other: &Sketch) {
        if other.total > 0 {
            self.histogram.merge(&other.histogram);
            self.widen(other.least, other.greatest);
            self.total += other.total;
        }
    }

    /// Of a histogram whose values lie between the bounds.
    pub fn of(histogram: Histogram, (least, greatest): (i64, i64)) -> Sketch {
        Sketch { total: histogram.count(), histogram, least, greatest }
    }

    /// Least and greatest.
    pub fn bounds(&self) -> Option<(i64, i64)> {
        (self.total > 0).then_some((self.least, self.greatest))
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    pub fn greatest(&self) -> Option<i64> {
        (self.total > 0).then_some(self.greatest)
    }

    pub fn histogram(&self) -> &Histogram {
        &self.histogram
    }

    /// The value with rank `ceil(q * total)`, within `histogram::RELATIVE_ERROR`; the ends are exact.
    pub fn quantile(&self, q: f64) -> Option<i64> {
        let value = self.histogram.quantile(q)?;
        if q >= 1.0 {
            return Some(self.greatest);
        }
        Some((value.round() as i64).clamp(self.least, self.greatest))
    }

    /// Bytes held, but for what the allocator rounds up.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.histogram.buckets().len() * size_of::<u64>()
    }

    /// Least and greatest, then (bucket, count) pairs, little endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(self.least.to_le_bytes());
        out.extend(self.greatest.to_le_bytes());
        for (bucket, count) in self.histogram.iter() {
            out.extend(bucket.to_le_bytes());
            out.extend(count.to_le_bytes());
        }
        out
    }

    /// Reads [`Sketch::to_bytes`]; what is not such bytes gives an empty sketch.
    pub fn from_bytes(bytes: &[u8]) -> Sketch {
        let mut sketch = Sketch::default();
        let Some((least, rest)) = bytes.split_first_chunk::<8>() else { return sketch };
        let Some((greatest, rest)) = rest.split_first_chunk::<8>() else { return sketch };
        for pair in rest.chunks_exact(2 + 8) {
            let Some((bucket, count)) = pair.split_first_chunk::<2>() else { break };
            let Ok(count) = <[u8; 8]>::try_from(count) else { break };
            let count = u64::from_le_bytes(count);
            sketch.histogram.add(u16::from_le_bytes(*bucket), count);
            sketch.total += count;
        }
        (sketch.least, sketch.greatest) = (i64::from_le_bytes(*least), i64::from_le_bytes(*greatest));
        sketch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[i64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|v| sketch.add(*v));
        sketch
    }

    proptest! {
        #[test]
        fn quantiles_are_within_two_percent(mut values in prop::collection::vec(0i64..10_000_000_000, 1..300), q in 0.0f64..=1.0) {
            let sketch = of(&values);
            values.sort_unstable();
            let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let (truth, found) = (values[rank - 1] as f64, sketch.quantile(q).expect("not empty") as f64);
            prop_assert!((found - truth).abs() <= truth * 0.02 + 0.5, "{found} for {truth}");
        }

        #[test]
        fn merged_parts_equal_the_whole(a in prop::collection::vec(any::<i64>(), 0..50), b in prop::collection::vec(any::<i64>(), 0..50)) {
            let mut merged = Sketch::from_bytes(&of(&a).to_bytes());
            merged.merge(&Sketch::from_bytes(&of(&b).to_bytes()));
            let whole = of(&[a, b].concat());
            prop_assert_eq!((merged.total(), merged.greatest()), (whole.total(), whole.greatest()));
            prop_assert_eq!(merged.quantile(0.5), whole.quantile(0.5));
        }
    }
}
