//! Decoding of exports: protobuf and JSON of the three signals, and compression.
//!
//! What must hold for any bytes: an answer that a client may not repeat, rows in the schema, every left-out row
//! counted, attributes that are JSON, no more memory than a multiple of the body, the same rows when decoded again.
//! And what the types of `opentelemetry-proto` can read, we must read too, with as many rows.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use bytes::Bytes;
use collector::decode::{Limits, OtlpDecoder};
use model::{Decoded, Decoder, Encoding, Format, Kind, Payload, Signal, Tenant, schema};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use prost::Message;

/// Small, so that cutting and refusing are within a fuzzer's reach.
const LIMITS: Limits = Limits {
    max_decoded_bytes: 256 << 10,
    max_value_bytes: 256,
    max_attributes: 16,
    max_depth: 8,
    max_list: 16,
    max_buckets: 64,
    max_elements: 16 << 10,
};

/// Most memory of a request's columns: what they take when empty, and a multiple of the body.
const COLUMNS: usize = 256 << 10;
const BYTES_PER_BYTE: usize = 400;

pub fn traces_protobuf(data: &[u8]) {
    let decoded = decode(Signal::Traces, Format::Protobuf, Encoding::Identity, data);
    if let Ok(request) = ExportTraceServiceRequest::decode(data) {
        same_count(decoded.as_ref(), spans(&request));
    }
}

pub fn metrics_protobuf(data: &[u8]) {
    let decoded = decode(Signal::Metrics, Format::Protobuf, Encoding::Identity, data);
    if let Ok(request) = ExportMetricsServiceRequest::decode(data) {
        same_count(decoded.as_ref(), points(&request));
    }
}

pub fn logs_protobuf(data: &[u8]) {
    let decoded = decode(Signal::Logs, Format::Protobuf, Encoding::Identity, data);
    if let Ok(request) = ExportLogsServiceRequest::decode(data) {
        same_count(decoded.as_ref(), records(&request));
    }
}

pub fn traces_json(data: &[u8]) {
    let decoded = decode(Signal::Traces, Format::Json, Encoding::Identity, data);
    if let Ok(request) = serde_json::from_slice::<ExportTraceServiceRequest>(data) {
        same_count(decoded.as_ref(), spans(&request));
    }
}

pub fn metrics_json(data: &[u8]) {
    decode(Signal::Metrics, Format::Json, Encoding::Identity, data);
}

pub fn logs_json(data: &[u8]) {
    let decoded = decode(Signal::Logs, Format::Json, Encoding::Identity, data);
    if let Ok(request) = serde_json::from_slice::<ExportLogsServiceRequest>(data) {
        same_count(decoded.as_ref(), records(&request));
    }
}

/// The first byte chooses the compression, the second the format.
pub fn compression(data: &[u8]) {
    let [encoding, format, body @ ..] = data else { return };
    let encoding = match encoding % 3 {
        0 => Encoding::Gzip,
        1 => Encoding::Zstd,
        _ => Encoding::Deflate,
    };
    let format = if format % 2 == 0 { Format::Protobuf } else { Format::Json };
    decode(Signal::Traces, format, encoding, body);
}

/// Decodes and checks what holds for any bytes.
fn decode(signal: Signal, format: Format, encoding: Encoding, data: &[u8]) -> Option<Decoded> {
    let body = Bytes::copy_from_slice(data);
    let payload = Payload { tenant: Tenant::default(), signal, format, encoding, received: 1, body };
    let decoder = OtlpDecoder::new(LIMITS);
    let decoded = match decoder.decode(&payload) {
        Ok(decoded) => decoded,
        Err(error) => {
            assert!(matches!(error.kind, Kind::Invalid | Kind::TooLarge), "our own failure: {error:?}");
            return None;
        }
    };
    assert_eq!(decoded.rows.schema(), schema::schema(signal));
    assert!(decoded.decoded_bytes <= LIMITS.max_decoded_bytes, "{} bytes", decoded.decoded_bytes);
    let counted: u64 = decoded.reasons.iter().map(|(_, rows)| rows).sum();
    assert_eq!(counted, decoded.rejected, "{:?}", decoded.reasons);
    assert!(decoded.rejected == 0 || !decoded.notes.is_empty(), "left out without a word");
    let memory = decoded.rows.get_array_memory_size();
    let most = COLUMNS + decoded.decoded_bytes * BYTES_PER_BYTE;
    assert!(memory <= most, "{memory} bytes of columns for {} of body", decoded.decoded_bytes);
    attributes_are_json(&decoded.rows);
    let again = decoder.decode(&payload).expect("it decoded once");
    assert_eq!((again.rows, again.hash, again.notes), (decoded.rows.clone(), decoded.hash, decoded.notes.clone()));
    Some(decoded)
}

fn same_count(decoded: Option<&Decoded>, expected: usize) {
    // What is too large for our limits may be fine for the types.
    let Some(decoded) = decoded else { return };
    assert_eq!(decoded.rows.num_rows() as u64 + decoded.rejected, expected as u64, "{:?}", decoded.notes);
}

fn attributes_are_json(rows: &RecordBatch) {
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let is_map = field.name().ends_with("attributes") || matches!(field.name().as_str(), "metadata");
        if !is_map || *column.data_type() != DataType::Utf8View {
            continue;
        }
        for text in column.as_string_view().iter().flatten() {
            let map: serde_json::Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
            assert!(map.as_object().is_some_and(|map| !map.is_empty()), "{text}");
        }
    }
    let Some(bodies) = rows.column_by_name("body") else { return };
    let types = rows.column_by_name("body_type").expect("beside the body").as_string_view();
    for (body, ty) in bodies.as_string_view().iter().zip(types) {
        assert_eq!(body.is_some(), ty.is_some());
        if let (Some(body), Some("json")) = (body, ty) {
            serde_json::from_str::<serde_json::Value>(body).unwrap_or_else(|e| panic!("{e}: {body}"));
        }
    }
}

fn spans(request: &ExportTraceServiceRequest) -> usize {
    request.resource_spans.iter().flat_map(|r| &r.scope_spans).map(|s| s.spans.len()).sum()
}

fn records(request: &ExportLogsServiceRequest) -> usize {
    request.resource_logs.iter().flat_map(|r| &r.scope_logs).map(|s| s.log_records.len()).sum()
}

fn points(request: &ExportMetricsServiceRequest) -> usize {
    let of = |metric: &Metric| match &metric.data {
        None => 0,
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
    };
    request.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics).map(of).sum()
}
