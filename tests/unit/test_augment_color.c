/* Colour, blur and channels: against torchvision and the definition. */
#include "augment_support.h"

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

/** Four pixels: (12,200,77) (255,0,0) (128,128,128) (0,0,255); float path. */
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

/* ---- blur ---- */

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

/* ---- channels ---- */

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
    FAILS(sslcv_augmenter_add_transform(augmenter, 0, &less), SSLCV_ERR_INVALID_ARGUMENT,
          "grayscale.probability is 0.2");
    less.probability = 1.0;
    add(&less);
    ck_assert_int_eq(apply(0, 1, 0), H * W);
    load_golden("grayscale");
    for (i = 0; i < H * W; i++) CLOSE(out[i], golden[i], exact);
    result = planar(SSLCV_F32, out, 1, H, W);
    FAILS(sslcv_augmenter_apply(augmenter, &two, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "2 channels");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("augment_color");
    TCase *color = add_case(suite, "color");
    TCase *blur = add_case(suite, "blur");
    TCase *channels = add_case(suite, "channels");

    tcase_add_test(color, color_operations);
    tcase_add_test(color, color_of_four_pixels);
    tcase_add_test(color, hue_keeps_value_and_chroma);
    tcase_add_test(color, jitter_draws);
    tcase_add_test(color, jitter_is_its_operations);
    tcase_add_test(color, contrast_sees_the_whole_image);
    tcase_add_test(blur, blurs);
    tcase_add_test(blur, blurs_as_defined);
    tcase_add_test(blur, blur_keeps_the_mean);
    tcase_add_test(channels, normalizes);
    tcase_add_test(channels, selects_channels);
    tcase_add_test(channels, gray_images);
    return run_suite(suite);
}
