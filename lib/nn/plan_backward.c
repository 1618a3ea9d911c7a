/*
 * The backward half of a plan's program. Nodes are visited from the last to the first; a node's gradient is whole when
 * it is visited, as all that read its result stand behind it.
 *
 *     y = relu(norm(x) + r):   one step gives d = dy where y > 0, which is r's gradient, and x's
 *     a second reader of y:    its part of dy stays a buffer of its own until a step that takes two, or a sum
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

static int64_t elements_in(const sslcv__layout *layout)
{
    return sslcv__layout_bytes(layout) / sslcv_dtype_size(sslcv__layout_dtype(layout));
}

/* May buffer be changed at this point? Not while it is also a part of the gradient of a node still to be visited. */
static int is_shared(const build *b, int32_t buffer)
{
    int32_t i;

    for (i = 0; i < b->index; i++) {
        const int32_t *g = b->plan->values[i].gradients;
        if (g[0] == buffer || g[1] == buffer) return 1;
    }
    return 0;
}

/* One of the node's two parts of a gradient that a result may take the place of, but taken; else a new buffer. */
static sslcv_status take_place(build *b, int32_t taken, int32_t *result)
{
    int k;

    for (k = 0; k < 2; k++) {
        const int32_t g = b->value->gradients[k];

        if (g >= 0 && g != taken && !is_shared(b, g) && g != b->plan->diff_output) {
            *result = g;
            return SSLCV_OK;
        }
    }
    return sslcv__plan_buffer(b->plan, sslcv__layout_bytes(b->value->layout), result);
}

/* The two parts of a gradient become one. */
static sslcv_status join(build *b, sslcv__value *value)
{
    int32_t sum;
    sslcv_status status = SSLCV_OK;

    if (value->gradients[1] < 0) return SSLCV_OK;
    SSLCV__TRY(sslcv__plan_buffer(b->plan, sslcv__layout_bytes(value->layout), &sum));
    SSLCV__TRY(sslcv__plan_step(b->plan, SSLCV__STEP_SUM, "backward", b->node, NULL, NULL));
    b->plan->steps[b->plan->num_steps - 1].count = elements_in(value->layout);
    b->plan->steps[b->plan->num_steps - 1].bf16 = sslcv__layout_dtype(value->layout) == SSLCV_BF16;
    sslcv__plan_operand(b->plan, 0, value->gradients[0]);
    sslcv__plan_operand(b->plan, 1, value->gradients[1]);
    sslcv__plan_operand(b->plan, 2, sum);
    value->gradients[0] = sum;
    value->gradients[1] = -1;
end:
    return status;
}

/* Count a contribution, in the value's layout, towards the gradient of a node. */
static sslcv_status contribute(build *b, int32_t target, int32_t buffer)
{
    sslcv__value *value = &b->plan->values[target];
    sslcv_status status = SSLCV_OK;

    if (value->gradients[0] >= 0 && value->gradients[1] >= 0) SSLCV__TRY(join(b, value));
    value->gradients[value->gradients[0] >= 0] = buffer;
end:
    return status;
}

sslcv_status sslcv__plan_contribute(sslcv__plan *plan, int32_t node, int32_t target, int32_t buffer)
{
    build b = {plan, node, &plan->nodes[node], &plan->values[node], NULL};

    return contribute(&b, target, buffer);
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
        status = sslcv__plan_reordered(plan, b->node, b->value->gradients[0], b->value->layout,
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
        if (sslcv__op_bytes(reorder, SSLCV__SCRATCHPAD) > 0) {
            int32_t scratch;

            SSLCV__TRY(sslcv__plan_buffer(plan, sslcv__op_bytes(reorder, SSLCV__SCRATCHPAD), &scratch));
            SSLCV__TRY(sslcv__plan_bind(plan, reorder, SSLCV__SCRATCHPAD, scratch));
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
        status = sslcv__plan_reordered(plan, b->node, b->value->gradients[0], b->value->layout,
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
    if (sslcv__node_trains(b->plan, b->node)) {
        SSLCV__TRY(sslcv__plan_need(b->plan, b->node->inputs[0]));
        SSLCV__TRY(build_conv_weights(b, &shape));
    }
    if (b->in->needs_gradient) SSLCV__TRY(build_conv_data(b, &shape));
end:
    return status;
}

/* A batch norm, with its own ReLU or with the sum and ReLU of the shortcut behind it; b is the node whose gradient is
   whole. */
static sslcv_status build_norm(build *b, int32_t norm)
{
    sslcv__plan *plan = b->plan;
    const sslcv__node *node = &plan->nodes[norm];
    const sslcv__value *v = &plan->values[norm];
    const int32_t input = node->inputs[0];
    const sslcv__value *x = &plan->values[input];
    const int shortcut = norm != b->index;
    const int wants_d = shortcut && plan->values[b->node->inputs[1]].needs_gradient;
    const int64_t bytes = node->channels * (int64_t)sizeof(float);
    const int32_t *g = b->value->gradients;
    int32_t d = -1, diff_x = -1, scale, shift, reordered;
    sslcv__step *step;
    sslcv_status status;

    SSLCV__TRY(sslcv__plan_need(plan, input));
    if (shortcut && b->node->relu) SSLCV__TRY(sslcv__plan_need(plan, b->index));
    if (wants_d) SSLCV__TRY(take_place(b, -1, &d));
    if (x->needs_gradient) SSLCV__TRY(take_place(b, d, &diff_x));
    SSLCV__TRY(sslcv__plan_buffer(plan, bytes, &scale));
    SSLCV__TRY(sslcv__plan_buffer(plan, bytes, &shift));
    SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_NORM_BACKWARD, "backward", node, NULL, &step));
    step->mask = !b->node->relu ? SSLCV__NORM_MASK_NONE : shortcut ? SSLCV__NORM_MASK_Y : SSLCV__NORM_MASK_X;
    SSLCV__TRY(sslcv__plan_norm_shape(plan, x));
    sslcv__plan_operand(plan, SSLCV__NORM_X, x->buffer);
    if (step->mask == SSLCV__NORM_MASK_Y) sslcv__plan_operand(plan, SSLCV__NORM_Y, b->value->buffer);
    sslcv__plan_operand(plan, SSLCV__NORM_G, g[0]);
    sslcv__plan_operand(plan, SSLCV__NORM_G2, g[1]);
    sslcv__plan_operand(plan, SSLCV__NORM_D, d);
    sslcv__plan_operand(plan, SSLCV__NORM_DIFF_X, diff_x);
    sslcv__plan_operand(plan, SSLCV__NORM_MEAN, v->mean);
    sslcv__plan_operand(plan, SSLCV__NORM_VARIANCE, v->variance);
    sslcv__plan_operand(plan, SSLCV__NORM_DIFF_SCALE, scale);
    sslcv__plan_operand(plan, SSLCV__NORM_DIFF_SHIFT, shift);
    if (wants_d) {
        const int32_t second = b->node->inputs[1];

        SSLCV__TRY(sslcv__plan_reordered(plan, b->node, d, b->value->layout, plan->values[second].layout, &reordered));
        SSLCV__TRY(contribute(b, second, reordered));
    }
    if (x->needs_gradient) SSLCV__TRY(contribute(b, input, diff_x));
end:
    return status;
}

/*
 * The bias of a convolution, with its own ReLU or with the sum and ReLU behind it; b is the node whose gradient is
 * whole. d is the gradient of the convolution and of the shortcut, too, so both share its memory.
 */
static sslcv_status build_bias(build *b, int32_t bias)
{
    sslcv__plan *plan = b->plan;
    const sslcv__node *node = &plan->nodes[bias];
    const int32_t input = node->inputs[0], second = bias != b->index ? b->node->inputs[1] : -1;
    const int relu = b->node->relu;
    const int32_t *g = b->value->gradients;
    int32_t d = g[0], shift = -1, reordered;
    sslcv__step *step;
    sslcv_status status = SSLCV_OK;

    if (relu) SSLCV__TRY(sslcv__plan_need(plan, b->index));
    if (relu || g[1] >= 0) SSLCV__TRY(take_place(b, -1, &d));
    if (relu || g[1] >= 0 || sslcv__node_trains(plan, node)) {
        SSLCV__TRY(sslcv__plan_buffer(plan, node->channels * (int64_t)sizeof(float), &shift));
        SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_NORM_BACKWARD, "backward", node, NULL, &step));
        step->mask = relu ? SSLCV__NORM_MASK_Y : SSLCV__NORM_MASK_NONE;
        SSLCV__TRY(sslcv__plan_norm_shape(plan, b->value));
        sslcv__plan_operand(plan, SSLCV__NORM_X, relu ? b->value->buffer : g[0]); /* does not count: no scale */
        if (relu) sslcv__plan_operand(plan, SSLCV__NORM_Y, b->value->buffer);
        sslcv__plan_operand(plan, SSLCV__NORM_G, g[0]);
        sslcv__plan_operand(plan, SSLCV__NORM_G2, g[1]);
        if (relu || g[1] >= 0) sslcv__plan_operand(plan, SSLCV__NORM_D, d);
        sslcv__plan_operand(plan, SSLCV__NORM_DIFF_SHIFT, shift);
    }
    if (second >= 0 && plan->values[second].needs_gradient) {
        SSLCV__TRY(sslcv__plan_reordered(plan, b->node, d, b->value->layout, plan->values[second].layout, &reordered));
        SSLCV__TRY(contribute(b, second, reordered));
    }
    if (plan->values[input].needs_gradient) SSLCV__TRY(contribute(b, input, d));
end:
    return status;
}

/* d <- dy where y > 0. */
static sslcv_status build_mask(build *b, int32_t *d)
{
    sslcv__plan *plan = b->plan;
    sslcv_status status;

    SSLCV__TRY(sslcv__plan_need(plan, b->index));
    SSLCV__TRY(take_place(b, -1, d));
    SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_RELU_MASK, "backward", b->node, NULL, NULL));
    plan->steps[plan->num_steps - 1].count = elements_in(b->value->layout);
    plan->steps[plan->num_steps - 1].bf16 = sslcv__layout_dtype(b->value->layout) == SSLCV_BF16;
    sslcv__plan_operand(plan, 0, b->value->buffer);
    sslcv__plan_operand(plan, 1, b->value->gradients[0]);
    sslcv__plan_operand(plan, 2, *d);
end:
    return status;
}

static sslcv_status build_relu(build *b)
{
    int32_t d;
    sslcv_status status;

    SSLCV__TRY(build_mask(b, &d));
    SSLCV__TRY(contribute(b, b->node->inputs[0], d));
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
    status = sslcv__plan_reordered(b->plan, n, b->value->gradients[0], b->value->layout,
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
    int32_t diff_src;
    sslcv_status status;

    SSLCV__TRY(sslcv__plan_buffer(b->plan, sslcv__layout_bytes(b->in->layout), &diff_src));
    SSLCV__TRY(sslcv__plan_step(b->plan, SSLCV__STEP_MEAN_BACKWARD, "backward", b->node, NULL, NULL));
    SSLCV__TRY(sslcv__plan_norm_shape(b->plan, b->in));
    sslcv__plan_operand(b->plan, 0, b->value->gradients[0]);
    sslcv__plan_operand(b->plan, 1, diff_src);
    SSLCV__TRY(contribute(b, b->node->inputs[0], diff_src));
end:
    return status;
}

static sslcv_status build_add(build *b)
{
    const int32_t *inputs = b->node->inputs;
    int32_t masked = b->value->gradients[0], reordered;
    sslcv_status status = SSLCV_OK;

    if (b->in->absorbed && b->plan->nodes[inputs[0]].kind == SSLCV__NODE_BIAS) return build_bias(b, inputs[0]);
    if (b->in->absorbed) return build_norm(b, inputs[0]);
    if (b->node->relu) SSLCV__TRY(build_mask(b, &masked));
    SSLCV__TRY(sslcv__plan_reordered(b->plan, b->node, masked, b->value->layout, b->plan->values[inputs[1]].layout,
                                     &reordered));
    if (b->in->needs_gradient) SSLCV__TRY(contribute(b, inputs[0], masked));
    if (b->plan->values[inputs[1]].needs_gradient) SSLCV__TRY(contribute(b, inputs[1], reordered));
end:
    return status;
}

static sslcv_status build_flatten(build *b)
{
    sslcv__layout *plain = NULL;
    int32_t gradient;
    sslcv_status status;

    SSLCV__TRY(sslcv__layout_plain(b->plan->context, SSLCV_F32, 4, b->in->shape, &plain));
    SSLCV__TRY(sslcv__plan_reordered(b->plan, b->node, b->value->gradients[0], plain, b->in->layout, &gradient));
    status = contribute(b, b->node->inputs[0], gradient);
end:
    sslcv__layout_free(b->plan->context, plain);
    return status;
}

static sslcv_status build_linear(build *b)
{
    sslcv__plan *plan = b->plan;
    int32_t buffer;
    sslcv_status status = SSLCV_OK;

    if (sslcv__node_trains(plan, b->node)) {
        SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_LINEAR_WEIGHTS, "backward weights", b->node, NULL, NULL));
        plan->steps[plan->num_steps - 1].count = b->value->shape[0];
        sslcv__plan_operand(plan, 0, b->in->buffer);
        sslcv__plan_operand(plan, 1, b->value->gradients[0]);
    }
    if (b->in->needs_gradient) {
        SSLCV__TRY(sslcv__plan_buffer(plan, sslcv__layout_bytes(b->in->layout), &buffer));
        SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_LINEAR_DATA, "backward data", b->node, NULL, NULL));
        plan->steps[plan->num_steps - 1].count = b->value->shape[0];
        sslcv__plan_operand(plan, 0, b->value->gradients[0]);
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
    b->plan->steps[b->plan->num_steps - 1].count = b->value->shape[0];
    sslcv__plan_operand(b->plan, 0, b->value->buffer);
    sslcv__plan_operand(b->plan, 1, b->value->norms);
    sslcv__plan_operand(b->plan, 2, b->value->gradients[0]);
    sslcv__plan_operand(b->plan, 3, buffer);
    SSLCV__TRY(contribute(b, b->node->inputs[0], buffer));
end:
    return status;
}

/* Who takes a gradient in two parts? */
static int takes_two(const build *b)
{
    return sslcv__node_is_norm(b->node) || b->node->kind == SSLCV__NODE_BIAS ||
           (b->node->kind == SSLCV__NODE_ADD && b->in->absorbed);
}

static sslcv_status build_node(build *b)
{
    if (!takes_two(b)) {
        const sslcv_status status = join(b, b->value);
        if (status != SSLCV_OK) return status;
    }
    switch (b->node->kind) {
    case SSLCV__NODE_INPUT: return SSLCV_OK;
    case SSLCV__NODE_CONVOLUTION: return build_convolution(b);
    case SSLCV__NODE_BATCH_NORM:
    case SSLCV__NODE_GROUP_NORM: return build_norm(b, b->index);
    case SSLCV__NODE_BIAS: return build_bias(b, b->index);
    case SSLCV__NODE_RELU: return build_relu(b);
    case SSLCV__NODE_MAX_POOL: return build_max_pool(b);
    case SSLCV__NODE_ADD: return build_add(b);
    case SSLCV__NODE_MEAN: return build_mean(b);
    case SSLCV__NODE_LINEAR: return build_linear(b);
    case SSLCV__NODE_NORMALIZE: return build_normalize(b);
    case SSLCV__NODE_FLATTEN: return build_flatten(b);
    case SSLCV__NODE_GELU:
    case SSLCV__NODE_DROPOUT:
    case SSLCV__NODE_ROW_SUM:
    case SSLCV__NODE_GATE:
    case SSLCV__NODE_JOIN:
    case SSLCV__NODE_SHIFT:
    case SSLCV__NODE_TURN:
    case SSLCV__NODE_TURN_BACK:
    case SSLCV__NODE_UNIT_LINEAR:
    case SSLCV__NODE_HOST: return sslcv__plan_build_rows_backward(b->plan, b->index);
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
    if (plan->plain_output == last->buffer) {
        last->gradients[0] = plan->diff_output;
        return SSLCV_OK;
    }
    SSLCV__TRY(sslcv__layout_plain(plan->context, SSLCV_F32, 4, last->shape, &plain));
    SSLCV__TRY(sslcv__plan_reordered(plan, &plan->nodes[plan->num_nodes - 1], plan->diff_output, plain, last->layout,
                                     &last->gradients[0]));
end:
    sslcv__layout_free(plan->context, plain);
    return status;
}

sslcv_status sslcv__plan_build_backward(sslcv__plan *plan)
{
    int32_t i;
    sslcv_status status;

    SSLCV__TRY(build_diff_output(plan));
    for (i = plan->num_nodes - 1; i > 0; i--) {
        sslcv__node *node = &plan->nodes[i];
        build b = {plan, i, node, &plan->values[i], &plan->values[node->inputs[0]]};

        if (plan->values[i].needs_gradient && !plan->values[i].absorbed) SSLCV__TRY(build_node(&b));
    }
    if (plan->values[0].needs_gradient) {
        build b = {plan, 0, &plan->nodes[0], &plan->values[0], NULL};

        SSLCV__TRY(join(&b, b.value));
        SSLCV__TRY(sslcv__plan_put_back(plan, b.node, b.value, b.value->gradients[0], &plan->diff_input));
    }
    /* Both are the caller's to read after the last step; a pass may also be read again after its backward. */
    sslcv__plan_touch(plan, plan->diff_input);
    sslcv__plan_touch(plan, plan->output);
    sslcv__plan_touch(plan, plan->order);
end:
    return status;
}
