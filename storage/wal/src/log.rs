//! The log as one thread sees it: segments in order, the last one written, groups in, durable numbers out.
//!
//! Synchronous and without a queue, so that every state it can be in is reached by a plain test.
//!
//! ```text
//!   write fails (disk full, …) ─▶ cut the segment back, durably ─▶ go on in it
//!                                   └ fails ─▶ abandon
//!   sync fails ─▶ abandon: never touch the segment again ▸ re-read what was acknowledged ▸ begin a new one
//!                                                              └ fails ─▶ failed        └ fails ─▶ failed
//! ```
//! A segment that is trimmed may become a spare, which a later one is written over (`spares`).
//!
//! An abandoned segment may hold records that nobody was answered for. The next segment's header says where the
//! acknowledged part ends, so a replay leaves them out.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::ahead::Blank;
use crate::frame::{SEGMENT_HEADER, SegmentHeader, Tip};
use crate::replay::scan;
use crate::segment::{self, Active, SPARE, WriteFailure};
use crate::spares::{Spare, Spares};
use crate::trim::{Doomed, Fate, Step};
use crate::walk::{Segment, Walked, walk};
use crate::{Fs, OpenError, Record, Recovery, Replay, Settings, WalError};

/// The share of a segment that is written before a spare is made for the next: a log that is hardly used makes none.
const DUE: u64 = 4;
/// The share by which a spare that is made is longer than a segment, whose last group goes beyond its end.
const BEYOND: u64 = 8;

/// A segment that is not written any more.
struct Ended {
    path: PathBuf,
    first: u64,
    last: u64,
    bytes: u64,
    /// Of the file, which may be longer than what counts of it.
    size: u64,
    damaged: bool,
}

/// What a group's commit tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committed {
    /// The number of its first record; the others follow without a gap.
    pub first: u64,
    /// How long the fdatasync took.
    pub sync: Duration,
}

/// Sizes for the statistics.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extent {
    pub segments: u64,
    pub bytes: u64,
    pub spares: u64,
    pub spare_bytes: u64,
    pub oldest: Option<u64>,
    pub durable: u64,
}

pub(crate) struct Log {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    segment_bytes: u64,
    max_log_bytes: u64,
    spare_bytes: u64,
    ended: VecDeque<Ended>,
    active: Option<Active>,
    spares: Spares,
    /// The first number of the newest segment there was when the trim that is under way began: its name is durable.
    named: u64,
    /// The next number to give out when a segment begins.
    next: u64,
    /// What was acknowledged last.
    tip: Tip,
    failed: Option<Arc<str>>,
}

impl Log {
    pub fn open<E>(
        fs: Arc<dyn Fs>,
        dir: &Path,
        settings: Settings,
        replay: &mut Replay<'_, E>,
    ) -> Result<(Log, Recovery), OpenError<E>> {
        fs.create_dir(dir).map_err(|e| WalError::io("making the log's folder", e))?;
        let Walked { segments, mut recovery, spares, tip } = walk(&*fs, dir, replay)?;
        recovery.next_seq = recovery.next_seq.max(settings.floor + 1);
        let mut log = Log {
            fs,
            dir: dir.to_path_buf(),
            segment_bytes: settings.segment_bytes,
            max_log_bytes: settings.max_log_bytes,
            spare_bytes: settings.spare_bytes,
            ended: VecDeque::new(),
            active: None,
            spares: Spares::found(spares),
            named: 0,
            next: recovery.next_seq,
            tip,
            failed: None,
        };
        log.take_over(segments)?;
        Ok((log, recovery))
    }

    /// Makes durable what was replayed, cuts a torn tail off, removes what never held a record, and goes on in the last
    /// segment if it is whole and has room.
    ///
    /// Without a power cut, the last group's bytes may have been read from memory only: they must reach the disk
    /// before anybody builds on them.
    fn take_over(&mut self, mut segments: Vec<Segment>) -> Result<(), WalError> {
        for gone in segments.extract_if(.., |segment| segment.stillborn) {
            self.fs.remove(&gone.path).map_err(|e| WalError::io("removing an empty segment", e))?;
        }
        for segment in &mut segments {
            self.name_again(segment)?;
        }
        let last = segments.pop();
        self.ended.extend(segments.iter().map(Ended::found));
        if let Some(last) = last {
            self.take_over_last(last)?;
        }
        segment::sync_dir(&*self.fs, &self.dir)
    }

    /// Gives a segment its name again that a power cut took from it. A header that was not synced is
    /// written again before: without it, the file would look like a damaged segment.
    fn name_again(&self, segment: &mut Segment) -> Result<(), WalError> {
        let path = segment::path(&self.dir, segment.first);
        if segment.path != path {
            let renamed = self.fs.read(&segment.path, SEGMENT_HEADER as u64).and_then(|header| {
                self.fs.rewrite(&segment.path, 0, &header)?;
                self.fs.rename(&segment.path, &path)
            });
            renamed.map_err(|e| WalError::io("naming a segment again", e))?;
            segment.path = path;
        }
        Ok(())
    }

    fn take_over_last(&mut self, mut last: Segment) -> Result<(), WalError> {
        if !last.damaged {
            last.bytes = last.torn.unwrap_or(last.bytes);
            last.size = last.bytes;
        }
        let mut active = Active::resume(&*self.fs, &last)?;
        active.cut().map_err(|e| WalError::io("syncing the last segment", e))?;
        self.rewrite(&last)?;
        if !last.damaged && last.tip.seq + 1 == self.next && last.bytes < self.segment_bytes {
            self.active = Some(active);
        } else {
            self.ended.push_back(Ended::found(&last));
        }
        Ok(())
    }

    /// Writes again what a process before this one may have failed to sync, so that this one can answer for it.
    fn rewrite(&self, last: &Segment) -> Result<(), WalError> {
        let bytes = self.fs.read(&last.path, last.bytes).map_err(|e| WalError::io("reading the last group", e))?;
        let tail = usize::try_from(last.unproven).ok().and_then(|from| bytes.get(from..)).unwrap_or_default();
        self.fs.rewrite(&last.path, last.unproven, tail).map_err(|e| WalError::io("writing the last group again", e))
    }

    /// Writes and syncs a group, if need be where spares were. On `Err` none of its records is acknowledged;
    /// [`Log::failed`] tells whether the log can go on.
    pub fn commit(&mut self, records: &[&Record]) -> Result<Committed, WalError> {
        let committed = self.write(records);
        if !committed.as_ref().is_err_and(WalError::is_no_space) {
            return committed;
        }
        let had_spares = self.spares.len() > 0;
        self.release_spares();
        if had_spares { self.write(records) } else { committed }
    }

    fn write(&mut self, records: &[&Record]) -> Result<Committed, WalError> {
        let active = self.writable()?;
        let first = active.tip.seq + 1;
        match active.append(records) {
            Ok(sync) => {
                self.tip = active.tip;
                self.next = self.tip.seq + 1;
                Ok(Committed { first, sync })
            }
            Err(failure) => Err(self.repair(failure, records.len() as u64)),
        }
    }

    /// Brings the active segment back to its durable end, or gives it up. Returns what to answer.
    fn repair(&mut self, failure: WriteFailure, lost: u64) -> WalError {
        match failure {
            WriteFailure::Write(error) => {
                if self.active.as_mut().is_some_and(|active| active.cut().is_err()) {
                    self.abandon(lost);
                }
                error
            }
            WriteFailure::Sync(error) => {
                self.abandon(lost);
                error
            }
        }
    }

    /// The active segment, or a new one if there is none or it is full.
    fn writable(&mut self) -> Result<&mut Active, WalError> {
        self.check_running()?;
        if self.active.as_ref().is_some_and(|active| active.len >= self.segment_bytes && !active.is_empty()) {
            self.end_active();
        }
        if self.active.is_none() {
            self.begin_or_fail()?;
        }
        self.active.as_mut().ok_or(WalError::Closed)
    }

    /// Begins a segment; two failures in a row, other than for want of space or of open files, stop the log.
    fn begin_or_fail(&mut self) -> Result<(), WalError> {
        let error = match self.begin() {
            Err(error) if !error.is_shortage() => self.begin().err(),
            other => other.err(),
        };
        let Some(error) = error else { return Ok(()) };
        if !error.is_shortage() {
            self.fail(format!("no new segment can be begun: {error}"));
        }
        Err(error)
    }

    fn begin(&mut self) -> Result<(), WalError> {
        let header = SegmentHeader { first: self.next, tip: self.tip };
        let begun = match self.spares.take() {
            Some(spare) => Active::write_over(&*self.fs, &self.dir, &spare, header, self.ended.is_empty()),
            None => Active::create(&*self.fs, &self.dir, header),
        };
        match begun {
            Ok(active) => {
                self.active = Some(active);
                Ok(())
            }
            Err(error) => {
                // Whatever is left of it, its name is not used again.
                self.next += 1;
                Err(error)
            }
        }
    }

    fn end_active(&mut self) {
        if let Some(active) = self.active.take() {
            self.ended.push_back(Ended::written(&active, false));
        }
    }

    /// Gives up a segment in which the end is unknown. The numbers of the lost group are not used again.
    fn abandon(&mut self, lost: u64) {
        let Some(mut active) = self.active.take() else { return };
        self.next = active.tip.seq + lost + 1;
        // If this does not work either, a replay still knows the end from the next segment's header.
        let _ = active.cut_unsynced();
        let intact = self.reread(&active);
        self.ended.push_back(Ended::written(&active, !intact));
        if !intact {
            return self.fail(format!("acknowledged records of {} cannot be read back", active.path.display()));
        }
        if let Err(error) = self.begin()
            && !error.is_shortage()
        {
            self.fail(format!("no new segment can be begun after a failed sync: {error}"));
        }
    }

    /// Whether what was acknowledged in a segment is still all there.
    fn reread(&self, active: &Active) -> bool {
        let Ok(bytes) = self.fs.read(&active.path, active.len) else { return false };
        let scan = scan(&bytes, active.identity, active.first);
        let header = SegmentHeader::decode(&bytes).is_ok_and(|header| header.identity() == active.identity);
        let check = scan.frames.last().map_or(active.identity, |frame| frame.check);
        header && scan.gaps.is_empty() && bytes.len() as u64 == active.len && check == active.tip.check
    }

    /// Ends the active segment if it holds a record.
    pub fn roll(&mut self) -> Result<(), WalError> {
        self.check_running()?;
        if self.active.as_ref().is_some_and(|active| !active.is_empty()) {
            self.end_active();
            self.begin()?;
        }
        Ok(())
    }

    /// Gives up what holds nothing above `through`; see [`crate::Wal::trim`].
    #[cfg(test)]
    pub fn trim(&mut self, through: u64) -> Result<crate::Trimmed, WalError> {
        let (fs, dir) = (self.fs.clone(), self.dir.clone());
        crate::trim::trim(&*fs, &dir, through, |step| Ok(self.trim_step(step)))
    }

    /// The part of a trim that is done by who writes; the answer is the file that goes next.
    pub fn trim_step(&mut self, step: Step) -> Option<Doomed> {
        match step {
            Step::Begin(through) => {
                if self.oldest_last().is_some_and(|last| last <= through) {
                    self.spares.plan();
                }
                self.end_through(through);
                let newest = self.active.as_ref().map(|active| active.first);
                self.named = newest.or(self.ended.back().map(|ended| ended.first)).unwrap_or(0);
                self.doom(through)
            }
            Step::Next(through) => self.doom(through),
            Step::Gone(doomed, durable) => {
                self.forget(&doomed, durable);
                None
            }
        }
    }

    /// The last record of the oldest segment, if that is not an active one that holds none.
    fn oldest_last(&self) -> Option<u64> {
        let active = self.active.as_ref().filter(|active| !active.is_empty());
        self.ended.front().map(|ended| ended.last).or(active.map(|active| active.tip.seq))
    }

    /// Begins a new segment when no record of the active one is needed any more.
    fn end_through(&mut self, through: u64) {
        if self.active.as_ref().is_some_and(|active| !active.is_empty() && active.tip.seq <= through) {
            self.end_active();
            if self.failed.is_none() {
                // It remembers the last number. On a full disk it is begun later, by a commit.
                let _ = self.begin();
            }
        }
    }

    /// The file that goes next: the oldest segment if it may go, then spares that are too many. While spares are kept,
    /// there must be a segment behind it whose name is durable.
    fn doom(&mut self, through: u64) -> Option<Doomed> {
        let alone = self.active.is_none() && self.ended.len() == 1;
        let may_go = |ended: &&Ended| ended.last <= through && (ended.first < self.named || alone);
        let Some(oldest) = self.ended.front().filter(may_go) else {
            let Spare { path, bytes } = self.spares.surplus()?;
            return Some(Doomed { path, bytes, fate: Fate::Surplus });
        };
        let rest = self.extent().bytes - oldest.bytes;
        let most = self.spare_bytes.min(self.max_log_bytes.saturating_sub(rest));
        let fate = match oldest {
            Ended { damaged: true, .. } => Fate::Aside,
            Ended { size, .. } if !alone && self.spares.wants(*size, most) => Fate::Spare,
            _ => Fate::Delete,
        };
        let doomed = Doomed { path: oldest.path.clone(), bytes: oldest.bytes, fate };
        if alone {
            // Spares are known by being older than a segment, and soon there is none.
            self.release_spares();
        }
        Some(doomed)
    }

    fn forget(&mut self, doomed: &Doomed, durable: bool) {
        let Some(gone) = self.ended.pop_front_if(|oldest| oldest.path == doomed.path) else { return };
        if doomed.fate == Fate::Spare && durable {
            self.spares.keep(Spare { path: doomed.renamed(), bytes: gone.size });
        }
    }

    /// The spare that is to be made ahead now, if one is; [`Log::made`] tells what became of it.
    ///
    /// It is named after a record of the active segment that is not its first: no segment ever has that name.
    pub fn blank(&mut self) -> Option<Blank> {
        let active = self.active.as_ref()?;
        // Asked after each group: what is cheap to know comes first.
        let due = self.spares.lacks() && active.len >= self.segment_bytes / DUE && active.tip.seq > active.first;
        if !due {
            return None;
        }
        let bytes = self.segment_bytes + self.segment_bytes / BEYOND;
        let most = self.spare_bytes.min(self.max_log_bytes.saturating_sub(self.extent().bytes));
        if bytes > most {
            return None;
        }
        let path = segment::become_of(&segment::path(&self.dir, active.tip.seq), SPARE);
        self.spares.making();
        Some(Blank { path, bytes })
    }

    /// Takes what became of a [`Log::blank`].
    pub fn made(&mut self, made: Option<Spare>) {
        if let Some(unwanted) = self.spares.made(made) {
            // If it stays, the next open finds it.
            let _ = self.fs.remove(&unwanted.path);
        }
    }

    /// Gives the space of the spares back.
    pub fn release_spares(&mut self) {
        self.spares.release(&*self.fs);
    }

    /// Marks a clean end.
    pub fn seal(&mut self) -> Result<(), WalError> {
        self.check_running()?;
        let Some(active) = &mut self.active else { return Ok(()) };
        match active.seal() {
            Ok(()) => {
                if !active.is_empty() {
                    self.tip = active.tip;
                }
                Ok(())
            }
            Err(failure) => match self.repair(failure, 0) {
                // There is no room for the mark. All records are safe without it.
                error if error.is_no_space() => Ok(()),
                error => Err(error),
            },
        }
    }

    /// Stops the log for good.
    pub fn fail(&mut self, why: String) {
        self.failed = Some(why.into());
    }

    /// Why the log has stopped for good.
    pub fn failed(&self) -> Option<&Arc<str>> {
        self.failed.as_ref()
    }

    pub fn extent(&self) -> Extent {
        let active = self.active.as_ref().map(|active| Ended::written(active, false));
        let (spares, spare_bytes) = (self.spares.len() as u64, self.spares.bytes());
        let mut extent = Extent { durable: self.tip.seq, spares, spare_bytes, ..Extent::default() };
        for segment in self.ended.iter().chain(&active) {
            extent.segments += 1;
            extent.bytes += segment.bytes;
            if segment.last >= segment.first {
                extent.oldest.get_or_insert(segment.first);
            }
        }
        extent
    }

    fn check_running(&self) -> Result<(), WalError> {
        match &self.failed {
            Some(why) => Err(WalError::Failed { why: why.clone() }),
            None => Ok(()),
        }
    }
}

impl Ended {
    fn found(segment: &Segment) -> Ended {
        let Segment { path, first, last, bytes, size, damaged, .. } = segment;
        Ended { path: path.clone(), first: *first, last: *last, bytes: *bytes, size: *size, damaged: *damaged }
    }

    fn written(active: &Active, damaged: bool) -> Ended {
        let (path, size) = (active.path.clone(), active.size());
        Ended { path, first: active.first, last: active.tip.seq, bytes: active.len, size, damaged }
    }
}
