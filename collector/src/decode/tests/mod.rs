//! Decoding as a whole, against the types and the encoder of `opentelemetry-proto`.

mod bad_input;
mod every_field;
mod json;
mod messages;
mod oracle;
mod random;
mod rows;

use bytes::Bytes;
use model::{Decoded, Decoder, Encoding, Format, Payload, Result, Signal, Tenant};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::OtlpDecoder;

/// When the test payloads were received.
const RECEIVED: i64 = 1_760_000_000_123_456_789;

fn payload(signal: Signal, format: Format, body: impl Into<Bytes>) -> Payload {
    let (tenant, encoding) = (Tenant::default(), Encoding::Identity);
    Payload { tenant, signal, format, encoding, received: RECEIVED, body: body.into() }
}

fn decode_wire(signal: Signal, body: impl Into<Bytes>) -> Result<Decoded> {
    OtlpDecoder::default().decode(&payload(signal, Format::Protobuf, body))
}

fn decode_json(signal: Signal, body: impl Into<Bytes>) -> Result<Decoded> {
    OtlpDecoder::default().decode(&payload(signal, Format::Json, body))
}

/// A request's message type knows its signal.
trait Request: Message + Sized {
    const SIGNAL: Signal;

    fn decoded(&self) -> Decoded {
        decode_wire(Self::SIGNAL, self.encode_to_vec()).expect("a valid request")
    }
}

impl Request for ExportTraceServiceRequest {
    const SIGNAL: Signal = Signal::Traces;
}

impl Request for ExportMetricsServiceRequest {
    const SIGNAL: Signal = Signal::Metrics;
}

impl Request for ExportLogsServiceRequest {
    const SIGNAL: Signal = Signal::Logs;
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(wrapped(value)), ..KeyValue::default() }
}

fn wrapped(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn text(value: &str) -> Value {
    Value::StringValue(value.into())
}

fn array(values: Vec<Value>) -> Value {
    Value::ArrayValue(ArrayValue { values: values.into_iter().map(wrapped).collect() })
}

fn kvlist(values: Vec<KeyValue>) -> Value {
    Value::KvlistValue(KeyValueList { values })
}

/// A span that has what every span must have.
fn span(n: u8) -> Span {
    Span {
        trace_id: vec![n; 16],
        span_id: vec![n; 8],
        name: format!("span {n}"),
        start_time_unix_nano: 1_000,
        end_time_unix_nano: 3_000,
        ..Span::default()
    }
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

/// Appends a length-delimited field.
fn delimited(mut out: Vec<u8>, number: u8, bytes: &[u8]) -> Vec<u8> {
    out.push(number << 3 | 2);
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    out.extend_from_slice(bytes);
    out
}
