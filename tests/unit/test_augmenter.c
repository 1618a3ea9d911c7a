/* Views and what their draws depend on, presets, custom transforms, memory. */
#include "memory_support.h"
#include "augment_support.h"

#include <pthread.h>

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
        OK(sslcv_augmenter_add_transform(augmenter, view, &t));
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
    FAILS(sslcv_augmenter_add_transform(augmenter, 0, &flip), SSLCV_ERR_STATE, "another view continues from view 0");
    select.count = 1;
    OK(sslcv_augmenter_add_transform(augmenter, 1, &select));
    OK(sslcv_augmenter_add_view(augmenter, 0, &view));
    select.first = 1;
    select.count = 2;
    OK(sslcv_augmenter_add_transform(augmenter, 2, &select));
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

typedef struct doubler {
    atomic_int calls, destroyed;
    int32_t answer;
    uint64_t random[64];
} doubler;

static int32_t double_values(void *user, const sslcv_tensor *src, sslcv_tensor *dst, uint64_t random)
{
    doubler *d = user;
    const int call = atomic_fetch_add(&d->calls, 1);
    int64_t i;

    d->random[call % 64] = random;
    if (src->ndim != 3 || src->dtype != SSLCV_F32 || src->strides[2] != 1 ||
        dst->strides[0] != dst->shape[1] * dst->shape[2])
        return 99;
    for (i = 0; i < dst->shape[0] * dst->shape[1] * dst->shape[2]; i++) {
        ((float *)dst->data)[i] = 2.0f * ((const float *)src->data)[i];
    }
    return d->answer;
}

static void count_destroy(void *user)
{
    atomic_fetch_add(&((doubler *)user)->destroyed, 1);
}

START_TEST(custom_transforms)
{
    static doubler d;
    sslcv_transform_callbacks table = {sizeof table, &d, double_values, count_destroy, SSLCV_CALLBACK_ANY_THREAD, 0};
    const sslcv_tensor source = planar(SSLCV_U8, pixels, 3, H, W);
    sslcv_tensor result = planar(SSLCV_F32, out, 3, H, W);
    sslcv_transform t = transform(SSLCV_TRANSFORM_CUSTOM);
    int64_t view;
    int i;

    FAILS(sslcv_augmenter_add_transform(augmenter, 0, &t), SSLCV_ERR_INVALID_ARGUMENT, "custom.callbacks is NULL");
    t.callbacks = &table;
    add(&t);
    ck_assert(sslcv__augmenter_any_thread(augmenter));
    table.flags = 0;
    OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
    t.count = 1;
    t.height = 2;
    t.width = 5;
    OK(sslcv_augmenter_add_transform(augmenter, view, &t));
    ck_assert(!sslcv__augmenter_any_thread(augmenter));
    memset(&table, 0xff, sizeof table); /* it has been copied */
    for (i = 0; i < 8; i++) ck_assert_int_eq(apply(0, 1, i), SIZE);
    for (i = 0; i < SIZE; i++) ck_assert_float_eq(out[i], 2.0f * image[i]);
    for (i = 1; i < 8; i++) ck_assert(d.random[i] != d.random[i - 1]);
    ck_assert_int_eq(apply(1, 1, 0), 10);
    d.answer = -3;
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &result), SSLCV_ERR_CANCELLED, "answered -3");
    d.answer = 0;
    OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &result));
    ck_assert_int_eq(d.destroyed, 0);
    sslcv_augmenter_destroy(augmenter);
    augmenter = NULL;
    ck_assert_int_eq(d.destroyed, 2); /* taken twice */
}
END_TEST

START_TEST(custom_errors)
{
    static doubler d;
    sslcv_transform_callbacks table = {sizeof table, &d, NULL, count_destroy, 0, 0};
    sslcv_transform t = transform(SSLCV_TRANSFORM_CUSTOM);

    t.callbacks = &table;
    FAILS(sslcv_augmenter_add_transform(augmenter, 0, &t), SSLCV_ERR_INVALID_ARGUMENT,
          "transform_callbacks.apply is NULL");
    table.apply = double_values;
    table.flags = 2;
    FAILS(sslcv_augmenter_add_transform(augmenter, 0, &t), SSLCV_ERR_INVALID_ARGUMENT,
          "transform_callbacks.flags is 2");
    table.flags = 0;
    table.reserved = 1;
    FAILS(sslcv_augmenter_add_transform(augmenter, 0, &t), SSLCV_ERR_UNSUPPORTED, "reserved");
    table.reserved = 0;
    t.probability = 0.5;
    t.height = 5;
    FAILS(sslcv_augmenter_add_transform(augmenter, 0, &t), SSLCV_ERR_INVALID_ARGUMENT, "custom.probability is 0.5");
    table.struct_size = 3;
    t.height = 0;
    FAILS(sslcv_augmenter_add_transform(augmenter, 0, &t), SSLCV_ERR_INVALID_ARGUMENT,
          "transform_callbacks.struct_size");
    ck_assert_int_eq(d.destroyed, 0);
}
END_TEST

/* ---- out of memory ---- */

static sslcv_status use_everything(sslcv_context *poor, doubler *d, float *to)
{
    const sslcv_transform_callbacks table = {sizeof table, d, double_values, count_destroy, 0, 0};
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
    SSLCV__TRY(sslcv_augmenter_add_transform(a, view, &t));
    SSLCV__TRY(sslcv_augmenter_apply(a, &source, 1, 0, 0, view, &result));
end:
    sslcv_augmenter_destroy(a);
    return status;
}

START_TEST(out_of_memory)
{
    host h = {.fail_at = -1};
    static doubler d;
    sslcv_context *poor = new_context(&h, 0);
    sslcv_status status;
    float to[192], before[192];
    int64_t n;

    memset(to, 0x55, sizeof to);
    memcpy(before, to, sizeof before);
    for (n = 0;; n++) {
        h.calls = 0;
        h.fail_at = n;
        status = use_everything(poor, &d, to);
        h.fail_at = -1;
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
    host h = {.fail_at = -1};
    const sslcv_tensor source = planar(SSLCV_U8, pixels, 3, H, W);
    sslcv_tensor result = planar(SSLCV_F32, out, 3, 8, 8);
    sslcv_context *poor = new_context(&h, 0);
    sslcv_augmenter *a;
    int64_t i;

    OK(sslcv_augmenter_create(poor, &a));
    OK(sslcv_augmenter_add_preset(a, "simclr", 8, NULL, NULL));
    for (i = 0; i < 400; i++) {
        if (i == 200) h.fail_at = h.calls;
        OK(sslcv_augmenter_apply(a, &source, 1, 0, i, i % 2, &result));
    }
    h.fail_at = -1;
    sslcv_augmenter_destroy(a);
    ck_assert_int_eq((int64_t)atomic_load(&poor->bytes), 0);
    sslcv_context_destroy(poor);
}
END_TEST

/** A preset that fails half-way leaves no view behind. */
START_TEST(failed_preset_leaves_nothing)
{
    host h = {.fail_at = -1};
    sslcv_context *poor = new_context(&h, 0);
    sslcv_augmenter *a;
    sslcv_status status;
    int64_t n;

    OK(sslcv_augmenter_create(poor, &a));
    for (n = 0;; n++) {
        h.calls = 0;
        h.fail_at = n;
        status = sslcv_augmenter_add_preset(a, "simclr", 0, NULL, NULL);
        h.fail_at = -1;
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
    Suite *suite = suite_create("augmenter");
    TCase *views = add_case(suite, "views");
    TCase *ready_made = add_case(suite, "presets");
    TCase *custom = add_case(suite, "custom");
    TCase *memory = add_case(suite, "memory");

    tcase_add_test(views, draws_depend_on_their_key_only);
    tcase_add_test(views, probabilities);
    tcase_add_test(views, scratch_stops_growing);
    tcase_add_test(views, last_transforms);
    tcase_add_test(views, views_continue);
    tcase_add_test(views, threads_agree);
    tcase_add_test(ready_made, presets);
    tcase_add_test(ready_made, eval_preset_values);
    tcase_add_test(custom, custom_transforms);
    tcase_add_test(custom, custom_errors);
    tcase_add_test(memory, out_of_memory);
    tcase_add_test(memory, apply_stops_allocating);
    tcase_add_test(memory, failed_preset_leaves_nothing);
    return run_suite(suite);
}
