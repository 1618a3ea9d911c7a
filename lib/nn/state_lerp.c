/** One state moves towards another: the momentum encoder of MoCo (He et al. 2020, eq. 2), and plain copies. */
#include "nn/state.h"

#include "core/compute.h"
#include "core/context.h"
#include "core/memory.h"
#include "core/tensor.h"

#include <string.h>

typedef struct lerp_pair {
    sslcv__variable *target;
    const sslcv__variable *source; /* NULL: the roles leave it out, or it is the target itself */
} lerp_pair;

static sslcv_status check_pair(const char *name, const sslcv__variable *target, const sslcv__variable *source)
{
    if (target->dtype != source->dtype) {
        return sslcv__invalid("%s is %s in target and %s in source", name, sslcv__dtype_name(target->dtype),
                              sslcv__dtype_name(source->dtype));
    }
    if (target->ndim != source->ndim || memcmp(target->shape, source->shape, sizeof target->shape) != 0) {
        return sslcv__invalid("%s has different shapes in target and source: %lld and %lld elements, %d and %d axes",
                              name, (long long)target->count, (long long)source->count, (int)target->ndim,
                              (int)source->ndim);
    }
    return SSLCV_OK;
}

/** The pair of one entry of target. Asked again in every pass instead of kept: a training step allocates nothing. */
static sslcv_status find_pair(const sslcv_state *target, const sslcv_state *source, int32_t roles, int64_t index,
                              lerp_pair *pair)
{
    const char *name = target->items[index].name;
    int64_t found;

    pair->target = target->items[index].variable;
    pair->source = NULL;
    if (!(pair->target->role & roles)) return SSLCV_OK;
    found = sslcv__state_find(source, name, index);
    if (found < 0) return sslcv__fail(SSLCV_ERR_NOT_FOUND, "%s of target is not in source", name);
    if (source->items[found].variable == pair->target) return SSLCV_OK;
    pair->source = source->items[found].variable;
    return check_pair(name, pair->target, pair->source);
}

static int same_layout(const lerp_pair *pair)
{
    const sslcv__layout *a = pair->target->layout, *b = pair->source->layout;

    return a && b ? sslcv__layout_equal(a, b) : a == b;
}

/** target <- momentum * target + (1 - momentum) * source. Padding is 0 on both sides and stays 0. */
static void lerp_f32(float *target, const float *source, int64_t count, double momentum)
{
    const float keep = (float)momentum, take = (float)(1.0 - momentum);
    int64_t i;

#pragma omp parallel for simd schedule(static)
    for (i = 0; i < count; i++) target[i] = keep * target[i] + take * source[i];
}

/** The same of any floating dtype; work: count floats each. */
static void lerp_any(const sslcv_tensor *target, const sslcv_tensor *source, int64_t count, double momentum,
                     float *work_target, float *work_source)
{
    int64_t i;

    if (target->dtype == SSLCV_F64) {
        double *t = target->data;
        const double *s = source->data;

        for (i = 0; i < count; i++) t[i] = momentum * t[i] + (1.0 - momentum) * s[i];
        return;
    }
    sslcv__tensor_to_f32(target, work_target);
    sslcv__tensor_to_f32(source, work_source);
    lerp_f32(work_target, work_source, count, momentum);
    (void)sslcv__tensor_from_f32(work_target, target, ""); /* a floating dtype: cannot fail */
}

/** The new value of a target in memory of its own, for layouts that differ and dtypes other than f32. */
static sslcv_status stage_pair(sslcv__state_update *update, int64_t index, const lerp_pair *pair, double momentum)
{
    sslcv_context *context = update->state->object.context;
    const sslcv__variable *variable = pair->target;
    const int64_t bytes = sslcv__variable_dense_bytes(variable);
    sslcv_tensor target, source;
    void *memory[2] = {NULL, NULL};
    float *work[2] = {NULL, NULL};
    sslcv_status status;
    int i;

    for (i = 0; i < 2; i++) {
        SSLCV__TRY(sslcv__alloc(context, bytes, &memory[i]));
        SSLCV__TRY(sslcv__alloc_array(context, variable->count, sizeof(float), (void **)&work[i]));
    }
    SSLCV__TRY(sslcv__variable_read(context, variable, SSLCV_STATE_VALUE, memory[0]));
    SSLCV__TRY(sslcv__variable_read(context, pair->source, SSLCV_STATE_VALUE, memory[1]));
    sslcv__tensor_set(&target, variable->dtype, memory[0], variable->ndim, variable->shape);
    sslcv__tensor_set(&source, variable->dtype, memory[1], variable->ndim, variable->shape);
    if (momentum == 0 || !sslcv__dtype_is_floating(variable->dtype)) {
        target = source;
    } else {
        lerp_any(&target, &source, variable->count, momentum, work[0], work[1]);
    }
    SSLCV__TRY(sslcv__state_update_stage(update, index, SSLCV_STATE_VALUE, &target));
end:
    for (i = 0; i < 2; i++) {
        sslcv__free(context, work[i]);
        sslcv__free(context, memory[i]);
    }
    return status;
}

/** Directly in the stored memory: f32 and copies, where both sides lie alike. */
static int is_direct(const lerp_pair *pair, double momentum)
{
    const int32_t dtype = pair->target->dtype;

    return same_layout(pair) && (momentum == 0 || dtype == SSLCV_F32 || !sslcv__dtype_is_floating(dtype));
}

static void run_direct(const lerp_pair *pair, double momentum)
{
    sslcv__variable *target = pair->target;

    sslcv__variable_changed(target);
    if (momentum == 0 || target->dtype != SSLCV_F32) {
        memcpy(target->value, pair->source->value, (size_t)target->stored_bytes);
    } else {
        lerp_f32(target->value, pair->source->value, target->stored_bytes / (int64_t)sizeof(float), momentum);
    }
}

/** Checks all, stages what needs memory or may be refused, then does the rest in place, which cannot fail. */
static sslcv_status lerp(sslcv_state *target, const sslcv_state *source, double momentum, int32_t roles)
{
    sslcv__state_update update = {0};
    lerp_pair pair;
    int64_t i;
    sslcv_status status = SSLCV_OK;

    for (i = 0; i < target->count; i++) SSLCV__TRY(find_pair(target, source, roles, i, &pair));
    if (momentum == 1) goto end;
    SSLCV__TRY(sslcv__state_before_read(source));
    SSLCV__TRY(sslcv__state_update_begin(&update, target));
    for (i = 0; i < target->count; i++) {
        SSLCV__TRY(find_pair(target, source, roles, i, &pair));
        if (!pair.source || (!target->after_write && is_direct(&pair, momentum))) continue;
        SSLCV__TRY(stage_pair(&update, i, &pair, momentum));
    }
    SSLCV__TRY(sslcv__state_update_commit(&update));
    for (i = 0; i < target->count && !target->after_write; i++) {
        SSLCV__TRY(find_pair(target, source, roles, i, &pair));
        if (pair.source && is_direct(&pair, momentum)) run_direct(&pair, momentum);
    }
end:
    sslcv__state_update_free(&update);
    return status;
}

sslcv_status sslcv_state_lerp(sslcv_state *target, const sslcv_state *source, double momentum, int32_t roles)
{
    sslcv__compute frame;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(target, SSLCV__STATE, "target"));
    SSLCV__TRY(sslcv__check(source, SSLCV__STATE, "source"));
    SSLCV__TRY(sslcv__check_context(source, target->object.context, "source"));
    if (!(momentum >= 0 && momentum <= 1)) return sslcv__invalid("momentum is %g; must be 0 .. 1", momentum);
    SSLCV__TRY(sslcv__state_check_roles(roles, "roles"));
    SSLCV__TRY(sslcv__compute_begin(target->object.context, &frame));
    status = lerp(target, source, momentum, roles);
    sslcv__compute_end(&frame);
end:
    return status;
}
