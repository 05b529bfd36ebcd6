//! Faults in generated plans: there is a place for nearly each in nearly every plan, they change it where they say, and
//! the telemetry then shows it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::shop::tests::{base_and_peak, names_no_fault, shows};
use crate::shop::{Shape, simulate};

fn settings(fault: &str, topology: Topology, seed: u64) -> Settings {
    Settings {
        seed,
        topology,
        fault: fault.to_owned(),
        base_rate: 10.0,
        peak_rate: 50.0,
        step_after: Duration::from_secs(30),
        duration: Duration::from_secs(75),
        ..Settings::default()
    }
}

fn random(services: usize) -> Topology {
    Topology::Generated { shape: Shape::Random, services }
}

#[test]
fn nearly_every_plan_of_20_services_has_a_place_for_every_fault() {
    const SEEDS: usize = 50;
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..SEEDS as u64 {
        let plan = random(20).plan(seed);
        for fault in faults() {
            let places = fault.places(&plan, random(20));
            *found.entry(fault.name).or_default() += usize::from(!places.is_empty());
        }
    }
    for (fault, plans) in found {
        assert!(plans * 10 >= SEEDS * 8, "{fault} has a place in {plans} of {SEEDS} plans");
    }
}

#[test]
fn a_fault_changes_the_plan_and_names_what_is_in_it() {
    for seed in 0..20 {
        for shape in Shape::ALL {
            let topology = Topology::Generated { shape, services: 5 + 2 * seed as usize };
            let healthy = topology.plan(seed);
            for fault in faults() {
                for (number, place) in fault.places(&healthy, topology).iter().enumerate() {
                    let settings = Settings { place: Some(number), ..settings(fault.name, topology, seed) };
                    let mut plan = healthy.clone();
                    let truth = edit(&mut plan, &settings);
                    assert_ne!(format!("{plan:?}"), format!("{healthy:?}"), "{} at {place:?}", fault.name);
                    assert_eq!(truth.fault, fault.name);
                    assert!(plan.service(&truth.service).is_some(), "{truth:?}");
                    assert!(truth.also.iter().all(|(service, _)| plan.service(service).is_some()), "{truth:?}");
                    assert!(plan.visits(place.service, place.operation) >= place::OFTEN, "{place:?}");
                    assert!(has_finite_times(&plan), "{} at {place:?}", fault.name);
                }
            }
        }
    }
}

fn has_finite_times(plan: &Plan) -> bool {
    let times = plan.services.iter().flat_map(|s| s.operations.iter().map(|o| plan.unloaded_time(s.name, o.name)));
    times.into_iter().all(|time| time.is_finite() && time > 0.0)
}

#[test]
fn settings_that_find_no_place_have_no_truth() {
    let chain = Topology::Generated { shape: Shape::Chain, services: 12 };
    assert_eq!(truth(&settings("consumer_lag", chain, 1)), None, "nobody consumes a topic in a chain");
    assert!(truth(&settings("", chain, 1)).is_some_and(|truth| truth.fault != "none"));
    assert_eq!(truth(&settings("none", chain, 1)).expect("no fault").service, "");
}

#[test]
fn what_is_behind_a_topic_is_said_to_be() {
    let lag = truth(&settings("consumer_lag", Topology::Shop, 1)).expect("known");
    let slow = truth(&settings("slow_sql", Topology::Shop, 1)).expect("known");
    assert!(lag.behind_topic && !slow.behind_topic);
}

#[test]
fn every_fault_shows_in_a_generated_system() {
    for (number, fault) in faults().iter().enumerate() {
        shows_in(fault, random(9), 1 + number as u64);
    }
}

/// Which do not, all of them: a fault that another span shows better needs a better place or a better truth. Where few
/// requests come, chance may hide one: the measure is per request, and their mix varies.
#[test]
#[ignore = "takes minutes"]
fn every_fault_shows_in_many_generated_systems() {
    let mut missed = Vec::new();
    for seed in 108..112 {
        for shape in Shape::ALL {
            let topology = Topology::Generated { shape, services: 6 + 13 * (seed as usize % 5) };
            for fault in faults() {
                // The test goes on, so that all of them are named.
                if std::panic::catch_unwind(|| shows_in(fault, topology, seed)).is_err() {
                    missed.push(format!("{} in {topology}, seed {seed}", fault.name));
                }
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// Nothing is asserted where the topology has no place for the fault.
fn shows_in(fault: &Fault, topology: Topology, seed: u64) {
    let settings = settings(fault.name, topology, seed);
    let Some(truth) = truth(&settings) else { return };
    println!("{} in {topology}, seed {seed}", fault.name);
    let spans = simulate(&settings);
    let (base, peak) = base_and_peak(&spans);
    shows(&truth, &base, &peak);
    names_no_fault(&spans);
}

#[test]
fn without_a_fault_more_load_changes_nothing_in_a_generated_system() {
    for (number, shape) in Shape::ALL.into_iter().enumerate() {
        let topology = Topology::Generated { shape, services: 8 + 6 * number };
        let (base, peak) = base_and_peak(&simulate(&settings("none", topology, 60 + number as u64)));
        for (key, calls) in &peak.calls {
            let Some(calls_before) = base.calls.get(key) else { continue };
            let (before, after) = (base.own_time[key] / calls_before, peak.own_time[key] / calls);
            // Times of one call vary by 40 %, and some are seldom.
            assert!(after - before < 1.0 + 0.2 * before, "{shape:?}: from {before} to {after} ms at {key:?}");
        }
    }
}
