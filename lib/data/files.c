#include "data/files.h"

#include "core/checked.h"
#include "core/file.h"
#include "core/memory.h"
#include "core/tensor.h"
#include "image/decode.h"

#include <stdio.h>
#include <string.h>

/* ---- the table ---- */

/** Chunk c begins at entry 64 * (2^c - 1). */
static int chunk_of(int64_t index, int64_t *offset)
{
    int64_t begin = 0, length = SSLCV__FIRST_CHUNK;
    int chunk = 0;

    while (index - begin >= length) {
        begin += length;
        length *= 2;
        chunk++;
    }
    *offset = index - begin;
    return chunk;
}

sslcv__entry *sslcv__files_entry(const sslcv_dataset *dataset, int64_t index)
{
    const sslcv__files *files = dataset->store;
    int64_t offset;
    const int chunk = chunk_of(index, &offset);

    return files->chunks[chunk] + offset;
}

sslcv_status sslcv__files_reserve(sslcv_dataset *dataset, int64_t count)
{
    sslcv__files *files = dataset->store;
    int64_t offset, length = SSLCV__FIRST_CHUNK;
    int chunk, last;

    if (count < 1) return SSLCV_OK;
    if (count > (int64_t)1 << (SSLCV__FILE_CHUNKS - 1)) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "a list cannot have %lld samples", (long long)count);
    }
    last = chunk_of(count - 1, &offset);
    for (chunk = 0; chunk <= last; chunk++, length *= 2) {
        sslcv_status status;

        if (files->chunks[chunk]) continue;
        status =
            sslcv__alloc_array(dataset->object.context, length, sizeof(sslcv__entry), (void **)&files->chunks[chunk]);
        if (status != SSLCV_OK) return status;
    }
    return SSLCV_OK;
}

int64_t sslcv__files_channels(const sslcv_dataset *dataset)
{
    return dataset->options.channels ? dataset->options.channels : 3;
}

/* ---- pixels ---- */

static sslcv_status decode_entry(sslcv_dataset *dataset, const sslcv__entry *entry, int64_t index, sslcv_tensor *image)
{
    sslcv_context *context = dataset->object.context;
    const sslcv__decode_limits limits = {dataset->options.max_pixels, dataset->options.max_file_bytes,
                                         dataset->options.min_side};
    const int64_t channels = sslcv__files_channels(dataset);
    char number[40];
    void *bytes = NULL;
    int64_t size;
    sslcv_status status;

    if (entry->bytes) {
        snprintf(number, sizeof number, "sample %lld", (long long)index);
        return sslcv__decode(context, entry->bytes, entry->size, number, channels, &limits, image);
    }
    SSLCV__TRY(sslcv__file_read(context, entry->path, dataset->options.max_file_bytes, &bytes, &size));
    status = sslcv__decode(context, bytes, size, entry->path, channels, &limits, image);
end:
    sslcv__free(context, bytes);
    return status;
}

/**
 * Hand a decoded image over to its entry, if the cache has room. Several threads may have decoded one file at once: the
 * first stays.
 *
 * @return 1: the entry owns it now.
 */
static int keep_pixels(sslcv_dataset *dataset, sslcv__entry *entry, const sslcv_tensor *image)
{
    sslcv__files *files = dataset->store;
    const int64_t bytes = sslcv__tensor_count(image) * sslcv_dtype_size(image->dtype);
    sslcv_tensor *none = NULL, *kept;

    if (!dataset->options.cache) return 0;
    if (atomic_fetch_add(&files->cached_bytes, bytes) + bytes > dataset->options.max_cache_bytes) goto full;
    if (sslcv__alloc(dataset->object.context, sizeof *kept, (void **)&kept) != SSLCV_OK) goto full;
    *kept = *image;
    if (atomic_compare_exchange_strong(&entry->pixels, &none, kept)) return 1;
    sslcv__free(dataset->object.context, kept);
full:
    atomic_fetch_sub(&files->cached_bytes, bytes);
    return 0;
}

static sslcv_status load(sslcv_dataset *dataset, int64_t index, sslcv__pixels *pixels)
{
    sslcv__entry *entry = sslcv__files_entry(dataset, index);
    const sslcv_tensor *ready = atomic_load_explicit(&entry->pixels, memory_order_acquire);
    sslcv_status status;

    if (ready) {
        pixels->image = *ready;
        return SSLCV_OK;
    }
    status = decode_entry(dataset, entry, index, &pixels->image);
    if (status == SSLCV_OK) pixels->owned = !keep_pixels(dataset, entry, &pixels->image);
    return status;
}

static void unload(sslcv_dataset *dataset, sslcv__pixels *pixels)
{
    if (pixels->owned) sslcv__decode_free(dataset->object.context, &pixels->image);
}

static int64_t label(const sslcv_dataset *dataset, int64_t index)
{
    return sslcv__files_entry(dataset, index)->label;
}

static const char *name(const sslcv_dataset *dataset, int64_t index)
{
    const sslcv__files *files = dataset->store;

    return sslcv__files_entry(dataset, index)->path + files->name_offset;
}

static atomic_uchar *mark(const sslcv_dataset *dataset, int64_t index)
{
    return &sslcv__files_entry(dataset, index)->mark;
}

static void release(sslcv_dataset *dataset)
{
    sslcv__files *files = dataset->store;
    const int64_t count = sslcv__dataset_count(dataset);
    int64_t i;

    for (i = 0; i < count; i++) {
        sslcv__entry *entry = sslcv__files_entry(dataset, i);
        sslcv_tensor *pixels = atomic_load(&entry->pixels);

        if (!pixels || !entry->encoded) continue;
        sslcv__decode_free(dataset->object.context, pixels);
        sslcv__free(dataset->object.context, pixels);
    }
    for (i = 0; i < SSLCV__FILE_CHUNKS; i++) sslcv__free(dataset->object.context, files->chunks[i]);
    sslcv__free(dataset->object.context, files);
}

sslcv_status sslcv__files_open(sslcv_dataset *dataset, int64_t name_offset)
{
    static const sslcv__source source = {load, unload, label, name, mark, release};
    sslcv__files *files;
    const sslcv_status status = sslcv__alloc_array(dataset->object.context, 1, sizeof *files, (void **)&files);

    if (status != SSLCV_OK) return status;
    files->name_offset = name_offset;
    dataset->store = files;
    dataset->source = &source;
    return SSLCV_OK;
}
