#!/bin/sh
# Calls that a guest library does not make. Comments and texts are blanked before looking.
awk '
BEGIN {
    n = split("printf fprintf vprintf vfprintf puts putchar perror exit _exit abort raise signal sigaction longjmp setjmp " \
              "rand srand random srandom drand48 time clock localtime gmtime strtok strerror setlocale getenv setenv putenv " \
              "sprintf vsprintf strcpy strcat gets atoi atol atof strtod strtof strtold sscanf fscanf scanf " \
              "malloc calloc realloc free aligned_alloc posix_memalign strdup strndup alloca system popen fork assert " \
              "omp_set_num_threads omp_set_dynamic omp_set_nested getcwd chdir umask " \
              "fopen freopen fdopen tmpfile mkstemp creat openat opendir", list, " ")
    for (i = 1; i <= n; i++) banned[list[i]] = 1
    # The places that must, and why.
    allowed["lib/core/context.c aligned_alloc"] = "the default allocator"
    allowed["lib/core/context.c free"] = "the default allocator"
    allowed["lib/core/dlpack.c malloc"] = "what a consumer holds may outlive every context"
    allowed["lib/core/dlpack.c free"] = "likewise"
    allowed["lib/image/jpeg.c setjmp"] = "the only way out of an error of libjpeg"
    allowed["lib/image/jpeg.c longjmp"] = "the only way out of an error of libjpeg"
    allowed["lib/core/compute.c omp_set_num_threads"] = "set for the frame, and put back"
    allowed["lib/core/compute.c omp_set_dynamic"] = "likewise"
    allowed["lib/core/openmp.h omp_set_num_threads"] = "declared"
    allowed["lib/core/openmp.h omp_set_dynamic"] = "declared"
}
FNR == 1 { comment = 0 }
{
    line = $0
    gsub(/\\./, "", line)
    gsub(/"[^"]*"/, "\"\"", line)
    code = ""
    while (line != "") {
        if (comment) {
            at = index(line, "*/")
            if (!at) break
            line = substr(line, at + 2)
            comment = 0
        } else {
            at = index(line, "/*")
            code = code (at ? substr(line, 1, at - 1) " " : line)
            line = at ? substr(line, at + 2) : ""
            comment = at > 0
        }
    }
    while (match(code, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
        name = substr(code, RSTART, RLENGTH)
        before = RSTART > 1 ? substr(code, RSTART - 1, 1) : ""
        sub(/[ \t]*\($/, "", name)
        code = substr(code, RSTART + RLENGTH)
        # x->free(...) and x.free(...) call what the host gave.
        if (name in banned && before !~ /[.>]/ && !((FILENAME " " name) in allowed)) {
            printf "%s:%d: %s()\n", FILENAME, FNR, name
            failures++
        }
    }
    lines++
}
END {
    printf "check-banned: %d lines, %d banned calls\n", lines, failures
    exit failures > 0
}' $(find lib -name '*.[ch]' | LC_ALL=C sort)
