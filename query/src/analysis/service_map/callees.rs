//! Which service serves a call, told from traces: counts and latency of calls are known without them, from what files say
//! of operations.
//!
//! ```text
//! CLIENT or PRODUCER span ◀─parent─ SERVER or CONSUMER span   ─▶ its service, and how much longer the caller waited
//! ```
//! Of a window with more spans than [`MOST_SPANS`] traces of some even stretches of its time are looked at.

use std::collections::{BTreeMap, HashMap};

use model::Result;
use model::trace::SpanKind;

use super::super::called::Operations;
use super::super::scope::{Scope, Window};
use super::super::times;
use super::super::traces::{Limits, SLICE, SpanRecord, each_trace};
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
            let mut visit = |operations: &Operations, trace: &[SpanRecord]| callees.look_at(operations, trace);
            let limits = Limits { slice: SLICE, most: u64::MAX };
            each_trace(query, scope, stretch, limits, operations, &mut visit).await?;
        }
        Ok((callees, part))
    }

    fn look_at(&mut self, operations: &Operations, trace: &[SpanRecord]) {
        let is = |span: &SpanRecord, kinds: [SpanKind; 2]| kinds.contains(&operations.kind(span.operation));
        let calls = trace.iter().filter(|span| is(span, [SpanKind::Client, SpanKind::Producer]));
        let mut calls: HashMap<u64, Call<'_>> = calls.map(|span| (span.span, Call { span, by: Vec::new() })).collect();
        for served in trace.iter().filter(|span| is(span, [SpanKind::Server, SpanKind::Consumer])) {
            let Some(Call { span: call, by }) = calls.get_mut(&served.parent) else { continue };
            let (service, ..) = operations.names_of(served.operation);
            // A call is served once, whatever was tried below it; a message by each service that takes it.
            let is_message = operations.kind(call.operation) == SpanKind::Producer;
            if by.is_empty() || is_message && by.iter().all(|(known, _)| *known != service) {
                by.push((service, duration(call).saturating_sub(duration(served)).max(0)));
            }
        }
        for Call { span: call, by } in calls.into_values() {
            let looked = self.0.entry(call.operation).or_default();
            looked.all.add(call, 0);
            if by.is_empty() {
                looked.by.entry(None).or_default().add(call, 0);
            }
            for (service, gap) in by {
                looked.by.entry(Some(service)).or_default().add(call, gap);
            }
        }
    }

    /// What was looked at of the calls of an operation; `None`: none of them.
    pub fn of(&self, call: u32) -> Option<&Looked> {
        self.0.get(&call)
    }
}

/// A call, and the services that served it with how much longer its caller waited, ns.
struct Call<'a> {
    span: &'a SpanRecord,
    by: Vec<(u32, i64)>,
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
