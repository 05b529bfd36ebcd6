//! Who is in, and who goes for a newcomer when all places are taken.
//!
//! ```text
//!   newcomer's origin has its even share ──▶ its own that has been quiet for longest, else the newcomer is closed
//!   an origin has more than half ──────────▶ its own that has been quiet for longest, else has been at work for longest
//!   else ──────────────────────────────────▶ the one that has been quiet for longest, else the newcomer is closed
//! ```
//! Quiet is who has no request in work: idle after an answer, slow with a TLS handshake or with the headers of a
//! request. So whoever holds places for nothing loses them first, none of them can be defended by holding many, and
//! behind a gateway, where all have one address, nobody at work loses anything.
//!
//! *Invariant:* as long as there is room, nobody goes.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use crate::stats::Connections;

/// The door of one listener.
pub(super) struct Door {
    room: Mutex<Room>,
    connections: Arc<Connections>,
}

impl Door {
    pub fn new(places: usize, connections: Arc<Connections>) -> Arc<Self> {
        connections.limit.store(places as u64, Ordering::Relaxed);
        Arc::new(Door { room: Mutex::new(Room::new(places)), connections })
    }

    /// A place for a connection; None when there is none.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Seat> {
        let given_away = CancellationToken::new();
        let entered = self.room().enter(origin(peer), given_away.clone());
        let Some((number, displaced)) = entered else {
            self.connections.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        self.connections.accepted.fetch_add(1, Ordering::Relaxed);
        match displaced {
            None => _ = self.connections.open.fetch_add(1, Ordering::Relaxed),
            Some(displaced) => {
                self.connections.displaced.fetch_add(1, Ordering::Relaxed);
                displaced.cancel();
            }
        }
        Some(Seat { door: self.clone(), number, given_away })
    }

    /// That a connection has begun with a request, or has no more in work, or has sent another answer.
    pub fn note(&self, number: u64, busy: bool) {
        self.room().note(number, busy);
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        // No code panics while holding it.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place, free again when it is dropped.
pub(super) struct Seat {
    door: Arc<Door>,
    number: u64,
    given_away: CancellationToken,
}

impl Seat {
    pub fn door(&self) -> (Arc<Door>, u64) {
        (self.door.clone(), self.number)
    }

    /// Ends when a newcomer was given the place.
    pub fn given_away(&self) -> WaitForCancellationFuture<'_> {
        self.given_away.cancelled()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.door.room().leave(self.number).is_some() {
            self.door.connections.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Whom we take for one peer: an address, or the network of 64 bits of which a host may have any IPv6 address.
fn origin(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}

/// The decisions, without sockets or clocks: changes are numbered, so the lowest is the longest ago. Each takes a few
/// steps in ordered maps, since it may be attackers who make thousands of them a second.
#[derive(Debug)]
struct Room {
    places: usize,
    changes: u64,
    guests: HashMap<u64, Guest>,
    /// Guests without a request in work, by their last change.
    quiet: BTreeMap<u64, u64>,
    origins: HashMap<IpAddr, Origin>,
    /// The one origin that has more than half of the places.
    crowd: Option<IpAddr>,
}

#[derive(Debug)]
struct Guest {
    origin: IpAddr,
    busy: bool,
    changed: u64,
    given_away: CancellationToken,
}

/// The guests of one origin, by their last change.
#[derive(Debug, Default)]
struct Origin {
    quiet: BTreeMap<u64, u64>,
    busy: BTreeMap<u64, u64>,
}

impl Origin {
    fn len(&self) -> usize {
        self.quiet.len() + self.busy.len()
    }
}

impl Room {
    fn new(places: usize) -> Self {
        let (guests, quiet, origins) = Default::default();
        Room { places, changes: 0, guests, quiet, origins, crowd: None }
    }

    /// The newcomer's number, and who went for it; None when nobody does.
    fn enter(&mut self, origin: IpAddr, given_away: CancellationToken) -> Option<(u64, Option<CancellationToken>)> {
        let displaced = if self.guests.len() < self.places { None } else { Some(self.leave(self.who_goes(origin)?)?) };
        self.changes += 1;
        let number = self.changes;
        self.guests.insert(number, Guest { origin, busy: false, changed: number, given_away });
        self.list(number);
        Some((number, displaced))
    }

    fn who_goes(&self, newcomer: IpAddr) -> Option<u64> {
        let longest = |guests: &BTreeMap<u64, u64>| guests.first_key_value().map(|(_, number)| *number);
        let ours = self.origins.get(&newcomer);
        let origins = self.origins.len() + usize::from(ours.is_none());
        if let Some(ours) = ours.filter(|ours| ours.len() >= self.places / origins) {
            return longest(&ours.quiet);
        }
        match self.crowd.and_then(|crowd| self.origins.get(&crowd)) {
            Some(crowd) => longest(&crowd.quiet).or_else(|| longest(&crowd.busy)),
            None => longest(&self.quiet),
        }
    }

    fn note(&mut self, number: u64, busy: bool) {
        if !self.unlist(number) {
            return;
        }
        self.changes += 1;
        if let Some(guest) = self.guests.get_mut(&number) {
            (guest.busy, guest.changed) = (busy, self.changes);
        }
        self.list(number);
    }

    /// None when it has left already.
    fn leave(&mut self, number: u64) -> Option<CancellationToken> {
        self.unlist(number);
        Some(self.guests.remove(&number)?.given_away)
    }

    fn list(&mut self, number: u64) {
        let Some(guest) = self.guests.get(&number) else { return };
        let origin = self.origins.entry(guest.origin).or_default();
        if guest.busy {
            origin.busy.insert(guest.changed, number);
        } else {
            origin.quiet.insert(guest.changed, number);
            self.quiet.insert(guest.changed, number);
        }
        if origin.len() > self.places / 2 {
            self.crowd = Some(guest.origin);
        }
    }

    fn unlist(&mut self, number: u64) -> bool {
        let Some(guest) = self.guests.get(&number) else { return false };
        let Some(origin) = self.origins.get_mut(&guest.origin) else { return false };
        if guest.busy {
            origin.busy.remove(&guest.changed);
        } else {
            origin.quiet.remove(&guest.changed);
            self.quiet.remove(&guest.changed);
        }
        if self.crowd == Some(guest.origin) && origin.len() <= self.places / 2 {
            self.crowd = None;
        }
        if origin.len() == 0 {
            self.origins.remove(&guest.origin);
        }
        true
    }
}

#[cfg(test)]
mod tests;
