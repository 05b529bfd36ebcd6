//! Whether a trace looks whole, so that it need not be quiet for long before it is assembled.
//!
//! Spans that have not come leave holes: a parent that is not there, a call without the span that answered it. Some holes
//! are usual: a database sends no spans, nor does what is in front of a service that hands its context on. So what is usual
//! is learned of each operation from traces as they are assembled. *Invariant:* a trace with a hole that is not known to be
//! usual waits as if nothing were known; what comes after a trace was taken for whole corrects it, as late spans do.

use std::collections::HashMap;

use model::trace::{Assembled, Node, SpanKind, flag};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// A hole is usual when this part of an operation's spans have it, of so many at least.
const USUAL: f32 = 0.9;
const LEAST_SPANS: f32 = 5.0;
/// What was learned of so many spans counts half when more come, so that a change is learned too.
const REMEMBERED: f32 = 256.0;
/// Operations of which something is remembered: then all is learned anew. A name for each request would fill memory.
const MOST_OPERATIONS: usize = 50_000;

/// A span with what it is called.
#[derive(Clone, Copy)]
pub struct Named<'a> {
    pub node: Node,
    pub service: &'a str,
    pub name: &'a str,
}

/// What may be missing beside a span.
#[derive(Clone, Copy)]
enum Hole {
    /// The parent that it names.
    Parent,
    /// What another service did for it.
    Answer,
}

/// How many spans of an operation had a hole.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    spans: f32,
    holes: f32,
}

/// Which holes are usual, by operation.
#[derive(Debug, Clone, Default)]
pub struct Usual(HashMap<u64, Seen>);

impl Usual {
    /// Learns from a trace that has been assembled.
    pub fn learn(&mut self, spans: &[Named<'_>], found: &[Assembled]) {
        each_place(spans, found, |span, hole, is_there| self.count(key(span, hole), is_there));
    }

    fn count(&mut self, key: u64, is_there: bool) {
        if self.0.len() >= MOST_OPERATIONS && !self.0.contains_key(&key) {
            self.0.clear();
        }
        let seen = self.0.entry(key).or_default();
        if seen.spans >= REMEMBERED {
            *seen = Seen { spans: seen.spans / 2.0, holes: seen.holes / 2.0 };
        }
        seen.spans += 1.0;
        seen.holes += f32::from(u8::from(is_there));
    }

    /// Whether all holes of the trace are usual.
    pub fn looks_whole(&self, spans: &[Named<'_>], found: &[Assembled]) -> bool {
        let mut is_whole = true;
        each_place(spans, found, |span, hole, is_there| {
            is_whole = is_whole && (!is_there || self.is_usual(span, hole));
        });
        is_whole
    }

    fn is_usual(&self, span: &Named<'_>, hole: Hole) -> bool {
        let seen = self.0.get(&key(span, hole)).filter(|seen| seen.spans >= LEAST_SPANS);
        match seen {
            Some(seen) => seen.holes >= USUAL * seen.spans,
            // Most operations that are no calls have nothing done for them elsewhere.
            None => matches!(hole, Hole::Answer) && span.node.kind != SpanKind::Client,
        }
    }
}

/// Tells of each place of a trace at which something may be missing whether it is.
fn each_place<'s, 'n>(spans: &'s [Named<'n>], found: &[Assembled], mut tell: impl FnMut(&'s Named<'n>, Hole, bool)) {
    let mut is_answered = vec![false; spans.len()];
    for (span, of) in spans.iter().zip(found) {
        if let Some(parent) = of.parent {
            is_answered[parent] |= span.node.kind == SpanKind::Server || span.service != spans[parent].service;
        }
    }
    for ((span, of), is_answered) in spans.iter().zip(found).zip(is_answered) {
        if of.flags & flag::DUPLICATE != 0 {
            continue;
        }
        if span.node.parent_span_id.is_some() {
            tell(span, Hole::Parent, of.flags & flag::ORPHAN != 0);
        }
        // A message is taken up at any later time.
        if span.node.kind != SpanKind::Producer {
            tell(span, Hole::Answer, !is_answered);
        }
    }
}

fn key(span: &Named<'_>, hole: Hole) -> u64 {
    let names = xxh3_64_with_seed(span.name.as_bytes(), xxh3_64(span.service.as_bytes()));
    names ^ (2 * span.node.kind as u64 + hole as u64)
}

#[cfg(test)]
mod tests {
    use model::trace::assemble;

    use super::*;

    /// By id, parent (0: none), service, name and kind; a second long each, the parents around their children.
    type Span = (u8, u8, &'static str, &'static str, SpanKind);

    fn trace(spans: &[Span]) -> (Vec<Named<'static>>, Vec<Assembled>) {
        let named = |&(id, parent, service, name, kind): &Span| Named {
            node: Node {
                span_id: [id; 8],
                parent_span_id: (parent != 0).then_some([parent; 8]),
                start: i64::from(id),
                end: 1_000 - i64::from(id),
                kind,
            },
            service,
            name,
        };
        let named: Vec<Named> = spans.iter().map(named).collect();
        let nodes: Vec<Node> = named.iter().map(|span| span.node).collect();
        let found = assemble(&nodes);
        (named, found)
    }

    const ENTRY: Span = (1, 0, "shop", "POST /buy", SpanKind::Server);
    const QUERY: Span = (2, 1, "shop", "SELECT", SpanKind::Client);
    const CALL: Span = (3, 1, "shop", "POST /take", SpanKind::Client);
    const ANSWER: Span = (4, 3, "stock", "POST /take", SpanKind::Server);
    /// Not sent: the service between the shop and the stock.
    const BEHIND: Span = (5, 99, "stock", "GET /left", SpanKind::Server);

    fn taught(times: usize, spans: &[Span]) -> Usual {
        let mut usual = Usual::default();
        let (spans, found) = trace(spans);
        (0..times).for_each(|_| usual.learn(&spans, &found));
        usual
    }

    fn is_whole(usual: &Usual, spans: &[Span]) -> bool {
        let (spans, found) = trace(spans);
        usual.looks_whole(&spans, &found)
    }

    #[test]
    fn a_trace_is_whole_when_nothing_is_missing_that_is_usually_there() {
        let usual = taught(5, &[ENTRY, QUERY, CALL, ANSWER]);
        assert!(is_whole(&usual, &[ENTRY, QUERY, CALL, ANSWER]));
        assert!(is_whole(&usual, &[ENTRY, QUERY]), "a request that calls nobody");
        assert!(!is_whole(&usual, &[QUERY, CALL, ANSWER]), "the root has not come");
        assert!(!is_whole(&usual, &[ENTRY, QUERY, CALL]), "the answer has not come");
        assert!(!is_whole(&usual, &[ENTRY, QUERY, ANSWER]), "the call has not come");
    }

    #[test]
    fn of_an_unknown_call_the_answer_may_be_missing() {
        let usual = taught(5, &[ENTRY, CALL, ANSWER]);
        assert!(!is_whole(&usual, &[ENTRY, QUERY]));
        assert!(!is_whole(&taught(4, &[ENTRY, QUERY]), &[ENTRY, QUERY]), "four are too few to know it");
        assert!(is_whole(&taught(5, &[ENTRY, QUERY]), &[ENTRY, QUERY]));
        assert!(is_whole(&Usual::default(), &[ENTRY]), "what is no call needs no answer");
    }

    #[test]
    fn what_is_behind_a_service_without_spans_is_whole_without_its_parent() {
        let usual = taught(20, &[ENTRY, QUERY, BEHIND]);
        assert!(is_whole(&usual, &[ENTRY, QUERY, BEHIND]));
        assert!(!is_whole(&taught(20, &[ENTRY, QUERY, CALL, ANSWER]), &[ENTRY, QUERY, BEHIND]));
    }

    #[test]
    fn an_answer_that_comes_since_a_while_is_waited_for() {
        let mut usual = taught(1_000, &[ENTRY, CALL]);
        assert!(is_whole(&usual, &[ENTRY, CALL]));
        let (spans, found) = trace(&[ENTRY, CALL, ANSWER]);
        // 256 at most are remembered: after 29 answers fewer than nine in ten are without.
        (0..29).for_each(|_| usual.learn(&spans, &found));
        assert!(!is_whole(&usual, &[ENTRY, CALL]));
    }
}
