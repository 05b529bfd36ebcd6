//! The write-ahead log: any bytes as its segments, and damage to a log that was good.

use std::convert::Infallible;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wal::sim::SimFs;
use wal::{Fs, OpenError, Record, Recovery, Settings, Wal};

type Records = Vec<(u64, Vec<u8>)>;

fn dir() -> PathBuf {
    PathBuf::from("/sim/wal")
}

fn path(first: u64) -> PathBuf {
    dir().join(format!("{first:020}.wal"))
}

/// Takes the bytes as one segment, or as two when the first byte is odd: whatever they are, a log opens or says why
/// not, goes on behind them, and finds again what it handed over and what was added.
pub fn segment(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else { return };
    let fs = SimFs::new();
    let (first, second) = if choice % 2 == 1 { bytes.split_at(bytes.len() / 2) } else { (bytes, &[][..]) };
    write(&fs, &path(1), first);
    if choice % 2 == 1 {
        write(&fs, &path(2 + u64::from(choice / 2)), second);
    }
    opens_and_goes_on(&fs);
}

/// Writes a good log, its records and trims as the bytes say, so that segments are written over older ones; then harms it
/// as they say further. Nothing is handed over that was not written, nor what a trim has let go, and what is not harmed is
/// handed over.
pub fn damage(data: &[u8]) {
    let mut data = data.iter().copied();
    let mut next = || data.next().unwrap_or_default();
    let fs = SimFs::new();
    let settings = Settings { segment_bytes: 400, max_log_bytes: 1 << 20, ..Settings::default() };
    let mut written = Records::new();
    let (wal, ..) = open(&fs, settings).expect("an empty folder");
    for _ in 0..1 + next() % 24 {
        if next() % 5 == 0
            && let Some((last, _)) = written.last()
        {
            wal.trim(last - u64::from(next() % 4).min(*last)).expect("a working disk");
            written = read(&fs).expect("a good log");
            continue;
        }
        let payload = vec![next(); usize::from(next())];
        let seq = wal.append_wait(Record::from(payload.clone())).expect("a working disk");
        written.push((seq, payload));
    }
    wal.close().expect("a working disk");

    let paths = fs.paths();
    let mut untouched = true;
    for _ in 0..next() % 4 {
        let path = &paths[usize::from(next()) % paths.len()];
        let (kind, at, value) = (next(), usize::from(next()) * 256 + usize::from(next()), next());
        let harm = |bytes: &mut Vec<u8>| {
            let before = bytes.clone();
            let at = at % (bytes.len() + 1);
            match kind % 5 {
                0 => bytes.truncate(at),
                1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= value),
                2 => bytes.iter_mut().skip(at).take(usize::from(value)).for_each(|byte| *byte = 0),
                3 => bytes.extend_from_slice(&before[at..]),
                _ => drop(bytes.splice(at..at, std::iter::repeat_n(value, 7))),
            }
            *bytes == before
        };
        let mut same = true;
        fs.edit(path, |bytes| same = harm(bytes)).expect("the file is there");
        untouched &= same;
    }
    let found = opens_and_goes_on(&fs);
    for record in &found {
        assert!(written.contains(record), "handed over, but never written: {record:?}");
    }
    assert!(!untouched || found == written, "{} of {} records", found.len(), written.len());
}

/// Opens the log, appends to it, and opens it again. Returns what it held at first.
fn opens_and_goes_on(fs: &SimFs) -> Records {
    let settings = Settings { max_log_bytes: 1 << 30, ..Settings::default() };
    let read = read(fs);
    let (wal, recovery, found) = match open(fs, settings.clone()) {
        Ok(opened) => opened,
        Err(error) => {
            assert!(!error.is_empty(), "refused without a word");
            return Records::new();
        }
    };
    assert_eq!(read.as_ref(), Some(&found), "reading beside a server finds the same");
    assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0), "numbers rise");
    assert_eq!(found.len() as u64, recovery.records);
    assert!(found.last().is_none_or(|(seq, _)| *seq < recovery.next_seq), "no number is given out twice");
    let Ok(seq) = wal.append_wait(Record::from(b"after".to_vec())) else { return found };
    assert!(seq >= recovery.next_seq);
    wal.close().expect("a working disk");
    let (_, _, again) = open(fs, settings).expect("it opened before");
    let expected: Records = found.iter().cloned().chain([(seq, b"after".to_vec())]).collect();
    assert_eq!(again, expected);
    found
}

fn open(fs: &SimFs, settings: Settings) -> Result<(Wal, Recovery, Records), String> {
    let mut found = Records::new();
    let mut keep = |seq: u64, bytes: &[u8]| -> Result<(), Infallible> {
        found.push((seq, bytes.to_vec()));
        Ok(())
    };
    let opened = Wal::open(Arc::new(fs.clone()), &dir(), settings, &mut keep);
    match opened {
        Ok((wal, recovery)) => Ok((wal, recovery, found)),
        Err(OpenError::Wal(error)) => Err(error.to_string()),
        Err(OpenError::Replay { error, .. }) => match error {},
    }
}

/// What a reader beside a server finds; `None` when it says that it cannot read the log.
fn read(fs: &SimFs) -> Option<Records> {
    let mut found = Records::new();
    let mut keep = |seq: u64, bytes: &[u8]| -> Result<(), Infallible> {
        found.push((seq, bytes.to_vec()));
        Ok(())
    };
    wal::read(fs, &dir(), &mut keep).ok()?;
    Some(found)
}

fn write(fs: &SimFs, path: &Path, bytes: &[u8]) {
    fs.create_dir(&dir()).expect("a working disk");
    let mut file = fs.create(path).expect("a working disk");
    let mut rest = bytes;
    while !rest.is_empty() {
        let taken = file.append(&[IoSlice::new(rest)]).expect("a working disk");
        rest = &rest[taken..];
    }
    file.sync().expect("a working disk");
    fs.sync_dir(&dir()).expect("a working disk");
}
