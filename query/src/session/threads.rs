//! The threads queries run on: their own, at lower priority than ingest, with stacks that the sandbox's limits are
//! proven against.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::{Error, Result};
use tokio::runtime::{Builder, Runtime};

/// Stack of a query thread, bytes. `sandbox` limits how deep a statement can nest so that this suffices.
pub const STACK: usize = 16 << 20;
/// So many threads with this name and this much added to their niceness.
pub fn start(name: &'static str, threads: usize, nice: i32) -> Result<Runtime> {
    let number = Arc::new(AtomicUsize::new(0));
    Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .max_blocking_threads(threads.max(1) * 2)
        .thread_stack_size(STACK)
        .thread_name_fn(move || format!("{name}-{}", number.fetch_add(1, Ordering::Relaxed)))
        .on_thread_start(move || {
            // On Linux this is the thread's own niceness. Without the right to lower it nothing is lost but order.
            if let Err(error) = rustix::process::nice(nice) {
                tracing::debug!(%error, "query thread keeps its priority");
            }
        })
        .enable_all()
        .build()
        .map_err(|e| Error::internal(format!("starting query threads: {e}")))
}
