//! Services: rate, errors and latency of what each of them serves, and its share of the critical path.

use std::collections::HashMap;

use arrow::datatypes::SchemaRef;
use model::Result;
use serde_json::{Value, json};

use super::columns::{self, float, int, text};
use super::operations::{error_rate, trend, trend_bin};
use super::report::Report;
use super::rows::{Found, Row, read};
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
    columns::schema([
        text("service"),
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
    ])
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
    let totals = read(&query, &sql).await?;
    let serving = read(&query, &figures(&format!("{all} AND {SERVES}"))).await?;
    let whole = read(&query, &figures(&all)).await?;
    let sql = format!(
        "SELECT service_name, (start_time_unix_nano - {}) / {} AS t, count(*) AS n \
         FROM spans WHERE {all} AND {SERVES} GROUP BY 1, 2",
        scope.window.start,
        trend_bin(scope.window)
    );
    let points = read(&query, &sql).await?;
    let mut trends: HashMap<&str, Vec<i64>> = HashMap::new();
    for row in points.iter() {
        trend(trends.entry(row.text("service_name")).or_default(), row.int("t"), row.int("n"));
    }
    let (serving, whole) = (by_service(&serving), by_service(&whole));
    let critical: i64 = totals.iter().map(|row| row.int("critical")).sum();
    let seconds = scope.window.seconds();
    let service = |row: Row| {
        let name = row.text("service_name");
        let of = serving.get(name).or_else(|| whole.get(name)).copied()?;
        let (count, errors) = (of.int("n"), of.int("errors"));
        Some(json!({
            "service": name,
            "instances": row.int("instances"),
            "operations": of.int("operations"),
            "spans": row.int("spans"),
            "rate": count as f64 / seconds,
            "errors": errors,
            "error_rate": error_rate(errors, count),
            "p50_ns": of.int("p50"),
            "p90_ns": of.int("p90"),
            "p99_ns": of.int("p99"),
            "critical_share": if critical == 0 { 0.0 } else { row.int("critical") as f64 / critical as f64 },
            "trend": trends.get(name),
        }))
    };
    let mut services: Vec<Value> = totals.iter().filter_map(service).collect();
    services.sort_by(|a, b| {
        b["critical_share"].as_f64().unwrap_or(0.0).total_cmp(&a["critical_share"].as_f64().unwrap_or(0.0))
    });
    Ok(Report::new("services", json!({"services": services})))
}

fn by_service(found: &Found) -> HashMap<&str, Row<'_>> {
    found.iter().map(|row| (row.text("service_name"), row)).collect()
}
