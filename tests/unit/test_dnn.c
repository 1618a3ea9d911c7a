/* lib/dnn: what a back end promises besides convolutions. The same file for every version of oneDNN. */
#include "dnn_support.h"

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
        host h = {.fail_at = -1};
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
    TCase *tests = tcase_create("dnn");

    tcase_add_checked_fixture(tests, begin, finish);
    tcase_add_test(tests, forms_say_where_elements_lie);
    tcase_add_test(tests, layout_in_another_type);
    tcase_add_test(tests, reorder_copies_converts_and_accumulates);
    tcase_add_test(tests, max_pool);
    tcase_add_test(tests, gemm);
    tcase_add_test(tests, impossible_ops_are_refused);
    tcase_add_test(tests, memory_runs_out_at_each_allocation);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
