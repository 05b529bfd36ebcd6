//! libFuzzer's way to the target `wal_segment`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hotspan_fuzz_targets::run("wal_segment", data));
