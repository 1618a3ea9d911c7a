/* Which algorithm a convolution takes. */
#include "core/context.h"
#include "dnn/op.h"
#include "dnn/tune.h"

int64_t sslcv__conv_out_size(int64_t in, int64_t kernel, int64_t stride, int64_t padding)
{
    return in + 2 * padding < kernel ? 0 : (in + 2 * padding - kernel) / stride + 1;
}

const char *sslcv__conv_direction_name(sslcv__conv_direction direction)
{
    static const char *const names[] = {"convolution forward", "convolution backward data",
                                        "convolution backward weights"};

    return names[direction];
}

/* The rule. oneDNN's own choice (convolution_auto) takes Winograd for the 3-channel stem too, where it is five times
   slower than direct, so it is not asked. A tile takes 36 products whatever part of it is inside: more than a direct
   convolution of a map of two pixels, which takes 16, or of one, which takes one. */
static int prefers_winograd(const sslcv_context *context, const sslcv__conv_shape *s)
{
    return context->winograd && s->in_height > 2 && s->in_width > 2 && sslcv__winograd_fits(s);
}

static sslcv_status make_winograd(sslcv_context *context, const sslcv__conv_shape *shape,
                                  sslcv__conv_direction direction, const sslcv__conv_post *post, sslcv__op **out)
{
    if (!context->winograd || !sslcv__winograd_fits(shape)) return SSLCV_ERR_UNSUPPORTED;
    return sslcv__op_winograd(context, shape, direction, post, out);
}

static sslcv_status make_direct(sslcv_context *context, const sslcv__conv_shape *shape, sslcv__conv_direction direction,
                                const sslcv__conv_post *post, sslcv__op **out)
{
    return sslcv__backend_conv(context, shape, direction, 0, post, out);
}

static sslcv_status make_small_maps(sslcv_context *context, const sslcv__conv_shape *shape,
                                    sslcv__conv_direction direction, const sslcv__conv_post *post, sslcv__op **out)
{
    (void)post;
    if (direction != SSLCV__CONV_BACKWARD_WEIGHTS || !sslcv__small_maps_fit(shape)) return SSLCV_ERR_UNSUPPORTED;
    return sslcv__op_small_maps(context, shape, out);
}

/* oneDNN's own Winograd: f32, AVX-512, before 3.2. */
static sslcv_status make_onednn_winograd(sslcv_context *context, const sslcv__conv_shape *shape,
                                         sslcv__conv_direction direction, const sslcv__conv_post *post, sslcv__op **out)
{
    /* In inference its weights lie in a form that only plain ones reorder to. */
    if (!context->winograd || shape->dtype != SSLCV_F32 || post) return SSLCV_ERR_UNSUPPORTED;
    return sslcv__backend_conv(context, shape, direction, 1, post, out);
}

static sslcv_status make(sslcv_context *context, const sslcv__conv_shape *shape, sslcv__conv_direction direction,
                         const sslcv__conv_post *post, sslcv__op **out)
{
    static const sslcv__candidate candidates[] = {{"direct", make_direct},
                                                  {"winograd", make_winograd},
                                                  {"small-maps", make_small_maps},
                                                  {"onednn-winograd", make_onednn_winograd}};
    sslcv_status status;

    if (context->tuning) {
        return sslcv__tune(context, candidates, (int)(sizeof candidates / sizeof candidates[0]), shape, direction, post,
                           out);
    }
    if (prefers_winograd(context, shape)) return make_winograd(context, shape, direction, post, out);
    status = make_small_maps(context, shape, direction, post, out);
    return status == SSLCV_ERR_UNSUPPORTED ? make_direct(context, shape, direction, post, out) : status;
}

sslcv_status sslcv__op_conv_forward(sslcv_context *context, const sslcv__conv_shape *shape,
                                    const sslcv__conv_post *post, sslcv__op **out)
{
    return make(context, shape, SSLCV__CONV_FORWARD, post, out);
}

sslcv_status sslcv__op_conv_backward_data(sslcv_context *context, const sslcv__conv_shape *shape, sslcv__op **out)
{
    return make(context, shape, SSLCV__CONV_BACKWARD_DATA, NULL, out);
}

sslcv_status sslcv__op_conv_backward_weights(sslcv_context *context, const sslcv__conv_shape *shape, sslcv__op **out)
{
    const sslcv_status status = make(context, shape, SSLCV__CONV_BACKWARD_WEIGHTS, NULL, out);

    /* oneDNN 2.6 turns the rows of bf16 images in its scratchpad; of maps one pixel wide it also reads what it has not
       written there, and rests of other layers reach the gradients of taps that lie in the padding. */
    if (status == SSLCV_OK && shape->dtype == SSLCV_BF16 && (shape->in_width == 1 || shape->in_height == 1)) {
        (*out)->clears_scratchpad = 1;
    }
    return status;
}

sslcv_status sslcv__conv_home_layout(sslcv_context *context, const int64_t shape[4], int64_t stride, int64_t padding,
                                     sslcv__layout **out)
{
    const sslcv__conv_shape typical = {.batch = 32,
                                       .in_channels = shape[1],
                                       .in_height = 32,
                                       .in_width = 32,
                                       .out_channels = shape[0],
                                       .kernel_height = shape[2],
                                       .kernel_width = shape[3],
                                       .stride = stride,
                                       .padding = padding,
                                       .dtype = SSLCV_F32};
    sslcv__op *op = NULL;
    sslcv_status status;

    /* Also where Winograd is forbidden: one home for a network whatever the options. */
    if (sslcv__winograd_fits(&typical)) {
        return sslcv__layout_filters(context, shape, sslcv__backend_block(), out);
    }
    status = sslcv__backend_conv(context, &typical, SSLCV__CONV_FORWARD, 0, NULL, &op);
    if (status == SSLCV_OK) status = sslcv__layout_copy(context, sslcv__op_layout(op, SSLCV__WEIGHTS), out);
    sslcv__op_free(context, op);
    return status;
}
