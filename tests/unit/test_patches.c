/* Views of patches: where they lie, what is drawn for each, views that continue from them, loaders, memory. */
#include "memory_support.h"
#include "augment_support.h"

#include "data/loader.h"

#include <sslcv/dataset.h>

enum { SIDE = 32, PATCH = 8, GRID = 7, COUNT = GRID * GRID, FLOATS = 3 * PATCH * PATCH };

static uint8_t big[3 * SIDE * SIDE];
static float results[COUNT * FLOATS];

static sslcv_transform grid(int64_t cells, int64_t side, int32_t placement)
{
    sslcv_transform t = sized(SSLCV_TRANSFORM_PATCHES, side, side);

    t.rows = t.columns = cells;
    t.placement = placement;
    return t;
}

static sslcv_tensor big_image(void)
{
    make_pixels(7, 3 * SIDE * SIDE, big);
    return planar(SSLCV_U8, big, 3, SIDE, SIDE);
}

static sslcv_tensor patches_of(float *data, int64_t count, int64_t channels, int64_t side)
{
    sslcv_tensor t;

    OK(sslcv_tensor_init(&t, SSLCV_F32, data, 4, (const int64_t[4]){count, channels, side, side}));
    return t;
}

static void start_anew(void)
{
    sslcv_augmenter_destroy(augmenter);
    OK(sslcv_augmenter_create(context, &augmenter));
    OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, NULL));
}

static int is_cut_at(const float *patch, int64_t side, int64_t top, int64_t left)
{
    int64_t c, y, x;

    for (c = 0; c < 3; c++) {
        for (y = 0; y < side; y++) {
            for (x = 0; x < side; x++) {
                const uint8_t byte = big[(c * SIDE + top + y) * SIDE + left + x];

                if (patch[(c * side + y) * side + x] != (float)byte / 255.0f) return 0;
            }
        }
    }
    return 1;
}

/* ---- places ---- */

START_TEST(overlapping_grid)
{
    const sslcv_tensor source = big_image();
    const sslcv_transform t = grid(GRID, PATCH, SSLCV_PLACEMENT_OVERLAP);
    sslcv_view_info info = {.struct_size = sizeof info};
    sslcv_tensor result = {0}, full;
    int64_t p;

    add(&t);
    OK(sslcv_augmenter_get_view(augmenter, 0, &info));
    ck_assert(info.rows == GRID && info.columns == GRID && info.height == PATCH && info.channels == 0);
    OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &result)); /* asks */
    full = patches_of(results, COUNT, 3, PATCH);
    ck_assert_int_eq(result.ndim, 4);
    ck_assert_mem_eq(result.shape, full.shape, 4 * sizeof *full.shape);
    result.data = results;
    OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &result));
    for (p = 0; p < COUNT; p++) ck_assert(is_cut_at(results + p * FLOATS, PATCH, 4 * (p / GRID), 4 * (p % GRID)));
}
END_TEST

/** Rows and columns of their own; after transforms that leave the image in memory of the augmenter. */
START_TEST(oblong_grid)
{
    const sslcv_tensor source = big_image();
    sslcv_transform t = sized(SSLCV_TRANSFORM_PATCHES, 12, 32);
    const sslcv_transform flip = transform(SSLCV_TRANSFORM_VERTICAL_FLIP);
    sslcv_tensor plain = planar(SSLCV_F32, results, 3, SIDE, SIDE), result;
    static float whole[3 * SIDE * SIDE], cut[5 * 3 * 12 * 32];
    int64_t sample, p, c, y, view;

    t.rows = 5;
    t.columns = 1;
    add(&flip);
    OK(sslcv_augmenter_add_view(augmenter, 0, &view));
    OK(sslcv_augmenter_add_transform(augmenter, view, &t));
    OK(sslcv_tensor_init(&result, SSLCV_F32, cut, 4, (const int64_t[4]){5, 3, 12, 32}));
    for (sample = 0; sample < 4; sample++) {
        plain.data = whole;
        OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, sample, 0, &plain));
        OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, sample, view, &result));
        for (p = 0; p < 5; p++) {
            for (c = 0; c < 3; c++) {
                for (y = 0; y < 12; y++) {
                    ck_assert_mem_eq(cut + ((p * 3 + c) * 12 + y) * 32, whole + (c * SIDE + 5 * p + y) * SIDE,
                                     32 * sizeof *cut);
                }
            }
        }
    }
}
END_TEST

/** Jigsaw: each patch inside its own cell, at all places of it. */
START_TEST(cells)
{
    const sslcv_tensor source = big_image();
    const sslcv_transform t = grid(4, 6, SSLCV_PLACEMENT_CELL); /* cells of 8: 3 x 3 places */
    sslcv_tensor result = patches_of(results, 16, 3, 6);
    int64_t sample, p, i, seen[16][9] = {{0}};

    add(&t);
    for (sample = 0; sample < 900; sample++) {
        OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, sample, 0, &result));
        for (p = 0; p < 16; p++) {
            for (i = 0; i < 9; i++) {
                if (is_cut_at(results + p * 108, 6, p / 4 * 8 + i / 3, p % 4 * 8 + i % 3)) break;
            }
            ck_assert_int_lt(i, 9);
            seen[p][i]++;
        }
    }
    for (p = 0; p < 16; p++) {
        for (i = 0; i < 9; i++) ck_assert_int_lt(labs(seen[p][i] - 100), 50); /* deviation 9.4 */
    }
}
END_TEST

/** All orders of four patches come equally often. */
START_TEST(shuffled)
{
    enum { DRAWS = 2400 };
    const sslcv_tensor source = big_image();
    sslcv_transform t = grid(2, 16, SSLCV_PLACEMENT_CELL);
    int64_t sample, counts[256] = {0}, p, i, orders = 0;
    static float four[4 * 3 * 256];
    sslcv_tensor result = patches_of(four, 4, 3, 16);

    t.shuffle = 1;
    add(&t);
    for (sample = 0; sample < DRAWS; sample++) {
        int64_t code = 0, all = 0;

        OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, sample, 0, &result));
        for (p = 0; p < 4; p++) {
            for (i = 0; i < 4 && !is_cut_at(four + p * 768, 16, i / 2 * 16, i % 2 * 16); i++) continue;
            ck_assert_int_lt(i, 4);
            code = 4 * code + i;
            all |= 1 << i;
        }
        ck_assert_int_eq(all, 15);
        counts[code]++;
    }
    for (i = 0; i < 256; i++) {
        if (counts[i] == 0) continue;
        orders++;
        ck_assert_int_lt(labs(counts[i] - DRAWS / 24), 50); /* deviation 9.8 */
    }
    ck_assert_int_eq(orders, 24);
}
END_TEST

/* ---- chains ---- */

/** What follows is drawn for each patch; what lies before, once. */
START_TEST(each_by_itself)
{
    const sslcv_tensor source = big_image();
    const sslcv_transform t = grid(4, 8, SSLCV_PLACEMENT_CELL), flip = transform(SSLCV_TRANSFORM_HORIZONTAL_FLIP);
    static float before[16 * FLOATS], after[16 * FLOATS];
    sslcv_tensor a = patches_of(before, 16, 3, 8), b = patches_of(after, 16, 3, 8);
    int64_t sample, p, row, view, flips = 0, alike = 0;

    add(&t);
    OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
    OK(sslcv_augmenter_add_transform(augmenter, view, &t));
    OK(sslcv_augmenter_add_transform(augmenter, view, &flip));
    for (sample = 0; sample < 200; sample++) {
        int64_t of_image = 0;

        OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, sample, 0, &a));
        OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, sample, view, &b));
        for (p = 0; p < 16; p++) {
            const float *from = before + p * FLOATS, *to = after + p * FLOATS;
            const int is_flipped = from[0] != to[0];

            for (row = 0; row < 24 * 8; row++) {
                ck_assert_float_eq(to[row], from[is_flipped ? row / 8 * 8 + 7 - row % 8 : row]);
            }
            of_image += is_flipped;
        }
        flips += of_image;
        alike += of_image == 0 || of_image == 16;
    }
    CLOSE((double)flips / (200 * 16), 0.5, 0.04);
    ck_assert_int_le(alike, 1);
}
END_TEST

/** What the chain has made before the cut stays as it is while patches are made of it, in the same working memory. */
START_TEST(cut_of_a_result)
{
    const sslcv_tensor source = big_image();
    const sslcv_transform t = grid(GRID, PATCH, SSLCV_PLACEMENT_OVERLAP);
    sslcv_transform over = transform(SSLCV_TRANSFORM_VERTICAL_FLIP), flip = transform(SSLCV_TRANSFORM_HORIZONTAL_FLIP);
    sslcv_transform sharpness = transform(SSLCV_TRANSFORM_SHARPNESS),
                    select = transform(SSLCV_TRANSFORM_SELECT_CHANNELS);
    sslcv_tensor result = patches_of(results, COUNT, 2, PATCH);
    int64_t twice, p, c, y, x;

    over.probability = flip.probability = 1.0;
    sharpness.min = sharpness.max = 1.0; /* as it was, in other memory */
    select.count = 2;
    for (twice = 0; twice < 2; twice++) { /* the whole in either of two buffers */
        start_anew();
        add(&over);
        if (twice) add(&sharpness);
        add(&t);
        add(&sharpness);
        add(&flip);
        add(&sharpness);
        add(&select);
        OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &result));
        for (p = 0; p < COUNT; p++) {
            for (c = 0; c < 2; c++) {
                for (y = 0; y < PATCH; y++) {
                    for (x = 0; x < PATCH; x++) {
                        const int64_t row = SIDE - 1 - (4 * (p / GRID) + y), column = 4 * (p % GRID) + PATCH - 1 - x;

                        ck_assert_float_eq(results[((p * 2 + c) * PATCH + y) * PATCH + x],
                                           (float)big[(c * SIDE + row) * SIDE + column] / 255.0f);
                    }
                }
            }
        }
    }
}
END_TEST

/** A view that continues goes on with each patch; the same values whatever else is asked for. */
START_TEST(continued)
{
    const sslcv_tensor source = big_image();
    const sslcv_transform t = grid(4, 8, SSLCV_PLACEMENT_CELL), crop = sized(SSLCV_TRANSFORM_RANDOM_CROP, 6, 6);
    sslcv_transform jitter = transform(SSLCV_TRANSFORM_COLOR_JITTER), last = transform(SSLCV_TRANSFORM_SELECT_CHANNELS);
    sslcv_view_info info = {.struct_size = sizeof info};
    static float parent[16 * 108], alone[16 * 36], both[16 * 36];
    float *outs[2] = {parent, both};
    const int64_t views[2] = {0, 1};
    sslcv__augment_scratch *scratch;
    sslcv_tensor result = patches_of(alone, 16, 1, 6);
    int64_t sample, p, view;

    add(&t);
    add(&jitter);
    add(&crop);
    OK(sslcv_augmenter_add_view(augmenter, 0, &view));
    FAILS(sslcv_augmenter_add_transform(augmenter, view, &t), SSLCV_ERR_STATE, "the view is patches already");
    last.first = 2;
    last.count = 1;
    OK(sslcv_augmenter_add_transform(augmenter, view, &last));
    OK(sslcv_augmenter_get_view(augmenter, view, &info));
    ck_assert(info.rows == 4 && info.columns == 4 && info.channels == 1 && info.height == 6);
    OK(sslcv__augment_scratch_create(context, &scratch));
    for (sample = 0; sample < 50; sample++) {
        OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, sample, view, &result));
        OK(sslcv__augmenter_run(augmenter, scratch, &source, 1, 0, sample, views, 2, outs));
        ck_assert_mem_eq(alone, both, sizeof alone);
        for (p = 0; p < 16; p++) ck_assert_mem_eq(both + p * 36, parent + p * 108 + 72, 36 * sizeof *both);
    }
    sslcv__augment_scratch_free(scratch);
}
END_TEST

/** A grid of one patch is a view of one patch; a group goes on behind the cut. */
START_TEST(one_patch)
{
    const sslcv_tensor source = big_image();
    const sslcv_transform t = grid(1, SIDE, SSLCV_PLACEMENT_OVERLAP);
    sslcv_transform flip = transform(SSLCV_TRANSFORM_HORIZONTAL_FLIP);
    sslcv_tensor result = planar(SSLCV_F32, out, 3, SIDE, SIDE);
    int64_t i;

    add(&t);
    flip.with_previous = 1; /* of the patches, which are always made */
    flip.probability = 0.0;
    add(&flip);
    OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &result));
    for (i = 0; i < 3 * SIDE * SIDE; i++) {
        ck_assert_float_eq(out[i], (float)big[i / SIDE * SIDE + SIDE - 1 - i % SIDE] / 255.0f);
    }
}
END_TEST

/** The bytes may lie in any way: patches of the picture stored pixel by pixel are the same. */
START_TEST(strides)
{
    const sslcv_tensor source = big_image();
    static uint8_t turned[3 * SIDE * SIDE];
    static float again[COUNT * FLOATS];
    sslcv_tensor other = planar(SSLCV_U8, turned, 3, SIDE, SIDE), a = patches_of(results, COUNT, 3, PATCH),
                 b = patches_of(again, COUNT, 3, PATCH);
    const sslcv_transform t = grid(GRID, PATCH, SSLCV_PLACEMENT_OVERLAP);
    sslcv_transform window = sized(SSLCV_TRANSFORM_RANDOM_WINDOW, 7, 7);
    int64_t i;

    for (i = 0; i < 3 * SIDE * SIDE; i++) turned[i % (SIDE * SIDE) * 3 + i / (SIDE * SIDE)] = big[i];
    other.strides[0] = 1;
    other.strides[1] = 3 * SIDE;
    other.strides[2] = 3;
    add(&t);
    add(&window);
    OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &a));
    OK(sslcv_augmenter_apply(augmenter, &other, 1, 0, 0, 0, &b));
    ck_assert_mem_eq(results, again, sizeof again);
}
END_TEST

/* ---- wrong use ---- */

START_TEST(errors)
{
    const sslcv_tensor source = big_image();
    sslcv_tensor result = patches_of(results, 1, 3, PATCH), flat = planar(SSLCV_F32, results, 3, PATCH, PATCH);
    const int64_t images[3] = {3, 0, 0};
    int64_t shape[4];
    sslcv_transform t;

#define WRONG(change, text)                                                                                            \
    t = grid(GRID, PATCH, SSLCV_PLACEMENT_OVERLAP);                                                                    \
    change;                                                                                                            \
    FAILS(sslcv_augmenter_add_transform(augmenter, 0, &t), SSLCV_ERR_INVALID_ARGUMENT, text)
    WRONG(t.rows = 0, "patches.rows is 0; must be 1 .. 256");
    WRONG(t.columns = 257, "patches.columns is 257");
    WRONG(t.height = 0, "patches.height is 0");
    WRONG(t.placement = 2, "patches.placement is 2; must be 0 .. 1");
    WRONG(t.shuffle = -1, "patches.shuffle is -1");
    WRONG(t.probability = .5, "patches.probability is set");
    WRONG(t.with_previous = 1, "patches.with_previous is set");
    WRONG((t.kind = SSLCV_TRANSFORM_RANDOM_CROP), "random_crop.rows is set, but random_crop does not read it");
#undef WRONG
#define UNFIT(cells, side, placement, text)                                                                            \
    start_anew();                                                                                                      \
    t = grid(cells, side, placement);                                                                                  \
    add(&t);                                                                                                           \
    OK(sslcv__augmenter_view_shape(augmenter, 0, images, shape));                                                      \
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, text)
    UNFIT(6, 8, SSLCV_PLACEMENT_OVERLAP, "6 rows of height 8 in an image of height 32 lie 24 / 5 pixels apart");
    UNFIT(2, 32, SSLCV_PLACEMENT_OVERLAP, "lie 0 / 1 pixels apart; it must be whole and above 0");
    UNFIT(2, 40, SSLCV_PLACEMENT_OVERLAP, "lie -8 / 1 pixels apart");
    UNFIT(1, 8, SSLCV_PLACEMENT_OVERLAP, "one row of height 8 in an image of height 32; must be equal");
    UNFIT(3, 8, SSLCV_PLACEMENT_CELL, "3 rows in an image of height 32 make cells of 10.6667 pixels");
    UNFIT(4, 9, SSLCV_PLACEMENT_CELL, "make cells of 8 pixels; it must be whole, and not smaller than a patch of 9");
#undef UNFIT
    start_anew();
    t = grid(GRID, PATCH, SSLCV_PLACEMENT_OVERLAP);
    t.width = 9;
    add(&t);
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT,
          "7 columns of width 9 in an image of width 32 lie 23 / 6 pixels apart");
    start_anew();
    t = grid(GRID, PATCH, SSLCV_PLACEMENT_OVERLAP);
    add(&t);
    FAILS(sslcv_augmenter_add_transform(augmenter, 0, &t), SSLCV_ERR_STATE, "can't be cut into patches");
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &flat), SSLCV_ERR_INVALID_ARGUMENT, "out.ndim is 3");
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT,
          "out.shape[0] is 1");
}
END_TEST

/** Fails at a certain patch. */
static int32_t fail_at(void *user, const sslcv_tensor *src, sslcv_tensor *dst, uint64_t random)
{
    int *calls = user;

    (void)random;
    memcpy(dst->data, src->data, FLOATS * sizeof(float));
    return ++*calls == 5 ? 4 : 0;
}

START_TEST(failure_leaves_out_alone)
{
    const sslcv_tensor source = big_image();
    const sslcv_transform t = grid(GRID, PATCH, SSLCV_PLACEMENT_OVERLAP);
    sslcv_transform custom = transform(SSLCV_TRANSFORM_CUSTOM);
    sslcv_tensor result = patches_of(results, COUNT, 3, PATCH);
    int calls = 0;
    const sslcv_transform_callbacks table = {sizeof table, &calls, fail_at, NULL, 0, 0};
    size_t i;

    custom.callbacks = &table;
    add(&t);
    add(&custom);
    memset(results, 0x55, sizeof results);
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &result), SSLCV_ERR_IO, "answered 4");
    for (i = 0; i < sizeof results; i++) ck_assert_int_eq(((uint8_t *)results)[i], 0x55);
    OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &result));
    ck_assert(is_cut_at(results, PATCH, 0, 0));
}
END_TEST

/* ---- memory ---- */

static sslcv_status use_patches(sslcv_context *poor, const sslcv_tensor *source, sslcv_tensor *result)
{
    sslcv_augmenter *a = NULL;
    sslcv_status status;
    int64_t view;
    sslcv_transform t;

    SSLCV__TRY(sslcv_augmenter_create(poor, &a));
    SSLCV__TRY(sslcv_augmenter_add_preset(a, "pirl-cifar", SIDE, &view, NULL));
    SSLCV__TRY(sslcv_augmenter_add_view(a, view + 1, &view));
    SSLCV__TRY(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_GAUSSIAN_BLUR));
    SSLCV__TRY(sslcv_augmenter_add_transform(a, view, &t));
    SSLCV__TRY(sslcv_augmenter_apply(a, source, 1, 0, 0, view, result));
end:
    sslcv_augmenter_destroy(a);
    return status;
}

START_TEST(out_of_memory)
{
    host h = {.fail_at = -1};
    const sslcv_tensor source = big_image();
    sslcv_context *poor = new_context(&h, 0);
    sslcv_tensor result = patches_of(results, 9, 3, 10);
    sslcv_status status;
    int64_t n;
    size_t i;

    memset(results, 0x55, sizeof results);
    for (n = 0;; n++) {
        h.calls = 0;
        h.fail_at = n;
        status = use_patches(poor, &source, &result);
        h.fail_at = -1;
        ck_assert_int_eq((int64_t)atomic_load(&poor->bytes), 0);
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
        for (i = 0; i < sizeof results; i++) ck_assert_int_eq(((uint8_t *)results)[i], 0x55);
    }
    ck_assert_int_ge(n, 20);
    sslcv_context_destroy(poor);
}
END_TEST

START_TEST(apply_stops_allocating)
{
    static const char *const names[] = {"pirl-jigsaw", "cpc-cifar", "cmc-cifar", "dino"};
    const sslcv_tensor source = big_image();
    host h = {.fail_at = -1};
    int64_t i, view, count;
    int k;

    for (k = 0; k < 4; k++) {
        sslcv_context *poor = new_context(&h, 0);
        sslcv_augmenter *a;

        OK(sslcv_augmenter_create(poor, &a));
        OK(sslcv_augmenter_add_preset(a, names[k], 32, NULL, &count));
        for (i = 0; i < 300; i++) {
            if (i == 200) h.fail_at = h.calls;
            for (view = 0; view < count; view++) {
                sslcv_tensor result = {0};

                OK(sslcv_augmenter_apply(a, &source, 1, 0, i, view, &result));
                result.data = results;
                OK(sslcv_augmenter_apply(a, &source, 1, 0, i, view, &result));
            }
        }
        h.fail_at = -1;
        sslcv_augmenter_destroy(a);
        ck_assert_int_eq((int64_t)atomic_load(&poor->bytes), 0);
        sslcv_context_destroy(poor);
    }
}
END_TEST

/* ---- loaders ---- */

/** (B * P, C, H, W), patch p of image b in row b P + p, whatever the number of threads. */
START_TEST(loaded)
{
    enum { IMAGES = 5, BATCH = 4 };
    static float reference[9 * 300];
    static uint8_t bytes[IMAGES * 3 * SIDE * SIDE];
    int64_t i, b, views[1] = {1};
    int32_t threads;

    make_pixels(8, sizeof bytes, bytes);
    for (threads = 0; threads < 3; threads++) {
        sslcv_context_options options;
        sslcv_dataset_options d;
        sslcv_loader_options l;
        sslcv_context *own;
        sslcv_dataset *list;
        sslcv_augmenter *a;
        sslcv_loader *loader;
        sslcv_batch batch = {.struct_size = sizeof batch};
        sslcv_tensor images, result = patches_of(reference, 9, 3, 10);

        OK(sslcv_context_options_init(&options, sizeof options));
        options.loader_threads = threads;
        OK(sslcv_context_create(&options, &own));
        OK(sslcv_dataset_options_init(&d, sizeof d, SSLCV_DATASET_LIST));
        OK(sslcv_dataset_create(own, &d, &list));
        for (i = 0; i < IMAGES; i++) {
            const sslcv_tensor one = planar(SSLCV_U8, bytes + i * 3 * SIDE * SIDE, 3, SIDE, SIDE);

            OK(sslcv_dataset_add_images(list, &one, NULL, NULL));
        }
        OK(sslcv_augmenter_create(own, &a));
        OK(sslcv_augmenter_add_preset(a, "pirl-cifar", 0, NULL, NULL));
        OK(sslcv_loader_options_init(&l, sizeof l));
        l.dataset = list;
        l.augmenter = a;
        l.batch_size = BATCH;
        l.seed = 9;
        OK(sslcv_loader_create(own, &l, &loader));
        for (i = 0; i < 3; i++) {
            OK(sslcv_loader_next(loader, &batch));
            OK(sslcv_loader_get_views(loader, views, 1, &images));
            ck_assert_mem_eq(images.shape, ((int64_t[4]){BATCH * 9, 3, 10, 10}), 4 * sizeof(int64_t));
            for (b = 0; b < BATCH; b++) {
                const sslcv_tensor one = planar(SSLCV_U8, bytes + batch.ids[b] * 3 * SIDE * SIDE, 3, SIDE, SIDE);

                OK(sslcv_augmenter_apply(a, &one, 9, batch.epoch, batch.ids[b], 1, &result));
                ck_assert_mem_eq(reference, (const float *)images.data + b * 9 * 300, sizeof reference);
            }
        }
        sslcv_loader_destroy(loader);
        sslcv_dataset_destroy(list);
        sslcv_augmenter_destroy(a);
        sslcv_context_destroy(own);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("patches");
    TCase *places = add_case(suite, "places");
    TCase *chains = add_case(suite, "chains");
    TCase *failures = add_case(suite, "failures");
    TCase *loaders = add_case(suite, "loaders");

    tcase_add_test(places, overlapping_grid);
    tcase_add_test(places, oblong_grid);
    tcase_add_test(places, cells);
    tcase_add_test(places, shuffled);
    tcase_add_test(chains, each_by_itself);
    tcase_add_test(chains, cut_of_a_result);
    tcase_add_test(chains, continued);
    tcase_add_test(chains, one_patch);
    tcase_add_test(chains, strides);
    tcase_add_test(failures, errors);
    tcase_add_test(failures, failure_leaves_out_alone);
    tcase_add_test(failures, out_of_memory);
    tcase_add_test(failures, apply_stops_allocating);
    tcase_add_test(loaders, loaded);
    return run_suite(suite);
}
