/* Optimizers: groups, options, their own state, memory. */
#include "optim_support.h"

#include <stdio.h>

#include "nn/state.h"
#include "optim/optimizer.h"

/* ---- groups ---- */

/* Who decays and who is adapted, by kind and role. */
START_TEST(exclusions)
{
    static const char *const expected[6] = {
        "weight d-  bias d-  norm d-  ", "weight da  bias --  norm --  ", "weight da  bias --  norm --  ",
        "weight da  bias da  norm da  ", "weight d-  bias d-  norm d-  ", "weight d-  bias d-  norm d-  ",
    };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_state *state = new_state(context, "weight", SSLCV_ROLE_WEIGHT, 4);
    int32_t kind;
    int64_t i;

    add_tensor(state, "bias", SSLCV_ROLE_BIAS, 4);
    add_tensor(state, "norm", SSLCV_ROLE_NORM, 4);
    add_tensor(state, "buffer", SSLCV_ROLE_BUFFER, 4);
    for (kind = SSLCV_OPTIMIZER_SGD; kind <= SSLCV_OPTIMIZER_ADAMW; kind++) {
        const sslcv_optimizer_options options = options_of(kind);
        sslcv_optimizer *optimizer = new_optimizer(context, &options);
        char dump[128] = "";

        OK(sslcv_optimizer_add(optimizer, state, SSLCV_ROLE_PARAMETERS, NULL));
        ck_assert_int_eq(optimizer->num_tensors, 3);
        for (i = 0; i < 3; i++) {
            const sslcv__optimizer_tensor *tensor = &optimizer->tensors[i];
            const size_t used = strlen(dump);

            snprintf(dump + used, sizeof dump - used, "%s %c%c  ", tensor->name, tensor->decays ? 'd' : '-',
                     tensor->adapts ? 'a' : '-');
        }
        ck_assert_str_eq(dump, expected[kind - 1]);
        sslcv_optimizer_destroy(optimizer);
    }
    sslcv_state_destroy(state);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(groups_treat_their_tensors)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_optimizer_options options = options_of(SSLCV_OPTIMIZER_SGD);
    sslcv_optimizer_group group = new_group();
    sslcv_state *state = new_state(context, "w", SSLCV_ROLE_WEIGHT, 3);
    sslcv_optimizer *optimizer;

    add_tensor(state, "b", SSLCV_ROLE_BIAS, 2);
    add_tensor(state, "n", SSLCV_ROLE_NORM, 2);
    options.weight_decay = 0.5;
    options.momentum = 0.0;
    optimizer = new_optimizer(context, &options);
    group.rate_scale = 2.0;
    group.weight_decay = 0.0;
    group.fixed_rate = 1;
    OK(sslcv_optimizer_add(optimizer, state, SSLCV_ROLE_BIAS, &group));
    group = new_group();
    group.momentum = 0.5;
    OK(sslcv_optimizer_add(optimizer, state, SSLCV_ROLE_NORM, &group));
    OK(sslcv__optimizer_add_rest(optimizer, state));
    ck_assert_int_eq(optimizer->num_tensors, 3); /* none twice */
    ck_assert_int_eq(optimizer->tensors[0].group, 0);
    ck_assert_int_eq(optimizer->tensors[2].group, 2);
    ck_assert_int_eq(sslcv__optimizer_bytes(optimizer), 3 * 8 + 2 * 4); /* one momentum */

    set_all(state, 0, 3, 1.0f, 1.0f);
    set_all(state, 1, 2, 1.0f, 1.0f);
    set_all(state, 2, 2, 1.0f, 1.0f);
    OK(sslcv_optimizer_step(optimizer, 0.1, -1.0));
    CLOSE(values_of(state, 0)[2], 1.0 - 0.1 * 1.5, 1e-7);
    CLOSE(values_of(state, 1)[1], 1.0 - 0.2, 1e-7);
    CLOSE(values_of(state, 2)[1], 1.0 - 0.1 * 1.5, 1e-7);
    set_all(state, 0, 3, 1.0f, 1.0f);
    set_all(state, 1, 2, 1.0f, 1.0f);
    set_all(state, 2, 2, 1.0f, 1.0f);
    OK(sslcv_optimizer_step(optimizer, 0.01, 2.0)); /* another decay, from now on */
    CLOSE(values_of(state, 0)[0], 1.0 - 0.01 * 3.0, 1e-7);
    CLOSE(values_of(state, 1)[0], 1.0 - 0.2, 1e-7);
    CLOSE(values_of(state, 2)[0], 1.0 - 0.01 * (0.5 * 1.5 + 3.0), 1e-7);
    set_all(state, 0, 3, 1.0f, 1.0f);
    OK(sslcv_optimizer_step(optimizer, 0.01, -1.0));
    CLOSE(values_of(state, 0)[0], 1.0 - 0.01 * 3.0, 1e-7);
    FAILS(sslcv_optimizer_add(optimizer, state, SSLCV_ROLE_WEIGHT, NULL), SSLCV_ERR_STATE,
          "the optimizer has made 3 steps");
    sslcv_optimizer_destroy(optimizer);
    sslcv_state_destroy(state);
    sslcv_context_destroy(context);
}
END_TEST

/* Frozen tensors and those without a gradient: no update, no decay, no momentum; then on as if nothing had been. */
START_TEST(tensors_rest)
{
    sslcv_context *context = new_context(NULL, 1);
    const sslcv_optimizer_options options = options_of(SSLCV_OPTIMIZER_ADAM);
    sslcv_optimizer *optimizer = new_optimizer(context, &options);
    sslcv_state *state = new_state(context, "a", SSLCV_ROLE_WEIGHT, 2);
    float before, moved;

    add_tensor(state, "b", SSLCV_ROLE_WEIGHT, 2);
    OK(sslcv_optimizer_add(optimizer, state, SSLCV_ROLE_PARAMETERS, NULL));
    set_all(state, 0, 2, 1.0f, 0.5f);
    OK(sslcv_state_freeze(state, "a", 1));
    set_all(state, 1, 2, 1.0f, 0.5f);
    OK(sslcv_optimizer_step(optimizer, 0.01, -1.0));
    ck_assert_float_eq(values_of(state, 0)[0], 1.0f);
    moved = values_of(state, 1)[0];
    CLOSE(moved, 0.99, 1e-6);
    ck_assert_int_eq(state->items[0].variable->has_gradient, 0); /* cleared all the same */
    ck_assert_int_eq(state->items[1].variable->has_gradient, 0);

    before = values_of(state, 1)[0];
    OK(sslcv_state_freeze(state, "a", 0));
    set_all(state, 0, 2, 1.0f, 0.5f);
    OK(sslcv_optimizer_step(optimizer, 0.01, -1.0));
    ck_assert_float_eq(values_of(state, 1)[0], before);
    ck_assert_float_eq(values_of(state, 0)[0], moved); /* its first step, bias correction and all */
    sslcv_optimizer_destroy(optimizer);
    sslcv_state_destroy(state);
    sslcv_context_destroy(context);
}
END_TEST

/* A group rests in its first steps whatever its gradient, and counts in no norm; then on as if nothing had been. */
START_TEST(groups_rest_at_first)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_optimizer_options options = options_of(SSLCV_OPTIMIZER_ADAM);
    sslcv_optimizer_group group = new_group();
    sslcv_state *state = new_state(context, "late", SSLCV_ROLE_WEIGHT, 2);
    sslcv_optimizer *optimizer;
    float fresh;
    int step;

    options.clip_norm = 1.0;
    optimizer = new_optimizer(context, &options);
    add_tensor(state, "other", SSLCV_ROLE_BIAS, 2);
    ck_assert_int_eq(group.freeze_steps, 0);
    group.freeze_steps = 2;
    OK(sslcv_optimizer_add(optimizer, state, SSLCV_ROLE_WEIGHT, &group));
    OK(sslcv__optimizer_add_rest(optimizer, state));
    for (step = 0; step < 2; step++) {
        set_all(state, 0, 2, 1.0f, step ? NAN : 1e6f);
        set_all(state, 1, 2, 1.0f, 0.5f);
        OK(sslcv_optimizer_step(optimizer, 0.01, -1.0));
        ck_assert_float_eq(values_of(state, 0)[0], 1.0f);
        ck_assert_float_eq(optimizer->tensors[0].momentum[0], 0.0f);
        ck_assert_int_eq(*optimizer->tensors[0].steps, 0);
        ck_assert_int_eq(state->items[0].variable->has_gradient, 0);
        CLOSE(optimizer->tensors[1].update.gradient, 1.0, 0.0); /* no clipping: 1e6 is not in the norm */
        if (step == 0) fresh = values_of(state, 1)[0];
    }
    set_all(state, 0, 2, 1.0f, 0.5f);
    OK(sslcv_optimizer_step(optimizer, 0.01, -1.0));
    ck_assert_float_eq(values_of(state, 0)[1], fresh); /* its first step */
    sslcv_optimizer_destroy(optimizer);
    sslcv_state_destroy(state);
    sslcv_context_destroy(context);
}
END_TEST

/* One tensor is brought to the limit, the other is below it and stays, though both together are above. */
START_TEST(each_tensor_is_clipped_alone)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_optimizer_options options = options_of(SSLCV_OPTIMIZER_SGD);
    sslcv_state *state = new_state(context, "long", SSLCV_ROLE_WEIGHT, 4);
    sslcv_optimizer *optimizer;

    add_tensor(state, "short", SSLCV_ROLE_WEIGHT, 4);
    options.weight_decay = 0.0;
    options.clip_norm = 3.0;
    options.clip_each = 1;
    optimizer = new_optimizer(context, &options);
    OK(sslcv_optimizer_add(optimizer, state, SSLCV_ROLE_PARAMETERS, NULL));
    set_all(state, 0, 4, 1.0f, 3.0f);  /* norm 6 */
    set_all(state, 1, 4, 1.0f, 1.25f); /* norm 2.5 */
    OK(sslcv_optimizer_step(optimizer, 0.1, -1.0));
    CLOSE(values_of(state, 0)[3], 1.0 - 0.15, 1e-7);
    CLOSE(values_of(state, 1)[3], 1.0 - 0.125, 1e-7);
    sslcv_optimizer_destroy(optimizer);
    sslcv_state_destroy(state);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- options ---- */

#define REFUSED(kind, field, number, text)                                                                             \
    do {                                                                                                               \
        sslcv_optimizer_options refused = options_of(kind);                                                            \
        refused.field = (number);                                                                                      \
        FAILS(sslcv_optimizer_create(context, &refused, &optimizer), SSLCV_ERR_INVALID_ARGUMENT, text);                \
    } while (0)

START_TEST(options_are_checked)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_optimizer *optimizer = NULL;
    sslcv_optimizer_options options = options_of(SSLCV_OPTIMIZER_ADAMW);

    ck_assert_double_eq(options.weight_decay, 0.01);
    FAILS(sslcv_optimizer_options_init(&options, sizeof options, 0), SSLCV_ERR_INVALID_ARGUMENT, "optimizer.kind is 0");
    FAILS(sslcv_optimizer_options_init(&options, sizeof options, 7), SSLCV_ERR_INVALID_ARGUMENT, "optimizer.kind is 7");
    FAILS(sslcv_optimizer_options_init(NULL, sizeof options, 1), SSLCV_ERR_INVALID_ARGUMENT,
          "optimizer_options is NULL");
    FAILS(sslcv_optimizer_create(context, NULL, &optimizer), SSLCV_ERR_INVALID_ARGUMENT, "optimizer_options is NULL");
    FAILS(sslcv_optimizer_create(NULL, &options, &optimizer), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_optimizer_create(context, &options, NULL), SSLCV_ERR_INVALID_ARGUMENT, "optimizer is NULL");
    REFUSED(SSLCV_OPTIMIZER_SGD, kind, 9, "optimizer.kind is 9; must be SSLCV_OPTIMIZER_SGD .. ADAMW");
    REFUSED(SSLCV_OPTIMIZER_SGD, momentum, 1.5, "optimizer.momentum is 1.5; must be 0 .. 1");
    REFUSED(SSLCV_OPTIMIZER_SGD, momentum, NAN, "optimizer.momentum is");
    REFUSED(SSLCV_OPTIMIZER_SGD, nesterov, 2, "optimizer.nesterov is 2; must be 0 or 1");
    REFUSED(SSLCV_OPTIMIZER_SGD, weight_decay, -1.0, "optimizer.weight_decay is -1; must be >= 0");
    REFUSED(SSLCV_OPTIMIZER_ADAM, beta1, 1.0, "optimizer.beta1 is 1; must be 0 or more and below 1");
    REFUSED(SSLCV_OPTIMIZER_ADAM, beta2, -0.1, "optimizer.beta2 is -0.1");
    REFUSED(SSLCV_OPTIMIZER_ADAM, epsilon, 0.0, "optimizer.epsilon is 0; must be >= 1e-30");
    REFUSED(SSLCV_OPTIMIZER_LARS, trust, 0.0, "optimizer.trust is 0; must be > 0");
    REFUSED(SSLCV_OPTIMIZER_LARS, trust_clip, -1, "optimizer.trust_clip is -1");
    REFUSED(SSLCV_OPTIMIZER_LARS, decay_roles, 8, "optimizer.decay_roles is 8");
    REFUSED(SSLCV_OPTIMIZER_LARS, adapt_roles, 16, "optimizer.adapt_roles is 16");
    REFUSED(SSLCV_OPTIMIZER_SGD, clip_norm, -1.0, "optimizer.clip_norm is -1; must be >= 0");
    REFUSED(SSLCV_OPTIMIZER_SGD, beta1, 0.5, "optimizer.beta1 is set, but kind 1 does not read it");
    REFUSED(SSLCV_OPTIMIZER_SGD, trust, 0.5, "optimizer.trust is set, but kind 1");
    REFUSED(SSLCV_OPTIMIZER_SGD, adapt_roles, 7, "optimizer.adapt_roles is set");
    REFUSED(SSLCV_OPTIMIZER_ADAM, momentum, 0.5, "optimizer.momentum is set, but kind 5");
    REFUSED(SSLCV_OPTIMIZER_ADAM, nesterov, 1, "optimizer.nesterov is set");
    REFUSED(SSLCV_OPTIMIZER_SGD, clip_each, 2, "optimizer.clip_each is 2; must be 0 or 1");
    REFUSED(SSLCV_OPTIMIZER_SGD, clip_each, 1, "optimizer.clip_each is 1, but clip_norm is 0");
    ck_assert_ptr_null(optimizer);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(groups_are_checked)
{
    sslcv_context *context = new_context(NULL, 1), *other = new_context(NULL, 1);
    sslcv_optimizer_options options = options_of(SSLCV_OPTIMIZER_ADAM);
    sslcv_optimizer *optimizer = new_optimizer(context, &options);
    sslcv_state *state = new_state(context, "w", SSLCV_ROLE_WEIGHT, 3);
    sslcv_state *foreign = new_state(other, "w", SSLCV_ROLE_WEIGHT, 3), *own;
    sslcv_optimizer_group group = new_group();

    OK(sslcv_optimizer_get_state(optimizer, &own));
    FAILS(sslcv_optimizer_add(optimizer, own, 1, NULL), SSLCV_ERR_INVALID_ARGUMENT, "of an optimizer or trainer");
    sslcv_state_destroy(own);
    FAILS(sslcv_optimizer_add(NULL, state, 1, NULL), SSLCV_ERR_INVALID_ARGUMENT, "optimizer is NULL");
    FAILS(sslcv_optimizer_add(optimizer, NULL, 1, NULL), SSLCV_ERR_INVALID_ARGUMENT, "state is NULL");
    FAILS(sslcv_optimizer_add(optimizer, foreign, 1, NULL), SSLCV_ERR_INVALID_ARGUMENT, "another context");
    FAILS(sslcv_optimizer_add(optimizer, state, 0, NULL), SSLCV_ERR_INVALID_ARGUMENT, "roles is 0; must be a sum");
    FAILS(sslcv_optimizer_add(optimizer, state, 8, NULL), SSLCV_ERR_INVALID_ARGUMENT, "roles is 8");
    group.rate_scale = -1.0;
    FAILS(sslcv_optimizer_add(optimizer, state, 1, &group), SSLCV_ERR_INVALID_ARGUMENT,
          "optimizer.group.rate_scale is -1");
    group = new_group();
    group.momentum = 0.5;
    FAILS(sslcv_optimizer_add(optimizer, state, 1, &group), SSLCV_ERR_INVALID_ARGUMENT, "Adam has none");
    group.momentum = 1.5;
    FAILS(sslcv_optimizer_add(optimizer, state, 1, &group), SSLCV_ERR_INVALID_ARGUMENT, "group.momentum is 1.5");
    group = new_group();
    group.adapt = 1;
    FAILS(sslcv_optimizer_add(optimizer, state, 1, &group), SSLCV_ERR_INVALID_ARGUMENT, "group.adapt is 1; only LARS");
    group.adapt = 2;
    FAILS(sslcv_optimizer_add(optimizer, state, 1, &group), SSLCV_ERR_INVALID_ARGUMENT, "group.adapt is 2");
    group = new_group();
    group.fixed_rate = 3;
    FAILS(sslcv_optimizer_add(optimizer, state, 1, &group), SSLCV_ERR_INVALID_ARGUMENT, "group.fixed_rate is 3");
    group = new_group();
    group.freeze_steps = -1;
    FAILS(sslcv_optimizer_add(optimizer, state, 1, &group), SSLCV_ERR_INVALID_ARGUMENT, "group.freeze_steps is -1");
    ck_assert_int_eq(optimizer->num_groups, 0);
    sslcv_optimizer_destroy(optimizer);
    sslcv_state_destroy(foreign);
    sslcv_state_destroy(state);
    sslcv_context_destroy(other);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- its state ---- */

START_TEST(names_of_the_state)
{
    static const char *const expected[] = {"step",
                                           "first_rate",
                                           "weight_decay",
                                           "w.momentum",
                                           "w.second_moment",
                                           "w.step",
                                           "group.1.w.momentum",
                                           "group.1.w.second_moment",
                                           "group.1.w.step"};
    sslcv_context *context = new_context(NULL, 1);
    const sslcv_optimizer_options options = options_of(SSLCV_OPTIMIZER_ADAM);
    sslcv_optimizer *optimizer = new_optimizer(context, &options);
    sslcv_state *first = new_state(context, "w", SSLCV_ROLE_WEIGHT, 3);
    sslcv_state *second = new_state(context, "w", SSLCV_ROLE_WEIGHT, 5), *state = NULL;
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    int64_t i;

    OK(sslcv_optimizer_add(optimizer, first, SSLCV_ROLE_PARAMETERS, NULL));
    OK(sslcv_optimizer_add(optimizer, second, SSLCV_ROLE_PARAMETERS, NULL));
    OK(sslcv_optimizer_get_state(optimizer, &state));
    for (i = 0; i < 9; i++) {
        OK(sslcv_state_get_entry(state, i, &entry));
        ck_assert_str_eq(entry.name, expected[i]);
        ck_assert_int_eq(entry.role, SSLCV_ROLE_BUFFER);
    }
    ck_assert_int_eq(sslcv_state_get_entry(state, 9, &entry), SSLCV_ERR_NOT_FOUND);
    FAILS(sslcv_optimizer_get_state(optimizer, NULL), SSLCV_ERR_INVALID_ARGUMENT, "state is NULL");
    sslcv_optimizer_destroy(optimizer); /* any order */
    sslcv_state_destroy(first);
    OK(sslcv_state_get_entry(state, 8, &entry));
    sslcv_state_destroy(second);
    sslcv_state_destroy(state);
    sslcv_context_destroy(context);
}
END_TEST

static void copy_state(sslcv_optimizer *from, sslcv_optimizer *to)
{
    sslcv_state *source, *target;

    OK(sslcv_optimizer_get_state(from, &source));
    OK(sslcv_optimizer_get_state(to, &target));
    OK(sslcv_state_lerp(target, source, 0.0, SSLCV_ROLE_ALL));
    sslcv_state_destroy(source);
    sslcv_state_destroy(target);
}

static void take_steps(sslcv_optimizer *optimizer, sslcv_state *state, int from, int to)
{
    int step;

    for (step = from; step < to; step++) {
        golden_input(70 + step, 300, gradients_of(state, 0));
        OK(sslcv_optimizer_step(optimizer, 0.1 / (1 + step), step == 1 ? 0.03 : -1.0));
    }
}

/* Three steps, the state into a fresh optimizer, three more: the bits of six steps. Some rest in the first four. */
START_TEST(state_makes_runs_resume)
{
    sslcv_context *context = new_context(NULL, 1);
    int32_t kind;

    for (kind = SSLCV_OPTIMIZER_SGD; kind <= SSLCV_OPTIMIZER_ADAMW; kind++) {
        const sslcv_optimizer_options options = options_of(kind);
        sslcv_optimizer_group group = new_group();
        sslcv_optimizer *whole = new_optimizer(context, &options), *half = new_optimizer(context, &options);
        sslcv_state *a = new_state(context, "w", SSLCV_ROLE_WEIGHT, 300);
        sslcv_state *b = new_state(context, "w", SSLCV_ROLE_WEIGHT, 300);

        group.fixed_rate = kind % 2;
        group.freeze_steps = kind % 3 == 0 ? 4 : 0;
        golden_input(69, 300, values_of(a, 0));
        OK(sslcv_optimizer_add(whole, a, SSLCV_ROLE_PARAMETERS, &group));
        OK(sslcv_optimizer_add(half, b, SSLCV_ROLE_PARAMETERS, &group));
        take_steps(whole, a, 0, 3);
        copy_state(whole, half);
        memcpy(values_of(b, 0), values_of(a, 0), 300 * sizeof(float));
        take_steps(whole, a, 3, 6);
        take_steps(half, b, 3, 6);
        ck_assert_mem_eq(values_of(a, 0), values_of(b, 0), 300 * sizeof(float));
        ck_assert_int_eq(half->tensors[0].is_active, 1);
        FAILS(sslcv_optimizer_add(half, a, 1, NULL), SSLCV_ERR_STATE, "has made 6 steps");
        sslcv_optimizer_destroy(half);
        sslcv_optimizer_destroy(whole);
        sslcv_state_destroy(b);
        sslcv_state_destroy(a);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* Files may say anything: counters at their end stay there. */
START_TEST(steps_are_counted_to_the_last_number)
{
    sslcv_context *context = new_context(NULL, 1);
    const sslcv_optimizer_options options = options_of(SSLCV_OPTIMIZER_ADAM);
    sslcv_optimizer *optimizer = new_optimizer(context, &options);
    sslcv_state *a = new_state(context, "w", SSLCV_ROLE_WEIGHT, 300), *state;
    static const char *const names[2] = {"step", "w.step"};
    int64_t index, count;
    sslcv_tensor tensor;
    int i;

    golden_input(69, 300, values_of(a, 0));
    OK(sslcv_optimizer_add(optimizer, a, SSLCV_ROLE_PARAMETERS, NULL));
    OK(sslcv_optimizer_get_state(optimizer, &state));
    OK(sslcv_tensor_init(&tensor, SSLCV_I64, &count, 0, NULL));
    for (i = 0; i < 2; i++) {
        count = INT64_MAX - 1;
        OK(sslcv_state_find(state, names[i], &index));
        OK(sslcv_state_set(state, index, SSLCV_STATE_VALUE, &tensor));
    }
    take_steps(optimizer, a, 0, 2);
    for (i = 0; i < 2; i++) {
        OK(sslcv_state_find(state, names[i], &index));
        OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &tensor));
        ck_assert_int_eq(count, INT64_MAX);
    }
    for (i = 0; i < 300; i++) ck_assert(isfinite(values_of(a, 0)[i]));
    sslcv_state_destroy(state);
    sslcv_optimizer_destroy(optimizer);
    sslcv_state_destroy(a);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- memory ---- */

static sslcv_status make_and_step(sslcv_context *context, sslcv_state *state, sslcv_state **slots)
{
    const sslcv_optimizer_options options = options_of(SSLCV_OPTIMIZER_ADAM);
    sslcv_optimizer *optimizer = NULL;
    sslcv_status status = sslcv_optimizer_create(context, &options, &optimizer);

    if (status == SSLCV_OK) status = sslcv_optimizer_add(optimizer, state, SSLCV_ROLE_WEIGHT, NULL);
    if (status == SSLCV_OK) {
        const int64_t groups = optimizer->num_groups, tensors = optimizer->num_tensors;

        status = sslcv_optimizer_add(optimizer, state, SSLCV_ROLE_BIAS, NULL);
        if (status != SSLCV_OK) {
            /* As before, and usable. */
            ck_assert_int_eq(optimizer->num_groups, groups);
            ck_assert_int_eq(optimizer->num_tensors, tensors);
            OK(sslcv_optimizer_step(optimizer, 0.1, -1.0));
        }
    }
    if (status == SSLCV_OK) status = sslcv_optimizer_get_state(optimizer, slots);
    sslcv_optimizer_destroy(optimizer);
    return status;
}

START_TEST(any_allocation_may_fail)
{
    host h = {.fail_at = -1};
    sslcv_context *context = new_context(&h, 1);
    sslcv_state *state = new_state(context, "w", SSLCV_ROLE_WEIGHT, 40000), *slots = NULL;
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    int64_t before, n;

    add_tensor(state, "b", SSLCV_ROLE_BIAS, 5);
    before = h.out;
    for (n = 0; status != SSLCV_OK; n++) {
        ck_assert_int_lt(n, 200);
        h.calls = 0;
        h.fail_at = n;
        status = make_and_step(context, state, &slots);
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
        ck_assert_ptr_null(slots);
        ck_assert_int_eq(h.out, before);
    }
    ck_assert_int_gt(n, 10);
    sslcv_state_destroy(slots);
    sslcv_state_destroy(state);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("optimizer_groups");
    TCase *groups = tcase_create("groups"), *state = tcase_create("state");

    tcase_add_test(groups, exclusions);
    tcase_add_test(groups, groups_treat_their_tensors);
    tcase_add_test(groups, tensors_rest);
    tcase_add_test(groups, groups_rest_at_first);
    tcase_add_test(groups, each_tensor_is_clipped_alone);
    tcase_add_test(groups, options_are_checked);
    tcase_add_test(groups, groups_are_checked);
    suite_add_tcase(suite, groups);
    tcase_set_timeout(state, 60);
    tcase_add_test(state, names_of_the_state);
    tcase_add_test(state, state_makes_runs_resume);
    tcase_add_test(state, steps_are_counted_to_the_last_number);
    tcase_add_test(state, any_allocation_may_fail);
    suite_add_tcase(suite, state);
    return run_suite(suite);
}
