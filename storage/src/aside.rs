//! Files that merging leaves alone for a while, because they could not be read or what they hold could not be merged.
//!
//! Without it one bad file would be chosen again and again, and keep all others from being merged. It stays in its table:
//! questions name it where they cannot read it, and retention removes it in time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::Nanos;
use model::time::MINUTE;

/// After so long it is tried again: the disk, or whoever serves the objects, may have recovered.
const AGAIN: Nanos = 10 * MINUTE;

#[derive(Debug, Default)]
pub struct Aside(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    /// Paths, with the time at which they were put aside.
    since: HashMap<String, Nanos>,
    /// How often one was.
    count: u64,
}

impl Aside {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn put(&self, path: &str, now: Nanos) {
        let mut entries = self.entries();
        entries.since.retain(|_, since| *since > now - AGAIN);
        entries.since.insert(path.to_owned(), now);
        entries.count += 1;
    }

    pub fn has(&self, path: &str, now: Nanos) -> bool {
        self.entries().since.get(path).is_some_and(|since| *since > now - AGAIN)
    }

    /// How often a file was put aside: whether one has been since it was asked last.
    pub fn count(&self) -> u64 {
        self.entries().count
    }
}
