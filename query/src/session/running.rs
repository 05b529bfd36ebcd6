//! Who runs in a lane, and how much each has had. Whoever has had a lot lets those go first who have had little, so that a
//! quick question is answered quickly whatever else is asked; and where places or memory are short, whoever has had most
//! makes room.
//!
//! This is scheduling by attained service in two classes (Kleinrock, Queueing Systems 2, 1976, 4.6). Service is CPU, not
//! time: at the peak a question that costs little can wait for long.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::meter::Meter;

/// A query that has had less CPU goes before those that have had more.
const QUICK: Duration = Duration::from_millis(500);
/// A query for which nothing has been done for so long wants no CPU: it waits for who reads its rows, say.
const IDLE: Duration = Duration::from_secs(1);
/// What an ended query held is given back within this time, about.
const GIVES_BACK: Duration = Duration::from_millis(300);

/// So long a query that has had a lot waits after each turn while there is one that has had little.
const PAUSE: Duration = Duration::from_millis(50);
/// So long a query waits after each turn while the lane ahead of its own wants the CPU: two turns, so that lane has some
/// three quarters of it.
const PAUSE_FOR_LANE: Duration = Duration::from_millis(20);

/// The queries of one lane.
#[derive(Debug, Default)]
pub struct Running {
    seats: Mutex<Seats>,
    /// The lane that goes before this one.
    ahead: Option<Arc<Running>>,
}

#[derive(Debug, Default)]
struct Seats {
    /// In the order in which they began.
    taken: Vec<Arc<Meter>>,
    /// When one was ended for the memory it held.
    ended: Option<Instant>,
    /// What those have had that are gone.
    before: Duration,
}

/// One query's, until it is dropped.
#[derive(Debug)]
pub struct Seat {
    running: Arc<Running>,
    meter: Arc<Meter>,
}

impl Running {
    /// A lane that lets another go first.
    pub fn behind(ahead: &Arc<Running>) -> Arc<Self> {
        Arc::new(Running { ahead: Some(ahead.clone()), ..Running::default() })
    }

    /// Whether one of them wants the CPU, `at` this moment.
    fn wants(&self, at: Instant) -> bool {
        self.seats().taken.iter().any(|meter| meter.idle(at) < IDLE)
    }

    pub fn enter(self: &Arc<Self>) -> Seat {
        self.enter_at(Instant::now())
    }

    fn enter_at(self: &Arc<Self>, began: Instant) -> Seat {
        let meter = Arc::new(Meter::since(began));
        self.seats().taken.push(meter.clone());
        Seat { running: self.clone(), meter }
    }

    /// The CPU time that all have had since the start.
    pub fn had(&self) -> Duration {
        let seats = self.seats();
        seats.taken.iter().fold(seats.before, |sum, meter| sum + meter.had())
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    /// How many of those that `count` have had more CPU, or as much and began earlier.
    fn before(&self, one: &Arc<Meter>, count: impl Fn(&Meter) -> bool) -> usize {
        let (had, own) = (one.had(), self.taken.iter().position(|other| Arc::ptr_eq(one, other)));
        let others = self.taken.iter().enumerate().filter(|(at, _)| Some(*at) != own);
        let before =
            others.filter(|(at, other)| (Reverse(other.had()), Some(*at)) < (Reverse(had), own) && count(other));
        before.count()
    }
}

impl Seat {
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// How long it waits because it is another's turn, `at` this moment.
    pub fn gives_way(&self, at: Instant) -> Option<Duration> {
        let is_quick = |meter: &Meter| meter.had() < QUICK;
        let wants = |meter: &Meter| is_quick(meter) && meter.idle(at) < IDLE;
        if !is_quick(&self.meter) && self.running.seats().taken.iter().any(|other| wants(other)) {
            return Some(PAUSE);
        }
        self.running.ahead.as_ref().filter(|ahead| ahead.wants(at)).map(|_| PAUSE_FOR_LANE)
    }

    /// Whether it has had its part, `at` this moment: it began `patience` ago, is not quick, and of those that could be
    /// said this of it is among the `waiting` who have had most.
    pub fn has_outstayed(&self, at: Instant, patience: Duration, waiting: usize) -> bool {
        let has_had_its_part = |meter: &Meter| {
            let age = at.saturating_duration_since(meter.began());
            age >= patience && (meter.had() >= QUICK || meter.idle(at) >= IDLE)
        };
        has_had_its_part(&self.meter) && self.running.seats().before(&self.meter, has_had_its_part) < waiting
    }

    /// Whether it is this query that has to end, when one has to for the memory that all take: the one that has had most,
    /// and none while another's is being given back.
    pub fn has_to_end(&self, at: Instant) -> bool {
        let mut seats = self.running.seats();
        let is_first = seats.before(&self.meter, |_| true) == 0;
        let soon = seats.ended.is_some_and(|ended| at.saturating_duration_since(ended) < GIVES_BACK);
        if is_first && !soon {
            seats.ended = Some(at);
        }
        is_first && !soon
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.running.seats();
        seats.before += self.meter.had();
        seats.taken.retain(|meter| !Arc::ptr_eq(meter, &self.meter));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn who_has_had_a_lot_gives_way_to_who_has_had_little_however_long_both_are_there() {
        let running = Arc::new(Running::default());
        let (costly, cheap) = (running.enter(), running.enter());
        let at = costly.meter.began() + 8 * SECOND;
        costly.meter.add(QUICK, at);
        assert_eq!(costly.gives_way(at), None, "the other wants nothing: nothing was done for it in 8 s");
        cheap.meter.add(QUICK / 10, at - IDLE / 2);
        assert_eq!((costly.gives_way(at), cheap.gives_way(at)), (Some(PAUSE), None));
        cheap.meter.add(QUICK, at);
        assert_eq!((costly.gives_way(at), cheap.gives_way(at)), (None, None), "both have had a lot");
    }

    #[test]
    fn a_lane_lets_the_one_ahead_of_it_go_first_while_that_wants_something() {
        let ahead = Arc::new(Running::default());
        let (behind, other) = (Running::behind(&ahead), ahead.enter());
        let statement = behind.enter();
        let at = statement.meter.began();
        assert_eq!((statement.gives_way(at), other.gives_way(at)), (Some(PAUSE_FOR_LANE), None));
        assert_eq!(statement.gives_way(at + 2 * IDLE), None, "nothing is done for it");
        drop(other);
        assert_eq!(statement.gives_way(at), None);
    }

    #[test]
    fn who_has_outstayed_is_who_has_had_most_and_never_who_got_no_turn() {
        let running = Arc::new(Running::default());
        let seats: Vec<Seat> = (0..4).map(|_| running.enter()).collect();
        let at = seats[3].meter.began() + PATIENCE;
        // The second is starved at the peak, the last one's rows are not fetched.
        for (seat, (had, seen)) in
            seats.iter().zip([(QUICK, at), (QUICK / 2, at), (2 * QUICK, at), (QUICK / 2, at - IDLE)])
        {
            seat.meter.add(had, seen);
        }
        let outstayed =
            |at, waiting| seats.iter().map(|seat| seat.has_outstayed(at, PATIENCE, waiting)).collect::<Vec<_>>();
        assert_eq!(outstayed(at, 0), [false; 4], "nobody waits");
        assert_eq!(outstayed(at, 1), [false, false, true, false]);
        assert_eq!(outstayed(at, 2), [true, false, true, false]);
        assert_eq!(outstayed(at, 4), [true, false, true, true]);
        assert_eq!(outstayed(at - SECOND, 4), [false; 4], "all have just come");
    }

    #[test]
    fn the_costliest_ends_first_and_the_next_only_when_that_did_not_help() {
        let running = Arc::new(Running::default());
        let seats: Vec<Seat> = (0..3).map(|_| running.enter()).collect();
        let at = Instant::now();
        seats[1].meter.add(SECOND, at);
        assert_eq!(seats.iter().map(|seat| seat.has_to_end(at)).collect::<Vec<_>>(), [false, true, false]);
        let left: Vec<Seat> = seats.into_iter().enumerate().filter(|(n, _)| *n != 1).map(|(_, seat)| seat).collect();
        assert!(left.iter().all(|seat| !seat.has_to_end(at + GIVES_BACK / 2)));
        let later = at + GIVES_BACK;
        assert_eq!(
            left.iter().map(|seat| seat.has_to_end(later)).collect::<Vec<_>>(),
            [true, false],
            "the earlier one"
        );
    }

    #[test]
    fn what_a_lane_has_had_stays_when_its_queries_are_gone() {
        let running = Arc::new(Running::default());
        let (one, other) = (running.enter(), running.enter());
        one.meter.add(2 * SECOND, Instant::now());
        other.meter.add(SECOND, Instant::now());
        assert_eq!(running.had(), 3 * SECOND);
        drop(one);
        assert_eq!(running.had(), 3 * SECOND);
    }
}
