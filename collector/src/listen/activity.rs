//! Whether a connection has requests in work, and since when it has none.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::listen::door::{Door, Seat};
use crate::settings::ConnectionLimits;

/// Shared by a connection and its requests.
#[derive(Clone)]
pub(super) struct Activity(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// Is told, since who has nothing in work goes first when places are short.
    door: Arc<Door>,
    number: u64,
}

struct State {
    in_work: usize,
    /// None before the first request.
    last_ended: Option<Instant>,
    since: Instant,
}

impl Activity {
    pub fn start(seat: &Seat) -> Self {
        let (door, number) = seat.door();
        let state = State { in_work: 0, last_ended: None, since: Instant::now() };
        Activity(Arc::new(Inner { state: Mutex::new(state), door, number }))
    }

    /// A request is in work until its answer has been sent or dropped.
    pub fn begin(&self) -> InWork {
        let mut state = self.state();
        state.in_work += 1;
        if state.in_work == 1 {
            self.0.door.note(self.0.number, true);
        }
        drop(state);
        InWork(self.clone())
    }

    /// When the connection has been quiet for too long, if nothing more comes. A busy one is looked at again after
    /// a whole idle time.
    pub fn quiet_at(&self, limits: &ConnectionLimits) -> Instant {
        let state = self.state();
        match state.last_ended {
            _ if state.in_work > 0 => Instant::now() + limits.idle_timeout,
            None => state.since + limits.header_timeout,
            Some(ended) => ended + limits.idle_timeout,
        }
    }

    pub fn is_busy(&self) -> bool {
        self.state().in_work > 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding it.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request in work.
pub(super) struct InWork(Activity);

impl Drop for InWork {
    fn drop(&mut self) {
        let Activity(inner) = &self.0;
        let mut state = self.0.state();
        state.in_work = state.in_work.saturating_sub(1);
        state.last_ended = Some(Instant::now());
        inner.door.note(inner.number, state.in_work > 0);
    }
}

/// An answer's body that keeps its connection busy until it is sent.
pub(super) struct Busy {
    body: Body,
    _in_work: InWork,
}

impl Busy {
    pub fn until_sent(body: Body, in_work: InWork) -> Self {
        Busy { body, _in_work: in_work }
    }
}

impl http_body::Body for Busy {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How long after a graceful close began the rest is cut.
pub(super) fn cut_at(limits: &ConnectionLimits) -> Instant {
    Instant::now() + limits.drain_timeout.max(Duration::from_millis(1))
}
