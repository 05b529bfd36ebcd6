//! A snapshot out: what a query may see, immutable, taken in one step from memory, log and files together.
//!
//! *Invariants:* every acknowledged row is in exactly one of `memory`, `backlog` and `files`; holding a snapshot keeps
//! its files from being vacuumed (they are leased through their `Arc`) and its part of the log from being trimmed; a
//! query never locks the write path.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use model::run::Run;
use model::schema::column;
use model::{Nanos, Result, Signal, Tenant, TraceId};
use object_store::ObjectStore;

use crate::assembled::{Assembled, Recent, whole_before};
use crate::backlog::Backlog;
use crate::delta::DataFile;
use crate::held::Held;
use crate::lease::{Lease, Leased};
use crate::memory::Memory;
use crate::order::Place;
use crate::packed::{self, Packed};

/// Rows in memory, and the least and the greatest of the table's time column among them.
#[derive(Debug, Clone)]
pub struct Timed {
    pub times: (Nanos, Nanos),
    pub rows: Packed,
}

/// One table as of one moment.
#[derive(Clone)]
pub struct TableSnapshot {
    pub signal: Signal,
    /// The files of the Delta version below.
    pub files: Arc<[Arc<DataFile>]>,
    /// The Delta version the files are of; `None` before the first commit.
    pub version: Option<u64>,
    /// Rows not yet in a file that were dropped from memory: the log has them.
    pub backlog: Option<Backlog>,
    /// Rows not yet in a file, in the order they were acknowledged.
    held: Leased<Arc<[Arc<Held>]>>,
    /// Rows that were written a moment ago, as far as assembling the traces of `memory` needs them.
    context: Arc<[RecordBatch]>,
    recent: Arc<Recent>,
    assembled: Leased<Arc<OnceLock<Arc<Assembled>>>>,
    /// Of the rows in memory, and of what is made of them for a question.
    lease: Lease,
}

impl TableSnapshot {
    pub fn new(signal: Signal, memory: &[RecordBatch], files: Arc<[Arc<DataFile>]>, version: Option<u64>) -> Self {
        let held = (1..).zip(memory).map(|(seq, rows)| Arc::new(Held::new(signal, seq, 0, rows.clone())));
        let recent = Arc::new(Recent::new(Arc::new(Memory::new(u64::MAX))));
        TableSnapshot::of(signal, held.collect(), recent, files, version)
    }

    pub(crate) fn of(
        signal: Signal,
        held: Vec<Arc<Held>>,
        recent: Arc<Recent>,
        files: Arc<[Arc<DataFile>]>,
        version: Option<u64>,
    ) -> Self {
        let lease = Lease::default();
        let (held, assembled) = (lease.lend(held.into()), lease.lend(Arc::default()));
        TableSnapshot { signal, files, version, backlog: None, held, context: Arc::new([]), recent, assembled, lease }
    }

    /// The same rows in memory and in the log beside other files of the table.
    pub fn with_files(self, files: Arc<[Arc<DataFile>]>) -> Self {
        TableSnapshot { files, ..self }
    }

    /// The same files, without the rows in memory; the part of the log stays as well.
    fn without_memory(&self) -> Self {
        let backlog = self.backlog.clone();
        let files = (self.files.clone(), self.version);
        TableSnapshot::of(self.signal, Vec::new(), self.recent.clone(), files.0, files.1).with_backlog(backlog)
    }

    /// The same rows for a question of a later moment: more traces may be quiet.
    pub(crate) fn of_now(&self) -> Self {
        self.lent(Arc::default())
    }

    /// The same rows under a lease of their own.
    fn lent(&self, assembled: Arc<OnceLock<Arc<Assembled>>>) -> Self {
        let lease = Lease::default();
        let (held, assembled) = (lease.lend(self.held.get()), lease.lend(assembled));
        TableSnapshot { held, assembled, lease, ..self.clone() }
    }

    /// Of this table's rows in memory: whoever makes something of them that has them for longer has it lent as well.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    pub(crate) fn with_context(self, context: Arc<[RecordBatch]>) -> Self {
        TableSnapshot { context, ..self }
    }

    /// The same with another part of what is only in the log.
    pub fn with_backlog(self, backlog: Option<Backlog>) -> Self {
        TableSnapshot { backlog, ..self }
    }

    /// The rows in memory in the order they were acknowledged, in the physical schema.
    pub fn memory(&self) -> Vec<Timed> {
        let held = self.held.get();
        in_memory(&held).map(|(held, rows)| Timed { times: held.times, rows: rows.clone() }).collect()
    }

    /// The spans of one trace that are in memory, without what is found of traces; `None` when there are none.
    pub fn trace_in_memory(&self, id: TraceId) -> Result<Option<RecordBatch>> {
        let (mut batches, mut places) = (Vec::new(), Vec::new());
        for (_, rows) in in_memory(&self.held.get()) {
            let batch = batches.len() as u32;
            places.extend(rows.rows_of(column::TRACE_ID, id.0).map(|row| Place { batch, row: row as u32 }));
            if places.last().is_some_and(|last| last.batch == batch) {
                batches.push(rows.clone());
            }
        }
        if places.is_empty() { Ok(None) } else { packed::gather(&batches, &places).map(Some) }
    }

    /// The number of batches in memory.
    pub fn batches(&self) -> usize {
        self.held.get().len()
    }

    /// The rows in memory with the assembled columns filled for traces that have been quiet since `quiet_before`
    /// (by receive time), or a second longer. Computed once for a snapshot, and little of it again for the next one.
    /// Other signals: the rows as they are.
    pub fn assembled_memory(&self, quiet_before: Nanos) -> Vec<Timed> {
        if self.signal != Signal::Traces {
            return self.memory();
        }
        let (held, assembled) = self.assembled(quiet_before);
        let rows = in_memory(&held).zip(assembled.rows());
        rows.map(|((held, _), rows)| Timed { times: held.times, rows: rows.clone() }).collect()
    }

    /// Whether traces that look whole are assembled before they have been quiet since `quiet_before`: not where many came
    /// lately.
    pub fn assembles_sooner(&self, quiet_before: Nanos) -> bool {
        whole_before(quiet_before, in_memory(&self.held.get()).map(|(held, _)| held)) > quiet_before
    }

    /// The same table of spans without those of its assembled rows in memory that have these numbers.
    pub fn without_rows(&self, quiet_before: Nanos, numbers: &HashSet<u64>) -> Self {
        if numbers.is_empty() {
            return self.clone();
        }
        let (held, assembled) = self.assembled(quiet_before);
        let gone = in_memory(&held).zip(assembled.rows()).filter(|(_, rows)| numbers.contains(&rows.number()));
        let gone: HashSet<_> = gone.map(|((held, _), _)| held.records()).collect();
        let left = held.iter().filter(|held| !gone.contains(&held.records())).cloned().collect();
        let assembled = OnceLock::from(Arc::new(assembled.without(numbers)));
        let (held, assembled) = (self.lease.lend(left), self.lease.lend(Arc::new(assembled)));
        TableSnapshot { held, assembled, ..self.clone() }
    }

    /// The rows in memory as they came and, one for each in the same order, assembled.
    fn assembled(&self, quiet_before: Nanos) -> (Arc<[Arc<Held>]>, Arc<Assembled>) {
        let (held, assembled) = (self.held.get(), self.assembled.get());
        let assembled = assembled.get_or_init(|| self.recent.assembled(&held, &self.context, quiet_before)).clone();
        (held, assembled)
    }

    /// The number of rows in memory.
    pub fn rows_in_memory(&self) -> usize {
        in_memory(&self.held.get()).map(|(_, rows)| rows.num_rows()).sum()
    }

    pub fn rows(&self) -> u64 {
        let memory: usize = self.held.get().iter().map(|h| h.rows).sum();
        let backlog = self.backlog.as_ref().map_or(0, Backlog::rows);
        memory as u64 + backlog + self.files.iter().map(|f| f.rows).sum::<u64>()
    }
}

fn in_memory(held: &[Arc<Held>]) -> impl Iterator<Item = (&Held, &Packed)> {
    held.iter().filter_map(|held| Some((&**held, held.batch.as_ref()?)))
}

/// The tables of one tenant as of one moment.
#[derive(Clone)]
pub struct Snapshot {
    pub tenant: Tenant,
    /// When it was taken.
    pub taken: Nanos,
    /// When the newest export of any tenant was received, if there was one lately.
    pub newest_export: Option<Nanos>,
    /// Where the files are; their paths are relative to this store's root.
    pub objects: Arc<dyn ObjectStore>,
    pub tables: [TableSnapshot; 3],
    /// The tenant's stress-test runs, in order of their start.
    pub runs: Arc<[Run]>,
}

impl Snapshot {
    /// What keeps files and the log in place for a plan that has what it needs of the memory.
    pub fn without_memory(&self) -> Self {
        Snapshot { tables: self.tables.each_ref().map(TableSnapshot::without_memory), ..self.clone() }
    }

    /// The same under leases of its own: for one question, whose end takes nothing from others.
    pub fn lent(&self) -> Self {
        let lent = |table: &TableSnapshot| table.lent(table.assembled.get());
        Snapshot { tables: self.tables.each_ref().map(lent), ..self.clone() }
    }

    /// Of the rows in memory of each table.
    pub fn leases(&self) -> [Lease; 3] {
        self.tables.each_ref().map(|table| table.lease.clone())
    }

    pub fn table(&self, signal: Signal) -> &TableSnapshot {
        match signal {
            Signal::Traces => &self.tables[0],
            Signal::Metrics => &self.tables[1],
            Signal::Logs => &self.tables[2],
        }
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Snapshot");
        out.field("tenant", &self.tenant);
        for table in &self.tables {
            out.field(table.signal.table(), &(table.batches(), table.files.len(), table.version));
        }
        out.finish()
    }
}

/// Who can give snapshots: the running store, or a folder read without a lock.
pub trait Source: Send + Sync + 'static {
    /// The tenant's tables now. A tenant nobody has written for has empty tables.
    fn snapshot(&self, tenant: &Tenant) -> model::Result<Snapshot>;

    /// Bytes of rows that left the tables and that snapshots, or who writes files, still have.
    fn pinned_bytes(&self) -> u64 {
        0
    }
}
