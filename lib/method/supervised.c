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

static sslcv_status choose_classes(const sslcv_method_options *options, const sslcv__settings *settings,
                                   int64_t *classes)
{
    sslcv_dataset_info info;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_integer(settings, "classes", 0, INT32_MAX, classes));
    info.struct_size = sizeof info;
    info.num_classes = 0;
    if (options->dataset) SSLCV__TRY(sslcv_dataset_get_info(options->dataset, &info));
    if (options->dataset && info.num_classes == 0) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "the data set has no labels; \"supervised\" learns from them");
    }
    if (*classes == 0) *classes = info.num_classes;
    if (*classes < 2) {
        return sslcv__invalid("supervised.classes is %lld; must be >= 2%s", (long long)*classes,
                              options->dataset ? "" : ", and be given without a data set");
    }
    if (*classes < info.num_classes) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "supervised.classes is %lld; the data set has %lld", (long long)*classes,
                           (long long)info.num_classes);
    }
end:
    return status;
}

static sslcv_status make_head(sslcv_context *context, const sslcv_method_options *options, int64_t classes,
                              sslcv__recipe *recipe)
{
    sslcv_mlp_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_mlp_options_init(&o, sizeof o));
    o.num_layers = 1;
    o.in_dim = recipe->feature_dim;
    o.out_dim = classes;
    o.seed = sslcv__recipe_seed(options, 1);
    SSLCV__TRY(sslcv_head_create_mlp(context, &o, &recipe->head));
end:
    return status;
}

static sslcv_status make_schedule(const sslcv__settings *settings, const sslcv__recipe *recipe,
                                  sslcv_schedule *schedule)
{
    const int is_cifar = settings->preset == SSLCV__PRESET_CIFAR;
    const double rate = recipe->learning_rate * (double)recipe->batch / (is_cifar ? 128.0 : 256.0);
    sslcv_status status;

    SSLCV__TRY(
        sslcv_schedule_init(schedule, sizeof *schedule, is_cifar ? SSLCV_SCHEDULE_COSINE : SSLCV_SCHEDULE_STEPS, rate));
    SSLCV__TRY(sslcv__settings_real(settings, "warmup_epochs", 0.0, 1e6, &schedule->warmup_epochs));
    schedule->by_epoch = is_cifar;
    if (!is_cifar) {
        schedule->num_milestones = 2;
        schedule->milestones[0] = (double)recipe->epochs / 3.0;
        schedule->milestones[1] = 2.0 * (double)recipe->epochs / 3.0;
    }
end:
    return status;
}

static sslcv_status make_optimizer(sslcv_context *context, const sslcv__settings *settings, sslcv__recipe *recipe)
{
    sslcv_optimizer_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_optimizer_options_init(&o, sizeof o, SSLCV_OPTIMIZER_SGD));
    SSLCV__TRY(sslcv__settings_real(settings, "momentum", 0.0, 1.0, &o.momentum));
    SSLCV__TRY(sslcv__settings_real(settings, "weight_decay", 0.0, 1e6, &o.weight_decay));
    SSLCV__TRY(sslcv_optimizer_create(context, &o, &recipe->optimizer));
end:
    return status;
}

static sslcv_status create(sslcv_context *context, const sslcv_method_options *options, const sslcv__settings *settings,
                           sslcv_trainer **out)
{
    const int is_cifar = settings->preset == SSLCV__PRESET_CIFAR;
    sslcv__recipe recipe = {0};
    sslcv_schedule learning_rate;
    int64_t classes;
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_begin(settings, &recipe));
    SSLCV__TRY(choose_classes(options, settings, &classes));
    SSLCV__TRY(sslcv_loss_create_cross_entropy(context, NULL, &recipe.loss));
    SSLCV__TRY(make_optimizer(context, settings, &recipe));
    SSLCV__TRY(make_schedule(settings, &recipe, &learning_rate));
    SSLCV__TRY(sslcv__recipe_augment(context, options, settings, is_cifar ? "finetune-cifar" : "finetune", &recipe));
    SSLCV__TRY(sslcv__recipe_backbone(context, options, settings, 0, &recipe));
    SSLCV__TRY(make_head(context, options, classes, &recipe));
    SSLCV__TRY(sslcv__recipe_finish(context, options, settings, &learning_rate, 1, &recipe));
    *out = recipe.trainer;
    recipe.trainer = NULL;
end:
    sslcv__recipe_free(&recipe);
    return status;
}

const sslcv__method sslcv__method_supervised = {"supervised", settings_table,
                                                (int64_t)(sizeof settings_table / sizeof settings_table[0]), create};
