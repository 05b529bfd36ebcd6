//! Who holds what and who waits: the decisions of admission, without a clock or a lock.
//!
//! Both what is held and the places to wait are given out by max-min fairness over tenants: freed room goes to the
//! tenant that holds the least, and when every place is taken, the tenant with the most of them makes room for one
//! that has at least two fewer. Tenants may be made up where nobody asks for tokens, so nothing here walks over all of
//! them, and each that is known holds bytes or one of a fixed number of places.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use model::Tenant;
use tokio::sync::oneshot::{self, Receiver, Sender};

#[derive(Debug)]
pub struct Shares {
    limit: u64,
    places: usize,
    used: u64,
    waiting: usize,
    /// The next waiter's number; it orders them by arrival.
    next: u64,
    tenants: HashMap<Tenant, Share>,
    /// Tenants that wait: by what they hold, then by who came first.
    needy: BTreeMap<(u64, u64), Tenant>,
    /// The same by how many of their exports wait.
    crowds: BTreeSet<(usize, Tenant)>,
}

#[derive(Debug, Default)]
struct Share {
    held: u64,
    queue: VecDeque<Waiter>,
}

/// Told when it has its bytes; dropped untold when it has to go.
#[derive(Debug)]
struct Waiter {
    number: u64,
    bytes: u64,
    wake: Sender<()>,
}

impl Shares {
    pub fn new(limit: u64, places: usize) -> Self {
        Shares {
            limit,
            places,
            used: 0,
            waiting: 0,
            next: 0,
            tenants: HashMap::new(),
            needy: BTreeMap::new(),
            crowds: BTreeSet::new(),
        }
    }

    pub fn used(&self) -> u64 {
        self.used
    }

    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether nobody is known any more.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.tenants.is_empty() && self.needy.is_empty() && self.crowds.is_empty()
    }

    /// Whether so much may be taken without waiting.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.waiting == 0 && self.used + bytes <= self.limit
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

    /// A place to wait, by its number and with what tells when the bytes are there; None when all are taken.
    pub fn enqueue(&mut self, tenant: &Tenant, bytes: u64) -> Option<(u64, Receiver<()>)> {
        if self.waiting >= self.places && !self.make_place(tenant) {
            return None;
        }
        let (wake, woken) = oneshot::channel();
        let number = self.next;
        self.next += 1;
        self.waiting += 1;
        self.change(tenant, |share| share.queue.push_back(Waiter { number, bytes, wake }));
        // One that needs little may fit where another's large one does not.
        self.grant();
        Some((number, woken))
    }

    /// Takes a place from the tenant that has the most, if that has so many that it still has no fewer than this one.
    /// A tenant below an even share of the places is always let in.
    fn make_place(&mut self, tenant: &Tenant) -> bool {
        let ours = self.tenants.get(tenant).map_or(0, |share| share.queue.len());
        let Some((most, loudest)) = self.crowds.last().cloned() else { return false };
        if most < ours + 2 {
            return false;
        }
        self.waiting -= 1;
        // Its newest has waited least.
        drop(self.change(&loudest, |share| share.queue.pop_back()));
        true
    }

    /// Removes a waiter; false when it is no longer waiting.
    pub fn withdraw(&mut self, tenant: &Tenant, number: u64) -> bool {
        let removed = self.change(tenant, |share| {
            let at = share.queue.binary_search_by_key(&number, |waiter| waiter.number).ok()?;
            share.queue.remove(at)
        });
        if removed.is_none() {
            return false;
        }
        self.waiting -= 1;
        // It may have been the large one at the head that kept the others waiting.
        self.grant();
        true
    }

    /// Hands free room to those who wait, the tenant holding least first. A large one at the head is not overtaken.
    fn grant(&mut self) {
        while let Some((_, tenant)) = self.needy.first_key_value() {
            let tenant = tenant.clone();
            let (used, limit) = (self.used, self.limit);
            let granted = self.change(&tenant, |share| {
                let waiter = share.queue.pop_front_if(|first| used + first.bytes <= limit)?;
                share.held += waiter.bytes;
                Some(waiter)
            });
            let Some(waiter) = granted else { return };
            self.waiting -= 1;
            self.used += waiter.bytes;
            // A receiver that is gone finds in `Place::drop` that it holds bytes, and gives them back.
            let _ = waiter.wake.send(());
        }
    }

    /// Changes a tenant's share, and where it stands among those who wait. One that has nothing left is forgotten.
    fn change<R>(&mut self, tenant: &Tenant, change: impl FnOnce(&mut Share) -> R) -> R {
        let share = self.tenants.entry(tenant.clone()).or_default();
        if let Some(first) = share.queue.front() {
            self.needy.remove(&(share.held, first.number));
            self.crowds.remove(&(share.queue.len(), tenant.clone()));
        }
        let result = change(share);
        if let Some(first) = share.queue.front() {
            self.needy.insert((share.held, first.number), tenant.clone());
            self.crowds.insert((share.queue.len(), tenant.clone()));
        } else if share.held == 0 {
            self.tenants.remove(tenant);
        }
        result
    }
}
