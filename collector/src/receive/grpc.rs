//! OTLP/gRPC, with gRPC's framing read by hand.
//!
//! A gRPC library would hand over a decompressed, decoded message. We want the compressed bytes, because they go to
//! the write-ahead log as they are, and the length of a message before it is read, because room for it is asked for
//! first. The framing is five bytes (PROTOCOL-HTTP2.md of gRPC):
//!
//! ```text
//!   compressed? u8 │ length u32, big endian │ message
//! ```
//! *Invariant:* every answer to a gRPC request is HTTP 200 with `grpc-status`, save for what is not gRPC at all
//! (415) or cannot carry trailers (HTTP/1). A missing `te: trailers` is let pass, as by gRPC's own Go server.

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use model::{Encoding, Error, Format, Payload, Signal};

use crate::admit::Permit;
use crate::answer::{Refusal, Taken};
use crate::receive::body::{Charge, Reader, first_charge};
use crate::receive::{Meter, Pipeline, encoding, too_large};
use crate::stats::Protocol;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const ENCODING: &str = "grpc-encoding";
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";
const TIMEOUT: &str = "grpc-timeout";
const ENCODINGS: &str = "identity,gzip,zstd,deflate";

/// Bytes before each message.
const PREFIX: usize = 5;

/// The path of a signal's only method.
pub(crate) fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}

/// Whether a request calls itself gRPC: `application/grpc`, with a message format or parameters after it.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else { return false };
    let rest = content_type.as_bytes().strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| rest.is_empty() || matches!(rest[0], b'+' | b';' | b' '))
}

/// `POST /opentelemetry.proto.collector.….v1.…Service/Export`
pub(crate) async fn export(pipeline: Arc<Pipeline>, signal: Signal, request: Request) -> Response {
    if let Some(refused) = not_grpc(&request) {
        return refused;
    }
    let mut meter = Meter::start(&pipeline, Protocol::Grpc, signal);
    let result = before_deadline(&pipeline, request, &mut meter).await;
    meter.end(&result);
    match result {
        Ok(taken) => success(&taken),
        Err(refusal) => failure(&refusal.spread(pipeline.chance.next())),
    }
}

/// A gRPC method that does not exist here.
pub(crate) fn unknown_method(path: &str) -> Response {
    failure(&Refusal::path(format!("there is no method {path}; hotspan takes OTLP traces, metrics and logs")))
}

/// The answer to what cannot be gRPC.
fn not_grpc(request: &Request) -> Option<Response> {
    if !is_grpc(request.headers()) {
        let message = "this path speaks gRPC, content-type application/grpc\n";
        return Some((StatusCode::UNSUPPORTED_MEDIA_TYPE, message).into_response());
    }
    if request.version() < Version::HTTP_2 {
        return Some((StatusCode::HTTP_VERSION_NOT_SUPPORTED, "gRPC needs HTTP/2\n").into_response());
    }
    if request.method() != Method::POST {
        let allow = [(header::ALLOW, "POST")];
        return Some((StatusCode::METHOD_NOT_ALLOWED, allow, "gRPC calls are POST requests\n").into_response());
    }
    None
}

async fn before_deadline(pipeline: &Arc<Pipeline>, request: Request, meter: &mut Meter) -> Result<Taken, Refusal> {
    let timeout = request.headers().get(TIMEOUT).map(timeout).transpose()?;
    let work = take(pipeline, request, meter);
    let Some(timeout) = timeout else { return work.await };
    match tokio::time::timeout(timeout, work).await {
        Ok(result) => result,
        Err(_) => Err(Refusal::deadline(format!("the call's own deadline of {timeout:?} passed"))),
    }
}

async fn take(pipeline: &Arc<Pipeline>, request: Request, meter: &mut Meter) -> Result<Taken, Refusal> {
    let tenant = pipeline.authorize(request.headers())?;
    let format = message_format(request.headers())?;
    let named = named_encoding(request.headers())?;
    let mut reader = Reader::new(request.into_body(), pipeline.budget.clone());

    let Some(prefix) = reader.prefix::<PREFIX>().await? else {
        return Err(Error::invalid("the call has no message").into());
    };
    let length = u64::from(u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]));
    let encoding = message_encoding(prefix[0], named)?;
    meter.declared(length);
    if length > pipeline.settings.max_request_bytes {
        return Err(too_large(length, pipeline.settings.max_request_bytes));
    }
    pipeline.ask_store(length)?;
    let paid = first_charge(Some(length), length);
    let mut permit = pipeline.budget.admit(&tenant, paid, reader.held()).await?;
    let body = message(&mut reader, length, paid, &mut permit).await;
    meter.read(reader.received());
    let payload =
        Payload { tenant, signal: meter.signal, format, encoding, received: pipeline.clock.now(), body: body? };
    pipeline.store(payload, Protocol::Grpc, permit).await
}

/// The one message of a unary call, and nothing after it.
async fn message(reader: &mut Reader, length: u64, paid: u64, permit: &mut Permit) -> Result<Bytes, Refusal> {
    let count = usize::try_from(length).map_err(|_| Error::invalid(format!("a message of {length} bytes")))?;
    let charge = Charge { permit, paid, most: length, limit: length };
    let Some(message) = reader.exactly(count, charge).await? else {
        return Err(Error::invalid(format!("the call ends before its message of {length} bytes")).into());
    };
    if !reader.is_at_end().await? {
        return Err(Error::invalid("an export is one message; this call has more").into());
    }
    Ok(message)
}

/// The format after `application/grpc`; protobuf when none is named.
fn message_format(headers: &HeaderMap) -> Result<Format, Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let media_type = content_type.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
    match media_type {
        b"application/grpc" | b"application/grpc+proto" => Ok(Format::Protobuf),
        _ => {
            let name = String::from_utf8_lossy(media_type);
            Err(Refusal::media_type(format!("content-type {name} is not known; send application/grpc+proto")))
        }
    }
}

/// What `grpc-encoding` names; it holds for messages that are flagged as compressed.
fn named_encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let Some(name) = headers.get(ENCODING) else { return Ok(Encoding::Identity) };
    name.to_str().ok().and_then(encoding).ok_or_else(|| {
        let message = format!("grpc-encoding {name:?} is not known; send one of {ENCODINGS}");
        Refusal::encoding(ACCEPT_ENCODING, ENCODINGS, message)
    })
}

fn message_encoding(flag: u8, named: Encoding) -> Result<Encoding, Refusal> {
    match (flag, named) {
        (0, _) => Ok(Encoding::Identity),
        (1, Encoding::Identity) => {
            Err(Error::invalid("the message is flagged as compressed, but grpc-encoding names no compression").into())
        }
        (1, named) => Ok(named),
        (flag, _) => Err(Error::invalid(format!("the message starts with {flag}, which is neither 0 nor 1")).into()),
    }
}

/// `grpc-timeout`: at most eight digits and a unit.
fn timeout(value: &HeaderValue) -> Result<Duration, Refusal> {
    let wrong = || Error::invalid(format!("grpc-timeout {value:?} is not a number of at most 8 digits and a unit"));
    let text = value.to_str().map_err(|_| wrong())?;
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong().into());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    match unit {
        "H" => Ok(Duration::from_secs(number * 3600)),
        "M" => Ok(Duration::from_secs(number * 60)),
        "S" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_millis(number)),
        "u" => Ok(Duration::from_micros(number)),
        "n" => Ok(Duration::from_nanos(number)),
        _ => Err(wrong().into()),
    }
}

fn success(taken: &Taken) -> Response {
    let message = taken.protobuf();
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put(message);
    let mut trailers = HeaderMap::new();
    trailers.insert(tonic::Status::GRPC_STATUS, HeaderValue::from_static("0"));
    let body = Full::new(framed.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(ENCODINGS));
    response
}

/// A trailers-only answer: the status is in the first and only headers.
fn failure(refusal: &Refusal) -> Response {
    let mut response: Response = refusal.grpc().into_http();
    response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(ENCODINGS));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_have_up_to_eight_digits_and_a_unit() {
        let parsed = |text: &'static str| timeout(&HeaderValue::from_static(text)).ok();
        assert_eq!(parsed("100m"), Some(Duration::from_millis(100)));
        assert_eq!(parsed("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(parsed("0n"), Some(Duration::ZERO));
        for wrong in ["", "m", "123456789S", "1", "1x", "-1S", "1.5S", " 1S"] {
            assert_eq!(parsed(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn grpc_web_is_not_grpc() {
        let headers =
            |value: &'static str| HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]);
        assert!(is_grpc(&headers("application/grpc")));
        assert!(is_grpc(&headers("application/grpc+proto; a=b")));
        assert!(!is_grpc(&headers("application/grpc-web+proto")));
        assert!(!is_grpc(&HeaderMap::new()));
    }
}
