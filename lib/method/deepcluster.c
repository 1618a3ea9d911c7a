/*
 * DeepCluster (Caron et al. 2018): before each epoch k-means groups the features of all images; the epoch learns to
 * tell each image's group, with a new top layer each time.
 *
 *     0: {0} -> backbone [-> flatten -> fc -> ReLU] -> top layer     cross_entropy(0), labels: clusters
 *
 * View 1, with nothing drawn, is what is embedded and clustered (deepcluster_labels.c); in front of the last ReLU where
 * there is fc. Batches take all clusters equally often. The top layer has no momentum.
 *
 * "imagenet": facebookresearch/deepcluster: AlexNet behind a Sobel filter, as otherwise clusters follow colours, and
 * two linear layers with dropout as fc. "cifar": no published recipe; a ResNet-18 whose features are clustered as they
 * are, and number of clusters, rate and views by our own trials (docs/methods/deepcluster.md).
 */
#include "method/deepcluster.h"

#include <sslcv/probe.h>

#include <string.h>

static const sslcv__setting settings_table[] = {
    {"epochs", {"200", "200"}, "passes over the data set; DeepCluster 200"},
    {"batch", {"256", "256"}, "images a step; DeepCluster 256"},
    {"size", {"32", "224"}, "height and width of the view in pixels"},
    {"learning_rate", {"0.05", "0.05"}, "for 256 images a step, constant; scaled by batch; DeepCluster"},
    {"top_rate", {"10", "1"}, "the top layer's factor on the rate; DeepCluster 1"},
    {"weight_decay", {"1e-5", "1e-5"}, "of all parameters; DeepCluster"},
    {"momentum", {"0.9", "0.9"}, "of SGD; the top layer has none; DeepCluster"},
    {"warmup_epochs", {"0", "0"}, "linear from 0"},
    {"clusters", {"100", "10000"}, "DeepCluster 10000"},
    {"dims", {"256", "256"}, "of the whitened features; fewer where the features have fewer; DeepCluster 256"},
    {"iterations", {"20", "20"}, "of k-means, at most; DeepCluster 20"},
    {"sobel", {"no", "yes"}, "Sobel filter in front of the network, yes or no; DeepCluster yes"},
    {"hidden_dim", {"0", "4096"}, "of the two linear layers behind the backbone; 0: none; DeepCluster 4096"},
    {"dropout", {"0.5", "0.5"}, "in front of each of these; DeepCluster 0.5"},
    SSLCV__SETTINGS_COMMON("resnet18", "alexnet")};

enum { TRAINED, PLAIN, NUM_VIEWS };

/** What is composed beside the recipe's own. */
typedef struct plan {
    sslcv__clustering clustering;
    int64_t hidden_dim; /* 0: no fc */
    int64_t num_heads;
    double dropout, top_rate;
    int32_t is_alexnet; /* its map is taken whole, not its mean */
    int32_t has_sobel;
} plan;

/* ---- heads that only move numbers ---- */

static int64_t count_of(const sslcv_tensor *t)
{
    return t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3];
}

/* (V, N, P, D) to (V, N, 1, P D): the same numbers in the same order. */
static int32_t flatten_forward(void *user, sslcv_state *state, const sslcv_tensor *in, sslcv_tensor *out,
                               const sslcv_pass *pass)
{
    (void)user;
    (void)state;
    (void)pass;
    memcpy(out->data, in->data, (size_t)count_of(in) * sizeof(float));
    return 0;
}

static int32_t flatten_backward(void *user, sslcv_state *state, const sslcv_tensor *in, const sslcv_tensor *out,
                                const sslcv_tensor *diff_out, sslcv_tensor *diff_in, const sslcv_pass *pass)
{
    (void)user;
    (void)state;
    (void)out;
    (void)pass;
    memcpy(diff_in->data, diff_out->data, (size_t)count_of(in) * sizeof(float));
    return 0;
}

static int32_t relu_forward(void *user, sslcv_state *state, const sslcv_tensor *in, sslcv_tensor *out,
                            const sslcv_pass *pass)
{
    const float *x = in->data;
    float *y = out->data;
    const int64_t count = count_of(in);
    int64_t i;

    (void)user;
    (void)state;
    (void)pass;
    for (i = 0; i < count; i++) y[i] = x[i] > 0.0f ? x[i] : 0.0f;
    return 0;
}

static int32_t relu_backward(void *user, sslcv_state *state, const sslcv_tensor *in, const sslcv_tensor *out,
                             const sslcv_tensor *diff_out, sslcv_tensor *diff_in, const sslcv_pass *pass)
{
    const float *x = in->data, *dy = diff_out->data;
    float *dx = diff_in->data;
    const int64_t count = count_of(in);
    int64_t i;

    (void)user;
    (void)state;
    (void)out;
    (void)pass;
    for (i = 0; i < count; i++) dx[i] = x[i] > 0.0f ? dy[i] : 0.0f;
    return 0;
}

static sslcv_status make_relu(sslcv__recipe *recipe, int64_t dim, int64_t slot)
{
    sslcv_head_callbacks callbacks;
    sslcv_status status;

    SSLCV__TRY(sslcv_head_callbacks_init(&callbacks, sizeof callbacks));
    callbacks.forward = relu_forward;
    callbacks.backward = relu_backward;
    callbacks.in_dim = callbacks.out_dim = dim;
    SSLCV__TRY(sslcv_head_create_custom(recipe->context, &callbacks, &recipe->heads[slot]));
end:
    return status;
}

static sslcv_status make_flatten(sslcv__recipe *recipe, int64_t in_dim, int64_t out_dim, int64_t slot)
{
    sslcv_head_callbacks callbacks;
    sslcv_status status;

    SSLCV__TRY(sslcv_head_callbacks_init(&callbacks, sizeof callbacks));
    callbacks.forward = flatten_forward;
    callbacks.backward = flatten_backward;
    callbacks.in_dim = in_dim;
    callbacks.out_dim = out_dim;
    callbacks.out_patches = 1;
    SSLCV__TRY(sslcv_head_create_custom(recipe->context, &callbacks, &recipe->heads[slot]));
end:
    return status;
}

/* ---- settings ---- */

static sslcv_status read_settings(const sslcv__recipe *recipe, plan *p)
{
    static const char *const words[] = {"no", "yes", NULL};
    const sslcv__settings *settings = recipe->settings;
    sslcv__clustering *c = &p->clustering;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_integer(settings, "clusters", 2, INT32_MAX, &c->clusters));
    SSLCV__TRY(sslcv__settings_integer(settings, "dims", 1, INT32_MAX, &c->dims));
    SSLCV__TRY(sslcv__settings_integer(settings, "iterations", 0, INT32_MAX, &c->iterations));
    SSLCV__TRY(sslcv__settings_word(settings, "sobel", words, &p->has_sobel));
    SSLCV__TRY(sslcv__settings_integer(settings, "hidden_dim", 0, INT32_MAX, &p->hidden_dim));
    SSLCV__TRY(sslcv__settings_real(settings, "dropout", 0.0, 1.0, &p->dropout));
    SSLCV__TRY(sslcv__settings_real(settings, "top_rate", 0.0, 1e6, &p->top_rate));
    if (!recipe->options->dataset) {
        return sslcv__invalid("\"%s\" has no data set; it clusters one, so views of the host are not enough",
                              settings->method);
    }
    c->context = recipe->context;
    c->dataset = recipe->options->dataset;
    c->batch_size = recipe->run.batch_size;
    c->view = PLAIN;
end:
    return status;
}

static sslcv_status check_clusters(const sslcv__recipe *recipe, const plan *p)
{
    sslcv_dataset_info info = {.struct_size = sizeof info};
    const sslcv_status status = sslcv_dataset_get_info(recipe->options->dataset, &info);

    if (status != SSLCV_OK || p->clustering.clusters <= info.count) return status;
    return sslcv__fail(SSLCV_ERR_LIMIT, "%s.clusters is %lld; the data set has %lld images", recipe->settings->method,
                       (long long)p->clustering.clusters, (long long)info.count);
}

/* ---- views ---- */

static sslcv_status add_sobel(sslcv__recipe *recipe)
{
    sslcv_transform t;
    int64_t view;
    sslcv_status status;

    SSLCV__TRY(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_SOBEL));
    for (view = 0; view < NUM_VIEWS; view++) SSLCV__TRY(sslcv_augmenter_add_transform(recipe->augmenter, view, &t));
end:
    return status;
}

static sslcv_status make_views(sslcv__recipe *recipe, plan *p)
{
    static const char *const unread[] = {"sobel", NULL};
    const int is_given = recipe->options->augmenter != NULL;
    sslcv_view_info info = {.struct_size = sizeof info};
    int64_t size;
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_augment(recipe, "deepcluster-cifar", "deepcluster"));
    if (is_given) {
        SSLCV__TRY(sslcv__settings_refuse(recipe->settings, unread, "the augmenter is given"));
    } else {
        SSLCV__TRY(sslcv__settings_integer(recipe->settings, "size", 1, 4096, &size));
        SSLCV__TRY(
            sslcv_augmenter_add_preset(recipe->augmenter, recipe->is_cifar ? "eval-cifar" : "eval", size, NULL, NULL));
        recipe->num_views = NUM_VIEWS;
        if (p->has_sobel) SSLCV__TRY(add_sobel(recipe));
    }
    if (recipe->num_views < NUM_VIEWS) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND,
                           "the augmenter has %lld views; \"%s\" needs 2: the second, with nothing drawn, is clustered",
                           (long long)recipe->num_views, recipe->settings->method);
    }
    SSLCV__TRY(sslcv_augmenter_get_view(recipe->augmenter, TRAINED, &info));
    recipe->channels = info.channels;
    p->clustering.augmenter = recipe->augmenter;
end:
    return status;
}

/* ---- networks ---- */

static sslcv_status make_backbone(sslcv__recipe *recipe, plan *p)
{
    const char *last;
    sslcv_backbone_info info = {.struct_size = sizeof info};
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_backbone(recipe, 0));
    SSLCV__TRY(sslcv_backbone_get_info(recipe->backbone, &info));
    SSLCV__TRY(sslcv_backbone_get_stage(recipe->backbone, info.num_stages - 1, &last, NULL));
    p->is_alexnet = strcmp(last, "conv5") == 0;
end:
    return status;
}

/* Width of the features that fc takes: the whole map of an AlexNet. */
static sslcv_status measure_features(sslcv__recipe *recipe, const plan *p, int64_t *width)
{
    const sslcv_branch *branches;
    sslcv_embed_options o;
    sslcv_tensor features = {0};
    sslcv_branch branch;
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_branch(recipe, PLAIN, 1, 0, &branch));
    branch.flags = p->clustering.flags;
    branches = &branch;
    SSLCV__TRY(sslcv_embed_options_init(&o, sizeof o));
    o.dataset = recipe->options->dataset;
    o.augmenter = recipe->augmenter;
    o.branches = &branches;
    o.num_branches = 1;
    SSLCV__TRY(sslcv_embed(&o, &features, NULL)); /* data is NULL: asks for the shape */
    *width = features.shape[1];
end:
    return status;
}

/* Linear, ReLU, linear, with dropout in front of both. The ReLU behind them is not clustered. */
static sslcv_status make_fc(sslcv__recipe *recipe, const plan *p, int64_t in_dim, int64_t slot)
{
    sslcv_mlp_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_mlp_options_init(&o, sizeof o));
    o.in_dim = in_dim;
    o.hidden_dim = o.out_dim = p->hidden_dim;
    o.norm = SSLCV_NORM_NONE;
    o.dropout = p->dropout;
    o.init_std = 0.01;
    SSLCV__TRY(sslcv__recipe_mlp(recipe, &o, slot));
end:
    return status;
}

static sslcv_status make_top(sslcv__recipe *recipe, const plan *p, int64_t in_dim, int64_t slot)
{
    sslcv_mlp_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_mlp_options_init(&o, sizeof o));
    o.num_layers = 1;
    o.in_dim = in_dim;
    o.out_dim = p->clustering.clusters;
    o.init_std = 0.01;
    SSLCV__TRY(sslcv__recipe_mlp(recipe, &o, slot));
end:
    return status;
}

static sslcv_status make_heads(sslcv__recipe *recipe, plan *p)
{
    const int64_t hidden = p->hidden_dim;
    int64_t count = 0, width = recipe->feature_dim;
    sslcv_status status;

    if (hidden > 0) {
        if (p->is_alexnet) {
            p->clustering.flags = SSLCV_PASS_MAP;
            SSLCV__TRY(measure_features(recipe, p, &width));
            SSLCV__TRY(make_flatten(recipe, recipe->feature_dim, width, count++));
        }
        SSLCV__TRY(make_fc(recipe, p, width, count++));
        p->clustering.num_heads = count;
        SSLCV__TRY(make_relu(recipe, hidden, count++));
        width = hidden;
    }
    p->clustering.top = count;
    SSLCV__TRY(make_top(recipe, p, width, count++));
    p->num_heads = count;
end:
    return status;
}

/* ---- the run ---- */

static sslcv_status make_optimizer(sslcv__recipe *recipe)
{
    sslcv_optimizer_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_optimizer_options_init(&o, sizeof o, SSLCV_OPTIMIZER_SGD));
    SSLCV__TRY(sslcv__recipe_optimizer(recipe, &o));
    SSLCV__TRY(sslcv__recipe_rate(recipe, SSLCV_SCHEDULE_CONSTANT, 256));
end:
    return status;
}

static sslcv_status make_group(sslcv__recipe *recipe, const plan *p)
{
    sslcv_optimizer_group group;
    sslcv_status status;

    SSLCV__TRY(sslcv_optimizer_group_init(&group, sizeof group));
    group.rate_scale = p->top_rate;
    group.momentum = 0.0;
    SSLCV__TRY(sslcv__recipe_group(recipe, p->clustering.top, SSLCV_ROLE_PARAMETERS, &group));
end:
    return status;
}

static sslcv_status make_trainer(sslcv__recipe *recipe, const plan *p)
{
    sslcv_branch branch;
    int64_t input;
    sslcv_status status;

    recipe->run.sampler = SSLCV_SAMPLER_BY_CLASS;
    SSLCV__TRY(sslcv__recipe_trainer(recipe));
    SSLCV__TRY(sslcv__recipe_branch(recipe, TRAINED, 1, p->num_heads, &branch));
    branch.flags |= p->clustering.flags;
    SSLCV__TRY(sslcv_trainer_add_branch(recipe->trainer, &branch, &input));
    SSLCV__TRY(sslcv_loss_create_cross_entropy(recipe->context, NULL, &recipe->loss));
    SSLCV__TRY(sslcv_trainer_add_loss(recipe->trainer, recipe->loss, &input, 1, 1.0, NULL));
    SSLCV__TRY(sslcv__deepcluster_watch(recipe->trainer, &p->clustering));
end:
    return status;
}

static sslcv_status compose(sslcv__recipe *recipe)
{
    plan p = {.hidden_dim = 0};
    sslcv_status status;

    SSLCV__TRY(read_settings(recipe, &p));
    SSLCV__TRY(make_optimizer(recipe));
    SSLCV__TRY(make_views(recipe, &p));
    SSLCV__TRY(make_backbone(recipe, &p));
    SSLCV__TRY(check_clusters(recipe, &p));
    SSLCV__TRY(make_heads(recipe, &p));
    SSLCV__TRY(make_group(recipe, &p));
    SSLCV__TRY(make_trainer(recipe, &p));
end:
    return status;
}

const sslcv__method sslcv__method_deepcluster = {"deepcluster", settings_table,
                                                 (int64_t)(sizeof settings_table / sizeof settings_table[0]), compose};
