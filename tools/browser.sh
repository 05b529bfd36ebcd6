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

# The same page over what a real server answers.
hotspan="${HOTSPAN:-${CARGO_TARGET_DIR:-$HOME/.cache/hotspan/build}/debug/hotspan}"
folder=$(mktemp -d)
"$hotspan" demo --fault slow_sql --seed 7 --step-after 20s --duration 10m --listen 127.0.0.1:0 \
    --ready-file "$folder/ready.json" >"$folder/log" 2>&1 &
demo=$!
trap 'kill $demo 2>/dev/null || true; wait $demo 2>/dev/null || true; rm -rf "$folder"' EXIT
page=""
for _ in $(seq 1 240); do
    kill -0 $demo 2>/dev/null || { cat "$folder/log" >&2; exit 1; }
    if [ -z "$page" ] && [ -f "$folder/ready.json" ]; then
        page="http://$(sed 's/.*"listen":"\([^"]*\)".*/\1/' "$folder/ready.json")"
    fi
    if [ -n "$page" ] && curl -fs "$page/api/v1/hotspots?start=now-2m" 2>/dev/null | grep -q '"rank":3'; then
        BASE_URL="$page" npm --prefix ui/web run --silent e2e
        exit 0
    fi
    sleep 0.5
done
echo "the demo named no hot spots within two minutes" >&2
exit 1
