//! Is the problem confined to one instance? Its spans carry the rise while its siblings' do not.

use super::super::significance::{Estimate, mean_of_queueing_bins};
use super::cube::{Cube, Side};

/// An instance with fewer spans than this is not judged, nor used to judge others.
const LEAST_SPANS: f64 = 20.0;
/// How sure the difference to the siblings has to be, over all instances of the operation together.
const LEAST_CONFIDENCE: f64 = 0.99;
/// The siblings' rise is at most this part of the instance's.
const SIBLINGS_RISE: f64 = 1.0 / 3.0;
/// And at most this part of the time that they take now, so that it is at most twice what it was: where all of them wait
/// for what is nearly used up, chance makes one wait most.
const SIBLINGS_NEW_TIME: f64 = 0.5;
/// The instance's spans carry at least this part of the whole rise.
const CARRIES: f64 = 0.6;
/// Without a baseline the instance takes at least this many times as long as its siblings.
const OUTLIER: f64 = 2.0;

/// The number of the one instance to which the operation's rise (or, without a baseline, its cost) is confined.
pub(super) fn confined_to(cube: &Cube, operation: usize) -> Option<usize> {
    let columns = cube.columns_of(|of| of == operation);
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
            && others <= siblings.time.value * SIBLINGS_NEW_TIME
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

impl PerSpan {
    fn of(side: &Side, columns: &[usize]) -> Self {
        let bins = side.time_and_spans(columns);
        let spans = bins.iter().map(|(_, spans)| spans).sum();
        PerSpan { spans, time: mean_of_queueing_bins(&bins).unwrap_or_default() }
    }
}
