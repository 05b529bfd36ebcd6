//! Many small files become few: [`plan`] chooses, [`run`] merges and commits with `dataChange=false`.
//!
//! Files of neighbouring receive times are merged, so that the spans of a trace that were flushed apart meet again
//! and are assembled anew. The rows stay the same but for their assembled columns.

use std::sync::Arc;

use model::{Error, Result, Signal};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::assemble;
use crate::delta::{Commit, DataFile, day};
use crate::parquet_file::{self, Encoded};
use crate::store::Shared;
use crate::table::Table;

/// Files of one level that are merged into one of the next.
const FAN_IN: usize = 8;
/// No merge makes a file of more rows than this: its rows are in memory while it is made.
const MOST_ROWS: u64 = 1_000_000;
/// Files of this level are left alone.
const LAST_LEVEL: u32 = 4;

/// Files to be merged into one.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub inputs: Vec<Arc<DataFile>>,
    pub level: u32,
}

/// The merges worth doing now: within a day and a level, runs of `FAN_IN` files neighbouring in receive time.
pub fn plan(files: &[Arc<DataFile>]) -> Vec<Job> {
    let mut sorted: Vec<&Arc<DataFile>> = files.iter().filter(|f| f.level < LAST_LEVEL).collect();
    sorted.sort_by_key(|f| (f.level, f.max_received, f.path.clone()));
    let mut jobs = Vec::new();
    let same = |a: &&Arc<DataFile>, b: &&Arc<DataFile>| {
        a.level == b.level && day(a.min_received) == day(b.min_received) && a.rows < MOST_ROWS && b.rows < MOST_ROWS
    };
    for run in sorted.chunk_by(same) {
        for inputs in run.chunks_exact(FAN_IN) {
            let mut rows = 0;
            let fitting = inputs.iter().take_while(|f| {
                rows += f.rows;
                rows <= MOST_ROWS
            });
            let inputs: Vec<Arc<DataFile>> = fitting.map(|f| Arc::clone(f)).collect();
            if inputs.len() > 1 {
                jobs.push(Job { level: inputs[0].level + 1, inputs });
            }
        }
    }
    jobs
}

/// Merges one job's files. A file that cannot be read is named as damage and stays as it is.
pub(crate) async fn run(shared: &Shared, table: &Arc<Table>, job: &Job) -> Result<()> {
    let mut inputs = Vec::new();
    for file in &job.inputs {
        match read(shared, file).await {
            Ok(bytes) => inputs.push(bytes),
            Err(error) => {
                shared.note_damage(format!("{}: {}", file.path, error.message));
                return Err(error);
            }
        }
    }
    let signal = table.signal;
    let merged = tokio::task::spawn_blocking(move || merge(signal, inputs));
    let merged = merged.await.map_err(|e| Error::internal(format!("merging {}: {e}", signal.table())))??;
    let (first, last) = (&job.inputs[0], &job.inputs[job.inputs.len() - 1]);
    let name = format!(
        "{}={}/{}-merged-{}-{:x}-{:x}.parquet",
        crate::delta::PARTITION,
        day(first.min_received),
        signal.table(),
        job.level,
        first.min_received,
        last.max_received,
    );
    let clock = shared.clock.as_ref();
    let add = crate::flush::put(shared, table, name, merged, job.level, false).await?;
    let removes = job.inputs.iter().map(|f| f.add.removed(false, clock)).collect();
    let commit = Commit { operation: "OPTIMIZE", adds: vec![add], removes, ..Commit::default() };
    table.commit(&commit, None).await.map(drop)
}

async fn read(shared: &Shared, file: &DataFile) -> Result<bytes::Bytes> {
    let path = Path::from(file.path.as_str());
    let trouble = |e: object_store::Error| Error::corrupt(format!("cannot be read: {e}"));
    let bytes = shared.objects.get(&path).await.map_err(trouble)?.bytes().await.map_err(trouble)?;
    match file.checksum {
        Some(expected) if xxhash_rust::xxh3::xxh3_64(&bytes) != expected => {
            Err(Error::corrupt("its bytes are not those that were written (checksum)"))
        }
        _ => Ok(bytes),
    }
}

fn merge(signal: Signal, inputs: Vec<bytes::Bytes>) -> Result<Encoded> {
    let mut batches = Vec::new();
    for bytes in inputs {
        batches.extend(parquet_file::decode(signal, bytes)?);
    }
    if signal == Signal::Traces && batches.iter().any(|b| assemble::unsettled(b) > 0) {
        batches = assemble::fill(&[], &batches, i64::MAX);
    }
    parquet_file::encode(signal, &batches)
}
