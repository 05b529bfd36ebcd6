//! A station: so many servers and one queue, first come, first served.
//!
//! Everything in the shop that can run out is one: worker threads, the connections of a pool, CPU cores, locks, the
//! cores of a database, a rate-limited third party, a full network link. A process holds a [`Permit`] while it is
//! served; dropping it serves the next in the queue. *Invariant:* `in_use <= permits`, and nobody waits while a
//! permit is free.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::kernel::{Instant, Kernel, ProcessId};

pub struct Station {
    kernel: Kernel,
    permits: usize,
    in_use: Cell<usize>,
    queue: RefCell<VecDeque<Rc<Ticket>>>,
    waiting: Cell<usize>,
    /// Permits in use, integrated over time, up to `changed`.
    busy: Cell<u64>,
    changed: Cell<Instant>,
}

struct Ticket {
    process: ProcessId,
    state: Cell<TicketState>,
}

#[derive(Clone, Copy, PartialEq)]
enum TicketState {
    Waiting,
    Granted,
    Done,
}

impl Station {
    pub fn new(kernel: &Kernel, permits: usize) -> Rc<Self> {
        Rc::new(Station {
            kernel: kernel.clone(),
            permits: permits.max(1),
            in_use: Cell::new(0),
            queue: RefCell::default(),
            waiting: Cell::new(0),
            busy: Cell::new(0),
            changed: Cell::new(0),
        })
    }

    /// Waits in the queue for a permit.
    pub fn acquire(self: &Rc<Self>) -> Acquire {
        Acquire { station: self.clone(), ticket: None }
    }

    /// A permit when one is free at once.
    pub fn try_acquire(self: &Rc<Self>) -> Option<Permit> {
        if self.in_use.get() >= self.permits {
            return None;
        }
        self.count(1);
        Some(Permit(self.clone()))
    }

    pub fn permits(&self) -> usize {
        self.permits
    }

    pub fn in_use(&self) -> usize {
        self.in_use.get()
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.get()
    }

    /// Permits in use, integrated since the start (nanoseconds): its growth over a time, divided by that time and by
    /// the permits, is the utilisation.
    pub fn busy(&self) -> u64 {
        self.busy.get() + self.in_use.get() as u64 * (self.kernel.now() - self.changed.get())
    }

    fn count(&self, change: isize) {
        self.busy.set(self.busy());
        self.changed.set(self.kernel.now());
        self.in_use.set(self.in_use.get().saturating_add_signed(change));
    }

    fn release(&self) {
        self.count(-1);
        while let Some(ticket) = self.queue.borrow_mut().pop_front() {
            if ticket.state.get() == TicketState::Waiting {
                self.waiting.set(self.waiting.get() - 1);
                self.count(1);
                ticket.state.set(TicketState::Granted);
                self.kernel.wake(ticket.process);
                return;
            }
        }
    }
}

/// The right to be served; given back when dropped.
pub struct Permit(Rc<Station>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// The future of [`Station::acquire`]; dropping it leaves the queue.
pub struct Acquire {
    station: Rc<Station>,
    ticket: Option<Rc<Ticket>>,
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Permit> {
        if let Some(ticket) = &self.ticket {
            if ticket.state.get() != TicketState::Granted {
                return Poll::Pending;
            }
            ticket.state.set(TicketState::Done);
            return Poll::Ready(Permit(self.station.clone()));
        }
        if let Some(permit) = self.station.try_acquire() {
            return Poll::Ready(permit);
        }
        let ticket = Rc::new(Ticket { process: self.station.kernel.current(), state: Cell::new(TicketState::Waiting) });
        self.station.queue.borrow_mut().push_back(ticket.clone());
        self.station.waiting.set(self.station.waiting.get() + 1);
        self.ticket = Some(ticket);
        Poll::Pending
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let Some(ticket) = &self.ticket else { return };
        match ticket.state.replace(TicketState::Done) {
            TicketState::Granted => self.station.release(),
            TicketState::Waiting => self.station.waiting.set(self.station.waiting.get() - 1),
            TicketState::Done => {}
        }
    }
}
