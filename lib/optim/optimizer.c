#include "optim/optimizer.h"

#include "core/checked.h"
#include "core/memory.h"
#include "core/options.h"
#include "nn/state.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 1 << 14 }; /* floats: small enough to share out, large enough to vectorise */

/* ---- options ---- */

static int is_adam(int32_t kind)
{
    return kind == SSLCV_OPTIMIZER_ADAM || kind == SSLCV_OPTIMIZER_ADAMW;
}

static int is_lars(int32_t kind)
{
    return kind == SSLCV_OPTIMIZER_LARS || kind == SSLCV_OPTIMIZER_LARS_CLASSIC || kind == SSLCV_OPTIMIZER_LARC;
}

static sslcv_status set_defaults(int32_t kind, sslcv_optimizer_options *o)
{
    const int excludes = kind == SSLCV_OPTIMIZER_LARS || kind == SSLCV_OPTIMIZER_LARS_CLASSIC;

    if (kind < SSLCV_OPTIMIZER_SGD || kind > SSLCV_OPTIMIZER_ADAMW) {
        return sslcv__invalid("optimizer.kind is %d; must be SSLCV_OPTIMIZER_SGD .. ADAMW", kind);
    }
    *o = (sslcv_optimizer_options){
        .struct_size = sizeof *o,
        .kind = kind,
        .momentum = 0.9,
        .weight_decay = kind == SSLCV_OPTIMIZER_ADAMW ? 0.01 : 1e-4,
        .beta1 = 0.9,
        .beta2 = 0.999,
        .epsilon = 1e-8,
        .trust = 0.001,
        .decay_roles = excludes ? SSLCV_ROLE_WEIGHT : SSLCV_ROLE_PARAMETERS,
        .adapt_roles = kind == SSLCV_OPTIMIZER_LARC ? SSLCV_ROLE_PARAMETERS : SSLCV_ROLE_WEIGHT,
    };
    return SSLCV_OK;
}

sslcv_status sslcv_optimizer_options_init(sslcv_optimizer_options *options, size_t struct_size, int32_t kind)
{
    sslcv_optimizer_options defaults;
    const sslcv_status status = set_defaults(kind, &defaults);

    if (status != SSLCV_OK) return status;
    return sslcv__options_init("optimizer_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_real(const char *field, double value, double low, double high, const char *allowed)
{
    if (value >= low && value <= high) return SSLCV_OK;
    return sslcv__invalid("optimizer.%s is %g; must be %s", field, value, allowed);
}

static sslcv_status check_flag(const char *field, int32_t value)
{
    if (value == 0 || value == 1) return SSLCV_OK;
    return sslcv__invalid("optimizer.%s is %d; must be 0 or 1", field, value);
}

static sslcv_status check_roles(const char *field, int32_t value)
{
    if ((value & ~SSLCV_ROLE_PARAMETERS) == 0) return SSLCV_OK;
    return sslcv__invalid("optimizer.%s is %d; must be a sum of SSLCV_ROLE_WEIGHT, BIAS and NORM", field, value);
}

static sslcv_status check_ranges(const sslcv_optimizer_options *o)
{
    const double below_one = nextafter(1.0, 0.0);
    sslcv_status status;

    SSLCV__TRY(check_flag("nesterov", o->nesterov));
    SSLCV__TRY(check_real("momentum", o->momentum, 0.0, 1.0, "0 .. 1"));
    SSLCV__TRY(check_real("weight_decay", o->weight_decay, 0.0, 1e30, ">= 0"));
    SSLCV__TRY(check_real("beta1", o->beta1, 0.0, below_one, "0 or more and below 1"));
    SSLCV__TRY(check_real("beta2", o->beta2, 0.0, below_one, "0 or more and below 1"));
    SSLCV__TRY(check_real("epsilon", o->epsilon, 1e-30, 1e30, ">= 1e-30"));
    SSLCV__TRY(check_real("trust", o->trust, 1e-30, 1e30, "> 0"));
    SSLCV__TRY(check_real("clip_norm", o->clip_norm, 0.0, 1e300, ">= 0"));
    SSLCV__TRY(check_roles("decay_roles", o->decay_roles));
    SSLCV__TRY(check_roles("adapt_roles", o->adapt_roles));
    SSLCV__TRY(check_flag("trust_clip", o->trust_clip));
    SSLCV__TRY(check_flag("clip_each", o->clip_each));
    if (o->clip_each && o->clip_norm == 0.0) {
        return sslcv__invalid("optimizer.clip_each is 1, but clip_norm is 0: there is nothing to clip to");
    }
end:
    return status;
}

/* A field that does nothing would mislead. */
static sslcv_status check_unread(const sslcv_optimizer_options *o, const sslcv_optimizer_options *initial)
{
    const char *field = NULL;

    if (is_adam(o->kind)) {
        if (o->nesterov != initial->nesterov) field = "nesterov";
        if (o->momentum != initial->momentum) field = "momentum";
    } else {
        if (o->beta1 != initial->beta1) field = "beta1";
        if (o->beta2 != initial->beta2) field = "beta2";
        if (o->epsilon != initial->epsilon) field = "epsilon";
    }
    if (!is_lars(o->kind)) {
        if (o->trust != initial->trust) field = "trust";
        if (o->adapt_roles != initial->adapt_roles) field = "adapt_roles";
        if (o->trust_clip != initial->trust_clip) field = "trust_clip";
    }
    if (!field) return SSLCV_OK;
    return sslcv__invalid("optimizer.%s is set, but kind %d does not read it; leave it as init sets it", field,
                          o->kind);
}

static sslcv_status read_options(const sslcv_optimizer_options *options, sslcv_optimizer_options *o)
{
    sslcv_optimizer_options initial = {0};
    sslcv_status status;

    if (!options) return sslcv__null("optimizer_options");
    SSLCV__TRY(sslcv__options_read("optimizer_options", options, sizeof *o, o, sizeof *o));
    SSLCV__TRY(set_defaults(o->kind, &initial));
    SSLCV__TRY(check_ranges(o));
    SSLCV__TRY(check_unread(o, &initial));
end:
    return status;
}

/* ---- creation ---- */

static void release_group(sslcv__optimizer_group *group)
{
    sslcv__variables_free(&group->slots);
    sslcv__release(group->state);
}

static void release(void *self)
{
    sslcv_optimizer *optimizer = self;
    sslcv_context *context = optimizer->object.context;
    int64_t i;

    for (i = 0; i < optimizer->num_groups; i++) release_group(&optimizer->groups[i]);
    sslcv__variables_free(&optimizer->own);
    sslcv__free(context, optimizer->chunks);
    sslcv__free(context, optimizer->tensors);
    sslcv__free(context, optimizer->groups);
}

static sslcv_status add_scalar(sslcv__variables *set, const char *name, int32_t dtype, void *value)
{
    sslcv__variable *variable;
    const sslcv_status status = sslcv__variables_add(set, name, dtype, SSLCV_ROLE_BUFFER, 0, NULL, NULL, &variable);

    if (status == SSLCV_OK) *(void **)value = variable->value;
    return status;
}

sslcv_status sslcv_optimizer_create(sslcv_context *context, const sslcv_optimizer_options *options,
                                    sslcv_optimizer **out)
{
    sslcv_optimizer *optimizer = NULL;
    sslcv_optimizer_options o = {0};
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!out) return sslcv__null("optimizer");
    SSLCV__TRY(read_options(options, &o));
    SSLCV__TRY(sslcv__object_create(context, SSLCV__OPTIMIZER, sizeof *optimizer, release, &optimizer));
    optimizer->options = o;
    sslcv__variables_init(&optimizer->own, context);
    SSLCV__TRY(add_scalar(&optimizer->own, "step", SSLCV_I64, &optimizer->step));
    SSLCV__TRY(add_scalar(&optimizer->own, "first_rate", SSLCV_F64, &optimizer->first_rate));
    SSLCV__TRY(add_scalar(&optimizer->own, "weight_decay", SSLCV_F64, &optimizer->weight_decay));
    *optimizer->weight_decay = o.weight_decay;
    *out = optimizer;
    optimizer = NULL;
end:
    sslcv__release(optimizer);
    return status;
}

void sslcv_optimizer_destroy(sslcv_optimizer *optimizer)
{
    sslcv__destroy(optimizer, SSLCV__OPTIMIZER);
}

/* ---- groups ---- */

static const sslcv_optimizer_group group_defaults = {
    .struct_size = sizeof group_defaults, .rate_scale = 1.0, .weight_decay = -1.0, .momentum = -1.0, .adapt = -1};

sslcv_status sslcv_optimizer_group_init(sslcv_optimizer_group *group, size_t struct_size)
{
    return sslcv__options_init("optimizer_group", group, struct_size, sizeof group_defaults, &group_defaults,
                               sizeof group_defaults);
}

static sslcv_status read_group(int32_t kind, const sslcv_optimizer_group *group, sslcv_optimizer_group *g)
{
    sslcv_status status;

    *g = group_defaults;
    SSLCV__TRY(sslcv__options_read("optimizer_group", group, sizeof *g, g, sizeof *g));
    SSLCV__TRY(check_real("group.rate_scale", g->rate_scale, 0.0, 1e30, ">= 0"));
    SSLCV__TRY(check_real("group.weight_decay", g->weight_decay, -HUGE_VAL, 1e30, ">= 0, or negative for the default"));
    SSLCV__TRY(check_real("group.momentum", g->momentum, -HUGE_VAL, 1.0, "0 .. 1, or negative for the default"));
    SSLCV__TRY(check_flag("group.fixed_rate", g->fixed_rate));
    if (g->freeze_steps < 0) {
        return sslcv__invalid("optimizer.group.freeze_steps is %lld; must be >= 0", (long long)g->freeze_steps);
    }
    if (g->adapt != -1) SSLCV__TRY(check_flag("group.adapt", g->adapt));
    if (g->momentum >= 0.0 && is_adam(kind)) {
        return sslcv__invalid("optimizer.group.momentum is %g; Adam has none, must be negative", g->momentum);
    }
    if (g->adapt != -1 && !is_lars(kind)) {
        return sslcv__invalid("optimizer.group.adapt is %d; only LARS and LARC adapt, must be -1", g->adapt);
    }
    if (g->momentum < 0.0) g->momentum = -1.0;
end:
    return status;
}

static int holds(const sslcv_optimizer *optimizer, const sslcv__variable *variable, int64_t num_tensors)
{
    int64_t i;

    for (i = 0; i < num_tensors; i++) {
        if (optimizer->tensors[i].variable == variable) return 1;
    }
    return 0;
}

static int has_name(const sslcv_optimizer *optimizer, const char *name)
{
    int64_t i;

    for (i = 0; i < optimizer->num_tensors; i++) {
        if (strcmp(optimizer->tensors[i].name, name) == 0) return 1;
    }
    return 0;
}

static int64_t chunks_of(int64_t floats)
{
    return floats / CHUNK + (floats % CHUNK != 0);
}

static int64_t floats_of(const sslcv__variable *variable)
{
    return variable->stored_bytes / (int64_t)sizeof(float);
}

/* Room for one group and all tensors of the state that match, whether held or not. */
static sslcv_status make_room(sslcv_optimizer *optimizer, const sslcv_state *state, int32_t roles)
{
    sslcv_context *context = optimizer->object.context;
    int64_t tensors = optimizer->num_tensors, chunks = optimizer->num_chunks, i;
    sslcv_status status;

    for (i = 0; i < state->count; i++) {
        if (!(state->items[i].variable->role & roles)) continue;
        tensors++;
        chunks += chunks_of(floats_of(state->items[i].variable));
    }
    SSLCV__TRY(sslcv__grow_array(context, optimizer->num_groups, optimizer->num_groups + 1, sizeof *optimizer->groups,
                                 (void **)&optimizer->groups));
    SSLCV__TRY(sslcv__grow_array(context, optimizer->num_tensors, tensors, sizeof *optimizer->tensors,
                                 (void **)&optimizer->tensors));
    SSLCV__TRY(sslcv__grow_array(context, optimizer->num_chunks, chunks, sizeof *optimizer->chunks,
                                 (void **)&optimizer->chunks));
end:
    return status;
}

/* A variable beside a tensor, named after it. like NULL: a scalar i64; else f32 of its shape and layout. */
static sslcv_status add_slot(sslcv_optimizer *optimizer, sslcv__variables *slots, const char *name, const char *suffix,
                             const sslcv__variable *like, void *value)
{
    sslcv_context *context = optimizer->object.context;
    const int64_t bytes = (int64_t)(strlen(name) + strlen(suffix)) + 32;
    sslcv__variable *slot;
    char *whole;
    sslcv_status status = sslcv__alloc(context, bytes, (void **)&whole);

    if (status != SSLCV_OK) return status;
    if (has_name(optimizer, name)) {
        snprintf(whole, (size_t)bytes, "group.%lld.%s%s", (long long)optimizer->num_groups, name, suffix);
    } else {
        snprintf(whole, (size_t)bytes, "%s%s", name, suffix);
    }
    if (like) {
        status = sslcv__variables_add(slots, whole, SSLCV_F32, SSLCV_ROLE_BUFFER, like->ndim, like->shape, like->layout,
                                      &slot);
        if (status == SSLCV_OK) *(void **)value = slot->value;
    } else {
        status = add_scalar(slots, whole, SSLCV_I64, value);
    }
    sslcv__free(context, whole);
    return status;
}

static sslcv_status add_slots(sslcv_optimizer *optimizer, const sslcv__optimizer_group *group, sslcv__variables *slots,
                              sslcv__optimizer_tensor *tensor)
{
    const double momentum = group->options.momentum >= 0.0 ? group->options.momentum : optimizer->options.momentum;
    const int adam = is_adam(optimizer->options.kind);
    sslcv_status status = SSLCV_OK;

    if (adam || momentum > 0.0) {
        SSLCV__TRY(add_slot(optimizer, slots, tensor->name, ".momentum", tensor->variable, &tensor->momentum));
    }
    if (adam) {
        SSLCV__TRY(
            add_slot(optimizer, slots, tensor->name, ".second_moment", tensor->variable, &tensor->second_moment));
        SSLCV__TRY(add_slot(optimizer, slots, tensor->name, ".step", NULL, &tensor->steps));
    }
end:
    return status;
}

static int64_t cut(int64_t tensor, int64_t floats, sslcv__optimizer_chunk *chunks)
{
    const int64_t count = chunks_of(floats);
    int64_t i;

    for (i = 0; i < count; i++) {
        const int64_t left = floats - i * CHUNK;

        chunks[i] =
            (sslcv__optimizer_chunk){.tensor = tensor, .offset = i * CHUNK, .count = left < CHUNK ? left : CHUNK};
    }
    return count;
}

/* takes_resting: also tensors of frozen stages, which a host may thaw. */
static sslcv_status add_group(sslcv_optimizer *optimizer, sslcv_state *state, int32_t roles,
                              const sslcv_optimizer_group *options, int takes_resting)
{
    const sslcv_optimizer_options *o = &optimizer->options;
    sslcv__optimizer_group group = {.options = *options};
    int64_t tensors = optimizer->num_tensors, chunks = optimizer->num_chunks, i;
    sslcv_status status;

    sslcv__variables_init(&group.slots, optimizer->object.context);
    SSLCV__TRY(make_room(optimizer, state, roles));
    for (i = 0; i < state->count; i++) {
        const sslcv__state_item *item = &state->items[i];
        sslcv__optimizer_tensor tensor = {
            .name = item->name, .variable = item->variable, .resets = item->variable->resets};

        if (!(item->variable->role & roles) || holds(optimizer, item->variable, tensors)) continue;
        if (!takes_resting && !item->variable->gradient) continue;
        tensor.group = optimizer->num_groups;
        tensor.count = floats_of(item->variable);
        tensor.decays = (item->variable->role & o->decay_roles) != 0;
        tensor.adapts =
            is_lars(o->kind) && (options->adapt == -1 ? (item->variable->role & o->adapt_roles) != 0 : options->adapt);
        SSLCV__TRY(add_slots(optimizer, &group, &group.slots, &tensor));
        optimizer->tensors[tensors] = tensor;
        chunks += cut(tensors, tensor.count, optimizer->chunks + chunks);
        tensors++;
    }
    sslcv__retain(state);
    group.state = state;
    optimizer->groups[optimizer->num_groups++] = group;
    optimizer->num_tensors = tensors;
    optimizer->num_chunks = chunks;
end:
    if (status != SSLCV_OK) sslcv__variables_free(&group.slots);
    return status;
}

static sslcv_status check_add(sslcv_optimizer *optimizer, sslcv_state *state, int32_t roles)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__check(optimizer, SSLCV__OPTIMIZER, "optimizer"));
    SSLCV__TRY(sslcv__check(state, SSLCV__STATE, "state"));
    SSLCV__TRY(sslcv__check_context(state, optimizer->object.context, "state"));
    /* Trainers hold optimizers, and optimizers what they add: a circle would keep itself alive. */
    if (state->owner && (state->owner->kind == SSLCV__OPTIMIZER || state->owner->kind == SSLCV__TRAINER)) {
        return sslcv__invalid("state is that of an optimizer or trainer; must be of a backbone, head or loss");
    }
    if (roles == 0 || (roles & ~SSLCV_ROLE_PARAMETERS)) {
        return sslcv__invalid("roles is %d; must be a sum of SSLCV_ROLE_WEIGHT, BIAS and NORM", roles);
    }
    if (*optimizer->step > 0) {
        return sslcv__fail(SSLCV_ERR_STATE, "the optimizer has made %lld steps; tensors can be added before the first",
                           (long long)*optimizer->step);
    }
end:
    return status;
}

sslcv_status sslcv_optimizer_add(sslcv_optimizer *optimizer, sslcv_state *state, int32_t roles,
                                 const sslcv_optimizer_group *group)
{
    sslcv_optimizer_group g;
    sslcv_status status;

    SSLCV__TRY(check_add(optimizer, state, roles));
    SSLCV__TRY(read_group(optimizer->options.kind, group, &g));
    SSLCV__TRY(add_group(optimizer, state, roles, &g, 1));
end:
    return status;
}

sslcv_status sslcv__optimizer_add_rest(sslcv_optimizer *optimizer, sslcv_state *state)
{
    const sslcv_status status = check_add(optimizer, state, SSLCV_ROLE_PARAMETERS);

    if (status != SSLCV_OK) return status;
    return add_group(optimizer, state, SSLCV_ROLE_PARAMETERS, &group_defaults, 0);
}

void sslcv__optimizer_cut(sslcv_optimizer *optimizer, int64_t num_groups)
{
    while (optimizer->num_groups > num_groups) release_group(&optimizer->groups[--optimizer->num_groups]);
    while (optimizer->num_tensors > 0 && optimizer->tensors[optimizer->num_tensors - 1].group >= num_groups) {
        optimizer->num_chunks -= chunks_of(optimizer->tensors[--optimizer->num_tensors].count);
    }
}

/* ---- its tensors ---- */

static int64_t bytes_of(const sslcv__variables *set)
{
    int64_t bytes = 0, i;

    for (i = 0; i < set->count; i++) bytes += set->items[i]->stored_bytes;
    return bytes;
}

int64_t sslcv__optimizer_bytes(const sslcv_optimizer *optimizer)
{
    int64_t bytes = bytes_of(&optimizer->own), i;

    for (i = 0; i < optimizer->num_groups; i++) bytes += bytes_of(&optimizer->groups[i].slots);
    return bytes;
}

void sslcv__optimizer_follow_resets(sslcv_optimizer *optimizer)
{
    int64_t i;

    for (i = 0; i < optimizer->num_tensors; i++) {
        sslcv__optimizer_tensor *tensor = &optimizer->tensors[i];
        const size_t bytes = (size_t)tensor->count * sizeof(float);

        if (tensor->resets == tensor->variable->resets) continue;
        tensor->resets = tensor->variable->resets;
        if (tensor->momentum) memset(tensor->momentum, 0, bytes);
        if (tensor->second_moment) memset(tensor->second_moment, 0, bytes);
        if (tensor->steps) *tensor->steps = 0;
    }
}

/* Before slots are saved, and before they are loaded: what is loaded must not be forgotten by the next step. */
static sslcv_status before_read(sslcv__object *owner)
{
    sslcv__optimizer_follow_resets((sslcv_optimizer *)owner);
    return SSLCV_OK;
}

sslcv_status sslcv_optimizer_get_state(sslcv_optimizer *optimizer, sslcv_state **out)
{
    sslcv_state *state = NULL;
    sslcv_status status;
    int64_t i;

    SSLCV__TRY(sslcv__check(optimizer, SSLCV__OPTIMIZER, "optimizer"));
    if (!out) return sslcv__null("state");
    SSLCV__TRY(sslcv__state_create(optimizer->object.context, &optimizer->object, &state));
    SSLCV__TRY(sslcv__state_append(state, "", &optimizer->own));
    for (i = 0; i < optimizer->num_groups; i++) {
        SSLCV__TRY(sslcv__state_append(state, "", &optimizer->groups[i].slots));
    }
    state->before_read = before_read;
    *out = state;
    state = NULL;
end:
    sslcv__release(state);
    return status;
}
