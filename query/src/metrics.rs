//! Metrics for the explorer: which there are, and series over time, by the rules of OpenTelemetry's data model.
//!
//! Points are grouped into series by their whole identity (resource, scope, attributes), turned into rises where they
//! count ([`point`]), and folded into one line for each group asked for ([`fold`]).

mod buckets;
mod fold;
mod point;

use std::collections::{BTreeMap, HashMap};

use arrow::array::RecordBatch;
use model::time::{MINUTE, SECOND};
use model::{Error, Kind, Nanos, Result, Tenant};
use serde_json::{Value as Json, json};

use crate::analysis::rows::{Row, read};
use crate::analysis::scope::{Scope, Window, quoted};
use crate::query::Query;
use crate::session::Engine;
use fold::{Aggregate, Line, Steps};
use point::{Columns, Point, Temporality, Value, rises};

/// Lines in one answer.
const MAX_LINES: usize = 100;
/// Steps of a line.
const MAX_STEPS: i64 = 2_000;
/// Data points read for one answer.
const MAX_POINTS: usize = 2_000_000;
/// How far before the window a counter's previous point is looked for, and after it the next, which tells of the
/// window's end.
const LOOK_BACK: Nanos = 5 * MINUTE;
const LOOK_AHEAD: Nanos = MINUTE;

impl Engine {
    /// `GET /api/v1/metrics/names` (docs/api.md); the window and `service` are read from `parameters`.
    pub async fn metric_names(&self, tenant: &Tenant, parameters: &[(String, String)]) -> Result<Json> {
        let parameters = parameters.to_vec();
        self.run(tenant, move |query| async move { names(&query, &Scope::parse(&parameters, query.now())?).await })
            .await
    }

    /// `GET /api/v1/metrics/series` (docs/api.md). `NotFound` when the metric has no point in the window.
    pub async fn metric_series(&self, tenant: &Tenant, parameters: &[(String, String)]) -> Result<Json> {
        let parameters = parameters.to_vec();
        self.run(tenant, move |query| async move { series(&query, &Scope::parse(&parameters, query.now())?).await })
            .await
    }
}

/// The conditions of a scope that make sense for metrics, and a window.
fn conditions(scope: &Scope, window: Window) -> String {
    let mut all = vec![format!("time_unix_nano >= {} AND time_unix_nano < {}", window.start, window.end)];
    for (name, value) in [("service_name", &scope.service), ("instance_id", &scope.instance)] {
        all.extend(value.as_ref().map(|v| format!("{name} = {}", quoted(v))));
    }
    for (key, value) in &scope.attributes {
        let (key, value) = (quoted(key), quoted(value));
        all.push(format!(
            "(json_as_text(attributes, {key}) = {value} OR json_as_text(resource_attributes, {key}) = {value})"
        ));
    }
    all.join(" AND ")
}

async fn names(query: &Query, scope: &Scope) -> Result<Json> {
    let sql = format!(
        "SELECT name, type, max(unit) AS unit, max(description) AS description, \
                count(DISTINCT service_name) AS services, count(*) AS points \
         FROM physical.metrics WHERE {} GROUP BY 1, 2 ORDER BY 1, 2",
        conditions(scope, scope.window)
    );
    let found = read(query, &sql).await?;
    let metric = |row: Row| {
        json!({
            "name": row.text("name"),
            "type": row.text("type"),
            "unit": row.text("unit"),
            "description": row.text("description"),
            "services": row.int("services"),
            "points": row.int("points"),
        })
    };
    let metrics: Vec<Json> = found.iter().map(metric).collect();
    Ok(json!({ "metrics": metrics }))
}

/// What one series is, besides its points.
#[derive(Debug, Clone)]
struct Facts {
    labels: BTreeMap<String, String>,
    counts: bool,
    temporality: Temporality,
}

async fn series(query: &Query, scope: &Scope) -> Result<Json> {
    let Some(name) = scope.text("name") else {
        return Err(Error::invalid("name is missing").hint("GET /api/v1/metrics/names lists the metrics"));
    };
    let steps = steps(scope)?;
    let group_by: Vec<&str> = scope.text("group_by").unwrap_or_default().split(',').filter(|g| !g.is_empty()).collect();
    let window = Window {
        start: scope.window.start.saturating_sub(LOOK_BACK),
        end: scope.window.end.saturating_add(LOOK_AHEAD),
    };
    let sql = format!(
        "SELECT * FROM physical.metrics WHERE name = {} AND {} LIMIT {}",
        quoted(name),
        conditions(scope, window),
        MAX_POINTS + 1
    );
    let batches = query.rows(&sql, vec![]).await?;
    let points: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if points == 0 {
        return Err(Error::not_found(format!("metric {name:?} has no points in this window"))
            .hint("widen the window, or see GET /api/v1/metrics/names"));
    }
    if points > MAX_POINTS {
        return Err(Error::new(
            Kind::Limit,
            format!("metric {name:?} has more than {MAX_POINTS} points in this window"),
        )
        .hint("narrow the window or give a service"));
    }
    let first = Columns(&batches[0]);
    let (ty, unit) = (first.text("type", 0).to_owned(), first.text("unit", 0).to_owned());
    let (aggregate, counts) = aggregate(scope, &ty, first.truth("is_monotonic", 0))?;
    let mut lines: BTreeMap<BTreeMap<String, String>, Line> = BTreeMap::new();
    for (facts, points) in grouped(&batches, &group_by) {
        let line = lines.entry(facts.labels.clone()).or_insert_with(|| Line::new(steps));
        add(line, &facts, &points);
    }
    let truncated = lines.len() > MAX_LINES;
    let shown = lines.iter().take(MAX_LINES).map(|(labels, line)| {
        let times: Vec<i64> = (0..steps.count as i64).map(|at| at * steps.step / 1_000).collect();
        json!({ "labels": labels, "t_us": times, "values": line.values(aggregate, counts) })
    });
    Ok(json!({
        "t0": steps.start.to_string(),
        "step_us": steps.step / 1_000,
        "unit": unit,
        "type": ty,
        "series": shown.collect::<Vec<_>>(),
        "truncated": truncated,
    }))
}

fn add(line: &mut Line, facts: &Facts, points: &[Point]) {
    if facts.counts {
        rises(points, facts.temporality).iter().for_each(|rise| line.rise(rise));
        return;
    }
    for point in points {
        if let Value::Number(value) = point.value {
            line.gauge(point.time, value);
        }
    }
}

/// About 120 steps unless asked otherwise, in whole seconds.
fn steps(scope: &Scope) -> Result<Steps> {
    let Window { start, end } = scope.window;
    let length = end.saturating_sub(start);
    let default = (length / 120 / SECOND).max(1) * SECOND / 1_000;
    let step = scope.number("step_us", default, 1_000, i64::MAX / 1_000)? * 1_000;
    let step = step.max(length / MAX_STEPS + 1);
    let count = usize::try_from(length / step + i64::from(length % step != 0)).unwrap_or(1).max(1);
    Ok(Steps { start, step, count })
}

/// The aggregate asked for or the type's own, and whether points of the type add up.
fn aggregate(scope: &Scope, ty: &str, monotonic: bool) -> Result<(Aggregate, bool)> {
    let counts = match ty {
        "SUM" => monotonic,
        "HISTOGRAM" | "EXPONENTIAL_HISTOGRAM" | "SUMMARY" => true,
        _ => false,
    };
    let default = match ty {
        "SUM" if monotonic => "rate",
        "HISTOGRAM" | "EXPONENTIAL_HISTOGRAM" | "SUMMARY" => "p99",
        _ => "avg",
    };
    let asked = scope.text("agg").unwrap_or(default);
    let Some(aggregate) = Aggregate::parse(asked) else {
        return Err(
            Error::invalid(format!("agg {asked:?} is not known")).hint("avg, max, min, sum, rate, count, p50, p99")
        );
    };
    if aggregate == Aggregate::Rate && !counts {
        return Err(Error::invalid("only counters and histograms have a rate").hint("use avg, max or min"));
    }
    Ok((aggregate, counts))
}

/// The series of all batches: points of one identity, in order of time, each moment once.
fn grouped(batches: &[RecordBatch], group_by: &[&str]) -> Vec<(Facts, Vec<Point>)> {
    let mut places: HashMap<[&str; 8], usize> = HashMap::new();
    let mut series: Vec<(Facts, Vec<Point>)> = Vec::new();
    for batch in batches {
        let columns = Columns(batch);
        for row in 0..batch.num_rows() {
            let text = |name| columns.text(name, row);
            let identity = [
                "resource_attributes",
                "scope_name",
                "scope_version",
                "attributes",
                "type",
                "unit",
                "temporality",
                "service_name",
            ]
            .map(text);
            let at = *places.entry(identity).or_insert_with(|| {
                series.push((facts(&columns, row, group_by), Vec::new()));
                series.len() - 1
            });
            series[at].1.push(columns.point(row));
        }
    }
    for (_, points) in &mut series {
        points.sort_by_key(|p| (p.time, p.start));
        points.dedup_by_key(|p| p.time);
    }
    series
}

fn facts(columns: &Columns, row: usize, group_by: &[&str]) -> Facts {
    let text = |name: &str| columns.text(name, row);
    let attribute = |json: &str, key: &str| {
        let object: Json = serde_json::from_str(json).ok()?;
        Some(match object.get(key)? {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        })
    };
    let label = |key: &&str| {
        let value = match *key {
            "service_name" | "instance_id" | "service_namespace" | "service_version" => text(key).to_owned(),
            key => attribute(text("attributes"), key)
                .or_else(|| attribute(text("resource_attributes"), key))
                .unwrap_or_default(),
        };
        ((*key).to_owned(), value)
    };
    let counts = match text("type") {
        "SUM" => columns.truth("is_monotonic", row),
        "HISTOGRAM" | "EXPONENTIAL_HISTOGRAM" | "SUMMARY" => true,
        _ => false,
    };
    let temporality = if text("temporality") == "DELTA" { Temporality::Delta } else { Temporality::Cumulative };
    Facts { labels: group_by.iter().map(label).collect(), counts, temporality }
}
