/* The forward half of a plan's program. */
#include <string.h>

#include <sslcv/tape.h>

#include "core/checked.h"
#include "nn/plan_build.h"

typedef struct build {
    sslcv__plan *plan;
    sslcv__node *node;
    sslcv__value *value;
    sslcv__value *in; /* of input 0; NULL for the input node */
    int training;     /* a backward pass will follow */
} build;

static int64_t floats_in(const sslcv__layout *layout)
{
    return sslcv__layout_bytes(layout) / (int64_t)sizeof(float);
}

static void set_shape(build *b, int64_t height, int64_t width)
{
    b->value->shape[0] = b->plan->key.shape[0];
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

static sslcv_status set_layout(build *b, const sslcv__layout *layout)
{
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

    set_shape(b, shape[2], shape[3]);
    if (b->plan->key.net->rows) {
        SSLCV__TRY(sslcv__layout_rows(b->plan->context, shape[0], shape[1], &b->value->layout));
    } else {
        SSLCV__TRY(sslcv__layout_plain(b->plan->context, 4, shape, &b->value->layout));
    }
    SSLCV__TRY(new_result(b));
    b->plan->input = b->value->buffer;
    b->plan->buffers[b->value->buffer].first = 0; /* filled before the first step */
    b->plan->buffers[b->value->buffer].last = 0;
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
    SSLCV__TRY(sslcv__op_conv_forward(plan->context, &shape, &op));
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

static sslcv_status build_batch_norm(build *b)
{
    sslcv__plan *plan = b->plan;
    const sslcv__node *node = b->node;
    sslcv__value *v = b->value;
    const int given = sslcv__node_given_statistics(plan, node);
    sslcv__op *op;
    sslcv_status status;

    set_shape(b, b->in->shape[2], b->in->shape[3]);
    if (!given && v->shape[0] * v->shape[2] * v->shape[3] < 2) {
        return sslcv__fail(SSLCV_ERR_LIMIT,
                           "%s: a batch of one value a channel has no statistics; train with 2 or more",
                           node->mean->name);
    }
    SSLCV__TRY(set_layout(b, b->in->layout));
    SSLCV__TRY(new_result(b));
    SSLCV__TRY(sslcv__op_batch_norm_forward(plan->context, v->layout, plan->key.net->norm_epsilon, given, node->relu,
                                            b->training, &op));
    SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_OP, "forward", node, op, NULL));
    v->op = op;
    SSLCV__TRY(sslcv__op_bind(op, SSLCV__SCALE, node->weight ? node->weight->value : (void *)plan->ones));
    SSLCV__TRY(sslcv__op_bind(op, SSLCV__SHIFT, node->bias ? node->bias->value : (void *)plan->zeros));
    if (given) {
        SSLCV__TRY(sslcv__op_bind(op, SSLCV__MEAN, node->mean->value));
        SSLCV__TRY(sslcv__op_bind(op, SSLCV__VARIANCE, node->variance->value));
    } else {
        SSLCV__TRY(sslcv__plan_buffer(plan, node->channels * (int64_t)sizeof(float), &v->mean));
        SSLCV__TRY(sslcv__plan_buffer(plan, node->channels * (int64_t)sizeof(float), &v->variance));
        SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__MEAN, v->mean));
        SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__VARIANCE, v->variance));
    }
    if (sslcv__op_bytes(op, SSLCV__WORKSPACE) > 0) {
        SSLCV__TRY(sslcv__plan_buffer(plan, sslcv__op_bytes(op, SSLCV__WORKSPACE), &v->workspace));
        SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__WORKSPACE, v->workspace));
    }
    SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__SRC, b->in->buffer));
    SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__DST, v->buffer));
end:
    return status;
}

static sslcv_status build_relu(build *b)
{
    sslcv__op *op;
    sslcv_status status;

    set_shape(b, b->in->shape[2], b->in->shape[3]);
    SSLCV__TRY(set_layout(b, b->in->layout));
    SSLCV__TRY(new_result(b));
    SSLCV__TRY(sslcv__op_relu_forward(b->plan->context, b->value->layout, &op));
    SSLCV__TRY(sslcv__plan_step(b->plan, SSLCV__STEP_OP, "forward", b->node, op, NULL));
    SSLCV__TRY(sslcv__plan_bind(b->plan, op, SSLCV__SRC, b->in->buffer));
    SSLCV__TRY(sslcv__plan_bind(b->plan, op, SSLCV__DST, b->value->buffer));
    b->value->op = op;
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
    sslcv__op *op;
    int32_t blocked, plain;
    sslcv_status status;

    set_shape(b, 1, 1);
    SSLCV__TRY(sslcv__op_mean_forward(b->plan->context, b->in->layout, &op));
    SSLCV__TRY(sslcv__plan_step(b->plan, SSLCV__STEP_OP, "forward", b->node, op, NULL));
    b->value->op = op;
    SSLCV__TRY(sslcv__plan_buffer(b->plan, sslcv__op_bytes(op, SSLCV__DST), &blocked));
    SSLCV__TRY(sslcv__plan_bind(b->plan, op, SSLCV__SRC, b->in->buffer));
    SSLCV__TRY(sslcv__plan_bind(b->plan, op, SSLCV__DST, blocked));
    SSLCV__TRY(sslcv__layout_plain(b->plan->context, 4, flat, &b->value->layout));
    SSLCV__TRY(
        sslcv__plan_reordered(b->plan, b->node, blocked, sslcv__op_layout(op, SSLCV__DST), b->value->layout, &plain));
    b->value->buffer = plain;
end:
    return status;
}

/* In place over the first operand when that is a norm's result that no one else reads: its backward needs only src. */
static sslcv_status build_add_relu(build *b)
{
    const sslcv__node *first = &b->plan->nodes[b->node->inputs[0]];
    sslcv__value *other = &b->plan->values[b->node->inputs[1]];
    int32_t addend;
    sslcv_status status;

    set_shape(b, b->in->shape[2], b->in->shape[3]);
    SSLCV__TRY(set_layout(b, b->in->layout));
    SSLCV__TRY(sslcv__plan_reordered(b->plan, b->node, other->buffer, other->layout, b->value->layout, &addend));
    if (first->kind == SSLCV__NODE_BATCH_NORM && !first->relu && b->in->consumers == 1) {
        b->value->buffer = b->in->buffer;
    } else {
        SSLCV__TRY(new_result(b));
    }
    SSLCV__TRY(sslcv__plan_step(b->plan, SSLCV__STEP_ADD_RELU, "forward", b->node, NULL, NULL));
    b->plan->steps[b->plan->num_steps - 1].count = floats_in(b->value->layout);
    sslcv__plan_operand(b->plan, 0, b->in->buffer);
    sslcv__plan_operand(b->plan, 1, addend);
    sslcv__plan_operand(b->plan, 2, b->value->buffer);
end:
    return status;
}

static sslcv_status build_rows(build *b)
{
    const int64_t rows = b->plan->key.shape[0];
    const int linear = b->node->kind == SSLCV__NODE_LINEAR;
    sslcv_status status;

    set_shape(b, 1, 1);
    SSLCV__TRY(sslcv__layout_rows(b->plan->context, rows, b->node->channels, &b->value->layout));
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

static sslcv_status build_node(build *b)
{
    switch (b->node->kind) {
    case SSLCV__NODE_INPUT: return build_input(b);
    case SSLCV__NODE_CONVOLUTION: return build_convolution(b);
    case SSLCV__NODE_BATCH_NORM: return build_batch_norm(b);
    case SSLCV__NODE_RELU: return build_relu(b);
    case SSLCV__NODE_MAX_POOL: return build_max_pool(b);
    case SSLCV__NODE_ADD_RELU: return build_add_relu(b);
    case SSLCV__NODE_MEAN: return build_mean(b);
    case SSLCV__NODE_LINEAR:
    case SSLCV__NODE_NORMALIZE: return build_rows(b);
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
    SSLCV__TRY(sslcv__layout_plain(plan->context, 4, last->shape, &plain));
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

sslcv_status sslcv__plan_build_forward(sslcv__plan *plan)
{
    int32_t i;
    sslcv_status status = SSLCV_OK;

    for (i = 0; i < plan->num_nodes && status == SSLCV_OK; i++) {
        sslcv__node *node = &plan->nodes[i];
        build b = {plan, node, &plan->values[i], node->inputs[0] < 0 ? NULL : &plan->values[node->inputs[0]],
                   (plan->key.flags & SSLCV_PASS_GRADIENT) != 0};

        status = build_node(&b);
    }
    if (status == SSLCV_OK) status = build_output(plan);
    if (status == SSLCV_OK) keep_results(plan);
    return status;
}
