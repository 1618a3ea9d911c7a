/**
 * One step of every kind. LARS: You, Gitman, Ginsburg: Large Batch Training of Convolutional Networks, 2017, in the
 * forms of SimCLR's code (classic), of Barlow Twins' and BYOL's (popular), and of apex (LARC). Adam: Kingma, Ba, 2015;
 * AdamW: Loshchilov, Hutter: Decoupled Weight Decay Regularization, 2019.
 *
 * Kinds with momentum differ only in the two factors of d = gradient * g + decay * w, and in the rate:
 *
 *                     gradient   decay     rate          c: clipping of the global norm, or of the tensor's
 *     SGD             c          d         lr
 *     LARS            r c        r d       lr            r = trust |w| / |c g + d w|
 *     LARS_CLASSIC    lr r c     lr r d    1             likewise
 *     LARC            a c        a d       lr            a = trust |w| / (c |g| + d |w| + 1e-8)
 *
 * The norm of c g + d w comes from the sums gg, gw, ww of a tensor: c^2 gg + 2 c d gw + d^2 ww.
 */
#include "optim/optimizer.h"

#include "core/compute.h"

#include <float.h>
#include <math.h>

/** What a step is asked to do. */
typedef struct step_plan {
    double learning_rate;
    double first_rate;
    double weight_decay;
    double norm; /* of all gradients together */
} step_plan;

/* ---- first loop: sums ---- */

static void mark_active(sslcv_optimizer *optimizer)
{
    int64_t i;

    for (i = 0; i < optimizer->num_tensors; i++) {
        sslcv__optimizer_tensor *tensor = &optimizer->tensors[i];

        tensor->is_active = tensor->variable->has_gradient && !tensor->variable->frozen &&
                            *optimizer->step >= optimizer->groups[tensor->group].options.freeze_steps;
        tensor->sums = (sslcv__sums){0.0, 0.0, 0.0};
    }
}

static void sum_chunks(sslcv_optimizer *optimizer)
{
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < optimizer->num_chunks; i++) {
        sslcv__optimizer_chunk *chunk = &optimizer->chunks[i];
        const sslcv__optimizer_tensor *tensor = &optimizer->tensors[chunk->tensor];
        const float *w = tensor->variable->value;

        if (!tensor->is_active) continue;
        chunk->sums = sslcv__update_sums(tensor->variable->gradient + chunk->offset,
                                         tensor->adapts ? w + chunk->offset : NULL, chunk->count);
    }
    for (i = 0; i < optimizer->num_chunks; i++) {
        const sslcv__optimizer_chunk *chunk = &optimizer->chunks[i];
        sslcv__optimizer_tensor *tensor = &optimizer->tensors[chunk->tensor];

        if (!tensor->is_active) continue;
        tensor->sums.gg += chunk->sums.gg;
        tensor->sums.gw += chunk->sums.gw;
        tensor->sums.ww += chunk->sums.ww;
    }
}

/* Sums of all active tensors, and the global norm of their gradients. */
static sslcv_status examine_gradients(sslcv_optimizer *optimizer, double *norm)
{
    double total = 0.0;
    int64_t i;

    mark_active(optimizer);
    sum_chunks(optimizer);
    for (i = 0; i < optimizer->num_tensors; i++) {
        const sslcv__optimizer_tensor *tensor = &optimizer->tensors[i];

        if (!tensor->is_active) continue;
        if (!isfinite(tensor->sums.gg)) {
            return sslcv__fail(SSLCV_ERR_NUMERIC, "the gradient of %s has NaN or infinity", tensor->name);
        }
        total += tensor->sums.gg;
    }
    *norm = sqrt(total);
    return SSLCV_OK;
}

/* ---- scalars of each tensor ---- */

/* Factor on the gradient that brings it to clip_norm: its own norm, or that of all. */
static double clipping(const sslcv_optimizer_options *o, const step_plan *plan, const sslcv__sums *sums)
{
    const double norm = o->clip_each ? sqrt(sums->gg) : plan->norm;

    return o->clip_norm > 0.0 && norm > o->clip_norm ? o->clip_norm / norm : 1.0;
}

static double clipped(const sslcv_optimizer_options *o, double ratio, double rate)
{
    /* 0 / 0 is no case: ratios are > 0. A rate of 0 gives 1. */
    return o->trust_clip ? fmin(ratio / rate, 1.0) : ratio;
}

/* r of LARS; decay is in g. */
static double trust_ratio(const sslcv_optimizer_options *o, const sslcv__sums *sums, double clip, double decay,
                          double rate)
{
    const double w = sqrt(sums->ww);
    const double g = sqrt(fmax(0.0, clip * clip * sums->gg + 2.0 * clip * decay * sums->gw + decay * decay * sums->ww));

    if (!(w > 0.0 && g > 0.0)) return 1.0;
    return clipped(o, o->trust * w / g, rate);
}

/* a of LARC; norms before decay. 0: a tensor or gradient of zeros. */
static double larc_ratio(const sslcv_optimizer_options *o, const sslcv__sums *sums, double clip, double decay,
                         double rate)
{
    const double w = sqrt(sums->ww), g = clip * sqrt(sums->gg);

    if (!(w > 0.0 && g > 0.0)) return 0.0;
    return clipped(o, o->trust * w / (g + decay * w + 1e-8), rate);
}

static void plan_momentum(const sslcv_optimizer_options *o, const sslcv__optimizer_tensor *tensor, double clip,
                          double decay, double rate, sslcv__update *u)
{
    double ratio = 1.0;

    if (tensor->adapts && o->kind == SSLCV_OPTIMIZER_LARC) {
        ratio = larc_ratio(o, &tensor->sums, clip, decay, rate);
        if (ratio == 0.0) {
            ratio = 1.0;
            decay = 0.0;
        }
    } else if (tensor->adapts) {
        ratio = trust_ratio(o, &tensor->sums, clip, decay, rate);
    }
    if (o->kind == SSLCV_OPTIMIZER_LARS_CLASSIC) {
        ratio *= rate;
        rate = 1.0;
    }
    u->gradient = (float)(ratio * clip);
    u->decay = (float)(ratio * decay);
    u->rate = (float)rate;
}

static void plan_adam(const sslcv_optimizer_options *o, int64_t steps, double clip, double decay, double rate,
                      sslcv__update *u)
{
    const int decoupled = o->kind == SSLCV_OPTIMIZER_ADAMW;

    u->gradient = (float)clip;
    u->decay = decoupled ? 0.0f : (float)decay;
    u->shrink = decoupled ? (float)(rate * decay) : 0.0f;
    u->rate = (float)(rate / (1.0 - pow(o->beta1, (double)steps)));
    u->root = (float)(1.0 / sqrt(1.0 - pow(o->beta2, (double)steps)));
    u->beta1 = (float)o->beta1;
    u->rest1 = (float)(1.0 - o->beta1);
    u->beta2 = (float)o->beta2;
    u->rest2 = (float)(1.0 - o->beta2);
    u->epsilon = (float)o->epsilon;
}

static void plan_tensor(const sslcv_optimizer *optimizer, const step_plan *plan, sslcv__optimizer_tensor *tensor)
{
    const sslcv_optimizer_options *o = &optimizer->options;
    const sslcv_optimizer_group *group = &optimizer->groups[tensor->group].options;
    const double rate = group->rate_scale * (group->fixed_rate ? plan->first_rate : plan->learning_rate);
    const double decay = !tensor->decays ? 0.0 : group->weight_decay >= 0.0 ? group->weight_decay : plan->weight_decay;
    const double clip = clipping(o, plan, &tensor->sums);
    sslcv__update *u = &tensor->update;

    *u = (sslcv__update){.momentum = (float)(group->momentum >= 0.0 ? group->momentum : o->momentum)};
    if (tensor->steps) {
        plan_adam(o, *tensor->steps < INT64_MAX ? *tensor->steps + 1 : INT64_MAX, clip, decay, rate, u);
    } else {
        plan_momentum(o, tensor, clip, decay, rate, u);
    }
}

/* ---- second loop: updates ---- */

static void update_chunk(const sslcv_optimizer *optimizer, const sslcv__optimizer_chunk *chunk)
{
    const sslcv__optimizer_tensor *tensor = &optimizer->tensors[chunk->tensor];
    const sslcv__update *u = &tensor->update;
    const int64_t from = chunk->offset;
    const float *g = tensor->variable->gradient + from;
    float *w = (float *)tensor->variable->value + from;

    if (tensor->second_moment) {
        sslcv__update_adam(u, chunk->count, g, w, tensor->momentum + from, tensor->second_moment + from);
    } else if (!tensor->momentum) {
        sslcv__update_plain(u, chunk->count, g, w);
    } else if (optimizer->options.nesterov) {
        sslcv__update_nesterov(u, chunk->count, g, w, tensor->momentum + from);
    } else {
        sslcv__update_momentum(u, chunk->count, g, w, tensor->momentum + from);
    }
}

static void update_all(sslcv_optimizer *optimizer, const step_plan *plan)
{
    int64_t i;

    for (i = 0; i < optimizer->num_tensors; i++) {
        sslcv__optimizer_tensor *tensor = &optimizer->tensors[i];

        if (!tensor->is_active) continue;
        plan_tensor(optimizer, plan, tensor);
        sslcv__variable_changed(tensor->variable);
        if (tensor->steps && *tensor->steps < INT64_MAX) ++*tensor->steps; /* files may say anything */
    }
#pragma omp parallel for schedule(static)
    for (i = 0; i < optimizer->num_chunks; i++) {
        const sslcv__optimizer_chunk *chunk = &optimizer->chunks[i];

        if (optimizer->tensors[chunk->tensor].is_active) update_chunk(optimizer, chunk);
    }
}

/* ---- step ---- */

void sslcv__optimizer_clear_gradients(sslcv_optimizer *optimizer)
{
    int64_t i;

    for (i = 0; i < optimizer->num_tensors; i++) optimizer->tensors[i].variable->has_gradient = 0;
}

sslcv_status sslcv__optimizer_check_gradients(sslcv_optimizer *optimizer)
{
    sslcv__compute frame;
    double norm;
    sslcv_status status = sslcv__compute_begin(optimizer->object.context, &frame);

    if (status != SSLCV_OK) return status;
    status = examine_gradients(optimizer, &norm);
    sslcv__compute_end(&frame);
    return status;
}

static sslcv_status check_numbers(double learning_rate, double weight_decay)
{
    if (!(learning_rate >= 0.0 && learning_rate <= 1e30)) {
        return sslcv__invalid("learning_rate is %g; must be >= 0", learning_rate);
    }
    if (!(weight_decay <= 1e30)) {
        return sslcv__invalid("weight_decay is %g; must be >= 0, or negative to leave it", weight_decay);
    }
    return SSLCV_OK;
}

/* Inside a compute frame. */
static sslcv_status step(sslcv_optimizer *optimizer, double learning_rate, double weight_decay)
{
    step_plan plan = {.learning_rate = learning_rate};
    const sslcv_status status = examine_gradients(optimizer, &plan.norm);

    if (status != SSLCV_OK) return status;
    if (weight_decay >= 0.0) *optimizer->weight_decay = weight_decay;
    if (*optimizer->step == 0) *optimizer->first_rate = learning_rate;
    plan.weight_decay = *optimizer->weight_decay;
    plan.first_rate = *optimizer->first_rate;
    update_all(optimizer, &plan);
    if (*optimizer->step < INT64_MAX) ++*optimizer->step;
    return SSLCV_OK;
}

sslcv_status sslcv_optimizer_step(sslcv_optimizer *optimizer, double learning_rate, double weight_decay)
{
    sslcv__compute frame;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(optimizer, SSLCV__OPTIMIZER, "optimizer"));
    SSLCV__TRY(check_numbers(learning_rate, weight_decay));
    sslcv__optimizer_follow_resets(optimizer);
    SSLCV__TRY(sslcv__compute_begin(optimizer->object.context, &frame));
    status = step(optimizer, learning_rate, weight_decay);
    sslcv__optimizer_clear_gradients(optimizer);
    sslcv__compute_end(&frame);
end:
    return status;
}
