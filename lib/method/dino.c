/*
 * DINO (Caron et al. 2021): a student is to say to which prototypes a teacher, its momentum copy, gives another crop.
 * The teacher's answer is centred and sharpened, against collapse.
 *
 *     0: {0 ... crops - 1} -> backbone -> projection -> prototypes     dino(0, 1)
 *     1: {0, 1} -> momentum copies of all three
 *
 * Copies follow behind the step, with the new weights.
 *
 * "cifar": lightly's CIFAR-10 benchmark, two crops, each alone in its pass. "imagenet": facebookresearch/dino, two crops
 * of 224 and eight of 96 pixels; crops of one size share a pass. There each tensor's gradient is clipped alone, and the
 * prototypes rest in the first epoch, which the authors found to help.
 */
#include "method/method.h"

enum { PROJECTION = 0, PROTOTYPES = 1 };

static const sslcv__setting settings_table[] = {
    {"epochs", {"200", "100"}, "passes over the data set; lightly 200, DINO 100 and more"},
    {"batch", {"256", "512"}, "images a step; DINO 512 and more"},
    {"size", {"32", "224"}, "height and width of the large crops in pixels; small ones 96/224 of that"},
    {"learning_rate",
     {"0.06", "0.0005"},
     "for 128 images a step (cifar, lightly) or 256 (imagenet, DINO); scaled by batch"},
    {"optimizer", {"sgd", "adamw"}, "sgd (lightly; DINO for ResNets, with a decay of 1e-4) or adamw (DINO)"},
    {"weight_decay", {"5e-4", "0.04"}, "of all parameters (cifar, lightly) or of weights (imagenet, DINO)"},
    {"end_decay", {"1", "10"}, "factor on weight_decay that a cosine leads to; DINO from 0.04 to 0.4"},
    {"momentum", {"0.9", "0.9"}, "of SGD; not read by AdamW"},
    {"clip_norm", {"0", "3"}, "of each tensor's gradient alone; 0: none; DINO 3"},
    {"freeze_epochs", {"0", "1"}, "prototypes rest so long; DINO 1"},
    {"warmup_epochs", {"0", "10"}, "linear from 0; DINO 10"},
    {"end_rate", {"0", "0.001"}, "share of the rate that is left at the end; DINO 1e-6 of 0.001"},
    {"ema_momentum", {"0.99", "0.996"}, "of the teacher; lightly, DINO"},
    {"ema_schedule", {"constant", "cosine"}, "constant (lightly), or cosine: rises to 1 (DINO)"},
    {"crops", {"0", "0"}, "views that are used; 0: all of the augmenter; without one 2 (cifar) or 10"},
    {"prototypes", {"2048", "65536"}, "lightly, DINO"},
    {"student_temperature", {"0.1", "0.1"}, "of the loss; lightly, DINO"},
    {"teacher_temperature", {"0.04", "0.04"}, "of the loss; lightly, DINO"},
    {"center_momentum", {"0.9", "0.9"}, "of the loss; lightly, DINO"},
    {"head_layers", {"2", "3"}, "of the projection; lightly 2, DINO 3"},
    {"hidden_dim", {"2048", "2048"}, "of the projection; lightly, DINO"},
    {"out_dim", {"256", "256"}, "of the projection, before the prototypes; lightly, DINO"},
    SSLCV__SETTINGS_COMMON("resnet18", "resnet50")};

static sslcv_status make_loss(sslcv__recipe *recipe)
{
    const sslcv__settings *settings = recipe->settings;
    sslcv_dino_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_dino_options_init(&o, sizeof o));
    SSLCV__TRY(sslcv__settings_integer(settings, "prototypes", 1, INT32_MAX, &o.dim));
    SSLCV__TRY(sslcv__settings_real(settings, "student_temperature", 1e-6, 1e6, &o.student_temperature));
    SSLCV__TRY(sslcv__settings_real(settings, "teacher_temperature", 1e-6, 1e6, &o.teacher_temperature));
    SSLCV__TRY(sslcv__settings_real(settings, "center_momentum", 0.0, 1.0, &o.center_momentum));
    SSLCV__TRY(sslcv_loss_create_dino(recipe->context, &o, &recipe->loss));
end:
    return status;
}

static sslcv_status make_optimizer(sslcv__recipe *recipe)
{
    static const char *const words[] = {"sgd", "adamw", NULL};
    sslcv_optimizer_options o;
    double clip, factor;
    int32_t is_adamw;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_word(recipe->settings, "optimizer", words, &is_adamw));
    SSLCV__TRY(sslcv__settings_real(recipe->settings, "clip_norm", 0.0, 1e6, &clip));
    SSLCV__TRY(sslcv__settings_real(recipe->settings, "end_decay", 0.0, 1e6, &factor));
    SSLCV__TRY(sslcv_optimizer_options_init(&o, sizeof o, is_adamw ? SSLCV_OPTIMIZER_ADAMW : SSLCV_OPTIMIZER_SGD));
    o.clip_norm = clip;
    o.clip_each = clip > 0.0;
    if (!recipe->is_cifar) o.decay_roles = SSLCV_ROLE_WEIGHT;
    SSLCV__TRY(sslcv__recipe_optimizer(recipe, &o));
    SSLCV__TRY(sslcv__recipe_rate(recipe, SSLCV_SCHEDULE_COSINE, recipe->is_cifar ? 128 : 256));
    SSLCV__TRY(sslcv__recipe_end_rate(recipe));
    SSLCV__TRY(sslcv__recipe_ema(recipe, SSLCV_EMA_AFTER_STEP));
    recipe->rate.by_epoch = recipe->is_cifar;
    if (factor == 1.0) return SSLCV_OK;
    SSLCV__TRY(sslcv_schedule_init(&recipe->decay, sizeof recipe->decay, SSLCV_SCHEDULE_COSINE, o.weight_decay));
    recipe->decay.end_value = factor * o.weight_decay;
    recipe->run.weight_decay = &recipe->decay;
end:
    return status;
}

/* The authors' projection has no norm and begins with small weights; lightly's has one, and no bias before it. */
static sslcv_status make_heads(sslcv__recipe *recipe)
{
    sslcv_mlp_options o;
    sslcv_prototypes_options p;
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_mlp_options(recipe, &o));
    SSLCV__TRY(sslcv__recipe_head_layers(recipe, &o));
    o.activation = SSLCV_ACTIVATION_GELU;
    o.norm = recipe->is_cifar ? SSLCV_NORM_BATCH : SSLCV_NORM_NONE;
    o.bias = !recipe->is_cifar;
    o.init_std = recipe->is_cifar ? 0.0 : 0.02;
    SSLCV__TRY(sslcv__recipe_mlp(recipe, &o, PROJECTION));
    SSLCV__TRY(sslcv_prototypes_options_init(&p, sizeof p));
    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "prototypes", 1, INT32_MAX, &p.out_dim));
    p.in_dim = o.out_dim;
    p.seed = sslcv__recipe_seed(recipe->options, SSLCV__SEED_HEADS);
    SSLCV__TRY(sslcv_head_create_prototypes(recipe->context, &p, &recipe->heads[PROTOTYPES]));
end:
    return status;
}

static sslcv_status freeze_prototypes(sslcv__recipe *recipe)
{
    sslcv_optimizer_group group;
    sslcv_status status;

    SSLCV__TRY(sslcv_optimizer_group_init(&group, sizeof group));
    SSLCV__TRY(sslcv__recipe_freeze_steps(recipe, &group.freeze_steps));
    if (group.freeze_steps == 0) return SSLCV_OK;
    SSLCV__TRY(sslcv__recipe_group(recipe, PROTOTYPES, SSLCV_ROLE_PARAMETERS, &group));
end:
    return status;
}

static sslcv_status compose(sslcv__recipe *recipe)
{
    sslcv_branch branch;
    int64_t crops, inputs[2];
    sslcv_status status;

    SSLCV__TRY(make_loss(recipe));
    SSLCV__TRY(make_optimizer(recipe));
    SSLCV__TRY(sslcv__recipe_augment(recipe, "dino-cifar", "dino"));
    SSLCV__TRY(sslcv__recipe_crops(recipe, 2, 10, &crops));
    SSLCV__TRY(sslcv__recipe_backbone(recipe, 0));
    SSLCV__TRY(make_heads(recipe));
    SSLCV__TRY(freeze_prototypes(recipe));
    SSLCV__TRY(sslcv__recipe_trainer(recipe));
    SSLCV__TRY(sslcv__recipe_branch(recipe, 0, crops, 2, &branch));
    branch.grouping = recipe->is_cifar ? SSLCV_GROUPING_BY_VIEW : SSLCV_GROUPING_JOINED;
    branch.head_grouping = branch.grouping;
    SSLCV__TRY(sslcv_trainer_add_branch(recipe->trainer, &branch, &inputs[0]));
    branch.num_views = 2;
    branch.momentum = 1;
    branch.flags = SSLCV_PASS_TRAIN;
    SSLCV__TRY(sslcv_trainer_add_branch(recipe->trainer, &branch, &inputs[1]));
    SSLCV__TRY(sslcv_trainer_add_loss(recipe->trainer, recipe->loss, inputs, 2, 1.0, NULL));
end:
    return status;
}

const sslcv__method sslcv__method_dino = {"dino", settings_table,
                                          (int64_t)(sizeof settings_table / sizeof settings_table[0]), compose};
