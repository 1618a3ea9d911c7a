/* Figures with intervals: average precision, top k, mean per class; each against a plain twin. */
#include "probe_support.h"

#include "eval/figures.h"

static sslcv_figure_options figure_options(int32_t figure)
{
    sslcv_figure_options options;

    OK(sslcv_figure_options_init(&options, sizeof options, figure));
    return options;
}

static sslcv_figure_value compute(sslcv_context *context, const sslcv_tensor *scores, const int64_t *labels,
                                  const sslcv_tensor *targets, const sslcv_figure_options *options, double *per_class)
{
    sslcv_figure_value value = {.struct_size = sizeof value};

    OK(sslcv_figure_compute(context, scores, labels, targets, options, &value, per_class));
    return value;
}

/* ---- average precision ---- */

/* Recall .2 .2 .4 .4 .6 .8, precision 1 .5 2/3 .5 .6 2/3: one of the five is never found. */
START_TEST(precision_golden)
{
    static const unsigned char hits[6] = {1, 0, 1, 0, 1, 1};

    CLOSE(sslcv__average_precision(hits, NULL, NULL, 6, 5, SSLCV_FIGURE_AP_11), .63636364, 1e-8);
    CLOSE(sslcv__average_precision(hits, NULL, NULL, 6, 5, SSLCV_FIGURE_AP_AREA), .6, 1e-12);
}
END_TEST

/* Ten positives, all in front but one: the recall of .3 is not .1 + .1 + .1 in f64, so .3 takes what is behind it. */
START_TEST(precision_thresholds_are_published_ones)
{
    /* 3 hits, 7 misses, 7 hits: at recall .3 precision 1; behind it at most 10 / 17 */
    static const unsigned char hits[17] = {1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1};

    CLOSE(sslcv__average_precision(hits, NULL, NULL, 17, 10, SSLCV_FIGURE_AP_11), (3 + 8 * 10 / 17.0) / 11, 1e-12);
    CLOSE(sslcv__average_precision(hits, NULL, NULL, 17, 10, SSLCV_FIGURE_AP_AREA), .3 + .7 * 10 / 17, 1e-12);
}
END_TEST

/* As the VOC devkit's code goes about it, from the curve. */
static double naive_precision(const float *scores, const float *targets, int64_t n, int64_t classes, int64_t c,
                              const int64_t *rows, int64_t drawn, int32_t figure)
{
    double *recall = calloc((size_t)(2 * drawn + 2), sizeof *recall), *precision = recall + drawn + 1;
    char *used = calloc((size_t)drawn, 1);
    double positives = 0, found = 0, ranks = 0, sum = 0;
    int64_t length = 0, i, r;
    int t;

    (void)n;
    for (i = 0; i < drawn; i++) positives += targets[rows[i] * classes + c] == 1;
    for (r = 0; r < drawn; r++) {
        int64_t best = -1;

        for (i = 0; i < drawn; i++) {
            if (used[i] || targets[rows[i] * classes + c] < 0) continue;
            if (best < 0 || scores[rows[i] * classes + c] > scores[rows[best] * classes + c] ||
                (scores[rows[i] * classes + c] == scores[rows[best] * classes + c] && rows[i] < rows[best])) {
                best = i;
            }
        }
        if (best < 0) break;
        used[best] = 1;
        ranks++;
        found += targets[rows[best] * classes + c] == 1;
        recall[length] = found / positives;
        precision[length++] = found / ranks;
    }
    for (t = 0; t <= 10 && figure == SSLCV_FIGURE_AP_11; t++) {
        double largest = 0;

        for (i = 0; i < length; i++) {
            if (recall[i] >= t * 0.1) largest = fmax(largest, precision[i]);
        }
        sum += largest / 11;
    }
    for (i = length - 1; i >= 0 && figure == SSLCV_FIGURE_AP_AREA; i--) {
        if (i + 1 < length) precision[i] = fmax(precision[i], precision[i + 1]);
        sum += (recall[i] - (i > 0 ? recall[i - 1] : 0)) * precision[i];
    }
    free(recall);
    free(used);
    return positives > 0 ? sum : -1;
}

enum { N = 60, C = 4 };

/* Ties, rows left out of a class, a class that nobody has. */
static void make_targets(float *scores, float *targets)
{
    float *noise = normal_array(2, N * C);
    int64_t i;

    for (i = 0; i < N * C; i++) {
        targets[i] = i % C == 3 ? 0 : noise[i] > 0.7f ? 1 : i % 13 == 5 ? -1 : 0;
        scores[i] = roundf(4 * (noise[i] * 0.4f + (float)((i * 37) % 11) / 11));
    }
    free(noise);
}

static double naive_mean(const float *scores, const float *targets, const int64_t *rows, int32_t figure)
{
    double sum = 0;
    int64_t c, classes = 0;

    for (c = 0; c < C; c++) {
        const double value = naive_precision(scores, targets, N, C, c, rows, N, figure);

        if (value < 0) continue;
        sum += value;
        classes++;
    }
    return classes > 0 ? sum / (double)classes : 0;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Rows of draw number draw, as the library draws them. */
static void draw_rows(uint64_t seed, int64_t draw, int64_t count, int64_t *rows)
{
    sslcv__rng rng;
    int64_t i;

    sslcv__rng_init(&rng, sslcv__rng_derive(seed, (uint64_t)draw, SSLCV__STREAM_PROBE), 0, 0);
    for (i = 0; i < count; i++) rows[i] = sslcv__rng_below(&rng, count);
}

START_TEST(precision_equals_plain_one)
{
    enum { DRAWS = 200 };
    const int32_t figure = _i ? SSLCV_FIGURE_AP_AREA : SSLCV_FIGURE_AP_11;
    sslcv_context *context = make_context(1, NULL);
    sslcv_figure_options options = figure_options(figure);
    float scores[N * C], targets[N * C];
    const sslcv_tensor score_tensor = array(scores, N, C), target_tensor = array(targets, N, C);
    double per_class[C], draws[DRAWS];
    sslcv_figure_value value;
    int64_t rows[N], i;

    make_targets(scores, targets);
    options.draws = DRAWS;
    options.level = 0.9;
    options.seed = 5;
    value = compute(context, &score_tensor, NULL, &target_tensor, &options, per_class);
    for (i = 0; i < N; i++) rows[i] = i;
    for (i = 0; i < C; i++) {
        CLOSE(per_class[i], naive_precision(scores, targets, N, C, i, rows, N, figure), 1e-12);
    }
    CLOSE(per_class[3], -1, 0);
    CLOSE(value.value, naive_mean(scores, targets, rows, figure), 1e-12);
    ck_assert(value.count == N && value.classes == 3);
    for (i = 0; i < DRAWS; i++) {
        draw_rows(5, i, N, rows);
        draws[i] = naive_mean(scores, targets, rows, figure);
    }
    qsort(draws, DRAWS, sizeof *draws, compare_doubles);
    CLOSE(value.low, draws[10], 1e-12);
    CLOSE(value.high, draws[DRAWS - 11], 1e-12);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- figures of labels ---- */

START_TEST(figures_equal_metrics)
{
    enum { ROWS = 500, K = 7 };
    sslcv_context *context = make_context(1, NULL);
    float *scores = normal_array(1, ROWS * K);
    const sslcv_tensor tensor = array(scores, ROWS, K);
    int64_t labels[ROWS], i, c;
    sslcv_figure_options options = figure_options(SSLCV_FIGURE_TOP_K);
    sslcv_figure_value value, again;
    sslcv_metrics metrics;
    double per_class[K], sum = 0;

    for (i = 0; i < ROWS; i++) {
        labels[i] = i % 9 == 8 ? -1 : i * i % 6; /* 0, 1, 3, 4; not 2, 5, 6 */
        if (labels[i] >= 0) scores[i * K + labels[i]] += 0.8f;
    }
    metrics = judge(context, scores, ROWS, K, labels);
    value = compute(context, &tensor, labels, NULL, &options, per_class);
    CLOSE(value.value, metrics.top1, 1e-12);
    ck_assert(value.count == metrics.count && value.classes == 4);
    CLOSE(value.low, metrics.top1_low, 0.011); /* 1000 draws beside infinitely many: some 0.4 % off */
    CLOSE(value.high, metrics.top1_high, 0.011);
    ck_assert(value.low < value.value && value.value < value.high);
    CLOSE(per_class[2], -1, 0);
    for (c = 0; c < K; c++) sum += per_class[c] >= 0 ? per_class[c] / 4 : 0;
    CLOSE(sum, metrics.mean_per_class, 1e-12);

    options.k = 5;
    CLOSE(compute(context, &tensor, labels, NULL, &options, NULL).value, metrics.top5, 1e-12);
    options.k = K;
    CLOSE(compute(context, &tensor, labels, NULL, &options, NULL).low, 1, 0);

    options = figure_options(SSLCV_FIGURE_MEAN_PER_CLASS);
    value = compute(context, &tensor, labels, NULL, &options, per_class);
    again = compute(context, &tensor, labels, NULL, &options, NULL);
    CLOSE(value.value, metrics.mean_per_class, 1e-12);
    ck_assert(value.low < value.value && value.value < value.high);
    ck_assert(value.low == again.low && value.high == again.high);
    options.seed = 1;
    again = compute(context, &tensor, labels, NULL, &options, NULL);
    ck_assert(value.low != again.low || value.high != again.high);
    options.draws = 0;
    value = compute(context, &tensor, labels, NULL, &options, NULL);
    ck_assert(value.low == value.value && value.high == value.value);
    free(scores);
    sslcv_context_destroy(context);
}
END_TEST

/* Does a 90 % interval hold the truth in 90 % of test sets? Accuracy 0.7, 200 sets of 150 rows. */
START_TEST(interval_holds_the_truth)
{
    enum { SETS = 200, ROWS = 150 };
    sslcv_context *context = make_context(1, NULL);
    sslcv_figure_options options = figure_options(SSLCV_FIGURE_TOP_K);
    float scores[ROWS * 2];
    const sslcv_tensor tensor = array(scores, ROWS, 2);
    int64_t labels[ROWS] = {0}, held = 0, set, i;
    sslcv__rng rng;

    sslcv__rng_init(&rng, 3, 0, 0);
    options.level = 0.9;
    options.draws = 300;
    for (set = 0; set < SETS; set++) {
        sslcv_figure_value value;

        for (i = 0; i < ROWS; i++) {
            scores[2 * i] = sslcv__rng_uniform(&rng) < 0.7;
            scores[2 * i + 1] = 0.5f;
        }
        value = compute(context, &tensor, labels, NULL, &options, NULL);
        held += value.low <= 0.7 && value.high >= 0.7;
    }
    ck_assert_msg(held >= 168 && held <= 194, "held %d of %d", (int)held, SETS); /* 180, deviation 4.2 */
    sslcv_context_destroy(context);
}
END_TEST

/* Of a level next to 0 what is left is the middle, in order, for even and odd numbers of draws. */
START_TEST(narrow_interval_is_in_order)
{
    sslcv_context *context = make_context(1, NULL);
    sslcv_figure_options options = figure_options(SSLCV_FIGURE_TOP_K);
    float scores[8] = {1, 0, 0, 1, 1, 0, 0, 1};
    const sslcv_tensor tensor = array(scores, 4, 2);
    const int64_t labels[4] = {0, 0, 1, 1};

    options.level = 1e-12;
    for (options.draws = 1; options.draws <= 40; options.draws++) {
        const sslcv_figure_value value = compute(context, &tensor, labels, NULL, &options, NULL);

        ck_assert_msg(value.low <= value.high, "%d draws: %g .. %g", (int)options.draws, value.low, value.high);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* ---- refusals ---- */

START_TEST(figures_refuse)
{
    float scores[6] = {1, 2, 3, 4, 5, 6}, wanted[6] = {1, 0, 0, 0, 1, 0};
    int64_t labels[2] = {0, 3}, at;
    host h;
    sslcv_context *context = make_context(1, &h);
    const sslcv_tensor tensor = array(scores, 2, 3), targets = array(wanted, 2, 3), few = array(wanted, 3, 2);
    sslcv_figure_options top = figure_options(SSLCV_FIGURE_TOP_K), ap = figure_options(SSLCV_FIGURE_AP_11), o;
    sslcv_figure_value value = {.struct_size = sizeof value, .value = -5};
    double per_class[3] = {-7};

    FAILS(sslcv_figure_options_init(&o, sizeof o, 0), SSLCV_ERR_INVALID_ARGUMENT, "figure is 0");
    FAILS(sslcv_figure_compute(NULL, &tensor, labels, NULL, &top, &value, NULL), SSLCV_ERR_INVALID_ARGUMENT, "context");
    FAILS(sslcv_figure_compute(context, &tensor, labels, NULL, NULL, &value, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "figure_options is NULL");
    FAILS(sslcv_figure_compute(context, &tensor, labels, NULL, &top, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "figure_value is NULL");
    FAILS(sslcv_figure_compute(context, &tensor, NULL, NULL, &top, &value, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "labels is NULL");
    FAILS(sslcv_figure_compute(context, &tensor, labels, &targets, &top, &value, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "targets is given");
    FAILS(sslcv_figure_compute(context, &tensor, labels, &targets, &ap, &value, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "labels is given");
    FAILS(sslcv_figure_compute(context, &tensor, NULL, NULL, &ap, &value, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "targets is NULL");
    FAILS(sslcv_figure_compute(context, &tensor, NULL, &few, &ap, &value, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "targets has shape (3, 2); must be (2, 3)");
    FAILS(sslcv_figure_compute(context, &tensor, labels, NULL, &top, &value, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "labels[1] is 3; must be -1 .. 2");
    labels[1] = 1;
    o = top;
    o.k = 0;
    FAILS(sslcv_figure_compute(context, &tensor, labels, NULL, &o, &value, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "figure.k is 0");
    o = top;
    o.draws = -1;
    FAILS(sslcv_figure_compute(context, &tensor, labels, NULL, &o, &value, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "figure.draws is -1");
    o = top;
    o.level = 1;
    FAILS(sslcv_figure_compute(context, &tensor, labels, NULL, &o, &value, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "figure.level is 1");
    wanted[1] = 2;
    FAILS(sslcv_figure_compute(context, &tensor, NULL, &targets, &ap, &value, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "targets[0][1] is 2");
    wanted[0] = wanted[1] = wanted[4] = 0;
    FAILS(sslcv_figure_compute(context, &tensor, NULL, &targets, &ap, &value, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "targets has no 1");
    wanted[0] = 1;
    scores[2] = NAN;
    FAILS(sslcv_figure_compute(context, &tensor, NULL, &targets, &ap, &value, NULL), SSLCV_ERR_NUMERIC,
          "scores[0][2] is NaN");
    FAILS(sslcv_figure_compute(context, &tensor, labels, NULL, &top, &value, NULL), SSLCV_ERR_NUMERIC,
          "scores[0][2] is NaN");
    scores[2] = 3;
    OK(sslcv_context_cancel(context, 1));
    FAILS(sslcv_figure_compute(context, &tensor, labels, NULL, &top, &value, per_class), SSLCV_ERR_CANCELLED, "");
    OK(sslcv_context_cancel(context, 0));
    for (at = 0;; at++) {
        h.fail_at = h.calls + at;
        if (sslcv_figure_compute(context, &tensor, NULL, &targets, &ap, &value, per_class) == SSLCV_OK) break;
        CLOSE(per_class[0], -7, 0);
        CLOSE(value.value, -5, 0);
    }
    ck_assert_int_ge(at, 6);
    CLOSE(per_class[0], .5, 1e-12); /* ranks 1, 0: the second is found; at every recall precision 1/2 */
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *figures = add_case(suite, "figures");

    tcase_add_test(figures, precision_golden);
    tcase_add_test(figures, precision_thresholds_are_published_ones);
    tcase_add_loop_test(figures, precision_equals_plain_one, 0, 2);
    tcase_add_test(figures, figures_equal_metrics);
    tcase_add_test(figures, interval_holds_the_truth);
    tcase_add_test(figures, narrow_interval_is_in_order);
    tcase_add_test(figures, figures_refuse);
    return run_suite(suite);
}
