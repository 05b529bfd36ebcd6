//! What a question has of rows in memory, so that whoever ends it can take them from it.
//!
//! Rows leave their table when they are in a file or memory is full; a snapshot of before has them still. A question that
//! is told to end does so when one of its threads has a core, and at the peak none may have one for seconds, while each
//! second more rows leave than the budget has room for. So a snapshot's rows are lent: the lease that ends takes them
//! back at once, on the thread that ends it. *Invariant:* who looks after that finds no rows, so a lease ends only when nobody will
//! see the answer.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// One question's. Clones are the same.
#[derive(Clone, Default)]
pub struct Lease(Arc<Mutex<Lent>>);

#[derive(Default)]
struct Lent {
    is_over: bool,
    things: Vec<Weak<dyn Thing>>,
    /// How many things there may be before those that are gone are looked for.
    enough: usize,
}

/// Something that is lent until its lease ends, and nothing after that. Clones are the same.
pub struct Leased<T>(Arc<Mutex<Option<T>>>);

trait Thing: Send + Sync {
    /// Whether it is there still.
    fn is_there(&self) -> bool;
    /// Takes it, for the caller to drop.
    fn take(&self) -> Option<Box<dyn Send>>;
}

impl<T: Send + 'static> Thing for Mutex<Option<T>> {
    fn is_there(&self) -> bool {
        self.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn take(&self) -> Option<Box<dyn Send>> {
        let thing = self.lock().unwrap_or_else(PoisonError::into_inner).take();
        thing.map(|thing| Box::new(thing) as Box<dyn Send>)
    }
}

impl Lease {
    /// Lends something; nothing when the lease is over.
    pub fn lend<T: Send + 'static>(&self, thing: T) -> Leased<T> {
        let mut lent = self.lent();
        if lent.is_over {
            drop(lent);
            return Leased(Arc::default());
        }
        let leased = Arc::new(Mutex::new(Some(thing)));
        if lent.things.len() >= lent.enough {
            lent.things.retain(|thing| thing.strong_count() > 0);
            lent.enough = 2 * lent.things.len() + 8;
        }
        let known: Arc<dyn Thing> = leased.clone();
        lent.things.push(Arc::downgrade(&known));
        drop(lent);
        Leased(leased)
    }

    /// Whether something that was lent is still there.
    pub fn has_some(&self) -> bool {
        self.lent().things.iter().filter_map(Weak::upgrade).any(|thing| thing.is_there())
    }

    /// Takes back all that was lent. What somebody works on at this moment goes when that is done.
    pub fn end(&self) {
        let mut lent = self.lent();
        lent.is_over = true;
        let things = std::mem::take(&mut lent.things);
        // Dropped without the lock: they may be millions of rows.
        drop(lent);
        for thing in things {
            drop(thing.upgrade().and_then(|thing| thing.take()));
        }
    }

    fn lent(&self) -> MutexGuard<'_, Lent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease of {}", self.lent().things.len())
    }
}

impl<T> Leased<T> {
    /// What `look` finds; `None` when the lease is over. Who ends it waits for `look`, so that should be short.
    pub fn with<R>(&self, look: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(look)
    }

    /// Takes it out of the lease.
    pub fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A copy of it, or what there is in its place when the lease is over. The copy is not lent: for the length of a computation.
    pub fn get(&self) -> T
    where
        T: Clone + Default,
    {
        self.with(|thing| thing.clone()).unwrap_or_default()
    }
}

impl<T> Clone for Leased<T> {
    fn clone(&self) -> Self {
        Leased(self.0.clone())
    }
}

impl<T> fmt::Debug for Leased<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Leased")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ends_a_lease_gets_back_what_was_lent_though_others_have_it() {
        let (lease, rows) = (Lease::default(), Arc::new(5));
        let (one, other) = (lease.lend(rows.clone()), lease.clone().lend(rows.clone()));
        let copy = one.clone();
        assert_eq!((Arc::strong_count(&rows), lease.has_some(), *copy.get()), (3, true, 5));
        lease.end();
        assert_eq!((Arc::strong_count(&rows), lease.has_some()), (1, false));
        assert_eq!((copy.get(), other.with(|rows| **rows)), (Arc::new(0), None));
    }

    #[test]
    fn nothing_is_lent_after_the_end() {
        let (lease, rows) = (Lease::default(), Arc::new(5));
        lease.end();
        assert_eq!((lease.lend(rows.clone()).take(), Arc::strong_count(&rows)), (None, 1));
    }

    #[test]
    fn what_was_taken_or_dropped_is_not_there() {
        let lease = Lease::default();
        let (one, other) = (lease.lend(1), lease.lend(2));
        drop(one);
        assert!(lease.has_some());
        assert_eq!((other.take(), lease.has_some()), (Some(2), false));
        for _ in 0..10_000 {
            lease.lend(3);
        }
        assert!(lease.lent().things.len() < 100, "those that are gone are forgotten");
    }
}
