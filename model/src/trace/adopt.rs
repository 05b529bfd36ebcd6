//! Gives orphans a place below the call in whose time they ran.
//!
//! A proxy or a service that sends no spans leaves a hole: the CLIENT span that called it has no child, and what the
//! service called in turn names a parent that is not there. The request went through both, so the orphan is taken for
//! part of that call; else its time would count once for the call, as if somebody outside had spent it, and once more in
//! a tree of its own. *Invariant:* an adopted span keeps [`flag::ORPHAN`], and no cycle comes about.

use super::skew::Interval;
use super::tree::identity;
use super::{Assembled, Node, SpanKind, flag};

/// Calls looked at for an orphan: those that began last before it, and as many that began after.
const LOOKED_AT: usize = 32;
/// Clocks of two machines are taken to differ by no more than this, ns.
const CLOCKS_APART: i64 = 1_000_000_000;

/// Sets the parent of each orphan that a call without a child has room for. `out` must be free of cycles.
pub(super) fn adopt_orphans(nodes: &[Node], out: &mut [Assembled]) {
    let mut orphans: Vec<usize> = (0..nodes.len()).filter(|&span| is_adoptable(&nodes[span], &out[span])).collect();
    if orphans.is_empty() {
        return;
    }
    let calls = childless_calls(nodes, out);
    if calls.is_empty() {
        return;
    }
    // The same answer for any order of the input.
    orphans.sort_unstable_by_key(|&span| (nodes[span].start, nodes[span].end, identity(&nodes[span])));
    let mut roots = Roots::of(out);
    for orphan in orphans {
        let from = calls.partition_point(|&call| nodes[call].start <= nodes[orphan].start);
        let near = from.saturating_sub(LOOKED_AT)..(from + LOOKED_AT).min(calls.len());
        let fits = calls[near].iter().filter_map(|&call| Some((misfit(&nodes[orphan], &nodes[call])?, call)));
        let fits = fits.filter(|&(_, call)| roots.of_span(call) != orphan);
        let best = fits
            .min_by_key(|&(misfit, call)| (misfit, Interval::of(&nodes[call], 0).duration(), identity(&nodes[call])));
        if let Some((_, call)) = best {
            out[orphan].parent = Some(call);
            roots.0[orphan] = call;
        }
    }
}

/// A message is taken up at any later time: that says nothing of who sent it.
fn is_adoptable(node: &Node, found: &Assembled) -> bool {
    found.flags & flag::ORPHAN != 0 && node.kind != SpanKind::Consumer
}

/// CLIENT spans of which nobody is a child, in order of start.
fn childless_calls(nodes: &[Node], out: &[Assembled]) -> Vec<usize> {
    let mut has_child = vec![false; nodes.len()];
    out.iter().filter_map(|found| found.parent).for_each(|parent| has_child[parent] = true);
    let is_call = |&span: &usize| {
        nodes[span].kind == SpanKind::Client && !has_child[span] && out[span].flags & flag::DUPLICATE == 0
    };
    let mut calls: Vec<usize> = (0..nodes.len()).filter(is_call).collect();
    calls.sort_unstable_by_key(|&span| (nodes[span].start, nodes[span].end, identity(&nodes[span])));
    calls
}

/// By how much an orphan lies outside a call, ns; `None` when it cannot be a part of it. Only what another machine
/// received may lie outside, since only then two clocks are compared.
fn misfit(orphan: &Node, call: &Node) -> Option<i64> {
    let (inner, outer) = (Interval::of(orphan, 0), Interval::of(call, 0));
    if inner.duration() > outer.duration() {
        return None;
    }
    let outside = outer.start.saturating_sub(inner.start).max(inner.end.saturating_sub(outer.end)).max(0);
    let most = if orphan.kind == SpanKind::Server { CLOCKS_APART } else { 0 };
    (outside <= most).then_some(outside)
}

/// The root of each span's tree, found by halving the way to it: for each span itself or one further up.
struct Roots(Vec<usize>);

impl Roots {
    fn of(out: &[Assembled]) -> Self {
        Roots(out.iter().enumerate().map(|(span, found)| found.parent.unwrap_or(span)).collect())
    }

    fn of_span(&mut self, mut span: usize) -> usize {
        while self.0[span] != span {
            self.0[span] = self.0[self.0[span]];
            span = self.0[span];
        }
        span
    }
}
