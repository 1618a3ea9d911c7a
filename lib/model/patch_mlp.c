/* PIRL's head: an MLP on each patch, the results side by side, a linear layer. Misra, van der Maaten 2020. */
#include <stdio.h>

#include "core/options.h"
#include "model/head.h"

enum { MAX_PATCHES = 4096 };

static const sslcv_patch_mlp_options defaults = {.struct_size = sizeof(sslcv_patch_mlp_options),
                                                 .num_patches = 9,
                                                 .patch_dim = 128,
                                                 .out_dim = 128,
                                                 .num_layers = 1};

sslcv_status sslcv_patch_mlp_options_init(sslcv_patch_mlp_options *options, size_t struct_size)
{
    return sslcv__options_init("patch_mlp_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_options(const sslcv_patch_mlp_options *o)
{
    const int64_t most = SSLCV__HEAD_MAX_DIM;
    sslcv_status status;

    SSLCV__TRY(sslcv__head_check_dim("patch_mlp", "in_dim", o->in_dim, 1, most));
    SSLCV__TRY(sslcv__head_check_dim("patch_mlp", "num_patches", o->num_patches, 1, MAX_PATCHES));
    SSLCV__TRY(sslcv__head_check_dim("patch_mlp", "hidden_dim", o->hidden_dim, 0, most));
    SSLCV__TRY(sslcv__head_check_dim("patch_mlp", "patch_dim", o->patch_dim, 1, most));
    SSLCV__TRY(sslcv__head_check_dim("patch_mlp", "out_dim", o->out_dim, 1, most));
    SSLCV__TRY(sslcv__head_check_dim("patch_mlp", "num_layers", o->num_layers, 1, SSLCV__HEAD_MAX_LAYERS));
    if (o->reserved != 0) status = sslcv__fail(SSLCV_ERR_UNSUPPORTED, "patch_mlp.reserved is not 0");
end:
    return status;
}

/* "patch.0", ReLU, "patch.2" ... as nn.Sequential counts; then "join". */
static sslcv_status build(sslcv_head *head, uint64_t seed)
{
    const sslcv_patch_mlp_options *o = &head->options.patch_mlp;
    const sslcv__head_linear join = {.name = "join", .channels = o->out_dim, .bias = 1};
    int32_t node = 0, i;
    sslcv_status status;

    head->out_dim = o->out_dim;
    head->in_patches = o->num_patches;
    head->out_patches = 1;
    for (i = 0; i < o->num_layers; i++) {
        char name[32];
        const sslcv__head_linear layer = {
            .name = name, .channels = i < o->num_layers - 1 ? o->hidden_dim : o->patch_dim, .bias = 1};

        snprintf(name, sizeof name, "patch.%d", 2 * i);
        if (i > 0) SSLCV__TRY(sslcv__net_relu(&head->net, node, &node));
        SSLCV__TRY(sslcv__head_linear_layer(head, &layer, seed, &node));
    }
    SSLCV__TRY(sslcv__net_join(&head->net, node, o->num_patches, &node));
    status = sslcv__head_linear_layer(head, &join, seed, &node);
end:
    return status;
}

static void describe(const sslcv_head *head, char *text, size_t size)
{
    const sslcv_patch_mlp_options *o = &head->options.patch_mlp;

    snprintf(text, size, "%lld-%lld-%lld-%lld patches=%lld layers=%d", (long long)o->in_dim, (long long)o->hidden_dim,
             (long long)o->patch_dim, (long long)o->out_dim, (long long)o->num_patches, o->num_layers);
}

static const sslcv__head_kind kind = {"patch_mlp", build, describe};

sslcv_status sslcv_head_create_patch_mlp(sslcv_context *context, const sslcv_patch_mlp_options *options,
                                         sslcv_head **out)
{
    sslcv__head_options o = {.patch_mlp = defaults};
    sslcv_patch_mlp_options *own = &o.patch_mlp;
    sslcv_status status;

    SSLCV__TRY(sslcv__head_check_create(context, options, out));
    SSLCV__TRY(sslcv__options_read("patch_mlp_options", options, sizeof defaults, own, sizeof *own));
    SSLCV__TRY(check_options(own));
    if (own->hidden_dim == 0) own->hidden_dim = own->in_dim;
    status = sslcv__head_create_seeded(context, &kind, &o, own->in_dim, own->seed, out);
end:
    return status;
}
