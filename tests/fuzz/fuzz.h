/**
 * What all fuzz targets share. A target is one function,
 *
 *     int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
 *
 * that makes calls of the library from any bytes. libFuzzer calls it (make fuzz), and so does replay.c with the files
 * of corpus/ (make check-fuzz). Everything is made anew for each input and given back after it, so that an input does
 * the same whatever came before. A broken promise ends the process.
 */
#ifndef SSLCV__FUZZ_H
#define SSLCV__FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sslcv/sslcv.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** A promise of the library. */
#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #condition, sslcv_last_error());           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/** Whether a call that may fail has succeeded. If it has not, it says why; nothing that a host does upsets oneDNN. */
static inline int sane(sslcv_status status)
{
    REQUIRE(status <= SSLCV_OK && status >= SSLCV_ERR_NOT_FOUND);
    REQUIRE(status != SSLCV_ERR_BACKEND);
    if (status != SSLCV_OK) {
        const unsigned char *p = (const unsigned char *)sslcv_last_error();

        REQUIRE(*p);
        while (*p >= 0x20) p++;
        REQUIRE(*p == 0); /* one line, nothing that steers a terminal */
    }
    return status == SSLCV_OK;
}

/** A call of the target's own that cannot fail. */
#define MUST(call) REQUIRE((call) == SSLCV_OK)

/* ---- bytes of the input, in turn; zeros behind the last ---- */

typedef struct fuzz_input {
    const uint8_t *bytes;
    size_t left;
} fuzz_input;

static inline uint64_t take(fuzz_input *in, int bytes)
{
    uint64_t number = 0;
    int i;

    for (i = 0; i < bytes && in->left > 0; i++, in->left--) number |= (uint64_t)*in->bytes++ << 8 * i;
    return number;
}

/** 0 .. count - 1, from one byte. */
static inline int64_t take_below(fuzz_input *in, int count)
{
    return (int64_t)(take(in, 1) % (uint64_t)count);
}

/** What is left, as a text. The caller frees it. */
static inline char *take_text(fuzz_input *in)
{
    char *text = malloc(in->left + 1);

    REQUIRE(text);
    if (in->left) memcpy(text, in->bytes, in->left);
    text[in->left] = 0;
    in->left = 0;
    return text;
}

/* ---- a context whose memory is counted and bounded ---- */

typedef struct fuzz_memory {
    size_t bytes, limit;
} fuzz_memory;

static inline void *fuzz_allocate(void *user, size_t bytes, size_t alignment)
{
    fuzz_memory *memory = user;
    void *block;

    if (bytes > memory->limit - memory->bytes) return NULL;
    block = aligned_alloc(alignment, bytes);
    if (block) memory->bytes += bytes;
    return block;
}

static inline void fuzz_deallocate(void *user, void *block, size_t bytes)
{
    fuzz_memory *memory = user;

    REQUIRE(bytes <= memory->bytes);
    memory->bytes -= bytes;
    free(block);
}

/** memory: to outlive the context. One thread, f32, no more bytes than limit. */
static inline sslcv_context *fuzz_context(fuzz_memory *memory, size_t limit)
{
    const sslcv_allocator allocator = {sizeof allocator, memory, fuzz_allocate, fuzz_deallocate, NULL};
    sslcv_context_options options;
    sslcv_context *context;

    memory->bytes = 0;
    memory->limit = limit;
    MUST(sslcv_context_options_init(&options, sizeof options));
    options.threads = 1;
    options.loader_threads = 0;
    options.precision = SSLCV_PRECISION_F32;
    options.seed = 1;
    options.allocator = &allocator;
    MUST(sslcv_context_create(&options, &context));
    return context;
}

/** The last handle is given back by this: nothing may be held any more. */
static inline void fuzz_end(sslcv_context *context, const fuzz_memory *memory)
{
    sslcv_context_destroy(context);
    REQUIRE(memory->bytes == 0);
}

#endif
