#!/bin/sh
# Runs libFuzzer on targets, one after the other. Each starts from what is committed and from what it learnt before.
#
#     fuzz.sh BUILD SECONDS TARGET...
build=$1
seconds=$2
shift 2
# Blocks that were freed are watched for a while; more of them only costs time here.
export ASAN_OPTIONS=quarantine_size_mb=8:$ASAN_OPTIONS OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
failed=0

for target in "$@"; do
    mkdir -p "$build/corpus/$target" "$build/finds"
    echo "== $target, $seconds s"
    "$build/engine/$target" -max_total_time="$seconds" -timeout=30 -rss_limit_mb=2500 -max_len=8192 -len_control=50 \
        -print_final_stats=1 -artifact_prefix="$build/finds/$target-" "$build/corpus/$target" \
        "tests/fuzz/corpus/$target" >"$build/$target.log" 2>&1 || failed=$((failed + 1))
    grep -E '^stat::number|ERROR:|runtime error:|not so:|Test unit written' "$build/$target.log"
    grep -o 'cov: [0-9]*' "$build/$target.log" | tail -n 1
done
echo "fuzz: $# targets, $failed with a find"
[ $failed -eq 0 ]
