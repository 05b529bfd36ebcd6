//! The store's two background tasks: one writes rows to files, the other merges files, expires, vacuums and scrubs; and
//! the order in which they end. Every step is also callable at once, so that tests and `close` need no timer.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use model::time::SECOND;
use model::{Nanos, Result};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::background::{self, Priority};
use crate::compact;
use crate::flush::{self, Flushed, Reason};
use crate::late::Late;
use crate::retention::{self, Leases};
use crate::round::Round;
use crate::scrub::Scrub;
use crate::space;
use crate::store::{Refused, Shared};
use crate::table::Holding;
use crate::traced;

/// How often limits are looked at and small batches joined.
const LOOK: Duration = Duration::from_millis(250);
/// How often merging looks for work.
const MERGE_EVERY: Duration = Duration::from_secs(2);
/// Retention and vacuum run every so many of those.
const EXPIRE_EVERY: u32 = 15;
/// Late spans of one file are looked after every so many of those.
const CORRECT_EVERY: u32 = 5;
/// While rows are written in a hurry the log is trimmed no more often than this: each time it remembers what was seen.
const TRIM_EVERY: Nanos = 5 * SECOND;
/// Merging waits while rows cannot be written as fast as they come, unless so many files have piled up.
const PATIENCE: usize = 256;

pub(crate) struct Maintenance {
    shared: Arc<Shared>,
    flushing: Arc<Mutex<Flushing>>,
    tidying: Arc<Mutex<Tidying>>,
    stop: watch::Sender<bool>,
    tasks: std::sync::Mutex<Vec<JoinHandle<()>>>,
}

/// One merge at a time.
struct Tidying {
    leases: Leases,
    late: Late,
    scrub: Scrub,
}

/// One flush at a time.
struct Flushing {
    /// What was written and is still in the log.
    untrimmed: Option<Flushed>,
    /// For which of it the window of seen exports is in the log.
    remembered: Option<Flushed>,
    trimmed_at: Nanos,
}

impl Maintenance {
    pub fn start(shared: Arc<Shared>) -> Self {
        let idle = Maintenance::idle(shared.clone());
        let stopped = idle.stop.subscribe();
        let tasks = vec![
            tokio::spawn(keep_flushing(shared.clone(), Arc::clone(&idle.flushing), stopped.clone())),
            tokio::spawn(keep_summing(shared.clone(), stopped.clone())),
            tokio::spawn(keep_tidying(shared, Arc::clone(&idle.tidying), stopped)),
        ];
        Maintenance { tasks: std::sync::Mutex::new(tasks), ..idle }
    }

    /// Does only what it is asked for.
    pub fn idle(shared: Arc<Shared>) -> Self {
        let (stop, _) = watch::channel(false);
        let flushing = Flushing { untrimmed: Flushed::found(&shared), remembered: None, trimmed_at: 0 };
        // The time of the start is a number that no other start has had.
        let scrub = Scrub::new(shared.clock.now().unsigned_abs(), shared.steady.elapsed());
        let tidying = Tidying { leases: Leases::default(), late: Late::default(), scrub };
        let (flushing, tidying) = (Arc::new(Mutex::new(flushing)), Arc::new(Mutex::new(tidying)));
        Maintenance { shared, flushing, tidying, stop, tasks: Default::default() }
    }

    /// One flush for this reason, and the trim that follows it; false when there was nothing to write.
    #[cfg(test)]
    pub async fn flush_once(&self, reason: Reason) -> Result<bool> {
        let (mut flushing, mut round) = (self.flushing.lock().await, Round::default());
        let written = flushing.step(&self.shared, reason, &mut round).await;
        let trimmed = flushing.trim(&self.shared).await;
        round.end().and(trimmed)?;
        Ok(written)
    }

    /// What the loop does when a flush is due.
    #[cfg(test)]
    pub async fn flush_due(&self) -> Result<()> {
        flush_due(&self.shared, &mut *self.flushing.lock().await, true, &self.stop.subscribe()).await
    }

    pub async fn flush_all(&self) -> Result<()> {
        let (mut flushing, mut round) = (self.flushing.lock().await, Round::default());
        while flushing.step(&self.shared, Reason::Everything, &mut round).await {}
        let trimmed = flushing.trim(&self.shared).await;
        round.end().and(trimmed)
    }

    /// All merges that are worth doing and have space, then retention and vacuum.
    pub async fn tidy(&self) -> Result<()> {
        let mut tidying = self.tidying.lock().await;
        let (mut merged, mut corrected) = (Round::default(), Round::default());
        let has_room = || self.shared.room().has_some();
        while has_room() && merge_one(&self.shared, &mut tidying, &mut merged).await {}
        while has_room() && correct_one(&self.shared, &mut tidying, &mut corrected).await {}
        let expired = expire(&self.shared, &mut tidying).await;
        merged.end().and(corrected.end()).and(expired)
    }

    /// Compares as much of the files with their checksums as the time allows that has passed.
    #[cfg(test)]
    pub async fn scrub_once(&self) {
        self.tidying.lock().await.scrub.step(&self.shared).await;
    }

    /// Stops the tasks, then flushes what is left. Rows that arrive meanwhile stay in the log.
    pub async fn close(&self) -> Result<()> {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            let _ = task.await;
        }
        self.flush_all().await
    }
}

impl Flushing {
    /// Writes what `reason` asks for of the tables that have not failed in this round; false when there was nothing to
    /// write. What was written before one of them failed may still be trimmed.
    async fn step(&mut self, shared: &Arc<Shared>, reason: Reason, round: &mut Round) -> bool {
        let now = shared.clock.now();
        let cut = now - shared.settings.hold();
        let holdings: Vec<Holding> = round.tables(shared).iter().map(|t| t.holding(cut, now)).collect();
        let Some(through) = flush::plan(&holdings, reason) else { return false };
        let step = traced::flush(&round.tables(shared), through);
        if let Ok(Some(flushed)) = step.run(flush::flush(shared, through, reason, round)).await {
            self.untrimmed = Some(flushed);
        }
        true
    }

    async fn trim(&mut self, shared: &Arc<Shared>) -> Result<()> {
        let Some(flushed) = self.untrimmed else { return Ok(()) };
        self.trimmed_at = shared.clock.now();
        // Once: where trimming goes on failing, each try would add to a log that is full.
        if self.remembered != Some(flushed) {
            flush::remember(shared).await?;
            self.remembered = Some(flushed);
        }
        flush::trim(shared, flushed).await?;
        self.untrimmed = None;
        Ok(())
    }

    async fn trim_now_and_then(&mut self, shared: &Arc<Shared>) -> Result<()> {
        if shared.clock.now() - self.trimmed_at < TRIM_EVERY {
            return Ok(());
        }
        self.trim(shared).await
    }
}

async fn keep_flushing(shared: Arc<Shared>, flushing: Arc<Mutex<Flushing>>, mut stop: watch::Receiver<bool>) {
    let mut ticker = tokio::time::interval(LOOK.min(shared.settings.flush_every()));
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ticks_per_flush = (shared.settings.flush_every().as_secs_f64() / ticker.period().as_secs_f64()).round();
    let (mut ticks, mut told) = (0u64, None);
    loop {
        tokio::select! {
            _ = ticker.tick() => ticks += 1,
            () = shared.memory.pressed.notified() => {}
            _ = stop.changed() => return,
        }
        check_limits(&shared);
        let due = ticks >= ticks_per_flush as u64;
        if !due && !shared.memory.is_pressed() && !has_backlog(&shared) {
            join_small(&shared).await;
            continue;
        }
        let mut flushing = flushing.lock().await;
        let failed = flush_due(&shared, &mut flushing, due, &stop).await.err().map(|error| error.to_string());
        if let Some(why) = &failed {
            if due || failed != told {
                tracing::warn!("flush failed, rows stay in the log and are tried again: {why}");
            }
            // Not at once again: a disk that is full stays so for a while.
            tokio::time::sleep(LOOK).await;
        }
        told = failed;
        if due {
            ticks = 0;
            keep_ledger(&shared).await;
        }
    }
}

/// Sums up rows that leave memory before they are written.
async fn keep_summing(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = shared.memory.left.notified() => {}
            _ = stop.changed() => return,
        }
        for (_, table) in shared.all_tables().into_iter().filter(|(_, table)| table.has_leaving()) {
            let summarize = shared.summarize.clone();
            let work = move || {
                while table.sum_up_next(summarize.as_ref())? {}
                Ok(())
            };
            if let Err(error) = background::run("hotspan-sum", Priority::Flush, work).await {
                tracing::warn!("rows in the log stay without a sum and are read: {error}");
            }
        }
    }
}

/// Writes until memory is no longer short, then what is old enough.
async fn flush_due(
    shared: &Arc<Shared>,
    flushing: &mut Flushing,
    due: bool,
    stop: &watch::Receiver<bool>,
) -> Result<()> {
    let (mut round, mut trimmed) = (Round::default(), Ok(()));
    while is_short(shared, &round) && !*stop.borrow() {
        if !flushing.step(shared, Reason::Pressure, &mut round).await {
            break;
        }
        check_limits(shared);
        join_small(shared).await;
        trimmed = trimmed.and(flushing.trim_now_and_then(shared).await);
    }
    if due {
        flushing.step(shared, Reason::Age, &mut round).await;
        trimmed = trimmed.and(flushing.trim(shared).await);
    }
    round.end().and(trimmed)
}

/// Whether rows have to be written whatever their age. A table that failed may be what fills memory: others are then
/// written early only where their own rows are in the log only.
fn is_short(shared: &Shared, round: &Round) -> bool {
    round.is_whole() && shared.memory.is_pressed() || round.tables(shared).iter().any(|table| table.has_dropped())
}

/// Writes the ledger's file when counts changed without a flush: refusals on a full disk, say.
async fn keep_ledger(shared: &Arc<Shared>) {
    let shared = shared.clone();
    let _ = tokio::task::spawn_blocking(move || shared.ledger.keep()).await;
}

fn has_backlog(shared: &Shared) -> bool {
    shared.all_tables().iter().any(|(_, table)| table.has_dropped())
}

async fn join_small(shared: &Arc<Shared>) {
    for (_, table) in shared.all_tables() {
        let joined = tokio::task::spawn_blocking(move || table.join_small()).await;
        if let Ok(Err(error)) = joined {
            tracing::warn!("small batches stay as they are: {error}");
        }
    }
}

async fn keep_tidying(shared: Arc<Shared>, tidying: Arc<Mutex<Tidying>>, mut stop: watch::Receiver<bool>) {
    let mut ticker = tokio::time::interval(MERGE_EVERY);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ticks = 0u32;
    loop {
        tokio::select! {
            _ = ticker.tick() => {}
            _ = stop.changed() => return,
        }
        ticks = ticks.wrapping_add(1);
        let mut tidying = tidying.lock().await;
        if let Err(error) = tidy_due(&shared, &mut tidying, ticks, &stop).await {
            tracing::warn!("maintenance failed, it is tried again: {error}");
        }
    }
}

async fn tidy_due(shared: &Arc<Shared>, tidying: &mut Tidying, ticks: u32, stop: &watch::Receiver<bool>) -> Result<()> {
    let (mut merged, mut corrected) = (Round::default(), Round::default());
    while !*stop.borrow() && may_merge(shared) && merge_one(shared, tidying, &mut merged).await {}
    if ticks.is_multiple_of(CORRECT_EVERY) && may_merge(shared) {
        correct_one(shared, tidying, &mut corrected).await;
    }
    if may_merge(shared) {
        tidying.scrub.step(shared).await;
    }
    // Whatever keeps files from being merged must not keep those that are too old.
    let expired = if ticks.is_multiple_of(EXPIRE_EVERY) { expire(shared, tidying).await } else { Ok(()) };
    merged.end().and(corrected.end()).and(expired)
}

/// Merging takes from writing: it waits for a burst to end, and for space.
fn may_merge(shared: &Shared) -> bool {
    if !shared.room().has_some() {
        return false;
    }
    let files = shared.all_tables().iter().map(|(_, table)| table.files().len()).max().unwrap_or(0);
    !has_backlog(shared) || files > PATIENCE
}

/// One merge, or files put aside; false when there is nothing worth doing in the tables that have not failed.
async fn merge_one(shared: &Arc<Shared>, tidying: &mut Tidying, round: &mut Round) -> bool {
    for table in round.tables(shared) {
        tidying.leases.watch(&table.files());
        let files = compact::mergeable(shared, &table);
        let Some(job) = compact::plan(&files, shared.clock.now(), shared.settings.merge_rows()) else { continue };
        match traced::compact(&table, &job).run(compact::run(shared, &table, &job)).await {
            Ok(()) => return true,
            Err(error) => round.fail(&table, error),
        }
    }
    false
}

/// Looks after the late spans of one file; false when there is none with any in the tables that have not failed.
async fn correct_one(shared: &Arc<Shared>, tidying: &mut Tidying, round: &mut Round) -> bool {
    for table in round.tables(shared) {
        tidying.leases.watch(&table.files());
        match tidying.late.correct_one(shared, &table).await {
            Ok(false) => {}
            Ok(true) => return true,
            Err(error) => round.fail(&table, error),
        }
    }
    false
}

async fn expire(shared: &Arc<Shared>, tidying: &mut Tidying) -> Result<()> {
    for (_, table) in shared.all_tables() {
        tidying.leases.watch(&table.files());
    }
    let (mut expired, mut vacuumed) = (Round::default(), Round::default());
    let belief = shared.believe();
    retention::expire(shared, &belief, &mut expired).await;
    for table in vacuumed.tables(shared) {
        if let Err(error) = retention::vacuum(shared, &belief, &table, &tidying.leases).await {
            vacuumed.fail(&table, error);
        }
    }
    expired.end().and(vacuumed.end())
}

fn short_of_space(shared: &Shared) -> Option<String> {
    let tables = shared.all_tables();
    let full = tables.iter().filter_map(|(_, table)| table.hindered()).find(|h| space::is_short(&h.why));
    shared.room().refusing(full.map(|hindered| hindered.why.message).as_deref())
}

/// Decides whether exports are refused now, and why.
pub(crate) fn check_limits(shared: &Shared) {
    let why = short_of_space(shared);
    if why.is_some() {
        shared.log.wal.release_spares();
    }
    let log = shared.log.wal.stats();
    let mut refusing = shared.refusing();
    refusing.disk = why;
    refusing.log = still_refused(refusing.log.take(), &log);
    let why = refusing.why();
    if why.is_some() != refusing.is_told {
        match &why {
            Some(why) => tracing::warn!("refusing exports: {why}"),
            None => tracing::info!("taking exports again"),
        }
    }
    refusing.is_told = why.is_some();
}

/// Why the log goes on refusing exports: it has stopped, is as full as when it did not take the last one, or has neither
/// written nor given up anything since there was no space for that.
pub(crate) fn still_refused(refused: Option<Refused>, log: &wal::Stats) -> Option<Refused> {
    if let Some(why) = &log.failed {
        return Some(Refused { error: wal::WalError::Failed { why: why.as_str().into() }, log: log.clone() });
    }
    refused.filter(|Refused { error, log: then }| match error {
        wal::WalError::Full { held, .. } => log.bytes + log.queued_bytes >= *held,
        wal::WalError::NoSpace { .. } => log.groups <= then.groups && log.bytes >= then.bytes,
        _ => false,
    })
}
