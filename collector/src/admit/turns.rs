//! Turns at decoding, tenant by tenant: one that has hundreds of exports waiting holds up another for as long as one
//! of them takes, not for as long as all of them do.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Tenant;
use tokio::sync::oneshot::{self, Sender};

/// How many wait is bounded by the budget: each holds a permit of it.
#[derive(Debug)]
pub(crate) struct Turns(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    /// Tenants that wait, each once, in the order of their turns.
    round: VecDeque<Tenant>,
    /// What each of them waits with, never empty.
    waiting: HashMap<Tenant, VecDeque<Sender<Turn>>>,
}

impl Turns {
    /// So many at once.
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Turns(Mutex::new(State { free: count, round: VecDeque::new(), waiting: HashMap::new() })))
    }

    /// Waits for a turn, which lasts until it is dropped.
    pub async fn take(self: &Arc<Self>, tenant: &Tenant) -> Turn {
        let come = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return Turn(Some(self.clone()));
            }
            let (turn, come) = oneshot::channel();
            state.enqueue(tenant, turn);
            come
        };
        come.await.expect("a waiter is told before it is let go")
    }

    fn pass_on(self: &Arc<Self>) {
        loop {
            let Some(next) = self.state().next() else { return };
            match next.send(Turn(Some(self.clone()))) {
                Ok(()) => return,
                // It did not wait to the end: the turn is the next one's.
                Err(mut turn) => drop(turn.0.take()),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while holding it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enqueue(&mut self, tenant: &Tenant, turn: Sender<Turn>) {
        let queue = self.waiting.entry(tenant.clone()).or_default();
        if queue.is_empty() {
            self.round.push_back(tenant.clone());
        }
        queue.push_back(turn);
    }

    /// Whose turn it is; when nobody waits, the turn is free.
    fn next(&mut self) -> Option<Sender<Turn>> {
        let Some(tenant) = self.round.pop_front() else {
            self.free += 1;
            return None;
        };
        let queue = self.waiting.get_mut(&tenant)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&tenant);
        } else {
            self.round.push_back(tenant);
        }
        next
    }
}

/// A turn, passed on when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Option<Arc<Turns>>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn tenant(name: &str) -> Tenant {
        Tenant::new(name).expect("a tenant")
    }

    #[test]
    fn tenants_take_turns_however_many_of_one_wait() {
        let turns = Turns::new(1);
        let mut held = turns.take(&tenant("loud")).now_or_never().expect("free");
        let names = ["loud", "loud", "loud", "quiet", "other", "loud", "quiet"].map(tenant);
        let mut waiting: Vec<_> = names.iter().map(|name| (name.clone(), Box::pin(turns.take(name)))).collect();
        for (_, one) in &mut waiting {
            assert!(one.now_or_never().is_none());
        }
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(held);
            let next = waiting.iter_mut().enumerate().find_map(|(at, (_, one))| Some((at, one.now_or_never()?)));
            let (at, turn) = next.expect("one of them");
            held = turn;
            order.push(waiting.remove(at).0.to_string());
        }
        assert_eq!(order, ["loud", "quiet", "other", "loud", "quiet", "loud", "loud"]);
        drop(held);
        let state = turns.state();
        assert_eq!((state.free, state.waiting.len()), (1, 0));
    }

    #[test]
    fn who_does_not_wait_to_the_end_costs_no_turn() {
        let turns = Turns::new(1);
        let held = turns.take(&tenant("a")).now_or_never().expect("free");
        let names = ["b", "c", "d"].map(tenant);
        let [mut gone, mut told, mut last] = names.each_ref().map(|name| Box::pin(turns.take(name)));
        for one in [&mut gone, &mut told, &mut last] {
            assert!(one.now_or_never().is_none());
        }
        drop(gone);
        drop(held);
        assert!(last.as_mut().now_or_never().is_none(), "it is c's turn");
        // Told, and not there to hear it.
        drop(told);
        drop(last.as_mut().now_or_never().expect("its turn"));
        assert_eq!(turns.state().free, 1);
    }
}
