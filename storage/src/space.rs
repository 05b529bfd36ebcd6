//! A disk, or a quota on it, that is full: how that is recognised, and what it means for exports, files and merges.
//!
//! ```text
//!   little is free on        exports   rows into files   merges   expiring
//!   the one disk of all      refused   go on             wait     goes on      rows in files free the log
//!   the data disk            taken     wait in the log   wait     goes on      it needs what is left to free more
//!   the log's disk           refused   go on             go on    goes on
//! ```

use std::error::Error as _;
use std::fmt::Debug;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use model::Error;

use crate::store::Shared;

/// What errors say that are for want of space; they are known by it.
pub const HINT: &str = "free space on the data disk, or raise the quota on it; exporters retry meanwhile";

/// What a store of objects could not do.
pub fn trouble(doing: impl std::fmt::Display, error: &object_store::Error) -> Error {
    let told = Error::unavailable(format!("{doing}: {error}"));
    if is_full(error) { told.hint(HINT) } else { told }
}

/// Whether it failed for want of space.
pub fn is_short(error: &Error) -> bool {
    error.hint.as_deref() == Some(HINT)
}

/// As the log judges its own writes: ENOSPC, EDQUOT, EFBIG.
fn is_full(error: &object_store::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if let Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge) = kind {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What the machine says of its disks.
pub trait Disks: Send + Sync + Debug {
    /// Free and total bytes of the disk that holds `path`; unknown: no limit.
    fn room(&self, path: &Path) -> (u64, u64);
    /// Whether two places take from one disk. When that cannot be told, they do.
    fn is_one(&self, one: &Path, other: &Path) -> bool;
}

#[derive(Debug)]
pub struct LocalDisks;

impl Disks for LocalDisks {
    fn room(&self, path: &Path) -> (u64, u64) {
        disk(path)
    }

    fn is_one(&self, one: &Path, other: &Path) -> bool {
        match (fs::metadata(one), fs::metadata(other)) {
            (Ok(one), Ok(other)) => one.dev() == other.dev(),
            _ => true,
        }
    }
}

/// Free and total bytes of the disk that holds `path`; unknown: no limit.
pub fn disk(path: &Path) -> (u64, u64) {
    match rustix::fs::statvfs(path) {
        Ok(s) => (s.f_bavail * s.f_frsize, s.f_blocks * s.f_frsize),
        Err(_) => (u64::MAX, u64::MAX),
    }
}

/// Free bytes where files are written and where the log is, and the least that there should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub data: u64,
    pub log: u64,
    /// Both are on one disk.
    pub is_one: bool,
    pub least: u64,
}

impl Room {
    /// Why nothing may be taken; `full` is why rows cannot be written for want of space, as a quota has it. Whatever the
    /// log took from their disk would come out of what they need.
    pub fn refusing(&self, full: Option<&str>) -> Option<String> {
        let (name, free) =
            if self.is_one { ("data disk", self.data) } else { ("disk of the write-ahead log", self.log) };
        if free < self.least {
            let (free, least) = (free >> 20, self.least >> 20);
            return Some(format!("the {name} has {free} MiB free, less than {least} MiB"));
        }
        full.filter(|_| self.is_one).map(|why| format!("the data disk has no space left: {why}"))
    }

    /// Why rows stay in the log, which has a disk of its own.
    pub fn keeps_in_log(&self) -> Option<Error> {
        let least = self.least >> 20;
        let why = || format!("the data disk has less than {least} MiB free, so rows wait in the write-ahead log");
        (!self.is_one && !self.has_some()).then(|| Error::unavailable(why()).hint(HINT))
    }

    /// Whether there is room for a merge, which is needed least.
    pub fn has_some(&self) -> bool {
        self.data >= self.least
    }
}

impl Shared {
    pub fn room(&self) -> Room {
        let (root, log) = (&self.folder.root, self.folder.wal());
        let free = |path: &Path| self.disks.room(path).0;
        Room {
            data: free(root),
            log: free(&log),
            is_one: self.disks.is_one(root, &log),
            least: self.settings.min_free_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_depends_on_which_disk_has_little_room() {
        // Refused, rows kept in the log, merges go on.
        let told = |data, log, is_one, full| {
            let room = Room { data, log, is_one, least: 10 };
            (room.refusing(full).is_some(), room.keeps_in_log().is_some(), room.has_some())
        };
        let full = Some("the quota is used up");
        assert_eq!(told(10, 10, true, None), (false, false, true));
        assert_eq!(told(9, 9, true, None), (true, false, false));
        assert_eq!(told(10, 10, true, full), (true, false, true));
        assert_eq!(told(9, 10, false, None), (false, true, false));
        assert_eq!(told(9, 10, false, full), (false, true, false));
        assert_eq!(told(10, 9, false, None), (true, false, true));
        assert_eq!(told(9, 9, false, None), (true, true, false));
    }
}
