/** What the suites of lib/data/loader.c share: images, crops of them, loaders, the hash of a batch. */
#ifndef SSLCV__TESTS_LOADER_SUPPORT_H
#define SSLCV__TESTS_LOADER_SUPPORT_H

#include "data_support.h"

#include "data/loader.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

/* ---- context, images, views ---- */

enum { SIDE = 8, CROP = 6, VIEW_FLOATS = 3 * CROP * CROP };

static sslcv_context *context;
static char log_lines[32][256];
static int num_lines;
static pthread_t host_thread;

static inline void keep_line(void *user, int32_t level, const char *text)
{
    (void)user;
    ck_assert(pthread_equal(pthread_self(), host_thread));
    ck_assert_int_eq(level, SSLCV_LOG_WARNING);
    snprintf(log_lines[num_lines++ % 32], sizeof log_lines[0], "%s", text);
}

static inline sslcv_context *make_loader_context(int32_t threads, host *memory)
{
    const sslcv_allocator allocator = {sizeof allocator, memory, host_allocate, host_deallocate, NULL};
    sslcv_context_options options;
    sslcv_context *made = NULL;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.seed = 3;
    options.loader_threads = threads;
    options.log = keep_line;
    options.log_level = SSLCV_LOG_WARNING;
    if (memory) {
        memory->fail_at = -1;
        memory->once = 1;
        options.allocator = &allocator;
    }
    OK(sslcv_context_create(&options, &made));
    return made;
}

static inline void setup(void)
{
    host_thread = pthread_self();
    num_lines = 0;
    make_folder();
    context = make_loader_context(2, NULL);
}

static inline void teardown(void)
{
    sslcv_context_info info;

    info.struct_size = sizeof info;
    OK(sslcv_context_get_info(context, &info));
    ck_assert_int_eq(info.bytes, 0);
    sslcv_context_destroy(context);
    remove_tree();
}

static inline void add_crop(sslcv_augmenter *augmenter, int64_t size)
{
    sslcv_transform t;
    int64_t view;

    OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
    OK(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_RANDOM_CROP));
    t.height = t.width = size;
    OK(sslcv_augmenter_add_transform(augmenter, view, &t));
    OK(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_HORIZONTAL_FLIP));
    OK(sslcv_augmenter_add_transform(augmenter, view, &t));
}

/** Views 0 and 1 are (3, 6, 6), view 2 is (3, 4, 4), view 3 is (3, 6, 6). */
static inline sslcv_augmenter *make_augmenter(sslcv_context *of)
{
    sslcv_augmenter *augmenter = NULL;

    OK(sslcv_augmenter_create(of, &augmenter));
    add_crop(augmenter, CROP);
    add_crop(augmenter, CROP);
    add_crop(augmenter, 4);
    add_crop(augmenter, CROP);
    return augmenter;
}

static inline sslcv_dataset *make_images(sslcv_context *of, int count)
{
    sslcv_dataset *list = make_list(of);
    int i;

    for (i = 0; i < count; i++) add_pixels(list, SIDE, SIDE, i, i % 5 - 1);
    return list;
}

static inline sslcv_loader_options loader_options(sslcv_dataset *dataset, sslcv_augmenter *augmenter,
                                                  int64_t batch_size)
{
    sslcv_loader_options o;

    OK(sslcv_loader_options_init(&o, sizeof o));
    o.dataset = dataset;
    o.augmenter = augmenter;
    o.batch_size = batch_size;
    o.seed = 11;
    return o;
}

static inline sslcv_loader *make_loader(sslcv_context *of, const sslcv_loader_options *o)
{
    sslcv_loader *loader = NULL;

    OK(sslcv_loader_create(of, o, &loader));
    return loader;
}

static inline sslcv_batch next(sslcv_loader *loader)
{
    sslcv_batch batch;

    batch.struct_size = sizeof batch;
    OK(sslcv_loader_next(loader, &batch));
    return batch;
}

static inline sslcv_status try_next(sslcv_loader *loader)
{
    sslcv_batch batch;

    batch.struct_size = sizeof batch;
    return sslcv_loader_next(loader, &batch);
}

static inline sslcv_tensor get_views(sslcv_loader *loader, int64_t a, int64_t b)
{
    const int64_t views[2] = {a, b};
    sslcv_tensor images;

    OK(sslcv_loader_get_views(loader, views, b < 0 ? 1 : 2, &images));
    return images;
}

/** FNV-1a over everything that a batch says and shows. */
static inline uint64_t hash(uint64_t h, const void *bytes, int64_t size)
{
    const unsigned char *p = bytes;
    int64_t i;

    for (i = 0; i < size; i++) h = (h ^ p[i]) * UINT64_C(1099511628211);
    return h;
}

static inline uint64_t hash_batch(sslcv_loader *loader, const sslcv_batch *batch)
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

static inline void hash_batches(int32_t threads, int64_t prefetch, int count, uint64_t *hashes)
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

/* ---- views that count ---- */

typedef struct counter {
    atomic_int calls, wrong_thread;
    int32_t answer;
    int32_t sleep_ms;
} counter;

static inline int32_t count_call(void *user, const sslcv_tensor *src, sslcv_tensor *dst, uint64_t random)
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

static inline sslcv_augmenter *make_counting_augmenter(sslcv_context *of, counter *counters, int num_views,
                                                       int32_t flags)
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
        OK(sslcv_augmenter_add_transform(augmenter, i, &t));
    }
    return augmenter;
}

#endif
