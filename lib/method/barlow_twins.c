/*
 * Barlow Twins (Zbontar et al. 2021): the cross-correlation of the two views' embeddings is to be the identity, so that
 * each dimension is the same for both views, and tells something that no other dimension tells.
 *
 *     0: {0, 1} -> backbone -> projection     barlow_twins(0)
 *
 * Each view goes through alone. The loss standardises its input, so the last layer needs neither norm nor bias.
 *
 * "cifar": lightly's CIFAR-10 benchmark. "imagenet": facebookresearch/barlowtwins.
 */
#include "method/method.h"

static const sslcv__setting settings_table[] = {
    {"epochs", {"200", "1000"}, "passes over the data set; lightly 200, Barlow Twins 1000"},
    {"batch", {"256", "2048"}, "images a step, two views each; Barlow Twins 2048"},
    {"size", {"32", "224"}, "height and width of the views in pixels"},
    {"learning_rate",
     {"0.06", "0.2"},
     "for 128 images a step (cifar, lightly) or 256 (imagenet, Barlow Twins); scaled by batch"},
    {"vector_rate", {"1", "0.024"}, "biases' and norms' share of the rate; Barlow Twins 0.0048 / 0.2"},
    {"weight_decay", {"5e-4", "1e-6"}, "of all parameters (cifar, lightly) or of weights (imagenet, Barlow Twins)"},
    {"momentum", {"0.9", "0.9"}, "of SGD (cifar) or LARS (imagenet)"},
    {"warmup_epochs", {"0", "10"}, "linear from 0; Barlow Twins 10"},
    {"end_rate", {"0", "0.001"}, "share of the rate that is left at the end; Barlow Twins 0.001"},
    {"off_diagonal", {"0.005", "0.0051"}, "weight of the loss's second part; lightly, Barlow Twins"},
    {"head_layers", {"2", "3"}, "of the projection; lightly 2, Barlow Twins 3"},
    {"hidden_dim", {"2048", "8192"}, "of the projection; lightly, Barlow Twins"},
    {"out_dim", {"2048", "8192"}, "of the projection; lightly, Barlow Twins"},
    SSLCV__SETTINGS_COMMON("resnet18", "resnet50")};

static sslcv_status make_loss(sslcv__recipe *recipe)
{
    sslcv_barlow_twins_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_barlow_twins_options_init(&o, sizeof o));
    SSLCV__TRY(sslcv__settings_real(recipe->settings, "off_diagonal", 0.0, 1e6, &o.off_diagonal));
    SSLCV__TRY(sslcv_loss_create_barlow_twins(recipe->context, &o, &recipe->loss));
end:
    return status;
}

static sslcv_status make_optimizer(sslcv__recipe *recipe)
{
    sslcv_optimizer_options o;
    sslcv_status status;

    SSLCV__TRY(
        sslcv_optimizer_options_init(&o, sizeof o, recipe->is_cifar ? SSLCV_OPTIMIZER_SGD : SSLCV_OPTIMIZER_LARS));
    SSLCV__TRY(sslcv__recipe_optimizer(recipe, &o));
    SSLCV__TRY(sslcv__recipe_rate(recipe, SSLCV_SCHEDULE_COSINE, recipe->is_cifar ? 128 : 256));
    SSLCV__TRY(sslcv__recipe_end_rate(recipe));
    recipe->rate.by_epoch = recipe->is_cifar;
end:
    return status;
}

/* Biases and norms in groups of their own. LARS gives them neither decay nor ratio, so they need another rate. */
static sslcv_status make_groups(sslcv__recipe *recipe)
{
    const int32_t vectors = SSLCV_ROLE_BIAS | SSLCV_ROLE_NORM;
    sslcv_optimizer_group group;
    sslcv_status status;

    SSLCV__TRY(sslcv_optimizer_group_init(&group, sizeof group));
    SSLCV__TRY(sslcv__settings_real(recipe->settings, "vector_rate", 0.0, 1e6, &group.rate_scale));
    SSLCV__TRY(sslcv__recipe_group(recipe, SSLCV__RECIPE_BACKBONE, vectors, &group));
    SSLCV__TRY(sslcv__recipe_group(recipe, 0, vectors, &group));
end:
    return status;
}

static sslcv_status make_projection(sslcv__recipe *recipe)
{
    sslcv_mlp_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_mlp_options(recipe, &o));
    SSLCV__TRY(sslcv__recipe_head_layers(recipe, &o));
    o.bias = o.last_bias = 0;
    SSLCV__TRY(sslcv__recipe_mlp(recipe, &o, 0));
end:
    return status;
}

static sslcv_status compose(sslcv__recipe *recipe)
{
    sslcv_status status;

    SSLCV__TRY(make_loss(recipe));
    SSLCV__TRY(make_optimizer(recipe));
    SSLCV__TRY(sslcv__recipe_augment(recipe, "barlow-cifar", "barlow"));
    SSLCV__TRY(sslcv__recipe_backbone(recipe, !recipe->is_cifar));
    SSLCV__TRY(make_projection(recipe));
    SSLCV__TRY(make_groups(recipe));
    SSLCV__TRY(sslcv__recipe_finish(recipe, 2, SSLCV_GROUPING_BY_VIEW));
end:
    return status;
}

const sslcv__method sslcv__method_barlow_twins = {"barlow-twins", settings_table,
                                                  (int64_t)(sizeof settings_table / sizeof settings_table[0]), compose};
