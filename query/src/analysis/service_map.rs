//! Service map: who calls whom, how often, with which errors and latency, and where the critical path goes.
//!
//! A client span with a server span below it is an edge between services; a client span without one is an edge to a
//! dependency that sends no spans (a database, a cache, a third party), named by its peer attributes. Where the caller has
//! no span of the call, the edge has the figures of serving it.
//!
//! ```text
//! what files say of operations (`rates`) ─▶ counts, errors, latency, critical path ─┐
//! traces (`callees`) ─▶ which service serves a call, and the gap ───────────────────┴─▶ nodes and edges
//! ```

mod callees;
mod senders;

use std::collections::{BTreeMap, HashSet};

use arrow::datatypes::SchemaRef;
use model::Result;
use model::trace::SpanKind;
use serde_json::{Value, json};

use super::columns::{self, float, int, text};
use super::operations::error_rate;
use super::ranking::PeerKind;
use super::rates::{self, Figures, Rated, Rates};
use super::report::Report;
use super::scope::Scope;
use super::sentence::Sentence;
use super::times;
use super::{Analysis, Running};
use crate::functions::sketch::Sketch;
use crate::query::Query;
use callees::{Callees, Looked, Served};

pub const ANALYSIS: Analysis = Analysis {
    name: "service-map",
    title: ("Service map", "应用拓扑"),
    doc: "Services and dependencies with rate, errors and latency; edges carry calls and the gap between caller and callee.",
    parameters: &[],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

fn schema() -> SchemaRef {
    columns::schema([
        text("from"),
        text("to"),
        int("calls"),
        float("rate"),
        int("errors"),
        int("p50_ns"),
        int("p99_ns"),
        float("critical_share"),
        int("gap_ns"),
    ])
}

/// Of spans that are alike for the map.
#[derive(Default)]
struct Sum {
    calls: u64,
    errors: u64,
    critical: i64,
    latency: Sketch,
}

impl Sum {
    /// Adds all that is known of an operation.
    fn add(&mut self, figures: &Figures) {
        self.add_part(figures, Share { calls: 1.0, errors: 1.0 });
    }

    /// Adds a part of it, whose latency is like that of the whole.
    fn add_part(&mut self, figures: &Figures, share: Share) {
        let part = |n: u64, share: f64| (n as f64 * share).round() as u64;
        self.calls += part(figures.count(), share.calls);
        self.errors += part(figures.errors, share.errors);
        times::add(&mut self.critical, (figures.critical_ns as f64 * share.calls).round() as i64);
        self.latency.merge(&figures.latency);
    }

    fn quantile(&self, q: f64) -> Option<i64> {
        self.latency.quantile(q)
    }
}

/// The part of an operation's calls, and of those that failed, which one service served.
#[derive(Clone, Copy)]
struct Share {
    calls: f64,
    errors: f64,
}

impl Share {
    fn of(one: &Served, all: &Served) -> Share {
        let calls = one.calls as f64 / all.calls.max(1) as f64;
        let errors = if all.errors > 0 { one.errors as f64 / all.errors as f64 } else { calls };
        Share { calls, errors }
    }

    /// Of messages: whoever took one did so after a send that did not fail.
    fn of_sent(self, failed: f64) -> Share {
        Share { calls: self.calls * (1.0 - failed), errors: 0.0 }
    }
}

struct Node {
    kind: &'static str,
    served: Sum,
    /// Time on the critical path of all its spans.
    critical: i64,
    instances: HashSet<String>,
}

impl Node {
    fn new(kind: &'static str) -> Self {
        Node { kind, served: Sum::default(), critical: 0, instances: HashSet::new() }
    }
}

#[derive(Default)]
struct Edge {
    sum: Sum,
    gap: Served,
}

#[derive(Default)]
struct Map {
    nodes: BTreeMap<String, Node>,
    edges: BTreeMap<(String, String), Edge>,
    /// Operations whose calls nobody has looked at.
    left_out: usize,
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let scope = scope.without_filters();
    let mut rates = rates::read(&query, &scope, 1).await?.fold;
    let spans = rates.iter().map(|rated| rated.figures.count()).sum();
    let (callees, part) = Callees::read(&query, &scope, spans, &mut rates.operations).await?;
    let map = Map::of(&rates, &callees);
    let mut report = Report::new("edges", map.json(scope.window.seconds()));
    if part < 1.0 {
        report.notes.push(Sentence::new(
            format!(
                "counts and latency are of all spans; which service serves a call, and the gap, are told from {:.1} % of the time",
                100.0 * part
            ),
            format!("次数和延迟来自全部 span；由哪个服务处理以及间隙取自 {:.1} % 的时间", 100.0 * part),
        ));
    }
    if map.left_out > 0 {
        report.notes.push(Sentence::new(
            format!("the calls of {} operations are not shown: none of their traces was looked at", map.left_out),
            format!("{} 个操作的调用未显示：没有看到它们的调用链", map.left_out),
        ));
    }
    Ok(report)
}

impl Map {
    fn of(rates: &Rates, callees: &Callees) -> Map {
        let mut map = Map::default();
        for rated in rates.iter() {
            map.add_to_service(&rated);
        }
        for (operation, instance) in rates.instances() {
            let [service, ..] = rates.operations.texts(operation);
            if let Some(node) = map.nodes.get_mut(service) {
                node.instances.insert(instance.to_owned());
            }
        }
        for rated in rates.iter() {
            map.add_calls(rates, callees, &rated);
            map.add_unsaid(rates, callees, &rated);
        }
        map
    }

    fn add_to_service(&mut self, rated: &Rated<'_>) {
        let node = self.nodes.entry(rated.service.to_owned()).or_insert_with(|| Node::new("service"));
        times::add(&mut node.critical, rated.figures.critical_ns);
        if matches!(SpanKind::parse(rated.kind), SpanKind::Server | SpanKind::Consumer) {
            node.served.add(rated.figures);
        }
    }

    /// The calls of one operation, divided among those who served those that were looked at.
    fn add_calls(&mut self, rates: &Rates, callees: &Callees, rated: &Rated<'_>) {
        if !matches!(SpanKind::parse(rated.kind), SpanKind::Client | SpanKind::Producer) {
            return;
        }
        let one = Served { calls: 1, ..Served::default() };
        let only_by_name = Looked { all: one, by: BTreeMap::from([(None, one)]), are_messages: false };
        let looked = match callees.of(rated.number) {
            Some(looked) => looked,
            // A service that is called may send spans, or not: nobody has looked.
            None if kind_of(rates, rated) == "external" => {
                self.left_out += 1;
                return;
            }
            None => &only_by_name,
        };
        let peer = if rated.peer.is_empty() { rated.operation } else { rated.peer };
        let share = |(service, served): (&Option<u32>, &Served)| (*service, *served, Share::of(served, &looked.all));
        let mut parts: Vec<(Option<u32>, Served, Share)> = looked.by.iter().map(share).collect();
        let sends = looked.are_messages || rated.kind == SpanKind::Producer.name();
        if sends && looked.by.keys().any(Option::is_some) {
            let failed = rated.figures.errors as f64 / rated.figures.count().max(1) as f64;
            parts.iter_mut().for_each(|(_, _, share)| *share = share.of_sent(failed));
            if failed > 0.0 {
                parts.push((None, Served::default(), Share { calls: failed, errors: 1.0 }));
            }
        }
        for (service, served, share) in parts {
            let callee = service.map_or(peer, |service| rates.operations.names.text(service));
            let edge = self.edges.entry((rated.service.to_owned(), callee.to_owned())).or_default();
            edge.sum.add_part(rated.figures, share);
            if service.is_some() && rated.kind != SpanKind::Producer.name() {
                edge.gap.timed += served.timed;
                times::add(&mut edge.gap.gap, served.gap);
            }
            let node = self.nodes.entry(callee.to_owned()).or_insert_with(|| Node::new(kind_of(rates, rated)));
            if node.kind != "service" {
                node.served.add_part(rated.figures, share);
                node.critical = node.served.critical;
            }
        }
    }

    /// Calls that an operation served and no span of the caller tells of.
    fn add_unsaid(&mut self, rates: &Rates, callees: &Callees, rated: &Rated<'_>) {
        let all = rated.figures.count().max(1) as f64;
        for (caller, calls) in callees.unsaid(rated.number) {
            let caller = rates.operations.names.text(caller).to_owned();
            let edge = self.edges.entry((caller.clone(), rated.service.to_owned())).or_default();
            let share = (calls / all).min(1.0);
            edge.sum.add_part(rated.figures, Share { calls: share, errors: share });
            self.nodes.entry(caller).or_insert_with(|| Node::new("service"));
        }
    }

    fn json(&self, seconds: f64) -> Value {
        let services = self.nodes.values().filter(|node| node.kind == "service");
        let total = times::total(services.map(|node| node.critical));
        let share = |critical: i64| if total == 0 { 0.0 } else { critical as f64 / total as f64 };
        let node = |(name, Node { kind, served, critical, instances }): (&String, &Node)| {
            json!({
                "id": name, "name": name, "type": kind,
                "requests": served.calls, "rate": served.calls as f64 / seconds,
                "errors": served.errors, "error_rate": error_rate(served.errors, served.calls),
                "p50_ns": served.quantile(0.5).unwrap_or(0), "p99_ns": served.quantile(0.99).unwrap_or(0),
                "critical_share": share(*critical), "instances": instances.len(),
            })
        };
        let edge = |((from, to), Edge { sum, gap }): (&(String, String), &Edge)| {
            json!({
                "from": from, "to": to,
                "calls": sum.calls, "rate": sum.calls as f64 / seconds, "errors": sum.errors,
                "p50_ns": sum.quantile(0.5).unwrap_or(0), "p99_ns": sum.quantile(0.99).unwrap_or(0),
                "critical_share": share(sum.critical),
                // Of who sends no spans nobody knows it.
                "gap_ns": (gap.timed > 0).then(|| gap.gap / gap.timed as i64),
            })
        };
        let nodes: Vec<Value> = self.nodes.iter().map(node).collect();
        let edges: Vec<Value> = self.edges.iter().filter(|(_, edge)| edge.sum.calls > 0).map(edge).collect();
        json!({"nodes": nodes, "edges": edges})
    }
}

/// What kind of thing a peer without spans is.
fn kind_of(rates: &Rates, call: &Rated<'_>) -> &'static str {
    match rates.operations.peer_kind(call.number) {
        PeerKind::Cache => "cache",
        PeerKind::Database => "database",
        PeerKind::Messaging => "messaging",
        PeerKind::Remote if call.kind == SpanKind::Producer.name() => "messaging",
        PeerKind::Remote => "external",
    }
}
