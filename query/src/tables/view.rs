//! The stable columns of interface.md as a projection over the physical table: ids as hex text, times as timestamps,
//! attributes whole, lists with both. Physical columns that are not in the interface follow under their own names.
//!
//! It is a logical plan and not a batch transformation, so only the columns a query uses are read and computed.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast, ident};
use model::Signal;
use model::schema::{PROMOTED_SPAN, column, schema};

use super::Audience;
use crate::functions::nested::timestamp;
use crate::functions::{attributes, hex, nested};

/// What `attributes` holds besides the promoted attributes.
pub const OTHER_ATTRIBUTES: &str = "other_attributes";
const NANOS: &str = "_unix_nano";
/// The qualifier of stored columns within a plan.
const STORED: &str = "stored";

const SPANS: &[&str] = &[
    "trace_id",
    "span_id",
    "parent_span_id",
    "trace_state",
    "name",
    "kind",
    "service_name",
    "service_namespace",
    "service_version",
    "instance_id",
    "start_time",
    "end_time",
    "duration_ns",
    "status_code",
    "status_message",
    "attributes",
    "resource_attributes",
    "scope_name",
    "scope_version",
    "events",
    "links",
    "self_time_ns",
    "critical_path_ns",
];

const METRICS: &[&str] = &[
    "name",
    "type",
    "unit",
    "description",
    "temporality",
    "is_monotonic",
    "service_name",
    "instance_id",
    "start_time",
    "time",
    "value",
    "value_int",
    "count",
    "sum",
    "min",
    "max",
    "explicit_bounds",
    "bucket_counts",
    "scale",
    "zero_count",
    "zero_threshold",
    "positive_offset",
    "positive_counts",
    "negative_offset",
    "negative_counts",
    "quantiles",
    "exemplars",
    "flags",
    "attributes",
    "resource_attributes",
    "scope_name",
    "scope_version",
];

const LOGS: &[&str] = &[
    "time",
    "observed_time",
    "trace_id",
    "span_id",
    "severity_number",
    "severity_text",
    "body",
    "event_name",
    "service_name",
    "instance_id",
    "attributes",
    "resource_attributes",
    "scope_name",
    "scope_version",
];

/// The columns that interface.md promises, in its order.
pub fn stable_columns(signal: Signal) -> &'static [&'static str] {
    match signal {
        Signal::Traces => SPANS,
        Signal::Metrics => METRICS,
        Signal::Logs => LOGS,
    }
}

/// The name a physical column has in SQL.
pub fn shown_name(physical: &str) -> &str {
    physical.strip_suffix(NANOS).unwrap_or(physical)
}

/// Stored ids of spans and log records under names of their own, and stored times: what our own queries see besides.
pub const ID_BYTES: [(&str, &str); 3] = [
    (column::TRACE_ID, "trace_id_bytes"),
    (column::SPAN_ID, "span_id_bytes"),
    (column::PARENT_SPAN_ID, "parent_span_id_bytes"),
];

/// The table that SQL sees over `physical`.
pub fn view(signal: Signal, physical: Arc<dyn TableProvider>, audience: Audience) -> Result<Arc<dyn TableProvider>> {
    let fields = schema(signal);
    let mut expressions = Vec::with_capacity(fields.fields().len() + 1);
    for name in stable_columns(signal) {
        let stored = fields.fields().iter().find(|f| shown_name(f.name()) == *name);
        expressions.extend(stored.map(|f| named(signal, f)));
    }
    if signal == Signal::Traces {
        expressions.push(ident(column::ATTRIBUTES).alias_qualified(Some(signal.table()), OTHER_ATTRIBUTES));
    }
    for field in fields.fields() {
        if !stable_columns(signal).contains(&shown_name(field.name())) {
            expressions.push(named(signal, field));
        }
    }
    if matches!(signal, Signal::Traces | Signal::Logs) && audience == Audience::Internal {
        let stored = |name: &str, shown: &str| ident(name).alias_qualified(Some(signal.table()), shown);
        let ids = ID_BYTES.iter().filter(|(name, _)| fields.index_of(name).is_ok());
        expressions.extend(ids.map(|(name, bytes)| stored(name, bytes)));
        let times = fields.fields().iter().filter(|f| f.name().ends_with(NANOS));
        expressions.extend(times.map(|f| stored(f.name(), f.name())));
    }
    // A name of its own, so that a stored column and the shown one made of it are never mistaken for each other.
    let plan = LogicalPlanBuilder::scan(STORED, provider_as_source(physical), None)?.project(expressions)?;
    Ok(Arc::new(ViewTable::new(plan.build()?, None)))
}

fn named(signal: Signal, field: &Field) -> Expr {
    shown(signal, field).alias_qualified(Some(signal.table()), shown_name(field.name()))
}

fn shown(signal: Signal, field: &Field) -> Expr {
    let stored = ident(field.name());
    match field.data_type() {
        DataType::FixedSizeBinary(_) if field.name() == column::PARENT_SPAN_ID => {
            hex::hex_or_empty().call(vec![stored])
        }
        DataType::FixedSizeBinary(_) => hex::hex_udf().call(vec![stored]),
        DataType::Int64 if field.name().ends_with(NANOS) => cast(stored, timestamp()),
        DataType::List(item) if matches!(item.data_type(), DataType::Struct(_)) => {
            nested::show_list().call(vec![stored])
        }
        _ if signal == Signal::Traces && field.name() == column::ATTRIBUTES => {
            let mut args = vec![stored];
            args.extend(PROMOTED_SPAN.iter().map(|p| ident(p.column)));
            attributes::whole_attributes().call(args)
        }
        _ => stored,
    }
}
