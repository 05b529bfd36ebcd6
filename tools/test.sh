#!/bin/sh
# Everything that must pass, in the order that fails earliest. `tools/test.sh lint` stops after the checks.
# Each step prints its seconds; a failing step is named and ends the run.
set -u
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/hotspan/build}"
export npm_config_cache="${npm_config_cache:-$HOME/.cache/hotspan/npm}"
export CARGO_INCREMENTAL="${CARGO_INCREMENTAL:-0}"
only="${1:-all}"
began=$(date +%s)

step() { # step NAME COMMAND...
    name=$1
    shift
    echo "== $name"
    from=$(date +%s)
    if ! "$@"; then
        echo "== $name FAILED after $(($(date +%s) - from)) s" >&2
        exit 1
    fi
    echo "== $name: $(($(date +%s) - from)) s"
}

step "setup" tools/setup.sh
step "format" cargo fmt --all --check
step "web UI: install and build" tools/web.sh
step "web UI: lint and types" npm --prefix ui/web run --silent check
step "tidy" cargo test --locked --quiet -p tidy
step "clippy" cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
step "dependencies" tools/deny.sh
step "deploy files" tools/deploy.sh
[ "$only" = lint ] && exit 0

step "web UI: unit tests" npm --prefix ui/web run --silent test
step "build" cargo build --locked --workspace --all-targets
step "deploy files against the program" tools/deploy.sh built
step "Rust tests" cargo test --locked --workspace --no-fail-fast
step "browser" tools/browser.sh
step "SDKs" tools/sdk.sh
echo "== all passed in $(($(date +%s) - began)) s"
