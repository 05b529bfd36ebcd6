//! Traces that hold a matching span: newest, slowest, or typical (nearest the median duration of what matched).

use arrow::datatypes::SchemaRef;
use model::{Error, Result};
use serde_json::{Value, json};

use super::columns::{self, flag, int, text};
use super::report::Report;
use super::rows::{Row, number, read};
use super::scope::{Scope, Window, quoted, started_in};
use super::{Analysis, Parameter, Running};
use crate::query::Query;

pub const ANALYSIS: Analysis = Analysis {
    name: "search",
    title: ("Traces", "调用链查询"),
    doc: "Traces that hold a span matching the filters.",
    parameters: &[
        Parameter { name: "order", doc: "newest (default), slowest or typical" },
        Parameter { name: "min_ns", doc: "least duration of the matching span" },
        Parameter { name: "max_ns", doc: "greatest duration of the matching span" },
        Parameter { name: "errors", doc: "true: only spans with status ERROR" },
        Parameter { name: "limit", doc: "traces at most, 1 to 500 (50)" },
    ],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

fn schema() -> SchemaRef {
    columns::schema([
        text("trace_id"),
        text("service"),
        text("operation"),
        int("start_us"),
        int("duration_ns"),
        int("spans"),
        int("services"),
        int("errors"),
        text("status_code"),
        flag("has_root"),
    ])
}

/// The conditions on the matching span. Without filters requests are listed, one row a trace.
fn matching(scope: &Scope) -> Result<String> {
    let mut all = vec![started_in(scope.window), scope.conditions()];
    if !scope.has_filters() {
        all.push("(parent_span_id = '' OR (tree_flags & 64) <> 0)".to_owned());
    }
    if scope.text("min_ns").is_some() {
        all.push(format!("duration_ns >= {}", scope.number("min_ns", 0, 0, i64::MAX)?));
    }
    if scope.text("max_ns").is_some() {
        all.push(format!("duration_ns <= {}", scope.number("max_ns", 0, 0, i64::MAX)?));
    }
    if scope.flag("errors") {
        all.push("status_code = 'ERROR'".to_owned());
    }
    Ok(all.join(" AND "))
}

/// Ids of traces, best first.
pub async fn find(query: &Query, scope: &Scope, order: &str, limit: i64) -> Result<Vec<String>> {
    let matching = matching(scope)?;
    let order = match order {
        "newest" => "max(start_time) DESC".to_owned(),
        "slowest" => "max(duration_ns) DESC".to_owned(),
        "typical" => {
            let sql = format!("SELECT quantile(duration_ns, 0.5) AS m FROM spans WHERE {matching}");
            let median = number(query, &sql).await?;
            format!("abs(max(duration_ns) - {median})")
        }
        other => {
            return Err(
                Error::invalid(format!("order {other:?} is not known")).hint("order is newest, slowest or typical")
            );
        }
    };
    let sql = format!("SELECT trace_id FROM spans WHERE {matching} GROUP BY 1 ORDER BY {order}, 1 LIMIT {limit}");
    let found = read(query, &sql).await?;
    Ok(found.iter().map(|row| row.text("trace_id").to_owned()).collect())
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let limit = scope.number("limit", 50, 1, 500)?;
    let ids = find(&query, &scope, scope.text("order").unwrap_or("newest"), limit).await?;
    let t0 = scope.window.start;
    let mut traces: Vec<Value> = Vec::new();
    if !ids.is_empty() {
        let list: Vec<String> = ids.iter().map(|id| quoted(id)).collect();
        // The rest of a trace may lie outside the window.
        let Window { start, end } = scope.window;
        let near = Window { start: start - 10 * model::time::MINUTE, end: end + 10 * model::time::MINUTE };
        let sql = format!(
            "SELECT trace_id, count(*) AS spans, count(DISTINCT service_name) AS services, \
                    sum(CASE WHEN status_code = 'ERROR' THEN 1 ELSE 0 END) AS errors, \
                    sum(CASE WHEN parent_span_id = '' THEN 1 ELSE 0 END) AS roots, \
                    min(start_time_unix_nano) AS start, max(end_time_unix_nano) AS finish, \
                    first_value(service_name ORDER BY parent_span_id = '' DESC, start_time) AS service, \
                    first_value(name ORDER BY parent_span_id = '' DESC, start_time) AS operation, \
                    first_value(duration_ns ORDER BY parent_span_id = '' DESC, start_time) AS duration, \
                    first_value(status_code ORDER BY parent_span_id = '' DESC, start_time) AS status \
             FROM spans WHERE {} AND trace_id IN ({}) GROUP BY 1",
            started_in(near),
            list.join(", ")
        );
        let found = read(&query, &sql).await?;
        let trace = |row: Row| {
            json!({
                "trace_id": row.text("trace_id"),
                "service": row.text("service"),
                "operation": row.text("operation"),
                "start_us": (row.int("start") - t0) / 1_000,
                "duration_ns": row.int("duration"),
                "spans": row.int("spans"),
                "services": row.int("services"),
                "errors": row.int("errors"),
                "status_code": row.text("status"),
                "has_root": row.int("roots") > 0,
            })
        };
        traces = found.iter().map(trace).collect();
        let place = |trace: &Value| ids.iter().position(|id| trace["trace_id"] == id.as_str());
        traces.sort_by_key(place);
    }
    Ok(Report::new("traces", json!({"t0": t0.to_string(), "traces": traces})))
}
