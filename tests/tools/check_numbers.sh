#!/bin/sh
# The promises of docs/determinism.md in numbers: the same bits for the same threads, processor and options; and with
# other threads, instruction sets, algorithms and bf16 no further off than stated there. tests/numbers/numbers.c says
# what is computed and how differences are measured.
#
#     check_numbers.sh NUMBERS
numbers=$1
dir=$(dirname "$numbers")
failures=0
export OMP_WAIT_POLICY=passive
isa=$(uname -m)

make_file() { # NAME ISA OPTION...
    name=$1
    limit=$2
    shift 2
    found=$(ONEDNN_MAX_CPU_ISA=$limit "$numbers" "$dir/$name.safetensors" "$@")
    status=$?
    if [ $status -eq 77 ]; then echo "check-numbers: $name: left out, this processor has no such instructions"; fi
    if [ $status -ne 0 ] && [ $status -ne 77 ]; then failures=$((failures + 1)); fi
    return $status
}

same() { # A B
    if ! cmp -s "$dir/$1.safetensors" "$dir/$2.safetensors"; then
        echo "check-numbers: $1 and $2 must be the same, byte by byte"
        failures=$((failures + 1))
    fi
}

near() { # NAME FEATURES LOSS STEP: at most so far from "plain"
    name=$1
    shift
    printf '%-10s' "$name"
    "$numbers" --compare "$dir/plain.safetensors" "$dir/$name.safetensors" "$@" || failures=$((failures + 1))
}

make_file plain DEFAULT && make_file again DEFAULT && same plain again
native=$found
make_file threads-2 DEFAULT --threads 2 && make_file again DEFAULT --threads 2 && same threads-2 again && near threads-2 1e-6 1e-6 1e-3
make_file winograd-0 DEFAULT --winograd 0 && near winograd-0 3e-6 5e-5 3e-2
if [ "$isa" = x86_64 ]; then
    # A limit above what the processor has changes nothing: then there is nothing to compare.
    for limit in AVX512_CORE AVX2; do
        make_file "$limit" $limit || continue
        if [ "$found" = "$native" ] && [ $limit = AVX2 ]; then
            same plain "$limit"
        else
            make_file again $limit && same "$limit" again
        fi
        near "$limit" 3e-6 5e-5 3e-2
    done
fi
make_file bf16 DEFAULT --precision bf16 && near bf16 2e-2 1e-1 1

# A comparison that nothing could fail would be worth nothing: another seed is further off than any of these.
make_file seed-2 DEFAULT --seed 2
if "$numbers" --compare "$dir/plain.safetensors" "$dir/seed-2.safetensors" 2e-2 1e-1 1 > /dev/null; then
    echo "check-numbers: another seed must give other numbers"
    failures=$((failures + 1))
fi

if [ $failures -eq 0 ]; then echo "check-numbers: ok"; fi
exit $((failures > 0))
