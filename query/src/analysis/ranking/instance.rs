//! Is the problem confined to one instance? Its spans carry the rise while its siblings' do not.

use super::super::significance::Estimate;
use super::cube::{Cube, Side};

/// An instance with fewer spans than this is not judged, nor used to judge others.
const LEAST_SPANS: f64 = 20.0;
/// How sure the difference to the siblings has to be, over all instances of the operation together.
const LEAST_CONFIDENCE: f64 = 0.99;
/// The siblings' rise is at most this part of the instance's.
const SIBLINGS_RISE: f64 = 1.0 / 3.0;
/// The instance's spans carry at least this part of the whole rise.
const CARRIES: f64 = 0.6;
/// Without a baseline the instance takes at least this many times as long as its siblings.
const OUTLIER: f64 = 2.0;

/// The number of the one instance to which the operation's rise (or, without a baseline, its cost) is confined.
pub(super) fn confined_to(cube: &Cube, operation: usize) -> Option<usize> {
    let columns: Vec<usize> = (0..cube.columns.len()).filter(|&c| cube.columns[c].operation == operation).collect();
    let mut instances: Vec<usize> = columns.iter().map(|&c| cube.columns[c].instance).collect();
    instances.sort_unstable();
    instances.dedup();
    let of = |keep: &dyn Fn(usize) -> bool| -> Vec<usize> {
        columns.iter().copied().filter(|&c| keep(cube.columns[c].instance)).collect()
    };
    let judged: Vec<(usize, PerSpan)> = instances
        .into_iter()
        .map(|i| (i, PerSpan::of(&cube.window, &of(&|other| other == i))))
        .filter(|(_, per_span)| per_span.spans >= LEAST_SPANS)
        .collect();
    if judged.len() < 2 {
        return None;
    }
    let before = cube.baseline.as_ref().map(|side| {
        let all = PerSpan::of(side, &columns);
        move |keep: &dyn Fn(usize) -> bool| {
            let own = PerSpan::of(side, &of(keep));
            if own.spans >= LEAST_SPANS { own } else { all.clone() }
        }
    });
    let rise = |now: &PerSpan, keep: &dyn Fn(usize) -> bool| match &before {
        Some(before) => now.time.value - before(keep).time.value,
        None => now.time.value,
    };
    let &(worst, ref now) = judged.iter().max_by(|(a, x), (b, y)| {
        let rise_of = |i: usize, now: &PerSpan| now.spans * rise(now, &|other| other == i);
        rise_of(*a, x).total_cmp(&rise_of(*b, y))
    })?;
    let siblings = PerSpan::of(&cube.window, &of(&|other| other != worst));
    let (own, others) = (rise(now, &|other| other == worst), rise(&siblings, &|other| other != worst));
    let stands_out = if before.is_some() {
        let carried = own * now.spans;
        own > 0.0
            && others <= own * SIBLINGS_RISE
            && carried >= CARRIES * (carried + (others * siblings.spans).max(0.0))
    } else {
        own >= OUTLIER * others && own > 0.0
    };
    let chance = now.time.p_of_rise(&siblings.time, 0.0) * judged.len() as f64;
    (stands_out && chance <= 1.0 - LEAST_CONFIDENCE).then_some(worst)
}

/// Critical path per span.
#[derive(Debug, Clone)]
struct PerSpan {
    spans: f64,
    /// Nanoseconds.
    time: Estimate,
}

/// Bins that are taken together as one observation, since neighbours resemble each other.
const BLOCK: usize = 3;

impl PerSpan {
    /// A ratio of sums; its variance by linearisation over blocks of bins (Cochran, Sampling Techniques, 1977, 6.4).
    fn of(side: &Side, columns: &[usize]) -> Self {
        let width = side.totals.len();
        let sum = |matrix: &[f64], bin: usize| columns.iter().map(|&c| matrix[bin * width + c]).sum::<f64>();
        let blocks: Vec<(f64, f64)> = (0..side.bins)
            .step_by(BLOCK)
            .map(|first| {
                let bins = first..(first + BLOCK).min(side.bins);
                bins.fold((0.0, 0.0), |(t, n), bin| (t + sum(&side.critical, bin), n + sum(&side.spans, bin)))
            })
            .filter(|&(_, spans)| spans > 0.0)
            .collect();
        let (time, spans) = blocks.iter().fold((0.0, 0.0), |(t, n), b| (t + b.0, n + b.1));
        if spans <= 0.0 {
            return PerSpan { spans: 0.0, time: Estimate::default() };
        }
        let value = time / spans;
        let squares: f64 = blocks.iter().map(|(t, n)| (t - value * n).powi(2)).sum();
        let m = blocks.len() as f64;
        // Two blocks or fewer say nothing about the spread.
        let variance = if m > 2.0 { squares / (spans * spans) * m / (m - 1.0) } else { f64::INFINITY };
        PerSpan { spans, time: Estimate { value, variance, df: (m - 1.0).max(1.0) } }
    }
}
