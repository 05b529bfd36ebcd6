//! The critical path: the one chain of work that the root's end waited for.
//!
//! From the end of a span go back to the child that ended last, follow it in the same way, and go on from its start.
//! What lies between belongs to the span itself. A child still running at that point ran beside the path and is
//! passed over: nothing on the path waited for it. The method is that of CRISP (Zhang et al., USENIX ATC 2022) and of
//! "Distributed Latency Profiling through Critical Path Tracing" (Eaton et al., ACM Queue 20(1), 2022).
//!
//! ```text
//! root      |0────────────────────────────100|      root   0-10, 40-50, 90-100
//! ├ fetch      |10──────40|                         fetch  10-40
//! ├ beside     |10────────────60|                   (still running when `store` began)
//! └ store                   |50────────90|          store  50-90
//! ```

use super::skew::Interval;
use super::tree::Forest;

/// A child counts as ended when it outlasts the point by no more than this part of its duration: many SDKs stamp
/// only micro- or milliseconds, and two calls in a row then seem to overlap.
const OVERLAP: i64 = 100;

/// Where the walk stands within one span.
struct Frame {
    span: usize,
    /// The part of the span's time that lies on the path.
    window: Interval,
    /// Everything of the window after this point has been given away.
    cursor: i64,
    /// Position among the span's children, which are sorted by falling end.
    next: usize,
}

impl Frame {
    fn new(span: usize, window: Interval) -> Self {
        Frame { span, window, cursor: window.end, next: 0 }
    }

    /// The child that ended last before the cursor, and its part of the window.
    fn last_ended(&mut self, forest: &Forest, placed: &[Interval]) -> Option<(usize, Interval)> {
        while let Some(&child) = forest.children(self.span).get(self.next) {
            self.next += 1;
            let time = placed[child];
            let start = time.start.max(self.window.start);
            let end = time.end.min(self.cursor);
            if start < end && time.end.min(self.window.end) - self.cursor <= time.duration() / OVERLAP {
                return Some((child, Interval { start, end }));
            }
        }
        None
    }
}

/// Calls `emit` with each segment of the tree's critical path, from the root's end back to its start.
pub(super) fn walk_back(forest: &Forest, placed: &[Interval], root: usize, mut emit: impl FnMut(usize, Interval)) {
    let mut stack = vec![Frame::new(root, placed[root])];
    while let Some(frame) = stack.last_mut() {
        let child = frame.last_ended(forest, placed);
        let own_from = child.map_or(frame.window.start, |(_, window)| window.end);
        if own_from < frame.cursor {
            emit(frame.span, Interval { start: own_from, end: frame.cursor });
        }
        match child {
            Some((span, window)) => {
                frame.cursor = window.start;
                stack.push(Frame::new(span, window));
            }
            None => {
                stack.pop();
            }
        }
    }
}
