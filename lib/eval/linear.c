/*
 * The linear probe: softmax cross-entropy on one linear layer over fixed features.
 *
 *     z = x W^T + b,  p = softmax(z),  L = mean over the batch of -log p_y
 *     dL/dz = (p - onehot(y)) / B,  dL/dW = (dL/dz)^T x,  dL/db = sum over the batch of dL/dz
 *
 * SGD as PyTorch's: h = g + wd w, v <- mu v + h, w <- w - rate v; with Nesterov's momentum w <- w - rate (h + mu v).
 * LARC (You et al. 2017, apex without clipping) first scales h, of W and of b, by larc |w| / (|g| + wd |w|), but where
 * |w| or |g| is 0. W starts at 0 unless asked otherwise: the problem is convex, so the start does not matter, and 0
 * needs no seed. Every epoch goes through all rows in an order keyed by (seed, epoch); the last batch may be smaller.
 */
#include "eval/probe.h"

#include "core/context.h"
#include "core/memory.h"
#include "core/rng.h"
#include "dnn/dnn.h"

#include <math.h>

enum { SCORED_AT_ONCE = 1024 };

typedef struct descent {
    const sslcv_probe *probe;
    const sslcv__features *features;
    const int64_t *labels;
    sslcv__row_form form;
    sslcv__fit *fit;
    int64_t count;        /* labelled rows */
    int64_t *rows;        /* count: their indices in features */
    int64_t *order;       /* count: positions in rows, as the epoch goes through them */
    int64_t *batch;       /* batch_size: indices in features */
    float *inputs;        /* (batch_size, d) */
    float *logits;        /* (batch_size, classes); becomes dL/dz */
    double *losses;       /* batch_size */
    float *gradient;      /* (classes, d) */
    float *bias_gradient; /* classes */
    float *velocity;      /* (classes, d) */
    float *bias_velocity; /* classes */
} descent;

sslcv_status sslcv__fit_measure_spread(const sslcv_probe *probe, const sslcv__features *features, const int64_t *rows,
                                       int64_t count, sslcv__fit *fit)
{
    sslcv_context *context = probe->object.context;
    const int64_t d = features->d;
    double *sums = NULL; /* (2, d): mean, variance */
    int64_t i, j;
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(context, 2 * d, sizeof *sums, (void **)&sums));
    SSLCV__TRY(sslcv__alloc_array(context, d, sizeof *fit->mean, (void **)&fit->mean));
    SSLCV__TRY(sslcv__alloc_array(context, d, sizeof *fit->scale, (void **)&fit->scale));
    for (i = 0; i < count; i++) {
        const float *row = features->data + rows[i] * d;

        for (j = 0; j < d; j++) sums[j] += (double)row[j] / (double)count;
    }
    for (i = 0; i < count; i++) {
        const float *row = features->data + rows[i] * d;

        for (j = 0; j < d; j++) sums[d + j] += (row[j] - sums[j]) * (row[j] - sums[j]) / (double)count;
    }
    for (j = 0; j < d; j++) {
        const float deviation = (float)sqrt(sums[d + j]);

        fit->mean[j] = (float)sums[j];
        /* Rounding leaves a constant dimension a deviation of some 1e-16 of its mean. */
        fit->scale[j] = deviation > 1e-7f * fabsf((float)sums[j]) ? 1 / deviation : 1;
    }
end:
    sslcv__free(context, sums);
    return status;
}

static void list_labelled(descent *s)
{
    int64_t count = 0, i;

    for (i = 0; i < s->features->n; i++) {
        if (s->labels[i] >= 0) s->rows[count++] = i;
    }
}

/* One row: logits become dL/dz; the result is its loss. */
static double softmax_gradient(float *z, int64_t classes, int64_t label, double batch)
{
    double sum = 0, loss;
    float largest = z[0];
    int64_t c;

    for (c = 1; c < classes; c++) {
        if (z[c] > largest) largest = z[c];
    }
    loss = -((double)z[label] - largest);
    for (c = 0; c < classes; c++) {
        z[c] = expf(z[c] - largest);
        sum += z[c];
    }
    for (c = 0; c < classes; c++) z[c] = (float)((z[c] / sum - (c == label)) / batch);
    return loss + log(sum);
}

static void add_bias(float *scores, const float *bias, int64_t count, int64_t classes)
{
    int64_t i, c;

    for (i = 0; i < count; i++) {
        for (c = 0; c < classes; c++) scores[i * classes + c] += bias[c];
    }
}

/* Leaves dL/dz in logits. */
static sslcv_status forward(descent *s, int64_t batch, double *loss)
{
    const int64_t d = s->features->d, classes = s->fit->num_classes;
    int64_t i;
    sslcv_status status;

    sslcv__features_gather(s->features, &s->form, s->batch, 0, batch, s->inputs);
    status = sslcv__gemm(0, 1, batch, classes, d, 1, s->inputs, d, s->fit->weights, d, 0, s->logits, classes);
    if (status != SSLCV_OK) return status;
    add_bias(s->logits, s->fit->bias, batch, classes);
#pragma omp parallel for schedule(static)
    for (i = 0; i < batch; i++) {
        s->losses[i] = softmax_gradient(s->logits + i * classes, classes, s->labels[s->batch[i]], (double)batch);
    }
    *loss = 0;
    for (i = 0; i < batch; i++) *loss += s->losses[i] / (double)batch;
    return SSLCV_OK;
}

static double norm_of(const float *values, int64_t count)
{
    double sum = 0;
    int64_t i;

    for (i = 0; i < count; i++) sum += (double)values[i] * values[i];
    return sqrt(sum);
}

/* What LARC scales the gradient by. */
static float trust_of(const sslcv_probe_options *o, const float *weights, const float *gradient, int64_t count)
{
    double weight, slope;

    if (o->larc == 0) return 1;
    weight = norm_of(weights, count);
    slope = norm_of(gradient, count);
    return weight > 0 && slope > 0 ? (float)(o->larc * weight / (slope + o->weight_decay * weight)) : 1;
}

static void apply(const sslcv_probe_options *o, float *weights, const float *gradient, float *velocity, int64_t count,
                  float rate)
{
    const float momentum = (float)o->momentum, decay = (float)o->weight_decay;
    const float trust = trust_of(o, weights, gradient, count);
    int64_t i;

    for (i = 0; i < count; i++) {
        const float slope = trust * (gradient[i] + decay * weights[i]);

        velocity[i] = momentum * velocity[i] + slope;
        weights[i] -= rate * (o->nesterov ? slope + momentum * velocity[i] : velocity[i]);
    }
}

static sslcv_status backward(descent *s, int64_t batch, double rate)
{
    const int64_t d = s->features->d, classes = s->fit->num_classes;
    int64_t i, c;
    const sslcv_status status =
        sslcv__gemm(1, 0, classes, d, batch, 1, s->logits, classes, s->inputs, d, 0, s->gradient, d);

    if (status != SSLCV_OK) return status;
    for (c = 0; c < classes; c++) s->bias_gradient[c] = 0;
    for (i = 0; i < batch; i++) {
        for (c = 0; c < classes; c++) s->bias_gradient[c] += s->logits[i * classes + c];
    }
    apply(&s->probe->options, s->fit->weights, s->gradient, s->velocity, classes * d, (float)rate);
    apply(&s->probe->options, s->fit->bias, s->bias_gradient, s->bias_velocity, classes, (float)rate);
    return SSLCV_OK;
}

static sslcv_status run_epochs(descent *s)
{
    const sslcv_probe_options *o = &s->probe->options;
    const int64_t size = o->batch_size < s->count ? o->batch_size : s->count;
    const int64_t steps = (s->count + size - 1) / size;
    int64_t epoch, step, i;
    sslcv_status status = SSLCV_OK;

    for (epoch = 0; epoch < o->epochs; epoch++) {
        sslcv__rng rng;

        sslcv__rng_init(&rng, sslcv__rng_derive(o->seed, (uint64_t)epoch, SSLCV__STREAM_PROBE), 0, 0);
        sslcv__rng_permutation(&rng, s->order, s->count);
        for (step = 0; step < steps; step++) {
            const int64_t first = step * size, batch = s->count - first < size ? s->count - first : size;
            double rate, loss;

            SSLCV__TRY(sslcv__context_check_cancel(s->probe->object.context));
            SSLCV__TRY(sslcv_schedule_value(&s->probe->schedule, epoch * steps + step, steps, o->epochs, &rate));
            for (i = 0; i < batch; i++) s->batch[i] = s->rows[s->order[first + i]];
            SSLCV__TRY(forward(s, batch, &loss));
            if (!isfinite(loss)) {
                return sslcv__fail(SSLCV_ERR_NUMERIC,
                                   "loss of the linear probe is %g in epoch %lld at learning rate %g; lower the rate "
                                   "or standardize",
                                   loss, (long long)epoch, rate);
            }
            SSLCV__TRY(backward(s, batch, rate));
        }
    }
end:
    return status;
}

/* The loss is looked at before each step; this looks at what the last step left. */
static sslcv_status check_weights(const sslcv__fit *fit, int64_t d)
{
    int64_t i;

    for (i = 0; i < fit->num_classes * d; i++) {
        if (!isfinite(fit->weights[i])) {
            return sslcv__fail(SSLCV_ERR_NUMERIC,
                               "weight [%lld][%lld] of the linear probe is %g; lower the learning "
                               "rate or standardize",
                               (long long)(i / d), (long long)(i % d), (double)fit->weights[i]);
        }
    }
    return SSLCV_OK;
}

static sslcv_status allocate(descent *s)
{
    sslcv_context *context = s->probe->object.context;
    const int64_t d = s->features->d, classes = s->fit->num_classes;
    const int64_t batch = s->probe->options.batch_size < s->count ? s->probe->options.batch_size : s->count;
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(context, classes * d, sizeof(float), (void **)&s->fit->weights));
    SSLCV__TRY(sslcv__alloc_array(context, classes, sizeof(float), (void **)&s->fit->bias));
    SSLCV__TRY(sslcv__alloc_array(context, classes * d, sizeof(float), (void **)&s->gradient));
    SSLCV__TRY(sslcv__alloc_array(context, classes, sizeof(float), (void **)&s->bias_gradient));
    SSLCV__TRY(sslcv__alloc_array(context, classes * d, sizeof(float), (void **)&s->velocity));
    SSLCV__TRY(sslcv__alloc_array(context, classes, sizeof(float), (void **)&s->bias_velocity));
    SSLCV__TRY(sslcv__alloc_array(context, s->count, sizeof(int64_t), (void **)&s->rows));
    SSLCV__TRY(sslcv__alloc_array(context, s->count, sizeof(int64_t), (void **)&s->order));
    SSLCV__TRY(sslcv__alloc_array(context, batch, sizeof(int64_t), (void **)&s->batch));
    SSLCV__TRY(sslcv__alloc_array(context, batch * d, sizeof(float), (void **)&s->inputs));
    SSLCV__TRY(sslcv__alloc_array(context, batch * classes, sizeof(float), (void **)&s->logits));
    SSLCV__TRY(sslcv__alloc_array(context, batch, sizeof(double), (void **)&s->losses));
end:
    return status;
}

static void draw_weights(descent *s)
{
    const double spread = s->probe->options.first_spread;
    sslcv__rng rng;
    int64_t i;

    if (spread == 0) return;
    sslcv__rng_init(&rng, sslcv__rng_derive(s->probe->options.seed, 0, SSLCV__STREAM_WEIGHTS), 0, 0);
    for (i = 0; i < s->fit->num_classes * s->features->d; i++) {
        s->fit->weights[i] = (float)(spread * sslcv__rng_normal(&rng));
    }
}

static void release(descent *s)
{
    sslcv_context *context = s->probe->object.context;

    sslcv__free(context, s->rows);
    sslcv__free(context, s->order);
    sslcv__free(context, s->batch);
    sslcv__free(context, s->inputs);
    sslcv__free(context, s->logits);
    sslcv__free(context, s->losses);
    sslcv__free(context, s->gradient);
    sslcv__free(context, s->bias_gradient);
    sslcv__free(context, s->velocity);
    sslcv__free(context, s->bias_velocity);
}

sslcv_status sslcv__linear_fit(const sslcv_probe *probe, const sslcv__features *features, const int64_t *labels,
                               int64_t count, sslcv__fit *fit)
{
    descent s = {.probe = probe, .features = features, .labels = labels, .fit = fit, .count = count};
    sslcv_status status;

    s.form.kind = probe->options.standardize;
    SSLCV__TRY(sslcv__features_check(features, labels, s.form.kind == SSLCV_STANDARDIZE_LENGTH));
    SSLCV__TRY(allocate(&s));
    list_labelled(&s);
    if (s.form.kind == SSLCV_STANDARDIZE_SPREAD) {
        SSLCV__TRY(sslcv__fit_measure_spread(probe, features, s.rows, count, fit));
        s.form.mean = fit->mean;
        s.form.scale = fit->scale;
    }
    draw_weights(&s);
    SSLCV__TRY(run_epochs(&s));
    SSLCV__TRY(check_weights(fit, features->d));
    fit->dim = features->d;
end:
    release(&s);
    return status;
}

sslcv_status sslcv__linear_score(const sslcv_probe *probe, const sslcv__features *features, float *scores)
{
    sslcv_context *context = probe->object.context;
    const sslcv__fit *fit = &probe->fit;
    const sslcv__row_form form = {probe->options.standardize, 0, fit->mean, fit->scale};
    const int64_t d = fit->dim, classes = fit->num_classes;
    const int64_t block = features->n < SCORED_AT_ONCE ? features->n : SCORED_AT_ONCE;
    float *inputs = NULL; /* (block, d) */
    int64_t first;
    sslcv_status status;

    SSLCV__TRY(sslcv__features_check(features, NULL, form.kind == SSLCV_STANDARDIZE_LENGTH));
    SSLCV__TRY(sslcv__alloc_array(context, block * d, sizeof *inputs, (void **)&inputs));
    for (first = 0; first < features->n; first += block) {
        const int64_t count = features->n - first < block ? features->n - first : block;
        float *out = scores + first * classes;

        SSLCV__TRY(sslcv__context_check_cancel(context));
        sslcv__features_gather(features, &form, NULL, first, count, inputs);
        SSLCV__TRY(sslcv__gemm(0, 1, count, classes, d, 1, inputs, d, fit->weights, d, 0, out, classes));
        add_bias(out, fit->bias, count, classes);
    }
end:
    sslcv__free(context, inputs);
    return status;
}
