//! Rows that leave memory before they are written are summed up once, and what is known of them stays true.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::backlog::Backlog;
use crate::flush::Reason;
use crate::leaving::PartNumber;
use crate::table::Table;

/// One span an export, with the ids from 1 on; `before` each.
async fn burst(store: &Store, before: impl Fn()) {
    for id in 1..=SPANS {
        before();
        send(store, &format!("{id} {id} 0 a b {id} {}", id + 7), store.shared.clock.now()).await.expect("acknowledged");
    }
}

const SPANS: i64 = 1_500;

/// Sends a burst while a file is encoded, and notes how many bytes of rows somebody still has that left the tables.
#[derive(Default)]
struct BurstMeanwhile {
    store: OnceLock<(Store, tokio::runtime::Handle)>,
    kept: AtomicUsize,
}

impl fmt::Debug for BurstMeanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BurstMeanwhile")
    }
}

impl Summarize for BurstMeanwhile {
    fn begin(&self, _: Expected) -> Option<Box<dyn Summary>> {
        let (store, runtime) = self.store.get().filter(|_| self.kept.load(Ordering::Relaxed) == 0)?;
        runtime.block_on(burst(store, || ()));
        let memory = &store.shared.memory;
        self.kept.store(memory.alive().saturating_sub(memory.used()), Ordering::Relaxed);
        None
    }
}

/// Whether these are all from the first one to `last`, each once, in any order.
fn are_all(mut ids: Vec<i64>, last: i64) -> bool {
    ids.sort_unstable();
    ids.first().is_some_and(|first| ids.iter().copied().eq(*first..=last))
}

/// A store that writes and sums up only what it is asked for.
pub(super) async fn still(folder: &Path, clock: &Arc<ManualClock>) -> Store {
    still_with(folder, clock, Arc::new(SpanIds)).await
}

async fn still_with(folder: &Path, clock: &Arc<ManualClock>, summarize: Arc<dyn Summarize>) -> Store {
    let settings = Settings { memory_bytes: 8 << 20, ..settings() };
    let opened = crate::recover::open(folder, settings, clock.clone(), Arc::new(LineDecoder), summarize).await;
    let shared = Arc::new(opened.expect("opens").0);
    Store { maintenance: Arc::new(Maintenance::idle(shared.clone())), shared }
}

fn traces(store: &Store) -> Arc<Table> {
    store.shared.tables(&Tenant::default()).of(Signal::Traces).clone()
}

fn backlog(store: &Store) -> Option<Backlog> {
    store.snapshot(&Tenant::default()).expect("a snapshot").table(Signal::Traces).backlog.clone()
}

/// The ids of the parts that are known, part by part, and those of the rest.
fn told(backlog: &Backlog) -> (Vec<Vec<i64>>, Vec<i64>) {
    let parts = backlog.known().iter().map(|known| {
        let ids = known.summary.chunks(8).map(|id| i64::from_be_bytes(id.try_into().expect("8 bytes")));
        ids.collect::<Vec<i64>>()
    });
    let known: std::collections::HashSet<PartNumber> = backlog.known().iter().map(|known| known.number).collect();
    let mut rest = Vec::new();
    let mut read = |rows: RecordBatch| {
        rest.extend(span_ids(&rows));
        Ok(())
    };
    backlog.without(&known).iter().for_each(|left| left.read(&mut read).expect("the log has them"));
    (parts.collect(), rest)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_the_log_and_its_rest_are_each_row_once_until_it_is_written() {
    let (clock, folder) = (Arc::new(ManualClock::at(NOON)), tempfile::tempdir().expect("a folder"));
    let store = still(folder.path(), &clock).await;
    let table = traces(&store);
    burst(&store, || while table.sum_up_next(&SpanIds).expect("sums up") {}).await;
    let dropped = store.stats().backlog_rows as i64;
    let (known, rest) = told(&backlog(&store).expect("rows in the log only"));
    assert!(known.len() > 5 && known.concat().len() > rest.len(), "{} parts", known.len());
    assert_eq!(known[0][0], 1);
    assert!(are_all([known.concat(), rest].concat(), dropped));

    // What is written is written in whole parts, and what is known of the others is still known.
    assert!(store.maintenance.flush_once(Reason::Pressure).await.expect("writes"));
    let (left, rest) = told(&backlog(&store).expect("still some"));
    let written = known.len() - left.len();
    assert!(written > 0 && left[..] == known[written..], "{written} parts written");
    let all = [left.concat(), rest].concat();
    assert_eq!(all.iter().min(), known[written - 1].last().map(|last| last + 1).as_ref());
    assert!(are_all(all, dropped));

    store.flush().await.expect("writes all");
    assert!(backlog(&store).is_none());
    assert!(are_all(ids(&store), SPANS) && ids(&store).len() == SPANS as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_sums_up_takes_no_more_memory_than_one_flush() {
    let (clock, folder) = (Arc::new(ManualClock::at(NOON)), tempfile::tempdir().expect("a folder"));
    let store = still(folder.path(), &clock).await;
    burst(&store, || ()).await;
    let (memory, waits) = (&store.shared.memory, traces(&store).has_leaving());
    let kept = memory.alive().saturating_sub(memory.used());
    assert!(waits && kept <= memory.chunk(), "{kept} bytes of {}", memory.chunk());
    let (known, rest) = told(&backlog(&store).expect("rows in the log only"));
    let dropped = store.stats().backlog_rows as i64;
    assert_eq!((known.len(), rest.len() as i64), (0, dropped), "nothing is known before it was summed up");
    // What found no room has no sum; the rest has.
    while traces(&store).sum_up_next(&SpanIds).expect("sums up") {}
    let (known, rest) = told(&backlog(&store).expect("rows in the log only"));
    assert!(!known.is_empty() && are_all([known.concat(), rest].concat(), dropped));
}

/// What is young is needed to assemble what is old, and not while that is encoded, which takes longer.
#[tokio::test(flavor = "multi_thread")]
async fn rows_may_leave_memory_while_older_ones_are_encoded() {
    let (clock, folder) = (Arc::new(ManualClock::at(NOON)), tempfile::tempdir().expect("a folder"));
    let meanwhile = Arc::new(BurstMeanwhile::default());
    let store = still_with(folder.path(), &clock, meanwhile.clone()).await;
    for id in 10_001..=10_150 {
        if id == 10_075 {
            clock.advance(11 * SECOND);
        }
        send(&store, &format!("{id} {id} 0 a b {id} {}", id + 7), clock.now()).await.expect("acknowledged");
    }
    let before = store.stats().backlog_rows;
    assert!(meanwhile.store.set((store.clone(), tokio::runtime::Handle::current())).is_ok());
    assert!(store.maintenance.flush_once(Reason::Age).await.expect("writes"));
    let kept = meanwhile.kept.load(Ordering::Relaxed);
    let after = store.stats().backlog_rows;
    assert!(before == 0 && after > 150, "{before} and {after} rows left memory");
    assert!(kept > 0 && kept <= store.shared.memory.chunk(), "{kept} bytes of {}", store.shared.memory.chunk());
}
