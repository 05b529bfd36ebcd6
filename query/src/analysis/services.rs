//! Services: rate, errors and latency of what each of them serves, and its share of the critical path.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use model::Result;
use serde_json::{Value, json};

use super::operations::{error_rate, trend, trend_bin};
use super::report::Report;
use super::rows::{Rows, read};
use super::scope::{Scope, started_in};
use super::{Analysis, Running};
use crate::query::Query;

pub const ANALYSIS: Analysis = Analysis {
    name: "services",
    title: ("Services", "应用列表"),
    doc: "Rate, errors and latency of every service, over what it serves (SERVER and CONSUMER spans).",
    parameters: &[],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

fn schema() -> SchemaRef {
    let int = |name: &str| Field::new(name, DataType::Int64, true);
    let float = |name: &str| Field::new(name, DataType::Float64, true);
    Arc::new(Schema::new(vec![
        Field::new("service", DataType::Utf8, true),
        int("instances"),
        int("operations"),
        int("spans"),
        float("rate"),
        int("errors"),
        float("error_rate"),
        int("p50_ns"),
        int("p90_ns"),
        int("p99_ns"),
        float("critical_share"),
    ]))
}

const SERVES: &str = "kind IN ('SERVER', 'CONSUMER')";

/// Columns over a group of spans; a service that serves nothing (a job) is judged by all of its spans.
fn figures(condition: &str) -> String {
    format!(
        "SELECT service_name, count(*) AS n, count(DISTINCT name) AS operations, \
                sum(CASE WHEN status_code = 'ERROR' THEN 1 ELSE 0 END) AS errors, \
                quantile(duration_ns, 0.5) AS p50, quantile(duration_ns, 0.9) AS p90, quantile(duration_ns, 0.99) AS p99 \
         FROM spans WHERE {condition} GROUP BY 1"
    )
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let all = format!("{} AND {}", started_in(scope.window), scope.conditions());
    let sql = format!(
        "SELECT service_name, count(*) AS spans, count(DISTINCT instance_id) AS instances, \
                sum(critical_path_ns) AS critical FROM spans WHERE {all} GROUP BY 1"
    );
    let totals = read(&query.rows(&sql, vec![]).await?)?;
    let serving = read(&query.rows(&figures(&format!("{all} AND {SERVES}")), vec![]).await?)?;
    let whole = read(&query.rows(&figures(&all), vec![]).await?)?;
    let sql = format!(
        "SELECT service_name, (CAST(start_time AS BIGINT) - {}) / {} AS t, count(*) AS n \
         FROM spans WHERE {all} AND {SERVES} GROUP BY 1, 2",
        scope.window.start,
        trend_bin(scope.window)
    );
    let points = read(&query.rows(&sql, vec![]).await?)?;
    let mut trends: HashMap<&str, Vec<i64>> = HashMap::new();
    for rows in &points {
        for row in 0..rows.len() {
            let points = trends.entry(rows.text("service_name", row)).or_default();
            trend(points, rows.int("t", row), rows.int("n", row));
        }
    }
    let (serving, whole) = (by_service(&serving), by_service(&whole));
    let rows = || totals.iter().flat_map(|rows| (0..rows.len()).map(move |row| (rows, row)));
    let critical: i64 = rows().map(|(rows, row)| rows.int("critical", row)).sum();
    let seconds = scope.window.seconds();
    let service = |(rows, row): (&Rows, usize)| {
        let name = rows.text("service_name", row);
        let (of, at) = serving.get(name).or_else(|| whole.get(name)).copied()?;
        let (count, errors) = (of.int("n", at), of.int("errors", at));
        Some(json!({
            "service": name,
            "instances": rows.int("instances", row),
            "operations": of.int("operations", at),
            "spans": rows.int("spans", row),
            "rate": count as f64 / seconds,
            "errors": errors,
            "error_rate": error_rate(errors, count),
            "p50_ns": of.int("p50", at),
            "p90_ns": of.int("p90", at),
            "p99_ns": of.int("p99", at),
            "critical_share": if critical == 0 { 0.0 } else { rows.int("critical", row) as f64 / critical as f64 },
            "trend": trends.get(name),
        }))
    };
    let mut services: Vec<Value> = rows().filter_map(service).collect();
    services.sort_by(|a, b| {
        b["critical_share"].as_f64().unwrap_or(0.0).total_cmp(&a["critical_share"].as_f64().unwrap_or(0.0))
    });
    Ok(Report::new("services", json!({"services": services})))
}

fn by_service(batches: &[Rows]) -> HashMap<&str, (&Rows, usize)> {
    let rows = batches.iter().flat_map(|rows| (0..rows.len()).map(move |row| (rows, row)));
    rows.map(|(rows, row)| (rows.text("service_name", row), (rows, row))).collect()
}
