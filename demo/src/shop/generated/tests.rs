//! Generated plans for many seeds: nothing dangles, nothing goes in a circle, nothing is half full, and what is
//! simulated hangs together.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use opentelemetry::trace::{SpanId, SpanKind, TraceId};

use super::*;
use crate::shop::plan::{Use, steps_in};
use crate::shop::{Settings, SimSpan, Topology, simulate};

/// Plans of every shape, from the smallest to the largest.
fn plans() -> impl Iterator<Item = (String, Plan)> {
    let sizes = [FEWEST, 8, 13, 20, 33, 47, MOST];
    let all = Shape::ALL.into_iter().flat_map(move |shape| sizes.map(|services| (shape, services)));
    all.flat_map(|(shape, services)| (0..12).map(move |seed| (shape, services, seed)))
        .map(|(shape, services, seed)| (format!("{shape:?}:{services}, seed {seed}"), plan(seed, shape, services)))
}

fn operations(plan: &Plan) -> impl Iterator<Item = (&Service, &Operation)> {
    plan.services.iter().flat_map(|service| service.operations.iter().map(move |operation| (service, operation)))
}

#[test]
fn the_same_seed_makes_the_same_plan() {
    let text = |seed| format!("{:?}", plan(seed, Shape::Random, 20));
    assert_eq!(text(7), text(7));
    assert_ne!(text(7), text(8));
    assert_ne!(format!("{:?}", plan(7, Shape::Chain, 20)), text(7));
}

#[test]
fn everything_that_is_named_is_there() {
    for (which, plan) in plans() {
        let shares: f64 = plan.entries.iter().map(|(_, share)| share).sum();
        assert!((shares - 1.0).abs() < 1e-9, "{which}: shares sum to {shares}");
        assert!(plan.entries.iter().all(|(entry, share)| *share > 0.02 && plan.operation(ENTRANCE, entry).is_some()));
        let topics: Vec<_> = operations(&plan).filter_map(|(_, operation)| operation.topic()).collect();
        let stores: Vec<_> = plan.stores.iter().map(|store| store.name).collect();
        for (service, operation) in operations(&plan) {
            for step in steps_in(&operation.steps) {
                let is_there = match step {
                    Step::Call(call) => plan.operation(call.service, call.operation).is_some(),
                    Step::Query(query) => stores.contains(&query.store),
                    Step::Cache(cache) => stores.contains(&cache.store),
                    Step::Transaction { store, .. } => stores.contains(store),
                    // Two consumers of a topic would take each other's messages.
                    Step::Publish { topic } => topics.iter().filter(|found| *found == topic).count() == 1,
                    _ => true,
                };
                assert!(is_there, "{which}: {}/{} has {step:?}", service.name, operation.name);
            }
        }
        for names in [plan.services.iter().map(|service| service.name).collect(), stores] {
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{which}: {names:?}");
        }
        for service in &plan.services {
            let names: BTreeSet<_> = service.operations.iter().map(|operation| operation.name).collect();
            assert_eq!(names.len(), service.operations.len(), "{which}: {names:?}");
        }
    }
}

#[test]
fn nothing_goes_in_a_circle_and_everything_is_reached() {
    for (which, plan) in plans() {
        let mut begun = Vec::new();
        let mut done = BTreeSet::new();
        for (entry, _) in &plan.entries {
            follow(&plan, (ENTRANCE, entry), &mut begun, &mut done);
        }
        for (service, operation) in operations(&plan) {
            assert!(done.contains(&(service.name, operation.name)), "{which}: {}/{}", service.name, operation.name);
        }
    }
}

/// Depth first; fails when it comes back to an operation under way.
fn follow<'p>(
    plan: &'p Plan,
    at: (&'p str, &'p str),
    begun: &mut Vec<(&'p str, &'p str)>,
    done: &mut BTreeSet<(&'p str, &'p str)>,
) {
    assert!(!begun.contains(&at), "a circle: {begun:?}, {at:?}");
    if !done.insert(at) {
        return;
    }
    begun.push(at);
    for step in steps_in(&plan.operation(at.0, at.1).expect("it is there").steps) {
        match step {
            Step::Call(call) => follow(plan, (call.service, call.operation), begun, done),
            Step::Publish { topic } => {
                let consumers = operations(plan).filter(|(_, operation)| operation.topic() == Some(topic));
                consumers.for_each(|(service, operation)| follow(plan, (service.name, operation.name), begun, done));
            }
            _ => {}
        }
    }
    begun.pop();
}

#[test]
fn a_request_makes_12_to_60_spans() {
    for (which, plan) in plans() {
        let spans = plan.spans_per_request();
        assert!((12.0..=60.0).contains(&spans), "{which}: {spans}");
        assert!(which.contains(&format!(":{},", plan.services.len())), "{which}: {} services", plan.services.len());
    }
}

#[test]
fn at_the_peak_nothing_is_half_full() {
    const PEAK: f64 = 100.0;
    for (which, plan) in plans() {
        let busy = |demand: f64, servers: usize| PEAK * demand / 1e3 / servers as f64;
        for service in &plan.services {
            let sum = |time: &dyn Fn(&Operation) -> f64| -> f64 {
                service.operations.iter().map(|o| plan.visits(service.name, o.name) * time(o)).sum()
            };
            let served = sum(&|operation| plan.unloaded_time(service.name, operation.name));
            let computed = sum(&|operation| {
                let times = steps_in(&operation.steps).into_iter().map(|step| match step {
                    Step::Compute(time) => *time,
                    _ => 0.03,
                });
                0.03 + times.sum::<f64>()
            });
            let name = service.name;
            // Consumers have so many threads too.
            assert!(busy(served, service.instances * service.workers) < 0.4, "{which}: the workers of {name}");
            assert!(busy(computed, service.instances * service.cores) < 0.4, "{which}: the cores of {name}");
            assert!(
                busy(held(&plan, service), service.instances * service.connections) < 0.4,
                "{which}: {name}'s pool"
            );
        }
        let mut stores: BTreeMap<&str, f64> = BTreeMap::new();
        plan.each_use(&mut |_, _, what, weight| match what {
            Use::Step(Step::Query(query)) => *stores.entry(query.store).or_default() += weight * query.time,
            Use::Step(Step::Cache(cache)) => *stores.entry(cache.store).or_default() += weight * 0.25,
            _ => {}
        });
        for store in &plan.stores {
            let demand = stores.get(store.name).copied().unwrap_or(0.0);
            assert!(busy(demand, store.cores) < 0.4, "{which}: {}", store.name);
        }
    }
}

/// Time for which one request holds connections of a service, at most: no query in a transaction counts twice.
fn held(plan: &Plan, service: &Service) -> f64 {
    let of = |operation: &Operation| -> f64 {
        let statements = steps_in(&operation.steps).into_iter().map(|step| match step {
            Step::Query(query) => 0.6 + query.time,
            Step::Transaction { steps, .. } => {
                steps.iter().map(|step| if let Step::Compute(time) = step { *time } else { 0.0 }).sum()
            }
            _ => 0.0,
        });
        statements.sum()
    };
    service.operations.iter().map(|o| plan.visits(service.name, o.name) * of(o)).sum()
}

fn settings(shape: Shape, services: usize, seed: u64) -> Settings {
    Settings {
        seed,
        topology: Topology::Generated { shape, services },
        fault: "none".to_owned(),
        base_rate: 5.0,
        peak_rate: 5.0,
        duration: Duration::from_secs(20),
        ..Settings::default()
    }
}

#[test]
fn spans_of_a_request_hang_on_one_root() {
    for (number, shape) in Shape::ALL.into_iter().enumerate() {
        for services in [FEWEST, 20, MOST] {
            let settings = settings(shape, services, 40 + number as u64);
            let spans = simulate(&settings);
            let roots = assert_connected(&spans);
            let requests = spans.iter().filter(|span| span.parent.is_none() && span.links.is_empty()).count();
            // 100 are expected, within five standard deviations.
            assert!((50..=150).contains(&requests), "{requests} requests");
            assert_eq!(roots.len() > requests, spans.iter().any(|span| span.kind == SpanKind::Consumer));
            let expected = settings.topology.plan(settings.seed).spans_per_request();
            let made = spans.len() as f64 / requests as f64;
            assert!((made / expected - 1.0).abs() < 0.3, "{shape:?}:{services}: {made} spans, not {expected}");
        }
    }
}

/// Each trace has one root, and every parent and link is there; the roots.
fn assert_connected(spans: &[SimSpan]) -> HashMap<TraceId, SpanId> {
    let ids: HashSet<_> = spans.iter().map(|span| (span.trace_id, span.span_id)).collect();
    let mut roots = HashMap::new();
    for span in spans {
        match span.parent {
            Some(parent) => assert!(ids.contains(&(span.trace_id, parent.span_id)), "{} has no parent", span.name),
            None => assert_eq!(roots.insert(span.trace_id, span.span_id), None, "a second root: {}", span.name),
        }
        assert!(span.links.iter().all(|link| ids.contains(link)), "{} is linked to nothing", span.name);
    }
    assert!(spans.iter().all(|span| roots.contains_key(&span.trace_id)));
    roots
}

#[test]
fn names_are_kept_once() {
    let one = kept(format!("a {}", "name"));
    assert!(std::ptr::eq(one, kept("a name".to_owned())));
}

#[test]
fn a_topology_is_read_as_it_is_written() {
    for text in ["shop", "chain:5", "fan-out:12", "shared:20", "asynchronous:33", "random:60"] {
        assert_eq!(text.parse::<Topology>().expect(text).to_string(), text);
    }
    for text in ["", "random", "random:4", "random:61", "random:many", "star:9"] {
        assert!(text.parse::<Topology>().is_err(), "{text}");
    }
    let settings: Settings = serde_json::from_str(r#"{"seed": 3}"#).expect("the rest is default");
    assert_eq!(settings.topology, Topology::Shop);
    let text = serde_json::to_string(&self::settings(Shape::FanOut, 9, 1)).expect("settings are JSON");
    assert_eq!(serde_json::from_str::<Settings>(&text).expect(&text), self::settings(Shape::FanOut, 9, 1));
}
