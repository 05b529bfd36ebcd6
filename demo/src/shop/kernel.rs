//! The discrete-event kernel: an executor of plain `async` functions over virtual time.
//!
//! A process of the simulation (a request, a consumer, a garbage collection) is a future. It waits by [`Kernel::sleep`]
//! or in a [`Station`](super::station::Station); nothing else may be awaited. Time moves only when nobody can run,
//! and then to the earliest timer, so a minute of shop takes a fraction of a second.
//!
//! *Invariants:* one thread; time never goes back; processes woken at the same instant run in the order in which they
//! were woken. So a run depends on nothing but its seed.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Nanoseconds of virtual time since the simulation began.
pub type Instant = u64;

/// Nanoseconds in one millisecond.
pub const MILLISECOND: u64 = 1_000_000;

/// A process of the simulation, by its slot. A slot is used again after its process ended; waking the wrong process
/// is harmless, because every wait looks at its own condition again.
pub type ProcessId = usize;

type Process = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Default)]
struct State {
    now: Cell<Instant>,
    current: Cell<ProcessId>,
    timer_number: Cell<u64>,
    timers: RefCell<BinaryHeap<Reverse<(Instant, u64, ProcessId)>>>,
    ready: RefCell<VecDeque<ProcessId>>,
    processes: RefCell<Vec<Option<Process>>>,
    free: RefCell<Vec<ProcessId>>,
}

/// A handle to the kernel; clones share it.
#[derive(Clone, Default)]
pub struct Kernel(Rc<State>);

impl Kernel {
    pub fn now(&self) -> Instant {
        self.0.now.get()
    }

    /// The process that is running; whoever waits remembers it and is woken by it.
    pub fn current(&self) -> ProcessId {
        self.0.current.get()
    }

    /// Lets a process run again at the present instant, after those already waiting to run.
    pub fn wake(&self, process: ProcessId) {
        self.0.ready.borrow_mut().push_back(process);
    }

    /// Starts a process; it runs when the present one waits.
    pub fn spawn(&self, process: impl Future<Output = ()> + 'static) {
        let process: Process = Box::pin(process);
        let mut processes = self.0.processes.borrow_mut();
        let id = match self.0.free.borrow_mut().pop() {
            Some(id) => {
                processes[id] = Some(process);
                id
            }
            None => {
                processes.push(Some(process));
                processes.len() - 1
            }
        };
        drop(processes);
        self.wake(id);
    }

    /// Waits for so many nanoseconds of virtual time.
    pub fn sleep(&self, duration: u64) -> Sleep {
        Sleep { kernel: self.clone(), until: self.now().saturating_add(duration), armed: false }
    }

    /// Waits for `work` at most so many nanoseconds; `None` when the time came first, and `work` is dropped.
    pub async fn timeout<T>(&self, duration: u64, work: impl Future<Output = T>) -> Option<T> {
        use futures::future::{Either, select};
        match select(std::pin::pin!(work), self.sleep(duration)).await {
            Either::Left((value, _)) => Some(value),
            Either::Right(_) => None,
        }
    }

    /// Runs everything due up to and including `until`, then sets the clock to it.
    pub fn run_until(&self, until: Instant) {
        loop {
            self.run_ready();
            let Some(due) = self.next_timer() else { break };
            if due > until {
                break;
            }
            self.fire(due);
        }
        self.0.now.set(self.now().max(until));
    }

    /// When the next process wakes by itself; `None` when nobody will.
    pub fn next_timer(&self) -> Option<Instant> {
        self.0.timers.borrow().peek().map(|Reverse((at, _, _))| *at)
    }

    /// Drops all processes, which breaks the circle of processes that hold the kernel that holds them.
    pub fn clear(&self) {
        let processes = std::mem::take(&mut *self.0.processes.borrow_mut());
        drop(processes);
        self.0.free.borrow_mut().clear();
        self.0.timers.borrow_mut().clear();
        self.0.ready.borrow_mut().clear();
    }

    fn fire(&self, due: Instant) {
        self.0.now.set(self.now().max(due));
        let mut timers = self.0.timers.borrow_mut();
        while let Some(Reverse((at, _, process))) = timers.peek().copied() {
            if at > due {
                break;
            }
            timers.pop();
            self.wake(process);
        }
    }

    fn run_ready(&self) {
        loop {
            let Some(id) = self.0.ready.borrow_mut().pop_front() else { return };
            let taken = self.0.processes.borrow_mut().get_mut(id).and_then(Option::take);
            let Some(mut process) = taken else { continue };
            self.0.current.set(id);
            match process.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => self.0.processes.borrow_mut()[id] = Some(process),
                Poll::Ready(()) => self.0.free.borrow_mut().push(id),
            }
        }
    }
}

/// The future of [`Kernel::sleep`].
pub struct Sleep {
    kernel: Kernel,
    until: Instant,
    armed: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.kernel.now() >= self.until {
            return Poll::Ready(());
        }
        if !self.armed {
            self.armed = true;
            let state = &self.kernel.0;
            let number = state.timer_number.get();
            state.timer_number.set(number + 1);
            state.timers.borrow_mut().push(Reverse((self.until, number, self.kernel.current())));
        }
        Poll::Pending
    }
}

/// A slot that one process fills and another waits for.
pub struct Reply<T> {
    kernel: Kernel,
    value: RefCell<Option<T>>,
    waiting: Cell<Option<ProcessId>>,
}

impl<T> Reply<T> {
    pub fn new(kernel: &Kernel) -> Rc<Self> {
        Rc::new(Reply { kernel: kernel.clone(), value: RefCell::new(None), waiting: Cell::new(None) })
    }

    pub fn send(&self, value: T) {
        *self.value.borrow_mut() = Some(value);
        if let Some(process) = self.waiting.take() {
            self.kernel.wake(process);
        }
    }

    pub async fn receive(&self) -> T {
        std::future::poll_fn(|_| match self.value.borrow_mut().take() {
            Some(value) => Poll::Ready(value),
            None => {
                self.waiting.set(Some(self.kernel.current()));
                Poll::Pending
            }
        })
        .await
    }
}

/// An unbounded FIFO between processes: a topic of the message broker.
pub struct Mailbox<T> {
    kernel: Kernel,
    letters: RefCell<VecDeque<T>>,
    waiting: RefCell<VecDeque<ProcessId>>,
}

impl<T> Mailbox<T> {
    pub fn new(kernel: &Kernel) -> Rc<Self> {
        Rc::new(Mailbox { kernel: kernel.clone(), letters: RefCell::default(), waiting: RefCell::default() })
    }

    pub fn len(&self) -> usize {
        self.letters.borrow().len()
    }

    pub fn send(&self, letter: T) {
        self.letters.borrow_mut().push_back(letter);
        if let Some(process) = self.waiting.borrow_mut().pop_front() {
            self.kernel.wake(process);
        }
    }

    pub async fn receive(&self) -> T {
        std::future::poll_fn(|_| {
            let process = self.kernel.current();
            let mut waiting = self.waiting.borrow_mut();
            waiting.retain(|other| *other != process);
            match self.letters.borrow_mut().pop_front() {
                Some(letter) => Poll::Ready(letter),
                None => {
                    waiting.push_back(process);
                    Poll::Pending
                }
            }
        })
        .await
    }
}
