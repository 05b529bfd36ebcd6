//! Stress-test runs on disk: an object each, in the folder of their tenant, so that they go where the tables go.
//!
//! ```text
//!   <data>/runs/<id>.json                    of tenant `default`
//!   <data>/tenants/<tenant>/runs/<id>.json   of the others
//! ```
//! *Invariant:* a change is visible to queries only when its object has been put, which is durable. So is a deletion: the
//! object is put once more as one that says so, since a local folder may lose a removal at a power cut.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use futures::TryStreamExt;
use model::ingest::Pending;
use model::run::{Change, Run, Runs, find};
use model::time::to_rfc3339;
use model::{Clock, Error, Nanos, Result, Tenant};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};

use crate::folder::of_tenant;
use crate::store::Store;

const VERSION: u32 = 1;
const FOLDER: &str = "runs";
/// What the object of a deleted run holds until it is gone.
const DELETED: &[u8] = br#"{"version":1,"deleted":true}"#;
/// More runs than anybody makes by hand; a script that makes one a second should hear of it.
const MOST_RUNS: usize = 10_000;

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    #[serde(flatten)]
    run: Run,
}

pub(crate) struct RunBook {
    objects: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    tenants: RwLock<BTreeMap<Tenant, Arc<[Run]>>>,
    /// One change at a time.
    turn: tokio::sync::Mutex<()>,
}

impl RunBook {
    /// Reads the runs of these tenants. Those that cannot be read are told in words.
    pub async fn open(
        objects: Arc<dyn ObjectStore>,
        clock: Arc<dyn Clock>,
        tenants: Vec<Tenant>,
    ) -> Result<(Self, Vec<String>)> {
        let (mut all, mut trouble) = (BTreeMap::new(), Vec::new());
        for tenant in tenants {
            let (runs, unreadable) = load(objects.as_ref(), &tenant).await?;
            trouble.extend(unreadable);
            all.insert(tenant, runs);
        }
        let book = RunBook { objects, clock, tenants: RwLock::new(all), turn: tokio::sync::Mutex::new(()) };
        Ok((book, trouble))
    }

    pub fn of(&self, tenant: &Tenant) -> Arc<[Run]> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.get(tenant).cloned().unwrap_or_default()
    }

    async fn begin(&self, tenant: &Tenant, change: Change) -> Result<Run> {
        let _turn = self.turn.lock().await;
        let runs = self.of(tenant);
        if runs.len() >= MOST_RUNS {
            return Err(Error::invalid(format!("there are {MOST_RUNS} runs already, more are not kept")));
        }
        let id = uuid::Uuid::new_v4().simple().to_string()[..12].to_owned();
        let run = Run::begun(id, self.clock.now()).changed(change)?;
        self.keep(tenant, &runs, run).await
    }

    async fn change(&self, tenant: &Tenant, name: &str, change: Change) -> Result<Run> {
        let _turn = self.turn.lock().await;
        let runs = self.of(tenant);
        let run = find(&runs, name).ok_or_else(|| {
            Error::not_found(format!("there is no run {name:?}"))
                .hint("GET /api/v1/runs or `hotspan run list` has them")
        })?;
        self.keep(tenant, &runs, run.changed(change)?).await
    }

    async fn delete(&self, tenant: &Tenant, id: &str) -> Result<Run> {
        let _turn = self.turn.lock().await;
        let runs = self.of(tenant);
        let run = runs.iter().find(|run| run.id == id).cloned();
        let run = run.ok_or_else(|| Error::not_found(format!("there is no run {id:?}")))?;
        let path = path_of(tenant, &run);
        let put = self.objects.put(&path, PutPayload::from_static(DELETED)).await;
        put.map_err(|e| Error::unavailable(format!("writing {path}: {e}")))?;
        if let Err(error) = self.objects.delete(&path).await {
            tracing::warn!(%path, %error, "the object of a deleted run stays");
        }
        self.show(tenant, runs.iter().filter(|other| other.id != run.id).cloned().collect());
        let (start, end) = (to_rfc3339(run.start), run.end.map(to_rfc3339));
        tracing::info!(%tenant, id = run.id, name = run.name, start, end, "a stress-test run was deleted");
        Ok(run)
    }

    async fn keep(&self, tenant: &Tenant, runs: &[Run], run: Run) -> Result<Run> {
        let path = path_of(tenant, &run);
        let bytes = serde_json::to_vec(&Saved { version: VERSION, run: run.clone() });
        let bytes = bytes.map_err(|e| Error::internal(format!("writing a run: {e}")))?;
        let put = self.objects.put(&path, bytes.into()).await;
        put.map_err(|e| Error::unavailable(format!("writing {path}: {e}")))?;
        let others = runs.iter().filter(|r| r.id != run.id).cloned();
        self.show(tenant, others.chain([run.clone()]).collect());
        Ok(run)
    }

    fn show(&self, tenant: &Tenant, runs: Vec<Run>) {
        self.tenants.write().unwrap_or_else(PoisonError::into_inner).insert(tenant.clone(), in_order(runs));
    }
}

fn path_of(tenant: &Tenant, run: &Run) -> Path {
    of_tenant(tenant, FOLDER).join(format!("{}.json", run.id))
}

/// A tenant's runs, and what is wrong with those that cannot be read.
pub(crate) async fn load(objects: &dyn ObjectStore, tenant: &Tenant) -> Result<(Arc<[Run]>, Vec<String>)> {
    let trouble = |e: object_store::Error| Error::unavailable(format!("reading the runs of {tenant}: {e}"));
    let found: Vec<_> = objects.list(Some(&of_tenant(tenant, FOLDER))).try_collect().await.map_err(trouble)?;
    let (mut runs, mut unreadable) = (Vec::new(), Vec::new());
    for object in found {
        let bytes = objects.get(&object.location).await.map_err(trouble)?.bytes().await.map_err(trouble)?;
        if bytes == DELETED {
            continue;
        }
        match serde_json::from_slice::<Saved>(&bytes) {
            Ok(Saved { version: ..=VERSION, run }) => runs.push(run),
            Ok(Saved { version, .. }) => unreadable.push(format!("{}: a run of version {version}", object.location)),
            Err(error) => unreadable.push(format!("{}: not a run: {error}", object.location)),
        }
    }
    Ok((in_order(runs), unreadable))
}

fn in_order(mut runs: Vec<Run>) -> Arc<[Run]> {
    runs.sort_by(|a, b| (a.start, &a.id).cmp(&(b.start, &b.id)));
    runs.into()
}

impl Runs for Store {
    fn now(&self) -> Nanos {
        self.shared.clock.now()
    }

    fn list(&self, tenant: &Tenant) -> Arc<[Run]> {
        self.shared.runs.of(tenant)
    }

    fn begin<'a>(&'a self, tenant: &'a Tenant, change: Change) -> Pending<'a, Run> {
        let (shared, tenant) = (self.shared.clone(), tenant.clone());
        to_its_end(async move { shared.runs.begin(&tenant, change).await })
    }

    fn change<'a>(&'a self, tenant: &'a Tenant, name: &'a str, change: Change) -> Pending<'a, Run> {
        let (shared, tenant, name) = (self.shared.clone(), tenant.clone(), name.to_owned());
        to_its_end(async move { shared.runs.change(&tenant, &name, change).await })
    }

    fn delete<'a>(&'a self, tenant: &'a Tenant, id: &'a str) -> Pending<'a, Run> {
        let (shared, tenant, id) = (self.shared.clone(), tenant.clone(), id.to_owned());
        to_its_end(async move { shared.runs.delete(&tenant, &id).await })
    }
}

/// Who asked may go: what is durable by then must be visible too.
fn to_its_end(change: impl Future<Output = Result<Run>> + Send + 'static) -> Pending<'static, Run> {
    let change = tokio::spawn(change);
    Box::pin(async { change.await.map_err(|e| Error::internal(format!("keeping a run: {e}")))? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DurableLocal;
    use crate::simulation::bug::Bug;
    use crate::simulation::faulty::{Fault, Faulty, Op};
    use model::ManualClock;
    use wal::sim::SimFs;

    async fn open(root: &std::path::Path, tenants: &[&Tenant]) -> (RunBook, Vec<String>) {
        let objects = Arc::new(DurableLocal::open(root).expect("opens"));
        let tenants = tenants.iter().map(|t| (*t).clone()).collect();
        RunBook::open(objects, Arc::new(ManualClock::at(1_000)), tenants).await.expect("opens")
    }

    #[tokio::test]
    async fn runs_come_back_by_tenant_and_a_broken_one_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let (default, other) = (Tenant::default(), Tenant::new("other").expect("a name"));
        let (book, trouble) = open(folder.path(), &[]).await;
        assert!(trouble.is_empty());
        let named = |name: &str| Change { name: Some(name.to_owned()), ..Change::default() };
        let first = book.begin(&default, named("round-1")).await.expect("begins");
        book.begin(&other, named("theirs")).await.expect("begins");
        let end = Change { end: Some(2_000), ..Change::default() };
        let ended = book.change(&default, "round-1", end.clone()).await.expect("ends");
        assert_eq!((&ended.id, ended.start, ended.end), (&first.id, 1_000, Some(2_000)));
        assert_eq!(book.change(&default, "theirs", end).await.expect_err("not ours").kind, model::Kind::NotFound);

        std::fs::write(folder.path().join("runs/broken.json"), "{").expect("written");
        let (book, trouble) = open(folder.path(), &[&default, &other]).await;
        assert_eq!(book.of(&default).as_ref(), [ended]);
        assert_eq!(book.of(&other).len(), 1);
        assert!(trouble.len() == 1 && trouble[0].contains("runs/broken.json"), "{trouble:?}");
    }

    #[tokio::test]
    async fn a_deleted_run_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let tenant = Tenant::default();
        let (book, _) = open(folder.path(), &[&tenant]).await;
        let named = |name: &str| Change { name: Some(name.to_owned()), ..Change::default() };
        let first = book.begin(&tenant, named("round-1")).await.expect("begins");
        let second = book.begin(&tenant, named("round-1")).await.expect("begins");
        assert_eq!(book.delete(&tenant, "round-1").await.expect_err("no id").kind, model::Kind::NotFound);
        let other = Tenant::new("other").expect("a name");
        assert_eq!(book.delete(&other, &first.id).await.expect_err("not theirs").kind, model::Kind::NotFound);
        assert_eq!(book.delete(&tenant, &first.id).await.expect("deletes"), first);
        assert_eq!(book.of(&tenant).as_ref(), std::slice::from_ref(&second));
        assert_eq!(book.delete(&tenant, &first.id).await.expect_err("once").kind, model::Kind::NotFound);
        assert!(!folder.path().join(format!("runs/{}.json", first.id)).exists());
        let (book, trouble) = open(folder.path(), &[&tenant]).await;
        assert_eq!((book.of(&tenant).as_ref(), trouble), ([second].as_slice(), vec![]));
    }

    #[tokio::test]
    async fn a_deleted_run_stays_deleted_where_its_object_cannot_be_removed() {
        let clock = Arc::new(ManualClock::at(1_000));
        let objects = Arc::new(Faulty::new(1, clock.clone(), SimFs::new(), Bug::None));
        let tenant = Tenant::default();
        let open = || RunBook::open(objects.clone(), clock.clone(), vec![tenant.clone()]);
        let (book, _) = open().await.expect("opens");
        let named = Change { name: Some("round-1".to_owned()), ..Change::default() };
        let run = book.begin(&tenant, named).await.expect("begins");
        objects.script(&[(Op::Put, Fault::Error)]);
        assert_eq!(book.delete(&tenant, &run.id).await.expect_err("not put").kind, model::Kind::Unavailable);
        assert_eq!(book.of(&tenant).len(), 1, "what is not durable is not shown");
        objects.script(&[(Op::Delete, Fault::Error)]);
        book.delete(&tenant, &run.id).await.expect("deletes");
        assert!(book.of(&tenant).is_empty());
        let (book, trouble) = open().await.expect("opens");
        assert_eq!((book.of(&tenant).len(), trouble), (0, vec![]));
    }
}
