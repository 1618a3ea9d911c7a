/*
 * PIRL, pretext-invariant representations (Misra, van der Maaten 2020): an image and its transform (nine shuffled
 * patches, or the image turned) are both to find what the image was when it was last seen, among all images of the data
 * set. That stands in a bank, a row an image, which the image alone writes.
 *
 *     0: {0: image}                 -> backbone -> f: linear                           nce_bank(0, 1)
 *     1: {1: 9 patches, shuffled}   -> backbone -> g: linear a patch, joined, linear
 *        {1: turned image}          -> backbone -> g: linear                           with pretext=rotation
 *
 * "imagenet": facebookresearch/vissl. "cifar": nothing is published; loss and temperature of VISSL's variant with an
 * MLP, MoCo's CIFAR demo where it has the number.
 */
#include "method/method.h"

#include <math.h>

static const sslcv__setting settings_table[] = {
    {"epochs", {"200", "800"}, "passes over the data set; VISSL 200 and 800"},
    {"batch", {"256", "1024"}, "images a step; VISSL 1024"},
    {"size", {"32", "224"}, "height and width of the image in pixels; patches 10/32 (cifar) or 64/224 of that"},
    {"learning_rate", {"0.03", "0.03"}, "for 256 images a step, scaled by batch; VISSL 0.12 for 1024"},
    {"weight_decay", {"5e-4", "1e-4"}, "VISSL 1e-4"},
    {"decay", {"weights", "weights"}, "what decays: weights, without norms and biases (VISSL), or all"},
    {"momentum", {"0.9", "0.9"}, "of SGD"},
    {"warmup_epochs", {"0", "0"}, "linear from 0"},
    {"end_rate", {"0", "0.001"}, "share of the rate that is left at the end; VISSL 0.001"},
    {"pretext", {"jigsaw", "jigsaw"}, "jigsaw or rotation (by 0, 90, 180 or 270 degrees); PIRL"},
    {"blur", {"no", "no"}, "yes: flip, strong jitter, grey and blur on all views; VISSL's variant with an MLP"},
    {"loss", {"softmax", "nce"}, "nce (VISSL), or softmax (its variant with an MLP)"},
    {"temperature", {"0.1", "0.07"}, "of the loss; VISSL 0.07, its variant 0.1"},
    {"negatives", {"4096", "32000"}, "rows drawn for an embedding; VISSL 32000"},
    {"balance", {"0.5", "0.5"}, "share of the transform's loss, the rest is the image's; VISSL"},
    {"bank_size", {"0", "0"}, "rows of the bank; 0: as the data set has samples"},
    {"bank_momentum", {"0.5", "0.5"}, "share of the old row; VISSL"},
    {"exclude_self", {"no", "no"}, "yes: an image's own row is not among those drawn; akwasigroch"},
    {"head_layers", {"1", "1"}, "of f, and of g on each patch; VISSL 1, its variant 2"},
    {"hidden_dim", {"0", "0"}, "of heads with more layers; 0: as the features"},
    {"out_dim", {"128", "128"}, "of the embeddings; VISSL"},
    SSLCV__SETTINGS_COMMON("resnet18", "resnet50")};

enum pretext { JIGSAW, ROTATION };
enum { NUM_PATCHES = 9, LEAST_PATCH = 4 /* pixels: the strides of a small ResNet leave something of it */ };

/* ---- views ---- */

static sslcv_status make_views(sslcv__recipe *recipe, enum pretext pretext)
{
    static const char *const no_yes[] = {"no", "yes", NULL}, *const unread[] = {"blur", NULL};
    static const char *const presets[2][3] = {{"pirl-cifar", "pirl-jigsaw", "pirl-jigsaw-blur"},
                                              {"pirl-rotation-cifar", "pirl-rotation", "pirl-rotation-blur"}};
    const char *const *preset = presets[pretext];
    int32_t blur;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_word(recipe->settings, "blur", no_yes, &blur));
    if (recipe->options->augmenter) {
        SSLCV__TRY(sslcv__settings_refuse(recipe->settings, unread, "the augmenter is given"));
    }
    SSLCV__TRY(sslcv__recipe_augment(recipe, preset[blur ? 2 : 0], preset[blur ? 2 : 1]));
end:
    return status;
}

/* Of the transform, as the augmenter cuts it. Nothing is known of a host's views. */
static sslcv_status count_patches(const sslcv__recipe *recipe, enum pretext pretext, int64_t *patches)
{
    sslcv_view_info info = {.struct_size = sizeof info};
    sslcv_status status = SSLCV_OK;

    *patches = pretext == JIGSAW ? NUM_PATCHES : 1;
    if (!recipe->augmenter) return SSLCV_OK;
    SSLCV__TRY(sslcv_augmenter_get_view(recipe->augmenter, 1, &info));
    *patches = info.rows * info.columns;
    if ((pretext == JIGSAW) != (*patches > 1)) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "pirl.pretext is %s; view 1 of the augmenter has %lld %s",
                           pretext == JIGSAW ? "jigsaw" : "rotation", (long long)*patches,
                           *patches > 1 ? "patches" : "patch");
    }
    if (pretext == JIGSAW && info.height > 0 && (info.height < LEAST_PATCH || info.width < LEAST_PATCH)) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "patches of \"pirl\" are %lld x %lld pixels; must be at least %d x %d",
                           (long long)info.height, (long long)info.width, LEAST_PATCH, LEAST_PATCH);
    }
end:
    return status;
}

/* ---- heads ---- */

/* heads[slot] as f: one linear layer, or an MLP without norms. */
static sslcv_status make_image_head(sslcv__recipe *recipe, int64_t slot)
{
    sslcv_mlp_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_mlp_options(recipe, &o));
    SSLCV__TRY(sslcv__recipe_head_layers(recipe, &o));
    o.norm = SSLCV_NORM_NONE;
    SSLCV__TRY(sslcv__recipe_mlp(recipe, &o, slot));
end:
    return status;
}

static sslcv_status make_patch_head(sslcv__recipe *recipe, int64_t patches)
{
    sslcv_patch_mlp_options o;
    int64_t layers;
    sslcv_status status;

    SSLCV__TRY(sslcv_patch_mlp_options_init(&o, sizeof o));
    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "head_layers", 1, 16, &layers));
    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "hidden_dim", 0, INT32_MAX, &o.hidden_dim));
    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "out_dim", 1, INT32_MAX, &o.out_dim));
    o.in_dim = recipe->feature_dim;
    o.num_patches = patches;
    o.patch_dim = o.out_dim;
    o.num_layers = (int32_t)layers;
    o.seed = sslcv__recipe_seed(recipe->options, SSLCV__SEED_HEADS);
    SSLCV__TRY(sslcv_head_create_patch_mlp(recipe->context, &o, &recipe->heads[1]));
end:
    return status;
}

/* ---- the rest ---- */

static sslcv_status make_loss(sslcv__recipe *recipe)
{
    sslcv_nce_bank_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_nce_bank_options_init(&o, sizeof o));
    SSLCV__TRY(sslcv__settings_real(recipe->settings, "balance", 0.0, 1.0, &o.balance));
    o.pairing = SSLCV_BANK_SINGLE;
    o.shared_z = 1;
    o.unit_init = 1;
    o.epsilon = ldexp(1.0, -23);
    SSLCV__TRY(sslcv__recipe_bank(recipe, &o));
end:
    return status;
}

static sslcv_status make_optimizer(sslcv__recipe *recipe)
{
    static const char *const words[] = {"weights", "all", NULL};
    sslcv_optimizer_options o;
    int32_t decays_all;
    sslcv_status status;

    SSLCV__TRY(sslcv_optimizer_options_init(&o, sizeof o, SSLCV_OPTIMIZER_SGD));
    SSLCV__TRY(sslcv__settings_word(recipe->settings, "decay", words, &decays_all));
    o.decay_roles = decays_all ? SSLCV_ROLE_PARAMETERS : SSLCV_ROLE_WEIGHT;
    SSLCV__TRY(sslcv__recipe_optimizer(recipe, &o));
    SSLCV__TRY(sslcv__recipe_rate(recipe, SSLCV_SCHEDULE_COSINE, 256));
    SSLCV__TRY(sslcv__recipe_end_rate(recipe));
    recipe->rate.by_epoch = 1;
end:
    return status;
}

static sslcv_status add_branches(sslcv__recipe *recipe)
{
    sslcv_branch branch;
    int64_t inputs[2], i;
    sslcv_status status = SSLCV_OK;

    for (i = 0; i < 2; i++) {
        SSLCV__TRY(sslcv__recipe_branch(recipe, i, 1, 1, &branch));
        branch.heads = &recipe->heads[i];
        SSLCV__TRY(sslcv_trainer_add_branch(recipe->trainer, &branch, &inputs[i]));
    }
    SSLCV__TRY(sslcv_trainer_add_loss(recipe->trainer, recipe->loss, inputs, 2, 1.0, NULL));
end:
    return status;
}

static sslcv_status compose(sslcv__recipe *recipe)
{
    static const char *const words[] = {"jigsaw", "rotation", NULL};
    int32_t pretext;
    int64_t patches;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_word(recipe->settings, "pretext", words, &pretext));
    SSLCV__TRY(make_loss(recipe));
    SSLCV__TRY(make_optimizer(recipe));
    SSLCV__TRY(make_views(recipe, (enum pretext)pretext));
    SSLCV__TRY(count_patches(recipe, (enum pretext)pretext, &patches));
    SSLCV__TRY(sslcv__recipe_backbone(recipe, 0));
    SSLCV__TRY(make_image_head(recipe, 0));
    if (pretext == JIGSAW) SSLCV__TRY(make_patch_head(recipe, patches));
    if (pretext == ROTATION) SSLCV__TRY(make_image_head(recipe, 1));
    SSLCV__TRY(sslcv__recipe_trainer(recipe));
    SSLCV__TRY(add_branches(recipe));
end:
    return status;
}

const sslcv__method sslcv__method_pirl = {"pirl", settings_table,
                                          (int64_t)(sizeof settings_table / sizeof settings_table[0]), compose};
