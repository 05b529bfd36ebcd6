//! The registered analyses and the metric series over HTTP: `GET /api/v1/<name>?start=&end=&…`.

use axum::Json;
use axum::extract::{Path, Query, State};
use query::analysis;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::{Reader, Server};

type Parameters = Query<Vec<(String, String)>>;

pub async fn list(_: Reader) -> Json<Value> {
    let one = |a: &analysis::Analysis| json!({"name": a.name, "title": {"en": a.title.0, "zh": a.title.1}, "doc": a.doc, "parameters": a.parameters});
    Json(analysis::all().iter().map(one).collect())
}

pub async fn run(
    State(server): State<Server>,
    Reader(tenant): Reader,
    Path(name): Path<String>,
    Query(parameters): Parameters,
) -> Answer<Json<Value>> {
    Ok(Json(analysis::run(&server.engine, &tenant, &name, &parameters).await?))
}

pub async fn metric_names(
    State(server): State<Server>,
    Reader(tenant): Reader,
    Query(parameters): Parameters,
) -> Answer<Json<Value>> {
    Ok(Json(server.engine.metric_names(&tenant, &parameters).await?))
}

pub async fn metric_series(
    State(server): State<Server>,
    Reader(tenant): Reader,
    Query(parameters): Parameters,
) -> Answer<Json<Value>> {
    Ok(Json(server.engine.metric_series(&tenant, &parameters).await?))
}
