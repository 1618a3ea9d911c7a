/*
 * SimSiam (Chen and He 2021): a predictor is to say what the same network makes of the other view, which counts as a
 * constant. Neither negatives nor momentum copies.
 *
 *     0: {0, 1} -> backbone -> projection           cosine(1, 0), both orders of the views; no gradient to 0
 *     1: branch 0 -> predictor
 *
 * Each view goes through alone.
 *
 * "cifar": lightly's CIFAR-10 benchmark. "imagenet": facebookresearch/simsiam.
 */
#include "method/method.h"

#include <stdio.h>

enum { PROJECTION = 0, PREDICTOR = 1 };

static const sslcv__setting settings_table[] = {
    {"epochs", {"200", "100"}, "passes over the data set; lightly 200, SimSiam 100"},
    {"batch", {"256", "512"}, "images a step, two views each; SimSiam 512"},
    {"size", {"32", "224"}, "height and width of the views in pixels"},
    {"learning_rate",
     {"0.06", "0.05"},
     "for any batch (cifar, lightly), or for 256 images a step and scaled by batch (imagenet, SimSiam)"},
    {"weight_decay", {"5e-4", "1e-4"}, "of all parameters; lightly, SimSiam"},
    {"momentum", {"0.9", "0.9"}, "of SGD"},
    {"warmup_epochs", {"0", "0"}, "linear from 0; 0 with fix_predictor_rate"},
    {"fix_predictor_rate", {"0", "1"}, "1: the predictor keeps the first learning rate; SimSiam 1"},
    {"head_layers", {"2", "3"}, "of the projection; lightly 2, SimSiam 3"},
    {"hidden_dim", {"2048", "0"}, "of the projection; 0: as the features; lightly, SimSiam 2048"},
    {"out_dim", {"2048", "2048"}, "of projection and predictor; lightly, SimSiam"},
    {"predictor_dim", {"512", "512"}, "hidden layer of the predictor; lightly, SimSiam"},
    SSLCV__SETTINGS_COMMON("resnet18", "resnet50")};

static sslcv_status make_optimizer(sslcv__recipe *recipe, int64_t *fix_predictor)
{
    sslcv_optimizer_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "fix_predictor_rate", 0, 1, fix_predictor));
    SSLCV__TRY(sslcv_optimizer_options_init(&o, sizeof o, SSLCV_OPTIMIZER_SGD));
    SSLCV__TRY(sslcv__recipe_optimizer(recipe, &o));
    SSLCV__TRY(sslcv__recipe_rate(recipe, SSLCV_SCHEDULE_COSINE, recipe->is_cifar ? 0 : 256));
    recipe->rate.by_epoch = 1;
    if (*fix_predictor && recipe->rate.warmup_epochs > 0.0) {
        return sslcv__invalid("simsiam.warmup_epochs is %g; must be 0 with fix_predictor_rate, which keeps the first "
                              "rate",
                              recipe->rate.warmup_epochs);
    }
end:
    return status;
}

/* The authors' last norm has neither scale nor shift, and takes away the bias before it, which they freeze. */
static sslcv_status make_projection(sslcv__recipe *recipe)
{
    sslcv_state *state = NULL;
    sslcv_mlp_options o;
    char name[16];
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_mlp_options(recipe, &o));
    SSLCV__TRY(sslcv__recipe_head_layers(recipe, &o));
    o.bias = 0;
    o.last_bias = !recipe->is_cifar;
    o.last_norm = recipe->is_cifar ? SSLCV_LAST_NORM_BATCH : SSLCV_LAST_NORM_PLAIN;
    SSLCV__TRY(sslcv__recipe_mlp(recipe, &o, PROJECTION));
    if (!o.last_bias) return SSLCV_OK;
    SSLCV__TRY(sslcv_head_get_state(recipe->heads[PROJECTION], &state));
    snprintf(name, sizeof name, "%d.bias", 3 * (o.num_layers - 1)); /* linear, norm, ReLU: three a layer */
    SSLCV__TRY(sslcv_state_freeze(state, name, 1));
end:
    sslcv_state_destroy(state);
    return status;
}

static sslcv_status make_predictor(sslcv__recipe *recipe, int64_t fixed_rate)
{
    sslcv_optimizer_group group;
    sslcv_mlp_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_mlp_options(recipe, &o));
    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "predictor_dim", 1, INT32_MAX, &o.hidden_dim));
    o.in_dim = o.out_dim;
    o.bias = 0;
    SSLCV__TRY(sslcv__recipe_mlp(recipe, &o, PREDICTOR));
    SSLCV__TRY(sslcv_optimizer_group_init(&group, sizeof group));
    group.fixed_rate = 1;
    if (fixed_rate) SSLCV__TRY(sslcv__recipe_group(recipe, PREDICTOR, SSLCV_ROLE_PARAMETERS, &group));
end:
    return status;
}

static sslcv_status compose(sslcv__recipe *recipe)
{
    sslcv_branch branch;
    int64_t fix_predictor, inputs[2];
    sslcv_status status;

    SSLCV__TRY(sslcv_loss_create_cosine(recipe->context, NULL, &recipe->loss));
    SSLCV__TRY(make_optimizer(recipe, &fix_predictor));
    SSLCV__TRY(sslcv__recipe_augment(recipe, "simsiam-cifar", "simsiam"));
    SSLCV__TRY(sslcv__recipe_backbone(recipe, !recipe->is_cifar));
    SSLCV__TRY(make_projection(recipe));
    SSLCV__TRY(make_predictor(recipe, fix_predictor));
    SSLCV__TRY(sslcv__recipe_trainer(recipe));
    SSLCV__TRY(sslcv__recipe_branch(recipe, 0, 2, 1, &branch));
    branch.grouping = branch.head_grouping = SSLCV_GROUPING_BY_VIEW;
    SSLCV__TRY(sslcv_trainer_add_branch(recipe->trainer, &branch, &inputs[1]));
    SSLCV__TRY(sslcv_branch_init(&branch, sizeof branch));
    branch.source = inputs[1];
    branch.heads = &recipe->heads[PREDICTOR];
    branch.num_heads = 1;
    branch.head_grouping = SSLCV_GROUPING_BY_VIEW;
    SSLCV__TRY(sslcv_trainer_add_branch(recipe->trainer, &branch, &inputs[0]));
    SSLCV__TRY(sslcv_trainer_add_loss(recipe->trainer, recipe->loss, inputs, 2, 1.0, NULL));
end:
    return status;
}

const sslcv__method sslcv__method_simsiam = {"simsiam", settings_table,
                                             (int64_t)(sizeof settings_table / sizeof settings_table[0]), compose};
