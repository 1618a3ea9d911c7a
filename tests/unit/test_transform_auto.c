/* AutoAugment's operations against Pillow, elastic deformation and tone curves against SciPy, and CPC-v2's presets. */
#include "augment_support.h"

/* Values that Pillow moves from place to place, printed with four digits. */
static const double printed = 6e-5;

/* ---- values ---- */

START_TEST(affine)
{
    static const struct {
        const char *name;
        double degrees; /* where the matrix is a rotation's */
        double matrix[6];
    } cases[] = {{"shear_x", 0, {1, 0.27, 0, 0, 1, 0}},
                 {"shear_y", 0, {1, 0, 0, -0.23, 1, 0}},
                 {"translate_x", 0, {1, 0, 3, 0, 1, 0}},
                 {"translate_y", 0, {1, 0, 0, 0, 1, -4}},
                 {"rotate_23", 23, {0}},
                 {"rotate_-30", -30, {0}}};
    char key[64];
    double m[6];
    size_t i;

    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memcpy(m, cases[i].matrix, sizeof m);
        if (m[0] == 0.0) sslcv__rotation(cases[i].degrees, H, W, m);
        sslcv__affine(image, 3, H, W, m, SSLCV_INTERPOLATION_NEAREST, out);
        snprintf(key, sizeof key, "pil_%s_nearest", cases[i].name);
        compare(key, out, SIZE, printed);
        sslcv__affine(image, 3, H, W, m, SSLCV_INTERPOLATION_BILINEAR, out);
        snprintf(key, sizeof key, "pil_%s_bilinear", cases[i].name);
        compare(key, out, SIZE, 1.0 / 255.0 + printed); /* rounded down to bytes */
    }
}
END_TEST

/* Each within the rounding of its one or two steps to bytes. */
START_TEST(tones)
{
    int i;

#define BEGIN memcpy(out, image, sizeof image)
    BEGIN;
    for (i = 0; i < 3; i++) sslcv__stretch(out + i * H * W, H * W);
    compare("pil_autocontrast", out, SIZE, 1.01 / 255.0);
    BEGIN;
    sslcv__invert_above(out, SIZE, 0.0f);
    compare("pil_invert", out, SIZE, printed);
    BEGIN;
    sslcv__invert_above(out, SIZE, 100.0f / 255.0f);
    compare("pil_solarize", out, SIZE, printed);
    BEGIN;
    sslcv__keep_bits(out, SIZE, 5);
    compare("pil_posterize", out, SIZE, printed);
    BEGIN;
    sslcv__adjust_contrast(out, 3, H * W, 1.7f);
    compare("pil_contrast", out, SIZE, bytes_apart);
    BEGIN;
    sslcv__adjust_saturation(out, H * W, 0.3f);
    compare("pil_color", out, SIZE, bytes_apart);
    BEGIN;
    sslcv__adjust_brightness(out, 3, H * W, 1.6f);
    compare("pil_brightness", out, SIZE, 1.01 / 255.0);
    sslcv__sharpen(image, 3, H, W, 1.9f, out);
    compare("pil_sharpness", out, SIZE, bytes_apart);
#undef BEGIN
}
END_TEST

/* A plane of all levels, one of few, one of a single level; and one too small, which stays. */
START_TEST(equalizes)
{
    enum { SIDE = 40, PIXELS = SIDE * SIDE };
    static uint8_t bytes[3 * PIXELS];
    int i;

    make_pixels(6, 3 * PIXELS, bytes);
    for (i = 0; i < 3 * PIXELS; i++) {
        const int level = i < PIXELS ? bytes[i] : i < 2 * PIXELS ? 90 + bytes[i] / 8 : 200;

        out[i] = (float)level / 255.0f;
    }
    for (i = 0; i < 3; i++) sslcv__equalize(out + i * PIXELS, PIXELS);
    compare("pil_equalize", out, 3 * PIXELS, printed);
    memcpy(out, image, sizeof image);
    for (i = 0; i < 3; i++) sslcv__equalize(out + i * H * W, H * W);
    compare("pil_equalize_small", out, SIZE, printed);
    ck_assert_mem_eq(out, image, sizeof image);
    for (i = 0; i < PIXELS; i++) out[i] = i % 2 ? -0.5f : 1.5f; /* the lowest level and, past the end, the highest */
    sslcv__equalize(out, PIXELS);
    for (i = 0; i < PIXELS; i++) ck_assert(out[i] == (i % 2 ? 0.0f : 1.0f));
}
END_TEST

START_TEST(deforms)
{
    float drawn[49];
    double down[49], across[49], none[49] = {0}, one[49];
    int i;

    golden_input(11, 49, drawn);
    for (i = 0; i < 49; i++) down[i] = 2.0 * (double)drawn[i];
    golden_input(12, 49, drawn);
    for (i = 0; i < 49; i++) across[i] = 3.0 * (double)drawn[i];
    sslcv__deform(image, 3, H, W, down, across, out);
    compare("deform", out, SIZE, 1e-5);
    sslcv__deform(image, 3, H, W, none, none, out);
    ck_assert_mem_eq(out, image, sizeof image);
    for (i = 0; i < 49; i++) one[i] = 1.0; /* all control points alike: all pixels */
    sslcv__deform(image, 3, H, W, one, none, out);
    for (i = 0; i < (H - 1) * W; i++) CLOSE(out[i], image[i + W], 1e-6);
    for (i = 0; i < W; i++) CLOSE(out[(H - 1) * W + i], image[(H - 2) * W + i], 1e-6); /* mirrored */
}
END_TEST

START_TEST(curves)
{
    static const double points[5] = {-0.08, 0.31, 0.55, 0.68, 1.09}, straight[5] = {0, 0.25, 0.5, 0.75, 1};
    const float ends[4] = {0.0f, 1.0f, -3.0f, 2.0f};
    double slope, drawn[5], lowest = 1.0, highest = -1.0;
    sslcv__rng rng;
    int i, k;

    memcpy(out, image, sizeof image);
    sslcv__bend(out, SIZE, points);
    compare("curve", out, SIZE, exact);
    memcpy(out, image, sizeof image);
    sslcv__bend(out, SIZE, straight);
    for (i = 0; i < SIZE; i++) CLOSE(out[i], image[i], 1e-6);
    memcpy(out, ends, sizeof ends);
    sslcv__bend(out, 4, points);
    ck_assert(out[0] == 0.0f && out[1] == 1.0f && out[2] == 0.0f && out[3] == 1.0f); /* clipped */
    sslcv__rng_init(&rng, 1, 2, 3);
    for (i = 0; i < 2000; i++) {
        sslcv__draw_curve(&rng, drawn);
        ck_assert(drawn[0] >= -0.1 && drawn[0] < 0.1 && drawn[4] >= 0.9 && drawn[4] < 1.1);
        lowest = fmin(lowest, drawn[0]);
        highest = fmax(highest, drawn[0]);
        for (k = 0; k < 4; k++) {
            slope = 4.0 * (drawn[k + 1] - drawn[k]);
            ck_assert_msg(slope > 0.499999 && slope < 2.000001, "slope %g", slope);
        }
    }
    ck_assert(lowest < -0.099 && highest > 0.099);
}
END_TEST

/* ---- as transforms ---- */

static void restart(void)
{
    sslcv_augmenter_destroy(augmenter);
    OK(sslcv_augmenter_create(context, &augmenter));
    OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, NULL));
}

/* A range of one number is that number. */
START_TEST(fixed_ranges)
{
    static const struct {
        int32_t kind;
        double value;
        const char *name;
    } cases[] = {{SSLCV_TRANSFORM_SHEAR_X, 0.27, "shear_x"},
                 {SSLCV_TRANSFORM_SHEAR_Y, -0.23, "shear_y"},
                 {SSLCV_TRANSFORM_TRANSLATE_X, 0.39, "translate_x"}, /* 3.9 of 10 pixels: 3 */
                 {SSLCV_TRANSFORM_TRANSLATE_Y, -0.34, "translate_y"},
                 {SSLCV_TRANSFORM_ROTATE, 23, "rotate_23"}};
    sslcv_transform t;
    char key[64];
    size_t i;

    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        restart();
        t = transform(cases[i].kind);
        t.min = t.max = cases[i].value;
        t.interpolation = SSLCV_INTERPOLATION_NEAREST;
        add(&t);
        apply(0, 1, 0);
        snprintf(key, sizeof key, "pil_%s_nearest", cases[i].name);
        compare(key, out, SIZE, printed);
    }
}
END_TEST

static int is_shifted(int64_t down, int64_t right)
{
    int64_t c, y, x;

    for (c = 0; c < 3; c++) {
        for (y = 0; y < H; y++) {
            for (x = 0; x < W; x++) {
                const int64_t v = y + down, u = x + right;
                const int is_in = v >= 0 && v < H && u >= 0 && u < W;

                if (out[(c * H + y) * W + x] != (is_in ? image[(c * H + v) * W + u] : 0.0f)) return 0;
            }
        }
    }
    return 1;
}

static void expect_share(const char *what, int64_t count, int64_t draws, double share)
{
    const double found = (double)count / (double)draws, deviation = sqrt(share * (1.0 - share) / (double)draws);

    ck_assert_msg(fabs(found - share) < 4.5 * deviation, "%s: a share of %g, not %g", what, found, share);
}

/* Operations that can be told from their results come as often as one of 14 should, and in their range. */
START_TEST(operations)
{
    enum { DRAWS = 6000 };
    sslcv_transform t = transform(SSLCV_TRANSFORM_AUTOAUGMENT);
    float inverted[SIZE], stretched[SIZE], kept[4][SIZE];
    int64_t sample, k, same = 0, invert = 0, stretch = 0, across = 0, down = 0, posterized = 0, far = 0;

    t.count = 1;
    add(&t);
    memcpy(inverted, image, sizeof image);
    sslcv__invert_above(inverted, SIZE, 0.0f);
    memcpy(stretched, image, sizeof image);
    for (k = 0; k < 3; k++) sslcv__stretch(stretched + k * H * W, H * W);
    for (k = 0; k < 4; k++) {
        memcpy(kept[k], image, sizeof image);
        sslcv__keep_bits(kept[k], SIZE, 4 + k);
    }
    for (sample = 0; sample < DRAWS; sample++) {
        apply(0, 5, sample);
        if (memcmp(out, image, sizeof image) == 0) {
            same++;
            continue;
        }
        invert += memcmp(out, inverted, sizeof image) == 0;
        stretch += memcmp(out, stretched, sizeof image) == 0;
        for (k = 0; k < 4; k++) posterized += memcmp(out, kept[k], sizeof image) == 0;
        for (k = -7; k <= 7; k++) {
            if (k == 0) continue;
            if (is_shifted(0, k)) across++, far += k < -4 || k > 4;
            if (is_shifted(k, 0)) down++, far += k < -5 || k > 5;
        }
    }
    ck_assert_int_eq(far, 0); /* 150/331 of 10 and of 12 pixels */
    expect_share("invert", invert, DRAWS, 1.0 / 14.0);
    expect_share("autocontrast", stretch, DRAWS, 1.0 / 14.0);
    expect_share("posterise", posterized, DRAWS, 0.8 / 14.0);                  /* 4 of 4 .. 8 bits */
    expect_share("translate x", across, DRAWS, (1.0 - 331.0 / 1500.0) / 14.0); /* by less than a pixel: by none */
    expect_share("translate y", down, DRAWS, (1.0 - 331.0 / 1800.0) / 14.0);
    /* Equalise on few pixels 1, 8 bits 0.2, no shift 0.4, shears and turns of less than half a pixel some 0.15 each. */
    ck_assert(same > DRAWS * 1.8 / 14.0 && same < DRAWS * 2.4 / 14.0);
}
END_TEST

/* Two operations are one, and then another on its result; where the second leaves it does not matter. */
START_TEST(chains_of_operations)
{
    const sslcv_transform nothing = transform(SSLCV_TRANSFORM_NORMALIZE),
                          flip = transform(SSLCV_TRANSFORM_VERTICAL_FLIP);
    sslcv_transform t = transform(SSLCV_TRANSFORM_AUTOAUGMENT);
    static float first[64][SIZE];
    int64_t sample, changed = 0;
    int k;

    ck_assert_int_eq(t.count, 2);
    for (k = 0; k < 4; k++) {
        restart();
        t.count = k < 2 ? 2 : 7;
        add(&flip);
        add(&t);
        if (k % 2) add(&nothing);
        for (sample = 0; sample < 64; sample++) {
            memset(out, 0x55, sizeof out);
            apply(0, 9, sample);
            ck_assert_int_eq(((uint8_t *)&out[SIZE])[0], 0x55);
            if (k % 2) ck_assert_mem_eq(out, first[sample], sizeof first[sample]);
            if (k == 2) changed += memcmp(out, first[sample], sizeof first[sample]) != 0;
            memcpy(first[sample], out, sizeof first[sample]);
        }
    }
    ck_assert_int_gt(changed, 60);
}
END_TEST

/* Deformation and curves: drawn for each image, at the end of a chain or within it. */
START_TEST(drawn_shapes)
{
    const int32_t kinds[] = {SSLCV_TRANSFORM_ELASTIC, SSLCV_TRANSFORM_TONE_CURVE, SSLCV_TRANSFORM_ROTATE,
                             SSLCV_TRANSFORM_SHEAR_X, SSLCV_TRANSFORM_EQUALIZE};
    const sslcv_transform nothing = transform(SSLCV_TRANSFORM_NORMALIZE);
    float first[SIZE];
    size_t i;
    int k;

    for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const sslcv_transform t = transform(kinds[i]);

        for (k = 0; k < 2; k++) {
            restart();
            add(&t);
            if (k) add(&nothing);
            apply(0, 1, 3);
            if (k) ck_assert_mem_eq(out, first, sizeof first);
            memcpy(first, out, sizeof first);
        }
        apply(0, 1, 4);
        ck_assert((memcmp(out, first, sizeof first) != 0) == (kinds[i] != SSLCV_TRANSFORM_EQUALIZE));
        for (k = 0; k < SIZE; k++) ck_assert(out[k] >= 0.0f && out[k] <= 1.0f);
    }
}
END_TEST

START_TEST(errors)
{
    const sslcv_tensor two = planar(SSLCV_U8, pixels, 2, H, W);
    sslcv_tensor result = planar(SSLCV_F32, out, 2, H, W);
    sslcv_transform t;

#define WRONG(kind, change, text)                                                                                      \
    t = transform(kind);                                                                                               \
    change;                                                                                                            \
    FAILS(sslcv_augmenter_add_transform(augmenter, 0, &t), SSLCV_ERR_INVALID_ARGUMENT, text)
    WRONG(SSLCV_TRANSFORM_SHEAR_X, t.max = 1001, "shear_x.max is 1001; must be -1000 .. 1000");
    WRONG(SSLCV_TRANSFORM_SHEAR_Y, t.min = .4, "shear_y.min is 0.4; must be -1000 .. 0.3");
    WRONG(SSLCV_TRANSFORM_TRANSLATE_X, t.min = -2, "translate_x.min is -2; must be -1 .. 0.45");
    WRONG(SSLCV_TRANSFORM_TRANSLATE_Y, t.max = NAN, "translate_y.max is nan");
    WRONG(SSLCV_TRANSFORM_ROTATE, t.max = 361, "rotate.max is 361; must be -360 .. 360");
    WRONG(SSLCV_TRANSFORM_ROTATE, t.interpolation = SSLCV_INTERPOLATION_BICUBIC, "rotate.interpolation is BICUBIC");
    WRONG(SSLCV_TRANSFORM_EQUALIZE, t.count = 1, "equalize.count is set, but equalize does not read it");
    WRONG(SSLCV_TRANSFORM_AUTOAUGMENT, t.count = 0, "autoaugment.count is 0; must be 1 .. 16");
    WRONG(SSLCV_TRANSFORM_AUTOAUGMENT, t.max = 1, "autoaugment.max is set");
    WRONG(SSLCV_TRANSFORM_ELASTIC, t.min = .2, "elastic.min is 0.2; must be 0 .. 0.15");
    WRONG(SSLCV_TRANSFORM_ELASTIC, t.max = INFINITY, "elastic.max is inf");
    WRONG(SSLCV_TRANSFORM_TONE_CURVE, t.min = 1, "tone_curve.min is set");
#undef WRONG
    t = transform(SSLCV_TRANSFORM_AUTOAUGMENT);
    add(&t);
    FAILS(sslcv_augmenter_apply(augmenter, &two, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT,
          "autoaugment gets an image of 2 channels; it must have 1 or 3");
}
END_TEST

/* ---- presets ---- */

enum { LARGE = 80, ROOM = 36 * 3 * 20 * 20 };

static uint8_t large[3 * LARGE * LARGE];
static float made[ROOM], expected[ROOM];

static void add_patches(int64_t cells, int64_t side)
{
    sslcv_transform t = sized(SSLCV_TRANSFORM_PATCHES, side, side);

    t.rows = t.columns = cells;
    add(&t);
}

static void add_often(int32_t kind, double probability, int32_t with_previous)
{
    sslcv_transform t = transform(kind);

    t.probability = probability;
    t.with_previous = with_previous;
    add(&t);
}

static void add_normalize(void)
{
    const double mean[3] = {.485, .456, .406}, deviation[3] = {.229, .224, .225};
    sslcv_transform t = transform(SSLCV_TRANSFORM_NORMALIZE);

    memcpy(t.mean, mean, sizeof mean);
    memcpy(t.std, deviation, sizeof deviation);
    t.count = 3;
    add(&t);
}

/* View 0, made by hand, and the preset's, whose draws differ by the view's number alone: so it must be a view 0 too. */
static void check_preset(const char *name, int64_t size, int64_t channels, int64_t cells, int64_t side)
{
    const sslcv_tensor source = planar(SSLCV_U8, large, channels, LARGE, LARGE);
    sslcv_augmenter *preset;
    sslcv_tensor result = {0};
    int64_t sample, count, views;

    OK(sslcv_augmenter_create(context, &preset));
    OK(sslcv_augmenter_add_preset(preset, name, size, NULL, &views));
    ck_assert_int_eq(views, 1);
    for (sample = 0; sample < 6; sample++) {
        result.data = NULL;
        OK(sslcv_augmenter_apply(preset, &source, 3, 1, sample, 0, &result));
        ck_assert(result.shape[0] == cells * cells && result.shape[1] == channels && result.shape[2] == side &&
                  result.shape[3] == side);
        count = cells * cells * channels * side * side;
        result.data = made;
        OK(sslcv_augmenter_apply(preset, &source, 3, 1, sample, 0, &result));
        result.data = expected;
        OK(sslcv_augmenter_apply(augmenter, &source, 3, 1, sample, 0, &result));
        ck_assert_mem_eq(made, expected, (size_t)count * sizeof *made);
    }
    sslcv_augmenter_destroy(preset);
}

static void add_colors(void)
{
    sslcv_transform jitter = transform(SSLCV_TRANSFORM_COLOR_JITTER);

    add_often(SSLCV_TRANSFORM_AUTOAUGMENT, 1, 0);
    add_often(SSLCV_TRANSFORM_ELASTIC, .2, 0);
    add_often(SSLCV_TRANSFORM_SHEAR_X, 1, 1);
    add_often(SSLCV_TRANSFORM_SHEAR_Y, 1, 1);
    add_often(SSLCV_TRANSFORM_TONE_CURVE, .2, 0);
    jitter.brightness = jitter.contrast = jitter.saturation = .5;
    jitter.hue = 0;
    jitter.probability = .8;
    add(&jitter);
    add_often(SSLCV_TRANSFORM_GRAYSCALE, .25, 0);
    add_normalize();
}

START_TEST(presets)
{
    const sslcv_transform fit = sized(SSLCV_TRANSFORM_RESIZE, 75, 75),
                          small_fit = sized(SSLCV_TRANSFORM_RESIZE, 32, 32);
    const sslcv_transform center = sized(SSLCV_TRANSFORM_CENTER_CROP, 30, 30);
    sslcv_transform crop = sized(SSLCV_TRANSFORM_RANDOM_CROP, 65, 65);
    const sslcv_transform flip = transform(SSLCV_TRANSFORM_HORIZONTAL_FLIP);
    int64_t channels;

    make_pixels(8, 3 * LARGE * LARGE, large);
    for (channels = 1; channels <= 3; channels += 2) {
        restart();
        add(&fit);
        add(&crop);
        add(&flip);
        add_patches(6, 20);
        add_colors();
        check_preset("cpc-v2", 65, channels, 6, 20);
    }
    restart();
    crop = sized(SSLCV_TRANSFORM_RANDOM_CROP, 30, 30);
    crop.padding = 2;
    add(&small_fit);
    add(&crop);
    add(&flip);
    add_patches(5, 10);
    add_often(SSLCV_TRANSFORM_AUTOAUGMENT, 1, 0);
    add_often(SSLCV_TRANSFORM_GRAYSCALE, .25, 0);
    add_normalize();
    check_preset("cpc-v2-cifar", 0, 3, 5, 10);
    restart();
    add(&small_fit);
    add(&center);
    add_normalize();
    add_patches(5, 10);
    check_preset("cpc-v2-eval-cifar", 30, 3, 5, 10);
}
END_TEST

START_TEST(preset_sizes)
{
    sslcv_view_info info = {.struct_size = sizeof info};
    int64_t first;

    OK(sslcv_augmenter_add_preset(augmenter, "cpc-v2", 0, &first, NULL));
    OK(sslcv_augmenter_get_view(augmenter, first, &info));
    ck_assert(info.height == 80 && info.width == 80 && info.rows == 6 && info.columns == 6);
    OK(sslcv_augmenter_add_preset(augmenter, "cpc-v2-eval", 0, &first, NULL));
    OK(sslcv_augmenter_get_view(augmenter, first, &info));
    ck_assert(info.height == 80 && info.rows == 6);
    FAILS(sslcv_augmenter_add_preset(augmenter, "cpc-v2", 64, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "patches: 6 rows of height 20 in an image of height 64 lie 44 / 5 pixels apart");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transform_auto");
    TCase *values = add_case(suite, "values");
    TCase *chains = add_case(suite, "chains");

    tcase_add_test(values, affine);
    tcase_add_test(values, tones);
    tcase_add_test(values, equalizes);
    tcase_add_test(values, deforms);
    tcase_add_test(values, curves);
    tcase_add_test(chains, fixed_ranges);
    tcase_add_test(chains, operations);
    tcase_add_test(chains, chains_of_operations);
    tcase_add_test(chains, drawn_shapes);
    tcase_add_test(chains, errors);
    tcase_add_test(chains, presets);
    tcase_add_test(chains, preset_sizes);
    return run_suite(suite);
}
