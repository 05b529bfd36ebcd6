//! The threads queries run on: their own, which run when ingest leaves a core idle, with stacks that the sandbox's limits
//! are proven against. Where no core is ever idle, analyses run on others, which are only nicer: a few hundredths of a core
//! are enough for them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::{Error, Result};
use tokio::runtime::{Builder, Handle, Runtime};

use super::breath;
use super::meter::Meter;

/// Stack of a query thread, bytes. `sandbox` limits how deep a statement can nest so that this suffices.
pub const STACK: usize = 16 << 20;
/// When nothing was done for a query for so long, and no thread of the first kind comes for as long: none of them has a core,
/// since what others run or take in has all of them.
const COMES_WITHIN: Duration = Duration::from_millis(200);
/// How often it is looked whether something was done for a query.
const LOOK: Duration = Duration::from_millis(100);
/// So long queries then begin on threads of the second kind.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The threads of a lane, which stop when this is dropped.
pub struct Threads {
    /// Run when a core is idle, so that they are in nobody's way.
    idle: Option<Runtime>,
    /// Run among the others, only nicer.
    nicer: Option<Runtime>,
    /// When those of the first kind last did not come.
    never_came: Mutex<Option<Instant>>,
}

impl Threads {
    /// So many with this name that run when a core is idle, and `with_nicer` as many that are by so much nicer than the
    /// thread that asks; where the system does not know the first kind, all of them are. Twice as many read files, and
    /// `beside` others do work that cannot give way.
    pub fn start(name: &'static str, threads: usize, beside: usize, nice: i32, with_nicer: bool) -> Result<Self> {
        let blocking = 2 * threads + beside;
        let idle = Some(runtime(name.to_owned(), (threads, blocking), nice, true)?);
        let nicer = || runtime(format!("{name}-now"), (threads, blocking), nice, false);
        let nicer = with_nicer.then(nicer).transpose()?;
        Ok(Threads { idle, nicer, never_came: Mutex::new(None) })
    }

    /// Where a query that begins `at` this moment runs.
    pub fn first(&self, at: Instant) -> Result<&Handle> {
        let never_came = *self.never_came();
        let lately = never_came.is_some_and(|then| at.saturating_duration_since(then) < REMEMBERED);
        let runtime = self.nicer.as_ref().filter(|_| lately).or(self.idle.as_ref());
        runtime.map(Runtime::handle).ok_or_else(|| Error::unavailable("the query engine has stopped"))
    }

    /// Comes back when the threads of a query that runs on those of the first kind never have a core, with those that
    /// have one.
    pub async fn never_come(&self, meter: &Meter) -> &Handle {
        let (Some(idle), Some(nicer)) = (&self.idle, &self.nicer) else { return std::future::pending().await };
        loop {
            tokio::time::sleep(LOOK).await;
            // What waits for a disk or a lock looks the same, but then a thread comes at once.
            if meter.idle(Instant::now()) >= COMES_WITHIN
                && tokio::time::timeout(COMES_WITHIN, idle.spawn(async {})).await.is_err()
            {
                *self.never_came() = Some(Instant::now());
                return nicer.handle();
            }
        }
    }

    fn never_came(&self) -> MutexGuard<'_, Option<Instant>> {
        self.never_came.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Not the plain drop: that waits, and panics inside another runtime.
        for runtime in [self.idle.take(), self.nicer.take()].into_iter().flatten() {
            runtime.shutdown_background();
        }
    }
}

/// Threads that the runtime adds for blocking work begin as nice as the one that needed them, so the niceness is set rather
/// than added to.
fn runtime(name: String, (threads, blocking): (usize, usize), nice: i32, when_idle: bool) -> Result<Runtime> {
    let number = Arc::new(AtomicUsize::new(0));
    let nice = rustix::process::getpriority_process(None).unwrap_or(0) + nice;
    Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .max_blocking_threads(blocking.max(1))
        .thread_stack_size(STACK)
        .thread_name_fn(move || format!("{name}-{}", number.fetch_add(1, Ordering::Relaxed)))
        .on_thread_start(move || {
            if !when_idle {
                breath::hold();
            } else if let Err(error) = system::run_when_idle() {
                tracing::debug!(%error, "query thread does not wait for an idle core");
            }
            // On Linux this is the thread's own niceness. Without the right to lower it nothing is lost but order.
            if let Err(error) = rustix::process::setpriority_process(None, nice) {
                tracing::debug!(%error, "query thread keeps its priority");
            }
        })
        .enable_all()
        .build()
        .map_err(|e| Error::internal(format!("starting query threads: {e}")))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    async fn name(threads: &Handle) -> String {
        let name = || std::thread::current().name().unwrap_or_default().to_owned();
        threads.spawn(async move { name() }).await.expect("answers")
    }

    #[tokio::test]
    async fn queries_do_not_wait_for_threads_that_never_have_a_core() {
        let threads = Threads::start("t", 1, 0, 3, true).expect("starts");
        let meter = Meter::since(Instant::now());
        assert_eq!(name(threads.first(Instant::now()).expect("runs")).await, "t-0");
        // As if another process had all the cores.
        let (resume, paused) = mpsc::channel::<()>();
        let stuck = threads.first(Instant::now()).expect("runs").spawn(async move { paused.recv() });
        assert_eq!(name(threads.never_come(&meter).await).await, "t-now-0");
        let now = Instant::now();
        assert_eq!(name(threads.first(now).expect("runs")).await, "t-now-0", "the next begins there");
        drop(resume);
        assert!(stuck.await.expect("ends").is_err());
        assert_eq!(
            name(threads.first(now + 2 * REMEMBERED).expect("runs")).await,
            "t-0",
            "and a later one tries again"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_for_which_something_is_done_stays_where_it_is() {
        let threads = Threads::start("t", 1, 0, 3, true).expect("starts");
        let (resume, paused) = mpsc::channel::<()>();
        let stuck = threads.first(Instant::now()).expect("runs").spawn(async move { paused.recv() });
        let meter = Meter::since(Instant::now());
        meter.add(Duration::ZERO, Instant::now() + Duration::from_secs(3_600));
        assert!(tokio::time::timeout(20 * LOOK, threads.never_come(&meter)).await.is_err());
        assert_eq!(*threads.never_came(), None);
        drop(resume);
        assert!(stuck.await.expect("ends").is_err());
    }

    #[test]
    fn threads_for_blocking_work_are_as_nice_as_the_others() {
        let own = rustix::process::getpriority_process(None).expect("known");
        for when_idle in [true, false] {
            let runtime = runtime("nice".to_owned(), (1, 2), 3, when_idle).expect("starts");
            let niceness = || rustix::process::getpriority_process(None).expect("known");
            let (worker, blocking) = runtime.block_on(async {
                // From a worker, whose niceness a new thread begins with.
                let asked = tokio::spawn(async move { (niceness(), tokio::task::spawn_blocking(niceness).await) });
                let (worker, blocking) = asked.await.expect("answers");
                (worker, blocking.expect("answers"))
            });
            assert_eq!((worker, blocking), (own + 3, own + 3));
            runtime.shutdown_background();
        }
    }
}
