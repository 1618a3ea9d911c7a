/* Samples by class: how often each comes, and what comes when one comes again. */
#include "loader_support.h"

#include "data/balanced.h"

enum { MOST = 512 };

static int64_t labels[MOST], order[MOST];
static int32_t repeats[MOST];

static void draw(int64_t n, uint64_t seed, int64_t epoch)
{
    OK(sslcv__order_by_class(context, labels, n, seed, epoch, order, repeats));
}

/* Class c has c + 1 of the samples, in turns; every seventh has no label. */
static int64_t fill_labels(int64_t n, int64_t classes)
{
    int64_t i, c = 0, left = 1, used = 0;

    for (i = 0; i < n; i++) {
        labels[i] = -1;
        if (i % 7 == 6) continue;
        labels[i] = 1000 * c;
        used = c + 1 > used ? c + 1 : used;
        if (--left > 0) continue;
        c = (c + 1) % classes;
        left = c + 1;
    }
    return used;
}

START_TEST(classes_come_equally_often)
{
    static const int64_t sizes[][2] = {{1, 1}, {2, 2}, {30, 1}, {100, 7}, {500, 11}, {64, 60}};
    size_t s;
    int64_t epoch, i, c;

    for (s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const int64_t n = sizes[s][0], classes = fill_labels(n, sizes[s][1]), wanted = n / classes + 1;
        int64_t total[64] = {0}, epochs = 400;

        for (epoch = 0; epoch < epochs; epoch++) {
            int64_t of_class[64] = {0}, seen[MOST] = {0}, members[64] = {0};

            draw(n, 3, epoch);
            for (i = 0; i < n; i++) {
                ck_assert(order[i] >= 0 && order[i] < n && labels[order[i]] >= 0);
                of_class[labels[order[i]] / 1000]++;
                ck_assert_int_eq(repeats[i], seen[order[i]]);
                seen[order[i]]++;
            }
            for (i = 0; i < n; i++) members[labels[i] < 0 ? 63 : labels[i] / 1000] += 1;
            for (c = 0; c < classes; c++) {
                ck_assert_int_le(of_class[c], wanted);
                total[c] += of_class[c];
            }
            /* Where a class has more than are wanted, none comes twice. */
            for (i = 0; i < n; i++) {
                if (labels[i] >= 0 && members[labels[i] / 1000] > wanted) ck_assert_int_le(seen[i], 1);
            }
        }
        for (c = 0; c < classes; c++) {
            const double mean = (double)total[c] / (double)epochs, expected = (double)n / (double)classes;

            ck_assert_msg(fabs(mean - expected) < 0.25, "class %d: %g, not %g", (int)c, mean, expected);
        }
    }
}
END_TEST

/* All members of a class are drawn alike; names of classes do not matter; seed and epoch do. */
START_TEST(draws_within_a_class)
{
    int64_t counts[12] = {0}, first[12], epoch, i, same = 0;

    for (i = 0; i < 12; i++) labels[i] = i < 9; /* 9 of class 1 and 3 of class 0, 7 drawn of each */
    for (epoch = 0; epoch < 3000; epoch++) {
        draw(12, 5, epoch);
        for (i = 0; i < 12; i++) counts[order[i]]++;
    }
    for (i = 0; i < 12; i++) CLOSE((double)counts[i] / 3000.0, i < 9 ? 6.0 / 9.0 : 2.0, 0.05);
    draw(12, 5, 8);
    memcpy(first, order, sizeof first);
    for (i = 0; i < 12; i++) labels[i] = i < 9 ? 4 : 77;
    draw(12, 5, 8);
    ck_assert_mem_eq(first, order, sizeof first);
    draw(12, 6, 8);
    for (i = 0; i < 12; i++) same += order[i] == first[i];
    ck_assert_int_lt(same, 10);
    for (i = 0; i < 12; i++) labels[i] = -1;
    FAILS(sslcv__order_by_class(context, labels, 12, 1, 0, order, repeats), SSLCV_ERR_LIMIT,
          "none of 12 samples has a label; SSLCV_SAMPLER_BY_CLASS needs one");
}
END_TEST

static sslcv_loader *by_class(sslcv_context *of, sslcv_dataset **images, sslcv_augmenter **augmenter)
{
    sslcv_loader_options o;

    *images = make_images(of, 23); /* labels -1 .. 3 in turns */
    *augmenter = make_augmenter(of);
    o = loader_options(*images, *augmenter, 5);
    o.sampler = SSLCV_SAMPLER_BY_CLASS;
    o.drop_last = 0;
    return make_loader(of, &o);
}

START_TEST(repeated_samples_have_other_views)
{
    const int64_t shape[3] = {3, SIDE, SIDE};
    unsigned char bytes[3 * SIDE * SIDE];
    float expected[VIEW_FLOATS];
    sslcv_dataset *images;
    sslcv_augmenter *augmenter;
    sslcv_loader *loader = by_class(context, &images, &augmenter);
    int64_t seen[23], of_class[4], i, again = 0;
    int index;

    for (index = 0; index < 10; index++) {
        const sslcv_batch batch = next(loader);
        const sslcv_tensor view = get_views(loader, 1, -1);

        if (batch.index == 0) {
            memset(seen, 0, sizeof seen);
            memset(of_class, 0, sizeof of_class);
        }
        ck_assert_int_eq(batch.count, 5);
        for (i = 0; i < batch.size; i++) {
            const int64_t id = batch.ids[i];
            sslcv_tensor image, out = {0};

            ck_assert(batch.labels[i] == id % 5 - 1 && batch.labels[i] >= 0);
            of_class[batch.labels[i]]++;
            OK(sslcv_tensor_init(&image, SSLCV_U8, bytes, 3, shape));
            OK(sslcv_dataset_read(images, id, &image));
            OK(sslcv_augmenter_apply(augmenter, &image, 11, batch.epoch + (seen[id] << 32), id, 1, &out));
            out.data = expected;
            OK(sslcv_augmenter_apply(augmenter, &image, 11, batch.epoch + (seen[id] << 32), id, 1, &out));
            ck_assert_mem_eq(expected, (float *)view.data + i * VIEW_FLOATS, sizeof expected);
            again += seen[id]++ > 0;
        }
        for (i = 0; batch.index == 4 && i < 4; i++) ck_assert(of_class[i] >= 3 && of_class[i] <= 6);
    }
    ck_assert_int_gt(again, 4);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
}
END_TEST

START_TEST(same_for_any_threads)
{
    static const int32_t threads[] = {0, 1, 4};
    uint64_t expected[12] = {0};
    int i, k;

    for (k = 0; k < 3; k++) {
        sslcv_context *own = make_loader_context(threads[k], NULL);
        sslcv_dataset *images;
        sslcv_augmenter *augmenter;
        sslcv_loader *loader = by_class(own, &images, &augmenter);

        for (i = 0; i < 12; i++) {
            sslcv_batch batch;
            uint64_t value;

            if (i == 7) OK(sslcv_loader_seek(loader, 1, 2)); /* where it stands, but anew */
            batch = next(loader);
            value = hash_batch(loader, &batch);
            if (k == 0) expected[i] = value;
            ck_assert(value == expected[i]);
        }
        sslcv_loader_destroy(loader);
        sslcv_augmenter_destroy(augmenter);
        sslcv_dataset_destroy(images);
        sslcv_context_destroy(own);
    }
}
END_TEST

/* Given labels are handed out, and drawn by from the batch that comes next. */
START_TEST(labels_instead)
{
    sslcv_dataset *images;
    sslcv_augmenter *augmenter;
    sslcv_loader *loader = by_class(context, &images, &augmenter);
    int64_t given[23], i, k;
    sslcv_batch batch;

    for (i = 0; i < 23; i++) given[i] = i == 4 ? 50 : i == 9 ? 60 : -1;
    next(loader);
    sslcv__loader_set_labels(loader, given, 23);
    for (k = 1; k < 7; k++) {
        batch = next(loader);
        ck_assert(batch.epoch == k / 5 && batch.index == k % 5);
        for (i = 0; i < batch.size; i++) {
            ck_assert(batch.ids[i] == 4 || batch.ids[i] == 9);
            ck_assert_int_eq(batch.labels[i], batch.ids[i] == 4 ? 50 : 60);
        }
    }
    for (i = 0; i < 23; i++) given[i] = -1;
    sslcv__loader_set_labels(loader, given, 23);
    FAILS(try_next(loader), SSLCV_ERR_LIMIT, "none of 23 samples has a label");
    sslcv__loader_set_labels(loader, NULL, 0);
    batch = next(loader);
    for (i = 0; i < batch.size; i++) ck_assert_int_eq(batch.labels[i], batch.ids[i] % 5 - 1);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
}
END_TEST

/* The last epoch that a number can tell, where samples come again. */
START_TEST(the_last_epoch)
{
    sslcv_dataset *images;
    sslcv_augmenter *augmenter;
    sslcv_loader *loader = by_class(context, &images, &augmenter);
    int k;

    OK(sslcv_loader_seek(loader, INT64_MAX, 0));
    for (k = 0; k < 7; k++) {
        const sslcv_batch batch = next(loader);

        ck_assert(batch.epoch == INT64_MAX && batch.index == k % 5);
    }
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
}
END_TEST

/* fail: the allocation that fails, from the loader's creation on. */
static sslcv_status walk(sslcv_context *own, host *memory, int64_t fail)
{
    sslcv_loader_options o;
    sslcv_dataset *images = make_images(own, 8);
    sslcv_augmenter *augmenter = make_augmenter(own);
    sslcv_loader *loader = NULL;
    sslcv_status status;

    o = loader_options(images, augmenter, 4);
    o.sampler = SSLCV_SAMPLER_BY_CLASS;
    memory->fail_at = memory->calls + fail;
    status = sslcv_loader_create(own, &o, &loader);
    if (status == SSLCV_OK) status = try_next(loader);
    memory->fail_at = -1;
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
    return status;
}

START_TEST(allocations_may_fail)
{
    host memory = {.fail_at = -1};
    sslcv_context *own = make_loader_context(0, &memory);
    int64_t n;

    for (n = 0;; n++) {
        const int64_t blocks = memory.out;
        sslcv_status status;

        status = walk(own, &memory, n);
        ck_assert_int_eq(memory.out, blocks);
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
    }
    ck_assert_int_gt(n, 8);
    sslcv_context_destroy(own);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loader_by_class");

    CASE(suite, "by class", classes_come_equally_often, draws_within_a_class, repeated_samples_have_other_views,
         same_for_any_threads, labels_instead, the_last_epoch, allocations_may_fail);
    return run_suite(suite);
}
