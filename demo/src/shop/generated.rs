//! Healthy plans drawn at random: as many services as wanted, hanging together in one of several shapes.
//!
//! ```text
//! shape ─▶ graph (which service is below which) ─▶ skeleton (their operations) ─▶ furnish (what those do themselves)
//!                                                        ─▶ Plan ─▶ provision (nothing is half full at the peak)
//! ```
//! A pure function of seed, shape and number of services. *Invariants:* calls and topics never come back to where they
//! came from; each service is used; a request makes 12 to 60 spans.

mod furnish;
mod graph;
mod names;
mod provision;
mod skeleton;
#[cfg(test)]
mod tests;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::plan::{Call, ENTRANCE, Language, Operation, Plan, Service, Step};
use super::request::mix;
use super::topology::Shape;
use furnish::Trade;
pub(super) use names::select;
use names::{EVENTS, NOUNS, Verb, kept};
use skeleton::{Manner, Node, Skeleton};

/// How many services a plan has, the gateway included.
pub const FEWEST: usize = 5;
pub const MOST: usize = 60;

/// Spans of one request, those behind topics included: on average at least so many, by no entry more than so many.
const FEWEST_SPANS: f64 = 12.0;
const MOST_SPANS: f64 = 60.0;

/// The healthy plan of a seed.
pub fn plan(seed: u64, shape: Shape, services: usize) -> Plan {
    const DRAWS: u64 = 100;
    let services = services.clamp(FEWEST, MOST);
    let (mut richness, mut draw) = (0.5, 0);
    loop {
        let plan = drawn(mix(seed ^ mix(draw)), shape, services, richness);
        let longest = plan.entries.iter().map(|(entry, _)| plan.spans_of_entry(entry)).fold(0.0, f64::max);
        let (too_few, too_many) = (plan.spans_per_request() < FEWEST_SPANS, longest > MOST_SPANS);
        draw += 1;
        if draw == DRAWS || !(too_few || too_many) {
            return plan;
        }
        richness = (richness + if too_many { -0.1 } else { 0.1 }).clamp(0.0, 1.0);
    }
}

/// One draw, with as many spans as it happens to have. The richer, the more operations do themselves.
fn drawn(seed: u64, shape: Shape, services: usize, richness: f64) -> Plan {
    let mut chance = StdRng::seed_from_u64(seed);
    let graph = graph::draw(shape, services, &mut chance);
    let skeleton = skeleton::draw(&graph, &mut chance);
    let mut nouns = NOUNS.to_vec();
    nouns.shuffle(&mut chance);
    let trades: Vec<Trade> = nouns
        .iter()
        .zip(&skeleton.consumers)
        .map(|(noun, is_consumer)| Trade::draw(noun, *is_consumer, &mut chance))
        .collect();
    let names = names_of(&skeleton, &trades);
    let mut drawn_services: Vec<Service> = (0..services).map(|number| service(number, &trades, &mut chance)).collect();
    for (number, node) in skeleton.operations.iter().enumerate() {
        let below = below(node, &skeleton, &trades, &names);
        let steps = if node.service == 0 {
            [vec![Step::Compute(0.3)], below, vec![Step::Compute(0.1)]].concat()
        } else {
            let earlier = drawn_services[node.service].operations.len();
            let consumes = skeleton.consumers[node.service];
            let verb = if consumes { Verb::Create } else { trades[node.service].verbs[earlier] };
            trades[node.service].steps(verb, earlier == 0, below, richness, &mut chance)
        };
        drawn_services[node.service].operations.push(Operation { name: names[number], steps });
    }
    let stores = trades[1..].iter().flat_map(|trade| trade.stores(&mut chance)).collect();
    let entries = shares(&skeleton, &names, &mut chance);
    let regions = vec![("north", 0.33), ("south", 0.25), ("east", 0.22), ("west", 0.12), ("overseas", 0.08)];
    let mut plan = Plan { services: drawn_services, stores, entries, regions, links: Vec::new() };
    provision::provision(&mut plan);
    plan
}

/// What the operations are called, by their number.
fn names_of(skeleton: &Skeleton, trades: &[Trade]) -> Vec<&'static str> {
    let mut names = vec![""; skeleton.operations.len()];
    let mut of_service = vec![0; trades.len()];
    for (number, node) in skeleton.operations.iter().enumerate() {
        let trade = &trades[node.service];
        if node.service > 0 && !skeleton.consumers[node.service] {
            names[number] = trade.operation(trade.verbs[of_service[node.service]]);
            of_service[node.service] += 1;
        }
        for consumer in &node.publishes {
            // One who publishes the same later finds the topic named already.
            if names[*consumer].is_empty() {
                let event = EVENTS[*consumer % EVENTS.len()];
                let reader = trades[skeleton.operations[*consumer].service].noun;
                names[*consumer] = kept(format!("process {}s.{event}.{reader}", trade.noun));
            }
        }
    }
    let mut of_root = vec![0; trades.len()];
    for entry in &skeleton.entries {
        let root = skeleton.operations[skeleton.operations[*entry].calls[0].operation].service;
        names[*entry] = names::http("/api", trades[root].noun, Verb::ALL[of_root[root]]);
        of_root[root] += 1;
    }
    names
}

/// The calls of an operation, and what it publishes.
fn below(node: &Node, skeleton: &Skeleton, trades: &[Trade], names: &[&'static str]) -> Vec<Step> {
    let call = |below: &skeleton::Below| {
        let service = service_name(skeleton.operations[below.operation].service, trades);
        let call = Step::Call(Call {
            service,
            operation: names[below.operation],
            timeout: 30_000.0,
            attempts: 1,
            optional: below.manner == Manner::Optional,
        });
        match below.manner {
            Manner::Sometimes(probability) => Step::Chance { probability, steps: vec![call] },
            Manner::Always | Manner::Optional => call,
        }
    };
    let mut steps: Vec<Step> = node.calls.iter().map(call).collect();
    if node.at_once && steps.len() > 1 {
        steps = vec![Step::Fork(steps.into_iter().map(|step| vec![step]).collect())];
    }
    let topic = |consumer: &usize| names[*consumer].strip_prefix("process ").unwrap_or_default();
    steps.extend(node.publishes.iter().map(|consumer| Step::Publish { topic: topic(consumer) }));
    steps
}

fn service_name(number: usize, trades: &[Trade]) -> &'static str {
    if number == 0 { ENTRANCE } else { trades[number].name }
}

fn service(number: usize, trades: &[Trade], chance: &mut StdRng) -> Service {
    let is_gateway = number == 0;
    let version = [chance.random_range(0..8), chance.random_range(0..30), chance.random_range(0..9)];
    let version = kept(format!("{}.{}.{}", version[0], version[1], version[2]));
    let language = if is_gateway { Language::Cpp } else { trades[number].language };
    let usual = Service::usual(service_name(number, trades), version, language, chance.random_range(2..=3));
    Service { workers: if is_gateway { 1_000 } else { usual.workers }, ..usual }
}

/// The entries with their shares, none of which is very small.
fn shares(skeleton: &Skeleton, names: &[&'static str], chance: &mut StdRng) -> Vec<(&'static str, f64)> {
    let weights: Vec<f64> = skeleton.entries.iter().map(|_| chance.random_range(0.5..1.5)).collect();
    let sum: f64 = weights.iter().sum();
    skeleton.entries.iter().zip(weights).map(|(entry, weight)| (names[*entry], weight / sum)).collect()
}
