//! One store in its world: clients, clock, disk and object store, and all that happens to them in a run.

use std::path::Path;
use std::sync::{Arc, Mutex};

use futures::{FutureExt, TryStreamExt};
use model::ingest::Pending;
use model::time::{MINUTE, SECOND};
use model::{
    Ack, Batch, Clock, Decoded, Decoder, Encoding, Format, Ingest, ManualClock, Nanos, Payload, Signal, Tenant,
};
use object_store::ObjectStore;
use wal::sim::{Chance, Errno, Op, SimFs};

use super::bug::Bug;
use super::checker::{Checker, Row, SIGNALS};
use super::faulty::Faulty;
use crate::delta::DeltaLog;
use crate::flush::Reason;
use crate::folder::{Folder, table_path};
use crate::maintain::Maintenance;
use crate::recover::{self, Media};
use crate::space::Disks;
use crate::tests::{LineDecoder, NOON, SpanIds};
use crate::{Settings, Snapshot, Source, Store};

/// A client sends again for so long. The store recognises it for a minute longer.
const RESEND: Nanos = 14 * MINUTE;
const LIVES: u64 = 4;

/// Disks with as much free space as they are told, of the data and of the log.
#[derive(Debug)]
pub struct SetDisks(Mutex<(u64, Option<u64>)>);

impl SetDisks {
    /// `log`: that it has one of its own.
    pub fn set(&self, data: u64, log: Option<u64>) {
        *self.0.lock().expect("no panic") = (data, log);
    }
}

impl Disks for SetDisks {
    fn room(&self, path: &Path) -> (u64, u64) {
        let (data, log) = *self.0.lock().expect("no panic");
        let free = if path.ends_with("wal") { log.unwrap_or(data) } else { data };
        (free, u64::MAX)
    }

    fn is_one(&self, _: &Path, _: &Path) -> bool {
        self.0.lock().expect("no panic").1.is_none()
    }
}

pub struct World {
    chance: Chance,
    pub clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
    pub disk: SimFs,
    pub objects: Faulty,
    pub disks: Arc<SetDisks>,
    pub settings: Settings,
    pub checker: Checker,
    bug: Bug,
    pub tenants: [Tenant; 2],
    /// A query that takes long, and what it has to find.
    query: Option<(Snapshot, Vec<Row>)>,
}

impl World {
    pub fn new(seed: u64, bug: Bug) -> Self {
        let mut chance = Chance::new(seed);
        let clock = Arc::new(ManualClock::at(NOON));
        let disk = SimFs::new();
        let objects = Faulty::new(chance.number(), clock.clone(), disk.clone(), bug);
        // Memory for some exports only, in every third run: the others wait in the log.
        let memory_bytes = if seed.is_multiple_of(3) { 100 << 10 } else { 64 << 20 };
        let retention_seconds = if seed.is_multiple_of(2) { 1_500.0 } else { 0.0 };
        let settings = Settings { memory_bytes, retention_seconds, min_free_bytes: 0, ..Settings::default() };
        World {
            chance,
            clock,
            folder: temporary(),
            disk,
            objects,
            disks: Arc::new(SetDisks(Mutex::new((u64::MAX, None)))),
            settings,
            checker: Checker::default(),
            bug,
            tenants: [Tenant::default(), Tenant::new("other").expect("valid")],
            query: None,
        }
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.chance.below(n) == 0
    }

    /// Opens the store; a start that fails is tried again, with the power off and on, and at last without faults.
    async fn open(&mut self) -> Result<Store, String> {
        for attempt in 0.. {
            let calm = attempt == 8;
            self.objects.set_rate(if calm { 0 } else { 10 });
            match self.chance.below(6) {
                _ if calm => {}
                0 => self.disk.power_fails_at(1 + self.chance.below(4)),
                1 => self.objects.power_fails_at(1 + self.chance.below(12)),
                _ => {}
            }
            if let Bug::Disk(lie) = self.bug {
                self.disk.lie(lie);
            }
            match self.try_open().await {
                Ok(store) => return Ok(store),
                Err(why) if calm => return Err(format!("it does not start: {why}")),
                Err(_) => self.power_on(true).await,
            }
        }
        Err("it does not start".into())
    }

    pub async fn try_open(&self) -> model::Result<Store> {
        let folder = Folder::open(self.folder.path())?;
        let (objects, log) = (Arc::new(self.objects.clone()), Arc::new(self.disk.clone()));
        let (steady, disks) = (self.clock.clone(), self.disks.clone());
        let media = Media { objects, log, segment_bytes: 1_200, makes_ahead: false, steady, disks };
        let decoder: Arc<dyn Decoder> = Arc::new(LineDecoder);
        let (shared, recovered) =
            recover::open_on(folder, media, self.settings.clone(), self.clock.clone(), decoder, Arc::new(SpanIds))
                .await?;
        if let Some(damage) = recovered.damage.first() {
            return Err(model::Error::corrupt(format!("a crash was taken for damage: {damage}")));
        }
        let shared = Arc::new(shared);
        Ok(Store { maintenance: Arc::new(Maintenance::idle(shared.clone())), shared })
    }

    async fn power_on(&mut self, cut: bool) {
        if cut {
            self.disk.power_cut(self.chance.number());
        } else {
            self.disk.power_fails_at(u64::MAX);
        }
        self.objects.power_on(cut).await;
    }

    async fn check(&mut self, store: &Store) -> Result<(), String> {
        let objects = self.objects.objects();
        self.checker.check(store, &self.tenants, &objects).await
    }

    /// An export of some rows. Traces are small, and their spans come in any order and in several exports.
    async fn append(&mut self, store: &Store) {
        let signal = if self.one_in(4) { Signal::Logs } else { Signal::Traces };
        let tenant = self.tenants[usize::from(self.one_in(4))].clone();
        let rows = 1 + self.chance.below(4);
        let at = self.checker.sends(tenant, signal, rows, self.clock.now());
        let recent = self.checker.exports.len() as u64 / 8 + 1;
        let mut body = String::new();
        for id in self.checker.exports[at].ids.clone() {
            let trace = recent.saturating_sub(self.chance.below(3)).max(1);
            // Now and then a parent that never comes.
            let parent = match self.chance.below(3) {
                0 => 0,
                1 => id - 8,
                _ => id - 1,
            };
            let begin = self.chance.below(50);
            body += &format!("{trace} {id} {parent} shop work {begin} {}\n", begin + 1 + self.chance.below(50));
        }
        self.checker.exports[at].body = body;
        self.send(store, at).await;
    }

    /// Spans of a tenant, not known to the checker.
    pub async fn send_as(&self, store: &Store, tenant: &Tenant, body: &str) -> model::Result<Ack> {
        store.append(self.batch(tenant, Signal::Traces, body)).await
    }

    fn batch(&self, tenant: &Tenant, signal: Signal, body: &str) -> Batch {
        let payload = Payload {
            tenant: tenant.clone(),
            signal,
            format: Format::Protobuf,
            encoding: Encoding::Identity,
            received: self.clock.now(),
            body: body.to_owned().into(),
        };
        let Decoded { rows, hash, .. } = LineDecoder.decode(&payload).expect("a body of ours");
        Batch { payload, rows, hash }
    }

    async fn send(&mut self, store: &Store, at: usize) {
        let export = &self.checker.exports[at];
        let batch = self.batch(&export.tenant, export.signal, &export.body);
        let export = &mut self.checker.exports[at];
        let mut answer: Pending<'_, Ack> = store.append(batch);
        // Polled once, it is queued or refused.
        let first = if self.bug == Bug::AcknowledgedEarly { (&mut answer).now_or_never() } else { None };
        export.acknowledged |= match first {
            Some(answer) => answer.is_ok(),
            None => answer.await.is_ok() || self.bug == Bug::AcknowledgedEarly,
        };
    }

    /// Sends an export again that got no answer, as its client would; or the client gives up.
    async fn send_again(&mut self, store: &Store) {
        let now = self.clock.now();
        for export in self.checker.exports.iter_mut().filter(|e| now - e.sent >= RESEND) {
            export.given_up = true;
        }
        let open = self.checker.exports.iter().position(|e| !e.acknowledged && !e.given_up);
        let Some(at) = open else { return };
        match self.one_in(4) {
            true => self.checker.exports[at].given_up = true,
            false => self.send(store, at).await,
        }
    }

    async fn tidy(&mut self, store: &Store) {
        if self.settings.retention_seconds > 0.0 {
            self.checker.horizon = self.clock.now() - (self.settings.retention_seconds * 1e9) as Nanos;
        }
        let _ = store.tidy().await;
    }

    async fn flush(&mut self, store: &Store) {
        if self.bug == Bug::TrimmedEarly {
            let log = store.shared.log.clone();
            let trimmed = tokio::task::spawn_blocking(move || log.wal.trim(log.wal.stats().last_durable_seq));
            let _ = trimmed.await;
        }
        let reason = [Reason::Everything, Reason::Age, Reason::Pressure][self.chance.below(3) as usize];
        let _ = store.maintenance.flush_once(reason).await;
    }

    async fn query(&mut self, store: &Store) -> Result<(), String> {
        let objects = self.objects.objects();
        match self.query.take() {
            Some((snapshot, expected)) => {
                let found = self.checker.rows_of(&snapshot, &objects).await;
                let found = found.map_err(|e| format!("a query that had begun before: {e}"))?;
                if found != expected {
                    return Err("a snapshot has changed".into());
                }
            }
            None => {
                let snapshot = store.snapshot(&self.tenants[0]).map_err(|e| e.message)?;
                let rows = self.checker.rows_of(&snapshot, &objects).await?;
                self.query = Some((snapshot, rows));
            }
        }
        Ok(())
    }

    /// One life of the store, until its power fails, it is killed, or it has done enough.
    async fn live(&mut self, store: &Store) -> Result<(), String> {
        self.objects.set_rate([0, 30, 150][self.chance.below(3) as usize]);
        match self.chance.below(5) {
            0 | 1 => self.disk.power_fails_at(1 + self.chance.below(80)),
            2 | 3 => self.objects.power_fails_at(1 + self.chance.below(80)),
            _ => {}
        }
        for _ in 0..20 + self.chance.below(40) {
            let pause = [SECOND, 3 * SECOND, 3 * SECOND, 20 * SECOND, 2 * MINUTE][self.chance.below(5) as usize];
            let pause = if self.one_in(40) { 12 * MINUTE } else { pause };
            self.clock.advance(pause);
            match self.chance.below(24) {
                0..=8 => self.append(store).await,
                9 | 10 => self.send_again(store).await,
                11..=16 => self.flush(store).await,
                17..=19 => self.tidy(store).await,
                20 => join_small(store),
                21 if self.one_in(3) => self.disk.fail(Op::Sync, 1 + self.chance.below(4), Errno::Io),
                21 => self.disk.fail(Op::Write, 1 + self.chance.below(4), Errno::NoSpace),
                22 if !self.disk.is_off() => self.query(store).await?,
                _ if !self.disk.is_off() => self.check(store).await?,
                _ => {}
            }
            if self.disk.is_off() {
                return Ok(());
            }
        }
        self.check(store).await
    }

    /// All that a seed does.
    pub async fn run(&mut self) -> Result<(), String> {
        for _ in 0..LIVES {
            let store = self.open().await?;
            self.check(&store).await.map_err(|e| format!("after a start: {e}"))?;
            self.live(&store).await?;
            self.query = None;
            let cut = self.disk.is_off() || self.one_in(2);
            if !self.disk.is_off() && self.one_in(4) {
                let _ = store.close().await;
            }
            // From here on nothing is written, also not by what ends the log when it is dropped.
            self.disk.power_fails_at(0);
            drop(store);
            self.power_on(cut).await;
        }
        self.heal().await
    }

    /// Without faults: all is there, in memory and in files, and the tables hold nothing but what they mention.
    async fn heal(&mut self) -> Result<(), String> {
        // A cut lifts the faults of the disk too.
        self.power_on(true).await;
        self.objects.set_rate(0);
        for name in ["in the log", "in files"] {
            let store = self.try_open().await.map_err(|e| format!("it does not start: {e}"))?;
            self.check(&store).await.map_err(|e| format!("at last, {name}: {e}"))?;
            store.close().await.map_err(|e| format!("it does not end: {e}"))?;
            self.check(&store).await.map_err(|e| format!("closed, {name}: {e}"))?;
        }
        self.tables_are_whole().await
    }

    /// Every object below a table is a file of its newest version, was one, or belongs to its log.
    async fn tables_are_whole(&self) -> Result<(), String> {
        let objects = self.objects.objects();
        let mut known = Vec::new();
        for (tenant, signal) in self.tenants.iter().flat_map(|t| SIGNALS.map(|s| (t, s))) {
            let log = DeltaLog::new(objects.clone(), self.clock.clone(), table_path(tenant, signal), signal);
            let state = log.load().await.map_err(|e| e.message)?;
            known.extend(state.files.keys().chain(state.tombstones.keys()).map(|name| log.path_of(name)));
        }
        let all: Vec<_> = objects.list(None).try_collect().await.map_err(|e| e.to_string())?;
        let orphan = all.iter().find(|o| {
            let in_log = o.location.as_ref().contains("_delta_log");
            !in_log && !known.contains(&o.location)
        });
        orphan.map_or(Ok(()), |o| Err(format!("{} belongs to nothing", o.location)))
    }
}

/// As the store's own task does from time to time.
pub(crate) fn join_small(store: &Store) {
    for (_, table) in store.shared.all_tables() {
        table.join_small().expect("batches of one schema");
    }
}

/// In memory where there is such a folder: marker and ledger are synced often, and are not what is looked at here.
fn temporary() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}
