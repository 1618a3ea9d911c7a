/* lib/dnn: convolutions against a naive twin in double, and which kernels they take. For every version of oneDNN. */
#include "dnn_support.h"

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

/* The rule by shape, for backward weights in f32: size, stride, and the algorithm. */
START_TEST(small_maps_have_a_kernel_of_their_own)
{
    static const struct {
        conv_case c;
        const char *name;
    } shapes[] = {{{4, 32, 32, 1, 3, 1, 1}, "own:small_maps"}, {{4, 32, 32, 2, 3, 1, 1}, "own:small_maps"},
                  {{4, 32, 32, 3, 3, 1, 1}, "own:winograd"},   {{4, 32, 32, 8, 3, 2, 1}, "own:small_maps"},
                  {{4, 32, 32, 10, 3, 2, 1}, "jit"},           {{4, 32, 32, 1, 1, 1, 0}, "jit"}};
    const char *cpu = sslcv__backend_cpu();
    size_t i;

    if (strncmp(cpu, "avx2", 4) != 0 && strncmp(cpu, "avx512", 6) != 0) return;
    for (i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const conv v = conv_of(&shapes[i].c, SSLCV_F32);
        sslcv__op *op;

        OK(sslcv__op_conv_backward_weights(context, &v.shape, &op));
        ck_assert_msg(strncmp(sslcv__op_implementation(op), shapes[i].name, strlen(shapes[i].name)) == 0,
                      "maps of %lld pixels, stride %lld: \"%s\"", (long long)shapes[i].c.size,
                      (long long)shapes[i].c.stride, sslcv__op_implementation(op));
        sslcv__op_free(context, op);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("convolution");
    TCase *tests = tcase_create("convolution");

    tcase_add_checked_fixture(tests, begin, finish);
    tcase_add_loop_test(tests, conv_in_three_directions, 0, CONV_CASES);
    tcase_add_loop_test(tests, conv_in_three_directions_bf16, 0, CONV_CASES);
    tcase_add_loop_test(tests, conv_of_inference, 0, CONV_CASES);
    tcase_add_test(tests, conv_is_fast);
    tcase_add_test(tests, small_maps_have_a_kernel_of_their_own);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
