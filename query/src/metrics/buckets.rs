//! Histograms of metrics, explicit and exponential, as one form: counts between two bounds. Differences of cumulative
//! histograms, sums over series, and quantiles by interpolation within a bucket.

use std::collections::BTreeMap;

/// A double that sorts (`total_cmp`), to key buckets by their bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bound(f64);

impl Eq for Bound {}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Counts by (upper, lower) bound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Buckets(BTreeMap<(Bound, Bound), f64>);

impl Buckets {
    pub fn add(&mut self, lower: f64, upper: f64, count: f64) {
        if count > 0.0 {
            *self.0.entry((Bound(upper), Bound(lower))).or_default() += count;
        }
    }

    pub fn merge(&mut self, other: &Buckets, share: f64) {
        for ((upper, lower), count) in &other.0 {
            self.add(lower.0, upper.0, count * share);
        }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn total(&self) -> f64 {
        self.0.values().sum()
    }

    /// `self - before`, or `None` where a bucket shrank: then the counter was reset.
    pub fn since(&self, before: &Buckets) -> Option<Buckets> {
        let mut out = Buckets::default();
        for (bounds, count) in &self.0 {
            let less = count - before.0.get(bounds).copied().unwrap_or(0.0);
            if less < 0.0 {
                return None;
            }
            out.add(bounds.1.0, bounds.0.0, less);
        }
        let gone = before.0.iter().any(|(bounds, count)| *count > 0.0 && !self.0.contains_key(bounds));
        (!gone).then_some(out)
    }

    /// Explicit bounds: `counts` has one more element than `bounds`; upper bounds are inclusive.
    pub fn explicit(bounds: &[f64], counts: &[i64]) -> Buckets {
        let mut out = Buckets::default();
        for (at, count) in counts.iter().enumerate() {
            let lower = if at == 0 { f64::NEG_INFINITY } else { bounds.get(at - 1).copied().unwrap_or(f64::INFINITY) };
            out.add(lower, bounds.get(at).copied().unwrap_or(f64::INFINITY), *count as f64);
        }
        out
    }

    /// The value below which the share `q` lies: linear within a bucket, the finite bound where the other is not.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total = self.total();
        if total <= 0.0 {
            return None;
        }
        let (wanted, mut seen) = (q.clamp(0.0, 1.0) * total, 0.0);
        let mut last = None;
        for ((upper, lower), count) in &self.0 {
            let (lower, upper) = (lower.0, upper.0);
            last = Some(if upper.is_finite() { upper } else { lower });
            if seen + count >= wanted {
                return Some(within(lower, upper, (wanted - seen) / count));
            }
            seen += count;
        }
        last
    }
}

fn within(lower: f64, upper: f64, share: f64) -> f64 {
    match (lower.is_finite(), upper.is_finite()) {
        (true, true) => lower + (upper - lower) * share.clamp(0.0, 1.0),
        // The first bucket of durations and sizes begins at 0.
        (false, true) if upper > 0.0 => upper * share.clamp(0.0, 1.0),
        (false, true) => upper,
        (true, false) => lower,
        (false, false) => 0.0,
    }
}

/// An exponential histogram: bucket `i` of a scale lies in `(base^i, base^(i+1)]` with `base = 2^(2^-scale)`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exponential {
    pub scale: i32,
    pub zero: f64,
    pub zero_threshold: f64,
    pub positive: BTreeMap<i64, f64>,
    pub negative: BTreeMap<i64, f64>,
}

impl Exponential {
    /// The same counts at a coarser scale; exact, as each bucket lies within one coarser bucket.
    fn at_scale(&self, scale: i32) -> Exponential {
        let shift = (self.scale.saturating_sub(scale)).clamp(0, 63) as u32;
        let coarser = |counts: &BTreeMap<i64, f64>| {
            let mut out = BTreeMap::new();
            for (index, count) in counts {
                *out.entry(index >> shift).or_default() += count;
            }
            out
        };
        Exponential {
            scale: self.scale.min(scale),
            positive: coarser(&self.positive),
            negative: coarser(&self.negative),
            ..self.clone()
        }
    }

    /// `self - before`; `None` where a count shrank, as after a reset.
    pub fn since(&self, before: &Exponential) -> Option<Exponential> {
        let scale = self.scale.min(before.scale);
        let (mut now, before) = (self.at_scale(scale), before.at_scale(scale));
        now.zero -= before.zero;
        let mut shrank = now.zero < 0.0;
        for (counts, earlier) in [(&mut now.positive, &before.positive), (&mut now.negative, &before.negative)] {
            for (index, count) in earlier {
                let left = counts.entry(*index).or_default();
                *left -= count;
                shrank |= *left < 0.0;
            }
        }
        (!shrank).then_some(now)
    }

    pub fn buckets(&self) -> Buckets {
        let mut out = Buckets::default();
        let bound = |index: i64| (index as f64 * (-f64::from(self.scale)).exp2()).exp2();
        out.add(-self.zero_threshold, self.zero_threshold, self.zero);
        for (index, count) in &self.positive {
            out.add(bound(*index), bound(index + 1), *count);
        }
        for (index, count) in &self.negative {
            out.add(-bound(index + 1), -bound(*index), *count);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_explicit_buckets_are_interpolated() {
        // 10 in (0, 10], 10 in (10, 20], 5 above 20.
        let buckets = Buckets::explicit(&[0.0, 10.0, 20.0], &[0, 10, 10, 5]);
        assert_eq!(buckets.total(), 25.0);
        assert_eq!(buckets.quantile(0.4), Some(10.0));
        assert_eq!(buckets.quantile(0.6), Some(15.0));
        assert_eq!(buckets.quantile(0.99), Some(20.0), "the open bucket shows its lower bound");
        assert_eq!(Buckets::default().quantile(0.5), None);
    }

    #[test]
    fn a_bucket_that_shrank_is_a_reset() {
        let before = Buckets::explicit(&[1.0], &[5, 5]);
        let after = Buckets::explicit(&[1.0], &[7, 5]);
        assert_eq!(after.since(&before), Some(Buckets::explicit(&[1.0], &[2, 0])));
        assert_eq!(before.since(&after), None);
    }

    #[test]
    fn scales_are_subsets_of_one_another() {
        let fine = Exponential { scale: 1, positive: [(0, 1.0), (1, 2.0), (2, 4.0)].into(), ..Default::default() };
        assert_eq!(fine.at_scale(0).positive, [(0, 3.0), (1, 4.0)].into());
        let coarse = Exponential { scale: 0, positive: [(0, 1.0)].into(), ..Default::default() };
        let rise = fine.since(&coarse).expect("grew");
        assert_eq!((rise.scale, rise.positive), (0, [(0, 2.0), (1, 4.0)].into()));
        // At scale 0 bucket 1 is (2, 4].
        let two_to_four = Exponential { scale: 0, positive: [(1, 1.0)].into(), ..Default::default() };
        assert_eq!(two_to_four.buckets().quantile(1.0), Some(4.0));
    }
}
