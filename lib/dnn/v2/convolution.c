#include "core/context.h"
#include "dnn/v2/internal.h"

#include <string.h>

/* Descriptors of one convolution; formats are left to oneDNN. */
typedef struct shapes {
    dnnl_memory_desc_t src, weights, dst;
    dnnl_dims_t strides, padding;
} shapes;

int64_t sslcv__conv_out_size(int64_t in, int64_t kernel, int64_t stride, int64_t padding)
{
    return in + 2 * padding < kernel ? 0 : (in + 2 * padding - kernel) / stride + 1;
}

static sslcv_status describe(const sslcv__conv_shape *s, shapes *d)
{
    const dnnl_dims_t src = {s->batch, s->in_channels, s->in_height, s->in_width};
    const dnnl_dims_t weights = {s->out_channels, s->in_channels, s->kernel_height, s->kernel_width};
    const dnnl_dims_t dst = {s->batch, s->out_channels,
                             sslcv__conv_out_size(s->in_height, s->kernel_height, s->stride, s->padding),
                             sslcv__conv_out_size(s->in_width, s->kernel_width, s->stride, s->padding)};
    dnnl_status_t status = dnnl_memory_desc_init_by_tag(&d->src, 4, src, dnnl_f32, dnnl_format_tag_any);

    if (status == dnnl_success) {
        status = dnnl_memory_desc_init_by_tag(&d->weights, 4, weights, dnnl_f32, dnnl_format_tag_any);
    }
    if (status == dnnl_success) status = dnnl_memory_desc_init_by_tag(&d->dst, 4, dst, dnnl_f32, dnnl_format_tag_any);
    if (status != dnnl_success) return sslcv__dnn_fail(status, "convolution", NULL);
    d->strides[0] = d->strides[1] = s->stride;
    d->padding[0] = d->padding[1] = s->padding;
    return SSLCV_OK;
}

/* The rule. oneDNN's own choice (convolution_auto) takes Winograd for the 3-channel stem too, where it is five times
   slower than direct, so it is not asked. */
static int prefers_winograd(const sslcv_context *context, const sslcv__conv_shape *s)
{
    return context->winograd && s->kernel_height == 3 && s->kernel_width == 3 && s->stride == 1 && s->padding == 1 &&
           s->in_channels >= 64 && s->out_channels >= 64 && s->in_channels % 16 == 0 && s->out_channels % 16 == 0;
}

static const sslcv__op_argument forward_arguments[3] = {{SSLCV__SRC, DNNL_ARG_SRC, dnnl_query_src_md, 0},
                                                        {SSLCV__WEIGHTS, DNNL_ARG_WEIGHTS, dnnl_query_weights_md, 0},
                                                        {SSLCV__DST, DNNL_ARG_DST, dnnl_query_dst_md, 0}};

typedef enum direction { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS } direction;

static sslcv_status create(sslcv_context *context, const shapes *d, direction which, dnnl_alg_kind_t algorithm,
                           const sslcv__op *hint, const sslcv__op_argument arguments[3], sslcv__op **op)
{
    static const char *const names[] = {"convolution forward", "convolution backward data",
                                        "convolution backward weights"};
    dnnl_convolution_desc_t descriptor;
    dnnl_status_t made = dnnl_success;

    switch (which) {
    case FORWARD:
        /* Also in evaluation: the weights of inference's Winograd lie in a form that only plain ones reorder to. */
        made = dnnl_convolution_forward_desc_init(&descriptor, dnnl_forward_training, algorithm, &d->src, &d->weights,
                                                  NULL, &d->dst, d->strides, d->padding, d->padding);
        break;
    case BACKWARD_DATA:
        made = dnnl_convolution_backward_data_desc_init(&descriptor, algorithm, &d->src, &d->weights, &d->dst,
                                                        d->strides, d->padding, d->padding);
        break;
    case BACKWARD_WEIGHTS:
        made = dnnl_convolution_backward_weights_desc_init(&descriptor, algorithm, &d->src, &d->weights, NULL, &d->dst,
                                                           d->strides, d->padding, d->padding);
        break;
    }
    if (made != dnnl_success) return sslcv__dnn_fail(made, names[which], &d->src);
    return sslcv__op_make(context, &descriptor, hint, names[which], &d->src, arguments, 3, op);
}

/* A backward op asks for the forward one of the same algorithm as its hint. */
static sslcv_status create_with_hint(sslcv_context *context, const shapes *d, direction which,
                                     dnnl_alg_kind_t algorithm, const sslcv__op_argument arguments[3], sslcv__op **op)
{
    sslcv__op *forward = NULL;
    sslcv_status status;

    if (which == FORWARD) return create(context, d, which, algorithm, NULL, arguments, op);
    status = create(context, d, FORWARD, algorithm, NULL, forward_arguments, &forward);
    if (status == SSLCV_OK) status = create(context, d, which, algorithm, forward, arguments, op);
    sslcv__op_free(context, forward);
    return status;
}

static sslcv_status make(sslcv_context *context, const sslcv__conv_shape *s, direction which,
                         const sslcv__op_argument arguments[3], sslcv__op **out)
{
    shapes d;
    sslcv_status status = describe(s, &d);

    if (status != SSLCV_OK) return status;
    status = SSLCV_ERR_UNSUPPORTED;
    if (prefers_winograd(context, s)) {
        status = create_with_hint(context, &d, which, dnnl_convolution_winograd, arguments, out);
    }
    if (status == SSLCV_ERR_UNSUPPORTED) {
        status = create_with_hint(context, &d, which, dnnl_convolution_direct, arguments, out);
    }
    return status;
}

sslcv_status sslcv__op_conv_forward(sslcv_context *context, const sslcv__conv_shape *shape, sslcv__op **out)
{
    return make(context, shape, FORWARD, forward_arguments, out);
}

sslcv_status sslcv__op_conv_backward_data(sslcv_context *context, const sslcv__conv_shape *shape, sslcv__op **out)
{
    static const sslcv__op_argument arguments[3] = {{SSLCV__DIFF_SRC, DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md, 0},
                                                    {SSLCV__WEIGHTS, DNNL_ARG_WEIGHTS, dnnl_query_weights_md, 0},
                                                    {SSLCV__DIFF_DST, DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md, 0}};

    return make(context, shape, BACKWARD_DATA, arguments, out);
}

sslcv_status sslcv__op_conv_backward_weights(sslcv_context *context, const sslcv__conv_shape *shape, sslcv__op **out)
{
    static const sslcv__op_argument arguments[3] = {
        {SSLCV__SRC, DNNL_ARG_SRC, dnnl_query_src_md, 0},
        {SSLCV__DIFF_WEIGHTS, DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md, 0},
        {SSLCV__DIFF_DST, DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md, 0}};

    return make(context, shape, BACKWARD_WEIGHTS, arguments, out);
}
