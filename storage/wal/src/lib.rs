//! The write-ahead log: opaque records, made durable in groups, replayed in order.
//!
//! It sits between the store's `append` and its memory table, and knows bytes, not spans.
//!
//! ```text
//!   append(record, done) ─▶ queue ─▶ writer thread: gather ▸ one write ▸ one fdatasync ▸ done(Ok(seq)), in order
//!                                        │
//!   open(…, replay) ◀── <dir>/<first seq as 20 digits>.wal ◀── trim(through)
//! ```
//! *Invariants:*
//! - `done(Ok(seq))` means the record survives a power cut. Sequence numbers rise, and are never given out twice.
//! - Completions run in the order of the log, so what they build is always a prefix of the log.
//! - Nothing is deleted or written over but what [`Wal::trim`] gave up and torn tails; damaged segments are only ever
//!   renamed.
//!
//! The bytes on disk are drawn in `docs/format/wal.md`.

mod ahead;
mod error;
pub mod frame;
pub mod fs;
mod gather;
mod group;
mod log;
mod range;
mod record;
mod replay;
mod report;
mod segment;
mod settings;
pub mod sim;
mod spares;
mod trim;
mod walk;

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use group::Quotas;

pub use error::{OpenError, Quota, WalError};
pub use frame::MAX_RECORD;
pub use fs::{Disk, File, Fs};
pub use record::{Done, Record, Replay};
pub use report::{Damage, Recovery, Report, SegmentReport, Stats, TornTail, Trimmed, Why};
pub use settings::Settings;

/// An open log. One process may have a folder open at a time; the caller holds the lock that ensures it.
///
/// All methods may be called from any thread, except that [`Wal::trim`], [`Wal::roll`], [`Wal::close`] and those
/// that append and wait must not be called from inside a completion: they wait for the thread that runs it.
pub struct Wal {
    group: group::Group,
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    /// Held by who trims.
    trimming: Mutex<()>,
}

impl Wal {
    /// Opens or creates the log in `dir`, handing every record it holds to `replay` in the order of the log.
    ///
    /// A torn tail (bytes of a group that was never acknowledged) is cut off. Damage is reported in
    /// [`Recovery::damage`] and the rest is replayed. Records are handed over whether or not they are at or below
    /// `settings.floor`.
    ///
    /// Errors: a format newer than this build, settings that contradict each other, any I/O error, or the
    /// first error of `replay`. Nothing on disk is changed before all records were replayed.
    pub fn open<E>(
        fs: Arc<dyn Fs>,
        dir: &Path,
        settings: Settings,
        replay: &mut Replay<'_, E>,
    ) -> Result<(Wal, Recovery), OpenError<E>> {
        settings.validate()?;
        let (log, recovery) = log::Log::open(fs.clone(), dir, settings.clone(), replay)?;
        let group = group::Group::start(log, settings, fs.clone(), dir)?;
        Ok((Wal { group, fs, dir: dir.to_path_buf(), trimming: Mutex::default() }, recovery))
    }

    /// Queues a record. `Ok` means that `done` will be called exactly once, from the writer thread, in the order
    /// of the log: with the record's sequence number once it is durable, or with an error when it was not kept. That
    /// holds also when the writer thread panics.
    ///
    /// `Err` means refused at once (too large, queue or log full, failed, closed): nothing was kept and `done` is
    /// dropped without being called.
    ///
    /// Keep `done` short: the next group waits for it. A completion that panics stops the log for
    /// good, and those behind it get [`WalError::Failed`].
    #[must_use = "a refused record's completion is never called"]
    pub fn append(&self, record: Record, done: Done) -> Result<(), WalError> {
        self.group.append(record, done, Quotas::Apply)
    }

    /// What a record of so many bytes would be told now, if that is that the log has stopped or is full: for those who
    /// would have to do much to make it.
    pub fn takes(&self, bytes: u64) -> Result<(), WalError> {
        self.group.takes(bytes)
    }

    /// Appends a record and waits until it is durable. Blocks the calling thread for a write and an fdatasync.
    pub fn append_wait(&self, record: Record) -> Result<u64, WalError> {
        self.append_and_wait(record, Quotas::Apply)
    }

    /// The same for a record without which nothing can be trimmed: neither quota holds for it, since in a full log it is
    /// what makes room.
    pub fn append_wait_past_quotas(&self, record: Record) -> Result<u64, WalError> {
        self.append_and_wait(record, Quotas::Pass)
    }

    fn append_and_wait(&self, record: Record, quotas: Quotas) -> Result<u64, WalError> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let done = move |answer| {
            // The receiver below waits for it, so it is only gone if this thread panicked.
            let _ = tell.send(answer);
        };
        self.group.append(record, Box::new(done), quotas)?;
        told.recv().unwrap_or_else(|_| Err(self.group.why_stopped()))
    }

    /// Hands the records with a number in `range` to `each` in order, read from disk while the log goes on. The
    /// caller asks only for numbers that were acknowledged and not trimmed; one that is not handed over could not be
    /// read. Holds a megabyte of a segment in memory, or a record that is larger; all of one that is damaged.
    pub fn read<E>(&self, range: RangeInclusive<u64>, each: &mut Replay<'_, E>) -> Result<(), OpenError<E>> {
        range::read_range(&*self.fs, &self.dir, range, each)
    }

    /// Gives up the segments whose records are all at or below `through`, oldest first, each made durable before the
    /// next: some are kept to be written over, the others deleted. When that is every record of the log, a new segment
    /// is begun so that the active one can go too. Damaged segments are renamed to `.damaged` instead. Blocks until
    /// done; records are written meanwhile.
    pub fn trim(&self, through: u64) -> Result<Trimmed, WalError> {
        let _one = self.trimming.lock().unwrap_or_else(PoisonError::into_inner);
        trim::trim(&*self.fs, &self.dir, through, |step| self.group.trim_step(step))
    }

    /// Has the segments deleted that are kept to be written over, since the disk is short of space. Does not wait.
    pub fn release_spares(&self) {
        self.group.release_spares();
    }

    /// Ends the active segment, so that the next record begins a new one. Does nothing when it holds no record.
    pub fn roll(&self) -> Result<(), WalError> {
        self.group.roll()
    }

    /// Sizes and counts since opening, without waiting for the disk.
    pub fn stats(&self) -> Stats {
        self.group.stats()
    }

    /// Finishes what is queued, marks the log as cleanly ended, and stops the writer thread. Later appends get
    /// [`WalError::Closed`]. A second call does nothing. Dropping the log does the same and ignores errors.
    pub fn close(&self) -> Result<(), WalError> {
        self.group.close()
    }
}

/// Reads a log without changing anything, for `hotspan check`: every checksum, every chain, every gap.
///
/// Safe while a server writes to the folder: what looks like a torn tail may then be a group on its way.
pub fn verify(fs: &dyn Fs, dir: &Path) -> Result<Report, WalError> {
    match walk::walk::<std::convert::Infallible>(fs, dir, &mut |_, _| Ok(())) {
        Ok(walked) => Ok(walked.report()),
        Err(OpenError::Wal(error)) => Err(error),
        Err(OpenError::Replay { error, .. }) => match error {},
    }
}

/// Hands every record of a log to `each` in order without changing anything, for readers of a folder that another
/// process may be writing to. Segments trimmed meanwhile are left out.
pub fn read<E>(fs: &dyn Fs, dir: &Path, each: &mut Replay<'_, E>) -> Result<Report, OpenError<E>> {
    Ok(walk::walk(fs, dir, each)?.report())
}
