/* The linear probe on arrays: against plain descent in double precision. */
#include "probe_support.h"

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

/* h = g + wd w, scaled as LARC does; v <- mu v + h; w <- w - rate v, or Nesterov's. */
static void naive_step(const sslcv_probe_options *o, double rate, double *w, const double *g, double *v, int64_t count)
{
    double weight = 0, slope = 0, trust = 1;
    int64_t i;

    for (i = 0; i < count; i++) {
        weight += w[i] * w[i];
        slope += g[i] * g[i];
    }
    if (o->larc > 0 && weight > 0 && slope > 0) {
        trust = o->larc * sqrt(weight) / (sqrt(slope) + o->weight_decay * sqrt(weight));
    }
    for (i = 0; i < count; i++) {
        const double h = trust * (g[i] + o->weight_decay * w[i]);

        v[i] = o->momentum * v[i] + h;
        w[i] -= rate * (o->nesterov ? h + o->momentum * v[i] : v[i]);
    }
}

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
            naive_step(o, rate, w, g, v, classes * d);
            naive_step(o, rate, b, gb, vb, classes);
        }
    }
    free(v);
    free(order);
}

static void draw_first(const sslcv_probe_options *o, double *w, int64_t count)
{
    sslcv__rng rng;
    int64_t i;

    sslcv__rng_init(&rng, sslcv__rng_derive(o->seed, 0, SSLCV__STREAM_WEIGHTS), 0, 0);
    for (i = 0; i < count; i++) w[i] = o->first_spread * sslcv__rng_normal(&rng);
}

/* The forms of descent: plain, Nesterov's, LARC from weights that are not 0, both. */
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
    options.nesterov = _i % 2;
    options.larc = _i > 1 ? 0.3 : 0;
    options.first_spread = _i > 1 ? 0.05 : 0;
    if (_i > 1) draw_first(&options, w, C * D);
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

/* The table of published probes, and that each is accepted. */
START_TEST(linear_presets)
{
    static const struct {
        const char *name;
        int64_t epochs, batch;
        double rate, weight_decay, half_way; /* the rate after half of the epochs */
        int32_t nesterov;
    } table[] = {
        {"moco", 100, 256, 30, 0, 30, 0},
        {"swav", 100, 256, 0.3, 1e-6, 0.15, 0},
        {"simclr", 90, 4096, 1.6, 1e-6, 0.8, 1},
        {"simclr-cifar", 100, 512, 0.2, 0, 0.1, 1},
        {"byol", 80, 1024, 0.8, 0, 0.4, 1},
        {"simsiam", 90, 4096, 1.6, 0, 0.8, 0},
        {"barlow-twins", 100, 256, 0.3, 1e-6, 0.15, 0},
        {"vicreg", 100, 256, 0.02, 1e-6, 0.01, 0},
        {"cmc", 60, 256, 30, 0, 6, 0},
        {"cmc-alexnet", 60, 256, 0.1, 0, 0.02, 0},
        {"pirl", 28, 256, 0.01, 5e-4, 0.001, 1},
        {"lightly", 90, 256, 0.1, 0, 0.05, 0},
        {"solo-learn", 100, 256, 0.3, 0, 0.3, 0},
    };
    sslcv_context *context = make_context(1, NULL);
    sslcv_schedule schedule = {.struct_size = sizeof schedule};
    sslcv_probe_options o = {.struct_size = 0};
    size_t i;

    for (i = 0; i < sizeof table / sizeof *table; i++) {
        sslcv_probe *probe;
        double value;

        OK(sslcv_probe_options_preset(&o, sizeof o, &schedule, table[i].name));
        ck_assert_int_eq(o.kind, SSLCV_PROBE_LINEAR);
        ck_assert_int_eq(o.epochs, table[i].epochs);
        ck_assert_int_eq(o.batch_size, table[i].batch);
        ck_assert_int_eq(o.nesterov, table[i].nesterov);
        CLOSE(o.momentum, 0.9, 0);
        CLOSE(o.weight_decay, table[i].weight_decay, 0);
        CLOSE(o.larc, strcmp(table[i].name, "simsiam") == 0 ? 0.001 : 0, 0);
        ck_assert_int_eq(o.standardize, strcmp(table[i].name, "pirl") == 0 ? SSLCV_STANDARDIZE_SPREAD : 0);
        ck_assert_ptr_eq(o.learning_rate, &schedule);
        OK(sslcv_schedule_value(&schedule, 0, 10, o.epochs, &value));
        CLOSE(value / table[i].rate, 1, 1e-12);
        OK(sslcv_schedule_value(&schedule, o.epochs * 5, 10, o.epochs, &value));
        CLOSE(value / table[i].half_way, 1, 1e-12);
        OK(sslcv_probe_create(context, &o, &probe));
        sslcv_probe_destroy(probe);
    }
    FAILS(sslcv_probe_options_preset(&o, sizeof o, &schedule, "mocha"), SSLCV_ERR_NOT_FOUND,
          "there is no probe \"mocha\"; there are \"moco\", \"swav\"");
    FAILS(sslcv_probe_options_preset(&o, sizeof o, NULL, "moco"), SSLCV_ERR_INVALID_ARGUMENT, "learning_rate is NULL");
    FAILS(sslcv_probe_options_preset(NULL, sizeof o, &schedule, "moco"), SSLCV_ERR_INVALID_ARGUMENT, "is NULL");
    schedule.struct_size = 4;
    FAILS(sslcv_probe_options_preset(&o, sizeof o, &schedule, "moco"), SSLCV_ERR_INVALID_ARGUMENT, "struct_size is 4");
    sslcv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("probe_linear");
    TCase *linear = add_case(suite, "linear");

    tcase_add_test(linear, linear_one_hot_is_learnt);
    tcase_add_test(linear, linear_constant_features_tell_nothing);
    tcase_add_loop_test(linear, linear_equals_plain_descent, 0, 4);
    tcase_add_test(linear, linear_presets);
    tcase_add_test(linear, linear_standardizes);
    tcase_add_test(linear, linear_leaves_out_unlabelled_rows);
    tcase_add_test(linear, linear_seed_decides);
    tcase_add_test(linear, linear_divergence_is_told);
    return run_suite(suite);
}
