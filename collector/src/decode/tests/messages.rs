//! Random valid requests.

use std::collections::BTreeSet;

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
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{array, kvlist, pair, wrapped};

const NANOS: std::ops::Range<u64> = 0..i64::MAX as u64;

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-z.]{1,20}",
        "\\PC{0,30}",
        "[\"\\\\\n\t\u{0}\u{1f} x中🦀]{0,20}",
        Just("@bytes".to_owned()),
        Just("@@double".to_owned()),
    ]
}

fn keys() -> impl Strategy<Value = String> {
    let promoted = prop::sample::select(model::schema::PROMOTED_SPAN).prop_map(|promoted| promoted.key.to_owned());
    let resource = prop::sample::select(vec!["service.name", "service.instance.id", "host.name", "k8s.pod.name"]);
    prop_oneof![words(), promoted, resource.prop_map(str::to_owned)]
}

fn values() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        4 => words().prop_map(Value::StringValue),
        2 => any_int().prop_map(Value::IntValue),
        1 => any::<bool>().prop_map(Value::BoolValue),
        1 => any::<f64>().prop_map(Value::DoubleValue),
        1 => vec(any::<u8>(), 0..20).prop_map(Value::BytesValue),
    ];
    scalar.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(array),
            vec((words(), inner), 0..4).prop_map(|pairs| kvlist(distinct(pairs.into_iter().map(some).collect()))),
        ]
    })
}

/// A double without presence: prost does not send -0.0.
fn plain_double() -> impl Strategy<Value = f64> {
    any::<f64>().prop_map(|value| value + 0.0)
}

fn any_int() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -1000i64..1000]
}

fn some((key, value): (String, Value)) -> KeyValue {
    pair(&key, value)
}

/// Valid OTLP never repeats a key.
fn distinct(pairs: Vec<KeyValue>) -> Vec<KeyValue> {
    let mut seen = BTreeSet::new();
    pairs.into_iter().filter(|pair| seen.insert(pair.key.clone())).collect()
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let pair = (keys(), option::weighted(0.9, values())).prop_map(|(key, value)| KeyValue {
        key,
        value: value.map(wrapped),
        ..KeyValue::default()
    });
    let empty = keys().prop_map(|key| KeyValue { key, value: Some(AnyValue { value: None }), ..KeyValue::default() });
    vec(prop_oneof![9 => pair, 1 => empty], 0..8).prop_map(distinct)
}

fn id(len: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(1u8.., len)
}

fn maybe_id(len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), id(len)]
}

fn resource() -> impl Strategy<Value = Option<Resource>> {
    let entity = (words(), words(), vec(words(), 0..3), vec(words(), 0..3)).prop_map(
        |(schema_url, r#type, id_keys, description_keys)| EntityRef { schema_url, r#type, id_keys, description_keys },
    );
    option::of((attributes(), any::<u32>(), vec(entity, 0..3)).prop_map(
        |(attributes, dropped_attributes_count, entity_refs)| Resource {
            attributes,
            dropped_attributes_count,
            entity_refs,
        },
    ))
}

fn scope() -> impl Strategy<Value = Option<InstrumentationScope>> {
    option::of((words(), words(), attributes(), any::<u32>()).prop_map(
        |(name, version, attributes, dropped_attributes_count)| InstrumentationScope {
            name,
            version,
            attributes,
            dropped_attributes_count,
        },
    ))
}

pub(super) fn span() -> impl Strategy<Value = Span> {
    let event = (NANOS, words(), attributes(), any::<u32>()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    );
    let link = (id(16), id(8), words(), attributes(), any::<(u32, u32)>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, (dropped_attributes_count, flags))| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count,
            flags,
        },
    );
    let ids = (id(16), id(8), maybe_id(8));
    let texts = (words(), words(), 0..6, option::of((words(), 0..3)));
    let lists = (attributes(), vec(event, 0..3), vec(link, 0..3));
    (ids, texts, (NANOS, NANOS), lists, any::<[u32; 4]>()).prop_map(
        |(
            (trace_id, span_id, parent_span_id),
            (trace_state, name, kind, status),
            times,
            (attributes, events, links),
            counts,
        )| Span {
            trace_id,
            span_id,
            trace_state,
            parent_span_id,
            flags: counts[0],
            name,
            kind,
            start_time_unix_nano: times.0,
            end_time_unix_nano: times.1,
            attributes,
            dropped_attributes_count: counts[1],
            events,
            dropped_events_count: counts[2],
            links,
            dropped_links_count: counts[3],
            status: status.map(|(message, code)| Status { message, code }),
        },
    )
}

pub(super) fn traces() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope_spans = (scope(), vec(span(), 0..4), words()).prop_map(|(scope, spans, schema_url)| ScopeSpans {
        scope,
        spans,
        schema_url,
    });
    let resource_spans = (resource(), vec(scope_spans, 0..3), words())
        .prop_map(|(resource, scope_spans, schema_url)| ResourceSpans { resource, scope_spans, schema_url });
    vec(resource_spans, 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

fn exemplars() -> impl Strategy<Value = Vec<Exemplar>> {
    let value =
        prop_oneof![any::<f64>().prop_map(exemplar::Value::AsDouble), any::<i64>().prop_map(exemplar::Value::AsInt)];
    let exemplar = (attributes(), NANOS, maybe_id(8), maybe_id(16), option::of(value)).prop_map(
        |(filtered_attributes, time_unix_nano, span_id, trace_id, value)| Exemplar {
            filtered_attributes,
            time_unix_nano,
            span_id,
            trace_id,
            value,
        },
    );
    vec(exemplar, 0..3)
}

fn number_point() -> impl Strategy<Value = NumberDataPoint> {
    let value = prop_oneof![
        any::<f64>().prop_map(number_data_point::Value::AsDouble),
        any::<i64>().prop_map(number_data_point::Value::AsInt)
    ];
    (attributes(), (NANOS, NANOS), exemplars(), any::<u32>(), option::of(value)).prop_map(
        |(attributes, times, exemplars, flags, value)| NumberDataPoint {
            attributes,
            start_time_unix_nano: times.0,
            time_unix_nano: times.1,
            exemplars,
            flags,
            value,
        },
    )
}

fn histogram_point() -> impl Strategy<Value = HistogramDataPoint> {
    let buckets = (vec(NANOS, 0..5), vec(any::<f64>(), 0..5));
    (attributes(), (NANOS, NANOS, NANOS), any::<[Option<f64>; 3]>(), buckets, exemplars(), any::<u32>()).prop_map(
        |(attributes, times, [sum, min, max], (bucket_counts, explicit_bounds), exemplars, flags)| HistogramDataPoint {
            attributes,
            start_time_unix_nano: times.0,
            time_unix_nano: times.1,
            count: times.2,
            sum,
            bucket_counts,
            explicit_bounds,
            exemplars,
            flags,
            min,
            max,
        },
    )
}

fn exponential_point() -> impl Strategy<Value = ExponentialHistogramDataPoint> {
    let buckets = || {
        option::of(
            (any::<i32>(), vec(NANOS, 0..5)).prop_map(|(offset, bucket_counts)| Buckets { offset, bucket_counts }),
        )
    };
    let doubles = (any::<[Option<f64>; 3]>(), plain_double());
    let parts = (attributes(), exemplars(), buckets(), buckets());
    (parts, (NANOS, NANOS, NANOS, NANOS), doubles, any::<(i32, u32)>()).prop_map(
        |((attributes, exemplars, positive, negative), counts, ([sum, min, max], zero_threshold), (scale, flags))| {
            ExponentialHistogramDataPoint {
                attributes,
                start_time_unix_nano: counts.0,
                time_unix_nano: counts.1,
                count: counts.2,
                sum,
                scale,
                zero_count: counts.3,
                positive,
                negative,
                flags,
                exemplars,
                min,
                max,
                zero_threshold,
            }
        },
    )
}

fn summary_point() -> impl Strategy<Value = SummaryDataPoint> {
    let quantile = (plain_double(), plain_double()).prop_map(|(quantile, value)| ValueAtQuantile { quantile, value });
    (attributes(), (NANOS, NANOS, NANOS), plain_double(), vec(quantile, 0..4), any::<u32>()).prop_map(
        |(attributes, times, sum, quantile_values, flags)| SummaryDataPoint {
            attributes,
            start_time_unix_nano: times.0,
            time_unix_nano: times.1,
            count: times.2,
            sum,
            quantile_values,
            flags,
        },
    )
}

pub(super) fn metrics() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let data = prop_oneof![
        vec(number_point(), 0..4).prop_map(|data_points| Data::Gauge(Gauge { data_points })),
        (vec(number_point(), 0..4), 0..3, any::<bool>()).prop_map(|(data_points, aggregation_temporality, m)| {
            Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic: m })
        }),
        (vec(histogram_point(), 0..4), 0..3).prop_map(|(data_points, aggregation_temporality)| Data::Histogram(
            Histogram { data_points, aggregation_temporality }
        )),
        (vec(exponential_point(), 0..4), 0..3).prop_map(|(data_points, aggregation_temporality)| {
            Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality })
        }),
        vec(summary_point(), 0..4).prop_map(|data_points| Data::Summary(Summary { data_points })),
    ];
    let metric = ((words(), words(), words()), attributes(), option::weighted(0.9, data))
        .prop_map(|((name, description, unit), metadata, data)| Metric { name, description, unit, metadata, data });
    let scope_metrics = (scope(), vec(metric, 0..4), words()).prop_map(|(scope, metrics, schema_url)| ScopeMetrics {
        scope,
        metrics,
        schema_url,
    });
    let resource_metrics = (resource(), vec(scope_metrics, 0..3), words())
        .prop_map(|(resource, scope_metrics, schema_url)| ResourceMetrics { resource, scope_metrics, schema_url });
    vec(resource_metrics, 0..3).prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics })
}

pub(super) fn logs() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let ids = (maybe_id(16), maybe_id(8));
    let texts = (words(), words(), 0..25);
    let record = (ids, (NANOS, NANOS), texts, option::of(values()), attributes(), any::<(u32, u32)>()).prop_map(
        |((trace_id, span_id), times, (severity_text, event_name, severity_number), body, attributes, counts)| {
            LogRecord {
                time_unix_nano: times.0,
                observed_time_unix_nano: times.1,
                severity_number,
                severity_text,
                body: body.map(wrapped),
                attributes,
                dropped_attributes_count: counts.0,
                flags: counts.1,
                trace_id,
                span_id,
                event_name,
            }
        },
    );
    let scope_logs = (scope(), vec(record, 0..4), words()).prop_map(|(scope, log_records, schema_url)| ScopeLogs {
        scope,
        log_records,
        schema_url,
    });
    let resource_logs = (resource(), vec(scope_logs, 0..3), words())
        .prop_map(|(resource, scope_logs, schema_url)| ResourceLogs { resource, scope_logs, schema_url });
    vec(resource_logs, 0..3).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}
