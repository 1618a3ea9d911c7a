#include "loss_checks.h"

enum { MAX = 1 << 13 };

static sslcv_loss *new_dino(sslcv_context *context, int64_t dim, double student, double teacher, double momentum)
{
    sslcv_dino_options options;
    sslcv_loss *loss;

    OK(sslcv_dino_options_init(&options, sizeof options));
    options.dim = dim;
    options.student_temperature = student;
    options.teacher_temperature = teacher;
    options.center_momentum = momentum;
    OK(sslcv_loss_create_dino(context, &options, &loss));
    return loss;
}

/* ---- the twin ---- */

typedef struct twin {
    int64_t views, teacher_views, samples, dim;
    double student, teacher;
    const float *center;
    const double *q; /* made by assign(), as the teacher is a constant */
} twin;

static double log_sum_exp(const double *x, int64_t dim, double temperature)
{
    double top = x[0], sum = 0.0;
    int64_t k;

    for (k = 1; k < dim; k++) top = fmax(top, x[k]);
    for (k = 0; k < dim; k++) sum += exp((x[k] - top) / temperature);
    return top / temperature + log(sum);
}

static void assign(const twin *t, const float *teacher, double *q)
{
    static double row[MAX];
    int64_t r, k;

    for (r = 0; r < t->teacher_views * t->samples; r++) {
        double all;

        for (k = 0; k < t->dim; k++) row[k] = (double)teacher[r * t->dim + k] - (double)t->center[k];
        all = log_sum_exp(row, t->dim, t->teacher);
        for (k = 0; k < t->dim; k++) q[r * t->dim + k] = exp(row[k] / t->teacher - all);
    }
}

static double twin_value(void *user, const double *const *inputs)
{
    const twin *t = user;
    double sum = 0.0;
    int64_t v, w, i, k, pairs = 0;

    for (v = 0; v < t->views; v++) {
        for (i = 0; i < t->samples; i++) {
            const double *s = inputs[0] + (v * t->samples + i) * t->dim;
            const double all = log_sum_exp(s, t->dim, t->student);

            for (w = 0; w < t->teacher_views; w++) {
                const double *q = t->q + (w * t->samples + i) * t->dim;

                if (t->views > 1 && v == w) continue;
                pairs += i == 0;
                for (k = 0; k < t->dim; k++) sum -= q[k] * (s[k] / t->student - all);
            }
        }
    }
    return sum / (double)(pairs * t->samples);
}

/* Figures of the teacher's assignments. */
static void check_metrics(const sslcv_loss *loss, const twin *t, double value)
{
    const int64_t rows = t->teacher_views * t->samples;
    double assignment = 0.0, teacher = 0.0;
    int64_t r, k;

    for (k = 0; k < t->dim; k++) {
        double mean = 0.0;

        for (r = 0; r < rows; r++) {
            const double q = t->q[r * t->dim + k];

            mean += q / (double)rows;
            teacher -= q > 0.0 ? q * log(q) / (double)rows : 0.0;
        }
        assignment -= mean > 0.0 ? mean * log(mean) : 0.0;
    }
    CLOSE(loss_metric(loss, "assignment_entropy"), assignment, 1e-5);
    CLOSE(loss_metric(loss, "teacher_entropy"), teacher, 1e-5);
    CLOSE(loss_metric(loss, "divergence"), value - teacher, 1e-5);
}

/* Value 1e-5, gradients 1e-4: probabilities are f32; at a temperature of 0.04 those of exp() have errors of 1e-6. */
START_TEST(equals_its_twin)
{
    static float s[MAX], t[MAX], ds[MAX], center[MAX];
    static double q[MAX];
    sslcv_context *context = new_context(NULL, 2);
    sslcv__rng rng;
    int round;

    sslcv__rng_init(&rng, 23, 1, 1);
    for (round = 0; round < 100; round++) {
        twin w = {1 + sslcv__rng_below(&rng, 4),
                  1,
                  1 + sslcv__rng_below(&rng, 4),
                  1 + sslcv__rng_below(&rng, 20),
                  sslcv__rng_range(&rng, 0.05, 1.0),
                  sslcv__rng_range(&rng, 0.03, 1.0),
                  center,
                  q};
        sslcv_loss *loss;
        loss_test test;

        if (round % 10 == 0) w.dim = 1;
        if (round % 25 == 5) w.views = w.samples = 1, w.dim = 1022 + round / 25; /* around a chunk of 1024 */
        loss = new_dino(context, w.dim, w.student, w.teacher, sslcv__rng_uniform(&rng));
        w.teacher_views = 1 + sslcv__rng_below(&rng, w.views);
        random_values(&rng, w.views * w.samples * w.dim, 0.5, s);
        random_values(&rng, w.teacher_views * w.samples * w.dim, 0.5, t);
        random_values(&rng, w.dim, 0.3, center);
        loss_write(loss, "center", SSLCV_STATE_VALUE, SSLCV_F32, w.dim, center);
        assign(&w, t, q);
        loss_test_init(&test);
        loss_test_add(&test, w.views, w.samples, 1, w.dim, s, ds);
        loss_test_add(&test, w.teacher_views, w.samples, 1, w.dim, t, NULL);
        test.call.scale = sslcv__rng_range(&rng, 0.5, 3.0);
        check_twin(loss, &test, twin_value, &w, NULL, 0, 1e-5, 1e-4);
        check_metrics(loss, &w, test.call.value);
        sslcv_loss_destroy(loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* ---- published values ---- */

START_TEST(has_the_published_values)
{
    static const double first[4] = {-1.23055010, 1.22900342, 0.00093905, 0.00060764};
    static const double third[4] = {-1.24447331, -0.03878951, 2.46251872, -1.17925590};
    static const double after[4] = {0.08234053, -0.16635183, 0.27591952, 0.02774852};
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_dino(context, 4, 0.1, 0.04, 0.9);
    float s[24], t[16], ds[24], center[4] = {0.1f, -0.2f, 0.3f, 0.0f};
    loss_test test;
    int i;

    for (i = 0; i < 3; i++) golden_input(1 + i, 8, s + 8 * i);
    for (i = 0; i < 2; i++) golden_input(4 + i, 8, t + 8 * i);
    loss_write(loss, "center", SSLCV_STATE_VALUE, SSLCV_F32, 4, center);
    loss_test_init(&test);
    loss_test_add(&test, 3, 2, 1, 4, s, ds);
    loss_test_add(&test, 2, 2, 1, 4, t, NULL);
    CLOSE(loss_value(loss, &test) / 4.09156001, 1.0, 1e-6);
    for (i = 0; i < 4; i++) {
        CLOSE((double)ds[i], first[i], 1e-6);
        CLOSE((double)ds[16 + i], third[i], 1e-6);
    }
    loss_read(loss, "center", SSLCV_STATE_VALUE, SSLCV_F32, 4, center);
    for (i = 0; i < 4; i++) CLOSE((double)center[i] / after[i], 1.0, 1e-6);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- identities ---- */

START_TEST(collapse_shows)
{
    enum { N = 6, K = 50 };
    static float s[2 * N * K], t[2 * N * K], ds[2 * N * K];
    sslcv_context *context = new_context(NULL, 2);
    sslcv_loss *loss = new_dino(context, K, 0.1, 0.04, 1.0);
    loss_test test;
    int i;

    loss_test_init(&test);
    loss_test_add(&test, 2, N, 1, K, s, ds);
    loss_test_add(&test, 2, N, 1, K, t, NULL);
    for (i = 0; i < 2 * N * K; i++) s[i] = t[i] = 0.7f; /* uniform */
    CLOSE(loss_value(loss, &test), log((double)K), 1e-6);
    CLOSE(loss_metric(loss, "teacher_entropy"), log((double)K), 1e-6);
    CLOSE(loss_metric(loss, "assignment_entropy"), log((double)K), 1e-6);
    CLOSE(loss_metric(loss, "divergence"), 0.0, 1e-6);
    for (i = 0; i < 2 * N * K; i++) CLOSE((double)ds[i], 0.0, 1e-7);
    for (i = 0; i < 2 * N; i++) t[i * K + 3] = 100.0f; /* one prototype for all */
    CLOSE(loss_value(loss, &test), log((double)K), 1e-6);
    CLOSE(loss_metric(loss, "teacher_entropy"), 0.0, 1e-9);
    CLOSE(loss_metric(loss, "assignment_entropy"), 0.0, 1e-9);
    CLOSE(loss_metric(loss, "divergence"), log((double)K), 1e-6);
    for (i = 0; i < 2 * N; i++) t[i * K + 3] = 0.7f, t[i * K + i % N] = 100.0f; /* one for each sample */
    loss_value(loss, &test);
    CLOSE(loss_metric(loss, "teacher_entropy"), 0.0, 1e-9);
    CLOSE(loss_metric(loss, "assignment_entropy"), log((double)N), 1e-6);
    for (i = 0; i < 2 * N; i++) s[i * K + i % N] = 100.0f; /* learnt */
    CLOSE(loss_value(loss, &test), 0.0, 1e-9);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* Scores may be shifted by any number, the student's by row, the teacher's too; rows of the gradient sum to 0. */
START_TEST(shifts_do_not_matter)
{
    enum { N = 3, K = 33, COUNT = 2 * N * K };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_dino(context, K, 0.1, 0.04, 1.0);
    float s[COUNT], t[COUNT], ds[2][COUNT];
    double value;
    loss_test test;
    int i;

    golden_input(90, COUNT, s);
    golden_input(91, COUNT, t);
    loss_test_init(&test);
    loss_test_add(&test, 2, N, 1, K, s, ds[0]);
    loss_test_add(&test, 2, N, 1, K, t, NULL);
    value = loss_value(loss, &test);
    for (i = 0; i < 2 * N; i++) {
        double sum = 0.0;
        int k;

        for (k = 0; k < K; k++) {
            sum += (double)ds[0][i * K + k];
            s[i * K + k] += 2.0f * (float)i;
            t[i * K + k] -= 4.0f;
        }
        CLOSE(sum, 0.0, 1e-6);
    }
    test.diffs[0].data = ds[1];
    CLOSE(loss_value(loss, &test), value, 3e-5); /* the shifted inputs are rounded: 5e-7 over 0.04 */
    for (i = 0; i < COUNT; i++) CLOSE((double)ds[0][i], (double)ds[1][i], 3e-5);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- what it remembers ---- */

START_TEST(center_is_updated_after_scoring)
{
    enum { N = 4, K = 2500, COUNT = N * K };
    static float s[COUNT], t[2 * COUNT], center[K], zeros[K];
    sslcv_context *context = new_context(NULL, 2);
    sslcv_loss *loss = new_dino(context, K, 0.1, 0.04, 0.75);
    double first;
    loss_test test;
    int i, r;

    golden_input(92, COUNT, s);
    golden_input(93, 2 * COUNT, t);
    loss_test_init(&test);
    loss_test_add(&test, 1, N, 1, K, s, NULL);
    loss_test_add(&test, 1, N, 1, K, t, NULL);
    loss_read(loss, "center", SSLCV_STATE_VALUE, SSLCV_F32, K, center);
    for (i = 0; i < K; i++) ck_assert_float_eq(center[i], 0.0f);
    test.call.flags = 0;
    first = loss_value(loss, &test);
    ck_assert_double_eq(loss_value(loss, &test), first);
    loss_read(loss, "center", SSLCV_STATE_VALUE, SSLCV_F32, K, center);
    for (i = 0; i < K; i++) ck_assert_float_eq(center[i], 0.0f); /* not remembered */
    test.call.flags = SSLCV_CALL_REMEMBER;
    ck_assert_double_eq(loss_value(loss, &test), first); /* scored with the old centre */
    loss_read(loss, "center", SSLCV_STATE_VALUE, SSLCV_F32, K, center);
    for (i = 0; i < K; i++) {
        double sum = 0.0;

        for (r = 0; r < N; r++) sum += (double)t[r * K + i];
        CLOSE((double)center[i], 0.25 * sum / N, 1e-7);
    }
    ck_assert_double_ne(loss_value(loss, &test), first);
    OK(sslcv_loss_set(loss, "center_momentum", 1.0)); /* stays */
    loss_read(loss, "center", SSLCV_STATE_VALUE, SSLCV_F32, K, center);
    loss_value(loss, &test);
    loss_read(loss, "center", SSLCV_STATE_VALUE, SSLCV_F32, K, zeros);
    ck_assert_mem_eq(zeros, center, sizeof center);
    OK(sslcv_loss_set(loss, "center_momentum", 0.0)); /* the mean alone: over both views, from raw scores */
    loss_test_init(&test);
    loss_test_add(&test, 2, N / 2, 1, K, s, NULL);
    loss_test_add(&test, 2, N / 2, 1, K, t, NULL);
    loss_value(loss, &test);
    loss_read(loss, "center", SSLCV_STATE_VALUE, SSLCV_F32, K, center);
    for (i = 0; i < K; i++) CLOSE((double)center[i], ((double)t[i] + t[K + i] + t[2 * K + i] + t[3 * K + i]) / 4, 1e-7);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

static sslcv_status create(sslcv_context *context, sslcv_loss **loss)
{
    *loss = NULL;
    {
        sslcv_dino_options options;
        const sslcv_status status = sslcv_dino_options_init(&options, sizeof options);

        options.dim = 61;
        return status == SSLCV_OK ? sslcv_loss_create_dino(context, &options, loss) : status;
    }
}

static void fill(loss_test *test, int64_t samples)
{
    static float s[MAX], t[MAX], ds[MAX];

    golden_input(94, 3 * samples * 61, s);
    golden_input(95, 2 * samples * 61, t);
    loss_test_init(test);
    loss_test_add(test, 3, samples, 1, 61, s, ds);
    loss_test_add(test, 2, samples, 1, 61, t, NULL);
}

/* The state out of one and into another: it goes on with the same bits. */
START_TEST(state_goes_on)
{
    static unsigned char before[SNAPSHOT];
    sslcv_context *context = new_context(NULL, 2);
    sslcv_loss *one, *other;
    float center[61];
    double number = 0.0, value;
    int64_t bytes, i;
    loss_test test;

    OK(create(context, &one));
    OK(create(context, &other));
    fill(&test, 5);
    OK(sslcv_loss_set(one, "teacher_temperature", 0.07));
    for (i = 0; i < 3; i++) value = loss_value(one, &test);
    loss_read(one, "center", SSLCV_STATE_VALUE, SSLCV_F32, 61, center);
    loss_write(other, "center", SSLCV_STATE_VALUE, SSLCV_F32, 61, center);
    loss_read(one, "teacher_temperature", SSLCV_STATE_VALUE, SSLCV_F64, 1, &number);
    ck_assert_double_eq(number, 0.07);
    loss_write(other, "teacher_temperature", SSLCV_STATE_VALUE, SSLCV_F64, 1, &number);
    for (i = 0; i < 3; i++) {
        value = loss_value(one, &test);
        ck_assert_double_eq(loss_value(other, &test), value);
    }
    loss_snapshot(one, before, &bytes);
    check_state_equals(other, before, bytes);
    sslcv_loss_destroy(other);
    sslcv_loss_destroy(one);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- size ---- */

/* More samples than a block holds: value, a gradient, and metrics by a second way. */
START_TEST(long_rows_go_in_blocks)
{
    enum { K = 1400003, N = 3 };
    float *s = malloc(sizeof *s * N * K), *t = malloc(sizeof *t * N * K), *ds = malloc(sizeof *ds * N * K);
    double *mean = calloc(K, sizeof *mean), sum = 0.0, worst = 0.0, largest = 0.0, assignment = 0.0;
    sslcv_context *context = new_context(NULL, 2);
    sslcv_loss *loss = new_dino(context, K, 0.1, 0.04, 0.9);
    loss_test test;
    int64_t i, k;

    golden_input(96, N * K, s);
    golden_input(97, N * K, t);
    loss_test_init(&test);
    loss_test_add(&test, 1, N, 1, K, s, ds);
    loss_test_add(&test, 1, N, 1, K, t, NULL);
    loss_value(loss, &test);
    for (i = 0; i < N; i++) {
        const float *a = s + i * K, *b = t + i * K;
        double za = 0.0, zb = 0.0;

        for (k = 0; k < K; k++) {
            za += exp((double)a[k] / 0.1);
            zb += exp((double)b[k] / 0.04);
        }
        for (k = 0; k < K; k++) {
            const double p = exp((double)a[k] / 0.1) / za, q = exp((double)b[k] / 0.04) / zb;
            const double exact = (p - q) / 0.1 / N;

            sum -= q * log(p) / N;
            mean[k] += q / N;
            worst = fmax(worst, fabs((double)ds[i * K + k] - exact));
            largest = fmax(largest, fabs(exact));
        }
    }
    for (k = 0; k < K; k++) assignment -= mean[k] * log(mean[k]);
    CLOSE(test.call.value, sum, 1e-6);
    ck_assert_double_le(worst, 1e-5 * largest);
    CLOSE(loss_metric(loss, "assignment_entropy"), assignment, 1e-6);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
    free(mean);
    free(ds);
    free(t);
    free(s);
}
END_TEST

/* ---- what is extreme or refused ---- */

START_TEST(extreme_inputs_stay_finite)
{
    static const double temperatures[] = {1e-300, 1e-30, 1e-4, 0.04, 1e30};
    sslcv_context *context = new_context(NULL, 1);
    float s[32], t[32], ds[32], center[8];
    loss_test test;
    size_t a, b;
    int i, huge;

    for (huge = 0; huge < 2; huge++) {
        for (a = 0; a < sizeof temperatures / sizeof *temperatures; a++) {
            for (b = 0; b < sizeof temperatures / sizeof *temperatures; b++) {
                sslcv_loss *loss = new_dino(context, 8, temperatures[a], temperatures[b], 0.9);
                const char *name;
                double metric;

                golden_input(98, 32, s);
                golden_input(99, 32, t);
                golden_input(100, 8, center);
                for (i = 0; i < 32 && huge; i++) {
                    s[i] = i % 3 ? s[i] * 2.0f * 3.4e38f : 0.0f;
                    t[i] = i % 5 ? t[i] * 2.0f * 3.4e38f : 1e-40f;
                    center[i % 8] *= i < 8 ? -3.4e38f : 1.0f;
                }
                loss_write(loss, "center", SSLCV_STATE_VALUE, SSLCV_F32, 8, center);
                loss_test_init(&test);
                loss_test_add(&test, 2, 2, 1, 8, s, ds);
                loss_test_add(&test, 2, 2, 1, 8, t, NULL);
                ck_assert(isfinite(loss_value(loss, &test)));
                for (i = 0; i < 32; i++) ck_assert(!isnan(ds[i]));
                for (i = 0; sslcv_loss_get_metric(loss, i, &name, &metric) == SSLCV_OK; i++)
                    ck_assert(isfinite(metric));
                loss_read(loss, "center", SSLCV_STATE_VALUE, SSLCV_F32, 8, center);
                for (i = 0; i < 8; i++) ck_assert(isfinite(center[i]));
                sslcv_loss_destroy(loss);
            }
        }
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(bad_input_is_refused)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_dino_options options;
    sslcv_loss *loss = NULL;
    float s[48] = {0.0f}, center[4] = {0.0f, NAN, 0.0f, 0.0f}, ds[16] = {5.0f};
    loss_test test;

    OK(sslcv_dino_options_init(&options, sizeof options));
    ck_assert_int_eq(options.dim, 65536);
    ck_assert_double_eq(options.student_temperature, 0.1);
    ck_assert_double_eq(options.teacher_temperature, 0.04);
    ck_assert_double_eq(options.center_momentum, 0.9);
    FAILS(sslcv_dino_options_init(&options, 8), SSLCV_ERR_INVALID_ARGUMENT, "dino_options.struct_size is 8");
    FAILS(sslcv_loss_create_dino(NULL, NULL, &loss), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_loss_create_dino(context, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "loss is NULL");
    options.dim = 0;
    FAILS(sslcv_loss_create_dino(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT, "dino.dim is 0");
    options.dim = 4;
    options.student_temperature = 0.0;
    FAILS(sslcv_loss_create_dino(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT,
          "dino.student_temperature is 0; must be > 0");
    options.student_temperature = 0.1;
    options.teacher_temperature = NAN;
    FAILS(sslcv_loss_create_dino(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT, "dino.teacher_temperature is");
    options.teacher_temperature = 0.04;
    options.center_momentum = 1.1;
    FAILS(sslcv_loss_create_dino(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT,
          "dino.center_momentum is 1.1; must be 0 .. 1");
    options.center_momentum = 0.9;
    ck_assert_ptr_null(loss);
    OK(sslcv_loss_create_dino(context, &options, &loss));
    FAILS(sslcv_loss_set(loss, "teacher_temperature", -1.0), SSLCV_ERR_INVALID_ARGUMENT, "must be > 0");

    loss_test_init(&test);
    loss_test_add(&test, 2, 2, 1, 5, s, NULL);
    loss_test_add(&test, 1, 2, 1, 5, s, NULL);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT,
          "inputs[0] has 5 dimensions; dino.dim is 4");
    loss_test_init(&test);
    loss_test_add(&test, 2, 2, 1, 4, s, NULL);
    loss_test_add(&test, 3, 2, 1, 4, s, NULL);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[1] has 3 views; must be 1 .. 2");
    loss_test_init(&test);
    loss_test_add(&test, 2, 2, 1, 4, s, ds);
    loss_test_add(&test, 2, 2, 1, 4, s, s + 16);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "this input of dino gets no gradient");
    test.diffs[1].data = NULL;
    loss_write(loss, "center", SSLCV_STATE_VALUE, SSLCV_F32, 4, center); /* as a file could bring it */
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_NUMERIC, "dino's center has NaN or infinity");
    ck_assert_float_eq(ds[0], 5.0f);
    sslcv_loss_destroy(loss);

    options.dim = INT64_MAX / 16; /* told before the machine has to say it */
    OK(sslcv_loss_create_dino(context, &options, &loss));
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_LIMIT, "dino needs");
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

static const loss_case standard = {"dino", create, fill};

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
    Suite *suite = suite_create("loss_dino");
    TCase *all = tcase_create("dino");

    tcase_set_timeout(all, 60);
    tcase_add_test(all, equals_its_twin);
    tcase_add_test(all, has_the_published_values);
    tcase_add_test(all, collapse_shows);
    tcase_add_test(all, shifts_do_not_matter);
    tcase_add_test(all, center_is_updated_after_scoring);
    tcase_add_test(all, state_goes_on);
    tcase_add_test(all, long_rows_go_in_blocks);
    tcase_add_test(all, extreme_inputs_stay_finite);
    tcase_add_test(all, bad_input_is_refused);
    tcase_add_test(all, does_what_all_losses_do);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
