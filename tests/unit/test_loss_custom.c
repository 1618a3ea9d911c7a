#include "loss_support.h"
#include "trainer_support.h"

#include <unistd.h>

#include "loss/loss.h"
#include "nn/state.h"

/*
 * The host's loss of these tests. One input of two views x, y; D weights "scale"; a memory "center" of D:
 *
 *     L = mean over N, P of sum over D of e^2,   e = scale * x - y - center
 *     center <- 0.9 center + 0.1 mean of x
 */
typedef struct distance {
    int64_t dim;
    int32_t computed, begun, destroyed;
    int32_t answer;   /* of compute and begin_epoch */
    int32_t breaks;   /* BREAK_*: what it leaves as NaN */
    int32_t adds;     /* 1: adds a tensor "late" in its first call */
    int32_t inner;    /* 1: answers 1 with a library call's failure */
    sslcv_status add; /* of that addition */
    int64_t epoch;
    sslcv_loss_call call; /* the last that it was shown */
    sslcv_tensor input, diff, targets;
} distance;

enum { BREAK_VALUE = 1, BREAK_DIFF, BREAK_PARAMETER };

static float *data_of(sslcv_state *state, const char *name, int32_t part)
{
    sslcv_tensor tensor;
    int64_t index;

    OK(sslcv_state_find(state, name, &index));
    OK(sslcv_state_data(state, index, part, &tensor));
    return tensor.data;
}

static void add_tensor(sslcv_state *state, const char *name, int32_t role, int64_t count, sslcv_status expected)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};

    entry.name = name;
    entry.role = role;
    entry.dtype = SSLCV_F32;
    entry.ndim = 1;
    entry.shape[0] = count;
    ck_assert_int_eq(sslcv_state_add(state, &entry, NULL), expected);
}

/* One row of D; d NULL: value only. */
static double row(const distance *mine, const sslcv_loss_call *call, const float *s, const float *c, const float *x,
                  const float *y, double weight, float *ds, float *dx, float *dy)
{
    double sum = 0.0;
    int64_t j;

    for (j = 0; j < mine->dim; j++) {
        const double e = (double)s[j] * (double)x[j] - (double)y[j] - (double)c[j];
        const double g = 2.0 * e * weight * call->scale;

        sum += e * e * weight;
        if (ds) ds[j] += (float)(g * (double)x[j]);
        if (dx) dx[j] = (float)(g * (double)s[j]);
        if (dy) dy[j] = (float)-g;
    }
    return sum;
}

static void move_center(const distance *mine, const float *x, int64_t rows, float *c)
{
    int64_t i, j;

    for (j = 0; j < mine->dim; j++) {
        double mean = 0.0;

        for (i = 0; i < rows; i++) mean += (double)x[i * mine->dim + j] / (double)rows;
        c[j] = (float)(0.9 * (double)c[j] + 0.1 * mean);
    }
}

static void note_call(distance *mine, const sslcv_loss_call *call)
{
    mine->computed++;
    mine->call = *call;
    mine->input = call->inputs[0];
    memset(&mine->diff, 0, sizeof mine->diff);
    if (call->diff_inputs) mine->diff = call->diff_inputs[0];
    if (call->targets) mine->targets = *call->targets;
}

static int32_t compute(void *user, sslcv_state *state, sslcv_loss_call *call)
{
    distance *mine = user;
    const int64_t *shape = call->inputs[0].shape, rows = shape[1] * shape[2], part = rows * mine->dim;
    const float *x = call->inputs[0].data, *s = data_of(state, "scale", SSLCV_STATE_VALUE);
    float *c = data_of(state, "center", SSLCV_STATE_VALUE);
    float *ds = call->diff_inputs ? data_of(state, "scale", SSLCV_STATE_GRADIENT) : NULL;
    float *dx = call->diff_inputs ? call->diff_inputs[0].data : NULL;
    int64_t i;

    note_call(mine, call);
    if (mine->adds && mine->computed == 1) add_tensor(state, "late", SSLCV_ROLE_BIAS, 3, mine->add);
    call->value = 0.0;
    for (i = 0; i < rows; i++) {
        const int64_t at = i * mine->dim;

        call->value += row(mine, call, s, c, x + at, x + part + at, 1.0 / (double)rows, ds, dx ? dx + at : NULL,
                           dx ? dx + part + at : NULL);
    }
    if (mine->breaks == BREAK_VALUE) call->value = NAN;
    if (mine->breaks == BREAK_DIFF) dx[1] = INFINITY;
    if (mine->breaks == BREAK_PARAMETER) ds[0] = NAN;
    if (mine->inner) return sslcv_state_find(state, "nothing", &i) != SSLCV_OK;
    if (mine->answer == 0 && !mine->breaks && (call->flags & SSLCV_CALL_REMEMBER)) move_center(mine, x, rows, c);
    return mine->answer;
}

static int32_t begin_epoch(void *user, sslcv_state *state, int64_t epoch)
{
    distance *mine = user;

    ck_assert_ptr_nonnull(data_of(state, "scale", SSLCV_STATE_VALUE));
    mine->begun++;
    mine->epoch = epoch;
    return mine->answer;
}

static void destroy(void *user)
{
    ((distance *)user)->destroyed++;
}

static sslcv_loss_callbacks new_callbacks(distance *mine, int64_t dim)
{
    sslcv_loss_callbacks c;

    memset(mine, 0, sizeof *mine);
    mine->dim = dim;
    OK(sslcv_loss_callbacks_init(&c, sizeof c));
    c.user = mine;
    c.compute = compute;
    c.begin_epoch = begin_epoch;
    c.destroy = destroy;
    return c;
}

static sslcv_status try_distance(sslcv_context *context, const sslcv_loss_callbacks *callbacks, int64_t dim,
                                 sslcv_loss **out)
{
    static const char *const names[2] = {"scale", "center"};
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    sslcv_state *state = NULL;
    sslcv_loss *loss = NULL;
    sslcv_status status = sslcv_loss_create_custom(context, callbacks, &loss);
    int64_t i;

    if (status == SSLCV_OK) status = sslcv_loss_get_state(loss, &state);
    for (i = 0; i < 2 && status == SSLCV_OK; i++) {
        entry.name = names[i];
        entry.role = i ? SSLCV_ROLE_BUFFER : SSLCV_ROLE_WEIGHT;
        entry.dtype = SSLCV_F32;
        entry.ndim = 1;
        entry.shape[0] = dim;
        status = sslcv_state_add(state, &entry, NULL);
    }
    sslcv_state_destroy(state);
    if (status != SSLCV_OK) {
        sslcv_loss_destroy(loss);
        loss = NULL;
    }
    *out = loss;
    return status;
}

static sslcv_loss *new_distance(sslcv_context *context, distance *mine, int64_t dim)
{
    const sslcv_loss_callbacks callbacks = new_callbacks(mine, dim);
    float scale[16];
    sslcv_loss *loss;
    int64_t i;

    OK(try_distance(context, &callbacks, dim, &loss));
    for (i = 0; i < dim; i++) scale[i] = 1.0f + 0.25f * (float)i;
    loss_write(loss, "scale", SSLCV_STATE_VALUE, SSLCV_F32, dim, scale);
    return loss;
}

/* ---- values ---- */

typedef struct twin {
    int64_t rows, dim;
    double center[16];
} twin;

static double twin_value(void *user, const double *const *inputs)
{
    const twin *t = user;
    double sum = 0.0;
    int64_t i;

    for (i = 0; i < t->rows * t->dim; i++) {
        const double e = inputs[1][i % t->dim] * inputs[0][i] - inputs[0][t->rows * t->dim + i] - t->center[i % t->dim];

        sum += e * e;
    }
    return sum / (double)t->rows;
}

START_TEST(equals_its_twin)
{
    static const char *const names[1] = {"scale"};
    sslcv_context *context = new_context(NULL, 2);
    static float z[512], dz[512], center[16];
    sslcv__rng rng;
    int round;

    sslcv__rng_init(&rng, 81, 0, 0);
    for (round = 0; round < 100; round++) {
        const int64_t samples = 1 + sslcv__rng_below(&rng, 5), positions = 1 + sslcv__rng_below(&rng, 3);
        const int64_t dim = 1 + sslcv__rng_below(&rng, 8);
        twin t = {.rows = samples * positions, .dim = dim};
        distance mine;
        sslcv_loss *loss = new_distance(context, &mine, dim);
        loss_test test = {.call = {0}};
        int64_t i, call;

        loss_test_init(&test);
        loss_test_add(&test, 2, samples, positions, dim, z, dz);
        test.call.flags = round % 2 ? SSLCV_CALL_REMEMBER : 0;
        test.call.scale = exp(sslcv__rng_normal(&rng));
        for (call = 0; call < 2; call++) {
            random_values(&rng, 2 * t.rows * dim, 1.0, z);
            loss_read(loss, "center", SSLCV_STATE_VALUE, SSLCV_F32, dim, center);
            for (i = 0; i < dim; i++) t.center[i] = (double)center[i];
            ck_assert_int_eq(center[0] != 0.0f, call == 1 && round % 2); /* remembered, and scored before */
            check_twin(loss, &test, twin_value, &t, names, 1, 1e-6, 1e-5);
        }
        ck_assert_int_eq(mine.computed, 2);
        sslcv_loss_destroy(loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* A callback that calls the library: NT-Xent, by a loss of ours inside. */
static int32_t compute_nested(void *user, sslcv_state *state, sslcv_loss_call *call)
{
    sslcv_loss_call inner = *call;

    (void)state;
    if (sslcv_loss_compute(user, &inner) != SSLCV_OK) return 1;
    call->value = inner.value;
    return 0;
}

START_TEST(callbacks_may_call_the_library)
{
    sslcv_context *context = new_context(NULL, 2);
    sslcv_loss_callbacks callbacks;
    sslcv_loss *nce, *custom;
    float z[2 * 8 * 4], dz[2][2 * 8 * 4];
    double value;
    loss_test t = {.call = {0}};

    OK(sslcv_loss_create_info_nce(context, NULL, &nce));
    OK(sslcv_loss_callbacks_init(&callbacks, sizeof callbacks));
    callbacks.user = nce;
    callbacks.compute = compute_nested;
    OK(sslcv_loss_create_custom(context, &callbacks, &custom));
    golden_input(31, 64, z);
    loss_test_init(&t);
    loss_test_add(&t, 2, 8, 1, 4, z, dz[0]);
    value = loss_value(nce, &t);
    t.diffs[0].data = dz[1];
    ck_assert_double_eq(loss_value(custom, &t), value);
    ck_assert_mem_eq(dz[0], dz[1], sizeof dz[0]);
    /* What went wrong inside is what is told. */
    OK(sslcv_tensor_init(&t.inputs[0], SSLCV_F32, z, 3, (const int64_t[3]){1, 16, 4}));
    OK(sslcv_tensor_init(&t.diffs[0], SSLCV_F32, dz[1], 3, (const int64_t[3]){1, 16, 4}));
    FAILS(sslcv_loss_compute(custom, &t.call), SSLCV_ERR_CANCELLED, "inputs[0] has 1 view; info_nce");
    ck_assert_mem_eq(dz[0], dz[1], sizeof dz[0]);
    sslcv_loss_destroy(custom);
    sslcv_loss_destroy(nce);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- what the host is shown ---- */

START_TEST(the_host_sees_the_call)
{
    static const int64_t ids[3] = {7, 3, 5}, labels[3] = {0, -1, 2}, class_shape[2] = {3, 2};
    sslcv_context *context = new_context(NULL, 1);
    distance mine;
    sslcv_loss_callbacks callbacks = new_callbacks(&mine, 4);
    sslcv_loss *loss;
    sslcv_tensor targets;
    float z[2 * 3 * 4], dz[2 * 3 * 4], soft[6] = {0};
    loss_test t = {.call = {0}};

    callbacks.needs_ids = callbacks.needs_labels = 1;
    OK(try_distance(context, &callbacks, 4, &loss));
    golden_input(33, 24, z);
    loss_test_init(&t);
    loss_test_add(&t, 2, 3, 1, 4, z, dz);
    t.call.ids = ids;
    t.call.labels = labels;
    t.call.step = 12;
    t.call.epoch = 2;
    t.call.scale = 0.5;
    t.call.flags = 0;
    loss_value(loss, &t);
    ck_assert_int_eq(mine.input.ndim, 4);
    ck_assert(mine.input.shape[0] == 2 && mine.input.shape[1] == 3 && mine.input.shape[2] == 1);
    ck_assert(mine.input.shape[3] == 4 && mine.input.data == z && mine.input.dtype == SSLCV_F32);
    ck_assert(mine.diff.ndim == 4 && mine.diff.shape[3] == 4 && mine.diff.data && mine.diff.data != dz);
    ck_assert(mine.call.ids == ids && mine.call.labels == labels && !mine.call.targets);
    ck_assert(mine.call.step == 12 && mine.call.epoch == 2 && mine.call.flags == 0 && mine.call.num_inputs == 1);
    ck_assert_double_eq(mine.call.scale, 0.5);
    OK(sslcv_tensor_init(&targets, SSLCV_F32, soft, 2, class_shape));
    t.call.targets = &targets;
    t.call.diff_inputs = NULL;
    loss_value(loss, &t);
    ck_assert(mine.call.labels == NULL && mine.targets.data == soft && mine.targets.shape[1] == 2);
    ck_assert(!mine.call.diff_inputs);
    t.call.diff_inputs = t.diffs;
    t.diffs[0].data = NULL; /* parameters only */
    loss_value(loss, &t);
    ck_assert(mine.call.diff_inputs && !mine.diff.data);
    t.call.ids = NULL;
    FAILS(sslcv_loss_compute(loss, &t.call), SSLCV_ERR_INVALID_ARGUMENT, "call.ids is NULL; custom needs them");
    ck_assert_int_eq(mine.computed, 3);
    z[5] = NAN;
    t.call.ids = ids;
    FAILS(sslcv_loss_compute(loss, &t.call), SSLCV_ERR_NUMERIC, "inputs[0] has NaN");
    ck_assert_int_eq(mine.computed, 3);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* Nothing that the host does in a call that fails reaches the caller, nor the gradients gathered before. */
START_TEST(a_failing_call_leaves_everything)
{
    static const struct failure {
        int32_t breaks, answer, inner;
        sslcv_status status;
        const char *text;
    } failures[] = {
        {BREAK_VALUE, 0, 0, SSLCV_ERR_NUMERIC, "the value of a custom loss is nan"},
        {BREAK_DIFF, 0, 0, SSLCV_ERR_NUMERIC, "a custom loss left NaN or infinity in diff_inputs[0]"},
        {BREAK_PARAMETER, 0, 0, SSLCV_ERR_NUMERIC, "a custom loss left NaN or infinity in the gradient of scale"},
        {0, 3, 0, SSLCV_ERR_CANCELLED, "compute of a custom loss answered 3"},
        {0, 0, 1, SSLCV_ERR_CANCELLED, "no tensor is named \"nothing\""},
    };
    const struct failure *f = &failures[_i];
    sslcv_context *context = new_context(NULL, 1);
    float z[24], dz[24], ds[4], before[4], center[4], after[4];
    distance mine;
    sslcv_loss *loss = new_distance(context, &mine, 4);
    loss_test t = {.call = {0}};
    int round, i;

    golden_input(35, 24, z);
    for (round = 0; round < 2; round++) { /* without and with a gradient that is there already */
        for (i = 0; i < 24; i++) dz[i] = 5.0f;
        memset(&t, 0, sizeof t);
        loss_test_init(&t);
        loss_test_add(&t, 2, 3, 1, 4, z, dz);
        t.call.value = 9.0;
        mine.breaks = f->breaks;
        mine.answer = f->answer;
        mine.inner = f->inner;
        loss_read(loss, "scale", SSLCV_STATE_GRADIENT, SSLCV_F32, 4, before);
        ck_assert_int_eq(before[0] != 0.0f, round);
        loss_read(loss, "center", SSLCV_STATE_VALUE, SSLCV_F32, 4, center);
        FAILS(sslcv_loss_compute(loss, &t.call), f->status, f->text);
        for (i = 0; i < 24; i++) ck_assert_float_eq(dz[i], 5.0f);
        ck_assert_double_eq(t.call.value, 9.0);
        loss_read(loss, "scale", SSLCV_STATE_GRADIENT, SSLCV_F32, 4, ds);
        ck_assert_mem_eq(ds, before, sizeof ds);
        loss_read(loss, "center", SSLCV_STATE_VALUE, SSLCV_F32, 4, after);
        ck_assert_mem_eq(after, center, sizeof after);
        mine.breaks = mine.answer = mine.inner = 0;
        loss_value(loss, &t);
        ck_assert_ptr_nonnull(strstr(sslcv_last_error(), f->text)); /* a call that succeeds leaves it alone */
        loss_read(loss, "scale", SSLCV_STATE_GRADIENT, SSLCV_F32, 4, ds);
        ck_assert(ds[0] != before[0]);
    }
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* A host that adds to gradients in a call for the value alone is put right. */
static int32_t compute_careless(void *user, sslcv_state *state, sslcv_loss_call *call)
{
    (void)user;
    data_of(state, "scale", SSLCV_STATE_GRADIENT)[0] += 1.0f;
    call->value = 2.0;
    return 0;
}

START_TEST(a_call_for_the_value_adds_no_gradient)
{
    sslcv_context *context = new_context(NULL, 1);
    distance mine;
    sslcv_loss_callbacks callbacks = new_callbacks(&mine, 4);
    sslcv_loss *loss;
    float z[8] = {0}, ds[4];
    loss_test t = {.call = {0}};

    callbacks.compute = compute_careless;
    OK(try_distance(context, &callbacks, 4, &loss));
    loss_test_init(&t);
    loss_test_add(&t, 2, 1, 1, 4, z, NULL);
    t.call.diff_inputs = NULL;
    CLOSE(loss_value(loss, &t), 2.0, 0.0);
    loss_read(loss, "scale", SSLCV_STATE_GRADIENT, SSLCV_F32, 4, ds);
    ck_assert_float_eq(ds[0], 0.0f);
    t.call.diff_inputs = t.diffs;
    loss_value(loss, &t);
    loss_value(loss, &t);
    loss_read(loss, "scale", SSLCV_STATE_GRADIENT, SSLCV_F32, 4, ds);
    ck_assert_float_eq(ds[0], 2.0f);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- its life ---- */

START_TEST(destroy_comes_once_with_the_last_reference)
{
    sslcv_context *context = new_context(NULL, 1);
    distance mine;
    sslcv_loss_callbacks callbacks = new_callbacks(&mine, 4);
    sslcv_state *state;
    sslcv_loss *loss;
    float *scale;

    callbacks.num_inputs = 0;
    FAILS(sslcv_loss_create_custom(context, &callbacks, &loss), SSLCV_ERR_INVALID_ARGUMENT, "num_inputs is 0");
    ck_assert_int_eq(mine.destroyed, 0);
    callbacks.num_inputs = 1;
    OK(try_distance(context, &callbacks, 4, &loss));
    OK(sslcv_loss_get_state(loss, &state));
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
    ck_assert_int_eq(mine.destroyed, 0); /* the state keeps the loss alive */
    scale = data_of(state, "scale", SSLCV_STATE_VALUE);
    scale[3] = 2.0f;
    sslcv_state_destroy(state);
    ck_assert_int_eq(mine.destroyed, 1);
}
END_TEST

START_TEST(epochs_begin_once)
{
    sslcv_context *context = new_context(NULL, 1);
    distance mine;
    sslcv_loss *loss = new_distance(context, &mine, 4), *silent;
    sslcv_loss_callbacks callbacks = new_callbacks(&mine, 4);

    OK(sslcv_loss_begin_epoch(loss, 0));
    OK(sslcv_loss_begin_epoch(loss, 0));
    OK(sslcv_loss_begin_epoch(loss, 1));
    ck_assert(mine.begun == 2 && mine.epoch == 1);
    mine.answer = 4;
    FAILS(sslcv_loss_begin_epoch(loss, 2), SSLCV_ERR_CANCELLED, "begin_epoch of a custom loss answered 4");
    mine.answer = 0;
    OK(sslcv_loss_begin_epoch(loss, 2)); /* not begun yet: asked again */
    ck_assert_int_eq(mine.begun, 4);
    sslcv_loss_destroy(loss);
    ck_assert_int_eq(mine.destroyed, 1);
    callbacks.begin_epoch = NULL;
    callbacks.destroy = NULL;
    OK(sslcv_loss_create_custom(context, &callbacks, &silent));
    OK(sslcv_loss_begin_epoch(silent, 0));
    sslcv_loss_destroy(silent);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(callbacks_are_checked)
{
    sslcv_context *context = new_context(NULL, 1);
    distance mine;
    const sslcv_loss_callbacks good = new_callbacks(&mine, 4);
    sslcv_loss_callbacks bad;
    sslcv_loss_info info = {.struct_size = sizeof info};
    sslcv_loss *loss;
    const char *name;
    double value;

    ck_assert(good.num_inputs == 1 && good.gradient_inputs == 1 && !good.needs_ids && !good.needs_labels);
    FAILS(sslcv_loss_create_custom(context, NULL, &loss), SSLCV_ERR_INVALID_ARGUMENT, "callbacks is NULL");
    FAILS(sslcv_loss_create_custom(context, &good, NULL), SSLCV_ERR_INVALID_ARGUMENT, "loss is NULL");
    FAILS(sslcv_loss_create_custom(NULL, &good, &loss), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
#define BAD(field, number, text)                                                                                       \
    bad = good;                                                                                                        \
    bad.field = number;                                                                                                \
    FAILS(sslcv_loss_create_custom(context, &bad, &loss), SSLCV_ERR_INVALID_ARGUMENT, text)
    BAD(compute, NULL, "loss_callbacks.compute is NULL");
    BAD(num_inputs, 17, "loss_callbacks.num_inputs is 17; must be 1 .. 16");
    BAD(gradient_inputs, 3, "loss_callbacks.gradient_inputs is 0x3; must have bits of 1 inputs only");
    BAD(needs_ids, 2, "loss_callbacks.needs_ids is 2; must be 0 or 1");
    BAD(needs_labels, -1, "loss_callbacks.needs_labels is -1; must be 0 or 1");
#undef BAD
    bad = good;
    bad.num_inputs = 3;
    bad.gradient_inputs = 5;
    bad.needs_ids = 1;
    OK(sslcv_loss_create_custom(context, &bad, &loss));
    OK(sslcv_loss_get_info(loss, &info));
    ck_assert_str_eq(info.kind, "custom");
    ck_assert(info.min_inputs == 3 && info.max_inputs == 3 && info.gradient_inputs == 5);
    ck_assert(info.needs_ids == 1 && info.needs_labels == 0 && info.bytes == 0);
    FAILS(sslcv_loss_get_metric(loss, 0, &name, &value), SSLCV_ERR_NOT_FOUND, "custom has 0 metrics");
    FAILS(sslcv_loss_set(loss, "scale", 1.0), SSLCV_ERR_NOT_FOUND, "custom has no number \"scale\"");
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- its state ---- */

START_TEST(all_windows_add_to_one_set)
{
    sslcv_context *context = new_context(NULL, 1);
    distance mine;
    sslcv_loss *loss = new_distance(context, &mine, 4);
    sslcv_state *first, *second;
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    float z[8] = {0}, late[3];
    int64_t index;
    loss_test t = {.call = {0}};

    OK(sslcv_loss_get_state(loss, &first));
    OK(sslcv_loss_get_state(loss, &second));
    add_tensor(first, "one", SSLCV_ROLE_BUFFER, 2, SSLCV_OK);
    add_tensor(second, "one", SSLCV_ROLE_BUFFER, 2, SSLCV_ERR_INVALID_ARGUMENT); /* there already, seen or not */
    add_tensor(second, "two", SSLCV_ROLE_BUFFER, 2, SSLCV_OK);
    OK(sslcv_state_find(second, "two", &index));
    ck_assert_int_eq(index, 3);
    OK(sslcv_state_get_entry(second, 2, &entry));
    ck_assert_str_eq(entry.name, "one");
    mine.adds = 1; /* in the callback, too */
    loss_test_init(&t);
    loss_test_add(&t, 2, 1, 1, 4, z, NULL);
    loss_value(loss, &t);
    loss_read(loss, "late", SSLCV_STATE_VALUE, SSLCV_F32, 3, late);
    ck_assert_float_eq(late[2], 0.0f);
    sslcv_state_destroy(first);
    sslcv_state_destroy(second);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(any_allocation_may_fail)
{
    host h = {.fail_at = -1};
    sslcv_context *context = new_context(&h, 1);
    const int64_t before = h.out;
    distance mine;
    const sslcv_loss_callbacks callbacks = new_callbacks(&mine, 4);
    float z[24], dz[24];
    sslcv_loss *loss = NULL;
    loss_test t = {.call = {0}};
    int64_t n, calls, made = 0;

    golden_input(37, 24, z);
    loss_test_init(&t);
    loss_test_add(&t, 2, 3, 1, 4, z, dz);
    for (n = 0; !loss; n++) {
        sslcv_status status;

        ck_assert_int_lt(n, 100);
        h.calls = 0;
        h.fail_at = n;
        mine.destroyed = 0;
        status = try_distance(context, &callbacks, 4, &loss);
        made += mine.destroyed;
        if (status == SSLCV_OK) status = sslcv_loss_compute(loss, &t.call);
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
        sslcv_loss_destroy(loss);
        loss = NULL;
        ck_assert_int_eq(h.out, before);
    }
    ck_assert_int_gt(n, 12);
    ck_assert_int_gt(made, 0);
    h.fail_at = -1;
    calls = h.calls;
    loss_value(loss, &t);
    OK(sslcv_loss_begin_epoch(loss, 0));
    ck_assert_int_eq(h.calls, calls);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

/* ---- in a trainer ---- */

static void make_run(rig *r, distance *mine)
{
    make_rig(r, &plain);
    sslcv_loss_destroy(r->contrast);
    r->contrast = new_distance(r->context, mine, DIM);
    add_loss(r, r->contrast, add_branch(r, views_01, 2, r->projection), 0.05);
}

START_TEST(a_trainer_optimises_saves_and_resumes_its_tensors)
{
    char path[] = "/tmp/sslcv-custom-XXXXXX";
    const int file = mkstemp(path);
    double whole[8], halves[8];
    float scale[3][DIM], center[2][DIM], first[DIM];
    distance mine;
    weights end;
    rig r;
    int i;

    ck_assert_int_ge(file, 0);
    close(file);
    make_run(&r, &mine);
    loss_read(r.contrast, "scale", SSLCV_STATE_VALUE, SSLCV_F32, DIM, first);
    steps(&r, 8, whole);
    ck_assert(mine.computed == 8 && mine.begun == 3 && mine.epoch == 2 && mine.call.step == 7);
    loss_read(r.contrast, "scale", SSLCV_STATE_VALUE, SSLCV_F32, DIM, scale[0]);
    loss_read(r.contrast, "center", SSLCV_STATE_VALUE, SSLCV_F32, DIM, center[0]);
    for (i = 0; i < DIM; i++) ck_assert(scale[0][i] != first[i] && center[0][i] != 0.0f);
    ck_assert_double_lt(whole[7], whole[0]);
    end = read_trainer(&r);
    free_rig(&r);
    ck_assert_int_eq(mine.destroyed, 1);

    make_run(&r, &mine);
    steps(&r, 4, halves);
    {
        sslcv_state *state;
        int64_t index;

        OK(sslcv_trainer_get_state(r.trainer, &state));
        OK(sslcv_state_find(state, "loss.0.scale", &index));
        OK(sslcv_state_find(state, "loss.0.center", &index));
        OK(sslcv_state_find(state, "optimizer.scale.momentum", &index));
        OK(sslcv_state_save(state, path, NULL));
        sslcv_state_destroy(state);
        /* Its tensors are the trainer's now. */
        OK(sslcv_loss_get_state(r.contrast, &state));
        add_tensor(state, "more", SSLCV_ROLE_WEIGHT, 2, SSLCV_ERR_STATE);
        ck_assert_ptr_nonnull(strstr(sslcv_last_error(), "its tensors are fixed now"));
        sslcv_state_destroy(state);
    }
    free_rig(&r);

    make_run(&r, &mine);
    {
        sslcv_state *state;

        OK(sslcv_trainer_get_state(r.trainer, &state));
        OK(sslcv_state_load(state, path, NULL, NULL));
        sslcv_state_destroy(state);
    }
    steps(&r, 4, halves + 4);
    for (i = 0; i < 8; i++) ck_assert_double_eq(halves[i], whole[i]);
    loss_read(r.contrast, "scale", SSLCV_STATE_VALUE, SSLCV_F32, DIM, scale[1]);
    loss_read(r.contrast, "center", SSLCV_STATE_VALUE, SSLCV_F32, DIM, center[1]);
    ck_assert_mem_eq(scale[0], scale[1], sizeof scale[0]);
    ck_assert_mem_eq(center[0], center[1], sizeof center[0]);
    ck_assert(equal(end, read_trainer(&r)));

    /* A step that the host stops changes nothing, and can be made again. */
    loss_read(r.contrast, "scale", SSLCV_STATE_VALUE, SSLCV_F32, DIM, scale[1]);
    mine.answer = 1;
    FAILS(sslcv_trainer_step(r.trainer, NULL), SSLCV_ERR_CANCELLED, "compute of a custom loss answered 1");
    loss_read(r.contrast, "scale", SSLCV_STATE_VALUE, SSLCV_F32, DIM, scale[2]);
    ck_assert_mem_eq(scale[1], scale[2], sizeof scale[1]);
    mine.answer = 0;
    steps(&r, 1, halves);
    free_rig(&r);
    unlink(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss_custom");
    TCase *tests = tcase_create("custom");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, equals_its_twin);
    tcase_add_test(tests, callbacks_may_call_the_library);
    tcase_add_test(tests, the_host_sees_the_call);
    tcase_add_loop_test(tests, a_failing_call_leaves_everything, 0, 5);
    tcase_add_test(tests, a_call_for_the_value_adds_no_gradient);
    tcase_add_test(tests, destroy_comes_once_with_the_last_reference);
    tcase_add_test(tests, epochs_begin_once);
    tcase_add_test(tests, callbacks_are_checked);
    tcase_add_test(tests, all_windows_add_to_one_set);
    tcase_add_test(tests, any_allocation_may_fail);
    tcase_add_test(tests, a_trainer_optimises_saves_and_resumes_its_tensors);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
