/**
 * Self-distillation: DINO.
 *
 * Caron, Touvron, Misra, Jegou, Mairal, Bojanowski, Joulin: Emerging Properties in Self-Supervised Vision Transformers,
 * 2021.
 *
 * For one sample, with the student's scores s_v, the teacher's t_w, and temperatures a and b:
 *
 *     q_w     = softmax((t_w - center) / b),  p_v = softmax(s_v / a),  m = max s_v,  Z = sum of exp((s_v - m) / a)
 *     l       = -sum over k of q_w[k] log p_v[k] = log Z + 1/a sum over k of q_w[k] (m - s_v[k])
 *     dl/ds_v = (p_v - q_w) / a
 *
 * Every term of l is >= 0, so nothing cancels. L is the mean of l over pairs of views and samples; the divergence is l
 * less the entropy of q_w.
 *
 * Rows are long (65,536), so each is read in chunks that stay in the first cache, and probabilities of the student are
 * never stored: the score leaves m and Z of each row, the gradient makes exp((s_v - m) / a) again, in place. The
 * teacher's are needed by several views of a sample, and for their mean, and so are kept for a block of samples:
 *
 *     for each block of samples:
 *         for each sample, by one thread:   q_w for all w, then l for all v
 *         for each chunk of prototypes:     sum of q over the block          assignment_entropy
 *
 * If one block holds the batch, the gradient finds q where the score left it. No result depends on the number of
 * threads.
 */
#include "loss/loss.h"

#include "core/options.h"
#include "core/simd.h"
#include "nn/kernels.h"
#include "nn/softmax.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { STUDENT_TEMPERATURE = 0, TEACHER_TEMPERATURE = 1, CENTER_MOMENTUM = 2 };
enum { ASSIGNMENT_ENTROPY = 0, TEACHER_ENTROPY = 1, DIVERGENCE = 2 };
enum { STUDENT = 0, TEACHER = 1 };
enum { CHUNK = 1024, LANES = 16 };
enum { BLOCK_FLOATS = 1 << 22 }; /* 16 MiB of the teacher's probabilities */

typedef struct dino {
    sslcv_loss loss;
    int64_t dim;
    sslcv__variable *center; /* (dim); NULL: not opened yet */
} dino;

/** What a row of the student leaves for its gradient. */
typedef struct student_row {
    double sum; /* Z */
    float top;  /* m */
    int32_t reserved;
} student_row;

/** Sums over the pairs of a sample, and over its rows of the teacher. */
typedef struct sample_result {
    double loss, entropy;
} sample_result;

/** Working memory: assignments | rows | results | mean | entropies */
typedef struct workspace {
    float *assignments;     /* q: (block, W, dim) */
    student_row *rows;      /* (V, N) */
    sample_result *results; /* (N) */
    double *mean;           /* (dim): sum of q */
    double *entropies;      /* (chunks of dim) */
    int64_t block;          /* samples at a time */
} workspace;

/** What the rows of a job have in common. */
typedef struct problem {
    const sslcv__loss_input *student, *teacher;
    const float *center;
    int64_t samples, dim;
    float student_scale, teacher_scale; /* one over the temperatures */
} problem;

/* ---- leaves. Scores may be as large as floats go: differences are taken of halves and quarters ---- */

/* y <- (t - center) / 4 */
SSLCV__CLONES static void take_center(const float *t, const float *center, int64_t count, float *y)
{
    int64_t k;

    for (k = 0; k < count; k++) y[k] = 0.25f * t[k] - 0.25f * center[k];
}

/* Sum of q * part * (top - x). */
SSLCV__CLONES static double distance(const float *q, const float *x, int64_t count, float top, float part)
{
    const float shift = part * top;
    double lane[LANES] = {0.0}, sum = 0.0;
    int64_t k;
    int l;

    for (k = 0; k + LANES <= count; k += LANES) {
        for (l = 0; l < LANES; l++) lane[l] += (double)(q[k + l] * (shift - part * x[k + l]));
    }
    for (; k < count; k++) sum += (double)(q[k] * (shift - part * x[k]));
    for (l = 0; l < LANES; l++) sum += lane[l];
    return sum;
}

SSLCV__CLONES static void add(const float *x, int64_t count, double *sums)
{
    int64_t k;

    for (k = 0; k < count; k++) sums[k] += (double)x[k];
}

/* ---- rows ---- */

static int64_t chunk_at(int64_t from, int64_t dim)
{
    return dim - from < CHUNK ? dim - from : CHUNK;
}

/* q <- softmax((t - center) / b). Returns its entropy. */
static double assign(const problem *p, const float *t, float *q)
{
    const float scale = 4.0f * p->teacher_scale;
    double sum = 0.0, below = 0.0;
    float a[CHUNK], top = -FLT_MAX;
    int64_t from;

    for (from = 0; from < p->dim; from += CHUNK) {
        const int64_t count = chunk_at(from, p->dim);
        float highest;

        take_center(t + from, p->center + from, count, a);
        highest = sslcv__row_max(a, count);
        top = highest > top ? highest : top;
    }
    for (from = 0; from < p->dim; from += CHUNK) {
        const int64_t count = chunk_at(from, p->dim);

        take_center(t + from, p->center + from, count, a);
        sum += sslcv__row_exp(a, count, top, scale, q + from);
        below += distance(q + from, a, count, top, 1.0f);
    }
    sslcv__row_scale(q, p->dim, (float)(1.0 / sum));
    return log(sum) + (double)scale * below / sum;
}

/* Sum of l over the views w that view v meets; q: (W, dim). */
static double score_student(const problem *p, int64_t v, const float *s, const float *q, student_row *row)
{
    double sum = 0.0, below = 0.0, met = 0.0;
    float exponentials[CHUNK];
    int64_t from, w;

    row->top = sslcv__row_max(s, p->dim);
    for (from = 0; from < p->dim; from += CHUNK) {
        const int64_t count = chunk_at(from, p->dim);

        sum += sslcv__row_exp(s + from, count, row->top, p->student_scale, exponentials);
        for (w = 0; w < p->teacher->views; w++) {
            if (!sslcv__loss_is_pair(p->student->views, v, w)) continue;
            below += distance(q + w * p->dim + from, s + from, count, row->top, 0.5f);
        }
    }
    for (w = 0; w < p->teacher->views; w++) met += sslcv__loss_is_pair(p->student->views, v, w) ? 1.0 : 0.0;
    row->sum = sum;
    return met * log(sum) + 2.0 * (double)p->student_scale * below;
}

/* diff <- factor * sum over the views w that v meets of (p - q_w). */
static void differentiate_student(const problem *p, int64_t v, const float *s, const float *q, const student_row *row,
                                  float factor, float *diff)
{
    float met = 0.0f;
    int64_t from, w;

    for (w = 0; w < p->teacher->views; w++) met += sslcv__loss_is_pair(p->student->views, v, w) ? 1.0f : 0.0f;
    if (met == 0.0f) {
        memset(diff, 0, (size_t)p->dim * sizeof *diff);
        return;
    }
    for (from = 0; from < p->dim; from += CHUNK) {
        const int64_t count = chunk_at(from, p->dim);

        sslcv__row_exp(s + from, count, row->top, p->student_scale, diff + from);
        sslcv__row_scale(diff + from, count, (float)((double)met / row->sum));
        for (w = 0; w < p->teacher->views; w++) {
            if (sslcv__loss_is_pair(p->student->views, v, w)) {
                sslcv__row_add(q + w * p->dim + from, count, -1.0f, diff + from);
            }
        }
        sslcv__row_scale(diff + from, count, factor);
    }
}

/* ---- samples ---- */

static double assign_sample(const problem *p, int64_t i, float *q)
{
    double entropy = 0.0;
    int64_t w;

    for (w = 0; w < p->teacher->views; w++) {
        entropy += assign(p, p->teacher->data + (w * p->samples + i) * p->dim, q + w * p->dim);
    }
    return entropy;
}

static void score_sample(const problem *p, const workspace *work, int64_t i, float *q)
{
    sample_result *result = &work->results[i];
    int64_t v;

    result->entropy = assign_sample(p, i, q);
    result->loss = 0.0;
    for (v = 0; v < p->student->views; v++) {
        const int64_t row = v * p->samples + i;

        if (sslcv__loss_is_pair(p->student->views, v, 0) || p->teacher->views > 1) {
            result->loss += score_student(p, v, p->student->data + row * p->dim, q, &work->rows[row]);
        }
    }
}

static void differentiate_sample(const problem *p, const workspace *work, int64_t i, const float *q, float factor)
{
    int64_t v;

    for (v = 0; v < p->student->views; v++) {
        const int64_t row = v * p->samples + i, at = row * p->dim;

        differentiate_student(p, v, p->student->data + at, q, &work->rows[row], factor, p->student->diff + at);
    }
}

/* ---- assignments as a whole ---- */

static void add_assignments(const problem *p, const workspace *work, int64_t samples, int is_first)
{
    const int64_t rows = samples * p->teacher->views;
    int64_t from;

#pragma omp parallel for schedule(static)
    for (from = 0; from < p->dim; from += CHUNK) {
        const int64_t count = chunk_at(from, p->dim);
        int64_t r;

        if (is_first) memset(work->mean + from, 0, (size_t)count * sizeof *work->mean);
        for (r = 0; r < rows; r++) add(work->assignments + r * p->dim + from, count, work->mean + from);
    }
}

/* Entropy of the mean of all rows of q. */
static double assignment_entropy(const problem *p, const workspace *work)
{
    const double rows = (double)(p->samples * p->teacher->views);
    double entropy = 0.0;
    int64_t from;

#pragma omp parallel for schedule(static)
    for (from = 0; from < p->dim; from += CHUNK) {
        const int64_t count = chunk_at(from, p->dim);
        double sum = 0.0;
        int64_t k;

        for (k = from; k < from + count; k++) {
            const double share = work->mean[k] / rows;

            if (share > 0.0) sum -= share * log(share);
        }
        work->entropies[from / CHUNK] = sum;
    }
    for (from = 0; from < p->dim; from += CHUNK) entropy += work->entropies[from / CHUNK];
    return entropy;
}

/* ---- jobs ---- */

static sslcv_status check(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const dino *self = (const dino *)loss;
    const sslcv_status status = sslcv__loss_check_pairs(loss, job);

    if (status != SSLCV_OK) return status;
    if (job->inputs[STUDENT].dim == self->dim) return SSLCV_OK;
    return sslcv__invalid("inputs[0] has %lld dimensions; dino.dim is %lld", (long long)job->inputs[STUDENT].dim,
                          (long long)self->dim);
}

static int lay_out(const sslcv__loss_job *job, void *base, workspace *work, int64_t *bytes)
{
    const int64_t dim = job->inputs[STUDENT].dim, views = job->inputs[TEACHER].views;

    *bytes = 0;
    work->block = BLOCK_FLOATS / dim / views;
    if (work->block < 1) work->block = 1;
    if (work->block > job->samples) work->block = job->samples;
    return sslcv__loss_place(base, bytes, work->block * views * dim, sizeof(float), &work->assignments) &&
           sslcv__loss_place(base, bytes, sslcv__loss_rows(&job->inputs[STUDENT]), sizeof(student_row), &work->rows) &&
           sslcv__loss_place(base, bytes, job->samples, sizeof(sample_result), &work->results) &&
           sslcv__loss_place(base, bytes, dim, sizeof(double), &work->mean) &&
           sslcv__loss_place(base, bytes, dim / CHUNK + 1, sizeof(double), &work->entropies);
}

static sslcv_status memory_bytes(const sslcv_loss *loss, const sslcv__loss_job *job, int64_t *bytes)
{
    workspace work;

    return sslcv__loss_placed(loss, job, lay_out(job, NULL, &work, bytes));
}

/* One over a temperature; those below what floats can divide by count as the smallest that they can. */
static float inverse(double temperature)
{
    return (float)fmin(1.0 / temperature, 0.125 * (double)FLT_MAX);
}

static problem problem_of(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const dino *self = (const dino *)loss;
    const problem p = {&job->inputs[STUDENT],
                       &job->inputs[TEACHER],
                       self->center->value,
                       job->samples,
                       self->dim,
                       inverse(*loss->numbers[STUDENT_TEMPERATURE]),
                       inverse(*loss->numbers[TEACHER_TEMPERATURE])};

    return p;
}

static int64_t count_terms(const problem *p)
{
    return sslcv__loss_count_pairs(p->student->views, p->teacher->views) * p->samples;
}

static sslcv_status score(const sslcv_loss *loss, sslcv__loss_job *job)
{
    const problem p = problem_of(loss, job);
    const int64_t slice = p.teacher->views * p.dim; /* of q, for one sample */
    double sum = 0.0, entropy = 0.0;
    workspace work;
    int64_t bytes, from, i;

    if (!sslcv__all_finite(p.center, p.dim)) {
        return sslcv__fail(SSLCV_ERR_NUMERIC, "dino's center has NaN or infinity"); /* from a checkpoint */
    }
    lay_out(job, job->memory, &work, &bytes);
    for (from = 0; from < p.samples; from += work.block) {
        const int64_t count = p.samples - from < work.block ? p.samples - from : work.block;

#pragma omp parallel for schedule(static)
        for (i = 0; i < count; i++) score_sample(&p, &work, from + i, work.assignments + i * slice);
        add_assignments(&p, &work, count, from == 0);
    }
    for (i = 0; i < p.samples; i++) {
        sum += work.results[i].loss;
        entropy += work.results[i].entropy;
    }
    job->value = sum / (double)count_terms(&p);
    job->metrics[ASSIGNMENT_ENTROPY] = assignment_entropy(&p, &work);
    job->metrics[TEACHER_ENTROPY] = entropy / (double)(p.samples * p.teacher->views);
    job->metrics[DIVERGENCE] = fmax(0.0, job->value - job->metrics[TEACHER_ENTROPY]); /* each q_w in as many pairs */
    return SSLCV_OK;
}

static void differentiate(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const problem p = problem_of(loss, job);
    const int64_t slice = p.teacher->views * p.dim;
    const double factor = job->scale / (double)count_terms(&p) * (double)p.student_scale;
    const float limited = (float)fmax(fmin(factor, (double)FLT_MAX), -(double)FLT_MAX);
    workspace work;
    int64_t bytes, from, i;

    lay_out(job, job->memory, &work, &bytes);
    for (from = 0; from < p.samples; from += work.block) {
        const int64_t count = p.samples - from < work.block ? p.samples - from : work.block;

#pragma omp parallel for schedule(static)
        for (i = 0; i < count; i++) {
            float *q = work.assignments + i * slice;

            if (work.block < p.samples) assign_sample(&p, from + i, q);
            differentiate_sample(&p, &work, from + i, q, limited);
        }
    }
}

static void remember(sslcv_loss *loss, const sslcv__loss_job *job)
{
    const dino *self = (const dino *)loss;
    const problem p = problem_of(loss, job);
    const double momentum = *loss->numbers[CENTER_MOMENTUM];
    const int64_t rows = p.teacher->views * p.samples;
    float *center = self->center->value;
    int64_t from;

#pragma omp parallel for schedule(static)
    for (from = 0; from < p.dim; from += CHUNK) {
        const int64_t count = chunk_at(from, p.dim);
        double sums[CHUNK] = {0.0};
        int64_t r, k;

        for (r = 0; r < rows; r++) add(p.teacher->data + r * p.dim + from, count, sums);
        for (k = 0; k < count; k++) {
            center[from + k] = (float)(momentum * (double)center[from + k] + (1.0 - momentum) * sums[k] / (double)rows);
        }
    }
    sslcv__variable_changed(self->center);
}

/* ---- creation ---- */

static sslcv_status state_bytes(const sslcv_loss *loss, int64_t *bytes)
{
    *bytes = ((const dino *)loss)->dim * (int64_t)sizeof(float);
    return SSLCV_OK;
}

static sslcv_status open_center(sslcv_loss *loss)
{
    dino *self = (dino *)loss;

    return sslcv__variables_add(&loss->variables, "center", SSLCV_F32, SSLCV_ROLE_BUFFER, 1, &self->dim, NULL,
                                &self->center);
}

static const sslcv__loss_number numbers[] = {[STUDENT_TEMPERATURE] = {"student_temperature", DBL_MIN, DBL_MAX, "> 0"},
                                             [TEACHER_TEMPERATURE] = {"teacher_temperature", DBL_MIN, DBL_MAX, "> 0"},
                                             [CENTER_MOMENTUM] = {"center_momentum", 0.0, 1.0, "0 .. 1"}};
static const char *const metrics[] = {
    [ASSIGNMENT_ENTROPY] = "assignment_entropy", [TEACHER_ENTROPY] = "teacher_entropy", [DIVERGENCE] = "divergence"};

static const sslcv__loss_kind kind = {
    .name = "dino",
    .numbers = numbers,
    .num_numbers = 3,
    .metrics = metrics,
    .num_metrics = 3,
    .min_inputs = 2,
    .max_inputs = 2,
    .gradient_inputs = 1u << STUDENT,
    .check = check,
    .memory_bytes = memory_bytes,
    .score = score,
    .differentiate = differentiate,
    .state_bytes = state_bytes,
    .open = open_center,
    .remember = remember,
};

static const sslcv_dino_options defaults = {.struct_size = sizeof defaults,
                                            .dim = 65536,
                                            .student_temperature = 0.1,
                                            .teacher_temperature = 0.04,
                                            .center_momentum = 0.9};

sslcv_status sslcv_dino_options_init(sslcv_dino_options *options, size_t struct_size)
{
    return sslcv__options_init("dino_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

sslcv_status sslcv_loss_create_dino(sslcv_context *context, const sslcv_dino_options *options, sslcv_loss **out)
{
    sslcv_dino_options o = defaults;
    dino *self = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!out) return sslcv__null("loss");
    SSLCV__TRY(sslcv__options_read("dino_options", options, sizeof defaults, &o, sizeof o));
    if (o.dim < 1 || o.dim > INT64_MAX / (int64_t)sizeof(double)) {
        return sslcv__invalid("dino.dim is %lld; must be 1 or more, and fit in memory", (long long)o.dim);
    }
    SSLCV__TRY(sslcv__loss_create(context, &kind, sizeof *self, &self));
    self->dim = o.dim;
    SSLCV__TRY(sslcv__loss_set_number(&self->loss, STUDENT_TEMPERATURE, o.student_temperature));
    SSLCV__TRY(sslcv__loss_set_number(&self->loss, TEACHER_TEMPERATURE, o.teacher_temperature));
    SSLCV__TRY(sslcv__loss_set_number(&self->loss, CENTER_MOMENTUM, o.center_momentum));
    *out = &self->loss;
    self = NULL;
end:
    sslcv__release(self);
    return status;
}
