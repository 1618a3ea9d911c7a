/**
 * Swapped prediction: the cluster of one view of an image is told from another view.
 *
 * Caron, Misra, Mairal, Goyal, Bojanowski, Joulin: Unsupervised Learning of Visual Features by Contrasting Cluster
 * Assignments (SwAV), 2020; facebookresearch/swav, main_swav.py.
 *
 * Let u_vn be the unit rows of view v, c_k the unit prototypes, s_vn = C u_vn their scores, t the temperature, p_vn =
 * softmax(s_vn / t), A the code views with codes q_in (sinkhorn.h), and m_v the number of A's views other than v. With
 * w = 1 / (|A| (V - 1) N):
 *
 *     L          = w sum over v, n of ( m_v log sum over k of exp(s_vnk / t)
 *                                       - sum over i in A, i != v of q_in . s_vn / t )
 *     dL/ds_vnk  = w / t ( m_v p_vnk - sum over i of q_ink )
 *     dL/du_vn   = C^T dL/ds_vn                            and back through the unit length by rows.h
 *     dL/dc_k    = sum over v, n of dL/ds_vnk u_vn         of the unit prototype: the authors normalise it outside of
 *                                                          the graph, before each step
 *
 * No gradient passes through q. Scores of the code views are kept, as q needs them all; those of the others are made
 * in blocks of rows, so that memory does not grow with the number of small crops:
 *
 *     code_scores (|A| N, K) --> codes (|A| N, K), with `extra` (queue_size, K) beside one view after the other
 *          |                        |
 *          +------------------------+--> rows of code_scores, then of `block`: s --> dL/ds in place
 *                                            --> diff = dS C,  diff_prototypes += dS^T U      (gemm)
 *
 * Each row is done by itself, and its loss is added to the others' in their order.
 */
#include "loss/loss.h"

#include "core/checked.h"
#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/rng.h"
#include "core/simd.h"
#include "dnn/dnn.h"
#include "loss/sinkhorn.h"
#include "nn/rows.h"
#include "nn/softmax.h"

#include <sslcv/state.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TEMPERATURE = 0, EPSILON = 1 };
enum { TOP1 = 0, ASSIGNMENT_ENTROPY = 1 };
enum {
    BLOCK_FLOATS = 1 << 22, /* 16 MiB of scores */
    MAX_CODE_VIEWS = 1024,
    LANES = 16, /* see nn/softmax.c */
    STUCK_CALLS = 100
};

/* Of rows of unit length, with room for rounding. */
static const double largest_score = 1.0 + 1e-5;
/* Above it a gradient may leave the range of float on its way to the inputs. */
static const double largest_weight = 1e18;
/* How near to log K the value is while all prototypes are predicted alike. */
static const double stuck_share = 0.01;

typedef struct swapped {
    sslcv_loss loss;
    sslcv_swapped_options options;
    sslcv__variable *prototypes;
    sslcv__variable **queues; /* of each code view, among the loss's variables; NULL: no queue */
    int64_t stuck;            /* calls in a row that remembered and whose value was near log K; < 0: has been told */
} swapped;

/** What one predicted row gives. */
typedef struct row_result {
    double loss;   /* sum over the codes it predicts */
    int64_t first; /* codes whose largest prototype is predicted */
} row_result;

/** Working memory of a job. */
typedef struct workspace {
    float *unit; /* (V, N, D) */
    float *diff; /* (V, N, D): gradient with respect to it */
    double *norms;
    float *prototypes; /* (K, D), unit */
    float *diff_prototypes;
    double *prototype_norms;
    float *code_scores; /* (|A|, N, K), then dL/ds */
    float *codes;       /* (|A|, N, K) */
    float *extra;       /* (queue_size, K) */
    float *block;       /* (block_rows, K): scores of the other views */
    int64_t block_rows;
    int64_t *largest; /* (|A|, N): prototype of each code */
    double *mass;     /* (K): of one view's codes */
    double *used;     /* (K): of all codes */
    row_result *results;
    void *sinkhorn;
} workspace;

/** One call. */
typedef struct prediction {
    const swapped *self;
    const workspace *work;
    int64_t views, code_views, samples, dim, prototypes;
    double inverse_temperature;
    double weight; /* of a row in the gradient: scale * w / t */
    int wants_diff, wants_prototypes;
    int has_gradient; /* diff_prototypes holds something */
} prediction;

/* ---- memory ---- */

static sslcv_status lay_out(const swapped *self, const sslcv__loss_job *job, char *base, workspace *work,
                            int64_t *bytes)
{
    const sslcv__loss_input *in = &job->inputs[0];
    const sslcv_swapped_options *o = &self->options;
    const int64_t k = o->num_prototypes, d = in->dim;
    int64_t rows, cells, coded, code_cells, others, extra, samples, weights, sinkhorn;
    int fits;

    *bytes = 0;
    fits = sslcv__multiply(in->views, in->samples, &rows) && sslcv__multiply(rows, d, &cells) &&
           sslcv__multiply(o->code_views, in->samples, &coded) && sslcv__multiply(coded, k, &code_cells) &&
           sslcv__multiply(in->views - o->code_views, in->samples, &others) &&
           sslcv__multiply(o->queue_size, k, &extra) && sslcv__multiply(k, d, &weights) &&
           sslcv__add(o->queue_size, in->samples, &samples) && sslcv__sinkhorn_bytes(samples, k, &sinkhorn);
    if (!fits) return sslcv__loss_placed(&self->loss, job, 0);
    work->block_rows = k < BLOCK_FLOATS ? BLOCK_FLOATS / k : 1;
    if (work->block_rows > others) work->block_rows = others;
    fits = sslcv__loss_place(base, bytes, cells, sizeof(float), &work->unit) &&
           sslcv__loss_place(base, bytes, cells, sizeof(float), &work->diff) &&
           sslcv__loss_place(base, bytes, rows, sizeof(double), &work->norms) &&
           sslcv__loss_place(base, bytes, weights, sizeof(float), &work->prototypes) &&
           sslcv__loss_place(base, bytes, weights, sizeof(float), &work->diff_prototypes) &&
           sslcv__loss_place(base, bytes, k, sizeof(double), &work->prototype_norms) &&
           sslcv__loss_place(base, bytes, code_cells, sizeof(float), &work->code_scores) &&
           sslcv__loss_place(base, bytes, code_cells, sizeof(float), &work->codes) &&
           sslcv__loss_place(base, bytes, extra, sizeof(float), &work->extra) &&
           sslcv__loss_place(base, bytes, work->block_rows * k, sizeof(float), &work->block) &&
           sslcv__loss_place(base, bytes, coded, sizeof(int64_t), &work->largest) &&
           sslcv__loss_place(base, bytes, k, sizeof(double), &work->mass) &&
           sslcv__loss_place(base, bytes, k, sizeof(double), &work->used) &&
           sslcv__loss_place(base, bytes, rows, sizeof(row_result), &work->results) &&
           sslcv__loss_place(base, bytes, sinkhorn, 1, &work->sinkhorn);
    return sslcv__loss_placed(&self->loss, job, fits);
}

static sslcv_status check(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const sslcv_swapped_options *o = &((const swapped *)loss)->options;
    const sslcv__loss_input *in = &job->inputs[0];
    const int64_t least = o->code_views > 2 ? o->code_views : 2;
    const sslcv_status status = sslcv__loss_check_positions(loss, job);

    if (status != SSLCV_OK) return status;
    if (in->dim != o->dim) {
        return sslcv__invalid("inputs[0] has %lld dimensions; swapped.dim is %lld", (long long)in->dim,
                              (long long)o->dim);
    }
    if (in->views < least) {
        return sslcv__invalid("inputs[0] has %lld views; swapped of %lld code views needs %lld or more",
                              (long long)in->views, (long long)o->code_views, (long long)least);
    }
    if (o->queue_size > 0 && in->samples > o->queue_size) {
        return sslcv__invalid("inputs[0] has %lld samples; must be 1 .. %lld, swapped.queue_size",
                              (long long)in->samples, (long long)o->queue_size);
    }
    return SSLCV_OK;
}

static sslcv_status memory_bytes(const sslcv_loss *loss, const sslcv__loss_job *job, int64_t *bytes)
{
    workspace work = {.block_rows = 0};
    /* Shapes alone come unchecked. */
    const sslcv_status status = check(loss, job);

    return status == SSLCV_OK ? lay_out((const swapped *)loss, job, NULL, &work, bytes) : status;
}

/* ---- what it learns and remembers ---- */

static sslcv_status state_bytes(const sslcv_loss *loss, int64_t *bytes)
{
    const sslcv_swapped_options *o = &((const swapped *)loss)->options;
    int64_t rows;

    if (sslcv__multiply(o->code_views, o->queue_size, &rows) && sslcv__add(rows, o->num_prototypes, &rows) &&
        sslcv__multiply(rows, o->dim, bytes) && sslcv__multiply(*bytes, sizeof(float), bytes)) {
        return SSLCV_OK;
    }
    return sslcv__fail(SSLCV_ERR_LIMIT, "swapped of %lld prototypes and %lld queues of %lld rows of %lld is too large",
                       (long long)o->num_prototypes, (long long)o->code_views, (long long)o->queue_size,
                       (long long)o->dim);
}

/* As a linear layer's, uniform in +-1 / sqrt(D); of unit length from the start. */
static void init_prototypes(const swapped *self)
{
    const int64_t dim = self->options.dim;
    const double bound = 1.0 / sqrt((double)dim);
    const uint64_t seed = sslcv__rng_derive(self->options.seed, 0, SSLCV__STREAM_WEIGHTS);
    float *values = self->prototypes->value;
    int64_t k, j;

    for (k = 0; k < self->options.num_prototypes; k++) {
        float *row = values + k * dim;
        double sum = 0.0;
        sslcv__rng rng;

        sslcv__rng_init(&rng, seed, (uint64_t)k, 0);
        for (j = 0; j < dim; j++) {
            row[j] = (float)sslcv__rng_range(&rng, -bound, bound);
            sum += (double)row[j] * (double)row[j];
        }
        for (j = 0; j < dim; j++) row[j] = (float)((double)row[j] / fmax(sqrt(sum), 1e-12));
    }
}

static sslcv_status open(sslcv_loss *loss)
{
    swapped *self = (swapped *)loss;
    const sslcv_swapped_options *o = &self->options;
    const int64_t prototypes[2] = {o->num_prototypes, o->dim}, queue[2] = {o->queue_size, o->dim};
    sslcv_status status;
    int64_t i;

    SSLCV__TRY(sslcv__variables_add(&loss->variables, "prototypes.weight", SSLCV_F32, SSLCV_ROLE_WEIGHT, 2, prototypes,
                                    NULL, &self->prototypes));
    for (i = 0; i < o->code_views && o->queue_size > 0; i++) {
        char name[32];

        snprintf(name, sizeof name, "queue.%lld", (long long)i);
        SSLCV__TRY(sslcv__variables_add(&loss->variables, name, SSLCV_F32, SSLCV_ROLE_BUFFER, 2, queue, NULL,
                                        &self->queues[i]));
    }
    init_prototypes(self);
end:
    return status;
}

static int is_zero(const float *row, int64_t dim)
{
    int64_t j;

    for (j = 0; j < dim; j++) {
        if (row[j] != 0.0f) return 0;
    }
    return 1;
}

/* The queue of a code view, once it is full; else NULL. */
static const float *ready_queue(const swapped *self, const sslcv__loss_job *job, int64_t view)
{
    const sslcv_swapped_options *o = &self->options;
    const float *queue;

    if (o->queue_size == 0 || job->epoch < o->queue_start_epoch) return NULL;
    queue = self->queues[view]->value;
    return is_zero(queue + (o->queue_size - 1) * o->dim, o->dim) ? NULL : queue;
}

/* ---- codes ---- */

/* One-hot, at the largest prototype. */
static void round_codes(const prediction *p, float *codes, const int64_t *largest)
{
    int64_t n;

    memset(codes, 0, (size_t)(p->samples * p->prototypes) * sizeof *codes);
    memset(p->work->mass, 0, (size_t)p->prototypes * sizeof *p->work->mass);
    for (n = 0; n < p->samples; n++) {
        codes[n * p->prototypes + largest[n]] = 1.0f;
        p->work->mass[largest[n]] += 1.0;
    }
}

static sslcv_status make_codes(const prediction *p, const sslcv__loss_job *job, int64_t view)
{
    const swapped *self = p->self;
    const workspace *work = p->work;
    const int64_t cells = p->samples * p->prototypes, k = p->prototypes, d = p->dim;
    const float *queue = ready_queue(self, job, view);
    const sslcv__sinkhorn problem = {.scores = work->code_scores + view * cells,
                                     .codes = work->codes + view * cells,
                                     .extra = work->extra,
                                     .rows = p->samples,
                                     .num_extra = queue ? self->options.queue_size : 0,
                                     .columns = k,
                                     .iterations = self->options.iterations,
                                     .epsilon = *self->loss.numbers[EPSILON],
                                     /* What a file has put into a queue may be longer than unit rows. */
                                     .bound = queue ? (double)INFINITY : largest_score,
                                     .largest = work->largest + view * p->samples,
                                     .mass = work->mass,
                                     .memory = work->sinkhorn};
    sslcv_status status = SSLCV_OK;
    int64_t i;

    if (queue) {
        status = sslcv__gemm(0, 1, problem.num_extra, k, d, 1.0f, queue, d, work->prototypes, d, 0.0f, work->extra, k);
    }
    if (status != SSLCV_OK) return status;
    sslcv__sinkhorn_run(&problem);
    if (job->step < self->options.hard_steps) round_codes(p, problem.codes, problem.largest);
    for (i = 0; i < k; i++) work->used[i] += work->mass[i];
    return SSLCV_OK;
}

static double entropy(const double *mass, int64_t count)
{
    double sum = 0.0, result = 0.0;
    int64_t i;

    for (i = 0; i < count; i++) sum += mass[i];
    for (i = 0; i < count; i++) {
        const double share = mass[i] / sum;

        if (share > 0.0) result -= share * log(share);
    }
    return result;
}

/* ---- predictions ---- */

/* Sum of q (s - top): all terms have one sign, so nothing cancels. */
SSLCV__CLONES static double dot_below(const float *q, const float *s, float top, int64_t count)
{
    float lane[LANES] = {0.0f};
    double sum = 0.0;
    int64_t i;
    int l;

    for (i = 0; i + LANES <= count; i += LANES) {
        for (l = 0; l < LANES; l++) lane[l] += q[i + l] * (s[i + l] - top);
    }
    for (; i < count; i++) sum += (double)(q[i] * (s[i] - top));
    for (l = 0; l < LANES; l++) sum += (double)lane[l];
    return sum;
}

SSLCV__CLONES static int64_t count_equal(const float *x, int64_t count, float value)
{
    int32_t equal = 0;
    int64_t i;

#pragma omp simd reduction(+ : equal)
    for (i = 0; i < count; i++) equal += x[i] == value;
    return equal;
}

/* x <- factor * x - weight * q */
SSLCV__CLONES static void subtract_code(float *x, float factor, const float *q, float weight, int64_t count)
{
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) x[i] = factor * x[i] - weight * q[i];
}

/* s: scores of one row; out: its row of dL/ds. */
static void predict_row(const prediction *p, int64_t row, float *s)
{
    const workspace *work = p->work;
    const int64_t view = row / p->samples, sample = row % p->samples, k = p->prototypes;
    const float top = sslcv__row_max(s, k);
    const int64_t ties = count_equal(s, k, top);
    row_result *result = &work->results[row];
    int64_t codes = 0, i;
    double below = 0.0, sum;
    float factor;

    result->first = 0;
    for (i = 0; i < p->code_views; i++) {
        const int64_t code = i * p->samples + sample;

        if (i == view) continue;
        below += dot_below(work->codes + code * k, s, top, k);
        result->first += ties == 1 && s[work->largest[code]] == top;
        codes++;
    }
    /* A product with infinity is none with 0. */
    sum = sslcv__row_exp(s, k, top, (float)fmin(p->inverse_temperature, (double)FLT_MAX), s);
    result->loss = (double)codes * log(sum) - below * p->inverse_temperature;
    if (!p->wants_diff && !p->wants_prototypes) return;

    factor = (float)(p->weight * (double)codes / sum);
    for (i = 0; i < p->code_views; i++) {
        if (i == view) continue;
        subtract_code(s, factor, work->codes + (i * p->samples + sample) * k, (float)p->weight, k);
        factor = 1.0f;
    }
}

static sslcv_status add_gradients(prediction *p, int64_t from, int64_t count, const float *diff_scores)
{
    const workspace *work = p->work;
    const int64_t d = p->dim, k = p->prototypes;
    sslcv_status status = SSLCV_OK;

    if (p->wants_diff) {
        SSLCV__TRY(
            sslcv__gemm(0, 0, count, d, k, 1.0f, diff_scores, k, work->prototypes, d, 0.0f, work->diff + from * d, d));
    }
    if (p->wants_prototypes) {
        SSLCV__TRY(sslcv__gemm(1, 0, k, d, count, 1.0f, diff_scores, k, work->unit + from * d, d,
                               p->has_gradient ? 1.0f : 0.0f, work->diff_prototypes, d));
        p->has_gradient = 1;
    }
end:
    return status;
}

static sslcv_status predict_rows(prediction *p, int64_t from, int64_t count, float *scores)
{
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < count; i++) predict_row(p, from + i, scores + i * p->prototypes);
    return p->wants_diff || p->wants_prototypes ? add_gradients(p, from, count, scores) : SSLCV_OK;
}

/* The code views predict each other, or the only one nothing; then the others, in blocks. */
static sslcv_status predict_all(prediction *p)
{
    const workspace *work = p->work;
    const int64_t coded = p->code_views * p->samples, rows = p->views * p->samples, d = p->dim, k = p->prototypes;
    sslcv_status status = SSLCV_OK;
    int64_t from, count;

    if (p->code_views > 1) {
        SSLCV__TRY(predict_rows(p, 0, coded, work->code_scores));
    } else {
        memset(work->diff, 0, (size_t)(coded * d) * sizeof *work->diff);
        memset(work->results, 0, (size_t)coded * sizeof *work->results);
    }
    for (from = coded; from < rows; from += count) {
        count = rows - from < work->block_rows ? rows - from : work->block_rows;
        SSLCV__TRY(
            sslcv__gemm(0, 1, count, k, d, 1.0f, work->unit + from * d, d, work->prototypes, d, 0.0f, work->block, k));
        SSLCV__TRY(predict_rows(p, from, count, work->block));
    }
end:
    return status;
}

/* ---- a call ---- */

static int is_frozen(const swapped *self, const sslcv__loss_job *job)
{
    return job->step < self->options.freeze_steps || self->prototypes->frozen;
}

static sslcv_status prepare(const swapped *self, const sslcv__loss_job *job, const workspace *work, prediction *p)
{
    const sslcv__loss_input *in = &job->inputs[0];
    const double temperature = *self->loss.numbers[TEMPERATURE];
    double weight;

    *p = (prediction){.self = self,
                      .work = work,
                      .views = in->views,
                      .code_views = self->options.code_views,
                      .samples = in->samples,
                      .dim = in->dim,
                      .prototypes = self->options.num_prototypes,
                      .inverse_temperature = 1.0 / temperature,
                      .wants_diff = job->wants_diff,
                      .wants_prototypes = job->wants_parameters && !is_frozen(self, job)};
    weight = 1.0 / ((double)p->code_views * (double)(p->views - 1) * (double)p->samples);
    p->weight = weight * job->scale * p->inverse_temperature;
    if ((p->wants_diff || p->wants_prototypes) && !(fabs(p->weight) <= largest_weight)) {
        return sslcv__fail(SSLCV_ERR_NUMERIC, "gradients of swapped at scale %g and temperature %g are too large",
                           job->scale, temperature);
    }
    return SSLCV_OK;
}

static void add_up(const prediction *p, sslcv__loss_job *job)
{
    const int64_t rows = p->views * p->samples, pairs = p->code_views * (p->views - 1) * p->samples;
    double loss = 0.0;
    int64_t first = 0, i;

    for (i = 0; i < rows; i++) {
        loss += p->work->results[i].loss;
        first += p->work->results[i].first;
    }
    job->value = loss / (double)pairs;
    job->metrics[TOP1] = (double)first / (double)pairs;
    job->metrics[ASSIGNMENT_ENTROPY] = entropy(p->work->used, p->prototypes);
}

static sslcv_status score(const sslcv_loss *loss, sslcv__loss_job *job)
{
    const swapped *self = (const swapped *)loss;
    const sslcv__loss_input *in = &job->inputs[0];
    const int64_t d = in->dim, k = self->options.num_prototypes;
    workspace work;
    prediction p;
    int64_t bytes, i;
    sslcv_status status;

    SSLCV__TRY(lay_out(self, job, job->memory, &work, &bytes));
    SSLCV__TRY(prepare(self, job, &work, &p));
    sslcv__rows_normalize(in->data, sslcv__loss_rows(in), d, work.unit, work.norms);
    sslcv__rows_normalize(self->prototypes->value, k, d, work.prototypes, work.prototype_norms);
    SSLCV__TRY(sslcv__gemm(0, 1, p.code_views * p.samples, k, d, 1.0f, work.unit, d, work.prototypes, d, 0.0f,
                           work.code_scores, k));
    memset(work.used, 0, (size_t)k * sizeof *work.used);
    for (i = 0; i < p.code_views; i++) SSLCV__TRY(make_codes(&p, job, i));
    SSLCV__TRY(predict_all(&p));
    add_up(&p, job);
end:
    return status;
}

static void differentiate(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const swapped *self = (const swapped *)loss;
    const sslcv__loss_input *in = &job->inputs[0];
    sslcv__variable *prototypes = self->prototypes;
    workspace work;
    int64_t bytes;

    if (lay_out(self, job, job->memory, &work, &bytes) != SSLCV_OK) return;
    if (in->diff) {
        sslcv__rows_normalize_backward(work.unit, work.norms, work.diff, sslcv__loss_rows(in), in->dim, in->diff);
    }
    if (!job->wants_parameters || is_frozen(self, job)) return;
    if (prototypes->has_gradient) {
        sslcv__row_add(work.diff_prototypes, prototypes->count, 1.0f, prototypes->gradient);
    } else {
        memcpy(prototypes->gradient, work.diff_prototypes, (size_t)prototypes->stored_bytes);
        prototypes->has_gradient = 1;
    }
}

/* The newest first. Zeros at the end say that the queue is not full. */
static void enqueue(sslcv__variable *queue, const float *rows, int64_t count, int64_t dim)
{
    float *values = queue->value;

    memmove(values + count * dim, values, (size_t)(queue->count - count * dim) * sizeof *values);
    memcpy(values, rows, (size_t)(count * dim) * sizeof *values);
    sslcv__variable_changed(queue);
}

/* What collapse looks like here: a value that stays at the logarithm of the prototypes. */
static void watch(swapped *self, double value)
{
    const double uniform = log((double)self->options.num_prototypes);

    if (self->stuck < 0 || self->options.num_prototypes == 1) return;
    self->stuck = fabs(value - uniform) <= stuck_share * uniform ? self->stuck + 1 : 0;
    if (self->stuck < STUCK_CALLS) return;
    self->stuck = -1;
    sslcv__log(
        self->loss.object.context, SSLCV_LOG_WARNING,
        "swapped: for %d steps the loss has been within 1 %% of log %lld = %.3f, which it is while all prototypes "
        "are predicted alike; docs/losses/swapped.md says what helps",
        STUCK_CALLS, (long long)self->options.num_prototypes, uniform);
}

static void remember(sslcv_loss *loss, const sslcv__loss_job *job)
{
    swapped *self = (swapped *)loss;
    const sslcv_swapped_options *o = &self->options;
    workspace work;
    int64_t bytes, i;

    if (lay_out(self, job, job->memory, &work, &bytes) != SSLCV_OK) return;
    memcpy(self->prototypes->value, work.prototypes, (size_t)self->prototypes->stored_bytes);
    sslcv__variable_changed(self->prototypes);
    for (i = 0; i < o->code_views && o->queue_size > 0 && job->epoch >= o->queue_start_epoch; i++) {
        enqueue(self->queues[i], work.unit + i * job->samples * o->dim, job->samples, o->dim);
    }
    watch(self, job->value);
}

/* ---- creation ---- */

static void release(sslcv_loss *loss)
{
    sslcv__free(loss->object.context, ((swapped *)loss)->queues);
}

static const sslcv__loss_number numbers[] = {
    [TEMPERATURE] = {"temperature", DBL_MIN, DBL_MAX, "> 0"}, [EPSILON] = {"epsilon", DBL_MIN, DBL_MAX, "> 0"}};
static const char *const metrics[] = {[TOP1] = "top1", [ASSIGNMENT_ENTROPY] = "assignment_entropy"};

static const sslcv__loss_kind kind = {
    .name = "swapped",
    .numbers = numbers,
    .num_numbers = 2,
    .metrics = metrics,
    .num_metrics = 2,
    .min_inputs = 1,
    .max_inputs = 1,
    .gradient_inputs = 1,
    .has_parameters = 1,
    .check = check,
    .memory_bytes = memory_bytes,
    .score = score,
    .differentiate = differentiate,
    .state_bytes = state_bytes,
    .open = open,
    .remember = remember,
    .release = release,
};

static const sslcv_swapped_options defaults = {.struct_size = sizeof defaults,
                                               .dim = 128,
                                               .num_prototypes = 3000,
                                               .code_views = 2,
                                               .temperature = 0.1,
                                               .epsilon = 0.05,
                                               .iterations = 3,
                                               .queue_start_epoch = 15};

sslcv_status sslcv_swapped_options_init(sslcv_swapped_options *options, size_t struct_size)
{
    return sslcv__options_init("swapped_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_options(const sslcv_swapped_options *o)
{
    const struct {
        const char *name;
        int64_t value, least;
    } whole[] = {
        {"dim", o->dim, 1},
        {"num_prototypes", o->num_prototypes, 1},
        {"code_views", o->code_views, 1},
        {"iterations", o->iterations, 1},
        {"queue_size", o->queue_size, 0},
        {"queue_start_epoch", o->queue_start_epoch, 0},
        {"freeze_steps", o->freeze_steps, 0},
        {"hard_steps", o->hard_steps, 0},
    };
    size_t i;

    for (i = 0; i < sizeof whole / sizeof *whole; i++) {
        if (whole[i].value >= whole[i].least) continue;
        return sslcv__invalid("swapped.%s is %lld; must be %lld or more", whole[i].name, (long long)whole[i].value,
                              (long long)whole[i].least);
    }
    if (o->code_views <= MAX_CODE_VIEWS) return SSLCV_OK;
    return sslcv__invalid("swapped.code_views is %lld; must be 1 .. %d", (long long)o->code_views, MAX_CODE_VIEWS);
}

sslcv_status sslcv_loss_create_swapped(sslcv_context *context, const sslcv_swapped_options *options, sslcv_loss **out)
{
    sslcv_swapped_options o = defaults;
    swapped *self = NULL;
    int64_t bytes;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!out) return sslcv__null("loss");
    SSLCV__TRY(sslcv__options_read("swapped_options", options, sizeof defaults, &o, sizeof o));
    SSLCV__TRY(check_options(&o));
    SSLCV__TRY(sslcv__loss_create(context, &kind, sizeof *self, &self));
    self->options = o;
    SSLCV__TRY(sslcv__loss_set_number(&self->loss, TEMPERATURE, o.temperature));
    SSLCV__TRY(sslcv__loss_set_number(&self->loss, EPSILON, o.epsilon));
    SSLCV__TRY(state_bytes(&self->loss, &bytes));
    if (o.queue_size > 0) {
        SSLCV__TRY(sslcv__alloc_array(context, o.code_views, sizeof *self->queues, (void **)&self->queues));
    }
    self->options.seed = sslcv__context_seed(context, o.seed); /* last: a failure draws none */
    *out = &self->loss;
    self = NULL;
end:
    sslcv__release(self);
    return status;
}
