#include "io/tensor_file.h"

#include "core/checked.h"
#include "core/context.h"
#include "core/file.h"
#include "core/memory.h"
#include "core/tensor.h"
#include "io/safetensors.h"

#include <stdlib.h>
#include <string.h>

/* ---- the whole file ---- */

/** The whole of a stream, which tells its length only by ending. */
static sslcv_status read_stream(const sslcv_stream *stream, sslcv__tensor_file *file)
{
    const int64_t most = file->max_bytes < INT64_MAX ? file->max_bytes + 1 : INT64_MAX; /* one byte too many */
    int64_t capacity = 0;

    for (;;) {
        int64_t got;

        if (file->size == capacity) {
            const int64_t wanted = capacity == 0 ? 1 << 16 : capacity > most / 2 ? most : 2 * capacity;
            const int64_t next = wanted < most ? wanted : most;
            const sslcv_status status = sslcv__grow_array(file->context, file->size, next, 1, (void **)&file->bytes);

            if (status != SSLCV_OK) return status;
            capacity = next;
        }
        got = stream->read(stream->user, file->bytes + file->size, capacity - file->size);
        if (got < 0 || got > capacity - file->size) {
            return sslcv__fail(SSLCV_ERR_IO, "stream.read gave %lld for a buffer of %lld bytes", (long long)got,
                               (long long)(capacity - file->size));
        }
        if (got == 0) return SSLCV_OK;
        file->size += got;
        if (file->size > file->max_bytes) {
            return sslcv__fail(SSLCV_ERR_LIMIT, "the stream has more than %lld bytes, the limit given",
                               (long long)file->max_bytes);
        }
    }
}

/** "PK\5\6" begins an archive of nothing. A safetensors file whose header's length begins alike has '{' behind it. */
static int is_zip(const sslcv__tensor_file *file)
{
    if (file->size < 4 || (memcmp(file->bytes, "PK\3\4", 4) != 0 && memcmp(file->bytes, "PK\5\6", 4) != 0)) return 0;
    return file->size < 9 || file->bytes[8] != '{';
}

static int is_npy(const sslcv__tensor_file *file)
{
    return file->size >= 6 && memcmp(file->bytes, "\x93NUMPY", 6) == 0;
}

sslcv_status sslcv__tensor_file_open(sslcv_context *context, const char *path, const sslcv_stream *stream,
                                     int64_t max_bytes, sslcv__tensor_file *file)
{
    sslcv_status status;

    memset(file, 0, sizeof *file);
    file->context = context;
    file->path = path ? path : "the stream";
    file->max_bytes = max_bytes;
    if (path) {
        SSLCV__TRY(sslcv__file_read(context, path, max_bytes, (void **)&file->bytes, &file->size));
    } else {
        SSLCV__TRY(read_stream(stream, file));
    }
    if (is_zip(file) || is_npy(file)) {
        SSLCV__TRY(sslcv__npz_parse(file, is_zip(file)));
    } else {
        SSLCV__TRY(sslcv__safetensors_parse(file));
    }
    SSLCV__TRY(sslcv__tensor_file_sort(file));
end:
    return status;
}

void sslcv__tensor_file_close(sslcv__tensor_file *file)
{
    if (!file->context) return;
    sslcv__free(file->context, file->by_key);
    sslcv__free(file->context, file->metadata);
    sslcv__free(file->context, file->by_name);
    sslcv__free(file->context, file->entries);
    sslcv__free(file->context, file->texts);
    sslcv__free(file->context, file->bytes);
    memset(file, 0, sizeof *file);
}

/* ---- entries ---- */

sslcv_status sslcv__tensor_file_reserve(sslcv__tensor_file *file, int64_t most)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(file->context, most, sizeof *file->entries, (void **)&file->entries));
    SSLCV__TRY(sslcv__alloc_array(file->context, most, sizeof *file->by_name, (void **)&file->by_name));
end:
    return status;
}

static int compare_name(const void *left, const void *right)
{
    return strcmp((*(sslcv__tensor_entry *const *)left)->name, (*(sslcv__tensor_entry *const *)right)->name);
}

sslcv_status sslcv__tensor_file_sort(sslcv__tensor_file *file)
{
    int64_t i;

    for (i = 0; i < file->count; i++) file->by_name[i] = &file->entries[i];
    qsort(file->by_name, (size_t)file->count, sizeof *file->by_name, compare_name);
    for (i = 1; i < file->count; i++) {
        if (strcmp(file->by_name[i - 1]->name, file->by_name[i]->name) != 0) continue;
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s has two tensors named \"%s\"", file->path, file->by_name[i]->name);
    }
    return SSLCV_OK;
}

sslcv__tensor_entry *sslcv__tensor_file_find(const sslcv__tensor_file *file, const char *prefix, const char *name)
{
    const size_t length = strlen(prefix);
    int64_t low = 0, high = file->count;

    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const char *other = file->by_name[middle]->name;
        int order = strncmp(prefix, other, length);

        if (order == 0) order = strcmp(name, other + length);
        if (order == 0) return file->by_name[middle];
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const char *sslcv__tensor_file_metadata(const sslcv__tensor_file *file, const char *key)
{
    int64_t low = 0, high = file->num_metadata;

    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const int order = strcmp(key, file->by_key[middle]->key);

        if (order == 0) return file->by_key[middle]->value;
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

sslcv_status sslcv__tensor_file_check_known(const sslcv__tensor_file *file, const sslcv__tensor_entry *entry)
{
    if (!entry->dtype) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "%s: tensor \"%s\" has dtype %s; known are %s", file->path,
                           entry->name, entry->dtype_name,
                           entry->member.data ? "f8, f4, f2, i8, i4, u2, u1, b1 of NumPy"
                                              : "F64, F32, F16, BF16, I64, I32, U16, U8, BOOL");
    }
    if (entry->ndim > SSLCV_MAX_DIMS) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "%s: tensor \"%s\" has %d axes; at most %d", file->path, entry->name,
                           (int)entry->ndim, (int)SSLCV_MAX_DIMS);
    }
    return SSLCV_OK;
}

/* ---- values ---- */

/** The member's bytes behind its header. They end the member, so that its checksum can be told. */
static sslcv_status unpack(const sslcv__tensor_file *file, const sslcv__tensor_entry *entry, void *values)
{
    sslcv__zip_reader reader = {0};
    char front[256];
    int64_t left = entry->member_front;
    sslcv_status status;

    SSLCV__TRY(sslcv__zip_begin(file->context, file->path, &entry->member, &reader));
    while (left > 0) {
        const int64_t part = left < (int64_t)sizeof front ? left : (int64_t)sizeof front;

        SSLCV__TRY(sslcv__zip_read(&reader, front, part));
        left -= part;
    }
    SSLCV__TRY(sslcv__zip_read(&reader, values, entry->bytes));
    SSLCV__TRY(sslcv__zip_finish(&reader));
end:
    sslcv__zip_end(&reader);
    return status;
}

static void swap_bytes(char *values, int64_t count, int64_t size)
{
    int64_t i, j;

    for (i = 0; i < count; i++) {
        for (j = 0; j < size / 2; j++) {
            char *a = &values[i * size + j], *b = &values[i * size + size - 1 - j];
            const char kept = *a;

            *a = *b;
            *b = kept;
        }
    }
}

/** Exchange *memory for a copy in row-major order. */
static sslcv_status to_row_major(sslcv_context *context, const sslcv__tensor_entry *entry, void **memory)
{
    sslcv_tensor theirs, ours;
    int64_t stride = 1;
    void *dense;
    int32_t i;
    const sslcv_status status = sslcv__alloc(context, entry->bytes, &dense);

    if (status != SSLCV_OK) return status;
    sslcv__tensor_set(&theirs, entry->dtype, *memory, entry->ndim, entry->shape);
    sslcv__tensor_set(&ours, entry->dtype, dense, entry->ndim, entry->shape);
    for (i = 0; i < entry->ndim; i++) {
        theirs.strides[i] = stride;
        stride *= entry->shape[i];
    }
    if (entry->bytes > 0) sslcv__tensor_copy(&theirs, &ours);
    sslcv__free(context, *memory);
    *memory = dense;
    return SSLCV_OK;
}

static sslcv_status read_member(const sslcv__tensor_file *file, const sslcv__tensor_entry *entry, void **memory)
{
    const int64_t size = sslcv_dtype_size(entry->dtype);
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc(file->context, entry->bytes, memory));
    SSLCV__TRY(unpack(file, entry, *memory));
    if (entry->swapped) swap_bytes(*memory, entry->bytes / size, size);
    if (entry->fortran) SSLCV__TRY(to_row_major(file->context, entry, memory));
end:
    return status;
}

static sslcv_status check_bools(const sslcv__tensor_file *file, const sslcv__tensor_entry *entry,
                                const unsigned char *values)
{
    int64_t i;

    for (i = 0; i < entry->bytes; i++) {
        if (values[i] > 1) {
            return sslcv__fail(SSLCV_ERR_FORMAT, "%s: tensor \"%s\" is %s, but has bytes other than 0 and 1",
                               file->path, entry->name, entry->dtype_name);
        }
    }
    return SSLCV_OK;
}

sslcv_status sslcv__tensor_file_values(const sslcv__tensor_file *file, const sslcv__tensor_entry *entry, void **memory,
                                       const void **values)
{
    sslcv_status status = SSLCV_OK;

    *memory = NULL;
    *values = entry->data;
    if (entry->member.data) {
        SSLCV__TRY(read_member(file, entry, memory));
        *values = *memory;
    } else if ((uintptr_t)entry->data % (uintptr_t)sslcv_dtype_size(entry->dtype) != 0) { /* files align nothing */
        SSLCV__TRY(sslcv__alloc(file->context, entry->bytes, memory));
        memcpy(*memory, entry->data, (size_t)entry->bytes);
        *values = *memory;
    }
    if (entry->dtype == SSLCV_BOOL) SSLCV__TRY(check_bools(file, entry, *values));
end:
    if (status != SSLCV_OK) {
        sslcv__free(file->context, *memory);
        *memory = NULL;
    }
    return status;
}
