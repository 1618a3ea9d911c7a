/*
 * The linear probe: softmax cross-entropy on one linear layer over fixed features.
 *
 *     z = x W^T + b,  p = softmax(z),  L = mean over the batch of -log p_y
 *     dL/dz = (p - onehot(y)) / B,  dL/dW = (dL/dz)^T x,  dL/db = sum over the batch of dL/dz
 *
 * SGD as PyTorch's: v <- mu v + (g + wd w), w <- w - rate v. W and b start at 0: the problem is convex, so the start
 * does not matter, and 0 needs no seed. Every epoch goes through all rows in an order keyed by (seed, epoch); the last
 * batch may be smaller.
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
    float *velocity;      /* (classes, d) */
    float *bias_velocity; /* classes */
} descent;

/* Mean and 1 / deviation of each dimension over the labelled rows; a constant dimension gets scale 1, so becomes 0. */
static sslcv_status measure_spread(descent *s)
{
    sslcv_context *context = s->probe->object.context;
    const int64_t d = s->features->d;
    double *sums = NULL; /* (2, d): mean, variance */
    int64_t i, j;
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(context, 2 * d, sizeof *sums, (void **)&sums));
    SSLCV__TRY(sslcv__alloc_array(context, d, sizeof *s->fit->mean, (void **)&s->fit->mean));
    SSLCV__TRY(sslcv__alloc_array(context, d, sizeof *s->fit->scale, (void **)&s->fit->scale));
    for (i = 0; i < s->count; i++) {
        const float *row = s->features->data + s->rows[i] * d;

        for (j = 0; j < d; j++) sums[j] += (double)row[j] / (double)s->count;
    }
    for (i = 0; i < s->count; i++) {
        const float *row = s->features->data + s->rows[i] * d;

        for (j = 0; j < d; j++) sums[d + j] += (row[j] - sums[j]) * (row[j] - sums[j]) / (double)s->count;
    }
    for (j = 0; j < d; j++) {
        const float deviation = (float)sqrt(sums[d + j]);

        s->fit->mean[j] = (float)sums[j];
        /* Rounding leaves a constant dimension a deviation of some 1e-16 of its mean. */
        s->fit->scale[j] = deviation > 1e-7f * fabsf((float)sums[j]) ? 1 / deviation : 1;
    }
    s->form.mean = s->fit->mean;
    s->form.scale = s->fit->scale;
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

/* w <- w - rate (velocity + wd w), where velocity already is mu v + g. */
static void apply(float *weights, float *velocity, int64_t count, float rate, float decay)
{
    int64_t i;

    for (i = 0; i < count; i++) {
        velocity[i] += decay * weights[i];
        weights[i] -= rate * velocity[i];
    }
}

static sslcv_status backward(descent *s, int64_t batch, double rate)
{
    const int64_t d = s->features->d, classes = s->fit->num_classes;
    const float momentum = (float)s->probe->options.momentum, decay = (float)s->probe->options.weight_decay;
    int64_t i, c;
    const sslcv_status status =
        sslcv__gemm(1, 0, classes, d, batch, 1, s->logits, classes, s->inputs, d, momentum, s->velocity, d);

    if (status != SSLCV_OK) return status;
    for (c = 0; c < classes; c++) s->bias_velocity[c] *= momentum;
    for (i = 0; i < batch; i++) {
        for (c = 0; c < classes; c++) s->bias_velocity[c] += s->logits[i * classes + c];
    }
    apply(s->fit->weights, s->velocity, classes * d, (float)rate, decay);
    apply(s->fit->bias, s->bias_velocity, classes, (float)rate, decay);
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

static void release(descent *s)
{
    sslcv_context *context = s->probe->object.context;

    sslcv__free(context, s->rows);
    sslcv__free(context, s->order);
    sslcv__free(context, s->batch);
    sslcv__free(context, s->inputs);
    sslcv__free(context, s->logits);
    sslcv__free(context, s->losses);
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
    if (s.form.kind == SSLCV_STANDARDIZE_SPREAD) SSLCV__TRY(measure_spread(&s));
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
