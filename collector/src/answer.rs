//! What a client is told: the one place where an error becomes a gRPC code and an HTTP status.
//!
//! *Invariant:* a client that got a retryable answer can send the same again, and nothing of it was kept; one that
//! got any other error would only be refused again. OTLP's list of retryable codes decides how exporters act
//! (specification.md, "Failures"), so our own failures are UNAVAILABLE, never INTERNAL, UNKNOWN or OUT_OF_RANGE.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use model::{Error, Kind, Signal};
use prost::Message;
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::{ErrorDetails, StatusExt};

use crate::admit::NoRoom;

/// The pause we ask for when the store itself did not name one. Twice as long may be told, and SDKs give up after 10 s.
const PAUSE: Duration = Duration::from_secs(4);

/// The same where there was no room in memory, which comes back sooner.
const PAUSE_FOR_ROOM: Duration = Duration::from_millis(2500);

/// Longest message of an error. It travels three times in gRPC's trailers, of which Java clients take 8 KiB.
const MAX_MESSAGE: usize = 512;

/// What became of an export that was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Rows left out for good.
    pub rejected: u64,
    /// Why they were, or a warning when none was.
    pub notes: String,
    /// The store had it already.
    pub duplicate: bool,
}

#[derive(Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

impl Taken {
    /// OTLP wants `partial_success` unset unless there is something to tell.
    pub fn is_full(&self) -> bool {
        self.rejected == 0 && self.notes.is_empty()
    }

    /// An `Export…ServiceResponse`; the three have the same fields under the same numbers.
    pub fn protobuf(&self) -> Bytes {
        let partial_success = (!self.is_full()).then(|| PartialSuccess {
            rejected: i64::try_from(self.rejected).unwrap_or(i64::MAX),
            error_message: self.notes.clone(),
        });
        ExportResponse { partial_success }.encode_to_vec().into()
    }

    pub fn json(&self, signal: Signal) -> Bytes {
        let rejected = match signal {
            Signal::Traces => "rejectedSpans",
            Signal::Metrics => "rejectedDataPoints",
            Signal::Logs => "rejectedLogRecords",
        };
        let mut response = json!({});
        if !self.is_full() {
            response["partialSuccess"] = json!({ rejected: self.rejected.to_string(), "errorMessage": self.notes });
        }
        response.to_string().into()
    }
}

/// Why an export was not taken, in the words of both protocols.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub code: Code,
    pub http: StatusCode,
    pub message: String,
    /// The least that is told as `Retry-After` and `RetryInfo`.
    pub retry_after: Option<Duration>,
    /// From 0 to below 1: how far towards twice that.
    spread: f64,
    /// The label of `hotspan_exports_failed_total`.
    pub reason: &'static str,
    /// One more header that the answer carries, e.g. `allow`.
    pub header: Option<(&'static str, &'static str)>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let (code, http) = match error.kind {
            Kind::Invalid => (Code::InvalidArgument, StatusCode::BAD_REQUEST),
            Kind::NotFound => (Code::NotFound, StatusCode::NOT_FOUND),
            Kind::Unauthenticated => (Code::Unauthenticated, StatusCode::UNAUTHORIZED),
            Kind::Forbidden => (Code::PermissionDenied, StatusCode::FORBIDDEN),
            // Without RetryInfo exporters take it as final, which it is.
            Kind::TooLarge => (Code::ResourceExhausted, StatusCode::PAYLOAD_TOO_LARGE),
            Kind::Unimplemented => (Code::Unimplemented, StatusCode::NOT_IMPLEMENTED),
            Kind::Overloaded { .. } | Kind::Unavailable | Kind::Limit | Kind::Corrupt | Kind::Internal => {
                (Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE)
            }
        };
        let retry_after = match error.kind {
            Kind::Overloaded { retry_after } => Some(retry_after),
            _ if code == Code::Unavailable => Some(PAUSE),
            _ => None,
        };
        let header = (code == Code::Unauthenticated).then_some(("www-authenticate", "Bearer realm=\"hotspan\""));
        let message = match &error.hint {
            Some(hint) => format!("{}; {hint}", error.message),
            None => error.message,
        };
        Refusal { retry_after, header, ..Refusal::new(code, http, error.kind.name(), message) }
    }
}

impl From<NoRoom> for Refusal {
    fn from(why: NoRoom) -> Self {
        let (reason, message) = match why {
            NoRoom::InTime { used } => {
                ("no_room", format!("{used} bytes of exports are in work already, and the store does not keep up"))
            }
            NoRoom::ToWait { waiting } => {
                ("too_many_waiting", format!("{waiting} exports wait for room already, of this tenant its share"))
            }
        };
        let message = format!("{message}; nothing was kept; send the same export again later");
        let mut refusal = Refusal::new(Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE, reason, message);
        refusal.retry_after = Some(PAUSE_FOR_ROOM);
        refusal
    }
}

impl Refusal {
    fn new(code: Code, http: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        let message = shortened(message.into());
        Refusal { code, http, message, retry_after: None, spread: 0.0, reason, header: None }
    }

    /// Asks for a pause between the one that is needed and twice that, as `chance` (from 0 to below 1) has it: clients
    /// that were refused together are not to come back together.
    pub fn spread(mut self, chance: f64) -> Self {
        self.spread = chance;
        self
    }

    fn pause(&self) -> Option<Duration> {
        self.retry_after.map(|pause| pause + pause.mul_f64(self.spread))
    }

    /// The same in whole seconds, each as likely as another. Rounding the pause would make all of some pauses one.
    fn whole_seconds(&self) -> Option<u64> {
        let up = |pause: Duration| pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
        let (least, most) = self.retry_after.map(|pause| (up(pause), up(pause * 2)))?;
        Some(least + ((most - least + 1) as f64 * self.spread) as u64)
    }

    pub fn method(allowed: &'static str, message: impl Into<String>) -> Self {
        let mut refusal = Refusal::new(Code::Unimplemented, StatusCode::METHOD_NOT_ALLOWED, "method", message);
        refusal.header = Some(("allow", allowed));
        refusal
    }

    pub fn path(message: impl Into<String>) -> Self {
        Refusal::new(Code::Unimplemented, StatusCode::NOT_FOUND, "path", message)
    }

    pub fn media_type(message: impl Into<String>) -> Self {
        Refusal::new(Code::InvalidArgument, StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", message)
    }

    /// A compression we do not know; `listing` names the header that lists those we do.
    pub fn encoding(listing: &'static str, known: &'static str, message: impl Into<String>) -> Self {
        let mut refusal = Refusal::new(Code::Unimplemented, StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoding", message);
        refusal.header = Some((listing, known));
        refusal
    }

    /// The client's own deadline passed. Retryable: the store drops the repeat if the first one made it after all.
    pub fn deadline(message: impl Into<String>) -> Self {
        Refusal::new(Code::DeadlineExceeded, StatusCode::GATEWAY_TIMEOUT, "deadline", message)
    }

    /// The body came too slowly or broke off. Retryable: the network is to blame, not the export.
    pub fn body(message: impl Into<String>) -> Self {
        let mut refusal = Refusal::new(Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE, "body", message);
        refusal.retry_after = Some(PAUSE);
        refusal
    }

    /// Whether a client that follows OTLP sends it again.
    pub fn is_retryable(&self) -> bool {
        matches!(self.code, Code::Unavailable | Code::DeadlineExceeded)
    }

    /// With a `google.rpc.Status` in its details, as OTLP recommends.
    pub fn grpc(&self) -> tonic::Status {
        let mut details = ErrorDetails::new();
        if self.code == Code::InvalidArgument {
            details.add_bad_request_violation("", &self.message);
        }
        if let Some(pause) = self.pause() {
            details.set_retry_info(Some(pause));
        }
        tonic::Status::with_error_details(self.code, &self.message, details)
    }

    /// A `google.rpc.Status`, as OTLP/HTTP demands in the body of every error.
    pub fn protobuf(&self) -> Bytes {
        Bytes::copy_from_slice(self.grpc().details())
    }

    /// The same in the JSON mapping of protobuf.
    pub fn json(&self) -> Bytes {
        let mut details: Vec<Value> = Vec::new();
        if let Some(pause) = self.pause() {
            let delay = format!("{}.{:03}s", pause.as_secs(), pause.subsec_millis());
            details.push(json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}));
        }
        if self.code == Code::InvalidArgument {
            details.push(json!({
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"description": self.message}],
            }));
        }
        json!({"code": i32::from(self.code), "message": self.message, "details": details}).to_string().into()
    }

    /// Headers that go with the answer over HTTP.
    pub fn headers(&self, headers: &mut HeaderMap) {
        if let Some(seconds) = self.whole_seconds() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some((name, value)) = self.header {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

fn shortened(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        let mut end = MAX_MESSAGE - '…'.len_utf8();
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests;
