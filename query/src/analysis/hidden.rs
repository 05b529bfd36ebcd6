//! Where latency hides: time that no operation would own up to. Found in whole traces, ranked by what it costs a request.
//!
//! | pattern | what is counted as lost |
//! |---|---|
//! | `n_plus_one` | calls of one span that say the same, one after the other, five or more: all but the longest of them |
//! | `retry` | a failed call made again by the same span: from its first start to its last |
//! | `before_served` | a call's time less its serving: the network, and the queue before a worker takes it |
//! | `before_first_call` | from the start of serving to the first call: a pool, a lock, or work |
//!
//! Calls say the same that are of one operation and, where they carry a statement, have it in common but for its values
//! ([`Shapes`](super::statements::Shapes)). Where each goes to a server of its own they are one question to many, no N+1.

use std::collections::{HashMap, HashSet};

use arrow::datatypes::SchemaRef;
use model::trace::SpanKind;
use model::{Result, TraceId};
use serde_json::{Value, json};

use super::called::Operations;
use super::columns::{self, float, int, text};
use super::histogram::Histogram;
use super::names::NONE;
use super::parents::Parents;
use super::report::Report;
use super::scope::{Scope, Window};
use super::sentence::Sentence;
use super::timeline::settled;
use super::times;
use super::traces::{Detail, Limits, SLICE, SpanRecord, each_tree_in};
use super::{Analysis, Parameter, Running};
use crate::query::Query;

pub const ANALYSIS: Analysis = Analysis {
    name: "hidden",
    title: ("Hidden latency", "隐藏的延迟"),
    doc: "Time lost to N+1 calls, retries, waiting to be served, and waiting before the first call, per request.",
    parameters: &[Parameter { name: "limit", doc: "rows at most (100)" }],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

/// Spans read of each side at most; of more, an even part of the traces (told in the notes).
const MOST_SPANS: u64 = 4_000_000;
/// From this many like calls in sequence on they are an N+1 (Sentry's detector takes 5 as well).
const N_PLUS_ONE: usize = 5;

fn schema() -> SchemaRef {
    let mut fields = Vec::from(["pattern", "service", "operation", "span_kind", "peer"].map(text));
    fields.extend(["caller_service", "caller_operation"].map(text));
    fields.extend([int("count"), float("calls"), float("per_request"), int("time_ns_per_request")]);
    fields.extend([int("baseline_time_ns_per_request"), float("share_of_latency"), int("p50_ns"), int("p99_ns")]);
    fields.extend(["exemplar", "statement"].map(text));
    columns::schema(fields)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Pattern {
    NPlusOne,
    Retry,
    BeforeServed,
    BeforeFirstCall,
}

impl Pattern {
    fn name(self) -> &'static str {
        match self {
            Pattern::NPlusOne => "n_plus_one",
            Pattern::Retry => "retry",
            Pattern::BeforeServed => "before_served",
            Pattern::BeforeFirstCall => "before_first_call",
        }
    }
}

/// The operation that is called (or waits), narrowed to what it says where calls are repeated, and the one that calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    pattern: Pattern,
    operation: u32,
    caller: Option<u32>,
}

#[derive(Default)]
struct Lost {
    /// Occurrences, and the calls in them.
    count: u64,
    calls: u64,
    time: i64,
    each: Histogram,
    longest: (i64, u128),
}

/// One side.
#[derive(Default)]
struct Side {
    requests: u64,
    latency: i64,
    lost: HashMap<Key, Lost>,
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let limit = scope.number("limit", 100, 1, 1_000)? as usize;
    let mut operations = Operations::default();
    let (now, part) = side(&query, &scope, settled(scope.window, query.now()), &mut operations).await?;
    let then = match scope.baseline {
        Some(baseline) => Some(side(&query, &scope, baseline, &mut operations).await?.0),
        None => None,
    };
    let mut report = Report::new("rows", answer(&operations, &now, then.as_ref(), limit));
    if part > 1 {
        report.notes.push(Sentence::new(
            format!("one in {part} traces was looked at, chosen evenly by id"),
            format!("每 {part} 条调用链取一条，按 id 均匀选取"),
        ));
    }
    Ok(report)
}

async fn side(query: &Query, scope: &Scope, window: Window, operations: &mut Operations) -> Result<(Side, u64)> {
    let mut side = Side::default();
    let limits = Limits { slice: SLICE, most: MOST_SPANS };
    let mut visit = |operations: &Operations, trace: &[SpanRecord]| side.look_at(operations, trace);
    let part = each_tree_in((query, scope, window), limits, Detail::Calls, operations, &mut visit).await?;
    Ok((side, part.one_in()))
}

impl Side {
    /// The spans of one trace, in order of start.
    fn look_at(&mut self, operations: &Operations, trace: &[SpanRecord]) {
        for span in trace.iter().filter(|span| span.is_request()) {
            self.requests += 1;
            times::add(&mut self.latency, (span.end - span.start).max(0));
        }
        let kind = |span: &SpanRecord| operations.kind(span.operation);
        let parents = Parents::of(trace.iter().map(|span| (span.span, kind(span))));
        let parent_of = |at: usize| {
            let span = &trace[at];
            parents.above(span.span, span.parent, kind(span)).filter(|&parent| parent != at)
        };
        let mut families: Vec<(usize, usize)> =
            (0..trace.len()).filter_map(|at| parent_of(at).map(|parent| (parent, at))).collect();
        families.sort_unstable();
        for family in families.chunk_by(|a, b| a.0 == b.0) {
            let children: Vec<&SpanRecord> = family.iter().map(|&(_, child)| &trace[child]).collect();
            self.look_at_family(operations, &trace[family[0].0], &children);
        }
    }

    fn look_at_family(&mut self, operations: &Operations, parent: &SpanRecord, children: &[&SpanRecord]) {
        let kind = |span: &SpanRecord| operations.kind(span.operation);
        let is_served = kind(parent) == SpanKind::Client && kind(children[0]) == SpanKind::Server;
        if is_served && children.len() == 1 {
            let gap = (parent.end - parent.start).saturating_sub(children[0].end - children[0].start);
            let key = Key {
                pattern: Pattern::BeforeServed,
                operation: operations.whole(children[0].operation),
                caller: Some(operations.whole(parent.operation)),
            };
            self.lose(key, gap.max(0), 1, parent.trace);
            return;
        }
        if matches!(kind(parent), SpanKind::Server | SpanKind::Consumer) {
            let wait = (children[0].start - parent.start).max(0);
            let key =
                Key { pattern: Pattern::BeforeFirstCall, operation: operations.whole(parent.operation), caller: None };
            self.lose(key, wait, 1, parent.trace);
        }
        let mut like: HashMap<u32, Vec<&SpanRecord>> = HashMap::new();
        for child in children {
            like.entry(operations.alike(child.operation)).or_default().push(child);
        }
        for (operation, siblings) in like {
            let key = |pattern| Key { pattern, operation, caller: Some(operations.whole(parent.operation)) };
            for run in sequences(&siblings) {
                if let Some((time, calls)) = repeated(run) {
                    self.lose(key(Pattern::Retry), time, calls, parent.trace);
                } else if run.len() >= N_PLUS_ONE && !is_fan_out(operations, run) {
                    let took = |span: &&SpanRecord| (span.end - span.start).max(0);
                    let time = times::total(run.iter().map(took)) - run.iter().map(took).max().unwrap_or(0);
                    self.lose(key(Pattern::NPlusOne), time, run.len() as u64, parent.trace);
                }
            }
        }
    }

    fn lose(&mut self, key: Key, time: i64, calls: u64, trace: u128) {
        let lost = self.lost.entry(key).or_default();
        lost.count += 1;
        lost.calls += calls;
        times::add(&mut lost.time, time);
        lost.each.record(time);
        lost.longest = lost.longest.max((time, trace));
    }
}

/// Siblings, in order of start, cut where one begins before the one before has ended.
fn sequences<'s, 'a>(siblings: &'s [&'a SpanRecord]) -> impl Iterator<Item = &'s [&'a SpanRecord]> {
    siblings.chunk_by(|before, after| after.start >= before.end)
}

/// Whether each of the calls goes to a server of its own.
fn is_fan_out(operations: &Operations, run: &[&SpanRecord]) -> bool {
    let servers: HashSet<u32> =
        run.iter().map(|span| operations.server(span.operation)).filter(|server| *server != NONE).collect();
    servers.len() == run.len()
}

/// From the first start to the last, and the calls, where a failure is followed by another call.
fn repeated(run: &[&SpanRecord]) -> Option<(i64, u64)> {
    let first = run.iter().position(|span| span.failed)?;
    let last = run.iter().rposition(|span| span.failed).map(|last| (last + 1).min(run.len() - 1))?;
    (last > first).then(|| (run[last].start - run[first].start, (last - first + 1) as u64))
}

fn answer(operations: &Operations, now: &Side, then: Option<&Side>, limit: usize) -> Value {
    let mut rows: Vec<(&Key, &Lost)> = now.lost.iter().filter(|(_, lost)| lost.time > 0).collect();
    rows.sort_by_key(|(key, lost)| (std::cmp::Reverse(lost.time), **key));
    let per_request = |side: &Side, time: i64| time / side.requests.max(1) as i64;
    let row = |(key, lost): (&Key, &Lost)| {
        let operation = operations.operation(key.operation);
        let caller = key.caller.map(|caller| operations.operation(caller));
        let before = then.map(|side| per_request(side, side.lost.get(key).map_or(0, |lost| lost.time)));
        let quantile = |q: f64| lost.each.quantile(q).map(|ns| ns as i64);
        json!({
            "pattern": key.pattern.name(),
            "service": operation.service,
            "operation": operation.operation,
            "span_kind": operation.kind.name(),
            "peer": operation.peer.map(|peer| peer.name),
            "caller_service": caller.as_ref().map(|caller| caller.service.as_str()),
            "caller_operation": caller.as_ref().map(|caller| caller.operation.as_str()),
            "count": lost.count,
            "calls": lost.calls as f64 / lost.count.max(1) as f64,
            "per_request": lost.count as f64 / now.requests.max(1) as f64,
            "time_ns_per_request": per_request(now, lost.time),
            "baseline_time_ns_per_request": before,
            "share_of_latency": if now.latency > 0 { lost.time as f64 / now.latency as f64 } else { 0.0 },
            "p50_ns": quantile(0.5),
            "p99_ns": quantile(0.99),
            "exemplar": TraceId(lost.longest.1.to_be_bytes()).to_string(),
            "statement": operations.statement(key.operation),
        })
    };
    let found = rows.len();
    json!({
        "requests": now.requests,
        "baseline_requests": then.map(|side| side.requests),
        "found": found,
        "rows": rows.into_iter().take(limit).map(row).collect::<Vec<_>>(),
    })
}
