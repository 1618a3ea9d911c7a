/**
 * Variance, invariance, covariance: VICReg.
 *
 * Bardes, Ponce, LeCun: VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning, 2022.
 *
 * With X_v = z_v - mean, s = sqrt(variance + e) (by N - 1), and M_v = X_v^T X_v / (N - 1), M' without its diagonal:
 *
 *     L       = a mean (z_0 - z_1)^2 + b/2 sum over v of mean over D of max(0, 1 - s) + c/D sum over v of |M'_v|^2
 *     dL/dz_0 = 2a/(N D) (z_0 - z_1) - b/(2 D (N - 1)) X_0 diag([s < 1] / s) + 4c/(D (N - 1)) X_0 M'_0
 *
 * and dL/dz_1 likewise. The columns of X sum to 0, so the mean's own gradient is 0. Sum and products with M' are
 * correlation.h's, in f32 with sums of squares in double; the rest is in double. score() leaves
 *
 *     views[v] = X_v,  diffs[v] = X_v (N - 1) M'_v
 *     by_view = sums of squares of the columns of X_v,  by_column = sums of (z_0 - z_1)^2
 */
#include "loss/correlation.h"

#include "core/options.h"
#include "core/simd.h"
#include "nn/kernels.h"

#include <float.h>
#include <math.h>

enum { WEIGHT_INVARIANCE = 0, WEIGHT_VARIANCE = 1, WEIGHT_COVARIANCE = 2 };
enum { INVARIANCE = 0, VARIANCE = 1, COVARIANCE = 2 };

static const double variance_floor = 1e-4;

/* ---- leaves ---- */

SSLCV__CLONES static void centre(const float *x, const double *mean, int64_t count, float *y)
{
    int64_t j;

    for (j = 0; j < count; j++) y[j] = (float)((double)x[j] - mean[j]);
}

SSLCV__CLONES static void add_distances(const float *x, const float *y, int64_t count, double *sums)
{
    int64_t j;

    for (j = 0; j < count; j++) {
        const double d = (double)x[j] - (double)y[j];

        sums[j] += d * d;
    }
}

/** Of the terms of the gradient; that of the variance differs by column. */
typedef struct factors {
    double invariance, covariance, scale;
} factors;

SSLCV__CLONES static void differentiate_part(const float *x, const float *y, const float *centred, const float *diff,
                                             const factors *f, const double *variance, int64_t count, float *out)
{
    const double invariance = f->invariance, covariance = f->covariance, scale = f->scale;
    int64_t j;

    for (j = 0; j < count; j++) {
        const double apart = (double)x[j] - (double)y[j];

        out[j] =
            (float)(scale * (invariance * apart + variance[j] * (double)centred[j] + covariance * (double)diff[j]));
    }
}

/* ---- some columns ---- */

static void prepare_columns(const sslcv__loss_input *in, const sslcv__correlation_memory *work, int64_t from,
                            int64_t count)
{
    const int64_t n = in->samples, d = in->dim;
    double mean[SSLCV__COLUMNS], *distances = work->by_column + from;
    int64_t v, i, j;

    for (v = 0; v < 2; v++) {
        const float *x = in->data + v * n * d;

        sslcv__column_moments(x, n, d, from, count, mean, work->by_view + v * d + from);
        for (i = 0; i < n; i++) centre(x + i * d + from, mean, count, work->views[v] + i * work->stride + from);
    }
    for (j = 0; j < count; j++) distances[j] = 0.0;
    for (i = 0; i < n; i++) {
        add_distances(in->data + i * d + from, in->data + (n + i) * d + from, count, distances);
    }
}

static void differentiate_columns(const sslcv__loss_job *job, const sslcv__correlation_memory *work, const factors *f,
                                  int64_t v, double weight, int64_t from, int64_t count)
{
    const sslcv__loss_input *in = &job->inputs[0];
    const int64_t n = in->samples, d = in->dim, other = (1 - v) * n * d;
    const double degrees = (double)(n - 1);
    double variance[SSLCV__COLUMNS];
    int64_t i, j;

    for (j = 0; j < count; j++) {
        const double deviation = sqrt(work->by_view[v * d + from + j] / degrees + variance_floor);

        variance[j] = deviation < 1.0 ? -weight / (2.0 * (double)d * degrees * deviation) : 0.0;
    }
    for (i = 0; i < n; i++) {
        const int64_t at = i * d + from, own = v * n * d + at, ours = i * work->stride + from;

        differentiate_part(in->data + own, in->data + other + at, work->views[v] + ours, work->diffs[v] + ours, f,
                           variance, count, in->diff + own);
    }
}

/* ---- all of them ---- */

/* Embeddings so long that products of three of them leave float: the value may still be finite, in double. */
static sslcv_status check_diff(const sslcv__correlation_memory *work, int64_t v, int64_t n, int64_t d)
{
    double longest = 0.0;
    int64_t j;

    for (j = 0; j < d; j++) longest = fmax(longest, work->by_view[v * d + j]);
    if (longest * sqrt(longest) * (double)n * (double)d < 1e37) return SSLCV_OK;
    for (j = 0; j < n && sslcv__all_finite(work->diffs[v] + j * work->stride, d); j++) continue;
    if (j == n) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_NUMERIC, "vicreg's gradient is too large: inputs[0] has a variance of %g",
                       longest / (double)(n - 1));
}

static sslcv_status correlate(const sslcv__loss_job *job, const sslcv__correlation_memory *work, double *sum)
{
    const int64_t n = job->samples, d = job->inputs[0].dim;
    int64_t v;

    *sum = 0.0;
    for (v = 0; v < 2; v++) {
        const sslcv__correlation c = {
            work->views[v], work->views[v], job->wants_diff ? work->diffs[v] : NULL, NULL, work->by_view + v * d, n, d,
            work->blocks};
        double part;
        sslcv_status status = sslcv__correlate(&c, &part);

        if (status == SSLCV_OK && job->wants_diff) status = check_diff(work, v, n, d);
        if (status != SSLCV_OK) return status;
        *sum += part;
    }
    return SSLCV_OK;
}

static sslcv_status score(const sslcv_loss *loss, sslcv__loss_job *job)
{
    const sslcv__loss_input *in = &job->inputs[0];
    const int64_t d = in->dim;
    const double degrees = (double)(in->samples - 1);
    double distance = 0.0, hinge = 0.0, covariance;
    const sslcv__correlation_memory work = sslcv__correlation_memory_of(job);
    int64_t j;
    sslcv_status status;

#pragma omp parallel for schedule(static)
    for (j = 0; j < d; j += SSLCV__COLUMNS) {
        prepare_columns(in, &work, j, d - j < SSLCV__COLUMNS ? d - j : SSLCV__COLUMNS);
    }
    status = correlate(job, &work, &covariance);
    if (status != SSLCV_OK) return status;
    for (j = 0; j < d; j++) distance += work.by_column[j];
    for (j = 0; j < 2 * d; j++) hinge += fmax(0.0, 1.0 - sqrt(work.by_view[j] / degrees + variance_floor));
    job->metrics[INVARIANCE] = distance / ((double)in->samples * (double)d);
    job->metrics[VARIANCE] = 0.5 * hinge / (double)d;
    job->metrics[COVARIANCE] = covariance / (degrees * degrees * (double)d);
    job->value = *loss->numbers[WEIGHT_INVARIANCE] * job->metrics[INVARIANCE] +
                 *loss->numbers[WEIGHT_VARIANCE] * job->metrics[VARIANCE] +
                 *loss->numbers[WEIGHT_COVARIANCE] * job->metrics[COVARIANCE];
    return SSLCV_OK;
}

static void differentiate(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const int64_t d = job->inputs[0].dim, parts = (d + SSLCV__COLUMNS - 1) / SSLCV__COLUMNS;
    const double samples = (double)job->samples, degrees = samples - 1.0;
    factors f = {.scale = job->scale};
    const sslcv__correlation_memory work = sslcv__correlation_memory_of(job);
    int64_t p;

    f.invariance = 2.0 * *loss->numbers[WEIGHT_INVARIANCE] / (samples * (double)d);
    f.covariance = 4.0 * *loss->numbers[WEIGHT_COVARIANCE] / (degrees * degrees * (double)d);
#pragma omp parallel for schedule(static)
    for (p = 0; p < 2 * parts; p++) {
        const int64_t from = p % parts * SSLCV__COLUMNS;

        differentiate_columns(job, &work, &f, p / parts, *loss->numbers[WEIGHT_VARIANCE], from,
                              d - from < SSLCV__COLUMNS ? d - from : SSLCV__COLUMNS);
    }
}

/* ---- creation ---- */

static const sslcv__loss_number numbers[] = {
    [WEIGHT_INVARIANCE] = {"weight_invariance", 0.0, (double)FLT_MAX, "0 .. 3.4e38"},
    [WEIGHT_VARIANCE] = {"weight_variance", 0.0, (double)FLT_MAX, "0 .. 3.4e38"},
    [WEIGHT_COVARIANCE] = {"weight_covariance", 0.0, (double)FLT_MAX, "0 .. 3.4e38"}};
static const char *const metrics[] = {
    [INVARIANCE] = "invariance", [VARIANCE] = "variance", [COVARIANCE] = "covariance"};

static const sslcv__loss_kind kind = {
    .name = "vicreg",
    .numbers = numbers,
    .num_numbers = 3,
    .metrics = metrics,
    .num_metrics = 3,
    .min_inputs = 1,
    .max_inputs = 1,
    .gradient_inputs = 1,
    .check = sslcv__correlation_check,
    .memory_bytes = sslcv__correlation_bytes,
    .score = score,
    .differentiate = differentiate,
};

static const sslcv_vicreg_options defaults = {
    .struct_size = sizeof defaults, .weight_invariance = 25.0, .weight_variance = 25.0, .weight_covariance = 1.0};

sslcv_status sslcv_vicreg_options_init(sslcv_vicreg_options *options, size_t struct_size)
{
    return sslcv__options_init("vicreg_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

sslcv_status sslcv_loss_create_vicreg(sslcv_context *context, const sslcv_vicreg_options *options, sslcv_loss **out)
{
    sslcv_vicreg_options o = defaults;
    sslcv_loss *loss = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!out) return sslcv__null("loss");
    SSLCV__TRY(sslcv__options_read("vicreg_options", options, sizeof defaults, &o, sizeof o));
    SSLCV__TRY(sslcv__loss_create(context, &kind, sizeof *loss, &loss));
    SSLCV__TRY(sslcv__loss_set_number(loss, WEIGHT_INVARIANCE, o.weight_invariance));
    SSLCV__TRY(sslcv__loss_set_number(loss, WEIGHT_VARIANCE, o.weight_variance));
    SSLCV__TRY(sslcv__loss_set_number(loss, WEIGHT_COVARIANCE, o.weight_covariance));
    *out = loss;
    loss = NULL;
end:
    sslcv__release(loss);
    return status;
}
