//! How much of the CPU a query has had: what is done for it is timed by the clock of the thread that does it.
//!
//! ```text
//! the query's task ── Meter::count ──▶ poll: this thread works for the meter
//!                                        └─ an operator spawns a task ── [`Carrier`] ──▶ counted for the same meter
//! ```
//! *Invariants:* work is counted once, also where counted work is done within counted work. Waiting for a thread, a lock
//! or a disk counts nothing. It is counted when it ends, or earlier where whoever does it asks how much that is.

use std::any::Any;
use std::cell::RefCell;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use datafusion::common::runtime::{JoinSetTracer, set_join_set_tracer};
use futures::FutureExt;
use futures::future::BoxFuture;
use storage::Lease;

use super::breath;

thread_local! {
    /// What this thread does.
    static WORK: RefCell<Option<Work>> = const { RefCell::new(None) };
}

/// Work of one thread for one query.
struct Work {
    meter: Arc<Meter>,
    /// The thread's CPU time when it was last counted.
    from: Duration,
}

/// What one query has had, and what it has of rows in memory.
#[derive(Debug)]
pub struct Meter {
    began: Instant,
    /// Nanoseconds of CPU.
    had: AtomicU64,
    /// When work for it last began or ended, in nanoseconds since `began`.
    seen: AtomicU64,
    /// Of its snapshot.
    leases: OnceLock<[Lease; 3]>,
}

impl Meter {
    pub fn since(began: Instant) -> Self {
        Meter { began, had: AtomicU64::new(0), seen: AtomicU64::new(0), leases: OnceLock::new() }
    }

    /// Its snapshot's, which is the first that it has.
    pub fn lend(&self, leases: [Lease; 3]) {
        // It has no other.
        let _ = self.leases.set(leases);
    }

    /// Whether it has rows of the moment at which it began.
    pub fn has_rows(&self) -> bool {
        self.leases.get().is_some_and(|leases| leases.iter().any(Lease::has_some))
    }

    /// Takes the rows in memory from it, which then goes wrong if it goes on.
    pub fn take_rows(&self) {
        self.leases.get().into_iter().flatten().for_each(Lease::end);
    }

    pub fn began(&self) -> Instant {
        self.began
    }

    /// The CPU time that it has had until it was last counted.
    pub fn had(&self) -> Duration {
        Duration::from_nanos(self.had.load(Ordering::Relaxed))
    }

    /// For how long, `at` this moment, nothing has been done for it.
    pub fn idle(&self, at: Instant) -> Duration {
        let seen = Duration::from_nanos(self.seen.load(Ordering::Relaxed));
        at.saturating_duration_since(self.began + seen)
    }

    /// Work that was done for it until `at`.
    pub(super) fn add(&self, cpu: Duration, at: Instant) {
        self.had.fetch_add(nanos(cpu), Ordering::Relaxed);
        self.seen.fetch_max(nanos(at.saturating_duration_since(self.began)), Ordering::Relaxed);
    }

    /// The same future, whose work is counted, and that of all that operators spawn within it.
    pub fn count<F: Future + Send + 'static>(self: &Arc<Self>, work: F) -> Counted<F::Output> {
        Counted { work: work.boxed(), meter: self.clone() }
    }

    /// Counts until the answer is dropped what this thread does. `None`: it is counted already.
    fn counting(self: &Arc<Self>) -> Option<Counting> {
        WORK.with_borrow_mut(|work| {
            if work.is_some() {
                return None;
            }
            *work = Some(Work { meter: self.clone(), from: of_this_thread() });
            self.add(Duration::ZERO, Instant::now());
            Some(Counting)
        })
    }
}

/// Whether this thread has worked for a query for so long since that was last counted; counts it if so.
pub fn has_worked(turn: Duration) -> bool {
    WORK.with_borrow_mut(|work| {
        let Some(work) = work else { return false };
        let now = of_this_thread();
        let since = now.saturating_sub(work.from);
        if since < turn {
            return false;
        }
        work.from = now;
        work.meter.add(since, Instant::now());
        true
    })
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The CPU time of the calling thread since it began.
pub(super) fn of_this_thread() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(now).unwrap_or_default()
}

/// Until this is dropped.
struct Counting;

impl Drop for Counting {
    fn drop(&mut self) {
        if let Some(Work { meter, from }) = WORK.with_borrow_mut(Option::take) {
            meter.add(of_this_thread().saturating_sub(from), Instant::now());
        }
    }
}

/// Whom this thread works for.
fn works_for() -> Option<Arc<Meter>> {
    WORK.with_borrow(|work| work.as_ref().map(|work| work.meter.clone()))
}

/// A future whose work is counted.
pub struct Counted<T> {
    work: BoxFuture<'static, T>,
    meter: Arc<Meter>,
}

impl<T> Future for Counted<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        breath::take();
        let _counting = self.meter.counting();
        self.work.as_mut().poll(context)
    }
}

/// Has what DataFusion's operators spawn, and what we spawn by `datafusion::common::runtime`, counted for whoever it is
/// spawned by. One for the process.
pub fn carry() {
    // Whoever set one before us set this one: nothing else in the process traces DataFusion's tasks.
    let _ = set_join_set_tracer(&Carrier);
}

struct Carrier;

impl JoinSetTracer for Carrier {
    fn trace_future(&self, work: BoxFuture<'static, Box<dyn Any + Send>>) -> BoxFuture<'static, Box<dyn Any + Send>> {
        match works_for() {
            Some(meter) => Counted { work, meter }.boxed(),
            None => work,
        }
    }

    fn trace_block(
        &self,
        work: Box<dyn FnOnce() -> Box<dyn Any + Send> + Send>,
    ) -> Box<dyn FnOnce() -> Box<dyn Any + Send> + Send> {
        match works_for() {
            Some(meter) => Box::new(move || {
                let _counting = meter.counting();
                work()
            }),
            None => work,
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::common::runtime::{JoinSet, SpawnedTask};

    use super::*;

    /// Works until the thread's own clock says that it has had so much, and says how much that was.
    fn work(least: Duration) -> Duration {
        let from = of_this_thread();
        loop {
            let had = of_this_thread() - from;
            if had >= least {
                return had;
            }
        }
    }

    const SOME: Duration = Duration::from_millis(5);

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn work_is_counted_wherever_it_is_done_and_waiting_is_not() {
        carry();
        let meter = Arc::new(Meter::since(Instant::now()));
        let all = meter.count(async {
            let mut done = work(SOME);
            let mut parts = JoinSet::new();
            parts.spawn(async {
                let before = work(SOME);
                tokio::task::yield_now().await;
                before + work(SOME)
            });
            parts.spawn(async { SpawnedTask::spawn_blocking(|| work(SOME)).await.expect("no panic") });
            while let Some(part) = parts.join_next().await {
                done += part.expect("no panic");
            }
            tokio::time::sleep(4 * SOME).await;
            done
        });
        let done = tokio::spawn(all).await.expect("no panic");
        let had = meter.had();
        assert!(done >= 4 * SOME && had >= done, "{had:?} of {done:?}");
        // Besides the work there is only the spawning; sleeping four times as long as that has cost nothing like it.
        assert!(had < done + 3 * SOME, "{had:?} of {done:?}");
    }

    #[tokio::test]
    async fn work_that_does_not_give_way_is_counted_when_it_asks() {
        let meter = Arc::new(Meter::since(Instant::now()));
        let counted = meter.clone();
        let job = async move {
            let done = work(SOME);
            let asked =
                (has_worked(4 * SOME + 2 * done), counted.had(), has_worked(SOME), counted.had(), has_worked(SOME));
            (done, asked)
        };
        let (done, (too_long, before, long, after, again)) = meter.count(job).await;
        assert_eq!((too_long, before, long, again), (false, Duration::ZERO, true, false));
        assert!(after >= done && meter.had() >= after, "{after:?} of {done:?}");
        assert!(!has_worked(Duration::ZERO), "nobody is worked for");
    }

    #[tokio::test]
    async fn work_within_work_is_counted_once_and_for_the_outer() {
        let (outer, inner) = (Arc::new(Meter::since(Instant::now())), Arc::new(Meter::since(Instant::now())));
        let within = inner.count(async { work(SOME) });
        let done = outer.count(within).await;
        assert!(outer.had() >= done && inner.had().is_zero());
        assert!(works_for().is_none(), "the thread is free again");
    }

    #[test]
    fn a_thread_is_free_again_after_a_panic() {
        let meter = Arc::new(Meter::since(Instant::now()));
        let mut panics = meter.count(async { panic!("as a bug would") });
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            panics.poll_unpin(&mut Context::from_waker(std::task::Waker::noop()))
        }));
        assert!(caught.is_err() && works_for().is_none());
    }

    #[test]
    fn idle_is_since_something_was_last_done() {
        let meter = Meter::since(Instant::now());
        let second = Duration::from_secs(1);
        assert_eq!(meter.idle(meter.began() + second), second);
        meter.add(SOME, meter.began() + 2 * second);
        meter.add(SOME, meter.began() + second);
        assert_eq!(meter.idle(meter.began() + 5 * second), 3 * second);
        assert_eq!(meter.had(), 2 * SOME);
    }
}
