//! Known attacks on HTTP/2, frame by frame as no client library would send them. The server ends the connection.

use hotspan_collector::ConnectionLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Honest;
use crate::support::{Bench, Running};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `POST /` over http to the authority `x`, by HPACK's static table (RFC 7541, appendix A).
const REQUEST: [u8; 6] = [0x83, 0x86, 0x84, 0x41, 1, b'x'];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Sends the frames and returns what came back before the server closed, as (type, stream, payload).
async fn frames_until_closed(running: &Running, sent: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
    let stream = TcpStream::connect(running.address).await.expect("connects");
    let (mut reading, mut writing) = stream.into_split();
    let sent = [PREFACE, &frame(SETTINGS, 0, 0, &[]), sent].concat();
    // The server may close before it has taken everything.
    let sending = tokio::spawn(async move {
        let _ = writing.write_all(&sent).await;
        writing
    });
    let mut bytes = Vec::new();
    let _ = reading.read_to_end(&mut bytes).await;
    sending.abort();
    let mut frames = Vec::new();
    let mut rest = bytes.as_slice();
    while rest.len() >= 9 {
        let length = u32::from_be_bytes([0, rest[0], rest[1], rest[2]]) as usize;
        let stream = u32::from_be_bytes([rest[5], rest[6], rest[7], rest[8]]);
        frames.push((rest[3], stream, rest[9..].iter().take(length).copied().collect()));
        rest = rest.get(9 + length..).unwrap_or_default();
    }
    frames
}

/// The error code of the GOAWAY that ended a connection.
fn goodbye(frames: &[(u8, u32, Vec<u8>)]) -> u32 {
    let (_, _, payload) = frames.iter().rev().find(|(kind, ..)| *kind == GOAWAY).expect("a GOAWAY");
    u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]])
}

#[tokio::test]
async fn streams_opened_and_reset_in_a_row_end_the_connection() {
    let bench = Bench::new();
    let running = Running::start(bench.router(), ConnectionLimits::default(), None).await;
    let mut honest = Honest::connect(&running).await;
    let mut sent = Vec::new();
    for stream in (1..10_000).step_by(2) {
        sent.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &REQUEST));
        sent.extend(frame(RESET, 0, stream, &8u32.to_be_bytes()));
    }
    for _ in 0..5 {
        let attack = frames_until_closed(&running, &sent);
        let (frames, ()) = tokio::join!(attack, honest.exports(10));
        assert_eq!(goodbye(&frames), 11, "ENHANCE_YOUR_CALM: {frames:?}");
    }
    honest.finds_everything(&bench);
    running.stop().await;
}

#[tokio::test]
async fn headers_that_never_end_end_the_connection() {
    let bench = Bench::new();
    let running = Running::start(bench.router(), ConnectionLimits::default(), None).await;
    let mut honest = Honest::connect(&running).await;
    let mut sent = frame(HEADERS, END_STREAM, 1, &REQUEST);
    // A literal header field without indexing: name "a", value of 100 bytes.
    let field = [&[0, 1, b'a', 100], [b'v'; 100].as_slice()].concat();
    for _ in 0..10_000 {
        sent.extend(frame(CONTINUATION, 0, 1, &field));
    }
    let (frames, ()) = tokio::join!(frames_until_closed(&running, &sent), honest.exports(10));
    assert_ne!(goodbye(&frames), 0, "{frames:?}");
    honest.finds_everything(&bench);
    running.stop().await;
}

/// Whether the stream was refused alone (RST_STREAM, or an answer 431) or the whole connection was ended.
fn is_turned_down(frames: &[(u8, u32, Vec<u8>)]) -> bool {
    // `:status: 431` is a literal in HPACK; 200 would be the indexed 0x88.
    let answered = frames.iter().any(|(kind, _, block)| *kind == HEADERS && block.first() == Some(&0x88));
    !answered && frames.iter().any(|(kind, ..)| matches!(*kind, RESET | GOAWAY | HEADERS))
}

/// One byte of HPACK stands for a field of 4 KB that was sent once: 16 KB on the wire, 64 MB in memory.
#[tokio::test]
async fn a_header_block_that_unpacks_to_megabytes_is_turned_down() {
    let bench = Bench::new();
    let limits =
        ConnectionLimits { idle_timeout: std::time::Duration::from_millis(300), ..ConnectionLimits::default() };
    let running = Running::start(bench.router(), limits, None).await;
    let mut honest = Honest::connect(&running).await;
    // A literal with incremental indexing, name "a", a value of 4,000 bytes; then its index, 62, over and over.
    let value = [&[0x40, 1, b'a', 0x7f, 0xa1, 0x1e], [b'v'; 4000].as_slice()].concat();
    let block = [REQUEST.as_slice(), &value, &[0x80 | 62; 12_000]].concat();
    let sent = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block);
    let (frames, ()) = tokio::join!(frames_until_closed(&running, &sent), honest.exports(10));
    assert!(is_turned_down(&frames), "{frames:?}");
    honest.finds_everything(&bench);
    running.stop().await;
}

/// A header list of 200 KB that is sent in good order.
#[tokio::test]
async fn headers_beyond_the_limit_are_turned_down() {
    let bench = Bench::new();
    let limits =
        ConnectionLimits { idle_timeout: std::time::Duration::from_millis(300), ..ConnectionLimits::default() };
    let running = Running::start(bench.router(), limits, None).await;
    let mut honest = Honest::connect(&running).await;
    let field = [&[0, 1, b'a', 100], [b'v'; 100].as_slice()].concat();
    let mut sent = frame(HEADERS, END_STREAM, 1, &REQUEST);
    for _ in 0..16 {
        sent.extend(frame(CONTINUATION, 0, 1, &field.repeat(125)));
    }
    sent.extend(frame(CONTINUATION, END_HEADERS, 1, &field));
    let (frames, ()) = tokio::join!(frames_until_closed(&running, &sent), honest.exports(10));
    assert!(is_turned_down(&frames), "{frames:?}");
    honest.finds_everything(&bench);
    running.stop().await;
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused() {
    let bench = Bench::new();
    let limits =
        ConnectionLimits { drain_timeout: std::time::Duration::from_millis(200), ..ConnectionLimits::default() };
    let running = Running::start(bench.router(), limits, None).await;
    // None of them ends, so all of them stay open.
    let sent: Vec<u8> = (1..=401).step_by(2).flat_map(|stream| frame(HEADERS, END_HEADERS, stream, &REQUEST)).collect();
    let shutdown = running.shutdown.clone();
    let mut stream = TcpStream::connect(running.address).await.expect("connects");
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[]), &sent].concat()).await.expect("sends");
    let mut seen = Vec::new();
    // REFUSED_STREAM (7) for the 129th, that is stream 257.
    let refusal = frame(RESET, 0, 257, &7u32.to_be_bytes());
    while !seen.windows(refusal.len()).any(|window| window == refusal) {
        assert!(stream.read_buf(&mut seen).await.expect("reads") > 0, "closed without refusing: {seen:?}");
    }
    drop(stream);
    shutdown.cancel();
    running.task.await.expect("no panic");
}
