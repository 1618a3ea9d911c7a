/* Resizing, crops and flips: against torchvision, Pillow and the definition. */
#include "augment_support.h"

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
        OK(sslcv_augmenter_add_transform(augmenter, view, &t));
    }
    for (i = 0; i < 2; i++) {
        OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
        t = transform(i ? SSLCV_TRANSFORM_VERTICAL_FLIP : SSLCV_TRANSFORM_HORIZONTAL_FLIP);
        t.probability = 1.0;
        OK(sslcv_augmenter_add_transform(augmenter, view, &t));
    }
    OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
    t = sized(SSLCV_TRANSFORM_RESIZE, 6, 0);
    OK(sslcv_augmenter_add_transform(augmenter, view, &t));
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

int main(void)
{
    Suite *suite = suite_create("augment_geometry");
    TCase *resizing = add_case(suite, "resize");
    TCase *crops = add_case(suite, "crop");

    tcase_add_test(resizing, resizes_as_torchvision_and_pillow);
    tcase_add_test(resizing, resizes_a_row_as_pillow);
    tcase_add_test(resizing, resizes_boxes);
    tcase_add_test(resizing, resizes_as_defined);
    tcase_add_test(resizing, layouts_do_not_matter);
    tcase_add_test(crops, crops_and_flips);
    tcase_add_test(crops, box_fallback);
    tcase_add_test(crops, box_statistics);
    tcase_add_test(crops, random_crop_statistics);
    return run_suite(suite);
}
