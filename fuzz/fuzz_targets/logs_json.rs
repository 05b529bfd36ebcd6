//! libFuzzer's way to the target `logs_json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hotspan_fuzz_targets::run("logs_json", data));
