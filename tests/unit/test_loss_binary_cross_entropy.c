#include "loss_checks.h"

enum { MAX = 1 << 13 };

static sslcv_loss *new_loss(sslcv_context *context, int32_t reduction)
{
    sslcv_binary_cross_entropy_options options;
    sslcv_loss *loss;

    OK(sslcv_binary_cross_entropy_options_init(&options, sizeof options));
    options.reduction = reduction;
    OK(sslcv_loss_create_binary_cross_entropy(context, &options, &loss));
    return loss;
}

static void one_input(loss_test *test, int64_t views, int64_t samples, int64_t classes, float *x, float *dx,
                      float *targets, sslcv_tensor *soft)
{
    const int64_t shape[2] = {samples, classes};

    loss_test_init(test);
    loss_test_add(test, views, samples, 1, classes, x, dx);
    OK(sslcv_tensor_init(soft, SSLCV_F32, targets, 2, shape));
    test->call.targets = soft;
}

/* ---- the twin ---- */

typedef struct twin {
    int64_t views, samples, classes;
    const float *targets;
    int sum;
} twin;

static double twin_value(void *user, const double *const *inputs)
{
    const twin *t = user;
    double sum = 0.0, counted = 0.0, rows = 0.0;
    int64_t r, c;

    for (r = 0; r < t->views * t->samples; r++) {
        int any = 0;

        for (c = 0; c < t->classes; c++) {
            const double x = inputs[0][r * t->classes + c];
            const double y = (double)t->targets[r % t->samples * t->classes + c];

            if (y < 0.0) continue;
            sum -= y * log(1.0 / (1.0 + exp(-x))) + (1.0 - y) * log(1.0 / (1.0 + exp(x)));
            counted += 1.0;
            any = 1;
        }
        rows += any;
    }
    return counted > 0.0 ? sum / (t->sum ? rows : counted) : 0.0;
}

/* Value 1e-6, gradients 1e-5: exponentials are f32 with errors of 2 units of the last place, the rest is double. */
START_TEST(equals_its_twin)
{
    static float x[MAX], dx[MAX], y[MAX];
    sslcv_context *context = new_context(NULL, 2);
    sslcv__rng rng;
    int round;

    sslcv__rng_init(&rng, 22, 1, 1);
    for (round = 0; round < 100; round++) {
        twin t = {1 + sslcv__rng_below(&rng, 3), 1 + sslcv__rng_below(&rng, 6), 1 + sslcv__rng_below(&rng, 24), y,
                  (int)sslcv__rng_below(&rng, 2)};
        sslcv_loss *loss = new_loss(context, t.sum);
        sslcv_tensor soft;
        loss_test test;
        int64_t i;

        if (round % 10 == 0) t.classes = 1;
        if (round % 10 == 5) t.views = t.samples = 1, t.classes = 250 + round; /* more than one part */
        random_values(&rng, t.views * t.samples * t.classes, 3.0, x);
        for (i = 0; i < t.samples * t.classes; i++) {
            const int64_t what = sslcv__rng_below(&rng, 4);

            y[i] = what == 0 ? -1.0f : (what == 1 ? (float)sslcv__rng_uniform(&rng) : (float)(what - 2));
        }
        one_input(&test, t.views, t.samples, t.classes, x, dx, y, &soft);
        test.call.scale = sslcv__rng_range(&rng, 0.5, 3.0);
        check_twin(loss, &test, twin_value, &t, NULL, 0, 1e-6, 1e-5);
        sslcv_loss_destroy(loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* ---- analytic values ---- */

START_TEST(known_values)
{
    static float many[2 * 1000], ones[2 * 1000];
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *mean = new_loss(context, SSLCV_REDUCTION_MEAN), *sum = new_loss(context, SSLCV_REDUCTION_SUM);
    float x[8] = {0.0f, 0.0f, 0.0f, 0.0f, 2.0f, -1.0f, 3.0f, -0.5f}, dx[8];
    float y[8] = {1.0f, 0.0f, 0.25f, 0.5f, 1.0f, 0.0f, 0.0f, -1.0f};
    const double second = log1p(exp(-2.0)) + log1p(exp(-1.0)) + log1p(exp(3.0));
    sslcv_tensor soft;
    loss_test test;
    int i;

    one_input(&test, 1, 2, 4, x, dx, y, &soft);
    CLOSE(loss_value(mean, &test), (4.0 * log(2.0) + second) / 7.0, 1e-7);
    CLOSE(dx[0], -0.5 / 7.0, 1e-7);
    CLOSE(dx[2], 0.25 / 7.0, 1e-7);
    CLOSE(dx[6], 1.0 / (1.0 + exp(-3.0)) / 7.0, 1e-7);
    ck_assert_float_eq(dx[7], 0.0f);
    CLOSE(loss_metric(mean, "accuracy"), 2.0 / 7.0, 1e-12); /* a logit of 0 and a target of 1/2 have no side */
    CLOSE(loss_value(sum, &test), (4.0 * log(2.0) + second) / 2.0, 1e-7);
    CLOSE(dx[0], -0.25, 1e-7);

    for (i = 4; i < 8; i++) y[i] = -1.0f; /* a row of which nothing counts is none of those that are averaged */
    CLOSE(loss_value(sum, &test), 4.0 * log(2.0), 1e-7);
    CLOSE(loss_value(mean, &test), log(2.0), 1e-7);
    for (i = 4; i < 8; i++) ck_assert_float_eq(dx[i], 0.0f);
    for (i = 0; i < 8; i++) y[i] = -0.5f;
    for (i = 0; i < 8; i++) dx[i] = 5.0f;
    ck_assert_double_eq(loss_value(mean, &test), 0.0);
    for (i = 0; i < 8; i++) ck_assert_float_eq(dx[i], 0.0f);
    ck_assert_double_eq(loss_metric(mean, "accuracy"), 0.0);
    ck_assert_double_eq(loss_value(sum, &test), 0.0);

    /* Many entries alike: log(2) each, by one logarithm for 256; and small losses keep their digits. */
    for (i = 0; i < 2000; i++) ones[i] = 1.0f;
    one_input(&test, 1, 2, 1000, many, NULL, ones, &soft);
    CLOSE(loss_value(mean, &test), log(2.0), 1e-12);
    for (i = 0; i < 2000; i++) many[i] = 60.0f;
    CLOSE(loss_value(mean, &test) / exp(-60.0), 1.0, 1e-6);
    CLOSE(loss_metric(mean, "accuracy"), 1.0, 0.0);
    sslcv_loss_destroy(sum);
    sslcv_loss_destroy(mean);
    sslcv_context_destroy(context);
}
END_TEST

/* Both ends of a target change places with the sign of the logit. */
START_TEST(is_symmetric)
{
    enum { N = 3, C = 21, COUNT = 2 * N * C };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_loss(context, SSLCV_REDUCTION_MEAN);
    float x[COUNT], y[N * C], dx[2][COUNT];
    sslcv_tensor soft;
    double value;
    loss_test test;
    int i;

    golden_input(80, COUNT, x);
    golden_input(81, N * C, y);
    for (i = 0; i < N * C; i++) y[i] += 0.5f;
    for (i = 0; i < COUNT; i++) x[i] *= 20.0f;
    one_input(&test, 2, N, C, x, dx[0], y, &soft);
    value = loss_value(loss, &test);
    for (i = 0; i < N * C; i++) y[i] = 1.0f - y[i];
    for (i = 0; i < COUNT; i++) x[i] = -x[i];
    test.diffs[0].data = dx[1];
    CLOSE(loss_value(loss, &test) / value, 1.0, 1e-6);
    for (i = 0; i < COUNT; i++) CLOSE((double)dx[0][i], -(double)dx[1][i], 1e-8);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(extreme_logits_stay_finite)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_loss(context, SSLCV_REDUCTION_SUM);
    float x[6] = {3e38f, -3e38f, 1e4f, -1e4f, 88.5f, 1e-40f}, y[6] = {0.0f, 1.0f, 1.0f, 0.0f, 0.0f, 1.0f}, dx[6];
    sslcv_tensor soft;
    loss_test test;

    one_input(&test, 1, 1, 6, x, dx, y, &soft);
    CLOSE(loss_value(loss, &test) / 6e38, 1.0, 1e-6);
    CLOSE(dx[0], 1.0, 0.0);
    CLOSE(dx[1], -1.0, 0.0);
    CLOSE(dx[2], 0.0, 0.0);
    CLOSE(dx[3], 0.0, 0.0);
    CLOSE(dx[4], 1.0, 0.0);
    CLOSE(dx[5], -0.5, 0.0);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(bad_input_is_refused)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_binary_cross_entropy_options options;
    sslcv_loss *loss = NULL;
    const int64_t labels[2] = {0, 1}, shape[2] = {2, 4};
    float x[6] = {0}, y[8] = {0}, dx[6] = {5.0f};
    sslcv_tensor soft;
    loss_test test;

    OK(sslcv_binary_cross_entropy_options_init(&options, sizeof options));
    ck_assert_int_eq(options.reduction, SSLCV_REDUCTION_MEAN);
    FAILS(sslcv_binary_cross_entropy_options_init(&options, 4), SSLCV_ERR_INVALID_ARGUMENT,
          "binary_cross_entropy_options.struct_size is 4");
    FAILS(sslcv_loss_create_binary_cross_entropy(NULL, NULL, &loss), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_loss_create_binary_cross_entropy(context, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "loss is NULL");
    options.reduction = 7;
    FAILS(sslcv_loss_create_binary_cross_entropy(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT,
          "binary_cross_entropy.reduction is 7");
    options.reduction = 0;
    options.reserved = 1;
    FAILS(sslcv_loss_create_binary_cross_entropy(context, &options, &loss), SSLCV_ERR_UNSUPPORTED,
          "binary_cross_entropy.reserved");
    ck_assert_ptr_null(loss);
    OK(sslcv_loss_create_binary_cross_entropy(context, NULL, &loss));

    one_input(&test, 1, 2, 3, x, dx, y, &soft);
    test.call.targets = NULL;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "binary_cross_entropy needs one");
    test.call.labels = labels; /* these say too little */
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT,
          "call.targets is NULL; binary_cross_entropy needs them");
    test.call.targets = &soft;
    OK(sslcv_tensor_init(&soft, SSLCV_F32, y, 2, shape));
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "call.targets has 4 classes, inputs[0] 3");
    one_input(&test, 1, 2, 3, x, dx, y, &soft);
    y[4] = 1.5f;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT,
          "call.targets[1, 1] is 1.5; must be 0 .. 1, or below 0 to be left out");
    y[4] = NAN;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_NUMERIC, "call.targets has NaN");
    y[4] = -INFINITY;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_NUMERIC, "call.targets has NaN or infinity");
    ck_assert_float_eq(dx[0], 5.0f);
    y[4] = 1.0f;
    OK(sslcv_loss_compute(loss, &test.call));
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- what all losses do ---- */

static sslcv_status create(sslcv_context *context, sslcv_loss **loss)
{
    return sslcv_loss_create_binary_cross_entropy(context, NULL, loss);
}

static void fill(loss_test *test, int64_t samples)
{
    static float x[MAX], y[MAX], dx[MAX];
    static sslcv_tensor soft;
    int64_t i;

    golden_input(82, 2 * samples * 61, x);
    golden_input(83, samples * 61, y);
    for (i = 0; i < samples * 61; i++) y[i] = fminf(1.0f, 2.0f * y[i] + 0.5f);
    one_input(test, 2, samples, 61, x, dx, y, &soft);
}

static const loss_case standard = {"binary_cross_entropy", create, fill};

START_TEST(does_what_all_losses_do)
{
    check_finite_inputs(&standard);
    check_bad_calls(&standard);
    check_steady_calls(&standard);
    check_allocations(&standard);
    check_threads(&standard, 31, 0.0);
    check_scale(&standard, 1e-6);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss_binary_cross_entropy");
    TCase *all = tcase_create("binary_cross_entropy");

    tcase_set_timeout(all, 60);
    tcase_add_test(all, equals_its_twin);
    tcase_add_test(all, known_values);
    tcase_add_test(all, is_symmetric);
    tcase_add_test(all, extreme_logits_stay_finite);
    tcase_add_test(all, bad_input_is_refused);
    tcase_add_test(all, does_what_all_losses_do);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
