//! Where the time went, and to whom it is put down.
//!
//! The critical path is exclusive, so most of the rise already stands where it arose. Some of it does not:
//! - A CLIENT span's own time, when a SERVER span answers it, is what lies between the two: the request was on the
//!   network or waited to be served. It is put down to the answering operation, or to the caller's own SERVER operation
//!   where it arises on the caller's side ([`super::own_side`]).
//! - An operation that is called more often takes more time without being any slower. That part is put down to the
//!   topmost operation of the chain whose calls rose: there somebody began to call more often, or again.
//! - A process that is paused by its garbage collector sees its calls take longer, whoever answers them. Where metrics say
//!   so, calls to what sends no spans are put down to the operation that made them.
//! - A caller that retries also spends time between the attempts. That is put down to the retried call.
//!
//! Nothing is lost or counted twice: what one suspect gains another one gives.

use std::collections::BTreeMap;

use model::trace::SpanKind;

use super::super::significance::{Estimate, false_discovery_rates};
use super::Settings;
use super::calls::Calls;
use super::cube::Cube;
use super::facts::FactBook;
use super::own_side::slow_callers;
use super::rates::Rates;

/// Calls per request have risen when they did so by this part of what they were, and this much in all.
const MORE_CALLS: (f64, f64) = (0.2, 0.05);
/// Retries have risen when there are this many more repeats under a parent.
pub(super) const MORE_REPEATS: f64 = 0.2;
/// Longest chain of callers that is followed, which also ends cycles.
const LONGEST_CHAIN: usize = 64;

/// What a suspect's time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Via {
    /// Exclusive time of the operation's own spans, and what was folded into it.
    Own,
    /// Time between its callers' CLIENT spans and its own SERVER spans.
    Gap,
}

/// An operation with the time that is put down to it.
#[derive(Debug, Clone)]
pub(super) struct Suspect {
    /// The operation that is named.
    pub operation: usize,
    pub via: Via,
    /// The operations whose spans hold the time, the largest part first: itself, or its callers.
    pub holders: Vec<usize>,
    /// Nanoseconds of critical path per request in the window.
    pub critical: f64,
    /// By how much more than in the baseline. `None` without one.
    pub change: Option<f64>,
    /// What is known of the error of `change`.
    pub rise: Option<Estimate>,
    /// The part of `change` that comes from more calls.
    pub by_calls: f64,
    /// 1 less the false-discovery rate. `None` without a baseline.
    pub confidence: Option<f64>,
}

/// The window beside the baseline, over the entries that both have; by operation.
#[derive(Clone, Copy)]
pub(super) struct Compared<'a> {
    pub after: &'a [Rates],
    pub before: &'a [Rates],
    /// Calls that pauses of their own process may have lengthened ([`super::pressed::paused_calls`]).
    pub paused: &'a [bool],
}

/// Everything that takes time, in no order. `whole` are the window's figures over all entries.
pub(super) fn suspects(
    cube: &Cube,
    calls: &Calls,
    facts: &FactBook,
    whole: &[Rates],
    compared: Option<Compared<'_>>,
    settings: &Settings,
) -> Vec<Suspect> {
    let mut ledger = Ledger::default();
    let moves = compared.map(|compared| Moves::new(cube, calls, facts, compared));
    for operation in 0..whole.len() {
        let mut left = Part { critical: whole[operation].critical.value, ..Part::of(0.0) };
        if let Some(Compared { after, before, .. }) = compared {
            let (after, before) = (after[operation].critical, before[operation].critical);
            left.change = after.value - before.value;
            left.spread = (after.variance + before.variance).sqrt();
            left.df = after.df;
        }
        if let Some(moves) = &moves {
            let extra = moves.by_calls[operation];
            let source = moves.source_of_calls(calls, operation);
            left = left.less(extra);
            ledger.put((source, Via::Own), source, Part::of(extra), extra);
            if let Some(retried) = moves.retried_below[operation] {
                let pause = left.change.max(0.0);
                left = left.less(pause);
                ledger.put((retried, Via::Own), retried, Part::of(pause), pause);
            }
        }
        let target = match calls.callee(operation) {
            None if compared.is_some_and(|compared| compared.paused[operation]) => {
                (serving(cube, calls, operation), Via::Own)
            }
            Some(_) if moves.as_ref().is_some_and(|moves| moves.is_own_side(calls, operation)) => {
                (serving(cube, calls, operation), Via::Own)
            }
            Some(callee) => (callee, Via::Gap),
            None => (operation, Via::Own),
        };
        ledger.put(target, operation, left, 0.0);
    }
    ledger.into_suspects(compared.is_some(), settings)
}

/// What is moved from one operation to another, with a baseline to tell.
struct Moves {
    risen: Vec<bool>,
    /// Nanoseconds per request by which more calls alone lengthened the path.
    by_calls: Vec<f64>,
    /// The retried call below an operation, to which its pauses belong.
    retried_below: Vec<Option<usize>>,
    /// By service: the gaps of its calls are its own.
    slow_callers: Vec<bool>,
}

/// The SERVER or CONSUMER operation of the same service in which an operation is done; itself when there is none.
pub(super) fn serving(cube: &Cube, calls: &Calls, operation: usize) -> usize {
    let mut at = operation;
    for _ in 0..LONGEST_CHAIN {
        if matches!(cube.operations[at].kind, SpanKind::Server | SpanKind::Consumer) {
            return at;
        }
        match calls.parent(at).filter(|&parent| calls.same_service(parent, operation)) {
            Some(parent) => at = parent,
            None => break,
        }
    }
    operation
}

impl Moves {
    fn new(cube: &Cube, calls: &Calls, facts: &FactBook, Compared { after, before, .. }: Compared<'_>) -> Self {
        let risen: Vec<bool> = after.iter().zip(before).map(|(a, b)| more_calls(a, b)).collect();
        let by_calls =
            (0..after.len()).map(|i| if risen[i] { time_of_more_calls(&after[i], &before[i]) } else { 0.0 }).collect();
        let mut retried_below = vec![None; after.len()];
        for (number, operation) in cube.operations.iter().enumerate() {
            let repeats = facts.get(operation).map(|f| (f.window.repeats_per_parent, f.baseline.repeats_per_parent));
            let more = repeats.is_some_and(|(now, then)| now.unwrap_or(0.0) - then.unwrap_or(0.0) >= MORE_REPEATS);
            if let Some(parent) = calls.parent(number).filter(|_| more && risen[number]) {
                retried_below[parent] = Some(number).filter(|_| cube.operations[parent].kind != SpanKind::Client);
            }
        }
        let slow_callers = slow_callers(cube, calls, after, before);
        Moves { risen, by_calls, retried_below, slow_callers }
    }

    fn is_own_side(&self, calls: &Calls, operation: usize) -> bool {
        self.slow_callers[calls.service(operation)]
    }

    /// The topmost operation above `operation` whose calls rose without a break.
    fn source_of_calls(&self, calls: &Calls, operation: usize) -> usize {
        let mut source = operation;
        for _ in 0..LONGEST_CHAIN {
            match calls.parent(source).filter(|&parent| self.risen[parent]) {
                Some(parent) => source = parent,
                None => break,
            }
        }
        source
    }
}

pub(super) fn more_calls(after: &Rates, before: &Rates) -> bool {
    let least = MORE_CALLS.0 * before.calls.value + MORE_CALLS.1;
    after.calls.p_of_rise(&before.calls, least) <= 0.01
}

/// The additional calls at the price that a call had before.
fn time_of_more_calls(after: &Rates, before: &Rates) -> f64 {
    if before.calls.value <= 0.0 {
        return after.critical.value;
    }
    (after.calls.value - before.calls.value) * before.critical.value / before.calls.value
}

/// Nanoseconds per request, with the standard error of `change` and its degrees of freedom.
#[derive(Debug, Clone, Copy)]
struct Part {
    critical: f64,
    change: f64,
    spread: f64,
    df: f64,
}

impl Part {
    fn of(ns: f64) -> Self {
        Part { critical: ns, change: ns, spread: 0.0, df: f64::INFINITY }
    }

    fn less(self, ns: f64) -> Self {
        Part { critical: self.critical - ns, change: self.change - ns, ..self }
    }
}

/// Collects parts by whom they are put down to.
#[derive(Default)]
struct Ledger(BTreeMap<(usize, Via), Entry>);

#[derive(Default)]
struct Entry {
    parts: Vec<(usize, Part)>,
    by_calls: f64,
}

impl Ledger {
    fn put(&mut self, target: (usize, Via), holder: usize, part: Part, by_calls: f64) {
        if part.critical != 0.0 || part.change != 0.0 {
            let entry = self.0.entry(target).or_default();
            entry.parts.push((holder, part));
            entry.by_calls += by_calls;
        }
    }

    fn into_suspects(self, compared: bool, settings: &Settings) -> Vec<Suspect> {
        let mut suspects = Vec::with_capacity(self.0.len());
        let mut p = Vec::with_capacity(self.0.len());
        for ((operation, via), mut entry) in self.0 {
            entry.parts.sort_by(|a, b| {
                (b.1.change, b.1.critical).partial_cmp(&(a.1.change, a.1.critical)).unwrap_or(std::cmp::Ordering::Equal)
            });
            let sum = |of: fn(&Part) -> f64| entry.parts.iter().map(|(_, part)| of(part)).sum::<f64>();
            // Parts of one request rise together, so their errors add up rather than cancel.
            let (change, spread) = (sum(|p| p.change), sum(|p| p.spread));
            let varying = entry.parts.iter().filter(|(_, part)| part.spread > 0.0);
            let df = varying.map(|(_, part)| part.df).fold(f64::INFINITY, f64::min);
            let rise = Estimate { value: change, variance: spread * spread, df };
            p.push(rise.p_of_rise(&Estimate::default(), 0.0));
            let mut holders: Vec<usize> = Vec::new();
            for &(holder, _) in &entry.parts {
                if !holders.contains(&holder) {
                    holders.push(holder);
                }
            }
            suspects.push(Suspect {
                operation,
                via,
                holders,
                critical: sum(|p| p.critical),
                change: compared.then_some(change),
                rise: compared.then_some(rise),
                by_calls: entry.by_calls,
                confidence: None,
            });
        }
        if compared {
            for (suspect, rate) in suspects.iter_mut().zip(false_discovery_rates(&p)) {
                suspect.confidence = Some((1.0 - rate).min(settings.surest()));
            }
        }
        suspects
    }
}
