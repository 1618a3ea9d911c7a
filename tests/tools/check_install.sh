#!/bin/sh
# Installs into an empty prefix and into a DESTDIR, compares the lists of files, builds and runs what users would build
# against it by pkg-config, and uninstalls.
#
#     CC= CXX= PKG_CONFIG= PYTHON= MAKE= VERSION= check_install.sh BUILD
build=$(cd "$1" && pwd)
work=$build/check-install
prefix=$work/prefix
failures=0
export LC_ALL=C
rm -rf "$work"
mkdir -p "$work/programs"

fail() {
    echo "check-install: $*"
    failures=$((failures + 1))
}
make_quietly() {
    # MAKEFLAGS of the make above would bring its variables back.
    MAKEFLAGS= ${MAKE:-make} BUILD="$build" "$@" > "$work/log" 2>&1 || { cat "$work/log"; fail "make $*"; }
}
files_in() {
    (cd "$1" && find . ! -type d | sed 's|^\./||' | sort)
}

# ---- files ----

sed "s/@VERSION@/$VERSION/" tests/install/files.txt | grep -v '^#' | sort > "$work/expected"
make_quietly install PREFIX="$prefix"
files_in "$prefix" > "$work/installed"
diff "$work/expected" "$work/installed" || fail "files in the prefix differ from tests/install/files.txt"

make_quietly install PREFIX=/opt/somewhere DESTDIR="$work/destdir"
files_in "$work/destdir/opt/somewhere" > "$work/staged"
diff "$work/expected" "$work/staged" || fail "files in DESTDIR differ from tests/install/files.txt"
[ "$(ls "$work/destdir")" = opt ] || fail "something is outside of the prefix in DESTDIR"
if grep -q "$work" "$work/destdir/opt/somewhere/lib/pkgconfig/sslcv.pc"; then fail "sslcv.pc names DESTDIR"; fi

make_quietly install PREFIX="$work/alias" LIBSSL_ALIAS=1
files_in "$work/alias" | diff "$work/expected" - | grep '^[<>]' > "$work/extra"
printf '> lib/sslcv/libssl.pc\n> lib/sslcv/libssl.so\n' | diff - "$work/extra" || fail "LIBSSL_ALIAS=1 adds other files"
[ -e "$work/alias/lib/sslcv/libssl.so" ] || fail "libssl.so points nowhere"

# ---- consumers ----

export PKG_CONFIG_PATH="$prefix/lib/pkgconfig" LD_LIBRARY_PATH="$prefix/lib"
config=${PKG_CONFIG:-pkg-config}
strict="-Wall -Wextra -pedantic -Werror -DEXPECTED_VERSION=\"$VERSION\""

# run NAME COMPILER SOURCE FLAGS...
run() {
    program=$work/programs/$1
    compiler=$2
    source=$3
    shift 3
    $compiler $strict -o "$program" "$source" "$@" && "$program" > "$work/log" 2>&1 && return
    cat "$work/log"
    fail "$(basename "$program") does not work (status $?)"
}
run c_shared "${CC:-cc} -std=c99" tests/install/consumer.c $($config --cflags --libs sslcv)
run cpp_shared "${CXX:-c++} -std=c++11" tests/install/consumer.cpp $($config --cflags --libs sslcv)
if $config --exists openssl; then
    run openssl "${CC:-cc} -std=c99" tests/install/with_openssl.c $($config --cflags --libs sslcv openssl)
    ldd "$work/programs/openssl" | grep -q 'libssl\.so\.' || fail "with_openssl does not use OpenSSL's libssl"
else
    echo "check-install: OpenSSL's development files are missing; with_openssl.c left out"
fi
if command -v "${PYTHON:-python3}" >/dev/null 2>&1; then
    ${PYTHON:-python3} tests/install/consumer.py "$prefix/lib/libsslcv.so.0" "$VERSION" > "$work/log" 2>&1 ||
        { cat "$work/log"; fail "consumer.py does not work"; }
else
    echo "check-install: no Python; consumer.py left out"
fi
[ "$($config --modversion sslcv)" = "$VERSION" ] || fail "sslcv.pc has another version"

# Static: a prefix without the shared library, as distributions that have only libsslcv.a.
rm -f "$prefix"/lib/libsslcv.so*
run c_static "${CC:-cc} -std=c99" tests/install/consumer.c $($config --static --cflags --libs sslcv)
run cpp_static "${CXX:-c++} -std=c++11" tests/install/consumer.cpp $($config --static --cflags --libs sslcv)
for program in c_static cpp_static; do
    if ldd "$work/programs/$program" | grep -q sslcv; then fail "$program uses the shared library"; fi
done

# ---- uninstall ----

make_quietly uninstall PREFIX="$work/alias"
left=$(files_in "$work/alias")
[ -z "$left" ] || fail "uninstall leaves" $left

echo "check-install: $(wc -l < "$work/expected") files, $(ls "$work/programs" | wc -l) programs, $failures failures"
[ $failures -eq 0 ]
