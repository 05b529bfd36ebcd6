//! The two protocols' clients, each over one connection that all cases share.

use std::net::SocketAddr;

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::Signal;
use tokio::net::TcpStream;

use super::Case;
use super::answers::Answer;
use crate::support::{Answer as Received, framed};

pub trait Client {
    async fn send(&mut self, case: &Case, body: Vec<u8>) -> Answer;
}

async fn connected(address: SocketAddr) -> TokioIo<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("connects");
    stream.set_nodelay(true).expect("a socket");
    TokioIo::new(stream)
}

async fn received(response: http::Response<hyper::body::Incoming>) -> Received {
    let (parts, body) = response.into_parts();
    let collected = body.collect().await.expect("a whole body");
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Received { status: parts.status, headers: parts.headers, body: collected.to_bytes(), trailers }
}

/// OTLP/HTTP over HTTP/1.1.
pub struct Http {
    sender: http1::SendRequest<Body>,
}

impl Http {
    pub async fn connect(address: SocketAddr) -> Self {
        let (sender, connection) = http1::handshake(connected(address).await).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        Http { sender }
    }
}

impl Client for Http {
    async fn send(&mut self, case: &Case, body: Vec<u8>) -> Answer {
        let path = match case.signal() {
            Signal::Traces => "/v1/traces",
            Signal::Metrics => "/v1/metrics",
            Signal::Logs => "/v1/logs",
        };
        let content_type = if case.is_json() { "application/json" } else { "application/x-protobuf" };
        let mut request = Request::post(path).header("host", "x").header("content-type", content_type);
        if case.encoding != "identity" {
            request = request.header("content-encoding", &case.encoding);
        }
        let request = request.body(Body::from(body)).expect("a request");
        self.sender.ready().await.expect("the connection lives");
        let response = self.sender.send_request(request).await.expect("an answer");
        Answer::http(&received(response).await, case.is_json(), case.signal())
    }
}

/// OTLP/gRPC over HTTP/2.
pub struct Grpc {
    sender: http2::SendRequest<Body>,
}

impl Grpc {
    pub async fn connect(address: SocketAddr) -> Self {
        let handshake = http2::handshake(TokioExecutor::new(), connected(address).await);
        let (sender, connection) = handshake.await.expect("HTTP/2");
        tokio::spawn(connection);
        Grpc { sender }
    }
}

impl Client for Grpc {
    async fn send(&mut self, case: &Case, body: Vec<u8>) -> Answer {
        let path = match case.signal() {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        };
        let is_compressed = case.encoding != "identity";
        let mut request = Request::post(format!("http://x{path}"));
        request = request.header("content-type", "application/grpc").header("te", "trailers");
        if is_compressed {
            request = request.header("grpc-encoding", &case.encoding);
        }
        let message = Bytes::from(framed(u8::from(is_compressed), &body));
        let request = request.body(Body::from(message)).expect("a request");
        self.sender.ready().await.expect("the connection lives");
        let response = self.sender.send_request(request).await.expect("an answer");
        Answer::grpc(&received(response).await)
    }
}
