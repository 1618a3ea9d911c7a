#!/bin/sh
# Names of the functions that public headers declare, in their order.
#
#     list_symbols.sh HEADER...      one "HEADER NAME" a line
#     list_symbols.sh --map          a version script of all headers, for lib/sslcv.map before the first release;
#                                    after it, new names go into a new node by hand
names() {
    # From SSLCV_API to the first "(", where the last word is the name.
    awk '/^SSLCV_API/ { text = ""; open = 1 }
         open { text = text " " $0 }
         open && /\(/ { sub(/\(.*/, "", text); n = split(text, word, /[ *]+/); print FILENAME, word[n]; open = 0 }' "$@"
}

if [ "$1" != --map ]; then
    names "$@"
    exit
fi
echo '/* Every symbol that libsslcv.so exports; a release adds a node. tests/tools/check_symbols.sh compares it with the'
echo '   headers and with the library. */'
echo 'SSLCV_0.1 {'
echo 'global:'
for header in $(sed -n 's/^#include "\(.*\)"/include\/sslcv\/\1/p' include/sslcv/sslcv.h); do
    [ -f "$header" ] || continue
    list=$(names "$header")
    [ -n "$list" ] || continue
    echo "    /* ${header##*/} */"
    echo "$list" | awk '{ print "    " $2 ";" }' | LC_ALL=C sort
done
echo 'local:'
echo '    *;'
echo '};'
