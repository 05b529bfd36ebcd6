//! Whether the wall clock is believed. What is deleted for its age is gone for good, so a clock that has jumped deletes
//! nothing until the time it says has held for an hour.
//!
//! ```text
//!   the wall clock             ───────╭─ jump ▸ doubted ────── an hour ──▶ believed
//!   anchor + the steady clock  ───────┴─ meanwhile the earlier of both counts ┄┄┄
//! ```
//! A store that is opened has no anchor yet. There the clock is doubted when by it most of what is stored should have been
//! deleted long ago: so it looks after a long rest, and so it looks to a clock that is wrong.

use std::fmt::Debug;
use std::sync::PoisonError;
use std::time::Instant;

use model::Nanos;
use model::time::{HOUR, MINUTE, SECOND, to_rfc3339};

use crate::store::Shared;

/// What the wall clock may be off before it is doubted: time servers correct by less.
const SLACK: Nanos = MINUTE;
/// For so long a doubted time has to hold.
const HELD: Nanos = HOUR;

/// A clock that nobody sets, such as the time since the start; where it begins means nothing.
pub trait Steady: Send + Sync + Debug {
    fn elapsed(&self) -> Nanos;
}

/// The system's. It may stand still while the machine sleeps, which then looks like a jump.
#[derive(Debug)]
pub struct SinceStart(Instant);

impl SinceStart {
    pub fn now() -> Self {
        SinceStart(Instant::now())
    }
}

impl Steady for SinceStart {
    fn elapsed(&self) -> Nanos {
        Nanos::try_from(self.0.elapsed().as_nanos()).unwrap_or(Nanos::MAX)
    }
}

/// A test that does not care lets one clock be both; one that cares lets the wall clock jump beside another.
#[cfg(test)]
impl Steady for model::ManualClock {
    fn elapsed(&self) -> Nanos {
        model::Clock::now(self)
    }
}

/// What both clocks say at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    pub wall: Nanos,
    pub steady: Nanos,
}

impl Reading {
    /// What the wall clock has to say at this time of the steady one, if this was right.
    fn at(self, steady: Nanos) -> Nanos {
        self.wall.saturating_add(steady - self.steady)
    }

    fn agrees_with(self, later: Reading) -> bool {
        later.wall.abs_diff(self.at(later.steady)) <= SLACK.unsigned_abs()
    }
}

/// What is to be thought of the time now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Belief {
    /// By which age is counted; `None`: nothing is too old.
    pub now: Option<Nanos>,
    /// Since when on the steady clock the wall clock has been believed; `None`: it is doubted.
    pub since: Option<Nanos>,
    pub steady: Nanos,
}

impl Belief {
    /// Whether the wall clock is believed, and has been for so long if it ever was doubted.
    pub fn is_settled(&self, time: Nanos) -> bool {
        self.since.is_some_and(|since| self.steady.saturating_sub(since) >= time)
    }
}

/// How far the wall clock is believed.
#[derive(Debug)]
pub struct Trust {
    /// The latest time that is believed without an anchor.
    latest: Nanos,
    anchor: Option<Reading>,
    /// When the time that is doubted was said first.
    doubted: Option<Reading>,
    /// When the last doubt ended, on the steady clock.
    since: Nanos,
}

impl Trust {
    pub fn new(latest: Nanos) -> Self {
        Trust { latest, anchor: None, doubted: None, since: Nanos::MIN }
    }

    pub fn look(&mut self, now: Reading) -> Belief {
        let agrees = match self.anchor {
            Some(anchor) => anchor.agrees_with(now),
            None => now.wall <= self.latest,
        };
        let has_held = match self.doubted {
            _ if agrees => true,
            Some(first) if first.agrees_with(now) => now.steady - first.steady >= HELD,
            _ => {
                self.doubted = Some(now);
                false
            }
        };
        if !has_held {
            let now_at_the_latest = self.anchor.map(|anchor| anchor.at(now.steady).min(now.wall));
            return Belief { now: now_at_the_latest, since: None, steady: now.steady };
        }
        if self.doubted.take().is_some() {
            self.since = now.steady;
        }
        // Small corrections may add up, to a minute an hour.
        if !agrees || self.anchor.is_none_or(|anchor| now.steady - anchor.steady >= HELD) {
            self.anchor = Some(now);
        }
        Belief { now: Some(now.wall), since: Some(self.since), steady: now.steady }
    }

    /// Why nothing is deleted for its age now, if that is so.
    pub fn doubt(&self) -> Option<String> {
        let doubted = self.doubted?;
        let (said, minutes) = (to_rfc3339(doubted.wall), HELD / MINUTE);
        let why = match self.anchor {
            Some(anchor) => {
                let jump = doubted.wall.saturating_sub(anchor.at(doubted.steady)) / SECOND;
                let (by, way) = (jump.unsigned_abs(), if jump < 0 { "back" } else { "forward" });
                format!("the clock jumped {way} by {by} s to {said}")
            }
            None => format!("by the clock, {said}, most of what is stored should have been deleted long ago"),
        };
        Some(format!("{why}: nothing more is deleted for its age until that time has held for {minutes} minutes"))
    }
}

impl Shared {
    /// Reads both clocks, and says so when the wall clock begins or ends to be doubted.
    pub fn believe(&self) -> Belief {
        let now = Reading { wall: self.clock.now(), steady: self.steady.elapsed() };
        let mut trust = self.trust.lock().unwrap_or_else(PoisonError::into_inner);
        let was_doubted = trust.doubted.is_some();
        let belief = trust.look(now);
        match trust.doubt() {
            Some(why) if !was_doubted => tracing::warn!("{why}; if it is wrong, set it"),
            None if was_doubted => tracing::info!("the clock is believed again: it is {}", to_rfc3339(now.wall)),
            _ => {}
        }
        belief
    }

    /// Why nothing is deleted for its age now, if that is so.
    pub fn doubt(&self) -> Option<String> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner).doubt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::DAY;

    const NOON: Nanos = 20_000 * DAY;

    /// Looks when the steady clock has come to `steady` and the wall clock is `ahead` of it.
    fn look(trust: &mut Trust, steady: Nanos, ahead: Nanos) -> (Option<Nanos>, bool) {
        let belief = trust.look(Reading { wall: NOON + steady + ahead, steady });
        (belief.now.map(|now| now - NOON), belief.since.is_some())
    }

    #[test]
    fn a_jump_is_believed_when_it_has_held_for_an_hour_and_until_then_the_earlier_time_counts() {
        for jump in [8 * DAY, -8 * DAY, 61 * SECOND, -61 * SECOND] {
            let mut trust = Trust::new(Nanos::MAX);
            assert_eq!(look(&mut trust, 0, 0), (Some(0), true));
            let steady = 30 * SECOND;
            assert_eq!(look(&mut trust, steady, jump), (Some(steady + jump.min(0)), false));
            assert!(trust.doubt().expect("a reason").contains(if jump < 0 { "back by" } else { "forward by" }));
            assert_eq!(look(&mut trust, HOUR, jump), (Some(HOUR + jump.min(0)), false), "not yet");
            assert_eq!(look(&mut trust, HOUR + steady, jump), (Some(HOUR + steady + jump), true));
            assert_eq!((look(&mut trust, 2 * HOUR, jump).1, trust.doubt()), (true, None));
            assert!(!look(&mut trust, 2 * HOUR + steady, 0).1, "back is a jump by now");
        }
    }

    #[test]
    fn a_jump_that_is_taken_back_is_forgotten_and_another_begins_its_own_hour() {
        let mut trust = Trust::new(Nanos::MAX);
        look(&mut trust, 0, 0);
        assert!(!look(&mut trust, MINUTE, 8 * DAY).1);
        assert_eq!(look(&mut trust, 2 * MINUTE, 0), (Some(2 * MINUTE), true));
        let settled = |trust: &mut Trust, steady| trust.look(Reading { wall: NOON + steady, steady });
        assert!(!settled(&mut trust, 3 * MINUTE).is_settled(2 * MINUTE));
        assert!(settled(&mut trust, 4 * MINUTE).is_settled(2 * MINUTE));

        assert!(!look(&mut trust, HOUR, 8 * DAY).1);
        assert!(!look(&mut trust, HOUR + 50 * MINUTE, 9 * DAY).1);
        assert!(!look(&mut trust, 2 * HOUR, 9 * DAY).1, "the first has not held");
        assert!(look(&mut trust, 3 * HOUR, 9 * DAY).1);
    }

    #[test]
    fn a_clock_that_is_corrected_bit_by_bit_is_believed_for_a_minute_an_hour() {
        let mut trust = Trust::new(Nanos::MAX);
        look(&mut trust, 0, 0);
        for hour in 1..100 {
            assert!(look(&mut trust, hour * HOUR, hour * 50 * SECOND).1);
        }
        let mut trust = Trust::new(Nanos::MAX);
        look(&mut trust, 0, 0);
        let steps = (1..100).take_while(|step| look(&mut trust, step * 30 * SECOND, step * 50 * SECOND).1);
        assert_eq!(steps.count(), 1);
    }

    #[test]
    fn without_an_anchor_a_time_too_late_is_doubted_until_it_holds_or_is_corrected() {
        let mut trust = Trust::new(NOON + DAY);
        assert_eq!(look(&mut trust, 0, 8 * DAY), (None, false));
        assert!(trust.doubt().expect("a reason").contains("most of what is stored"));
        assert_eq!(look(&mut trust, MINUTE, 0), (Some(MINUTE), true), "corrected");
        let mut trust = Trust::new(NOON + DAY);
        assert_eq!(look(&mut trust, 0, 8 * DAY), (None, false));
        assert_eq!(look(&mut trust, HOUR, 8 * DAY), (Some(HOUR + 8 * DAY), true));
        assert!(Trust::new(Nanos::MAX).look(Reading { wall: NOON, steady: 0 }).is_settled(DAY), "never doubted");
    }
}
