//! A spare made ahead, beside the thread that writes, for a log that has no segments to give up yet.
//!
//! After a start, and when the load has grown, segments are begun faster than trims give files up. Appending to new
//! files is what spares are there to avoid, so one is filled with zeros while the segment before it is written.
//!
//! ```text
//!   writer: a quarter of the segment is full, no spare is left ─Blank─▶ thread: create, zeros, sync, sync the folder
//!           kept, or removed if spares were given up meanwhile ◀─Spare─
//! ```
//! *Invariants:* its bytes and its name are durable before the writer hears of it; it has no header, so wherever a crash
//! leaves it, an open takes it for a spare that holds nothing.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use crate::fs::append_all;
use crate::segment::sync_dir;
use crate::spares::Spare;
use crate::{Fs, WalError};

/// Zeros that are written and synced at a time: the log's own syncs wait behind what the disk has been given.
const PIECE: usize = 1 << 20;

/// One takes at most this part of what is free: it must not be what fills the disk.
const SHARE: u64 = 16;

/// A file that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blank {
    pub path: PathBuf,
    pub bytes: u64,
}

impl Blank {
    /// Makes it, durably. Of a failure nothing is left, unless the disk refuses that as well; then the next open finds a
    /// shorter spare.
    pub fn make(&self, fs: &dyn Fs, dir: &Path) -> Result<Spare, WalError> {
        if fs.free(dir) / SHARE < self.bytes {
            let why = io::Error::new(io::ErrorKind::StorageFull, "the space that is free is left to records");
            return Err(WalError::io("making a spare segment", why));
        }
        let mut file = fs.create(&self.path).map_err(|e| WalError::io("making a spare segment", e))?;
        let zeros = vec![0; PIECE.min(usize::try_from(self.bytes).unwrap_or(PIECE))];
        let mut fill = || -> io::Result<()> {
            let mut left = self.bytes;
            while left > 0 {
                let piece = &zeros[..zeros.len().min(usize::try_from(left).unwrap_or(PIECE))];
                append_all(&mut *file, &mut [IoSlice::new(piece)])?;
                file.sync()?;
                left -= piece.len() as u64;
            }
            Ok(())
        };
        let filled = fill().map_err(|e| WalError::io("filling a spare segment", e));
        match filled.and_then(|()| sync_dir(fs, dir)) {
            Ok(()) => Ok(Spare { path: self.path.clone(), bytes: self.bytes }),
            Err(error) => {
                let _ = fs.remove(&self.path);
                Err(error)
            }
        }
    }
}
