//! What the SDK itself says it sent, as rows of SQL would show it: exporters that write down what they are given.
//!
//! The expected rows come from the SDK's own structures, not from the protobuf messages that its exporters make of
//! them, so an error in either is seen.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use opentelemetry::logs::AnyValue;
use opentelemetry::trace::{Status, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLogRecord};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, MetricData, ResourceMetrics,
};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use serde_json::{Map, Value, json};

/// Rows written down so far, shared with the exporter that adds to them.
#[derive(Debug, Clone, Default)]
pub struct Rows(Arc<Mutex<Vec<Value>>>);

impl Rows {
    fn add(&self, rows: impl IntoIterator<Item = Value>) {
        self.0.lock().expect("no exporter panicked").extend(rows);
    }

    pub fn take(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock().expect("no exporter panicked"))
    }
}

/// Writes down spans and log records, and what resource they have.
#[derive(Debug, Clone)]
pub struct Recorder {
    pub rows: Rows,
    resource: Value,
}

impl Recorder {
    pub fn new(resource: &Resource) -> Self {
        Recorder { rows: Rows::default(), resource: resource_attributes(resource) }
    }
}

impl SpanExporter for Recorder {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.rows.add(batch.iter().map(|span| span_row(span, &self.resource)));
        Ok(())
    }
}

impl LogExporter for Recorder {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.rows.add(batch.iter().map(|(record, scope)| log_row(record, scope, &self.resource)));
        Ok(())
    }
}

/// Writes down metrics on their way to another exporter: two readers would collect at different times.
#[derive(Debug)]
pub struct Through<E> {
    pub rows: Rows,
    pub exporter: E,
}

impl<E: PushMetricExporter> PushMetricExporter for Through<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.rows.add(metric_rows(metrics));
        self.exporter.export(metrics).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

fn rfc3339(at: SystemTime) -> String {
    DateTime::<Utc>::from(at).to_rfc3339_opts(SecondsFormat::Nanos, true)
}

fn float(value: f64) -> Value {
    match value {
        v if v.is_nan() => json!({"@double": "NaN"}),
        v if v.is_infinite() => json!({"@double": if v > 0.0 { "Infinity" } else { "-Infinity" }}),
        v => json!(v),
    }
}

fn attribute(value: &opentelemetry::Value) -> Value {
    match value {
        opentelemetry::Value::Bool(v) => json!(v),
        opentelemetry::Value::I64(v) => json!(v),
        opentelemetry::Value::F64(v) => float(*v),
        opentelemetry::Value::String(v) => json!(v.as_str()),
        opentelemetry::Value::Array(Array::Bool(vs)) => json!(vs),
        opentelemetry::Value::Array(Array::I64(vs)) => json!(vs),
        opentelemetry::Value::Array(Array::F64(vs)) => vs.iter().copied().map(float).collect(),
        opentelemetry::Value::Array(Array::String(vs)) => vs.iter().map(|v| json!(v.as_str())).collect(),
        other => panic!("a type of attribute that is new: {other:?}"),
    }
}

fn attributes<'a>(all: impl IntoIterator<Item = &'a KeyValue>) -> Value {
    Value::Object(all.into_iter().map(|kv| (kv.key.to_string(), attribute(&kv.value))).collect())
}

fn resource_attributes(resource: &Resource) -> Value {
    Value::Object(resource.iter().map(|(key, value)| (key.to_string(), attribute(value))).collect())
}

/// The bytes that the tests send in a log's body.
pub const BYTES: [u8; 4] = [0, 1, 254, 255];
const BYTES_IN_BASE64: &str = "AAH+/w==";

fn any(value: &AnyValue) -> Value {
    match value {
        AnyValue::Int(v) => json!(v),
        AnyValue::Double(v) => float(*v),
        AnyValue::String(v) => json!(v.as_str()),
        AnyValue::Boolean(v) => json!(v),
        AnyValue::Bytes(v) if v.as_slice() == BYTES => json!({"@bytes": BYTES_IN_BASE64}),
        AnyValue::ListAny(vs) => vs.iter().map(any).collect(),
        AnyValue::Map(map) => Value::Object(map.iter().map(|(key, value)| (key.to_string(), any(value))).collect()),
        other => panic!("a type of value that the tests do not send: {other:?}"),
    }
}

/// OTLP's flags: W3C trace flags, bit 8 says that bit 9 (is the other span remote?) means something.
fn flags(sampled: bool, remote: bool) -> u32 {
    u32::from(sampled) | 0x100 | if remote { 0x200 } else { 0 }
}

fn span_row(span: &SpanData, resource: &Value) -> Value {
    let context = &span.span_context;
    let (code, message) = match &span.status {
        Status::Unset => ("UNSET", ""),
        Status::Ok => ("OK", ""),
        Status::Error { description } => ("ERROR", description.as_ref()),
    };
    let event = |event: &opentelemetry::trace::Event| {
        json!({
            "time": rfc3339(event.timestamp),
            "name": event.name,
            "attributes": attributes(&event.attributes),
            "dropped_attributes_count": event.dropped_attributes_count,
        })
    };
    let link = |link: &opentelemetry::trace::Link| {
        let other = &link.span_context;
        json!({
            "trace_id": other.trace_id().to_string(),
            "span_id": other.span_id().to_string(),
            "trace_state": trace_state(other.trace_state()),
            "attributes": attributes(&link.attributes),
            "dropped_attributes_count": link.dropped_attributes_count,
            "flags": flags(other.is_sampled(), other.is_remote()),
        })
    };
    let duration = span.end_time.duration_since(span.start_time).unwrap_or_default();
    let parent = Some(span.parent_span_id).filter(|id| *id != opentelemetry::trace::SpanId::INVALID);
    let mut row = json!({
        "trace_id": context.trace_id().to_string(),
        "span_id": context.span_id().to_string(),
        "parent_span_id": parent.map(|id| id.to_string()),
        "trace_state": trace_state(context.trace_state()),
        "flags": flags(context.is_sampled(), span.parent_span_is_remote),
        "name": span.name,
        "kind": format!("{:?}", span.span_kind).to_uppercase(),
        "start_time": rfc3339(span.start_time),
        "end_time": rfc3339(span.end_time),
        "duration_ns": duration.as_nanos() as u64,
        "status_code": code,
        "status_message": message,
        "attributes": attributes(&span.attributes),
        "dropped_attributes_count": span.dropped_attributes_count,
        "events": span.events.iter().map(event).collect::<Vec<_>>(),
        "dropped_events_count": span.events.dropped_count,
        "links": span.links.iter().map(link).collect::<Vec<_>>(),
        "dropped_links_count": span.links.dropped_count,
    });
    origin(&mut row, &span.instrumentation_scope, None, resource);
    row
}

fn trace_state(state: &TraceState) -> String {
    state.header()
}

/// Resource and scope; a log's target takes the place of the scope's name.
fn origin(row: &mut Value, scope: &InstrumentationScope, target: Option<&str>, resource: &Value) {
    row["scope_name"] = json!(target.unwrap_or_else(|| scope.name()));
    row["scope_version"] = json!(scope.version());
    row["scope_attributes"] = attributes(scope.attributes());
    row["resource_attributes"] = resource.clone();
    row["service_name"] = resource["service.name"].clone();
    row["instance_id"] = resource["service.instance.id"].clone();
}

fn log_row(record: &SdkLogRecord, scope: &InstrumentationScope, resource: &Value) -> Value {
    let context = record.trace_context();
    let body = match record.body() {
        None => Value::Null,
        Some(AnyValue::String(text)) => json!(text.as_str()),
        // A body that is no text is JSON text.
        Some(other) => json!({ "json": any(other) }),
    };
    let attributes: Map<String, Value> = record.attributes_iter().map(|(k, v)| (k.to_string(), any(v))).collect();
    let mut row = json!({
        "time": record.timestamp().map(rfc3339),
        "observed_time": record.observed_timestamp().map(rfc3339),
        "trace_id": context.map(|c| c.trace_id.to_string()),
        "span_id": context.map(|c| c.span_id.to_string()),
        "severity_number": record.severity_number().map_or(0, |s| s as i32),
        "severity_text": record.severity_text(),
        "event_name": record.event_name(),
        "body": body,
        "attributes": attributes,
    });
    origin(&mut row, scope, record.target().map(AsRef::as_ref), resource);
    row
}

/// A measured number as the columns `value` and `value_int`, and as histograms sum it up.
trait Number: Copy + Debug {
    fn float(self) -> f64;
    fn int(self) -> Option<i64>;
}

impl Number for f64 {
    fn float(self) -> f64 {
        self
    }
    fn int(self) -> Option<i64> {
        None
    }
}

impl Number for i64 {
    fn float(self) -> f64 {
        self as f64
    }
    fn int(self) -> Option<i64> {
        Some(self)
    }
}

impl Number for u64 {
    fn float(self) -> f64 {
        self as f64
    }
    fn int(self) -> Option<i64> {
        i64::try_from(self).ok()
    }
}

fn metric_rows(metrics: &ResourceMetrics) -> Vec<Value> {
    let resource = resource_attributes(metrics.resource());
    let mut rows = Vec::new();
    for of_scope in metrics.scope_metrics() {
        for metric in of_scope.metrics() {
            let points = match metric.data() {
                AggregatedMetrics::F64(data) => points(data),
                AggregatedMetrics::I64(data) => points(data),
                AggregatedMetrics::U64(data) => points(data),
            };
            rows.extend(points.into_iter().map(|point| metric_row(metric, point, of_scope.scope(), &resource)));
        }
    }
    rows
}

fn metric_row(metric: &Metric, mut point: Value, scope: &InstrumentationScope, resource: &Value) -> Value {
    point["name"] = json!(metric.name());
    point["unit"] = json!(metric.unit());
    point["description"] = json!(metric.description());
    origin(&mut point, scope, None, resource);
    point
}

fn points<T: Number>(data: &MetricData<T>) -> Vec<Value> {
    let temporality = |t: Temporality| if t == Temporality::Delta { "DELTA" } else { "CUMULATIVE" };
    let number = |value: T| json!({"value": value.float(), "value_int": value.int()});
    match data {
        MetricData::Gauge(gauge) => {
            let common = json!({
                "type": "GAUGE",
                "start_time": gauge.start_time().map(rfc3339),
                "time": rfc3339(gauge.time()),
            });
            gauge.data_points().map(|p| joined(&common, number(p.value()), attributes(p.attributes()))).collect()
        }
        MetricData::Sum(sum) => {
            let common = json!({
                "type": "SUM",
                "temporality": temporality(sum.temporality()),
                "is_monotonic": sum.is_monotonic(),
                "start_time": rfc3339(sum.start_time()),
                "time": rfc3339(sum.time()),
            });
            sum.data_points().map(|p| joined(&common, number(p.value()), attributes(p.attributes()))).collect()
        }
        MetricData::Histogram(histogram) => {
            let common = json!({
                "type": "HISTOGRAM",
                "temporality": temporality(histogram.temporality()),
                "start_time": rfc3339(histogram.start_time()),
                "time": rfc3339(histogram.time()),
            });
            histogram.data_points().map(|p| joined(&common, buckets(p), attributes(p.attributes()))).collect()
        }
        MetricData::ExponentialHistogram(histogram) => {
            let common = json!({
                "type": "EXPONENTIAL_HISTOGRAM",
                "temporality": temporality(histogram.temporality()),
                "start_time": rfc3339(histogram.start_time()),
                "time": rfc3339(histogram.time()),
            });
            histogram.data_points().map(|p| joined(&common, exponential(p), attributes(p.attributes()))).collect()
        }
    }
}

fn joined(common: &Value, own: Value, attributes: Value) -> Value {
    let mut row = common.clone();
    for (key, value) in own.as_object().into_iter().flatten() {
        row[key] = value.clone();
    }
    row["attributes"] = attributes;
    row
}

fn buckets<T: Number>(point: &HistogramDataPoint<T>) -> Value {
    json!({
        "count": point.count(),
        "sum": point.sum().float(),
        "min": point.min().map(Number::float),
        "max": point.max().map(Number::float),
        "explicit_bounds": point.bounds().collect::<Vec<_>>(),
        "bucket_counts": point.bucket_counts().collect::<Vec<_>>(),
    })
}

fn exponential<T: Number>(point: &ExponentialHistogramDataPoint<T>) -> Value {
    json!({
        "count": point.count(),
        "sum": point.sum().float(),
        "min": point.min().map(Number::float),
        "max": point.max().map(Number::float),
        "scale": point.scale(),
        "zero_count": point.zero_count(),
        "zero_threshold": point.zero_threshold(),
        "positive_offset": point.positive_bucket().offset(),
        "positive_counts": point.positive_bucket().counts().collect::<Vec<_>>(),
        "negative_offset": point.negative_bucket().offset(),
        "negative_counts": point.negative_bucket().counts().collect::<Vec<_>>(),
    })
}
