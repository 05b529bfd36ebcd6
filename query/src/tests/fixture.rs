//! Stores made by hand: rows written as JSON in the physical schema, kept in memory, in Parquet files or in both.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use model::run::{Change, Run};
use model::schema::{column, schema, time_column};
use model::time::SECOND;
use model::{ManualClock, Nanos, Result, Signal, Tenant};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde_json::{Value, json};
use storage::delta::{Add, DataFile};
use storage::summary::Place;
use storage::{Expected, NoSummaries, Snapshot, Source, Summarize, TableSnapshot};

use crate::{Engine, QueryResult, Settings};

/// The time of every fixture: 2023-11-14T22:13:20Z.
pub const NOW: Nanos = 1_700_000_000 * SECOND;

/// Where a store keeps its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// One batch in memory.
    Memory,
    /// A batch for each row.
    Trickled,
    /// One file, sorted as the store sorts.
    Stored,
    /// Two files, the rows of each trace in one of them.
    Files,
    /// Half in files, half in memory, whole traces in either.
    Mixed,
}

pub const STATES: [State; 5] = [State::Memory, State::Trickled, State::Stored, State::Files, State::Mixed];

/// A source that always gives the same snapshot to the default tenant and nothing to others.
struct Fixed(Snapshot);

impl Source for Fixed {
    fn snapshot(&self, tenant: &Tenant) -> Result<Snapshot> {
        if *tenant == self.0.tenant {
            return Ok(self.0.clone());
        }
        let empty = |signal| TableSnapshot::new(signal, &[], Arc::new([]), None);
        Ok(Snapshot { tenant: tenant.clone(), tables: Signal::ALL.map(empty), ..self.0.clone() })
    }
}

/// One batch from JSON rows; what a row does not name is null.
pub fn batch(signal: Signal, rows: &[Value]) -> RecordBatch {
    let schema = schema(signal);
    let mut decoder = arrow::json::ReaderBuilder::new(schema.clone())
        .with_batch_size(rows.len().max(1))
        .build_decoder()
        .expect("the schema can be read from JSON");
    decoder.serialize(rows).expect("rows in the schema");
    decoder.flush().expect("rows in the schema").unwrap_or_else(|| RecordBatch::new_empty(schema))
}

/// Assembled as the store would before it writes.
fn settled(signal: Signal, rows: &[Value]) -> Vec<RecordBatch> {
    let table = TableSnapshot::new(signal, &[batch(signal, rows)], Arc::new([]), None);
    unpacked(table.assembled_memory(Nanos::MAX))
}

fn unpacked(memory: Vec<storage::Timed>) -> Vec<RecordBatch> {
    memory.iter().map(|part| part.rows.unpacked().expect("unpacks")).collect()
}

/// All but the ends of spans where each is its start and duration, as the store writes them.
fn columns_of_file(signal: Signal, rows: &[Value]) -> Vec<usize> {
    let ends_follow = |row: &Value| {
        let [start, end, duration] = [column::START, column::END, column::DURATION].map(|name| row[name].as_i64());
        end.is_some() && end == start.zip(duration).map(|(start, duration)| start + duration)
    };
    let left_out = rows.iter().all(ends_follow).then_some(column::END);
    let schema = schema(signal);
    (0..schema.fields().len()).filter(|at| Some(schema.field(*at).name().as_str()) != left_out).collect()
}

async fn file(
    (objects, summarize): (&dyn ObjectStore, &dyn Summarize),
    signal: Signal,
    name: &str,
    rows: &[Value],
    group_rows: usize,
) -> DataFile {
    let mut rows = rows.to_vec();
    let keys = model::schema::sort_columns(signal);
    rows.sort_by_key(|row| {
        keys.iter()
            .map(|k| match &row[*k] {
                Value::Number(n) => format!("{:020}", n.as_i64().unwrap_or(0)),
                other => other.to_string(),
            })
            .collect::<Vec<_>>()
    });
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .set_column_bloom_filter_enabled(ColumnPath::from("trace_id"), true)
        .set_column_bloom_filter_enabled(ColumnPath::from("user_id"), true)
        .set_column_statistics_enabled(ColumnPath::from("trace_id"), EnabledStatistics::None)
        .build();
    let columns = columns_of_file(signal, &rows);
    let stored = Arc::new(schema(signal).project(&columns).expect("columns of the schema"));
    let mut writer = ArrowWriter::try_new(Vec::new(), stored, Some(properties)).expect("a writer");
    let times = || rows.iter().filter_map(|row| row[time_column(signal)].as_i64());
    let expected = Expected { signal, rows: rows.len(), times: times().min().zip(times().max()) };
    let mut summary = summarize.begin(expected);
    for batch in settled(signal, &rows) {
        writer.write(&batch.project(&columns).expect("columns of the batch")).expect("rows are written");
        summary.iter_mut().for_each(|summary| summary.add(&batch).expect("is counted"));
    }
    let summary = summary.and_then(|summary| summary.finish()).map(|summary| {
        writer.flush().expect("ends a row group");
        let place = Place::of(&summary, writer.bytes_written() as u64);
        writer.write_all(&summary).expect("is written");
        place.to_string()
    });
    let bytes = writer.into_inner().expect("a file");
    let (table, size) = (Path::from(format!("tables/{}", signal.table())), bytes.len());
    objects.put(&table.clone().join(name), bytes.into()).await.expect("the store takes it");
    let names = || rows.iter().filter_map(|row| row["service_name"].as_str());
    let side = |time: Option<i64>, service: Option<&str>| json!({ time_column(signal): time, "service_name": service });
    let stats = json!({
        "numRecords": rows.len(),
        "minValues": side(times().min(), names().min()),
        "maxValues": side(times().max(), names().max()),
    });
    let add = Add {
        path: name.to_owned(),
        partition_values: BTreeMap::new(),
        size: size as i64,
        modification_time: 0,
        data_change: true,
        stats: Some(stats.to_string()),
        tags: summary.map(|place| BTreeMap::from([("hotspan.summary".to_owned(), Some(place))])),
    };
    DataFile::of(&add, &table, time_column(signal))
}

/// A store under construction.
pub struct Fixture {
    objects: Arc<InMemory>,
    summarize: Arc<dyn Summarize>,
    tables: Vec<TableSnapshot>,
    runs: Vec<Run>,
}

impl Fixture {
    pub fn new() -> Self {
        let empty = |signal| TableSnapshot::new(signal, &[], Arc::new([]), None);
        let tables = Signal::ALL.map(empty).to_vec();
        Fixture { objects: Arc::new(InMemory::new()), summarize: Arc::new(NoSummaries), tables, runs: Vec::new() }
    }

    /// Files from now on have summaries.
    pub fn summarized(self, summarize: Arc<dyn Summarize>) -> Self {
        Fixture { summarize, ..self }
    }

    /// Puts the rows of one signal where the state wants them.
    pub async fn with(mut self, signal: Signal, rows: &[Value], state: State) -> Self {
        let half = |parity: usize| -> Vec<Value> {
            // Whole traces: by the last digit of the trace id, else by position.
            let side = |(at, row): (usize, &Value)| match row["trace_id"].as_str() {
                Some(id) => usize::from(id.as_bytes()[id.len() - 1]) % 2,
                None => at % 2,
            };
            rows.iter().enumerate().filter(|(at, row)| side((*at, row)) == parity).map(|(_, r)| r.clone()).collect()
        };
        let memory: Vec<RecordBatch> = match state {
            State::Memory => vec![batch(signal, rows)],
            State::Trickled => rows.iter().map(|row| batch(signal, std::slice::from_ref(row))).collect(),
            State::Mixed => vec![batch(signal, &half(1))],
            State::Stored | State::Files => Vec::new(),
        };
        let stored: Vec<Vec<Value>> = match state {
            State::Memory | State::Trickled => Vec::new(),
            State::Stored => vec![rows.to_vec()],
            State::Files => vec![half(0), half(1)],
            State::Mixed => vec![half(0)],
        };
        self = self.with_files(signal, &stored, 1_000).await;
        let at = Signal::ALL.iter().position(|s| *s == signal).expect("one of all");
        let files = self.tables[at].files.clone();
        self.tables[at] = TableSnapshot::new(signal, &memory, files, None);
        self
    }

    /// Puts the rows of one signal into memory, as so many exports.
    pub fn with_exports(mut self, signal: Signal, exports: &[Vec<Value>]) -> Self {
        let at = Signal::ALL.iter().position(|s| *s == signal).expect("one of all");
        let memory: Vec<RecordBatch> = exports.iter().map(|rows| batch(signal, rows)).collect();
        self.tables[at] = TableSnapshot::new(signal, &memory, self.tables[at].files.clone(), None);
        self
    }

    /// Adds files of the given rows, in row groups of `group_rows`.
    pub async fn with_files(mut self, signal: Signal, stored: &[Vec<Value>], group_rows: usize) -> Self {
        let at = Signal::ALL.iter().position(|s| *s == signal).expect("one of all");
        let mut files: Vec<Arc<DataFile>> = self.tables[at].files.to_vec();
        for rows in stored.iter().filter(|rows| !rows.is_empty()) {
            let name = format!("{}.parquet", files.len());
            files.push(Arc::new(
                file((self.objects.as_ref(), self.summarize.as_ref()), signal, &name, rows, group_rows).await,
            ));
        }
        let memory = unpacked(self.tables[at].memory());
        self.tables[at] = TableSnapshot::new(signal, &memory, files.into(), Some(1));
        self
    }

    /// Writes over the pages at the beginning of a file of spans; its footer and its filters stay.
    pub async fn damage(&self, name: &str) {
        let path = Path::from("tables/spans").join(name);
        let mut bytes = self.objects.get(&path).await.expect("is there").bytes().await.expect("is read").to_vec();
        bytes[4..200].fill(0xff);
        self.objects.put(&path, bytes.into()).await.expect("the store takes it");
    }

    /// Adds a stress-test run; times are milliseconds after a minute before [`NOW`].
    pub fn with_run(mut self, id: &str, name: &str, from_ms: i64, to_ms: i64) -> Self {
        let at = |ms: i64| NOW - 60 * SECOND + ms * 1_000_000;
        let change = Change { name: Some(name.to_owned()), end: Some(at(to_ms)), ..Change::default() };
        self.runs.push(Run::begun(id.to_owned(), at(from_ms)).changed(change).expect("a valid run"));
        self
    }

    pub fn engine(self) -> Engine {
        self.engine_with(Settings { threads: 2, ..Settings::default() })
    }

    pub fn engine_with(self, settings: Settings) -> Engine {
        let snapshot = Snapshot {
            tenant: Tenant::default(),
            taken: NOW,
            newest_export: None,
            objects: self.objects,
            tables: self.tables.try_into().unwrap_or_else(|_| panic!("three tables")),
            runs: self.runs.into(),
        };
        Engine::new(settings, Arc::new(Fixed(snapshot)), Arc::new(ManualClock::at(NOW))).expect("an engine")
    }
}

/// A span row. `id` and `parent` are small numbers; times are milliseconds after a minute before [`NOW`].
pub fn span(trace: u64, id: u64, parent: u64, place: (&str, &str, &str), from_ms: i64, to_ms: i64) -> Value {
    let (service, name, kind) = place;
    let at = |ms: i64| NOW - 60 * SECOND + ms * 1_000_000;
    json!({
        "trace_id": format!("{trace:032x}"),
        "span_id": format!("{id:016x}"),
        "parent_span_id": (parent > 0).then(|| format!("{parent:016x}")),
        "name": name,
        "kind": kind,
        "service_name": service,
        "instance_id": format!("{service}-1"),
        "start_time_unix_nano": at(from_ms),
        "end_time_unix_nano": at(to_ms),
        "duration_ns": (to_ms - from_ms).max(0) * 1_000_000,
        "status_code": "UNSET",
        "attributes": "{}",
        "resource_attributes": json!({ "service.name": service }).to_string(),
        "received_time_unix_nano": NOW - 30 * SECOND,
    })
}

/// The same row with more columns set.
pub fn and(mut row: Value, more: Value) -> Value {
    for (key, value) in more.as_object().expect("an object") {
        row[key] = value.clone();
    }
    row
}

/// An order service with a database behind it: `traces` requests of three spans, 100 ms apart, every fourth failing.
pub fn shop(traces: u64) -> Vec<Value> {
    let mut rows = Vec::new();
    for n in 0..traces {
        let (start, slow) = (n as i64 * 100, if n % 10 == 9 { 40 } else { 0 });
        let failed = json!({ "status_code": if n % 4 == 3 { "ERROR" } else { "UNSET" }, "http_route": "/order",
            "http_response_status_code": if n % 4 == 3 { 500 } else { 200 }, "http_request_method": "POST" });
        rows.push(and(
            span(n + 1, n * 10 + 1, 0, ("gateway", "POST /order", "SERVER"), start, start + 50 + slow),
            failed,
        ));
        rows.push(and(
            span(n + 1, n * 10 + 2, n * 10 + 1, ("gateway", "reserve", "CLIENT"), start + 10, start + 45 + slow),
            json!({ "peer_service": "inventory", "attributes": format!(r#"{{"retry.count":{},"user.tier":"gold"}}"#, n % 3) }),
        ));
        rows.push(and(
            span(n + 1, n * 10 + 3, n * 10 + 2, ("inventory", "UPDATE stock", "SERVER"), start + 12, start + 42 + slow),
            json!({ "user_id": format!("user-{}", n % 5) }),
        ));
    }
    rows
}

pub async fn sql(engine: &Engine, text: &str) -> Result<QueryResult> {
    engine.sql(&Tenant::default(), text, &[]).await
}

/// Rows as text, values separated by tabs, null as `NULL`.
pub fn lines(result: &QueryResult) -> Vec<String> {
    let mut out = Vec::new();
    for batch in &result.batches {
        let columns: Vec<_> = batch.columns().iter().map(crate::output::json::texts).collect();
        for row in 0..batch.num_rows() {
            use arrow::array::Array;
            let value = |c: &arrow::array::StringArray| {
                if c.is_null(row) { "NULL".to_owned() } else { c.value(row).to_owned() }
            };
            out.push(columns.iter().map(value).collect::<Vec<_>>().join("\t"));
        }
    }
    out
}

/// The rows that a statement answers on an engine, or `error: …` with its kind and message.
pub async fn answer(engine: &Engine, text: &str) -> Vec<String> {
    match sql(engine, text).await {
        Ok(result) => lines(&result),
        Err(error) => vec![format!("error {}: {}", error.kind.name(), error.message)],
    }
}
