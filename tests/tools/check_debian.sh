#!/bin/sh
# Builds the Debian packages of debian/ as any builder would, twice and in two places: lintian finds neither an error
# nor a warning, both builds give the same bytes, and programs are compiled and run with what the packages hold.
# Installs nothing and needs no root. Not part of "make check": a quarter of an hour on two cores.
#
#     VERSION= check_debian.sh BUILD
build=$(cd "$1" && pwd)
work=$build/check-debian
failures=0
export LC_ALL=C
unset MAKEFLAGS MAKELEVEL BUILD PREFIX DESTDIR CFLAGS CXXFLAGS CPPFLAGS LDFLAGS CC CXX NM PKG_CONFIG PYTHON

fail() {
    echo "check-debian: $*"
    failures=$((failures + 1))
}
for tool in dpkg-buildpackage dh lintian; do
    command -v $tool >/dev/null 2>&1 || { echo "check-debian: $tool is missing; left out"; exit 0; }
done
if ! missing=$(dpkg-checkbuilddeps 2>&1); then
    echo "check-debian: ${missing#*error: }; left out"
    exit 0
fi

# ---- two builds ----

# What a release archive has, also where this is not a checkout.
rm -rf "$work"
mkdir -p "$work/archive/sslcv-$VERSION" "$work/first" "$work/second/deeper"
if git ls-files --error-unmatch Makefile >/dev/null 2>&1; then
    git ls-files | tar -cf - -T -
else
    tar -cf - --exclude="./${build##*/}" .
fi | tar -xf - -C "$work/archive/sslcv-$VERSION"
tar -czf "$work/first/sslcv_$VERSION.orig.tar.gz" -C "$work/archive" "sslcv-$VERSION"
for place in first second/deeper; do cp -r "$work/archive/sslcv-$VERSION" "$work/$place"; done

# The first with source and tests; the second without tests, at another depth, in another time zone and locale, with
# another number of jobs.
packages() {
    (cd "$work/$1/sslcv-$VERSION" && shift && nice "$@") > "$work/log" 2>&1 && return
    tail -n 40 "$work/log"
    fail "$*"
}
jobs=$(nproc 2>/dev/null || echo 2)
packages first env DEB_BUILD_OPTIONS="parallel=$jobs" dpkg-buildpackage -us -uc
cp "$work/log" "$work/first/log"
packages second/deeper env DEB_BUILD_OPTIONS="nocheck parallel=$((jobs + 1))" TZ=Pacific/Auckland LC_ALL=C.UTF-8 \
    dpkg-buildpackage -us -uc -b
[ $failures -eq 0 ] || exit 1
for package in "$work"/first/*.deb; do
    cmp "$package" "$work/second/deeper/${package##*/}" || fail "${package##*/} differs between two builds"
done

# ---- what they are like ----

lintian --fail-on error,warning --tag-display-limit 0 "$work"/first/*.changes > "$work/log" 2>&1 ||
    fail "lintian is not content"
grep -v '^N:\|^warning:\|^running with root' "$work/log"
grep -qE '^[1-9][0-9]* passed, 0 failed$' "$work/first/log" || fail "the build has run no tests"
names=$(for package in "$work"/first/*.deb; do dpkg-deb -f "$package" Package; done | sort | tr '\n' ' ')
[ "$names" = "libsslcv-dev libsslcv0 libsslcv0-dbgsym sslcv-doc sslcv-examples " ] || fail "packages are: $names"
for package in "$work"/first/*.deb; do dpkg-deb -x "$package" "$work/root"; done
if find "$work/root" -name 'libssl*' ! -name 'libsslcv*' | grep .; then fail "names that are OpenSSL's"; fi
library=$(echo "$work"/root/usr/lib/*/libsslcv.so.0)
readelf -dlW "$library" > "$work/log"
grep -q GNU_RELRO "$work/log" && grep -q BIND_NOW "$work/log" || fail "linked without hardening (relro, bindnow)"
${NM:-nm} -D "$library" > "$work/log"
grep -q __stack_chk_fail "$work/log" && grep -q _chk@ "$work/log" || fail "compiled without hardening (stack, fortify)"

# ---- their own test, on what they hold ----

libdir=${library%/*}
mkdir -p "$work/programs"
env AUTOPKGTEST_TMP="$work/programs" EXAMPLES="$work/root/usr/share/doc/sslcv-examples/examples" \
    PKG_CONFIG_SYSROOT_DIR="$work/root" PKG_CONFIG_PATH="$libdir/pkgconfig" LD_LIBRARY_PATH="$libdir" \
    OMP_WAIT_POLICY=passive sh debian/tests/examples > "$work/log" 2>&1 ||
    { tail -n 20 "$work/log"; fail "debian/tests/examples"; }

echo "check-debian: $(ls "$work"/first/*.deb | wc -l) packages, $failures failures"
[ $failures -eq 0 ]
