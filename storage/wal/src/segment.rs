//! One segment on disk: its name, and the handle that writes it.
//!
//! *Invariants:* a segment's header and its name are durable before the first frame is written; a frame is written
//! only behind durable frames or frames of its own group; a segment whose sync failed is never written again.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::frame::{FRAME_HEADER, FrameHeader, SEGMENT_HEADER, SegmentHeader, Tip};
use crate::fs::append_all;
use crate::walk::Segment;
use crate::{File, Fs, Record, WalError};

const DIGITS: usize = 20;
const SUFFIX: &str = ".wal";
/// Behind the name of a damaged segment that was trimmed.
pub(crate) const ASIDE: &str = ".damaged";

/// `<dir>/<first seq as 20 digits>.wal`, so that names sort as numbers.
pub(crate) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:0DIGITS$}{SUFFIX}"))
}

/// The first sequence number of a segment's file name.
pub(crate) fn parse(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let plain = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    let first = if plain { digits.parse().ok()? } else { return None };
    (1..u64::MAX / 2).contains(&first).then_some(first)
}

/// The file name of a segment that was set aside.
pub(crate) fn is_aside(name: &str) -> bool {
    name.strip_suffix(ASIDE).is_some_and(|name| parse(name).is_some())
}

/// Why a group could not be written: the two call for different repairs.
#[derive(Debug)]
pub(crate) enum WriteFailure {
    /// Some of the bytes may be in the file; all before them are safe.
    Write(WalError),
    /// Nobody knows what is on the disk. The segment must not be written or synced again.
    Sync(WalError),
}

/// The segment being written.
pub(crate) struct Active {
    file: Box<dyn File>,
    pub path: PathBuf,
    pub first: u64,
    pub identity: u32,
    /// Bytes that are durable.
    pub len: u64,
    /// The last frame of those; `seq` is `first - 1` while there is none.
    pub tip: Tip,
    /// Nothing was written behind the last seal.
    sealed: bool,
}

impl Active {
    /// Creates the file, and returns when its header and its name are durable.
    pub fn create(fs: &dyn Fs, dir: &Path, header: SegmentHeader) -> Result<Active, WalError> {
        let path = path(dir, header.first);
        let file = fs.create(&path).map_err(|e| WalError::io("creating a segment", e))?;
        let identity = header.identity();
        let tip = Tip { seq: header.first - 1, check: identity };
        let mut active =
            Active { file, path, first: header.first, identity, len: SEGMENT_HEADER as u64, tip, sealed: true };
        match active.write_header(fs, dir, header) {
            Ok(()) => Ok(active),
            Err(error) => {
                // Without records the file means nothing; an open removes it if this does not.
                let _ = fs.remove(&active.path);
                Err(error)
            }
        }
    }

    fn write_header(&mut self, fs: &dyn Fs, dir: &Path, header: SegmentHeader) -> Result<(), WalError> {
        append_all(&mut *self.file, &mut [IoSlice::new(&header.encode())])
            .map_err(|e| WalError::io("writing a segment's header", e))?;
        self.file.sync().map_err(|e| WalError::io("syncing a segment's header", e))?;
        fs.sync_dir(dir).map_err(|e| WalError::io("syncing the log's folder", e))
    }

    /// Takes the last segment of a log over from an open, to be cut to its `bytes` before anything else.
    pub fn resume(fs: &dyn Fs, found: &Segment) -> Result<Active, WalError> {
        let Segment { first, identity, bytes: len, tip, .. } = *found;
        let path = found.path.clone();
        let file = fs.open(&path).map_err(|e| WalError::io("opening a segment", e))?;
        Ok(Active { file, path, first, identity, len, tip, sealed: false })
    }

    pub fn is_empty(&self) -> bool {
        self.tip.seq < self.first
    }

    /// Writes and syncs a group of records numbered from `tip.seq + 1`; returns how long the sync took.
    /// On failure `len` and `tip` are as before.
    pub fn append(&mut self, records: &[&Record]) -> Result<Duration, WriteFailure> {
        let mut tip = self.tip;
        let mut headers = Vec::with_capacity(records.len());
        for (before, record) in (0..).zip(records) {
            tip.seq += 1;
            let len = u32::try_from(record.len()).expect("append refuses records beyond MAX_RECORD");
            let frame = FrameHeader { prev: tip.check, seq: tip.seq, len, before, payload_crc: record.crc() };
            let (bytes, check) = frame.encode(self.identity);
            tip.check = check;
            headers.push(bytes);
        }
        let mut slices = Vec::with_capacity(records.len() * 3);
        for (header, record) in headers.iter().zip(records) {
            slices.push(IoSlice::new(header));
            slices.extend(record.slices().map(IoSlice::new));
        }
        let len = self.len + slices.iter().map(|slice| slice.len() as u64).sum::<u64>();
        let took = self.write(&mut slices)?;
        (self.len, self.tip, self.sealed) = (len, tip, false);
        Ok(took)
    }

    /// Marks that all before is durable, so that damage to the last group is later told from a torn tail.
    pub fn seal(&mut self) -> Result<(), WriteFailure> {
        if self.sealed || self.is_empty() {
            return Ok(());
        }
        let (bytes, check) = FrameHeader::seal(self.tip.check, self.tip.seq).encode(self.identity);
        self.write(&mut [IoSlice::new(&bytes)])?;
        self.len += FRAME_HEADER as u64;
        self.tip.check = check;
        self.sealed = true;
        Ok(())
    }

    fn write(&mut self, slices: &mut [IoSlice<'_>]) -> Result<Duration, WriteFailure> {
        append_all(&mut *self.file, slices).map_err(|e| WriteFailure::Write(WalError::io("writing to the log", e)))?;
        let begin = Instant::now();
        match self.file.sync() {
            Ok(()) => Ok(begin.elapsed()),
            Err(source) => Err(WriteFailure::Sync(WalError::sync(self.first, source))),
        }
    }

    /// Cuts what a failed write left behind the durable bytes, durably.
    pub fn cut(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.len)?;
        self.file.sync()
    }

    /// Cuts without a sync, which must not be asked of this file again.
    pub fn cut_unsynced(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.len)
    }
}
