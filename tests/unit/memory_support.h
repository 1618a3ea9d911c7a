/** An allocator that counts, and that fails when told to: the host of a context in tests of memory. */
#ifndef SSLCV__TESTS_MEMORY_SUPPORT_H
#define SSLCV__TESTS_MEMORY_SUPPORT_H

#include "support.h"

#include <stdatomic.h>

/** Fails at call number fail_at, and from then on or, with once, at that one alone; -1: never. Any thread. */
typedef struct host {
    atomic_llong calls, fail_at, out; /* allocations so far; ..; blocks held now */
    atomic_llong held, most;          /* bytes now, and at most so far */
    int once;
} host;

static inline void *host_allocate(void *user, size_t bytes, size_t alignment)
{
    host *h = user;
    const long long limit = atomic_load(&h->fail_at), call = atomic_fetch_add(&h->calls, 1);
    void *memory;

    if (limit >= 0 && (h->once ? call == limit : call >= limit)) return NULL;
    memory = aligned_alloc(alignment, bytes);
    if (memory) {
        const long long held = atomic_fetch_add(&h->held, (long long)bytes) + (long long)bytes;
        long long most = atomic_load(&h->most);

        while (held > most && !atomic_compare_exchange_weak(&h->most, &most, held)) continue;
        atomic_fetch_add(&h->out, 1);
    }
    return memory;
}

static inline void host_deallocate(void *user, void *memory, size_t bytes)
{
    atomic_fetch_sub(&((host *)user)->held, (long long)bytes);
    atomic_fetch_sub(&((host *)user)->out, 1);
    free(memory);
}

/** h NULL: malloc; threads 0: as many as the machine has. */
static inline sslcv_context *new_context(host *h, int32_t threads)
{
    const sslcv_allocator allocator = {sizeof allocator, h, host_allocate, host_deallocate, NULL};
    sslcv_context_options options;
    sslcv_context *context;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.threads = threads;
    if (h) options.allocator = &allocator;
    OK(sslcv_context_create(&options, &context));
    return context;
}

#endif
