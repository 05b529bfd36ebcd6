//! What is fuzzed: functions that take any bytes and must neither panic nor break what is promised.
//!
//! ```text
//!   TARGETS ─┬─ fuzz_targets/*.rs   one binary each for libFuzzer (tools/fuzz.sh): hours
//!            └─ tests/seeds.rs      the seeds and some mutations of them, in `cargo test`: seconds
//! ```
//! *Invariant:* a target depends on its bytes alone, so that every finding can be repeated from its file.

pub mod access;
pub mod exports;
pub mod log;
pub mod mutation;
pub mod receive;
pub mod seeds;

/// Something to be fuzzed.
#[derive(Clone, Copy)]
pub struct Target {
    /// Also the name of its binary in `fuzz_targets/` and of its folder in `seeds/`.
    pub name: &'static str,
    /// Panics when a promise is broken.
    pub run: fn(&[u8]),
    /// Which files of testdata/malformed it starts from.
    pub from: seeds::Source,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "traces_protobuf",
        run: exports::traces_protobuf,
        from: seeds::Source::Bodies("traces", "protobuf"),
    },
    Target {
        name: "metrics_protobuf",
        run: exports::metrics_protobuf,
        from: seeds::Source::Bodies("metrics", "protobuf"),
    },
    Target { name: "logs_protobuf", run: exports::logs_protobuf, from: seeds::Source::Bodies("logs", "protobuf") },
    Target { name: "traces_json", run: exports::traces_json, from: seeds::Source::Bodies("traces", "json") },
    Target { name: "metrics_json", run: exports::metrics_json, from: seeds::Source::Bodies("metrics", "json") },
    Target { name: "logs_json", run: exports::logs_json, from: seeds::Source::Bodies("logs", "json") },
    Target { name: "compression", run: exports::compression, from: seeds::Source::Compressed },
    Target { name: "receive", run: receive::receive, from: seeds::Source::Own },
    Target { name: "access", run: access::access, from: seeds::Source::Own },
    Target { name: "wal_segment", run: log::segment, from: seeds::Source::Log },
    Target { name: "wal_damage", run: log::damage, from: seeds::Source::Own },
];

/// Runs a target by its name.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("the name is in TARGETS");
    (target.run)(data);
}
