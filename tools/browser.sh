#!/bin/sh
# The web UI in a real browser: first against recorded answers, then against a running `hotspan demo`.
set -eu
cd "$(dirname "$0")/.."
CHROMIUM="${CHROMIUM:-$(command -v chromium || true)}"
if [ -z "$CHROMIUM" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing chromium"
    apt-get update -qq >/dev/null 2>&1 || true
    apt-get install -y -qq chromium >/dev/null 2>&1 || true
    apt-get install -y -qq fonts-noto-cjk >/dev/null 2>&1 || true
    CHROMIUM="$(command -v chromium || true)"
fi
if [ -z "$CHROMIUM" ]; then
    echo "missing: chromium, in which the web UI is tested; apt-get install chromium" >&2
    exit 1
fi
export CHROMIUM
npm --prefix ui/web run --silent e2e
