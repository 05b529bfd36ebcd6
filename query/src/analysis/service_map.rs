//! Service map: who calls whom, how often, with which errors and latency, and where the critical path goes.
//!
//! A client span joined with the server span below it is an edge between services; a client span without one is an
//! edge to a dependency that sends no spans (a database, a cache, a third party), named by its peer attributes.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use model::Result;
use serde_json::{Value, json};

use super::called::{self, DB_SYSTEM};
use super::columns::{self, float, int, text};
use super::operations::error_rate;
use super::ranking::PeerKind;
use super::report::Report;
use super::rows::{Found, Row, read};
use super::scope::{Scope, started_in};
use super::times;
use super::{Analysis, Running};
use crate::query::Query;

pub const ANALYSIS: Analysis = Analysis {
    name: "service-map",
    title: ("Service map", "应用拓扑"),
    doc: "Services and dependencies with rate, errors and latency; edges carry calls and the gap between caller and callee.",
    parameters: &[],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

fn schema() -> SchemaRef {
    columns::schema([
        text("from"),
        text("to"),
        int("calls"),
        float("rate"),
        int("errors"),
        int("p50_ns"),
        int("p99_ns"),
        float("critical_share"),
        int("gap_ns"),
    ])
}

/// What kind of thing a peer without spans is.
fn kind(call: &Row) -> &'static str {
    match PeerKind::of(call.some_text("db"), call.some_text("msg")) {
        PeerKind::Cache => "cache",
        PeerKind::Database => "database",
        PeerKind::Messaging => "messaging",
        PeerKind::Remote if call.text("kind") == "PRODUCER" => "messaging",
        PeerKind::Remote => "external",
    }
}

#[derive(Default)]
struct Node {
    kind: String,
    calls: i64,
    errors: i64,
    p50: i64,
    p99: i64,
    critical: i64,
    instances: i64,
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let (window, peer) = (started_in(scope.window), called::peer());
    let seconds = scope.window.seconds();
    let calls = format!(
        "SELECT c.service_name AS a, coalesce(s.service_name, c.peer, c.name) AS b, \
                s.service_name IS NOT NULL AS answered, c.kind AS kind, c.db AS db, c.msg AS msg, \
                count(*) AS n, sum(CASE WHEN c.status_code = 'ERROR' THEN 1 ELSE 0 END) AS errors, \
                quantile(c.duration_ns, 0.5) AS p50, quantile(c.duration_ns, 0.99) AS p99, \
                sum(c.critical_path_ns) AS critical, \
                CAST(avg(CASE WHEN s.duration_ns IS NULL OR c.kind = 'PRODUCER' THEN NULL \
                              ELSE greatest(c.duration_ns - s.duration_ns, 0) END) AS BIGINT) AS gap \
         FROM (SELECT trace_id, span_id, service_name, name, kind, status_code, duration_ns, critical_path_ns, \
                      {peer} AS peer, {DB_SYSTEM} AS db, messaging_system AS msg \
               FROM spans WHERE {window} AND kind IN ('CLIENT', 'PRODUCER')) c \
         LEFT JOIN (SELECT trace_id, parent_span_id, service_name, duration_ns \
                    FROM spans WHERE {window} AND kind IN ('SERVER', 'CONSUMER')) s \
           ON s.trace_id = c.trace_id AND s.parent_span_id = c.span_id \
         GROUP BY 1, 2, 3, 4, 5, 6"
    );
    let edges = read(&query, &calls).await?;
    let served = format!(
        "SELECT service_name, count(DISTINCT instance_id) AS instances, sum(critical_path_ns) AS critical, \
                sum(CASE WHEN kind IN ('SERVER', 'CONSUMER') THEN 1 ELSE 0 END) AS n, \
                sum(CASE WHEN kind IN ('SERVER', 'CONSUMER') AND status_code = 'ERROR' THEN 1 ELSE 0 END) AS errors, \
                quantile(CASE WHEN kind IN ('SERVER', 'CONSUMER') THEN duration_ns END, 0.5) AS p50, \
                quantile(CASE WHEN kind IN ('SERVER', 'CONSUMER') THEN duration_ns END, 0.99) AS p99 \
         FROM spans WHERE {window} GROUP BY 1"
    );
    let served = read(&query, &served).await?;
    let total = times::total(served.iter().map(|row| row.int("critical")));
    let share = |critical: i64| if total == 0 { 0.0 } else { critical as f64 / total as f64 };
    let nodes = nodes(&served, &edges);
    let node = |(name, n): (&String, &Node)| {
        json!({
            "id": name, "name": name, "type": n.kind,
            "requests": n.calls, "rate": n.calls as f64 / seconds,
            "errors": n.errors, "error_rate": error_rate(n.errors.unsigned_abs(), n.calls.unsigned_abs()),
            "p50_ns": n.p50, "p99_ns": n.p99,
            "critical_share": share(n.critical), "instances": n.instances,
        })
    };
    let edge = |((from, to), e): (&(String, String), &Edge)| {
        json!({
            "from": from, "to": to,
            "calls": e.calls, "rate": e.calls as f64 / seconds, "errors": e.errors,
            "p50_ns": e.p50, "p99_ns": e.p99,
            "critical_share": share(e.critical), "gap_ns": e.gap,
        })
    };
    let nodes: Vec<Value> = nodes.iter().map(node).collect();
    let edges: Vec<Value> = joined(&edges).iter().map(edge).collect();
    Ok(Report::new("edges", json!({"nodes": nodes, "edges": edges})))
}

/// Calls from one place to another, whether or not the callee's span was found (it may lie outside the window).
#[derive(Default)]
struct Edge {
    calls: i64,
    errors: i64,
    p50: i64,
    p99: i64,
    critical: i64,
    gap: i64,
}

fn joined(found: &Found) -> BTreeMap<(String, String), Edge> {
    let mut edges: BTreeMap<(String, String), Edge> = BTreeMap::new();
    for row in found.iter() {
        let edge = edges.entry((row.text("a").to_owned(), row.text("b").to_owned())).or_default();
        let calls = row.int("n");
        // The larger part tells the latency.
        if calls > edge.calls {
            (edge.p50, edge.p99, edge.gap) = (row.int("p50"), row.int("p99"), row.int("gap"));
        }
        edge.calls += calls;
        edge.errors += row.int("errors");
        times::add(&mut edge.critical, row.int("critical"));
    }
    edges
}

fn nodes(served: &Found, edges: &Found) -> BTreeMap<String, Node> {
    let mut nodes: BTreeMap<String, Node> = BTreeMap::new();
    for row in served.iter() {
        let node = Node {
            kind: "service".to_owned(),
            calls: row.int("n"),
            errors: row.int("errors"),
            p50: row.int("p50"),
            p99: row.int("p99"),
            critical: row.int("critical"),
            instances: row.int("instances"),
        };
        nodes.insert(row.text("service_name").to_owned(), node);
    }
    for row in edges.iter().filter(|row| row.int("answered") == 0) {
        let node = nodes.entry(row.text("b").to_owned()).or_default();
        if node.kind == "service" {
            continue;
        }
        node.kind = kind(&row).to_owned();
        node.calls += row.int("n");
        node.errors += row.int("errors");
        // Over several callers the worst is shown.
        node.p50 = node.p50.max(row.int("p50"));
        node.p99 = node.p99.max(row.int("p99"));
        times::add(&mut node.critical, row.int("critical"));
    }
    nodes
}
