#!/bin/sh
# Tests both crates; that bindings.rs is what bindgen makes of the headers, where it is that bindgen; clippy and
# rustfmt, where they are.
#
#     check.sh LIBRARY_FOLDER INCLUDE_FOLDER      writes below $SSLCV_BUILD alone; 77: left out
set -u
library=$1
include=$2
here=$(cd "$(dirname "$0")" && pwd)
if ! cargo --version >/dev/null 2>&1; then
    echo "no cargo"
    exit 77
fi
build=${SSLCV_BUILD:-$(mktemp -d)}
[ -n "${SSLCV_BUILD:-}" ] || trap 'rm -rf "$build"' EXIT
work=$build/rust
mkdir -p "$work" || exit 1
export CARGO_TARGET_DIR="$work/target" TMPDIR="$work" SSLCV_LIB_DIR="$library" RUSTDOCFLAGS="-D warnings"
export LD_LIBRARY_PATH="$library${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"
cd "$here" || exit 1

run() {
    if ! "$@" > "$work/log" 2>&1; then
        cat "$work/log"
        echo "rust: $* fails"
        exit 1
    fi
}
run cargo test --offline --locked
passed=$(awk '/^test result: ok/ { n += $4 } END { print n + 0 }' "$work/log")
run cargo doc --offline --locked --no-deps
for tool in clippy fmt; do
    if ! cargo $tool --version >/dev/null 2>&1; then
        echo "rust: no cargo $tool; left out"
    elif [ $tool = fmt ]; then
        run cargo fmt --check
    else
        run cargo clippy --offline --locked --all-targets -- -D warnings
    fi
done

# Versions of bindgen and rustfmt differ in their text, of rustfmt in blanks and commas alone.
made=$(sed -n '1s/.*with \(bindgen [0-9.]*[0-9]\).*/\1/p' sslcv-sys/src/bindings.rs)
if [ "$(bindgen --version 2>/dev/null)" != "$made" ] || ! rustfmt --version >/dev/null 2>&1; then
    echo "rust: bindings.rs is not compared, as $made or rustfmt is not here"
else
    mkdir -p "$work/bindings"
    run sh sslcv-sys/generate.sh "$include" "$work/bindings"
    for file in bindings.rs layout.rs; do
        tr -d ' \n,' < "$work/bindings/$file" > "$work/made"
        tr -d ' \n,' < sslcv-sys/src/$file > "$work/kept"
        if ! cmp -s "$work/made" "$work/kept"; then
            diff "$work/bindings/$file" sslcv-sys/src/$file
            echo "rust: $file is not what sslcv-sys/generate.sh makes of the headers: run it"
            exit 1
        fi
    done
fi
echo "rust: $passed tests passed"
