/* The form of ReLU whose backward computes from the result: src need not be kept. */
#include "dnn/v2/internal.h"

sslcv_status sslcv__op_relu_forward(sslcv_context *context, const sslcv__layout *data, sslcv__op **out)
{
    static const sslcv__op_argument arguments[2] = {{SSLCV__SRC, DNNL_ARG_SRC, dnnl_query_src_md, 0},
                                                    {SSLCV__DST, DNNL_ARG_DST, dnnl_query_dst_md, 0}};
    dnnl_eltwise_desc_t descriptor;
    const dnnl_status_t made = dnnl_eltwise_forward_desc_init(&descriptor, dnnl_forward_training,
                                                              dnnl_eltwise_relu_use_dst_for_bwd, &data->md, 0.0f, 0.0f);

    if (made != dnnl_success) return sslcv__dnn_fail(made, "relu forward", &data->md);
    return sslcv__op_make(context, &descriptor, NULL, "relu forward", &data->md, arguments, 2, out);
}

sslcv_status sslcv__op_relu_backward(sslcv_context *context, const sslcv__layout *data, const sslcv__op *forward,
                                     sslcv__op **out)
{
    static const sslcv__op_argument arguments[3] = {{SSLCV__DST, DNNL_ARG_DST, dnnl_query_dst_md, 0},
                                                    {SSLCV__DIFF_DST, DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md, 0},
                                                    {SSLCV__DIFF_SRC, DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md, 0}};
    dnnl_eltwise_desc_t descriptor;
    const dnnl_status_t made = dnnl_eltwise_backward_desc_init(&descriptor, dnnl_eltwise_relu_use_dst_for_bwd,
                                                               &data->md, &data->md, 0.0f, 0.0f);

    if (made != dnnl_success) return sslcv__dnn_fail(made, "relu backward", &data->md);
    return sslcv__op_make(context, &descriptor, forward, "relu backward", &data->md, arguments, 3, out);
}
