//! `GET /api/v1/openapi.json`: made from the registry of analyses, so that it cannot fall behind it.

use axum::Json;
use query::analysis;
use query::trace::{DEFAULT_LIMIT, MAX_LIMIT};
use serde_json::{Map, Value, json};

pub async fn document() -> Json<Value> {
    let mut paths = Map::new();
    for analysis in analysis::all() {
        let mut parameters: Vec<Value> = analysis::SCOPE_PARAMETERS.iter().map(|p| parameter(p.name, p.doc)).collect();
        parameters.extend(analysis.parameters.iter().map(|p| parameter(p.name, p.doc)));
        let get = json!({"summary": analysis.doc, "parameters": parameters, "responses": responses()});
        paths.insert(format!("/api/v1/{}", analysis.name), json!({"get": get}));
    }
    let plain = [
        ("/api/v1/status", "Ledger, rates, log, memory, tables, limits"),
        ("/api/v1/schema", "Tables, columns and functions of SQL"),
        ("/api/v1/analyses", "The registered analyses"),
        ("/metrics", "Own metrics in Prometheus text format"),
        ("/healthz", "200 while the process lives"),
        ("/readyz", "200 while it accepts and answers"),
    ];
    for (path, summary) in plain {
        paths.insert(path.to_owned(), json!({"get": {"summary": summary, "responses": responses()}}));
    }
    let id = json!({"name": "trace_id", "in": "path", "required": true, "schema": {"type": "string", "pattern": "^[0-9a-fA-F]{32}$"}});
    let limit = format!("spans at most ({DEFAULT_LIMIT}), up to {MAX_LIMIT}");
    let trace = json!({
        "summary": "All spans of one trace, with critical path and self time",
        "parameters": [id, parameter("limit", &limit)],
        "responses": responses(),
    });
    paths.insert("/api/v1/traces/{trace_id}".to_owned(), json!({"get": trace}));
    let names = ["name", "start", "end", "group_by", "agg", "step_us"].map(|n| parameter(n, "see docs/api.md"));
    let series = json!({"summary": "Series of a metric", "parameters": names, "responses": responses()});
    paths.insert("/api/v1/metrics/series".to_owned(), json!({"get": series}));
    let list = json!({"summary": "Names of metrics", "parameters": [], "responses": responses()});
    paths.insert("/api/v1/metrics/names".to_owned(), json!({"get": list}));
    paths.insert("/api/v1/sql".to_owned(), json!({"post": sql()}));
    paths.extend(runs());
    Json(json!({
        "openapi": "3.1.0",
        "info": {"title": "hotspan", "version": env!("CARGO_PKG_VERSION"), "description": "docs/api.md has the shapes"},
        "paths": paths,
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    }))
}

fn parameter(name: &str, doc: &str) -> Value {
    json!({"name": name, "in": "query", "description": doc, "schema": {"type": "string"}})
}

fn responses() -> Value {
    let error = json!({"description": "{\"error\":{\"kind\",\"message\",\"hint\"}}"});
    json!({"200": {"description": "the answer"}, "400": error, "401": error, "422": error})
}

/// Paths of stress-test runs.
fn runs() -> [(String, Value); 4] {
    let text = json!({"type": "string"});
    let mark = json!({"type": "object", "required": ["name"], "properties": {"name": text, "time": text}});
    let properties = json!({
        "name": text,
        "start_time": text,
        "end_time": text,
        "labels": {"type": "object", "additionalProperties": text},
        "notes": text,
        "marks": {"type": "array", "items": mark},
        "generator": generator(),
    });
    let writing = |summary: &str, properties: Value, needed: &[&str]| {
        let schema = json!({"type": "object", "required": needed, "properties": properties});
        let body = json!({"content": {"application/json": {"schema": schema}}});
        json!({"summary": summary, "description": "Scope ingest or admin", "requestBody": body, "responses": responses()})
    };
    let reading = |summary: &str, parameters: Vec<Value>| json!({"summary": summary, "parameters": parameters, "responses": responses()});
    let id = json!([{"name": "id", "in": "path", "required": true, "description": "id or name", "schema": text}]);
    let list =
        reading("Stress-test runs, the newest first", vec![parameter("active", "true: only those without an end")]);
    let sides = vec![parameter("a", "the earlier run, by id or name"), parameter("b", "the later one")];
    [
        ("", json!({"get": list, "post": writing("Begins a run", properties.clone(), &["name"])})),
        (
            "/{id}",
            json!({
                "parameters": id,
                "get": reading("One run", vec![]),
                "patch": writing("Changes what is named; end_time \"now\" stops the run", properties, &[]),
                "delete": json!({
                    "summary": "Forgets a run and answers with it; its spans stay. A name has to mean one run",
                    "description": "Scope ingest or admin",
                    "responses": responses(),
                }),
            }),
        ),
        (
            "/{id}/marks",
            json!({
                "parameters": id,
                "post": writing("Marks where a stage begins", json!({"name": text, "time": text}), &["name"]),
            }),
        ),
        ("/compare", json!({"get": reading("Every operation of two runs at matched load: run-diff", sides)})),
    ]
    .map(|(path, item)| (format!("/api/v1/runs{path}"), item))
}

/// What a load generator saw.
fn generator() -> Value {
    let (text, number) = (json!({"type": "string"}), json!({"type": ["number", "null"]}));
    let names =
        ["requests", "errors", "rate", "mean_ns", "p50_ns", "p90_ns", "p95_ns", "p99_ns", "max_ns"].map(str::to_owned);
    let figures: Map<String, Value> = names.into_iter().map(|name| (name, number.clone())).collect();
    let mut named = figures.clone();
    named.insert("name".to_owned(), text.clone());
    named.insert("what".to_owned(), json!({"enum": ["request", "transaction", "selection"]}));
    json!({
        "type": "object",
        "required": ["tool"],
        "properties": {
            "tool": text,
            "version": {"type": ["string", "null"]},
            "format": {"type": ["string", "null"]},
            "total": {"type": "object", "properties": figures},
            "named": {"type": "array", "items": {"type": "object", "required": ["name"], "properties": named}},
            "notes": {"type": "array", "items": text},
            "notes_zh": {"type": "array", "items": text},
        },
    })
}

fn sql() -> Value {
    let schema = json!({
        "type": "object",
        "required": ["query"],
        "properties": {"query": {"type": "string"}, "params": {"type": "array"}},
    });
    json!({
        "summary": "One SQL statement; the answer by Accept: JSON, CSV, Arrow stream or Parquet",
        "requestBody": {"content": {"application/json": {"schema": schema}}},
        "responses": responses(),
    })
}
