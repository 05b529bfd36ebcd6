#!/bin/sh
# The measurements of docs/benchmarks.md, in a release build. Long: the first build takes an hour on two cores.
# HOTSPAN=path/to/binary measures that binary instead. Options are those of tools/bench.py.
set -eu
cd "$(dirname "$0")/.."
if [ -z "${HOTSPAN:-}" ]; then
    cargo build --locked --release --workspace --bins
    HOTSPAN="${CARGO_TARGET_DIR:-$HOME/.cache/hotspan/build}/release/hotspan"
fi
exec python3 tools/bench.py --hotspan "$HOTSPAN" "$@"
