//! Gaps between CLIENT and SERVER spans that arise on the caller's side.
//!
//! A gap is put down to the service that is called: there requests queue. But a caller that has no CPU left, or whose
//! own network link is slow, also spends its time between its CLIENT spans and the SERVER spans that answer. What tells
//! the two apart is who else is slow: when the calls to *all* services it calls wait longer, while others who call the
//! same services do not, the time is lost where these calls have in common.

use std::collections::BTreeMap;

use super::super::significance::Estimate;
use super::calls::Calls;
use super::cube::Cube;
use super::rates::Rates;

/// Calls to fewer services than this may all be slow by chance, or because they share something.
const LEAST_CALLEES: usize = 3;
/// A link counts as slower when its rise is at least this part of the mean of the caller's links, and as spared when
/// it is at most this part.
const LIKE_THE_OTHERS: f64 = 0.2;
const SPARED: f64 = 0.3;
/// How sure the rise of each link has to be.
const LEAST_CONFIDENCE: f64 = 0.99;

/// How much longer a call from one service to another waits than in the baseline.
#[derive(Debug, Clone, Copy, Default)]
struct Link {
    calls: f64,
    /// Nanoseconds per call.
    rise: f64,
    is_sure: bool,
}

/// The calls of one operation: how many per request, and how long each takes now and took before, ns.
type Part = (f64, Estimate, Estimate);

/// By service: whether its calls wait on its own side.
pub(super) fn slow_callers(cube: &Cube, calls: &Calls, after: &[Rates], before: &[Rates]) -> Vec<bool> {
    let links = links(cube, calls, after, before);
    (0..calls.services()).map(|service| is_slow(service, &links)).collect()
}

fn is_slow(service: usize, links: &BTreeMap<(usize, usize), Link>) -> bool {
    let own: Vec<(usize, Link)> =
        links.iter().filter(|((from, _), _)| *from == service).map(|((_, to), link)| (*to, *link)).collect();
    if own.len() < LEAST_CALLEES {
        return false;
    }
    let all: f64 = own.iter().map(|(_, link)| link.calls).sum();
    let mean = own.iter().map(|(_, link)| link.calls * link.rise).sum::<f64>() / all;
    let slower = |link: &Link| link.is_sure && link.rise >= LIKE_THE_OTHERS * mean;
    // Whoever else calls the same services does not wait for them.
    let spared = |to: usize, link: &Link| {
        let mut others = links.iter().filter(|((from, other), _)| *from != service && *other == to);
        others.all(|(_, other)| other.rise <= SPARED * link.rise)
    };
    mean > 0.0 && own.iter().all(|(to, link)| slower(link) && spared(*to, link))
}

/// The links between services, by caller and callee, with the gaps of their calls.
fn links(cube: &Cube, calls: &Calls, after: &[Rates], before: &[Rates]) -> BTreeMap<(usize, usize), Link> {
    let mut sums: BTreeMap<(usize, usize), Vec<Part>> = BTreeMap::new();
    for operation in 0..cube.operations.len() {
        let Some(callee) = calls.callee(operation) else { continue };
        let (now, then) = (&after[operation], &before[operation]);
        if calls.same_service(operation, callee) || now.calls.value <= 0.0 || then.calls.value <= 0.0 {
            continue;
        }
        let link = (calls.service(operation), calls.service(callee));
        sums.entry(link).or_default().push((now.calls.value, now.per_call(), then.per_call()));
    }
    sums.into_iter().map(|(link, parts)| (link, Link::of(&parts))).collect()
}

impl Link {
    fn of(parts: &[Part]) -> Self {
        let calls: f64 = parts.iter().map(|part| part.0).sum();
        let mean = |of: fn(&Part) -> Estimate| {
            let value = parts.iter().map(|part| part.0 * of(part).value).sum::<f64>() / calls;
            // Calls of one request are slow together, so their errors add up.
            let spread = parts.iter().map(|part| part.0 * of(part).variance.sqrt()).sum::<f64>() / calls;
            Estimate { value, variance: spread * spread, df: parts.iter().map(|part| of(part).df).fold(1.0, f64::max) }
        };
        let (now, then) = (mean(|part| part.1), mean(|part| part.2));
        let is_sure = now.p_of_rise(&then, 0.0) <= 1.0 - LEAST_CONFIDENCE;
        Link { calls, rise: now.value - then.value, is_sure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(of: &[((usize, usize), f64)]) -> BTreeMap<(usize, usize), Link> {
        of.iter().map(|&(link, rise)| (link, Link { calls: 1.0, rise, is_sure: rise > 1.0 })).collect()
    }

    #[test]
    fn a_caller_is_slow_when_all_its_calls_wait_and_nobody_else_s_do() {
        let all = [((0, 1), 9.0), ((0, 2), 7.0), ((0, 3), 8.0)];
        assert!(is_slow(0, &links(&all)));
        // One service it calls is as fast as ever.
        assert!(!is_slow(0, &links(&[all[0], all[1], ((0, 3), 0.1)])));
        // Two are too few to tell.
        assert!(!is_slow(0, &links(&all[..2])));
        // Somebody else waits for one of them as well.
        assert!(!is_slow(0, &links(&[all[0], all[1], all[2], ((4, 2), 6.0)])));
        assert!(is_slow(0, &links(&[all[0], all[1], all[2], ((4, 2), 0.5)])));
    }
}
