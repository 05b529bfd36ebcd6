//! Settings of the log, each described by its trade-off.

use std::time::Duration;

use crate::{MAX_RECORD, WalError};

/// Settings of the log. The defaults suit one node with a local disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Longest time a group waits for more records. It only ever waits while several clients are sending, and
    /// never longer than an fdatasync takes. Longer: fewer and larger groups. Zero: never wait.
    pub gather: Duration,
    /// Bytes at which a group stops waiting.
    pub gather_bytes: u64,
    /// Bytes after which a new segment is begun. Smaller: space is given back sooner, more files.
    pub segment_bytes: u64,
    /// Bytes accepted and not yet answered. It bounds memory and the time a record may wait in the queue.
    pub max_queued_bytes: u64,
    /// Bytes of the log on disk beyond which records are refused.
    pub max_log_bytes: u64,
    /// Most bytes of trimmed segments that are kept to be written over, which is faster than into new files when the
    /// machine is busy. No more are kept than trims show to be needed, and together with the log they stay below
    /// `max_log_bytes`. Zero: all are deleted.
    pub spare_bytes: u64,
    /// Whether a spare is made ahead when none is left, by a thread of its own. Without it the log appends until a trim
    /// gives something up; for simulations, in which one seed must give one order of events.
    pub makes_ahead: bool,
    /// The next sequence number is above this, whatever the folder holds: the last one the caller has committed.
    pub floor: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            gather: Duration::from_millis(2),
            gather_bytes: 1 << 20,
            segment_bytes: 32 << 20,
            max_queued_bytes: 64 << 20,
            max_log_bytes: 20 << 30,
            spare_bytes: 1 << 30,
            makes_ahead: true,
            floor: 0,
        }
    }
}

impl Settings {
    /// Refuses combinations that cannot work, saying why.
    pub fn validate(&self) -> Result<(), WalError> {
        let whys = [
            (self.segment_bytes == 0, "segment_bytes must be more than 0"),
            (self.segment_bytes > 1 << 32, "segment_bytes must be at most 4 GiB, segments are read as a whole"),
            (self.max_queued_bytes == 0, "max_queued_bytes must be more than 0"),
            (self.max_log_bytes < self.segment_bytes, "max_log_bytes must be at least segment_bytes"),
            (self.gather > Duration::from_secs(1), "gather must be at most one second"),
            (self.floor > u64::MAX / 2, "floor must be below 2^63"),
        ];
        match whys.into_iter().find(|(wrong, _)| *wrong) {
            Some((_, why)) => Err(WalError::Invalid(why)),
            None => Ok(()),
        }
    }
}

const _: () = assert!(MAX_RECORD < 1 << 32, "lengths are stored in 32 bits");
