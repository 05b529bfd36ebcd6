//! Queueing against load: how much longer callers wait than they are served, at low and at high load of who serves.
//!
//! ```text
//! trees ─▶ CLIENT span less the SERVER span below it, by pair of services and short bin ─judge─▶ grows with load?
//!       └▶ calls that each service serves, by the same bins ────────────────────────────┘
//! ```
//! The difference of two durations holds the network, connecting, and the queue before a worker takes the call; only the
//! queue knows the load. *Invariant:* nothing compares clocks of two hosts. A span counts in the bin in which its request
//! entered, so a call and the load it meets are in one bin whatever the callee's clock says.

mod judge;
mod sentences;

use std::collections::HashMap;

use arrow::datatypes::SchemaRef;
use model::time::SECOND;
use model::trace::{SpanKind, flag};
use model::{Result, TraceId};
use serde_json::{Value, json};

use super::called::Operations;
use super::columns::{self, float, int, text};
use super::histogram::Histogram;
use super::parents::Parents;
use super::report::{Report, rfc3339};
use super::scope::{Scope, Window};
use super::sentence::Sentence;
use super::timeline::settled;
use super::times;
use super::traces::{Limits, SLICE, SpanRecord, each_tree};
use super::{Analysis, Parameter, Running};
use crate::query::Query;
use judge::{Bin, Judgement, Level, Stretch, Verdict, judge};

pub const ANALYSIS: Analysis = Analysis {
    name: "queueing",
    title: ("Queueing", "排队"),
    doc: "Of each pair of services how much longer callers wait than they are served, against the rate of calls.",
    parameters: &[Parameter { name: "limit", doc: "pairs of services at most (100)" }],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

/// Spans read at most; of more, an even part of the traces (told in the notes).
const MOST_SPANS: u64 = 4_000_000;
/// Bins of a window, unless they would be shorter than a second.
const BINS: i64 = 240;
/// Pairs of services that are told apart.
const MOST_EDGES: usize = 400;

fn schema() -> SchemaRef {
    let mut fields = Vec::from(["caller_service", "service", "verdict"].map(text));
    fields.extend([int("calls"), float("quiet_rate"), float("busy_rate")]);
    fields.extend(["quiet_mean_ns", "quiet_p50_ns", "quiet_p99_ns"].map(int));
    fields.extend(["busy_mean_ns", "busy_p50_ns", "busy_p99_ns"].map(int));
    fields.extend([int("change_ns"), int("change_low_ns"), int("change_high_ns"), float("q")]);
    fields.extend([float("grows_from_rate"), int("time_ns_per_request")]);
    fields.extend(["exemplar", "exemplar_operation", "explanation", "loads", "bins"].map(text));
    columns::schema(fields)
}

/// One pair of services in one bin.
#[derive(Debug, Clone, Default)]
struct Cell {
    calls: u64,
    waited: i64,
    gaps: Histogram,
}

#[derive(Default)]
struct Edge {
    cells: Vec<Cell>,
    /// The gap, its trace, and the operation that was served.
    longest: (i64, u128, u32),
}

struct Seen {
    window: Window,
    bin: i64,
    requests: u64,
    /// Calls that a service served, by bin.
    served: HashMap<u32, Vec<u64>>,
    /// By caller and callee.
    edges: HashMap<(u32, u32), Edge>,
    left_out: u64,
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let limit = scope.number("limit", 100, 1, MOST_EDGES as i64)? as usize;
    let mut seen = Seen::new(settled(scope.window, query.now()));
    let (window, mut operations) = (seen.window, Operations::default());
    let limits = Limits { slice: SLICE, most: MOST_SPANS };
    let mut visit = |operations: &Operations, tree: &[SpanRecord]| seen.look_at(operations, tree);
    let part = each_tree(&query, &scope, window, limits, &mut operations, &mut visit).await?.one_in();
    let mut report = Report::new("rows", seen.answer(&operations, part, limit));
    if part > 1 {
        report.notes.push(Sentence::new(
            format!("one in {part} traces was looked at, chosen evenly by id"),
            format!("每 {part} 条调用链取一条，按 id 均匀选取"),
        ));
    }
    if seen.left_out > 0 {
        report.notes.push(Sentence::new(
            format!("only {MOST_EDGES} pairs of services are looked at; give a service"),
            format!("只分析 {MOST_EDGES} 对服务；请指定服务"),
        ));
    }
    Ok(report)
}

impl Seen {
    fn new(window: Window) -> Self {
        let bin = ((window.end - window.start) / BINS).max(SECOND);
        Seen { window, bin, requests: 0, served: HashMap::new(), edges: HashMap::new(), left_out: 0 }
    }

    fn bins(&self) -> usize {
        ((self.window.end - self.window.start + self.bin - 1) / self.bin).max(1) as usize
    }

    /// The spans of one tree, in order of start.
    fn look_at(&mut self, operations: &Operations, tree: &[SpanRecord]) {
        let kind = |span: &SpanRecord| operations.kind(span.operation);
        let service = |span: &SpanRecord| operations.names_of(span.operation).0;
        let bin = ((tree[0].entry - self.window.start) / self.bin).clamp(0, self.bins() as i64 - 1) as usize;
        self.requests += tree.iter().filter(|span| span.is_request()).count() as u64;
        let parents = Parents::of(tree.iter().map(|span| (span.span, kind(span))));
        let mut below: HashMap<usize, Vec<&SpanRecord>> = HashMap::new();
        let is_copy = |span: &SpanRecord| i64::from(span.flags) & flag::DUPLICATE != 0;
        for span in tree.iter().filter(|span| kind(span) == SpanKind::Server && !is_copy(span)) {
            let bins = self.bins();
            self.served.entry(service(span)).or_insert_with(|| vec![0; bins])[bin] += 1;
            if let Some(above) = parents.above(span.span, span.parent, SpanKind::Server)
                && kind(&tree[above]) == SpanKind::Client
            {
                below.entry(above).or_default().push(span);
            }
        }
        // Of a call that was served more than once, as through a proxy that tries again, the gap is not known.
        for (call, served) in below.into_iter().filter(|(_, served)| served.len() == 1) {
            let call = &tree[call];
            let gap = lasted(call).saturating_sub(lasted(served[0])).max(0);
            self.wait((service(call), service(served[0])), bin, gap, served[0]);
        }
    }

    fn wait(&mut self, edge: (u32, u32), bin: usize, gap: i64, served: &SpanRecord) {
        if self.edges.len() >= MOST_EDGES && !self.edges.contains_key(&edge) {
            self.left_out += 1;
            return;
        }
        let bins = self.bins();
        let edge = self.edges.entry(edge).or_default();
        edge.cells.resize(bins, Cell::default());
        let cell = &mut edge.cells[bin];
        cell.calls += 1;
        times::add(&mut cell.waited, gap);
        cell.gaps.record(gap);
        edge.longest = edge.longest.max((gap, served.trace, served.operation));
    }

    /// `part`: one in so many traces was read.
    fn answer(&self, operations: &Operations, part: u64, limit: usize) -> Value {
        let seconds = self.bin as f64 / SECOND as f64;
        let bins_of = |((_, callee), edge): (&(u32, u32), &Edge)| -> Vec<Bin> {
            let served = self.served.get(callee).map_or(&[][..], Vec::as_slice);
            let bin = |(at, cell): (usize, &Cell)| Bin {
                at,
                seconds,
                served: served.get(at).copied().unwrap_or(0),
                calls: cell.calls,
                waited: cell.waited as f64,
                gaps: cell.gaps.clone(),
            };
            edge.cells.iter().enumerate().map(bin).collect()
        };
        let mut edges: Vec<(&(u32, u32), &Edge)> = self.edges.iter().collect();
        let name = |number: u32| operations.names.text(number);
        edges.sort_by_key(|((caller, callee), _)| (name(*caller), name(*callee)));
        let bins: Vec<Vec<Bin>> = edges.iter().map(|edge| bins_of(*edge)).collect();
        let judged = judge(&bins, part as f64);
        let mut rows: Vec<(usize, &Judgement)> = judged.iter().enumerate().collect();
        rows.sort_by(|a, b| b.1.weight().total_cmp(&a.1.weight()));
        let row = |(at, judgement): (usize, &Judgement)| {
            let (&(caller, callee), edge) = edges[at];
            let mut row = self.row((name(caller), name(callee)), edge, judgement);
            row["exemplar_operation"] = json!(operations.operation(edge.longest.2).operation);
            row
        };
        let grows = judged.iter().filter(|judgement| judgement.verdict == Verdict::GrowsWithLoad).count();
        json!({
            "requests": self.requests,
            "bin_s": seconds,
            "grows": grows,
            "found": rows.len(),
            "rows": rows.into_iter().take(limit).map(row).collect::<Vec<_>>(),
        })
    }

    fn row(&self, (caller, service): (&str, &str), edge: &Edge, judgement: &Judgement) -> Value {
        let Judgement { quiet, busy, change, .. } = judgement;
        let ns = |value: f64| value.round() as i64;
        let of = |level: &Option<Level>, figure: &dyn Fn(&Stretch) -> Option<f64>| {
            level.as_ref().and_then(|level| figure(&level.sum)).map(ns)
        };
        let change = change.filter(|change| change.variance.is_finite());
        let time = times::total(edge.cells.iter().map(|cell| cell.waited));
        json!({
            "caller_service": caller,
            "service": service,
            "verdict": judgement.verdict,
            "calls": edge.cells.iter().map(|cell| cell.calls).sum::<u64>(),
            "quiet_rate": judgement.rates.map(|(quiet, _)| quiet),
            "busy_rate": judgement.rates.map(|(_, busy)| busy),
            "quiet_mean_ns": of(quiet, &Stretch::mean),
            "quiet_p50_ns": of(quiet, &|sum| sum.gaps.quantile(0.5)),
            "quiet_p99_ns": of(quiet, &|sum| sum.gaps.quantile(0.99)),
            "busy_mean_ns": of(busy, &Stretch::mean),
            "busy_p50_ns": of(busy, &|sum| sum.gaps.quantile(0.5)),
            "busy_p99_ns": of(busy, &|sum| sum.gaps.quantile(0.99)),
            "change_ns": change.map(|change| ns(change.value)),
            "change_low_ns": change.map(|change| ns(change.interval().0)),
            "change_high_ns": change.map(|change| ns(change.interval().1)),
            "q": judgement.q,
            "grows_from_rate": judgement.grows_from,
            "time_ns_per_request": time / self.requests.max(1) as i64,
            "exemplar": TraceId(edge.longest.1.to_be_bytes()).to_string(),
            "explanation": sentences::explain((caller, service), judgement),
            "loads": judgement.loads.iter().map(Stretch::figures).collect::<Vec<_>>(),
            "bins": judgement.blocks.iter().map(|block| self.figures_of(block)).collect::<Vec<_>>(),
        })
    }

    /// When it began, then the same as of a load.
    fn figures_of(&self, block: &Stretch) -> Value {
        let mut figures = vec![json!(rfc3339(self.window.start + block.first as i64 * self.bin))];
        figures.extend(block.figures());
        Value::Array(figures)
    }
}

fn lasted(span: &SpanRecord) -> i64 {
    span.end.saturating_sub(span.start).max(0)
}
