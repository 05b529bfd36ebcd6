//! Room for exports in work: bytes in flight over all tenants, handed out before a body is read.
//!
//! ```text
//!   admit(tenant, bytes) ── fits, nobody waits ──▶ Permit ── dropped ──▶ room for the next
//!                        └─ else waits ≤ 100 ms ─▶ Permit, or Overloaded with a pause of 1 to 5 s
//! ```
//! Freed room goes to the waiting tenant that holds the least (max-min fairness), and among equals to the one that
//! came first. So a tenant that floods the budget cannot keep another one out for longer than the store takes to
//! finish one export.
//!
//! Who has room and does nothing with it gives way: bodies that hardly move are told when others begin to wait
//! ([`Budget::pressed`]).
//!
//! *Invariant:* the bytes of all permits add up to `used`; a permit gives its bytes back exactly once, on drop.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{Error, Result, Tenant};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// How long an export waits for room. Short, because its client's clock is running: SDKs give up after 10 s.
const WAIT: Duration = Duration::from_millis(100);

/// More than this many waiting means that waiting will not help: they are refused at once.
const MAX_WAITING: usize = 4096;

/// How often bodies are told that others wait, at most: each time all of them wake up.
const PRESS_EVERY: Duration = Duration::from_millis(20);

/// What an export costs besides its bytes: its task, its headers, its answer.
const OVERHEAD: u64 = 2 << 10;

#[derive(Debug)]
pub struct Budget {
    limit: u64,
    state: Mutex<State>,
    pressed: Notify,
    jitter: Jitter,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    waiting: usize,
    /// The next waiter's number; it orders them by arrival.
    next: u64,
    tenants: HashMap<Tenant, Share>,
    pressed_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct Share {
    held: u64,
    queue: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    bytes: u64,
    wake: oneshot::Sender<()>,
}

impl Budget {
    /// `seed` spreads the pauses that refused clients are asked to make.
    pub fn new(limit: u64, seed: u64) -> Self {
        Budget { limit, state: Mutex::default(), pressed: Notify::new(), jitter: Jitter(AtomicU64::new(seed)) }
    }

    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes of all permits; above the limit for as long as decoded rows took more than their bodies.
    pub fn used(&self) -> u64 {
        self.state().used
    }

    pub fn waiting(&self) -> usize {
        self.state().waiting
    }

    /// Ends when somebody begins to wait for room after this call.
    pub fn pressed(&self) -> Notified<'_> {
        self.pressed.notified()
    }

    /// Takes `bytes` (and what an export costs besides) for a tenant.
    ///
    /// # Errors
    /// `Overloaded` when there is no room within 100 ms.
    pub async fn admit(self: &Arc<Self>, tenant: &Tenant, bytes: u64) -> Result<Permit> {
        let bytes = bytes.saturating_add(OVERHEAD).min(self.limit);
        self.take(tenant, bytes).await?;
        Ok(Permit { budget: self.clone(), tenant: tenant.clone(), bytes })
    }

    async fn take(self: &Arc<Self>, tenant: &Tenant, bytes: u64) -> Result<()> {
        let (mut place, woken) = {
            let mut state = self.state();
            if state.waiting == 0 && state.used + bytes <= self.limit {
                state.hold(tenant, bytes);
                return Ok(());
            }
            if state.waiting >= MAX_WAITING {
                return Err(self.overloaded());
            }
            let (number, woken) = state.enqueue(tenant, bytes);
            if state.may_press(Instant::now()) {
                self.pressed.notify_waiters();
            }
            (Place { budget: self, tenant, number, bytes, left: false }, woken)
        };
        // Whether it was woken or time ran out is decided under the lock, in `leave`.
        let _ = tokio::time::timeout(WAIT, woken).await;
        if place.leave() { Ok(()) } else { Err(self.overloaded()) }
    }

    fn overloaded(&self) -> Error {
        let message = format!("{} bytes of exports are in work already, and the store does not keep up", self.used());
        Error::overloaded(message, self.jitter.pause()).hint("nothing was kept; send the same export again later")
    }

    fn release(&self, tenant: &Tenant, bytes: u64) {
        let mut state = self.state();
        state.give_back(tenant, bytes);
        state.grant(self.limit);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while holding it, and numbers stay valid if one ever did.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn hold(&mut self, tenant: &Tenant, bytes: u64) {
        self.used += bytes;
        self.tenants.entry(tenant.clone()).or_default().held += bytes;
    }

    fn give_back(&mut self, tenant: &Tenant, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
        if let Some(share) = self.tenants.get_mut(tenant) {
            share.held = share.held.saturating_sub(bytes);
            if share.held == 0 && share.queue.is_empty() {
                self.tenants.remove(tenant);
            }
        }
    }

    fn enqueue(&mut self, tenant: &Tenant, bytes: u64) -> (u64, oneshot::Receiver<()>) {
        let (wake, woken) = oneshot::channel();
        let number = self.next;
        self.next += 1;
        self.waiting += 1;
        self.tenants.entry(tenant.clone()).or_default().queue.push_back(Waiter { number, bytes, wake });
        (number, woken)
    }

    fn may_press(&mut self, now: Instant) -> bool {
        let may = self.pressed_at.is_none_or(|at| now.duration_since(at) >= PRESS_EVERY);
        if may {
            self.pressed_at = Some(now);
        }
        may
    }

    /// Removes a waiter; false when it is no longer waiting, because it was granted its bytes.
    fn withdraw(&mut self, tenant: &Tenant, number: u64) -> bool {
        let Some(share) = self.tenants.get_mut(tenant) else { return false };
        let Some(at) = share.queue.iter().position(|w| w.number == number) else { return false };
        share.queue.remove(at);
        self.waiting -= 1;
        if share.held == 0 && share.queue.is_empty() {
            self.tenants.remove(tenant);
        }
        true
    }

    /// Hands free room to those who wait, the tenant holding least first. A large one at the head is not overtaken.
    fn grant(&mut self, limit: u64) {
        while self.waiting > 0 {
            let neediest = self.tenants.values_mut().filter(|share| !share.queue.is_empty());
            let Some(share) = neediest.min_by_key(|share| (share.held, share.queue[0].number)) else { return };
            if self.used + share.queue[0].bytes > limit {
                return;
            }
            let Some(waiter) = share.queue.pop_front() else { return };
            self.waiting -= 1;
            self.used += waiter.bytes;
            share.held += waiter.bytes;
            // A receiver that is gone finds in `Place::drop` that it holds bytes, and gives them back.
            let _ = waiter.wake.send(());
        }
    }
}

/// A place in the queue; leaves it when the request is dropped while waiting.
struct Place<'a> {
    budget: &'a Arc<Budget>,
    tenant: &'a Tenant,
    number: u64,
    bytes: u64,
    left: bool,
}

impl Place<'_> {
    /// True when the bytes are ours now.
    fn leave(&mut self) -> bool {
        self.left = true;
        let mut state = self.budget.state();
        let granted = !state.withdraw(self.tenant, self.number);
        if !granted {
            // It may have been the large one at the head that kept the others waiting.
            state.grant(self.budget.limit);
        }
        granted
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.left && self.leave() {
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
    /// Waits for room for `more` bytes, as at the door.
    ///
    /// # Errors
    /// `Overloaded` when there is none within 100 ms; what is held already stays held until the permit is dropped.
    pub async fn grow(&mut self, more: u64) -> Result<()> {
        self.budget.take(&self.tenant, more).await?;
        self.bytes += more;
        Ok(())
    }

    /// Waits until decoded rows no longer take more than the limit, which they may do by surprise ([`Permit::settle`]).
    /// Asked before each decoding, it keeps what is held to the limit and what is being decoded at the moment.
    ///
    /// # Errors
    /// `Overloaded` when that takes more than 100 ms.
    pub async fn within_limit(&self) -> Result<()> {
        if self.budget.used() <= self.budget.limit { Ok(()) } else { self.budget.take(&self.tenant, 0).await }
    }

    /// Corrects the charge to what the export turned out to take, without waiting: the memory is in use already,
    /// so the next ones wait instead.
    pub fn settle(&mut self, bytes: u64) {
        let bytes = bytes.saturating_add(OVERHEAD);
        if bytes > self.bytes {
            self.budget.state().hold(&self.tenant, bytes - self.bytes);
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

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): enough to keep clients
/// from coming back all at once, and reproducible from its seed.
#[derive(Debug)]
struct Jitter(AtomicU64);

impl Jitter {
    fn pause(&self) -> Duration {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        Duration::from_millis(1000 + z % 4001)
    }
}

#[cfg(test)]
mod tests;
