/* The forward half of a plan's program, and what of it is run again in the backward half. */
#include <string.h>

#include <sslcv/tape.h>

#include "nn/plan_build.h"

typedef struct build {
    sslcv__plan *plan;
    int32_t index;
    sslcv__node *node;
    sslcv__value *value;
    sslcv__value *in; /* of input 0; NULL for the input node */
    int training;     /* a backward pass will follow */
} build;

static int64_t elements_in(const sslcv__layout *layout)
{
    return sslcv__layout_bytes(layout) / sslcv_dtype_size(sslcv__layout_dtype(layout));
}

static void set_shape(build *b, int64_t height, int64_t width)
{
    b->value->shape[0] = b->in ? b->in->shape[0] : b->plan->key.shape[0]; /* heads may join rows */
    b->value->shape[1] = b->node->channels;
    b->value->shape[2] = height;
    b->value->shape[3] = width;
}

static sslcv_status check_shape(const build *b, const char *layer)
{
    if (b->value->shape[2] < 1 || b->value->shape[3] < 1) {
        return sslcv__fail(SSLCV_ERR_LIMIT,
                           "images of %lld x %lld pixels are too small: nothing of them is left at a %s of stride %lld",
                           (long long)b->plan->key.shape[2], (long long)b->plan->key.shape[3], layer,
                           (long long)b->node->stride);
    }
    return SSLCV_OK;
}

/* A layer that is computed again has its layout already. */
static sslcv_status set_layout(build *b, const sslcv__layout *layout)
{
    if (b->value->layout) return SSLCV_OK;
    return sslcv__layout_copy(b->plan->context, layout, &b->value->layout);
}

static sslcv_status new_result(build *b)
{
    return sslcv__plan_buffer(b->plan, sslcv__layout_bytes(b->value->layout), &b->value->buffer);
}

static sslcv_status build_input(build *b)
{
    const int64_t *shape = b->plan->key.shape;
    sslcv_status status;

    set_shape(b, b->plan->key.net->rows ? 1 : shape[2], shape[3]);
    SSLCV__TRY(sslcv__layout_plain(b->plan->context, SSLCV_F32, 4, b->value->shape, &b->value->layout));
    SSLCV__TRY(new_result(b));
    b->plan->input = b->value->buffer;
    b->plan->buffers[b->value->buffer].first = 0; /* filled before the first step */
    b->plan->buffers[b->value->buffer].last = 0;
    SSLCV__TRY(sslcv__plan_build_order(b->plan));
end:
    return status;
}

void sslcv__plan_conv_shape(const sslcv__plan *plan, const sslcv__node *node, sslcv__conv_shape *shape)
{
    const int64_t *in = plan->values[node->inputs[0]].shape;

    shape->batch = in[0];
    shape->in_channels = in[1];
    shape->in_height = in[2];
    shape->in_width = in[3];
    shape->out_channels = node->channels;
    shape->kernel_height = shape->kernel_width = node->kernel;
    shape->stride = node->stride;
    shape->padding = node->padding;
    shape->dtype = plan->dtype;
    shape->reserved = 0;
}

static sslcv_status build_convolution(build *b)
{
    sslcv__plan *plan = b->plan;
    sslcv__conv_shape shape;
    sslcv__op *op = NULL;
    int32_t src, weights;
    sslcv_status status;

    sslcv__plan_conv_shape(plan, b->node, &shape);
    set_shape(b, sslcv__conv_out_size(shape.in_height, shape.kernel_height, shape.stride, shape.padding),
              sslcv__conv_out_size(shape.in_width, shape.kernel_width, shape.stride, shape.padding));
    SSLCV__TRY(check_shape(b, "convolution"));
    if (b->value->folded) return SSLCV_OK; /* the norm behind it makes the step */
    SSLCV__TRY(sslcv__op_conv_forward(plan->context, &shape, NULL, &op));
    status = sslcv__plan_reordered(plan, b->node, b->in->buffer, b->in->layout, sslcv__op_layout(op, SSLCV__SRC), &src);
    if (status == SSLCV_OK) status = sslcv__plan_bind_weights(plan, b->node, op, &weights);
    if (status != SSLCV_OK) {
        sslcv__op_free(plan->context, op);
        return status;
    }
    SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_OP, "forward", b->node, op, NULL));
    SSLCV__TRY(set_layout(b, sslcv__op_layout(op, SSLCV__DST)));
    SSLCV__TRY(new_result(b));
    SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__SRC, src));
    if (weights >= 0) SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__WEIGHTS, weights));
    SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__DST, b->value->buffer));
    b->value->op = op;
end:
    return status;
}

/* Mean and variance of the batch or of its groups, kept for backward and for the running statistics (as there are no
   more groups than rows, no larger than the norm's result); or of each sample's groups. */
static sslcv_status measure(build *b)
{
    const int by_sample = b->node->kind == SSLCV__NODE_GROUP_NORM;
    const int64_t count = by_sample ? b->value->shape[0] * b->node->groups : b->plan->key.groups * b->node->channels;
    const int64_t bytes = count * (int64_t)sizeof(float);
    sslcv_status status;

    SSLCV__TRY(sslcv__plan_buffer(b->plan, bytes, &b->value->mean));
    SSLCV__TRY(sslcv__plan_buffer(b->plan, bytes, &b->value->variance));
end:
    return status;
}

/* y = [relu](norm(x) [+ r]) in one step; norm is the index of the norm or bias, r a buffer or -1. */
static sslcv_status build_norm_step(build *b, int32_t norm, int32_t r, int relu)
{
    sslcv__plan *plan = b->plan;
    sslcv__node *node = &plan->nodes[norm];
    sslcv__value *v = &plan->values[norm];
    const sslcv__value *x = &plan->values[node->inputs[0]];
    const int given = sslcv__node_given_statistics(plan, node);
    sslcv__step *step;
    sslcv_status status;

    SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_NORM, plan->again ? "again" : "forward", node, NULL, &step));
    step->relu = relu;
    step->measures = !given && !plan->again;
    SSLCV__TRY(sslcv__plan_norm_shape(plan, x));
    sslcv__plan_operand(plan, SSLCV__NORM_X, x->buffer);
    sslcv__plan_operand(plan, SSLCV__NORM_R, r);
    sslcv__plan_operand(plan, SSLCV__NORM_Y, b->value->buffer);
    if (!given) {
        sslcv__plan_operand(plan, SSLCV__NORM_MEAN, v->mean);
        sslcv__plan_operand(plan, SSLCV__NORM_VARIANCE, v->variance);
    }
end:
    return status;
}

static sslcv_status build_batch_norm(build *b)
{
    const int given = sslcv__node_given_statistics(b->plan, b->node);
    sslcv__value *v = b->value;
    sslcv_status status = SSLCV_OK;

    set_shape(b, b->in->shape[2], b->in->shape[3]);
    if (!given && v->shape[0] / b->plan->key.groups * v->shape[2] * v->shape[3] < 2) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "%s: a %s of one value a channel has no statistics; train with 2 or more",
                           b->node->mean->name, b->plan->key.groups > 1 ? "group" : "batch");
    }
    if (!given && !b->plan->again) SSLCV__TRY(measure(b));
    if (v->absorbed) return SSLCV_OK; /* the sum behind it makes the step */
    if (v->folded) {
        return sslcv__plan_build_folded(b->plan, b->node->inputs[0], b->index, b->index, -1, b->node->relu);
    }
    SSLCV__TRY(set_layout(b, b->in->layout));
    SSLCV__TRY(new_result(b));
    SSLCV__TRY(build_norm_step(b, b->index, -1, b->node->relu));
end:
    return status;
}

static sslcv_status build_group_norm(build *b)
{
    sslcv_status status = SSLCV_OK;

    set_shape(b, b->in->shape[2], b->in->shape[3]);
    if (!b->plan->again) SSLCV__TRY(measure(b));
    if (b->value->absorbed) return SSLCV_OK;
    SSLCV__TRY(set_layout(b, b->in->layout));
    SSLCV__TRY(new_result(b));
    SSLCV__TRY(build_norm_step(b, b->index, -1, b->node->relu));
end:
    return status;
}

/* In place over the convolution's result: nobody else reads that, and backward needs this one alone. */
static sslcv_status build_bias(build *b)
{
    sslcv_status status = SSLCV_OK;

    set_shape(b, b->in->shape[2], b->in->shape[3]);
    if (b->value->absorbed) return SSLCV_OK;
    if (b->value->folded) {
        return sslcv__plan_build_folded(b->plan, b->node->inputs[0], b->index, b->index, -1, b->node->relu);
    }
    SSLCV__TRY(set_layout(b, b->in->layout));
    b->value->buffer = b->in->buffer;
    SSLCV__TRY(build_norm_step(b, b->index, -1, b->node->relu));
end:
    return status;
}

static sslcv_status build_relu(build *b)
{
    sslcv_status status;

    set_shape(b, b->in->shape[2], b->in->shape[3]);
    SSLCV__TRY(set_layout(b, b->in->layout));
    SSLCV__TRY(new_result(b));
    SSLCV__TRY(sslcv__plan_step(b->plan, SSLCV__STEP_RELU, "forward", b->node, NULL, NULL));
    b->plan->steps[b->plan->num_steps - 1].count = elements_in(b->value->layout);
    b->plan->steps[b->plan->num_steps - 1].bf16 = sslcv__layout_dtype(b->value->layout) == SSLCV_BF16;
    sslcv__plan_operand(b->plan, 0, b->in->buffer);
    sslcv__plan_operand(b->plan, 1, b->value->buffer);
end:
    return status;
}

static sslcv_status build_max_pool(build *b)
{
    const sslcv__node *n = b->node;
    sslcv__value *v = b->value;
    sslcv__op *op;
    sslcv_status status;

    set_shape(b, sslcv__conv_out_size(b->in->shape[2], n->kernel, n->stride, n->padding),
              sslcv__conv_out_size(b->in->shape[3], n->kernel, n->stride, n->padding));
    SSLCV__TRY(check_shape(b, "max pooling"));
    SSLCV__TRY(sslcv__op_max_pool_forward(b->plan->context, b->in->layout, n->kernel, n->stride, n->padding,
                                          b->training, &op));
    SSLCV__TRY(sslcv__plan_step(b->plan, SSLCV__STEP_OP, "forward", n, op, NULL));
    SSLCV__TRY(set_layout(b, sslcv__op_layout(op, SSLCV__DST)));
    SSLCV__TRY(new_result(b));
    SSLCV__TRY(sslcv__plan_bind(b->plan, op, SSLCV__SRC, b->in->buffer));
    SSLCV__TRY(sslcv__plan_bind(b->plan, op, SSLCV__DST, v->buffer));
    if (sslcv__op_bytes(op, SSLCV__WORKSPACE) > 0) {
        SSLCV__TRY(sslcv__plan_buffer(b->plan, sslcv__op_bytes(op, SSLCV__WORKSPACE), &v->workspace));
        SSLCV__TRY(sslcv__plan_bind(b->plan, op, SSLCV__WORKSPACE, v->workspace));
    }
    v->op = op;
end:
    return status;
}

static sslcv_status build_mean(build *b)
{
    const int64_t flat[4] = {b->in->shape[0], b->in->shape[1], 1, 1};
    sslcv_status status;

    set_shape(b, 1, 1);
    SSLCV__TRY(sslcv__layout_plain(b->plan->context, SSLCV_F32, 4, flat, &b->value->layout));
    SSLCV__TRY(new_result(b));
    SSLCV__TRY(sslcv__plan_step(b->plan, SSLCV__STEP_MEAN, "forward", b->node, NULL, NULL));
    SSLCV__TRY(sslcv__plan_norm_shape(b->plan, b->in));
    sslcv__plan_operand(b->plan, 0, b->in->buffer);
    sslcv__plan_operand(b->plan, 1, b->value->buffer);
end:
    return status;
}

/* The shortcut's sum and ReLU: with the norm or bias before it in one step, where there is one. In place over a shortcut
   that is itself a norm's result, as nobody else reads that and its backward does not either; or as a bias. */
static sslcv_status build_add(build *b)
{
    sslcv__plan *plan = b->plan;
    const int32_t first = b->node->inputs[0], second = b->node->inputs[1];
    const sslcv__node *node = &plan->nodes[first], *shortcut = &plan->nodes[second];
    sslcv__value *other = &plan->values[second];
    const sslcv__layout *layout = b->in->absorbed ? plan->values[node->inputs[0]].layout : b->in->layout;
    int32_t addend;
    sslcv_status status;

    set_shape(b, b->in->shape[2], b->in->shape[3]);
    if (b->in->folded && b->in->absorbed) {
        return sslcv__plan_build_folded(plan, node->inputs[0], first, b->index, second, b->node->relu);
    }
    SSLCV__TRY(set_layout(b, layout));
    SSLCV__TRY(sslcv__plan_reordered(plan, b->node, other->buffer, other->layout, layout, &addend));
    if (b->in->absorbed && node->kind == SSLCV__NODE_BIAS) {
        b->value->buffer = plan->values[node->inputs[0]].buffer;
    } else if (addend == other->buffer && sslcv__node_is_norm(shortcut) && !shortcut->relu && other->consumers == 1) {
        b->value->buffer = addend;
    } else {
        SSLCV__TRY(new_result(b));
    }
    if (b->in->absorbed) return build_norm_step(b, first, addend, b->node->relu);
    SSLCV__TRY(
        sslcv__plan_step(plan, b->node->relu ? SSLCV__STEP_ADD_RELU : SSLCV__STEP_SUM, "forward", b->node, NULL, NULL));
    plan->steps[plan->num_steps - 1].count = elements_in(layout);
    sslcv__plan_operand(plan, 0, b->in->buffer);
    sslcv__plan_operand(plan, 1, addend);
    sslcv__plan_operand(plan, 2, b->value->buffer);
end:
    return status;
}

static sslcv_status build_rows(build *b)
{
    const int64_t rows = b->in->shape[0];
    const int linear = b->node->kind == SSLCV__NODE_LINEAR;
    sslcv_status status;

    set_shape(b, 1, 1);
    SSLCV__TRY(sslcv__layout_plain(b->plan->context, SSLCV_F32, 4, b->value->shape, &b->value->layout));
    SSLCV__TRY(new_result(b));
    if (!linear) SSLCV__TRY(sslcv__plan_buffer(b->plan, rows * (int64_t)sizeof(double), &b->value->norms));
    SSLCV__TRY(
        sslcv__plan_step(b->plan, linear ? SSLCV__STEP_LINEAR : SSLCV__STEP_NORMALIZE, "forward", b->node, NULL, NULL));
    b->plan->steps[b->plan->num_steps - 1].count = rows;
    sslcv__plan_operand(b->plan, 0, b->in->buffer);
    sslcv__plan_operand(b->plan, 1, b->value->buffer);
    sslcv__plan_operand(b->plan, 2, b->value->norms);
end:
    return status;
}

/* In the order of channels, rows, columns, as PyTorch's flatten(). */
static sslcv_status build_flatten(build *b)
{
    const int64_t *in = b->in->shape, flat[4] = {in[0], in[1] * in[2] * in[3], 1, 1};
    sslcv__layout *plain = NULL;
    sslcv_status status;

    if (flat[1] != b->node->channels) {
        return sslcv__fail(SSLCV_ERR_LIMIT,
                           "images of %lld x %lld pixels leave %lld x %lld x %lld values to flatten; the layer behind "
                           "takes %lld: another image_size",
                           (long long)b->plan->key.shape[2], (long long)b->plan->key.shape[3], (long long)in[1],
                           (long long)in[2], (long long)in[3], (long long)b->node->channels);
    }
    set_shape(b, 1, 1);
    SSLCV__TRY(sslcv__layout_plain(b->plan->context, SSLCV_F32, 4, flat, &b->value->layout));
    SSLCV__TRY(sslcv__layout_plain(b->plan->context, SSLCV_F32, 4, in, &plain));
    status = sslcv__plan_reordered(b->plan, b->node, b->in->buffer, b->in->layout, plain, &b->value->buffer);
end:
    sslcv__layout_free(b->plan->context, plain);
    return status;
}

static sslcv_status build_node(build *b)
{
    switch (b->node->kind) {
    case SSLCV__NODE_INPUT: return build_input(b);
    case SSLCV__NODE_CONVOLUTION: return build_convolution(b);
    case SSLCV__NODE_BATCH_NORM: return build_batch_norm(b);
    case SSLCV__NODE_RELU: return build_relu(b);
    case SSLCV__NODE_MAX_POOL: return build_max_pool(b);
    case SSLCV__NODE_ADD: return build_add(b);
    case SSLCV__NODE_MEAN: return build_mean(b);
    case SSLCV__NODE_LINEAR:
    case SSLCV__NODE_NORMALIZE: return build_rows(b);
    case SSLCV__NODE_GROUP_NORM: return build_group_norm(b);
    case SSLCV__NODE_BIAS: return build_bias(b);
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
    case SSLCV__NODE_HOST: return sslcv__plan_build_rows(b->plan, b->index);
    }
    return SSLCV_OK;
}

/* The output lies plain, whatever the last layer likes. */
static sslcv_status build_output(sslcv__plan *plan)
{
    const sslcv__value *last = &plan->values[plan->num_nodes - 1];
    sslcv__layout *plain = NULL;
    sslcv_status status;

    if (plan->key.net->rows || plan->nodes[plan->num_nodes - 1].kind == SSLCV__NODE_MEAN) {
        plan->output = last->buffer;
        return SSLCV_OK;
    }
    SSLCV__TRY(sslcv__layout_plain(plan->context, SSLCV_F32, 4, last->shape, &plain));
    status = sslcv__plan_reordered(plan, &plan->nodes[plan->num_nodes - 1], last->buffer, last->layout, plain,
                                   &plan->output);
end:
    sslcv__layout_free(plan->context, plain);
    return status;
}

/* Read when all steps are done: statistics, to move the running ones, and the output, by the caller at any time. */
static void keep_results(sslcv__plan *plan)
{
    int32_t i;

    for (i = 0; i < plan->num_nodes; i++) {
        sslcv__plan_touch(plan, plan->values[i].mean);
        sslcv__plan_touch(plan, plan->values[i].variance);
    }
    sslcv__plan_touch(plan, plan->output);
}

static sslcv_status put_output_back(sslcv__plan *plan)
{
    const int32_t last = plan->num_nodes - 1;

    plan->plain_output = plan->output;
    return sslcv__plan_put_back(plan, &plan->nodes[last], &plan->values[last], plan->plain_output, &plan->output);
}

static sslcv_status build_index(sslcv__plan *plan, int32_t index)
{
    sslcv__node *node = &plan->nodes[index];
    build b = {plan,
               index,
               node,
               &plan->values[index],
               node->inputs[0] < 0 ? NULL : &plan->values[node->inputs[0]],
               (plan->key.flags & SSLCV_PASS_GRADIENT) != 0};

    return build_node(&b);
}

sslcv_status sslcv__plan_need(sslcv__plan *plan, int32_t index)
{
    const sslcv__node *node = &plan->nodes[index];
    sslcv_status status = SSLCV_OK;
    int k;

    if (!plan->values[index].lost) return SSLCV_OK;
    for (k = 0; k < 2; k++) {
        const int32_t input = node->inputs[k];

        if (input < 0) continue;
        SSLCV__TRY(sslcv__plan_need(plan, plan->values[input].absorbed ? plan->nodes[input].inputs[0] : input));
    }
    plan->again = 1;
    status = build_index(plan, index);
    plan->again = 0;
    plan->values[index].lost = 0;
    /* What was needed on the way, and is one pass over memory to have again, does not wait for its own turn. */
    if (plan->key.recompute & SSLCV__RECOMPUTE_NORMS) {
        const int32_t input = node->inputs[0];

        if (node->kind == SSLCV__NODE_CONVOLUTION && sslcv__node_is_norm(&plan->nodes[input])) {
            plan->values[input].lost = plan->values[input].dropped;
        }
    }
end:
    return status;
}

sslcv_status sslcv__plan_build_forward(sslcv__plan *plan)
{
    int32_t i;
    sslcv_status status = SSLCV_OK;

    for (i = 0; i < plan->num_nodes && status == SSLCV_OK; i++) status = build_index(plan, i);
    for (i = 0; i < plan->num_nodes; i++) plan->values[i].lost = plan->values[i].dropped;
    if (status == SSLCV_OK) status = build_output(plan);
    if (status == SSLCV_OK) status = put_output_back(plan);
    if (status == SSLCV_OK) keep_results(plan);
    return status;
}
