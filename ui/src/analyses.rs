//! The registered analyses and the metric series over HTTP: `GET /api/v1/<name>?start=&end=&…`. With `format=` an analysis
//! answers in another form, where it has one.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use query::analysis;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::{Reader, Server, traced};

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
) -> Answer<Response> {
    let export = analysis::export(&name, &parameters)?;
    let span = format!("analysis {name}");
    let rows = |answer: &Value| answer["meta"]["rows"].as_u64().unwrap_or(0);
    let question = analysis::run(&server.engine, &tenant, &name, &parameters);
    let answer = traced::question(&span, &tenant, question, rows).await?;
    match export {
        None => Ok(Json(answer).into_response()),
        Some(export) => {
            Ok(([(header::CONTENT_TYPE, export.media_type)], (export.write)(&answer, &parameters)?).into_response())
        }
    }
}

pub async fn metric_names(
    State(server): State<Server>,
    Reader(tenant): Reader,
    Query(parameters): Parameters,
) -> Answer<Json<Value>> {
    let question = server.engine.metric_names(&tenant, &parameters);
    Ok(Json(traced::question("metric names", &tenant, question, |answer| items(&answer["metrics"])).await?))
}

pub async fn metric_series(
    State(server): State<Server>,
    Reader(tenant): Reader,
    Query(parameters): Parameters,
) -> Answer<Json<Value>> {
    let question = server.engine.metric_series(&tenant, &parameters);
    Ok(Json(traced::question("metric series", &tenant, question, |answer| items(&answer["series"])).await?))
}

fn items(list: &Value) -> u64 {
    list.as_array().map_or(0, Vec::len) as u64
}
