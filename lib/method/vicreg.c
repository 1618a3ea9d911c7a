/*
 * VICReg (Bardes et al. 2022): embeddings of two views are to be equal, each dimension is to vary, and no two together.
 *
 *     0: {0, 1} -> backbone -> expander     vicreg(0)
 *
 * Each view goes through alone.
 *
 * "imagenet": facebookresearch/vicreg. "cifar": solo-learn's CIFAR-10 recipe, which trains 1000 epochs; its LARS is the
 * LARC form, with a share that never exceeds the learning rate.
 */
#include "method/method.h"

static const sslcv__setting settings_table[] = {
    {"epochs", {"200", "1000"}, "passes over the data set; solo-learn and VICReg 1000"},
    {"batch", {"256", "2048"}, "images a step, two views each; solo-learn, VICReg"},
    {"size", {"32", "224"}, "height and width of the views in pixels"},
    {"learning_rate", {"0.3", "0.2"}, "for 256 images a step; scaled by batch; solo-learn, VICReg"},
    {"weight_decay", {"1e-4", "1e-6"}, "of weights; solo-learn, VICReg"},
    {"momentum", {"0.9", "0.9"}, "of LARS"},
    {"trust", {"0.02", "0.001"}, "of LARS; solo-learn, VICReg"},
    {"warmup_epochs", {"10", "10"}, "linear from 0; solo-learn, VICReg"},
    {"end_rate", {"0", "0.001"}, "share of the rate that is left at the end; VICReg 0.001"},
    {"weight_invariance", {"25", "25"}, "of the loss's part; VICReg"},
    {"weight_variance", {"25", "25"}, "likewise"},
    {"weight_covariance", {"1", "1"}, "likewise"},
    {"head_layers", {"3", "3"}, "of the expander; solo-learn, VICReg"},
    {"hidden_dim", {"2048", "8192"}, "of the expander; solo-learn, VICReg"},
    {"out_dim", {"2048", "8192"}, "of the expander; solo-learn, VICReg"},
    SSLCV__SETTINGS_COMMON("resnet18", "resnet50")};

static sslcv_status make_loss(sslcv__recipe *recipe)
{
    sslcv_vicreg_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_vicreg_options_init(&o, sizeof o));
    SSLCV__TRY(sslcv__settings_real(recipe->settings, "weight_invariance", 0.0, 1e6, &o.weight_invariance));
    SSLCV__TRY(sslcv__settings_real(recipe->settings, "weight_variance", 0.0, 1e6, &o.weight_variance));
    SSLCV__TRY(sslcv__settings_real(recipe->settings, "weight_covariance", 0.0, 1e6, &o.weight_covariance));
    SSLCV__TRY(sslcv_loss_create_vicreg(recipe->context, &o, &recipe->loss));
end:
    return status;
}

/* Both forms leave biases and norms without decay and ratio. */
static sslcv_status make_optimizer(sslcv__recipe *recipe)
{
    sslcv_optimizer_options o;
    sslcv_status status;

    SSLCV__TRY(
        sslcv_optimizer_options_init(&o, sizeof o, recipe->is_cifar ? SSLCV_OPTIMIZER_LARC : SSLCV_OPTIMIZER_LARS));
    o.decay_roles = o.adapt_roles = SSLCV_ROLE_WEIGHT;
    o.trust_clip = recipe->is_cifar;
    SSLCV__TRY(sslcv__settings_real(recipe->settings, "trust", 1e-9, 1e6, &o.trust));
    SSLCV__TRY(sslcv__recipe_optimizer(recipe, &o));
    SSLCV__TRY(sslcv__recipe_rate(recipe, SSLCV_SCHEDULE_COSINE, 256));
    SSLCV__TRY(sslcv__recipe_end_rate(recipe));
end:
    return status;
}

static sslcv_status make_expander(sslcv__recipe *recipe)
{
    sslcv_mlp_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_mlp_options(recipe, &o));
    SSLCV__TRY(sslcv__recipe_head_layers(recipe, &o));
    o.last_bias = recipe->is_cifar;
    SSLCV__TRY(sslcv__recipe_mlp(recipe, &o, 0));
end:
    return status;
}

static sslcv_status compose(sslcv__recipe *recipe)
{
    sslcv_status status;

    SSLCV__TRY(make_loss(recipe));
    SSLCV__TRY(make_optimizer(recipe));
    SSLCV__TRY(sslcv__recipe_augment(recipe, "vicreg-cifar", "vicreg"));
    SSLCV__TRY(sslcv__recipe_backbone(recipe, !recipe->is_cifar));
    SSLCV__TRY(make_expander(recipe));
    SSLCV__TRY(sslcv__recipe_finish(recipe, 2, SSLCV_GROUPING_BY_VIEW));
end:
    return status;
}

const sslcv__method sslcv__method_vicreg = {"vicreg", settings_table,
                                            (int64_t)(sizeof settings_table / sizeof settings_table[0]), compose};
