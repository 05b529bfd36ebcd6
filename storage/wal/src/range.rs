//! Reads a stretch of the log again while it is being written: records that were acknowledged, and whose rows were
//! dropped from memory since.
//!
//! Only the segments that hold a number of the stretch are opened. Of one, some megabyte is in memory at a time: several
//! questions may read at once. Where frames do not follow one another, and something behind them is wanted, the rest is
//! found in the segment as a whole. What cannot be read is left out, so the caller, who knows which numbers it asked for,
//! sees what is missing.

use std::io;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

use crate::frame::{FRAME_HEADER, FrameHeader, SEGMENT_HEADER, SegmentHeader};
use crate::replay::{number, scan};
use crate::segment::{parse, path};
use crate::{Fs, OpenError, Replay, WalError};

/// Bytes read at once, if the frame is not larger.
const AT_ONCE: usize = 1 << 20;

/// Hands every readable record with a number in `range` to `each`, in order.
pub(crate) fn read_range<E>(
    fs: &dyn Fs,
    dir: &Path,
    range: RangeInclusive<u64>,
    each: &mut Replay<'_, E>,
) -> Result<(), OpenError<E>> {
    let names = fs.list(dir).map_err(|e| WalError::io("listing the log's folder", e))?;
    let mut firsts: Vec<u64> = names.iter().filter_map(|(name, _)| parse(name)).collect();
    firsts.sort_unstable();
    for segment in overlapping(&firsts, &range) {
        let window = Window::of(fs, path(dir, segment.start));
        if let Some(rest) = read_in_order(window, &segment, &range, each)? {
            read_whole(fs, dir, segment.start, rest.max(*range.start())..=*range.end(), each)?;
        }
    }
    Ok(())
}

/// The segments, by their first number and that of the next one, that may hold a number of `range`.
fn overlapping(firsts: &[u64], range: &RangeInclusive<u64>) -> Vec<Range<u64>> {
    let ends = firsts.iter().skip(1).copied().chain([u64::MAX]);
    let segments = firsts.iter().copied().zip(ends).map(|(first, end)| first..end);
    segments.filter(|segment| segment.start <= *range.end() && segment.end > *range.start()).collect()
}

/// Follows the frames of a segment from its first to the last that is wanted. `Some`: from that number on they have to be
/// looked for.
fn read_in_order<E>(
    mut window: Window<'_>,
    segment: &Range<u64>,
    range: &RangeInclusive<u64>,
    each: &mut Replay<'_, E>,
) -> Result<Option<u64>, OpenError<E>> {
    let Ok(header) = SegmentHeader::decode(window.next(SEGMENT_HEADER)?) else { return Ok(None) };
    window.pass(SEGMENT_HEADER);
    let identity = header.identity();
    let (mut prev, mut next) = (identity, segment.start);
    while next < segment.end && next <= *range.end() {
        let here = FrameHeader::decode(window.next(FRAME_HEADER)?, identity);
        let Some((header, check)) = here.filter(|(header, _)| header.prev == prev && number(header) == next) else {
            return Ok((!window.next(1)?.is_empty()).then_some(next));
        };
        let frame = FRAME_HEADER + header.len as usize;
        if !header.is_seal() && range.contains(&header.seq) {
            let payload = window.next(frame)?.get(FRAME_HEADER..frame);
            let intact = payload.filter(|payload| crc32c::crc32c(payload) == header.payload_crc);
            let Some(payload) = intact else { return Ok(Some(next)) };
            each(header.seq, payload).map_err(|error| OpenError::Replay { seq: header.seq, error })?;
        }
        window.pass(frame);
        (prev, next) = (check, header.seq + 1);
    }
    Ok(None)
}

/// Looks for frames in all of a segment.
fn read_whole<E>(
    fs: &dyn Fs,
    dir: &Path,
    first: u64,
    range: RangeInclusive<u64>,
    each: &mut Replay<'_, E>,
) -> Result<(), OpenError<E>> {
    let bytes = match fs.read(&path(dir, first), u64::MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        bytes => bytes.map_err(reading)?,
    };
    let Ok(header) = SegmentHeader::decode(&bytes) else { return Ok(()) };
    for frame in scan(&bytes, header.identity(), first).frames {
        let seq = frame.header.seq;
        if !frame.header.is_seal() && range.contains(&seq) {
            each(seq, &bytes[frame.payload()]).map_err(|error| OpenError::Replay { seq, error })?;
        }
    }
    Ok(())
}

fn reading(error: io::Error) -> WalError {
    WalError::io("reading a segment", error)
}

/// A place in a file, and some of the bytes behind it.
struct Window<'f> {
    fs: &'f dyn Fs,
    path: PathBuf,
    /// Where in the file `bytes` begin, and where in them the place is.
    from: u64,
    at: usize,
    bytes: Vec<u8>,
}

impl<'f> Window<'f> {
    fn of(fs: &'f dyn Fs, path: PathBuf) -> Self {
        Window { fs, path, from: 0, at: 0, bytes: Vec::new() }
    }

    /// The next bytes; fewer where the file ends, none where it is gone.
    fn next(&mut self, count: usize) -> Result<&[u8], WalError> {
        if self.bytes.len() < self.at.saturating_add(count) {
            self.from += self.at as u64;
            self.at = 0;
            self.bytes = match self.fs.read_at(&self.path, self.from, count.max(AT_ONCE) as u64) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                bytes => bytes.map_err(reading)?,
            };
        }
        Ok(&self.bytes[self.at..self.bytes.len().min(self.at + count)])
    }

    fn pass(&mut self, count: usize) {
        self.at += count;
        if self.at > self.bytes.len() {
            self.from += self.at as u64;
            self.at = 0;
            self.bytes.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_segments_that_can_hold_the_stretch_are_opened() {
        let opened = |firsts: &[u64], range| -> Vec<(u64, u64)> {
            overlapping(firsts, &range).iter().map(|segment| (segment.start, segment.end)).collect()
        };
        let firsts = [1, 10, 20, 30];
        assert_eq!(opened(&firsts, 1..=9), [(1, 10)]);
        assert_eq!(opened(&firsts, 9..=10), [(1, 10), (10, 20)]);
        assert_eq!(opened(&firsts, 15..=25), [(10, 20), (20, 30)]);
        assert_eq!(opened(&firsts, 40..=50), [(30, u64::MAX)]);
        assert_eq!(opened(&[], 1..=2), []);
    }
}
