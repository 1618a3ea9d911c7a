/**
 * Cross-entropy with labels or soft targets.
 *
 * Row x of C logits with target weights y, Y = sum over c of y_c (1 for labels), m = max x, Z = sum of exp(x_c - m):
 *
 *     l        = - sum over c of y_c log softmax(x)_c = Y log Z + sum over c of y_c (m - x_c)
 *     dl/dx_c  = Y exp(x_c - m) / Z - y_c
 *
 * Every term of l is >= 0, so nothing cancels. Smoothing by e mixes the uniform distribution in (Szegedy et al.,
 * Rethinking the Inception Architecture, 2016):
 *
 *     y = (1 - e) t + e / C,   t: one-hot of the label, or the row of targets
 *
 * L is the mean of l over the rows that count; those with label -1 do not, and get gradient 0.
 */
#include "loss/loss.h"

#include "core/checked.h"
#include "core/options.h"
#include "nn/softmax.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { LABEL_SMOOTHING = 0 };
enum { TOP1 = 0 };

/** What a row leaves for its gradient, beside its exponentials. */
typedef struct row_result {
    double loss;
    double sum;    /* Z */
    double weight; /* Y */
    int64_t first; /* 1: the label's logit is above all others */
} row_result;

/** Working memory of a job. */
typedef struct workspace {
    row_result *results; /* (V * N) */
    float *exponentials; /* (V * N, C): exp(x - m) */
} workspace;

/** Target weights of one row: y_c = share * (targets[c], or [c = label]) + base. */
typedef struct row_target {
    const float *targets; /* (C); NULL: label */
    int64_t label;        /* of targets: the first largest */
    double share, base;
} row_target;

/* ---- one row ---- */

static int64_t label_of(const sslcv__loss_job *job, int64_t row)
{
    return job->labels ? job->labels[row % job->samples] : 0;
}

static row_target target_of(const sslcv_loss *loss, const sslcv__loss_job *job, int64_t row)
{
    const int64_t classes = job->inputs[0].dim;
    const double smoothing = *loss->numbers[LABEL_SMOOTHING];
    row_target target = {NULL, label_of(job, row), 1.0 - smoothing, smoothing / (double)classes};
    int64_t c;

    if (!job->targets) return target;
    target.targets = job->targets + row % job->samples * classes;
    target.label = 0;
    for (c = 1; c < classes; c++) {
        if (target.targets[c] > target.targets[target.label]) target.label = c;
    }
    return target;
}

static double weight_of(const row_target *target, int64_t c)
{
    const double t = target->targets ? (double)target->targets[c] : (double)(c == target->label);

    return target->share * t + target->base;
}

/* Labels without smoothing need no sum over the classes. */
static int is_one_hot(const row_target *target)
{
    return !target->targets && target->base == 0.0;
}

static int is_first(const row_target *target, const float *x, int64_t classes, float top)
{
    int64_t c, equal = 0;

    if (x[target->label] < top) return 0;
    for (c = 0; c < classes; c++) equal += x[c] == top;
    return equal == 1;
}

static void score_row(const row_target *target, const float *x, int64_t classes, row_result *result, float *e)
{
    const float top = sslcv__row_max(x, classes);
    double weight = 0.0, distance = 0.0;
    int64_t c;

    if (is_one_hot(target)) {
        weight = target->share;
        distance = target->share * ((double)top - (double)x[target->label]);
    } else {
        for (c = 0; c < classes; c++) {
            const double y = weight_of(target, c);

            weight += y;
            distance += y * ((double)top - (double)x[c]);
        }
    }
    result->sum = sslcv__row_exp(x, classes, top, 1.0f, e);
    result->weight = weight;
    result->loss = weight * log(result->sum) + distance;
    result->first = is_first(target, x, classes, top);
}

static void differentiate_row(const row_target *target, const row_result *result, const float *e, int64_t classes,
                              double factor, float *diff)
{
    const double share = factor * result->weight / result->sum;
    int64_t c;

    if (is_one_hot(target)) {
        for (c = 0; c < classes; c++) diff[c] = (float)(share * (double)e[c]);
        c = target->label;
        diff[c] = (float)(share * (double)e[c] - factor * target->share);
    } else {
        for (c = 0; c < classes; c++) diff[c] = (float)(share * (double)e[c] - factor * weight_of(target, c));
    }
}

/* ---- all rows ---- */

static int64_t count_rows(const sslcv__loss_job *job)
{
    int64_t count = 0, i;

    for (i = 0; i < job->samples; i++) count += label_of(job, i) >= 0;
    return count * job->inputs[0].views;
}

static sslcv_status check_labels(const sslcv__loss_job *job, int64_t classes)
{
    int64_t i;

    for (i = 0; job->labels && i < job->samples; i++) {
        if (job->labels[i] < -1 || job->labels[i] >= classes) {
            return sslcv__invalid("call.labels[%lld] is %lld; must be -1 .. %lld", (long long)i,
                                  (long long)job->labels[i], (long long)(classes - 1));
        }
    }
    if (!job->targets) return SSLCV_OK;
    if (job->num_targets != classes) {
        return sslcv__invalid("call.targets has %lld classes, inputs[0] %lld; must be equal",
                              (long long)job->num_targets, (long long)classes);
    }
    for (i = 0; i < job->samples * classes; i++) {
        if (job->targets[i] < 0.0f) {
            return sslcv__invalid("call.targets[%lld, %lld] is %g; must be >= 0", (long long)(i / classes),
                                  (long long)(i % classes), (double)job->targets[i]);
        }
    }
    return SSLCV_OK;
}

static sslcv_status check(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    (void)loss;
    if (job->inputs[0].positions != 1) {
        return sslcv__invalid("inputs[0] has %lld positions; cross_entropy takes 1",
                              (long long)job->inputs[0].positions);
    }
    return check_labels(job, job->inputs[0].dim);
}

static sslcv_status lay_out(const sslcv_loss *loss, const sslcv__loss_job *job, void *base, workspace *work,
                            int64_t *bytes)
{
    const sslcv__loss_input *in = &job->inputs[0];
    int64_t rows = 0, count = 0;
    int fits;

    *bytes = 0;
    fits = sslcv__multiply(in->views, in->samples, &rows) && sslcv__multiply(rows, in->dim, &count) &&
           sslcv__loss_place(base, bytes, rows, sizeof(row_result), &work->results) &&
           sslcv__loss_place(base, bytes, count, sizeof(float), &work->exponentials);
    return sslcv__loss_placed(loss, job, fits);
}

static sslcv_status memory_bytes(const sslcv_loss *loss, const sslcv__loss_job *job, int64_t *bytes)
{
    workspace work;

    return lay_out(loss, job, NULL, &work, bytes);
}

static sslcv_status score(const sslcv_loss *loss, sslcv__loss_job *job)
{
    const sslcv__loss_input *in = &job->inputs[0];
    const int64_t rows = sslcv__loss_rows(in), counted = count_rows(job);
    workspace work;
    double sum = 0.0;
    int64_t bytes, first = 0, r;
    const sslcv_status status = lay_out(loss, job, job->memory, &work, &bytes);

    if (status != SSLCV_OK) return status;
#pragma omp parallel for schedule(static)
    for (r = 0; r < rows; r++) {
        const row_target target = target_of(loss, job, r);
        const int64_t at = r * in->dim;

        if (target.label < 0) continue;
        score_row(&target, in->data + at, in->dim, &work.results[r], work.exponentials + at);
    }
    for (r = 0; r < rows; r++) {
        if (label_of(job, r) < 0) continue;
        sum += work.results[r].loss;
        first += work.results[r].first;
    }
    job->value = counted ? sum / (double)counted : 0.0;
    job->metrics[TOP1] = counted ? (double)first / (double)counted : 0.0;
    return SSLCV_OK;
}

static void differentiate(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const sslcv__loss_input *in = &job->inputs[0];
    const int64_t rows = sslcv__loss_rows(in);
    const double factor = job->scale / (double)count_rows(job);
    workspace work;
    int64_t bytes, r;

    if (lay_out(loss, job, job->memory, &work, &bytes) != SSLCV_OK) return;
#pragma omp parallel for schedule(static)
    for (r = 0; r < rows; r++) {
        const row_target target = target_of(loss, job, r);
        const int64_t at = r * in->dim;

        if (target.label < 0) {
            memset(in->diff + at, 0, (size_t)in->dim * sizeof *in->diff);
        } else {
            differentiate_row(&target, &work.results[r], work.exponentials + at, in->dim, factor, in->diff + at);
        }
    }
}

/* ---- creation ---- */

static const sslcv__loss_number numbers[] = {[LABEL_SMOOTHING] = {"label_smoothing", 0.0, 1.0, "0 .. 1"}};
static const char *const metrics[] = {[TOP1] = "top1"};

static const sslcv__loss_kind kind = {
    .name = "cross_entropy",
    .numbers = numbers,
    .num_numbers = 1,
    .metrics = metrics,
    .num_metrics = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .gradient_inputs = 1,
    .needs_labels = 1,
    .check = check,
    .memory_bytes = memory_bytes,
    .score = score,
    .differentiate = differentiate,
};

static const sslcv_cross_entropy_options defaults = {.struct_size = sizeof defaults};

sslcv_status sslcv_cross_entropy_options_init(sslcv_cross_entropy_options *options, size_t struct_size)
{
    return sslcv__options_init("cross_entropy_options", options, struct_size, sizeof defaults, &defaults,
                               sizeof defaults);
}

sslcv_status sslcv_loss_create_cross_entropy(sslcv_context *context, const sslcv_cross_entropy_options *options,
                                             sslcv_loss **out)
{
    sslcv_cross_entropy_options o = defaults;
    sslcv_loss *loss = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!out) return sslcv__null("loss");
    SSLCV__TRY(sslcv__options_read("cross_entropy_options", options, sizeof defaults, &o, sizeof o));
    SSLCV__TRY(sslcv__loss_create(context, &kind, sizeof *loss, &loss));
    SSLCV__TRY(sslcv__loss_set_number(loss, LABEL_SMOOTHING, o.label_smoothing));
    *out = loss;
    loss = NULL;
end:
    sslcv__release(loss);
    return status;
}
