//! Rows that are only in the log: read and decoded again when somebody wants them.
//!
//! Under a burst beyond what encoding can follow, rows leave memory while their record waits in the log. A flush reads
//! them here on their way to a file, a query to answer over everything that was acknowledged.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use model::{Decoder, Error, Result, Signal, Tenant};

use crate::held::Held;
use crate::leaving::{Known, PartNumber};
use crate::record::{self, Record};
use crate::store::wal_error;

/// The log as a source of rows.
pub struct Log {
    pub wal: wal::Wal,
    decoder: Arc<dyn Decoder>,
    /// How many readers need the log from a record on.
    leases: Mutex<BTreeMap<u64, usize>>,
}

impl Log {
    pub fn new(wal: wal::Wal, decoder: Arc<dyn Decoder>) -> Self {
        Log { wal, decoder, leases: Mutex::default() }
    }

    fn leases(&self) -> MutexGuard<'_, BTreeMap<u64, usize>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Up to where the log may be trimmed when `through` has been written: readers keep what they need.
    pub fn trimmable(&self, through: u64) -> u64 {
        match self.leases().first_key_value() {
            Some((first, _)) => through.min(first.saturating_sub(1)),
            None => through,
        }
    }

    /// Keeps the log from `first` on until the lease is dropped.
    pub fn lease(self: &Arc<Self>, first: u64) -> Lease {
        *self.leases().entry(first).or_default() += 1;
        Lease { log: self.clone(), first }
    }

    /// Decodes the rows of `held`, which belong to one table and are in the order of the log, export by export.
    /// Returns how many rows could not be read.
    fn read(
        &self,
        tenant: &Tenant,
        signal: Signal,
        held: &[Arc<Held>],
        each: &mut dyn FnMut(RecordBatch) -> Result<()>,
    ) -> Result<u64> {
        let (Some(first), Some(last)) = (held.first(), held.last()) else { return Ok(0) };
        let mut found = 0u64;
        let mut wanted = held.iter().peekable();
        let mut take = |seq: u64, bytes: &[u8]| -> Result<()> {
            while wanted.next_if(|h| h.last < seq).is_some() {}
            if wanted.peek().is_none_or(|h| h.first > seq) {
                return Ok(());
            }
            let Record::Export { payload, .. } = record::decode(bytes)? else { return Ok(()) };
            if payload.tenant != *tenant || payload.signal != signal {
                return Ok(());
            }
            let rows = self.decoder.decode(&payload)?.rows;
            found += rows.num_rows() as u64;
            each(rows)
        };
        self.wal.read(first.first..=last.last, &mut take).map_err(|e| match e {
            wal::OpenError::Replay { seq, error } => error.context(format!("reading record {seq} again")),
            wal::OpenError::Wal(error) => wal_error(&error),
        })?;
        let expected: u64 = held.iter().map(|h| h.rows as u64).sum();
        Ok(expected.saturating_sub(found))
    }
}

/// See [`Log::lease`].
pub struct Lease {
    log: Arc<Log>,
    first: u64,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut leases = self.log.leases();
        if let Some(count) = leases.get_mut(&self.first) {
            *count -= 1;
            if *count == 0 {
                leases.remove(&self.first);
            }
        }
    }
}

/// A table's rows that are only in the log, as of one moment. Holding it keeps them there.
#[derive(Clone)]
pub struct Backlog {
    lease: Arc<Lease>,
    tenant: Tenant,
    signal: Signal,
    held: Arc<[Arc<Held>]>,
    known: Arc<[Arc<Known>]>,
}

impl Backlog {
    /// `None` when all rows are in memory.
    pub fn of(log: &Arc<Log>, tenant: &Tenant, signal: Signal, held: Vec<Arc<Held>>) -> Option<Self> {
        let first = held.first()?.first;
        let lease = Arc::new(log.lease(first));
        Some(Backlog { lease, tenant: tenant.clone(), signal, held: held.into(), known: Arc::new([]) })
    }

    pub(crate) fn with_known(self, known: Arc<[Arc<Known>]>) -> Self {
        Backlog { known, ..self }
    }

    /// What is known of parts of it.
    pub fn known(&self) -> &[Arc<Known>] {
        &self.known
    }

    /// The rest, without the rows of these parts; `None` when nothing is left.
    pub fn without(&self, parts: &HashSet<PartNumber>) -> Option<Backlog> {
        let left = |held: &&Arc<Held>| held.part.is_none_or(|part| !parts.contains(&part));
        let held: Vec<Arc<Held>> = self.held.iter().filter(left).cloned().collect();
        (!held.is_empty()).then(|| Backlog { held: held.into(), known: Arc::new([]), ..self.clone() })
    }

    pub fn rows(&self) -> u64 {
        self.held.iter().map(|h| h.rows as u64).sum()
    }

    /// The part of it whose rows can have a time within `least..=greatest`, in pieces that can be read apart; each
    /// reads one stretch of the log. At most `pieces` of them.
    pub fn within(&self, least: i64, greatest: i64, pieces: usize) -> Vec<Backlog> {
        let wanted = |h: &&Arc<Held>| h.times.0 <= greatest && h.times.1 >= least;
        let held: Vec<Arc<Held>> = self.held.iter().filter(wanted).cloned().collect();
        let size = held.len().div_ceil(pieces.max(1)).max(1);
        held.chunks(size).map(|part| Backlog { held: part.into(), ..self.clone() }).collect()
    }

    /// Hands the rows to `each`, export by export.
    ///
    /// Errors: the first of `each`, and `Corrupt` when rows cannot be read any more.
    pub fn read(&self, each: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<()> {
        match self.lease.log.read(&self.tenant, self.signal, &self.held, each)? {
            0 => Ok(()),
            lost => Err(Error::corrupt(format!(
                "{lost} acknowledged rows of {} cannot be read from the write-ahead log any more",
                self.signal.table()
            ))
            .hint("run `hotspan check`; the disk has lost what it had confirmed")),
        }
    }

    /// As [`Backlog::read`], but hands over what can be read and returns how many rows cannot.
    pub fn salvage(&self, each: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<u64> {
        self.lease.log.read(&self.tenant, self.signal, &self.held, each)
    }
}

impl fmt::Debug for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Backlog({} rows of {})", self.rows(), self.signal.table())
    }
}
