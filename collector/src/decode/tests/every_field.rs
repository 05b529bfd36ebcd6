//! Every field of the three messages, set to a value of its own, comes back in its column.
//!
//! The structs are written without `..Default::default()`, so a field that a new version of OTLP brings stops this
//! file from compiling. The same requests stand as hand-written OTLP/JSON in `testdata/otlp/`.

use model::Signal;
use model::schema::{ASSEMBLED, PROMOTED_SPAN, schema};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, EntityRef, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, metric::Data,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::rows::{Expected, Row, assert_rows, rows};
use super::{RECEIVED, Request, array, decode_json, kvlist, oracle, pair, text, wrapped};

const TRACE_ID: [u8; 16] =
    [0x5b, 0x8e, 0xff, 0xf7, 0x98, 0x03, 0x81, 0x03, 0xd2, 0x69, 0xb6, 0x33, 0x81, 0x3f, 0xc6, 0x0c];
const SPAN_ID: [u8; 8] = [0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74];
const PARENT_ID: [u8; 8] = [0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x73];
const OTHER_TRACE_ID: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const OTHER_SPAN_ID: [u8; 8] = [0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18];

fn bare_resource(attributes: Vec<KeyValue>) -> Option<Resource> {
    Some(Resource { attributes, ..Resource::default() })
}

fn bare_scope(name: &str) -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: name.into(), ..InstrumentationScope::default() })
}

fn full_resource() -> Resource {
    Resource {
        attributes: vec![
            pair("service.name", text("checkout")),
            pair("service.namespace", text("shop")),
            pair("service.version", text("1.2.3")),
            pair("service.instance.id", text("checkout-1")),
            pair("deployment.environment.name", text("production")),
            pair("host.name", text("node-7")),
            pair("k8s.namespace.name", text("default")),
            pair("k8s.node.name", text("node-7.cluster")),
            pair("k8s.pod.name", text("checkout-7d9")),
            pair("process.pid", Value::IntValue(4711)),
        ],
        dropped_attributes_count: 11,
        entity_refs: vec![EntityRef {
            schema_url: "https://example.org/entity".into(),
            r#type: "service".into(),
            id_keys: vec!["service.name".into()],
            description_keys: vec!["service.version".into(), "process.pid".into()],
        }],
    }
}

fn span_attributes() -> Vec<KeyValue> {
    vec![
        pair("http.request.method", text("POST")),
        pair("http.response.status_code", Value::IntValue(503)),
        pair("server.port", text("not a number")),
        pair("a.string", text("line\nfeed \"quoted\" 中🦀")),
        pair("a.bool", Value::BoolValue(true)),
        pair("an.int", Value::IntValue(i64::MIN)),
        pair("a.double", Value::DoubleValue(200.0)),
        pair("nan", Value::DoubleValue(f64::NAN)),
        pair("infinite", Value::DoubleValue(f64::NEG_INFINITY)),
        pair("bytes", Value::BytesValue(vec![0x00, 0xff, 0x10])),
        pair("array", {
            let mut values = vec![text("x"), Value::IntValue(2), Value::BoolValue(false), Value::DoubleValue(0.5)]
                .into_iter()
                .map(wrapped)
                .collect::<Vec<_>>();
            values.push(AnyValue { value: None });
            Value::ArrayValue(opentelemetry_proto::tonic::common::v1::ArrayValue { values })
        }),
        pair(
            "list",
            kvlist(vec![pair("k", kvlist(vec![pair("@bytes", text("a kvlist"))])), pair("empty", array(vec![]))]),
        ),
        KeyValue { key: "none".into(), value: None, key_strindex: 0 },
    ]
}

fn traces() -> ExportTraceServiceRequest {
    let span = Span {
        trace_id: TRACE_ID.into(),
        span_id: SPAN_ID.into(),
        trace_state: "vendor=opaque".into(),
        parent_span_id: PARENT_ID.into(),
        flags: 769,
        name: "POST /order".into(),
        kind: 2,
        start_time_unix_nano: 1_544_712_660_000_000_000,
        end_time_unix_nano: 1_544_712_661_000_000_123,
        attributes: span_attributes(),
        dropped_attributes_count: 13,
        events: vec![Event {
            time_unix_nano: 1_544_712_660_300_000_000,
            name: "exception".into(),
            attributes: vec![pair("exception.type", text("Timeout"))],
            dropped_attributes_count: 14,
        }],
        dropped_events_count: 15,
        links: vec![Link {
            trace_id: OTHER_TRACE_ID.into(),
            span_id: OTHER_SPAN_ID.into(),
            trace_state: "linked=yes".into(),
            attributes: vec![pair("link.kind", text("follows"))],
            dropped_attributes_count: 16,
            flags: 257,
        }],
        dropped_links_count: 17,
        status: Some(Status { message: "out of stock".into(), code: 2 }),
    };
    let scope = InstrumentationScope {
        name: "io.example.http".into(),
        version: "0.9.1".into(),
        attributes: vec![pair("scope.flavour", text("strict"))],
        dropped_attributes_count: 12,
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(full_resource()),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans: vec![span],
                schema_url: "https://example.org/scope".into(),
            }],
            schema_url: "https://example.org/resource".into(),
        }],
    }
}

fn full_origin() -> Expected {
    Expected::default()
        .text("service_name", "checkout")
        .text("service_namespace", "shop")
        .text("service_version", "1.2.3")
        .text("instance_id", "checkout-1")
        .text(
            "resource_attributes",
            r#"{"service.name":"checkout","service.namespace":"shop","service.version":"1.2.3","service.instance.id":"checkout-1","deployment.environment.name":"production","host.name":"node-7","k8s.namespace.name":"default","k8s.node.name":"node-7.cluster","k8s.pod.name":"checkout-7d9","process.pid":4711}"#,
        )
        .int("resource_dropped_attributes_count", 11)
        .text(
            "resource_entity_refs",
            r#"[{"schemaUrl":"https://example.org/entity","type":"service","idKeys":["service.name"],"descriptionKeys":["service.version","process.pid"]}]"#,
        )
        .text("resource_schema_url", "https://example.org/resource")
        .text("deployment_environment_name", "production")
        .text("host_name", "node-7")
        .text("k8s_namespace_name", "default")
        .text("k8s_node_name", "node-7.cluster")
        .text("k8s_pod_name", "checkout-7d9")
        .text("scope_name", "io.example.http")
        .text("scope_version", "0.9.1")
        .text("scope_attributes", r#"{"scope.flavour":"strict"}"#)
        .int("scope_dropped_attributes_count", 12)
        .text("scope_schema_url", "https://example.org/scope")
        .int("received_time_unix_nano", RECEIVED)
}

fn expected_span() -> Row {
    let event = Expected::default()
        .int("time_unix_nano", 1_544_712_660_300_000_000_i64)
        .text("name", "exception")
        .text("attributes", r#"{"exception.type":"Timeout"}"#)
        .int("dropped_attributes_count", 14);
    let link = Expected::default()
        .id("trace_id", &OTHER_TRACE_ID)
        .id("span_id", &OTHER_SPAN_ID)
        .text("trace_state", "linked=yes")
        .text("attributes", r#"{"link.kind":"follows"}"#)
        .int("dropped_attributes_count", 16)
        .int("flags", 257);
    Expected::default()
        .id("trace_id", &TRACE_ID)
        .id("span_id", &SPAN_ID)
        .id("parent_span_id", &PARENT_ID)
        .text("trace_state", "vendor=opaque")
        .int("flags", 769)
        .text("name", "POST /order")
        .text("kind", "SERVER")
        .int("start_time_unix_nano", 1_544_712_660_000_000_000_i64)
        .int("end_time_unix_nano", 1_544_712_661_000_000_123_i64)
        .int("duration_ns", 1_000_000_123)
        .text("status_code", "ERROR")
        .text("status_message", "out of stock")
        .text(
            "attributes",
            concat!(
                r#"{"server.port":"not a number","a.string":"line\nfeed \"quoted\" 中🦀","a.bool":true,"#,
                r#""an.int":-9223372036854775808,"a.double":200.0,"nan":{"@double":"NaN"},"#,
                r#""infinite":{"@double":"-Infinity"},"bytes":{"@bytes":"AP8Q"},"array":["x",2,false,0.5,null],"#,
                r#""list":{"k":{"@@bytes":"a kvlist"},"empty":[]},"none":null}"#,
            ),
        )
        .text("http_request_method", "POST")
        .int("http_response_status_code", 503)
        .int("dropped_attributes_count", 13)
        .list("events", vec![event.row()])
        .int("dropped_events_count", 15)
        .list("links", vec![link.row()])
        .int("dropped_links_count", 17)
        .join(full_origin())
        .row()
}

#[test]
fn every_field_of_a_span() {
    let decoded = traces().decoded();
    assert_eq!((decoded.rejected, decoded.notes.as_slice()), (0, [].as_slice()));
    assert_rows(&decoded.rows, &[expected_span()]);
    assert_eq!(oracle::spans(&traces()), [expected_span()], "the oracle of the property tests says the same");
}

#[test]
fn every_field_of_a_span_in_json() {
    let decoded = decode_json(Signal::Traces, include_bytes!("../../../../testdata/otlp/traces.json").as_slice());
    let decoded = decoded.expect("valid");
    assert_eq!(decoded.notes, [""; 0]);
    assert_rows(&decoded.rows, &[expected_span()]);
}

#[test]
fn every_promoted_attribute_has_its_column() {
    let mut span = super::span(1);
    for (number, promoted) in PROMOTED_SPAN.iter().enumerate() {
        let number = number as i64;
        span.attributes.push(match promoted.ty {
            model::schema::PromotedType::Text => pair(promoted.key, text(&format!("value {number}"))),
            model::schema::PromotedType::Int => pair(promoted.key, Value::IntValue(number)),
        });
    }
    let request = super::request(vec![span]);
    let decoded = request.decoded();
    assert_rows(&decoded.rows, &oracle::spans(&request));
    let row = &rows(&decoded.rows)[0];
    assert!(PROMOTED_SPAN.iter().all(|promoted| row.contains_key(promoted.column)));
    assert!(!row.contains_key("attributes"), "all were moved");
}

fn metrics() -> ExportMetricsServiceRequest {
    let exemplar = |time_unix_nano, value| Exemplar {
        filtered_attributes: vec![],
        time_unix_nano,
        span_id: vec![],
        trace_id: vec![],
        value: Some(value),
    };
    let full_exemplar = Exemplar {
        filtered_attributes: vec![pair("user", text("u1"))],
        time_unix_nano: 1501,
        span_id: OTHER_SPAN_ID.into(),
        trace_id: OTHER_TRACE_ID.into(),
        value: Some(exemplar::Value::AsInt(-7)),
    };
    let gauge = NumberDataPoint {
        attributes: vec![pair("queue", text("orders"))],
        start_time_unix_nano: 1001,
        time_unix_nano: 2001,
        exemplars: vec![full_exemplar, exemplar(1502, exemplar::Value::AsDouble(7.25))],
        flags: 1,
        value: Some(number_data_point::Value::AsDouble(1.5)),
    };
    let sum = NumberDataPoint {
        attributes: vec![],
        start_time_unix_nano: 1002,
        time_unix_nano: 2002,
        exemplars: vec![],
        flags: 0,
        value: Some(number_data_point::Value::AsInt(9_007_199_254_740_993)),
    };
    let histogram = HistogramDataPoint {
        attributes: vec![pair("route", text("/order"))],
        start_time_unix_nano: 1003,
        time_unix_nano: 2003,
        count: 6,
        sum: Some(1.75),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.1, 1.0],
        exemplars: vec![exemplar(1503, exemplar::Value::AsDouble(0.25))],
        flags: 0,
        min: Some(0.05),
        max: Some(1.25),
    };
    let exponential = ExponentialHistogramDataPoint {
        attributes: vec![pair("route", text("/pay"))],
        start_time_unix_nano: 1004,
        time_unix_nano: 2004,
        count: 15,
        sum: Some(-2.5),
        scale: -3,
        zero_count: 4,
        positive: Some(Buckets { offset: -5, bucket_counts: vec![1, 300] }),
        negative: Some(Buckets { offset: 6, bucket_counts: vec![2, 0, 3] }),
        flags: 1,
        exemplars: vec![exemplar(1504, exemplar::Value::AsInt(3))],
        min: Some(-9.5),
        max: Some(8.5),
        zero_threshold: 0.001,
    };
    let summary = SummaryDataPoint {
        attributes: vec![pair("rpc", text("Pay"))],
        start_time_unix_nano: 1005,
        time_unix_nano: 2005,
        count: 40,
        sum: 12.5,
        quantile_values: vec![
            ValueAtQuantile { quantile: 0.5, value: 0.2 },
            ValueAtQuantile { quantile: 1.0, value: 3.0 },
        ],
        flags: 1,
    };
    let metric = |name: &str, unit: &str, data| Metric {
        name: name.into(),
        description: String::new(),
        unit: unit.into(),
        metadata: vec![],
        data: Some(data),
    };
    let full_metric = Metric {
        name: "queue.depth".into(),
        description: "Waiting orders".into(),
        unit: "{order}".into(),
        metadata: vec![pair("prometheus.type", text("gauge"))],
        data: Some(Data::Gauge(Gauge { data_points: vec![gauge] })),
    };
    let metrics = vec![
        full_metric,
        metric(
            "requests",
            "",
            Data::Sum(Sum { data_points: vec![sum], aggregation_temporality: 1, is_monotonic: true }),
        ),
        metric("latency", "s", Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 2 })),
        metric(
            "latency.exponential",
            "",
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![exponential],
                aggregation_temporality: 1,
            }),
        ),
        metric("rpc.time", "", Data::Summary(Summary { data_points: vec![summary] })),
    ];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: bare_resource(vec![pair("service.name", text("checkout"))]),
            scope_metrics: vec![ScopeMetrics { scope: bare_scope("meter"), metrics, schema_url: String::new() }],
            schema_url: String::new(),
        }],
    }
}

fn bare_origin(service: &str, resource: &str, scope: &str) -> Expected {
    Expected::default()
        .text("service_name", service)
        .text("resource_attributes", resource)
        .int("resource_dropped_attributes_count", 0)
        .text("scope_name", scope)
        .int("scope_dropped_attributes_count", 0)
        .int("received_time_unix_nano", RECEIVED)
}

/// A metric's own columns and its point's times.
fn point(name: &str, ty: &str, number: i64, flags: i64) -> Expected {
    Expected::default()
        .text("name", name)
        .text("type", ty)
        .int("start_time_unix_nano", 1000 + number)
        .int("time_unix_nano", 2000 + number)
        .int("flags", flags)
        .join(bare_origin("checkout", r#"{"service.name":"checkout"}"#, "meter"))
}

fn expected_points() -> Vec<Row> {
    let exemplar = |time: i64, value: f64| Expected::default().int("time_unix_nano", time).double("value", value);
    let full_exemplar = exemplar(1501, -7.0)
        .int("value_int", -7)
        .id("trace_id", &OTHER_TRACE_ID)
        .id("span_id", &OTHER_SPAN_ID)
        .text("filtered_attributes", r#"{"user":"u1"}"#);
    let quantile = |quantile, value| Expected::default().double("quantile", quantile).double("value", value).row();
    let gauge = point("queue.depth", "GAUGE", 1, 1)
        .text("unit", "{order}")
        .text("description", "Waiting orders")
        .text("metadata", r#"{"prometheus.type":"gauge"}"#)
        .text("attributes", r#"{"queue":"orders"}"#)
        .double("value", 1.5)
        .list("exemplars", vec![full_exemplar.row(), exemplar(1502, 7.25).row()]);
    let sum = point("requests", "SUM", 2, 0)
        .text("temporality", "DELTA")
        .bool("is_monotonic", true)
        .double("value", 9_007_199_254_740_992.0)
        .int("value_int", 9_007_199_254_740_993_i64);
    let histogram = point("latency", "HISTOGRAM", 3, 0)
        .text("unit", "s")
        .text("temporality", "CUMULATIVE")
        .text("attributes", r#"{"route":"/order"}"#)
        .int("count", 6)
        .double("sum", 1.75)
        .double("min", 0.05)
        .double("max", 1.25)
        .doubles("explicit_bounds", &[0.1, 1.0])
        .ints("bucket_counts", &[1, 2, 3])
        .list("exemplars", vec![exemplar(1503, 0.25).row()]);
    let exponential = point("latency.exponential", "EXPONENTIAL_HISTOGRAM", 4, 1)
        .text("temporality", "DELTA")
        .text("attributes", r#"{"route":"/pay"}"#)
        .int("count", 15)
        .double("sum", -2.5)
        .double("min", -9.5)
        .double("max", 8.5)
        .int("scale", -3)
        .int("zero_count", 4)
        .double("zero_threshold", 0.001)
        .int("positive_offset", -5)
        .ints("positive_counts", &[1, 300])
        .int("negative_offset", 6)
        .ints("negative_counts", &[2, 0, 3])
        .list("exemplars", vec![exemplar(1504, 3.0).int("value_int", 3).row()]);
    let summary = point("rpc.time", "SUMMARY", 5, 1)
        .text("attributes", r#"{"rpc":"Pay"}"#)
        .int("count", 40)
        .double("sum", 12.5)
        .list("quantiles", vec![quantile(0.5, 0.2), quantile(1.0, 3.0)]);
    [gauge, sum, histogram, exponential, summary].map(Expected::row).into()
}

#[test]
fn every_field_of_every_kind_of_point() {
    let decoded = metrics().decoded();
    assert_eq!(decoded.notes, [""; 0]);
    assert_rows(&decoded.rows, &expected_points());
    assert_eq!(oracle::points(&metrics()), expected_points());
}

#[test]
fn every_field_of_every_kind_of_point_in_json() {
    let decoded = decode_json(Signal::Metrics, include_bytes!("../../../../testdata/otlp/metrics.json").as_slice());
    let decoded = decoded.expect("valid");
    assert_eq!(decoded.notes, [""; 0]);
    assert_rows(&decoded.rows, &expected_points());
}

fn logs() -> ExportLogsServiceRequest {
    let full = LogRecord {
        time_unix_nano: 1_544_712_660_300_000_000,
        observed_time_unix_nano: 1_544_712_660_400_000_000,
        severity_number: 10,
        severity_text: "INFO2".into(),
        body: Some(wrapped(text("an order came"))),
        attributes: vec![pair("order.id", Value::IntValue(42))],
        dropped_attributes_count: 21,
        flags: 1,
        trace_id: TRACE_ID.into(),
        span_id: SPAN_ID.into(),
        event_name: "order.created".into(),
    };
    let structured = LogRecord {
        observed_time_unix_nano: 1_544_712_660_500_000_000,
        body: Some(wrapped(kvlist(vec![pair("items", array(vec![Value::IntValue(1)]))]))),
        ..LogRecord::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: bare_resource(vec![pair("host.name", text("node-7"))]),
            scope_logs: vec![ScopeLogs {
                scope: bare_scope("logger"),
                log_records: vec![full, structured],
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        }],
    }
}

fn expected_records() -> Vec<Row> {
    let origin = || {
        bare_origin("unknown_service", r#"{"host.name":"node-7"}"#, "logger")
            .text("instance_id", "node-7")
            .text("host_name", "node-7")
    };
    let full = Expected::default()
        .int("time_unix_nano", 1_544_712_660_300_000_000_i64)
        .int("observed_time_unix_nano", 1_544_712_660_400_000_000_i64)
        .id("trace_id", &TRACE_ID)
        .id("span_id", &SPAN_ID)
        .int("flags", 1)
        .int("severity_number", 10)
        .text("severity_text", "INFO2")
        .text("body", "an order came")
        .text("body_type", "text")
        .text("event_name", "order.created")
        .text("attributes", r#"{"order.id":42}"#)
        .int("dropped_attributes_count", 21)
        .join(origin());
    let structured = Expected::default()
        .int("time_unix_nano", 0)
        .int("observed_time_unix_nano", 1_544_712_660_500_000_000_i64)
        .int("flags", 0)
        .int("severity_number", 0)
        .text("body", r#"{"items":[1]}"#)
        .text("body_type", "json")
        .int("dropped_attributes_count", 0)
        .join(origin());
    vec![full.row(), structured.row()]
}

#[test]
fn every_field_of_a_log_record() {
    let decoded = logs().decoded();
    assert_eq!(decoded.notes, [""; 0]);
    assert_rows(&decoded.rows, &expected_records());
    assert_eq!(oracle::records(&logs()), expected_records());
}

#[test]
fn every_field_of_a_log_record_in_json() {
    let decoded = decode_json(Signal::Logs, include_bytes!("../../../../testdata/otlp/logs.json").as_slice());
    let decoded = decoded.expect("valid");
    assert_eq!(decoded.notes, [""; 0]);
    assert_rows(&decoded.rows, &expected_records());
}

/// A column that these requests leave empty would be a field that no test sees.
#[test]
fn the_requests_above_fill_every_column() {
    let full = [
        (Signal::Traces, vec![expected_span()]),
        (Signal::Metrics, expected_points()),
        (Signal::Logs, expected_records()),
    ];
    let promoted = |name: &str| PROMOTED_SPAN.iter().any(|promoted| promoted.column == name);
    for (signal, rows) in full {
        for field in schema(signal).fields() {
            let name = field.name().as_str();
            let of_traces = expected_span().contains_key(name) && signal != Signal::Traces;
            let filled = rows.iter().any(|row| row.contains_key(name));
            let elsewhere = ASSEMBLED.contains(&name) || name == "anomalies" || promoted(name) || of_traces;
            assert!(filled || elsewhere, "{} of {}", name, signal.table());
        }
    }
}
