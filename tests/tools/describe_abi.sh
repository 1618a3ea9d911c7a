#!/bin/sh
# What a release promises to programs that are compiled already, as files that a later version is compared with:
#
#     describe_abi.sh LIBRARY DESCRIPTION     libabigail's: types and symbols, of public headers only
#     describe_abi.sh --headers FILE          the public headers as one, without comments
set -e
if [ "$1" = --headers ]; then
    {
        echo "/* The public headers of sslcv $(sed -n 's/^.define SSLCV_VERSION_[MP][A-Z]* *//p' include/sslcv/version.h |
            paste -s -d .) as released, without comments. Never edited. */"
        for name in $(sed -n 's/^#include "\(.*\)"$/\1/p' include/sslcv/sslcv.h); do
            ${CC:-cc} -fpreprocessed -dD -E -P -x c "include/sslcv/$name" 2> /dev/null | sed '/^#include "/d; s/ *$//'
        done
    } > "$2"
    exit
fi

private=$(mktemp)
trap 'rm -f "$private"' EXIT
# Not --drop-private-types: it goes by the names of files, and lib/ has a context.h too.
cat > "$private" <<TEXT
[suppress_type]
source_location_not_regexp = ^include/sslcv/
drop = yes
TEXT
abidw --suppressions "$private" --exported-interfaces-only --drop-undefined-syms --no-elf-needed --no-corpus-path \
    --no-comp-dir-path --no-show-locs --no-parameter-names "$1" --out-file "$2"
