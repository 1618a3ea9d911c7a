/** What the suites of optimizers share: states of plain tensors, optimizers over them. */
#ifndef SSLCV__TESTS_OPTIM_SUPPORT_H
#define SSLCV__TESTS_OPTIM_SUPPORT_H

#include "memory_support.h"

#include <sslcv/optim.h>
#include <sslcv/state.h>

static inline void add_tensor(sslcv_state *state, const char *name, int32_t role, int64_t count)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry, .name = name, .ndim = 1, .dtype = SSLCV_F32, .role = role};

    entry.shape[0] = count;
    OK(sslcv_state_add(state, &entry, NULL));
}

static inline sslcv_state *new_state(sslcv_context *context, const char *name, int32_t role, int64_t count)
{
    sslcv_state *state;

    OK(sslcv_state_create(context, &state));
    add_tensor(state, name, role, count);
    return state;
}

static inline float *data_of(sslcv_state *state, int64_t index, int32_t part)
{
    sslcv_tensor tensor;

    OK(sslcv_state_data(state, index, part, &tensor));
    return tensor.data;
}

static inline float *values_of(sslcv_state *state, int64_t index)
{
    return data_of(state, index, SSLCV_STATE_VALUE);
}

static inline float *gradients_of(sslcv_state *state, int64_t index)
{
    return data_of(state, index, SSLCV_STATE_GRADIENT);
}

static inline sslcv_optimizer_options options_of(int32_t kind)
{
    sslcv_optimizer_options options;

    OK(sslcv_optimizer_options_init(&options, sizeof options, kind));
    return options;
}

static inline sslcv_optimizer *new_optimizer(sslcv_context *context, const sslcv_optimizer_options *options)
{
    sslcv_optimizer *optimizer;

    OK(sslcv_optimizer_create(context, options, &optimizer));
    return optimizer;
}

static inline sslcv_optimizer_group new_group(void)
{
    sslcv_optimizer_group group;

    OK(sslcv_optimizer_group_init(&group, sizeof group));
    return group;
}

static inline void set_all(sslcv_state *state, int64_t index, int64_t count, float value, float gradient)
{
    float *values = values_of(state, index), *gradients = gradients_of(state, index);
    int64_t i;

    for (i = 0; i < count; i++) {
        values[i] = value;
        gradients[i] = gradient;
    }
}

#endif
