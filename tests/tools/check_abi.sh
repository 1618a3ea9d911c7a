#!/bin/sh
# The binary interface: layout of every public struct, no released symbol lost, soname, and against the description of
# the last release, once there is one, by abidiff.
#
#     CC=cc CXX=c++ check_abi.sh BUILD
build=$1
failures=0
export LC_ALL=C
mkdir -p "$build/check-abi"

strict="-Wall -Wextra -pedantic -Werror -Iinclude -fsyntax-only"
${CC:-cc} -std=c99 $strict tests/abi/layout.c || failures=$((failures + 1))
${CXX:-c++} -std=c++11 $strict -x c++ tests/abi/layout.c || failures=$((failures + 1))

# Structs that headers define, opaque ones left out, must all be pinned.
structs=$(cat include/sslcv/*.h | sed -n 's/^typedef struct \(sslcv_[a-z0-9_]*\) {.*/\1/p')
for name in $structs; do
    if ! grep -q "^LAST($name, " tests/abi/layout.c; then
        echo "check-abi: tests/abi/layout.c does not pin $name"
        failures=$((failures + 1))
    fi
done

# tests/abi/symbols.txt: "NAME@@NODE" a line, what releases have exported; nothing may leave while the soname stays.
${NM:-nm} -D --defined-only "$build/libsslcv.so" | awk '$2 != "A" { print $3 }' | sort > "$build/check-abi/symbols"
lost=$(grep -v '^#' tests/abi/symbols.txt | sort | comm -23 - "$build/check-abi/symbols")
if [ -n "$lost" ]; then
    echo "check-abi: no longer exported:" $lost
    failures=$((failures + 1))
fi
if ! readelf -d "$build/libsslcv.so" | grep -q 'SONAME.*\[libsslcv\.so\.0\]'; then
    echo "check-abi: the soname is not libsslcv.so.0"
    failures=$((failures + 1))
fi

# abidiff: bit 8 is an incompatible change; bit 4 alone a changed type, as for a harmless appended field: to be read.
last=$(ls tests/abi/*.abi 2>/dev/null | tail -n 1)
if [ -n "$last" ] && command -v abidiff >/dev/null 2>&1; then
    abidiff --headers-dir2 include/sslcv --drop-private-types "$last" "$build/libsslcv.so"
    status=$?
    if [ $((status & 8)) -ne 0 ] || [ $((status & 3)) -ne 0 ]; then
        failures=$((failures + 1))
    elif [ $status -ne 0 ]; then
        echo "check-abi: types have changed since $last; read the report above"
    fi
fi
echo "check-abi: $(echo "$structs" | wc -l) structs, $(grep -vc '^#' tests/abi/symbols.txt) released symbols," \
    "compared with ${last:-no release}, $failures failures"
[ $failures -eq 0 ]
