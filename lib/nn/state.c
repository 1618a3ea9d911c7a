#include "nn/state.h"

#include "core/checked.h"
#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/tensor.h"

#include <string.h>

/* ---- made and given back ---- */

static void release_state(void *self)
{
    sslcv_state *state = self;
    sslcv_context *context = state->object.context;
    int64_t i;

    for (i = 0; i < state->count; i++) sslcv__free(context, state->items[i].name);
    for (i = 0; i < 2 * state->num_metadata; i++) sslcv__free(context, state->metadata[i]);
    sslcv__free(context, state->items);
    sslcv__free(context, state->metadata);
    sslcv__variables_free(&state->own);
    sslcv__release(state->owner);
}

sslcv_status sslcv__state_create(sslcv_context *context, sslcv__object *owner, sslcv_state **out)
{
    sslcv_state *state;
    const sslcv_status status = sslcv__object_create(context, SSLCV__STATE, sizeof *state, release_state, &state);

    if (status != SSLCV_OK) return status;
    sslcv__variables_init(&state->own, context);
    sslcv__retain(owner);
    state->owner = owner;
    *out = state;
    return SSLCV_OK;
}

sslcv_status sslcv_state_create(sslcv_context *context, sslcv_state **state)
{
    const sslcv_status status = sslcv__check(context, SSLCV__CONTEXT, "context");

    if (status != SSLCV_OK) return status;
    if (!state) return sslcv__null("state");
    return sslcv__state_create(context, NULL, state);
}

void sslcv_state_destroy(sslcv_state *state)
{
    sslcv__destroy(state, SSLCV__STATE);
}

/* ---- built by the owner ---- */

/** The arrays double whenever their length is a power of two, so that no capacity need be kept. */
static int is_full(int64_t count)
{
    return (count & (count - 1)) == 0;
}

static int64_t doubled(int64_t count)
{
    return count ? 2 * count : 1;
}

/** One entry more, its name made of two parts. */
static sslcv_status append_item(sslcv_state *state, const char *prefix, const char *name, sslcv__variable *variable)
{
    sslcv_context *context = state->object.context;
    const size_t first = strlen(prefix), second = strlen(name);
    char *whole;
    sslcv_status status = SSLCV_OK;

    if (is_full(state->count)) {
        status = sslcv__grow_array(context, state->count, doubled(state->count), sizeof *state->items,
                                   (void **)&state->items);
    }
    if (status == SSLCV_OK) status = sslcv__alloc(context, (int64_t)(first + second + 1), (void **)&whole);
    if (status != SSLCV_OK) return status;
    memcpy(whole, prefix, first);
    memcpy(whole + first, name, second + 1);
    state->items[state->count].name = whole;
    state->items[state->count].variable = variable;
    state->count++;
    return SSLCV_OK;
}

sslcv_status sslcv__state_append(sslcv_state *state, const char *prefix, const sslcv__variables *set)
{
    sslcv_status status = SSLCV_OK;
    int64_t i;

    for (i = 0; i < set->count && status == SSLCV_OK; i++) {
        status = append_item(state, prefix, set->items[i]->name, set->items[i]);
    }
    return status;
}

sslcv_status sslcv__state_append_state(sslcv_state *state, const char *prefix, const sslcv_state *other)
{
    sslcv_status status = SSLCV_OK;
    int64_t i;

    for (i = 0; i < other->count && status == SSLCV_OK; i++) {
        status = append_item(state, prefix, other->items[i].name, other->items[i].variable);
    }
    return status;
}

sslcv_status sslcv__state_add_metadata(sslcv_state *state, const char *key, const char *value)
{
    sslcv_context *context = state->object.context;
    char *copies[2] = {NULL, NULL};
    sslcv_status status;

    if (is_full(state->num_metadata)) {
        SSLCV__TRY(sslcv__grow_array(context, 2 * state->num_metadata, 2 * doubled(state->num_metadata),
                                     sizeof *state->metadata, (void **)&state->metadata));
    }
    SSLCV__TRY(sslcv__copy_text(context, key, &copies[0]));
    SSLCV__TRY(sslcv__copy_text(context, value, &copies[1]));
    memcpy(state->metadata + 2 * state->num_metadata, copies, sizeof copies);
    state->num_metadata++;
    return SSLCV_OK;
end:
    sslcv__free(context, copies[0]);
    return status;
}

sslcv_status sslcv__state_follow(sslcv_state *state)
{
    const sslcv__variables *set = state->grows;
    sslcv_status status = SSLCV_OK;

    while (set && state->count < set->count && status == SSLCV_OK) {
        status = append_item(state, "", set->items[state->count]->name, set->items[state->count]);
    }
    return status;
}

sslcv_status sslcv__state_add(sslcv_state *state, const char *name, int32_t dtype, int32_t role, int32_t ndim,
                              const int64_t *shape, sslcv__variable **out)
{
    sslcv__variables *set = state->grows ? state->grows : &state->own;
    sslcv__variable *variable;
    sslcv_status status = append_item(state, "", name, NULL);

    if (status != SSLCV_OK) return status;
    status = sslcv__variables_add(set, name, dtype, role, ndim, shape, NULL, &variable);
    if (status != SSLCV_OK) {
        sslcv__free(state->object.context, state->items[--state->count].name);
        return status;
    }
    state->items[state->count - 1].variable = variable;
    if (out) *out = variable;
    return SSLCV_OK;
}

/* ---- asked by other modules ---- */

const char *sslcv__state_get_metadata(const sslcv_state *state, const char *key)
{
    int64_t i;

    for (i = 0; i < state->num_metadata; i++) {
        if (strcmp(state->metadata[2 * i], key) == 0) return state->metadata[2 * i + 1];
    }
    return NULL;
}

int64_t sslcv__state_find(const sslcv_state *state, const char *name, int64_t guess)
{
    int64_t i;

    if (guess >= 0 && guess < state->count && strcmp(state->items[guess].name, name) == 0) return guess;
    for (i = 0; i < state->count; i++) {
        if (strcmp(state->items[i].name, name) == 0) return i;
    }
    return -1;
}

int64_t sslcv__state_parameter_bytes(const sslcv_state *state)
{
    int64_t bytes = 0, i;

    for (i = 0; i < state->count; i++) {
        const sslcv__variable *variable = state->items[i].variable;
        if (variable->role & SSLCV_ROLE_PARAMETERS) bytes += variable->stored_bytes;
    }
    return bytes;
}

sslcv_status sslcv__state_before_read(const sslcv_state *state)
{
    return state->before_read ? state->before_read(state->owner) : SSLCV_OK;
}

sslcv_status sslcv__state_check_roles(int32_t roles, const char *what)
{
    if (roles >= 1 && roles <= SSLCV_ROLE_ALL) return SSLCV_OK;
    return sslcv__invalid("%s is %d; must be a sum of SSLCV_ROLE_* bits, 1 .. 15", what, (int)roles);
}

/* ---- entries ---- */

static sslcv_status check_index(const sslcv_state *state, int64_t index)
{
    const sslcv_status status = sslcv__check(state, SSLCV__STATE, "state");

    if (status != SSLCV_OK) return status;
    if (index >= 0 && index < state->count) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_NOT_FOUND, "index is %lld; the state has %lld tensors", (long long)index,
                       (long long)state->count);
}

sslcv_status sslcv_state_get_entry(const sslcv_state *state, int64_t index, sslcv_state_entry *entry)
{
    sslcv_state_entry full = {0};
    const sslcv__variable *variable;
    const sslcv_status status = check_index(state, index);

    if (status != SSLCV_OK) return status;
    variable = state->items[index].variable;
    full.name = state->items[index].name;
    memcpy(full.shape, variable->shape, sizeof full.shape);
    full.ndim = variable->ndim;
    full.dtype = variable->dtype;
    full.role = variable->role;
    full.frozen = variable->frozen;
    return sslcv__struct_fill("state_entry", entry, sizeof full, &full, sizeof full);
}

sslcv_status sslcv_state_find(const sslcv_state *state, const char *name, int64_t *index)
{
    const sslcv_status status = sslcv__check(state, SSLCV__STATE, "state");
    int64_t found;

    if (status != SSLCV_OK) return status;
    if (!name) return sslcv__null("name");
    if (!index) return sslcv__null("index");
    found = sslcv__state_find(state, name, -1);
    if (found < 0) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND, "no tensor is named \"%s\"; the state has %lld, the first is \"%s\"",
                           name, (long long)state->count, state->count ? state->items[0].name : "");
    }
    *index = found;
    return SSLCV_OK;
}

static sslcv_status check_entry(const sslcv_state *state, const sslcv_state_entry *entry)
{
    const int32_t role = entry->role;

    if (!entry->name) return sslcv__null("state_entry.name");
    if (!entry->name[0]) return sslcv__invalid("state_entry.name is empty");
    if (sslcv__state_find(state, entry->name, -1) >= 0) {
        return sslcv__invalid("state_entry.name is \"%s\", which the state has already", entry->name);
    }
    if (sslcv_dtype_size(entry->dtype) == 0) {
        return sslcv__invalid("state_entry.dtype is %d; must be one of SSLCV_F32 ... SSLCV_BOOL", (int)entry->dtype);
    }
    if (role != SSLCV_ROLE_WEIGHT && role != SSLCV_ROLE_BIAS && role != SSLCV_ROLE_NORM && role != SSLCV_ROLE_BUFFER) {
        return sslcv__invalid("state_entry.role is %d; must be one SSLCV_ROLE_* bit: 1, 2, 4 or 8", (int)role);
    }
    if (role != SSLCV_ROLE_BUFFER && entry->dtype != SSLCV_F32) {
        return sslcv__invalid("state_entry.dtype is %s; must be f32 for a parameter", sslcv__dtype_name(entry->dtype));
    }
    if (entry->frozen != 0 && entry->frozen != 1) {
        return sslcv__invalid("state_entry.frozen is %d; must be 0 or 1", (int)entry->frozen);
    }
    return SSLCV_OK;
}

static sslcv_status check_own(const sslcv_state *state)
{
    if (!state->owner || state->grows) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_STATE, "the state is a window onto an object; this call is for states made by "
                                        "sslcv_state_create() or sslcv_state_open(), and of custom losses and heads");
}

static sslcv_status check_growth(const sslcv_state *state)
{
    if (!state->grows || !state->grows->closed) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_STATE, "a trainer has begun with this object; its tensors are fixed now");
}

sslcv_status sslcv_state_add(sslcv_state *state, const sslcv_state_entry *entry, int64_t *index)
{
    sslcv_state_entry wanted = {0};
    sslcv__variable *variable;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(state, SSLCV__STATE, "state"));
    SSLCV__TRY(check_own(state));
    SSLCV__TRY(check_growth(state));
    if (!entry) return sslcv__null("entry");
    SSLCV__TRY(sslcv__state_follow(state));
    SSLCV__TRY(sslcv__options_read("state_entry", entry, sizeof wanted, &wanted, sizeof wanted));
    SSLCV__TRY(check_entry(state, &wanted));
    SSLCV__TRY(sslcv__state_add(state, wanted.name, wanted.dtype, wanted.role, wanted.ndim, wanted.shape, &variable));
    variable->frozen = wanted.frozen;
    if (index) *index = state->count - 1;
end:
    return status;
}

sslcv_status sslcv_state_freeze(sslcv_state *state, const char *prefix, int32_t frozen)
{
    const sslcv_status status = sslcv__check(state, SSLCV__STATE, "state");
    int64_t matched = 0, i;

    if (status != SSLCV_OK) return status;
    if (!prefix) return sslcv__null("prefix");
    if (frozen != 0 && frozen != 1) return sslcv__invalid("frozen is %d; must be 0 or 1", (int)frozen);
    for (i = 0; i < state->count; i++) {
        sslcv__variable *variable = state->items[i].variable;

        if (!(variable->role & SSLCV_ROLE_PARAMETERS)) continue;
        if (strncmp(state->items[i].name, prefix, strlen(prefix)) != 0) continue;
        variable->frozen = frozen;
        matched++;
    }
    if (matched > 0) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_NOT_FOUND,
                       "no parameter's name begins with \"%s\"; the state has %lld tensors, the first is "
                       "\"%s\"",
                       prefix, (long long)state->count, state->count ? state->items[0].name : "");
}

/* ---- one tensor ---- */

sslcv_status sslcv_state_data(sslcv_state *state, int64_t index, int32_t part, sslcv_tensor *tensor)
{
    sslcv__variable *variable;
    void *memory = NULL;
    sslcv_status status;

    SSLCV__TRY(check_index(state, index));
    SSLCV__TRY(check_own(state));
    if (!tensor) return sslcv__null("tensor");
    variable = state->items[index].variable;
    SSLCV__TRY(sslcv__variable_memory(variable, part, &memory));
    if (part == SSLCV_STATE_GRADIENT && !variable->has_gradient) {
        memset(memory, 0, (size_t)variable->stored_bytes);
        variable->has_gradient = 1;
    }
    sslcv__tensor_set(tensor, variable->dtype, memory, variable->ndim, variable->shape);
end:
    return status;
}

/** The tensor of a caller for an entry: its shape, and a dtype between which and the entry's values can go. */
static sslcv_status check_tensor(const sslcv__variable *variable, const sslcv_tensor *tensor)
{
    const sslcv_status status = sslcv__tensor_check_shape(tensor, "tensor", variable->ndim, variable->shape);

    if (status != SSLCV_OK || tensor->dtype == variable->dtype) return status;
    if (sslcv__dtype_is_floating(tensor->dtype) && sslcv__dtype_is_floating(variable->dtype)) return SSLCV_OK;
    return sslcv__invalid("tensor.dtype is %s; must be %s for %s", sslcv__dtype_name(tensor->dtype),
                          sslcv__dtype_is_floating(variable->dtype) ? "floating" : sslcv__dtype_name(variable->dtype),
                          variable->name);
}

sslcv_status sslcv_state_get(const sslcv_state *state, int64_t index, int32_t part, sslcv_tensor *tensor)
{
    const sslcv__variable *variable;
    sslcv_context *context = NULL;
    sslcv_tensor plain;
    void *dense = NULL;
    sslcv_status status;

    SSLCV__TRY(check_index(state, index));
    if (!tensor) return sslcv__null("tensor");
    context = state->object.context;
    variable = state->items[index].variable;
    SSLCV__TRY(sslcv__variable_memory(variable, part, &dense));
    dense = NULL;
    sslcv__tensor_set(&plain, variable->dtype, NULL, variable->ndim, variable->shape);
    if (!tensor->data) {
        *tensor = plain;
        return SSLCV_OK;
    }
    SSLCV__TRY(check_tensor(variable, tensor));
    SSLCV__TRY(sslcv__state_before_read(state));
    SSLCV__TRY(sslcv__alloc(context, sslcv__variable_dense_bytes(variable), &dense));
    SSLCV__TRY(sslcv__variable_read(context, variable, part, dense));
    plain.data = dense;
    SSLCV__TRY(sslcv__state_convert(context, &plain, tensor, variable->name));
end:
    if (dense) sslcv__free(context, dense);
    return status;
}

sslcv_status sslcv_state_set(sslcv_state *state, int64_t index, int32_t part, const sslcv_tensor *tensor)
{
    sslcv__state_update update = {0};
    sslcv_status status;

    SSLCV__TRY(check_index(state, index));
    if (!tensor) return sslcv__null("tensor");
    SSLCV__TRY(check_tensor(state->items[index].variable, tensor));
    SSLCV__TRY(sslcv__state_update_begin(&update, state));
    SSLCV__TRY(sslcv__state_update_stage(&update, index, part, tensor));
    SSLCV__TRY(sslcv__state_update_commit(&update));
end:
    sslcv__state_update_free(&update);
    return status;
}

/* ---- all floating tensors in one buffer ---- */

static int is_flat(const sslcv__variable *variable, int32_t roles)
{
    return (variable->role & roles) && sslcv__dtype_is_floating(variable->dtype);
}

static sslcv_status count_flat(const sslcv_state *state, int32_t roles, int64_t *count)
{
    int64_t total = 0, i;
    sslcv_status status = sslcv__check(state, SSLCV__STATE, "state");

    if (status == SSLCV_OK) status = sslcv__state_check_roles(roles, "roles");
    if (status != SSLCV_OK) return status;
    for (i = 0; i < state->count; i++) {
        const sslcv__variable *variable = state->items[i].variable;

        if (is_flat(variable, roles) && !sslcv__add(total, variable->count, &total)) {
            return sslcv__fail(SSLCV_ERR_LIMIT, "the state has more than 2^63 - 1 elements");
        }
    }
    *count = total;
    return SSLCV_OK;
}

/** One tensor as f32. */
static sslcv_status read_f32(sslcv_context *context, const sslcv__variable *variable, float *values)
{
    sslcv_tensor plain, target;
    void *dense;
    sslcv_status status;

    if (variable->dtype == SSLCV_F32) return sslcv__variable_read(context, variable, SSLCV_STATE_VALUE, values);
    status = sslcv__alloc(context, sslcv__variable_dense_bytes(variable), &dense);
    if (status != SSLCV_OK) return status;
    sslcv__tensor_set(&plain, variable->dtype, dense, variable->ndim, variable->shape);
    sslcv__tensor_set(&target, SSLCV_F32, values, variable->ndim, variable->shape);
    status = sslcv__variable_read(context, variable, SSLCV_STATE_VALUE, dense);
    if (status == SSLCV_OK) status = sslcv__state_convert(context, &plain, &target, variable->name);
    sslcv__free(context, dense);
    return status;
}

sslcv_status sslcv_state_get_flat(const sslcv_state *state, int32_t roles, float *buffer, int64_t capacity,
                                  int64_t *count)
{
    float *values = NULL; /* complete before the caller's buffer is touched */
    int64_t total = 0, done = 0, i;
    sslcv_status status = count_flat(state, roles, &total);

    if (status != SSLCV_OK) return status;
    if (buffer) {
        if (capacity < total) {
            return sslcv__fail(SSLCV_ERR_LIMIT, "capacity is %lld; the state needs %lld floats", (long long)capacity,
                               (long long)total);
        }
        SSLCV__TRY(sslcv__state_before_read(state));
        SSLCV__TRY(sslcv__alloc_array(state->object.context, total, sizeof *values, (void **)&values));
        for (i = 0; i < state->count; i++) {
            if (!is_flat(state->items[i].variable, roles)) continue;
            SSLCV__TRY(read_f32(state->object.context, state->items[i].variable, values + done));
            done += state->items[i].variable->count;
        }
        memcpy(buffer, values, (size_t)total * sizeof *values);
    }
    if (count) *count = total;
end:
    sslcv__free(state->object.context, values);
    return status;
}

sslcv_status sslcv_state_set_flat(sslcv_state *state, int32_t roles, const float *buffer, int64_t count)
{
    sslcv__state_update update = {0};
    int64_t total = 0, i;
    sslcv_status status;

    SSLCV__TRY(count_flat(state, roles, &total));
    if (!buffer) return sslcv__null("buffer");
    if (count != total) return sslcv__invalid("count is %lld; must be %lld", (long long)count, (long long)total);
    SSLCV__TRY(sslcv__state_update_begin(&update, state));
    for (i = 0; i < state->count; i++) {
        const sslcv__variable *variable = state->items[i].variable;
        sslcv_tensor values;

        if (!is_flat(variable, roles)) continue;
        /* A tensor that is read is never written, though its data is not const. */
        sslcv__tensor_set(&values, SSLCV_F32, (void *)(uintptr_t)buffer, variable->ndim, variable->shape);
        SSLCV__TRY(sslcv__state_update_stage(&update, i, SSLCV_STATE_VALUE, &values));
        buffer += variable->count;
    }
    SSLCV__TRY(sslcv__state_update_commit(&update));
end:
    sslcv__state_update_free(&update);
    return status;
}
