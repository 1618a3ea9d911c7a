/** A small data set, an augmenter and networks for the targets that train. */
#ifndef SSLCV__FUZZ_WORLD_H
#define SSLCV__FUZZ_WORLD_H

#include "fuzz.h"

enum { WORLD_SAMPLES = 6, WORLD_SIDE = 4, WORLD_DIM = 4 };

/** 6 grey images of 4 x 4 with labels 0, 1, 2 or none. */
static inline sslcv_dataset *world_dataset(sslcv_context *context)
{
    static const int64_t shape[4] = {WORLD_SAMPLES, 1, WORLD_SIDE, WORLD_SIDE}, labels[] = {0, 1, 2, 0, 1, -1};
    uint8_t pixels[WORLD_SAMPLES * WORLD_SIDE * WORLD_SIDE];
    sslcv_dataset_options options;
    sslcv_dataset *dataset;
    sslcv_tensor images;
    size_t i;

    for (i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 37 % 251);
    MUST(sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_LIST));
    options.channels = 1;
    MUST(sslcv_dataset_create(context, &options, &dataset));
    MUST(sslcv_tensor_init(&images, SSLCV_U8, pixels, 4, shape));
    MUST(sslcv_dataset_add_images(dataset, &images, labels, NULL));
    return dataset;
}

/** Two views, flipped or not. */
static inline sslcv_augmenter *world_augmenter(sslcv_context *context)
{
    sslcv_augmenter *augmenter;
    sslcv_transform flip;
    int64_t view;
    int i;

    MUST(sslcv_augmenter_create(context, &augmenter));
    for (i = 0; i < 2; i++) {
        MUST(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
        MUST(sslcv_transform_init(&flip, sizeof flip, SSLCV_TRANSFORM_HORIZONTAL_FLIP));
        MUST(sslcv_augmenter_add_transform(augmenter, view, &flip));
    }
    return augmenter;
}

/** Pixels to rows of 4, with a batch norm. */
static inline sslcv_head *world_head(sslcv_context *context)
{
    sslcv_mlp_options options;
    sslcv_head *head;

    MUST(sslcv_mlp_options_init(&options, sizeof options));
    options.in_dim = WORLD_SIDE * WORLD_SIDE;
    options.hidden_dim = 3;
    options.out_dim = WORLD_DIM;
    MUST(sslcv_head_create_mlp(context, &options, &head));
    return head;
}

static inline sslcv_optimizer *world_optimizer(sslcv_context *context)
{
    sslcv_optimizer_options options;
    sslcv_optimizer *optimizer;

    MUST(sslcv_optimizer_options_init(&options, sizeof options, SSLCV_OPTIMIZER_SGD));
    MUST(sslcv_optimizer_create(context, &options, &optimizer));
    return optimizer;
}

/** Defaults for a trainer of batches of 2 over 2 epochs; data set, augmenter and optimizer are the caller's. */
static inline sslcv_trainer_options world_trainer_options(const sslcv_schedule *rate)
{
    sslcv_trainer_options options;

    MUST(sslcv_trainer_options_init(&options, sizeof options));
    options.learning_rate = rate;
    options.batch_size = 2;
    options.epochs = 2;
    return options;
}

static inline sslcv_schedule world_rate(void)
{
    sslcv_schedule rate;

    MUST(sslcv_schedule_init(&rate, sizeof rate, SSLCV_SCHEDULE_CONSTANT, 0.01));
    return rate;
}

#endif
