//! Mutations from a seed: what `cargo test` uses in place of libFuzzer.

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
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

    /// A number below `bound`, 0 when that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.number() % bound as u64) as usize }
    }
}

/// Bytes that mean something in protobuf, JSON or a checksummed frame.
const TELLING: [u8; 16] = [0, 1, 2, 5, 7, 0x0a, 0x12, 0x1a, 0x7f, 0x80, 0xff, b'"', b'{', b'[', b'\\', b','];

/// Changes `bytes` in one to four places; `other` lends pieces.
pub fn mutate(bytes: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    for _ in 0..1 + chance.below(4) {
        let at = chance.below(bytes.len() + 1);
        let len = 1 + chance.below(16);
        let end = (at + len).min(bytes.len());
        match chance.below(8) {
            0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (len % 8)),
            1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = TELLING[len % TELLING.len()]),
            2 => bytes.insert(at, TELLING[len % TELLING.len()]),
            3 => drop(bytes.drain(at..end)),
            4 => bytes.truncate(at),
            5 => {
                let piece = bytes[at..end].to_vec();
                let to = chance.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            6 => {
                let from = chance.below(other.len() + 1);
                let piece = &other[from..other.len().min(from + 4 * len)];
                bytes.splice(at..at, piece.iter().copied());
            }
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = byte.wrapping_add(1)),
        }
    }
}
