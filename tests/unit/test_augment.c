#include "support.h"

#include <sslcv/augment.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "augment/transform.h"
#include "core/context.h"

/*
 * Golden values: tests/golden/augment.txt, by make_augment.py (torchvision 0.14 on float tensors, Pillow 9.4 on bytes),
 * and numbers computed with the same programs, in the text. Tolerance: 2e-6 for what is one formula, 1e-5 for sums over
 * weights (torch makes its weights in float), and 1.6 / 255 against Pillow, which rounds to bytes after each pass (of a picture of less contrast, as it clips there
 * too).
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

static void make_pixels(int64_t seed, int64_t count, uint8_t *bytes)
{
    float *values = malloc((size_t)count * sizeof *values);
    int64_t i;

    golden_input(seed, count, values);
    for (i = 0; i < count; i++) bytes[i] = (uint8_t)(((double)values[i] + 0.5) * 256.0);
    free(values);
}

static void setup(void)
{
    int i;

    make_pixels(1, SIZE, pixels);
    for (i = 0; i < SIZE; i++) image[i] = (float)pixels[i] / 255.0f;
    OK(sslcv_context_create(NULL, &context));
    OK(sslcv_augmenter_create(context, &augmenter));
    OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, NULL));
}

static void teardown(void)
{
    sslcv_augmenter_destroy(augmenter);
    ck_assert_int_eq((int64_t)atomic_load(&context->bytes), 0);
    sslcv_context_destroy(context);
}

static int64_t load_golden(const char *name)
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

static void compare(const char *name, const float *values, int64_t count, double tolerance)
{
    int64_t i;

    ck_assert_int_eq(load_golden(name), count);
    for (i = 0; i < count; i++) {
        ck_assert_msg(fabs((double)values[i] - (double)golden[i]) <= tolerance, "%s[%ld] is %.8g, not %.8g", name, i,
                      values[i], golden[i]);
    }
}

static sslcv_tensor planar(int32_t dtype, void *data, int64_t c, int64_t h, int64_t w)
{
    sslcv_tensor t;

    OK(sslcv_tensor_init(&t, dtype, data, 3, (const int64_t[3]){c, h, w}));
    return t;
}

static sslcv_transform transform(int32_t kind)
{
    sslcv_transform t;

    OK(sslcv_transform_init(&t, sizeof t, kind));
    return t;
}

static sslcv_transform sized(int32_t kind, int64_t height, int64_t width)
{
    sslcv_transform t = transform(kind);

    t.height = height;
    t.width = width;
    return t;
}

static void add(const sslcv_transform *t)
{
    OK(sslcv_augmenter_add(augmenter, 0, t));
}

/** View of the golden picture, as bytes, into out; returns the number of values. */
static int64_t apply(int64_t view, uint64_t seed, int64_t sample)
{
    const sslcv_tensor source = planar(SSLCV_U8, pixels, 3, H, W);
    sslcv_tensor result = {0};

    OK(sslcv_augmenter_apply(augmenter, &source, seed, 0, sample, view, &result));
    ck_assert_int_eq(result.ndim, 3);
    result.data = out;
    OK(sslcv_augmenter_apply(augmenter, &source, seed, 0, sample, view, &result));
    return result.shape[0] * result.shape[1] * result.shape[2];
}

/* ---- geometry ---- */

static void resize(const sslcv_tensor *source, const sslcv__box *box, int64_t height, int64_t width, int32_t filter)
{
    void *work = NULL;

    ck_assert_int_eq(posix_memalign(&work, 64, (size_t)sslcv__resize_bytes(source, box, height, width, filter)), 0);
    sslcv__resize(source, box, height, width, filter, work, out);
    free(work);
}

START_TEST(resizes_as_torchvision_and_pillow)
{
    static const char *const names[] = {"bilinear", "bicubic", "nearest"};
    static const int64_t sizes[][2] = {{5, 7}, {21, 10}, {17, 23}, {1, 1}};
    const sslcv__box all = {0, 0, H, W};
    uint8_t calm[SIZE];
    const sslcv_tensor source = planar(SSLCV_U8, pixels, 3, H, W), calm_source = planar(SSLCV_U8, calm, 3, H, W);
    char key[64];
    int filter, i;

    for (i = 0; i < SIZE; i++) calm[i] = (uint8_t)(64 + pixels[i] / 2);

    for (filter = 0; filter < 3; filter++) {
        for (i = 0; i < 4; i++) {
            const int64_t h = sizes[i][0], w = sizes[i][1];

            resize(&source, &all, h, w, filter);
            snprintf(key, sizeof key, "%s_%ldx%ld", names[filter], h, w);
            compare(key, out, 3 * h * w, weighted);
            if (i == 1 || i == 3) continue;
            resize(&calm_source, &all, h, w, filter);
            snprintf(key, sizeof key, "pil_%s_%ldx%ld", names[filter], h, w);
            compare(key, out, 3 * h * w, filter == SSLCV__NEAREST ? 1e-4 : bytes_apart);
        }
    }
}
END_TEST

START_TEST(resizes_a_row_as_pillow)
{
    static const uint8_t row[6] = {0, 50, 100, 250, 200, 30};
    static const struct {
        int filter, width, values[9];
    } cases[] = {{SSLCV__BILINEAR, 3, {36, 163, 134}},
                 {SSLCV__BICUBIC, 3, {23, 175, 133}},
                 {SSLCV__BILINEAR, 4, {19, 100, 217, 94}},
                 {SSLCV__BICUBIC, 4, {14, 94, 235, 87}},
                 {SSLCV__BILINEAR, 9, {0, 25, 58, 92, 175, 242, 208, 115, 30}},
                 {SSLCV__BICUBIC, 9, {0, 21, 57, 86, 181, 255, 218, 107, 19}}};
    const sslcv__box all = {0, 0, 1, 6};
    uint8_t copy[6];
    const sslcv_tensor source = planar(SSLCV_U8, copy, 1, 1, 6);
    size_t i;
    int k;

    memcpy(copy, row, sizeof row);
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        resize(&source, &all, 1, cases[i].width, cases[i].filter);
        for (k = 0; k < cases[i].width; k++) {
            ck_assert_double_le(fabs(255.0 * (double)out[k] - cases[i].values[k]), 0.51);
        }
    }
}
END_TEST

START_TEST(resizes_boxes)
{
    const sslcv_tensor source = planar(SSLCV_U8, pixels, 3, H, W);
    const sslcv__box box = {2, 3, 7, 5}, thin = {11, 0, 1, 10};
    int i;

    resize(&source, &box, 8, 8, SSLCV__BILINEAR);
    compare("box", out, 3 * 8 * 8, weighted);
    resize(&source, &thin, 6, 5, SSLCV__BICUBIC);
    compare("box_up", out, 3 * 6 * 5, weighted);
    resize(&source, &box, 7, 5, SSLCV__BICUBIC); /* the size that it has: the very values */
    for (i = 0; i < 3 * 7 * 5; i++) {
        ck_assert_float_eq(out[i], image[(i / 35) * H * W + (2 + i % 35 / 5) * W + 3 + i % 5]);
    }
}
END_TEST

/** One picture in many memory layouts and dtypes gives one result. */
START_TEST(layouts_do_not_matter)
{
    enum { STEP = 20 };
    static uint8_t packed[H * W * 4], wide[3 * H * W * STEP];
    static uint16_t deep[SIZE];
    sslcv_tensor sources[6];
    float expected[3 * 9 * 8];
    int c, y, x, i, k;

    sources[0] = planar(SSLCV_U8, pixels, 3, H, W);
    sources[1] = planar(SSLCV_F32, image, 3, H, W);
    sources[2] = planar(SSLCV_U16, deep, 3, H, W);
    OK(sslcv_tensor_init_pixels(&sources[3], SSLCV_U8, packed, W, H, 4, 0, SSLCV_PIXELS_BGR));
    sources[4] = sources[0];
    sources[4].strides[2] = -1; /* mirrored: written so below */
    sources[5] = planar(SSLCV_U8, wide, 3, H, W);
    for (i = 0; i < 3; i++) sources[5].strides[i] *= STEP;
    for (c = 0; c < 3; c++) {
        for (y = 0; y < H; y++) {
            for (x = 0; x < W; x++) {
                const int at = (c * H + y) * W + x;

                deep[at] = (uint16_t)(257 * pixels[at]);
                packed[(y * W + x) * 4 + 2 - c] = pixels[at];
                wide[at * STEP] = pixels[at];
            }
        }
    }
    for (k = 0; k < 2; k++) {
        const sslcv__box box = k ? (sslcv__box){0, 0, H, W} : (sslcv__box){1, 2, 10, 7};

        for (i = 0; i < 6; i++) {
            static uint8_t mirrored[SIZE];
            sslcv_tensor source = sources[i];

            if (i == 4) {
                for (c = 0; c < SIZE; c++) mirrored[c] = pixels[c / W * W + W - 1 - c % W];
                source.data = mirrored + W - 1;
            }
            resize(&source, &box, 9, 8, SSLCV__BILINEAR);
            if (i == 0) memcpy(expected, out, sizeof expected);
            for (c = 0; c < 3 * 9 * 8; c++) ck_assert_msg(fabsf(out[c] - expected[c]) < 1e-6f, "layout %d", i);
        }
    }
    sources[0].strides[0] = 0; /* grey shown as colour */
    resize(&sources[0], &(sslcv__box){0, 0, H, W}, 9, 8, SSLCV__BILINEAR);
    for (c = 0; c < 3 * 9 * 8; c++) ck_assert_float_eq(out[c], out[c % 72]);
}
END_TEST

/** Weight of an old pixel in a new one, not normalised: the definition, in double. */
static double triangle(int64_t old, int64_t new, int64_t x, int64_t i)
{
    const double scale = (double)old / (double)new, stretch = scale > 1.0 ? scale : 1.0;
    const double distance = fabs(((double)x + 0.5 - ((double)i + 0.5) * scale) / stretch);

    return distance < 1.0 ? 1.0 - distance : 0.0;
}

static double naive_resized(const uint8_t *plane, int64_t h, int64_t w, int64_t step, int64_t height, int64_t width,
                            int64_t i, int64_t k)
{
    double sum = 0.0, weights = 0.0;
    int64_t y, x;

    for (y = 0; y < h; y++) {
        const double down = triangle(h, height, y, i);

        for (x = 0; x < w && down > 0.0; x++) {
            const double weight = down * triangle(w, width, x, k);

            sum += weight * plane[(y * w + x) * step];
            weights += weight;
        }
    }
    return sum / weights / 255.0;
}

/** Up, a little down and far down (many taps), in widths that are no multiple of a vector. */
START_TEST(resizes_as_defined)
{
    enum { OLD_H = 61, OLD_W = 47, PIXELS = OLD_H * OLD_W };
    static const int64_t sizes[][2] = {{64, 64}, {61, 63}, {50, 31}, {21, 13}, {4, 3}, {1, 47}};
    static uint8_t planes[3 * PIXELS], packed[3 * PIXELS];
    sslcv_tensor sources[3];
    int64_t i, k, c;
    int size, layout;

    make_pixels(3, 3 * PIXELS, planes);
    for (i = 0; i < 3 * PIXELS; i++) packed[i % PIXELS * 3 + i / PIXELS] = planes[i];
    sources[0] = planar(SSLCV_U8, planes, 3, OLD_H, OLD_W);
    OK(sslcv_tensor_init_pixels(&sources[1], SSLCV_U8, packed, OLD_W, OLD_H, 3, 0, SSLCV_PIXELS_AS_STORED));
    OK(sslcv_tensor_init_pixels(&sources[2], SSLCV_U8, packed, OLD_W, OLD_H, 3, 0, SSLCV_PIXELS_BGR));
    for (size = 0; size < 6; size++) {
        const int64_t height = sizes[size][0], width = sizes[size][1];

        for (layout = 0; layout < 3; layout++) {
            resize(&sources[layout], &(sslcv__box){0, 0, OLD_H, OLD_W}, height, width, SSLCV__BILINEAR);
            for (c = 0; c < 3; c++) {
                const uint8_t *plane = planes + (layout == 2 ? 2 - c : c) * PIXELS;

                for (i = 0; i < height; i += 3) {
                    for (k = 0; k < width; k++) {
                        CLOSE(out[(c * height + i) * width + k],
                              naive_resized(plane, OLD_H, OLD_W, 1, height, width, i, k), 2e-6);
                    }
                }
            }
        }
    }
}
END_TEST

START_TEST(crops_and_flips)
{
    static const int64_t sizes[][2] = {{5, 7}, {15, 13}, {9, 12}};
    const sslcv_tensor source = planar(SSLCV_U8, pixels, 3, H, W);
    sslcv_transform t;
    char key[64];
    int64_t view;
    int i;

    sslcv__crop(&source, &(sslcv__box){-3, 5, 9, 8}, out); /* (1, 9) of the picture padded by 4 */
    compare("crop_padded", out, 3 * 9 * 8, 1e-7);
    sslcv__crop(&source, &(sslcv__box){-20, -30, 3, 4}, out);
    for (i = 0; i < 36; i++) ck_assert_float_eq(out[i], 0.0f);
    for (i = 0; i < 3; i++) {
        OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
        t = sized(SSLCV_TRANSFORM_CENTER_CROP, sizes[i][0], sizes[i][1]);
        OK(sslcv_augmenter_add(augmenter, view, &t));
    }
    for (i = 0; i < 2; i++) {
        OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
        t = transform(i ? SSLCV_TRANSFORM_VERTICAL_FLIP : SSLCV_TRANSFORM_HORIZONTAL_FLIP);
        t.probability = 1.0;
        OK(sslcv_augmenter_add(augmenter, view, &t));
    }
    OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
    t = sized(SSLCV_TRANSFORM_RESIZE, 6, 0);
    OK(sslcv_augmenter_add(augmenter, view, &t));
    for (i = 0; i < 3; i++) {
        snprintf(key, sizeof key, "center_%ldx%ld", sizes[i][0], sizes[i][1]);
        compare(key, out, apply(1 + i, 1, 0), 1e-7);
    }
    compare("hflip", out, apply(4, 1, 0), 1e-7);
    compare("vflip", out, apply(5, 1, 0), 1e-7);
    compare("shorter_side", out, apply(6, 1, 0), weighted);
}
END_TEST

START_TEST(box_fallback)
{
    sslcv_transform t = transform(SSLCV_TRANSFORM_RANDOM_RESIZED_CROP);
    static const int64_t cases[][6] = {{10, 100, 0, 43, 10, 13}, {100, 10, 43, 0, 13, 10}, {32, 30, 0, 0, 32, 30}};
    sslcv__rng rng;
    sslcv__box box;
    int i;

    t.min = t.max = 2.0; /* larger than any image: every try fails */
    sslcv__rng_init(&rng, 1, 0, 0);
    for (i = 0; i < 3; i++) {
        sslcv__draw_box(&t, &rng, cases[i][0], cases[i][1], &box);
        ck_assert(box.top == cases[i][2] && box.left == cases[i][3]);
        ck_assert(box.height == cases[i][4] && box.width == cases[i][5]);
    }
    sslcv__draw_box(&t, &rng, 1, 1, &box);
    ck_assert(box.height == 1 && box.width == 1);
}
END_TEST

/** Mean and deviation of 20,000 boxes, against 100,000 of torchvision: within 4.5 standard errors of both together. */
START_TEST(box_statistics)
{
    enum { BOXES = 20000 };
    const sslcv_transform t = transform(SSLCV_TRANSFORM_RANDOM_RESIZED_CROP);
    double sum[4] = {0}, squares[4] = {0};
    sslcv__rng rng;
    int i, k;

    load_golden("box_moments"); /* (2, 4): mean, deviation of area, log ratio, top, left */
    sslcv__rng_init(&rng, 7, 0, 0);
    for (i = 0; i < BOXES; i++) {
        sslcv__box box;
        double values[4];

        sslcv__draw_box(&t, &rng, 48, 64, &box);
        ck_assert(box.top >= 0 && box.left >= 0 && box.top + box.height <= 48 && box.left + box.width <= 64);
        values[0] = (double)(box.height * box.width) / 3072.0;
        values[1] = log((double)box.width / (double)box.height);
        values[2] = (double)box.top;
        values[3] = (double)box.left;
        for (k = 0; k < 4; k++) sum[k] += values[k], squares[k] += values[k] * values[k];
    }
    for (k = 0; k < 4; k++) {
        const double mean = sum[k] / BOXES, deviation = sqrt(squares[k] / BOXES - mean * mean);
        const double error = 4.5 * (double)golden[4 + k] * sqrt(1.0 / BOXES + 1.0 / 100000);

        ck_assert_msg(fabs(mean - (double)golden[k]) < error, "mean %d is %g, not %g", k, mean, golden[k]);
        ck_assert_msg(fabs(deviation - (double)golden[4 + k]) < error, "deviation %d is %g, not %g", k, deviation,
                      golden[4 + k]);
    }
}
END_TEST

/** Every offset of a padded crop comes equally often. */
START_TEST(random_crop_statistics)
{
    enum { DRAWS = 6000 };
    uint8_t one = 255;
    const sslcv_tensor source = planar(SSLCV_U8, &one, 1, 1, 1);
    sslcv_transform t = sized(SSLCV_TRANSFORM_RANDOM_CROP, 2, 3);
    int64_t counts[6] = {0}, i;
    sslcv_tensor result = planar(SSLCV_F32, out, 1, 2, 3);

    t.padding = 2; /* the pixel of 1 x 1 in 5 x 5: offsets 0 .. 3 down, 0 .. 2 to the right */
    add(&t);
    for (i = 0; i < DRAWS; i++) {
        int k;

        OK(sslcv_augmenter_apply(augmenter, &source, 3, 0, i, 0, &result));
        for (k = 0; k < 6; k++) counts[k] += out[k] == 1.0f;
    }
    for (i = 0; i < 6; i++) { /* 1 of 12 each: 500, deviation 21 */
        ck_assert_msg(labs(counts[i] - DRAWS / 12) < 110, "%ld: %ld", i, counts[i]);
    }
}
END_TEST

/* ---- colour ---- */

START_TEST(color_operations)
{
    static const double factors[] = {0.3, 1.6}, turns[] = {-0.5, -0.13, 0.1, 0.37};
    sslcv_transform t = transform(SSLCV_TRANSFORM_COLOR_JITTER);
    const sslcv__jitter_draw draw = {1.3, 0.7, 1.9, 0.17, {3, 1, 0, 2}};
    uint8_t gray[63];
    char key[64];
    int i, k;

#define ON_COPY(name, call)                                                                                            \
    memcpy(out, image, sizeof image);                                                                                  \
    call;                                                                                                              \
    compare(name, out, SIZE, exact)
#define NAMED(format, value) (snprintf(key, sizeof key, format, value), key)
    for (i = 0; i < 2; i++) {
        const float f = (float)factors[i];

        ON_COPY(NAMED("brightness_%g", factors[i]), sslcv__adjust_brightness(out, 3, H * W, f));
        ON_COPY(NAMED("contrast_%g", factors[i]), sslcv__adjust_contrast(out, 3, H * W, f));
        ON_COPY(NAMED("saturation_%g", factors[i]), sslcv__adjust_saturation(out, H * W, f));
        make_pixels(2, 63, gray);
        for (k = 0; k < 63; k++) out[k] = (float)gray[k] / 255.0f;
        sslcv__adjust_contrast(out, 1, 63, f);
        compare(NAMED("gray_contrast_%g", factors[i]), out, 63, exact);
    }
    for (i = 0; i < 4; i++) {
        ON_COPY(NAMED("hue_%g", turns[i]), sslcv__adjust_hue(out, H * W, (float)turns[i]));
    }
    t.brightness = t.contrast = t.saturation = 1.0;
    t.hue = 0.5;
    ON_COPY("jitter", sslcv__jitter(out, 3, H * W, &t, &draw));
    ON_COPY("grayscale", sslcv__to_gray(out, H * W, 3));
    ON_COPY("solarize", sslcv__invert_above(out, SIZE, 0.5f));
#undef ON_COPY
#undef NAMED
}
END_TEST

/** The four pixels of methods' table: (12,200,77) (255,0,0) (128,128,128) (0,0,255); float path. */
START_TEST(color_of_four_pixels)
{
    static const float source[12] = {12 / 255.f,  1, 128 / 255.f, 0, 200 / 255.f, 0,
                                     128 / 255.f, 0, 77 / 255.f,  0, 128 / 255.f, 1};
    static const float luma[4] = {0.508882f, 0.2989f, 0.501911f, 0.114f};
    static const int hue[12] = {13, 255, 128, 150, 200, 150, 128, 0, 185, 0, 128, 255}; /* of bytes: within 5 */
    float p[12];
    int i;

    memcpy(p, source, sizeof p);
    sslcv__to_gray(p, 4, 1);
    for (i = 0; i < 4; i++) CLOSE(p[i], luma[i], 1e-6);
    memcpy(p, source, sizeof p);
    sslcv__adjust_contrast(p, 3, 4, 1.4f);
    CLOSE(p[0], 0.0, 1e-6);
    CLOSE(p[4], 0.955670, 1e-6);
    CLOSE(p[8], 0.280376, 1e-6);
    memcpy(p, source, sizeof p);
    sslcv__adjust_hue(p, 4, 0.1f);
    CLOSE(p[0], 0.047059, 1e-6);
    CLOSE(p[4], 0.784314, 1e-6);
    CLOSE(p[8], 0.744314, 1e-6);
    for (i = 0; i < 12; i++) ck_assert_int_le(abs((int)lrintf(255 * p[i]) - hue[i]), 5);
    sslcv__adjust_hue(p, 4, -0.1f); /* and back */
    for (i = 0; i < 12; i++) CLOSE(p[i], source[i], 2e-6);
}
END_TEST

/** Hue keeps largest and smallest channel, for any turn, and never leaves [0, 1]. */
START_TEST(hue_keeps_value_and_chroma)
{
    float p[3 * H * W];
    int turn, i;

    for (turn = -50; turn <= 50; turn += 5) {
        memcpy(p, image, sizeof p);
        sslcv__adjust_hue(p, H * W, (float)turn / 100.0f);
        for (i = 0; i < H * W; i++) {
            const float *s = image + i, *d = p + i;
            const int n = H * W;

            CLOSE(fmaxf(d[0], fmaxf(d[n], d[2 * n])), fmaxf(s[0], fmaxf(s[n], s[2 * n])), 1e-6);
            CLOSE(fminf(d[0], fminf(d[n], d[2 * n])), fminf(s[0], fminf(s[n], s[2 * n])), 1e-6);
            ck_assert(d[0] >= 0.0f && d[n] >= 0.0f && d[2 * n] >= 0.0f);
        }
    }
}
END_TEST

START_TEST(jitter_draws)
{
    enum { DRAWS = 24000 };
    sslcv_transform t = transform(SSLCV_TRANSFORM_COLOR_JITTER);
    double brightness = 0.0, contrast_squared = 0.0;
    int orders[256] = {0}, seen = 0, i;
    sslcv__jitter_draw draw;
    sslcv__rng rng;

    t.contrast = 1.5; /* 1 - 1.5 is clipped: 0 .. 2.5 */
    sslcv__rng_init(&rng, 5, 0, 0);
    for (i = 0; i < DRAWS; i++) {
        sslcv__draw_jitter(&t, &rng, &draw);
        ck_assert(draw.brightness >= 0.6 && draw.brightness < 1.4 && draw.contrast >= 0.0 && draw.contrast < 2.5);
        ck_assert(draw.saturation >= 0.6 && draw.saturation < 1.4 && draw.hue >= -0.1 && draw.hue < 0.1);
        brightness += draw.brightness;
        contrast_squared += draw.contrast * draw.contrast;
        orders[draw.order[0] * 64 + draw.order[1] * 16 + draw.order[2] * 4 + draw.order[3]]++;
    }
    CLOSE(brightness / DRAWS, 1.0, 0.007);
    CLOSE(contrast_squared / DRAWS, 2.5 * 2.5 / 3.0, 0.03);
    for (i = 0; i < 256; i++) {
        if (orders[i] == 0) continue;
        seen++;
        ck_assert_int_lt(abs(orders[i] - DRAWS / 24), 160); /* deviation 31 */
    }
    ck_assert_int_eq(seen, 24);
}
END_TEST

/** A jitter goes from block to block; it is the same as its operations one after the other, bit by bit. */
START_TEST(jitter_is_its_operations)
{
    enum { PIXELS = 2 * 1024 + 77 };
    static float start[3 * PIXELS], a[3 * PIXELS], b[3 * PIXELS];
    static uint8_t bytes[3 * PIXELS];
    sslcv_transform t = transform(SSLCV_TRANSFORM_COLOR_JITTER);
    sslcv__jitter_draw draw;
    sslcv__rng rng;
    int i, k;

    make_pixels(4, 3 * PIXELS, bytes);
    for (i = 0; i < 3 * PIXELS; i++) start[i] = (float)bytes[i] / 255.0f;
    t.brightness = t.contrast = t.saturation = 0.8;
    t.hue = 0.2;
    sslcv__rng_init(&rng, 6, 0, 0);
    for (i = 0; i < 100; i++) {
        if (i == 80) t.hue = t.brightness = 0.0;
        if (i == 90) t.contrast = 0.0;
        sslcv__draw_jitter(&t, &rng, &draw);
        memcpy(a, start, sizeof a);
        memcpy(b, start, sizeof b);
        sslcv__jitter(a, 3, PIXELS, &t, &draw);
        for (k = 0; k < 4; k++) {
            if (draw.order[k] == 0 && t.brightness > 0.0) {
                sslcv__adjust_brightness(b, 3, PIXELS, (float)draw.brightness);
            } else if (draw.order[k] == 1 && t.contrast > 0.0) {
                sslcv__adjust_contrast(b, 3, PIXELS, (float)draw.contrast);
            } else if (draw.order[k] == 2) {
                sslcv__adjust_saturation(b, PIXELS, (float)draw.saturation);
            } else if (draw.order[k] == 3 && t.hue > 0.0) {
                sslcv__adjust_hue(b, PIXELS, (float)draw.hue);
            }
        }
        ck_assert_mem_eq(a, b, sizeof a);
    }
}
END_TEST

/** Contrast needs the mean luma of the whole image, whatever its size. */
START_TEST(contrast_sees_the_whole_image)
{
    enum { PIXELS = 3 * 1024 + 5 };
    static float p[3 * PIXELS];
    double mean = 0.0;
    int i;

    for (i = 0; i < 3 * PIXELS; i++) p[i] = 0.25f + 0.5f * (float)i / (3 * PIXELS);
    for (i = 0; i < PIXELS; i++) {
        mean += 0.2989 * (double)p[i] + 0.587 * (double)p[PIXELS + i] + 0.114 * (double)p[2 * PIXELS + i];
    }
    mean /= PIXELS;
    sslcv__adjust_contrast(p, 3, PIXELS, 0.5f);
    for (i = 0; i < 3 * PIXELS; i++) {
        CLOSE(p[i], 0.5 * (0.25 + 0.5 * i / (3.0 * PIXELS)) + 0.5 * mean, 1e-6);
    }
}
END_TEST

START_TEST(probabilities)
{
    enum { DRAWS = 4000 };
    const int32_t kinds[] = {SSLCV_TRANSFORM_HORIZONTAL_FLIP, SSLCV_TRANSFORM_VERTICAL_FLIP,
                             SSLCV_TRANSFORM_GRAYSCALE,       SSLCV_TRANSFORM_SOLARIZE,
                             SSLCV_TRANSFORM_COLOR_JITTER,    SSLCV_TRANSFORM_GAUSSIAN_BLUR};
    const double expected[] = {0.5, 0.5, 0.2, 0.2, 1.0, 0.5};
    int64_t i, view, changed;
    int k;

    for (k = 0; k < 6; k++) {
        const sslcv_transform t = transform(kinds[k]);

        OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
        OK(sslcv_augmenter_add(augmenter, view, &t));
    }
    for (k = 0; k < 6; k++) {
        for (i = changed = 0; i < DRAWS; i++) {
            apply(k + 1, 11, i);
            changed += memcmp(out, image, sizeof image) != 0;
        }
        /* within 4.5 deviations; a blur with sigma near .1 changes nothing visible, but does change bits */
        ck_assert_msg(fabs((double)changed / DRAWS - expected[k]) <=
                          4.5 * sqrt(expected[k] * (1.0 - expected[k]) / DRAWS) + 0.002,
                      "%d: %ld of %d", k, changed, DRAWS);
    }
}
END_TEST

/* ---- blur, channels ---- */

START_TEST(blurs)
{
    static const float impulse[5] = {0.021938f, 0.098320f, 0.162103f, 0.098320f, 0.021938f};
    static const struct {
        const char *name;
        double sigma;
        int64_t radius;
    } cases[] = {{"blur_0.4_2", 0.4, 2}, {"blur_1.3_4", 1.3, 4}, {"blur_0.1_1", 0.1, 1}};
    float plane[121] = {0};
    void *work[1000];
    int i;

    for (i = 0; i < 3; i++) {
        ck_assert_int_le(sslcv__blur_bytes(H, W, cases[i].radius), sizeof work);
        memcpy(out, image, sizeof image);
        sslcv__blur(out, 3, H, W, cases[i].sigma, cases[i].radius, work);
        compare(cases[i].name, out, SIZE, exact);
    }
    plane[60] = 1.0f;
    sslcv__blur(plane, 1, 11, 11, 1.0, 2, work);
    for (i = 0; i < 5; i++) CLOSE(plane[58 + i], impulse[i], 1e-6);
    for (i = 0; i < 6; i++) plane[i] = 0.25f; /* constant, and smaller than the kernel */
    sslcv__blur(plane, 2, 3, 1, 5.0, 15, work);
    for (i = 0; i < 6; i++) CLOSE(plane[i], 0.25, 1e-6);
}
END_TEST

static int64_t mirrored(int64_t i, int64_t n)
{
    while (n > 1 && (i < 0 || i >= n)) i = i < 0 ? -i : 2 * (n - 1) - i;
    return n > 1 ? i : 0;
}

/** Against the two-dimensional sum in double; also where the kernel is larger than the picture. */
START_TEST(blurs_as_defined)
{
    static const int64_t cases[][3] = {{30, 37, 1}, {30, 37, 3}, {31, 36, 4}, {9, 40, 6}, {40, 9, 7}, {2, 5, 6}};
    static uint8_t bytes[3 * 40 * 40];
    static float before[3 * 40 * 40];
    int n;

    make_pixels(5, 3 * 40 * 40, bytes);
    for (n = 0; n < 3 * 40 * 40; n++) before[n] = (float)bytes[n] / 255.0f;
    for (n = 0; n < 6; n++) {
        const int64_t h = cases[n][0], w = cases[n][1], radius = cases[n][2];
        const double sigma = (double)radius / 2.5;
        void *work = malloc((size_t)sslcv__blur_bytes(h, w, radius)); /* the sanitizer sees what is too much */
        int64_t c, y, x, i, k;

        memcpy(out, before, sizeof before);
        sslcv__blur(out, 3, h, w, sigma, radius, work);
        free(work);
        for (c = 0; c < 3; c++) {
            for (y = 0; y < h; y++) {
                for (x = 0; x < w; x++) {
                    double sum = 0.0, weights = 0.0;

                    for (i = -radius; i <= radius; i++) {
                        for (k = -radius; k <= radius; k++) {
                            const double weight = exp(-0.5 * (double)(i * i + k * k) / (sigma * sigma));

                            sum += weight * (double)before[(c * h + mirrored(y + i, h)) * w + mirrored(x + k, w)];
                            weights += weight;
                        }
                    }
                    CLOSE(out[(c * h + y) * w + x], sum / weights, exact);
                }
            }
        }
    }
}
END_TEST

START_TEST(blur_keeps_the_mean)
{
    sslcv_transform t = transform(SSLCV_TRANSFORM_GAUSSIAN_BLUR);
    double before = 0.0, after = 0.0, rough = 0.0, smooth = 0.0;
    int i;

    t.probability = 1.0;
    t.min = t.max = 1.5;
    add(&t);
    apply(0, 1, 0);
    for (i = 0; i < SIZE; i++) before += image[i], after += out[i];
    for (i = 1; i < SIZE; i++) rough += fabsf(image[i] - image[i - 1]), smooth += fabsf(out[i] - out[i - 1]);
    CLOSE(after / SIZE, before / SIZE, 0.03);
    ck_assert(smooth < 0.5 * rough);
}
END_TEST

START_TEST(normalizes)
{
    const double mean[3] = {0.485, 0.456, 0.406}, deviation[3] = {0.229, 0.224, 0.225};
    sslcv_transform t = transform(SSLCV_TRANSFORM_NORMALIZE);
    const sslcv_tensor gray = planar(SSLCV_U8, pixels, 1, H, W);
    sslcv_tensor result = planar(SSLCV_F32, out, 1, H, W);
    int i;

    memcpy(t.mean, mean, sizeof mean);
    memcpy(t.std, deviation, sizeof deviation);
    t.count = 3;
    add(&t);
    compare("normalize", out, apply(0, 1, 0), 3e-6);
    OK(sslcv_augmenter_apply(augmenter, &gray, 1, 0, 0, 0, &result)); /* another number: averages */
    for (i = 0; i < H * W; i++) CLOSE(out[i], (image[i] - 0.449) / 0.226, 1e-5);
}
END_TEST

START_TEST(selects_channels)
{
    sslcv_transform t = transform(SSLCV_TRANSFORM_SELECT_CHANNELS), flip = transform(SSLCV_TRANSFORM_HORIZONTAL_FLIP);
    sslcv_view_info info = {.struct_size = sizeof info};
    const sslcv_tensor gray = planar(SSLCV_U8, pixels, 1, H, W);
    sslcv_tensor result = planar(SSLCV_F32, out, 2, H, W);
    int i;

    t.first = 1;
    t.count = 2;
    add(&t);
    flip.probability = 1.0;
    add(&flip);
    OK(sslcv_augmenter_get_view(augmenter, 0, &info));
    ck_assert(info.channels == 2 && info.height == 0 && info.width == 0);
    ck_assert_int_eq(apply(0, 1, 0), 2 * H * W);
    for (i = 0; i < 2 * H * W; i++) ck_assert_float_eq(out[i], image[H * W + i / W * W + W - 1 - i % W]);
    FAILS(sslcv_augmenter_apply(augmenter, &gray, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT,
          "channels 1 .. 2 of an image of 1");
}
END_TEST

START_TEST(gray_images)
{
    const sslcv_transform jitter = transform(SSLCV_TRANSFORM_COLOR_JITTER), gray = transform(SSLCV_TRANSFORM_GRAYSCALE);
    const sslcv_tensor one = planar(SSLCV_U8, pixels, 1, H, W), two = planar(SSLCV_U8, pixels, 2, H, W);
    sslcv_tensor result = planar(SSLCV_F32, out, 1, H, W);
    sslcv_transform less = transform(SSLCV_TRANSFORM_GRAYSCALE);
    int i;

    add(&jitter);
    add(&gray);
    OK(sslcv_augmenter_apply(augmenter, &one, 1, 0, 0, 0, &result));
    for (i = 0; i < H * W; i++) ck_assert(out[i] >= 0.0f && out[i] <= 1.0f);
    ck_assert(memcmp(out, image, H * W * sizeof *out) != 0);
    result = planar(SSLCV_F32, out, 2, H, W);
    FAILS(sslcv_augmenter_apply(augmenter, &two, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT,
          "color_jitter changes saturation or hue of an image of 2 channels");
    sslcv_augmenter_destroy(augmenter);
    OK(sslcv_augmenter_create(context, &augmenter));
    OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, NULL));
    less.count = 1;
    FAILS(sslcv_augmenter_add(augmenter, 0, &less), SSLCV_ERR_INVALID_ARGUMENT, "grayscale.probability is 0.2");
    less.probability = 1.0;
    add(&less);
    ck_assert_int_eq(apply(0, 1, 0), H * W);
    load_golden("grayscale");
    for (i = 0; i < H * W; i++) CLOSE(out[i], golden[i], exact);
    result = planar(SSLCV_F32, out, 1, H, W);
    FAILS(sslcv_augmenter_apply(augmenter, &two, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "2 channels");
}
END_TEST

/* ---- views and draws ---- */

static void build_simclr(int64_t size)
{
    int64_t first, count;

    OK(sslcv_augmenter_add_preset(augmenter, "simclr-cifar", size, &first, &count));
    ck_assert(first == 1 && count == 2);
}

START_TEST(draws_depend_on_their_key_only)
{
    const sslcv_tensor source = planar(SSLCV_U8, pixels, 3, H, W);
    sslcv_tensor result = planar(SSLCV_F32, out, 3, 8, 8);
    float first[192], other[192], *outs[2] = {first, other};
    const int64_t both[2] = {1, 2};
    sslcv__augment_scratch *scratch;

    build_simclr(8);
    OK(sslcv_augmenter_apply(augmenter, &source, 1, 2, 3, 1, &result));
    memcpy(first, out, sizeof first);
    OK(sslcv_augmenter_apply(augmenter, &source, 1, 2, 3, 1, &result));
    ck_assert_mem_eq(first, out, sizeof first);
    OK(sslcv_augmenter_apply(augmenter, &source, 2, 2, 3, 1, &result));
    ck_assert_mem_ne(first, out, sizeof first);
    OK(sslcv_augmenter_apply(augmenter, &source, 1, 3, 3, 1, &result));
    ck_assert_mem_ne(first, out, sizeof first);
    OK(sslcv_augmenter_apply(augmenter, &source, 1, 2, 4, 1, &result));
    ck_assert_mem_ne(first, out, sizeof first);
    OK(sslcv_augmenter_apply(augmenter, &source, 1, 2, 3, 2, &result));
    ck_assert_mem_ne(first, out, sizeof first);

    memcpy(other, first, sizeof other); /* both at once, with a scratch that others have used */
    OK(sslcv__augment_scratch_create(context, &scratch));
    OK(sslcv__augmenter_run(augmenter, scratch, &source, 9, 9, 9, both, 2, outs));
    OK(sslcv__augmenter_run(augmenter, scratch, &source, 1, 2, 3, both, 2, outs));
    ck_assert_mem_eq(other, out, sizeof other);
    OK(sslcv_augmenter_apply(augmenter, &source, 1, 2, 3, 1, &result));
    ck_assert_mem_eq(first, out, sizeof first);
    sslcv__augment_scratch_free(scratch);
}
END_TEST

/** The scratch stops growing once it has seen an image of the size. */
START_TEST(scratch_stops_growing)
{
    const sslcv_tensor source = planar(SSLCV_U8, pixels, 3, H, W);
    float a[192], b[192], *outs[2] = {a, b};
    const int64_t both[2] = {1, 2};
    sslcv__augment_scratch *scratch;
    int64_t i, held = 0;

    OK(sslcv_augmenter_add_preset(augmenter, "simclr", 8, NULL, NULL));
    OK(sslcv__augment_scratch_create(context, &scratch));
    for (i = 0; i < 400; i++) {
        OK(sslcv__augmenter_run(augmenter, scratch, &source, 1, 0, i, both, 2, outs));
        if (i == 200) held = (int64_t)atomic_load(&context->bytes);
    }
    ck_assert_int_eq((int64_t)atomic_load(&context->bytes), held);
    sslcv__augment_scratch_free(scratch);
}
END_TEST

/** The last transform may write where the view is wanted: the same values as when it is followed by another. */
START_TEST(last_transforms)
{
    const int32_t kinds[] = {SSLCV_TRANSFORM_RANDOM_RESIZED_CROP,
                             SSLCV_TRANSFORM_RANDOM_CROP,
                             SSLCV_TRANSFORM_RESIZE,
                             SSLCV_TRANSFORM_HORIZONTAL_FLIP,
                             SSLCV_TRANSFORM_VERTICAL_FLIP,
                             SSLCV_TRANSFORM_COLOR_JITTER,
                             SSLCV_TRANSFORM_GRAYSCALE,
                             SSLCV_TRANSFORM_GRAYSCALE,
                             SSLCV_TRANSFORM_GAUSSIAN_BLUR,
                             SSLCV_TRANSFORM_SOLARIZE,
                             SSLCV_TRANSFORM_SELECT_CHANNELS,
                             SSLCV_TRANSFORM_NORMALIZE};
    const sslcv_transform nothing = transform(SSLCV_TRANSFORM_NORMALIZE); /* mean 0, deviation 1 */
    float alone[SIZE];
    size_t i;

    for (i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        sslcv_transform t = i < 3 ? sized(kinds[i], 7, 6) : transform(kinds[i]);
        int64_t sample, count = 0;

        if (i == 7) t.count = 1, t.probability = 1.0;
        if (kinds[i] == SSLCV_TRANSFORM_SELECT_CHANNELS) t.first = 1, t.count = 2;
        for (sample = 0; sample < 8; sample++) {
            int more;

            for (more = 0; more < 2; more++) {
                sslcv_augmenter_destroy(augmenter);
                OK(sslcv_augmenter_create(context, &augmenter));
                OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, NULL));
                add(&t);
                if (more) add(&nothing);
                memset(out, 0x55, sizeof out);
                count = apply(0, 1, sample);
                ck_assert_int_eq(((uint8_t *)&out[count])[0], 0x55);
                if (!more) memcpy(alone, out, (size_t)count * sizeof *alone);
            }
            ck_assert_mem_eq(alone, out, (size_t)count * sizeof *alone);
        }
    }
}
END_TEST

/** Views that continue from another see its pixels, whether it is asked for or not. */
START_TEST(views_continue)
{
    const sslcv_tensor source = planar(SSLCV_U8, pixels, 3, H, W);
    sslcv_transform crop = sized(SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, 6, 6);
    sslcv_transform select = transform(SSLCV_TRANSFORM_SELECT_CHANNELS);
    const sslcv_transform flip = transform(SSLCV_TRANSFORM_HORIZONTAL_FLIP);
    const int64_t all[3] = {0, 1, 2}, leaves[2] = {1, 2}, image_shape[3] = {0, 0, 0};
    float parent[108], a[36], b[72], *three[3] = {parent, a, b}, a2[36], b2[72], *two[2] = {a2, b2};
    sslcv__augment_scratch *scratch;
    int64_t shape[4], view, sample;

    add(&crop);
    add(&flip);
    OK(sslcv_augmenter_add_view(augmenter, 0, &view));
    ck_assert_int_eq(view, 1);
    FAILS(sslcv_augmenter_add(augmenter, 0, &flip), SSLCV_ERR_STATE, "another view continues from view 0");
    select.count = 1;
    OK(sslcv_augmenter_add(augmenter, 1, &select));
    OK(sslcv_augmenter_add_view(augmenter, 0, &view));
    select.first = 1;
    select.count = 2;
    OK(sslcv_augmenter_add(augmenter, 2, &select));
    ck_assert_int_eq(sslcv__augmenter_num_views(augmenter), 3);
    OK(sslcv__augmenter_view_shape(augmenter, 2, image_shape, shape));
    ck_assert(shape[0] == 1 && shape[1] == 2 && shape[2] == 6 && shape[3] == 6);

    OK(sslcv__augment_scratch_create(context, &scratch));
    for (sample = 0; sample < 20; sample++) {
        OK(sslcv__augmenter_run(augmenter, scratch, &source, 1, 0, sample, all, 3, three));
        OK(sslcv__augmenter_run(augmenter, scratch, &source, 1, 0, sample, leaves, 2, two));
        ck_assert_mem_eq(a, parent, sizeof a);
        ck_assert_mem_eq(b, parent + 36, sizeof b);
        ck_assert_mem_eq(a, a2, sizeof a);
        ck_assert_mem_eq(b, b2, sizeof b);
    }
    sslcv__augment_scratch_free(scratch);
}
END_TEST

/** On a thread of its own, where Check's macros must not be called: NULL, or a message. */
static void *run_many(void *results)
{
    static char failed[] = "a run failed";
    sslcv_tensor source = {pixels, {3, H, W}, {H * W, W, 1}, 3, SSLCV_U8};
    sslcv__augment_scratch *scratch = NULL;
    const int64_t view = 1;
    sslcv_status status;
    int64_t i;

    SSLCV__TRY(sslcv__augment_scratch_create(context, &scratch));
    for (i = 0; i < 100; i++) {
        float *to = (float *)results + i * 192;

        SSLCV__TRY(sslcv__augmenter_run(augmenter, scratch, &source, 1, 0, i, &view, 1, &to));
    }
end:
    sslcv__augment_scratch_free(scratch);
    return status == SSLCV_OK ? NULL : failed;
}

START_TEST(threads_agree)
{
    static float results[3][100 * 192];
    pthread_t threads[2];
    void *message;
    int i;

    build_simclr(8);
    sslcv__augmenter_fix(augmenter);
    for (i = 0; i < 2; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, run_many, results[i]), 0);
    ck_assert_ptr_null(run_many(results[2]));
    for (i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_join(threads[i], &message), 0);
        ck_assert_ptr_null(message);
    }
    ck_assert_mem_eq(results[0], results[2], sizeof results[0]);
    ck_assert_mem_eq(results[1], results[2], sizeof results[0]);
}
END_TEST

/* ---- presets ---- */

START_TEST(presets)
{
    static const struct {
        const char *name;
        int64_t views, size;
    } known[] = {{"simclr", 2, 224},        {"simclr-cifar", 2, 32}, {"finetune", 1, 224},
                 {"finetune-cifar", 1, 32}, {"eval", 1, 224},        {"eval-cifar", 1, 32}};
    const sslcv_tensor gray = planar(SSLCV_U8, pixels, 1, H, W), color = planar(SSLCV_U8, pixels, 3, H, W);
    sslcv_view_info info = {.struct_size = sizeof info};
    int64_t first, count, k, next = 1;
    size_t i;
    int j;

    for (i = 0; i < 6; i++) {
        OK(sslcv_augmenter_add_preset(augmenter, known[i].name, 0, &first, &count));
        ck_assert(first == next && count == known[i].views);
        OK(sslcv_augmenter_get_view(augmenter, first, &info));
        ck_assert(info.channels == 0 && info.height == known[i].size && info.width == known[i].size);
        next += count;
        OK(sslcv_augmenter_add_preset(augmenter, known[i].name, 16, &first, &count));
        next += count;
        for (k = first; k < first + count; k++) {
            OK(sslcv_augmenter_get_view(augmenter, k, &info));
            ck_assert(info.height == 16 && info.width == 16);
        }
    }
    FAILS(sslcv_augmenter_get_view(augmenter, next, &info), SSLCV_ERR_NOT_FOUND, "view is");
    for (k = 1; k < next; k++) {
        OK(sslcv_augmenter_get_view(augmenter, k, &info));
        if (info.height != 16) continue;
        for (j = 0; j < 2; j++) {
            sslcv_tensor result = planar(SSLCV_F32, out, j ? 3 : 1, 16, 16);

            OK(sslcv_augmenter_apply(augmenter, j ? &color : &gray, 1, 0, 0, k, &result));
        }
    }
    FAILS(sslcv_augmenter_add_preset(augmenter, "eval", 0, NULL, NULL), SSLCV_ERR_STATE, "has been used");
}
END_TEST

START_TEST(preset_errors)
{
    int64_t first = 77;

    FAILS(sslcv_augmenter_add_preset(NULL, "eval", 0, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "augmenter is NULL");
    FAILS(sslcv_augmenter_add_preset(augmenter, NULL, 0, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "preset is NULL");
    FAILS(sslcv_augmenter_add_preset(augmenter, "moco", 0, &first, NULL), SSLCV_ERR_NOT_FOUND,
          "there is no preset \"moco\"; there are simclr, simclr-cifar, finetune, finetune-cifar, eval, eval-cifar");
    FAILS(sslcv_augmenter_add_preset(augmenter, "eval", -1, &first, NULL), SSLCV_ERR_INVALID_ARGUMENT, "size is -1");
    FAILS(sslcv_augmenter_add_preset(augmenter, "eval", 57345, &first, NULL), SSLCV_ERR_INVALID_ARGUMENT, "57344");
    ck_assert_int_eq(first, 77);
    ck_assert_int_eq(sslcv__augmenter_num_views(augmenter), 1);
}
END_TEST

/** eval-cifar is the picture itself, normalised; eval is resize, centre crop, normalise. */
START_TEST(eval_preset_values)
{
    static const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};
    const sslcv_tensor square = planar(SSLCV_U8, pixels, 3, 10, 10);
    sslcv_tensor result = planar(SSLCV_F32, out, 3, 10, 10);
    float expected[3 * 8 * 8];
    int i;

    OK(sslcv_augmenter_add_preset(augmenter, "eval-cifar", 10, NULL, NULL));
    OK(sslcv_augmenter_apply(augmenter, &square, 1, 0, 0, 1, &result));
    for (i = 0; i < 300; i++) {
        ck_assert_float_eq(out[i], ((float)pixels[i] / 255.0f - mean[i / 100]) / deviation[i / 100]);
    }
    sslcv_augmenter_destroy(augmenter);
    OK(sslcv_augmenter_create(context, &augmenter));
    OK(sslcv_augmenter_add_preset(augmenter, "eval", 7, NULL, NULL)); /* 12 x 10 to 9 x 8, then the middle 7 x 7 */
    resize(&(sslcv_tensor){pixels, {3, H, W}, {H * W, W, 1}, 3, SSLCV_U8}, &(sslcv__box){0, 0, H, W}, 9, 8,
           SSLCV__BILINEAR);
    for (i = 0; i < 147; i++) {
        const float v = out[i / 49 * 72 + (1 + i % 49 / 7) * 8 + i % 7];
        expected[i] = (v - mean[i / 49]) / deviation[i / 49];
    }
    ck_assert_int_eq(apply(0, 1, 0), 147);
    for (i = 0; i < 147; i++) CLOSE(out[i], expected[i], 1e-6);
}
END_TEST

/* ---- custom ---- */

typedef struct host {
    atomic_int calls, destroyed;
    int32_t answer;
    uint64_t random[64];
} host;

static int32_t host_apply(void *user, const sslcv_tensor *src, sslcv_tensor *dst, uint64_t random)
{
    host *h = user;
    const int call = atomic_fetch_add(&h->calls, 1);
    int64_t i;

    h->random[call % 64] = random;
    if (src->ndim != 3 || src->dtype != SSLCV_F32 || src->strides[2] != 1 ||
        dst->strides[0] != dst->shape[1] * dst->shape[2])
        return 99;
    for (i = 0; i < dst->shape[0] * dst->shape[1] * dst->shape[2]; i++) {
        ((float *)dst->data)[i] = 2.0f * ((const float *)src->data)[i];
    }
    return h->answer;
}

static void host_destroy(void *user)
{
    atomic_fetch_add(&((host *)user)->destroyed, 1);
}

START_TEST(custom_transforms)
{
    static host h;
    sslcv_transform_callbacks table = {sizeof table, &h, host_apply, host_destroy, SSLCV_CALLBACK_ANY_THREAD, 0};
    const sslcv_tensor source = planar(SSLCV_U8, pixels, 3, H, W);
    sslcv_tensor result = planar(SSLCV_F32, out, 3, H, W);
    sslcv_transform t = transform(SSLCV_TRANSFORM_CUSTOM);
    int64_t view;
    int i;

    FAILS(sslcv_augmenter_add(augmenter, 0, &t), SSLCV_ERR_INVALID_ARGUMENT, "custom.callbacks is NULL");
    t.callbacks = &table;
    add(&t);
    ck_assert(sslcv__augmenter_any_thread(augmenter));
    table.flags = 0;
    OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
    t.count = 1;
    t.height = 2;
    t.width = 5;
    OK(sslcv_augmenter_add(augmenter, view, &t));
    ck_assert(!sslcv__augmenter_any_thread(augmenter));
    memset(&table, 0xff, sizeof table); /* it has been copied */
    for (i = 0; i < 8; i++) ck_assert_int_eq(apply(0, 1, i), SIZE);
    for (i = 0; i < SIZE; i++) ck_assert_float_eq(out[i], 2.0f * image[i]);
    for (i = 1; i < 8; i++) ck_assert(h.random[i] != h.random[i - 1]);
    ck_assert_int_eq(apply(1, 1, 0), 10);
    h.answer = -3;
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &result), SSLCV_ERR_CANCELLED, "answered -3");
    h.answer = 0;
    OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &result));
    ck_assert_int_eq(h.destroyed, 0);
    sslcv_augmenter_destroy(augmenter);
    augmenter = NULL;
    ck_assert_int_eq(h.destroyed, 2); /* taken twice */
}
END_TEST

START_TEST(custom_errors)
{
    static host h;
    sslcv_transform_callbacks table = {sizeof table, &h, NULL, host_destroy, 0, 0};
    sslcv_transform t = transform(SSLCV_TRANSFORM_CUSTOM);

    t.callbacks = &table;
    FAILS(sslcv_augmenter_add(augmenter, 0, &t), SSLCV_ERR_INVALID_ARGUMENT, "transform_callbacks.apply is NULL");
    table.apply = host_apply;
    table.flags = 2;
    FAILS(sslcv_augmenter_add(augmenter, 0, &t), SSLCV_ERR_INVALID_ARGUMENT, "transform_callbacks.flags is 2");
    table.flags = 0;
    table.reserved = 1;
    FAILS(sslcv_augmenter_add(augmenter, 0, &t), SSLCV_ERR_UNSUPPORTED, "reserved");
    table.reserved = 0;
    t.probability = 0.5;
    t.height = 5;
    FAILS(sslcv_augmenter_add(augmenter, 0, &t), SSLCV_ERR_INVALID_ARGUMENT, "custom.probability is 0.5");
    table.struct_size = 3;
    t.height = 0;
    FAILS(sslcv_augmenter_add(augmenter, 0, &t), SSLCV_ERR_INVALID_ARGUMENT, "transform_callbacks.struct_size");
    ck_assert_int_eq(h.destroyed, 0);
}
END_TEST

/* ---- wrong use ---- */

START_TEST(transform_errors)
{
    sslcv_transform t;

    FAILS(sslcv_transform_init(NULL, sizeof t, 1), SSLCV_ERR_INVALID_ARGUMENT, "transform is NULL");
    FAILS(sslcv_transform_init(&t, 8, 1), SSLCV_ERR_INVALID_ARGUMENT, "transform.struct_size is 8");
    FAILS(sslcv_transform_init(&t, sizeof t, 7), SSLCV_ERR_INVALID_ARGUMENT, "transform.kind is 7");
    FAILS(sslcv_augmenter_add(augmenter, 0, NULL), SSLCV_ERR_INVALID_ARGUMENT, "transform is NULL");
#define WRONG(kind, change, text)                                                                                      \
    t = sized(kind, 8, 8);                                                                                             \
    change;                                                                                                            \
    FAILS(sslcv_augmenter_add(augmenter, 0, &t), SSLCV_ERR_INVALID_ARGUMENT, text)
    WRONG(SSLCV_TRANSFORM_RESIZE, t.kind = 7, "transform.kind is 7");
    WRONG(SSLCV_TRANSFORM_RESIZE, t.padding = 1, "resize.padding is set, but resize does not read it");
    WRONG(SSLCV_TRANSFORM_RESIZE, t.probability = .5, "resize.probability is set");
    WRONG(SSLCV_TRANSFORM_RESIZE, t.mean[15] = 1, "resize.mean is set");
    WRONG(SSLCV_TRANSFORM_RESIZE, t.height = 0, "resize.height is 0; must be 1 .. 65536");
    WRONG(SSLCV_TRANSFORM_RESIZE, t.interpolation = 3, "resize.interpolation is 3; must be 0 .. 2");
    WRONG(SSLCV_TRANSFORM_CENTER_CROP, t.width = 65537, "center_crop.width is 65537");
    WRONG(SSLCV_TRANSFORM_RANDOM_CROP, t.padding = -1, "random_crop.padding is -1; must be 0 .. 65536");
    WRONG(SSLCV_TRANSFORM_RANDOM_CROP, t.height = 0, "random_crop.height is 0");
    WRONG(SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, t.min = 0, "random_resized_crop.min is 0; must be > 0 and <= 1");
    WRONG(SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, t.max = 1.5, "random_resized_crop.max is 1.5; must be > 0 and <= 1");
    WRONG(SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, t.ratio_min = 2, "random_resized_crop.ratio_min is 2");
    WRONG(SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, t.min = NAN, "random_resized_crop.min is nan");
    WRONG(SSLCV_TRANSFORM_HORIZONTAL_FLIP, t.probability = 1, "horizontal_flip.height is set");
#undef WRONG
#define WRONG(kind, change, text)                                                                                      \
    t = transform(kind);                                                                                               \
    change;                                                                                                            \
    FAILS(sslcv_augmenter_add(augmenter, 0, &t), SSLCV_ERR_INVALID_ARGUMENT, text)
    WRONG(SSLCV_TRANSFORM_HORIZONTAL_FLIP, t.probability = 1.01, "horizontal_flip.probability is 1.01; must be 0 .. 1");
    WRONG(SSLCV_TRANSFORM_HORIZONTAL_FLIP, t.probability = NAN, "horizontal_flip.probability is nan");
    WRONG(SSLCV_TRANSFORM_COLOR_JITTER, t.hue = .6, "color_jitter.hue is 0.6; must be 0 .. 0.5");
    WRONG(SSLCV_TRANSFORM_COLOR_JITTER, t.brightness = -.1, "color_jitter.brightness is -0.1");
    WRONG(SSLCV_TRANSFORM_COLOR_JITTER, t.contrast = INFINITY, "color_jitter.contrast is inf");
    WRONG(SSLCV_TRANSFORM_GRAYSCALE, t.count = 2, "grayscale.count is 2; must be 0 .. 1");
    WRONG(SSLCV_TRANSFORM_GAUSSIAN_BLUR, t.min = 3, "gaussian_blur.min is 3; must be 0 .. 2");
    WRONG(SSLCV_TRANSFORM_SOLARIZE, t.max = .4, "solarize.min is 0.5");
    WRONG(SSLCV_TRANSFORM_SELECT_CHANNELS, (void)0, "select_channels.count is 0; must be 1 .. 16");
    WRONG(SSLCV_TRANSFORM_SELECT_CHANNELS, (t.first = 15, t.count = 2), "select_channels.count is 2; must be 1 .. 1");
    WRONG(SSLCV_TRANSFORM_NORMALIZE, t.std[2] = 0, "normalize.std is 0; must be > 0");
    WRONG(SSLCV_TRANSFORM_NORMALIZE, t.mean[2] = NAN, "normalize.mean is nan");
    WRONG(SSLCV_TRANSFORM_NORMALIZE, t.callbacks = (void *)&t, "normalize.callbacks is set");
#undef WRONG
}
END_TEST

START_TEST(augmenter_errors)
{
    sslcv_view_info info = {.struct_size = sizeof info};
    const sslcv_transform flip = transform(SSLCV_TRANSFORM_HORIZONTAL_FLIP);
    const int64_t unknown[3] = {3, 0, 0};
    sslcv_augmenter *made = NULL;
    int64_t view = 77, shape[4];

    FAILS(sslcv_augmenter_create(NULL, &made), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_augmenter_create(context, NULL), SSLCV_ERR_INVALID_ARGUMENT, "augmenter is NULL");
    FAILS(sslcv_augmenter_add_view((sslcv_augmenter *)(void *)context, -1, &view), SSLCV_ERR_INVALID_ARGUMENT,
          "augmenter is not a live augmenter handle");
    FAILS(sslcv_augmenter_add_view(augmenter, 1, &view), SSLCV_ERR_INVALID_ARGUMENT, "source is 1");
    FAILS(sslcv_augmenter_add_view(augmenter, -2, &view), SSLCV_ERR_INVALID_ARGUMENT, "source is -2");
    FAILS(sslcv_augmenter_add(augmenter, 1, &flip), SSLCV_ERR_INVALID_ARGUMENT, "view is 1; must be 0 .. 0");
    FAILS(sslcv_augmenter_get_view(augmenter, 1, &info), SSLCV_ERR_NOT_FOUND, "view is 1; the augmenter has 1 views");
    FAILS(sslcv_augmenter_get_view(augmenter, -1, &info), SSLCV_ERR_NOT_FOUND, "view is -1");
    FAILS(sslcv_augmenter_get_view(augmenter, 0, NULL), SSLCV_ERR_INVALID_ARGUMENT, "view_info is NULL");
    FAILS(sslcv__augmenter_view_shape(augmenter, 0, unknown, shape), SSLCV_ERR_INVALID_ARGUMENT,
          "the shape of view 0 depends on the images'");
    ck_assert(made == NULL && view == 77);
    sslcv__augmenter_fix(augmenter);
    FAILS(sslcv_augmenter_add(augmenter, 0, &flip), SSLCV_ERR_STATE, "augmenter has been used");
    FAILS(sslcv_augmenter_add_view(augmenter, -1, &view), SSLCV_ERR_STATE, "augmenter has been used");
    sslcv_augmenter_destroy(NULL);
}
END_TEST

START_TEST(apply_errors)
{
    const sslcv_tensor source = planar(SSLCV_U8, pixels, 3, H, W);
    sslcv_transform crop = sized(SSLCV_TRANSFORM_RANDOM_CROP, 16, 8);
    sslcv_tensor bad, result = planar(SSLCV_F32, out, 3, H, W);
    float broken[SIZE];
    int64_t view;

    memset(out, 0x55, sizeof out);
    FAILS(sslcv_augmenter_apply(NULL, &source, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "augmenter is NULL");
    FAILS(sslcv_augmenter_apply(augmenter, NULL, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "image is NULL");
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, NULL), SSLCV_ERR_INVALID_ARGUMENT, "out is NULL");
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, -1, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "epoch is -1");
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, -5, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "sample is -5");
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 9, &result), SSLCV_ERR_NOT_FOUND, "view is 9");
    bad = source, bad.dtype = SSLCV_F64;
    FAILS(sslcv_augmenter_apply(augmenter, &bad, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "must be u8, u16");
    bad = source, bad.ndim = 2;
    FAILS(sslcv_augmenter_apply(augmenter, &bad, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "image.ndim is 2");
    bad = source, bad.data = NULL;
    FAILS(sslcv_augmenter_apply(augmenter, &bad, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "image.data");
    bad = source, bad.shape[0] = 17;
    FAILS(sslcv_augmenter_apply(augmenter, &bad, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "17 channels");
    bad = source, bad.shape[1] = 0;
    FAILS(sslcv_augmenter_apply(augmenter, &bad, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "image.shape[1]");
    bad = result, bad.shape[2] = 9;
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &bad), SSLCV_ERR_INVALID_ARGUMENT, "out.shape[2] is 9");
    bad = result, bad.strides[1] = 11;
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &bad), SSLCV_ERR_INVALID_ARGUMENT, "out is not dense");
    memcpy(broken, image, sizeof broken);
    broken[SIZE - 1] = NAN;
    bad = planar(SSLCV_F32, broken, 3, H, W);
    OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
    OK(sslcv_augmenter_add(augmenter, view, &crop));
    FAILS(sslcv_augmenter_apply(augmenter, &bad, 1, 0, 0, 0, &result), SSLCV_ERR_NUMERIC, "not finite");
    broken[SIZE - 1] = 0.0f;
    broken[5] = -INFINITY;
    FAILS(sslcv_augmenter_apply(augmenter, &bad, 1, 0, 0, 0, &result), SSLCV_ERR_NUMERIC, "not finite");
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, view, &result), SSLCV_ERR_INVALID_ARGUMENT,
          "random_crop takes 16 x 8 of an image of 12 x 10 with padding 0");
    ck_assert_int_eq(((uint8_t *)out)[77], 0x55);
    OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &result)); /* an empty chain: the image as f32 */
    ck_assert_mem_eq(out, image, sizeof image);
}
END_TEST

/* ---- out of memory ---- */

static int64_t countdown = -1; /* allocations until one fails; < 0: never */

static void *allocate(void *user, size_t bytes, size_t alignment)
{
    (void)user;
    if (countdown == 0) return NULL;
    if (countdown > 0) countdown--;
    return aligned_alloc(alignment, bytes);
}

static void deallocate(void *user, void *memory, size_t bytes)
{
    (void)user;
    (void)bytes;
    free(memory);
}

static sslcv_status use_everything(sslcv_context *poor, host *h, float *to)
{
    const sslcv_transform_callbacks table = {sizeof table, h, host_apply, host_destroy, 0, 0};
    const sslcv_tensor source = planar(SSLCV_U8, pixels, 3, H, W);
    sslcv_tensor result = planar(SSLCV_F32, to, 3, 8, 8);
    sslcv_transform t = transform(SSLCV_TRANSFORM_CUSTOM);
    sslcv_augmenter *a = NULL;
    sslcv_status status;
    int64_t first, view;

    t.callbacks = &table;
    SSLCV__TRY(sslcv_augmenter_create(poor, &a));
    SSLCV__TRY(sslcv_augmenter_add_preset(a, "simclr", 8, &first, NULL));
    SSLCV__TRY(sslcv_augmenter_add_view(a, first, &view));
    SSLCV__TRY(sslcv_augmenter_add(a, view, &t));
    SSLCV__TRY(sslcv_augmenter_apply(a, &source, 1, 0, 0, view, &result));
end:
    sslcv_augmenter_destroy(a);
    return status;
}

START_TEST(out_of_memory)
{
    const sslcv_allocator allocator = {sizeof allocator, NULL, allocate, deallocate};
    static host h;
    sslcv_context_options options;
    sslcv_context *poor;
    sslcv_status status;
    float to[192], before[192];
    int64_t n;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.allocator = &allocator;
    OK(sslcv_context_create(&options, &poor));
    memset(to, 0x55, sizeof to);
    memcpy(before, to, sizeof before);
    for (n = 0;; n++) {
        countdown = n;
        status = use_everything(poor, &h, to);
        countdown = -1;
        ck_assert_int_eq((int64_t)atomic_load(&poor->bytes), 0);
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
        ck_assert_mem_eq(to, before, sizeof to);
    }
    ck_assert_int_ge(n, 20);
    ck_assert_mem_ne(to, before, sizeof to);
    sslcv_context_destroy(poor);
}
END_TEST

/** Who makes one view at a time: once the augmenter has seen an image of the size, no memory is asked for. */
START_TEST(apply_stops_allocating)
{
    const sslcv_allocator allocator = {sizeof allocator, NULL, allocate, deallocate};
    const sslcv_tensor source = planar(SSLCV_U8, pixels, 3, H, W);
    sslcv_tensor result = planar(SSLCV_F32, out, 3, 8, 8);
    sslcv_context_options options;
    sslcv_context *poor;
    sslcv_augmenter *a;
    int64_t i;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.allocator = &allocator;
    OK(sslcv_context_create(&options, &poor));
    OK(sslcv_augmenter_create(poor, &a));
    OK(sslcv_augmenter_add_preset(a, "simclr", 8, NULL, NULL));
    for (i = 0; i < 400; i++) {
        if (i == 200) countdown = 0;
        OK(sslcv_augmenter_apply(a, &source, 1, 0, i, i % 2, &result));
    }
    countdown = -1;
    sslcv_augmenter_destroy(a);
    ck_assert_int_eq((int64_t)atomic_load(&poor->bytes), 0);
    sslcv_context_destroy(poor);
}
END_TEST

/** A preset that fails half-way leaves no view behind. */
START_TEST(failed_preset_leaves_nothing)
{
    const sslcv_allocator allocator = {sizeof allocator, NULL, allocate, deallocate};
    sslcv_context_options options;
    sslcv_context *poor;
    sslcv_augmenter *a;
    sslcv_status status;
    int64_t n;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.allocator = &allocator;
    OK(sslcv_context_create(&options, &poor));
    OK(sslcv_augmenter_create(poor, &a));
    for (n = 0;; n++) {
        countdown = n;
        status = sslcv_augmenter_add_preset(a, "simclr", 0, NULL, NULL);
        countdown = -1;
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(sslcv__augmenter_num_views(a), 0);
    }
    ck_assert_int_eq(sslcv__augmenter_num_views(a), 2);
    ck_assert_int_ge(n, 8);
    sslcv_augmenter_destroy(a);
    sslcv_context_destroy(poor);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("augment");
    TCase *tests = tcase_create("all");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, resizes_as_torchvision_and_pillow);
    tcase_add_test(tests, resizes_a_row_as_pillow);
    tcase_add_test(tests, resizes_boxes);
    tcase_add_test(tests, resizes_as_defined);
    tcase_add_test(tests, layouts_do_not_matter);
    tcase_add_test(tests, crops_and_flips);
    tcase_add_test(tests, box_fallback);
    tcase_add_test(tests, box_statistics);
    tcase_add_test(tests, random_crop_statistics);
    tcase_add_test(tests, color_operations);
    tcase_add_test(tests, color_of_four_pixels);
    tcase_add_test(tests, hue_keeps_value_and_chroma);
    tcase_add_test(tests, jitter_draws);
    tcase_add_test(tests, jitter_is_its_operations);
    tcase_add_test(tests, contrast_sees_the_whole_image);
    tcase_add_test(tests, probabilities);
    tcase_add_test(tests, blurs);
    tcase_add_test(tests, blurs_as_defined);
    tcase_add_test(tests, blur_keeps_the_mean);
    tcase_add_test(tests, normalizes);
    tcase_add_test(tests, selects_channels);
    tcase_add_test(tests, gray_images);
    tcase_add_test(tests, draws_depend_on_their_key_only);
    tcase_add_test(tests, scratch_stops_growing);
    tcase_add_test(tests, last_transforms);
    tcase_add_test(tests, views_continue);
    tcase_add_test(tests, threads_agree);
    tcase_add_test(tests, presets);
    tcase_add_test(tests, preset_errors);
    tcase_add_test(tests, eval_preset_values);
    tcase_add_test(tests, custom_transforms);
    tcase_add_test(tests, custom_errors);
    tcase_add_test(tests, transform_errors);
    tcase_add_test(tests, augmenter_errors);
    tcase_add_test(tests, apply_errors);
    tcase_add_test(tests, out_of_memory);
    tcase_add_test(tests, apply_stops_allocating);
    tcase_add_test(tests, failed_preset_leaves_nothing);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
