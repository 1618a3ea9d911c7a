/*
 * Inference: a convolution takes the batch norm behind it into its weights and a bias, or the bias behind it as it is,
 * and the ReLU and the shortcut's sum into its last pass over a result:
 *
 *     norm(w * x)  =  (a w) * x + b      a = scale / sqrt(variance + epsilon), b = shift - a mean
 *
 * The folded weights are the plan's own, made again by the first pass after any variable has changed.
 */
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "nn/plan_build.h"

static int64_t rounded(int64_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static sslcv_status append_fold(sslcv__plan *plan, sslcv__op *op, const sslcv__node *convolution,
                                const sslcv__node *norm)
{
    const sslcv__fold fold = {.op = op, .convolution = convolution, .norm = norm};
    const int64_t n = plan->num_folds;

    if ((n & (n - 1)) == 0) { /* doubles at powers of two */
        const sslcv_status status =
            sslcv__grow_array(plan->context, n, n ? 2 * n : 1, sizeof fold, (void **)&plan->folds);
        if (status != SSLCV_OK) return status;
    }
    plan->folds[plan->num_folds++] = fold;
    return SSLCV_OK;
}

/* The sum is made in place over the shortcut; a copy, where someone still needs that or it lies otherwise. */
static sslcv_status place_addend(sslcv__plan *plan, const sslcv__node *node, int32_t result, int32_t addend,
                                 const sslcv__layout *layout, int32_t *place)
{
    const sslcv__value *other = &plan->values[addend];
    sslcv__op *copy;
    sslcv_status status;

    if (sslcv__layout_equal(other->layout, layout) && other->last_consumer == result) {
        *place = other->buffer;
        return SSLCV_OK;
    }
    SSLCV__TRY(sslcv__plan_buffer(plan, sslcv__layout_bytes(layout), place));
    SSLCV__TRY(sslcv__op_reorder(plan->context, other->layout, layout, 0, &copy));
    SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_OP, "reorder", node, copy, NULL));
    SSLCV__TRY(sslcv__plan_bind(plan, copy, SSLCV__SRC, other->buffer));
    SSLCV__TRY(sslcv__plan_bind(plan, copy, SSLCV__DST, *place));
end:
    return status;
}

sslcv_status sslcv__plan_build_folded(sslcv__plan *plan, int32_t convolution, int32_t norm, int32_t result,
                                      int32_t addend, int relu)
{
    const sslcv__conv_post post = {addend >= 0, relu};
    const sslcv__node *node = &plan->nodes[convolution];
    const sslcv__value *in = &plan->values[node->inputs[0]];
    sslcv__value *value = &plan->values[result];
    sslcv__conv_shape shape;
    sslcv__op *op = NULL;
    const sslcv__layout *made;
    int32_t src, dst;
    sslcv_status status;

    sslcv__plan_conv_shape(plan, node, &shape);
    SSLCV__TRY(sslcv__op_conv_forward(plan->context, &shape, &post, &op));
    made = sslcv__op_layout(op, SSLCV__DST);
    SSLCV__TRY(sslcv__plan_reordered(plan, node, in->buffer, in->layout, sslcv__op_layout(op, SSLCV__SRC), &src));
    if (addend >= 0) {
        SSLCV__TRY(place_addend(plan, node, result, addend, made, &dst));
    } else {
        SSLCV__TRY(sslcv__plan_buffer(plan, sslcv__layout_bytes(made), &dst));
    }
    SSLCV__TRY(sslcv__layout_copy(plan->context, made, &value->layout));
    SSLCV__TRY(append_fold(plan, op, node, &plan->nodes[norm]));
    {
        sslcv__op *const given = op;

        op = NULL; /* the step's from here on */
        SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_OP, "forward", node, given, NULL));
        SSLCV__TRY(sslcv__plan_bind(plan, given, SSLCV__SRC, src));
        SSLCV__TRY(sslcv__plan_bind(plan, given, SSLCV__DST, dst));
    }
    value->buffer = dst;
end:
    sslcv__op_free(plan->context, op);
    return status;
}

int64_t sslcv__plan_constant_bytes(const sslcv__plan *plan)
{
    int64_t bytes = 0, i;

    for (i = 0; i < plan->num_folds; i++) {
        const sslcv__fold *f = &plan->folds[i];

        bytes +=
            rounded(sslcv__op_bytes(f->op, SSLCV__WEIGHTS)) + 2 * rounded(f->norm->channels * (int64_t)sizeof(float));
    }
    return bytes;
}

sslcv_status sslcv__plan_place_folds(sslcv__plan *plan)
{
    char *place;
    int64_t i;
    sslcv_status status = SSLCV_OK;

    if (plan->num_folds == 0) return SSLCV_OK;
    SSLCV__TRY(sslcv__alloc(plan->context, sslcv__plan_constant_bytes(plan), (void **)&plan->constants));
    place = plan->constants;
    for (i = 0; i < plan->num_folds; i++) {
        sslcv__fold *f = &plan->folds[i];
        const int64_t channels = rounded(f->norm->channels * (int64_t)sizeof(float));

        f->weights = place;
        f->bias = (float *)(void *)(place + rounded(sslcv__op_bytes(f->op, SSLCV__WEIGHTS)));
        f->scale = (float *)(void *)((char *)f->bias + channels);
        place = (char *)f->scale + channels;
        SSLCV__TRY(sslcv__op_bind(f->op, SSLCV__WEIGHTS, f->weights));
        SSLCV__TRY(sslcv__op_bind(f->op, SSLCV__BIAS, f->bias));
    }
end:
    return status;
}

/* Changes whenever a variable that folds read does; never 0. */
static uint64_t version_of(const sslcv__plan *plan)
{
    uint64_t version = 1;
    int64_t i;

    for (i = 0; i < plan->key.net->variables.count; i++) version += plan->key.net->variables.items[i]->version;
    return version;
}

static sslcv_status fold(const sslcv__plan *plan, const sslcv__fold *f)
{
    const sslcv__node *norm = f->norm;
    const int plain = norm->kind == SSLCV__NODE_BIAS;
    const float *mean = plain ? NULL : norm->mean->value, *variance = plain ? NULL : norm->variance->value;
    const float *gamma = norm->weight ? norm->weight->value : NULL, *beta = norm->bias ? norm->bias->value : NULL;
    const sslcv__variable *weight = f->convolution->weight;
    int64_t c;

    for (c = 0; c < norm->channels; c++) {
        const double scale = gamma ? gamma[c] : 1.0;
        const double a = plain ? scale : scale / sqrt((double)variance[c] + plan->key.net->norm_epsilon);

        f->scale[c] = (float)a;
        f->bias[c] = (float)((beta ? beta[c] : 0.0) - (plain ? 0.0 : a * mean[c]));
    }
    return sslcv__op_fold(plan->context, f->op, weight->layout, weight->value, f->scale, f->weights);
}

sslcv_status sslcv__plan_refold(sslcv__plan *plan)
{
    const uint64_t version = plan->num_folds ? version_of(plan) : 0;
    int64_t i;
    sslcv_status status = SSLCV_OK;

    if (version == plan->folded_version) return SSLCV_OK;
    plan->folded_version = 0;
    for (i = 0; i < plan->num_folds && status == SSLCV_OK; i++) status = fold(plan, &plan->folds[i]);
    if (status == SSLCV_OK) plan->folded_version = version;
    return status;
}

void sslcv__plan_free_folds(sslcv__plan *plan)
{
    sslcv__free(plan->context, plan->constants);
    sslcv__free(plan->context, plan->folds);
}
