#!/bin/sh
# Real OpenTelemetry SDKs send to a real server; what arrived is compared with what the SDK says it sent. An SDK whose
# packages cannot be installed is skipped, and says so. Then some are refused, and a Collector too, until hotspan takes
# exports again, and the flow-control rules are read by what they are for.
set -eu
cd "$(dirname "$0")/.."
hotspan="${CARGO_TARGET_DIR:-$HOME/.cache/hotspan/build}/debug/hotspan"
folder=$(mktemp -d)
"$hotspan" serve --data "$folder/data" --otlp-grpc 127.0.0.1:0 --otlp-http 127.0.0.1:0 --listen 127.0.0.1:0 \
    --ready-file "$folder/ready.json" --log warn >"$folder/server.log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -rf "$folder"' EXIT
for _ in $(seq 1 100); do
    [ -f "$folder/ready.json" ] && break
    kill -0 $server 2>/dev/null || { cat "$folder/server.log" >&2; exit 1; }
    sleep 0.1
done
python3 -m unittest discover --quiet --start-directory tests/sdk
python3 tests/sdk/run.py --ready-file "$folder/ready.json" --data "$folder/data"
python3 tests/sdk/crash.py --hotspan "$hotspan"
python3 tests/sdk/refusal.py --hotspan "$hotspan"
python3 tests/sdk/flow_rules.py --hotspan "$hotspan"
