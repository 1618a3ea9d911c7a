#include "memory_support.h"

#include <sslcv/optim.h>
#include <sslcv/state.h>

#include <stdio.h>

#include "core/rng.h"
#include "nn/state.h"
#include "optim/optimizer.h"

/* ---- what the tests share ---- */

static void add_tensor(sslcv_state *state, const char *name, int32_t role, int64_t count)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry, .name = name, .ndim = 1, .dtype = SSLCV_F32, .role = role};

    entry.shape[0] = count;
    OK(sslcv_state_add(state, &entry, NULL));
}

static sslcv_state *new_state(sslcv_context *context, const char *name, int32_t role, int64_t count)
{
    sslcv_state *state;

    OK(sslcv_state_create(context, &state));
    add_tensor(state, name, role, count);
    return state;
}

static float *data_of(sslcv_state *state, int64_t index, int32_t part)
{
    sslcv_tensor tensor;

    OK(sslcv_state_data(state, index, part, &tensor));
    return tensor.data;
}

static float *values_of(sslcv_state *state, int64_t index)
{
    return data_of(state, index, SSLCV_STATE_VALUE);
}

static float *gradients_of(sslcv_state *state, int64_t index)
{
    return data_of(state, index, SSLCV_STATE_GRADIENT);
}

static sslcv_optimizer_options options_of(int32_t kind)
{
    sslcv_optimizer_options options;

    OK(sslcv_optimizer_options_init(&options, sizeof options, kind));
    return options;
}

static sslcv_optimizer *new_optimizer(sslcv_context *context, const sslcv_optimizer_options *options)
{
    sslcv_optimizer *optimizer;

    OK(sslcv_optimizer_create(context, options, &optimizer));
    return optimizer;
}

static sslcv_optimizer_group new_group(void)
{
    sslcv_optimizer_group group;

    OK(sslcv_optimizer_group_init(&group, sizeof group));
    return group;
}

static void read_golden(const char *name, double *values, int count)
{
    FILE *file = fopen("tests/golden/optim.txt", "r");
    const size_t length = strlen(name);
    char line[1024];
    int found = 0, i;

    ck_assert_msg(file != NULL, "tests/golden/optim.txt is missing; tests run in the root of the repository");
    while (!found && fgets(line, sizeof line, file)) {
        char *text = line + length;

        if (strncmp(line, name, length) != 0 || line[length] != ' ') continue;
        for (i = 0; i < count; i++) values[i] = strtod(text, &text);
        found = 1;
    }
    fclose(file);
    ck_assert_msg(found, "tests/golden/optim.txt has no line %s", name);
}

/* ---- published values ---- */

static void compare_with_pytorch(sslcv_context *context, const char *name, const sslcv_optimizer_options *options,
                                 double rate)
{
    sslcv_optimizer *optimizer = new_optimizer(context, options);
    sslcv_state *state = new_state(context, "w", SSLCV_ROLE_WEIGHT, 12);
    double golden[12];
    int step, i;

    read_golden(name, golden, 12);
    golden_input(20, 12, values_of(state, 0));
    OK(sslcv_optimizer_add(optimizer, state, SSLCV_ROLE_PARAMETERS, NULL));
    for (step = 0; step < 6; step++) {
        golden_input(30 + step, 12, gradients_of(state, 0));
        OK(sslcv_optimizer_step(optimizer, rate / (1 + step), -1.0));
    }
    for (i = 0; i < 12; i++) {
        ck_assert_msg(fabs((double)values_of(state, 0)[i] - golden[i]) <= 2e-7, "%s[%d] is %.9f; PyTorch has %.9f",
                      name, i, (double)values_of(state, 0)[i], golden[i]);
    }
    sslcv_state_destroy(state);
    sslcv_optimizer_destroy(optimizer);
}

START_TEST(sequences_equal_pytorch)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_optimizer_options o = options_of(SSLCV_OPTIMIZER_SGD);

    o.momentum = 0.0;
    o.weight_decay = 0.0;
    compare_with_pytorch(context, "sgd_plain", &o, 0.3);
    o.momentum = 0.9;
    o.weight_decay = 5e-4;
    compare_with_pytorch(context, "sgd_momentum", &o, 0.3);
    o.clip_norm = 0.25;
    compare_with_pytorch(context, "sgd_clipped", &o, 0.3);
    o.clip_norm = 0.0;
    o.nesterov = 1;
    o.weight_decay = 5e-2;
    compare_with_pytorch(context, "sgd_nesterov", &o, 0.3);
    o = options_of(SSLCV_OPTIMIZER_ADAM);
    o.weight_decay = 1e-2;
    compare_with_pytorch(context, "adam", &o, 0.01);
    o.beta1 = 0.5;
    o.beta2 = 0.9;
    o.epsilon = 1e-3;
    o.weight_decay = 0.0;
    compare_with_pytorch(context, "adam_betas", &o, 0.01);
    o = options_of(SSLCV_OPTIMIZER_ADAMW);
    o.weight_decay = 0.4;
    compare_with_pytorch(context, "adamw", &o, 0.01);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(lars_has_the_published_values)
{
    static const struct {
        int32_t kind;
        double golden[3];
    } cases[3] = {
        {SSLCV_OPTIMIZER_LARS_CLASSIC, {-0.120684560, 0.087385188, 0.364301591}},
        {SSLCV_OPTIMIZER_LARS, {-0.121299817, 0.086607581, 0.364784109}},
        {SSLCV_OPTIMIZER_LARC, {-0.121299994, 0.086607396, 0.364784234}},
    };
    sslcv_context *context = new_context(NULL, 1);
    int i, j;

    for (i = 0; i < 3; i++) {
        const sslcv_optimizer_options options = options_of(cases[i].kind);
        sslcv_optimizer *optimizer = new_optimizer(context, &options);
        sslcv_state *state = new_state(context, "w", SSLCV_ROLE_WEIGHT, 6);

        golden_input(9, 6, values_of(state, 0));
        OK(sslcv_optimizer_add(optimizer, state, SSLCV_ROLE_PARAMETERS, NULL));
        golden_input(10, 6, gradients_of(state, 0));
        OK(sslcv_optimizer_step(optimizer, 4.8, -1.0));
        golden_input(11, 6, gradients_of(state, 0));
        OK(sslcv_optimizer_step(optimizer, 2.4, -1.0));
        for (j = 0; j < 3; j++) CLOSE(values_of(state, 0)[j], cases[i].golden[j], 3e-8);
        sslcv_state_destroy(state);
        sslcv_optimizer_destroy(optimizer);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* ---- the twin: one tensor, in double, straight from the formulas of optim.h ---- */

typedef struct twin {
    int64_t count;
    double *w, *v, *s;
    int64_t steps;
} twin;

static double norm_of(const double *x, int64_t count)
{
    double sum = 0.0;
    int64_t i;

    for (i = 0; i < count; i++) sum += x[i] * x[i];
    return sqrt(sum);
}

static double clip_ratio(const sslcv_optimizer_options *o, double ratio, double rate)
{
    return o->trust_clip && ratio / rate < 1.0 ? ratio / rate : o->trust_clip ? 1.0 : ratio;
}

static void twin_adam(const sslcv_optimizer_options *o, twin *t, const double *g, double rate, double decay)
{
    const double c1 = 1.0 - pow(o->beta1, (double)++t->steps), c2 = 1.0 - pow(o->beta2, (double)t->steps);
    int64_t i;

    for (i = 0; i < t->count; i++) {
        double d = g[i];

        if (o->kind == SSLCV_OPTIMIZER_ADAMW) t->w[i] -= rate * decay * t->w[i];
        if (o->kind == SSLCV_OPTIMIZER_ADAM) d += decay * t->w[i];
        t->v[i] = o->beta1 * t->v[i] + (1.0 - o->beta1) * d;
        t->s[i] = o->beta2 * t->s[i] + (1.0 - o->beta2) * d * d;
        t->w[i] -= rate * t->v[i] / c1 / (sqrt(t->s[i] / c2) + o->epsilon);
    }
}

/* g is overwritten. */
static void twin_step(const sslcv_optimizer_options *o, twin *t, double *g, double rate, double decay, int adapts)
{
    const double before = norm_of(g, t->count), weights = norm_of(t->w, t->count);
    double norm, step;
    int64_t i;

    if (t->s) {
        twin_adam(o, t, g, rate, decay);
        return;
    }
    if (o->kind == SSLCV_OPTIMIZER_LARC && adapts && (before == 0.0 || weights == 0.0)) decay = 0.0;
    for (i = 0; i < t->count; i++) g[i] += decay * t->w[i];
    norm = norm_of(g, t->count);
    if (adapts && o->kind == SSLCV_OPTIMIZER_LARC && before > 0.0 && weights > 0.0) {
        const double a = clip_ratio(o, o->trust * weights / (before + decay * weights + 1e-8), rate);

        for (i = 0; i < t->count; i++) g[i] *= a;
    } else if (adapts && o->kind != SSLCV_OPTIMIZER_LARC && norm > 0.0 && weights > 0.0) {
        const double r = clip_ratio(o, o->trust * weights / norm, rate);

        for (i = 0; i < t->count; i++) g[i] *= r;
    }
    for (i = 0; i < t->count; i++) {
        if (o->kind == SSLCV_OPTIMIZER_LARS_CLASSIC) g[i] *= rate;
        t->v[i] = o->momentum * t->v[i] + g[i];
        step = o->nesterov ? g[i] + o->momentum * t->v[i] : t->v[i];
        t->w[i] -= o->kind == SSLCV_OPTIMIZER_LARS_CLASSIC ? step : rate * step;
    }
}

enum { TWINS = 6, STEPS = 4, LARGEST = 40000 };

/* Random options of a kind, six tensors of random size, four steps. */
static void compare_with_twin(sslcv_context *context, sslcv__rng *rng, int32_t kind)
{
    static const int32_t roles[3] = {SSLCV_ROLE_WEIGHT, SSLCV_ROLE_BIAS, SSLCV_ROLE_NORM};
    sslcv_optimizer_options o = options_of(kind);
    const int adam = kind >= SSLCV_OPTIMIZER_ADAM, lars = kind > SSLCV_OPTIMIZER_SGD && !adam;
    sslcv_optimizer *optimizer;
    sslcv_state *state;
    double *memory[TWINS], *g = calloc(TWINS * LARGEST, sizeof *g);
    float *values[TWINS];
    twin t[TWINS];
    double worst = 0.0;
    int64_t i, j, step;

    o.weight_decay = sslcv__rng_range(rng, 0.0, 0.1);
    o.decay_roles = (int32_t)sslcv__rng_below(rng, 8);
    if (sslcv__rng_below(rng, 2)) o.clip_norm = 1.0;
    if (!adam) o.nesterov = (int32_t)sslcv__rng_below(rng, 2);
    if (!adam && sslcv__rng_below(rng, 4) == 0) o.momentum = 0.0;
    if (lars) {
        o.trust = 0.05;
        o.adapt_roles = (int32_t)sslcv__rng_below(rng, 8);
        o.trust_clip = (int32_t)sslcv__rng_below(rng, 2);
    }
    optimizer = new_optimizer(context, &o);
    OK(sslcv_state_create(context, &state));
    for (i = 0; i < TWINS; i++) {
        const int64_t limit = i == 0 ? LARGEST : 50, count = 1 + sslcv__rng_below(rng, limit);
        char name[16];

        snprintf(name, sizeof name, "t%d", (int)i);
        add_tensor(state, name, roles[i % 3], count);
        memory[i] = calloc((size_t)(3 * count), sizeof(double));
        t[i] = (twin){count, memory[i], memory[i] + count, adam ? memory[i] + 2 * count : NULL, 0};
        values[i] = values_of(state, i);
        for (j = 0; j < count; j++) {
            values[i][j] = i == 4 ? 0.0f : (float)sslcv__rng_normal(rng); /* one of zeros */
            t[i].w[j] = (double)values[i][j];
        }
    }
    OK(sslcv_optimizer_add(optimizer, state, SSLCV_ROLE_PARAMETERS, NULL));
    for (step = 0; step < STEPS; step++) {
        const double rate = sslcv__rng_range(rng, 0.001, 0.2);
        double norm = 0.0, clip;

        for (i = 0; i < TWINS; i++) {
            float *gradient = i == step ? NULL : gradients_of(state, i); /* one rests in each step */

            for (j = 0; j < t[i].count && gradient; j++) {
                gradient[j] = i == 5 && step == 1 ? 0.0f : (float)(0.1 * sslcv__rng_normal(rng));
                g[i * LARGEST + j] = (double)gradient[j];
                norm += g[i * LARGEST + j] * g[i * LARGEST + j];
            }
        }
        clip = o.clip_norm > 0.0 && sqrt(norm) > o.clip_norm ? o.clip_norm / sqrt(norm) : 1.0;
        for (i = 0; i < TWINS; i++) {
            const int decays = (roles[i % 3] & o.decay_roles) != 0, adapts = (roles[i % 3] & o.adapt_roles) != 0;

            if (i == step) continue;
            for (j = 0; j < t[i].count; j++) g[i * LARGEST + j] *= clip;
            twin_step(&o, &t[i], g + i * LARGEST, rate, decays ? o.weight_decay : 0.0, lars && adapts);
        }
        OK(sslcv_optimizer_step(optimizer, rate, -1.0));
    }
    for (i = 0; i < TWINS; i++) {
        for (j = 0; j < t[i].count; j++) {
            worst = fmax(worst, fabs((double)values[i][j] - t[i].w[j]) / fmax(1.0, fabs(t[i].w[j])));
        }
        ck_assert_msg(worst <= 2e-6, "kind %d, tensor %d: relative error %g", kind, (int)i, worst);
        free(memory[i]);
    }
    free(g);
    sslcv_state_destroy(state);
    sslcv_optimizer_destroy(optimizer);
}

START_TEST(every_kind_equals_its_twin)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv__rng rng;
    int32_t kind;
    int round;

    sslcv__rng_init(&rng, 11, 0, 0);
    for (round = 0; round < 6; round++) {
        for (kind = SSLCV_OPTIMIZER_SGD; kind <= SSLCV_OPTIMIZER_ADAMW; kind++) compare_with_twin(context, &rng, kind);
    }
    sslcv_context_destroy(context);
}
END_TEST

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

static void set_all(sslcv_state *state, int64_t index, int64_t count, float value, float gradient)
{
    float *values = values_of(state, index), *gradients = gradients_of(state, index);
    int64_t i;

    for (i = 0; i < count; i++) {
        values[i] = value;
        gradients[i] = gradient;
    }
}

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

START_TEST(bad_gradients_change_nothing)
{
    static const float bad[3] = {NAN, INFINITY, -INFINITY};
    sslcv_context *context = new_context(NULL, 2);
    const sslcv_optimizer_options options = options_of(SSLCV_OPTIMIZER_SGD);
    sslcv_optimizer *optimizer = new_optimizer(context, &options);
    sslcv_state *state = new_state(context, "first", SSLCV_ROLE_WEIGHT, 20000);
    int i;

    add_tensor(state, "second", SSLCV_ROLE_BIAS, 5);
    OK(sslcv_optimizer_add(optimizer, state, SSLCV_ROLE_PARAMETERS, NULL));
    for (i = 0; i < 3; i++) {
        set_all(state, 0, 20000, 1.0f, 0.5f);
        set_all(state, 1, 5, 1.0f, 0.5f);
        gradients_of(state, i % 2)[i % 2 ? 4 : 19999] = bad[i];
        FAILS(sslcv__optimizer_check_gradients(optimizer), SSLCV_ERR_NUMERIC, i % 2 ? "second" : "first");
        ck_assert_int_eq(state->items[0].variable->has_gradient, 1);
        FAILS(sslcv_optimizer_step(optimizer, 0.1, 3.0), SSLCV_ERR_NUMERIC,
              i % 2 ? "the gradient of second has NaN or infinity" : "the gradient of first has NaN or infinity");
        ck_assert_float_eq(values_of(state, 0)[0], 1.0f);
        ck_assert_float_eq(values_of(state, 1)[0], 1.0f);
        ck_assert_int_eq(*optimizer->step, 0);
        ck_assert_double_eq(*optimizer->weight_decay, 1e-4);
        ck_assert_float_eq(optimizer->tensors[0].momentum[0], 0.0f);
        ck_assert_int_eq(state->items[0].variable->has_gradient, 0);
        ck_assert_int_eq(state->items[1].variable->has_gradient, 0);
    }
    set_all(state, 0, 20000, 1.0f, 1e25f); /* finite, though its square is not in f32 */
    OK(sslcv__optimizer_check_gradients(optimizer));
    OK(sslcv_optimizer_step(optimizer, 0.0, -1.0));
    ck_assert_float_eq(values_of(state, 0)[0], 1.0f);
    FAILS(sslcv_optimizer_step(optimizer, -0.1, -1.0), SSLCV_ERR_INVALID_ARGUMENT,
          "learning_rate is -0.1; must be >= 0");
    FAILS(sslcv_optimizer_step(optimizer, NAN, -1.0), SSLCV_ERR_INVALID_ARGUMENT, "learning_rate is");
    FAILS(sslcv_optimizer_step(optimizer, 0.1, NAN), SSLCV_ERR_INVALID_ARGUMENT, "weight_decay is");
    FAILS(sslcv_optimizer_step(NULL, 0.1, -1.0), SSLCV_ERR_INVALID_ARGUMENT, "optimizer is NULL");
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
    options = options_of(SSLCV_OPTIMIZER_SGD);
    options.reserved = 1;
    FAILS(sslcv_optimizer_create(context, &options, &optimizer), SSLCV_ERR_UNSUPPORTED, "optimizer.reserved");
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
    sslcv_state *foreign = new_state(other, "w", SSLCV_ROLE_WEIGHT, 3);
    sslcv_optimizer_group group = new_group();

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

/* Three steps, the state into a fresh optimizer, three more: the bits of six steps. */
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
        golden_input(69, 300, values_of(a, 0));
        OK(sslcv_optimizer_add(whole, a, SSLCV_ROLE_PARAMETERS, &group));
        OK(sslcv_optimizer_add(half, b, SSLCV_ROLE_PARAMETERS, &group));
        take_steps(whole, a, 0, 3);
        copy_state(whole, half);
        memcpy(values_of(b, 0), values_of(a, 0), 300 * sizeof(float));
        take_steps(whole, a, 3, 6);
        take_steps(half, b, 3, 6);
        ck_assert_mem_eq(values_of(a, 0), values_of(b, 0), 300 * sizeof(float));
        FAILS(sslcv_optimizer_add(half, a, 1, NULL), SSLCV_ERR_STATE, "has made 6 steps");
        sslcv_optimizer_destroy(half);
        sslcv_optimizer_destroy(whole);
        sslcv_state_destroy(b);
        sslcv_state_destroy(a);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* ---- size, threads, layouts, memory ---- */

/* Many small tensors beside a large one; a step allocates nothing; one thread and two give the same bits. */
START_TEST(many_tensors_many_threads)
{
    enum { SMALL = 1500, LARGE = 100000 };
    static float result[2][LARGE];
    int32_t threads;

    for (threads = 1; threads <= 2; threads++) {
        host h = {0, -1, 0};
        sslcv_context *context = new_context(&h, threads);
        const sslcv_optimizer_options options = options_of(SSLCV_OPTIMIZER_LARC);
        sslcv_optimizer *optimizer = new_optimizer(context, &options);
        sslcv_state *state = new_state(context, "large", SSLCV_ROLE_WEIGHT, LARGE);
        int64_t calls, i;
        int step;

        for (i = 0; i < SMALL; i++) {
            char name[16];

            snprintf(name, sizeof name, "s%d", (int)i);
            add_tensor(state, name, SSLCV_ROLE_BIAS, 1 + i % 7);
        }
        golden_input(80, LARGE, values_of(state, 0));
        OK(sslcv_optimizer_add(optimizer, state, SSLCV_ROLE_PARAMETERS, NULL));
        calls = h.calls;
        for (step = 0; step < 3; step++) {
            golden_input(81 + step, LARGE, gradients_of(state, 0));
            for (i = 1; i <= SMALL; i++) gradients_of(state, i)[0] = (float)i;
            OK(sslcv_optimizer_step(optimizer, 0.5, -1.0));
        }
        ck_assert_int_eq(h.calls, calls);
        memcpy(result[threads - 1], values_of(state, 0), sizeof result[0]);
        for (i = 1; i <= SMALL; i++) ck_assert_float_lt(values_of(state, i)[0], 0.0f);
        sslcv_state_destroy(state);
        sslcv_optimizer_destroy(optimizer);
        sslcv_context_destroy(context);
        ck_assert_int_eq(h.out, 0);
    }
    ck_assert_mem_eq(result[0], result[1], sizeof result[0]);
}
END_TEST

/* A parameter in a convolution's layout gets the updates of a plain one, slots too, and its padding stays 0. */
START_TEST(blocked_parameters)
{
    static const int64_t shape[4] = {20, 3, 3, 3};
    static const sslcv__conv_shape conv = {2, 3, 8, 8, 20, 3, 3, 1, 1, SSLCV_F32, 0};
    sslcv_context *context = new_context(NULL, 2);
    const sslcv_optimizer_options options = options_of(SSLCV_OPTIMIZER_ADAM);
    sslcv_optimizer *blocked = new_optimizer(context, &options), *plain = new_optimizer(context, &options);
    sslcv__variables set;
    sslcv__variable *variable;
    sslcv__op *op;
    sslcv_state *window, *slots, *flat = new_state(context, "w", SSLCV_ROLE_WEIGHT, 540);
    sslcv_tensor tensor;
    float dense[540], stored = 0.0f, kept = 0.0f;
    int64_t index, i;
    int step;

    OK(sslcv__op_conv_forward(context, &conv, NULL, &op));
    sslcv__variables_init(&set, context);
    OK(sslcv__variables_add(&set, "w", SSLCV_F32, SSLCV_ROLE_WEIGHT, 4, shape, sslcv__op_layout(op, SSLCV__WEIGHTS),
                            &variable));
    OK(sslcv__state_create(context, NULL, &window));
    OK(sslcv__state_append(window, "", &set));
    golden_input(90, 540, dense);
    memcpy(values_of(flat, 0), dense, sizeof dense);
    OK(sslcv__variable_write(context, variable, SSLCV_STATE_VALUE, dense));
    OK(sslcv_optimizer_add(blocked, window, SSLCV_ROLE_PARAMETERS, NULL));
    OK(sslcv_optimizer_add(plain, flat, SSLCV_ROLE_PARAMETERS, NULL));
    for (step = 0; step < 3; step++) {
        golden_input(91 + step, 540, dense);
        memcpy(gradients_of(flat, 0), dense, sizeof dense);
        OK(sslcv__variable_write(context, variable, SSLCV_STATE_GRADIENT, dense));
        variable->has_gradient = 1;
        OK(sslcv_optimizer_step(blocked, 0.01, -1.0));
        OK(sslcv_optimizer_step(plain, 0.01, -1.0));
    }
    OK(sslcv__variable_read(context, variable, SSLCV_STATE_VALUE, dense));
    ck_assert_mem_eq(dense, values_of(flat, 0), sizeof dense);
    for (i = 0; i < variable->stored_bytes / 4; i++) stored += fabsf(((float *)variable->value)[i]);
    for (i = 0; i < 540; i++) kept += fabsf(dense[i]);
    CLOSE(stored / kept, 1.0, 1e-5);

    OK(sslcv_optimizer_get_state(blocked, &slots));
    OK(sslcv_state_find(slots, "w.second_moment", &index));
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, dense, 4, shape));
    OK(sslcv_state_get(slots, index, SSLCV_STATE_VALUE, &tensor));
    ck_assert_mem_eq(dense, plain->tensors[0].second_moment, sizeof dense);
    sslcv_state_destroy(slots);
    sslcv_optimizer_destroy(blocked);
    sslcv_optimizer_destroy(plain);
    sslcv_state_destroy(flat);
    sslcv_state_destroy(window);
    sslcv__variables_free(&set);
    sslcv__op_free(context, op);
    sslcv_context_destroy(context);
}
END_TEST

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
    host h = {0, -1, 0};
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

/* ---- schedules ---- */

static double at(const sslcv_schedule *schedule, int64_t step, int64_t steps_per_epoch, int64_t epochs)
{
    double value;

    OK(sslcv_schedule_value(schedule, step, steps_per_epoch, epochs, &value));
    return value;
}

static sslcv_schedule new_schedule(int32_t kind, double value)
{
    sslcv_schedule schedule;

    OK(sslcv_schedule_init(&schedule, sizeof schedule, kind, value));
    return schedule;
}

START_TEST(schedules_have_the_published_values)
{
    static const struct {
        int64_t step;
        double value;
    } warm[4] = {{5, 0.3}, {10, 0.6}, {55, 0.3}, {99, 0.00018275}},
      swav[6] = {{0, 0.3}, {5, 2.8}, {9, 4.8}, {10, 4.8}, {55, 2.4024}, {99, 0.00626055}},
      byol[5] = {{0, 0.99}, {25, 0.99146447}, {50, 0.995}, {75, 0.99853553}, {100, 1.0}};
    sslcv_schedule s = new_schedule(SSLCV_SCHEDULE_COSINE, 0.6);
    int i;

    s.warmup_epochs = 1.0;
    CLOSE(at(&s, 0, 10, 10), 0.0, 0.0);
    for (i = 0; i < 4; i++) CLOSE(at(&s, warm[i].step, 10, 10), warm[i].value, 5e-9);
    s = new_schedule(SSLCV_SCHEDULE_COSINE, 4.8);
    s.warmup_start = 0.3;
    s.warmup_epochs = 10.0;
    s.warmup_reaches = 1;
    s.end_value = 0.0048;
    for (i = 0; i < 6; i++) CLOSE(at(&s, swav[i].step, 1, 100), swav[i].value, 5e-9);
    s = new_schedule(SSLCV_SCHEDULE_COSINE, 0.99);
    s.end_value = 1.0;
    for (i = 0; i < 5; i++) CLOSE(at(&s, byol[i].step, 4, 25), byol[i].value, 5e-9);
}
END_TEST

START_TEST(schedules_by_epoch_and_step)
{
    sslcv_schedule s = new_schedule(SSLCV_SCHEDULE_COSINE, 0.03);
    int64_t step;

    s.by_epoch = 1; /* MoCo v2: lr (1 + cos(pi e / E)) / 2 */
    for (step = 0; step < 200; step += 7) {
        CLOSE(at(&s, step, 10, 20), 0.03 * 0.5 * (1.0 + cos(acos(-1.0) * (double)(step / 10) / 20.0)), 1e-12);
    }
    s = new_schedule(SSLCV_SCHEDULE_STEPS, 0.03); /* MoCo v1 */
    s.num_milestones = 2;
    s.milestones[0] = 120.0;
    s.milestones[1] = 160.0;
    CLOSE(at(&s, 120 * 5 - 1, 5, 200), 0.03, 1e-15);
    CLOSE(at(&s, 120 * 5, 5, 200), 0.003, 1e-15);
    CLOSE(at(&s, 160 * 5 - 1, 5, 200), 0.003, 1e-15);
    CLOSE(at(&s, 160 * 5, 5, 200), 0.0003, 1e-15);
    s.milestones[0] = 119.5;
    CLOSE(at(&s, 119 * 4 + 2, 4, 200), 0.003, 1e-15);
    s.by_epoch = 1;
    CLOSE(at(&s, 119 * 4 + 2, 4, 200), 0.03, 1e-15);

    s = new_schedule(SSLCV_SCHEDULE_LINEAR, 1.0);
    s.end_value = 3.0;
    CLOSE(at(&s, 5, 10, 2), 1.5, 1e-15);
    CLOSE(at(&s, 1000, 10, 2), 3.0, 1e-15); /* beyond its end */
    s = new_schedule(SSLCV_SCHEDULE_CONSTANT, 7.0);
    s.warmup_epochs = 0.5;
    CLOSE(at(&s, 1, 4, 2), 3.5, 1e-15);
    CLOSE(at(&s, 2, 4, 2), 7.0, 1e-15);
    s.warmup_epochs = 2.0; /* by epoch, and the last of them already there */
    s.by_epoch = 1;
    s.warmup_reaches = 1;
    CLOSE(at(&s, 3, 4, 2), 0.0, 1e-15);
    CLOSE(at(&s, 4, 4, 2), 7.0, 1e-15);
    s = new_schedule(SSLCV_SCHEDULE_COSINE, 1.0);
    s.warmup_epochs = 50.0; /* longer than the run */
    CLOSE(at(&s, 9, 10, 1), 9.0 / 500.0, 1e-15);
}
END_TEST

START_TEST(schedules_are_checked)
{
    sslcv_schedule s = new_schedule(SSLCV_SCHEDULE_STEPS, 1.0), bad;
    double value = 77.0;

    FAILS(sslcv_schedule_init(&s, sizeof s, 4, 1.0), SSLCV_ERR_INVALID_ARGUMENT, "schedule.kind is 4");
    FAILS(sslcv_schedule_init(&s, sizeof s, 0, NAN), SSLCV_ERR_INVALID_ARGUMENT, "schedule.value is");
    FAILS(sslcv_schedule_init(&s, 8, 0, 1.0), SSLCV_ERR_INVALID_ARGUMENT, "schedule.struct_size is 8");
    FAILS(sslcv_schedule_value(NULL, 0, 1, 1, &value), SSLCV_ERR_INVALID_ARGUMENT, "schedule is NULL");
    FAILS(sslcv_schedule_value(&s, 0, 1, 1, NULL), SSLCV_ERR_INVALID_ARGUMENT, "value is NULL");
    FAILS(sslcv_schedule_value(&s, -1, 1, 1, &value), SSLCV_ERR_INVALID_ARGUMENT, "step is -1");
    FAILS(sslcv_schedule_value(&s, 0, 0, 1, &value), SSLCV_ERR_INVALID_ARGUMENT, "steps_per_epoch is 0");
    FAILS(sslcv_schedule_value(&s, 0, 1, 0, &value), SSLCV_ERR_INVALID_ARGUMENT, "epochs is 0");
    bad = s;
    bad.kind = -1;
    FAILS(sslcv_schedule_value(&bad, 0, 1, 1, &value), SSLCV_ERR_INVALID_ARGUMENT, "schedule.kind is -1");
    bad = s;
    bad.by_epoch = 2;
    FAILS(sslcv_schedule_value(&bad, 0, 1, 1, &value), SSLCV_ERR_INVALID_ARGUMENT, "schedule.by_epoch is 2");
    bad = s;
    bad.warmup_reaches = 2;
    FAILS(sslcv_schedule_value(&bad, 0, 1, 1, &value), SSLCV_ERR_INVALID_ARGUMENT, "schedule.warmup_reaches is 2");
    bad = s;
    bad.warmup_epochs = -1.0;
    FAILS(sslcv_schedule_value(&bad, 0, 1, 1, &value), SSLCV_ERR_INVALID_ARGUMENT, "schedule.warmup_epochs is -1");
    bad = s;
    bad.gamma = INFINITY;
    FAILS(sslcv_schedule_value(&bad, 0, 1, 1, &value), SSLCV_ERR_INVALID_ARGUMENT, "schedule.gamma is inf");
    bad = s;
    bad.num_milestones = 9;
    FAILS(sslcv_schedule_value(&bad, 0, 1, 1, &value), SSLCV_ERR_INVALID_ARGUMENT, "schedule.num_milestones is 9");
    bad.num_milestones = 2;
    bad.milestones[0] = 3.0;
    bad.milestones[1] = 2.0;
    FAILS(sslcv_schedule_value(&bad, 0, 1, 1, &value), SSLCV_ERR_INVALID_ARGUMENT,
          "schedule.milestones[1] is 2; must be >= 3");
    ck_assert_double_eq(value, 77.0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("optim");
    TCase *updates = tcase_create("updates"), *groups = tcase_create("groups");
    TCase *state = tcase_create("state"), *schedules = tcase_create("schedules");

    tcase_set_timeout(updates, 60);
    tcase_add_test(updates, sequences_equal_pytorch);
    tcase_add_test(updates, lars_has_the_published_values);
    tcase_add_test(updates, every_kind_equals_its_twin);
    tcase_add_test(updates, many_tensors_many_threads);
    tcase_add_test(updates, blocked_parameters);
    tcase_add_test(updates, bad_gradients_change_nothing);
    suite_add_tcase(suite, updates);
    tcase_add_test(groups, exclusions);
    tcase_add_test(groups, groups_treat_their_tensors);
    tcase_add_test(groups, tensors_rest);
    tcase_add_test(groups, options_are_checked);
    tcase_add_test(groups, groups_are_checked);
    suite_add_tcase(suite, groups);
    tcase_set_timeout(state, 60);
    tcase_add_test(state, names_of_the_state);
    tcase_add_test(state, state_makes_runs_resume);
    tcase_add_test(state, any_allocation_may_fail);
    suite_add_tcase(suite, state);
    tcase_add_test(schedules, schedules_have_the_published_values);
    tcase_add_test(schedules, schedules_by_epoch_and_step);
    tcase_add_test(schedules, schedules_are_checked);
    suite_add_tcase(suite, schedules);
    return run_suite(suite);
}
