//! Threads for long work that must not get in the way: summing up rows, encoding files, merging them.
//!
//! They run at a lower priority than the threads that answer exports, so that a burst is acknowledged first and
//! written later. Each piece of work has a thread of its own: there are at most four at a time.

use model::{Error, Result};

/// How much a thread steps back, as its niceness on Linux.
#[derive(Debug, Clone, Copy)]
pub enum Priority {
    /// Rows on their way from memory to a file: memory is given back by it.
    Flush,
    /// Merging files: nobody waits for it.
    Merge,
}

impl Priority {
    fn nice(self) -> i32 {
        match self {
            Priority::Flush => 5,
            Priority::Merge => 15,
        }
    }
}

/// Runs `work` on a thread of its own and waits for it without holding up a runtime thread.
pub async fn run<T: Send + 'static>(
    name: &'static str,
    priority: Priority,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // On Linux this is the thread's own niceness. Where it may not be changed nothing is lost but order.
        let _ = rustix::process::nice(priority.nice());
        // The one who asked may be gone.
        let _ = tell.send(work());
    });
    spawned.map_err(|e| Error::unavailable(format!("starting a thread to {name}: {e}")))?;
    told.await.unwrap_or_else(|_| Err(Error::internal(format!("the thread to {name} panicked"))))
}
