//! Brings the spans of a tree onto one clock: a SERVER span that its machine's clock puts outside the CLIENT span
//! that called it is moved into it, with everything below it.
//!
//! Only this edge crosses a process, so only here can two clocks meet. A child of any other kind that leaves its
//! parent's time is taken at its word (work that outlives its caller) and clipped by whoever computes with it.
//! Where the true offset cannot be known the middle is assumed, as NTP does: equal delay there and back.

use super::tree::Forest;
use super::{Assembled, Node, SpanKind, flag};

/// A stretch of time in Unix nanoseconds; `start <= end`, and their difference fits an `i64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    pub start: i64,
    pub end: i64,
}

impl Interval {
    /// The span's time moved by `shift`; a span that ends before it starts lasts 0. Saturates at the ends of time.
    pub fn of(node: &Node, shift: i64) -> Self {
        Interval::starting(node.start.saturating_add(shift), duration(node))
    }

    fn starting(start: i64, duration: i64) -> Self {
        Interval { start, end: start.saturating_add(duration) }
    }

    pub fn duration(self) -> i64 {
        self.end - self.start
    }

    fn contains(self, inner: Interval) -> bool {
        self.start <= inner.start && inner.end <= self.end
    }
}

fn duration(node: &Node) -> i64 {
    node.end.saturating_sub(node.start).max(0)
}

/// Where each span lies on its root's clock. Fills `shift` and [`flag::CLOCK_SKEW`]; duplicates stay where they are.
pub(super) fn place(nodes: &[Node], forest: &Forest, out: &mut [Assembled]) -> Vec<Interval> {
    let mut placed: Vec<Interval> = nodes.iter().map(|node| Interval::of(node, 0)).collect();
    for &span in forest.order() {
        let Some(parent) = out[span].parent else { continue };
        let node = &nodes[span];
        let inherited = Interval::of(node, out[parent].shift);
        let called = node.kind == SpanKind::Server && nodes[parent].kind == SpanKind::Client;
        let (interval, skewed) = if called { reconcile(node, inherited, placed[parent]) } else { (inherited, false) };
        placed[span] = interval;
        out[span].shift = interval.start.saturating_sub(node.start);
        if skewed {
            out[span].flags |= flag::CLOCK_SKEW;
        }
    }
    placed
}

/// Where a called SERVER span lies within its CLIENT span, and whether the two clocks disagree.
fn reconcile(node: &Node, inherited: Interval, client: Interval) -> (Interval, bool) {
    // The third machine of a chain may share the first one's clock, so its own times are worth a try.
    for candidate in [inherited, Interval::of(node, 0)] {
        if client.contains(candidate) {
            return (candidate, false);
        }
    }
    let spare = client.duration() - duration(node);
    if spare >= 0 {
        return (Interval::starting(client.start + spare / 2, duration(node)), true);
    }
    // It lasts longer than the call. Either the client gave up first, which is no skew, or it began before the call.
    (inherited, inherited.start < client.start)
}
