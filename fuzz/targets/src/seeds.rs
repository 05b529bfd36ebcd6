//! What fuzzing starts from: the malformed exports of testdata, logs as the write-ahead log writes them, and the
//! files in `fuzz/seeds/<target>/`, among them everything that was ever found.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use wal::sim::SimFs;
use wal::{Fs, Record, Settings, Wal};

use crate::Target;

/// Larger files make fuzzing slow and add nothing.
const LARGEST: usize = 4096;

/// Where a target's seeds come from, besides its own folder.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// Uncompressed bodies of a signal and a format.
    Bodies(&'static str, &'static str),
    /// Compressed bodies, with the two bytes in front that `exports::compression` takes.
    Compressed,
    /// Segments of good logs.
    Log,
    /// Nowhere else.
    Own,
}

/// A target's seeds with their names, in the order of the names.
pub fn of(target: &Target) -> Vec<(String, Vec<u8>)> {
    let mut seeds = match target.from {
        Source::Bodies(signal, format) => collection(|case| bare(case, signal, format)),
        Source::Compressed => collection(prefixed),
        Source::Log => segments(),
        Source::Own => Vec::new(),
    };
    let own = root().join("fuzz/seeds").join(target.name);
    for path in sorted(&own) {
        seeds.push((name_of(&path), fs::read(&path).expect("a readable file")));
    }
    seeds.retain(|(_, bytes)| bytes.len() <= LARGEST);
    seeds.sort();
    seeds
}

fn root() -> PathBuf {
    // Tests run in the folder of their package; a path of the build would be that of another clone with the same target
    // folder.
    PathBuf::from("../..")
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The cases of the collection for which `prefix` says what comes before their body.
fn collection(prefix: impl Fn(&Value) -> Option<Vec<u8>>) -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for folder in sorted(&root().join("testdata/malformed")) {
        let Ok(text) = fs::read(folder.join("expect.json")) else { continue };
        let class: Value = serde_json::from_slice(&text).expect("JSON");
        for case in class["cases"].as_array().expect("a list") {
            let Some(mut seed) = prefix(case) else { continue };
            let file = case["file"].as_str().expect("a name");
            seed.extend(fs::read(folder.join(file)).expect("a readable file"));
            seeds.push((format!("{}-{file}", name_of(&folder)), seed));
        }
    }
    seeds
}

fn bare(case: &Value, signal: &str, format: &str) -> Option<Vec<u8>> {
    let wanted = case["signal"] == signal && case["format"] == format && case.get("encoding").is_none();
    wanted.then(Vec::new)
}

fn prefixed(case: &Value) -> Option<Vec<u8>> {
    let encoding = ["gzip", "zstd", "deflate"].iter().position(|name| case["encoding"] == *name)?;
    Some(vec![encoding as u8, u8::from(case["format"] == "json")])
}

/// The segments of logs with zero, one and many records, each behind a zero byte.
fn segments() -> Vec<(String, Vec<u8>)> {
    let mut seeds = vec![("empty".to_owned(), vec![0])];
    for records in [1u8, 2, 9] {
        let fs = SimFs::new();
        let folder = Path::new("/sim/wal");
        let mut nothing = |_: u64, _: &[u8]| Ok::<(), std::convert::Infallible>(());
        let settings = Settings { segment_bytes: 500, max_log_bytes: 1 << 20, ..Settings::default() };
        let (wal, _) = Wal::open(Arc::new(fs.clone()), folder, settings, &mut nothing).expect("an empty folder");
        for record in 0..records {
            wal.append_wait(Record::from(vec![record; usize::from(record) * 20])).expect("a working disk");
        }
        wal.close().expect("a working disk");
        for path in fs.paths() {
            let mut seed = vec![0];
            seed.extend(fs.read(&path, u64::MAX).expect("a working disk"));
            seeds.push((format!("{records}-{}", name_of(&path)), seed));
        }
    }
    seeds
}
