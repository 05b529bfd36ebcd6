//! A snapshot out: what a query may see, immutable, taken in one step from memory and files together.
//!
//! *Invariants:* every acknowledged row is in exactly one of `memory` and `files`; holding a snapshot keeps its
//! files from being vacuumed (they are leased through their `Arc`); a query never locks the write path.

use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use model::{Nanos, Signal, Tenant};
use object_store::ObjectStore;

use crate::assemble;
use crate::delta::DataFile;

/// One table as of one moment.
#[derive(Clone)]
pub struct TableSnapshot {
    pub signal: Signal,
    /// Rows not yet in a file, in the order they were acknowledged; physical schema.
    pub memory: Arc<[RecordBatch]>,
    /// The files of the Delta version below.
    pub files: Arc<[Arc<DataFile>]>,
    /// The Delta version the files are of; `None` before the first commit.
    pub version: Option<u64>,
    /// Rows that were written a moment ago, as far as assembling the traces of `memory` needs them.
    context: Arc<[RecordBatch]>,
    assembled: Arc<OnceLock<Vec<RecordBatch>>>,
}

impl TableSnapshot {
    pub fn new(signal: Signal, memory: Arc<[RecordBatch]>, files: Arc<[Arc<DataFile>]>, version: Option<u64>) -> Self {
        TableSnapshot { signal, memory, files, version, context: Arc::new([]), assembled: Arc::new(OnceLock::new()) }
    }

    pub(crate) fn with_context(self, context: Arc<[RecordBatch]>) -> Self {
        TableSnapshot { context, ..self }
    }

    /// The rows in memory with the assembled columns filled for traces that have been quiet since `quiet_before`
    /// (by receive time). Computed once for a snapshot and shared by its clones. Other signals: `memory` itself.
    pub fn assembled_memory(&self, quiet_before: Nanos) -> &[RecordBatch] {
        match self.signal {
            Signal::Traces => self.assembled.get_or_init(|| assemble::fill(&self.context, &self.memory, quiet_before)),
            Signal::Metrics | Signal::Logs => &self.memory,
        }
    }

    pub fn rows(&self) -> u64 {
        let memory: usize = self.memory.iter().map(RecordBatch::num_rows).sum();
        memory as u64 + self.files.iter().map(|f| f.rows).sum::<u64>()
    }
}

/// The tables of one tenant as of one moment.
#[derive(Clone)]
pub struct Snapshot {
    pub tenant: Tenant,
    /// When it was taken.
    pub taken: Nanos,
    /// Where the files are; their paths are relative to this store's root.
    pub objects: Arc<dyn ObjectStore>,
    pub tables: [TableSnapshot; 3],
}

impl Snapshot {
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
            out.field(table.signal.table(), &(table.memory.len(), table.files.len(), table.version));
        }
        out.finish()
    }
}

/// Who can give snapshots: the running store, or a folder read without a lock.
pub trait Source: Send + Sync + 'static {
    /// The tenant's tables now. A tenant nobody has written for has empty tables.
    fn snapshot(&self, tenant: &Tenant) -> model::Result<Snapshot>;
}
