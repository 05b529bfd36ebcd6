//! Named points at which a test has the program killed, as by `kill -9`.
//!
//! `HOTSPAN_CRASH_AT=NAME` kills at the first passing of a point, `NAME:N` at the N-th; one process passes one such
//! point in its life. Only builds with debug assertions have this: in a release build the macro is empty, and neither
//! the points nor their names are there. `tests/it/points.rs` goes through all of them, and `tests/tidy` sees to it.
//!
//! *Invariant:* nothing happens between the point and the kill, and nothing is tidied up: no destructor, no flush.

#[cfg(debug_assertions)]
mod disk;

#[cfg(debug_assertions)]
pub use disk::Disk;
#[cfg(not(debug_assertions))]
pub use wal::Disk;

/// A point of this name. With `, first { … }`: does that before it dies, to leave
/// something half done.
macro_rules! crash_point {
    ($name:expr) => {{
        #[cfg(debug_assertions)]
        if crate::crash::dies_at($name) {
            crate::crash::die();
        }
    }};
    ($name:expr, first $half:block) => {{
        #[cfg(debug_assertions)]
        if crate::crash::dies_at($name) {
            $half;
            crate::crash::die();
        }
    }};
}
pub(crate) use crash_point;

/// The points of a put.
#[cfg(debug_assertions)]
pub struct Put {
    pub torn: &'static str,
    pub written: &'static str,
    pub synced: &'static str,
    pub named: &'static str,
}

#[cfg(debug_assertions)]
const FILE: Put = Put { torn: "file.torn", written: "file.written", synced: "file.synced", named: "file.named" };
#[cfg(debug_assertions)]
const COMMIT: Put =
    Put { torn: "commit.torn", written: "commit.written", synced: "commit.synced", named: "commit.named" };
#[cfg(debug_assertions)]
const CHECKPOINT: Put = Put {
    torn: "checkpoint.torn",
    written: "checkpoint.written",
    synced: "checkpoint.synced",
    named: "checkpoint.named",
};

/// Those of putting an object at this path.
#[cfg(debug_assertions)]
pub fn put_of(target: &std::path::Path) -> &'static Put {
    let in_log = target.parent().is_some_and(|folder| folder.ends_with("_delta_log"));
    match target.extension() {
        Some(kind) if in_log && kind == "json" => &COMMIT,
        _ if in_log => &CHECKPOINT,
        _ => &FILE,
    }
}

/// Counts a passing; whether this is the one.
#[cfg(debug_assertions)]
pub fn dies_at(name: &str) -> bool {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WANTED: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("HOTSPAN_CRASH_AT").ok()?;
        let (name, passing) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), AtomicU64::new(passing.parse().ok()?)))
    });
    let Some((wanted, left)) = wanted else { return false };
    wanted == name && left.fetch_sub(1, Ordering::Relaxed) == 1
}

/// Ends the process as `kill -9` does.
#[cfg(debug_assertions)]
pub fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}
