//! `kill -9` at every named point of the crash matrix, in the real program; then what was acknowledged is compared with
//! what three readers find: SQL, the trace API, and a reader of the Delta tables that shares no code with hotspan.
//!
//! ```text
//!   HOTSPAN_CRASH_AT=point ─▶ hotspan serve ◀── exports, until it dies ── no answer: sent again to the next server
//!                               ✗ dead at the point                            │
//!   hotspan serve ◀── the rest ────────────────────────────────────────────────┘ ─▶ SQL, traces, stop, Delta, check
//! ```
//! A point that is never passed fails the test. `HOTSPAN_CRASH_ROUNDS=20` dies at later passings too: the long tier.

mod cases;
mod clients;
mod delta;

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;

use cases::{CASES, Case};

/// Servers at a time. Most of their time they wait for timers.
const AT_ONCE: usize = 5;

#[test]
fn no_crash_point_loses_or_doubles_what_was_acknowledged() {
    let rounds = std::env::var("HOTSPAN_CRASH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let only = std::env::var("HOTSPAN_CRASH_POINT").ok();
    // The slow ones first.
    let mut waiting: Vec<(&Case, u64)> = (0..rounds).flat_map(|round| CASES.iter().map(move |c| (c, round))).collect();
    waiting.retain(|(case, round)| (*round == 0 || case.is_repeatable()) && only.iter().all(|o| case.point == o));
    waiting.sort_by_key(|(case, _)| !case.is_slow());
    let (total, waiting) = (waiting.len(), Mutex::new(VecDeque::from(waiting)));
    let failed = Mutex::new(Vec::new());
    let work = || {
        while let Some((case, round)) = { waiting.lock().expect("no panic while it is held").pop_front() } {
            let (point, passing) = (case.point, case.passing + round * 3);
            let outcome = std::panic::catch_unwind(|| case.run(passing));
            match outcome {
                Ok(told) => println!("{point}:{passing}: {told}"),
                Err(_) => failed.lock().expect("no panic while it is held").push(format!("{point}:{passing}")),
            }
        }
    };
    std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    let failed = failed.into_inner().expect("no panic while it is held");
    assert!(failed.is_empty(), "{} of {total} failed: {failed:?}", failed.len());
    println!("{total} crashes at {} points", CASES.len());
}

/// The server died as by `kill -9`.
fn died(status: std::process::ExitStatus) -> bool {
    status.signal() == Some(9)
}
