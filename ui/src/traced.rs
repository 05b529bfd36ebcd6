//! hotspan's own spans: one for each request of the API, by OpenTelemetry's conventions for HTTP servers, and in it one
//! for each question to the engine. The program sends them where `--self-endpoint` says; without it they are nothing.
//! Receiving an export makes no span, so a server that sends to itself does not feed on itself.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use model::{Result, Tenant};
use opentelemetry::trace::{FutureExt, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, global};

const SCOPE: &str = "hotspan";

pub async fn traced(request: Request, next: Next) -> Response {
    let method = request.method().to_string();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let tracer = global::tracer(SCOPE);
    let span = tracer
        .span_builder(format!("{method} {route}"))
        .with_kind(SpanKind::Server)
        .with_attributes([
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route),
            KeyValue::new("url.path", request.uri().path().to_owned()),
        ])
        .start(&tracer);
    let context = Context::current_with_span(span);
    let response = next.run(request).with_context(context.clone()).await;
    let status = response.status();
    context.span().set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    if status.is_server_error() {
        context.span().set_status(Status::error(""));
    }
    response
}

/// Asks the engine within a span: what is asked, for whom, and how many rows the answer has, which `rows` counts. What
/// a statement says stays out: these spans belong to whoever runs the server, not to the tenant that asked.
pub async fn question<T>(
    name: &str,
    tenant: &Tenant,
    work: impl Future<Output = Result<T>>,
    rows: impl FnOnce(&T) -> u64,
) -> Result<T> {
    let tracer = global::tracer(SCOPE);
    let tenant = KeyValue::new("hotspan.tenant", tenant.to_string());
    let span = tracer.span_builder(name.to_owned()).with_attributes([tenant]).start(&tracer);
    let context = Context::current_with_span(span);
    let outcome = work.with_context(context.clone()).await;
    let span = context.span();
    match &outcome {
        Ok(answer) => span.set_attribute(KeyValue::new("hotspan.rows", rows(answer) as i64)),
        Err(error) => {
            span.set_attribute(KeyValue::new("error.type", error.kind.name()));
            span.set_status(Status::error(""));
        }
    }
    outcome
}
