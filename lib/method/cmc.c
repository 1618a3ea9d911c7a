/*
 * CMC, contrastive multiview coding (Tian et al. 2020): the lightness of an image is to find what its colours were, and
 * they it, among all images of the data set. Each view has a network of its own. What they were when the image was last
 * seen stands in banks, a row an image.
 *
 *     view 0: crop, flip, colour space
 *     0: {1: its channel 0}      -> backbone 0 -> linear 0      nce_bank(0, 1)
 *     1: {2: its channels 1, 2}  -> backbone 1 -> linear 1
 *
 * Views are from one crop, so that their pixels lie on each other. More views, as many more branches: the augmenter is
 * then the host's.
 *
 * "imagenet": HobbitLong/CMC with two ResNet-50 of half the width ("v1") and a stem of 64 channels. jitter:
 * HobbitLong/PyContrast. "cifar": nothing is published; softmax, as nce learnt nothing there in ten epochs, and MoCo's
 * CIFAR demo where it has the number.
 */
#include "method/method.h"

#include <string.h>

static const sslcv__setting settings_table[] = {
    {"epochs", {"200", "240"}, "passes over the data set; CMC 240, PyContrast 200"},
    {"batch", {"256", "256"}, "images a step; CMC 128 to 256"},
    {"size", {"32", "224"}, "height and width of the views in pixels"},
    {"learning_rate", {"0.12", "0.03"}, "for 256 images a step, scaled by batch; CMC 0.03"},
    {"weight_decay", {"5e-4", "1e-4"}, "of all parameters; CMC 1e-4"},
    {"momentum", {"0.9", "0.9"}, "of SGD"},
    {"warmup_epochs", {"0", "0"}, "linear from 0"},
    {"color_space", {"lab", "lab"}, "lab or ycbcr (CMC), ydbdr (PyContrast)"},
    {"crop_area", {"0.08", "0.08"}, "least share of the image in a crop; CMC 0.08, with AlexNet 0.2"},
    {"jitter", {"no", "no"}, "yes: colours jittered by 0.4, 0.4, 0.4, 0.1 before they are parted; PyContrast"},
    {"first_view", {"1", "1"}, "of those that go into networks; 0 is what they are cut from"},
    {"pairs", {"core", "core"}, "of views: core, the first with each other; full, all; of two the same"},
    {"loss", {"softmax", "nce"}, "nce (CMC) or softmax (PyContrast)"},
    {"temperature", {"0.1", "0.07"}, "of the loss; CMC 0.07, in its README 0.1 for STL-10"},
    {"negatives", {"4096", "16384"}, "rows drawn for an image; CMC's README 4096, its code 16384, PyContrast 65536"},
    {"bank_size", {"0", "0"}, "rows of a bank; 0: as the data set has samples"},
    {"bank_momentum", {"0.9", "0.5"}, "share of the old row; CMC 0.5"},
    {"exclude_self", {"no", "no"}, "yes: an image's own row is not among those drawn"},
    {"out_dim", {"128", "128"}, "of the embeddings; CMC"},
    {"architecture", {"resnet18", "resnet50"}, "resnet18, resnet34, resnet50, resnet101 or alexnet; CMC"},
    {"width", {"0.5", "0.5"}, "factor on the channels of each network; CMC 0.5, 1 and 2; AlexNet 0.5"},
    {"stem_channels", {"0", "64"}, "of the first convolution; 0: as the width says; CMC's ResNets 64; not AlexNet's"},
    SSLCV__SETTINGS_RUN};

static const char *const architectures[] = {"resnet18", "resnet34", "resnet50", "resnet101", "alexnet", NULL};
enum { ALEXNET = 4 };

/* ---- views ---- */

static const struct {
    const char *name;
    int32_t space;
    double mean[3], deviation[3];
} spaces[] = {
    {"lab", SSLCV_COLOR_LAB, {50.0, 6.025, -6.6895}, {50.0, 92.208, 101.1675}},
    {"ydbdr", SSLCV_COLOR_YDBDR, {0.457, -0.082, -0.052}, {0.5, 1.331, 1.333}},
    {"ycbcr", SSLCV_COLOR_YCBCR, {116.151, 121.080, 132.342}, {109.5, 111.855, 111.964}},
};

/* Which views go into networks: recipe->views becomes those, and *count how many. */
static sslcv_status choose_views(sslcv__recipe *recipe, int64_t *count)
{
    const int64_t given = recipe->options->num_backbones;
    int64_t first, there, i;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "first_view", 0, SSLCV__RECIPE_VIEWS - 1, &first));
    there = recipe->augmenter ? recipe->num_views - first : given ? given : 2;
    *count = given ? given : there;
    if (*count > there) {
        return sslcv__fail(SSLCV_ERR_LIMIT,
                           "\"cmc\" has %lld backbones; the augmenter has %lld views from cmc.first_view, "
                           "%lld, on",
                           (long long)given, (long long)there, (long long)first);
    }
    if (*count < 2 || *count > SSLCV__RECIPE_ENCODERS || first + *count > SSLCV__RECIPE_VIEWS) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "\"cmc\" has %lld views from cmc.first_view, %lld, on; must have 2 .. %d",
                           (long long)*count, (long long)first, SSLCV__RECIPE_ENCODERS);
    }
    for (i = 0; i < *count; i++) recipe->views[i] = first + i;
end:
    return status;
}

static sslcv_status add_transform(sslcv__recipe *recipe, int64_t view, const sslcv_transform *transform)
{
    return sslcv_augmenter_add_transform(recipe->augmenter, view, transform);
}

/* The first view: one crop, flipped, in the colour space. */
static sslcv_status add_picture(sslcv__recipe *recipe, int64_t size, double area, int jitter, int32_t space)
{
    sslcv_transform t;
    int64_t view;
    sslcv_status status;

    SSLCV__TRY(sslcv_augmenter_add_view(recipe->augmenter, SSLCV_SOURCE_IMAGE, &view));
    SSLCV__TRY(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_RANDOM_RESIZED_CROP));
    t.height = t.width = size;
    t.min = area;
    SSLCV__TRY(add_transform(recipe, view, &t));
    SSLCV__TRY(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_HORIZONTAL_FLIP));
    SSLCV__TRY(add_transform(recipe, view, &t));
    if (jitter) {
        SSLCV__TRY(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_COLOR_JITTER));
        SSLCV__TRY(add_transform(recipe, view, &t));
    }
    SSLCV__TRY(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_CONVERT_COLOR));
    t.color_space = spaces[space].space;
    SSLCV__TRY(add_transform(recipe, view, &t));
    SSLCV__TRY(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_NORMALIZE));
    t.count = 3;
    memcpy(t.mean, spaces[space].mean, sizeof spaces[space].mean);
    memcpy(t.std, spaces[space].deviation, sizeof spaces[space].deviation);
    SSLCV__TRY(add_transform(recipe, view, &t));
end:
    return status;
}

static sslcv_status add_channels(sslcv__recipe *recipe, int64_t first, int64_t count)
{
    sslcv_transform t;
    int64_t view;
    sslcv_status status;

    SSLCV__TRY(sslcv_augmenter_add_view(recipe->augmenter, 0, &view));
    SSLCV__TRY(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_SELECT_CHANNELS));
    t.first = first;
    t.count = count;
    SSLCV__TRY(add_transform(recipe, view, &t));
end:
    return status;
}

static sslcv_status check_colors(const sslcv__recipe *recipe)
{
    sslcv_dataset_info info = {.struct_size = sizeof info};
    const sslcv_status status = sslcv_dataset_get_info(recipe->options->dataset, &info);

    if (status != SSLCV_OK || info.channels == 0 || info.channels == 3) return status;
    return sslcv__fail(SSLCV_ERR_LIMIT, "\"cmc\" parts lightness and colours; the data set's images have %lld channels",
                       (long long)info.channels);
}

/* The host's augmenter, or ours: of the preset's chains there is but one colour space. */
static sslcv_status make_views(sslcv__recipe *recipe)
{
    static const char *const names[] = {"lab", "ydbdr", "ycbcr", NULL}, *const no_yes[] = {"no", "yes", NULL};
    static const char *const unread[] = {"color_space", "crop_area", "jitter", NULL};
    const sslcv__settings *settings = recipe->settings;
    int32_t space, jitter;
    int64_t size;
    double area;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_word(settings, "color_space", names, &space));
    SSLCV__TRY(sslcv__settings_real(settings, "crop_area", 1e-6, 1.0, &area));
    SSLCV__TRY(sslcv__settings_word(settings, "jitter", no_yes, &jitter));
    if (recipe->options->augmenter) SSLCV__TRY(sslcv__settings_refuse(settings, unread, "the augmenter is given"));
    if (recipe->options->augmenter || !recipe->options->dataset) return sslcv__recipe_augment(recipe, NULL, NULL);
    SSLCV__TRY(sslcv__settings_integer(settings, "size", 1, 4096, &size));
    SSLCV__TRY(check_colors(recipe));
    SSLCV__TRY(sslcv_augmenter_create(recipe->context, &recipe->augmenter));
    SSLCV__TRY(add_picture(recipe, size, area, jitter, space));
    SSLCV__TRY(add_channels(recipe, 0, 1));
    SSLCV__TRY(add_channels(recipe, 1, 2));
    recipe->num_views = 3;
end:
    return status;
}

/* Of the i-th that goes into a network. Height 0: it follows the image's. */
static sslcv_status view_shape(const sslcv__recipe *recipe, int64_t i, int64_t *channels, int64_t *height)
{
    sslcv_view_info view = {.struct_size = sizeof view};
    sslcv_dataset_info info = {.struct_size = sizeof info};
    sslcv_status status;

    *channels = i + 1;
    *height = 0;
    if (!recipe->augmenter) return sslcv__settings_integer(recipe->settings, "size", 1, 4096, height);
    SSLCV__TRY(sslcv_augmenter_get_view(recipe->augmenter, recipe->views[i], &view));
    *channels = view.channels;
    *height = view.height;
    if (*channels == 0 && recipe->options->dataset) {
        SSLCV__TRY(sslcv_dataset_get_info(recipe->options->dataset, &info));
        *channels = info.channels;
    }
    if (*channels == 0) *channels = 3;
end:
    return status;
}

/* ---- networks ---- */

static sslcv_status read_network(const sslcv__recipe *recipe, sslcv_backbone_options *o)
{
    const sslcv__settings *settings = recipe->settings;
    int32_t architecture;
    double width;
    int64_t stem;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_word(settings, "architecture", architectures, &architecture));
    SSLCV__TRY(sslcv__settings_real(settings, "width", 1.0 / 64.0, 8.0, &width));
    SSLCV__TRY(sslcv__settings_integer(settings, "stem_channels", 0, 4096, &stem));
    if (architecture == ALEXNET) {
        SSLCV__TRY(sslcv_backbone_options_init(o, sizeof *o, SSLCV_BACKBONE_ALEXNET_HALF));
        o->width = 2.0 * width;
    } else {
        SSLCV__TRY(sslcv_backbone_options_init(o, sizeof *o, SSLCV_BACKBONE_RESNET18 + architecture));
        o->stem = recipe->is_cifar ? SSLCV_STEM_CIFAR : SSLCV_STEM_IMAGENET;
        o->stem_channels = stem;
        o->zero_init_residual = 0;
        o->width = width;
    }
end:
    return status;
}

static sslcv_status make_encoder(sslcv__recipe *recipe, int64_t i)
{
    sslcv_backbone_options o;
    int64_t height;
    sslcv_status status;

    SSLCV__TRY(read_network(recipe, &o));
    SSLCV__TRY(view_shape(recipe, i, &o.channels, &height));
    if (o.architecture == SSLCV_BACKBONE_ALEXNET_HALF) o.image_size = height;
    o.seed = sslcv__recipe_seed(recipe->options, SSLCV__SEED_ENCODERS + (uint64_t)i);
    SSLCV__TRY(sslcv_backbone_create(recipe->context, &o, &recipe->encoders[i]));
end:
    return status;
}

/* The host's i-th, or a new one; and the linear layer behind it. */
static sslcv_status make_network(sslcv__recipe *recipe, int64_t i)
{
    static const char *const unread[] = {"architecture", "width", "stem_channels", NULL};
    const sslcv_method_options *options = recipe->options;
    sslcv_backbone_info info = {.struct_size = sizeof info};
    sslcv_mlp_options linear;
    sslcv_status status;

    if (options->num_backbones > 0) {
        SSLCV__TRY(sslcv__settings_refuse(recipe->settings, unread, "the backbones are given"));
        SSLCV__TRY(sslcv_retain(options->backbones[i]));
        recipe->encoders[i] = options->backbones[i];
    } else {
        SSLCV__TRY(make_encoder(recipe, i));
    }
    SSLCV__TRY(sslcv_backbone_get_info(recipe->encoders[i], &info));
    SSLCV__TRY(sslcv_mlp_options_init(&linear, sizeof linear));
    linear.num_layers = 1;
    linear.in_dim = info.feature_dim;
    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "out_dim", 1, INT32_MAX, &linear.out_dim));
    SSLCV__TRY(sslcv__recipe_mlp(recipe, &linear, i));
end:
    return status;
}

/* ---- the rest ---- */

static sslcv_status make_loss(sslcv__recipe *recipe, int64_t num_views)
{
    static const char *const pairs[] = {"core", "full", NULL};
    sslcv_nce_bank_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_nce_bank_options_init(&o, sizeof o));
    SSLCV__TRY(sslcv__settings_word(recipe->settings, "pairs", pairs, &o.pairing)); /* SSLCV_BANK_CORE, FULL */
    o.num_inputs = num_views;
    SSLCV__TRY(sslcv__recipe_bank(recipe, &o));
end:
    return status;
}

/* On ImageNet a tenth behind each of 120, 160 and 200 epochs of 240. */
static sslcv_status make_optimizer(sslcv__recipe *recipe)
{
    const double epochs = (double)recipe->run.epochs;
    sslcv_optimizer_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_optimizer_options_init(&o, sizeof o, SSLCV_OPTIMIZER_SGD));
    SSLCV__TRY(sslcv__recipe_optimizer(recipe, &o));
    SSLCV__TRY(sslcv__recipe_rate(recipe, recipe->is_cifar ? SSLCV_SCHEDULE_COSINE : SSLCV_SCHEDULE_STEPS, 256));
    recipe->rate.by_epoch = 1;
    if (!recipe->is_cifar) {
        recipe->rate.num_milestones = 3;
        recipe->rate.milestones[0] = epochs / 2.0;
        recipe->rate.milestones[1] = epochs * 2.0 / 3.0;
        recipe->rate.milestones[2] = epochs * 5.0 / 6.0;
    }
end:
    return status;
}

static sslcv_status add_branches(sslcv__recipe *recipe, int64_t num_views)
{
    int64_t inputs[SSLCV__RECIPE_ENCODERS], i;
    sslcv_branch branch;
    sslcv_status status = SSLCV_OK;

    for (i = 0; i < num_views; i++) {
        SSLCV__TRY(sslcv__recipe_branch(recipe, i, 1, 1, &branch));
        branch.backbone = recipe->encoders[i];
        branch.heads = &recipe->heads[i];
        SSLCV__TRY(sslcv_trainer_add_branch(recipe->trainer, &branch, &inputs[i]));
    }
    SSLCV__TRY(sslcv_trainer_add_loss(recipe->trainer, recipe->loss, inputs, num_views, 1.0, NULL));
end:
    return status;
}

static sslcv_status compose(sslcv__recipe *recipe)
{
    int64_t num_views, i;
    sslcv_status status;

    SSLCV__TRY(make_optimizer(recipe));
    SSLCV__TRY(make_views(recipe));
    SSLCV__TRY(choose_views(recipe, &num_views));
    SSLCV__TRY(make_loss(recipe, num_views));
    for (i = 0; i < num_views; i++) SSLCV__TRY(make_network(recipe, i));
    SSLCV__TRY(sslcv__recipe_trainer(recipe));
    SSLCV__TRY(add_branches(recipe, num_views));
end:
    return status;
}

const sslcv__method sslcv__method_cmc = {"cmc", settings_table,
                                         (int64_t)(sizeof settings_table / sizeof settings_table[0]), compose};
