/* sslcv_embed_to_file(): sslcv_embed() part by part, each part of whole batches, so that the same batches are made. */
#include "core/context.h"
#include "core/file.h"
#include "core/memory.h"
#include "core/object.h"
#include "eval/embed.h"
#include "io/npy.h"

enum { PART_BYTES = 64 << 20 }; /* large beside a batch, small beside what machines have */

typedef struct part {
    sslcv__new_file *features; /* files; NULL: not open */
    sslcv__new_file *labels;
    int64_t rows;        /* at once */
    float *values;       /* (rows, d) */
    int64_t *row_labels; /* rows */
} part;

static sslcv_status open_files(sslcv_context *context, const char *features_path, const char *labels_path,
                               const int64_t *shape, part *p)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__new_file_open(context, features_path, &p->features));
    SSLCV__TRY(sslcv__npy_write_header(p->features, SSLCV_F32, 2, shape));
    if (!labels_path) goto end;
    SSLCV__TRY(sslcv__new_file_open(context, labels_path, &p->labels));
    SSLCV__TRY(sslcv__npy_write_header(p->labels, SSLCV_I64, 1, shape));
end:
    return status;
}

static sslcv_status allocate(sslcv_context *context, const sslcv_embed_options *o, int64_t d, int64_t part_bytes,
                             part *p)
{
    const int64_t fitting = part_bytes / (int64_t)sizeof(float) / d, batches = fitting / o->batch_size;
    sslcv_status status;

    p->rows = batches > 0 ? batches * o->batch_size : o->batch_size;
    if (p->rows > o->count) p->rows = o->count;
    SSLCV__TRY(sslcv__alloc_array(context, p->rows, d * (int64_t)sizeof(float), (void **)&p->values));
    SSLCV__TRY(sslcv__alloc_array(context, p->rows, sizeof(int64_t), (void **)&p->row_labels));
end:
    return status;
}

static sslcv_status write_parts(const sslcv_embed_options *o, int64_t d, const part *p)
{
    sslcv_embed_options now = *o;
    int64_t done;
    sslcv_status status = SSLCV_OK;

    for (done = 0; done < o->count; done += now.count) {
        const int64_t left = o->count - done;
        int64_t shape[2] = {left < p->rows ? left : p->rows, d};
        sslcv_tensor tensor;

        now.first = o->first + done;
        now.count = shape[0];
        SSLCV__TRY(sslcv_tensor_init(&tensor, SSLCV_F32, p->values, 2, shape));
        SSLCV__TRY(sslcv_embed(&now, &tensor, p->row_labels));
        SSLCV__TRY(sslcv__new_file_write(p->features, p->values, now.count * d * (int64_t)sizeof(float)));
        if (p->labels) {
            SSLCV__TRY(sslcv__new_file_write(p->labels, p->row_labels, now.count * (int64_t)sizeof(int64_t)));
        }
    }
end:
    return status;
}

static sslcv_status commit(sslcv__new_file **file)
{
    sslcv__new_file *whole = *file;

    *file = NULL;
    return whole ? sslcv__new_file_commit(whole, 0) : SSLCV_OK;
}

sslcv_status sslcv__embed_to_file(const sslcv_embed_options *given, const char *features_path, const char *labels_path,
                                  int64_t part_bytes)
{
    sslcv_embed_options o;
    sslcv_context *context = NULL;
    sslcv_tensor shape = {.data = NULL};
    part p = {.rows = 0};
    sslcv_status status = sslcv__embed_read(given, "embed_options", &o, &context);

    if (status != SSLCV_OK) return status;
    if (!features_path) return sslcv__null("features_path");
    SSLCV__TRY(sslcv_embed(&o, &shape, NULL));
    SSLCV__TRY(allocate(context, &o, shape.shape[1], part_bytes, &p));
    SSLCV__TRY(open_files(context, features_path, labels_path, shape.shape, &p));
    SSLCV__TRY(write_parts(&o, shape.shape[1], &p));
    SSLCV__TRY(commit(&p.features));
    SSLCV__TRY(commit(&p.labels));
end:
    sslcv__new_file_discard(p.features);
    sslcv__new_file_discard(p.labels);
    sslcv__free(context, p.values);
    sslcv__free(context, p.row_labels);
    return status;
}

sslcv_status sslcv_embed_to_file(const sslcv_embed_options *options, const char *features_path, const char *labels_path)
{
    return sslcv__embed_to_file(options, features_path, labels_path, PART_BYTES);
}
