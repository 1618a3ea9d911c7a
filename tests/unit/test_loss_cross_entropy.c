#include "loss_support.h"

static sslcv_loss *new_cross_entropy(sslcv_context *context, double smoothing)
{
    sslcv_cross_entropy_options options;
    sslcv_loss *loss;

    OK(sslcv_cross_entropy_options_init(&options, sizeof options));
    options.label_smoothing = smoothing;
    OK(sslcv_loss_create_cross_entropy(context, &options, &loss));
    return loss;
}

static void one_input(loss_test *test, int64_t views, int64_t samples, int64_t dim, float *data, float *diff)
{
    loss_test_init(test);
    loss_test_add(test, views, samples, 1, dim, data, diff);
}

/* The numbers behind a name in a golden file. */
static int64_t read_golden(const char *path, const char *name, double *values, int64_t capacity)
{
    FILE *file = fopen(path, "r");
    char line[8192];
    int64_t count = 0;

    ck_assert_msg(file != NULL, "%s is missing; tests run in the root of the repository", path);
    while (fgets(line, sizeof line, file)) {
        const size_t length = strlen(name);
        char *text = line + length, *end;

        if (strncmp(line, name, length) != 0 || line[length] != ' ') continue;
        for (; count < capacity; count++, text = end) {
            values[count] = strtod(text, &end);
            if (end == text) break;
        }
    }
    fclose(file);
    ck_assert_msg(count > 0, "%s has no line %s", path, name);
    return count;
}

/* ---- the twin ---- */

enum { MAX_VALUES = 3 * 12 * 40 };

typedef struct twin {
    int64_t views, samples, classes;
    const int64_t *labels;
    const float *targets; /* NULL: labels */
    double smoothing;
} twin;

static double twin_row(const twin *t, const double *x, int64_t sample)
{
    double sum = 0.0, value = 0.0;
    int64_t c;

    for (c = 0; c < t->classes; c++) sum += exp(x[c]);
    for (c = 0; c < t->classes; c++) {
        const double hard = t->labels[sample] == c ? 1.0 : 0.0;
        const double target = t->targets ? (double)t->targets[sample * t->classes + c] : hard;

        value -= ((1.0 - t->smoothing) * target + t->smoothing / (double)t->classes) * (x[c] - log(sum));
    }
    return value;
}

static double twin_value(void *user, const double *const *inputs)
{
    const twin *t = user;
    double value = 0.0;
    int64_t r, count = 0;

    for (r = 0; r < t->views * t->samples; r++) {
        if (!t->targets && t->labels[r % t->samples] < 0) continue;
        value += twin_row(t, inputs[0] + r * t->classes, r % t->samples);
        count++;
    }
    return count ? value / (double)count : 0.0;
}

/* Scores of some tens, as those of a network that is sure. */
START_TEST(equals_its_twin)
{
    sslcv_context *context = new_context(NULL, 2);
    static float x[MAX_VALUES], dx[MAX_VALUES], targets[MAX_VALUES];
    int64_t labels[12], round, i;
    sslcv__rng rng;

    sslcv__rng_init(&rng, 4, 5, 6);
    for (round = 0; round < 100; round++) {
        const int64_t views = 1 + sslcv__rng_below(&rng, 3), samples = 1 + sslcv__rng_below(&rng, 8);
        const int64_t classes = 1 + sslcv__rng_below(&rng, 40), shape[2] = {samples, classes};
        twin t = {views,
                  samples,
                  classes,
                  labels,
                  round % 3 == 2 ? targets : NULL,
                  round % 2 ? sslcv__rng_range(&rng, 0.0, 1.0) : 0.0};
        sslcv_loss *loss = new_cross_entropy(context, t.smoothing);
        sslcv_tensor soft;
        loss_test test;

        random_values(&rng, views * samples * classes, sslcv__rng_range(&rng, 0.1, 10.0), x);
        for (i = 0; i < samples * classes; i++) targets[i] = (float)sslcv__rng_uniform(&rng);
        for (i = 0; i < samples; i++) labels[i] = sslcv__rng_below(&rng, classes + 1) - 1;
        one_input(&test, views, samples, classes, x, dx);
        test.call.labels = labels;
        OK(sslcv_tensor_init(&soft, SSLCV_F32, targets, 2, shape));
        if (t.targets) test.call.targets = &soft;
        test.call.scale = sslcv__rng_range(&rng, 0.5, 3.0);
        check_twin(loss, &test, twin_value, &t, NULL, 0, 1e-6, 2e-6);
        sslcv_loss_destroy(loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* ---- values ---- */

START_TEST(equals_pytorch)
{
    static const struct {
        const char *name;
        double smoothing;
    } cases[3] = {{"cross_entropy", 0.0}, {"cross_entropy_smooth", 0.1}, {"cross_entropy_soft", 0.2}};
    static const int64_t labels[4] = {2, -1, 0, 4}, shape[2] = {4, 5};
    sslcv_context *context = new_context(NULL, 2);
    float x[40], dx[40], targets[20];
    double golden[32];
    sslcv_tensor soft;
    int64_t i, j;
    loss_test test;

    golden_input(40, 20, x);
    golden_input(41, 20, targets);
    for (i = 0; i < 20; i++) {
        x[i] *= 8.0f;
        x[20 + i] = x[i];
        targets[i] += 0.5f;
    }
    OK(sslcv_tensor_init(&soft, SSLCV_F32, targets, 2, shape));
    for (i = 0; i < 3; i++) {
        sslcv_loss *loss = new_cross_entropy(context, cases[i].smoothing);

        ck_assert_int_eq(read_golden("tests/golden/loss.txt", cases[i].name, golden, 32), 21);
        one_input(&test, 1, 4, 5, x, dx);
        test.call.labels = labels;
        if (i == 2) test.call.targets = &soft; /* and the labels do not matter */
        test.call.scale = 0.5;
        CLOSE(loss_value(loss, &test), golden[0], 1e-6);
        for (j = 0; j < 20; j++) CLOSE(16.0 * (double)dx[j], golden[1 + j], 1e-6);
        one_input(&test, 2, 4, 5, x, dx); /* both views have the labels */
        test.call.labels = labels;
        if (i == 2) test.call.targets = &soft;
        CLOSE(loss_value(loss, &test), golden[0], 1e-6);
        for (j = 0; j < 40; j++) CLOSE(16.0 * (double)dx[j], golden[1 + j % 20], 1e-6);
        sslcv_loss_destroy(loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(edges)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_cross_entropy(context, 0.0);
    const int64_t none[2] = {-1, -1}, labels[2] = {1, 0}, shape[2] = {2, 3};
    float x[6] = {1e30f, -1e30f, 0.0f, 1e4f, -1e4f, 3.0f}, dx[6], equal[6] = {0};
    sslcv_tensor rows, diffs;
    int64_t i;
    loss_test test;

    one_input(&test, 1, 2, 3, x, dx);
    test.call.labels = none;
    ck_assert_double_eq(loss_value(loss, &test), 0.0);
    for (i = 0; i < 6; i++) ck_assert_float_eq(dx[i], 0.0f);

    test.call.labels = labels;
    CLOSE(loss_value(loss, &test) / 1e30, 1.0, 1e-6);
    for (i = 0; i < 6; i++) ck_assert(isfinite(dx[i]));
    CLOSE(dx[0], 0.5, 1e-7);
    CLOSE(dx[1], -0.5, 1e-7);
    CLOSE(dx[3], 0.0, 1e-7);
    CLOSE(loss_metric(loss, "top1"), 0.5, 0.0);

    OK(sslcv_loss_call_init(&test.call, sizeof test.call)); /* (N, C) */
    OK(sslcv_tensor_init(&rows, SSLCV_F32, equal, 2, shape));
    OK(sslcv_tensor_init(&diffs, SSLCV_F32, dx, 2, shape));
    test.call.inputs = &rows;
    test.call.diff_inputs = &diffs;
    test.call.num_inputs = 1;
    test.call.labels = labels;
    CLOSE(loss_value(loss, &test), log(3.0), 1e-9);
    CLOSE(loss_metric(loss, "top1"), 0.0, 0.0); /* a tie is not first */
    CLOSE(dx[0], 1.0 / 6.0, 1e-7);
    CLOSE(dx[1], -1.0 / 3.0, 1e-7);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(bad_labels_are_refused)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_cross_entropy(context, 0.0);
    int64_t labels[2] = {0, 1}, shape[2] = {2, 3}, bad_shape[2] = {2, 4};
    float x[6] = {0}, targets[8] = {0};
    sslcv_tensor soft;
    loss_test test;

    one_input(&test, 1, 2, 3, x, NULL);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "cross_entropy needs one");
    test.call.labels = labels;
    labels[1] = 3;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "call.labels[1] is 3; must be -1 .. 2");
    labels[1] = -2;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "call.labels[1] is -2");
    test.call.targets = &soft;
    OK(sslcv_tensor_init(&soft, SSLCV_F32, targets, 2, bad_shape));
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "call.targets has 4 classes, inputs[0] 3");
    OK(sslcv_tensor_init(&soft, SSLCV_F32, targets, 2, shape));
    targets[4] = -0.5f;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "call.targets[1, 1] is -0.5; must be >= 0");
    targets[4] = NAN;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_NUMERIC, "call.targets has NaN");
    targets[4] = 1.0f;
    OK(sslcv_loss_compute(loss, &test.call));
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(identities_and_metrics)
{
    enum { C = 3000 };
    static float x[2 * C], dx[2 * C];
    const int64_t labels[2] = {7, C - 1}, shape[2] = {2, 4};
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_cross_entropy(context, 0.0);
    float y[8] = {1, 3, 2, 0, 5, 1, 1, 5}, targets[8] = {0, 0.5f, 0.5f, 0, 0, 0, 0, 1};
    sslcv_tensor soft;
    loss_test test;
    int64_t i, r;

    one_input(&test, 1, 2, C, x, dx);
    test.call.labels = labels;
    CLOSE(loss_value(loss, &test), log((double)C), 1e-9); /* uniform: 8.0064 */
    ck_assert_double_eq(loss_metric(loss, "top1"), 0.0);
    golden_input(64, 2 * C, x);
    loss_value(loss, &test);
    for (r = 0; r < 2; r++) { /* gradients of a row add up to 0 */
        double sum = 0.0;

        for (i = 0; i < C; i++) sum += (double)dx[r * C + i];
        CLOSE(sum, 0.0, 1e-7);
    }
    x[7] = 1.0f;
    loss_value(loss, &test);
    ck_assert_double_eq(loss_metric(loss, "top1"), 0.5);

    OK(sslcv_tensor_init(&soft, SSLCV_F32, targets, 2, shape));
    one_input(&test, 1, 2, 4, y, NULL);
    test.call.targets = &soft;
    loss_value(loss, &test);
    ck_assert_double_eq(loss_metric(loss, "top1"), 0.5); /* the first largest target leads; the other row has a tie */
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(bits_and_threads)
{
    enum { N = 61, C = 37 };
    static float x[N * C], dx[3][N * C];
    int64_t labels[N], i, round;
    double values[3];

    golden_input(65, N * C, x);
    for (i = 0; i < N; i++) labels[i] = i % C;
    for (round = 0; round < 3; round++) {
        sslcv_context *context = new_context(NULL, round == 0 ? 1 : 2);
        sslcv_loss *loss = new_cross_entropy(context, 0.1);
        loss_test test;

        one_input(&test, 1, N, C, x, dx[round]);
        test.call.labels = labels;
        values[round] = loss_value(loss, &test);
        ck_assert_double_eq(values[round], values[0]); /* rows are added up in order */
        ck_assert_mem_eq(dx[round], dx[0], sizeof dx[0]);
        sslcv_loss_destroy(loss);
        sslcv_context_destroy(context);
    }
}
END_TEST

START_TEST(bad_options_are_refused)
{
    static const double bad[4] = {-0.1, 1.5, NAN, INFINITY};
    sslcv_context *context = new_context(NULL, 1);
    sslcv_cross_entropy_options options;
    sslcv_loss *loss = NULL;
    int i;

    OK(sslcv_cross_entropy_options_init(&options, sizeof options));
    ck_assert_double_eq(options.label_smoothing, 0.0);
    FAILS(sslcv_loss_create_cross_entropy(NULL, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_loss_create_cross_entropy(context, &options, NULL), SSLCV_ERR_INVALID_ARGUMENT, "loss is NULL");
    for (i = 0; i < 4; i++) {
        options.label_smoothing = bad[i];
        FAILS(sslcv_loss_create_cross_entropy(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT, "must be 0 .. 1");
    }
    options.label_smoothing = 1.5;
    FAILS(sslcv_loss_create_cross_entropy(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT,
          "cross_entropy.label_smoothing is 1.5; must be 0 .. 1");
    ck_assert_ptr_null(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(steady_calls_allocate_nothing)
{
    host h = {.fail_at = -1};
    sslcv_context *context = new_context(&h, 2);
    sslcv_loss *loss = new_cross_entropy(context, 0.1);
    const int64_t labels[8] = {0, 1, 2, 3, 0, 1, 2, 3};
    float x[64], dx[64];
    int64_t calls, i;
    loss_test test;

    golden_input(66, 64, x);
    one_input(&test, 2, 8, 4, x, dx);
    test.call.labels = labels;
    loss_value(loss, &test);
    calls = h.calls;
    for (i = 1; i <= 8; i++) {
        one_input(&test, 2, i, 4, x, dx);
        test.call.labels = labels;
        loss_value(loss, &test);
    }
    ck_assert_int_eq(h.calls, calls);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss_cross_entropy");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 60);
    tcase_add_test(all, equals_its_twin);
    tcase_add_test(all, equals_pytorch);
    tcase_add_test(all, edges);
    tcase_add_test(all, identities_and_metrics);
    tcase_add_test(all, bits_and_threads);
    tcase_add_test(all, bad_labels_are_refused);
    tcase_add_test(all, bad_options_are_refused);
    tcase_add_test(all, steady_calls_allocate_nothing);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
