//! Who runs in a lane, and since when. Whoever has had a while lets those go first who just began, so that a quick question
//! is answered quickly whatever else is asked; and where the process takes too much memory, the oldest ends first.
//!
//! This is scheduling by attained service in two classes (Kleinrock, Queueing Systems 2, 1976, 4.6), by the time that a
//! query has been running rather than by the CPU it has had, which nobody counts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So long a query goes before those that began earlier.
const QUICK: Duration = Duration::from_millis(500);
/// What an ended query held is given back within this time, about.
const GIVES_BACK: Duration = Duration::from_millis(300);

/// The queries of one lane.
#[derive(Debug, Default)]
pub struct Running {
    seats: Mutex<Seats>,
}

#[derive(Debug, Default)]
struct Seats {
    /// By number, so in the order in which they began.
    began: Vec<(u64, Instant)>,
    next: u64,
    /// When one was ended for the memory it held.
    ended: Option<Instant>,
}

/// One query's, until it is dropped.
#[derive(Debug)]
pub struct Seat {
    running: Arc<Running>,
    number: u64,
    began: Instant,
}

impl Running {
    pub fn enter(self: &Arc<Self>) -> Seat {
        self.enter_at(Instant::now())
    }

    fn enter_at(self: &Arc<Self>, began: Instant) -> Seat {
        let mut seats = self.seats();
        let number = seats.next;
        seats.next += 1;
        seats.began.push((number, began));
        Seat { running: self.clone(), number, began }
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Whether it is another's turn, `at` this moment.
    pub fn gives_way(&self, at: Instant) -> bool {
        let is_quick = |began: Instant| at.saturating_duration_since(began) < QUICK;
        !is_quick(self.began) && self.running.seats().began.iter().any(|(_, began)| is_quick(*began))
    }

    /// Whether it is this query that has to end, when one has to for the memory that all take: the oldest, and none
    /// while another's is being given back.
    pub fn has_to_end(&self, at: Instant) -> bool {
        let mut seats = self.running.seats();
        let is_oldest = seats.began.first().is_some_and(|(number, _)| *number == self.number);
        let soon = seats.ended.is_some_and(|ended| at.saturating_duration_since(ended) < GIVES_BACK);
        if is_oldest && !soon {
            seats.ended = Some(at);
        }
        is_oldest && !soon
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.running.seats().began.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_had_a_while_gives_way_to_who_just_began() {
        let running = Arc::new(Running::default());
        let old = running.enter();
        let later = old.began + 2 * QUICK;
        assert!(!old.gives_way(later), "nobody else is there");
        let young = running.enter_at(later);
        assert!(old.gives_way(later) && !young.gives_way(later));
        assert!(!old.gives_way(later + QUICK), "both have had a while");
        drop(young);
        assert!(!old.gives_way(later));
    }

    #[test]
    fn the_oldest_ends_first_and_the_next_only_when_that_did_not_help() {
        let running = Arc::new(Running::default());
        let seats: Vec<Seat> = (0..3).map(|_| running.enter()).collect();
        let at = Instant::now();
        assert_eq!(seats.iter().map(|seat| seat.has_to_end(at)).collect::<Vec<_>>(), [true, false, false]);
        let mut seats = seats.into_iter();
        drop(seats.next());
        let left: Vec<Seat> = seats.collect();
        assert!(left.iter().all(|seat| !seat.has_to_end(at + GIVES_BACK / 2)));
        let later = at + GIVES_BACK;
        assert_eq!(left.iter().map(|seat| seat.has_to_end(later)).collect::<Vec<_>>(), [true, false]);
    }
}
