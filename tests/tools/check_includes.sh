#!/bin/sh
# The dependency rule over #include "module/x.h" lines of lib/, and where foreign headers may be used:
#
#     onnx -> io, model -> nn -> dnn -> core
#     method -> train, eval -> loss, optim, augment, data, io, model -> nn -> dnn -> core
#                              loss -> cluster -> dnn
#                                       augment, data -> image -> core
#
# The arrow may be followed over several steps, never backwards; none between loss, optim and augment.
# A module that is missing a name here has found a new dependency: lower the shared thing one layer instead.
awk '
BEGIN {
    # Each line: the modules that one may include besides itself.
    may["core"]    = ""
    may["image"]   = "core"
    may["dnn"]     = "core"
    may["nn"]      = "dnn core"
    may["model"]   = "nn dnn core"
    may["io"]      = "nn dnn core"
    may["onnx"]    = "io model nn dnn core"
    may["cluster"] = "dnn core"
    may["loss"]    = "cluster nn dnn core"
    may["optim"]   = "nn dnn core"
    may["augment"] = "image core"
    may["data"]    = "augment image core"
    may["train"]   = "loss optim augment data io model nn dnn image core"
    may["eval"]    = "train cluster loss optim augment data io model nn dnn image core"
    may["method"]  = "core"
    # Foreign headers and their one home.
    home["dnnl"] = "^lib/dnn/"
    home["stb_"] = "^lib/image/"
    home["pb-c"] = "^lib/onnx/model[.]c$"
    home["Random123"] = "^lib/core/rng[.]c$"
}
function bad(text) {
    printf "%s:%d: %s\n", FILENAME, FNR, text
    failures++
}
/^[ \t]*#[ \t]*include/ {
    includes++
    split(FILENAME, part, "/")
    module = part[2]
    target = $0
    gsub(/^[^"<]*["<]|[">].*$/, "", target)
    for (name in home) {
        if (index(target, name) && FILENAME !~ home[name]) bad(target " is for " home[name] " only")
    }
    if (FILENAME ~ /^include\//) {
        if ($0 ~ /"/ ? target ~ /\// : target !~ /^std(def|int)[.]h$/) bad("a public header includes " target)
        next
    }
    if ($0 !~ /"/) next
    if (split(target, piece, "/") < 2) { bad("write \"" module "/" target "\""); next }
    if (!(module in may)) { bad("module " module " is not in the dependency rule"); next }
    if (piece[1] != module && index(" " may[module] " ", " " piece[1] " ") == 0) bad(module " must not include " target)
}
END {
    printf "check-includes: %d includes, %d wrong\n", includes, failures
    exit failures > 0
}' $(find lib include -name '*.[ch]' | LC_ALL=C sort)
