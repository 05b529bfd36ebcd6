//! What of the difference of two runs is no chance.
//!
//! Within a band ([`super::bands`]) the two sides are alike in load; over bands, differences are weighted as Mantel and
//! Haenszel do (Journal of the National Cancer Institute 22, 1959), by the time that both have. Errors of the figures come
//! from a block bootstrap of each side's bins; what is reported as better or worse is so with false-discovery control over
//! all comparisons made. What is reported as the same has the 95 % interval of every change within what counts as no
//! change: two one-sided tests at 2.5 % (Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987). No
//! evidence is neither.
//!
//! Where a band is matched by concurrency and one side had some more in its system, all of them may wait in one place: then
//! its calls take longer by their number over the rate of calls. A change has to be larger by that, and intervals are wider.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::super::histogram::{Histogram, RELATIVE_ERROR, middle};
use super::super::significance::{BlockBootstrap, Estimate, Z95, false_discovery_rates, newcombe_of};
use super::bands::Band;

/// Calls that a band needs on both sides to count for an operation.
const LEAST_CALLS: f64 = 20.0;
/// A quantile is compared when at least this many calls lie beyond it on both sides.
const LEAST_BEYOND: f64 = 10.0;
/// Of all that is reported as changed, at most this part is expected to be chance.
const FALSE_DISCOVERIES: f64 = 0.05;
pub const RESAMPLES: usize = 300;
pub const SEED: u64 = 1;

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
    /// The same of requests, from when they were meant to be sent.
    MeanIntendedNs,
    P50IntendedNs,
    P95IntendedNs,
    P99IntendedNs,
    /// Share of calls with status ERROR.
    ErrorRate,
    /// Requests per second of the whole, at equal concurrency.
    Throughput,
}

impl Measure {
    /// From when a request was meant to be sent; `None` of what is no latency.
    fn intended(self) -> Option<Measure> {
        match self {
            Measure::MeanNs => Some(Measure::MeanIntendedNs),
            Measure::P50Ns => Some(Measure::P50IntendedNs),
            Measure::P95Ns => Some(Measure::P95IntendedNs),
            Measure::P99Ns => Some(Measure::P99IntendedNs),
            _ => None,
        }
    }

    pub fn is_intended(self) -> bool {
        use Measure::{MeanIntendedNs, P50IntendedNs, P95IntendedNs, P99IntendedNs};
        matches!(self, MeanIntendedNs | P50IntendedNs | P95IntendedNs | P99IntendedNs)
    }
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
            Measure::Throughput => (self.ratio, 0.0),
            Measure::ErrorRate => (self.ratio, self.least_errors),
            Measure::MeanNs | Measure::MeanIntendedNs => (self.ratio, self.least_ns),
            // From one bucket to the next is no change.
            _ => (self.ratio.max(2.0 * RELATIVE_ERROR), self.least_ns),
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
    /// 95 % interval of the change, had both sides had the same concurrency where they are matched by it.
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
    /// Traces that show the change, of either side.
    pub exemplars: [Vec<String>; 2],
}

impl Compared {
    /// The surest change, else the mean.
    pub fn decisive(&self) -> Option<&Figure> {
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
            "exemplars_a": self.exemplars[0],
            "exemplars_b": self.exemplars[1],
        })
    }
}

impl Outcome {
    pub fn is_change(self) -> bool {
        matches!(self, Outcome::Worse | Outcome::Better)
    }
}

impl Figure {
    /// A change with its interval. Up to so much of a rise, and of a fall, is not the system's: a change has to be larger by
    /// that, and its interval is as much wider.
    pub fn of(
        measure: Measure,
        [a, b]: [&Estimate; 2],
        (low, high): (f64, f64),
        [rise, fall]: [f64; 2],
        limits: &Limits,
    ) -> Figure {
        let material = limits.material(measure, a.value);
        // It is asked in both directions, of which only one can be.
        let p = b.p_of_rise(a, material + rise).min(a.p_of_rise(b, material + fall));
        Figure {
            measure,
            before: a.value,
            after: b.value,
            change: b.value - a.value,
            low: low - rise,
            high: high + fall,
            material,
            q: 1.0,
            outcome: Outcome::NoEvidence,
            p: (2.0 * p).min(1.0),
        }
    }

    /// The same latency, had it been measured from when requests were meant to be sent; `None` of what is no latency.
    pub fn intended(self) -> Option<Figure> {
        Some(Figure { measure: self.measure.intended()?, ..self })
    }

    fn judged(&self) -> Outcome {
        let is_within = -self.material < self.low && self.high < self.material;
        let is_for_the_worse = (self.change > 0.0) != (self.measure == Measure::Throughput);
        match self.q <= FALSE_DISCOVERIES {
            true if is_for_the_worse => Outcome::Worse,
            true => Outcome::Better,
            false if is_within => Outcome::Same,
            false => Outcome::NoEvidence,
        }
    }
}

/// One operation with what either side has of it.
pub struct Pair {
    pub operation: Operation,
    pub before: Option<Series>,
    pub after: Option<Series>,
}

/// Every operation of either side.
pub fn pairs(before: BTreeMap<Operation, Series>, mut after: BTreeMap<Operation, Series>) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = Vec::new();
    for (operation, series) in before {
        let other = after.remove(&operation);
        pairs.push(Pair { operation, before: Some(series), after: other });
    }
    pairs.extend(after.into_iter().map(|(operation, series)| Pair { operation, before: None, after: Some(series) }));
    pairs
}

/// The figures of an operation, which are yet to be judged together with all others.
pub fn measured(bands: &[Band], pair: &Pair, limits: &Limits) -> Compared {
    let (figures, reason) = match (&pair.before, &pair.after) {
        (Some(a), Some(b)) => {
            let figures = figures(bands, a, b, limits);
            let reason = figures.is_empty().then_some(Reason::TooFewCalls);
            (figures, reason)
        }
        (Some(_), None) => (Vec::new(), Some(Reason::OnlyInA)),
        (None, _) => (Vec::new(), Some(Reason::OnlyInB)),
    };
    let calls = |series: &Option<Series>| series.as_ref().map_or(0, Series::calls);
    let calls = (calls(&pair.before), calls(&pair.after));
    let (operation, exemplars) = (pair.operation.clone(), Default::default());
    Compared { operation, outcome: Outcome::NoEvidence, reason, figures, calls, exemplars }
}

/// Judges all that was measured, with false-discovery control over all of it. Operations that changed come first, worse
/// before better, then those of which it cannot be told; within each the largest change first.
pub fn judge(all: &mut [Compared], throughput: &mut [Figure]) {
    let of_all = |all: &mut [Compared], throughput: &mut [Figure], with: &mut dyn FnMut(&mut Figure)| {
        all.iter_mut().flat_map(|c| &mut c.figures).chain(throughput).for_each(with);
    };
    let mut p = Vec::new();
    of_all(all, throughput, &mut |figure| p.push(figure.p));
    let mut q = false_discovery_rates(&p).into_iter();
    of_all(all, throughput, &mut |figure| {
        figure.q = q.next().unwrap_or(1.0);
        figure.outcome = figure.judged();
    });
    all.iter_mut().for_each(|compared| compared.outcome = compared.judged());
    let relative = |c: &Compared| c.decisive().map_or(0.0, |f| (f.change / f.before.max(1e-9)).abs());
    let rank = |c: &Compared| match c.outcome {
        Outcome::Worse => 0,
        Outcome::Better => 1,
        Outcome::NoEvidence => 2,
        Outcome::Same => 3,
    };
    all.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| relative(b).total_cmp(&relative(a))));
}

/// The figures of an operation at matched load; none when it has too few calls there.
pub fn figures(bands: &[Band], before: &Series, after: &Series, limits: &Limits) -> Vec<Figure> {
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
    let waits = waits(bands, &by_band, &weights);
    let worth = by_band.map(|calls| worth(&calls, &weights));
    let mut figures = Vec::new();
    for ((measure, a), b) in MEASURES.into_iter().zip(a).zip(b) {
        let beyond = match measure {
            Measure::P50Ns => fewest * 0.5,
            Measure::P95Ns => fewest * 0.05,
            Measure::P99Ns => fewest * 0.01,
            _ => fewest,
        };
        let is_known = |e: &Estimate| e.value.is_finite() && e.variance.is_finite();
        if beyond >= LEAST_BEYOND && is_known(&a) && is_known(&b) {
            let waits = if measure == Measure::ErrorRate { [0.0; 2] } else { waits };
            figures.push(Figure::of(measure, [&a, &b], interval(measure, &a, &b, worth), waits, limits));
        }
    }
    figures
}

/// How many calls of one band say as much of a share as those of all bands with their weights.
fn worth(calls: &[f64], weights: &[f64]) -> f64 {
    let counted = weights.iter().zip(calls).filter(|(w, _)| **w > 0.0);
    1.0 / counted.map(|(w, n)| w * w / n).sum::<f64>()
}

/// By how much calls may take longer, and by how much shorter, since the later side had more or fewer in its system, ns.
fn waits(bands: &[Band], calls: &[Vec<f64>; 2], weights: &[f64]) -> [f64; 2] {
    let mut waits = [0.0; 2];
    for (at, (band, weight)) in bands.iter().zip(weights).enumerate().filter(|(_, (_, weight))| **weight > 0.0) {
        let rate =
            calls.iter().zip(band.seconds()).map(|(calls, seconds)| calls[at] / seconds).fold(f64::INFINITY, f64::min);
        let wait = weight * band.more() / rate * 1e9;
        waits[usize::from(wait < 0.0)] += wait.abs();
    }
    waits
}

/// The 95 % interval of the change, with what the bootstrap cannot see.
fn interval(measure: Measure, a: &Estimate, b: &Estimate, [worth_a, worth_b]: [f64; 2]) -> (f64, f64) {
    let (low, high) = b.since(a).interval();
    match measure {
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
        _ => (low, high),
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
