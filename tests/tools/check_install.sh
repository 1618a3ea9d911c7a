#!/bin/sh
# Installs into an empty prefix and into a DESTDIR, compares the lists of files, builds and runs what users would build
# against it by pkg-config and CMake, and uninstalls.
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
show() {
    cat "$work/log"
    fail "$*"
}
make_quietly() {
    # MAKEFLAGS of the make above would bring its variables back.
    MAKEFLAGS= ${MAKE:-make} BUILD="$build" "$@" > "$work/log" 2>&1 || show "make $*"
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
if grep -rIl "$work" "$work/destdir"; then fail "text files name DESTDIR"; fi
for tree in "$prefix" "$work/destdir"; do
    taken=$(find "$tree" -name 'libssl*' ! -name 'libsslcv*' -o -name 'ssl.h' -o -name 'openssl*')
    [ -z "$taken" ] || fail "names that are OpenSSL's:" $taken
done

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
run cpp17_shared "${CXX:-c++} -std=c++17" tests/install/consumer17.cpp $($config --cflags --libs sslcv)
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

# The literal name works from its own folder, and from no other; libssl.pc beside sslcv.pc stays OpenSSL's.
alias_lib=$work/alias/lib
(
    export LD_LIBRARY_PATH="$alias_lib"
    run alias "${CC:-cc} -std=c99" tests/install/consumer.c -I"$work/alias/include" -L"$alias_lib/sslcv" -lssl
    run alias_pc "${CC:-cc} -std=c99" tests/install/consumer.c \
        $(PKG_CONFIG_PATH="$alias_lib/sslcv" $config --cflags --libs libssl)
    exit $failures
) || failures=$((failures + $?))
for program in alias alias_pc; do
    LD_LIBRARY_PATH=$alias_lib ldd "$work/programs/$program" | grep -q "libsslcv\.so\.0 => $alias_lib/" ||
        fail "$program does not use libsslcv.so.0"
    if ldd "$work/programs/$program" | grep -q 'libssl\.so'; then fail "$program wants a libssl.so"; fi
done
if ${CC:-cc} -I"$work/alias/include" tests/install/consumer.c -DEXPECTED_VERSION='""' -o "$work/taken" \
        -L"$alias_lib" -lssl 2> /dev/null; then
    fail "-lssl finds this library outside of its folder"
fi
[ "$(env PKG_CONFIG_PATH= $config --variable=pcfiledir libssl 2>&1)" = \
  "$(env PKG_CONFIG_PATH="$alias_lib/pkgconfig" $config --variable=pcfiledir libssl 2>&1)" ] ||
    fail "an installed copy changes what pkg-config finds as libssl"

# ---- CMake ----

# cmake_finds NAME PREFIX WANTED COMPONENTS: configures a project; its output is in $work/log.
cmake_finds() {
    env -u LD_LIBRARY_PATH -u PKG_CONFIG_PATH CC="${CC:-cc}" CXX="${CXX:-c++}" \
        cmake -S tests/install -B "$work/$1" -DCMAKE_PREFIX_PATH="$2" -DWANTED="$3" -DCOMPONENTS="$4" \
        $cmake_flags > "$work/log" 2>&1
}
# cmake_runs NAME PREFIX COMPONENTS: configures, builds without warnings and runs.
cmake_runs() {
    cmake_finds "$1" "$2" 0.1 "$3" && CFLAGS= CXXFLAGS= MAKEFLAGS= cmake --build "$work/$1" > "$work/log" 2>&1 ||
        { show "CMake: $1"; return; }
    for program in "$work/$1"/cmake_c*; do
        env -u LD_LIBRARY_PATH "$program" > "$work/log" 2>&1 || show "CMake: $1: $program"
        env -u LD_LIBRARY_PATH ldd "$program" > "$work/log"
        case $program in
        *_static) grep -q sslcv "$work/log" && fail "CMake: $1: $program uses the shared library" ;;
        *) grep -q "sslcv\.so\.0 => $2/" "$work/log" || show "CMake: $1: $program uses another library" ;;
        esac
        cp "$program" "$work/programs/$1_${program##*/}"
    done
}
cmake_flags=
if command -v cmake >/dev/null 2>&1; then
    cmake_runs cmake "$prefix" 'sslcv;static'
    series=${VERSION%.*}
    for wanted in "$series" "$VERSION" "$VERSION;EXACT" "${VERSION%%.*}" "$series...<99"; do
        cmake_finds version "$prefix" "$wanted" sslcv || show "CMake: asked for $wanted, not found"
    done
    for wanted in "${series%.*}.$((${series#*.} + 1))" "$series.$((${VERSION##*.} + 1))" 99 0.0 "0.0...<$VERSION"; do
        if cmake_finds version "$prefix" "$wanted" sslcv; then fail "CMake: asked for $wanted, took $VERSION"; fi
        grep -q "version: $VERSION" "$work/log" || show "CMake: asked for $wanted, silent on what there is"
    done
    if cmake_finds component "$prefix" "$series" nonesuch; then fail "CMake: finds a component that is none"; fi
    grep -q 'no sslcv::nonesuch' "$work/log" || show "CMake: does not name a component that is none"

    # Another depth of LIBDIR, moved after it was installed. CMake looks below lib/ for its own machine's name only.
    make_quietly install PREFIX="$work/before" LIBDIR="$work/before/lib/some-machine"
    mv "$work/before" "$work/after"
    cmake_flags=-Dsslcv_DIR=$work/after/lib/some-machine/cmake/sslcv
    cmake_runs moved "$work/after" 'sslcv;static'
else
    echo "check-install: no CMake; find_package() left out"
fi

# Static: a prefix without the shared library, as distributions that have only libsslcv.a.
rm -f "$prefix"/lib/libsslcv.so*
run c_static "${CC:-cc} -std=c99" tests/install/consumer.c $($config --static --cflags --libs sslcv)
run cpp_static "${CXX:-c++} -std=c++11" tests/install/consumer.cpp $($config --static --cflags --libs sslcv)
for program in c_static cpp_static; do
    if ldd "$work/programs/$program" | grep -q sslcv; then fail "$program uses the shared library"; fi
done

# ---- uninstall ----

if command -v "${PYTHON:-python3}" >/dev/null 2>&1; then
    make_quietly install-man PREFIX="$work/alias"
    for page in man3/sslcv_trainer_run.3 man3/sslcv_trainer_options.3 man7/sslcv.7; do
        [ -f "$work/alias/share/man/$page" ] || fail "install-man leaves out $page"
    done
else
    echo "check-install: no Python; manual pages left out"
fi
make_quietly uninstall PREFIX="$work/alias"
left=$(files_in "$work/alias")
[ -z "$left" ] || fail "uninstall leaves" $left

echo "check-install: $(wc -l < "$work/expected") files, $(ls "$work/programs" | wc -l) programs, $failures failures"
[ $failures -eq 0 ]
