/* The graph of heads: layers that images do not have. */
#include "core/memory.h"
#include "nn/net.h"

/* A node over one input whose result is as wide as that, for the caller to change. */
static sslcv__node node_over(const sslcv__net *net, int32_t input, sslcv__node_kind kind)
{
    const sslcv__node node = {.kind = kind, .inputs = {input, -1}, .channels = net->nodes[input].channels};

    return node;
}

sslcv_status sslcv__net_gelu(sslcv__net *net, int32_t input, int32_t *node)
{
    const sslcv__node n = node_over(net, input, SSLCV__NODE_GELU);

    return sslcv__net_append(net, &n, node);
}

sslcv_status sslcv__net_dropout(sslcv__net *net, int32_t input, double rate, int32_t *node)
{
    sslcv__node n = node_over(net, input, SSLCV__NODE_DROPOUT);

    n.rate = rate;
    return sslcv__net_append(net, &n, node);
}

sslcv_status sslcv__net_row_sum(sslcv__net *net, int32_t a, int32_t b, int32_t *node)
{
    sslcv__node n = node_over(net, a, SSLCV__NODE_ROW_SUM);

    n.inputs[1] = b;
    return sslcv__net_append(net, &n, node);
}

sslcv_status sslcv__net_gate(sslcv__net *net, int32_t input, int32_t *node)
{
    sslcv__node n = node_over(net, input, SSLCV__NODE_GATE);

    n.channels /= 2;
    return sslcv__net_append(net, &n, node);
}

sslcv_status sslcv__net_join(sslcv__net *net, int32_t input, int64_t patches, int32_t *node)
{
    sslcv__node n = node_over(net, input, SSLCV__NODE_JOIN);

    n.patches = patches;
    n.channels *= patches;
    return sslcv__net_append(net, &n, node);
}

sslcv_status sslcv__net_shift(sslcv__net *net, int32_t input, const sslcv__grid *grid, int32_t *node)
{
    sslcv__node n = node_over(net, input, SSLCV__NODE_SHIFT);

    n.grid = *grid;
    n.channels *= grid->num_offsets;
    return sslcv__net_append(net, &n, node);
}

sslcv_status sslcv__net_turn(sslcv__net *net, int32_t input, const sslcv__grid *grid, int32_t *node)
{
    sslcv__node n = node_over(net, input, SSLCV__NODE_TURN);

    n.grid = *grid;
    return sslcv__net_append(net, &n, node);
}

sslcv_status sslcv__net_turn_back(sslcv__net *net, int32_t input, const sslcv__grid *grid, int32_t *node)
{
    sslcv__node n = node_over(net, input, SSLCV__NODE_TURN_BACK);

    n.grid = *grid;
    n.channels *= 4;
    return sslcv__net_append(net, &n, node);
}

sslcv_status sslcv__net_unit_linear(sslcv__net *net, int32_t input, const char *name, int64_t channels, int32_t *node)
{
    sslcv__node n = node_over(net, input, SSLCV__NODE_UNIT_LINEAR);
    sslcv_status status;

    SSLCV__TRY(sslcv__net_add_weight(net, name, channels, n.channels, &n.weight));
    n.channels = channels;
    status = sslcv__net_append(net, &n, node);
end:
    return status;
}

sslcv_status sslcv__net_host(sslcv__net *net, int32_t input, const sslcv__host_layer *host, int64_t channels,
                             int32_t *node)
{
    sslcv__node n = node_over(net, input, SSLCV__NODE_HOST);

    n.host = host;
    n.channels = channels;
    net->by_patches = 1;
    return sslcv__net_append(net, &n, node);
}
