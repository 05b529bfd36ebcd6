//! Operations: rate, errors and latency of each service and span name, and their share of the critical path.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use model::Result;
use serde_json::{Value, json};

use super::report::Report;
use super::rows::{Rows, read};
use super::scope::{Scope, Window, started_in};
use super::{Analysis, Parameter, Running};
use crate::query::Query;

pub const ANALYSIS: Analysis = Analysis {
    name: "operations",
    title: ("Operations", "接口与操作"),
    doc: "Rate, errors, p50/p90/p99, self time and critical path of every operation.",
    parameters: &[Parameter { name: "limit", doc: "operations at most, largest share first (500)" }],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

/// Points of a sparkline.
pub const TREND: i64 = 30;

/// What a client span talks to, as SQL over the view.
pub const PEER: &str = "CASE WHEN kind IN ('CLIENT', 'PRODUCER') THEN coalesce(peer_service, server_address, \
                        messaging_destination_name, db_namespace, rpc_service, network_peer_address) END";

fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let int = |name: &str| Field::new(name, DataType::Int64, true);
    let float = |name: &str| Field::new(name, DataType::Float64, true);
    Arc::new(Schema::new(vec![
        text("service"),
        text("operation"),
        text("kind"),
        text("peer"),
        int("count"),
        float("rate"),
        int("errors"),
        float("error_rate"),
        int("p50_ns"),
        int("p90_ns"),
        int("p99_ns"),
        int("max_ns"),
        int("self_ns"),
        int("critical_ns"),
        float("critical_share"),
    ]))
}

/// Counts per sparkline point from rows of (key…, t, n).
pub fn trend(points: &mut Vec<i64>, at: i64, n: i64) {
    points.resize(TREND as usize, 0);
    points[at.clamp(0, TREND - 1) as usize] += n;
}

/// The width of a sparkline's point, in nanoseconds.
pub fn trend_bin(Window { start, end }: Window) -> i64 {
    ((end - start) / TREND).max(1)
}

pub fn error_rate(errors: i64, count: i64) -> f64 {
    if count == 0 { 0.0 } else { errors as f64 / count as f64 }
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let limit = scope.number("limit", 500, 1, 10_000)? as usize;
    let (window, conditions) = (started_in(scope.window), scope.conditions());
    let sql = format!(
        "SELECT service_name, name, kind, {PEER} AS peer, count(*) AS n, \
                sum(CASE WHEN status_code = 'ERROR' THEN 1 ELSE 0 END) AS errors, \
                quantile(duration_ns, 0.5) AS p50, quantile(duration_ns, 0.9) AS p90, \
                quantile(duration_ns, 0.99) AS p99, max(duration_ns) AS most, \
                sum(self_time_ns) AS own, sum(critical_path_ns) AS critical \
         FROM spans WHERE {window} AND {conditions} GROUP BY 1, 2, 3, 4"
    );
    let found = read(&query.rows(&sql, vec![]).await?)?;
    let sql = format!(
        "SELECT service_name, name, kind, {PEER} AS peer, \
                (CAST(start_time AS BIGINT) - {}) / {} AS t, count(*) AS n \
         FROM spans WHERE {window} AND {conditions} GROUP BY 1, 2, 3, 4, 5",
        scope.window.start,
        trend_bin(scope.window),
    );
    let points = read(&query.rows(&sql, vec![]).await?)?;
    let key = |rows: &Rows, row: usize| {
        ["service_name", "name", "kind", "peer"].map(|column| rows.text(column, row).to_owned())
    };
    let mut trends: std::collections::HashMap<[String; 4], Vec<i64>> = std::collections::HashMap::new();
    for rows in &points {
        for row in 0..rows.len() {
            trend(trends.entry(key(rows, row)).or_default(), rows.int("t", row), rows.int("n", row));
        }
    }
    let all = found.iter().flat_map(|rows| (0..rows.len()).map(move |row| (rows, row)));
    let total: i64 = all.clone().map(|(rows, row)| rows.int("critical", row)).sum();
    let seconds = scope.window.seconds();
    let operation = |(rows, row): (&Rows, usize)| {
        let (count, errors, critical) = (rows.int("n", row), rows.int("errors", row), rows.int("critical", row));
        json!({
            "service": rows.text("service_name", row),
            "operation": rows.text("name", row),
            "kind": rows.text("kind", row),
            "peer": rows.some_text("peer", row),
            "count": count,
            "rate": count as f64 / seconds,
            "errors": errors,
            "error_rate": error_rate(errors, count),
            "p50_ns": rows.int("p50", row),
            "p90_ns": rows.int("p90", row),
            "p99_ns": rows.int("p99", row),
            "max_ns": rows.int("most", row),
            "self_ns": rows.int("own", row),
            "critical_ns": critical,
            "critical_share": if total == 0 { 0.0 } else { critical as f64 / total as f64 },
            "trend": trends.get(&key(rows, row)),
        })
    };
    let mut operations: Vec<Value> = all.map(operation).collect();
    operations.sort_by(|a, b| b["critical_ns"].as_i64().cmp(&a["critical_ns"].as_i64()));
    let cut = operations.len() > limit;
    operations.truncate(limit);
    let mut report = Report::new("operations", json!({"operations": operations}));
    if cut {
        report.notes.push(format!("only the {limit} operations with the largest share are listed; raise limit"));
    }
    Ok(report)
}
