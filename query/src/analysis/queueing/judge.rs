//! Whether what callers wait beside being served grows with the load. Pure.
//!
//! ```text
//! bins ─▶ blocks of neighbours with enough calls, each with its rate ─┬─▶ quiet and busy end: twice as much at least?
//!                                                                     ├─▶ mean at either end, Welch's test over all pairs
//!                                                                     └─▶ groups of like load ─▶ from which rate on it grows
//! ```
//! A load that only rises is not told apart from the time that goes by; whoever sends it up and down again can.

use serde::Serialize;
use serde_json::{Value, json};

use super::super::histogram::Histogram;
use super::super::scalability::{Crossing, Load, crossing};
use super::super::significance::{Estimate, false_discovery_rates, mean_of_queueing_bins};

/// Calls that a block holds at least: its rate is then known within 14 %.
const BLOCK: u64 = 50;
/// Blocks at most, and those that are needed.
const MOST_BLOCKS: u64 = 120;
const LEAST_BLOCKS: usize = 10;
/// Blocks of either end: one in so many.
const END: usize = 10;
/// The busy end has to be this many times the quiet one. Noise alone gives 1.7.
pub const LEAST_RANGE: f64 = 2.0;
/// Blocks within this factor of an end belong to it. Less than the root of [`LEAST_RANGE`], so that none belongs to both.
const NEAR: f64 = 1.3;
/// A change is material when it is this part of what is waited at low load, and so long, ns.
const MATERIAL: (f64, f64) = (0.2, 1e5);
/// Share of false ones among the pairs that are said to change with the load.
const FALSE: f64 = 0.05;
/// Groups of like load, and the calls that each holds at least.
const GROUPS: u64 = 12;
const GROUP: u64 = 100;

/// One pair of services in one bin.
#[derive(Debug, Clone, Default)]
pub struct Bin {
    /// Its place in time.
    pub at: usize,
    pub seconds: f64,
    /// Calls that the callee served, of all its callers.
    pub served: u64,
    pub calls: u64,
    /// Sum of the gaps, ns.
    pub waited: f64,
    pub gaps: Histogram,
}

/// Bins together.
#[derive(Debug, Clone, Default)]
pub struct Stretch {
    pub first: usize,
    seconds: f64,
    served: u64,
    calls: u64,
    waited: f64,
    pub gaps: Histogram,
    /// Calls served per second, of all traces.
    rate: f64,
    /// Sum and number of each bin.
    each: Vec<(f64, f64)>,
}

impl Stretch {
    fn add(&mut self, more: &Stretch, part: f64) {
        if self.served == 0 {
            self.first = more.first;
        }
        self.seconds += more.seconds;
        self.served += more.served;
        self.calls += more.calls;
        self.waited += more.waited;
        self.gaps.merge(&more.gaps);
        self.each.extend(&more.each);
        self.rate = self.served as f64 * part / self.seconds;
    }

    fn of(bin: &Bin, part: f64) -> Self {
        Stretch {
            first: bin.at,
            seconds: bin.seconds,
            served: bin.served,
            calls: bin.calls,
            waited: bin.waited,
            gaps: bin.gaps.clone(),
            rate: bin.served as f64 * part / bin.seconds,
            each: vec![(bin.waited, bin.calls as f64)],
        }
    }

    pub fn mean(&self) -> Option<f64> {
        (self.calls > 0).then(|| self.waited / self.calls as f64)
    }

    /// Rate, calls, mean, p50 and p99.
    pub fn figures(&self) -> [Value; 5] {
        let ns = |value: Option<f64>| json!(value.map(|ns| ns.round() as i64));
        let quantile = |q: f64| ns(self.gaps.quantile(q));
        [json!(self.rate), json!(self.calls), ns(self.mean()), quantile(0.5), quantile(0.99)]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    GrowsWithLoad,
    FallsWithLoad,
    DoesNotDependOnLoad,
    /// It may grow or not: too much varies besides.
    NoEvidence,
    /// The load was much the same all the time.
    NotEnoughLoadRange,
    /// Too few calls.
    NotEnoughData,
}

/// What is waited near one end of the load.
#[derive(Debug, Clone)]
pub struct Level {
    pub sum: Stretch,
    pub mean: Estimate,
}

#[derive(Debug, Clone)]
pub struct Judgement {
    pub verdict: Verdict,
    pub calls: u64,
    /// The quiet and the busy end, calls served per second.
    pub rates: Option<(f64, f64)>,
    pub quiet: Option<Level>,
    pub busy: Option<Level>,
    pub change: Option<Estimate>,
    /// The false-discovery rate of a change with the load.
    pub q: Option<f64>,
    /// The rate from which on it is materially longer.
    pub grows_from: Option<f64>,
    /// In order of time, and by load.
    pub blocks: Vec<Stretch>,
    pub loads: Vec<Stretch>,
}

impl Judgement {
    /// By what it is ranked: first what grows, by how much time calls lose by that in a second of high load.
    pub fn weight(&self) -> f64 {
        let change = self.change.map_or(0.0, |change| change.value);
        let busy = self.busy.as_ref().map_or(0.0, |busy| busy.sum.calls as f64 / busy.sum.seconds);
        let waited: f64 = self.blocks.iter().map(|block| block.waited).sum();
        // Less than any that grows.
        let small = waited / (1.0 + waited) * 1e-9;
        if self.verdict == Verdict::GrowsWithLoad { 1.0 + change * busy } else { small }
    }

    fn material(&self) -> f64 {
        let before = self.quiet.as_ref().map_or(0.0, |quiet| quiet.mean.value);
        (MATERIAL.0 * before).max(MATERIAL.1)
    }
}

/// The pairs, each by its bins in order of time. One in `part` traces was read.
pub fn judge(pairs: &[Vec<Bin>], part: f64) -> Vec<Judgement> {
    let mut judged: Vec<Judgement> = pairs.iter().map(|bins| look(bins, part)).collect();
    let p_of = |judgement: &Judgement| {
        let (Some(quiet), Some(busy)) = (&judgement.quiet, &judgement.busy) else { return None };
        let least = judgement.material();
        Some([busy.mean.p_of_rise(&quiet.mean, least), quiet.mean.p_of_rise(&busy.mean, least)])
    };
    let p: Vec<(usize, [f64; 2])> =
        judged.iter().enumerate().filter_map(|(at, judgement)| p_of(judgement).map(|p| (at, p))).collect();
    // Both questions are asked of each.
    let q = false_discovery_rates(&p.iter().flat_map(|(_, p)| *p).collect::<Vec<f64>>());
    for ((at, _), q) in p.iter().zip(q.as_chunks::<2>().0) {
        let judgement = &mut judged[*at];
        judgement.q = Some(q[0].min(q[1]));
        judgement.verdict = decided(judgement, *q);
        if judgement.verdict == Verdict::GrowsWithLoad {
            judgement.grows_from = grows_from(judgement);
        }
    }
    judged
}

fn decided(judgement: &Judgement, [grows, falls]: [f64; 2]) -> Verdict {
    let material = judgement.material();
    let is_within = |change: &Estimate| {
        let (low, high) = change.interval();
        change.variance.is_finite() && low > -material && high < material
    };
    match &judgement.change {
        _ if grows <= FALSE => Verdict::GrowsWithLoad,
        _ if falls <= FALSE => Verdict::FallsWithLoad,
        Some(change) if is_within(change) => Verdict::DoesNotDependOnLoad,
        _ => Verdict::NoEvidence,
    }
}

/// All that can be said of one pair alone. The verdict is left open where there are two ends.
fn look(bins: &[Bin], part: f64) -> Judgement {
    let blocks = blocks(bins, part);
    let mut judgement = Judgement {
        verdict: Verdict::NotEnoughData,
        calls: bins.iter().map(|bin| bin.calls).sum(),
        rates: None,
        quiet: None,
        busy: None,
        change: None,
        q: None,
        grows_from: None,
        loads: groups(&blocks, part),
        blocks,
    };
    if judgement.blocks.len() < LEAST_BLOCKS {
        return judgement;
    }
    let (low, high) = ends(&judgement.blocks, part);
    (judgement.verdict, judgement.rates) = (Verdict::NotEnoughLoadRange, Some((low, high)));
    if high < LEAST_RANGE * low {
        return judgement;
    }
    let level = |belongs: &dyn Fn(f64) -> bool| {
        let mut sum = Stretch::default();
        judgement.blocks.iter().filter(|block| belongs(block.rate)).for_each(|block| sum.add(block, part));
        mean_of_queueing_bins(&sum.each).map(|mean| Level { mean, sum })
    };
    let (quiet, busy) = (level(&|rate| rate <= NEAR * low), level(&|rate| rate >= high / NEAR));
    judgement.change = quiet.as_ref().zip(busy.as_ref()).map(|(quiet, busy)| busy.mean.since(&quiet.mean));
    judgement.rates = quiet.as_ref().zip(busy.as_ref()).map(|(quiet, busy)| (quiet.sum.rate, busy.sum.rate));
    judgement.verdict = Verdict::NoEvidence;
    (judgement.quiet, judgement.busy) = (quiet, busy);
    judgement
}

/// Neighbouring bins together until enough calls were served. Bins in which nothing was are no load.
fn blocks(bins: &[Bin], part: f64) -> Vec<Stretch> {
    let total: u64 = bins.iter().map(|bin| bin.served).sum();
    let least = BLOCK.max(total / MOST_BLOCKS);
    let (mut blocks, mut open) = (Vec::new(), Stretch::default());
    for bin in bins.iter().filter(|bin| bin.served > 0) {
        open.add(&Stretch::of(bin, part), part);
        if open.served >= least {
            blocks.push(std::mem::take(&mut open));
        }
    }
    blocks
}

/// The rates of the quietest and of the busiest blocks.
fn ends(blocks: &[Stretch], part: f64) -> (f64, f64) {
    let mut sorted: Vec<&Stretch> = blocks.iter().collect();
    sorted.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let many = blocks.len().div_ceil(END);
    let rate = |of: &[&Stretch]| {
        let mut sum = Stretch::default();
        of.iter().for_each(|block| sum.add(block, part));
        sum.rate
    };
    (rate(&sorted[..many]), rate(&sorted[sorted.len() - many..]))
}

/// Blocks of like load together, from the quietest to the busiest.
fn groups(blocks: &[Stretch], part: f64) -> Vec<Stretch> {
    let mut sorted: Vec<&Stretch> = blocks.iter().collect();
    sorted.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let least = GROUP.max(blocks.iter().map(|block| block.served).sum::<u64>() / GROUPS);
    let (mut groups, mut open) = (Vec::new(), Stretch::default());
    for block in sorted {
        open.add(block, part);
        if open.served >= least {
            groups.push(std::mem::take(&mut open));
        }
    }
    groups
}

fn grows_from(judgement: &Judgement) -> Option<f64> {
    let quiet = judgement.quiet.as_ref()?.mean.value;
    let load = |group: &Stretch| Some(Load { rate: group.rate, value: group.mean()?, weight: group.calls as f64 });
    let loads: Vec<Load> = judgement.loads.iter().filter_map(load).collect();
    match crossing(&loads, quiet + judgement.material())? {
        Crossing::At(rate) => Some(rate),
        Crossing::Under(_) | Crossing::Beyond(_) => None,
    }
}

#[cfg(test)]
mod tests;
