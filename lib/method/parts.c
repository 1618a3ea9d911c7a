/* What recipes share. Public calls only, as in the recipes themselves. */
#include "method/method.h"

#include <string.h>

static const char *const architectures[] = {"resnet18", "resnet34", "resnet50", "resnet101", "alexnet", NULL};

void sslcv__recipe_free(sslcv__recipe *recipe)
{
    int64_t i;

    sslcv_trainer_destroy(recipe->trainer);
    sslcv_optimizer_destroy(recipe->optimizer);
    sslcv_augmenter_destroy(recipe->augmenter);
    sslcv_loss_destroy(recipe->loss);
    for (i = 0; i < SSLCV__RECIPE_HEADS; i++) sslcv_head_destroy(recipe->heads[i]);
    for (i = 0; i < SSLCV__RECIPE_ENCODERS; i++) sslcv_backbone_destroy(recipe->encoders[i]);
    sslcv_backbone_destroy(recipe->backbone);
}

uint64_t sslcv__recipe_seed(const sslcv_method_options *options, uint64_t k)
{
    const uint64_t seed = options->seed + k;

    if (options->seed == 0) return 0;
    return seed == 0 ? 1 : seed;
}

/* ---- the run ---- */

sslcv_status sslcv__recipe_begin(sslcv_context *context, const sslcv_method_options *options,
                                 const sslcv__settings *settings, sslcv__recipe *recipe)
{
    sslcv_trainer_options *run = &recipe->run;
    int64_t i;
    sslcv_status status;

    recipe->context = context;
    recipe->options = options;
    recipe->settings = settings;
    recipe->is_cifar = settings->preset == SSLCV__PRESET_CIFAR;
    for (i = 0; i < SSLCV__RECIPE_VIEWS; i++) recipe->views[i] = i;
    SSLCV__TRY(sslcv_trainer_options_init(run, sizeof *run));
    run->dataset = options->dataset;
    run->checkpoint_path = options->checkpoint_path;
    run->resume = options->resume;
    SSLCV__TRY(sslcv__settings_integer(settings, "epochs", 1, INT32_MAX, &run->epochs));
    SSLCV__TRY(sslcv__settings_integer(settings, "batch", 1, INT32_MAX, &run->batch_size));
    SSLCV__TRY(sslcv__settings_real(settings, "learning_rate", 0.0, 1e6, &recipe->learning_rate));
    SSLCV__TRY(sslcv__settings_integer(settings, "steps_per_epoch", 0, INT32_MAX, &run->steps_per_epoch));
    SSLCV__TRY(sslcv__settings_integer(settings, "prefetch", 0, 64, &run->prefetch));
    SSLCV__TRY(sslcv__settings_integer(settings, "memory_budget", 0, INT64_MAX >> 20, &run->memory_budget));
    run->memory_budget *= (int64_t)1 << 20;
    SSLCV__TRY(sslcv__settings_integer(settings, "micro_batch", 0, INT32_MAX, &run->micro_batch));
    SSLCV__TRY(sslcv__settings_integer(settings, "checkpoint_epochs", 0, INT32_MAX, &run->checkpoint_epochs));
end:
    return status;
}

sslcv_status sslcv__recipe_epoch_steps(const sslcv__recipe *recipe, int64_t *steps)
{
    sslcv_dataset_info info;
    sslcv_status status = SSLCV_OK;

    *steps = recipe->run.steps_per_epoch;
    if (!recipe->options->dataset) return SSLCV_OK;
    info.struct_size = sizeof info;
    SSLCV__TRY(sslcv_dataset_get_info(recipe->options->dataset, &info));
    *steps = info.count / recipe->run.batch_size;
end:
    return status;
}

sslcv_status sslcv__recipe_freeze_steps(const sslcv__recipe *recipe, int64_t *steps)
{
    int64_t epochs, each;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "freeze_epochs", 0, INT32_MAX, &epochs));
    SSLCV__TRY(sslcv__recipe_epoch_steps(recipe, &each));
    *steps = each > 0 && epochs > INT32_MAX / each ? INT32_MAX : epochs * each;
end:
    return status;
}

sslcv_status sslcv__recipe_rate(sslcv__recipe *recipe, int32_t kind, int64_t images)
{
    const double scale = images ? (double)recipe->run.batch_size / (double)images : 1.0;
    sslcv_schedule *rate = &recipe->rate;
    sslcv_status status;

    SSLCV__TRY(sslcv_schedule_init(rate, sizeof *rate, kind, recipe->learning_rate * scale));
    SSLCV__TRY(sslcv__settings_real(recipe->settings, "warmup_epochs", 0.0, 1e6, &rate->warmup_epochs));
    recipe->run.learning_rate = rate;
end:
    return status;
}

sslcv_status sslcv__recipe_end_rate(sslcv__recipe *recipe)
{
    double share;
    const sslcv_status status = sslcv__settings_real(recipe->settings, "end_rate", 0.0, 1.0, &share);

    if (status == SSLCV_OK) recipe->rate.end_value = share * recipe->rate.value;
    return status;
}

static int has_setting(const sslcv__settings *settings, const char *name)
{
    int64_t i;

    for (i = 0; i < settings->count && strcmp(settings->table[i].name, name) != 0; i++) continue;
    return i < settings->count;
}

sslcv_status sslcv__recipe_ema(sslcv__recipe *recipe, int32_t when)
{
    static const char *const words[] = {"constant", "cosine", NULL};
    sslcv_schedule *ema = &recipe->ema;
    double momentum;
    int32_t rises = 0;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_real(recipe->settings, "ema_momentum", 0.0, 1.0, &momentum));
    if (has_setting(recipe->settings, "ema_schedule")) {
        SSLCV__TRY(sslcv__settings_word(recipe->settings, "ema_schedule", words, &rises));
    }
    SSLCV__TRY(
        sslcv_schedule_init(ema, sizeof *ema, rises ? SSLCV_SCHEDULE_COSINE : SSLCV_SCHEDULE_CONSTANT, momentum));
    if (rises) ema->end_value = 1.0;
    recipe->run.ema_momentum = ema;
    recipe->run.ema_when = when;
end:
    return status;
}

/* ---- views ---- */

static int64_t count_views(const sslcv_augmenter *augmenter)
{
    sslcv_view_info info;
    int64_t count = 0;

    info.struct_size = sizeof info;
    while (sslcv_augmenter_get_view(augmenter, count, &info) == SSLCV_OK) count++;
    return count;
}

sslcv_status sslcv__recipe_augment(sslcv__recipe *recipe, const char *cifar, const char *imagenet)
{
    static const char *const unread[] = {"size", NULL};
    const sslcv_method_options *options = recipe->options;
    int64_t size;
    sslcv_status status;

    if (options->augmenter) {
        SSLCV__TRY(sslcv__settings_refuse(recipe->settings, unread, "the augmenter is given"));
        SSLCV__TRY(sslcv_retain(options->augmenter));
        recipe->augmenter = options->augmenter;
        recipe->num_views = count_views(recipe->augmenter);
        return SSLCV_OK;
    }
    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "size", 1, 4096, &size));
    if (!options->dataset) return SSLCV_OK;
    SSLCV__TRY(sslcv_augmenter_create(recipe->context, &recipe->augmenter));
    SSLCV__TRY(sslcv_augmenter_add_preset(recipe->augmenter, recipe->is_cifar ? cifar : imagenet, size, NULL,
                                          &recipe->num_views));
end:
    return status;
}

sslcv_status sslcv__recipe_crops(const sslcv__recipe *recipe, int64_t cifar, int64_t imagenet, int64_t *crops)
{
    const int64_t there = recipe->num_views ? recipe->num_views : recipe->is_cifar ? cifar : imagenet;
    const char *name = recipe->settings->method;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "crops", 0, SSLCV__RECIPE_VIEWS, crops));
    if (*crops == 0) *crops = there;
    if (recipe->num_views > 0 && *crops > there) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "%s.crops is %lld; the augmenter has %lld views", name, (long long)*crops,
                           (long long)there);
    }
    if (*crops < 2 || *crops > SSLCV__RECIPE_VIEWS) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "\"%s\" has %lld views to use; must have 2 .. %d", name, (long long)*crops,
                           SSLCV__RECIPE_VIEWS);
    }
end:
    return status;
}

/* ---- networks ---- */

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

sslcv_status sslcv__recipe_backbone_options(const sslcv__recipe *recipe, sslcv_backbone_options *o)
{
    const sslcv__settings *settings = recipe->settings;
    int32_t architecture;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_word(settings, "architecture", architectures, &architecture));
    SSLCV__TRY(sslcv_backbone_options_init(o, sizeof *o, SSLCV_BACKBONE_RESNET18 + architecture));
    if (recipe->is_cifar && o->architecture != SSLCV_BACKBONE_ALEXNET) o->stem = SSLCV_STEM_CIFAR;
    o->seed = sslcv__recipe_seed(recipe->options, SSLCV__SEED_BACKBONE);
    SSLCV__TRY(sslcv__settings_real(settings, "width", 1.0 / 64.0, 16.0, &o->width));
    SSLCV__TRY(sslcv__settings_integer(settings, "channels", 0, 16, &o->channels));
    SSLCV__TRY(choose_channels(recipe->options, &o->channels));
    if (recipe->channels > 0) o->channels = recipe->channels;
end:
    return status;
}

static sslcv_status read_feature_dim(sslcv__recipe *recipe)
{
    sslcv_backbone_info info;
    sslcv_status status;

    info.struct_size = sizeof info;
    SSLCV__TRY(sslcv_backbone_get_info(recipe->backbone, &info));
    recipe->feature_dim = info.feature_dim;
end:
    return status;
}

sslcv_status sslcv__recipe_make_backbone(sslcv__recipe *recipe, const sslcv_backbone_options *o)
{
    const sslcv_status status = sslcv_backbone_create(recipe->context, o, &recipe->backbone);

    return status == SSLCV_OK ? read_feature_dim(recipe) : status;
}

sslcv_status sslcv__recipe_backbone(sslcv__recipe *recipe, int32_t zero_init_residual)
{
    static const char *const unread[] = {"architecture", "width", "channels", NULL};
    const sslcv_method_options *options = recipe->options;
    sslcv_backbone_options o;
    sslcv_status status;

    if (options->num_backbones > 1) {
        return sslcv__invalid("method.num_backbones is %lld; \"%s\" has one", (long long)options->num_backbones,
                              recipe->settings->method);
    }
    if (options->num_backbones > 0) {
        SSLCV__TRY(sslcv__settings_refuse(recipe->settings, unread, "the backbone is given"));
        SSLCV__TRY(sslcv_retain(options->backbones[0]));
        recipe->backbone = options->backbones[0];
        return read_feature_dim(recipe);
    }
    SSLCV__TRY(sslcv__recipe_backbone_options(recipe, &o));
    o.zero_init_residual = zero_init_residual;
    SSLCV__TRY(sslcv__recipe_make_backbone(recipe, &o));
end:
    return status;
}

sslcv_status sslcv__recipe_mlp_options(const sslcv__recipe *recipe, sslcv_mlp_options *mlp)
{
    sslcv_status status;

    SSLCV__TRY(sslcv_mlp_options_init(mlp, sizeof *mlp));
    mlp->in_dim = recipe->feature_dim;
    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "hidden_dim", 0, INT32_MAX, &mlp->hidden_dim));
    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "out_dim", 1, INT32_MAX, &mlp->out_dim));
end:
    return status;
}

sslcv_status sslcv__recipe_head_layers(const sslcv__recipe *recipe, sslcv_mlp_options *mlp)
{
    int64_t layers;
    const sslcv_status status = sslcv__settings_integer(recipe->settings, "head_layers", 1, 16, &layers);

    if (status == SSLCV_OK) mlp->num_layers = (int32_t)layers;
    return status;
}

sslcv_status sslcv__recipe_mlp(sslcv__recipe *recipe, sslcv_mlp_options *mlp, int64_t slot)
{
    const uint64_t k = slot == 0 ? SSLCV__SEED_HEAD : SSLCV__SEED_HEADS + (uint64_t)slot - 1;

    mlp->seed = sslcv__recipe_seed(recipe->options, k);
    return sslcv_head_create_mlp(recipe->context, mlp, &recipe->heads[slot]);
}

/* ---- the optimizer ---- */

sslcv_status sslcv__recipe_optimizer(sslcv__recipe *recipe, sslcv_optimizer_options *optimizer)
{
    const int is_adam = optimizer->kind == SSLCV_OPTIMIZER_ADAM || optimizer->kind == SSLCV_OPTIMIZER_ADAMW;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_real(recipe->settings, "weight_decay", 0.0, 1e6, &optimizer->weight_decay));
    if (!is_adam) SSLCV__TRY(sslcv__settings_real(recipe->settings, "momentum", 0.0, 1.0, &optimizer->momentum));
    SSLCV__TRY(sslcv_optimizer_create(recipe->context, optimizer, &recipe->optimizer));
end:
    return status;
}

sslcv_status sslcv__recipe_group(sslcv__recipe *recipe, int64_t slot, int32_t roles, const sslcv_optimizer_group *group)
{
    sslcv_state *state = NULL;
    sslcv_status status;

    if (slot < 0) {
        SSLCV__TRY(sslcv_backbone_get_state(recipe->backbone, &state));
    } else {
        SSLCV__TRY(sslcv_head_get_state(recipe->heads[slot], &state));
    }
    SSLCV__TRY(sslcv_optimizer_add(recipe->optimizer, state, roles, group));
end:
    sslcv_state_destroy(state);
    return status;
}

/* ---- the trainer ---- */

sslcv_status sslcv__recipe_trainer(sslcv__recipe *recipe)
{
    recipe->run.augmenter = recipe->augmenter;
    recipe->run.optimizer = recipe->optimizer;
    recipe->run.seed = sslcv__recipe_seed(recipe->options, SSLCV__SEED_RUN);
    return sslcv_trainer_create(recipe->context, &recipe->run, &recipe->trainer);
}

sslcv_status sslcv__recipe_branch(sslcv__recipe *recipe, int64_t first_view, int64_t num_views, int64_t num_heads,
                                  sslcv_branch *branch)
{
    sslcv_status status;

    SSLCV__TRY(sslcv_branch_init(branch, sizeof *branch));
    branch->views = &recipe->views[first_view];
    branch->num_views = num_views;
    branch->backbone = recipe->backbone;
    branch->heads = recipe->heads;
    branch->num_heads = num_heads;
end:
    return status;
}

sslcv_status sslcv__recipe_finish(sslcv__recipe *recipe, int64_t num_views, int32_t grouping)
{
    sslcv_branch branch;
    int64_t input;
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_trainer(recipe));
    SSLCV__TRY(sslcv__recipe_branch(recipe, 0, num_views, 1, &branch));
    branch.grouping = branch.head_grouping = grouping;
    SSLCV__TRY(sslcv_trainer_add_branch(recipe->trainer, &branch, &input));
    SSLCV__TRY(sslcv_trainer_add_loss(recipe->trainer, recipe->loss, &input, 1, 1.0, NULL));
end:
    return status;
}
