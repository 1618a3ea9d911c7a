/*
 * DeepCluster-v2 (Caron et al. 2020, appendix D): before each epoch spherical k-means groups the embeddings of all
 * images as they were last seen; the epoch learns to tell each crop's group, in several groupings at once.
 *
 *     0: {0, 1 ... crops - 1} -> backbone -> projection     cluster(0)
 *
 * The loss remembers, clusters and holds the prototypes, which rest from epoch to epoch. What it lacks before the first
 * epoch, a hook gives it: one pass of the data set through copies of the networks, in training mode.
 *
 * "cifar": solo-learn's recipe (lightly has none), with the views of its sibling SwAV. "imagenet":
 * facebookresearch/swav, main_deepclusterv2.py, at batch 4096, two crops of 224 and six of 96 pixels.
 */
#include "method/deepcluster.h"

#include "core/memory.h"

#include <string.h>

static const sslcv__setting settings_table[] = {
    {"epochs", {"1000", "400"}, "passes over the data set; solo-learn 1000, DeepCluster-v2 400 and 800"},
    {"batch", {"256", "4096"}, "images a step; solo-learn 256, DeepCluster-v2 4096"},
    {"size", {"32", "224"}, "height and width of the large crops in pixels; small ones 96/224 of that"},
    {"learning_rate",
     {"0.6", "0.3"},
     "for 256 images a step, scaled by batch; solo-learn, DeepCluster-v2 (4.8 for 4096)"},
    {"weight_decay", {"1e-6", "1e-6"}, "of weights (cifar, solo-learn) or of all parameters (imagenet)"},
    {"momentum", {"0.9", "0.9"}, "of LARS (cifar) or LARC (imagenet)"},
    {"warmup_epochs", {"10", "10"}, "linear from 0 (cifar) or 1/16 of the rate (imagenet)"},
    {"end_rate", {"0", "0.001"}, "share of the rate that is left at the end; solo-learn, DeepCluster-v2"},
    {"crops", {"0", "0"}, "views that are used; 0: all of the augmenter; without one 2 (cifar) or 8"},
    {"memory_views", {"2", "2"}, "first views, whose embeddings are remembered; DeepCluster-v2 2"},
    {"prototypes", {"3000", "3000"}, "clusters of each grouping; solo-learn, DeepCluster-v2"},
    {"sets", {"3", "3"}, "groupings; solo-learn, DeepCluster-v2"},
    {"iterations", {"10", "10"}, "of k-means; solo-learn, DeepCluster-v2"},
    {"temperature", {"0.1", "0.1"}, "of the loss; solo-learn, DeepCluster-v2"},
    {"samples", {"0", "0"}, "without a data set: images that there are, whose ids are below that"},
    {"hidden_dim", {"2048", "2048"}, "of the projection; 0: as the features; solo-learn, DeepCluster-v2"},
    {"out_dim", {"128", "128"}, "of the projection; solo-learn, DeepCluster-v2"},
    SSLCV__SETTINGS_COMMON("resnet18", "resnet50")};

/* ---- the pass before the first epoch ---- */

/** What the hook needs. */
typedef struct filling {
    sslcv_context *context; /* references */
    sslcv_dataset *dataset;
    sslcv_augmenter *augmenter;
    int64_t batch_size, memory_views, dim;
    int64_t prefetch;
} filling;

/** The pass under way. */
typedef struct fill_pass {
    const filling *f;
    sslcv_loader *loader;
    sslcv_backbone *backbone; /* copies, so that the run's statistics stay as they are */
    sslcv_head *head;
    sslcv_loss *loss;
    sslcv_tape *tapes[2];
    float *embeddings; /* (memory_views, batch_size, dim) */
} fill_pass;

static void free_pass(fill_pass *p)
{
    sslcv__free(p->f->context, p->embeddings);
    sslcv_tape_destroy(p->tapes[1]);
    sslcv_tape_destroy(p->tapes[0]);
    sslcv_loss_destroy(p->loss);
    sslcv_head_destroy(p->head);
    sslcv_backbone_destroy(p->backbone);
    sslcv_loader_destroy(p->loader);
}

static sslcv_status copy_networks(sslcv_trainer *trainer, fill_pass *p)
{
    sslcv_backbone *backbone = NULL;
    sslcv_head *head = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv_trainer_get_backbone(trainer, 0, 0, &backbone));
    SSLCV__TRY(sslcv_trainer_get_head(trainer, 0, 0, 0, &head));
    SSLCV__TRY(sslcv_backbone_clone(backbone, &p->backbone));
    SSLCV__TRY(sslcv_head_clone(head, &p->head));
    SSLCV__TRY(sslcv_trainer_get_loss(trainer, 0, &p->loss));
end:
    sslcv_head_destroy(head);
    sslcv_backbone_destroy(backbone);
    return status;
}

/* Batches as in training: shuffled, as batch norm must not see one class at a time, and only whole ones. */
static sslcv_status make_pass(const filling *f, sslcv_trainer *trainer, fill_pass *p)
{
    const int64_t size = (int64_t)sizeof(float) * f->batch_size;
    sslcv_loader_options o;
    sslcv_status status;
    int i;

    SSLCV__TRY(copy_networks(trainer, p));
    for (i = 0; i < 2; i++) SSLCV__TRY(sslcv_tape_create(f->context, &p->tapes[i]));
    SSLCV__TRY(sslcv__alloc_array(f->context, f->memory_views * f->dim, size, (void **)&p->embeddings));
    SSLCV__TRY(sslcv_loader_options_init(&o, sizeof o));
    o.dataset = f->dataset;
    o.augmenter = f->augmenter;
    o.batch_size = f->batch_size;
    o.prefetch = f->prefetch;
    SSLCV__TRY(sslcv__deepcluster_seed(trainer, 0, 0, &o.seed));
    SSLCV__TRY(sslcv_loader_create(f->context, &o, &p->loader));
end:
    return status;
}

/* Each view on its own, as in the authors' code. */
static sslcv_status embed_view(fill_pass *p, int64_t view)
{
    const int64_t count = p->f->batch_size * p->f->dim;
    sslcv_tensor images, features, rows;
    sslcv_pass pass;
    sslcv_status status;

    SSLCV__TRY(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = SSLCV_PASS_TRAIN;
    SSLCV__TRY(sslcv_loader_get_views(p->loader, &view, 1, &images));
    SSLCV__TRY(sslcv_backbone_forward(p->backbone, &images, &pass, p->tapes[0]));
    SSLCV__TRY(sslcv_tape_output(p->tapes[0], &features));
    SSLCV__TRY(sslcv_head_forward(p->head, &features, &pass, p->tapes[1]));
    SSLCV__TRY(sslcv_tape_output(p->tapes[1], &rows));
    memcpy(p->embeddings + view * count, rows.data, (size_t)count * sizeof(float));
end:
    return status;
}

static sslcv_status remember(fill_pass *p, const int64_t *ids)
{
    const int64_t shape[3] = {p->f->memory_views, p->f->batch_size, p->f->dim};
    sslcv_loss_call call;
    sslcv_tensor input;
    sslcv_status status;

    SSLCV__TRY(sslcv_tensor_init(&input, SSLCV_F32, p->embeddings, 3, shape));
    SSLCV__TRY(sslcv_loss_call_init(&call, sizeof call));
    call.inputs = &input;
    call.num_inputs = 1;
    call.ids = ids;
    SSLCV__TRY(sslcv_loss_compute(p->loss, &call)); /* no diff_inputs, and no labels yet: it only remembers */
end:
    return status;
}

static sslcv_status fill(fill_pass *p)
{
    sslcv_batch batch = {.struct_size = sizeof batch};
    sslcv_status status;
    int64_t view;

    do {
        SSLCV__TRY(sslcv_loader_next(p->loader, &batch));
        for (view = 0; view < p->f->memory_views; view++) SSLCV__TRY(embed_view(p, view));
        SSLCV__TRY(remember(p, batch.ids));
    } while (batch.index + 1 < batch.count);
end:
    return status;
}

static int32_t begin_epoch(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    fill_pass pass = {.f = user};
    sslcv_status status;

    if (progress->epoch > 0) return 0; /* from then on it remembers what it was trained on */
    SSLCV__TRY(make_pass(user, trainer, &pass));
    SSLCV__TRY(fill(&pass));
end:
    free_pass(&pass);
    return status != SSLCV_OK;
}

static void destroy(void *user)
{
    filling *f = user;
    sslcv_context *context = f->context;

    sslcv_augmenter_destroy(f->augmenter);
    sslcv_dataset_destroy(f->dataset);
    sslcv__free(context, f);
    sslcv_context_destroy(context);
}

static sslcv_status add_hook(const sslcv__recipe *recipe, int64_t memory_views, int64_t dim)
{
    filling *f = NULL;
    sslcv_hook hook;
    sslcv_status status;

    SSLCV__TRY(sslcv_hook_init(&hook, sizeof hook));
    SSLCV__TRY(sslcv__alloc_array(recipe->context, 1, sizeof *f, (void **)&f));
    sslcv_retain(f->context = recipe->context); /* handles of ours: it cannot fail */
    sslcv_retain(f->dataset = recipe->options->dataset);
    sslcv_retain(f->augmenter = recipe->augmenter);
    f->batch_size = recipe->run.batch_size;
    f->prefetch = recipe->run.prefetch;
    f->memory_views = memory_views;
    f->dim = dim;
    hook.user = f;
    hook.call = begin_epoch;
    hook.destroy = destroy;
    hook.events = SSLCV_EVENT_EPOCH_BEGIN;
    status = sslcv_trainer_add_hook(recipe->trainer, &hook);
    if (status != SSLCV_OK) destroy(f);
end:
    return status;
}

/* ---- the parts ---- */

static sslcv_status make_optimizer(sslcv__recipe *recipe)
{
    sslcv_optimizer_options o;
    sslcv_status status;

    SSLCV__TRY(
        sslcv_optimizer_options_init(&o, sizeof o, recipe->is_cifar ? SSLCV_OPTIMIZER_LARS : SSLCV_OPTIMIZER_LARC));
    if (recipe->is_cifar) {
        o.trust = 0.02;
        o.trust_clip = 1;
    }
    SSLCV__TRY(sslcv__recipe_optimizer(recipe, &o));
    SSLCV__TRY(sslcv__recipe_rate(recipe, SSLCV_SCHEDULE_COSINE, 256));
    SSLCV__TRY(sslcv__recipe_end_rate(recipe));
    if (!recipe->is_cifar) {
        recipe->rate.warmup_start = recipe->rate.value / 16.0; /* 0.3 to 4.8 */
        recipe->rate.warmup_reaches = 1;
    }
end:
    return status;
}

/* Of the data set, or as set. known: those that the first pass remembers at least. */
static sslcv_status count_samples(const sslcv__recipe *recipe, int64_t *samples, int64_t *known)
{
    sslcv_dataset_info info = {.struct_size = sizeof info};
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "samples", 0, INT32_MAX, samples));
    *known = *samples;
    if (recipe->options->dataset) {
        SSLCV__TRY(sslcv_dataset_get_info(recipe->options->dataset, &info));
        *samples = info.count;
        *known = info.count / recipe->run.batch_size * recipe->run.batch_size;
    } else if (*samples == 0) {
        status = sslcv__invalid("%s.samples is 0; must be given without a data set", recipe->settings->method);
    }
end:
    return status;
}

static sslcv_status read_loss(const sslcv__recipe *recipe, sslcv_cluster_options *o)
{
    const sslcv__settings *settings = recipe->settings;
    sslcv_status status;

    SSLCV__TRY(sslcv_cluster_options_init(o, sizeof *o));
    SSLCV__TRY(sslcv__settings_integer(settings, "out_dim", 1, INT32_MAX, &o->dim));
    SSLCV__TRY(sslcv__settings_integer(settings, "prototypes", 1, INT32_MAX, &o->num_prototypes));
    SSLCV__TRY(sslcv__settings_integer(settings, "sets", 1, 1024, &o->num_sets));
    SSLCV__TRY(sslcv__settings_integer(settings, "memory_views", 1, SSLCV__RECIPE_VIEWS, &o->memory_views));
    SSLCV__TRY(sslcv__settings_integer(settings, "iterations", 0, INT32_MAX, &o->iterations));
    SSLCV__TRY(sslcv__settings_real(settings, "temperature", 1e-6, 1e6, &o->temperature));
    o->seed = sslcv__recipe_seed(recipe->options, SSLCV__SEED_LOSS);
end:
    return status;
}

static sslcv_status make_loss(sslcv__recipe *recipe, sslcv_cluster_options *o, int64_t crops)
{
    const char *name = recipe->settings->method;
    int64_t known;
    sslcv_status status;

    SSLCV__TRY(count_samples(recipe, &o->num_samples, &known));
    if (o->memory_views > crops) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "%s.memory_views is %lld; there are %lld crops", name,
                           (long long)o->memory_views, (long long)crops);
    }
    if (o->num_prototypes > known) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "%s.prototypes is %lld; must be at most %lld, the images of whole batches",
                           name, (long long)o->num_prototypes, (long long)known);
    }
    SSLCV__TRY(sslcv_loss_create_cluster(recipe->context, o, &recipe->loss));
end:
    return status;
}

static sslcv_status make_projection(sslcv__recipe *recipe)
{
    sslcv_mlp_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv__recipe_mlp_options(recipe, &o));
    SSLCV__TRY(sslcv__recipe_mlp(recipe, &o, 0));
end:
    return status;
}

static sslcv_status compose(sslcv__recipe *recipe)
{
    sslcv_cluster_options o;
    int64_t crops;
    sslcv_status status;

    SSLCV__TRY(read_loss(recipe, &o));
    SSLCV__TRY(make_optimizer(recipe));
    SSLCV__TRY(sslcv__recipe_augment(recipe, "deepcluster-v2-cifar", "deepcluster-v2"));
    SSLCV__TRY(sslcv__recipe_crops(recipe, 2, 8, &crops));
    SSLCV__TRY(sslcv__recipe_backbone(recipe, 0));
    SSLCV__TRY(make_projection(recipe));
    SSLCV__TRY(make_loss(recipe, &o, crops));
    SSLCV__TRY(sslcv__recipe_finish(recipe, crops, SSLCV_GROUPING_JOINED));
    if (recipe->options->dataset) SSLCV__TRY(add_hook(recipe, o.memory_views, o.dim));
end:
    return status;
}

const sslcv__method sslcv__method_deepcluster_v2 = {
    "deepcluster-v2", settings_table, (int64_t)(sizeof settings_table / sizeof settings_table[0]), compose};
