/** What the suites about backbones and heads share: a context and a tape, networks, images, parts of a state. */
#ifndef SSLCV__TESTS_BACKBONE_SUPPORT_H
#define SSLCV__TESTS_BACKBONE_SUPPORT_H

#include "memory_support.h"

#include <sslcv/backbone.h>
#include <sslcv/head.h>

static sslcv_context *context;
static sslcv_tape *tape;

/**
 * Winograd's rounding, 1e-5 of the largest value, takes some values to the other side of a ReLU's kink, and a gradient
 * with them: PyTorch's numbers are compared without it.
 */
static inline void set_up(void)
{
    sslcv_context_options options;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.precision = SSLCV_PRECISION_F32;
    options.winograd = 0;
    OK(sslcv_context_create(&options, &context));
    OK(sslcv_tape_create(context, &tape));
}

static inline void tear_down(void)
{
    sslcv_tape_destroy(tape);
    sslcv_context_destroy(context);
}

static inline sslcv_backbone *make(int32_t architecture, int32_t stem, double width)
{
    sslcv_backbone_options options;
    sslcv_backbone *backbone;

    OK(sslcv_backbone_options_init(&options, sizeof options, architecture));
    options.stem = stem;
    options.width = width;
    OK(sslcv_backbone_create(context, &options, &backbone));
    return backbone;
}

/** Images by the generator of golden inputs, 4 * G(3). */
static inline float *make_images(sslcv_tensor *images, const int64_t shape[4])
{
    const int64_t count = shape[0] * shape[1] * shape[2] * shape[3];
    float *x = malloc((size_t)count * sizeof *x);
    int64_t i;

    golden_input(3, count, x);
    for (i = 0; i < count; i++) x[i] *= 4.0f;
    OK(sslcv_tensor_init(images, SSLCV_F32, x, 4, shape));
    return x;
}

static inline float *read_state(sslcv_state *state, const char *name, int32_t part, int64_t *count)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    sslcv_tensor tensor;
    int64_t index, j;
    float *v;

    OK(sslcv_state_find(state, name, &index));
    OK(sslcv_state_get_entry(state, index, &entry));
    for (*count = 1, j = 0; j < entry.ndim; j++) *count *= entry.shape[j];
    v = malloc((size_t)*count * sizeof *v);
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, v, entry.ndim, entry.shape));
    OK(sslcv_state_get(state, index, part, &tensor));
    return v;
}

static inline double norm_of(const float *v, int64_t count)
{
    double sum = 0;
    int64_t i;

    for (i = 0; i < count; i++) sum += (double)v[i] * v[i];
    return sqrt(sum);
}

#endif
