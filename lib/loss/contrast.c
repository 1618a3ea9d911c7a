/**
 * W, the gradient with respect to the similarities times the temperature, is made in blocks of rows, so that memory
 * grows with the batch and not with its square:
 *
 *             columns                      for each block: S = A_b C^T     (gemm)
 *           +--------------+                                l, W from S    row by row, in place
 *     rows  | block 0      |                                dA_b += W C    (gemm)
 *           | block 1      |                                dC += W^T A_b  (gemm)
 *           +--------------+
 *
 * Rows have the exponentials exp(scale * (s - top)) with their own maximum as top. Where one block holds all of
 * NT-Xent and the temperature is not very low, top is 1 for all rows, the largest cosine there is. The exponentials
 * E are then as symmetric as the cosines, and with the sums Z_i of their rows
 *
 *     (W + W^T)_ij = E_ij (1 / Z_i + 1 / Z_j) - 2 [j is a positive of i] / |P_i|
 *
 * comes from row i alone: one gemm does the work of two.
 */
#include "loss/contrast.h"

#include "core/simd.h"
#include "dnn/dnn.h"
#include "loss/loss.h"
#include "nn/softmax.h"

#include <float.h>
#include <math.h>

enum { BLOCK_FLOATS = 1 << 22 }; /* 16 MiB of similarities */

/* A common top may leave exponentials of no less than exp(-60), whose inverse sums are far from overflow. */
static const double common_top_scale = 30.0;

/** What one anchor gives. */
typedef struct row_result {
    double loss;
    double sum;    /* of exponentials */
    int64_t first; /* 1: a positive is ranked before all others */
} row_result;

typedef struct workspace {
    float *similarities; /* (block, columns), then exponentials, then W, in place */
    row_result *results; /* (block) */
    float *inverse;      /* (columns): 1 / sum */
    int64_t block;       /* rows at a time */
} workspace;

static int lay_out(void *base, int64_t *offset, int64_t rows, int64_t columns, workspace *work)
{
    work->block = BLOCK_FLOATS / columns;
    if (work->block < 1) work->block = 1;
    if (work->block > rows) work->block = rows;
    return sslcv__loss_place(base, offset, work->block * columns, sizeof(float), &work->similarities) &&
           sslcv__loss_place(base, offset, work->block, sizeof(row_result), &work->results) &&
           sslcv__loss_place(base, offset, columns, sizeof(float), &work->inverse);
}

int sslcv__contrast_place(void *base, int64_t *offset, int64_t rows, int64_t columns, void **memory)
{
    workspace work;

    if (base) *memory = (char *)base + *offset;
    return lay_out(base, offset, rows, columns, &work);
}

/* ---- one anchor ---- */

typedef struct positives {
    double mean;
    int64_t count;
    float best;
} positives;

static positives find_positives(const sslcv__contrast *c, int64_t row, const float *s)
{
    positives found = {0.0, 0, -FLT_MAX};
    int64_t j;

    for (j = row % c->samples; j < c->columns; j += c->samples) {
        if (c->excludes_self && j == row) continue;
        found.mean += (double)s[j];
        found.best = fmaxf(found.best, s[j]);
        found.count++;
    }
    found.mean /= (double)found.count;
    return found;
}

/* Columns at least as similar as the best positive that are no positives themselves. */
static int64_t count_ahead(const sslcv__contrast *c, int64_t row, const float *s, float best)
{
    int64_t ahead = 0, j;

#pragma omp simd reduction(+ : ahead)
    for (j = 0; j < c->columns; j++) ahead += s[j] >= best;
    for (j = row % c->samples; j < c->columns; j += c->samples) ahead -= s[j] >= best;
    return ahead;
}

/* Of exponentials, so that what a positive has lost to rounding it has lost in the sum too: no loss is below 0. */
static double mean_log_of_positives(const sslcv__contrast *c, int64_t row, const float *e, int64_t count)
{
    double sum = 0.0;
    int64_t j;

    for (j = row % c->samples; j < c->columns; j += c->samples) {
        if (j != row) sum += log((double)e[j]);
    }
    return sum / (double)count;
}

/* s: similarities of one anchor, then their exponentials. common: top is 1. */
static void score_row(const sslcv__contrast *c, int64_t row, int common, float *s, row_result *result)
{
    positives positive;
    float top;

    if (c->excludes_self) s[row] = -INFINITY;
    positive = find_positives(c, row, s);
    top = sslcv__row_max(s, c->columns);
    result->first = positive.best >= top && count_ahead(c, row, s, positive.best) == 0;
    if (common) top = 1.0f;
    result->sum = sslcv__row_exp(s, c->columns, top, (float)fmax(FLT_MIN, fmin(c->scale, FLT_MAX)), s);
    result->loss = log(result->sum);
    if (common) {
        result->loss -= mean_log_of_positives(c, row, s, positive.count);
    } else {
        result->loss += ((double)top - positive.mean) * c->scale;
    }
}

/* Exponentials become W. What is left of a positive is near 0 at the optimum, so the difference is taken in double. */
static void weigh_row(const sslcv__contrast *c, int64_t row, const row_result *result, float *s)
{
    const double share = 1.0 / (double)(c->columns / c->samples - c->excludes_self);
    int64_t j;

    for (j = row % c->samples; j < c->columns; j += c->samples) {
        if (!c->excludes_self || j != row) s[j] = (float)((double)s[j] - share * result->sum);
    }
    sslcv__row_scale(s, c->columns, (float)(1.0 / result->sum));
}

SSLCV__CLONES static void scale_columns(float *s, int64_t count, const float *inverse, float own)
{
    int64_t j;

    for (j = 0; j < count; j++) s[j] *= inverse[j] + own;
}

/* Exponentials become W + W^T. */
static void weigh_row_both(const sslcv__contrast *c, int64_t row, const row_result *results, const float *inverse,
                           float *s)
{
    const double share = 1.0 / (double)(c->columns / c->samples - 1), sum = results[row].sum;
    int64_t j;

    for (j = row % c->samples; j < c->columns; j += c->samples) {
        const double e = (double)s[j], other = results[j].sum;
        const double w = (e - share * sum) / sum + (e - share * other) / other;

        if (j != row) s[j] = (float)(w / (1.0 / sum + 1.0 / other));
    }
    scale_columns(s, c->columns, inverse, inverse[row]);
}

/* ---- blocks ---- */

/* Very low temperatures give large gradients, not infinite ones, of which NaN would come. */
static float factor_of(const sslcv__contrast *c)
{
    return (float)fmax(-1e30, fmin(c->weight * c->scale, 1e30));
}

static sslcv_status add_both(const sslcv__contrast *c, const workspace *work)
{
    const int64_t rows = c->rows, d = c->dim;
    int64_t i;

    for (i = 0; i < rows; i++) work->inverse[i] = (float)(1.0 / work->results[i].sum);
#pragma omp parallel for schedule(static)
    for (i = 0; i < rows; i++) {
        weigh_row_both(c, i, work->results, work->inverse, work->similarities + i * rows);
    }
    return sslcv__gemm(0, 0, rows, d, rows, factor_of(c), work->similarities, rows, c->candidates, d, 1.0f,
                       c->diff_anchors, d);
}

static sslcv_status add_each(const sslcv__contrast *c, int64_t from, int64_t count, const workspace *work)
{
    const int64_t columns = c->columns, d = c->dim;
    const float factor = factor_of(c);
    float *w = work->similarities;
    sslcv_status status;
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < count; i++) weigh_row(c, from + i, &work->results[i], w + i * columns);
    status =
        sslcv__gemm(0, 0, count, d, columns, factor, w, columns, c->candidates, d, 1.0f, c->diff_anchors + from * d, d);
    if (status != SSLCV_OK) return status;
    return sslcv__gemm(1, 0, columns, d, count, factor, w, columns, c->anchors + from * d, d, 1.0f, c->diff_candidates,
                       d);
}

static sslcv_status run_block(const sslcv__contrast *c, int64_t from, int64_t count, const workspace *work,
                              sslcv__contrast_sums *sums)
{
    const int64_t columns = c->columns, d = c->dim;
    const int common = c->excludes_self && count == columns && c->scale <= common_top_scale;
    float *s = work->similarities;
    sslcv_status status;
    int64_t i;

    status = sslcv__gemm(0, 1, count, columns, d, 1.0f, c->anchors + from * d, d, c->candidates, d, 0.0f, s, columns);
    if (status != SSLCV_OK) return status;
#pragma omp parallel for schedule(static)
    for (i = 0; i < count; i++) score_row(c, from + i, common, s + i * columns, &work->results[i]);
    for (i = 0; i < count; i++) {
        sums->loss += work->results[i].loss;
        sums->first += work->results[i].first;
    }
    sums->anchors += count;
    if (!c->diff_anchors) return SSLCV_OK;
    return common ? add_both(c, work) : add_each(c, from, count, work);
}

sslcv_status sslcv__contrast_run(const sslcv__contrast *c, void *memory, sslcv__contrast_sums *sums)
{
    workspace work;
    int64_t offset = 0, from;
    sslcv_status status = SSLCV_OK;

    if (!lay_out(memory, &offset, c->rows, c->columns, &work)) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "no memory was planned");
    }
    for (from = 0; from < c->rows && status == SSLCV_OK; from += work.block) {
        const int64_t left = c->rows - from;

        status = run_block(c, from, left < work.block ? left : work.block, &work, sums);
    }
    return status;
}
