//! Recognises an export that comes again because its answer was lost (OTLP lets clients re-send).
//!
//! A key stands for tenant, signal and body. It is *pending* from the moment the first copy is accepted until that
//! copy is durable; a second copy that arrives meanwhile waits for the first one's fate and shares it. The window is
//! bounded by age and by number; what falls out of it is no longer recognised.

use std::collections::{HashMap, VecDeque};

use model::time::MINUTE;
use model::{Nanos, Payload};
use tokio::sync::watch;

use crate::record::Seen;

/// How long an export is remembered: well beyond the minute or two for which exporters retry.
const WINDOW: Nanos = 15 * MINUTE;
/// How many are remembered at most (about 60 bytes each).
const MOST: usize = 200_000;

/// The fate of the first copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Pending,
    Stored,
    Failed,
}

#[derive(Debug)]
enum Entry {
    Pending(watch::Receiver<Fate>),
    Stored,
}

/// What to do with an export.
pub enum Verdict {
    /// Seen for the first time: store it, and report its fate through this.
    First(watch::Sender<Fate>),
    Again(Earlier),
}

/// The first copy of an export that comes again.
pub enum Earlier {
    /// It is durable.
    Stored,
    /// It is under way, and this will tell its fate.
    Pending(watch::Receiver<Fate>),
}

impl Earlier {
    /// Whether it is durable, once that is known.
    pub async fn stored(self) -> bool {
        match self {
            Earlier::Stored => true,
            Earlier::Pending(mut fate) => {
                fate.wait_for(|f| *f != Fate::Pending).await.is_ok_and(|f| *f == Fate::Stored)
            }
        }
    }
}

#[derive(Debug, Default)]
pub struct Window {
    entries: HashMap<u128, Entry>,
    /// Stored ones by age, oldest first.
    order: VecDeque<Seen>,
}

/// The key of an export.
pub fn key(payload: &Payload, hash: u128) -> u128 {
    let mut state = xxhash_rust::xxh3::Xxh3::new();
    state.update(payload.tenant.as_str().as_bytes());
    state.update(&[0, payload.signal as u8]);
    state.update(&hash.to_le_bytes());
    state.digest128()
}

impl Window {
    pub fn admit(&mut self, key: u128) -> Verdict {
        if let Some(earlier) = self.earlier(key) {
            return Verdict::Again(earlier);
        }
        let (sender, receiver) = watch::channel(Fate::Pending);
        self.entries.insert(key, Entry::Pending(receiver));
        Verdict::First(sender)
    }

    /// The first copy of an export, if it has come before.
    pub fn earlier(&self, key: u128) -> Option<Earlier> {
        self.entries.get(&key).map(|entry| match entry {
            Entry::Stored => Earlier::Stored,
            Entry::Pending(fate) => Earlier::Pending(fate.clone()),
        })
    }

    pub fn stored(&mut self, seen: Seen) {
        self.recall(seen);
        self.forget_beyond(seen.received - WINDOW);
    }

    /// As [`Window::stored`], in any order of age: what the log holds is followed by what was remembered when it was
    /// trimmed, most of which is older. To be followed by [`Window::recalled`]. However much the log holds, no more is kept
    /// than twice what the window has.
    pub fn recall(&mut self, seen: Seen) {
        if !matches!(self.entries.insert(seen.key, Entry::Stored), Some(Entry::Stored)) {
            self.order.push_back(seen);
        }
        if self.order.len() >= 2 * MOST {
            self.recalled();
        }
    }

    /// Orders by age what was recalled, and forgets what is beyond the window.
    pub fn recalled(&mut self) {
        self.order.make_contiguous().sort_by_key(|seen| seen.received);
        if let Some(newest) = self.order.back().map(|seen| seen.received) {
            self.forget_beyond(newest - WINDOW);
        }
    }

    /// When the newest export that is remembered was received.
    pub fn newest(&self) -> Option<Nanos> {
        self.order.back().map(|seen| seen.received)
    }

    fn forget_beyond(&mut self, oldest: Nanos) {
        while self.order.len() > MOST || self.order.front().is_some_and(|o| o.received < oldest) {
            if let Some(old) = self.order.pop_front() {
                self.entries.remove(&old.key);
            }
        }
    }

    pub fn failed(&mut self, key: u128) {
        self.entries.remove(&key);
    }

    /// Everything remembered as stored that may come again after `now`, oldest first: written to the WAL before it is
    /// trimmed.
    pub fn remembered(&self, now: Nanos) -> Vec<Seen> {
        self.order.iter().filter(|seen| seen.received >= now - WINDOW).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_waits_for_the_first_and_is_then_known() {
        let mut window = Window::default();
        let Verdict::First(fate) = window.admit(1) else { panic!("first") };
        let Verdict::Again(Earlier::Pending(waiting)) = window.admit(1) else { panic!("waits") };
        window.stored(Seen { received: 0, key: 1 });
        fate.send(Fate::Stored).expect("somebody waits");
        assert_eq!(*waiting.borrow(), Fate::Stored);
        assert!(matches!(window.admit(1), Verdict::Again(Earlier::Stored)));
    }

    #[test]
    fn of_what_is_recalled_after_a_crash_the_newest_stays() {
        // The log begins with an export that is newer than what was remembered when it was trimmed.
        let mut window = Window::default();
        window.recall(Seen { received: MINUTE, key: 0 });
        (1..=MOST as u128).for_each(|key| window.recall(Seen { received: key as Nanos, key }));
        window.recalled();
        assert!(matches!(window.admit(0), Verdict::Again(Earlier::Stored)), "the newest");
        assert!(matches!(window.admit(1), Verdict::First(_)), "the oldest, of one more than are remembered");
        assert!(matches!(window.admit(2), Verdict::Again(Earlier::Stored)));
    }

    #[test]
    fn however_much_is_recalled_no_more_is_held_than_twice_the_window() {
        let (mut window, mut most) = (Window::default(), 0);
        for key in 0..5 * MOST as u128 {
            window.recall(Seen { received: key as Nanos, key });
            most = most.max(window.order.len().max(window.entries.len()));
        }
        assert_eq!(most, 2 * MOST - 1);
        window.recalled();
        assert_eq!((window.order.len(), window.entries.len()), (MOST, MOST));
        assert!(matches!(window.admit(4 * MOST as u128), Verdict::Again(Earlier::Stored)), "the newest stay");
        assert!(matches!(window.admit(4 * MOST as u128 - 1), Verdict::First(_)));
    }

    #[test]
    fn a_failed_first_leaves_no_trace_and_old_ones_are_forgotten() {
        let mut window = Window::default();
        assert!(matches!(window.admit(1), Verdict::First(_)));
        window.failed(1);
        assert!(matches!(window.admit(1), Verdict::First(_)));
        window.stored(Seen { received: 0, key: 1 });
        window.stored(Seen { received: WINDOW + 1, key: 2 });
        assert!(matches!(window.admit(1), Verdict::First(_)), "older than the window");
        assert_eq!(window.remembered(0), vec![Seen { received: WINDOW + 1, key: 2 }]);
        assert_eq!(window.remembered(2 * WINDOW + 2), vec![], "nobody sends it again");
    }
}
