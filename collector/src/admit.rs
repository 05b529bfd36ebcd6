//! Room for exports in work: bytes in flight over all tenants, handed out before a body is read.
//!
//! ```text
//!   admit(tenant, bytes) ── fits, nobody waits ──▶ Permit ── dropped ──▶ room for the next
//!                        └─ else waits ≤ 100 ms ─▶ Permit, or NoRoom
//! ```
//! Who gets freed room, and who may wait for it, is decided by [`shares`]: those who are inside go before newcomers, and
//! a tenant that floods the budget cannot keep another one out for longer than the store takes to finish one export.
//! Behind the door [`turns`] does the same for
//! the threads that decode.
//!
//! Who has room and does nothing with it gives way: bodies that hardly move are told when others begin to wait
//! ([`Budget::pressed`]).
//!
//! *Invariant:* the bytes of all permits add up to `used`; a permit gives its bytes back exactly once, on drop.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::Tenant;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::sync::oneshot::Receiver;
use tokio::time::Instant;

use shares::{Shares, Side};

mod shares;
pub(crate) mod turns;

/// How long an export waits for room. Short, because its client's clock is running: SDKs give up after 10 s.
const WAIT: Duration = Duration::from_millis(100);

/// More than this many waiting means that waiting will not help, save that no tenant has all the places.
const MAX_WAITING: usize = 4096;

/// How often bodies are told that others wait, at most: each time all of them wake up.
const PRESS_EVERY: Duration = Duration::from_millis(20);

/// What an export costs besides its bytes: its task, its headers, its answer.
const OVERHEAD: u64 = 2 << 10;

/// Why an export has to come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// None became free while it waited.
    InTime { used: u64 },
    /// Every place to wait was taken, and its tenant had its share of them.
    ToWait { waiting: usize },
}

#[derive(Debug)]
pub struct Budget {
    limit: u64,
    state: Mutex<State>,
    pressed: Notify,
}

#[derive(Debug)]
struct State {
    shares: Shares,
    pressed_at: Option<Instant>,
}

impl Budget {
    pub fn new(limit: u64) -> Self {
        let state = State { shares: Shares::new(limit, MAX_WAITING), pressed_at: None };
        Budget { limit, state: Mutex::new(state), pressed: Notify::new() }
    }

    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes of all permits; above the limit for as long as decoded rows took more than their bodies.
    pub fn used(&self) -> u64 {
        self.state().shares.used()
    }

    pub fn waiting(&self) -> usize {
        self.state().shares.waiting()
    }

    /// Ends when somebody begins to wait for room after this call.
    pub fn pressed(&self) -> Notified<'_> {
        self.pressed.notified()
    }

    /// Takes `bytes` (and what an export costs besides) for a tenant; of them, `brought` are in memory already.
    ///
    /// # Errors
    /// When there is no room within 100 ms.
    pub async fn admit(self: &Arc<Self>, tenant: &Tenant, bytes: u64, brought: u64) -> Result<Permit, NoRoom> {
        let bytes = bytes.saturating_add(OVERHEAD).min(Shares::door(self.limit));
        self.take(tenant, Side::Door { brought }, bytes).await?;
        Ok(Permit { budget: self.clone(), tenant: tenant.clone(), bytes })
    }

    async fn take(self: &Arc<Self>, tenant: &Tenant, side: Side, bytes: u64) -> Result<(), NoRoom> {
        let mut place = {
            let mut state = self.state();
            if state.shares.has_room(side, bytes) {
                state.shares.hold(tenant, bytes);
                return Ok(());
            }
            let Some((number, woken)) = state.shares.enqueue(tenant, side, bytes) else {
                return Err(NoRoom::to_wait(&state));
            };
            if state.may_press(Instant::now()) {
                self.pressed.notify_waiters();
            }
            Place { budget: self, tenant, side, number, bytes, woken: Some(woken) }
        };
        match tokio::time::timeout(WAIT, place.woken()).await {
            Ok(granted) => {
                place.woken = None;
                granted.ok_or_else(|| NoRoom::to_wait(&self.state()))
            }
            // Whether it was woken just then is decided under the lock, in `leave`.
            Err(_) if place.leave() => Ok(()),
            Err(_) => Err(NoRoom::InTime { used: self.used() }),
        }
    }

    fn release(&self, tenant: &Tenant, bytes: u64) {
        self.state().shares.give_back(tenant, bytes);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while holding it, and numbers stay valid if one ever did.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NoRoom {
    fn to_wait(state: &State) -> Self {
        NoRoom::ToWait { waiting: state.shares.waiting() }
    }
}

impl State {
    fn may_press(&mut self, now: Instant) -> bool {
        let may = self.pressed_at.is_none_or(|at| now.duration_since(at) >= PRESS_EVERY);
        if may {
            self.pressed_at = Some(now);
        }
        may
    }
}

/// A place in the queue; leaves it when the request is dropped while waiting.
struct Place<'a> {
    budget: &'a Arc<Budget>,
    tenant: &'a Tenant,
    side: Side,
    number: u64,
    bytes: u64,
    /// None once it has left.
    woken: Option<Receiver<()>>,
}

impl Place<'_> {
    /// Some when the bytes are ours, None when another tenant was given the place.
    async fn woken(&mut self) -> Option<()> {
        self.woken.as_mut()?.await.ok()
    }

    /// True when the bytes are ours now.
    fn leave(&mut self) -> bool {
        let Some(mut woken) = self.woken.take() else { return false };
        let mut state = self.budget.state();
        // Granted and displaced alike are not in the queue any more; only the granted have been told.
        !state.shares.withdraw(self.tenant, self.side, self.number) && woken.try_recv().is_ok()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.leave() {
            self.budget.release(self.tenant, self.bytes);
        }
    }
}

/// Bytes an export may use, given back on drop.
#[derive(Debug)]
pub struct Permit {
    budget: Arc<Budget>,
    tenant: Tenant,
    bytes: u64,
}

impl Permit {
    /// Waits for room for `more` bytes, before those who have none yet.
    ///
    /// # Errors
    /// When there is none within 100 ms; what is held already stays held until the permit is dropped.
    pub async fn grow(&mut self, more: u64) -> Result<(), NoRoom> {
        self.budget.take(&self.tenant, Side::Inside, more).await?;
        self.bytes += more;
        Ok(())
    }

    /// Waits until decoded rows no longer take more than the limit, which they may do by surprise ([`Permit::settle`]).
    /// Asked before each decoding, it keeps what is held to the limit and what is being decoded at the moment.
    ///
    /// # Errors
    /// When that takes more than 100 ms.
    pub async fn within_limit(&self) -> Result<(), NoRoom> {
        self.budget.take(&self.tenant, Side::Inside, 0).await
    }

    /// Corrects the charge to what the export turned out to take, without waiting: the memory is in use already,
    /// so the next ones wait instead.
    pub fn settle(&mut self, bytes: u64) {
        let bytes = bytes.saturating_add(OVERHEAD);
        if bytes > self.bytes {
            self.budget.state().shares.hold(&self.tenant, bytes - self.bytes);
        } else {
            self.budget.release(&self.tenant, self.bytes - bytes);
        }
        self.bytes = bytes;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.release(&self.tenant, self.bytes);
    }
}

#[cfg(test)]
mod tests;
