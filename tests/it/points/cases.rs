//! The points, and how each is reached.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::clients::{self, Key, Known, ROWS, Table};
use super::{delta, died};
use crate::otlp;
use crate::server::{Home, Server, until};

/// A point of `storage/src/crash.rs` and what has to happen for it to be passed.
pub struct Case {
    pub point: &'static str,
    /// At which passing to die in the first round.
    pub passing: u64,
    way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// Exports without a pause, flushed, merged and trimmed several times a second.
    Load,
    /// The same with so many bytes that the log goes from segment to segment.
    Heavy,
    /// A start on a folder that was killed with rows in its log.
    Start,
    /// The same, with a file that no commit mentions.
    Orphan,
    /// More than one segment of the log before the first flush.
    Segments,
    /// A start on a folder that was killed with more than one segment in its log.
    Restart,
    /// A folder whose commits are old enough to be cleaned up after the next checkpoint.
    OldLog,
    /// Removed files that are old enough to be deleted.
    OldFiles,
    /// A span that came after its trace was written.
    Late,
    /// Rows beyond their retention.
    Expire,
}

const fn case(point: &'static str, passing: u64, way: Way) -> Case {
    Case { point, passing, way }
}

use Way::{Expire, Heavy, Late, Load, OldFiles, OldLog, Orphan, Restart, Segments, Start};

/// Every point of the program: `tests/tidy` compares this list with the code.
pub const CASES: &[Case] = &[
    // The log.
    case("wal.before_write", 6, Load),
    case("wal.torn_header", 6, Load),
    case("wal.torn_payload", 6, Load),
    case("wal.written", 6, Load),
    case("wal.synced", 6, Load),
    case("wal.segment_created", 1, Load),
    case("wal.before_name", 2, Heavy),
    case("wal.named", 1, Heavy),
    case("wal.before_folder_sync", 2, Load),
    case("append.visible", 5, Load),
    // Writing rows to files.
    case("flush.begun", 3, Load),
    case("flush.encoded", 3, Load),
    case("file.torn", 3, Load),
    case("file.written", 3, Load),
    case("file.synced", 3, Load),
    case("file.named", 3, Load),
    case("flush.file_put", 3, Load),
    case("commit.planned", 3, Load),
    case("commit.torn", 3, Load),
    case("commit.written", 3, Load),
    case("commit.synced", 3, Load),
    case("commit.named", 3, Load),
    case("commit.put", 3, Load),
    case("flush.table_done", 3, Load),
    case("flush.all_done", 3, Load),
    // Checkpoints of the tables' logs.
    case("checkpoint.torn", 1, Load),
    case("checkpoint.written", 1, Load),
    case("checkpoint.synced", 2, Load),
    case("checkpoint.named", 1, Load),
    case("checkpoint.put", 1, Load),
    case("checkpoint.announced", 1, Load),
    case("checkpoint.cleaning", 2, OldLog),
    // Forgetting what is written.
    case("trim.remembered", 2, Load),
    case("trim.counted", 2, Load),
    case("trim.before_rename", 2, Heavy),
    case("trim.renamed", 1, Segments),
    case("trim.before_unlink", 1, Restart),
    case("trim.unlinked", 1, Restart),
    case("trim.done", 2, Load),
    // Looking after files.
    case("merge.read", 1, Load),
    case("merge.encoded", 1, Load),
    case("merge.put", 1, Load),
    case("merge.committed", 1, Load),
    case("late.read", 1, Late),
    case("late.replaced", 1, Late),
    case("expire.committed", 1, Expire),
    case("vacuum.deleted", 2, OldFiles),
    // Starting.
    case("folder.staged", 1, Load),
    case("start.tables_loaded", 1, Start),
    case("start.orphan_deleted", 1, Orphan),
    case("start.replayed", 2, Start),
    case("start.before_rewrite", 1, Start),
    case("start.rewritten", 1, Start),
    case("start.log_open", 1, Start),
];

/// A point that is not passed within this time is not passed at all.
pub const REACHED: Duration = Duration::from_secs(150);

const FAST: &str = "[storage]\nhold_seconds = 0.1\nflush_seconds = 0.05\n[query]\nmax_rows = 1000000\n";
/// Rows stay in the log.
const LAZY: &str = "[storage]\nhold_seconds = 600.0\n[query]\nmax_rows = 1000000\n";
/// Rows are held until their traces are taken to be whole, and written soon after.
const PATIENT: &str = "[storage]\nhold_seconds = 6.0\nflush_seconds = 1.0\n[query]\nmax_rows = 1000000\n";

/// More exports than are sent in that time.
const ENDLESS: u64 = 1 << 32;

/// Bytes beside each span, where the size of the log matters.
const PADDING: usize = 60_000;

struct Run {
    home: Home,
    known: Known,
    point: String,
    padding: usize,
}

impl Case {
    pub fn is_slow(&self) -> bool {
        matches!(self.way, Late | Expire | OldFiles)
    }

    /// Whether there is a next passing to die at. Once there are spares, no segment's file is created any more.
    pub fn is_repeatable(&self) -> bool {
        let rare = ["checkpoint.", "folder.", "wal.segment_created"];
        matches!(self.way, Load | Heavy) && !rare.iter().any(|rare| self.point.starts_with(rare))
    }

    /// Dies at the point, starts again, and compares. Says what there was to compare.
    pub fn run(&self, passing: u64) -> String {
        let padding = if matches!(self.way, Heavy | Segments | Restart) { PADDING } else { 10 };
        let point = format!("{}:{passing}", self.point);
        let run = Run { home: Home::new(), known: Known::default(), point, padding };
        match self.way {
            Load | Heavy => run.dies_under_load(FAST, 0, ENDLESS),
            Start => run.dies_at_start(),
            Orphan => {
                run.leaves_rows_in_the_log();
                run.adds_an_orphan();
                run.dies_before_it_is_ready();
            }
            Segments => run.dies_under_load(PATIENT, 0, 450),
            Restart => run.dies_trimming_what_was_left(),
            OldLog => run.dies_with_an_old_log(),
            OldFiles => run.dies_with_old_files(),
            Late => run.dies_correcting(),
            Expire => run.dies_expiring(),
        }
        if matches!(self.way, Segments | Restart) {
            let left = fs::read_dir(run.home.data().join("wal")).expect("the log").count();
            assert!(left >= 2, "behind the segment that is gone there have to be others");
        }
        run.compare(self.way == Expire)
    }
}

impl Run {
    fn serve(&self, settings: &str, arguments: &[&str], dies: bool) -> Server {
        let config = self.home.file("hotspan.toml", settings);
        let mut command = self.home.serve(&[&["--config", config.as_str()], arguments].concat());
        if dies {
            command.env("HOTSPAN_CRASH_AT", &self.point);
        }
        Server::spawn(self.home.clone(), command)
    }

    /// Waits for the end of a server that has to die at the point.
    fn dies(&self, server: &mut Server) {
        let begun = Instant::now();
        let status = until("the point", || {
            assert!(begun.elapsed() < REACHED, "{} was not passed in {REACHED:?}", self.point);
            server.ended()
        });
        assert!(died(status), "it ended by itself: {status:?}\n{}", server.log());
    }

    fn dies_under_load(&self, settings: &str, first: u64, most: u64) {
        let mut server = self.serve(settings, &[], true);
        if server.is_ready_or_gone() {
            server = server.ready();
            self.known.load(&server, first, most, self.padding);
        }
        self.dies(&mut server);
    }

    fn dies_before_it_is_ready(&self) {
        let mut server = self.serve(LAZY, &[], true);
        self.dies(&mut server);
    }

    /// Some rows in files, some in the log, and a kill at no point in particular.
    fn leaves_rows_in_the_log(&self) {
        let server = self.serve(FAST, &[], false).ready();
        self.known.load(&server, 0, 20, self.padding);
        server.stop();
        let server = self.serve(LAZY, &[], false).ready();
        self.known.load(&server, 20, 20, self.padding);
        server.kill();
    }

    fn dies_trimming_what_was_left(&self) {
        let server = self.serve(LAZY, &[], false).ready();
        self.known.load(&server, 0, 450, self.padding);
        server.kill();
        let mut server = self.serve(FAST, &[], true);
        self.dies(&mut server);
    }

    fn dies_at_start(&self) {
        self.leaves_rows_in_the_log();
        self.dies_before_it_is_ready();
        // Again, on what the first death has left.
        self.dies_before_it_is_ready();
    }

    fn adds_an_orphan(&self) {
        let table = self.home.data().join("tables/spans");
        let folders = fs::read_dir(&table).expect("the table").map(|entry| entry.expect("an entry").path());
        let day = folders.into_iter().find(|p| p.to_string_lossy().contains("received_date=")).expect("a day");
        fs::write(day.join("spans-00000000000000009999-00000000000000009999.parquet"), b"half").expect("written");
    }

    fn dies_with_an_old_log(&self) {
        let server = self.serve(FAST, &[], false).ready();
        self.loads_until(&server, 0, |home| commits(home).len() > 20);
        server.stop();
        for path in commits(&self.home) {
            let file = fs::File::options().append(true).open(path).expect("it opens");
            let written = file.metadata().and_then(|found| found.modified()).expect("it has a time");
            file.set_modified(written - Duration::from_secs(2 * 3600)).expect("it is ours");
        }
        self.dies_under_load(FAST, ENDLESS, ENDLESS);
    }

    /// Files that merges have removed, half an hour ago as the log has it.
    fn dies_with_old_files(&self) {
        let server = self.serve(FAST, &[], false).ready();
        self.loads_until(&server, 0, |home| {
            let is_merge = |path: &PathBuf| fs::read_to_string(path).is_ok_and(|t| t.contains("OPTIMIZE"));
            commits(home).iter().any(is_merge)
        });
        server.stop();
        for path in commits(&self.home) {
            let text = fs::read_to_string(&path).expect("a commit");
            let lines: Vec<String> = text.lines().map(made_older).collect();
            fs::write(&path, lines.join("\n") + "\n").expect("written");
        }
        // It must be read from the commits, not from a checkpoint, that they are old.
        for path in below(&self.home.data().join("tables"), "checkpoint") {
            fs::remove_file(path).expect("removed");
        }
        let mut server = self.serve(LAZY, &[], true).ready();
        self.dies(&mut server);
    }

    /// A trace whose root is in a file when its other spans come.
    fn dies_correcting(&self) {
        let trace = |ids: [u64; 2], parent: u64| {
            let mut span = otlp::span(clients::trace_id(ids[0]), clients::span_id(ids[0], ids[1]), "work");
            span.parent_span_id = if parent == 0 { vec![] } else { parent.to_be_bytes().to_vec() };
            otlp::export("points", vec![span])
        };
        let server = self.serve(PATIENT, &[], false).ready();
        otlp::send(&server, &trace([0, 0], 0));
        // Written when its trace is quiet, and whole as far as anybody knows: a file of a hurried end would be merged
        // with what comes.
        until("the root in a file", || (server.metric("hotspan_memory_rows") == 0.0).then_some(()));
        server.stop();
        let mut server = self.serve(PATIENT, &[], true).ready();
        for at in 1..ROWS {
            otlp::send(&server, &trace([0, at], clients::span_id(0, 0)));
        }
        self.known.acknowledged.lock().expect("no panic").insert((Table::Spans, 0));
        self.dies(&mut server);
    }

    fn dies_expiring(&self) {
        let mut server = self.serve(FAST, &["--retention", "5s"], true).ready();
        self.known.load(&server, 0, 20, self.padding);
        self.dies(&mut server);
    }

    /// Load until the folder is as it should be.
    fn loads_until(&self, server: &Server, first: u64, is_enough: impl Fn(&Home) -> bool) {
        let mut next = first;
        until("enough load", || {
            self.known.load(server, next, 10, self.padding);
            next += 10;
            is_enough(&self.home).then_some(())
        });
    }

    /// Starts it once more, sends again what got no answer, and asks every reader.
    fn compare(&self, may_be_gone: bool) -> String {
        let server = self.serve(FAST, &[], false).ready();
        if may_be_gone {
            // Their time was over: what counts is that the store goes on with what comes now.
            self.known.acknowledged.lock().expect("no panic").clear();
            self.known.load(&server, 500, 20, self.padding);
        }
        let unanswered = self.known.send_again(&server, self.padding);
        let acknowledged: Vec<Key> = self.known.all().into_iter().collect();
        self.agree("SQL", &acknowledged, may_be_gone, &by_sql(&server));
        self.traces_are_whole(&server, &acknowledged);
        server.stop();
        self.agree("Delta", &acknowledged, may_be_gone, &by_delta(&self.home.data()));
        let report = self.home.run("check", &[]);
        assert_eq!(report.code, Some(0), "{}: {}{}", self.point, report.text(), report.stderr);
        format!("{} exports acknowledged, {unanswered} sent again", acknowledged.len())
    }

    /// All that was acknowledged is there once, and nothing else is.
    fn agree(&self, reader: &str, acknowledged: &[Key], may_be_gone: bool, found: &BTreeMap<String, u64>) {
        let expected = acknowledged.iter().flat_map(|key| names(*key));
        let missing: Vec<String> = expected.clone().filter(|name| !found.contains_key(name)).take(5).collect();
        assert!(missing.is_empty(), "{}: {reader} lacks {missing:?}", self.point);
        let doubled: Vec<_> = found.iter().filter(|(_, copies)| **copies != 1).take(5).collect();
        assert!(doubled.is_empty(), "{}: {reader} has {doubled:?}", self.point);
        assert!(may_be_gone || found.len() == expected.count(), "{}: {reader} has what nobody sent", self.point);
    }

    fn traces_are_whole(&self, server: &Server, acknowledged: &[Key]) {
        let traces = acknowledged.iter().filter(|(table, _)| *table == Table::Spans).rev().take(30);
        for (_, seq) in traces {
            let trace = server.json(&format!("/api/v1/traces/{:032x}", clients::trace_id(*seq)));
            let mut ids: Vec<&str> =
                trace["spans"].as_array().into_iter().flatten().filter_map(|s| s["span_id"].as_str()).collect();
            ids.sort_unstable();
            let expected: Vec<String> = (0..ROWS).map(|at| format!("{:016x}", clients::span_id(*seq, at))).collect();
            assert_eq!(ids, expected, "{}: the trace of export {seq}", self.point);
        }
    }
}

/// What readers call the rows of an export.
fn names((table, seq): Key) -> Vec<String> {
    let name = |at| match table {
        Table::Spans => format!("{:016x}", clients::span_id(seq, at)),
        Table::Logs => clients::log_text(seq, at),
    };
    (0..ROWS).map(name).collect()
}

fn by_sql(server: &Server) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for statement in ["SELECT span_id, count(*) FROM spans GROUP BY 1", "SELECT body, count(*) FROM logs GROUP BY 1"] {
        for row in server.sql(statement) {
            let (name, copies) = (row[0].as_str().expect("a text"), row[1].as_u64().expect("a number"));
            found.insert(name.to_owned(), copies);
        }
    }
    found
}

fn by_delta(data: &Path) -> BTreeMap<String, u64> {
    let mut found = delta::counts(&data.join("tables/spans"), "span_id");
    found.extend(delta::counts(&data.join("tables/logs"), "body"));
    found
}

/// The files of the tables' logs with this in their names.
fn below(folder: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => found.extend(below(&path, name)),
            false if path.file_name().is_some_and(|f| f.to_string_lossy().contains(name)) => found.push(path),
            false => {}
        }
    }
    found
}

fn commits(home: &Home) -> Vec<PathBuf> {
    let mut found = below(&home.data().join("tables"), ".json");
    found.retain(|path| path.parent().is_some_and(|folder| folder.ends_with("_delta_log")));
    found
}

/// A `remove` as if it had been committed half an hour earlier; other actions as they are.
fn made_older(line: &str) -> String {
    let mut action: Value = serde_json::from_str(line).expect("an action is JSON");
    if let Some(at) = action["remove"]["deletionTimestamp"].as_i64() {
        action["remove"]["deletionTimestamp"] = (at - 30 * 60 * 1_000).into();
        return action.to_string();
    }
    line.to_owned()
}
