#include "dnn/v2/internal.h"

/* Descriptors of one convolution; formats are left to oneDNN. */
typedef struct shapes {
    dnnl_memory_desc_t src, weights, diff_weights, bias, dst;
    dnnl_dims_t strides, padding;
} shapes;

static sslcv_status describe(const sslcv__conv_shape *s, shapes *d)
{
    const dnnl_data_type_t type = sslcv__dnn_type(s->dtype);
    const dnnl_dims_t src = {s->batch, s->in_channels, s->in_height, s->in_width};
    const dnnl_dims_t weights = {s->out_channels, s->in_channels, s->kernel_height, s->kernel_width};
    const dnnl_dims_t bias = {s->out_channels};
    const dnnl_dims_t dst = {s->batch, s->out_channels,
                             sslcv__conv_out_size(s->in_height, s->kernel_height, s->stride, s->padding),
                             sslcv__conv_out_size(s->in_width, s->kernel_width, s->stride, s->padding)};
    const struct {
        dnnl_memory_desc_t *md;
        int ndims;
        const dnnl_dim_t *dims;
        dnnl_data_type_t type;
        dnnl_format_tag_t tag;
    } all[5] = {{&d->src, 4, src, type, dnnl_format_tag_any},
                {&d->weights, 4, weights, type, dnnl_format_tag_any},
                {&d->diff_weights, 4, weights, dnnl_f32, dnnl_format_tag_any},
                {&d->bias, 1, bias, dnnl_f32, dnnl_x},
                {&d->dst, 4, dst, type, dnnl_format_tag_any}};
    int i;

    for (i = 0; i < 5; i++) {
        const dnnl_status_t status =
            dnnl_memory_desc_init_by_tag(all[i].md, all[i].ndims, all[i].dims, all[i].type, all[i].tag);
        if (status != dnnl_success) return sslcv__dnn_fail(status, "convolution", NULL);
    }
    d->strides[0] = d->strides[1] = s->stride;
    d->padding[0] = d->padding[1] = s->padding;
    return SSLCV_OK;
}

static const sslcv__op_argument arguments[3][4] = {
    {{SSLCV__SRC, DNNL_ARG_SRC, dnnl_query_src_md, 0},
     {SSLCV__WEIGHTS, DNNL_ARG_WEIGHTS, dnnl_query_weights_md, 0},
     {SSLCV__DST, DNNL_ARG_DST, dnnl_query_dst_md, 0},
     {SSLCV__BIAS, DNNL_ARG_BIAS, dnnl_query_weights_md, 1}},
    {{SSLCV__DIFF_SRC, DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md, 0},
     {SSLCV__WEIGHTS, DNNL_ARG_WEIGHTS, dnnl_query_weights_md, 0},
     {SSLCV__DIFF_DST, DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md, 0}},
    {{SSLCV__SRC, DNNL_ARG_SRC, dnnl_query_src_md, 0},
     {SSLCV__DIFF_WEIGHTS, DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md, 0},
     {SSLCV__DIFF_DST, DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md, 0}}};

static sslcv_status create(sslcv_context *context, const shapes *d, sslcv__conv_direction direction,
                           dnnl_alg_kind_t algorithm, const sslcv__conv_post *post, const sslcv__op *hint,
                           sslcv__op **op)
{
    const char *name = sslcv__conv_direction_name(direction);
    dnnl_convolution_desc_t descriptor;
    dnnl_status_t made = dnnl_success;

    switch (direction) {
    case SSLCV__CONV_FORWARD:
        made = dnnl_convolution_forward_desc_init(&descriptor, post ? dnnl_forward_inference : dnnl_forward_training,
                                                  algorithm, &d->src, &d->weights, post ? &d->bias : NULL, &d->dst,
                                                  d->strides, d->padding, d->padding);
        break;
    case SSLCV__CONV_BACKWARD_DATA:
        made = dnnl_convolution_backward_data_desc_init(&descriptor, algorithm, &d->src, &d->weights, &d->dst,
                                                        d->strides, d->padding, d->padding);
        break;
    case SSLCV__CONV_BACKWARD_WEIGHTS:
        made = dnnl_convolution_backward_weights_desc_init(&descriptor, algorithm, &d->src, &d->diff_weights, NULL,
                                                           &d->dst, d->strides, d->padding, d->padding);
        break;
    }
    if (made != dnnl_success) return sslcv__dnn_fail(made, name, &d->src);
    return sslcv__op_make(context, &descriptor, post, hint, name, &d->src, arguments[direction],
                          direction == SSLCV__CONV_FORWARD ? 4 : 3, op);
}

/*
 * A backward op asks for the forward one of the same algorithm as its hint. For inference oneDNN's first choice is
 * channels last amid a network in blocks; with images as in training it takes the same kernels as there, which are as
 * fast or faster, and no reorder stands before and after them.
 */
sslcv_status sslcv__backend_conv(sslcv_context *context, const sslcv__conv_shape *shape,
                                 sslcv__conv_direction direction, int winograd, const sslcv__conv_post *post,
                                 sslcv__op **out)
{
    const dnnl_alg_kind_t algorithm = winograd ? dnnl_convolution_winograd : dnnl_convolution_direct;
    sslcv__op *forward = NULL;
    shapes d;
    sslcv_status status = describe(shape, &d);

    if (status != SSLCV_OK) return status;
    if (direction == SSLCV__CONV_FORWARD && !post) return create(context, &d, direction, algorithm, NULL, NULL, out);
    status = create(context, &d, SSLCV__CONV_FORWARD, algorithm, NULL, NULL, &forward);
    if (status == SSLCV_OK && post) {
        d.src = forward->layouts[SSLCV__SRC]->md;
        d.dst = forward->layouts[SSLCV__DST]->md;
    }
    if (status == SSLCV_OK) status = create(context, &d, direction, algorithm, post, post ? NULL : forward, out);
    sslcv__op_free(context, forward);
    return status;
}
