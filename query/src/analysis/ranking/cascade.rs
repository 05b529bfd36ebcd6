//! Which suspect comes first: a cause before the waiting that it brings about.
//!
//! Requests queue before a pool for one of two reasons. Either more of them come than it can serve; then the pool is
//! the limit. Or each holds its worker longer than before, because something that it waits for got slower; then the
//! queue is only that thing's shadow, however long it is. Demand is the product of load and holding time, so the two
//! reasons are weighed by their logarithms.

use model::trace::SpanKind;

use super::blame::{Suspect, Via};
use super::calls::Calls;
use super::category::Category;
use super::cube::{Cube, Side};
use super::rates::Rates;

/// Rises that are less sure than this are nobody's cause.
const SURE: f64 = 0.95;
/// What holds a worker at least this many times as long as before may be the cause of a queue.
const HOLDS_LONGER: f64 = 1.25;
/// A longer holding time is the cause when it weighs at least this much of what the load's rise weighs.
const AGAINST_LOAD: f64 = 0.5;

/// Suspects by number, the first to blame first, and for each the one whose victim it is.
pub(super) struct Cascade {
    pub order: Vec<usize>,
    cause: Vec<Option<usize>>,
}

impl Cascade {
    /// The cause at the end of the chain that leads from this suspect; itself where nothing else is to blame.
    pub fn origin(&self, suspect: usize) -> usize {
        let mut at = suspect;
        for _ in 0..self.cause.len() {
            match self.cause[at] {
                Some(cause) => at = cause,
                None => return at,
            }
        }
        // A circle: none of it is the origin of the others.
        suspect
    }
}

/// Weighs suspects against each other. `categories` are those of `suspects`.
pub(super) fn cascade(
    cube: &Cube,
    calls: &Calls,
    before: &[Rates],
    suspects: &[Suspect],
    categories: &[Category],
) -> Cascade {
    let change = |i: usize| suspects[i].change.unwrap_or(0.0).max(0.0);
    let mut score: Vec<f64> = (0..suspects.len()).map(change).collect();
    let mut cause_of = vec![None; suspects.len()];
    lead_by_service(cube, suspects, categories, &mut score, &mut cause_of);
    // From the shortest shadow to the longest, so that a chain of queues ends up with what began it.
    let mut shadows: Vec<usize> = (0..suspects.len()).filter(|&i| categories[i] == Category::Queue).collect();
    shadows.sort_by(|&a, &b| score[a].total_cmp(&score[b]));
    for shadow in shadows {
        let casts = |&cause: &usize| {
            cause != shadow
                && change(cause) > 0.0
                && casts_shadow(cube, calls, before, &suspects[shadow], &suspects[cause])
        };
        let cause = (0..suspects.len()).filter(casts).max_by(|&a, &b| score[a].total_cmp(&score[b]));
        if let Some(cause) = cause {
            score[cause] += score[shadow];
            cause_of[shadow] = Some(cause);
        }
    }
    let mut order: Vec<usize> = (0..suspects.len()).collect();
    order.sort_by(|&a, &b| score[b].total_cmp(&score[a]));
    Cascade { order, cause: cause_of }
}

/// All operations of a service queue before the same pool and share the same processors, so the worst of them leads
/// with the sum of all that surely rose. Those that queue are its victims; of own time that is not known.
fn lead_by_service(
    cube: &Cube,
    suspects: &[Suspect],
    categories: &[Category],
    score: &mut [f64],
    cause: &mut [Option<usize>],
) {
    let service = |i: usize| cube.operations[suspects[i].operation].service.as_str();
    let alone = score.to_vec();
    for (i, own) in alone.iter().enumerate() {
        if !matches!(categories[i], Category::Queue | Category::Own) {
            continue;
        }
        let like = (0..suspects.len())
            .filter(|&j| categories[j] == categories[i] && service(j) == service(i))
            .filter(|&j| j == i || suspects[j].confidence.is_some_and(|confidence| confidence >= SURE));
        let like: Vec<usize> = like.collect();
        let leads = like.iter().all(|&j| alone[j] < *own || (alone[j] == *own && j >= i));
        if leads {
            score[i] = like.iter().map(|&j| alone[j]).sum();
            if categories[i] == Category::Queue {
                like.iter().filter(|&&j| j != i).for_each(|&j| cause[j] = Some(i));
            }
        }
    }
}

/// Whether `cause` keeps the workers busy for which `queue` waits.
fn casts_shadow(cube: &Cube, calls: &Calls, before: &[Rates], queue: &Suspect, cause: &Suspect) -> bool {
    let Some(baseline) = &cube.baseline else { return false };
    let sure = cause.confidence.is_some_and(|confidence| confidence >= SURE);
    let inside = calls.same_service(queue.operation, cause.operation) && cause.via == Via::Own;
    if !sure || !(inside || calls.reaches(queue.operation, cause.operation)) {
        return false;
    }
    let (then, now) =
        (Pool::of(cube, calls, baseline, queue.operation), Pool::of(cube, calls, &cube.window, queue.operation));
    // Per call of the pool, as the change is per request.
    let calls_per_request: f64 = (0..before.len())
        .filter(|&i| is_served_by(cube, calls, i, queue.operation))
        .map(|i| before[i].calls.value)
        .sum();
    if then.holding <= 0.0 || calls_per_request <= 0.0 {
        return false;
    }
    let longer = 1.0 + cause.change.unwrap_or(0.0) / calls_per_request / then.holding;
    let load = if then.rate > 0.0 { now.rate / then.rate } else { 1.0 };
    longer >= HOLDS_LONGER && longer.ln() >= AGAINST_LOAD * load.ln()
}

fn is_served_by(cube: &Cube, calls: &Calls, operation: usize, queue: usize) -> bool {
    cube.operations[operation].kind == SpanKind::Server && calls.same_service(operation, queue)
}

/// The SERVER spans of a service, as the users of its workers.
struct Pool {
    /// Mean duration, ns.
    holding: f64,
    /// Spans per second.
    rate: f64,
}

impl Pool {
    fn of(cube: &Cube, calls: &Calls, side: &Side, queue: usize) -> Self {
        let (mut time, mut spans) = (0.0, 0.0);
        for (number, column) in cube.columns.iter().enumerate() {
            if is_served_by(cube, calls, column.operation, queue) {
                time += side.totals[number].duration;
                spans += side.totals[number].spans;
            }
        }
        let holding = if spans > 0.0 { time / spans } else { 0.0 };
        Pool { holding, rate: side.per_second(spans) }
    }
}
