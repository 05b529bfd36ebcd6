//! Who runs in a lane, and how much each has had. Whoever has had a lot lets those go first who have had little, so that a
//! quick question is answered quickly whatever else is asked; and where places or memory are short, whoever has had most
//! makes room.
//!
//! ```text
//!   place to begin ──has had 0.5 s──▶ costly ─▶ one of the few with room for it: its place to begin is free
//!                                       │
//!                                       └─▶ as many go on at once: those of the lowest class, the first of it first
//! ```
//!
//! This is scheduling by attained service in classes, first come first served within each (Kleinrock, Queueing Systems 2,
//! 1976, 4.7). Service is CPU, not time: at the peak a question that costs little can wait for long.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::meter::Meter;

/// A query that has had less CPU is in the first class; each further one ends at twice as much.
const QUICK: Duration = Duration::from_millis(500);
/// A query for which nothing has been done for so long wants no CPU: it waits for who reads its rows, say.
const IDLE: Duration = Duration::from_secs(1);
/// What an ended query held is given back within this time, about; the rows that it had are given back within a third of it.
const GIVES_BACK: Duration = Duration::from_millis(300);

/// So long a costly query waits after each turn while a quick one wants the CPU.
const PAUSE: Duration = Duration::from_millis(50);
/// And so long, for any of a lower class, a costly statement where the CPU is short: several of them, each in several parts, would
/// otherwise have most of what there is.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// So long a query waits after each turn while the lane ahead of its own wants the CPU: two turns, so that lane has some
/// three quarters of it.
const PAUSE_FOR_LANE: Duration = Duration::from_millis(20);

/// The queries of one lane.
#[derive(Debug, Default)]
pub struct Running {
    seats: Mutex<Seats>,
    /// The lane that goes before this one.
    ahead: Option<Arc<Running>>,
    /// How many that are not quick go on at once, and have room beside the places to begin. `None`: all, in their places.
    most_costly: Option<usize>,
}

#[derive(Debug, Default)]
struct Seats {
    /// In the order in which they began.
    taken: Vec<Arc<Meter>>,
    /// Those that are not quick, in the order in which that was seen.
    costly: Vec<Costly>,
    /// When one was ended for the memory it held.
    ended: Option<Instant>,
    /// What those have had that are gone.
    before: Duration,
}

/// A query that is not quick any more.
#[derive(Debug)]
struct Costly {
    meter: Arc<Meter>,
    since: Instant,
    has_room: bool,
    /// It was told to end and will.
    ends: bool,
}

/// One query's, until it is dropped.
#[derive(Debug)]
pub struct Seat {
    running: Arc<Running>,
    meter: Arc<Meter>,
    /// Where it began, until others may begin there.
    place: Mutex<Option<Arc<OwnedSemaphorePermit>>>,
}

impl Running {
    /// A lane that lets another go first, and of whose queries only so many go on once they have had a lot.
    pub fn behind(ahead: &Arc<Running>, most_costly: usize) -> Arc<Self> {
        let most_costly = Some(most_costly);
        Arc::new(Running { ahead: Some(ahead.clone()), most_costly, ..Running::default() })
    }

    /// How many may go on besides those in places to begin.
    pub fn most_costly(&self) -> usize {
        self.most_costly.unwrap_or(0)
    }

    /// How many have room beside them.
    pub fn with_room(&self) -> usize {
        self.seats().costly.iter().filter(|costly| costly.has_room).count()
    }

    /// Whether one of them wants the CPU, `at` this moment.
    fn wants(&self, at: Instant) -> bool {
        self.seats().taken.iter().any(|meter| meter.idle(at) < IDLE)
    }

    /// A query that begins now, in this place.
    pub fn enter(self: &Arc<Self>, place: Option<Arc<OwnedSemaphorePermit>>) -> Seat {
        let meter = Arc::new(Meter::since(Instant::now()));
        self.seats().taken.push(meter.clone());
        Seat { running: self.clone(), meter, place: Mutex::new(place) }
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

    /// Its number among the costly ones; it becomes one `at` this moment if it was none.
    fn number(&mut self, one: &Arc<Meter>, at: Instant) -> usize {
        let known = self.costly.iter().position(|costly| Arc::ptr_eq(&costly.meter, one));
        known.unwrap_or_else(|| {
            self.costly.push(Costly { meter: one.clone(), since: at, has_room: false, ends: false });
            self.costly.len() - 1
        })
    }

    /// Gives one of the costly ones room if there is; whether it had none before.
    fn give_room(&mut self, number: usize, most: usize) -> bool {
        let is_room = self.costly.iter().filter(|costly| costly.has_room && !costly.ends).count() < most;
        match self.costly.get_mut(number) {
            Some(costly) if is_room && !costly.has_room => {
                costly.has_room = true;
                true
            }
            _ => false,
        }
    }

    /// How many of the costly ones that do not end go before it.
    fn ahead_of(&self, number: usize) -> usize {
        let place = |(number, costly): (usize, &Costly)| (class(costly.meter.had()), number);
        let own = self.costly.get(number).map(|costly| place((number, costly)));
        self.costly.iter().enumerate().filter(|costly| !costly.1.ends && Some(place(*costly)) < own).count()
    }

    /// Whether a costly one has to end for those that stand still, `at` this moment: it has been costly for so long, and of those
    /// that do not end yet it is among the first that have had most. As many end as stand still.
    fn costly_ends(&mut self, number: usize, most: usize, at: Instant, patience: Duration) -> bool {
        let place = |(number, costly): (usize, &Costly)| (Reverse(costly.meter.had()), number);
        let stay = || self.costly.iter().enumerate().filter(|costly| !costly.1.ends);
        let Some(own) = self.costly.get(number).filter(|own| at.saturating_duration_since(own.since) >= patience)
        else {
            return false;
        };
        let before = stay().filter(|costly| place(*costly) < place((number, own))).count();
        let ends = own.ends || before < stay().count().saturating_sub(most);
        self.costly[number].ends = ends;
        ends
    }

    /// Whether one that is quick has to end for those that wait to begin: it began so long ago and is idle.
    fn idle_ends(&self, one: &Arc<Meter>, at: Instant, patience: Duration, to_begin: usize) -> bool {
        let is_idle = |meter: &Meter| {
            let age = at.saturating_duration_since(meter.began());
            class(meter.had()) == 0 && age >= patience && meter.idle(at) >= IDLE
        };
        is_idle(one) && self.before(one, is_idle) < to_begin
    }
}

/// 0 for the quick ones.
fn class(had: Duration) -> u32 {
    let quicks = had.as_nanos() / QUICK.as_nanos();
    quicks.checked_ilog2().map_or(0, |doubled| doubled + 1)
}

impl Seat {
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// How much longer it waits because it is another's turn, `at` this moment, when it has waited since its own was over.
    /// Where the CPU is short (`is_crowded`), costly ones wait longer, and for all that have had much less.
    pub fn gives_way(&self, at: Instant, since: Instant, is_crowded: bool) -> Option<Duration> {
        if self.stands_still(at) {
            return Some(PAUSE);
        }
        let (own, waited) = (class(self.meter.had()), at.saturating_duration_since(since));
        let (first, longest) =
            if is_crowded && self.running.most_costly.is_some() { (own, LONGEST_PAUSE) } else { (own.min(1), PAUSE) };
        let goes_first = |other: &Meter| class(other.had()) < first && other.idle(at) < IDLE;
        if waited < longest && self.running.seats().taken.iter().any(|other| goes_first(other)) {
            return Some(PAUSE);
        }
        let for_lane = PAUSE_FOR_LANE.saturating_sub(waited);
        self.running.ahead.as_ref().filter(|ahead| !for_lane.is_zero() && ahead.wants(at)).map(|_| for_lane)
    }

    /// Whether as many costly ones as may go on at once go before it, `at` this moment. If there is room for it beside the
    /// places to begin, its own is free from now on.
    pub fn stands_still(&self, at: Instant) -> bool {
        let is_costly = class(self.meter.had()) > 0;
        let Some(most) = self.running.most_costly.filter(|_| is_costly) else { return false };
        let mut seats = self.running.seats();
        let number = seats.number(&self.meter, at);
        let (leaves, stands_still) = (seats.give_room(number, most), seats.ahead_of(number) >= most);
        drop(seats);
        if leaves {
            self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        stands_still
    }

    /// Whether it has to end because others wait, `at` this moment: one that is costly for those that stand still, one that is
    /// idle for those that wait `to_begin`, which ending others would not help.
    pub fn has_outstayed(&self, at: Instant, patience: Duration, to_begin: usize) -> bool {
        let mut seats = self.running.seats();
        let costly = seats.costly.iter().position(|costly| Arc::ptr_eq(&costly.meter, &self.meter));
        match (costly, self.running.most_costly) {
            (Some(number), Some(most)) => seats.costly_ends(number, most, at, patience),
            _ => seats.idle_ends(&self.meter, at, patience, to_begin),
        }
    }

    /// Whether it is this query that has to end, when one has to for the memory that all take, and none while another's is
    /// being given back: the one that has had most, or where it is rows of the past that take it (`by_rows`), the one that
    /// began first of those that have some, since it has the oldest.
    pub fn has_to_end(&self, at: Instant, by_rows: bool) -> bool {
        let mut seats = self.running.seats();
        let oldest = seats.taken.iter().find(|meter| by_rows && meter.has_rows());
        let is_first = match oldest {
            Some(oldest) => Arc::ptr_eq(oldest, &self.meter),
            None => seats.before(&self.meter, |_| true) == 0,
        };
        let gives_back = if oldest.is_some() { GIVES_BACK / 3 } else { GIVES_BACK };
        let soon = seats.ended.is_some_and(|ended| at.saturating_duration_since(ended) < gives_back);
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
        seats.costly.retain(|costly| !Arc::ptr_eq(&costly.meter, &self.meter));
    }
}

#[cfg(test)]
mod tests {
    use storage::Lease;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn who_has_had_a_lot_gives_way_to_who_has_had_little_however_long_both_are_there() {
        let running = Arc::new(Running::default());
        let (costly, cheap) = (running.enter(None), running.enter(None));
        let at = costly.meter.began() + 8 * SECOND;
        costly.meter.add(QUICK, at);
        assert_eq!(costly.gives_way(at, at, false), None, "the other wants nothing: nothing was done for it in 8 s");
        cheap.meter.add(QUICK / 10, at - IDLE / 2);
        assert_eq!((costly.gives_way(at, at, false), cheap.gives_way(at, at, false)), (Some(PAUSE), None));
        assert_eq!(costly.gives_way(at, at - PAUSE, true), None, "its turn comes");
        cheap.meter.add(QUICK, at);
        assert_eq!(
            (costly.gives_way(at, at, false), cheap.gives_way(at, at, false)),
            (None, None),
            "both have had a lot"
        );
    }

    #[test]
    fn a_lane_lets_the_one_ahead_of_it_go_first_while_that_wants_something() {
        let ahead = Arc::new(Running::default());
        let (behind, other) = (Running::behind(&ahead, 1), ahead.enter(None));
        let statement = behind.enter(None);
        let at = statement.meter.began();
        assert_eq!((statement.gives_way(at, at, false), other.gives_way(at, at, false)), (Some(PAUSE_FOR_LANE), None));
        let half = PAUSE_FOR_LANE / 2;
        assert_eq!(statement.gives_way(at + half, at, false), Some(half));
        assert_eq!(statement.gives_way(at + PAUSE_FOR_LANE, at, false), None, "its turn comes");
        assert_eq!(statement.gives_way(at + 2 * IDLE, at + 2 * IDLE, false), None, "nothing is done for it");
        drop(other);
        assert_eq!(statement.gives_way(at, at, false), None);
    }

    #[test]
    fn who_has_outstayed_is_who_has_had_most_and_never_who_got_no_turn() {
        let running = Running::behind(&Arc::default(), 1);
        let seats: Vec<Seat> = (0..4).map(|_| running.enter(None)).collect();
        let at = seats[3].meter.began() + PATIENCE;
        // The second is starved at the peak, the last one's rows are not fetched.
        for (seat, (had, seen)) in
            seats.iter().zip([(QUICK, at), (QUICK / 2, at), (2 * QUICK, at), (QUICK / 2, at - IDLE)])
        {
            seat.meter.add(had, seen);
            seat.stands_still(at - PATIENCE);
        }
        let outstayed =
            |at, to_begin| seats.iter().map(|seat| seat.has_outstayed(at, PATIENCE, to_begin)).collect::<Vec<_>>();
        assert_eq!(outstayed(at - SECOND, 4), [false; 4], "all have just come");
        assert_eq!(outstayed(at, 0), [false, false, true, false], "for the first, which stands still");
        assert_eq!(outstayed(at, 4), [false, false, true, true], "none ends for the same one again");
    }

    #[test]
    fn a_class_ends_where_twice_as_much_was_had() {
        let had = [0, 499, 500, 999, 1_000, 1_999, 2_000, 4_000].map(Duration::from_millis);
        assert_eq!(had.map(class), [0, 0, 1, 1, 2, 2, 3, 4]);
    }

    #[tokio::test]
    async fn so_many_that_are_costly_go_on_and_leave_their_place_to_who_begins() {
        let (ahead, places) = (Arc::default(), Arc::new(tokio::sync::Semaphore::new(3)));
        let running = Running::behind(&ahead, 1);
        let begin = || async { running.enter(Some(Arc::new(places.clone().acquire_owned().await.expect("open")))) };
        let (first, second, quick) = (begin().await, begin().await, begin().await);
        let at = first.meter.began() + SECOND;
        let still = |at| [&first, &second, &quick].map(|seat| seat.stands_still(at));
        assert_eq!((still(at), places.available_permits()), ([false; 3], 0), "all have had little");
        first.meter.add(QUICK, at);
        assert_eq!((still(at), places.available_permits()), ([false; 3], 1), "there is room for one");
        second.meter.add(QUICK + QUICK / 2, at);
        assert_eq!((still(at), places.available_permits()), ([false, true, false], 1), "of the same class");
        assert_eq!(second.gives_way(at + 2 * IDLE, at, false), Some(PAUSE), "though nobody else wants the CPU");
        first.meter.add(QUICK, at);
        assert_eq!((still(at), places.available_permits()), ([true, false, false], 1), "of the next class");
        let began = at - PAUSE;
        quick.meter.add(Duration::ZERO, at);
        assert_eq!(
            (second.gives_way(at, began, true), second.gives_way(at, at - LONGEST_PAUSE, true)),
            (Some(PAUSE), None)
        );
        // Who has had most ends for who stands still.
        quick.meter.add(QUICK / 2, at + PATIENCE);
        let outstayed = |at, to_begin| [&first, &second, &quick].map(|seat| seat.has_outstayed(at, PATIENCE, to_begin));
        assert_eq!(outstayed(at + PATIENCE - SECOND, 3), [false; 3]);
        assert_eq!(outstayed(at + PATIENCE, 2), [true, false, false], "another's end would help nobody to begin");
        assert_eq!((still(at), places.available_permits()), ([true, false, false], 2), "its room is the other's");
        drop(first);
        assert!(!second.has_outstayed(at + PATIENCE, PATIENCE, 1), "nobody stands still");
    }

    #[test]
    fn the_costliest_ends_first_and_the_next_only_when_that_did_not_help() {
        let running = Arc::new(Running::default());
        let seats: Vec<Seat> = (0..3).map(|_| running.enter(None)).collect();
        let at = Instant::now();
        seats[1].meter.add(SECOND, at);
        assert_eq!(seats.iter().map(|seat| seat.has_to_end(at, false)).collect::<Vec<_>>(), [false, true, false]);
        let left: Vec<Seat> = seats.into_iter().enumerate().filter(|(n, _)| *n != 1).map(|(_, seat)| seat).collect();
        assert!(left.iter().all(|seat| !seat.has_to_end(at + GIVES_BACK / 2, false)));
        let later = at + GIVES_BACK;
        assert_eq!(
            left.iter().map(|seat| seat.has_to_end(later, false)).collect::<Vec<_>>(),
            [true, false],
            "the earlier one"
        );
    }

    #[test]
    fn where_rows_of_the_past_take_the_memory_whoever_has_the_oldest_ends_first() {
        let running = Arc::new(Running::default());
        let seats: Vec<Seat> = (0..4).map(|_| running.enter(None)).collect();
        let at = Instant::now();
        seats[3].meter.add(SECOND, at);
        // The first has not opened its snapshot, the second has read all of its rows.
        let leases = || <[Lease; 3]>::default();
        let (read, old, new) = (leases(), leases(), leases());
        let rows: Vec<_> = [&old, &new].map(|leases| leases[0].lend(1)).into();
        for (seat, leases) in seats[1..].iter().zip([read, old, new]) {
            seat.meter.lend(leases);
        }
        let ends = |at, by_rows| seats.iter().map(|seat| seat.has_to_end(at, by_rows)).collect::<Vec<_>>();
        assert_eq!(ends(at, true), [false, false, true, false]);
        seats[2].meter.take_rows();
        assert_eq!(rows[0].take(), None);
        assert_eq!(ends(at, true), [false; 4], "they are being given back");
        let later = at + GIVES_BACK / 3;
        assert_eq!(ends(later, false), [false; 4], "as if it had been for its own memory");
        assert_eq!(ends(later, true), [false, false, false, true]);
        drop(rows);
        assert_eq!(ends(later + GIVES_BACK, true), [false, false, false, true], "no rows: who has had most");
    }

    #[test]
    fn what_a_lane_has_had_stays_when_its_queries_are_gone() {
        let running = Arc::new(Running::default());
        let (one, other) = (running.enter(None), running.enter(None));
        one.meter.add(2 * SECOND, Instant::now());
        other.meter.add(SECOND, Instant::now());
        assert_eq!(running.had(), 3 * SECOND);
        drop(one);
        assert_eq!(running.had(), 3 * SECOND);
    }
}
