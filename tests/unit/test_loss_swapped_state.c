#include "swapped_support.h"

#include <float.h>
#include <stddef.h>

#include "loss/loss.h"

/* ---- prototypes ---- */

START_TEST(prototypes_begin_as_unit_rows_of_their_seed)
{
    enum { K = 20, D = 7 };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_swapped_options options = new_options(D, K);
    sslcv_state_entry entry;
    float weight[3][K * D];
    double mean = 0.0;
    int64_t i, j, index;
    int round;

    for (round = 0; round < 3; round++) {
        sslcv_loss *loss;

        options.seed = round == 2 ? 12 : 11;
        loss = new_loss(context, &options);
        read_values(loss, "prototypes.weight", K * D, weight[round]);
        sslcv_state_destroy(loss_find(loss, "prototypes.weight", &entry, &index));
        ck_assert_int_eq(entry.role, SSLCV_ROLE_WEIGHT);
        sslcv_loss_destroy(loss);
    }
    ck_assert_mem_eq(weight[0], weight[1], sizeof weight[0]);
    ck_assert_mem_ne(weight[0], weight[2], sizeof weight[0]);
    for (i = 0; i < K; i++) {
        double sum = 0.0;

        for (j = 0; j < D; j++) sum += (double)weight[0][i * D + j] * (double)weight[0][i * D + j];
        for (j = 0; j < D; j++) mean += (double)weight[0][i * D + j] / (K * D);
        CLOSE(sum, 1.0, 1e-6);
    }
    ck_assert_double_lt(fabs(mean), 0.12);
    sslcv_context_destroy(context);
}
END_TEST

/* Scored as unit rows, written back by calls that remember; frozen ones change in no other way. */
START_TEST(prototypes_are_normalized_and_rest_while_frozen)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_swapped_options options = new_options(4, 3);
    float z[32], dz[32], weight[12], unit[12], seen[12], gradient[12], zeros[12] = {0};
    double value;
    sslcv_loss *loss;
    loss_test test;
    int64_t i;

    options.freeze_steps = 5;
    loss = new_loss(context, &options);
    golden_rows(7, 3, 4, unit);
    for (i = 0; i < 12; i++) weight[i] = unit[i] * (float)(1 + i / 4 * 3);
    golden_input(1, 16, z);
    golden_input(2, 16, z + 16);
    write_values(loss, "prototypes.weight", 12, unit);
    one_input(&test, 2, 4, 4, z, dz);
    test.call.flags = 0;
    test.call.step = 4;
    value = loss_value(loss, &test);
    read_values(loss, "prototypes.weight", 12, seen);
    ck_assert_mem_eq(seen, unit, sizeof unit);
    write_values(loss, "prototypes.weight", 12, weight);
    CLOSE(loss_value(loss, &test), value, 1e-6);
    read_values(loss, "prototypes.weight", 12, seen);
    ck_assert_mem_eq(seen, weight, sizeof weight);
    test.call.flags = SSLCV_CALL_REMEMBER;
    CLOSE(loss_value(loss, &test), value, 1e-6);
    read_values(loss, "prototypes.weight", 12, seen);
    for (i = 0; i < 12; i++) CLOSE(seen[i], unit[i], 1e-7);

    loss_read(loss, "prototypes.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, 12, gradient);
    ck_assert_mem_eq(gradient, zeros, sizeof zeros);
    ck_assert_int_eq(sslcv__variables_find(&loss->variables, "prototypes.weight")->has_gradient, 0);
    test.call.step = 5;
    loss_value(loss, &test);
    ck_assert_int_eq(sslcv__variables_find(&loss->variables, "prototypes.weight")->has_gradient, 1);
    loss_read(loss, "prototypes.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, 12, gradient);
    loss_value(loss, &test); /* gradients add up */
    loss_read(loss, "prototypes.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, 12, seen);
    for (i = 0; i < 12; i++) CLOSE(seen[i], 2.0 * (double)gradient[i], 1e-6);
    memcpy(gradient, seen, sizeof seen);
    test.call.diff_inputs = NULL; /* a value alone */
    loss_value(loss, &test);
    loss_read(loss, "prototypes.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, 12, seen);
    ck_assert_mem_eq(gradient, seen, sizeof seen);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* Frozen by name: no gradient either. Inputs get theirs, whatever the prototypes do. */
START_TEST(frozen_by_name)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_swapped_options options = new_options(4, 3);
    float z[32], dz[2][32], gradient[12], zeros[12] = {0};
    sslcv_loss *loss = new_loss(context, &options);
    sslcv_state *state;
    loss_test test;

    golden_input(1, 32, z);
    OK(sslcv_loss_get_state(loss, &state));
    one_input(&test, 2, 4, 4, z, dz[0]);
    test.call.flags = 0;
    OK(sslcv_state_freeze(state, "prototypes", 1));
    loss_value(loss, &test);
    loss_read(loss, "prototypes.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, 12, gradient);
    ck_assert_mem_eq(gradient, zeros, sizeof zeros);
    OK(sslcv_state_freeze(state, "prototypes", 0));
    test.diffs[0].data = dz[1];
    loss_value(loss, &test);
    ck_assert_mem_eq(dz[0], dz[1], sizeof dz[0]);
    loss_read(loss, "prototypes.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, 12, gradient);
    ck_assert_mem_ne(gradient, zeros, sizeof zeros);
    sslcv_state_destroy(state);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- the queue ---- */

enum { QN = 3, QD = 5, QK = 6, QSIZE = 8 };

static sslcv_swapped_options queue_options(void)
{
    sslcv_swapped_options options = new_options(QD, QK);

    options.queue_size = QSIZE;
    options.queue_start_epoch = 2;
    return options;
}

/* Filled from its epoch on, newest first, by unit rows; used when its last row is there; scored before it changes. */
START_TEST(queue_fills_then_stands_beside_the_batch)
{
    static twin t;
    sslcv_context *context = new_context(NULL, 1);
    const sslcv_swapped_options options = queue_options();
    sslcv_loss *loss = new_loss(context, &options);
    float model[2 * QSIZE * QD] = {0}, seen[QSIZE * QD], z[3 * QN * QD], weight[QK * QD];
    double exact[3 * QN * QD], exact_weight[QK * QD];
    const double *inputs[2] = {exact, exact_weight};
    sslcv__rng rng;
    int call, view;
    int64_t i;

    sslcv__rng_init(&rng, 26, 2, 0);
    read_values(loss, "prototypes.weight", QK * QD, weight);
    for (i = 0; i < QK * QD; i++) exact_weight[i] = (double)weight[i];
    for (call = 0; call < 9; call++) {
        const int is_full = model[(QSIZE - 1) * QD] != 0.0f;
        loss_test test;

        random_values(&rng, 3 * QN * QD, 2.0, z);
        for (i = 0; i < 3 * QN * QD; i++) exact[i] = (double)z[i];
        one_input(&test, 3, QN, QD, z, NULL);
        test.call.epoch = call < 2 ? 1 : 2 + call / 5;
        ck_assert_int_eq(is_full, call >= 2 + 3);
        memset(&t, 0, sizeof t);
        t.options = options;
        t.views = 3;
        t.samples = QN;
        t.queues = is_full ? model : NULL;
        CLOSE(loss_value(loss, &test), twin_value(&t, inputs), 1e-5);
        if (is_full) { /* before its epoch it rests */
            const double value = test.call.value;

            test.call.epoch = 1;
            ck_assert_double_gt(fabs(loss_value(loss, &test) - value), 1e-4);
            t.queues = NULL;
            t.num_codes = 0;
            CLOSE(test.call.value, twin_value(&t, inputs), 1e-5);
        }
        unit_rows(z, 3 * QN, QD);
        for (view = 0; view < 2; view++) {
            float *queue = model + view * QSIZE * QD;
            char name[24];

            if (call >= 2) {
                memmove(queue + QN * QD, queue, (QSIZE - QN) * QD * sizeof *queue);
                memcpy(queue, z + view * QN * QD, QN * QD * sizeof *queue);
            }
            snprintf(name, sizeof name, "queue.%d", view);
            read_values(loss, name, QSIZE * QD, seen);
            for (i = 0; i < QSIZE * QD; i++) CLOSE(seen[i], queue[i], 1e-7);
        }
    }
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

static int64_t flat_state(sslcv_loss *loss, float *values, int64_t capacity)
{
    sslcv_state *state;
    int64_t count;

    OK(sslcv_loss_get_state(loss, &state));
    OK(sslcv_state_get_flat(state, SSLCV_ROLE_ALL, values, capacity, &count));
    sslcv_state_destroy(state);
    return count;
}

/* State out and into another loss: both go on with the same bits. */
START_TEST(state_continues_bit_for_bit)
{
    enum { COUNT = 2 * QSIZE * QD + QK * QD + 2 };
    sslcv_context *context = new_context(NULL, 1);
    const sslcv_swapped_options options = queue_options();
    sslcv_swapped_options other_options = options;
    float z[2 * QN * QD], dz[2][2 * QN * QD], states[2][COUNT], gradient[2][QK * QD];
    sslcv_loss *losses[2];
    sslcv_state *from, *to;
    sslcv__rng rng;
    loss_test test;
    int call, l;

    sslcv__rng_init(&rng, 26, 3, 0);
    other_options.seed = 99;
    losses[0] = new_loss(context, &options);
    losses[1] = new_loss(context, &other_options);
    OK(sslcv_loss_set(losses[0], "epsilon", 0.07));
    for (call = 0; call < 8; call++) {
        random_values(&rng, 2 * QN * QD, 1.0, z);
        for (l = 0; l < (call < 4 ? 1 : 2); l++) {
            one_input(&test, 2, QN, QD, z, dz[l]);
            test.call.epoch = 3;
            loss_value(losses[l], &test);
            loss_read(losses[l], "prototypes.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, QK * QD, gradient[l]);
            memset(gradient[1 - l], 0, sizeof gradient[0]);
            ck_assert_int_eq(flat_state(losses[l], states[l], COUNT), COUNT);
        }
        if (call == 3) {
            OK(sslcv_loss_get_state(losses[0], &from));
            OK(sslcv_loss_get_state(losses[1], &to));
            OK(sslcv_state_lerp(to, from, 0.0, SSLCV_ROLE_ALL));
            sslcv_state_destroy(from);
            sslcv_state_destroy(to);
        }
        if (call < 4) continue;
        ck_assert_mem_eq(dz[0], dz[1], sizeof dz[0]);
        ck_assert_mem_eq(states[0], states[1], sizeof states[0]);
    }
    sslcv_loss_destroy(losses[0]);
    sslcv_loss_destroy(losses[1]);
    sslcv_context_destroy(context);
}
END_TEST

/* Calls that don't remember, and calls that fail, leave every bit. */
START_TEST(state_stays)
{
    enum { COUNT = 2 * QSIZE * QD + QK * QD + 2 };
    sslcv_context *context = new_context(NULL, 1);
    const sslcv_swapped_options options = queue_options();
    sslcv_loss *loss = new_loss(context, &options);
    float z[2 * QN * QD], dz[2 * QN * QD], before[COUNT], after[COUNT], gradient[2][QK * QD];
    double metric;
    sslcv__rng rng;
    loss_test test;
    int call;

    sslcv__rng_init(&rng, 26, 4, 0);
    for (call = 0; call < 5; call++) {
        random_values(&rng, 2 * QN * QD, 1.0, z);
        one_input(&test, 2, QN, QD, z, dz);
        test.call.epoch = 2;
        loss_value(loss, &test);
    }
    flat_state(loss, before, COUNT);
    random_values(&rng, 2 * QN * QD, 1.0, z);
    test.call.flags = 0;
    loss_value(loss, &test);
    flat_state(loss, after, COUNT);
    ck_assert_mem_eq(before, after, sizeof before);

    test.call.flags = SSLCV_CALL_REMEMBER;
    test.call.value = 9.0;
    memset(dz, 0, sizeof dz);
    metric = loss_metric(loss, "assignment_entropy");
    loss_read(loss, "prototypes.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, QK * QD, gradient[0]);
    z[7] = NAN;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_NUMERIC, "inputs[0] has NaN or infinity");
    z[7] = -INFINITY;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_NUMERIC, "inputs[0] has NaN or infinity");
    z[7] = 0.5f;
    test.call.scale = 1e30;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_NUMERIC, "gradients of swapped at scale 1e+30");
    test.call.scale = 1.0;
    flat_state(loss, after, COUNT);
    loss_read(loss, "prototypes.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, QK * QD, gradient[1]);
    ck_assert_mem_eq(before, after, sizeof before);
    ck_assert_mem_eq(gradient[0], gradient[1], sizeof gradient[0]);
    ck_assert_double_eq(test.call.value, 9.0);
    ck_assert_double_eq(loss_metric(loss, "assignment_entropy"), metric);
    ck_assert_float_eq(dz[0], 0.0f);
    loss_value(loss, &test); /* and it works again */
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- collapse ---- */

typedef struct heard {
    int warnings;
    char text[256];
} heard;

static void listen(void *user, int32_t level, const char *message)
{
    heard *h = user;

    if (level != SSLCV_LOG_WARNING || !strstr(message, "swapped")) return;
    h->warnings++;
    snprintf(h->text, sizeof h->text, "%s", message);
}

START_TEST(a_loss_that_stays_at_the_logarithm_is_told_once)
{
    enum { N = 4, D = 6, K = 50 };
    heard h = {0, ""};
    const sslcv_swapped_options options = new_options(D, K);
    sslcv_context_options settings;
    sslcv_context *context;
    sslcv_loss *loss;
    float same[2 * N * D], z[2 * N * D], weight[K * D], narrow[K * D];
    loss_test test;
    int i, call;

    OK(sslcv_context_options_init(&settings, sizeof settings));
    settings.log = listen;
    settings.log_user = &h;
    settings.log_level = SSLCV_LOG_WARNING;
    OK(sslcv_context_create(&settings, &context));
    loss = new_loss(context, &options);
    read_values(loss, "prototypes.weight", K * D, weight);
    for (i = 0; i < K * D; i++) narrow[i] = weight[i % D]; /* all as the first */
    for (i = 0; i < 2 * N * D; i++) same[i] = (float)(i % D + 1);
    golden_rows(3, 2 * N, D, z);
    write_values(loss, "prototypes.weight", K * D, narrow);
    for (call = 0; call < 300; call++) {
        if (call == 60) write_values(loss, "prototypes.weight", K * D, weight);
        one_input(&test, 2, N, D, call == 60 ? z : same, NULL);
        if (call < 20) test.call.flags = 0; /* does not count */
        loss_value(loss, &test);
        ck_assert_int_eq(fabs(test.call.value / log((double)K) - 1.0) <= 0.01, call != 60);
        if (call == 60) write_values(loss, "prototypes.weight", K * D, narrow);
        ck_assert_int_eq(h.warnings, call >= 160);
    }
    ck_assert_ptr_nonnull(strstr(h.text, "for 100 steps the loss has been within 1 % of log 50 = 3.912"));
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- bad input ---- */

START_TEST(options_are_checked)
{
    static const struct {
        size_t at;
        int64_t value;
        const char *text;
    } whole[] = {
        {offsetof(sslcv_swapped_options, dim), 0, "swapped.dim is 0; must be 1 or more"},
        {offsetof(sslcv_swapped_options, num_prototypes), -3, "swapped.num_prototypes is -3; must be 1 or more"},
        {offsetof(sslcv_swapped_options, code_views), 0, "swapped.code_views is 0; must be 1 or more"},
        {offsetof(sslcv_swapped_options, code_views), 1025, "swapped.code_views is 1025; must be 1 .. 1024"},
        {offsetof(sslcv_swapped_options, iterations), 0, "swapped.iterations is 0; must be 1 or more"},
        {offsetof(sslcv_swapped_options, queue_size), -1, "swapped.queue_size is -1; must be 0 or more"},
        {offsetof(sslcv_swapped_options, queue_start_epoch), -1, "swapped.queue_start_epoch is -1"},
        {offsetof(sslcv_swapped_options, freeze_steps), -1, "swapped.freeze_steps is -1"},
        {offsetof(sslcv_swapped_options, hard_steps), -1, "swapped.hard_steps is -1"},
    };
    static const double bad[] = {0.0, -0.1, NAN, INFINITY};
    sslcv_context *context = new_context(NULL, 1);
    sslcv_swapped_options options;
    sslcv_loss *loss = NULL;
    size_t i;

    OK(sslcv_swapped_options_init(&options, sizeof options));
    ck_assert(options.dim == 128 && options.num_prototypes == 3000 && options.code_views == 2);
    ck_assert(options.temperature == 0.1 && options.epsilon == 0.05 && options.iterations == 3);
    ck_assert(options.queue_size == 0 && options.queue_start_epoch == 15 && options.freeze_steps == 0);
    ck_assert(options.hard_steps == 0 && options.seed == 0);
    FAILS(sslcv_swapped_options_init(NULL, sizeof options), SSLCV_ERR_INVALID_ARGUMENT, "swapped_options is NULL");
    FAILS(sslcv_loss_create_swapped(NULL, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_loss_create_swapped(context, &options, NULL), SSLCV_ERR_INVALID_ARGUMENT, "loss is NULL");
    for (i = 0; i < sizeof whole / sizeof *whole; i++) {
        OK(sslcv_swapped_options_init(&options, sizeof options));
        memcpy((char *)&options + whole[i].at, &whole[i].value, sizeof whole[i].value);
        FAILS(sslcv_loss_create_swapped(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT, whole[i].text);
    }
    for (i = 0; i < 4; i++) {
        OK(sslcv_swapped_options_init(&options, sizeof options));
        options.temperature = bad[i];
        FAILS(sslcv_loss_create_swapped(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT, "must be > 0");
        options.temperature = 0.1;
        options.epsilon = bad[i];
        FAILS(sslcv_loss_create_swapped(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT, "swapped.epsilon is");
    }
    OK(sslcv_swapped_options_init(&options, sizeof options));
    options.num_prototypes = INT64_MAX / 8;
    FAILS(sslcv_loss_create_swapped(context, &options, &loss), SSLCV_ERR_LIMIT, "is too large");
    ck_assert_ptr_null(loss);
    options.num_prototypes = (int64_t)1 << 40;
    OK(sslcv_loss_create_swapped(context, &options, &loss));
    {
        sslcv_state *state;

        FAILS(sslcv_loss_get_state(loss, &state), SSLCV_ERR_LIMIT, "swapped needs");
    }
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(bad_calls_are_refused)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_swapped_options options = new_options(4, 3);
    float z[96], dz[96];
    sslcv_loss *loss;
    loss_test test;

    options.queue_size = 4;
    loss = new_loss(context, &options);
    golden_input(56, 96, z);
    one_input(&test, 1, 4, 4, z, dz);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT,
          "inputs[0] has 1 views; swapped of 2 code views needs 2 or more");
    one_input(&test, 2, 4, 3, z, dz);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT,
          "inputs[0] has 3 dimensions; swapped.dim is 4");
    one_input(&test, 2, 5, 4, z, dz);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT,
          "inputs[0] has 5 samples; must be 1 .. 4, swapped.queue_size");
    memset(&test, 0, sizeof test);
    loss_test_init(&test);
    loss_test_add(&test, 2, 4, 3, 4, z, dz);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0] has 3 positions");
    one_input(&test, 2, 4, 4, z, dz);
    loss_test_add(&test, 2, 4, 1, 4, z, dz);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "call.num_inputs is 2; swapped takes 1");
    one_input(&test, 2, 4, 4, z, dz);
    loss_value(loss, &test);
    one_input(&test, 2, 3, 4, z, dz); /* the last batch of an epoch */
    loss_value(loss, &test);
    FAILS(sslcv_loss_set(loss, "momentum", 1.0), SSLCV_ERR_NOT_FOUND, "swapped has no number \"momentum\"");
    FAILS(sslcv_loss_set(loss, "epsilon", 0.0), SSLCV_ERR_INVALID_ARGUMENT, "swapped.epsilon is 0; must be > 0");
    sslcv_loss_destroy(loss);

    options.code_views = 3;
    loss = new_loss(context, &options);
    one_input(&test, 2, 4, 4, z, dz);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "3 code views needs 3 or more");
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* What a file may bring: NaN in a queue is found before anything is remembered. */
START_TEST(a_bad_queue_is_found)
{
    static const float bad[2] = {NAN, INFINITY};
    sslcv_context *context = new_context(NULL, 1);
    const sslcv_swapped_options options = queue_options();
    sslcv_loss *loss = new_loss(context, &options);
    float queue[QSIZE * QD], z[2 * QN * QD], dz[2 * QN * QD];
    loss_test test;
    int i;

    golden_input(57, 2 * QN * QD, z);
    for (i = 0; i < 2; i++) {
        golden_rows(58, QSIZE, QD, queue);
        queue[11] = bad[i];
        write_values(loss, "queue.1", QSIZE * QD, queue);
        one_input(&test, 2, QN, QD, z, dz);
        test.call.epoch = 2;
        FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_NUMERIC, "the value of swapped is");
    }
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- memory, threads ---- */

/* A queue that starts later, fewer views or samples: the first call has taken what they need. */
START_TEST(steady_calls_allocate_nothing)
{
    host h = {.fail_at = -1};
    sslcv_context *context = new_context(&h, 1);
    const sslcv_swapped_options options = queue_options();
    sslcv_loss *loss = new_loss(context, &options);
    sslcv_loss_info info = {.struct_size = sizeof info};
    float z[4 * QN * QD], dz[4 * QN * QD];
    int64_t calls, bytes;
    loss_test test;
    int call;

    OK(sslcv_loss_get_info(loss, &info));
    ck_assert_str_eq(info.kind, "swapped");
    ck_assert(info.min_inputs == 1 && info.max_inputs == 1 && info.gradient_inputs == 1);
    ck_assert_int_eq(info.needs_ids + info.needs_labels, 0);
    ck_assert_int_eq(info.bytes, (QK * QD + 2 * QSIZE * QD) * 4 + 16);
    golden_input(59, 4 * QN * QD, z);
    one_input(&test, 4, QN, QD, z, dz);
    OK(sslcv__loss_reserve(loss, test.inputs, 1));
    OK(sslcv_loss_get_info(loss, &info));
    bytes = info.bytes;
    ck_assert_int_ge(bytes, 4 * QN * QD * 8 + 2 * QN * QK * 8);
    calls = h.calls;
    for (call = 0; call < 9; call++) {
        one_input(&test, call % 2 ? 4 : 2, call % 3 ? QN : 1, QD, z, dz);
        test.call.epoch = call;
        loss_value(loss, &test);
    }
    ck_assert_int_eq(h.calls, calls);
    OK(sslcv_loss_get_info(loss, &info));
    ck_assert_int_eq(info.bytes, bytes);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

static sslcv_status create_and_compute(sslcv_context *context, sslcv_loss **out)
{
    const sslcv_swapped_options options = queue_options();
    float z[2 * QN * QD], dz[2 * QN * QD];
    sslcv_loss *loss = NULL;
    sslcv_status status = sslcv_loss_create_swapped(context, &options, &loss);
    loss_test test;

    golden_input(60, 2 * QN * QD, z);
    one_input(&test, 2, QN, QD, z, dz);
    test.call.value = 9.0;
    if (status == SSLCV_OK) status = sslcv_loss_compute(loss, &test.call);
    ck_assert(status == SSLCV_OK || test.call.value == 9.0);
    if (status == SSLCV_OK) {
        *out = loss;
        return SSLCV_OK;
    }
    sslcv_loss_destroy(loss);
    return status;
}

START_TEST(any_allocation_may_fail)
{
    host h = {.fail_at = -1};
    sslcv_context *context = new_context(&h, 1);
    const int64_t before = h.out;
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    sslcv_loss *loss = NULL;
    int64_t n;

    for (n = 0; status != SSLCV_OK; n++) {
        ck_assert_int_lt(n, 100);
        h.calls = 0;
        h.fail_at = n;
        status = create_and_compute(context, &loss);
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
        ck_assert_ptr_null(loss);
        ck_assert_int_eq(h.out, before);
    }
    ck_assert_int_gt(n, 8);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss_swapped_state");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 60);
    tcase_add_test(all, prototypes_begin_as_unit_rows_of_their_seed);
    tcase_add_test(all, prototypes_are_normalized_and_rest_while_frozen);
    tcase_add_test(all, frozen_by_name);
    tcase_add_test(all, queue_fills_then_stands_beside_the_batch);
    tcase_add_test(all, state_continues_bit_for_bit);
    tcase_add_test(all, state_stays);
    tcase_add_test(all, a_loss_that_stays_at_the_logarithm_is_told_once);
    tcase_add_test(all, options_are_checked);
    tcase_add_test(all, bad_calls_are_refused);
    tcase_add_test(all, a_bad_queue_is_found);
    tcase_add_test(all, steady_calls_allocate_nothing);
    tcase_add_test(all, any_allocation_may_fail);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
