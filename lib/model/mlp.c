/* The multi-layer perceptron. Layers are numbered as in PyTorch's nn.Sequential: 0 linear, 1 norm, 2 ReLU, 3 linear. */
#include <math.h>
#include <stdio.h>

#include "core/context.h"
#include "core/options.h"
#include "model/head.h"

enum { MAX_DIM = 1 << 24, MAX_LAYERS = 16 };

static const sslcv_mlp_options defaults = {.struct_size = sizeof(sslcv_mlp_options),
                                           .out_dim = 128,
                                           .num_layers = 2,
                                           .norm = SSLCV_NORM_BATCH,
                                           .last_norm = SSLCV_LAST_NORM_NONE,
                                           .bias = 1,
                                           .last_bias = 1};

sslcv_status sslcv_mlp_options_init(sslcv_mlp_options *options, size_t struct_size)
{
    return sslcv__options_init("mlp_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_dim(const char *name, int64_t value, int64_t least)
{
    if (value < least || value > MAX_DIM) {
        return sslcv__invalid("mlp.%s is %lld; must be %lld .. %d", name, (long long)value, (long long)least, MAX_DIM);
    }
    return SSLCV_OK;
}

static sslcv_status check_number(const char *name, int32_t value, int32_t least, int32_t most)
{
    if (value < least || value > most)
        return sslcv__invalid("mlp.%s is %d; must be %d .. %d", name, value, least, most);
    return SSLCV_OK;
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
    SSLCV__TRY(check_number("bias", o->bias, 0, 1));
    SSLCV__TRY(check_number("last_bias", o->last_bias, 0, 1));
    SSLCV__TRY(check_number("normalize", o->normalize, 0, 1));
    if (!(o->init_std >= 0.0 && o->init_std <= 1e6)) {
        return sslcv__invalid("mlp.init_std is %g; must be 0 .. 1e6", o->init_std);
    }
end:
    return status;
}

/* Weights and biases uniform in +-1/sqrt(fan in), as torchvision's; or normal weights and zero biases. */
static sslcv_status linear(sslcv_head *head, int32_t *number, int64_t channels, int32_t bias, int32_t *node)
{
    const sslcv_mlp_options *o = &head->options;
    const double uniform = 1.0 / sqrt((double)head->net.nodes[*node].channels);
    const sslcv__node *made;
    char name[16];
    sslcv_status status;

    snprintf(name, sizeof name, "%d", (*number)++);
    SSLCV__TRY(sslcv__net_linear(&head->net, *node, name, channels, bias, node));
    made = &head->net.nodes[*node];
    SSLCV__TRY(sslcv__net_draw(&head->net, made->weight, o->seed, o->init_std > 0.0,
                               o->init_std > 0.0 ? o->init_std : uniform));
    if (bias && o->init_std == 0.0) SSLCV__TRY(sslcv__net_draw(&head->net, made->bias, o->seed, 0, uniform));
end:
    return status;
}

static sslcv_status norm(sslcv_head *head, int32_t *number, int32_t affine, int32_t relu, int32_t *node)
{
    char name[16];

    snprintf(name, sizeof name, "%d", (*number)++);
    return sslcv__net_batch_norm(&head->net, *node, name, affine, relu, node);
}

static sslcv_status build(sslcv_head *head)
{
    const sslcv_mlp_options *o = &head->options;
    int32_t number = 0, node = 0, i;
    sslcv_status status;

    SSLCV__TRY(sslcv__net_init(&head->net, head->object.context, 1, o->in_dim));
    for (i = 0; i < o->num_layers - 1; i++) {
        SSLCV__TRY(linear(head, &number, o->hidden_dim, o->bias, &node));
        if (o->norm == SSLCV_NORM_BATCH) {
            SSLCV__TRY(norm(head, &number, 2, 1, &node));
        } else {
            SSLCV__TRY(sslcv__net_relu(&head->net, node, &node));
        }
        number++; /* the ReLU */
    }
    SSLCV__TRY(linear(head, &number, o->out_dim, o->last_bias, &node));
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

static void release_mlp(void *self)
{
    sslcv__net_free(&((sslcv_head *)self)->net);
}

sslcv_status sslcv_head_create_mlp(sslcv_context *context, const sslcv_mlp_options *options, sslcv_head **out)
{
    sslcv_mlp_options o = defaults;
    sslcv_head *head;
    sslcv_status status = sslcv__check(context, SSLCV__CONTEXT, "context");

    if (status != SSLCV_OK) return status;
    if (!options) return sslcv__null("options");
    if (!out) return sslcv__null("head");
    status = sslcv__options_read("mlp_options", options, sizeof defaults, &o, sizeof o);
    if (status == SSLCV_OK) status = check_options(&o);
    if (status == SSLCV_OK) status = sslcv__object_create(context, SSLCV__HEAD, sizeof *head, release_mlp, &head);
    if (status != SSLCV_OK) return status;
    o.seed = sslcv__context_seed(context, o.seed);
    if (o.hidden_dim == 0) o.hidden_dim = o.in_dim;
    head->kind = "mlp";
    head->options = o;
    status = build(head);
    if (status == SSLCV_OK) {
        *out = head;
    } else {
        sslcv__release(head);
    }
    return status;
}
