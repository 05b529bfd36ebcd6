//! Traces drawn by hand, with figures worked out by hand. Times are in ns; `#` marks the critical path.

use super::*;
use SpanKind::{Client, Consumer, Internal, Producer, Server};

/// Id 0 as the parent means none.
fn span(id: u64, parent: u64, kind: SpanKind, start: i64, end: i64) -> Node {
    let parent_span_id = (parent != 0).then(|| parent.to_be_bytes());
    Node { span_id: id.to_be_bytes(), parent_span_id, start, end, kind }
}

fn self_times(out: &[Assembled]) -> Vec<i64> {
    out.iter().map(|a| a.self_time).collect()
}

fn critical(out: &[Assembled]) -> Vec<i64> {
    out.iter().map(|a| a.critical_path).collect()
}

fn flags(out: &[Assembled]) -> Vec<i64> {
    out.iter().map(|a| a.flags).collect()
}

fn parents(out: &[Assembled]) -> Vec<Option<usize>> {
    out.iter().map(|a| a.parent).collect()
}

/// Spans, starts and ends of the critical segments.
fn path(nodes: &[Node], out: &[Assembled]) -> Vec<(usize, i64, i64)> {
    critical_segments(nodes, out).iter().map(|s| (s.span, s.start, s.end)).collect()
}

const ROOT_AND_ENTRY: i64 = flag::ROOT | flag::ENTRY;

#[test]
fn nothing_gives_nothing() {
    assert_eq!(assemble(&[]), []);
    assert_eq!(critical_segments(&[], &[]), []);
}

/// ```text
/// 0 |0##--------##-------###100|
/// 1    |10####40|
/// 2               |50###80|
/// ```
#[test]
fn calls_in_sequence_are_all_critical() {
    let nodes = [span(1, 0, Server, 0, 100), span(2, 1, Client, 10, 40), span(3, 1, Client, 50, 80)];
    let out = assemble(&nodes);
    assert_eq!(self_times(&out), [40, 30, 30]);
    assert_eq!(critical(&out), [40, 30, 30]);
    assert_eq!(path(&nodes, &out), [(0, 0, 10), (1, 10, 40), (0, 40, 50), (2, 50, 80), (0, 80, 100)]);
    assert_eq!(parents(&out), [None, Some(0), Some(0)]);
    assert_eq!(flags(&out), [ROOT_AND_ENTRY, 0, 0]);
}

/// ```text
/// 0 |0##---------------------##100|
/// 1    |10──────50|
/// 2    |10################90|
/// 3       |20──────60|
/// ```
#[test]
fn of_a_fan_out_only_the_last_to_end_is_critical() {
    let nodes = [
        span(1, 0, Server, 0, 100),
        span(2, 1, Client, 10, 50),
        span(3, 1, Client, 10, 90),
        span(4, 1, Client, 20, 60),
    ];
    let out = assemble(&nodes);
    assert_eq!(self_times(&out), [20, 40, 80, 40]);
    assert_eq!(critical(&out), [20, 0, 80, 0]);
}

/// ```text
/// 0 |0##--------------------#100|
/// 1    |10##-----------###95|
/// 2        |20##------#70|
/// 3            |30####60|
/// ```
#[test]
fn nested_calls_leave_each_level_its_own_part() {
    let nodes = [
        span(1, 0, Server, 0, 100),
        span(2, 1, Client, 10, 95),
        span(3, 2, Server, 20, 70),
        span(4, 3, Internal, 30, 60),
    ];
    let out = assemble(&nodes);
    assert_eq!(self_times(&out), [15, 35, 20, 30]);
    assert_eq!(critical(&out), [15, 35, 20, 30]);
}

/// ```text
/// 0 |0######--------------##100|
/// 1    |10─────────60|             still running when 2 began, so 2 did not wait for it
/// 2            |40######90|
/// ```
#[test]
fn overlapping_siblings_count_once_and_the_earlier_is_passed_over() {
    let nodes = [span(1, 0, Server, 0, 100), span(2, 1, Internal, 10, 60), span(3, 1, Internal, 40, 90)];
    let out = assemble(&nodes);
    assert_eq!(self_times(&out), [20, 50, 50]);
    assert_eq!(critical(&out), [50, 0, 50]);
}

#[test]
fn an_overlap_within_the_clocks_grain_is_taken_for_a_sequence() {
    // The first call lasts 10,000 ns and seems to outlast the second one's start by 100 ns, which is just 1 %.
    let nodes = [span(1, 0, Server, 0, 20_000), span(2, 1, Client, 0, 10_000), span(3, 1, Client, 9_900, 20_000)];
    let out = assemble(&nodes);
    assert_eq!(path(&nodes, &out), [(1, 0, 9_900), (2, 9_900, 20_000)]);
    let nodes = [nodes[0], span(2, 1, Client, 0, 10_001), nodes[2]];
    assert_eq!(critical(&assemble(&nodes)), [9_900, 0, 10_100]);
}

/// ```text
/// 0 |0##-----------##100|
/// 1    |10##--##80|                  PRODUCER; its INTERNAL child is ordinary
/// 2       |30##50|
/// 3             |40─────────150|     CONSUMER of 1: a tree of its own
/// 4                 |60───120|
/// ```
#[test]
fn a_consumer_starts_its_own_tree() {
    let nodes = [
        span(1, 0, Server, 0, 100),
        span(2, 1, Producer, 10, 80),
        span(3, 2, Internal, 30, 50),
        span(4, 2, Consumer, 40, 150),
        span(5, 4, Internal, 60, 120),
    ];
    let out = assemble(&nodes);
    assert_eq!(parents(&out), [None, Some(0), Some(1), None, Some(3)]);
    assert_eq!(self_times(&out), [30, 50, 20, 50, 60]);
    assert_eq!(critical(&out), [30, 50, 20, 50, 60]);
    assert_eq!(flags(&out), [ROOT_AND_ENTRY, 0, 0, ROOT_AND_ENTRY | flag::ASYNC_ROOT, 0]);
    assert_eq!(out.iter().map(|a| a.entry).collect::<Vec<_>>(), [0, 0, 0, 3, 3]);
}

/// Instrumentation that links: what is consumed is no request, whether or not it is in its producer's trace.
#[test]
fn a_consumer_in_a_trace_of_its_own_is_no_request() {
    let nodes = [span(1, 0, Consumer, 0, 100), span(2, 1, Internal, 10, 80)];
    assert_eq!(flags(&assemble(&nodes)), [ROOT_AND_ENTRY | flag::ASYNC_ROOT, 0]);
}

#[test]
fn a_consumer_tree_is_entered_at_the_consumer_whatever_it_calls() {
    let nodes = [
        span(1, 0, Producer, 0, 10),
        span(2, 1, Consumer, 20, 90),
        span(3, 2, Client, 30, 80),
        span(4, 3, Server, 40, 70),
    ];
    assert_eq!(assemble(&nodes).iter().map(|a| a.entry).collect::<Vec<_>>(), [0, 1, 1, 1]);
}

/// The server's clock is 1,000 behind. It lasts 40 of the client's 60, so 10 remain on either side, and the span
/// below it moves along.
/// ```text
///                    0 |0##---------------##100|
///                    1    |20##-------##80|
/// 2 |-970##-----930|  ─▶      |30##--#70|
/// 3     |-960##940|   ─▶         |40##60|
/// ```
#[test]
fn a_server_on_another_clock_is_centred_in_its_call() {
    let nodes = [
        span(1, 0, Server, 0, 100),
        span(2, 1, Client, 20, 80),
        span(3, 2, Server, -970, -930),
        span(4, 3, Internal, -960, -940),
    ];
    let out = assemble(&nodes);
    assert_eq!(flags(&out), [ROOT_AND_ENTRY, 0, flag::CLOCK_SKEW, 0]);
    assert_eq!(out.iter().map(|a| a.shift).collect::<Vec<_>>(), [0, 0, 1000, 1000]);
    assert_eq!(critical(&out), [40, 20, 20, 20]);
    assert_eq!(self_times(&out), [40, 20, 20, 20]);
    assert_eq!(path(&nodes, &out)[2..5], [(2, 30, 40), (3, 40, 60), (2, 60, 70)]);
}

#[test]
fn a_third_machine_on_the_first_ones_clock_keeps_its_own_times() {
    let nodes = [
        span(1, 0, Client, 0, 100),
        span(2, 1, Server, 5010, 5090),
        span(3, 2, Client, 5030, 5070),
        span(4, 3, Server, 41, 61),
    ];
    let out = assemble(&nodes);
    assert_eq!(out.iter().map(|a| a.shift).collect::<Vec<_>>(), [0, -5000, -5000, 0]);
    assert_eq!(out[3].flags, 0);
    assert_eq!(path(&nodes, &out)[3], (3, 41, 61));
}

/// ```text
/// 0 |0####100|              the client gave up at 100
/// 1   |20──────────150|     and the server went on: no skew, clipped
/// ```
#[test]
fn a_server_that_outlives_its_client_is_clipped() {
    let nodes = [span(1, 0, Client, 0, 100), span(2, 1, Server, 20, 150)];
    let out = assemble(&nodes);
    assert_eq!(self_times(&out), [20, 130]);
    assert_eq!(critical(&out), [20, 80]);
    assert_eq!(flags(&out), [flag::ROOT, flag::ENTRY]);
    // One that also begins before its client does tell of skew, though nothing can be moved.
    let nodes = [nodes[0], span(2, 1, Server, -20, 150)];
    let out = assemble(&nodes);
    assert_eq!(critical(&out), [0, 100]);
    assert_eq!((out[1].flags, out[1].shift), (flag::ENTRY | flag::CLOCK_SKEW, 0));
}

/// ```text
/// 0 |0##------#100|
/// 1   |20######─────150|     work that its caller does not wait for
/// 2     |30####────140|
/// 3                120|130|  begins after the root is done
/// ```
#[test]
fn asynchronous_work_is_clipped_and_no_error() {
    let nodes = [
        span(1, 0, Server, 0, 100),
        span(2, 1, Internal, 20, 150),
        span(3, 2, Internal, 30, 140),
        span(4, 1, Internal, 120, 130),
    ];
    let out = assemble(&nodes);
    assert_eq!(self_times(&out), [20, 20, 110, 10]);
    assert_eq!(critical(&out), [20, 10, 70, 0]);
    assert_eq!(flags(&out), [ROOT_AND_ENTRY, 0, 0, 0]);
}

#[test]
fn an_orphan_is_the_root_of_its_own_tree() {
    let nodes = [span(1, 0, Server, 0, 100), span(2, 99, Server, 10, 50), span(3, 2, Internal, 20, 30)];
    let out = assemble(&nodes);
    assert_eq!(flags(&out), [ROOT_AND_ENTRY, ROOT_AND_ENTRY | flag::ORPHAN, 0]);
    assert_eq!(critical(&out), [100, 30, 10]);
    assert_eq!(out[2].entry, 1);
}

/// The service behind the call sends nothing; what it called in turn names spans that are not there.
///
/// ```text
/// 0 |0##------------------------##100|
/// 1    |10##--------------###90|            CLIENT
/// 2          |20###--###60|                 SERVER, its parent is missing
/// 3              |30##40|
/// 4                         |65###80|       SERVER, another parent is missing
/// ```
#[test]
fn orphans_belong_to_the_call_in_whose_time_they_ran() {
    let nodes = [
        span(1, 0, Server, 0, 100),
        span(2, 1, Client, 10, 90),
        span(3, 98, Server, 20, 60),
        span(4, 3, Internal, 30, 40),
        span(5, 99, Server, 65, 80),
    ];
    let out = assemble(&nodes);
    assert_eq!(parents(&out), [None, Some(0), Some(1), Some(2), Some(1)]);
    assert_eq!(flags(&out), [ROOT_AND_ENTRY, 0, flag::ORPHAN, 0, flag::ORPHAN]);
    assert_eq!(critical(&out), [20, 25, 30, 10, 15]);
    assert_eq!(out[3].entry, 0);
    assert_eq!(adopted(&nodes), [(2, 1), (4, 1)]);
}

#[test]
fn an_orphan_goes_to_the_shortest_call_that_holds_it() {
    let nodes = [
        span(1, 0, Server, 0, 100),
        span(2, 1, Client, 5, 95),
        span(3, 1, Client, 20, 60),
        span(4, 1, Client, 30, 45),
        span(5, 99, Server, 25, 50),
    ];
    assert_eq!(parents(&assemble(&nodes))[4], Some(2));
}

#[test]
fn an_orphan_is_not_adopted_where_it_does_not_fit() {
    // Longer than the call; a call that has its child; a database's span that began before; a message.
    let longer = [span(1, 0, Client, 0, 50), span(2, 99, Server, 0, 60)];
    let answered = [span(1, 0, Client, 0, 100), span(2, 1, Server, 10, 90), span(3, 99, Server, 20, 30)];
    let outside = [span(1, 0, Client, 10, 100), span(2, 99, Internal, 5, 30)];
    let message = [span(1, 0, Client, 0, 100), span(2, 99, Consumer, 20, 30)];
    for nodes in [&longer[..], &answered, &outside, &message] {
        let out = assemble(nodes);
        assert_eq!(parents(&out).last(), Some(&None));
        assert_eq!(out.last().map(|a| a.flags), Some(ROOT_AND_ENTRY | flag::ORPHAN));
    }
}

#[test]
fn an_orphan_on_another_clock_is_moved_into_the_call() {
    let nodes = [span(1, 0, Server, 0, 100), span(2, 1, Client, 10, 90), span(3, 99, Server, 200, 240)];
    let out = assemble(&nodes);
    assert_eq!((parents(&out)[2], out[2].flags), (Some(1), flag::ORPHAN | flag::CLOCK_SKEW));
    assert_eq!(critical(&out), [20, 40, 40]);
}

#[test]
fn orphans_that_hold_each_others_calls_form_no_cycle() {
    let nodes =
        [span(1, 98, Server, 0, 50), span(2, 1, Client, 0, 50), span(3, 99, Server, 0, 50), span(4, 3, Client, 0, 50)];
    let out = assemble(&nodes);
    let roots = out.iter().filter(|a| a.flags & flag::ROOT != 0).count();
    assert_eq!(roots, 1, "{out:?}");
}

#[test]
fn a_consumer_whose_producer_is_missing_is_an_orphan() {
    let nodes = [span(1, 99, Consumer, 0, 10)];
    assert_eq!(flags(&assemble(&nodes)), [ROOT_AND_ENTRY | flag::ORPHAN]);
}

#[test]
fn a_cycle_is_cut_at_the_span_that_starts_first() {
    // 1 ◀─ 2 ◀─ 3 ◀─ 1, and 4 hangs below 1.
    let nodes = [
        span(1, 3, Internal, 20, 80),
        span(2, 1, Internal, 10, 90),
        span(3, 2, Internal, 30, 70),
        span(4, 1, Internal, 40, 50),
    ];
    let out = assemble(&nodes);
    assert_eq!(parents(&out), [Some(2), None, Some(1), Some(0)]);
    assert_eq!(flags(&out), [0, ROOT_AND_ENTRY | flag::CYCLE, 0, 0]);
    assert_eq!(critical(&out), [30, 40, 0, 10], "span 0 is clipped to its new parent's 30-70");
}

#[test]
fn a_span_that_is_its_own_parent_is_a_root() {
    let nodes = [span(1, 1, Internal, 0, 10), span(2, 1, Internal, 0, 4)];
    let out = assemble(&nodes);
    assert_eq!(flags(&out), [ROOT_AND_ENTRY | flag::CYCLE, 0]);
    assert_eq!(critical(&out), [6, 4]);
}

#[test]
fn repeated_spans_count_once() {
    let nodes = [
        span(1, 0, Server, 0, 100),
        span(2, 1, Internal, 10, 40),
        span(2, 1, Internal, 10, 40),
        span(3, 2, Internal, 15, 25),
        span(1, 0, Server, 0, 100),
    ];
    let out = assemble(&nodes);
    assert_eq!(flags(&out), [ROOT_AND_ENTRY, 0, flag::DUPLICATE, 0, flag::DUPLICATE]);
    assert_eq!(self_times(&out), [70, 20, 0, 10, 0]);
    assert_eq!(critical(&out), [70, 20, 0, 10, 0]);
    assert_eq!(parents(&out), [None, Some(0), Some(0), Some(1), None]);
    assert_eq!(out.iter().map(|a| a.entry).collect::<Vec<_>>(), [0; 5]);
}

#[test]
fn both_sides_of_a_call_may_share_an_id() {
    let nodes = [
        span(1, 0, Server, 0, 100),
        span(2, 1, Server, 30, 70),
        span(2, 1, Client, 20, 80),
        span(3, 2, Internal, 40, 60),
    ];
    let out = assemble(&nodes);
    assert_eq!(parents(&out), [None, Some(2), Some(0), Some(1)], "a child means the receiving side");
    assert_eq!(flags(&out), [ROOT_AND_ENTRY, 0, 0, 0]);
    assert_eq!(critical(&out), [40, 20, 20, 20]);
}

#[test]
fn a_call_shared_by_both_sides_may_be_the_root() {
    for parent in [0, 7] {
        let nodes = [span(7, parent, Server, 10, 90), span(7, 0, Client, 0, 100)];
        let out = assemble(&nodes);
        assert_eq!(parents(&out), [Some(1), None]);
        assert_eq!(flags(&out), [flag::ENTRY, flag::ROOT]);
    }
}

#[test]
fn several_roots_are_all_flagged() {
    let nodes = [span(1, 0, Server, 0, 10), span(2, 0, Server, 20, 30), span(3, 9, Server, 0, 1)];
    let out = assemble(&nodes);
    let several = ROOT_AND_ENTRY | flag::SEVERAL_ROOTS;
    assert_eq!(flags(&out), [several, several, ROOT_AND_ENTRY | flag::ORPHAN]);
    assert_eq!(path(&nodes, &out), [(0, 0, 10), (1, 20, 30), (2, 0, 1)]);
}

#[test]
fn the_entry_is_the_topmost_server_span() {
    // A browser's root, two calls; the one that starts first is the entry.
    let nodes = [
        span(1, 0, Internal, 0, 100),
        span(2, 1, Client, 50, 90),
        span(3, 1, Client, 10, 40),
        span(4, 2, Server, 55, 85),
        span(5, 3, Server, 15, 35),
        span(6, 5, Server, 20, 30),
    ];
    let out = assemble(&nodes);
    assert!(out.iter().all(|a| a.entry == 4));
    assert_eq!(flags(&out), [flag::ROOT, 0, 0, 0, flag::ENTRY, 0]);
}

#[test]
fn spans_without_duration_take_nothing() {
    let nodes = [span(1, 0, Server, 0, 100), span(2, 1, Internal, 50, 50), span(3, 1, Internal, 60, 20)];
    let out = assemble(&nodes);
    assert_eq!(self_times(&out), [100, 0, 0]);
    assert_eq!(critical(&out), [100, 0, 0]);
    assert_eq!(path(&nodes, &out), [(0, 0, 100)]);
    let nothing = assemble(&[span(1, 0, Server, 5, 5)]);
    assert_eq!((nothing[0].critical_path, nothing[0].flags), (0, ROOT_AND_ENTRY));
}

#[test]
fn the_ends_of_time_do_not_overflow() {
    let nodes = [
        span(1, 0, Client, i64::MIN, i64::MAX),
        span(2, 1, Server, i64::MAX - 5, i64::MAX),
        span(3, 2, Client, i64::MIN, i64::MIN + 9),
        span(4, 3, Server, i64::MAX - 4, i64::MAX),
        span(5, 4, Internal, i64::MIN, i64::MAX),
    ];
    let out = assemble(&nodes);
    assert_eq!(critical(&out).iter().sum::<i64>(), i64::MAX);
}

#[test]
fn a_chain_of_100_000_spans() {
    let n = 100_000;
    let nodes: Vec<Node> = (0..n).map(|i| span(i + 1, i, Internal, i as i64, 2 * n as i64 - i as i64)).collect();
    let out = assemble(&nodes);
    assert!(out[..n as usize - 1].iter().all(|a| a.self_time == 2 && a.critical_path == 2 && a.entry == 0));
    assert_eq!(critical_segments(&nodes, &out).len(), 2 * n as usize - 1);
}

#[test]
fn a_ring_of_100_000_spans() {
    let n = 100_000;
    let nodes: Vec<Node> = (0..n).map(|i| span(i + 1, (i + 1) % n + 1, Internal, i as i64, n as i64)).collect();
    let out = assemble(&nodes);
    assert_eq!(out.iter().filter(|a| a.flags & flag::CYCLE != 0).count(), 1);
    assert_eq!(out[0].flags, ROOT_AND_ENTRY | flag::CYCLE);
}

#[test]
fn a_hundred_thousand_siblings() {
    let n = 100_000;
    let mut nodes = vec![span(1, 0, Server, 0, 10 * n)];
    nodes.extend((0..n).map(|i| span(i as u64 + 2, 1, Client, 10 * i + 4, 10 * i + 10)));
    let out = assemble(&nodes);
    assert_eq!((out[0].self_time, out[0].critical_path), (4 * n, 4 * n));
    assert!(out[1..].iter().all(|a| a.critical_path == 6));
}
