//! The bytes of a segment: its header, and the frame around each record. Pure, without I/O.
//!
//! ```text
//!   segment │ header 40 │ frame │ frame │ … │ seal?            frame │ header 28 │ payload │
//! ```
//! *Invariants:* a frame's `check` is seeded with the identity of its segment and covers the `check` of the frame
//! before it, so a frame is only ever valid in its own place: bytes left over from another segment or from a group
//! that was cut off are not taken for records. All integers are little-endian. See `docs/format/wal.md`.

use crc32c::{crc32c, crc32c_append};

/// Bytes of a segment's header.
pub const SEGMENT_HEADER: usize = 40;
/// Bytes in front of each payload.
pub const FRAME_HEADER: usize = 28;
/// Bytes of the payload that says how long the file was which a segment is written over.
pub const LEFTOVERS: usize = 8;
/// Most bytes of one record.
pub const MAX_RECORD: u64 = 64 << 20;
/// The format written, and the newest one read.
pub const FORMAT: u32 = 1;

const MAGIC: [u8; 8] = *b"HOTSPWAL";
/// In place of a position in a group: this frame holds no record, it says that all before it is durable.
const SEAL: u32 = u32::MAX;

/// The end of what was acknowledged: a sequence number, and the `check` of the last frame up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tip {
    pub seq: u64,
    pub check: u32,
}

/// What a segment says about itself and about the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Sequence number of its first record, also its name.
    pub first: u64,
    /// Everything acknowledged before it. Records of older segments behind this tip were never acknowledged.
    pub tip: Tip,
}

/// Why a segment's header cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHeader {
    /// Intact, but of a later format.
    Newer(u32),
    Damaged,
}

impl SegmentHeader {
    pub fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut out = [0; SEGMENT_HEADER];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        let preamble = crc32c(&out[..12]);
        out[12..16].copy_from_slice(&preamble.to_le_bytes());
        out[16..24].copy_from_slice(&self.first.to_le_bytes());
        out[24..32].copy_from_slice(&self.tip.seq.to_le_bytes());
        out[32..36].copy_from_slice(&self.tip.check.to_le_bytes());
        let identity = crc32c(&out[..36]);
        out[36..].copy_from_slice(&identity.to_le_bytes());
        out
    }

    /// Reads the header at the beginning of a segment's bytes.
    pub fn decode(bytes: &[u8]) -> Result<SegmentHeader, BadHeader> {
        let preamble = bytes.get(..16).ok_or(BadHeader::Damaged)?;
        let format = u32_at(preamble, 8);
        if preamble[..8] != MAGIC || u32_at(preamble, 12) != crc32c(&preamble[..12]) || format == 0 {
            return Err(BadHeader::Damaged);
        }
        if format > FORMAT {
            return Err(BadHeader::Newer(format));
        }
        let bytes = bytes.get(..SEGMENT_HEADER).ok_or(BadHeader::Damaged)?;
        if u32_at(bytes, 36) != crc32c(&bytes[..36]) {
            return Err(BadHeader::Damaged);
        }
        let tip = Tip { seq: u64_at(bytes, 24), check: u32_at(bytes, 32) };
        let header = SegmentHeader { first: u64_at(bytes, 16), tip };
        if tip.seq < header.first { Ok(header) } else { Err(BadHeader::Damaged) }
    }

    /// The checksum of the header: different for every segment of a log, and known without chance or clock.
    pub fn identity(&self) -> u32 {
        u32_at(&self.encode(), 36)
    }
}

/// What stands in front of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// The `check` of the frame before, or the segment's identity for the first.
    pub prev: u32,
    /// The record's number; a seal carries that of the last record before it.
    pub seq: u64,
    /// Bytes of the payload.
    pub len: u32,
    /// Records of the same group in front of this one; `u32::MAX` marks a seal. All records before the group were
    /// durable when this frame was written.
    pub before: u32,
    /// crc32c of the payload.
    pub payload_crc: u32,
}

impl FrameHeader {
    /// The frame that marks a clean end behind the record `seq`.
    pub fn seal(prev: u32, seq: u64) -> Self {
        FrameHeader { prev, seq, len: 0, before: SEAL, payload_crc: 0 }
    }

    /// The seal in front of the first record of a segment that is written over an older one. Its payload is
    /// [`LEFTOVERS`] bytes: how many the file had, of which those behind the last frame are none of this segment.
    pub fn leftovers(identity: u32, first: u64, payload: &[u8; LEFTOVERS]) -> Self {
        FrameHeader { len: LEFTOVERS as u32, payload_crc: crc32c(payload), ..Self::seal(identity, first - 1) }
    }

    pub fn is_seal(&self) -> bool {
        self.before == SEAL
    }

    /// All records below this number were durable when the frame was written.
    pub fn durable_below(&self) -> u64 {
        if self.is_seal() { self.seq + 1 } else { self.seq - u64::from(self.before) }
    }

    /// The bytes of the header, and its `check`.
    pub fn encode(&self, identity: u32) -> ([u8; FRAME_HEADER], u32) {
        let mut out = [0; FRAME_HEADER];
        out[4..8].copy_from_slice(&self.prev.to_le_bytes());
        out[8..16].copy_from_slice(&self.seq.to_le_bytes());
        out[16..20].copy_from_slice(&self.len.to_le_bytes());
        out[20..24].copy_from_slice(&self.before.to_le_bytes());
        out[24..28].copy_from_slice(&self.payload_crc.to_le_bytes());
        let check = crc32c_append(identity, &out[4..]);
        out[..4].copy_from_slice(&check.to_le_bytes());
        (out, check)
    }

    /// Reads the header at the beginning of `bytes`, with its `check`. `None` if it is not one of the segment with
    /// this identity, or could not have been written.
    pub fn decode(bytes: &[u8], identity: u32) -> Option<(FrameHeader, u32)> {
        let bytes = bytes.get(..FRAME_HEADER)?;
        let header = FrameHeader {
            prev: u32_at(bytes, 4),
            seq: u64_at(bytes, 8),
            len: u32_at(bytes, 16),
            before: u32_at(bytes, 20),
            payload_crc: u32_at(bytes, 24),
        };
        let possible = u64::from(header.len) <= MAX_RECORD
            && header.seq < u64::MAX
            && (header.is_seal() || u64::from(header.before) <= header.seq);
        let check = u32_at(bytes, 0);
        (possible && check == crc32c_append(identity, &bytes[4..])).then_some((header, check))
    }
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the slice has the array's length")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of docs/format/wal.md: segment 7 behind a log whose last record was 6 with check 0x01020304.
    /// Checksums were computed by another implementation (Python, table-driven CRC-32C).
    #[test]
    fn bytes_are_as_documented() {
        let header = SegmentHeader { first: 7, tip: Tip { seq: 6, check: 0x0102_0304 } };
        let bytes = hex(FIXTURE_SEGMENT);
        assert_eq!(header.encode().as_slice(), bytes);
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));

        let frame = FrameHeader { prev: header.identity(), seq: 7, len: 5, before: 0, payload_crc: crc32c(b"hello") };
        let bytes = hex(FIXTURE_FRAME);
        let (encoded, check) = frame.encode(header.identity());
        assert_eq!(encoded.as_slice(), &bytes[..FRAME_HEADER]);
        assert_eq!(FrameHeader::decode(&bytes, header.identity()), Some((frame, check)));
        assert_eq!(&bytes[FRAME_HEADER..], b"hello");
        // RFC 3720 B.4 gives the CRC-32C of 32 zero bytes.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    const FIXTURE_SEGMENT: &str =
        "484f54535057414c 01000000 c9c29891 0700000000000000 0600000000000000 04030201 109036e3";
    const FIXTURE_FRAME: &str = "6b34494f 109036e3 0700000000000000 05000000 00000000 4cbb719a 68656c6c6f";

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_seen() {
        let segment = SegmentHeader { first: 7, tip: Tip { seq: 6, check: 9 } };
        let (frame, _) = FrameHeader { prev: 1, seq: 7, len: 5, before: 0, payload_crc: 3 }.encode(segment.identity());
        for bit in 0..SEGMENT_HEADER * 8 {
            let mut bytes = segment.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&bytes), Err(BadHeader::Damaged), "bit {bit}");
        }
        for bit in 0..FRAME_HEADER * 8 {
            let mut bytes = frame;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHeader::decode(&bytes, segment.identity()), None, "bit {bit}");
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let mut bytes = SegmentHeader { first: 1, tip: Tip::default() }.encode();
        bytes[8] = 2;
        assert_eq!(SegmentHeader::decode(&bytes), Err(BadHeader::Damaged));
        let preamble = crc32c(&bytes[..12]);
        bytes[12..16].copy_from_slice(&preamble.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Err(BadHeader::Newer(2)));
        assert_eq!(SegmentHeader::decode(&bytes[..16]), Err(BadHeader::Newer(2)), "the rest may look different");
    }

    #[test]
    fn a_frame_of_another_segment_is_no_frame() {
        let mine = SegmentHeader { first: 7, tip: Tip { seq: 6, check: 9 } }.identity();
        let other = SegmentHeader { first: 7, tip: Tip { seq: 6, check: 10 } }.identity();
        let (bytes, _) = FrameHeader { prev: mine, seq: 7, len: 0, before: 0, payload_crc: 0 }.encode(mine);
        assert!(FrameHeader::decode(&bytes, mine).is_some());
        assert!(FrameHeader::decode(&bytes, other).is_none());
    }
}
