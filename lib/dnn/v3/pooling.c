#include "dnn/v3/internal.h"

typedef struct pool {
    dnnl_dims_t strides, kernel, padding, dilation; /* dilation: 0, which is dense */
} pool;

static pool describe(int64_t kernel, int64_t stride, int64_t padding)
{
    const pool p = {.strides = {stride, stride}, .kernel = {kernel, kernel}, .padding = {padding, padding}};

    return p;
}

sslcv_status sslcv__op_max_pool_forward(sslcv_context *context, const sslcv__layout *src, int64_t kernel,
                                        int64_t stride, int64_t padding, int training, sslcv__op **out)
{
    static const sslcv__op_argument arguments[3] = {{SSLCV__SRC, DNNL_ARG_SRC, dnnl_query_src_md, 0},
                                                    {SSLCV__DST, DNNL_ARG_DST, dnnl_query_dst_md, 0},
                                                    {SSLCV__WORKSPACE, DNNL_ARG_WORKSPACE, dnnl_query_workspace_md, 0}};
    const sslcv__dnn_dims in = sslcv__dnn_dims_of(src->md);
    const dnnl_dims_t shape = {in.dims[0], in.dims[1], sslcv__conv_out_size(in.dims[2], kernel, stride, padding),
                               sslcv__conv_out_size(in.dims[3], kernel, stride, padding)};
    const pool p = describe(kernel, stride, padding);
    dnnl_primitive_desc_t description = NULL;
    dnnl_memory_desc_t dst;
    dnnl_status_t made;
    sslcv__dnn_setup setup;
    const sslcv_status status = sslcv__dnn_setup_init(context, NULL, &setup);

    if (status != SSLCV_OK) return status;
    made = dnnl_memory_desc_create_with_tag(&dst, 4, shape, in.type, dnnl_format_tag_any);
    if (made == dnnl_success) {
        made = dnnl_pooling_forward_primitive_desc_create(
            &description, setup.engine, training ? dnnl_forward_training : dnnl_forward_inference, dnnl_pooling_max,
            src->md, dst, p.strides, p.kernel, p.dilation, p.padding, p.padding, setup.attributes);
        dnnl_memory_desc_destroy(dst);
    }
    sslcv__dnn_setup_clear(&setup);
    return sslcv__op_make(context, made, description, "max pooling forward", src->md, arguments, 3, out);
}

sslcv_status sslcv__op_max_pool_backward(sslcv_context *context, const sslcv__layout *src, int64_t kernel,
                                         int64_t stride, int64_t padding, const sslcv__op *forward, sslcv__op **out)
{
    static const sslcv__op_argument arguments[3] = {{SSLCV__DIFF_DST, DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md, 0},
                                                    {SSLCV__DIFF_SRC, DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md, 0},
                                                    {SSLCV__WORKSPACE, DNNL_ARG_WORKSPACE, dnnl_query_workspace_md, 0}};
    const pool p = describe(kernel, stride, padding);
    dnnl_primitive_desc_t description = NULL;
    dnnl_status_t made;
    sslcv__dnn_setup setup;
    const sslcv_status status = sslcv__dnn_setup_init(context, NULL, &setup);

    if (status != SSLCV_OK) return status;
    made = dnnl_pooling_backward_primitive_desc_create(
        &description, setup.engine, dnnl_pooling_max, src->md, forward->layouts[SSLCV__DST]->md, p.strides, p.kernel,
        p.dilation, p.padding, p.padding, ((const sslcv__primitive *)forward)->description, setup.attributes);
    sslcv__dnn_setup_clear(&setup);
    return sslcv__op_make(context, made, description, "max pooling backward", src->md, arguments, 3, out);
}
