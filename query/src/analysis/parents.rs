//! Which span of a trace is above another. The two sides of a call may share one id, as with B3 headers: a SERVER span is
//! then below the CLIENT span that has its id, and whoever names that id means the side that serves.

use std::collections::HashMap;

use model::trace::SpanKind;

/// The spans of one trace by their ids.
pub struct Parents {
    /// Of several with one id the last: the receiving side starts later.
    by_id: HashMap<u64, usize>,
    calls: HashMap<u64, usize>,
}

impl Parents {
    /// Ids and kinds in order of start.
    pub fn of(spans: impl Iterator<Item = (u64, SpanKind)> + Clone) -> Self {
        let by_id = |(at, (id, _)): (usize, (u64, SpanKind))| (id, at);
        let calls = spans.clone().enumerate().filter(|(_, (_, kind))| *kind == SpanKind::Client).map(by_id);
        Parents { calls: calls.collect(), by_id: spans.enumerate().map(by_id).collect() }
    }

    /// The position of the span above one of this id, parent and kind, which is its own where it names itself.
    pub fn above(&self, id: u64, parent: u64, kind: SpanKind) -> Option<usize> {
        let call = self.calls.get(&id).filter(|_| kind == SpanKind::Server);
        call.or_else(|| self.by_id.get(&parent)).copied()
    }
}
