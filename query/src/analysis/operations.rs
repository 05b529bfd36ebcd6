//! Operations: rate, errors and latency of each service and span name, and their share of the critical path.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use model::Result;
use serde_json::{Value, json};

use super::columns::{self, float, int, text};
use super::rates::{self, Figures};
use super::report::Report;
use super::scope::Scope;
use super::sentence::Sentence;
use super::times;
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

/// Points of a sparkline, at most.
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

pub fn error_rate(errors: u64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { errors as f64 / count as f64 }
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let limit = scope.number("limit", 500, 1, 10_000)? as usize;
    let rates = rates::read(&query, &scope, TREND).await?;
    let bins = rates.fold.bins.before(scope.window.end);
    // Calls of one name to two kinds of system are listed as one.
    let mut operations: BTreeMap<[&str; 4], Figures> = BTreeMap::new();
    for rated in rates.fold.iter() {
        let key = [rated.service, rated.operation, rated.kind, rated.peer];
        operations.entry(key).or_default().merge(rated.figures);
    }
    let total = times::total(operations.values().map(|figures| figures.critical_ns));
    let seconds = scope.window.seconds();
    let mut operations: Vec<_> = operations.into_iter().collect();
    operations.sort_by_key(|(_, figures)| std::cmp::Reverse(figures.critical_ns));
    let cut = operations.len() > limit;
    operations.truncate(limit);
    let operation = |([service, operation, kind, peer], figures): &([&str; 4], Figures)| {
        let (count, critical) = (figures.count(), figures.critical_ns);
        let quantile = |q: f64| figures.latency.quantile(q);
        json!({
            "service": service,
            "operation": operation,
            "kind": kind,
            "peer": Some(peer).filter(|peer| !peer.is_empty()),
            "count": count,
            "rate": count as f64 / seconds,
            "errors": figures.errors,
            "error_rate": error_rate(figures.errors, count),
            "p50_ns": quantile(0.5),
            "p90_ns": quantile(0.9),
            "p99_ns": quantile(0.99),
            "max_ns": figures.latency.greatest(),
            "self_ns": figures.self_ns,
            "critical_ns": critical,
            "critical_share": if total == 0 { 0.0 } else { critical as f64 / total as f64 },
            "trend": figures.trend(bins),
        })
    };
    let operations: Vec<Value> = operations.iter().map(operation).collect();
    let mut report = Report::new("operations", json!({"operations": operations}));
    if cut {
        report.notes.push(Sentence::new(
            format!("only the {limit} operations with the largest share are listed; raise limit"),
            format!("只列出占比最大的 {limit} 个操作；可调大 limit"),
        ));
    }
    Ok(report)
}
