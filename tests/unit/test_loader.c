#define _GNU_SOURCE /* pthread_setattr_default_np */
#include "data_support.h"

#include "data/loader.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- context, images, views ---- */

enum { SIDE = 8, CROP = 6, VIEW_FLOATS = 3 * CROP * CROP };

static sslcv_context *context;
static char log_lines[32][256];
static int num_lines;
static pthread_t host_thread;

static void keep_line(void *user, int32_t level, const char *text)
{
    (void)user;
    ck_assert(pthread_equal(pthread_self(), host_thread));
    ck_assert_int_eq(level, SSLCV_LOG_WARNING);
    snprintf(log_lines[num_lines++ % 32], sizeof log_lines[0], "%s", text);
}

static sslcv_context *make_loader_context(int32_t threads, failing_memory *memory)
{
    const sslcv_allocator allocator = {sizeof allocator, memory, failing_allocate, failing_deallocate};
    sslcv_context_options options;
    sslcv_context *made = NULL;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.seed = 3;
    options.loader_threads = threads;
    options.log = keep_line;
    options.log_level = SSLCV_LOG_WARNING;
    if (memory) {
        memory->fail_at = -1;
        options.allocator = &allocator;
    }
    OK(sslcv_context_create(&options, &made));
    return made;
}

static void setup(void)
{
    host_thread = pthread_self();
    num_lines = 0;
    make_folder();
    context = make_loader_context(2, NULL);
}

static void teardown(void)
{
    sslcv_context_info info;

    info.struct_size = sizeof info;
    OK(sslcv_context_get_info(context, &info));
    ck_assert_int_eq(info.bytes, 0);
    sslcv_context_destroy(context);
    remove_tree();
}

static void add_crop(sslcv_augmenter *augmenter, int64_t size)
{
    sslcv_transform t;
    int64_t view;

    OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
    OK(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_RANDOM_CROP));
    t.height = t.width = size;
    OK(sslcv_augmenter_add(augmenter, view, &t));
    OK(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_HORIZONTAL_FLIP));
    OK(sslcv_augmenter_add(augmenter, view, &t));
}

/** Views 0 and 1 are (3, 6, 6), view 2 is (3, 4, 4), view 3 is (3, 6, 6). */
static sslcv_augmenter *make_augmenter(sslcv_context *of)
{
    sslcv_augmenter *augmenter = NULL;

    OK(sslcv_augmenter_create(of, &augmenter));
    add_crop(augmenter, CROP);
    add_crop(augmenter, CROP);
    add_crop(augmenter, 4);
    add_crop(augmenter, CROP);
    return augmenter;
}

static sslcv_dataset *make_images(sslcv_context *of, int count)
{
    sslcv_dataset *list = make_list(of);
    int i;

    for (i = 0; i < count; i++) add_pixels(list, SIDE, SIDE, i, i % 5 - 1);
    return list;
}

static sslcv_loader_options loader_options(sslcv_dataset *dataset, sslcv_augmenter *augmenter, int64_t batch_size)
{
    sslcv_loader_options o;

    OK(sslcv_loader_options_init(&o, sizeof o));
    o.dataset = dataset;
    o.augmenter = augmenter;
    o.batch_size = batch_size;
    o.seed = 11;
    return o;
}

static sslcv_loader *make_loader(sslcv_context *of, const sslcv_loader_options *o)
{
    sslcv_loader *loader = NULL;

    OK(sslcv_loader_create(of, o, &loader));
    return loader;
}

static sslcv_batch next(sslcv_loader *loader)
{
    sslcv_batch batch;

    batch.struct_size = sizeof batch;
    OK(sslcv_loader_next(loader, &batch));
    return batch;
}

static sslcv_status try_next(sslcv_loader *loader)
{
    sslcv_batch batch;

    batch.struct_size = sizeof batch;
    return sslcv_loader_next(loader, &batch);
}

static sslcv_tensor get_views(sslcv_loader *loader, int64_t a, int64_t b)
{
    const int64_t views[2] = {a, b};
    sslcv_tensor images;

    OK(sslcv_loader_get_views(loader, views, b < 0 ? 1 : 2, &images));
    return images;
}

/** FNV-1a over everything that a batch says and shows. */
static uint64_t hash(uint64_t h, const void *bytes, int64_t size)
{
    const unsigned char *p = bytes;
    int64_t i;

    for (i = 0; i < size; i++) h = (h ^ p[i]) * UINT64_C(1099511628211);
    return h;
}

static uint64_t hash_batch(sslcv_loader *loader, const sslcv_batch *batch)
{
    uint64_t h = UINT64_C(14695981039346656037);
    sslcv_tensor images = get_views(loader, 0, 1);

    h = hash(h, &batch->size, 4 * sizeof batch->size);
    h = hash(h, batch->ids, batch->size * (int64_t)sizeof *batch->ids);
    h = hash(h, batch->labels, batch->size * (int64_t)sizeof *batch->labels);
    ck_assert_int_eq(images.shape[0], 2 * batch->size);
    h = hash(h, images.data, 2 * batch->size * VIEW_FLOATS * (int64_t)sizeof(float));
    images = get_views(loader, 2, -1);
    return hash(h, images.data, batch->size * 3 * 4 * 4 * (int64_t)sizeof(float));
}

static void hash_batches(int32_t threads, int64_t prefetch, int count, uint64_t *hashes)
{
    sslcv_context *own = make_loader_context(threads, NULL);
    sslcv_dataset *images = make_images(own, 23);
    sslcv_augmenter *augmenter = make_augmenter(own);
    sslcv_loader_options o = loader_options(images, augmenter, 5);
    sslcv_loader *loader;
    int i;

    o.prefetch = prefetch;
    o.drop_last = 0;
    loader = make_loader(own, &o);
    for (i = 0; i < count; i++) {
        const sslcv_batch batch = next(loader);

        hashes[i] = hash_batch(loader, &batch);
    }
    sslcv_context_destroy(own); /* in the wrong order, which is fine */
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
    sslcv_loader_destroy(loader);
}

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
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
}
END_TEST

/* ---- views on demand ---- */

typedef struct counter {
    atomic_int calls, wrong_thread;
    int32_t answer;
    int32_t sleep_ms;
} counter;

static int32_t count_call(void *user, const sslcv_tensor *src, sslcv_tensor *dst, uint64_t random)
{
    counter *c = user;
    const struct timespec time = {0, c->sleep_ms * 1000000L};

    (void)random;
    atomic_fetch_add(&c->calls, 1);
    if (!pthread_equal(pthread_self(), host_thread)) atomic_fetch_add(&c->wrong_thread, 1);
    if (c->sleep_ms) nanosleep(&time, NULL);
    memcpy(dst->data, src->data, (size_t)(src->shape[0] * src->shape[1] * src->shape[2]) * sizeof(float));
    return c->answer;
}

static sslcv_augmenter *make_counting_augmenter(sslcv_context *of, counter *counters, int num_views, int32_t flags)
{
    sslcv_augmenter *augmenter = NULL;
    int i;

    OK(sslcv_augmenter_create(of, &augmenter));
    memset(counters, 0, (size_t)num_views * sizeof *counters);
    for (i = 0; i < num_views; i++) {
        sslcv_transform_callbacks table = {0};
        sslcv_transform t;

        add_crop(augmenter, CROP);
        table.struct_size = sizeof table;
        table.user = &counters[i];
        table.apply = count_call;
        table.flags = flags;
        OK(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_CUSTOM));
        t.callbacks = &table;
        OK(sslcv_augmenter_add(augmenter, i, &t));
    }
    return augmenter;
}

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

/* ---- unreadable samples ---- */

static sslcv_dataset *make_files(int32_t on_error)
{
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_FOLDER, test_folder);
    char name[16];
    int i;

    for (i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "%d.ppm", i);
        if (i == 4 || i == 5 || i == 9) {
            write_file(in_folder(name), "P6\n8 8\n255\ncut", 14);
        } else {
            write_ppm(name, SIDE, SIDE, i);
        }
    }
    options.on_error = on_error;
    options.label_folders = 0;
    return make_dataset(context, &options);
}

START_TEST(substitutes)
{
    sslcv_dataset *files = make_files(SSLCV_ON_ERROR_SUBSTITUTE);
    sslcv_augmenter *augmenter = make_augmenter(context);
    sslcv_loader_options o = loader_options(files, augmenter, 5);
    sslcv_loader *loader;
    sslcv_batch batch;
    int epoch, i;

    o.sampler = SSLCV_SAMPLER_IN_ORDER;
    loader = make_loader(context, &o);
    OK(sslcv_context_cancel(context, 1));
    FAILS(try_next(loader), SSLCV_ERR_CANCELLED, "cancelled");
    OK(sslcv_context_cancel(context, 0));
    for (epoch = 0; epoch < 3; epoch++) {
        batch = next(loader);
        ck_assert(batch.ids[3] == 3 && batch.ids[4] == 6);
        ck_assert_int_eq(sslcv__loader_substituted(loader)[3], 0);
        ck_assert_int_eq(sslcv__loader_substituted(loader)[4], 1);
        ck_assert_str_eq(sslcv_last_error(), "cancelled by sslcv_context_cancel()"); /* success leaves it alone */
        batch = next(loader);
        ck_assert(batch.ids[0] == 6 && batch.ids[1] == 6 && batch.ids[4] == 0);
        ck_assert_int_eq(sslcv__loader_substituted(loader)[1], 0);
        ck_assert_int_eq(memcmp((float *)get_views(loader, 0, -1).data, /* the same sample, the same draws */
                                (float *)get_views(loader, 0, -1).data + VIEW_FLOATS, VIEW_FLOATS * sizeof(float)),
                         0);
    }
    ck_assert_int_eq(info_of(files).failed, 3);
    ck_assert_int_eq(num_lines, 3); /* each once */
    for (i = 0; i < 3; i++) {
        ck_assert_ptr_nonnull(strstr(log_lines[i], "is left out"));
        ck_assert_ptr_nonnull(strstr(log_lines[i], ".ppm"));
    }
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(files);
}
END_TEST

START_TEST(fails_when_told)
{
    sslcv_dataset *files = make_files(SSLCV_ON_ERROR_FAIL);
    sslcv_augmenter *augmenter = make_augmenter(context);
    sslcv_loader_options o = loader_options(files, augmenter, 2);
    sslcv_loader *loader;

    o.sampler = SSLCV_SAMPLER_IN_ORDER;
    loader = make_loader(context, &o);
    ck_assert_int_eq(next(loader).ids[0], 0);
    ck_assert_int_eq(next(loader).ids[0], 2);
    FAILS(try_next(loader), SSLCV_ERR_FORMAT, "4.ppm");
    FAILS(sslcv_loader_get_views(loader, (const int64_t[]){0}, 1, &(sslcv_tensor){0}), SSLCV_ERR_STATE, "no current");
    FAILS(try_next(loader), SSLCV_ERR_FORMAT, "4.ppm");
    write_ppm("4.ppm", SIDE, SIDE, 4);
    FAILS(try_next(loader), SSLCV_ERR_FORMAT, "5.ppm");
    write_ppm("5.ppm", SIDE, SIDE, 5);
    ck_assert_int_eq(next(loader).ids[1], 5); /* repaired: it stood there all the while */
    ck_assert_int_eq(next(loader).ids[0], 6);
    FAILS(try_next(loader), SSLCV_ERR_FORMAT, "9.ppm");
    OK(sslcv_loader_seek(loader, 1, 0)); /* past it */
    ck_assert_int_eq(next(loader).epoch, 1);
    ck_assert_int_eq(num_lines, 0);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(files);
}
END_TEST

START_TEST(vanishing_folder)
{
    sslcv_dataset *files = make_files(SSLCV_ON_ERROR_SUBSTITUTE);
    sslcv_augmenter *augmenter = make_augmenter(context);
    sslcv_loader_options o = loader_options(files, augmenter, 4);
    sslcv_loader *loader;
    int i;

    o.prefetch = 0;
    loader = make_loader(context, &o);
    next(loader);
    remove_tree();
    for (i = 0; i < 3; i++) FAILS(try_next(loader), SSLCV_ERR_NOT_FOUND, "none of 10 samples can be read; the last");
    ck_assert_int_eq(info_of(files).failed, 10);
    ck_assert_int_eq(num_lines, 10);

    ck_assert_int_eq(mkdir(test_folder, 0755), 0); /* it comes back: samples are tried again when it is their turn */
    for (i = 0; i < 10; i++) {
        char name[16];

        snprintf(name, sizeof name, "%d.ppm", i);
        write_ppm(name, SIDE, SIDE, i);
    }
    ck_assert_int_eq(next(loader).index, 1);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(files);
}
END_TEST

START_TEST(refused_by_a_transform)
{
    counter counters[1];
    sslcv_dataset *images = make_images(context, 8);
    sslcv_augmenter *augmenter = make_counting_augmenter(context, counters, 1, SSLCV_CALLBACK_ANY_THREAD);
    sslcv_loader_options o = loader_options(images, augmenter, 4);
    sslcv_loader *loader = make_loader(context, &o);

    counters[0].answer = 5;
    FAILS(try_next(loader), SSLCV_ERR_CANCELLED, "none of 8 samples can be read");
    ck_assert_int_eq(info_of(images).failed, 8);
    counters[0].answer = 0;
    next(loader);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
}
END_TEST

START_TEST(shapes_must_agree)
{
    sslcv_dataset *list = make_list(context);
    sslcv_augmenter *augmenter = NULL;
    sslcv_loader_options o;
    sslcv_loader *loader;
    int i;

    for (i = 0; i < 8; i++) add_pixels(list, SIDE, i == 6 ? 9 : SIDE, i, -1);
    OK(sslcv_augmenter_create(context, &augmenter));
    OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, NULL));
    o = loader_options(list, augmenter, 4);
    o.sampler = SSLCV_SAMPLER_IN_ORDER;
    loader = make_loader(context, &o);
    next(loader);
    ck_assert_int_eq(get_views(loader, 0, -1).shape[3], SIDE);
    FAILS(try_next(loader), SSLCV_ERR_INVALID_ARGUMENT,
          "sample 6 gives view 0 the shape (1, 3, 8, 9), sample 4 of the same batch (1, 3, 8, 8)");
    ck_assert_int_eq(info_of(list).failed, 0);
    sslcv_loader_destroy(loader);

    o.batch_size = 2; /* each batch by itself may have its own */
    o.drop_last = 0;
    OK(sslcv_dataset_add_file(list, NULL, "P6\n1 1\n255\nabc", 14, -1));
    loader = make_loader(context, &o);
    OK(sslcv_loader_seek(loader, 0, 4));
    next(loader);
    ck_assert_int_eq(get_views(loader, 0, -1).shape[3], 1);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(list);
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

/* ---- life ---- */

START_TEST(destroyed_early)
{
    counter counters[1];
    sslcv_dataset *images = make_images(context, 50);
    sslcv_augmenter *augmenter = make_counting_augmenter(context, counters, 1, SSLCV_CALLBACK_ANY_THREAD);
    sslcv_loader_options o = loader_options(images, augmenter, 10);
    int batches;

    counters[0].sleep_ms = 2;
    o.prefetch = 4;
    for (batches = 0; batches < 3; batches++) {
        sslcv_loader *loader = make_loader(context, &o);
        int i;

        for (i = 0; i < batches; i++) next(loader);
        sslcv_loader_destroy(loader);
    }
    ck_assert_int_lt(atomic_load(&counters[0].calls), 140); /* it did not finish what was made ahead */
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
}
END_TEST

static void *cancel_soon(void *user)
{
    const struct timespec time = {0, 20000000};

    nanosleep(&time, NULL);
    sslcv_context_cancel(user, 1);
    return NULL;
}

static void check_cancel(int32_t threads)
{
    counter counters[1];
    sslcv_context *own = make_loader_context(threads, NULL);
    sslcv_dataset *images = make_images(own, 50);
    sslcv_augmenter *augmenter = make_counting_augmenter(own, counters, 1, SSLCV_CALLBACK_ANY_THREAD);
    sslcv_loader_options o = loader_options(images, augmenter, 50);
    sslcv_loader *loader = make_loader(own, &o);
    pthread_t thread;

    counters[0].sleep_ms = 2;
    ck_assert_int_eq(pthread_create(&thread, NULL, cancel_soon, own), 0);
    FAILS(try_next(loader), SSLCV_ERR_CANCELLED, "cancelled by sslcv_context_cancel()");
    pthread_join(thread, NULL);
    if (threads == 0) ck_assert_int_lt(atomic_load(&counters[0].calls), 50);
    FAILS(try_next(loader), SSLCV_ERR_CANCELLED, "cancelled");
    OK(sslcv_context_cancel(own, 0));
    ck_assert_int_eq(next(loader).epoch, 0); /* the batch that was not handed out */
    ck_assert_int_eq(next(loader).epoch, 1);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
    sslcv_context_destroy(own);
}

START_TEST(cancelled)
{
    check_cancel(0);
    check_cancel(2);
}
END_TEST

#define LOADER_REFUSED(change, status, text)                                                                           \
    do {                                                                                                               \
        sslcv_loader_options refused = loader_options(images, augmenter, 4);                                           \
        sslcv_loader *none = NULL;                                                                                     \
        change;                                                                                                        \
        FAILS(sslcv_loader_create(context, &refused, &none), status, text);                                            \
        ck_assert_ptr_null(none);                                                                                      \
    } while (0)

START_TEST(options_refused)
{
    sslcv_context *other = make_loader_context(0, NULL);
    sslcv_dataset *images = make_images(context, 8), *empty = make_list(context), *foreign = make_list(other);
    sslcv_augmenter *augmenter = make_augmenter(context), *blank = NULL;
    sslcv_loader_options o = loader_options(images, augmenter, 4);
    sslcv_loader *loader;
    sslcv_batch batch;

    OK(sslcv_augmenter_create(context, &blank));
    LOADER_REFUSED(refused.dataset = NULL, SSLCV_ERR_INVALID_ARGUMENT, "loader.dataset is NULL");
    LOADER_REFUSED(refused.augmenter = NULL, SSLCV_ERR_INVALID_ARGUMENT, "loader.augmenter is NULL");
    LOADER_REFUSED(refused.dataset = foreign, SSLCV_ERR_INVALID_ARGUMENT, "loader.dataset comes from another context");
    LOADER_REFUSED(refused.augmenter = blank, SSLCV_ERR_STATE, "loader.augmenter has no views");
    LOADER_REFUSED(refused.batch_size = 0, SSLCV_ERR_INVALID_ARGUMENT, "loader.batch_size is 0; must be 1 .. 2^31 - 1");
    LOADER_REFUSED(refused.batch_size = 9, SSLCV_ERR_LIMIT, "8 samples do not fill one batch of 9");
    LOADER_REFUSED((refused.dataset = empty, refused.drop_last = 0), SSLCV_ERR_LIMIT, "the data set is empty");
    LOADER_REFUSED(refused.prefetch = 65, SSLCV_ERR_INVALID_ARGUMENT, "loader.prefetch is 65; must be 0 .. 64");
    LOADER_REFUSED(refused.prefetch = -1, SSLCV_ERR_INVALID_ARGUMENT, "loader.prefetch is -1");
    LOADER_REFUSED(refused.sampler = 2, SSLCV_ERR_INVALID_ARGUMENT, "loader.sampler is 2");
    LOADER_REFUSED(refused.drop_last = 2, SSLCV_ERR_INVALID_ARGUMENT, "loader.drop_last is 2");
    FAILS(sslcv_loader_create(context, NULL, &loader), SSLCV_ERR_INVALID_ARGUMENT, "loader_options is NULL");
    FAILS(sslcv_loader_create(context, &o, NULL), SSLCV_ERR_INVALID_ARGUMENT, "loader is NULL");
    FAILS(sslcv_loader_next(NULL, &batch), SSLCV_ERR_INVALID_ARGUMENT, "loader is NULL");

    loader = make_loader(context, &o);
    FAILS(sslcv_loader_next(loader, NULL), SSLCV_ERR_INVALID_ARGUMENT, "batch is NULL");
    batch.struct_size = 8;
    FAILS(sslcv_loader_next(loader, &batch), SSLCV_ERR_INVALID_ARGUMENT, "batch.struct_size is 8");
    FAILS(sslcv__loader_restrict(loader, 0, 4), SSLCV_ERR_STATE, "needs SSLCV_SAMPLER_IN_ORDER");
    sslcv_loader_destroy(loader);
    sslcv_loader_destroy(NULL);
    sslcv_augmenter_destroy(augmenter);
    sslcv_augmenter_destroy(blank);
    sslcv_dataset_destroy(images);
    sslcv_dataset_destroy(empty);
    sslcv_dataset_destroy(foreign);
    sslcv_context_destroy(other);
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

START_TEST(forked)
{
    sslcv_dataset *images = make_images(context, 8);
    sslcv_augmenter *augmenter = make_augmenter(context);
    sslcv_loader_options o = loader_options(images, augmenter, 4);
    sslcv_loader *loader = make_loader(context, &o);
    int status = -1;
    pid_t child;

    next(loader);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        const int refused = try_next(loader) == SSLCV_ERR_STATE && strstr(sslcv_last_error(), "is a fork of process");

        sslcv_loader_destroy(loader);
        if (refused) execl("/bin/true", "true", (char *)NULL); /* so that leak checkers see only the parent's end */
        _exit(1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    next(loader);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
}
END_TEST

/** Stacks that no machine can give: the loader does without threads, with the same result. */
START_TEST(no_threads_to_be_had)
{
    uint64_t expected[6], hashes[6];
    pthread_attr_t usual, huge;
    int i;

    hash_batches(2, 2, 6, expected);
    ck_assert_int_eq(pthread_getattr_default_np(&usual), 0);
    ck_assert_int_eq(pthread_attr_init(&huge), 0);
    ck_assert_int_eq(pthread_attr_setstacksize(&huge, (size_t)1 << 50), 0);
    ck_assert_int_eq(pthread_setattr_default_np(&huge), 0);
    hash_batches(2, 2, 6, hashes);
    ck_assert_int_eq(pthread_setattr_default_np(&usual), 0);
    ck_assert_int_eq(num_lines, 1);
    ck_assert_str_eq(log_lines[0], "the system gave a loader 0 of 2 threads");
    for (i = 0; i < 6; i++) ck_assert_uint_eq(hashes[i], expected[i]);
    pthread_attr_destroy(&usual);
    pthread_attr_destroy(&huge);
}
END_TEST

/* ---- memory ---- */

static sslcv_status walk(sslcv_context *of, const sslcv_loader_options *o)
{
    static const int64_t views[2] = {1, 0};
    sslcv_loader *loader = NULL;
    sslcv_tensor images;
    sslcv_status status = sslcv_loader_create(of, o, &loader);
    int i;

    if (status != SSLCV_OK) {
        ck_assert_ptr_null(loader);
        return status;
    }
    for (i = 0; i < 3 && status == SSLCV_OK; i++) {
        status = try_next(loader);
        if (status == SSLCV_OK) status = sslcv_loader_get_views(loader, views, 2, &images);
    }
    sslcv_loader_destroy(loader);
    return status;
}

START_TEST(out_of_memory)
{
    failing_memory memory = {0};
    sslcv_context *own = make_loader_context(0, &memory);
    sslcv_dataset *images = make_images(own, 8);
    sslcv_augmenter *augmenter = make_augmenter(own);
    const sslcv_loader_options o = loader_options(images, augmenter, 4);
    sslcv_loader *loader;
    int64_t calls;
    int i;

    RUN_OUT_OF_MEMORY(&memory, walk(own, &o));
    ck_assert_int_eq(info_of(images).failed, 0); /* no memory is not the sample's fault */

    loader = make_loader(own, &o);
    memory.fail_at = memory.calls; /* the order cannot be drawn; the next call does it */
    FAILS(try_next(loader), SSLCV_ERR_OUT_OF_MEMORY, "out of memory");
    memory.fail_at = -1;
    for (i = 0; i < 4; i++) {
        next(loader);
        get_views(loader, 1, 0);
    }
    calls = memory.calls;
    for (i = 0; i < 6; i++) {
        next(loader);
        get_views(loader, 1, 0);
    }
    ck_assert_int_eq(memory.calls, calls); /* no allocation once it runs */
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
    ck_assert_int_eq(memory.blocks, 1); /* the context */
    sslcv_context_destroy(own);
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

static void add_case(Suite *suite, const char *name, const TTest *const *tests, int count)
{
    TCase *tcase = tcase_create(name);
    int i;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    for (i = 0; i < count; i++) tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
}

#define CASE(suite, name, ...)                                                                                         \
    do {                                                                                                               \
        const TTest *const tests[] = {__VA_ARGS__};                                                                    \
        add_case(suite, name, tests, (int)(sizeof tests / sizeof tests[0]));                                           \
    } while (0)

int main(void)
{
    Suite *suite = suite_create("loader");

    CASE(suite, "batches", same_for_any_threads, batches_of_an_epoch, views_as_applied, views_together, seek);
    CASE(suite, "callbacks", views_on_demand, callbacks_stay_on_the_thread, callback_data_set);
    CASE(suite, "unreadable", substitutes, fails_when_told, vanishing_folder, refused_by_a_transform,
         shapes_must_agree);
    CASE(suite, "growth", growing_list, growing_meanwhile);
    CASE(suite, "life", destroyed_early, cancelled, options_refused, range, forked, no_threads_to_be_had, out_of_memory,
         real_photos);
    return run_suite(suite);
}
