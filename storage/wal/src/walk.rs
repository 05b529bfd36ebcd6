//! Reads a whole log in order without changing anything: what opening, checking and reading have in common.
//!
//! ```text
//!   list ─▶ headers of all ─▶ per segment, oldest first: read ▸ scan ▸ judge (by the next header) ▸ hand over
//!             └─▶ spares: those older than the oldest segment hold nothing any more
//! ```
//! One segment is in memory at a time.

use std::io;
use std::path::{Path, PathBuf};

use crate::frame::{BadHeader, FORMAT, SEGMENT_HEADER, SegmentHeader, Tip};
use crate::replay::{Scan, Verdict, judge, scan};
use crate::segment::{is_aside, parse, parse_spare, path};
use crate::spares::Spare;
use crate::{Damage, Fs, OpenError, Recovery, Replay, Report, SegmentReport, TornTail, WalError, Why};

/// A segment as it was found.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub path: PathBuf,
    /// From its name.
    pub first: u64,
    /// The last record in it that is or was readable; `first - 1` if none.
    pub last: u64,
    /// What counts of it: without what an older segment left behind its end, unless it is damaged.
    pub bytes: u64,
    /// The file's size.
    pub size: u64,
    pub records: u64,
    pub damaged: bool,
    pub identity: u32,
    /// The last frame that counts.
    pub tip: Tip,
    /// It ends in bytes that were never acknowledged.
    pub torn: Option<u64>,
    /// From here on nothing in the log itself proves that the bytes had been durable: the last group, or a seal.
    pub unproven: u64,
    /// It never got as far as a durable header: there cannot be a record in it.
    pub stillborn: bool,
}

/// A log as it was found.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    pub segments: Vec<Segment>,
    pub recovery: Recovery,
    /// Files to write further segments over.
    pub spares: Vec<Spare>,
    /// What the next segment is to continue.
    pub tip: Tip,
}

impl Walked {
    pub fn report(self) -> Report {
        let segments = self.segments.into_iter().map(|s| SegmentReport {
            path: s.path,
            bytes: s.bytes,
            records: s.records,
            first_seq: s.first,
            last_seq: s.last,
            damaged: s.damaged,
        });
        Report { segments: segments.collect(), found: self.recovery }
    }

    fn push(&mut self, segment: Segment) {
        self.recovery.next_seq = self.recovery.next_seq.max(segment.first).max(segment.last + 1);
        self.recovery.bytes += segment.bytes;
        self.recovery.segments += 1;
        self.segments.push(segment);
    }

    fn damage(&mut self, segment: &mut Segment, offset: u64, why: Why, lost: u64) {
        segment.damaged = true;
        let (path, segment) = (segment.path.clone(), segment.first);
        self.recovery.damage.push(Damage { segment, path, offset, why, records_lost_estimate: lost });
    }
}

/// A file of the folder, before its frames are read.
struct Listed {
    path: PathBuf,
    first: u64,
    header: Option<SegmentHeader>,
    /// No more bytes than a header. Without a usable one, there was never a record in it.
    bare: bool,
}

impl Listed {
    fn stillborn(&self) -> bool {
        self.bare && self.header.is_none()
    }
}

/// Hands every record to `each`, and tells what there is.
pub(crate) fn walk<E>(fs: &dyn Fs, dir: &Path, each: &mut Replay<'_, E>) -> Result<Walked, OpenError<E>> {
    let mut walked = Walked::default();
    walked.recovery.next_seq = 1;
    let Listing { segments: listed, spares, aside } = list(fs, dir)?;
    walked.spares = spares;
    walked.recovery.aside = aside;
    for (index, file) in listed.iter().enumerate() {
        // Only the segment right behind can say what was acknowledged here.
        let later = listed[index + 1..].iter().find(|later| !later.stillborn());
        let bound = later.and_then(|later| later.header).map(|header| header.tip);
        let last = later.is_none();
        let bytes = match fs.read(&file.path, u64::MAX) {
            Ok(bytes) => bytes,
            // Another process trimmed it since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(WalError::io("reading a segment", error).into()),
        };
        // Only an open may change names, and a file that has lost its own may have been written over while it was read.
        if !is_still(fs, file)? {
            continue;
        }
        visit(&mut walked, file, &bytes, bound, last, each)?;
    }
    Ok(walked)
}

/// What a folder holds.
struct Listing {
    /// By number.
    segments: Vec<Listed>,
    spares: Vec<Spare>,
    /// How many were set aside.
    aside: u64,
}

fn list(fs: &dyn Fs, dir: &Path) -> Result<Listing, WalError> {
    let names = fs.list(dir).map_err(|e| WalError::io("listing the log's folder", e))?;
    let aside = names.iter().filter(|(name, _)| is_aside(name)).count() as u64;
    let mut segments = Vec::new();
    for first in names.iter().filter_map(|(name, _)| parse(name)) {
        let path = path(dir, first);
        if let Some((header, bare)) = head(fs, &path, first)? {
            let header = header.filter(|header| header.first == first);
            segments.push(Listed { path, first, header, bare });
        }
    }
    let oldest = segments.iter().map(|segment| segment.first).min();
    let mut spares = Vec::new();
    for (name, bytes) in names {
        let Some(was) = parse_spare(&name) else { continue };
        let path = dir.join(name);
        let Some((header, bare)) = head(fs, &path, was)? else { continue };
        // A segment that a power cut took the name from again, see `spares`.
        let begun = header.filter(|header| oldest.is_some_and(|oldest| header.first > oldest));
        match begun {
            Some(header) if segments.iter().any(|segment| segment.first == header.first) => {}
            Some(header) => segments.push(Listed { path, first: header.first, header: Some(header), bare }),
            None => spares.push(Spare { path, bytes }),
        }
    }
    segments.sort_by_key(|file| file.first);
    Ok(Listing { segments, spares, aside })
}

/// The header at the beginning of a file if there is a good one, and whether the file has no more bytes than one.
/// `None` if the file is gone.
fn head(fs: &dyn Fs, path: &Path, first: u64) -> Result<Option<(Option<SegmentHeader>, bool)>, WalError> {
    let head = match fs.read(path, SEGMENT_HEADER as u64 + 1) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        head => head.map_err(|e| WalError::io("reading a segment's header", e))?,
    };
    let header = match SegmentHeader::decode(&head) {
        Ok(header) => Some(header),
        Err(BadHeader::Damaged) => None,
        Err(BadHeader::Newer(found)) => return Err(WalError::NewerFormat { segment: first, found, known: FORMAT }),
    };
    Ok(Some((header, head.len() <= SEGMENT_HEADER)))
}

/// Whether a file still has the name and the header that it was listed with.
fn is_still(fs: &dyn Fs, file: &Listed) -> Result<bool, WalError> {
    let now = head(fs, &file.path, file.first)?;
    Ok(now.is_some_and(|(header, _)| header.filter(|header| header.first == file.first) == file.header))
}

fn visit<E>(
    walked: &mut Walked,
    file: &Listed,
    bytes: &[u8],
    bound: Option<Tip>,
    last: bool,
    each: &mut Replay<'_, E>,
) -> Result<(), OpenError<E>> {
    let mut segment = Segment {
        path: file.path.clone(),
        first: file.first,
        last: file.first.saturating_sub(1),
        bytes: bytes.len() as u64,
        size: bytes.len() as u64,
        records: 0,
        damaged: false,
        identity: 0,
        tip: Tip::default(),
        torn: None,
        unproven: 0,
        stillborn: false,
    };
    if walked.segments.is_empty() {
        // What was trimmed before the oldest segment is only known from its header.
        walked.tip = file.header.map_or(walked.tip, |header| header.tip);
    }
    let Some((identity, scan)) = identify(file, bytes, walked.tip) else {
        headless(walked, &mut segment, bound, last);
        walked.push(segment);
        return Ok(());
    };
    if file.header.is_none() {
        walked.damage(&mut segment, 0, Why::Header, 0);
    }
    segment.identity = identity;
    let end = scan.end as u64;
    let verdict = judge(scan, file.first, identity, bound);
    settle(walked, &mut segment, &verdict, bound, last);
    if !segment.damaged {
        segment.bytes = end;
    }
    for frame in &verdict.keep {
        let seq = frame.header.seq;
        each(seq, &bytes[frame.payload()]).map_err(|error| OpenError::Replay { seq, error })?;
        walked.recovery.first_seq.get_or_insert(seq);
        walked.recovery.last_seq = Some(seq);
        walked.recovery.records += 1;
        segment.records += 1;
    }
    walked.push(segment);
    Ok(())
}

/// The identity that the frames were written under. If the header is damaged, its own copy may still be right, or
/// it follows from the segment before.
fn identify(file: &Listed, bytes: &[u8], before: Tip) -> Option<(u32, Scan)> {
    if let Some(header) = file.header {
        return Some((header.identity(), scan(bytes, header.identity(), file.first)));
    }
    let stored = bytes.get(SEGMENT_HEADER - 4..SEGMENT_HEADER).map(|b| crate::frame::u32_at(b, 0))?;
    let derived = SegmentHeader { first: file.first, tip: before }.identity();
    [stored, derived].into_iter().find_map(|identity| {
        let scan = scan(bytes, identity, file.first);
        (!scan.frames.is_empty()).then_some((identity, scan))
    })
}

/// A segment without a usable header in which no frame was found.
fn headless(walked: &mut Walked, segment: &mut Segment, bound: Option<Tip>, last: bool) {
    // Frames are written behind a durable header only: no more bytes than a header means no record.
    segment.stillborn = segment.bytes <= SEGMENT_HEADER as u64;
    if segment.stillborn {
        if last && segment.bytes > 0 {
            let torn = TornTail { segment: segment.first, offset: 0, bytes: segment.bytes };
            walked.recovery.torn.get_or_insert(torn);
        }
        return;
    }
    let known = walked.tip.seq.max(segment.first - 1);
    let lost = bound.map_or(1, |tip| tip.seq.saturating_sub(known));
    // So many records may have been in it, so many numbers are not given out again.
    let most = (segment.bytes - SEGMENT_HEADER as u64) / crate::frame::FRAME_HEADER as u64;
    segment.last = bound.map_or(segment.first - 1 + most, |tip| tip.seq.max(segment.last));
    segment.tip = Tip { seq: segment.last, check: 0 };
    walked.damage(segment, 0, Why::Header, lost);
    walked.tip = segment.tip;
}

/// Takes the verdict over into the segment and the report.
fn settle(walked: &mut Walked, segment: &mut Segment, verdict: &Verdict, bound: Option<Tip>, last: bool) {
    for gap in &verdict.damage {
        walked.damage(segment, gap.at as u64, gap.why, gap.count.unwrap_or(0));
    }
    if let Some(at) = verdict.torn {
        let offset = at as u64;
        if last {
            segment.torn = Some(offset);
            let bytes = segment.bytes - offset;
            walked.recovery.torn = Some(TornTail { segment: segment.first, offset, bytes });
        } else if bound.is_none() {
            // There is a later segment, but it cannot say what was acknowledged here.
            walked.damage(segment, offset, Why::Frame, 1);
        }
    }
    walked.recovery.unacknowledged += verdict.unacknowledged;
    segment.unproven = verdict.unproven as u64;
    segment.tip = verdict.tip;
    segment.last = verdict.tip.seq;
    if verdict.tip.seq >= segment.first {
        walked.tip = verdict.tip;
    }
}
