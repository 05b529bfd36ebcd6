//! What is hindered for a while is done later, keeps nobody else from being served, and is not taken for damage.

use std::path::PathBuf;

use model::time::MINUTE;

use super::*;
use crate::folder::of_tenant;
use crate::store::Shared;

/// Sorts before the others, so its tables have their turn first.
fn first_tenant() -> Tenant {
    Tenant::new("a").expect("valid")
}

async fn send_as(store: &Store, tenant: &Tenant, lines: &str) {
    let payload = Payload {
        tenant: tenant.clone(),
        signal: Signal::Traces,
        format: Format::Protobuf,
        encoding: Encoding::Identity,
        received: store.shared.clock.now(),
        body: Bytes::copy_from_slice(lines.as_bytes()),
    };
    let Decoded { rows, hash, .. } = LineDecoder.decode(&payload).expect("decodes");
    store.append(Batch { payload, rows, hash }).await.expect("stored");
}

/// A store that does only what it is asked for, with a log of small segments.
async fn still(root: &Path, clock: &Arc<ManualClock>, settings: Settings) -> Store {
    let folder = Folder::open(root).expect("a folder");
    let media = Media::of(&folder).expect("opens");
    let media = Media { segment_bytes: 1_200, makes_ahead: false, steady: clock.clone(), ..media };
    let (decoder, summarize) = (Arc::new(LineDecoder), Arc::new(SpanIds));
    let opened = recover::open_on(folder, media, settings, clock.clone(), decoder, summarize).await;
    let shared = Arc::new(opened.expect("opens").0);
    Store { maintenance: Arc::new(Maintenance::idle(shared.clone())), shared }
}

fn rows_in_files(store: &Store, tenant: &Tenant) -> u64 {
    let table = store.snapshot(tenant).expect("a snapshot").table(Signal::Traces).clone();
    table.files.iter().map(|file| file.rows).sum()
}

fn files_of(store: &Store, tenant: &Tenant) -> usize {
    store.snapshot(tenant).expect("a snapshot").table(Signal::Traces).files.len()
}

/// Which tables are said to be hindered, for how many seconds, and whether the reason names the table.
fn told(store: &Store) -> Vec<(String, &'static str, f64, bool)> {
    let tables = store.stats().tables.into_iter();
    let told = tables.filter_map(|table| table.hindered.map(|hindered| (table.tenant, table.name, hindered)));
    told.map(|(tenant, name, why)| (tenant, name, why.for_s, why.why.contains("tenants/a/tables/spans"))).collect()
}

/// Takes the name of the commit that comes `nth` next, so that the store cannot have it until it is removed.
fn take_commit(folder: &Path, shared: &Shared, tenant: &Tenant, nth: u64) -> PathBuf {
    let version = shared.tables(tenant).of(Signal::Traces).version().map_or(0, |version| version + 1) + nth;
    let log = folder.join(of_tenant(tenant, "tables/spans/_delta_log").as_ref());
    let taken = log.join(format!("{version:020}.json"));
    std::fs::create_dir_all(&taken).expect("made");
    taken
}

/// Makes reading a file fail, as when the disk does not answer; returns what undoes it.
fn make_unreadable(file: PathBuf) -> impl FnOnce() {
    let kept = file.with_extension("kept");
    std::fs::rename(&file, &kept).expect("renamed");
    std::os::unix::fs::symlink(&file, &file).expect("a link to itself");
    move || std::fs::rename(&kept, &file).expect("back again")
}

/// A trace whose second span came so late that its file has been merged by itself, and is due to be taken up.
async fn with_a_late_span() -> Bench {
    let bench = Bench::new().await;
    bench.send("1 11 0 gateway GET 0 100\n2 21 0 other GET 0 9").await.expect("stored");
    bench.clock.advance(20 * SECOND);
    bench.store.flush().await.expect("flushed");
    bench.clock.advance(300 * SECOND);
    bench.send("1 12 11 shop read 10 60").await.expect("a late span is stored");
    bench.clock.advance(25 * SECOND);
    bench.store.flush().await.expect("flushed");
    bench.store.tidy().await.expect("merged");
    assert_eq!(found(&bench.store)[&11], [Some((100, 100))], "not yet");
    bench.clock.advance(60 * SECOND);
    bench
}

async fn is_corrected_later(bench: &Bench, undo: impl FnOnce()) {
    assert_eq!(bench.store.tidy().await.expect_err("hindered").kind, Kind::Unavailable);
    undo();
    bench.clock.advance(MINUTE);
    bench.store.tidy().await.expect("corrected");
    let after = found(&bench.store);
    // By hand: the shop's 50 are the gateway's no more.
    assert_eq!((&after[&11], &after[&12]), (&vec![Some((50, 50))], &vec![Some((50, 50))]));
    assert_eq!(ids(&bench.store), [11, 12, 21]);
    assert_eq!(bench.store.stats().damage, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn late_spans_that_could_not_be_written_are_taken_up_again() {
    // The first of two files cannot be replaced, or the second.
    for nth in [0, 1] {
        let bench = with_a_late_span().await;
        let taken = take_commit(bench.folder.path(), &bench.store.shared, &Tenant::default(), nth);
        is_corrected_later(&bench, || std::fs::remove_dir(&taken).expect("removed")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_spans_whose_files_could_not_be_read_are_taken_up_again() {
    for is_late in [true, false] {
        let bench = with_a_late_span().await;
        let table = bench.store.snapshot(&Tenant::default()).expect("a snapshot").table(Signal::Traces).clone();
        let file = table.files.iter().find(|file| (file.unassembled > 0) == is_late).expect("two files");
        is_corrected_later(&bench, make_unreadable(bench.folder.path().join(&file.path))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_for_a_moment_is_no_damage_and_keeps_no_other_from_being_merged() {
    let bench = Bench::of_files(16).await;
    bench.clock.advance(60 * SECOND);
    let table = bench.store.snapshot(&Tenant::default()).expect("a snapshot").table(Signal::Traces).clone();
    let hindered = table.files.iter().min_by_key(|f| f.min_received).expect("16").path.clone();
    let undo = make_unreadable(bench.folder.path().join(&hindered));
    let error = bench.store.tidy().await.expect_err("hindered");
    assert!(error.kind == Kind::Unavailable && error.message.contains(&hindered), "{error}");
    bench.store.tidy().await.expect("the others are merged");
    let left = files(&bench.store);
    assert!(left < 16, "{left}");
    assert_eq!(bench.store.stats().damage, Vec::<String>::new());
    undo();
    bench.clock.advance(MINUTE);
    bench.store.tidy().await.expect("tidied");
    assert_eq!(ids(&bench.store), (1..=16).collect::<Vec<_>>());
    assert_eq!(bench.store.stats().damage, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_be_written_keeps_no_other_from_it_and_its_rows_stay_in_the_log() {
    let (clock, folder) = (Arc::new(ManualClock::at(NOON)), tempfile::tempdir().expect("a folder"));
    let store = still(folder.path(), &clock, settings()).await;
    let (hindered, other) = (first_tenant(), Tenant::default());
    send_as(&store, &other, TRACE).await;
    store.flush().await.expect("flushed");
    send_as(&store, &hindered, TRACE).await;
    for id in 1..=40 {
        send_as(&store, &other, &format!("{id} {id}00 0 a b 1 2")).await;
    }
    let taken = take_commit(folder.path(), &store.shared, &hindered, 0);
    clock.advance(20 * SECOND);
    assert_eq!(told(&store), []);
    for seconds in [0, 90] {
        clock.advance(seconds * SECOND);
        assert_eq!(store.flush().await.expect_err("hindered").kind, Kind::Unavailable);
        assert_eq!((rows_in_files(&store, &hindered), rows_in_files(&store, &other)), (0, 42));
        assert_eq!(told(&store), [("a".to_owned(), "spans", seconds as f64, true)]);
    }
    assert!(store.stats().wal.oldest_seq.is_some_and(|oldest| oldest <= 3), "the log keeps what is in no file");
    let copy = tempfile::tempdir().expect("a folder");
    copy_all(folder.path(), copy.path());
    let recovered = open(copy.path(), &clock).await.expect("recovers");
    assert_eq!((recovered.stats().memory_rows, ids(&recovered).len()), (2, 42));

    std::fs::remove_dir(taken).expect("removed");
    store.flush().await.expect("flushed");
    assert_eq!(told(&store), []);
    send_as(&store, &other, "41 4100 0 a b 1 2").await;
    store.flush().await.expect("flushed");
    assert_eq!((rows_in_files(&store, &hindered), rows_in_files(&store, &other)), (2, 43));
    assert!(store.stats().wal.oldest_seq.is_none_or(|oldest| oldest > 3), "and no longer");
}

/// A machine began with a wrong clock, which was set right later.
#[tokio::test(flavor = "multi_thread")]
async fn rows_from_a_clock_that_was_ahead_are_written_and_merged_when_they_are_due() {
    let (clock, folder) = (Arc::new(ManualClock::at(NOON)), tempfile::tempdir().expect("a folder"));
    let (store, tenant) = (still(folder.path(), &clock, settings()).await, Tenant::default());
    for id in 1..=8 {
        clock.advance(365 * DAY);
        send_as(&store, &tenant, &format!("{id} {id} 0 a b 1 2")).await;
        clock.advance(-365 * DAY);
        send_as(&store, &tenant, &format!("9{id} 9{id} 0 a b 1 2")).await;
        store.maintenance.flush_due().await.expect("flushed");
        assert_eq!(rows_in_files(&store, &tenant), 2 * id - 1, "the young one is held");
        clock.advance(20 * SECOND);
        store.maintenance.flush_due().await.expect("flushed");
        assert_eq!(rows_in_files(&store, &tenant), 2 * id);
    }
    store.tidy().await.expect("merged");
    let found = found(&store);
    assert!(found.len() == 16 && found.values().all(|rows| rows == &[Some((1, 1))]), "all are assembled: {found:?}");
}

/// What a table cannot write fills memory, and goes from there to the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_has_filled_memory_keeps_no_other_from_being_written_when_it_is_due() {
    let (clock, folder) = (Arc::new(ManualClock::at(NOON)), tempfile::tempdir().expect("a folder"));
    let settings = Settings { memory_bytes: 8 << 20, ..settings() };
    let store = still(folder.path(), &clock, settings).await;
    let (hindered, other) = (first_tenant(), Tenant::default());
    send_as(&store, &other, TRACE).await;
    let mut id = 0;
    while store.stats().backlog_rows == 0 {
        id += 1;
        send_as(&store, &hindered, &format!("{id} {id} 0 a b 1 2")).await;
    }
    let taken = take_commit(folder.path(), &store.shared, &hindered, 0);
    clock.advance(20 * SECOND);
    send_as(&store, &other, "2 21 0 a b 0 1").await;
    assert_eq!(store.maintenance.flush_due().await.expect_err("hindered").kind, Kind::Unavailable);
    assert_eq!((rows_in_files(&store, &hindered), rows_in_files(&store, &other)), (0, 2), "the young one is held");
    std::fs::remove_dir(taken).expect("removed");
    store.flush().await.expect("flushed");
    assert_eq!((rows_in_files(&store, &hindered), rows_in_files(&store, &other)), (id, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_be_committed_keeps_no_other_from_being_merged_and_expired() {
    let bench = Bench::new().await;
    let (hindered, other) = (first_tenant(), Tenant::default());
    for id in 1..=8 {
        for tenant in [&hindered, &other] {
            send_as(&bench.store, tenant, &format!("{id} {id} 0 a b {id} {}", id + 1)).await;
        }
        bench.clock.advance(SECOND);
        bench.store.flush().await.expect("flushed");
    }
    bench.clock.advance(60 * SECOND);
    let taken = take_commit(bench.folder.path(), &bench.store.shared, &hindered, 0);
    let left = || (files_of(&bench.store, &hindered), files_of(&bench.store, &other));
    for (after, expected) in [(0, (8, 1)), (400 * DAY, (8, 0))] {
        bench.clock.advance(after);
        assert_eq!(bench.store.tidy().await.expect_err("hindered").kind, Kind::Unavailable);
        assert_eq!(left(), expected);
    }
    std::fs::remove_dir(taken).expect("removed");
    bench.store.tidy().await.expect("tidied");
    assert_eq!(left(), (0, 0));
}

/// Readers that know only the day of a file leave out the others.
#[tokio::test(flavor = "multi_thread")]
async fn small_exports_from_both_sides_of_midnight_are_written_to_the_file_of_their_day() {
    let bench = Bench::new().await;
    bench.clock.advance(14 * 60 * MINUTE - 300 * SECOND);
    for id in 1..=600 {
        bench.send(&format!("{id} {id} 0 a b 0 7")).await.expect("stored");
        bench.clock.advance(SECOND);
    }
    join_small(&bench.store);
    let snapshot = bench.store.snapshot(&Tenant::default()).expect("a snapshot");
    assert!(snapshot.table(Signal::Traces).batches() < 10, "they are joined within a day");
    bench.store.flush().await.expect("flushed");
    let snapshot = bench.store.snapshot(&Tenant::default()).expect("a snapshot");
    let mut told: Vec<(Option<String>, u64)> = Vec::new();
    for file in snapshot.table(Signal::Traces).files.iter() {
        let rows = file_reader::decode(
            Signal::Traces,
            std::fs::read(bench.folder.path().join(&file.path)).expect("there").into(),
        );
        for rows in rows.expect("readable") {
            let received = rows.column_by_name(column::RECEIVED).expect("there").as_primitive::<Int64Type>();
            let day = |at: &Nanos| file.path.contains(&format!("received_date={}", crate::delta::day(*at)));
            assert!(received.values().iter().all(day), "{}", file.path);
        }
        told.push((file.add.partition_values.get("received_date").cloned().flatten(), file.rows));
    }
    told.sort();
    assert_eq!(told, [(Some("2026-11-22".to_owned()), 300), (Some("2026-11-23".to_owned()), 300)]);
    assert_eq!(ids(&bench.store), (1..=600).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_has_lost_its_marker_is_refused_and_left_as_it_is() {
    let bench = Bench::new().await;
    bench.send(TRACE).await.expect("stored");
    bench.store.flush().await.expect("flushed");
    send_as(&bench.store, &first_tenant(), TRACE).await;
    bench.store.flush().await.expect("flushed");
    // With the log and the tables, and with one of them only.
    for gone in [&[][..], &["wal"], &["tables", "tenants"], &["wal", "tables"]] {
        let copy = tempfile::tempdir().expect("a folder");
        copy_all(bench.folder.path(), copy.path());
        std::fs::remove_file(copy.path().join("format.json")).expect("removed");
        for name in gone {
            std::fs::remove_dir_all(copy.path().join(name)).expect("removed");
        }
        let error = open(copy.path(), &bench.clock).await.err().expect("refused");
        assert!(error.kind == Kind::Corrupt && error.message.contains("format.json is missing"), "{error}");
        let hint = error.hint.expect("a hint");
        assert!(hint.contains(r#"{"format":1,"store_id":"ID"}"#) && hint.contains("backup"), "{hint}");
        assert!(!copy.path().join("format.json").exists());
        let findings = check(copy.path(), bench.clock.clone()).await.expect("checked");
        assert!(findings.iter().any(|f| !f.ok && f.detail.contains("format.json is missing")), "{findings:?}");
    }
    // What the hint says is enough to have all of it back, once.
    let copy = tempfile::tempdir().expect("a folder");
    copy_all(bench.folder.path(), copy.path());
    let commit = copy.path().join("tables/spans/_delta_log/00000000000000000000.json");
    let text = std::fs::read_to_string(commit).expect("readable");
    let (_, id) = text.split_once(r#""appId":"hotspan-"#).expect("an application");
    let id = &id[..id.find('"').expect("an end")];
    std::fs::write(copy.path().join("format.json"), format!(r#"{{"format":1,"store_id":"{id}"}}"#)).expect("written");
    assert_eq!(ids(&open(copy.path(), &bench.clock).await.expect("opens")), [11, 12]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_anything_of_a_store_is_begun() {
    let (clock, folder) = (Arc::new(ManualClock::at(NOON)), tempfile::tempdir().expect("a folder"));
    for name in ["wal/lost+found", "tables/spans/_delta_log", "tenants/other/tables", "tmp", "spill"] {
        std::fs::create_dir_all(folder.path().join(name)).expect("made");
    }
    for name in ["format.json.new", "spill/1", "tmp/1"] {
        std::fs::write(folder.path().join(name), "{").expect("written");
    }
    let store = open(folder.path(), &clock).await.expect("opens");
    send(&store, TRACE, NOON).await.expect("stored");
    assert_eq!(ids(&store), [11, 12]);
}
