//! The critical path of one trace: what its request waited for from its begin to its end, piece by piece. Those of all traces,
//! added up, are [`super::hotspots`] and [`super::flame`].
//!
//! *Invariant:* the pieces follow each other and add up to the time of the roots, as `model::trace::critical_segments` makes
//! them.

use arrow::datatypes::SchemaRef;
use model::schema::column;
use model::{Result, TraceId};
use serde_json::{Value, json};

use super::columns::{self, float, int, text};
use super::report::Report;
use super::scope::Scope;
use super::search;
use super::sentence::Sentence;
use super::{Analysis, Parameter, Running};
use crate::query::Query;
use crate::trace::{self, Columns, MAX_LIMIT, Trace};

pub const ANALYSIS: Analysis = Analysis {
    name: "critical-path",
    title: ("Critical path", "关键路径"),
    doc: "What the request of one trace waited for, piece by piece, from its begin to its end.",
    parameters: &[Parameter { name: "trace_id", doc: "the trace; the slowest of the window by default" }],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

fn schema() -> SchemaRef {
    let mut fields = vec![int("piece"), int("from_ns"), int("to_ns"), int("duration_ns"), float("share")];
    fields.extend(["service", "operation", "span_kind", "instance", "status_code", "span_id"].map(text));
    columns::schema(fields)
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let id: TraceId = match scope.text("trace_id") {
        Some(given) => given.parse()?,
        None => match search::find(&query, &scope, "slowest", 1).await?.first() {
            Some(slowest) => slowest.parse()?,
            None => return Ok(Report::new("pieces", json!({"trace_id": null, "pieces": []}))),
        },
    };
    let trace = trace::read(&query, id, MAX_LIMIT).await?;
    let mut report = Report::new("pieces", answer(&trace)?);
    report.notes.extend(trace.truncated.then(|| {
        Sentence::new(
            format!("the trace has more than {MAX_LIMIT} spans: its first ones were looked at"),
            format!("该调用链超过 {MAX_LIMIT} 个 span，只分析了最早的部分"),
        )
    }));
    Ok(report)
}

fn answer(trace: &Trace) -> Result<Value> {
    let columns = Columns(&trace.rows);
    let ids = columns.ids(column::SPAN_ID)?;
    let mut segments: Vec<_> = trace.segments.iter().collect();
    segments.sort_by_key(|segment| (segment.start, segment.end));
    let t0 = segments.first().map_or(0, |first| first.start);
    let all: i64 = segments.iter().map(|segment| segment.end - segment.start).sum();
    let piece = |(number, segment): (usize, &&model::trace::Segment)| {
        let (row, lasted) = (segment.span, segment.end - segment.start);
        let text = |name| columns.text(name, row);
        json!({
            "piece": number + 1,
            "from_ns": segment.start - t0,
            "to_ns": segment.end - t0,
            "duration_ns": lasted,
            "share": lasted as f64 / all.max(1) as f64,
            "service": text(column::SERVICE_NAME),
            "operation": text(column::NAME),
            "span_kind": text(column::KIND),
            "instance": text(column::INSTANCE_ID),
            "status_code": text(column::STATUS_CODE),
            "span_id": faster_hex::hex_string(ids.value(row)),
        })
    };
    let pieces: Vec<Value> = segments.iter().enumerate().map(piece).collect();
    Ok(json!({"trace_id": trace.id.to_string(), "t0": t0.to_string(), "duration_ns": all, "pieces": pieces}))
}
