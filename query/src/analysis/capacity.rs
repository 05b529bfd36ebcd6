//! Capacity: how much each node can take. Throughput against concurrency in short bins, over all spans of the window,
//! gives laws with a limit; where p99 or errors pass a given value is read from the loads seen; and a forecast says
//! which node gives way first at a target. [`judge`] decides, [`load`] gathers.

pub(super) mod judge;
pub(super) mod load;
pub mod rules;
mod servers;

use std::collections::HashSet;

use arrow::datatypes::SchemaRef;
use model::Result;
use serde_json::{Value, json};

use super::columns::{self, flag, float, int, text};
use super::coordinated_omission::{clock, sentences};
use super::report::{Report, rfc3339};
use super::rows::read;
use super::scalability::{Crossing, Intervals, Law};
use super::scope::{Scope, Window, started_in};
use super::sentence::Sentence;
use super::timeline::{IS_REQUEST, settled};
use super::{Analysis, Parameter, Running};
use crate::query::Query;
use judge::{Asked, Block, By, Judgement, LEAST_RANGE, Verdict, judge};
use load::{Detail, Grid, Loads, MOST_NODES, Node};

pub const ANALYSIS: Analysis = Analysis {
    name: "capacity",
    title: ("Capacity", "容量评估"),
    doc: "Throughput against concurrency of each node: its limit, knee and head-room, and a forecast for a target load.",
    parameters: &[
        Parameter { name: "p99_ms", doc: "also find the rate at which the 99th percentile passes this" },
        Parameter { name: "error_rate", doc: "also find the rate at which the share of errors passes this (0.01)" },
        Parameter { name: "target_qps", doc: "requests per second, all entries together, to forecast for" },
        Parameter { name: "limit", doc: "nodes at most, the nearest to their limit first (200)" },
        Parameter {
            name: "format",
            doc: "sentinel or envoy: flow-control rules from the measured capacity, not the report",
        },
        Parameter {
            name: "margin",
            doc: "of the rules: the share left free below the p99 or error limit given, else the knee (0.2)",
        },
        Parameter { name: "per", doc: "of the rules: instance (default), or cluster for all instances together" },
        Parameter { name: "instances", doc: "of the rules: instances that share the load (those seen)" },
        Parameter { name: "resource", doc: "of Sentinel's rules: path (default), or method for METHOD:path" },
    ],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

fn schema() -> SchemaRef {
    let mut fields = ["node", "service", "operation", "peer", "instance", "verdict"].map(text).to_vec();
    fields.extend([int("completions"), float("qps"), float("concurrency"), int("p99_ns"), float("error_rate")]);
    fields.extend(["lambda", "sigma", "kappa", "limit_qps", "limit_low_qps", "limit_high_qps"].map(float));
    fields.extend(["limit_concurrency", "knee_qps", "knee_concurrency", "p99_limit_qps", "error_limit_qps"].map(float));
    fields.extend([float("capacity_qps"), text("capacity_by"), float("headroom"), float("calls_per_request")]);
    fields.extend([
        float("needed_qps"),
        float("load_at_target"),
        flag("gives_way"),
        flag("held_up"),
        text("needed"),
        text("points"),
    ]);
    fields.extend([int("instances"), text("law"), float("servers"), float("at_least_qps")]);
    columns::schema(fields)
}

/// The load asked about.
struct Target {
    rate: f64,
    /// Requests of the window, all entries together.
    requests: f64,
    /// Their rate in the last tenth of the time.
    now: f64,
}

impl Target {
    async fn read(query: &Query, rate: f64, window: Window) -> Result<Target> {
        let lately = Window { start: window.end - (window.end - window.start) / 10, ..window };
        let sql = format!(
            "SELECT count(*) AS n, count(CASE WHEN {} THEN 1 END) AS lately FROM spans WHERE {} AND {IS_REQUEST}",
            started_in(lately),
            started_in(window)
        );
        let found = read(query, &sql).await?;
        let counts = found.iter().next().map_or((0, 0), |row| (row.int("n"), row.int("lately")));
        Ok(Target { rate, requests: counts.0 as f64, now: counts.1 as f64 / lately.seconds() })
    }
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let limit = scope.number("limit", 200, 1, MOST_NODES as i64)? as usize;
    let asked =
        Asked { p99_ns: scope.positive("p99_ms")?.map(|ms| ms * 1e6), error_rate: scope.positive("error_rate")? };
    let grid = Grid::of(settled(scope.window, query.now()));
    let target = match scope.positive("target_qps")? {
        None => None,
        Some(rate) => Some(Target::read(&query, rate, grid.window).await?),
    };
    let narrowed = scope.operation.is_some() || scope.instance.is_some() || !scope.attributes.is_empty();
    let detail = Detail { services: !narrowed, parts: scope.has_filters() };
    let is_told = clock::is_told(&query, &scope, grid.window).await?;
    let counts_from = if is_told { sentences::started_although_told() } else { sentences::unknown() };
    let loads = load::read(&query, &scope, grid, detail).await?;
    let notes = notes(&loads);
    let mut nodes = judged(loads, asked, target.as_ref());
    nodes.sort_by(|a, b| b.0.total_cmp(&a.0));
    let first = nodes.iter().map(|(_, node)| node).find(|node| node["gives_way"] == json!(true)).cloned();
    let unknown = nodes.iter().filter(|(_, node)| node["gives_way"].is_null()).count();
    let forecast = target.map(|target| {
        json!({
            "target_qps": target.rate,
            "now_qps": target.now,
            "first": first.map(|node| json!({
                "node": node["node"], "service": node["service"], "operation": node["operation"],
                "peer": node["peer"], "instance": node["instance"], "load_at_target": node["load_at_target"],
            })),
            "unknown": unknown,
        })
    });
    let nodes: Vec<Value> = nodes.into_iter().map(|(_, node)| node).take(limit).collect();
    let json = json!({
        "window": {"start": rfc3339(grid.window.start), "end": rfc3339(grid.window.end)},
        "bin_s": grid.bin as f64 / 1e9,
        "nodes": nodes,
        "forecast": forecast,
        "clock": {"known": is_told, "counts_from": "start", "en": counts_from.en, "zh": counts_from.zh},
    });
    Ok(Report { notes, ..Report::new("nodes", json) })
}

fn notes(loads: &Loads) -> Vec<Sentence> {
    let cut = loads.is_cut.then(|| {
        Sentence::new(
            format!("only {MOST_NODES} nodes are looked at; give a service"),
            format!("只分析 {MOST_NODES} 个节点；请指定服务"),
        )
    });
    cut.into_iter().collect()
}

/// Callers of a node that is full come to their limit with it, at much the same load. Up to this part nearer to theirs, they
/// stand behind it.
const HELD_UP: f64 = 0.75;

/// Every node with how near it is to its limit, or comes at the target.
fn judged(loads: Loads, asked: Asked, target: Option<&Target>) -> Vec<(f64, Value)> {
    let (instances, held_up) = (loads.instances(), loads.held_up());
    let Loads { grid, operations, nodes, .. } = loads;
    let names = &operations.names;
    let services: HashSet<&str> = operations.serving().collect();
    // What sends spans of its own is measured where it serves.
    let is_shown = |node: &Node| !matches!(node, Node::Dependency(peer) if services.contains(names.text(*peer)));
    let mut nodes: Vec<_> = nodes.into_iter().filter(|(node, _)| is_shown(node)).collect();
    nodes.sort_unstable_by_key(|(node, _)| *node);
    let judge_one = |(node, series): (Node, load::Series)| {
        let found = judge(&series.bins(&grid), grid.bin as f64 / 1e9, asked);
        let text = |number: u32| json!(names.text(number));
        let null = Value::Null;
        let (kind, service, operation, peer, instance) = match node {
            Node::Entry(service, name) => ("entry", text(service), text(name), null.clone(), null),
            Node::Service(service) => ("service", text(service), null.clone(), null.clone(), null),
            Node::Dependency(peer) => ("dependency", null.clone(), null.clone(), text(peer), null),
            Node::Operation(service, name) => ("operation", text(service), text(name), null.clone(), null),
            Node::Instance(service, instance) => ("instance", text(service), null.clone(), null, text(instance)),
        };
        let of = match node {
            Node::Entry(service, _) | Node::Service(service) | Node::Operation(service, _) => Some(service),
            Node::Dependency(_) | Node::Instance(..) => None,
        };
        let (of_service, held_up) =
            (of.and_then(|service| instances.get(&service)), of.is_some_and(|service| held_up.contains(&service)));
        let (nearness, mut row) = row(&found, target);
        for (name, value) in [
            ("node", json!(kind)),
            ("service", service),
            ("operation", operation),
            ("peer", peer),
            ("instance", instance),
            ("instances", json!(of_service)),
            ("held_up", json!(held_up)),
        ] {
            row[name] = value;
        }
        (if held_up { HELD_UP * nearness } else { nearness }, row)
    };
    nodes.into_iter().map(judge_one).collect()
}

fn row(found: &Judgement, target: Option<&Target>) -> (f64, Value) {
    let now = found.now();
    let has_data = now.seconds > 0.0;
    let of_now = |of: &dyn Fn(&Block) -> f64| has_data.then(|| of(&now));
    let completions: u64 = found.blocks.iter().map(|block| block.sum.completions).sum();
    let capacity = found.capacity();
    let headroom = capacity.filter(|_| has_data).map(|(rate, _)| rate / now.rate() - 1.0);
    let law = |of: &dyn Fn(&Law, &Intervals) -> f64| found.law.as_ref().map(|(law, intervals)| of(law, intervals));
    let limit = found.ceiling.map(|ceiling| ceiling.limit);
    let limits = found.ceiling.map(|ceiling| ceiling.interval);
    let knee = found.ceiling.and_then(|ceiling| ceiling.knee());
    let (by, servers) = match found.ceiling.map(|ceiling| ceiling.by) {
        Some(By::Usl(_)) => (Some("usl"), None),
        Some(By::Queue(queue)) => (Some("queue"), Some(queue.servers)),
        None => (None, None),
    };
    let at_least = found.rates.filter(|_| found.verdict == Verdict::NoSaturation).map(|(_, high)| high);
    let forecast = target.map(|target| forecast(found, target));
    let nearness = match (&forecast, headroom) {
        (Some(forecast), _) => forecast.load.unwrap_or(0.0),
        (None, Some(headroom)) => 1.0 / (1.0 + headroom),
        (None, None) => 0.0,
    };
    let row = json!({
        "verdict": found.verdict,
        "completions": completions,
        "qps": of_now(&Block::rate),
        "concurrency": of_now(&Block::concurrency),
        "p99_ns": now.p99().map(|ns| ns as i64),
        "error_rate": of_now(&Block::error_rate),
        "seen_qps": found.rates,
        "seen_concurrency": found.concurrency,
        "lambda": law(&|law, _| law.lambda),
        "sigma": law(&|law, _| law.sigma),
        "kappa": law(&|law, _| law.kappa),
        "intervals": found.law.map(|(_, i)| json!({"lambda": i.lambda, "sigma": i.sigma, "kappa": i.kappa})),
        "law": by,
        "servers": servers,
        "at_least_qps": at_least,
        "limit_qps": limit.map(|limit| limit.throughput),
        "limit_low_qps": limits.map(|(low, _)| low),
        "limit_high_qps": limits.map(|(_, high)| high).filter(|high| high.is_finite()),
        "limit_concurrency": limit.and_then(|limit| limit.concurrency),
        "knee_qps": knee.map(|(_, rate)| rate),
        "knee_concurrency": knee.map(|(concurrency, _)| concurrency),
        "p99_limit_qps": passed(found.p99),
        "error_limit_qps": passed(found.errors),
        "p99_limit": found.p99.map(shown),
        "error_limit": found.errors.map(shown),
        "capacity_qps": capacity.map(|(rate, _)| rate),
        "capacity_by": capacity.map(|(_, by)| by),
        "headroom": headroom,
        "calls_per_request": forecast.as_ref().map(|f| f.calls),
        "needed_qps": forecast.as_ref().map(|f| f.needed),
        "load_at_target": forecast.as_ref().and_then(|f| f.load),
        "gives_way": forecast.as_ref().and_then(|f| f.gives_way),
        "needed": needed(found),
        "points": found.blocks.iter().map(point).collect::<Vec<_>>(),
    });
    (nearness, row)
}

/// Concurrency, throughput, p99 and share of errors of a block.
fn point(block: &Block) -> Value {
    let p99 = block.p99().map(|ns| ns as i64);
    json!([block.concurrency(), block.throughput(), p99, block.error_rate()])
}

fn passed(crossing: Option<Crossing>) -> Option<f64> {
    match crossing? {
        Crossing::At(rate) => Some(rate),
        Crossing::Under(_) | Crossing::Beyond(_) => None,
    }
}

/// `at`: passed at this rate; `under`: already at the lowest rate seen; `beyond`: not up to the highest.
fn shown(crossing: Crossing) -> Value {
    let (is, rate) = match crossing {
        Crossing::At(rate) => ("at", rate),
        Crossing::Under(rate) => ("under", rate),
        Crossing::Beyond(rate) => ("beyond", rate),
    };
    json!({"is": is, "qps": rate})
}

struct Forecast {
    /// Spans of the node per request.
    calls: f64,
    needed: f64,
    /// What is needed as a part of the capacity; `None` without one.
    load: Option<f64>,
    /// `None`: beyond the loads seen, and no limit is known.
    gives_way: Option<bool>,
}

fn forecast(found: &Judgement, target: &Target) -> Forecast {
    let calls = if target.requests > 0.0 { found.arrivals as f64 / target.requests } else { 0.0 };
    let needed = calls * target.rate;
    let load = found.capacity().map(|(rate, _)| needed / rate);
    let was_seen = found.rates.is_some_and(|(_, high)| needed <= high);
    let gives_way = match load {
        Some(load) => Some(load > 1.0),
        None => was_seen.then_some(false),
    };
    Forecast { calls, needed, load, gives_way }
}

/// What load a verdict would need.
fn needed(found: &Judgement) -> Option<Value> {
    match (found.verdict, found.rates) {
        (Verdict::NotEnoughLoadRange, Some((low, high))) => {
            let rate = LEAST_RANGE * 1.2 * low;
            Some(json!({
                "qps": rate,
                "en": format!("the load only went from {low:.1} to {high:.1} per second; let it rise step by step to {rate:.0} per second or more"),
                "zh": format!("负载只在每秒 {low:.1} 到 {high:.1} 之间变化；请分级加压到每秒 {rate:.0} 以上"),
            }))
        }
        (Verdict::NotEnoughData, _) => Some(json!({
            "qps": Value::Null,
            "en": "too few requests: at least 400 are needed, at loads that differ",
            "zh": "请求太少：至少需要 400 个，且负载要有变化",
        })),
        (Verdict::NoSaturation, Some((_, high))) => {
            let rate = 2.0 * high;
            Some(json!({
                "qps": rate,
                "en": format!("at least {high:.1} per second can be served; up to there it is not full, and no limit can be told; let the load rise to {rate:.0} per second"),
                "zh": format!("至少可承受每秒 {high:.1}；直到该负载尚未饱和，无法得出上限；请加压到每秒 {rate:.0}"),
            }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::judge::tests::queue;
    use super::*;

    /// What a rule lets in of an operation that is a queue of four servers of 20 ms, fed with up to 185 per second.
    fn let_in(asked: Asked) -> (f64, Value) {
        let (bins, seconds) = queue(4, 20.0, &[40.0, 80.0, 120.0, 160.0, 185.0], 60);
        let mut node = row(&judge(&bins, seconds, asked), None).1;
        for (name, value) in [("node", "operation"), ("service", "shop"), ("operation", "GET /cart")] {
            node[name] = json!(value);
        }
        node["instances"] = json!(1);
        let report = json!({"window": {"start": "a", "end": "b"}, "nodes": [node.clone()]});
        let rules: Value = serde_json::from_str(&rules::as_sentinel(&report, &[]).expect("rules")).expect("JSON");
        let count = rules["services"][0]["rules"][0]["count"].as_f64();
        (count.unwrap_or_else(|| panic!("no rule in {rules:#}")), rules["services"][0]["basis"][0].clone())
    }

    /// Such a queue can do 200 per second. By Erlang's formula 99 of 100 requests take less
    /// than 150 ms up to 164 per second, and less than 105 ms up to 131.
    #[test]
    fn a_rule_is_four_fifths_of_what_was_asked_for_and_not_of_the_knee() {
        let (by_knee, basis) = let_in(Asked::default());
        assert_eq!(basis["below"], "knee");
        assert!((0.5..0.72).contains(&(by_knee / 200.0)), "{by_knee}: {basis:#}");
        let (by_p99, basis) = let_in(Asked { p99_ns: Some(150e6), error_rate: None });
        assert!(basis["below"] == "p99" || basis["below"] == "limit", "{basis:#}");
        assert!(by_p99 > by_knee && (0.62..0.8 * 0.95).contains(&(by_p99 / 200.0)), "{by_p99}: {basis:#}");
        // A latency that is hardly worse than that of an idle queue comes before the knee, which is at 143.
        let (strict, basis) = let_in(Asked { p99_ns: Some(105e6), error_rate: None });
        assert!(basis["below"] == "p99" && strict < by_p99, "{strict}: {basis:#}");
    }
}
