//! `GET /api/v1/traces/{trace_id}`: all spans of one trace.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use model::{Error, TraceId};
use query::trace::DEFAULT_LIMIT;
use serde_json::Value;

use crate::answer::Answer;
use crate::{Reader, Server, traced};

pub async fn one(
    State(server): State<Server>,
    Reader(tenant): Reader,
    Path(id): Path<String>,
    Query(parameters): Query<BTreeMap<String, String>>,
) -> Answer<Json<Value>> {
    let id: TraceId = id.parse()?;
    let limit = match parameters.get("limit") {
        None => DEFAULT_LIMIT,
        Some(text) => text.parse().map_err(|_| Error::invalid(format!("limit {text:?} is not a number")))?,
    };
    let question = server.engine.trace(&tenant, id, limit);
    let spans = |trace: &Value| trace["spans"].as_array().map_or(0, Vec::len) as u64;
    Ok(Json(traced::question("trace", &tenant, question, spans).await?))
}
