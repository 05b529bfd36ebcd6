//! Series whose difference is known, because it was put into them.

use model::Nanos;
use model::time::SECOND;

use super::super::super::scope::Window;
use super::super::super::significance::Random;
use super::super::bands::{Level, bands, bins};
use super::*;

fn level(rate: f64, from: Nanos, to: Nanos) -> Level {
    Level { rate, concurrency: 0.0, window: Window { start: from * SECOND, end: to * SECOND } }
}

fn compare(
    bands: &[Band],
    before: BTreeMap<Operation, Series>,
    after: BTreeMap<Operation, Series>,
    limits: &Limits,
) -> Vec<Compared> {
    let pairs = pairs(before, after);
    let mut all: Vec<Compared> = pairs.iter().map(|pair| measured(bands, pair, limits)).collect();
    judge(&mut all, &mut []);
    all
}

fn operation(name: &str) -> Operation {
    Operation { service: "shop".into(), operation: name.into(), kind: "SERVER".into(), peer: None }
}

/// A minute at each rate, calls of about `ms` milliseconds with the given share of errors.
fn series(random: &mut Random, bands: &[Option<usize>], ms: impl Fn(usize) -> f64, errors: f64) -> Series {
    series_of(20, random, bands, ms, errors)
}

/// The same with so many calls a bin.
fn series_of(
    calls: usize,
    random: &mut Random,
    bands: &[Option<usize>],
    ms: impl Fn(usize) -> f64,
    errors: f64,
) -> Series {
    let mut series = Series::new(bands.into());
    for (at, band) in bands.iter().enumerate() {
        let mut bin = Bin::default();
        for _ in 0..calls {
            let ns = (ms(band.unwrap_or(0)) * 1e6 * (0.5 + random.unit())) as i64;
            bin.latency.record(ns);
            bin.duration += ns as f64;
            bin.errors += u64::from(random.unit() < errors);
        }
        series.add(at as i64, bin);
    }
    series
}

/// The later run was driven harder for most of its time, and is slower there; at the common load it is as fast.
#[test]
fn more_load_alone_is_not_worse() {
    let bands = bands(&[level(100.0, 0, 60)], &[level(100.0, 0, 60), level(800.0, 60, 120)]);
    let window = Window { start: 0, end: 120 * SECOND };
    let mut random = Random::seeded(5);
    let before = series(&mut random, &bins(window, SECOND, &bands, true), |_| 10.0, 0.0);
    let mut after = series(&mut random, &bins(window, SECOND, &bands, false), |_| 10.0, 0.0);
    for (_, bin) in after.bins.range_mut(60..) {
        *bin = Bin { duration: 20.0 * 90e6, errors: 10, latency: Histogram::default() };
        (0..20).for_each(|_| bin.latency.record(90_000_000));
    }
    let one = |series| BTreeMap::from([(operation("pay"), series)]);
    let compared = compare(&bands, one(before), one(after), &Limits::of(0.2, 2e6));
    assert_eq!((compared[0].outcome, compared[0].reason), (Outcome::Same, None), "{compared:?}");
}

#[test]
fn what_got_slower_faster_and_what_fails_is_named_and_the_rest_is_not() {
    let bands = bands(&[level(100.0, 0, 60)], &[level(104.0, 0, 60)]);
    let of_bins = bins(Window { start: 0, end: 60 * SECOND }, SECOND, &bands, true);
    let mut random = Random::seeded(9);
    let mut both = |name: &str, before: (f64, f64), after: (f64, f64)| {
        let mut one = |(ms, errors): (f64, f64)| series(&mut random, &of_bins, |_| ms, errors);
        (operation(name), (one(before), one(after)))
    };
    let mut all = vec![
        both("slower", (20.0, 0.0), (40.0, 0.0)),
        both("faster", (40.0, 0.0), (20.0, 0.0)),
        both("failing", (20.0, 0.01), (20.0, 0.2)),
        both("a microsecond", (0.01, 0.0), (0.02, 0.0)),
    ];
    all.extend((0..30).map(|n| both(&format!("same {n}"), (20.0, 0.01), (20.0, 0.01))));
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    for (operation, (a, b)) in all {
        before.insert(operation.clone(), a);
        after.insert(operation, b);
    }
    let gone = before.remove(&operation("same 7")).expect("it was put in");
    before.insert(operation("gone"), gone);
    let compared = compare(&bands, before, after, &Limits::of(0.2, 2e6));
    let with = |outcome: Outcome| -> Vec<&str> {
        compared.iter().filter(|c| c.outcome == outcome).map(|c| c.operation.operation.as_str()).collect()
    };
    assert_eq!(with(Outcome::Worse), ["failing", "slower"], "the largest relative change first");
    assert_eq!(with(Outcome::Better), ["faster"]);
    let slower = compared.iter().find(|c| c.operation.operation == "slower").expect("compared");
    let mean = &slower.figures[0];
    // Put in: from 20 to 40 ms.
    assert!(mean.low < 20e6 && 20e6 < mean.high && mean.high - mean.low < 5e6, "{mean:?}");
    let reason = |name: &str| compared.iter().find(|c| c.operation.operation == name).and_then(|c| c.reason);
    assert_eq!((reason("gone"), reason("same 7")), (Some(Reason::OnlyInA), Some(Reason::OnlyInB)));
}

/// Of 400 operations without a difference nearly none may be called changed.
#[test]
fn equal_runs_show_no_difference() {
    let bands = bands(&[level(100.0, 0, 60)], &[level(100.0, 0, 60)]);
    let of_bins = bins(Window { start: 0, end: 60 * SECOND }, SECOND, &bands, true);
    let mut random = Random::seeded(3);
    let mut side = || -> BTreeMap<Operation, Series> {
        // Without a least change that counts: every difference may be called one.
        (0..400).map(|n| (operation(&format!("op {n}")), series(&mut random, &of_bins, |_| 5.0, 0.02))).collect()
    };
    let (before, after) = (side(), side());
    let compared = compare(&bands, before, after, &Limits { ratio: 0.0, least_ns: 0.0, least_errors: 0.0 });
    assert_eq!(compared.len(), 400);
    let changed = compared.iter().filter(|c| c.outcome != Outcome::NoEvidence).count();
    assert!(changed <= 4, "{changed} of 400");
}

/// One operation with so many calls a second for a minute on either side.
fn compared_of(calls: usize, before: (f64, f64), after: (f64, f64), seed: u64) -> Compared {
    let bands = bands(&[level(100.0, 0, 60)], &[level(100.0, 0, 60)]);
    let of_bins = bins(Window { start: 0, end: 60 * SECOND }, SECOND, &bands, true);
    let mut random = Random::seeded(seed);
    let mut one = |(ms, errors): (f64, f64)| {
        BTreeMap::from([(operation("pay"), series_of(calls, &mut random, &of_bins, |_| ms, errors))])
    };
    let (before, after) = (one(before), one(after));
    let mut compared = compare(&bands, before, after, &Limits::of(0.2, 2e6));
    compared.pop().expect("compared")
}

/// Half a percentage point of errors can be ruled out from some 770 calls without one on.
#[test]
fn the_same_is_said_of_enough_calls_and_of_few_that_there_is_no_evidence() {
    for (calls, expected) in [(1, Outcome::NoEvidence), (12, Outcome::NoEvidence), (20, Outcome::Same)] {
        let compared = compared_of(calls, (10.0, 0.0), (10.0, 0.0), 4);
        assert_eq!((compared.outcome, compared.reason), (expected, None), "{calls}: {compared:?}");
    }
    let errors = compared_of(1, (10.0, 0.0), (10.0, 0.0), 4);
    let errors = errors.figures.iter().find(|f| f.measure == Measure::ErrorRate).expect("compared");
    // Wilson's interval of 0 of 60: up to 1.96² / (60 + 1.96²).
    assert!((errors.high - 0.0602).abs() < 1e-4 && (errors.low + 0.0602).abs() < 1e-4, "{errors:?}");
    assert_eq!((errors.material, errors.outcome), (0.005, Outcome::NoEvidence));
}

/// A change of 15 % is below the fifth that counts; whether it is surely below depends on how much is known of it.
#[test]
fn a_small_change_is_the_same_only_when_a_large_one_is_ruled_out() {
    let mean = |calls| compared_of(calls, (40.0, 0.0), (46.0, 0.0), 8).figures[0];
    let (few, many) = (mean(2), mean(200));
    assert_eq!(few.outcome, Outcome::NoEvidence, "{few:?}");
    assert_eq!(many.outcome, Outcome::Same, "{many:?}");
    assert!(many.low > 0.0, "though it surely rose: {many:?}");
    assert!((many.material / 8e6 - 1.0).abs() < 0.02, "a fifth of 40 ms: {many:?}");
}

/// Of operations whose mean takes just as much longer as counts, few may be called the same.
#[test]
fn a_change_that_counts_is_seldom_called_the_same() {
    let same = (0..400).filter(|&seed| {
        let mean = compared_of(20, (10.0, 0.0), (12.0, 0.0), seed).figures[0];
        mean.outcome == Outcome::Same
    });
    let same = same.count();
    assert!(same <= 20, "{same} of 400");
}

/// Levels of a few seconds in a long run: so few bins say nothing of chance, or little.
#[test]
fn short_levels_are_not_called_changed() {
    for seconds in [2, 3, 4, 6] {
        let bands = bands(&[level(100.0, 0, 20 * seconds)], &[level(100.0, 0, 20 * seconds)]);
        let of_bins = bins(Window { start: 0, end: 20 * seconds * SECOND }, 20 * SECOND, &bands, true);
        let mut random = Random::seeded(3);
        let mut side = || -> BTreeMap<Operation, Series> {
            (0..400).map(|n| (operation(&format!("op {n}")), series(&mut random, &of_bins, |_| 5.0, 0.0))).collect()
        };
        let (before, after) = (side(), side());
        let compared = compare(&bands, before, after, &Limits { ratio: 0.0, least_ns: 0.0, least_errors: 0.0 });
        let changed = compared.iter().filter(|c| c.outcome.is_change()).count();
        assert!(changed <= 20, "{changed} of 400 in {seconds} bins");
        let few = compared.iter().filter(|c| c.reason == Some(Reason::TooFewCalls)).count();
        assert_eq!(few, if seconds < 4 { 400 } else { 0 }, "in {seconds} bins");
    }
}

/// A minute of 20 calls of 100 ms a second, and with 10 and 12 in the system one of calls that take 30 or 220 ms longer.
/// Two more among 20 calls a second are 100 ms each, wherever they wait.
#[test]
fn what_more_users_can_explain_is_no_change_of_the_system() {
    let of = |ms: f64| {
        let at = |concurrency: f64, rate: f64| Level { concurrency, ..level(rate, 0, 60) };
        let bands = bands(&[at(10.0, 100.0)], &[at(12.0, 70.0)]);
        assert_eq!(bands.len(), 1, "by concurrency");
        let of_bins = bins(Window { start: 0, end: 60 * SECOND }, SECOND, &bands, true);
        let mut random = Random::seeded(6);
        let mut one = |ms: f64| BTreeMap::from([(operation("pay"), series(&mut random, &of_bins, |_| ms, 0.0))]);
        let (before, after) = (one(100.0), one(ms));
        compare(&bands, before, after, &Limits::of(0.2, 2e6)).pop().expect("compared")
    };
    let (little, much) = (of(130.0), of(320.0));
    assert_ne!(little.outcome, Outcome::Worse, "{little:?}");
    assert!(little.figures[0].low < -60e6 && little.figures[0].high < 40e6, "{little:?}");
    assert_eq!(much.outcome, Outcome::Worse, "{much:?}");
}
