//! What holds for any spans whatever: forests with wrong parents, cycles, copies and wild times, against the
//! definitions computed the slow way.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// Few ids, so that parents exist, are missing, repeat and form cycles.
fn node() -> impl Strategy<Value = Node> {
    let kind = prop_oneof![
        Just(SpanKind::Internal),
        Just(SpanKind::Server),
        Just(SpanKind::Client),
        Just(SpanKind::Producer),
        Just(SpanKind::Consumer),
    ];
    (0u8..12, proptest::option::of(0u8..14), kind, 0i64..300, -10i64..200).prop_map(
        |(id, parent, kind, start, lasts)| Node {
            span_id: [id; 8],
            parent_span_id: parent.map(|p| [p; 8]),
            start,
            end: start + lasts,
            kind,
        },
    )
}

fn traces() -> impl Strategy<Value = Vec<Node>> {
    proptest::collection::vec(node(), 0..24)
}

fn root_of(span: usize, out: &[Assembled]) -> usize {
    let mut at = span;
    for _ in 0..=out.len() {
        match out[at].parent {
            Some(parent) => at = parent,
            None => return at,
        }
    }
    panic!("following parents from {span} never ends");
}

fn placed(nodes: &[Node], out: &[Assembled], span: usize) -> (i64, i64) {
    let start = nodes[span].start + out[span].shift;
    (start, start + (nodes[span].end - nodes[span].start).max(0))
}

fn counts(out: &[Assembled], span: usize) -> bool {
    out[span].flags & flag::DUPLICATE == 0
}

fn children(out: &[Assembled], span: usize) -> Vec<usize> {
    (0..out.len()).filter(|&i| counts(out, i) && out[i].parent == Some(span)).collect()
}

/// Counts the nanoseconds of the span in which no child runs, one by one.
fn self_time_by_the_nanosecond(nodes: &[Node], out: &[Assembled], span: usize) -> i64 {
    let (start, end) = placed(nodes, out, span);
    let children: Vec<(i64, i64)> = children(out, span).into_iter().map(|c| placed(nodes, out, c)).collect();
    (start..end).filter(|t| !children.iter().any(|(from, to)| from <= t && t < to)).count() as i64
}

/// The definition of the critical path as a plain recursion that looks at every child at every step.
fn walk_by_definition(nodes: &[Node], out: &[Assembled], span: usize, from: i64, to: i64, spent: &mut [i64]) {
    let mut left = children(out, span);
    let mut point = to;
    loop {
        let ended_last = left
            .iter()
            .copied()
            .filter(|&c| {
                let (start, end) = placed(nodes, out, c);
                let grain = (end - start) / 100;
                start < point && end > from && end.min(to) <= point + grain && start.max(from) < end.min(point)
            })
            .max_by_key(|&c| {
                let (start, end) = placed(nodes, out, c);
                (end, -start, std::cmp::Reverse((nodes[c].span_id, nodes[c].kind)))
            });
        let Some(child) = ended_last else { break };
        left.retain(|&c| c != child);
        let (start, end) = placed(nodes, out, child);
        let (start, end) = (start.max(from), end.min(point));
        spent[span] += point - end;
        walk_by_definition(nodes, out, child, start, end, spent);
        point = start;
    }
    spent[span] += point - from;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_span_is_in_exactly_one_tree(nodes in traces()) {
        let out = assemble(&nodes);
        prop_assert_eq!(out.len(), nodes.len());
        let mut entries = HashMap::new();
        for span in 0..nodes.len() {
            let root = root_of(span, &out);
            let root = if counts(&out, root) { root } else { root_of(out[root].entry, &out) };
            prop_assert!(out[root].flags & flag::ROOT != 0);
            prop_assert!(out[out[span].entry].flags & flag::ENTRY != 0);
            prop_assert_eq!(*entries.entry(root).or_insert(out[span].entry), out[span].entry, "one entry per tree");
            prop_assert_eq!(out[span].flags & flag::ROOT != 0, out[span].parent.is_none() && counts(&out, span));
        }
        let roots = (0..nodes.len()).filter(|&i| out[i].flags & flag::ROOT != 0).count();
        let with_flag = (0..nodes.len()).filter(|&i| out[i].flags & flag::ENTRY != 0).count();
        prop_assert_eq!((roots, with_flag), (entries.len(), entries.len()));
    }

    #[test]
    fn each_identity_counts_once(nodes in traces()) {
        let out = assemble(&nodes);
        let mut seen = HashMap::new();
        for (node, found) in nodes.iter().zip(&out) {
            *seen.entry((node.span_id, node.kind)).or_insert(0) += i32::from(found.flags & flag::DUPLICATE == 0);
            if found.flags & flag::DUPLICATE != 0 {
                prop_assert_eq!((found.self_time, found.critical_path), (0, 0));
            }
        }
        prop_assert!(seen.values().all(|&n| n == 1));
    }

    #[test]
    fn critical_path_sums_to_each_roots_duration(nodes in traces()) {
        let out = assemble(&nodes);
        for root in (0..nodes.len()).filter(|&i| out[i].flags & flag::ROOT != 0) {
            let tree = (0..nodes.len()).filter(|&i| counts(&out, i) && root_of(i, &out) == root);
            let sum: i64 = tree.map(|i| out[i].critical_path).sum();
            prop_assert_eq!(sum, (nodes[root].end - nodes[root].start).max(0));
        }
    }

    #[test]
    fn times_lie_within_the_span(nodes in traces()) {
        let out = assemble(&nodes);
        for (node, found) in nodes.iter().zip(&out) {
            let duration = (node.end - node.start).max(0);
            prop_assert!((0..=duration).contains(&found.self_time));
            prop_assert!((0..=duration).contains(&found.critical_path));
        }
    }

    /// Where no siblings overlap, what a span contributes to the path is time in which it alone ran.
    #[test]
    fn critical_path_is_part_of_self_time_where_siblings_take_turns(nodes in traces()) {
        let out = assemble(&nodes);
        for span in (0..nodes.len()).filter(|&i| counts(&out, i)) {
            let mut turns: Vec<_> = children(&out, span).into_iter().map(|c| placed(&nodes, &out, c)).collect();
            turns.sort_unstable();
            if turns.windows(2).all(|w| w[0].1 <= w[1].0) {
                prop_assert!(out[span].critical_path <= out[span].self_time);
            }
        }
    }

    #[test]
    fn segments_follow_one_another_and_agree_with_the_sums(nodes in traces()) {
        let out = assemble(&nodes);
        let mut spent = vec![0; nodes.len()];
        let mut by_root: HashMap<usize, Vec<Segment>> = HashMap::new();
        for segment in critical_segments(&nodes, &out) {
            prop_assert!(segment.start < segment.end);
            let (start, end) = placed(&nodes, &out, segment.span);
            prop_assert!(start <= segment.start && segment.end <= end);
            spent[segment.span] += segment.end - segment.start;
            by_root.entry(root_of(segment.span, &out)).or_default().push(segment);
        }
        prop_assert_eq!(spent, out.iter().map(|a| a.critical_path).collect::<Vec<_>>());
        for (root, segments) in by_root {
            let (start, end) = placed(&nodes, &out, root);
            prop_assert_eq!((segments[0].start, segments[segments.len() - 1].end), (start, end));
            prop_assert!(segments.windows(2).all(|w| w[0].end == w[1].start && w[0].span != w[1].span));
        }
    }

    #[test]
    fn self_time_agrees_with_counting(nodes in traces()) {
        let out = assemble(&nodes);
        for span in (0..nodes.len()).filter(|&i| counts(&out, i)) {
            prop_assert_eq!(out[span].self_time, self_time_by_the_nanosecond(&nodes, &out, span));
        }
    }

    #[test]
    fn critical_path_agrees_with_its_definition(nodes in traces()) {
        let out = assemble(&nodes);
        let mut spent = vec![0; nodes.len()];
        for root in (0..nodes.len()).filter(|&i| out[i].flags & flag::ROOT != 0) {
            let (start, end) = placed(&nodes, &out, root);
            walk_by_definition(&nodes, &out, root, start, end, &mut spent);
        }
        prop_assert_eq!(spent, out.iter().map(|a| a.critical_path).collect::<Vec<_>>());
    }

    #[test]
    fn only_a_server_below_a_client_is_ever_moved_and_then_it_fits(nodes in traces()) {
        let out = assemble(&nodes);
        for span in (0..nodes.len()).filter(|&i| counts(&out, i)) {
            let Some(parent) = out[span].parent else {
                prop_assert_eq!(out[span].shift, 0);
                continue;
            };
            let across = nodes[span].kind == SpanKind::Server && nodes[parent].kind == SpanKind::Client;
            let ((start, end), (from, to)) = (placed(&nodes, &out, span), placed(&nodes, &out, parent));
            if across && end - start <= to - from {
                prop_assert!(from <= start && end <= to);
            }
            if !across {
                prop_assert_eq!(out[span].shift, out[parent].shift);
                prop_assert_eq!(out[span].flags & flag::CLOCK_SKEW, 0);
            }
        }
    }

    /// The store meets spans in any order and must find the same.
    #[test]
    fn the_order_of_the_input_does_not_matter(
        (nodes, order) in traces().prop_flat_map(|nodes| {
            let order: Vec<usize> = (0..nodes.len()).collect();
            (Just(nodes), Just(order).prop_shuffle())
        })
    ) {
        let shuffled: Vec<Node> = order.iter().map(|&i| nodes[i]).collect();
        let what = |nodes: &[Node], out: Vec<Assembled>| {
            let mut rows: Vec<_> = nodes.iter().zip(&out).map(|(node, a)| {
                let parent = a.parent.map(|p| (nodes[p].span_id, nodes[p].kind));
                let entry = (nodes[a.entry].span_id, nodes[a.entry].kind);
                let key = (node.span_id, node.kind, node.start, node.end, node.parent_span_id);
                (key, parent, entry, a.self_time, a.critical_path, a.shift, a.flags)
            }).collect();
            rows.sort_unstable();
            rows
        };
        prop_assert_eq!(what(&nodes, assemble(&nodes)), what(&shuffled, assemble(&shuffled)));
    }
}
