//! Call tree over all traces of the window: who calls what, how often, and where the time and the critical path go.
//! With a baseline each node carries that side's figures too.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use model::Result;
use serde_json::{Value, json};

use super::operations::PEER;
use super::report::Report;
use super::rows::read;
use super::scope::{Scope, Window, entered_in};
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

/// Spans read for one side; of more, an even part of the traces (told in the notes).
const MOST_SPANS: i64 = 1_500_000;
/// Paths deeper than this are cut: the picture has no room for them.
const DEEPEST: usize = 200;

fn schema() -> SchemaRef {
    let int = |name: &str| Field::new(name, DataType::Int64, true);
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let mut fields = vec![int("id"), int("parent"), text("service"), text("operation"), text("kind"), text("peer")];
    fields.extend(["calls", "total_ns", "self_ns", "critical_ns", "errors"].map(int));
    fields.extend(["base_calls", "base_total_ns", "base_self_ns", "base_critical_ns"].map(int));
    Arc::new(Schema::new(fields))
}

/// What a node of the tree is, below its parent.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Name {
    service: String,
    operation: String,
    kind: String,
    peer: Option<String>,
}

#[derive(Clone, Copy, Default)]
struct Figures {
    calls: i64,
    total: i64,
    own: i64,
    critical: i64,
    errors: i64,
}

struct Node {
    parent: Option<usize>,
    name: usize,
    depth: usize,
    figures: [Figures; 2],
}

/// A tree of paths, shared by the window (side 0) and the baseline (side 1).
#[derive(Default)]
struct Tree {
    names: Vec<Name>,
    numbers: HashMap<Name, usize>,
    nodes: Vec<Node>,
    children: HashMap<(Option<usize>, usize), usize>,
    requests: [i64; 2],
}

struct SpanRow {
    name: usize,
    parent: String,
    figures: Figures,
}

impl Tree {
    fn name(&mut self, name: Name) -> usize {
        if let Some(number) = self.numbers.get(&name) {
            return *number;
        }
        let number = self.names.len();
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        number
    }

    fn child(&mut self, parent: Option<usize>, name: usize) -> usize {
        if let Some(node) = self.children.get(&(parent, name)) {
            return *node;
        }
        let node = self.nodes.len();
        let depth = parent.map_or(0, |p| self.nodes[p].depth + 1);
        self.nodes.push(Node { parent, name, depth, figures: [Figures::default(); 2] });
        self.children.insert((parent, name), node);
        node
    }

    /// Adds the spans of one trace. A span whose parent is not here (or in a cycle) is a root.
    fn add_trace(&mut self, side: usize, spans: &HashMap<String, SpanRow>) {
        let mut placed: HashMap<&str, usize> = HashMap::with_capacity(spans.len());
        for id in spans.keys() {
            // From the span up to one that has a place, then down again; a cycle is cut where it closes.
            let mut way: Vec<&str> = Vec::new();
            let mut at = id.as_str();
            while !placed.contains_key(at) && !way.contains(&at) && way.len() < DEEPEST {
                way.push(at);
                match spans.get_key_value(spans[at].parent.as_str()) {
                    Some((parent, _)) => at = parent,
                    None => break,
                }
            }
            for id in way.into_iter().rev() {
                let span = &spans[id];
                let parent = placed.get(span.parent.as_str()).copied();
                let parent = parent.filter(|p| self.nodes[*p].depth < DEEPEST);
                let node = self.child(parent, span.name);
                let figures = &mut self.nodes[node].figures[side];
                figures.calls += span.figures.calls;
                figures.total += span.figures.total;
                figures.own += span.figures.own;
                figures.critical += span.figures.critical;
                figures.errors += span.figures.errors;
                placed.insert(id, node);
            }
        }
    }
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let min_share: f64 = scope.text("min_share").and_then(|t| t.parse().ok()).unwrap_or(0.001);
    let mut tree = Tree::default();
    let mut notes = Vec::new();
    let part = read_side(&query, &scope, scope.window, 0, &mut tree).await?;
    if part > 1.0 {
        notes.push(format!("the tree shows one in {part:.1} traces"));
    }
    if let Some(baseline) = scope.baseline {
        let part = read_side(&query, &scope, baseline, 1, &mut tree).await?;
        if part > 1.0 {
            notes.push(format!("of the baseline, one in {part:.1} traces"));
        }
    }
    let nodes = folded(&tree, min_share, scope.baseline.is_some());
    let baseline_requests = scope.baseline.map(|_| tree.requests[1]);
    let json = json!({"requests": tree.requests[0], "baseline_requests": baseline_requests, "nodes": nodes});
    let mut report = Report::new("nodes", json);
    report.notes = notes;
    Ok(report)
}

/// Reads one side into the tree; returns one in how many traces it is.
async fn read_side(query: &Query, scope: &Scope, window: Window, side: usize, tree: &mut Tree) -> Result<f64> {
    // The filters choose requests: traces whose entry matches.
    let mut condition = entered_in(window);
    for (column, value) in [("entry_service", &scope.service), ("entry_operation", &scope.operation)] {
        if let Some(value) = value {
            condition.push_str(&format!(" AND {column} = {}", super::scope::quoted(value)));
        }
    }
    let sql = format!("SELECT count(*) AS n FROM spans WHERE {condition}");
    let total: i64 =
        read(&query.rows(&sql, vec![]).await?)?.iter().filter(|r| !r.is_empty()).map(|r| r.int("n", 0)).sum();
    let mut part = 1.0;
    if total > MOST_SPANS {
        let of_256 = (256 * MOST_SPANS / total).clamp(1, 255);
        condition.push_str(&format!(" AND substr(trace_id, 31, 2) < '{of_256:02x}'"));
        part = 256.0 / of_256 as f64;
    }
    let sql = format!(
        "SELECT trace_id, span_id, parent_span_id, service_name, name, kind, {PEER} AS peer, duration_ns, \
                self_time_ns, critical_path_ns, status_code, tree_flags \
         FROM spans WHERE {condition} ORDER BY trace_id"
    );
    let mut current = String::new();
    let mut spans: HashMap<String, SpanRow> = HashMap::new();
    for rows in read(&query.rows(&sql, vec![]).await?)? {
        for row in 0..rows.len() {
            let trace = rows.text("trace_id", row);
            if trace != current {
                tree.add_trace(side, &spans);
                spans.clear();
                trace.clone_into(&mut current);
            }
            let flags = rows.int("tree_flags", row);
            if flags & (model::trace::flag::ENTRY | 17) == model::trace::flag::ENTRY {
                tree.requests[side] += 1;
            }
            let name = tree.name(Name {
                service: rows.text("service_name", row).to_owned(),
                operation: rows.text("name", row).to_owned(),
                kind: rows.text("kind", row).to_owned(),
                peer: rows.some_text("peer", row).map(str::to_owned),
            });
            let figures = Figures {
                calls: 1,
                total: rows.int("duration_ns", row),
                own: rows.int("self_time_ns", row),
                critical: rows.int("critical_path_ns", row),
                errors: i64::from(rows.text("status_code", row) == "ERROR"),
            };
            let span = SpanRow { name, parent: rows.text("parent_span_id", row).to_owned(), figures };
            spans.insert(rows.text("span_id", row).to_owned(), span);
        }
    }
    tree.add_trace(side, &spans);
    Ok(part)
}

/// The nodes as JSON, parents first; small ones are folded into one sibling named `(other)`.
fn folded(tree: &Tree, min_share: f64, compared: bool) -> Vec<Value> {
    let total =
        |side: usize| -> i64 { tree.nodes.iter().filter(|n| n.parent.is_none()).map(|n| n.figures[side].total).sum() };
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
        if !large(node) {
            let sum = others.entry(parent).or_default();
            for (sum, figures) in sum.iter_mut().zip(node.figures) {
                sum.calls += figures.calls;
                sum.total += figures.total;
                sum.own += figures.own;
                sum.critical += figures.critical;
                sum.errors += figures.errors;
            }
            continue;
        }
        ids.insert(at, out.len());
        let name = &tree.names[node.name];
        out.push(row(out.len(), parent, name, &node.figures, compared));
    }
    let other = |operation: &str| Name {
        service: String::new(),
        operation: operation.to_owned(),
        kind: "INTERNAL".to_owned(),
        peer: None,
    };
    let mut others: Vec<_> = others.into_iter().collect();
    others.sort_by_key(|(parent, _)| *parent);
    for (parent, figures) in others {
        out.push(row(out.len(), parent, &other("(other)"), &figures, compared));
    }
    out
}

fn row(id: usize, parent: Option<usize>, name: &Name, [here, base]: &[Figures; 2], compared: bool) -> Value {
    let base = compared.then_some(base);
    json!({
        "id": id, "parent": parent,
        "service": name.service, "operation": name.operation, "kind": name.kind, "peer": name.peer,
        "calls": here.calls, "total_ns": here.total, "self_ns": here.own, "critical_ns": here.critical,
        "errors": here.errors,
        "base_calls": base.map(|b| b.calls), "base_total_ns": base.map(|b| b.total),
        "base_self_ns": base.map(|b| b.own), "base_critical_ns": base.map(|b| b.critical),
    })
}
