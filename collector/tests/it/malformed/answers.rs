//! Answers of both protocols, read with the types of `opentelemetry-proto` and `tonic`, in one form.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use model::Signal;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use serde_json::Value;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::Answer as Received;

/// What a client was told.
#[derive(Debug)]
pub struct Answer {
    pub is_grpc: bool,
    /// The HTTP status, or the gRPC code.
    pub code: i32,
    pub rejected: u64,
    /// Of partial success, or of the error. Empty when there is neither.
    pub message: String,
    pub is_retryable: bool,
}

impl Answer {
    pub fn http(answer: &Received, is_json: bool, signal: Signal) -> Self {
        let content_type = if is_json { "application/json" } else { "application/x-protobuf" };
        assert_eq!(answer.header("content-type"), content_type, "{answer:?}");
        let retryable = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::BAD_GATEWAY,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
        ];
        let is_retryable = retryable.contains(&answer.status) || answer.headers.contains_key("retry-after");
        let (rejected, message, asks) = match (answer.status.is_success(), is_json) {
            (true, true) => json_partial(&answer.body, signal),
            (true, false) => partial(answer.body.clone()),
            (false, true) => json_status(&answer.body),
            (false, false) => status(answer.body.clone()),
        };
        let code = i32::from(answer.status.as_u16());
        Answer { is_grpc: false, code, rejected, message, is_retryable: is_retryable || asks }
    }

    pub fn grpc(answer: &Received) -> Self {
        assert_eq!(answer.status, StatusCode::OK, "gRPC's own status is in its trailers: {answer:?}");
        let headers: &HeaderMap =
            if answer.trailers.contains_key("grpc-status") { &answer.trailers } else { &answer.headers };
        let status = tonic::Status::from_header_map(headers).expect("a grpc-status");
        let retryable = [
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::OutOfRange,
            Code::Unavailable,
            Code::DataLoss,
        ];
        let asks = status.get_error_details().retry_info().is_some();
        let is_retryable = retryable.contains(&status.code()) || asks;
        let (rejected, message) = match status.code() {
            Code::Ok => {
                assert_eq!(answer.body[0], 0, "not compressed");
                let (rejected, message, _) = partial(answer.body.slice(5..));
                (rejected, message)
            }
            _ => (0, status.message().to_owned()),
        };
        Answer { is_grpc: true, code: i32::from(status.code()), rejected, message, is_retryable }
    }
}

/// The three responses have the same fields under the same numbers.
fn partial(body: Bytes) -> (u64, String, bool) {
    let response = ExportTraceServiceResponse::decode(body).expect("a response");
    let Some(partial) = response.partial_success else { return (0, String::new(), false) };
    assert!(partial.rejected_spans > 0 || !partial.error_message.is_empty(), "set without anything to tell");
    (partial.rejected_spans.unsigned_abs(), partial.error_message, false)
}

fn json_partial(body: &[u8], signal: Signal) -> (u64, String, bool) {
    let response: Value = serde_json::from_slice(body).expect("JSON");
    let Some(partial) = response.get("partialSuccess") else { return (0, String::new(), false) };
    let key = match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Metrics => "rejectedDataPoints",
        Signal::Logs => "rejectedLogRecords",
    };
    let rejected = partial[key].as_str().expect("int64 as text").parse().expect("a count");
    (rejected, partial["errorMessage"].as_str().expect("text").to_owned(), false)
}

fn status(body: Bytes) -> (u64, String, bool) {
    let status = tonic_types::Status::decode(body).expect("a google.rpc.Status");
    let asks = status.details.iter().any(|any| any.type_url.ends_with("google.rpc.RetryInfo"));
    (0, status.message, asks)
}

fn json_status(body: &[u8]) -> (u64, String, bool) {
    let status: Value = serde_json::from_slice(body).expect("JSON");
    let details = status["details"].as_array().expect("a list");
    let asks = details.iter().any(|any| any["@type"] == "type.googleapis.com/google.rpc.RetryInfo");
    (0, status["message"].as_str().expect("text").to_owned(), asks)
}
