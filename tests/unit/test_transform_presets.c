/* Published presets: how many views, of what shape, and bit by bit the chains of the papers built by hand. */
#include "augment_support.h"

enum { SIDE = 48, ROOM = 49 * 3 * 12 * 12 };

static uint8_t big[3 * SIDE * SIDE];
static float expected[ROOM], made[ROOM];

/* ---- shapes ---- */

typedef struct row {
    const char *name;
    int64_t size, views, small; /* small: side of view 2 and later, 0: as the others */
    int64_t grid, patch;        /* of the last view */
    int64_t smaller;            /* side of a patch, or of small views, at size 48 */
} row;

static const row rows[] = {{"simclr", 224, 2, 0, 1, 0, 0},
                           {"simclr-cifar", 32, 2, 0, 1, 0, 0},
                           {"moco-v1", 224, 2, 0, 1, 0, 0},
                           {"moco-v2", 224, 2, 0, 1, 0, 0},
                           {"moco-cifar", 32, 2, 0, 1, 0, 0},
                           {"swav", 224, 8, 96, 1, 0, 21},
                           {"swav-cifar", 32, 2, 0, 1, 0, 0},
                           {"byol", 224, 2, 0, 1, 0, 0},
                           {"byol-cifar", 32, 2, 0, 1, 0, 0},
                           {"simsiam", 224, 2, 0, 1, 0, 0},
                           {"simsiam-cifar", 32, 2, 0, 1, 0, 0},
                           {"barlow", 224, 2, 0, 1, 0, 0},
                           {"barlow-cifar", 32, 2, 0, 1, 0, 0},
                           {"vicreg", 224, 2, 0, 1, 0, 0},
                           {"vicreg-cifar", 32, 2, 0, 1, 0, 0},
                           {"dino", 224, 10, 96, 1, 0, 21},
                           {"dino-cifar", 32, 2, 0, 1, 0, 0},
                           {"pirl-jigsaw", 224, 2, 0, 3, 64, 14},
                           {"pirl-rotation", 224, 2, 0, 1, 0, 0},
                           {"pirl-jigsaw-blur", 224, 2, 0, 3, 64, 14},
                           {"pirl-rotation-blur", 224, 2, 0, 1, 0, 0},
                           {"pirl-cifar", 32, 2, 0, 3, 10, 15},
                           {"pirl-rotation-cifar", 32, 2, 0, 1, 0, 0},
                           {"cmc", 224, 3, 0, 1, 0, 0},
                           {"cmc-cifar", 32, 3, 0, 1, 0, 0},
                           {"cpc", 256, 1, 0, 7, 64, 12},
                           {"cpc-cifar", 32, 1, 0, 7, 8, 12},
                           {"deepcluster", 224, 1, 0, 1, 0, 0},
                           {"deepcluster-cifar", 32, 1, 0, 1, 0, 0},
                           {"deepcluster-v2", 224, 8, 96, 1, 0, 21},
                           {"deepcluster-v2-cifar", 32, 2, 0, 1, 0, 0},
                           {"finetune", 224, 1, 0, 1, 0, 0},
                           {"finetune-cifar", 32, 1, 0, 1, 0, 0},
                           {"eval", 224, 1, 0, 1, 0, 0},
                           {"eval-cifar", 32, 1, 0, 1, 0, 0},
                           {"cmc-eval", 224, 3, 0, 1, 0, 0},
                           {"cmc-eval-cifar", 32, 3, 0, 1, 0, 0},
                           {"cpc-eval", 256, 1, 0, 7, 64, 12},
                           {"cpc-eval-cifar", 32, 1, 0, 7, 8, 12}};

static void check_view(const row *r, int64_t view, int64_t first, int64_t size, int64_t patch, int64_t small)
{
    sslcv_view_info info = {.struct_size = sizeof info};
    const int is_last = view == first + r->views - 1, is_small = r->small && view >= first + 2;
    const int64_t side = r->grid > 1 && is_last ? patch : is_small ? small : size;

    OK(sslcv_augmenter_get_view(augmenter, view, &info));
    ck_assert_msg(info.height == side && info.width == side, "%s: view %ld is %ld x %ld, not %ld", r->name,
                  view - first, info.height, info.width, side);
    ck_assert(info.rows == (is_last ? r->grid : 1) && info.columns == info.rows);
}

/** Every preset, as published and smaller, and on a picture, of one channel too where that makes sense. */
START_TEST(shapes)
{
    const sslcv_tensor color = planar(SSLCV_U8, big, 3, SIDE, SIDE), gray = planar(SSLCV_U8, big, 1, SIDE, SIDE);
    int64_t first, count, view, next = 1;
    size_t i;

    make_pixels(9, 3 * SIDE * SIDE, big);
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        const row *r = &rows[i];

        OK(sslcv_augmenter_add_preset(augmenter, r->name, 0, &first, &count));
        ck_assert(first == next && count == r->views);
        for (view = first; view < first + count; view++) check_view(r, view, first, r->size, r->patch, r->small);
        OK(sslcv_augmenter_add_preset(augmenter, r->name, 48, &first, &count));
        ck_assert(first == next + count && count == r->views);
        for (view = first; view < first + count; view++) check_view(r, view, first, 48, r->smaller, r->smaller);
        next += 2 * count;
    }
    next = 1;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        const row *r = &rows[i];
        const int is_lab = strncmp(r->name, "cmc", 3) == 0;

        for (view = next + r->views; view < next + 2 * r->views; view++) {
            sslcv_tensor result = {0};

            OK(sslcv_augmenter_apply(augmenter, &color, 1, 0, 0, view, &result));
            result.data = made;
            OK(sslcv_augmenter_apply(augmenter, &color, 1, 0, 0, view, &result));
            result.data = NULL;
            if (is_lab) {
                FAILS(sslcv_augmenter_apply(augmenter, &gray, 1, 0, 0, view, &result), SSLCV_ERR_INVALID_ARGUMENT,
                      "convert_color gets an image of 1 channels");
                continue;
            }
            OK(sslcv_augmenter_apply(augmenter, &gray, 1, 0, 0, view, &result));
            result.data = made;
            OK(sslcv_augmenter_apply(augmenter, &gray, 1, 0, 0, view, &result));
        }
        next += 2 * r->views;
    }
}
END_TEST

START_TEST(unfit_size)
{
    int64_t first = 77;

    OK(sslcv_augmenter_add_preset(augmenter, "dino", 1, NULL, NULL)); /* nothing becomes 0 pixels wide */
    OK(sslcv_augmenter_add_preset(augmenter, "pirl-jigsaw", 1, NULL, NULL));
    OK(sslcv_augmenter_add_preset(augmenter, "cpc-cifar", 8, NULL, NULL));
    sslcv_augmenter_destroy(augmenter);
    OK(sslcv_augmenter_create(context, &augmenter));
    FAILS(sslcv_augmenter_add_preset(augmenter, "cpc", 57344, &first, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "resize.height is 67200");
    FAILS(sslcv_augmenter_add_preset(augmenter, "cpc", 100, &first, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "patches: 7 rows of height 25 in an image of height 100 lie 75 / 6 pixels apart");
    ck_assert_int_eq(first, 77);
    ck_assert_int_eq(sslcv__augmenter_num_views(augmenter), 0);
}
END_TEST

/* ---- chains ---- */

static sslcv_augmenter *hand;
static int64_t hand_view;

static void view_from(int64_t source)
{
    OK(sslcv_augmenter_add_view(hand, source, &hand_view));
}

static void step(const sslcv_transform *t)
{
    OK(sslcv_augmenter_add_transform(hand, hand_view, t));
}

static void crop(int64_t size, double min, double max, int32_t interpolation)
{
    sslcv_transform t = sized(SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, size, size);

    t.min = min;
    t.max = max;
    t.interpolation = interpolation;
    step(&t);
}

static void often(int32_t kind, double probability)
{
    sslcv_transform t = transform(kind);

    t.probability = probability;
    step(&t);
}

static void jitter(double b, double c, double s, double h, double probability)
{
    sslcv_transform t = transform(SSLCV_TRANSFORM_COLOR_JITTER);

    t.brightness = b;
    t.contrast = c;
    t.saturation = s;
    t.hue = h;
    t.probability = probability;
    step(&t);
}

static void flip(void)
{
    often(SSLCV_TRANSFORM_HORIZONTAL_FLIP, .5);
}

static void normalize(double red_deviation)
{
    const double mean[3] = {.485, .456, .406}, deviation[3] = {red_deviation, .224, .225};
    sslcv_transform t = transform(SSLCV_TRANSFORM_NORMALIZE);

    memcpy(t.mean, mean, sizeof mean);
    memcpy(t.std, deviation, sizeof deviation);
    t.count = 3;
    step(&t);
}

static void patches(int64_t cells, int64_t side, int32_t placement, int32_t shuffle)
{
    sslcv_transform t = sized(SSLCV_TRANSFORM_PATCHES, side, side);

    t.rows = t.columns = cells;
    t.placement = placement;
    t.shuffle = shuffle;
    step(&t);
}

/** The views of a preset are those of hand, bit by bit, on a few samples; then hand is empty again. */
static void same(const char *preset)
{
    const sslcv_tensor source = planar(SSLCV_U8, big, 3, SIDE, SIDE);
    sslcv_augmenter *ready;
    int64_t count, view, sample;

    OK(sslcv_augmenter_create(context, &ready));
    OK(sslcv_augmenter_add_preset(ready, preset, SIDE, NULL, &count));
    ck_assert_int_eq(count, sslcv__augmenter_num_views(hand));
    for (view = 0; view < count; view++) {
        for (sample = 0; sample < 24; sample++) {
            sslcv_tensor a = {0}, b = {0};
            int64_t values = 1, i;

            OK(sslcv_augmenter_apply(hand, &source, 2, 0, sample, view, &a));
            OK(sslcv_augmenter_apply(ready, &source, 2, 0, sample, view, &b));
            ck_assert_int_eq(a.ndim, b.ndim);
            for (i = 0; i < a.ndim; i++) {
                ck_assert_int_eq(a.shape[i], b.shape[i]);
                values *= a.shape[i];
            }
            ck_assert_int_le(values, ROOM);
            a.data = expected;
            b.data = made;
            OK(sslcv_augmenter_apply(hand, &source, 2, 0, sample, view, &a));
            OK(sslcv_augmenter_apply(ready, &source, 2, 0, sample, view, &b));
            ck_assert_msg(memcmp(expected, made, (size_t)values * sizeof *made) == 0, "%s: view %ld, sample %ld",
                          preset, view, sample);
        }
    }
    sslcv_augmenter_destroy(ready);
    sslcv_augmenter_destroy(hand);
    hand = NULL;
}

static void begin(void)
{
    make_pixels(9, 3 * SIDE * SIDE, big);
    OK(sslcv_augmenter_create(context, &hand));
}

START_TEST(contrastive)
{
    int i;

    begin();
    for (i = 0; i < 2; i++) {
        view_from(SSLCV_SOURCE_IMAGE);
        crop(SIDE, .2, 1, SSLCV_INTERPOLATION_BILINEAR);
        often(SSLCV_TRANSFORM_GRAYSCALE, .2);
        jitter(.4, .4, .4, .4, 1);
        flip();
        normalize(.229);
    }
    same("moco-v1");
    begin();
    for (i = 0; i < 2; i++) {
        view_from(SSLCV_SOURCE_IMAGE);
        crop(SIDE, .2, 1, SSLCV_INTERPOLATION_BILINEAR);
        jitter(.4, .4, .4, .1, .8);
        often(SSLCV_TRANSFORM_GRAYSCALE, .2);
        often(SSLCV_TRANSFORM_GAUSSIAN_BLUR, .5);
        flip();
        normalize(.229);
    }
    same("moco-v2");
    begin();
    for (i = 0; i < 2; i++) {
        view_from(SSLCV_SOURCE_IMAGE);
        crop(SIDE, .2, 1, SSLCV_INTERPOLATION_BILINEAR);
        flip();
        jitter(.4, .4, .4, .1, .8);
        often(SSLCV_TRANSFORM_GRAYSCALE, .2);
        normalize(.229);
    }
    same("simsiam-cifar");
}
END_TEST

START_TEST(multi_crop)
{
    int i;

    begin();
    for (i = 0; i < 8; i++) {
        view_from(SSLCV_SOURCE_IMAGE);
        crop(i < 2 ? SIDE : 21, i < 2 ? .14 : .05, i < 2 ? 1 : .14, SSLCV_INTERPOLATION_BILINEAR);
        flip();
        jitter(.8, .8, .8, .2, .8);
        often(SSLCV_TRANSFORM_GRAYSCALE, .2);
        often(SSLCV_TRANSFORM_GAUSSIAN_BLUR, .5);
        normalize(.228);
    }
    same("swav");
    begin();
    for (i = 0; i < 10; i++) {
        view_from(SSLCV_SOURCE_IMAGE);
        crop(i < 2 ? SIDE : 21, i < 2 ? .4 : .05, i < 2 ? 1 : .4, SSLCV_INTERPOLATION_BICUBIC);
        flip();
        jitter(.4, .4, .2, .1, .8);
        often(SSLCV_TRANSFORM_GRAYSCALE, .2);
        often(SSLCV_TRANSFORM_GAUSSIAN_BLUR, i == 0 ? 1 : i == 1 ? .1 : .5);
        if (i == 1) often(SSLCV_TRANSFORM_SOLARIZE, .2);
        normalize(.229);
    }
    same("dino");
}
END_TEST

START_TEST(two_different_views)
{
    int i;

    begin();
    for (i = 0; i < 2; i++) {
        view_from(SSLCV_SOURCE_IMAGE);
        crop(SIDE, .08, 1, SSLCV_INTERPOLATION_BICUBIC);
        flip();
        jitter(.4, .4, .2, .1, .8);
        often(SSLCV_TRANSFORM_GRAYSCALE, .2);
        often(SSLCV_TRANSFORM_GAUSSIAN_BLUR, i ? .1 : 1);
        if (i) often(SSLCV_TRANSFORM_SOLARIZE, .2);
        normalize(.229);
    }
    same("byol");
    begin();
    for (i = 0; i < 2; i++) {
        view_from(SSLCV_SOURCE_IMAGE);
        crop(SIDE, .08, 1, SSLCV_INTERPOLATION_BILINEAR);
        flip();
        jitter(.4, .4, .2, .1, .8);
        often(SSLCV_TRANSFORM_GRAYSCALE, .2);
        if (i) often(SSLCV_TRANSFORM_SOLARIZE, .2);
        normalize(.229);
    }
    same("barlow-cifar");
}
END_TEST

static void pirl_colors(void)
{
    sslcv_transform t;

    jitter(.4, .4, .4, .2, 1);
    often(SSLCV_TRANSFORM_POSTERIZE, .66);
    t = transform(SSLCV_TRANSFORM_SHARPNESS);
    t.with_previous = 1;
    step(&t);
    t = transform(SSLCV_TRANSFORM_SOLARIZE);
    t.min = 0;
    t.max = 1;
    t.with_previous = 1;
    step(&t);
    t = transform(SSLCV_TRANSFORM_AUTOCONTRAST);
    t.with_previous = 1;
    step(&t);
    often(SSLCV_TRANSFORM_GRAYSCALE, .2);
    flip();
}

START_TEST(pirl)
{
    int i;

    begin();
    for (i = 0; i < 2; i++) {
        view_from(SSLCV_SOURCE_IMAGE);
        crop(i ? 54 : SIDE, i ? .6 : .08, 1, SSLCV_INTERPOLATION_BILINEAR);
        if (i) patches(3, 14, SSLCV_PLACEMENT_CELL, 1);
        pirl_colors();
        normalize(.229);
    }
    same("pirl-jigsaw");
    begin();
    view_from(SSLCV_SOURCE_IMAGE);
    crop(SIDE, .08, 1, SSLCV_INTERPOLATION_BILINEAR);
    flip();
    jitter(.4, .4, .4, .1, .8);
    often(SSLCV_TRANSFORM_GRAYSCALE, .2);
    normalize(.229);
    view_from(SSLCV_SOURCE_IMAGE);
    crop(54, .6, 1, SSLCV_INTERPOLATION_BILINEAR);
    patches(3, 15, SSLCV_PLACEMENT_CELL, 1);
    jitter(.4, .4, .4, .1, .8);
    often(SSLCV_TRANSFORM_GRAYSCALE, .2);
    flip();
    normalize(.229);
    same("pirl-cifar");
    begin();
    for (i = 0; i < 2; i++) {
        view_from(SSLCV_SOURCE_IMAGE);
        crop(SIDE, .08, 1, SSLCV_INTERPOLATION_BILINEAR);
        pirl_colors();
        if (i) often(SSLCV_TRANSFORM_ROTATE90, 1);
        normalize(.229);
    }
    same("pirl-rotation");
}
END_TEST

static void blur_colors(void)
{
    flip();
    jitter(.8, .8, .8, .2, .8);
    often(SSLCV_TRANSFORM_GRAYSCALE, .2);
    often(SSLCV_TRANSFORM_GAUSSIAN_BLUR, .5);
}

START_TEST(pirl_with_blur)
{
    int i;

    begin();
    for (i = 0; i < 2; i++) {
        view_from(SSLCV_SOURCE_IMAGE);
        crop(i ? 54 : SIDE, i ? .6 : .08, 1, SSLCV_INTERPOLATION_BILINEAR);
        if (i) patches(3, 14, SSLCV_PLACEMENT_CELL, 1);
        blur_colors();
        normalize(.229);
    }
    same("pirl-jigsaw-blur");
    begin();
    for (i = 0; i < 2; i++) {
        view_from(SSLCV_SOURCE_IMAGE);
        crop(SIDE, .08, 1, SSLCV_INTERPOLATION_BILINEAR);
        blur_colors();
        if (i) often(SSLCV_TRANSFORM_ROTATE90, 1);
        normalize(.229);
    }
    same("pirl-rotation-blur");
}
END_TEST

START_TEST(cmc)
{
    const double mean[3] = {50, 6.025, -6.6895}, deviation[3] = {50, 92.208, 101.1675};
    sslcv_transform lab = transform(SSLCV_TRANSFORM_CONVERT_COLOR), scale = transform(SSLCV_TRANSFORM_NORMALIZE);
    sslcv_transform channels = transform(SSLCV_TRANSFORM_SELECT_CHANNELS);
    int64_t i;

    lab.color_space = SSLCV_COLOR_LAB;
    memcpy(scale.mean, mean, sizeof mean);
    memcpy(scale.std, deviation, sizeof deviation);
    scale.count = 3;
    begin();
    view_from(SSLCV_SOURCE_IMAGE);
    crop(SIDE, .08, 1, SSLCV_INTERPOLATION_BILINEAR);
    flip();
    step(&lab);
    step(&scale);
    view_from(0);
    channels.count = 1;
    step(&channels);
    view_from(0);
    channels.first = 1;
    channels.count = 2;
    step(&channels);
    same("cmc");
    for (i = 0; i < 2 * SIDE * SIDE; i++) ck_assert(made[i] >= -1.0f && made[i] <= 1.0f); /* view 2: a and b */
}
END_TEST

START_TEST(cpc)
{
    sslcv_transform fit = sized(SSLCV_TRANSFORM_RESIZE, SIDE, SIDE), t = sized(SSLCV_TRANSFORM_RANDOM_CROP, SIDE, SIDE);
    const sslcv_transform larger = sized(SSLCV_TRANSFORM_RESIZE, 56, 56);
    const sslcv_transform window = sized(SSLCV_TRANSFORM_RANDOM_WINDOW, 11, 11);

    begin();
    view_from(SSLCV_SOURCE_IMAGE);
    step(&larger);
    step(&t);
    flip();
    often(SSLCV_TRANSFORM_GRAYSCALE, 1);
    normalize(.229);
    patches(7, 12, SSLCV_PLACEMENT_OVERLAP, 0);
    step(&window);
    same("cpc");
    begin();
    view_from(SSLCV_SOURCE_IMAGE);
    step(&fit);
    t.padding = 4;
    step(&t);
    flip();
    jitter(.4, .4, .4, .1, .8);
    often(SSLCV_TRANSFORM_GRAYSCALE, .25);
    normalize(.229);
    patches(7, 12, SSLCV_PLACEMENT_OVERLAP, 0);
    same("cpc-cifar");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transform_presets");
    TCase *shape = add_case(suite, "shapes");
    TCase *chains = add_case(suite, "chains");

    tcase_add_test(shape, shapes);
    tcase_add_test(shape, unfit_size);
    tcase_add_test(chains, contrastive);
    tcase_add_test(chains, multi_crop);
    tcase_add_test(chains, two_different_views);
    tcase_add_test(chains, pirl);
    tcase_add_test(chains, pirl_with_blur);
    tcase_add_test(chains, cmc);
    tcase_add_test(chains, cpc);
    return run_suite(suite);
}
