//! Files are read again, bit by bit, and compared with their checksums: what a disk has lost is told while there still is
//! a backup. Merges see only files that are small; the others would not be looked at before somebody asks for them.
//!
//! [`earned`] says how much may be read and [`next`] of which file, [`Scrub::step`] reads. A round over all files takes a
//! week. Each has an order of its own, so that also a store that is started every day comes to see them all.

use std::collections::HashSet;
use std::sync::Arc;

use model::time::{DAY, HOUR, SECOND};
use model::{Error, Nanos, Result};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use crate::compact;
use crate::delta::DataFile;
use crate::ranged;
use crate::store::Shared;

const ROUND: Nanos = 7 * DAY;
/// Beyond so much, rounds take longer.
const MOST_A_SECOND: u64 = 8 << 20;
/// Read by one step at most, and at once.
const MOST_A_STEP: u64 = 16 << 20;
const PIECE: u64 = 1 << 20;

/// Bytes that may be read for the time that has passed, when a round is over `total` of them.
fn earned(total: u64, time: Nanos) -> u64 {
    let time = time.clamp(0, HOUR) as u64;
    let share = |bytes: u64, of: Nanos| u128::from(bytes) * u128::from(time) / u128::from(of.unsigned_abs());
    u64::try_from(share(total, ROUND).min(share(MOST_A_SECOND, SECOND))).unwrap_or(MOST_A_STEP)
}

/// The file that comes next in the order of this round; `None`: the round is over. What has no checksum has no turn.
fn next<'a>(files: &'a [Arc<DataFile>], done: &HashSet<String>, round: u64) -> Option<&'a Arc<DataFile>> {
    let left = files.iter().filter(|file| file.checksum.is_some() && !done.contains(&file.path));
    left.min_by_key(|file| xxh3_64_with_seed(file.path.as_bytes(), round))
}

/// A file of which some has been read.
struct Current {
    file: Arc<DataFile>,
    read: u64,
    hash: Box<Xxh3>,
}

pub struct Scrub {
    round: u64,
    /// What this round has seen.
    done: HashSet<String>,
    current: Option<Current>,
    credit: u64,
    /// When bytes were earned last.
    at: Nanos,
}

impl Scrub {
    /// `round` numbers the first one: another number, another order.
    pub fn new(round: u64, now: Nanos) -> Self {
        Scrub { round, done: HashSet::new(), current: None, credit: 0, at: now }
    }

    /// Reads on as far as the time allows that has passed on the steady clock.
    pub(crate) async fn step(&mut self, shared: &Shared) {
        let tables = shared.all_tables();
        let files: Vec<Arc<DataFile>> = tables.iter().flat_map(|(_, table)| table.files().to_vec()).collect();
        let now = shared.steady.elapsed();
        let earned = earned(files.iter().map(|file| file.size).sum(), now - self.at);
        if earned > 0 {
            self.credit = self.credit.saturating_add(earned).min(u64::MAX / 2);
            self.at = now;
        }
        if self.done.len() > 2 * files.len() {
            let there: HashSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
            self.done.retain(|path| there.contains(path.as_str()));
        }
        let mut left = MOST_A_STEP;
        while let Some(file) = self.turn_of(&files) {
            let read = self.current.as_ref().map_or(0, |current| current.read);
            let piece = PIECE.min(file.size.saturating_sub(read));
            if piece > self.credit.min(left) {
                return;
            }
            (self.credit, left) = (self.credit - piece, left - piece);
            let outcome = self.read(shared, &file, piece).await;
            if !matches!(outcome, Ok(false)) {
                self.current = None;
                self.done.insert(file.path.clone());
            }
            if let Err(error) = outcome {
                tell(shared, &file, error);
            }
        }
        // The next round begins with the next step.
        (self.round, self.done) = (self.round.wrapping_add(1), HashSet::new());
    }

    /// The file that has its turn: the one that was begun, as long as it is there.
    fn turn_of(&mut self, files: &[Arc<DataFile>]) -> Option<Arc<DataFile>> {
        let begun = self.current.as_ref().and_then(|current| files.iter().find(|file| file.path == current.file.path));
        if begun.is_none() {
            self.current = None;
        }
        begun.or_else(|| next(files, &self.done, self.round)).cloned()
    }

    /// Reads the next piece of a file; true when it was the last and all are as they were written.
    async fn read(&mut self, shared: &Shared, file: &Arc<DataFile>, piece: u64) -> Result<bool> {
        let path = Path::from(file.path.as_str());
        let unreadable = |error: object_store::Error| ranged::unreadable(&error);
        if self.current.is_none() {
            let found = shared.objects.head(&path).await.map_err(unreadable)?.size;
            if found != file.size {
                return Err(Error::corrupt(format!("it has {found} bytes, {} were written", file.size)));
            }
        }
        let current = self.current.get_or_insert_with(|| Current { file: file.clone(), read: 0, hash: Box::default() });
        if piece > 0 {
            let bytes =
                shared.objects.get_range(&path, current.read..current.read + piece).await.map_err(unreadable)?;
            current.hash.update(&bytes);
            current.read += piece;
        }
        if current.read < file.size {
            return Ok(false);
        }
        match file.checksum == Some(current.hash.digest()) {
            true => Ok(true),
            false => Err(Error::corrupt("its bytes are not those that were written (checksum)")),
        }
    }
}

/// Names a damaged file, and what to do. What may pass is seen again in the next round.
fn tell(shared: &Shared, file: &DataFile, error: Error) {
    let is_damage = compact::is_lasting(&error);
    let error = error.context(&file.path);
    if !is_damage {
        return tracing::warn!("a file could not be compared with its checksum: {error}");
    }
    shared.note_damage(error.message);
    tracing::error!(
        "restore {} from a backup as long as there is one, and let `hotspan check` look at all files: the disk may be failing",
        file.path
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::MINUTE;

    #[test]
    fn a_round_takes_a_week_or_as_long_as_the_disk_is_left_in_peace() {
        let week = (ROUND / HOUR) as u64;
        assert_eq!(earned(week << 30, HOUR), 1 << 30);
        assert_eq!(earned(1 << 50, 2 * SECOND), MOST_A_STEP);
        assert_eq!(earned(700 << 30, 5 * DAY), earned(700 << 30, HOUR), "no burst after a pause");
        assert_eq!((earned(10_000, MINUTE), earned(10_000, HOUR), earned(0, HOUR), earned(9, -1)), (0, 59, 0, 0));
    }
}
