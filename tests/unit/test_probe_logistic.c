/* Logistic regression on arrays: against published values, scikit-learn, and what it must do. */
#include "probe_support.h"

#include "eval/minimize.h"

#include <stdio.h>

/* One fit to the end, nothing chosen. */
static sslcv_probe_options exact_options(double c)
{
    sslcv_probe_options options;

    OK(sslcv_probe_options_init(&options, sizeof options, SSLCV_PROBE_LOGISTIC));
    options.c_first = c;
    options.c_count = 1;
    options.iterations = 10000;
    options.tolerance = 1e-9;
    options.seed = 3;
    return options;
}

static sslcv_probe *make_probe(sslcv_context *context, const sslcv_probe_options *options)
{
    sslcv_probe *probe;

    OK(sslcv_probe_create(context, options, &probe));
    return probe;
}

static sslcv_probe_info info_of(const sslcv_probe *probe)
{
    sslcv_probe_info info = {.struct_size = sizeof info};

    OK(sslcv_probe_get_info(probe, &info));
    return info;
}

/* What the scores say of W and b: (d + 1, classes), the last row b. */
static float *parameters_of(const sslcv_probe *probe, int64_t d, int64_t classes)
{
    float *units = make_array((d + 1) * d), *values;
    int64_t j, c;

    for (j = 0; j < d; j++) units[j * d + j] = 1;
    values = predict(probe, units, d + 1, d, classes);
    for (j = 0; j < d; j++) {
        for (c = 0; c < classes; c++) values[j * classes + c] -= values[d * classes + c];
    }
    free(units);
    return values;
}

static const int64_t golden_labels[8] = {0, 1, 2, 0, 1, 2, 0, 1};

START_TEST(logistic_golden)
{
    static const struct {
        double c, objective, weights[3][3], bias[3];
    } cases[2] = {{1,
                   8.49154379,
                   {{-.164382, -.127251, .040556}, {.062359, -.136018, .240456}, {.102022, .263269, -.281012}},
                   {.185463, .131925, -.317388}},
                  {10,
                   78.61805744,
                   {{-.658561, -.422068, .431106}, {.319413, -.904623, 1.172853}, {.339148, 1.326691, -1.603959}},
                   {.395924, .150673, -.546596}}};
    static const int64_t predictions[8] = {1, 0, 2, 2, 1, 2, 0, 1};
    sslcv_context *context = make_context(2, NULL);
    float rows[24];
    int k, c, j;

    golden_input(12, 24, rows);
    for (k = 0; k < 2; k++) {
        const sslcv_probe_options options = exact_options(cases[k].c);
        sslcv_probe *probe = make_probe(context, &options);
        sslcv_probe_info info;
        float *w, *scores;

        fit(probe, rows, 8, 3, golden_labels);
        info = info_of(probe);
        CLOSE(info.objective, cases[k].objective, 1e-8); /* inputs are rounded to f32 */
        CLOSE(info.c, cases[k].c, 0);
        CLOSE(info.validation, 0, 0);
        ck_assert(info.converged == 1 && info.iterations > 3 && info.count == 8 && info.dim == 3);
        ck_assert_int_eq(info.num_classes, 3);
        w = parameters_of(probe, 3, 3);
        for (c = 0; c < 3; c++) {
            for (j = 0; j < 3; j++) CLOSE(w[j * 3 + c], cases[k].weights[c][j], 1e-6);
            CLOSE(w[9 + c], cases[k].bias[c], 1e-6);
        }
        scores = predict(probe, rows, 8, 3, 3);
        if (k == 1) CLOSE(judge(context, scores, 8, 3, predictions).top1, 1, 0);
        free(w);
        free(scores);
        sslcv_probe_destroy(probe);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* ---- tests/golden/logistic.txt, by make_logistic.py: scikit-learn 1.2.1 ---- */

enum { TRAIN = 160, TEST = 20, DIM = 12, CLASSES = 5 };

static float train[TRAIN * DIM], test[TEST * DIM], golden_targets[TRAIN * CLASSES];
static int64_t train_labels[TRAIN];

static void make_sets(void)
{
    float mixing[DIM * CLASSES], noise[TRAIN * CLASSES];
    int64_t i, j, c;

    golden_input(40, TRAIN * DIM, train);
    golden_input(41, TEST * DIM, test);
    golden_input(42, DIM * CLASSES, mixing);
    golden_input(43, TRAIN * CLASSES, noise);
    for (i = 0; i < TRAIN; i++) {
        double best = -INFINITY;

        for (c = 0; c < CLASSES; c++) {
            double vote = 0.7 * (double)noise[i * CLASSES + c];

            for (j = 0; j < DIM; j++) vote += (double)train[i * DIM + j] * (double)mixing[j * CLASSES + c];
            golden_targets[i * CLASSES + c] = vote > 0.1;
            if (vote > best) train_labels[i] = c;
            best = fmax(best, vote);
        }
    }
}

START_TEST(logistic_agrees_with_scikit_learn)
{
    static const char *const forms[] = {"raw", "spread", "length"};
    FILE *file = fopen("tests/golden/logistic.txt", "r");
    sslcv_context *context = make_context(2, NULL);
    const sslcv_tensor features = array(train, TRAIN, DIM), targets = array(golden_targets, TRAIN, CLASSES);
    char form[16], kind[16];
    int lines = 0, i;
    double c;

    ck_assert_msg(file != NULL, "tests/golden/logistic.txt is missing: run from the root of the repository");
    make_sets();
    while (fscanf(file, "%15s %15s %lf", form, kind, &c) == 3) {
        sslcv_probe_options options = exact_options(c);
        sslcv_probe *probe;
        float *scores;

        for (i = 0; i < 3; i++) {
            if (strcmp(form, forms[i]) == 0) options.standardize = i;
        }
        probe = make_probe(context, &options);
        if (strcmp(kind, "labels") == 0) {
            OK(sslcv_probe_fit(probe, &features, train_labels));
        } else {
            OK(sslcv_probe_fit_rows(probe, &features, NULL, &targets, NULL, 0));
        }
        scores = predict(probe, test, TEST, DIM, CLASSES);
        for (i = 0; i < TEST * CLASSES; i++) {
            double expected;

            ck_assert_int_eq(fscanf(file, "%lf", &expected), 1);
            CLOSE(scores[i], expected, 2e-5);
        }
        free(scores);
        sslcv_probe_destroy(probe);
        lines++;
    }
    ck_assert_int_eq(lines, 18);
    fclose(file);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- what it must do ---- */

START_TEST(logistic_small_c_gives_priors)
{
    enum { N = 90, D = 5 };
    const sslcv_probe_options options = exact_options(1e-7);
    sslcv_context *context = make_context(2, NULL);
    sslcv_probe *probe = make_probe(context, &options);
    float *rows = normal_array(1, N * D), *scores;
    int64_t labels[N], i;

    for (i = 0; i < N; i++) labels[i] = i % 9 < 2 ? 0 : i % 9 < 3 ? 1 : 2; /* 2/9, 1/9, 6/9 */
    fit(probe, rows, N, D, labels);
    scores = predict(probe, rows, N, D, 3);
    for (i = 0; i < N; i++) {
        CLOSE(scores[3 * i] - scores[3 * i + 1], log(2), 1e-4);
        CLOSE(scores[3 * i + 2] - scores[3 * i + 1], log(6), 1e-4);
    }
    free(scores);
    free(rows);
    sslcv_probe_destroy(probe);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(logistic_twice_the_rows_at_half_c)
{
    enum { N = 300, D = 7, C = 9 }; /* more classes than one panel has */
    sslcv_context *context = make_context(2, NULL);
    float *rows = normal_array(1, 2 * N * D), *a, *b;
    int64_t labels[2 * N], i;
    int k;

    memcpy(rows + N * D, rows, N * D * sizeof *rows);
    for (i = 0; i < N; i++) labels[i] = labels[N + i] = (i + (rows[i * D] > 0) + 3 * (rows[i * D + 1] > 0.5)) % C;
    for (k = 0; k < 2; k++) {
        const sslcv_probe_options options = exact_options(k ? 0.15 : 0.3);
        sslcv_probe *probe = make_probe(context, &options);

        fit(probe, rows, k ? 2 * N : N, D, labels);
        *(k ? &b : &a) = parameters_of(probe, D, C);
        sslcv_probe_destroy(probe);
    }
    for (i = 0; i < (D + 1) * C; i++) CLOSE(b[i], a[i], 1e-6);
    free(a);
    free(b);
    free(rows);
    sslcv_context_destroy(context);
}
END_TEST

/*
 * Two points at -1 and 1, of a class each: w of class 1 is u, of class 0 -u, and u + 2 C (1 - 2 s(2u)) ... = 0 with the
 * logistic function s, so u = 2 C (1 - s(2u)). No intercept, by symmetry.
 */
START_TEST(logistic_separable)
{
    static const float rows[2] = {-1, 1};
    static const int64_t labels[2] = {0, 1};
    static const double cs[] = {0.1, 1, 100, 1e6};
    sslcv_context *context = make_context(1, NULL);
    size_t k;

    for (k = 0; k < sizeof cs / sizeof *cs; k++) {
        const sslcv_probe_options options = exact_options(cs[k]);
        sslcv_probe *probe = make_probe(context, &options);
        double low = 0, high = 100;
        float *w;
        int i;

        for (i = 0; i < 200; i++) { /* bisection */
            const double u = (low + high) / 2;

            if (u < 2 * cs[k] / (1 + exp(2 * u))) {
                low = u;
            } else {
                high = u;
            }
        }
        fit(probe, rows, 2, 1, labels);
        w = parameters_of(probe, 1, 2);
        CLOSE(w[1], low, 1e-5);
        CLOSE(w[0], -low, 1e-5);
        CLOSE(w[2], 0, 1e-5);
        CLOSE(w[3], 0, 1e-5);
        free(w);
        sslcv_probe_destroy(probe);
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(logistic_does_not_depend_on_threads)
{
    enum { N = 1100, D = 33, C = 11 };
    float *rows = normal_array(1, N * D), *first = NULL;
    sslcv_probe_options options = exact_options(10);
    int64_t labels[N], i;
    int32_t threads;

    for (i = 0; i < N; i++) labels[i] = (i + 2 * (rows[i * D] > 0)) % C;
    options.iterations = 30;
    options.c_count = 3;
    options.c_last = 1e-2;
    for (threads = 1; threads <= 4; threads++) {
        sslcv_context *context = make_context(threads, NULL);
        sslcv_probe *probe = make_probe(context, &options);
        float *scores;

        fit(probe, rows, N, D, labels);
        scores = parameters_of(probe, D, C);
        if (first) {
            ck_assert_mem_eq(first, scores, sizeof *scores * (D + 1) * C);
            free(scores);
        } else {
            first = scores;
        }
        sslcv_probe_destroy(probe);
        sslcv_context_destroy(context);
    }
    free(first);
    free(rows);
}
END_TEST

/* ---- the sweep ---- */

/* The choice by hand: a fit for each C on the rows that learn, the figure on the others, the first best; then all. */
START_TEST(logistic_sweep_by_hand)
{
    enum { SWEEP = 7, CHOOSE = 40 };
    sslcv_context *context = make_context(2, NULL);
    sslcv_probe_options options = exact_options(100);
    const sslcv_tensor features = array(train, TRAIN, DIM);
    float rest[(TRAIN - CHOOSE) * DIM], choosing[CHOOSE * DIM], *a, *b;
    int64_t rest_labels[TRAIN - CHOOSE], choosing_labels[CHOOSE], validation[CHOOSE], i, kept = 0, chosen = 0;
    sslcv_probe *probe, *plain;
    sslcv_probe_info info;
    double best = -1, best_c = 0;

    make_sets();
    for (i = 0; i < TRAIN; i++) {
        if (i % 4 == 1) {
            memcpy(choosing + chosen * DIM, train + i * DIM, DIM * sizeof *train);
            choosing_labels[chosen] = train_labels[i];
            validation[chosen++] = i;
        } else {
            memcpy(rest + kept * DIM, train + i * DIM, DIM * sizeof *train);
            rest_labels[kept++] = train_labels[i];
        }
    }
    for (i = 0; i < SWEEP; i++) {
        const sslcv_probe_options single = exact_options(pow(10, 2 - (double)i)); /* 100 .. 1e-4 */
        float *scores;
        double top1;

        plain = make_probe(context, &single);
        fit(plain, rest, kept, DIM, rest_labels);
        scores = predict(plain, choosing, CHOOSE, DIM, CLASSES);
        top1 = judge(context, scores, CHOOSE, CLASSES, choosing_labels).top1;
        if (top1 > best) {
            best = top1;
            best_c = single.c_first;
        }
        free(scores);
        sslcv_probe_destroy(plain);
    }
    options.c_last = 1e-4;
    options.c_count = SWEEP;
    probe = make_probe(context, &options);
    OK(sslcv_probe_fit_rows(probe, &features, train_labels, NULL, validation, CHOOSE));
    info = info_of(probe);
    CLOSE(info.c / best_c, 1, 1e-12);
    CLOSE(info.validation, best, 1e-12);
    options = exact_options(info.c);
    plain = make_probe(context, &options);
    fit(plain, train, TRAIN, DIM, train_labels);
    a = parameters_of(probe, DIM, CLASSES);
    b = parameters_of(plain, DIM, CLASSES);
    for (i = 0; i < (DIM + 1) * CLASSES; i++) CLOSE(a[i], b[i], 1e-5);
    free(a);
    free(b);
    sslcv_probe_destroy(probe);
    sslcv_probe_destroy(plain);
    sslcv_context_destroy(context);
}
END_TEST

/* Drawn rows depend on the seed; the defaults are the published sweep; of equal figures the first C stays. */
START_TEST(logistic_sweep_defaults)
{
    enum { N = 60, D = 4, BYTES = (D + 1) * 3 * sizeof(float) };
    sslcv_context *context = make_context(1, NULL);
    sslcv_probe_options options;
    float *rows = normal_array(1, N * D), *a, *b;
    int64_t labels[N], i;
    sslcv_probe *probe;
    sslcv_probe_info info;

    OK(sslcv_probe_options_init(&options, sizeof options, SSLCV_PROBE_LOGISTIC));
    ck_assert(options.c_count == 45 && options.iterations == 100 && options.standardize == 0 && options.figure == 0);
    CLOSE(options.c_first, 1e6, 0);
    CLOSE(options.c_last, 1e-5, 0);
    CLOSE(options.validation, 0.2, 0);
    CLOSE(options.tolerance, 1e-4, 0);
    options.seed = 9;
    for (i = 0; i < N; i++) {
        labels[i] = i % 3;
        rows[i * D + labels[i]] += 20; /* every C gets all right, but the smallest */
    }
    probe = make_probe(context, &options);
    fit(probe, rows, N, D, labels);
    info = info_of(probe);
    CLOSE(info.c, 1e6, 0);
    CLOSE(info.validation, 1, 0);
    ck_assert_int_eq(info.count, N);
    a = parameters_of(probe, D, 3);
    fit(probe, rows, N, D, labels);
    b = parameters_of(probe, D, 3);
    ck_assert_mem_eq(a, b, BYTES);
    free(a);
    free(b);
    free(rows);
    sslcv_probe_destroy(probe);
    sslcv_context_destroy(context);
}
END_TEST

/* The last fit begins at the best C's weights, not at those of the last C, which are all but 0: with few iterations for
   each it gets further than a fit that begins at 0. */
START_TEST(logistic_last_fit_begins_at_the_best)
{
    sslcv_context *context = make_context(1, NULL);
    sslcv_probe_options options = exact_options(10);
    sslcv_probe *sweep, *plain;

    make_sets();
    options.iterations = 4;
    plain = make_probe(context, &options);
    options.c_count = 2;
    options.c_last = 1e-30;
    sweep = make_probe(context, &options);
    fit(plain, train, TRAIN, DIM, train_labels);
    fit(sweep, train, TRAIN, DIM, train_labels);
    CLOSE(info_of(sweep).c, 10, 0);
    ck_assert(info_of(sweep).converged == 0 && info_of(sweep).iterations == 4);
    ck_assert_double_lt(info_of(sweep).objective, 0.97 * info_of(plain).objective);
    sslcv_probe_destroy(plain);
    sslcv_probe_destroy(sweep);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- refusals ---- */

#define OPTION_REFUSED(change, text)                                                                                   \
    do {                                                                                                               \
        sslcv_probe_options refused = exact_options(1);                                                                \
        sslcv_probe *none = NULL;                                                                                      \
        change;                                                                                                        \
        FAILS(sslcv_probe_create(context, &refused, &none), SSLCV_ERR_INVALID_ARGUMENT, text);                         \
        ck_assert_ptr_null(none);                                                                                      \
    } while (0)

START_TEST(logistic_options_are_checked)
{
    sslcv_context *context = make_context(1, NULL);

    OPTION_REFUSED(refused.c_first = 0, "probe.c_first is 0 and probe.c_last 1e-05; must be > 0");
    OPTION_REFUSED(refused.c_last = INFINITY, "probe.c_last inf");
    OPTION_REFUSED(refused.c_count = 0, "probe.c_count is 0");
    OPTION_REFUSED(refused.validation = 1, "probe.validation is 1; must be between 0 and 1");
    OPTION_REFUSED(refused.iterations = 0, "probe.iterations is 0");
    OPTION_REFUSED(refused.tolerance = -1, "probe.tolerance is -1");
    OPTION_REFUSED(refused.figure = 5, "probe.figure is 5");
    OPTION_REFUSED(refused.standardize = 4, "probe.standardize is 4");
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(logistic_refuses)
{
    float rows[16] = {1, 2, 3, 4, 5, 6, 7, 8, 2, 1, 4, 3, 6, 5, 8, 7}, wanted[16] = {1, 0, 0, 1, 1, 0, 0, 1};
    int64_t labels[8] = {0, 1, 3, 0, 1, 3, -1, 0}, validation[3] = {0, 6, 0};
    sslcv_context *context = make_context(1, NULL);
    sslcv_probe_options options = exact_options(1);
    sslcv_probe *probe = make_probe(context, &options), *knn = make_knn(context, 1, 0.1), *sweep;
    const sslcv_tensor features = array(rows, 8, 2), targets = array(wanted, 8, 2), few = array(wanted, 4, 4);

    FAILS(sslcv_probe_fit(probe, &features, labels), SSLCV_ERR_LIMIT, "class 2 has no sample in features");
    labels[2] = labels[5] = 1;
    rows[5] = NAN;
    FAILS(sslcv_probe_fit(probe, &features, labels), SSLCV_ERR_NUMERIC, "features[2][1] is");
    rows[5] = 6;
    FAILS(sslcv_probe_fit_rows(knn, &features, labels, NULL, NULL, 0), SSLCV_ERR_INVALID_ARGUMENT,
          "must be SSLCV_PROBE_LOGISTIC");
    FAILS(sslcv_probe_fit_rows(probe, &features, NULL, NULL, NULL, 0), SSLCV_ERR_INVALID_ARGUMENT, "give one of");
    FAILS(sslcv_probe_fit_rows(probe, &features, labels, &targets, NULL, 0), SSLCV_ERR_INVALID_ARGUMENT, "give one of");
    FAILS(sslcv_probe_fit_rows(probe, &features, NULL, &few, NULL, 0), SSLCV_ERR_INVALID_ARGUMENT,
          "targets has shape (4, 4); must be (8, 4)");
    wanted[3] = 0.5f;
    FAILS(sslcv_probe_fit_rows(probe, &features, NULL, &targets, NULL, 0), SSLCV_ERR_INVALID_ARGUMENT,
          "targets[1][1] is 0.5; must be 0, 1 or -1");
    wanted[3] = wanted[7] = 0;
    FAILS(sslcv_probe_fit_rows(probe, &features, NULL, &targets, NULL, 0), SSLCV_ERR_LIMIT,
          "class 1: no row has target 1");
    options.c_count = 3;
    options.figure = SSLCV_FIGURE_AP_AREA;
    sweep = make_probe(context, &options);
    FAILS(sslcv_probe_fit(sweep, &features, labels), SSLCV_ERR_INVALID_ARGUMENT, "probe.figure is 4, which reads");
    sslcv_probe_destroy(sweep);
    options.figure = SSLCV_FIGURE_MEAN_PER_CLASS;
    sweep = make_probe(context, &options);
    FAILS(sslcv_probe_fit_rows(sweep, &features, labels, NULL, validation, 0), SSLCV_ERR_INVALID_ARGUMENT,
          "num_validation is 0; must be 1 .. 7");
    FAILS(sslcv_probe_fit_rows(sweep, &features, labels, NULL, validation, 3), SSLCV_ERR_INVALID_ARGUMENT,
          "validation has row 0 twice");
    validation[0] = 8;
    FAILS(sslcv_probe_fit_rows(sweep, &features, labels, NULL, validation, 1), SSLCV_ERR_INVALID_ARGUMENT,
          "validation[0] is 8; must be 0 .. 7");
    FAILS(sslcv_probe_fit_rows(sweep, &features, labels, NULL, validation + 1, 1), SSLCV_ERR_LIMIT,
          "no row is left to choose C by");
    ck_assert_int_eq(info_of(sweep).num_classes, 0);
    OK(sslcv_context_cancel(context, 1));
    FAILS(sslcv_probe_fit(sweep, &features, labels), SSLCV_ERR_CANCELLED, "cancelled");
    OK(sslcv_context_cancel(context, 0));
    OK(sslcv_probe_fit(sweep, &features, labels));
    ck_assert_int_eq(info_of(sweep).count, 7);
    sslcv_probe_destroy(sweep);
    sslcv_probe_destroy(knn);
    sslcv_probe_destroy(probe);
    sslcv_context_destroy(context);
}
END_TEST

/* One row of each class: nothing can be drawn to choose by. */
START_TEST(logistic_needs_rows_to_choose_by)
{
    static const float rows[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const int64_t labels[4] = {0, 1, 2, -1}, twice[4] = {0, 1, 0, 1};
    const sslcv_tensor features = array(rows, 4, 2);
    sslcv_context *context = make_context(1, NULL);
    sslcv_probe_options options = exact_options(1);
    sslcv_probe *probe;

    options.c_count = 2;
    probe = make_probe(context, &options);
    FAILS(sslcv_probe_fit(probe, &features, labels), SSLCV_ERR_LIMIT, "no class has two");
    sslcv_probe_destroy(probe);
    options.validation = 0.99; /* of two rows still leaves one to learn from */
    probe = make_probe(context, &options);
    OK(sslcv_probe_fit(probe, &features, twice));
    sslcv_probe_destroy(probe);
    sslcv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("probe_logistic");
    TCase *logistic = add_case(suite, "logistic");

    if (sslcv__minimize_check() != SSLCV_OK) return run_suite(suite); /* built without liblbfgs */
    tcase_add_test(logistic, logistic_golden);
    tcase_add_test(logistic, logistic_agrees_with_scikit_learn);
    tcase_add_test(logistic, logistic_small_c_gives_priors);
    tcase_add_test(logistic, logistic_twice_the_rows_at_half_c);
    tcase_add_test(logistic, logistic_separable);
    tcase_add_test(logistic, logistic_does_not_depend_on_threads);
    tcase_add_test(logistic, logistic_sweep_by_hand);
    tcase_add_test(logistic, logistic_sweep_defaults);
    tcase_add_test(logistic, logistic_last_fit_begins_at_the_best);
    tcase_add_test(logistic, logistic_options_are_checked);
    tcase_add_test(logistic, logistic_refuses);
    tcase_add_test(logistic, logistic_needs_rows_to_choose_by);
    return run_suite(suite);
}
