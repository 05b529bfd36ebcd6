//! Data points and log records.

use model::{Decoder, Format, Kind, Signal};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric::Data,
};

use super::super::rows::{Cell, Expected, Row, rows, text as cell_text};
use super::super::{Request, decode_wire, delimited, payload};
use crate::decode::{Limits, OtlpDecoder};

#[test]
fn counts_beyond_int64_saturate() {
    let point = HistogramDataPoint { count: u64::MAX, bucket_counts: vec![1, u64::MAX], ..Default::default() };
    let data = Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality: 7 });
    let metric = Metric { name: "m".into(), data: Some(data), ..Metric::default() };
    let row = &rows(&metrics(vec![metric]).decoded().rows)[0];
    assert_eq!(row["count"], Cell::Int(i64::MAX));
    assert_eq!(cell_text(row, "anomalies"), Some("unknown_enum,saturated"));
    assert_eq!(cell_text(row, "temporality"), Some("UNSPECIFIED"));
}

fn metrics(metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }],
    }
}

#[test]
fn a_bad_point_costs_only_itself() {
    let point = |time_unix_nano| NumberDataPoint { time_unix_nano, ..NumberDataPoint::default() };
    let data_points = vec![point(1), point(u64::MAX), point(3)];
    let data = Data::Sum(Sum { data_points, aggregation_temporality: 2, is_monotonic: false });
    let decoded = metrics(vec![Metric { name: "m".into(), data: Some(data), ..Metric::default() }]).decoded();
    assert_eq!((decoded.rows.num_rows(), decoded.reasons), (2, vec![("time_out_of_range", 1)]));
    assert!(rows(&decoded.rows).iter().all(|row| cell_text(row, "name") == Some("m")));
}

#[test]
fn unpacked_bucket_counts_are_read_too() {
    // HistogramDataPoint: bucket_counts (6) one by one, explicit_bounds (7) packed and then one more.
    let mut point = Vec::new();
    for count in [1u64, 2] {
        point.push(6 << 3 | 1);
        point.extend_from_slice(&count.to_le_bytes());
    }
    point = delimited(point, 7, &0.5f64.to_le_bytes());
    point.push(7 << 3 | 1);
    point.extend_from_slice(&1.5f64.to_le_bytes());
    let metric = delimited(delimited(Vec::new(), 1, b"m"), 9, &delimited(Vec::new(), 1, &point));
    let body = delimited(Vec::new(), 1, &delimited(Vec::new(), 2, &delimited(Vec::new(), 2, &metric)));
    let decoded = decode_wire(Signal::Metrics, body).expect("valid");
    let expected = Expected::default().ints("counts", &[1, 2]).doubles("bounds", &[0.5, 1.5]).row();
    let row = &rows(&decoded.rows)[0];
    assert_eq!(row["bucket_counts"], expected["counts"]);
    assert_eq!(row["explicit_bounds"], expected["bounds"]);
}

#[test]
fn odd_ids_of_a_log_record_are_left_out() {
    let record = LogRecord { trace_id: vec![1; 3], span_id: vec![0; 8], severity_number: 99, ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    let request =
        ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] };
    let decoded = request.decoded();
    let row = &rows(&decoded.rows)[0];
    assert_eq!(cell_text(row, "anomalies"), Some("bad_trace_id,unknown_enum"));
    assert_eq!(row["severity_number"], Cell::Int(99));
    assert!(!row.contains_key("trace_id") && !row.contains_key("span_id") && !row.contains_key("body"));
}

#[test]
fn a_point_with_too_many_buckets_is_rejected() {
    let point = |buckets| HistogramDataPoint { bucket_counts: vec![1; buckets], ..Default::default() };
    let data_points = vec![point(65_536), point(65_537)];
    let data = Data::Histogram(Histogram { data_points, aggregation_temporality: 1 });
    let decoded = metrics(vec![Metric { name: "m".into(), data: Some(data), ..Metric::default() }]).decoded();
    assert_eq!((decoded.rows.num_rows(), decoded.reasons), (1, vec![("too_many_buckets", 1)]));
}

#[test]
fn of_several_kinds_of_data_the_last_wins_and_one_kind_is_merged() {
    let gauge = |value: u8| {
        let point = delimited(Vec::new(), 1, &[&[0x31, value][..], &[0; 7]].concat());
        delimited(Vec::new(), 5, &point)
    };
    let sum = delimited(Vec::new(), 7, &delimited(Vec::new(), 1, &[]));
    let rows_of = |fields: &[&[u8]]| {
        let metric = delimited(Vec::new(), 2, &fields.concat());
        let body = delimited(Vec::new(), 1, &delimited(Vec::new(), 2, &metric));
        rows(&decode_wire(Signal::Metrics, body).expect("valid").rows)
    };
    let values = |rows: &[Row]| rows.iter().map(|row| row.get("value_int").cloned()).collect::<Vec<_>>();
    let merged = rows_of(&[&gauge(1), &gauge(2)]);
    assert_eq!(values(&merged), [Some(Cell::Int(1)), Some(Cell::Int(2))]);
    let last = rows_of(&[&gauge(1), &sum, &gauge(3)]);
    assert_eq!((values(&last), cell_text(&last[0], "type")), (vec![Some(Cell::Int(3))], Some("GAUGE")));
}

/// Two bytes for an empty point become hundreds in memory, and all of them may be in one metric.
#[test]
fn a_metric_of_very_many_points_is_too_large_before_it_is_read_to_its_end() {
    let limits = Limits { max_elements: 400, ..Limits::default() };
    let decode = |points: usize| {
        let gauge = delimited(Vec::new(), 5, &[0x0a, 0x00].repeat(points));
        let metric = delimited(Vec::new(), 2, &gauge);
        let body = delimited(Vec::new(), 1, &delimited(Vec::new(), 2, &metric));
        OtlpDecoder::new(limits).decode(&payload(Signal::Metrics, Format::Protobuf, body))
    };
    assert_eq!(decode(100).expect("a point counts as four").rows.num_rows(), 100);
    for points in [101, 5_000_000] {
        assert_eq!(decode(points).expect_err("more than 400").kind, Kind::TooLarge, "{points}");
    }
}
