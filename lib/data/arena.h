/**
 * Memory that is given back all at once: names, labels and pixels of a data set. Addresses never change, so readers
 * need no lock for what has been published to them. One thread at a time allocates.
 */
#ifndef SSLCV__DATA_ARENA_H
#define SSLCV__DATA_ARENA_H

#include <sslcv/context.h>

typedef struct sslcv__arena {
    struct sslcv__arena_block *newest;
    int64_t used, capacity; /* of the newest block's memory */
} sslcv__arena;

/** bytes >= 0, aligned to 64 when 4096 or more, else to 8. */
sslcv_status sslcv__arena_alloc(sslcv_context *context, sslcv__arena *arena, int64_t bytes, void **memory);

/** A copy of length bytes of text, with an ending 0. */
sslcv_status sslcv__arena_text(sslcv_context *context, sslcv__arena *arena, const char *text, int64_t length,
                               const char **copy);

void sslcv__arena_free(sslcv_context *context, sslcv__arena *arena);

#endif
