//! What `/api/v1/schema`, `SHOW TABLES` and the SQL page's completion tell about tables and columns.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::datasource::empty::EmptyTable;
use model::Signal;
use model::schema::{PROMOTED_RESOURCE, PROMOTED_SPAN, schema};
use serde::Serialize;

use super::{Audience, runs, view};

#[derive(Debug, Clone, Serialize)]
pub struct Table {
    pub name: &'static str,
    pub doc: &'static str,
    pub columns: Vec<Column>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: String,
    pub doc: String,
}

/// Every table, with its columns in the order of `SELECT *`.
pub fn tables() -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    for signal in Signal::ALL {
        let shown = view::view(signal, Arc::new(EmptyTable::new(schema(signal))), Audience::User)?;
        let doc = match signal {
            Signal::Traces => "one row per span",
            Signal::Metrics => "one row per data point",
            Signal::Logs => "one row per log record",
        };
        let column = |f: &Arc<arrow::datatypes::Field>| Column {
            name: f.name().clone(),
            ty: type_name(f.data_type()),
            doc: column_doc(signal, f.name()),
        };
        tables.push(Table { name: signal.table(), doc, columns: shown.schema().fields().iter().map(column).collect() });
    }
    let columns = runs::schema()
        .fields()
        .iter()
        .map(|f| Column { name: f.name().clone(), ty: type_name(f.data_type()), doc: String::new() })
        .collect();
    tables.push(Table { name: "runs", doc: "one row per stress-test run", columns });
    Ok(tables)
}

/// A type as SQL users know it.
pub fn type_name(ty: &DataType) -> String {
    match ty {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "text".into(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "int32".into(),
        DataType::Int64 => "int64".into(),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => "uint64".into(),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "double".into(),
        DataType::Boolean => "bool".into(),
        DataType::Timestamp(..) => "timestamp".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Binary | DataType::BinaryView | DataType::LargeBinary | DataType::FixedSizeBinary(_) => {
            "binary".into()
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            format!("list<{}>", type_name(item.data_type()))
        }
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|f| format!("{} {}", f.name(), type_name(f.data_type()))).collect();
            format!("struct<{}>", fields.join(", "))
        }
        other => other.to_string().to_lowercase(),
    }
}

fn column_doc(signal: Signal, name: &str) -> String {
    if signal == Signal::Traces
        && let Some(promoted) = PROMOTED_SPAN.iter().find(|p| p.column == name)
    {
        return format!("the span attribute {}", promoted.key);
    }
    if let Some(promoted) = PROMOTED_RESOURCE.iter().find(|p| p.column == name) {
        return format!("the resource attribute {}", promoted.key);
    }
    DOCS.iter().find(|(column, _)| *column == name).map(|(_, doc)| (*doc).to_owned()).unwrap_or_default()
}

const DOCS: &[(&str, &str)] = &[
    ("trace_id", "lower-case hex; comparisons with it are fast"),
    ("span_id", "lower-case hex"),
    ("parent_span_id", "lower-case hex, empty text for a root"),
    ("name", "the operation or metric"),
    ("kind", "INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER or UNSPECIFIED"),
    ("service_name", "resource attribute service.name"),
    ("instance_id", "the instance that sent it"),
    ("duration_ns", "end minus start, never below 0"),
    ("status_code", "UNSET, OK or ERROR"),
    ("attributes", "JSON with OTLP types kept; use ->> 'key'"),
    ("other_attributes", "the part of attributes without a column of its own"),
    ("resource_attributes", "JSON with OTLP types kept"),
    ("events", "list of (time, name, attributes, dropped_attributes_count)"),
    ("links", "list of (trace_id, span_id, trace_state, attributes, …)"),
    ("self_time_ns", "time in which no child of the span ran; null until its trace is assembled"),
    ("critical_path_ns", "the span's exclusive share of its request's duration; null until its trace is assembled"),
    ("entry_service", "service of the request this span belongs to"),
    ("entry_operation", "operation of the request this span belongs to"),
    ("entry_start_time", "when that request started"),
    (
        "tree_flags",
        "bits: 1 orphan, 2 cycle, 4 several roots, 8 clock skew, 16 async root, 32 duplicate, 64 root, 128 entry",
    ),
    ("received_time", "when hotspan received it"),
    ("anomalies", "what was wrong with it as sent"),
    ("type", "GAUGE, SUM, HISTOGRAM, EXPONENTIAL_HISTOGRAM or SUMMARY"),
    ("temporality", "DELTA, CUMULATIVE or UNSPECIFIED"),
    ("value", "of a gauge or sum"),
    ("value_int", "the same when an integer was sent"),
];
