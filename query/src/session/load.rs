//! How busy the engine is and how its queries ended: what an operator watches.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::{Kind, Result};

/// How a query can end, in the order of [`Load::ended`].
pub const OUTCOMES: [&str; 5] = ["answered", "limited", "refused", "invalid", "failed"];

/// The engine at one moment, and its queries since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    pub running: usize,
    /// Admitted later, in order of arrival.
    pub queued: usize,
    pub most_running: usize,
    pub most_queued: usize,
    /// Queries by [`OUTCOMES`]: answered, ended by a limit on memory or time, refused because too many waited, wrong,
    /// and failed for other reasons. Those whose asker went away are in none.
    pub ended: [u64; 5],
    /// CPU time of the queries of each lane.
    pub cpu: [(&'static str, Duration); 2],
}

#[derive(Default)]
pub(super) struct Outcomes([AtomicU64; 5]);

impl Outcomes {
    pub fn count<T>(&self, outcome: &Result<T>) {
        let place = match outcome.as_ref().err().map(|error| &error.kind) {
            None => 0,
            Some(Kind::Limit) => 1,
            Some(Kind::Overloaded { .. }) => 2,
            Some(Kind::Invalid | Kind::NotFound) => 3,
            Some(_) => 4,
        };
        self.0[place].fetch_add(1, Ordering::Relaxed);
    }

    pub fn ended(&self) -> [u64; 5] {
        [0, 1, 2, 3, 4].map(|place| self.0[place].load(Ordering::Relaxed))
    }
}
