//! Operations: rate, errors and latency of each service and span name, and their share of the critical path.

use arrow::datatypes::SchemaRef;
use model::Result;
use serde_json::{Value, json};

use super::called;
use super::columns::{self, float, int, text};
use super::report::Report;
use super::rows::{Row, read};
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

fn schema() -> SchemaRef {
    columns::schema([
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
    ])
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
    let (window, conditions, peer) = (started_in(scope.window), scope.conditions(), called::peer());
    let sql = format!(
        "SELECT service_name, name, kind, {peer} AS peer, count(*) AS n, \
                sum(CASE WHEN status_code = 'ERROR' THEN 1 ELSE 0 END) AS errors, \
                quantile(duration_ns, 0.5) AS p50, quantile(duration_ns, 0.9) AS p90, \
                quantile(duration_ns, 0.99) AS p99, max(duration_ns) AS most, \
                sum(self_time_ns) AS own, sum(critical_path_ns) AS critical \
         FROM spans WHERE {window} AND {conditions} GROUP BY 1, 2, 3, 4"
    );
    let found = read(&query, &sql).await?;
    let sql = format!(
        "SELECT service_name, name, kind, {peer} AS peer, \
                (start_time_unix_nano - {}) / {} AS t, count(*) AS n \
         FROM spans WHERE {window} AND {conditions} GROUP BY 1, 2, 3, 4, 5",
        scope.window.start,
        trend_bin(scope.window),
    );
    let points = read(&query, &sql).await?;
    let key = |row: &Row| ["service_name", "name", "kind", "peer"].map(|column| row.text(column).to_owned());
    let mut trends: std::collections::HashMap<[String; 4], Vec<i64>> = std::collections::HashMap::new();
    for row in points.iter() {
        trend(trends.entry(key(&row)).or_default(), row.int("t"), row.int("n"));
    }
    let total: i64 = found.iter().map(|row| row.int("critical")).sum();
    let seconds = scope.window.seconds();
    let operation = |row: Row| {
        let (count, errors, critical) = (row.int("n"), row.int("errors"), row.int("critical"));
        json!({
            "service": row.text("service_name"),
            "operation": row.text("name"),
            "kind": row.text("kind"),
            "peer": row.some_text("peer"),
            "count": count,
            "rate": count as f64 / seconds,
            "errors": errors,
            "error_rate": error_rate(errors, count),
            "p50_ns": row.int("p50"),
            "p90_ns": row.int("p90"),
            "p99_ns": row.int("p99"),
            "max_ns": row.int("most"),
            "self_ns": row.int("own"),
            "critical_ns": critical,
            "critical_share": if total == 0 { 0.0 } else { critical as f64 / total as f64 },
            "trend": trends.get(&key(&row)),
        })
    };
    let mut operations: Vec<Value> = found.iter().map(operation).collect();
    operations.sort_by(|a, b| b["critical_ns"].as_i64().cmp(&a["critical_ns"].as_i64()));
    let cut = operations.len() > limit;
    operations.truncate(limit);
    let mut report = Report::new("operations", json!({"operations": operations}));
    if cut {
        report.notes.push(format!("only the {limit} operations with the largest share are listed; raise limit"));
    }
    Ok(report)
}
