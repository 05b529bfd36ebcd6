//! Which stretches of two runs carried the same load.
//!
//! Levels of both sides whose request rates are within [`SAME`] of each other make a band. Of a fixed number of users that
//! wait for answers (JMeter's threads, k6's VUs) the rate is a result and no load: a run that is slower has a lower one.
//! Levels that find no partner by their rate are therefore matched by the mean number of requests in the system, which is
//! their rate times their mean latency (Little, Operations Research 9, 1961).
//!
//! Of the same system such levels have about the same rate too: with more in it its throughput does not fall, nor rise by a
//! larger part than their number. [`Band::more`] says how much of a difference the rest of that can explain.

use model::Nanos;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::report::rfc3339;
use super::super::scope::Window;

/// Rates, or numbers in the system, of a band differ by at most this part of the lowest.
const SAME: f64 = 0.2;
/// A band needs at least this much time on both sides.
const LEAST_SECONDS: f64 = 5.0;
/// With fewer in the system nobody waits for anybody, and their number is not what the load is.
const LEAST_CONCURRENCY: f64 = 0.5;

/// A stretch of constant load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Requests per second.
    pub rate: f64,
    /// The mean number of requests in the system.
    pub concurrency: f64,
    pub window: Window,
}

/// What levels of a band have in common.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchedBy {
    #[default]
    Rate,
    Concurrency,
}

impl MatchedBy {
    fn load(self, level: &Level) -> f64 {
        match self {
            MatchedBy::Rate => level.rate,
            MatchedBy::Concurrency => level.concurrency,
        }
    }
}

/// Levels of both sides that carried the same load.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Band {
    pub by: MatchedBy,
    pub before: Vec<Level>,
    pub after: Vec<Level>,
}

fn seconds(levels: &[Level]) -> f64 {
    levels.iter().map(|l| l.window.seconds()).sum()
}

/// The mean over the time of some levels.
fn mean(levels: &[Level], of: fn(&Level) -> f64) -> f64 {
    levels.iter().map(|l| of(l) * l.window.seconds()).sum::<f64>() / seconds(levels)
}

impl Band {
    pub fn levels(&self, is_baseline: bool) -> &[Level] {
        if is_baseline { &self.before } else { &self.after }
    }

    pub fn weight(&self) -> f64 {
        let [a, b] = self.seconds();
        a * b / (a + b)
    }

    /// Of each side.
    pub fn seconds(&self) -> [f64; 2] {
        [seconds(&self.before), seconds(&self.after)]
    }

    /// The mean numbers in the system of both sides.
    pub fn concurrency(&self) -> [f64; 2] {
        [&self.before, &self.after].map(|levels| mean(levels, |l| l.concurrency))
    }

    /// How many more the later side had in its system, of a band that is matched by that number; else none.
    pub fn more(&self) -> f64 {
        let [a, b] = self.concurrency();
        match self.by {
            MatchedBy::Rate => 0.0,
            MatchedBy::Concurrency => b - a,
        }
    }

    pub fn json(&self) -> Value {
        let times = |levels: &[Level]| -> Vec<[String; 2]> {
            levels.iter().map(|l| [rfc3339(l.window.start), rfc3339(l.window.end)]).collect()
        };
        let ([seconds_a, seconds_b], [concurrency_a, concurrency_b]) = (self.seconds(), self.concurrency());
        json!({
            "matched_by": self.by,
            "qps_a": mean(&self.before, |l| l.rate),
            "qps_b": mean(&self.after, |l| l.rate),
            "concurrency_a": concurrency_a,
            "concurrency_b": concurrency_b,
            "seconds_a": seconds_a,
            "seconds_b": seconds_b,
            "times_a": times(&self.before),
            "times_b": times(&self.after),
        })
    }
}

/// The loads that both sides carried long enough: those of like rate, then of what is left those of like concurrency, each
/// with the lowest first.
pub fn bands(before: &[Level], after: &[Level]) -> Vec<Band> {
    let mut bands = alike(before, after, MatchedBy::Rate);
    let left = |levels: &[Level], is_baseline: bool| -> Vec<Level> {
        let is_left = |l: &&Level| !bands.iter().any(|band| band.levels(is_baseline).contains(l));
        levels.iter().filter(is_left).filter(|l| l.concurrency >= LEAST_CONCURRENCY).copied().collect()
    };
    let (before, after) = (left(before, true), left(after, false));
    bands.extend(alike(&before, &after, MatchedBy::Concurrency));
    bands
}

fn alike(before: &[Level], after: &[Level], by: MatchedBy) -> Vec<Band> {
    let mut all: Vec<(Level, bool)> =
        before.iter().map(|l| (*l, true)).chain(after.iter().map(|l| (*l, false))).collect();
    all.sort_by(|(a, _), (b, _)| by.load(a).total_cmp(&by.load(b)));
    let empty = || Band { by, ..Band::default() };
    let (mut bands, mut band, mut lowest) = (Vec::new(), empty(), f64::NEG_INFINITY);
    for (level, is_baseline) in all {
        if by.load(&level) > lowest * (1.0 + SAME) {
            bands.push(std::mem::replace(&mut band, empty()));
            lowest = by.load(&level);
        }
        if is_baseline { band.before.push(level) } else { band.after.push(level) }
    }
    bands.push(band);
    bands.retain(|band| band.seconds().iter().all(|seconds| *seconds >= LEAST_SECONDS));
    bands
}

/// The band of each bin of a window, as a position in `bands`; only bins that lie within a level have one.
pub fn bins(window: Window, bin: Nanos, bands: &[Band], is_baseline: bool) -> Vec<Option<usize>> {
    let count = (window.end - window.start + bin - 1) / bin;
    let band_of = |at: Nanos| {
        let (start, end) = (window.start + at * bin, window.start + (at + 1) * bin);
        let holds = |l: &Level| l.window.start <= start && end <= l.window.end;
        bands.iter().position(|band| band.levels(is_baseline).iter().any(holds))
    };
    (0..count).map(band_of).collect()
}

#[cfg(test)]
mod tests {
    use model::time::SECOND;

    use super::*;

    fn level(rate: f64, concurrency: f64, from: Nanos, to: Nanos) -> Level {
        Level { rate, concurrency, window: Window { start: from * SECOND, end: to * SECOND } }
    }

    #[test]
    fn only_levels_of_about_the_same_rate_are_matched() {
        let before = [level(100.0, 0.0, 0, 60), level(500.0, 0.0, 60, 120), level(95.0, 0.0, 120, 180)];
        let after = [level(110.0, 0.0, 0, 60), level(900.0, 0.0, 60, 120), level(505.0, 0.0, 120, 123)];
        let bands = bands(&before, &after);
        // 500 is met by 505 for three seconds only, and 900 by nothing.
        assert_eq!(bands.len(), 1);
        assert_eq!((bands[0].before.len(), bands[0].after.len()), (2, 1));
        let of_bins = bins(Window { start: 0, end: 180 * SECOND }, 10 * SECOND, &bands, true);
        let expected: Vec<Option<usize>> = (0..18).map(|at| (!(6..12).contains(&at)).then_some(0)).collect();
        assert_eq!(of_bins, expected);
    }

    /// 10 and 50 users without a pause: 100 ms each, and 130 in the later run. 10 / 0.13 = 77 per second.
    #[test]
    fn levels_without_a_common_rate_are_matched_by_how_many_are_in_the_system() {
        let before = [level(100.0, 10.0, 0, 60), level(500.0, 50.0, 60, 120)];
        let after = [level(77.0, 10.0, 0, 60), level(385.0, 50.0, 60, 120)];
        let bands = bands(&before, &after);
        let shape = |band: &Band| (band.by, band.before.len(), band.after.len());
        assert_eq!(bands.iter().map(shape).collect::<Vec<_>>(), [(MatchedBy::Concurrency, 1, 1); 2]);
        assert_eq!(bands[1].json()["matched_by"], "concurrency");
        // What has a partner by its rate keeps it, also where another has more like numbers in the system.
        let after = [level(110.0, 14.0, 0, 60), level(385.0, 10.0, 60, 120)];
        let by_rate = super::bands(&before, &after);
        assert_eq!(by_rate.iter().map(shape).collect::<Vec<_>>(), [(MatchedBy::Rate, 1, 1)]);
        assert_eq!((by_rate[0].more(), by_rate[0].concurrency()), (0.0, [10.0, 14.0]));
    }

    /// 2 per second of 10 ms and 4 of 5 ms: with 0.02 in the system it is no closed loop.
    #[test]
    fn an_idle_system_is_not_matched_by_concurrency() {
        assert!(bands(&[level(2.0, 0.02, 0, 60)], &[level(4.0, 0.02, 0, 60)]).is_empty());
    }
}
