/*
 * SwAV (Caron et al. 2020): each view is to say to which prototypes other views of the image were given. The codes of a
 * batch use all prototypes alike. Many small crops beside two large ones.
 *
 *     0: {0, 1 ... crops - 1} -> backbone -> projection     swapped(0)
 *
 * The backbone sees crops of one size in one pass, the projection all of them. Prototypes are in the loss.
 *
 * "cifar": lightly's CIFAR-10 benchmark, two crops. "imagenet": facebookresearch/swav at batch 4096, two crops of 224
 * and six of 96 pixels.
 */
#include "method/method.h"

static const sslcv__setting settings_table[] = {
    {"epochs", {"200", "400"}, "passes over the data set; lightly 200, SwAV 100 to 800"},
    {"batch", {"256", "4096"}, "images a step; SwAV 4096, or 256 with a queue"},
    {"size", {"32", "224"}, "height and width of the large crops in pixels; small ones 96/224 of that"},
    {"learning_rate",
     {"0.001", "0.3"},
     "for 128 images a step (cifar, lightly) or 256 (imagenet; SwAV 4.8 for 4096, 0.6 for 256); scaled by batch"},
    {"weight_decay", {"1e-6", "1e-6"}, "of all parameters; lightly, SwAV"},
    {"momentum", {"0.9", "0.9"}, "of LARC; not read by Adam (cifar)"},
    {"warmup_epochs", {"0", "10"}, "linear from 0 (cifar) or 1/16 of the rate (imagenet); SwAV 10, 0 at batch 256"},
    {"end_rate", {"0", "0.001"}, "share of the rate that is left at the end; SwAV 0.001"},
    {"crops", {"0", "0"}, "views that are used; 0: all of the augmenter; without one 2 (cifar) or 8"},
    {"code_views", {"2", "2"}, "first views, which are given codes; SwAV 2"},
    {"prototypes", {"512", "3000"}, "lightly, SwAV"},
    {"temperature", {"0.1", "0.1"}, "of the loss; lightly, SwAV"},
    {"epsilon", {"0.05", "0.05"}, "of the codes; lightly, SwAV"},
    {"iterations", {"3", "3"}, "of Sinkhorn; lightly, SwAV"},
    {"queue_size", {"0", "0"}, "rows for each code view; SwAV 0, at batch 256 1920"},
    {"queue_start_epoch", {"15", "15"}, "when the queue begins; SwAV 15"},
    {"freeze_epochs", {"0", "1"}, "prototypes rest so long; SwAV 1"},
    {"hidden_dim", {"0", "2048"}, "of the projection; 0: as the features; SwAV 2048"},
    {"out_dim", {"128", "128"}, "of the projection; lightly, SwAV"},
    SSLCV__SETTINGS_COMMON("resnet18", "resnet50")};

static sslcv_status make_optimizer(sslcv__recipe *recipe)
{
    sslcv_optimizer_options o;
    sslcv_status status;

    SSLCV__TRY(
        sslcv_optimizer_options_init(&o, sizeof o, recipe->is_cifar ? SSLCV_OPTIMIZER_ADAM : SSLCV_OPTIMIZER_LARC));
    SSLCV__TRY(sslcv__recipe_optimizer(recipe, &o));
    SSLCV__TRY(sslcv__recipe_rate(recipe, SSLCV_SCHEDULE_COSINE, recipe->is_cifar ? 128 : 256));
    SSLCV__TRY(sslcv__recipe_end_rate(recipe));
    recipe->rate.by_epoch = recipe->is_cifar;
    if (!recipe->is_cifar) {
        recipe->rate.warmup_start = recipe->rate.value / 16.0; /* 0.3 to 4.8 */
        recipe->rate.warmup_reaches = 1;
    }
end:
    return status;
}

static sslcv_status choose_crops(const sslcv__recipe *recipe, int64_t *crops)
{
    int64_t code_views;
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_crops(recipe, 2, 8, crops));
    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "code_views", 1, SSLCV__RECIPE_VIEWS, &code_views));
    if (code_views > *crops) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "swav.code_views is %lld; there are %lld crops", (long long)code_views,
                           (long long)*crops);
    }
end:
    return status;
}

static sslcv_status make_loss(sslcv__recipe *recipe)
{
    const sslcv__settings *settings = recipe->settings;
    sslcv_swapped_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_swapped_options_init(&o, sizeof o));
    SSLCV__TRY(sslcv__settings_integer(settings, "out_dim", 1, INT32_MAX, &o.dim));
    SSLCV__TRY(sslcv__settings_integer(settings, "prototypes", 1, INT32_MAX, &o.num_prototypes));
    SSLCV__TRY(sslcv__settings_integer(settings, "code_views", 1, SSLCV__RECIPE_VIEWS, &o.code_views));
    SSLCV__TRY(sslcv__settings_real(settings, "temperature", 1e-6, 1e6, &o.temperature));
    SSLCV__TRY(sslcv__settings_real(settings, "epsilon", 1e-6, 1e6, &o.epsilon));
    SSLCV__TRY(sslcv__settings_integer(settings, "iterations", 1, INT32_MAX, &o.iterations));
    SSLCV__TRY(sslcv__settings_integer(settings, "queue_size", 0, INT32_MAX, &o.queue_size));
    SSLCV__TRY(sslcv__settings_integer(settings, "queue_start_epoch", 0, INT32_MAX, &o.queue_start_epoch));
    SSLCV__TRY(sslcv__recipe_freeze_steps(recipe, &o.freeze_steps));
    if (o.queue_size > 0 && o.queue_size < recipe->run.batch_size) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "swav.queue_size is %lld; must be 0, or at least the batch, %lld",
                           (long long)o.queue_size, (long long)recipe->run.batch_size);
    }
    o.seed = sslcv__recipe_seed(recipe->options, SSLCV__SEED_LOSS);
    SSLCV__TRY(sslcv_loss_create_swapped(recipe->context, &o, &recipe->loss));
end:
    return status;
}

/* lightly has no bias before the norm. */
static sslcv_status make_projection(sslcv__recipe *recipe)
{
    sslcv_mlp_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_mlp_options(recipe, &o));
    o.bias = !recipe->is_cifar;
    SSLCV__TRY(sslcv__recipe_mlp(recipe, &o, 0));
end:
    return status;
}

static sslcv_status compose(sslcv__recipe *recipe)
{
    int64_t crops;
    sslcv_status status;

    SSLCV__TRY(make_loss(recipe));
    SSLCV__TRY(make_optimizer(recipe));
    SSLCV__TRY(sslcv__recipe_augment(recipe, "swav-cifar", "swav"));
    SSLCV__TRY(choose_crops(recipe, &crops));
    SSLCV__TRY(sslcv__recipe_backbone(recipe, 0));
    SSLCV__TRY(make_projection(recipe));
    SSLCV__TRY(sslcv__recipe_finish(recipe, crops, SSLCV_GROUPING_JOINED));
end:
    return status;
}

const sslcv__method sslcv__method_swav = {"swav", settings_table,
                                          (int64_t)(sizeof settings_table / sizeof settings_table[0]), compose};
