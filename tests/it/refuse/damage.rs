//! A damaged disk: the log's tail after a crash is no damage, its middle and a lost file are named, and what is whole
//! stays readable.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::otlp;
use crate::server::{Home, Server};

/// Nothing leaves the log before the server is stopped.
const HOLD: &str = "[storage]\nhold_seconds = 600.0\n";

const EXPORTS: u64 = 8;
const COUNT: &str = "SELECT count(*) FROM spans";

fn export(server: &Server, at: u64) {
    let mut span = otlp::span(u128::from(at), at, "checkout");
    span.attributes = vec![otlp::text("padding", &format!("{at}-").repeat(500))];
    otlp::send(server, &otlp::export("shop", vec![span]));
}

/// The last segment of the log that has records.
fn segment(home: &Home) -> PathBuf {
    let entries = fs::read_dir(home.data().join("wal")).expect("the log").flatten().map(|e| e.path());
    let mut segments: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "wal")).collect();
    segments.sort();
    let size = |path: &PathBuf| fs::metadata(path).map_or(0, |m| m.len());
    segments.into_iter().rfind(|path| size(path) > 100).expect("a segment with records")
}

#[test]
fn what_a_crash_leaves_is_repaired_and_what_a_disk_loses_is_named() {
    let home = Home::new();
    let config = home.file("hotspan.toml", HOLD);
    let start = || home.start_with(&["--config", &config]);
    let server = start();
    (1..=EXPORTS).for_each(|at| export(&server, at));
    server.kill();
    garbage_behind_the_tail_is_no_damage(&home, &start);
    a_torn_last_record_is_cut_off(&home, &start);
    a_damaged_middle_is_named(&home, &start);
}

fn check(home: &Home) -> (Option<i32>, String) {
    let report = home.run("check", &[]);
    (report.code, report.text())
}

fn garbage_behind_the_tail_is_no_damage(home: &Home, start: &dyn Fn() -> Server) {
    let path = segment(home);
    let length = fs::metadata(&path).expect("the segment").len();
    let file = fs::File::options().write(true).open(&path).expect("opens");
    file.write_all_at(&[0xAB; 777], length).expect("writes");
    assert_eq!(check(home).0, Some(0), "{}", check(home).1);
    let server = start();
    assert_eq!(server.number(COUNT), EXPORTS as i64);
    assert_eq!(server.json("/api/v1/status")["damage"], Value::Array(Vec::new()));
    server.kill();
}

/// The last record was not whole when the machine died, so nobody was told that it is safe. Its sender comes again.
fn a_torn_last_record_is_cut_off(home: &Home, start: &dyn Fn() -> Server) {
    let path = segment(home);
    let file = fs::File::options().write(true).open(&path).expect("opens");
    let length = file.metadata().expect("the segment").len();
    file.set_len(length - 1).expect("cuts");
    assert_eq!(check(home).0, Some(0), "{}", check(home).1);
    let server = start();
    assert_eq!(server.number(COUNT), EXPORTS as i64 - 1);
    export(&server, EXPORTS);
    export(&server, EXPORTS);
    assert_eq!(server.number(COUNT), EXPORTS as i64);
    server.kill();
}

/// Records behind it prove that the damaged one had been safe.
fn a_damaged_middle_is_named(home: &Home, start: &dyn Fn() -> Server) {
    let path = segment(home);
    flip(&path, fs::metadata(&path).expect("the segment").len() / 2);
    let (code, text) = check(home);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("DAMAGED") && text.contains("wal"), "{text}");
    let server = start();
    assert_eq!(server.number(COUNT), EXPORTS as i64 - 1, "one record is lost, the others are not");
    let damage = server.json("/api/v1/status")["damage"].clone();
    assert!(damage.as_array().is_some_and(|d| !d.is_empty()), "{damage}");
    server.stop();
}

fn flip(path: &Path, offset: u64) {
    let file = fs::File::options().read(true).write(true).open(path).expect("opens");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("reads");
    file.write_all_at(&[byte[0] ^ 0x10], offset).expect("writes");
}

/// Parquet files of a table, sorted.
fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    let mut found: Vec<PathBuf> = entries
        .flat_map(|path| if path.is_dir() { parquet_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|e| e == "parquet"))
        .collect();
    found.sort();
    found
}

#[test]
fn a_data_file_that_is_missing_or_damaged_is_named() {
    let home = Home::new();
    for at in 1..=2 {
        let server = home.start();
        export(&server, at);
        server.stop();
    }
    let files = parquet_files(&home.data().join("tables/spans"));
    assert_eq!(files.len(), 2, "each stop writes a file: {files:?}");
    let name = |path: &Path| path.file_name().and_then(|n| n.to_str()).expect("plain").to_owned();

    flip(&files[0], fs::metadata(&files[0]).expect("the file").len() / 2);
    let (code, text) = check(&home);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&name(&files[0])) && text.contains("checksum"), "{text}");
    assert!(!text.contains(&name(&files[1])), "the other file is sound: {text}");

    fs::remove_file(&files[1]).expect("removes");
    let (code, text) = check(&home);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&name(&files[1])) && text.contains("missing"), "{text}");

    // The server starts, says so, takes and answers what does not need the files.
    let server = home.start();
    let (status, answer) = server.try_sql("SELECT count(DISTINCT name) FROM spans");
    assert_eq!(status, 500, "{answer}");
    assert_eq!(answer["error"]["kind"], "corrupt", "{answer}");
    assert!(answer["error"]["hint"].as_str().is_some_and(|h| h.contains("hotspan check")), "{answer}");
    export(&server, 3);
    assert_eq!(server.number("SELECT count(*) FROM logs"), 0);
    assert_eq!(server.get("/readyz").0, 200);
}
