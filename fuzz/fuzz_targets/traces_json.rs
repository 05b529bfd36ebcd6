//! libFuzzer's way to the target `traces_json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hotspan_fuzz_targets::run("traces_json", data));
