#include "nn/plan.h"

#include <string.h>

#include <sslcv/tape.h>

#include "core/context.h"
#include "core/memory.h"
#include "nn/group_norm.h"
#include "nn/plan_build.h"

/* ---- keys ---- */

/* FNV-1a over all that freezing can change, addresses of gradients too. */
static uint64_t frozen_digest(const sslcv__net *net)
{
    uint64_t digest = 14695981039346656037u;
    int64_t i;

    for (i = 0; i < net->variables.count; i++) {
        digest = (digest ^ (uint64_t)net->variables.items[i]->frozen) * 1099511628211u;
    }
    digest = (digest ^ (uint64_t)net->frozen_stages) * 1099511628211u;
    return (digest ^ (uint64_t)net->freezes) * 1099511628211u;
}

/* Does any batch norm up to last_node take statistics of its batch? */
static int measures(const sslcv__net *net, int32_t flags, int32_t last_node)
{
    int32_t i;

    for (i = 0; i <= last_node && flags & SSLCV_PASS_TRAIN; i++) {
        if (net->nodes[i].kind == SSLCV__NODE_BATCH_NORM && net->nodes[i].stage >= net->frozen_stages) return 1;
    }
    return 0;
}

void sslcv__plan_key_init(sslcv__plan_key *key, const sslcv__net *net, const int64_t shape[4], int32_t flags,
                          int32_t bn_splits, int32_t last_node, int32_t recompute)
{
    memset(key, 0, sizeof *key);
    key->net = net;
    memcpy(key->shape, shape, sizeof key->shape);
    if (net->rows && !net->by_patches) key->shape[2] = 1;
    key->flags = flags & ~SSLCV_PASS_SHUFFLE;
    key->groups = measures(net, flags, last_node) ? bn_splits : 1;
    key->last_node = last_node;
    key->frozen = frozen_digest(net);
    key->recompute = recompute;
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
    const int64_t scratch = op ? sslcv__op_bytes(op, SSLCV__SCRATCHPAD) : 0;
    int32_t buffer;
    sslcv__step *step;
    sslcv_status status;
    int i;

    if (plan->num_steps == plan->step_capacity) {
        const int64_t capacity = plan->step_capacity ? 2 * plan->step_capacity : 64;

        status =
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
    step->bf16 = plan->dtype == SSLCV_BF16;
    for (i = 0; i < SSLCV__STEP_BUFFERS; i++) step->buffers[i] = -1;
    if (out) *out = step;
    if (scratch == 0) return SSLCV_OK;
    if (scratch > plan->scratch_bytes) plan->scratch_bytes = scratch;
    SSLCV__TRY(sslcv__plan_buffer(plan, scratch, &buffer));
    SSLCV__TRY(sslcv__plan_bind(plan, op, SSLCV__SCRATCHPAD, buffer));
end:
    return status;
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

sslcv_status sslcv__plan_norm_shape(sslcv__plan *plan, const sslcv__value *value)
{
    sslcv__step *step = &plan->steps[plan->num_steps - 1];
    const int is_norm = step->kind == SSLCV__STEP_NORM || step->kind == SSLCV__STEP_NORM_BACKWARD;
    const int split = is_norm && !sslcv__node_given_statistics(plan, step->node);
    sslcv__layout_form form;
    int64_t bytes;
    int32_t buffer;
    sslcv_status status;

    SSLCV__TRY(sslcv__layout_image_form(value->layout, &form));
    step->shape = (sslcv__norm_shape){.batch = value->shape[0],
                                      .channels = value->shape[1],
                                      .pixels = value->shape[2] * value->shape[3],
                                      .block = form.block,
                                      .batch_stride = form.batch_stride,
                                      .block_stride = form.block_stride,
                                      .pixel_stride = form.pixel_stride,
                                      .groups = split ? plan->key.groups : 1,
                                      .bf16 = sslcv__layout_dtype(value->layout) == SSLCV_BF16};
    if (step->node->kind == SSLCV__NODE_GROUP_NORM) {
        step->shape.groups = step->node->groups;
        bytes = sslcv__group_norm_scratch_bytes(&step->shape);
    } else {
        bytes = sslcv__norm_scratch_bytes(&step->shape);
    }
    if (bytes == 0) return SSLCV_OK;
    SSLCV__TRY(sslcv__plan_buffer(plan, bytes, &buffer));
    sslcv__plan_operand(plan, SSLCV__NORM_SCRATCH, buffer);
end:
    return status;
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

int sslcv__node_is_norm(const sslcv__node *node)
{
    return node->kind == SSLCV__NODE_BATCH_NORM || node->kind == SSLCV__NODE_GROUP_NORM;
}

/* In evaluation, and in frozen stages always: running statistics. A sample's own are never given, a bias needs none. */
int sslcv__node_given_statistics(const sslcv__plan *plan, const sslcv__node *node)
{
    if (node->kind == SSLCV__NODE_GROUP_NORM) return 0;
    if (node->kind == SSLCV__NODE_BIAS) return 1;
    return !(plan->key.flags & SSLCV_PASS_TRAIN) || node->stage < plan->key.net->frozen_stages;
}

/* Frozen stages learn nothing, whatever their variables say. */
int sslcv__node_trains(const sslcv__plan *plan, const sslcv__node *node)
{
    return node->stage >= plan->key.net->frozen_stages &&
           ((node->weight && !node->weight->frozen) || (node->bias && !node->bias->frozen));
}

/* ---- life ---- */

/* The net's nodes up to the last one; a spatial mean on top of a backbone's unless the map is wanted. */
static sslcv_status copy_nodes(sslcv__plan *plan)
{
    const sslcv__net *net = plan->key.net;
    const int32_t last = plan->key.last_node;
    const int mean = !net->rows && !(plan->key.flags & SSLCV_PASS_MAP) && !net->nodes[last].flat;
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
        v->buffer = v->gradients[0] = v->gradients[1] = v->mean = v->variance = v->workspace = v->norms = -1;
        v->last_consumer = -1;
    }
end:
    return status;
}

static void index_consumers(sslcv__plan *plan)
{
    int32_t i, k;

    for (i = 0; i < plan->num_nodes; i++) {
        for (k = 0; k < 2; k++) {
            if (plan->nodes[i].inputs[k] < 0) continue;
            plan->values[plan->nodes[i].inputs[k]].consumers++;
            plan->values[plan->nodes[i].inputs[k]].last_consumer = i;
        }
    }
}

static void mark_needs(sslcv__plan *plan)
{
    int32_t i, k;

    for (i = 0; i < plan->num_nodes; i++) {
        sslcv__value *value = &plan->values[i];

        value->needs_gradient = i == 0 ? plan->key.net->rows || (plan->key.flags & SSLCV_PASS_INPUT_GRADIENT) != 0
                                       : sslcv__node_trains(plan, &plan->nodes[i]);
        for (k = 0; k < 2; k++) {
            const int32_t input = plan->nodes[i].inputs[k];
            if (input >= 0 && plan->values[input].needs_gradient) value->needs_gradient = 1;
        }
    }
}

/* A convolution and the norm or bias behind it, when nobody else reads the convolution and no gradient comes back through. */
static void mark_folded(sslcv__plan *plan, int32_t norm)
{
    const sslcv__node *node = &plan->nodes[norm];
    sslcv__value *convolution = &plan->values[node->inputs[0]];

    if (plan->nodes[node->inputs[0]].kind != SSLCV__NODE_CONVOLUTION || convolution->consumers != 1 ||
        !sslcv__node_given_statistics(plan, node) || plan->values[norm].needs_gradient) {
        return;
    }
    convolution->folded = plan->values[norm].folded = 1;
}

/* The end of a residual block: from one to the next, what lies between can be computed again with no more memory than
   one block takes. Likewise what is read behind its stage, and the result of the pass. */
static int ends_block(const sslcv__plan *plan, int32_t index)
{
    int32_t i;

    if (index >= plan->key.last_node || plan->nodes[index].kind == SSLCV__NODE_ADD) return 1;
    for (i = index + 1; i < plan->num_nodes; i++) {
        const sslcv__node *reader = &plan->nodes[i];
        if ((reader->inputs[0] == index || reader->inputs[1] == index) && reader->stage != plan->nodes[index].stage) {
            return 1;
        }
    }
    return 0;
}

static int is_dropped(const sslcv__plan *plan, int32_t index)
{
    const sslcv__node *node = &plan->nodes[index];
    const sslcv__value *value = &plan->values[index];

    if (plan->key.net->rows || node->flat || !value->needs_gradient || value->absorbed ||
        index >= plan->key.last_node || node->kind == SSLCV__NODE_INPUT || node->kind == SSLCV__NODE_MAX_POOL) {
        return 0;
    }
    if (plan->key.recompute & SSLCV__RECOMPUTE_STAGE << node->stage) return !ends_block(plan, index);
    if (!(plan->key.recompute & SSLCV__RECOMPUTE_NORMS)) return 0;
    return sslcv__node_is_norm(node) || (node->kind == SSLCV__NODE_ADD && plan->values[node->inputs[0]].absorbed &&
                                         sslcv__node_is_norm(&plan->nodes[node->inputs[0]]));
}

void sslcv__plan_decide(sslcv__plan *plan)
{
    int32_t i;

    if (plan->key.flags & SSLCV_PASS_GRADIENT) mark_needs(plan);
    for (i = 0; i < plan->num_nodes; i++) {
        const sslcv__node *node = &plan->nodes[i];

        if (node->kind == SSLCV__NODE_BATCH_NORM || node->kind == SSLCV__NODE_BIAS) mark_folded(plan, i);
        if (node->kind == SSLCV__NODE_ADD) {
            const sslcv__node *first = &plan->nodes[node->inputs[0]];
            sslcv__value *value = &plan->values[node->inputs[0]];

            value->absorbed = (sslcv__node_is_norm(first) || first->kind == SSLCV__NODE_BIAS) && !first->relu &&
                              value->consumers == 1;
        }
    }
    for (i = 0; i < plan->num_nodes; i++) plan->values[i].dropped = is_dropped(plan, i);
}

static sslcv_status check_groups(const sslcv__plan_key *key)
{
    if (key->shape[0] % key->groups == 0) return SSLCV_OK;
    return sslcv__invalid("bn_splits is %d; must divide the %s of the pass, which are %lld", key->groups,
                          key->net->rows ? "rows" : "images", (long long)key->shape[0]);
}

sslcv_status sslcv__plan_create(const sslcv__plan_key *key, sslcv__plan **out)
{
    sslcv_context *context = key->net->context;
    sslcv__plan *plan;
    sslcv_status status = check_groups(key);

    if (status == SSLCV_OK) status = sslcv__alloc_array(context, 1, sizeof *plan, (void **)&plan);
    if (status != SSLCV_OK) return status;
    plan->key = *key;
    plan->context = context;
    plan->input = plan->output = plan->diff_output = plan->diff_input = plan->order = plan->plain_output = -1;
    plan->views = 1;
    plan->dtype = key->net->rows || context->precision != SSLCV_PRECISION_BF16 ? SSLCV_F32 : SSLCV_BF16;
    SSLCV__TRY(copy_nodes(plan));
    index_consumers(plan);
    sslcv__plan_decide(plan);
    SSLCV__TRY(sslcv__plan_build_forward(plan));
    plan->num_forward = plan->num_steps;
    if (key->flags & SSLCV_PASS_GRADIENT) SSLCV__TRY(sslcv__plan_build_backward(plan));
    SSLCV__TRY(sslcv__arena_place(context, plan->buffers, plan->num_buffers, &plan->arena_bytes));
    SSLCV__TRY(sslcv__plan_place_folds(plan));
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
    sslcv__plan_free_folds(plan);
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
    return plan->arena_bytes;
}

int64_t sslcv__plan_scratch_bytes(const sslcv__plan *plan)
{
    return plan->scratch_bytes;
}

void *sslcv__plan_memory(const sslcv__plan *plan, int32_t buffer)
{
    return buffer < 0 ? NULL : plan->arena + plan->buffers[buffer].offset;
}

sslcv_status sslcv__plan_place(sslcv__plan *plan, char *arena)
{
    int64_t i;
    int k;
    sslcv_status status = SSLCV_OK;

    plan->arena = arena;
    for (i = 0; i < plan->num_bindings; i++) {
        const sslcv__binding *b = &plan->bindings[i];
        SSLCV__TRY(sslcv__op_bind(b->op, b->arg, sslcv__plan_memory(plan, b->buffer)));
    }
    for (i = 0; i < plan->num_steps; i++) {
        sslcv__step *step = &plan->steps[i];

        for (k = 0; k < SSLCV__STEP_BUFFERS; k++) step->memory[k] = sslcv__plan_memory(plan, step->buffers[k]);
    }
end:
    return status;
}

void sslcv__plan_set_pass(sslcv__plan *plan, int64_t views, const sslcv_pass *pass)
{
    plan->views = views;
    plan->pass = *pass;
    plan->pass.stage = NULL; /* the caller's text, which may be gone at backward */
}

const float *sslcv__plan_input(const sslcv__plan *plan)
{
    return sslcv__plan_memory(plan, plan->input);
}

const float *sslcv__plan_output(const sslcv__plan *plan, int64_t shape[4])
{
    memcpy(shape, plan->values[plan->num_nodes - 1].shape, 4 * sizeof *shape);
    return sslcv__plan_memory(plan, plan->output);
}

const float *sslcv__plan_diff_input(const sslcv__plan *plan)
{
    return sslcv__plan_memory(plan, plan->diff_input);
}

/* ---- looking ---- */

int64_t sslcv__plan_num_steps(const sslcv__plan *plan)
{
    return plan->num_steps;
}

void sslcv__plan_get_step(const sslcv__plan *plan, int64_t index, sslcv__step_info *info)
{
    static const char *const layers[] = {"input",
                                         "convolution",
                                         "batch norm",
                                         "relu",
                                         "max pooling",
                                         "add + relu",
                                         "mean",
                                         "linear",
                                         "normalize",
                                         "group norm",
                                         "bias",
                                         "flatten",
                                         [SSLCV__NODE_GELU] = "gelu",
                                         [SSLCV__NODE_DROPOUT] = "dropout",
                                         [SSLCV__NODE_ROW_SUM] = "sum",
                                         [SSLCV__NODE_GATE] = "gate",
                                         [SSLCV__NODE_JOIN] = "join",
                                         [SSLCV__NODE_SHIFT] = "neighbours",
                                         [SSLCV__NODE_TURN] = "turn",
                                         [SSLCV__NODE_TURN_BACK] = "turn back",
                                         [SSLCV__NODE_UNIT_LINEAR] = "prototypes",
                                         [SSLCV__NODE_HOST] = "custom"};
    const sslcv__step *step = &plan->steps[index];

    info->layer = step->node->kind == SSLCV__NODE_ADD && !step->node->relu ? "add" : layers[step->node->kind];
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
