/** What the suites of lib/augment/ share: one small picture, its golden values, an augmenter of one view. */
#ifndef SSLCV__TESTS_AUGMENT_SUPPORT_H
#define SSLCV__TESTS_AUGMENT_SUPPORT_H

#include "support.h"

#include <sslcv/augment.h>

#include <stdatomic.h>
#include <stdio.h>

#include "augment/transform.h"
#include "core/context.h"

/*
 * Golden values: tests/golden/augment.txt, by make_augment.py (torchvision 0.14 on float tensors, Pillow 9.4 on bytes),
 * and numbers computed with the same programs, in the text. Tolerance: 2e-6 for what is one formula, 1e-5 for sums over
 * weights (torch makes its weights in float), and 1.6 / 255 against Pillow, which rounds to bytes after each pass (of a
 * picture of less contrast, as it clips there too).
 */
enum { H = 12, W = 10, SIZE = 3 * H * W, MAX_VALUES = 3 * 64 * 64 };

static const double exact = 2e-6, weighted = 1e-5, bytes_apart = 1.6 / 255.0;

static sslcv_context *context;
static sslcv_augmenter *augmenter;
static uint8_t pixels[SIZE];  /* the golden picture, (3, H, W) */
static float image[SIZE];     /* the same / 255 */
static float out[MAX_VALUES]; /* of the call under test */
static float golden[MAX_VALUES];
static int64_t golden_shape[3];

static inline void make_pixels(int64_t seed, int64_t count, uint8_t *bytes)
{
    float *values = malloc((size_t)count * sizeof *values);
    int64_t i;

    golden_input(seed, count, values);
    for (i = 0; i < count; i++) bytes[i] = (uint8_t)(((double)values[i] + 0.5) * 256.0);
    free(values);
}

static inline void setup(void)
{
    int i;

    make_pixels(1, SIZE, pixels);
    for (i = 0; i < SIZE; i++) image[i] = (float)pixels[i] / 255.0f;
    OK(sslcv_context_create(NULL, &context));
    OK(sslcv_augmenter_create(context, &augmenter));
    OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, NULL));
}

static inline void teardown(void)
{
    sslcv_augmenter_destroy(augmenter);
    ck_assert_int_eq((int64_t)atomic_load(&context->bytes), 0);
    sslcv_context_destroy(context);
}

static inline int64_t load_golden(const char *name)
{
    FILE *file = fopen("tests/golden/augment.txt", "r");
    char key[64];
    int64_t i, count = 0;

    ck_assert_msg(file != NULL, "tests/golden/augment.txt is missing: run from the root of the repository");
    while (fscanf(file, " @ %63s", key) == 1) {
        ck_assert_int_eq(fscanf(file, "%ld %ld %ld", &golden_shape[0], &golden_shape[1], &golden_shape[2]), 3);
        count = golden_shape[0] * golden_shape[1] * golden_shape[2];
        ck_assert_int_le(count, MAX_VALUES);
        for (i = 0; i < count; i++) ck_assert_int_eq(fscanf(file, "%f", &golden[i]), 1);
        if (strcmp(key, name) == 0) break;
        count = 0;
    }
    fclose(file);
    ck_assert_msg(count > 0, "no golden value %s", name);
    return count;
}

static inline void compare(const char *name, const float *values, int64_t count, double tolerance)
{
    int64_t i;

    ck_assert_int_eq(load_golden(name), count);
    for (i = 0; i < count; i++) {
        ck_assert_msg(fabs((double)values[i] - (double)golden[i]) <= tolerance, "%s[%ld] is %.8g, not %.8g", name, i,
                      values[i], golden[i]);
    }
}

static inline sslcv_tensor planar(int32_t dtype, void *data, int64_t c, int64_t h, int64_t w)
{
    sslcv_tensor t;

    OK(sslcv_tensor_init(&t, dtype, data, 3, (const int64_t[3]){c, h, w}));
    return t;
}

static inline sslcv_transform transform(int32_t kind)
{
    sslcv_transform t;

    OK(sslcv_transform_init(&t, sizeof t, kind));
    return t;
}

static inline sslcv_transform sized(int32_t kind, int64_t height, int64_t width)
{
    sslcv_transform t = transform(kind);

    t.height = height;
    t.width = width;
    return t;
}

static inline void add(const sslcv_transform *t)
{
    OK(sslcv_augmenter_add_transform(augmenter, 0, t));
}

/** View of the golden picture, as bytes, into out; returns the number of values. */
static inline int64_t apply(int64_t view, uint64_t seed, int64_t sample)
{
    const sslcv_tensor source = planar(SSLCV_U8, pixels, 3, H, W);
    sslcv_tensor result = {0};

    OK(sslcv_augmenter_apply(augmenter, &source, seed, 0, sample, view, &result));
    ck_assert_int_eq(result.ndim, 3);
    result.data = out;
    OK(sslcv_augmenter_apply(augmenter, &source, seed, 0, sample, view, &result));
    return result.shape[0] * result.shape[1] * result.shape[2];
}

static inline void resize(const sslcv_tensor *source, const sslcv__box *box, int64_t height, int64_t width,
                          int32_t filter)
{
    void *work = NULL;

    ck_assert_int_eq(posix_memalign(&work, 64, (size_t)sslcv__resize_bytes(source, box, height, width, filter)), 0);
    sslcv__resize(source, box, height, width, filter, work, out);
    free(work);
}

static inline TCase *add_case(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 120);
    suite_add_tcase(suite, tests);
    return tests;
}

#endif
