#!/bin/sh
# Checks deploy/ as far as that goes without a cluster or a container engine.
set -eu
cd "$(dirname "$0")/.."
# With the program built, every flag, variable and setting that deploy/ names has to exist in it.
hotspan="${HOTSPAN:-${CARGO_TARGET_DIR:-$HOME/.cache/hotspan/build}/debug/hotspan}"
if [ "${1:-}" = built ]; then exec python3 deploy/check.py --hotspan "$hotspan"; fi
exec python3 deploy/check.py
