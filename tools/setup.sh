#!/bin/sh
# Checks for what a build needs, and says plainly what is missing and how to get it.
set -u
missing=0

need() { # need COMMAND WHY HOW
    command -v "$1" >/dev/null 2>&1 && return
    echo "missing: $1, $2; $3" >&2
    missing=1
}

at_least() { # at_least NAME FOUND WANTED HOW
    lowest=$(printf '%s\n%s\n' "$3" "$2" | sort -V | head -n 1)
    [ "$lowest" = "$3" ] && return
    echo "too old: $1 $2, at least $3 is needed; $4" >&2
    missing=1
}

need cargo "which builds hotspan" "install Rust from https://rustup.rs"
need cc "which links it and builds zstd" "apt-get install gcc"
need node "which builds the web UI" "install Node.js 20.19 or newer from https://nodejs.org"
need npm "which installs the web UI's packages" "it comes with Node.js"
if command -v cargo >/dev/null 2>&1; then
    at_least Rust "$(rustc --version | cut -d' ' -f2)" 1.95.0 "run: rustup update stable"
fi
if command -v node >/dev/null 2>&1; then
    at_least Node.js "$(node --version | tr -d v)" 20.19.0 "see https://nodejs.org"
fi
exit $missing
