/**
 * Binary cross-entropy: a yes or no for each class.
 *
 * A logit x with target y, e = exp(-|x|), which is in (0, 1] whatever x:
 *
 *     l     = -( y log sigmoid(x) + (1 - y) log(1 - sigmoid(x)) ) = max(x, 0) - x y + log(1 + e)
 *     dl/dx = sigmoid(x) - y = (1 - y) - e / (1 + e)      for x >= 0
 *                              e / (1 + e) - y            below: nothing cancels when prediction and target agree
 *
 * The logarithms of some entries are one: sum of log(1 + e_i) = log(product of (1 + e_i)). What the product has above 1
 * is kept, q <- q + e + q e, so that small losses keep their digits; a part of 256 entries stays below 2^256.
 */
#include "loss/loss.h"

#include "core/checked.h"
#include "core/options.h"
#include "core/simd.h"
#include "nn/softmax.h"

#include <math.h>

enum { ACCURACY = 0 };
enum { LANES = 8, PART = 256 };

typedef struct binary_cross_entropy {
    sslcv_loss loss;
    int32_t reduction;
    int32_t reserved;
} binary_cross_entropy;

/** Sums over the entries of a row that count. */
typedef struct row_result {
    double loss;
    double counted, right;
} row_result;

/** Sums over all rows. */
typedef struct totals {
    double loss, counted, right;
    int64_t rows; /* in which something counts */
} totals;

/* ---- a part of a row ---- */

SSLCV__CLONES static void minus_absolute(const float *x, int64_t count, float *y)
{
    int64_t c;

    for (c = 0; c < count; c++) y[c] = x[c] < 0.0f ? x[c] : -x[c];
}

static inline void add_entry(float x, float y, float e, double *linear, double *product, double *counted, double *right)
{
    const double keep = y < 0.0f ? 0.0 : 1.0, q = keep * (double)e;

    *linear += keep * ((x > 0.0f ? (double)x : 0.0) - (double)x * (double)y);
    *product += q + *product * q;
    *counted += keep;
    *right += (x > 0.0f && y > 0.5f) || (x < 0.0f && y >= 0.0f && y < 0.5f) ? 1.0 : 0.0;
}

/* e: exp(-|x|) */
SSLCV__CLONES static void score_part(const float *x, const float *y, const float *e, int64_t count, row_result *result)
{
    double linear[LANES] = {0.0}, product[LANES] = {0.0}, counted[LANES] = {0.0}, right[LANES] = {0.0}, all = 0.0;
    int64_t c;
    int l;

    for (c = 0; c + LANES <= count; c += LANES) {
        for (l = 0; l < LANES; l++) {
            add_entry(x[c + l], y[c + l], e[c + l], &linear[l], &product[l], &counted[l], &right[l]);
        }
    }
    for (l = 0; c < count; c++, l++) add_entry(x[c], y[c], e[c], &linear[l], &product[l], &counted[l], &right[l]);
    for (l = 0; l < LANES; l++) {
        all += product[l] + all * product[l];
        result->loss += linear[l];
        result->counted += counted[l];
        result->right += right[l];
    }
    result->loss += log1p(all);
}

SSLCV__CLONES static void differentiate_part(const float *x, const float *y, const float *e, int64_t count,
                                             double factor, float *diff)
{
    int64_t c;

    for (c = 0; c < count; c++) {
        const double below = (double)e[c] / (1.0 + (double)e[c]), target = (double)y[c];
        const double inside = x[c] < 0.0f ? below - target : (1.0 - target) - below;

        diff[c] = y[c] < 0.0f ? 0.0f : (float)(factor * inside);
    }
}

/* ---- a row ---- */

static void score_row(const float *x, const float *y, int64_t classes, row_result *result)
{
    int64_t from;

    *result = (row_result){0.0, 0.0, 0.0};
    for (from = 0; from < classes; from += PART) {
        const int64_t count = classes - from < PART ? classes - from : PART;
        float e[PART];

        minus_absolute(x + from, count, e);
        sslcv__row_exp(e, count, 0.0f, 1.0f, e);
        score_part(x + from, y + from, e, count, result);
    }
}

static void differentiate_row(const float *x, const float *y, int64_t classes, double factor, float *diff)
{
    int64_t from;

    for (from = 0; from < classes; from += PART) {
        const int64_t count = classes - from < PART ? classes - from : PART;
        float e[PART];

        minus_absolute(x + from, count, e);
        sslcv__row_exp(e, count, 0.0f, 1.0f, e);
        differentiate_part(x + from, y + from, e, count, factor, diff + from);
    }
}

/* ---- all rows ---- */

static sslcv_status check(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const int64_t classes = job->inputs[0].dim;
    const sslcv_status status = sslcv__loss_check_positions(loss, job);
    int64_t i;

    if (status != SSLCV_OK) return status;
    if (!job->targets) return sslcv__invalid("call.targets is NULL; binary_cross_entropy needs them");
    if (job->num_targets != classes) {
        return sslcv__invalid("call.targets has %lld classes, inputs[0] %lld; must be equal",
                              (long long)job->num_targets, (long long)classes);
    }
    for (i = 0; i < job->samples * classes; i++) {
        if (job->targets[i] > 1.0f) {
            return sslcv__invalid("call.targets[%lld, %lld] is %g; must be 0 .. 1, or below 0 to be left out",
                                  (long long)(i / classes), (long long)(i % classes), (double)job->targets[i]);
        }
    }
    return SSLCV_OK;
}

static sslcv_status memory_bytes(const sslcv_loss *loss, const sslcv__loss_job *job, int64_t *bytes)
{
    const int fits = sslcv__multiply(sslcv__loss_rows(&job->inputs[0]), sizeof(row_result), bytes);

    return sslcv__loss_placed(loss, job, fits);
}

static totals add_up(const sslcv__loss_job *job)
{
    const row_result *results = job->memory;
    totals sums = {0.0, 0.0, 0.0, 0};
    int64_t r;

    for (r = 0; r < sslcv__loss_rows(&job->inputs[0]); r++) {
        sums.loss += results[r].loss;
        sums.counted += results[r].counted;
        sums.right += results[r].right;
        sums.rows += results[r].counted > 0.0;
    }
    return sums;
}

/* What an entry's loss weighs. */
static double share_of(const sslcv_loss *loss, const totals *sums)
{
    if (sums->rows == 0) return 0.0;
    return 1.0 / (((const binary_cross_entropy *)loss)->reduction == SSLCV_REDUCTION_SUM ? (double)sums->rows
                                                                                         : sums->counted);
}

static sslcv_status score(const sslcv_loss *loss, sslcv__loss_job *job)
{
    const sslcv__loss_input *in = &job->inputs[0];
    row_result *results = job->memory;
    totals sums;
    int64_t r;

#pragma omp parallel for schedule(static)
    for (r = 0; r < in->views * in->samples; r++) {
        score_row(in->data + r * in->dim, job->targets + r % in->samples * in->dim, in->dim, &results[r]);
    }
    sums = add_up(job);
    job->value = sums.loss * share_of(loss, &sums);
    job->metrics[ACCURACY] = sums.rows > 0 ? sums.right / sums.counted : 0.0;
    return SSLCV_OK;
}

static void differentiate(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const sslcv__loss_input *in = &job->inputs[0];
    const totals sums = add_up(job);
    const double factor = share_of(loss, &sums) * job->scale;
    int64_t r;

#pragma omp parallel for schedule(static)
    for (r = 0; r < in->views * in->samples; r++) {
        differentiate_row(in->data + r * in->dim, job->targets + r % in->samples * in->dim, in->dim, factor,
                          in->diff + r * in->dim);
    }
}

/* ---- creation ---- */

static const char *const metrics[] = {[ACCURACY] = "accuracy"};

static const sslcv__loss_kind kind = {
    .name = "binary_cross_entropy",
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

static const sslcv_binary_cross_entropy_options defaults = {.struct_size = sizeof defaults,
                                                            .reduction = SSLCV_REDUCTION_MEAN};

sslcv_status sslcv_binary_cross_entropy_options_init(sslcv_binary_cross_entropy_options *options, size_t struct_size)
{
    return sslcv__options_init("binary_cross_entropy_options", options, struct_size, sizeof defaults, &defaults,
                               sizeof defaults);
}

sslcv_status sslcv_loss_create_binary_cross_entropy(sslcv_context *context,
                                                    const sslcv_binary_cross_entropy_options *options, sslcv_loss **out)
{
    sslcv_binary_cross_entropy_options o = defaults;
    binary_cross_entropy *self = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!out) return sslcv__null("loss");
    SSLCV__TRY(sslcv__options_read("binary_cross_entropy_options", options, sizeof defaults, &o, sizeof o));
    if (o.reduction != SSLCV_REDUCTION_MEAN && o.reduction != SSLCV_REDUCTION_SUM) {
        return sslcv__invalid("binary_cross_entropy.reduction is %d; must be SSLCV_REDUCTION_MEAN or SUM", o.reduction);
    }
    if (o.reserved != 0) return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "binary_cross_entropy.reserved is not 0");
    SSLCV__TRY(sslcv__loss_create(context, &kind, sizeof *self, &self));
    self->reduction = o.reduction;
    *out = &self->loss;
    self = NULL;
end:
    sslcv__release(self);
    return status;
}
