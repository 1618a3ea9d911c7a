/** sslcv_state_save() to NumPy's formats: an archive of stored members NAME.npy, or one .npy file. */
#include "io/save.h"

#include "core/checked.h"
#include "core/memory.h"
#include "core/tensor.h"
#include "io/npy.h"
#include "io/zip.h"

#include <string.h>
#include <zlib.h>

enum { SUFFIX_BYTES = 4 };

static const char suffix[] = ".npy";

/** A tensor of the state that goes into the file. */
typedef struct sslcv__npz_part {
    const sslcv__state_item *item;
    int64_t name; /* of the member; its place in the saver's header */
    int64_t name_bytes;
    uint32_t crc;
    uint32_t reserved;
} sslcv__npz_part;

/* ---- what is written ---- */

static int is_chosen(const sslcv__saver *s, int64_t index)
{
    return (s->state->items[index].variable->role & s->options.roles) != 0;
}

static sslcv_status check_wish(const sslcv__saver *s)
{
    if (s->options.num_metadata > 0) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED,
                           "save_options.metadata is given; .npz and .npy files have none, safetensors have");
    }
    if (s->options.format == SSLCV_FORMAT_NPY && s->num_parts != 1) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "an .npy file holds one tensor; the roles choose %lld of the state's",
                           (long long)s->num_parts);
    }
    return SSLCV_OK;
}

static sslcv_status add_name(sslcv__saver *s, sslcv__npz_part *part)
{
    const char *prefix = s->options.prefix ? s->options.prefix : "", *name = part->item->name;
    sslcv_status status;

    part->name = s->header.size;
    SSLCV__TRY(sslcv__bytes_append(&s->header, prefix, (int64_t)strlen(prefix)));
    SSLCV__TRY(sslcv__bytes_append(&s->header, name, (int64_t)strlen(name)));
    SSLCV__TRY(sslcv__bytes_append(&s->header, suffix, SUFFIX_BYTES + 1));
    part->name_bytes = s->header.size - 1 - part->name;
    SSLCV__TRY(sslcv__utf8_check(s->header.data + part->name, "a tensor's name"));
    if (part->name_bytes <= SUFFIX_BYTES) status = sslcv__invalid("a tensor's name is empty");
    if (part->name_bytes > SSLCV__ZIP_MAX_NAME) {
        status = sslcv__fail(SSLCV_ERR_LIMIT, "a tensor's name has %lld bytes; at most %d in an .npz file",
                             (long long)part->name_bytes - SUFFIX_BYTES, (int)SSLCV__ZIP_MAX_NAME - SUFFIX_BYTES);
    }
end:
    return status;
}

static sslcv_status check_unique(const sslcv__saver *s)
{
    const char **names;
    int64_t i;
    sslcv_status status = sslcv__alloc_array(s->context, s->num_parts, sizeof *names, (void **)&names);

    if (status != SSLCV_OK) return status;
    for (i = 0; i < s->num_parts; i++) names[i] = s->header.data + s->parts[i].name;
    status = sslcv__save_check_unique(names, s->num_parts);
    sslcv__free(s->context, names);
    return status;
}

static sslcv_status choose_parts(sslcv__saver *s)
{
    int64_t i;
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(s->context, s->state->count, sizeof *s->parts, (void **)&s->parts));
    for (i = 0; i < s->state->count; i++) {
        if (is_chosen(s, i)) s->parts[s->num_parts++].item = &s->state->items[i];
    }
    SSLCV__TRY(check_wish(s));
    for (i = 0; i < s->num_parts; i++) {
        const int32_t dtype = sslcv__save_dtype(s, s->parts[i].item->variable);

        if (!sslcv__npy_has_dtype(dtype)) {
            status = sslcv__fail(SSLCV_ERR_UNSUPPORTED, "\"%s\" is to be saved as %s, which NumPy does not have",
                                 s->parts[i].item->name, sslcv__dtype_name(dtype));
            goto end;
        }
        SSLCV__TRY(add_name(s, &s->parts[i]));
    }
    SSLCV__TRY(check_unique(s));
end:
    return status;
}

/* ---- the passes ---- */

static int64_t part_bytes(const sslcv__saver *s, const sslcv__npz_part *part, char header[SSLCV__NPY_MAX_HEADER],
                          int64_t *header_bytes)
{
    const sslcv__variable *variable = part->item->variable;
    const int32_t dtype = sslcv__save_dtype(s, variable);

    *header_bytes = sslcv__npy_header(dtype, variable->ndim, variable->shape, header);
    return *header_bytes + variable->count * sslcv_dtype_size(dtype);
}

static sslcv_status put_array(const sslcv__saver *s, const sslcv__npz_part *part, sslcv__sink *to)
{
    char header[SSLCV__NPY_MAX_HEADER];
    int64_t header_bytes;
    sslcv_status status;

    part_bytes(s, part, header, &header_bytes);
    status = sslcv__save_put(to, header, header_bytes);
    return status == SSLCV_OK ? sslcv__save_put_tensor(s, part->item, to) : status;
}

sslcv_status sslcv__npz_prepare(sslcv__saver *s)
{
    int64_t i;
    sslcv_status status = choose_parts(s);

    for (i = 0; i < s->num_parts && status == SSLCV_OK; i++) {
        sslcv__sink to = {.checksum = crc32(0, Z_NULL, 0)};

        status = put_array(s, &s->parts[i], &to);
        s->parts[i].crc = (uint32_t)to.checksum;
    }
    return status;
}

static sslcv__zip_part zip_part(const sslcv__saver *s, const sslcv__npz_part *part, int64_t offset)
{
    char header[SSLCV__NPY_MAX_HEADER];
    int64_t header_bytes;
    const sslcv__zip_part zip = {.name = s->header.data + part->name,
                                 .name_bytes = part->name_bytes,
                                 .bytes = part_bytes(s, part, header, &header_bytes),
                                 .offset = offset,
                                 .crc = part->crc};
    return zip;
}

static sslcv_status put_archive(const sslcv__saver *s, sslcv__sink *to)
{
    sslcv__bytes local = {.context = s->context}, directory = {.context = s->context};
    int64_t offset = 0, count = s->num_parts, i, directory_bytes;
    sslcv_status status;

    for (i = 0; i < count; i++) {
        const sslcv__zip_part part = zip_part(s, &s->parts[i], offset);

        local.size = 0;
        SSLCV__TRY(sslcv__zip_append_local(&local, &part, SSLCV__ZIP_LIMIT));
        SSLCV__TRY(sslcv__zip_append_central(&directory, &part, SSLCV__ZIP_LIMIT));
        SSLCV__TRY(sslcv__save_put(to, local.data, local.size));
        SSLCV__TRY(put_array(s, &s->parts[i], to));
        if (!sslcv__add(offset, local.size, &offset) || !sslcv__add(offset, part.bytes, &offset)) {
            status = sslcv__fail(SSLCV_ERR_LIMIT, "the state has more than 2^63 - 1 bytes");
            goto end;
        }
    }
    directory_bytes = directory.size;
    SSLCV__TRY(sslcv__zip_append_end(&directory, count, offset, directory_bytes, SSLCV__ZIP_LIMIT));
    SSLCV__TRY(sslcv__save_put(to, directory.data, directory.size));
end:
    sslcv__free(s->context, directory.data);
    sslcv__free(s->context, local.data);
    return status;
}

sslcv_status sslcv__npz_put(const sslcv__saver *s, sslcv__sink *to)
{
    return s->options.format == SSLCV_FORMAT_NPY ? put_array(s, &s->parts[0], to) : put_archive(s, to);
}
