/**
 * Contrastive predictive coding: from the context at one place of a grid, tell the encoding at another from others.
 *
 * Oord, Li, Vinyals: Representation Learning with Contrastive Predictive Coding, 2018.
 * Loewe, O'Connor, Veeling: Putting An End to End-to-End: Gradient-Isolated Learning of Representations, 2019 (and its
 * code, the authors' of "Greedy InfoMax").
 * Henaff et al.: Data-Efficient Image Recognition with Contrastive Predictive Coding, 2020 (CPC-v2).
 *
 * One direction d and offset k are a step. Its rows m are the M places (n, r, w) of the turned grid with r + k inside.
 * With x_m the context there, key(m) the place that is to be predicted, e the score scale:
 *
 *     bilinear      queries q_m = W^T x_m        keys are the encodings z            s = e x.(W z) = e q.z
 *     target_dim    queries q_m = A x_m + a      keys t_i = B z_i + b                s = e q.t
 *     l_m = log sum over C_m of exp(s_mj) - s_m,key(m)
 *
 * In the bilinear form it is the contexts that are projected, not the encodings: there are fewer of them, and keys are
 * then the same for all steps. With p the softmax of a row over its candidates and v the row's weight in the loss:
 *
 *     dL/ds_mj = v (p_mj - [j = key(m)]);     dL/dq_m = e sum over j of dL/ds_mj key_j;     dL/dkey_j = likewise by m
 *     bilinear      dL/dx = dL/dq W^T,  dL/dW = x^T dL/dq,  dL/dz = dL/dkey
 *     target_dim    dL/dx = dL/dq A,    dL/dA = dL/dq^T x,  dL/da = sum dL/dq,  and the same for B, b from dL/dt, z
 *
 * Drawn candidates: a thread takes a row, gathers 1 + num_negatives keys twice while they are in cache, and leaves its
 * dL/ds. Keys then gather from the rows that drew them, by lists sorted by key: nothing is added from two threads, and
 * the order of sums depends on no number of threads. All N * P as candidates: matrix products over blocks of rows.
 */
#include "loss/cpc.h"

#include "core/rng.h"
#include "core/simd.h"
#include "dnn/dnn.h"
#include "nn/kernels.h"
#include "nn/softmax.h"

#include <math.h>
#include <string.h>

/** One direction and offset. */
typedef struct step {
    int64_t direction, offset, rows, index; /* index: of the predictor within the direction */
    const float *keys;
    float *diff_keys;
    float *diff_predictor; /* its part of diff_parameters */
    double weight;         /* of a row in the gradient */
    float scale;
    int differentiates;
    int32_t reaches_keys; /* 1: diff_keys is wanted */
} step;

static const float *value_of(const sslcv__cpc *self, int64_t variable)
{
    return self->loss.variables.items[variable]->value;
}

/* ---- the grid ---- */

static int64_t turned_rows(const sslcv__cpc *self, int64_t direction)
{
    return direction % 2 ? self->o.columns : self->o.rows;
}

int64_t sslcv__cpc_rows(const sslcv__cpc *self, int64_t direction, int64_t offset)
{
    const int64_t rows = turned_rows(self, direction);

    return (rows - offset) * (self->o.rows * self->o.columns / rows);
}

/* Where row r, column w of the grid turned counter-clockwise by direction * 90 degrees comes from. */
static int64_t place_of(const sslcv__cpc *self, int64_t direction, int64_t r, int64_t w)
{
    const int64_t rows = self->o.rows, columns = self->o.columns;

    switch (direction) {
    case 1: return w * columns + columns - 1 - r;
    case 2: return (rows - 1 - r) * columns + columns - 1 - w;
    case 3: return (rows - 1 - w) * columns + r;
    default: return r * columns + w;
    }
}

static void find_places(const sslcv__cpc *self, const step *s, const sslcv__cpc_memory *work)
{
    const int64_t positions = self->o.rows * self->o.columns;
    const int64_t columns = positions / turned_rows(self, s->direction);
    const int64_t each = sslcv__cpc_rows(self, s->direction, s->offset);
    int64_t m;

#pragma omp parallel for schedule(static)
    for (m = 0; m < s->rows; m++) {
        const int64_t r = m % each / columns, w = m % columns, first = m / each * positions;

        work->from[m] = (int32_t)(first + place_of(self, s->direction, r, w));
        work->to[m] = (int32_t)(first + place_of(self, s->direction, r + s->offset, w));
    }
}

/* ---- candidates that are drawn ---- */

/* A stream for each call that remembers, step, and place. */
static void draw_candidates(const sslcv__cpc *self, const step *s, const sslcv__cpc_memory *work)
{
    const int64_t count = 1 + self->o.num_negatives;
    const uint64_t call =
        sslcv__rng_derive(self->o.seed, *(const uint64_t *)self->draws->value, SSLCV__STREAM_NEGATIVES);
    const uint64_t seed = sslcv__rng_derive(call, (uint64_t)s->offset, (uint32_t)s->direction);
    int64_t m;

#pragma omp parallel for schedule(static)
    for (m = 0; m < s->rows; m++) {
        int32_t *drawn = work->drawn + m * count;
        sslcv__rng rng;
        int64_t j;

        sslcv__rng_init(&rng, seed, (uint64_t)work->from[m], 0);
        drawn[0] = work->to[m];
        for (j = 1; j < count; j++) drawn[j] = work->to[sslcv__rng_below(&rng, s->rows)];
    }
}

/* x: scores of a row, of which the first is the positive's; out: dL/ds. A draw of the positive itself is no rival. */
static void score_row(const step *s, const int32_t *drawn, int64_t count, float *x, double *loss, int32_t *first)
{
    const float positive = x[0], top = sslcv__row_max(x, count);
    double sum;
    int64_t j;

    *first = 1;
    for (j = 1; j < count; j++) {
        if (x[j] >= positive && drawn[j] != drawn[0]) *first = 0;
    }
    sum = sslcv__row_exp(x, count, top, s->scale, x);
    *loss = log(sum) + ((double)top - (double)positive) * (double)s->scale;
    /* sum * (p - 1) first, in double, as p is close to 1 near the optimum. */
    x[0] = (float)((double)x[0] - sum);
    sslcv__row_scale(x, count, (float)(s->weight * (double)s->scale / sum));
}

static void score_drawn(const sslcv__cpc *self, const step *s, const sslcv__cpc_memory *work)
{
    const int64_t count = 1 + self->o.num_negatives, width = self->width;
    int64_t m;

#pragma omp parallel for schedule(static)
    for (m = 0; m < s->rows; m++) {
        const float *query = work->queries + m * width;
        const int32_t *drawn = work->drawn + m * count;
        float *x = work->scores + m * count, *diff = work->diff_queries + m * width;
        int64_t j;

        for (j = 0; j < count; j++) x[j] = (float)sslcv__row_dot(query, s->keys + drawn[j] * width, width);
        score_row(s, drawn, count, x, &work->losses[m], &work->firsts[m]);
        if (!s->differentiates) continue;
        memset(diff, 0, (size_t)width * sizeof(float));
        for (j = 0; j < count; j++) sslcv__row_add(s->keys + drawn[j] * width, width, x[j], diff);
    }
}

/* Who drew which key: counted, then filled from behind, so that a key's rows are in their order. */
static void list_links(const sslcv__cpc *self, const step *s, const sslcv__cpc_memory *work, int64_t keys)
{
    const int64_t count = 1 + self->o.num_negatives, all = s->rows * count;
    int64_t *starts = work->starts, i;

    memset(starts, 0, (size_t)(keys + 1) * sizeof *starts);
    for (i = 0; i < all; i++) starts[work->drawn[i]]++;
    for (i = 0; i < keys; i++) starts[i + 1] += starts[i];
    for (i = all - 1; i >= 0; i--) {
        work->links[--starts[work->drawn[i]]] =
            (sslcv__cpc_link){.row = (int32_t)(i / count), .weight = work->scores[i]};
    }
}

static void add_to_keys(const sslcv__cpc *self, const step *s, const sslcv__cpc_memory *work, int64_t keys)
{
    const int64_t width = self->width;
    int64_t i;

    list_links(self, s, work, keys);
#pragma omp parallel for schedule(static)
    for (i = 0; i < keys; i++) {
        int64_t j;

        for (j = work->starts[i]; j < work->starts[i + 1]; j++) {
            sslcv__row_add(work->queries + work->links[j].row * width, width, work->links[j].weight,
                           s->diff_keys + i * width);
        }
    }
}

/* ---- all places as candidates ---- */

/* Values of at least limit. */
SSLCV__CLONES static int64_t count_from(const float *x, int64_t count, float limit)
{
    int64_t found = 0, i;

    for (i = 0; i < count; i++) found += x[i] >= limit;
    return found;
}

/* x: scores of a row over all places; out: dL/ds. */
static void score_full_row(const step *s, int64_t positive, int64_t count, float *x, double *loss, int32_t *first)
{
    const float own = x[positive], top = sslcv__row_max(x, count);
    double sum;

    *first = own == top && count_from(x, count, top) == 1;
    sum = sslcv__row_exp(x, count, top, s->scale, x);
    *loss = log(sum) + ((double)top - (double)own) * (double)s->scale;
    if (!s->differentiates) return;
    x[positive] = (float)((double)x[positive] - sum);
    sslcv__row_scale(x, count, (float)(s->weight * (double)s->scale / sum));
}

static sslcv_status score_block(const sslcv__cpc *self, const step *s, const sslcv__cpc_memory *work, int64_t keys,
                                int64_t from, int64_t count)
{
    const int64_t width = self->width;
    const float *queries = work->queries + from * width;
    float *x = work->scores;
    sslcv_status status;
    int64_t i;

    SSLCV__TRY(sslcv__gemm(0, 1, count, keys, width, 1.0f, queries, width, s->keys, width, 0.0f, x, keys));
#pragma omp parallel for schedule(static)
    for (i = 0; i < count; i++) {
        const int64_t m = from + i;

        score_full_row(s, work->to[m], keys, x + i * keys, &work->losses[m], &work->firsts[m]);
    }
    if (!s->differentiates) return SSLCV_OK;
    SSLCV__TRY(sslcv__gemm(0, 0, count, width, keys, 1.0f, x, keys, s->keys, width, 0.0f,
                           work->diff_queries + from * width, width));
    if (!s->reaches_keys) return SSLCV_OK;
    SSLCV__TRY(sslcv__gemm(1, 0, keys, width, count, 1.0f, x, keys, queries, width, 1.0f, s->diff_keys, width));
end:
    return status;
}

/* ---- a step ---- */

static void gather_contexts(const sslcv__cpc *self, const step *s, const float *contexts, const sslcv__cpc_memory *work)
{
    const int64_t dim = self->o.context_dim, stride = dim * self->o.directions;
    int64_t m;

#pragma omp parallel for schedule(static)
    for (m = 0; m < s->rows; m++) {
        memcpy(work->contexts + m * dim, contexts + work->from[m] * stride + s->direction * dim,
               (size_t)dim * sizeof(float));
    }
}

static sslcv_status make_queries(const sslcv__cpc *self, const step *s, const sslcv__cpc_memory *work)
{
    const int64_t dim = self->o.context_dim, width = self->width,
                  weight = sslcv__cpc_weight(self, s->direction, s->index);
    const int bilinear = self->o.target_dim == 0;
    const sslcv_status status = sslcv__gemm(0, !bilinear, s->rows, width, dim, 1.0f, work->contexts, dim,
                                            value_of(self, weight), bilinear ? width : dim, 0.0f, work->queries, width);

    if (status != SSLCV_OK) return status;
    if (!bilinear) sslcv__add_bias(value_of(self, weight + 1), work->queries, s->rows, width);
    return SSLCV_OK;
}

/* From diff_queries to the predictor, and to the contexts by way of their gathered copy. */
static sslcv_status pass_back(const sslcv__cpc *self, const step *s, const sslcv__cpc_memory *work,
                              const sslcv__loss_job *job)
{
    const int64_t dim = self->o.context_dim, width = self->width, stride = dim * self->o.directions;
    const int64_t weight = sslcv__cpc_weight(self, s->direction, s->index);
    const int bilinear = self->o.target_dim == 0;
    const float *x = work->contexts, *dq = work->diff_queries;
    sslcv_status status = SSLCV_OK;
    int64_t m;

    if (job->wants_parameters && bilinear) {
        SSLCV__TRY(sslcv__gemm(1, 0, dim, width, s->rows, 1.0f, x, dim, dq, width, 0.0f, s->diff_predictor, width));
    } else if (job->wants_parameters) {
        SSLCV__TRY(sslcv__gemm(1, 0, width, dim, s->rows, 1.0f, dq, width, x, dim, 0.0f, s->diff_predictor, dim));
        sslcv__sum_rows(dq, 0.0f, s->diff_predictor + width * dim, s->rows, width);
    }
    if (!job->inputs[SSLCV__CPC_CONTEXTS].diff) return SSLCV_OK;
    SSLCV__TRY(sslcv__gemm(0, bilinear, s->rows, dim, width, 1.0f, dq, width, value_of(self, weight),
                           bilinear ? width : dim, 0.0f, work->contexts, dim));
#pragma omp parallel for schedule(static)
    for (m = 0; m < s->rows; m++) {
        sslcv__row_add(work->contexts + m * dim, dim, 1.0f,
                       work->diff_contexts + work->from[m] * stride + s->direction * dim);
    }
end:
    return status;
}

static sslcv_status score_step(const sslcv__cpc *self, const step *s, const sslcv__cpc_memory *work,
                               const sslcv__loss_job *job)
{
    const int64_t keys = job->samples * self->o.rows * self->o.columns;
    sslcv_status status;
    int64_t from;

    find_places(self, s, work);
    gather_contexts(self, s, job->inputs[SSLCV__CPC_CONTEXTS].data, work);
    SSLCV__TRY(make_queries(self, s, work));
    if (self->o.num_negatives > 0) {
        draw_candidates(self, s, work);
        score_drawn(self, s, work);
        if (s->reaches_keys) add_to_keys(self, s, work, keys);
    } else {
        for (from = 0; from < s->rows; from += work->block) {
            const int64_t left = s->rows - from;

            SSLCV__TRY(score_block(self, s, work, keys, from, left < work->block ? left : work->block));
        }
    }
    if (s->differentiates) status = pass_back(self, s, work, job);
end:
    return status;
}

/* ---- a direction ---- */

static sslcv_status make_keys(const sslcv__cpc *self, int64_t direction, const sslcv__cpc_memory *work,
                              const sslcv__loss_job *job)
{
    const int64_t keys = job->samples * self->o.rows * self->o.columns, dim = self->o.dim, width = self->width;
    const int64_t weight = sslcv__cpc_weight(self, direction, self->offsets);
    const sslcv_status status = sslcv__gemm(0, 1, keys, width, dim, 1.0f, job->inputs[SSLCV__CPC_ENCODINGS].data, dim,
                                            value_of(self, weight), dim, 0.0f, work->keys, width);

    if (status == SSLCV_OK) sslcv__add_bias(value_of(self, weight + 1), work->keys, keys, width);
    return status;
}

static sslcv_status pass_keys_back(const sslcv__cpc *self, int64_t direction, const sslcv__cpc_memory *work,
                                   const sslcv__loss_job *job)
{
    const int64_t keys = job->samples * self->o.rows * self->o.columns, dim = self->o.dim, width = self->width;
    float *diff = work->diff_parameters + direction * self->direction + self->offsets * self->predictor;
    sslcv_status status = SSLCV_OK;

    if (job->wants_parameters) {
        SSLCV__TRY(sslcv__gemm(1, 0, width, dim, keys, 1.0f, work->diff_keys, width,
                               job->inputs[SSLCV__CPC_ENCODINGS].data, dim, 0.0f, diff, dim));
        sslcv__sum_rows(work->diff_keys, 0.0f, diff + width * dim, keys, width);
    }
    if (!job->inputs[SSLCV__CPC_ENCODINGS].diff) return SSLCV_OK;
    status = sslcv__gemm(0, 0, keys, dim, width, 1.0f, work->diff_keys, width,
                         value_of(self, sslcv__cpc_weight(self, direction, self->offsets)), dim, 1.0f,
                         work->diff_encodings, dim);
end:
    return status;
}

sslcv_status sslcv__cpc_score(const sslcv__cpc *self, int64_t direction, double share, const sslcv__cpc_memory *work,
                              sslcv__loss_job *job, sslcv__cpc_totals *sums)
{
    const int bilinear = self->o.target_dim == 0, differentiates = job->wants_diff || job->wants_parameters;
    const int64_t keys = job->samples * self->o.rows * self->o.columns;
    sslcv_status status = SSLCV_OK;
    int64_t i, m;

    if (!bilinear) {
        SSLCV__TRY(make_keys(self, direction, work, job));
        if (differentiates) memset(work->diff_keys, 0, (size_t)(keys * self->width) * sizeof(float));
    }
    for (i = 0; i < self->offsets; i++) {
        const int64_t offset = self->o.first_offset + i;
        const int64_t rows = job->samples * sslcv__cpc_rows(self, direction, offset);
        const step s = {.direction = direction,
                        .offset = offset,
                        .rows = rows,
                        .index = i,
                        .keys = bilinear ? job->inputs[SSLCV__CPC_ENCODINGS].data : work->keys,
                        .diff_keys = bilinear ? work->diff_encodings : work->diff_keys,
                        .diff_predictor = work->diff_parameters + direction * self->direction + i * self->predictor,
                        .weight = share * job->scale / (double)rows,
                        .scale = (float)*self->loss.numbers[SSLCV__CPC_SCORE_SCALE],
                        .differentiates = differentiates,
                        .reaches_keys = job->inputs[SSLCV__CPC_ENCODINGS].diff || (!bilinear && job->wants_parameters)};
        double sum = 0.0;

        SSLCV__TRY(score_step(self, &s, work, job));
        for (m = 0; m < rows; m++) sum += work->losses[m];
        for (m = 0; m < rows; m++) sums->first += work->firsts[m];
        sums->loss += sum / (double)rows;
        sums->rows += rows;
    }
    if (differentiates && !bilinear) status = pass_keys_back(self, direction, work, job);
end:
    return status;
}
