/*
 * CPC-v2's context network, from the appendix of Henaff et al. 2020. A block, H = hidden_dim:
 *
 *     x -- 1x1, H -- ReLU -- 1x3 -- 2x1, a row of zeros on top -- ReLU -- 1x1, in_dim -- + x
 *
 * and a ReLU behind the last.
 */
#include "model/context_net.h"

#include <stdio.h>

#include "core/options.h"

static const int32_t beside[3][2] = {{0, -1}, {0, 0}, {0, 1}};
static const int32_t above[2][2] = {{-1, 0}, {0, 0}};

static const sslcv_cpc_v2_options defaults = {.struct_size = sizeof(sslcv_cpc_v2_options),
                                              .hidden_dim = 256,
                                              .rows = 7,
                                              .columns = 7,
                                              .num_blocks = 5,
                                              .directions = 1};

sslcv_status sslcv_cpc_v2_options_init(sslcv_cpc_v2_options *options, size_t struct_size)
{
    return sslcv__options_init("cpc_v2_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_options(const sslcv_cpc_v2_options *o)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__head_check_dim("cpc_v2", "in_dim", o->in_dim, 1, SSLCV__HEAD_MAX_DIM));
    SSLCV__TRY(sslcv__head_check_dim("cpc_v2", "hidden_dim", o->hidden_dim, 1, SSLCV__HEAD_MAX_DIM));
    SSLCV__TRY(sslcv__head_check_dim("cpc_v2", "num_blocks", o->num_blocks, 1, SSLCV__HEAD_MAX_LAYERS));
    status = sslcv__context_net_check("cpc_v2", o->rows, o->columns, o->directions);
end:
    return status;
}

enum { REDUCE, ACROSS, DOWN, EXPAND, PARTS };

static sslcv_status build_block(sslcv_head *head, const sslcv__grid *grid, int32_t index, uint64_t seed, int32_t *node)
{
    static const char *const names[PARTS] = {"reduce", "across", "down", "expand"};
    const sslcv_cpc_v2_options *o = &head->options.cpc_v2;
    const int32_t input = *node;
    char name[PARTS][48];
    sslcv__head_linear made[PARTS];
    int k;
    sslcv_status status;

    for (k = 0; k < PARTS; k++) {
        snprintf(name[k], sizeof name[k], "blocks.%d.%s", index, names[k]);
        made[k] =
            (sslcv__head_linear){.name = name[k], .channels = k == EXPAND ? head->in_dim : o->hidden_dim, .bias = 1};
    }
    SSLCV__TRY(sslcv__head_linear_layer(head, &made[REDUCE], seed, node));
    SSLCV__TRY(sslcv__net_relu(&head->net, *node, node));
    SSLCV__TRY(sslcv__context_net_convolution(head, grid, beside, 3, &made[ACROSS], seed, node));
    SSLCV__TRY(sslcv__context_net_convolution(head, grid, above, 2, &made[DOWN], seed, node));
    SSLCV__TRY(sslcv__net_relu(&head->net, *node, node));
    SSLCV__TRY(sslcv__head_linear_layer(head, &made[EXPAND], seed, node));
    status = sslcv__net_row_sum(&head->net, *node, input, node);
end:
    return status;
}

static sslcv_status build(sslcv_head *head, uint64_t seed)
{
    const sslcv_cpc_v2_options *o = &head->options.cpc_v2;
    sslcv__grid grid;
    int32_t node, i;
    sslcv_status status;

    SSLCV__TRY(sslcv__context_net_begin(head, o->rows, o->columns, o->directions, &grid, &node));
    for (i = 0; i < o->num_blocks; i++) SSLCV__TRY(build_block(head, &grid, i, seed, &node));
    SSLCV__TRY(sslcv__net_relu(&head->net, node, &node));
    status = sslcv__context_net_end(head, &grid, &node);
end:
    return status;
}

static void describe(const sslcv_head *head, char *text, size_t size)
{
    const sslcv_cpc_v2_options *o = &head->options.cpc_v2;

    snprintf(text, size, "%lld-%lld grid=%lldx%lld blocks=%d directions=%d", (long long)o->in_dim,
             (long long)o->hidden_dim, (long long)o->rows, (long long)o->columns, o->num_blocks, o->directions);
}

static const sslcv__head_kind kind = {"cpc_v2", build, describe};

sslcv_status sslcv_head_create_cpc_v2(sslcv_context *context, const sslcv_cpc_v2_options *options, sslcv_head **out)
{
    sslcv__head_options o = {.cpc_v2 = defaults};
    sslcv_cpc_v2_options *own = &o.cpc_v2;
    sslcv_status status;

    SSLCV__TRY(sslcv__head_check_create(context, options, out));
    SSLCV__TRY(sslcv__options_read("cpc_v2_options", options, sizeof defaults, own, sizeof *own));
    SSLCV__TRY(check_options(own));
    status = sslcv__head_create_seeded(context, &kind, &o, own->in_dim, own->seed, out);
end:
    return status;
}
