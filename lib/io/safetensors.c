/** Reading: from bytes that nobody can be trusted with to a checked list of tensors. */
#include "io/safetensors.h"

#include "core/checked.h"
#include "core/context.h"

#include <errno.h>
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

/* Where jansson gets no memory, it mostly names another error, or none; malloc() says it by errno. */
json_t *sslcv__safetensors_header(const char *json, int64_t size, json_error_t *error, int *out_of_memory)
{
    json_t *header;

    errno = 0;
    header = json_loadb(json, (size_t)size, JSON_REJECT_DUPLICATES, error);
    *out_of_memory = !header && (errno == ENOMEM || json_error_code(error) == json_error_out_of_memory);
    return header;
}

/*
 * What the parser takes for a value, however short, comes from malloc() and is bounded here before it is called: each
 * value has a bracket or comma in front.
 */
enum { VALUE_BYTES = 256, FREE_BYTES = 64 << 20, MOST_BYTES = 256 << 20 };

static sslcv_status check_values(const sslcv__tensor_file *file, int64_t header_bytes)
{
    const int64_t bytes = file->max_bytes < FREE_BYTES ? FREE_BYTES : file->max_bytes;
    const int64_t most = (bytes < MOST_BYTES ? bytes : MOST_BYTES) / VALUE_BYTES; /* a tensor has about eight */
    const char *p = file->bytes + 8, *end = p + header_bytes;
    int64_t values = 0;
    int in_text = 0;

    for (; p < end; p++) {
        if (in_text) {
            if (*p == '\\')
                p++;
            else if (*p == '"')
                in_text = 0;
            continue;
        }
        in_text = *p == '"';
        values += *p == '{' || *p == '[' || *p == ',';
    }
    if (values <= most) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_LIMIT, "%s: its header has %lld values; at most %lld with max_bytes %lld", file->path,
                       (long long)values, (long long)most, (long long)file->max_bytes);
}

static sslcv_status parse_header(sslcv__tensor_file *file, int64_t header_bytes)
{
    const sslcv_status status = check_values(file, header_bytes);
    json_error_t error;
    int out_of_memory;

    if (status != SSLCV_OK) return status;
    file->header = sslcv__safetensors_header((const char *)file->bytes + 8, header_bytes, &error, &out_of_memory);
    if (file->header) return SSLCV_OK;
    if (out_of_memory) {
        return sslcv__fail(SSLCV_ERR_OUT_OF_MEMORY, "out of memory: header of %s", file->path);
    }
    return sslcv__fail(SSLCV_ERR_FORMAT, "%s: its header is no valid JSON at byte %d: %s", file->path, error.position,
                       error.text);
}

/* ---- metadata and checksum ---- */

static sslcv_status check_metadata(sslcv__tensor_file *file)
{
    const char *key;
    json_t *value;

    file->metadata = json_object_get(file->header, "__metadata__");
    if (!file->metadata) return SSLCV_OK;
    if (!json_is_object(file->metadata)) {
        file->metadata = NULL;
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s: __metadata__ is not an object", file->path);
    }
    json_object_foreach(file->metadata, key, value)
    {
        if (!json_is_string(value)) {
            return sslcv__fail(SSLCV_ERR_FORMAT, "%s: __metadata__ has \"%s\", which is not a text", file->path, key);
        }
    }
    return SSLCV_OK;
}

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

/** A whole number >= 0 and nothing else: 1.0, "1" and -1 are refused. */
static int is_size(const json_t *value, int64_t *size)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) return 0;
    *size = (int64_t)json_integer_value(value);
    return 1;
}

static sslcv_status read_shape(const sslcv__tensor_file *file, const json_t *shape, sslcv__tensor_entry *entry,
                               int64_t *count)
{
    const size_t ndim = json_array_size(shape);
    int64_t extent = 1; /* as if no axis were 0: one must not hide that the others are too long */
    size_t i;

    if (!json_is_array(shape)) return bad_entry(file, entry->name, "has no shape that is an array");
    *count = 1;
    for (i = 0; i < ndim; i++) {
        int64_t size = 0;

        if (!is_size(json_array_get(shape, i), &size)) {
            return bad_entry(file, entry->name, "has a shape that is not of whole numbers >= 0");
        }
        if (!sslcv__multiply(*count, size, count) || !sslcv__multiply(extent, size ? size : 1, &extent))
            return bad_entry(file, entry->name, "has a shape too large to count");
        if (i < SSLCV_MAX_DIMS) entry->shape[i] = size;
    }
    entry->ndim = (int32_t)ndim; /* the header's limit keeps it far below 2^31 */
    return SSLCV_OK;
}

static sslcv_status read_entry(const sslcv__tensor_file *file, const json_t *json, int64_t data_bytes,
                               sslcv__tensor_entry *entry)
{
    const json_t *offsets = json_object_get(json, "data_offsets");
    const char *data = file->bytes + (file->size - data_bytes);
    int64_t begin = 0, end = 0, count = 0, bytes;
    sslcv_status status;

    if (!json_is_object(json)) return bad_entry(file, entry->name, "is not an object");
    entry->dtype_name = json_string_value(json_object_get(json, "dtype"));
    if (!entry->dtype_name) return bad_entry(file, entry->name, "has no dtype that is a text");
    entry->dtype = dtype_of(entry->dtype_name);
    status = read_shape(file, json_object_get(json, "shape"), entry, &count);
    if (status != SSLCV_OK) return status;
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 || !is_size(json_array_get(offsets, 0), &begin) ||
        !is_size(json_array_get(offsets, 1), &end)) {
        return bad_entry(file, entry->name, "has no data_offsets of two whole numbers >= 0");
    }
    if (begin > end || end > data_bytes) {
        return sslcv__fail(SSLCV_ERR_FORMAT,
                           "%s: tensor \"%s\" has data_offsets %lld and %lld; the data part has %lld bytes", file->path,
                           entry->name, (long long)begin, (long long)end, (long long)data_bytes);
    }
    /* The element size of an unknown dtype is unknown: such a tensor may be in the file, but cannot be loaded. */
    if (entry->dtype && (!sslcv__multiply(count, sslcv_dtype_size(entry->dtype), &bytes) || bytes != end - begin)) {
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s: tensor \"%s\" has %lld elements of %s, but %lld bytes", file->path,
                           entry->name, (long long)count, entry->dtype_name, (long long)(end - begin));
    }
    entry->data = data + begin;
    entry->bytes = end - begin;
    return SSLCV_OK;
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

static sslcv_status read_entries(sslcv__tensor_file *file, int64_t data_bytes)
{
    const int64_t most = (int64_t)json_object_size(file->header);
    const char *name;
    json_t *value;
    int64_t i;
    sslcv_status status;

    SSLCV__TRY(sslcv__tensor_file_reserve(file, most));
    json_object_foreach(file->header, name, value)
    {
        if (value == file->metadata) continue;
        file->entries[file->count].name = name;
        SSLCV__TRY(read_entry(file, value, data_bytes, &file->entries[file->count]));
        file->count++;
    }
    for (i = 0; i < file->count; i++) file->by_name[i] = &file->entries[i];
    SSLCV__TRY(check_cover(file, file->by_name, data_bytes)); /* sorts them by place; by name comes later */
end:
    return status;
}

/* ---- the file ---- */

sslcv_status sslcv__safetensors_parse(sslcv__tensor_file *file)
{
    int64_t header_bytes = 0;
    sslcv_status status;

    SSLCV__TRY(check_start(file, &header_bytes));
    SSLCV__TRY(parse_header(file, header_bytes));
    SSLCV__TRY(check_metadata(file));
    SSLCV__TRY(check_checksum(file, header_bytes));
    SSLCV__TRY(read_entries(file, file->size - 8 - header_bytes));
end:
    return status;
}
