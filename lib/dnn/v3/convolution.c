#include "dnn/v3/internal.h"

enum { IMAGES_IN, FILTERS, FILTER_GRADIENTS, BIAS, IMAGES_OUT, DESCRIPTORS };

/* Descriptors of one convolution; formats are left to oneDNN. */
typedef struct shapes {
    dnnl_memory_desc_t md[DESCRIPTORS];
    dnnl_dims_t strides, padding, dilation; /* dilation: 0, which is dense */
} shapes;

static void clear(shapes *d)
{
    int i;

    for (i = 0; i < DESCRIPTORS; i++) {
        if (d->md[i]) dnnl_memory_desc_destroy(d->md[i]);
        d->md[i] = NULL;
    }
}

static sslcv_status describe_shapes(const sslcv__conv_shape *s, shapes *d)
{
    const dnnl_data_type_t type = sslcv__dnn_type(s->dtype);
    const dnnl_dims_t src = {s->batch, s->in_channels, s->in_height, s->in_width};
    const dnnl_dims_t weights = {s->out_channels, s->in_channels, s->kernel_height, s->kernel_width};
    const dnnl_dims_t bias = {s->out_channels};
    const dnnl_dims_t dst = {s->batch, s->out_channels,
                             sslcv__conv_out_size(s->in_height, s->kernel_height, s->stride, s->padding),
                             sslcv__conv_out_size(s->in_width, s->kernel_width, s->stride, s->padding)};
    const struct {
        int ndims;
        const dnnl_dim_t *dims;
        dnnl_data_type_t type;
        dnnl_format_tag_t tag;
    } all[DESCRIPTORS] = {{4, src, type, dnnl_format_tag_any},
                          {4, weights, type, dnnl_format_tag_any},
                          {4, weights, dnnl_f32, dnnl_format_tag_any},
                          {1, bias, dnnl_f32, dnnl_x},
                          {4, dst, type, dnnl_format_tag_any}};
    const shapes zero = {{NULL}, {0}, {0}, {0}};
    int i;

    *d = zero;
    for (i = 0; i < DESCRIPTORS; i++) {
        const dnnl_status_t status =
            dnnl_memory_desc_create_with_tag(&d->md[i], all[i].ndims, all[i].dims, all[i].type, all[i].tag);
        if (status != dnnl_success) {
            clear(d);
            return sslcv__dnn_fail(status, "convolution", NULL);
        }
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

/* What is to be made. */
typedef struct request {
    shapes d;
    sslcv__conv_direction direction;
    dnnl_alg_kind_t algorithm;
    const sslcv__conv_post *post;    /* of inference; NULL: of training */
    const sslcv__primitive *forward; /* of training, in the same shape; NULL: this is to become it */
} request;

static dnnl_status_t describe_first(const request *r, const sslcv__dnn_setup *setup, dnnl_primitive_desc_t *description)
{
    const shapes *d = &r->d;

    switch (r->direction) {
    case SSLCV__CONV_FORWARD:
        return dnnl_convolution_forward_primitive_desc_create(
            description, setup->engine, r->post ? dnnl_forward_inference : dnnl_forward_training, r->algorithm,
            d->md[IMAGES_IN], d->md[FILTERS], r->post ? d->md[BIAS] : NULL, d->md[IMAGES_OUT], d->strides, d->dilation,
            d->padding, d->padding, setup->attributes);
    case SSLCV__CONV_BACKWARD_DATA:
        return dnnl_convolution_backward_data_primitive_desc_create(
            description, setup->engine, r->algorithm, d->md[IMAGES_IN], d->md[FILTERS], d->md[IMAGES_OUT], d->strides,
            d->dilation, d->padding, d->padding, r->forward->description, setup->attributes);
    case SSLCV__CONV_BACKWARD_WEIGHTS:
        return dnnl_convolution_backward_weights_primitive_desc_create(
            description, setup->engine, r->algorithm, d->md[IMAGES_IN], d->md[FILTER_GRADIENTS], NULL,
            d->md[IMAGES_OUT], d->strides, d->dilation, d->padding, d->padding, r->forward->description,
            setup->attributes);
    }
    return dnnl_invalid_arguments;
}

/* Do images lie as in the forward pass of training? */
static int is_like_forward(const request *r, const_dnnl_primitive_desc_t description)
{
    const dnnl_query_t in = r->direction == SSLCV__CONV_BACKWARD_DATA ? dnnl_query_diff_src_md : dnnl_query_src_md;
    const dnnl_query_t out = r->direction == SSLCV__CONV_FORWARD ? dnnl_query_dst_md : dnnl_query_diff_dst_md;
    const sslcv__layout *const *layouts = (const sslcv__layout *const *)r->forward->op.layouts;

    return dnnl_memory_desc_equal(dnnl_primitive_desc_query_md(description, in, 0), layouts[SSLCV__SRC]->md) &&
           dnnl_memory_desc_equal(dnnl_primitive_desc_query_md(description, out, 0), layouts[SSLCV__DST]->md);
}

/*
 * oneDNN's first choice is channels last for inference and, from 3.2 on, for the data gradient of a strided
 * convolution, amid a network in blocks. The next in its list takes blocks, is as fast or faster (measured), and needs
 * no reorder before and after it. So the first implementation is taken whose images lie as in the forward pass of
 * training; the very first where there is none.
 */
static dnnl_status_t describe(const request *r, const sslcv__dnn_setup *setup, dnnl_primitive_desc_t *description)
{
    dnnl_status_t made = describe_first(r, setup, description);

    while (made == dnnl_success && r->forward && !is_like_forward(r, *description)) {
        if (dnnl_primitive_desc_next_impl(*description) == dnnl_success) continue;
        dnnl_primitive_desc_destroy(*description);
        return describe_first(r, setup, description);
    }
    return made;
}

static sslcv_status create(sslcv_context *context, const request *r, sslcv__op **op)
{
    dnnl_primitive_desc_t description = NULL;
    dnnl_status_t made;
    sslcv__dnn_setup setup;
    const sslcv_status status = sslcv__dnn_setup_init(context, r->post, &setup);

    if (status != SSLCV_OK) return status;
    made = describe(r, &setup, &description);
    sslcv__dnn_setup_clear(&setup);
    return sslcv__op_make(context, made, description, sslcv__conv_direction_name(r->direction), r->d.md[IMAGES_IN],
                          arguments[r->direction], r->direction == SSLCV__CONV_FORWARD ? 4 : 3, op);
}

sslcv_status sslcv__backend_conv(sslcv_context *context, const sslcv__conv_shape *shape,
                                 sslcv__conv_direction direction, int winograd, const sslcv__conv_post *post,
                                 sslcv__op **out)
{
    request r = {.direction = SSLCV__CONV_FORWARD,
                 .algorithm = winograd ? dnnl_convolution_winograd : dnnl_convolution_direct};
    sslcv__op *forward = NULL;
    sslcv_status status = describe_shapes(shape, &r.d);

    if (status != SSLCV_OK) return status;
    if (direction == SSLCV__CONV_FORWARD && !post) {
        status = create(context, &r, out);
    } else {
        status = create(context, &r, &forward);
        r.direction = direction;
        r.post = post;
        r.forward = (const sslcv__primitive *)forward;
        if (status == SSLCV_OK) status = create(context, &r, out);
        sslcv__op_free(context, forward);
    }
    clear(&r.d);
    return status;
}
