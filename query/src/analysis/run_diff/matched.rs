//! What is compared with what, and what of the difference is no chance.
//!
//! Levels of both sides whose rates are within [`SAME_RATE`] make a band. Within a band the two sides are alike in load;
//! over bands, differences are weighted as Mantel and Haenszel do (Journal of the National Cancer Institute 22, 1959), by
//! the time that both have. Errors of the figures come from a block bootstrap of each side's bins; what is reported as
//! better or worse is so with false-discovery control over all comparisons made. What is reported as the same has the
//! 95 % interval of every change within what counts as no change: two one-sided tests at 2.5 % (Schuirmann, Journal of
//! Pharmacokinetics and Biopharmaceutics 15, 1987). No evidence is neither.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use model::Nanos;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::histogram::{Histogram, RELATIVE_ERROR, middle};
use super::super::report::rfc3339;
use super::super::scope::Window;
use super::super::significance::{BlockBootstrap, Estimate, Z95, false_discovery_rates, newcombe_of};

/// Rates of a band differ by at most this part of the lowest.
const SAME_RATE: f64 = 0.2;
/// A band needs at least this much time on both sides.
const LEAST_SECONDS: f64 = 5.0;
/// Calls that a band needs on both sides to count for an operation.
const LEAST_CALLS: f64 = 20.0;
/// A quantile is compared when at least this many calls lie beyond it on both sides.
const LEAST_BEYOND: f64 = 10.0;
/// Of all that is reported as changed, at most this part is expected to be chance.
const FALSE_DISCOVERIES: f64 = 0.05;
const RESAMPLES: usize = 300;
const SEED: u64 = 1;

/// A stretch of constant load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Requests per second.
    pub rate: f64,
    pub window: Window,
}

/// Levels of both sides that carried the same load.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Band {
    pub before: Vec<Level>,
    pub after: Vec<Level>,
}

fn seconds(levels: &[Level]) -> f64 {
    levels.iter().map(|l| l.window.seconds()).sum()
}

/// The mean rate over the time of some levels.
fn rate(levels: &[Level]) -> f64 {
    levels.iter().map(|l| l.rate * l.window.seconds()).sum::<f64>() / seconds(levels)
}

impl Band {
    fn levels(&self, is_baseline: bool) -> &[Level] {
        if is_baseline { &self.before } else { &self.after }
    }

    fn weight(&self) -> f64 {
        let (a, b) = (seconds(&self.before), seconds(&self.after));
        a * b / (a + b)
    }

    pub fn json(&self) -> Value {
        let times = |levels: &[Level]| -> Vec<[String; 2]> {
            levels.iter().map(|l| [rfc3339(l.window.start), rfc3339(l.window.end)]).collect()
        };
        json!({
            "qps_a": rate(&self.before),
            "qps_b": rate(&self.after),
            "seconds_a": seconds(&self.before),
            "seconds_b": seconds(&self.after),
            "times_a": times(&self.before),
            "times_b": times(&self.after),
        })
    }
}

/// The loads that both sides carried long enough, lowest first.
pub fn bands(before: &[Level], after: &[Level]) -> Vec<Band> {
    let mut all: Vec<(Level, bool)> =
        before.iter().map(|l| (*l, true)).chain(after.iter().map(|l| (*l, false))).collect();
    all.sort_by(|(a, _), (b, _)| a.rate.total_cmp(&b.rate));
    let (mut bands, mut band, mut lowest) = (Vec::new(), Band::default(), f64::NEG_INFINITY);
    for (level, is_baseline) in all {
        if level.rate > lowest * (1.0 + SAME_RATE) {
            bands.push(std::mem::take(&mut band));
            lowest = level.rate;
        }
        if is_baseline { band.before.push(level) } else { band.after.push(level) }
    }
    bands.push(band);
    bands.retain(|band| seconds(&band.before) >= LEAST_SECONDS && seconds(&band.after) >= LEAST_SECONDS);
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

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Operation {
    pub service: String,
    pub operation: String,
    pub kind: String,
    pub peer: Option<String>,
}

/// The calls of one operation in one bin.
#[derive(Debug, Clone, Default)]
pub struct Bin {
    pub duration: f64,
    pub errors: u64,
    pub latency: Histogram,
}

/// The calls of one operation on one side, by bin. Most operations are called in few bins.
#[derive(Debug, Clone)]
pub struct Series {
    bands: Arc<[Option<usize>]>,
    bins: BTreeMap<usize, Bin>,
}

impl Series {
    pub fn new(bands: Arc<[Option<usize>]>) -> Self {
        Series { bins: BTreeMap::new(), bands }
    }

    pub fn add(&mut self, at: i64, bin: Bin) {
        if let Some(at) = usize::try_from(at).ok().filter(|at| *at < self.bands.len()) {
            let slot = self.bins.entry(at).or_default();
            slot.duration += bin.duration;
            slot.errors += bin.errors;
            slot.latency.merge(&bin.latency);
        }
    }

    fn calls(&self) -> u64 {
        self.bins.values().map(|b| b.latency.count()).sum()
    }

    /// Calls in each band.
    fn by_band(&self, bands: usize) -> Vec<f64> {
        let mut calls = vec![0.0; bands];
        for (at, bin) in &self.bins {
            if let Some(band) = self.bands[*at] {
                calls[band] += bin.latency.count() as f64;
            }
        }
        calls
    }

    fn buckets(&self) -> Range<u16> {
        let used = self.bins.values().map(|b| b.latency.buckets()).filter(|b| !b.is_empty());
        used.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Better,
    Worse,
    /// Whatever the change is, it is surely smaller than what counts as one.
    Same,
    /// There may be a change that counts, or none.
    NoEvidence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    MeanNs,
    P50Ns,
    P95Ns,
    P99Ns,
    /// Share of calls with status ERROR.
    ErrorRate,
}

const MEASURES: [Measure; 5] = [Measure::MeanNs, Measure::P50Ns, Measure::P95Ns, Measure::P99Ns, Measure::ErrorRate];
const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];

/// Why an operation could not be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    OnlyInA,
    OnlyInB,
    /// It has calls in both, but too few where the load was the same, or in too short a time.
    TooFewCalls,
}

/// What counts as a change.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    ratio: f64,
    least_ns: f64,
    least_errors: f64,
}

impl Limits {
    pub fn of(ratio: f64, least_ns: f64) -> Self {
        Limits { ratio, least_ns, least_errors: 0.005 }
    }

    pub fn json(&self) -> Value {
        json!({"ratio": self.ratio, "latency_ns": self.least_ns, "error_rate": self.least_errors})
    }

    fn material(&self, measure: Measure, before: f64) -> f64 {
        let (ratio, least) = match measure {
            Measure::ErrorRate => (self.ratio, self.least_errors),
            Measure::MeanNs => (self.ratio, self.least_ns),
            // From one bucket to the next is no change.
            Measure::P50Ns | Measure::P95Ns | Measure::P99Ns => (self.ratio.max(2.0 * RELATIVE_ERROR), self.least_ns),
        };
        (ratio * before).max(least)
    }
}

/// One figure of one operation on both sides.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Figure {
    pub measure: Measure,
    pub before: f64,
    pub after: f64,
    pub change: f64,
    /// 95 % interval of the change.
    pub low: f64,
    pub high: f64,
    /// The least change that counts.
    pub material: f64,
    /// The share of false ones among all changes at least as sure as this one.
    pub q: f64,
    pub outcome: Outcome,
    #[serde(skip)]
    p: f64,
}

#[derive(Debug, Clone)]
pub struct Compared {
    pub operation: Operation,
    pub outcome: Outcome,
    /// Set when nothing could be compared.
    pub reason: Option<Reason>,
    pub figures: Vec<Figure>,
    pub calls: (u64, u64),
}

impl Compared {
    /// The surest change, else the mean.
    fn decisive(&self) -> Option<&Figure> {
        let changed = self.figures.iter().filter(|f| f.outcome.is_change() && f.outcome == self.outcome);
        changed.min_by(|a, b| a.q.total_cmp(&b.q)).or(self.figures.first())
    }

    /// One figure that got worse is enough; all have to be the same.
    fn judged(&self) -> Outcome {
        let is = |wanted: Outcome| self.figures.iter().any(|f| f.outcome == wanted);
        if is(Outcome::Worse) {
            Outcome::Worse
        } else if is(Outcome::Better) {
            Outcome::Better
        } else if is(Outcome::NoEvidence) || self.figures.is_empty() {
            Outcome::NoEvidence
        } else {
            Outcome::Same
        }
    }

    pub fn json(&self) -> Value {
        let decisive = self.decisive();
        let number = |of: fn(&Figure) -> f64| decisive.map(of);
        json!({
            "service": self.operation.service,
            "operation": self.operation.operation,
            "kind": self.operation.kind,
            "peer": self.operation.peer,
            "outcome": self.outcome,
            "reason": self.reason,
            "measure": decisive.map(|f| f.measure),
            "before": number(|f| f.before),
            "after": number(|f| f.after),
            "change": number(|f| f.change),
            "low": number(|f| f.low),
            "high": number(|f| f.high),
            "material": number(|f| f.material),
            "q": number(|f| f.q),
            "calls_a": self.calls.0,
            "calls_b": self.calls.1,
            "measures": self.figures,
        })
    }
}

impl Outcome {
    fn is_change(self) -> bool {
        matches!(self, Outcome::Worse | Outcome::Better)
    }
}

impl Figure {
    fn judged(&self) -> Outcome {
        let is_within = -self.material < self.low && self.high < self.material;
        match self.q <= FALSE_DISCOVERIES {
            true if self.change > 0.0 => Outcome::Worse,
            true => Outcome::Better,
            false if is_within => Outcome::Same,
            false => Outcome::NoEvidence,
        }
    }
}

/// Compares the operations with the most calls. Those that changed come first, worse before better, then those of which it
/// cannot be told; within each the largest change first.
pub fn compare(
    bands: &[Band],
    mut before: BTreeMap<Operation, Series>,
    mut after: BTreeMap<Operation, Series>,
    limit: usize,
    limits: &Limits,
) -> Vec<Compared> {
    let mut calls: BTreeMap<&Operation, (u64, u64)> = BTreeMap::new();
    before.iter().for_each(|(o, s)| calls.entry(o).or_default().0 = s.calls());
    after.iter().for_each(|(o, s)| calls.entry(o).or_default().1 = s.calls());
    let mut chosen: Vec<(Operation, (u64, u64))> = calls.into_iter().map(|(o, c)| (o.clone(), c)).collect();
    chosen.sort_by_key(|(_, (a, b))| std::cmp::Reverse(a + b));
    chosen.truncate(limit);
    let mut all: Vec<Compared> = chosen
        .into_iter()
        .map(|(operation, calls)| {
            let sides = (before.remove(&operation), after.remove(&operation));
            let (figures, reason) = match sides {
                (Some(a), Some(b)) => {
                    let figures = figures(bands, &a, &b, limits);
                    let reason = figures.is_empty().then_some(Reason::TooFewCalls);
                    (figures, reason)
                }
                (Some(_), None) => (Vec::new(), Some(Reason::OnlyInA)),
                (None, _) => (Vec::new(), Some(Reason::OnlyInB)),
            };
            Compared { operation, outcome: Outcome::NoEvidence, reason, figures, calls }
        })
        .collect();
    let p: Vec<f64> = all.iter().flat_map(|c| &c.figures).map(|f| f.p).collect();
    let q = false_discovery_rates(&p);
    for (figure, q) in all.iter_mut().flat_map(|c| &mut c.figures).zip(q) {
        figure.q = q;
        figure.outcome = figure.judged();
    }
    all.iter_mut().for_each(|compared| compared.outcome = compared.judged());
    let relative = |c: &Compared| c.decisive().map_or(0.0, |f| (f.change / f.before.max(1e-9)).abs());
    let rank = |c: &Compared| match c.outcome {
        Outcome::Worse => 0,
        Outcome::Better => 1,
        Outcome::NoEvidence => 2,
        Outcome::Same => 3,
    };
    all.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| relative(b).total_cmp(&relative(a))));
    all
}

/// The figures of an operation at matched load; none when it has too few calls there.
fn figures(bands: &[Band], before: &Series, after: &Series, limits: &Limits) -> Vec<Figure> {
    let by_band = [before, after].map(|series| series.by_band(bands.len()));
    let calls: Vec<f64> = by_band[0].iter().zip(&by_band[1]).map(|(a, b)| a.min(*b)).collect();
    let weight = |band: usize| if calls[band] >= LEAST_CALLS { bands[band].weight() } else { 0.0 };
    let weights: Vec<f64> = (0..bands.len()).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    if sum <= 0.0 {
        return Vec::new();
    }
    let weights: Vec<f64> = weights.iter().map(|w| w / sum).collect();
    // A quantile needs calls beyond it in each band that counts.
    let fewest = calls.iter().zip(&weights).filter(|(_, w)| **w > 0.0).map(|(c, _)| *c).fold(f64::INFINITY, f64::min);
    let (a, b) = (estimates(before, &weights, SEED), estimates(after, &weights, SEED ^ 1));
    let worth = by_band.map(|calls| worth(&calls, &weights));
    let mut figures = Vec::new();
    for ((measure, a), b) in MEASURES.into_iter().zip(a).zip(b) {
        let beyond = match measure {
            Measure::MeanNs | Measure::ErrorRate => fewest,
            Measure::P50Ns => fewest * 0.5,
            Measure::P95Ns => fewest * 0.05,
            Measure::P99Ns => fewest * 0.01,
        };
        let is_known = |e: &Estimate| e.value.is_finite() && e.variance.is_finite();
        if beyond >= LEAST_BEYOND && is_known(&a) && is_known(&b) {
            figures.push(figure(measure, &a, &b, worth, limits));
        }
    }
    figures
}

/// How many calls of one band say as much of a share as those of all bands with their weights.
fn worth(calls: &[f64], weights: &[f64]) -> f64 {
    let counted = weights.iter().zip(calls).filter(|(w, _)| **w > 0.0);
    1.0 / counted.map(|(w, n)| w * w / n).sum::<f64>()
}

fn figure(measure: Measure, a: &Estimate, b: &Estimate, worth: [f64; 2], limits: &Limits) -> Figure {
    let material = limits.material(measure, a.value);
    // It is asked in both directions, of which only one can be.
    let p = (2.0 * b.p_of_rise(a, material).min(a.p_of_rise(b, material))).min(1.0);
    let (low, high) = interval(measure, a, b, worth);
    Figure {
        measure,
        before: a.value,
        after: b.value,
        change: b.value - a.value,
        low,
        high,
        material,
        q: 1.0,
        outcome: Outcome::NoEvidence,
        p,
    }
}

/// The 95 % interval of the change, with what the bootstrap cannot see.
fn interval(measure: Measure, a: &Estimate, b: &Estimate, [worth_a, worth_b]: [f64; 2]) -> (f64, f64) {
    let (low, high) = b.since(a).interval();
    match measure {
        Measure::MeanNs => (low, high),
        // A quantile is known to its bucket.
        Measure::P50Ns | Measure::P95Ns | Measure::P99Ns => {
            let blur = RELATIVE_ERROR * (a.value + b.value);
            (low - blur, high + blur)
        }
        // Of calls without an error a resample has none either, however few they are.
        Measure::ErrorRate => {
            let (least, most) = newcombe_of((b.value, worth_b), (a.value, worth_a), Z95);
            (low.min(least), high.max(most))
        }
    }
}

/// The five measures over the bands with a weight.
fn estimates(series: &Series, weights: &[f64], seed: u64) -> Vec<Estimate> {
    let used: Vec<usize> = (0..weights.len()).filter(|band| weights[*band] > 0.0).collect();
    let buckets = series.buckets();
    // Calls, durations, errors, then the histogram; once for each band.
    let part = 3 + buckets.len();
    let mut rows = Vec::new();
    for (number, band) in series.bands.iter().enumerate() {
        let Some(at) = band.and_then(|band| used.iter().position(|used| *used == band)) else { continue };
        let start = rows.len();
        rows.resize(start + part * used.len(), 0.0);
        let Some(bin) = series.bins.get(&number) else { continue };
        let row = &mut rows[start + at * part..start + (at + 1) * part];
        row[0] = bin.latency.count() as f64;
        row[1] = bin.duration;
        row[2] = bin.errors as f64;
        for (bucket, count) in bin.latency.iter() {
            row[3 + usize::from(bucket - buckets.start)] = count as f64;
        }
    }
    let width = part * used.len();
    let statistic = |sums: &[f64], out: &mut [f64]| {
        let mut values = [0.0; MEASURES.len()];
        for (sums, band) in sums.chunks_exact(part).zip(&used) {
            for (total, value) in values.iter_mut().zip(measure(sums, &buckets)) {
                *total += weights[*band] * value;
            }
        }
        out.copy_from_slice(&values);
    };
    let bins = rows.len() / width.max(1);
    let mut totals = vec![0.0; width];
    for row in rows.chunks_exact(width.max(1)) {
        totals.iter_mut().zip(row).for_each(|(total, more)| *total += more);
    }
    let mut values = vec![0.0; MEASURES.len()];
    statistic(&totals, &mut values);
    let (variances, df) = BlockBootstrap::new(bins, RESAMPLES, seed).variances(&rows, width, MEASURES.len(), statistic);
    values.into_iter().zip(variances).map(|(value, variance)| Estimate { value, variance, df }).collect()
}

/// The measures of one band from its sums; NaN when a resample has no call in it.
fn measure(sums: &[f64], buckets: &Range<u16>) -> [f64; MEASURES.len()] {
    let calls = sums[0];
    if calls <= 0.0 {
        return [f64::NAN; MEASURES.len()];
    }
    let mut out = [sums[1] / calls, 0.0, 0.0, 0.0, sums[2] / calls];
    let (mut seen, mut next) = (0.0, 0);
    for (bucket, count) in buckets.clone().zip(&sums[3..]) {
        seen += count;
        while next < QUANTILES.len() && seen >= QUANTILES[next] * calls {
            out[1 + next] = middle(bucket);
            next += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests;
