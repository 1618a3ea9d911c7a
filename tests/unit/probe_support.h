/* What the suites of lib/eval/ share: contexts of a failing allocator, arrays, plain twins. */
#ifndef SSLCV__TESTS_PROBE_SUPPORT_H
#define SSLCV__TESTS_PROBE_SUPPORT_H

#include "support.h"

#include <sslcv/probe.h>

#include "core/rng.h"

#include <stdint.h>

/* An allocator that counts what is out, and fails at call number fail_at. */
typedef struct host {
    int64_t calls, fail_at, out;
} host;

static inline void *host_allocate(void *user, size_t bytes, size_t alignment)
{
    host *h = user;
    void *memory;

    if (h->calls++ == h->fail_at) return NULL;
    memory = aligned_alloc(alignment, bytes);
    if (memory) h->out++;
    return memory;
}

static inline void host_deallocate(void *user, void *memory, size_t bytes)
{
    (void)bytes;
    ((host *)user)->out--;
    free(memory);
}

static inline sslcv_context *make_context(int32_t threads, host *h)
{
    const sslcv_allocator allocator = {sizeof allocator, h, host_allocate, host_deallocate, NULL};
    sslcv_context_options options;
    sslcv_context *context;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.threads = threads;
    options.seed = 7;
    if (h) {
        *h = (host){.fail_at = -1};
        options.allocator = &allocator;
    }
    OK(sslcv_context_create(&options, &context));
    return context;
}

static inline sslcv_tensor array(const float *data, int64_t n, int64_t d)
{
    const int64_t shape[2] = {n, d};
    sslcv_tensor tensor;

    OK(sslcv_tensor_init(&tensor, SSLCV_F32, (void *)(uintptr_t)data, 2, shape));
    return tensor;
}

static inline float *make_array(int64_t count)
{
    float *values = calloc((size_t)count, sizeof *values);

    ck_assert_ptr_nonnull(values);
    return values;
}

static inline float *normal_array(uint64_t seed, int64_t count)
{
    float *values = make_array(count);
    sslcv__rng rng;
    int64_t i;

    sslcv__rng_init(&rng, seed, 0, 0);
    for (i = 0; i < count; i++) values[i] = (float)sslcv__rng_normal(&rng);
    return values;
}

static inline sslcv_probe *make_knn(sslcv_context *context, int64_t neighbours, double temperature)
{
    sslcv_probe_options options;
    sslcv_probe *probe;

    OK(sslcv_probe_options_init(&options, sizeof options, SSLCV_PROBE_KNN));
    options.neighbors = neighbours;
    options.temperature = temperature;
    OK(sslcv_probe_create(context, &options, &probe));
    return probe;
}

static inline sslcv_probe_options linear_options(void)
{
    sslcv_probe_options options;

    OK(sslcv_probe_options_init(&options, sizeof options, SSLCV_PROBE_LINEAR));
    options.seed = 5;
    return options;
}

static inline void fit(sslcv_probe *probe, const float *data, int64_t n, int64_t d, const int64_t *labels)
{
    const sslcv_tensor features = array(data, n, d);

    OK(sslcv_probe_fit(probe, &features, labels));
}

static inline float *predict(const sslcv_probe *probe, const float *data, int64_t n, int64_t d, int64_t classes)
{
    const sslcv_tensor features = array(data, n, d);
    float *values = make_array(n * classes);
    sslcv_tensor scores = {0};

    OK(sslcv_probe_predict(probe, &features, &scores));
    ck_assert_int_eq(scores.ndim, 2);
    ck_assert_int_eq(scores.dtype, SSLCV_F32);
    ck_assert_int_eq(scores.shape[0], n);
    ck_assert_int_eq(scores.shape[1], classes);
    scores.data = values;
    OK(sslcv_probe_predict(probe, &features, &scores));
    return values;
}

static inline sslcv_metrics judge(sslcv_context *context, const float *scores, int64_t n, int64_t classes,
                                  const int64_t *labels)
{
    const sslcv_tensor tensor = array(scores, n, classes);
    sslcv_metrics metrics = {.struct_size = sizeof metrics};

    OK(sslcv_metrics_compute(context, &tensor, labels, &metrics, NULL));
    return metrics;
}

static inline void naive_unit(const float *row, int64_t d, float *unit)
{
    double sum = 0;
    int64_t i;

    for (i = 0; i < d; i++) sum += (double)row[i] * row[i];
    for (i = 0; i < d; i++) unit[i] = (float)(row[i] * (1 / sqrt(sum)));
}

static inline double naive_dot(const float *a, const float *b, int64_t d)
{
    double sum = 0;
    int64_t i;

    for (i = 0; i < d; i++) sum += (double)a[i] * b[i];
    return sum;
}

static inline TCase *add_case(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);

    tcase_set_timeout(tests, 120);
    suite_add_tcase(suite, tests);
    return tests;
}

#endif
