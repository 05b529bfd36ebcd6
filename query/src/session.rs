//! The query engine: one for the process. It admits, runs, limits and cancels queries; what they mean is elsewhere.
//!
//! ```text
//! caller's task ──Engine::sql──▶ admission ──▶ query thread: snapshot ▸ sandbox ▸ plan ▸ execute ──▶ batches
//!       └── drop: the query is cancelled          └── of its lane: threads, memory pool, spill quota
//! ```
//! *Invariants:* a query sees one snapshot and one tenant. It can reach no store but that snapshot's. Its work
//! happens on query threads only; a caller that goes away takes its query with it.

mod admission;
mod breath;
mod interrupt;
mod lane;
mod load;
mod meter;
mod once;
mod running;
mod settings;
mod share;
mod slices;
mod spill;
mod store;
mod threads;
mod through;
mod unpinned;
mod watch;

pub(crate) use interrupt::Interrupt;
pub use lane::Asked;
pub use load::{Load, OUTCOMES};
pub use settings::Settings;
pub(crate) use unpinned::unpinned;
pub use watch::machine_memory;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::prelude::SessionConfig;
use model::{Clock, Error, Kind, Nanos, Result, Tenant};
use storage::{Snapshot, Source};
use tokio::runtime::Handle;

use crate::analysis;
use crate::analysis::partial::Pieces;
use crate::error::from_datafusion;
use crate::functions::Functions;
use crate::output::Cut;
use crate::query::{Asker, Query};
use crate::tables::join::IdJoins;
use crate::tables::newest::StoredTimes;
use crate::tables::rewrite::{IdComparisons, PromotedAttributes};
use crate::tables::text_conditions::TextConditions;
use crate::tables::{self, Audience};
use interrupt::Interruptible;
use lane::{Lane, Lanes};
use load::Outcomes;
use share::Share;
use unpinned::LetGoOfPages;

/// The answer to a statement.
#[derive(Debug, Clone)]
pub struct QueryResult {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
    /// The limit that cut the answer short.
    pub cut: Option<Cut>,
    /// Of the rows as they are written, about.
    pub bytes: usize,
    pub elapsed: Duration,
    /// Rows that came out of scans, after the conditions that scans apply themselves.
    pub rows_scanned: u64,
}

impl QueryResult {
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

/// The engine. Cheap to clone; the threads stop when the last clone is dropped.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
    lanes: Arc<Lanes>,
}

/// What all queries share.
pub struct Shared {
    pub settings: Settings,
    pub clock: Arc<dyn Clock>,
    source: Arc<dyn Source>,
    functions: Functions,
    outcomes: Outcomes,
    pub(crate) pieces: Pieces,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Engine({:?})", self.shared.settings)
    }
}

impl Engine {
    /// Starts the query threads. `Invalid` when a setting is out of range, `Internal` when threads or the spill
    /// folder cannot be had.
    pub fn new(settings: Settings, source: Arc<dyn Source>, clock: Arc<dyn Clock>) -> Result<Engine> {
        settings.validate()?;
        let lanes = Lanes::new(&settings, watch::ceiling(settings.process_bytes))?;
        let (functions, outcomes) = (Functions::default(), Outcomes::default());
        let pieces = Pieces::new(settings.pieces_bytes());
        let shared = Arc::new(Shared { settings, clock, source, functions, outcomes, pieces });
        Ok(Engine { shared, lanes: Arc::new(lanes) })
    }

    /// As it was started with.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Runs one statement with `$1`, `$2`, … bound to `params`. Dropping the future cancels the query.
    ///
    /// `Invalid`: wrong or refused, with a hint. `Limit`: out of memory or time. `Overloaded`: too many wait.
    pub async fn sql(&self, tenant: &Tenant, text: &str, params: &[serde_json::Value]) -> Result<QueryResult> {
        let (text, params) = (text.to_owned(), params.to_vec());
        self.run_as(Asked::Statement, tenant, move |query| async move { query.user_sql(&text, &params).await }).await
    }

    /// Runs `job` with one snapshot of the tenant's tables, admitted, timed and on query threads: one of hotspan's own
    /// questions. It is begun again on other threads when those that run when a core is idle never have one.
    pub async fn run<T, F, J>(&self, tenant: &Tenant, job: J) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
        J: FnOnce(Query) -> F + Clone + Send + 'static,
    {
        self.run_as(Asked::Analysis, tenant, job).await
    }

    async fn run_as<T, F, J>(&self, asked: Asked, tenant: &Tenant, job: J) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
        J: FnOnce(Query) -> F + Clone + Send + 'static,
    {
        let limit = Duration::from_secs_f64(self.shared.settings.timeout_seconds);
        let lane = self.lanes.of(asked);
        let begun = AtomicBool::new(false);
        let work = async {
            let place = Arc::new(lane.admission.enter().await?);
            // A statement leaves its place while it runs.
            let kept = (asked == Asked::Analysis).then(|| place.clone());
            let begin = |threads: &Handle, place| {
                let interrupt = Interrupt::of(lane.running.enter(place));
                // Here, since a thread of a query may lose its core while it holds a table's lock.
                let query = Query::open(self, tenant, asked, interrupt.clone())?;
                interrupt.seat().meter().lend(query.snapshot().leases());
                let job = job.clone();
                let work = interrupt.seat().meter().count(async move { job(query).await });
                Ok::<_, Error>(Cancelling { task: threads.spawn(work), interrupt })
            };
            let threads = lane.threads.first(Instant::now())?;
            if asked == Asked::Statement {
                // Until a thread comes: with rows of this moment it would keep them for nothing.
                let _ = threads.spawn(async {}).await;
            }
            begun.store(true, Ordering::Relaxed);
            let first = begin(threads, Some(place))?;
            let meter = first.interrupt.seat().meter().clone();
            let instead = tokio::select! {
                outcome = first.outcome(lane, &self.shared) => return outcome,
                threads = lane.threads.never_come(&meter) => threads,
            };
            // What the first one had is lost, which is next to nothing.
            begin(instead, kept)?.outcome(lane, &self.shared).await
        };
        let outcome = match tokio::time::timeout(limit, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(took_too_long(limit, begun.load(Ordering::Relaxed))),
        };
        self.shared.outcomes.count(&outcome);
        outcome
    }

    /// How busy the engine is.
    pub fn load(&self) -> Load {
        let ((running, queued), (most_running, most_queued)) = (self.lanes.now(), self.lanes.most());
        let (ended, cpu) = (self.shared.outcomes.ended(), self.lanes.had());
        Load { running, queued, most_running, most_queued, ended, cpu }
    }

    /// One query's share of its lane's memory.
    pub(crate) fn memory(&self, asked: Asked) -> Arc<dyn MemoryPool> {
        let lane = self.lanes.of(asked);
        Arc::new(Share::of(lane.env.memory_pool.clone(), lane.most_of_one))
    }

    /// Readers of a snapshot's files that know the footers that sessions know.
    pub(crate) fn readers(&self, asked: Asked, snapshot: &Snapshot) -> CachedParquetFileReaderFactory {
        let footers = self.lanes.of(asked).env.cache_manager.get_file_metadata_cache();
        CachedParquetFileReaderFactory::new(snapshot.objects.clone(), footers)
    }

    /// A session over one snapshot. `asker` is what table functions find the snapshot through.
    pub(crate) fn session(
        &self,
        snapshot: &Snapshot,
        asker: Asker,
        now: Nanos,
        audience: Audience,
        (asked, interrupt): (Asked, &Interrupt),
    ) -> Result<SessionState> {
        let Shared { settings, functions, .. } = self.shared.as_ref();
        let lane = self.lanes.of(asked);
        let mut env = lane.env.clone();
        env.memory_pool = self.memory(asked);
        env.object_store_registry = Arc::new(store::SnapshotStore(snapshot.objects.clone()));
        let started = chrono::DateTime::from_timestamp_nanos(now);
        let mut state = SessionStateBuilder::new()
            .with_config(config(settings).with_extension(Arc::new(asker)))
            .with_runtime_env(Arc::new(env))
            .with_catalog_list(tables::catalog(snapshot, audience).map_err(from_datafusion)?)
            .with_scalar_functions(functions.scalar.clone())
            .with_aggregate_functions(functions.aggregate.clone())
            .with_window_functions(functions.window.clone())
            .with_expr_planners(functions.planners.clone())
            .with_table_functions(analysis::table_functions())
            .with_optimizer_rules(optimizer_rules())
            .with_physical_optimizer_rule(Arc::new(LetGoOfPages))
            .with_physical_optimizer_rule(Arc::new(Interruptible(interrupt.clone())))
            .with_execution_props(ExecutionProps::new().with_query_execution_start_time(started))
            .build();
        state.register_function_rewrite(Arc::new(PromotedAttributes)).map_err(from_datafusion)?;
        Ok(state)
    }
}

fn took_too_long(limit: Duration, begun: bool) -> Error {
    let limit = limit.as_secs_f64();
    if begun {
        Error::new(Kind::Limit, format!("the query took longer than {limit} s"))
            .hint("narrow the time range, filter by service_name, or select fewer columns")
    } else {
        Error::new(
            Kind::Limit,
            format!("the query could not begin within {limit} s, since others had all places or cores"),
        )
        .hint("ask again when less is coming in or fewer people ask")
    }
}

/// A task that ends when nobody waits for it any more.
struct Cancelling<T> {
    task: tokio::task::JoinHandle<Result<T>>,
    interrupt: Interrupt,
}

impl<T> Cancelling<T> {
    /// What it found, or why it has to end before.
    async fn outcome(self, lane: &Lane, shared: &Shared) -> Result<T> {
        let seat = self.interrupt.clone();
        let rows = || shared.source.pinned_bytes();
        tokio::select! {
            outcome = self.finish() => outcome,
            error = watch::exceeded(lane.ceiling, seat.seat(), rows) => Err(error),
            error = lane.outstayed(seat.seat()) => Err(error),
        }
    }

    async fn finish(mut self) -> Result<T> {
        match (&mut self.task).await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => {
                tracing::error!("a query panicked");
                Err(Error::internal("the query failed unexpectedly; this is a bug").hint("the server's log says more"))
            }
            Err(_) => Err(Error::unavailable("the query engine has stopped")),
        }
    }
}

impl<T> Drop for Cancelling<T> {
    fn drop(&mut self) {
        self.interrupt.set();
        self.task.abort();
        // Its own threads may have no core for seconds.
        let meter = self.interrupt.seat().meter();
        match Handle::try_current().ok().filter(|_| meter.has_rows()) {
            Some(ours) => drop(ours.spawn_blocking({
                let meter = meter.clone();
                move || meter.take_rows()
            })),
            None => meter.take_rows(),
        }
    }
}

impl Shared {
    pub(crate) fn snapshot(&self, tenant: &Tenant) -> Result<Snapshot> {
        let snapshot = self.source.snapshot(tenant)?.lent();
        if breath::is_busy(snapshot.taken, snapshot.newest_export) {
            breath::make_way();
        }
        Ok(snapshot)
    }
}

/// DataFusion's rules and ours. Conditions on attributes are shortened before anything else. Conditions on ids are rewritten where they have just reached the scan, before common
/// parts of them are taken out.
fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules = Optimizer::new().rules;
    let pushed = rules.iter().position(|rule| rule.name() == "push_down_filter");
    rules.insert(pushed.map_or(rules.len(), |at| at + 1), Arc::new(IdComparisons));
    rules.insert(0, Arc::new(TextConditions));
    rules.push(Arc::new(IdJoins));
    rules.push(Arc::new(StoredTimes));
    rules
}

/// Rows of a batch while others want the cores: between two of them a thread breathes. DataFusion's own 8,192 rows are up
/// to 4 ms; a regular expression takes twice as long in these, since it is compiled for each.
const CROWDED_BATCH: usize = 2_048;

fn config(settings: &Settings) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(settings.threads)
        .with_default_catalog_and_schema(tables::CATALOG, tables::SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false);
    if breath::is_crowded() {
        config = config.with_batch_size(CROWDED_BATCH);
    }
    let options = config.options_mut();
    options.sql_parser.dialect = datafusion::config::Dialect::PostgreSQL;
    options.execution.enable_recursive_ctes = false;
    // It moves JSON access below the views, where a stored column and the shown one have the same name.
    options.optimizer.enable_leaf_expression_pushdown = false;
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    config
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    use futures::poll;
    use model::ManualClock;
    use object_store::memory::InMemory;
    use storage::{Lease, TableSnapshot};

    use super::*;

    /// Nothing, and how often it was asked for.
    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Source for Counted {
        fn snapshot(&self, tenant: &Tenant) -> Result<Snapshot> {
            self.0.fetch_add(1, Ordering::SeqCst);
            let tables = model::Signal::ALL.map(|signal| TableSnapshot::new(signal, &[], Arc::new([]), None));
            let (objects, runs) = (Arc::new(InMemory::new()), Arc::new([]));
            Ok(Snapshot { tenant: tenant.clone(), taken: 0, newest_export: None, objects, tables, runs })
        }
    }

    #[tokio::test]
    async fn a_statement_takes_its_snapshot_when_a_thread_has_a_core_for_it() {
        let source = Arc::new(Counted::default());
        let settings = Settings { threads: 1, ..Settings::default() };
        let engine = Engine::new(settings, source.clone(), Arc::new(ManualClock::at(0))).expect("starts");
        let threads = &engine.lanes.of(Asked::Statement).threads;
        let (resume, paused) = mpsc::channel::<()>();
        let stuck = threads.first(Instant::now()).expect("runs").spawn(async move { paused.recv() });
        let tenant = Tenant::default();
        let mut answer = std::pin::pin!(engine.sql(&tenant, "SELECT count(*) FROM spans", &[]));
        assert!(poll!(&mut answer).is_pending());
        assert_eq!(source.0.load(Ordering::SeqCst), 0);
        drop(resume);
        assert_eq!((answer.await.expect("answers").rows(), source.0.load(Ordering::SeqCst)), (1, 1));
        assert!(stuck.await.expect("ends").is_err());
    }

    #[tokio::test]
    async fn rows_are_back_when_a_query_ends_whose_threads_have_no_core() {
        let lane = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("starts");
        let (resume, paused) = mpsc::channel::<()>();
        let stuck = lane.spawn(async move { paused.recv() });
        let interrupt = Interrupt::of(Arc::new(running::Running::default()).enter(None));
        let (lease, rows) = (Lease::default(), Arc::new(5));
        let lent = lease.lend(rows.clone());
        interrupt.seat().meter().lend([lease, Lease::default(), Lease::default()]);
        let task = lane.spawn(async move {
            std::future::pending::<()>().await;
            drop(lent);
            Ok(())
        });
        drop(Cancelling { task, interrupt });
        while Arc::strong_count(&rows) > 1 {
            tokio::task::yield_now().await;
        }
        drop(resume);
        assert!(stuck.await.expect("ends").is_err());
        lane.shutdown_background();
    }
}
