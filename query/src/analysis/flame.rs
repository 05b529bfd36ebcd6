//! Call tree over all traces of the window: who calls what, how often, and where the time and the critical path go.
//! With a baseline each node carries that side's figures too.

use std::collections::HashMap;

use arrow::datatypes::SchemaRef;
use model::Result;
use model::trace::{SpanKind, flag};
use serde_json::{Value, json};

use super::called::Operations;
use super::columns::{self, int, text};
use super::ranking::Operation;
use super::report::Report;
use super::scope::{Scope, Window};
use super::sentence::Sentence;
use super::times;
use super::traces::{Limits, SLICE, SpanRecord, each_tree};
use super::{Analysis, Parameter, Running};
use crate::query::Query;

pub const ANALYSIS: Analysis = Analysis {
    name: "flame",
    title: ("Call tree", "调用树"),
    doc: "The call tree over all traces: calls, total, self and critical time by path.",
    parameters: &[Parameter { name: "min_share", doc: "paths with a smaller share of the time are folded (0.001)" }],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

/// Paths told apart; what comes after is counted as `(other)` below its caller. Span names that hold ids make so many.
const MOST_NODES: usize = 100_000;
/// Paths deeper than this are cut: the picture has no room for them.
const DEEPEST: usize = 200;

fn schema() -> SchemaRef {
    let mut fields = vec![int("id"), int("parent"), text("service"), text("operation"), text("kind"), text("peer")];
    fields.extend(["calls", "total_ns", "self_ns", "critical_ns", "errors"].map(int));
    fields.extend(["base_calls", "base_total_ns", "base_self_ns", "base_critical_ns"].map(int));
    columns::schema(fields)
}

#[derive(Clone, Copy, Default)]
struct Figures {
    calls: i64,
    total: i64,
    own: i64,
    critical: i64,
    errors: i64,
}

impl Figures {
    fn of(span: &SpanRecord) -> Self {
        let (total, errors) = ((span.end - span.start).max(0), i64::from(span.failed));
        Figures { calls: 1, total, own: span.own, critical: span.critical, errors }
    }

    fn add(&mut self, more: &Figures) {
        self.calls += more.calls;
        times::add(&mut self.total, more.total);
        times::add(&mut self.own, more.own);
        times::add(&mut self.critical, more.critical);
        self.errors += more.errors;
    }
}

/// Stands for all operations that were not told apart.
const OTHER: u32 = u32::MAX;

struct Node {
    parent: Option<usize>,
    operation: u32,
    depth: usize,
    figures: [Figures; 2],
}

/// A tree of paths, shared by the window (side 0) and the baseline (side 1).
struct Tree {
    most: usize,
    nodes: Vec<Node>,
    children: HashMap<(Option<usize>, u32), usize>,
    requests: [i64; 2],
    /// Some paths were not told apart.
    is_cut: bool,
}

impl Tree {
    fn new(most: usize) -> Self {
        Tree { most, nodes: Vec::new(), children: HashMap::new(), requests: [0; 2], is_cut: false }
    }

    fn child(&mut self, parent: Option<usize>, operation: u32) -> usize {
        if let Some(node) = self.children.get(&(parent, operation)) {
            return *node;
        }
        // Below `(other)` there is nothing but itself.
        if let Some(above) = parent.filter(|&above| self.nodes[above].operation == OTHER) {
            return above;
        }
        if self.nodes.len() >= self.most && operation != OTHER {
            self.is_cut = true;
            return self.child(parent, OTHER);
        }
        let node = self.nodes.len();
        let depth = parent.map_or(0, |p| self.nodes[p].depth + 1);
        self.nodes.push(Node { parent, operation, depth, figures: [Figures::default(); 2] });
        self.children.insert((parent, operation), node);
        node
    }

    /// Adds the spans of one trace, of operations of such kinds. A span whose parent is not here (or in a cycle) is a root.
    fn add_trace(&mut self, side: usize, spans: &[SpanRecord], kind: &dyn Fn(u32) -> SpanKind) {
        let by_id = by_id(spans);
        let parents = parents(spans, &by_id, kind);
        let mut placed: Vec<Option<usize>> = vec![None; spans.len()];
        let mut way: Vec<usize> = Vec::new();
        for span in 0..spans.len() {
            if is_copy(spans, &by_id, span) {
                continue;
            }
            // From the span up to one that has a place, then down again; a cycle is cut where it closes.
            let mut at = Some(span);
            while let Some(next) = at.filter(|&next| placed[next].is_none()) {
                way.push(next);
                at = parents[next].filter(|_| way.len() < DEEPEST).filter(|parent| !way.contains(parent));
            }
            while let Some(span) = way.pop() {
                let parent = parents[span].and_then(|parent| placed[parent]);
                let parent = parent.filter(|&parent| self.nodes[parent].depth < DEEPEST);
                let node = self.child(parent, spans[span].operation);
                self.nodes[node].figures[side].add(&Figures::of(&spans[span]));
                placed[span] = Some(node);
            }
        }
        let entered = |span: &&SpanRecord| i64::from(span.flags) & (flag::ENTRY | NO_REQUEST) == flag::ENTRY;
        self.requests[side] += spans.iter().filter(entered).count() as i64;
    }
}

/// Entries with one of these are no requests.
const NO_REQUEST: i64 = flag::ORPHAN | flag::ASYNC_ROOT;

/// Spans by id, of one id in order of start.
fn by_id(spans: &[SpanRecord]) -> Vec<(u64, usize)> {
    let mut by_id: Vec<(u64, usize)> = spans.iter().enumerate().map(|(at, span)| (span.span, at)).collect();
    by_id.sort_unstable();
    by_id
}

/// Whether the same span stands before it: an export that came twice.
fn is_copy(spans: &[SpanRecord], by_id: &[(u64, usize)], span: usize) -> bool {
    let SpanRecord { span: wanted, operation, .. } = spans[span];
    let before = by_id.partition_point(|place| *place < (wanted, span));
    let mut same = by_id[..before].iter().rev().take_while(|(id, _)| *id == wanted);
    same.any(|(_, first)| spans[*first].operation == operation)
}

/// The position of each span's parent. Of two spans with one id (the sides of a call may share it) the later one is
/// the receiving side, and the parent of those that name it; a SERVER span is below the CLIENT span whose id it has.
fn parents(spans: &[SpanRecord], by_id: &[(u64, usize)], kind: &dyn Fn(u32) -> SpanKind) -> Vec<Option<usize>> {
    let caller = |span: &SpanRecord| {
        let first = by_id.partition_point(|(id, _)| *id < span.span);
        let mut same = by_id[first..].iter().take_while(|(id, _)| *id == span.span).map(|(_, same)| *same);
        same.find(|&same| kind(spans[same].operation) == SpanKind::Client)
    };
    let parent = |(at, span): (usize, &SpanRecord)| {
        if kind(span.operation) == SpanKind::Server
            && let Some(caller) = caller(span)
        {
            return Some(caller);
        }
        let after = by_id.partition_point(|(id, _)| *id <= span.parent);
        let mut named = by_id[..after].iter().rev().take_while(|(id, _)| *id == span.parent).map(|(_, named)| *named);
        named.find(|&named| named != at && !is_copy(spans, by_id, named))
    };
    spans.iter().enumerate().map(parent).collect()
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let min_share: f64 = scope.text("min_share").and_then(|t| t.parse().ok()).unwrap_or(0.001);
    let mut operations = Operations::default();
    let mut tree = Tree::new(MOST_NODES);
    read_side(&query, &scope, scope.window, 0, &mut tree, &mut operations).await?;
    if let Some(baseline) = scope.baseline {
        read_side(&query, &scope, baseline, 1, &mut tree, &mut operations).await?;
    }
    let nodes = folded(&tree, &operations, min_share, scope.baseline.is_some());
    let baseline_requests = scope.baseline.map(|_| tree.requests[1]);
    let json = json!({"requests": tree.requests[0], "baseline_requests": baseline_requests, "nodes": nodes});
    let mut report = Report::new("nodes", json);
    if tree.is_cut {
        report.notes.push(Sentence::new(
            format!("more than {MOST_NODES} paths: further ones are counted as (other)"),
            format!("路径超过 {MOST_NODES} 条：其余计入 (other)"),
        ));
    }
    Ok(report)
}

async fn read_side(
    query: &Query,
    scope: &Scope,
    window: Window,
    side: usize,
    tree: &mut Tree,
    operations: &mut Operations,
) -> Result<()> {
    let limits = Limits { slice: SLICE, most: u64::MAX };
    let mut visit = |operations: &Operations, spans: &[SpanRecord]| {
        tree.add_trace(side, spans, &|operation| operations.kind(operation));
    };
    each_tree(query, scope, window, limits, operations, &mut visit).await?;
    Ok(())
}

/// The nodes as JSON, parents first; small ones are folded into one sibling named `(other)`.
fn folded(tree: &Tree, operations: &Operations, min_share: f64, compared: bool) -> Vec<Value> {
    let total =
        |side: usize| times::total(tree.nodes.iter().filter(|n| n.parent.is_none()).map(|n| n.figures[side].total));
    let totals = [total(0).max(1) as f64, total(1).max(1) as f64];
    let large = |node: &Node| (0..2).any(|side| node.figures[side].total as f64 / totals[side] >= min_share);
    let mut ids: HashMap<usize, usize> = HashMap::new();
    let mut others: HashMap<Option<usize>, [Figures; 2]> = HashMap::new();
    let mut out: Vec<Value> = Vec::new();
    for (at, node) in tree.nodes.iter().enumerate() {
        // Nodes are made after their parents; below a folded parent everything is folded.
        let parent = match node.parent {
            None => None,
            Some(parent) => match ids.get(&parent) {
                Some(id) => Some(*id),
                None => continue,
            },
        };
        if node.operation == OTHER || !large(node) {
            let sum = others.entry(parent).or_default();
            sum.iter_mut().zip(&node.figures).for_each(|(sum, figures)| sum.add(figures));
            continue;
        }
        ids.insert(at, out.len());
        let operation = operations.operation(node.operation);
        out.push(row(out.len(), parent, Some(&operation), &node.figures, compared));
    }
    let mut others: Vec<_> = others.into_iter().collect();
    others.sort_by_key(|(parent, _)| *parent);
    for (parent, figures) in others {
        out.push(row(out.len(), parent, None, &figures, compared));
    }
    out
}

/// Without an operation: what was folded.
fn row(
    id: usize,
    parent: Option<usize>,
    operation: Option<&Operation>,
    [here, base]: &[Figures; 2],
    compared: bool,
) -> Value {
    let base = compared.then_some(base);
    json!({
        "id": id, "parent": parent,
        "service": operation.map_or("", |o| &o.service),
        "operation": operation.map_or("(other)", |o| &o.operation),
        "kind": operation.map_or("INTERNAL", |o| o.kind.name()),
        "peer": operation.and_then(|o| o.peer.as_ref()).map(|peer| &peer.name),
        "calls": here.calls, "total_ns": here.total, "self_ns": here.own, "critical_ns": here.critical,
        "errors": here.errors,
        "base_calls": base.map(|b| b.calls), "base_total_ns": base.map(|b| b.total),
        "base_self_ns": base.map(|b| b.own), "base_critical_ns": base.map(|b| b.critical),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(trace: u128, span: u64, parent: u64, operation: u32) -> SpanRecord {
        let flags = if parent == 0 { (flag::ROOT | flag::ENTRY) as u16 } else { 0 };
        SpanRecord {
            trace,
            span,
            parent,
            entry: 0,
            start: 0,
            end: 10,
            own: 4,
            critical: 5,
            operation,
            flags,
            failed: false,
        }
    }

    #[test]
    fn further_paths_are_counted_below_their_caller() {
        let mut tree = Tree::new(3);
        for trace in 0..10u32 {
            let spans = [span(u128::from(trace), 1, 0, 0), span(u128::from(trace), 2, 1, 1 + trace)];
            tree.add_trace(0, &[spans[0], spans[1], span(u128::from(trace), 3, 2, 50)], &|_| SpanKind::Internal);
        }
        let shown: Vec<_> =
            tree.nodes.iter().map(|n| (n.parent, n.operation, n.figures[0].calls, n.figures[0].own)).collect();
        // The first trace has room for its three spans; of the others the rest is one node.
        assert_eq!(shown, [(None, 0, 10, 40), (Some(0), 1, 1, 4), (Some(1), 50, 1, 4), (Some(0), OTHER, 18, 72)]);
        assert!(tree.is_cut);
        assert_eq!(tree.requests, [10, 0]);
    }

    #[test]
    fn a_span_that_came_twice_counts_once() {
        let mut tree = Tree::new(MOST_NODES);
        let spans = [span(1, 1, 0, 1), span(1, 1, 0, 1), span(1, 2, 1, 2), span(1, 2, 1, 3)];
        tree.add_trace(0, &spans, &|_| SpanKind::Internal);
        // The two sides of a call may share an id, but not the operation.
        let calls: Vec<_> = tree.nodes.iter().map(|n| (n.operation, n.figures[0].calls)).collect();
        assert_eq!(calls, [(1, 1), (2, 1), (3, 1)]);
    }

    #[test]
    fn cycles_and_missing_parents_end() {
        let mut tree = Tree::new(MOST_NODES);
        let spans = [span(1, 1, 2, 1), span(1, 2, 1, 2), span(1, 3, 3, 3), span(1, 4, 99, 4)];
        tree.add_trace(0, &spans, &|_| SpanKind::Internal);
        assert_eq!(tree.nodes.iter().map(|n| n.figures[0].calls).sum::<i64>(), 4);
    }
}
