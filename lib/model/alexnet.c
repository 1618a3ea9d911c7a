/*
 * AlexNet with batch norm, as DeepCluster has it, and half as wide with two linear layers behind it, as CMC has it:
 *
 *     conv 11x11/4 - norm+relu - pool - conv 5x5 - norm+relu - pool - 3 x (conv 3x3 - norm+relu) - pool
 *     half:                                                        - flatten - 2 x (linear - norm+relu)
 *
 * Names are those of the authors' files: "features.0.weight" counts the layers of one nn.Sequential, and its
 * convolutions have a bias; "conv_block_1.0.weight" those of a block, "fc6.0.weight".
 */
#include <math.h>
#include <stdio.h>

#include "model/backbone.h"

enum { NUM_CONVOLUTIONS = 5, NUM_LINEAR = 2, NAME_SIZE = 32 };

static const struct {
    int64_t kernel, stride, padding, channels;
    int32_t pools, number; /* of the layer in DeepCluster's Sequential */
} layers[NUM_CONVOLUTIONS] = {
    {11, 4, 2, 96, 1, 0}, {5, 1, 2, 256, 1, 4}, {3, 1, 1, 384, 0, 8}, {3, 1, 1, 384, 0, 11}, {3, 1, 1, 256, 1, 14}};

static int64_t width_of(const sslcv_backbone_options *o, int64_t channels)
{
    const double half = o->architecture == SSLCV_BACKBONE_ALEXNET_HALF ? 0.5 : 1.0;
    const int64_t width = (int64_t)floor((double)channels * half * o->width + 0.5);

    return width > 0 ? width : 1;
}

int64_t sslcv__alexnet_side(int64_t image_size)
{
    int64_t side = image_size;
    int i;

    for (i = 0; i < NUM_CONVOLUTIONS; i++) {
        side = sslcv__conv_out_size(side, layers[i].kernel, layers[i].stride, layers[i].padding);
        if (layers[i].pools) side = sslcv__conv_out_size(side, 3, 2, 0);
    }
    return side;
}

static sslcv_status build_convolution(sslcv_backbone *backbone, int i, int32_t *node)
{
    const sslcv_backbone_options *o = &backbone->options;
    const int half = o->architecture == SSLCV_BACKBONE_ALEXNET_HALF;
    const int64_t kernel = layers[i].kernel, channels = i ? width_of(o, layers[i].channels) : o->stem_channels;
    const double spread = sqrt(2.0 / (double)(kernel * kernel * channels));
    sslcv__net *net = &backbone->net;
    char conv[NAME_SIZE], norm[NAME_SIZE];
    sslcv_status status;

    snprintf(conv, sizeof conv, half ? "conv_block_%d.0" : "features.%d", half ? i + 1 : layers[i].number);
    snprintf(norm, sizeof norm, half ? "conv_block_%d.1" : "features.%d", half ? i + 1 : layers[i].number + 1);
    net->stage = i;
    SSLCV__TRY(sslcv__net_convolution(net, *node, conv, channels, kernel, layers[i].stride, layers[i].padding, node));
    SSLCV__TRY(sslcv__net_draw(net, net->nodes[*node].weight, o->seed, 1, spread));
    if (!half) SSLCV__TRY(sslcv__net_bias(net, *node, conv, 0, node));
    SSLCV__TRY(sslcv__net_batch_norm(net, *node, norm, 2, 1, node));
    if (layers[i].pools) SSLCV__TRY(sslcv__net_max_pool(net, *node, 3, 2, 0, node));
    backbone->stage_ends[i] = *node;
end:
    return status;
}

/* PyTorch's first weights: uniform in +-1 / sqrt(fan in). */
static sslcv_status build_linear(sslcv_backbone *backbone, int i, int32_t *node)
{
    const sslcv_backbone_options *o = &backbone->options;
    const double spread = 1.0 / sqrt((double)backbone->net.nodes[*node].channels);
    sslcv__net *net = &backbone->net;
    char linear[NAME_SIZE], norm[NAME_SIZE];
    sslcv_status status;

    snprintf(linear, sizeof linear, "fc%d.0", NUM_CONVOLUTIONS + 1 + i);
    snprintf(norm, sizeof norm, "fc%d.1", NUM_CONVOLUTIONS + 1 + i);
    net->stage = NUM_CONVOLUTIONS + i;
    SSLCV__TRY(sslcv__net_linear(net, *node, linear, width_of(o, 4096), 1, node));
    SSLCV__TRY(sslcv__net_draw(net, net->nodes[*node].weight, o->seed, 0, spread));
    SSLCV__TRY(sslcv__net_draw(net, net->nodes[*node].bias, o->seed, 0, spread));
    SSLCV__TRY(sslcv__net_batch_norm(net, *node, norm, 2, 1, node));
    backbone->stage_ends[NUM_CONVOLUTIONS + i] = *node;
end:
    return status;
}

sslcv_status sslcv__alexnet_build(sslcv_backbone *backbone)
{
    const sslcv_backbone_options *o = &backbone->options;
    const int64_t side = sslcv__alexnet_side(o->image_size);
    sslcv__net *net = &backbone->net;
    int32_t node = 0, i;
    sslcv_status status;

    SSLCV__TRY(sslcv__net_init(net, backbone->object.context, 0, o->channels));
    net->variables.most = backbone->most_bytes;
    net->norm_epsilon = o->norm_epsilon;
    net->norm_momentum = o->norm_momentum;
    for (i = 0; i < NUM_CONVOLUTIONS && i < backbone->num_stages; i++) {
        SSLCV__TRY(build_convolution(backbone, i, &node));
    }
    for (i = 0; i < backbone->num_stages - NUM_CONVOLUTIONS; i++) {
        if (i == 0) {
            net->stage = NUM_CONVOLUTIONS;
            SSLCV__TRY(sslcv__net_flatten(net, node, net->nodes[node].channels * side * side, &node));
        }
        SSLCV__TRY(build_linear(backbone, i, &node));
    }
end:
    return status;
}
