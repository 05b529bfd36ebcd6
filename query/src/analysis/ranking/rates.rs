//! Per request: how much critical path, how many calls and how many errors each operation contributes, with the
//! error of these figures by a block bootstrap over time bins.
//!
//! Every figure is a mean over entry operations, weighted by the window's mix of requests on both sides, so that a
//! change of mix alone moves nothing.

use super::super::significance::{BlockBootstrap, Estimate};
use super::cube::{Cube, Side};

/// One operation's figures per request.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rates {
    /// Nanoseconds of critical path.
    pub critical: Estimate,
    /// Spans.
    pub calls: Estimate,
    /// Spans with status ERROR.
    pub errors: Estimate,
}

impl Rates {
    /// Nanoseconds of critical path per span; there must be spans.
    pub fn per_call(&self) -> Estimate {
        let calls = self.calls.value;
        let (value, variance) = (self.critical.value / calls, self.critical.variance / calls / calls);
        Estimate { value, variance, ..self.critical }
    }
}

/// The rates of a window that is shorter than the baseline, with the spread that they have there at least. `requests` are those
/// of the two.
pub(super) fn steadied(after: Vec<Rates>, before: &[Rates], requests: [f64; 2]) -> Vec<Rates> {
    let of = |(after, before): (Rates, &Rates)| Rates {
        critical: after.critical.steadied_by(&before.critical, requests),
        calls: after.calls.steadied_by(&before.calls, requests),
        errors: after.errors.steadied_by(&before.errors, requests),
    };
    after.into_iter().zip(before).map(of).collect()
}

/// Each entry's share of the window's requests. With a baseline, entries that are too rare on either side to be
/// compared (`least` requests) have none; the others keep theirs, so that figures add up with those of the window.
pub(super) fn mix(cube: &Cube, baseline: Option<&Side>, least: f64) -> Vec<f64> {
    let all = cube.window.requests();
    let share = |entry: usize| {
        let here = cube.window.requests[entry].total();
        let comparable = baseline.is_none_or(|b| here >= least && b.requests[entry].total() >= least);
        if comparable && all > 0.0 { here / all } else { 0.0 }
    };
    (0..cube.entries.len()).map(share).collect()
}

/// The figures of every operation on one side.
pub(super) fn rates(cube: &Cube, side: &Side, mix: &[f64], resamples: usize, seed: u64) -> Vec<Rates> {
    let layout = Layout::new(cube, mix);
    let rows = layout.rows(cube, side);
    let operations = cube.operations.len();
    let bootstrap = BlockBootstrap::new(side.bins, resamples, seed);
    let (variances, df) =
        bootstrap.variances(&rows, layout.width(), 3 * operations, |s, out| layout.per_request(s, out));
    let mut totals = vec![0.0; layout.width()];
    for row in rows.chunks_exact(layout.width().max(1)) {
        totals.iter_mut().zip(row).for_each(|(total, more)| *total += more);
    }
    let mut values = vec![0.0; 3 * operations];
    layout.per_request(&totals, &mut values);
    let estimate = |i: usize| Estimate { value: values[i], variance: variances[i], df };
    (0..operations)
        .map(|i| Rates { critical: estimate(3 * i), calls: estimate(3 * i + 1), errors: estimate(3 * i + 2) })
        .collect()
}

/// How a bin's figures lie in a row: three per pair of entry and operation (instances summed), then requests by entry.
struct Layout<'a> {
    mix: &'a [f64],
    /// Entry and operation of each pair.
    pairs: Vec<(usize, usize)>,
    /// The pair of each column of the cube; `None` where its entry does not count.
    pair_of: Vec<Option<usize>>,
}

impl<'a> Layout<'a> {
    fn new(cube: &Cube, mix: &'a [f64]) -> Self {
        let mut number = vec![None; cube.entries.len() * cube.operations.len()];
        let mut pairs = Vec::new();
        let mut pair_of = Vec::with_capacity(cube.columns.len());
        for column in &cube.columns {
            let slot = &mut number[column.entry * cube.operations.len() + column.operation];
            if slot.is_none() && mix[column.entry] > 0.0 {
                *slot = Some(pairs.len());
                pairs.push((column.entry, column.operation));
            }
            pair_of.push(*slot);
        }
        Layout { mix, pairs, pair_of }
    }

    fn width(&self) -> usize {
        3 * self.pairs.len() + self.mix.len()
    }

    fn rows(&self, cube: &Cube, side: &Side) -> Vec<f64> {
        let mut rows = vec![0.0; side.bins * self.width()];
        let columns = cube.columns.len();
        for (bin, row) in rows.chunks_exact_mut(self.width().max(1)).enumerate() {
            for (column, pair) in self.pair_of.iter().enumerate() {
                if let Some(pair) = pair {
                    let at = bin * columns + column;
                    row[3 * pair] += side.critical[at];
                    row[3 * pair + 1] += side.spans[at];
                    row[3 * pair + 2] += side.errors[at];
                }
            }
            for (entry, requests) in side.requests.iter().enumerate() {
                row[3 * self.pairs.len() + entry] = requests.count[bin];
            }
        }
        rows
    }

    /// From sums over bins to figures per request, three per operation, added to `out`.
    fn per_request(&self, sums: &[f64], out: &mut [f64]) {
        let (figures, requests) = sums.split_at(3 * self.pairs.len());
        for (&(entry, operation), figures) in self.pairs.iter().zip(figures.chunks_exact(3)) {
            if requests[entry] > 0.0 {
                let weight = self.mix[entry] / requests[entry];
                for (total, figure) in out[3 * operation..3 * operation + 3].iter_mut().zip(figures) {
                    *total += weight * figure;
                }
            }
        }
    }
}
