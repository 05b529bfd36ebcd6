//! Tests of the log as a whole, by what they do to it.

mod ahead;
mod concurrency;
mod damage;
mod faults;
mod life;
mod power;
mod spares;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::log::Log;
use crate::sim::SimFs;
use crate::{Fs, OpenError, Record, Recovery, Settings, Wal, WalError};

type Found = Vec<(u64, Vec<u8>)>;

fn dir() -> PathBuf {
    PathBuf::from("/sim/wal")
}

fn segment(first: u64) -> PathBuf {
    dir().join(format!("{first:020}.wal"))
}

fn spare(was: u64) -> PathBuf {
    dir().join(format!("{was:020}.wal.spare"))
}

fn settings() -> Settings {
    Settings { max_log_bytes: 1 << 30, ..Settings::default() }
}

/// Segments so small that a few records fill one.
fn small() -> Settings {
    Settings { segment_bytes: 1000, ..settings() }
}

fn unwrap<T>(opened: Result<T, OpenError<Infallible>>) -> Result<T, WalError> {
    match opened {
        Ok(opened) => Ok(opened),
        Err(OpenError::Wal(error)) => Err(error),
        Err(OpenError::Replay { error, .. }) => match error {},
    }
}

fn open_log(fs: &SimFs, settings: Settings) -> Result<(Log, Recovery, Found), WalError> {
    let mut found = Found::new();
    let mut keep = |seq, bytes: &[u8]| {
        found.push((seq, bytes.to_vec()));
        Ok(())
    };
    let (log, recovery) = unwrap(Log::open(Arc::new(fs.clone()), &dir(), settings, &mut keep))?;
    Ok((log, recovery, found))
}

fn open_wal(fs: Arc<dyn Fs>, dir: &Path, settings: Settings) -> Result<(Wal, Recovery, Found), WalError> {
    let mut found = Found::new();
    let mut keep = |seq, bytes: &[u8]| {
        found.push((seq, bytes.to_vec()));
        Ok(())
    };
    let (wal, recovery) = unwrap(Wal::open(fs, dir, settings, &mut keep))?;
    Ok((wal, recovery, found))
}

fn open_sim(fs: &SimFs, settings: Settings) -> (Wal, Recovery, Found) {
    open_wal(Arc::new(fs.clone()), &dir(), settings).unwrap()
}

/// Commits groups of these payloads, and returns what must come back.
fn commit(log: &mut Log, groups: &[&[&[u8]]]) -> Found {
    let mut kept = Found::new();
    for group in groups {
        let records: Vec<Record> = group.iter().map(|bytes| Record::from(bytes.to_vec())).collect();
        let committed = log.commit(&records.iter().collect::<Vec<_>>()).unwrap();
        kept.extend((committed.first..).zip(group.iter().map(|bytes| bytes.to_vec())));
    }
    kept
}

fn numbers(found: &Found) -> Vec<u64> {
    found.iter().map(|(seq, _)| *seq).collect()
}
