#!/bin/sh
# What the documentation says holds: C blocks compile, the README's program trains and embeds when built as the README
# says, make targets exist, links lead somewhere, and every function that is named is declared.
#
#     CC= PKG_CONFIG= MAKE= check_docs.sh BUILD
build=$(cd "$1" && pwd)
work=$build/check-docs
failures=0
export LC_ALL=C
rm -rf "$work"
mkdir -p "$work/photos"
documents=$(find README.md CHANGELOG.md CONTRIBUTING.md docs examples tests -name '*.md' | sort)

fail() {
    echo "check-docs: $*"
    failures=$((failures + 1))
}

# ---- C blocks: a whole file with #include, or else declarations, or the body of a function ----

# Block N of NAME.md becomes $work/NAME_N.c; its first line says where it stands.
awk -v work="$work" '
FNR == 1 { name = FILENAME; gsub(/[\/.]/, "_", name); count = 0; open = 0 }
/^```c$/ { file = work "/" name "_" ++count ".c"; print "#line " FNR + 1 " \"" FILENAME "\"" > file; open = 1; next }
/^```/ { if (open) close(file); open = 0 }
open { print > file }' $documents

strict="-std=c99 -D_POSIX_C_SOURCE=200809L -fsyntax-only -Iinclude -Itests/tools"
fatal="-Werror=implicit-function-declaration -Werror=incompatible-pointer-types -Werror=int-conversion"
compiles() {
    ${CC:-cc} $strict $fatal "$@" 2> "$work/errors"
}
blocks=0
for block in "$work"/*.c; do
    [ -f "$block" ] || continue
    blocks=$((blocks + 1))
    if grep -q '^#include' "$block"; then
        compiles -Wall -Wextra -pedantic -Werror "$block" || { cat "$work/errors"; fail "$(head -n 1 "$block")"; }
        continue
    fi
    { echo '#include "docs_fragment.h"'; cat "$block"; } > "$work/declarations.h"
    { echo '#include "docs_fragment.h"'; echo 'sslcv_status fragment(void); sslcv_status fragment(void) {'; cat "$block"
      echo 'return status; }'; } > "$work/body.h"
    sed 's/^return status; }$/end: return status; }/' "$work/body.h" > "$work/body_end.h"
    compiles -x c "$work/declarations.h" || compiles -x c "$work/body_end.h" || compiles -x c "$work/body.h" ||
        { cat "$work/errors"; fail "$(head -n 1 "$block")"; }
done

# ---- the README's program, built by the README's command against an installed copy, on drawn pictures ----

MAKEFLAGS= ${MAKE:-make} BUILD="$build" PREFIX="$work/prefix" install > "$work/log" 2>&1 || { cat "$work/log"; fail install; }
for i in 1 2 3 4 5 6 7 8; do
    awk -v i=$i 'BEGIN { printf "P6\n32 32\n255\n"
        for (p = 0; p < 3 * 32 * 32; p++) printf "%c", 33 + (p * i + int(p / 96) * i * i) % 90 }' > "$work/photos/$i.ppm"
done
cp "$work/README_md_1.c" "$work/pretrain.c"
command=$(grep -m 1 '^cc .*pretrain\.c' README.md)
if [ -z "$command" ]; then
    fail "README.md does not say how to compile pretrain.c"
elif ! (cd "$work" && export PKG_CONFIG_PATH="$work/prefix/lib/pkgconfig" LD_LIBRARY_PATH="$work/prefix/lib" &&
        eval "$command" && ./pretrain photos "epochs=1 batch=4") > "$work/log" 2>&1; then
    cat "$work/log"
    fail "README.md's program"
elif ! grep -q '^8 images, 512 numbers each' "$work/log"; then
    cat "$work/log"
    fail "README.md's program prints something else"
fi

# ---- commands, links, names ----

# "make deps check   words" in a block, and `make deps check` within a line.
targets=$({ sed -n 's/^ *\(sudo \)\{0,1\}\(make .*\)/\2/p' $documents | sed 's/  .*//; s/#.*//'
    grep -oh '`make [^`]*`' $documents | tr -d '`'; } | tr ' ' '\n' | grep -v -e '^make$' -e = -e '^\$' -e '"' | sort -u)
for target in $targets; do
    grep -qE "^([a-z_.-]+ )*$target( [a-z_.-]+)*:" Makefile || grep -q "^CHECKS .* $target\b" Makefile || fail "no make target $target"
done
for document in $documents; do
    # Outside of code blocks: a lambda of C++ looks like a link.
    for link in $(awk '/^```/ { code = !code; next } !code' "$document" | grep -o ']([^)#]*[)#]' | sed 's/^](//; s/[)#]$//' | grep -v '^[a-z]*:' | sort -u); do
        [ -e "$(dirname "$document")/$link" ] || fail "$document: no $link"
    done
done
sh tests/tools/list_symbols.sh include/sslcv/*.h | cut -d' ' -f2 | sort > "$work/declared"
for name in $(grep -oh '\bsslcv_[a-z0-9_]*()' $documents | sed 's/()$//' | sort -u | comm -23 - "$work/declared"); do
    fail "$(grep -l "\b$name()" $documents | tr '\n' ' ')names $name(), which no header declares"
done

echo "check-docs: $(echo "$documents" | wc -l) documents, $blocks code blocks, $failures failures"
[ $failures -eq 0 ]
