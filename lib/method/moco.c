/*
 * MoCo (He et al. 2020; v2: Chen, Fan et al. 2020): a query is to find the key of the other view among the keys of
 * earlier batches. Keys come from a momentum copy of the network.
 *
 *     0: {0} -> backbone -> projection             info_nce(0, 1) with a queue
 *     1: {1} -> momentum copies of both
 *
 * With symmetric both branches take both views, each in a pass of its own. Batch norm goes by groups, and those of the
 * keys are drawn anew, so that a query cannot tell its key by the statistics that they share.
 *
 * "moco-v1": linear projection. "moco-v2": two layers, and other views. Preset "imagenet": facebookresearch/moco.
 * "cifar": of v1 the CIFAR demo in that repository; of v2 lightly's CIFAR-10 benchmark.
 */
#include "method/method.h"

static const sslcv__setting v1_settings[] = {
    {"epochs", {"200", "200"}, "passes over the data set; MoCo and its CIFAR demo 200"},
    {"batch", {"512", "256"}, "images a step; CIFAR demo 512, MoCo 256"},
    {"size", {"32", "224"}, "height and width of the views in pixels"},
    {"learning_rate", {"0.03", "0.03"}, "for 256 images a step, scaled by batch; MoCo; CIFAR demo 0.06 for 512"},
    {"weight_decay", {"5e-4", "1e-4"}, "of all parameters; CIFAR demo, MoCo"},
    {"momentum", {"0.9", "0.9"}, "of SGD"},
    {"warmup_epochs", {"0", "0"}, "linear from 0"},
    {"temperature", {"0.1", "0.07"}, "of the loss; CIFAR demo, MoCo v1"},
    {"queue_size", {"4096", "65536"}, "keys that are remembered; CIFAR demo, MoCo"},
    {"ema_momentum", {"0.99", "0.999"}, "of the key network; CIFAR demo, MoCo"},
    {"bn_splits", {"8", "8"}, "groups of batch norm; CIFAR demo 8, MoCo 8 devices; 1: none"},
    {"symmetric", {"no", "no"}, "both views as queries: no, mean or sum (CIFAR demo's option) of both losses"},
    {"out_dim", {"128", "128"}, "of the projection, one linear layer"},
    SSLCV__SETTINGS_COMMON("resnet18", "resnet50")};

static const sslcv__setting v2_settings[] = {
    {"epochs", {"200", "200"}, "passes over the data set; lightly 200, MoCo v2 200 and 800"},
    {"batch", {"256", "256"}, "images a step; lightly 128 and 512, MoCo v2 256"},
    {"size", {"32", "224"}, "height and width of the views in pixels"},
    {"learning_rate",
     {"0.06", "0.03"},
     "for 128 images a step (cifar, lightly) or 256 (imagenet, MoCo v2); scaled by batch"},
    {"weight_decay", {"5e-4", "1e-4"}, "of all parameters; lightly, MoCo v2"},
    {"momentum", {"0.9", "0.9"}, "of SGD"},
    {"warmup_epochs", {"0", "0"}, "linear from 0"},
    {"temperature", {"0.1", "0.2"}, "of the loss; lightly, MoCo v2"},
    {"queue_size", {"4096", "65536"}, "keys that are remembered; lightly, MoCo v2"},
    {"ema_momentum", {"0.99", "0.999"}, "of the key network; lightly, MoCo v2"},
    {"bn_splits", {"8", "8"}, "groups of batch norm; lightly 8, MoCo v2 8 devices; 1: none"},
    {"symmetric", {"mean", "no"}, "both views as queries: no (MoCo v2), mean (lightly) or sum of both losses"},
    {"hidden_dim", {"0", "0"}, "of the projection; 0: as the features"},
    {"out_dim", {"128", "128"}, "of the projection"},
    SSLCV__SETTINGS_COMMON("resnet18", "resnet50")};

enum symmetric { SYMMETRIC_NO, SYMMETRIC_MEAN, SYMMETRIC_SUM };

static sslcv_status check_batch(const sslcv__recipe *recipe, int64_t queue_size, int64_t num_views, int64_t splits)
{
    const char *name = recipe->settings->method;
    const int64_t batch = recipe->run.batch_size;

    if (queue_size < batch * num_views) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "%s.queue_size is %lld; must be at least %lld, the keys of a step", name,
                           (long long)queue_size, (long long)(batch * num_views));
    }
    if (batch % splits != 0) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "%s.bn_splits is %lld; must divide the batch, which is %lld", name,
                           (long long)splits, (long long)batch);
    }
    return SSLCV_OK;
}

static sslcv_status make_loss(sslcv__recipe *recipe, enum symmetric symmetric, int64_t splits)
{
    sslcv_info_nce_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_info_nce_options_init(&o, sizeof o));
    SSLCV__TRY(sslcv__settings_real(recipe->settings, "temperature", 1e-6, 1e6, &o.temperature));
    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "queue_size", 1, INT32_MAX, &o.queue_size));
    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "out_dim", 1, INT32_MAX, &o.dim));
    SSLCV__TRY(check_batch(recipe, o.queue_size, symmetric ? 2 : 1, splits));
    o.seed = sslcv__recipe_seed(recipe->options, SSLCV__SEED_LOSS);
    o.reduction = symmetric == SYMMETRIC_SUM ? SSLCV_REDUCTION_SUM : SSLCV_REDUCTION_MEAN;
    SSLCV__TRY(sslcv_loss_create_info_nce(recipe->context, &o, &recipe->loss));
end:
    return status;
}

/* v1 on ImageNet: a tenth at 120 and at 160 epochs of 200. */
static sslcv_status make_optimizer(sslcv__recipe *recipe, int is_v2)
{
    const int32_t kind = is_v2 || recipe->is_cifar ? SSLCV_SCHEDULE_COSINE : SSLCV_SCHEDULE_STEPS;
    sslcv_optimizer_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_optimizer_options_init(&o, sizeof o, SSLCV_OPTIMIZER_SGD));
    SSLCV__TRY(sslcv__recipe_optimizer(recipe, &o));
    SSLCV__TRY(sslcv__recipe_rate(recipe, kind, is_v2 && recipe->is_cifar ? 128 : 256));
    SSLCV__TRY(sslcv__recipe_ema(recipe, SSLCV_EMA_BEFORE_FORWARD));
    recipe->rate.by_epoch = 1;
    if (kind == SSLCV_SCHEDULE_STEPS) {
        recipe->rate.num_milestones = 2;
        recipe->rate.milestones[0] = 0.6 * (double)recipe->run.epochs;
        recipe->rate.milestones[1] = 0.8 * (double)recipe->run.epochs;
    }
end:
    return status;
}

static sslcv_status make_projection(sslcv__recipe *recipe, int is_v2)
{
    sslcv_mlp_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_mlp_options_init(&o, sizeof o));
    o.num_layers = is_v2 ? 2 : 1;
    o.norm = SSLCV_NORM_NONE;
    o.in_dim = recipe->feature_dim;
    if (is_v2) SSLCV__TRY(sslcv__settings_integer(recipe->settings, "hidden_dim", 0, INT32_MAX, &o.hidden_dim));
    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "out_dim", 1, INT32_MAX, &o.out_dim));
    SSLCV__TRY(sslcv__recipe_mlp(recipe, &o, 0));
end:
    return status;
}

static sslcv_status add_branches(sslcv__recipe *recipe, int is_symmetric, int32_t splits)
{
    sslcv_branch branch;
    int64_t inputs[2];
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_branch(recipe, 0, is_symmetric ? 2 : 1, 1, &branch));
    branch.grouping = branch.head_grouping = SSLCV_GROUPING_BY_VIEW;
    branch.bn_splits = splits;
    SSLCV__TRY(sslcv_trainer_add_branch(recipe->trainer, &branch, &inputs[0]));
    if (!is_symmetric) branch.views = &recipe->views[1];
    branch.momentum = 1;
    branch.flags = SSLCV_PASS_TRAIN | (splits > 1 ? SSLCV_PASS_SHUFFLE : 0);
    SSLCV__TRY(sslcv_trainer_add_branch(recipe->trainer, &branch, &inputs[1]));
    SSLCV__TRY(sslcv_trainer_add_loss(recipe->trainer, recipe->loss, inputs, 2, 1.0, NULL));
end:
    return status;
}

static sslcv_status compose(sslcv__recipe *recipe, int is_v2)
{
    static const char *const words[] = {"no", "mean", "sum", NULL};
    int32_t symmetric;
    int64_t splits;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_word(recipe->settings, "symmetric", words, &symmetric));
    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "bn_splits", 1, INT32_MAX, &splits));
    SSLCV__TRY(make_loss(recipe, (enum symmetric)symmetric, splits));
    SSLCV__TRY(make_optimizer(recipe, is_v2));
    SSLCV__TRY(sslcv__recipe_augment(recipe, "moco-cifar", is_v2 ? "moco-v2" : "moco-v1"));
    SSLCV__TRY(sslcv__recipe_backbone(recipe, 0));
    SSLCV__TRY(make_projection(recipe, is_v2));
    SSLCV__TRY(sslcv__recipe_trainer(recipe));
    SSLCV__TRY(add_branches(recipe, symmetric != SYMMETRIC_NO, (int32_t)splits));
end:
    return status;
}

static sslcv_status compose_v1(sslcv__recipe *recipe)
{
    return compose(recipe, 0);
}

static sslcv_status compose_v2(sslcv__recipe *recipe)
{
    return compose(recipe, 1);
}

const sslcv__method sslcv__method_moco_v1 = {"moco-v1", v1_settings,
                                             (int64_t)(sizeof v1_settings / sizeof v1_settings[0]), compose_v1};
const sslcv__method sslcv__method_moco_v2 = {"moco-v2", v2_settings,
                                             (int64_t)(sizeof v2_settings / sizeof v2_settings[0]), compose_v2};
