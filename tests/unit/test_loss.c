#include "memory_support.h"

#include <sslcv/losses.h>
#include <sslcv/state.h>

#include <float.h>
#include <stdio.h>

#include "core/rng.h"
#include "loss/loss.h"

/* ---- what the tests share ---- */

static sslcv_loss *new_info_nce(sslcv_context *context, double temperature, int32_t reduction)
{
    sslcv_info_nce_options options;
    sslcv_loss *loss;

    OK(sslcv_info_nce_options_init(&options, sizeof options));
    options.temperature = temperature;
    options.reduction = reduction;
    OK(sslcv_loss_create_info_nce(context, &options, &loss));
    return loss;
}

static sslcv_loss *new_cross_entropy(sslcv_context *context, double smoothing)
{
    sslcv_cross_entropy_options options;
    sslcv_loss *loss;

    OK(sslcv_cross_entropy_options_init(&options, sizeof options));
    options.label_smoothing = smoothing;
    OK(sslcv_loss_create_cross_entropy(context, &options, &loss));
    return loss;
}

/* A call of up to two inputs of three axes. */
typedef struct call {
    sslcv_loss_call loss;
    sslcv_tensor inputs[2], diffs[2];
} call;

static void add_input(call *c, int64_t views, int64_t samples, int64_t dim, float *data, float *diff)
{
    const int64_t shape[3] = {views, samples, dim}, i = c->loss.num_inputs++;

    OK(sslcv_tensor_init(&c->inputs[i], SSLCV_F32, data, 3, shape));
    OK(sslcv_tensor_init(&c->diffs[i], SSLCV_F32, diff, 3, shape));
    c->loss.inputs = c->inputs;
    c->loss.diff_inputs = c->diffs;
}

static void one_input(call *c, int64_t views, int64_t samples, int64_t dim, float *data, float *diff)
{
    OK(sslcv_loss_call_init(&c->loss, sizeof c->loss));
    add_input(c, views, samples, dim, data, diff);
}

static double value_of(sslcv_loss *loss, call *c)
{
    OK(sslcv_loss_compute(loss, &c->loss));
    return c->loss.value;
}

static double metric_of(const sslcv_loss *loss, const char *name)
{
    const char *found;
    double value;
    int64_t i;

    for (i = 0;; i++) {
        OK(sslcv_loss_get_metric(loss, i, &found, &value));
        if (strcmp(found, name) == 0) return value;
    }
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

static void random_values(sslcv__rng *rng, int64_t count, double scale, float *values)
{
    int64_t i;

    for (i = 0; i < count; i++) values[i] = (float)(scale * sslcv__rng_normal(rng));
}

/* ---- the twin: cosines in double, gradients by the quotient rule, no matrix ---- */

typedef struct twin {
    int64_t views, key_views, samples, dim; /* key_views 0: one input */
    const double *q, *k;
    double temperature;
    int32_t sum;
    double *dq, *dk; /* zeroed */
} twin;

static double length_of(const double *x, int64_t dim)
{
    double sum = 0.0;
    int64_t j;

    for (j = 0; j < dim; j++) sum += x[j] * x[j];
    return fmax(sqrt(sum), 1e-12);
}

static double cosine(const double *a, const double *b, int64_t dim)
{
    double sum = 0.0;
    int64_t j;

    for (j = 0; j < dim; j++) sum += a[j] * b[j];
    return sum / (length_of(a, dim) * length_of(b, dim));
}

/* da += factor * d cos(a, b) / da, and likewise db. */
static void add_cosine_gradient(const double *a, const double *b, int64_t dim, double factor, double *da, double *db)
{
    const double la = length_of(a, dim), lb = length_of(b, dim), c = cosine(a, b, dim);
    int64_t j;

    for (j = 0; j < dim; j++) {
        da[j] += factor * (b[j] / lb - c * a[j] / la) / la;
        db[j] += factor * (a[j] / la - c * b[j] / lb) / lb;
    }
}

/* One anchor against columns rows c; column self is left out; those of the sample are positive. */
static double twin_anchor(const twin *t, const double *a, double *da, const double *c, double *dc, int64_t columns,
                          int64_t self, int64_t sample, double weight)
{
    double sum = 0.0, positive = 0.0;
    int64_t count = 0, j;

    for (j = 0; j < columns; j++) {
        const double s = cosine(a, c + j * t->dim, t->dim) / t->temperature;

        if (j == self) continue;
        sum += exp(s);
        if (j % t->samples != sample) continue;
        positive += s;
        count++;
    }
    for (j = 0; j < columns; j++) {
        const double s = cosine(a, c + j * t->dim, t->dim) / t->temperature;
        const double target = j % t->samples == sample ? 1.0 / (double)count : 0.0;

        if (j == self) continue;
        add_cosine_gradient(a, c + j * t->dim, t->dim, weight * (exp(s) / sum - target) / t->temperature, da,
                            dc + j * t->dim);
    }
    return weight * (log(sum) - positive / (double)count);
}

static double twin_value(const twin *t)
{
    const int64_t d = t->dim, n = t->samples;
    double value = 0.0;
    int64_t v, w, i;

    for (v = 0; v < t->views && t->key_views == 0; v++) {
        for (i = 0; i < n; i++) {
            const int64_t row = v * n + i;
            const double weight = 1.0 / (double)(t->sum ? n : n * t->views);

            value += twin_anchor(t, t->q + row * d, t->dq + row * d, t->q, t->dq, t->views * n, row, i, weight);
        }
    }
    for (v = 0; v < t->views && t->key_views > 0; v++) {
        const int64_t meets = t->views > 1 && v < t->key_views ? t->key_views - 1 : t->key_views;
        const int64_t paired = t->views > 1 && t->key_views == 1 ? t->views - 1 : t->views;

        for (w = 0; w < t->key_views; w++) {
            if (t->views > 1 && v == w) continue;
            for (i = 0; i < n; i++) {
                const int64_t row = v * n + i;

                value += twin_anchor(t, t->q + row * d, t->dq + row * d, t->k + w * n * d, t->dk + w * n * d, n, -1, i,
                                     1.0 / (double)(n * meets * (t->sum ? 1 : paired)));
            }
        }
    }
    return value;
}

enum { MAX_TWIN = 4 * 40 * 24 };

/* A random case: library and twin, for one or two inputs. */
static void compare_with_twin(sslcv_context *context, sslcv__rng *rng, int64_t key_views, int64_t views,
                              int64_t samples, int64_t dim)
{
    static float q[MAX_TWIN], k[MAX_TWIN], dq[MAX_TWIN], dk[MAX_TWIN];
    static double exact_q[MAX_TWIN], exact_k[MAX_TWIN], exact_dq[MAX_TWIN], exact_dk[MAX_TWIN];
    const int64_t rows = views * samples * dim, key_rows = key_views * samples * dim;
    const double temperature = sslcv__rng_range(rng, 0.07, 1.0);
    const int32_t sum = (int32_t)sslcv__rng_below(rng, 2);
    const double scale = sslcv__rng_range(rng, 0.5, 3.0);
    const twin t = {views, key_views, samples, dim, exact_q, exact_k, temperature, sum, exact_dq, exact_dk};
    sslcv_loss *loss = new_info_nce(context, temperature, sum ? SSLCV_REDUCTION_SUM : SSLCV_REDUCTION_MEAN);
    double largest = 0.0;
    int64_t i;
    call c;

    random_values(rng, rows, 1.0, q);
    random_values(rng, key_rows, 1.0, k);
    for (i = 0; i < rows; i++) exact_q[i] = (double)q[i];
    for (i = 0; i < key_rows; i++) exact_k[i] = (double)k[i];
    memset(exact_dq, 0, sizeof exact_dq);
    memset(exact_dk, 0, sizeof exact_dk);
    one_input(&c, views, samples, dim, q, dq);
    if (key_views) add_input(&c, key_views, samples, dim, k, dk);
    c.loss.scale = scale;
    CLOSE(value_of(loss, &c), twin_value(&t), 1e-6);
    for (i = 0; i < rows; i++) largest = fmax(largest, fabs(exact_dq[i]));
    for (i = 0; i < rows; i++) CLOSE((double)dq[i] / scale, exact_dq[i], 1e-5 * fmax(1.0, largest));
    for (i = 0; i < key_rows; i++) CLOSE((double)dk[i] / scale, exact_dk[i], 1e-5 * fmax(1.0, largest));
    sslcv_loss_destroy(loss);
}

START_TEST(info_nce_equals_its_twin)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv__rng rng;
    int round;

    sslcv__rng_init(&rng, 1, 2, 3);
    for (round = 0; round < 100; round++) {
        const int64_t samples = 1 + sslcv__rng_below(&rng, 20), dim = 1 + sslcv__rng_below(&rng, 24);
        const int64_t views = 1 + sslcv__rng_below(&rng, 4);

        if (round % 2 == 0) {
            compare_with_twin(context, &rng, 0, views < 2 ? 2 : views, samples, dim);
        } else {
            compare_with_twin(context, &rng, 1 + sslcv__rng_below(&rng, views), views, samples, dim);
        }
    }
    sslcv_context_destroy(context);
}
END_TEST

/* The twin itself, by central differences in double. */
START_TEST(twin_equals_finite_differences)
{
    enum { ROWS = 3 * 4 * 5 };
    double q[ROWS], k[ROWS], dq[ROWS], dk[ROWS], unused[ROWS];
    int64_t i, key_views;
    float values[2 * ROWS];

    golden_input(50, 2 * ROWS, values);
    for (key_views = 0; key_views < 3; key_views++) {
        twin t = {3, key_views, 4, 5, q, k, 0.3, 0, dq, dk};

        for (i = 0; i < ROWS; i++) {
            q[i] = (double)values[i];
            k[i] = (double)values[ROWS + i];
            dq[i] = dk[i] = 0.0;
        }
        twin_value(&t);
        t.dq = t.dk = unused;
        for (i = 0; i < ROWS; i++) {
            const double x = q[i];
            double above, below;

            q[i] = x + 1e-5;
            above = twin_value(&t);
            q[i] = x - 1e-5;
            below = twin_value(&t);
            q[i] = x;
            CLOSE((above - below) / 2e-5, dq[i], 1e-6);
        }
    }
}
END_TEST

/* ---- published and analytic values of InfoNCE ---- */

static void normalize_rows(float *x, int64_t rows, int64_t dim)
{
    int64_t i, j;

    for (i = 0; i < rows; i++) {
        double sum = 0.0;

        for (j = 0; j < dim; j++) sum += (double)x[i * dim + j] * (double)x[i * dim + j];
        for (j = 0; j < dim; j++) x[i * dim + j] = (float)((double)x[i * dim + j] / sqrt(sum));
    }
}

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
    call c;

    golden_input(1, 16, z);
    golden_input(2, 16, z + 16);
    for (i = 0; i < 2; i++) {
        sslcv_loss *paper = new_info_nce(context, golden[i].temperature, SSLCV_REDUCTION_MEAN);
        sslcv_loss *code = new_info_nce(context, golden[i].temperature, SSLCV_REDUCTION_SUM);

        one_input(&c, 2, 4, 4, z, dz);
        CLOSE(value_of(paper, &c) / golden[i].value, 1.0, 1e-6);
        for (j = 0; j < 4; j++) {
            CLOSE(dz[j], golden[i].first[j], 1e-6);
            CLOSE(dz[16 + j], golden[i].second[j], 1e-6);
        }
        CLOSE(metric_of(paper, "mi_bound"), log(7.0) - c.loss.value, 1e-12);
        CLOSE(value_of(code, &c) / golden[i].value, 2.0, 1e-6);
        CLOSE(dz[0], 2.0 * golden[i].first[0], 1e-6);
        CLOSE(metric_of(code, "mi_bound"), log(7.0) - c.loss.value / 2.0, 1e-12);
        sslcv_loss_destroy(code);
        sslcv_loss_destroy(paper);
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(info_nce_equals_pytorch)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_info_nce(context, 0.2, SSLCV_REDUCTION_MEAN);
    float x[60], dx[60];
    double golden[64];
    int64_t i;
    call c;

    ck_assert_int_eq(read_golden("tests/golden/loss.txt", "info_nce_keys", golden, 64), 61);
    golden_input(42, 30, x);
    golden_input(43, 30, x + 30);
    one_input(&c, 1, 6, 5, x, dx);
    add_input(&c, 1, 6, 5, x + 30, dx + 30);
    CLOSE(value_of(loss, &c), golden[0], 1e-6);
    for (i = 0; i < 60; i++) CLOSE(dx[i], golden[1 + i], 2e-6);
    CLOSE(metric_of(loss, "mi_bound"), log(6.0) - golden[0], 1e-5);

    ck_assert_int_eq(read_golden("tests/golden/loss.txt", "nt_xent_three_views", golden, 64), 61);
    golden_input(44, 60, x);
    OK(sslcv_loss_set(loss, "temperature", 0.3));
    one_input(&c, 3, 4, 5, x, dx);
    CLOSE(value_of(loss, &c), golden[0], 1e-6);
    for (i = 0; i < 60; i++) CLOSE(dx[i], golden[1 + i], 2e-6);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* In-batch keys are MoCo's queue of the other samples' keys. */
START_TEST(info_nce_identities)
{
    enum { N = 8, D = 16, ROWS = 2 * N };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_info_nce(context, 0.1, SSLCV_REDUCTION_MEAN);
    float z[ROWS * D], dz[ROWS * D], swapped[ROWS * D];
    int64_t i;
    double value;
    call c;

    for (i = 0; i < ROWS * D; i++) z[i] = 0.3f;
    one_input(&c, 2, N, D, z, dz);
    CLOSE(value_of(loss, &c), log(2.0 * N - 1.0), 1e-6); /* all equal */
    CLOSE(metric_of(loss, "mi_bound"), 0.0, 1e-6);
    CLOSE(metric_of(loss, "top1"), 0.0, 0.0);
    one_input(&c, 1, N, D, z, NULL);
    add_input(&c, 1, N, D, z + N * D, NULL);
    CLOSE(value_of(loss, &c), log((double)N), 1e-6);

    memset(z, 0, sizeof z); /* both views the same unit vector, orthogonal between samples */
    for (i = 0; i < N; i++) z[i * D + i] = z[(N + i) * D + i] = 2.0f;
    one_input(&c, 2, N, D, z, dz);
    CLOSE(value_of(loss, &c), log(1.0 + (2.0 * N - 2.0) * exp(-10.0)), 1e-9);
    CLOSE(metric_of(loss, "top1"), 1.0, 0.0);
    one_input(&c, 1, N, D, z, NULL);
    add_input(&c, 1, N, D, z + N * D, NULL);
    CLOSE(value_of(loss, &c), log(1.0 + (N - 1.0) * exp(-10.0)), 1e-9);

    one_input(&c, 2, 2, D, z, dz); /* the positive is orthogonal too, but once in the denominator */
    z[2 * D] = 2.0f, z[2 * D + 2] = 0.0f, z[3 * D + 1] = 2.0f, z[3 * D + 3] = 0.0f;
    CLOSE(value_of(loss, &c), -10.0 + log(exp(10.0) + 2.0), 1e-9);

    golden_input(51, ROWS * D, z);
    one_input(&c, 2, N, D, z, dz);
    value = value_of(loss, &c);
    memcpy(swapped, z + N * D, N * D * sizeof *z);
    memcpy(swapped + N * D, z, N * D * sizeof *z);
    one_input(&c, 2, N, D, swapped, NULL);
    CLOSE(value_of(loss, &c), value, 1e-6);

    OK(sslcv_loss_set(loss, "temperature", 1e9));
    one_input(&c, 2, N, D, z, dz);
    CLOSE(value_of(loss, &c), log(2.0 * N - 1.0), 1e-6);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(one_sample_gives_nothing)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_info_nce(context, 0.1, SSLCV_REDUCTION_MEAN);
    float z[14], dz[14];
    int64_t i;
    call c;

    golden_input(52, 14, z);
    one_input(&c, 2, 1, 7, z, dz);
    ck_assert_double_eq(value_of(loss, &c), 0.0);
    for (i = 0; i < 14; i++) ck_assert_float_eq(dz[i], 0.0f);
    ck_assert_double_eq(metric_of(loss, "top1"), 1.0);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(gradients_are_orthogonal_to_their_rows)
{
    enum { N = 9, D = 12 };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_info_nce(context, 0.1, SSLCV_REDUCTION_MEAN);
    float z[2 * N * D], dz[2 * N * D], longer[2 * N * D], dlonger[2 * N * D];
    double value;
    int64_t i, j;
    call c;

    golden_input(53, 2 * N * D, z);
    for (i = 0; i < 2 * N * D; i++) longer[i] = 64.0f * z[i];
    one_input(&c, 2, N, D, z, dz);
    value = value_of(loss, &c);
    one_input(&c, 2, N, D, longer, dlonger);
    CLOSE(value_of(loss, &c), value, 1e-7);
    for (i = 0; i < 2 * N; i++) {
        double along = 0.0;

        for (j = 0; j < D; j++) {
            along += (double)z[i * D + j] * (double)dz[i * D + j];
            CLOSE(dlonger[i * D + j], (double)dz[i * D + j] / 64.0, 1e-8);
        }
        CLOSE(along, 0.0, 1e-6);
    }
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(gradients_equal_finite_differences)
{
    enum { N = 5, D = 6, COUNT = 2 * N * D };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_info_nce(context, 0.5, SSLCV_REDUCTION_MEAN);
    float z[COUNT], dz[COUNT];
    int64_t i;
    call c;

    golden_input(54, COUNT, z);
    one_input(&c, 2, N, D, z, dz);
    value_of(loss, &c);
    c.loss.diff_inputs = NULL;
    for (i = 0; i < COUNT; i++) {
        const float x = z[i];
        double above, below;

        z[i] = x + 1e-3f;
        above = value_of(loss, &c);
        z[i] = x - 1e-3f;
        below = value_of(loss, &c);
        z[i] = x;
        CLOSE((above - below) / 2e-3, dz[i], 1e-3);
    }
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(extreme_inputs_stay_finite)
{
    static const double temperatures[] = {1e-4, 1e-30, 0.07, 1e30};
    sslcv_context *context = new_context(NULL, 1);
    float z[24], dz[24];
    size_t t;
    int64_t i;
    call c;

    golden_input(55, 24, z);
    for (i = 0; i < 4; i++) z[i] = 0.0f;                          /* a zero vector */
    for (i = 4; i < 8; i++) z[i] *= 1e-30f;                       /* below the floor of the norm */
    for (i = 8; i < 12; i++) z[i] = (float)((double)z[i] * 6e38); /* up to the largest floats */
    memcpy(z + 12, z + 16, 4 * sizeof *z);                        /* an exact positive */
    for (i = 20; i < 24; i++) z[i] = -z[i - 4] * 1e6f;            /* an exact opposite */
    for (t = 0; t < sizeof temperatures / sizeof *temperatures; t++) {
        sslcv_loss *loss = new_info_nce(context, temperatures[t], SSLCV_REDUCTION_MEAN);

        one_input(&c, 2, 3, 4, z, temperatures[t] > 1e-10 ? dz : NULL);
        ck_assert(isfinite(value_of(loss, &c)));
        for (i = 0; i < 24 && temperatures[t] > 1e-10; i++) ck_assert(isfinite(dz[i]));
        one_input(&c, 1, 3, 4, z, NULL);
        add_input(&c, 1, 3, 4, z + 12, NULL);
        ck_assert(isfinite(value_of(loss, &c)));
        sslcv_loss_destroy(loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* Gradient of NT-Xent with respect to one row: unit rows u, sums of exponentials of each, length of the row. */
static void row_gradient(const double *u, const double *sums, int64_t rows, int64_t dim, double t, int64_t row,
                         double length, double *gradient)
{
    double along = 0.0;
    int64_t i, j;

    for (j = 0; j < dim; j++) gradient[j] = 0.0;
    for (i = 0; i < rows; i++) {
        const double e = exp(cosine(u + row * dim, u + i * dim, dim) / t);
        const double positive = (i - row) % (rows / 2) == 0 ? 2.0 : 0.0;
        const double weight = (e / sums[row] + e / sums[i] - positive) / (t * (double)rows);

        for (j = 0; j < dim && i != row; j++) gradient[j] += weight * u[i * dim + j];
    }
    for (j = 0; j < dim; j++) along += gradient[j] * u[row * dim + j];
    for (j = 0; j < dim; j++) gradient[j] = (gradient[j] - along * u[row * dim + j]) / length;
}

/* More similarities than one block holds; two threads and one agree. */
START_TEST(many_rows_go_in_blocks)
{
    enum { N = 1025, D = 3, ROWS = 2 * N };
    static const int64_t looked_at[] = {0, 1024, 1025, 2044, 2045, 2046, 2047, 2049};
    static float z[ROWS * D], dz[2][ROWS * D];
    static double u[ROWS * D], sums[ROWS];
    double value = 0.0, exact = 0.0;
    sslcv__rng rng;
    int32_t threads;
    int64_t i, j;
    size_t k;

    sslcv__rng_init(&rng, 7, 0, 0);
    random_values(&rng, ROWS * D, 1.0, z);
    for (threads = 1; threads <= 2; threads++) {
        sslcv_context *context = new_context(NULL, threads);
        sslcv_loss *loss = new_info_nce(context, 0.5, SSLCV_REDUCTION_MEAN);
        call c;

        one_input(&c, 2, N, D, z, dz[threads - 1]);
        value = value_of(loss, &c);
        sslcv_loss_destroy(loss);
        sslcv_context_destroy(context);
    }
    for (i = 0; i < ROWS * D; i++) u[i] = (double)z[i];
    for (i = 0; i < ROWS; i++) {
        const double length = length_of(u + i * D, D);

        for (j = 0; j < D; j++) u[i * D + j] /= length;
    }
    for (i = 0; i < ROWS; i++) {
        for (j = 0; j < i; j++) {
            const double e =
                exp((u[i * D] * u[j * D] + u[i * D + 1] * u[j * D + 1] + u[i * D + 2] * u[j * D + 2]) / 0.5);

            sums[i] += e;
            sums[j] += e;
        }
    }
    for (i = 0; i < ROWS; i++) {
        exact += (log(sums[i]) - cosine(u + i * D, u + (i + N) % ROWS * D, D) / 0.5) / ROWS;
    }
    CLOSE(value, exact, 1e-6);
    for (k = 0; k < sizeof looked_at / sizeof *looked_at; k++) {
        const int64_t row = looked_at[k];
        double raw[D], gradient[D];

        for (j = 0; j < D; j++) raw[j] = (double)z[row * D + j];
        row_gradient(u, sums, ROWS, D, 0.5, row, length_of(raw, D), gradient);
        for (j = 0; j < D; j++) {
            CLOSE(1e3 * (double)dz[0][row * D + j], 1e3 * gradient[j], 1e-5);
            CLOSE(1e3 * (double)dz[1][row * D + j], 1e3 * gradient[j], 1e-5);
        }
    }
}
END_TEST

/* ---- cross-entropy ---- */

START_TEST(cross_entropy_equals_pytorch)
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
    call c;

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
        one_input(&c, 1, 4, 5, x, dx);
        c.loss.labels = labels;
        if (i == 2) c.loss.targets = &soft; /* and the labels do not matter */
        c.loss.scale = 0.5;
        CLOSE(value_of(loss, &c), golden[0], 1e-6);
        for (j = 0; j < 20; j++) CLOSE(16.0 * (double)dx[j], golden[1 + j], 1e-6);
        one_input(&c, 2, 4, 5, x, dx); /* both views have the labels */
        c.loss.labels = labels;
        if (i == 2) c.loss.targets = &soft;
        CLOSE(value_of(loss, &c), golden[0], 1e-6);
        for (j = 0; j < 40; j++) CLOSE(16.0 * (double)dx[j], golden[1 + j % 20], 1e-6);
        sslcv_loss_destroy(loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(cross_entropy_edges)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_cross_entropy(context, 0.0);
    const int64_t none[2] = {-1, -1}, labels[2] = {1, 0}, shape[2] = {2, 3};
    float x[6] = {1e30f, -1e30f, 0.0f, 1e4f, -1e4f, 3.0f}, dx[6], equal[6] = {0};
    sslcv_tensor rows, diffs;
    int64_t i;
    call c;

    one_input(&c, 1, 2, 3, x, dx);
    c.loss.labels = none;
    ck_assert_double_eq(value_of(loss, &c), 0.0);
    for (i = 0; i < 6; i++) ck_assert_float_eq(dx[i], 0.0f);

    c.loss.labels = labels;
    CLOSE(value_of(loss, &c) / 1e30, 1.0, 1e-6);
    for (i = 0; i < 6; i++) ck_assert(isfinite(dx[i]));
    CLOSE(dx[0], 0.5, 1e-7);
    CLOSE(dx[1], -0.5, 1e-7);
    CLOSE(dx[3], 0.0, 1e-7);
    CLOSE(metric_of(loss, "top1"), 0.5, 0.0);

    OK(sslcv_loss_call_init(&c.loss, sizeof c.loss)); /* (N, C) */
    OK(sslcv_tensor_init(&rows, SSLCV_F32, equal, 2, shape));
    OK(sslcv_tensor_init(&diffs, SSLCV_F32, dx, 2, shape));
    c.loss.inputs = &rows;
    c.loss.diff_inputs = &diffs;
    c.loss.num_inputs = 1;
    c.loss.labels = labels;
    CLOSE(value_of(loss, &c), log(3.0), 1e-9);
    CLOSE(metric_of(loss, "top1"), 0.0, 0.0); /* a tie is not first */
    CLOSE(dx[0], 1.0 / 6.0, 1e-7);
    CLOSE(dx[1], -1.0 / 3.0, 1e-7);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- what all losses do ---- */

START_TEST(info_and_metrics)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *nce, *ce;
    sslcv_loss_info info = {.struct_size = sizeof info};
    const char *name = "untouched";
    double value = 77.0;

    OK(sslcv_loss_create_info_nce(context, NULL, &nce));
    OK(sslcv_loss_create_cross_entropy(context, NULL, &ce));
    OK(sslcv_loss_get_info(nce, &info));
    ck_assert_str_eq(info.kind, "info_nce");
    ck_assert_int_eq(info.min_inputs, 1);
    ck_assert_int_eq(info.max_inputs, 2);
    ck_assert_uint_eq(info.gradient_inputs, 3);
    ck_assert_int_eq(info.needs_ids + info.needs_labels, 0);
    ck_assert_int_eq(info.bytes, 8);
    OK(sslcv_loss_get_info(ce, &info));
    ck_assert_str_eq(info.kind, "cross_entropy");
    ck_assert_int_eq(info.needs_labels, 1);
    ck_assert_uint_eq(info.gradient_inputs, 1);
    ck_assert_double_eq(metric_of(nce, "top1"), 0.0);
    FAILS(sslcv_loss_get_metric(nce, 2, &name, &value), SSLCV_ERR_NOT_FOUND, "info_nce has 2 metrics");
    FAILS(sslcv_loss_get_metric(nce, -1, &name, &value), SSLCV_ERR_INVALID_ARGUMENT, "index is -1");
    FAILS(sslcv_loss_get_metric(nce, 0, NULL, &value), SSLCV_ERR_INVALID_ARGUMENT, "name is NULL");
    FAILS(sslcv_loss_get_metric(nce, 0, &name, NULL), SSLCV_ERR_INVALID_ARGUMENT, "value is NULL");
    ck_assert_str_eq(name, "untouched");
    ck_assert_double_eq(value, 77.0);
    info.struct_size = 8;
    FAILS(sslcv_loss_get_info(nce, &info), SSLCV_ERR_INVALID_ARGUMENT, "loss_info.struct_size is 8");
    OK(sslcv_loss_begin_epoch(nce, 0));
    OK(sslcv_loss_begin_epoch(nce, 0));
    FAILS(sslcv_loss_begin_epoch(nce, -1), SSLCV_ERR_INVALID_ARGUMENT, "epoch is -1");
    sslcv_loss_destroy(ce);
    sslcv_loss_destroy(nce);
    sslcv_loss_destroy(NULL);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(numbers_change_and_are_state)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_info_nce(context, 0.1, SSLCV_REDUCTION_MEAN);
    sslcv_state *state;
    sslcv_tensor scalar;
    double number = 0.0;
    float z[32];
    int64_t index;
    call c;

    OK(sslcv_loss_get_state(loss, &state));
    OK(sslcv_state_find(state, "temperature", &index));
    OK(sslcv_tensor_init(&scalar, SSLCV_F64, &number, 0, NULL));
    OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &scalar));
    ck_assert_double_eq(number, 0.1);
    OK(sslcv_loss_set(loss, "temperature", 0.5));
    OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &scalar));
    ck_assert_double_eq(number, 0.5);
    FAILS(sslcv_loss_set(loss, "temperature", 0.0), SSLCV_ERR_INVALID_ARGUMENT,
          "info_nce.temperature is 0; must be > 0");
    FAILS(sslcv_loss_set(loss, "temperature", NAN), SSLCV_ERR_INVALID_ARGUMENT, "must be > 0");
    FAILS(sslcv_loss_set(loss, "temperature", INFINITY), SSLCV_ERR_INVALID_ARGUMENT, "must be > 0");
    FAILS(sslcv_loss_set(loss, "momentum", 1.0), SSLCV_ERR_NOT_FOUND, "info_nce has no number \"momentum\"");
    FAILS(sslcv_loss_set(loss, NULL, 1.0), SSLCV_ERR_INVALID_ARGUMENT, "field is NULL");

    golden_input(1, 16, z);
    golden_input(2, 16, z + 16);
    one_input(&c, 2, 4, 4, z, NULL);
    CLOSE(value_of(loss, &c), 1.99405125, 1e-6);
    number = -3.0; /* as a file could bring it */
    OK(sslcv_state_set(state, index, SSLCV_STATE_VALUE, &scalar));
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "info_nce.temperature is -3");
    OK(sslcv_loss_set(loss, "temperature", 0.1));
    sslcv_loss_destroy(loss); /* the state keeps it alive */
    OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &scalar));
    ck_assert_double_eq(number, 0.1);
    sslcv_state_destroy(state);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(options_are_checked)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_info_nce_options nce;
    sslcv_cross_entropy_options ce;
    sslcv_loss *loss = NULL;

    OK(sslcv_info_nce_options_init(&nce, sizeof nce));
    ck_assert_double_eq(nce.temperature, 0.1);
    ck_assert_int_eq(nce.reduction, SSLCV_REDUCTION_MEAN);
    FAILS(sslcv_info_nce_options_init(&nce, 8), SSLCV_ERR_INVALID_ARGUMENT, "info_nce_options.struct_size is 8");
    FAILS(sslcv_loss_create_info_nce(NULL, &nce, &loss), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_loss_create_info_nce(context, &nce, NULL), SSLCV_ERR_INVALID_ARGUMENT, "loss is NULL");
    nce.temperature = -0.1;
    FAILS(sslcv_loss_create_info_nce(context, &nce, &loss), SSLCV_ERR_INVALID_ARGUMENT,
          "info_nce.temperature is -0.1; must be > 0");
    nce.temperature = 0.1;
    nce.reduction = 2;
    FAILS(sslcv_loss_create_info_nce(context, &nce, &loss), SSLCV_ERR_INVALID_ARGUMENT, "info_nce.reduction is 2");
    nce.reduction = 0;
    nce.reserved = 1;
    FAILS(sslcv_loss_create_info_nce(context, &nce, &loss), SSLCV_ERR_UNSUPPORTED, "info_nce.reserved");
    OK(sslcv_cross_entropy_options_init(&ce, sizeof ce));
    ce.label_smoothing = 1.5;
    FAILS(sslcv_loss_create_cross_entropy(context, &ce, &loss), SSLCV_ERR_INVALID_ARGUMENT,
          "cross_entropy.label_smoothing is 1.5; must be 0 .. 1");
    ck_assert_ptr_null(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(bad_calls_are_refused)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_info_nce(context, 0.1, SSLCV_REDUCTION_MEAN);
    float z[96], dz[96];
    const int64_t four[4] = {2, 2, 3, 4};
    call c;

    golden_input(56, 96, z);
    FAILS(sslcv_loss_compute(NULL, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "loss is NULL");
    FAILS(sslcv_loss_compute(loss, NULL), SSLCV_ERR_INVALID_ARGUMENT, "call is NULL");
    FAILS(sslcv_loss_call_init(NULL, sizeof c.loss), SSLCV_ERR_INVALID_ARGUMENT, "loss_call is NULL");
    OK(sslcv_loss_call_init(&c.loss, sizeof c.loss));
    ck_assert_double_eq(c.loss.scale, 1.0);
    ck_assert_int_eq(c.loss.flags, SSLCV_CALL_REMEMBER);
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "call.num_inputs is 0; info_nce takes 1 .. 2");
    c.loss.num_inputs = 1;
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "call.inputs is NULL");
    c.loss.num_inputs = 3;
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "call.num_inputs is 3");

    one_input(&c, 1, 4, 4, z, dz);
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0] has 1 view");
    one_input(&c, 2, 4, 4, z, dz);
    c.inputs[0].ndim = 1;
    c.inputs[0].strides[0] = 1;
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0].ndim is 1");
    OK(sslcv_tensor_init(&c.inputs[0], SSLCV_F32, z, 4, four));
    c.loss.diff_inputs = NULL;
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0] has 3 positions");
    one_input(&c, 2, 0, 4, z, dz);
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0].shape[1] is 0");
    one_input(&c, 2, 4, 4, NULL, NULL);
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0]");
    one_input(&c, 2, 4, 4, z, dz);
    c.inputs[0].dtype = SSLCV_F64;
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0].dtype is f64; must be f32");
    one_input(&c, 2, 4, 4, z, dz);
    c.inputs[0].strides[1] = 5;
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0] is not dense");
    one_input(&c, 2, 4, 4, z, dz);
    c.diffs[0].shape[1] = 3;
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "diff_inputs[0]");

    one_input(&c, 2, 4, 4, z, dz);
    add_input(&c, 2, 3, 4, z, dz);
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "inputs[1] has 3 samples, inputs[0] 4");
    one_input(&c, 2, 4, 4, z, dz);
    add_input(&c, 2, 4, 3, z, dz);
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "inputs[1] has 3 dimensions");
    one_input(&c, 1, 4, 4, z, dz);
    add_input(&c, 2, 4, 4, z, dz);
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "inputs[1] has 2 views; must be 1 .. 1");

    one_input(&c, 2, 4, 4, z, dz);
    c.loss.flags = 6;
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "call.flags is 6");
    one_input(&c, 2, 4, 4, z, dz);
    c.loss.reserved = 6;
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_UNSUPPORTED, "call.reserved");
    one_input(&c, 2, 4, 4, z, dz);
    c.loss.scale = INFINITY;
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "call.scale is inf");
    one_input(&c, 2, 4, 4, z, dz);
    c.loss.step = -1;
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "call.step is -1");
    c.loss.step = 0;
    c.loss.flags = 0;
    OK(sslcv_loss_compute(loss, &c.loss));
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
    call c;

    one_input(&c, 1, 2, 3, x, NULL);
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "cross_entropy needs one");
    c.loss.labels = labels;
    labels[1] = 3;
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "call.labels[1] is 3; must be -1 .. 2");
    labels[1] = -2;
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "call.labels[1] is -2");
    c.loss.targets = &soft;
    OK(sslcv_tensor_init(&soft, SSLCV_F32, targets, 2, bad_shape));
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "call.targets has 4 classes, inputs[0] 3");
    OK(sslcv_tensor_init(&soft, SSLCV_F32, targets, 2, shape));
    targets[4] = -0.5f;
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_INVALID_ARGUMENT, "call.targets[1, 1] is -0.5; must be >= 0");
    targets[4] = NAN;
    FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_NUMERIC, "call.targets has NaN");
    targets[4] = 1.0f;
    OK(sslcv_loss_compute(loss, &c.loss));
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* NaN or infinity: value and gradients are as they were, the next call works. */
START_TEST(nan_leaves_the_call_untouched)
{
    static const float bad[3] = {NAN, INFINITY, -INFINITY};
    const int64_t labels[4] = {0, 1, 2, 3};
    sslcv_context *context = new_context(NULL, 2);
    int i, kind, j;

    for (kind = 0; kind < 2; kind++) {
        sslcv_loss *loss = kind ? new_cross_entropy(context, 0.0) : new_info_nce(context, 0.1, SSLCV_REDUCTION_MEAN);

        for (i = 0; i < 3; i++) {
            float z[32], dz[32];
            call c;

            golden_input(57, 32, z);
            for (j = 0; j < 32; j++) dz[j] = 5.0f;
            z[17] = bad[i];
            one_input(&c, 2, 4, 4, z, dz);
            c.loss.labels = labels;
            c.loss.value = 9.0;
            FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_NUMERIC, "inputs[0] has NaN or infinity");
            ck_assert_double_eq(c.loss.value, 9.0);
            ck_assert_double_eq(metric_of(loss, "top1"), 0.0);
            for (j = 0; j < 32; j++) ck_assert_float_eq(dz[j], 5.0f);
        }
        sslcv_loss_destroy(loss);
    }
    {
        /* The value itself: cosines of +-1 at the smallest temperature. */
        sslcv_loss *loss = new_info_nce(context, DBL_MIN, SSLCV_REDUCTION_SUM);
        float z[32], dz[32] = {0};
        call c;

        for (j = 0; j < 32; j++) z[j] = j % 8 < 4 ? 1.0f : -1.0f;
        for (j = 16; j < 32; j++) z[j] = -z[j];
        one_input(&c, 2, 4, 4, z, dz);
        c.loss.value = 9.0;
        FAILS(sslcv_loss_compute(loss, &c.loss), SSLCV_ERR_NUMERIC, "the value of info_nce is inf");
        ck_assert_double_eq(c.loss.value, 9.0);
        for (j = 0; j < 32; j++) ck_assert_float_eq(dz[j], 0.0f);
        sslcv_loss_destroy(loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(only_wanted_gradients_are_filled)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_info_nce(context, 0.1, SSLCV_REDUCTION_MEAN);
    float z[32], all[32], part[32];
    int i;
    call c;

    golden_input(58, 32, z);
    one_input(&c, 1, 4, 4, z, all);
    add_input(&c, 1, 4, 4, z + 16, all + 16);
    value_of(loss, &c);
    for (i = 0; i < 32; i++) part[i] = 3.0f;
    c.diffs[0].data = NULL;
    c.diffs[1].data = part + 16;
    value_of(loss, &c);
    for (i = 0; i < 16; i++) ck_assert_float_eq(part[i], 3.0f);
    for (i = 16; i < 32; i++) ck_assert_float_eq(part[i], all[i]);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* Memory is taken once: by the first call, or ahead of it. */
START_TEST(steady_calls_allocate_nothing)
{
    host h = {0, -1, 0};
    sslcv_context *context = new_context(&h, 1);
    sslcv_loss *loss = new_info_nce(context, 0.1, SSLCV_REDUCTION_MEAN);
    sslcv_loss_info info = {.struct_size = sizeof info};
    float z[64], dz[64];
    int64_t calls, bytes;
    call c;

    golden_input(59, 64, z);
    one_input(&c, 2, 8, 4, z, dz);
    OK(sslcv__loss_reserve(loss, c.inputs, 1));
    OK(sslcv_loss_get_info(loss, &info));
    bytes = info.bytes;
    ck_assert_int_ge(bytes, 2 * 64 * 4 + 16 * 16 * 4);
    calls = h.calls;
    value_of(loss, &c);
    one_input(&c, 2, 4, 4, z, dz);
    value_of(loss, &c);
    one_input(&c, 1, 8, 4, z, dz);
    add_input(&c, 1, 8, 4, z + 32, dz + 32);
    value_of(loss, &c);
    ck_assert_int_eq(h.calls, calls);
    OK(sslcv_loss_get_info(loss, &info));
    ck_assert_int_eq(info.bytes, bytes);
    FAILS(sslcv__loss_reserve(loss, c.inputs, 3), SSLCV_ERR_INVALID_ARGUMENT, "call.num_inputs is 3");
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

static sslcv_status create_and_compute(sslcv_context *context, int kind, sslcv_state **state)
{
    const int64_t labels[4] = {0, 1, 2, 3};
    float z[32], dz[32];
    sslcv_loss *loss = NULL;
    sslcv_status status;
    call c;

    golden_input(60, 32, z);
    one_input(&c, 2, 4, 4, z, dz);
    c.loss.labels = labels;
    status =
        kind ? sslcv_loss_create_cross_entropy(context, NULL, &loss) : sslcv_loss_create_info_nce(context, NULL, &loss);
    if (status == SSLCV_OK) status = sslcv_loss_compute(loss, &c.loss);
    if (status == SSLCV_OK) status = sslcv_loss_get_state(loss, state);
    ck_assert(loss != NULL || status == SSLCV_ERR_OUT_OF_MEMORY);
    sslcv_loss_destroy(loss);
    return status;
}

START_TEST(any_allocation_may_fail)
{
    int kind;

    for (kind = 0; kind < 2; kind++) {
        host h = {0, -1, 0};
        sslcv_context *context = new_context(&h, 1);
        const int64_t before = h.out;
        sslcv_state *state = NULL;
        int64_t n;
        sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;

        for (n = 0; status != SSLCV_OK; n++) {
            ck_assert_int_lt(n, 100);
            h.calls = 0;
            h.fail_at = n;
            status = create_and_compute(context, kind, &state);
            if (status == SSLCV_OK) break;
            ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
            ck_assert_ptr_null(state);
            ck_assert_int_eq(h.out, before);
        }
        ck_assert_int_gt(n, 3);
        sslcv_state_destroy(state);
        sslcv_context_destroy(context);
        ck_assert_int_eq(h.out, 0);
    }
}
END_TEST

START_TEST(same_bits_each_time)
{
    enum { COUNT = 2 * 40 * 33 };
    sslcv_context *context = new_context(NULL, 2);
    sslcv_loss *loss = new_info_nce(context, 0.1, SSLCV_REDUCTION_MEAN);
    static float z[COUNT], first[COUNT], again[COUNT];
    double value;
    int round;
    call c;

    golden_input(61, COUNT, z);
    normalize_rows(z, 2 * 40, 33);
    one_input(&c, 2, 40, 33, z, first);
    value = value_of(loss, &c);
    one_input(&c, 2, 40, 33, z, again);
    for (round = 0; round < 5; round++) {
        ck_assert_double_eq(value_of(loss, &c), value);
        ck_assert_mem_eq(again, first, sizeof first);
    }
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss");
    TCase *nce = tcase_create("info_nce"), *ce = tcase_create("cross_entropy"), *all = tcase_create("all");

    tcase_set_timeout(nce, 120);
    tcase_add_test(nce, nt_xent_has_the_published_values);
    tcase_add_test(nce, info_nce_equals_pytorch);
    tcase_add_test(nce, info_nce_identities);
    tcase_add_test(nce, one_sample_gives_nothing);
    tcase_add_test(nce, gradients_are_orthogonal_to_their_rows);
    tcase_add_test(nce, gradients_equal_finite_differences);
    tcase_add_test(nce, twin_equals_finite_differences);
    tcase_add_test(nce, info_nce_equals_its_twin);
    tcase_add_test(nce, extreme_inputs_stay_finite);
    tcase_add_test(nce, many_rows_go_in_blocks);
    suite_add_tcase(suite, nce);
    tcase_add_test(ce, cross_entropy_equals_pytorch);
    tcase_add_test(ce, cross_entropy_edges);
    suite_add_tcase(suite, ce);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, info_and_metrics);
    tcase_add_test(all, numbers_change_and_are_state);
    tcase_add_test(all, options_are_checked);
    tcase_add_test(all, bad_calls_are_refused);
    tcase_add_test(all, bad_labels_are_refused);
    tcase_add_test(all, nan_leaves_the_call_untouched);
    tcase_add_test(all, only_wanted_gradients_are_filled);
    tcase_add_test(all, steady_calls_allocate_nothing);
    tcase_add_test(all, any_allocation_may_fail);
    tcase_add_test(all, same_bits_each_time);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
