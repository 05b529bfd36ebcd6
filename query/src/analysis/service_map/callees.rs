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

/// By the number of the calling operation and of the name of the service.
#[derive(Debug, Default)]
pub struct Callees(HashMap<u32, BTreeMap<Option<u32>, Served>>);

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
        let mut open: HashMap<u64, &SpanRecord> = calls.map(|span| (span.span, span)).collect();
        for served in trace.iter().filter(|span| is(span, [SpanKind::Server, SpanKind::Consumer])) {
            // Of several that were made by one call, as by a retry below it, the first counts.
            let Some(call) = open.remove(&served.parent) else { continue };
            let (service, ..) = operations.names_of(served.operation);
            self.count(call, Some(service), duration(call).saturating_sub(duration(served)).max(0));
        }
        open.into_values().for_each(|call| self.count(call, None, 0));
    }

    fn count(&mut self, call: &SpanRecord, service: Option<u32>, gap: i64) {
        let served = self.0.entry(call.operation).or_default().entry(service).or_default();
        served.calls += 1;
        served.errors += u64::from(call.failed);
        times::add(&mut served.gap, gap);
    }

    /// Who served the calls of an operation, with how many of those that were looked at; nobody when none was.
    pub fn of(&self, call: u32) -> Vec<(Option<u32>, Served)> {
        match self.0.get(&call) {
            Some(found) => found.iter().map(|(service, served)| (*service, *served)).collect(),
            None => vec![(None, Served { calls: 1, ..Served::default() })],
        }
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
