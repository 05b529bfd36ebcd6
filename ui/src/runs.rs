//! Stress-test runs: `GET` and `POST /api/v1/runs`, `GET`, `PATCH` and `DELETE /api/v1/runs/{id}`, marks of stages,
//! comparison.
//!
//! Reading takes the scope `read`. Writing takes `ingest` (a load generator has that) or `admin`, and JSON; `origin` keeps
//! pages of other sites out.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::access::Scope;
use model::load_report::Generator;
use model::run::{Change, Mark, Run, find};
use model::time::to_rfc3339;
use model::{Error, Kind, Nanos, Result, Tenant};
use query::analysis;
use query::analysis::scope::parse_time;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::answer::{Answer, Failure};
use crate::{Reader, Server, login, traced};

/// The tenant that a request may write runs of.
pub struct Writer(Tenant);

impl FromRequestParts<Server> for Writer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> std::result::Result<Self, Failure> {
        let org = parts.headers.get("x-scope-orgid").and_then(|v| v.to_str().ok());
        let token = login::authorization(&parts.headers);
        Ok(Writer(server.access.authorize(token.as_deref(), org, Scope::Ingest)?))
    }
}

/// What a body may say of a run. Times are as everywhere: RFC 3339, unix seconds, `now-15m`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    name: Option<String>,
    start_time: Option<Time>,
    end_time: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    notes: Option<String>,
    #[serde(default)]
    marks: Vec<SaidMark>,
    generator: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidMark {
    name: String,
    time: Option<Time>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Time {
    Text(String),
    Seconds(serde_json::Number),
}

impl Time {
    fn read(&self, name: &str, now: Nanos) -> Result<Nanos> {
        let read = match self {
            Time::Text(text) => parse_time(text, now),
            Time::Seconds(number) => parse_time(&number.to_string(), now),
        };
        read.map_err(|e| e.context(name))
    }
}

impl Said {
    fn change(self, now: Nanos) -> Result<Change> {
        let marks = self.marks.into_iter().map(|mark| mark.read(now)).collect::<Result<_>>()?;
        let time = |time: Option<Time>, name: &str| time.map(|t| t.read(name, now)).transpose();
        Ok(Change {
            name: self.name,
            start: time(self.start_time, "start_time")?,
            end: time(self.end_time, "end_time")?,
            labels: self.labels,
            notes: self.notes,
            marks,
            generator: self.generator.map(|sent| generator(&sent)).transpose()?,
        })
    }
}

impl SaidMark {
    fn read(self, now: Nanos) -> Result<Mark> {
        let at = self.time.map_or(Ok(now), |time| time.read("time", now))?;
        Ok(Mark { at, name: self.name })
    }
}

/// What a load generator saw. A field that is not known is refused, since a figure would be lost with it.
fn generator(sent: &Value) -> Result<Generator> {
    let wrong = |what: String| Error::invalid(format!("generator: {what}")).hint("docs/api.md has its fields");
    let read: Generator = serde_json::from_value(sent.clone()).map_err(|e| wrong(e.to_string()))?;
    let kept = serde_json::to_value(&read).map_err(|e| Error::internal(format!("writing a generator: {e}")))?;
    match lost(sent, &kept) {
        Some(field) => Err(wrong(format!("unknown field {field:?}"))),
        None => Ok(read),
    }
}

/// A field of `sent` that is not in `kept`.
fn lost<'a>(sent: &'a Value, kept: &Value) -> Option<&'a str> {
    match (sent, kept) {
        (Value::Object(sent), Value::Object(kept)) => sent.iter().find_map(|(name, value)| match kept.get(name) {
            Some(kept) => lost(value, kept),
            None => Some(name.as_str()),
        }),
        (Value::Array(sent), Value::Array(kept)) => sent.iter().zip(kept).find_map(|(sent, kept)| lost(sent, kept)),
        _ => None,
    }
}

fn body<T: DeserializeOwned>(headers: &HeaderMap, bytes: &Bytes, example: &str) -> Result<T> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !media.trim_start().to_ascii_lowercase().starts_with("application/json") {
        return Err(Error::invalid(format!("content-type {media:?} is not application/json")));
    }
    serde_json::from_slice(bytes).map_err(|e| Error::invalid(format!("the body is not as expected: {e}")).hint(example))
}

/// A run as the API writes it.
fn shown(run: &Run) -> Value {
    let mark = |mark: &Mark| json!({"time": to_rfc3339(mark.at), "name": mark.name});
    json!({
        "id": run.id,
        "name": run.name,
        "start_time": to_rfc3339(run.start),
        "end_time": run.end.map(to_rfc3339),
        "labels": run.labels,
        "notes": run.notes,
        "marks": run.marks.iter().map(mark).collect::<Vec<_>>(),
        "generator": run.generator,
    })
}

/// A run in a list: of the generator's figures the total only.
fn listed(run: &Run) -> Value {
    let mut json = shown(run);
    if let Some(generator) = json["generator"].as_object_mut() {
        generator.remove("named");
    }
    json
}

/// `GET /api/v1/runs`: the newest first, those that only spans name among them; `active=true` for those that have no end.
pub async fn list(
    State(server): State<Server>,
    Reader(tenant): Reader,
    Query(parameters): Query<BTreeMap<String, String>>,
) -> Answer<Json<Value>> {
    let active = parameters.get("active").is_some_and(|v| v == "true");
    let found = analysis::runs::all(&server.engine, &tenant).await;
    let runs = unless_busy(found, || server.runs.list(&tenant).to_vec())?;
    let chosen = runs.iter().rev().filter(|run| !active || run.end.is_none());
    Ok(Json(json!({"runs": chosen.map(listed).collect::<Vec<_>>()})))
}

/// Too busy to look at spans, or too many of them, is not too busy to list the runs that were begun. Any other trouble
/// is told.
fn unless_busy(found: Result<Vec<Run>>, begun: impl FnOnce() -> Vec<Run>) -> Result<Vec<Run>> {
    match found {
        Err(Error { kind: Kind::Overloaded { .. } | Kind::Limit, .. }) => Ok(begun()),
        found => found,
    }
}

/// `GET /api/v1/runs/{id}`; a name does as well, and means the run of that name that began last.
pub async fn one(State(server): State<Server>, Reader(tenant): Reader, Path(id): Path<String>) -> Answer<Json<Value>> {
    let begun = server.runs.list(&tenant);
    if let Some(run) = find(&begun, &id) {
        return Ok(Json(shown(run)));
    }
    let runs = analysis::runs::all(&server.engine, &tenant).await?;
    let run = find(&runs, &id)
        .ok_or_else(|| Error::not_found(format!("there is no run {id:?}")).hint("GET /api/v1/runs lists them"))?;
    Ok(Json(shown(run)))
}

/// A run that only spans tell of becomes one of its own before it is changed.
async fn begun(server: &Server, tenant: &Tenant, id: &str) -> Result<()> {
    if find(&server.runs.list(tenant), id).is_some() {
        return Ok(());
    }
    let runs = analysis::runs::all(&server.engine, tenant).await?;
    if let Some(run) = find(&runs, id) {
        let (name, start) = (Some(run.name.clone()), Some(run.start));
        server.runs.begin(tenant, Change { name, start, end: run.end, ..Change::default() }).await?;
    }
    Ok(())
}

/// `POST /api/v1/runs`: begins a run, now unless `start_time` says when. With `end_time`, `marks` and `generator` it is a
/// run that was, as `hotspan run import` makes it.
pub async fn begin(
    State(server): State<Server>,
    Writer(tenant): Writer,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer<Response> {
    let said: Said = body(&headers, &bytes, r#"send {"name": "round-3"}"#)?;
    let run = server.runs.begin(&tenant, said.change(server.runs.now())?).await?;
    Ok((StatusCode::CREATED, Json(shown(&run))).into_response())
}

/// `PATCH /api/v1/runs/{id}`: what the body names is changed; `{"end_time": "now"}` stops the run.
pub async fn change(
    State(server): State<Server>,
    Writer(tenant): Writer,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer<Json<Value>> {
    let said: Said = body(&headers, &bytes, r#"send {"end_time": "now"}, or name, start_time, labels, notes"#)?;
    begun(&server, &tenant, &id).await?;
    Ok(Json(shown(&server.runs.change(&tenant, &id, said.change(server.runs.now())?).await?)))
}

/// `DELETE /api/v1/runs/{id}`: forgets a run and answers with it; its spans stay. A name has to mean one run.
pub async fn delete(
    State(server): State<Server>,
    Writer(tenant): Writer,
    Path(id): Path<String>,
) -> Answer<Json<Value>> {
    let Some(run) = only(&server.runs.list(&tenant), &id)? else {
        let told = analysis::runs::all(&server.engine, &tenant).await?;
        return Err(none_to_delete(&told, &id).into());
    };
    Ok(Json(shown(&server.runs.delete(&tenant, &run).await?)))
}

/// The id of the run with this id, else of the only one with this name.
fn only(runs: &[Run], name: &str) -> Result<Option<String>> {
    if runs.iter().any(|run| run.id == name) {
        return Ok(Some(name.to_owned()));
    }
    let ids: Vec<&str> = runs.iter().filter(|run| run.name == name).map(|run| run.id.as_str()).collect();
    match ids[..] {
        [] => Ok(None),
        [id] => Ok(Some(id.to_owned())),
        _ => Err(Error::invalid(format!("{} runs are named {name:?}: {}", ids.len(), ids.join(", ")))
            .hint("give the id of the one to delete")),
    }
}

fn none_to_delete(told: &[Run], name: &str) -> Error {
    match find(told, name) {
        Some(_) => Error::invalid(format!("only spans tell of the run {name:?}: there is nothing to delete"))
            .hint("it is listed for as long as its spans are kept"),
        None => Error::not_found(format!("there is no run {name:?}")).hint("GET /api/v1/runs lists them"),
    }
}

/// `POST /api/v1/runs/{id}/marks`: a stage begins, now unless `time` says when.
pub async fn mark(
    State(server): State<Server>,
    Writer(tenant): Writer,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer<Response> {
    let said: SaidMark = body(&headers, &bytes, r#"send {"name": "40k"}"#)?;
    let change = Change { marks: vec![said.read(server.runs.now())?], ..Change::default() };
    begun(&server, &tenant, &id).await?;
    let run = server.runs.change(&tenant, &id, change).await?;
    Ok((StatusCode::CREATED, Json(shown(&run))).into_response())
}

/// `GET /api/v1/runs/compare?a=&b=`: the analysis `run-diff` of run `b` against run `a`.
pub async fn compare(
    State(server): State<Server>,
    Reader(tenant): Reader,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Answer<Json<Value>> {
    let renamed = |(name, value): (String, String)| match name.as_str() {
        "a" => ("baseline_run".to_owned(), value),
        "b" => ("run".to_owned(), value),
        _ => (name, value),
    };
    let parameters: Vec<_> = parameters.into_iter().map(renamed).collect();
    for (name, shown) in [("baseline_run", "a"), ("run", "b")] {
        if !parameters.iter().any(|(k, v)| k == name && !v.is_empty()) {
            return Err(Error::invalid(format!("{shown} is missing")).hint("give a and b, by id or name").into());
        }
    }
    let name = analysis::run_diff::NAME;
    let span = format!("analysis {name}");
    let rows = |answer: &Value| answer["meta"]["rows"].as_u64().unwrap_or(0);
    Ok(Json(traced::question(&span, &tenant, analysis::run(&server.engine, &tenant, name, &parameters), rows).await?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_run_is_deleted_by_its_id_or_by_a_name_that_no_other_has() {
        let named = |id: &str, name: &str| Run { name: name.to_owned(), ..Run::begun(id.to_owned(), 0) };
        let runs = [named("a", "round-1"), named("b", "round-1"), named("c", "round-2"), named("d", "a")];
        let id = |name: &str| only(&runs, name).expect("one at most");
        assert_eq!(
            (id("b").as_deref(), id("round-2").as_deref(), id("a").as_deref()),
            (Some("b"), Some("c"), Some("a"))
        );
        assert_eq!(id("round-3"), None);
        let several = only(&runs, "round-1").expect_err("two");
        assert!(several.kind == Kind::Invalid && several.message.contains("a, b"), "{several}");
        assert_eq!(none_to_delete(&runs, "c").kind, Kind::Invalid, "of spans alone");
        assert_eq!(none_to_delete(&runs, "x").kind, Kind::NotFound);
    }

    #[test]
    fn a_busy_engine_keeps_no_list_back_and_damage_is_told() {
        let begun = || vec![Run::begun("1".to_owned(), 0)];
        for busy in [Kind::Overloaded { retry_after: Duration::from_secs(1) }, Kind::Limit] {
            assert_eq!(unless_busy(Err(Error::new(busy, "busy")), begun).expect("a list").len(), 1, "{busy:?}");
        }
        for trouble in [Kind::Corrupt, Kind::Internal, Kind::Unavailable, Kind::Invalid] {
            assert_eq!(unless_busy(Err(Error::new(trouble, "trouble")), begun).expect_err("told").kind, trouble);
        }
    }
}
