#!/bin/sh
# Replays the corpus of each fuzz target: what was found once must not come back.
#
#     check_fuzz.sh PROGRAM...     named after the folders of tests/fuzz/corpus/
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
inputs=0
failed=0

for program in "$@"; do
    target=${program##*/}
    set -- tests/fuzz/corpus/"$target"/*
    if [ ! -f "$1" ]; then
        echo "check-fuzz: tests/fuzz/corpus/$target has no file"
        failed=$((failed + 1))
    elif ! "$program" "$@" >"$log" 2>&1; then
        echo "check-fuzz: $target fails; the last file named is the one:"
        tail -n 40 "$log"
        failed=$((failed + 1))
    fi
    inputs=$((inputs + $#))
done
echo "check-fuzz: $inputs inputs, $failed targets failed"
[ $failed -eq 0 ]
