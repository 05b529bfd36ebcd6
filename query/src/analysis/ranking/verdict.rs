//! Did anything get worse? Decided on the entry operations, that is on what callers of the system feel.
//!
//! Each entry's mean, median, p95, p99 and error rate are compared with the baseline's. It counts as worse when the
//! rise is larger than the stated materiality and that is no chance, by the bootstrap and with false-discovery
//! control over all the comparisons made. By Little's law the throughput per unit of concurrency is the inverse of
//! the mean latency, so the mean stands for it.

use std::ops::Range;

use serde::Serialize;

use super::super::histogram::middle;
use super::super::significance::{BlockBootstrap, Estimate, false_discovery_rates};
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
    /// Too few requests, or nothing to compare them with; or some got slower, as far as that can be told of so few.
    NotEnoughData,
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

/// Entries with a smaller share of the requests than this are not judged.
const LEAST_SHARE: f64 = 0.01;

/// An entry operation that got worse.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntryChange {
    pub entry: Place,
    pub measure: Measure,
    pub baseline: f64,
    pub window: f64,
    pub confidence: f64,
}

/// An entry of which it cannot be ruled out that it takes so many times as long again is not one that did not change.
const MISSED: f64 = 0.5;

/// What the entries' figures say.
pub(super) struct Entries {
    /// All that got worse, the surest first.
    pub worse: Vec<EntryChange>,
    /// Some seem to have got worse and may have by [`MISSED`] or more, as far as can be told of so few requests.
    pub undecided: bool,
}

pub(super) fn entries(cube: &Cube, baseline: &Side, mix: &[f64], settings: &Settings) -> Entries {
    let judged: Vec<usize> = (0..mix.len()).filter(|&entry| mix[entry] >= LEAST_SHARE).collect();
    let after = figures(&cube.window, &judged, settings.resamples, settings.seed);
    let before = figures(baseline, &judged, settings.resamples, settings.seed ^ 1);
    let mut comparisons = Vec::new();
    for (i, &entry) in judged.iter().enumerate() {
        let requests = cube.window.requests[entry].total().min(baseline.requests[entry].total());
        for (j, measure) in MEASURES.into_iter().enumerate() {
            if comparable(measure, requests) {
                comparisons.push((entry, measure, before[5 * i + j], after[5 * i + j]));
            }
        }
    }
    let least = |measure: Measure, before: f64| match measure {
        Measure::ErrorRate => settings.material_errors(before),
        _ => settings.material_latency(before),
    };
    let p = |&(_, measure, before, after): &(usize, Measure, Estimate, Estimate)| {
        after.p_of_rise(&before, least(measure, before.value))
    };
    let undecided = comparisons.iter().any(|&(_, measure, before, after)| {
        let change = after.since(&before);
        let seems = measure == Measure::Mean && change.value > least(measure, before.value);
        seems && change.interval().1 > MISSED * before.value
    });
    let rates = false_discovery_rates(&comparisons.iter().map(p).collect::<Vec<_>>());
    let mut worse: Vec<EntryChange> = comparisons
        .into_iter()
        .zip(rates)
        .filter(|&(_, rate)| rate <= 1.0 - settings.confidence)
        .map(|((entry, measure, before, after), rate)| EntryChange {
            entry: cube.entries[entry].clone(),
            measure,
            baseline: before.value,
            window: after.value,
            confidence: (1.0 - rate).min(settings.surest()),
        })
        .collect();
    worse.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    Entries { worse, undecided }
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
