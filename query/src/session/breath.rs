//! Short pauses of the threads that answer queries, so that whoever waits for their core gets it soon (docs/adr/0019).
//!
//! These threads run when a core is idle (docs/adr/0017), but the scheduler looks at that only when another thread wakes up.
//! One that is ready already waits until the query's slice is over, 3 to 8 ms. A thread that sleeps for a moment gives its
//! core up at once, to anyone.
//!
//! *Invariant:* while exports come, or a pause has given a core to somebody, each thread breathes soon.

use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use model::Nanos;
use model::time::MILLISECOND;

/// So long after its last breath a thread breathes again where others want the cores. Longer: exports wait longer behind
/// queries; shorter: queries lose more than a sixth of their time.
const SOON: Duration = Duration::from_micros(300);
/// And where nobody does.
const LATE: Duration = Duration::from_millis(5);
/// The system makes at least some 50 µs of it (timerslack, prctl(2)).
const PAUSE: Duration = Duration::from_nanos(1);
/// A pause that takes longer than this has given the core to somebody.
const TAKEN: Duration = Duration::from_micros(150);

/// So long after a core was wanted by somebody else, others are expected to want one.
const CROWDED: Duration = Duration::from_secs(1);
/// An export came so lately when a query begins: more are about to come.
const LATELY: Nanos = 100 * MILLISECOND;

thread_local! {
    /// When the thread breathed last.
    static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
    /// Whether it holds its breath.
    static HOLDS: Cell<bool> = const { Cell::new(false) };
}
/// When the process first computed for a query, and when somebody last wanted a core, in milliseconds since then and one.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
static WANTED: AtomicU64 = AtomicU64::new(0);

/// Takes a breath if the last one of this thread was long enough ago. A thread that has only waited since then takes one
/// too many, which costs less than to ask how much it has worked.
pub fn take() {
    if HOLDS.get() {
        return;
    }
    let now = Instant::now();
    let Some(last) = LAST.get() else {
        return LAST.set(Some(now));
    };
    let since = now.saturating_duration_since(last);
    // What all threads share is looked at only when it matters.
    if since < SOON || (since < LATE && !is_crowded_at(now)) {
        return;
    }
    std::thread::sleep(PAUSE);
    let after = Instant::now();
    if after.saturating_duration_since(now) > TAKEN {
        wanted_at(after);
    }
    LAST.set(Some(after));
}

/// This thread never breathes: where others want all cores for good, each breath costs a place in the queue for one.
pub fn hold() {
    HOLDS.set(true);
}

/// Whether exports come, for a query that begins at `now`.
pub fn is_busy(now: Nanos, newest_export: Option<Nanos>) -> bool {
    newest_export.is_some_and(|newest| now - newest < LATELY)
}

/// Others are about to want the cores.
pub fn make_way() {
    wanted_at(Instant::now());
}

/// Whether somebody wanted the core of a query's thread lately, or is about to.
pub fn is_crowded() -> bool {
    is_crowded_at(Instant::now())
}

fn is_crowded_at(now: Instant) -> bool {
    let wanted = WANTED.load(Ordering::Relaxed);
    wanted > 0 && u128::from((milliseconds(now) + 1).saturating_sub(wanted)) < CROWDED.as_millis()
}

fn wanted_at(at: Instant) {
    WANTED.store(milliseconds(at) + 1, Ordering::Relaxed);
}

fn milliseconds(at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(*BEGAN).as_millis()).unwrap_or(u64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_beside_exports_makes_way_and_one_long_after_the_last_does_not() {
        let now = 1_000_000 * MILLISECOND;
        assert!(is_busy(now, Some(now - 20 * MILLISECOND)));
        assert!(!is_busy(now, Some(now - 2_000 * MILLISECOND)));
        assert!(!is_busy(now, None));
    }

    #[test]
    fn who_makes_way_is_crowded_for_a_second() {
        let now = Instant::now();
        wanted_at(now);
        assert!(is_crowded_at(now));
        assert!(is_crowded_at(now + CROWDED / 2));
        assert!(!is_crowded_at(now + 2 * CROWDED));
    }
}
