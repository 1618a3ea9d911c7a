/*
 * Supervised classification: the yardstick, from the data set's labels.
 *
 *     0: {0} -> backbone -> linear classifier     cross_entropy(0)
 *
 * "cifar": SGD as the CIFAR recipes of the self-supervised methods, so that the comparison is fair. "imagenet":
 * torchvision's reference training of ResNets (He et al. 2016): the rate falls by 10 after each third of the run.
 */
#include "method/method.h"

static const sslcv__setting settings_table[] = {
    {"epochs", {"200", "90"}, "passes over the data set; torchvision 90"},
    {"batch", {"256", "256"}, "images a step; torchvision 256"},
    {"size", {"32", "224"}, "height and width of the view in pixels"},
    {"learning_rate",
     {"0.06", "0.1"},
     "for 128 images a step (cifar, lightly) or 256 (imagenet, torchvision); scaled by batch"},
    {"weight_decay", {"5e-4", "1e-4"}, "of all parameters; lightly, torchvision"},
    {"momentum", {"0.9", "0.9"}, "of SGD"},
    {"warmup_epochs", {"0", "0"}, "linear from 0"},
    {"classes", {"0", "0"}, "0: as the data set has"},
    SSLCV__SETTINGS_COMMON("resnet18", "resnet50")};

static sslcv_status make_optimizer(sslcv__recipe *recipe)
{
    const int32_t kind = recipe->is_cifar ? SSLCV_SCHEDULE_COSINE : SSLCV_SCHEDULE_STEPS;
    sslcv_optimizer_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_optimizer_options_init(&o, sizeof o, SSLCV_OPTIMIZER_SGD));
    SSLCV__TRY(sslcv__recipe_optimizer(recipe, &o));
    SSLCV__TRY(sslcv__recipe_rate(recipe, kind, recipe->is_cifar ? 128 : 256));
    recipe->rate.by_epoch = recipe->is_cifar;
    if (!recipe->is_cifar) {
        recipe->rate.num_milestones = 2;
        recipe->rate.milestones[0] = (double)recipe->run.epochs / 3.0;
        recipe->rate.milestones[1] = 2.0 * (double)recipe->run.epochs / 3.0;
    }
end:
    return status;
}

static sslcv_status compose(sslcv__recipe *recipe)
{
    int64_t classes;
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_classes(recipe, &classes));
    SSLCV__TRY(sslcv_loss_create_cross_entropy(recipe->context, NULL, &recipe->loss));
    SSLCV__TRY(make_optimizer(recipe));
    SSLCV__TRY(sslcv__recipe_augment(recipe, "finetune-cifar", "finetune"));
    SSLCV__TRY(sslcv__recipe_backbone(recipe, 0));
    SSLCV__TRY(sslcv__recipe_classifier(recipe, classes, 0.0));
    SSLCV__TRY(sslcv__recipe_finish(recipe, 1, SSLCV_GROUPING_JOINED));
end:
    return status;
}

const sslcv__method sslcv__method_supervised = {"supervised", settings_table,
                                                (int64_t)(sizeof settings_table / sizeof settings_table[0]), compose};
