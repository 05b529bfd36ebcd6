//! Metrics for the explorer: which there are, and series over time, by the rules of OpenTelemetry's data model.
//!
//! Points are gathered by series ([`series`]), turned into rises where they count ([`point`]), and made into one line for
//! each group asked for ([`fold`]).

mod buckets;
mod fold;
mod point;
mod series;

use std::collections::BTreeMap;

use model::time::{MINUTE, SECOND};
use model::{Error, Nanos, Result, Tenant};
use serde_json::{Value as Json, json};

use crate::analysis::rows::{Row, read};
use crate::analysis::scope::{Scope, Window, quoted};
use crate::query::Query;
use crate::session::Engine;
use fold::{Aggregate, Line, Steps};
use point::{Point, Value, rises};
use series::{AllSeries, COLUMNS, Labels, Metric, Series, counts};

/// Lines in one answer.
const MAX_LINES: usize = 100;
/// Steps of a line.
const MAX_STEPS: i64 = 2_000;
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
        "SELECT {COLUMNS} FROM physical.metrics WHERE name = {} AND {}",
        quoted(name),
        conditions(scope, window),
    );
    let mut folded = query.fold(&sql, || AllSeries::by(&group_by)).await?;
    folded.fold.check()?;
    let Some(Metric { ty, unit, monotonic }) = folded.fold.metric.take() else {
        return Err(Error::not_found(format!("metric {name:?} has no points in this window"))
            .hint("widen the window, or see GET /api/v1/metrics/names"));
    };
    let agg = scope.text("agg").unwrap_or_else(|| usual(&ty, monotonic));
    let counts = counts(&ty, monotonic);
    let aggregate = aggregate(agg, counts)?;
    let mut groups: BTreeMap<Labels, Vec<Series>> = BTreeMap::new();
    for mut series in std::mem::take(&mut folded.fold.series) {
        groups.entry(std::mem::take(&mut series.labels)).or_default().push(series);
    }
    let truncated = groups.len() > MAX_LINES;
    let times: Vec<i64> = (0..steps.count as i64).map(|at| at * steps.step / 1_000).collect();
    let mut shown = Vec::new();
    for (labels, series) in groups.into_iter().take(MAX_LINES) {
        let line = line(steps, series).await;
        shown.push(json!({ "labels": labels, "t_us": times, "values": line.values(aggregate, counts) }));
    }
    Ok(json!({
        "t0": steps.start.to_string(),
        "step_us": steps.step / 1_000,
        "unit": unit,
        "type": ty,
        "agg": agg,
        "series": shown,
        "truncated": truncated,
    }))
}

/// All series of one group as one line.
async fn line(steps: Steps, series: Vec<Series>) -> Line {
    let mut line = Line::new(steps);
    for mut series in series {
        series.sort();
        if series.counts {
            rises(&series.points, series.temporality).iter().for_each(|rise| line.rise(rise));
        } else {
            let number = |point: &Point| match point.value {
                Value::Number(value) => Some((point.time, value)),
                _ => None,
            };
            line.gauge(&series.points.iter().filter_map(number).collect::<Vec<_>>());
        }
        // A query that nobody waits for any more ends here.
        tokio::task::yield_now().await;
    }
    line
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

/// The aggregate of a type when none is asked for.
fn usual(ty: &str, monotonic: bool) -> &'static str {
    match ty {
        "SUM" if monotonic => "rate",
        // Parts of one whole, such as the connections of a pool by state: only together they say something.
        "SUM" => "sum",
        "HISTOGRAM" | "EXPONENTIAL_HISTOGRAM" | "SUMMARY" => "p99",
        _ => "avg",
    }
}

fn aggregate(asked: &str, counts: bool) -> Result<Aggregate> {
    let Some(aggregate) = Aggregate::parse(asked) else {
        return Err(
            Error::invalid(format!("agg {asked:?} is not known")).hint("avg, max, min, sum, rate, count, p50, p99")
        );
    };
    if aggregate == Aggregate::Rate && !counts {
        return Err(Error::invalid("only counters and histograms have a rate").hint("use avg, max or min"));
    }
    Ok(aggregate)
}
