//! Instances whose figures are known by hand, and many that are alike but for chance.

use super::super::super::significance::Random;
use super::*;

const LIMITS: Limits = Limits { ratio: 0.2, least_ns: 1e5 };

fn steady(bins: usize, calls: u64, each: i64) -> Vec<Cell> {
    let time = calls as i64 * each;
    vec![Cell { calls, errors: 0, own: time, critical: time }; bins]
}

fn sure(instances: &[Vec<Cell>]) -> Vec<(usize, Kind)> {
    let all: Vec<((), Comparison)> = compare(instances, true, &LIMITS).0.into_iter().map(|c| ((), c)).collect();
    significant(&all).into_iter().map(|(_, c, _)| (c.instance, c.kind)).collect()
}

#[test]
fn the_median_of_the_others_is_what_an_instance_is_held_against() {
    // Two of five are slow, and excuse neither each other nor make the rest look fast.
    let instances: Vec<Vec<Cell>> = [10, 10, 30, 10, 50].into_iter().map(|ms| steady(12, 5, ms * 1_000_000)).collect();
    let (found, unjudged) = compare(&instances, false, &LIMITS);
    assert_eq!(unjudged, 0);
    let slow = found.iter().find(|c| c.instance == 4 && c.kind == Kind::Slow).expect("compared");
    // 60 calls of 50 ms beside the median of 10, 10, 10 and 30.
    assert_eq!((slow.value, slow.siblings, slow.extra, slow.p), (50e6, 10e6, 60.0 * 40e6, 0.0));
    assert_eq!(sure(&instances), [(2, Kind::Slow), (4, Kind::Slow)]);
}

#[test]
fn of_two_each_is_held_against_the_other() {
    let instances = [steady(12, 5, 10_000_000), steady(12, 5, 11_000_000)];
    assert!(sure(&instances).is_empty(), "a tenth more is not material");
    let instances = [steady(12, 5, 10_000_000), steady(12, 5, 15_000_000)];
    assert_eq!(sure(&instances), [(1, Kind::Slow)]);
}

#[test]
fn errors_and_load_are_kinds_of_their_own() {
    let failing = |cell: &Cell| Cell { errors: 1, ..*cell };
    let usual = steady(12, 5, 10_000_000);
    let instances = [usual.clone(), usual.iter().map(failing).collect(), steady(12, 10, 10_000_000), usual.clone()];
    assert_eq!(sure(&instances), [(1, Kind::Errors), (2, Kind::Load)]);
    let (found, _) = compare(&instances, true, &LIMITS);
    let load = found.iter().find(|c| c.instance == 2 && c.kind == Kind::Load).expect("compared");
    assert_eq!((load.value, load.siblings, load.extra), (10.0, 5.0, 60.0));
    let (found, _) = compare(&instances, false, &LIMITS);
    assert!(found.iter().all(|c| c.kind != Kind::Load), "only where it serves");
}

#[test]
fn instances_that_came_late_or_left_early_are_compared_while_they_were_there() {
    // All take 10 ms at first and 40 ms later, when one leaves and another joins.
    let (quiet, busy, none) = (steady(12, 5, 10_000_000), steady(12, 5, 40_000_000), vec![Cell::default(); 12]);
    let stays = [quiet.clone(), busy.clone()].concat();
    assert!(sure(&[stays.clone(), quiet]).is_empty());
    assert!(sure(&[stays.clone(), [none.clone(), busy].concat()]).is_empty());
    let late = [none, steady(12, 5, 60_000_000)].concat();
    let (found, _) = compare(&[stays.clone(), late.clone()], false, &LIMITS);
    assert_eq!((found[2].instance, found[2].value, found[2].siblings), (1, 60e6, 40e6));
    assert_eq!(sure(&[stays.clone(), stays, late]), [(2, Kind::Slow)]);
}

#[test]
fn too_few_calls_are_told() {
    let instances = [steady(12, 5, 10_000_000), steady(3, 5, 90_000_000), Vec::new()];
    let (found, unjudged) = compare(&instances, true, &LIMITS);
    // The second has too few, which leaves the first without a sibling; the third took no call.
    assert_eq!((found.len(), unjudged), (0, 2));
}

/// 40 operations of 50 instances that are all alike, with exponential times: nothing may be found, or hardly.
#[test]
fn many_instances_that_are_alike_are_not_told_apart() {
    let mut random = Random::seeded(3);
    let mut all = Vec::new();
    for operation in 0..40 {
        let mut cells = || -> Vec<Cell> {
            let mut cell = || {
                let calls = 2 + random.below(5) as u64;
                let own: f64 = (0..calls).map(|_| -(1.0 - random.unit()).ln() * 20e6).sum();
                let errors = (0..calls).filter(|_| random.unit() < 0.02).count() as u64;
                Cell { calls, errors, own: own as i64, critical: own as i64 }
            };
            (0..60).map(|_| cell()).collect()
        };
        let instances: Vec<Vec<Cell>> = (0..50).map(|_| cells()).collect();
        all.extend(compare(&instances, true, &LIMITS).0.into_iter().map(|c| (operation, c)));
    }
    assert_eq!(all.len(), 40 * 50 * 3);
    let found = significant(&all);
    assert!(found.len() <= 2, "{found:?}");
}

/// One instance of 50 takes twice as long as the others: it is found, alone.
#[test]
fn one_slow_instance_among_many_is_found() {
    let mut random = Random::seeded(4);
    let mut cells = |mean: f64| -> Vec<Cell> {
        let mut cell = || {
            let own: f64 = (0..5).map(|_| -(1.0 - random.unit()).ln() * mean).sum();
            Cell { calls: 5, errors: 0, own: own as i64, critical: own as i64 }
        };
        (0..120).map(|_| cell()).collect()
    };
    let instances: Vec<Vec<Cell>> = (0..50).map(|n| cells(if n == 17 { 40e6 } else { 20e6 })).collect();
    assert_eq!(sure(&instances), [(17, Kind::Slow)]);
}
