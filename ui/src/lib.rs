//! The web address: the page, the HTTP API under it, health and metrics.
//!
//! ```text
//!   browser, curl, Grafana ──▶ access ──▶ sql · analyses · traces · metrics · status ──▶ query
//! ```
//! *Architecture invariants:* writes nothing but stress-test runs; knows the store and the collector only through
//! [`Health`] and `model::run::Runs`. Every path that tells anything of the data, and `/metrics`, asks `model::access`
//! first; the page's files hold none and need no token.
//! What may change something answers our own page and programs, no page of another site (`origin`).

mod analyses;
mod answer;
mod assets;
mod handover;
mod login;
mod openapi;
mod origin;
mod runs;
mod sql;
mod traced;
mod traces;
mod unbuilt;

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use model::access::{Access, Scope};
use model::run::Runs;
use model::{Error, Kind, Tenant};
use query::Engine;
use serde_json::Value;
use tower_http::compression::CompressionLayer;

use answer::{Answer, Failure};
use handover::Handover;

/// What the rest of the program tells about itself.
pub trait Health: Send + Sync + 'static {
    /// The answer of `GET /api/v1/status`.
    fn status(&self) -> Value;
    /// Prometheus text format.
    fn metrics(&self) -> String;
}

/// What every handler shares.
#[derive(Clone)]
struct Server {
    engine: Arc<Engine>,
    access: Arc<Access>,
    health: Arc<dyn Health>,
    runs: Arc<dyn Runs>,
    handover: Handover,
}

/// The tenant that a request may read.
struct Reader(Tenant);

impl FromRequestParts<Server> for Reader {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, Failure> {
        let org = parts.headers.get("x-scope-orgid").and_then(|v| v.to_str().ok());
        let token = login::authorization(&parts.headers);
        let tenant = server.access.authorize(token.as_deref(), org, Scope::Read)?;
        Ok(Reader(tenant))
    }
}

/// Under which names the address may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    Any,
    /// Addresses and `localhost`: for an address that is open because only this machine reaches it.
    ThisMachine,
}

/// Everything that the web address answers.
pub fn router(
    engine: Arc<Engine>,
    access: Arc<Access>,
    health: Arc<dyn Health>,
    runs: Arc<dyn Runs>,
    names: Names,
) -> Router {
    // Two of the largest answers at once, besides those that are being made.
    let handover = Handover::new(2 * engine.settings().max_bytes);
    let server = Server { engine, access, health, runs, handover };
    let api = Router::new()
        .route("/status", get(status))
        .route("/login", post(login::login))
        .route("/logout", post(login::logout))
        .route("/sql", post(sql::run))
        .route("/schema", get(sql::schema))
        .route("/analyses", get(analyses::list))
        .route("/traces/{trace_id}", get(traces::one))
        .route("/metrics/names", get(analyses::metric_names))
        .route("/metrics/series", get(analyses::metric_series))
        .route("/runs", get(runs::list).post(runs::begin))
        .route("/runs/compare", get(runs::compare))
        .route("/runs/{id}", get(runs::one).patch(runs::change).delete(runs::delete))
        .route("/runs/{id}/marks", post(runs::mark))
        .route("/openapi.json", get(openapi::document))
        .route("/{analysis}", get(analyses::run))
        .fallback(unknown)
        .layer(middleware::from_fn(origin::same))
        .layer(middleware::from_fn(never_stored))
        .layer(middleware::from_fn(traced::traced));
    let all = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(|| async { "ready\n" }))
        .route("/metrics", get(metrics))
        .nest("/api/v1", api)
        .route("/api/{*rest}", get(unknown).post(unknown))
        .route("/jaeger/{*rest}", get(unbuilt::unbuilt))
        .route("/tempo/{*rest}", get(unbuilt::unbuilt))
        .route("/prometheus/{*rest}", get(unbuilt::unbuilt).post(unbuilt::unbuilt))
        .fallback(get(assets::serve))
        .layer(CompressionLayer::new().gzip(true))
        .with_state(server);
    match names {
        Names::Any => all,
        Names::ThisMachine => all.layer(middleware::from_fn(origin::own_name)),
    }
}

async fn status(State(server): State<Server>, _: Reader) -> Json<Value> {
    Json(server.health.status())
}

async fn metrics(State(server): State<Server>, _: Reader) -> Response {
    let media = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, media)], server.health.metrics()).into_response()
}

async fn unknown(request: Request) -> Answer<()> {
    let path = request.uri().path().to_owned();
    Err(Error::new(Kind::NotFound, format!("nothing is at {path}"))
        .hint("GET /api/v1/openapi.json lists what there is")
        .into())
}

/// Answers change with every export; nobody may keep them.
async fn never_stored(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        return explained(response);
    }
    response
}

/// The router's own answer, with its headers, says nothing in words.
fn explained(response: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    let error = Error::new(Kind::Invalid, "this path does not take this method");
    let (words, body) = Failure(error).into_response().into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(words.headers);
    Response::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use tower::ServiceExt;

    #[tokio::test]
    async fn a_method_that_a_path_does_not_take_is_told_like_any_error() {
        let path = Router::new().route("/sql", post(|| async {})).layer(middleware::from_fn(never_stored));
        let all = Router::new().nest("/api/v1", path).layer(CompressionLayer::new().gzip(true));
        let request = Request::put("/api/v1/sql").body(Body::empty()).expect("a request");
        let response = all.oneshot(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        let headers = response.headers().clone();
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        assert_eq!(text(header::ALLOW), Some("POST"));
        assert_eq!(text(header::CACHE_CONTROL), Some("no-store"));
        assert_eq!(text(header::X_CONTENT_TYPE_OPTIONS), Some("nosniff"));
        assert_eq!(text(header::CONTENT_TYPE), Some("application/json"));
        let body = to_bytes(response.into_body(), 1 << 10).await.expect("a body");
        if let Some(length) = text(header::CONTENT_LENGTH) {
            assert_eq!(length, body.len().to_string());
        }
        let told: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(told["error"]["kind"], "invalid", "{told}");
    }
}
