/** Places for buffers in one arena: buffers whose lives overlap get ranges that do not. */
#ifndef SSLCV__ARENA_H
#define SSLCV__ARENA_H

#include "core/error.h"

#include <sslcv/context.h>

typedef struct sslcv__arena_buffer {
    int64_t bytes;
    int64_t first, last; /* steps, both included; first -1: never used */
    int64_t offset;      /* out: a multiple of 64 */
} sslcv__arena_buffer;

/**
 * First fit, largest buffer first: within a few per cent of the largest sum of buffers alive at one step on residual
 * networks, and the same for the same input.
 *
 * @param total Out: bytes of the arena.
 */
sslcv_status sslcv__arena_place(sslcv_context *context, sslcv__arena_buffer *buffers, int64_t count, int64_t *total);

#endif
