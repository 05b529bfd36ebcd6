//! A trace run again with the own time of some spans changed, or with the calls of some spans side by side.
//!
//! ```text
//! parent  |0───10|        |40──50|  |80────100|      own time: 10, 10 and 20
//! ├ a             |10────40|                          starts after 10 of its parent's own time
//! └ b                      (50)|50──80|               starts 10 after `a` has ended
//! ```
//! Each child keeps its place in the order of work: it starts when those siblings have ended that had ended before it
//! started, after the same stretch of its parent's own time. The parent ends when the children have ended that had
//! ended before it, after the rest of its own time. Children that outlast their parent hold nobody up.
//! A span whose calls run side by side begins them all after its first stretch of own time, waits for the longest, and
//! does the rest of its own work then.
//!
//! *Invariant:* with no change every span keeps its times to the nanosecond.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A span's times and its parent's position; following parents ends at a root.
#[derive(Debug, Clone, Copy)]
pub struct Piece {
    pub start: i64,
    pub end: i64,
    pub parent: Option<usize>,
}

/// How long each span takes when `own` is what becomes of a stretch of a span's own time, and `side_by_side` says whose
/// calls no longer wait for each other.
pub fn durations(pieces: &[Piece], own: impl Fn(usize, i64) -> i64, side_by_side: impl Fn(usize) -> bool) -> Vec<i64> {
    let children = Children::of(pieces);
    let mut taken = vec![0; pieces.len()];
    for &span in children.order.iter().rev() {
        let replay = if side_by_side(span) { together } else { duration };
        taken[span] = replay(pieces, &children, &taken, span, &own);
    }
    taken
}

/// One span, when those below it are known.
fn duration(
    pieces: &[Piece],
    children: &Children,
    taken: &[i64],
    span: usize,
    own: &impl Fn(usize, i64) -> i64,
) -> i64 {
    let Piece { start, end, .. } = pieces[span];
    // The latest end so far: in the trace, and in the replay after the span's start.
    let (mut was, mut is) = (start, 0);
    // Children that have started, by their end in the trace, with their end in the replay.
    let mut running: BinaryHeap<Reverse<(i64, i64)>> = BinaryHeap::new();
    let stretch = |length: i64| if length > 0 { own(span, length) } else { length };
    let mut after_ended = |until: i64, running: &mut BinaryHeap<Reverse<(i64, i64)>>| {
        while let Some(&Reverse((ended, ends))) = running.peek().filter(|Reverse((ended, _))| *ended <= until) {
            running.pop();
            (was, is) = (was.max(ended), is.max(ends));
        }
        (was, is)
    };
    for &child in children.of_span(span) {
        let Piece { start: started, end: ended, .. } = pieces[child];
        let (waited_until, then) = after_ended(started, &mut running);
        let starts = then + stretch(started - waited_until);
        running.push(Reverse((ended, starts + taken[child])));
    }
    let (waited_until, then) = after_ended(end, &mut running);
    then + stretch(end - waited_until)
}

/// The same when the span's calls run side by side.
fn together(
    pieces: &[Piece],
    children: &Children,
    taken: &[i64],
    span: usize,
    own: &impl Fn(usize, i64) -> i64,
) -> i64 {
    let Piece { start, end, .. } = pieces[span];
    let (mut covered, mut work, mut longest) = (start, 0, 0);
    for &child in children.of_span(span) {
        let Piece { start: started, end: ended, .. } = pieces[child];
        if started > covered {
            work += own(span, started.min(end) - covered);
        }
        covered = covered.max(ended).min(end);
        if ended <= end {
            // Of a call that begins before its caller, by a clock that differs, only the rest is waited for.
            longest = longest.max(taken[child] - (start - started).max(0));
        }
    }
    work + longest + if end > covered { own(span, end - covered) } else { 0 }
}

/// Children of each span in order of start, and all spans, parents before children.
struct Children {
    order: Vec<usize>,
    first: Vec<usize>,
    children: Vec<usize>,
}

impl Children {
    fn of(pieces: &[Piece]) -> Self {
        let mut children: Vec<usize> = (0..pieces.len()).filter(|&span| pieces[span].parent.is_some()).collect();
        children.sort_unstable_by_key(|&span| (pieces[span].parent, pieces[span].start, pieces[span].end, span));
        let mut first = vec![0; pieces.len() + 1];
        for parent in pieces.iter().filter_map(|piece| piece.parent) {
            first[parent + 1] += 1;
        }
        for span in 0..pieces.len() {
            first[span + 1] += first[span];
        }
        let mut order: Vec<usize> = (0..pieces.len()).filter(|&span| pieces[span].parent.is_none()).collect();
        let mut next = 0;
        while let Some(&span) = order.get(next) {
            order.extend_from_slice(&children[first[span]..first[span + 1]]);
            next += 1;
        }
        Children { order, first, children }
    }

    fn of_span(&self, span: usize) -> &[usize] {
        &self.children[self.first[span]..self.first[span + 1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn piece(start: i64, end: i64, parent: Option<usize>) -> Piece {
        Piece { start, end, parent }
    }

    fn none(_span: usize) -> bool {
        false
    }

    #[test]
    fn what_runs_in_sequence_moves_up_and_what_runs_beside_does_not_help() {
        // A request calls `a`, then `b` and `c` side by side.
        let pieces = [piece(0, 100, None), piece(10, 40, Some(0)), piece(50, 80, Some(0)), piece(50, 90, Some(0))];
        let faster = |fast: usize| move |span: usize, own: i64| if span == fast { own / 2 } else { own };
        assert_eq!(durations(&pieces, faster(1), none), [85, 15, 30, 40]);
        assert_eq!(durations(&pieces, faster(2), none)[0], 100, "c is waited for");
        // Half of `c` leaves `b` as the longer one: 10 less.
        assert_eq!(durations(&pieces, faster(3), none)[0], 90);
        // The request's own time: 10 before `a`, 10 between, 10 at the end.
        assert_eq!(durations(&pieces, faster(0), none)[0], 85);
    }

    #[test]
    fn calls_side_by_side_take_as_long_as_the_longest() {
        // Own time: 10, 10 and 10; `a` takes 30, `b` 30 and `c`, which begins with `b`, 40.
        let pieces = [piece(0, 100, None), piece(10, 40, Some(0)), piece(50, 80, Some(0)), piece(50, 90, Some(0))];
        assert_eq!(durations(&pieces, |_, own| own, |span| span == 0), [70, 30, 30, 40]);
        // A call that goes on when the span has ended is not waited for.
        let pieces = [piece(0, 50, None), piece(10, 500, Some(0)), piece(20, 40, Some(0))];
        assert_eq!(durations(&pieces, |_, own| own, |span| span == 0)[0], 30);
        assert_eq!(durations(&[piece(0, 50, None)], |_, own| own, |_| true), [50]);
    }

    #[test]
    fn a_child_that_outlasts_its_parent_holds_nobody_up() {
        let pieces = [piece(0, 50, None), piece(10, 500, Some(0)), piece(20, 40, Some(0))];
        let slower = |span: usize, own: i64| if span == 1 { own * 10 } else { own };
        assert_eq!(durations(&pieces, slower, none), [50, 4_900, 20]);
    }

    #[test]
    fn a_chain_of_many_spans_is_no_deep_recursion() {
        let pieces: Vec<Piece> = (0..100_000).map(|n| piece(n, 300_000 - n, (n as usize).checked_sub(1))).collect();
        assert_eq!(durations(&pieces, |_, own| own, none)[0], 300_000);
    }

    proptest! {
        #[test]
        fn no_change_changes_nothing(
            spans in prop::collection::vec((0i64..1_000, 0i64..1_000, any::<prop::sample::Index>()), 1..60),
        ) {
            let piece = |(at, (start, length, parent)): (usize, &(i64, i64, prop::sample::Index))| Piece {
                start: *start,
                end: start + length,
                parent: (at > 0).then(|| parent.index(at)),
            };
            let pieces: Vec<Piece> = spans.iter().enumerate().map(piece).collect();
            let truth: Vec<i64> = pieces.iter().map(|p| p.end - p.start).collect();
            prop_assert_eq!(durations(&pieces, |_, own| own, none), truth);
        }

        #[test]
        fn faster_is_never_slower(
            spans in prop::collection::vec((0i64..1_000, 0i64..1_000, any::<prop::sample::Index>()), 1..40),
            fast in any::<prop::sample::Index>(),
            abreast in any::<bool>(),
        ) {
            let piece = |(at, (start, length, parent)): (usize, &(i64, i64, prop::sample::Index))| Piece {
                start: *start,
                end: start + length,
                parent: (at > 0).then(|| parent.index(at)),
            };
            let pieces: Vec<Piece> = spans.iter().enumerate().map(piece).collect();
            let fast = fast.index(pieces.len());
            let shorter = |span, own: i64| if span == fast && !abreast { own / 3 } else { own };
            let found = durations(&pieces, shorter, |span| span == fast && abreast);
            prop_assert!(found.iter().zip(&pieces).all(|(new, p)| *new <= p.end - p.start));
        }
    }
}
