/** What a context holds, for the rest of the library. Everything but the atomics is fixed at creation. */
#ifndef SSLCV__CONTEXT_H
#define SSLCV__CONTEXT_H

#include <sslcv/context.h>

#include <stdatomic.h>

#include "core/object.h"

struct sslcv_context {
    sslcv__object       object;
    sslcv_allocator     allocator;
    sslcv_log_fn        log;
    void               *log_user;
    void              (*log_destroy)(void *user); /* set when creation has succeeded */
    int32_t             log_level;
    int32_t             threads;        /* resolved: >= 1 */
    int32_t             loader_threads; /* resolved: >= 0 */
    int32_t             precision;      /* resolved: F32 or BF16 */
    int32_t             winograd;
    uint64_t            seed;
    atomic_uint_fast64_t seeds_drawn;
    atomic_int_fast64_t bytes;          /* held by this context and everything made from it */
    atomic_int          cancelled;
    _Atomic(void *)     backend;        /* of lib/dnn: its engine, made at first use */
    void (*free_backend)(void *backend);
    struct sslcv__tuning *tuning;       /* of lib/dnn; NULL: algorithms follow the fixed rule */
};

/** The last step of a context's life; sslcv__release() calls it. */
void sslcv__context_free(sslcv_context *context);

/** seed itself when it is not 0, else the next of the context's. Never 0. */
uint64_t sslcv__context_seed(sslcv_context *context, uint64_t seed);

/** SSLCV_ERR_CANCELLED while sslcv_context_cancel() is on: the check of every long loop. */
sslcv_status sslcv__context_check_cancel(const sslcv_context *context);

/** One line to the host's log. Only on a thread that is inside a public call, never on the library's own. */
void sslcv__log(const sslcv_context *context, int32_t level, const char *format, ...) SSLCV__PRINTF(3, 4);

#endif
