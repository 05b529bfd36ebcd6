//! The life of one connection after its handshake.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use futures::FutureExt;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep_until;
use tower::Service;

use crate::listen::Server;
use crate::listen::activity::{Activity, Busy, cut_at};
use crate::listen::door::Seat;

impl Server {
    /// Serves requests until the peer closes, the connection has been quiet for too long, its place is given away, or
    /// shutdown.
    pub(super) async fn serve<S>(&self, stream: S, peer: SocketAddr, seat: &Seat)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Activity::start(seat);
        let service = service_fn(|request| self.answer(request, peer, &activity));
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);

        let mut closing = None;
        loop {
            let quiet_at = activity.quiet_at(&self.limits);
            tokio::select! {
                served = connection.as_mut() => {
                    if let Err(error) = served {
                        tracing::debug!(%peer, error, "connection ended early");
                    }
                    return;
                }
                () = seat.given_away() => {
                    tracing::debug!(%peer, "connection closed to make room for another");
                    // Says goodbye as far as that needs no waiting: somebody has the place already.
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.as_mut().now_or_never();
                    return;
                }
                () = self.shutdown.cancelled(), if closing.is_none() => {
                    closing = Some(cut_at(&self.limits));
                    connection.as_mut().graceful_shutdown();
                }
                () = sleep_until(quiet_at), if closing.is_none() => {
                    if activity.quiet_at(&self.limits) <= quiet_at {
                        closing = Some(cut_at(&self.limits));
                        connection.as_mut().graceful_shutdown();
                    }
                }
                () = sleep_until(closing.unwrap_or(quiet_at)), if closing.is_some() => {
                    if self.shutdown.is_cancelled() || !activity.is_busy() {
                        tracing::debug!(%peer, "connection cut: it did not close in time");
                        return;
                    }
                    // A request slipped in just before a quiet connection was told to close.
                    closing = Some(cut_at(&self.limits));
                }
            }
        }
    }

    fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: SocketAddr,
        activity: &Activity,
    ) -> impl Future<Output = Result<Response<Busy>, Infallible>> + Send + use<> {
        let in_work = activity.begin();
        request.extensions_mut().insert(ConnectInfo(peer));
        let answering = self.router.clone().call(request);
        async move {
            let response = answering.await?;
            Ok(response.map(|body| Busy::until_sent(body, in_work)))
        }
    }
}
