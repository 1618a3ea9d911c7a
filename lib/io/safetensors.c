/** Reading: from bytes that nobody can be trusted with to a checked list of tensors. */
#include "io/safetensors.h"

#include "core/checked.h"
#include "core/context.h"
#include "core/memory.h"
#include "io/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static const struct {
    const char *name;
    int32_t dtype;
} dtypes[] = {{"F64", SSLCV_F64}, {"F32", SSLCV_F32}, {"F16", SSLCV_F16}, {"BF16", SSLCV_BF16}, {"I64", SSLCV_I64},
              {"I32", SSLCV_I32}, {"U16", SSLCV_U16}, {"U8", SSLCV_U8},   {"BOOL", SSLCV_BOOL}};

enum { NUM_DTYPES = (int)(sizeof dtypes / sizeof dtypes[0]) };

const char *sslcv__safetensors_dtype_name(int32_t dtype)
{
    int i;

    for (i = 0; i < NUM_DTYPES; i++) {
        if (dtypes[i].dtype == dtype) return dtypes[i].name;
    }
    return NULL;
}

static int32_t dtype_of(const char *name)
{
    int i;

    for (i = 0; i < NUM_DTYPES; i++) {
        if (strcmp(dtypes[i].name, name) == 0) return dtypes[i].dtype;
    }
    return 0;
}

int sslcv__safetensors_own_key(const char *key)
{
    return strcmp(key, "sslcv.checksum") == 0 || strcmp(key, "sslcv.format") == 0 || strcmp(key, "sslcv.version") == 0;
}

/* ---- bytes ---- */

static uint64_t read_u64(const char *bytes)
{
    uint64_t value = 0;
    int i;

    for (i = 7; i >= 0; i--) value = value << 8 | (unsigned char)bytes[i];
    return value;
}

static sslcv_status check_start(const sslcv__tensor_file *file, int64_t *header_bytes)
{
    uint64_t length;

    if (file->size < 8) {
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s has %lld bytes; a safetensors file has at least 10", file->path,
                           (long long)file->size);
    }
    length = read_u64(file->bytes);
    if (length > SSLCV__SAFETENSORS_MAX_HEADER) {
        return sslcv__fail(SSLCV_ERR_FORMAT,
                           "%s is not a safetensors file: its header would have %" PRIu64 " bytes; at most %d",
                           file->path, length, (int)SSLCV__SAFETENSORS_MAX_HEADER);
    }
    if ((int64_t)length > file->size - 8) {
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s is cut off: its header has %" PRIu64 " bytes, of which %lld are there",
                           file->path, length, (long long)file->size - 8);
    }
    if (length < 2 || file->bytes[8] != '{') {
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s is not a safetensors file: its header does not begin with {",
                           file->path);
    }
    *header_bytes = (int64_t)length;
    return SSLCV_OK;
}

/* ---- the header: one walk for its form and the metadata, which says how to check the rest; one for the tensors ---- */

static sslcv_status bad_json(const sslcv__tensor_file *file, const sslcv__json *json)
{
    return sslcv__fail(SSLCV_ERR_FORMAT, "%s: its header cannot be read at byte %lld: %s", file->path,
                       (long long)(json->at - json->begin), json->error);
}

static int compare_key(const void *left, const void *right)
{
    return strcmp((*(sslcv__tensor_pair *const *)left)->key, (*(sslcv__tensor_pair *const *)right)->key);
}

static sslcv_status sort_metadata(const sslcv__tensor_file *file)
{
    int64_t i;

    for (i = 0; i < file->num_metadata; i++) file->by_key[i] = &file->metadata[i];
    qsort(file->by_key, (size_t)file->num_metadata, sizeof *file->by_key, compare_key);
    for (i = 1; i < file->num_metadata; i++) {
        if (strcmp(file->by_key[i - 1]->key, file->by_key[i]->key) != 0) continue;
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s: __metadata__ has \"%s\" twice", file->path, file->by_key[i]->key);
    }
    return SSLCV_OK;
}

/** Members of the object at hand, -1: it is something else. What is no JSON within it is found by the next walk. */
static int64_t count_members(const sslcv__json *json)
{
    sslcv__json ahead = *json;
    int64_t count = 0;

    ahead.texts = NULL;
    if (!sslcv__json_enter(&ahead, '{')) return -1;
    for (; sslcv__json_next(&ahead); count++) {
        sslcv__json_key(&ahead);
        sslcv__json_skip(&ahead);
    }
    return count;
}

static sslcv_status read_metadata(sslcv__tensor_file *file, sslcv__json *json)
{
    const int64_t count = count_members(json);
    sslcv_status status;

    if (file->metadata) return sslcv__fail(SSLCV_ERR_FORMAT, "%s has __metadata__ twice", file->path);
    if (count < 0) {
        sslcv__json_skip(json);
        if (json->error) return bad_json(file, json);
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s: __metadata__ is not an object", file->path);
    }
    if (count > SSLCV__SAFETENSORS_MAX_PAIRS) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "%s: __metadata__ has %lld keys; at most %d", file->path, (long long)count,
                           (int)SSLCV__SAFETENSORS_MAX_PAIRS);
    }
    SSLCV__TRY(sslcv__alloc_array(file->context, count, sizeof *file->metadata, (void **)&file->metadata));
    SSLCV__TRY(sslcv__alloc_array(file->context, count, sizeof *file->by_key, (void **)&file->by_key));
    sslcv__json_enter(json, '{');
    while (sslcv__json_next(json) && file->num_metadata < count) {
        sslcv__tensor_pair *const pair = &file->metadata[file->num_metadata++];

        pair->key = sslcv__json_key(json);
        pair->value = sslcv__json_text(json);
        if (pair->value) continue;
        sslcv__json_skip(json);
        if (json->error) return bad_json(file, json);
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s: __metadata__ has \"%s\", which is not a text", file->path, pair->key);
    }
    if (json->error) return bad_json(file, json);
    SSLCV__TRY(sort_metadata(file));
end:
    return status;
}

/** To the header's end, all of it checked. Tensors are counted only; of what is read, the metadata's texts are kept. */
static sslcv_status read_header(sslcv__tensor_file *file, sslcv__json *json, int64_t *tensors)
{
    sslcv_status status = SSLCV_OK;

    sslcv__json_enter(json, '{');
    while (sslcv__json_next(json)) {
        char *const texts = json->texts;
        const char *const key = sslcv__json_key(json);
        const int is_metadata = key && strcmp(key, "__metadata__") == 0;

        json->texts = texts;
        if (is_metadata) {
            SSLCV__TRY(read_metadata(file, json));
        } else {
            sslcv__json_skip(json);
            ++*tensors;
        }
    }
    if (!sslcv__json_end(json)) status = bad_json(file, json);
end:
    return status;
}

/* ---- checksum ---- */

static uLong checksum_part(uLong sum, const char *bytes, int64_t size)
{
    while (size > 0) {
        const uInt part = size > 1 << 30 ? (uInt)1 << 30 : (uInt)size;

        sum = crc32(sum, (const Bytef *)bytes, part);
        bytes += part;
        size -= part;
    }
    return sum;
}

/** Files of this library carry a checksum over every byte but its own digits. */
static sslcv_status check_checksum(const sslcv__tensor_file *file, int64_t header_bytes)
{
    const int64_t start = 8 + (int64_t)strlen(SSLCV__SAFETENSORS_START), behind = start + SSLCV__SAFETENSORS_DIGITS;
    const char *format = sslcv__tensor_file_metadata(file, "sslcv.format");
    const char *told = sslcv__tensor_file_metadata(file, "sslcv.checksum");
    char found[16];
    uLong sum;

    if (!format && !told) return SSLCV_OK;
    if (format && strcmp(format, "1") != 0) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "%s has sslcv.format %s; this version reads 1", file->path, format);
    }
    if (!format || !told || behind > 8 + header_bytes ||
        memcmp(file->bytes + 8, SSLCV__SAFETENSORS_START, (size_t)start - 8) != 0) {
        return sslcv__fail(SSLCV_ERR_FORMAT,
                           "%s is damaged, or another program has changed it but kept the metadata "
                           "sslcv.format or sslcv.checksum",
                           file->path);
    }
    sum = checksum_part(crc32(0, Z_NULL, 0), file->bytes, start);
    sum = checksum_part(sum, "00000000", SSLCV__SAFETENSORS_DIGITS);
    sum = checksum_part(sum, file->bytes + behind, file->size - behind);
    snprintf(found, sizeof found, "%08lx", sum);
    if (strcmp(found, told) == 0) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_FORMAT, "%s is damaged or changed: its checksum is %s, sslcv.checksum says %s",
                       file->path, found, told);
}

/* ---- entries ---- */

static sslcv_status bad_entry(const sslcv__tensor_file *file, const char *name, const char *what)
{
    return sslcv__fail(SSLCV_ERR_FORMAT, "%s: tensor \"%s\" %s", file->path, name, what);
}

static sslcv_status read_shape(const sslcv__tensor_file *file, sslcv__json *json, sslcv__tensor_entry *entry,
                               int64_t *count)
{
    int64_t extent = 1; /* as if no axis were 0: one must not hide that the others are too long */

    if (!sslcv__json_enter(json, '[')) return bad_entry(file, entry->name, "has no shape that is an array");
    *count = 1;
    while (sslcv__json_next(json)) {
        int64_t size = 0;

        if (!sslcv__json_whole(json, &size)) {
            return bad_entry(file, entry->name, "has a shape that is not of whole numbers >= 0");
        }
        if (!sslcv__multiply(*count, size, count) || !sslcv__multiply(extent, size ? size : 1, &extent))
            return bad_entry(file, entry->name, "has a shape too large to count");
        if (entry->ndim < SSLCV_MAX_DIMS) entry->shape[entry->ndim] = size;
        entry->ndim++; /* the header's limit keeps it far below 2^31 */
    }
    return SSLCV_OK;
}

static int read_offsets(sslcv__json *json, int64_t *begin, int64_t *end)
{
    return sslcv__json_enter(json, '[') && sslcv__json_next(json) && sslcv__json_whole(json, begin) &&
           sslcv__json_next(json) && sslcv__json_whole(json, end) && !sslcv__json_next(json);
}

enum { HAS_DTYPE = 1, HAS_SHAPE = 2, HAS_OFFSETS = 4 };

typedef struct fields {
    int seen;
    int64_t count, begin, end;
} fields;

static sslcv_status read_field(const sslcv__tensor_file *file, sslcv__json *json, sslcv__tensor_entry *entry, fields *f)
{
    const char *const key = sslcv__json_key(json);
    const int field = strcmp(key, "dtype") == 0          ? HAS_DTYPE
                      : strcmp(key, "shape") == 0        ? HAS_SHAPE
                      : strcmp(key, "data_offsets") == 0 ? HAS_OFFSETS
                                                         : 0;

    if (f->seen & field) return bad_entry(file, entry->name, "has dtype, shape or data_offsets twice");
    f->seen |= field;
    switch (field) {
    case HAS_DTYPE:
        entry->dtype_name = sslcv__json_text(json);
        return entry->dtype_name ? SSLCV_OK : bad_entry(file, entry->name, "has no dtype that is a text");
    case HAS_SHAPE: return read_shape(file, json, entry, &f->count);
    case HAS_OFFSETS:
        if (read_offsets(json, &f->begin, &f->end)) return SSLCV_OK;
        return bad_entry(file, entry->name, "has no data_offsets of two whole numbers >= 0");
    default: sslcv__json_skip(json); return SSLCV_OK;
    }
}

static sslcv_status read_entry(const sslcv__tensor_file *file, sslcv__json *json, int64_t data_bytes,
                               sslcv__tensor_entry *entry)
{
    const char *data = file->bytes + (file->size - data_bytes);
    fields f = {0};
    int64_t bytes;
    sslcv_status status = SSLCV_OK;

    if (!sslcv__json_enter(json, '{')) return bad_entry(file, entry->name, "is not an object");
    while (sslcv__json_next(json)) SSLCV__TRY(read_field(file, json, entry, &f));
    if (!(f.seen & HAS_DTYPE)) return bad_entry(file, entry->name, "has no dtype");
    if (!(f.seen & HAS_SHAPE)) return bad_entry(file, entry->name, "has no shape");
    if (!(f.seen & HAS_OFFSETS)) return bad_entry(file, entry->name, "has no data_offsets");
    entry->dtype = dtype_of(entry->dtype_name);
    if (f.begin > f.end || f.end > data_bytes) {
        return sslcv__fail(SSLCV_ERR_FORMAT,
                           "%s: tensor \"%s\" has data_offsets %lld and %lld; the data part has %lld bytes", file->path,
                           entry->name, (long long)f.begin, (long long)f.end, (long long)data_bytes);
    }
    entry->data = data + f.begin;
    entry->bytes = f.end - f.begin;
    /* The element size of an unknown dtype is unknown: such a tensor may be in the file, but cannot be loaded. */
    if (entry->dtype && (!sslcv__multiply(f.count, sslcv_dtype_size(entry->dtype), &bytes) || bytes != entry->bytes)) {
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s: tensor \"%s\" has %lld elements of %s, but %lld bytes", file->path,
                           entry->name, (long long)f.count, entry->dtype_name, (long long)entry->bytes);
    }
end:
    return status;
}

static int compare_place(const void *left, const void *right)
{
    const sslcv__tensor_entry *a = *(sslcv__tensor_entry *const *)left;
    const sslcv__tensor_entry *b = *(sslcv__tensor_entry *const *)right;

    if (a->data != b->data) return a->data < b->data ? -1 : 1;
    return (a->bytes > b->bytes) - (a->bytes < b->bytes); /* empty ones lie in front of the one they touch */
}

/** Side by side, without gap or overlap, the tensors make up the data part. */
static sslcv_status check_cover(const sslcv__tensor_file *file, sslcv__tensor_entry **by_place, int64_t data_bytes)
{
    const char *start = file->bytes + (file->size - data_bytes), *next = start;
    int64_t i;

    qsort(by_place, (size_t)file->count, sizeof *by_place, compare_place);
    for (i = 0; i < file->count; i++) {
        if (by_place[i]->data != next) {
            return sslcv__fail(SSLCV_ERR_FORMAT,
                               "%s: tensor \"%s\" begins at byte %lld of the data part; must be %lld, where "
                               "the one before it ends",
                               file->path, by_place[i]->name, (long long)(by_place[i]->data - start),
                               (long long)(next - start));
        }
        next += by_place[i]->bytes;
    }
    if (next == start + data_bytes) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_FORMAT, "%s: its tensors have %lld bytes, its data part has %lld", file->path,
                       (long long)(next - start), (long long)data_bytes);
}

/* "":{"dtype":"","shape":[],"data_offsets":[0,0]} is the shortest entry, with what is behind it. */
enum { ENTRY_BYTES = 48 };

/**
 * Of so many bytes no more than so many can be entries; the next one, whatever it is, is refused before another begins.
 * So the array is bounded by the file's size, not by how many members it claims to have.
 */
static sslcv_status read_entries(sslcv__tensor_file *file, sslcv__json *json, int64_t tensors)
{
    const int64_t header_bytes = json->end - json->begin, data_bytes = file->size - 8 - header_bytes;
    const int64_t most = header_bytes / ENTRY_BYTES + 1;
    sslcv_status status;

    SSLCV__TRY(sslcv__tensor_file_reserve(file, tensors < most ? tensors : most));
    sslcv__json_enter(json, '{');
    while (sslcv__json_next(json)) {
        char *const texts = json->texts;
        const char *const name = sslcv__json_key(json);

        if (strcmp(name, "__metadata__") == 0) {
            json->texts = texts;
            sslcv__json_skip(json);
            continue;
        }
        file->entries[file->count].name = name;
        SSLCV__TRY(read_entry(file, json, data_bytes, &file->entries[file->count]));
        file->count++;
    }
    SSLCV__TRY(sslcv__tensor_file_sort(file));                /* two of one name also overlap: this says why */
    SSLCV__TRY(check_cover(file, file->by_name, data_bytes)); /* sorts them by place; by name again later */
end:
    return status;
}

/* ---- the file ---- */

sslcv_status sslcv__safetensors_parse(sslcv__tensor_file *file)
{
    int64_t header_bytes = 0, tensors = 0;
    sslcv__json json;
    sslcv_status status;

    SSLCV__TRY(check_start(file, &header_bytes));
    SSLCV__TRY(sslcv__alloc(file->context, header_bytes, (void **)&file->texts));
    sslcv__json_begin(&json, file->bytes + 8, header_bytes, file->texts);
    SSLCV__TRY(read_header(file, &json, &tensors));
    SSLCV__TRY(check_checksum(file, header_bytes));
    sslcv__json_begin(&json, file->bytes + 8, header_bytes, json.texts);
    SSLCV__TRY(read_entries(file, &json, tensors));
end:
    return status;
}
