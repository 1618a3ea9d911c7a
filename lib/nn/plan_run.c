/* A plan at work. */
#include "nn/plan.h"

#include <string.h>

#include <sslcv/tape.h>

#include "core/openmp.h"
#include "nn/group_norm.h"
#include "nn/kernels.h"
#include "nn/plan_build.h"
#include "nn/rows.h"

/* A gradient is cleared by forgetting it: the first writer overwrites, the others add. */
static void add_gradient(sslcv__variable *variable, const float *gradient)
{
    const int64_t count = variable->stored_bytes / (int64_t)sizeof(float);

    if (variable->has_gradient) {
        sslcv__sum(variable->gradient, gradient, variable->gradient, count);
    } else {
        memcpy(variable->gradient, gradient, (size_t)variable->stored_bytes);
        variable->has_gradient = 1;
    }
}

static sslcv_status run_conv_weights(sslcv__step *step)
{
    sslcv__variable *weight = step->node->weight;
    const int direct = !step->reorder && !weight->has_gradient;
    sslcv_status status;

    SSLCV__TRY(sslcv__op_bind(step->op, SSLCV__DIFF_WEIGHTS, direct ? weight->gradient : step->memory[0]));
    SSLCV__TRY(sslcv__op_run(step->op));
    if (direct) {
        weight->has_gradient = 1;
    } else if (step->reorder) {
        if (!weight->has_gradient) memset(weight->gradient, 0, (size_t)weight->stored_bytes);
        SSLCV__TRY(sslcv__op_run(step->reorder));
        weight->has_gradient = 1;
    } else {
        add_gradient(weight, step->memory[0]);
    }
end:
    return status;
}

static sslcv__norm_affine affine_of(const sslcv__plan *plan, const sslcv__step *step)
{
    const sslcv__node *node = step->node;
    const int given = step->buffers[SSLCV__NORM_MEAN] < 0 && node->mean; /* a bias has neither */
    const sslcv__norm_affine affine = {.mean = given ? node->mean->value : step->memory[SSLCV__NORM_MEAN],
                                       .variance = given ? node->variance->value : step->memory[SSLCV__NORM_VARIANCE],
                                       .scale = node->weight ? node->weight->value : NULL,
                                       .shift = node->bias ? node->bias->value : NULL,
                                       .epsilon = plan->key.net->norm_epsilon};

    return affine;
}

static void run_norm(const sslcv__plan *plan, const sslcv__step *step)
{
    const sslcv__norm_affine affine = affine_of(plan, step);
    void *const *m = step->memory;

    if (step->node->kind == SSLCV__NODE_GROUP_NORM) {
        if (step->measures) {
            sslcv__group_norm_forward(&step->shape, &affine, m[SSLCV__NORM_X], m[SSLCV__NORM_R], step->relu,
                                      m[SSLCV__NORM_Y], m[SSLCV__NORM_MEAN], m[SSLCV__NORM_VARIANCE],
                                      m[SSLCV__NORM_SCRATCH]);
        } else {
            sslcv__group_norm_apply(&step->shape, &affine, m[SSLCV__NORM_X], m[SSLCV__NORM_R], step->relu,
                                    m[SSLCV__NORM_Y], m[SSLCV__NORM_SCRATCH]);
        }
        return;
    }
    if (step->measures) {
        sslcv__norm_forward(&step->shape, &affine, m[SSLCV__NORM_X], m[SSLCV__NORM_R], step->relu, m[SSLCV__NORM_Y],
                            m[SSLCV__NORM_MEAN], m[SSLCV__NORM_VARIANCE], m[SSLCV__NORM_SCRATCH]);
        return;
    }
    sslcv__norm_apply(&step->shape, &affine, m[SSLCV__NORM_X], m[SSLCV__NORM_R], step->relu, m[SSLCV__NORM_Y],
                      m[SSLCV__NORM_SCRATCH]);
}

static void run_norm_backward(const sslcv__plan *plan, const sslcv__step *step)
{
    const sslcv__norm_affine affine = affine_of(plan, step);
    void *const *m = step->memory;
    const sslcv__norm_gradient gradient = {.x = m[SSLCV__NORM_X],
                                           .y = m[SSLCV__NORM_Y],
                                           .g = m[SSLCV__NORM_G],
                                           .g2 = m[SSLCV__NORM_G2],
                                           .d = m[SSLCV__NORM_D],
                                           .diff_x = m[SSLCV__NORM_DIFF_X],
                                           .diff_scale = m[SSLCV__NORM_DIFF_SCALE],
                                           .diff_shift = m[SSLCV__NORM_DIFF_SHIFT],
                                           .mask = step->mask,
                                           .given_statistics = step->buffers[SSLCV__NORM_MEAN] < 0};
    sslcv__variable *scale = step->node->weight, *shift = step->node->bias;

    if (step->node->kind == SSLCV__NODE_GROUP_NORM) {
        sslcv__group_norm_backward(&step->shape, &affine, &gradient, m[SSLCV__NORM_SCRATCH]);
    } else {
        sslcv__norm_backward(&step->shape, &affine, &gradient, m[SSLCV__NORM_SCRATCH]);
    }
    if (scale && !scale->frozen) add_gradient(scale, gradient.diff_scale);
    if (shift && !shift->frozen) add_gradient(shift, gradient.diff_shift);
}

static sslcv_status run_linear_weights(const sslcv__step *step)
{
    sslcv__variable *weight = step->node->weight, *bias = step->node->bias;
    const int64_t out = weight->shape[0], in = weight->shape[1];
    sslcv_status status = SSLCV_OK;

    if (!weight->frozen) {
        status = sslcv__gemm(1, 0, out, in, step->count, 1.0f, step->memory[1], out, step->memory[0], in,
                             weight->has_gradient ? 1.0f : 0.0f, weight->gradient, in);
        if (status == SSLCV_OK) weight->has_gradient = 1;
    }
    if (status == SSLCV_OK && bias && !bias->frozen) {
        sslcv__sum_rows(step->memory[1], bias->has_gradient ? 1.0f : 0.0f, bias->gradient, step->count, out);
        bias->has_gradient = 1;
    }
    return status;
}

static sslcv_status run_linear(const sslcv__step *step)
{
    const sslcv__variable *weight = step->node->weight, *bias = step->node->bias;
    const int64_t out = weight->shape[0], in = weight->shape[1];
    const sslcv_status status = sslcv__gemm(0, 1, step->count, out, in, 1.0f, step->memory[0], in, weight->value, in,
                                            0.0f, step->memory[1], out);

    if (status == SSLCV_OK && bias) sslcv__add_bias(bias->value, step->memory[1], step->count, out);
    return status;
}

static sslcv_status run_step(const sslcv__plan *plan, sslcv__step *step)
{
    void *const *m = step->memory;
    const sslcv__variable *weight = step->node->weight;

    switch (step->kind) {
    case SSLCV__STEP_OP: return sslcv__op_run(step->op);
    case SSLCV__STEP_CONV_WEIGHTS: return run_conv_weights(step);
    case SSLCV__STEP_NORM: run_norm(plan, step); return SSLCV_OK;
    case SSLCV__STEP_NORM_BACKWARD: run_norm_backward(plan, step); return SSLCV_OK;
    case SSLCV__STEP_ADD_RELU: sslcv__map_add_relu(step->bf16, m[0], m[1], m[2], step->count); return SSLCV_OK;
    case SSLCV__STEP_RELU: sslcv__map_relu(step->bf16, m[0], m[1], step->count); return SSLCV_OK;
    case SSLCV__STEP_RELU_MASK: sslcv__map_relu_mask(step->bf16, m[0], m[1], m[2], step->count); return SSLCV_OK;
    case SSLCV__STEP_SUM: sslcv__map_sum(step->bf16, m[0], m[1], m[2], step->count); return SSLCV_OK;
    case SSLCV__STEP_MEAN: sslcv__spatial_mean(&step->shape, m[0], m[1]); return SSLCV_OK;
    case SSLCV__STEP_MEAN_BACKWARD: sslcv__spatial_mean_backward(&step->shape, m[0], m[1]); return SSLCV_OK;
    case SSLCV__STEP_LINEAR: return run_linear(step);
    case SSLCV__STEP_LINEAR_DATA:
        return sslcv__gemm(0, 0, step->count, weight->shape[1], weight->shape[0], 1.0f, m[0], weight->shape[0],
                           weight->value, weight->shape[1], 0.0f, m[1], weight->shape[1]);
    case SSLCV__STEP_LINEAR_WEIGHTS: return run_linear_weights(step);
    case SSLCV__STEP_NORMALIZE:
        sslcv__rows_normalize(m[0], step->count, step->node->channels, m[1], m[2]);
        return SSLCV_OK;
    case SSLCV__STEP_NORMALIZE_BACKWARD:
        sslcv__rows_normalize_backward(m[0], m[1], m[2], step->count, step->node->channels, m[3]);
        return SSLCV_OK;
    case SSLCV__STEP_PUT_BACK: sslcv__plan_run_put_back(step); return SSLCV_OK;
    case SSLCV__STEP_ROWS: return sslcv__plan_run_rows(plan, step);
    case SSLCV__STEP_ROWS_BACKWARD: return sslcv__plan_run_rows_backward(plan, step);
    }
    return SSLCV_OK;
}

static sslcv_status run_steps(sslcv__plan *plan, int64_t first, int64_t end)
{
    sslcv_status status = SSLCV_OK;
    int64_t i;

    for (i = first; i < end && status == SSLCV_OK; i++) {
        sslcv__step *step = &plan->steps[i];
        const double start = plan->timing ? omp_get_wtime() : 0.0;

        status = run_step(plan, step);
        if (plan->timing) step->seconds += omp_get_wtime() - start;
    }
    return status;
}

/* running <- (1 - momentum) running + momentum * batch's; the variance unbiased, as PyTorch keeps it. Of groups, the
   mean of what each would have made of it. */
static void move_running(const sslcv__plan *plan, const sslcv__node *node, const sslcv__value *value)
{
    const float *mean = sslcv__plan_memory(plan, value->mean), *variance = sslcv__plan_memory(plan, value->variance);
    const double momentum = plan->key.net->norm_momentum;
    const int64_t groups = plan->key.groups, channels = node->channels;
    const double n = (double)(value->shape[0] / groups * value->shape[2] * value->shape[3]);
    float *running_mean = node->mean->value, *running_variance = node->variance->value;
    int64_t c, g;

    for (c = 0; c < channels; c++) {
        double m = 0.0, v = 0.0;

        for (g = 0; g < groups; g++) {
            m += mean[g * channels + c] / (double)groups;
            v += variance[g * channels + c] / (double)groups;
        }
        running_mean[c] = (float)((1.0 - momentum) * running_mean[c] + momentum * m);
        running_variance[c] = (float)((1.0 - momentum) * running_variance[c] + momentum * v * n / (n - 1.0));
    }
    if (*(int64_t *)node->batches->value < INT64_MAX) ++*(int64_t *)node->batches->value; /* files may say anything */
    sslcv__variable_changed(node->mean);
}

/* All or none: a batch that blows up leaves the network as it was. */
static sslcv_status update_running_statistics(const sslcv__plan *plan)
{
    int32_t i;
    int pass;

    for (pass = 0; pass < 2; pass++) {
        for (i = 0; i < plan->num_nodes; i++) {
            const sslcv__node *node = &plan->nodes[i];
            const sslcv__value *value = &plan->values[i];
            const int64_t count = plan->key.groups * node->channels;

            if (node->kind != SSLCV__NODE_BATCH_NORM || sslcv__node_given_statistics(plan, node)) continue;
            if (pass == 1) {
                move_running(plan, node, value);
            } else if (!sslcv__all_finite(sslcv__plan_memory(plan, value->mean), count) ||
                       !sslcv__all_finite(sslcv__plan_memory(plan, value->variance), count)) {
                return sslcv__fail(SSLCV_ERR_NUMERIC, "%s: the batch's statistics are not finite", node->mean->name);
            }
        }
    }
    return SSLCV_OK;
}

sslcv_status sslcv__plan_forward(sslcv__plan *plan)
{
    sslcv_status status = sslcv__plan_refold(plan);

    if (status == SSLCV_OK) status = run_steps(plan, 0, plan->num_forward);
    if (status != SSLCV_OK || !(plan->key.flags & SSLCV_PASS_TRAIN) || (plan->key.flags & SSLCV__PASS_DRY)) {
        return status;
    }
    return update_running_statistics(plan);
}

sslcv_status sslcv__plan_backward(sslcv__plan *plan)
{
    return run_steps(plan, plan->num_forward, plan->num_steps);
}
