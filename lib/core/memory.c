#include "core/memory.h"

#include "core/checked.h"
#include "core/context.h"
#include "core/error.h"

#include <stdlib.h>
#include <string.h>

/*
 * A block as the allocator sees it:
 *
 *     | int64 bytes asked of the allocator, padding | what the library uses ...
 *     ^ aligned to 64                               ^ 64 further on, aligned too
 */
enum { ALIGNMENT = 64 };

/* What the library did not ask for is out of bounds to a sanitizer, in front and behind, though the block has it. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define WATCHED 1
#endif
#if defined(WATCHED)
#include <sanitizer/asan_interface.h>

static void close_padding(char *block, int64_t total, int64_t bytes)
{
    ASAN_POISON_MEMORY_REGION(block + sizeof total, ALIGNMENT - sizeof total);
    ASAN_POISON_MEMORY_REGION(block + ALIGNMENT + bytes, (size_t)(total - ALIGNMENT - bytes));
}

static void open_padding(char *block, int64_t total)
{
    ASAN_UNPOISON_MEMORY_REGION(block, (size_t)total);
}
#else
static void close_padding(char *block, int64_t total, int64_t bytes)
{
    (void)block;
    (void)total;
    (void)bytes;
}

static void open_padding(char *block, int64_t total)
{
    (void)block;
    (void)total;
}
#endif

sslcv_status sslcv__alloc(sslcv_context *context, int64_t bytes, void **memory)
{
    const sslcv_allocator *allocator = &context->allocator;
    int64_t total;
    char *block = NULL;

    *memory = NULL;
    if (sslcv__add(bytes, 2 * ALIGNMENT - 1, &total)) {
        total -= total % ALIGNMENT; /* aligned_alloc wants a multiple of the alignment */
        block = allocator->allocate(allocator->user, (size_t)total, ALIGNMENT);
    }
    if (!block) {
        return sslcv__fail(SSLCV_ERR_OUT_OF_MEMORY, "out of memory: %lld bytes asked for, %lld held", (long long)bytes,
                           (long long)atomic_load(&context->bytes));
    }
    *(int64_t *)block = total;
    atomic_fetch_add_explicit(&context->bytes, total, memory_order_relaxed);
    *memory = block + ALIGNMENT;
    close_padding(block, total, bytes);
    return SSLCV_OK;
}

sslcv_status sslcv__alloc_array(sslcv_context *context, int64_t count, int64_t size, void **memory)
{
    int64_t bytes;
    sslcv_status status;

    *memory = NULL;
    if (!sslcv__multiply(count, size, &bytes)) {
        return sslcv__fail(SSLCV_ERR_OUT_OF_MEMORY, "out of memory: %lld elements of %lld bytes asked for",
                           (long long)count, (long long)size);
    }
    status = sslcv__alloc(context, bytes, memory);
    if (status == SSLCV_OK) memset(*memory, 0, (size_t)bytes);
    return status;
}

sslcv_status sslcv__grow_array(sslcv_context *context, int64_t old_count, int64_t count, int64_t size, void **memory)
{
    void *grown;
    const sslcv_status status = sslcv__alloc_array(context, count, size, &grown);

    if (status != SSLCV_OK) return status;
    if (*memory) memcpy(grown, *memory, (size_t)(old_count * size));
    sslcv__free(context, *memory);
    *memory = grown;
    return SSLCV_OK;
}

sslcv_status sslcv__copy_text(sslcv_context *context, const char *text, char **copy)
{
    sslcv_status status;

    *copy = NULL;
    if (!text) return SSLCV_OK;
    status = sslcv__alloc(context, (int64_t)strlen(text) + 1, (void **)copy);
    if (status == SSLCV_OK) memcpy(*copy, text, strlen(text) + 1);
    return status;
}

void sslcv__free(sslcv_context *context, void *memory)
{
    const sslcv_allocator *allocator = &context->allocator;
    char *block;
    int64_t total;

    if (!memory) return;
    block = (char *)memory - ALIGNMENT;
    total = *(int64_t *)block;
    atomic_fetch_sub_explicit(&context->bytes, total, memory_order_relaxed);
    open_padding(block, total);
    allocator->deallocate(allocator->user, block, (size_t)total);
}
