//! Amplification: how many calls one request causes at each tier below it, at normal times and in the window, and which
//! tier multiplies them. Retries of several tiers multiply: three attempts at each of two make nine at the third.
//!
//! ```text
//! trees ─walk─▶ paths of services from each entry, with calls, repeats and arrivals by bin ─judge─▶ rise, factors by tier
//! ```
//! A tier's factor is its calls per arrival at the tier before, so the factors of a path multiply to the calls that one
//! request causes at its end. Of each tier the part is known that repeats a failed call: without it, nobody would retry.

mod judge;
mod paths;
mod sentences;

use arrow::datatypes::SchemaRef;
use model::{Result, TraceId};
use serde_json::{Value, json};

use super::called::Operations;
use super::columns::{self, float, int, text};
use super::report::Report;
use super::scope::{Scope, Window};
use super::sentence::Sentence;
use super::timeline::settled;
use super::traces::{Detail, Limits, SLICE, SpanRecord, each_tree_in};
use super::{Analysis, Parameter, Running};
use crate::query::Query;
use judge::{Judged, Tier, judge};
use paths::{MOST_PATHS, Paths, Side};

pub const ANALYSIS: Analysis = Analysis {
    name: "amplification",
    title: ("Amplification", "调用放大"),
    doc: "Calls that one request causes at each tier below its entry, beside the baseline, and which tier multiplies them.",
    parameters: &[Parameter { name: "limit", doc: "paths at most (100)" }],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

/// Spans read of each side at most; of more, an even part of the traces (told in the notes).
const MOST_SPANS: u64 = 4_000_000;

fn schema() -> SchemaRef {
    let mut fields =
        Vec::from(["verdict", "entry_service", "entry_operation", "callee", "callee_type", "path"].map(text));
    fields.extend([int("requests"), int("calls")]);
    fields.extend(["calls_per_request", "baseline_calls_per_request", "q"].map(float));
    fields.extend(["retry_factor", "baseline_retry_factor"].map(float));
    fields.extend(["callee_calls_per_request", "baseline_callee_calls_per_request"].map(float));
    fields.extend(["multiplied_by", "multiplied_calls_of"].map(text));
    fields.push(int("most"));
    fields.extend(["exemplar", "explanation", "tiers"].map(text));
    columns::schema(fields)
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let limit = scope.number("limit", 100, 1, MOST_PATHS as i64)? as usize;
    let (mut operations, mut paths) = (Operations::default(), Paths::default());
    let window = settled(scope.window, query.now());
    let (now, part) = side((&query, &scope), window, &mut operations, &mut paths).await?;
    let then = match scope.baseline {
        Some(baseline) => Some(side((&query, &scope), baseline, &mut operations, &mut paths).await?.0),
        None => None,
    };
    let mut report = Report::new("rows", answer(&operations, &paths, &now, then.as_ref(), limit));
    if part > 1 {
        report.notes.push(Sentence::new(
            format!("one in {part} traces was looked at, chosen evenly by id"),
            format!("每 {part} 条调用链取一条，按 id 均匀选取"),
        ));
    }
    if paths.is_cut {
        report.notes.push(Sentence::new(
            format!("only {MOST_PATHS} paths are looked at; give a service"),
            format!("只分析 {MOST_PATHS} 条路径；请指定服务"),
        ));
    }
    Ok(report)
}

async fn side(
    (query, scope): (&Query, &Scope),
    window: Window,
    operations: &mut Operations,
    paths: &mut Paths,
) -> Result<(Side, u64)> {
    let mut side = Side::new(window);
    let limits = Limits { slice: SLICE, most: MOST_SPANS };
    let mut visit = |operations: &Operations, tree: &[SpanRecord]| side.look_at(operations, tree, paths);
    let part = each_tree_in((query, scope, window), limits, Detail::Calls, operations, &mut visit).await?;
    Ok((side, part.one_in()))
}

fn answer(operations: &Operations, paths: &Paths, now: &Side, then: Option<&Side>, limit: usize) -> Value {
    let mut judged = judge(paths, now, then);
    let places = |judged: &Judged| paths.places(operations, judged.path);
    judged.sort_by_cached_key(|one| (std::cmp::Reverse((one.extra * 1e6) as i64), places(one)));
    let amplified = judged.iter().filter(|one| one.verdict == judge::Verdict::Amplified).count();
    let found = judged.len();
    json!({
        "requests": now.requests(),
        "baseline_requests": then.map(Side::requests),
        "amplified": amplified,
        "found": found,
        "rows": judged.iter().take(limit).map(|one| row(operations, paths, one)).collect::<Vec<_>>(),
    })
}

fn row(operations: &Operations, paths: &Paths, one: &Judged) -> Value {
    let names = &operations.names;
    let (service, operation) = paths.entry_names(one.path);
    let callee = paths.callee(one.path);
    let places = paths.places(operations, one.path);
    let tier = |(tier, at): (&Tier, usize)| {
        json!({
            "from": places[at],
            "to": places[at + 1],
            "factor": tier.now.factor,
            "baseline_factor": tier.then.map(|then| then.factor),
            "retry_factor": tier.now.retries,
            "baseline_retry_factor": tier.then.map(|then| then.retries),
        })
    };
    let multiplier = one.multipliers().first().map(|at| (places[*at].clone(), places[*at + 1].clone()));
    let (multiplied_by, multiplied_calls_of) = multiplier.unzip();
    json!({
        "verdict": one.verdict,
        "entry_service": names.text(service),
        "entry_operation": names.text(operation),
        "callee": names.text(callee.name),
        "callee_type": callee.kind,
        "path": places.join(" → "),
        "requests": one.now.requests,
        "calls": one.now.calls,
        "calls_per_request": one.now.per_request,
        "baseline_calls_per_request": one.then.as_ref().map(|then| then.per_request),
        "q": one.q,
        "retry_factor": one.retries(|tier| Some(tier.now)),
        "baseline_retry_factor": one.retries(|tier| tier.then),
        "callee_calls_per_request": one.at_callee.0,
        "baseline_callee_calls_per_request": one.at_callee.1,
        "multiplied_by": multiplied_by,
        "multiplied_calls_of": multiplied_calls_of,
        "most": one.most.0,
        "exemplar": TraceId(one.most.1.to_be_bytes()).to_string(),
        "explanation": sentences::explain((names.text(service), names.text(operation)), &places, one),
        "tiers": one.tiers.iter().zip(0..).map(tier).collect::<Vec<_>>(),
    })
}
