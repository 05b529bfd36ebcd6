//! One request over the wire, by OTLP/gRPC or OTLP/HTTP; and what the answer means.
//!
//! Requests are bytes already, so gRPC is spoken by hand over tonic's connection: nothing is copied on the way to the
//! socket.
//!
//! Which answers ask for another try is the OTLP specification's list ("Failures", OTLP/gRPC and OTLP/HTTP).

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::future::poll_fn;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tonic::client::GrpcService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{Error, Protocol, Settings};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What became of one send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Kept, but for so many spans.
    Accepted { rejected: u64 },
    /// Not kept; the same may be sent again, after the pause if one is asked for.
    Refused { pause: Option<Duration>, why: String },
    /// Not kept, and sending it again cannot help.
    Failed { why: String },
    /// The connection failed; once the sending had begun, nobody knows whether it is kept.
    None { begun: bool, why: String },
}

/// One connection to the server.
#[derive(Clone)]
pub enum Sender {
    Grpc(Box<GrpcSender>),
    Http(Box<HttpSender>),
}

impl Sender {
    /// Prepares a connection; it is made at the first send.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        match settings.protocol {
            Protocol::Grpc => GrpcSender::new(settings).map(|sender| Sender::Grpc(Box::new(sender))),
            Protocol::Http => HttpSender::new(settings).map(|sender| Sender::Http(Box::new(sender))),
        }
    }

    pub async fn send(&mut self, body: Bytes) -> Answer {
        match self {
            Sender::Grpc(sender) => sender.send(body).await,
            Sender::Http(sender) => sender.send(body).await,
        }
    }
}

fn bad_endpoint(settings: &Settings, why: impl std::fmt::Display) -> Error {
    Error::Endpoint { endpoint: settings.endpoint.clone(), why: why.to_string() }
}

#[derive(Clone)]
pub struct GrpcSender {
    channel: Channel,
    headers: http::HeaderMap,
}

impl GrpcSender {
    fn new(settings: &Settings) -> Result<Self, Error> {
        let endpoint =
            Endpoint::from_shared(settings.endpoint.clone()).map_err(|error| bad_endpoint(settings, error))?;
        let channel = endpoint.connect_timeout(Duration::from_secs(5)).connect_lazy();
        let mut headers = http::HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/grpc"));
        headers.insert(http::header::TE, http::HeaderValue::from_static("trailers"));
        if let Some(encoding) = settings.encoding.name() {
            headers.insert("grpc-encoding", http::HeaderValue::from_static(encoding));
        }
        add_headers(&mut headers, settings)?;
        Ok(GrpcSender { channel, headers })
    }

    async fn send(&mut self, body: Bytes) -> Answer {
        let ready = poll_fn(|context| GrpcService::<tonic::body::Body>::poll_ready(&mut self.channel, context)).await;
        if let Err(error) = ready {
            return Answer::None { begun: false, why: format!("cannot connect: {error}") };
        }
        match self.exchange(body).await {
            Ok(answer) => answer,
            Err(error) => {
                let begun = !is_connect_error(&*error);
                Answer::None { begun, why: format!("no answer: {}", innermost(&*error)) }
            }
        }
    }

    async fn exchange(&mut self, body: Bytes) -> Result<Answer, BoxError> {
        const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        let mut request = http::Request::new(tonic::body::Body::new(Once(Some(body))));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = http::Uri::from_static(PATH);
        *request.version_mut() = http::Version::HTTP_2;
        *request.headers_mut() = self.headers.clone();
        let (head, body) = self.channel.call(request).await?.into_parts();
        if head.status != http::StatusCode::OK {
            return Ok(http_refusal(&head));
        }
        let body = body.collect().await?;
        let status = body.trailers().and_then(Status::from_header_map);
        let status = status.or_else(|| Status::from_header_map(&head.headers));
        Ok(match status {
            Some(status) if status.code() == Code::Ok => grpc_accepted(body.to_bytes()),
            Some(status) => grpc_refusal(&status),
            None => Answer::None { begun: true, why: "the answer ends without a status".to_owned() },
        })
    }
}

/// A body of unstated length, as other exporters' are, in one piece.
struct Once(Option<Bytes>);

impl http_body::Body for Once {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(http_body::Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

fn is_connect_error(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
        if error.downcast_ref().is_some_and(refused) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn innermost(mut error: &(dyn std::error::Error + 'static)) -> String {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

/// The message behind its prefix, which says uncompressed, as nothing else was asked for.
fn grpc_accepted(mut body: Bytes) -> Answer {
    const PREFIX: usize = 5;
    if body.len() < PREFIX {
        return Answer::Failed { why: "the answer has no message".to_owned() };
    }
    body.advance(PREFIX);
    accepted(body)
}

fn grpc_refusal(status: &Status) -> Answer {
    let pause = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let why = format!("{:?}: {}", status.code(), status.message());
    let again = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::ResourceExhausted => pause.is_some(),
        _ => false,
    };
    if again { Answer::Refused { pause, why } } else { Answer::Failed { why } }
}

#[derive(Clone)]
pub struct HttpSender {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: http::Uri,
    headers: http::HeaderMap,
}

impl HttpSender {
    fn new(settings: &Settings) -> Result<Self, Error> {
        let address = format!("{}/v1/traces", settings.endpoint.trim_end_matches('/'));
        let uri: http::Uri = address.parse().map_err(|error| bad_endpoint(settings, error))?;
        if uri.scheme_str() != Some("http") {
            return Err(bad_endpoint(settings, "the generator speaks plain http:// only"));
        }
        let mut headers = http::HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/x-protobuf"));
        if let Some(encoding) = settings.encoding.name() {
            headers.insert(http::header::CONTENT_ENCODING, http::HeaderValue::from_static(encoding));
        }
        add_headers(&mut headers, settings)?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(HttpSender { client, uri, headers })
    }

    async fn send(&mut self, body: Bytes) -> Answer {
        match self.exchange(body).await {
            Ok(answer) => answer,
            Err(error) => {
                let begun = !is_connect_error(&*error);
                Answer::None { begun, why: format!("no answer: {}", innermost(&*error)) }
            }
        }
    }

    async fn exchange(&self, body: Bytes) -> Result<Answer, BoxError> {
        let mut request = http::Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let (head, body) = self.client.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        if head.status.is_success() {
            return Ok(accepted(body));
        }
        Ok(http_refusal(&head))
    }
}

fn http_refusal(head: &http::response::Parts) -> Answer {
    let why = format!("HTTP {}", head.status.as_u16());
    if !matches!(head.status.as_u16(), 429 | 502 | 503 | 504) {
        return Answer::Failed { why };
    }
    let seconds = head.headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Answer::Refused { pause: seconds.map(Duration::from_secs), why }
}

fn accepted(body: Bytes) -> Answer {
    match ExportTraceServiceResponse::decode(body) {
        Ok(response) => {
            let rejected = response.partial_success.map_or(0, |partial| partial.rejected_spans);
            Answer::Accepted { rejected: u64::try_from(rejected).unwrap_or(0) }
        }
        Err(error) => Answer::Failed { why: format!("the answer is no ExportTraceServiceResponse: {error}") },
    }
}

fn add_headers(headers: &mut http::HeaderMap, settings: &Settings) -> Result<(), Error> {
    let given = [("authorization", &settings.authorization), ("x-scope-orgid", &settings.tenant)];
    for (name, value) in given {
        if let Some(value) = value {
            let value = value.parse().map_err(|_| Error::Settings(format!("{name} {value:?} cannot be a header")))?;
            headers.insert(name, value);
        }
    }
    Ok(())
}
