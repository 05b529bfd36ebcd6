//! Trace assembly: from the spans of one trace to its tree, self times and critical path. Pure, iterative
//! (a trace may have 100,000 spans in one chain), and the only implementation: the store calls it when it writes,
//! a query calls it for what is still in memory.
//!
//! ```text
//! spans ─tree─▶ parents, roots, entries ─skew─▶ one clock per tree ─┬─self_time──────▶ Assembled::self_time
//!                                                                   └─critical_path──▶ Assembled::critical_path
//! ```
//!
//! Invariants, tested in `properties`: every span is in exactly one tree, following parents ends at its root,
//! `critical_path` over a tree sums to the root's duration to the nanosecond, and neither the order of the input
//! nor repeated copies of a span change any other result. The cost is O(n log n).

mod adopt;
mod critical_path;
mod self_time;
mod skew;
mod tree;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use skew::Interval;
use tree::Forest;

/// What assembly needs to know of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Node {
    pub span_id: [u8; 8],
    /// `None` for a root.
    pub parent_span_id: Option<[u8; 8]>,
    /// Unix nanoseconds.
    pub start: i64,
    pub end: i64,
    pub kind: SpanKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum SpanKind {
    #[default]
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

impl SpanKind {
    pub fn name(self) -> &'static str {
        match self {
            SpanKind::Unspecified => "UNSPECIFIED",
            SpanKind::Internal => "INTERNAL",
            SpanKind::Server => "SERVER",
            SpanKind::Client => "CLIENT",
            SpanKind::Producer => "PRODUCER",
            SpanKind::Consumer => "CONSUMER",
        }
    }

    pub fn parse(name: &str) -> Self {
        match name {
            "INTERNAL" => SpanKind::Internal,
            "SERVER" => SpanKind::Server,
            "CLIENT" => SpanKind::Client,
            "PRODUCER" => SpanKind::Producer,
            "CONSUMER" => SpanKind::Consumer,
            _ => SpanKind::Unspecified,
        }
    }
}

/// Bits of `tree_flags`. What is said of a tree or a trace stands on its root.
pub mod flag {
    /// The parent named by the span is not in the trace. The span is taken for a child of the call without a child in
    /// whose time it ran, if there is one, else for a root of its own tree.
    pub const ORPHAN: i64 = 1;
    /// The span was part of a cycle of parents (or its own parent), which was cut here.
    pub const CYCLE: i64 = 2;
    /// The trace has more than one root without a parent; each of them has this flag.
    pub const SEVERAL_ROOTS: i64 = 4;
    /// A SERVER span outside its CLIENT parent's time, so clocks disagree; it was moved for the calculation where
    /// it fits into the parent, else cut to it.
    pub const CLOCK_SKEW: i64 = 8;
    /// A consumer of a message: the root of its own tree, tied to its producer by parent id, or in a trace of its own.
    pub const ASYNC_ROOT: i64 = 16;
    /// Another copy of this span (same id and kind) is in the trace and starts no later; this one counts for nothing.
    pub const DUPLICATE: i64 = 32;
    /// This span is a root of its tree.
    pub const ROOT: i64 = 64;
    /// This span is its tree's entry: the topmost SERVER span (or the CONSUMER at the root), else the root.
    pub const ENTRY: i64 = 128;
}

/// What assembly found for one span.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assembled {
    /// Index of the parent within the input, after cutting cycles and placing orphans; `None` for roots of trees. A
    /// duplicate has the parent of the span it repeats.
    pub parent: Option<usize>,
    /// Index of the entry span of the tree this span is in.
    pub entry: usize,
    /// Time in which no child of the span ran (children clipped to the span), ns.
    pub self_time: i64,
    /// The span's exclusive share of its tree's critical path, ns. Over a tree they sum to the root's duration.
    pub critical_path: i64,
    /// How far the span was moved to reconcile clocks, ns; 0 unless it or an ancestor has [`flag::CLOCK_SKEW`].
    pub shift: i64,
    /// Bits of [`flag`].
    pub flags: i64,
}

/// A stretch of a trace's critical path, for drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Index of the span within the input.
    pub span: usize,
    /// Unix nanoseconds with [`Assembled::shift`] applied.
    pub start: i64,
    pub end: i64,
}

/// Assembles the spans of one trace. The answer has one element per span, in the order given.
pub fn assemble(nodes: &[Node]) -> Vec<Assembled> {
    let mut out = tree::link(nodes);
    let mut forest = Forest::new(&out);
    let placed = skew::place(nodes, &forest, &mut out);
    forest.sort_children_by_end(nodes, &placed);
    for &span in forest.order() {
        out[span].self_time = self_time::of(placed[span], forest.children(span).iter().map(|&child| placed[child]));
    }
    for &root in forest.roots() {
        critical_path::walk_back(&forest, &placed, root, |span, piece| out[span].critical_path += piece.duration());
    }
    tree::mark_entries(nodes, &forest, &placed, &mut out);
    tree::finish_duplicates(nodes, &mut out);
    out
}

/// The call without a child in whose time each orphan ran, where there is one: pairs of orphan and call, by index.
/// [`assemble`] takes them for child and parent.
pub fn adopted(nodes: &[Node]) -> Vec<(usize, usize)> {
    let is_orphan = |found: &Assembled| found.flags & flag::ORPHAN != 0;
    let linked = tree::link(nodes).into_iter().enumerate();
    linked.filter(|(_, found)| is_orphan(found)).filter_map(|(orphan, found)| Some((orphan, found.parent?))).collect()
}

/// The critical path of every tree of an assembled trace, tree after tree, each in the order of time: within a tree
/// the segments follow one another without gap or overlap from the root's start to its end.
pub fn critical_segments(nodes: &[Node], assembled: &[Assembled]) -> Vec<Segment> {
    let mut forest = Forest::new(assembled);
    let placed: Vec<Interval> = nodes.iter().zip(assembled).map(|(node, a)| Interval::of(node, a.shift)).collect();
    forest.sort_children_by_end(nodes, &placed);
    let mut segments = Vec::new();
    for &root in forest.roots() {
        let first = segments.len();
        critical_path::walk_back(&forest, &placed, root, |span, piece| {
            segments.push(Segment { span, start: piece.start, end: piece.end });
        });
        segments[first..].reverse();
    }
    segments
}
