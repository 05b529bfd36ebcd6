//! Which service serves a call, told from traces: counts and latency of calls are known without them, from what files say
//! of operations.
//!
//! ```text
//! CLIENT span ◀─parent─ SERVER span              ─▶ its service, and how much longer the caller waited
//! PRODUCER span ◀─parent─ SERVER span            ─▶ the same: a message that is pushed
//! PRODUCER span ◀─link or parent─ CONSUMER span  ─▶ the services that take its messages ([`messages`])
//! CLIENT span ◀─link or parent─ CONSUMER span of another service            ─▶ the same ([`senders`])
//! any other span ◀─link or parent─ SERVER or CONSUMER span of another service ─▶ a call that no span of the caller tells of
//! ```
//! Of a window with more spans than [`MOST_SPANS`] traces of some even stretches of its time are looked at.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::Result;
use model::trace::SpanKind;

use super::super::called::Operations;
use super::super::messages::{Messages, messages};
use super::super::names::NONE;
use super::super::ranking::PeerKind;
use super::super::scope::{Scope, Window};
use super::super::times;
use super::super::traces::{Limits, SLICE, SpanRecord, each_tree};
use super::senders::senders;
use crate::query::Query;

/// Spans of the traces that are looked at, about.
const MOST_SPANS: u64 = 2_000_000;
/// Stretches of time that are looked at when not all is.
const STRETCHES: i64 = 16;

/// The calls of one operation that one service served, or nobody who sends spans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Served {
    pub calls: u64,
    pub errors: u64,
    /// Sum of what callers waited longer than the callee worked, ns, over so many calls: of a message nobody waits.
    pub gap: i64,
    pub timed: u64,
}

/// What was looked at of an operation's calls.
#[derive(Debug, Default)]
pub struct Looked {
    pub all: Served,
    /// By the number of the name of the service that served them. A message may have been taken by several.
    pub by: BTreeMap<Option<u32>, Served>,
    /// They are messages, though their spans are no PRODUCER's.
    pub are_messages: bool,
}

#[derive(Debug, Default)]
pub struct Callees {
    /// By the number of the calling operation.
    looked: HashMap<u32, Looked>,
    /// Calls that no span of the caller tells of: by the number of the operation that serves them, and that of the name of
    /// the service that calls.
    unsaid: BTreeMap<(u32, u32), f64>,
}

impl Callees {
    /// Looks at the traces of a window that holds so many spans. Answers, too, which part of its time was looked at.
    pub async fn read(query: &Query, scope: &Scope, spans: u64, operations: &mut Operations) -> Result<(Callees, f64)> {
        let mut callees = Callees::default();
        let part = (MOST_SPANS as f64 / spans.max(1) as f64).min(1.0);
        let stretches = stretches(scope.window, part);
        for &stretch in &stretches {
            let mut visit = |operations: &Operations, tree: &[SpanRecord]| callees.look_at(operations, tree);
            let limits = Limits { slice: SLICE, most: u64::MAX };
            each_tree(query, scope, stretch, limits, operations, &mut visit).await?;
        }
        if operations.has(SpanKind::Consumer) {
            let found = messages(query, &[scope.window]).await?.fold;
            callees.take(&found, operations);
            callees.take_of_others(query, &stretches, &found, operations).await?;
        }
        callees.unsaid.values_mut().for_each(|calls| *calls /= part);
        Ok((callees, part))
    }

    fn look_at(&mut self, operations: &Operations, tree: &[SpanRecord]) {
        let is = |span: &SpanRecord, kind: SpanKind| operations.kind(span.operation) == kind;
        let is_call = |span: &SpanRecord| is(span, SpanKind::Client) || is(span, SpanKind::Producer);
        let calls = tree.iter().filter(|span| is_call(span));
        let mut calls: HashMap<u64, Call<'_>> = calls.map(|span| (span.span, Call { span, by: None })).collect();
        let others = tree.iter().filter(|span| !is_call(span)).map(|span| (span.span, span.operation));
        let others: HashMap<u64, u32> = others.collect();
        let service = |operation: u32| operations.names_of(operation).0;
        for served in tree.iter().filter(|span| is(span, SpanKind::Server)) {
            // Both sides of a call may share one id. Whoever names such an id means the side that serves.
            let is_shared = calls.get(&served.span).is_some_and(|call| is(call.span, SpanKind::Client));
            let above = others.get(&served.parent).filter(|_| !is_shared);
            if let Some(caller) = above.map(|above| service(*above)) {
                if caller != service(served.operation) {
                    *self.unsaid.entry((served.operation, caller)).or_default() += 1.0;
                }
                continue;
            }
            let id = if is_shared { served.span } else { served.parent };
            let Some(Call { span: call, by }) = calls.get_mut(&id) else { continue };
            // A call is served once, whatever was tried below it.
            by.get_or_insert_with(|| {
                (service(served.operation), duration(call).saturating_sub(duration(served)).max(0))
            });
        }
        // What a message that nobody serves in this tree is taken by, is told elsewhere.
        let told = |call: &Call<'_>| call.by.is_some() || is(call.span, SpanKind::Client);
        for Call { span: call, by } in calls.into_values().filter(told) {
            let looked = self.looked.entry(call.operation).or_default();
            let (service, gap) = by.unzip();
            looked.all.add(call, gap);
            looked.by.entry(service).or_default().add(call, gap);
        }
    }

    /// Who took the messages of each sender. One that waits, or whose taker sends no spans, tells nothing of the others.
    fn take(&mut self, messages: &Messages, operations: &mut Operations) {
        let (_, numbers) = operations.take_in(messages.operations());
        let service = |taker: u32| operations.names_of(numbers[taker as usize]).0;
        let taken =
            messages.taken().map(|(sender, message, taker)| (numbers[sender as usize], message, service(taker)));
        let mut taken: Vec<(u32, u64, u32)> = taken.collect();
        taken.sort_unstable();
        taken.dedup();
        for of_one in taken.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let looked = self.looked.entry(of_one[0].0).or_default();
            looked.all.calls += 1;
            for (_, _, service) in of_one {
                looked.by.entry(Some(*service)).or_default().calls += 1;
            }
        }
    }

    /// Who took the messages that no PRODUCER span sent, in so much of the time.
    async fn take_of_others(
        &mut self,
        query: &Query,
        stretches: &[Window],
        messages: &Messages,
        operations: &mut Operations,
    ) -> Result<()> {
        let is_seen = |at: i64| stretches.iter().any(|stretch| stretch.holds(at));
        let taken: Vec<(u64, u32)> = messages.taken_of_others().filter(|t| is_seen(t.2)).map(|t| (t.0, t.1)).collect();
        if taken.is_empty() {
            return Ok(());
        }
        let wanted = taken.iter().map(|(sender, _)| *sender).collect();
        let sent = senders(query, stretches, wanted, operations).await?;
        let (_, numbers) = operations.take_in(messages.operations());
        let times = messages.one_in();
        let mut counted = HashSet::new();
        for (message, taker) in taken {
            let (Some(&sender), taker) = (sent.get(&message), numbers[taker as usize]) else { continue };
            let (from, to) = (operations.names_of(sender).0, operations.names_of(taker).0);
            if from == to {
                // It received the message itself, and passed it on within.
                continue;
            }
            if operations.kind(sender) != SpanKind::Client {
                *self.unsaid.entry((taker, from)).or_default() += times as f64;
            } else if counted.insert((message, to)) {
                let is_first = counted.insert((message, NONE));
                self.looked.entry(sender).or_default().took(to, times, is_first, operations.peer_kind(sender));
            }
        }
        Ok(())
    }

    /// What was looked at of the calls of an operation; `None`: none of them.
    pub fn of(&self, call: u32) -> Option<&Looked> {
        self.looked.get(&call)
    }

    /// The calls that an operation served and no span of the caller tells of, about: the service that made them, and how
    /// many.
    pub fn unsaid(&self, served: u32) -> impl Iterator<Item = (u32, f64)> {
        self.unsaid.range((served, 0)..=(served, u32::MAX)).map(|((_, caller), calls)| (*caller, *calls))
    }
}

impl Looked {
    /// A call that nobody served was a message, which this service took.
    fn took(&mut self, service: u32, times: u64, is_first: bool, peer: PeerKind) {
        self.by.entry(Some(service)).or_default().calls += times;
        if !is_first {
            return;
        }
        // One that waits, or whose taker sends no spans, tells nothing of the others.
        self.are_messages = peer == PeerKind::Messaging;
        let mut unserved = self.by.remove(&None).unwrap_or_default();
        if !self.are_messages && unserved.calls > times {
            self.by.insert(None, Served { calls: unserved.calls - times, ..unserved });
            unserved = Served { calls: times, ..Served::default() };
        }
        self.all.calls = (self.all.calls + times).saturating_sub(unserved.calls);
        self.all.errors = self.all.errors.saturating_sub(unserved.errors);
    }
}

/// A call, and the service that served it with how much longer its caller waited, ns.
struct Call<'a> {
    span: &'a SpanRecord,
    by: Option<(u32, i64)>,
}

impl Served {
    fn add(&mut self, call: &SpanRecord, gap: Option<i64>) {
        self.calls += 1;
        self.errors += u64::from(call.failed);
        self.timed += u64::from(gap.is_some());
        times::add(&mut self.gap, gap.unwrap_or(0));
    }
}

fn duration(span: &SpanRecord) -> i64 {
    span.end.saturating_sub(span.start).max(0)
}

/// So much of a window, in even pieces.
fn stretches(window: Window, part: f64) -> Vec<Window> {
    if part >= 1.0 {
        return vec![window];
    }
    let every = ((window.end - window.start) / STRETCHES).max(1);
    let long = ((every as f64 * part) as i64).max(1);
    let starts = (0..STRETCHES).map(|n| window.start + n * every + (every - long) / 2);
    starts.map(|start| Window { start, end: start + long }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_the_wanted_part_spread_over_the_window() {
        let window = Window { start: 1_000, end: 17_000 };
        assert_eq!(stretches(window, 1.0), [window]);
        let some = stretches(window, 0.25);
        assert_eq!(some.len(), 16);
        assert_eq!((some[0], some[15]), (Window { start: 1_375, end: 1_625 }, Window { start: 16_375, end: 16_625 }));
        assert!(some.is_sorted_by(|a, b| a.end <= b.start));
    }
}
