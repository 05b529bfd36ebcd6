//! An object store that fails: a wrapper with seeded faults, and with a power that can be cut at any operation.
//!
//! ```text
//!   put, get, list, delete ─▶ power on? ─▶ fault? ─▶ InMemory ─▶ answer, or an error although it was done
//! ```
//! Everything is decided by the seed and by the order of operations, so a run is repeated by its seed. There is no
//! multipart upload to tear: the store never asks for one, and is told so if it does. What a torn upload would leave is
//! [`Fault::Torn`], a put that replaces an object by half of what it was given.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use model::{Clock, ManualClock, Nanos};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use wal::sim::{Chance, SimFs};

use super::bug::{self, Bug};

const STORE: &str = "Faulty";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// A put that must not replace anything.
    Create,
    Put,
    Get,
    List,
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// An error before anything was done.
    Error,
    /// Done, but the answer is an error.
    LostAnswer,
    /// Refused, and so are the next operations.
    Throttled,
    /// "It exists already", although nothing was there and nothing was written (S3's 409 under load).
    Conflict,
    /// "It exists already": what an earlier try of the same put left, whose answer was lost on the way.
    OwnEarlierPut,
    /// Somebody else took the name a moment before.
    Foreign,
    /// Half of it arrived, and the answer is an error.
    Torn,
    /// The answer breaks off in the middle.
    Cut,
    /// No space, by a quota; met only where a test asks for it.
    Full,
}

/// The faults that an operation can meet.
fn faults_of(op: Op, is_commit: bool) -> &'static [Fault] {
    use Fault::*;
    match op {
        Op::Create if is_commit => &[Error, LostAnswer, Throttled, Conflict, OwnEarlierPut, Foreign],
        Op::Create => &[Error, LostAnswer, Throttled, Conflict, OwnEarlierPut],
        Op::Put => &[Error, LostAnswer, Throttled, Torn],
        Op::Get | Op::List => &[Error, Throttled, Cut],
        Op::Delete => &[Error, LostAnswer, Throttled],
    }
}

/// Clones share the objects.
#[derive(Clone)]
pub struct Faulty {
    inner: Arc<InMemory>,
    clock: Arc<ManualClock>,
    /// The disk of the log, on the same power.
    disk: SimFs,
    state: Arc<Mutex<State>>,
}

struct State {
    chance: Chance,
    /// Faults in a thousand operations.
    rate: u64,
    /// Operations that are still refused.
    throttled: u64,
    /// What the next operation of a kind meets, whatever chance says.
    scripted: Vec<(Op, Fault)>,
    /// Operations until the power fails.
    power_left: Option<u64>,
    bug: Bug,
    /// When each object was written, by the simulation's clock.
    written: BTreeMap<Path, Nanos>,
    /// What each put since the last sync replaced; only for a store that does not sync.
    unsynced: Vec<(Path, Option<Bytes>)>,
    met: BTreeMap<(Op, Fault), u64>,
    operations: u64,
}

/// What becomes of an operation.
enum Verdict {
    Do,
    /// The power fails while it is done.
    DoAndFail,
    Fail(Fault),
}

fn error(why: impl Into<String>) -> Error {
    Error::Generic { store: STORE, source: why.into().into() }
}

impl Faulty {
    pub fn new(seed: u64, clock: Arc<ManualClock>, disk: SimFs, bug: Bug) -> Self {
        let state = State {
            chance: Chance::new(seed),
            rate: 0,
            throttled: 0,
            scripted: Vec::new(),
            power_left: None,
            bug,
            written: BTreeMap::new(),
            unsynced: Vec::new(),
            met: BTreeMap::new(),
            operations: 0,
        };
        Faulty { inner: Arc::default(), clock, disk, state: Arc::new(Mutex::new(state)) }
    }

    /// Faults in a thousand operations from now on.
    pub fn set_rate(&self, rate: u64) {
        let mut state = self.lock();
        (state.rate, state.throttled) = (rate, 0);
    }

    /// The next operation of this kind meets this fault; several of a kind one after the other.
    pub fn script(&self, faults: &[(Op, Fault)]) {
        self.lock().scripted.extend_from_slice(faults);
    }

    /// The power fails at the operation `nth` from now on: it is done or not, and nothing is after it.
    pub fn power_fails_at(&self, nth: u64) {
        self.lock().power_left = Some(nth);
    }

    /// Power is back. Loses what was not made durable, which is nothing but in a store with that bug.
    pub async fn power_on(&self, cut: bool) {
        let unsynced = {
            let mut state = self.lock();
            state.power_left = None;
            std::mem::take(&mut state.unsynced)
        };
        for (path, before) in unsynced.into_iter().rev().filter(|_| cut) {
            let undone = self.lock().chance.below(2) == 0;
            match before {
                _ if !undone => {}
                Some(bytes) => drop(self.inner.put(&path, bytes.into()).await),
                None => drop(self.inner.delete(&path).await),
            }
        }
    }

    /// The objects without faults.
    pub fn objects(&self) -> Arc<InMemory> {
        self.inner.clone()
    }

    /// The faults met so far.
    pub fn met(&self) -> BTreeMap<(Op, Fault), u64> {
        self.lock().met.clone()
    }

    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, op: Op, path: &Path) -> Result<Verdict> {
        let mut state = self.lock();
        if self.disk.is_off() {
            return Err(error("the simulated power is off"));
        }
        state.operations += 1;
        if let Some(left) = &mut state.power_left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.disk.power_fails_at(0);
                return match state.chance.below(2) {
                    0 => Ok(Verdict::DoAndFail),
                    _ => Err(error("the simulated power fails")),
                };
            }
        }
        if let Some(at) = state.scripted.iter().position(|(wanted, _)| *wanted == op) {
            return Ok(Verdict::Fail(state.scripted.remove(at).1));
        }
        if state.throttled > 0 {
            state.throttled -= 1;
            return Ok(Verdict::Fail(Fault::Throttled));
        }
        if state.chance.below(1000) >= state.rate {
            return Ok(Verdict::Do);
        }
        let faults = faults_of(op, path.as_ref().contains("_delta_log"));
        let fault = faults[state.chance.below(faults.len() as u64) as usize];
        if fault == Fault::Throttled {
            state.throttled = state.chance.below(6);
        }
        *state.met.entry((op, fault)).or_default() += 1;
        Ok(Verdict::Fail(fault))
    }

    async fn put(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let bug = self.lock().bug;
        if bug == Bug::PutNotDone && self.lock().chance.below(20) == 0 {
            return Ok(PutResult { e_tag: None, version: None });
        }
        let payload =
            if bug == Bug::ForgottenTransactions { bug::without_transactions(path, payload) } else { payload };
        let before = match bug {
            Bug::ObjectsNotSynced => Some(self.bytes(path).await),
            _ => None,
        };
        let put = self.inner.put_opts(path, payload, options).await?;
        let mut state = self.lock();
        state.written.insert(path.clone(), self.clock.now());
        if let Some(before) = before {
            state.unsynced.push((path.clone(), before));
            let old = state.unsynced.len().saturating_sub(6);
            state.unsynced.drain(..old);
        }
        Ok(put)
    }

    async fn bytes(&self, path: &Path) -> Option<Bytes> {
        self.inner.get(path).await.ok()?.bytes().await.ok()
    }

    async fn put_with(&self, fault: Fault, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let exists = |why: &str| Err(Error::AlreadyExists { path: path.to_string(), source: why.into() });
        match fault {
            Fault::Error | Fault::Throttled | Fault::Cut => Err(error(format!("{fault:?}"))),
            Fault::Full => {
                let full = std::io::Error::from(std::io::ErrorKind::QuotaExceeded);
                Err(Error::Generic { store: STORE, source: Box::new(full) })
            }
            Fault::LostAnswer => {
                self.put(path, payload, options).await?;
                Err(error("lost answer"))
            }
            Fault::Conflict if self.lock().bug == Bug::ConflictTakenForDone => {
                Ok(PutResult { e_tag: None, version: None })
            }
            Fault::Conflict => exists("409"),
            Fault::OwnEarlierPut => {
                self.put(path, payload, options).await?;
                exists("412")
            }
            Fault::Foreign => {
                let line = r#"{"commitInfo":{"operation":"VACUUM","engineInfo":"somebody else"}}"#;
                self.put(path, line.into(), options).await?;
                exists("412")
            }
            Fault::Torn => {
                let whole: Vec<u8> = payload.iter().flat_map(|part| part.iter().copied()).collect();
                self.put(path, whole[..whole.len() / 2].to_vec().into(), options).await?;
                Err(error("torn"))
            }
        }
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

/// The first half of what comes, then an error.
fn broken_off<T: Send + 'static>(all: Vec<T>) -> BoxStream<'static, Result<T>> {
    let half = all.len() / 2;
    let kept = all.into_iter().take(half).map(Ok);
    stream::iter(kept.chain([Err(error("the answer broke off"))])).boxed()
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let op = if matches!(options.mode, PutMode::Create) { Op::Create } else { Op::Put };
        match self.begin(op, path)? {
            Verdict::Do => self.put(path, payload, options).await,
            Verdict::DoAndFail => {
                self.put(path, payload, options).await?;
                Err(error("the simulated power fails"))
            }
            Verdict::Fail(fault) => self.put_with(fault, path, payload, options).await,
        }
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotSupported { source: "the store puts objects whole".into() })
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let verdict = self.begin(Op::Get, path)?;
        match verdict {
            Verdict::Do => self.inner.get_opts(path, options).await,
            Verdict::Fail(Fault::Cut) => {
                let GetResult { payload, meta, range, attributes } = self.inner.get_opts(path, options).await?;
                let GetResultPayload::Stream(bytes) = payload else { return Err(error("memory streams")) };
                let all = bytes.try_collect::<Vec<Bytes>>().await?.concat();
                let halves = all.chunks(all.len().div_ceil(2).max(1)).map(Bytes::copy_from_slice).collect();
                Ok(GetResult { payload: GetResultPayload::Stream(broken_off(halves)), meta, range, attributes })
            }
            Verdict::Fail(fault) => Err(error(format!("{fault:?}"))),
            Verdict::DoAndFail => Err(error("the simulated power fails")),
        }
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |path: Result<Path>| {
            let store = store.clone();
            async move {
                let path = path?;
                match store.begin(Op::Delete, &path)? {
                    Verdict::Do => store.inner.delete(&path).await.map(|()| path),
                    Verdict::DoAndFail | Verdict::Fail(Fault::LostAnswer) => {
                        store.inner.delete(&path).await?;
                        Err(error("lost answer"))
                    }
                    Verdict::Fail(fault) => Err(error(format!("{fault:?}"))),
                }
            }
        };
        paths.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let verdict = self.begin(Op::List, prefix.unwrap_or(&Path::default()));
        let store = self.clone();
        let listed = self.inner.list(prefix).map_ok(move |mut object| {
            let written = store.lock().written.get(&object.location).copied().unwrap_or(0);
            object.last_modified = chrono::DateTime::from_timestamp_nanos(written);
            object
        });
        let failed = |error| stream::iter([Err(error)]).boxed();
        match verdict {
            Ok(Verdict::Do) => listed.boxed(),
            Ok(Verdict::Fail(Fault::Cut)) => {
                let all = listed.try_collect::<Vec<_>>();
                stream::once(all).map_ok(broken_off).try_flatten().boxed()
            }
            Ok(Verdict::Fail(fault)) => failed(error(format!("{fault:?}"))),
            Ok(Verdict::DoAndFail) => failed(error("the simulated power fails")),
            Err(error) => failed(error),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        match self.begin(Op::List, prefix.unwrap_or(&Path::default()))? {
            Verdict::Do => self.inner.list_with_delimiter(prefix).await,
            Verdict::Fail(fault) => Err(error(format!("{fault:?}"))),
            Verdict::DoAndFail => Err(error("the simulated power fails")),
        }
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(Error::NotSupported { source: "the store copies nothing".into() })
    }
}
