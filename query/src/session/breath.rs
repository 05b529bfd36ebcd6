//! Short pauses of the threads that answer queries, so that whoever waits for their core gets it soon (docs/adr/0019).
//!
//! These threads run when a core is idle (docs/adr/0017), but the scheduler looks at that only when another thread wakes up.
//! One that is ready already waits until the query's slice is over, 3 to 8 ms. A thread that sleeps for a moment gives its
//! core up at once, to anyone.

use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::meter::of_this_thread;

/// After so much work a thread breathes. Longer: exports wait longer behind queries; shorter: queries lose more than a
/// sixth of their time.
const SOON: Duration = Duration::from_micros(300);
/// And where for so many breaths nobody has wanted its core.
const LATE: Duration = Duration::from_millis(5);
const ALONE: u32 = 64;
/// The system makes at least some 50 µs of it (timerslack, prctl(2)).
const PAUSE: Duration = Duration::from_nanos(1);
/// A pause that takes longer than this has given the core to somebody.
const TAKEN: Duration = Duration::from_micros(150);

/// So long after a core was wanted by somebody else, others are expected to want one.
const CROWDED: Duration = Duration::from_secs(1);

thread_local! {
    static RHYTHM: Cell<Option<Rhythm>> = const { Cell::new(None) };
}
/// When the process first computed for a query, and when somebody last wanted a core, in milliseconds since then and one.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
static WANTED: AtomicU64 = AtomicU64::new(0);

/// When a thread breathes next.
#[derive(Debug, Clone, Copy)]
struct Rhythm {
    /// When its work since the last breath began, about, and its CPU time then.
    since: Instant,
    had: Duration,
    /// For so many breaths nobody has wanted its core.
    alone: u32,
}

impl Rhythm {
    /// So much work is between two breaths.
    fn every(self) -> Duration {
        if self.alone < ALONE { SOON } else { LATE }
    }

    /// Whether it is time, `at` this moment and with so much CPU time.
    fn is_due(&mut self, at: Instant, had: Duration) -> bool {
        let worked = had.saturating_sub(self.had);
        let is_due = worked >= self.every();
        if !is_due {
            // It has waited for something in between, which was a pause too.
            self.since = at.checked_sub(worked).unwrap_or(at);
        }
        is_due
    }

    /// What follows a pause that took so long.
    fn after(self, pause: Duration) -> Self {
        Rhythm { alone: if pause > TAKEN { 0 } else { self.alone.saturating_add(1) }, ..self }
    }
}

/// Takes a breath if this thread has worked for long enough.
pub fn take() {
    let now = Instant::now();
    let mut rhythm = RHYTHM.get().unwrap_or_else(|| Rhythm { since: now, had: of_this_thread(), alone: 0 });
    // The clock costs nothing beside asking for the CPU time.
    if now.saturating_duration_since(rhythm.since) >= rhythm.every() && rhythm.is_due(now, of_this_thread()) {
        std::thread::sleep(PAUSE);
        let after = Instant::now();
        rhythm = Rhythm { since: after, had: of_this_thread(), ..rhythm.after(after.saturating_duration_since(now)) };
        if rhythm.alone == 0 {
            WANTED.store(milliseconds(after) + 1, Ordering::Relaxed);
        }
    }
    RHYTHM.set(Some(rhythm));
}

/// Whether somebody wanted the core of a query's thread lately.
pub fn is_crowded() -> bool {
    let wanted = WANTED.load(Ordering::Relaxed);
    wanted > 0 && u128::from((milliseconds(Instant::now()) + 1).saturating_sub(wanted)) < CROWDED.as_millis()
}

fn milliseconds(at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(*BEGAN).as_millis()).unwrap_or(u64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_long_been_alone_breathes_rarely_and_soon_again_when_somebody_wants_the_core() {
        let mut rhythm = Rhythm { since: Instant::now(), had: Duration::ZERO, alone: 0 };
        for _ in 0..ALONE {
            assert_eq!(rhythm.every(), SOON);
            rhythm = rhythm.after(TAKEN);
        }
        assert_eq!((rhythm.every(), rhythm.after(TAKEN).every()), (LATE, LATE));
        assert_eq!(rhythm.after(2 * TAKEN).every(), SOON);
    }

    #[test]
    fn waiting_is_no_work() {
        let began = Instant::now();
        let mut rhythm = Rhythm { since: began, had: SOON, alone: 0 };
        let at = began + 10 * SOON;
        assert!(!rhythm.is_due(at, SOON + SOON / 3));
        assert_eq!(rhythm.since, at - SOON / 3, "it has worked for so long");
        assert!(rhythm.is_due(at + SOON, 2 * SOON));
    }
}
