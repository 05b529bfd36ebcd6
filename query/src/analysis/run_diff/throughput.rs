//! Requests per second of two runs that had about as many requests in the system: with a fixed number of users this is
//! what a slower system shows.
//!
//! With more in the system throughput does not fall, and rises by no larger part than their number (a law of queues whose
//! throughput is concave in it). So where the later side had a few more or fewer, up to that part of a change is not the
//! system's: a change has to be larger by it, and the interval is wider.

use std::collections::BTreeMap;

use super::super::significance::{BlockBootstrap, Estimate};
use super::bands::Band;
use super::matched::{Figure, Limits, Measure, RESAMPLES, SEED};

/// Of other requests throughput is another: the shares of the entries may differ by this much in all.
const SAME_MIX: f64 = 0.1;

/// The change of throughput in a band that is matched by concurrency. Each side has its requests and seconds by bin.
pub fn figure(band: &Band, sides: [&[(f64, f64)]; 2], limits: &Limits) -> Option<Figure> {
    let [before, after] = band.concurrency();
    let [a, b] = [estimate(sides[0], SEED)?, estimate(sides[1], SEED ^ 1)?];
    let share = after / before - 1.0;
    let by_load = [share.max(0.0) * a.value, (-share).max(0.0) * a.value];
    let (low, high) = b.since(&a).interval();
    let is_known = share.is_finite() && low.is_finite() && high.is_finite();
    is_known.then(|| Figure::of(Measure::Throughput, [&a, &b], (low, high), by_load, limits))
}

fn estimate(bins: &[(f64, f64)], seed: u64) -> Option<Estimate> {
    let (requests, seconds) = bins.iter().fold((0.0, 0.0), |sum, bin| (sum.0 + bin.0, sum.1 + bin.1));
    if requests <= 0.0 || seconds <= 0.0 {
        return None;
    }
    let rows: Vec<f64> = bins.iter().flat_map(|bin| [bin.0, bin.1]).collect();
    let rate = |sums: &[f64], out: &mut [f64]| out[0] = sums[0] / sums[1];
    let (variances, df) = BlockBootstrap::new(bins.len(), RESAMPLES, seed).variances(&rows, 2, 1, rate);
    Some(Estimate { value: requests / seconds, variance: variances[0], df })
}

/// Requests by entry.
pub type Mix = BTreeMap<(String, String), f64>;

/// Whether both sides had much the same requests.
pub fn is_same_mix([a, b]: [&Mix; 2]) -> bool {
    let [all_a, all_b] = [a, b].map(|mix| mix.values().sum::<f64>());
    let share = |mix: &Mix, all: f64, entry: &(String, String)| mix.get(entry).map_or(0.0, |n| n / all);
    let only_in_b = b.keys().filter(|entry| !a.contains_key(*entry));
    let apart: f64 = a.keys().chain(only_in_b).map(|e| (share(a, all_a, e) - share(b, all_b, e)).abs()).sum();
    // What one has more the other has less.
    all_a > 0.0 && all_b > 0.0 && apart / 2.0 <= SAME_MIX
}

#[cfg(test)]
mod tests {
    use model::time::SECOND;

    use super::super::super::scope::Window;
    use super::super::super::significance::Random;
    use super::super::bands::{Level, bands};
    use super::super::matched::{Outcome, judge};
    use super::*;

    /// A minute of a closed loop: so many users, each of whose requests takes about `ms`. The rate is what comes of it.
    fn closed(users: usize, ms: f64, seed: u64) -> (Level, Vec<(f64, f64)>) {
        let mut random = Random::seeded(seed);
        let mut bins = vec![(0.0, 1.0); 60];
        let mut in_system = 0.0;
        for _ in 0..users {
            let mut at = 0.0;
            while at < 60.0 {
                let takes = ms / 1e3 * (0.5 + random.unit());
                bins[at as usize].0 += 1.0;
                in_system += takes;
                at += takes;
            }
        }
        let requests: f64 = bins.iter().map(|bin| bin.0).sum();
        let window = Window { start: 0, end: 60 * SECOND };
        (Level { rate: requests / 60.0, concurrency: in_system / 60.0, window }, bins)
    }

    fn judged(before: (usize, f64), after: (usize, f64), seed: u64) -> Option<Figure> {
        let [a, b] = [closed(before.0, before.1, seed), closed(after.0, after.1, seed + 1_000)];
        let bands = bands(&[a.0], &[b.0]);
        let band = bands.first().filter(|band| band.by == super::super::bands::MatchedBy::Concurrency)?;
        let mut figures = [figure(band, [&a.1, &b.1], &Limits::of(0.2, 2e6))?];
        judge(&mut [], &mut figures);
        Some(figures[0])
    }

    /// 100 users of 100 and of 130 ms: 1,000 and 769 per second.
    #[test]
    fn a_slower_closed_loop_is_worse_by_its_throughput() {
        let found = judged((100, 100.0), (100, 130.0), 1).expect("matched by concurrency");
        assert_eq!(found.outcome, Outcome::Worse, "{found:?}");
        let truth = 100.0 / 0.13 - 1_000.0;
        assert!(found.low < truth && truth < found.high && found.high - found.low < 40.0, "{found:?}");
        let found = judged((100, 130.0), (100, 100.0), 2).expect("matched by concurrency");
        assert_eq!(found.outcome, Outcome::Better, "{found:?}");
    }

    /// 100 users and 85, of 100 and of 105 ms: 19 % fewer per second, 15 % since there are fewer users.
    #[test]
    fn fewer_users_alone_are_not_worse() {
        let found = judged((100, 100.0), (85, 105.0), 3).expect("matched by concurrency");
        assert!(found.after < 0.82 * found.before, "{found:?}");
        assert_ne!(found.outcome, Outcome::Worse, "{found:?}");
        let worse = judged((100, 100.0), (85, 150.0), 3).expect("matched by concurrency");
        assert_eq!(worse.outcome, Outcome::Worse, "{worse:?}");
    }

    /// A throughput that is lower by just what counts is seldom called worse.
    #[test]
    fn a_change_that_just_counts_is_no_finding() {
        let worse = (0..100).filter(|&seed| {
            judged((50, 100.0), (50, 125.0), seed).is_some_and(|found| found.outcome == Outcome::Worse)
        });
        let worse = worse.count();
        assert!(worse <= 6, "{worse} of 100");
    }

    #[test]
    fn the_mix_of_requests_has_to_be_much_the_same() {
        let mix = |entries: &[(&str, f64)]| -> Mix {
            entries.iter().map(|(name, n)| (("shop".to_owned(), (*name).to_owned()), *n)).collect()
        };
        let a = mix(&[("GET /", 80.0), ("POST /order", 20.0)]);
        assert!(is_same_mix([&a, &mix(&[("GET /", 750.0), ("POST /order", 250.0)])]));
        assert!(!is_same_mix([&a, &mix(&[("GET /", 60.0), ("POST /order", 40.0)])]));
        assert!(!is_same_mix([&a, &mix(&[("GET /", 80.0), ("GET /new", 20.0)])]));
        assert!(!is_same_mix([&a, &Mix::new()]));
    }
}
