//! Operations that few requests reach, and that hold those up.
//!
//! The verdict asks whether an entry operation got worse. Where one in fifty of its requests comes to an operation that
//! takes two seconds more, its mean hardly moves, and its p99 only if that can be told from chance. But those requests
//! feel it: each of them takes longer by more than would count as material for all. So calls are compared as well, the
//! time of each put down as in [`super::blame`], with false-discovery control over all operations.
//!
//! The rise has to be material for the call, too: one that is large for its entry can be small for an operation that always
//! took long.

use super::super::significance::{Estimate, false_discovery_rates_of_rises, mean_of_queueing_bins};
use super::blame::{Suspect, Via};
use super::cube::{Cube, Side};
use super::{EntryChange, Measure, Settings};

/// Calls that are compared at least, on each side: where all of a handful take many times as long, that is no chance.
const LEAST_CALLS: f64 = 5.0;

/// The suspects that hold up those requests that reach them, by number: as long as their calls took and take, and how sure
/// that is.
pub(super) fn held_up<'s>(
    cube: &Cube,
    suspects: impl Iterator<Item = &'s Suspect>,
    settings: &Settings,
) -> Vec<(usize, EntryChange)> {
    let Some(baseline) = &cube.baseline else { return Vec::new() };
    let compared: Vec<(usize, &Suspect, Estimate, Estimate, f64)> = suspects
        .enumerate()
        .filter_map(|(number, suspect)| {
            let columns = columns(cube, suspect);
            let ((now, calls), (then, calls_then)) = (per_call(&cube.window, &columns)?, per_call(baseline, &columns)?);
            let now = now.steadied_by(&then, [calls, calls_then]);
            let least = settings.material_latency(latency(cube, baseline, &columns)?.max(then.value));
            Some((number, suspect, now, then, now.p_of_rise(&then, least)))
        })
        .collect();
    let rates = false_discovery_rates_of_rises(&compared.iter().map(|(.., p)| *p).collect::<Vec<_>>());
    let sure = compared.into_iter().zip(rates).filter(|(_, rate)| *rate <= 1.0 - settings.confidence);
    sure.map(|((number, suspect, now, then, _), rate)| {
        let change = EntryChange {
            entry: cube.operations[suspect.operation].place(),
            measure: Measure::Mean,
            baseline: then.value,
            window: now.value,
            confidence: (1.0 - rate).min(settings.surest()),
        };
        (number, change)
    })
    .collect()
}

/// Those of the spans that hold its time.
fn columns(cube: &Cube, suspect: &Suspect) -> Vec<usize> {
    cube.columns_of(|operation| match suspect.via {
        Via::Own => operation == suspect.operation,
        Via::Gap => suspect.holders.contains(&operation),
    })
}

/// Nanoseconds of critical path per call and the number of calls, where there are enough, and at times enough, to know how
/// they vary.
fn per_call(side: &Side, columns: &[usize]) -> Option<(Estimate, f64)> {
    let bins = side.time_and_spans(columns);
    let calls: f64 = bins.iter().map(|(_, calls)| calls).sum();
    let mean = mean_of_queueing_bins(&bins).filter(|mean| calls >= LEAST_CALLS && mean.variance.is_finite())?;
    Some((mean, calls))
}

/// How long the requests took that come by these columns' entries, ns, weighted by the calls.
fn latency(cube: &Cube, side: &Side, columns: &[usize]) -> Option<f64> {
    let (mut sum, mut calls) = (0.0, 0.0);
    for &column in columns {
        let (requests, of) = (&side.requests[cube.columns[column].entry], side.totals[column].spans);
        if requests.total() > 0.0 {
            sum += of * requests.duration.iter().sum::<f64>() / requests.total();
            calls += of;
        }
    }
    (calls > 0.0).then(|| sum / calls)
}
