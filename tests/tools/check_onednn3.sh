#!/bin/sh
# Builds with oneDNN 3.x and runs the unit tests: the same suites as with the oneDNN of this system.
#
#     [ONEDNN3=PREFIX] [ONLY=core] check_onednn3.sh BUILD
#
# PREFIX has include/oneapi/dnnl/ and lib/. Without it two wheels (3.2, with the GNU OpenMP runtime; x86-64) are fetched
# once by pip into BUILD/onednn3; where that can't be done the check says so and passes.
set -eu
build=$1
make=${MAKE:-make}
python=${PYTHON:-python3}
prefix=${ONEDNN3:-$build/onednn3}

if [ -z "${ONEDNN3:-}" ] && [ ! -e "$prefix/lib/libdnnl.so" ]; then
    wheels="$prefix.wheels"
    rm -rf "$prefix" "$wheels"
    mkdir -p "$wheels"
    if ! $python -m pip download --quiet --no-deps --only-binary :all: --dest "$wheels" \
        onednn-cpu-gomp==2023.2.0 onednn-devel-cpu-gomp==2023.2.0 >"$wheels/log" 2>&1; then
        echo "check-onednn3: skipped: pip does not bring oneDNN 3.x ($wheels/log); ONEDNN3=PREFIX names one"
        exit 0
    fi
    for wheel in "$wheels"/*.whl; do $python -m zipfile -e "$wheel" "$wheels/all"; done
    mkdir -p "$prefix.new/lib"
    mv "$wheels"/all/*devel*.data/data/include "$prefix.new/include"
    mv "$wheels"/all/onednn_cpu*.data/data/lib/libdnnl.so.3 "$prefix.new/lib/"
    ln -s libdnnl.so.3 "$prefix.new/lib/libdnnl.so"
    mv "$prefix.new" "$prefix"
    rm -rf "$wheels"
fi

prefix=$(cd "$prefix" && pwd)
libdir="$prefix/lib"
for candidate in "$prefix/lib64" "$prefix/lib/$(${CC:-cc} -dumpmachine)"; do
    [ ! -e "$candidate/libdnnl.so" ] || libdir=$candidate
done
major=$(sed -n 's/^#define DNNL_VERSION_MAJOR *//p' "$prefix/include/oneapi/dnnl/dnnl_version.h")
if [ "$major" != 3 ]; then
    echo "check-onednn3: $prefix has oneDNN ${major:-of no version}, not 3.x" >&2
    exit 1
fi
exec $make --no-print-directory BUILD="$build/v3" ONLY="${ONLY:-*}" CPPFLAGS="-I$prefix/include ${CPPFLAGS:-}" \
    LDFLAGS="-L$libdir -Wl,-rpath,$libdir ${LDFLAGS:-}" check-unit
