//! The short tier of fuzzing: every seed, and mutations of them by a fixed sequence of chance, on a stable compiler.
//!
//! `HOTSPAN_FUZZ_MUTATIONS` sets how many mutations each target gets. tools/fuzz.sh is the long tier.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hotspan_fuzz_targets::mutation::{below, mutate};
use hotspan_fuzz_targets::{TARGETS, Target, seeds};
use wal::sim::Chance;

/// Mutations for each target unless told otherwise: some seconds for all.
const MUTATIONS: usize = 3000;

fn mutations() -> usize {
    std::env::var("HOTSPAN_FUZZ_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(MUTATIONS)
}

/// Runs a target; what it panics about is told with the bytes that made it.
fn run(target: &Target, name: &str, bytes: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).is_err() {
        panic!("{} fails on {name}, {} bytes: {}", target.name, bytes.len(), bytes.escape_ascii());
    }
}

fn fuzz(target: &Target) {
    let seeds = seeds::of(target);
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    for (name, bytes) in &seeds {
        run(target, name, bytes);
    }
    let mut chance = Chance::new(20_261_125);
    for round in 0..mutations() {
        let (name, bytes) = &seeds[below(seeds.len(), &mut chance)];
        let (_, other) = &seeds[below(seeds.len(), &mut chance)];
        let mut mutant = bytes.clone();
        mutate(&mut mutant, other, &mut chance);
        run(target, &format!("mutation {round} of {name}"), &mutant);
    }
}

#[test]
fn exports_keep_their_promises() {
    TARGETS.iter().filter(|target| target.name.ends_with("_protobuf") || target.name.ends_with("_json")).for_each(fuzz);
}

#[test]
fn the_rest_keeps_its_promises() {
    TARGETS
        .iter()
        .filter(|target| !target.name.ends_with("_protobuf") && !target.name.ends_with("_json"))
        .for_each(fuzz);
}

#[test]
fn every_target_has_its_binary() {
    for target in TARGETS {
        let path = format!("../fuzz_targets/{}.rs", target.name);
        let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(source.contains(&format!("run({:?}, ", target.name)), "{path} runs another target");
    }
}
