//! The store's one background task: flush, compact, expire, vacuum, in a loop of its own; and the order in which it
//! ends. Every step is also callable at once, so that tests and `close` need no timer.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use model::Result;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::flush::{self, Holding};
use crate::retention::{self, Leases};
use crate::store::Shared;
use crate::{compact, table::Table};

/// Compaction, retention and vacuum run every so many flushes.
const TIDY_EVERY: u32 = 6;

pub(crate) struct Maintenance {
    shared: Arc<Shared>,
    /// One step at a time.
    turn: Arc<Mutex<Leases>>,
    stop: watch::Sender<bool>,
    task: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Maintenance {
    pub fn start(shared: Arc<Shared>) -> Self {
        let turn = Arc::new(Mutex::new(Leases::default()));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(shared.clone(), turn.clone(), stopped));
        Maintenance { shared, turn, stop, task: std::sync::Mutex::new(Some(task)) }
    }

    pub async fn flush_all(&self) -> Result<()> {
        let _turn = self.turn.lock().await;
        flush_through(&self.shared, i64::MAX).await
    }

    pub async fn tidy(&self) -> Result<()> {
        let mut leases = self.turn.lock().await;
        tidy(&self.shared, &mut leases).await
    }

    /// Stops the loop, then flushes what is left. Rows that arrive meanwhile stay in the log.
    pub async fn close(&self) -> Result<()> {
        self.stop.send_replace(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ = task.await;
        }
        self.flush_all().await
    }
}

async fn run(shared: Arc<Shared>, turn: Arc<Mutex<Leases>>, mut stop: watch::Receiver<bool>) {
    let every = shared.settings.flush_every();
    let mut ticker = tokio::time::interval(every.min(Duration::from_secs(1)));
    ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let ticks_per_flush = (every.as_secs_f64() / ticker.period().as_secs_f64()).round().max(1.0) as u32;
    let mut ticks = 0u32;
    loop {
        tokio::select! {
            _ = ticker.tick() => {}
            _ = stop.changed() => return,
        }
        ticks = ticks.wrapping_add(1);
        check_limits(&shared);
        let pressed = is_pressed(&shared);
        if !pressed && !ticks.is_multiple_of(ticks_per_flush) {
            continue;
        }
        let mut leases = turn.lock().await;
        let cut = shared.clock.now() - shared.settings.hold();
        if let Err(error) = flush_through(&shared, cut).await {
            tracing::warn!("flush failed, rows stay in the log and are tried again: {error}");
        }
        if ticks.is_multiple_of(ticks_per_flush * TIDY_EVERY)
            && let Err(error) = tidy(&shared, &mut leases).await
        {
            tracing::warn!("maintenance failed, it is tried again: {error}");
        }
    }
}

fn is_pressed(shared: &Shared) -> bool {
    shared.in_memory().1 > shared.settings.memory_bytes / 2
}

/// Flushes rows received up to `cut`, more under memory pressure, and trims the log.
async fn flush_through(shared: &Arc<Shared>, cut: model::Nanos) -> Result<()> {
    let holding = |table: &Arc<Table>| Holding {
        first_young: table.first_young(cut),
        last: table.last_seq(),
        half: table.half_seq(),
    };
    let holdings: Vec<Holding> = shared.all_tables().iter().map(|(_, t)| holding(t)).collect();
    let Some(through) = flush::plan(&holdings, is_pressed(shared)) else { return Ok(()) };
    let nothing = shared.all_tables().iter().all(|(_, t)| t.part(through).is_none());
    if nothing {
        return Ok(());
    }
    let flushed = flush::flush(shared, through).await?;
    flush::trim(shared, flushed).await
}

async fn tidy(shared: &Arc<Shared>, leases: &mut Leases) -> Result<()> {
    let tables = shared.all_tables();
    for (_, table) in &tables {
        leases.watch(&table.files());
        for job in compact::plan(&table.files()) {
            compact::run(shared, table, &job).await?;
        }
    }
    retention::expire(shared).await?;
    for (_, table) in &tables {
        retention::vacuum(shared, table, leases).await?;
    }
    Ok(())
}

/// Decides whether exports are refused now, and why.
fn check_limits(shared: &Shared) {
    let (_, bytes) = shared.in_memory();
    let (free, _) = disk(&shared.folder.root);
    let why = if free < shared.settings.min_free_bytes {
        Some(format!(
            "the data disk has {} MiB free, less than {} MiB",
            free >> 20,
            shared.settings.min_free_bytes >> 20
        ))
    } else if bytes > shared.settings.memory_bytes {
        Some(format!(
            "{} MiB of rows wait to be written, the limit is {}",
            bytes >> 20,
            shared.settings.memory_bytes >> 20
        ))
    } else {
        None
    };
    let mut refusing = shared.refusing.lock().unwrap_or_else(PoisonError::into_inner);
    if why.is_some() != refusing.is_some() {
        match &why {
            Some(why) => tracing::warn!("refusing exports: {why}"),
            None => tracing::info!("taking exports again"),
        }
    }
    *refusing = why;
}

/// Free and total bytes of the disk that holds `path`; unknown: no limit.
pub(crate) fn disk(path: &Path) -> (u64, u64) {
    match rustix::fs::statvfs(path) {
        Ok(s) => (s.f_bavail * s.f_frsize, s.f_blocks * s.f_frsize),
        Err(_) => (u64::MAX, u64::MAX),
    }
}
