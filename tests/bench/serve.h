/** Programs that work when told, so that run.py can alternate between them. */
#ifndef SSLCV__BENCH_SERVE_H
#define SSLCV__BENCH_SERVE_H

#include "bench.h"

#include <jansson.h>

/** What a program does on "step", "memory" and "look". */
typedef struct bench_server {
    void *user;
    sslcv_context *context;
    json_t *about; /* printed first */
    sslcv_status (*step)(void *user);
    sslcv_status (*look)(void *user, json_t *); /* adds to an object; NULL: nothing to see */
    const double *seconds; /* what step() measured itself; NULL: the time that it takes */
} bench_server;

/** Library, context and how many of what a step handles; the caller adds more and owns it. NULL: out of memory. */
static inline json_t *bench_describe(sslcv_context *context, const char *unit, int64_t per_step)
{
    sslcv_context_info info = {.struct_size = sizeof info};

    if (sslcv_context_get_info(context, &info) != SSLCV_OK) return NULL;
    return json_pack("{s:s, s:s, s:s, s:I, s:i, s:s, s:s, s:s}", "library", "sslcv", "version", sslcv_version_string(),
                     "unit", unit, "per_step", (json_int_t)per_step, "threads", (int)info.threads, "precision",
                     info.precision == SSLCV_PRECISION_F32 ? "f32" : "bf16", "instruction_set", info.cpu, "build",
                     sslcv_build_info());
}

static inline void bench_print_json(const json_t *value, size_t flags)
{
    json_dumpf(value, stdout, flags | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(7));
    putchar('\n');
    fflush(stdout);
}

/** Bytes that the library holds, which it planned; oneDNN's own and the program's are not among them. */
static inline int64_t bench_held(const sslcv_context *context)
{
    sslcv_context_info info = {.struct_size = sizeof info};

    return sslcv_context_get_info(context, &info) == SSLCV_OK ? info.bytes : 0;
}

static inline sslcv_status bench_answer(const bench_server *server, const char *command)
{
    sslcv_status status = SSLCV_OK;

    if (strcmp(command, "step\n") == 0) {
        const double start = bench_clock();

        TRY(server->step(server->user));
        printf("%.7f\n", server->seconds ? *server->seconds : bench_clock() - start);
    } else if (strcmp(command, "memory\n") == 0) {
        printf("%lld %lld\n", (long long)bench_peak(), (long long)bench_held(server->context));
    } else if (strcmp(command, "look\n") == 0) {
        json_t *findings = json_object();

        if (server->look) status = server->look(server->user, findings);
        if (status == SSLCV_OK) bench_print_json(findings, JSON_COMPACT);
        json_decref(findings);
    } else {
        printf("step, memory, look or quit\n");
    }
    fflush(stdout);
end:
    return status;
}

/**
 * Prints server->about in one line, then answers the commands on standard input, one a line, with one line each:
 * "step" works and prints its seconds; "memory" prints peak bytes of the process and bytes that the library holds;
 * "look" prints where the time goes, as JSON; "quit" ends.
 */
static inline sslcv_status bench_serve(const bench_server *server)
{
    char line[64];
    sslcv_status status = SSLCV_OK;

    bench_print_json(server->about, JSON_COMPACT);
    while (fgets(line, sizeof line, stdin) && strcmp(line, "quit\n") != 0) TRY(bench_answer(server, line));
end:
    return status;
}

#endif
