//! Two runs compared, operation by operation: better, worse, the same or no evidence, at the load levels that both have.
//!
//! ```text
//! each side: load levels ─┐                    ┌─ operations by bin ─▶ bootstrap per side ─▶ p-values ─▶ q ≤ 0.05
//!                         └─ matched by rate ──┘
//! ```
//! The baseline is the earlier run (`a`), the window the later one (`b`). Latencies of different loads are not compared:
//! a run that was driven harder is not worse for being slower. [`matched`] has the mathematics.

mod matched;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::runtime::SpawnedTask;
use model::time::SECOND;
use model::{Error, Nanos, Result};
use serde_json::{Value, json};

use super::called;
use super::report::{Report, rfc3339};
use super::rows::{Row, read};
use super::runs::side;
use super::scope::{Scope, started_in};
use super::sentence::Sentence;
use super::timeline::{Timeline, settled};
use super::{Analysis, Parameter, Running};
use crate::query::Query;
use matched::{Band, Bin, Level, Limits, Operation, Outcome, Series};

pub const NAME: &str = "run-diff";

pub const ANALYSIS: Analysis = Analysis {
    name: NAME,
    title: ("Runs compared", "压测对比"),
    doc: "Every operation of two runs at matched load: better, worse, the same or no evidence, with intervals.",
    parameters: &[
        Parameter { name: "run", doc: "the later run, by id or name; RUN@MARK for a stage" },
        Parameter { name: "baseline_run", doc: "the earlier run to compare it with" },
        Parameter { name: "material_ratio", doc: "the least change that counts, as a part of the earlier value (0.2)" },
        Parameter { name: "material_ms", doc: "the least change of a latency that counts, in milliseconds (2)" },
        Parameter { name: "limit", doc: "operations at most, those with the most calls (200)" },
    ],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

/// The bootstrap needs bins, not many: this many at most.
const MOST_BINS: Nanos = 240;

fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let int = |name: &str| Field::new(name, DataType::Int64, true);
    let float = |name: &str| Field::new(name, DataType::Float64, true);
    let mut fields: Vec<Field> =
        ["service", "operation", "kind", "peer", "outcome", "reason", "measure"].map(text).into();
    fields.extend(["before", "after", "change", "low", "high", "q"].map(float));
    fields.extend([int("calls_a"), int("calls_b"), text("measures"), float("material")]);
    Arc::new(Schema::new(fields))
}

fn operation(row: &Row<'_>) -> Operation {
    let text = |column: &str| row.text(column).to_owned();
    Operation {
        service: text("service_name"),
        operation: text("name"),
        kind: text("kind"),
        peer: row.some_text("peer").map(str::to_owned),
    }
}

/// One run, as far as it is compared.
struct Side {
    scope: Scope,
    timeline: Timeline,
}

impl Side {
    async fn read(query: &Query, scope: Scope) -> Result<Side> {
        let window = settled(scope.window, query.now());
        let timeline = Timeline::read(query, &scope.without_filters(), window).await?;
        Ok(Side { scope, timeline })
    }

    fn levels(&self) -> Vec<Level> {
        let levels = self.timeline.levels.iter().filter(|l| !l.is_transition && l.rate > 0.0);
        levels.map(|l| Level { rate: l.rate, window: self.timeline.window_of(l) }).collect()
    }

    /// The spans of every operation by bin, in the bins that lie within a band.
    async fn operations(
        &self,
        query: &Query,
        bin: Nanos,
        bands: &[Band],
        is_baseline: bool,
    ) -> Result<BTreeMap<Operation, Series>> {
        let window = self.timeline.window;
        let (bins, peer) = (Arc::from(matched::bins(window, bin, bands, is_baseline)), called::peer());
        let sql = format!(
            "SELECT service_name, name, kind, {peer} AS peer, (start_time_unix_nano - {}) / {bin} AS b, \
                    CAST(sum(duration_ns) AS DOUBLE) AS d, sketch(duration_ns) AS s, \
                    sum(CASE WHEN status_code = 'ERROR' THEN 1 ELSE 0 END) AS e \
             FROM spans WHERE {} AND {} GROUP BY 1, 2, 3, 4, 5",
            window.start,
            started_in(window),
            self.scope.conditions(),
        );
        let mut operations: BTreeMap<Operation, Series> = BTreeMap::new();
        for row in read(query, &sql).await?.iter() {
            let series = operations.entry(operation(&row)).or_insert_with(|| Series::new(Arc::clone(&bins)));
            let bin = Bin { duration: row.float("d"), errors: row.int("e") as u64, latency: row.histogram("s") };
            series.add(row.int("b"), bin);
        }
        Ok(operations)
    }

    fn json(&self) -> Value {
        let Timeline { window, requests, errors, latency, .. } = &self.timeline;
        let mut all = super::histogram::Histogram::default();
        latency.iter().for_each(|h| all.merge(h));
        let quantile = |q: f64| all.quantile(q).map(|ns| ns as i64);
        let level = |l: &Level| json!({"qps": l.rate, "start": rfc3339(l.window.start), "end": rfc3339(l.window.end)});
        json!({
            "start": rfc3339(window.start),
            "end": rfc3339(window.end),
            "requests": requests.iter().sum::<u64>(),
            "errors": errors.iter().sum::<u64>(),
            "p50_ns": quantile(0.5),
            "p90_ns": quantile(0.9),
            "p99_ns": quantile(0.99),
            "levels": self.levels().iter().map(level).collect::<Vec<_>>(),
        })
    }
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let limit = scope.number("limit", 200, 1, 2_000)? as usize;
    let limits = Limits::of(fraction(&scope, "material_ratio", 0.2)?, fraction(&scope, "material_ms", 2.0)? * 1e6);
    let Some(earlier) = side(&scope, true) else { return Ok(nothing_to_compare_with(&limits)) };
    let a = Side::read(&query, earlier).await?;
    let b = Side::read(&query, side(&scope, false).unwrap_or(scope)).await?;
    let bands = matched::bands(&a.levels(), &b.levels());
    let longest = [&a, &b].map(|s| s.timeline.window.end - s.timeline.window.start).into_iter().max().unwrap_or(0);
    let bin = (longest / MOST_BINS / SECOND + 1) * SECOND;
    let before = a.operations(&query, bin, &bands, true).await?;
    let after = b.operations(&query, bin, &bands, false).await?;
    // Pure arithmetic from here on, a second or so of it when there are many operations.
    let of_bands = bands.clone();
    let compared =
        SpawnedTask::spawn_blocking(move || matched::compare(&of_bands, before, after, limit, &limits)).await;
    let compared = compared.map_err(|e| Error::internal(format!("comparing runs: {e}")))?;

    let count = |outcome: Outcome| compared.iter().filter(|c| c.outcome == outcome && c.reason.is_none()).count();
    let [worse, better, same, unknown] =
        [Outcome::Worse, Outcome::Better, Outcome::Same, Outcome::NoEvidence].map(count);
    let verdict = match (worse, better, unknown, same) {
        (1.., ..) => "worse",
        (0, 1.., ..) => "better",
        (0, 0, 1.., _) => "no_evidence",
        (0, 0, 0, 1..) => "same",
        (0, 0, 0, 0) => "not_enough_data",
    };
    let mut report = Report::new(
        "operations",
        json!({
            "a": a.json(),
            "b": b.json(),
            "matched": bands.iter().map(Band::json).collect::<Vec<_>>(),
            "verdict": verdict,
            "worse": worse,
            "better": better,
            "same": same,
            "no_evidence": unknown,
            "limits": limits.json(),
            "operations": compared.iter().map(matched::Compared::json).collect::<Vec<_>>(),
        }),
    );
    if bands.is_empty() {
        report.notes.push(Sentence::new(
            "the runs have no load level in common, so nothing was compared",
            "两次压测没有相同的负载水平，因此未作比较",
        ));
    }
    Ok(report)
}

fn nothing_to_compare_with(limits: &Limits) -> Report {
    let empty = json!({
        "a": null, "b": null, "matched": [], "verdict": "not_enough_data", "worse": 0, "better": 0, "same": 0,
        "no_evidence": 0, "limits": limits.json(), "operations": [],
    });
    let mut report = Report::new("operations", empty);
    report.notes.push(Sentence::new(
        "nothing to compare with: give run and baseline_run, or the times of both",
        "没有可比较的对象：请指定 run 和 baseline_run，或两者的时间",
    ));
    report
}

fn fraction(scope: &Scope, name: &str, default: f64) -> Result<f64> {
    let Some(text) = scope.text(name) else { return Ok(default) };
    let wrong = || Error::invalid(format!("{name} {text:?} is not a number of 0 or more"));
    text.parse::<f64>().ok().filter(|v| v.is_finite() && *v >= 0.0).ok_or_else(wrong)
}
