//! Spans of the store's own steps, for `--self-endpoint`; without it they are nothing.
//!
//! *Invariant:* a step that only moves hotspan's own telemetry makes no span. Else a server that sends to itself would
//! go on for ever: a span is stored, its flush is a span, which is stored, …

use std::sync::Arc;

use model::Result;
use opentelemetry::trace::{FutureExt, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, global};

use crate::compact::Job;
use crate::delta::DataFile;
use crate::ledger::OWN;
use crate::table::Table;

/// A step that is about to be done.
pub(crate) struct Step {
    name: &'static str,
    attributes: Vec<KeyValue>,
    is_seen: bool,
}

/// Writing what these tables have of the records up to `through` into files.
pub(crate) fn flush(tables: &[Arc<Table>], through: u64) -> Step {
    let counts = tables.iter().map(|table| table.up_to(through));
    let (exports, rows, is_seen) =
        counts.fold((0, 0, false), |all, one| (all.0 + one.0, all.1 + one.1, all.2 || one.2));
    let attributes = vec![number("exports", exports), number("rows", rows), number("through", through)];
    Step { name: "flush", attributes, is_seen }
}

/// Merging some files of a table.
pub(crate) fn compact(table: &Table, job: &Job) -> Step {
    let rows = job.inputs.iter().map(|f| f.rows).sum();
    let (files, level) = (job.inputs.len() as u64, u64::from(job.level));
    let attributes = vec![of(table), number("files", files), number("rows", rows), number("level", level)];
    let own = |f: &Arc<DataFile>| f.service_range.as_ref().is_some_and(|(first, last)| first == OWN && last == OWN);
    Step { name: "compact", attributes, is_seen: !job.inputs.iter().all(own) }
}

/// Taking expired files out of a table.
pub(crate) fn expire(table: &Table, files: usize) -> Step {
    Step { name: "expire", attributes: vec![of(table), number("files", files as u64)], is_seen: true }
}

impl Step {
    /// Does it, within its span.
    pub async fn run<T>(self, work: impl Future<Output = Result<T>>) -> Result<T> {
        if !self.is_seen {
            return work.await;
        }
        let tracer = global::tracer("hotspan");
        let span = tracer.span_builder(self.name).with_attributes(self.attributes).start(&tracer);
        let context = Context::current_with_span(span);
        let outcome = work.with_context(context.clone()).await;
        if let Err(error) = &outcome {
            context.span().set_attribute(KeyValue::new("error.type", error.kind.name()));
            context.span().set_status(Status::error(error.message.clone()));
        }
        outcome
    }
}

fn of(table: &Table) -> KeyValue {
    KeyValue::new("table", table.signal.table())
}

/// OTLP has no unsigned numbers.
fn number(name: &'static str, value: u64) -> KeyValue {
    KeyValue::new(name, i64::try_from(value).unwrap_or(i64::MAX))
}
