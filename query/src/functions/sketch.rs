//! A log-linear histogram of whole numbers: 32 buckets for each power of two, exact below 32.
//!
//! A bucket is at most 1/32 of its lower bound wide, so its middle is within 1.6 % of every value in it; least and
//! greatest are kept exactly. Two sketches merge by adding counts, so quantiles of parts never have to be averaged.
//! The idea is HdrHistogram's; the form (dense between the first and the last bucket used) is ours.

/// Buckets for each power of two, as a power of two.
const BITS: u32 = 5;
const PER_OCTAVE: u32 = 1 << BITS;

/// The bucket of a value. Values below zero count as zero.
pub fn bucket(value: i64) -> u32 {
    let value = value.max(0) as u64;
    if value < u64::from(PER_OCTAVE) {
        return value as u32;
    }
    let shift = value.ilog2() - BITS;
    PER_OCTAVE * (shift + 1) + ((value >> shift) as u32 - PER_OCTAVE)
}

/// Lower (inclusive) and upper (exclusive) bound of a bucket.
pub fn bounds(bucket: u32) -> (i64, i64) {
    if bucket < PER_OCTAVE {
        return (i64::from(bucket), i64::from(bucket) + 1);
    }
    let shift = bucket / PER_OCTAVE - 1;
    let step = u128::from(bucket % PER_OCTAVE + PER_OCTAVE);
    let clip = |v: u128| i64::try_from(v).unwrap_or(i64::MAX);
    (clip(step << shift), clip((step + 1) << shift))
}

/// Counts by bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    first: u32,
    counts: Vec<u64>,
    total: u64,
    least: i64,
    greatest: i64,
}

impl Sketch {
    pub fn add(&mut self, value: i64) {
        self.add_many(bucket(value), 1);
        self.span(value.max(0), value.max(0));
        self.total += 1;
    }

    fn span(&mut self, least: i64, greatest: i64) {
        if self.total == 0 {
            (self.least, self.greatest) = (least, greatest);
        }
        self.least = self.least.min(least);
        self.greatest = self.greatest.max(greatest);
    }

    fn add_many(&mut self, bucket: u32, count: u64) {
        if self.counts.is_empty() {
            self.first = bucket;
        }
        if bucket < self.first {
            let gap = (self.first - bucket) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0, gap));
            self.first = bucket;
        }
        let at = (bucket - self.first) as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += count;
    }

    pub fn merge(&mut self, other: &Sketch) {
        if other.total == 0 {
            return;
        }
        for (bucket, count) in other.buckets() {
            self.add_many(bucket, count);
        }
        self.span(other.least, other.greatest);
        self.total += other.total;
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    /// Buckets with a count, lowest first.
    pub fn buckets(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        (self.first..).zip(&self.counts).filter(|(_, count)| **count > 0).map(|(bucket, count)| (bucket, *count))
    }

    /// The value below which the fraction `q` of all values lies (nearest rank); `None` when empty.
    pub fn quantile(&self, q: f64) -> Option<i64> {
        if self.total == 0 {
            return None;
        }
        let rank = (q.clamp(0.0, 1.0) * self.total as f64).ceil().max(1.0) as u64;
        if rank >= self.total {
            return Some(self.greatest);
        }
        let mut seen = 0;
        for (bucket, count) in self.buckets() {
            seen += count;
            if seen >= rank {
                let (lower, upper) = bounds(bucket);
                let middle = if upper - lower == 1 { lower } else { lower + (upper - lower) / 2 };
                return Some(middle.clamp(self.least, self.greatest));
            }
        }
        Some(self.greatest)
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.counts.capacity() * size_of::<u64>()
    }

    /// For an aggregate's intermediate state: least, greatest, then (bucket, count) pairs, little endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.counts.len() * 12);
        out.extend(self.least.to_le_bytes());
        out.extend(self.greatest.to_le_bytes());
        for (bucket, count) in self.buckets() {
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
        for pair in rest.chunks_exact(12) {
            let Some((bucket, count)) = pair.split_first_chunk::<4>() else { break };
            let Ok(count) = <[u8; 8]>::try_from(count) else { break };
            let count = u64::from_le_bytes(count);
            sketch.add_many(u32::from_le_bytes(*bucket), count);
            sketch.total += count;
        }
        sketch.least = i64::from_le_bytes(*least);
        sketch.greatest = i64::from_le_bytes(*greatest);
        sketch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_touch_and_cover() {
        for index in 0..1500 {
            let (lower, upper) = bounds(index);
            assert_eq!(bucket(lower), index);
            if upper < i64::MAX {
                assert_eq!(bucket(upper - 1), index);
                assert_eq!(bounds(index + 1).0, upper);
            }
        }
        assert!(bounds(bucket(i64::MAX)).1 == i64::MAX);
    }

    proptest! {
        #[test]
        fn quantiles_are_within_two_percent(mut values in prop::collection::vec(0i64..10_000_000_000, 1..300), q in 0.0f64..=1.0) {
            let mut sketch = Sketch::default();
            values.iter().for_each(|v| sketch.add(*v));
            values.sort_unstable();
            let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let (true_value, found) = (values[rank - 1] as f64, sketch.quantile(q).expect("not empty") as f64);
            prop_assert!((found - true_value).abs() <= true_value * 0.02 + 0.5, "{found} for {true_value}");
        }

        #[test]
        fn merged_parts_equal_the_whole(a in prop::collection::vec(any::<i64>(), 0..50), b in prop::collection::vec(any::<i64>(), 0..50)) {
            let of = |values: &[i64]| { let mut s = Sketch::default(); values.iter().for_each(|v| s.add(*v)); s };
            let whole = of(&[a.clone(), b.clone()].concat());
            let mut merged = Sketch::from_bytes(&of(&a).to_bytes());
            merged.merge(&Sketch::from_bytes(&of(&b).to_bytes()));
            prop_assert_eq!(merged.buckets().collect::<Vec<_>>(), whole.buckets().collect::<Vec<_>>());
            prop_assert_eq!(merged.quantile(0.5), whole.quantile(0.5));
        }
    }
}
