#!/bin/sh
# The measurements of docs/benchmarks.md, in a release build. Long: the first build takes an hour on two cores.
# HOTSPAN=path/to/binary measures that binary instead.
set -eu
cd "$(dirname "$0")/.."
if [ -z "${HOTSPAN:-}" ]; then
    cargo build --locked --release --workspace --bins
    HOTSPAN="${CARGO_TARGET_DIR:-$HOME/.cache/hotspan/build}/release/hotspan"
fi
folder=$(mktemp -d)
trap 'kill $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -rf "$folder"' EXIT
"$HOTSPAN" serve --data "$folder/data" --otlp-grpc 127.0.0.1:0 --otlp-http 127.0.0.1:0 --listen 127.0.0.1:0 \
    --ready-file "$folder/ready.json" --log warn 2>"$folder/log" &
server=$!
until [ -f "$folder/ready.json" ]; do sleep 0.2; done
python3 tools/bench.py --hotspan "$HOTSPAN" --ready-file "$folder/ready.json" --pid $server --data "$folder/data" "$@"
