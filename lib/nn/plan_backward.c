/*
 * The backward half of a plan's program. Nodes are visited from the last to the first; a node's gradient is whole when
 * it is visited, as all that read its result stand behind it.
 *
 *     y = relu(a + b):     d = dy where y > 0, in place where only y uses that buffer; the gradients of a and of b are d
 *     a second reader:     its part goes into a buffer of its own and is added
 */
#include <sslcv/tape.h>

#include "nn/plan_build.h"

typedef struct build {
    sslcv__plan *plan;
    int32_t index;
    sslcv__node *node;
    sslcv__value *value;
    sslcv__value *in;
} build;

static int64_t floats_in(const sslcv__layout *layout)
{
    return sslcv__layout_bytes(layout) / (int64_t)sizeof(float);
}

static int trains(const sslcv__node *node)
{
    return (node->weight && !node->weight->frozen) || (node->bias && !node->bias->frozen);
}

/* Frozen stages learn nothing, whatever their variables say. */
static int node_trains(const sslcv__plan *plan, const sslcv__node *node)
{
    return node->stage >= plan->key.net->frozen_stages && trains(node);
}

static void mark_needs(sslcv__plan *plan)
{
    int32_t i, k;

    for (i = 0; i < plan->num_nodes; i++) {
        sslcv__value *value = &plan->values[i];

        value->needs_gradient = i == 0 ? plan->key.net->rows || (plan->key.flags & SSLCV_PASS_INPUT_GRADIENT) != 0
                                       : node_trains(plan, &plan->nodes[i]);
        for (k = 0; k < 2; k++) {
            const int32_t input = plan->nodes[i].inputs[k];
            if (input >= 0 && plan->values[input].needs_gradient) value->needs_gradient = 1;
        }
    }
}

/* May buffer be changed at this point? Not while it is also the gradient of a node still to be visited. */
static int is_shared(const build *b, int32_t buffer, int32_t owner)
{
    int32_t i;

    for (i = 0; i < b->index; i++) {
        if (i != owner && b->plan->values[i].gradient == buffer) return 1;
    }
    return 0;
}

/* Count a contribution, in the value's layout, towards the gradient of a node. */
static sslcv_status contribute(build *b, int32_t target, int32_t buffer)
{
    sslcv__value *value = &b->plan->values[target];
    int32_t sum = value->gradient;
    sslcv_status status = SSLCV_OK;

    if (value->gradient < 0) {
        value->gradient = buffer;
        return SSLCV_OK;
    }
    if (is_shared(b, sum, target)) SSLCV__TRY(sslcv__plan_buffer(b->plan, sslcv__layout_bytes(value->layout), &sum));
    SSLCV__TRY(sslcv__plan_step(b->plan, SSLCV__STEP_SUM, "backward", b->node, NULL, NULL));
    b->plan->steps[b->plan->num_steps - 1].count = floats_in(value->layout);
    sslcv__plan_operand(b->plan, 0, value->gradient);
    sslcv__plan_operand(b->plan, 1, buffer);
    sslcv__plan_operand(b->plan, 2, sum);
    value->gradient = sum;
end:
    return status;
}

/* The result of op for input 0: bound to a buffer, reordered where it lies otherwise, and counted. Called behind the
   op's step. */
static sslcv_status contribute_result(build *b, sslcv__op *op)
{
    const sslcv__layout *made = sslcv__op_layout(op, SSLCV__DIFF_SRC);
    int32_t buffer, result;
    sslcv_status status;

    SSLCV__TRY(sslcv__plan_buffer(b->plan, sslcv__layout_bytes(made), &buffer));
    SSLCV__TRY(sslcv__plan_bind(b->plan, op, SSLCV__DIFF_SRC, buffer));
    SSLCV__TRY(sslcv__plan_reordered(b->plan, b->node, buffer, made, b->in->layout, &result));
    SSLCV__TRY(contribute(b, b->node->inputs[0], result));
end:
    return status;
}

static sslcv_status build_conv_weights(build *b, const sslcv__conv_shape *shape)
{
    sslcv__plan *plan = b->plan;
    const sslcv__layout *made;
    sslcv__op *op;
    sslcv__step *step;
    int32_t src, diff_dst, gradient;
    sslcv_status status;

    SSLCV__TRY(sslcv__op_conv_backward_weights(plan->context, shape, &op));
    made = sslcv__op_layout(op, SSLCV__DIFF_WEIGHTS);
    status = sslcv__plan_reordered(plan, b->node, b->in->buffer, b->in->layout, sslcv__op_layout(op, SSLCV__SRC), &src);
    if (status == SSLCV_OK) {
        status = sslcv__plan_reordered(plan, b->node, b->value->gradient, b->value->layout,
                                       sslcv__op_layout(op, SSLCV__DIFF_DST), &diff_dst);
    }
    if (status == SSLCV_OK) status = sslcv__plan_buffer(plan, sslcv__layout_bytes(made), &gradient);
    if (status != SSLCV_OK) {
        sslcv__op_free(plan->context, op);
        return status;
    }
    SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_CONV_WEIGHTS, "backward weights", b->node, op, &step));
    sslcv__plan_operand(plan, 0, gradient);
    SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__SRC, src));
    SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__DIFF_DST, diff_dst));
    if (!sslcv__layout_equal(made, b->node->weight->layout)) {
        sslcv__op *reorder;

        SSLCV__TRY(sslcv__op_reorder(plan->context, made, b->node->weight->layout, 1, &reorder));
        step->reorder = reorder;
        if (sslcv__op_bytes(reorder, SSLCV__SCRATCHPAD) > plan->scratch_bytes) {
            plan->scratch_bytes = sslcv__op_bytes(reorder, SSLCV__SCRATCHPAD);
        }
        SSLCV__TRY(sslcv__op_bind(reorder, SSLCV__DST, b->node->weight->gradient));
        SSLCV__TRY(sslcv__plan_bind(plan, reorder, SSLCV__SRC, gradient));
    }
end:
    return status;
}

static sslcv_status build_conv_data(build *b, const sslcv__conv_shape *shape)
{
    sslcv__plan *plan = b->plan;
    sslcv__op *op;
    int32_t weights, diff_dst;
    sslcv_status status;

    SSLCV__TRY(sslcv__op_conv_backward_data(plan->context, shape, &op));
    status = sslcv__plan_bind_weights(plan, b->node, op, &weights);
    if (status == SSLCV_OK) {
        status = sslcv__plan_reordered(plan, b->node, b->value->gradient, b->value->layout,
                                       sslcv__op_layout(op, SSLCV__DIFF_DST), &diff_dst);
    }
    if (status != SSLCV_OK) {
        sslcv__op_free(plan->context, op);
        return status;
    }
    SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_OP, "backward data", b->node, op, NULL));
    if (weights >= 0) SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__WEIGHTS, weights));
    SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__DIFF_DST, diff_dst));
    SSLCV__TRY(contribute_result(b, op));
end:
    return status;
}

static sslcv_status build_convolution(build *b)
{
    sslcv__conv_shape shape;
    sslcv_status status = SSLCV_OK;

    sslcv__plan_conv_shape(b->plan, b->node, &shape);
    if (node_trains(b->plan, b->node)) SSLCV__TRY(build_conv_weights(b, &shape));
    if (b->in->needs_gradient) SSLCV__TRY(build_conv_data(b, &shape));
end:
    return status;
}

static sslcv_status build_batch_norm(build *b)
{
    sslcv__plan *plan = b->plan;
    const sslcv__node *node = b->node;
    const sslcv__value *v = b->value;
    const int given = sslcv__node_given_statistics(plan, node);
    const int64_t bytes = node->channels * (int64_t)sizeof(float);
    int32_t scale, shift;
    sslcv__op *op;
    sslcv_status status;

    SSLCV__TRY(sslcv__op_batch_norm_backward(plan->context, v->layout, plan->key.net->norm_epsilon, given, node->relu,
                                             v->op, &op));
    SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_NORM_BACKWARD, "backward", node, op, NULL));
    SSLCV__TRY(sslcv__op_bind(op, SSLCV__SCALE, node->weight ? node->weight->value : (void *)plan->ones));
    SSLCV__TRY(sslcv__op_bind(op, SSLCV__SHIFT, node->bias ? node->bias->value : (void *)plan->zeros));
    if (given) {
        SSLCV__TRY(sslcv__op_bind(op, SSLCV__MEAN, node->mean->value));
        SSLCV__TRY(sslcv__op_bind(op, SSLCV__VARIANCE, node->variance->value));
    } else {
        SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__MEAN, v->mean));
        SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__VARIANCE, v->variance));
    }
    if (v->workspace >= 0) SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__WORKSPACE, v->workspace));
    SSLCV__TRY(sslcv__plan_buffer(plan, bytes, &scale));
    SSLCV__TRY(sslcv__plan_buffer(plan, bytes, &shift));
    SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__DIFF_SCALE, scale));
    SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__DIFF_SHIFT, shift));
    sslcv__plan_operand(plan, 0, scale);
    sslcv__plan_operand(plan, 1, shift);
    SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__SRC, b->in->buffer));
    SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__DIFF_DST, v->gradient));
    /* oneDNN computes diff_src in any case; without a reader it dies at once. */
    SSLCV__TRY(contribute_result(b, op));
end:
    return status;
}

static sslcv_status build_relu(build *b)
{
    sslcv__op *op;
    sslcv_status status;

    SSLCV__TRY(sslcv__op_relu_backward(b->plan->context, b->value->layout, b->value->op, &op));
    SSLCV__TRY(sslcv__plan_step(b->plan, SSLCV__STEP_OP, "backward", b->node, op, NULL));
    SSLCV__TRY(sslcv__plan_bind(b->plan, op, SSLCV__DST, b->value->buffer));
    SSLCV__TRY(sslcv__plan_bind(b->plan, op, SSLCV__DIFF_DST, b->value->gradient));
    SSLCV__TRY(contribute_result(b, op));
end:
    return status;
}

static sslcv_status build_max_pool(build *b)
{
    const sslcv__node *n = b->node;
    sslcv__op *op;
    int32_t diff_dst;
    sslcv_status status;

    SSLCV__TRY(sslcv__op_max_pool_backward(b->plan->context, b->in->layout, n->kernel, n->stride, n->padding,
                                           b->value->op, &op));
    status = sslcv__plan_reordered(b->plan, n, b->value->gradient, b->value->layout,
                                   sslcv__op_layout(op, SSLCV__DIFF_DST), &diff_dst);
    if (status != SSLCV_OK) {
        sslcv__op_free(b->plan->context, op);
        return status;
    }
    SSLCV__TRY(sslcv__plan_step(b->plan, SSLCV__STEP_OP, "backward", n, op, NULL));
    SSLCV__TRY(sslcv__plan_bind(b->plan, op, SSLCV__DIFF_DST, diff_dst));
    if (b->value->workspace >= 0) SSLCV__TRY(sslcv__plan_bind(b->plan, op, SSLCV__WORKSPACE, b->value->workspace));
    SSLCV__TRY(contribute_result(b, op));
end:
    return status;
}

static sslcv_status build_mean(build *b)
{
    sslcv__op *op;
    int32_t diff_dst;
    sslcv_status status;

    SSLCV__TRY(sslcv__op_mean_backward(b->plan->context, b->in->layout, b->value->op, &op));
    status = sslcv__plan_reordered(b->plan, b->node, b->value->gradient, b->value->layout,
                                   sslcv__op_layout(op, SSLCV__DIFF_DST), &diff_dst);
    if (status != SSLCV_OK) {
        sslcv__op_free(b->plan->context, op);
        return status;
    }
    SSLCV__TRY(sslcv__plan_step(b->plan, SSLCV__STEP_OP, "backward", b->node, op, NULL));
    SSLCV__TRY(sslcv__plan_bind(b->plan, op, SSLCV__DIFF_DST, diff_dst));
    SSLCV__TRY(contribute_result(b, op));
end:
    return status;
}

static sslcv_status build_add_relu(build *b)
{
    const sslcv__value *other = &b->plan->values[b->node->inputs[1]];
    int32_t masked = b->value->gradient, reordered;
    sslcv_status status = SSLCV_OK;

    if (is_shared(b, masked, b->index)) {
        SSLCV__TRY(sslcv__plan_buffer(b->plan, sslcv__layout_bytes(b->value->layout), &masked));
    }
    SSLCV__TRY(sslcv__plan_step(b->plan, SSLCV__STEP_RELU_MASK, "backward", b->node, NULL, NULL));
    b->plan->steps[b->plan->num_steps - 1].count = floats_in(b->value->layout);
    sslcv__plan_operand(b->plan, 0, b->value->buffer);
    sslcv__plan_operand(b->plan, 1, b->value->gradient);
    sslcv__plan_operand(b->plan, 2, masked);
    SSLCV__TRY(sslcv__plan_reordered(b->plan, b->node, masked, b->value->layout, other->layout, &reordered));
    SSLCV__TRY(contribute(b, b->node->inputs[0], masked));
    SSLCV__TRY(contribute(b, b->node->inputs[1], reordered));
end:
    return status;
}

static sslcv_status build_linear(build *b)
{
    sslcv__plan *plan = b->plan;
    int32_t buffer;
    sslcv_status status = SSLCV_OK;

    if (node_trains(plan, b->node)) {
        SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_LINEAR_WEIGHTS, "backward weights", b->node, NULL, NULL));
        plan->steps[plan->num_steps - 1].count = plan->key.shape[0];
        sslcv__plan_operand(plan, 0, b->in->buffer);
        sslcv__plan_operand(plan, 1, b->value->gradient);
    }
    if (b->in->needs_gradient) {
        SSLCV__TRY(sslcv__plan_buffer(plan, sslcv__layout_bytes(b->in->layout), &buffer));
        SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_LINEAR_DATA, "backward data", b->node, NULL, NULL));
        plan->steps[plan->num_steps - 1].count = plan->key.shape[0];
        sslcv__plan_operand(plan, 0, b->value->gradient);
        sslcv__plan_operand(plan, 1, buffer);
        SSLCV__TRY(contribute(b, b->node->inputs[0], buffer));
    }
end:
    return status;
}

static sslcv_status build_normalize(build *b)
{
    int32_t buffer;
    sslcv_status status;

    SSLCV__TRY(sslcv__plan_buffer(b->plan, sslcv__layout_bytes(b->in->layout), &buffer));
    SSLCV__TRY(sslcv__plan_step(b->plan, SSLCV__STEP_NORMALIZE_BACKWARD, "backward", b->node, NULL, NULL));
    b->plan->steps[b->plan->num_steps - 1].count = b->plan->key.shape[0];
    sslcv__plan_operand(b->plan, 0, b->value->buffer);
    sslcv__plan_operand(b->plan, 1, b->value->norms);
    sslcv__plan_operand(b->plan, 2, b->value->gradient);
    sslcv__plan_operand(b->plan, 3, buffer);
    SSLCV__TRY(contribute(b, b->node->inputs[0], buffer));
end:
    return status;
}

static sslcv_status build_node(build *b)
{
    switch (b->node->kind) {
    case SSLCV__NODE_INPUT: return SSLCV_OK;
    case SSLCV__NODE_CONVOLUTION: return build_convolution(b);
    case SSLCV__NODE_BATCH_NORM: return build_batch_norm(b);
    case SSLCV__NODE_RELU: return build_relu(b);
    case SSLCV__NODE_MAX_POOL: return build_max_pool(b);
    case SSLCV__NODE_ADD_RELU: return build_add_relu(b);
    case SSLCV__NODE_MEAN: return build_mean(b);
    case SSLCV__NODE_LINEAR: return build_linear(b);
    case SSLCV__NODE_NORMALIZE: return build_normalize(b);
    }
    return SSLCV_OK;
}

/* What the caller fills before backward: plain, then in the last value's layout. */
static sslcv_status build_diff_output(sslcv__plan *plan)
{
    sslcv__value *last = &plan->values[plan->num_nodes - 1];
    sslcv__layout *plain = NULL;
    sslcv_status status = SSLCV_OK;

    SSLCV__TRY(sslcv__plan_buffer(plan, sslcv__layout_bytes(last->layout), &plan->diff_output));
    /* Filled between the halves: alive from the first backward step on. */
    plan->buffers[plan->diff_output].first = plan->buffers[plan->diff_output].last = plan->num_steps;
    if (plan->output == last->buffer) {
        last->gradient = plan->diff_output;
        return SSLCV_OK;
    }
    SSLCV__TRY(sslcv__layout_plain(plan->context, 4, last->shape, &plain));
    SSLCV__TRY(sslcv__plan_reordered(plan, &plan->nodes[plan->num_nodes - 1], plan->diff_output, plain, last->layout,
                                     &last->gradient));
end:
    sslcv__layout_free(plan->context, plain);
    return status;
}

sslcv_status sslcv__plan_build_backward(sslcv__plan *plan)
{
    int32_t i;
    sslcv_status status;

    mark_needs(plan);
    SSLCV__TRY(build_diff_output(plan));
    for (i = plan->num_nodes - 1; i > 0; i--) {
        sslcv__node *node = &plan->nodes[i];
        build b = {plan, i, node, &plan->values[i], &plan->values[node->inputs[0]]};

        if (plan->values[i].needs_gradient) SSLCV__TRY(build_node(&b));
    }
    if (plan->values[0].needs_gradient) plan->diff_input = plan->values[0].gradient;
    /* Both are the caller's to read after the last step; a pass may also be read again after its backward. */
    sslcv__plan_touch(plan, plan->diff_input);
    sslcv__plan_touch(plan, plan->output);
end:
    return status;
}
