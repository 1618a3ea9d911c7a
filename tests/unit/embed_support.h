/** What goes with probes end to end: labelled pictures in memory, views of them, a narrow ResNet, a classifier. */
#ifndef SSLCV__TESTS_EMBED_SUPPORT_H
#define SSLCV__TESTS_EMBED_SUPPORT_H

#include "probe_support.h"

enum { COUNT = 13, CHANNELS = 3, SIDE = 8, PIXELS = CHANNELS * SIDE * SIDE, CLASSES = 3 };

/* A small world: labelled pictures in memory, two views, a narrow ResNet and a classifier on top of it. */
typedef struct world {
    sslcv_context *context;
    sslcv_dataset *dataset;
    sslcv_augmenter *augmenter; /* view 0: as it is; 1: normalised; 2: flipped at random */
    sslcv_backbone *backbone;
    sslcv_head *head; /* feature_dim -> 5 */
    int64_t dim;      /* feature_dim */
} world;

/* Pixels of a sample: its class's pattern, and noise of its own. */
static inline void picture(int64_t index, int64_t label, uint8_t *pixels)
{
    sslcv__rng pattern, noise;
    int64_t i;

    sslcv__rng_init(&pattern, 1, (uint64_t)label, 0);
    sslcv__rng_init(&noise, 2, (uint64_t)index, 0);
    for (i = 0; i < PIXELS; i++) {
        pixels[i] = (uint8_t)(sslcv__rng_below(&pattern, 150) + sslcv__rng_below(&noise, 100));
    }
}

static inline void add_picture(sslcv_dataset *dataset, int64_t index, int64_t label)
{
    const int64_t shape[3] = {CHANNELS, SIDE, SIDE};
    uint8_t pixels[PIXELS];
    sslcv_tensor image;

    picture(index, label, pixels);
    OK(sslcv_tensor_init(&image, SSLCV_U8, pixels, 3, shape));
    OK(sslcv_dataset_add_images(dataset, &image, &label, NULL));
}

static inline sslcv_dataset *make_list(sslcv_context *context, int32_t on_error)
{
    sslcv_dataset_options options;
    sslcv_dataset *dataset;

    OK(sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_LIST));
    options.on_error = on_error;
    OK(sslcv_dataset_create(context, &options, &dataset));
    return dataset;
}

static inline void add_transform(sslcv_augmenter *augmenter, int64_t view, int32_t kind)
{
    sslcv_transform transform;

    OK(sslcv_transform_init(&transform, sizeof transform, kind));
    if (kind == SSLCV_TRANSFORM_NORMALIZE) {
        transform.mean[0] = transform.mean[1] = transform.mean[2] = 0.5;
        transform.std[0] = transform.std[1] = transform.std[2] = 0.25;
        transform.count = 3;
    }
    OK(sslcv_augmenter_add_transform(augmenter, view, &transform));
}

static inline void make_networks(world *w)
{
    sslcv_backbone_options options;
    sslcv_backbone_info info = {.struct_size = sizeof info};
    sslcv_mlp_options mlp;

    OK(sslcv_backbone_options_init(&options, sizeof options, SSLCV_BACKBONE_RESNET18));
    options.stem = SSLCV_STEM_CIFAR;
    options.width = 0.125;
    OK(sslcv_backbone_create(w->context, &options, &w->backbone));
    OK(sslcv_backbone_get_info(w->backbone, &info));
    w->dim = info.feature_dim;
    OK(sslcv_mlp_options_init(&mlp, sizeof mlp));
    mlp.in_dim = w->dim;
    mlp.num_layers = 1;
    mlp.out_dim = 5;
    OK(sslcv_head_create_mlp(w->context, &mlp, &w->head));
}

static inline world make_world(sslcv_context *context)
{
    world w = {.context = context};
    int64_t i;

    w.dataset = make_list(context, SSLCV_ON_ERROR_SUBSTITUTE);
    for (i = 0; i < COUNT; i++) add_picture(w.dataset, i, i % CLASSES);
    OK(sslcv_augmenter_create(context, &w.augmenter));
    for (i = 0; i < 3; i++) OK(sslcv_augmenter_add_view(w.augmenter, SSLCV_SOURCE_IMAGE, NULL));
    add_transform(w.augmenter, 1, SSLCV_TRANSFORM_NORMALIZE);
    add_transform(w.augmenter, 2, SSLCV_TRANSFORM_HORIZONTAL_FLIP);
    make_networks(&w);
    return w;
}

static inline void destroy_world(world *w)
{
    sslcv_head_destroy(w->head);
    sslcv_backbone_destroy(w->backbone);
    sslcv_augmenter_destroy(w->augmenter);
    sslcv_dataset_destroy(w->dataset);
    sslcv_context_destroy(w->context);
}

static const int64_t plain_view[1] = {0}, normal_view[1] = {1}, both_views[2] = {0, 1};

static inline sslcv_branch make_branch(const int64_t *views, int64_t num_views, sslcv_backbone *backbone, int32_t flags)
{
    sslcv_branch branch;

    OK(sslcv_branch_init(&branch, sizeof branch));
    branch.views = views;
    branch.num_views = num_views;
    branch.backbone = backbone;
    branch.flags = flags;
    return branch;
}

static inline sslcv_embed_options make_options(const world *w, const sslcv_branch *const *branches,
                                               int64_t num_branches)
{
    sslcv_embed_options options;

    OK(sslcv_embed_options_init(&options, sizeof options));
    ck_assert_int_eq(options.batch_size, 256);
    options.dataset = w->dataset;
    options.augmenter = w->augmenter;
    options.branches = branches;
    options.num_branches = num_branches;
    options.batch_size = 4;
    return options;
}

/* Features of the options, after asking for the shape. */
static inline float *embed(const sslcv_embed_options *options, int64_t count, int64_t width, int64_t *labels)
{
    sslcv_tensor features = {.data = NULL};
    float *values = make_array(count * width);

    OK(sslcv_embed(options, &features, NULL));
    ck_assert_int_eq(features.ndim, 2);
    ck_assert_int_eq(features.shape[0], count);
    ck_assert_int_eq(features.shape[1], width);
    features.data = values;
    OK(sslcv_embed(options, &features, labels));
    return values;
}

#endif
