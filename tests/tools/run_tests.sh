#!/bin/sh
# Runs test programs one after the other and adds up what Check reports; the last line is "N passed, N failed".
# A program that ends without a report, or badly after one, counts as one failure more.
#
#     [RUN="valgrind -q"] run_tests.sh PROGRAM...
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}" # waiting threads leave the processor to whoever else tests here
export CK_DEFAULT_TIMEOUT="${CK_DEFAULT_TIMEOUT:-20}" # Check's own 4 seconds are few where much else runs
passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

for program in "$@"; do
    echo "== ${program##*/}"
    $RUN "$program" >"$log" 2>&1
    status=$?
    cat "$log"
    # "97%: Checks: 40, Failures: 1, Errors: 0"
    counts=$(sed -n 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\)$/\1 \2 \3/p' "$log" | tail -n 1)
    set -- ${counts:-0 0 1}
    bad=$(($2 + $3))
    passed=$((passed + $1 - ($1 > 0 ? bad : 0)))
    if [ $status -ne 0 ] && [ $bad -eq 0 ]; then bad=1; fi
    if [ $status -ne 0 ]; then echo "== ${program##*/} ends with status $status"; fi
    failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
