//! `ExportMetricsServiceRequest` with a point of each kind.

use model::Signal;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, metric::Data,
    number_data_point,
};

use super::super::rows::{Expected, Row, assert_rows};
use super::super::{Request, decode_json, oracle, pair, text};
use super::{OTHER_SPAN_ID, OTHER_TRACE_ID, bare_origin, bare_resource, bare_scope};

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

pub(super) fn expected_points() -> Vec<Row> {
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
    let decoded = decode_json(Signal::Metrics, include_bytes!("../../../../../testdata/otlp/metrics.json").as_slice());
    let decoded = decoded.expect("valid");
    assert_eq!(decoded.notes, [""; 0]);
    assert_rows(&decoded.rows, &expected_points());
}
