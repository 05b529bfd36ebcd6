//! From parent ids to trees: who is whose child, which spans are roots, and which is each tree's entry.
//!
//! Parent ids are input and may be anything, so this is where missing parents, cycles, shared and repeated ids end.
//! Afterwards every span but the duplicates is in exactly one tree, and following parents ends at its root.

use super::skew::Interval;
use super::{Assembled, Node, SpanKind, adopt, flag};

/// Finds the parent of every span, cuts cycles, finds a place for orphans, and flags roots and oddities.
///
/// A span's identity is its id and kind, since the two sides of a call may share one id (Zipkin's B3 propagation
/// does): then the SERVER span is the CLIENT span's child, and whoever names the id means the receiving side.
pub(super) fn link(nodes: &[Node]) -> Vec<Assembled> {
    let mut out = vec![Assembled::default(); nodes.len()];
    let by_id = sorted_by_id(nodes);
    for pair in by_id.windows(2) {
        if identity(&nodes[pair[0]]) == identity(&nodes[pair[1]]) {
            out[pair[1]].flags = flag::DUPLICATE;
        }
    }
    for (span, found) in out.iter_mut().enumerate() {
        if found.flags & flag::DUPLICATE == 0 {
            (found.parent, found.flags) = parent_of(span, nodes, &by_id);
        }
    }
    cut_cycles(nodes, &mut out);
    adopt::adopt_orphans(nodes, &mut out);
    flag_roots(nodes, &mut out);
    out
}

/// What makes two spans the same span.
pub(super) fn identity(node: &Node) -> ([u8; 8], SpanKind) {
    (node.span_id, node.kind)
}

/// Indices by identity; of several copies the one that starts first comes first, whatever the order of the input.
fn sorted_by_id(nodes: &[Node]) -> Vec<usize> {
    let mut by_id: Vec<usize> = (0..nodes.len()).collect();
    by_id.sort_unstable_by_key(|&i| {
        let node = &nodes[i];
        (node.span_id, node.kind, node.start, node.end, node.parent_span_id, i)
    });
    by_id
}

/// All spans with this id.
fn with_id<'a>(id: [u8; 8], nodes: &'a [Node], by_id: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
    let first = by_id.partition_point(|&i| nodes[i].span_id < id);
    by_id[first..].iter().copied().take_while(move |&i| nodes[i].span_id == id)
}

fn parent_of(span: usize, nodes: &[Node], by_id: &[usize]) -> (Option<usize>, i64) {
    let node = &nodes[span];
    if node.kind == SpanKind::Server {
        let client = with_id(node.span_id, nodes, by_id).find(|&i| nodes[i].kind == SpanKind::Client);
        if client.is_some() {
            return (client, 0);
        }
    }
    let Some(id) = node.parent_span_id else {
        return (None, if node.kind == SpanKind::Consumer { flag::ASYNC_ROOT } else { 0 });
    };
    let others = with_id(id, nodes, by_id).filter(|&i| identity(&nodes[i]) != identity(node));
    // `min_by_key` keeps the first of equals, so it never picks a duplicate.
    let parent = others.min_by_key(|&i| match nodes[i].kind {
        SpanKind::Server => 0,
        SpanKind::Consumer => 1,
        _ => 2,
    });
    match parent {
        Some(_) if node.kind == SpanKind::Consumer => (None, flag::ASYNC_ROOT),
        Some(_) => (parent, 0),
        None if id == node.span_id => (None, flag::CYCLE),
        None => (None, flag::ORPHAN),
    }
}

/// Makes the span that starts first in each cycle a root.
fn cut_cycles(nodes: &[Node], out: &mut [Assembled]) {
    let mut walked = vec![usize::MAX; nodes.len()];
    for walk in 0..nodes.len() {
        let mut at = Some(walk);
        while let Some(span) = at
            && walked[span] == usize::MAX
        {
            walked[span] = walk;
            at = out[span].parent;
        }
        // Meeting an earlier walk's trail is a path to a known root; meeting one's own is a cycle.
        if let Some(span) = at
            && walked[span] == walk
        {
            let cut = first_of_cycle(span, nodes, out);
            out[cut].parent = None;
            out[cut].flags |= flag::CYCLE;
        }
    }
}

fn first_of_cycle(member: usize, nodes: &[Node], out: &[Assembled]) -> usize {
    let age = |i: usize| (nodes[i].start, nodes[i].end, identity(&nodes[i]));
    let mut first = member;
    let mut at = out[member].parent;
    while let Some(span) = at
        && span != member
    {
        if age(span) < age(first) {
            first = span;
        }
        at = out[span].parent;
    }
    first
}

fn flag_roots(nodes: &[Node], out: &mut [Assembled]) {
    let mut without_parent = Vec::new();
    for (span, found) in out.iter_mut().enumerate() {
        if found.parent.is_none() && found.flags & flag::DUPLICATE == 0 {
            found.flags |= flag::ROOT;
            if nodes[span].parent_span_id.is_none() {
                without_parent.push(span);
            }
        }
    }
    if without_parent.len() > 1 {
        for span in without_parent {
            out[span].flags |= flag::SEVERAL_ROOTS;
        }
    }
}

/// The trees as arrays: spans in the order parents before children, and each span's children side by side.
pub(super) struct Forest {
    order: Vec<usize>,
    roots: usize,
    /// The children of `i` are `children[first[i]..first[i + 1]]`.
    first: Vec<usize>,
    children: Vec<usize>,
}

impl Forest {
    /// Reads the parents in `out`, which must be free of cycles. Duplicates are in no tree.
    pub fn new(out: &[Assembled]) -> Self {
        let members = || (0..out.len()).filter(|&i| out[i].flags & flag::DUPLICATE == 0);
        let mut first = vec![0; out.len() + 1];
        for parent in members().filter_map(|i| out[i].parent) {
            first[parent + 1] += 1;
        }
        for i in 0..out.len() {
            first[i + 1] += first[i];
        }
        let mut free = first.clone();
        let mut children = vec![0; first[out.len()]];
        let mut order = Vec::with_capacity(out.len());
        for span in members() {
            match out[span].parent {
                None => order.push(span),
                Some(parent) => {
                    children[free[parent]] = span;
                    free[parent] += 1;
                }
            }
        }
        let roots = order.len();
        let mut next = 0;
        while let Some(&span) = order.get(next) {
            order.extend_from_slice(&children[first[span]..first[span + 1]]);
            next += 1;
        }
        Forest { order, roots, first, children }
    }

    /// Every span once, level by level.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    pub fn roots(&self) -> &[usize] {
        &self.order[..self.roots]
    }

    pub fn children(&self, span: usize) -> &[usize] {
        &self.children[self.first[span]..self.first[span + 1]]
    }

    /// Sorts siblings by falling end; of those that end together the longest comes first.
    pub fn sort_children_by_end(&mut self, nodes: &[Node], placed: &[Interval]) {
        let key = |&i: &usize| (std::cmp::Reverse(placed[i].end), placed[i].start, identity(&nodes[i]));
        for &span in &self.order {
            let siblings = &mut self.children[self.first[span]..self.first[span + 1]];
            if siblings.len() > 1 {
                siblings.sort_unstable_by_key(key);
            }
        }
    }
}

/// Fills `entry` and [`flag::ENTRY`]: the topmost SERVER span, of several at one depth the one that starts first.
/// A tree begun by a message (a CONSUMER is always a root) or without any SERVER span is entered at its root.
pub(super) fn mark_entries(nodes: &[Node], forest: &Forest, placed: &[Interval], out: &mut [Assembled]) {
    let mut depth = vec![0; nodes.len()];
    let mut root = vec![0; nodes.len()];
    for &span in forest.order() {
        (depth[span], root[span]) = match out[span].parent {
            Some(parent) => (depth[parent] + 1, root[parent]),
            None => (0, span),
        };
    }
    let rank = |i: usize| (depth[i], placed[i].start, placed[i].end, identity(&nodes[i]));
    let mut entry: Vec<Option<usize>> = vec![None; nodes.len()];
    for &span in forest.order() {
        let received = matches!(nodes[span].kind, SpanKind::Server | SpanKind::Consumer);
        let best = &mut entry[root[span]];
        if received && best.is_none_or(|best| rank(span) < rank(best)) {
            *best = Some(span);
        }
    }
    for &span in forest.order() {
        out[span].entry = entry[root[span]].unwrap_or(root[span]);
    }
    for &root in forest.roots() {
        let entry = out[root].entry;
        out[entry].flags |= flag::ENTRY;
    }
}

/// Puts every duplicate beside the span that it repeats.
pub(super) fn finish_duplicates(nodes: &[Node], out: &mut [Assembled]) {
    if out.iter().all(|found| found.flags & flag::DUPLICATE == 0) {
        return;
    }
    let mut original = None;
    for span in sorted_by_id(nodes) {
        match original {
            Some(first) if out[span].flags & flag::DUPLICATE != 0 => {
                let first: &Assembled = &out[first];
                let (parent, entry, shift) = (first.parent, first.entry, first.shift);
                out[span] = Assembled { parent, entry, shift, flags: flag::DUPLICATE, ..Assembled::default() };
            }
            _ => original = Some(span),
        }
    }
}
