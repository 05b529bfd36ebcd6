#!/bin/sh
# Installs the web UI's packages when the lock file changed, and builds it when its source changed.
set -eu
cd "$(dirname "$0")/../ui/web"

stamp() { # a checksum of the files that the step depends on
    cat "$@" | cksum
}

packages=$(stamp package.json package-lock.json)
if [ "$(cat node_modules/.hotspan-stamp 2>/dev/null)" != "$packages" ]; then
    echo "installing the web UI's packages"
    npm ci --no-audit --no-fund --loglevel=error
    echo "$packages" > node_modules/.hotspan-stamp
fi

sources=$(find src public index.html vite.config.ts tsconfig.json package-lock.json -type f 2>/dev/null | LC_ALL=C sort | xargs cat | cksum)
if [ "$(cat dist/.hotspan-stamp 2>/dev/null)" != "$sources" ]; then
    echo "building the web UI"
    npm run --silent build
    echo "$sources" > dist/.hotspan-stamp
fi
