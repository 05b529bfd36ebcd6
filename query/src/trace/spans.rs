//! Where the spans of one trace are: in memory, in what is only in the log, and in the files whose filters say that they
//! may hold it.
//!
//! ```text
//! memory ─▶ ids compared ─────────────────────────┐
//! log ────▶ decoded again, ids compared ──────────┼─▶ the earliest
//! files ──▶ bloom filters ─▶ storage::spans_of ───┘
//! ```
//! Read directly and not by SQL: to plan a statement over all columns of spans takes as long as to find a trace.
//! *Invariant:* what is held is charged to the memory of all queries and at most twice what is asked for, also of a trace
//! of millions of spans.

use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{SortColumn, concat_batches, filter_record_batch, lexsort_to_indices, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::physical_plan::ExecutionPlanProperties;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::StreamExt;
use model::schema::{column, schema};
use model::{Error, Nanos, Result, Signal, TraceId};

use parquet::arrow::async_reader::AsyncFileReader;

use crate::error::{from_datafusion, of_file};
use crate::query::Query;
use crate::session::unpinned;
use crate::tables::backlog;
use crate::tables::bloom::Asking;
use crate::tables::provider::FOOTER_HINT;
use crate::tables::prune::Sought;

/// Parts of the log that are decoded at once.
const AT_ONCE: usize = 2;

/// The spans of a trace that start first, at most so many, in order of start and id; `columns` of them, in the order of the
/// physical schema.
pub async fn earliest(query: &Query, id: TraceId, columns: &[&str], most: usize) -> Result<RecordBatch> {
    let mut found = Earliest::new(&query.memory(), columns, most)?;
    let table = query.snapshot().table(Signal::Traces);
    if let Some(rows) = table.trace_in_memory(id)? {
        found.take(&rows)?;
    }
    from_log(query, id, &mut found).await?;
    let readers = query.readers();
    let sought = Sought { column: column::TRACE_ID, value: id.0.to_vec() };
    let kept = Some(&query.pieces().filters);
    let asking = Asking { objects: &query.snapshot().objects, readers: &readers, footer_hint: FOOTER_HINT, kept };
    let files = asking.holding(table.files.to_vec(), &sought).await;
    for file in files {
        let open = || {
            let file = PartitionedFile::new(file.path.clone(), file.size);
            let reader = readers.create_reader(0, file, Some(FOOTER_HINT), &ExecutionPlanMetricsSet::new());
            reader.map(|reader| -> Box<dyn AsyncFileReader> { reader }).map_err(from_datafusion)
        };
        let unread = |error| of_file(&file.path, &error);
        let Some(mut spans) = storage::spans_of(open, id, columns).await.map_err(unread)? else { continue };
        while let Some(rows) = spans.next().await {
            found.take(&rows.map_err(unread)?)?;
        }
    }
    found.finish()
}

/// What was acknowledged and had to leave memory before it was in a file.
async fn from_log(query: &Query, id: TraceId, found: &mut Earliest) -> Result<()> {
    let log = query.snapshot().table(Signal::Traces).backlog.iter();
    let pieces = log.flat_map(|log| log.within(Nanos::MIN, Nanos::MAX, AT_ONCE)).collect();
    let plan = backlog::scan(schema(Signal::Traces), pieces, None, None).map_err(from_datafusion)?;
    let Some(plan) = plan else { return Ok(()) };
    let task = Arc::new(TaskContext::default());
    let parts = 0..plan.output_partitioning().partition_count();
    let streams: Vec<_> =
        parts.map(|part| plan.execute(part, task.clone())).collect::<Result<_, _>>().map_err(from_datafusion)?;
    let mut rows = futures::stream::select_all(streams);
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(from_datafusion)?;
        let ids = batch.column_by_name(column::TRACE_ID).and_then(|ids| ids.as_fixed_size_binary_opt());
        let of_trace: BooleanArray = match ids {
            Some(ids) => ids.iter().map(|known| Some(known == Some(id.0.as_slice()))).collect(),
            None => continue,
        };
        if of_trace.true_count() > 0 {
            found.take(&filter_record_batch(&batch, &of_trace).map_err(broken)?)?;
        }
    }
    Ok(())
}

fn broken(error: ArrowError) -> Error {
    Error::internal(format!("reading a trace: {error}"))
}

/// The earliest of the spans that were taken.
struct Earliest {
    most: usize,
    schema: SchemaRef,
    held: Vec<RecordBatch>,
    rows: usize,
    charged: MemoryReservation,
}

impl Earliest {
    fn new(memory: &Arc<dyn MemoryPool>, columns: &[&str], most: usize) -> Result<Self> {
        let all = schema(Signal::Traces);
        let at: Vec<usize> =
            (0..all.fields().len()).filter(|at| columns.contains(&all.field(*at).name().as_str())).collect();
        let charged = MemoryConsumer::new("trace").register(memory);
        Ok(Earliest { most, schema: Arc::new(all.project(&at).map_err(broken)?), held: Vec::new(), rows: 0, charged })
    }

    /// Rows in the physical schema, or in the columns that are asked for.
    fn take(&mut self, rows: &RecordBatch) -> Result<()> {
        let names = self.schema.fields().iter().map(|field| field.name().as_str());
        let at = names.map(|name| rows.schema().index_of(name)).collect::<Result<Vec<_>, _>>().map_err(broken)?;
        let rows = unpinned(rows.project(&at).map_err(broken)?).map_err(from_datafusion)?;
        self.rows += rows.num_rows();
        self.charge(&rows)?;
        self.held.push(rows);
        if self.rows > 2 * self.most { self.cut() } else { Ok(()) }
    }

    fn charge(&mut self, rows: &RecordBatch) -> Result<()> {
        self.charged.try_grow(crate::output::size::fitting(rows, usize::MAX).1).map_err(from_datafusion)
    }

    /// Lets go of all but the earliest.
    fn cut(&mut self) -> Result<()> {
        let all = concat_batches(&self.schema, &self.held).map_err(broken)?;
        let by = |name| Ok(SortColumn { values: all.column(self.schema.index_of(name)?).clone(), options: None });
        let by = [column::START, column::SPAN_ID].into_iter().map(by).collect::<Result<Vec<_>, _>>().map_err(broken)?;
        let first = lexsort_to_indices(&by, Some(self.most)).map_err(broken)?;
        let first = take_record_batch(&all, &first).map_err(broken)?;
        self.charged.free();
        self.charge(&first)?;
        (self.rows, self.held) = (first.num_rows(), vec![first]);
        Ok(())
    }

    fn finish(mut self) -> Result<RecordBatch> {
        self.cut()?;
        Ok(self.held.pop().unwrap_or_else(|| RecordBatch::new_empty(self.schema)))
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Int64Type;
    use datafusion::execution::memory_pool::UnboundedMemoryPool;
    use serde_json::json;

    use super::*;
    use crate::tests::fixture::{and, batch, span};

    const COLUMNS: &[&str] = &[column::SPAN_ID, column::START, column::NAME, "url_path"];

    /// Spans of one trace that begin at these milliseconds.
    fn spans(from: impl IntoIterator<Item = i64>) -> RecordBatch {
        let path = |at: i64| json!({ "url_path": format!("/{}/{at}", "x".repeat(500)) });
        let spans =
            from.into_iter().map(|at| and(span(1, at as u64 + 1, 0, ("shop", "pay", "SERVER"), at, at + 1), path(at)));
        batch(Signal::Traces, &spans.collect::<Vec<_>>())
    }

    fn earliest(most: usize) -> (Arc<dyn MemoryPool>, Earliest) {
        let memory: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let earliest = Earliest::new(&memory, COLUMNS, most).expect("known columns");
        (memory, earliest)
    }

    #[test]
    fn the_earliest_stay_in_their_order_whatever_comes_when() {
        let (memory, mut found) = earliest(3);
        for from in [vec![50, 10, 40], vec![70, 80], vec![20], vec![90, 95, 97, 99, 30]] {
            found.take(&spans(from)).expect("room");
            assert!(found.rows <= 6, "no more than twice what is asked for");
        }
        let rows = found.finish().expect("room");
        let names: Vec<_> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, [column::SPAN_ID, column::NAME, column::START, "url_path"]);
        let starts = rows.column(2).as_primitive::<Int64Type>().values().to_vec();
        assert_eq!(starts.iter().map(|start| (start - starts[0]) / 1_000_000).collect::<Vec<_>>(), [0, 10, 20]);
        assert_eq!(memory.reserved(), 0, "what was held is given back");
    }

    #[test]
    fn what_is_held_is_charged_and_keeps_no_pages() {
        let (memory, mut found) = earliest(100);
        let page = spans(0..1_000);
        found.take(&page.slice(500, 2)).expect("room");
        let held: usize = found.held.iter().map(RecordBatch::get_array_memory_size).sum();
        assert!(held < page.get_array_memory_size() / 20, "{held} bytes");
        assert!(memory.reserved() > 1_000, "two paths of 500 bytes each");
    }

    #[test]
    fn a_trace_without_spans_has_no_rows() {
        assert_eq!(earliest(3).1.finish().expect("room").num_rows(), 0);
    }
}
