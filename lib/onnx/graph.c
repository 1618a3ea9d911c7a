/*
 * Nodes of a network into nodes of ONNX. Rows are (N, D) there, maps (N, D, h, w); a head over a map takes its linear
 * layers as 1x1 convolutions, so that nothing has to be turned.
 *
 * A layer with weights takes what follows it and nobody else reads: its bias, and the batch norm with fold:
 *
 *     y = W x      bias: b <- b + bias      norm: a <- a s, b <- (b - mean) s + shift, s = scale / sqrt(variance + e)
 *     result  =  (a W) x + b
 */
#include "onnx/graph.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "nn/row_kernels.h"

enum { NAME = 160 };

/** What a node of the network has become. */
typedef struct made {
    sslcv__onnx_value value;
    int32_t consumers, consumer; /* the last of them */
    int32_t taken;               /* 1: by the layer before it, which has its result */
    int32_t reserved;
} made;

typedef struct walker {
    sslcv__onnx_model *model;
    const sslcv__net *net;
    const char *prefix, *what;
    made *nodes; /* num */
    int32_t num, fold;
    int32_t index; /* of the node at hand */
    int32_t reserved;
} walker;

/* ---- names ---- */

/* "heads.0.3" of a layer whose variables are "3.weight" and so on; layers without variables: "heads.0.node7". */
static void name_layer(const walker *w, int32_t index, char name[NAME])
{
    const sslcv__node *node = &w->net->nodes[index];
    const sslcv__variable *variable = node->mean ? node->mean : node->weight ? node->weight : node->bias;
    const char *dot = variable ? strrchr(variable->name, '.') : NULL;

    if (dot) {
        snprintf(name, NAME, "%s.%.*s", w->prefix, (int)(dot - variable->name), variable->name);
    } else {
        snprintf(name, NAME, "%s.node%d", w->prefix, index);
    }
}

/* A value within the layer at hand: "backbone.bn1.relu". part NULL: the layer itself. */
static sslcv_status name_part(const walker *w, const char *part, char **name)
{
    char layer[NAME];

    name_layer(w, w->index, layer);
    return sslcv__onnx_text(w->model, name, "%s%s%s", layer, part ? "." : "", part ? part : "");
}

/* ---- nodes of one kind ---- */

/* One ONNX node of the layer at hand; *value becomes its result. Up to two further inputs. */
static sslcv_status add(const walker *w, const char *kind, const char *part, const char **value, const char *second,
                        const char *third)
{
    const char *const inputs[4] = {*value, second, second ? third : NULL, NULL};
    char *name;
    sslcv_status status;

    SSLCV__TRY(name_part(w, part, &name));
    SSLCV__TRY(sslcv__onnx_node(w->model, kind, inputs, name));
    *value = name;
end:
    return status;
}

static sslcv_status add_relu(const walker *w, int32_t relu, const char **value)
{
    return relu ? add(w, "Relu", "relu", value, NULL, NULL) : SSLCV_OK;
}

/* A tensor of n equal values, shared by all who need it: "zeros.64". */
static sslcv_status constant(const walker *w, const char *kind, int64_t n, float value, char **name)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__onnx_text(w->model, name, "%s.%lld", kind, (long long)n));
    status = sslcv__onnx_constant(w->model, *name, n, value);
end:
    return status;
}

/* A vector with a variable's values under its own name; without one, equal values. */
static sslcv_status vector(const walker *w, const sslcv__variable *variable, const char *otherwise, int64_t n,
                           float value, char **name)
{
    sslcv_status status;

    if (!variable) return constant(w, otherwise, n, value, name);
    SSLCV__TRY(sslcv__onnx_text(w->model, name, "%s.%s", w->prefix, variable->name));
    status = sslcv__onnx_variable(w->model, *name, 1, &n, variable, NULL);
end:
    return status;
}

static sslcv_status add_batch_norm(const walker *w, const char *scale, const char *shift, const char *mean,
                                   const char *variance, double epsilon, const char *part, const char **value)
{
    const char *const inputs[6] = {*value, scale, shift, mean, variance, NULL};
    char *name;
    sslcv_status status;

    SSLCV__TRY(name_part(w, part, &name));
    SSLCV__TRY(sslcv__onnx_node(w->model, "BatchNormalization", inputs, name));
    SSLCV__TRY(sslcv__onnx_float(w->model, "epsilon", (float)epsilon));
    *value = name;
end:
    return status;
}

static sslcv_status batch_norm(const walker *w, const sslcv__node *node, sslcv__onnx_value *value)
{
    const int64_t n = node->channels;
    char *scale, *shift, *mean, *variance;
    sslcv_status status;

    SSLCV__TRY(vector(w, node->weight, "ones", n, 1, &scale));
    SSLCV__TRY(vector(w, node->bias, "zeros", n, 0, &shift));
    SSLCV__TRY(vector(w, node->mean, NULL, n, 0, &mean));
    SSLCV__TRY(vector(w, node->variance, NULL, n, 0, &variance));
    SSLCV__TRY(add_batch_norm(w, scale, shift, mean, variance, w->net->norm_epsilon, NULL, &value->name));
    status = add_relu(w, node->relu, &value->name);
end:
    return status;
}

/* A tensor for Reshape, named after the layer. */
static sslcv_status shape_of(const walker *w, const char *part, const int64_t *shape, int64_t count, char **name)
{
    sslcv_status status;

    SSLCV__TRY(name_part(w, part, name));
    status = sslcv__onnx_int64s(w->model, *name, count, shape);
end:
    return status;
}

/*
 * Opsets before 18 have no group norm. Each group becomes a channel of an instance norm; back in the first shape, scale
 * and shift of each channel are a batch norm with mean 0 and variance 1: OpenCV 4.6 multiplies (1, C, 1, 1) into
 * (N, C, h, w) only where N is 1.
 */
static sslcv_status group_norm(const walker *w, const sslcv__node *node, sslcv__onnx_value *value)
{
    const int64_t n = node->channels, groups = node->groups;
    const int64_t apart[3] = {0, groups, -1}, back[4] = {0, n, value->height, value->width};
    const char *const input = value->name;
    const char *shape = input;
    char *scale, *shift, *zeros, *ones, *text;
    sslcv_status status;

    SSLCV__TRY(shape_of(w, "groups_shape", apart, 3, &text));
    SSLCV__TRY(add(w, "Reshape", "groups", &value->name, text, NULL));
    SSLCV__TRY(constant(w, "ones", groups, 1, &ones));
    SSLCV__TRY(constant(w, "zeros", groups, 0, &zeros));
    SSLCV__TRY(add(w, "InstanceNormalization", "norm", &value->name, ones, zeros));
    SSLCV__TRY(sslcv__onnx_float(w->model, "epsilon", (float)w->net->norm_epsilon));
    if (value->height > 0 && value->width > 0) {
        SSLCV__TRY(shape_of(w, "map_shape", back, 4, &text));
        shape = text;
    } else {
        SSLCV__TRY(add(w, "Shape", "map_shape", &shape, NULL, NULL));
    }
    SSLCV__TRY(add(w, "Reshape", "map", &value->name, shape, NULL));
    SSLCV__TRY(vector(w, node->weight, "ones", n, 1, &scale));
    SSLCV__TRY(vector(w, node->bias, "zeros", n, 0, &shift));
    SSLCV__TRY(constant(w, "ones", n, 1, &ones));
    SSLCV__TRY(constant(w, "zeros", n, 0, &zeros));
    SSLCV__TRY(add_batch_norm(w, scale, shift, zeros, ones, 0.0, NULL, &value->name));
    status = add_relu(w, node->relu, &value->name);
end:
    return status;
}

/* x / max(|x|, 1e-12) in the form that OpenCV 4.6 knows as one layer: it has no LpNormalization. */
static sslcv_status normalize(const walker *w, sslcv__onnx_value *value)
{
    static const int64_t axes[1] = {1};
    static const float floor_value = 1e-12f;
    const char *const input = value->name;
    const char *length = input, *shape = input;
    sslcv_status status;

    SSLCV__TRY(sslcv__onnx_floats(w->model, "length_floor", 0, NULL, &floor_value));
    SSLCV__TRY(add(w, "ReduceL2", "length", &length, NULL, NULL));
    SSLCV__TRY(sslcv__onnx_integers(w->model, "axes", axes, 1));
    SSLCV__TRY(sslcv__onnx_integer(w->model, "keepdims", 1));
    SSLCV__TRY(add(w, "Clip", "clip", &length, "length_floor", ""));
    SSLCV__TRY(add(w, "Shape", "shape", &shape, NULL, NULL));
    SSLCV__TRY(add(w, "Expand", "expand", &length, shape, NULL));
    status = add(w, "Div", "unit", &value->name, length, NULL);
end:
    return status;
}

/* x / 2 (1 + erf(x / sqrt 2)): Gelu itself came with opset 20. */
static sslcv_status gelu(const walker *w, sslcv__onnx_value *value)
{
    static const float root_half = 0.70710678118654752f, one = 1.0f, half = 0.5f;
    const char *share = value->name;
    sslcv_status status;

    SSLCV__TRY(sslcv__onnx_floats(w->model, "root_half", 0, NULL, &root_half));
    SSLCV__TRY(sslcv__onnx_floats(w->model, "one", 0, NULL, &one));
    SSLCV__TRY(sslcv__onnx_floats(w->model, "half", 0, NULL, &half));
    SSLCV__TRY(add(w, "Mul", "scaled", &share, "root_half", NULL));
    SSLCV__TRY(add(w, "Erf", "erf", &share, NULL, NULL));
    SSLCV__TRY(add(w, "Add", "twice", &share, "one", NULL));
    SSLCV__TRY(add(w, "Mul", "product", &share, value->name, NULL));
    SSLCV__TRY(add(w, "Mul", "gelu", &share, "half", NULL));
    value->name = share;
end:
    return status;
}

/* ---- sizes ---- */

static sslcv_status window(const walker *w, const sslcv__node *node, int64_t *size)
{
    const int64_t in = *size;

    if (in == 0) return SSLCV_OK; /* not known */
    *size = sslcv__conv_out_size(in, node->kernel, node->stride, node->padding);
    if (*size >= 1) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_LIMIT,
                       "onnx_options.height and width are too small for %s: a map of %lld is left of them "
                       "at a window of %lld",
                       w->what, (long long)in, (long long)node->kernel);
}

static sslcv_status window_attributes(const walker *w, const sslcv__node *node)
{
    const int64_t kernel[2] = {node->kernel, node->kernel}, stride[2] = {node->stride, node->stride};
    const int64_t padding[4] = {node->padding, node->padding, node->padding, node->padding};
    sslcv_status status;

    SSLCV__TRY(sslcv__onnx_integers(w->model, "kernel_shape", kernel, 2));
    SSLCV__TRY(sslcv__onnx_integers(w->model, "strides", stride, 2));
    status = sslcv__onnx_integers(w->model, "pads", padding, 4);
end:
    return status;
}

static sslcv_status max_pool(const walker *w, const sslcv__node *node, sslcv__onnx_value *value)
{
    sslcv_status status;

    SSLCV__TRY(window(w, node, &value->height));
    SSLCV__TRY(window(w, node, &value->width));
    SSLCV__TRY(add(w, "MaxPool", NULL, &value->name, NULL, NULL));
    status = window_attributes(w, node);
end:
    return status;
}

static sslcv_status flatten(const walker *w, const sslcv__node *node, sslcv__onnx_value *value)
{
    const int known = value->height > 0 && value->width > 0;
    sslcv_status status;

    if (known && value->channels * value->height * value->width != node->channels) {
        return sslcv__fail(
            SSLCV_ERR_LIMIT,
            "onnx_options.height and width leave a map of %lld x %lld; the linear layer of %s behind it is "
            "for %lld numbers, not %lld",
            (long long)value->height, (long long)value->width, w->what, (long long)node->channels,
            (long long)(value->channels * value->height * value->width));
    }
    SSLCV__TRY(add(w, "Flatten", NULL, &value->name, NULL, NULL));
    SSLCV__TRY(sslcv__onnx_integer(w->model, "axis", 1));
    value->rows = 1;
end:
    return status;
}

/* ---- layers with weights ---- */

/** (a W) x + b. */
typedef struct affine {
    double *scales;          /* a; NULL: 1 */
    float *shifts;           /* b, rounded once they are complete */
    double *sums;            /* b */
    int32_t has_shift, last; /* last: node whose result it is */
} affine;

static void take_bias(const float *bias, int64_t n, affine *a)
{
    int64_t c;

    for (c = 0; c < n; c++) a->sums[c] += (double)bias[c];
    a->has_shift = 1;
}

static sslcv_status take_norm(const walker *w, const sslcv__node *norm, affine *a)
{
    const float *mean = norm->mean->value, *variance = norm->variance->value;
    const float *gamma = norm->weight ? norm->weight->value : NULL, *beta = norm->bias ? norm->bias->value : NULL;
    int64_t c;
    sslcv_status status = SSLCV_OK;

    if (!a->scales) {
        SSLCV__TRY(sslcv__onnx_memory(w->model, norm->channels, sizeof *a->scales, (void **)&a->scales));
        for (c = 0; c < norm->channels; c++) a->scales[c] = 1.0;
    }
    for (c = 0; c < norm->channels; c++) {
        const double s = (gamma ? (double)gamma[c] : 1.0) / sqrt((double)variance[c] + w->net->norm_epsilon);

        a->scales[c] *= s;
        a->sums[c] = (a->sums[c] - (double)mean[c]) * s + (beta ? (double)beta[c] : 0.0);
    }
    a->has_shift = 1;
end:
    return status;
}

/* Lengths of the weight's rows, inverse: what counts of them is their direction. */
static sslcv_status take_unit_rows(const walker *w, const sslcv__node *node, affine *a)
{
    const int64_t n = node->channels;
    float *inverse;
    int64_t c;
    sslcv_status status;

    SSLCV__TRY(sslcv__onnx_memory(w->model, n, sizeof *inverse, (void **)&inverse));
    SSLCV__TRY(sslcv__onnx_memory(w->model, n, sizeof *a->scales, (void **)&a->scales));
    sslcv__rows_inverse_norms(node->weight->value, n, node->weight->shape[1], inverse);
    for (c = 0; c < n; c++) a->scales[c] = (double)inverse[c];
end:
    return status;
}

/* All that the layer at hand takes. */
static sslcv_status take(const walker *w, affine *a)
{
    const sslcv__node *nodes = w->net->nodes, *node = &nodes[w->index];
    int64_t c;
    sslcv_status status;

    SSLCV__TRY(sslcv__onnx_memory(w->model, node->channels, sizeof *a->sums, (void **)&a->sums));
    if (node->kind == SSLCV__NODE_UNIT_LINEAR) SSLCV__TRY(take_unit_rows(w, node, a));
    if (node->kind == SSLCV__NODE_LINEAR && node->bias) take_bias(node->bias->value, node->channels, a);
    for (a->last = w->index; w->nodes[a->last].consumers == 1 && !nodes[a->last].relu;) {
        const int32_t next = w->nodes[a->last].consumer;

        if (nodes[next].kind == SSLCV__NODE_BIAS) {
            take_bias(nodes[next].bias->value, node->channels, a);
        } else if (nodes[next].kind == SSLCV__NODE_BATCH_NORM && w->fold) {
            SSLCV__TRY(take_norm(w, &nodes[next], a));
        } else {
            break;
        }
        w->nodes[next].taken = 1;
        a->last = next;
    }
    if (!a->has_shift) return SSLCV_OK;
    SSLCV__TRY(sslcv__onnx_memory(w->model, node->channels, sizeof *a->shifts, (void **)&a->shifts));
    for (c = 0; c < node->channels; c++) a->shifts[c] = (float)a->sums[c];
end:
    return status;
}

/* Behind rows a Gemm, behind maps a Conv, also for linear layers. */
static sslcv_status layer(const walker *w, const sslcv__node *node, sslcv__onnx_value *value, int32_t *last)
{
    const sslcv__variable *v = node->weight;
    const sslcv__node pixel = {.kernel = 1, .stride = 1};
    const int linear = node->kind != SSLCV__NODE_CONVOLUTION;
    const int64_t shape[4] = {v->shape[0], v->shape[1], linear ? 1 : v->shape[2], linear ? 1 : v->shape[3]};
    affine a = {0};
    char *weight, *bias = NULL;
    sslcv_status status;

    SSLCV__TRY(take(w, &a));
    SSLCV__TRY(name_part(w, "weight", &weight));
    SSLCV__TRY(sslcv__onnx_variable(w->model, weight, value->rows ? 2 : 4, shape, v, a.scales));
    if (a.has_shift) {
        SSLCV__TRY(name_part(w, "bias", &bias));
        SSLCV__TRY(sslcv__onnx_floats(w->model, bias, 1, &node->channels, a.shifts));
    }
    SSLCV__TRY(add(w, value->rows ? "Gemm" : "Conv", NULL, &value->name, weight, bias));
    if (value->rows) {
        SSLCV__TRY(sslcv__onnx_integer(w->model, "transB", 1));
    } else {
        SSLCV__TRY(window_attributes(w, linear ? &pixel : node));
    }
    if (!linear) {
        SSLCV__TRY(window(w, node, &value->height));
        SSLCV__TRY(window(w, node, &value->width));
    }
    *last = a.last;
    status = add_relu(w, w->net->nodes[a.last].relu, &value->name);
end:
    return status;
}

/* ---- the network ---- */

static sslcv_status unsupported(const walker *w)
{
    return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "%s has no form in ONNX here; MLPs and prototypes have one", w->what);
}

static sslcv_status add_node(walker *w, const sslcv__node *node)
{
    sslcv__onnx_value value = w->nodes[node->inputs[0]].value;
    int32_t last = w->index;
    sslcv_status status = SSLCV_OK;

    switch (node->kind) {
    case SSLCV__NODE_CONVOLUTION:
    case SSLCV__NODE_LINEAR:
    case SSLCV__NODE_UNIT_LINEAR: status = layer(w, node, &value, &last); break;
    case SSLCV__NODE_BATCH_NORM: status = batch_norm(w, node, &value); break;
    case SSLCV__NODE_GROUP_NORM: status = group_norm(w, node, &value); break;
    case SSLCV__NODE_RELU: status = add(w, "Relu", NULL, &value.name, NULL, NULL); break;
    case SSLCV__NODE_MAX_POOL: status = max_pool(w, node, &value); break;
    case SSLCV__NODE_ADD:
        SSLCV__TRY(add(w, "Add", NULL, &value.name, w->nodes[node->inputs[1]].value.name, NULL));
        status = add_relu(w, node->relu, &value.name);
        break;
    case SSLCV__NODE_FLATTEN: status = flatten(w, node, &value); break;
    case SSLCV__NODE_NORMALIZE: status = normalize(w, &value); break;
    case SSLCV__NODE_GELU: status = gelu(w, &value); break;
    case SSLCV__NODE_DROPOUT: break; /* only in training */
    default: status = unsupported(w); break;
    }
    value.channels = node->channels;
    w->nodes[last].value = value;
end:
    return status;
}

static void count_consumers(walker *w)
{
    int32_t i, k;

    for (i = 0; i < w->num; i++) {
        for (k = 0; k < 2; k++) {
            const int32_t input = w->net->nodes[i].inputs[k];

            if (input < 0) continue;
            w->nodes[input].consumers++;
            w->nodes[input].consumer = i;
        }
    }
}

sslcv_status sslcv__onnx_net(sslcv__onnx_model *model, const sslcv__net *net, int32_t last_node, const char *what,
                             const char *prefix, int32_t fold, sslcv__onnx_value *value)
{
    walker w = {.model = model, .net = net, .prefix = prefix, .what = what, .num = last_node + 1, .fold = fold};
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(net->context, w.num, sizeof *w.nodes, (void **)&w.nodes));
    count_consumers(&w);
    w.nodes[0].value = *value;
    for (w.index = 1; w.index < w.num; w.index++) {
        if (!w.nodes[w.index].taken) SSLCV__TRY(add_node(&w, &net->nodes[w.index]));
    }
    *value = w.nodes[last_node].value;
end:
    sslcv__free(net->context, w.nodes);
    return status;
}

sslcv_status sslcv__onnx_mean(sslcv__onnx_model *model, const char *prefix, sslcv__onnx_value *value)
{
    const char *inputs[2] = {value->name, NULL};
    char *mean, *rows;
    sslcv_status status;

    SSLCV__TRY(sslcv__onnx_text(model, &mean, "%s.mean", prefix));
    SSLCV__TRY(sslcv__onnx_node(model, "GlobalAveragePool", inputs, mean));
    SSLCV__TRY(sslcv__onnx_text(model, &rows, "%s.rows", prefix));
    inputs[0] = mean;
    SSLCV__TRY(sslcv__onnx_node(model, "Flatten", inputs, rows));
    SSLCV__TRY(sslcv__onnx_integer(model, "axis", 1));
    value->name = rows;
    value->rows = 1;
    value->height = value->width = 0;
end:
    return status;
}
