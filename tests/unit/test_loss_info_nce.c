#include "info_nce_support.h"

#include <float.h>

static const char *const golden_file = "tests/golden/loss.txt";

/* ---- what the tests share ---- */

/* The numbers behind a name in the golden file. */
static void read_golden(const char *name, double *values, int64_t count)
{
    FILE *file = fopen(golden_file, "r");
    const size_t length = strlen(name);
    char line[8192];
    int64_t found = 0;

    ck_assert_msg(file != NULL, "%s is missing; tests run in the root of the repository", golden_file);
    while (found == 0 && fgets(line, sizeof line, file)) {
        char *text = line + length, *end;

        if (strncmp(line, name, length) != 0 || line[length] != ' ') continue;
        for (; found < count; found++, text = end) {
            values[found] = strtod(text, &end);
            if (end == text) break;
        }
    }
    fclose(file);
    ck_assert_int_eq(found, count);
}

/* ---- the twin ---- */

enum { MAX_ROWS = 64, MAX_DIM = 16 };

typedef struct twin {
    int64_t views, key_views, samples, dim; /* key_views 0: one input */
    int64_t queue_size;                     /* 0: none */
    const float *queue;
    double temperature;
    int32_t sum;
} twin;

static double cosine(const double *a, const double *b, int64_t dim)
{
    double aa = 0.0, bb = 0.0, ab = 0.0;
    int64_t j;

    for (j = 0; j < dim; j++) {
        aa += a[j] * a[j];
        bb += b[j] * b[j];
        ab += a[j] * b[j];
    }
    return ab / (fmax(sqrt(aa), 1e-12) * fmax(sqrt(bb), 1e-12));
}

/* One anchor against rows candidates; self is left out; those of the sample are positive. */
static double twin_anchor(const twin *t, const double *a, const double *candidates, int64_t rows, int64_t self,
                          int64_t sample)
{
    double sum = 0.0, positive = 0.0;
    int64_t count = 0, j;

    for (j = 0; j < rows; j++) {
        const double s = cosine(a, candidates + j * t->dim, t->dim) / t->temperature;

        if (j == self) continue;
        sum += exp(s);
        if (j % t->samples != sample) continue;
        positive += s;
        count++;
    }
    return log(sum) - positive / (double)count;
}

static double twin_queue_anchor(const twin *t, const double *a, const double *key)
{
    const double positive = cosine(a, key, t->dim) / t->temperature;
    double sum = exp(positive), row[MAX_DIM];
    int64_t j, i;

    for (j = 0; j < t->queue_size; j++) {
        for (i = 0; i < t->dim; i++) row[i] = (double)t->queue[j * t->dim + i];
        sum += exp(cosine(a, row, t->dim) / t->temperature);
    }
    return log(sum) - positive;
}

static double twin_pairs(const twin *t, const double *q, const double *k)
{
    const int64_t n = t->samples, slice = n * t->dim;
    double value = 0.0;
    int64_t v, w, i, views = 0;

    for (v = 0; v < t->views; v++) {
        double sum = 0.0;
        int64_t pairs = 0;

        for (w = 0; w < t->key_views; w++) {
            if (t->views > 1 && v == w) continue;
            pairs++;
            for (i = 0; i < n; i++) {
                const double *a = q + v * slice + i * t->dim, *keys = k + w * slice;

                sum += t->queue_size ? twin_queue_anchor(t, a, keys + i * t->dim) : twin_anchor(t, a, keys, n, -1, i);
            }
        }
        if (pairs == 0) continue;
        views++;
        value += sum / (double)(pairs * n);
    }
    return t->sum ? value : value / (double)views;
}

static double twin_value(void *user, const double *const *inputs)
{
    const twin *t = user;
    const int64_t rows = t->views * t->samples;
    double value = 0.0;
    int64_t r;

    if (t->key_views) return twin_pairs(t, inputs[0], inputs[1]);
    for (r = 0; r < rows; r++) value += twin_anchor(t, inputs[0] + r * t->dim, inputs[0], rows, r, r % t->samples);
    return value / (double)(t->sum ? t->samples : rows);
}

/* f32 cosines are within 1e-7, scores so much by the temperature: from 0.07 up 2e-6, below in proportion. */
static void compare_with_twin(sslcv_context *context, sslcv__rng *rng, int round)
{
    static float q[MAX_ROWS * MAX_DIM], k[MAX_ROWS * MAX_DIM], dq[MAX_ROWS * MAX_DIM], dk[MAX_ROWS * MAX_DIM];
    static float queue[MAX_ROWS * MAX_DIM];
    const int64_t form = round % 3, samples = 1 + sslcv__rng_below(rng, 9), dim = 1 + sslcv__rng_below(rng, 12);
    const int64_t drawn = 1 + sslcv__rng_below(rng, 3), views = form == 0 && drawn == 1 ? 2 : drawn;
    twin t = {.views = views, .samples = samples, .dim = dim, .queue = queue};
    double tolerance;
    sslcv_loss *loss;
    loss_test test;
    int64_t i, j;

    if (form > 0) t.key_views = 1 + sslcv__rng_below(rng, views);
    if (form == 2) t.queue_size = t.key_views * samples + sslcv__rng_below(rng, 30);
    t.temperature = exp(sslcv__rng_range(rng, log(0.015), log(2.0)));
    t.sum = (int32_t)sslcv__rng_below(rng, 2);
    tolerance = 2e-6 * fmax(1.0, 0.07 / t.temperature);
    loss = new_loss(context, t.temperature, t.queue_size, dim, t.sum ? SSLCV_REDUCTION_SUM : SSLCV_REDUCTION_MEAN);
    random_values(rng, views * samples * dim, 1.0, q);
    random_values(rng, t.key_views * samples * dim, 1.0, k);
    one_input(&test, views, samples, dim, q, dq);
    if (form > 0) loss_test_add(&test, t.key_views, samples, 1, dim, k, form == 1 ? dk : NULL);
    if (form == 2) {
        random_values(rng, t.queue_size * dim, 1.0, queue);
        for (i = 0; i < t.queue_size; i++) {
            double length = 0.0;

            for (j = 0; j < dim; j++) length += (double)queue[i * dim + j] * (double)queue[i * dim + j];
            for (j = 0; j < dim; j++) queue[i * dim + j] = (float)((double)queue[i * dim + j] / sqrt(length));
        }
        write_queue(loss, t.queue_size * dim, queue);
        test.call.flags = 0;
    }
    test.call.scale = sslcv__rng_range(rng, 0.5, 3.0);
    check_twin(loss, &test, twin_value, &t, NULL, 0, tolerance, 10.0 * tolerance);
    sslcv_loss_destroy(loss);
}

START_TEST(equals_its_twin)
{
    sslcv_context *context = new_context(NULL, 2);
    sslcv__rng rng;
    int round;

    sslcv__rng_init(&rng, 1, 2, 3);
    for (round = 0; round < 150; round++) compare_with_twin(context, &rng, round);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- published values ---- */

START_TEST(nt_xent_has_the_published_values)
{
    static const struct {
        double temperature, value, first[4], second[4];
    } golden[2] = {
        {0.1,
         4.99432026,
         {0.54458389, 0.44587778, 1.50050979, -1.47186768},
         {-0.21452026, -2.37582829, 1.36270456, 1.69404283}},
        {0.5,
         1.99405125,
         {0.19158280, 0.10553779, 0.29260942, -0.27046435},
         {0.07904442, -0.56521085, 0.32984883, 0.47825261}},
    };
    sslcv_context *context = new_context(NULL, 1);
    float z[32], dz[32];
    int i, j;
    loss_test test;

    golden_input(1, 16, z);
    golden_input(2, 16, z + 16);
    one_input(&test, 2, 4, 4, z, dz);
    for (i = 0; i < 2; i++) {
        sslcv_loss *paper = new_loss(context, golden[i].temperature, 0, 128, SSLCV_REDUCTION_MEAN);
        sslcv_loss *code = new_loss(context, golden[i].temperature, 0, 128, SSLCV_REDUCTION_SUM);

        CLOSE(loss_value(paper, &test) / golden[i].value, 1.0, 1e-6);
        for (j = 0; j < 4; j++) {
            CLOSE(dz[j], golden[i].first[j], 1e-6);
            CLOSE(dz[16 + j], golden[i].second[j], 1e-6);
        }
        CLOSE(loss_metric(paper, "mi_bound"), log(7.0) - test.call.value, 1e-12);
        CLOSE(loss_value(code, &test) / golden[i].value, 2.0, 1e-6);
        CLOSE(dz[0], 2.0 * golden[i].first[0], 1e-6);
        CLOSE(loss_metric(code, "mi_bound"), log(7.0) - test.call.value / 2.0, 1e-12);
        sslcv_loss_destroy(code);
        sslcv_loss_destroy(paper);
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(equals_pytorch)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_loss(context, 0.2, 0, 128, SSLCV_REDUCTION_MEAN);
    float x[60], dx[60];
    double golden[61];
    int64_t i;
    loss_test test;

    read_golden("info_nce_keys", golden, 61);
    golden_input(42, 30, x);
    golden_input(43, 30, x + 30);
    two_inputs(&test, 6, 5, x, dx, x + 30, dx + 30);
    CLOSE(loss_value(loss, &test), golden[0], 1e-6);
    for (i = 0; i < 60; i++) CLOSE(dx[i], golden[1 + i], 2e-6);
    CLOSE(loss_metric(loss, "mi_bound"), log(6.0) - golden[0], 1e-5);

    read_golden("nt_xent_three_views", golden, 61);
    golden_input(44, 60, x);
    OK(sslcv_loss_set(loss, "temperature", 0.3));
    one_input(&test, 3, 4, 5, x, dx);
    CLOSE(loss_value(loss, &test), golden[0], 1e-6);
    for (i = 0; i < 60; i++) CLOSE(dx[i], golden[1 + i], 2e-6);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- identities ---- */

START_TEST(identities_in_the_batch)
{
    enum { N = 8, D = 16, ROWS = 2 * N };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_loss(context, 0.1, 0, 128, SSLCV_REDUCTION_MEAN);
    float z[ROWS * D], dz[ROWS * D], swapped[ROWS * D];
    int64_t i;
    double value;
    loss_test one, two;

    one_input(&one, 2, N, D, z, dz);
    two_inputs(&two, N, D, z, NULL, z + N * D, NULL);
    for (i = 0; i < ROWS * D; i++) z[i] = 0.3f;
    CLOSE(loss_value(loss, &one), log(2.0 * N - 1.0), 1e-6); /* all equal */
    CLOSE(loss_metric(loss, "mi_bound"), 0.0, 1e-6);
    CLOSE(loss_metric(loss, "top1"), 0.0, 0.0);
    CLOSE(loss_value(loss, &two), log((double)N), 1e-6);
    CLOSE(loss_metric(loss, "top1"), 0.0, 0.0);

    memset(z, 0, sizeof z); /* both views the same unit vector, orthogonal between samples */
    for (i = 0; i < N; i++) z[i * D + i] = z[(N + i) * D + i] = 2.0f;
    CLOSE(loss_value(loss, &one), log(1.0 + (2.0 * N - 2.0) * exp(-10.0)), 1e-9);
    CLOSE(loss_metric(loss, "top1"), 1.0, 0.0);
    CLOSE(loss_value(loss, &two), log(1.0 + (N - 1.0) * exp(-10.0)), 1e-9);

    golden_input(51, ROWS * D, z);
    value = loss_value(loss, &one);
    memcpy(swapped, z + N * D, N * D * sizeof *z);
    memcpy(swapped + N * D, z, N * D * sizeof *z);
    one.inputs[0].data = swapped;
    CLOSE(loss_value(loss, &one), value, 1e-6);

    OK(sslcv_loss_set(loss, "temperature", 1e9));
    CLOSE(loss_value(loss, &one), log(2.0 * N - 1.0), 1e-6);
    OK(sslcv_loss_set(loss, "temperature", 0.1));
    memset(z, 0, sizeof z); /* the positive is orthogonal too, but once in the denominator */
    z[0] = z[D + 1] = z[2 * D] = z[3 * D + 1] = 2.0f;
    one_input(&one, 2, 2, D, z, dz);
    CLOSE(loss_value(loss, &one), -10.0 + log(exp(10.0) + 2.0), 1e-9);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(one_sample_gives_nothing)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_loss(context, 0.1, 0, 128, SSLCV_REDUCTION_MEAN);
    float z[14], dz[14];
    int64_t i, form;

    golden_input(52, 14, z);
    for (form = 0; form < 4; form++) { /* MoCo without a queue is the second */
        loss_test test;

        OK(sslcv_loss_set(loss, "temperature", form < 2 ? 0.1 : 0.01));
        if (form % 2 == 0) one_input(&test, 2, 1, 7, z, dz);
        if (form % 2 == 1) two_inputs(&test, 1, 7, z, dz, z + 7, dz + 7);
        ck_assert_double_eq(loss_value(loss, &test), 0.0);
        for (i = 0; i < 14; i++) ck_assert_float_eq(dz[i], 0.0f);
        ck_assert_double_eq(loss_metric(loss, "top1"), 1.0);
    }
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(gradients_are_orthogonal_to_their_rows)
{
    enum { N = 9, D = 12, COUNT = 2 * N * D };
    sslcv_context *context = new_context(NULL, 1);
    float z[COUNT], dz[COUNT], longer[COUNT], dlonger[COUNT];
    double value;
    int64_t form, i, j;
    loss_test test;

    golden_input(53, COUNT, z);
    for (i = 0; i < COUNT; i++) longer[i] = 64.0f * z[i];
    for (form = 0; form < 2; form++) {
        sslcv_loss *loss = new_loss(context, 0.1, form ? 50 : 0, D, SSLCV_REDUCTION_MEAN);
        const int64_t rows = form ? N : 2 * N;

        if (form) two_inputs(&test, N, D, z, dz, z + N * D, NULL);
        if (!form) one_input(&test, 2, N, D, z, dz);
        test.call.flags = 0;
        value = loss_value(loss, &test);
        test.inputs[0].data = longer;
        test.diffs[0].data = dlonger;
        CLOSE(loss_value(loss, &test), value, 1e-7);
        for (i = 0; i < rows; i++) {
            double along = 0.0;

            for (j = 0; j < D; j++) {
                along += (double)z[i * D + j] * (double)dz[i * D + j];
                CLOSE(dlonger[i * D + j], (double)dz[i * D + j] / 64.0, 1e-8);
            }
            CLOSE(along, 0.0, 1e-6);
        }
        sslcv_loss_destroy(loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(extreme_inputs_stay_finite)
{
    static const double temperatures[] = {DBL_MIN, 1e-39, 1e-30, 1e-4, 0.03, 0.04, 0.07, 1e30, DBL_MAX};
    sslcv_context *context = new_context(NULL, 1);
    float z[24], dz[24];
    size_t t;
    int64_t i, form;
    loss_test test;

    golden_input(55, 24, z);
    for (i = 0; i < 4; i++) z[i] = 0.0f;                          /* a zero vector */
    for (i = 4; i < 8; i++) z[i] *= 1e-30f;                       /* below the floor of the norm */
    for (i = 8; i < 12; i++) z[i] = (float)((double)z[i] * 6e38); /* up to the largest floats */
    memcpy(z + 12, z + 16, 4 * sizeof *z);                        /* an exact positive */
    for (i = 20; i < 24; i++) z[i] = -z[i - 4] * 1e6f;            /* an exact opposite */
    for (t = 0; t < sizeof temperatures / sizeof *temperatures; t++) {
        for (form = 0; form < 3; form++) {
            sslcv_loss *loss = new_loss(context, temperatures[t], form == 2 ? 5 : 0, 4, SSLCV_REDUCTION_MEAN);

            if (form == 0) one_input(&test, 2, 3, 4, z, dz);
            if (form > 0) two_inputs(&test, 3, 4, z, dz, z + 12, form == 1 ? dz + 12 : NULL);
            memset(dz, 0, sizeof dz);
            ck_assert(isfinite(loss_value(loss, &test)));
            for (i = 0; i < 24; i++) ck_assert(!isnan(dz[i]));
            for (i = 0; i < 24 && temperatures[t] >= 1e-4; i++) ck_assert(isfinite(dz[i]));
            if (form == 2) { /* rows with zeros among them: scored in the next call */
                ck_assert(isfinite(loss_value(loss, &test)));
                for (i = 0; i < 24; i++) ck_assert(!isnan(dz[i]));
            }
            sslcv_loss_destroy(loss);
        }
    }
    sslcv_context_destroy(context);
}
END_TEST

/* ---- many rows ---- */

static void random_units(sslcv__rng *rng, int64_t rows, int64_t dim, float *values)
{
    int64_t i, j;

    random_values(rng, rows * dim, 1.0, values);
    for (i = 0; i < rows; i++) {
        double length = 0.0;

        for (j = 0; j < dim; j++) length += (double)values[i * dim + j] * (double)values[i * dim + j];
        for (j = 0; j < dim; j++) values[i * dim + j] = (float)((double)values[i * dim + j] / sqrt(length));
    }
}

/* NT-Xent of rows of unit length, by symmetric sums: value, and the gradient of one row. */
typedef struct exact_batch {
    int64_t rows, dim;
    double t;
    const float *u;
    double *sums; /* (rows) */
} exact_batch;

static double dot_of(const float *a, const float *b, int64_t dim)
{
    double sum = 0.0;
    int64_t j;

    for (j = 0; j < dim; j++) sum += (double)a[j] * (double)b[j];
    return sum;
}

static double exact_value(const exact_batch *b)
{
    const int64_t rows = b->rows, d = b->dim;
    double value = 0.0;
    int64_t i, j;

    memset(b->sums, 0, (size_t)rows * sizeof *b->sums);
    for (i = 0; i < rows; i++) {
        for (j = 0; j < i; j++) {
            const double e = exp(dot_of(b->u + i * d, b->u + j * d, d) / b->t);

            b->sums[i] += e;
            b->sums[j] += e;
        }
    }
    for (i = 0; i < rows; i++) {
        value += (log(b->sums[i]) - dot_of(b->u + i * d, b->u + (i + rows / 2) % rows * d, d) / b->t) / (double)rows;
    }
    return value;
}

static void exact_gradient(const exact_batch *b, int64_t row, double *gradient)
{
    const int64_t d = b->dim;
    const float *u = b->u + row * d;
    double along = 0.0;
    int64_t i, j;

    for (j = 0; j < d; j++) gradient[j] = 0.0;
    for (i = 0; i < b->rows; i++) {
        const double e = exp(dot_of(u, b->u + i * d, d) / b->t);
        const double positive = (i - row) % (b->rows / 2) == 0 ? 2.0 : 0.0;
        const double weight = (e / b->sums[row] + e / b->sums[i] - positive) / (b->t * (double)b->rows);

        for (j = 0; j < d && i != row; j++) gradient[j] += weight * (double)b->u[i * d + j];
    }
    for (j = 0; j < d; j++) along += gradient[j] * (double)u[j];
    for (j = 0; j < d; j++) gradient[j] -= along * (double)u[j];
}

/* One block whose exponentials are symmetric, one block at a low temperature, and two blocks; one thread and two. */
START_TEST(many_rows_in_the_batch)
{
    enum { D = 3, MOST = 2050, LOOKED_AT = 7 };
    static const struct {
        int64_t rows;
        double t;
    } cases[3] = {{600, 0.2}, {600, 0.02}, {MOST, 0.5}};
    static float z[MOST * D], dz[2][MOST * D];
    static double sums[MOST];
    sslcv__rng rng;
    int32_t threads;
    int64_t c, i, j;

    sslcv__rng_init(&rng, 7, 0, 0);
    for (c = 0; c < 3; c++) {
        const int64_t rows = cases[c].rows;
        const exact_batch exact = {rows, D, cases[c].t, z, sums};
        const double value = (random_units(&rng, rows, D, z), exact_value(&exact));
        const int64_t looked_at[LOOKED_AT] = {0, 1, rows / 2 - 1, rows / 2, rows - 6, rows - 5, rows - 1};

        for (threads = 1; threads <= 2; threads++) {
            sslcv_context *context = new_context(NULL, threads);
            sslcv_loss *loss = new_loss(context, cases[c].t, 0, 128, SSLCV_REDUCTION_MEAN);
            loss_test test;

            one_input(&test, 2, rows / 2, D, z, dz[threads - 1]);
            CLOSE(loss_value(loss, &test), value, 1e-6);
            sslcv_loss_destroy(loss);
            sslcv_context_destroy(context);
        }
        for (i = 0; i < LOOKED_AT; i++) {
            const int64_t row = looked_at[i];
            double gradient[D];

            exact_gradient(&exact, row, gradient);
            for (j = 0; j < D; j++) {
                CLOSE(1e3 * (double)dz[0][row * D + j], 1e3 * gradient[j], 2e-5);
                CLOSE(1e3 * (double)dz[1][row * D + j], 1e3 * gradient[j], 2e-5);
            }
        }
    }
}
END_TEST

/* ---- bad input ---- */

START_TEST(bad_options_are_refused)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_info_nce_options options;
    sslcv_loss *loss = NULL;

    OK(sslcv_info_nce_options_init(&options, sizeof options));
    ck_assert_double_eq(options.temperature, 0.1);
    ck_assert_int_eq(options.queue_size, 0);
    ck_assert_int_eq(options.dim, 128);
    ck_assert_uint_eq(options.seed, 0);
    ck_assert_int_eq(options.reduction, SSLCV_REDUCTION_MEAN);
    FAILS(sslcv_info_nce_options_init(&options, 8), SSLCV_ERR_INVALID_ARGUMENT, "info_nce_options.struct_size is 8");
    FAILS(sslcv_loss_create_info_nce(NULL, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_loss_create_info_nce(context, &options, NULL), SSLCV_ERR_INVALID_ARGUMENT, "loss is NULL");
    options.temperature = -0.1;
    FAILS(sslcv_loss_create_info_nce(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT,
          "info_nce.temperature is -0.1; must be > 0");
    options.temperature = NAN;
    FAILS(sslcv_loss_create_info_nce(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT, "must be > 0");
    options.temperature = 0.1;
    options.reduction = 2;
    FAILS(sslcv_loss_create_info_nce(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT, "info_nce.reduction is 2");
    options.reduction = 0;
    options.reserved = 1;
    FAILS(sslcv_loss_create_info_nce(context, &options, &loss), SSLCV_ERR_UNSUPPORTED, "info_nce.reserved");
    ck_assert_ptr_null(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(bad_calls_are_refused)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_loss(context, 0.1, 0, 128, SSLCV_REDUCTION_MEAN);
    float z[96], dz[96];
    loss_test test;

    golden_input(56, 96, z);
    one_input(&test, 1, 4, 4, z, dz);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0] has 1 view");
    loss_test_init(&test);
    loss_test_add(&test, 2, 2, 3, 4, z, dz);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0] has 3 positions");
    two_inputs(&test, 4, 4, z, dz, z, dz);
    OK(sslcv_tensor_init(&test.inputs[1], SSLCV_F32, z, 3, (int64_t[]){1, 4, 3}));
    test.diffs[1] = test.inputs[1];
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT,
          "inputs[1] has 3 dimensions, inputs[0] 4; must be equal");
    one_input(&test, 1, 4, 4, z, dz);
    loss_test_add(&test, 2, 4, 1, 4, z, dz);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[1] has 2 views; must be 1 .. 1");
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* The value itself: cosines of +-1 at the smallest temperature. */
START_TEST(an_infinite_value_is_refused)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_loss(context, DBL_MIN, 0, 128, SSLCV_REDUCTION_SUM);
    float z[32], dz[32] = {0};
    int j;
    loss_test test;

    for (j = 0; j < 32; j++) z[j] = j % 8 < 4 ? 1.0f : -1.0f;
    for (j = 16; j < 32; j++) z[j] = -z[j];
    one_input(&test, 2, 4, 4, z, dz);
    test.call.value = 9.0;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_NUMERIC, "the value of info_nce is inf");
    ck_assert_double_eq(test.call.value, 9.0);
    for (j = 0; j < 32; j++) ck_assert_float_eq(dz[j], 0.0f);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss_info_nce");
    TCase *values = tcase_create("values"), *bad = tcase_create("bad input");

    tcase_set_timeout(values, 120);
    tcase_add_test(values, equals_its_twin);
    tcase_add_test(values, nt_xent_has_the_published_values);
    tcase_add_test(values, equals_pytorch);
    tcase_add_test(values, identities_in_the_batch);
    tcase_add_test(values, one_sample_gives_nothing);
    tcase_add_test(values, gradients_are_orthogonal_to_their_rows);
    tcase_add_test(values, extreme_inputs_stay_finite);
    tcase_add_test(values, many_rows_in_the_batch);
    suite_add_tcase(suite, values);
    tcase_add_test(bad, bad_options_are_refused);
    tcase_add_test(bad, bad_calls_are_refused);
    tcase_add_test(bad, an_infinite_value_is_refused);
    suite_add_tcase(suite, bad);
    return run_suite(suite);
}
