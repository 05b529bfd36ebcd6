//! The accept loop that gRPC, OTLP/HTTP and the web address share, with the limits that a server facing strangers
//! needs and `axum::serve` does not set.
//!
//! ```text
//!   accept ──too many?──▶ closed, or another one is ([`door`])
//!     │                                 ┌─ first request late ─┐
//!     └──▶ [TLS, ALPN] ──▶ HTTP/1.1 or HTTP/2 ── idle too long ─┼─▶ graceful close ──drain_timeout──▶ cut
//!                                       └─ shutdown ───────────┘
//! ```
//! *Invariants:* every wait for a peer has an end. At shutdown the socket closes first, then requests in work
//! finish, then [`serve`] returns.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::settings::ConnectionLimits;
use crate::stats::Connections;

mod activity;
mod connection;
mod door;

use door::{Door, Seat};

/// A TLS handshake takes two round trips; a peer that needs longer is not one.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// After an error of `accept` that is not one connection's, such as no more file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Streams a peer may have open on one HTTP/2 connection. gRPC clients queue what goes beyond.
const MAX_STREAMS: u32 = 128;

/// Names and values of an HTTP/2 request's headers, in bytes as HPACK counts them.
const MAX_HEADERS: u32 = 16 << 10;

/// HTTP/1's read buffer: bounds a request's head, and how much of a body is read at once.
const HTTP1_BUFFER: usize = 64 << 10;

/// Streams opened and reset by the peer that we have not looked at yet (CVE-2023-44487, "rapid reset").
const MAX_PENDING_RESETS: usize = 20;

/// Resets that a peer may provoke us to send (CVE-2025-8671, "made you reset").
const MAX_LOCAL_RESETS: usize = 1024;

/// Largest frame of a body. An export of usual size then comes in one, which saves both sides a dozen system calls.
const MAX_FRAME: u32 = 256 << 10;
/// Unread bytes a peer may send on one stream and on one connection. A connection's is the most that a refused
/// client can make us hold outside of the in-flight budget.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 512 << 10;

/// Bytes of answers that one HTTP/2 stream may buffer.
const SEND_BUFFER: usize = 256 << 10;

/// Pings find HTTP/2 peers that vanished without closing.
const PING_EVERY: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(20);

/// Serves `router` until `shutdown`, then until requests in work are done, at most `limits.drain_timeout` longer.
///
/// Speaks HTTP/1.1 and HTTP/2, by ALPN over TLS and by prior knowledge without. Requests carry the peer's address
/// as `axum::extract::ConnectInfo<SocketAddr>`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<ServerConfig>>,
    limits: ConnectionLimits,
    connections: Arc<Connections>,
    shutdown: CancellationToken,
) {
    let server = Arc::new(Server {
        builder: builder(&limits),
        router,
        tls: tls.map(TlsAcceptor::from),
        door: Door::new(limits.max_connections, connections.clone()),
        limits,
        connections,
        shutdown,
    });
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = server.shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => server.clone().start(stream, peer, &tasks),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

/// What all connections of one listener share.
struct Server {
    builder: Builder<TokioExecutor>,
    router: Router,
    tls: Option<TlsAcceptor>,
    limits: ConnectionLimits,
    door: Arc<Door>,
    connections: Arc<Connections>,
    shutdown: CancellationToken,
}

impl Server {
    fn start(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, tasks: &TaskTracker) {
        let Some(seat) = self.door.enter(peer.ip()) else { return };
        tasks.spawn(async move { self.handshake_and_serve(stream, peer, seat).await });
    }

    async fn handshake_and_serve(&self, stream: TcpStream, peer: SocketAddr, seat: Seat) {
        // Answers are small and complete: waiting for more to send along would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "setting TCP_NODELAY");
        }
        let Some(tls) = &self.tls else {
            return self.serve(stream, peer, &seat).await;
        };
        let handshake = tokio::select! {
            handshake = tokio::time::timeout(HANDSHAKE, tls.accept(stream)) => handshake,
            () = seat.given_away() => return,
            () = self.shutdown.cancelled() => return,
        };
        match handshake {
            Ok(Ok(stream)) => self.serve(stream, peer, &seat).await,
            failed => {
                self.connections.handshakes_failed.fetch_add(1, Ordering::Relaxed);
                let error = failed
                    .map_or_else(|_| "timed out".to_owned(), |r| r.err().map_or_else(String::new, |e| e.to_string()));
                tracing::debug!(%peer, error, "TLS handshake failed");
            }
        }
    }
}

fn builder(limits: &ConnectionLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // hyper starts this clock at the end of the previous answer, so it has to allow for idling.
        .header_read_timeout(limits.idle_timeout)
        .max_buf_size(HTTP1_BUFFER)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADERS)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_RESETS)
        .max_frame_size(MAX_FRAME)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN);
    builder
}

/// The peer gave up between connecting and being accepted; the listener is fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
