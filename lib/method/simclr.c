/*
 * SimCLR (Chen et al. 2020): two views of each image in one pass, a projection head, NT-Xent.
 *
 *     0: {0, 1} -> backbone -> projection     info_nce(0)
 *
 * "cifar": lightly's CIFAR-10 benchmark. "imagenet": the authors' code with its three-layer head; batch, rate and
 * decay as published for LARS.
 */
#include "method/method.h"

static const sslcv__setting settings_table[] = {
    {"epochs", {"200", "100"}, "passes over the data set; lightly 200, SimCLR 100 and more"},
    {"batch", {"256", "4096"}, "images a step, two views each; SimCLR 4096"},
    {"size", {"32", "224"}, "height and width of the views in pixels"},
    {"learning_rate",
     {"0.06", "0.3"},
     "for 128 images a step (cifar, lightly) or 256 (imagenet, SimCLR); scaled by batch"},
    {"weight_decay", {"5e-4", "1e-4"}, "of all parameters (cifar, lightly) or of weights (imagenet, SimCLR)"},
    {"momentum", {"0.9", "0.9"}, "of SGD (cifar) or LARS (imagenet)"},
    {"warmup_epochs", {"0", "10"}, "linear from 0; SimCLR 10"},
    {"temperature", {"0.5", "0.1"}, "of the loss; lightly 0.5, SimCLR 0.1"},
    {"head_layers", {"2", "3"}, "of the projection; SimCLR v1 2, v2 3"},
    {"hidden_dim", {"0", "0"}, "of the projection; 0: as the features"},
    {"out_dim", {"128", "128"}, "of the projection; SimCLR 128"},
    SSLCV__SETTINGS_COMMON("resnet18", "resnet50")};

/* Every layer is followed by batch norm, so none has a bias; the authors' last norm has a scale only. */
static sslcv_status make_head(sslcv_context *context, const sslcv_method_options *options,
                              const sslcv__settings *settings, sslcv__recipe *recipe)
{
    sslcv_mlp_options o;
    int64_t layers;
    sslcv_status status;

    SSLCV__TRY(sslcv_mlp_options_init(&o, sizeof o));
    o.in_dim = recipe->feature_dim;
    SSLCV__TRY(sslcv__settings_integer(settings, "hidden_dim", 0, INT32_MAX, &o.hidden_dim));
    SSLCV__TRY(sslcv__settings_integer(settings, "out_dim", 1, INT32_MAX, &o.out_dim));
    SSLCV__TRY(sslcv__settings_integer(settings, "head_layers", 1, 16, &layers));
    o.num_layers = (int32_t)layers;
    o.bias = o.last_bias = 0;
    o.last_norm = settings->preset == SSLCV__PRESET_CIFAR ? SSLCV_LAST_NORM_BATCH : SSLCV_LAST_NORM_NO_SHIFT;
    o.seed = sslcv__recipe_seed(options, 1);
    SSLCV__TRY(sslcv_head_create_mlp(context, &o, &recipe->head));
end:
    return status;
}

static sslcv_status make_loss(sslcv_context *context, const sslcv__settings *settings, sslcv__recipe *recipe)
{
    sslcv_info_nce_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_info_nce_options_init(&o, sizeof o));
    SSLCV__TRY(sslcv__settings_real(settings, "temperature", 1e-6, 1e6, &o.temperature));
    SSLCV__TRY(sslcv_loss_create_info_nce(context, &o, &recipe->loss));
end:
    return status;
}

static sslcv_status make_optimizer(sslcv_context *context, const sslcv__settings *settings, sslcv__recipe *recipe,
                                   sslcv_schedule *learning_rate)
{
    const int is_cifar = settings->preset == SSLCV__PRESET_CIFAR;
    const double rate = recipe->learning_rate * (double)recipe->batch / (is_cifar ? 128.0 : 256.0);
    sslcv_optimizer_options o;
    sslcv_status status;

    SSLCV__TRY(
        sslcv_optimizer_options_init(&o, sizeof o, is_cifar ? SSLCV_OPTIMIZER_SGD : SSLCV_OPTIMIZER_LARS_CLASSIC));
    SSLCV__TRY(sslcv__settings_real(settings, "momentum", 0.0, 1.0, &o.momentum));
    SSLCV__TRY(sslcv__settings_real(settings, "weight_decay", 0.0, 1e6, &o.weight_decay));
    SSLCV__TRY(sslcv_optimizer_create(context, &o, &recipe->optimizer));
    SSLCV__TRY(sslcv_schedule_init(learning_rate, sizeof *learning_rate, SSLCV_SCHEDULE_COSINE, rate));
    SSLCV__TRY(sslcv__settings_real(settings, "warmup_epochs", 0.0, 1e6, &learning_rate->warmup_epochs));
    learning_rate->by_epoch = is_cifar;
end:
    return status;
}

static sslcv_status create(sslcv_context *context, const sslcv_method_options *options, const sslcv__settings *settings,
                           sslcv_trainer **out)
{
    const int is_cifar = settings->preset == SSLCV__PRESET_CIFAR;
    sslcv__recipe recipe = {0};
    sslcv_schedule learning_rate;
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_begin(settings, &recipe));
    SSLCV__TRY(make_loss(context, settings, &recipe));
    SSLCV__TRY(make_optimizer(context, settings, &recipe, &learning_rate));
    SSLCV__TRY(sslcv__recipe_augment(context, options, settings, is_cifar ? "simclr-cifar" : "simclr", &recipe));
    SSLCV__TRY(sslcv__recipe_backbone(context, options, settings, !is_cifar, &recipe));
    SSLCV__TRY(make_head(context, options, settings, &recipe));
    SSLCV__TRY(sslcv__recipe_finish(context, options, settings, &learning_rate, 2, &recipe));
    *out = recipe.trainer;
    recipe.trainer = NULL;
end:
    sslcv__recipe_free(&recipe);
    return status;
}

const sslcv__method sslcv__method_simclr = {"simclr", settings_table,
                                            (int64_t)(sizeof settings_table / sizeof settings_table[0]), create};
