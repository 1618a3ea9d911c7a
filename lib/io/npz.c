/** NumPy's files, read: an archive of .npy members, or one .npy file, which is taken for an archive of one member. */
#include "io/tensor_file.h"

#include "core/checked.h"
#include "core/memory.h"
#include "core/tensor.h"
#include "io/npy.h"

#include <stdio.h>
#include <string.h>

enum { LABEL_BYTES = 1100 }; /* more than a message, which is then cut at a whole character */

static const char nameless_name[] = "arr_0"; /* as numpy.savez() names an array without a name */

/** "PATH" or "PATH: NAME", for messages. */
static const char *label(const sslcv__tensor_file *file, const char *name, char text[LABEL_BYTES])
{
    if (file->nameless) return file->path;
    snprintf(text, LABEL_BYTES, "%s: \"%s\"", file->path, name);
    return text;
}

/* ---- headers ---- */

/** What begins a member; front_bytes: what stands before the elements. */
static sslcv_status read_header(const char *name, sslcv__zip_reader *reader, sslcv_context *context,
                                sslcv__npy_array *array, int64_t *front_bytes)
{
    const int64_t there = reader->member->unpacked;
    char front[SSLCV__NPY_FRONT_2] = {0}, *text = NULL;
    int64_t front_used = SSLCV__NPY_FRONT_1, text_bytes = 0;
    sslcv_status status;

    if (there < SSLCV__NPY_FRONT_2) {
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s has %lld bytes, too few for an .npy file", name, (long long)there);
    }
    SSLCV__TRY(sslcv__zip_read(reader, front, SSLCV__NPY_FRONT_1));
    if (front[6] != 1) {
        front_used = SSLCV__NPY_FRONT_2;
        SSLCV__TRY(sslcv__zip_read(reader, front + SSLCV__NPY_FRONT_1, SSLCV__NPY_FRONT_2 - SSLCV__NPY_FRONT_1));
    }
    SSLCV__TRY(sslcv__npy_parse_front(name, front, &text_bytes));
    if (text_bytes > there - front_used) {
        status = sslcv__fail(SSLCV_ERR_FORMAT, "%s: its header has %lld bytes, of which %lld are there", name,
                             (long long)text_bytes, (long long)(there - front_used));
        goto end;
    }
    SSLCV__TRY(sslcv__alloc(context, text_bytes, (void **)&text));
    SSLCV__TRY(sslcv__zip_read(reader, text, text_bytes));
    SSLCV__TRY(sslcv__npy_parse_text(name, text, text_bytes, array));
    *front_bytes = front_used + text_bytes;
end:
    sslcv__free(context, text);
    return status;
}

/** The member's size must be what its shape says: nothing is ever unpacked for any other. */
static sslcv_status check_bytes(const char *name, const sslcv__npy_array *array, int64_t there, int64_t *bytes)
{
    if (!array->dtype) return SSLCV_OK; /* the element's size is unknown; it may be there, but cannot be loaded */
    if (sslcv__multiply(array->count, sslcv_dtype_size(array->dtype), bytes) && *bytes == there) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_FORMAT, "%s has %lld elements of %s, but %lld bytes", name, (long long)array->count,
                       array->dtype_name, (long long)there);
}

/** entry->name is set; dtype_name: room for the dtype's. */
static sslcv_status read_entry(const sslcv__tensor_file *file, const sslcv__zip_member *member, char *dtype_name,
                               sslcv__tensor_entry *entry)
{
    sslcv__zip_reader reader = {0};
    sslcv__npy_array array;
    char text[LABEL_BYTES];
    const char *name = label(file, entry->name, text);
    sslcv_status status;

    SSLCV__TRY(sslcv__zip_begin(file->context, file->path, member, &reader));
    SSLCV__TRY(read_header(name, &reader, file->context, &array, &entry->member_front));
    SSLCV__TRY(check_bytes(name, &array, member->unpacked - entry->member_front, &entry->bytes));
    memcpy(dtype_name, array.dtype_name, sizeof array.dtype_name);
    entry->dtype_name = dtype_name;
    entry->dtype = array.dtype;
    entry->ndim = array.ndim;
    memcpy(entry->shape, array.shape, sizeof entry->shape);
    entry->swapped = array.swapped;
    entry->fortran = array.fortran;
    entry->member = *member;
end:
    sslcv__zip_end(&reader);
    return status;
}

/* ---- names ---- */

/** The member's name without ".npy", with a 0 behind it; used: bytes of texts. */
static sslcv_status copy_name(const sslcv__tensor_file *file, const sslcv__zip_member *member, int64_t *used,
                              const char **name)
{
    const int64_t bytes = member->name_bytes - 4;
    char *copy = file->texts + *used, shown[SSLCV__ZIP_SHOWN];

    if (bytes < 1 || memcmp(member->name + bytes, ".npy", 4) != 0) {
        return sslcv__fail(SSLCV_ERR_FORMAT,
                           "%s is a zip archive, but not one of NumPy's: it holds \"%s\", which is no NAME.npy; files "
                           "of PyTorch must be converted to safetensors",
                           file->path, sslcv__zip_shown_name(member, shown));
    }
    memcpy(copy, member->name, (size_t)bytes);
    copy[bytes] = 0;
    if ((int64_t)strlen(copy) != bytes || sslcv__utf8_check(copy, "") != SSLCV_OK) {
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s has a member whose name is no UTF-8", file->path);
    }
    *used += bytes + 1;
    *name = copy;
    return SSLCV_OK;
}

/* ---- the file ---- */

static sslcv_status read_archive(sslcv__tensor_file *file, const sslcv__zip_member *members, int64_t count)
{
    int64_t texts = 0, used = 0, total = 0, i;
    sslcv_status status;

    for (i = 0; i < count; i++) texts += members[i].name_bytes + 1 + SSLCV__NPY_DTYPE_NAME; /* names are in the file */
    SSLCV__TRY(sslcv__alloc_array(file->context, texts, 1, (void **)&file->texts));
    SSLCV__TRY(sslcv__tensor_file_reserve(file, count));
    for (i = 0; i < count; i++) {
        sslcv__tensor_entry *entry = &file->entries[i];

        SSLCV__TRY(copy_name(file, &members[i], &used, &entry->name));
        SSLCV__TRY(read_entry(file, &members[i], file->texts + used, entry));
        used += SSLCV__NPY_DTYPE_NAME;
        if (!sslcv__add(total, entry->bytes, &total) || total > file->max_bytes) {
            status = sslcv__fail(SSLCV_ERR_LIMIT, "%s has tensors of more than %lld bytes, the limit given", file->path,
                                 (long long)file->max_bytes);
            goto end;
        }
        file->count++;
    }
end:
    return status;
}

static sslcv_status read_array(sslcv__tensor_file *file)
{
    const sslcv__zip_member member = {.name = nameless_name,
                                      .name_bytes = sizeof nameless_name - 1,
                                      .data = file->bytes,
                                      .packed = file->size,
                                      .unpacked = file->size};
    sslcv_status status;

    file->nameless = 1;
    SSLCV__TRY(sslcv__alloc_array(file->context, SSLCV__NPY_DTYPE_NAME, 1, (void **)&file->texts));
    SSLCV__TRY(sslcv__tensor_file_reserve(file, 1));
    file->entries[0].name = nameless_name;
    SSLCV__TRY(read_entry(file, &member, file->texts, &file->entries[0]));
    file->count = 1;
end:
    return status;
}

sslcv_status sslcv__npz_parse(sslcv__tensor_file *file, int is_archive)
{
    sslcv__zip_member *members = NULL;
    int64_t count = 0;
    sslcv_status status;

    if (!is_archive) return read_array(file);
    SSLCV__TRY(sslcv__zip_open(file->context, file->path, file->bytes, file->size, &members, &count));
    SSLCV__TRY(read_archive(file, members, count));
end:
    sslcv__free(file->context, members);
    return status;
}
