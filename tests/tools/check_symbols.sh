#!/bin/sh
# Declared in headers = listed in lib/sslcv.map = exported by the shared library; and every global name of the static
# library starts with sslcv_, so that it meets no other library's.
#
#     NM=nm check_symbols.sh BUILD
build=$1
dir=$build/check-symbols
failures=0
export LC_ALL=C
mkdir -p "$dir"

sh tests/tools/list_symbols.sh include/sslcv/*.h | cut -d' ' -f2 | sort > "$dir/declared"
sed -n 's/^ *\(sslcv_[a-z0-9_]*\);.*/\1/p' lib/sslcv.map | sort > "$dir/listed"
${NM:-nm} -D --defined-only "$build/libsslcv.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort > "$dir/exported"
${NM:-nm} -g --defined-only "$build/libsslcv.a" | awk 'NF == 3 && $3 !~ /^sslcv_/ { print $3 }' > "$dir/foreign"

compare() {
    if ! diff "$dir/$1" "$dir/$2" > "$dir/diff"; then
        echo "check-symbols: $1 (<) and $2 (>) differ:"
        grep '^[<>]' "$dir/diff"
        failures=$((failures + 1))
    fi
}
compare declared listed
compare listed exported
if [ -s "$dir/foreign" ]; then
    echo "check-symbols: global names in libsslcv.a that do not start with sslcv_:"
    cat "$dir/foreign"
    failures=$((failures + 1))
fi
# A name that the library looks up at run time would be found in another copy that the host has loaded before.
if command -v readelf > /dev/null 2>&1; then
    readelf -rW "$build/libsslcv.so" | sed -n 's/.* \(sslcv_[a-z0-9_]*\).*/\1/p' > "$dir/looked-up"
    if [ -s "$dir/looked-up" ]; then
        echo "check-symbols: the library does not bind its own names itself:"
        cat "$dir/looked-up"
        failures=$((failures + 1))
    fi
fi
echo "check-symbols: $(wc -l < "$dir/declared") declared, $(wc -l < "$dir/exported") exported, $failures failures"
[ $failures -eq 0 ]
