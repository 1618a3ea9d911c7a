/**
 * Redundancy reduction: Barlow Twins.
 *
 * Zbontar, Jing, Misra, LeCun, Deny: Barlow Twins: Self-Supervised Learning via Redundancy Reduction, 2021.
 *
 * With Z_v = (z_v - mean) r, r = 1 / sqrt(variance + e), column by column, and C = Z_0^T Z_1 / N:
 *
 *     L        = sum over i of (C_ii - 1)^2 + k sum over i != j of C_ij^2
 *     dL/dZ_0  = 2/N (Z_1 C'^T k + Z_1 diag(C_ii - 1))      C': C with a diagonal of 0; Z_1 likewise with C'
 *     dL/dz    = r (g - mean(g) - Z mean(g Z)),  g = dL/dZ  each column sums to 0
 *
 * The last line holds with e too, as Z has it in r. Sum and products with C' are correlation.h's, in f32 with sums of
 * squares in double; moments and diagonal are in double. score() leaves Z and N^2 times the products with C':
 *
 *     views[v] = Z_v,  by_view = r,  by_column = N C_ii,  diffs[0] = Z_1 (N C')^T,  diffs[1] = Z_0 (N C')
 */
#include "loss/correlation.h"

#include "core/options.h"
#include "core/simd.h"

#include <float.h>
#include <math.h>

enum { OFF_DIAGONAL_WEIGHT = 0 };
enum { ON_DIAGONAL = 0, OFF_DIAGONAL = 1 };

static const double variance_floor = 1e-5;

/* ---- leaves ---- */

SSLCV__CLONES static void standardize(const float *x, const double *mean, const double *scale, int64_t count, float *y)
{
    int64_t j;

    for (j = 0; j < count; j++) y[j] = (float)(((double)x[j] - mean[j]) * scale[j]);
}

SSLCV__CLONES static void add_products(const float *x, const float *y, int64_t count, double *sums)
{
    int64_t j;

    for (j = 0; j < count; j++) sums[j] += (double)x[j] * (double)y[j];
}

/* diff <- dL/dZ of one row; adds up what its mean and that of its product with Z need. */
SSLCV__CLONES static void complete(const float *unit, const float *other, const double *on_diagonal, double factor,
                                   int64_t count, float *diff, double *sums, double *products)
{
    int64_t j;

    for (j = 0; j < count; j++) {
        const double g = factor * (double)diff[j] + on_diagonal[j] * (double)other[j];

        diff[j] = (float)g;
        sums[j] += g;
        products[j] += g * (double)unit[j];
    }
}

SSLCV__CLONES static void finish(const float *unit, const float *diff, const double *mean, const double *product,
                                 const double *scale, int64_t count, float *out)
{
    int64_t j;

    for (j = 0; j < count; j++) {
        out[j] = (float)(scale[j] * ((double)diff[j] - mean[j] - (double)unit[j] * product[j]));
    }
}

/* ---- some columns ---- */

static void prepare_columns(const sslcv__loss_input *in, const sslcv__correlation_memory *work, int64_t from,
                            int64_t count)
{
    const int64_t n = in->samples, d = in->dim;
    double mean[SSLCV__COLUMNS], *diagonal = work->by_column + from;
    int64_t v, i, j;

    for (v = 0; v < 2; v++) {
        const float *x = in->data + v * n * d;
        double *scale = work->by_view + v * d + from;

        sslcv__column_moments(x, n, d, from, count, mean, scale);
        for (j = 0; j < count; j++) scale[j] = 1.0 / sqrt(scale[j] / (double)n + variance_floor);
        for (i = 0; i < n; i++) {
            standardize(x + i * d + from, mean, scale, count, work->views[v] + i * work->stride + from);
        }
    }
    for (j = 0; j < count; j++) diagonal[j] = 0.0;
    for (i = 0; i < n; i++) {
        const int64_t at = i * work->stride + from;

        add_products(work->views[0] + at, work->views[1] + at, count, diagonal);
    }
}

static void differentiate_columns(const sslcv__loss_job *job, const sslcv__correlation_memory *work, double weight,
                                  int64_t v, int64_t from, int64_t count)
{
    const int64_t n = job->samples, d = job->inputs[0].dim, stride = work->stride;
    const float *unit = work->views[v] + from, *other = work->views[1 - v] + from;
    const double samples = (double)n;
    double on_diagonal[SSLCV__COLUMNS], scale[SSLCV__COLUMNS], mean[SSLCV__COLUMNS], product[SSLCV__COLUMNS];
    float *diff = work->diffs[v] + from, *out = job->inputs[0].diff + v * n * d + from;
    int64_t i, j;

    for (j = 0; j < count; j++) {
        on_diagonal[j] = 2.0 * (work->by_column[from + j] / samples - 1.0) / samples;
        scale[j] = work->by_view[v * d + from + j] * job->scale;
        mean[j] = product[j] = 0.0;
    }
    for (i = 0; i < n; i++) {
        complete(unit + i * stride, other + i * stride, on_diagonal, 2.0 * weight / (samples * samples), count,
                 diff + i * stride, mean, product);
    }
    for (j = 0; j < count; j++) {
        mean[j] /= samples;
        product[j] /= samples;
    }
    for (i = 0; i < n; i++) {
        finish(unit + i * stride, diff + i * stride, mean, product, scale, count, out + i * d);
    }
}

/* ---- all of them ---- */

static sslcv_status score(const sslcv_loss *loss, sslcv__loss_job *job)
{
    const sslcv__loss_input *in = &job->inputs[0];
    const double samples = (double)job->samples;
    sslcv__correlation correlation = {.rows = in->samples, .dim = in->dim};
    double on = 0.0, off;
    const sslcv__correlation_memory work = sslcv__correlation_memory_of(job);
    int64_t j;
    sslcv_status status;

#pragma omp parallel for schedule(static)
    for (j = 0; j < in->dim; j += SSLCV__COLUMNS) {
        prepare_columns(in, &work, j, in->dim - j < SSLCV__COLUMNS ? in->dim - j : SSLCV__COLUMNS);
    }
    correlation.a = work.views[0];
    correlation.b = work.views[1];
    correlation.diff_a = job->wants_diff ? work.diffs[0] : NULL;
    correlation.diff_b = work.diffs[1];
    correlation.diagonal = work.by_column;
    correlation.blocks = work.blocks;
    status = sslcv__correlate(&correlation, &off);
    if (status != SSLCV_OK) return status;
    off /= samples * samples;
    for (j = 0; j < in->dim; j++) {
        const double missing = work.by_column[j] / samples - 1.0;

        on += missing * missing;
    }
    job->metrics[ON_DIAGONAL] = on;
    job->metrics[OFF_DIAGONAL] = off;
    job->value = on + *loss->numbers[OFF_DIAGONAL_WEIGHT] * off;
    return SSLCV_OK;
}

static void differentiate(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const double weight = *loss->numbers[OFF_DIAGONAL_WEIGHT];
    const int64_t d = job->inputs[0].dim, parts = (d + SSLCV__COLUMNS - 1) / SSLCV__COLUMNS;
    const sslcv__correlation_memory work = sslcv__correlation_memory_of(job);
    int64_t p;

#pragma omp parallel for schedule(static)
    for (p = 0; p < 2 * parts; p++) {
        const int64_t from = p % parts * SSLCV__COLUMNS;

        differentiate_columns(job, &work, weight, p / parts, from,
                              d - from < SSLCV__COLUMNS ? d - from : SSLCV__COLUMNS);
    }
}

/* ---- creation ---- */

static const sslcv__loss_number numbers[] = {
    [OFF_DIAGONAL_WEIGHT] = {"off_diagonal", 0.0, (double)FLT_MAX, "0 .. 3.4e38"}};
static const char *const metrics[] = {[ON_DIAGONAL] = "on_diagonal", [OFF_DIAGONAL] = "off_diagonal"};

static const sslcv__loss_kind kind = {
    .name = "barlow_twins",
    .numbers = numbers,
    .num_numbers = 1,
    .metrics = metrics,
    .num_metrics = 2,
    .min_inputs = 1,
    .max_inputs = 1,
    .gradient_inputs = 1,
    .check = sslcv__correlation_check,
    .memory_bytes = sslcv__correlation_bytes,
    .score = score,
    .differentiate = differentiate,
};

static const sslcv_barlow_twins_options defaults = {.struct_size = sizeof defaults, .off_diagonal = 0.0051};

sslcv_status sslcv_barlow_twins_options_init(sslcv_barlow_twins_options *options, size_t struct_size)
{
    return sslcv__options_init("barlow_twins_options", options, struct_size, sizeof defaults, &defaults,
                               sizeof defaults);
}

sslcv_status sslcv_loss_create_barlow_twins(sslcv_context *context, const sslcv_barlow_twins_options *options,
                                            sslcv_loss **out)
{
    sslcv_barlow_twins_options o = defaults;
    sslcv_loss *loss = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!out) return sslcv__null("loss");
    SSLCV__TRY(sslcv__options_read("barlow_twins_options", options, sizeof defaults, &o, sizeof o));
    SSLCV__TRY(sslcv__loss_create(context, &kind, sizeof *loss, &loss));
    SSLCV__TRY(sslcv__loss_set_number(loss, OFF_DIAGONAL_WEIGHT, o.off_diagonal));
    *out = loss;
    loss = NULL;
end:
    sslcv__release(loss);
    return status;
}
