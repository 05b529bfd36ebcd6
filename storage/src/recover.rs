//! Opening a store: load the tables, replay the log into memory, skip what the tables already hold.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use model::{Clock, Decoder, Error, Result, Signal, Tenant};
use object_store::{ObjectStore, ObjectStoreExt};

use crate::aside::Aside;
use crate::backlog::Log;
use crate::crash::{self, crash_point};
use crate::dedup::{self, Window};
use crate::delta::{DataFile, DeltaLog, is_same_day};
use crate::folder::{self, Folder, table_path};
use crate::held::Held;
use crate::ledger::StoreLedger;
use crate::memory::Memory;
use crate::objects::DurableLocal;
use crate::record::{self, Record, Seen};
use crate::retention;
use crate::runs::RunBook;
use crate::settings::Settings;
use crate::space::{Disks, LocalDisks};
use crate::store::{Shared, Tables, wal_error};
use crate::summary::Summarize;
use crate::table::{self, Table};
use crate::trust::{SinceStart, Steady, Trust};

/// What opening found.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    /// Exports replayed into memory, and their rows.
    pub exports: u64,
    pub rows: u64,
    /// Exports of the log that the tables already held.
    pub skipped: u64,
    /// Damaged places of the log, each a sentence.
    pub damage: Vec<String>,
    /// Files that no table version mentions, left by a flush that did not reach its commit; deleted.
    pub orphans: u64,
}

/// What a store stands on.
pub(crate) struct Media {
    /// Where it keeps what must survive: tables and runs in one, the log in the other.
    pub objects: Arc<dyn ObjectStore>,
    pub log: Arc<dyn wal::Fs>,
    /// See [`wal::Settings`].
    pub segment_bytes: u64,
    pub makes_ahead: bool,
    /// What the machine says of time and space.
    pub steady: Arc<dyn Steady>,
    pub disks: Arc<dyn Disks>,
}

impl Media {
    /// A local folder.
    pub fn of(folder: &Folder) -> Result<Self> {
        let local = DurableLocal::open(&folder.root)
            .map_err(|e| Error::unavailable(format!("opening {}: {e}", folder.root.display())))?;
        let wal::Settings { segment_bytes, makes_ahead, .. } = wal::Settings::default();
        let (objects, log) = (Arc::new(local), Arc::new(crash::Disk));
        let (steady, disks) = (Arc::new(SinceStart::now()), Arc::new(LocalDisks));
        Ok(Media { objects, log, segment_bytes, makes_ahead, steady, disks })
    }
}

struct Loaded {
    tables: BTreeMap<Tenant, Arc<Tables>>,
    /// Up to which record each table has come.
    through: BTreeMap<(Tenant, Signal), u64>,
    memory: Arc<Memory>,
    gathered: Gathered,
}

/// Rows that are replayed, on their way into memory. What small exports brought is joined before, so that what is held
/// follows the budget of memory and not the number of records: an export of a row takes as much as a hundred rows of one.
#[derive(Default)]
struct Gathered {
    runs: BTreeMap<(Tenant, Signal), Vec<Arc<Held>>>,
    /// In memory that all of them take.
    bytes: usize,
}

impl Gathered {
    /// Exports of so many rows stand alone: joining them would take longer than it saves.
    const MANY: usize = 1_024;
    /// No piece gets larger, so that a query can skip some and a flush can take some.
    const MOST_BYTES: usize = 4 << 20;

    fn add(&mut self, table: &Table, held: Held) -> Result<()> {
        let (is_large, bytes) = (held.rows >= Gathered::MANY, held.bytes);
        let run = self.runs.entry((table.tenant.clone(), table.signal)).or_default();
        // The files that rows are written to are of one day each.
        if run.last().is_some_and(|last| is_large || !is_same_day(last.newest, held.oldest)) {
            self.bytes -= run.iter().map(|held| held.bytes).sum::<usize>();
            insert(table, std::mem::take(run))?;
        }
        if is_large {
            table.insert(held);
            return Ok(());
        }
        run.push(Arc::new(held));
        self.bytes += bytes;
        Ok(())
    }

    /// Keeps to so many bytes: joins what there is, and puts it into the tables when that does not take half of them away.
    fn keep_to(&mut self, most: usize, tables: &BTreeMap<Tenant, Arc<Tables>>) -> Result<()> {
        if self.bytes < most {
            return Ok(());
        }
        for run in self.runs.values_mut().filter(|run| run.len() > 1) {
            *run = table::joined(run)?.map(Arc::new).into_iter().collect();
        }
        self.bytes = self.runs.values().flatten().map(|held| held.bytes).sum();
        if self.bytes > most / 2 { self.put(tables) } else { Ok(()) }
    }

    /// Puts all runs into their tables at once: so none of them goes on where another one's ends, and rows can be written
    /// up to there (`flush::plan`).
    fn put(&mut self, tables: &BTreeMap<Tenant, Arc<Tables>>) -> Result<()> {
        self.bytes = 0;
        for ((tenant, signal), run) in std::mem::take(&mut self.runs) {
            if let Some(tables) = tables.get(&tenant) {
                insert(tables.of(signal), run)?;
            }
        }
        Ok(())
    }
}

fn insert(table: &Table, run: Vec<Arc<Held>>) -> Result<()> {
    if let Some(held) = table::joined(&run)? {
        table.insert(held);
    }
    Ok(())
}

pub(crate) async fn open(
    root: &Path,
    settings: Settings,
    clock: Arc<dyn Clock>,
    decoder: Arc<dyn Decoder>,
    summarize: Arc<dyn Summarize>,
) -> Result<(Shared, Recovered)> {
    let folder = Folder::open(root)?;
    let media = Media::of(&folder)?;
    open_on(folder, media, settings, clock, decoder, summarize).await
}

/// Opens the store whose marker and ledger are in `folder` and everything else on `media`.
pub(crate) async fn open_on(
    folder: Folder,
    media: Media,
    settings: Settings,
    clock: Arc<dyn Clock>,
    decoder: Arc<dyn Decoder>,
    summarize: Arc<dyn Summarize>,
) -> Result<(Shared, Recovered)> {
    let Media { objects, log, segment_bytes, makes_ahead, steady, disks } = media;
    let tenants = folder::tenants(objects.as_ref()).await?;
    let app_id = format!("hotspan-{}", folder.store_id);
    let mut recovered = Recovered::default();
    let memory = Arc::new(Memory::new(settings.memory_bytes));
    let mut loaded = load(&tenants, &objects, &clock, &app_id, memory.clone(), &mut recovered).await?;
    crash_point!("start.tables_loaded");
    let mut window = Window::default();
    let (runs, unreadable) = RunBook::open(objects.clone(), clock.clone(), tenants).await?;
    let (mut ledger, trouble) = StoreLedger::open(&folder.root, rows_in(&loaded));

    let files: Vec<Arc<DataFile>> =
        loaded.tables.values().flat_map(|t| t.all()).flat_map(|t| t.files().to_vec()).collect();
    let trust = Trust::new(retention::latest_plausible(&files, settings.retention()));
    let floor = loaded.through.values().copied().max().unwrap_or(0).max(ledger.through());
    let wal_settings = wal::Settings {
        max_log_bytes: settings.wal_bytes.max(segment_bytes),
        segment_bytes,
        makes_ahead,
        floor,
        ..wal::Settings::default()
    };
    let mut replay = |seq: u64, bytes: &[u8]| {
        crash_point!("start.replayed");
        replay_one(
            seq,
            bytes,
            &mut loaded,
            (&objects, &clock),
            decoder.as_ref(),
            (&mut window, &ledger),
            &mut recovered,
        )
    };
    let (log, found) = wal::Wal::open(log, &folder.wal(), wal_settings, &mut replay).map_err(|e| match e {
        wal::OpenError::Replay { seq, error } => error.context(format!("replaying record {seq}")),
        wal::OpenError::Wal(error) => wal_error(&error).context("opening the write-ahead log"),
    })?;
    crash_point!("start.log_open");
    loaded.gathered.put(&loaded.tables)?;
    window.recalled();
    ledger.begin();
    recovered.damage.extend(found.damage.iter().map(|d| format!("write-ahead log: {d}")));
    recovered.damage.extend(trouble.into_iter().chain(unreadable));
    let shared = Shared {
        settings,
        clock,
        objects,
        log: Arc::new(Log::new(log, decoder)),
        summarize,
        memory,
        folder,
        tenants: RwLock::new(loaded.tables),
        window: Mutex::new(window),
        ledger,
        runs,
        app_id,
        aside: Aside::default(),
        damage: Mutex::new(recovered.damage.clone()),
        refusing: Mutex::default(),
        steady,
        disks,
        trust: Mutex::new(trust),
    };
    shared.believe();
    Ok((shared, recovered))
}

async fn load(
    tenants: &[Tenant],
    objects: &Arc<dyn ObjectStore>,
    clock: &Arc<dyn Clock>,
    app_id: &str,
    memory: Arc<Memory>,
    recovered: &mut Recovered,
) -> Result<Loaded> {
    let (tables, through, gathered) = Default::default();
    let mut loaded = Loaded { tables, through, memory, gathered };
    for tenant in tenants.iter().cloned() {
        let mut tables = BTreeMap::new();
        for signal in Signal::ALL {
            let log = DeltaLog::new(objects.clone(), clock.clone(), table_path(&tenant, signal), signal);
            let state = log.load().await?;
            delete_orphans(objects, &log, &state, recovered).await?;
            if let Some(version) = state.txns.get(app_id).and_then(|v| u64::try_from(*v).ok()) {
                loaded.through.insert((tenant.clone(), signal), version);
            }
            tables.insert(signal, (log, state));
        }
        let tables = Tables::new(|signal| {
            let (log, state) = tables[&signal].clone();
            Table::new(tenant.clone(), signal, log, state, loaded.memory.clone())
        });
        loaded.tables.insert(tenant, Arc::new(tables));
    }
    Ok(loaded)
}

/// Rows in files, by signal, over all tenants.
fn rows_in(loaded: &Loaded) -> [u64; 3] {
    let of = |signal| loaded.tables.values().flat_map(|t| t.of(signal).files().to_vec()).map(|f| f.rows).sum();
    Signal::ALL.map(of)
}

/// Orphans beyond which a table without any version has not been left by a crash: somebody took its `_delta_log` away.
const MOST_WITHOUT_A_LOG: usize = 16;
/// Where those are moved to; readers of Delta tables pass by names that begin so.
const WITHOUT_A_LOG: &str = "_without_log";

/// Deletes Parquet files that neither a version nor a tombstone mentions. Only safe while the folder is locked. Files of
/// which the log is missing are moved out of the way and told.
async fn delete_orphans(
    objects: &Arc<dyn ObjectStore>,
    log: &DeltaLog,
    state: &crate::delta::TableState,
    recovered: &mut Recovered,
) -> Result<()> {
    use futures::TryStreamExt;
    let trouble = |e: object_store::Error| Error::unavailable(format!("listing {}: {e}", log.root()));
    let found: Vec<_> = objects.list(Some(log.root())).try_collect().await.map_err(trouble)?;
    let is_orphan = |object: &object_store::ObjectMeta| {
        let relative: Option<Vec<_>> = object.location.prefix_match(log.root()).map(Iterator::collect);
        let relative = relative.unwrap_or_default();
        let name = relative.iter().map(|p| p.as_ref()).collect::<Vec<&str>>().join("/");
        let ours = name.starts_with(crate::delta::PARTITION) && name.ends_with(".parquet");
        ours && !state.files.contains_key(&name) && !state.tombstones.contains_key(&name)
    };
    let orphans: Vec<_> = found.into_iter().filter(is_orphan).collect();
    if state.version.is_none() && orphans.len() > MOST_WITHOUT_A_LOG {
        let (root, count) = (log.root(), orphans.len());
        recovered.damage.push(format!(
            "{root} has {count} data files and no _delta_log: they are in {root}/{WITHOUT_A_LOG} now and not shown; \
             to have them back, stop hotspan and restore the table from a backup"
        ));
        return set_aside(objects, log, &orphans).await;
    }
    for object in orphans {
        objects.delete(&object.location).await.map_err(trouble)?;
        crash_point!("start.orphan_deleted");
        recovered.orphans += 1;
    }
    Ok(())
}

/// Moves files to where neither hotspan nor another reader of the table looks.
async fn set_aside(objects: &Arc<dyn ObjectStore>, log: &DeltaLog, files: &[object_store::ObjectMeta]) -> Result<()> {
    for file in files {
        let relative = file.location.prefix_match(log.root()).into_iter().flatten();
        let to = relative.fold(log.root().clone().join(WITHOUT_A_LOG), |path, part| path.join(part));
        let moved = objects.rename(&file.location, &to).await;
        moved.map_err(|e| Error::unavailable(format!("moving {} to {to}: {e}", file.location)))?;
    }
    Ok(())
}

fn replay_one(
    seq: u64,
    bytes: &[u8],
    loaded: &mut Loaded,
    (objects, clock): (&Arc<dyn ObjectStore>, &Arc<dyn Clock>),
    decoder: &dyn Decoder,
    (window, ledger): (&mut Window, &StoreLedger),
    recovered: &mut Recovered,
) -> Result<()> {
    let (payload, hash) = match record::decode(bytes)? {
        Record::Seen(entries) => {
            entries.into_iter().for_each(|seen| window.recall(seen));
            return Ok(());
        }
        Record::Export { payload, hash } => (payload, hash),
    };
    window.recall(Seen { received: payload.received, key: dedup::key(&payload, hash) });
    let through = loaded.through.get(&(payload.tenant.clone(), payload.signal));
    if through.is_some_and(|through| *through >= seq) {
        recovered.skipped += 1;
        return ledger.replayed(seq, payload.signal, true, || Ok(decoder.decode(&payload)?.rows));
    }
    let rows = decoder.decode(&payload)?.rows;
    ledger.replayed(seq, payload.signal, false, || Ok::<_, Error>(rows.clone()))?;
    recovered.exports += 1;
    recovered.rows += rows.num_rows() as u64;
    let (tenant, memory) = (&payload.tenant, &loaded.memory);
    let new = || Arc::new(Tables::empty(objects, clock, memory, tenant));
    let tables = loaded.tables.entry(tenant.clone()).or_insert_with(new);
    loaded.gathered.add(tables.of(payload.signal), Held::new(payload.signal, seq, payload.received, rows))?;
    // A joined copy is made of it: both fit into what `Memory` keeps free for a flush.
    loaded.gathered.keep_to(Gathered::MOST_BYTES.min(memory.chunk() / 2), &loaded.tables)
}
