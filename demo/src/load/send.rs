//! One export over the wire, by OTLP/gRPC or OTLP/HTTP, as raw bytes; and what the answer means.
//!
//! Which answers ask for another try is the OTLP specification's list ("Failures", OTLP/gRPC and OTLP/HTTP).

use std::io::Write;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Extensions, Request, Status};
use tonic_types::StatusExt;

use super::{Compression, Error, Protocol, Settings};

/// What became of one send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Kept, but for so many spans.
    Accepted { rejected: u64 },
    /// Not kept; the same may be sent again, after the pause if one is asked for.
    Refused { pause: Option<Duration>, why: String },
    /// Not kept, and sending it again cannot help.
    Failed { why: String },
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
    client: tonic::client::Grpc<Channel>,
    metadata: MetadataMap,
}

impl GrpcSender {
    fn new(settings: &Settings) -> Result<Self, Error> {
        let endpoint =
            Endpoint::from_shared(settings.endpoint.clone()).map_err(|error| bad_endpoint(settings, error))?;
        let channel = endpoint.connect_timeout(Duration::from_secs(5)).connect_lazy();
        let client = tonic::client::Grpc::new(channel);
        let client = match settings.compression {
            Compression::None => client,
            Compression::Gzip => client.send_compressed(CompressionEncoding::Gzip),
            Compression::Zstd => client.send_compressed(CompressionEncoding::Zstd),
        };
        let mut headers = http::HeaderMap::new();
        add_headers(&mut headers, settings)?;
        Ok(GrpcSender { client, metadata: MetadataMap::from_headers(headers) })
    }

    async fn send(&mut self, body: Bytes) -> Answer {
        const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        if let Err(error) = self.client.ready().await {
            return Answer::Refused { pause: None, why: format!("cannot connect: {error}") };
        }
        let request = Request::from_parts(self.metadata.clone(), Extensions::new(), body);
        let path = http::uri::PathAndQuery::from_static(PATH);
        match self.client.unary(request, path, RawCodec).await {
            Ok(response) => accepted(response.into_inner()),
            Err(status) => grpc_refusal(&status),
        }
    }
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
        // How tonic reports a connection that broke under a call.
        Code::Unknown => std::error::Error::source(status).is_some(),
        _ => false,
    };
    if again { Answer::Refused { pause, why } } else { Answer::Failed { why } }
}

#[derive(Clone)]
pub struct HttpSender {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: http::Uri,
    headers: http::HeaderMap,
    compression: Compression,
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
        let encoding = match settings.compression {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Zstd => Some("zstd"),
        };
        if let Some(encoding) = encoding {
            headers.insert(http::header::CONTENT_ENCODING, http::HeaderValue::from_static(encoding));
        }
        add_headers(&mut headers, settings)?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(HttpSender { client, uri, headers, compression: settings.compression })
    }

    async fn send(&mut self, body: Bytes) -> Answer {
        match self.exchange(body).await {
            Ok(answer) => answer,
            Err(error) => Answer::Refused { pause: None, why: format!("no answer: {error}") },
        }
    }

    async fn exchange(&self, body: Bytes) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let mut request = http::Request::new(Full::new(compress(body, self.compression)?));
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

fn compress(body: Bytes, compression: Compression) -> std::io::Result<Bytes> {
    match compression {
        Compression::None => Ok(body),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&body)?;
            Ok(encoder.finish()?.into())
        }
        Compression::Zstd => Ok(zstd::encode_all(body.reader(), 1)?.into()),
    }
}

/// Passes messages through as the bytes they are.
#[derive(Debug, Clone, Copy)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = RawCodec;
    type Decoder = RawCodec;

    fn encoder(&mut self) -> RawCodec {
        RawCodec
    }

    fn decoder(&mut self) -> RawCodec {
        RawCodec
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
