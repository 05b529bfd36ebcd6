//! Two runs compared, operation by operation: better, worse, the same or no evidence, at the load levels that both have.
//!
//! ```text
//! each side: load levels ─┐                                        ┌─ operations by bin ─▶ bootstrap ─▶ p ─▶ q ≤ 0.05
//!                         └─ matched by rate, else by concurrency ─┼─ throughput, by concurrency only ─┤
//!                                                                  └─ requests from their intended start ─┘
//! ```
//! The baseline is the earlier run (`a`), the window the later one (`b`). Latencies of different loads are not compared:
//! a run that was driven harder is not worse for being slower. [`bands`] says what the same load is, [`matched`] and
//! [`throughput`] have the mathematics. All operations are judged; `limit` only cuts what is listed. Where requests of both
//! sides tell when they were meant to be sent, their latency is compared from then as well ([`intended`]).

mod bands;
mod examples;
mod intended;
mod matched;
mod throughput;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::runtime::SpawnedTask;
use model::time::SECOND;
use model::{Error, Nanos, Result};
use serde_json::{Value, json};

use super::called;
use super::coordinated_omission::clock::Clock;
use super::coordinated_omission::sentences;
use super::report::{Report, rfc3339};
use super::rows::{Row, read};
use super::runs::side;
use super::scope::{Scope, started_in};
use super::sentence::Sentence;
use super::steps::Segment;
use super::timeline::{IS_REQUEST, Timeline, settled};
use super::{Analysis, Parameter, Running};
use crate::query::Query;
use bands::{Band, Level, MatchedBy};
use intended::Intended;
use matched::{Bin, Compared, Figure, Limits, Operation, Outcome, Reason, Series};
use throughput::Mix;

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
        Parameter { name: "limit", doc: "operations listed at most, worse ones first; all are judged (200)" },
    ],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

/// The bootstrap needs bins, not many: this many at most.
const MOST_BINS: Nanos = 240;
/// Operations that are measured in one go: nobody waits for longer once the question is withdrawn.
const IN_ONE_GO: usize = 64;

fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let int = |name: &str| Field::new(name, DataType::Int64, true);
    let float = |name: &str| Field::new(name, DataType::Float64, true);
    let mut fields: Vec<Field> =
        ["service", "operation", "kind", "peer", "outcome", "reason", "measure"].map(text).into();
    fields.extend(["before", "after", "change", "low", "high", "q"].map(float));
    fields.extend([int("calls_a"), int("calls_b"), text("measures"), float("material")]);
    fields.extend(["exemplars_a", "exemplars_b"].map(text));
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

/// The same of service, name, kind and peer, which is empty for none.
fn operation_of([service, name, kind, peer]: [&str; 4]) -> Operation {
    let calls = ["CLIENT", "PRODUCER"].contains(&kind) && !peer.is_empty();
    let peer = calls.then(|| peer.to_owned());
    Operation { service: service.to_owned(), operation: name.to_owned(), kind: kind.to_owned(), peer }
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
        let level = |l: &Segment| {
            let concurrency = self.timeline.concurrency(l.start..l.end);
            Level { rate: l.rate, concurrency, window: self.timeline.window_of(l) }
        };
        levels.map(level).collect()
    }

    /// Requests and seconds of each bin within the levels of a band.
    fn requests(&self, band: &Band, is_baseline: bool) -> Vec<(f64, f64)> {
        let levels = band.levels(is_baseline).iter();
        let bins = levels.flat_map(|l| self.timeline.bins_of(l.window));
        bins.map(|at| (self.timeline.requests[at] as f64, self.timeline.bin as f64 / SECOND as f64)).collect()
    }

    /// Which requests came in the levels of a band.
    async fn mix(&self, query: &Query, band: &Band, is_baseline: bool) -> Result<Mix> {
        let within: Vec<String> = band.levels(is_baseline).iter().map(|l| started_in(l.window)).collect();
        let sql = format!(
            "SELECT service_name, name, count(*) AS n FROM spans WHERE (({})) AND {} AND {IS_REQUEST} GROUP BY 1, 2",
            within.join(") OR ("),
            self.scope.without_filters().conditions(),
        );
        // As the timeline: what is in the log only is in no trace yet.
        let found = read(&query.without_backlog(), &sql).await?;
        let entry = |row: Row<'_>| {
            let name = (row.text("service_name").to_owned(), row.text("name").to_owned());
            (name, row.int("n") as f64)
        };
        Ok(found.iter().map(entry).collect())
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
        let (bins, peer) = (Arc::from(bands::bins(window, bin, bands, is_baseline)), called::peer());
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

    /// The requests from their intended start, in the bins that lie within a band.
    async fn intended(&self, query: &Query, bin: Nanos, bands: &[Band], is_baseline: bool) -> Result<Intended> {
        let window = self.timeline.window;
        let bins = Arc::from(bands::bins(window, bin, bands, is_baseline));
        intended::read(query, &self.scope, window, bin, bins).await
    }

    fn json(&self, intended: &Intended) -> Value {
        let Timeline { window, requests, errors, latency, .. } = &self.timeline;
        let mut all = super::histogram::Histogram::default();
        latency.iter().for_each(|h| all.merge(h));
        let quantile = |q: f64| all.quantile(q).map(|ns| ns as i64);
        let level = |l: &Level| {
            let (start, end) = (rfc3339(l.window.start), rfc3339(l.window.end));
            json!({"qps": l.rate, "concurrency": l.concurrency, "start": start, "end": end})
        };
        json!({
            "start": rfc3339(window.start),
            "end": rfc3339(window.end),
            "requests": requests.iter().sum::<u64>(),
            "errors": errors.iter().sum::<u64>(),
            "p50_ns": quantile(0.5),
            "p90_ns": quantile(0.9),
            "p99_ns": quantile(0.99),
            "intended": intended.delays.json(),
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
    let bands = bands::bands(&a.levels(), &b.levels());
    let longest = [&a, &b].map(|s| s.timeline.window.end - s.timeline.window.start).into_iter().max().unwrap_or(0);
    let bin = (longest / MOST_BINS / SECOND + 1) * SECOND;
    let before = a.operations(&query, bin, &bands, true).await?;
    let after = b.operations(&query, bin, &bands, false).await?;
    let (mut throughput, other_mix) = throughputs(&query, [&a, &b], &bands, &limits).await?;
    let mut compared = measured(&bands, before, after, limits).await?;
    let told = [a.intended(&query, bin, &bands, true).await?, b.intended(&query, bin, &bands, false).await?];
    let ([json_a, json_b], clock) = ([a.json(&told[0]), b.json(&told[1])], clock([told[0].clock, told[1].clock]));
    intended::add(&mut compared, &bands, told, &limits);
    let mut figures: Vec<Figure> = throughput.iter().flatten().copied().collect();
    matched::judge(&mut compared, &mut figures);
    throughput.iter_mut().flatten().zip(&figures).for_each(|(figure, judged)| *figure = *judged);
    examples::add(&query, [&a, &b], &bands, &mut compared).await?;

    let count = |outcome: Outcome| compared.iter().filter(|c| c.outcome == outcome && c.reason.is_none()).count();
    let because = |reason: Reason| compared.iter().filter(|c| c.reason == Some(reason)).count();
    let [worse, better, same, unknown] =
        [Outcome::Worse, Outcome::Better, Outcome::Same, Outcome::NoEvidence].map(count);
    let of_throughput = |outcome: Outcome| figures.iter().filter(|f| f.outcome == outcome).count();
    let in_all = |of_operations: usize, outcome: Outcome| of_operations + of_throughput(outcome);
    let verdict = match (
        in_all(worse, Outcome::Worse),
        in_all(better, Outcome::Better),
        in_all(unknown, Outcome::NoEvidence),
        in_all(same, Outcome::Same),
    ) {
        (1.., ..) => "worse",
        (0, 1.., ..) => "better",
        (0, 0, 1.., _) => "no_evidence",
        (0, 0, 0, 1..) => "same",
        (0, 0, 0, 0) => "not_enough_data",
    };
    let matched = bands.iter().zip(&throughput).map(|(band, throughput)| {
        let mut band = band.json();
        band["throughput"] = json!(throughput);
        band
    });
    let mut report = Report::new(
        "operations",
        json!({
            "a": json_a,
            "b": json_b,
            "clock": clock,
            "matched": matched.collect::<Vec<_>>(),
            "verdict": verdict,
            "worse": worse,
            "better": better,
            "same": same,
            "no_evidence": unknown,
            "too_few_calls": because(Reason::TooFewCalls),
            "only_in_a": because(Reason::OnlyInA),
            "only_in_b": because(Reason::OnlyInB),
            "found": compared.len(),
            "limits": limits.json(),
            "operations": compared.iter().take(limit).map(Compared::json).collect::<Vec<_>>(),
        }),
    );
    if bands.is_empty() {
        report.notes.push(Sentence::new(
            "the runs have no load level in common, so nothing was compared",
            "两次压测没有相同的负载水平，因此未作比较",
        ));
    }
    if other_mix {
        report.notes.push(Sentence::new(
            "the runs had other requests at equal concurrency, so throughput was not compared there",
            "并发相同时两次压测的请求构成不同，因此未比较该处的吞吐量",
        ));
    }
    Ok(report)
}

/// From when the latencies of both sides count.
fn clock([a, b]: [Clock; 2]) -> Value {
    let Sentence { en, zh } = sentences::clocks(a, b);
    json!({"known": a.is_known() && b.is_known(), "a": a.json(), "b": b.json(), "en": en, "zh": zh})
}

/// The figures of throughput by band, none where bands are matched by rate or only a part of the spans is asked about; and
/// whether one is missing since the requests were others.
async fn throughputs(
    query: &Query,
    [a, b]: [&Side; 2],
    bands: &[Band],
    limits: &Limits,
) -> Result<(Vec<Option<Figure>>, bool)> {
    let (mut figures, mut other_mix) = (Vec::new(), false);
    for band in bands {
        let mut figure = None;
        if band.by == MatchedBy::Concurrency && !b.scope.has_filters() {
            let mixes = [a.mix(query, band, true).await?, b.mix(query, band, false).await?];
            let is_same = throughput::is_same_mix([&mixes[0], &mixes[1]]);
            // A system that only consumes has messages and no requests.
            other_mix |= !is_same && mixes.iter().any(|mix| !mix.is_empty());
            if is_same {
                figure = throughput::figure(band, [&a.requests(band, true), &b.requests(band, false)], limits);
            }
        }
        figures.push(figure);
    }
    Ok((figures, other_mix))
}

/// The figures of every operation: pure arithmetic, some seconds of it when there are many.
async fn measured(
    bands: &[Band],
    before: BTreeMap<Operation, Series>,
    after: BTreeMap<Operation, Series>,
    limits: Limits,
) -> Result<Vec<Compared>> {
    let bands: Arc<[Band]> = bands.into();
    let mut pairs = matched::pairs(before, after).into_iter();
    let mut compared = Vec::with_capacity(pairs.len());
    loop {
        let some: Vec<_> = pairs.by_ref().take(IN_ONE_GO).collect();
        if some.is_empty() {
            return Ok(compared);
        }
        let bands = Arc::clone(&bands);
        let of_some = move || -> Vec<Compared> { some.iter().map(|p| matched::measured(&bands, p, &limits)).collect() };
        let of_some = SpawnedTask::spawn_blocking(of_some).await;
        compared.extend(of_some.map_err(|e| Error::internal(format!("comparing runs: {e}")))?);
    }
}

fn nothing_to_compare_with(limits: &Limits) -> Report {
    let empty = json!({
        "a": null, "b": null, "clock": null, "matched": [], "verdict": "not_enough_data", "worse": 0, "better": 0, "same": 0,
        "no_evidence": 0, "too_few_calls": 0, "only_in_a": 0, "only_in_b": 0, "found": 0, "limits": limits.json(), "operations": [],
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
