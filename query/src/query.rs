//! One query's world: a snapshot of one tenant, the time it was asked, and sessions over both. Everything here runs
//! on query threads.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool};
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;
use model::{Error, Nanos, Result, Signal, Tenant};
use storage::{Snapshot, TableSnapshot};

use crate::analysis::partial::Pieces;
use crate::error::from_datafusion;
use crate::fold::{self, Fold, Folded};
use crate::output::Cut;
use crate::overflow::CheckedNumbers;
use crate::sandbox::{self, Permitted};
use crate::session::{Asked, Engine, Interrupt, QueryResult, Settings};
use crate::tables::{Audience, describe};

/// Cheap to clone; clones see the same snapshot.
#[derive(Clone)]
pub struct Query {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    tenant: Tenant,
    snapshot: Snapshot,
    now: Nanos,
    asked: Asked,
    interrupt: Interrupt,
    user: OnceLock<SessionState>,
    internal: OnceLock<SessionState>,
}

/// How a session knows whose it is. Weak, because the query holds its sessions.
pub struct Asker(Weak<Inner>);

impl Asker {
    pub fn query(&self) -> Option<Query> {
        self.0.upgrade().map(|inner| Query { inner })
    }
}

impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Query({:?})", self.inner.snapshot)
    }
}

impl Query {
    pub(crate) fn open(engine: &Engine, tenant: &Tenant, asked: Asked, interrupt: Interrupt) -> Result<Query> {
        let snapshot = engine.shared.snapshot(tenant)?;
        let now = engine.shared.clock.now();
        let (user, internal) = (OnceLock::new(), OnceLock::new());
        let (engine, tenant) = (engine.clone(), tenant.clone());
        Ok(Query { inner: Arc::new(Inner { engine, tenant, snapshot, now, asked, interrupt, user, internal }) })
    }

    /// The same question with another table in the place of its own, asked at the same moment.
    pub(crate) fn of_table(&self, table: TableSnapshot) -> Query {
        let Inner { engine, tenant, snapshot, now, asked, interrupt, .. } = self.inner.as_ref();
        let snapshot = crate::analysis::partial::with_table(snapshot, table);
        let (engine, tenant) = (engine.clone(), tenant.clone());
        let (now, asked, interrupt) = (*now, *asked, interrupt.clone());
        let (user, internal) = (OnceLock::new(), OnceLock::new());
        Query { inner: Arc::new(Inner { engine, tenant, snapshot, now, asked, interrupt, user, internal }) }
    }

    /// The same question without what is only in the log, for what needs assembled traces: rows in the log have none.
    pub(crate) fn without_backlog(&self) -> Query {
        match &self.snapshot().table(Signal::Traces).backlog {
            Some(_) => self.of_table(self.snapshot().table(Signal::Traces).clone().with_backlog(None)),
            None => self.clone(),
        }
    }

    /// What is known of files that were looked at before.
    pub(crate) fn pieces(&self) -> &Pieces {
        &self.inner.engine.shared.pieces
    }

    /// Whose data it is about.
    pub(crate) fn tenant(&self) -> &Tenant {
        &self.inner.tenant
    }

    pub fn snapshot(&self) -> &Snapshot {
        &self.inner.snapshot
    }

    /// When the query was asked: what `now()` and relative times mean.
    pub fn now(&self) -> Nanos {
        self.inner.now
    }

    /// What it may hold, as part of what all queries of its kind hold.
    pub(crate) fn memory(&self) -> Arc<dyn MemoryPool> {
        self.inner.engine.memory(self.inner.asked)
    }

    /// How files are read: their footers are kept.
    pub(crate) fn readers(&self) -> CachedParquetFileReaderFactory {
        self.inner.engine.readers(self.inner.asked, self.snapshot())
    }

    pub fn settings(&self) -> &Settings {
        &self.inner.engine.shared.settings
    }

    /// The session for one audience, made once: an analysis asks many questions.
    fn session(&self, audience: Audience) -> Result<&SessionState> {
        let Inner { engine, snapshot, now, asked, interrupt, user, internal, .. } = self.inner.as_ref();
        let session = match audience {
            Audience::User => user,
            Audience::Internal => internal,
        };
        if let Some(made) = session.get() {
            return Ok(made);
        }
        let asker = Asker(Arc::downgrade(&self.inner));
        let mut made = engine.session(snapshot, asker, *now, audience, (*asked, interrupt))?;
        if audience == Audience::User {
            made.add_analyzer_rule(Arc::new(CheckedNumbers));
        }
        Ok(session.get_or_init(|| made))
    }

    /// Our own SQL, folded by [`Fold`] in as many parts as the plan has.
    pub async fn fold<F: Fold>(&self, sql: &str, empty: impl Fn() -> F) -> Result<Folded<F>> {
        let state = self.session(Audience::Internal)?;
        let plan = state.create_logical_plan(sql).await.map_err(from_datafusion)?;
        let (physical, task) = physical(state, &plan).await?;
        fold::run(&physical, &task, empty).await
    }

    /// Our own SQL, over views and physical tables, without the sandbox and the row limit; `$1`… are `params`. For answers
    /// of some rows: about what they hold is charged until all are here.
    pub async fn rows(&self, sql: &str, params: Vec<ScalarValue>) -> Result<Vec<RecordBatch>> {
        let state = self.session(Audience::Internal)?;
        let plan = state.create_logical_plan(sql).await.map_err(from_datafusion)?;
        let plan = bind(plan, params)?;
        let (physical, task) = physical(state, &plan).await?;
        let held = MemoryConsumer::new("rows").register(task.memory_pool());
        let mut stream = execute_stream(physical, task).map_err(from_datafusion)?;
        let mut batches = Vec::new();
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(from_datafusion)?;
            held.try_grow(crate::output::size::fitting(&batch, usize::MAX).1).map_err(from_datafusion)?;
            batches.push(batch);
        }
        Ok(batches)
    }

    /// A user's statement, checked and limited.
    pub(crate) async fn user_sql(self, text: &str, params: &[serde_json::Value]) -> Result<QueryResult> {
        let started = Instant::now();
        let prepared = self.prepare(text, params).await?;
        let Prepared { schema, mut stream, plan } = prepared;
        let settings = self.settings().clone();
        let _files = self.let_go();
        let (mut batches, mut rows, mut bytes, mut cut) = (Vec::new(), 0, 0, None);
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(from_datafusion)?;
            let (fits, size) = crate::output::size::fitting(&batch, settings.max_bytes - bytes);
            let room = settings.max_rows - rows;
            let kept = batch.slice(0, fits.min(room));
            if kept.num_rows() < batch.num_rows() {
                cut = Some(if room <= fits { Cut::Rows(settings.max_rows) } else { Cut::Bytes(settings.max_bytes) });
            }
            rows += kept.num_rows();
            bytes += size;
            batches.push(kept);
            if cut.is_some() {
                break;
            }
        }
        let rows_scanned = plan.map_or(0, |plan| scanned(&plan));
        Ok(QueryResult { schema, batches, cut, bytes, elapsed: started.elapsed(), rows_scanned })
    }

    /// Gives up the rows in memory once a plan has those that it reads. What comes back keeps its files in place.
    fn let_go(self) -> Snapshot {
        self.snapshot().without_memory()
    }

    async fn prepare(&self, text: &str, params: &[serde_json::Value]) -> Result<Prepared> {
        let statement = match sandbox::check(text)? {
            Permitted::Statement(statement) => statement,
            Permitted::ShowTables => return show_tables(),
        };
        let state = self.session(Audience::User)?;
        let plan = state.statement_to_plan(*statement).await.map_err(from_datafusion)?;
        let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        options.verify_plan(&plan).map_err(from_datafusion)?;
        let plan = bind(plan, params.iter().map(parameter).collect::<Result<_>>()?)?;
        let (physical, task) = physical(state, &plan).await?;
        let stream = execute_stream(physical.clone(), task).map_err(from_datafusion)?;
        Ok(Prepared { schema: stream.schema(), stream, plan: Some(physical) })
    }
}

struct Prepared {
    schema: SchemaRef,
    stream: SendableRecordBatchStream,
    plan: Option<Arc<dyn ExecutionPlan>>,
}

async fn physical(state: &SessionState, plan: &LogicalPlan) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
    let plan = state.optimize(plan).map_err(from_datafusion)?;
    sandbox::planned::check(&plan).map_err(from_datafusion)?;
    let physical = state.query_planner().create_physical_plan(&plan, state).await.map_err(from_datafusion)?;
    Ok((physical, state.task_ctx()))
}

fn bind(plan: LogicalPlan, params: Vec<ScalarValue>) -> Result<LogicalPlan> {
    let values = params.into_iter().map(Into::into).collect();
    plan.with_param_values(ParamValues::List(values)).map_err(from_datafusion)
}

fn parameter(value: &serde_json::Value) -> Result<ScalarValue> {
    use serde_json::Value;
    Ok(match value {
        Value::Null => ScalarValue::Null,
        Value::Bool(value) => ScalarValue::Boolean(Some(*value)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => ScalarValue::Int64(Some(whole)),
            (None, value) => ScalarValue::Float64(value),
        },
        Value::String(text) => ScalarValue::Utf8View(Some(text.clone())),
        other => {
            return Err(Error::invalid(format!("{other} cannot be a parameter"))
                .hint("parameters are numbers, text, booleans and null"));
        }
    })
}

/// Rows that the leaves of a plan gave.
fn scanned(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let children = plan.children();
    if children.is_empty() {
        return plan.metrics().and_then(|m| m.output_rows()).unwrap_or(0) as u64;
    }
    children.into_iter().map(scanned).sum()
}

fn show_tables() -> Result<Prepared> {
    let tables = describe::tables().map_err(from_datafusion)?;
    let names: ArrayRef = Arc::new(tables.iter().map(|t| Some(t.name)).collect::<StringArray>());
    let docs: ArrayRef = Arc::new(tables.iter().map(|t| Some(t.doc)).collect::<StringArray>());
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let schema = Arc::new(Schema::new(vec![text("table_name"), text("description")]));
    let batch = RecordBatch::try_new(schema.clone(), vec![names, docs]).map_err(|e| from_datafusion(e.into()))?;
    let rows = futures::stream::iter([Ok(batch)]);
    let stream = datafusion::physical_plan::stream::RecordBatchStreamAdapter::new(schema.clone(), rows);
    Ok(Prepared { schema, stream: Box::pin(stream), plan: None })
}
