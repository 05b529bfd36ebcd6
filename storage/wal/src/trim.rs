//! Giving up segments that are not needed any more, beside the thread that writes.
//!
//! ```text
//!   who trims:   ─Next─▶ writer: which is the oldest that may go, and how
//!                ◀─────
//!                rename or remove, sync the folder: some 10 ms of the disk, in which groups are written on
//!                ─Gone─▶ writer: takes it off its row, or keeps it as a spare
//! ```
//! *Invariants:* oldest first, each durable before the next, so that no power cut leaves a hole in the row of segments;
//! the names of those behind are durable before the first goes.

use std::path::{Path, PathBuf};

use crate::segment::{ASIDE, SPARE, become_of, sync_dir};
use crate::{Fs, Trimmed, WalError};

/// What is to become of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Kept for a further segment.
    Spare,
    Delete,
    /// Damaged: kept for a person.
    Aside,
    /// A spare too many.
    Surplus,
}

/// A file that is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Doomed {
    pub path: PathBuf,
    /// What counted of it.
    pub bytes: u64,
    pub fate: Fate,
}

impl Doomed {
    /// What it is called afterwards.
    pub fn renamed(&self) -> PathBuf {
        become_of(&self.path, if self.fate == Fate::Aside { ASIDE } else { SPARE })
    }

    fn leave(&self, fs: &dyn Fs) -> Result<(), WalError> {
        match self.fate {
            Fate::Spare => {
                fs.rename(&self.path, &self.renamed()).map_err(|e| WalError::io("keeping a segment as a spare", e))
            }
            Fate::Aside => {
                fs.rename(&self.path, &self.renamed()).map_err(|e| WalError::io("setting a damaged segment aside", e))
            }
            Fate::Delete => fs.remove(&self.path).map_err(|e| WalError::io("deleting a segment", e)),
            Fate::Surplus => fs.remove(&self.path).map_err(|e| WalError::io("deleting a spare segment", e)),
        }
    }
}

/// What who trims asks of, and tells to, the thread that writes.
#[derive(Debug)]
pub(crate) enum Step {
    /// A trim through this record begins: which file goes first?
    Begin(u64),
    /// Which goes next?
    Next(u64),
    /// The oldest is gone; whether durably.
    Gone(Doomed, bool),
}

/// Trims through a record, step by step.
pub(crate) fn trim(
    fs: &dyn Fs,
    dir: &Path,
    through: u64,
    mut step: impl FnMut(Step) -> Result<Option<Doomed>, WalError>,
) -> Result<Trimmed, WalError> {
    let mut trimmed = Trimmed::default();
    let mut next = step(Step::Begin(through))?;
    if next.is_some() {
        sync_dir(fs, dir)?;
    }
    while let Some(doomed) = next {
        doomed.leave(fs)?;
        if doomed.fate != Fate::Surplus {
            trimmed.count(&doomed);
            let synced = sync_dir(fs, dir);
            step(Step::Gone(doomed, synced.is_ok()))?;
            synced?;
        }
        next = step(Step::Next(through))?;
    }
    Ok(trimmed)
}

impl Trimmed {
    fn count(&mut self, doomed: &Doomed) {
        self.bytes += doomed.bytes;
        match doomed.fate {
            Fate::Aside => self.aside += 1,
            _ => self.segments += 1,
        }
    }
}
