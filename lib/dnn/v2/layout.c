#include "core/memory.h"
#include "dnn/v2/internal.h"

#include <string.h>

static sslcv_status make(sslcv_context *context, const dnnl_memory_desc_t *md, sslcv__layout **out)
{
    sslcv__layout *layout;
    const sslcv_status status = sslcv__alloc(context, sizeof *layout, (void **)&layout);

    if (status != SSLCV_OK) return status;
    layout->md = *md;
    *out = layout;
    return SSLCV_OK;
}

static sslcv_status make_by_tag(sslcv_context *context, int32_t dtype, int32_t ndim, const int64_t *shape,
                                dnnl_format_tag_t tag, sslcv__layout **out)
{
    dnnl_memory_desc_t md;
    const dnnl_status_t status = dnnl_memory_desc_init_by_tag(&md, ndim, shape, sslcv__dnn_type(dtype), tag);

    return status == dnnl_success ? make(context, &md, out) : sslcv__dnn_fail(status, "layout", NULL);
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

sslcv_status sslcv__layout_as(sslcv_context *context, const sslcv__layout *layout, int32_t dtype, sslcv__layout **out)
{
    const sslcv_status status = make(context, &layout->md, out);

    if (status == SSLCV_OK) (*out)->md.data_type = sslcv__dnn_type(dtype);
    return status;
}

sslcv_status sslcv__layout_copy(sslcv_context *context, const sslcv__layout *layout, sslcv__layout **out)
{
    return make(context, &layout->md, out);
}

void sslcv__layout_free(sslcv_context *context, sslcv__layout *layout)
{
    sslcv__free(context, layout);
}

int64_t sslcv__layout_bytes(const sslcv__layout *layout)
{
    return (int64_t)dnnl_memory_desc_get_size(&layout->md);
}

int sslcv__layout_equal(const sslcv__layout *a, const sslcv__layout *b)
{
    return dnnl_memory_desc_equal(&a->md, &b->md);
}

int32_t sslcv__layout_dtype(const sslcv__layout *layout)
{
    return layout->md.data_type == dnnl_bf16 ? SSLCV_BF16 : SSLCV_F32;
}

sslcv_status sslcv__layout_image_form(const sslcv__layout *layout, sslcv__layout_form *form)
{
    const dnnl_memory_desc_t *md = &layout->md;
    const dnnl_blocking_desc_t *b = &md->format_desc.blocking;
    const dnnl_dim_t *strides = b->strides;

    if (md->ndims != 4 || md->format_kind != dnnl_blocked || strides[2] != strides[3] * md->dims[3]) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "images lie in a form that is none of nChw16c, nChw8c, nhwc, nchw");
    }
    form->batch_stride = strides[0];
    form->pixel_stride = strides[3];
    if (b->inner_nblks == 1 && b->inner_idxs[0] == 1) {
        form->block = b->inner_blks[0];
        form->block_stride = strides[1];
    } else if (b->inner_nblks == 0 && strides[1] == 1 && md->dims[1] > 1) {
        form->block = md->padded_dims[1];
        form->block_stride = 0;
    } else if (b->inner_nblks == 0) {
        form->block = 1;
        form->block_stride = strides[1];
    } else {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "images lie in a form of %d blocks", b->inner_nblks);
    }
    return SSLCV_OK;
}

sslcv_status sslcv__layout_filter_form(const sslcv__layout *layout, sslcv__layout_form *form)
{
    const dnnl_memory_desc_t *md = &layout->md;
    const dnnl_blocking_desc_t *b = &md->format_desc.blocking;
    const int64_t count = (int64_t)(dnnl_memory_desc_get_size(md) / dnnl_data_type_size(md->data_type));
    const int last = b->inner_nblks - 1;
    int64_t block = 1;
    int i, blocks = 0;

    for (i = 0; i < b->inner_nblks; i++) blocks += b->inner_idxs[i] == 0;
    if (blocks == 1 && b->inner_idxs[last] == 0) block = b->inner_blks[last];
    /* Output channels outermost, and innermost at most one block of them. */
    if (blocks > 1 || (blocks == 1 && block == 1) || b->strides[0] * (md->padded_dims[0] / block) != count) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "filters lie in a form that has no place for a scale of each");
    }
    memset(form, 0, sizeof *form);
    form->block = block;
    form->block_stride = b->strides[0];
    return SSLCV_OK;
}
