//! Self time: how long a span ran while none of its children did.

use super::skew::Interval;

/// The span's duration less the union of its children, each clipped to the span, in ns.
///
/// `children` come by falling end. Then what earlier ones cover below the next one's end is a single stretch that
/// begins at the smallest start so far, and one pass suffices.
pub(super) fn of(span: Interval, children: impl Iterator<Item = Interval>) -> i64 {
    let mut covered = 0;
    let mut covered_from = span.end;
    for child in children {
        let start = child.start.max(span.start);
        let end = child.end.min(covered_from);
        if start < end {
            covered += end - start;
            covered_from = start;
        }
    }
    span.duration() - covered
}
