//! The OTLP messages as OTLP/JSON names them: which key is which protobuf field of which type.
//!
//! Numbers and types are those of opentelemetry-proto 1.x; `decode::tests` compares every field with the crate's
//! own encoding.

/// A protobuf message.
#[derive(Debug)]
pub(super) struct Message {
    pub role: Role,
    pub fields: &'static [Field],
}

/// What a wrong value inside the message costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Around the rows: the request cannot be read.
    Envelope,
    /// One row: that row.
    Row,
    /// The points of one metric: all of them.
    Group,
    /// Whatever it is part of; outside of rows, the value alone.
    Part,
}

#[derive(Debug)]
pub(super) struct Field {
    pub name: &'static str,
    pub number: u32,
    pub ty: Type,
    pub repeated: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Type {
    Text,
    /// Bytes in hex.
    Id,
    /// Bytes in base64.
    Bytes,
    Bool,
    Double,
    Fixed64,
    Sfixed64,
    Int64,
    Uint64,
    Uint32,
    Sint32,
    Fixed32,
    Enum,
    Message(&'static Message),
}

impl Message {
    pub fn field(&self, name: &[u8]) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name.as_bytes() == name)
    }
}

const fn one(name: &'static str, number: u32, ty: Type) -> Field {
    Field { name, number, ty, repeated: false }
}

const fn many(name: &'static str, number: u32, ty: Type) -> Field {
    Field { name, number, ty, repeated: true }
}

const fn message(role: Role, fields: &'static [Field]) -> Message {
    Message { role, fields }
}

use Type::{Bool, Bytes, Double, Enum, Fixed32, Fixed64, Id, Int64, Sfixed64, Sint32, Text, Uint32, Uint64};

pub(super) static ANY_VALUE: Message = message(
    Role::Part,
    &[
        one("stringValue", 1, Text),
        one("boolValue", 2, Bool),
        one("intValue", 3, Int64),
        one("doubleValue", 4, Double),
        one("arrayValue", 5, Type::Message(&ARRAY_VALUE)),
        one("kvlistValue", 6, Type::Message(&KVLIST)),
        one(ANY_BYTES, ANY_BYTES_NUMBER, Bytes),
        one("stringValueStrindex", 8, Int64),
    ],
);
const ANY_BYTES: &str = "bytesValue";
/// `AnyValue.bytes_value`.
pub(super) const ANY_BYTES_NUMBER: u32 = 7;

static ARRAY_VALUE: Message = message(Role::Part, &[many("values", 1, Type::Message(&ANY_VALUE))]);
static KVLIST: Message = message(Role::Part, &[many("values", 1, Type::Message(&KEY_VALUE))]);
static KEY_VALUE: Message = message(
    Role::Part,
    &[one("key", 1, Text), one("value", 2, Type::Message(&ANY_VALUE)), one("keyStrindex", 3, Int64)],
);

static ENTITY_REF: Message = message(
    Role::Part,
    &[one("schemaUrl", 1, Text), one("type", 2, Text), many("idKeys", 3, Text), many("descriptionKeys", 4, Text)],
);
static RESOURCE: Message = message(
    Role::Part,
    &[
        many("attributes", 1, Type::Message(&KEY_VALUE)),
        one("droppedAttributesCount", 2, Uint32),
        many("entityRefs", 3, Type::Message(&ENTITY_REF)),
    ],
);
static SCOPE: Message = message(
    Role::Part,
    &[
        one("name", 1, Text),
        one("version", 2, Text),
        many("attributes", 3, Type::Message(&KEY_VALUE)),
        one("droppedAttributesCount", 4, Uint32),
    ],
);

/// `ExportTraceServiceRequest`.
pub(super) static TRACES: Message =
    message(Role::Envelope, &[many("resourceSpans", 1, Type::Message(&RESOURCE_SPANS))]);
static RESOURCE_SPANS: Message = message(
    Role::Envelope,
    &[
        one("resource", 1, Type::Message(&RESOURCE)),
        many("scopeSpans", 2, Type::Message(&SCOPE_SPANS)),
        one("schemaUrl", 3, Text),
    ],
);
static SCOPE_SPANS: Message = message(
    Role::Envelope,
    &[one("scope", 1, Type::Message(&SCOPE)), many("spans", 2, Type::Message(&SPAN)), one("schemaUrl", 3, Text)],
);
static SPAN: Message = message(
    Role::Row,
    &[
        one("traceId", 1, Id),
        one("spanId", 2, Id),
        one("traceState", 3, Text),
        one("parentSpanId", 4, Id),
        one("name", 5, Text),
        one("kind", 6, Enum),
        one("startTimeUnixNano", 7, Fixed64),
        one("endTimeUnixNano", 8, Fixed64),
        many("attributes", 9, Type::Message(&KEY_VALUE)),
        one("droppedAttributesCount", 10, Uint32),
        many("events", 11, Type::Message(&EVENT)),
        one("droppedEventsCount", 12, Uint32),
        many("links", 13, Type::Message(&LINK)),
        one("droppedLinksCount", 14, Uint32),
        one("status", 15, Type::Message(&STATUS)),
        one("flags", 16, Fixed32),
    ],
);
static EVENT: Message = message(
    Role::Part,
    &[
        one("timeUnixNano", 1, Fixed64),
        one("name", 2, Text),
        many("attributes", 3, Type::Message(&KEY_VALUE)),
        one("droppedAttributesCount", 4, Uint32),
    ],
);
static LINK: Message = message(
    Role::Part,
    &[
        one("traceId", 1, Id),
        one("spanId", 2, Id),
        one("traceState", 3, Text),
        many("attributes", 4, Type::Message(&KEY_VALUE)),
        one("droppedAttributesCount", 5, Uint32),
        one("flags", 6, Fixed32),
    ],
);
static STATUS: Message = message(Role::Part, &[one("message", 2, Text), one("code", 3, Enum)]);

/// `ExportMetricsServiceRequest`.
pub(super) static METRICS: Message =
    message(Role::Envelope, &[many("resourceMetrics", 1, Type::Message(&RESOURCE_METRICS))]);
static RESOURCE_METRICS: Message = message(
    Role::Envelope,
    &[
        one("resource", 1, Type::Message(&RESOURCE)),
        many("scopeMetrics", 2, Type::Message(&SCOPE_METRICS)),
        one("schemaUrl", 3, Text),
    ],
);
static SCOPE_METRICS: Message = message(
    Role::Envelope,
    &[one("scope", 1, Type::Message(&SCOPE)), many("metrics", 2, Type::Message(&METRIC)), one("schemaUrl", 3, Text)],
);
static METRIC: Message = message(
    Role::Part,
    &[
        one("name", 1, Text),
        one("description", 2, Text),
        one("unit", 3, Text),
        one("gauge", 5, Type::Message(&GAUGE)),
        one("sum", 7, Type::Message(&SUM)),
        one("histogram", 9, Type::Message(&HISTOGRAM)),
        one("exponentialHistogram", 10, Type::Message(&EXPONENTIAL_HISTOGRAM)),
        one("summary", 11, Type::Message(&SUMMARY)),
        many("metadata", 12, Type::Message(&KEY_VALUE)),
    ],
);
static GAUGE: Message = message(Role::Group, &[many("dataPoints", 1, Type::Message(&NUMBER_POINT))]);
static SUM: Message = message(
    Role::Group,
    &[
        many("dataPoints", 1, Type::Message(&NUMBER_POINT)),
        one("aggregationTemporality", 2, Enum),
        one("isMonotonic", 3, Bool),
    ],
);
static HISTOGRAM: Message = message(
    Role::Group,
    &[many("dataPoints", 1, Type::Message(&HISTOGRAM_POINT)), one("aggregationTemporality", 2, Enum)],
);
static EXPONENTIAL_HISTOGRAM: Message = message(
    Role::Group,
    &[many("dataPoints", 1, Type::Message(&EXPONENTIAL_POINT)), one("aggregationTemporality", 2, Enum)],
);
static SUMMARY: Message = message(Role::Group, &[many("dataPoints", 1, Type::Message(&SUMMARY_POINT))]);
static NUMBER_POINT: Message = message(
    Role::Row,
    &[
        one("startTimeUnixNano", 2, Fixed64),
        one("timeUnixNano", 3, Fixed64),
        one("asDouble", 4, Double),
        many("exemplars", 5, Type::Message(&EXEMPLAR)),
        one("asInt", 6, Sfixed64),
        many("attributes", 7, Type::Message(&KEY_VALUE)),
        one("flags", 8, Uint32),
    ],
);
static HISTOGRAM_POINT: Message = message(
    Role::Row,
    &[
        one("startTimeUnixNano", 2, Fixed64),
        one("timeUnixNano", 3, Fixed64),
        one("count", 4, Fixed64),
        one("sum", 5, Double),
        many("bucketCounts", 6, Fixed64),
        many("explicitBounds", 7, Double),
        many("exemplars", 8, Type::Message(&EXEMPLAR)),
        many("attributes", 9, Type::Message(&KEY_VALUE)),
        one("flags", 10, Uint32),
        one("min", 11, Double),
        one("max", 12, Double),
    ],
);
static EXPONENTIAL_POINT: Message = message(
    Role::Row,
    &[
        many("attributes", 1, Type::Message(&KEY_VALUE)),
        one("startTimeUnixNano", 2, Fixed64),
        one("timeUnixNano", 3, Fixed64),
        one("count", 4, Fixed64),
        one("sum", 5, Double),
        one("scale", 6, Sint32),
        one("zeroCount", 7, Fixed64),
        one("positive", 8, Type::Message(&BUCKETS)),
        one("negative", 9, Type::Message(&BUCKETS)),
        one("flags", 10, Uint32),
        many("exemplars", 11, Type::Message(&EXEMPLAR)),
        one("min", 12, Double),
        one("max", 13, Double),
        one("zeroThreshold", 14, Double),
    ],
);
static BUCKETS: Message = message(Role::Part, &[one("offset", 1, Sint32), many("bucketCounts", 2, Uint64)]);
static SUMMARY_POINT: Message = message(
    Role::Row,
    &[
        one("startTimeUnixNano", 2, Fixed64),
        one("timeUnixNano", 3, Fixed64),
        one("count", 4, Fixed64),
        one("sum", 5, Double),
        many("quantileValues", 6, Type::Message(&QUANTILE)),
        many("attributes", 7, Type::Message(&KEY_VALUE)),
        one("flags", 8, Uint32),
    ],
);
static QUANTILE: Message = message(Role::Part, &[one("quantile", 1, Double), one("value", 2, Double)]);
static EXEMPLAR: Message = message(
    Role::Part,
    &[
        one("timeUnixNano", 2, Fixed64),
        one("asDouble", 3, Double),
        one("spanId", 4, Id),
        one("traceId", 5, Id),
        one("asInt", 6, Sfixed64),
        many("filteredAttributes", 7, Type::Message(&KEY_VALUE)),
    ],
);

/// `ExportLogsServiceRequest`.
pub(super) static LOGS: Message = message(Role::Envelope, &[many("resourceLogs", 1, Type::Message(&RESOURCE_LOGS))]);
static RESOURCE_LOGS: Message = message(
    Role::Envelope,
    &[
        one("resource", 1, Type::Message(&RESOURCE)),
        many("scopeLogs", 2, Type::Message(&SCOPE_LOGS)),
        one("schemaUrl", 3, Text),
    ],
);
static SCOPE_LOGS: Message = message(
    Role::Envelope,
    &[
        one("scope", 1, Type::Message(&SCOPE)),
        many("logRecords", 2, Type::Message(&LOG_RECORD)),
        one("schemaUrl", 3, Text),
    ],
);
static LOG_RECORD: Message = message(
    Role::Row,
    &[
        one("timeUnixNano", 1, Fixed64),
        one("severityNumber", 2, Enum),
        one("severityText", 3, Text),
        one("body", 5, Type::Message(&ANY_VALUE)),
        many("attributes", 6, Type::Message(&KEY_VALUE)),
        one("droppedAttributesCount", 7, Uint32),
        one("flags", 8, Fixed32),
        one("traceId", 9, Id),
        one("spanId", 10, Id),
        one("observedTimeUnixNano", 11, Fixed64),
        one("eventName", 12, Text),
    ],
);
