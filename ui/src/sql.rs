//! `POST /api/v1/sql`: one statement, answered in the media type asked for; `GET /api/v1/schema`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use model::Error;
use query::output::{self, Format};
use serde::Deserialize;
use serde_json::Value;

use crate::answer::Answer;
use crate::{Reader, Server, traced};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    query: String,
    #[serde(default)]
    params: Vec<Value>,
}

pub async fn run(
    State(server): State<Server>,
    Reader(tenant): Reader,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<Response> {
    let statement: Statement = serde_json::from_slice(&body).map_err(|e| {
        Error::invalid(format!("the body is not a statement: {e}")).hint(r#"send {"query": "select …", "params": []}"#)
    })?;
    let format = Format::accepted(headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()));
    let question = server.engine.sql(&tenant, &statement.query, &statement.params);
    let result = traced::question("sql", &tenant, question, |r| r.rows() as u64).await?;
    let (cut, rows) = (result.cut, result.rows());
    let room = server.handover.room_for(result.bytes).await?;
    // Encoding a large answer takes a while; the ingest threads must not wait for it.
    let body = tokio::task::spawn_blocking(move || output::write(&result, format)).await;
    let body = body.map_err(|e| Error::internal(format!("encoding the answer: {e}")))??;
    let mut response = server.handover.body(body, room).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    response.headers_mut().insert("x-hotspan-rows", HeaderValue::from(rows));
    if let Some(cut) = cut {
        response.headers_mut().insert("x-hotspan-truncated", HeaderValue::from_static("true"));
        let which = HeaderValue::from_str(&cut.to_string()).unwrap_or(HeaderValue::from_static(cut.setting()));
        response.headers_mut().insert("x-hotspan-cut", which);
    }
    Ok(response)
}

pub async fn schema(_: Reader) -> Answer<Json<query::Schema>> {
    Ok(Json(query::schema()?))
}
