//! One segment on disk: its name, and the handle that writes it.
//!
//! *Invariants:* a segment's header is durable before the first frame is written, and so is its name or that of the
//! spare which it is written over; a frame is written only behind durable frames or frames of its own group; a segment
//! whose sync failed is never written again.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::frame::{FRAME_HEADER, FrameHeader, SegmentHeader, Tip};
use crate::fs::append_all;
use crate::spares::Spare;
use crate::walk::Segment;
use crate::{File, Fs, Record, WalError};

const DIGITS: usize = 20;
const SUFFIX: &str = ".wal";
/// Behind the name of a damaged segment that was trimmed.
pub(crate) const ASIDE: &str = ".damaged";
/// Behind the name of one that is kept to be written over.
pub(crate) const SPARE: &str = ".spare";

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

/// The name of what a segment becomes: [`SPARE`] or [`ASIDE`] behind its own.
pub(crate) fn become_of(segment: &Path, suffix: &str) -> PathBuf {
    let mut name = segment.to_path_buf().into_os_string();
    name.push(suffix);
    name.into()
}

/// The first sequence number of the segment that a spare was.
pub(crate) fn parse_spare(name: &str) -> Option<u64> {
    name.strip_suffix(SPARE).and_then(parse)
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
    /// Bytes that the file had when it was opened.
    had: u64,
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
        let mut active = Active::empty(file, path, header, 0);
        match active.write_header(header, &[]).and_then(|()| sync_dir(fs, dir)) {
            Ok(()) => Ok(active),
            Err(error) => {
                // Without records the file means nothing; an open removes it if this does not.
                let _ = fs.remove(&active.path);
                Err(error)
            }
        }
    }

    /// Begins a segment in a spare's file, and returns when its header is durable. Its name is only if it is the
    /// `oldest` segment; else an open knows it by its header, see [`crate::spares`].
    pub fn write_over(
        fs: &dyn Fs,
        dir: &Path,
        spare: &Spare,
        header: SegmentHeader,
        oldest: bool,
    ) -> Result<Active, WalError> {
        let path = path(dir, header.first);
        let begin = || {
            let file = fs.open(&spare.path, 0).map_err(|e| WalError::io("opening a spare segment", e))?;
            let mut active = Active::empty(file, path.clone(), header, spare.bytes);
            let had = spare.bytes.to_le_bytes();
            let (mark, check) = FrameHeader::leftovers(active.identity, header.first, &had).encode(active.identity);
            active.write_header(header, &[mark.as_slice(), &had].concat())?;
            active.tip.check = check;
            fs.rename(&spare.path, &path).map_err(|e| WalError::io("naming a segment", e))?;
            if oldest { sync_dir(fs, dir).map(|()| active) } else { Ok(active) }
        };
        begin().inspect_err(|_| {
            // It holds no record. If it stays, an open takes it for an empty segment or for a spare.
            let _ = fs.remove(&spare.path).or_else(|_| fs.remove(&path));
        })
    }

    fn empty(file: Box<dyn File>, path: PathBuf, header: SegmentHeader, had: u64) -> Active {
        let (first, identity) = (header.first, header.identity());
        let tip = Tip { seq: first - 1, check: identity };
        Active { file, path, first, identity, len: 0, had, tip, sealed: true }
    }

    /// Writes and syncs the header, and what else comes before the first record.
    fn write_header(&mut self, header: SegmentHeader, more: &[u8]) -> Result<(), WalError> {
        let bytes = [header.encode().as_slice(), more].concat();
        append_all(&mut *self.file, &mut [IoSlice::new(&bytes)])
            .map_err(|e| WalError::io("writing a segment's header", e))?;
        self.len = bytes.len() as u64;
        self.file.sync().map_err(|e| WalError::io("syncing a segment's header", e))
    }

    /// Takes the last segment of a log over from an open, to be cut to its `bytes` before anything else.
    pub fn resume(fs: &dyn Fs, found: &Segment) -> Result<Active, WalError> {
        let Segment { first, identity, bytes: len, tip, .. } = *found;
        let path = found.path.clone();
        let file = fs.open(&path, len).map_err(|e| WalError::io("opening a segment", e))?;
        Ok(Active { file, path, first, identity, len, had: len, tip, sealed: false })
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.len.max(self.had)
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

    /// Cuts what a failed write or an older segment left behind the durable bytes, durably.
    pub fn cut(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.len)?;
        self.had = self.len;
        self.file.sync()
    }

    /// Cuts without a sync, which must not be asked of this file again.
    pub fn cut_unsynced(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.len)?;
        self.had = self.len;
        Ok(())
    }
}

/// Makes the names of the log's folder durable.
pub(crate) fn sync_dir(fs: &dyn Fs, dir: &Path) -> Result<(), WalError> {
    fs.sync_dir(dir).map_err(|e| WalError::io("syncing the log's folder", e))
}
