//! One query's share of its lane's memory: no single one takes all of it from the others.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// At most `most` bytes of a pool.
#[derive(Debug)]
pub struct Share {
    pool: Arc<dyn MemoryPool>,
    most: usize,
    used: AtomicUsize,
}

impl Share {
    pub fn of(pool: Arc<dyn MemoryPool>, most: usize) -> Self {
        Share { pool, most, used: AtomicUsize::new(0) }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of at most {} bytes, of {}", self.used.load(Ordering::Relaxed), self.most, self.pool)
    }
}

impl MemoryPool for Share {
    fn name(&self) -> &str {
        "share"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.pool.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.pool.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.used.fetch_add(additional, Ordering::Relaxed);
        self.pool.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.used.fetch_sub(shrink, Ordering::Relaxed);
        self.pool.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let used = self.used.fetch_add(additional, Ordering::Relaxed) + additional;
        let grown = if used > self.most {
            Err(DataFusionError::ResourcesExhausted(format!("one query may take {} bytes", self.most)))
        } else {
            self.pool.try_grow(reservation, additional)
        };
        if grown.is_err() {
            self.used.fetch_sub(additional, Ordering::Relaxed);
        }
        grown
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    #[test]
    fn one_query_leaves_the_rest_to_others() {
        let lane: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let share = || -> Arc<dyn MemoryPool> { Arc::new(Share::of(lane.clone(), 60)) };
        let (one, other) = (share(), share());
        let take = |pool: &Arc<dyn MemoryPool>, bytes| {
            let reservation = MemoryConsumer::new("test").register(pool);
            reservation.try_grow(bytes).map(|()| reservation)
        };
        let held = take(&one, 50).expect("within its share");
        assert!(take(&one, 11).is_err(), "more than its share");
        let rest = take(&other, 50).expect("the rest");
        assert!(take(&other, 1).is_err(), "the lane has no more");
        drop(held);
        assert_eq!((one.reserved(), other.reserved(), lane.reserved()), (0, 50, 50));
        drop(rest);
        assert_eq!(lane.reserved(), 0);
    }
}
