//! The Arrow schemas of the three tables: in memory, in Parquet and, through Delta's types, for every other reader.
//!
//! Column names stand only here. These are the *physical* columns; SQL shows a view of them (ids as hex, times as
//! timestamps, attributes whole), made in `query::tables`. Delta has no unsigned types and only microsecond
//! timestamps, so counts are int64 and times int64 nanoseconds; ids are fixed-size binary.
//! docs/format/tables.md describes them for outsiders.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

use crate::Signal;

/// The type of a promoted attribute's column. A value of another type stays in the JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromotedType {
    Text,
    Int,
}

/// A well-known attribute that has a column of its own.
#[derive(Debug, Clone, Copy)]
pub struct Promoted {
    pub key: &'static str,
    pub column: &'static str,
    pub ty: PromotedType,
}

const fn text(key: &'static str, column: &'static str) -> Promoted {
    Promoted { key, column, ty: PromotedType::Text }
}

const fn int(key: &'static str, column: &'static str) -> Promoted {
    Promoted { key, column, ty: PromotedType::Int }
}

/// Span attributes with a column of their own. A promoted value is *moved*: it is not in `attributes` on disk.
pub const PROMOTED_SPAN: &[Promoted] = &[
    text("http.request.method", "http_request_method"),
    text("http.route", "http_route"),
    int("http.response.status_code", "http_response_status_code"),
    text("url.path", "url_path"),
    text("server.address", "server_address"),
    int("server.port", "server_port"),
    text("client.address", "client_address"),
    text("network.peer.address", "network_peer_address"),
    text("peer.service", "peer_service"),
    text("db.system.name", "db_system_name"),
    text("db.system", "db_system"),
    text("db.namespace", "db_namespace"),
    text("db.collection.name", "db_collection_name"),
    text("db.operation.name", "db_operation_name"),
    text("db.query.summary", "db_query_summary"),
    text("db.query.text", "db_query_text"),
    text("db.statement", "db_statement"),
    text("rpc.system", "rpc_system"),
    text("rpc.service", "rpc_service"),
    text("rpc.method", "rpc_method"),
    int("rpc.grpc.status_code", "rpc_grpc_status_code"),
    text("messaging.system", "messaging_system"),
    text("messaging.destination.name", "messaging_destination_name"),
    text("messaging.operation.type", "messaging_operation_type"),
    text("error.type", "error_type"),
    text("user.id", "user_id"),
    text("thread.name", "thread_name"),
    text("test.run.id", "test_run_id"),
];

/// Columns of promoted attributes whose values people look for one by one, so that files have a bloom filter of them.
pub const SOUGHT: &[&str] = &["user_id"];

/// Resource attributes with a column of their own. A promoted value is *copied*: `resource_attributes` has all.
/// `service.name`, `.namespace`, `.version` and the instance id have columns besides these.
pub const PROMOTED_RESOURCE: &[Promoted] = &[
    text("deployment.environment.name", "deployment_environment_name"),
    text("host.name", "host_name"),
    text("k8s.namespace.name", "k8s_namespace_name"),
    text("k8s.node.name", "k8s_node_name"),
    text("k8s.pod.name", "k8s_pod_name"),
];

/// `service_name` where the resource names none (semantic conventions, "service").
pub const UNKNOWN_SERVICE: &str = "unknown_service";

/// Names of the physical columns that code refers to.
pub mod column {
    pub const TRACE_ID: &str = "trace_id";
    pub const SPAN_ID: &str = "span_id";
    pub const PARENT_SPAN_ID: &str = "parent_span_id";
    pub const TRACE_STATE: &str = "trace_state";
    pub const NAME: &str = "name";
    pub const KIND: &str = "kind";
    pub const SERVICE_NAME: &str = "service_name";
    pub const SERVICE_NAMESPACE: &str = "service_namespace";
    pub const SERVICE_VERSION: &str = "service_version";
    pub const INSTANCE_ID: &str = "instance_id";
    pub const START: &str = "start_time_unix_nano";
    pub const END: &str = "end_time_unix_nano";
    pub const DURATION: &str = "duration_ns";
    pub const STATUS_CODE: &str = "status_code";
    pub const STATUS_MESSAGE: &str = "status_message";
    pub const ATTRIBUTES: &str = "attributes";
    pub const RESOURCE_ATTRIBUTES: &str = "resource_attributes";
    pub const SCOPE_NAME: &str = "scope_name";
    pub const SCOPE_VERSION: &str = "scope_version";
    pub const SCOPE_ATTRIBUTES: &str = "scope_attributes";
    pub const EVENTS: &str = "events";
    pub const LINKS: &str = "links";
    pub const RECEIVED: &str = "received_time_unix_nano";
    pub const ANOMALIES: &str = "anomalies";
    /// Filled when the trace is assembled (`model::trace`), null before.
    pub const SELF_TIME: &str = "self_time_ns";
    pub const CRITICAL_PATH: &str = "critical_path_ns";
    pub const ENTRY_SERVICE: &str = "entry_service";
    pub const ENTRY_OPERATION: &str = "entry_operation";
    pub const ENTRY_START: &str = "entry_start_time_unix_nano";
    pub const TREE_FLAGS: &str = "tree_flags";
    pub const TIME: &str = "time_unix_nano";
    pub const OBSERVED_TIME: &str = "observed_time_unix_nano";
}

/// The columns that assembly fills, in schema order.
pub const ASSEMBLED: &[&str] = &[
    column::SELF_TIME,
    column::CRITICAL_PATH,
    column::ENTRY_SERVICE,
    column::ENTRY_OPERATION,
    column::ENTRY_START,
    column::TREE_FLAGS,
];

fn utf8(name: &str) -> Field {
    Field::new(name, DataType::Utf8View, true)
}

fn int64(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

fn float64(name: &str) -> Field {
    Field::new(name, DataType::Float64, true)
}

fn trace_id(nullable: bool) -> Field {
    Field::new(column::TRACE_ID, DataType::FixedSizeBinary(16), nullable)
}

fn span_id(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::FixedSizeBinary(8), nullable)
}

fn list(name: &str, item: DataType) -> Field {
    Field::new(name, DataType::List(Arc::new(Field::new("element", item, true))), true)
}

/// The fields of one element of `events`.
pub fn event_fields() -> Fields {
    vec![int64(column::TIME), utf8(column::NAME), utf8(column::ATTRIBUTES), int64("dropped_attributes_count")].into()
}

/// The fields of one element of `links`.
pub fn link_fields() -> Fields {
    vec![
        trace_id(true),
        span_id(column::SPAN_ID, true),
        utf8(column::TRACE_STATE),
        utf8(column::ATTRIBUTES),
        int64("dropped_attributes_count"),
        int64("flags"),
    ]
    .into()
}

/// The fields of one element of a metric's `exemplars`.
pub fn exemplar_fields() -> Fields {
    vec![
        int64(column::TIME),
        float64("value"),
        int64("value_int"),
        trace_id(true),
        span_id(column::SPAN_ID, true),
        utf8("filtered_attributes"),
    ]
    .into()
}

/// The fields of one element of a summary's `quantiles`.
pub fn quantile_fields() -> Fields {
    vec![float64("quantile"), float64("value")].into()
}

fn promoted_fields(promoted: &[Promoted]) -> Vec<Field> {
    let one = |p: &Promoted| match p.ty {
        PromotedType::Text => utf8(p.column),
        PromotedType::Int => int64(p.column),
    };
    promoted.iter().map(one).collect()
}

/// Resource and scope, the same in every table.
fn origin() -> Vec<Field> {
    let mut fields = vec![
        utf8(column::RESOURCE_ATTRIBUTES),
        int64("resource_dropped_attributes_count"),
        utf8("resource_entity_refs"),
        utf8("resource_schema_url"),
        utf8(column::SCOPE_NAME),
        utf8(column::SCOPE_VERSION),
        utf8(column::SCOPE_ATTRIBUTES),
        int64("scope_dropped_attributes_count"),
        utf8("scope_schema_url"),
    ];
    fields.extend(promoted_fields(PROMOTED_RESOURCE));
    fields.push(int64(column::RECEIVED));
    fields
}

static SPANS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields = vec![
        trace_id(false),
        span_id(column::SPAN_ID, false),
        span_id(column::PARENT_SPAN_ID, true),
        utf8(column::TRACE_STATE),
        int64("flags"),
        utf8(column::NAME),
        utf8(column::KIND),
        utf8(column::SERVICE_NAME),
        utf8(column::SERVICE_NAMESPACE),
        utf8(column::SERVICE_VERSION),
        utf8(column::INSTANCE_ID),
        int64(column::START),
        int64(column::END),
        int64(column::DURATION),
        utf8(column::STATUS_CODE),
        utf8(column::STATUS_MESSAGE),
        utf8(column::ATTRIBUTES),
        int64("dropped_attributes_count"),
        list(column::EVENTS, DataType::Struct(event_fields())),
        int64("dropped_events_count"),
        list(column::LINKS, DataType::Struct(link_fields())),
        int64("dropped_links_count"),
    ];
    fields.extend(promoted_fields(PROMOTED_SPAN));
    fields.extend(origin());
    fields.extend([
        utf8(column::ANOMALIES),
        int64(column::SELF_TIME),
        int64(column::CRITICAL_PATH),
        utf8(column::ENTRY_SERVICE),
        utf8(column::ENTRY_OPERATION),
        int64(column::ENTRY_START),
        int64(column::TREE_FLAGS),
    ]);
    Arc::new(Schema::new(fields))
});

static METRICS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields = vec![
        utf8(column::NAME),
        utf8("type"),
        utf8("unit"),
        utf8("description"),
        utf8("metadata"),
        utf8("temporality"),
        Field::new("is_monotonic", DataType::Boolean, true),
        utf8(column::SERVICE_NAME),
        utf8(column::SERVICE_NAMESPACE),
        utf8(column::SERVICE_VERSION),
        utf8(column::INSTANCE_ID),
        int64(column::START),
        int64(column::TIME),
        float64("value"),
        int64("value_int"),
        int64("count"),
        float64("sum"),
        float64("min"),
        float64("max"),
        list("explicit_bounds", DataType::Float64),
        list("bucket_counts", DataType::Int64),
        Field::new("scale", DataType::Int32, true),
        int64("zero_count"),
        float64("zero_threshold"),
        Field::new("positive_offset", DataType::Int32, true),
        list("positive_counts", DataType::Int64),
        Field::new("negative_offset", DataType::Int32, true),
        list("negative_counts", DataType::Int64),
        list("quantiles", DataType::Struct(quantile_fields())),
        list("exemplars", DataType::Struct(exemplar_fields())),
        int64("flags"),
        utf8(column::ATTRIBUTES),
    ];
    fields.extend(origin());
    fields.push(utf8(column::ANOMALIES));
    Arc::new(Schema::new(fields))
});

static LOGS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields = vec![
        int64(column::TIME),
        int64(column::OBSERVED_TIME),
        trace_id(true),
        span_id(column::SPAN_ID, true),
        int64("flags"),
        Field::new("severity_number", DataType::Int32, true),
        utf8("severity_text"),
        utf8("body"),
        // 'text' when the body was a string (then `body` is that string), 'json' when `body` is JSON text.
        utf8("body_type"),
        utf8("event_name"),
        utf8(column::SERVICE_NAME),
        utf8(column::SERVICE_NAMESPACE),
        utf8(column::SERVICE_VERSION),
        utf8(column::INSTANCE_ID),
        utf8(column::ATTRIBUTES),
        int64("dropped_attributes_count"),
    ];
    fields.extend(origin());
    fields.push(utf8(column::ANOMALIES));
    Arc::new(Schema::new(fields))
});

/// The physical schema of a signal's table.
pub fn schema(signal: Signal) -> SchemaRef {
    match signal {
        Signal::Traces => SPANS.clone(),
        Signal::Metrics => METRICS.clone(),
        Signal::Logs => LOGS.clone(),
    }
}

/// The order of rows within a file: for "one operation over time"; bloom filters on `trace_id` serve "one trace".
pub fn sort_columns(signal: Signal) -> &'static [&'static str] {
    match signal {
        Signal::Traces => &[column::SERVICE_NAME, column::NAME, column::START],
        Signal::Metrics => &[column::NAME, column::SERVICE_NAME, column::TIME],
        Signal::Logs => &[column::SERVICE_NAME, column::TIME],
    }
}

/// The column by which a row is found in time.
pub fn time_column(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => column::START,
        Signal::Metrics | Signal::Logs => column::TIME,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn column_names_are_unique_and_plain() {
        for signal in Signal::ALL {
            let mut seen = HashSet::new();
            for field in schema(signal).fields() {
                assert!(seen.insert(field.name().clone()), "{} twice in {}", field.name(), signal.table());
                let plain = field.name().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
                assert!(plain, "{} is not a plain Delta column name", field.name());
            }
        }
    }

    #[test]
    fn sort_time_and_assembled_columns_exist() {
        for signal in Signal::ALL {
            let schema = schema(signal);
            for name in sort_columns(signal).iter().chain([&time_column(signal)]) {
                assert!(schema.index_of(name).is_ok(), "{name}");
            }
        }
        for name in ASSEMBLED {
            assert!(schema(Signal::Traces).index_of(name).is_ok(), "{name}");
        }
    }
}
