//! libFuzzer's way to the target `compression`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hotspan_fuzz_targets::run("compression", data));
