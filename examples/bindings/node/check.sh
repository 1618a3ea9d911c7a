#!/bin/sh
# Tests the module in a copy, beside koffi from the npm registry, or from a node_modules folder that is here.
#
#     check.sh LIBRARY_FOLDER INCLUDE_FOLDER      writes below $SSLCV_BUILD alone; 77: left out
set -u
library=$1
include=$2
here=$(cd "$(dirname "$0")" && pwd)
major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null)
if [ "${major:-0}" -lt 18 ]; then
    echo "no node of version 18 or later"
    exit 77
fi
build=${SSLCV_BUILD:-$(mktemp -d)}
[ -n "${SSLCV_BUILD:-}" ] || trap 'rm -rf "$build"' EXIT
work=$build/node
mkdir -p "$work/tmp" "$work/test" || exit 1
cp "$here"/package.json "$here"/*.js "$work" && cp "$here"/test/*.js "$work/test" || exit 1
cd "$work" || exit 1
export TMPDIR="$work/tmp" npm_config_cache="$work/npm" npm_config_update_notifier=false
export SSLCV_LIBRARY="$library/libsslcv.so.0" SSLCV_INCLUDE="$include" OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"
export LD_LIBRARY_PATH="$library${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

# The version that package.json pins, and that it can be loaded on this machine.
ready() {
    node -e 'const { dependencies } = require("./package.json");
        const found = JSON.parse(require("fs").readFileSync("node_modules/koffi/package.json", "utf8"));
        if (found.version !== dependencies.koffi) process.exit(1);
        require("koffi");' >/dev/null 2>&1
}
if ! ready && [ -d "$here/node_modules" ]; then
    rm -rf node_modules
    ln -s "$here/node_modules" node_modules
fi
if ! ready; then
    rm -rf node_modules
    # koffi's install script would only build what is fetched ready-made.
    if ! command -v npm >/dev/null 2>&1 || ! npm install --ignore-scripts --no-audit --no-fund --no-package-lock \
        --fetch-retries=1 --fetch-timeout=30000 > log 2>&1 || ! ready; then
        [ -f log ] && tail -n 3 log
        echo "koffi is not here, and npm did not bring it"
        exit 77
    fi
fi
if ! node --test --test-reporter=spec test/ > log 2>&1; then
    cat log
    echo "node: tests fail"
    exit 1
fi
echo "node: $(sed -n 's/^[^ ]* pass //p' log) tests passed, $(sed -n 's/^[^ ]* skipped //p' log) skipped"
