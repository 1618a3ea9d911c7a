#include "nn/variable.h"

#include "core/checked.h"
#include "core/error.h"
#include "core/memory.h"

#include <sslcv/state.h>

#include <string.h>

/* ---- sets ---- */

void sslcv__variables_init(sslcv__variables *set, sslcv_context *context)
{
    memset(set, 0, sizeof *set);
    set->context = context;
}

static void free_variable(sslcv_context *context, sslcv__variable *variable)
{
    if (!variable) return;
    sslcv__free(context, variable->gradient);
    sslcv__free(context, variable->value);
    sslcv__layout_free(context, variable->layout);
    sslcv__free(context, variable->name);
    sslcv__free(context, variable);
}

void sslcv__variables_cut(sslcv__variables *set, int64_t count)
{
    while (set->count > count) free_variable(set->context, set->items[--set->count]);
}

void sslcv__variables_free(sslcv__variables *set)
{
    sslcv__variables_cut(set, 0);
    if (set->context) sslcv__free(set->context, set->items);
    sslcv__variables_init(set, set->context);
}

/** Room for one more. The array doubles whenever its length is a power of two, so that no capacity need be kept. */
static sslcv_status make_room(sslcv__variables *set)
{
    if ((set->count & (set->count - 1)) != 0) return SSLCV_OK;
    return sslcv__grow_array(set->context, set->count, set->count ? 2 * set->count : 1, sizeof *set->items,
                             (void **)&set->items);
}

/** Shape, and from it the sizes. */
static sslcv_status set_shape(sslcv__variable *variable, int32_t ndim, const int64_t *shape)
{
    const char *name = variable->name;
    int64_t extent = 1; /* as if no axis were 0 */
    int32_t i;

    if (ndim < 0 || ndim > SSLCV_MAX_DIMS) {
        return sslcv__invalid("%s has %d axes; allowed are 0 .. %d", name, (int)ndim, (int)SSLCV_MAX_DIMS);
    }
    variable->ndim = ndim;
    for (i = 0; i < ndim; i++) {
        if (shape[i] < 0)
            return sslcv__invalid("%s has shape[%d] %lld; must be >= 0", name, (int)i, (long long)shape[i]);
        variable->shape[i] = shape[i];
        if (!sslcv__multiply(extent, shape[i] ? shape[i] : 1, &extent)) {
            return sslcv__invalid("%s has a shape of more than 2^63 - 1 bytes", name);
        }
    }
    if (!sslcv__product(shape, ndim, &variable->count) ||
        !sslcv__multiply(variable->count, sslcv_dtype_size(variable->dtype), &variable->stored_bytes)) {
        return sslcv__invalid("%s has a shape of more than 2^63 - 1 bytes", name);
    }
    return SSLCV_OK;
}

sslcv_status sslcv__variable_make_gradient(sslcv_context *context, sslcv__variable *variable)
{
    if (variable->gradient || !(variable->role & SSLCV_ROLE_PARAMETERS)) return SSLCV_OK;
    return sslcv__alloc_array(context, variable->stored_bytes, 1, (void **)&variable->gradient);
}

void sslcv__variable_drop_gradient(sslcv_context *context, sslcv__variable *variable)
{
    sslcv__free(context, variable->gradient);
    variable->gradient = NULL;
    variable->has_gradient = 0;
}

/** Memory of zeros for value and gradient. */
static sslcv_status set_memory(sslcv_context *context, sslcv__variable *variable, const sslcv__layout *layout)
{
    sslcv_status status;

    if (layout) {
        SSLCV__TRY(sslcv__layout_copy(context, layout, &variable->layout));
        variable->stored_bytes = sslcv__layout_bytes(layout);
    }
    SSLCV__TRY(sslcv__alloc_array(context, variable->stored_bytes, 1, &variable->value));
    status = sslcv__variable_make_gradient(context, variable);
end:
    return status;
}

sslcv_status sslcv__variables_add(sslcv__variables *set, const char *name, int32_t dtype, int32_t role, int32_t ndim,
                                  const int64_t *shape, const sslcv__layout *layout, sslcv__variable **out)
{
    sslcv__variable *variable = NULL;
    int64_t bytes = 0;
    sslcv_status status;

    SSLCV__TRY(make_room(set));
    SSLCV__TRY(sslcv__alloc_array(set->context, 1, sizeof *variable, (void **)&variable));
    SSLCV__TRY(sslcv__copy_text(set->context, name, &variable->name));
    variable->dtype = dtype;
    variable->role = role;
    SSLCV__TRY(set_shape(variable, ndim, shape));
    if (set->most > 0 && (!sslcv__add(set->bytes, variable->stored_bytes, &bytes) || bytes > set->most)) {
        status =
            sslcv__fail(SSLCV_ERR_LIMIT, "%s would make more than %lld bytes of tensors", name, (long long)set->most);
        goto end;
    }
    SSLCV__TRY(set_memory(set->context, variable, layout));
    set->items[set->count++] = variable;
    set->bytes = bytes;
    if (out) *out = variable;
end:
    if (status != SSLCV_OK) free_variable(set->context, variable);
    return status;
}

sslcv__variable *sslcv__variables_find(const sslcv__variables *set, const char *name)
{
    int64_t i;

    for (i = 0; i < set->count; i++) {
        if (strcmp(set->items[i]->name, name) == 0) return set->items[i];
    }
    return NULL;
}

void sslcv__variable_reset(sslcv__variable *variable, const void *value)
{
    if (value) {
        memcpy(variable->value, value, (size_t)variable->stored_bytes);
    } else {
        memset(variable->value, 0, (size_t)variable->stored_bytes);
    }
    variable->has_gradient = 0;
    variable->resets++;
    sslcv__variable_changed(variable);
}

/* ---- plain copies in and out ---- */

int64_t sslcv__variable_dense_bytes(const sslcv__variable *variable)
{
    return variable->count * sslcv_dtype_size(variable->dtype);
}

sslcv_status sslcv__variable_unpack(sslcv_context *context, const sslcv__variable *variable, const void *stored,
                                    void *dense)
{
    sslcv__layout *plain;
    sslcv_status status;

    if (!variable->layout) {
        memcpy(dense, stored, (size_t)variable->stored_bytes);
        return SSLCV_OK;
    }
    status = sslcv__layout_plain(context, SSLCV_F32, variable->ndim, variable->shape, &plain);
    if (status != SSLCV_OK) return status;
    status = sslcv__layout_convert(context, variable->layout, stored, plain, dense);
    sslcv__layout_free(context, plain);
    return status;
}

sslcv_status sslcv__variable_pack(sslcv_context *context, const sslcv__variable *variable, const void *dense,
                                  void *stored)
{
    sslcv__layout *plain;
    sslcv_status status;

    if (!variable->layout) {
        memcpy(stored, dense, (size_t)variable->stored_bytes);
        return SSLCV_OK;
    }
    status = sslcv__layout_plain(context, SSLCV_F32, variable->ndim, variable->shape, &plain);
    if (status != SSLCV_OK) return status;
    status = sslcv__layout_convert(context, plain, dense, variable->layout, stored);
    sslcv__layout_free(context, plain);
    return status;
}

sslcv_status sslcv__variable_memory(const sslcv__variable *variable, int32_t part, void **stored)
{
    if (part != SSLCV_STATE_VALUE && part != SSLCV_STATE_GRADIENT) {
        return sslcv__invalid("part is %d; must be SSLCV_STATE_VALUE (0) or SSLCV_STATE_GRADIENT (1)", (int)part);
    }
    if (part == SSLCV_STATE_GRADIENT && !(variable->role & SSLCV_ROLE_PARAMETERS)) {
        return sslcv__invalid("%s is a buffer and has no gradient", variable->name);
    }
    *stored = part == SSLCV_STATE_VALUE ? variable->value : variable->gradient;
    return SSLCV_OK;
}

sslcv_status sslcv__variable_rests(const sslcv__variable *variable)
{
    return sslcv__fail(SSLCV_ERR_STATE, "%s is frozen with its stage and has no memory for a gradient", variable->name);
}

sslcv_status sslcv__variable_read(sslcv_context *context, const sslcv__variable *variable, int32_t part, void *dense)
{
    void *stored = NULL;
    const sslcv_status status = sslcv__variable_memory(variable, part, &stored);

    if (status != SSLCV_OK) return status;
    if (part == SSLCV_STATE_GRADIENT && !variable->has_gradient) {
        memset(dense, 0, (size_t)sslcv__variable_dense_bytes(variable));
        return SSLCV_OK;
    }
    return sslcv__variable_unpack(context, variable, stored, dense);
}

sslcv_status sslcv__variable_write(sslcv_context *context, sslcv__variable *variable, int32_t part, const void *dense)
{
    void *stored = NULL;
    sslcv_status status = sslcv__variable_memory(variable, part, &stored);

    if (status == SSLCV_OK && !stored) status = sslcv__variable_rests(variable);
    if (status == SSLCV_OK) status = sslcv__variable_pack(context, variable, dense, stored);
    if (status == SSLCV_OK && part == SSLCV_STATE_GRADIENT) variable->has_gradient = 1;
    if (part == SSLCV_STATE_VALUE) sslcv__variable_changed(variable);
    return status;
}
