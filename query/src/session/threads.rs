//! The threads queries run on: their own, which run when ingest leaves a core idle, with stacks that the sandbox's limits
//! are proven against.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::{Error, Result};
use tokio::runtime::{Builder, Runtime};

/// Stack of a query thread, bytes. `sandbox` limits how deep a statement can nest so that this suffices.
pub const STACK: usize = 16 << 20;
/// So many threads with this name, which run when a core is idle; where the system does not know such threads, by so much
/// nicer than the thread that asks. Those that the runtime adds for blocking work begin as nice as the one that needed
/// them, so the niceness is set rather than added to.
pub fn start(name: &'static str, threads: usize, nice: i32) -> Result<Runtime> {
    let number = Arc::new(AtomicUsize::new(0));
    let nice = rustix::process::getpriority_process(None).unwrap_or(0) + nice;
    Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .max_blocking_threads(threads.max(1) * 2)
        .thread_stack_size(STACK)
        .thread_name_fn(move || format!("{name}-{}", number.fetch_add(1, Ordering::Relaxed)))
        .on_thread_start(move || {
            if let Err(error) = system::run_when_idle() {
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
    use super::*;

    #[test]
    fn threads_for_blocking_work_are_as_nice_as_the_others() {
        let own = rustix::process::getpriority_process(None).expect("known");
        let runtime = start("nice", 1, 3).expect("starts");
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
