//! The places where queries begin, and how many may wait for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use model::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub struct Admission {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    concurrency: usize,
    queue: usize,
}

impl Admission {
    pub fn new(concurrency: usize, queue: usize) -> Self {
        let places = Arc::new(Semaphore::new(concurrency));
        Admission { places, waiting: AtomicUsize::new(0), concurrency, queue }
    }

    /// Places that are taken now.
    pub fn taken(&self) -> usize {
        self.concurrency.saturating_sub(self.places.available_permits())
    }

    /// Queries that wait now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Places, and queries that may wait.
    pub fn most(&self) -> (usize, usize) {
        (self.concurrency, self.queue)
    }

    /// Waits for a turn, in order of arrival. `Overloaded` when the queue is full.
    pub async fn enter(&self) -> Result<OwnedSemaphorePermit> {
        if let Ok(permit) = self.places.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let place = Place::take(&self.waiting);
        if place.number >= self.queue {
            return Err(Error::overloaded(
                format!("{} queries are waiting already", self.queue),
                Duration::from_secs(1),
            )
            .hint("try again in a second"));
        }
        let stopped = |_| Error::unavailable("the query engine has stopped");
        self.places.clone().acquire_owned().await.map_err(stopped)
    }
}

/// A place in the queue, given back on drop.
struct Place<'a> {
    waiting: &'a AtomicUsize,
    number: usize,
}

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Self {
        Place { waiting, number: waiting.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn one_runs_one_waits_and_the_third_is_told_to_come_back() {
        let admission = Admission::new(1, 1);
        let first = admission.enter().await.expect("runs");
        let mut second = Box::pin(admission.enter());
        assert!((&mut second).now_or_never().is_none(), "waits");
        assert_eq!((admission.taken(), admission.waiting()), (1, 1));
        let third = admission.enter().now_or_never().expect("answers at once");
        assert!(matches!(third.expect_err("full").kind, model::Kind::Overloaded { .. }));
        drop(first);
        drop(second.await.expect("its turn"));
        assert_eq!((admission.taken(), admission.waiting()), (0, 0));
        assert!(admission.enter().now_or_never().expect("free again").is_ok());
    }
}
