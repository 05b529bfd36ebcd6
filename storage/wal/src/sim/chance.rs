//! Numbers from a seed, and how much of what was pending a power cut leaves.

/// A small deterministic source of numbers: splitmix64 (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Chance(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound - 1`. The bound must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }
}

/// How much a power cut leaves of what was not synced.
#[derive(Clone, Copy)]
pub(super) enum Mood {
    Nothing,
    Everything,
    Any,
}

impl Mood {
    pub fn choose(chance: &mut Chance) -> Mood {
        match chance.below(4) {
            0 => Mood::Nothing,
            1 => Mood::Everything,
            _ => Mood::Any,
        }
    }

    /// One of the states from 0, the synced one, to `newest`.
    pub fn pick(self, newest: usize, chance: &mut Chance) -> usize {
        match self {
            Mood::Nothing => 0,
            Mood::Everything => newest,
            Mood::Any => usize::try_from(chance.below(newest as u64 + 1)).unwrap_or(newest),
        }
    }
}
