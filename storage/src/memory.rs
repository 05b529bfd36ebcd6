//! The budget of rows held in memory, over all tables.
//!
//! *Invariant:* `used` is the sum of the tables' bytes and of what was assembled for questions. What a flush reads from
//! the log belongs to the budget too, so rows beyond `limit` less one such chunk are dropped from memory at once: the
//! log has them. Rows that left the tables and that a question or a merge still has are alive; they are not in `used`,
//! since dropping others for them would only make the log be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub struct Memory {
    limit: usize,
    used: Arc<AtomicUsize>,
    alive: Arc<AtomicUsize>,
    leaving: Arc<AtomicUsize>,
    /// Told when three quarters of the budget are used: then rows are written early.
    pub pressed: Notify,
    /// Told when rows that left memory wait to be summed up.
    pub left: Notify,
}

impl Memory {
    pub fn new(limit: u64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Memory { limit, ..Memory::default() }
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes of rows that somebody has, whether or not they still wait in a table.
    pub fn alive(&self) -> usize {
        self.alive.load(Ordering::Relaxed)
    }

    /// Counts bytes of rows as alive until it is dropped.
    pub fn count(&self, bytes: usize) -> Counted {
        self.alive.fetch_add(bytes, Ordering::Relaxed);
        Counted { of: self.alive.clone(), bytes }
    }

    /// Room for rows that left the tables and wait to be summed up; `None` when as many bytes wait as one flush takes.
    pub fn leave(&self, bytes: usize) -> Option<Counted> {
        let leaving = self.leaving.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let counted = Counted { of: self.leaving.clone(), bytes };
        (leaving <= self.chunk()).then_some(counted)
    }

    /// Takes bytes of the budget until it is dropped. Rows beyond the budget are dropped when the next ones come.
    pub fn borrow(&self, bytes: usize) -> Counted {
        self.take(bytes);
        Counted { of: self.used.clone(), bytes }
    }

    /// Adds bytes; returns how many of them have to be dropped.
    pub fn take(&self, bytes: usize) -> usize {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if used > self.enough() {
            self.pressed.notify_one();
        }
        used.saturating_sub(self.limit.saturating_sub(self.chunk()))
    }

    pub fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether rows should be written whatever their age.
    pub fn is_pressed(&self) -> bool {
        self.used() > self.enough()
    }

    /// Beyond it rows are written early.
    fn enough(&self) -> usize {
        self.limit / 4 * 3
    }

    /// Bytes of rows that one file is made of under pressure.
    pub fn chunk(&self) -> usize {
        (self.limit / 8).max(1 << 20)
    }
}

/// Bytes that are part of a sum for as long as somebody has this.
#[derive(Debug)]
pub struct Counted {
    of: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
