#!/bin/sh
# Makes src/bindings.rs and src/layout.rs from the headers, by bindgen; afterwards the differences are yours to look at.
#
#     generate.sh INCLUDE_FOLDER [OUTPUT_FOLDER]
#
# bindgen's own text names every type in full and takes a dozen lines for the place of each field: that is 12,000 lines.
# So its words are shortened here, and the layout becomes a line for each struct.
set -eu
include=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
output=${2:-$here/src}
export LC_ALL=C
raw=$(mktemp)
trap 'rm -f "$raw"' EXIT

bindgen "$include/sslcv/sslcv.h" --allowlist-function 'sslcv_.*' --allowlist-type 'sslcv_.*' \
    --allowlist-var 'SSLCV_.*' --no-doc-comments --no-prepend-enum-name --size_t-is-usize \
    -- -std=c99 > "$raw"

{
    echo "// Made by generate.sh with $(bindgen --version): do not edit."
    echo
    echo 'use std::os::raw::{c_char, c_int, c_uint, c_void};'
    echo
    # One block of functions instead of one each; no layout tests; no names of the C library's own.
    awk '/^#\[test\]/ { test = 1 }
         test { if ($0 == "}") test = 0; next }
         /^\/\* automatically|^pub type __/ { next }
         $0 == "extern \"C\" {" { if (!open) print; open = 1; inside = 1; next }
         inside && $0 == "}" { inside = 0; next }
         open && !inside && NF { print "}"; open = 0 }
         { print }
         END { if (open) print "}" }' "$raw" | sed 's/::std::os::raw:://g; s/::std::option:://g'
} > "$output/bindings.rs"

{
    echo "// Made by generate.sh with $(bindgen --version): do not edit. Size of each struct and where its fields lie;"
    echo '// every function, so that the linker must find it.'
    echo
    echo '#[test]'
    echo 'fn layout() {'
    awk '/^fn bindgen_test_layout_/ { name = $2; sub(/^bindgen_test_layout_/, "", name); sub(/\(.*/, "", name); text = "" }
         match($0, /[0-9]+usize/) { number = substr($0, RSTART, RLENGTH - 5) }
         /addr_of!/ { field = $0; sub(/.*\(\*ptr\)\./, "", field); sub(/\).*/, "", field) }
         /"Size of: "/ { size = number }
         /"Offset of field: "/ { text = text " " field " " number }
         name != "" && $0 == "}" { print "    layout!(" name " " size " =>" text ");"; name = "" }' "$raw"
    echo '}'
    echo
    echo '#[test]'
    echo 'fn functions() {'
    echo '    let mut all: Vec<*const c_void> = Vec::new();'
    sed -n 's/^    pub fn \(sslcv_[a-z0-9_]*\)(.*/    link!(all \1);/p' "$output/bindings.rs"
    echo '    all.sort();'
    echo '    all.dedup();'
    echo "    assert_eq!(all.len(), $(grep -c '^    pub fn ' "$output/bindings.rs"));"
    echo '}'
} > "$output/layout.rs"
rustfmt --edition 2021 --config-path "$here/.." "$output/bindings.rs"
