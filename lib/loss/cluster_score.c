/**
 * Clusters as labels: a call. With u the R = V N unit rows, C_h the unit prototypes of set h, s = C_h u, t the
 * temperature, p = softmax(s / t), l the row's label in set h, and R_h the rows that have one:
 *
 *     L        = mean over h of 1 / R_h sum over those rows of log( sum over k of exp(s_k / t) ) - s_l / t
 *     dL/ds_k  = (p_k - [k = l]) / (t R_h H)
 *     dL/du    = sum over h of C_h^T dL/ds                and back through the unit length by rows.h
 *
 * Scores are made in blocks of rows, which become dL/ds in place. All of it happens in score, as gemm may fail.
 */
#include "loss/cluster.h"

#include "core/checked.h"
#include "dnn/dnn.h"
#include "nn/kernels.h"
#include "nn/rows.h"
#include "nn/softmax.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { BLOCK_FLOATS = 1 << 22 /* 16 MiB of scores */ };

/* Above it a gradient may leave the range of float on its way to the inputs. */
static const double largest_weight = 1e18;

typedef struct row_result {
    double loss;
    int64_t first; /* 1: the label's prototype is predicted */
} row_result;

/** Working memory of a job. */
typedef struct workspace {
    float *unit; /* (V, N, D) */
    float *diff; /* with respect to it, then to the input */
    double *norms;
    float *block; /* (block_rows, K) */
    int64_t block_rows;
    row_result *results; /* (V, N) */
} workspace;

/* ---- memory ---- */

static sslcv_status lay_out(const sslcv__cluster *self, const sslcv__loss_job *job, void *base, workspace *work,
                            int64_t *bytes)
{
    const sslcv__loss_input *in = &job->inputs[0];
    const int64_t k = self->options.num_prototypes;
    int64_t rows, values;
    int fits;

    *bytes = 0;
    fits = sslcv__multiply(in->views, in->samples, &rows) && sslcv__multiply(rows, in->dim, &values);
    if (!fits) return sslcv__loss_placed(&self->loss, job, 0);
    work->block_rows = k < BLOCK_FLOATS ? BLOCK_FLOATS / k : 1;
    if (work->block_rows > rows) work->block_rows = rows;
    fits = sslcv__loss_place(base, bytes, values, sizeof(float), &work->unit) &&
           sslcv__loss_place(base, bytes, values, sizeof(float), &work->diff) &&
           sslcv__loss_place(base, bytes, rows, sizeof(double), &work->norms) &&
           sslcv__loss_place(base, bytes, work->block_rows * k, sizeof(float), &work->block) &&
           sslcv__loss_place(base, bytes, rows, sizeof *work->results, &work->results);
    return sslcv__loss_placed(&self->loss, job, fits);
}

sslcv_status sslcv__cluster_memory_bytes(const sslcv_loss *loss, const sslcv__loss_job *job, int64_t *bytes)
{
    workspace work;

    return lay_out((const sslcv__cluster *)loss, job, NULL, &work, bytes);
}

/* ---- a call ---- */

/* A checkpoint may have brought any label. */
static sslcv_status check_labels(const sslcv__cluster *self, const sslcv__loss_job *job)
{
    const sslcv_cluster_options *o = &self->options;
    int64_t h, i;

    for (i = 0; i < job->samples; i++) {
        if (job->ids[i] >= o->num_samples) {
            return sslcv__invalid("call.ids[%lld] is %lld; must be below cluster.num_samples, %lld", (long long)i,
                                  (long long)job->ids[i], (long long)o->num_samples);
        }
        for (h = 0; h < o->num_sets; h++) {
            const int64_t label = self->labels[h][job->ids[i]];

            if (label < -1 || label >= o->num_prototypes) {
                return sslcv__invalid("labels.%lld[%lld] is %lld; must be -1 .. %lld", (long long)h,
                                      (long long)job->ids[i], (long long)label, (long long)o->num_prototypes - 1);
            }
        }
    }
    return SSLCV_OK;
}

sslcv_status sslcv__cluster_check(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const sslcv__cluster *self = (const sslcv__cluster *)loss;
    const sslcv__loss_input *in = &job->inputs[0];
    const sslcv_status status = sslcv__loss_check_positions(loss, job);

    if (status != SSLCV_OK) return status;
    if (in->dim != self->options.dim) {
        return sslcv__invalid("inputs[0] has %lld dimensions; must be cluster.dim, %lld", (long long)in->dim,
                              (long long)self->options.dim);
    }
    if (in->views < self->options.memory_views) {
        return sslcv__invalid("inputs[0] has %lld views; must be cluster.memory_views, %lld, or more",
                              (long long)in->views, (long long)self->options.memory_views);
    }
    return check_labels(self, job);
}

/** One set over all rows. */
typedef struct pass {
    const sslcv__cluster *self;
    const sslcv__loss_job *job;
    const workspace *work;
    const float *prototypes;
    const int64_t *labels;
    double inverse_temperature;
    double weight; /* of a row in the gradient */
} pass;

static int64_t label_of(const pass *p, int64_t row)
{
    return p->labels[p->job->ids[row % p->job->samples]];
}

static int is_first(const float *scores, int64_t count, int64_t label, float top)
{
    int64_t k, equal = 0;

    if (scores[label] < top) return 0;
    for (k = 0; k < count; k++) equal += scores[k] == top;
    return equal == 1;
}

/* Scores become the gradient by them. */
static void score_row(const pass *p, int64_t row, float *scores)
{
    const int64_t count = p->self->options.num_prototypes, label = label_of(p, row);
    row_result *result = &p->work->results[row];
    double distance, sum;
    float top;

    *result = (row_result){0.0, 0};
    if (label < 0) {
        if (p->job->wants_diff) memset(scores, 0, (size_t)count * sizeof *scores);
        return;
    }
    top = sslcv__row_max(scores, count);
    distance = ((double)top - (double)scores[label]) * p->inverse_temperature;
    result->first = is_first(scores, count, label, top);
    sum = sslcv__row_exp(scores, count, top, (float)p->inverse_temperature, scores);
    result->loss = log(sum) + distance;
    if (!p->job->wants_diff) return;
    {
        const double share = p->weight / sum, own = share * (double)scores[label] - p->weight;

        sslcv__row_scale(scores, count, (float)share);
        scores[label] = (float)own;
    }
}

static sslcv_status run_pass(const pass *p, int is_first_set)
{
    const workspace *work = p->work;
    const int64_t rows = sslcv__loss_rows(&p->job->inputs[0]), d = p->self->options.dim;
    const int64_t k = p->self->options.num_prototypes;
    int64_t from, i;

    for (from = 0; from < rows; from += work->block_rows) {
        const int64_t count = rows - from < work->block_rows ? rows - from : work->block_rows;
        sslcv_status status =
            sslcv__gemm(0, 1, count, k, d, 1.0f, work->unit + from * d, d, p->prototypes, d, 0.0f, work->block, k);

        if (status != SSLCV_OK) return status;
#pragma omp parallel for schedule(static)
        for (i = 0; i < count; i++) score_row(p, from + i, work->block + i * k);
        if (!p->job->wants_diff) continue;
        status = sslcv__gemm(0, 0, count, d, k, 1.0f, work->block, k, p->prototypes, d, is_first_set ? 0.0f : 1.0f,
                             work->diff + from * d, d);
        if (status != SSLCV_OK) return status;
    }
    return SSLCV_OK;
}

/* Rows of a set that have a label. */
static int64_t count_rows(const pass *p)
{
    int64_t count = 0, i;

    for (i = 0; i < p->job->samples; i++) count += label_of(p, i) >= 0;
    return count * p->job->inputs[0].views;
}

/* Adds a set to value and top1. */
static sslcv_status score_set(pass *p, int64_t h, sslcv__loss_job *job)
{
    const int64_t rows = sslcv__loss_rows(&job->inputs[0]), counted = count_rows(p);
    const double sets = (double)p->self->options.num_sets;
    double sum = 0.0, first = 0.0;
    int64_t r;
    sslcv_status status;

    if (counted == 0) {
        const int64_t values = rows * p->self->options.dim;

        if (h == 0 && job->wants_diff) memset(p->work->diff, 0, (size_t)values * sizeof *p->work->diff);
        return SSLCV_OK;
    }
    p->weight = job->scale * p->inverse_temperature / ((double)counted * sets);
    if (!(p->inverse_temperature <= FLT_MAX) || (job->wants_diff && !(fabs(p->weight) <= largest_weight))) {
        return sslcv__fail(SSLCV_ERR_NUMERIC, "gradients of cluster at scale %g and temperature %g are too large",
                           job->scale, *p->self->loss.numbers[SSLCV__CLUSTER_TEMPERATURE]);
    }
    status = run_pass(p, h == 0);
    if (status != SSLCV_OK) return status;
    for (r = 0; r < rows; r++) {
        sum += p->work->results[r].loss;
        first += (double)p->work->results[r].first;
    }
    job->value += sum / ((double)counted * sets);
    job->metrics[SSLCV__CLUSTER_TOP1] += first / ((double)counted * sets);
    return SSLCV_OK;
}

sslcv_status sslcv__cluster_score(const sslcv_loss *loss, sslcv__loss_job *job)
{
    const sslcv__cluster *self = (const sslcv__cluster *)loss;
    const sslcv__loss_input *in = &job->inputs[0];
    const int64_t rows = sslcv__loss_rows(in);
    workspace work;
    pass p = {.self = self, .job = job, .work = &work};
    int64_t bytes, h;
    sslcv_status status;

    SSLCV__TRY(lay_out(self, job, job->memory, &work, &bytes));
    p.inverse_temperature = 1.0 / *loss->numbers[SSLCV__CLUSTER_TEMPERATURE];
    sslcv__rows_normalize(in->data, rows, in->dim, work.unit, work.norms);
    job->value = job->metrics[SSLCV__CLUSTER_TOP1] = 0.0;
    for (h = 0; h < self->options.num_sets; h++) {
        p.prototypes = self->prototypes[h];
        p.labels = self->labels[h];
        SSLCV__TRY(score_set(&p, h, job));
    }
    for (h = 0; h < SSLCV__CLUSTER_FIGURES; h++) job->metrics[SSLCV__CLUSTER_OBJECTIVE + h] = self->figures[h];
    if (!job->wants_diff) goto end;
    sslcv__rows_normalize_backward(work.unit, work.norms, work.diff, rows, in->dim, work.diff);
    if (!sslcv__all_finite(work.diff, rows * in->dim)) {
        return sslcv__fail(SSLCV_ERR_NUMERIC, "a gradient of cluster is not finite; cluster.temperature is %g",
                           *loss->numbers[SSLCV__CLUSTER_TEMPERATURE]);
    }
end:
    return status;
}

void sslcv__cluster_differentiate(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const sslcv__loss_input *in = &job->inputs[0];
    workspace work;
    int64_t bytes;

    if (lay_out((const sslcv__cluster *)loss, job, job->memory, &work, &bytes) != SSLCV_OK) return;
    memcpy(in->diff, work.diff, (size_t)(sslcv__loss_rows(in) * in->dim) * sizeof *in->diff);
}

/* Of a sample twice in a batch the last counts. */
void sslcv__cluster_remember(sslcv_loss *loss, const sslcv__loss_job *job)
{
    const sslcv__cluster *self = (const sslcv__cluster *)loss;
    const int64_t d = self->options.dim;
    workspace work;
    int64_t bytes, v, i;

    if (lay_out(self, job, job->memory, &work, &bytes) != SSLCV_OK) return;
    for (v = 0; v < self->options.memory_views; v++) {
        for (i = 0; i < job->samples; i++) {
            memcpy(self->memory[v] + job->ids[i] * d, work.unit + (v * job->samples + i) * d,
                   (size_t)d * sizeof(float));
        }
    }
}
