//! One table of one tenant: rows that wait to be written, files on disk, and the one step in which rows move from one
//! to the other.
//!
//! ```text
//!   held:  [ only in the log … ][ in memory … newest ]        files: of one Delta version
//!            ◀── a flush takes a prefix      ▲ dropped here when memory is full: the log has them
//! ```
//! *Invariant:* rows are inserted in the order of the log and leave as a prefix of it, together with the files that
//! hold them, under one lock: no snapshot sees a row twice or not at all.

mod inner;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use model::schema::time_column;
use model::{Error, Nanos, Result, Signal, Tenant};

use crate::assemble;
use crate::assembled::Recent;
use crate::backlog::{Backlog, Log};
use crate::delta::{Commit, Committed, DataFile, DeltaLog, TableState};
use crate::flush::Reason;
use crate::held::Held;
use crate::leaving;
use crate::memory::Memory;
use crate::order::Place;
use crate::packed::{self, Packed};
use crate::snapshot::TableSnapshot;
use crate::summary::Summarize;

use inner::{Hindrance, Inner};

pub struct Table {
    pub tenant: Tenant,
    pub signal: Signal,
    pub log: DeltaLog,
    memory: Arc<Memory>,
    recent: Arc<Recent>,
    inner: Mutex<Inner>,
    /// Held while committing, never while encoding.
    logged: tokio::sync::Mutex<Logged>,
}

/// The table's log, as far as it is known.
#[derive(Default)]
struct Logged {
    state: TableState,
    /// A commit failed, or its answer was lost. The log has to be read before anything is built on `state`.
    in_doubt: bool,
    /// As whom rows were written, once some were.
    app_id: Option<String>,
}

impl Logged {
    /// Up to which record of the write-ahead log the table has come.
    fn through(&self) -> Option<u64> {
        let version = self.state.txns.get(self.app_id.as_ref()?)?;
        u64::try_from(*version).ok()
    }
}

/// What a flush takes: the rows to write, and what else is known of the traces they belong to.
pub struct Part {
    /// In the order of the log.
    pub held: Vec<Arc<Held>>,
    /// What is known of rows written a moment ago, and rows that stay in memory.
    pub context: Vec<RecordBatch>,
    pub later: Vec<Packed>,
    /// Whether its traces are to be assembled.
    pub is_assembled: bool,
    pub first_seq: u64,
}

/// What a table holds, as far as planning needs it.
#[derive(Debug, Clone, Default)]
pub struct Holding {
    pub first: Option<u64>,
    /// The first record received after the cut, if any.
    pub first_young: Option<u64>,
    pub last: Option<u64>,
    /// The record at which a file's worth of rows is reached, and the bytes of all rows.
    pub chunk: Option<u64>,
    pub bytes: usize,
    /// First and last records of what was joined, which leaves as a whole.
    pub joined: Vec<(u64, u64)>,
}

impl Table {
    pub fn new(tenant: Tenant, signal: Signal, log: DeltaLog, state: TableState, memory: Arc<Memory>) -> Self {
        let (inner, empty) = (Mutex::default(), tokio::sync::Mutex::default());
        let recent = Arc::new(Recent::new(memory.clone()));
        let table = Table { tenant, signal, log, memory, recent, inner, logged: empty };
        let logged = Logged { state, ..Logged::default() };
        table.show(&logged, None);
        Table { logged: tokio::sync::Mutex::new(logged), ..table }
    }

    /// A poisoned lock means that a thread panicked between two assignments that cannot panic.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called from the log's writer thread, in the order of the log.
    pub fn insert(&self, held: Held) {
        let held = held.counted(&self.memory);
        let mut inner = self.inner();
        inner.rows += held.rows;
        inner.bytes += held.in_memory();
        let over = self.memory.take(held.in_memory());
        inner.held.push_back(Arc::new(held));
        inner.cached = None;
        if over > 0 {
            let freed = inner.drop_oldest(over, &self.memory);
            self.memory.give_back(freed);
            if inner.leaving.waits() {
                self.memory.left.notify_one();
            }
        }
    }

    /// Sums up the rows that left memory next; false when none wait for that.
    pub fn sum_up_next(&self, summarize: &dyn Summarize) -> Result<bool> {
        let Some(part) = self.inner().leaving.next() else { return Ok(false) };
        if let Some(known) = leaving::sum_up(self.signal, &part, summarize)? {
            let mut inner = self.inner();
            inner.leaving.keep(known);
            inner.cached = None;
        }
        Ok(true)
    }

    /// Whether rows that left memory wait for their sum.
    pub fn has_leaving(&self) -> bool {
        self.inner().leaving.waits()
    }

    /// All of it as of now. `log` reads what is not in memory.
    pub fn snapshot(&self, log: &Arc<Log>) -> TableSnapshot {
        let mut inner = self.inner();
        if let Some(cached) = &inner.cached {
            return cached.of_now();
        }
        let (memory, dropped): (Vec<_>, Vec<_>) = inner.held.iter().cloned().partition(|h| h.batch.is_some());
        let known = inner.leaving.of(&dropped);
        let snapshot = TableSnapshot::of(self.signal, memory, self.recent.clone(), inner.files.clone(), inner.version)
            .with_context(inner.written.rows.iter().map(|(_, rows)| rows.clone()).collect())
            .with_backlog(
                Backlog::of(log, &self.tenant, self.signal, dropped).map(|backlog| backlog.with_known(known)),
            );
        inner.cached = Some(snapshot.of_now());
        snapshot
    }

    pub fn files(&self) -> Arc<[Arc<DataFile>]> {
        self.inner().files.clone()
    }

    pub fn version(&self) -> Option<u64> {
        self.inner().version
    }

    /// Rows that wait to be written, and how many bytes of them are in memory.
    pub fn waiting(&self) -> (u64, u64) {
        let inner = self.inner();
        (inner.rows as u64, inner.bytes as u64)
    }

    /// How many pieces the rows that wait are in.
    #[cfg(test)]
    pub fn pieces(&self) -> usize {
        self.inner().held.len()
    }

    /// Whether rows wait in the log only.
    pub fn has_dropped(&self) -> bool {
        self.inner().dropped > 0
    }

    /// Rows that wait in the log only.
    pub fn dropped(&self) -> u64 {
        self.inner().dropped as u64
    }

    /// The record that the oldest waiting rows came with.
    pub fn first_record(&self) -> Option<u64> {
        self.inner().held.front().map(|held| held.first)
    }

    /// Exports and rows that wait and have records up to `through` only, and whether any of them came from somebody else
    /// than hotspan.
    pub fn up_to(&self, through: u64) -> (u64, u64, bool) {
        let inner = self.inner();
        let held = inner.held.iter().take_while(|held| held.last <= through);
        held.fold((0, 0, false), |(exports, rows, others), held| {
            (exports + held.exports, rows + held.rows as u64, others || !held.is_own)
        })
    }

    pub fn oldest_received(&self) -> Option<Nanos> {
        self.inner().held.front().map(|h| h.oldest)
    }

    /// For `flush::plan`: rows received after `cut` are young, but for those that come from as long after `now`: the clock
    /// was ahead then, and nobody waits for it to come there again.
    pub fn holding(&self, cut: Nanos, now: Nanos) -> Holding {
        let young = cut + 1..=now.saturating_add(now - cut);
        let inner = self.inner();
        let mut bytes = 0;
        // What left memory together is written together, so that what is known of the rest stays true.
        let (mut chunk, mut whole) = (None, None);
        for (at, held) in inner.held.iter().enumerate() {
            bytes += held.bytes;
            let is_whole = held.part.is_none() || inner.held.get(at + 1).is_none_or(|next| next.part != held.part);
            if chunk.is_none() && bytes >= self.memory.chunk() {
                chunk = if is_whole { Some(held.last) } else { whole };
            }
            if is_whole {
                whole = Some(held.last);
            }
        }
        Holding {
            first: inner.held.front().map(|h| h.first),
            first_young: inner.held.iter().filter(|h| young.contains(&h.newest)).map(|h| h.first).min(),
            last: inner.held.back().map(|h| h.last),
            chunk: chunk.or(inner.held.back().map(|h| h.last)),
            bytes,
            joined: inner.held.iter().map(|h| h.records()).filter(|(first, last)| first < last).collect(),
        }
    }

    /// What there is to write up to `through`. Under pressure traces are assembled when all rows came before
    /// `quiet_before`. Errors: `Internal` when `through` lies within what was joined; writing a part of it would say that
    /// all of it is written.
    pub fn part(&self, through: u64, reason: Reason, quiet_before: Nanos) -> Result<Option<Part>> {
        let mut inner = self.inner();
        let count = inner.held.iter().take_while(|h| h.last <= through).count();
        if inner.held.get(count).is_some_and(|next| next.first <= through) {
            return Err(Error::internal(format!("record {through} lies within rows that were joined")));
        }
        let Some(first_seq) = inner.held.front().map(|held| held.first).filter(|_| count > 0) else { return Ok(None) };
        inner.busy = count;
        inner.passed = inner.passed.max(count);
        let (mut context, mut later) = (Vec::new(), Vec::new());
        let newest = inner.held.iter().take(count).map(|h| h.newest).max().unwrap_or(Nanos::MAX);
        let is_assembled = reason != Reason::Pressure || newest < quiet_before;
        if is_assembled && self.signal == Signal::Traces {
            context.extend(inner.written.aware_of(newest));
            later.extend(inner.held.iter().skip(count).filter_map(|h| h.batch.clone()));
        }
        Ok(Some(Part {
            held: inner.held.iter().take(count).cloned().collect(),
            context,
            later,
            is_assembled,
            first_seq,
        }))
    }

    /// What is known in memory that may belong to the traces of files that are being merged, received up to `received`:
    /// of rows that were written, and the rows that wait.
    pub fn context(&self, received: Nanos) -> (Vec<RecordBatch>, Vec<Packed>) {
        let inner = self.inner();
        let waiting = inner.held.iter().filter_map(|h| h.batch.clone());
        (inner.written.aware_of(received).collect(), waiting.collect())
    }

    /// Bytes of narrowed rows that are kept after they were written.
    fn most_remembered(&self) -> usize {
        self.memory.limit() / 8
    }

    /// Keeps narrowed rows that were written, for the traces whose rest is still to come.
    pub fn remember(&self, at: Nanos, rows: RecordBatch) {
        self.inner().written.add(at, rows, self.most_remembered());
    }

    /// Gives up a part that was not written; its rows may be dropped from memory again.
    pub fn give_up(&self) {
        let mut inner = self.inner();
        (inner.busy, inner.passed) = (0, 0);
    }

    /// Notes that rows could not be written.
    pub fn hinder(&self, why: Error, now: Nanos) {
        let mut inner = self.inner();
        let since = inner.hindered.as_ref().map_or(now, |hindered| hindered.since);
        inner.hindered = Some(Hindrance { since, why });
    }

    /// Since when and why rows cannot be written, if that is so.
    pub fn hindered(&self) -> Option<Hindrance> {
        self.inner().hindered.clone()
    }

    /// Commits, and in one step shows the new files and drops the rows that are now in them. `written` is what is to be
    /// kept of those rows since they were assembled at that time: the rest of their traces is still to come.
    pub async fn commit(&self, commit: &Commit, written: Option<(Nanos, Vec<RecordBatch>)>) -> Result<Committed> {
        let mut logged = self.logged.lock().await;
        self.read_if_in_doubt(&mut logged).await?;
        if let Some(progress) = &commit.progress {
            logged.app_id = Some(progress.app_id.clone());
        }
        let outcome = self.log.commit(&mut logged.state, commit).await;
        logged.in_doubt = outcome.is_err();
        if let (Some(progress), Err(_)) = (&commit.progress, &outcome) {
            let mut inner = self.inner();
            inner.attempted = inner.attempted.max(u64::try_from(progress.through).unwrap_or(0));
        }
        self.show(&logged, written.filter(|_| outcome.is_ok()));
        outcome
    }

    /// Finds out what became of a commit whose answer was lost: its rows may be in files by now.
    pub async fn settle(&self) -> Result<()> {
        let mut logged = self.logged.lock().await;
        self.read_if_in_doubt(&mut logged).await
    }

    async fn read_if_in_doubt(&self, logged: &mut Logged) -> Result<()> {
        if logged.in_doubt {
            logged.state = self.log.load().await?;
            logged.in_doubt = false;
            self.show(logged, None);
        }
        Ok(())
    }

    /// Makes the files of the newest version visible, and in the same step drops the rows that are in them. Exports wait
    /// for the lock, so only that is done under it.
    fn show(&self, logged: &Logged, written: Option<(Nanos, Vec<RecordBatch>)>) {
        let files = self.files_of(&logged.state);
        let mut inner = self.inner();
        let taken = logged.through().map(|through| inner.take_through(through, &self.memory));
        let (at, rows) = written.unwrap_or_default();
        for rows in rows {
            inner.written.add(at, rows, self.most_remembered());
        }
        inner.files = files;
        inner.version = logged.state.version;
        inner.cached = None;
        drop(inner);
        drop(taken);
    }

    /// Reuses the leases of files that stay. Called with `logged` locked, so nobody else shows files meanwhile.
    fn files_of(&self, state: &TableState) -> Arc<[Arc<DataFile>]> {
        let shown = self.files();
        let known: HashMap<&str, &Arc<DataFile>> = shown.iter().map(|f| (f.add.path.as_str(), f)).collect();
        let file = |add: &crate::delta::Add| match known.get(add.path.as_str()) {
            Some(file) => Arc::clone(file),
            None => Arc::new(DataFile::of(add, self.log.root(), time_column(self.signal))),
        };
        state.files.values().map(file).collect()
    }

    /// What is to be kept of rows that are written with their traces assembled: the newest of them, in order, narrowed to
    /// what assembly needs, and no more than is kept of all.
    pub fn to_remember(&self, held: &[Arc<Held>]) -> Vec<RecordBatch> {
        if self.signal != Signal::Traces {
            return Vec::new();
        }
        let mut left = self.most_remembered();
        let mut rows = Vec::new();
        for packed in held.iter().rev().filter_map(|held| held.batch.as_ref()) {
            let Ok(narrowed) = packed.select(&assemble::NEEDED) else { continue };
            let Some(after) = left.checked_sub(narrowed.get_array_memory_size()) else { break };
            left = after;
            rows.push(narrowed);
        }
        rows.reverse();
        rows
    }

    /// Joins runs of small batches, so that many small exports cost a scan no more than few large ones.
    pub fn join_small(&self) -> Result<()> {
        let runs = self.inner().small_runs();
        for run in runs {
            let Some(held) = joined(&run)? else { continue };
            let held = held.counted(&self.memory);
            let mut inner = self.inner();
            let (before, after) = (run.iter().map(|h| h.in_memory()).sum::<usize>(), held.in_memory());
            if inner.replace(&run, held) {
                inner.bytes = inner.bytes + after - before;
                self.memory.take(after);
                self.memory.give_back(before);
                inner.cached = None;
            }
        }
        Ok(())
    }

    /// Removed files that may still be in the folder, with their time of removal in Unix milliseconds.
    pub async fn tombstones(&self) -> Result<Vec<(String, i64)>> {
        let mut logged = self.logged.lock().await;
        self.read_if_in_doubt(&mut logged).await?;
        let removed = logged.state.tombstones.values();
        Ok(removed.map(|r| (r.path.clone(), r.deletion_timestamp.unwrap_or(0))).collect())
    }

    /// Forgets tombstones whose files are gone.
    pub async fn forget(&self, paths: &[String]) {
        let mut logged = self.logged.lock().await;
        for path in paths {
            logged.state.tombstones.remove(path);
        }
    }
}

/// Neighbours of one part as one; `None` where there are none.
pub fn joined(run: &[Arc<Held>]) -> Result<Option<Held>> {
    let batches: Option<Vec<Packed>> = run.iter().map(|h| h.batch.clone()).collect();
    let joined = match batches {
        Some(batches) if !batches.is_empty() => Some(join(&batches)?),
        _ => None,
    };
    Ok(Held::joined(run, joined))
}

/// The rows of small batches as one.
fn join(batches: &[Packed]) -> Result<Packed> {
    let places = |(batch, rows): (usize, &Packed)| {
        (0..rows.num_rows() as u32).map(move |row| Place { batch: batch as u32, row })
    };
    let places: Vec<Place> = batches.iter().enumerate().flat_map(places).collect();
    packed::gather(batches, &places).map(Packed::of)
}
