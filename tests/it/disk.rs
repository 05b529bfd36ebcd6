//! A full disk, for real: the data folder is on a small file system that fills up. Exports are told to come back and
//! why, questions are answered, and when there is room again all goes on without a restart: what was acknowledged is
//! there, once.
//!
//! A file system of its own takes root and a mount; where that is not to be had the tests say so and pass.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use reqwest::StatusCode;
use serde_json::Value;

use crate::otlp::{self, PROTOBUF};
use crate::server::{Home, Server, answer, until};

const MIB: usize = 1 << 20;
/// The file system's size.
const DISK: usize = 160 * MIB;
/// Spans of an export, each with this much that does not compress.
const SPANS: u64 = 20;
const PADDING: usize = 20 << 10;

/// A file system in memory over a home's data folder; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, and why, where it cannot be mounted.
    fn over(folder: &Path) -> Option<SmallDisk> {
        fs::create_dir_all(folder).expect("a folder");
        let size = format!("size={DISK}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        match mounted {
            Ok(output) if output.status.success() => Some(SmallDisk(folder.to_owned())),
            Ok(output) => skip(String::from_utf8_lossy(&output.stderr).trim()),
            Err(error) => skip(&error.to_string()),
        }
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Takes room away until only `left` bytes are free.
    fn leave(&self, left: usize) {
        let stat = rustix::fs::statvfs(&self.0).expect("its size");
        let free = (stat.f_bavail * stat.f_frsize) as usize;
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).expect("a file");
        ballast.write_all(&vec![0; free.saturating_sub(left)]).expect("room for the ballast");
    }

    fn free(&self) {
        fs::remove_file(self.ballast()).expect("the ballast");
    }
}

fn skip(why: &str) -> Option<SmallDisk> {
    println!("skipped: a small file system cannot be mounted here: {why}");
    None
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// The export with this number: the same bytes each time, and too random to be compressed.
fn export(number: u64) -> ExportTraceServiceRequest {
    let spans = (1..=SPANS).map(|at| {
        let id = number << 8 | at;
        let mut span = otlp::span(u128::from(number), id, "fill");
        let mut state = id;
        let noise = (0..PADDING).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b' ' + (state >> 57) as u8 % 90)
        });
        span.attributes = vec![otlp::text("noise", &noise.collect::<String>())];
        span
    });
    otlp::export("disk", spans.collect())
}

/// Whether it was taken; else it has to be the answer that exporters take as "again, later", with a reason.
fn send(server: &Server, number: u64) -> Result<(), String> {
    let request = server.otlp("/v1/traces", PROTOBUF, export(number).encode_to_vec());
    let response = request.send().expect("an answer");
    let (status, pause) = (response.status(), response.headers().contains_key("retry-after"));
    let body = response.bytes().expect("a body");
    if status == StatusCode::OK {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    assert_eq!((status, pause), (StatusCode::SERVICE_UNAVAILABLE, true), "{text}");
    Err(text)
}

/// The same over gRPC: the message of the refusal.
fn refused_by_grpc(server: &Server, number: u64) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answer = runtime.block_on(async {
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", server.grpc)).expect("an address");
        TraceServiceClient::new(channel.connect_lazy()).export(export(number)).await
    });
    let status = answer.expect_err("refused");
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
    assert!(!status.details().is_empty(), "no RetryInfo in {status}");
    status.message().to_owned()
}

/// Sends until one export is refused; its number is in the answer.
fn fill(server: &Server, taken: &mut BTreeSet<u64>) -> (u64, String) {
    let first = taken.last().map_or(1, |last| last + 1);
    let most = first + 2 * (DISK / PADDING) as u64;
    for number in first..most {
        match send(server, number) {
            Ok(()) => taken.insert(number),
            Err(why) => return (number, why),
        };
    }
    panic!("the disk did not fill up");
}

fn exports_in(server: &Server) -> BTreeSet<u64> {
    let rows = server.sql("SELECT trace_id, count(*), count(DISTINCT span_id) FROM spans GROUP BY trace_id");
    let number = |row: &Vec<Value>| {
        assert_eq!((row[1].as_u64(), row[2].as_u64()), (Some(SPANS), Some(SPANS)), "{row:?}");
        u64::from_str_radix(row[0].as_str().expect("an id"), 16).expect("hex")
    };
    rows.iter().map(number).collect()
}

/// What is the same however the disk came to be full.
fn survives(server: Server, disk: &SmallDisk, words: &[&str]) {
    let mut taken = BTreeSet::new();
    for number in 1..=3 {
        send(&server, number).expect("there is room");
        taken.insert(number);
    }
    disk.leave(40 * MIB);
    let (refused, why) = fill(&server, &mut taken);
    for word in words {
        assert!(why.contains(word), "no {word:?} in {why}");
    }
    let by_grpc = refused_by_grpc(&server, refused);
    assert!(words.iter().all(|word| by_grpc.contains(word)), "{by_grpc}");

    // Nobody else suffers, and it is told.
    assert_eq!(server.get("/healthz").0, StatusCode::OK);
    let (status, value) = server.try_sql("SELECT count(*) FROM spans");
    assert_eq!((status, &value["rows"][0][0]), (StatusCode::OK, &Value::from(taken.len() as u64 * SPANS)), "{value}");
    let (status, trace) = answer(server.request(&format!("/api/v1/traces/{:032x}", 1)));
    assert_eq!(status, StatusCode::OK, "{trace}");
    let status = server.json("/api/v1/status");
    let reasons = status["reasons"].as_array().expect("a list");
    let told = reasons.iter().any(|r| r["outcome"] == "refused" && r["reason"] == "unavailable");
    assert!(told, "{reasons:?}");
    assert!(server.metric("hotspan_exports_failed_total{reason=\"unavailable\"}") >= 2.0);
    assert!(server.metric("hotspan_disk_free_bytes") < (60 * MIB) as f64);

    disk.free();
    until("the refused export to be taken", || send(&server, refused).ok());
    taken.insert(refused);
    for number in refused + 1..refused + 4 {
        send(&server, number).expect("there is room again");
        taken.insert(number);
    }
    assert_eq!(server.json("/api/v1/status")["refusing"], Value::Null);
    assert_eq!(exports_in(&server), taken, "while it runs");
    // Once more after everything was written and read back.
    let home = server.stop();
    let server = home.start_with(&[]);
    assert_eq!(exports_in(&server), taken, "after a restart");
    let home = server.stop();
    let report = home.run("check", &[]);
    assert_eq!(report.code, Some(0), "{}{}", report.text(), report.stderr);
}

#[test]
fn below_the_least_free_space_exports_are_refused_before_anything_fails() {
    let home = Home::new();
    let Some(disk) = SmallDisk::over(&home.data()) else { return };
    let settings = "[storage]\nmin_free_bytes = 20000000\nflush_seconds = 0.05\nhold_seconds = 600.0\n";
    let settings = home.file("hotspan.toml", settings);
    let server = home.start_with(&["--config", &settings]);
    survives(server, &disk, &["the data disk has", "free"]);
}

#[test]
fn a_write_that_meets_a_full_disk_is_refused_and_leaves_no_trace() {
    let home = Home::new();
    let Some(disk) = SmallDisk::over(&home.data()) else { return };
    // Without the reserve the log itself runs into the end of the disk.
    let settings = home.file("hotspan.toml", "[storage]\nmin_free_bytes = 0\nhold_seconds = 600.0\n");
    let server = home.start_with(&["--config", &settings]);
    survives(server, &disk, &["free space on the data disk"]);
}
