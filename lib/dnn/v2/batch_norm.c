#include "dnn/v2/internal.h"

/* Scale and shift apart, never as one 2 x C tensor: the one form that 2.x and 3.x share. */
static unsigned flags(int given_statistics, int relu)
{
    return (unsigned)dnnl_use_scale | (unsigned)dnnl_use_shift |
           (given_statistics ? (unsigned)dnnl_use_global_stats : 0u) | (relu ? (unsigned)dnnl_fuse_norm_relu : 0u);
}

sslcv_status sslcv__op_batch_norm_forward(sslcv_context *context, const sslcv__layout *data, double epsilon,
                                          int given_statistics, int relu, int training, sslcv__op **out)
{
    /* Statistics are results, or, when given, sources behind src. Inference without given ones still writes them. */
    const dnnl_query_t statistics = given_statistics ? dnnl_query_src_md : dnnl_query_dst_md;
    const sslcv__op_argument arguments[7] = {{SSLCV__SRC, DNNL_ARG_SRC, dnnl_query_src_md, 0},
                                             {SSLCV__DST, DNNL_ARG_DST, dnnl_query_dst_md, 0},
                                             {SSLCV__MEAN, DNNL_ARG_MEAN, statistics, 1},
                                             {SSLCV__VARIANCE, DNNL_ARG_VARIANCE, statistics, 2},
                                             {SSLCV__SCALE, DNNL_ARG_SCALE, dnnl_query_weights_md, 0},
                                             {SSLCV__SHIFT, DNNL_ARG_SHIFT, dnnl_query_weights_md, 0},
                                             {SSLCV__WORKSPACE, DNNL_ARG_WORKSPACE, dnnl_query_workspace_md, 0}};
    const int keeps = training || !given_statistics;
    dnnl_batch_normalization_desc_t descriptor;
    const dnnl_status_t made =
        dnnl_batch_normalization_forward_desc_init(&descriptor, keeps ? dnnl_forward_training : dnnl_forward_inference,
                                                   &data->md, (float)epsilon, flags(given_statistics, relu));

    if (made != dnnl_success) return sslcv__dnn_fail(made, "batch norm forward", &data->md);
    return sslcv__op_make(context, &descriptor, NULL, "batch norm forward", &data->md, arguments, 7, out);
}

sslcv_status sslcv__op_batch_norm_backward(sslcv_context *context, const sslcv__layout *data, double epsilon,
                                           int given_statistics, int relu, const sslcv__op *forward, sslcv__op **out)
{
    static const sslcv__op_argument arguments[10] = {
        {SSLCV__SRC, DNNL_ARG_SRC, dnnl_query_src_md, 0},
        {SSLCV__MEAN, DNNL_ARG_MEAN, dnnl_query_src_md, 1},
        {SSLCV__VARIANCE, DNNL_ARG_VARIANCE, dnnl_query_src_md, 2},
        {SSLCV__SCALE, DNNL_ARG_SCALE, dnnl_query_weights_md, 0},
        {SSLCV__SHIFT, DNNL_ARG_SHIFT, dnnl_query_weights_md, 0}, /* not read, but asked for */
        {SSLCV__DIFF_DST, DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md, 0},
        {SSLCV__DIFF_SRC, DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md, 0},
        {SSLCV__DIFF_SCALE, DNNL_ARG_DIFF_SCALE, dnnl_query_diff_weights_md, 0},
        {SSLCV__DIFF_SHIFT, DNNL_ARG_DIFF_SHIFT, dnnl_query_diff_weights_md, 0},
        {SSLCV__WORKSPACE, DNNL_ARG_WORKSPACE, dnnl_query_workspace_md, 0}};
    dnnl_batch_normalization_desc_t descriptor;
    const dnnl_status_t made = dnnl_batch_normalization_backward_desc_init(
        &descriptor, dnnl_backward, &data->md, &data->md, (float)epsilon, flags(given_statistics, relu));

    if (made != dnnl_success) return sslcv__dnn_fail(made, "batch norm backward", &data->md);
    return sslcv__op_make(context, &descriptor, forward, "batch norm backward", &data->md, arguments, 10, out);
}
