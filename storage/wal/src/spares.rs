//! Files of trimmed segments, kept for further segments to be written over.
//!
//! Writing over blocks that a file has already needs nothing of the file system but the bytes: `fdatasync` then waits
//! for the disk alone, where blocks that are appended have to be entered by kernel threads that may wait long for a
//! busy processor (`docs/adr/0016-segments-are-written-over.md`).
//!
//! ```text
//!   7.wal ──trim: rename, sync the folder──▶ 7.wal.spare ──begin: header, sync, rename──▶ 92.wal
//!                zeros, when there is none ──▶ 88.wal.spare        (`ahead`)
//! ```
//! *Invariants:*
//! - A spare's name is durable before it is written over.
//! - While there is a spare, the oldest segment's name is durable, and no spare was begun later than that segment. So
//!   a file that has a spare's name and a header with a higher number than the oldest segment's is a segment, of which
//!   a power cut undid the renaming: a begin does not wait for the folder. One with a lower number holds nothing.

use std::path::PathBuf;

use crate::Fs;

/// A file that may be written over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spare {
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// The spares of a log, and how many it wants.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    /// By size, the largest last.
    kept: Vec<Spare>,
    wanted: usize,
    /// Segments begun since the last trim that had one to give up.
    begun: usize,
    /// One is being made.
    making: bool,
    /// None is made: space is short, or making one failed. Until a trim keeps one again.
    barred: bool,
}

impl Spares {
    /// Those that an open found. All are kept until a trim knows better.
    pub fn found(mut kept: Vec<Spare>) -> Spares {
        kept.sort_by_key(|spare| spare.bytes);
        Spares { wanted: kept.len(), kept, ..Spares::default() }
    }

    /// The largest, for a segment that is begun.
    pub fn take(&mut self) -> Option<Spare> {
        self.begun += 1;
        self.kept.pop()
    }

    pub fn len(&self) -> usize {
        self.kept.len()
    }

    pub fn bytes(&self) -> u64 {
        self.kept.iter().map(|spare| spare.bytes).sum()
    }

    /// Looks, when a trim has a segment to give up, at how many were begun since the last that had. Others say nothing:
    /// there may be many of them while one segment is filled.
    pub fn plan(&mut self) {
        self.wanted = wanted(self.wanted, std::mem::take(&mut self.begun));
    }

    /// Whether one more of this size is to be kept, when that much may be.
    pub fn wants(&self, bytes: u64, most: u64) -> bool {
        self.kept.len() < self.wanted && self.bytes() + bytes <= most
    }

    /// Keeps one that a trim gave up.
    pub fn keep(&mut self, spare: Spare) {
        self.barred = false;
        self.insert(spare);
    }

    fn insert(&mut self, spare: Spare) {
        let at = self.kept.partition_point(|kept| kept.bytes <= spare.bytes);
        self.kept.insert(at, spare);
    }

    /// Whether one is to be made ahead: the next segment has none, and nothing speaks against it.
    pub fn lacks(&self) -> bool {
        self.kept.is_empty() && !self.making && !self.barred
    }

    /// One is on its way.
    pub fn making(&mut self) {
        self.making = true;
    }

    /// Takes the one that was made, or gives it back if none is wanted any more.
    pub fn made(&mut self, made: Option<Spare>) -> Option<Spare> {
        self.making = false;
        self.barred |= made.is_none();
        let spare = made?;
        if self.barred {
            return Some(spare);
        }
        self.insert(spare);
        self.wanted = self.wanted.max(self.kept.len());
        None
    }

    /// The smallest of those that are too many.
    pub fn surplus(&mut self) -> Option<Spare> {
        (self.kept.len() > self.wanted).then(|| self.kept.remove(0))
    }

    /// Gives their space back, and makes none ahead. One that cannot be deleted is found again by the next open.
    pub fn release(&mut self, fs: &dyn Fs) {
        self.barred = true;
        for spare in self.kept.drain(..) {
            let _ = fs.remove(&spare.path);
        }
    }
}

/// How many spares to keep: half as many again as segments were begun between two such trims, since the time between
/// them varies, and an eighth less each time that fewer were.
fn wanted(before: usize, begun: usize) -> usize {
    (begun + begun.div_ceil(2)).max(before - before.div_ceil(8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spare(name: &str, bytes: u64) -> Spare {
        Spare { path: name.into(), bytes }
    }

    #[test]
    fn more_are_wanted_than_were_begun_and_fewer_bit_by_bit() {
        assert_eq!(wanted(0, 0), 0);
        assert_eq!(wanted(0, 12), 18, "a burst");
        assert_eq!(wanted(18, 12), 18);
        assert_eq!(wanted(18, 3), 15, "it may come again");
        assert_eq!(wanted(1, 0), 0);
        let quiet = (0..40).fold(30, |before, _| wanted(before, 1));
        assert_eq!(quiet, 2, "a quiet log keeps two");
    }

    #[test]
    fn the_largest_is_used_and_the_smallest_given_up() {
        let mut spares = Spares::found(vec![spare("b", 20), spare("a", 10)]);
        spares.keep(spare("c", 15));
        assert_eq!((spares.len(), spares.bytes()), (3, 45));
        assert_eq!(spares.surplus(), Some(spare("a", 10)), "two were found, so two are wanted");
        assert_eq!(spares.surplus(), None);
        assert_eq!(spares.take(), Some(spare("b", 20)));
        spares.plan();
        assert_eq!(spares.wanted, 2);
        assert!(spares.wants(5, 20) && !spares.wants(6, 20), "no more bytes than may be");
        spares.keep(spare("d", 5));
        assert!(!spares.wants(1, 1000), "there are two");
        assert_eq!(spares.take(), Some(spare("c", 15)));
        assert_eq!(spares.take(), Some(spare("d", 5)));
        assert_eq!(spares.take(), None);
    }
}
