//! What the log tells about itself: what opening found, what trimming did, counts while it runs.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How bytes are damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The segment's own header is unreadable. Its records may still have been found.
    Header,
    /// Bytes that are no frame, between or behind frames that were durable.
    Frame,
    /// A frame is whole but its payload does not match its checksum: one record.
    Payload,
    /// A later segment proves that records were acknowledged which are in no file.
    Missing,
    /// A later segment was written behind another version of this one.
    Chain,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Header => "the segment's header is damaged",
            Why::Frame => "bytes that are no frame",
            Why::Payload => "a payload does not match its checksum",
            Why::Missing => "acknowledged records are missing",
            Why::Chain => "the next segment continues a different one",
        })
    }
}

/// Damage to records that had been durable: bit rot, a lost file, a foreign hand. Never the trace of a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// First sequence number of the segment, which names its file.
    pub segment: u64,
    pub path: PathBuf,
    /// Where in the file, in bytes.
    pub offset: u64,
    pub why: Why,
    /// Records that are lost by it; exact when frames behind it could be read, else the least it can be.
    pub records_lost_estimate: u64,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage { path, offset, why, records_lost_estimate: lost, .. } = self;
        write!(f, "{} at byte {offset}: {why}, {lost} records lost", path.display())
    }
}

/// Bytes at the end of the log that belong to a group that was never acknowledged: the trace of a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TornTail {
    /// First sequence number of the segment.
    pub segment: u64,
    /// The segment ends here now, in bytes.
    pub offset: u64,
    /// Bytes cut off.
    pub bytes: u64,
}

/// What [`crate::Wal::open`] found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segments in the folder.
    pub segments: u64,
    /// Their size before a torn tail was cut off.
    pub bytes: u64,
    /// Records handed to `replay`.
    pub records: u64,
    /// Sequence numbers of the first and last of them.
    pub first_seq: Option<u64>,
    pub last_seq: Option<u64>,
    /// The next record gets this sequence number or a higher one.
    pub next_seq: u64,
    pub torn: Option<TornTail>,
    /// Readable records that were left out, since a later segment proves they were never acknowledged.
    pub unacknowledged: u64,
    pub damage: Vec<Damage>,
    /// Damaged segments kept aside by earlier trims.
    pub aside: u64,
}

/// One segment as [`crate::verify`] saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReport {
    pub path: PathBuf,
    pub bytes: u64,
    pub records: u64,
    pub first_seq: u64,
    /// The last record's, or `first_seq - 1` when there is none.
    pub last_seq: u64,
    pub damaged: bool,
}

/// What [`crate::verify`] and [`crate::read`] found; nothing was changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub segments: Vec<SegmentReport>,
    /// As an open would report it. `torn` is expected after a crash or while a server writes.
    pub found: Recovery,
}

impl Report {
    /// No acknowledged record is damaged or missing.
    pub fn is_sound(&self) -> bool {
        self.found.damage.is_empty()
    }
}

/// What a trim did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Segments deleted or kept as spares.
    pub segments: u64,
    pub bytes: u64,
    /// Damaged segments renamed instead of deleted.
    pub aside: u64,
}

/// The log at one moment, and counts since it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    pub segments: u64,
    /// Bytes of all segments on disk.
    pub bytes: u64,
    /// Files of trimmed segments that are kept to be written over, and their bytes.
    pub spares: u64,
    pub spare_bytes: u64,
    /// The oldest record still in the log.
    pub oldest_seq: Option<u64>,
    /// The last record that is durable; 0 before the first.
    pub last_durable_seq: u64,
    /// Records and bytes accepted and not yet answered.
    pub queued_records: u64,
    pub queued_bytes: u64,
    /// Groups and records made durable.
    pub groups: u64,
    pub records: u64,
    /// Groups that failed.
    pub failed_groups: u64,
    /// fdatasync calls for groups, their time in all and the longest.
    pub syncs: u64,
    pub sync_sum: Duration,
    pub sync_max: Duration,
    /// Set when the log has stopped for good.
    pub failed: Option<String>,
}
