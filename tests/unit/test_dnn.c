/* lib/dnn: what a back end promises, against naive twins in double. The same file for every version of oneDNN. */
#include "memory_support.h"

#include "core/backend.h"
#include "core/compute.h"
#include "core/memory.h"
#include "dnn/dnn.h"
#include "dnn/op.h"

#include <stdio.h>

/* ---- tensors: plain f32 outside, any layout inside ---- */

static sslcv_context *context;
static sslcv__compute frame;
static int64_t bytes_before;

static int64_t bytes_held(void)
{
    sslcv_context_info info = {.struct_size = sizeof info};

    OK(sslcv_context_get_info(context, &info));
    return info.bytes;
}

static void begin(void)
{
    context = new_context(NULL, 2);
    OK(sslcv__compute_begin(context, &frame));
    bytes_before = bytes_held();
}

static void finish(void)
{
    ck_assert_int_eq(bytes_held(), bytes_before);
    sslcv__compute_end(&frame);
    sslcv_context_destroy(context);
}

static void *memory_of(int64_t bytes)
{
    void *memory;

    OK(sslcv__alloc(context, bytes, &memory));
    memset(memory, 0xEE, (size_t)bytes); /* what is not written shows */
    return memory;
}

static float *floats(int64_t count)
{
    return memory_of(count * (int64_t)sizeof(float));
}

static int64_t count_of(const int64_t shape[4])
{
    return shape[0] * shape[1] * shape[2] * shape[3];
}

/* Exact in bf16, so that both types see the same numbers. */
static float *values_of(int64_t seed, int64_t count)
{
    float *values = floats(count);
    int64_t i;

    golden_input(seed, count, values);
    for (i = 0; i < count; i++) values[i] = roundf(values[i] * 128.0f) / 128.0f;
    return values;
}

/* Plain values in the layout. */
static void *put(const sslcv__layout *layout, int ndim, const int64_t *shape, const float *values)
{
    void *memory = memory_of(sslcv__layout_bytes(layout));
    sslcv__layout *plain;

    OK(sslcv__layout_plain(context, SSLCV_F32, ndim, shape, &plain));
    OK(sslcv__layout_convert(context, plain, values, layout, memory));
    sslcv__layout_free(context, plain);
    return memory;
}

static float *get(const sslcv__layout *layout, int ndim, const int64_t *shape, const void *memory)
{
    sslcv__layout *plain;
    float *values;

    OK(sslcv__layout_plain(context, SSLCV_F32, ndim, shape, &plain));
    values = memory_of(sslcv__layout_bytes(plain));
    OK(sslcv__layout_convert(context, layout, memory, plain, values));
    sslcv__layout_free(context, plain);
    return values;
}

/* Runs the op on plain values of 4 dimensions; inputs[arg] NULL: an output, or not an argument. */
static float *run_op(sslcv__op *op, const float *const inputs[SSLCV__ARG_COUNT], const int64_t *const shapes[],
                     sslcv__arg wanted)
{
    void *memory[SSLCV__ARG_COUNT];
    float *result;
    int arg;

    for (arg = 0; arg < SSLCV__ARG_COUNT; arg++) {
        const sslcv__layout *layout = sslcv__op_layout(op, (sslcv__arg)arg);
        memory[arg] = NULL;
        if (!layout) continue;
        memory[arg] = inputs[arg] ? put(layout, 4, shapes[arg], inputs[arg]) : memory_of(sslcv__layout_bytes(layout));
        OK(sslcv__op_bind(op, (sslcv__arg)arg, memory[arg]));
    }
    OK(sslcv__op_run(op));
    result = get(sslcv__op_layout(op, wanted), 4, shapes[wanted], memory[wanted]);
    for (arg = 0; arg < SSLCV__ARG_COUNT; arg++) sslcv__free(context, memory[arg]);
    return result;
}

static void check_close(const char *what, const float *values, const double *expected, int64_t count, double tolerance)
{
    int64_t i;

    for (i = 0; i < count; i++) {
        ck_assert_msg(fabs(values[i] - expected[i]) <= tolerance * fmax(1.0, fabs(expected[i])),
                      "%s: element %lld is %.9g; expected %.9g", what, (long long)i, values[i], expected[i]);
    }
}

/* ---- convolutions ---- */

typedef struct conv {
    sslcv__conv_shape shape;
    int64_t src[4], weights[4], dst[4], bias[1];
} conv;

typedef struct conv_case {
    int64_t batch, in, out, size, kernel, stride, padding;
} conv_case;

/* Stems, strides, pointwise, channel counts that fit no block, one pixel. */
static const conv_case conv_cases[] = {{2, 3, 64, 12, 3, 1, 1},  {2, 3, 64, 23, 7, 2, 3},  {2, 64, 64, 9, 3, 1, 1},
                                       {2, 64, 128, 9, 3, 2, 1}, {3, 64, 128, 9, 1, 2, 0}, {2, 64, 256, 7, 1, 1, 0},
                                       {2, 5, 7, 8, 3, 1, 1},    {2, 24, 40, 8, 3, 2, 1},  {4, 64, 64, 1, 3, 1, 1},
                                       {1, 1, 1, 5, 3, 1, 1}};

enum { CONV_CASES = sizeof conv_cases / sizeof *conv_cases };

static conv conv_of(const conv_case *c, int32_t dtype)
{
    const int64_t out = sslcv__conv_out_size(c->size, c->kernel, c->stride, c->padding);
    const conv made = {.shape = {.batch = c->batch,
                                 .in_channels = c->in,
                                 .in_height = c->size,
                                 .in_width = c->size,
                                 .out_channels = c->out,
                                 .kernel_height = c->kernel,
                                 .kernel_width = c->kernel,
                                 .stride = c->stride,
                                 .padding = c->padding,
                                 .dtype = dtype},
                       .src = {c->batch, c->in, c->size, c->size},
                       .weights = {c->out, c->in, c->kernel, c->kernel},
                       .dst = {c->batch, c->out, out, out},
                       .bias = {c->out}};

    return made;
}

static double *doubles(int64_t count)
{
    double *values;

    OK(sslcv__alloc_array(context, count, sizeof *values, (void **)&values));
    return values;
}

/* All three products of a convolution at once; each output may be NULL. */
static void naive_conv(const conv *v, const float *src, const float *weights, const float *diff_dst, double *dst,
                       double *diff_src, double *diff_weights)
{
    const sslcv__conv_shape *s = &v->shape;
    int64_t n, o, i, y, x, ky, kx;

    for (n = 0; n < v->dst[0]; n++) {
        for (o = 0; o < v->dst[1]; o++) {
            for (y = 0; y < v->dst[2]; y++) {
                for (x = 0; x < v->dst[3]; x++) {
                    const int64_t at = ((n * v->dst[1] + o) * v->dst[2] + y) * v->dst[3] + x;
                    for (i = 0; i < s->in_channels; i++) {
                        for (ky = 0; ky < s->kernel_height; ky++) {
                            for (kx = 0; kx < s->kernel_width; kx++) {
                                const int64_t iy = y * s->stride + ky - s->padding,
                                              ix = x * s->stride + kx - s->padding;
                                const int64_t w =
                                    ((o * s->in_channels + i) * s->kernel_height + ky) * s->kernel_width + kx;
                                const int64_t p = ((n * s->in_channels + i) * s->in_height + iy) * s->in_width + ix;
                                if (iy < 0 || ix < 0 || iy >= s->in_height || ix >= s->in_width) continue;
                                if (dst) dst[at] += (double)src[p] * weights[w];
                                if (diff_src) diff_src[p] += (double)diff_dst[at] * weights[w];
                                if (diff_weights) diff_weights[w] += (double)diff_dst[at] * src[p];
                            }
                        }
                    }
                }
            }
        }
    }
}

/* Sums of a few thousand products of numbers below 0.5: rounding of f32; of bf16 the result's own as well. */
static double tolerance_of(int32_t dtype)
{
    return dtype == SSLCV_BF16 ? 1.0 / 256.0 : 2e-5;
}

static void check_conv(const conv_case *c, int32_t dtype)
{
    const conv v = conv_of(c, dtype);
    const int64_t *const shapes[SSLCV__ARG_COUNT] = {[SSLCV__SRC] = v.src,         [SSLCV__DIFF_SRC] = v.src,
                                                     [SSLCV__WEIGHTS] = v.weights, [SSLCV__DIFF_WEIGHTS] = v.weights,
                                                     [SSLCV__DST] = v.dst,         [SSLCV__DIFF_DST] = v.dst};
    float *src = values_of(1, count_of(v.src)), *weights = values_of(2, count_of(v.weights));
    float *diff_dst = values_of(3, count_of(v.dst)), *result;
    double *dst = doubles(count_of(v.dst)), *diff_src = doubles(count_of(v.src));
    double *diff_weights = doubles(count_of(v.weights));
    const float *const inputs[3][SSLCV__ARG_COUNT] = {{[SSLCV__SRC] = src, [SSLCV__WEIGHTS] = weights},
                                                      {[SSLCV__DIFF_DST] = diff_dst, [SSLCV__WEIGHTS] = weights},
                                                      {[SSLCV__SRC] = src, [SSLCV__DIFF_DST] = diff_dst}};
    sslcv__op *op;

    naive_conv(&v, src, weights, diff_dst, dst, diff_src, diff_weights);

    OK(sslcv__op_conv_forward(context, &v.shape, NULL, &op));
    result = run_op(op, inputs[0], shapes, SSLCV__DST);
    check_close(sslcv__op_implementation(op), result, dst, count_of(v.dst), tolerance_of(dtype));
    sslcv__free(context, result);
    sslcv__op_free(context, op);

    OK(sslcv__op_conv_backward_data(context, &v.shape, &op));
    result = run_op(op, inputs[1], shapes, SSLCV__DIFF_SRC);
    check_close(sslcv__op_implementation(op), result, diff_src, count_of(v.src), tolerance_of(dtype));
    sslcv__free(context, result);
    sslcv__op_free(context, op);

    OK(sslcv__op_conv_backward_weights(context, &v.shape, &op));
    ck_assert_int_eq(sslcv__layout_dtype(sslcv__op_layout(op, SSLCV__DIFF_WEIGHTS)), SSLCV_F32);
    result = run_op(op, inputs[2], shapes, SSLCV__DIFF_WEIGHTS);
    check_close(sslcv__op_implementation(op), result, diff_weights, count_of(v.weights), 2e-5);
    sslcv__free(context, result);
    sslcv__op_free(context, op);

    sslcv__free(context, src);
    sslcv__free(context, weights);
    sslcv__free(context, diff_dst);
    sslcv__free(context, dst);
    sslcv__free(context, diff_src);
    sslcv__free(context, diff_weights);
}

START_TEST(conv_in_three_directions)
{
    check_conv(&conv_cases[_i], SSLCV_F32);
}
END_TEST

START_TEST(conv_in_three_directions_bf16)
{
    if (sslcv__backend_bf16()) check_conv(&conv_cases[_i], SSLCV_BF16);
}
END_TEST

/* [relu](scale * convolution + bias [+ dst]), weights folded from home. */
static void check_post(const conv_case *c, int32_t dtype, int sum, int relu)
{
    const conv v = conv_of(c, dtype);
    const sslcv__conv_post post = {sum, relu};
    float *src = values_of(1, count_of(v.src)), *weights = values_of(2, count_of(v.weights));
    float *bias = values_of(4, c->out), *scale = values_of(5, c->out), *before = values_of(6, count_of(v.dst)), *result;
    double *expected = doubles(count_of(v.dst));
    const int64_t pixels = v.dst[2] * v.dst[3];
    void *memory[SSLCV__ARG_COUNT] = {NULL}, *at_home;
    sslcv__layout *home;
    sslcv__op *op;
    int64_t i;
    int arg;

    naive_conv(&v, src, weights, NULL, expected, NULL, NULL);
    for (i = 0; i < count_of(v.dst); i++) {
        expected[i] = expected[i] * scale[i / pixels % c->out] + bias[i / pixels % c->out] + (sum ? before[i] : 0.0);
        if (relu && expected[i] < 0.0) expected[i] = 0.0;
    }

    OK(sslcv__conv_home_layout(context, v.weights, c->stride, c->padding, &home));
    at_home = put(home, 4, v.weights, weights);
    OK(sslcv__op_conv_forward(context, &v.shape, &post, &op));
    memory[SSLCV__SRC] = put(sslcv__op_layout(op, SSLCV__SRC), 4, v.src, src);
    memory[SSLCV__DST] = put(sslcv__op_layout(op, SSLCV__DST), 4, v.dst, before);
    memory[SSLCV__BIAS] = put(sslcv__op_layout(op, SSLCV__BIAS), 1, v.bias, bias);
    memory[SSLCV__WEIGHTS] = memory_of(sslcv__op_bytes(op, SSLCV__WEIGHTS));
    memory[SSLCV__SCRATCHPAD] = memory_of(sslcv__op_bytes(op, SSLCV__SCRATCHPAD));
    OK(sslcv__op_fold(context, op, home, at_home, scale, memory[SSLCV__WEIGHTS]));
    for (arg = 0; arg < SSLCV__ARG_COUNT; arg++) OK(sslcv__op_bind(op, (sslcv__arg)arg, memory[arg]));
    OK(sslcv__op_run(op));
    result = get(sslcv__op_layout(op, SSLCV__DST), 4, v.dst, memory[SSLCV__DST]);
    /* Folded weights are rounded to bf16 once more. */
    check_close(sslcv__op_implementation(op), result, expected, count_of(v.dst),
                dtype == SSLCV_BF16 ? 1.0 / 64.0 : 2e-5);

    for (arg = 0; arg < SSLCV__ARG_COUNT; arg++) sslcv__free(context, memory[arg]);
    sslcv__op_free(context, op);
    sslcv__layout_free(context, home);
    sslcv__free(context, at_home);
    sslcv__free(context, src);
    sslcv__free(context, weights);
    sslcv__free(context, bias);
    sslcv__free(context, scale);
    sslcv__free(context, before);
    sslcv__free(context, result);
    sslcv__free(context, expected);
}

START_TEST(conv_of_inference)
{
    int flags;

    for (flags = 0; flags < 4; flags++) {
        check_post(&conv_cases[_i], SSLCV_F32, flags & 1, flags >> 1);
        if (sslcv__backend_bf16()) check_post(&conv_cases[_i], SSLCV_BF16, flags & 1, flags >> 1);
    }
}
END_TEST

/*
 * Where oneDNN has kernels of its own, no convolution of a residual network falls back to a slow way, and images lie
 * alike in all passes: a step has no reorders, and one home of weights serves all.
 */
static void check_fast(const conv_case *c, int32_t dtype)
{
    static const struct {
        sslcv__conv_direction direction;
        int inference;
        sslcv__arg in, out;
    } passes[] = {{SSLCV__CONV_FORWARD, 0, SSLCV__SRC, SSLCV__DST},
                  {SSLCV__CONV_FORWARD, 1, SSLCV__SRC, SSLCV__DST},
                  {SSLCV__CONV_BACKWARD_WEIGHTS, 0, SSLCV__SRC, SSLCV__DIFF_DST},
                  {SSLCV__CONV_BACKWARD_DATA, 0, SSLCV__DIFF_SRC, SSLCV__DIFF_DST}};
    /* Nobody wants the gradient of pictures. */
    const int last = (int)(sizeof passes / sizeof *passes) - (c->in == 3);
    const sslcv__conv_post post = {1, 1};
    const conv v = conv_of(c, dtype);
    sslcv__op *forward, *op;
    int i;

    OK(sslcv__backend_conv(context, &v.shape, SSLCV__CONV_FORWARD, 0, NULL, &forward));
    for (i = 0; i < last; i++) {
        const char *name;
        int alike;

        OK(sslcv__backend_conv(context, &v.shape, passes[i].direction, 0, passes[i].inference ? &post : NULL, &op));
        name = sslcv__op_implementation(op);
        ck_assert_msg((strstr(name, "jit") || strstr(name, "brg")) && !strstr(name, "gemm:"),
                      "pass %d of %lld to %lld channels takes \"%s\"", i, (long long)c->in, (long long)c->out, name);
        alike = sslcv__layout_equal(sslcv__op_layout(op, passes[i].in), sslcv__op_layout(forward, SSLCV__SRC)) &&
                sslcv__layout_equal(sslcv__op_layout(op, passes[i].out), sslcv__op_layout(forward, SSLCV__DST));
        ck_assert_msg(alike || strstr(name, "amx"), "pass %d of %lld to %lld channels needs reorders", i,
                      (long long)c->in, (long long)c->out);
        sslcv__op_free(context, op);
    }
    sslcv__op_free(context, forward);
}

START_TEST(conv_is_fast)
{
    static const conv_case resnet[] = {
        {8, 3, 64, 32, 3, 1, 1},    {8, 3, 64, 96, 7, 2, 3},    {8, 64, 64, 32, 3, 1, 1},   {8, 64, 128, 32, 3, 2, 1},
        {8, 64, 128, 32, 1, 2, 0},  {8, 512, 512, 4, 3, 1, 1},  {8, 64, 256, 24, 1, 1, 0},  {8, 256, 64, 24, 1, 1, 0},
        {8, 256, 512, 24, 1, 2, 0}, {8, 128, 128, 24, 3, 2, 1}, {8, 1024, 2048, 6, 1, 2, 0}};
    const char *cpu = sslcv__backend_cpu();
    size_t i;

    if (strncmp(cpu, "avx2", 4) != 0 && strncmp(cpu, "avx512", 6) != 0) return;
    for (i = 0; i < sizeof resnet / sizeof *resnet; i++) {
        check_fast(&resnet[i], SSLCV_F32);
        if (sslcv__backend_bf16()) check_fast(&resnet[i], SSLCV_BF16);
    }
}
END_TEST

/* ---- layouts ---- */

/* Each element of images lies where the form says. */
static void check_image_form(const sslcv__layout *layout, const int64_t shape[4])
{
    const int64_t count = count_of(shape), pixels = shape[2] * shape[3];
    sslcv__layout_form form;
    float *numbers = floats(count), *memory;
    int64_t i;

    OK(sslcv__layout_image_form(layout, &form));
    for (i = 0; i < count; i++) numbers[i] = (float)i;
    memory = put(layout, 4, shape, numbers);
    for (i = 0; i < count; i++) {
        const int64_t n = i / pixels / shape[1], c = i / pixels % shape[1], s = i % pixels;
        const int64_t at =
            n * form.batch_stride + c / form.block * form.block_stride + s * form.pixel_stride + c % form.block;
        ck_assert_msg(memory[at] == (float)i, "image %lld channel %lld pixel %lld", (long long)n, (long long)c,
                      (long long)s);
    }
    sslcv__free(context, numbers);
    sslcv__free(context, memory);
}

/* Each element of filter o is in its block; what is in no filter is 0. */
static void check_filter_form(const sslcv__layout *layout, const int64_t shape[4])
{
    const int64_t count = count_of(shape), all = sslcv__layout_bytes(layout) / (int64_t)sizeof(float);
    sslcv__layout_form form;
    float *owners = floats(count), *memory;
    int64_t i, found = 0;

    OK(sslcv__layout_filter_form(layout, &form));
    for (i = 0; i < count; i++) owners[i] = (float)(1 + i / (shape[1] * shape[2] * shape[3]));
    memory = put(layout, 4, shape, owners);
    for (i = 0; i < all; i++) {
        const int64_t o = i / form.block_stride * form.block + i % form.block;
        ck_assert_msg(memory[i] == 0.0f || memory[i] == (float)(1 + o), "filters: element %lld", (long long)i);
        found += memory[i] != 0.0f;
    }
    ck_assert_int_eq(found, count);
    sslcv__free(context, owners);
    sslcv__free(context, memory);
}

START_TEST(forms_say_where_elements_lie)
{
    const int64_t images[4] = {2, 19, 3, 5}, filters[4] = {37, 19, 3, 3};
    sslcv__layout *layout;
    int32_t block;
    int i, stage;

    for (block = 8; block <= 16; block += 8) {
        OK(sslcv__layout_images(context, SSLCV_F32, images, block, &layout));
        ck_assert_int_eq(sslcv__layout_bytes(layout), 2 * (19 + block - 1) / block * block * 15 * 4);
        check_image_form(layout, images);
        sslcv__layout_free(context, layout);
        OK(sslcv__layout_filters(context, filters, block, &layout));
        check_filter_form(layout, filters);
        sslcv__layout_free(context, layout);
    }
    OK(sslcv__layout_plain(context, SSLCV_F32, 4, images, &layout));
    check_image_form(layout, images);
    check_filter_form(layout, images);
    sslcv__layout_free(context, layout);
    /* Whatever oneDNN wants for convolutions, in which images are kept, and weights at home. */
    for (i = 0; i < CONV_CASES; i++) {
        const conv v = conv_of(&conv_cases[i], SSLCV_F32);
        for (stage = 0; stage < 3; stage++) {
            sslcv__op *op;
            OK(sslcv__backend_conv(context, &v.shape, (sslcv__conv_direction)stage, 0, NULL, &op));
            check_image_form(sslcv__op_layout(op, stage == 1 ? SSLCV__DIFF_SRC : SSLCV__SRC), v.src);
            check_image_form(sslcv__op_layout(op, stage == 0 ? SSLCV__DST : SSLCV__DIFF_DST), v.dst);
            sslcv__op_free(context, op);
        }
        OK(sslcv__conv_home_layout(context, v.weights, v.shape.stride, v.shape.padding, &layout));
        check_filter_form(layout, v.weights);
        sslcv__layout_free(context, layout);
    }
}
END_TEST

/* The same form in the other type and back; the bytes of a bf16 layout are half. */
static void check_as(const sslcv__layout *layout)
{
    sslcv__layout *half, *back, *copy;

    OK(sslcv__layout_as(context, layout, SSLCV_BF16, &half));
    ck_assert_int_eq(sslcv__layout_dtype(half), SSLCV_BF16);
    ck_assert(!sslcv__layout_equal(half, layout));
    ck_assert_int_eq(sslcv__layout_bytes(half) * 2, sslcv__layout_bytes(layout));
    OK(sslcv__layout_as(context, half, SSLCV_F32, &back));
    ck_assert(sslcv__layout_equal(back, layout));
    OK(sslcv__layout_copy(context, half, &copy));
    ck_assert(sslcv__layout_equal(copy, half));
    sslcv__layout_free(context, half);
    sslcv__layout_free(context, back);
    sslcv__layout_free(context, copy);
}

START_TEST(layout_in_another_type)
{
    const int64_t shape[5] = {2, 19, 3, 5, 1};
    sslcv__layout *layout;
    int i, arg;

    for (i = 1; i <= 5; i++) {
        OK(sslcv__layout_plain(context, SSLCV_F32, i, shape, &layout));
        check_as(layout);
        sslcv__layout_free(context, layout);
    }
    for (i = 8; i <= 16; i += 8) {
        OK(sslcv__layout_images(context, SSLCV_F32, shape, i, &layout));
        check_as(layout);
        sslcv__layout_free(context, layout);
        OK(sslcv__layout_filters(context, shape, i, &layout));
        check_as(layout);
        sslcv__layout_free(context, layout);
    }
    for (i = 0; i < CONV_CASES; i++) {
        const conv v = conv_of(&conv_cases[i], SSLCV_F32);
        sslcv__op *op;
        OK(sslcv__backend_conv(context, &v.shape, SSLCV__CONV_FORWARD, 0, NULL, &op));
        for (arg = SSLCV__SRC; arg <= SSLCV__DST; arg++) {
            if (sslcv__op_layout(op, (sslcv__arg)arg)) check_as(sslcv__op_layout(op, (sslcv__arg)arg));
        }
        sslcv__op_free(context, op);
    }
    FAILS(sslcv__layout_plain(context, SSLCV_F32, 6, shape, &layout), SSLCV_ERR_INVALID_ARGUMENT, "6 dimensions");
    FAILS(sslcv__layout_plain(context, SSLCV_F32, 0, shape, &layout), SSLCV_ERR_INVALID_ARGUMENT, "0 dimensions");
}
END_TEST

START_TEST(reorder_copies_converts_and_accumulates)
{
    const int64_t shape[4] = {2, 19, 3, 5};
    const int64_t count = count_of(shape);
    float *a = values_of(1, count), *b = values_of(2, count), *back;
    int32_t from_type, to_type;
    int accumulate;
    int64_t i;

    for (from_type = 0; from_type < 2; from_type++) {
        for (to_type = 0; to_type < 2; to_type++) {
            for (accumulate = 0; accumulate < 2; accumulate++) {
                sslcv__layout *from, *to;
                void *src, *dst, *scratch;
                sslcv__op *op;

                OK(sslcv__layout_images(context, from_type ? SSLCV_BF16 : SSLCV_F32, shape, 16, &from));
                OK(sslcv__layout_plain(context, to_type ? SSLCV_BF16 : SSLCV_F32, 4, shape, &to));
                src = put(from, 4, shape, a);
                dst = put(to, 4, shape, b);
                OK(sslcv__op_reorder(context, from, to, accumulate, &op));
                scratch = memory_of(sslcv__op_bytes(op, SSLCV__SCRATCHPAD));
                OK(sslcv__op_bind(op, SSLCV__SRC, src));
                OK(sslcv__op_bind(op, SSLCV__DST, dst));
                OK(sslcv__op_bind(op, SSLCV__SCRATCHPAD, scratch));
                OK(sslcv__op_bind(op, SSLCV__BIAS, scratch)); /* not an argument: nothing */
                ck_assert_int_eq(sslcv__op_bytes(op, SSLCV__BIAS), 0);
                OK(sslcv__op_run(op));
                back = get(to, 4, shape, dst);
                for (i = 0; i < count; i++) CLOSE(back[i], a[i] + (accumulate ? b[i] : 0.0f), to_type ? 0.004 : 0.0);
                sslcv__op_free(context, op);
                sslcv__free(context, src);
                sslcv__free(context, dst);
                sslcv__free(context, scratch);
                sslcv__free(context, back);
                sslcv__layout_free(context, from);
                sslcv__layout_free(context, to);
            }
        }
    }
    sslcv__free(context, a);
    sslcv__free(context, b);
}
END_TEST

/* ---- pooling ---- */

static void check_pool(int32_t dtype, int64_t channels, int blocked, int64_t kernel, int64_t stride, int64_t padding)
{
    const int64_t size = 11, out = sslcv__conv_out_size(size, kernel, stride, padding);
    const int64_t src_shape[4] = {2, channels, size, size}, dst_shape[4] = {2, channels, out, out};
    const int64_t *const shapes[SSLCV__ARG_COUNT] = {[SSLCV__SRC] = src_shape,
                                                     [SSLCV__DIFF_SRC] = src_shape,
                                                     [SSLCV__DST] = dst_shape,
                                                     [SSLCV__DIFF_DST] = dst_shape};
    float *src = floats(count_of(src_shape)), *diff_dst = values_of(3, count_of(dst_shape)), *result;
    double *dst = doubles(count_of(dst_shape)), *diff_src = doubles(count_of(src_shape));
    const float *const inputs[SSLCV__ARG_COUNT] = {[SSLCV__SRC] = src, [SSLCV__DIFF_DST] = diff_dst};
    sslcv__layout *layout;
    sslcv__op *inference, *forward, *backward;
    void *in, *image, *workspace, *gradient, *diff, *scratch[2];
    int64_t plane, y, x, ky, kx;

    /* No two equal numbers in a plane, all exact in bf16, most negative: padding must not win. */
    for (y = 0; y < count_of(src_shape); y++) {
        src[y] = (float)(y % (size * size) * 37 % (size * size) + y / (size * size) % 7) - 120.0f;
    }
    for (plane = 0; plane < 2 * channels; plane++) {
        for (y = 0; y < out; y++) {
            for (x = 0; x < out; x++) {
                int64_t best = -1;
                for (ky = 0; ky < kernel; ky++) {
                    for (kx = 0; kx < kernel; kx++) {
                        const int64_t iy = y * stride + ky - padding, ix = x * stride + kx - padding;
                        const int64_t p = (plane * size + iy) * size + ix;
                        if (iy < 0 || ix < 0 || iy >= size || ix >= size) continue;
                        if (best < 0 || src[p] > src[best]) best = p;
                    }
                }
                dst[(plane * out + y) * out + x] = src[best];
                diff_src[best] += diff_dst[(plane * out + y) * out + x];
            }
        }
    }
    if (blocked) {
        OK(sslcv__layout_images(context, dtype, src_shape, sslcv__backend_block(), &layout));
    } else {
        OK(sslcv__layout_plain(context, dtype, 4, src_shape, &layout));
    }

    OK(sslcv__op_max_pool_forward(context, layout, kernel, stride, padding, 0, &inference));
    ck_assert_ptr_null(sslcv__op_layout(inference, SSLCV__WORKSPACE));
    result = run_op(inference, inputs, shapes, SSLCV__DST);
    check_close("inference", result, dst, count_of(dst_shape), 0.0);
    sslcv__free(context, result);

    OK(sslcv__op_max_pool_forward(context, layout, kernel, stride, padding, 1, &forward));
    OK(sslcv__op_max_pool_backward(context, layout, kernel, stride, padding, forward, &backward));
    ck_assert(sslcv__layout_equal(sslcv__op_layout(backward, SSLCV__DIFF_SRC), layout));
    ck_assert(sslcv__layout_equal(sslcv__op_layout(backward, SSLCV__DIFF_DST), sslcv__op_layout(forward, SSLCV__DST)));
    in = put(sslcv__op_layout(forward, SSLCV__SRC), 4, src_shape, src);
    image = memory_of(sslcv__op_bytes(forward, SSLCV__DST));
    workspace = memory_of(sslcv__op_bytes(forward, SSLCV__WORKSPACE));
    gradient = put(sslcv__op_layout(backward, SSLCV__DIFF_DST), 4, dst_shape, diff_dst);
    diff = memory_of(sslcv__op_bytes(backward, SSLCV__DIFF_SRC));
    scratch[0] = memory_of(sslcv__op_bytes(forward, SSLCV__SCRATCHPAD));
    scratch[1] = memory_of(sslcv__op_bytes(backward, SSLCV__SCRATCHPAD));
    OK(sslcv__op_bind(forward, SSLCV__SCRATCHPAD, scratch[0]));
    OK(sslcv__op_bind(backward, SSLCV__SCRATCHPAD, scratch[1]));
    OK(sslcv__op_bind(forward, SSLCV__SRC, in));
    OK(sslcv__op_bind(forward, SSLCV__DST, image));
    OK(sslcv__op_bind(forward, SSLCV__WORKSPACE, workspace));
    OK(sslcv__op_bind(backward, SSLCV__DIFF_DST, gradient));
    OK(sslcv__op_bind(backward, SSLCV__DIFF_SRC, diff));
    OK(sslcv__op_bind(backward, SSLCV__WORKSPACE, workspace));
    OK(sslcv__op_run(forward));
    OK(sslcv__op_run(backward));
    result = get(sslcv__op_layout(forward, SSLCV__DST), 4, dst_shape, image);
    check_close("forward", result, dst, count_of(dst_shape), 0.0);
    sslcv__free(context, result);
    result = get(layout, 4, src_shape, diff);
    check_close("backward", result, diff_src, count_of(src_shape), dtype == SSLCV_BF16 ? 1.0 / 64.0 : 1e-6);
    sslcv__free(context, result);

    sslcv__op_free(context, inference);
    sslcv__op_free(context, forward);
    sslcv__op_free(context, backward);
    sslcv__layout_free(context, layout);
    sslcv__free(context, in);
    sslcv__free(context, image);
    sslcv__free(context, workspace);
    sslcv__free(context, scratch[0]);
    sslcv__free(context, scratch[1]);
    sslcv__free(context, gradient);
    sslcv__free(context, diff);
    sslcv__free(context, src);
    sslcv__free(context, diff_dst);
    sslcv__free(context, dst);
    sslcv__free(context, diff_src);
}

START_TEST(max_pool)
{
    int blocked;

    for (blocked = 0; blocked < 2; blocked++) {
        check_pool(SSLCV_F32, 64, blocked, 3, 2, 1);
        check_pool(SSLCV_F32, 19, blocked, 2, 2, 0);
        if (sslcv__backend_bf16()) check_pool(SSLCV_BF16, 64, blocked, 3, 2, 1);
    }
}
END_TEST

/* ---- the matrix product ---- */

START_TEST(gemm)
{
    enum { M = 7, N = 33, K = 21 };
    const int64_t lda = K + 4, ldb = N + 4, ldc = N + 3;
    float *a = values_of(1, lda * lda), *b = values_of(2, ldb * ldb), *c = floats(M * ldc),
          *before = values_of(3, M * ldc);
    int flags;
    int64_t i, j, k;

    for (flags = 0; flags < 8; flags++) {
        const int ta = flags & 1, tb = flags >> 1 & 1;
        const float beta = flags >> 2 ? 0.5f : 0.0f;

        memcpy(c, before, sizeof(float) * M * (size_t)ldc);
        for (i = 0; i < M * ldc && beta == 0.0f; i++) {
            if (i % ldc < N) c[i] = NAN; /* not read */
        }
        OK(sslcv__gemm(ta, tb, M, N, K, 2.0f, a, lda, b, ldb, beta, c, ldc));
        for (i = 0; i < M; i++) {
            for (j = 0; j < ldc; j++) {
                double sum = 0.0;
                for (k = 0; k < K; k++) {
                    sum += (double)(ta ? a[k * lda + i] : a[i * lda + k]) * (tb ? b[j * ldb + k] : b[k * ldb + j]);
                }
                sum = 2.0 * sum + (beta != 0.0f ? beta * (double)before[i * ldc + j] : 0.0);
                CLOSE(c[i * ldc + j], j < N ? sum : (double)before[i * ldc + j], 2e-6);
            }
        }
    }
    FAILS(sslcv__gemm(0, 0, M, N, K, 1.0f, a, 1, b, ldb, 0.0f, c, ldc), SSLCV_ERR_BACKEND, "gemm 7x33x21");
    sslcv__free(context, a);
    sslcv__free(context, b);
    sslcv__free(context, c);
    sslcv__free(context, before);
}
END_TEST

/* ---- failures ---- */

START_TEST(impossible_ops_are_refused)
{
    const int64_t images[4] = {1, 4, 2, 2};
    sslcv__conv_shape shape = conv_of(&conv_cases[0], SSLCV_F32).shape;
    sslcv__layout *layout;
    sslcv__op *op = NULL;

    shape.in_channels = -3;
    FAILS(sslcv__backend_conv(context, &shape, SSLCV__CONV_FORWARD, 0, NULL, &op), SSLCV_ERR_BACKEND, "convolution");
    shape.in_channels = 3;
    shape.in_height = 1; /* smaller than a kernel without padding */
    shape.padding = 0;
    FAILS(sslcv__backend_conv(context, &shape, SSLCV__CONV_BACKWARD_DATA, 0, NULL, &op), SSLCV_ERR_BACKEND,
          "convolution");
    OK(sslcv__layout_plain(context, SSLCV_F32, 4, images, &layout));
    FAILS(sslcv__op_max_pool_forward(context, layout, 5, 1, 0, 1, &op), SSLCV_ERR_BACKEND,
          "max pooling forward 1x4x2x2");
    ck_assert_ptr_null(op);
    sslcv__layout_free(context, layout);
}
END_TEST

/* One op of each kind. */
static sslcv_status make_ops(sslcv_context *one, sslcv__layout **layouts, sslcv__op **ops)
{
    const sslcv__conv_shape shape = conv_of(&conv_cases[3], SSLCV_F32).shape;
    const sslcv__conv_post post = {1, 1};
    const int64_t images[4] = {2, 64, 9, 9}, filters[4] = {128, 64, 3, 3};
    sslcv_status status;

    SSLCV__TRY(sslcv__layout_images(one, SSLCV_F32, images, 16, &layouts[0]));
    SSLCV__TRY(sslcv__layout_plain(one, SSLCV_F32, 4, images, &layouts[1]));
    SSLCV__TRY(sslcv__layout_as(one, layouts[0], SSLCV_BF16, &layouts[2]));
    SSLCV__TRY(sslcv__layout_copy(one, layouts[2], &layouts[3]));
    SSLCV__TRY(sslcv__layout_as(one, layouts[1], SSLCV_BF16, &layouts[4]));
    SSLCV__TRY(sslcv__conv_home_layout(one, filters, 2, 1, &layouts[5]));
    SSLCV__TRY(sslcv__backend_conv(one, &shape, SSLCV__CONV_FORWARD, 0, &post, &ops[0]));
    SSLCV__TRY(sslcv__backend_conv(one, &shape, SSLCV__CONV_BACKWARD_DATA, 0, NULL, &ops[1]));
    SSLCV__TRY(sslcv__backend_conv(one, &shape, SSLCV__CONV_BACKWARD_WEIGHTS, 0, NULL, &ops[2]));
    SSLCV__TRY(sslcv__op_max_pool_forward(one, layouts[0], 3, 2, 1, 1, &ops[3]));
    SSLCV__TRY(sslcv__op_max_pool_backward(one, layouts[0], 3, 2, 1, ops[3], &ops[4]));
    SSLCV__TRY(sslcv__op_reorder(one, layouts[0], layouts[1], 1, &ops[5]));
end:
    return status;
}

START_TEST(memory_runs_out_at_each_allocation)
{
    long long limit;
    int done = 0, i;

    for (limit = 0; !done; limit++) {
        host h = {0, -1, 0};
        sslcv_context *one = new_context(&h, 1);
        sslcv__layout *layouts[6] = {NULL};
        sslcv__op *ops[6] = {NULL};
        sslcv_status status;

        atomic_store(&h.fail_at, atomic_load(&h.calls) + limit);
        status = make_ops(one, layouts, ops);
        done = status == SSLCV_OK;
        if (!done) ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
        for (i = 0; i < 6; i++) {
            sslcv__op_free(one, ops[i]);
            sslcv__layout_free(one, layouts[i]);
        }
        sslcv_context_destroy(one);
        ck_assert_int_eq(atomic_load(&h.out), 0);
    }
    ck_assert_int_gt(limit, 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dnn");
    TCase *convolutions = tcase_create("convolutions"), *rest = tcase_create("rest");

    tcase_add_checked_fixture(convolutions, begin, finish);
    tcase_add_loop_test(convolutions, conv_in_three_directions, 0, CONV_CASES);
    tcase_add_loop_test(convolutions, conv_in_three_directions_bf16, 0, CONV_CASES);
    tcase_add_loop_test(convolutions, conv_of_inference, 0, CONV_CASES);
    tcase_add_test(convolutions, conv_is_fast);
    suite_add_tcase(suite, convolutions);

    tcase_add_checked_fixture(rest, begin, finish);
    tcase_add_test(rest, forms_say_where_elements_lie);
    tcase_add_test(rest, layout_in_another_type);
    tcase_add_test(rest, reorder_copies_converts_and_accumulates);
    tcase_add_test(rest, max_pool);
    tcase_add_test(rest, gemm);
    tcase_add_test(rest, impossible_ops_are_refused);
    tcase_add_test(rest, memory_runs_out_at_each_allocation);
    suite_add_tcase(suite, rest);
    return run_suite(suite);
}
