//! Example traces: of many spans that show something, so many that are typical of them, by the same rule for all
//! comparisons ([`super::compare`], [`super::run_diff`]): those whose span is nearest to the median duration.
//!
//! *Invariants:* the same spans give the same examples, in whatever order and parts they come; no more than [`MOST_KEPT`] of
//! them are held, those of an even part of the traces where there are more.

use model::TraceId;

use super::sample::{Part, hash, nearest_to};

/// Spans that are held to choose from.
const MOST_KEPT: usize = 2_000;

/// Spans to choose from, as their durations and traces.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    /// All that were seen.
    pub spans: u64,
    part: Part,
    kept: Vec<(i64, u128)>,
}

impl Candidates {
    pub fn add(&mut self, duration: i64, trace: u128) {
        self.spans += 1;
        if self.part.holds(hash(trace)) {
            self.kept.push((duration, trace));
            self.limit();
        }
    }

    pub fn merge(&mut self, other: Candidates) {
        self.spans += other.spans;
        self.part = self.part.and(other.part);
        self.kept.extend(other.kept);
        let part = self.part;
        self.kept.retain(|(_, trace)| part.holds(hash(*trace)));
        self.limit();
    }

    /// Takes a smaller part of the traces until few enough are held; one trace alone may have more.
    fn limit(&mut self) {
        while self.kept.len() > MOST_KEPT && self.part.one_in() < 1 << 32 {
            self.part = self.part.halved();
            let part = self.part;
            self.kept.retain(|(_, trace)| part.holds(hash(*trace)));
        }
    }

    /// Bytes held, about.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.kept.capacity() * size_of::<(i64, u128)>()
    }

    /// The traces of those nearest to the median, the nearest first.
    pub fn typical(self, most: usize) -> Vec<String> {
        let traces = nearest_to(self.kept, 0.5, most);
        traces.into_iter().map(|trace| TraceId(trace.to_be_bytes()).to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(trace: u128) -> String {
        format!("{trace:032x}")
    }

    #[test]
    fn the_nearest_to_the_median_are_typical_and_neither_the_first_nor_the_slowest() {
        let mut all = Candidates::default();
        // 1, 2, … 9 ms and two far off: the median of eleven is the sixth.
        for (trace, ms) in [9, 1, 8, 2, 7, 3, 6, 4, 5, 500, 900].into_iter().enumerate() {
            all.add(ms * 1_000_000, trace as u128);
        }
        assert_eq!(all.spans, 11);
        // 6 ms is of trace 6; 7 and 5 ms are as near, of traces 4 and 8.
        assert_eq!(all.clone().typical(3), [hex(6), hex(4), hex(8)]);
        let mut twice = all.clone();
        twice.merge(all);
        assert_eq!(twice.typical(2), [hex(6), hex(4)], "a trace comes once");
        assert!(Candidates::default().typical(3).is_empty());
    }

    #[test]
    fn of_very_many_an_even_part_is_held_whatever_the_order() {
        let (mut one, mut parts) = (Candidates::default(), vec![Candidates::default(); 7]);
        for n in 0..50_000_u128 {
            one.add(n as i64, n);
            parts[(n * 31 % 7) as usize].add(n as i64, n);
        }
        let mut merged = Candidates::default();
        parts.into_iter().rev().for_each(|part| merged.merge(part));
        assert_eq!((one.spans, merged.spans), (50_000, 50_000));
        assert!(one.kept.len() <= MOST_KEPT && one.kept.len() > MOST_KEPT / 4, "{}", one.kept.len());
        let typical = one.typical(5);
        assert_eq!(typical, merged.typical(5));
        for trace in typical {
            let at = u128::from_str_radix(&trace, 16).expect("an id");
            assert!((23_000..27_000).contains(&at), "{at} is far from the median of 25,000");
        }
    }
}
