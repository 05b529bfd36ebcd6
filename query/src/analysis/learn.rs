//! Facts about operations, from traces that were kept whole: means over spans, so an even part of the traces will do.

use std::collections::HashMap;

use model::trace::SpanKind;

use super::called::Operations;
use super::observe::Kept;
use super::ranking::{Details, FactBook};

/// Sums of what [`Details`] are the means of.
#[derive(Default)]
struct Sums {
    own: Vec<i64>,
    waits: Vec<i64>,
    repeats: u64,
    runs: u64,
    parents: u64,
}

/// What is learnt from one side.
#[derive(Default)]
struct Lesson {
    sums: HashMap<u32, Sums>,
    /// How often one operation is the parent of another.
    relations: HashMap<(u32, u32), u64>,
}

/// Adds the facts of one side to the book; `spans` are sorted by trace. The window, which is learnt first, says which
/// relations are usual; the baseline only adds to them.
pub fn learn(spans: &[Kept], operations: &Operations, is_baseline: bool, book: &mut FactBook) {
    let mut lesson = Lesson::default();
    for trace in spans.chunk_by(|a, b| a.trace == b.trace) {
        lesson.look_at(trace);
    }
    for (number, sums) in lesson.sums {
        let facts = book.entry(operations.operation(number)).or_default();
        let details = if is_baseline { &mut facts.baseline } else { &mut facts.window };
        *details = sums.details();
    }
    let named = |((parent, child), times)| (operations.operation(parent), operations.operation(child), times);
    let mut relations: Vec<_> = lesson.relations.into_iter().map(named).collect();
    relations.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| (&a.0, &a.1).cmp(&(&b.0, &b.1))));
    for (parent, child, _) in relations {
        if parent.kind == SpanKind::Client && child.kind == SpanKind::Server {
            book.entry(parent.clone()).or_default().callee.get_or_insert(child.place());
        }
        book.entry(child).or_default().parent.get_or_insert(parent);
    }
}

impl Sums {
    fn details(mut self) -> Details {
        self.own.sort_unstable();
        let quantile =
            |q: f64| self.own.get(((self.own.len() as f64 * q) as usize).min(self.own.len().saturating_sub(1)));
        let mean = |sum: f64, n: usize| (n > 0).then(|| sum / n as f64);
        Details {
            wait_before_first_child_ns: mean(self.waits.iter().sum::<i64>() as f64, self.waits.len()),
            exclusive_p10_ns: quantile(0.1).map(|v| *v as f64),
            exclusive_p50_ns: quantile(0.5).map(|v| *v as f64),
            repeats_per_parent: mean(self.repeats as f64, self.parents as usize),
            sequential_siblings: mean(self.runs as f64, self.parents as usize),
        }
    }
}

impl Lesson {
    fn look_at(&mut self, trace: &[Kept]) {
        // The two sides of a call may share an id; the one that starts later is the receiving one.
        let by_id: HashMap<u64, usize> = trace.iter().enumerate().map(|(at, span)| (span.span, at)).collect();
        let mut families: Vec<(usize, usize)> = Vec::new();
        for (at, span) in trace.iter().enumerate() {
            self.sums.entry(span.operation).or_default().own.push(span.own);
            if let Some(&parent) = by_id.get(&span.parent).filter(|&&parent| parent != at) {
                families.push((parent, at));
                *self.relations.entry((trace[parent].operation, span.operation)).or_default() += 1;
            }
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
            sums.runs += longest_run(&siblings);
        }
    }
}

/// The longest run of siblings, in order of start, each of which starts when the one before has ended.
fn longest_run(siblings: &[&Kept]) -> u64 {
    let (mut longest, mut run) = (1, 1);
    for pair in siblings.windows(2) {
        run = if pair[1].start >= pair[0].end { run + 1 } else { 1 };
        longest = longest.max(run);
    }
    longest
}
