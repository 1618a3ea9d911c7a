#!/bin/sh
# Every example runs without arguments on pictures that it draws itself: in a folder of its own, and with success.
#
#     check_examples.sh BUILD PROGRAM...
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}" # waiting threads leave the processor to whoever else tests here
build=$(cd "$1" && pwd)
shift
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

# pretrain once more, on files as CIFAR-10 has them: stopped by Ctrl-C it goes on, and ends as if it had not been. An
# image is a label and 3072 bytes: stripes of a direction and a colour for each class, and noise.
LC_ALL=C awk 'BEGIN {
    for (n = 0; n < 32; n++) {
        printf "%c", 1 + n % 4
        for (c = 0; c < 3; c++) for (y = 0; y < 32; y++) for (x = 0; x < 32; x++)
            printf "%c", 33 + ((n % 2 ? x : y) % 8 < 4 ? 30 : 0) + (c == n % 4 ? 30 : 0) + (n * 7 + x * y * 13 + c) % 31
    }
}' > "$work/data_batch_1.bin"
cp "$work/data_batch_1.bin" "$work/test_batch.bin"
pretrain() { # the shell becomes the program, so that $! below is the program
    exec "$build/examples/pretrain" --data cifar10:. --out "$1" --epochs 40 --size 16 --knn 10 \
        --settings "batch=16 width=0.0625 checkpoint_epochs=0"
}
resume() {
    pretrain parts > parts.log 2>&1 &
    tries=0
    until grep -qs '"step":3,' parts/scalars.jsonl || [ $tries -eq 600 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -INT $!
    wait $! && echo "Ctrl-C did not stop it" && return 1
    cat parts.log
    grep -q 'the same command goes on' parts.log && [ ! -e parts/backbone.safetensors ] || return 1
    (pretrain parts) && (pretrain whole) && cmp parts/backbone.safetensors whole/backbone.safetensors
}
if [ -x "$build/examples/pretrain" ]; then
    run "pretrain, stopped and resumed," resume
fi

# The promise of own_method.c: a new method takes fewer than 80 lines. Counted without comments and empty ones.
lines=$(awk '/^ *\/\*/ { comment = 1 } !comment && NF { n++ } /\*\// { comment = 0 } END { print n + 0 }' examples/own_method.c)
if [ "$lines" -ge 80 ]; then
    echo "check-examples: own_method.c has $lines lines of code; must stay below 80"
    failures=$((failures + 1))
fi
echo "check-examples: $count programs run, $failures failures"
[ $failures -eq 0 ]
