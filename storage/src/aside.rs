//! Files that are left alone for a while, because they could not be read or what they hold could not be merged.
//!
//! Without it one bad file would be chosen again and again, and keep all others from their turn. It stays in its table:
//! questions name it where they cannot read it, and retention removes it in time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::Nanos;
use model::time::MINUTE;

/// After so long a damaged file is tried again: somebody may have restored it.
const AGAIN: Nanos = 10 * MINUTE;
/// And one that may have failed for a passing reason: no more open files, a disk that is full, objects not served.
const SOON_AGAIN: Nanos = MINUTE;

#[derive(Debug, Default)]
pub struct Aside(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    /// Paths, with the time up to which they are left alone.
    until: HashMap<String, Nanos>,
    /// How often one was.
    count: u64,
}

impl Aside {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn put(&self, path: &str, now: Nanos) {
        self.put_until(path, now, now + AGAIN);
    }

    /// For a reason that passes.
    pub fn put_shortly(&self, path: &str, now: Nanos) {
        self.put_until(path, now, now + SOON_AGAIN);
    }

    fn put_until(&self, path: &str, now: Nanos, until: Nanos) {
        let mut entries = self.entries();
        entries.until.retain(|_, until| *until > now);
        entries.until.insert(path.to_owned(), until);
        entries.count += 1;
    }

    pub fn has(&self, path: &str, now: Nanos) -> bool {
        self.entries().until.get(path).is_some_and(|until| *until > now)
    }

    /// How often a file was put aside: whether one has been since it was asked last.
    pub fn count(&self) -> u64 {
        self.entries().count
    }
}
