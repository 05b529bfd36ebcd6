//! Reads the bytes of one segment: finds its frames, goes on behind damage, and judges what damage means.
//!
//! Two pure steps. [`scan`] lists frames and the gaps between them. [`judge`] tells the trace of a crash from the
//! loss of acknowledged records: a gap is damage if something proves that its records had been durable, namely a
//! later group, a seal, or the next segment's header. Otherwise it is the torn tail of a group that nobody was
//! answered for. What an older segment left behind the last frame is neither: the file it was written over says how
//! far that reaches.

use std::ops::Range;

use crate::Why;
use crate::frame::{FRAME_HEADER, FrameHeader, LEFTOVERS, SEGMENT_HEADER, Tip, u64_at};

/// A whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub at: usize,
    pub header: FrameHeader,
    pub check: u32,
}

impl Found {
    pub fn payload(&self) -> Range<usize> {
        self.at + FRAME_HEADER..self.end()
    }

    pub fn end(&self) -> usize {
        self.at + FRAME_HEADER + self.header.len as usize
    }
}

/// Bytes that hold no readable record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    pub at: usize,
    pub end: usize,
    /// The first record that is lost in it.
    pub first: u64,
    /// How many, where a frame behind it tells.
    pub count: Option<u64>,
    pub why: Why,
}

/// All that a segment's bytes hold, in the order of the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    pub frames: Vec<Found>,
    pub gaps: Vec<Gap>,
    /// Where the segment ends: its last byte, or in front of what an older one left.
    pub end: usize,
}

/// Lists the frames of a segment. `first` is the number its first record must have.
pub(crate) fn scan(bytes: &[u8], identity: u32, first: u64) -> Scan {
    let mut scan = Scan { end: bytes.len(), ..Scan::default() };
    let over = written_over(bytes, identity, first);
    let (mut at, mut prev, mut next) = (SEGMENT_HEADER, identity, first);
    while at < bytes.len() {
        let follows = |header: &FrameHeader| header.prev == prev && number(header) == next;
        let here = frame_at(bytes, at, identity).filter(|f| follows(&f.header));
        let found = match here {
            Some(found) => found,
            None => {
                let behind = find(bytes, at + 1, identity, next);
                let begun = || FrameHeader::decode(&bytes[at..], identity).is_some_and(|(header, _)| follows(&header));
                if behind.is_none() && bytes.len() <= over && !begun() {
                    scan.end = at;
                    break;
                }
                let end = behind.as_ref().map_or(bytes.len(), |f| f.at);
                let count = behind.as_ref().map(|f| number(&f.header) - next);
                scan.gaps.push(Gap { at, end, first: next, count, why: Why::Frame });
                match behind {
                    Some(found) => found,
                    None => break,
                }
            }
        };
        (at, prev, next) = (found.end(), found.check, found.header.seq + 1);
        if crc32c::crc32c(&bytes[found.payload()]) == found.header.payload_crc {
            scan.frames.push(found);
        } else {
            let (first, count) = (found.header.seq, Some(u64::from(!found.header.is_seal())));
            scan.gaps.push(Gap { at: found.at, end: found.end(), first, count, why: Why::Payload });
        }
    }
    scan
}

/// How many bytes the file had that the segment was written over; 0 if it was not.
fn written_over(bytes: &[u8], identity: u32, first: u64) -> usize {
    let mark =
        frame_at(bytes, SEGMENT_HEADER, identity).filter(|frame| is_mark(frame) && frame.header.seq + 1 == first);
    let payload = mark.map(|mark| (&bytes[mark.payload()], mark.header.payload_crc));
    let intact = payload.filter(|(payload, crc)| crc32c::crc32c(payload) == *crc);
    intact.map_or(0, |(payload, _)| usize::try_from(u64_at(payload, 0)).unwrap_or(usize::MAX))
}

/// Whether this is the seal in front of all records.
fn is_mark(frame: &Found) -> bool {
    frame.at == SEGMENT_HEADER && frame.header.is_seal() && frame.header.len as usize == LEFTOVERS
}

/// The record's number, or for a seal that of the next record.
pub(crate) fn number(header: &FrameHeader) -> u64 {
    if header.is_seal() { header.seq + 1 } else { header.seq }
}

/// The frame at an offset, if all its bytes are there.
fn frame_at(bytes: &[u8], at: usize, identity: u32) -> Option<Found> {
    let (header, check) = FrameHeader::decode(bytes.get(at..)?, identity)?;
    let found = Found { at, header, check };
    (found.end() <= bytes.len()).then_some(found)
}

/// The first frame from `from` on that can follow the record before `next`.
///
/// Its number is looked at first, since that is cheap and hardly ever passes by chance. The file leaves room for
/// so many records only.
fn find(bytes: &[u8], from: usize, identity: u32, next: u64) -> Option<Found> {
    let most = next.saturating_add((bytes.len() / FRAME_HEADER) as u64);
    let last = bytes.len().checked_sub(FRAME_HEADER)?;
    (from..=last)
        .filter(|&at| (next.saturating_sub(1)..=most).contains(&crate::frame::u64_at(bytes, at + 8)))
        .find_map(|at| frame_at(bytes, at, identity).filter(|f| number(&f.header) >= next))
}

/// What a scan means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Records to replay.
    pub keep: Vec<Found>,
    /// Gaps that had held acknowledged records, with a count for each.
    pub damage: Vec<Gap>,
    /// Where a torn tail begins.
    pub torn: Option<usize>,
    /// Readable records that were never acknowledged and are left out.
    pub unacknowledged: u64,
    /// Where the last group or seal begins. All before it was durable when it was written; of itself that is not
    /// known.
    pub unproven: usize,
    /// The last frame that counts, for the next segment to continue.
    pub tip: Tip,
}

/// Judges a scan. `bound` is what the next segment says was acknowledged before it; the last
/// segment of a log has none. `first` and `identity` are the segment's.
pub(crate) fn judge(scan: Scan, first: u64, identity: u32, bound: Option<Tip>) -> Verdict {
    let Scan { frames, mut gaps, end } = scan;
    let by_frames = frames.iter().map(|f| f.header.durable_below()).max().unwrap_or(first);
    let durable_below = bound.map_or(by_frames, |tip| by_frames.max(tip.seq + 1));
    gaps.retain(|gap| bound.is_none_or(|tip| gap.first <= tip.seq || gap.count == Some(0)));
    let (damage, torn): (Vec<Gap>, Vec<Gap>) = gaps
        .into_iter()
        .partition(|gap| gap.first < durable_below || (gap.count == Some(0) && gap.first <= durable_below));

    // A seal that was written and not acknowledged may stand behind the frame that the next segment continues.
    let continued = frames.iter().any(|f| bound == Some(Tip { seq: f.header.seq, check: f.check }));
    let torn = torn.first().map(|gap| gap.at);
    let tip = Tip { seq: first - 1, check: identity };
    let whole = torn.map_or(frames.len(), |at| frames.partition_point(|frame| frame.at < at));
    let unproven = unproven(&frames[..whole]);
    let mut verdict = Verdict { keep: Vec::new(), damage, torn, unacknowledged: 0, unproven, tip };
    for frame in frames {
        let acknowledged = bound.is_none_or(|tip| frame.header.seq <= tip.seq) && torn.is_none_or(|at| frame.at < at);
        if acknowledged {
            verdict.tip = Tip { seq: frame.header.seq, check: frame.check };
        }
        match (acknowledged, frame.header.is_seal()) {
            (true, false) => verdict.keep.push(frame),
            (false, false) => verdict.unacknowledged += 1,
            (_, true) => {}
        }
    }
    settle(&mut verdict, durable_below, end, bound, continued);
    verdict
}

/// Where the last group or seal begins; without any, not even the header is proven.
fn unproven(frames: &[Found]) -> usize {
    match frames.last() {
        None => 0,
        // It was written with the header.
        Some(mark) if is_mark(mark) => 0,
        Some(seal) if seal.header.is_seal() => seal.at,
        Some(last) => frames
            .iter()
            .find(|frame| !frame.header.is_seal() && frame.header.seq >= last.header.durable_below())
            .map_or(last.at, |frame| frame.at),
    }
}

/// Completes the counts of damage, and compares the end with what the next segment says.
fn settle(verdict: &mut Verdict, durable_below: u64, end: usize, bound: Option<Tip>, continued: bool) {
    for gap in &mut verdict.damage {
        gap.count = gap.count.or(Some(durable_below.saturating_sub(gap.first)));
    }
    let lost_last = verdict.damage.last().map_or(0, |gap| gap.first + gap.count.unwrap_or(0));
    // The next segment must continue from what was acknowledged, even where that can no longer be read.
    let known = verdict.tip.seq.max(lost_last.saturating_sub(1));
    if let Some(tip) = bound {
        if known < tip.seq {
            let gap = Gap { at: end, end, first: known + 1, count: Some(tip.seq - known), why: Why::Missing };
            verdict.damage.push(gap);
        } else if !continued && verdict.keep.last().is_some_and(|frame| frame.header.seq == tip.seq) {
            let gap = Gap { at: end, end, first: tip.seq + 1, count: Some(0), why: Why::Chain };
            verdict.damage.push(gap);
        }
    }
    if known > verdict.tip.seq {
        verdict.tip = Tip { seq: known, check: 0 };
    }
}
