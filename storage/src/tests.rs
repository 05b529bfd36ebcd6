//! The store as its callers see it, in every state its rows can be in: in memory, flushed, compacted, reopened, and
//! recovered from a crash. A crash is a copy of the folder taken while the store runs: what a kill leaves behind.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryBuilder, Int64Array, RecordBatch, StringViewArray, new_null_array,
};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use model::schema::column;
use model::time::{DAY, SECOND};
use model::{
    Batch, Clock, Decoded, Decoder, Encoding, Error, Format, Ingest, Kind, ManualClock, Nanos, Payload, Result, Signal,
    Tenant,
};

use crate::folder::Folder;
use crate::maintain::Maintenance;
use crate::recover::{self, Media};
use crate::{Expected, Settings, Source, Store, Summarize, Summary, check, file_reader, summary};

mod assembled;
mod clock;
mod copies;
mod ends;
mod hindered;
mod leaving;
mod replay;
mod scrub;
mod space;
mod trouble;

/// 2026-11-22 10:00 UTC.
pub(crate) const NOON: Nanos = 1_795_341_600 * SECOND;

/// Reads a body of lines `trace span parent service name start end`, small numbers all, parent 0 for none. As logs they
/// are records of those spans.
pub(crate) struct LineDecoder;

impl Decoder for LineDecoder {
    fn decode(&self, payload: &Payload) -> Result<Decoded> {
        let text = std::str::from_utf8(&payload.body).map_err(|e| Error::invalid(e.to_string()))?;
        let rows: Vec<Vec<&str>> = text.lines().map(|l| l.split(' ').collect()).collect();
        let rows = match payload.signal {
            Signal::Traces => spans(&rows, payload.received),
            Signal::Metrics | Signal::Logs => logs(&rows, payload.received),
        };
        let hash = xxhash_rust::xxh3::xxh3_128(&payload.body);
        Ok(Decoded { rows, rejected: 0, notes: vec![], reasons: vec![], hash, decoded_bytes: payload.body.len() })
    }
}

fn number(row: &[&str], at: usize) -> i64 {
    row[at].parse().expect("a number")
}

/// The numbers at `at` as ids of `len` bytes.
fn numbered(rows: &[Vec<&str>], at: usize, len: i32) -> ArrayRef {
    let mut ids = FixedSizeBinaryBuilder::new(len);
    for row in rows {
        let mut bytes = vec![0; len as usize];
        bytes[len as usize - 8..].copy_from_slice(&number(row, at).to_be_bytes());
        match number(row, at) {
            0 => ids.append_null(),
            _ => ids.append_value(&bytes).expect("the right length"),
        }
    }
    Arc::new(ids.finish())
}

pub fn zeros(width: i32, rows: usize) -> ArrayRef {
    let mut ids = FixedSizeBinaryBuilder::new(width);
    (0..rows).for_each(|_| ids.append_value(vec![0; width as usize]).expect("the right length"));
    Arc::new(ids.finish())
}

fn logs(rows: &[Vec<&str>], received: Nanos) -> RecordBatch {
    let ints = |f: &dyn Fn(&[&str]) -> i64| -> ArrayRef { Arc::new(rows.iter().map(|r| f(r)).collect::<Int64Array>()) };
    let schema = model::schema::schema(Signal::Logs);
    let columns = schema.fields().iter().map(|field| match field.name().as_str() {
        column::SPAN_ID => numbered(rows, 1, 8),
        column::TIME => ints(&|r| number(r, 5)),
        column::RECEIVED => ints(&|_| received),
        _ => new_null_array(field.data_type(), rows.len()),
    });
    RecordBatch::try_new(schema.clone(), columns.collect()).expect("the physical schema")
}

fn spans(rows: &[Vec<&str>], received: Nanos) -> RecordBatch {
    let id = |at: usize, len: i32| numbered(rows, at, len);
    let ints =
        |f: &dyn Fn(&[&str]) -> i64| -> ArrayRef { Arc::new(rows.iter().map(|r| Some(f(r))).collect::<Int64Array>()) };
    let texts = |f: &dyn Fn(&[&str]) -> String| -> ArrayRef {
        Arc::new(rows.iter().map(|r| Some(f(r))).collect::<StringViewArray>())
    };
    let schema = model::schema::schema(Signal::Traces);
    let columns = schema.fields().iter().map(|field| match field.name().as_str() {
        column::TRACE_ID => id(0, 16),
        column::SPAN_ID => id(1, 8),
        column::PARENT_SPAN_ID => id(2, 8),
        column::SERVICE_NAME => texts(&|r| r[3].to_owned()),
        column::NAME => texts(&|r| r[4].to_owned()),
        column::KIND => texts(&|_| "SERVER".to_owned()),
        column::START => ints(&|r| number(r, 5)),
        column::END => ints(&|r| number(r, 6)),
        column::DURATION => ints(&|r| (number(r, 6) - number(r, 5)).max(0)),
        column::RECEIVED => ints(&|_| received),
        _ => new_null_array(field.data_type(), rows.len()),
    });
    RecordBatch::try_new(schema.clone(), columns.collect()).expect("the physical schema")
}

struct Bench {
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
    store: Store,
}

fn settings() -> Settings {
    // The loop of its own never has anything to do within a test: flushing is called for.
    Settings { flush_seconds: 60.0, min_free_bytes: 0, ..Settings::default() }
}

async fn open(root: &Path, clock: &Arc<ManualClock>) -> Result<Store> {
    open_with(root, clock, settings()).await
}

async fn open_with(root: &Path, clock: &Arc<ManualClock>, settings: Settings) -> Result<Store> {
    open_by(root, clock, clock, settings).await
}

/// With a steady clock of its own, beside which the wall clock can jump.
async fn open_by(
    root: &Path,
    clock: &Arc<ManualClock>,
    steady: &Arc<ManualClock>,
    settings: Settings,
) -> Result<Store> {
    let folder = Folder::open(root)?;
    let media = Media { steady: steady.clone(), ..Media::of(&folder)? };
    let (decoder, summarize) = (Arc::new(LineDecoder), Arc::new(SpanIds));
    let (shared, _) = recover::open_on(folder, media, settings, clock.clone(), decoder, summarize).await?;
    let shared = Arc::new(shared);
    Ok(Store { maintenance: Arc::new(Maintenance::start(shared.clone())), shared })
}

impl Bench {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::at(NOON));
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(folder.path(), &clock).await.expect("opens");
        Bench { clock, folder, store }
    }

    /// With so many files of a span each, received a second apart.
    async fn of_files(count: u32) -> Self {
        let bench = Bench::new().await;
        for id in 1..=count {
            bench.send(&format!("{id} {id} 0 a b {id} {}", id + 1)).await.expect("stored");
            bench.clock.advance(SECOND);
            bench.store.flush().await.expect("flushed");
        }
        bench
    }

    async fn send(&self, lines: &str) -> Result<bool> {
        send(&self.store, lines, self.clock.now()).await
    }

    /// What a kill at this moment would leave: a copy of the folder, opened anew.
    async fn crashed(&self) -> (tempfile::TempDir, Store) {
        let copy = tempfile::tempdir().expect("a folder");
        copy_all(self.folder.path(), copy.path());
        let store = open(copy.path(), &self.clock).await.expect("recovers");
        (copy, store)
    }
}

pub(crate) async fn send(store: &Store, lines: &str, received: Nanos) -> Result<bool> {
    let payload = Payload {
        tenant: Tenant::default(),
        signal: Signal::Traces,
        format: Format::Protobuf,
        encoding: Encoding::Identity,
        received,
        body: Bytes::copy_from_slice(lines.as_bytes()),
    };
    let Decoded { rows, hash, .. } = LineDecoder.decode(&payload)?;
    Ok(store.append(Batch { payload, rows, hash }).await?.duplicate)
}

/// The store's own task may have joined some at this moment, and then what is joined beside it does not count: the next
/// time finds what it has left.
pub(crate) fn join_small(store: &Store) {
    for _ in 0..3 {
        crate::simulation::world::join_small(store);
    }
}

/// What a kill would leave of a folder in use, whose threads go on meanwhile. What names something is copied before
/// what it names: the log before the tables that its trims wait for, a table's commits before the files in them. A file
/// that goes before its turn is one that a kill a moment later would not have left.
fn copy_all(from: &Path, to: &Path) {
    let named = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<_> = std::fs::read_dir(from).expect("readable").map(named).collect();
    names.sort_by_key(|name| (name != "wal", name != "_delta_log", name.clone()));
    for name in names {
        let (source, target) = (from.join(&name), to.join(&name));
        if source.is_dir() {
            std::fs::create_dir_all(&target).expect("made");
            copy_all(&source, &target);
        } else if let Err(error) = std::fs::copy(source, target) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
        }
    }
}

/// Sums a file up by the ids of its spans, in their order.
#[derive(Debug)]
pub(crate) struct SpanIds;

impl Summarize for SpanIds {
    fn begin(&self, file: Expected) -> Option<Box<dyn Summary>> {
        assert!(file.rows > 0 && file.times.is_some(), "{file:?}");
        (file.signal == Signal::Traces).then(|| Box::new(IdsOf(Vec::new())) as _)
    }

    fn begin_in_log(&self, _: Expected) -> Option<(Vec<&'static str>, Box<dyn Summary>)> {
        Some((vec![column::SPAN_ID], Box::new(IdsOf(Vec::new()))))
    }
}

struct IdsOf(Vec<u8>);

impl Summary for IdsOf {
    fn add(&mut self, rows: &RecordBatch) -> Result<()> {
        self.0.extend(span_ids(rows).flat_map(i64::to_be_bytes));
        Ok(())
    }

    fn finish(self: Box<Self>) -> Option<Vec<u8>> {
        Some(self.0)
    }
}

fn span_ids(rows: &RecordBatch) -> impl Iterator<Item = i64> {
    let ids = rows.column_by_name(column::SPAN_ID).expect("there").as_fixed_size_binary();
    ids.iter().map(|id| i64::from_be_bytes(id.expect("never null").try_into().expect("8 bytes")))
}

/// Every span the store shows: its id, with its self and critical time when assembled. The summary of each file is that
/// of its rows.
fn found(store: &Store) -> BTreeMap<i64, Vec<Option<(i64, i64)>>> {
    let snapshot = store.snapshot(&Tenant::default()).expect("a snapshot");
    let table = snapshot.table(Signal::Traces);
    let memory = table.memory();
    let mut batches: Vec<RecordBatch> = memory.iter().map(|part| part.rows.unpacked().expect("unpacks")).collect();
    for part in table.backlog.iter().flat_map(|b| b.within(Nanos::MIN, Nanos::MAX, 2)) {
        let mut keep = |rows| {
            batches.push(rows);
            Ok(())
        };
        part.read(&mut keep).expect("the log has them");
    }
    for file in table.files.iter() {
        // This thread gives nothing back to the runtime between the files, which must not count against it.
        let (bytes, summary) = futures::executor::block_on(tokio::task::unconstrained(async {
            use object_store::ObjectStoreExt;
            let whole = snapshot.objects.get(&file.path.as_str().into()).await.expect("there").bytes().await;
            (whole.expect("bytes"), summary::read(snapshot.objects.as_ref(), file).await)
        }));
        let rows = file_reader::decode(Signal::Traces, bytes).expect("readable");
        let ids: Vec<u8> = rows.iter().flat_map(span_ids).flat_map(i64::to_be_bytes).collect();
        assert_eq!(summary.expect("readable").expect("every file has one"), ids, "{}", file.path);
        batches.extend(rows);
    }
    let mut out: BTreeMap<i64, Vec<_>> = BTreeMap::new();
    for batch in &batches {
        let ints = |name: &str| batch.column_by_name(name).expect("there").as_primitive::<Int64Type>().clone();
        let (own, critical) = (ints(column::SELF_TIME), ints(column::CRITICAL_PATH));
        for (row, id) in span_ids(batch).enumerate() {
            let assembled = (!own.is_null(row)).then(|| (own.value(row), critical.value(row)));
            out.entry(id).or_default().push(assembled);
        }
    }
    out
}

pub(crate) fn ids(store: &Store) -> Vec<i64> {
    found(store).into_iter().flat_map(|(id, copies)| vec![id; copies.len()]).collect()
}

fn files(store: &Store) -> usize {
    store.snapshot(&Tenant::default()).expect("a snapshot").table(Signal::Traces).files.len()
}

const TRACE: &str = "1 11 0 gateway GET 0 100\n1 12 11 shop read 10 60";

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_row_is_there_once_in_every_state() {
    let bench = Bench::new().await;
    assert!(!bench.send(TRACE).await.expect("stored"));
    assert_eq!(ids(&bench.store), [11, 12], "in memory");
    assert_eq!(ids(&bench.crashed().await.1), [11, 12], "recovered before any flush");
    bench.clock.advance(20 * SECOND);
    bench.store.flush().await.expect("flushed");
    assert_eq!((ids(&bench.store), files(&bench.store)), (vec![11, 12], 1), "flushed");
    assert_eq!(ids(&bench.crashed().await.1), [11, 12], "recovered after the flush");
    bench.store.close().await.expect("closed");
    assert_eq!(bench.send("2 21 0 a b 0 1").await.expect_err("closed").kind, Kind::Unavailable);
    let Bench { folder, clock, store } = bench;
    drop(store);
    let again = open(folder.path(), &clock).await.expect("opens again");
    assert_eq!(ids(&again), [11, 12], "reopened");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_trace_is_assembled_when_flushed() {
    let bench = Bench::new().await;
    bench.send(TRACE).await.expect("stored");
    bench.clock.advance(20 * SECOND);
    bench.store.flush().await.expect("flushed");
    let found = found(&bench.store);
    // By hand: the gateway works 0-10 and 60-100, the shop 10-60, and each is all there is on the critical path.
    assert_eq!(found[&11], [Some((50, 50))]);
    assert_eq!(found[&12], [Some((50, 50))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resend_adds_nothing_also_after_flush_and_crash() {
    let bench = Bench::new().await;
    assert!(!bench.send(TRACE).await.expect("stored"));
    assert!(bench.send(TRACE).await.expect("known"));
    bench.clock.advance(20 * SECOND);
    bench.store.flush().await.expect("flushed and trimmed");
    assert!(bench.send(TRACE).await.expect("known"));
    let (_copy, recovered) = bench.crashed().await;
    assert!(send(&recovered, TRACE, NOON + 30 * SECOND).await.expect("known after a crash"));
    assert_eq!(ids(&recovered), [11, 12]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_commit_and_trim_doubles_nothing() {
    let bench = Bench::new().await;
    bench.send(TRACE).await.expect("stored");
    let before = tempfile::tempdir().expect("a folder");
    copy_all(&bench.folder.path().join("wal"), before.path());
    bench.store.flush().await.expect("flushed");
    // The tables of after the commit with the log of before the trim.
    let copy = tempfile::tempdir().expect("a folder");
    copy_all(bench.folder.path(), copy.path());
    std::fs::remove_dir_all(copy.path().join("wal")).expect("removed");
    std::fs::create_dir(copy.path().join("wal")).expect("made");
    copy_all(before.path(), &copy.path().join("wal"));
    let recovered = open(copy.path(), &bench.clock).await.expect("recovers");
    assert_eq!(ids(&recovered), [11, 12]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_upload_and_commit_leaves_no_orphan() {
    let bench = Bench::new().await;
    bench.send(TRACE).await.expect("stored");
    bench.store.flush().await.expect("flushed");
    let orphan = bench.folder.path().join("tables/spans/received_date=2026-11-22/spans-9-9.parquet");
    std::fs::write(&orphan, b"half a file").expect("written");
    let (copy, recovered) = bench.crashed().await;
    assert!(!copy.path().join("tables/spans/received_date=2026-11-22/spans-9-9.parquet").exists());
    assert_eq!(ids(&recovered), [11, 12]);
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_joins_files_and_assembles_what_was_flushed_apart() {
    let bench = Bench::new().await;
    bench.send("1 12 11 shop read 10 60").await.expect("stored");
    bench.store.flush().await.expect("flushed before its root came");
    assert_eq!(found(&bench.store)[&12], [None], "the trace was not quiet");
    bench.send("1 11 0 gateway GET 0 100").await.expect("stored");
    for other in 2..10 {
        bench.clock.advance(20 * SECOND);
        bench.store.flush().await.expect("flushed");
        bench.send(&format!("{other} {other}1 0 a b 0 7")).await.expect("stored");
    }
    bench.store.flush().await.expect("flushed");
    let before = ids(&bench.store);
    assert_eq!(files(&bench.store), 10);
    bench.store.tidy().await.expect("compacted");
    assert_eq!(files(&bench.store), 3, "the first assembled by itself, eight become one, the last too young");
    assert_eq!(ids(&bench.store), before);
    let found = found(&bench.store);
    assert_eq!((&found[&11], &found[&12]), (&vec![Some((50, 50))], &vec![Some((50, 50))]));
    assert_eq!(ids(&bench.crashed().await.1), before);
    let findings = check(bench.folder.path(), bench.clock.clone()).await.expect("checked");
    assert!(findings.iter().all(|f| f.ok), "{findings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_straddles_a_flush_is_assembled_whole_on_both_sides() {
    let bench = Bench::new().await;
    bench.send("1 11 0 gateway GET 0 100").await.expect("stored");
    bench.clock.advance(8 * SECOND);
    bench.store.flush().await.expect("flushed when its trace has been quiet for 8 s");
    bench.send("1 12 11 shop read 10 60").await.expect("a late span is stored");
    bench.clock.advance(8 * SECOND);
    bench.store.flush().await.expect("flushed");
    // By hand: the shop's span is all there is from 10 to 60, whichever file its parent is in.
    assert_eq!(found(&bench.store)[&12], [Some((50, 50))]);
    let findings = check(bench.folder.path(), bench.clock.clone()).await.expect("checked");
    assert!(findings.iter().all(|f| f.ok), "{findings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_that_comes_minutes_late_corrects_its_trace() {
    let bench = Bench::new().await;
    bench.send("1 11 0 gateway GET 0 100\n2 21 0 other GET 0 9").await.expect("stored");
    bench.clock.advance(20 * SECOND);
    bench.store.flush().await.expect("flushed");
    assert_eq!(found(&bench.store)[&11], [Some((100, 100))], "all that is known");
    bench.clock.advance(300 * SECOND);
    bench.send("1 12 11 shop read 10 60").await.expect("a late span is stored");
    bench.clock.advance(20 * SECOND);
    bench.store.flush().await.expect("flushed");
    bench.clock.advance(60 * SECOND);
    bench.store.tidy().await.expect("corrected");
    let after = found(&bench.store);
    // By hand: the shop's 50 are the gateway's no more.
    assert_eq!((&after[&11], &after[&12]), (&vec![Some((50, 50))], &vec![Some((50, 50))]));
    assert_eq!(after[&21], [Some((9, 9))], "others stay as they were");
    assert_eq!(ids(&bench.store), [11, 12, 21]);
    let findings = check(bench.folder.path(), bench.clock.clone()).await.expect("checked");
    assert!(findings.iter().all(|f| f.ok), "{findings:?}");
    let files: Vec<_> = bench.store.shared.all_tables().iter().flat_map(|(_, t)| t.files().to_vec()).collect();
    assert!(files.iter().all(|f| f.unassembled == 0), "{files:?}");
}

/// Readers of Delta may take a file that one commit both removes and adds for removed.
#[tokio::test(flavor = "multi_thread")]
async fn no_commit_removes_and_adds_the_same_file() {
    let bench = Bench::new().await;
    // Parts of one trace whose root nobody sends: looked for among other files, and written again as they were.
    for part in [21, 22] {
        bench.send(&format!("1 {part} 99 shop read 10 60\n{part} {part}5 0 a b 0 7")).await.expect("stored");
        bench.clock.advance(20 * SECOND);
        bench.store.flush().await.expect("flushed");
        bench.clock.advance(60 * SECOND);
        bench.store.tidy().await.expect("tidied");
    }
    let log = bench.folder.path().join("tables/spans/_delta_log");
    for entry in std::fs::read_dir(log).expect("the log") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).unwrap_or_default();
        let actions: Vec<serde_json::Value> = text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
        let paths = |kind: &str| -> Vec<String> {
            actions.iter().filter_map(|a| a[kind]["path"].as_str().map(str::to_owned)).collect()
        };
        let (added, removed) = (paths("add"), paths("remove"));
        assert!(!added.iter().any(|path| removed.contains(path)), "{added:?} {removed:?}");
    }
    assert_eq!(ids(&bench.store), [21, 22, 215, 225]);
}

/// Makes flushes fail: a file stands where the day's folder should be.
fn obstruct(root: &Path) -> std::path::PathBuf {
    let table = root.join("tables/spans");
    std::fs::create_dir_all(&table).expect("made");
    let obstacle = table.join("received_date=2026-11-22");
    std::fs::write(&obstacle, b"in the way").expect("written");
    obstacle
}

/// A batch of one span takes more than 10 KiB with all its columns, so some hundreds do not fit into the least memory.
#[tokio::test(flavor = "multi_thread")]
async fn rows_beyond_the_memory_budget_wait_in_the_log_and_are_seen_and_written() {
    let clock = Arc::new(ManualClock::at(NOON));
    let folder = tempfile::tempdir().expect("a folder");
    let obstacle = obstruct(folder.path());
    let settings = Settings { memory_bytes: 8 << 20, ..settings() };
    let store = leaving::still(folder.path(), &clock).await;
    let mut expected = Vec::new();
    for id in 1..=1_500i64 {
        let start = if id <= 750 { 0 } else { 1_000 };
        send(&store, &format!("{id} {id} 0 a b {start} {}", start + 7), clock.now()).await.expect("acknowledged");
        expected.push(id);
    }
    let stats = store.stats();
    assert!(stats.memory_bytes <= 8 << 20, "{} bytes", stats.memory_bytes);
    assert!(stats.backlog_rows > 0, "{stats:?}");
    assert_eq!(ids(&store), expected, "all are seen");
    let early = store.snapshot(&Tenant::default()).expect("a snapshot").table(Signal::Traces).clone();
    let dropped = |least, greatest| -> u64 {
        early.backlog.iter().flat_map(|b| b.within(least, greatest, 3)).map(|b| b.rows()).sum()
    };
    assert_eq!(dropped(0, 500) + dropped(501, 2_000), stats.backlog_rows, "apart by time");
    drop(early);

    let copy = tempfile::tempdir().expect("a folder");
    copy_all(folder.path(), copy.path());
    let recovered = open_with(copy.path(), &clock, settings.clone()).await.expect("recovers within its memory");
    assert_eq!(ids(&recovered), expected, "recovered");

    std::fs::remove_file(obstacle).expect("removed");
    store.flush().await.expect("flushed");
    let stats = store.stats();
    assert_eq!((stats.memory_rows, stats.backlog_rows, stats.wal.records > 0), (0, 0, true));
    assert_eq!(ids(&store), expected, "written");
    assert!(files(&store) > 1, "in files of a bounded size");
    let findings = check(folder.path(), clock.clone()).await.expect("checked");
    assert!(findings.iter().all(|f| f.ok), "{findings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_keeps_its_part_of_the_log_while_rows_are_written_and_trimmed() {
    let clock = Arc::new(ManualClock::at(NOON));
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings { memory_bytes: 8 << 20, ..settings() };
    let obstacle = obstruct(folder.path());
    let store = open_with(folder.path(), &clock, settings).await.expect("opens");
    for id in 1..=1_200 {
        send(&store, &format!("{id} {id} 0 a b 0 7"), clock.now()).await.expect("acknowledged");
    }
    let old = store.snapshot(&Tenant::default()).expect("a snapshot");
    std::fs::remove_file(obstacle).expect("removed");
    store.flush().await.expect("flushed and trimmed, but for what the snapshot needs");
    let backlog = old.table(Signal::Traces).backlog.clone().expect("rows in the log only");
    let mut found = 0;
    let mut count = |rows: RecordBatch| {
        found += rows.num_rows() as u64;
        Ok(())
    };
    backlog.read(&mut count).expect("still there");
    assert_eq!(found, backlog.rows());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_question_still_has_are_told_apart_from_those_that_wait() {
    let bench = Bench::new().await;
    bench.send(TRACE).await.expect("stored");
    let waiting = bench.store.stats().memory_bytes;
    assert!(waiting > 0 && bench.store.stats().pinned_bytes == 0);
    let snapshot = bench.store.snapshot(&Tenant::default()).expect("a snapshot");
    bench.clock.advance(20 * SECOND);
    bench.store.flush().await.expect("flushed");
    let stats = bench.store.stats();
    assert_eq!((stats.memory_bytes, stats.pinned_bytes), (0, waiting));
    let files = snapshot.without_memory();
    drop(snapshot);
    assert_eq!((bench.store.stats().pinned_bytes, files.table(Signal::Traces).batches()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_exports_become_few_batches() {
    let clock = Arc::new(ManualClock::at(NOON));
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), &clock).await.expect("opens");
    // The store's own task may join some of them meanwhile.
    for id in 1..=1_030 {
        send(&store, &format!("{id} {id} 0 a b 0 7"), clock.now()).await.expect("acknowledged");
    }
    // One that stands alone ends the run, so that the rest is joined too.
    let large: Vec<String> = (1_031..=1_330).map(|id| format!("{id} {id} 0 a b 0 7")).collect();
    send(&store, &large.join("\n"), clock.now()).await.expect("acknowledged");
    join_small(&store);
    let snapshot = store.snapshot(&Tenant::default()).expect("a snapshot");
    assert!(snapshot.table(Signal::Traces).batches() < 20, "{}", snapshot.table(Signal::Traces).batches());
    assert_eq!(ids(&store), (1..=1_330).collect::<Vec<_>>());
    store.flush().await.expect("flushed");
    assert_eq!(ids(&store), (1..=1_330).collect::<Vec<_>>());
    assert_eq!(store.stats().memory_bytes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_past_retention_go_and_leased_files_stay_readable() {
    let bench = Bench::new().await;
    bench.send(TRACE).await.expect("stored");
    bench.store.flush().await.expect("flushed");
    let lease = bench.store.snapshot(&Tenant::default()).expect("a snapshot");
    bench.clock.advance(6 * DAY);
    bench.send("2 21 0 a b 0 1").await.expect("stored");
    bench.store.flush().await.expect("flushed");
    bench.clock.advance(DAY + SECOND);
    bench.store.tidy().await.expect("expired");
    assert_eq!(ids(&bench.store), [21]);
    bench.clock.advance(DAY / 4);
    bench.store.tidy().await.expect("vacuum waits for the lease");
    let path = bench.folder.path().join(&lease.table(Signal::Traces).files[0].path);
    assert!(path.exists());
    drop(lease);
    bench.store.tidy().await.expect("vacuumed");
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_use_or_of_a_newer_format_is_refused_with_a_reason() {
    let bench = Bench::new().await;
    let error = open(bench.folder.path(), &bench.clock).await.err().expect("in use");
    assert!(error.message.contains(&format!("in use by process {}", std::process::id())), "{}", error.message);
    let copy = tempfile::tempdir().expect("a folder");
    std::fs::write(copy.path().join("format.json"), r#"{"format":99,"store_id":"x"}"#).expect("written");
    let error = open(copy.path(), &bench.clock).await.err().expect("newer");
    assert!(error.message.contains("format 99"), "{}", error.message);
    assert!(error.hint.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn check_names_a_missing_and_a_damaged_file() {
    let bench = Bench::new().await;
    for (id, what) in [(1, "kept"), (2, "damaged"), (3, "missing")] {
        bench.send(&format!("{id} {id}1 0 a {what} 0 1")).await.expect("stored");
        bench.store.flush().await.expect("flushed");
    }
    let snapshot = bench.store.snapshot(&Tenant::default()).expect("a snapshot");
    let mut paths: Vec<_> = snapshot.table(Signal::Traces).files.iter().map(|f| f.path.clone()).collect();
    paths.sort();
    let damaged = bench.folder.path().join(&paths[1]);
    let mut bytes = std::fs::read(&damaged).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&damaged, bytes).expect("written");
    std::fs::remove_file(bench.folder.path().join(&paths[2])).expect("removed");
    let findings = check(bench.folder.path(), bench.clock.clone()).await.expect("checked");
    let bad: Vec<_> = findings.iter().filter(|f| !f.ok).map(|f| f.what.clone()).collect();
    assert_eq!(bad, paths[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_kept_apart_on_disk() {
    let bench = Bench::new().await;
    bench.send(TRACE).await.expect("stored");
    let tenant = Tenant::new("other").expect("valid");
    let payload = Payload {
        tenant: tenant.clone(),
        signal: Signal::Traces,
        format: Format::Protobuf,
        encoding: Encoding::Identity,
        received: NOON,
        body: Bytes::from_static(b"7 71 0 a b 0 1"),
    };
    let Decoded { rows, hash, .. } = LineDecoder.decode(&payload).expect("decodes");
    bench.store.append(Batch { payload, rows, hash }).await.expect("stored");
    bench.store.flush().await.expect("flushed");
    assert_eq!(ids(&bench.store), [11, 12]);
    assert!(bench.folder.path().join("tenants/other/tables/spans/_delta_log").is_dir());
    let (_copy, recovered) = bench.crashed().await;
    let table = recovered.snapshot(&tenant).expect("a snapshot").table(Signal::Traces).clone();
    assert_eq!(table.rows(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_order_of_appends_flushes_merges_and_crashes_keeps_every_row_once() {
    for seed in 0..12u64 {
        let mut bench = Bench::new().await;
        let mut expected = Vec::new();
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for step in 0..60 {
            // A small xorshift: the sequence is all that matters, and the seed names it.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            match state % 10 {
                0..=5 => {
                    let id = 1_000 + step;
                    bench.send(&format!("{} {id} 0 s n 0 5", 1 + step % 4)).await.expect("stored");
                    expected.push(id);
                }
                6 | 7 => bench.store.flush().await.expect("flushed"),
                8 => bench.store.tidy().await.expect("tidied"),
                _ => {
                    let (folder, store) = bench.crashed().await;
                    bench = Bench { folder, store, clock: bench.clock.clone() };
                }
            }
            bench.clock.advance(3 * SECOND);
            assert_eq!(ids(&bench.store), expected, "seed {seed}, step {step}");
        }
    }
}
