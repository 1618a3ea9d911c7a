#!/bin/sh
# Each public header compiles alone, as C99 and as C++11, without a warning and without padding in its structs; the
# umbrella includes all; every public function carries its comment with all tags. That for C++ alone (.hpp) compiles as
# C++17 and as C++20.
#
#     CC=cc CXX=c++ check_headers.sh HEADER...
failures=0
strict="-pedantic -Wall -Wextra -Werror -fsyntax-only"

for header in "$@"; do
    case $header in
    *.hpp)
        for standard in 17 20; do
            ${CXX:-c++} -std=c++$standard $strict -Wshadow -x c++ "$header" || failures=$((failures + 1))
        done
        shift
        continue
        ;;
    esac
    set -- "$@" "$header" # in the end those for C alone
    shift
    ${CC:-cc} -std=c99 $strict -Wpadded -x c "$header" || failures=$((failures + 1))
    ${CXX:-c++} -std=c++11 $strict -x c++ "$header" || failures=$((failures + 1))
    name=${header##*/}
    if [ "$name" != sslcv.h ] && ! grep -q "^#include \"$name\"" include/sslcv/sslcv.h; then
        echo "$header: not included by sslcv.h"
        failures=$((failures + 1))
    fi
    guard=SSLCV_$(echo "${name%.h}" | tr a-z A-Z)_H
    if ! grep -q "^#ifndef $guard\$" "$header"; then
        echo "$header: the include guard is not $guard"
        failures=$((failures + 1))
    fi
done

# The comment before a declaration must have @param for each parameter and no other, @return unless void, @threads, @since.
awk '
function wrong(text) {
    printf "%s:%d: %s: %s\n", FILENAME, FNR, name, text
    failures++
}
function check(declaration,    list, n, i, w, count, named) {
    name = declaration
    sub(/[ \n]*\(.*/, "", name)
    sub(/.*[ *]/, "", name)
    functions++
    if (comment !~ /@threads/) wrong("no @threads")
    if (comment !~ /@since +[0-9]+\.[0-9]+/) wrong("no @since")
    if (declaration !~ /SSLCV_API void [a-z]/ && comment !~ /@return/) wrong("no @return")
    list = declaration
    sub(/^[^(]*\(/, "", list)
    sub(/\)[^)]*$/, "", list)
    count = 0
    n = list == "void" ? 0 : split(list, part, ",")
    for (i = 1; i <= n; i++) {
        w = part[i]
        gsub(/\[[^]]*\]/, "", w)
        gsub(/[ \n]+$/, "", w)
        sub(/.*[ *\n]/, "", w)
        # "@param a, b ..." names several.
        if (comment ~ ("@param[^@]*[ ,]" w "[ ,]")) count++
        else wrong("no @param " w)
    }
    named = gsub(/@param/, "@param", comment)
    if (named > n) wrong(named " @param for " n " parameters")
}
FNR == 1 { comment = ""; inside = 0; open = 0 }
/^\/\*\*/ { comment = ""; inside = 1 }
inside { comment = comment $0 "\n"; if (/\*\//) inside = 0; next }
/^SSLCV_API/ { open = 1; text = "" }
open { text = text $0 "\n"; if (/;/) { check(text); open = 0; comment = "" } }
END {
    printf "check-headers: %d functions, %d failures in comments\n", functions, failures
    exit failures > 0
}' "$@" || failures=$((failures + 1))

# Names that belong to OpenSSL.
if grep -nE '\b(ssl|SSL)_[A-Za-z]' "$@"; then
    echo "check-headers: names that start with ssl_ are OpenSSL's"
    failures=$((failures + 1))
fi
[ $failures -eq 0 ]
