#!/bin/sh
# Licences, bans and one version each of the engine's crates (deny.toml). Advisories need their database from the
# network and are checked only where it can be fetched.
set -eu
cd "$(dirname "$0")/.."
tools="$HOME/.cache/hotspan/tools"
export PATH="$tools/bin:$PATH"
if ! command -v cargo-deny >/dev/null 2>&1; then
    echo "installing cargo-deny into $tools"
    # A debug build: it runs once a day, and compiles in half the time.
    CARGO_TARGET_DIR="$tools/target" cargo install --locked --debug --quiet --root "$tools" cargo-deny --version '^0.18' ||
        CARGO_TARGET_DIR="$tools/target" cargo install --locked --debug --quiet --root "$tools" cargo-deny
    rm -rf "$tools/target"
fi
cargo deny --log-level error check licenses bans sources
if ! cargo deny --log-level off check advisories >/dev/null 2>&1; then
    echo "advisories: not checked here (no database, or there are some: run 'cargo deny check advisories' with a network)"
fi
