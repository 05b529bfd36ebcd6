//! The accept loop against peers that are slow, many, silent or encrypted, and at shutdown.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hotspan_collector::{ConnectionLimits, Settings, tls};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::access::Access;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tonic::transport::Endpoint;

use crate::support::{Bench, Mode, Running, framed, spans};

const SHORT: Duration = Duration::from_millis(200);

/// Requests may take their time, idling may not.
fn short_idle() -> ConnectionLimits {
    ConnectionLimits { idle_timeout: SHORT, drain_timeout: SHORT, ..ConnectionLimits::default() }
}

async fn started(bench: &Bench, limits: ConnectionLimits) -> Running {
    Running::start(bench.router(), limits, None).await
}

/// All that the server sends before it closes.
async fn until_closed(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    // A reset says closed as well.
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn peers_that_dawdle_are_closed() {
    let bench = Bench::new();
    let running = started(&bench, ConnectionLimits { header_timeout: SHORT, ..short_idle() }).await;
    let openings: [&[u8]; 5] = [
        b"",
        b"P",
        b"POST /v1/traces HTTP/1.1\r\nhost: x\r\nx-slow: ",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ];
    for opening in openings {
        let mut stream = TcpStream::connect(running.address).await.expect("connects");
        stream.write_all(opening).await.expect("sends");
        let answer = until_closed(stream).await;
        assert!(!answer.contains(" 200 "), "{answer}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let bench = Bench::new();
    let running = started(&bench, ConnectionLimits::default()).await;
    let mut stream = TcpStream::connect(running.address).await.expect("connects");
    for _ in 0..3 {
        one_request(&mut stream).await;
    }
    assert_eq!(running.connections.accepted(), 1);
    drop(stream);
    running.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let bench = Bench::new();
    let running = started(&bench, short_idle()).await;
    let mut stream = TcpStream::connect(running.address).await.expect("connects");
    one_request(&mut stream).await;
    assert_eq!(until_closed(stream).await, "", "closed without a word");
    running.stop().await;
}

#[tokio::test]
async fn a_request_in_work_is_not_idle() {
    let bench = Bench::new();
    let running = started(&bench, short_idle()).await;
    bench.store.set(Mode::Stall);
    let mut sender = connect_h2(TcpStream::connect(running.address).await.expect("connects")).await;
    let answer = tokio::spawn(sender.send_request(export()));
    bench.store.has_begun(1).await;
    // Two other connections are closed for idling in the meantime, one after the other, so that long has passed.
    for _ in 0..2 {
        let mut other = TcpStream::connect(running.address).await.expect("connects");
        one_request(&mut other).await;
        until_closed(other).await;
    }
    bench.store.set(Mode::Store);
    assert_eq!(answer.await.expect("no panic").expect("an answer").status(), StatusCode::OK);
    running.stop().await;
}

/// An empty export and its answer, leaving the connection open.
pub(crate) async fn one_request(stream: &mut TcpStream) {
    let request =
        b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    stream.write_all(request).await.expect("sends");
    let mut answer = Vec::new();
    while !answer.ends_with(b"{}") {
        assert!(stream.read_buf(&mut answer).await.expect("reads") > 0, "closed too early");
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn an_http1_client_that_is_still_sending_gets_its_answer() {
    let settings = Settings { max_request_bytes: 10_000_000, ..Settings::default() };
    let bench = Bench::with(settings, Access::parse("a ingest * aaaaaaaaaaaaaaaaaaaa").expect("parses"));
    let running = started(&bench, ConnectionLimits::default()).await;
    let mut stream = TcpStream::connect(running.address).await.expect("connects");
    let head =
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 5000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("sends");
    // More than the sockets' buffers hold, and all of it before the answer is looked at.
    stream.write_all(&vec![b' '; 5_000_000]).await.expect("the server reads on");
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        assert!(stream.read_buf(&mut answer).await.expect("no reset") > 0, "closed without an answer");
    }
    assert!(answer.starts_with(b"HTTP/1.1 401 "), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(bench.collector.stats().in_flight_bytes(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_client_that_asks_first_need_not_send() {
    let bench = Bench::with(Settings { max_request_bytes: 10, ..Settings::default() }, Access::open());
    let running = started(&bench, ConnectionLimits::default()).await;
    let ask = |length: usize| {
        format!(
            "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    let mut refused = TcpStream::connect(running.address).await.expect("connects");
    refused.write_all(ask(11).as_bytes()).await.expect("sends");
    assert!(until_closed(refused).await.starts_with("HTTP/1.1 413 "));

    let mut taken = TcpStream::connect(running.address).await.expect("connects");
    taken.write_all(ask(2).as_bytes()).await.expect("sends");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        assert!(taken.read_buf(&mut answer).await.expect("reads") > 0);
    }
    assert_eq!(answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    taken.write_all(b"{}").await.expect("sends");
    assert!(until_closed(taken).await.starts_with("HTTP/1.1 200 OK\r\n"));
    running.stop().await;
}

#[tokio::test]
async fn too_many_connections_are_refused_and_room_is_found_again() {
    let bench = Bench::new();
    let running = started(&bench, ConnectionLimits { max_connections: 2, ..ConnectionLimits::default() }).await;
    bench.store.set(Mode::Stall);
    let mut answers = Vec::new();
    for count in 1..=2 {
        let mut sender = connect_h2(TcpStream::connect(running.address).await.expect("connects")).await;
        answers.push(tokio::spawn(async move { (sender.send_request(export()).await, sender) }));
        bench.store.has_begun(count).await;
    }
    let third = TcpStream::connect(running.address).await.expect("the kernel accepts");
    assert_eq!(until_closed(third).await, "", "both have requests in work");
    assert_eq!((running.connections.open(), running.connections.refused()), (2, 1));

    bench.store.set(Mode::Store);
    let mut senders = Vec::new();
    for answer in answers {
        let (answer, sender) = answer.await.expect("no panic");
        assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
        senders.push(sender);
    }
    senders.pop();
    while running.connections.open() > 1 {
        tokio::task::yield_now().await;
    }
    let mut fourth = connect_h2(TcpStream::connect(running.address).await.expect("connects")).await;
    assert_eq!(fourth.send_request(export()).await.expect("an answer").status(), StatusCode::OK);
    running.stop().await;
}

#[tokio::test]
async fn shutdown_finishes_what_is_in_work_and_takes_nothing_new() {
    let bench = Bench::new();
    let running = started(&bench, ConnectionLimits::default()).await;
    bench.store.set(Mode::Stall);
    let channel = Endpoint::from_shared(format!("http://{}", running.address)).expect("an address");
    let mut client = TraceServiceClient::new(channel.connect().await.expect("connects"));
    let exporting = tokio::spawn(async move { client.export(spans(&["a"])).await });
    let mut http1 = TcpStream::connect(running.address).await.expect("connects");
    let body = spans(&["b"]).encode_to_vec();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    http1.write_all(&[head.as_bytes(), &body].concat()).await.expect("sends");
    let idle = TcpStream::connect(running.address).await.expect("connects");
    bench.store.has_begun(2).await;

    running.shutdown.cancel();
    assert_eq!(until_closed(idle).await, "");
    while TcpStream::connect(running.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!running.task.is_finished(), "two exports are in work");
    bench.store.set(Mode::Store);
    exporting.await.expect("no panic").expect("taken");
    assert!(until_closed(http1).await.starts_with("HTTP/1.1 200 OK\r\n"));
    running.task.await.expect("no panic");
    assert_eq!((bench.store.rows(), running.connections.open()), (2, 0));
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let bench = Bench::new();
    let running = started(&bench, ConnectionLimits { drain_timeout: SHORT, ..ConnectionLimits::default() }).await;
    bench.store.set(Mode::Stall);
    let mut sender = connect_h2(TcpStream::connect(running.address).await.expect("connects")).await;
    let answer = tokio::spawn(sender.send_request(export()));
    bench.store.has_begun(1).await;
    running.stop().await;
    answer.await.expect("no panic").expect_err("the connection was cut");
    assert_eq!(bench.spans().in_flight, 1, "the store still has it");
}

#[tokio::test]
async fn tls_offers_both_versions_of_http() {
    let bench = Bench::new();
    let testdata = Path::new("testdata");
    let config = tls::load(&testdata.join("localhost.crt"), &testdata.join("localhost.key")).expect("loads");
    let running = Running::start(bench.router(), ConnectionLimits::default(), Some(config)).await;

    let stream = connect_tls(&running, &[b"h2"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let answer = connect_h2(stream).await.send_request(export()).await.expect("an answer");
    let trailers = answer.into_body().collect().await.expect("whole").trailers().cloned().expect("trailers");
    assert_eq!(trailers["grpc-status"], "0");

    let mut stream = connect_tls(&running, &[b"http/1.1"]).await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("sends");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("closes properly");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");

    let mut plain = TcpStream::connect(running.address).await.expect("connects");
    plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sends");
    assert!(!until_closed(plain).await.contains("200"));
    assert_eq!(bench.store.rows(), 1);
    running.stop().await;
}

async fn connect_tls(running: &Running, protocols: &[&[u8]]) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let certificate = Path::new("testdata/localhost.crt");
    roots.add(CertificateDer::from_pem_file(certificate).expect("PEM")).expect("a certificate");
    let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    let stream = TcpStream::connect(running.address).await.expect("connects");
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake")
}

async fn connect_h2<S>(stream: S) -> hyper::client::conn::http2::SendRequest<Body>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(stream);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

/// A gRPC export of one span.
fn export() -> Request<Body> {
    Request::post("http://localhost/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::from(framed(0, &spans(&["a"]).encode_to_vec())))
        .expect("a request")
}
