//! What must not stop the store for good: a log that is full, a summary that panics, a file that cannot be read.

use object_store::ObjectStoreExt;

use super::*;
use crate::flush::Reason;
use crate::maintain::{check_limits, still_refused};

/// A store with a log of a few records, which does only what it is asked for.
async fn with_small_log(root: &Path, clock: &Arc<ManualClock>) -> Store {
    let folder = Folder::open(root).expect("a folder");
    let media = Media::of(&folder).expect("opens");
    let media = Media { segment_bytes: 1_200, makes_ahead: false, steady: clock.clone(), ..media };
    let settings = Settings { wal_bytes: 4_000, ..settings() };
    let opened =
        recover::open_on(folder, media, settings, clock.clone(), Arc::new(LineDecoder), Arc::new(SpanIds)).await;
    let shared = Arc::new(opened.expect("opens").0);
    Store { maintenance: Arc::new(Maintenance::idle(shared.clone())), shared }
}

/// Appends spans from this id on until not even the smallest export is taken; returns the next id.
async fn fill(store: &Store, mut id: i64) -> i64 {
    let now = store.shared.clock.now();
    loop {
        match send(store, &format!("{id} {id} 0 a b 1 2"), now).await {
            Ok(_) => id += 1,
            Err(error) => {
                assert!(matches!(error.kind, Kind::Overloaded { .. }), "{error}");
                return id;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_log_is_emptied_by_writing_what_it_holds() {
    let (clock, folder) = (Arc::new(ManualClock::at(NOON)), tempfile::tempdir().expect("a folder"));
    let store = with_small_log(folder.path(), &clock).await;
    let next = fill(&store, 1).await;
    store.flush().await.expect("written and trimmed");
    assert!(fill(&store, next).await > next, "there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_log_is_told_as_the_reason_until_it_is_trimmed() {
    let (clock, folder) = (Arc::new(ManualClock::at(NOON)), tempfile::tempdir().expect("a folder"));
    let store = with_small_log(folder.path(), &clock).await;
    let refusing = || {
        check_limits(&store.shared);
        store.refusing()
    };
    assert_eq!(refusing(), None);
    let next = fill(&store, 1).await;
    let told = refusing().expect("a reason");
    assert!(told.contains("log is full"), "{told}");
    assert_eq!(refusing().as_ref(), Some(&told), "as long as it is full");
    store.flush().await.expect("written and trimmed");
    assert_eq!(refusing(), None);
    assert!(fill(&store, next).await > next, "there is room again");
}

#[test]
fn a_log_that_has_stopped_is_a_reason_before_anybody_asks_it() {
    let stopped = wal::Stats { failed: Some("the disk is gone".to_owned()), ..wal::Stats::default() };
    let told = still_refused(None, &stopped).expect("a reason").error.to_string();
    assert_eq!(told, "the write-ahead log has stopped: the disk is gone");
    assert!(still_refused(None, &wal::Stats::default()).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_log_whose_rows_are_all_written_is_emptied_after_a_start() {
    let (clock, folder) = (Arc::new(ManualClock::at(NOON)), tempfile::tempdir().expect("a folder"));
    let store = with_small_log(folder.path(), &clock).await;
    let next = fill(&store, 1).await;
    let full = tempfile::tempdir().expect("a folder");
    copy_all(&folder.path().join("wal"), full.path());
    store.flush().await.expect("written and trimmed");
    // The tables of after the flush, with the log of before: an earlier process ended, or failed to trim.
    let copy = tempfile::tempdir().expect("a folder");
    copy_all(folder.path(), copy.path());
    std::fs::remove_dir_all(copy.path().join("wal")).expect("removed");
    std::fs::create_dir(copy.path().join("wal")).expect("made");
    copy_all(full.path(), &copy.path().join("wal"));

    let again = with_small_log(copy.path(), &clock).await;
    assert_eq!((again.stats().memory_rows, fill(&again, next).await), (0, next), "full, and nothing to write");
    again.flush().await.expect("trimmed");
    let end = fill(&again, next).await;
    assert!(end > next, "there is room again");
    assert_eq!(ids(&again), (1..end).collect::<Vec<_>>());
}

/// Panics at rows of this id.
#[derive(Debug)]
struct Fragile(i64);

impl Summarize for Fragile {
    fn begin(&self, _: Expected) -> Option<Box<dyn Summary>> {
        Some(Box::new(Fragile(self.0)))
    }
}

impl Summary for Fragile {
    fn add(&mut self, rows: &RecordBatch) -> Result<()> {
        assert!(span_ids(rows).all(|id| id != self.0), "this summary cannot count");
        Ok(())
    }

    fn finish(self: Box<Self>) -> Option<Vec<u8>> {
        Some(vec![7])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_that_panics_costs_the_summary_and_no_row() {
    let (clock, folder) = (Arc::new(ManualClock::at(NOON)), tempfile::tempdir().expect("a folder"));
    let opened =
        Store::open(folder.path(), settings(), clock.clone(), Arc::new(LineDecoder), Arc::new(Fragile(12))).await;
    let store = opened.expect("opens").0;
    for lines in ["1 11 0 a b 0 1", TRACE] {
        send(&store, lines, NOON).await.expect("stored");
        store.flush().await.expect("flushed");
    }
    let snapshot = store.snapshot(&Tenant::default()).expect("a snapshot");
    let mut told: Vec<(u64, Option<Bytes>)> = Vec::new();
    for file in snapshot.table(Signal::Traces).files.iter() {
        told.push((file.rows, summary::read(snapshot.objects.as_ref(), file).await.expect("readable")));
    }
    told.sort();
    assert_eq!(told, [(1, Some(Bytes::from_static(&[7]))), (2, None)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_keeps_no_other_from_being_merged_or_expired() {
    let bench = Bench::of_files(16).await;
    let table = || bench.store.snapshot(&Tenant::default()).expect("a snapshot");
    let bad = table().table(Signal::Traces).files.iter().min_by_key(|f| f.min_received).expect("16").path.clone();
    table().objects.put(&bad.as_str().into(), Bytes::from_static(b"rotten").into()).await.expect("overwritten");
    bench.clock.advance(60 * SECOND);
    bench.store.tidy().await.expect("tidied");
    let left: Vec<(u64, bool)> = table().table(Signal::Traces).files.iter().map(|f| (f.rows, f.path == bad)).collect();
    assert_eq!(left.iter().map(|(rows, _)| rows).sum::<u64>(), 16, "{left:?}");
    assert!(left.len() < 16 && left.contains(&(1, true)), "the others were merged: {left:?}");
    assert!(bench.store.stats().damage.iter().any(|text| text.contains(&bad)), "and it is named");

    bench.clock.advance(400 * DAY);
    bench.store.tidy().await.expect("tidied");
    assert_eq!(files(&bench.store), 0);
}

/// While rows are being written, newer ones leave memory; when that failed, the oldest are next again.
#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_rows_leave_memory_first_also_after_a_write_that_failed() {
    let (clock, folder) = (Arc::new(ManualClock::at(NOON)), tempfile::tempdir().expect("a folder"));
    let settings = Settings { memory_bytes: 8 << 20, ..settings() };
    let opened = recover::open(folder.path(), settings, clock.clone(), Arc::new(LineDecoder), Arc::new(SpanIds)).await;
    let shared = Arc::new(opened.expect("opens").0);
    let store = Store { maintenance: Arc::new(Maintenance::idle(shared.clone())), shared };
    let table = store.shared.tables(&Tenant::default()).of(Signal::Traces).clone();
    let gone = || {
        let log = &store.shared.log;
        let backlog = table.snapshot(log).backlog;
        backlog.map_or(0, |backlog| backlog.rows())
    };
    let mut id = 0;
    while gone() == 0 {
        id += 1;
        send(&store, &format!("{id} {id} 0 a b 1 2"), NOON).await.expect("stored");
    }
    let (full, before) = (id, gone());
    let part = table.part(u64::MAX, Reason::Everything, NOON).expect("a part").expect("rows");
    assert_eq!(part.held.len() as i64, full);
    for _ in 0..100 {
        id += 1;
        send(&store, &format!("{id} {id} 0 a b 1 2"), NOON).await.expect("stored");
    }
    let busy = gone() - before;
    assert!(busy > 0 && busy < 100, "of the new ones, all but the newest: {busy}");
    let is_gone = |at: usize| table.part(u64::MAX, Reason::Everything, NOON).unwrap().unwrap().held[at].batch.is_none();
    assert!(!is_gone(before as usize), "what is being written stays");
    table.give_up();
    id += 1;
    send(&store, &format!("{id} {id} 0 a b 1 2"), NOON).await.expect("stored");
    assert!(is_gone(before as usize), "the oldest in memory is next");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_files_whose_log_is_gone_are_moved_and_told_not_deleted() {
    let bench = Bench::new().await;
    for id in 1..=20 {
        bench.send(&format!("{id} {id} 0 a b {id} {}", id + 1)).await.expect("stored");
        bench.store.flush().await.expect("flushed");
    }
    let root = tempfile::tempdir().expect("a folder");
    copy_all(bench.folder.path(), root.path());
    let table = root.path().join("tables/spans");
    std::fs::remove_dir_all(table.join("_delta_log")).expect("removed");
    for _ in 0..2 {
        let store = open(root.path(), &bench.clock).await.expect("opens");
        send(&store, "1 21 0 a b 1 2", NOON).await.expect("stored");
        store.close().await.expect("closed");
        let days = std::fs::read_dir(table.join("_without_log")).expect("there").map(|day| day.expect("a day").path());
        assert_eq!(days.map(|day| std::fs::read_dir(day).expect("files").count()).sum::<usize>(), 20);
    }
    std::fs::remove_dir_all(table.join("_delta_log")).expect("removed");
    let store = open(root.path(), &bench.clock).await.expect("opens");
    assert_eq!(store.stats().damage, Vec::<String>::new(), "one file may be what a crash left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_about_an_unknown_tenant_leaves_nothing_behind() {
    let bench = Bench::new().await;
    let before = bench.store.stats().tables.len();
    for number in 0..10 {
        let tenant = Tenant::new(&format!("guess-{number}")).expect("a name");
        let snapshot = bench.store.snapshot(&tenant).expect("a snapshot");
        assert_eq!(snapshot.table(Signal::Traces).files.len(), 0);
    }
    assert_eq!(bench.store.stats().tables.len(), before);
}
