//! Did anything get worse? Decided on the entry operations, that is on what callers of the system feel.
//!
//! Each entry's mean, median, p95, p99 and error rate are compared with the baseline's. It counts as worse when the
//! rise is larger than the stated materiality and that is no chance, by the bootstrap and with false-discovery
//! control over all the comparisons made. By Little's law the throughput per unit of concurrency is the inverse of
//! the mean latency, so the mean stands for it.
//!
//! An entry that seems worse, of too few requests to prove it, is undecided, and it is said how many would tell.

use std::ops::Range;

use serde::Serialize;

use super::super::histogram::middle;
use super::super::significance::{BlockBootstrap, Estimate, Z95, false_discovery_rates_of_rises};
use super::Settings;
use super::cube::{Cube, Place, Requests, Side};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Requests got slower.
    Bottleneck,
    /// Nothing got slower, but errors rose or calls vanished or appeared.
    BehaviourChanged,
    NoSignificantChange,
    /// Too few requests, or nothing to compare them with; or some got worse, as far as that can be told of so few.
    NotEnoughData,
}

impl Verdict {
    /// Whether something changed.
    pub fn is_alarm(self) -> bool {
        matches!(self, Verdict::Bottleneck | Verdict::BehaviourChanged)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Mean latency, ns; the inverse of throughput per concurrency.
    Mean,
    P50,
    P95,
    P99,
    /// Share of requests with status ERROR.
    ErrorRate,
    /// Mean time that a message waits before the consumer takes it, ns.
    Wait,
}

/// What the figures of an entry are, in this order, wherever they are in an array.
const MEASURES: [Measure; 5] = [Measure::Mean, Measure::P50, Measure::P95, Measure::P99, Measure::ErrorRate];
const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];

/// A quantile is compared when at least this many requests lie beyond it on both sides.
const LEAST_BEYOND: f64 = 10.0;

/// Entries with a smaller share of the requests than this are judged only where they have very many all the same, on both
/// sides: at 40,000 requests a second, a checkout is a two-hundredth of them.
const LEAST_SHARE: f64 = 0.01;
const MANY_REQUESTS: f64 = 1_000.0;
/// Of very many entries those with the most requests are judged: each costs a bootstrap.
const MOST_JUDGED: usize = 200;

/// An entry operation that got worse.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntryChange {
    pub entry: Place,
    pub measure: Measure,
    pub baseline: f64,
    pub window: f64,
    pub confidence: f64,
}

/// An entry of which it cannot be ruled out that it takes so many times as long again, or that so many more of its requests
/// fail, is not one that did not change.
const MISSED: f64 = 0.5;
const MISSED_ERRORS: f64 = 0.02;

/// Requests that would tell what so few do not.
#[derive(Debug, Clone, PartialEq)]
pub struct Needed {
    /// The entry that seems to have got worse, if one does; its confidence is 0.
    pub seems: Option<EntryChange>,
    /// About as many in the window and in the baseline, of that entry or of any.
    pub requests: u64,
    pub baseline_requests: u64,
}

/// What the entries' figures say.
pub(super) struct Entries {
    /// All that got worse, the surest first.
    pub worse: Vec<EntryChange>,
    /// Of those that seem to have got worse and may have by [`MISSED`] or more, as far as can be told of so few requests, the
    /// one with the most.
    pub undecided: Option<Needed>,
}

/// An entry's figures on both sides, with the numbers of its requests.
#[derive(Clone, Copy)]
struct Comparison {
    entry: usize,
    measure: Measure,
    before: Estimate,
    after: Estimate,
    requests: [f64; 2],
}

impl Comparison {
    fn change(&self) -> Estimate {
        self.after.since(&self.before)
    }

    fn least(&self, settings: &Settings) -> f64 {
        match self.measure {
            Measure::ErrorRate => settings.material_errors(self.before.value),
            _ => settings.material_latency(self.before.value),
        }
    }

    /// A rise that must not be overlooked.
    fn missed(&self) -> f64 {
        if self.measure == Measure::ErrorRate { MISSED_ERRORS } else { MISSED * self.before.value }
    }

    /// Quantiles of so few swing too much to seem anything.
    fn is_undecided(&self, settings: &Settings) -> bool {
        let change = self.change();
        let seems = change.value > self.least(settings);
        matches!(self.measure, Measure::Mean | Measure::ErrorRate) && seems && change.interval().1 > self.missed()
    }

    fn entry_change(&self, cube: &Cube, confidence: f64) -> EntryChange {
        EntryChange {
            entry: cube.entries[self.entry].clone(),
            measure: self.measure,
            baseline: self.before.value,
            window: self.after.value,
            confidence,
        }
    }

    /// As many as would prove the rise that is seen, or rule out one that must not be overlooked.
    fn needed(&self, cube: &Cube, settings: &Settings) -> Needed {
        let (least, change) = (self.least(settings), self.change().value);
        let room = (change - least).max(self.missed().max(1.5 * least) - change);
        let wanted = (room / Z95).powi(2);
        let times = |own: f64, other: f64| own / (wanted - other).max(wanted / 2.0);
        let (after, before) = (self.after.variance, self.before.variance);
        let [mut now, then] = [times(after, before), times(before, after)];
        let are_enough = now <= 1.0 && then <= 1.0;
        if !now.is_finite() || are_enough {
            now = 2.0;
        }
        let least = |times: f64, requests: f64| {
            let wanted = if times.is_finite() { requests * times.max(1.0) } else { requests };
            two_digits(wanted.max(settings.least_requests))
        };
        Needed {
            seems: Some(self.entry_change(cube, 0.0)),
            requests: least(now, self.requests[0]),
            baseline_requests: least(then, self.requests[1]),
        }
    }
}

/// Rounded up to two digits: it is no more than a guess.
fn two_digits(n: f64) -> u64 {
    let unit = 10f64.powf((n.log10().floor() - 1.0).max(0.0));
    ((n / unit).ceil() * unit) as u64
}

/// What is needed where nothing could be compared.
pub(super) fn least_needed(settings: &Settings) -> Needed {
    let least = settings.least_requests as u64;
    Needed { seems: None, requests: least, baseline_requests: least }
}

pub(super) fn entries(cube: &Cube, baseline: &Side, mix: &[f64], settings: &Settings) -> Entries {
    let judged = judged(cube, baseline, mix);
    let after = figures(&cube.window, &judged, settings.resamples, settings.seed);
    let before = figures(baseline, &judged, settings.resamples, settings.seed ^ 1);
    let mut comparisons: Vec<Comparison> = Vec::new();
    for (i, &entry) in judged.iter().enumerate() {
        let requests = [&cube.window, baseline].map(|side| side.requests[entry].total());
        for (j, measure) in MEASURES.into_iter().enumerate() {
            if comparable(measure, requests[0].min(requests[1])) {
                let before = before[5 * i + j];
                let after = after[5 * i + j].steadied_by(&before, requests);
                comparisons.push(Comparison { entry, measure, before, after, requests });
            }
        }
    }
    let p = |one: &Comparison| one.after.p_of_rise(&one.before, one.least(settings));
    let rates = false_discovery_rates_of_rises(&comparisons.iter().map(p).collect::<Vec<_>>());
    let sure = comparisons.iter().zip(rates).filter(|&(_, rate)| rate <= 1.0 - settings.confidence);
    let mut worse: Vec<EntryChange> =
        sure.map(|(one, rate)| one.entry_change(cube, (1.0 - rate).min(settings.surest()))).collect();
    worse.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let undecided = comparisons.iter().filter(|one| one.is_undecided(settings)).copied();
    let undecided = undecided.chain(rare(cube, baseline, mix, settings));
    let most = undecided.max_by(|a, b| a.requests[0].total_cmp(&b.requests[0]));
    Entries { worse, undecided: most.map(|one| one.needed(cube, settings)) }
}

fn judged(cube: &Cube, baseline: &Side, mix: &[f64]) -> Vec<usize> {
    let least = |entry: usize| cube.window.requests[entry].total().min(baseline.requests[entry].total());
    let is_judged = |&entry: &usize| mix[entry] >= LEAST_SHARE || mix[entry] > 0.0 && least(entry) >= MANY_REQUESTS;
    let mut judged: Vec<usize> = (0..mix.len()).filter(is_judged).collect();
    judged.sort_by(|&a, &b| mix[b].total_cmp(&mix[a]));
    judged.truncate(MOST_JUDGED);
    judged.sort_unstable();
    judged
}

/// Entries with too few requests on a side to be compared, of which those few are worse by as much as must not be overlooked.
fn rare(cube: &Cube, baseline: &Side, mix: &[f64], settings: &Settings) -> Vec<Comparison> {
    let all = cube.window.requests();
    let figure = |side: &Side, entry: usize, measure: Measure| {
        let requests = &side.requests[entry];
        let sum = if measure == Measure::ErrorRate { &requests.errors } else { &requests.duration };
        Estimate { value: sum.iter().sum::<f64>() / requests.total(), variance: f64::INFINITY, df: 1.0 }
    };
    let mut found = Vec::new();
    for entry in (0..mix.len()).filter(|&entry| mix[entry] <= 0.0) {
        let requests = [&cube.window, baseline].map(|side| side.requests[entry].total());
        if requests[0] < LEAST_SHARE * all || requests.contains(&0.0) {
            continue;
        }
        for measure in [Measure::Mean, Measure::ErrorRate] {
            let (before, after) = (figure(baseline, entry, measure), figure(&cube.window, entry, measure));
            let one = Comparison { entry, measure, before, after, requests };
            if one.change().value > one.least(settings).max(one.missed()) {
                found.push(one);
            }
        }
    }
    found
}

fn comparable(measure: Measure, requests: f64) -> bool {
    let beyond = match measure {
        Measure::Mean | Measure::ErrorRate | Measure::Wait => requests,
        Measure::P50 => requests * 0.5,
        Measure::P95 => requests * 0.05,
        Measure::P99 => requests * 0.01,
    };
    beyond >= LEAST_BEYOND
}

/// The five measures of each entry with their errors.
fn figures(side: &Side, entries: &[usize], resamples: usize, seed: u64) -> Vec<Estimate> {
    let mut series: Vec<Series> = Vec::with_capacity(entries.len());
    let mut width = 0;
    for &entry in entries {
        let one = Series::new(&side.requests[entry], width);
        width = one.end();
        series.push(one);
    }
    let mut rows = vec![0.0; side.bins * width];
    for (bin, row) in rows.chunks_exact_mut(width.max(1)).enumerate() {
        series.iter().for_each(|s| s.fill(bin, row));
    }
    let measure = |sums: &[f64], out: &mut [f64]| {
        series.iter().zip(out.chunks_exact_mut(5)).for_each(|(series, out)| series.measure(sums, out));
    };
    let (variances, df) =
        BlockBootstrap::new(side.bins, resamples, seed).variances(&rows, width, 5 * series.len(), measure);
    let mut totals = vec![0.0; width];
    for row in rows.chunks_exact(width.max(1)) {
        totals.iter_mut().zip(row).for_each(|(total, more)| *total += more);
    }
    let mut values = vec![0.0; 5 * series.len()];
    measure(&totals, &mut values);
    values.into_iter().zip(variances).map(|(value, variance)| Estimate { value, variance, df }).collect()
}

/// Where one entry's figures lie in a row: requests, durations, errors, then its histogram.
struct Series<'a> {
    requests: &'a Requests,
    start: usize,
    buckets: Range<u16>,
}

impl<'a> Series<'a> {
    fn new(requests: &'a Requests, start: usize) -> Self {
        let used = requests.latency.iter().map(|h| h.buckets()).filter(|b| !b.is_empty());
        let buckets = used.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..0);
        Series { requests, start, buckets }
    }

    fn end(&self) -> usize {
        self.start + 3 + self.buckets.len()
    }

    fn fill(&self, bin: usize, row: &mut [f64]) {
        let row = &mut row[self.start..self.end()];
        row[0] = self.requests.count[bin];
        row[1] = self.requests.duration[bin];
        row[2] = self.requests.errors[bin];
        for (bucket, count) in self.requests.latency[bin].iter() {
            row[3 + usize::from(bucket - self.buckets.start)] = count as f64;
        }
    }

    fn measure(&self, sums: &[f64], out: &mut [f64]) {
        let sums = &sums[self.start..self.end()];
        let count = sums[0];
        if count <= 0.0 {
            out.fill(f64::NAN);
            return;
        }
        out[0] = sums[1] / count;
        out[4] = sums[2] / count;
        let mut seen = 0.0;
        let mut next = 0;
        for (bucket, &n) in self.buckets.clone().zip(&sums[3..]) {
            seen += n;
            while next < QUANTILES.len() && seen >= QUANTILES[next] * count {
                out[1 + next] = middle(bucket);
                next += 1;
            }
        }
    }
}
