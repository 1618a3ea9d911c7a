/* Probes on arrays: k-NN against golden values, the linear probe against plain descent in double precision. */
#include "probe_support.h"

#include <pthread.h>

static void fit(sslcv_probe *probe, const float *data, int64_t n, int64_t d, const int64_t *labels)
{
    const sslcv_tensor features = array(data, n, d);

    OK(sslcv_probe_fit(probe, &features, labels));
}

static float *predict(const sslcv_probe *probe, const float *data, int64_t n, int64_t d, int64_t classes)
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

/* ---- k-NN ---- */

/* methods.md, 6.4: k = 5, T = 0.1, training rows G(13, 8 x 4), test rows G(14, 3 x 4). */
START_TEST(knn_golden)
{
    static const int64_t labels[8] = {0, 1, 2, 0, 1, 2, 0, 1};
    static const int64_t neighbours[3][5] = {{4, 7, 0, 2, 1}, {3, 1, 6, 7, 2}, {2, 3, 4, 1, 7}};
    static const double votes[3][3] = {
        {26.51011, 1533.43388, 1.49048}, {163.08691, 83.56963, .17942}, {164.23051, 57.87452, 4488.92305}};
    static const int64_t predictions[3] = {1, 0, 2};
    float train[32], test[12], similarities[15], *scores;
    int64_t indices[15], i, c;
    sslcv_context *context = make_context(2, NULL);
    sslcv_probe *probe = make_knn(context, 5, 0.1);
    sslcv_tensor features, queries;

    golden_input(13, 32, train);
    golden_input(14, 12, test);
    features = array(train, 8, 4);
    queries = array(test, 3, 4);
    OK(sslcv_nearest(context, &features, &queries, 5, indices, similarities));
    fit(probe, train, 8, 4, labels);
    scores = predict(probe, test, 3, 4, 3);
    for (i = 0; i < 3; i++) {
        ck_assert_mem_eq(indices + 5 * i, neighbours[i], sizeof neighbours[i]);
        for (c = 0; c < 3; c++) {
            CLOSE(scores[3 * i + c] * exp((double)similarities[5 * i] / 0.1), votes[i][c], 1e-5);
        }
    }
    CLOSE(judge(context, scores, 3, 3, predictions).top1, 1, 0);
    free(scores);
    sslcv_probe_destroy(probe);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(knn_of_itself_is_right)
{
    enum { N = 300, D = 10 };
    sslcv_context *context = make_context(2, NULL);
    sslcv_probe *probe = make_knn(context, 1, 0.07);
    float *rows = normal_array(1, N * D), *scores;
    int64_t labels[N], i;

    for (i = 0; i < N; i++) labels[i] = i * 7 % 5;
    fit(probe, rows, N, D, labels);
    scores = predict(probe, rows, N, D, 5);
    CLOSE(judge(context, scores, N, 5, labels).top1, 1, 0);
    free(scores);
    free(rows);
    sslcv_probe_destroy(probe);
    sslcv_context_destroy(context);
}
END_TEST

/* All rows vote alike: the majority wins everywhere. */
START_TEST(knn_of_all_is_the_majority)
{
    enum { N = 50, D = 6, M = 9 };
    sslcv_context *context = make_context(1, NULL);
    sslcv_probe *probe = make_knn(context, N, 1e12);
    float *rows = normal_array(1, N * D), *queries = normal_array(2, M * D), *scores;
    int64_t labels[N], i;

    for (i = 0; i < N; i++) labels[i] = i % 5 == 0 ? 0 : i % 2 == 0 ? 1 : 2;
    fit(probe, rows, N, D, labels);
    scores = predict(probe, queries, M, D, 3);
    for (i = 0; i < M; i++) {
        CLOSE(scores[3 * i], 10, 1e-6);
        CLOSE(scores[3 * i + 1], 20, 1e-6);
        CLOSE(scores[3 * i + 2], 20, 1e-6);
    }
    free(scores);
    free(rows);
    free(queries);
    sslcv_probe_destroy(probe);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(knn_ignores_scale)
{
    enum { N = 200, D = 12, M = 30 };
    sslcv_context *context = make_context(1, NULL);
    sslcv_probe *probe = make_knn(context, 20, 0.1);
    float *rows = normal_array(1, N * D), *queries = normal_array(2, M * D), *scores, *scaled;
    int64_t labels[N], i;

    for (i = 0; i < N; i++) labels[i] = i % 4;
    fit(probe, rows, N, D, labels);
    scores = predict(probe, queries, M, D, 4);
    for (i = 0; i < N * D; i++) rows[i] *= i / D % 2 ? 0.125f : 1024; /* powers of 2: exactly the same */
    for (i = 0; i < M * D; i++) queries[i] *= 4096;
    fit(probe, rows, N, D, labels);
    scaled = predict(probe, queries, M, D, 4);
    ck_assert_mem_eq(scores, scaled, sizeof *scores * M * 4);
    free(scaled);
    for (i = 0; i < N * D; i++) rows[i] *= 3;
    fit(probe, rows, N, D, labels);
    scaled = predict(probe, queries, M, D, 4);
    for (i = 0; i < M * 4; i++) CLOSE(scaled[i], scores[i], 1e-5);
    free(scaled);
    free(scores);
    free(rows);
    free(queries);
    sslcv_probe_destroy(probe);
    sslcv_context_destroy(context);
}
END_TEST

/* A temperature at which the published sum overflows even in double. */
START_TEST(knn_small_temperature)
{
    static const float rows[] = {1, 0, 0.6f, 0.8f, 0, 1}, query[] = {1, 0.1f};
    static const int64_t labels[] = {2, 0, 1};
    sslcv_context *context = make_context(1, NULL);
    sslcv_probe *probe = make_knn(context, 3, 1e-6);
    float *scores;

    fit(probe, rows, 3, 2, labels);
    scores = predict(probe, query, 1, 2, 3);
    CLOSE(scores[0], 0, 0);
    CLOSE(scores[1], 0, 0);
    CLOSE(scores[2], 1, 0);
    free(scores);
    sslcv_probe_destroy(probe);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(knn_leaves_out_unlabelled_rows)
{
    enum { N = 90, D = 5 };
    sslcv_context *context = make_context(1, NULL);
    sslcv_probe *some = make_knn(context, 10, 0.1), *all = make_knn(context, 10, 0.1);
    float *rows = normal_array(1, N * D), *kept = make_array(N * D), *a, *b;
    int64_t labels[N], kept_labels[N], count = 0, i, j;

    for (i = 0; i < N; i++) {
        labels[i] = i % 3 == 2 ? -1 : i % 3;
        if (labels[i] < 0) {
            for (j = 0; j < D; j++) rows[i * D + j] = j == 1 ? NAN : 0; /* and are not looked at */
        } else {
            memcpy(kept + count * D, rows + i * D, D * sizeof *rows);
            kept_labels[count++] = labels[i];
        }
    }
    fit(some, rows, N, D, labels);
    fit(all, kept, count, D, kept_labels);
    a = predict(some, kept, count, D, 2);
    b = predict(all, kept, count, D, 2);
    ck_assert_mem_eq(a, b, (size_t)count * 2 * sizeof *a);
    free(a);
    free(b);
    free(rows);
    free(kept);
    sslcv_probe_destroy(some);
    sslcv_probe_destroy(all);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(knn_does_not_depend_on_threads)
{
    enum { N = 2300, D = 24, M = 140 };
    float *rows = normal_array(1, N * D), *queries = normal_array(2, M * D), *first = NULL;
    int64_t labels[N], i;
    int32_t threads;

    for (i = 0; i < N; i++) labels[i] = i % 10;
    for (threads = 1; threads <= 4; threads++) {
        sslcv_context *context = make_context(threads, NULL);
        sslcv_probe *probe = make_knn(context, 37, 0.1);
        float *scores;

        fit(probe, rows, N, D, labels);
        sslcv_context_destroy(context); /* the probe keeps it alive */
        scores = predict(probe, queries, M, D, 10);
        if (first) {
            ck_assert_mem_eq(first, scores, sizeof *scores * M * 10);
            free(scores);
        } else {
            first = scores;
        }
        sslcv_probe_destroy(probe);
    }
    free(first);
    free(rows);
    free(queries);
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

/* ---- linear ---- */

START_TEST(linear_one_hot_is_learnt)
{
    enum { N = 120, C = 6 };
    sslcv_context *context = make_context(2, NULL);
    sslcv_probe_options options = linear_options();
    sslcv_probe *probe;
    float *rows = make_array(N * C), *scores;
    int64_t labels[N], i;
    int32_t standardize;

    for (i = 0; i < N; i++) {
        labels[i] = i * 5 % C;
        rows[i * C + labels[i]] = 1;
    }
    options.epochs = 20;
    options.batch_size = 32;
    for (standardize = 0; standardize <= 2; standardize++) {
        options.standardize = standardize;
        OK(sslcv_probe_create(context, &options, &probe));
        fit(probe, rows, N, C, labels);
        scores = predict(probe, rows, N, C, C);
        CLOSE(judge(context, scores, N, C, labels).top1, 1, 0);
        free(scores);
        sslcv_probe_destroy(probe);
    }
    free(rows);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(linear_constant_features_tell_nothing)
{
    enum { N = 120, C = 6, D = 3 };
    sslcv_context *context = make_context(2, NULL);
    sslcv_probe_options options = linear_options();
    sslcv_probe *probe;
    float *rows = make_array(N * D), *scores;
    int64_t labels[N], i;
    int32_t standardize;

    for (i = 0; i < N; i++) labels[i] = i % C;
    for (i = 0; i < N * D; i++) rows[i] = 0.3f;
    options.epochs = 5;
    for (standardize = 0; standardize <= 2; standardize++) {
        options.standardize = standardize;
        OK(sslcv_probe_create(context, &options, &probe));
        fit(probe, rows, N, D, labels);
        scores = predict(probe, rows, N, D, C);
        CLOSE(judge(context, scores, N, C, labels).top1, 1.0 / C, 1e-12);
        free(scores);
        sslcv_probe_destroy(probe);
    }
    free(rows);
    sslcv_context_destroy(context);
}
END_TEST

/* SGD in double, written out; the order of rows is the library's. */
static void naive_descent(const float *x, const int64_t *labels, int64_t n, int64_t d, int64_t classes,
                          const sslcv_probe_options *o, double *w, double *b)
{
    const int64_t steps = (n + o->batch_size - 1) / o->batch_size;
    double *v = calloc((size_t)(classes * (2 * d + 3)), sizeof *v), *vb = v + classes * d, *g = vb + classes;
    double *gb = g + classes * d, *p = gb + classes;
    int64_t *order = calloc((size_t)n, sizeof *order), epoch, step, i, j, c;

    for (epoch = 0; epoch < o->epochs; epoch++) {
        sslcv__rng rng;

        sslcv__rng_init(&rng, sslcv__rng_derive(o->seed, (uint64_t)epoch, SSLCV__STREAM_PROBE), 0, 0);
        sslcv__rng_permutation(&rng, order, n);
        for (step = 0; step < steps; step++) {
            const int64_t first = step * o->batch_size, end = first + o->batch_size < n ? first + o->batch_size : n;
            double rate;

            OK(sslcv_schedule_value(o->learning_rate, epoch * steps + step, steps, o->epochs, &rate));
            memset(g, 0, (size_t)(classes * d) * sizeof *g);
            memset(gb, 0, (size_t)classes * sizeof *gb);
            for (i = first; i < end; i++) {
                const float *row = x + order[i] * d;
                double sum = 0;

                for (c = 0; c < classes; c++) {
                    p[c] = b[c];
                    for (j = 0; j < d; j++) p[c] += w[c * d + j] * row[j];
                    sum += exp(p[c]);
                }
                for (c = 0; c < classes; c++) {
                    const double diff = (exp(p[c]) / sum - (c == labels[order[i]])) / (double)(end - first);

                    gb[c] += diff;
                    for (j = 0; j < d; j++) g[c * d + j] += diff * row[j];
                }
            }
            for (c = 0; c < classes * d; c++) {
                v[c] = o->momentum * v[c] + g[c] + o->weight_decay * w[c];
                w[c] -= rate * v[c];
            }
            for (c = 0; c < classes; c++) {
                vb[c] = o->momentum * vb[c] + gb[c] + o->weight_decay * b[c];
                b[c] -= rate * vb[c];
            }
        }
    }
    free(v);
    free(order);
}

START_TEST(linear_equals_plain_descent)
{
    enum { N = 70, D = 9, C = 4 };
    sslcv_context *context = make_context(2, NULL);
    sslcv_probe_options options = linear_options();
    sslcv_schedule schedule;
    sslcv_probe *probe;
    float *rows = normal_array(1, N * D), *scores;
    double w[C * D] = {0}, b[C] = {0};
    int64_t labels[N], i, j, c;

    for (i = 0; i < N; i++) labels[i] = (i + (rows[i * D] > 0)) % C;
    OK(sslcv_schedule_init(&schedule, sizeof schedule, SSLCV_SCHEDULE_COSINE, 0.5));
    options.learning_rate = &schedule;
    options.epochs = 7;
    options.batch_size = 16; /* the last batch has 6 */
    options.weight_decay = 0.01;
    options.momentum = 0.8;
    OK(sslcv_probe_create(context, &options, &probe));
    fit(probe, rows, N, D, labels);
    scores = predict(probe, rows, N, D, C);
    naive_descent(rows, labels, N, D, C, &options, w, b);
    for (i = 0; i < N; i++) {
        for (c = 0; c < C; c++) {
            double expected = b[c];

            for (j = 0; j < D; j++) expected += w[c * D + j] * rows[i * D + j];
            CLOSE(scores[i * C + c], expected, 2e-5);
        }
    }
    free(scores);
    free(rows);
    sslcv_probe_destroy(probe);
    sslcv_context_destroy(context);
}
END_TEST

/* The built-in forms against rows brought into that form by hand. */
START_TEST(linear_standardizes)
{
    enum { N = 80, D = 6, C = 3 };
    sslcv_context *context = make_context(1, NULL);
    sslcv_probe_options options = linear_options();
    float *rows = normal_array(1, N * D), *formed = make_array(N * D);
    int64_t labels[N], i, j;
    int32_t kind;

    for (i = 0; i < N; i++) {
        labels[i] = i % C;
        for (j = 0; j < D; j++) rows[i * D + j] = j == 2 ? 4.1f : rows[i * D + j] * (float)(j + 1) + 10 * (float)j;
    }
    options.epochs = 4;
    for (kind = SSLCV_STANDARDIZE_SPREAD; kind <= SSLCV_STANDARDIZE_LENGTH; kind++) {
        sslcv_probe *inside, *outside;
        float *a, *b;

        for (j = 0; j < D; j++) {
            double mean = 0, square = 0;

            for (i = 0; i < N; i++) mean += rows[i * D + j] / (double)N;
            for (i = 0; i < N; i++) square += pow(rows[i * D + j] - mean, 2) / N;
            for (i = 0; i < N; i++) {
                const double centred = rows[i * D + j] - mean;

                formed[i * D + j] = j == 2 ? 0 : (float)(centred / sqrt(square));
            }
        }
        for (i = 0; kind == SSLCV_STANDARDIZE_LENGTH && i < N; i++) naive_unit(rows + i * D, D, formed + i * D);
        options.standardize = kind;
        OK(sslcv_probe_create(context, &options, &inside));
        options.standardize = SSLCV_STANDARDIZE_NONE;
        OK(sslcv_probe_create(context, &options, &outside));
        fit(inside, rows, N, D, labels);
        fit(outside, formed, N, D, labels);
        a = predict(inside, rows, N, D, C);
        b = predict(outside, formed, N, D, C);
        for (i = 0; i < N * C; i++) CLOSE(a[i], b[i], 1e-4);
        free(a);
        free(b);
        sslcv_probe_destroy(inside);
        sslcv_probe_destroy(outside);
    }
    free(rows);
    free(formed);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(linear_leaves_out_unlabelled_rows)
{
    enum { N = 60, D = 4 };
    sslcv_context *context = make_context(1, NULL);
    sslcv_probe_options options = linear_options();
    sslcv_probe *some, *all;
    float *rows = normal_array(1, N * D), *kept = make_array(N * D), *a, *b;
    int64_t labels[N], kept_labels[N], count = 0, i;

    options.epochs = 3;
    options.standardize = SSLCV_STANDARDIZE_SPREAD;
    OK(sslcv_probe_create(context, &options, &some));
    OK(sslcv_probe_create(context, &options, &all));
    for (i = 0; i < N; i++) {
        labels[i] = i % 4 == 3 ? -1 : i % 4;
        if (labels[i] < 0) {
            rows[i * D] = INFINITY;
        } else {
            memcpy(kept + count * D, rows + i * D, D * sizeof *rows);
            kept_labels[count++] = labels[i];
        }
    }
    fit(some, rows, N, D, labels);
    fit(all, kept, count, D, kept_labels);
    a = predict(some, kept, count, D, 3);
    b = predict(all, kept, count, D, 3);
    ck_assert_mem_eq(a, b, (size_t)count * 3 * sizeof *a);
    free(a);
    free(b);
    free(rows);
    free(kept);
    sslcv_probe_destroy(some);
    sslcv_probe_destroy(all);
    sslcv_context_destroy(context);
}
END_TEST

/* Scores of a short fit with these options. */
static float *fitted_scores(sslcv_context *context, const sslcv_probe_options *options, const float *rows, int64_t n,
                            int64_t d, const int64_t *labels, int64_t classes)
{
    sslcv_probe *probe;
    float *scores;

    OK(sslcv_probe_create(context, options, &probe));
    fit(probe, rows, n, d, labels);
    fit(probe, rows, n, d, labels); /* forgets the first */
    scores = predict(probe, rows, n, d, classes);
    sslcv_probe_destroy(probe);
    return scores;
}

START_TEST(linear_seed_decides)
{
    enum { N = 100, D = 5, C = 3, BYTES = N * C * sizeof(float) };
    sslcv_context *context = make_context(2, NULL), *same = make_context(2, NULL);
    sslcv_probe_options options = linear_options();
    float *rows = normal_array(1, N * D), *a, *b, *c, *d, *e;
    int64_t labels[N], i;

    for (i = 0; i < N; i++) labels[i] = i % C;
    options.epochs = 2;
    options.batch_size = 8;
    a = fitted_scores(context, &options, rows, N, D, labels, C);
    b = fitted_scores(context, &options, rows, N, D, labels, C);
    options.seed = 6;
    c = fitted_scores(context, &options, rows, N, D, labels, C);
    options.seed = 0; /* the first of each context */
    d = fitted_scores(context, &options, rows, N, D, labels, C);
    e = fitted_scores(same, &options, rows, N, D, labels, C);
    ck_assert_mem_eq(a, b, BYTES);
    ck_assert_mem_ne(a, c, BYTES);
    ck_assert_mem_eq(d, e, BYTES);
    ck_assert_mem_ne(a, d, BYTES);
    free(a);
    free(b);
    free(c);
    free(d);
    free(e);
    free(rows);
    sslcv_context_destroy(context);
    sslcv_context_destroy(same);
}
END_TEST

/* A fit that fails leaves the one before. */
START_TEST(linear_divergence_is_told)
{
    enum { N = 40, D = 3 };
    sslcv_context *context = make_context(1, NULL);
    sslcv_probe_options options = linear_options();
    sslcv_schedule schedule;
    sslcv_probe *probe;
    float *rows = normal_array(1, N * D), *before, *after;
    sslcv_tensor features = array(rows, N, D);
    int64_t labels[N], i;

    for (i = 0; i < N; i++) labels[i] = i % 2;
    OK(sslcv_schedule_init(&schedule, sizeof schedule, SSLCV_SCHEDULE_CONSTANT, 1));
    options.learning_rate = &schedule;
    options.epochs = 3;
    OK(sslcv_probe_create(context, &options, &probe));
    fit(probe, rows, N, D, labels);
    before = predict(probe, rows, N, D, 2);
    for (i = 0; i < N * D; i++) rows[i] *= 1e25f;
    FAILS(sslcv_probe_fit(probe, &features, labels), SSLCV_ERR_NUMERIC, "in epoch 1 at learning rate 1; lower");
    for (i = 0; i < N * D; i++) rows[i] /= 1e25f;
    OK(sslcv_context_cancel(context, 1));
    FAILS(sslcv_probe_fit(probe, &features, labels), SSLCV_ERR_CANCELLED, "cancelled");
    OK(sslcv_context_cancel(context, 0));
    for (i = 0; i < N; i++) labels[i] = 1;
    FAILS(sslcv_probe_fit(probe, &features, labels), SSLCV_ERR_LIMIT, "all 40 labelled rows have label 1");
    after = predict(probe, rows, N, D, 2);
    for (i = 0; i < N * 2; i++) CLOSE(after[i], before[i], 1e-5);
    free(before);
    free(after);
    free(rows);
    sslcv_probe_destroy(probe);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- probes: arguments, order, memory ---- */

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
    FAILS(sslcv_probe_options_init(&o, sizeof o, 3), SSLCV_ERR_INVALID_ARGUMENT, "probe.kind is 3");
    FAILS(sslcv_probe_options_init(NULL, sizeof o, 1), SSLCV_ERR_INVALID_ARGUMENT, "probe_options is NULL");
    FAILS(sslcv_probe_options_init(&o, 8, 1), SSLCV_ERR_INVALID_ARGUMENT, "struct_size is 8");

    OK(sslcv_probe_options_init(&defaults, sizeof defaults, SSLCV_PROBE_KNN));
    ck_assert_int_eq(defaults.neighbours, 200);
    CLOSE(defaults.temperature, 0.1, 0);
    o = defaults;
    o.neighbours = 0;
    refuse_option(context, &o, "probe.neighbours is 0; must be >= 1");
    o = defaults;
    o.temperature = 0;
    refuse_option(context, &o, "probe.temperature is 0; must be > 0");
    o.temperature = NAN;
    refuse_option(context, &o, "probe.temperature is ");
    o = defaults;
    o.kind = 9;
    refuse_option(context, &o, "probe.kind is 9");
    o = defaults;
    o.epochs = -1; /* not a field of KNN */
    OK(sslcv_probe_create(context, &o, &probe));
    sslcv_probe_destroy(probe);

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
          "probe.neighbours is 3; there are only 2 labelled rows");
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
    options.neighbours = 5;
    starve(&h, context, &options);
    options = linear_options();
    options.epochs = 2;
    options.standardize = SSLCV_STANDARDIZE_SPREAD;
    starve(&h, context, &options);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("probe");
    TCase *knn = add_case(suite, "knn");
    TCase *linear = add_case(suite, "linear");
    TCase *probes = add_case(suite, "probes");

    tcase_add_test(knn, knn_golden);
    tcase_add_test(knn, knn_of_itself_is_right);
    tcase_add_test(knn, knn_of_all_is_the_majority);
    tcase_add_test(knn, knn_ignores_scale);
    tcase_add_test(knn, knn_small_temperature);
    tcase_add_test(knn, knn_leaves_out_unlabelled_rows);
    tcase_add_test(knn, knn_does_not_depend_on_threads);
    tcase_add_test(linear, linear_one_hot_is_learnt);
    tcase_add_test(linear, linear_constant_features_tell_nothing);
    tcase_add_test(linear, linear_equals_plain_descent);
    tcase_add_test(linear, linear_standardizes);
    tcase_add_test(linear, linear_leaves_out_unlabelled_rows);
    tcase_add_test(linear, linear_seed_decides);
    tcase_add_test(linear, linear_divergence_is_told);
    tcase_add_test(probes, options_are_checked);
    tcase_add_test(probes, fit_and_predict_refuse);
    tcase_add_test(probes, predict_from_two_threads);
    tcase_add_test(probes, out_of_memory);
    return run_suite(suite);
}
