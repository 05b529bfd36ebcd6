//! Reads a stretch of the log again while it is being written: records that were acknowledged, and whose rows were
//! dropped from memory since.
//!
//! Only the segments that hold a number of the stretch are opened, one in memory at a time. What cannot be read is left
//! out, so the caller, who knows which numbers it asked for, sees what is missing.

use std::io;
use std::ops::RangeInclusive;
use std::path::Path;

use crate::frame::SegmentHeader;
use crate::replay::scan;
use crate::segment::{parse, path};
use crate::{Fs, OpenError, Replay, WalError};

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
    for first in overlapping(&firsts, &range) {
        let bytes = match fs.read(&path(dir, first), u64::MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(WalError::io("reading a segment", error).into()),
        };
        let Ok(header) = SegmentHeader::decode(&bytes) else { continue };
        for frame in scan(&bytes, header.identity(), first).frames {
            let seq = frame.header.seq;
            if !frame.header.is_seal() && range.contains(&seq) {
                each(seq, &bytes[frame.payload()]).map_err(|error| OpenError::Replay { seq, error })?;
            }
        }
    }
    Ok(())
}

/// The segments, named by their first number, that may hold a number of `range`. Each ends where the next begins.
fn overlapping(firsts: &[u64], range: &RangeInclusive<u64>) -> Vec<u64> {
    let mut found = Vec::new();
    for (at, first) in firsts.iter().enumerate() {
        let end = firsts.get(at + 1).copied().unwrap_or(u64::MAX);
        if *first <= *range.end() && end > *range.start() {
            found.push(*first);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_segments_that_can_hold_the_stretch_are_opened() {
        let firsts = [1, 10, 20, 30];
        assert_eq!(overlapping(&firsts, &(1..=9)), [1]);
        assert_eq!(overlapping(&firsts, &(9..=10)), [1, 10]);
        assert_eq!(overlapping(&firsts, &(15..=25)), [10, 20]);
        assert_eq!(overlapping(&firsts, &(40..=50)), [30]);
        assert_eq!(overlapping(&[], &(1..=2)), [] as [u64; 0]);
    }
}
