#include "nn/arena.h"

#include <stdlib.h>

#include "core/memory.h"

static int larger_first(const void *a, const void *b)
{
    const sslcv__arena_buffer *x = *(sslcv__arena_buffer *const *)a, *y = *(sslcv__arena_buffer *const *)b;

    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    return x < y ? -1 : 1; /* in the order of creation */
}

static int by_offset(const void *a, const void *b)
{
    const sslcv__arena_buffer *x = *(sslcv__arena_buffer *const *)a, *y = *(sslcv__arena_buffer *const *)b;

    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int overlap(const sslcv__arena_buffer *a, const sslcv__arena_buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest gap between the placed buffers that live at the same time. */
static int64_t lowest_gap(sslcv__arena_buffer *const *alive, int64_t count, int64_t bytes)
{
    int64_t offset = 0, i;

    for (i = 0; i < count; i++) {
        const int64_t end = alive[i]->offset + alive[i]->bytes;

        if (alive[i]->offset - offset >= bytes) break;
        if (end > offset) offset = end;
    }
    return offset;
}

sslcv_status sslcv__arena_place(sslcv_context *context, sslcv__arena_buffer *buffers, int64_t count, int64_t *total)
{
    sslcv__arena_buffer **order = NULL, **alive = NULL;
    int64_t end = 0, i, j;
    sslcv_status status = sslcv__alloc_array(context, count, sizeof *order, (void **)&order);

    if (status == SSLCV_OK) status = sslcv__alloc_array(context, count, sizeof *alive, (void **)&alive);
    if (status == SSLCV_OK) {
        for (i = 0; i < count; i++) {
            buffers[i].bytes = (buffers[i].bytes + 63) / 64 * 64;
            order[i] = &buffers[i];
        }
        qsort(order, (size_t)count, sizeof *order, larger_first);
        for (i = 0; i < count; i++) {
            int64_t num_alive = 0;

            order[i]->offset = 0;
            if (order[i]->first < 0) continue;
            for (j = 0; j < i; j++) {
                if (order[j]->first >= 0 && overlap(order[j], order[i])) alive[num_alive++] = order[j];
            }
            qsort(alive, (size_t)num_alive, sizeof *alive, by_offset);
            order[i]->offset = lowest_gap(alive, num_alive, order[i]->bytes);
            if (order[i]->offset + order[i]->bytes > end) end = order[i]->offset + order[i]->bytes;
        }
        *total = end;
    }
    sslcv__free(context, alive);
    sslcv__free(context, order);
    return status;
}
