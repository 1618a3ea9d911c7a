#!/bin/sh
# The library in a host that watches it: tests/guest/. What the host owns stays as it was, nothing is printed, forks are
# told apart, and it works when opened at run time, beside another copy of itself, and beside PyTorch.
#
#     CC= PYTHON= LIBS= check_guest.sh BUILD
build=$(cd "$1" && pwd)
work=$build/check-guest
failures=0
programs=0
rm -rf "$work"
mkdir -p "$work/other" "$work/locale"
# libsslcv.so.0 is found below, libguest_work.so beside the programs.
export LD_LIBRARY_PATH="$build" OMP_WAIT_POLICY=passive
unset OMP_NUM_THREADS OMP_DYNAMIC OMP_SCHEDULE

fail() {
    echo "check-guest: $*"
    failures=$((failures + 1))
}
compile() { # OUTPUT ARGUMENT...
    output=$1
    shift
    ${CC:-cc} -std=c11 -O1 -g -Wall -Wextra -Werror -Iinclude -o "$work/$output" "$@" && return
    fail "$output cannot be built"
    exit 1
}
# run NAME COMMAND...: what it prints is what is wrong.
run() {
    name=$1
    shift
    programs=$((programs + 1))
    timeout 120 "$@" > "$work/log" 2>&1 && return
    status=$?
    cat "$work/log"
    fail "$name (status $status)"
}

compile libguest_work.so -fPIC -shared tests/guest/work.c -L"$build" -lsslcv
compile manners -fopenmp tests/guest/manners.c -L"$work" -lguest_work -Wl,-rpath,"$work" -lm -lpthread
compile copies tests/guest/copies.c -ldl
compile fork tests/guest/fork.c -L"$build" -lsslcv

# ---- what the host owns, and what is printed ----

# manners NAME [ARGUMENT]: says nothing, so every byte is the library's.
manners() {
    name=$1
    shift
    programs=$((programs + 1))
    mkdir -p "$work/$name"
    timeout 120 "$work/manners" "$work/$name" "$@" > "$work/out-$name" 2> "$work/err-$name"
    status=$?
    [ -s "$work/$name/report" ] && cat "$work/$name/report"
    [ $status -eq 0 ] || fail "manners, $name (status $status)"
    [ -f "$work/$name/report" ] || fail "manners, $name: no report"
    for text in "$work/out-$name" "$work/err-$name"; do
        [ -s "$text" ] && { cat "$text"; fail "manners, $name: something has been printed"; }
    done
}
manners usual
manners closed closed
if command -v localedef > /dev/null 2>&1 && localedef -i de_DE -f UTF-8 "$work/locale/de_DE.UTF-8" 2> /dev/null; then
    LOCPATH=$work/locale LC_ALL=de_DE.UTF-8 manners comma
else
    echo "check-guest: no localedef or no locale sources; a locale with a comma left out"
fi

# ---- fork; opened at run time ----

run fork "$work/fork"
# Another copy, as a host would have it that bundles one under a name of its own.
${CC:-cc} -shared -o "$work/other/libsslcv-other.so" -Wl,-soname,libsslcv-other.so -Wl,-Bsymbolic-functions \
    -Wl,--version-script=lib/sslcv.map -Wl,--whole-archive "$build/libsslcv.a" -Wl,--no-whole-archive $LIBS ||
    fail "the other copy cannot be linked"
compile libguest_other.so -fPIC -shared tests/guest/work.c -L"$work/other" -lsslcv-other -Wl,-rpath,"$work/other"
mkdir -p "$work/copies-files"
run copies "$work/copies" "$work/copies-files" "$work/libguest_work.so" "$work/libguest_other.so"
left=$(cat "$work/log")

# ---- PyTorch ----

python=
for candidate in "${PYTHON:-python3}" /usr/bin/python3; do
    [ -z "$python" ] && "$candidate" -c 'import torch' > /dev/null 2>&1 && python=$candidate
done
if [ -n "$python" ]; then
    for order in without first last; do
        run "beside_torch.py $order" "$python" -B tests/guest/beside_torch.py "$build/libsslcv.so.0" $order
        cp "$work/log" "$work/torch-$order"
    done
    [ "$(head -n 1 "$work/torch-without")" = "$(head -n 1 "$work/torch-first")" ] || fail "PyTorch first: other results"
    cmp -s "$work/torch-first" "$work/torch-last" || fail "PyTorch last: other results"
else
    echo "check-guest: no Python with PyTorch; beside_torch.py left out"
fi

[ -z "$left" ] || echo "check-guest: $left"
echo "check-guest: $programs programs, $failures failures"
[ $failures -eq 0 ]
