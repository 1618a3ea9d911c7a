#include "loss_checks.h"

#include "core/compute.h"
#include "loss/correlation.h"

enum { MAX = 1 << 13 };

static sslcv_loss *new_loss(sslcv_context *context, double off_diagonal)
{
    sslcv_barlow_twins_options options;
    sslcv_loss *loss;

    OK(sslcv_barlow_twins_options_init(&options, sizeof options));
    options.off_diagonal = off_diagonal;
    OK(sslcv_loss_create_barlow_twins(context, &options, &loss));
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
    double off_diagonal;
} twin;

/* unit: (2, N, D) */
static void standardize(const twin *t, const double *z, double *unit)
{
    const int64_t n = t->samples, d = t->dim;
    int64_t v, i, j;

    for (v = 0; v < 2; v++) {
        for (j = 0; j < d; j++) {
            const double *x = z + v * n * d + j;
            double mean = 0.0, variance = 0.0;

            for (i = 0; i < n; i++) mean += x[i * d] / (double)n;
            for (i = 0; i < n; i++) variance += (x[i * d] - mean) * (x[i * d] - mean) / (double)n;
            for (i = 0; i < n; i++) unit[(v * n + i) * d + j] = (x[i * d] - mean) / sqrt(variance + 1e-5);
        }
    }
}

static double twin_value(void *user, const double *const *inputs)
{
    static double unit[MAX];
    const twin *t = user;
    double on = 0.0, off = 0.0;
    int64_t i, a, b;

    standardize(t, inputs[0], unit);
    for (a = 0; a < t->dim; a++) {
        for (b = 0; b < t->dim; b++) {
            double c = 0.0;

            for (i = 0; i < t->samples; i++) {
                c += unit[i * t->dim + a] * unit[(t->samples + i) * t->dim + b] / (double)t->samples;
            }
            if (a == b)
                on += (c - 1.0) * (c - 1.0);
            else
                off += c * c;
        }
    }
    return on + t->off_diagonal * off;
}

/* Value 1e-5, gradients 1e-4: C is f32. Both ways of the sum are met: fewer rows than columns, and more. */
START_TEST(equals_its_twin)
{
    static float z[MAX], dz[MAX];
    sslcv_context *context = new_context(NULL, 2);
    sslcv__rng rng;
    int round;

    sslcv__rng_init(&rng, 24, 1, 1);
    for (round = 0; round < 100; round++) {
        twin t = {3 + sslcv__rng_below(&rng, 8), 1 + sslcv__rng_below(&rng, 16), sslcv__rng_range(&rng, 0.0, 0.1)};
        sslcv_loss *loss;
        loss_test test;
        int64_t i;

        if (round % 10 == 0) t.dim = 1;
        if (round % 10 == 5) t.off_diagonal = 1.0;
        loss = new_loss(context, t.off_diagonal);
        random_values(&rng, 2 * t.samples * t.dim, 1.0, z);
        for (i = 0; i < t.samples * t.dim && round % 2; i++) z[t.samples * t.dim + i] += 2.0f * z[i]; /* alike */
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
    static const double gradient[4] = {1.58357870, 0.17970223, 0.89093379, -0.85816398};
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss;
    float z[48], dz[48];
    loss_test test;
    int i;

    OK(sslcv_loss_create_barlow_twins(context, NULL, &loss));
    golden_input(1, 24, z);
    golden_input(2, 24, z + 24);
    one_input(&test, 6, 4, z, dz);
    CLOSE(loss_value(loss, &test) / 2.41710613, 1.0, 1e-6);
    CLOSE(loss_metric(loss, "on_diagonal") / 2.40000290, 1.0, 1e-6);
    CLOSE(loss_metric(loss, "off_diagonal") / 3.35357266, 1.0, 1e-6);
    for (i = 0; i < 4; i++) CLOSE((double)dz[i] / gradient[i], 1.0, 1e-5);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- identities, for both ways of the sum ---- */

static void check_identities(sslcv_context *context, int64_t n, int64_t d)
{
    static float z[MAX], dz[MAX], other[MAX], dother[MAX];
    sslcv_loss *loss = new_loss(context, 0.0051);
    double value, exact = 0.0, largest = 0.0;
    loss_test test;
    int64_t i, j, v;

    golden_input(110, 2 * n * d, z);
    for (i = 0; i < 2 * n * d; i++) z[i] *= 8.0f;
    one_input(&test, n, d, z, dz);
    value = loss_value(loss, &test);
    for (i = 0; i < 2 * n * d; i++) largest = fmax(largest, fabs((double)dz[i]));
    for (v = 0; v < 2; v++) { /* over the batch the gradient sums to 0, and with Z too, but for the floor */
        for (j = 0; j < d; j++) {
            double sum = 0.0, along = 0.0;

            for (i = 0; i < n; i++) {
                sum += (double)dz[(v * n + i) * d + j];
                along += (double)dz[(v * n + i) * d + j] * (double)z[(v * n + i) * d + j];
            }
            ck_assert_double_le(fabs(sum), 1e-5 * largest);
            ck_assert_double_le(fabs(along), 1e-4 * largest);
        }
    }
    for (i = 0; i < 2 * n * d; i++) other[i] = (float)(16 << i % d % 3) * z[i] + 3.0f * (float)(i % d % 5);
    one_input(&test, n, d, other, dother);
    CLOSE(loss_value(loss, &test) / value, 1.0, 1e-5);
    for (i = 0; i < 2 * n * d; i++) {
        ck_assert_double_le(fabs((double)dother[i] * (double)(16 << i % d % 3) - (double)dz[i]), 1e-4 * largest);
    }
    memcpy(z + n * d, z, (size_t)(n * d) * sizeof *z); /* views alike: C_ii = var / (var + 1e-5) */
    for (i = 0; i < 2 * n * d; i++) z[i] *= 0.001f;
    one_input(&test, n, d, z, dz);
    loss_value(loss, &test);
    for (j = 0; j < d; j++) {
        double mean = 0.0, variance = 0.0;

        for (i = 0; i < n; i++) mean += (double)z[i * d + j] / (double)n;
        for (i = 0; i < n; i++) variance += ((double)z[i * d + j] - mean) * ((double)z[i * d + j] - mean) / (double)n;
        exact += pow(variance / (variance + 1e-5) - 1.0, 2.0);
    }
    CLOSE(loss_metric(loss, "on_diagonal") / exact, 1.0, 1e-5);
    sslcv_loss_destroy(loss);
}

START_TEST(identities)
{
    sslcv_context *context = new_context(NULL, 2);

    check_identities(context, 16, 10);
    check_identities(context, 10, 150);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(extreme_inputs_stay_finite)
{
    enum { N = 4, D = 9, COUNT = 2 * N * D };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_loss(context, 0.0051);
    twin t = {2, 2 * D, 0.0051};
    float z[COUNT], dz[COUNT];
    loss_test test;
    int i;

    one_input(&test, N, D, z, dz);
    for (i = 0; i < COUNT; i++) z[i] = 0.3f; /* collapse: C = 0 */
    CLOSE(loss_value(loss, &test), (double)D, 1e-12);
    for (i = 0; i < COUNT; i++) ck_assert_float_eq(dz[i], 0.0f);
    golden_input(111, COUNT, z);
    for (i = 0; i < COUNT; i++) {
        if (i % D == 0) z[i] = 0.0f;
        if (i % D == 1) z[i] *= 3.4e38f;
        if (i % D == 2) z[i] *= 1e-30f;
        if (i % D == 3) z[i] = 1e-40f * (float)i;
        if (i % D == 4) z[i] = 1e6f + z[i];
    }
    ck_assert(isfinite(loss_value(loss, &test)));
    for (i = 0; i < COUNT; i++) ck_assert(isfinite(dz[i]));
    ck_assert_double_le(loss_metric(loss, "off_diagonal"), D * (D - 1));
    /* Two samples: Z is +-1, whatever they are, and all gradients come from the floor. */
    golden_input(112, COUNT, z);
    one_input(&test, 2, 2 * D, z, dz);
    check_twin(loss, &test, twin_value, &t, NULL, 0, 1e-5, 1e-4);
    CLOSE(loss_metric(loss, "off_diagonal") / (2.0 * D * (2.0 * D - 1.0)), 1.0, 0.05);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- the products ---- */

/* a, b: (rows, dim); in double, without cleverness. */
static void naive_correlate(const float *a, const float *b, int64_t rows, int64_t dim, double *sum, double *diff_a,
                            double *diff_b)
{
    int64_t i, j, r;

    *sum = 0.0;
    for (r = 0; r < rows * dim; r++) diff_a[r] = diff_b[r] = 0.0;
    for (i = 0; i < dim; i++) {
        for (j = 0; j < dim; j++) {
            double m = 0.0;

            if (i == j) continue;
            for (r = 0; r < rows; r++) m += (double)a[r * dim + i] * (double)b[r * dim + j];
            *sum += m * m;
            for (r = 0; r < rows; r++) {
                diff_a[r * dim + i] += m * (double)b[r * dim + j];
                diff_b[r * dim + j] += m * (double)a[r * dim + i];
            }
        }
    }
}

/* Rows further apart, as the products want them. */
static float *spread(const float *x, int64_t rows, int64_t dim)
{
    const int64_t stride = sslcv__correlation_stride(dim);
    float *wide = calloc((size_t)(rows * stride), sizeof *wide);
    int64_t r;

    for (r = 0; r < rows && x; r++) memcpy(wide + r * stride, x + r * dim, (size_t)dim * sizeof *x);
    return wide;
}

static void gather(float *wide, int64_t rows, int64_t dim, float *x)
{
    const int64_t stride = sslcv__correlation_stride(dim);
    int64_t r;

    for (r = 0; r < rows && x; r++) memcpy(x + r * dim, wide + r * stride, (size_t)dim * sizeof *x);
    free(wide);
}

static double correlate(const float *a, const float *b, int64_t rows, int64_t dim, float *diff_a, float *diff_b)
{
    float *wide[4] = {spread(a, rows, dim), spread(b, rows, dim), spread(NULL, rows, dim), spread(NULL, rows, dim)};
    sslcv_context *context = new_context(NULL, 2);
    double *diagonal = calloc((size_t)dim, sizeof *diagonal), sum;
    sslcv__correlation c = {
        wide[0],     a == b ? wide[0] : wide[1], diff_a ? wide[2] : NULL, diff_b ? wide[3] : NULL, diagonal, rows, dim,
        {NULL, NULL}};
    sslcv__compute frame;
    int64_t bytes = 0, r, j;
    void *memory;

    for (r = 0; r < rows; r++) {
        for (j = 0; j < dim; j++) diagonal[j] += (double)a[r * dim + j] * (double)b[r * dim + j];
    }
    ck_assert(sslcv__correlation_place(NULL, &bytes, rows, dim, &c.blocks));
    memory = aligned_alloc(64, (size_t)bytes);
    bytes = 0;
    ck_assert(sslcv__correlation_place(memory, &bytes, rows, dim, &c.blocks));
    OK(sslcv__compute_begin(context, &frame));
    OK(sslcv__correlate(&c, &sum));
    sslcv__compute_end(&frame);
    gather(wide[0], rows, dim, NULL);
    gather(wide[1], rows, dim, NULL);
    gather(wide[2], rows, dim, diff_a);
    gather(wide[3], rows, dim, diff_b);
    free(memory);
    free(diagonal);
    sslcv_context_destroy(context);
    return sum;
}

static void check_close(const float *x, const double *exact, int64_t count, double tolerance)
{
    double largest = 0.0;
    int64_t i;

    for (i = 0; i < count; i++) largest = fmax(largest, fabs(exact[i]));
    for (i = 0; i < count; i++) ck_assert_double_le(fabs((double)x[i] - exact[i]), tolerance * largest);
}

/* By rows; by columns; and by columns because one column of many is much longer than the rest. */
START_TEST(products_equal_the_naive_ones)
{
    static const struct {
        int64_t rows, dim;
        float longest;
    } cases[] = {{12, 40, 1.0f}, {40, 12, 1.0f}, {30, 40, 1.0f}, {31, 40, 1.0f}, {12, 40, 1e4f}, {1, 5, 1.0f}};
    static float a[1600], b[1600], da[1600], db[1600];
    static double exact_a[1600], exact_b[1600];
    size_t k;

    for (k = 0; k < sizeof cases / sizeof *cases; k++) {
        const int64_t rows = cases[k].rows, dim = cases[k].dim;
        double exact;
        int64_t i;

        golden_input(113, rows * dim, a);
        golden_input(114, rows * dim, b);
        for (i = 0; i < rows; i++) {
            a[i * dim] *= cases[k].longest;
            b[i * dim] *= cases[k].longest;
        }
        naive_correlate(a, b, rows, dim, &exact, exact_a, exact_b);
        CLOSE(correlate(a, b, rows, dim, da, db) / exact, 1.0, 2e-6);
        check_close(da, exact_a, rows * dim, 4e-6);
        check_close(db, exact_b, rows * dim, 4e-6);
        CLOSE(correlate(a, b, rows, dim, NULL, NULL) / exact, 1.0, 2e-6);
        naive_correlate(a, a, rows, dim, &exact, exact_a, exact_b);
        CLOSE(correlate(a, a, rows, dim, da, NULL) / exact, 1.0, 2e-6);
        check_close(da, exact_a, rows * dim, 4e-6);
    }
}
END_TEST

/* Several blocks. A = u w^T and B = p q^T have M = (u.p) w q^T, and all else in closed form. */
static void check_rank_one(int64_t rows, int64_t dim, double longest)
{
    float *a = malloc(sizeof *a * (size_t)(rows * dim)), *b = malloc(sizeof *b * (size_t)(rows * dim));
    float *da = malloc(sizeof *a * (size_t)(rows * dim)), *db = malloc(sizeof *b * (size_t)(rows * dim));
    float *u = malloc(sizeof *u * (size_t)(2 * (rows + dim))), *p = u + rows, *w = p + rows, *q = w + dim;
    double up = 0.0, ww = 0.0, qq = 0.0, both = 0.0, largest = 0.0, worst = 0.0;
    int64_t r, i;

    golden_input(115, 2 * (rows + dim), u);
    for (r = 0; r < 2 * (rows + dim); r++) u[r] += 1.0f;
    w[3] *= (float)longest;
    q[3] *= (float)longest;
    for (r = 0; r < rows; r++) {
        for (i = 0; i < dim; i++) {
            a[r * dim + i] = u[r] * w[i];
            b[r * dim + i] = p[r] * q[i];
        }
        up += (double)u[r] * (double)p[r];
    }
    for (i = 0; i < dim; i++) {
        ww += (double)w[i] * w[i];
        qq += (double)q[i] * q[i];
        both += (double)w[i] * w[i] * (double)q[i] * q[i];
    }
    CLOSE(correlate(a, b, rows, dim, da, db) / (up * up * (ww * qq - both)), 1.0, 1e-5);
    for (r = 0; r < rows; r++) {
        for (i = 0; i < dim; i++) {
            const double exact_a = (double)p[r] * up * w[i] * (qq - (double)q[i] * q[i]);
            const double exact_b = (double)u[r] * up * q[i] * (ww - (double)w[i] * w[i]);

            largest = fmax(largest, fabs(exact_a));
            worst = fmax(worst, fmax(fabs((double)da[r * dim + i] - exact_a), fabs((double)db[r * dim + i] - exact_b)));
        }
    }
    ck_assert_double_le(worst, 2e-5 * largest);
    free(u);
    free(db);
    free(da);
    free(b);
    free(a);
}

START_TEST(products_go_in_blocks)
{
    check_rank_one(1500, 2001, 1.0); /* by rows, 1394 at a time */
    check_rank_one(3, 2500, 1e4);    /* by columns, 1670 at a time */
}
END_TEST

/* ---- what is refused ---- */

START_TEST(bad_input_is_refused)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_barlow_twins_options options;
    sslcv_loss *loss = NULL;
    float z[48] = {0.0f};
    loss_test test;

    OK(sslcv_barlow_twins_options_init(&options, sizeof options));
    ck_assert_double_eq(options.off_diagonal, 0.0051);
    FAILS(sslcv_barlow_twins_options_init(&options, 8), SSLCV_ERR_INVALID_ARGUMENT,
          "barlow_twins_options.struct_size is 8");
    FAILS(sslcv_loss_create_barlow_twins(NULL, NULL, &loss), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_loss_create_barlow_twins(context, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "loss is NULL");
    options.off_diagonal = -0.1;
    FAILS(sslcv_loss_create_barlow_twins(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT,
          "barlow_twins.off_diagonal is -0.1; must be 0 .. 3.4e38");
    options.off_diagonal = NAN;
    FAILS(sslcv_loss_create_barlow_twins(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT, "must be 0 .. 3.4e38");
    ck_assert_ptr_null(loss);
    loss = new_loss(context, 0.5);
    FAILS(sslcv_loss_set(loss, "off_diagonal", INFINITY), SSLCV_ERR_INVALID_ARGUMENT, "must be 0 .. 3.4e38");
    OK(sslcv_loss_set(loss, "off_diagonal", 0.0));

    loss_test_init(&test);
    loss_test_add(&test, 1, 4, 1, 4, z, NULL);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT,
          "inputs[0] has 1 view; barlow_twins takes 2");
    loss_test_init(&test);
    loss_test_add(&test, 3, 4, 1, 4, z, NULL);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT,
          "inputs[0] has 3 views; barlow_twins takes 2");
    loss_test_init(&test);
    loss_test_add(&test, 2, 1, 1, 4, z, NULL);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT,
          "inputs[0] has 1 sample; barlow_twins needs 2 or more");
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- what all losses do ---- */

static sslcv_status create(sslcv_context *context, sslcv_loss **loss)
{
    return sslcv_loss_create_barlow_twins(context, NULL, loss);
}

static void fill(loss_test *test, int64_t samples)
{
    static float z[1 << 16], dz[1 << 16];

    golden_input(116, 2 * samples * 261, z);
    one_input(test, samples, 261, z, dz);
}

static const loss_case standard = {"barlow_twins", create, fill};

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
    Suite *suite = suite_create("loss_barlow_twins");
    TCase *all = tcase_create("barlow_twins");

    tcase_set_timeout(all, 60);
    tcase_add_test(all, equals_its_twin);
    tcase_add_test(all, has_the_published_values);
    tcase_add_test(all, identities);
    tcase_add_test(all, extreme_inputs_stay_finite);
    tcase_add_test(all, products_equal_the_naive_ones);
    tcase_add_test(all, products_go_in_blocks);
    tcase_add_test(all, bad_input_is_refused);
    tcase_add_test(all, does_what_all_losses_do);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
