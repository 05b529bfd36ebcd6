//! Many connections that do little: they are closed in time, hold little meanwhile, and give way to others.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use hotspan_collector::{ConnectionLimits, Settings};
use http::Request;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::access::Access;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::Honest;
use crate::listen::one_request;
use crate::support::{Bench, Running};

const MIB: u64 = 1 << 20;

/// The honest come from 127.0.0.1.
async fn attacker(running: &Running) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 2], 0).into()).expect("an address of this machine");
    socket.connect(running.address).await.expect("connects")
}

async fn connections(running: &Running, count: usize, sent: &[u8]) -> Vec<TcpStream> {
    let mut streams = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = attacker(running).await;
        // One that was closed at once may say so already.
        let _ = stream.write_all(sent).await;
        streams.push(stream);
    }
    streams
}

/// Returns once at most `count` connections are open.
async fn shrinks_to(running: &Running, count: u64) {
    while running.connections.open() > count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn headers_sent_a_byte_at_a_time_hold_nothing_for_long() {
    let bench = Bench::new();
    let limits = ConnectionLimits {
        header_timeout: Duration::from_millis(400),
        drain_timeout: Duration::from_millis(100),
        ..ConnectionLimits::default()
    };
    let running = Running::start(bench.router(), limits, None).await;
    let mut honest = Honest::connect(&running).await;
    honest.exports(1).await;
    let mut slow = connections(&running, 400, b"POST /v1/traces HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    let trickle = async {
        // Until all are closed. A byte now and then does not prolong their lives.
        while running.connections.open() > 1 {
            for stream in &mut slow {
                let _ = stream.write_all(b"a").await;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(trickle, honest.exports(50));
    assert_eq!(bench.collector.stats().in_flight_bytes(), 0);
    honest.finds_everything(&bench);
    running.stop().await;
}

#[tokio::test]
async fn idle_connections_leave_room_for_those_who_are_at_work() {
    let bench = Bench::new();
    let limits = ConnectionLimits {
        max_connections: 1500,
        header_timeout: Duration::from_millis(800),
        drain_timeout: Duration::from_millis(100),
        ..ConnectionLimits::default()
    };
    let running = Running::start(bench.router(), limits, None).await;
    let mut honest = Honest::connect(&running).await;
    honest.exports(1).await;
    let mut idle = Vec::new();
    for _ in 0..2000 {
        idle.push(attacker(&running).await);
    }
    honest.exports(20).await;
    assert!(running.connections.open() <= 1500, "{}", running.connections.open());
    assert_eq!(bench.collector.stats().in_flight_bytes(), 0);
    shrinks_to(&running, 1).await;
    // Nobody had to go for it: the door is open again.
    let mut newcomer = Honest::connect(&running).await;
    newcomer.exports(1).await;
    honest.exports(20).await;
    // The newcomer's first export is the same as the other's, and recognised.
    honest.finds_everything(&bench);
    drop(idle);
    running.stop().await;
}

/// A door that is soon full, and patient with those inside.
fn narrow() -> ConnectionLimits {
    ConnectionLimits { max_connections: 60, drain_timeout: Duration::from_millis(100), ..ConnectionLimits::default() }
}

/// Returns once the door has seen so many.
async fn has_seen(running: &Running, count: u64) {
    while running.connections.accepted() + running.connections.refused() < count {
        tokio::task::yield_now().await;
    }
}

/// The whole door held by one address that was cheaply let in: by doing nothing more, or by headers without end.
#[tokio::test]
async fn connections_that_do_nothing_after_a_request_make_room_for_a_newcomer() {
    for then in [b"".as_slice(), b"POST /v1/traces HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        let bench = Bench::new();
        let running = Running::start(bench.router(), narrow(), None).await;
        let mut held = connections(&running, 60, b"").await;
        for stream in &mut held {
            one_request(stream).await;
            stream.write_all(then).await.expect("sends");
        }
        assert_eq!(running.connections.open(), 60);
        let mut newcomer = Honest::connect(&running).await;
        newcomer.exports(20).await;
        // The attacker comes back, more than once for each place; who has one elsewhere keeps it.
        held.extend(connections(&running, 150, b"").await);
        has_seen(&running, 211).await;
        newcomer.exports(20).await;
        assert_eq!((running.connections.accepted(), running.connections.refused()), (211, 0));
        assert_eq!(running.connections.open(), 60);
        newcomer.finds_everything(&bench);
        running.stop().await;
    }
}

/// All of them have a request in work, of which hardly anything comes.
#[tokio::test]
async fn one_address_does_not_hold_the_whole_door_with_requests_in_work() {
    let bench = tight();
    let running = Running::start(bench.router(), narrow(), None).await;
    let mut held = promising(&running, 60).await;
    while bench.collector.stats().in_flight_bytes() < 60 * (256 << 10) {
        tokio::task::yield_now().await;
    }
    let mut newcomer = Honest::connect(&running).await;
    newcomer.exports(20).await;
    held.extend(connections(&running, 150, b"").await);
    has_seen(&running, 211).await;
    newcomer.exports(20).await;
    assert_eq!(running.connections.accepted(), 61, "the attacker itself is not let in for what it has in work");
    newcomer.finds_everything(&bench);
    running.stop().await;
}

fn tight() -> Bench {
    let settings = Settings { max_request_bytes: 16 * MIB, max_in_flight_bytes: 32 * MIB, ..Settings::default() };
    Bench::with(settings, Access::open())
}

/// Does not wait long for those who are still at it when it stops.
async fn impatient(bench: &Bench) -> Running {
    let limits = ConnectionLimits { drain_timeout: Duration::from_millis(100), ..ConnectionLimits::default() };
    Running::start(bench.router(), limits, None).await
}

/// Connections that each promise a body of 16 MiB and send its first hundred bytes.
async fn promising(running: &Running, count: usize) -> Vec<TcpStream> {
    let head = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
        content-length: 16777216\r\n\r\n";
    connections(running, count, &[head.as_slice(), &[0x0a; 100]].concat()).await
}

/// Each promises 16 MiB, of which two fit.
#[tokio::test]
async fn bodies_that_are_promised_and_do_not_come_give_way() {
    let bench = tight();
    let running = impatient(&bench).await;
    let mut honest = Honest::connect(&running).await;
    let slow = promising(&running, 100).await;
    while bench.collector.stats().in_flight_bytes() < 20 * MIB {
        tokio::task::yield_now().await;
    }
    honest.exports(50).await;
    assert!(bench.collector.stats().in_flight_bytes() <= 32 * MIB);
    honest.finds_everything(&bench);
    drop(slow);
    running.stop().await;
}

/// The same with so many that even what little each of them holds is everything there is.
#[tokio::test]
async fn slow_bodies_are_cut_when_others_wait() {
    let bench = tight();
    let running = impatient(&bench).await;
    let mut honest = Honest::connect(&running).await;
    let mut slow = promising(&running, 140).await;
    // 258 KiB each: what is there for newcomers is full once no more fits.
    while bench.collector.stats().in_flight_bytes() < 24 * MIB - (258 << 10) {
        tokio::task::yield_now().await;
    }
    // None of them has been slow for long at first, so the first tries may be in vain.
    honest.exports_at_last().await;
    honest.exports(50).await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") && slow[0].read_buf(&mut answer).await.is_ok_and(|read| read > 0) {}
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after"), "{answer}");
    assert!(bench.collector.stats().in_flight_bytes() <= 32 * MIB);
    honest.finds_everything(&bench);
    running.stop().await;
}

/// gRPC calls declare their message's length in five bytes; one connection carries a hundred of them.
#[tokio::test]
async fn calls_that_declare_much_and_send_nothing_give_way() {
    let bench = tight();
    let running = impatient(&bench).await;
    let mut honest = Honest::connect(&running).await;
    let stream = TcpStream::connect(running.address).await.expect("connects");
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let mut calls = Vec::new();
    for _ in 0..100 {
        // A message of 16 MiB begins, and nothing follows.
        let begun = Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[0, 1, 0, 0, 0, 7])));
        let body = StreamBody::new(stream::iter([begun]).chain(stream::pending()));
        let request = Request::post("http://x/opentelemetry.proto.collector.trace.v1.TraceService/Export");
        let request = request.header("content-type", "application/grpc").body(body).expect("a request");
        calls.push(tokio::spawn(sender.clone().send_request(request)));
    }
    while bench.collector.stats().in_flight_bytes() < 20 * MIB {
        tokio::task::yield_now().await;
    }
    honest.exports(50).await;
    assert!(bench.collector.stats().in_flight_bytes() <= 32 * MIB);
    honest.finds_everything(&bench);
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    connection.abort();
    running.stop().await;
}
