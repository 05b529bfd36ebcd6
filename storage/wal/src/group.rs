//! Group commit: the queue, and the one thread that writes.
//!
//! ```text
//!   clients ─append─▶ queue (bounded in bytes) ─▶ wait? (gather) ─▶ Log::commit ─▶ done, done, done … in order
//!   trim, roll ─────▶ orders, taken between groups; what a trim does to files is done by who trims
//!        ▲                                        └─▶ no spare left: a thread makes one (`ahead`), and says so by an order
//! ```
//! *Invariants:* records that wait are written before the next step of an order; the lock is never held while the disk
//! works or a completion runs.

use std::collections::VecDeque;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::ahead::Blank;
use crate::gather::{Waiting, patience, smooth};
use crate::log::{Extent, Log};
use crate::spares::Spare;
use crate::trim::{Doomed, Step};
use crate::{Done, Fs, MAX_RECORD, Quota, Record, Settings, Stats, WalError};

/// Most bytes in one group, so that a long queue is answered bit by bit.
const GROUP_BYTES: u64 = 8 << 20;

/// The sending half, owned by [`crate::Wal`].
pub(crate) struct Group {
    shared: Arc<Shared>,
    settings: Settings,
    writer: Mutex<Option<JoinHandle<Result<(), WalError>>>>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Tells the writer that there is something to do.
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Record, Promise)>,
    waiting_bytes: u64,
    orders: VecDeque<Order>,
    /// Records at which a gathering writer wants to be woken.
    wanted: usize,
    /// Records and bytes of the group being written.
    writing: (u64, u64),
    /// Nothing is accepted any more; the writer ends when the queue is empty.
    closing: bool,
    /// The log has stopped for good.
    failed: Option<Arc<str>>,
    extent: Extent,
    counts: Stats,
}

/// A completion that is called whatever happens: whoever drops it tells that the writer thread has panicked.
struct Promise(Option<Done>);

impl Promise {
    fn keep(mut self, answer: Result<u64, WalError>) {
        if let Some(done) = self.0.take() {
            done(answer);
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let Some(done) = self.0.take() else { return };
        let answer = Err(WalError::Failed { why: WRITER_PANICKED.into() });
        // A second panic that left this would end the process.
        let _ = catch_unwind(AssertUnwindSafe(|| done(answer)));
    }
}

const WRITER_PANICKED: &str = "the writer thread panicked";

/// Whether a record may be refused for want of room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quotas {
    Apply,
    /// It makes room: were it refused, there would never be any.
    Pass,
}

/// Work for the writer that is no record.
enum Order {
    Trim(Step, SyncSender<Result<Option<Doomed>, WalError>>),
    Roll(SyncSender<Result<(), WalError>>),
    ReleaseSpares,
    /// The spare that was made ahead; nothing if that failed.
    Made(Option<Spare>),
}

enum Work {
    Group(Vec<(Record, Promise)>),
    Order(Order),
    End,
}

impl Group {
    pub fn start(log: Log, settings: Settings, fs: Arc<dyn Fs>, dir: &Path) -> Result<Group, WalError> {
        let queue = Queue { extent: log.extent(), ..Queue::default() };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), wake: Condvar::new() });
        let maker = Maker { fs, dir: dir.to_path_buf(), shared: shared.clone(), thread: None };
        let (sync, last_group) = (Duration::ZERO, 0);
        let writer = Writer { log, shared: shared.clone(), settings: settings.clone(), sync, last_group, maker };
        let thread = thread::Builder::new()
            .name("hotspan-wal".into())
            .spawn(move || writer.run())
            .map_err(|e| WalError::io("starting the writer thread", e))?;
        Ok(Group { shared, settings, writer: Mutex::new(Some(thread)) })
    }

    pub fn append(&self, record: Record, done: Done, quotas: Quotas) -> Result<(), WalError> {
        if record.len() > MAX_RECORD {
            return Err(WalError::TooLarge { bytes: record.len(), limit: MAX_RECORD });
        }
        let mut queue = self.shared.lock();
        match quotas {
            Quotas::Apply => queue.admit(record.len(), &self.settings)?,
            Quotas::Pass => queue.why_stopped().map_or(Ok(()), Err)?,
        }
        queue.waiting_bytes += record.len();
        queue.waiting.push_back((record, Promise(Some(done))));
        if queue.waiting.len() >= queue.wanted || queue.waiting_bytes >= self.settings.gather_bytes {
            self.shared.wake.notify_one();
        }
        Ok(())
    }

    pub fn takes(&self, bytes: u64) -> Result<(), WalError> {
        self.shared.lock().takes(bytes, &self.settings)
    }

    pub fn trim_step(&self, step: Step) -> Result<Option<Doomed>, WalError> {
        self.order(|tell| Order::Trim(step, tell))
    }

    pub fn release_spares(&self) {
        let mut queue = self.shared.lock();
        if !queue.closing && queue.extent.spares > 0 {
            queue.orders.push_back(Order::ReleaseSpares);
            self.shared.wake.notify_one();
        }
    }

    pub fn roll(&self) -> Result<(), WalError> {
        self.order(Order::Roll)
    }

    fn order<T>(&self, order: impl FnOnce(SyncSender<Result<T, WalError>>) -> Order) -> Result<T, WalError> {
        let (tell, told) = sync_channel(1);
        {
            let mut queue = self.shared.lock();
            if queue.closing {
                return Err(queue.why_stopped().unwrap_or(WalError::Closed));
            }
            queue.orders.push_back(order(tell));
            self.shared.wake.notify_one();
        }
        told.recv().unwrap_or_else(|_| Err(self.why_stopped()))
    }

    /// Orders that wait.
    #[cfg(test)]
    pub fn orders(&self) -> usize {
        self.shared.lock().orders.len()
    }

    pub fn stats(&self) -> Stats {
        let queue = self.shared.lock();
        Stats {
            segments: queue.extent.segments,
            bytes: queue.extent.bytes,
            spares: queue.extent.spares,
            spare_bytes: queue.extent.spare_bytes,
            oldest_seq: queue.extent.oldest,
            last_durable_seq: queue.extent.durable,
            queued_records: queue.waiting.len() as u64 + queue.writing.0,
            queued_bytes: queue.waiting_bytes + queue.writing.1,
            failed: queue.failed.as_ref().map(|why| why.to_string()),
            ..queue.counts.clone()
        }
    }

    pub fn close(&self) -> Result<(), WalError> {
        {
            let mut queue = self.shared.lock();
            queue.closing = true;
            self.shared.wake.notify_one();
        }
        // Held while joining: a second close returns after the first has finished.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        match writer.take() {
            Some(thread) => thread.join().unwrap_or_else(|_| Err(self.why_stopped())),
            None => Ok(()),
        }
    }

    /// What to answer those whom the writer can no longer answer.
    pub fn why_stopped(&self) -> WalError {
        self.shared.lock().why_stopped().unwrap_or(WalError::Closed)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Who wants to know calls close.
        let _ = self.close();
    }
}

impl Shared {
    /// The queue is never left half changed, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn why_stopped(&self) -> Option<WalError> {
        match &self.failed {
            Some(why) => Some(WalError::Failed { why: why.clone() }),
            None => self.closing.then_some(WalError::Closed),
        }
    }

    /// Refuses what does not fit. A record is let into an empty queue whatever its size.
    fn admit(&self, bytes: u64, settings: &Settings) -> Result<(), WalError> {
        let queued = self.queued();
        if self.why_stopped().is_none() && queued > 0 && queued + bytes > settings.max_queued_bytes {
            return Err(WalError::Full { quota: Quota::Queue, held: queued, limit: settings.max_queued_bytes });
        }
        self.takes(bytes, settings)
    }

    fn queued(&self) -> u64 {
        self.waiting_bytes + self.writing.1
    }

    /// Whether the log has stopped or has no room, the queue apart, which is empty again in a moment.
    fn takes(&self, bytes: u64, settings: &Settings) -> Result<(), WalError> {
        if let Some(why) = self.why_stopped() {
            return Err(why);
        }
        let held = self.extent.bytes + self.queued();
        if held + bytes > settings.max_log_bytes {
            return Err(WalError::Full { quota: Quota::Log, held, limit: settings.max_log_bytes });
        }
        Ok(())
    }

    fn take_group(&mut self) -> Vec<(Record, Promise)> {
        let mut bytes = 0;
        let fits = self.waiting.iter().take_while(|(record, _)| {
            let first = bytes == 0;
            bytes += record.len();
            first || bytes <= GROUP_BYTES
        });
        let count = fits.count().max(1);
        let group: Vec<_> = self.waiting.drain(..count.min(self.waiting.len())).collect();
        let bytes = group.iter().map(|(record, _)| record.len()).sum();
        self.waiting_bytes -= bytes;
        self.writing = (group.len() as u64, bytes);
        group
    }
}

/// The writer thread.
struct Writer {
    log: Log,
    shared: Arc<Shared>,
    settings: Settings,
    /// Moving mean of sync times.
    sync: Duration,
    last_group: usize,
    maker: Maker,
}

/// Makes spares ahead, one at a time, each in a thread of its own: most logs never need one.
struct Maker {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Maker {
    /// Begins one. False: there is no thread for it.
    fn make(&mut self, blank: Blank) -> bool {
        self.finish();
        let (fs, dir, shared) = (self.fs.clone(), self.dir.clone(), self.shared.clone());
        let thread = thread::Builder::new().name("hotspan-spares".into()).spawn(move || {
            let made = blank.make(&*fs, &dir).ok();
            // After the writer has ended, the next open finds it.
            shared.lock().orders.push_back(Order::Made(made));
            shared.wake.notify_one();
        });
        self.thread = thread.ok();
        self.thread.is_some()
    }

    /// Waits for the last one, which has said that it is done, unless the log ends.
    fn finish(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Making one cannot panic; if it did, there would be none ahead.
            let _ = thread.join();
        }
    }
}

/// Nobody writes to the folder when a log has been closed.
impl Drop for Maker {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Refuses all who come when the writer has ended, however it ended, and answers all who wait, so that nobody waits for
/// it.
struct Watch(Arc<Shared>);

impl Drop for Watch {
    fn drop(&mut self) {
        let (waiting, orders) = {
            let mut queue = self.0.lock();
            queue.closing = true;
            if thread::panicking() {
                queue.failed = Some(WRITER_PANICKED.into());
            }
            (queue.waiting_bytes, queue.writing) = (0, (0, 0));
            (mem::take(&mut queue.waiting), mem::take(&mut queue.orders))
        };
        drop((waiting, orders));
    }
}

impl Writer {
    fn run(mut self) -> Result<(), WalError> {
        let _watch = Watch(self.shared.clone());
        // Whether an order was done last: then who waited meanwhile goes before the next one.
        let mut after_order = false;
        loop {
            let work = self.next_work(after_order);
            after_order = matches!(work, Work::Order(_));
            match work {
                Work::Group(group) => self.write(group),
                Work::Order(order) => self.carry_out(order),
                Work::End => return self.log.seal(),
            }
        }
    }

    /// The one who asked may be gone.
    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Trim(step, tell) => {
                let next = self.log.trim_step(step);
                self.publish();
                let _ = tell.send(Ok(next));
            }
            Order::Roll(tell) => {
                let rolled = self.log.roll();
                self.publish();
                let _ = tell.send(rolled);
            }
            Order::ReleaseSpares => {
                self.log.release_spares();
                self.publish();
            }
            Order::Made(made) => {
                self.log.made(made);
                self.publish();
            }
        }
    }

    /// Waits until there is something to do. Orders go first, but for who waited while one was done; a stop goes last.
    fn next_work(&self, after_order: bool) -> Work {
        let mut ready = Instant::now();
        let mut queue = self.shared.lock();
        loop {
            if after_order && !queue.waiting.is_empty() {
                return Work::Group(queue.take_group());
            }
            if let Some(order) = queue.orders.pop_front() {
                return Work::Order(order);
            }
            if queue.waiting.is_empty() {
                if queue.closing {
                    return Work::End;
                }
                queue.wanted = 1;
                queue = self.shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
                ready = Instant::now();
                continue;
            }
            let patience = if queue.closing { Duration::ZERO } else { self.patience(&queue, ready) };
            if patience.is_zero() {
                return Work::Group(queue.take_group());
            }
            queue.wanted = self.last_group;
            let waited = self.shared.wake.wait_timeout(queue, patience);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn patience(&self, queue: &Queue, ready: Instant) -> Duration {
        let waiting = Waiting {
            records: queue.waiting.len(),
            bytes: queue.waiting_bytes,
            waited: ready.elapsed(),
            last_group: self.last_group,
            sync: self.sync,
        };
        patience(&waiting, &self.settings)
    }

    /// Commits a group, and answers its clients in order.
    fn write(&mut self, group: Vec<(Record, Promise)>) {
        let (records, promises): (Vec<Record>, Vec<Promise>) = group.into_iter().unzip();
        let committed = self.log.commit(&records.iter().collect::<Vec<_>>());
        drop(records);
        if let Ok(committed) = &committed {
            self.sync = smooth(self.sync, committed.sync);
        }
        self.last_group = promises.len();
        self.count(promises.len() as u64, committed.as_ref().ok().map(|committed| committed.sync));
        self.publish();
        self.answer(committed.map(|committed| committed.first), promises);
        self.refuse_if_failed();
        self.make_ahead();
    }

    fn make_ahead(&mut self) {
        if self.settings.makes_ahead
            && let Some(blank) = self.log.blank()
            && !self.maker.make(blank)
        {
            self.log.made(None);
        }
    }

    /// Calls the completions in order. After one that panicked, what the others would build is no longer a prefix of
    /// the log: they are told so, and the log stops.
    fn answer(&mut self, mut answer: Result<u64, WalError>, promises: Vec<Promise>) {
        for promise in promises {
            let given = answer.clone();
            match catch_unwind(AssertUnwindSafe(|| promise.keep(given))) {
                Ok(()) => answer = answer.map(|seq| seq + 1),
                Err(_) => {
                    let why = "a completion panicked";
                    self.log.fail(why.into());
                    answer = Err(WalError::Failed { why: why.into() });
                }
            }
        }
    }

    fn count(&self, records: u64, sync: Option<Duration>) {
        let counts = &mut self.shared.lock().counts;
        let Some(sync) = sync else {
            counts.failed_groups += 1;
            return;
        };
        counts.groups += 1;
        counts.records += records;
        counts.syncs += 1;
        counts.sync_sum += sync;
        counts.sync_max = counts.sync_max.max(sync);
    }

    /// Shows the log's new extent, and frees the room of the group that was written.
    fn publish(&self) {
        let mut queue = self.shared.lock();
        queue.extent = self.log.extent();
        queue.writing = (0, 0);
    }

    /// Once the log has failed, answers all who wait and refuses all who come.
    fn refuse_if_failed(&self) {
        let Some(why) = self.log.failed() else { return };
        let waiting = {
            let mut queue = self.shared.lock();
            queue.failed = Some(why.clone());
            queue.waiting_bytes = 0;
            mem::take(&mut queue.waiting)
        };
        for (_, promise) in waiting {
            promise.keep(Err(WalError::Failed { why: why.clone() }));
        }
    }
}
