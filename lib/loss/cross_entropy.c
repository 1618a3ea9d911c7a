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

#include <float.h>
#include <math.h>
#include <string.h>

enum { LABEL_SMOOTHING = 0 };
enum { TOP1 = 0 };

/** What a row leaves for its gradient. */
typedef struct row_result {
    double loss;
    double sum;    /* Z */
    double weight; /* Y */
    float top;     /* m */
    int32_t first; /* 1: the label's logit is above all others */
} row_result;

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

static void score_row(const row_target *target, const float *x, int64_t classes, row_result *result)
{
    double sum = 0.0, weight = 0.0, distance = 0.0;
    float top = x[0];
    int64_t ahead = 0, c;

    for (c = 1; c < classes; c++) top = x[c] > top ? x[c] : top;
    for (c = 0; c < classes; c++) {
        const double y = weight_of(target, c), below = (double)top - (double)x[c];

        sum += exp(-below);
        weight += y;
        distance += y * below;
        ahead += c != target->label && x[c] >= x[target->label];
    }
    result->loss = weight * log(sum) + distance;
    result->sum = sum;
    result->weight = weight;
    result->top = top;
    result->first = ahead == 0;
}

static void differentiate_row(const row_target *target, const row_result *result, const float *x, int64_t classes,
                              double factor, float *diff)
{
    int64_t c;

    for (c = 0; c < classes; c++) {
        const double softmax = exp((double)x[c] - (double)result->top) / result->sum;

        diff[c] = (float)(factor * (result->weight * softmax - weight_of(target, c)));
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

static sslcv_status memory_bytes(const sslcv_loss *loss, const sslcv__loss_job *job, int64_t *bytes)
{
    const int64_t rows = job->inputs[0].views * job->samples;

    (void)loss;
    if (sslcv__multiply(rows, sizeof(row_result), bytes)) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_LIMIT, "cross_entropy of %lld rows does not fit in memory", (long long)rows);
}

static sslcv_status score(const sslcv_loss *loss, sslcv__loss_job *job)
{
    const sslcv__loss_input *in = &job->inputs[0];
    const int64_t rows = in->views * in->samples, counted = count_rows(job);
    row_result *results = job->memory;
    double sum = 0.0;
    int64_t first = 0, r;

#pragma omp parallel for schedule(static)
    for (r = 0; r < rows; r++) {
        const row_target target = target_of(loss, job, r);

        if (target.label < 0) continue;
        score_row(&target, in->data + r * in->dim, in->dim, &results[r]);
    }
    for (r = 0; r < rows; r++) {
        if (label_of(job, r) < 0) continue;
        sum += results[r].loss;
        first += results[r].first;
    }
    job->value = counted ? sum / (double)counted : 0.0;
    job->metrics[TOP1] = counted ? (double)first / (double)counted : 0.0;
    return SSLCV_OK;
}

static void differentiate(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const sslcv__loss_input *in = &job->inputs[0];
    const int64_t rows = in->views * in->samples, counted = count_rows(job);
    const row_result *results = job->memory;
    int64_t r;

#pragma omp parallel for schedule(static)
    for (r = 0; r < rows; r++) {
        const row_target target = target_of(loss, job, r);
        float *diff = in->diff + r * in->dim;

        if (target.label < 0) {
            memset(diff, 0, (size_t)in->dim * sizeof *diff);
        } else {
            differentiate_row(&target, &results[r], in->data + r * in->dim, in->dim, job->scale / (double)counted,
                              diff);
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
