/*
 * ResNet (He et al. 2016), as torchvision builds it: the stride of a bottleneck sits on its 3x3 convolution; a 1x1
 * projection on the shortcut only where stride or width change.
 *
 *     basic        x - 3x3 - norm+relu - 3x3 - norm ----------------------- + - relu
 *     bottleneck   x - 1x1 - norm+relu - 3x3 - norm+relu - 1x1 (x4) - norm - + - relu
 *                   \________________ [1x1 - norm] _______________________/
 *
 * ResNet-v2 (preactivation) has norm and ReLU before each convolution; a projection starts behind the first of them:
 *
 *     basic        x - norm+relu - 3x3 - norm+relu - 3x3 - +        and norm+relu behind the last block
 *                   \         \__________ [1x1] _________/
 *                    \__________________________________/
 *
 * Without norms each convolution has a bias.
 */
#include <math.h>
#include <stdio.h>

#include "model/backbone.h"

enum { NAME_SIZE = 64, NUM_LAYERS = 4, EXPANSION = 4 };

typedef struct shape {
    int32_t blocks[NUM_LAYERS];
    int32_t bottleneck;
} shape;

static const shape shapes[] = {[SSLCV_BACKBONE_RESNET18] = {{2, 2, 2, 2}, 0},
                               [SSLCV_BACKBONE_RESNET34] = {{3, 4, 6, 3}, 0},
                               [SSLCV_BACKBONE_RESNET50] = {{3, 4, 6, 3}, 1},
                               [SSLCV_BACKBONE_RESNET101] = {{3, 4, 23, 3}, 1}};

typedef struct builder {
    sslcv_backbone *backbone;
    sslcv__net *net;
    int32_t norm;
    int32_t expands;
    char block[NAME_SIZE / 2]; /* "layer1.0" */
} builder;

/* Kaiming: normal, deviation sqrt(2 / fan out). */
static sslcv_status convolution(builder *b, int32_t input, const char *name, int64_t channels, int64_t kernel,
                                int64_t stride, int32_t *node)
{
    const double spread = sqrt(2.0 / (double)(kernel * kernel * channels));
    sslcv_status status = sslcv__net_convolution(b->net, input, name, channels, kernel, stride, (kernel - 1) / 2, node);

    if (status != SSLCV_OK) return status;
    return sslcv__net_draw(b->net, b->net->nodes[*node].weight, b->backbone->options.seed, 1, spread);
}

static sslcv_status add_norm(builder *b, int32_t input, const char *name, int32_t relu, int32_t *node)
{
    enum { GROUPS = 32 };
    const int64_t channels = b->net->nodes[input].channels;

    if (b->norm == SSLCV_NORM_BATCH) return sslcv__net_batch_norm(b->net, input, name, 2, relu, node);
    if (b->norm == SSLCV_NORM_LAYER) return sslcv__net_group_norm(b->net, input, name, 1, relu, node);
    if (channels % GROUPS != 0) {
        return sslcv__invalid("backbone.norm is GROUP, but %s has %lld channels, which %d groups do not divide; width "
                              "must be a multiple of 0.5, stem_channels of %d (LAYER takes any)",
                              name, (long long)channels, GROUPS, GROUPS);
    }
    return sslcv__net_group_norm(b->net, input, name, GROUPS, relu, node);
}

static const char *in_block(const builder *b, const char *name, char *text)
{
    snprintf(text, NAME_SIZE, "%s%s%s", b->block, b->block[0] ? "." : "", name);
    return text;
}

/* A convolution with the norm behind it, or with a bias; relu fused behind. Names: "conv1" and "bn1". */
static sslcv_status conv_norm(builder *b, int32_t input, const char *conv, const char *norm, int64_t channels,
                              int64_t kernel, int64_t stride, int32_t relu, int32_t *node)
{
    char name[NAME_SIZE];
    sslcv_status status;

    SSLCV__TRY(convolution(b, input, in_block(b, conv, name), channels, kernel, stride, node));
    if (b->norm == SSLCV_NORM_NONE) {
        SSLCV__TRY(sslcv__net_bias(b->net, *node, name, relu, node));
    } else {
        SSLCV__TRY(add_norm(b, *node, in_block(b, norm, name), relu, node));
    }
end:
    return status;
}

/* ResNet-v2: what stands before a convolution, and the convolution: with a bias where there are no norms. */
static sslcv_status norm_relu(builder *b, int32_t input, const char *norm, int32_t *node)
{
    char name[NAME_SIZE];

    if (b->norm == SSLCV_NORM_NONE) return sslcv__net_relu(b->net, input, node);
    return add_norm(b, input, in_block(b, norm, name), 1, node);
}

static sslcv_status bare_conv(builder *b, int32_t input, const char *conv, int64_t channels, int64_t kernel,
                              int64_t stride, int32_t relu, int32_t *node)
{
    char name[NAME_SIZE];
    sslcv_status status;

    SSLCV__TRY(convolution(b, input, in_block(b, conv, name), channels, kernel, stride, node));
    if (b->norm == SSLCV_NORM_NONE) SSLCV__TRY(sslcv__net_bias(b->net, *node, name, relu, node));
end:
    return status;
}

/* A convolution behind norm and ReLU; the ReLU alone is one step with the bias of the convolution before it. */
static sslcv_status preactivated(builder *b, int number, int64_t channels, int64_t kernel, int64_t stride, int32_t last,
                                 int32_t *node)
{
    char layer[8];
    sslcv_status status = SSLCV_OK;

    snprintf(layer, sizeof layer, "bn%d", number);
    if (number > 1 && b->norm != SSLCV_NORM_NONE) SSLCV__TRY(norm_relu(b, *node, layer, node));
    snprintf(layer, sizeof layer, "conv%d", number);
    SSLCV__TRY(bare_conv(b, *node, layer, channels, kernel, stride, !last, node));
end:
    return status;
}

/* Each block starts as its shortcut alone: the last layer before the sum is 0. */
static sslcv_status zero_residual(builder *b, int32_t node)
{
    const sslcv__node *last = &b->net->nodes[node];

    if (!b->backbone->options.zero_init_residual) return SSLCV_OK;
    if (last->kind == SSLCV__NODE_BIAS) last = &b->net->nodes[last->inputs[0]];
    return sslcv__net_fill(b->net, last->weight, 0.0f);
}

static int projects(const builder *b, int32_t input, int64_t out, int64_t stride, int is_first)
{
    return stride != 1 || b->net->nodes[input].channels != out || (is_first && b->backbone->options.project_all);
}

static sslcv_status build_preactivated(builder *b, int64_t planes, int64_t stride, int is_first, int32_t *node)
{
    const int64_t out = b->expands ? planes * EXPANSION : planes;
    int32_t shortcut = *node, main;
    sslcv_status status;

    SSLCV__TRY(norm_relu(b, *node, "bn1", &main));
    if (projects(b, *node, out, stride, is_first)) {
        SSLCV__TRY(bare_conv(b, main, "downsample.0", out, 1, stride, 0, &shortcut));
    }
    if (b->expands) {
        SSLCV__TRY(preactivated(b, 1, planes, 1, 1, 0, &main));
        SSLCV__TRY(preactivated(b, 2, planes, 3, stride, 0, &main));
        SSLCV__TRY(preactivated(b, 3, out, 1, 1, 1, &main));
    } else {
        SSLCV__TRY(preactivated(b, 1, planes, 3, stride, 0, &main));
        SSLCV__TRY(preactivated(b, 2, out, 3, 1, 1, &main));
    }
    SSLCV__TRY(zero_residual(b, main));
    status = sslcv__net_add(b->net, main, shortcut, node);
end:
    return status;
}

static sslcv_status build_block(builder *b, int64_t planes, int64_t stride, int is_first, int32_t *node)
{
    const int64_t out = b->expands ? planes * EXPANSION : planes;
    int32_t shortcut = *node, main = *node;
    sslcv_status status;

    if (b->expands) {
        SSLCV__TRY(conv_norm(b, main, "conv1", "bn1", planes, 1, 1, 1, &main));
        SSLCV__TRY(conv_norm(b, main, "conv2", "bn2", planes, 3, stride, 1, &main));
        SSLCV__TRY(conv_norm(b, main, "conv3", "bn3", out, 1, 1, 0, &main));
    } else {
        SSLCV__TRY(conv_norm(b, main, "conv1", "bn1", planes, 3, stride, 1, &main));
        SSLCV__TRY(conv_norm(b, main, "conv2", "bn2", out, 3, 1, 0, &main));
    }
    SSLCV__TRY(zero_residual(b, main));
    if (projects(b, *node, out, stride, is_first)) {
        SSLCV__TRY(conv_norm(b, shortcut, "downsample.0", "downsample.1", out, 1, stride, 0, &shortcut));
    }
    status = sslcv__net_add_relu(b->net, main, shortcut, node);
end:
    return status;
}

static sslcv_status build_stem(builder *b, int32_t *node)
{
    static const int64_t kernels[] = {[SSLCV_STEM_IMAGENET] = 7, [SSLCV_STEM_CIFAR] = 3, [SSLCV_STEM_GIM] = 5};
    const sslcv_backbone_options *o = &b->backbone->options;
    const int imagenet = o->stem == SSLCV_STEM_IMAGENET;
    const int64_t kernel = kernels[o->stem], stride = imagenet ? 2 : 1;
    sslcv_status status;

    if (o->preactivation) {
        SSLCV__TRY(bare_conv(b, 0, "conv1", o->stem_channels, kernel, stride, 0, node));
    } else {
        SSLCV__TRY(conv_norm(b, 0, "conv1", "bn1", o->stem_channels, kernel, stride, 1, node));
    }
    if (imagenet) SSLCV__TRY(sslcv__net_max_pool(b->net, *node, 3, 2, 1, node));
end:
    return status;
}

static sslcv_status build_layer(builder *b, int32_t layer, int64_t planes, int32_t *node)
{
    const sslcv_backbone_options *o = &b->backbone->options;
    const int32_t blocks = shapes[o->architecture].blocks[layer - 1];
    sslcv_status status = SSLCV_OK;
    int32_t i;

    b->net->stage = layer;
    for (i = 0; i < blocks; i++) {
        const int64_t stride = i == 0 && layer > 1 ? 2 : 1;

        snprintf(b->block, sizeof b->block, "layer%d.%d", layer, i);
        if (o->preactivation) {
            SSLCV__TRY(build_preactivated(b, planes, stride, i == 0, node));
        } else {
            SSLCV__TRY(build_block(b, planes, stride, i == 0, node));
        }
    }
    b->block[0] = 0;
end:
    return status;
}

sslcv_status sslcv__resnet_build(sslcv_backbone *backbone)
{
    const sslcv_backbone_options *o = &backbone->options;
    builder b = {
        .backbone = backbone, .net = &backbone->net, .norm = o->norm, .expands = shapes[o->architecture].bottleneck};
    int64_t planes = (int64_t)floor(64.0 * o->width + 0.5);
    int32_t node, layer;
    sslcv_status status;

    SSLCV__TRY(sslcv__net_init(b.net, backbone->object.context, 0, o->channels));
    b.net->variables.most = backbone->most_bytes;
    b.net->norm_epsilon = o->norm_epsilon;
    b.net->norm_momentum = o->norm_momentum;
    SSLCV__TRY(build_stem(&b, &node));
    backbone->stage_ends[0] = node;
    for (layer = 1; layer < backbone->num_stages; layer++, planes *= 2) {
        SSLCV__TRY(build_layer(&b, layer, planes, &node));
        backbone->stage_ends[layer] = node;
    }
    if (o->preactivation) {
        SSLCV__TRY(norm_relu(&b, node, "norm", &node));
        backbone->stage_ends[backbone->num_stages - 1] = node;
    }
end:
    return status;
}
