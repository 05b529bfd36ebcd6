//! libFuzzer's way to the target `metrics_protobuf`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hotspan_fuzz_targets::run("metrics_protobuf", data));
