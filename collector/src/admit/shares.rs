//! Who holds what and who waits: the decisions of admission, without a clock or a lock.
//!
//! ```text
//!   0 ──────────────── newcomers ────────────────▶ 3/4 ──── those inside: longer bodies, rows ────▶ limit
//!                                                       └─ what waits at the door has in memory: 1/8 ─┘
//! ```
//! Those who are inside go first, and the last quarter is theirs alone. If newcomers could fill the whole, no export
//! would find the room that its rows take beside its body: each would wait for the others until it gave up, and a
//! server without anything else to do would take next to nothing in, for as long as more come than it takes.
//!
//! Both what is held and the places to wait are given out by max-min fairness over tenants: freed room goes to the
//! tenant that holds the least, and when every place is taken, the tenant with the most of them makes room for one
//! that has at least two fewer. Tenants may be made up where nobody asks for tokens, so nothing here walks over all of
//! them, and each that is known holds bytes or one of a fixed number of places.
//!
//! *Invariant:* what is held and what those who wait have in memory already stays within the limit, but for rows that
//! turn out larger than the room there was ([`Shares::hold`]), and for one that waits alone.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use model::Tenant;
use tokio::sync::oneshot::{self, Receiver, Sender};

/// On which side of the door somebody asks for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// An export that has nothing yet, and so many bytes of its body in memory because its length stands in them.
    Door { brought: u64 },
    /// One that holds room and needs more, or needs to know that the limit is kept.
    Inside,
}

const DOOR: Side = Side::Door { brought: 0 };

#[derive(Debug)]
pub struct Shares {
    limit: u64,
    places: usize,
    used: u64,
    /// Bytes that those at the door have in memory.
    brought: u64,
    /// Those at the door.
    waiting: usize,
    /// The next waiter's number; it orders them by arrival.
    next: u64,
    tenants: HashMap<Tenant, Share>,
    /// Tenants of which exports inside wait: by what they hold, then by who came first.
    inside: BTreeMap<(u64, u64), Tenant>,
    /// The same of those at the door.
    needy: BTreeMap<(u64, u64), Tenant>,
    /// Tenants by how many of their exports wait at the door.
    crowds: BTreeSet<(usize, Tenant)>,
}

#[derive(Debug, Default)]
struct Share {
    held: u64,
    inside: VecDeque<Waiter>,
    door: VecDeque<Waiter>,
}

/// Told when it has its bytes; dropped untold when it has to go.
#[derive(Debug)]
struct Waiter {
    number: u64,
    bytes: u64,
    brought: u64,
    wake: Sender<()>,
}

impl Shares {
    pub fn new(limit: u64, places: usize) -> Self {
        Shares {
            limit,
            places,
            used: 0,
            brought: 0,
            waiting: 0,
            next: 0,
            tenants: HashMap::new(),
            inside: BTreeMap::new(),
            needy: BTreeMap::new(),
            crowds: BTreeSet::new(),
        }
    }

    pub fn used(&self) -> u64 {
        self.used
    }

    /// Exports at the door.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The most that newcomers may fill.
    pub fn door(limit: u64) -> u64 {
        limit - limit / 4
    }

    /// The most that those at the door may have in memory, all together.
    fn porch(&self) -> u64 {
        self.limit / 8
    }

    /// Whether nobody is known any more.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.tenants.is_empty() && self.inside.is_empty() && self.needy.is_empty() && self.crowds.is_empty()
    }

    /// Whether so much may be taken without waiting.
    pub fn has_room(&self, side: Side, bytes: u64) -> bool {
        let first = self.inside.is_empty() && (side == Side::Inside || self.waiting == 0);
        first && self.free(side).is_some_and(|free| bytes <= free)
    }

    /// Bytes that are left on one side; None when more than there are have been taken.
    fn free(&self, side: Side) -> Option<u64> {
        match side {
            Side::Door { .. } => Self::door(self.limit).checked_sub(self.used),
            Side::Inside => self.limit.checked_sub(self.used + self.brought),
        }
    }

    pub fn hold(&mut self, tenant: &Tenant, bytes: u64) {
        self.used += bytes;
        self.change(tenant, |share| share.held += bytes);
    }

    pub fn give_back(&mut self, tenant: &Tenant, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
        self.change(tenant, |share| share.held = share.held.saturating_sub(bytes));
        self.grant();
    }

    /// A place to wait, by its number and with what tells when the bytes are there; None when all are taken. Those
    /// inside always have one: each of them holds room.
    pub fn enqueue(&mut self, tenant: &Tenant, side: Side, bytes: u64) -> Option<(u64, Receiver<()>)> {
        let number = self.next;
        let (wake, woken) = oneshot::channel();
        match side {
            Side::Inside => {
                let waiter = Waiter { number, bytes, brought: 0, wake };
                self.change(tenant, |share| share.inside.push_back(waiter));
            }
            Side::Door { brought } => {
                while !self.has_place(brought) {
                    if !self.make_place(tenant) {
                        // Those that had to go leave room for somebody, if not for this one.
                        self.grant();
                        return None;
                    }
                }
                self.waiting += 1;
                self.brought += brought;
                let waiter = Waiter { number, bytes, brought, wake };
                self.change(tenant, |share| share.door.push_back(waiter));
            }
        }
        self.next += 1;
        // One that needs little may fit where another's large one does not.
        self.grant();
        Some((number, woken))
    }

    /// Whether one more may wait at the door. One that would be alone there may, whatever it brought.
    fn has_place(&self, brought: u64) -> bool {
        self.waiting == 0 || self.waiting < self.places && self.brought + brought <= self.porch()
    }

    /// Takes a place from the tenant that has the most, if that has so many that it still has no fewer than this one.
    /// A tenant below an even share of the places is always let in.
    fn make_place(&mut self, tenant: &Tenant) -> bool {
        let ours = self.tenants.get(tenant).map_or(0, |share| share.door.len());
        let Some((most, loudest)) = self.crowds.last().cloned() else { return false };
        if most < ours + 2 {
            return false;
        }
        // Its newest has waited least.
        if let Some(waiter) = self.change(&loudest, |share| share.door.pop_back()) {
            self.has_left(&waiter);
        }
        true
    }

    /// Removes a waiter; false when it is no longer waiting.
    pub fn withdraw(&mut self, tenant: &Tenant, side: Side, number: u64) -> bool {
        let removed = self.change(tenant, |share| {
            let queue = share.queue(side);
            let at = queue.binary_search_by_key(&number, |waiter| waiter.number).ok()?;
            queue.remove(at)
        });
        let Some(waiter) = removed else { return false };
        if side != Side::Inside {
            self.has_left(&waiter);
        }
        // It may have been the large one at the head that kept the others waiting.
        self.grant();
        true
    }

    fn has_left(&mut self, waiter: &Waiter) {
        self.waiting -= 1;
        self.brought -= waiter.brought;
    }

    /// Hands free room to those who wait: first those inside, then those at the door; of each the tenant that holds
    /// least first. A large one at the head is not overtaken.
    fn grant(&mut self) {
        while let Some((_, tenant)) = self.inside.first_key_value() {
            let tenant = tenant.clone();
            let free = self.free(Side::Inside);
            let first = self.change(&tenant, |share| share.take_first(Side::Inside, free));
            let Some(waiter) = first else { return };
            self.give(waiter);
        }
        while let Some((_, tenant)) = self.needy.first_key_value() {
            let tenant = tenant.clone();
            let free = self.free(DOOR);
            let first = self.change(&tenant, |share| share.take_first(DOOR, free));
            let Some(waiter) = first else { return };
            self.has_left(&waiter);
            self.give(waiter);
        }
    }

    fn give(&mut self, waiter: Waiter) {
        self.used += waiter.bytes;
        // A receiver that is gone finds in `Place::drop` that it holds bytes, and gives them back.
        let _ = waiter.wake.send(());
    }

    /// Changes a tenant's share, and where it stands among those who wait. One that has nothing left is forgotten.
    fn change<R>(&mut self, tenant: &Tenant, change: impl FnOnce(&mut Share) -> R) -> R {
        let share = self.tenants.entry(tenant.clone()).or_default();
        if let Some(first) = share.inside.front() {
            self.inside.remove(&(share.held, first.number));
        }
        if let Some(first) = share.door.front() {
            self.needy.remove(&(share.held, first.number));
            self.crowds.remove(&(share.door.len(), tenant.clone()));
        }
        let result = change(share);
        if let Some(first) = share.inside.front() {
            self.inside.insert((share.held, first.number), tenant.clone());
        }
        if let Some(first) = share.door.front() {
            self.needy.insert((share.held, first.number), tenant.clone());
            self.crowds.insert((share.door.len(), tenant.clone()));
        }
        if share.is_empty() {
            self.tenants.remove(tenant);
        }
        result
    }
}

impl Share {
    fn is_empty(&self) -> bool {
        self.held == 0 && self.inside.is_empty() && self.door.is_empty()
    }

    fn queue(&mut self, side: Side) -> &mut VecDeque<Waiter> {
        match side {
            Side::Inside => &mut self.inside,
            Side::Door { .. } => &mut self.door,
        }
    }

    /// The first of those who wait, charged, if what it wants is free; None for `free` is a debt.
    fn take_first(&mut self, side: Side, free: Option<u64>) -> Option<Waiter> {
        let waiter = self.queue(side).pop_front_if(|first| free.is_some_and(|free| first.bytes <= free))?;
        self.held += waiter.bytes;
        Some(waiter)
    }
}
