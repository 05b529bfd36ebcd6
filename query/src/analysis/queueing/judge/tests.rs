//! Loads and gaps made by hand, and queues of which the wait is known.

use super::super::super::significance::Random;
use super::*;

const MS: f64 = 1e6;

/// A bin of a second for each rate, with gaps in ms by rate and a seeded number.
fn bins(rates: &[f64], gap: impl Fn(f64, &mut Random) -> f64) -> Vec<Bin> {
    let mut random = Random::seeded(11);
    let bin = |(at, rate): (usize, &f64)| {
        let mut bin = Bin { at, seconds: 1.0, served: *rate as u64, ..Bin::default() };
        for _ in 0..bin.served {
            let ns = gap(*rate, &mut random) * MS;
            bin.calls += 1;
            bin.waited += ns;
            bin.gaps.record(ns as i64);
        }
        bin
    };
    rates.iter().enumerate().map(bin).collect()
}

/// Half a minute of each rate.
fn steps(rates: &[f64]) -> Vec<f64> {
    rates.iter().flat_map(|rate| [*rate; 30]).collect()
}

fn one(bins: Vec<Bin>) -> Judgement {
    judge(&[bins], 1.0).remove(0)
}

#[test]
fn a_gap_that_grows_with_the_load_is_told_with_both_ends() {
    let found = one(bins(&steps(&[400.0, 900.0, 400.0]), |rate, random| {
        if rate < 500.0 { 2.0 + random.unit() - 0.5 } else { 40.0 + 10.0 * (random.unit() - 0.5) }
    }));
    assert_eq!(found.verdict, Verdict::GrowsWithLoad);
    assert_eq!(found.rates, Some((400.0, 900.0)));
    let mean = |level: &Option<Level>| level.as_ref().expect("a level").mean.value / MS;
    assert!((mean(&found.quiet) - 2.0).abs() < 0.05 && (mean(&found.busy) - 40.0).abs() < 0.1, "{found:?}");
    let change = found.change.expect("a change");
    let (low, high) = change.interval();
    assert!(low < 38.0 * MS && 38.0 * MS < high && high - low < MS, "{low} {high}");
    assert!(found.grows_from.is_some_and(|rate| (400.0..900.0).contains(&rate)), "{:?}", found.grows_from);
    assert!(found.q.is_some_and(|q| q < 1e-3));
}

#[test]
fn a_slow_network_does_not_depend_on_load() {
    let found = one(bins(&steps(&[100.0, 300.0, 500.0]), |_, random| 10.0 + random.unit()));
    assert_eq!((found.verdict, found.grows_from), (Verdict::DoesNotDependOnLoad, None));
}

#[test]
fn what_is_waited_less_at_high_load_falls() {
    // Connections that are idle are closed, and made anew for the next call.
    let found = one(bins(&steps(&[60.0, 600.0]), |rate, random| 300.0 / rate + 0.1 * random.unit()));
    assert_eq!(found.verdict, Verdict::FallsWithLoad);
}

#[test]
fn a_load_that_hardly_varies_tells_nothing() {
    let found = one(bins(&steps(&[500.0, 900.0]), |rate, _| rate));
    assert_eq!((found.verdict, found.rates), (Verdict::NotEnoughLoadRange, Some((500.0, 900.0))));
    // Poisson arrivals of one rate, by the sum of twelve even numbers.
    let mut random = Random::seeded(4);
    let noisy: Vec<f64> = (0..120)
        .map(|_| {
            let normal = (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
            (60.0 + 60_f64.sqrt() * normal).round()
        })
        .collect();
    assert_eq!(one(bins(&noisy, |rate, _| rate)).verdict, Verdict::NotEnoughLoadRange);
}

#[test]
fn few_calls_tell_nothing() {
    let found = one(bins(&[10.0, 20.0, 30.0, 20.0], |rate, _| rate));
    assert_eq!((found.verdict, found.calls, found.rates), (Verdict::NotEnoughData, 80, None));
    assert!(judge(&[], 1.0).is_empty());
}

#[test]
fn gaps_that_vary_by_themselves_are_no_evidence() {
    // A third of the seconds hang, at any load.
    let rates = steps(&[100.0, 400.0]);
    let mut bins = bins(&rates, |_, _| 1.0);
    for (at, bin) in bins.iter_mut().enumerate().filter(|(at, _)| at % 7 < 2 || at % 11 == 3) {
        bin.waited *= 1.0 + 40.0 * (at % 5) as f64;
    }
    assert_eq!(one(bins).verdict, Verdict::NoEvidence);
}

/// One server that takes 10 ms for each call: by Pollaczek and Khinchine a call waits ρ / (1 − ρ) × 5 ms.
#[test]
fn a_queue_s_wait_is_that_of_its_formula() {
    let service = 0.010;
    let mut random = Random::seeded(5);
    let rates = [20.0, 80.0];
    let seconds = 1_000;
    let (mut now, mut free) = (0.0, 0.0_f64);
    let mut made: Vec<Bin> = (0..2 * seconds).map(|at| Bin { at, seconds: 1.0, ..Bin::default() }).collect();
    loop {
        let rate = rates[usize::from(now >= seconds as f64)];
        now += -(1.0 - random.unit()).ln() / rate;
        let Some(bin) = made.get_mut(now as usize) else { break };
        let wait = (free - now).max(0.0);
        free = now.max(free) + service;
        bin.served += 1;
        bin.calls += 1;
        bin.waited += wait * 1e9;
        bin.gaps.record((wait * 1e9) as i64);
    }
    let found = one(made);
    assert_eq!(found.verdict, Verdict::GrowsWithLoad);
    let (quiet, busy) = (found.quiet.expect("quiet").mean.value / MS, found.busy.expect("busy").mean.value / MS);
    // ρ = 0.2 and 0.8: 1.25 and 20 ms.
    assert!((quiet - 1.25).abs() < 0.3 && (busy - 20.0).abs() < 4.0, "{quiet} {busy}");
}

#[test]
fn of_a_part_of_the_traces_the_rate_is_that_of_all() {
    let one = judge(&[bins(&steps(&[100.0, 400.0]), |_, random| 1.0 + random.unit())], 4.0).remove(0);
    assert_eq!(one.rates, Some((400.0, 1_600.0)));
}
