#include "dnn/v2/internal.h"

typedef struct pool {
    dnnl_memory_desc_t src, dst; /* dst: format any */
    dnnl_dims_t strides, kernel, padding;
} pool;

static sslcv_status describe(const dnnl_memory_desc_t *src, int64_t kernel, int64_t stride, int64_t padding, pool *p)
{
    const dnnl_dims_t dst = {src->dims[0], src->dims[1], sslcv__conv_out_size(src->dims[2], kernel, stride, padding),
                             sslcv__conv_out_size(src->dims[3], kernel, stride, padding)};
    const dnnl_status_t made = dnnl_memory_desc_init_by_tag(&p->dst, 4, dst, src->data_type, dnnl_format_tag_any);

    p->src = *src;
    p->kernel[0] = p->kernel[1] = kernel;
    p->strides[0] = p->strides[1] = stride;
    p->padding[0] = p->padding[1] = padding;
    return made == dnnl_success ? SSLCV_OK : sslcv__dnn_fail(made, "max pooling", src);
}

sslcv_status sslcv__op_max_pool_forward(sslcv_context *context, const sslcv__layout *src, int64_t kernel,
                                        int64_t stride, int64_t padding, int training, sslcv__op **out)
{
    static const sslcv__op_argument arguments[3] = {{SSLCV__SRC, DNNL_ARG_SRC, dnnl_query_src_md, 0},
                                                    {SSLCV__DST, DNNL_ARG_DST, dnnl_query_dst_md, 0},
                                                    {SSLCV__WORKSPACE, DNNL_ARG_WORKSPACE, dnnl_query_workspace_md, 0}};
    dnnl_pooling_desc_t descriptor;
    dnnl_status_t made;
    pool p;
    const sslcv_status status = describe(&src->md, kernel, stride, padding, &p);

    if (status != SSLCV_OK) return status;
    made = dnnl_pooling_forward_desc_init(&descriptor, training ? dnnl_forward_training : dnnl_forward_inference,
                                          dnnl_pooling_max, &p.src, &p.dst, p.strides, p.kernel, p.padding, p.padding);
    if (made != dnnl_success) return sslcv__dnn_fail(made, "max pooling forward", &p.src);
    return sslcv__op_make(context, &descriptor, NULL, NULL, "max pooling forward", &p.src, arguments, 3, out);
}

sslcv_status sslcv__op_max_pool_backward(sslcv_context *context, const sslcv__layout *src, int64_t kernel,
                                         int64_t stride, int64_t padding, const sslcv__op *forward, sslcv__op **out)
{
    static const sslcv__op_argument arguments[3] = {{SSLCV__DIFF_DST, DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md, 0},
                                                    {SSLCV__DIFF_SRC, DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md, 0},
                                                    {SSLCV__WORKSPACE, DNNL_ARG_WORKSPACE, dnnl_query_workspace_md, 0}};
    dnnl_pooling_desc_t descriptor;
    dnnl_status_t made;
    pool p;
    const sslcv_status status = describe(&src->md, kernel, stride, padding, &p);

    if (status != SSLCV_OK) return status;
    p.dst = forward->layouts[SSLCV__DST]->md;
    made = dnnl_pooling_backward_desc_init(&descriptor, dnnl_pooling_max, &p.src, &p.dst, p.strides, p.kernel,
                                           p.padding, p.padding);
    if (made != dnnl_success) return sslcv__dnn_fail(made, "max pooling backward", &p.src);
    return sslcv__op_make(context, &descriptor, NULL, forward, "max pooling backward", &p.src, arguments, 3, out);
}
