//! Facts about operations, from traces that were kept whole: means over spans, so an even part of the traces will do.

use std::collections::HashMap;

use model::trace::{Node, SpanKind, adopted};

use super::alike::Alike;
use super::called::Operations;
use super::observe::Kept;
use super::parents::Parents;
use super::ranking::{Details, FactBook, Operation};
use super::times;

/// Sums of what [`Details`] are the means of.
#[derive(Default)]
struct Sums {
    own: Vec<i64>,
    waits: Vec<i64>,
    repeats: u64,
    /// Of calls that say the same, about.
    runs: f64,
    parents: u64,
}

/// From so many siblings one after the other on it matters whether they say the same.
pub const LONG_RUN: usize = 5;

/// What is learnt from one side.
#[derive(Default)]
struct Lesson {
    alike: Alike,
    sums: HashMap<u32, Sums>,
    /// How often one operation is the parent of another.
    relations: HashMap<(u32, u32), u64>,
    /// How often a span of the second operation, whose parent is not there, ran within a call of the first.
    beyond: HashMap<(u32, u32), u64>,
}

/// Adds the facts of one side to the book; `spans` are sorted by trace, and of long runs `alike` says which part is of calls
/// that say the same. The window, which is learnt first, says which relations are usual; the baseline only adds to them.
pub fn learn(spans: &[Kept], operations: &Operations, alike: Alike, is_baseline: bool, book: &mut FactBook) {
    let mut lesson = Lesson { alike, ..Lesson::default() };
    for trace in spans.chunk_by(|a, b| a.trace == b.trace) {
        lesson.look_at(trace, operations);
    }
    for (number, sums) in lesson.sums {
        let facts = book.entry(operations.operation(number)).or_default();
        if let Some(runs) = lesson.alike.get(&number).filter(|_| !is_baseline) {
            facts.repeated_statement = runs.statement.clone();
        }
        let details = if is_baseline { &mut facts.baseline } else { &mut facts.window };
        *details = sums.details();
    }
    for (parent, child) in by_frequency(lesson.relations, operations) {
        if parent.kind == SpanKind::Client && child.kind == SpanKind::Server {
            book.entry(parent.clone()).or_default().callee.get_or_insert(child.place());
        }
        book.entry(child).or_default().parent.get_or_insert(parent);
    }
    // Who answers such a call is not known: its time is also that of a service that sends no spans.
    for (call, child) in by_frequency(lesson.beyond, operations) {
        book.entry(child).or_default().parent.get_or_insert(call);
    }
}

/// Parents and children, the most frequent pair first.
fn by_frequency(pairs: HashMap<(u32, u32), u64>, operations: &Operations) -> Vec<(Operation, Operation)> {
    let named = |((parent, child), times)| (times, operations.operation(parent), operations.operation(child));
    let mut pairs: Vec<_> = pairs.into_iter().map(named).collect();
    pairs.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| (&a.1, &a.2).cmp(&(&b.1, &b.2))));
    pairs.into_iter().map(|(_, parent, child)| (parent, child)).collect()
}

impl Sums {
    fn details(mut self) -> Details {
        self.own.sort_unstable();
        let quantile =
            |q: f64| self.own.get(((self.own.len() as f64 * q) as usize).min(self.own.len().saturating_sub(1)));
        let mean = |sum: f64, n: usize| (n > 0).then(|| sum / n as f64);
        Details {
            wait_before_first_child_ns: mean(times::total(self.waits.iter().copied()) as f64, self.waits.len()),
            exclusive_p10_ns: quantile(0.1).map(|v| *v as f64),
            exclusive_p50_ns: quantile(0.5).map(|v| *v as f64),
            repeats_per_parent: mean(self.repeats as f64, self.parents as usize),
            sequential_siblings: mean(self.runs, self.parents as usize),
        }
    }
}

impl Lesson {
    fn look_at(&mut self, trace: &[Kept], operations: &Operations) {
        let kind = |span: &Kept| operations.kind(span.operation);
        let parents = Parents::of(trace.iter().map(|span| (span.span, kind(span))));
        let mut families: Vec<(usize, usize)> = Vec::new();
        let mut has_holes = false;
        for (at, span) in trace.iter().enumerate() {
            self.sums.entry(span.operation).or_default().own.push(span.own);
            match parents.above(span.span, span.parent, kind(span)) {
                Some(parent) if parent != at => {
                    families.push((parent, at));
                    *self.relations.entry((trace[parent].operation, span.operation)).or_default() += 1;
                }
                Some(_) => {}
                None => has_holes |= span.parent != 0,
            }
        }
        if has_holes {
            self.look_beyond_holes(trace, operations);
        }
        families.sort_unstable_by_key(|&(parent, child)| (parent, trace[child].start, trace[child].end));
        for family in families.chunk_by(|a, b| a.0 == b.0) {
            let parent = &trace[family[0].0];
            let children: Vec<&Kept> = family.iter().map(|&(_, child)| &trace[child]).collect();
            let wait = (children[0].start - parent.start).max(0);
            self.sums.entry(parent.operation).or_default().waits.push(wait);
            self.look_at_siblings(&children);
        }
    }

    /// Services that send no spans leave holes between those that do.
    fn look_beyond_holes(&mut self, trace: &[Kept], operations: &Operations) {
        let node = |span: &Kept| Node {
            span_id: span.span.to_be_bytes(),
            parent_span_id: (span.parent != 0).then(|| span.parent.to_be_bytes()),
            start: span.start,
            end: span.end,
            kind: operations.kind(span.operation),
        };
        for (orphan, call) in adopted(&trace.iter().map(node).collect::<Vec<_>>()) {
            *self.beyond.entry((trace[call].operation, trace[orphan].operation)).or_default() += 1;
        }
    }

    /// The children of one span, in order of start.
    fn look_at_siblings(&mut self, children: &[&Kept]) {
        let mut like: HashMap<u32, Vec<&Kept>> = HashMap::new();
        for child in children {
            like.entry(child.operation).or_default().push(child);
        }
        for (operation, siblings) in like {
            let sums = self.sums.entry(operation).or_default();
            sums.parents += 1;
            sums.repeats +=
                siblings.windows(2).filter(|pair| pair[0].failed && pair[1].start >= pair[0].end).count() as u64;
            let run = longest_run(&siblings) as f64;
            let alike =
                if run >= LONG_RUN as f64 { self.alike.get(&operation).map_or(1.0, |runs| runs.alike) } else { 1.0 };
            sums.runs += (run * alike).max(1.0);
        }
    }
}

/// The longest run of siblings, in order of start, each of which starts when the one before has ended.
pub fn longest_run(siblings: &[&Kept]) -> u64 {
    let (mut longest, mut run) = (1, 1);
    for pair in siblings.windows(2) {
        run = if pair[1].start >= pair[0].end { run + 1 } else { 1 };
        longest = longest.max(run);
    }
    longest
}
