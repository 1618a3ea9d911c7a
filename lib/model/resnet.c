/*
 * ResNet (He et al. 2016), as torchvision builds it: the stride of a bottleneck sits on its 3x3 convolution; a 1x1
 * projection on the shortcut only where stride or width change.
 *
 *     basic        x - 3x3 - norm+relu - 3x3 - norm ----------------------- + - relu
 *     bottleneck   x - 1x1 - norm+relu - 3x3 - norm+relu - 1x1 (x4) - norm - + - relu
 *                   \________________ [1x1 - norm] _______________________/
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

static const char *in_block(const builder *b, const char *name, char *text)
{
    snprintf(text, NAME_SIZE, "%s.%s", b->block, name);
    return text;
}

/* conv NUMBER and norm NUMBER of a block; relu fused behind. */
static sslcv_status conv_norm(builder *b, int32_t input, int number, int64_t channels, int64_t kernel, int64_t stride,
                              int32_t relu, int32_t *node)
{
    char layer[8], name[NAME_SIZE];
    sslcv_status status;

    snprintf(layer, sizeof layer, "conv%d", number);
    SSLCV__TRY(convolution(b, input, in_block(b, layer, name), channels, kernel, stride, node));
    snprintf(layer, sizeof layer, "bn%d", number);
    SSLCV__TRY(sslcv__net_batch_norm(b->net, *node, in_block(b, layer, name), 2, relu, node));
end:
    return status;
}

static sslcv_status build_block(builder *b, int bottleneck, int64_t planes, int64_t stride, int32_t *node)
{
    const int64_t out = bottleneck ? planes * EXPANSION : planes;
    int32_t shortcut = *node, main = *node;
    char name[NAME_SIZE];
    sslcv_status status;

    if (bottleneck) {
        SSLCV__TRY(conv_norm(b, main, 1, planes, 1, 1, 1, &main));
        SSLCV__TRY(conv_norm(b, main, 2, planes, 3, stride, 1, &main));
        SSLCV__TRY(conv_norm(b, main, 3, out, 1, 1, 0, &main));
    } else {
        SSLCV__TRY(conv_norm(b, main, 1, planes, 3, stride, 1, &main));
        SSLCV__TRY(conv_norm(b, main, 2, out, 3, 1, 0, &main));
    }
    if (b->backbone->options.zero_init_residual) {
        SSLCV__TRY(sslcv__net_fill(b->net, b->net->nodes[main].weight, 0.0f));
    }
    if (stride != 1 || b->net->nodes[*node].channels != out) {
        SSLCV__TRY(convolution(b, shortcut, in_block(b, "downsample.0", name), out, 1, stride, &shortcut));
        SSLCV__TRY(sslcv__net_batch_norm(b->net, shortcut, in_block(b, "downsample.1", name), 2, 0, &shortcut));
    }
    status = sslcv__net_add_relu(b->net, main, shortcut, node);
end:
    return status;
}

static sslcv_status build_stem(builder *b, int32_t *node)
{
    const sslcv_backbone_options *o = &b->backbone->options;
    const int imagenet = o->stem == SSLCV_STEM_IMAGENET;
    sslcv_status status;

    SSLCV__TRY(convolution(b, 0, "conv1", o->stem_channels, imagenet ? 7 : 3, imagenet ? 2 : 1, node));
    SSLCV__TRY(sslcv__net_batch_norm(b->net, *node, "bn1", 2, 1, node));
    if (imagenet) SSLCV__TRY(sslcv__net_max_pool(b->net, *node, 3, 2, 1, node));
end:
    return status;
}

sslcv_status sslcv__resnet_build(sslcv_backbone *backbone)
{
    const sslcv_backbone_options *o = &backbone->options;
    const shape *s = &shapes[o->architecture];
    builder b = {.backbone = backbone, .net = &backbone->net};
    int64_t planes = (int64_t)floor(64.0 * o->width + 0.5);
    int32_t node, layer, i;
    sslcv_status status;

    SSLCV__TRY(sslcv__net_init(b.net, backbone->object.context, 0, o->channels));
    b.net->norm_epsilon = o->norm_epsilon;
    b.net->norm_momentum = o->norm_momentum;
    SSLCV__TRY(build_stem(&b, &node));
    backbone->stage_ends[0] = node;
    for (layer = 0; layer < NUM_LAYERS; layer++, planes *= 2) {
        b.net->stage = layer + 1;
        for (i = 0; i < s->blocks[layer]; i++) {
            snprintf(b.block, sizeof b.block, "layer%d.%d", layer + 1, i);
            SSLCV__TRY(build_block(&b, s->bottleneck, planes, i == 0 && layer > 0 ? 2 : 1, &node));
        }
        backbone->stage_ends[layer + 1] = node;
    }
    backbone->num_stages = NUM_LAYERS + 1;
end:
    return status;
}
