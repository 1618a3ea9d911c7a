#include "nn/net.h"

#include <sslcv/state.h>

#include <stdio.h>
#include <string.h>

#include "core/compute.h"
#include "core/memory.h"
#include "core/rng.h"

enum { NAME_SIZE = 96 };

static sslcv_status append(sslcv__net *net, const sslcv__node *node, int32_t *index)
{
    if (net->num_nodes == net->capacity) {
        const int32_t capacity = net->capacity ? 2 * net->capacity : 32;
        const sslcv_status status =
            sslcv__grow_array(net->context, net->num_nodes, capacity, sizeof *net->nodes, (void **)&net->nodes);
        if (status != SSLCV_OK) return status;
        net->capacity = capacity;
    }
    net->nodes[net->num_nodes] = *node;
    net->nodes[net->num_nodes].stage = net->stage;
    net->nodes[net->num_nodes].flat =
        node->kind == SSLCV__NODE_FLATTEN || (node->inputs[0] >= 0 && net->nodes[node->inputs[0]].flat);
    *index = net->num_nodes++;
    return SSLCV_OK;
}

sslcv_status sslcv__net_init(sslcv__net *net, sslcv_context *context, int32_t rows, int64_t channels)
{
    const sslcv__node input = {.kind = SSLCV__NODE_INPUT, .inputs = {-1, -1}, .channels = channels};
    int32_t index;

    memset(net, 0, sizeof *net);
    net->context = context;
    net->rows = rows;
    net->norm_epsilon = 1e-5;
    net->norm_momentum = 0.1;
    sslcv__variables_init(&net->variables, context);
    return append(net, &input, &index);
}

void sslcv__net_free(sslcv__net *net)
{
    if (!net->context) return;
    sslcv__variables_free(&net->variables);
    sslcv__free(net->context, net->nodes);
    net->nodes = NULL;
}

static sslcv_status add_variable(sslcv__net *net, const char *layer, const char *what, int32_t dtype, int32_t role,
                                 int32_t ndim, const int64_t *shape, const sslcv__layout *layout, sslcv__variable **out)
{
    char name[NAME_SIZE];

    snprintf(name, sizeof name, "%s.%s", layer, what);
    return sslcv__variables_add(&net->variables, name, dtype, role, ndim, shape, layout, out);
}

sslcv_status sslcv__net_convolution(sslcv__net *net, int32_t input, const char *name, int64_t channels, int64_t kernel,
                                    int64_t stride, int64_t padding, int32_t *node)
{
    sslcv__node n = {.kind = SSLCV__NODE_CONVOLUTION,
                     .inputs = {input, -1},
                     .channels = channels,
                     .kernel = kernel,
                     .stride = stride,
                     .padding = padding};
    const int64_t in = net->nodes[input].channels;
    const int64_t shape[4] = {channels, in, kernel, kernel};
    sslcv__layout *home = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__conv_home_layout(net->context, shape, stride, padding, &home));
    SSLCV__TRY(add_variable(net, name, "weight", SSLCV_F32, SSLCV_ROLE_WEIGHT, 4, shape, home, &n.weight));
    status = append(net, &n, node);
end:
    sslcv__layout_free(net->context, home);
    return status;
}

sslcv_status sslcv__net_batch_norm(sslcv__net *net, int32_t input, const char *name, int32_t affine, int32_t relu,
                                   int32_t *node)
{
    sslcv__node n = {
        .kind = SSLCV__NODE_BATCH_NORM, .inputs = {input, -1}, .relu = relu, .channels = net->nodes[input].channels};
    const int64_t shape[1] = {n.channels};
    sslcv_status status = SSLCV_OK;

    if (affine >= 1) {
        SSLCV__TRY(add_variable(net, name, "weight", SSLCV_F32, SSLCV_ROLE_NORM, 1, shape, NULL, &n.weight));
        SSLCV__TRY(sslcv__net_fill(net, n.weight, 1.0f));
    }
    if (affine >= 2) SSLCV__TRY(add_variable(net, name, "bias", SSLCV_F32, SSLCV_ROLE_NORM, 1, shape, NULL, &n.bias));
    SSLCV__TRY(add_variable(net, name, "running_mean", SSLCV_F32, SSLCV_ROLE_BUFFER, 1, shape, NULL, &n.mean));
    SSLCV__TRY(add_variable(net, name, "running_var", SSLCV_F32, SSLCV_ROLE_BUFFER, 1, shape, NULL, &n.variance));
    SSLCV__TRY(sslcv__net_fill(net, n.variance, 1.0f));
    SSLCV__TRY(add_variable(net, name, "num_batches_tracked", SSLCV_I64, SSLCV_ROLE_BUFFER, 0, NULL, NULL, &n.batches));
    status = append(net, &n, node);
end:
    return status;
}

sslcv_status sslcv__net_append(sslcv__net *net, const sslcv__node *node, int32_t *index)
{
    return append(net, node, index);
}

sslcv_status sslcv__net_add_weight(sslcv__net *net, const char *layer, int64_t out, int64_t in,
                                   sslcv__variable **weight)
{
    const int64_t shape[2] = {out, in};

    return add_variable(net, layer, "weight", SSLCV_F32, SSLCV_ROLE_WEIGHT, 2, shape, NULL, weight);
}

sslcv_status sslcv__net_group_norm(sslcv__net *net, int32_t input, const char *name, int64_t groups, int32_t relu,
                                   int32_t *node)
{
    sslcv__node n = {.kind = SSLCV__NODE_GROUP_NORM,
                     .inputs = {input, -1},
                     .relu = relu,
                     .channels = net->nodes[input].channels,
                     .groups = groups};
    const int64_t shape[1] = {n.channels};
    sslcv_status status;

    if (groups < 1 || n.channels % groups != 0) {
        return sslcv__invalid("%s: %lld channels cannot be cut into %lld groups", name, (long long)n.channels,
                              (long long)groups);
    }
    SSLCV__TRY(add_variable(net, name, "weight", SSLCV_F32, SSLCV_ROLE_NORM, 1, shape, NULL, &n.weight));
    SSLCV__TRY(sslcv__net_fill(net, n.weight, 1.0f));
    SSLCV__TRY(add_variable(net, name, "bias", SSLCV_F32, SSLCV_ROLE_NORM, 1, shape, NULL, &n.bias));
    status = append(net, &n, node);
end:
    return status;
}

sslcv_status sslcv__net_bias(sslcv__net *net, int32_t input, const char *name, int32_t relu, int32_t *node)
{
    sslcv__node n = {
        .kind = SSLCV__NODE_BIAS, .inputs = {input, -1}, .relu = relu, .channels = net->nodes[input].channels};
    const int64_t shape[1] = {n.channels};
    sslcv_status status;

    SSLCV__TRY(add_variable(net, name, "bias", SSLCV_F32, SSLCV_ROLE_BIAS, 1, shape, NULL, &n.bias));
    status = append(net, &n, node);
end:
    return status;
}

sslcv_status sslcv__net_relu(sslcv__net *net, int32_t input, int32_t *node)
{
    const sslcv__node n = {.kind = SSLCV__NODE_RELU, .inputs = {input, -1}, .channels = net->nodes[input].channels};

    return append(net, &n, node);
}

sslcv_status sslcv__net_max_pool(sslcv__net *net, int32_t input, int64_t kernel, int64_t stride, int64_t padding,
                                 int32_t *node)
{
    const sslcv__node n = {.kind = SSLCV__NODE_MAX_POOL,
                           .inputs = {input, -1},
                           .channels = net->nodes[input].channels,
                           .kernel = kernel,
                           .stride = stride,
                           .padding = padding};

    return append(net, &n, node);
}

sslcv_status sslcv__net_add_relu(sslcv__net *net, int32_t a, int32_t b, int32_t *node)
{
    const sslcv__node n = {.kind = SSLCV__NODE_ADD, .inputs = {a, b}, .relu = 1, .channels = net->nodes[a].channels};

    return append(net, &n, node);
}

sslcv_status sslcv__net_add(sslcv__net *net, int32_t a, int32_t b, int32_t *node)
{
    const sslcv__node n = {.kind = SSLCV__NODE_ADD, .inputs = {a, b}, .channels = net->nodes[a].channels};

    return append(net, &n, node);
}

sslcv_status sslcv__net_linear(sslcv__net *net, int32_t input, const char *name, int64_t channels, int32_t bias,
                               int32_t *node)
{
    sslcv__node n = {.kind = SSLCV__NODE_LINEAR, .inputs = {input, -1}, .channels = channels};
    const int64_t shape[2] = {channels, net->nodes[input].channels};
    sslcv_status status;

    SSLCV__TRY(add_variable(net, name, "weight", SSLCV_F32, SSLCV_ROLE_WEIGHT, 2, shape, NULL, &n.weight));
    if (bias) SSLCV__TRY(add_variable(net, name, "bias", SSLCV_F32, SSLCV_ROLE_BIAS, 1, shape, NULL, &n.bias));
    status = append(net, &n, node);
end:
    return status;
}

sslcv_status sslcv__net_flatten(sslcv__net *net, int32_t input, int64_t channels, int32_t *node)
{
    const sslcv__node n = {.kind = SSLCV__NODE_FLATTEN, .inputs = {input, -1}, .channels = channels};

    return append(net, &n, node);
}

sslcv_status sslcv__net_normalize(sslcv__net *net, int32_t input, int32_t *node)
{
    const sslcv__node n = {
        .kind = SSLCV__NODE_NORMALIZE, .inputs = {input, -1}, .channels = net->nodes[input].channels};

    return append(net, &n, node);
}

/* A block of values has a stream of its own, so that threads share the work and the values do not depend on them. */
static void draw_block(float *values, int64_t count, uint64_t seed, int64_t block, int32_t normal, double spread)
{
    sslcv__rng rng;
    double pair[2];
    int64_t i;

    sslcv__rng_init(&rng, seed, (uint64_t)block, 0);
    for (i = 0; i < count; i += 2) {
        if (normal) {
            sslcv__rng_normal_pair(&rng, pair);
        } else {
            pair[0] = sslcv__rng_range(&rng, -1.0, 1.0);
            pair[1] = sslcv__rng_range(&rng, -1.0, 1.0);
        }
        values[i] = (float)(spread * pair[0]);
        if (i + 1 < count) values[i + 1] = (float)(spread * pair[1]);
    }
}

sslcv_status sslcv__net_draw(sslcv__net *net, sslcv__variable *variable, uint64_t seed, int32_t normal, double spread)
{
    enum { BLOCK = 4096 };
    const int64_t blocks = (variable->count + BLOCK - 1) / BLOCK;
    uint64_t index = 0, key;
    sslcv__compute frame;
    float *plain;
    int64_t b;
    sslcv_status status = sslcv__alloc_array(net->context, variable->count, sizeof(float), (void **)&plain);

    if (status != SSLCV_OK) return status;
    SSLCV__TRY(sslcv__compute_begin(net->context, &frame));
    while (net->variables.items[index] != variable) index++;
    key = sslcv__rng_derive(seed, index, SSLCV__STREAM_WEIGHTS);
#pragma omp parallel for schedule(static)
    for (b = 0; b < blocks; b++) {
        const int64_t left = variable->count - b * BLOCK;

        draw_block(plain + b * BLOCK, left < BLOCK ? left : BLOCK, key, b, normal, spread);
    }
    sslcv__compute_end(&frame);
    status = sslcv__variable_write(net->context, variable, SSLCV_STATE_VALUE, plain);
end:
    sslcv__free(net->context, plain);
    return status;
}

sslcv_status sslcv__net_fill(sslcv__net *net, sslcv__variable *variable, float value)
{
    float *plain;
    int64_t i;
    sslcv_status status = sslcv__alloc_array(net->context, variable->count, sizeof(float), (void **)&plain);

    if (status != SSLCV_OK) return status;
    for (i = 0; i < variable->count; i++) plain[i] = value;
    status = sslcv__variable_write(net->context, variable, SSLCV_STATE_VALUE, plain);
    sslcv__free(net->context, plain);
    return status;
}

int64_t sslcv__net_num_parameters(const sslcv__net *net)
{
    int64_t sum = 0, i;

    for (i = 0; i < net->variables.count; i++) {
        if (net->variables.items[i]->role & SSLCV_ROLE_PARAMETERS) sum += net->variables.items[i]->count;
    }
    return sum;
}

/* Tensors frozen by name elsewhere stay so: only the stages between old and new change. */
static int lies_between(const sslcv__net *net, const sslcv__node *node, int32_t num_stages)
{
    const int32_t old = net->frozen_stages;

    return node->stage >= (old < num_stages ? old : num_stages) && node->stage < (old > num_stages ? old : num_stages);
}

static void set_frozen(sslcv__net *net, sslcv__variable *variable, int32_t frozen)
{
    if (!variable || !(variable->role & SSLCV_ROLE_PARAMETERS)) return;
    variable->frozen = frozen;
    if (frozen) sslcv__variable_drop_gradient(net->context, variable);
}

/* Memory for gradients of the stages between old and new; all of it or none. */
static sslcv_status make_gradients(sslcv__net *net, int32_t num_stages)
{
    sslcv_status status = SSLCV_OK;
    int32_t i;

    for (i = 0; i < net->num_nodes; i++) {
        const sslcv__node *node = &net->nodes[i];

        if (!lies_between(net, node, num_stages)) continue;
        if (node->weight) SSLCV__TRY(sslcv__variable_make_gradient(net->context, node->weight));
        if (node->bias) SSLCV__TRY(sslcv__variable_make_gradient(net->context, node->bias));
    }
end:
    for (i = 0; i < net->num_nodes && status != SSLCV_OK; i++) {
        const sslcv__node *node = &net->nodes[i];

        if (!lies_between(net, node, num_stages)) continue;
        if (node->weight && node->weight->frozen) sslcv__variable_drop_gradient(net->context, node->weight);
        if (node->bias && node->bias->frozen) sslcv__variable_drop_gradient(net->context, node->bias);
    }
    return status;
}

sslcv_status sslcv__net_freeze(sslcv__net *net, int32_t num_stages)
{
    const int32_t frozen = num_stages > net->frozen_stages;
    sslcv_status status = SSLCV_OK;
    int32_t i;

    if (!frozen) SSLCV__TRY(make_gradients(net, num_stages));
    for (i = 0; i < net->num_nodes; i++) {
        const sslcv__node *node = &net->nodes[i];

        if (!lies_between(net, node, num_stages)) continue;
        set_frozen(net, node->weight, frozen);
        set_frozen(net, node->bias, frozen);
    }
    net->freezes += num_stages != net->frozen_stages;
    net->frozen_stages = num_stages;
end:
    return status;
}

sslcv_status sslcv__net_copy_values(sslcv__net *to, const sslcv__net *from)
{
    const sslcv_status status = sslcv__net_freeze(to, from->frozen_stages);
    int64_t i;

    if (status != SSLCV_OK) return status;
    for (i = 0; i < from->variables.count; i++) {
        const sslcv__variable *source = from->variables.items[i];
        sslcv__variable *target = to->variables.items[i];

        memcpy(target->value, source->value, (size_t)source->stored_bytes);
        sslcv__variable_changed(target);
        target->frozen = source->frozen;
    }
    return SSLCV_OK;
}
