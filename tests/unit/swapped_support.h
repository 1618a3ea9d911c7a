/** What the tests of swapped prediction share: making one, its state, and its naive twin. */
#ifndef SSLCV__TESTS_SWAPPED_SUPPORT_H
#define SSLCV__TESTS_SWAPPED_SUPPORT_H

#include "loss_support.h"

static inline sslcv_swapped_options new_options(int64_t dim, int64_t prototypes)
{
    sslcv_swapped_options options;

    OK(sslcv_swapped_options_init(&options, sizeof options));
    options.dim = dim;
    options.num_prototypes = prototypes;
    options.queue_start_epoch = 0;
    options.seed = 11;
    return options;
}

static inline sslcv_loss *new_loss(sslcv_context *context, const sslcv_swapped_options *options)
{
    sslcv_loss *loss;

    OK(sslcv_loss_create_swapped(context, options, &loss));
    return loss;
}

static inline void read_values(sslcv_loss *loss, const char *name, int64_t count, float *values)
{
    loss_read(loss, name, SSLCV_STATE_VALUE, SSLCV_F32, count, values);
}

static inline void write_values(sslcv_loss *loss, const char *name, int64_t count, float *values)
{
    loss_write(loss, name, SSLCV_STATE_VALUE, SSLCV_F32, count, values);
}

static inline void one_input(loss_test *test, int64_t views, int64_t samples, int64_t dim, float *data, float *diff)
{
    memset(test, 0, sizeof *test);
    loss_test_init(test);
    loss_test_add(test, views, samples, 1, dim, data, diff);
}

static inline void unit_rows(float *values, int64_t rows, int64_t dim)
{
    int64_t i, j;

    for (i = 0; i < rows; i++) {
        double sum = 0.0;

        for (j = 0; j < dim; j++) sum += (double)values[i * dim + j] * (double)values[i * dim + j];
        for (j = 0; j < dim; j++) values[i * dim + j] = (float)((double)values[i * dim + j] / sqrt(sum));
    }
}

/* Relative to the number itself. */
#define NEAR(value, expected, tolerance) CLOSE((value) / (expected), 1.0, tolerance)

/* ---- the twin ---- */

enum { MAX_CODES = 1 << 13 };

/** Inputs: z (V, N, D), prototypes (K, D), which are taken as they are. */
typedef struct twin {
    sslcv_swapped_options options;
    int64_t views, samples;
    const float *queues; /* (|A|, queue_size, D); NULL: not used */
    int hard;
    int64_t num_codes; /* made by the first call, then constant; 0: none yet */
    double codes[MAX_CODES];
    double top1, entropy;
    int tied; /* some row's two largest scores, or codes, are too close for float to tell */
} twin;

static inline double score_of(const double *z, const double *c, int64_t dim)
{
    double dot = 0.0, sum = 0.0;
    int64_t j;

    for (j = 0; j < dim; j++) {
        dot += z[j] * c[j];
        sum += z[j] * z[j];
    }
    return dot / fmax(sqrt(sum), 1e-12);
}

/* The published loop over the rows of one view and its queue; its codes are the last rows. */
static inline void twin_codes(const twin *t, const double *z, const double *c, int64_t view, double *codes)
{
    static double q[1 << 15];
    const int64_t n = t->samples, k = t->options.num_prototypes, d = t->options.dim;
    const int64_t queued = t->queues ? t->options.queue_size : 0, rows = queued + n;
    double row[64], sum;
    int64_t i, j, step;

    ck_assert_int_le(rows * k, 1 << 15);
    for (i = 0; i < rows; i++) {
        for (j = 0; j < d && i < queued; j++) row[j] = (double)t->queues[(view * queued + i) * d + j];
        for (j = 0; j < k; j++) {
            const double s = score_of(i < queued ? row : z + (view * n + i - queued) * d, c + j * d, d);

            q[i * k + j] = exp(s / t->options.epsilon);
        }
    }
    for (step = 0; step < t->options.iterations; step++) {
        for (j = 0; j < k; j++) {
            for (sum = 0.0, i = 0; i < rows; i++) sum += q[i * k + j];
            for (i = 0; i < rows; i++) q[i * k + j] /= sum * (double)k;
        }
        for (i = 0; i < rows; i++) {
            for (sum = 0.0, j = 0; j < k; j++) sum += q[i * k + j];
            for (j = 0; j < k; j++) q[i * k + j] /= sum * (double)rows;
        }
    }
    for (i = 0; i < n; i++) {
        const double *from = q + (queued + i) * k;
        int64_t best = 0;

        for (j = 1; j < k; j++) best = from[j] > from[best] ? j : best;
        for (j = 0; j < k; j++) codes[i * k + j] = t->hard ? (double)(j == best) : from[j] * (double)rows;
    }
}

static inline void twin_entropy(twin *t)
{
    const int64_t k = t->options.num_prototypes, rows = t->num_codes / k;
    int64_t i, j;

    t->entropy = 0.0;
    for (j = 0; j < k; j++) {
        double mean = 0.0;

        for (i = 0; i < rows; i++) mean += t->codes[i * k + j] / (double)rows;
        if (mean > 0.0) t->entropy -= mean * log(mean);
    }
}

static inline int is_tied(const double *x, int64_t count, int64_t best, double margin)
{
    int64_t j;

    for (j = 0; j < count; j++) {
        if (j != best && x[best] - x[j] <= margin) return 1;
    }
    return 0;
}

static inline double twin_value(void *user, const double *const *inputs)
{
    twin *t = user;
    const int64_t n = t->samples, k = t->options.num_prototypes, d = t->options.dim, a = t->options.code_views;
    double value = 0.0, hits = 0.0;
    int64_t v, i, r, j;

    if (t->num_codes == 0) {
        ck_assert(a * n * k <= MAX_CODES && d <= 64);
        for (i = 0; i < a; i++) twin_codes(t, inputs[0], inputs[1], i, t->codes + i * n * k);
        t->num_codes = a * n * k;
        twin_entropy(t);
    }
    for (v = 0; v < t->views; v++) {
        for (r = 0; r < n; r++) {
            double s[512], sum = 0.0;
            int64_t best = 0;

            for (j = 0; j < k; j++) {
                s[j] = score_of(inputs[0] + (v * n + r) * d, inputs[1] + j * d, d);
                sum += exp(s[j] / t->options.temperature);
                best = s[j] > s[best] ? j : best;
            }
            t->tied |= is_tied(s, k, best, 1e-5);
            for (i = 0; i < a; i++) {
                const double *q = t->codes + (i * n + r) * k;
                int64_t largest = 0;

                if (i == v) continue;
                for (j = 0; j < k; j++) value -= q[j] * (s[j] / t->options.temperature - log(sum));
                for (j = 0; j < k; j++) largest = q[j] > q[largest] ? j : largest;
                t->tied |= is_tied(q, k, largest, 1e-4 * q[largest]);
                hits += largest == best;
            }
        }
    }
    t->top1 = hits / (double)(a * (t->views - 1) * n);
    return value / (double)(a * (t->views - 1) * n);
}

#endif
