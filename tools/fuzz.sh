#!/bin/sh
# Fuzzes every target with libFuzzer: `tools/fuzz.sh [SECONDS] [TARGET…]`, 60 seconds each unless told otherwise.
#
# What it finds is in fuzz/artifacts/TARGET/; a copy in fuzz/seeds/TARGET/ makes it a test for good. The corpus grows in
# fuzz/corpus/ from run to run. Needs cargo-fuzz (cargo install cargo-fuzz) and a C++ compiler.
set -u
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -gt 0 ] && shift
base="${CARGO_TARGET_DIR:-$HOME/.cache/hotspan/build}"

if ! command -v cargo-fuzz >/dev/null 2>&1; then
    echo "cargo-fuzz is missing: cargo install cargo-fuzz" >&2
    exit 1
fi
# libFuzzer's flags are not stable. A stable compiler takes them when told to.
export RUSTC_BOOTSTRAP=1
# Built apart: with that variable, dependencies are built anew, and everything that uses them.
export CARGO_TARGET_DIR="${HOTSPAN_FUZZ_BUILD:-$base-fuzz}"

seeds() { cargo run --locked --quiet -p hotspan-fuzz-targets --example write_seeds -- "$@"; }
targets=${*:-$(seeds)} || exit 1

failed=
for target in $targets; do
    corpus="fuzz/corpus/$target"
    mkdir -p "$corpus"
    seeds "$target" "$corpus" || exit 1
    log="$CARGO_TARGET_DIR/$target.log"
    mkdir -p "$CARGO_TARGET_DIR"
    if cargo fuzz run --sanitizer "${HOTSPAN_FUZZ_SANITIZER:-none}" "$target" "$corpus" -- \
        -max_total_time="$seconds" -max_len=4096 -rss_limit_mb=512 -timeout=5 -print_final_stats=1 >"$log" 2>&1; then
        executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        memory=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
        echo "$target: ${executions:-?} executions in $seconds s, at most ${memory:-?} MiB, nothing found"
    else
        failed="$failed $target"
        echo "$target: FAILED, see $log" >&2
        grep -E "panicked|SUMMARY|Test unit written" "$log" | head -5 >&2
    fi
done
[ -z "$failed" ]
