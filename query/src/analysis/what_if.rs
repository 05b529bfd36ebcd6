//! What if an operation were faster, or made its calls side by side: every trace of the window is replayed that way
//! ([`super::replay`]), and each entry operation's latency before and after is told.

use std::collections::HashMap;

use arrow::datatypes::SchemaRef;
use model::Result;
use model::trace::{Assembled, Node, assemble, flag};
use serde_json::{Value, json};

use super::called::Operations;
use super::columns::{self, float, int, text};
use super::histogram::Histogram;
use super::replay::{Piece, durations};
use super::report::Report;
use super::scope::Scope;
use super::sentence::Sentence;
use super::timeline::settled;
use super::times;
use super::traces::{Limits, SLICE, SpanRecord, each_tree};
use super::{Analysis, Parameter, Running};
use crate::query::Query;

pub const ANALYSIS: Analysis = Analysis {
    name: "what-if",
    title: ("What if", "假设分析"),
    doc: "How the latency of each entry operation would change if one operation (service, operation, kind) were faster, \
          or made its calls side by side.",
    parameters: &[
        Parameter { name: "faster", doc: "how many times as fast, 2 by default (1 with parallel); below 1 is slower" },
        Parameter { name: "parallel", doc: "true: its calls run side by side instead of one after the other" },
    ],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

/// Spans replayed at most; of more, an even part of the traces (told in the notes).
const MOST_SPANS: u64 = 4_000_000;

/// What the answer rests on.
const ASSUMPTIONS: [(&str, &str); 5] = [
    (
        "only the operation's own time changes, not that of what it calls",
        "只有该操作自身的时间改变，它所调用的操作不变",
    ),
    (
        "work keeps its order: what ran after something else still does, what ran beside it still does",
        "执行顺序不变：先后执行的仍先后执行，并行的仍并行",
    ),
    (
        "waiting for busy threads, pools and locks elsewhere stays as it was, though it would shrink too",
        "其他线程、连接池和锁的等待时间保持不变，实际上也会减少",
    ),
    ("the load stays the same", "负载不变"),
    (
        "calls made side by side need no results of each other, and what they call bears more of them at once",
        "并行的调用互不依赖结果，被调用方能承受更多同时到来的调用",
    ),
];

fn schema() -> SchemaRef {
    let mut fields = vec![text("service"), text("operation"), int("requests"), int("touched")];
    fields.extend(["mean_ns", "p50_ns", "p90_ns", "p99_ns"].map(int));
    fields.extend(["new_mean_ns", "new_p50_ns", "new_p90_ns", "new_p99_ns"].map(int));
    fields.push(float("saved_share"));
    columns::schema(fields)
}

/// One entry operation.
#[derive(Default)]
struct Entry {
    requests: u64,
    /// Requests whose trace holds a span of the operation.
    touched: u64,
    sums: [i64; 2],
    latency: [Histogram; 2],
}

/// What is changed, and what came of it.
struct WhatIf {
    service: String,
    operation: String,
    kind: Option<String>,
    faster: f64,
    parallel: bool,
    spans: u64,
    /// By operation number of the entry.
    entries: HashMap<u32, Entry>,
    /// Whether an operation, by number, is the one that is changed.
    chosen: Vec<bool>,
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let parallel = scope.flag("parallel");
    let faster = scope.positive("faster")?.unwrap_or(if parallel { 1.0 } else { 2.0 });
    let (Some(service), Some(operation)) = (&scope.service, &scope.operation) else {
        let mut report = Report::new("entries", json!({"faster": faster, "entries": []}));
        report
            .notes
            .push(Sentence::new("nothing to change: give service and operation", "没有可改变的：请指定服务和操作"));
        return Ok(report);
    };
    let mut what_if = WhatIf {
        service: service.clone(),
        operation: operation.clone(),
        kind: scope.kind.clone(),
        faster,
        parallel,
        spans: 0,
        entries: HashMap::new(),
        chosen: Vec::new(),
    };
    let window = settled(scope.window, query.now());
    let limits = Limits { slice: SLICE, most: MOST_SPANS };
    let mut operations = Operations::default();
    let everything = scope.without_filters();
    let part = each_tree(&query, &everything, window, limits, &mut operations, &mut |operations, spans| {
        what_if.add_trace(operations, spans);
    })
    .await?;
    let mut report = Report::new("entries", what_if.answer(&operations));
    if part.one_in() > 1 {
        report.notes.push(Sentence::new(
            format!("one in {} traces was replayed, chosen evenly by id", part.one_in()),
            format!("每 {} 条调用链重放一条，按 id 均匀选取", part.one_in()),
        ));
    }
    if what_if.spans == 0 {
        report.notes.push(Sentence::new(
            format!("{service} has no spans of {operation} in this window"),
            format!("此时间窗内 {service} 没有 {operation} 的 span"),
        ));
    }
    Ok(report)
}

impl WhatIf {
    fn is_chosen(&mut self, operations: &Operations, number: u32) -> bool {
        while self.chosen.len() < operations.len() {
            let operation = operations.operation(self.chosen.len() as u32);
            let kind = self.kind.as_deref().is_none_or(|kind| kind == operation.kind.name());
            let chosen = operation.service == self.service && operation.operation == self.operation && kind;
            self.chosen.push(chosen);
        }
        self.chosen[number as usize]
    }

    fn add_trace(&mut self, operations: &Operations, spans: &[SpanRecord]) {
        let mut changed: Vec<bool> = Vec::with_capacity(spans.len());
        for span in spans {
            changed.push(self.is_chosen(operations, span.operation));
        }
        let touched = changed.contains(&true);
        self.spans += changed.iter().filter(|changed| **changed).count() as u64;
        let factor = self.faster;
        let shorter = |span: usize, own: i64| if changed[span] { (own as f64 / factor).round() as i64 } else { own };
        let side_by_side = |span: usize| self.parallel && changed[span];
        let replayed = touched.then(|| durations(&pieces(operations, spans), shorter, side_by_side));
        for (at, span) in spans.iter().enumerate().filter(|(_, span)| span.is_request()) {
            let before = (span.end - span.start).max(0);
            let after = replayed.as_ref().map_or(before, |durations| durations[at]);
            let entry = self.entries.entry(span.operation).or_default();
            entry.requests += 1;
            entry.touched += u64::from(touched);
            for (side, duration) in [before, after].into_iter().enumerate() {
                times::add(&mut entry.sums[side], duration);
                entry.latency[side].record(duration);
            }
        }
    }

    fn answer(&self, operations: &Operations) -> Value {
        let mut entries: Vec<(u32, &Entry)> = self.entries.iter().map(|(number, entry)| (*number, entry)).collect();
        let saved = |entry: &Entry| entry.sums[0] - entry.sums[1];
        entries.sort_by_key(|(number, entry)| (std::cmp::Reverse(saved(entry)), *number));
        let row = |(number, entry): &(u32, &Entry)| {
            let operation = operations.operation(*number);
            let quantile = |side: usize, q: f64| entry.latency[side].quantile(q).map(|ns| ns as i64);
            let mean = |side: usize| entry.sums[side] / entry.requests.max(1) as i64;
            json!({
                "service": operation.service, "operation": operation.operation,
                "requests": entry.requests, "touched": entry.touched,
                "mean_ns": mean(0), "p50_ns": quantile(0, 0.5), "p90_ns": quantile(0, 0.9), "p99_ns": quantile(0, 0.99),
                "new_mean_ns": mean(1), "new_p50_ns": quantile(1, 0.5), "new_p90_ns": quantile(1, 0.9),
                "new_p99_ns": quantile(1, 0.99),
                "saved_share": if entry.sums[0] > 0 { saved(entry) as f64 / entry.sums[0] as f64 } else { 0.0 },
            })
        };
        // The last one is about calls side by side.
        let assumptions = ASSUMPTIONS.iter().take(ASSUMPTIONS.len() - usize::from(!self.parallel));
        json!({
            "service": self.service, "operation": self.operation, "kind": self.kind, "faster": self.faster,
            "parallel": self.parallel, "spans": self.spans,
            "requests": entries.iter().map(|(_, entry)| entry.requests).sum::<u64>(),
            "assumptions": assumptions.map(|(en, zh)| json!({"en": en, "zh": zh})).collect::<Vec<_>>(),
            "entries": entries.iter().map(row).collect::<Vec<_>>(),
        })
    }
}

/// The trace as trees, with clocks reconciled.
fn pieces(operations: &Operations, spans: &[SpanRecord]) -> Vec<Piece> {
    let node = |span: &SpanRecord| Node {
        span_id: span.span.to_be_bytes(),
        parent_span_id: (span.parent != 0).then(|| span.parent.to_be_bytes()),
        start: span.start,
        end: span.end.max(span.start),
        kind: operations.kind(span.operation),
    };
    let nodes: Vec<Node> = spans.iter().map(node).collect();
    let piece = |(node, found): (&Node, Assembled)| Piece {
        start: node.start + found.shift,
        end: node.end + found.shift,
        // A copy of a span is nobody's work.
        parent: found.parent.filter(|_| found.flags & flag::DUPLICATE == 0),
    };
    nodes.iter().zip(assemble(&nodes)).map(piece).collect()
}
