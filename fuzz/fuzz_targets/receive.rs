//! libFuzzer's way to the target `receive`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hotspan_fuzz_targets::run("receive", data));
