/* Turns, tones, windows, colour spaces and gradients: against torchvision and the definitions. */
#include "augment_support.h"

/* Numbers of up to some 200, a and b of Lab as 500 times a difference of floats near 1. */
static const double of_500 = 1e-4;

/* ---- values ---- */

START_TEST(turns)
{
    static const int64_t sides[][2] = {{12, 10}, {1, 7}, {7, 1}, {33, 18}, {40, 40}};
    static uint8_t bytes[40 * 40];
    static float plane[40 * 40], twice[40 * 40];
    char key[64];
    int64_t k, i, y, x;

    for (k = 1; k <= 3; k++) {
        for (i = 0; i < 3; i++) sslcv__turn_plane(image + i * H * W, H, W, k, out + i * H * W);
        snprintf(key, sizeof key, "rotate_%ld", k);
        compare(key, out, SIZE, 1e-7);
        ck_assert(golden_shape[1] == (k == 2 ? H : W) && golden_shape[2] == (k == 2 ? W : H));
    }
    make_pixels(3, 40 * 40, bytes);
    for (i = 0; i < 40 * 40; i++) plane[i] = bytes[i];
    for (i = 0; i < 5; i++) {
        const int64_t h = sides[i][0], w = sides[i][1];

        sslcv__turn_plane(plane, h, w, 1, out);
        for (y = 0; y < w; y++) {
            for (x = 0; x < h; x++) ck_assert_float_eq(out[y * h + x], plane[x * w + w - 1 - y]);
        }
        sslcv__turn_plane(out, w, h, 3, twice); /* and back */
        ck_assert_mem_eq(twice, plane, (size_t)(h * w) * sizeof *twice);
        sslcv__turn_plane(out, w, h, 1, twice);
        sslcv__turn_plane(plane, h, w, 2, out);
        ck_assert_mem_eq(twice, out, (size_t)(h * w) * sizeof *twice);
    }
}
END_TEST

START_TEST(tones)
{
    static const int bits[] = {1, 3, 4, 7, 8};
    char key[64];
    int i, b;

    for (i = 0; i < 5; i++) {
        memcpy(out, image, sizeof image);
        sslcv__keep_bits(out, SIZE, bits[i]);
        snprintf(key, sizeof key, "posterize_%d", bits[i]);
        compare(key, out, SIZE, 1e-7);
    }
    for (b = 1; b <= 8; b++) { /* every byte */
        for (i = 0; i < 256; i++) out[i] = (float)i / 255.0f;
        out[256] = -0.5f, out[257] = 1.5f;
        sslcv__keep_bits(out, 258, b);
        for (i = 0; i < 256; i++) ck_assert_float_eq(out[i], (float)(i >> (8 - b) << (8 - b)) / 255.0f);
        ck_assert_float_eq(out[256], 0.0f);
        ck_assert_float_eq(out[257], out[255]);
    }
    for (i = 0; i < SIZE; i++) out[i] = i / (H * W) == 1 ? 0.7f : 0.2f + image[i] / 3.0f;
    for (i = 0; i < 3; i++) sslcv__stretch(out + i * H * W, H * W);
    compare("autocontrast", out, SIZE, exact);
    out[0] = 0.25f;
    sslcv__stretch(out, 1); /* one value: nothing to stretch */
    ck_assert_float_eq(out[0], 0.25f);
}
END_TEST

START_TEST(sharpness)
{
    static const double factors[] = {0, 0.1, 1.9};
    float line[2 * 5] = {0.1f, 0.9f, 0.3f, 0.7f, 0.2f, 0.8f, 0.4f, 0.6f, 0.5f, 0.0f}, same[10];
    char key[64];
    int i;

    for (i = 0; i < 3; i++) {
        sslcv__sharpen(image, 3, H, W, (float)factors[i], out);
        snprintf(key, sizeof key, "sharpness_%g", factors[i]);
        compare(key, out, SIZE, exact);
    }
    sslcv__sharpen(line, 1, 2, 5, 0.0f, same); /* all edge */
    ck_assert_mem_eq(line, same, sizeof line);
    sslcv__sharpen(line, 1, 5, 2, 0.0f, same);
    ck_assert_mem_eq(line, same, sizeof line);
    sslcv__sharpen(line, 1, 5, 1, 0.0f, same);
    ck_assert_mem_eq(line, same, 5 * sizeof *line);
}
END_TEST

START_TEST(color_spaces)
{
    static const char *const names[] = {"lab", "ydbdr", "ycbcr"};
    int i;

    for (i = 0; i < 3; i++) {
        memcpy(out, image, sizeof image);
        sslcv__convert_color(out, H * W, SSLCV_COLOR_LAB + i);
        compare(names[i], out, SIZE, of_500);
    }
}
END_TEST

/** Colours whose numbers are known (scikit-image). */
START_TEST(known_colors)
{
    /* red, (12, 200, 77), grey, white */
    static const int bytes[3][4] = {{255, 12, 128, 255}, {0, 200, 128, 255}, {0, 77, 128, 255}};
    static const double lab[4][3] = {{53.24059, 80.09231, 67.20275},
                                     {70.81574, -66.54354, 48.87318},
                                     {53.58501, -.00147, .00279},
                                     {100, -.00245, .00465}};
    static const double ydbdr[2][3] = {{.299, -.45, -1.333}, {.508886, -.311212, .878090}};
    static const double ycbcr[3] = {127.4461, 101.8425, 54.2130};
    float start[12], p[12];
    int i, c;

    for (i = 0; i < 12; i++) start[i] = (float)bytes[i / 4][i % 4] / 255.0f;
    memcpy(p, start, sizeof p);
    sslcv__convert_color(p, 4, SSLCV_COLOR_LAB);
    for (i = 0; i < 4; i++) {
        for (c = 0; c < 3; c++) CLOSE(p[4 * c + i], lab[i][c], of_500);
    }
    memcpy(p, start, sizeof p);
    sslcv__convert_color(p, 4, SSLCV_COLOR_YDBDR);
    for (c = 0; c < 3; c++) {
        CLOSE(p[4 * c], ydbdr[0][c], 1e-6);
        CLOSE(p[4 * c + 1], ydbdr[1][c], 1e-6);
    }
    memcpy(p, start, sizeof p);
    sslcv__convert_color(p, 4, SSLCV_COLOR_YCBCR);
    for (c = 0; c < 3; c++) CLOSE(p[4 * c + 1], ycbcr[c], 1e-6);
}
END_TEST

/** Greys have no colour, and get lighter; the roots are as good as the library's, over the whole range. */
START_TEST(greys_and_roots)
{
    enum { N = 4096 };
    float *p = out;
    double last = -1.0;
    int i, c;

    for (i = 0; i < 3 * N; i++) p[i] = (float)(i % N) / (N - 1);
    sslcv__convert_color(p, N, SSLCV_COLOR_LAB);
    for (i = 0; i < N; i++) {
        const double v = (double)i / (N - 1);
        const double y = v > 0.04045 ? pow((v + 0.055) / 1.055, 2.4) : v / 12.92;
        const double lightness = 116.0 * (y > 0.008856 ? cbrt(y) : 7.787 * y + 16.0 / 116.0) - 16.0;

        ck_assert_msg(fabs((double)p[i] - lightness) < 3e-5, "L of %g is %.8g, not %.8g", v, (double)p[i], lightness);
        ck_assert((double)p[i] > last);
        ck_assert(fabsf(p[N + i]) < 0.005f && fabsf(p[2 * N + i]) < 0.005f);
        last = (double)p[i];
    }
    ck_assert_float_eq_tol(p[0], 0.0f, 1e-6f);
    ck_assert_float_eq_tol(p[N - 1], 100.0f, 3e-5f);
    for (i = 0; i < 3 * N; i++) p[i] = (float)(i % N) / (N - 1);
    sslcv__convert_color(p, N, SSLCV_COLOR_YDBDR);
    for (c = 1; c < 3; c++) {
        for (i = 0; i < N; i++) ck_assert(fabsf(p[c * N + i]) < 1e-6f);
    }
}
END_TEST

START_TEST(gradients)
{
    sslcv_transform t = transform(SSLCV_TRANSFORM_SOBEL);

    add(&t);
    ck_assert_int_eq(apply(0, 1, 0), 2 * H * W);
    compare("sobel", out, 2 * H * W, exact);
}
END_TEST

/* ---- as transforms ---- */

/** What a chain of one transform makes of the golden picture is what its function makes. */
START_TEST(turned_images)
{
    sslcv_transform t = transform(SSLCV_TRANSFORM_ROTATE90);
    const sslcv_tensor source = planar(SSLCV_U8, pixels, 3, H, W), square = planar(SSLCV_U8, pixels, 3, W, W);
    sslcv_tensor result = planar(SSLCV_F32, out, 3, W, H);
    int64_t i, k, counts[4] = {0};
    float turned[4][3 * W * W];

    t.min = t.max = 3; /* always: the sides change places */
    add(&t);
    OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &result));
    compare("rotate_3", out, SIZE, 1e-7);
    sslcv_augmenter_destroy(augmenter);
    OK(sslcv_augmenter_create(context, &augmenter));
    OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, NULL));
    t = transform(SSLCV_TRANSFORM_ROTATE90);
    add(&t);
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT,
          "rotate90 gets an image of 12 x 10; it must be square");
    for (i = 0; i < 3 * W * W; i++) turned[0][i] = (float)pixels[i] / 255.0f;
    for (k = 1; k < 4; k++) {
        for (i = 0; i < 3; i++) sslcv__turn_plane(turned[0] + i * W * W, W, W, k, turned[k] + i * W * W);
    }
    result = planar(SSLCV_F32, out, 3, W, W);
    for (i = 0; i < 4000; i++) {
        OK(sslcv_augmenter_apply(augmenter, &square, 5, 0, i, 0, &result));
        k = 0;
        while (k < 4 && memcmp(out, turned[k], sizeof turned[k]) != 0) k++;
        ck_assert_int_lt(k, 4);
        counts[k]++;
    }
    for (i = 0; i < 4; i++) ck_assert_int_lt(labs(counts[i] - 1000), 130); /* deviation 27 */
}
END_TEST

START_TEST(windows)
{
    sslcv_transform t = sized(SSLCV_TRANSFORM_RANDOM_WINDOW, 5, 7);
    int64_t sample, tops = 0, lefts = 0, c, y, x;

    add(&t);
    for (sample = 0; sample < 200; sample++) {
        int64_t top = H, bottom = 0, left = W, right = 0;

        ck_assert_int_eq(apply(0, 3, sample), SIZE);
        for (c = 0; c < 3; c++) {
            for (y = 0; y < H; y++) {
                for (x = 0; x < W; x++) {
                    if (out[(c * H + y) * W + x] == 0.0f) continue;
                    ck_assert_float_eq(out[(c * H + y) * W + x], image[(c * H + y) * W + x]);
                    top = y < top ? y : top, bottom = y > bottom ? y : bottom;
                    left = x < left ? x : left, right = x > right ? x : right;
                }
            }
        }
        ck_assert(bottom - top == 4 && right - left == 6); /* no zeros by chance in the picture's windows */
        tops |= 1 << top, lefts |= 1 << left;
    }
    ck_assert_int_eq(tops, (1 << 8) - 1); /* 0 .. 7 */
    ck_assert_int_eq(lefts, (1 << 4) - 1);
}
END_TEST

START_TEST(dropped_channels)
{
    const sslcv_transform t = transform(SSLCV_TRANSFORM_DROP_CHANNELS);
    int64_t sample, counts[3] = {0};
    int c;

    add(&t);
    for (sample = 0; sample < 3000; sample++) {
        ck_assert_int_eq(apply(0, 3, sample), SIZE);
        for (c = 0; memcmp(out, image + c * H * W, H * W * sizeof *out) != 0; c++) ck_assert_int_lt(c, 2);
        ck_assert_mem_eq(out + H * W, out, H * W * sizeof *out);
        ck_assert_mem_eq(out + 2 * H * W, out, H * W * sizeof *out);
        counts[c]++;
    }
    for (c = 0; c < 3; c++) ck_assert_int_lt(labs(counts[c] - 1000), 120); /* deviation 26 */
}
END_TEST

/** Bits are whole numbers of the range, each as often; a factor is anything within. */
START_TEST(drawn_numbers)
{
    sslcv_transform t = transform(SSLCV_TRANSFORM_POSTERIZE);
    static float expected[9][SIZE];
    int64_t sample, counts[9] = {0};
    int b;

    add(&t);
    for (b = 1; b <= 8; b++) {
        memcpy(expected[b], image, sizeof image);
        sslcv__keep_bits(expected[b], SIZE, b);
    }
    for (sample = 0; sample < 4000; sample++) {
        apply(0, 3, sample);
        for (b = 1; memcmp(out, expected[b], sizeof image) != 0; b++) ck_assert_int_lt(b, 8);
        counts[b]++;
    }
    for (b = 1; b <= 8; b++) {
        if (b < 4 || b > 7)
            ck_assert_int_eq(counts[b], 0);
        else
            ck_assert_int_lt(labs(counts[b] - 1000), 130);
    }
}
END_TEST

/** One coin for a group: the transforms of it are made all, or none. */
START_TEST(groups)
{
    enum { DRAWS = 4000 };
    sslcv_transform flip = transform(SSLCV_TRANSFORM_HORIZONTAL_FLIP), over = transform(SSLCV_TRANSFORM_VERTICAL_FLIP);
    sslcv_transform solarize = transform(SSLCV_TRANSFORM_SOLARIZE);
    float all[SIZE];
    int64_t sample, made = 0;
    int i;

    flip.probability = 0.66;
    over.with_previous = solarize.with_previous = 1;
    FAILS(sslcv_augmenter_add_transform(augmenter, 0, &over), SSLCV_ERR_INVALID_ARGUMENT,
          "vertical_flip.with_previous is 1");
    solarize.min = solarize.max = 0.0; /* 1 - v everywhere */
    over.probability = 0.0;            /* not drawn */
    add(&flip);
    add(&over);
    add(&solarize);
    for (i = 0; i < SIZE; i++) all[i] = 1.0f - image[i / (H * W) * H * W + H * W - 1 - i % (H * W)];
    for (sample = 0; sample < DRAWS; sample++) {
        apply(0, 3, sample);
        if (memcmp(out, image, sizeof image) == 0) continue;
        ck_assert_mem_eq(out, all, sizeof all);
        made++;
    }
    CLOSE((double)made / DRAWS, 0.66, 4.5 * sqrt(0.66 * 0.34 / DRAWS));
}
END_TEST

/** A transform at the end of a chain writes where the view is wanted: the same values as when another follows. */
START_TEST(last_transforms)
{
    const int32_t kinds[] = {SSLCV_TRANSFORM_ROTATE90,      SSLCV_TRANSFORM_POSTERIZE,    SSLCV_TRANSFORM_SHARPNESS,
                             SSLCV_TRANSFORM_AUTOCONTRAST,  SSLCV_TRANSFORM_SOBEL,        SSLCV_TRANSFORM_RANDOM_WINDOW,
                             SSLCV_TRANSFORM_CONVERT_COLOR, SSLCV_TRANSFORM_DROP_CHANNELS};
    const sslcv_transform nothing = transform(SSLCV_TRANSFORM_NORMALIZE),
                          flip = transform(SSLCV_TRANSFORM_VERTICAL_FLIP);
    const sslcv_transform crop = sized(SSLCV_TRANSFORM_CENTER_CROP, 8, 8);
    float alone[SIZE];
    int64_t sample;
    size_t i;
    int k;

    for (i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        sslcv_transform t = transform(kinds[i]);

        if (kinds[i] == SSLCV_TRANSFORM_RANDOM_WINDOW) t.height = t.width = 3;
        if (kinds[i] == SSLCV_TRANSFORM_CONVERT_COLOR) t.color_space = SSLCV_COLOR_LAB;
        for (sample = 0; sample < 8; sample++) {
            const int is_cropped = sample < 4 || kinds[i] == SSLCV_TRANSFORM_ROTATE90;
            const int64_t channels = kinds[i] == SSLCV_TRANSFORM_SOBEL ? 2 : 3;
            const sslcv_tensor source = planar(SSLCV_U8, pixels, channels, H, W);
            sslcv_tensor result = {0};
            int64_t count = 0;

            for (k = 0; k < 2; k++) {
                sslcv_augmenter_destroy(augmenter);
                OK(sslcv_augmenter_create(context, &augmenter));
                OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, NULL));
                if (is_cropped) add(&crop);
                if (sample % 2) add(&flip);
                add(&t);
                if (k) add(&nothing);
                memset(out, 0x55, sizeof out);
                result.data = NULL;
                OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, sample, 0, &result));
                result.data = out;
                OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, sample, 0, &result));
                count = channels * (is_cropped ? 64 : H * W);
                ck_assert_int_eq(result.shape[0] * result.shape[1] * result.shape[2], count);
                ck_assert_int_eq(((uint8_t *)&out[count])[0], 0x55);
                if (k == 0) memcpy(alone, out, (size_t)count * sizeof *alone);
            }
            ck_assert_mem_eq(alone, out, (size_t)count * sizeof *alone);
        }
    }
}
END_TEST

/* ---- wrong use ---- */

START_TEST(errors)
{
    const sslcv_tensor two = planar(SSLCV_U8, pixels, 2, H, W);
    sslcv_tensor result = planar(SSLCV_F32, out, 3, H, W);
    sslcv_transform t;

#define WRONG(kind, change, text)                                                                                      \
    t = transform(kind);                                                                                               \
    change;                                                                                                            \
    FAILS(sslcv_augmenter_add_transform(augmenter, 0, &t), SSLCV_ERR_INVALID_ARGUMENT, text)
    WRONG(SSLCV_TRANSFORM_ROTATE90, t.max = 4, "rotate90.max is 4; must be 0 .. 3");
    WRONG(SSLCV_TRANSFORM_ROTATE90, t.min = .5, "rotate90.min is 0.5; must be a whole number");
    WRONG(SSLCV_TRANSFORM_ROTATE90, t.min = NAN, "rotate90.min is nan");
    WRONG(SSLCV_TRANSFORM_POSTERIZE, t.min = 0, "posterize.min is 0; must be 1 .. 7");
    WRONG(SSLCV_TRANSFORM_POSTERIZE, t.max = 6.5, "posterize.max is 6.5; must be a whole number");
    WRONG(SSLCV_TRANSFORM_POSTERIZE, t.max = 9, "posterize.max is 9; must be 1 .. 8");
    WRONG(SSLCV_TRANSFORM_SHARPNESS, t.min = -1, "sharpness.min is -1; must be 0 .. 1.9");
    WRONG(SSLCV_TRANSFORM_SHARPNESS, t.max = INFINITY, "sharpness.max is inf");
    WRONG(SSLCV_TRANSFORM_AUTOCONTRAST, t.max = 1, "autocontrast.max is set, but autocontrast does not read it");
    WRONG(SSLCV_TRANSFORM_RANDOM_WINDOW, (void)0, "random_window.height is 0; must be 1 .. 65536");
    WRONG(SSLCV_TRANSFORM_CONVERT_COLOR, (void)0, "convert_color.color_space is 0; must be 1 .. 3");
    WRONG(SSLCV_TRANSFORM_CONVERT_COLOR, t.probability = .5, "convert_color.probability is set");
    WRONG(SSLCV_TRANSFORM_CONVERT_COLOR, t.with_previous = 1, "convert_color.with_previous is set");
    WRONG(SSLCV_TRANSFORM_AUTOCONTRAST, t.with_previous = 2, "autocontrast.with_previous is 2; must be 0 .. 1");
    WRONG(SSLCV_TRANSFORM_AUTOCONTRAST, t.color_space = 1, "autocontrast.color_space is set");
    WRONG(SSLCV_TRANSFORM_SOBEL, t.count = 2, "sobel.count is set");
    WRONG(SSLCV_TRANSFORM_GRAYSCALE, (t.probability = 1, t.count = 1, t.with_previous = 1),
          "grayscale.probability is 1 and with_previous 1");
#undef WRONG
    t = transform(SSLCV_TRANSFORM_CONVERT_COLOR);
    t.color_space = SSLCV_COLOR_YDBDR;
    add(&t);
    FAILS(sslcv_augmenter_apply(augmenter, &two, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT,
          "convert_color gets an image of 2 channels; it must have 3");
    sslcv_augmenter_destroy(augmenter);
    OK(sslcv_augmenter_create(context, &augmenter));
    OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, NULL));
    t = sized(SSLCV_TRANSFORM_RANDOM_WINDOW, 5, 11);
    add(&t);
    FAILS(sslcv_augmenter_apply(augmenter, &two, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT,
          "random_window keeps 5 x 11 of an image of 12 x 10");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transform_values");
    TCase *values = add_case(suite, "values");
    TCase *chains = add_case(suite, "chains");

    tcase_add_test(values, turns);
    tcase_add_test(values, tones);
    tcase_add_test(values, sharpness);
    tcase_add_test(values, color_spaces);
    tcase_add_test(values, known_colors);
    tcase_add_test(values, greys_and_roots);
    tcase_add_test(values, gradients);
    tcase_add_test(chains, turned_images);
    tcase_add_test(chains, windows);
    tcase_add_test(chains, dropped_channels);
    tcase_add_test(chains, drawn_numbers);
    tcase_add_test(chains, groups);
    tcase_add_test(chains, last_transforms);
    tcase_add_test(chains, errors);
    return run_suite(suite);
}
