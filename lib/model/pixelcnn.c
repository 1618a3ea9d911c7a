/*
 * CPC's context network as Greedy InfoMax has it (Loewe et al. 2019), after van den Oord et al. 2016: gated layers with
 * a vertical and a horizontal stack. With H = hidden_dim, layer i makes v' and h' of v and h, both the input at first:
 *
 *     v -- 3x3, nothing from below, 2 H -- + residual(v) -- gate -- v'
 *                                      |       (i > 0)
 *                                     link 1x1
 *                                      |
 *     h -- 1x3, 2 H ------------------ + -- gate -- output 1x1 --+-- h'
 *     |__________________________________________________________| (i > 0)
 *
 * and at last a 1x1 of h. Nobody reads what the last layer would hand on in v, so it has none: no residual there.
 */
#include "model/context_net.h"

#include <stdio.h>

#include "core/options.h"

static const int32_t above[6][2] = {{-1, -1}, {-1, 0}, {-1, 1}, {0, -1}, {0, 0}, {0, 1}};
static const int32_t beside[3][2] = {{0, -1}, {0, 0}, {0, 1}};

static const sslcv_pixelcnn_options defaults = {
    .struct_size = sizeof(sslcv_pixelcnn_options), .rows = 7, .columns = 7, .num_layers = 4, .directions = 1};

sslcv_status sslcv_pixelcnn_options_init(sslcv_pixelcnn_options *options, size_t struct_size)
{
    return sslcv__options_init("pixelcnn_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_options(const sslcv_pixelcnn_options *o)
{
    const int64_t most = SSLCV__HEAD_MAX_DIM;
    sslcv_status status;

    SSLCV__TRY(sslcv__head_check_dim("pixelcnn", "in_dim", o->in_dim, 1, most));
    SSLCV__TRY(sslcv__head_check_dim("pixelcnn", "hidden_dim", o->hidden_dim, 0, most));
    SSLCV__TRY(sslcv__head_check_dim("pixelcnn", "out_dim", o->out_dim, 0, most));
    SSLCV__TRY(sslcv__head_check_dim("pixelcnn", "num_layers", o->num_layers, 1, SSLCV__HEAD_MAX_LAYERS));
    status = sslcv__context_net_check("pixelcnn", o->rows, o->columns, o->directions);
end:
    return status;
}

/** A layer under construction. */
typedef struct layer {
    sslcv_head *head;
    const sslcv__grid *grid;
    uint64_t seed;
    int32_t index;
    int32_t v, h; /* nodes: in, then out */
} layer;

enum { LAYER_NAME = 48 };

static void name_part(const layer *l, const char *part, char name[LAYER_NAME])
{
    snprintf(name, LAYER_NAME, "layers.%d.%s", l->index, part);
}

static sslcv_status linear(const layer *l, const char *part, int64_t channels, int32_t input, int32_t *node)
{
    char name[LAYER_NAME];
    const sslcv__head_linear made = {.name = name, .channels = channels, .bias = 1};

    name_part(l, part, name);
    *node = input;
    return sslcv__head_linear_layer(l->head, &made, l->seed, node);
}

/* The fan-in of the masked 3x3 counts what the mask hides, as the convolution that PyTorch initialises has it. */
static sslcv_status convolution(const layer *l, const char *part, int vertical, int64_t channels, int32_t input,
                                int32_t *node)
{
    char name[LAYER_NAME];
    const sslcv__head_linear made = {.name = name,
                                     .channels = channels,
                                     .bias = 1,
                                     .fan_in = (vertical ? 9 : 3) * l->head->net.nodes[input].channels};

    name_part(l, part, name);
    *node = input;
    return sslcv__context_net_convolution(l->head, l->grid, vertical ? above : beside, vertical ? 6 : 3, &made, l->seed,
                                          node);
}

static sslcv_status vertical_out(layer *l, int32_t vertical)
{
    const int64_t hidden = l->head->options.pixelcnn.hidden_dim;
    int32_t residual;
    sslcv_status status = SSLCV_OK;

    if (l->index > 0) {
        SSLCV__TRY(linear(l, "residual", 2 * hidden, l->v, &residual));
        SSLCV__TRY(sslcv__net_row_sum(&l->head->net, vertical, residual, &vertical));
    }
    status = sslcv__net_gate(&l->head->net, vertical, &l->v);
end:
    return status;
}

static sslcv_status build_layer(layer *l)
{
    const sslcv_pixelcnn_options *o = &l->head->options.pixelcnn;
    const int64_t hidden = o->hidden_dim;
    sslcv__net *net = &l->head->net;
    int32_t vertical, horizontal, link, node;
    sslcv_status status;

    SSLCV__TRY(convolution(l, "vertical", 1, 2 * hidden, l->v, &vertical));
    SSLCV__TRY(linear(l, "link", 2 * hidden, vertical, &link));
    SSLCV__TRY(convolution(l, "horizontal", 0, 2 * hidden, l->h, &horizontal));
    SSLCV__TRY(sslcv__net_row_sum(net, horizontal, link, &node));
    SSLCV__TRY(sslcv__net_gate(net, node, &node));
    SSLCV__TRY(linear(l, "output", hidden, node, &node));
    if (l->index > 0) SSLCV__TRY(sslcv__net_row_sum(net, l->h, node, &node));
    if (l->index < o->num_layers - 1) SSLCV__TRY(vertical_out(l, vertical));
    l->h = node;
end:
    return status;
}

static sslcv_status build(sslcv_head *head, uint64_t seed)
{
    const sslcv_pixelcnn_options *o = &head->options.pixelcnn;
    const sslcv__head_linear last = {.name = "output", .channels = o->out_dim, .bias = 1};
    sslcv__grid grid;
    layer l = {.head = head, .grid = &grid, .seed = seed};
    sslcv_status status;

    SSLCV__TRY(sslcv__context_net_begin(head, o->rows, o->columns, o->directions, &grid, &l.h));
    for (l.v = l.h; l.index < o->num_layers; l.index++) SSLCV__TRY(build_layer(&l));
    SSLCV__TRY(sslcv__head_linear_layer(head, &last, seed, &l.h));
    status = sslcv__context_net_end(head, &grid, &l.h);
end:
    return status;
}

static void describe(const sslcv_head *head, char *text, size_t size)
{
    const sslcv_pixelcnn_options *o = &head->options.pixelcnn;

    snprintf(text, size, "%lld-%lld-%lld grid=%lldx%lld layers=%d directions=%d", (long long)o->in_dim,
             (long long)o->hidden_dim, (long long)o->out_dim, (long long)o->rows, (long long)o->columns, o->num_layers,
             o->directions);
}

static const sslcv__head_kind kind = {"pixelcnn", build, describe};

sslcv_status sslcv_head_create_pixelcnn(sslcv_context *context, const sslcv_pixelcnn_options *options, sslcv_head **out)
{
    sslcv__head_options o = {.pixelcnn = defaults};
    sslcv_pixelcnn_options *own = &o.pixelcnn;
    sslcv_status status;

    SSLCV__TRY(sslcv__head_check_create(context, options, out));
    SSLCV__TRY(sslcv__options_read("pixelcnn_options", options, sizeof defaults, own, sizeof *own));
    SSLCV__TRY(check_options(own));
    if (own->hidden_dim == 0) own->hidden_dim = own->in_dim;
    if (own->out_dim == 0) own->out_dim = own->in_dim;
    status = sslcv__head_create_seeded(context, &kind, &o, own->in_dim, own->seed, out);
end:
    return status;
}
