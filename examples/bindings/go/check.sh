#!/bin/sh
# Formats, vets and tests the package against the library, with cgo's checks of pointers on.
#
#     check.sh LIBRARY_FOLDER INCLUDE_FOLDER      writes below $SSLCV_BUILD alone; 77: left out
set -u
library=$1
include=$2
here=$(cd "$(dirname "$0")" && pwd)
for tool in go pkg-config cc; do
    if ! command -v $tool >/dev/null 2>&1; then
        echo "no $tool"
        exit 77
    fi
done
build=${SSLCV_BUILD:-$(mktemp -d)}
[ -n "${SSLCV_BUILD:-}" ] || trap 'chmod -R u+w "$build"; rm -rf "$build"' EXIT
work=$build/go
mkdir -p "$work/tmp" || exit 1
# No network, nothing outside of the folder: the package has no dependencies.
export GOCACHE="$work/cache" GOPATH="$work/path" GOTMPDIR="$work/tmp" TMPDIR="$work/tmp" GOENV=off GOFLAGS=-mod=mod \
    GOTOOLCHAIN=local GOPROXY=off CGO_ENABLED=1 CC="${CC:-cc}"
case $(go version) in # the thorough check of what C is given
    *go1.1* | *go1.20*) export GODEBUG=cgocheck=2 ;;
    *) export GOEXPERIMENT=cgocheck2 ;;
esac
export LD_LIBRARY_PATH="$library${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"
cat > "$work/sslcv.pc" <<PC
Name: sslcv
Description: the library that is tested
Version: 0
Libs: -L$library -lsslcv
Cflags: -I$include
PC
export PKG_CONFIG_PATH="$work"
cd "$here" || exit 1

run() {
    if ! "$@" > "$work/log" 2>&1; then
        cat "$work/log"
        echo "go: $* fails"
        exit 1
    fi
}
if command -v gofmt >/dev/null 2>&1 && [ -n "$(gofmt -l .)" ]; then
    gofmt -d .
    echo "go: gofmt would change it"
    exit 1
fi
run go vet ./...
run go test -count=1 -v ./...
passed=$(grep -c '^--- PASS' "$work/log")

# The README's program compiles.
mkdir -p "$work/readme"
sed -n '/^```go$/,/^```$/p' README.md | grep -v '^```' > "$work/readme/main.go"
printf 'module readme\n\nrequire example.com/sslcv v0.0.0\n\nreplace example.com/sslcv => %s\n' "$here" \
    > "$work/readme/go.mod"
cd "$work/readme" && run go vet .
echo "go: $passed tests passed"
