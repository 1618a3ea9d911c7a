#include "support.h"

#include <sslcv/tensor.h>

#include <stdio.h>

#include "core/tensor.h"

START_TEST(sizes_of_dtypes)
{
    static const int64_t sizes[] = {0, 4, 2, 2, 8, 1, 2, 4, 8, 1, 0};
    int32_t i;

    for (i = 0; i <= 10; i++) ck_assert_int_eq(sslcv_dtype_size(i), sizes[i]);
    ck_assert_int_eq(sslcv_dtype_size(-1), 0);
    ck_assert_int_eq(sslcv_dtype_size(INT32_MIN), 0);
    ck_assert_str_eq(sslcv__dtype_name(SSLCV_BF16), "bf16");
    ck_assert_str_eq(sslcv__dtype_name(77), "unknown");
    ck_assert(sslcv__dtype_is_floating(SSLCV_F64) && !sslcv__dtype_is_floating(SSLCV_U8));
}
END_TEST

START_TEST(init_is_dense)
{
    const int64_t shape[3] = {2, 0, 5}, scalar_shape[1] = {0};
    float values[30];
    sslcv_tensor t;

    OK(sslcv_tensor_init(&t, SSLCV_F32, values, 2, (const int64_t[2]){6, 5}));
    ck_assert_ptr_eq(t.data, values);
    ck_assert_int_eq(t.strides[0], 5);
    ck_assert_int_eq(t.strides[1], 1);
    ck_assert_int_eq(t.shape[2], 0);
    OK(sslcv_tensor_init(&t, SSLCV_I64, NULL, 3, shape));
    ck_assert_int_eq(sslcv__tensor_count(&t), 0);
    OK(sslcv_tensor_init(&t, SSLCV_U8, values, 0, NULL));
    ck_assert_int_eq(sslcv__tensor_count(&t), 1);
    OK(sslcv_tensor_init(&t, SSLCV_U8, values, 0, scalar_shape));
    OK(sslcv_tensor_init(&t, SSLCV_U8, NULL, 1, (const int64_t[1]){INT64_MAX}));
}
END_TEST

START_TEST(init_refuses)
{
    sslcv_tensor t = {.ndim = 77};
    const int64_t shape[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};

    FAILS(sslcv_tensor_init(NULL, SSLCV_F32, NULL, 1, shape), SSLCV_ERR_INVALID_ARGUMENT, "tensor is NULL");
    FAILS(sslcv_tensor_init(&t, SSLCV_F32, NULL, 1, NULL), SSLCV_ERR_INVALID_ARGUMENT, "shape is NULL");
    FAILS(sslcv_tensor_init(&t, 0, NULL, 1, shape), SSLCV_ERR_INVALID_ARGUMENT, "tensor.dtype is 0");
    FAILS(sslcv_tensor_init(&t, SSLCV_F32, NULL, 9, shape), SSLCV_ERR_INVALID_ARGUMENT, "tensor.ndim is 9");
    FAILS(sslcv_tensor_init(&t, SSLCV_F32, NULL, -1, shape), SSLCV_ERR_INVALID_ARGUMENT, "tensor.ndim is -1");
    FAILS(sslcv_tensor_init(&t, SSLCV_F32, NULL, 2, (const int64_t[2]){3, -4}), SSLCV_ERR_INVALID_ARGUMENT,
          "tensor.shape[1] is -4");
    FAILS(sslcv_tensor_init(&t, SSLCV_U16, NULL, 1, (const int64_t[1]){INT64_MAX}), SSLCV_ERR_INVALID_ARGUMENT,
          "more bytes than int64_t");
    FAILS(sslcv_tensor_init(&t, SSLCV_U8, NULL, 3, (const int64_t[3]){INT64_MAX, 0, 2}), SSLCV_ERR_INVALID_ARGUMENT,
          "more bytes than int64_t");
    ck_assert_int_eq(t.ndim, 77);
}
END_TEST

START_TEST(pixels_are_strides)
{
    uint8_t memory[2 * 12];
    float planar[3 * 2 * 2];
    sslcv_tensor t;
    int i;

    for (i = 0; i < 24; i++) memory[i] = (uint8_t)i;
    OK(sslcv_tensor_init_pixels(&t, SSLCV_U8, memory, 2, 2, 4, 12, SSLCV_PIXELS_BGR)); /* BGRX, rows 4 bytes apart */
    ck_assert_int_eq(t.shape[0], 3);
    ck_assert_int_eq(t.shape[1], 2);
    ck_assert_int_eq(t.shape[2], 2);
    sslcv__tensor_to_f32(&t, planar);
    for (i = 0; i < 12; i++) {
        static const float expected[12] = {2, 6, 14, 18, 1, 5, 13, 17, 0, 4, 12, 16};
        ck_assert_float_eq(planar[i], expected[i]);
    }
    OK(sslcv_tensor_init_pixels(&t, SSLCV_U8, memory + 12, 4, 2, 3, -12, SSLCV_PIXELS_RGB)); /* bottom-up */
    ck_assert_int_eq(t.strides[1], -12);
    ck_assert_uint_eq(((uint8_t *)t.data)[t.strides[1] + 3 * t.strides[2] + t.strides[0]], 10);
    OK(sslcv_tensor_init_pixels(&t, SSLCV_U16, memory, 3, 2, 2, 0, SSLCV_PIXELS_AS_STORED));
    ck_assert_int_eq(t.shape[0], 2);
    ck_assert_int_eq(t.strides[1], 6);
}
END_TEST

START_TEST(pixels_refuse)
{
    uint8_t p[16] = {0};
    sslcv_tensor t;

    FAILS(sslcv_tensor_init_pixels(NULL, SSLCV_U8, p, 1, 1, 1, 0, 0), SSLCV_ERR_INVALID_ARGUMENT, "tensor is NULL");
    FAILS(sslcv_tensor_init_pixels(&t, SSLCV_U8, NULL, 1, 1, 1, 0, 0), SSLCV_ERR_INVALID_ARGUMENT, "pixels is NULL");
    FAILS(sslcv_tensor_init_pixels(&t, SSLCV_F64, p, 1, 1, 1, 0, 0), SSLCV_ERR_INVALID_ARGUMENT, "pixels.dtype is 4");
    FAILS(sslcv_tensor_init_pixels(&t, SSLCV_U8, p, 0, 1, 1, 0, 0), SSLCV_ERR_INVALID_ARGUMENT, "pixels.width is 0");
    FAILS(sslcv_tensor_init_pixels(&t, SSLCV_U8, p, 1, 2147483648, 1, 0, 0), SSLCV_ERR_INVALID_ARGUMENT,
          "pixels.height is 2147483648");
    FAILS(sslcv_tensor_init_pixels(&t, SSLCV_U8, p, 1, 1, 17, 0, 0), SSLCV_ERR_INVALID_ARGUMENT, "pixels.channels");
    FAILS(sslcv_tensor_init_pixels(&t, SSLCV_U8, p, 1, 1, 2, 0, SSLCV_PIXELS_RGB), SSLCV_ERR_INVALID_ARGUMENT,
          "must be >= 3");
    FAILS(sslcv_tensor_init_pixels(&t, SSLCV_U8, p, 1, 1, 3, 0, 3), SSLCV_ERR_INVALID_ARGUMENT, "pixels.order is 3");
    FAILS(sslcv_tensor_init_pixels(&t, SSLCV_U8, p, 2, 1, 3, 5, 0), SSLCV_ERR_INVALID_ARGUMENT, "row_bytes is 5");
    FAILS(sslcv_tensor_init_pixels(&t, SSLCV_U8, p, 2, 1, 3, -5, 0), SSLCV_ERR_INVALID_ARGUMENT, "row_bytes is -5");
    FAILS(sslcv_tensor_init_pixels(&t, SSLCV_U16, p, 1, 1, 3, 7, 0), SSLCV_ERR_INVALID_ARGUMENT, "row_bytes is 7");
    FAILS(sslcv_tensor_init_pixels(&t, SSLCV_U8, p, 1, 2, 1, INT64_MAX, 0), SSLCV_ERR_INVALID_ARGUMENT, "must fit");
    FAILS(sslcv_tensor_init_pixels(&t, SSLCV_U8, p, 1, 2, 1, INT64_MIN, 0), SSLCV_ERR_INVALID_ARGUMENT, "must fit");
}
END_TEST

START_TEST(checks)
{
    float values[6];
    sslcv_tensor t, bad;
    const int64_t any[2] = {-1, 3}, other[2] = {2, 4};
    int asks = 7;

    OK(sslcv_tensor_init(&t, SSLCV_F32, values, 2, (const int64_t[2]){2, 3}));
    OK(sslcv__tensor_check(&t, "x"));
    OK(sslcv__tensor_check_shape(&t, "x", 2, any));
    FAILS(sslcv__tensor_check_shape(&t, "x", 2, other), SSLCV_ERR_INVALID_ARGUMENT, "x.shape[1] is 3; must be 4");
    FAILS(sslcv__tensor_check_shape(&t, "x", 1, other), SSLCV_ERR_INVALID_ARGUMENT, "x.ndim is 2; must be 1");
    FAILS(sslcv__tensor_check(NULL, "x"), SSLCV_ERR_INVALID_ARGUMENT, "x is NULL");
    bad = t, bad.data = NULL;
    FAILS(sslcv__tensor_check(&bad, "x"), SSLCV_ERR_INVALID_ARGUMENT, "x.data is NULL");
    bad.shape[0] = 0;
    OK(sslcv__tensor_check(&bad, "x"));
    bad = t, bad.strides[0] = INT64_MIN;
    FAILS(sslcv__tensor_check(&bad, "x"), SSLCV_ERR_INVALID_ARGUMENT, "x.strides[0]");
    bad = t, bad.strides[1] = INT64_MAX / 4;
    FAILS(sslcv__tensor_check(&bad, "x"), SSLCV_ERR_INVALID_ARGUMENT, "x.strides[1]");

    OK(sslcv__tensor_answer(&t, "x", SSLCV_F32, 2, (const int64_t[2]){2, 3}, &asks));
    ck_assert_int_eq(asks, 0);
    FAILS(sslcv__tensor_answer(&t, "x", SSLCV_I64, 2, other, &asks), SSLCV_ERR_INVALID_ARGUMENT, "f32; must be i64");
    FAILS(sslcv__tensor_answer(&t, "x", SSLCV_F32, 2, other, &asks), SSLCV_ERR_INVALID_ARGUMENT, "x.shape[1]");
    t.data = NULL;
    t.ndim = -99; /* nothing else is read */
    OK(sslcv__tensor_answer(&t, "x", SSLCV_I64, 2, other, &asks));
    ck_assert_int_eq(asks, 1);
    ck_assert(t.dtype == SSLCV_I64 && t.ndim == 2 && t.shape[1] == 4 && t.strides[0] == 4 && t.data == NULL);
}
END_TEST

START_TEST(denseness)
{
    sslcv_tensor t;

    OK(sslcv_tensor_init(&t, SSLCV_F32, NULL, 3, (const int64_t[3]){2, 1, 3}));
    ck_assert(sslcv__tensor_is_dense(&t));
    t.strides[1] = -99; /* of length 1 */
    ck_assert(sslcv__tensor_is_dense(&t));
    t.strides[0] = 4;
    ck_assert(!sslcv__tensor_is_dense(&t));
    t.shape[2] = 0;
    ck_assert(sslcv__tensor_is_dense(&t));
}
END_TEST

/** Every dtype to f32, through the transposed and reversed strides of a (2, 3, 4) array. */
START_TEST(every_dtype_to_f32)
{
    const int64_t shape[3] = {4, 3, 2};
    union {
        float f32[24];
        double f64[24];
        uint16_t u16[24];
        uint8_t u8[24];
        int32_t i32[24];
        int64_t i64[24];
    } m;
    float out[24];
    sslcv_tensor t;
    int32_t dtype;
    int64_t i, j, k;

    for (dtype = SSLCV_F32; dtype <= SSLCV_BOOL; dtype++) {
        for (i = 0; i < 24; i++) {
            const float value = dtype == SSLCV_BOOL ? (float)(i % 2) : (float)i;
            switch (dtype) {
            case SSLCV_F32: m.f32[i] = value; break;
            case SSLCV_F64: m.f64[i] = value; break;
            case SSLCV_BF16: m.u16[i] = sslcv__f32_to_bf16(value); break;
            case SSLCV_F16: m.u16[i] = sslcv__f32_to_f16(value); break;
            case SSLCV_U16: m.u16[i] = (uint16_t)value; break;
            case SSLCV_I32: m.i32[i] = (int32_t)value; break;
            case SSLCV_I64: m.i64[i] = (int64_t)value; break;
            default: m.u8[i] = (uint8_t)value; break;
            }
        }
        OK(sslcv_tensor_init(&t, dtype, &m, 3, shape));
        t.strides[0] = 1, t.strides[1] = 4, t.strides[2] = -12;
        t.data = (char *)&m + 12 * sslcv_dtype_size(dtype);
        sslcv__tensor_to_f32(&t, out);
        for (i = 0; i < 4; i++) {
            for (j = 0; j < 3; j++) {
                for (k = 0; k < 2; k++) {
                    const int64_t at = 12 + i + 4 * j - 12 * k;
                    ck_assert_float_eq(out[(i * 3 + j) * 2 + k], (float)(dtype == SSLCV_BOOL ? at % 2 : at));
                }
            }
        }
    }
}
END_TEST

START_TEST(f32_to_floating)
{
    const float dense[4] = {1.0f, -2.5f, 0.1f, 70000.0f};
    double wide[8] = {0};
    uint16_t narrow[4];
    float same[4];
    int32_t numbers[4];
    sslcv_tensor t;
    int i;

    OK(sslcv_tensor_init(&t, SSLCV_F64, wide, 1, (const int64_t[1]){4}));
    t.strides[0] = 2;
    OK(sslcv__tensor_from_f32(dense, &t, "out"));
    for (i = 0; i < 4; i++) ck_assert(wide[2 * i] == (double)dense[i] && wide[2 * i + 1] == 0.0);
    OK(sslcv_tensor_init(&t, SSLCV_F32, same, 2, (const int64_t[2]){2, 2}));
    OK(sslcv__tensor_from_f32(dense, &t, "out"));
    ck_assert_mem_eq(same, dense, sizeof dense);
    OK(sslcv_tensor_init(&t, SSLCV_F16, narrow, 1, (const int64_t[1]){4}));
    OK(sslcv__tensor_from_f32(dense, &t, "out"));
    ck_assert(narrow[0] == 0x3c00 && narrow[1] == 0xc100 && narrow[2] == 0x2e66 && narrow[3] == 0x7c00);
    OK(sslcv_tensor_init(&t, SSLCV_BF16, narrow, 1, (const int64_t[1]){4}));
    OK(sslcv__tensor_from_f32(dense, &t, "out"));
    ck_assert(narrow[0] == 0x3f80 && narrow[1] == 0xc020 && narrow[2] == 0x3dcd && narrow[3] == 0x4789);
    OK(sslcv_tensor_init(&t, SSLCV_I32, numbers, 1, (const int64_t[1]){4}));
    FAILS(sslcv__tensor_from_f32(dense, &t, "out"), SSLCV_ERR_INVALID_ARGUMENT, "out.dtype is i32");
}
END_TEST

/** All 65536 bit patterns of both 16-bit formats survive the way to f32 and back; ties go to even. */
START_TEST(sixteen_bit_floats)
{
    uint32_t bits;

    for (bits = 0; bits < 65536; bits++) {
        const uint16_t half = (uint16_t)bits;
        const float f = sslcv__f32_from_f16(half), b = sslcv__f32_from_bf16(half);

        if (isnan(f))
            ck_assert(isnan(sslcv__f32_from_f16(sslcv__f32_to_f16(f))));
        else
            ck_assert_uint_eq(sslcv__f32_to_f16(f), half);
        if (isnan(b))
            ck_assert(isnan(sslcv__f32_from_bf16(sslcv__f32_to_bf16(b))));
        else
            ck_assert_uint_eq(sslcv__f32_to_bf16(b), half);
    }
    ck_assert_float_eq(sslcv__f32_from_f16(0x3555), 0.333251953125f);
    ck_assert_float_eq(sslcv__f32_from_f16(0x0001), 0x1p-24f);
    ck_assert_float_eq(sslcv__f32_from_f16(0x7bff), 65504.0f);
    ck_assert_uint_eq(sslcv__f32_to_f16(65519.0f), 0x7bff);
    ck_assert_uint_eq(sslcv__f32_to_f16(65520.0f), 0x7c00);
    ck_assert_uint_eq(sslcv__f32_to_f16(0x1p-25f), 0x0000);        /* tie to even: 0 */
    ck_assert_uint_eq(sslcv__f32_to_f16(0x1.000002p-25f), 0x0001); /* above the tie */
    ck_assert_uint_eq(sslcv__f32_to_f16(0x1.8p-24f), 0x0002);      /* tie between 1 and 2 */
    ck_assert_uint_eq(sslcv__f32_to_f16(0x1.ffep-15f), 0x0400);    /* rounds up to the smallest normal */
    ck_assert_uint_eq(sslcv__f32_to_f16(1.00048828125f), 0x3c00);  /* tie */
    ck_assert_uint_eq(sslcv__f32_to_f16(1.00146484375f), 0x3c02);  /* tie */
    ck_assert_uint_eq(sslcv__f32_to_bf16(1.00390625f), 0x3f80);    /* tie */
    ck_assert_uint_eq(sslcv__f32_to_bf16(1.01171875f), 0x3f82);    /* tie */
    ck_assert_uint_eq(sslcv__f32_to_bf16(3.4028234e38f), 0x7f80);
}
END_TEST

START_TEST(copies)
{
    int64_t source[12], target[12];
    uint8_t bytes[12], flipped[12];
    sslcv_tensor a, b;
    int i;

    for (i = 0; i < 12; i++) {
        source[i] = (int64_t)i << 40;
        bytes[i] = (uint8_t)i;
    }
    OK(sslcv_tensor_init(&a, SSLCV_I64, source, 2, (const int64_t[2]){3, 4}));
    OK(sslcv_tensor_init(&b, SSLCV_I64, target, 2, (const int64_t[2]){3, 4}));
    sslcv__tensor_copy(&a, &b);
    ck_assert_mem_eq(source, target, sizeof source);
    b.strides[0] = 1, b.strides[1] = 3;
    sslcv__tensor_copy(&a, &b);
    for (i = 0; i < 12; i++) ck_assert_int_eq(target[i / 4 + i % 4 * 3], source[i]);
    OK(sslcv_tensor_init(&a, SSLCV_U8, bytes, 1, (const int64_t[1]){12}));
    OK(sslcv_tensor_init(&b, SSLCV_U8, flipped + 11, 1, (const int64_t[1]){12}));
    b.strides[0] = -1;
    sslcv__tensor_copy(&a, &b);
    for (i = 0; i < 12; i++) ck_assert_uint_eq(flipped[11 - i], i);
    a.shape[0] = b.shape[0] = 0;
    a.data = b.data = NULL;
    sslcv__tensor_copy(&a, &b);
    sslcv__tensor_to_f32(&a, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tensor");
    TCase *tests = tcase_create("all");

    tcase_add_test(tests, sizes_of_dtypes);
    tcase_add_test(tests, init_is_dense);
    tcase_add_test(tests, init_refuses);
    tcase_add_test(tests, pixels_are_strides);
    tcase_add_test(tests, pixels_refuse);
    tcase_add_test(tests, checks);
    tcase_add_test(tests, denseness);
    tcase_add_test(tests, every_dtype_to_f32);
    tcase_add_test(tests, f32_to_floating);
    tcase_add_test(tests, sixteen_bit_floats);
    tcase_add_test(tests, copies);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
