//! An even part of all traces: those whose id hashes below a threshold. It needs no count in advance, since the
//! threshold halves whenever too much is kept (Wegman's adaptive sampling, analysed by Flajolet, Computing 43, 1990),
//! and parts taken apart join into the part that one pass would have taken.

/// Which traces are in the part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// One in `2^halvings` traces.
    halvings: u32,
}

impl Part {
    pub const ALL: Part = Part { halvings: 0 };

    /// As many as [`Part::halvings`] tells.
    pub fn of(halvings: u32) -> Part {
        Part { halvings }
    }

    pub fn halvings(self) -> u32 {
        self.halvings
    }

    pub fn halved(self) -> Part {
        Part { halvings: self.halvings + 1 }
    }

    /// The smaller of two parts.
    pub fn and(self, other: Part) -> Part {
        self.max(other)
    }

    /// One in how many traces.
    pub fn one_in(self) -> u64 {
        1 << self.halvings.min(63)
    }

    pub fn holds(self, hash: u64) -> bool {
        hash.leading_zeros() >= self.halvings
    }
}

/// Ids are often random, but nobody has to make them so (SplitMix64's finaliser; Steele, Lea and Flood, OOPSLA 2014).
pub fn hash(trace: u128) -> u64 {
    let mut z = (trace as u64) ^ ((trace >> 64) as u64).rotate_left(32);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Of traces by a time, so many that are typical of the slow ones: those nearest to the median of the slower half, each
/// once.
pub fn typical_of(times: Vec<(i64, u128)>, most: usize) -> Vec<u128> {
    nearest_to(times, 0.75, most)
}

/// The traces by a time that are nearest to a quantile of it, each once; of equally near ones those of the smallest ids.
pub fn nearest_to(mut times: Vec<(i64, u128)>, quantile: f64, most: usize) -> Vec<u128> {
    times.sort_unstable();
    let place = (times.len() as f64 * quantile) as usize;
    let Some(&(middle, _)) = times.get(place) else { return Vec::new() };
    times.sort_by_key(|(time, trace)| ((time - middle).abs(), *trace));
    let mut traces: Vec<u128> = Vec::new();
    for (_, trace) in times {
        if traces.len() == most {
            break;
        }
        if !traces.contains(&trace) {
            traces.push(trace);
        }
    }
    traces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_halving_keeps_half_of_the_traces_evenly() {
        let mut part = Part::ALL;
        let mut kept: Vec<u128> = (1..=64_000).collect();
        for _ in 0..4 {
            part = part.halved();
            kept.retain(|trace| part.holds(hash(*trace)));
        }
        assert_eq!(part.one_in(), 16);
        assert!((3_700..4_300).contains(&kept.len()), "{}", kept.len());
        let first = kept.iter().filter(|trace| **trace <= 32_000).count();
        assert!((1_750..2_250).contains(&first), "{first} of the first half");
        assert_eq!(part.and(Part::ALL), part);
    }
}
