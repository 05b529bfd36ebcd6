//! One trace: all its spans from memory and files, assembled on the fly, with the critical path drawn through them.
//!
//! The stored columns of assembly are not read: a span that came late may not be in them yet, and one trace is
//! quickly assembled again.

mod json;
mod spans;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray, RecordBatch};
use arrow::datatypes::Int64Type;
use model::schema::{PROMOTED_SPAN, column};
use model::trace::{Assembled, Node, Segment, SpanKind, assemble, critical_segments};
use model::{Error, Nanos, Result, Tenant, TraceId};

use crate::query::Query;
use crate::session::Engine;

/// Spans shown unless asked otherwise.
pub const DEFAULT_LIMIT: usize = 10_000;
/// Spans shown at most.
pub const MAX_LIMIT: usize = 100_000;

/// The spans of one trace in order of start, what is shown of each by the names of the physical schema, and what assembly
/// found for it.
pub struct Trace {
    pub id: TraceId,
    pub rows: RecordBatch,
    pub assembled: Vec<Assembled>,
    pub segments: Vec<Segment>,
    pub truncated: bool,
}

impl Engine {
    /// The answer of `GET /api/v1/traces/{id}` (docs/api.md). `NotFound` when no span has the id.
    pub async fn trace(&self, tenant: &Tenant, id: TraceId, limit: usize) -> Result<serde_json::Value> {
        self.run(tenant, move |query| async move { Ok(json::answer(&read(&query, id, limit).await?)) }).await
    }
}

/// Reads and assembles one trace; the earliest `limit` spans of a larger one.
pub async fn read(query: &Query, id: TraceId, limit: usize) -> Result<Trace> {
    let limit = limit.clamp(1, MAX_LIMIT);
    let rows = spans::earliest(query, id, &columns(), limit + 1).await?;
    if rows.num_rows() == 0 {
        return Err(Error::not_found(format!("there is no trace {id}"))
            .hint("it may be older than the retention, belong to another tenant, or never have arrived"));
    }
    let truncated = rows.num_rows() > limit;
    let rows = rows.slice(0, rows.num_rows().min(limit));
    let nodes = nodes(&rows)?;
    let assembled = assemble(&nodes);
    let segments = critical_segments(&nodes, &assembled);
    Ok(Trace { id, rows, assembled, segments, truncated })
}

/// What is read of each span: what is shown.
fn columns() -> Vec<&'static str> {
    READ.iter().copied().chain(PROMOTED_SPAN.iter().map(|promoted| promoted.column)).collect()
}

const READ: &[&str] = &[
    column::TRACE_ID,
    column::SPAN_ID,
    column::PARENT_SPAN_ID,
    column::TRACE_STATE,
    column::NAME,
    column::KIND,
    column::SERVICE_NAME,
    column::SERVICE_NAMESPACE,
    column::INSTANCE_ID,
    column::START,
    column::END,
    column::DURATION,
    column::STATUS_CODE,
    column::STATUS_MESSAGE,
    column::ATTRIBUTES,
    column::EVENTS,
    column::LINKS,
    column::RESOURCE_ATTRIBUTES,
    column::SCOPE_NAME,
    column::SCOPE_VERSION,
];

fn nodes(rows: &RecordBatch) -> Result<Vec<Node>> {
    let columns = Columns(rows);
    let ids = |name| columns.ids(name);
    let (span, parent) = (ids(column::SPAN_ID)?, ids(column::PARENT_SPAN_ID)?);
    let id = |ids: &FixedSizeBinaryArray, row| ids.value(row).try_into().unwrap_or([0; 8]);
    (0..rows.num_rows())
        .map(|row| {
            Ok(Node {
                span_id: id(span, row),
                parent_span_id: (!parent.is_null(row)).then(|| id(parent, row)),
                start: columns.int(column::START, row),
                end: columns.int(column::END, row),
                kind: SpanKind::parse(columns.text(column::KIND, row)),
            })
        })
        .collect()
}

/// The columns of a batch with the types of the physical schema, by name; what is null is 0 or empty.
pub(crate) struct Columns<'a>(pub(crate) &'a RecordBatch);

impl<'a> Columns<'a> {
    fn column(&self, name: &str) -> Option<&'a ArrayRef> {
        self.0.column_by_name(name)
    }

    fn int(&self, name: &str, row: usize) -> Nanos {
        let values = self.column(name).and_then(|c| c.as_primitive_opt::<Int64Type>());
        values.filter(|v| !v.is_null(row)).map_or(0, |v| v.value(row))
    }

    pub(crate) fn text(&self, name: &str, row: usize) -> &'a str {
        let values = self.column(name).and_then(|c| c.as_string_view_opt());
        values.filter(|v| !v.is_null(row)).map_or("", |v| v.value(row))
    }

    pub(crate) fn ids(&self, name: &str) -> Result<&'a FixedSizeBinaryArray> {
        let ids = self.column(name).and_then(|c| c.as_fixed_size_binary_opt());
        ids.ok_or_else(|| Error::internal(format!("column {name} holds no ids")))
    }
}
