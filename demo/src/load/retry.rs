//! Exports to send again: numbers only, since the bytes follow from the number.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// One try to send an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt {
    pub export: u64,
    /// From when its latency counts.
    pub counted_from: Duration,
    /// 1 for the first.
    pub number: u32,
}

/// Waiting attempts by the time at which they may be made; bounded.
pub struct RetryQueue {
    waiting: BinaryHeap<Reverse<(Duration, Attempt)>>,
    limit: usize,
}

impl RetryQueue {
    pub fn new(limit: usize) -> Self {
        RetryQueue { waiting: BinaryHeap::new(), limit }
    }

    /// Takes an attempt in for later; false when the queue is full, and the export is given up.
    pub fn push(&mut self, at: Duration, attempt: Attempt) -> bool {
        if self.waiting.len() >= self.limit {
            return false;
        }
        self.waiting.push(Reverse((at, attempt)));
        true
    }

    /// The next attempt that may be made by now.
    pub fn pop_due(&mut self, now: Duration) -> Option<Attempt> {
        let Reverse((at, _)) = self.waiting.peek()?;
        if *at > now {
            return None;
        }
        self.waiting.pop().map(|Reverse((_, attempt))| attempt)
    }

    /// When the next attempt may be made.
    pub fn next_due(&self) -> Option<Duration> {
        self.waiting.peek().map(|Reverse((at, _))| *at)
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// How long to wait before the attempt after the one with this number: what the server asks for, else a doubling
/// pause.
pub fn pause(asked: Option<Duration>, number: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(5);
    asked.unwrap_or_else(|| FIRST.saturating_mul(1 << number.saturating_sub(1).min(10)).min(LONGEST))
}
