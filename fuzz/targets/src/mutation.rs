//! Mutations from a seed: what `cargo test` uses in place of libFuzzer.

use wal::sim::Chance;

/// A place in something of `bound` places, which is at least one.
pub fn below(bound: usize, chance: &mut Chance) -> usize {
    (chance.number() % bound as u64) as usize
}

/// Bytes that mean something in protobuf, JSON or a checksummed frame.
const TELLING: [u8; 16] = [0, 1, 2, 5, 7, 0x0a, 0x12, 0x1a, 0x7f, 0x80, 0xff, b'"', b'{', b'[', b'\\', b','];

/// Changes `bytes` in one to four places; `other` lends pieces.
pub fn mutate(bytes: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    for _ in 0..1 + below(4, chance) {
        let at = below(bytes.len() + 1, chance);
        let len = 1 + below(16, chance);
        let end = (at + len).min(bytes.len());
        match below(8, chance) {
            0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (len % 8)),
            1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = TELLING[len % TELLING.len()]),
            2 => bytes.insert(at, TELLING[len % TELLING.len()]),
            3 => drop(bytes.drain(at..end)),
            4 => bytes.truncate(at),
            5 => {
                let piece = bytes[at..end].to_vec();
                let to = below(bytes.len() + 1, chance);
                bytes.splice(to..to, piece);
            }
            6 => {
                let from = below(other.len() + 1, chance);
                let piece = &other[from..other.len().min(from + 4 * len)];
                bytes.splice(at..at, piece.iter().copied());
            }
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = byte.wrapping_add(1)),
        }
    }
}
