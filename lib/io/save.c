/**
 * sslcv_state_save(): two passes over the tensors, the first for the checksum in the header and to find what cannot be
 * saved before any file is touched, the second to write.
 */
#include "io/save.h"

#include "core/checked.h"
#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/tensor.h"
#include "io/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MAX_GENERATIONS = 9 };

sslcv_status sslcv_save_options_init(sslcv_save_options *options, size_t struct_size)
{
    const sslcv_save_options defaults = {.roles = SSLCV_ROLE_ALL};

    return sslcv__options_init("save_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

/** As many pairs as are read again, the three of the library among them. What the host says anew counts twice. */
static sslcv_status check_pairs(int64_t pairs)
{
    if (pairs <= SSLCV__SAFETENSORS_MAX_PAIRS - 3) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_LIMIT, "%lld keys of metadata; at most %d fit into a file", (long long)pairs,
                       (int)SSLCV__SAFETENSORS_MAX_PAIRS - 3);
}

static sslcv_status check_metadata_options(const sslcv_save_options *options)
{
    const sslcv_status status = check_pairs(options->num_metadata);
    int64_t i, j;

    if (options->num_metadata < 0) {
        return sslcv__invalid("save_options.num_metadata is %lld; must be >= 0", (long long)options->num_metadata);
    }
    if (status != SSLCV_OK) return status;
    if (options->num_metadata > 0 && !options->metadata) return sslcv__null("save_options.metadata");
    for (i = 0; i < options->num_metadata; i++) {
        const char *key = options->metadata[2 * i];

        if (!key || !options->metadata[2 * i + 1]) {
            return sslcv__invalid("save_options.metadata has NULL in pair %lld", (long long)i);
        }
        if (strncmp(key, "sslcv.", 6) == 0) {
            return sslcv__invalid("save_options.metadata has the key \"%s\"; \"sslcv.\" is kept for the library", key);
        }
        for (j = 0; j < i; j++) {
            if (strcmp(options->metadata[2 * j], key) == 0) {
                return sslcv__invalid("save_options.metadata has the key \"%s\" twice", key);
            }
        }
    }
    return SSLCV_OK;
}

static sslcv_status check_options(const sslcv_save_options *options)
{
    const int32_t dtype = options->dtype;
    const sslcv_status status = sslcv__state_check_roles(options->roles, "save_options.roles");

    if (status != SSLCV_OK) return status;
    if (dtype != 0 && dtype != SSLCV_F32 && dtype != SSLCV_BF16 && dtype != SSLCV_F16) {
        return sslcv__invalid("save_options.dtype is %s (%d); must be 0, SSLCV_F32, SSLCV_BF16 or SSLCV_F16",
                              sslcv__dtype_name(dtype), (int)dtype);
    }
    if (options->generations < 0 || options->generations > MAX_GENERATIONS) {
        return sslcv__invalid("save_options.generations is %d; must be 0 .. 9", (int)options->generations);
    }
    if (options->format < SSLCV_FORMAT_SAFETENSORS || options->format > SSLCV_FORMAT_NPY) {
        return sslcv__invalid("save_options.format is %d; must be one of SSLCV_FORMAT_*, 0 .. 2", (int)options->format);
    }
    return check_metadata_options(options);
}

/* ---- what is written, in which order ---- */

int32_t sslcv__save_dtype(const sslcv__saver *s, const sslcv__variable *variable)
{
    return s->options.dtype && (variable->role & SSLCV_ROLE_PARAMETERS) ? s->options.dtype : variable->dtype;
}

/**
 * Tensors of large elements first, else in the state's order: with a header of a multiple of 8 bytes every tensor is
 * then aligned to its element, which readers that map the file rely on.
 */
static int is_next(const sslcv__saver *s, int64_t index, int64_t element_size)
{
    const sslcv__variable *variable = s->state->items[index].variable;

    return (variable->role & s->options.roles) && sslcv_dtype_size(sslcv__save_dtype(s, variable)) == element_size;
}

/* ---- the header ---- */

static sslcv_status append_text(sslcv__saver *s, const char *text)
{
    return sslcv__bytes_append(&s->header, text, (int64_t)strlen(text));
}

static sslcv_status append_pair(sslcv__saver *s, const char *key, const char *value)
{
    sslcv_status status;

    SSLCV__TRY(append_text(s, ","));
    SSLCV__TRY(sslcv__bytes_string(&s->header, key, "a metadata key"));
    SSLCV__TRY(append_text(s, ":"));
    SSLCV__TRY(sslcv__bytes_string(&s->header, value, key));
end:
    return status;
}

static int host_has_key(const sslcv__saver *s, const char *key)
{
    int64_t i;

    for (i = 0; i < s->options.num_metadata; i++) {
        if (strcmp(s->options.metadata[2 * i], key) == 0) return 1;
    }
    return 0;
}

/** Checksum (zeros as yet), format, version, what the state says, what the host says; of equal keys the host's. */
static sslcv_status append_metadata(sslcv__saver *s)
{
    const sslcv_state *state = s->state;
    sslcv_status status;
    int64_t i;

    SSLCV__TRY(append_text(s, SSLCV__SAFETENSORS_START "00000000\""));
    SSLCV__TRY(append_pair(s, "sslcv.format", "1"));
    SSLCV__TRY(append_pair(s, "sslcv.version", sslcv_version_string()));
    for (i = 0; i < state->num_metadata; i++) {
        const char *key = state->metadata[2 * i];

        if (!host_has_key(s, key)) SSLCV__TRY(append_pair(s, key, state->metadata[2 * i + 1]));
    }
    for (i = 0; i < s->options.num_metadata; i++) {
        SSLCV__TRY(append_pair(s, s->options.metadata[2 * i], s->options.metadata[2 * i + 1]));
    }
    SSLCV__TRY(append_text(s, "}"));
end:
    return status;
}

static sslcv_status append_name(sslcv__saver *s, const char *name)
{
    sslcv__bytes joined = {0};
    const char *prefix = s->options.prefix ? s->options.prefix : "";
    sslcv_status status;

    joined.context = s->context;
    SSLCV__TRY(sslcv__bytes_append(&joined, prefix, (int64_t)strlen(prefix)));
    SSLCV__TRY(sslcv__bytes_append(&joined, name, (int64_t)strlen(name) + 1));
    if (strcmp(joined.data, "__metadata__") == 0) {
        status = sslcv__invalid("a tensor is named \"__metadata__\", which a safetensors file cannot have");
        goto end;
    }
    SSLCV__TRY(sslcv__bytes_string(&s->header, joined.data, "a tensor's name"));
end:
    sslcv__free(s->context, joined.data);
    return status;
}

static sslcv_status append_entry(sslcv__saver *s, const sslcv__state_item *item, int64_t *offset)
{
    const sslcv__variable *variable = item->variable;
    const int32_t dtype = sslcv__save_dtype(s, variable);
    int64_t end = 0;
    int32_t i;
    sslcv_status status;

    if (!sslcv__add(*offset, variable->count * sslcv_dtype_size(dtype), &end)) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "the state has more than 2^63 - 1 bytes");
    }
    SSLCV__TRY(append_text(s, ","));
    SSLCV__TRY(append_name(s, item->name));
    SSLCV__TRY(append_text(s, ":{\"dtype\":\""));
    SSLCV__TRY(append_text(s, sslcv__safetensors_dtype_name(dtype)));
    SSLCV__TRY(append_text(s, "\",\"shape\":["));
    for (i = 0; i < variable->ndim; i++) {
        if (i > 0) SSLCV__TRY(append_text(s, ","));
        SSLCV__TRY(sslcv__bytes_integer(&s->header, variable->shape[i]));
    }
    SSLCV__TRY(append_text(s, "],\"data_offsets\":["));
    SSLCV__TRY(sslcv__bytes_integer(&s->header, *offset));
    SSLCV__TRY(append_text(s, ","));
    SSLCV__TRY(sslcv__bytes_integer(&s->header, end));
    SSLCV__TRY(append_text(s, "]}"));
    *offset = end;
end:
    return status;
}

static int compare_text(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

sslcv_status sslcv__save_check_unique(const char **names, int64_t count)
{
    int64_t i;

    qsort(names, (size_t)count, sizeof *names, compare_text);
    for (i = 1; i < count; i++) {
        if (strcmp(names[i - 1], names[i]) != 0) continue;
        return sslcv__invalid("the state cannot be saved: two tensors would be \"%s\"", names[i]);
    }
    return SSLCV_OK;
}

/** Two windows onto one state, appended without prefixes, are not unique. */
static sslcv_status check_unique(const sslcv__saver *s)
{
    const sslcv_state *state = s->state;
    const char **names = NULL;
    int64_t count = 0, i;
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(s->context, state->count, sizeof *names, (void **)&names));
    for (i = 0; i < state->count; i++) {
        if (state->items[i].variable->role & s->options.roles) names[count++] = state->items[i].name;
    }
    SSLCV__TRY(sslcv__save_check_unique(names, count));
end:
    sslcv__free(s->context, names);
    return status;
}

/** The length's 8 bytes and the JSON, padded so that both take a multiple of 8. */
static sslcv_status build_header(sslcv__saver *s)
{
    int64_t offset = 0, size, i;
    sslcv_status status;

    SSLCV__TRY(check_pairs(s->state->num_metadata + s->options.num_metadata));
    SSLCV__TRY(sslcv__bytes_append(&s->header, "\0\0\0\0\0\0\0\0", 8));
    SSLCV__TRY(append_metadata(s));
    for (size = 8; size >= 1; size /= 2) {
        for (i = 0; i < s->state->count; i++) {
            if (is_next(s, i, size)) SSLCV__TRY(append_entry(s, &s->state->items[i], &offset));
        }
    }
    SSLCV__TRY(append_text(s, "}"));
    while (s->header.size % 8 != 0) SSLCV__TRY(append_text(s, " "));
    if (s->header.size > SSLCV__SAFETENSORS_MAX_HEADER) {
        return sslcv__fail(SSLCV_ERR_LIMIT,
                           "names, shapes and metadata take more than %d bytes, the limit of a safetensors header",
                           (int)SSLCV__SAFETENSORS_MAX_HEADER);
    }
    SSLCV__TRY(check_unique(s));
    for (i = 0; i < 8; i++) s->header.data[i] = (char)((s->header.size - 8) >> (8 * i) & 0xFF);
end:
    return status;
}

/* ---- the passes ---- */

static sslcv_status write_stream(const sslcv_stream *stream, const char *data, int64_t size)
{
    while (size > 0) {
        const int64_t done = stream->write(stream->user, data, size);

        if (done <= 0 || done > size) {
            return sslcv__fail(SSLCV_ERR_IO, "stream.write took %lld of %lld bytes", (long long)done, (long long)size);
        }
        data += done;
        size -= done;
    }
    return SSLCV_OK;
}

sslcv_status sslcv__save_put(sslcv__sink *to, const void *data, int64_t size)
{
    const char *bytes = data;

    if (to->file) return sslcv__new_file_write(to->file, data, size);
    if (to->stream) return write_stream(to->stream, data, size);
    while (size > 0) {
        const uInt part = size > 1 << 30 ? (uInt)1 << 30 : (uInt)size;

        to->checksum = crc32(to->checksum, (const Bytef *)bytes, part);
        bytes += part;
        size -= part;
    }
    return SSLCV_OK;
}

/** What is in that form already goes without a copy. */
sslcv_status sslcv__save_put_tensor(const sslcv__saver *s, const sslcv__state_item *item, sslcv__sink *to)
{
    const sslcv__variable *variable = item->variable;
    const int32_t dtype = sslcv__save_dtype(s, variable);
    const int64_t bytes = variable->count * sslcv_dtype_size(dtype);
    sslcv_tensor plain, converted;
    void *dense = NULL, *other = NULL;
    sslcv_status status = SSLCV_OK;

    if (variable->layout) {
        SSLCV__TRY(sslcv__alloc(s->context, sslcv__variable_dense_bytes(variable), &dense));
        SSLCV__TRY(sslcv__variable_unpack(s->context, variable, variable->value, dense));
    }
    sslcv__tensor_set(&plain, variable->dtype, dense ? dense : variable->value, variable->ndim, variable->shape);
    converted = plain;
    if (dtype != variable->dtype) {
        SSLCV__TRY(sslcv__alloc(s->context, bytes, &other));
        sslcv__tensor_set(&converted, dtype, other, variable->ndim, variable->shape);
        SSLCV__TRY(sslcv__state_convert(s->context, &plain, &converted, item->name));
    }
    if (variable->role & SSLCV_ROLE_PARAMETERS) {
        SSLCV__TRY(sslcv__state_check_finite(dtype, converted.data, variable->count, item->name));
    }
    SSLCV__TRY(sslcv__save_put(to, converted.data, bytes));
end:
    sslcv__free(s->context, other);
    sslcv__free(s->context, dense);
    return status;
}

static sslcv_status put_all(const sslcv__saver *s, sslcv__sink *to)
{
    int64_t size, i;
    sslcv_status status;

    if (s->options.format != SSLCV_FORMAT_SAFETENSORS) return sslcv__npz_put(s, to);
    status = sslcv__save_put(to, s->header.data, s->header.size);
    for (size = 8; size >= 1; size /= 2) {
        for (i = 0; i < s->state->count && status == SSLCV_OK; i++) {
            if (is_next(s, i, size)) status = sslcv__save_put_tensor(s, &s->state->items[i], to);
        }
    }
    return status;
}

static sslcv_status put_checksum(sslcv__saver *s)
{
    sslcv__sink to = {.checksum = crc32(0, Z_NULL, 0)};
    char digits[16];
    const sslcv_status status = put_all(s, &to);

    if (status != SSLCV_OK) return status;
    snprintf(digits, sizeof digits, "%08lx", to.checksum);
    memcpy(s->header.data + 8 + strlen(SSLCV__SAFETENSORS_START), digits, SSLCV__SAFETENSORS_DIGITS);
    return SSLCV_OK;
}

static sslcv_status write_file(const sslcv__saver *s, const char *path)
{
    sslcv__sink to = {0};
    sslcv_status status = sslcv__new_file_open(s->context, path, &to.file);

    if (status != SSLCV_OK) return status;
    status = put_all(s, &to);
    if (status == SSLCV_OK) return sslcv__new_file_commit(to.file, s->options.generations);
    sslcv__new_file_discard(to.file);
    return status;
}

sslcv_status sslcv_state_save(const sslcv_state *state, const char *path, const sslcv_save_options *options)
{
    sslcv__saver s = {.options = {.roles = SSLCV_ROLE_ALL}};
    sslcv_stream stream = {0};
    sslcv_status status = sslcv__check(state, SSLCV__STATE, "state");

    if (status != SSLCV_OK) return status;
    s.state = state;
    s.context = s.header.context = state->object.context;
    SSLCV__TRY(sslcv__options_read("save_options", options, sizeof s.options, &s.options, sizeof s.options));
    SSLCV__TRY(check_options(&s.options));
    if (!path) {
        if (!s.options.stream) return sslcv__invalid("path and save_options.stream are both NULL");
        SSLCV__TRY(sslcv__options_read("stream", s.options.stream, sizeof stream, &stream, sizeof stream));
        if (!stream.write) return sslcv__null("stream.write");
    }
    SSLCV__TRY(sslcv__state_before_read(state));
    if (s.options.format == SSLCV_FORMAT_SAFETENSORS) {
        SSLCV__TRY(build_header(&s));
        SSLCV__TRY(put_checksum(&s));
    } else {
        SSLCV__TRY(sslcv__npz_prepare(&s));
    }
    if (path) {
        SSLCV__TRY(write_file(&s, path));
    } else {
        sslcv__sink to = {.stream = &stream};
        SSLCV__TRY(put_all(&s, &to));
    }
end:
    sslcv__free(s.context, s.parts);
    sslcv__free(s.context, s.header.data);
    return status;
}
