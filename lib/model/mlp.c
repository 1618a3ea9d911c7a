/* The multi-layer perceptron. Layers are numbered as in PyTorch's nn.Sequential: 0 linear, 1 norm, 2 ReLU, 3 linear;
   with dropout, 0 dropout, 1 linear. */
#include <stdio.h>

#include "core/options.h"
#include "model/head.h"

enum { MAX_LAYERS = 16 };

static const sslcv_mlp_options defaults = {.struct_size = sizeof(sslcv_mlp_options),
                                           .out_dim = 128,
                                           .num_layers = 2,
                                           .norm = SSLCV_NORM_BATCH,
                                           .last_norm = SSLCV_LAST_NORM_NONE,
                                           .activation = SSLCV_ACTIVATION_RELU,
                                           .bias = 1,
                                           .last_bias = 1};

sslcv_status sslcv_mlp_options_init(sslcv_mlp_options *options, size_t struct_size)
{
    return sslcv__options_init("mlp_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

/* ---- options ---- */

static sslcv_status check_dim(const char *name, int64_t value, int64_t least)
{
    return sslcv__head_check_dim("mlp", name, value, least, SSLCV__HEAD_MAX_DIM);
}

static sslcv_status check_number(const char *name, int32_t value, int32_t least, int32_t most)
{
    return sslcv__head_check_dim("mlp", name, value, least, most);
}

static sslcv_status check_options(const sslcv_mlp_options *o)
{
    sslcv_status status;

    SSLCV__TRY(check_dim("in_dim", o->in_dim, 1));
    SSLCV__TRY(check_dim("hidden_dim", o->hidden_dim, 0));
    SSLCV__TRY(check_dim("out_dim", o->out_dim, 1));
    SSLCV__TRY(check_number("num_layers", o->num_layers, 1, MAX_LAYERS));
    SSLCV__TRY(check_number("norm", o->norm, SSLCV_NORM_NONE, SSLCV_NORM_BATCH));
    SSLCV__TRY(check_number("last_norm", o->last_norm, SSLCV_LAST_NORM_NONE, SSLCV_LAST_NORM_PLAIN));
    SSLCV__TRY(check_number("activation", o->activation, SSLCV_ACTIVATION_RELU, SSLCV_ACTIVATION_GELU));
    SSLCV__TRY(check_number("bias", o->bias, 0, 1));
    SSLCV__TRY(check_number("last_bias", o->last_bias, 0, 1));
    SSLCV__TRY(check_number("normalize", o->normalize, 0, 1));
    if (!(o->dropout >= 0.0 && o->dropout <= 1.0)) {
        return sslcv__invalid("mlp.dropout is %g; must be 0 .. 1", o->dropout);
    }
    if (!(o->init_std >= 0.0 && o->init_std <= 1e6)) {
        return sslcv__invalid("mlp.init_std is %g; must be 0 .. 1e6", o->init_std);
    }
    if (o->reserved != 0) return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "mlp.reserved is not 0");
end:
    return status;
}

/* ---- the graph ---- */

static sslcv_status linear(sslcv_head *head, int32_t *number, int64_t channels, int32_t bias, uint64_t seed,
                           int32_t *node)
{
    const sslcv_mlp_options *o = &head->options.mlp;
    char name[16];
    const sslcv__head_linear layer = {.name = name, .channels = channels, .bias = bias, .std = o->init_std};
    sslcv_status status;

    if (o->dropout > 0.0) {
        SSLCV__TRY(sslcv__net_dropout(&head->net, *node, o->dropout, node));
        (*number)++;
    }
    snprintf(name, sizeof name, "%d", (*number)++);
    status = sslcv__head_linear_layer(head, &layer, seed, node);
end:
    return status;
}

static sslcv_status norm(sslcv_head *head, int32_t *number, int32_t affine, int32_t relu, int32_t *node)
{
    char name[16];

    snprintf(name, sizeof name, "%d", (*number)++);
    return sslcv__net_batch_norm(&head->net, *node, name, affine, relu, node);
}

/* Behind a hidden layer. A ReLU behind a norm is one step with it. */
static sslcv_status norm_and_activation(sslcv_head *head, int32_t *number, int32_t *node)
{
    const sslcv_mlp_options *o = &head->options.mlp;
    const int gelu = o->activation == SSLCV_ACTIVATION_GELU, has_norm = o->norm == SSLCV_NORM_BATCH;
    sslcv_status status = SSLCV_OK;

    if (has_norm) SSLCV__TRY(norm(head, number, 2, !gelu, node));
    if (gelu) {
        SSLCV__TRY(sslcv__net_gelu(&head->net, *node, node));
    } else if (!has_norm) {
        SSLCV__TRY(sslcv__net_relu(&head->net, *node, node));
    }
    (*number)++; /* of the activation */
end:
    return status;
}

static sslcv_status build(sslcv_head *head, uint64_t seed)
{
    const sslcv_mlp_options *o = &head->options.mlp;
    int32_t number = 0, node = 0, i;
    sslcv_status status;

    head->out_dim = o->out_dim;
    for (i = 0; i < o->num_layers - 1; i++) {
        SSLCV__TRY(linear(head, &number, o->hidden_dim, o->bias, seed, &node));
        SSLCV__TRY(norm_and_activation(head, &number, &node));
    }
    SSLCV__TRY(linear(head, &number, o->out_dim, o->last_bias, seed, &node));
    switch (o->last_norm) {
    case SSLCV_LAST_NORM_BATCH: SSLCV__TRY(norm(head, &number, 2, 0, &node)); break;
    case SSLCV_LAST_NORM_NO_SHIFT: SSLCV__TRY(norm(head, &number, 1, 0, &node)); break;
    case SSLCV_LAST_NORM_PLAIN: SSLCV__TRY(norm(head, &number, 0, 0, &node)); break;
    default: break;
    }
    if (o->normalize) SSLCV__TRY(sslcv__net_normalize(&head->net, node, &node));
end:
    return status;
}

static void describe(const sslcv_head *head, char *text, size_t size)
{
    const sslcv_mlp_options *o = &head->options.mlp;

    snprintf(text, size,
             "%lld-%lld-%lld layers=%d norm=%d last_norm=%d activation=%d dropout=%g bias=%d last_bias=%d normalize=%d",
             (long long)o->in_dim, (long long)o->hidden_dim, (long long)o->out_dim, o->num_layers, o->norm,
             o->last_norm, o->activation, o->dropout, o->bias, o->last_bias, o->normalize);
}

static const sslcv__head_kind kind = {"mlp", build, describe};

sslcv_status sslcv_head_create_mlp(sslcv_context *context, const sslcv_mlp_options *options, sslcv_head **out)
{
    sslcv__head_options o = {.mlp = defaults};
    sslcv_status status;

    SSLCV__TRY(sslcv__head_check_create(context, options, out));
    SSLCV__TRY(sslcv__options_read("mlp_options", options, sizeof defaults, &o.mlp, sizeof o.mlp));
    SSLCV__TRY(check_options(&o.mlp));
    if (o.mlp.hidden_dim == 0) o.mlp.hidden_dim = o.mlp.in_dim;
    status = sslcv__head_create_seeded(context, &kind, &o, o.mlp.in_dim, o.mlp.seed, out);
end:
    return status;
}
