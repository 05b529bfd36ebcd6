//! Many small files become few: [`plan`] chooses, [`run`] merges and commits with `dataChange=false`.
//!
//! Files of neighbouring receive times are merged, so that the spans of a trace that were flushed apart meet again
//! and are assembled anew. The rows stay the same but for their assembled columns. Inputs are sorted, so a merge reads
//! and writes them slice by slice: what it holds in memory are the files as they are on disk and the few columns that
//! decide the order and the trees ([`crate::merge`]).

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use model::time::SECOND;
use model::{Error, Kind, Nanos, Result, Signal};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::assemble;
use crate::background::{self, Priority};
use crate::crash::crash_point;
use crate::delta::{Commit, DataFile, day};
use crate::file_reader::FileReader;
use crate::merge;
use crate::parquet_file::Encoded;
use crate::ranged;
use crate::store::Shared;
use crate::table::Table;

/// Files of one level that are merged into one of the next.
const FAN_IN: usize = 8;
/// Files of this level are left alone.
const LAST_LEVEL: u32 = 4;
/// Rows written before their traces were whole are assembled when this much time has passed since the last of them was
/// received: SDKs export every 5 s, and a trace's spans come from several of them.
const SETTLE: Nanos = 12 * SECOND;
/// Then they wait so much longer for company, if there are few of them.
const COMPANY: Nanos = 8 * SECOND;

/// Files to be merged into one, in the order of their receive times.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub inputs: Vec<Arc<DataFile>>,
    pub level: u32,
}

/// The merge most worth doing now, of at most `most_rows` rows; `None` when there is none.
pub fn plan(files: &[Arc<DataFile>], now: Nanos, most_rows: u64) -> Option<Job> {
    let mut sorted: Vec<&Arc<DataFile>> = files.iter().filter(|f| f.level < LAST_LEVEL).collect();
    sorted.sort_by(|a, b| (a.level, a.max_received, &a.path).cmp(&(b.level, b.max_received, &b.path)));
    settling(&sorted, now, most_rows).or_else(|| joining(&sorted, most_rows))
}

/// Whether a file was flushed in a hurry, its rows not assembled.
fn is_raw(file: &DataFile) -> bool {
    file.level == 0 && file.unassembled * 2 > file.rows
}

/// Whether nothing of a file was received within this time. What comes from as long after `now` was received by a clock
/// that was ahead.
fn is_quiet(file: &DataFile, now: Nanos, time: Nanos) -> bool {
    file.max_received < now - time || file.max_received > now + time
}

/// Files flushed in a hurry whose traces are quiet by now.
fn settling(sorted: &[&Arc<DataFile>], now: Nanos, most_rows: u64) -> Option<Job> {
    let ready = sorted.iter().filter(|f| is_raw(f) && is_quiet(f, now, SETTLE));
    let ready: Vec<&Arc<DataFile>> = ready.copied().collect();
    let first = ready.first()?;
    let inputs = fitting(ready.iter().copied().filter(|f| day(f.min_received) == day(first.min_received)), most_rows);
    let rows: u64 = inputs.iter().map(|f| f.rows).sum();
    let waited = is_quiet(first, now, SETTLE + COMPANY);
    (inputs.len() >= FAN_IN || rows * 2 > most_rows || waited).then_some(Job { inputs, level: 1 })
}

/// Within a day and a level, `FAN_IN` files neighbouring in receive time.
fn joining(sorted: &[&Arc<DataFile>], most_rows: u64) -> Option<Job> {
    let same = |a: &&Arc<DataFile>, b: &&Arc<DataFile>| {
        let small = a.rows * 2 <= most_rows && b.rows * 2 <= most_rows;
        a.level == b.level && day(a.min_received) == day(b.min_received) && small
    };
    let settled: Vec<&Arc<DataFile>> = sorted.iter().filter(|f| !is_raw(f)).copied().collect();
    for run in settled.chunk_by(same) {
        for inputs in run.chunks_exact(FAN_IN) {
            let inputs = fitting(inputs.iter().copied(), most_rows);
            if inputs.len() > 1 {
                return Some(Job { level: inputs[0].level + 1, inputs });
            }
        }
    }
    None
}

/// Files that merging has still to do, those of [`joining`] counted when there are enough of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pending {
    pub files: usize,
    /// When the latest row of the file that waits longest was received.
    pub since: Option<Nanos>,
}

impl Pending {
    pub(crate) fn and(self, other: Pending) -> Pending {
        let since = self.since.into_iter().chain(other.since).min();
        Pending { files: self.files + other.files, since }
    }
}

/// What [`plan`] would find to do if it were asked until it finds nothing.
pub fn pending(files: &[Arc<DataFile>], now: Nanos, most_rows: u64) -> Pending {
    let small = |f: &&Arc<DataFile>| f.level < LAST_LEVEL && f.rows * 2 <= most_rows && !is_raw(f);
    let mut settled: Vec<&Arc<DataFile>> = files.iter().filter(small).collect();
    settled.sort_by_key(|f| (f.level, day(f.min_received)));
    let groups = settled.chunk_by(|a, b| (a.level, day(a.min_received)) == (b.level, day(b.min_received)));
    let join = groups.filter(|group| group.len() >= FAN_IN).flatten().copied();
    let raw = files.iter().filter(|f| is_raw(f) && is_quiet(f, now, SETTLE + COMPANY));
    join.chain(raw).fold(Pending::default(), |sum, file| Pending {
        files: sum.files + 1,
        since: Some(sum.since.map_or(file.max_received, |since| since.min(file.max_received))),
    })
}

/// The first files that together have at most `most_rows` rows; at least one.
fn fitting<'a>(files: impl Iterator<Item = &'a Arc<DataFile>>, most_rows: u64) -> Vec<Arc<DataFile>> {
    let mut rows = 0;
    let mut chosen = Vec::new();
    for file in files {
        rows += file.rows;
        if rows > most_rows && !chosen.is_empty() {
            break;
        }
        chosen.push(Arc::clone(file));
    }
    chosen
}

/// A table's files but for those that were put aside.
pub(crate) fn mergeable(shared: &Shared, table: &Table) -> Vec<Arc<DataFile>> {
    let now = shared.clock.now();
    table.files().iter().filter(|file| !shared.aside.has(&file.path, now)).cloned().collect()
}

/// Merges one job's files. A file that cannot be read is named as damage and stays as it is, and so do all of them when
/// they cannot be merged: they are put aside, so that others are merged. Errors: what may pass when it is tried again.
pub(crate) async fn run(shared: &Arc<Shared>, table: &Arc<Table>, job: &Job) -> Result<()> {
    let before = shared.aside.count();
    let Err(error) = merge_and_replace(shared, table, job).await else { return Ok(()) };
    if !is_lasting(&error) {
        return Err(error);
    }
    tracing::warn!("files stay as they are for now: {error}");
    if shared.aside.count() == before {
        let now = shared.clock.now();
        job.inputs.iter().for_each(|file| shared.aside.put(&file.path, now));
    }
    Ok(())
}

/// Whether trying again at once would fail again: it is in what was read, not in the moment.
pub(crate) fn is_lasting(error: &Error) -> bool {
    matches!(error.kind, Kind::Corrupt | Kind::Internal)
}

async fn merge_and_replace(shared: &Arc<Shared>, table: &Arc<Table>, job: &Job) -> Result<()> {
    let inputs = read_all(shared, &job.inputs).await?;
    let signal = table.signal;
    crash_point!("merge.read");
    let known_at = shared.clock.now();
    let merged = match signal {
        Signal::Traces => merge_traces(shared, table, job, inputs).await?,
        Signal::Metrics | Signal::Logs => {
            let summarize = shared.summarize.clone();
            let work = move || merge::merge(signal, &inputs, &merge::keys(signal, &inputs)?, None, summarize.as_ref());
            Merged { file: background::run("hotspan-merge", Priority::Merge, work).await?, straddling: Vec::new() }
        }
    };
    crash_point!("merge.encoded");
    replace(shared, table, job, merged.file).await?;
    for rows in merged.straddling {
        table.remember(known_at, rows);
    }
    Ok(())
}

struct Merged {
    file: Encoded,
    /// Rows of traces that go on in what was written later, as far as assembly needs them.
    straddling: Vec<RecordBatch>,
}

/// Merges files of spans, their traces assembled by all that is known of them: also by what was written right after,
/// which is read a file at a time, since at a high rate there are many.
async fn merge_traces(
    shared: &Arc<Shared>,
    table: &Arc<Table>,
    job: &Job,
    inputs: Vec<bytes::Bytes>,
) -> Result<Merged> {
    let last = job.inputs.iter().map(|f| f.max_received).max().unwrap_or_else(|| shared.clock.now());
    let place = table.clone();
    let work = move || {
        let keys = merge::keys(Signal::Traces, &inputs)?;
        let traces = Arc::new(assemble::traces(keys.rows()));
        // Held no longer than that: rows that wait may leave memory. What is written from here on is among the neighbours.
        let (context, waiting) = place.context(last);
        let written = context.iter().filter_map(|rows| assemble::only(rows, &traces));
        let in_memory = waiting.iter().filter_map(|rows| assemble::of_traces(rows, &traces));
        let in_memory: Vec<RecordBatch> = written.chain(in_memory).collect();
        Ok((inputs, keys, traces, in_memory))
    };
    let (inputs, keys, traces, in_memory) = background::run("hotspan-merge", Priority::Merge, work).await?;
    let mut known = Vec::new();
    for file in neighbours(&mergeable(shared, table), job) {
        let (file, traces) = (read(shared, &file).await?, traces.clone());
        let work = move || rows_of(file, &traces);
        known.extend(background::run("hotspan-merge", Priority::Merge, work).await?);
    }
    let summarize = shared.summarize.clone();
    let work = move || {
        let later = assemble::traces(&known);
        known.extend(in_memory);
        let assembly = assemble::assembly(&known, keys.rows(), Nanos::MAX, &HashSet::new());
        let file = merge::merge(Signal::Traces, &inputs, &keys, assembly.as_ref(), summarize.as_ref())?;
        let straddling = keys.rows().iter().filter_map(|rows| assemble::only(rows, &later)).collect();
        Ok(Merged { file, straddling })
    };
    background::run("hotspan-merge", Priority::Merge, work).await
}

/// Puts the merged file in the place of the job's. Returns its path.
pub(crate) async fn replace(shared: &Arc<Shared>, table: &Arc<Table>, job: &Job, merged: Encoded) -> Result<String> {
    let (first, last) = (&job.inputs[0], &job.inputs[job.inputs.len() - 1]);
    let name = format!(
        "{}={}/{}-merged-{}-{:x}-{:x}-{:x}.parquet",
        crate::delta::PARTITION,
        day(first.min_received),
        table.signal.table(),
        job.level,
        first.min_received,
        last.max_received,
        merged.checksum,
    );
    let path = table.log.path_of(&name).to_string();
    if job.inputs.iter().any(|f| f.add.path == name) {
        // The same bytes again. Readers would take a file that is removed and added in one commit for removed.
        return Ok(path);
    }
    let clock = shared.clock.as_ref();
    let add = crate::flush::put(shared, table, name, merged, job.level, false).await?;
    let removes = job.inputs.iter().map(|f| f.add.removed(false, clock)).collect();
    let commit = Commit { operation: "OPTIMIZE", adds: vec![add], removes, ..Commit::default() };
    crash_point!("merge.put");
    table.commit(&commit, None).await?;
    crash_point!("merge.committed");
    Ok(path)
}

/// Files outside the job that may hold spans of its traces, as far as they are not assembled either: what arrived right
/// after. Rows of what came right before are remembered by the table.
fn neighbours(files: &[Arc<DataFile>], job: &Job) -> Vec<Arc<DataFile>> {
    let end = job.inputs.iter().map(|f| f.max_received).max().unwrap_or(0);
    let inside = |f: &&Arc<DataFile>| job.inputs.iter().any(|input| input.path == f.path);
    let near = |f: &&Arc<DataFile>| f.level == 0 && f.max_received >= end && f.min_received <= end + SETTLE;
    files.iter().filter(|f| near(f) && !inside(f)).cloned().collect()
}

async fn read_all(shared: &Shared, files: &[Arc<DataFile>]) -> Result<Vec<bytes::Bytes>> {
    let mut all = Vec::with_capacity(files.len());
    for file in files {
        all.push(read(shared, file).await?);
    }
    Ok(all)
}

/// Reads a file whole, and compares it with its checksum. One that is not there or has changed is noted as damage.
///
/// Errors: `Corrupt` of that, `Unavailable` of what may pass.
pub(crate) async fn read(shared: &Shared, file: &DataFile) -> Result<bytes::Bytes> {
    let path = Path::from(file.path.as_str());
    let read = async { shared.objects.get(&path).await?.bytes().await };
    let sound = match read.await {
        Err(error) => Err(ranged::unreadable(&error)),
        Ok(bytes) if file.checksum.is_some_and(|expected| xxhash_rust::xxh3::xxh3_64(&bytes) != expected) => {
            Err(Error::corrupt("its bytes are not those that were written (checksum)"))
        }
        Ok(bytes) => Ok(bytes),
    };
    sound.map_err(|error| {
        let (error, now) = (error.context(&file.path), shared.clock.now());
        if is_lasting(&error) {
            shared.note_damage(error.message.clone());
            shared.aside.put(&file.path, now);
        } else {
            shared.aside.put_shortly(&file.path, now);
        }
        error
    })
}

/// What assembly reads of a file's rows of these traces.
pub(crate) fn rows_of(file: bytes::Bytes, traces: &HashSet<u128>) -> Result<Vec<RecordBatch>> {
    let mut found = Vec::new();
    for rows in FileReader::open(Signal::Traces, file, Some(&assemble::NEEDED), merge::KEY_ROWS)? {
        found.extend(assemble::only(&rows?, traces));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
