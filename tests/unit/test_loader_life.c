/* Loaders: options, early ends, cancelling, forks, without threads, without memory. */
#define _GNU_SOURCE /* pthread_setattr_default_np */
#include "loader_support.h"

#include <sys/wait.h>

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
    LOADER_REFUSED(refused.sampler = 3, SSLCV_ERR_INVALID_ARGUMENT, "loader.sampler is 3");
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
    host memory = {0};
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
    ck_assert_int_eq(memory.out, 1); /* the context */
    sslcv_context_destroy(own);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loader_life");

    CASE(suite, "life", options_refused, destroyed_early, cancelled, forked, no_threads_to_be_had, out_of_memory);
    return run_suite(suite);
}
