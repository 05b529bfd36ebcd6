//! One table of one tenant: rows in memory and files on disk, and the one step in which rows move from one to the
//! other.
//!
//! *Invariant:* rows are inserted in the order of the log and leave as a prefix of it, together with the files that
//! hold them, under one lock: no snapshot sees a row twice or not at all.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, ArrayData, RecordBatch};
use model::schema::time_column;
use model::time::SECOND;
use model::{Nanos, Result, Signal};

use crate::assemble;
use crate::delta::{Commit, Committed, DataFile, DeltaLog, TableState};
use crate::snapshot::TableSnapshot;

/// How long written rows take part in assembling the traces they belong to: twice as long as exports of one trace
/// are usually apart.
const REMEMBER: Nanos = 30 * SECOND;

/// Rows of one export, held until they are written.
#[derive(Clone)]
struct Held {
    seq: u64,
    received: Nanos,
    bytes: usize,
    rows: RecordBatch,
}

#[derive(Default)]
struct Inner {
    held: Vec<Held>,
    /// Rows written within [`REMEMBER`], narrowed to what assembly needs: the rest of their traces is still in
    /// memory or on its way.
    written: Vec<(Nanos, RecordBatch)>,
    bytes: usize,
    files: Arc<[Arc<DataFile>]>,
    version: Option<u64>,
    /// The last snapshot, while nothing has changed since.
    cached: Option<TableSnapshot>,
}

pub struct Table {
    pub signal: Signal,
    pub log: DeltaLog,
    inner: Mutex<Inner>,
    /// The log's state; held while committing, never while encoding.
    state: tokio::sync::Mutex<TableState>,
}

/// What a flush takes: the rows to write, and all rows for the traces they belong to.
pub struct Part {
    /// Rows written a moment ago that may belong to the same traces.
    pub context: Arc<[RecordBatch]>,
    /// Every row in memory, in the order of the log.
    pub memory: Vec<RecordBatch>,
    /// So many batches of `memory`, from the front, are to be written.
    pub count: usize,
    pub first_seq: u64,
}

impl Inner {
    fn remember(&mut self, written: &[Held]) {
        let narrowed = written.iter().filter_map(|h| Some((h.received, assemble::context_of(&h.rows)?)));
        self.written.extend(narrowed);
        let newest = self.written.iter().map(|(received, _)| *received).max().unwrap_or(0);
        self.written.retain(|(received, _)| *received > newest - REMEMBER);
    }

    fn context(&self) -> Arc<[RecordBatch]> {
        self.written.iter().map(|(_, rows)| rows.clone()).collect()
    }
}

impl Table {
    pub fn new(signal: Signal, log: DeltaLog, state: TableState) -> Self {
        let table =
            Table { signal, log, inner: Mutex::default(), state: tokio::sync::Mutex::new(TableState::default()) };
        table.show(&state, &mut table.inner());
        Table { state: tokio::sync::Mutex::new(state), ..table }
    }

    /// A poisoned lock means that a thread panicked between two assignments that cannot panic.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called from the log's writer thread, in the order of the log.
    pub fn insert(&self, seq: u64, received: Nanos, rows: RecordBatch) {
        let bytes = bytes_of(&rows);
        let mut inner = self.inner();
        inner.bytes += bytes;
        inner.held.push(Held { seq, received, bytes, rows });
        inner.cached = None;
    }

    pub fn snapshot(&self) -> TableSnapshot {
        let mut inner = self.inner();
        if let Some(cached) = &inner.cached {
            return cached.clone();
        }
        let memory: Arc<[RecordBatch]> = inner.held.iter().map(|h| h.rows.clone()).collect();
        let context = inner.context();
        let snapshot =
            TableSnapshot::new(self.signal, memory, inner.files.clone(), inner.version).with_context(context);
        inner.cached = Some(snapshot.clone());
        snapshot
    }

    pub fn files(&self) -> Arc<[Arc<DataFile>]> {
        self.inner().files.clone()
    }

    /// Rows and bytes in memory.
    pub fn in_memory(&self) -> (u64, u64) {
        let inner = self.inner();
        (inner.held.iter().map(|h| h.rows.num_rows() as u64).sum(), inner.bytes as u64)
    }

    /// The least sequence number that must stay in memory: the first that was received after `cut`.
    pub fn first_young(&self, cut: Nanos) -> Option<u64> {
        self.inner().held.iter().filter(|h| h.received > cut).map(|h| h.seq).min()
    }

    pub fn last_seq(&self) -> Option<u64> {
        self.inner().held.last().map(|h| h.seq)
    }

    pub fn oldest_received(&self) -> Option<Nanos> {
        self.inner().held.first().map(|h| h.received)
    }

    /// The sequence number at which half of the held bytes are reached.
    pub fn half_seq(&self) -> Option<u64> {
        let inner = self.inner();
        let mut sum = 0;
        let reached = inner.held.iter().find(|h| {
            sum += h.bytes;
            sum * 2 >= inner.bytes
        });
        reached.map(|h| h.seq)
    }

    /// What there is to write up to `through`.
    pub fn part(&self, through: u64) -> Option<Part> {
        let inner = self.inner();
        let count = inner.held.iter().take_while(|h| h.seq <= through).count();
        let first_seq = inner.held.first()?.seq;
        let memory = || inner.held.iter().map(|h| h.rows.clone()).collect();
        (count > 0).then(|| Part { context: inner.context(), memory: memory(), count, first_seq })
    }

    /// Commits, and in one step shows the new files and drops the rows that are now in them.
    pub async fn commit(&self, commit: &Commit, flushed_through: Option<u64>) -> Result<Committed> {
        let mut state = self.state.lock().await;
        let outcome = self.log.commit(&mut state, commit).await;
        let mut inner = self.inner();
        if let (Some(through), Ok(_)) = (flushed_through, &outcome) {
            let keep = inner.held.iter().position(|h| h.seq > through).unwrap_or(inner.held.len());
            let written: Vec<Held> = inner.held.drain(..keep).collect();
            inner.bytes -= written.iter().map(|h| h.bytes).sum::<usize>();
            inner.remember(&written);
        }
        self.show(&state, &mut inner);
        outcome
    }

    /// Makes the files of `state` visible, reusing the leases of those that stay.
    fn show(&self, state: &TableState, inner: &mut Inner) {
        let known: HashMap<&str, &Arc<DataFile>> = inner.files.iter().map(|f| (f.add.path.as_str(), f)).collect();
        let file = |add: &crate::delta::Add| match known.get(add.path.as_str()) {
            Some(file) => Arc::clone(file),
            None => Arc::new(DataFile::of(add, self.log.root(), time_column(self.signal))),
        };
        let files: Arc<[Arc<DataFile>]> = state.files.values().map(file).collect();
        inner.files = files;
        inner.version = state.version;
        inner.cached = None;
    }

    /// Removed files that may still be in the folder, with their time of removal in Unix milliseconds.
    pub async fn tombstones(&self) -> Vec<(String, i64)> {
        let state = self.state.lock().await;
        state.tombstones.values().map(|r| (r.path.clone(), r.deletion_timestamp.unwrap_or(0))).collect()
    }

    /// Forgets tombstones whose files are gone.
    pub async fn forget(&self, paths: &[String]) {
        let mut state = self.state.lock().await;
        for path in paths {
            state.tombstones.remove(path);
        }
    }
}

/// Bytes of the buffers behind a batch, shared ones counted once (columns without a value share theirs).
fn bytes_of(rows: &RecordBatch) -> usize {
    let mut seen = HashSet::new();
    let mut bytes = 0;
    let mut waiting: Vec<ArrayData> = rows.columns().iter().map(|c| c.to_data()).collect();
    while let Some(data) = waiting.pop() {
        let nulls = data.nulls().map(|n| n.buffer());
        for buffer in data.buffers().iter().chain(nulls) {
            if seen.insert(buffer.as_ptr()) {
                bytes += buffer.capacity();
            }
        }
        waiting.extend(data.child_data().iter().cloned());
    }
    bytes
}
