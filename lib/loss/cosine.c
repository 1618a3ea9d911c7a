/**
 * Predictions that meet targets: BYOL, SimSiam.
 *
 * Grill et al.: Bootstrap Your Own Latent, 2020. Chen, He: Exploring Simple Siamese Representation Learning, 2021.
 *
 * For prediction p_v and target t_w of one sample, u = unit(p_v), s = unit(t_w), c = u . s:
 *
 *     l       = -c,  or squared: |u - s|^2 = 2 - 2 c
 *     dl/dp_v = -k (s - c u) / |p_v|,  k = 1, or 2 when squared        orthogonal to p_v
 *
 * and L = the mean over samples of the mean (or sum) of l over the pairs. Below the floor of unit(), where
 * u = 1e12 p_v, the term with c is absent.
 *
 * A sample's rows are its own affair: the first pass leaves lengths and, for each prediction, the sum of its cosines;
 * the second makes the gradient from them and the inputs. No unit rows are stored, and results do not depend on the
 * number of threads. All in double.
 */
#include "loss/loss.h"

#include "core/options.h"
#include "core/simd.h"

#include <math.h>

enum { PREDICTIONS = 0, TARGETS = 1 };
enum { COSINE = 0 };
enum { LANES = 16, CHUNK = 256 };

static const double norm_floor = 1e-12;

typedef struct cosine {
    sslcv_loss loss;
    int32_t squared, reduction;
} cosine;

/** Working memory: what the first pass leaves, row by row. */
typedef struct workspace {
    double *norms[2]; /* of predictions and targets */
    double *sums;     /* of a prediction's cosines with all targets that it meets */
} workspace;

/* ---- leaves ---- */

SSLCV__CLONES static double dot(const float *a, const float *b, int64_t dim)
{
    double lane[LANES] = {0.0}, sum = 0.0;
    int64_t j;
    int l;

    for (j = 0; j + LANES <= dim; j += LANES) {
        for (l = 0; l < LANES; l++) lane[l] += (double)a[j + l] * (double)b[j + l];
    }
    for (; j < dim; j++) sum += (double)a[j] * (double)b[j];
    for (l = 0; l < LANES; l++) sum += lane[l];
    return sum;
}

/* y <- y + factor * x */
SSLCV__CLONES static void add(const float *x, int64_t count, double factor, double *y)
{
    int64_t j;

    for (j = 0; j < count; j++) y[j] += factor * (double)x[j];
}

SSLCV__CLONES static void store(const double *x, int64_t count, float *y)
{
    int64_t j;

    for (j = 0; j < count; j++) y[j] = (float)x[j];
}

/* ---- one sample ---- */

static void score_sample(const sslcv__loss_job *job, const workspace *work, int64_t i)
{
    const sslcv__loss_input *p = &job->inputs[PREDICTIONS], *t = &job->inputs[TARGETS];
    const int64_t dim = p->dim;
    int64_t v, w;

    for (w = 0; w < t->views; w++) {
        const int64_t row = w * job->samples + i;
        const float *x = t->data + row * dim;

        work->norms[TARGETS][row] = sqrt(dot(x, x, dim));
    }
    for (v = 0; v < p->views; v++) {
        const int64_t row = v * job->samples + i;
        const float *x = p->data + row * dim;
        const double norm = sqrt(dot(x, x, dim));
        double sum = 0.0;

        for (w = 0; w < t->views; w++) {
            const int64_t other = w * job->samples + i;

            if (!sslcv__loss_is_pair(p->views, v, w)) continue;
            sum += dot(x, t->data + other * dim, dim) / fmax(work->norms[TARGETS][other], norm_floor);
        }
        work->norms[PREDICTIONS][row] = norm;
        work->sums[row] = sum / fmax(norm, norm_floor);
    }
}

/* weight: dL/dc of every pair. */
static void differentiate_row(const sslcv__loss_job *job, const workspace *work, int64_t v, int64_t i, double weight)
{
    const sslcv__loss_input *p = &job->inputs[PREDICTIONS], *t = &job->inputs[TARGETS];
    const int64_t dim = p->dim, row = v * job->samples + i;
    const double norm = work->norms[PREDICTIONS][row], outer = weight / fmax(norm, norm_floor);
    const double along = norm > norm_floor ? -outer * work->sums[row] / norm : 0.0;
    int64_t from, w;

    for (from = 0; from < dim; from += CHUNK) {
        const int64_t count = dim - from < CHUNK ? dim - from : CHUNK;
        double sums[CHUNK] = {0.0};

        for (w = 0; w < t->views; w++) {
            const int64_t other = w * job->samples + i;

            if (!sslcv__loss_is_pair(p->views, v, w)) continue;
            add(t->data + other * dim + from, count, outer / fmax(work->norms[TARGETS][other], norm_floor), sums);
        }
        add(p->data + row * dim + from, count, along, sums);
        store(sums, count, p->diff + row * dim + from);
    }
}

/* ---- all samples ---- */

static int lay_out(const sslcv__loss_job *job, void *base, workspace *work, int64_t *bytes)
{
    const int64_t rows = sslcv__loss_rows(&job->inputs[PREDICTIONS]);

    *bytes = 0;
    return sslcv__loss_place(base, bytes, rows, sizeof(double), &work->norms[PREDICTIONS]) &&
           sslcv__loss_place(base, bytes, sslcv__loss_rows(&job->inputs[TARGETS]), sizeof(double),
                             &work->norms[TARGETS]) &&
           sslcv__loss_place(base, bytes, rows, sizeof(double), &work->sums);
}

static sslcv_status memory_bytes(const sslcv_loss *loss, const sslcv__loss_job *job, int64_t *bytes)
{
    workspace work;

    return sslcv__loss_placed(loss, job, lay_out(job, NULL, &work, bytes));
}

/* Of each pair: 1 / N, and by the reduction over the pairs. */
static double share_of(const cosine *self, const sslcv__loss_job *job)
{
    const int64_t pairs = sslcv__loss_count_pairs(job->inputs[PREDICTIONS].views, job->inputs[TARGETS].views);

    return 1.0 / (double)job->samples / (self->reduction == SSLCV_REDUCTION_SUM ? 1.0 : (double)pairs);
}

static sslcv_status score(const sslcv_loss *loss, sslcv__loss_job *job)
{
    const cosine *self = (const cosine *)loss;
    const int64_t rows = sslcv__loss_rows(&job->inputs[PREDICTIONS]);
    const int64_t pairs = sslcv__loss_count_pairs(job->inputs[PREDICTIONS].views, job->inputs[TARGETS].views);
    workspace work;
    double sum = 0.0;
    int64_t bytes, i;

    lay_out(job, job->memory, &work, &bytes);
#pragma omp parallel for schedule(static)
    for (i = 0; i < job->samples; i++) score_sample(job, &work, i);
    for (i = 0; i < rows; i++) sum += work.sums[i];
    job->metrics[COSINE] = sum / (double)(pairs * job->samples);
    job->value = self->squared ? 2.0 * ((double)(pairs * job->samples) - sum) : -sum;
    job->value *= share_of(self, job);
    return SSLCV_OK;
}

static void differentiate(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const cosine *self = (const cosine *)loss;
    const double weight = -share_of(self, job) * (self->squared ? 2.0 : 1.0) * job->scale;
    const int64_t samples = job->samples, rows = sslcv__loss_rows(&job->inputs[PREDICTIONS]);
    workspace work;
    int64_t bytes, r;

    lay_out(job, job->memory, &work, &bytes);
#pragma omp parallel for schedule(static)
    for (r = 0; r < rows; r++) differentiate_row(job, &work, r / samples, r % samples, weight);
}

/* ---- creation ---- */

static const char *const metrics[] = {[COSINE] = "cosine"};

static const sslcv__loss_kind kind = {
    .name = "cosine",
    .metrics = metrics,
    .num_metrics = 1,
    .min_inputs = 2,
    .max_inputs = 2,
    .gradient_inputs = 1u << PREDICTIONS,
    .check = sslcv__loss_check_pairs,
    .memory_bytes = memory_bytes,
    .score = score,
    .differentiate = differentiate,
};

static const sslcv_cosine_options defaults = {.struct_size = sizeof defaults, .reduction = SSLCV_REDUCTION_MEAN};

sslcv_status sslcv_cosine_options_init(sslcv_cosine_options *options, size_t struct_size)
{
    return sslcv__options_init("cosine_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

sslcv_status sslcv_loss_create_cosine(sslcv_context *context, const sslcv_cosine_options *options, sslcv_loss **out)
{
    sslcv_cosine_options o = defaults;
    cosine *self = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!out) return sslcv__null("loss");
    SSLCV__TRY(sslcv__options_read("cosine_options", options, sizeof defaults, &o, sizeof o));
    if (o.squared != 0 && o.squared != 1) return sslcv__invalid("cosine.squared is %d; must be 0 or 1", o.squared);
    if (o.reduction != SSLCV_REDUCTION_MEAN && o.reduction != SSLCV_REDUCTION_SUM) {
        return sslcv__invalid("cosine.reduction is %d; must be SSLCV_REDUCTION_MEAN or SUM", o.reduction);
    }
    SSLCV__TRY(sslcv__loss_create(context, &kind, sizeof *self, &self));
    self->squared = o.squared;
    self->reduction = o.reduction;
    *out = &self->loss;
    self = NULL;
end:
    sslcv__release(self);
    return status;
}
