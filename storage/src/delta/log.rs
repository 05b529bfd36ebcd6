//! Reading a table's state and committing to it.
//!
//! A commit is one conditional put of `_delta_log/<version>.json`. When its outcome is unknown (the put landed but
//! the answer was lost, or somebody else took the version) the log is read again and compared, never guessed:
//! a commit whose `txn` the table already holds is done, and one whose records the table holds in part is refused, so
//! that the rest is planned anew (docs/adr/0001). When the log cannot be read either, the caller gets an error and has to
//! read it before it builds on the state it knows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::TryStreamExt;
use model::{Clock, Error, Result, Signal};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde_json::json;

use crate::background::{self, Priority};
use crate::crash::crash_point;
use crate::space;

use super::action::{Action, Format, Metadata, Protocol, Txn};
use super::{Add, Remove, checkpoint, schema};

/// A checkpoint is written every so many commits, and older log files are cleaned up. More often in tests, so that they
/// get there.
const CHECKPOINT_EVERY: u64 = if cfg!(test) { 5 } else { 50 };
/// Log files older than this are deleted once a newer checkpoint covers them.
const KEEP_LOG_MS: i64 = 60 * 60 * 1000;
/// How often a commit is tried again after another writer took its version.
const ATTEMPTS: u32 = 16;

/// A table as of one version.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableState {
    /// `None`: the table does not exist yet.
    pub version: Option<u64>,
    pub protocol: Option<Protocol>,
    pub metadata: Option<Metadata>,
    /// Files by path.
    pub files: BTreeMap<String, Add>,
    /// Removed files that may still lie in the folder.
    pub tombstones: BTreeMap<String, Remove>,
    /// Application transactions: highest version by application.
    pub txns: BTreeMap<String, i64>,
}

impl TableState {
    fn apply(&mut self, action: Action) {
        if let Some(protocol) = action.protocol {
            self.protocol = Some(protocol);
        }
        if let Some(metadata) = action.meta_data {
            self.metadata = Some(metadata);
        }
        if let Some(txn) = action.txn {
            self.txns.insert(txn.app_id, txn.version);
        }
        if let Some(add) = action.add {
            self.tombstones.remove(&add.path);
            self.files.insert(add.path.clone(), add);
        }
        if let Some(remove) = action.remove {
            self.files.remove(&remove.path);
            self.tombstones.insert(remove.path.clone(), remove);
        }
    }

    fn actions(&self) -> Vec<Action> {
        let mut actions = vec![
            Action { protocol: self.protocol.clone(), ..Action::default() },
            Action { meta_data: self.metadata.clone(), ..Action::default() },
        ];
        let txn = |(app_id, version): (&String, &i64)| {
            Action::from(Txn { app_id: app_id.clone(), version: *version, last_updated: None })
        };
        actions.extend(self.txns.iter().map(txn));
        actions.extend(self.files.values().cloned().map(Action::from));
        actions.extend(self.tombstones.values().cloned().map(Action::from));
        actions
    }
}

/// The records of the write-ahead log that a commit brings into the table, as application `app_id`. All before `from`
/// are in it already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub app_id: String,
    pub from: i64,
    pub through: i64,
}

/// What one commit changes.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Shown in the table's history, e.g. `WRITE` or `OPTIMIZE`.
    pub operation: &'static str,
    pub adds: Vec<Add>,
    pub removes: Vec<Remove>,
    /// The commit is skipped when the table is already there.
    pub progress: Option<Progress>,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// Written as this version.
    As(u64),
    /// The table held its transaction already; nothing was written.
    Already,
}

/// The log of one table.
#[derive(Debug, Clone)]
pub struct DeltaLog {
    objects: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    /// The table's folder.
    root: Path,
    signal: Signal,
}

impl DeltaLog {
    pub fn new(objects: Arc<dyn ObjectStore>, clock: Arc<dyn Clock>, root: Path, signal: Signal) -> Self {
        DeltaLog { objects, clock, root, signal }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The path of a table file within the object store.
    pub fn path_of(&self, file: &str) -> Path {
        Path::from(format!("{}/{file}", self.root))
    }

    fn log_path(&self, name: &str) -> Path {
        Path::from(format!("{}/_delta_log/{name}", self.root))
    }

    /// The newest state.
    pub async fn load(&self) -> Result<TableState> {
        let (checkpoints, commits) = self.list().await?;
        let mut state = TableState::default();
        for version in checkpoints.into_iter().rev() {
            let file = self.read(&checkpoint_name(version)).await?;
            match checkpoint::decode(file) {
                Ok(actions) => {
                    actions.into_iter().for_each(|action| state.apply(action));
                    state.version = Some(version);
                    break;
                }
                // Commits are deleted only behind a checkpoint that was written whole.
                Err(error) => tracing::warn!("checkpoint {version} of {} is left out: {error}", self.root),
            }
        }
        self.replay(&mut state, &commits).await?;
        Ok(state)
    }

    /// Applies the commits after `state.version`.
    async fn replay(&self, state: &mut TableState, commits: &BTreeSet<u64>) -> Result<()> {
        let from = state.version.map_or(0, |v| v + 1);
        for &version in commits.range(from..) {
            let expected = state.version.map_or(0, |v| v + 1);
            if version != expected {
                return Err(Error::corrupt(format!(
                    "the Delta log of {} lacks version {expected} (next found is {version})",
                    self.root
                ))
                .hint("restore the missing file of _delta_log from a backup"));
            }
            let file = self.read(&commit_name(version)).await?;
            for line in file.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
                let action: Action = serde_json::from_slice(line).map_err(|e| {
                    Error::corrupt(format!("{} is not a Delta commit: {e}", self.log_path(&commit_name(version))))
                })?;
                state.apply(action);
            }
            state.version = Some(version);
        }
        check_protocol(state, &self.root)
    }

    async fn list(&self) -> Result<(BTreeSet<u64>, BTreeSet<u64>)> {
        let prefix = self.log_path("");
        let (mut checkpoints, mut commits) = (BTreeSet::new(), BTreeSet::new());
        let mut listing = self.objects.list(Some(&prefix));
        while let Some(object) = listing.try_next().await.map_err(|e| self.trouble("listing", &e))? {
            let name = object.location.filename().unwrap_or_default();
            if let Some(version) = name.strip_suffix(".checkpoint.parquet").and_then(|v| v.parse().ok()) {
                checkpoints.insert(version);
            } else if let Some(version) = name.strip_suffix(".json").and_then(|v| v.parse().ok()) {
                commits.insert(version);
            }
        }
        Ok((checkpoints, commits))
    }

    async fn read(&self, name: &str) -> Result<bytes::Bytes> {
        let path = self.log_path(name);
        let got = self.objects.get(&path).await.map_err(|e| self.trouble("reading", &e))?;
        got.bytes().await.map_err(|e| self.trouble("reading", &e))
    }

    fn trouble(&self, doing: &str, error: &object_store::Error) -> Error {
        space::trouble(format_args!("{doing} the Delta log of {}", self.root), error)
    }

    /// Commits, and brings `state` up to the version that resulted. After an error the commit may be there all the same:
    /// `state` must be loaded again before the next.
    pub async fn commit(&self, state: &mut TableState, commit: &Commit) -> Result<Committed> {
        for _ in 0..ATTEMPTS {
            if self.is_held(state, commit)? {
                return Ok(Committed::Already);
            }
            self.still_possible(state, commit)?;
            let version = state.version.map_or(0, |v| v + 1);
            let actions = self.lines(state, commit)?;
            crash_point!("commit.planned");
            match self.put_new(version, &actions).await {
                Ok(()) => {
                    crash_point!("commit.put");
                    actions.into_iter().for_each(|action| state.apply(action));
                    state.version = Some(version);
                    if version > 0 && version.is_multiple_of(CHECKPOINT_EVERY) {
                        self.checkpoint_or_warn(state).await;
                    }
                    return Ok(Committed::As(version));
                }
                // Ours whose answer was lost, another writer's, or a store that failed: see what the log says now.
                Err(error) => {
                    let before = state.version;
                    *state = self.load().await?;
                    if commit.progress.is_none() && landed(state, commit) {
                        return Ok(Committed::As(state.version.unwrap_or_default()));
                    }
                    if state.version == before {
                        return Err(self.trouble("committing to", &error));
                    }
                }
            }
        }
        Err(Error::unavailable(format!("no version of {} could be committed in {ATTEMPTS} attempts", self.root)))
    }

    /// Whether the table holds all records of this commit. Errors: it holds some of them, by an earlier commit whose
    /// answer was lost.
    fn is_held(&self, state: &TableState, commit: &Commit) -> Result<bool> {
        let Some(progress) = &commit.progress else { return Ok(false) };
        match state.txns.get(&progress.app_id) {
            Some(held) if *held >= progress.through => Ok(true),
            Some(held) if *held >= progress.from => Err(Error::unavailable(format!(
                "{} holds records up to {held} already, of those from {} to {}",
                self.root, progress.from, progress.through
            ))),
            _ => Ok(false),
        }
    }

    /// A file that this commit removes may have been removed by another writer: then the plan is stale.
    fn still_possible(&self, state: &TableState, commit: &Commit) -> Result<()> {
        match commit.removes.iter().find(|r| !state.files.contains_key(&r.path)) {
            Some(remove) => {
                Err(Error::unavailable(format!("{} of {} was removed by another writer", remove.path, self.root)))
            }
            None => Ok(()),
        }
    }

    fn lines(&self, state: &TableState, commit: &Commit) -> Result<Vec<Action>> {
        let now = self.clock.now() / model::time::MILLISECOND;
        let info = json!({
            "timestamp": now,
            "operation": commit.operation,
            "operationParameters": {},
            "engineInfo": concat!("hotspan/", env!("CARGO_PKG_VERSION")),
            "isBlindAppend": commit.removes.is_empty(),
        });
        let mut actions = vec![Action { commit_info: Some(info), ..Action::default() }];
        if state.version.is_none() {
            actions.push(Action {
                protocol: Some(Protocol { min_reader_version: 1, min_writer_version: 2 }),
                ..Action::default()
            });
            actions.push(Action { meta_data: Some(self.metadata(now)?), ..Action::default() });
        }
        if let Some(Progress { app_id, through, .. }) = &commit.progress {
            actions.push(Txn { app_id: app_id.clone(), version: *through, last_updated: Some(now) }.into());
        }
        actions.extend(commit.removes.iter().cloned().map(Action::from));
        actions.extend(commit.adds.iter().cloned().map(Action::from));
        Ok(actions)
    }

    fn metadata(&self, now: i64) -> Result<Metadata> {
        Ok(Metadata {
            id: uuid::Uuid::new_v4().to_string(),
            name: Some(self.signal.table().to_owned()),
            format: Format { provider: "parquet".into(), options: BTreeMap::new() },
            schema_string: schema::schema_string(&model::schema::schema(self.signal))?,
            partition_columns: vec![schema::PARTITION.to_owned()],
            configuration: BTreeMap::new(),
            created_time: Some(now),
        })
    }

    async fn put_new(&self, version: u64, actions: &[Action]) -> Result<(), object_store::Error> {
        let mut text = String::new();
        for action in actions {
            let line = serde_json::to_string(action)
                .map_err(|e| object_store::Error::Generic { store: "delta", source: Box::new(e) })?;
            text.push_str(&line);
            text.push('\n');
        }
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        self.objects.put_opts(&self.log_path(&commit_name(version)), PutPayload::from(text), options).await?;
        Ok(())
    }

    /// A commit is done without its checkpoint; the next one comes.
    async fn checkpoint_or_warn(&self, state: &TableState) {
        if let Err(error) = self.checkpoint(state).await {
            tracing::warn!("no checkpoint of {} this time: {error}", self.root);
        }
    }

    /// Writes a checkpoint of `state` and deletes the log files that it makes superfluous.
    pub async fn checkpoint(&self, state: &TableState) -> Result<()> {
        let Some(version) = state.version else { return Ok(()) };
        let actions = state.actions();
        let size = actions.len();
        // With many files it takes long, and exports are answered by the thread that would do it here.
        let work = move || checkpoint::encode(&actions);
        let file = background::run("hotspan-checkpoint", Priority::Flush, work).await?;
        let put = |name: String, bytes: Vec<u8>| async move {
            let path = self.log_path(&name);
            self.objects.put(&path, PutPayload::from(bytes)).await.map_err(|e| self.trouble("writing", &e))
        };
        put(checkpoint_name(version), file).await?;
        crash_point!("checkpoint.put");
        let last = json!({"version": version, "size": size}).to_string();
        put("_last_checkpoint".into(), last.into_bytes()).await?;
        crash_point!("checkpoint.announced");
        self.clean_up(version).await
    }

    /// Deletes commits and checkpoints that `version`'s checkpoint covers and that are old enough.
    async fn clean_up(&self, version: u64) -> Result<()> {
        let horizon = self.clock.now() / model::time::MILLISECOND - KEEP_LOG_MS;
        let prefix = self.log_path("");
        let objects: Vec<_> =
            self.objects.list(Some(&prefix)).try_collect().await.map_err(|e| self.trouble("listing", &e))?;
        for object in objects {
            let name = object.location.filename().unwrap_or_default();
            let number = name.split('.').next().and_then(|v| v.parse::<u64>().ok());
            let old = object.last_modified.timestamp_millis() < horizon;
            if old && number.is_some_and(|n| n < version) {
                self.objects.delete(&object.location).await.map_err(|e| self.trouble("cleaning", &e))?;
                crash_point!("checkpoint.cleaning");
            }
        }
        Ok(())
    }
}

/// Whether the table already is as `commit` wants it.
fn landed(state: &TableState, commit: &Commit) -> bool {
    let added = commit.adds.iter().all(|add| state.files.contains_key(&add.path));
    let removed = commit.removes.iter().all(|remove| !state.files.contains_key(&remove.path));
    added && removed
}

fn check_protocol(state: &TableState, root: &Path) -> Result<()> {
    match &state.protocol {
        Some(p) if p.min_reader_version > 1 || p.min_writer_version > 2 => Err(Error::invalid(format!(
            "{root} needs Delta reader {} and writer {}, this hotspan knows 1 and 2",
            p.min_reader_version, p.min_writer_version
        ))
        .hint("another program upgraded the table; use a hotspan that knows it, or restore the protocol")),
        _ => Ok(()),
    }
}

fn commit_name(version: u64) -> String {
    format!("{version:020}.json")
}

fn checkpoint_name(version: u64) -> String {
    format!("{version:020}.checkpoint.parquet")
}
