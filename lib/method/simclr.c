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
static sslcv_status make_projection(sslcv__recipe *recipe)
{
    sslcv_mlp_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_mlp_options(recipe, &o));
    SSLCV__TRY(sslcv__recipe_head_layers(recipe, &o));
    o.bias = o.last_bias = 0;
    o.last_norm = recipe->is_cifar ? SSLCV_LAST_NORM_BATCH : SSLCV_LAST_NORM_NO_SHIFT;
    SSLCV__TRY(sslcv__recipe_mlp(recipe, &o, 0));
end:
    return status;
}

static sslcv_status make_loss(sslcv__recipe *recipe)
{
    sslcv_info_nce_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_info_nce_options_init(&o, sizeof o));
    SSLCV__TRY(sslcv__settings_real(recipe->settings, "temperature", 1e-6, 1e6, &o.temperature));
    SSLCV__TRY(sslcv_loss_create_info_nce(recipe->context, &o, &recipe->loss));
end:
    return status;
}

static sslcv_status make_optimizer(sslcv__recipe *recipe)
{
    const int32_t kind = recipe->is_cifar ? SSLCV_OPTIMIZER_SGD : SSLCV_OPTIMIZER_LARS_CLASSIC;
    sslcv_optimizer_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_optimizer_options_init(&o, sizeof o, kind));
    SSLCV__TRY(sslcv__recipe_optimizer(recipe, &o));
    SSLCV__TRY(sslcv__recipe_rate(recipe, SSLCV_SCHEDULE_COSINE, recipe->is_cifar ? 128 : 256));
    recipe->rate.by_epoch = recipe->is_cifar;
end:
    return status;
}

static sslcv_status compose(sslcv__recipe *recipe)
{
    sslcv_status status;

    SSLCV__TRY(make_loss(recipe));
    SSLCV__TRY(make_optimizer(recipe));
    SSLCV__TRY(sslcv__recipe_augment(recipe, "simclr-cifar", "simclr"));
    SSLCV__TRY(sslcv__recipe_backbone(recipe, !recipe->is_cifar));
    SSLCV__TRY(make_projection(recipe));
    SSLCV__TRY(sslcv__recipe_finish(recipe, 2, SSLCV_GROUPING_JOINED));
end:
    return status;
}

const sslcv__method sslcv__method_simclr = {"simclr", settings_table,
                                            (int64_t)(sizeof settings_table / sizeof settings_table[0]), compose};
