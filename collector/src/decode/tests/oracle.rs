//! What the rows of a valid request must be, computed from `opentelemetry-proto`'s structs without any of our code
//! but the writers of scalars in `model::attr`.

use std::collections::BTreeMap;

use base64::Engine;
use model::attr;
use model::schema::{PROMOTED_RESOURCE, PROMOTED_SPAN, PromotedType};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, SummaryDataPoint, exemplar,
    metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;

use super::RECEIVED;
use super::rows::{Expected, Row};

pub(super) fn spans(request: &ExportTraceServiceRequest) -> Vec<Row> {
    let mut rows = Vec::new();
    for resource in &request.resource_spans {
        for scope in &resource.scope_spans {
            let origin = |row: Expected| {
                row.join(self::resource(resource.resource.as_ref(), &resource.schema_url))
                    .join(self::scope(scope.scope.as_ref(), &scope.schema_url))
            };
            rows.extend(scope.spans.iter().map(|span| origin(self::span(span)).row()));
        }
    }
    rows
}

pub(super) fn points(request: &ExportMetricsServiceRequest) -> Vec<Row> {
    let mut rows = Vec::new();
    for resource in &request.resource_metrics {
        for scope in &resource.scope_metrics {
            for metric in &scope.metrics {
                for point in metric_points(metric) {
                    let row = point
                        .join(self::resource(resource.resource.as_ref(), &resource.schema_url))
                        .join(self::scope(scope.scope.as_ref(), &scope.schema_url));
                    rows.push(row.row());
                }
            }
        }
    }
    rows
}

pub(super) fn records(request: &ExportLogsServiceRequest) -> Vec<Row> {
    let mut rows = Vec::new();
    for resource in &request.resource_logs {
        for scope in &resource.scope_logs {
            for record in &scope.log_records {
                let row = self::record(record)
                    .join(self::resource(resource.resource.as_ref(), &resource.schema_url))
                    .join(self::scope(scope.scope.as_ref(), &scope.schema_url));
                rows.push(row.row());
            }
        }
    }
    rows
}

fn find<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    attributes.iter().rfind(|pair| pair.key == key)?.value.as_ref()?.value.as_ref()
}

fn find_text(attributes: &[KeyValue], key: &str) -> Option<String> {
    match find(attributes, key) {
        Some(Value::StringValue(text)) => Some(text.clone()),
        _ => None,
    }
}

fn resource(resource: Option<&Resource>, schema_url: &str) -> Expected {
    let empty = Resource::default();
    let resource = resource.unwrap_or(&empty);
    let attributes = &resource.attributes;
    let named = |key| find_text(attributes, key).filter(|text| !text.is_empty());
    let instance = named("service.instance.id").or_else(|| named("k8s.pod.name")).or_else(|| named("host.name"));
    let mut row = Expected::default()
        .text("service_name", &named("service.name").unwrap_or("unknown_service".into()))
        .text_if("service_namespace", named("service.namespace"))
        .text_if("service_version", named("service.version"))
        .text_if("instance_id", instance)
        .text_if("resource_attributes", map(attributes))
        .int("resource_dropped_attributes_count", resource.dropped_attributes_count)
        .non_empty("resource_schema_url", schema_url)
        .int("received_time_unix_nano", RECEIVED);
    for promoted in PROMOTED_RESOURCE {
        row = row.text_if(promoted.column, find_text(attributes, promoted.key));
    }
    if !resource.entity_refs.is_empty() {
        let mut refs = Vec::new();
        for entity in &resource.entity_refs {
            let mut fields = Vec::new();
            let json = |value: &dyn erased::Json| value.json();
            if !entity.schema_url.is_empty() {
                fields.push(format!("\"schemaUrl\":{}", json(&entity.schema_url)));
            }
            if !entity.r#type.is_empty() {
                fields.push(format!("\"type\":{}", json(&entity.r#type)));
            }
            if !entity.id_keys.is_empty() {
                fields.push(format!("\"idKeys\":{}", json(&entity.id_keys)));
            }
            if !entity.description_keys.is_empty() {
                fields.push(format!("\"descriptionKeys\":{}", json(&entity.description_keys)));
            }
            refs.push(format!("{{{}}}", fields.join(",")));
        }
        row = row.text("resource_entity_refs", &format!("[{}]", refs.join(",")));
    }
    row
}

mod erased {
    /// serde_json's text of a value.
    pub(super) trait Json {
        fn json(&self) -> String;
    }

    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> String {
            serde_json::to_string(self).expect("text")
        }
    }
}

fn scope(scope: Option<&InstrumentationScope>, schema_url: &str) -> Expected {
    let empty = InstrumentationScope::default();
    let scope = scope.unwrap_or(&empty);
    Expected::default()
        .non_empty("scope_name", &scope.name)
        .non_empty("scope_version", &scope.version)
        .text_if("scope_attributes", map(&scope.attributes))
        .int("scope_dropped_attributes_count", scope.dropped_attributes_count)
        .non_empty("scope_schema_url", schema_url)
}

fn span(span: &Span) -> Expected {
    let status = span.status.clone().unwrap_or_default();
    let (start, end) = (span.start_time_unix_nano as i64, span.end_time_unix_nano as i64);
    let mut promoted = Expected::default();
    let mut rest = Vec::new();
    for pair in &span.attributes {
        let column = PROMOTED_SPAN.iter().find(|promoted| promoted.key == pair.key);
        match (column, pair.value.as_ref().and_then(|value| value.value.as_ref())) {
            (Some(column), Some(Value::StringValue(text))) if column.ty == PromotedType::Text => {
                promoted = promoted.text(column.column, text);
            }
            (Some(column), Some(Value::IntValue(value))) if column.ty == PromotedType::Int => {
                promoted = promoted.int(column.column, *value);
            }
            _ => rest.push(pair.clone()),
        }
    }
    let events = span.events.iter().map(|event| {
        Expected::default()
            .int("time_unix_nano", event.time_unix_nano as i64)
            .text("name", &event.name)
            .text_if("attributes", map(&event.attributes))
            .int("dropped_attributes_count", event.dropped_attributes_count)
            .row()
    });
    let links = span.links.iter().map(|link| {
        Expected::default()
            .id("trace_id", &link.trace_id)
            .id("span_id", &link.span_id)
            .non_empty("trace_state", &link.trace_state)
            .text_if("attributes", map(&link.attributes))
            .int("dropped_attributes_count", link.dropped_attributes_count)
            .int("flags", link.flags)
            .row()
    });
    Expected::default()
        .id("trace_id", &span.trace_id)
        .id("span_id", &span.span_id)
        .id("parent_span_id", &span.parent_span_id)
        .non_empty("trace_state", &span.trace_state)
        .int("flags", span.flags)
        .text("name", &span.name)
        .text("kind", span.kind().as_str_name().trim_start_matches("SPAN_KIND_"))
        .int("start_time_unix_nano", start)
        .int("end_time_unix_nano", end)
        .int("duration_ns", (end - start).max(0))
        .text("status_code", status.code().as_str_name().trim_start_matches("STATUS_CODE_"))
        .non_empty("status_message", &status.message)
        .text_if("attributes", map(&rest))
        .int("dropped_attributes_count", span.dropped_attributes_count)
        .list("events", events.collect())
        .int("dropped_events_count", span.dropped_events_count)
        .list("links", links.collect())
        .int("dropped_links_count", span.dropped_links_count)
        .text_if("anomalies", (end < start).then(|| "time_inverted".into()))
        .join(promoted)
}

fn metric_points(metric: &Metric) -> Vec<Expected> {
    let shared = |kind: &str| {
        Expected::default()
            .text("name", &metric.name)
            .text("type", kind)
            .non_empty("unit", &metric.unit)
            .non_empty("description", &metric.description)
            .text_if("metadata", map(&metric.metadata))
    };
    let temporality = |name: &str| name.trim_start_matches("AGGREGATION_TEMPORALITY_").to_owned();
    match &metric.data {
        None => Vec::new(),
        Some(Data::Gauge(data)) => data.data_points.iter().map(|p| number(p).join(shared("GAUGE"))).collect(),
        Some(Data::Sum(data)) => {
            let shared = || {
                shared("SUM")
                    .text("temporality", &temporality(data.aggregation_temporality().as_str_name()))
                    .bool("is_monotonic", data.is_monotonic)
            };
            data.data_points.iter().map(|point| number(point).join(shared())).collect()
        }
        Some(Data::Histogram(data)) => {
            let name = temporality(data.aggregation_temporality().as_str_name());
            let shared = || shared("HISTOGRAM").text("temporality", &name);
            data.data_points.iter().map(|point| histogram(point).join(shared())).collect()
        }
        Some(Data::ExponentialHistogram(data)) => {
            let name = temporality(data.aggregation_temporality().as_str_name());
            let shared = || shared("EXPONENTIAL_HISTOGRAM").text("temporality", &name);
            data.data_points.iter().map(|point| exponential(point).join(shared())).collect()
        }
        Some(Data::Summary(data)) => data.data_points.iter().map(|p| summary(p).join(shared("SUMMARY"))).collect(),
    }
}

fn number(point: &NumberDataPoint) -> Expected {
    let row = times(point.start_time_unix_nano, point.time_unix_nano, point.flags, &point.attributes)
        .list("exemplars", exemplars(&point.exemplars));
    match point.value {
        Some(number_data_point::Value::AsDouble(value)) => row.double("value", value),
        Some(number_data_point::Value::AsInt(value)) => row.double("value", value as f64).int("value_int", value),
        None => row,
    }
}

fn histogram(point: &HistogramDataPoint) -> Expected {
    times(point.start_time_unix_nano, point.time_unix_nano, point.flags, &point.attributes)
        .int("count", point.count as i64)
        .double_if("sum", point.sum)
        .double_if("min", point.min)
        .double_if("max", point.max)
        .doubles("explicit_bounds", &point.explicit_bounds)
        .ints("bucket_counts", &ints(&point.bucket_counts))
        .list("exemplars", exemplars(&point.exemplars))
}

fn exponential(point: &ExponentialHistogramDataPoint) -> Expected {
    let mut row = times(point.start_time_unix_nano, point.time_unix_nano, point.flags, &point.attributes)
        .int("count", point.count as i64)
        .double_if("sum", point.sum)
        .double_if("min", point.min)
        .double_if("max", point.max)
        .int("scale", point.scale)
        .int("zero_count", point.zero_count as i64)
        .double("zero_threshold", point.zero_threshold)
        .list("exemplars", exemplars(&point.exemplars));
    if let Some(buckets) = &point.positive {
        row = row.int("positive_offset", buckets.offset).ints("positive_counts", &ints(&buckets.bucket_counts));
    }
    if let Some(buckets) = &point.negative {
        row = row.int("negative_offset", buckets.offset).ints("negative_counts", &ints(&buckets.bucket_counts));
    }
    row
}

fn summary(point: &SummaryDataPoint) -> Expected {
    let quantiles = point
        .quantile_values
        .iter()
        .map(|value| Expected::default().double("quantile", value.quantile).double("value", value.value).row());
    times(point.start_time_unix_nano, point.time_unix_nano, point.flags, &point.attributes)
        .int("count", point.count as i64)
        .double("sum", point.sum)
        .list("quantiles", quantiles.collect())
}

fn ints(values: &[u64]) -> Vec<i64> {
    values.iter().map(|value| *value as i64).collect()
}

fn times(start: u64, time: u64, flags: u32, attributes: &[KeyValue]) -> Expected {
    Expected::default()
        .int("start_time_unix_nano", start as i64)
        .int("time_unix_nano", time as i64)
        .int("flags", flags)
        .text_if("attributes", map(attributes))
}

fn exemplars(exemplars: &[Exemplar]) -> Vec<Row> {
    let one = |exemplar: &Exemplar| {
        let row = Expected::default()
            .int("time_unix_nano", exemplar.time_unix_nano as i64)
            .id("trace_id", &exemplar.trace_id)
            .id("span_id", &exemplar.span_id)
            .text_if("filtered_attributes", map(&exemplar.filtered_attributes));
        match exemplar.value {
            Some(exemplar::Value::AsDouble(value)) => row.double("value", value).row(),
            Some(exemplar::Value::AsInt(value)) => row.double("value", value as f64).int("value_int", value).row(),
            None => row.row(),
        }
    };
    exemplars.iter().map(one).collect()
}

fn record(record: &LogRecord) -> Expected {
    let body = record.body.as_ref().and_then(|body| body.value.as_ref());
    let row = match body {
        None => Expected::default(),
        Some(Value::StringValue(text)) => Expected::default().text("body", text).text("body_type", "text"),
        Some(_) => {
            let mut json = String::new();
            value(&mut json, record.body.as_ref());
            Expected::default().text("body", &json).text("body_type", "json")
        }
    };
    row.int("time_unix_nano", record.time_unix_nano as i64)
        .int("observed_time_unix_nano", record.observed_time_unix_nano as i64)
        .id("trace_id", &record.trace_id)
        .id("span_id", &record.span_id)
        .int("flags", record.flags)
        .int("severity_number", record.severity_number)
        .non_empty("severity_text", &record.severity_text)
        .non_empty("event_name", &record.event_name)
        .text_if("attributes", map(&record.attributes))
        .int("dropped_attributes_count", record.dropped_attributes_count)
}

/// Attributes as JSON text; `None` when there are none.
fn map(attributes: &[KeyValue]) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut out = String::new();
    pairs(&mut out, attributes);
    Some(out)
}

fn pairs(out: &mut String, attributes: &[KeyValue]) {
    let last: BTreeMap<&str, usize> =
        attributes.iter().enumerate().map(|(index, pair)| (pair.key.as_str(), index)).collect();
    let kept = attributes.iter().enumerate().filter(|(index, pair)| last[pair.key.as_str()] == *index);
    out.push('{');
    for (position, (_, pair)) in kept.enumerate() {
        if position > 0 {
            out.push(',');
        }
        attr::write_string(out, &pair.key);
        out.push(':');
        value(out, pair.value.as_ref());
    }
    out.push('}');
}

fn value(out: &mut String, any: Option<&AnyValue>) {
    match any.and_then(|any| any.value.as_ref()) {
        None | Some(Value::StringValueStrindex(_)) => out.push_str("null"),
        Some(Value::StringValue(text)) => attr::write_string(out, text),
        Some(Value::BoolValue(value)) => out.push_str(&value.to_string()),
        Some(Value::IntValue(value)) => attr::write_int(out, *value),
        Some(Value::DoubleValue(value)) => attr::write_double(out, *value),
        Some(Value::BytesValue(bytes)) => {
            let text = base64::engine::general_purpose::STANDARD.encode(bytes);
            out.push_str(&format!("{{\"@bytes\":\"{text}\"}}"));
        }
        Some(Value::ArrayValue(array)) => {
            out.push('[');
            for (index, element) in array.values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                value(out, Some(element));
            }
            out.push(']');
        }
        Some(Value::KvlistValue(list)) => {
            let mut keys: Vec<&str> = list.values.iter().map(|pair| pair.key.as_str()).collect();
            keys.dedup();
            let marker = |key: &str| {
                let word = key.trim_start_matches('@');
                word.len() < key.len() && (word == "bytes" || word == "double")
            };
            let start = out.len();
            pairs(out, &list.values);
            if let [only] = keys.as_slice()
                && marker(only)
            {
                out.insert(start + 2, '@');
            }
        }
    }
}
