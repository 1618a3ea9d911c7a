#include "loss_checks.h"

enum { MAX = 1 << 13 };

static sslcv_loss *new_cosine(sslcv_context *context, int32_t squared, int32_t reduction)
{
    sslcv_cosine_options options;
    sslcv_loss *loss;

    OK(sslcv_cosine_options_init(&options, sizeof options));
    options.squared = squared;
    options.reduction = reduction;
    OK(sslcv_loss_create_cosine(context, &options, &loss));
    return loss;
}

/* ---- the twin ---- */

typedef struct twin {
    int64_t views, target_views, samples, dim;
    int squared, sum;
} twin;

static double length_of(const double *x, int64_t dim)
{
    double sum = 0.0;
    int64_t j;

    for (j = 0; j < dim; j++) sum += x[j] * x[j];
    return fmax(sqrt(sum), 1e-12);
}

static double twin_value(void *user, const double *const *inputs)
{
    const twin *t = user;
    double sum = 0.0;
    int64_t v, w, i, j, pairs = 0;

    for (v = 0; v < t->views; v++) {
        for (w = 0; w < t->target_views; w++) {
            if (t->views > 1 && v == w) continue;
            pairs++;
            for (i = 0; i < t->samples; i++) {
                const double *p = inputs[0] + (v * t->samples + i) * t->dim;
                const double *z = inputs[1] + (w * t->samples + i) * t->dim;
                const double lp = length_of(p, t->dim), lz = length_of(z, t->dim);
                double part = 0.0;

                for (j = 0; j < t->dim; j++) {
                    if (t->squared)
                        part += (p[j] / lp - z[j] / lz) * (p[j] / lp - z[j] / lz);
                    else
                        part -= p[j] / lp * (z[j] / lz);
                }
                sum += part / (double)t->samples;
            }
        }
    }
    return t->sum ? sum : sum / (double)pairs;
}

/* Value 1e-6, gradients 1e-5: all is double inside, inputs and outputs are f32. */
START_TEST(equals_its_twin)
{
    static float p[MAX], z[MAX], dp[MAX];
    sslcv_context *context = new_context(NULL, 2);
    sslcv__rng rng;
    int round;

    sslcv__rng_init(&rng, 21, 1, 1);
    for (round = 0; round < 100; round++) {
        twin t = {1 + sslcv__rng_below(&rng, 4),  1,         1 + sslcv__rng_below(&rng, 6),
                  1 + sslcv__rng_below(&rng, 40), round % 2, (int)sslcv__rng_below(&rng, 2)};
        sslcv_loss *loss = new_cosine(context, t.squared, t.sum);
        const double length = pow(10.0, sslcv__rng_range(&rng, -1.0, 2.0));
        loss_test test;

        if (round % 10 == 0) t.dim = 1;
        t.target_views = 1 + sslcv__rng_below(&rng, t.views);
        random_values(&rng, t.views * t.samples * t.dim, length, p);
        random_values(&rng, t.target_views * t.samples * t.dim, 1.0, z);
        loss_test_init(&test);
        loss_test_add(&test, t.views, t.samples, 1, t.dim, p, dp);
        loss_test_add(&test, t.target_views, t.samples, 1, t.dim, z, NULL);
        test.call.scale = sslcv__rng_range(&rng, 0.5, 3.0);
        check_twin(loss, &test, twin_value, &t, NULL, 0, 1e-6, 1e-5);
        sslcv_loss_destroy(loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* ---- published values ---- */

START_TEST(byol_and_simsiam_have_the_published_values)
{
    static const double byol_gradient[4] = {0.58294444, -0.34336370, -0.09741901, -0.52377372};
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *byol = new_cosine(context, 1, SSLCV_REDUCTION_SUM);
    sslcv_loss *simsiam = new_cosine(context, 0, SSLCV_REDUCTION_MEAN);
    float p[32], t[32], dp[32], d[32];
    loss_test test;
    int i;

    golden_input(1, 16, p);
    golden_input(2, 16, p + 16);
    golden_input(3, 16, t);
    golden_input(4, 16, t + 16);
    loss_test_init(&test);
    loss_test_add(&test, 2, 4, 1, 4, p, dp);
    loss_test_add(&test, 2, 4, 1, 4, t, NULL);
    CLOSE(loss_value(byol, &test) / 3.62728546, 1.0, 1e-7);
    for (i = 0; i < 4; i++) CLOSE((double)dp[i] / byol_gradient[i], 1.0, 1e-6);
    CLOSE(loss_metric(byol, "cosine"), 0.09317863, 1e-7);
    test.diffs[0].data = d;
    CLOSE(loss_value(simsiam, &test) / -0.09317863, 1.0, 1e-6);
    CLOSE(test.call.value, 0.25 * 3.62728546 - 1.0, 1e-8); /* BYOL = 4 + 4 SimSiam */
    for (i = 0; i < 32; i++) CLOSE(4.0 * (double)d[i], (double)dp[i], 1e-7);
    sslcv_loss_destroy(simsiam);
    sslcv_loss_destroy(byol);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- identities ---- */

START_TEST(lengths_do_not_matter)
{
    enum { V = 3, N = 5, D = 37, COUNT = V * N * D };
    sslcv_context *context = new_context(NULL, 2);
    sslcv_loss *loss = new_cosine(context, 1, SSLCV_REDUCTION_SUM);
    float p[COUNT], t[COUNT], dp[COUNT], longer[COUNT], dlonger[COUNT];
    double value;
    loss_test test;
    int i, j;

    golden_input(70, COUNT, p);
    golden_input(71, COUNT, t);
    loss_test_init(&test);
    loss_test_add(&test, V, N, 1, D, p, dp);
    loss_test_add(&test, V, N, 1, D, t, NULL);
    value = loss_value(loss, &test);
    for (i = 0; i < V * N; i++) { /* the gradient is orthogonal to its row */
        double along = 0.0;

        for (j = 0; j < D; j++) along += (double)p[i * D + j] * (double)dp[i * D + j];
        CLOSE(along, 0.0, 1e-7);
    }
    for (i = 0; i < COUNT; i++) {
        longer[i] = 64.0f * p[i];
        t[i] *= 0.125f;
    }
    test.inputs[0].data = longer;
    test.diffs[0].data = dlonger;
    CLOSE(loss_value(loss, &test), value, 1e-12);
    for (i = 0; i < COUNT; i++) CLOSE(64.0 * (double)dlonger[i], (double)dp[i], 1e-7);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(range_and_pairs)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *byol = new_cosine(context, 1, SSLCV_REDUCTION_SUM);
    sslcv_loss *mean = new_cosine(context, 0, SSLCV_REDUCTION_MEAN);
    float p[24], t[24], dp[24];
    loss_test test;
    int i;

    golden_input(72, 8, p); /* two views of two samples of 2 */
    for (i = 0; i < 4; i++) {
        t[i] = 3.0f * p[4 + i];
        t[4 + i] = 2.0f * p[i];
    }
    loss_test_init(&test);
    loss_test_add(&test, 2, 2, 1, 2, p, dp);
    loss_test_add(&test, 2, 2, 1, 2, t, NULL);
    CLOSE(loss_value(byol, &test), 0.0, 1e-12);
    for (i = 0; i < 8; i++) CLOSE(dp[i], 0.0, 1e-6);
    CLOSE(loss_value(mean, &test), -1.0, 1e-12);
    CLOSE(loss_metric(mean, "cosine"), 1.0, 1e-12);
    for (i = 0; i < 8; i++) t[i] = -t[i];
    CLOSE(loss_value(byol, &test), 8.0, 1e-12);
    CLOSE(loss_value(mean, &test), 1.0, 1e-12);

    /* One target: view 0, which it shows, has no pair, and its gradient is 0. */
    golden_input(73, 24, p);
    for (i = 0; i < 24; i++) dp[i] = 7.0f;
    loss_test_init(&test);
    loss_test_add(&test, 3, 2, 1, 4, p, dp);
    loss_test_add(&test, 1, 2, 1, 4, t, NULL);
    loss_value(mean, &test);
    for (i = 0; i < 8; i++) ck_assert_float_eq(dp[i], 0.0f);
    for (i = 8; i < 24; i++) ck_assert_float_ne(dp[i], 7.0f);
    sslcv_loss_destroy(mean);
    sslcv_loss_destroy(byol);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(extreme_inputs_stay_finite)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_cosine(context, 1, SSLCV_REDUCTION_SUM);
    float p[48] = {0.0f}, t[48], dp[48];
    loss_test test;
    int i, j;

    golden_input(74, 48, t);
    for (i = 0; i < 4; i++) {
        p[4 + i] = 1e-30f * t[i];                /* below the floor of the length */
        p[8 + i] = (float)(6e38 * (double)t[i]); /* up to the largest floats */
        p[12 + i] = t[36 + i];                   /* its own target */
        p[16 + i] = -1e6f * t[40 + i];           /* opposite */
        p[20 + i] = 1e-40f;                      /* denormals */
        t[24 + i] = 0.0f;                        /* a target of length 0 */
    }
    memcpy(p + 24, t, 24 * sizeof *p);
    loss_test_init(&test);
    loss_test_add(&test, 2, 6, 1, 4, p, dp);
    loss_test_add(&test, 2, 6, 1, 4, t, NULL);
    ck_assert(isfinite(loss_value(loss, &test)));
    ck_assert_double_ge(test.call.value, 0.0);
    ck_assert_double_le(test.call.value, 8.0);
    for (i = 0; i < 48; i++) ck_assert(isfinite(dp[i]));
    for (i = 0; i < 4; i++) { /* of the zero row: 1e12 of the unit target, here that of view 1, which is 0 */
        ck_assert_float_eq(dp[i], 0.0f);
    }
    for (j = 0; j < 4; j++) {
        const double unit = (double)t[28 + j] / sqrt((double)t[28] * t[28] + (double)t[29] * t[29] +
                                                     (double)t[30] * t[30] + (double)t[31] * t[31]);

        CLOSE((double)dp[4 + j] / 1e12, -2.0 / 6.0 * unit, 1e-6); /* no term along the row below the floor */
    }
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(bad_input_is_refused)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_cosine_options options;
    sslcv_loss *loss = NULL;
    float p[24], d[24];
    loss_test test;

    golden_input(75, 24, p);
    OK(sslcv_cosine_options_init(&options, sizeof options));
    ck_assert_int_eq(options.squared, 0);
    ck_assert_int_eq(options.reduction, SSLCV_REDUCTION_MEAN);
    FAILS(sslcv_cosine_options_init(&options, 4), SSLCV_ERR_INVALID_ARGUMENT, "cosine_options.struct_size is 4");
    FAILS(sslcv_cosine_options_init(NULL, sizeof options), SSLCV_ERR_INVALID_ARGUMENT, "cosine_options is NULL");
    FAILS(sslcv_loss_create_cosine(NULL, NULL, &loss), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_loss_create_cosine(context, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "loss is NULL");
    options.squared = 2;
    FAILS(sslcv_loss_create_cosine(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT,
          "cosine.squared is 2; must be 0 or 1");
    options.squared = 1;
    options.reduction = -1;
    FAILS(sslcv_loss_create_cosine(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT, "cosine.reduction is -1");
    ck_assert_ptr_null(loss);
    OK(sslcv_loss_create_cosine(context, NULL, &loss));
    FAILS(sslcv_loss_set(loss, "temperature", 1.0), SSLCV_ERR_NOT_FOUND, "cosine has no number");

    loss_test_init(&test);
    loss_test_add(&test, 1, 2, 1, 4, p, d);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT,
          "call.num_inputs is 1; cosine takes 2 .. 2");
    loss_test_add(&test, 2, 2, 1, 4, p, NULL);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[1] has 2 views; must be 1 .. 1");
    loss_test_init(&test);
    loss_test_add(&test, 1, 2, 1, 4, p, d);
    loss_test_add(&test, 1, 2, 1, 3, p, NULL);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[1] has 3 dimensions, inputs[0] 4");
    loss_test_init(&test);
    loss_test_add(&test, 1, 2, 1, 4, p, d);
    loss_test_add(&test, 1, 3, 1, 4, p, NULL);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[1] has 3 samples, inputs[0] 2");
    loss_test_init(&test);
    loss_test_add(&test, 1, 2, 1, 4, p, d);
    loss_test_add(&test, 1, 2, 1, 4, p, d + 8); /* targets get no gradient */
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "this input of cosine gets no gradient");
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- what all losses do ---- */

static sslcv_status create(sslcv_context *context, sslcv_loss **loss)
{
    return sslcv_loss_create_cosine(context, NULL, loss);
}

static void fill(loss_test *test, int64_t samples)
{
    static float p[MAX], t[MAX], dp[MAX];

    golden_input(76, 2 * samples * 61, p);
    golden_input(77, 2 * samples * 61, t);
    loss_test_init(test);
    loss_test_add(test, 2, samples, 1, 61, p, dp);
    loss_test_add(test, 2, samples, 1, 61, t, NULL);
}

static const loss_case standard = {"cosine", create, fill};

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
    Suite *suite = suite_create("loss_cosine");
    TCase *all = tcase_create("cosine");

    tcase_set_timeout(all, 60);
    tcase_add_test(all, equals_its_twin);
    tcase_add_test(all, byol_and_simsiam_have_the_published_values);
    tcase_add_test(all, lengths_do_not_matter);
    tcase_add_test(all, range_and_pairs);
    tcase_add_test(all, extreme_inputs_stay_finite);
    tcase_add_test(all, bad_input_is_refused);
    tcase_add_test(all, does_what_all_losses_do);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
