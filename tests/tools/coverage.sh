#!/bin/sh
# Lines of lib/ that the tests have executed, from the counters that a build with --coverage left: the ten files that
# lack most, and the share of all. Fails below the percentage given.
#
#     GCOV=gcov coverage.sh BUILD 90
build=$1
export LC_ALL=C
find "$build/lib" -name '*.gcda' | sed 's/gcda$/o/' | xargs "${GCOV:-gcov}" -n 2> /dev/null |
    awk -v least="$2" '
/^File / { file = substr($2, 2, length($2) - 2) }
/^Lines executed:/ && file ~ /^lib\/.*\.c$/ {
    split($0, part, /[:% ]+/)
    executed = part[3] / 100 * part[5]
    all += part[5]
    hit += executed
    files++
    printf "%6d %6.1f %% of %4d  %s\n", part[5] - executed + 0.5, part[3], part[5], file | "sort -rn | head -n 10"
    file = ""
}
END {
    close("sort -rn | head -n 10")
    if (all == 0) { print "coverage: no counters"; exit 1 }
    printf "coverage: %.1f %% of %d lines in %d files\n", 100 * hit / all, all, files
    exit 100 * hit / all < least
}'
