//! The Rust SDK end to end: what SQL returns equals, row by row and with types, what the SDK says it sent.
//!
//! Once over gRPC with gzip and delta temporality, once over HTTP with protobuf and cumulative. (The SDKs of other
//! languages: `tests/sdk`.)

mod recorded;

use std::time::{Duration, SystemTime};

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::{
    Event, Link, Span, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider,
};
use opentelemetry::{Array, Context, InstrumentationScope, KeyValue};
use opentelemetry_otlp::{
    Compression, LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, PeriodicReader, SdkMeterProvider, Stream, Temporality};
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::{Value, json};

use crate::server::{Home, Server, http};
use recorded::{Recorder, Rows, Through};

#[test]
fn what_the_sdk_sent_is_what_sql_returns() {
    // The SDK's HTTP exporter makes a client of the kind that needs a choice of cryptography first.
    http();
    let server = Home::new().start();
    for way in [Way::GrpcGzip, Way::HttpProtobuf] {
        let resource = resource(way);
        send_and_compare_spans(&server, way, &resource);
        send_and_compare_logs(&server, way, &resource);
        send_and_compare_metrics(&server, way, &resource);
    }
    let home = server.stop();
    // The same after all of it went to files and was read by nobody but the folder's own reader.
    let counts =
        home.sql_on_folder("SELECT count(*), count(DISTINCT span_id), count(DISTINCT service_name) FROM spans");
    assert_eq!(counts, [["400", "400", "2"]]);
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    GrpcGzip,
    HttpProtobuf,
}

impl Way {
    fn service(self) -> &'static str {
        match self {
            Way::GrpcGzip => "sdk-grpc",
            Way::HttpProtobuf => "sdk-http",
        }
    }
}

fn resource(way: Way) -> Resource {
    let attributes = [
        KeyValue::new("service.name", way.service()),
        KeyValue::new("service.instance.id", "instance-1"),
        KeyValue::new("host.name", "host-7"),
        KeyValue::new("process.pid", 4711),
        KeyValue::new("ratio", 1.0),
    ];
    Resource::builder_empty().with_attributes(attributes).build()
}

/// The runtime that drives gRPC connections. The SDK's own threads do the rest.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

macro_rules! exporter {
    ($exporter:ident, $way:expr, $server:expr, $path:literal) => {
        match $way {
            Way::GrpcGzip => $exporter::builder()
                .with_tonic()
                .with_endpoint(format!("http://{}", $server.grpc))
                .with_compression(Compression::Gzip)
                .build(),
            Way::HttpProtobuf => $exporter::builder()
                .with_http()
                .with_endpoint(format!("http://{}{}", $server.http, $path))
                .with_protocol(Protocol::HttpBinary)
                .build(),
        }
    };
}

fn scope() -> InstrumentationScope {
    let attributes = [KeyValue::new("library.language", "rust"), KeyValue::new("library.beta", true)];
    InstrumentationScope::builder("it.sdk").with_version("1.2.3").with_attributes(attributes).build()
}

fn send_and_compare_spans(server: &Server, way: Way, resource: &Resource) {
    let runtime = runtime();
    let _inside = runtime.enter();
    let recorder = Recorder::new(resource);
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(recorder.clone())
        .with_batch_exporter(exporter!(SpanExporter, way, server, "/v1/traces").expect("an exporter"))
        .with_resource(resource.clone())
        .build();
    make_spans(&provider.tracer_with_scope(scope()));
    provider.shutdown_with_timeout(Duration::from_secs(60)).expect("every export was acknowledged");

    let sent = recorder.rows.take();
    assert_eq!(sent.len(), 200);
    let found = server.objects(&format!(
        "SELECT trace_id, span_id, parent_span_id, trace_state, flags, name, kind, start_time, end_time, duration_ns, \
         status_code, status_message, attributes, dropped_attributes_count, events, dropped_events_count, links, \
         dropped_links_count, scope_name, scope_version, scope_attributes, resource_attributes, service_name, \
         instance_id FROM spans WHERE service_name = '{}'",
        way.service()
    ));
    compare(&sent, found, |row| row["span_id"].to_string());
}

/// 40 traces of five spans, with every type of attribute, events, links, each kind and each status.
fn make_spans(tracer: &impl Tracer) {
    let kinds = [SpanKind::Server, SpanKind::Client, SpanKind::Internal, SpanKind::Producer, SpanKind::Consumer];
    for trace in 0..40u64 {
        let mut parent = remote_parent(trace);
        for (at, kind) in kinds.iter().enumerate() {
            let start = opentelemetry::time::now() - Duration::from_nanos(5_000_000_001 - at as u64 * 7);
            let mut builder = tracer.span_builder(format!("work {at}")).with_kind(kind.clone()).with_start_time(start);
            builder = builder.with_attributes(all_attributes(trace)).with_links(links(trace, at));
            let mut span = tracer.build_with_context(builder, &parent);
            decorate(&mut span, trace, at, start);
            parent = parent.with_remote_span_context(span.span_context().clone());
            span.end_with_timestamp(start + Duration::from_nanos(1_000 * trace + at as u64));
        }
    }
}

/// Every fourth trace began elsewhere.
fn remote_parent(trace: u64) -> Context {
    if !trace.is_multiple_of(4) {
        return Context::new();
    }
    let state = TraceState::from_key_value([("vendor", "a:b"), ("other", "7")]).expect("a valid state");
    let (trace_id, span_id) = (TraceId::from(u128::from(trace) + 1), SpanId::from(trace + 1));
    Context::new().with_remote_span_context(SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, true, state))
}

fn all_attributes(trace: u64) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("text", "väl\"ue\n\u{1F525}\u{0}"),
        KeyValue::new("empty", ""),
        KeyValue::new("yes", true),
        KeyValue::new("no", false),
        KeyValue::new("int", i64::MAX),
        KeyValue::new("int.least", i64::MIN),
        KeyValue::new("double", 200.0),
        KeyValue::new("double.small", 5e-324),
        KeyValue::new("double.huge", -1.797_693_134_862_315_7e308),
        KeyValue::new("double.nan", f64::NAN),
        KeyValue::new("double.infinite", f64::NEG_INFINITY),
        KeyValue::new("bools", opentelemetry::Value::Array(Array::Bool(vec![true, false]))),
        KeyValue::new("ints", opentelemetry::Value::Array(Array::I64(vec![1, -2, 9_007_199_254_740_993]))),
        KeyValue::new("doubles", opentelemetry::Value::Array(Array::F64(vec![1.0, 0.1, f64::INFINITY]))),
        KeyValue::new("texts", opentelemetry::Value::Array(Array::String(vec!["a".into(), "".into()]))),
        // These have columns of their own.
        KeyValue::new("http.route", "/order/{id}"),
        KeyValue::new("http.response.status_code", 503),
        KeyValue::new("server.port", "not a number"),
    ];
    if trace == 7 {
        // More than the SDK keeps.
        attributes.extend((0..150).map(|at| KeyValue::new(format!("many.{at}"), at)));
    }
    attributes
}

fn links(trace: u64, at: usize) -> Vec<Link> {
    let state = TraceState::from_key_value([("link", "1")]).expect("a valid state");
    let context = |remote| {
        let ids = (TraceId::from(u128::MAX - u128::from(trace)), SpanId::from(u64::MAX - trace));
        SpanContext::new(ids.0, ids.1, TraceFlags::SAMPLED, remote, state.clone())
    };
    (0..at).map(|n| Link::new(context(n == 0), vec![KeyValue::new("link.number", n as i64)], 0)).collect()
}

fn decorate(span: &mut impl Span, trace: u64, at: usize, start: SystemTime) {
    match at {
        1 => span.set_status(Status::Ok),
        2 => span.set_status(Status::error(format!("went wrong in {trace}"))),
        _ => {}
    }
    for number in 0..(at as u64) {
        let attributes = vec![KeyValue::new("event.number", number as i64), KeyValue::new("event.text", "ä")];
        span.add_event_with_timestamp(format!("step {number}"), start + Duration::from_nanos(number), attributes);
    }
    if trace == 9 {
        // More than the SDK keeps.
        let event = Event::with_name("again");
        (0..200).for_each(|_| span.add_event_with_timestamp(event.name.clone(), start, Vec::new()));
    }
}

fn send_and_compare_logs(server: &Server, way: Way, resource: &Resource) {
    let runtime = runtime();
    let _inside = runtime.enter();
    let recorder = Recorder::new(resource);
    let provider = SdkLoggerProvider::builder()
        .with_simple_exporter(recorder.clone())
        .with_batch_exporter(exporter!(LogExporter, way, server, "/v1/logs").expect("an exporter"))
        .with_resource(resource.clone())
        .build();
    make_logs(&provider.logger_with_scope(scope()));
    provider.shutdown_with_timeout(Duration::from_secs(60)).expect("every export was acknowledged");

    let sent = recorder.rows.take();
    assert_eq!(sent.len(), bodies().len());
    let found = server.objects(&format!(
        "SELECT time, observed_time, trace_id, span_id, severity_number, severity_text, event_name, body, body_type, \
         attributes, scope_name, scope_version, scope_attributes, resource_attributes, service_name, instance_id \
         FROM logs WHERE service_name = '{}'",
        way.service()
    ));
    let found = found.into_iter().map(with_body_read).collect();
    compare(&sent, found, |row| row["attributes"]["sequence"].to_string());
}

/// A body that was no string is JSON text, and `body_type` says so.
fn with_body_read(mut row: Value) -> Value {
    if row["body_type"] == "json" {
        let text = row["body"].as_str().expect("JSON text");
        row["body"] = json!({"json": serde_json::from_str::<Value>(text).expect("valid JSON")});
    }
    row.as_object_mut().expect("a row").remove("body_type");
    row
}

fn bodies() -> Vec<Option<AnyValue>> {
    let map = [("a", AnyValue::from(1)), ("b", AnyValue::from("x"))];
    vec![
        Some(AnyValue::from("a text")),
        Some(AnyValue::from("")),
        Some(AnyValue::from(42)),
        Some(AnyValue::from(42.0)),
        Some(AnyValue::from(true)),
        Some(AnyValue::from(recorded::BYTES.as_slice())),
        Some([AnyValue::from(1), AnyValue::from("two")].into_iter().collect()),
        Some(map.into_iter().collect()),
        None,
    ]
}

fn make_logs(logger: &impl Logger) {
    for (at, body) in bodies().into_iter().enumerate() {
        let mut record = logger.create_log_record();
        let now = opentelemetry::time::now();
        record.set_timestamp(now - Duration::from_nanos(1));
        record.set_observed_timestamp(now);
        if let Some(body) = body {
            record.set_body(body);
        }
        record.add_attribute("sequence", at as i64);
        record.add_attribute("nested", AnyValue::from_iter([("list", AnyValue::from_iter([1.5, 2.0]))]));
        if at % 2 == 0 {
            record.set_severity_number(Severity::Warn2);
            record.set_severity_text("WARN");
            record.set_event_name("order.placed");
            record.set_trace_context(TraceId::from(77u128), SpanId::from(5u64), Some(TraceFlags::SAMPLED));
        }
        logger.emit(record);
    }
}

fn send_and_compare_metrics(server: &Server, way: Way, resource: &Resource) {
    let runtime = runtime();
    let _inside = runtime.enter();
    let temporality = if way == Way::GrpcGzip { Temporality::Delta } else { Temporality::Cumulative };
    let exporter = match way {
        Way::GrpcGzip => MetricExporter::builder()
            .with_tonic()
            .with_endpoint(format!("http://{}", server.grpc))
            .with_compression(Compression::Gzip)
            .with_temporality(temporality)
            .build(),
        Way::HttpProtobuf => MetricExporter::builder()
            .with_http()
            .with_endpoint(format!("http://{}/v1/metrics", server.http))
            .with_protocol(Protocol::HttpBinary)
            .with_temporality(temporality)
            .build(),
    };
    let rows = Rows::default();
    let exporter = Through { rows: rows.clone(), exporter: exporter.expect("an exporter") };
    // Collected when told to, not by the clock.
    let reader = PeriodicReader::builder(exporter).with_interval(Duration::from_secs(3_600)).build();
    let provider =
        SdkMeterProvider::builder().with_reader(reader).with_view(exponential).with_resource(resource.clone()).build();
    let meter = provider.meter_with_scope(scope());
    observe(&meter);
    measure(&meter);
    provider.force_flush().expect("the first export was acknowledged");
    measure(&meter);
    provider.shutdown().expect("every export was acknowledged");

    let sent = rows.take();
    let found = server.objects(&format!(
        "SELECT name, type, unit, description, temporality, is_monotonic, start_time, time, value, value_int, count, \
         sum, min, max, explicit_bounds, bucket_counts, scale, zero_count, zero_threshold, positive_offset, \
         positive_counts, negative_offset, negative_counts, attributes, scope_name, scope_version, scope_attributes, \
         resource_attributes, service_name, instance_id FROM metrics WHERE service_name = '{}'",
        way.service()
    ));
    let types: std::collections::BTreeSet<_> = sent.iter().map(|row| row["type"].to_string()).collect();
    assert_eq!(types.len(), 4, "every type that this SDK has: {types:?}");
    compare(&sent, found, |row| format!("{} {} {}", row["name"], row["attributes"], row["time"]));
}

fn exponential(instrument: &Instrument) -> Option<Stream> {
    let wanted = instrument.name().starts_with("exponential");
    let aggregation = Aggregation::Base2ExponentialHistogram { max_size: 20, max_scale: 5, record_min_max: true };
    wanted.then(|| Stream::builder().with_aggregation(aggregation).build().expect("a valid stream"))
}

fn observe(meter: &Meter) {
    let on = |name: &'static str| [KeyValue::new("pool", name)];
    meter.u64_observable_counter("o.counter").with_callback(move |o| o.observe(12, &on("a"))).build();
    meter.f64_observable_gauge("o.gauge").with_callback(move |o| o.observe(0.25, &on("a"))).build();
    meter.i64_observable_up_down_counter("o.updown").with_callback(move |o| o.observe(-3, &on("b"))).build();
}

fn measure(meter: &Meter) {
    let (a, b) = ([KeyValue::new("route", "/a")], [KeyValue::new("route", "/b"), KeyValue::new("code", 200)]);
    let counter = meter.u64_counter("counter").with_unit("{order}").with_description("Orders.").build();
    counter.add(5, &a);
    counter.add(7, &b);
    meter.f64_counter("counter.f").with_unit("s").build().add(0.125, &a);
    meter.i64_up_down_counter("updown").build().add(-4, &a);
    meter.f64_up_down_counter("updown.f").build().add(-4.5, &[]);
    meter.u64_gauge("gauge.u").build().record(9_007_199_254_740_993, &a);
    meter.i64_gauge("gauge.i").build().record(-9, &a);
    meter.f64_gauge("gauge.f").build().record(1e-9, &b);
    let histogram = meter.f64_histogram("histogram").with_unit("ms").with_boundaries(vec![1.0, 10.0, 100.0]).build();
    let counts = meter.u64_histogram("histogram.u").build();
    let spread = meter.f64_histogram("exponential").build();
    for value in [0.0, 0.5, 3.0, 50.0, 5_000.0] {
        histogram.record(value, &a);
        counts.record(value as u64, &b);
        spread.record(value, &a);
        spread.record(-value, &b);
    }
}

/// Pairs rows by key and compares them. What OTLP cannot tell from nothing (empty text, empty lists, a count of zero
/// dropped things, the time 0) counts as nothing on both sides; attributes are compared as they are.
fn compare(sent: &[Value], found: Vec<Value>, key: impl Fn(&Value) -> String) {
    let found: Vec<Value> = found.into_iter().map(|row| bare(with_json_read(row))).collect();
    let sent: Vec<Value> = sent.iter().cloned().map(bare).collect();
    assert_eq!(found.len(), sent.len(), "number of rows");
    for row in &sent {
        let of_key: Vec<&Value> = found.iter().filter(|other| key(other) == key(row)).collect();
        let [other] = of_key.as_slice() else { panic!("{} rows for {}: {row:#}", of_key.len(), key(row)) };
        for (name, value) in row.as_object().into_iter().flatten() {
            assert_eq!(other[name], *value, "{name} of {}: {row:#}", key(row));
        }
        assert_eq!(other.as_object().map(|o| o.len()), row.as_object().map(|o| o.len()), "{other:#}\nsent {row:#}");
    }
}

/// JSON columns are text in an answer.
fn with_json_read(mut row: Value) -> Value {
    for (name, value) in row.as_object_mut().into_iter().flatten() {
        if let (true, Some(text)) = (name.ends_with("attributes"), value.as_str()) {
            *value = serde_json::from_str(text).expect("valid JSON");
        } else if matches!(name.as_str(), "events" | "links") {
            let items = value.as_array().into_iter().flatten().cloned();
            *value = items.map(with_json_read).collect();
        }
    }
    row
}

fn bare(row: Value) -> Value {
    let Value::Object(members) = row else { return row };
    let kept = members.into_iter().map(|(name, value)| match value {
        Value::Array(items) => (name, Value::Array(items.into_iter().map(bare).collect())),
        other => (name, other),
    });
    kept.filter(|(name, value)| {
        let zero = name.starts_with("dropped_") && *value == 0;
        let epoch = *value == "1970-01-01T00:00:00.000000000Z";
        let empty = *value == "" || *value == json!([]) || (name.ends_with("attributes") && *value == json!({}));
        !(zero || epoch || empty || value.is_null() || (name == "severity_number" && *value == 0))
    })
    .collect()
}
