/*
 * BYOL (Grill et al. 2020): a predictor is to say what a momentum copy of the network makes of the other view. No
 * negatives.
 *
 *     0: {0, 1} -> backbone -> projection -> predictor      cosine(0, 1), both orders of the views
 *     1: {0, 1} -> momentum copies of backbone and projection
 *
 * Each view goes through alone. Copies follow behind the step, with the new weights.
 *
 * "cifar": lightly's CIFAR-10 benchmark, whose loss is -1/2 (cos + cos); its learning rate belongs to that. "imagenet":
 * the authors' code, with 4 - 2 (cos + cos), LARS, and momentum that rises to 1.
 */
#include "method/method.h"

static const sslcv__setting settings_table[] = {
    {"epochs", {"200", "1000"}, "passes over the data set; lightly 200, BYOL 1000"},
    {"batch", {"256", "4096"}, "images a step, two views each; BYOL 4096"},
    {"size", {"32", "224"}, "height and width of the views in pixels"},
    {"learning_rate",
     {"0.06", "0.2"},
     "for 128 images a step (cifar, lightly) or 256 (imagenet; BYOL 0.2, of 300 epochs 0.3, of 100 0.45)"},
    {"weight_decay",
     {"5e-4", "1.5e-6"},
     "of all parameters (cifar, lightly) or of weights (imagenet; BYOL 1.5e-6, of 300 epochs or less 1e-6)"},
    {"momentum", {"0.9", "0.9"}, "of SGD (cifar) or LARS (imagenet)"},
    {"warmup_epochs", {"0", "10"}, "linear from 0; BYOL 10"},
    {"ema_momentum", {"0.99", "0.996"}, "of the target network; lightly 0.99, BYOL 0.996, of 300 epochs or less 0.99"},
    {"ema_schedule", {"constant", "cosine"}, "constant (lightly), or cosine: rises to 1 (BYOL)"},
    {"loss", {"cosine", "squared"}, "cosine (lightly), or squared, four times as large (BYOL)"},
    {"hidden_dim", {"1024", "4096"}, "of projection and predictor; lightly, BYOL"},
    {"out_dim", {"256", "256"}, "of projection and predictor; lightly, BYOL"},
    SSLCV__SETTINGS_COMMON("resnet18", "resnet50")};

static sslcv_status make_loss(sslcv__recipe *recipe)
{
    static const char *const words[] = {"cosine", "squared", NULL};
    sslcv_cosine_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_cosine_options_init(&o, sizeof o));
    SSLCV__TRY(sslcv__settings_word(recipe->settings, "loss", words, &o.squared));
    o.reduction = o.squared ? SSLCV_REDUCTION_SUM : SSLCV_REDUCTION_MEAN;
    SSLCV__TRY(sslcv_loss_create_cosine(recipe->context, &o, &recipe->loss));
end:
    return status;
}

/* LARS leaves biases and norms without decay and ratio, as the authors do. */
static sslcv_status make_optimizer(sslcv__recipe *recipe)
{
    sslcv_optimizer_options o;
    sslcv_status status;

    SSLCV__TRY(
        sslcv_optimizer_options_init(&o, sizeof o, recipe->is_cifar ? SSLCV_OPTIMIZER_SGD : SSLCV_OPTIMIZER_LARS));
    SSLCV__TRY(sslcv__recipe_optimizer(recipe, &o));
    SSLCV__TRY(sslcv__recipe_rate(recipe, SSLCV_SCHEDULE_COSINE, recipe->is_cifar ? 128 : 256));
    recipe->rate.by_epoch = recipe->is_cifar;
    SSLCV__TRY(sslcv__recipe_ema(recipe, SSLCV_EMA_AFTER_STEP));
    recipe->run.ema_random_init = !recipe->is_cifar;
end:
    return status;
}

/* Projection and predictor differ in their input. lightly has a bias where no norm follows, the authors elsewhere. */
static sslcv_status make_heads(sslcv__recipe *recipe)
{
    sslcv_mlp_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_mlp_options(recipe, &o));
    o.bias = !recipe->is_cifar;
    o.last_bias = recipe->is_cifar;
    SSLCV__TRY(sslcv__recipe_mlp(recipe, &o, 0));
    o.in_dim = o.out_dim;
    SSLCV__TRY(sslcv__recipe_mlp(recipe, &o, 1));
end:
    return status;
}

static sslcv_status compose(sslcv__recipe *recipe)
{
    sslcv_branch branch;
    int64_t inputs[2];
    sslcv_status status;

    SSLCV__TRY(make_loss(recipe));
    SSLCV__TRY(make_optimizer(recipe));
    SSLCV__TRY(sslcv__recipe_augment(recipe, "byol-cifar", "byol"));
    SSLCV__TRY(sslcv__recipe_backbone(recipe, !recipe->is_cifar));
    SSLCV__TRY(make_heads(recipe));
    SSLCV__TRY(sslcv__recipe_trainer(recipe));
    SSLCV__TRY(sslcv__recipe_branch(recipe, 0, 2, 2, &branch));
    branch.grouping = branch.head_grouping = SSLCV_GROUPING_BY_VIEW;
    SSLCV__TRY(sslcv_trainer_add_branch(recipe->trainer, &branch, &inputs[0]));
    branch.num_heads = 1;
    branch.momentum = 1;
    branch.flags = SSLCV_PASS_TRAIN;
    SSLCV__TRY(sslcv_trainer_add_branch(recipe->trainer, &branch, &inputs[1]));
    SSLCV__TRY(sslcv_trainer_add_loss(recipe->trainer, recipe->loss, inputs, 2, 1.0, NULL));
end:
    return status;
}

const sslcv__method sslcv__method_byol = {"byol", settings_table,
                                          (int64_t)(sizeof settings_table / sizeof settings_table[0]), compose};
