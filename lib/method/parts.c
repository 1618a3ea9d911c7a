/* What recipes share. Public calls only, as in the recipes themselves. */
#include "method/method.h"

#include <string.h>

static const char *const architectures[] = {"resnet18", "resnet34", "resnet50", "resnet101", NULL};

void sslcv__recipe_free(sslcv__recipe *recipe)
{
    sslcv_trainer_destroy(recipe->trainer);
    sslcv_optimizer_destroy(recipe->optimizer);
    sslcv_augmenter_destroy(recipe->augmenter);
    sslcv_loss_destroy(recipe->loss);
    sslcv_head_destroy(recipe->head);
    sslcv_backbone_destroy(recipe->backbone);
}

uint64_t sslcv__recipe_seed(const sslcv_method_options *options, uint64_t k)
{
    const uint64_t seed = options->seed + k;

    if (options->seed == 0) return 0;
    return seed == 0 ? 1 : seed;
}

/* As the data set has them; 3 where that is not known. */
static sslcv_status choose_channels(const sslcv_method_options *options, int64_t *channels)
{
    sslcv_dataset_info info;
    sslcv_status status = SSLCV_OK;

    if (*channels == 0 && options->dataset) {
        info.struct_size = sizeof info;
        status = sslcv_dataset_get_info(options->dataset, &info);
        if (status == SSLCV_OK) *channels = info.channels;
    }
    if (*channels == 0) *channels = 3;
    return status;
}

static sslcv_status make_backbone(sslcv_context *context, const sslcv_method_options *options,
                                  const sslcv__settings *settings, int32_t zero_init_residual,
                                  sslcv_backbone **backbone)
{
    static const char *const unread[] = {"architecture", "width", "channels", NULL};
    sslcv_backbone_options o;
    int32_t architecture;
    sslcv_status status;

    if (options->num_backbones > 0) {
        SSLCV__TRY(sslcv__settings_refuse(settings, unread, "the backbone is given"));
        SSLCV__TRY(sslcv_retain(options->backbones[0]));
        *backbone = options->backbones[0];
        return SSLCV_OK;
    }
    SSLCV__TRY(sslcv__settings_word(settings, "architecture", architectures, &architecture));
    SSLCV__TRY(sslcv_backbone_options_init(&o, sizeof o, SSLCV_BACKBONE_RESNET18 + architecture));
    o.stem = settings->preset == SSLCV__PRESET_CIFAR ? SSLCV_STEM_CIFAR : SSLCV_STEM_IMAGENET;
    o.zero_init_residual = zero_init_residual;
    o.seed = sslcv__recipe_seed(options, 0);
    SSLCV__TRY(sslcv__settings_real(settings, "width", 1.0 / 64.0, 16.0, &o.width));
    SSLCV__TRY(sslcv__settings_integer(settings, "channels", 0, 16, &o.channels));
    SSLCV__TRY(choose_channels(options, &o.channels));
    SSLCV__TRY(sslcv_backbone_create(context, &o, backbone));
end:
    return status;
}

sslcv_status sslcv__recipe_begin(const sslcv__settings *settings, sslcv__recipe *recipe)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_integer(settings, "epochs", 1, INT32_MAX, &recipe->epochs));
    SSLCV__TRY(sslcv__settings_integer(settings, "batch", 1, INT32_MAX, &recipe->batch));
    SSLCV__TRY(sslcv__settings_real(settings, "learning_rate", 0.0, 1e6, &recipe->learning_rate));
end:
    return status;
}

sslcv_status sslcv__recipe_backbone(sslcv_context *context, const sslcv_method_options *options,
                                    const sslcv__settings *settings, int32_t zero_init_residual, sslcv__recipe *recipe)
{
    sslcv_backbone_info info;
    sslcv_status status;

    SSLCV__TRY(make_backbone(context, options, settings, zero_init_residual, &recipe->backbone));
    info.struct_size = sizeof info;
    SSLCV__TRY(sslcv_backbone_get_info(recipe->backbone, &info));
    recipe->feature_dim = info.feature_dim;
end:
    return status;
}

sslcv_status sslcv__recipe_augment(sslcv_context *context, const sslcv_method_options *options,
                                   const sslcv__settings *settings, const char *preset, sslcv__recipe *recipe)
{
    static const char *const unread[] = {"size", NULL};
    int64_t size;
    sslcv_status status;

    if (options->augmenter) {
        SSLCV__TRY(sslcv__settings_refuse(settings, unread, "the augmenter is given"));
        SSLCV__TRY(sslcv_retain(options->augmenter));
        recipe->augmenter = options->augmenter;
        return SSLCV_OK;
    }
    SSLCV__TRY(sslcv__settings_integer(settings, "size", 1, 4096, &size));
    if (!options->dataset) return SSLCV_OK;
    SSLCV__TRY(sslcv_augmenter_create(context, &recipe->augmenter));
    SSLCV__TRY(sslcv_augmenter_add_preset(recipe->augmenter, preset, size, NULL, NULL));
end:
    return status;
}

static sslcv_status make_trainer(sslcv_context *context, const sslcv_method_options *options,
                                 const sslcv__settings *settings, const sslcv_schedule *learning_rate,
                                 sslcv__recipe *recipe)
{
    sslcv_trainer_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_trainer_options_init(&o, sizeof o));
    o.dataset = options->dataset;
    o.augmenter = recipe->augmenter;
    o.optimizer = recipe->optimizer;
    o.learning_rate = learning_rate;
    o.checkpoint_path = options->checkpoint_path;
    o.resume = options->resume;
    o.batch_size = recipe->batch;
    o.epochs = recipe->epochs;
    o.seed = sslcv__recipe_seed(options, 2);
    SSLCV__TRY(sslcv__settings_integer(settings, "steps_per_epoch", 0, INT32_MAX, &o.steps_per_epoch));
    SSLCV__TRY(sslcv__settings_integer(settings, "prefetch", 0, 64, &o.prefetch));
    SSLCV__TRY(sslcv__settings_integer(settings, "memory_budget", 0, INT64_MAX >> 20, &o.memory_budget));
    o.memory_budget *= (int64_t)1 << 20;
    SSLCV__TRY(sslcv__settings_integer(settings, "micro_batch", 0, INT32_MAX, &o.micro_batch));
    SSLCV__TRY(sslcv__settings_integer(settings, "checkpoint_epochs", 0, INT32_MAX, &o.checkpoint_epochs));
    SSLCV__TRY(sslcv_trainer_create(context, &o, &recipe->trainer));
end:
    return status;
}

sslcv_status sslcv__recipe_finish(sslcv_context *context, const sslcv_method_options *options,
                                  const sslcv__settings *settings, const sslcv_schedule *learning_rate,
                                  int64_t num_views, sslcv__recipe *recipe)
{
    static const int64_t views[] = {0, 1};
    sslcv_branch branch;
    int64_t input;
    sslcv_status status;

    SSLCV__TRY(make_trainer(context, options, settings, learning_rate, recipe));
    SSLCV__TRY(sslcv_branch_init(&branch, sizeof branch));
    branch.views = views;
    branch.num_views = num_views;
    branch.backbone = recipe->backbone;
    branch.heads = &recipe->head;
    branch.num_heads = 1;
    SSLCV__TRY(sslcv_trainer_add_branch(recipe->trainer, &branch, &input));
    SSLCV__TRY(sslcv_trainer_add_loss(recipe->trainer, recipe->loss, &input, 1, 1.0, NULL));
end:
    return status;
}
