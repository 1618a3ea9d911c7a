#include "nn/plan.h"

#include <omp.h>
#include <string.h>

#include <sslcv/tape.h>

#include "core/memory.h"
#include "nn/kernels.h"
#include "nn/plan_build.h"
#include "nn/rows.h"

/* ---- keys ---- */

/* FNV-1a over all that freezing can change. */
static uint64_t frozen_digest(const sslcv__net *net)
{
    uint64_t digest = 14695981039346656037u;
    int64_t i;

    for (i = 0; i < net->variables.count; i++) {
        digest = (digest ^ (uint64_t)net->variables.items[i]->frozen) * 1099511628211u;
    }
    return (digest ^ (uint64_t)net->frozen_stages) * 1099511628211u;
}

void sslcv__plan_key_init(sslcv__plan_key *key, const sslcv__net *net, const int64_t shape[4], int32_t flags,
                          int32_t last_node)
{
    memset(key, 0, sizeof *key);
    key->net = net;
    memcpy(key->shape, shape, sizeof key->shape);
    key->flags = flags;
    key->last_node = last_node;
    key->frozen = frozen_digest(net);
}

/* ---- parts ---- */

sslcv_status sslcv__plan_buffer(sslcv__plan *plan, int64_t bytes, int32_t *buffer)
{
    sslcv__arena_buffer fresh = {.bytes = bytes, .first = -1, .last = -1};

    if (plan->num_buffers == plan->buffer_capacity) {
        const int64_t capacity = plan->buffer_capacity ? 2 * plan->buffer_capacity : 64;
        const sslcv_status status = sslcv__grow_array(plan->context, plan->num_buffers, capacity, sizeof *plan->buffers,
                                                      (void **)&plan->buffers);
        if (status != SSLCV_OK) return status;
        plan->buffer_capacity = capacity;
    }
    plan->buffers[plan->num_buffers] = fresh;
    *buffer = (int32_t)plan->num_buffers++;
    return SSLCV_OK;
}

sslcv_status sslcv__plan_step(sslcv__plan *plan, sslcv__step_kind kind, const char *direction, const sslcv__node *node,
                              sslcv__op *op, sslcv__step **out)
{
    sslcv__step *step;
    int i;

    if (plan->num_steps == plan->step_capacity) {
        const int64_t capacity = plan->step_capacity ? 2 * plan->step_capacity : 64;
        const sslcv_status status =
            sslcv__grow_array(plan->context, plan->num_steps, capacity, sizeof *plan->steps, (void **)&plan->steps);
        if (status != SSLCV_OK) {
            sslcv__op_free(plan->context, op);
            return status;
        }
        plan->step_capacity = capacity;
    }
    step = &plan->steps[plan->num_steps++];
    memset(step, 0, sizeof *step);
    step->kind = kind;
    step->direction = direction;
    step->node = node;
    step->op = op;
    for (i = 0; i < SSLCV__STEP_BUFFERS; i++) step->buffers[i] = -1;
    if (op && sslcv__op_bytes(op, SSLCV__SCRATCHPAD) > plan->scratch_bytes) {
        plan->scratch_bytes = sslcv__op_bytes(op, SSLCV__SCRATCHPAD);
    }
    if (out) *out = step;
    return SSLCV_OK;
}

void sslcv__plan_touch(sslcv__plan *plan, int32_t buffer)
{
    sslcv__arena_buffer *b;

    if (buffer < 0) return;
    b = &plan->buffers[buffer];
    if (b->first < 0) b->first = plan->num_steps - 1;
    b->last = plan->num_steps - 1;
}

sslcv_status sslcv__plan_bind(sslcv__plan *plan, sslcv__op *op, sslcv__arg arg, int32_t buffer)
{
    sslcv__binding binding = {(int32_t)plan->num_steps - 1, buffer, op, arg, 0};

    if (plan->num_bindings == plan->binding_capacity) {
        const int64_t capacity = plan->binding_capacity ? 2 * plan->binding_capacity : 256;
        const sslcv_status status = sslcv__grow_array(plan->context, plan->num_bindings, capacity,
                                                      sizeof *plan->bindings, (void **)&plan->bindings);
        if (status != SSLCV_OK) return status;
        plan->binding_capacity = capacity;
    }
    plan->bindings[plan->num_bindings++] = binding;
    sslcv__plan_touch(plan, buffer);
    return SSLCV_OK;
}

void sslcv__plan_operand(sslcv__plan *plan, int32_t index, int32_t buffer)
{
    plan->steps[plan->num_steps - 1].buffers[index] = buffer;
    sslcv__plan_touch(plan, buffer);
}

sslcv_status sslcv__plan_reordered(sslcv__plan *plan, const sslcv__node *node, int32_t buffer,
                                   const sslcv__layout *layout, const sslcv__layout *wanted, int32_t *result)
{
    sslcv__op *op;
    int32_t fresh;
    sslcv_status status = SSLCV_OK;

    if (sslcv__layout_equal(layout, wanted)) {
        *result = buffer;
        return SSLCV_OK;
    }
    SSLCV__TRY(sslcv__plan_buffer(plan, sslcv__layout_bytes(wanted), &fresh));
    SSLCV__TRY(sslcv__op_reorder(plan->context, layout, wanted, 0, &op));
    SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_OP, "reorder", node, op, NULL));
    SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__SRC, buffer));
    SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__DST, fresh));
    *result = fresh;
end:
    return status;
}

sslcv_status sslcv__plan_bind_weights(sslcv__plan *plan, const sslcv__node *node, sslcv__op *op, int32_t *reordered)
{
    const sslcv__layout *wanted = sslcv__op_layout(op, SSLCV__WEIGHTS);
    sslcv__op *reorder;
    sslcv_status status = SSLCV_OK;

    *reordered = -1;
    if (sslcv__layout_equal(node->weight->layout, wanted))
        return sslcv__op_bind(op, SSLCV__WEIGHTS, node->weight->value);
    SSLCV__TRY(sslcv__plan_buffer(plan, sslcv__layout_bytes(wanted), reordered));
    SSLCV__TRY(sslcv__op_reorder(plan->context, node->weight->layout, wanted, 0, &reorder));
    SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_OP, "reorder", node, reorder, NULL));
    SSLCV__TRY(sslcv__op_bind(reorder, SSLCV__SRC, node->weight->value));
    SSLCV__TRY(sslcv__plan_bind(plan, reorder, SSLCV__DST, *reordered));
end:
    return status;
}

/* In evaluation, and in frozen stages always: running statistics. */
int sslcv__node_given_statistics(const sslcv__plan *plan, const sslcv__node *node)
{
    return !(plan->key.flags & SSLCV_PASS_TRAIN) || node->stage < plan->key.net->frozen_stages;
}

/* ---- life ---- */

/* The net's nodes up to the last one; a spatial mean on top of a backbone's unless the map is wanted. */
static sslcv_status copy_nodes(sslcv__plan *plan)
{
    const sslcv__net *net = plan->key.net;
    const int32_t last = plan->key.last_node;
    const int mean = !net->rows && !(plan->key.flags & SSLCV_PASS_MAP);
    int64_t widest = 1;
    int32_t i;
    sslcv_status status;

    plan->num_nodes = last + 1 + mean;
    SSLCV__TRY(sslcv__alloc_array(plan->context, plan->num_nodes, sizeof *plan->nodes, (void **)&plan->nodes));
    SSLCV__TRY(sslcv__alloc_array(plan->context, plan->num_nodes, sizeof *plan->values, (void **)&plan->values));
    memcpy(plan->nodes, net->nodes, (size_t)(last + 1) * sizeof *plan->nodes);
    if (mean) {
        const sslcv__node node = {.kind = SSLCV__NODE_MEAN,
                                  .inputs = {last, -1},
                                  .stage = net->nodes[last].stage,
                                  .channels = net->nodes[last].channels};
        plan->nodes[last + 1] = node;
    }
    for (i = 0; i < plan->num_nodes; i++) {
        sslcv__value *v = &plan->values[i];
        v->buffer = v->gradient = v->mean = v->variance = v->workspace = v->norms = -1;
        if (plan->nodes[i].channels > widest) widest = plan->nodes[i].channels;
    }
    SSLCV__TRY(sslcv__alloc_array(plan->context, widest, sizeof(float), (void **)&plan->ones));
    SSLCV__TRY(sslcv__alloc_array(plan->context, widest, sizeof(float), (void **)&plan->zeros));
    SSLCV__TRY(sslcv__alloc_array(plan->context, widest, sizeof(float), (void **)&plan->spare));
    for (i = 0; i < widest; i++) plan->ones[i] = 1.0f;
end:
    return status;
}

static void index_consumers(sslcv__plan *plan)
{
    int32_t i, k;

    for (i = 0; i < plan->num_nodes; i++) {
        for (k = 0; k < 2; k++) {
            if (plan->nodes[i].inputs[k] >= 0) plan->values[plan->nodes[i].inputs[k]].consumers++;
        }
    }
}

sslcv_status sslcv__plan_create(const sslcv__plan_key *key, sslcv__plan **out)
{
    sslcv_context *context = key->net->context;
    sslcv__plan *plan;
    sslcv_status status = sslcv__alloc_array(context, 1, sizeof *plan, (void **)&plan);

    if (status != SSLCV_OK) return status;
    plan->key = *key;
    plan->context = context;
    plan->input = plan->output = plan->diff_output = plan->diff_input = -1;
    SSLCV__TRY(copy_nodes(plan));
    index_consumers(plan);
    SSLCV__TRY(sslcv__plan_build_forward(plan));
    plan->num_forward = plan->num_steps;
    if (key->flags & SSLCV_PASS_GRADIENT) SSLCV__TRY(sslcv__plan_build_backward(plan));
    SSLCV__TRY(sslcv__arena_place(context, plan->buffers, plan->num_buffers, &plan->activation_bytes));
    *out = plan;
    return SSLCV_OK;
end:
    sslcv__plan_free(plan);
    return status;
}

void sslcv__plan_free(sslcv__plan *plan)
{
    sslcv_context *context;
    int64_t i;

    if (!plan) return;
    context = plan->context;
    for (i = 0; i < plan->num_steps; i++) {
        sslcv__op_free(context, plan->steps[i].op);
        sslcv__op_free(context, plan->steps[i].reorder);
    }
    for (i = 0; plan->values && i < plan->num_nodes; i++) sslcv__layout_free(context, plan->values[i].layout);
    sslcv__free(context, plan->spare);
    sslcv__free(context, plan->zeros);
    sslcv__free(context, plan->ones);
    sslcv__free(context, plan->buffers);
    sslcv__free(context, plan->bindings);
    sslcv__free(context, plan->steps);
    sslcv__free(context, plan->values);
    sslcv__free(context, plan->nodes);
    sslcv__free(context, plan);
}

const sslcv__plan_key *sslcv__plan_get_key(const sslcv__plan *plan)
{
    return &plan->key;
}

int64_t sslcv__plan_arena_bytes(const sslcv__plan *plan)
{
    return plan->activation_bytes + plan->scratch_bytes;
}

int64_t sslcv__plan_scratch_bytes(const sslcv__plan *plan)
{
    return plan->scratch_bytes;
}

static float *place_of(const sslcv__plan *plan, int32_t buffer)
{
    return buffer < 0 ? NULL : (float *)(void *)(plan->arena + plan->buffers[buffer].offset);
}

sslcv_status sslcv__plan_place(sslcv__plan *plan, char *arena)
{
    int64_t i;
    int k;
    sslcv_status status = SSLCV_OK;

    plan->arena = arena;
    for (i = 0; i < plan->num_bindings; i++) {
        const sslcv__binding *b = &plan->bindings[i];
        SSLCV__TRY(sslcv__op_bind(b->op, b->arg, place_of(plan, b->buffer)));
    }
    for (i = 0; i < plan->num_steps; i++) {
        sslcv__step *step = &plan->steps[i];
        void *scratch = arena + plan->activation_bytes;

        if (step->op) SSLCV__TRY(sslcv__op_bind(step->op, SSLCV__SCRATCHPAD, scratch));
        if (step->reorder) SSLCV__TRY(sslcv__op_bind(step->reorder, SSLCV__SCRATCHPAD, scratch));
        for (k = 0; k < SSLCV__STEP_BUFFERS; k++) step->memory[k] = place_of(plan, step->buffers[k]);
    }
end:
    return status;
}

float *sslcv__plan_input(const sslcv__plan *plan)
{
    return place_of(plan, plan->input);
}

const float *sslcv__plan_output(const sslcv__plan *plan, int64_t shape[4])
{
    memcpy(shape, plan->values[plan->num_nodes - 1].shape, 4 * sizeof *shape);
    return place_of(plan, plan->output);
}

float *sslcv__plan_diff_output(const sslcv__plan *plan)
{
    return place_of(plan, plan->diff_output);
}

const float *sslcv__plan_diff_input(const sslcv__plan *plan)
{
    return place_of(plan, plan->diff_input);
}

/* ---- running ---- */

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

static sslcv_status run_norm_backward(const sslcv__step *step)
{
    const sslcv_status status = sslcv__op_run(step->op);
    sslcv__variable *scale = step->node->weight, *shift = step->node->bias;

    if (status != SSLCV_OK) return status;
    if (scale && !scale->frozen) add_gradient(scale, step->memory[0]);
    if (shift && !shift->frozen) add_gradient(shift, step->memory[1]);
    return SSLCV_OK;
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

static sslcv_status run_step(sslcv__step *step)
{
    float *const *m = step->memory;
    const sslcv__variable *weight = step->node->weight;

    switch (step->kind) {
    case SSLCV__STEP_OP: return sslcv__op_run(step->op);
    case SSLCV__STEP_CONV_WEIGHTS: return run_conv_weights(step);
    case SSLCV__STEP_NORM_BACKWARD: return run_norm_backward(step);
    case SSLCV__STEP_ADD_RELU: sslcv__add_relu(m[0], m[1], m[2], step->count); return SSLCV_OK;
    case SSLCV__STEP_RELU_MASK: sslcv__relu_mask(m[0], m[1], m[2], step->count); return SSLCV_OK;
    case SSLCV__STEP_SUM: sslcv__sum(m[0], m[1], m[2], step->count); return SSLCV_OK;
    case SSLCV__STEP_LINEAR: return run_linear(step);
    case SSLCV__STEP_LINEAR_DATA:
        return sslcv__gemm(0, 0, step->count, weight->shape[1], weight->shape[0], 1.0f, m[0], weight->shape[0],
                           weight->value, weight->shape[1], 0.0f, m[1], weight->shape[1]);
    case SSLCV__STEP_LINEAR_WEIGHTS: return run_linear_weights(step);
    case SSLCV__STEP_NORMALIZE:
        sslcv__rows_normalize(m[0], step->count, step->node->channels, m[1], (double *)(void *)m[2]);
        return SSLCV_OK;
    case SSLCV__STEP_NORMALIZE_BACKWARD:
        sslcv__rows_normalize_backward(m[0], (double *)(void *)m[1], m[2], step->count, step->node->channels, m[3]);
        return SSLCV_OK;
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

        status = run_step(step);
        if (plan->timing) step->seconds += omp_get_wtime() - start;
    }
    return status;
}

/* running <- (1 - momentum) running + momentum * batch's; the variance unbiased, as PyTorch keeps it. */
static void move_running(const sslcv__plan *plan, const sslcv__node *node, const sslcv__value *value)
{
    const float *mean = place_of(plan, value->mean), *variance = place_of(plan, value->variance);
    const double momentum = plan->key.net->norm_momentum;
    const double n = (double)(value->shape[0] * value->shape[2] * value->shape[3]);
    float *running_mean = node->mean->value, *running_variance = node->variance->value;
    int64_t c;

    for (c = 0; c < node->channels; c++) {
        running_mean[c] = (float)((1.0 - momentum) * running_mean[c] + momentum * mean[c]);
        running_variance[c] = (float)((1.0 - momentum) * running_variance[c] + momentum * variance[c] * n / (n - 1.0));
    }
    ++*(int64_t *)node->batches->value;
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

            if (node->kind != SSLCV__NODE_BATCH_NORM || sslcv__node_given_statistics(plan, node)) continue;
            if (pass == 1) {
                move_running(plan, node, value);
            } else if (!sslcv__all_finite(place_of(plan, value->mean), node->channels) ||
                       !sslcv__all_finite(place_of(plan, value->variance), node->channels)) {
                return sslcv__fail(SSLCV_ERR_NUMERIC, "%s: the batch's statistics are not finite", node->mean->name);
            }
        }
    }
    return SSLCV_OK;
}

sslcv_status sslcv__plan_forward(sslcv__plan *plan)
{
    const sslcv_status status = run_steps(plan, 0, plan->num_forward);

    if (status != SSLCV_OK || !(plan->key.flags & SSLCV_PASS_TRAIN)) return status;
    return update_running_statistics(plan);
}

sslcv_status sslcv__plan_backward(sslcv__plan *plan)
{
    return run_steps(plan, plan->num_forward, plan->num_steps);
}

/* ---- looking ---- */

int64_t sslcv__plan_num_steps(const sslcv__plan *plan)
{
    return plan->num_steps;
}

void sslcv__plan_get_step(const sslcv__plan *plan, int64_t index, sslcv__step_info *info)
{
    static const char *const layers[] = {"input",      "convolution", "batch norm", "relu",     "max pooling",
                                         "add + relu", "mean",        "linear",     "normalize"};
    const sslcv__step *step = &plan->steps[index];

    info->layer = layers[step->node->kind];
    info->direction = step->direction;
    info->implementation = step->op ? sslcv__op_implementation(step->op) : "own";
    info->variable = step->node->weight ? step->node->weight->name : "";
    info->seconds = step->seconds;
}

void sslcv__plan_set_timing(sslcv__plan *plan, int on)
{
    int64_t i;

    plan->timing = on;
    for (i = 0; on && i < plan->num_steps; i++) plan->steps[i].seconds = 0.0;
}
