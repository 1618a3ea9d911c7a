/* Scores against unit vectors: DINO's last layer, weight-normalised with a gain of 1. Caron et al. 2021. */
#include <math.h>
#include <stdio.h>

#include "core/options.h"
#include "model/head.h"

static const sslcv_prototypes_options defaults = {.struct_size = sizeof(sslcv_prototypes_options), .out_dim = 65536};

sslcv_status sslcv_prototypes_options_init(sslcv_prototypes_options *options, size_t struct_size)
{
    return sslcv__options_init("prototypes_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status build(sslcv_head *head, uint64_t seed)
{
    const double spread = 1.0 / sqrt((double)head->in_dim);
    int32_t node = 0;
    sslcv_status status;

    head->out_dim = head->options.prototypes.out_dim;
    SSLCV__TRY(sslcv__net_normalize(&head->net, node, &node));
    SSLCV__TRY(sslcv__net_unit_linear(&head->net, node, "prototypes", head->out_dim, &node));
    if (seed != 0) status = sslcv__net_draw(&head->net, head->net.nodes[node].weight, seed, 0, spread);
end:
    return status;
}

static void describe(const sslcv_head *head, char *text, size_t size)
{
    snprintf(text, size, "%lld-%lld", (long long)head->in_dim, (long long)head->out_dim);
}

static const sslcv__head_kind kind = {"prototypes", build, describe};

sslcv_status sslcv_head_create_prototypes(sslcv_context *context, const sslcv_prototypes_options *options,
                                          sslcv_head **out)
{
    sslcv__head_options o = {.prototypes = defaults};
    sslcv_prototypes_options *own = &o.prototypes;
    sslcv_status status;

    SSLCV__TRY(sslcv__head_check_create(context, options, out));
    SSLCV__TRY(sslcv__options_read("prototypes_options", options, sizeof defaults, own, sizeof *own));
    SSLCV__TRY(sslcv__head_check_dim("prototypes", "in_dim", own->in_dim, 1, SSLCV__HEAD_MAX_DIM));
    SSLCV__TRY(sslcv__head_check_dim("prototypes", "out_dim", own->out_dim, 1, SSLCV__HEAD_MAX_DIM));
    status = sslcv__head_create_seeded(context, &kind, &o, own->in_dim, own->seed, out);
end:
    return status;
}
