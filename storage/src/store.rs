//! The running store: the one place that holds the log, the tables and the window of seen exports together.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use model::{Ack, Batch, Clock, Decoder, Error, Ingest, Kind, Nanos, Payload, Result, Signal, Tenant};
use object_store::ObjectStore;
use tokio::sync::oneshot;

use crate::aside::Aside;
use crate::backlog::Log;
use crate::compact::{self, Pending};
use crate::crash::crash_point;
use crate::dedup::{self, Earlier, Fate, Verdict, Window};
use crate::delta::{DeltaLog, TableState};
use crate::folder::{Folder, table_path};
use crate::held::Held;
use crate::ledger::StoreLedger;
use crate::maintain::Maintenance;
use crate::memory::Memory;
use crate::record::{self, Seen};
use crate::recover::Recovered;
use crate::runs::RunBook;
use crate::settings::Settings;
use crate::snapshot::{Snapshot, Source};
use crate::space::{self, Disks};
use crate::summary::Summarize;
use crate::table::Table;
use crate::trust::{Steady, Trust};

/// The three tables of a tenant.
pub(crate) struct Tables([Arc<Table>; 3]);

impl Tables {
    pub fn new(make: impl Fn(Signal) -> Table) -> Self {
        Tables(Signal::ALL.map(|signal| Arc::new(make(signal))))
    }

    pub fn of(&self, signal: Signal) -> &Arc<Table> {
        match signal {
            Signal::Traces => &self.0[0],
            Signal::Metrics => &self.0[1],
            Signal::Logs => &self.0[2],
        }
    }

    /// Those of a tenant who has none on disk.
    pub fn empty(
        objects: &Arc<dyn ObjectStore>,
        clock: &Arc<dyn Clock>,
        memory: &Arc<Memory>,
        tenant: &Tenant,
    ) -> Self {
        Tables::new(|signal| {
            let log = DeltaLog::new(objects.clone(), clock.clone(), table_path(tenant, signal), signal);
            Table::new(tenant.clone(), signal, log, TableState::default(), memory.clone())
        })
    }

    pub fn all(&self) -> &[Arc<Table>; 3] {
        &self.0
    }
}

/// What every part of the store shares.
pub(crate) struct Shared {
    pub settings: Settings,
    pub clock: Arc<dyn Clock>,
    pub steady: Arc<dyn Steady>,
    pub disks: Arc<dyn Disks>,
    pub objects: Arc<dyn ObjectStore>,
    pub log: Arc<Log>,
    pub summarize: Arc<dyn Summarize>,
    pub memory: Arc<Memory>,
    pub folder: Folder,
    pub tenants: RwLock<BTreeMap<Tenant, Arc<Tables>>>,
    pub window: Mutex<Window>,
    pub ledger: StoreLedger,
    pub runs: RunBook,
    pub app_id: String,
    pub aside: Aside,
    /// Trouble that a person should know of, newest last.
    pub damage: Mutex<Vec<String>>,
    pub refusing: Mutex<Refusing>,
    pub trust: Mutex<Trust>,
}

/// Why exports are refused now.
#[derive(Default)]
pub(crate) struct Refusing {
    /// Little disk is free, or rows cannot be written for want of space: nothing is taken.
    pub disk: Option<String>,
    /// The log has stopped, or had no room for an export and none has been made since. It is asked for each export all the
    /// same: a smaller one may fit.
    pub log: Option<Refused>,
    /// Whether the program's own log says so.
    pub is_told: bool,
}

/// What the log did not take an export for, and what it was like then.
pub(crate) struct Refused {
    pub error: wal::WalError,
    pub log: wal::Stats,
}

impl Refusing {
    pub fn why(&self) -> Option<String> {
        self.disk.clone().or_else(|| self.log.as_ref().map(|refused| refused.error.to_string()))
    }
}

impl Shared {
    pub fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn note_damage(&self, text: String) {
        tracing::error!("{text}");
        let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        if damage.len() < 100 && !damage.contains(&text) {
            damage.push(text);
        }
    }

    /// A tenant's tables; those on disk were loaded at start, so an unknown tenant begins empty.
    pub fn tables(&self, tenant: &Tenant) -> Arc<Tables> {
        if let Some(tables) = self.known_tables(tenant) {
            return tables;
        }
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        tenants.entry(tenant.clone()).or_insert_with(|| self.empty_tables(tenant)).clone()
    }

    /// The same for a question: whoever asks for tenants that never sent anything leaves nothing behind.
    pub fn tables_to_read(&self, tenant: &Tenant) -> Arc<Tables> {
        self.known_tables(tenant).unwrap_or_else(|| self.empty_tables(tenant))
    }

    fn known_tables(&self, tenant: &Tenant) -> Option<Arc<Tables>> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned()
    }

    fn empty_tables(&self, tenant: &Tenant) -> Arc<Tables> {
        Arc::new(Tables::empty(&self.objects, &self.clock, &self.memory, tenant))
    }

    pub fn all_tables(&self) -> Vec<(Tenant, Arc<Table>)> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.iter().flat_map(|(tenant, tables)| tables.all().iter().map(|t| (tenant.clone(), t.clone()))).collect()
    }

    /// Refuses what cannot be taken now, before anything is kept.
    fn admit(&self) -> Result<()> {
        match self.refusing().disk.clone() {
            Some(why) => Err(Error::unavailable(why).hint(space::HINT)),
            None => Ok(()),
        }
    }

    pub fn refusing(&self) -> MutexGuard<'_, Refusing> {
        self.refusing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An export that the log did not take.
    fn refused(&self, error: wal::WalError) -> Error {
        let told = wal_error(&error);
        if matches!(error, wal::WalError::Full { quota: wal::Quota::Log, .. } | wal::WalError::NoSpace { .. }) {
            let log = self.log.wal.stats();
            self.refusing().log = Some(Refused { error, log });
        }
        told
    }
}

/// One table's size, for the status page.
#[derive(Debug, Clone, serde::Serialize)]
pub struct TableStats {
    pub name: &'static str,
    pub tenant: String,
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
    pub version: Option<u64>,
    /// Set while its rows cannot be written: the log keeps them, and all that came after them.
    pub hindered: Option<Hindered>,
}

/// Why a table's rows could not be written when that was tried last, and for how long it has been so.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Hindered {
    pub for_s: f64,
    pub why: String,
}

/// The store at one moment.
#[derive(Debug, Clone)]
pub struct Stats {
    pub wal: wal::Stats,
    /// When the oldest row that is not yet in a file was received.
    pub oldest_received: Option<Nanos>,
    /// Rows not yet in a file, and the bytes of memory that they take.
    pub memory_rows: u64,
    pub memory_bytes: u64,
    /// Those of the rows that are in the log only, because memory was full.
    pub backlog_rows: u64,
    /// Bytes of rows that are in files by now, and in memory until the questions and merges that began before end.
    pub pinned_bytes: u64,
    /// Rows wait this long on purpose before they are written, ns.
    pub hold: Nanos,
    /// Files that merging has still to do, of all tables.
    pub unmerged: Pending,
    pub tables: Vec<TableStats>,
    pub damage: Vec<String>,
    /// Why nothing is deleted for its age now, if that is so: the clock is doubted.
    pub retention_waits: Option<String>,
    pub free_bytes: u64,
    pub total_bytes: u64,
}

/// The embedded store. Cheap to clone; closed by [`Store::close`].
#[derive(Clone)]
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    pub(crate) maintenance: Arc<Maintenance>,
}

impl Store {
    /// Opens or makes the folder, replays the log, and starts maintenance on the current Tokio runtime.
    ///
    /// Errors: the folder is in use or of a newer format, the log or a table cannot be read.
    pub async fn open(
        root: &Path,
        settings: Settings,
        clock: Arc<dyn Clock>,
        decoder: Arc<dyn Decoder>,
        summarize: Arc<dyn Summarize>,
    ) -> Result<(Store, Recovered)> {
        settings.validate()?;
        let (shared, recovered) = crate::recover::open(root, settings, clock, decoder, summarize).await?;
        let shared = Arc::new(shared);
        let maintenance = Arc::new(Maintenance::start(shared.clone()));
        Ok((Store { shared, maintenance }, recovered))
    }

    /// Writes every row in memory to files now and trims the log.
    pub async fn flush(&self) -> Result<()> {
        self.maintenance.flush_all().await
    }

    /// Runs compaction, retention and vacuum once, now.
    pub async fn tidy(&self) -> Result<()> {
        self.maintenance.tidy().await
    }

    /// Flushes, stops maintenance and ends the log. Appends from now on are refused with `Unavailable`.
    pub async fn close(&self) -> Result<()> {
        let flushed = self.maintenance.close().await;
        let shared = self.shared.clone();
        let closed = tokio::task::spawn_blocking(move || shared.end()).await;
        flushed?;
        closed.map_err(|e| Error::internal(e.to_string()))?.map_err(|e| wal_error(&e))
    }

    pub fn stats(&self) -> Stats {
        let shared = &self.shared;
        let tables = shared.all_tables();
        let waiting = tables.iter().map(|(_, t)| t.waiting());
        let (memory_rows, memory_bytes) = waiting.fold((0, 0), |(a, b), (rows, bytes)| (a + rows, b + bytes));
        let (free_bytes, total_bytes) = shared.disks.room(&shared.folder.root);
        let now = shared.clock.now();
        let table = |(tenant, table): &(Tenant, Arc<Table>)| {
            let files = table.files();
            TableStats {
                name: table.signal.table(),
                tenant: tenant.to_string(),
                files: files.len() as u64,
                rows: table.waiting().0 + files.iter().map(|f| f.rows).sum::<u64>(),
                bytes: files.iter().map(|f| f.size).sum(),
                version: table.version(),
                hindered: table.hindered().map(|hindered| hindered.told(now)),
            }
        };
        Stats {
            wal: shared.log.wal.stats(),
            oldest_received: tables.iter().filter_map(|(_, t)| t.oldest_received()).min(),
            memory_rows,
            memory_bytes,
            pinned_bytes: (shared.memory.alive() as u64).saturating_sub(memory_bytes),
            backlog_rows: tables.iter().map(|(_, t)| t.dropped()).sum(),
            hold: shared.settings.hold() + shared.settings.flush_every().as_nanos() as Nanos,
            unmerged: tables.iter().map(|(_, t)| self.unmerged(t)).fold(Pending::default(), Pending::and),
            tables: tables.iter().map(table).collect(),
            damage: shared.damage.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            retention_waits: shared.doubt(),
            free_bytes,
            total_bytes,
        }
    }
}

impl Store {
    fn unmerged(&self, table: &Table) -> Pending {
        compact::pending(&table.files(), self.shared.clock.now(), self.shared.settings.merge_rows())
    }
}

impl Source for Store {
    fn snapshot(&self, tenant: &Tenant) -> Result<Snapshot> {
        let tables = self.shared.tables_to_read(tenant);
        let tables = Signal::ALL.map(|signal| tables.of(signal).snapshot(&self.shared.log));
        let (taken, newest_export) = (self.shared.clock.now(), self.shared.window().newest());
        let (objects, runs) = (self.shared.objects.clone(), self.shared.runs.of(tenant));
        Ok(Snapshot { tenant: tenant.clone(), taken, newest_export, objects, tables, runs })
    }

    fn pinned_bytes(&self) -> u64 {
        let memory = &self.shared.memory;
        memory.alive().saturating_sub(memory.used()) as u64
    }
}

impl Ingest for Store {
    fn append(&self, batch: Batch) -> model::ingest::Pending<'_, Ack> {
        Box::pin(self.append_once(batch))
    }

    fn refuses(&self, bytes: u64) -> Option<Error> {
        let shared = &self.shared;
        let log = || shared.log.wal.takes(bytes).map_err(|error| shared.refused(error));
        shared.admit().and_then(|()| log()).err()
    }
}

impl Store {
    async fn append_once(&self, batch: Batch) -> Result<Ack> {
        let shared = &self.shared;
        let key = dedup::key(&batch.payload, batch.hash);
        // Many copies come at once when a disk has stalled: none of them keeps rows while it waits.
        let earlier = shared.window().earlier(key);
        if let Some(earlier) = earlier {
            drop(batch);
            return again(earlier).await;
        }
        // Before anything depends on it: who sent this may be gone any moment.
        let prepared = Prepared::off_the_runtime(batch).await?;
        let verdict = shared.window().admit(key);
        match verdict {
            Verdict::Again(earlier) => {
                drop(prepared);
                again(earlier).await
            }
            Verdict::First(fate) => {
                let (tell, told) = oneshot::channel();
                let queued = shared.admit().and_then(|()| self.enqueue(prepared, key, fate, tell));
                if let Err(error) = queued {
                    shared.window().failed(key);
                    return Err(error);
                }
                told.await.unwrap_or_else(|_| Err(Error::unavailable("the write-ahead log has stopped")))
            }
        }
    }

    fn enqueue(
        &self,
        prepared: Prepared,
        key: u128,
        fate: tokio::sync::watch::Sender<Fate>,
        tell: oneshot::Sender<Result<Ack>>,
    ) -> Result<()> {
        let Prepared { payload, record, held } = prepared;
        let (shared, signal, count) = (self.shared.clone(), payload.signal, held.rows as u64);
        let done = move |answer: Result<u64, wal::WalError>| {
            let received = payload.received;
            let answer = match answer {
                Ok(seq) => {
                    shared.ledger.stored(seq, signal, count);
                    shared.tables(&payload.tenant).of(signal).insert(Held { first: seq, last: seq, ..held });
                    shared.window().stored(Seen { received, key });
                    let _ = fate.send(Fate::Stored);
                    crash_point!("append.visible");
                    Ok(Ack { duplicate: false })
                }
                Err(error) => {
                    shared.window().failed(key);
                    let _ = fate.send(Fate::Failed);
                    Err(shared.refused(error))
                }
            };
            // Whoever drops the store on this answer must not do so while this thread, which ends with it, holds it too.
            drop(shared);
            // The client may have gone; the rows are kept all the same.
            let _ = tell.send(answer);
        };
        self.shared.log.wal.append(record, Box::new(done)).map_err(|e| self.shared.refused(e))
    }
}

/// The answer to an export that has come before.
async fn again(earlier: Earlier) -> Result<Ack> {
    match earlier.stored().await {
        true => Ok(Ack { duplicate: true }),
        false => Err(Error::unavailable("the first copy of this export could not be stored")),
    }
}

/// An export as the log and the table take it: its checksum is known and its rows are packed, so that the log's one
/// thread has nothing left to work out.
struct Prepared {
    payload: Payload,
    record: wal::Record,
    held: Held,
}

impl Prepared {
    /// Rows beyond which preparing takes a thread of its own: a thread that answers exports must not be held up.
    const MANY: usize = 4_096;

    fn of(Batch { payload, rows, hash }: Batch) -> Self {
        let header = record::export_header(&payload, hash);
        let record = wal::Record::new().part(header).part(payload.body.clone());
        let held = Held::new(payload.signal, 0, payload.received, rows);
        Prepared { payload, record, held }
    }

    async fn off_the_runtime(batch: Batch) -> Result<Self> {
        if batch.rows.num_rows() <= Prepared::MANY {
            return Ok(Prepared::of(batch));
        }
        let prepared = tokio::task::spawn_blocking(move || Prepared::of(batch)).await;
        prepared.map_err(|e| Error::unavailable(format!("preparing an export: {e}")))
    }
}

/// What a caller should do about an error of the log.
pub(crate) fn wal_error(error: &wal::WalError) -> Error {
    match error {
        wal::WalError::Full { .. } => Error::overloaded(error.to_string(), Duration::from_secs(1)),
        wal::WalError::TooLarge { .. } => Error::new(Kind::TooLarge, error.to_string()),
        wal::WalError::NoSpace { .. } => Error::unavailable(error.to_string()).hint(space::HINT),
        _ => Error::unavailable(error.to_string()),
    }
}
