//! Spans that came late: their trace was written and assembled without them.
//!
//! A late span lies in a file of its own time as a row whose parent was missing. Now and then one such file is taken up:
//! the files of about the same time are asked for its open traces (bloom filters first, then the ids themselves), and
//! every file that holds a part of such a trace is written again with the trace assembled from all of it.
//!
//! Sits beside merging, which joins what arrived within seconds. *Invariant:* a file is taken up once, to the end; what
//! was not found then is missing because nobody sent it, or because it comes later, with a file that will be taken up.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use model::schema::column;
use model::time::{MINUTE, SECOND};
use model::{Nanos, Result, Signal};
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;

use crate::aside::Aside;
use crate::assemble;
use crate::background::{self, Priority};
use crate::compact::{self, Job};
use crate::crash::crash_point;
use crate::delta::DataFile;
use crate::file_reader::FileReader;
use crate::merge;
use crate::ranged::{self, Ranged};
use crate::store::Shared;
use crate::table::Table;

/// So far apart the parts of a trace may have arrived.
const REACH: Nanos = 15 * MINUTE;
/// Files younger than this are still being merged with their neighbours.
const YOUNG: Nanos = 40 * SECOND;
/// When more than this share of a file's rows belong to open traces, their parents are not late: nobody sends them.
const MOST_OPEN: f64 = 0.1;
/// Files that are written again for one that was taken up.
const MOST_FILES: usize = 4;

#[derive(Debug, Default)]
pub struct Late {
    /// The files that were taken up.
    taken_up: HashSet<String>,
    /// Those whose turn comes again, because something hindered it that passes.
    hindered: Aside,
}

impl Late {
    /// The next file to take up: the oldest with open traces that was not.
    fn next(&mut self, table: &Table, files: &[Arc<DataFile>], now: Nanos) -> Option<Arc<DataFile>> {
        let root = format!("{}/", table.log.root());
        let there: HashSet<&str> = files.iter().map(|f| f.path.as_str()).collect();
        self.taken_up.retain(|path| !path.starts_with(&root) || there.contains(path.as_str()));
        let open = |f: &&Arc<DataFile>| {
            let few = f.unassembled > 0 && (f.rows < 100 || f.unassembled as f64 <= f.rows as f64 * MOST_OPEN);
            let is_free = !self.taken_up.contains(&f.path) && !self.hindered.has(&f.path, now);
            few && f.max_received < now - YOUNG && is_free
        };
        files.iter().filter(open).min_by_key(|f| f.max_received).cloned()
    }

    /// Takes up one file of a table; false when there is none. Errors: what may pass; then it is tried again.
    pub(crate) async fn correct_one(&mut self, shared: &Arc<Shared>, table: &Arc<Table>) -> Result<bool> {
        if table.signal != Signal::Traces {
            return Ok(false);
        }
        let (files, now) = (table.files(), shared.clock.now());
        let Some(file) = self.next(table, &files, now) else { return Ok(false) };
        if let Err(error) = self.take_up(shared, table, &files, &file).await {
            if !compact::is_lasting(&error) {
                self.hindered.put_shortly(&file.path, now);
                return Err(error);
            }
            tracing::warn!("late spans stay as they are: {error}");
        }
        self.taken_up.insert(file.path.clone());
        Ok(true)
    }

    async fn take_up(
        &mut self,
        shared: &Arc<Shared>,
        table: &Arc<Table>,
        files: &[Arc<DataFile>],
        file: &Arc<DataFile>,
    ) -> Result<()> {
        let near = |f: &&Arc<DataFile>| {
            f.path != file.path
                && f.min_received <= file.max_received + REACH
                && f.max_received >= file.min_received - REACH
        };
        let open = open_traces(shared, file).await?;
        let mut parts = Vec::new();
        for other in files.iter().filter(near) {
            if !open.is_empty() && parts.len() < MOST_FILES && holds(shared, other, &open).await? {
                parts.push(other.clone());
            }
        }
        if !parts.is_empty() {
            parts.push(file.clone());
            self.assemble_across(shared, table, &parts, open).await?;
        }
        Ok(())
    }

    /// Writes each of the files again, its part of the traces assembled from the parts in all of them. What is written
    /// for a file that was taken up was taken up with it: otherwise files that see different parts of a trace would be
    /// written for ever in turns. The last one is being taken up: as long as it is as it was, all of it can be done again.
    async fn assemble_across(
        &mut self,
        shared: &Arc<Shared>,
        table: &Arc<Table>,
        parts: &[Arc<DataFile>],
        traces: HashSet<u128>,
    ) -> Result<()> {
        let traces = Arc::new(traces);
        let mut known: Vec<Vec<RecordBatch>> = Vec::new();
        for part in parts {
            let (file, wanted) = (compact::read(shared, part).await?, traces.clone());
            let work = move || compact::rows_of(file, &wanted);
            known.push(background::run("hotspan-late", Priority::Merge, work).await?);
        }
        crash_point!("late.read");
        for (at, part) in parts.iter().enumerate() {
            let job = Job { inputs: vec![part.clone()], level: part.level };
            let inputs = [compact::read(shared, part).await?];
            let others = known.iter().enumerate().filter(|(other, _)| *other != at);
            let context: Vec<RecordBatch> = others.flat_map(|(_, rows)| rows.iter().cloned()).collect();
            let (wanted, summarize) = (traces.clone(), shared.summarize.clone());
            let work = move || {
                let keys = merge::keys(Signal::Traces, &inputs)?;
                let assembly = assemble::assembly(&context, keys.rows(), Nanos::MAX, &wanted);
                merge::merge(Signal::Traces, &inputs, &keys, assembly.as_ref(), summarize.as_ref())
            };
            let written = background::run("hotspan-late", Priority::Merge, work).await?;
            let path = compact::replace(shared, table, &job, written).await?;
            crash_point!("late.replaced");
            if at + 1 == parts.len() || self.taken_up.contains(&part.path) {
                self.taken_up.insert(path);
            }
        }
        tracing::debug!(files = parts.len(), traces = traces.len(), "assembled late spans into their traces");
        Ok(())
    }
}

async fn open_traces(shared: &Arc<Shared>, file: &Arc<DataFile>) -> Result<HashSet<u128>> {
    let bytes = compact::read(shared, file).await?;
    let work = move || {
        let mut open = HashSet::new();
        for rows in FileReader::open(Signal::Traces, bytes, Some(&assemble::NEEDED), merge::KEY_ROWS)? {
            open.extend(assemble::unsettled_traces(&rows?));
        }
        Ok(open)
    };
    background::run("hotspan-late", Priority::Merge, work).await
}

/// Whether a file has a row of one of the traces. Reads its bloom filters, and the ids only when those say "perhaps".
async fn holds(shared: &Arc<Shared>, file: &Arc<DataFile>, traces: &HashSet<u128>) -> Result<bool> {
    let broken = |e: parquet::errors::ParquetError| ranged::broken(&e).context(&file.path);
    let reader = Ranged::new(shared.objects.clone(), file);
    let mut builder = ParquetRecordBatchStreamBuilder::new(reader).await.map_err(broken)?;
    let columns = builder.parquet_schema().columns();
    let Some(at) = columns.iter().position(|c| c.path().string() == column::TRACE_ID) else { return Ok(false) };
    let mut groups = Vec::new();
    for group in 0..builder.metadata().num_row_groups() {
        let filter = builder.get_row_group_column_bloom_filter(group, at).await.map_err(broken)?;
        if filter.is_none_or(|filter| traces.iter().any(|id| filter.check(&id.to_be_bytes()[..]))) {
            groups.push(group);
        }
    }
    if groups.is_empty() {
        return Ok(false);
    }
    let ids = ProjectionMask::leaves(builder.parquet_schema(), [at]);
    let mut rows = builder.with_row_groups(groups).with_projection(ids).build().map_err(broken)?;
    while let Some(batch) = rows.try_next().await.map_err(broken)? {
        if assemble::only(&batch, traces).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
