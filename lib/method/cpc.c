/*
 * CPC (van den Oord et al. 2018) and CPC-v2 (Henaff et al. 2020): of a grid of overlapping patches, the context of the
 * rows above is to tell the encoding of a patch some rows below from other encodings.
 *
 *     0: {0: grid of patches} -> encoder                 cpc(0, 1)
 *     1: branch 0 -> context network
 *     2: {0} -> momentum copy of the encoder             an average of the weights; only with ema_momentum, never run
 *
 * The encoder is a ResNet with norm and ReLU before the convolutions that sees each patch alone, and gives its spatial
 * mean. It has no batch norm, which would tell a patch about the others.
 *
 * "cpc", preset "cifar": the end-to-end baseline of Greedy InfoMax (Loewe et al. 2019, loeweX/Greedy_InfoMax), on
 * smaller patches. "imagenet": the paper's sizes, with that baseline's context network and loss, as the paper's are not
 * public.
 *
 * "cpc-v2", preset "cifar": rschwarz15/CPCV2-PyTorch, with a ResNet-18. "imagenet": the paper and the pseudo-code of
 * its appendix, with a ResNet-101 in place of the ResNet-161.
 */
#include "method/method.h"

static const sslcv__setting v1_settings[] = {
    {"epochs", {"300", "200"}, "passes over the data set; Greedy InfoMax 300 on STL-10"},
    {"batch", {"32", "512"}, "images a step; Greedy InfoMax 32, CPC 32 devices of 16"},
    {"size", {"32", "256"}, "height and width of the images before they are cut, in pixels"},
    {"learning_rate", {"2e-4", "2e-4"}, "of Adam, for any batch; CPC, Greedy InfoMax"},
    {"weight_decay", {"0", "0"}, "of all parameters"},
    {"schedule", {"constant", "constant"}, "of the rate: constant, or cosine, by epoch, to 0"},
    {"warmup_epochs", {"0", "0"}, "linear from 0"},
    {"beta1", {"0.9", "0.9"}, "of Adam"},
    {"clip_norm", {"0", "0"}, "of all gradients together; 0: none"},
    {"ema_momentum", {"0", "0"}, "of an average of the encoder's weights; 0: there is none"},
    {"stem", {"gim", "imagenet"}, "imagenet: 7x7 and pooling, cifar: 3x3, gim: 5x5 (Greedy InfoMax)"},
    {"stages", {"4", "4"}, "of the encoder, the stem included; CPC and Greedy InfoMax have no fourth after the stem"},
    {"norm", {"none", "none"}, "of the encoder: none (CPC, Greedy InfoMax), batch, group or layer"},
    {"grid", {"0", "0"}, "rows and columns of patches; 0: as the view has, without an augmenter 7"},
    {"context", {"pixelcnn", "pixelcnn"}, "network: pixelcnn (gated; Greedy InfoMax) or residual (CPC-v2)"},
    {"context_layers", {"4", "4"}, "of that network, or its blocks; Greedy InfoMax"},
    {"hidden_dim", {"0", "0"}, "of that network; 0: as the features"},
    {"directions", {"1", "1"}, "1: downwards; 4: all (CPC-v2)"},
    {"first_offset", {"2", "2"}, "nearest row predicted; Greedy InfoMax: the next one overlaps"},
    {"last_offset", {"6", "6"}, "farthest row predicted; Greedy InfoMax"},
    {"negatives", {"16", "16"}, "drawn for each prediction; Greedy InfoMax; 0: all encodings of the batch"},
    {"target_dim", {"0", "0"}, "0: bilinear scores; else both sides are projected to so many (CPC-v2)"},
    {"score_scale", {"1", "1"}, "factor on the scores"},
    {"reduction", {"mean", "mean"}, "of the losses of all offsets: mean (Greedy InfoMax) or sum"},
    SSLCV__SETTINGS_COMMON("resnet18", "resnet101")};

static const sslcv__setting v2_settings[] = {
    {"epochs", {"500", "200"}, "passes over the data set; rschwarz15 500, CPC-v2 200"},
    {"batch", {"16", "512"}, "images a step; rschwarz15 16, CPC-v2 512"},
    {"size", {"30", "260"}, "height and width of the images before they are cut, in pixels"},
    {"learning_rate", {"2e-4", "4e-4"}, "of Adam, for any batch; rschwarz15, CPC-v2"},
    {"weight_decay", {"0", "0"}, "of all parameters"},
    {"schedule", {"constant", "constant"}, "of the rate: constant, or cosine, by epoch, to 0"},
    {"warmup_epochs", {"0", "0"}, "linear from 0"},
    {"beta1", {"0.9", "0.8"}, "of Adam; CPC-v2 0.8"},
    {"clip_norm", {"0", "0.01"}, "of all gradients together; 0: none; CPC-v2 0.01"},
    {"ema_momentum", {"0", "0.9999"}, "of an average of the encoder's weights; 0: there is none; CPC-v2 0.9999"},
    {"stem", {"gim", "imagenet"}, "imagenet: 7x7 and pooling, cifar: 3x3, gim: 5x5 (Greedy InfoMax)"},
    {"stages", {"4", "4"}, "of the encoder, the stem included; CPC-v2 has no fourth after the stem"},
    {"norm", {"layer", "layer"}, "of the encoder: none, batch, group or layer (CPC-v2)"},
    {"grid", {"0", "0"}, "rows and columns of patches; 0: as the view has, without an augmenter 5 (cifar) or 6"},
    {"context", {"pixelcnn", "residual"}, "network: pixelcnn (gated; rschwarz15) or residual (CPC-v2)"},
    {"context_layers", {"4", "5"}, "of that network, or its blocks; rschwarz15, CPC-v2"},
    {"hidden_dim", {"0", "256"}, "of that network; 0: as the features; CPC-v2 256"},
    {"directions", {"4", "4"}, "1: downwards; 4: all (CPC-v2)"},
    {"first_offset", {"2", "3"}, "nearest row predicted; rschwarz15 2, CPC-v2's pseudo-code 3"},
    {"last_offset", {"4", "3"}, "farthest row predicted; rschwarz15 4, CPC-v2's pseudo-code 3"},
    {"negatives", {"16", "0"}, "drawn for each prediction (rschwarz15); 0: all encodings of the batch (CPC-v2)"},
    {"target_dim", {"0", "64"}, "0: bilinear scores; else both sides are projected to so many; CPC-v2 64"},
    {"score_scale", {"1", "0.1"}, "factor on the scores; CPC-v2 0.1"},
    {"reduction", {"mean", "sum"}, "of the losses of all offsets: mean (rschwarz15) or sum (CPC-v2)"},
    SSLCV__SETTINGS_COMMON("resnet18", "resnet101")};

/** Patches of an image. */
typedef struct grid {
    int64_t rows, columns;
} grid;

static sslcv_status choose_grid(const sslcv__recipe *recipe, int64_t initial, grid *g)
{
    const char *name = recipe->settings->method;
    sslcv_view_info info;
    int64_t side;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "grid", 0, 256, &side));
    g->rows = g->columns = side ? side : initial;
    if (!recipe->augmenter) return SSLCV_OK;
    info.struct_size = sizeof info;
    SSLCV__TRY(sslcv_augmenter_get_view(recipe->augmenter, 0, &info));
    if (side != 0 && (info.rows != side || info.columns != side)) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "%s.grid is %lld; view 0 has %lld x %lld patches", name, (long long)side,
                           (long long)info.rows, (long long)info.columns);
    }
    g->rows = info.rows;
    g->columns = info.columns;
end:
    return status;
}

static sslcv_status check_offset(const sslcv__recipe *recipe, const grid *g, int64_t last, int32_t directions)
{
    const int64_t side = directions == 4 && g->columns < g->rows ? g->columns : g->rows;

    if (last < side) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_LIMIT, "%s.last_offset is %lld; must be below %lld, as there are %lld x %lld patches",
                       recipe->settings->method, (long long)last, (long long)side, (long long)g->rows,
                       (long long)g->columns);
}

static sslcv_status read_directions(const sslcv__recipe *recipe, int32_t *directions)
{
    static const char *const words[] = {"1", "4", NULL};
    const sslcv_status status = sslcv__settings_word(recipe->settings, "directions", words, directions);

    if (status == SSLCV_OK) *directions = *directions ? 4 : 1;
    return status;
}

/* Of contexts as wide as the encodings. */
static sslcv_status make_loss(sslcv__recipe *recipe, const grid *g)
{
    static const char *const words[] = {"mean", "sum", NULL};
    const sslcv__settings *settings = recipe->settings;
    sslcv_cpc_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_cpc_options_init(&o, sizeof o));
    SSLCV__TRY(read_directions(recipe, &o.directions));
    SSLCV__TRY(sslcv__settings_integer(settings, "first_offset", 1, 255, &o.first_offset));
    SSLCV__TRY(sslcv__settings_integer(settings, "last_offset", o.first_offset, 255, &o.last_offset));
    SSLCV__TRY(sslcv__settings_integer(settings, "negatives", 0, INT32_MAX, &o.num_negatives));
    SSLCV__TRY(sslcv__settings_integer(settings, "target_dim", 0, INT32_MAX, &o.target_dim));
    SSLCV__TRY(sslcv__settings_real(settings, "score_scale", 1e-6, 1e6, &o.score_scale));
    SSLCV__TRY(sslcv__settings_word(settings, "reduction", words, &o.reduction));
    SSLCV__TRY(check_offset(recipe, g, o.last_offset, o.directions));
    o.dim = recipe->feature_dim;
    o.rows = g->rows;
    o.columns = g->columns;
    o.seed = sslcv__recipe_seed(recipe->options, SSLCV__SEED_LOSS);
    SSLCV__TRY(sslcv_loss_create_cpc(recipe->context, &o, &recipe->loss));
end:
    return status;
}

static sslcv_status make_optimizer(sslcv__recipe *recipe)
{
    static const char *const words[] = {"constant", "cosine", NULL};
    sslcv_optimizer_options o;
    int32_t is_cosine;
    sslcv_status status;

    SSLCV__TRY(sslcv_optimizer_options_init(&o, sizeof o, SSLCV_OPTIMIZER_ADAM));
    SSLCV__TRY(sslcv__settings_real(recipe->settings, "beta1", 0.0, 0.999999, &o.beta1));
    SSLCV__TRY(sslcv__settings_real(recipe->settings, "clip_norm", 0.0, 1e6, &o.clip_norm));
    SSLCV__TRY(sslcv__recipe_optimizer(recipe, &o));
    SSLCV__TRY(sslcv__settings_word(recipe->settings, "schedule", words, &is_cosine));
    SSLCV__TRY(sslcv__recipe_rate(recipe, is_cosine ? SSLCV_SCHEDULE_COSINE : SSLCV_SCHEDULE_CONSTANT, 0));
    recipe->rate.by_epoch = is_cosine;
end:
    return status;
}

static sslcv_status encoder_options(const sslcv__recipe *recipe, sslcv_backbone_options *o)
{
    static const char *const stems[] = {"imagenet", "cifar", "gim", NULL};
    static const char *const norms[] = {"none", "batch", "group", "layer", NULL};
    int64_t stages;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_word(recipe->settings, "stem", stems, &o->stem));
    SSLCV__TRY(sslcv__settings_word(recipe->settings, "norm", norms, &o->norm));
    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "stages", 1, 5, &stages));
    o->num_stages = (int32_t)stages;
    o->preactivation = 1;
end:
    return status;
}

static sslcv_status make_encoder(sslcv__recipe *recipe)
{
    static const char *const unread[] = {"stem", "norm", "stages", NULL};
    sslcv_backbone_options o;
    sslcv_status status;

    if (recipe->options->num_backbones > 0) {
        SSLCV__TRY(sslcv__settings_refuse(recipe->settings, unread, "the backbone is given"));
        return sslcv__recipe_backbone(recipe, 1);
    }
    SSLCV__TRY(sslcv__recipe_backbone_options(recipe, &o));
    SSLCV__TRY(encoder_options(recipe, &o));
    SSLCV__TRY(sslcv__recipe_make_backbone(recipe, &o));
end:
    return status;
}

static sslcv_status make_pixelcnn(sslcv__recipe *recipe, const grid *g, int64_t layers, int64_t hidden_dim)
{
    sslcv_pixelcnn_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_pixelcnn_options_init(&o, sizeof o));
    SSLCV__TRY(read_directions(recipe, &o.directions));
    o.in_dim = recipe->feature_dim;
    o.hidden_dim = hidden_dim;
    o.rows = g->rows;
    o.columns = g->columns;
    o.num_layers = (int32_t)layers;
    o.seed = sslcv__recipe_seed(recipe->options, SSLCV__SEED_HEAD);
    SSLCV__TRY(sslcv_head_create_pixelcnn(recipe->context, &o, &recipe->heads[0]));
end:
    return status;
}

static sslcv_status make_residual(sslcv__recipe *recipe, const grid *g, int64_t layers, int64_t hidden_dim)
{
    sslcv_cpc_v2_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_cpc_v2_options_init(&o, sizeof o));
    SSLCV__TRY(read_directions(recipe, &o.directions));
    o.in_dim = recipe->feature_dim;
    o.hidden_dim = hidden_dim;
    o.rows = g->rows;
    o.columns = g->columns;
    o.num_blocks = (int32_t)layers;
    o.seed = sslcv__recipe_seed(recipe->options, SSLCV__SEED_HEAD);
    SSLCV__TRY(sslcv_head_create_cpc_v2(recipe->context, &o, &recipe->heads[0]));
end:
    return status;
}

static sslcv_status make_context(sslcv__recipe *recipe, const grid *g)
{
    static const char *const words[] = {"pixelcnn", "residual", NULL};
    int64_t layers, hidden_dim;
    int32_t is_residual;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_word(recipe->settings, "context", words, &is_residual));
    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "context_layers", 1, 64, &layers));
    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "hidden_dim", 0, INT32_MAX, &hidden_dim));
    if (hidden_dim == 0) hidden_dim = recipe->feature_dim;
    status = (is_residual ? make_residual : make_pixelcnn)(recipe, g, layers, hidden_dim);
end:
    return status;
}

/* The average is a branch that nothing needs: it is not run, but its copy follows. */
static sslcv_status add_branches(sslcv__recipe *recipe)
{
    sslcv_branch encoder, context;
    int64_t inputs[2];
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_branch(recipe, 0, 1, 0, &encoder));
    SSLCV__TRY(sslcv_trainer_add_branch(recipe->trainer, &encoder, &inputs[0]));
    SSLCV__TRY(sslcv_branch_init(&context, sizeof context));
    context.source = inputs[0];
    context.heads = recipe->heads;
    context.num_heads = 1;
    SSLCV__TRY(sslcv_trainer_add_branch(recipe->trainer, &context, &inputs[1]));
    if (recipe->run.ema_momentum) {
        encoder.momentum = 1;
        encoder.flags = 0;
        SSLCV__TRY(sslcv_trainer_add_branch(recipe->trainer, &encoder, NULL));
    }
    SSLCV__TRY(sslcv_trainer_add_loss(recipe->trainer, recipe->loss, inputs, 2, 1.0, NULL));
end:
    return status;
}

static sslcv_status choose_average(sslcv__recipe *recipe)
{
    double momentum;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_real(recipe->settings, "ema_momentum", 0.0, 1.0, &momentum));
    if (momentum > 0.0) SSLCV__TRY(sslcv__recipe_ema(recipe, SSLCV_EMA_AFTER_STEP));
end:
    return status;
}

static sslcv_status compose(sslcv__recipe *recipe, const char *cifar, const char *imagenet, int64_t side)
{
    grid g;
    sslcv_status status;

    SSLCV__TRY(make_optimizer(recipe));
    SSLCV__TRY(choose_average(recipe));
    SSLCV__TRY(sslcv__recipe_augment(recipe, cifar, imagenet));
    SSLCV__TRY(choose_grid(recipe, side, &g));
    SSLCV__TRY(make_encoder(recipe));
    SSLCV__TRY(make_loss(recipe, &g));
    SSLCV__TRY(make_context(recipe, &g));
    SSLCV__TRY(sslcv__recipe_trainer(recipe));
    SSLCV__TRY(add_branches(recipe));
end:
    return status;
}

static sslcv_status compose_v1(sslcv__recipe *recipe)
{
    return compose(recipe, "cpc-cifar", "cpc", 7);
}

static sslcv_status compose_v2(sslcv__recipe *recipe)
{
    return compose(recipe, "cpc-v2-cifar", "cpc-v2", recipe->is_cifar ? 5 : 6);
}

const sslcv__method sslcv__method_cpc = {"cpc", v1_settings, (int64_t)(sizeof v1_settings / sizeof v1_settings[0]),
                                         compose_v1};
const sslcv__method sslcv__method_cpc_v2 = {"cpc-v2", v2_settings,
                                            (int64_t)(sizeof v2_settings / sizeof v2_settings[0]), compose_v2};
