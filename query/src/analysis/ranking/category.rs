//! What kind of problem a suspect is, from the structure of its spans and, where known, the facts about them.

use model::trace::SpanKind;
use serde::Serialize;

use super::blame::{MORE_REPEATS, Suspect, Via};
use super::calls::Calls;
use super::cube::{Cube, Operation, PeerKind, Side};
use super::facts::{Details, FactBook};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    Database,
    /// A dependency without spans of its own.
    External,
    Cache,
    Messaging,
    /// The operation's own work: code, CPU, pauses.
    #[serde(rename = "self")]
    Own,
    /// Waiting for a worker, thread or connection.
    Queue,
    Network,
    Retry,
    NPlusOne,
    Lock,
    /// Confined to one instance.
    Instance,
    Error,
    /// Calls vanished or appeared.
    Structure,
}

/// From this many like calls in sequence on, more of them are an N+1 (Sentry's detector takes 5 as well).
const N_PLUS_ONE: f64 = 5.0;
/// From this many on, slower ones are, too.
const MANY_PLUS_ONE: f64 = 10.0;
/// A link whose load rose by less than this factor is not busier.
const BUSIER: f64 = 1.2;

/// Everything there is to judge by.
pub(super) struct Judge<'a> {
    pub cube: &'a Cube,
    pub calls: &'a Calls,
    pub facts: &'a FactBook,
}

impl Judge<'_> {
    pub fn category(&self, suspect: &Suspect) -> Category {
        match suspect.via {
            Via::Gap => self.queue_or_network(suspect),
            Via::Own => {
                let operation = &self.cube.operations[suspect.operation];
                self.repeated(suspect).or(dependency(operation)).unwrap_or_else(|| self.own_time(suspect))
            }
        }
    }

    fn details(&self, operation: usize) -> (Details, Details) {
        let facts = self.facts.get(&self.cube.operations[operation]);
        facts.map_or_else(Default::default, |facts| (facts.window, facts.baseline))
    }

    /// Calls made again after a failure, or one by one where one would do.
    fn repeated(&self, suspect: &Suspect) -> Option<Category> {
        let (now, then) = self.details(suspect.operation);
        let repeats = now.repeats_per_parent.unwrap_or(0.0) - then.repeats_per_parent.unwrap_or(0.0);
        let siblings = now.sequential_siblings.unwrap_or(0.0);
        let by_calls = suspect.change.is_none_or(|change| suspect.by_calls > 0.5 * change);
        if repeats >= MORE_REPEATS && by_calls {
            return Some(Category::Retry);
        }
        (siblings >= MANY_PLUS_ONE || siblings >= N_PLUS_ONE && by_calls).then_some(Category::NPlusOne)
    }

    /// Time between a call and its being served. A queue's wait changes from moment to moment and grows with the load;
    /// a slow network delays all calls of a link alike and at any load.
    fn queue_or_network(&self, suspect: &Suspect) -> Category {
        let holder = suspect.holders.first().copied().unwrap_or(suspect.operation);
        let Some(baseline) = &self.cube.baseline else { return Category::Queue };
        let (after, before) = (Gap::of(self.cube, &self.cube.window, holder), Gap::of(self.cube, baseline, holder));
        let rise = after.mean - before.mean;
        let (now, then) = self.details(holder);
        let for_all = now.exclusive_p10_ns.zip(then.exclusive_p10_ns).map(|(now, then)| now - then >= 0.7 * rise);
        let busier = after.rate >= BUSIER * before.rate;
        let steady = after.spread <= 0.2 * rise;
        let network = match for_all {
            Some(for_all) => for_all && (!busier || self.other_callers_are_spared(suspect, rise)),
            None => steady && !busier,
        };
        if network { Category::Network } else { Category::Queue }
    }

    /// A queue makes all callers wait, a slow link only its own.
    fn other_callers_are_spared(&self, suspect: &Suspect, rise: f64) -> bool {
        let Some(baseline) = &self.cube.baseline else { return false };
        let Some(&holder) = suspect.holders.first() else { return false };
        let mut others = suspect.holders.iter().filter(|&&other| !self.calls.same_service(other, holder)).peekable();
        let spared = |&other: &usize| {
            let (now, then) = (Gap::of(self.cube, &self.cube.window, other), Gap::of(self.cube, baseline, other));
            now.mean - then.mean <= 0.3 * rise
        };
        others.peek().is_some() && others.all(spared)
    }

    /// The operation's own time: work, or waiting inside the process.
    fn own_time(&self, suspect: &Suspect) -> Category {
        let operation = &self.cube.operations[suspect.operation];
        if operation.kind == SpanKind::Internal
            && let Some(category) = named_wait(&operation.operation)
        {
            return category;
        }
        let (now, then) = self.details(suspect.operation);
        let rise = self.rise_per_span(suspect.operation);
        let risen = |now: Option<f64>, then: Option<f64>| Some(now? - then.unwrap_or(0.0));
        let wait = risen(now.wait_before_first_child_ns, then.wait_before_first_child_ns);
        if wait.is_some_and(|wait| wait >= 0.5 * rise) {
            return Category::Queue;
        }
        // Most spans take longer while some do not: they take turns. If all did, the work itself would have grown; if
        // only few, they would be pauses.
        let lower = risen(now.exclusive_p10_ns, then.exclusive_p10_ns);
        let middle = risen(now.exclusive_p50_ns, then.exclusive_p50_ns);
        let take_turns = lower.is_some_and(|l| l <= 0.25 * rise) && middle.is_some_and(|m| m >= 0.5 * rise);
        if take_turns && self.cube.baseline.is_some() { Category::Lock } else { Category::Own }
    }

    /// By how much a span's exclusive time on the path rose, ns.
    fn rise_per_span(&self, operation: usize) -> f64 {
        let of = |side: &Side| Gap::of(self.cube, side, operation).mean;
        of(&self.cube.window) - self.cube.baseline.as_ref().map_or(0.0, of)
    }
}

fn dependency(operation: &Operation) -> Option<Category> {
    match (operation.kind, operation.peer.as_ref().map(|peer| peer.kind)) {
        (_, Some(PeerKind::Database)) => Some(Category::Database),
        (_, Some(PeerKind::Cache)) => Some(Category::Cache),
        (SpanKind::Client, Some(PeerKind::Messaging)) | (SpanKind::Producer, _) => Some(Category::Messaging),
        (SpanKind::Client, _) => Some(Category::External),
        _ => None,
    }
}

/// INTERNAL spans that say what they wait for, by the words of their name.
fn named_wait(name: &str) -> Option<Category> {
    let mut words: Vec<String> = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        let new_word = !c.is_alphanumeric() || (c.is_uppercase() && was_lower);
        if new_word {
            words.push(String::new());
        }
        was_lower = c.is_lowercase();
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if has(&["lock", "mutex", "synchronized", "monitor", "semaphore"]) {
        return Some(Category::Lock);
    }
    let connection = has(&["get", "open", "borrow", "wait"]) && has(&["connection", "conn"]);
    (connection || has(&["acquire", "pool", "queue", "enqueue"])).then_some(Category::Queue)
}

/// Exclusive time per span of one operation, over all its entries and instances.
struct Gap {
    /// Nanoseconds.
    mean: f64,
    /// Standard deviation of the bins' means, ns.
    spread: f64,
    /// Spans per second.
    rate: f64,
}

impl Gap {
    fn of(cube: &Cube, side: &Side, operation: usize) -> Self {
        let bins = side.time_and_spans(&cube.columns_of(|of| of == operation));
        let (time, spans) = bins.iter().fold((0.0, 0.0), |(t, n), b| (t + b.0, n + b.1));
        let mean = if spans > 0.0 { time / spans } else { 0.0 };
        let squares: f64 = bins.iter().filter(|b| b.1 > 0.0).map(|(t, n)| n * (t / n - mean).powi(2)).sum();
        let spread = if spans > 0.0 { (squares / spans).sqrt() } else { 0.0 };
        Gap { mean, spread, rate: side.per_second(spans) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_waits_are_read_by_the_word() {
        for (name, expected) in [
            ("StockLock.lock", Some(Category::Lock)),
            ("acquire connection", Some(Category::Queue)),
            ("HikariPool.getConnection", Some(Category::Queue)),
            ("unlockAccount", None),
            ("blockchain sync", None),
            ("render checkout", None),
        ] {
            assert_eq!(named_wait(name), expected, "{name}");
        }
    }

    #[test]
    fn categories_have_the_interfaces_names() {
        let text = |c: Category| serde_json::to_string(&c).expect("plain");
        assert_eq!(text(Category::Own), "\"self\"");
        assert_eq!(text(Category::NPlusOne), "\"n_plus_one\"");
    }
}
