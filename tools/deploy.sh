#!/bin/sh
# Checks deploy/ as far as that goes without a cluster or a container engine.
set -eu
cd "$(dirname "$0")/.."
if [ -f deploy/check.py ]; then exec python3 deploy/check.py; fi
if [ -f deploy/check.sh ]; then exec sh deploy/check.sh; fi
