//! Exports made by hand, for tests that need to know each id.

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span::SpanKind};
use prost::Message;
use reqwest::StatusCode;

use crate::server::Server;

pub const PROTOBUF: &str = "application/x-protobuf";

/// 2026-01-01T00:00:00Z.
pub const NEW_YEAR: u64 = 1_767_225_600_000_000_000;

pub fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

pub fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A server span of a millisecond, the root of its own trace.
pub fn span(trace_id: u128, span_id: u64, name: &str) -> Span {
    Span {
        trace_id: trace_id.to_be_bytes().to_vec(),
        span_id: span_id.to_be_bytes().to_vec(),
        name: name.to_owned(),
        kind: SpanKind::Server as i32,
        start_time_unix_nano: NEW_YEAR,
        end_time_unix_nano: NEW_YEAR + 1_000_000,
        ..Span::default()
    }
}

pub fn export(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource = Resource { attributes: vec![text("service.name", service)], ..Resource::default() };
    let scope = InstrumentationScope { name: "it".to_owned(), ..InstrumentationScope::default() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}

/// Exports over HTTP and expects that all is taken.
pub fn send(server: &Server, request: &ExportTraceServiceRequest) {
    let response = server.otlp("/v1/traces", PROTOBUF, request.encode_to_vec()).send().expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.bytes().expect("a body");
    let answer = ExportTraceServiceResponse::decode(body).expect("a response message");
    assert_eq!(answer.partial_success, None);
}
