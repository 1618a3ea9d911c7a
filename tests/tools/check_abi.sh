#!/bin/sh
# The binary interface: layout of every public struct, no released symbol lost, soname; every release's description, by
# abidiff; and every release's program, compiled against the headers of its time.
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

# abidiff: whatever is not the same counts, but for what a release may do: new functions, new constants behind the others
# (which abidiff takes for harmless), new fields at the end of structs that tell their size.
compared=0
cat > "$build/check-abi/allowed.ini" <<TEXT
[suppress_type]
type_kind = struct
name_not_regexp = ^sslcv_tensor\$
has_data_member_inserted_at = end
TEXT
if ! command -v abidiff > /dev/null 2>&1; then
    echo "check-abi: no abidiff; descriptions are not compared"
elif ! readelf -S "$build/libsslcv.so" | grep -q debug_info; then
    echo "check-abi: the library has no debug information; descriptions are not compared"
elif ! sh tests/tools/describe_abi.sh "$build/libsslcv.so" "$build/check-abi/today.abi"; then
    failures=$((failures + 1))
else
    for description in tests/abi/sslcv-*.abi; do
        compared=$((compared + 1))
        abidiff --no-architecture --no-added-syms --suppressions "$build/check-abi/allowed.ini" "$description" \
            "$build/check-abi/today.abi" > "$build/check-abi/report" && continue
        cat "$build/check-abi/report"
        echo "check-abi: not what $description promises"
        failures=$((failures + 1))
    done
fi

# Constants are int32_t where they are passed, so no description has them: what each release's header says, and today's.
constants() { # NAMES OUTPUT INCLUDE...
    {
        echo '#include <stdio.h>'
        echo 'static void show(const char *name, long long value) { printf("%s %lld%c", name, value, 10); }'
        echo 'int main(void) {'
        for constant in $1; do printf 'show("%s", %s);\n' "$constant" "$constant"; done
        echo 'return 0; }'
    } > "$build/check-abi/constants.c"
    output=$2
    shift 2
    ${CC:-cc} -w "$@" "$build/check-abi/constants.c" -o "$build/check-abi/constants" && "$build/check-abi/constants" > "$output"
}
for header in tests/abi/sslcv-*.h; do
    names=$(grep -o 'SSLCV_[A-Z0-9_]* = ' "$header" | cut -d ' ' -f 1)
    if ! constants "$names" "$build/check-abi/constants-then" -include "$header" ||
        ! constants "$names" "$build/check-abi/constants-now" -Iinclude -include sslcv/sslcv.h ||
        ! diff "$build/check-abi/constants-then" "$build/check-abi/constants-now"; then
        echo "check-abi: constants are not what $header has"
        failures=$((failures + 1))
    fi
done

# A program for each release, with today's library: named files of tests/abi/ it takes from the current folder.
programs=0
for source in tests/abi/sslcv-*.c; do
    name=${source##*/}
    name=${name%.c}
    programs=$((programs + 1))
    mkdir -p "$build/check-abi/$name-files"
    if ! ${CC:-cc} -std=c11 -O1 -g -Wall -Wextra -Werror -Itests/abi "$source" -o "$build/check-abi/$name" -L"$build" -lsslcv -lm; then
        failures=$((failures + 1))
    elif ! LD_LIBRARY_PATH="$build" timeout 120 "$build/check-abi/$name" "$build/check-abi/$name-files"; then
        echo "check-abi: $name, a program of that release, fails"
        failures=$((failures + 1))
    fi
done
echo "check-abi: $(echo "$structs" | wc -l) structs, $(grep -vc '^#' tests/abi/symbols.txt) released symbols," \
    "$(echo "$names" | wc -l) constants, $compared descriptions compared, $programs programs of releases run, $failures failures"
[ $failures -eq 0 ]
