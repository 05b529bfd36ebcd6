//! Levels of known schedules under Poisson noise, always for many seeds.

use super::super::significance::Random;
use super::*;

/// Poisson numbers by counting exponential gaps.
fn poisson(random: &mut Random, mean: f64) -> u64 {
    let mut time = -(1.0 - random.unit()).ln();
    let mut n = 0;
    while time < mean {
        n += 1;
        time -= (1.0 - random.unit()).ln();
    }
    n
}

/// Poisson arrivals of a schedule given as (bins, mean per bin).
fn arrivals(schedule: &[(usize, f64)], seed: u64) -> Vec<u64> {
    let mut random = Random::seeded(seed);
    schedule.iter().flat_map(|&(bins, mean)| vec![mean; bins]).map(|mean| poisson(&mut random, mean)).collect()
}

fn levels(segments: &[Segment]) -> Vec<&Segment> {
    segments.iter().filter(|s| !s.is_transition).collect()
}

/// How many of 100 seeds pass.
fn of_100(check: impl Fn(u64) -> bool) -> usize {
    (0..100).filter(|&seed| check(seed)).count()
}

#[test]
fn a_constant_load_is_one_level() {
    for mean in [0.5, 5.0, 80.0, 400.0] {
        let passed = of_100(|seed| load_levels(&arrivals(&[(150, mean)], seed), 1.0).len() == 1);
        assert!(passed >= 99, "{passed} at {mean}");
    }
}

#[test]
fn a_step_is_found_to_the_bin() {
    let passed = of_100(|seed| {
        let segments = load_levels(&arrivals(&[(40, 20.0), (40, 100.0)], seed), 1.0);
        segments.len() == 2 && segments[0].end == 40 && (segments[1].rate - 100.0).abs() < 8.0
    });
    assert!(passed >= 98, "{passed}");
}

#[test]
fn a_staircase_has_all_its_levels() {
    let schedule = [(20, 80.0), (20, 160.0), (20, 240.0), (20, 320.0), (20, 400.0)];
    let passed = of_100(|seed| {
        let segments = load_levels(&arrivals(&schedule, seed), 1.0);
        let ends: Vec<usize> = levels(&segments).iter().map(|s| s.end).collect();
        ends.len() == 5 && ends.iter().zip([20, 40, 60, 80, 100]).all(|(a, b)| a.abs_diff(b) <= 1)
    });
    assert!(passed >= 98, "{passed}");
}

#[test]
fn the_shortest_level_lasts_five_seconds() {
    let passed = of_100(|seed| {
        let segments = load_levels(&arrivals(&[(30, 50.0), (6, 200.0), (30, 50.0)], seed), 1.0);
        levels(&segments).len() == 3
    });
    assert!(passed >= 95, "{passed}");
    let passed = of_100(|seed| load_levels(&arrivals(&[(30, 50.0), (2, 200.0), (30, 50.0)], seed), 1.0).len() == 1);
    assert!(passed >= 98, "{passed}");
}

#[test]
fn a_stall_is_no_level() {
    for bins in [1, 3, 5, 8] {
        let passed = of_100(|seed| {
            let segments = load_levels(&arrivals(&[(40, 100.0), (bins, 5.0), (40, 100.0)], seed), 1.0);
            segments.len() == 1
        });
        assert!(passed >= 98, "{passed} at {bins}");
    }
}

#[test]
fn a_ramp_lies_between_two_levels() {
    for ramp in [6, 12, 30] {
        let mut schedule = vec![(30, 40.0)];
        schedule.extend((0..ramp).map(|i| (1, 40.0 + 160.0 * (i as f64 + 0.5) / ramp as f64)));
        schedule.push((30, 200.0));
        let passed = of_100(|seed| {
            let segments = load_levels(&arrivals(&schedule, seed), 1.0);
            let found = levels(&segments);
            found.len() == 2 && (found[0].rate - 40.0).abs() < 6.0 && (found[1].rate - 200.0).abs() < 16.0
        });
        assert!(passed >= 90, "{passed} for a ramp of {ramp} s");
    }
}

#[test]
fn a_warm_up_is_no_level_to_compare_with() {
    let passed = of_100(|seed| {
        let segments = load_levels(&arrivals(&[(3, 10.0), (4, 40.0), (40, 100.0), (30, 300.0)], seed), 1.0);
        let found = levels(&segments);
        found.len() == 2 && found[0].start.abs_diff(7) <= 2 && found[1].start.abs_diff(47) <= 1
    });
    assert!(passed >= 95, "{passed}");
}

#[test]
fn a_change_of_less_than_fifteen_percent_is_none() {
    let passed = of_100(|seed| load_levels(&arrivals(&[(60, 300.0), (60, 330.0)], seed), 1.0).len() == 1);
    assert!(passed >= 99, "{passed}");
}

#[test]
fn bursty_arrivals_do_not_split_a_level() {
    // Batches of five: the variance is five times that of Poisson arrivals.
    let passed = of_100(|seed| {
        let counts: Vec<u64> = arrivals(&[(60, 10.0), (60, 40.0)], seed).iter().map(|n| 5 * n).collect();
        let segments = load_levels(&counts, 1.0);
        segments.len() == 2 && segments[0].end.abs_diff(60) <= 2
    });
    assert!(passed >= 97, "{passed}");
}

#[test]
fn segments_cover_the_series() {
    for seed in 0..50 {
        let counts = arrivals(&[(7, 3.0), (9, 90.0), (1, 0.0), (13, 20.0), (4, 200.0)], seed);
        let segments = load_levels(&counts, 1.0);
        assert_eq!((segments[0].start, segments[segments.len() - 1].end), (0, counts.len()));
        assert!(segments.windows(2).all(|w| w[0].end == w[1].start));
        let total: f64 = segments.iter().map(|s| s.rate * s.bins() as f64).sum();
        assert!((total - counts.iter().sum::<u64>() as f64).abs() < 1e-6);
    }
}

#[test]
fn tiny_inputs_are_answered() {
    assert!(load_levels(&[], 1.0).is_empty());
    assert!(load_levels(&[1, 2], 0.0).is_empty());
    assert_eq!(load_levels(&[7], 1.0), [Segment { start: 0, end: 1, rate: 7.0, is_transition: false }]);
    assert_eq!(load_levels(&[4, 4, 4], 2.0)[0].rate, 2.0);
}

fn level(start: usize, end: usize, rate: f64) -> Segment {
    Segment { start, end, rate, is_transition: false }
}

#[test]
fn the_baseline_is_the_last_lower_level_before_the_window() {
    let mut segments = vec![level(0, 10, 0.0), level(10, 30, 80.0), level(30, 36, 200.0), level(36, 60, 400.0)];
    segments[2].is_transition = true;
    segments.push(level(60, 80, 160.0));
    assert_eq!(baseline_for(&segments, 36..60), Some(level(10, 30, 80.0)));
    assert_eq!(baseline_for(&segments, 60..80), Some(level(10, 30, 80.0)), "400 is not lower than 160");
    assert_eq!(baseline_for(&segments, 10..30), None, "no load is no baseline");
    assert_eq!(baseline_for(&segments, 20..60), Some(level(10, 20, 80.0)), "cut where the window begins");
    assert_eq!(baseline_for(&segments, 200..300), None);
    assert_eq!(busiest_level(&segments, 0..80), Some(level(36, 60, 400.0)));
    assert_eq!(busiest_level(&segments, 50..80), Some(level(50, 60, 400.0)));
    assert_eq!(busiest_level(&segments, 0..10), None);
}
