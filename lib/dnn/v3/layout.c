#include "core/memory.h"
#include "dnn/v3/internal.h"

#include <string.h>

/* Takes md over, also on failure. */
static sslcv_status make(sslcv_context *context, dnnl_memory_desc_t md, sslcv__layout **out)
{
    sslcv__layout *layout;
    const sslcv_status status = sslcv__alloc(context, sizeof *layout, (void **)&layout);

    if (status != SSLCV_OK) {
        dnnl_memory_desc_destroy(md);
        return status;
    }
    layout->md = md;
    *out = layout;
    return SSLCV_OK;
}

static sslcv_status make_by_tag(sslcv_context *context, int32_t dtype, int32_t ndim, const int64_t *shape,
                                dnnl_format_tag_t tag, sslcv__layout **out)
{
    dnnl_memory_desc_t md;
    const dnnl_status_t status = dnnl_memory_desc_create_with_tag(&md, ndim, shape, sslcv__dnn_type(dtype), tag);

    return status == dnnl_success ? make(context, md, out) : sslcv__dnn_fail(status, "layout", NULL);
}

sslcv_status sslcv__layout_plain(sslcv_context *context, int32_t dtype, int32_t ndim, const int64_t *shape,
                                 sslcv__layout **out)
{
    static const dnnl_format_tag_t tags[] = {dnnl_format_tag_undef, dnnl_a, dnnl_ab, dnnl_abc, dnnl_abcd, dnnl_abcde};

    if (ndim < 1 || ndim > SSLCV__DNN_MAX_DIMS) {
        return sslcv__invalid("a layout has %d dimensions; must be 1 .. 5", ndim);
    }
    return make_by_tag(context, dtype, ndim, shape, tags[ndim], out);
}

sslcv_status sslcv__layout_images(sslcv_context *context, int32_t dtype, const int64_t shape[4], int32_t block,
                                  sslcv__layout **out)
{
    return make_by_tag(context, dtype, 4, shape, block == 16 ? dnnl_nChw16c : dnnl_nChw8c, out);
}

sslcv_status sslcv__layout_filters(sslcv_context *context, const int64_t shape[4], int32_t block, sslcv__layout **out)
{
    return make_by_tag(context, SSLCV_F32, 4, shape, block == 16 ? dnnl_OIhw16i16o : dnnl_OIhw8i8o, out);
}

/* Where elements lie. */
typedef struct blocking {
    sslcv__dnn_dims d;
    const dnnl_dim_t *strides, *blocks, *indices; /* indices: which axis each inner block is of */
    int num_blocks;
} blocking;

/* 0: in a form that only oneDNN knows. */
static int blocking_of(const sslcv__layout *layout, blocking *b)
{
    const dnnl_dims_t *strides, *blocks, *indices;

    b->d = sslcv__dnn_dims_of(layout->md);
    if (b->d.ndims == 0 || dnnl_memory_desc_query(layout->md, dnnl_query_strides, (void *)&strides) != dnnl_success ||
        dnnl_memory_desc_query(layout->md, dnnl_query_inner_nblks_s32, &b->num_blocks) != dnnl_success ||
        dnnl_memory_desc_query(layout->md, dnnl_query_inner_blks, (void *)&blocks) != dnnl_success ||
        dnnl_memory_desc_query(layout->md, dnnl_query_inner_idxs, (void *)&indices) != dnnl_success) {
        return 0;
    }
    b->strides = *strides;
    b->blocks = *blocks;
    b->indices = *indices;
    return 1;
}

/* A descriptor with blocks can be had by the name of its form alone, and does not tell it: all names are tried. */
static dnnl_status_t find_blocked(const_dnnl_memory_desc_t md, const sslcv__dnn_dims *d, dnnl_data_type_t type,
                                  dnnl_memory_desc_t *out)
{
    int tag;

    for (tag = dnnl_format_tag_any + 1; tag < dnnl_format_tag_last; tag++) {
        dnnl_memory_desc_t candidate;
        int equal;

        if (dnnl_memory_desc_create_with_tag(&candidate, d->ndims, d->dims, d->type, (dnnl_format_tag_t)tag) !=
            dnnl_success) {
            continue; /* of another number of axes */
        }
        equal = dnnl_memory_desc_equal(candidate, md);
        dnnl_memory_desc_destroy(candidate);
        if (equal) return dnnl_memory_desc_create_with_tag(out, d->ndims, d->dims, type, (dnnl_format_tag_t)tag);
    }
    return dnnl_unimplemented;
}

sslcv_status sslcv__layout_as(sslcv_context *context, const sslcv__layout *layout, int32_t dtype, sslcv__layout **out)
{
    const dnnl_data_type_t type = sslcv__dnn_type(dtype);
    dnnl_memory_desc_t md;
    dnnl_status_t made = dnnl_unimplemented;
    blocking b;

    if (!blocking_of(layout, &b)) return sslcv__dnn_fail(made, "layout in another type", layout->md);
    if (b.d.type == type) return sslcv__layout_copy(context, layout, out);
    made = b.num_blocks == 0 ? dnnl_memory_desc_create_with_strides(&md, b.d.ndims, b.d.dims, type, b.strides)
                             : find_blocked(layout->md, &b.d, type, &md);
    return made == dnnl_success ? make(context, md, out) : sslcv__dnn_fail(made, "layout in another type", layout->md);
}

sslcv_status sslcv__layout_copy(sslcv_context *context, const sslcv__layout *layout, sslcv__layout **out)
{
    dnnl_memory_desc_t md;
    const dnnl_status_t status = dnnl_memory_desc_clone(&md, layout->md);

    return status == dnnl_success ? make(context, md, out) : sslcv__dnn_fail(status, "layout", layout->md);
}

void sslcv__layout_free(sslcv_context *context, sslcv__layout *layout)
{
    if (!layout) return;
    if (layout->md) dnnl_memory_desc_destroy(layout->md);
    sslcv__free(context, layout);
}

int64_t sslcv__layout_bytes(const sslcv__layout *layout)
{
    return (int64_t)dnnl_memory_desc_get_size(layout->md);
}

int sslcv__layout_equal(const sslcv__layout *a, const sslcv__layout *b)
{
    return dnnl_memory_desc_equal(a->md, b->md);
}

int32_t sslcv__layout_dtype(const sslcv__layout *layout)
{
    return sslcv__dnn_dims_of(layout->md).type == dnnl_bf16 ? SSLCV_BF16 : SSLCV_F32;
}

sslcv_status sslcv__layout_image_form(const sslcv__layout *layout, sslcv__layout_form *form)
{
    blocking b;

    if (!blocking_of(layout, &b) || b.d.ndims != 4 || b.strides[2] != b.strides[3] * b.d.dims[3]) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "images lie in a form that is none of nChw16c, nChw8c, nhwc, nchw");
    }
    form->batch_stride = b.strides[0];
    form->pixel_stride = b.strides[3];
    if (b.num_blocks == 1 && b.indices[0] == 1) {
        form->block = b.blocks[0];
        form->block_stride = b.strides[1];
    } else if (b.num_blocks == 0 && b.strides[1] == 1 && b.d.dims[1] > 1) {
        form->block = b.d.padded[1];
        form->block_stride = 0;
    } else if (b.num_blocks == 0) {
        form->block = 1;
        form->block_stride = b.strides[1];
    } else {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "images lie in a form of %d blocks", b.num_blocks);
    }
    return SSLCV_OK;
}

sslcv_status sslcv__layout_filter_form(const sslcv__layout *layout, sslcv__layout_form *form)
{
    int64_t block = 1;
    int i, blocks = 0, found;
    blocking b;

    found = blocking_of(layout, &b);
    for (i = 0; found && i < b.num_blocks; i++) {
        if (b.indices[i] != 0) continue;
        blocks++;
        if (i == b.num_blocks - 1) block = b.blocks[i];
    }
    /* Output channels outermost, and innermost at most one block of them. */
    if (!found || blocks > 1 || (blocks == 1 && block == 1) ||
        b.strides[0] * (b.d.padded[0] / block) * (int64_t)dnnl_data_type_size(b.d.type) !=
            sslcv__layout_bytes(layout)) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "filters lie in a form that has no place for a scale of each");
    }
    memset(form, 0, sizeof *form);
    form->block = block;
    form->block_stride = b.strides[0];
    return SSLCV_OK;
}
