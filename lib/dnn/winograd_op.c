/*
 * Our own Winograd as an op. Its weights are those of home (OIhw16i16o or OIhw8i8o), so no reorder stands between them,
 * the optimizer and the three directions; what is made of them in a pass lies at the head of the scratchpad:
 *
 *     scratchpad   | transformed weights | the kernels' scratch |
 */
#include "core/context.h"
#include "core/memory.h"
#include "dnn/op.h"
#include "dnn/winograd.h"

#include <stdio.h>

typedef struct winograd_op {
    sslcv__op op; /* first */
    sslcv__winograd_shape shape;
    sslcv__winograd_direction direction;
    int32_t threads;
    int32_t inference; /* WEIGHTS are transformed already */
    sslcv__conv_post post;
    int64_t transformed_bytes;
} winograd_op;

static sslcv__winograd_shape shape_of(const sslcv__conv_shape *s)
{
    const sslcv__winograd_shape shape = {.batch = s->batch,
                                         .in_channels = s->in_channels,
                                         .out_channels = s->out_channels,
                                         .height = s->in_height,
                                         .width = s->in_width,
                                         .block = sslcv__winograd_block(sslcv__backend_block()),
                                         .bf16 = s->dtype == SSLCV_BF16};

    return shape;
}

int sslcv__winograd_fits(const sslcv__conv_shape *s)
{
    const sslcv__winograd_shape shape = shape_of(s);

    return s->kernel_height == 3 && s->kernel_width == 3 && s->stride == 1 && s->padding == 1 && shape.block != 0 &&
           sslcv__winograd_supports(&shape);
}

static sslcv_status run_forward(sslcv__op *op)
{
    winograd_op *w = (winograd_op *)op;
    char *scratch = op->memory[SSLCV__SCRATCHPAD];
    const sslcv__winograd_post post = {op->memory[SSLCV__BIAS], w->post.sum ? op->memory[SSLCV__DST] : NULL,
                                       w->post.relu, 0};

    if (w->inference) {
        sslcv__winograd_forward(&w->shape, op->memory[SSLCV__SRC], op->memory[SSLCV__WEIGHTS], op->memory[SSLCV__DST],
                                &post, w->threads, scratch);
        return SSLCV_OK;
    }
    sslcv__winograd_transform_weights(&w->shape, w->direction, op->memory[SSLCV__WEIGHTS], NULL,
                                      (float *)(void *)scratch);
    sslcv__winograd_forward(&w->shape, op->memory[SSLCV__SRC], (float *)(void *)scratch, op->memory[SSLCV__DST], NULL,
                            w->threads, scratch + w->transformed_bytes);
    return SSLCV_OK;
}

static sslcv_status run_backward_data(sslcv__op *op)
{
    winograd_op *w = (winograd_op *)op;
    char *scratch = op->memory[SSLCV__SCRATCHPAD];

    sslcv__winograd_transform_weights(&w->shape, w->direction, op->memory[SSLCV__WEIGHTS], NULL,
                                      (float *)(void *)scratch);
    sslcv__winograd_backward_data(&w->shape, op->memory[SSLCV__DIFF_DST], (float *)(void *)scratch,
                                  op->memory[SSLCV__DIFF_SRC], w->threads, scratch + w->transformed_bytes);
    return SSLCV_OK;
}

static sslcv_status run_backward_weights(sslcv__op *op)
{
    winograd_op *w = (winograd_op *)op;

    sslcv__winograd_backward_weights(&w->shape, op->memory[SSLCV__SRC], op->memory[SSLCV__DIFF_DST],
                                     op->memory[SSLCV__DIFF_WEIGHTS], w->threads, op->memory[SSLCV__SCRATCHPAD]);
    return SSLCV_OK;
}

static sslcv_status fold(sslcv_context *context, const sslcv__op *op, const sslcv__layout *home, const float *weights,
                         const float *scale, void *folded)
{
    const winograd_op *w = (const winograd_op *)op;

    (void)context;
    (void)home; /* sslcv__conv_home_layout() gives it to every convolution that comes here */
    sslcv__winograd_transform_weights(&w->shape, SSLCV__WINOGRAD_FORWARD, weights, scale, folded);
    return SSLCV_OK;
}

static const sslcv__op_kind kinds[] = {
    {run_forward, NULL, NULL, fold}, {run_backward_data, NULL, NULL, NULL}, {run_backward_weights, NULL, NULL, NULL}};

/* So many bytes, as a layout. */
static sslcv_status bytes_layout(sslcv_context *context, int64_t bytes, sslcv__layout **out)
{
    const int64_t count[1] = {(bytes + 3) / 4};

    return sslcv__layout_plain(context, SSLCV_F32, 1, count, out);
}

static sslcv_status set_layouts(sslcv_context *context, winograd_op *w, const sslcv__conv_shape *s)
{
    static const sslcv__arg images[][2] = {
        {SSLCV__SRC, SSLCV__DST}, {SSLCV__DIFF_SRC, SSLCV__DIFF_DST}, {SSLCV__SRC, SSLCV__DIFF_DST}};
    const int64_t in[4] = {s->batch, s->in_channels, s->in_height, s->in_width};
    const int64_t out[4] = {s->batch, s->out_channels, s->in_height, s->in_width};
    const int64_t filters[4] = {s->out_channels, s->in_channels, 3, 3};
    const int64_t bias[1] = {s->out_channels};
    sslcv__layout **layouts = w->op.layouts;
    int64_t scratch = sslcv__winograd_scratch_bytes(&w->shape, w->direction, w->threads);
    sslcv_status status;

    SSLCV__TRY(sslcv__layout_images(context, s->dtype, in, w->shape.block, &layouts[images[w->direction][0]]));
    SSLCV__TRY(sslcv__layout_images(context, s->dtype, out, w->shape.block, &layouts[images[w->direction][1]]));
    if (w->direction == SSLCV__WINOGRAD_BACKWARD_WEIGHTS) {
        SSLCV__TRY(sslcv__layout_filters(context, filters, w->shape.block, &layouts[SSLCV__DIFF_WEIGHTS]));
    } else if (w->inference) {
        SSLCV__TRY(bytes_layout(context, w->transformed_bytes, &layouts[SSLCV__WEIGHTS]));
        SSLCV__TRY(sslcv__layout_plain(context, SSLCV_F32, 1, bias, &layouts[SSLCV__BIAS]));
    } else {
        SSLCV__TRY(sslcv__layout_filters(context, filters, w->shape.block, &layouts[SSLCV__WEIGHTS]));
        scratch += w->transformed_bytes;
    }
    if (scratch > 0) SSLCV__TRY(bytes_layout(context, scratch, &layouts[SSLCV__SCRATCHPAD]));
end:
    return status;
}

sslcv_status sslcv__op_winograd(sslcv_context *context, const sslcv__conv_shape *shape, sslcv__conv_direction direction,
                                const sslcv__conv_post *post, sslcv__op **out)
{
    winograd_op *w;
    sslcv_status status = sslcv__alloc_array(context, 1, sizeof *w, (void **)&w);

    if (status != SSLCV_OK) return status;
    w->op.kind = &kinds[direction];
    w->shape = shape_of(shape);
    w->direction = (sslcv__winograd_direction)direction;
    w->threads = context->threads;
    if (post) {
        w->inference = 1;
        w->post = *post;
    }
    if (direction != SSLCV__CONV_BACKWARD_WEIGHTS) {
        w->transformed_bytes = (sslcv__winograd_weights_bytes(&w->shape) + 63) / 64 * 64;
    }
    snprintf(w->op.implementation, sizeof w->op.implementation, "own:winograd_4x3:%s",
             w->shape.block == 16 ? "avx512" : "avx2");
    status = set_layouts(context, w, shape);
    if (status == SSLCV_OK) {
        *out = &w->op;
    } else {
        sslcv__op_free(context, &w->op);
    }
    return status;
}
