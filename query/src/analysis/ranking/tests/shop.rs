//! A small shop whose every figure is known: requests are drawn one by one, their spans run in sequence, and the
//! cube is counted from them.
//!
//! ```text
//! POST /order  gateway ─▶ inventory "POST /stock" (3 instances) ─▶ "UPDATE stock" on inventory-db
//!                      └▶ "POST /charge" at bank, which sends no spans
//! GET /item    gateway ─▶ inventory "GET /stock" ─▶ "SELECT stock" on inventory-db
//!                      └▶ "GET item" on redis
//! ```

use std::collections::HashMap;

use model::trace::SpanKind::{self, Client, Server};

use super::super::super::histogram::Histogram;
use super::super::super::significance::Random;
use super::super::*;

pub const MS: f64 = 1e6;

/// Kinds of spans, in the order parents before children.
#[derive(Debug, Clone)]
pub struct Step {
    pub entry: &'static str,
    pub operation: Operation,
    /// Index of the caller.
    pub parent: Option<usize>,
    /// Mean exclusive time of one span, ns.
    pub mean: f64,
    /// Added to every span alike, ns.
    pub delay: f64,
    /// Mean calls per request; whole numbers are exact.
    pub calls: f64,
    /// Probability that a span fails, and with it everything above.
    pub fails: f64,
    /// Slower by this factor on the first of the instances.
    pub first_instance: f64,
    /// Slower by a factor up to this one that changes from second to second, as a queue does.
    pub swings: f64,
}

#[derive(Debug, Clone)]
pub struct Shop {
    pub steps: Vec<Step>,
    /// Requests per second of each entry.
    pub rates: Vec<(&'static str, f64)>,
    pub bins: u32,
}

pub const ORDER: &str = "POST /order";
pub const ITEM: &str = "GET /item";

pub fn operation(service: &str, name: &str, kind: SpanKind, peer: Option<(&str, PeerKind)>) -> Operation {
    let peer = peer.map(|(name, kind)| Peer { name: name.into(), kind });
    Operation { service: service.into(), operation: name.into(), kind, peer }
}

fn step(entry: &'static str, parent: Option<usize>, mean_ms: f64, operation: Operation) -> Step {
    let mean = mean_ms * MS;
    Step { entry, operation, parent, mean, delay: 0.0, calls: 1.0, fails: 0.0, first_instance: 1.0, swings: 1.0 }
}

impl Shop {
    pub fn healthy() -> Self {
        let inventory = Some(("inventory", PeerKind::Remote));
        let database = Some(("inventory-db", PeerKind::Database));
        let steps = vec![
            step(ORDER, None, 2.0, operation("gateway", ORDER, Server, None)),
            step(ORDER, Some(0), 0.5, operation("gateway", "POST /stock", Client, inventory)),
            step(ORDER, Some(1), 3.0, operation("inventory", "POST /stock", Server, None)),
            step(ORDER, Some(2), 5.0, operation("inventory", "UPDATE stock", Client, database)),
            step(ORDER, Some(0), 10.0, operation("gateway", "POST /charge", Client, Some(("bank", PeerKind::Remote)))),
            step(ITEM, None, 1.0, operation("gateway", ITEM, Server, None)),
            step(ITEM, Some(5), 0.5, operation("gateway", "GET /stock", Client, inventory)),
            step(ITEM, Some(6), 2.0, operation("inventory", "GET /stock", Server, None)),
            step(ITEM, Some(7), 3.0, operation("inventory", "SELECT stock", Client, database)),
            step(ITEM, Some(5), 1.0, operation("gateway", "GET item", Client, Some(("redis", PeerKind::Cache)))),
        ];
        Shop { steps, rates: vec![(ORDER, 30.0), (ITEM, 30.0)], bins: 40 }
    }

    /// The healthy shop with something done to the steps of this name and kind.
    pub fn with(mut self, name: &str, kind: SpanKind, change: impl Fn(&mut Step)) -> Self {
        let before = self.steps.clone();
        for step in self.steps.iter_mut().filter(|s| s.operation.operation == name && s.operation.kind == kind) {
            change(step);
        }
        assert!(self.steps.iter().zip(&before).any(|(a, b)| format!("{a:?}") != format!("{b:?}")), "no {name}");
        self
    }

    pub fn at_load(mut self, factor: f64) -> Self {
        self.rates.iter_mut().for_each(|(_, rate)| *rate *= factor);
        self
    }

    /// What would be seen of it.
    pub fn observe(&self, seed: u64) -> Observed {
        let mut day = Day { shop: self, random: Random::seeded(seed), keys: Vec::new(), cells: HashMap::new() };
        let mut requests = Vec::new();
        for bin in 0..self.bins {
            let swing = day.random.unit();
            for &(entry, rate) in &self.rates {
                let place = Place { service: "gateway".into(), operation: entry.into() };
                let mut stat =
                    RequestStat { entry: place, bin, latency: Histogram::default(), duration_ns: 0.0, errors: 0 };
                for _ in 0..day.about(rate) {
                    let (lasted, failed) = day.request(entry, bin, swing);
                    stat.latency.record(lasted as i64);
                    stat.duration_ns += lasted;
                    stat.errors += u64::from(failed);
                }
                requests.push(stat);
            }
        }
        let cells = day.cells.into_values().collect();
        Observed { bins: self.bins, bin_seconds: 1.0, keys: day.keys, cells, requests, ..Observed::default() }
    }
}

struct Day<'a> {
    shop: &'a Shop,
    random: Random,
    keys: Vec<OperationKey>,
    cells: HashMap<(usize, usize, u32), CellStat>,
}

impl Day<'_> {
    /// A whole number with this mean: of requests in a second, or of calls in a request.
    fn about(&mut self, mean: f64) -> u64 {
        if mean == mean.trunc() && mean < 20.0 {
            return mean as u64;
        }
        let noise = (0..12).map(|_| self.random.unit()).sum::<f64>() - 6.0;
        let spread = if mean < 5.0 { self.random.unit() } else { 0.5 + noise * mean.sqrt() };
        (mean + spread).max(0.0).floor() as u64
    }

    /// Draws one request; answers how long it lasted, ns, and whether it failed.
    fn request(&mut self, entry: &'static str, bin: u32, swing: f64) -> (f64, bool) {
        let steps = &self.shop.steps;
        let (mut times, mut counts) = (vec![0.0; steps.len()], vec![0u64; steps.len()]);
        let (mut totals, mut failed) = (vec![0.0; steps.len()], vec![0u64; steps.len()]);
        let instance = self.random.below(3);
        for (i, step) in steps.iter().enumerate().filter(|(_, step)| step.entry == entry) {
            let above = step.parent.map_or(1, |parent| counts[parent]);
            for _ in 0..above {
                counts[i] += self.about(step.calls);
            }
            for _ in 0..counts[i] {
                let erlang = -((1.0 - self.random.unit()) * (1.0 - self.random.unit())).ln() / 2.0;
                let slower =
                    if instance == 0 && step.operation.service == "inventory" { step.first_instance } else { 1.0 };
                times[i] += step.delay + step.mean * erlang * slower * (1.0 + swing * (step.swings - 1.0));
                failed[i] += u64::from(self.random.unit() < step.fails);
            }
        }
        for i in (0..steps.len()).rev().filter(|&i| counts[i] > 0) {
            totals[i] += times[i];
            if let Some(parent) = steps[i].parent {
                totals[parent] += totals[i];
                failed[parent] = failed[parent].max(failed[i].min(1));
            }
            let at = if steps[i].operation.service == "inventory" { instance } else { 0 };
            let stat = self.cells.entry((i, at, bin)).or_insert_with(|| {
                let entry = Place { service: "gateway".into(), operation: entry.into() };
                let instance = format!("{}-{at}", steps[i].operation.service);
                self.keys.push(OperationKey { entry, operation: steps[i].operation.clone(), instance });
                CellStat { key: self.keys.len() - 1, bin, spans: 0, critical_ns: 0.0, errors: 0, duration_ns: 0.0 }
            });
            stat.spans += counts[i];
            stat.critical_ns += times[i];
            stat.errors += failed[i];
            stat.duration_ns += totals[i];
        }
        let root = steps.iter().position(|s| s.entry == entry && s.parent.is_none()).expect("every entry has a root");
        (totals[root], failed[root] > 0)
    }
}
