/** What the suites of recipes share: a small data set, settings for it, a recipe of these. */
#ifndef SSLCV__TESTS_METHOD_SUPPORT_H
#define SSLCV__TESTS_METHOD_SUPPORT_H

#include "views_support.h"

#include <sslcv/sslcv.h>

enum { SAMPLES = 24, BATCH = 8, SIDE = 16, CLASSES = 4, EPOCHS = 2, STEPS = EPOCHS * SAMPLES / BATCH, DIM = 32 };

static const char small[] = "batch=8 epochs=2 size=16 width=0.125 out_dim=32";

static inline sslcv_context *make_context(int32_t threads)
{
    sslcv_context_options o;
    sslcv_context *context;

    OK(sslcv_context_options_init(&o, sizeof o));
    o.threads = threads;
    o.loader_threads = 0;
    o.seed = 3;
    OK(sslcv_context_create(&o, &context));
    return context;
}

/* Noise, and a colour by class, which crops and flips leave alone. */
static inline sslcv_dataset *make_dataset(sslcv_context *context, int64_t channels, int with_labels)
{
    static float images[SAMPLES * 3 * SIDE * SIDE];
    const int64_t shape[4] = {SAMPLES, channels, SIDE, SIDE};
    const int64_t pixels = channels * SIDE * SIDE;
    int64_t labels[SAMPLES], n, i;
    sslcv_dataset_options o;
    sslcv_dataset *dataset;
    sslcv_tensor tensor;

    golden_input(5, SAMPLES * pixels, images);
    for (n = 0; n < SAMPLES; n++) {
        labels[n] = n % CLASSES;
        for (i = 0; i < pixels; i++) {
            float *value = &images[n * pixels + i];

            *value = 0.3f + 0.2f * *value + (i / (SIDE * SIDE) == labels[n] ? 0.4f : 0.0f);
        }
    }
    OK(sslcv_dataset_options_init(&o, sizeof o, SSLCV_DATASET_LIST));
    OK(sslcv_dataset_create(context, &o, &dataset));
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, images, 4, shape));
    OK(sslcv_dataset_add_images(dataset, &tensor, with_labels ? labels : NULL, NULL));
    return dataset;
}

static inline sslcv_status make_method(sslcv_context *context, const char *name, sslcv_dataset *dataset,
                                       const char *preset, const char *settings, uint64_t seed, sslcv_trainer **trainer)
{
    sslcv_method_options o;

    OK(sslcv_method_options_init(&o, sizeof o));
    o.dataset = dataset;
    o.preset = preset;
    o.settings = settings;
    o.seed = seed;
    return sslcv_method_create(context, name, &o, trainer);
}

#endif
