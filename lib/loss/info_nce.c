/**
 * InfoNCE: NT-Xent on one array, one-directional InfoNCE on two, with keys of the batch or a queue as candidates.
 *
 * Oord, Li, Vinyals: Representation Learning with Contrastive Predictive Coding, 2018.
 * Chen, Kornblith, Norouzi, Hinton: A Simple Framework for Contrastive Learning of Visual Representations, 2020.
 * He, Fan, Wu, Xie, Girshick: Momentum Contrast for Unsupervised Visual Representation Learning, 2020.
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
 * contrast.c does this.
 *
 * With a queue of rows c_j an anchor a meets keys k_w, one for each view that it is paired with. Of the queue it needs
 *
 *     E = sum over j of exp(a . c_j / t),   A = sum over j of exp(a . c_j / t) c_j
 *
 * once, in one pass (scan.c), and with p_w = exp(a . k_w / t)
 *
 *     l       = sum over w of w_r log((E + p_w) / p_w)
 *     dl/da   = 1/t sum over w of w_r (A - E k_w) / (E + p_w)
 *
 * in which nothing cancels: 1 - p / (E + p) is written as E / (E + p). All are kept relative to their largest exponent.
 */
#include "loss/loss.h"

#include "core/checked.h"
#include "core/context.h"
#include "core/options.h"
#include "core/rng.h"
#include "loss/contrast.h"
#include "loss/scan.h"
#include "nn/kernels.h"
#include "nn/rows.h"
#include "nn/softmax.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { TEMPERATURE = 0 };
enum { TOP1 = 0, MI_BOUND = 1 };
enum { QUERIES = 0, KEYS = 1 };

/* Cosines this close are a tie: those of queue and positive are added up in different orders. */
static const double tie = 1e-6;

typedef struct info_nce {
    sslcv_loss loss;
    int32_t reduction;
    int64_t queue_size, dim; /* queue_size 0: candidates from the batch */
    uint64_t seed;
    sslcv__variable *queue;    /* (queue_size, dim) */
    sslcv__variable *position; /* one i64: the row that the next key takes */
} info_nce;

/** What one query meets: its terms of the loss over all key views, before scale. */
typedef struct row_result {
    double loss; /* mean over its pairs */
    int64_t first;
} row_result;

/** Working memory of a job:  unit[2] | norms[2] | diff[2] | the form's own */
typedef struct workspace {
    float *unit[2]; /* inputs with rows of unit length: (V, N, D) and (W, N, D) */
    double *norms[2];
    float *diff[2]; /* gradients with respect to them, but for keys beside a queue */
    void *contrast;
    void *scan;
    float *top; /* of scan.h: (V * N) */
    double *sum;
    row_result *results; /* (V * N) */
} workspace;

/* ---- memory ---- */

/* Query view 0 meets none when it is one of several and keys have view 0 alone. */
static int64_t first_paired(const sslcv__loss_job *job)
{
    return job->inputs[QUERIES].views > 1 && job->inputs[KEYS].views == 1 ? 1 : 0;
}

/* Views w of the keys that view v of the queries meets. */
static int64_t count_pairs(const sslcv__loss_job *job, int64_t v)
{
    const int64_t key_views = job->inputs[KEYS].views;

    return job->inputs[QUERIES].views == 1 || v >= key_views ? key_views : key_views - 1;
}

static int meets(const sslcv__loss_job *job, int64_t v, int64_t w)
{
    return job->inputs[QUERIES].views == 1 || v != w;
}

static sslcv__scan scan_of(const info_nce *self, const sslcv__loss_job *job, int64_t rows)
{
    const sslcv__scan scan = {.num_rows = rows - first_paired(job) * job->samples,
                              .num_candidates = self->queue_size,
                              .dim = self->dim,
                              .threads = self->loss.object.context->threads};

    return scan;
}

static int place_form(const info_nce *self, const sslcv__loss_job *job, void *base, const int64_t *rows, int64_t *bytes,
                      workspace *work)
{
    const int64_t columns = job->num_inputs == 1 ? rows[QUERIES] : job->samples;
    sslcv__scan scan;

    if (self->queue_size == 0) return sslcv__contrast_place(base, bytes, columns, columns, &work->contrast);
    scan = scan_of(self, job, rows[QUERIES]);
    return sslcv__scan_place(&scan, base, bytes, &work->scan) &&
           sslcv__loss_place(base, bytes, scan.num_rows, sizeof(float), &work->top) &&
           sslcv__loss_place(base, bytes, scan.num_rows, sizeof(double), &work->sum) &&
           sslcv__loss_place(base, bytes, scan.num_rows, sizeof(row_result), &work->results);
}

static sslcv_status lay_out(const info_nce *self, const sslcv__loss_job *job, void *base, workspace *work,
                            int64_t *bytes)
{
    int64_t rows[2] = {0, 0}, i;
    int fits = 1;

    *bytes = 0;
    for (i = 0; i < job->num_inputs && fits; i++) {
        const sslcv__loss_input *in = &job->inputs[i];
        const int gradient = self->loss.kind->gradient_inputs >> i & 1;
        int64_t count = 0;

        fits = sslcv__multiply(in->views, in->samples, &rows[i]) && sslcv__multiply(rows[i], in->dim, &count) &&
               sslcv__loss_place(base, bytes, count, sizeof(float), &work->unit[i]) &&
               sslcv__loss_place(base, bytes, rows[i], sizeof(double), &work->norms[i]) &&
               (!gradient || sslcv__loss_place(base, bytes, count, sizeof(float), &work->diff[i]));
    }
    fits = fits && place_form(self, job, base, rows, bytes, work);
    return sslcv__loss_placed(&self->loss, job, fits);
}

static sslcv_status memory_bytes(const sslcv_loss *loss, const sslcv__loss_job *job, int64_t *bytes)
{
    workspace work;

    return lay_out((const info_nce *)loss, job, NULL, &work, bytes);
}

/* ---- what fits ---- */

static sslcv_status check_queue(const info_nce *self, const sslcv__loss_job *job)
{
    const sslcv__loss_input *keys = &job->inputs[KEYS];
    const int64_t position = *(const int64_t *)self->position->value;

    if (keys->dim != self->dim) {
        return sslcv__invalid("inputs have %lld dimensions; the queue's info_nce.dim is %lld", (long long)keys->dim,
                              (long long)self->dim);
    }
    if (keys->views > self->queue_size / keys->samples) {
        return sslcv__invalid(
            "inputs[1] has %lld views of %lld keys; info_nce.queue_size is %lld, must be as many or more",
            (long long)keys->views, (long long)keys->samples, (long long)self->queue_size);
    }
    /* A checkpoint may have brought any number. */
    if (position >= 0 && position < self->queue_size) return SSLCV_OK;
    return sslcv__invalid("queue_position is %lld; must be 0 .. %lld", (long long)position,
                          (long long)(self->queue_size - 1));
}

static sslcv_status check(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const info_nce *self = (const info_nce *)loss;
    const sslcv__loss_input *in = job->inputs;
    int64_t i;

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
    return self->queue_size ? check_queue(self, job) : SSLCV_OK;
}

/* ---- candidates from the batch ---- */

static void set_metrics(sslcv__loss_job *job, double mean_loss, int64_t candidates, int64_t first, int64_t anchors)
{
    job->metrics[TOP1] = (double)first / (double)anchors;
    job->metrics[MI_BOUND] = log((double)candidates) - mean_loss;
}

static sslcv_status score_one(const info_nce *self, sslcv__loss_job *job, const workspace *work, sslcv__contrast *c)
{
    const sslcv__loss_input *in = &job->inputs[QUERIES];
    const double mean = 1.0 / (double)sslcv__loss_rows(in);
    const double factor = self->reduction == SSLCV_REDUCTION_SUM ? (double)in->views : 1.0;
    sslcv__contrast_sums sums = {0.0, 0, 0};
    sslcv_status status;

    c->anchors = c->candidates = work->unit[QUERIES];
    if (job->wants_diff) c->diff_anchors = c->diff_candidates = work->diff[QUERIES];
    c->rows = c->columns = sslcv__loss_rows(in);
    c->excludes_self = 1;
    c->weight = factor * mean * job->scale;
    status = sslcv__contrast_run(c, work->contrast, &sums);
    if (status != SSLCV_OK) return status;
    job->value = factor * mean * sums.loss;
    set_metrics(job, mean * sums.loss, c->columns - 1, sums.first, sums.anchors);
    return SSLCV_OK;
}

static sslcv_status score_two(const info_nce *self, sslcv__loss_job *job, const workspace *work, sslcv__contrast *c)
{
    const int64_t views = job->inputs[QUERIES].views, key_views = job->inputs[KEYS].views;
    const int64_t slice = job->samples * c->dim; /* of one view */
    const int64_t paired = views - first_paired(job);
    const double factor = self->reduction == SSLCV_REDUCTION_SUM ? (double)paired : 1.0;
    sslcv__contrast_sums sums = {0.0, 0, 0};
    double mean_loss = 0.0;
    int64_t v, w;

    c->rows = c->columns = job->samples;
    for (v = 0; v < views; v++) {
        for (w = 0; w < key_views; w++) {
            const double share = 1.0 / (double)(paired * count_pairs(job, v) * job->samples);
            const double before = sums.loss;
            sslcv_status status;

            if (!meets(job, v, w)) continue;
            c->anchors = work->unit[QUERIES] + v * slice;
            c->candidates = work->unit[KEYS] + w * slice;
            if (job->wants_diff) {
                c->diff_anchors = work->diff[QUERIES] + v * slice;
                c->diff_candidates = work->diff[KEYS] + w * slice;
            }
            c->weight = factor * share * job->scale;
            status = sslcv__contrast_run(c, work->contrast, &sums);
            if (status != SSLCV_OK) return status;
            mean_loss += share * (sums.loss - before);
        }
    }
    job->value = factor * mean_loss;
    set_metrics(job, mean_loss, job->samples, sums.first, sums.anchors);
    return SSLCV_OK;
}

static sslcv_status score_batch(const info_nce *self, sslcv__loss_job *job, const workspace *work)
{
    sslcv__contrast c = {.samples = job->samples, .dim = job->inputs[QUERIES].dim};

    c.scale = 1.0 / *self->loss.numbers[TEMPERATURE];
    return job->num_inputs == 1 ? score_one(self, job, work, &c) : score_two(self, job, work, &c);
}

/* ---- candidates from the queue ---- */

/** All queries that have a pair, after the queue has been scored. */
typedef struct meeting {
    const sslcv__loss_job *job;
    const workspace *work;
    const sslcv__scan *scan;
    double scale;  /* 1 / temperature */
    double weight; /* of a query in the gradient */
} meeting;

/** One query and one key. */
typedef struct pair {
    double loss;
    double pull, push; /* dl/da is pull * scan.pull - push * key, times scale */
    int first;
} pair;

static pair meet(const meeting *m, int64_t row, const float *key)
{
    const sslcv__scan *s = m->scan;
    const double cosine = sslcv__row_dot(s->rows + row * s->dim, key, s->dim), top = (double)s->top[row];
    const double highest = fmax(cosine, top);
    const double shrink = exp((top - highest) * m->scale), queue = s->sum[row] * shrink;
    const double own = exp((cosine - highest) * m->scale), all = queue + own;
    const pair p = {.loss = cosine >= top ? log1p(queue) : log(all) + (top - cosine) * m->scale,
                    .pull = shrink / all,
                    .push = queue / all,
                    .first = cosine - top > tie};

    return p;
}

static void meet_keys(const meeting *m, int64_t row, row_result *result)
{
    const sslcv__scan *s = m->scan;
    const int64_t samples = m->job->samples, d = s->dim, key_views = m->job->inputs[KEYS].views;
    const int64_t v = row / samples + first_paired(m->job);
    const float *keys = m->work->unit[KEYS] + row % samples * d;
    const double share = 1.0 / (double)count_pairs(m->job, v);
    const double weight = fmax(-1e30, fmin(m->weight * share * m->scale, 1e30)); /* no infinity: see contrast.c */
    float *diff = s->pull ? s->pull + row * d : NULL;
    double pull = 0.0;
    int64_t w;

    result->loss = 0.0;
    result->first = 0;
    for (w = 0; w < key_views; w++) {
        pair p;

        if (!meets(m->job, v, w)) continue;
        p = meet(m, row, keys + w * samples * d);
        result->loss += share * p.loss;
        result->first += p.first;
        pull += p.pull;
    }
    if (!diff) return;
    sslcv__row_scale(diff, d, (float)(weight * pull));
    for (w = 0; w < key_views; w++) {
        if (!meets(m->job, v, w)) continue;
        sslcv__row_add(keys + w * samples * d, d, (float)(-weight * meet(m, row, keys + w * samples * d).push), diff);
    }
}

static sslcv_status score_queue(const info_nce *self, sslcv__loss_job *job, const workspace *work)
{
    const int64_t rows = sslcv__loss_rows(&job->inputs[QUERIES]), skipped = first_paired(job) * job->samples;
    const double paired = (double)(job->inputs[QUERIES].views - first_paired(job));
    const double factor = self->reduction == SSLCV_REDUCTION_SUM ? paired : 1.0;
    sslcv__scan scan = scan_of(self, job, rows);
    meeting m = {.job = job, .work = work, .scan = &scan, .scale = 1.0 / *self->loss.numbers[TEMPERATURE]};
    double sum = 0.0;
    int64_t first = 0, anchors = 0, r;
    sslcv_status status;

    scan.rows = work->unit[QUERIES] + skipped * self->dim;
    scan.candidates = self->queue->value;
    scan.scale = (float)fmax(FLT_MIN, fmin(m.scale, FLT_MAX));
    scan.top = work->top;
    scan.sum = work->sum;
    if (job->wants_diff) scan.pull = work->diff[QUERIES] + skipped * self->dim;
    status = sslcv__scan_run(&scan, work->scan);
    if (status != SSLCV_OK) return status;
    m.weight = factor * job->scale / (double)scan.num_rows;
#pragma omp parallel for schedule(static)
    for (r = 0; r < scan.num_rows; r++) meet_keys(&m, r, &work->results[r]);
    for (r = 0; r < scan.num_rows; r++) {
        sum += work->results[r].loss;
        first += work->results[r].first;
        anchors += count_pairs(job, (r + skipped) / job->samples);
    }
    /* An infinite row may have probability 0, and then shows in the gradient alone. */
    if (scan.pull && !sslcv__all_finite(scan.pull, scan.num_rows * self->dim)) {
        return sslcv__fail(SSLCV_ERR_NUMERIC, "the queue of info_nce has NaN or infinity");
    }
    job->value = factor * sum / (double)scan.num_rows;
    set_metrics(job, sum / (double)scan.num_rows, self->queue_size + 1, first, anchors);
    return SSLCV_OK;
}

/* The last rows of the queue go on at its begin. */
static void remember(sslcv_loss *loss, const sslcv__loss_job *job)
{
    info_nce *self = (info_nce *)loss;
    int64_t *position = self->position->value, bytes, count, before_end;
    float *queue = self->queue->value;
    const size_t row_bytes = (size_t)self->dim * sizeof *queue;
    workspace work;

    if (lay_out(self, job, job->memory, &work, &bytes) != SSLCV_OK) return;
    count = sslcv__loss_rows(&job->inputs[KEYS]);
    before_end = self->queue_size - *position < count ? self->queue_size - *position : count;
    memcpy(queue + *position * self->dim, work.unit[KEYS], (size_t)before_end * row_bytes);
    memcpy(queue, work.unit[KEYS] + before_end * self->dim, (size_t)(count - before_end) * row_bytes);
    *position = (*position + count) % self->queue_size;
    sslcv__variable_changed(self->queue);
    sslcv__variable_changed(self->position);
}

static sslcv_status state_bytes(const sslcv_loss *loss, int64_t *bytes)
{
    const info_nce *self = (const info_nce *)loss;

    if (sslcv__multiply(self->queue_size, self->dim, bytes) && sslcv__multiply(*bytes, sizeof(float), bytes) &&
        sslcv__add(*bytes, sizeof(int64_t), bytes)) {
        return SSLCV_OK;
    }
    return sslcv__fail(SSLCV_ERR_LIMIT, "info_nce.queue_size %lld of dim %lld does not fit in memory",
                       (long long)self->queue_size, (long long)self->dim);
}

/* A row's stream is named by its number, so the first rows do not depend on queue_size. */
static void fill_queue(const info_nce *self, uint64_t seed)
{
    int64_t r, j;

    for (r = 0; r < self->queue_size; r++) {
        float *row = (float *)self->queue->value + r * self->dim;
        double length = 0.0;
        sslcv__rng rng;

        sslcv__rng_init(&rng, seed, (uint64_t)r, 0);
        for (j = 0; j < self->dim; j += 2) {
            double two[2];

            sslcv__rng_normal_pair(&rng, two);
            row[j] = (float)two[0];
            if (j + 1 < self->dim) row[j + 1] = (float)two[1];
        }
        length = sqrt(sslcv__row_dot(row, row, self->dim));
        sslcv__row_scale(row, self->dim, (float)(1.0 / fmax(length, 1e-12)));
    }
}

static sslcv_status open_queue(sslcv_loss *loss)
{
    info_nce *self = (info_nce *)loss;
    const int64_t shape[2] = {self->queue_size, self->dim};
    sslcv_status status;

    SSLCV__TRY(
        sslcv__variables_add(&loss->variables, "queue", SSLCV_F32, SSLCV_ROLE_BUFFER, 2, shape, NULL, &self->queue));
    SSLCV__TRY(sslcv__variables_add(&loss->variables, "queue_position", SSLCV_I64, SSLCV_ROLE_BUFFER, 0, NULL, NULL,
                                    &self->position));
    fill_queue(self, sslcv__rng_derive(self->seed, 0, SSLCV__STREAM_WEIGHTS));
end:
    return status;
}

/* ---- both ---- */

static sslcv_status score(const sslcv_loss *loss, sslcv__loss_job *job)
{
    const info_nce *self = (const info_nce *)loss;
    workspace work = {.contrast = NULL};
    int64_t bytes, i;
    sslcv_status status = lay_out(self, job, job->memory, &work, &bytes);

    if (status != SSLCV_OK) return status;
    for (i = 0; i < job->num_inputs; i++) {
        const sslcv__loss_input *in = &job->inputs[i];
        const int64_t rows = sslcv__loss_rows(in);

        sslcv__rows_normalize(in->data, rows, in->dim, work.unit[i], work.norms[i]);
        if (work.diff[i]) memset(work.diff[i], 0, (size_t)(rows * in->dim) * sizeof(float));
    }
    return self->queue_size ? score_queue(self, job, &work) : score_batch(self, job, &work);
}

static void differentiate(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    workspace work;
    int64_t bytes, i;

    if (lay_out((const info_nce *)loss, job, job->memory, &work, &bytes) != SSLCV_OK) return;
    for (i = 0; i < job->num_inputs; i++) {
        const sslcv__loss_input *in = &job->inputs[i];

        if (!in->diff) continue;
        sslcv__rows_normalize_backward(work.unit[i], work.norms[i], work.diff[i], sslcv__loss_rows(in), in->dim,
                                       in->diff);
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

static const sslcv__loss_kind queue_kind = {
    .name = "info_nce",
    .numbers = numbers,
    .num_numbers = 1,
    .metrics = metrics,
    .num_metrics = 2,
    .min_inputs = 2,
    .max_inputs = 2,
    .gradient_inputs = 1u << QUERIES,
    .check = check,
    .memory_bytes = memory_bytes,
    .score = score,
    .differentiate = differentiate,
    .state_bytes = state_bytes,
    .open = open_queue,
    .remember = remember,
};

static const sslcv_info_nce_options defaults = {
    .struct_size = sizeof defaults, .temperature = 0.1, .dim = 128, .reduction = SSLCV_REDUCTION_MEAN};

sslcv_status sslcv_info_nce_options_init(sslcv_info_nce_options *options, size_t struct_size)
{
    return sslcv__options_init("info_nce_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_options(const sslcv_info_nce_options *o)
{
    if (o->queue_size < 0) {
        return sslcv__invalid("info_nce.queue_size is %lld; must be 0 or more", (long long)o->queue_size);
    }
    if (o->dim < 1) return sslcv__invalid("info_nce.dim is %lld; must be 1 or more", (long long)o->dim);
    if (o->reduction != SSLCV_REDUCTION_MEAN && o->reduction != SSLCV_REDUCTION_SUM) {
        return sslcv__invalid("info_nce.reduction is %d; must be SSLCV_REDUCTION_MEAN or SUM", o->reduction);
    }
    if (o->reserved != 0) return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "info_nce.reserved is not 0");
    return SSLCV_OK;
}

sslcv_status sslcv_loss_create_info_nce(sslcv_context *context, const sslcv_info_nce_options *options, sslcv_loss **out)
{
    sslcv_info_nce_options o = defaults;
    info_nce *self = NULL;
    int64_t bytes;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!out) return sslcv__null("loss");
    SSLCV__TRY(sslcv__options_read("info_nce_options", options, sizeof defaults, &o, sizeof o));
    SSLCV__TRY(check_options(&o));
    SSLCV__TRY(sslcv__loss_create(context, o.queue_size ? &queue_kind : &kind, sizeof *self, &self));
    self->reduction = o.reduction;
    self->queue_size = o.queue_size;
    self->dim = o.dim;
    SSLCV__TRY(sslcv__loss_set_number(&self->loss, TEMPERATURE, o.temperature));
    if (o.queue_size) {
        SSLCV__TRY(state_bytes(&self->loss, &bytes));
        self->seed = sslcv__context_seed(context, o.seed);
    }
    *out = &self->loss;
    self = NULL;
end:
    sslcv__release(self);
    return status;
}
