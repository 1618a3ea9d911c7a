#!/bin/sh
# Every example runs without arguments on pictures that it draws itself: in a folder of its own, and with success.
#
#     PYTHON= check_examples.sh BUILD PROGRAM...
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}" # waiting threads leave the processor to whoever else tests here
build=$(cd "$1" && pwd)
shift
root=$(pwd)
work=$build/check-examples
failures=0
rm -rf "$work"
mkdir -p "$work"

run() {
    name=$1
    shift
    if ! (cd "$work" && "$@") > "$work/log" 2>&1 < /dev/null; then
        tail -n 20 "$work/log"
        echo "check-examples: $name fails"
        failures=$((failures + 1))
    fi
}
count=0
for program in "$@"; do
    run "$program" "$build/examples/${program#*/examples/}"
    count=$((count + 1))
done
if command -v "${PYTHON:-python3}" >/dev/null 2>&1; then
    for program in examples/python/*.py; do
        run "$program" "${PYTHON:-python3}" "$root/$program" "$build/libsslcv.so.0"
        count=$((count + 1))
    done
else
    echo "check-examples: no Python; examples/python left out"
fi
echo "check-examples: $count programs run, $failures failures"
[ $failures -eq 0 ]
