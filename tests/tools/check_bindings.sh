#!/bin/sh
# Bindings for other languages: examples/bindings/LANGUAGE/check.sh builds its binding against this library and runs it.
# What it writes belongs into the folder that it is started in, which is new and its own. Its status: 0, it works; 77,
# left out, and the last line that it printed says why; anything else, it fails. A binding that is left out is named.
#
#     CC= CXX= PYTHON= ONLY=LANGUAGE check_bindings.sh BUILD
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}" # waiting threads leave the processor to whoever else tests here
build=$(cd "$1" && pwd)
root=$(pwd)
failures=0
left_out=0
count=0

for check in examples/bindings/${ONLY:-*}/check.sh; do
    [ -f "$check" ] || { echo "check-bindings: no $check"; exit 1; }
    language=$(basename "$(dirname "$check")")
    work=$build/check-bindings/$language
    rm -rf "$work"
    mkdir -p "$work"
    count=$((count + 1))
    (cd "$work" && exec sh "$root/$check" "$build" "$root/include") > "$work.log" 2>&1 < /dev/null
    case $? in
    0)
        tail -n 1 "$work.log"
        ;;
    77)
        echo "check-bindings: $language left out: $(tail -n 1 "$work.log")"
        left_out=$((left_out + 1))
        ;;
    *)
        tail -n 40 "$work.log"
        echo "check-bindings: $language fails; all that it says is in $work.log"
        failures=$((failures + 1))
        ;;
    esac
done
echo "check-bindings: $count bindings, $left_out left out, $failures failures"
[ $failures -eq 0 ]
