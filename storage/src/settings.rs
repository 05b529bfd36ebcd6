//! Settings of the store, each described by its trade-off.

use std::time::Duration;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long a row stays in memory so that the rest of its trace can arrive. Longer: more traces are assembled
    /// before they are written, more memory, more replay after a crash.
    pub hold_seconds: f64,
    /// How often rows that were held long enough are written. Longer: fewer and larger files.
    pub flush_seconds: f64,
    /// Memory for rows not yet in a file, in bytes. From three quarters of it on the oldest rows are written early; those
    /// whose traces cannot be whole yet are assembled when files are merged. Beyond all of it rows wait in the log only and
    /// are read from there.
    pub memory_bytes: u64,
    /// Memory for a merge of files, in bytes. Larger: files of more rows, which are smaller and faster to scan.
    pub merge_bytes: u64,
    /// Most bytes the write-ahead log may take on disk before exports are told to come back.
    pub wal_bytes: u64,
    /// Rows older than this, by time of receipt, are deleted. Zero: kept for ever.
    pub retention_seconds: f64,
    /// Most bytes of data files over all tenants; the oldest go first. Zero: no limit.
    pub retention_bytes: u64,
    /// Least free space on the data disk, in bytes; below it files are not merged and exports are told to come back. If the
    /// log has a disk of its own, exports are taken as long as that one has so much; with less on the data disk rows wait in
    /// the log, and what is left is for deleting what is too old.
    pub min_free_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            hold_seconds: 10.0,
            flush_seconds: 5.0,
            memory_bytes: 256 << 20,
            merge_bytes: 192 << 20,
            wal_bytes: 20 << 30,
            retention_seconds: 7.0 * 86_400.0,
            retention_bytes: 0,
            min_free_bytes: 256 << 20,
        }
    }
}

impl Settings {
    /// Says which value is out of range and what it may be.
    pub fn validate(&self) -> model::Result<()> {
        let wrong = |name: &str, why: &str| Err(model::Error::invalid(format!("storage.{name} {why}")));
        if !(0.0..=600.0).contains(&self.hold_seconds) {
            return wrong("hold_seconds", "must be between 0 and 600");
        }
        if !(0.05..=60.0).contains(&self.flush_seconds) {
            return wrong("flush_seconds", "must be between 0.05 and 60");
        }
        if self.memory_bytes < 8 << 20 {
            return wrong("memory_bytes", "must be at least 8 MiB");
        }
        if self.merge_bytes < 8 << 20 {
            return wrong("merge_bytes", "must be at least 8 MiB");
        }
        if !(0.0..=1e12).contains(&self.retention_seconds) {
            return wrong("retention_seconds", "must not be negative");
        }
        Ok(())
    }

    pub(crate) fn hold(&self) -> model::Nanos {
        nanos(self.hold_seconds)
    }

    /// Most rows of a merge, by what a row takes while it is merged: its key columns (some 130 bytes), its result and
    /// its place in two orders (120), and its bytes in the old file, in the encoder and in the new file (150); and what
    /// the decoded windows and the allocator take besides, by resident memory while a backlog was merged.
    pub(crate) fn merge_rows(&self) -> u64 {
        const BYTES_A_ROW: u64 = 768;
        (self.merge_bytes / BYTES_A_ROW).min(1 << 20)
    }

    pub(crate) fn flush_every(&self) -> Duration {
        Duration::from_secs_f64(self.flush_seconds)
    }

    pub(crate) fn retention(&self) -> Option<model::Nanos> {
        (self.retention_seconds > 0.0).then(|| nanos(self.retention_seconds))
    }
}

fn nanos(seconds: f64) -> model::Nanos {
    (seconds * 1e9) as model::Nanos
}
