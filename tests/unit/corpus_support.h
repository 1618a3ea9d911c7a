/** What the suites of malformed files share: one check for all of them, under an allocator that counts bytes. */
#ifndef SSLCV__TESTS_CORPUS_SUPPORT_H
#define SSLCV__TESTS_CORPUS_SUPPORT_H

#include "npz_support.h"

/* Whatever a file claims, this much is all that is taken for it: docs/checkpoint-format.md. */
enum { LIMIT_BASE = 256 << 10, LIMIT = 8 };

typedef struct counted {
    size_t bytes, peak, blocks;
} counted;

static counted heap;

static inline void *counted_get(size_t bytes)
{
    heap.bytes += bytes;
    heap.blocks++;
    if (heap.bytes > heap.peak) heap.peak = heap.bytes;
    return aligned_alloc(64, (bytes + 63) / 64 * 64);
}

static inline void counted_give(void *block, size_t bytes)
{
    if (!block) return;
    heap.bytes -= bytes;
    heap.blocks--;
    free(block);
}

static inline void *counted_allocate(void *user, size_t bytes, size_t alignment)
{
    (void)user;
    (void)alignment;
    return counted_get(bytes);
}

static inline void counted_deallocate(void *user, void *block, size_t bytes)
{
    (void)user;
    counted_give(block, bytes);
}

/* ---- the check ---- */

static sslcv_state *target; /* a: f32 (2), of which the second is 42 */
static int refused;         /* files so far */

static inline void corpus_setup(void)
{
    const sslcv_allocator allocator = {sizeof allocator, NULL, counted_allocate, counted_deallocate, NULL};
    const int64_t two = 2;
    sslcv_context_options options;

    heap = (counted){0};
    refused = 0;
    OK(sslcv_context_options_init(&options, sizeof options));
    options.threads = 1;
    options.allocator = &allocator;
    OK(sslcv_context_create(&options, &context));
    OK(sslcv_state_create(context, &target));
    add(target, "a", SSLCV_F32, SSLCV_ROLE_WEIGHT, 1, &two);
    ((float *)data_of(target, 0))[1] = 42;
}

static inline void corpus_teardown(void)
{
    sslcv_state_destroy(target);
    sslcv_context_destroy(context);
    ck_assert_uint_eq(heap.blocks, 0);
    ck_assert_uint_eq(heap.bytes, 0);
}

enum { BY_LOAD = 1, BY_OPEN = 2, BY_BOTH = 3 };

/** The file, which is freed, must be refused by these calls, with this status and message, cheaply and cleanly. */
static inline void refuse_limited(memory_file file, int by, int64_t max_bytes, sslcv_status status, const char *text)
{
    const size_t limit = LIMIT_BASE + LIMIT * (size_t)file.size;
    const counted before = heap;
    int call;

    for (call = BY_LOAD; call <= BY_OPEN; call++) {
        const sslcv_stream stream = stream_of(&file);
        sslcv_load_options options;
        sslcv_state *opened = NULL;

        if (!(by & call)) continue;
        OK(sslcv_load_options_init(&options, sizeof options));
        options.stream = &stream;
        if (max_bytes) options.max_bytes = max_bytes;
        file.place = 0;
        heap.peak = heap.bytes;
        if (call == BY_LOAD) {
            FAILS(sslcv_state_load(target, NULL, &options, NULL), status, text);
        } else {
            FAILS(sslcv_state_open(context, NULL, &options, &opened), status, text);
        }
        ck_assert_ptr_null(opened);
        ck_assert_float_eq(((float *)data_of(target, 0))[0], 0);
        ck_assert_float_eq(((float *)data_of(target, 0))[1], 42);
        ck_assert_uint_eq(heap.blocks, before.blocks);
        ck_assert_msg(heap.peak - before.bytes <= limit, "%s: %d bytes for a file of %d", text,
                      (int)(heap.peak - before.bytes), (int)file.size);
    }
    free(file.bytes);
    refused++;
}

static inline void refuse(memory_file file, int by, sslcv_status status, const char *text)
{
    refuse_limited(file, by, 0, status, text);
}

/** A good file, which is freed. */
static inline void accept(memory_file file)
{
    OK(load_from_memory(target, &file, NULL, NULL));
    memset(data_of(target, 0), 0, 4);
    ((float *)data_of(target, 0))[1] = 42;
    free(file.bytes);
}

/** Every beginning of a good file, and the file with a byte more, must be refused. The file is freed. */
static inline void refuse_cuts(memory_file file)
{
    const int64_t size = file.size;
    char *bytes = file.bytes;

    for (file.size = 0; file.size < size; file.size++) {
        file.bytes = malloc((size_t)file.size + 1); /* of its own, so that reading beyond it is seen */
        ck_assert_ptr_nonnull(file.bytes);
        memcpy(file.bytes, bytes, (size_t)file.size);
        refuse(file, BY_BOTH, SSLCV_ERR_FORMAT, "");
    }
    file.bytes = malloc((size_t)size + 1);
    ck_assert_ptr_nonnull(file.bytes);
    memcpy(file.bytes, bytes, (size_t)size);
    file.bytes[size] = 0;
    file.size = size + 1;
    refuse(file, BY_BOTH, SSLCV_ERR_FORMAT, "");
    free(bytes);
}

/* ---- a good .npy file of "a" ---- */

static const float two_values[2] = {1, 2};

#define GOOD HEADER("<f4", "False", "(2,)")

static inline memory_file npy_file(int version, const char *text, const void *data, int64_t size)
{
    pile *p = calloc(1, sizeof *p);
    memory_file file;

    ck_assert_ptr_nonnull(p);
    npy_add(p, version, text, data, size);
    file = pile_file(p);
    free(p);
    return file;
}

#endif
