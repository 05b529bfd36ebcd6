//! Services that ran out of a resource, as their metrics say, and whose calls take longer since.
//!
//! Waiting fills pools and queues of services that are only victims, but it does not use CPU: a service whose CPU is used
//! up, or that is paused by its garbage collector, works too much for what it has. So it comes first among what got
//! slower. And since the metric singles the service out, its own calls are compared, call by call, though the requests
//! as a whole need not be slower: it may serve few of them.

use model::trace::SpanKind;

use super::Settings;
use super::blame::{Compared, serving};
use super::calls::Calls;
use super::cube::{Cube, Exhausted, Operation, Side};
use super::facts::FactBook;
use super::rates::Rates;

/// A call is slower when it takes longer by this part, and rather not by chance: that the service ran out of something is
/// known already, so its calls need not prove it.
const SLOWER: f64 = 0.2;
const LEAST_CONFIDENCE: f64 = 0.8;
/// Calls that are compared at least, on each side.
const LEAST_CALLS: f64 = 3.0;

/// Where pauses lengthen calls, the median of these rises by at most this part of the mean's rise.
const OF_MEDIAN: f64 = 0.25;
/// Where the medians are not known: pauses that take two thirds of the time make calls this many times as long.
const LENGTHENED: f64 = 3.0;

/// By operation: whether it is a call that pauses of its own process may have lengthened. They meet few calls, and those for
/// long: half of them take as long as ever, unlike those of a slow database.
pub(super) fn paused_calls(
    cube: &Cube,
    facts: &FactBook,
    (after, before): (&[Rates], &[Rates]),
    exhausted: &[Exhausted],
) -> Vec<bool> {
    let is_paused = |service: &str| exhausted.iter().any(|one| one.is_paused && one.service == service);
    let paused = |(at, operation): (usize, &Operation)| {
        let (now, then) = (&after[at], &before[at]);
        let is_call = matches!(operation.kind, SpanKind::Client | SpanKind::Producer);
        let may_be = is_call && is_paused(&operation.service);
        if !may_be || now.calls.value <= 0.0 || then.calls.value <= 0.0 {
            return false;
        }
        let (now, then) = (now.per_call().value, then.per_call().value);
        let facts = facts.get(operation);
        let medians = facts.and_then(|facts| facts.window.exclusive_p50_ns.zip(facts.baseline.exclusive_p50_ns));
        match medians {
            Some((median_now, median_then)) => median_now - median_then <= OF_MEDIAN * (now - then).max(0.0),
            None => now <= LENGTHENED * then,
        }
    };
    cube.operations.iter().enumerate().map(paused).collect()
}

/// A service that ran out of something, with the operation that shows most of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pressed {
    /// By [`Calls::service`].
    pub service: usize,
    pub operation: usize,
    /// Whose calls got slower: the operation's own, or those that it made while it was paused.
    pub slower: usize,
    /// Nanoseconds of critical path per call.
    pub before: f64,
    pub now: f64,
    pub confidence: f64,
}

/// Those of the named services whose calls got slower: by their own time or by the wait before they are served.
pub(super) fn pressed(
    cube: &Cube,
    calls: &Calls,
    Compared { after, before, paused }: Compared<'_>,
    exhausted: &[Exhausted],
    settings: &Settings,
) -> Vec<Pressed> {
    let named = |operation: usize| exhausted.iter().any(|one| one.service == cube.operations[operation].service);
    let enough =
        |side: Option<&Side>, rates: &Rates| side.is_some_and(|s| rates.calls.value * s.requests() >= LEAST_CALLS);
    let mut candidates = Vec::new();
    for operation in 0..cube.operations.len() {
        let of = match calls.callee(operation).filter(|callee| named(*callee)) {
            Some(callee) => callee,
            None if paused[operation] => serving(cube, calls, operation),
            None => operation,
        };
        let (now, then) = (&after[operation], &before[operation]);
        if named(of) && enough(Some(&cube.window), now) && enough(cube.baseline.as_ref(), then) {
            let (spans, now, then) = (now.calls.value, now.per_call(), then.per_call());
            candidates.push((of, operation, spans, now, then));
        }
    }
    let mut found: Vec<(f64, Pressed)> = Vec::new();
    for (operation, slower, spans, now, then) in candidates {
        let by_chance = now.p_of_rise(&then, 0.0);
        if now.value < (1.0 + SLOWER) * then.value || by_chance > 1.0 - LEAST_CONFIDENCE {
            continue;
        }
        let service = calls.service(operation);
        let rise = (now.value - then.value) * spans;
        let confidence = (1.0 - by_chance).min(settings.surest());
        let one = Pressed { service, operation, slower, before: then.value, now: now.value, confidence };
        match found.iter_mut().find(|(_, known)| known.service == service) {
            Some(known) if known.0 < rise => *known = (rise, one),
            Some(_) => {}
            None => found.push((rise, one)),
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().map(|(_, pressed)| pressed).collect()
}
