//! What can go wrong, by what the caller can do about it.

use std::fmt;
use std::io;
use std::sync::Arc;

/// Which limit is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// `Settings::max_queued_bytes`: the disk is slower than the clients. It clears within milliseconds.
    Queue,
    /// `Settings::max_log_bytes`: the log is trimmed slower than it grows. It clears with the next flush.
    Log,
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Quota::Queue => "queue",
            Quota::Log => "log",
        })
    }
}

/// An error of the log. Cheap to clone: one failed group answers many clients.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WalError {
    /// Refused, nothing was kept; the same record may be sent again after a pause.
    #[error("the write-ahead {quota} is full: it holds {held} of {limit} bytes")]
    Full { quota: Quota, held: u64, limit: u64 },
    /// The disk or a quota on it is full. Nothing was kept; the log works again when there is space.
    #[error("no space left while {doing}: {source}")]
    NoSpace { doing: &'static str, source: Arc<io::Error> },
    /// fdatasync failed, so that segment is never written again. The record may or may not come back at the next
    /// open; it is not acknowledged.
    #[error("syncing segment {segment:020} failed: {source}")]
    Sync { segment: u64, source: Arc<io::Error> },
    /// Any other I/O error. Nothing was acknowledged.
    #[error("{doing}: {source}")]
    Io { doing: &'static str, source: Arc<io::Error> },
    /// Bytes of one record beyond [`crate::MAX_RECORD`]. Sending it again cannot help.
    #[error("a record of {bytes} bytes is larger than {limit}")]
    TooLarge { bytes: u64, limit: u64 },
    /// The log stopped for good after errors it cannot work around. Only opening it again may help.
    #[error("the write-ahead log has stopped: {why}")]
    Failed { why: Arc<str> },
    /// [`crate::Wal::close`] was called.
    #[error("the write-ahead log is closed")]
    Closed,
    /// A segment was written by a newer version of this program.
    #[error("segment {segment:020} has format {found}, this build reads up to {known}: use a newer build")]
    NewerFormat { segment: u64, found: u32, known: u32 },
    /// Settings that contradict each other.
    #[error("invalid settings: {0}")]
    Invalid(&'static str),
}

impl WalError {
    pub(crate) fn io(doing: &'static str, source: io::Error) -> Self {
        let source = Arc::new(source);
        if is_full(&source) { WalError::NoSpace { doing, source } } else { WalError::Io { doing, source } }
    }

    /// A delayed allocation may report a full disk only when it is synced.
    pub(crate) fn sync(segment: u64, source: io::Error) -> Self {
        let source = Arc::new(source);
        if is_full(&source) {
            WalError::NoSpace { doing: "syncing the log", source }
        } else {
            WalError::Sync { segment, source }
        }
    }

    pub(crate) fn is_no_space(&self) -> bool {
        matches!(self, WalError::NoSpace { .. })
    }

    /// Whether it passes when others give back what they have: space, open files, memory. Nothing is wrong with the log.
    pub(crate) fn is_shortage(&self) -> bool {
        match self {
            WalError::NoSpace { .. } => true,
            WalError::Io { source, .. } => {
                source.kind() == io::ErrorKind::OutOfMemory
                    || source.raw_os_error().is_some_and(|code| code == ENFILE || code == EMFILE)
            }
            _ => false,
        }
    }
}

/// No more files can be opened, by the system and by this process; errno(3) has the same numbers on every Unix.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// ENOSPC, EDQUOT and EFBIG: three ways in which there is no room for a write.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// Why a log could not be opened or read through.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError<E> {
    #[error(transparent)]
    Wal(#[from] WalError),
    /// The caller's own error about a record; reading stopped there.
    #[error("replaying record {seq}: {error}")]
    Replay { seq: u64, error: E },
}
