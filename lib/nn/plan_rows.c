/*
 * Layers that only heads have: their steps, and running them. A value is (rows, D), plain; a layer may change rows as
 * well as D. All but sums are one step forward and one backward, told apart by the node's kind:
 *
 *     forward     0: x   1: y   2: what backward wants besides
 *     backward    0: x   1: y   2: as above   3: dy   4: dx   5: scratch
 */
#include <string.h>

#include <sslcv/tape.h>

#include "core/checked.h"
#include "core/rng.h"
#include "core/tensor.h"
#include "nn/kernels.h"
#include "nn/plan_build.h"
#include "nn/row_kernels.h"

enum { X, Y, EXTRA, DY, DX, SCRATCH };

/* ---- shapes ---- */

static int64_t places_of(const sslcv__grid *grid)
{
    return grid->rows * grid->columns;
}

/* Rows of x that belong together, of which a pass has a whole number. */
static int64_t unit_of(const sslcv__plan *plan, const sslcv__node *node)
{
    switch (node->kind) {
    case SSLCV__NODE_JOIN: return node->patches;
    case SSLCV__NODE_SHIFT: return node->grid.directions * places_of(&node->grid);
    case SSLCV__NODE_TURN: return places_of(&node->grid);
    case SSLCV__NODE_TURN_BACK: return 4 * places_of(&node->grid);
    case SSLCV__NODE_HOST: return plan->key.shape[2];
    default: return 1;
    }
}

/* What becomes of them. */
static int64_t made_of_unit(const sslcv__node *node, int64_t unit)
{
    switch (node->kind) {
    case SSLCV__NODE_JOIN: return 1;
    case SSLCV__NODE_TURN: return 4 * unit;
    case SSLCV__NODE_TURN_BACK: return unit / 4;
    case SSLCV__NODE_HOST: return node->host->patches ? node->host->patches : unit;
    default: return unit;
    }
}

static sslcv_status set_shape(sslcv__plan *plan, const sslcv__node *node, sslcv__value *value)
{
    const int64_t rows = plan->values[node->inputs[0]].shape[0], unit = unit_of(plan, node);
    int64_t elements;

    if (rows % unit != 0) {
        return sslcv__invalid("a pass of %lld rows is no whole number of %lld", (long long)rows, (long long)unit);
    }
    value->shape[1] = node->channels;
    value->shape[2] = value->shape[3] = 1;
    if (!sslcv__multiply(rows / unit, made_of_unit(node, unit), &value->shape[0]) ||
        !sslcv__product(value->shape, 4, &elements) || elements > INT64_MAX / (int64_t)sizeof(float)) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "a pass of %lld rows is too large for a head", (long long)rows);
    }
    return SSLCV_OK;
}

/* ---- building ---- */

/* The same memory under another shape, or even the same shape. */
static int is_alias(const sslcv__plan *plan, const sslcv__node *node)
{
    return node->kind == SSLCV__NODE_JOIN ||
           (node->kind == SSLCV__NODE_DROPOUT && !(plan->key.flags & SSLCV_PASS_TRAIN));
}

static void add_count(sslcv__plan *plan, int64_t count)
{
    plan->steps[plan->num_steps - 1].count = count;
}

static sslcv_status build_sum(sslcv__plan *plan, const sslcv__node *node, const sslcv__value *value)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_SUM, "forward", node, NULL, NULL));
    add_count(plan, value->shape[0] * value->shape[1]);
    sslcv__plan_operand(plan, 0, plan->values[node->inputs[0]].buffer);
    sslcv__plan_operand(plan, 1, plan->values[node->inputs[1]].buffer);
    sslcv__plan_operand(plan, 2, value->buffer);
end:
    return status;
}

sslcv_status sslcv__plan_build_rows(sslcv__plan *plan, int32_t index)
{
    const sslcv__node *node = &plan->nodes[index];
    const sslcv__value *in = &plan->values[node->inputs[0]];
    sslcv__value *value = &plan->values[index];
    sslcv_status status;

    SSLCV__TRY(set_shape(plan, node, value));
    SSLCV__TRY(sslcv__layout_plain(plan->context, SSLCV_F32, 4, value->shape, &value->layout));
    if (is_alias(plan, node)) {
        value->buffer = in->buffer;
        return SSLCV_OK;
    }
    SSLCV__TRY(sslcv__plan_buffer(plan, sslcv__layout_bytes(value->layout), &value->buffer));
    if (node->kind == SSLCV__NODE_ROW_SUM) return build_sum(plan, node, value);
    if (node->kind == SSLCV__NODE_UNIT_LINEAR) { /* inverse lengths of the weight's rows */
        SSLCV__TRY(sslcv__plan_buffer(plan, node->channels * (int64_t)sizeof(float), &value->norms));
    }
    SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_ROWS, "forward", node, NULL, NULL));
    add_count(plan, in->shape[0]);
    sslcv__plan_operand(plan, X, in->buffer);
    sslcv__plan_operand(plan, Y, value->buffer);
    sslcv__plan_operand(plan, EXTRA, value->norms);
end:
    return status;
}

/* What backward reads of the forward pass; what it does not, need not be kept. */
static int reads_x(const sslcv__node *node)
{
    return node->kind == SSLCV__NODE_GELU || node->kind == SSLCV__NODE_GATE || node->kind == SSLCV__NODE_UNIT_LINEAR ||
           node->kind == SSLCV__NODE_HOST;
}

static int reads_y(const sslcv__node *node)
{
    return node->kind == SSLCV__NODE_UNIT_LINEAR || node->kind == SSLCV__NODE_HOST;
}

/* dy times the inverse lengths, then a sum for each row of the weight. */
static sslcv_status add_scratch(sslcv__plan *plan, const sslcv__value *value, int32_t *scratch)
{
    const int64_t bytes = sslcv__layout_bytes(value->layout) + value->shape[1] * (int64_t)sizeof(float);

    return sslcv__plan_buffer(plan, bytes, scratch);
}

sslcv_status sslcv__plan_build_rows_backward(sslcv__plan *plan, int32_t index)
{
    const sslcv__node *node = &plan->nodes[index];
    const sslcv__value *in = &plan->values[node->inputs[0]], *value = &plan->values[index];
    const int32_t dy = value->gradients[0];
    int32_t dx, scratch = -1, k;
    sslcv_status status = SSLCV_OK;

    if (is_alias(plan, node) || node->kind == SSLCV__NODE_ROW_SUM) {
        for (k = 0; k < 2; k++) {
            const int32_t input = node->inputs[k];

            if (input < 0 || !plan->values[input].needs_gradient) continue;
            SSLCV__TRY(sslcv__plan_contribute(plan, index, input, dy));
        }
        return SSLCV_OK;
    }
    SSLCV__TRY(sslcv__plan_buffer(plan, sslcv__layout_bytes(in->layout), &dx));
    if (node->kind == SSLCV__NODE_UNIT_LINEAR) SSLCV__TRY(add_scratch(plan, value, &scratch));
    SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_ROWS_BACKWARD, "backward", node, NULL, NULL));
    add_count(plan, in->shape[0]);
    if (reads_x(node)) sslcv__plan_operand(plan, X, in->buffer);
    if (reads_y(node)) sslcv__plan_operand(plan, Y, value->buffer);
    sslcv__plan_operand(plan, EXTRA, value->norms);
    sslcv__plan_operand(plan, DY, dy);
    sslcv__plan_operand(plan, DX, dx);
    sslcv__plan_operand(plan, SCRATCH, scratch);
    SSLCV__TRY(sslcv__plan_contribute(plan, index, node->inputs[0], dx));
end:
    return status;
}

/* ---- running ---- */

static int64_t width_of_input(const sslcv__plan *plan, const sslcv__step *step)
{
    return plan->nodes[step->node->inputs[0]].channels;
}

static void run_drop(const sslcv__plan *plan, const sslcv__step *step, const float *from, float *to)
{
    const uint64_t layer = (uint64_t)(step->node - plan->nodes);

    sslcv__rows_drop(from, step->count * step->node->channels, step->node->rate,
                     sslcv__rng_derive(plan->pass.random, layer, SSLCV__STREAM_DROPOUT), to);
}

/* y = x w' / |w|: the scores of unit vectors, without making them. */
static sslcv_status run_unit_linear(const sslcv__step *step, int64_t in)
{
    const sslcv__variable *weight = step->node->weight;
    const int64_t out = weight->shape[0];
    void *const *m = step->memory;
    sslcv_status status;

    sslcv__rows_inverse_norms(weight->value, out, in, m[EXTRA]);
    status = sslcv__gemm(0, 1, step->count, out, in, 1.0f, m[X], in, weight->value, in, 0.0f, m[Y], out);
    if (status == SSLCV_OK) sslcv__rows_scale_columns(m[Y], m[EXTRA], step->count, out, m[Y]);
    return status;
}

/*
 * With u = w / |w| and z = dy / |w|:  dx = z w, and dw = (I - u u') (dy' x) / |w| = z' x - u (u' z' x), of which the
 * bracket is the sum over rows of z y.
 */
static sslcv_status run_unit_linear_backward(const sslcv__step *step, int64_t in)
{
    sslcv__variable *weight = step->node->weight;
    const int64_t out = weight->shape[0], rows = step->count;
    void *const *m = step->memory;
    float *z = m[SCRATCH], *along = z + rows * out;
    sslcv_status status = SSLCV_OK;

    sslcv__rows_scale_columns(m[DY], m[EXTRA], rows, out, z);
    if (!weight->frozen) {
        sslcv__rows_dot_columns(z, m[Y], rows, out, along);
        SSLCV__TRY(sslcv__gemm(1, 0, out, in, rows, 1.0f, z, out, m[X], in, weight->has_gradient ? 1.0f : 0.0f,
                               weight->gradient, in));
        sslcv__rows_remove_along(weight->value, m[EXTRA], along, out, in, weight->gradient);
        weight->has_gradient = 1;
    }
    status = sslcv__gemm(0, 0, rows, in, out, 1.0f, z, out, weight->value, in, 0.0f, m[DX], in);
end:
    return status;
}

/* (V, N, P, D) over memory of the plan. */
static sslcv_tensor host_tensor(const sslcv__plan *plan, void *data, int64_t patches, int64_t dim)
{
    const int64_t samples = plan->key.shape[0] / (plan->views * plan->key.shape[2]);
    const int64_t shape[4] = {plan->views, samples, patches, dim};
    sslcv_tensor tensor;

    sslcv__tensor_set(&tensor, SSLCV_F32, data, 4, shape);
    return tensor;
}

static sslcv_status run_host(const sslcv__plan *plan, const sslcv__step *step, int back)
{
    const sslcv__host_layer *host = step->node->host;
    const int64_t in_patches = plan->key.shape[2], in_dim = width_of_input(plan, step), dim = step->node->channels;
    const int64_t patches = made_of_unit(step->node, in_patches);
    void *const *m = step->memory;
    sslcv_tensor x = host_tensor(plan, m[X], in_patches, in_dim), y = host_tensor(plan, m[Y], patches, dim);
    sslcv_tensor dx = host_tensor(plan, m[DX], in_patches, in_dim), dy = host_tensor(plan, m[DY], patches, dim);

    if (back) return host->backward(host->self, &x, &y, &dy, &dx, &plan->pass);
    return host->forward(host->self, &x, &y, &plan->pass);
}

sslcv_status sslcv__plan_run_rows(const sslcv__plan *plan, const sslcv__step *step)
{
    const sslcv__node *node = step->node;
    const int64_t rows = step->count, in = width_of_input(plan, step);
    void *const *m = step->memory;

    switch (node->kind) {
    case SSLCV__NODE_GELU: sslcv__rows_gelu(m[X], rows * in, m[Y]); return SSLCV_OK;
    case SSLCV__NODE_DROPOUT: run_drop(plan, step, m[X], m[Y]); return SSLCV_OK;
    case SSLCV__NODE_GATE: sslcv__rows_gate(m[X], rows, node->channels, m[Y]); return SSLCV_OK;
    case SSLCV__NODE_SHIFT: sslcv__grid_shift(&node->grid, m[X], rows, in, m[Y]); return SSLCV_OK;
    case SSLCV__NODE_TURN: sslcv__grid_turn(&node->grid, m[X], rows, in, m[Y]); return SSLCV_OK;
    case SSLCV__NODE_TURN_BACK: sslcv__grid_turn_back(&node->grid, m[X], rows / 4, in, m[Y]); return SSLCV_OK;
    case SSLCV__NODE_UNIT_LINEAR: return run_unit_linear(step, in);
    case SSLCV__NODE_HOST: return run_host(plan, step, 0);
    default: return SSLCV_OK;
    }
}

sslcv_status sslcv__plan_run_rows_backward(const sslcv__plan *plan, const sslcv__step *step)
{
    const sslcv__node *node = step->node;
    const int64_t rows = step->count, in = width_of_input(plan, step);
    void *const *m = step->memory;

    switch (node->kind) {
    case SSLCV__NODE_GELU: sslcv__rows_gelu_backward(m[X], m[DY], rows * in, m[DX]); return SSLCV_OK;
    case SSLCV__NODE_DROPOUT: run_drop(plan, step, m[DY], m[DX]); return SSLCV_OK;
    case SSLCV__NODE_GATE: sslcv__rows_gate_backward(m[X], m[DY], rows, node->channels, m[DX]); return SSLCV_OK;
    case SSLCV__NODE_SHIFT: sslcv__grid_shift_backward(&node->grid, m[DY], rows, in, m[DX]); return SSLCV_OK;
    case SSLCV__NODE_TURN: sslcv__grid_turn_backward(&node->grid, m[DY], rows, in, m[DX]); return SSLCV_OK;
    case SSLCV__NODE_TURN_BACK:
        sslcv__grid_turn_back_backward(&node->grid, m[DY], rows / 4, in, m[DX]);
        return SSLCV_OK;
    case SSLCV__NODE_UNIT_LINEAR: return run_unit_linear_backward(step, in);
    case SSLCV__NODE_HOST: return run_host(plan, step, 1);
    default: return SSLCV_OK;
    }
}
