/* The updates of all kinds: against PyTorch, published values and a twin; any size, threads and layout. */
#include "optim_support.h"

#include <stdio.h>

#include "core/rng.h"
#include "nn/state.h"
#include "optim/optimizer.h"

/* ---- published values ---- */

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
    if (o.clip_norm > 0.0) o.clip_each = (int32_t)sslcv__rng_below(rng, 2);
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
        double all = 0.0;

        for (i = 0; i < TWINS; i++) {
            float *gradient = i == step ? NULL : gradients_of(state, i); /* one rests in each step */

            for (j = 0; j < t[i].count && gradient; j++) {
                gradient[j] = i == 5 && step == 1 ? 0.0f : (float)(0.1 * sslcv__rng_normal(rng));
                g[i * LARGEST + j] = (double)gradient[j];
                all += g[i * LARGEST + j] * g[i * LARGEST + j];
            }
        }
        for (i = 0; i < TWINS; i++) {
            const int decays = (roles[i % 3] & o.decay_roles) != 0, adapts = (roles[i % 3] & o.adapt_roles) != 0;
            const double norm = o.clip_each ? norm_of(g + i * LARGEST, t[i].count) : sqrt(all);
            const double clip = o.clip_norm > 0.0 && norm > o.clip_norm ? o.clip_norm / norm : 1.0;

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

/* ---- bad gradients ---- */

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

/* ---- size, threads, layouts ---- */

/* Many small tensors beside a large one; a step allocates nothing; one thread and two give the same bits. */
START_TEST(many_tensors_many_threads)
{
    enum { SMALL = 1500, LARGE = 100000 };
    static float result[2][LARGE];
    int32_t threads;

    for (threads = 1; threads <= 2; threads++) {
        host h = {.fail_at = -1};
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

int main(void)
{
    Suite *suite = suite_create("optimizer");
    TCase *updates = tcase_create("updates");

    tcase_set_timeout(updates, 60);
    tcase_add_test(updates, sequences_equal_pytorch);
    tcase_add_test(updates, lars_has_the_published_values);
    tcase_add_test(updates, every_kind_equals_its_twin);
    tcase_add_test(updates, many_tensors_many_threads);
    tcase_add_test(updates, blocked_parameters);
    tcase_add_test(updates, bad_gradients_change_nothing);
    suite_add_tcase(suite, updates);
    return run_suite(suite);
}
