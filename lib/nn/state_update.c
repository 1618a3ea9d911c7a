/** Values into a state: conversion, the check that they are finite, and exchange of all at once. */
#include "nn/state.h"

#include "core/checked.h"
#include "core/context.h"
#include "core/memory.h"
#include "core/tensor.h"

#include <math.h>
#include <string.h>

struct sslcv__staged {
    sslcv__variable *variable;
    void *stored; /* stored_bytes, in the variable's layout */
    int32_t part;
    int32_t has_gradient; /* that belongs to stored: 1 before the exchange, what it was behind it */
};

/* ---- values between dtypes ---- */

sslcv_status sslcv__state_convert(sslcv_context *context, const sslcv_tensor *src, const sslcv_tensor *dst,
                                  const char *name)
{
    float *values;
    sslcv_status status;

    if (src->dtype == dst->dtype) {
        sslcv__tensor_copy(src, dst);
        return SSLCV_OK;
    }
    if (!sslcv__dtype_is_floating(src->dtype) || !sslcv__dtype_is_floating(dst->dtype)) {
        return sslcv__invalid("%s: %s cannot be converted to %s", name, sslcv__dtype_name(src->dtype),
                              sslcv__dtype_name(dst->dtype));
    }
    status = sslcv__alloc_array(context, sslcv__tensor_count(src), sizeof *values, (void **)&values);
    if (status != SSLCV_OK) return status;
    sslcv__tensor_to_f32(src, values);
    status = sslcv__tensor_from_f32(values, dst, name);
    sslcv__free(context, values);
    return status;
}

static double value_at(int32_t dtype, const void *values, int64_t i)
{
    switch (dtype) {
    case SSLCV_F32: return ((const float *)values)[i];
    case SSLCV_F64: return ((const double *)values)[i];
    case SSLCV_BF16: return sslcv__f32_from_bf16(((const uint16_t *)values)[i]);
    default: return sslcv__f32_from_f16(((const uint16_t *)values)[i]);
    }
}

sslcv_status sslcv__state_check_finite(int32_t dtype, const void *values, int64_t count, const char *name)
{
    int64_t i;

    for (i = 0; i < count; i++) {
        const double value = value_at(dtype, values, i);

        if (!isfinite(value)) {
            return sslcv__fail(SSLCV_ERR_NUMERIC, "%s: element %lld is %s in %s; parameters must be finite", name,
                               (long long)i, isnan(value) ? "not a number" : "infinite", sslcv__dtype_name(dtype));
        }
    }
    return SSLCV_OK;
}

/* ---- the update ---- */

sslcv_status sslcv__state_update_begin(sslcv__state_update *update, sslcv_state *state)
{
    memset(update, 0, sizeof *update);
    update->state = state;
    return sslcv__state_before_read(state);
}

void sslcv__state_update_free(sslcv__state_update *update)
{
    int64_t i;

    if (!update->state) return;
    for (i = 0; i < update->count; i++) sslcv__free(update->state->object.context, update->items[i].stored);
    sslcv__free(update->state->object.context, update->items);
    memset(update, 0, sizeof *update);
}

/** A new item at the end of the list, with memory for its values. */
static sslcv_status append(sslcv__state_update *update, sslcv__variable *variable, int32_t part)
{
    sslcv_context *context = update->state->object.context;
    struct sslcv__staged *item;
    sslcv_status status = SSLCV_OK;

    if ((update->count & (update->count - 1)) == 0) {
        status = sslcv__grow_array(context, update->count, update->count ? 2 * update->count : 1, sizeof *item,
                                   (void **)&update->items);
    }
    if (status != SSLCV_OK) return status;
    item = &update->items[update->count];
    memset(item, 0, sizeof *item);
    /* Zeros, for the padding of blocked layouts. */
    status = sslcv__alloc_array(context, variable->stored_bytes, 1, &item->stored);
    if (status != SSLCV_OK) return status;
    item->variable = variable;
    item->part = part;
    update->count++;
    return SSLCV_OK;
}

sslcv_status sslcv__state_update_stage(sslcv__state_update *update, int64_t index, int32_t part,
                                       const sslcv_tensor *values)
{
    sslcv_context *context = update->state->object.context;
    const sslcv__state_item *entry = &update->state->items[index];
    sslcv__variable *variable = entry->variable;
    void *dense = NULL, *memory;
    sslcv_tensor target;
    sslcv_status status;

    SSLCV__TRY(sslcv__variable_memory(variable, part, &memory));
    if (!memory) return sslcv__variable_rests(variable);
    SSLCV__TRY(sslcv__tensor_check_shape(values, entry->name, variable->ndim, variable->shape));
    SSLCV__TRY(append(update, variable, part));
    memory = update->items[update->count - 1].stored;
    if (variable->layout) SSLCV__TRY(sslcv__alloc(context, sslcv__variable_dense_bytes(variable), &dense));
    sslcv__tensor_set(&target, variable->dtype, dense ? dense : memory, variable->ndim, variable->shape);
    SSLCV__TRY(sslcv__state_convert(context, values, &target, entry->name));
    if (variable->role & SSLCV_ROLE_PARAMETERS) {
        SSLCV__TRY(sslcv__state_check_finite(variable->dtype, target.data, variable->count, entry->name));
    }
    if (dense) SSLCV__TRY(sslcv__variable_pack(context, variable, dense, memory));
end:
    sslcv__free(context, dense);
    return status;
}

/** Addresses stay: plans have bound them. */
static void exchange_bytes(void *a, void *b, int64_t bytes)
{
    char block[4096];
    int64_t done = 0;

    while (done < bytes) {
        const size_t part = bytes - done < (int64_t)sizeof block ? (size_t)(bytes - done) : sizeof block;

        memcpy(block, (char *)a + done, part);
        memcpy((char *)a + done, (char *)b + done, part);
        memcpy((char *)b + done, block, part);
        done += (int64_t)part;
    }
}

static void exchange(struct sslcv__staged *item)
{
    sslcv__variable *variable = item->variable;

    if (item->part == SSLCV_STATE_GRADIENT) {
        const int32_t has_gradient = item->has_gradient;

        exchange_bytes(variable->gradient, item->stored, variable->stored_bytes);
        item->has_gradient = variable->has_gradient;
        variable->has_gradient = has_gradient;
    } else {
        exchange_bytes(variable->value, item->stored, variable->stored_bytes);
        sslcv__variable_changed(variable);
    }
}

sslcv_status sslcv__state_update_commit(sslcv__state_update *update)
{
    const sslcv_state *state = update->state;
    sslcv_status status = SSLCV_OK;
    int64_t i;

    for (i = 0; i < update->count; i++) {
        update->items[i].has_gradient = 1;
        exchange(&update->items[i]);
    }
    if (state->after_write) status = state->after_write(state->owner);
    if (status != SSLCV_OK) {
        for (i = update->count - 1; i >= 0; i--) exchange(&update->items[i]);
    }
    return status;
}
