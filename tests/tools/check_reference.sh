#!/bin/sh
# The reference that is made from the headers: a manual page for each function, structure and callback, which mandoc
# finds nothing wrong with; in HTML a place for each name; every link leads somewhere; no word of a comment is lost.
#
#     PYTHON= MAKE= check_reference.sh BUILD HEADER...
build=$(cd "$1" && pwd)
shift
work=$build/check-reference
failures=0
export LC_ALL=C
rm -rf "$work"
mkdir -p "$work"

fail() {
    echo "check-reference: $*"
    failures=$((failures + 1))
}
if ! command -v "${PYTHON:-python3}" >/dev/null 2>&1; then
    echo "check-reference: no Python; left out"
    exit 0
fi
for kind in man html; do
    ${PYTHON:-python3} -B docs/reference/generate.py $kind "$work/$kind" "$@" > /dev/null || exit 1
done
pages=$work/man/man3

# ---- manual ----

sh tests/tools/list_symbols.sh "$@" | cut -d' ' -f2 | sort > "$work/functions"
sed -n -e 's/^typedef struct \([a-z0-9_]*\) .*/\1/p' -e 's/^typedef .*(\*\([a-z0-9_]*\)).*/\1/p' "$@" |
    sort > "$work/types"
for name in $(cat "$work/functions" "$work/types"); do
    [ -f "$pages/$name.3" ] || fail "no manual page $name(3)"
done
while read -r name; do
    for part in NAME SYNOPSIS DESCRIPTION THREADS SINCE 'SEE ALSO'; do
        grep -q "^\.SH $part\$" "$pages/$name.3" || fail "$name(3) has no $part"
    done
done < "$work/functions"
for page in "$work"/man/man*/*; do
    target=$(sed -n 's/^\.so //p' "$page")
    [ -z "$target" ] || [ -f "$work/man/$target" ] || fail "$page: no $target"
done
# \fBname\fP(3) and .BR name (3)
grep -ho -e 'sslcv[a-z0-9_.]*\\fP(3)' -e '^\.BR sslcv[a-z0-9_.]* (3)' "$work"/man/man*/* |
    sed 's/^\.BR //; s/\\fP/ /; s/ *(3)//' | sort -u | while read -r name; do
        [ -f "$pages/$name.3" ] || echo "$name"
    done > "$work/lost"
[ ! -s "$work/lost" ] || fail "manual pages refer to" $(cat "$work/lost")
if command -v mandoc >/dev/null 2>&1; then
    own=$(grep -L '^\.so' "$work"/man/man*/*)
    mandoc -T lint -W warning $own > "$work/log" 2>&1 || { head -n 20 "$work/log"; fail "mandoc is not content"; }
    mandoc -T utf8 -O width=900 $own | sed 's/.\x08//g' > "$work/man.txt"
else
    echo "check-reference: no mandoc; its opinion left out"
fi

# ---- HTML ----

(cd "$work/html" && {
    grep -o 'id="[^"]*"' ./*.html | sed 's|^\./||; s/:id="\(.*\)"/#\1/'
    ls
} | sort > "$work/anchors"
sort "$work/anchors" | uniq -d > "$work/twice"
grep -o 'href="[^"]*"' ./*.html | sed 's/.*href="//; s/"$//' | sort -u | comm -23 - "$work/anchors" > "$work/dangling")
[ ! -s "$work/twice" ] || fail "anchors that are there twice:" $(cat "$work/twice")
[ ! -s "$work/dangling" ] || fail "links that lead nowhere:" $(cat "$work/dangling")
grep -ho '\bSSLCV_[A-Z0-9_]* *= -\{0,1\}[0-9]' "$@" | sed 's/ *=.*//' | cat "$work/functions" "$work/types" - |
    while read -r name; do grep -q "#$name\$" "$work/anchors" || echo "$name"; done > "$work/lost"
[ ! -s "$work/lost" ] || fail "names that HTML lacks:" $(cat "$work/lost")

# ---- words ----

# Words of comments in the order of the alphabet. Tags are none, nor titles of sections, which get a capital, nor names
# of headers, which manual pages give as sslcv_io.h.
words() {
    sed 's/\b[a-z]*\.h\b//g' | tr -cs "A-Za-z0-9_" '\n' | grep . | sort -u
}
for header in "$@"; do
    grep -v '^/\* ----' "$header" | awk '
        /\/\*/ { inside = 1; if (!/^ *\/\*/) sub(/^.*\/\*/, "") }
        inside { gsub(/@(param|return|threads|since)/, ""); if (!/@file/) print }
        /\*\// { inside = 0 }' | words > "$work/said"
    page=$work/html/$(basename "$header" .h).html
    [ "$(basename "$header")" != sslcv.h ] || page=$work/html/index.html
    sed "s/<[^>]*>/ /g; s/&quot;/ /g; s/&gt;/>/g; s/&lt;/</g; s/&amp;/ /g; s/&#x27;/ /g" "$page" | words > "$work/shown"
    comm -23 "$work/said" "$work/shown" > "$work/lost"
    [ ! -s "$work/lost" ] || fail "words of $header that HTML lacks:" $(cat "$work/lost")
    if [ -f "$work/man.txt" ]; then
        words < "$work/man.txt" | comm -23 "$work/said" - > "$work/lost"
        [ ! -s "$work/lost" ] || fail "words of $header that no manual page has:" $(cat "$work/lost")
    fi
done

echo "check-reference: $(wc -l < "$work/functions") functions, $(ls "$work"/man/man* | grep -c sslcv) manual pages," \
    "$(ls "$work"/html/*.html | wc -l) of HTML, $failures failures"
[ $failures -eq 0 ]
