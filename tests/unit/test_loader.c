/* Loaders: the batches of an epoch, their views, callbacks, data sets that grow. */
#include "loader_support.h"

#include <sched.h>
#include <sys/resource.h>

/* ---- what comes out ---- */

START_TEST(same_for_any_threads)
{
    static const int32_t threads[] = {1, 4, 4, 2, 3};
    static const int64_t prefetch[] = {2, 0, 5, 1, 64};
    uint64_t expected[17], hashes[17];
    int i, k;

    hash_batches(0, 2, 17, expected);
    for (k = 1; k < 17; k++) ck_assert_uint_ne(expected[k], expected[0]);
    for (i = 0; i < 5; i++) {
        hash_batches(threads[i], prefetch[i], 17, hashes);
        for (k = 0; k < 17; k++) ck_assert_msg(hashes[k] == expected[k], "batch %d, %d threads", k, threads[i]);
    }
}
END_TEST

START_TEST(batches_of_an_epoch)
{
    sslcv_dataset *images = make_images(context, 23);
    sslcv_augmenter *augmenter = make_augmenter(context);
    sslcv_loader_options o = loader_options(images, augmenter, 5);
    int64_t first[23], seen[23], epoch, index, i, same = 0;
    sslcv_loader *loader;

    o.drop_last = 0;
    loader = make_loader(context, &o);
    for (epoch = 0; epoch < 3; epoch++) {
        memset(seen, 0, sizeof seen);
        for (index = 0; index < 5; index++) {
            const sslcv_batch batch = next(loader);

            ck_assert(batch.epoch == epoch && batch.index == index && batch.count == 5);
            ck_assert_int_eq(batch.size, index == 4 ? 3 : 5);
            for (i = 0; i < batch.size; i++) {
                seen[batch.ids[i]]++;
                ck_assert_int_eq(batch.labels[i], batch.ids[i] % 5 - 1);
                if (epoch == 0) first[5 * index + i] = batch.ids[i];
                if (epoch == 1) same += first[5 * index + i] == batch.ids[i];
            }
        }
        for (i = 0; i < 23; i++) ck_assert_int_eq(seen[i], 1);
    }
    ck_assert_int_lt(same, 12);
    ck_assert_int_eq(sslcv__loader_batches(loader), 5);
    sslcv_loader_destroy(loader);

    o.drop_last = 1;
    o.sampler = SSLCV_SAMPLER_IN_ORDER;
    loader = make_loader(context, &o);
    for (index = 0; index < 9; index++) {
        const sslcv_batch batch = next(loader);

        ck_assert(batch.epoch == index / 4 && batch.index == index % 4 && batch.count == 4 && batch.size == 5);
        for (i = 0; i < 5; i++) ck_assert_int_eq(batch.ids[i], 5 * (index % 4) + i);
    }
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
}
END_TEST

/** The loader's views are those of sslcv_augmenter_apply() for the same seed, epoch and sample. */
START_TEST(views_as_applied)
{
    sslcv_dataset *images = make_images(context, 7);
    sslcv_augmenter *augmenter = make_augmenter(context);
    sslcv_loader_options o = loader_options(images, augmenter, 7);
    sslcv_loader *loader = make_loader(context, &o);
    unsigned char bytes[3 * SIDE * SIDE];
    const int64_t shape[3] = {3, SIDE, SIDE};
    float expected[VIEW_FLOATS];
    int64_t i;

    next(loader);
    {
        const sslcv_batch batch = next(loader);
        const sslcv_tensor view = get_views(loader, 1, -1);
        sslcv_tensor image, out = {0};

        ck_assert_int_eq(batch.epoch, 1);
        for (i = 0; i < 7; i++) {
            OK(sslcv_tensor_init(&image, SSLCV_U8, bytes, 3, shape));
            OK(sslcv_dataset_read(images, batch.ids[i], &image));
            out.data = NULL;
            OK(sslcv_augmenter_apply(augmenter, &image, 11, 1, batch.ids[i], 1, &out));
            out.data = expected;
            OK(sslcv_augmenter_apply(augmenter, &image, 11, 1, batch.ids[i], 1, &out));
            ck_assert_int_eq(memcmp(expected, (float *)view.data + i * VIEW_FLOATS, sizeof expected), 0);
        }
    }
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
}
END_TEST

START_TEST(views_together)
{
    const int64_t far[3] = {3, 0, 3}, unequal[2] = {0, 2}, missing[2] = {0, 4};
    sslcv_dataset *images = make_images(context, 7);
    sslcv_augmenter *augmenter = make_augmenter(context);
    sslcv_loader_options o = loader_options(images, augmenter, 4);
    sslcv_loader *loader = make_loader(context, &o);
    sslcv_tensor zero, both, swapped, three, untouched = {0};
    const int64_t floats = 4 * VIEW_FLOATS;

    FAILS(sslcv_loader_get_views(loader, far, 1, &zero), SSLCV_ERR_STATE, "there is no current batch");
    ck_assert_ptr_null(sslcv__loader_substituted(loader));
    next(loader);
    zero = get_views(loader, 0, -1);
    ck_assert(zero.ndim == 4 && zero.shape[0] == 4 && zero.shape[1] == 3 && zero.shape[2] == CROP);
    both = get_views(loader, 0, 1);
    ck_assert_ptr_eq(both.data, zero.data); /* not copied */
    ck_assert_int_eq(both.shape[0], 8);
    swapped = get_views(loader, 1, 0);
    ck_assert_int_eq(memcmp((float *)swapped.data + floats, zero.data, (size_t)floats * sizeof(float)), 0);
    ck_assert_int_eq(memcmp(swapped.data, (float *)both.data + floats, (size_t)floats * sizeof(float)), 0);
    OK(sslcv_loader_get_views(loader, far, 3, &three));
    ck_assert_int_eq(three.shape[0], 12);
    ck_assert_int_eq(memcmp((float *)three.data + floats, zero.data, (size_t)floats * sizeof(float)), 0);
    ck_assert_int_eq(memcmp((float *)three.data + 2 * floats, three.data, (size_t)floats * sizeof(float)), 0);

    FAILS(sslcv_loader_get_views(loader, unequal, 2, &untouched), SSLCV_ERR_INVALID_ARGUMENT,
          "view 0 has the shape (1, 3, 6, 6), view 2 (1, 3, 4, 4)");
    FAILS(sslcv_loader_get_views(loader, missing, 2, &untouched), SSLCV_ERR_NOT_FOUND,
          "view 4 does not exist; the augmenter has 4");
    FAILS(sslcv_loader_get_views(loader, missing, 0, &untouched), SSLCV_ERR_INVALID_ARGUMENT, "num_views is 0");
    FAILS(sslcv_loader_get_views(loader, NULL, 1, &untouched), SSLCV_ERR_INVALID_ARGUMENT, "views is NULL");
    FAILS(sslcv_loader_get_views(loader, missing, 1, NULL), SSLCV_ERR_INVALID_ARGUMENT, "images is NULL");
    ck_assert_ptr_null(untouched.data);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
}
END_TEST

START_TEST(seek)
{
    sslcv_dataset *images = make_images(context, 23);
    sslcv_augmenter *augmenter = make_augmenter(context);
    sslcv_loader_options o = loader_options(images, augmenter, 5);
    sslcv_loader *loader;
    uint64_t hashes[15];
    sslcv_batch batch;
    int i;

    o.drop_last = 0;
    loader = make_loader(context, &o);
    for (i = 0; i < 15; i++) {
        batch = next(loader);
        hashes[i] = hash_batch(loader, &batch);
    }
    for (i = 14; i >= 0; i -= 3) {
        OK(sslcv_loader_seek(loader, i / 5, i % 5));
        batch = next(loader);
        ck_assert_uint_eq(hash_batch(loader, &batch), hashes[i]);
        if (i == 14) continue;
        batch = next(loader);
        ck_assert_uint_eq(hash_batch(loader, &batch), hashes[i + 1]);
    }
    FAILS(sslcv_loader_seek(loader, 0, 5), SSLCV_ERR_NOT_FOUND, "batch 5 does not exist; epoch 0 has 5");
    FAILS(sslcv_loader_seek(loader, -1, 0), SSLCV_ERR_INVALID_ARGUMENT, "epoch is -1");
    FAILS(sslcv_loader_seek(loader, 0, -1), SSLCV_ERR_INVALID_ARGUMENT, "index is -1");
    batch = next(loader); /* a failed seek has moved nothing: behind 2, 3 */
    ck_assert_uint_eq(hash_batch(loader, &batch), hashes[4]);
    sslcv_loader_destroy(loader);

    loader = make_loader(context, &o); /* a new run, resumed before its first batch */
    OK(sslcv_loader_seek(loader, 2, 3));
    batch = next(loader);
    ck_assert_uint_eq(hash_batch(loader, &batch), hashes[13]);
    OK(sslcv_loader_seek(loader, INT64_MAX, 3)); /* the last epoch that a number can tell comes again and again */
    for (i = 3; i < 11; i++) {
        batch = next(loader);
        ck_assert_int_eq(batch.epoch, INT64_MAX);
        ck_assert_int_eq(batch.index, i % 5);
    }
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
}
END_TEST

START_TEST(range)
{
    sslcv_dataset *images = make_images(context, 23);
    sslcv_augmenter *augmenter = make_augmenter(context);
    sslcv_loader_options o = loader_options(images, augmenter, 4);
    sslcv_loader *loader;
    sslcv_batch batch;

    o.sampler = SSLCV_SAMPLER_IN_ORDER;
    o.drop_last = 0;
    loader = make_loader(context, &o);
    next(loader);
    OK(sslcv__loader_restrict(loader, 7, 6));
    ck_assert_int_eq(sslcv__loader_batches(loader), 2);
    batch = next(loader);
    ck_assert(batch.size == 4 && batch.count == 2 && batch.ids[0] == 7 && batch.labels[0] == 1);
    batch = next(loader);
    ck_assert(batch.size == 2 && batch.index == 1 && batch.ids[1] == 12);
    FAILS(sslcv__loader_restrict(loader, 20, 4), SSLCV_ERR_NOT_FOUND, "samples 20 .. 23 do not exist");
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
}
END_TEST

START_TEST(real_photos)
{
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_FOLDER, shared_data("photos/train"));
    sslcv_augmenter *augmenter = NULL;
    sslcv_dataset *dataset;
    sslcv_loader_options o;
    sslcv_loader *loader;
    sslcv_batch batch;
    int64_t view;
    int i;

    if (!options.path) return;
    options.label_folders = 1;
    options.cache = 1;
    dataset = make_dataset(context, &options);
    OK(sslcv_augmenter_create(context, &augmenter));
    OK(sslcv_augmenter_add_preset(augmenter, "simclr", 32, &view, NULL));
    o = loader_options(dataset, augmenter, 32);
    loader = make_loader(context, &o);
    for (i = 0; i < 4; i++) {
        batch = next(loader);
        ck_assert_int_eq(batch.count, 25);
        ck_assert_int_eq(get_views(loader, 0, 1).shape[0], 64);
    }
    ck_assert_int_eq(info_of(dataset).failed, 0);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(dataset);
}
END_TEST

/* ---- views on demand ---- */

START_TEST(views_on_demand)
{
    counter counters[3];
    sslcv_dataset *images = make_images(context, 20);
    sslcv_augmenter *augmenter = make_counting_augmenter(context, counters, 3, SSLCV_CALLBACK_ANY_THREAD);
    sslcv_loader_options o = loader_options(images, augmenter, 4);
    sslcv_loader *loader, *reference;
    int64_t ids[4], i;
    sslcv_tensor view;
    int before;

    o.prefetch = 0;
    loader = make_loader(context, &o);
    reference = make_loader(context, &o);
    next(loader);
    for (i = 0; i < 3; i++) ck_assert_int_eq(atomic_load(&counters[i].calls), 4);
    get_views(loader, 1, -1);
    next(loader);
    ck_assert_int_eq(atomic_load(&counters[0].calls), 4);
    ck_assert_int_eq(atomic_load(&counters[1].calls), 8);
    {
        const sslcv_batch batch = next(loader);

        memcpy(ids, batch.ids, sizeof ids);
        before = atomic_load(&counters[2].calls);
        view = get_views(loader, 2, -1); /* was not made: now it is, for the same samples */
        ck_assert_int_eq(atomic_load(&counters[2].calls), before + 4);
        ck_assert_int_eq(memcmp(ids, batch.ids, sizeof ids), 0);
    }
    for (i = 0; i < 3; i++) next(reference);
    ck_assert_int_eq(memcmp(view.data, get_views(reference, 2, -1).data, (size_t)4 * VIEW_FLOATS * sizeof(float)), 0);
    sslcv_loader_destroy(reference);
    ck_assert_int_eq(atomic_load(&counters[0].calls), 4 + 12);

    OK(sslcv__loader_select(loader, (const int64_t[]){2, 0}, 2));
    FAILS(sslcv_loader_get_views(loader, (const int64_t[]){0}, 1, &view), SSLCV_ERR_STATE, "no current batch");
    before = atomic_load(&counters[1].calls);
    ck_assert_int_eq(next(loader).index, 3);
    ck_assert_ptr_eq(get_views(loader, 0, 2).data, get_views(loader, 0, -1).data); /* neighbours now */
    ck_assert_int_eq(atomic_load(&counters[1].calls), before);
    FAILS(sslcv__loader_select(loader, (const int64_t[]){3}, 1), SSLCV_ERR_NOT_FOUND, "view 3 does not exist");
    ck_assert_int_eq(sslcv__loader_bytes(loader), 3 * 4 * VIEW_FLOATS * (int64_t)sizeof(float)); /* once had all */
    sslcv_loader_destroy(loader);

    loader = make_loader(context, &o);
    OK(sslcv__loader_select(loader, (const int64_t[]){2, 0}, 2));
    ck_assert_int_eq(sslcv__loader_bytes(loader), 2 * 4 * VIEW_FLOATS * (int64_t)sizeof(float)); /* foretold */
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
}
END_TEST

START_TEST(callbacks_stay_on_the_thread)
{
    counter counters[1];
    sslcv_dataset *images = make_images(context, 12);
    sslcv_augmenter *augmenter = make_counting_augmenter(context, counters, 1, 0);
    sslcv_loader_options o = loader_options(images, augmenter, 4);
    sslcv_loader *loader = make_loader(context, &o);
    int i;

    for (i = 0; i < 6; i++) next(loader);
    ck_assert_int_eq(atomic_load(&counters[0].calls), 24);
    ck_assert_int_eq(atomic_load(&counters[0].wrong_thread), 0);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);

    augmenter = make_counting_augmenter(context, counters, 1, SSLCV_CALLBACK_ANY_THREAD);
    o.augmenter = augmenter;
    loader = make_loader(context, &o);
    next(loader);
    ck_assert_int_ge(atomic_load(&counters[0].wrong_thread), 4); /* the loader's own threads do the work */
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
}
END_TEST

typedef struct source {
    unsigned char bytes[4][3 * SIDE * SIDE];
    atomic_int lent, wrong_thread, urgent;
} source;

/** The nice value of the calling thread; elsewhere than on Linux, of the process. */
static int nice_value(void)
{
    return getpriority(PRIO_PROCESS, 0);
}

static int32_t source_load(void *user, int64_t index, sslcv_tensor *image)
{
    static const int64_t shape[3] = {3, SIDE, SIDE};
    source *s = user;

    if (index % 4 == 3) return 1;
    atomic_fetch_add(&s->lent, 1);
    if (!pthread_equal(pthread_self(), host_thread)) {
        atomic_fetch_add(&s->wrong_thread, 1);
        if (nice_value() < 10) atomic_fetch_add(&s->urgent, 1);
    }
    return sslcv_tensor_init(image, SSLCV_U8, s->bytes[index % 4], 3, shape);
}

static void source_unload(void *user, int64_t index, const sslcv_tensor *image)
{
    (void)index;
    (void)image;
    atomic_fetch_sub(&((source *)user)->lent, 1);
}

START_TEST(callback_data_set)
{
    static source s;
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_CALLBACK, NULL);
    sslcv_dataset_callbacks table = {0};
    sslcv_augmenter *augmenter = make_augmenter(context);
    const int before = nice_value();
    int32_t flags;
    int i;

    table.struct_size = sizeof table;
    table.user = &s;
    table.load = source_load;
    table.unload = source_unload;
    options.callbacks = &table;
    options.count = 16;
    for (flags = 0; flags <= SSLCV_CALLBACK_ANY_THREAD; flags++) {
        sslcv_dataset *dataset;
        sslcv_loader_options o;
        sslcv_loader *loader;

        table.flags = flags;
        memset(&s, 0, sizeof s);
        dataset = make_dataset(context, &options);
        o = loader_options(dataset, augmenter, 4);
        loader = make_loader(context, &o);
        for (i = 0; i < 8; i++) next(loader);
        ck_assert_int_eq(info_of(dataset).failed, 4);
        sslcv_loader_destroy(loader);
        ck_assert_int_eq(atomic_load(&s.lent), 0);
        ck_assert_int_eq(atomic_load(&s.wrong_thread) != 0, flags);
#ifdef __linux__ /* loader threads give way to others, and to others alone */
        ck_assert(nice_value() < 0 || atomic_load(&s.urgent) == 0);
        ck_assert_int_eq(nice_value(), before);
#endif
        sslcv_dataset_destroy(dataset);
    }
    sslcv_augmenter_destroy(augmenter);
}
END_TEST

/* ---- growth ---- */

START_TEST(growing_list)
{
    sslcv_dataset *list = make_images(context, 8);
    sslcv_augmenter *augmenter = make_augmenter(context);
    sslcv_loader_options o = loader_options(list, augmenter, 4);
    sslcv_loader *loader = make_loader(context, &o);
    int i;

    ck_assert_int_eq(next(loader).count, 2);
    for (i = 8; i < 12; i++) add_pixels(list, SIDE, SIDE, i, 0);
    OK(sslcv_loader_seek(loader, 0, 1)); /* the epoch keeps its samples */
    FAILS(sslcv_loader_seek(loader, 0, 2), SSLCV_ERR_NOT_FOUND, "epoch 0 has 2");
    ck_assert_int_eq(next(loader).count, 2);
    add_pixels(list, SIDE, SIDE, 12, 0); /* the next one has been made ahead without it */
    for (i = 0; i < 3; i++) ck_assert_int_eq(next(loader).count, 3);
    add_pixels(list, SIDE, SIDE, 13, 0);
    add_pixels(list, SIDE, SIDE, 14, 0);
    add_pixels(list, SIDE, SIDE, 15, 0);
    for (i = 0; i < 4; i++) ck_assert_int_eq(next(loader).count, 4);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(list);
}
END_TEST

static void *grow(void *list)
{
    int i;

    for (i = 0; i < 300; i++) {
        add_pixels(list, SIDE, SIDE, i, i % 3);
        sched_yield();
    }
    return NULL;
}

START_TEST(growing_meanwhile)
{
    sslcv_dataset *list = make_images(context, 20);
    sslcv_augmenter *augmenter = make_augmenter(context);
    sslcv_loader_options o = loader_options(list, augmenter, 4);
    sslcv_loader *loader = make_loader(context, &o);
    pthread_t threads[2];
    int64_t count = 0, seen = 0;
    int i;

    for (i = 0; i < 2; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, grow, list), 0);
    for (i = 0; i < 400; i++) {
        const sslcv_batch batch = next(loader);

        if (batch.index == 0) {
            ck_assert_int_ge(batch.count, count);
            count = batch.count;
            seen = 0;
        }
        ck_assert_int_eq(batch.count, count);
        ck_assert_int_eq(batch.index, seen++);
        get_views(loader, 0, 1);
        info_of(list);
    }
    for (i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    ck_assert_int_eq(info_of(list).count, 620);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(list);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loader");

    CASE(suite, "batches", same_for_any_threads, batches_of_an_epoch, views_as_applied, views_together, seek, range,
         real_photos);
    CASE(suite, "callbacks", views_on_demand, callbacks_stay_on_the_thread, callback_data_set);
    CASE(suite, "growth", growing_list, growing_meanwhile);
    return run_suite(suite);
}
