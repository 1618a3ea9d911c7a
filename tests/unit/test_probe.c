/* Probes of all kinds on arrays: arguments, order of calls, threads, memory. */
#include "probe_support.h"

#include "eval/minimize.h"

#include <pthread.h>

static void refuse_option(sslcv_context *context, const sslcv_probe_options *options, const char *text)
{
    sslcv_probe *probe = (sslcv_probe *)(uintptr_t)8;

    FAILS(sslcv_probe_create(context, options, &probe), SSLCV_ERR_INVALID_ARGUMENT, text);
    ck_assert_uint_eq((uintptr_t)probe, 8);
}

START_TEST(options_are_checked)
{
    sslcv_context *context = make_context(1, NULL);
    sslcv_probe_options defaults, o;
    sslcv_probe *probe;

    FAILS(sslcv_probe_options_init(&o, sizeof o, 0), SSLCV_ERR_INVALID_ARGUMENT, "probe.kind is 0");
    FAILS(sslcv_probe_options_init(&o, sizeof o, 4), SSLCV_ERR_INVALID_ARGUMENT, "probe.kind is 4");
    FAILS(sslcv_probe_options_init(NULL, sizeof o, 1), SSLCV_ERR_INVALID_ARGUMENT, "probe_options is NULL");
    FAILS(sslcv_probe_options_init(&o, 8, 1), SSLCV_ERR_INVALID_ARGUMENT, "struct_size is 8");

    OK(sslcv_probe_options_init(&defaults, sizeof defaults, SSLCV_PROBE_KNN));
    ck_assert_int_eq(defaults.neighbors, 200);
    CLOSE(defaults.temperature, 0.1, 0);
    o = defaults;
    o.neighbors = 0;
    refuse_option(context, &o, "probe.neighbors is 0; must be >= 1");
    o = defaults;
    o.temperature = 0;
    refuse_option(context, &o, "probe.temperature is 0; must be > 0");
    o.temperature = NAN;
    refuse_option(context, &o, "probe.temperature is ");
    o = defaults;
    o.kind = 9;
    refuse_option(context, &o, "probe.kind is 9");
    o = defaults;
    o.epochs = 7;
    refuse_option(context, &o, "probe.epochs is set, but kind 1 does not read it");

    defaults = linear_options();
    ck_assert_int_eq(defaults.epochs, 100);
    ck_assert_int_eq(defaults.batch_size, 256);
    CLOSE(defaults.momentum, 0.9, 0);
    o = defaults;
    o.standardize = 3;
    refuse_option(context, &o, "probe.standardize is 3");
    o = defaults;
    o.epochs = 0;
    refuse_option(context, &o, "probe.epochs is 0");
    o = defaults;
    o.batch_size = 0;
    refuse_option(context, &o, "probe.batch_size is 0");
    o = defaults;
    o.weight_decay = -1;
    refuse_option(context, &o, "probe.weight_decay is -1");
    o = defaults;
    o.momentum = 1.5;
    refuse_option(context, &o, "probe.momentum is 1.5; must be 0 .. 1");
    o = defaults;
    o.nesterov = 2;
    refuse_option(context, &o, "probe.nesterov is 2");
    o = defaults;
    o.larc = -1;
    refuse_option(context, &o, "probe.larc is -1; must be >= 0");
    o = defaults;
    o.first_spread = INFINITY;
    refuse_option(context, &o, "probe.first_spread is inf");

    FAILS(sslcv_probe_create(NULL, &defaults, &probe), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_probe_create(context, NULL, &probe), SSLCV_ERR_INVALID_ARGUMENT, "options is NULL");
    FAILS(sslcv_probe_create(context, &defaults, NULL), SSLCV_ERR_INVALID_ARGUMENT, "probe is NULL");
    sslcv_probe_destroy(NULL);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(fit_and_predict_refuse)
{
    float rows[8] = {1, 2, 3, 4, 5, 6, 7, 8}, values[16];
    int64_t labels[4] = {0, 1, 0, 1};
    sslcv_context *context = make_context(1, NULL);
    sslcv_probe *probe = make_knn(context, 3, 0.1);
    sslcv_tensor features = array(rows, 4, 2), scores = array(values, 4, 2), other;

    FAILS(sslcv_probe_predict(probe, &features, &scores), SSLCV_ERR_STATE, "not fitted");
    FAILS(sslcv_probe_fit(NULL, &features, labels), SSLCV_ERR_INVALID_ARGUMENT, "probe is NULL");
    FAILS(sslcv_probe_fit(probe, NULL, labels), SSLCV_ERR_INVALID_ARGUMENT, "features is NULL");
    FAILS(sslcv_probe_fit(probe, &features, NULL), SSLCV_ERR_INVALID_ARGUMENT, "labels is NULL");
    FAILS(sslcv_probe_fit((sslcv_probe *)context, &features, labels), SSLCV_ERR_INVALID_ARGUMENT,
          "not a live probe handle");
    labels[2] = -7;
    FAILS(sslcv_probe_fit(probe, &features, labels), SSLCV_ERR_INVALID_ARGUMENT, "labels[2] is -7");
    labels[2] = INT64_MAX;
    FAILS(sslcv_probe_fit(probe, &features, labels), SSLCV_ERR_INVALID_ARGUMENT, "labels[2] is 9223372036854775807");
    labels[2] = -1;
    labels[3] = -1;
    FAILS(sslcv_probe_fit(probe, &features, labels), SSLCV_ERR_LIMIT,
          "probe.neighbors is 3; there are only 2 labelled rows");
    labels[0] = labels[1] = -1;
    FAILS(sslcv_probe_fit(probe, &features, labels), SSLCV_ERR_LIMIT, "none of the 4 rows has a label");
    labels[0] = labels[2] = 0;
    labels[1] = labels[3] = 1;
    rows[3] = NAN;
    FAILS(sslcv_probe_fit(probe, &features, labels), SSLCV_ERR_NUMERIC, "features[1][1] is");
    rows[2] = rows[3] = 0;
    FAILS(sslcv_probe_fit(probe, &features, labels), SSLCV_ERR_NUMERIC, "features[1] is a row of zeros");
    FAILS(sslcv_probe_predict(probe, &features, &scores), SSLCV_ERR_STATE, "not fitted");
    rows[2] = 3;
    OK(sslcv_probe_fit(probe, &features, labels));

    other = array(rows, 2, 4);
    scores = array(values, 2, 2);
    FAILS(sslcv_probe_predict(probe, &other, &scores), SSLCV_ERR_INVALID_ARGUMENT,
          "features has 4 dimensions; the probe was fitted on 2");
    FAILS(sslcv_probe_predict(probe, &features, NULL), SSLCV_ERR_INVALID_ARGUMENT, "scores is NULL");
    FAILS(sslcv_probe_predict(probe, &features, &scores), SSLCV_ERR_INVALID_ARGUMENT, "scores");
    scores = array(values, 4, 2);
    scores.strides[0] = 4;
    FAILS(sslcv_probe_predict(probe, &features, &scores), SSLCV_ERR_INVALID_ARGUMENT, "scores has gaps");
    scores = array(values, 4, 2);
    rows[6] = rows[7] = 0;
    FAILS(sslcv_probe_predict(probe, &features, &scores), SSLCV_ERR_NUMERIC, "features[3] is a row of zeros");
    rows[7] = 1;
    OK(sslcv_context_cancel(context, 1));
    FAILS(sslcv_probe_predict(probe, &features, &scores), SSLCV_ERR_CANCELLED, "cancelled");
    OK(sslcv_context_cancel(context, 0));
    OK(sslcv_probe_predict(probe, &features, &scores));
    sslcv_probe_destroy(probe);
    sslcv_context_destroy(context);
}
END_TEST

typedef struct predictor {
    const sslcv_probe *probe;
    sslcv_tensor features, scores;
    sslcv_status status;
} predictor;

static void *run_predictor(void *user)
{
    predictor *p = user;

    p->status = sslcv_probe_predict(p->probe, &p->features, &p->scores);
    return NULL;
}

static void predict_twice_at_once(sslcv_probe *probe, const float *rows, int64_t n, int64_t d, int64_t classes)
{
    float *expected = predict(probe, rows, n, d, classes), *scores = make_array(2 * n * classes);
    predictor predictors[2];
    pthread_t threads[2];
    int i;

    for (i = 0; i < 2; i++) {
        predictors[i] = (predictor){probe, array(rows, n, d), array(scores + i * n * classes, n, classes), 0};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_predictor, &predictors[i]), 0);
    }
    for (i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(predictors[i].status, SSLCV_OK);
        ck_assert_mem_eq(scores + i * n * classes, expected, (size_t)(n * classes) * sizeof *scores);
    }
    free(expected);
    free(scores);
}

START_TEST(predict_from_two_threads)
{
    enum { N = 200, D = 16 };
    sslcv_context *context = make_context(2, NULL);
    sslcv_probe_options options = linear_options();
    sslcv_probe *probe = make_knn(context, 9, 0.1);
    float *rows = normal_array(1, N * D);
    int64_t labels[N], i;

    for (i = 0; i < N; i++) labels[i] = i % 3;
    fit(probe, rows, N, D, labels);
    predict_twice_at_once(probe, rows, N, D, 3);
    sslcv_probe_destroy(probe);
    options.epochs = 2;
    OK(sslcv_probe_create(context, &options, &probe));
    fit(probe, rows, N, D, labels);
    predict_twice_at_once(probe, rows, N, D, 3);
    sslcv_probe_destroy(probe);
    free(rows);
    sslcv_context_destroy(context);
}
END_TEST

static void starve(host *h, sslcv_context *context, const sslcv_probe_options *options)
{
    enum { N = 30, D = 4 };
    float *rows = normal_array(1, N * D), values[N * 2];
    const sslcv_tensor features = array(rows, N, D);
    sslcv_tensor scores = array(values, N, 2);
    sslcv_probe *probe = NULL;
    int64_t labels[N], at, held, i;

    for (i = 0; i < N; i++) labels[i] = i % 2;
    for (at = 0, held = h->out;; at++) {
        h->fail_at = h->calls + at;
        if (sslcv_probe_create(context, options, &probe) == SSLCV_OK) break;
        ck_assert_ptr_null(probe);
        ck_assert_int_eq(h->out, held);
    }
    ck_assert_int_eq(at, 1);
    for (at = 0, held = h->out;; at++) {
        sslcv_status status;

        h->fail_at = h->calls + at;
        status = sslcv_probe_fit(probe, &features, labels);
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
        ck_assert_int_eq(h->out, held);
    }
    ck_assert_int_ge(at, 3);
    for (at = 0, held = h->out;; at++) {
        sslcv_status status;

        h->fail_at = h->calls + at;
        memset(values, 0x7f, sizeof values);
        status = sslcv_probe_predict(probe, &features, &scores);
        ck_assert_int_eq(h->out, held);
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
        for (i = 0; i < N * 2; i++) ck_assert_int_eq(((unsigned char *)values)[i], 0x7f);
    }
    ck_assert_int_ge(at, 1);
    h->fail_at = -1;
    OK(sslcv_probe_fit(probe, &features, labels));
    sslcv_probe_destroy(probe);
    free(rows);
}

START_TEST(out_of_memory)
{
    host h;
    sslcv_context *context = make_context(1, &h);
    sslcv_probe_options options;

    OK(sslcv_probe_options_init(&options, sizeof options, SSLCV_PROBE_KNN));
    options.neighbors = 5;
    starve(&h, context, &options);
    options = linear_options();
    options.epochs = 2;
    options.standardize = SSLCV_STANDARDIZE_SPREAD;
    starve(&h, context, &options);
    OK(sslcv_probe_options_init(&options, sizeof options, SSLCV_PROBE_LOGISTIC));
    options.standardize = SSLCV_STANDARDIZE_SPREAD;
    options.c_count = 3;
    if (sslcv__minimize_check() == SSLCV_OK) starve(&h, context, &options);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("probe");
    TCase *probes = add_case(suite, "probes");

    tcase_add_test(probes, options_are_checked);
    tcase_add_test(probes, fit_and_predict_refuse);
    tcase_add_test(probes, predict_from_two_threads);
    tcase_add_test(probes, out_of_memory);
    return run_suite(suite);
}
