#include "data/arena.h"

#include "core/checked.h"
#include "core/error.h"
#include "core/memory.h"

#include <string.h>

/*
 * Small pieces share blocks; a large one gets a block of its own, chained behind the newest, whose rest stays usable.
 *
 *     newest -> | header | name, name, name ...  free | -> | header | pixels | -> | header | names ... |
 */
enum { BLOCK_BYTES = 64 << 10, LARGE = 4096, HEADER = 64, ALIGNMENT = 8 };

struct sslcv__arena_block {
    struct sslcv__arena_block *next;
};

static sslcv_status new_block(sslcv_context *context, int64_t bytes, struct sslcv__arena_block **block)
{
    int64_t total;

    if (!sslcv__add(bytes, HEADER, &total)) total = INT64_MAX;
    return sslcv__alloc(context, total, (void **)block);
}

static char *memory_of(struct sslcv__arena_block *block)
{
    return (char *)block + HEADER;
}

static sslcv_status alloc_large(sslcv_context *context, sslcv__arena *arena, int64_t bytes, void **memory)
{
    struct sslcv__arena_block *block;
    const sslcv_status status = new_block(context, bytes, &block);

    if (status != SSLCV_OK) return status;
    if (arena->newest) {
        block->next = arena->newest->next;
        arena->newest->next = block;
    } else {
        block->next = NULL;
        arena->newest = block; /* used == capacity: nothing small fits into it */
    }
    *memory = memory_of(block);
    return SSLCV_OK;
}

sslcv_status sslcv__arena_alloc(sslcv_context *context, sslcv__arena *arena, int64_t bytes, void **memory)
{
    struct sslcv__arena_block *block;
    sslcv_status status;

    *memory = NULL;
    if (bytes >= LARGE) return alloc_large(context, arena, bytes, memory);
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (bytes > arena->capacity - arena->used) {
        status = new_block(context, BLOCK_BYTES, &block);
        if (status != SSLCV_OK) return status;
        block->next = arena->newest;
        arena->newest = block;
        arena->used = 0;
        arena->capacity = BLOCK_BYTES;
    }
    *memory = memory_of(arena->newest) + arena->used;
    arena->used += bytes;
    return SSLCV_OK;
}

sslcv_status sslcv__arena_text(sslcv_context *context, sslcv__arena *arena, const char *text, int64_t length,
                               const char **copy)
{
    void *memory;
    const sslcv_status status = sslcv__arena_alloc(context, arena, length + 1, &memory);

    if (status != SSLCV_OK) return status;
    memcpy(memory, text, (size_t)length);
    ((char *)memory)[length] = 0;
    *copy = memory;
    return SSLCV_OK;
}

void sslcv__arena_free(sslcv_context *context, sslcv__arena *arena)
{
    struct sslcv__arena_block *block = arena->newest, *next;

    for (; block; block = next) {
        next = block->next;
        sslcv__free(context, block);
    }
    memset(arena, 0, sizeof *arena);
}
