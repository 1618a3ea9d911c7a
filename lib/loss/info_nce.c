/**
 * InfoNCE within a batch: NT-Xent on one array, one-directional InfoNCE on two.
 *
 * Oord, Li, Vinyals: Representation Learning with Contrastive Predictive Coding, 2018.
 * Chen, Kornblith, Norouzi, Hinton: A Simple Framework for Contrastive Learning of Visual Representations, 2020.
 *
 * Let a_r be the unit rows of the anchors, c_j those of the candidates, t the temperature, s_rj = a_r . c_j / t, and
 * C_r the candidates of anchor r, of which the P_r show the same sample. The loss of one anchor is
 *
 *     l_r = log sum over j in C_r of exp(s_rj) - mean over p in P_r of s_rp
 *
 * and L = sum over r of w_r l_r, where the weights w_r make the means (or the sum over views) of losses.h. With
 * q_rj = softmax of s_r over C_r:
 *
 *     dL/ds_rj = w_r (q_rj - [j in P_r] / |P_r|)        each row sums to 0
 *     dL/da_r  = 1/t sum over j of dL/ds_rj c_j         W C   with W = dL/ds / t, (rows, columns)
 *     dL/dc_j  = 1/t sum over r of dL/ds_rj a_r         W^T A
 *
 * and back through the unit length by rows.h. In NT-Xent anchors and candidates are one array Z, so dL/dZ has both
 * parts, (W + W^T) Z. Row r is then no candidate of itself.
 *
 * W is made in blocks of rows, so that memory grows with V * N and not with its square:
 *
 *             columns                      for each block: S = A_b C^T     (gemm)
 *           +--------------+                                l, W from S    row by row, in place
 *     rows  | block 0      |                                dA_b += W C    (gemm)
 *           | block 1      |                                dC += W^T A_b  (gemm)
 *           +--------------+
 *
 * The maximum is subtracted before the exponential, sums are in double and in fixed order.
 */
#include "loss/loss.h"

#include "core/checked.h"
#include "core/options.h"
#include "dnn/dnn.h"
#include "nn/rows.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { TEMPERATURE = 0 };
enum { TOP1 = 0, MI_BOUND = 1 };
enum { QUERIES = 0, KEYS = 1 };
enum { BLOCK_FLOATS = 1 << 22 }; /* 16 MiB of similarities */

typedef struct info_nce {
    sslcv_loss loss;
    int32_t reduction;
} info_nce;

/** What one anchor gives. */
typedef struct row_result {
    double loss;
    int64_t first; /* 1: a positive is ranked before all others */
} row_result;

/** Working memory of a job, one block:  unit[2] | diff[2] | norms[2] | similarities | results */
typedef struct workspace {
    float *unit[2]; /* inputs with rows of unit length: (V, N, D) and (W, N, D) */
    float *diff[2]; /* gradients with respect to them */
    double *norms[2];
    float *similarities; /* (block, columns), then W in place */
    row_result *results; /* (block) */
    int64_t block;       /* rows at a time */
} workspace;

/** Some anchors against some candidates. Columns c, c + samples ... show sample c. */
typedef struct contrast {
    const float *anchors;    /* (rows, dim) */
    const float *candidates; /* (columns, dim) */
    float *diff_anchors;     /* added to; NULL: no gradients */
    float *diff_candidates;
    int64_t rows, columns, samples, dim;
    int excludes_self; /* 1: column r is anchor r */
    double inverse_temperature;
    double weight; /* of each anchor in the gradient */
} contrast;

/** Sums over all anchors scored. */
typedef struct totals {
    double loss;
    int64_t first, anchors;
} totals;

/* ---- one anchor ---- */

typedef struct positives {
    double mean;
    int64_t count;
    float best;
} positives;

static positives find_positives(const contrast *c, int64_t row, const float *s)
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
static int64_t count_ahead(const contrast *c, int64_t row, const float *s, float best)
{
    int64_t ahead = 0, j;

#pragma omp simd reduction(+ : ahead)
    for (j = 0; j < c->columns; j++) ahead += s[j] >= best;
    for (j = row % c->samples; j < c->columns; j += c->samples) ahead -= s[j] >= best;
    return ahead;
}

/* s: similarities of one anchor; out: its row of W. */
static void score_row(const contrast *c, int64_t row, float *s, row_result *result)
{
    const double scale = c->inverse_temperature;
    positives positive;
    float top = -FLT_MAX;
    double sum = 0.0, factor;
    int64_t j;

    if (c->excludes_self) s[row] = -INFINITY;
    positive = find_positives(c, row, s);
    result->first = count_ahead(c, row, s, positive.best) == 0;

#pragma omp simd reduction(max : top)
    for (j = 0; j < c->columns; j++) top = s[j] > top ? s[j] : top;
    for (j = 0; j < c->columns; j++) {
        s[j] = expf((float)((double)(s[j] - top) * scale));
        sum += (double)s[j];
    }
    result->loss = log(sum) + ((double)top - positive.mean) * scale;
    if (!c->diff_anchors) return;

    /* sum * (q - 1 / |P|) first, in double, as both are close to 1 near the optimum. */
    for (j = row % c->samples; j < c->columns; j += c->samples) {
        if (c->excludes_self && j == row) continue;
        s[j] = (float)((double)s[j] - sum / (double)positive.count);
    }
    factor = c->weight * scale / sum;
#pragma omp simd
    for (j = 0; j < c->columns; j++) s[j] = (float)((double)s[j] * factor);
}

/* ---- blocks ---- */

static sslcv_status add_gradients(const contrast *c, int64_t from, int64_t count, const float *w)
{
    const int64_t d = c->dim;
    const sslcv_status status = sslcv__gemm(0, 0, count, d, c->columns, 1.0f, w, c->columns, c->candidates, d, 1.0f,
                                            c->diff_anchors + from * d, d);

    if (status != SSLCV_OK) return status;
    return sslcv__gemm(1, 0, c->columns, d, count, 1.0f, w, c->columns, c->anchors + from * d, d, 1.0f,
                       c->diff_candidates, d);
}

static sslcv_status score_block(const contrast *c, int64_t from, int64_t count, const workspace *work, totals *sums)
{
    const int64_t d = c->dim;
    float *s = work->similarities;
    sslcv_status status;
    int64_t i;

    status =
        sslcv__gemm(0, 1, count, c->columns, d, 1.0f, c->anchors + from * d, d, c->candidates, d, 0.0f, s, c->columns);
    if (status != SSLCV_OK) return status;
#pragma omp parallel for schedule(static)
    for (i = 0; i < count; i++) score_row(c, from + i, s + i * c->columns, &work->results[i]);
    for (i = 0; i < count; i++) {
        sums->loss += work->results[i].loss;
        sums->first += work->results[i].first;
    }
    sums->anchors += count;
    return c->diff_anchors ? add_gradients(c, from, count, s) : SSLCV_OK;
}

static sslcv_status score_all(const contrast *c, const workspace *work, totals *sums)
{
    sslcv_status status = SSLCV_OK;
    int64_t from;

    for (from = 0; from < c->rows && status == SSLCV_OK; from += work->block) {
        const int64_t left = c->rows - from;

        status = score_block(c, from, left < work->block ? left : work->block, work, sums);
    }
    return status;
}

/* ---- memory ---- */

static int64_t rows_of(const sslcv__loss_input *in)
{
    return in->views * in->samples;
}

/* Place one array behind the last, at a multiple of 64 bytes; base NULL only counts. */
static int take(char *base, int64_t *offset, int64_t count, int64_t size, void *array)
{
    int64_t bytes, end;

    if (!sslcv__multiply(count, size, &bytes) || !sslcv__add(*offset, bytes, &end) || !sslcv__add(end, 63, &end)) {
        return 0;
    }
    if (base) *(void **)array = base + *offset;
    *offset = end / 64 * 64;
    return 1;
}

static sslcv_status lay_out(const sslcv__loss_job *job, char *base, workspace *work, int64_t *bytes)
{
    const int64_t samples = job->inputs[QUERIES].samples;
    const int64_t rows = job->num_inputs == 1 ? rows_of(&job->inputs[QUERIES]) : samples;
    int64_t i;
    int fits = 1;

    *bytes = 0;
    work->block = BLOCK_FLOATS / rows;
    if (work->block < 1) work->block = 1;
    if (work->block > rows) work->block = rows;
    for (i = 0; i < job->num_inputs; i++) {
        const sslcv__loss_input *in = &job->inputs[i];
        const int64_t count = rows_of(in) * in->dim;

        fits = fits && take(base, bytes, count, sizeof(float), &work->unit[i]) &&
               take(base, bytes, count, sizeof(float), &work->diff[i]) &&
               take(base, bytes, rows_of(in), sizeof(double), &work->norms[i]);
    }
    fits = fits && take(base, bytes, work->block * rows, sizeof(float), &work->similarities) &&
           take(base, bytes, work->block, sizeof(row_result), &work->results);
    return fits ? SSLCV_OK
                : sslcv__fail(SSLCV_ERR_LIMIT, "info_nce of %lld rows does not fit in memory", (long long)rows);
}

static sslcv_status memory_bytes(const sslcv_loss *loss, const sslcv__loss_job *job, int64_t *bytes)
{
    workspace work = {.block = 0};

    (void)loss;
    return lay_out(job, NULL, &work, bytes);
}

/* ---- the two forms ---- */

static sslcv_status check(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const sslcv__loss_input *in = job->inputs;
    int64_t i;

    (void)loss;
    for (i = 0; i < job->num_inputs; i++) {
        if (in[i].positions != 1) {
            return sslcv__invalid("inputs[%lld] has %lld positions; info_nce takes 1", (long long)i,
                                  (long long)in[i].positions);
        }
    }
    if (job->num_inputs == 1) {
        if (in[QUERIES].views >= 2) return SSLCV_OK;
        return sslcv__invalid("inputs[0] has 1 view; info_nce of one input needs 2 or more");
    }
    if (in[KEYS].dim != in[QUERIES].dim) {
        return sslcv__invalid("inputs[1] has %lld dimensions, inputs[0] %lld; must be equal", (long long)in[KEYS].dim,
                              (long long)in[QUERIES].dim);
    }
    if (in[KEYS].views > in[QUERIES].views) {
        return sslcv__invalid("inputs[1] has %lld views; must be 1 .. %lld as inputs[0]", (long long)in[KEYS].views,
                              (long long)in[QUERIES].views);
    }
    return SSLCV_OK;
}

static void set_metrics(sslcv__loss_job *job, double mean_loss, int64_t candidates, const totals *sums)
{
    job->metrics[TOP1] = (double)sums->first / (double)sums->anchors;
    job->metrics[MI_BOUND] = log((double)candidates) - mean_loss;
}

static sslcv_status score_one(const info_nce *self, sslcv__loss_job *job, const workspace *work, contrast *c)
{
    const sslcv__loss_input *in = &job->inputs[QUERIES];
    const double mean = 1.0 / (double)rows_of(in);
    const double factor = self->reduction == SSLCV_REDUCTION_SUM ? (double)in->views : 1.0;
    totals sums = {0.0, 0, 0};
    sslcv_status status;

    c->anchors = c->candidates = work->unit[QUERIES];
    if (job->wants_diff) c->diff_anchors = c->diff_candidates = work->diff[QUERIES];
    c->rows = c->columns = rows_of(in);
    c->excludes_self = 1;
    c->weight = factor * mean * job->scale;
    status = score_all(c, work, &sums);
    if (status != SSLCV_OK) return status;
    job->value = factor * mean * sums.loss;
    set_metrics(job, mean * sums.loss, c->columns - 1, &sums);
    return SSLCV_OK;
}

/* Views w of the keys that view v of the queries meets. */
static int64_t count_pairs(int64_t v, int64_t views, int64_t key_views)
{
    return views == 1 || v >= key_views ? key_views : key_views - 1;
}

static sslcv_status score_two(const info_nce *self, sslcv__loss_job *job, const workspace *work, contrast *c)
{
    const int64_t views = job->inputs[QUERIES].views, key_views = job->inputs[KEYS].views;
    const int64_t slice = job->samples * c->dim;                            /* of one view */
    const int64_t paired = views > 1 && key_views == 1 ? views - 1 : views; /* query view 0 then has no pair */
    const double factor = self->reduction == SSLCV_REDUCTION_SUM ? (double)paired : 1.0;
    totals sums = {0.0, 0, 0};
    double mean_loss = 0.0;
    int64_t v, w;

    c->rows = c->columns = job->samples;
    for (v = 0; v < views; v++) {
        for (w = 0; w < key_views; w++) {
            const double share = 1.0 / (double)(paired * count_pairs(v, views, key_views) * job->samples);
            const double before = sums.loss;
            sslcv_status status;

            if (views > 1 && v == w) continue;
            c->anchors = work->unit[QUERIES] + v * slice;
            c->candidates = work->unit[KEYS] + w * slice;
            if (job->wants_diff) {
                c->diff_anchors = work->diff[QUERIES] + v * slice;
                c->diff_candidates = work->diff[KEYS] + w * slice;
            }
            c->weight = factor * share * job->scale;
            status = score_all(c, work, &sums);
            if (status != SSLCV_OK) return status;
            mean_loss += share * (sums.loss - before);
        }
    }
    job->value = factor * mean_loss;
    set_metrics(job, mean_loss, job->samples, &sums);
    return SSLCV_OK;
}

static sslcv_status score(const sslcv_loss *loss, sslcv__loss_job *job)
{
    const info_nce *self = (const info_nce *)loss;
    contrast c = {.samples = job->samples, .dim = job->inputs[QUERIES].dim};
    workspace work;
    int64_t bytes, i;
    sslcv_status status = lay_out(job, job->memory, &work, &bytes);

    if (status != SSLCV_OK) return status;
    c.inverse_temperature = 1.0 / *loss->numbers[TEMPERATURE];
    for (i = 0; i < job->num_inputs; i++) {
        const sslcv__loss_input *in = &job->inputs[i];

        sslcv__rows_normalize(in->data, rows_of(in), in->dim, work.unit[i], work.norms[i]);
        memset(work.diff[i], 0, (size_t)(rows_of(in) * in->dim) * sizeof(float));
    }
    return job->num_inputs == 1 ? score_one(self, job, &work, &c) : score_two(self, job, &work, &c);
}

static void differentiate(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    workspace work;
    int64_t bytes, i;

    (void)loss;
    if (lay_out(job, job->memory, &work, &bytes) != SSLCV_OK) return;
    for (i = 0; i < job->num_inputs; i++) {
        const sslcv__loss_input *in = &job->inputs[i];

        if (!in->diff) continue;
        sslcv__rows_normalize_backward(work.unit[i], work.norms[i], work.diff[i], rows_of(in), in->dim, in->diff);
    }
}

/* ---- creation ---- */

static const sslcv__loss_number numbers[] = {[TEMPERATURE] = {"temperature", DBL_MIN, DBL_MAX, "> 0"}};
static const char *const metrics[] = {[TOP1] = "top1", [MI_BOUND] = "mi_bound"};

static const sslcv__loss_kind kind = {
    .name = "info_nce",
    .numbers = numbers,
    .num_numbers = 1,
    .metrics = metrics,
    .num_metrics = 2,
    .min_inputs = 1,
    .max_inputs = 2,
    .gradient_inputs = 1u << QUERIES | 1u << KEYS,
    .check = check,
    .memory_bytes = memory_bytes,
    .score = score,
    .differentiate = differentiate,
};

static const sslcv_info_nce_options defaults = {
    .struct_size = sizeof defaults, .temperature = 0.1, .reduction = SSLCV_REDUCTION_MEAN};

sslcv_status sslcv_info_nce_options_init(sslcv_info_nce_options *options, size_t struct_size)
{
    return sslcv__options_init("info_nce_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

sslcv_status sslcv_loss_create_info_nce(sslcv_context *context, const sslcv_info_nce_options *options, sslcv_loss **out)
{
    sslcv_info_nce_options o = defaults;
    info_nce *self = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!out) return sslcv__null("loss");
    SSLCV__TRY(sslcv__options_read("info_nce_options", options, sizeof defaults, &o, sizeof o));
    if (o.reduction != SSLCV_REDUCTION_MEAN && o.reduction != SSLCV_REDUCTION_SUM) {
        return sslcv__invalid("info_nce.reduction is %d; must be SSLCV_REDUCTION_MEAN or SUM", o.reduction);
    }
    if (o.reserved != 0) return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "info_nce.reserved is not 0");
    SSLCV__TRY(sslcv__loss_create(context, &kind, sizeof *self, &self));
    self->reduction = o.reduction;
    SSLCV__TRY(sslcv__loss_set_number(&self->loss, TEMPERATURE, o.temperature));
    *out = &self->loss;
    self = NULL;
end:
    sslcv__release(self);
    return status;
}
