//! One instance of an operation against the others, over the time in which it took calls. Pure.
//!
//! ```text
//! cells by bin ─▶ time shared with each sibling ─▶ its mean ──────────────┐
//!                                               └▶ the middle sibling's ──┴─▶ p of so much more ─▶ q over all
//! ```
//! What an instance is held against is the median of its siblings, so that several bad ones do not excuse each other.
//! The median is one sibling (or two), known as exactly as its own bins tell; that is cautious, the more so the more
//! instances there are. Two instances are compared over the time in which both took calls: one that came late, or
//! left early, has nothing to do with the load of the rest.

use super::super::times;
use std::ops::Range;

use super::super::significance::{Estimate, false_discovery_rates, mean_of_bins};

/// Calls that an instance needs to be judged, and to be held against.
pub const LEAST_CALLS: u64 = 20;
/// Failed calls that a higher share of errors needs.
const LEAST_ERRORS: u64 = 5;
/// The least rise of the share of errors that counts.
const LEAST_ERROR_RATE: f64 = 0.005;
/// An instance carries too much with more than this many times a sibling's calls.
const LOAD: f64 = 1.5;
/// Of all that is reported, at most this part is expected to be chance.
const FALSE_DISCOVERIES: f64 = 0.05;

/// One instance in one bin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cell {
    pub calls: u64,
    pub errors: u64,
    /// Self time and time on the critical path, ns.
    pub own: i64,
    pub critical: i64,
}

impl Cell {
    pub fn add(&mut self, more: &Cell) {
        self.calls += more.calls;
        self.errors += more.errors;
        times::add(&mut self.own, more.own);
        times::add(&mut self.critical, more.critical);
    }
}

/// What counts as slower.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// As a part of the siblings' value.
    pub ratio: f64,
    pub least_ns: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Slow,
    Errors,
    Load,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Slow => "slow",
            Kind::Errors => "errors",
            Kind::Load => "load",
        }
    }
}

/// One instance held against its siblings in one respect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Position among the operation's instances.
    pub instance: usize,
    pub kind: Kind,
    /// Self time per call in ns, the share of errors, or calls per bin.
    pub value: f64,
    /// The same of the median sibling.
    pub siblings: f64,
    /// How much more than at the siblings' level: ns on critical paths, failed calls, or calls.
    pub extra: f64,
    /// The chance of such a value if the truth were no material difference.
    pub p: f64,
}

/// Compares every instance that has calls enough; `serves` asks about the distribution of the load as well. Answers
/// also how many instances had too few calls, or no sibling with enough at the same time.
pub fn compare<C: AsRef<[Cell]>>(instances: &[C], serves: bool, limits: &Limits) -> (Vec<Comparison>, usize) {
    let all = Instances {
        cells: instances.iter().map(AsRef::as_ref).collect(),
        sums: instances.iter().map(|cells| running_sums(cells.as_ref())).collect(),
        times: instances.iter().map(|cells| time_of(cells.as_ref())).collect(),
    };
    let (mut found, mut unjudged) = (Vec::new(), 0);
    for (instance, time) in all.times.iter().enumerate().filter(|(_, time)| !time.is_empty()) {
        let sum = all.over(instance, time);
        match (sum.calls >= LEAST_CALLS).then(|| all.compare(instance, &sum, serves, limits)).flatten() {
            Some(more) => found.extend(more),
            None => unjudged += 1,
        }
    }
    (found, unjudged)
}

/// The comparisons, of all operations together, that are no chance: each with the share of false ones among those that
/// are at least as sure.
pub fn significant<T: Copy>(all: &[(T, Comparison)]) -> Vec<(T, Comparison, f64)> {
    let p: Vec<f64> = all.iter().map(|(_, comparison)| comparison.p).collect();
    let sure = all.iter().zip(false_discovery_rates(&p)).filter(|(_, q)| *q <= FALSE_DISCOVERIES);
    sure.map(|(&(of, comparison), q)| (of, comparison, q)).collect()
}

/// From the first bin with a call to the last.
fn time_of(cells: &[Cell]) -> Range<usize> {
    let first = cells.iter().position(|cell| cell.calls > 0);
    let last = cells.iter().rposition(|cell| cell.calls > 0);
    first.zip(last).map_or(0..0, |(first, last)| first..last + 1)
}

/// Sums of the bins before each bin, and of all at the end.
fn running_sums(cells: &[Cell]) -> Vec<Cell> {
    let mut sums = vec![Cell::default()];
    for cell in cells {
        let mut sum = sums[sums.len() - 1];
        sum.add(cell);
        sums.push(sum);
    }
    sums
}

/// In what respect instances are compared.
#[derive(Debug, Clone, Copy)]
enum Respect {
    Own,
    Critical,
    Errors,
    Calls,
}

impl Respect {
    /// Sum and number, of which the mean is compared.
    fn of(self, cell: &Cell, bins: usize) -> (f64, f64) {
        let calls = cell.calls as f64;
        match self {
            Respect::Own => (cell.own as f64, calls),
            Respect::Critical => (cell.critical as f64, calls),
            Respect::Errors => (cell.errors as f64, calls),
            Respect::Calls => (calls, bins as f64),
        }
    }

    fn mean(self, cell: &Cell, bins: usize) -> f64 {
        let (sum, number) = self.of(cell, bins);
        sum / number.max(1.0)
    }
}

/// The instances of one operation.
struct Instances<'a> {
    cells: Vec<&'a [Cell]>,
    sums: Vec<Vec<Cell>>,
    times: Vec<Range<usize>>,
}

/// A sibling and the time in which both took calls.
struct Sibling {
    instance: usize,
    time: Range<usize>,
}

impl Instances<'_> {
    fn over(&self, instance: usize, time: &Range<usize>) -> Cell {
        let sums = &self.sums[instance];
        let at = |bin: usize| sums[bin.min(sums.len() - 1)];
        let (before, upto) = (at(time.start), at(time.end));
        Cell {
            calls: upto.calls - before.calls,
            errors: upto.errors - before.errors,
            own: upto.own - before.own,
            critical: upto.critical - before.critical,
        }
    }

    /// `None` without a sibling that has calls enough.
    fn compare(&self, instance: usize, sum: &Cell, serves: bool, limits: &Limits) -> Option<Vec<Comparison>> {
        let siblings = self.siblings(instance);
        if siblings.is_empty() {
            return None;
        }
        let calls = sum.calls as f64;
        let one = |kind, respect, least: &dyn Fn(f64) -> f64, times: f64| {
            let (own, others) = self.estimates(instance, &self.middle(instance, &siblings, respect), respect)?;
            let p = own.p_of_rise(&others, least(others.value));
            let extra = (own.value - others.value).max(0.0) * times;
            Some(Comparison { instance, kind, value: own.value, siblings: others.value, extra, p })
        };
        let slow = one(Kind::Slow, Respect::Own, &|usual| (limits.ratio * usual).max(limits.least_ns), calls);
        // What requests wait for is the critical path; off it a slow instance costs them nothing.
        let lost = one(Kind::Slow, Respect::Critical, &|_| 0.0, calls).map_or(0.0, |critical| critical.extra);
        let errors = one(Kind::Errors, Respect::Errors, &|usual| (limits.ratio * usual).max(LEAST_ERROR_RATE), calls);
        let bins = self.times[instance].len() as f64;
        let load = serves.then(|| one(Kind::Load, Respect::Calls, &|usual| (LOAD - 1.0) * usual, bins)).flatten();
        let slow = slow.map(|slow| Comparison { extra: lost, ..slow });
        let few = sum.errors < LEAST_ERRORS;
        let errors = errors.map(|errors| Comparison { p: if few { 1.0 } else { errors.p }, ..errors });
        Some([slow, errors, load].into_iter().flatten().collect())
    }

    /// Those that had calls enough while the instance had.
    fn siblings(&self, instance: usize) -> Vec<Sibling> {
        let own = &self.times[instance];
        let others = (0..self.cells.len()).filter(|other| *other != instance);
        let shared = others.map(|other| {
            let time = &self.times[other];
            Sibling { instance: other, time: own.start.max(time.start)..own.end.min(time.end) }
        });
        let enough = |of: usize, time: &Range<usize>| self.over(of, time).calls >= LEAST_CALLS;
        shared
            .filter(|sibling| !sibling.time.is_empty())
            .filter(|sibling| enough(instance, &sibling.time) && enough(sibling.instance, &sibling.time))
            .collect()
    }

    /// The one or two siblings in the middle, by what the instance has more than they.
    fn middle<'s>(&self, instance: usize, siblings: &'s [Sibling], respect: Respect) -> Vec<&'s Sibling> {
        let more = |sibling: &Sibling| {
            let mean = |of: usize| respect.mean(&self.over(of, &sibling.time), sibling.time.len());
            mean(instance) - mean(sibling.instance)
        };
        let mut in_order: Vec<(f64, &Sibling)> = siblings.iter().map(|sibling| (more(sibling), sibling)).collect();
        in_order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let n = in_order.len();
        in_order[(n - 1) / 2..n / 2 + 1].iter().map(|(_, sibling)| *sibling).collect()
    }

    /// What the bins say of the instance and of its middle siblings, over the time they share.
    fn estimates(&self, instance: usize, middle: &[&Sibling], respect: Respect) -> Option<(Estimate, Estimate)> {
        let of = |instance: usize, time: &Range<usize>| {
            let cells = self.cells[instance];
            // Bins after an instance's last call are not in its list.
            let at = |bin: usize| respect.of(&cells.get(bin).copied().unwrap_or_default(), 1);
            mean_of_bins(&time.clone().map(at).collect::<Vec<_>>())
        };
        let pairs: Option<Vec<(Estimate, Estimate)>> =
            middle.iter().map(|s| of(instance, &s.time).zip(of(s.instance, &s.time))).collect();
        let pairs = pairs.filter(|pairs| !pairs.is_empty())?;
        let n = pairs.len() as f64;
        let mean = |value: fn(&(Estimate, Estimate)) -> f64| pairs.iter().map(value).sum::<f64>() / n;
        // The instance's own bins are the same twice, two siblings are not.
        let own = Estimate {
            value: mean(|pair| pair.0.value),
            variance: mean(|pair| pair.0.variance),
            df: mean(|pair| pair.0.df),
        };
        let siblings = Estimate {
            value: mean(|pair| pair.1.value),
            variance: mean(|pair| pair.1.variance) / n,
            df: mean(|pair| pair.1.df) * n,
        };
        Some((own, siblings))
    }
}

#[cfg(test)]
mod tests;
