//! `GET /api/v1/traces/{trace_id}`: all spans of one trace.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use model::{Error, TraceId};
use serde_json::Value;

use crate::answer::Answer;
use crate::{Reader, Server};

const DEFAULT_SPANS: usize = 10_000;
const MOST_SPANS: usize = 200_000;

pub async fn one(
    State(server): State<Server>,
    Reader(tenant): Reader,
    Path(id): Path<String>,
    Query(parameters): Query<BTreeMap<String, String>>,
) -> Answer<Json<Value>> {
    let id: TraceId = id.parse()?;
    let limit = match parameters.get("limit") {
        None => DEFAULT_SPANS,
        Some(text) => text.parse().map_err(|_| Error::invalid(format!("limit {text:?} is not a number")))?,
    };
    let trace = server.engine.trace(&tenant, id, limit.clamp(1, MOST_SPANS)).await?;
    Ok(Json(trace))
}
