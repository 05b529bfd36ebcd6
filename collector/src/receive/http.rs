//! OTLP/HTTP: `POST /v1/traces`, `/v1/metrics` and `/v1/logs` in protobuf or JSON.
//!
//! *Invariant:* the answer is in the request's own format, and the body of every 4xx and 5xx is a
//! `google.rpc.Status`; in JSON when the request's format is not known.

use std::sync::Arc;

use ::http::request::Parts;
use ::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use model::{Encoding, Format, Payload, Signal};

use crate::answer::{Refusal, Taken};
use crate::receive::body::{Charge, Reader, first_charge};
use crate::receive::{Meter, Pipeline, encoding, too_large};
use crate::stats::Protocol;

const ENCODINGS: &str = "gzip, zstd, deflate";

/// The path of a signal.
pub(crate) fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/v1/traces",
        Signal::Metrics => "/v1/metrics",
        Signal::Logs => "/v1/logs",
    }
}

/// A request to a signal's path, of whatever method.
pub(crate) async fn export(pipeline: Arc<Pipeline>, signal: Signal, request: Request) -> Response {
    let format = format(request.headers());
    let mut meter = Meter::start(&pipeline, Protocol::Http, signal);
    let (head, body) = request.into_parts();
    let mut reader = Reader::new(body, pipeline.budget.clone());
    let result = take(&pipeline, format, &head, &mut reader, &mut meter).await;
    meter.end(&result);
    if result.is_err() && must_be_read(&head, &reader) {
        reader.discard_rest(pipeline.settings.max_request_bytes);
    }
    match result {
        Ok(taken) => success(&taken, signal, format.unwrap_or(Format::Json)),
        Err(refusal) => failure(&refusal.spread(pipeline.chance.next()), format),
    }
}

/// A path where nothing is.
pub(crate) fn unknown_path(request: &Request) -> Response {
    let message =
        format!("there is no {}; OTLP/HTTP goes to /v1/traces, /v1/metrics and /v1/logs", request.uri().path());
    failure(&Refusal::path(message), format(request.headers()))
}

async fn take(
    pipeline: &Arc<Pipeline>,
    format: Option<Format>,
    head: &Parts,
    reader: &mut Reader,
    meter: &mut Meter,
) -> Result<Taken, Refusal> {
    if head.method != Method::POST {
        return Err(Refusal::method("POST", format!("exports are POST requests, not {}", head.method)));
    }
    let tenant = pipeline.authorize(&head.headers)?;
    let Some(format) = format else { return Err(unknown_format(&head.headers)) };
    let encoding = content_encoding(&head.headers)?;
    let limit = pipeline.settings.max_request_bytes;
    let declared = content_length(&head.headers);
    meter.declared(declared.unwrap_or(0));
    if let Some(length) = declared
        && length > limit
    {
        return Err(too_large(length, limit));
    }
    pipeline.ask_store(declared.unwrap_or(0))?;
    let paid = first_charge(declared, limit);
    let mut permit = pipeline.budget.admit(&tenant, paid, 0).await?;
    let most = declared.unwrap_or(limit);
    let body = reader.whole(Charge { permit: &mut permit, paid, most, limit }).await;
    meter.read(reader.received());
    let payload =
        Payload { tenant, signal: meter.signal, format, encoding, received: pipeline.clock.now(), body: body? };
    pipeline.store(payload, Protocol::Http, permit).await
}

/// An HTTP/1 client that is still sending when its connection is closed often loses the answer to a reset. One
/// that waits for `100 Continue` is not sending.
fn must_be_read(head: &Parts, reader: &Reader) -> bool {
    head.version < Version::HTTP_2 && (reader.received() > 0 || !head.headers.contains_key(header::EXPECT))
}

/// The format by the media type; its parameters (`charset=utf-8`) do not matter.
fn format(headers: &HeaderMap) -> Option<Format> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let media_type = content_type.split(';').next()?.trim();
    let is = |name: &str| media_type.eq_ignore_ascii_case(name);
    if is("application/x-protobuf") || is("application/protobuf") {
        Some(Format::Protobuf)
    } else if is("application/json") {
        Some(Format::Json)
    } else {
        None
    }
}

fn unknown_format(headers: &HeaderMap) -> Refusal {
    let sent = match headers.get(header::CONTENT_TYPE) {
        Some(value) => format!("content-type {value:?} is not known"),
        None => "the content-type is missing".to_owned(),
    };
    Refusal::media_type(format!("{sent}; send application/x-protobuf or application/json"))
}

fn content_encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    let Some(first) = values.next() else { return Ok(Encoding::Identity) };
    let known = first.to_str().ok().map(str::trim).and_then(encoding).filter(|_| values.next().is_none());
    known.ok_or_else(|| {
        let message = format!("content-encoding {first:?} is not known; send one of {ENCODINGS}");
        Refusal::encoding("accept-encoding", ENCODINGS, message)
    })
}

/// Absent for chunked bodies, and for HTTP/2 clients that do not say.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn success(taken: &Taken, signal: Signal, format: Format) -> Response {
    match format {
        Format::Protobuf => written(StatusCode::OK, format, taken.protobuf()),
        Format::Json => written(StatusCode::OK, format, taken.json(signal)),
    }
}

fn failure(refusal: &Refusal, format: Option<Format>) -> Response {
    let mut response = match format {
        Some(Format::Protobuf) => written(refusal.http, Format::Protobuf, refusal.protobuf()),
        Some(Format::Json) | None => written(refusal.http, Format::Json, refusal.json()),
    };
    refusal.headers(response.headers_mut());
    response
}

fn written(status: StatusCode, format: Format, body: Bytes) -> Response {
    let content_type = match format {
        Format::Protobuf => "application/x-protobuf",
        Format::Json => "application/json",
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_of_a_media_type_do_not_matter() {
        let parsed = |value: &'static str| {
            format(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]))
        };
        assert_eq!(parsed("application/x-protobuf"), Some(Format::Protobuf));
        assert_eq!(parsed("Application/JSON ; charset=utf-8"), Some(Format::Json));
        assert_eq!(parsed("text/plain"), None);
        assert_eq!(parsed("application/json-seq"), None);
    }

    #[test]
    fn one_known_encoding_is_taken() {
        let parsed = |values: &[&'static str]| {
            let pairs = values.iter().map(|v| (header::CONTENT_ENCODING, HeaderValue::from_static(v)));
            let mut headers = HeaderMap::new();
            pairs.for_each(|(name, value)| {
                headers.append(name, value);
            });
            content_encoding(&headers).ok()
        };
        assert_eq!(parsed(&[]), Some(Encoding::Identity));
        assert_eq!(parsed(&["GZip"]), Some(Encoding::Gzip));
        assert_eq!(parsed(&["zstd"]), Some(Encoding::Zstd));
        assert_eq!(parsed(&["br"]), None);
        assert_eq!(parsed(&["gzip, gzip"]), None);
        assert_eq!(parsed(&["gzip", "zstd"]), None);
    }
}
