#include "core/compute.h"
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

sslcv_status sslcv__layout_plain(sslcv_context *context, int32_t ndim, const int64_t *shape, sslcv__layout **out)
{
    static const dnnl_format_tag_t tags[] = {dnnl_format_tag_undef, dnnl_a, dnnl_ab, dnnl_abc, dnnl_abcd, dnnl_abcde};
    dnnl_memory_desc_t md;
    dnnl_status_t status;

    if (ndim < 1 || ndim > SSLCV__DNN_MAX_DIMS)
        return sslcv__invalid("a layout has %d dimensions; must be 1 .. 5", ndim);
    status = dnnl_memory_desc_init_by_tag(&md, ndim, shape, dnnl_f32, tags[ndim]);
    if (status != dnnl_success) return sslcv__dnn_fail(status, "layout", NULL);
    return make(context, &md, out);
}

sslcv_status sslcv__layout_rows(sslcv_context *context, int64_t rows, int64_t columns, sslcv__layout **out)
{
    const dnnl_dims_t dims = {rows, columns, 1, 1};
    dnnl_memory_desc_t md;
    const dnnl_status_t status = dnnl_memory_desc_init_by_tag(&md, 4, dims, dnnl_f32, dnnl_nhwc);

    if (status != dnnl_success) return sslcv__dnn_fail(status, "layout", NULL);
    return make(context, &md, out);
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

sslcv_status sslcv__layout_convert(sslcv_context *context, const sslcv__layout *from, const float *src,
                                   const sslcv__layout *to, float *dst)
{
    sslcv__op *op = NULL;
    sslcv__compute frame;
    void *scratch = NULL;
    sslcv_status status;

    if (sslcv__layout_equal(from, to)) {
        memcpy(dst, src, (size_t)sslcv__layout_bytes(from));
        return SSLCV_OK;
    }
    status = sslcv__compute_begin(context, &frame);
    if (status != SSLCV_OK) return status;
    SSLCV__TRY(sslcv__op_reorder(context, from, to, 0, &op));
    SSLCV__TRY(sslcv__alloc(context, sslcv__op_bytes(op, SSLCV__SCRATCHPAD), &scratch));
    SSLCV__TRY(sslcv__op_bind(op, SSLCV__SRC, (void *)(uintptr_t)src)); /* read only */
    SSLCV__TRY(sslcv__op_bind(op, SSLCV__DST, dst));
    SSLCV__TRY(sslcv__op_bind(op, SSLCV__SCRATCHPAD, scratch));
    status = sslcv__op_run(op);
end:
    sslcv__free(context, scratch);
    sslcv__op_free(context, op);
    sslcv__compute_end(&frame);
    return status;
}
