//! Which service serves a call, told from traces: counts and latency of calls are known without them, from what files say
//! of operations.
//!
//! ```text
//! CLIENT span ◀─parent─ SERVER span              ─▶ its service, and how much longer the caller waited
//! PRODUCER span ◀─parent─ SERVER span            ─▶ the same: a message that is pushed
//! PRODUCER span ◀─link or parent─ CONSUMER span  ─▶ the services that take its messages ([`messages`])
//! ```
//! Of a window with more spans than [`MOST_SPANS`] traces of some even stretches of its time are looked at.

use std::collections::{BTreeMap, HashMap};

use model::Result;
use model::trace::SpanKind;

use super::super::called::Operations;
use super::super::messages::{Messages, messages};
use super::super::scope::{Scope, Window};
use super::super::times;
use super::super::traces::{Limits, SLICE, SpanRecord, each_tree};
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
    /// Sum of what callers waited longer than the callee worked, ns.
    pub gap: i64,
}

/// What was looked at of an operation's calls.
#[derive(Debug, Default)]
pub struct Looked {
    pub all: Served,
    /// By the number of the name of the service that served them. A message may have been taken by several.
    pub by: BTreeMap<Option<u32>, Served>,
}

/// By the number of the calling operation.
#[derive(Debug, Default)]
pub struct Callees(HashMap<u32, Looked>);

impl Callees {
    /// Looks at the traces of a window that holds so many spans. Answers, too, which part of its time was looked at.
    pub async fn read(query: &Query, scope: &Scope, spans: u64, operations: &mut Operations) -> Result<(Callees, f64)> {
        let mut callees = Callees::default();
        let part = (MOST_SPANS as f64 / spans.max(1) as f64).min(1.0);
        for stretch in stretches(scope.window, part) {
            let mut visit = |operations: &Operations, tree: &[SpanRecord]| callees.look_at(operations, tree);
            let limits = Limits { slice: SLICE, most: u64::MAX };
            each_tree(query, scope, stretch, limits, operations, &mut visit).await?;
        }
        if operations.has(SpanKind::Producer) && operations.has(SpanKind::Consumer) {
            let found = messages(query, &[scope.window]).await?;
            callees.take(&found.fold, operations);
        }
        Ok((callees, part))
    }

    fn look_at(&mut self, operations: &Operations, tree: &[SpanRecord]) {
        let is = |span: &SpanRecord, kind: SpanKind| operations.kind(span.operation) == kind;
        let calls = tree.iter().filter(|span| is(span, SpanKind::Client) || is(span, SpanKind::Producer));
        let mut calls: HashMap<u64, Call<'_>> = calls.map(|span| (span.span, Call { span, by: None })).collect();
        for served in tree.iter().filter(|span| is(span, SpanKind::Server)) {
            let Some(Call { span: call, by }) = calls.get_mut(&served.parent) else { continue };
            // A call is served once, whatever was tried below it.
            by.get_or_insert_with(|| {
                let (service, ..) = operations.names_of(served.operation);
                (service, duration(call).saturating_sub(duration(served)).max(0))
            });
        }
        // What a message that nobody serves in this tree is taken by, is told elsewhere.
        let told = |call: &Call<'_>| call.by.is_some() || is(call.span, SpanKind::Client);
        for Call { span: call, by } in calls.into_values().filter(told) {
            let looked = self.0.entry(call.operation).or_default();
            looked.all.add(call, 0);
            let (service, gap) = by.unzip();
            looked.by.entry(service).or_default().add(call, gap.unwrap_or(0));
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
            let looked = self.0.entry(of_one[0].0).or_default();
            looked.all.calls += 1;
            for (_, _, service) in of_one {
                looked.by.entry(Some(*service)).or_default().calls += 1;
            }
        }
    }

    /// What was looked at of the calls of an operation; `None`: none of them.
    pub fn of(&self, call: u32) -> Option<&Looked> {
        self.0.get(&call)
    }
}

/// A call, and the service that served it with how much longer its caller waited, ns.
struct Call<'a> {
    span: &'a SpanRecord,
    by: Option<(u32, i64)>,
}

impl Served {
    fn add(&mut self, call: &SpanRecord, gap: i64) {
        self.calls += 1;
        self.errors += u64::from(call.failed);
        times::add(&mut self.gap, gap);
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
