#include "loss_checks.h"

enum { MAX = 1 << 13 };

static sslcv_loss *new_loss(sslcv_context *context, double invariance, double variance, double covariance)
{
    sslcv_vicreg_options options;
    sslcv_loss *loss;

    OK(sslcv_vicreg_options_init(&options, sizeof options));
    options.weight_invariance = invariance;
    options.weight_variance = variance;
    options.weight_covariance = covariance;
    OK(sslcv_loss_create_vicreg(context, &options, &loss));
    return loss;
}

static void one_input(loss_test *test, int64_t samples, int64_t dim, float *z, float *dz)
{
    loss_test_init(test);
    loss_test_add(test, 2, samples, 1, dim, z, dz);
}

/* ---- the twin ---- */

typedef struct twin {
    int64_t samples, dim;
    double weights[3];
} twin;

static double twin_value(void *user, const double *const *inputs)
{
    static double centred[MAX];
    const twin *t = user;
    const int64_t n = t->samples, d = t->dim;
    double invariance = 0.0, variance = 0.0, covariance = 0.0;
    int64_t v, i, a, b;

    for (i = 0; i < n * d; i++) invariance += pow(inputs[0][i] - inputs[0][n * d + i], 2.0) / (double)(n * d);
    for (v = 0; v < 2; v++) {
        const double *z = inputs[0] + v * n * d;

        for (a = 0; a < d; a++) {
            double mean = 0.0;

            for (i = 0; i < n; i++) mean += z[i * d + a] / (double)n;
            for (i = 0; i < n; i++) centred[i * d + a] = z[i * d + a] - mean;
        }
        for (a = 0; a < d; a++) {
            for (b = 0; b < d; b++) {
                double c = 0.0;

                for (i = 0; i < n; i++) c += centred[i * d + a] * centred[i * d + b] / (double)(n - 1);
                if (a == b)
                    variance += 0.5 * fmax(0.0, 1.0 - sqrt(c + 1e-4)) / (double)d;
                else
                    covariance += c * c / (double)d;
            }
        }
    }
    return t->weights[0] * invariance + t->weights[1] * variance + t->weights[2] * covariance;
}

/* Value 1e-5, gradients 1e-4: covariances are f32. Both ways of the sum are met: fewer rows than columns, and more. */
START_TEST(equals_its_twin)
{
    static float z[MAX], dz[MAX];
    sslcv_context *context = new_context(NULL, 2);
    sslcv__rng rng;
    int round;

    sslcv__rng_init(&rng, 25, 1, 1);
    for (round = 0; round < 100; round++) {
        twin t = {
            2 + sslcv__rng_below(&rng, 9),
            1 + sslcv__rng_below(&rng, 16),
            {sslcv__rng_range(&rng, 0.0, 30.0), sslcv__rng_range(&rng, 0.0, 30.0), sslcv__rng_range(&rng, 0.0, 3.0)}};
        const double length = pow(10.0, sslcv__rng_range(&rng, -1.5, 0.5)); /* on both sides of the hinge */
        sslcv_loss *loss;
        loss_test test;
        int64_t i;

        if (round % 10 == 0) t.dim = 1;
        for (i = 0; i < 3; i++) t.weights[i] = (round >> i) % 8 == 7 ? 0.0 : t.weights[i];
        loss = new_loss(context, t.weights[0], t.weights[1], t.weights[2]);
        random_values(&rng, 2 * t.samples * t.dim, length, z);
        for (i = 0; i < t.samples * t.dim && round % 2; i++) z[t.samples * t.dim + i] += 2.0f * z[i];
        one_input(&test, t.samples, t.dim, z, dz);
        test.call.scale = sslcv__rng_range(&rng, 0.5, 3.0);
        check_twin(loss, &test, twin_value, &t, NULL, 0, 1e-5, 1e-4);
        sslcv_loss_destroy(loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* ---- published values ---- */

START_TEST(has_the_published_values)
{
    static const double gradient[4] = {0.19309679, -0.06428048, 0.92960359, -0.48004616};
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss, *paper;
    float z[48], dz[48];
    loss_test test;
    int i;

    OK(sslcv_loss_create_vicreg(context, NULL, &loss));
    golden_input(1, 24, z);
    golden_input(2, 24, z + 24);
    one_input(&test, 6, 4, z, dz);
    CLOSE(loss_value(loss, &test) / 21.70806422, 1.0, 1e-6);
    CLOSE(loss_metric(loss, "invariance") / .12541784, 1.0, 1e-6);
    CLOSE(loss_metric(loss, "variance") / .74262002, 1.0, 1e-6);
    CLOSE(loss_metric(loss, "covariance") / .00711772, 1.0, 1e-6);
    for (i = 0; i < 4; i++) CLOSE((double)dz[i] / gradient[i], 1.0, 1e-5);

    paper = new_loss(context, 25.0 * 4, 50.0, 1.0); /* invariance by N only, variance not halved */
    CLOSE(loss_value(paper, &test), 100.0 * .12541784 + 50.0 * .74262002 + .00711772, 1e-6);
    sslcv_loss_destroy(paper);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- identities ---- */

START_TEST(collapse_and_independence)
{
    enum { N = 8, D = 3 };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_loss(context, 25.0, 25.0, 1.0);
    float z[2 * N * D], dz[2 * N * D];
    loss_test test;
    int i;

    one_input(&test, N, D, z, dz);
    for (i = 0; i < 2 * N * D; i++) z[i] = 0.3f + (float)(i % D); /* constant: 25 (1 - sqrt(1e-4)) */
    CLOSE(loss_value(loss, &test), 24.75, 1e-12);
    for (i = 0; i < 2 * N * D; i++) ck_assert_float_eq(dz[i], 0.0f);
    for (i = 0; i < 2 * N * D; i++) { /* +-2 in all combinations: independent, and spread enough */
        z[i] = i / D >> i % D & 1 ? 2.0f : -2.0f;
    }
    CLOSE(loss_value(loss, &test), 0.0, 1e-10);
    for (i = 0; i < 2 * N * D; i++) CLOSE((double)dz[i], 0.0, 1e-6);
    for (i = 0; i < 2 * N * D; i++) z[i] = i / D & 1 ? 2.0f : -2.0f; /* all columns alike */
    CLOSE(loss_value(loss, &test), 2.0 * (D - 1) * pow(4.0 * N / (N - 1.0), 2.0), 1e-6);
    CLOSE(loss_metric(loss, "covariance"), test.call.value, 1e-12);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* A shift by column of both views changes nothing; without invariance, gradients sum to 0 over the batch. */
START_TEST(shifts_do_not_matter)
{
    enum { N = 10, D = 140, COUNT = 2 * N * D };
    static float z[COUNT], dz[2][COUNT];
    sslcv_context *context = new_context(NULL, 2);
    sslcv_loss *loss = new_loss(context, 0.0, 25.0, 1.0);
    double value, largest = 0.0;
    loss_test test;
    int i, j, v;

    golden_input(120, COUNT, z);
    one_input(&test, N, D, z, dz[0]);
    value = loss_value(loss, &test);
    for (i = 0; i < COUNT; i++) largest = fmax(largest, fabs((double)dz[0][i]));
    for (v = 0; v < 2; v++) {
        for (j = 0; j < D; j++) {
            double sum = 0.0;

            for (i = 0; i < N; i++) sum += (double)dz[0][(v * N + i) * D + j];
            ck_assert_double_le(fabs(sum), 1e-5 * largest);
        }
    }
    for (i = 0; i < COUNT; i++) z[i] += (float)(i % D % 7);
    one_input(&test, N, D, z, dz[1]);
    CLOSE(loss_value(loss, &test) / value, 1.0, 1e-5);
    for (i = 0; i < COUNT; i++) ck_assert_double_le(fabs((double)dz[1][i] - (double)dz[0][i]), 1e-5 * largest);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(extreme_inputs_stay_finite)
{
    enum { N = 4, D = 12, COUNT = 2 * N * D };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_loss(context, 25.0, 25.0, 1.0);
    float z[COUNT], dz[COUNT];
    loss_test test;
    int i, power;

    for (power = -38; power <= 38; power++) { /* refused, or all is finite */
        sslcv_status status;

        golden_input(121, COUNT, z);
        for (i = 0; i < COUNT; i++) z[i] *= powf(10.0f, (float)power);
        for (i = 0; i < COUNT; i += D) z[i] = 0.0f;
        for (i = 0; i < COUNT; i++) dz[i] = 5.0f;
        one_input(&test, N, D, z, dz);
        test.call.value = 9.0;
        status = sslcv_loss_compute(loss, &test.call);
        if (status == SSLCV_OK) {
            ck_assert_int_lt(power, 18);
            ck_assert(isfinite(test.call.value));
            for (i = 0; i < COUNT; i++) ck_assert(isfinite(dz[i]));
        } else {
            ck_assert_int_gt(power, 10);
            ck_assert_int_eq(status, SSLCV_ERR_NUMERIC);
            ck_assert_msg(strstr(sslcv_last_error(), "vicreg") != NULL, "%s", sslcv_last_error());
            ck_assert_double_eq(test.call.value, 9.0);
            for (i = 0; i < COUNT; i++) ck_assert_float_eq(dz[i], 5.0f);
        }
    }
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(bad_input_is_refused)
{
    static const char *const names[3] = {"weight_invariance", "weight_variance", "weight_covariance"};
    sslcv_context *context = new_context(NULL, 1);
    sslcv_vicreg_options options;
    sslcv_loss *loss = NULL;
    float z[48] = {0.0f};
    loss_test test;
    int i;

    OK(sslcv_vicreg_options_init(&options, sizeof options));
    ck_assert_double_eq(options.weight_invariance, 25.0);
    ck_assert_double_eq(options.weight_variance, 25.0);
    ck_assert_double_eq(options.weight_covariance, 1.0);
    FAILS(sslcv_vicreg_options_init(&options, 8), SSLCV_ERR_INVALID_ARGUMENT, "vicreg_options.struct_size is 8");
    FAILS(sslcv_loss_create_vicreg(NULL, NULL, &loss), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_loss_create_vicreg(context, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "loss is NULL");
    for (i = 0; i < 3; i++) {
        char text[64];

        OK(sslcv_vicreg_options_init(&options, sizeof options));
        *(i == 0 ? &options.weight_invariance : i == 1 ? &options.weight_variance : &options.weight_covariance) = -1.0;
        snprintf(text, sizeof text, "vicreg.%s is -1; must be 0 .. 3.4e38", names[i]);
        FAILS(sslcv_loss_create_vicreg(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT, text);
    }
    ck_assert_ptr_null(loss);
    loss = new_loss(context, 1.0, 2.0, 3.0);
    for (i = 0; i < 3; i++) {
        double number;

        loss_read(loss, names[i], SSLCV_STATE_VALUE, SSLCV_F64, 1, &number);
        ck_assert_double_eq(number, 1.0 + i);
        FAILS(sslcv_loss_set(loss, names[i], NAN), SSLCV_ERR_INVALID_ARGUMENT, names[i]);
    }
    loss_test_init(&test);
    loss_test_add(&test, 1, 4, 1, 4, z, NULL);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0] has 1 view; vicreg takes 2");
    loss_test_init(&test);
    loss_test_add(&test, 2, 1, 1, 4, z, NULL);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT,
          "inputs[0] has 1 sample; vicreg needs 2 or more");
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- what all losses do ---- */

static sslcv_status create(sslcv_context *context, sslcv_loss **loss)
{
    return sslcv_loss_create_vicreg(context, NULL, loss);
}

static void fill(loss_test *test, int64_t samples)
{
    static float z[1 << 16], dz[1 << 16];

    golden_input(122, 2 * samples * 261, z);
    one_input(test, samples, 261, z, dz);
}

static const loss_case standard = {"vicreg", create, fill};

START_TEST(does_what_all_losses_do)
{
    check_finite_inputs(&standard);
    check_bad_calls(&standard);
    check_steady_calls(&standard);
    check_allocations(&standard);
    check_threads(&standard, 31, 1e-5);
    check_scale(&standard, 1e-6);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss_vicreg");
    TCase *all = tcase_create("vicreg");

    tcase_set_timeout(all, 60);
    tcase_add_test(all, equals_its_twin);
    tcase_add_test(all, has_the_published_values);
    tcase_add_test(all, collapse_and_independence);
    tcase_add_test(all, shifts_do_not_matter);
    tcase_add_test(all, extreme_inputs_stay_finite);
    tcase_add_test(all, bad_input_is_refused);
    tcase_add_test(all, does_what_all_losses_do);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
