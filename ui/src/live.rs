//! `GET /api/v1/live`: server-sent events, one a second, so that a page can follow without polling.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::Stream;

use crate::{Reader, Server};

const EVERY: Duration = Duration::from_secs(1);

pub async fn stream(State(server): State<Server>, _: Reader) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = tokio::time::interval(EVERY);
    let events = futures::stream::unfold((server, ticks), |(server, mut ticks)| async move {
        ticks.tick().await;
        let event = Event::default().event("status").json_data(server.health.pulse()).unwrap_or_default();
        Some((Ok(event), (server, ticks)))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}
