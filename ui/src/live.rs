//! `GET /api/v1/live`: server-sent events, one a second, so that a page can follow without polling.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::Stream;
use serde_json::json;

use crate::{Reader, Server};

const EVERY: Duration = Duration::from_secs(1);

pub async fn stream(State(server): State<Server>, _: Reader) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = tokio::time::interval(EVERY);
    let events = futures::stream::unfold((server, ticks), |(server, mut ticks)| async move {
        ticks.tick().await;
        let status = server.health.status();
        let event = json!({
            "spans_per_s": status["rates"]["spans_per_s"],
            "exports_per_s": status["rates"]["exports_per_s"],
            "in_flight": status["ledger"]["spans"]["in_flight"],
        });
        let event = Event::default().event("status").data(event.to_string());
        Some((Ok(event), (server, ticks)))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}
