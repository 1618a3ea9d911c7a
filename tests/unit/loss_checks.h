/**
 * What holds for every loss, checked on one call of it: a test program says how to make its loss and its call.
 */
#ifndef SSLCV__TESTS_LOSS_CHECKS_H
#define SSLCV__TESTS_LOSS_CHECKS_H

#include "loss_support.h"

#include "loss/loss.h"

typedef struct loss_case {
    const char *kind;
    sslcv_status (*create)(sslcv_context *context, sslcv_loss **loss);
    /** A call of that many samples, new from loss_test_init(); in static arrays with room for twice as many. */
    void (*fill)(loss_test *test, int64_t samples);
} loss_case;

enum { SNAPSHOT = 1 << 16 };

/** All of the loss's state, byte by byte; *count bytes. */
static inline void loss_snapshot(sslcv_loss *loss, unsigned char *bytes, int64_t *count)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    sslcv_state *state;
    int64_t i;

    *count = 0;
    OK(sslcv_loss_get_state(loss, &state));
    for (i = 0; sslcv_state_get_entry(state, i, &entry) == SSLCV_OK; i++) {
        sslcv_tensor tensor;

        OK(sslcv_tensor_init(&tensor, entry.dtype, bytes + *count, entry.ndim, entry.shape));
        OK(sslcv_state_get(state, i, SSLCV_STATE_VALUE, &tensor));
        *count += loss_entry_count(&entry) * (entry.dtype == SSLCV_F64 ? 8 : 4);
        ck_assert_int_le(*count, SNAPSHOT - 4096);
        *count = (*count + 7) / 8 * 8;
    }
    sslcv_state_destroy(state);
}

static inline sslcv_loss *loss_of(const loss_case *c, sslcv_context *context)
{
    sslcv_loss *loss;

    OK(c->create(context, &loss));
    return loss;
}

/** The state before and after is the same, bit by bit. */
static inline void check_state_equals(sslcv_loss *loss, const unsigned char *before, int64_t count)
{
    static unsigned char after[SNAPSHOT];
    int64_t left;

    memset(after, 0, sizeof after);
    loss_snapshot(loss, after, &left);
    ck_assert_int_eq(left, count);
    ck_assert_mem_eq(after, before, (size_t)count);
}

/** NaN or infinity in any input: refused by name, and value, gradients, metrics and state are as they were. */
static inline void check_finite_inputs(const loss_case *c)
{
    static const float bad[3] = {NAN, INFINITY, -INFINITY};
    static unsigned char before[SNAPSHOT];
    sslcv_context *context = new_context(NULL, 2);
    sslcv_loss *loss = loss_of(c, context);
    const char *name;
    double metric;
    int64_t bytes, input, i, k;
    loss_test test;
    char text[64];

    c->fill(&test, 5);
    loss_snapshot(loss, before, &bytes);
    for (input = 0; input < test.call.num_inputs; input++) {
        const int64_t count = loss_test_count(&test, input);
        float *data = test.inputs[input].data;

        snprintf(text, sizeof text, "inputs[%d] has NaN or infinity", (int)input);
        for (i = 0; i < 3; i++) {
            const int64_t at = i * (count - 1) / 2;
            const float kept = data[at];

            for (k = 0; test.diffs[0].data && k < loss_test_count(&test, 0); k++) {
                ((float *)test.diffs[0].data)[k] = 5.0f;
            }
            test.call.value = 9.0;
            data[at] = bad[i];
            FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_NUMERIC, text);
            data[at] = kept;
            ck_assert_double_eq(test.call.value, 9.0);
            for (k = 0; k < loss_test_count(&test, 0); k++) {
                ck_assert_float_eq(((const float *)test.diffs[0].data)[k], 5.0f);
            }
            for (k = 0; sslcv_loss_get_metric(loss, k, &name, &metric) == SSLCV_OK; k++) {
                ck_assert_double_eq(metric, 0.0);
            }
            check_state_equals(loss, before, bytes);
        }
    }
    loss_value(loss, &test);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}

/** Shapes that no kind of one position takes, and too few or too many inputs. */
static inline void check_bad_calls(const loss_case *c)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = loss_of(c, context);
    loss_test test;
    int64_t inputs;

    c->fill(&test, 4);
    inputs = test.call.num_inputs;
    test.call.num_inputs = 0;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "call.num_inputs is 0");
    test.call.num_inputs = inputs + 1;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, c->kind);
    c->fill(&test, 4);
    {
        const int64_t views = test.inputs[0].shape[0], dim = test.inputs[0].shape[2];
        float *data = test.inputs[0].data;

        test.call.num_inputs = 0;
        loss_test_add(&test, views, 4, 2, dim, data, NULL);
        test.call.num_inputs = inputs;
        if (inputs > 1) {
            test.call.num_inputs = 1;
            loss_test_add(&test, views, 4, 2, dim, data, NULL);
        }
        FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0] has 2 positions");
    }
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}

/** The first call of a size takes memory, or a reservation ahead of it; later ones none. */
static inline void check_steady_calls(const loss_case *c)
{
    host h = {.fail_at = -1};
    sslcv_context *context = new_context(&h, 2);
    sslcv_loss *loss = loss_of(c, context);
    sslcv_loss_info info = {.struct_size = sizeof info};
    loss_test test;
    int64_t calls, bytes, samples;

    c->fill(&test, 6);
    OK(sslcv_loss_get_info(loss, &info));
    ck_assert_str_eq(info.kind, c->kind);
    bytes = info.bytes;
    OK(sslcv__loss_open(loss));
    OK(sslcv_loss_get_info(loss, &info));
    ck_assert_int_eq(info.bytes, bytes); /* told before it is taken */
    OK(sslcv__loss_reserve(loss, test.inputs, test.call.num_inputs));
    calls = h.calls;
    OK(sslcv_loss_get_info(loss, &info));
    ck_assert_int_gt(info.bytes, bytes);
    bytes = info.bytes;
    for (samples = 6; samples > 2; samples--) {
        c->fill(&test, samples);
        loss_value(loss, &test);
        loss_value(loss, &test);
    }
    ck_assert_int_eq(h.calls, calls);
    OK(sslcv_loss_get_info(loss, &info));
    ck_assert_int_eq(info.bytes, bytes);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}

static inline sslcv_status create_and_compute(const loss_case *c, sslcv_context *context, sslcv_state **state)
{
    sslcv_loss *loss = NULL;
    sslcv_status status = c->create(context, &loss);
    loss_test test;

    c->fill(&test, 4);
    if (status == SSLCV_OK) status = sslcv_loss_compute(loss, &test.call);
    if (status == SSLCV_OK) status = sslcv_loss_get_state(loss, state);
    ck_assert(loss != NULL || status == SSLCV_ERR_OUT_OF_MEMORY);
    sslcv_loss_destroy(loss);
    return status;
}

/** Whichever allocation fails: the status says so, and nothing is lost. */
static inline void check_allocations(const loss_case *c)
{
    host h = {.fail_at = -1};
    sslcv_context *context = new_context(&h, 1);
    const int64_t before = h.out;
    sslcv_state *state = NULL;
    int64_t n;

    for (n = 0;; n++) {
        sslcv_status status;

        ck_assert_int_lt(n, 100);
        h.calls = 0;
        h.fail_at = n;
        status = create_and_compute(c, context, &state);
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
        ck_assert_ptr_null(state);
        ck_assert_int_eq(h.out, before);
    }
    ck_assert_int_gt(n, 2);
    sslcv_state_destroy(state);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}

/**
 * The same bits in each run, and close ones with another number of threads.
 *
 * @param tolerance Between one thread and two, of the largest gradient; 0: the same bits.
 */
static inline void check_threads(const loss_case *c, int64_t samples, double tolerance)
{
    static float first[1 << 18];
    double value[2] = {0.0, 0.0}, largest = 0.0;
    int64_t count = 0, i;
    int32_t threads;
    int round;
    loss_test test;

    for (threads = 2; threads > 0; threads--) {
        for (round = 0; round < 3; round++) {
            sslcv_context *context = new_context(NULL, threads);
            sslcv_loss *loss = loss_of(c, context);
            const float *diff;
            double again;

            c->fill(&test, samples);
            again = loss_value(loss, &test);
            diff = test.diffs[0].data;
            count = loss_test_count(&test, 0);
            ck_assert_int_le(count, 1 << 18);
            if (round == 0 && threads == 2) {
                memcpy(first, diff, (size_t)count * sizeof *diff);
                for (i = 0; i < count; i++) largest = fmax(largest, fabs((double)diff[i]));
                value[1] = again;
            }
            if (threads == 2) {
                ck_assert_double_eq(again, value[1]);
                ck_assert_mem_eq(diff, first, (size_t)count * sizeof *diff);
            }
            value[threads - 1] = again;
            sslcv_loss_destroy(loss);
            sslcv_context_destroy(context);
        }
    }
    CLOSE(value[0] / value[1], 1.0, tolerance);
    for (i = 0; i < count; i++) {
        const double apart = fabs((double)((const float *)test.diffs[0].data)[i] - (double)first[i]);

        ck_assert_double_le(apart, tolerance * largest);
    }
}

/** The gradient is that of the value times scale, and asking for none changes no value. */
static inline void check_scale(const loss_case *c, double tolerance)
{
    sslcv_context *context = new_context(NULL, 2);
    sslcv_loss *loss = loss_of(c, context);
    double value, largest = 0.0;
    int64_t i, count;
    float *kept;
    loss_test test;

    c->fill(&test, 5);
    test.call.flags = 0;
    value = loss_value(loss, &test);
    count = loss_test_count(&test, 0);
    kept = malloc((size_t)count * sizeof *kept);
    memcpy(kept, test.diffs[0].data, (size_t)count * sizeof *kept);
    for (i = 0; i < count; i++) largest = fmax(largest, fabs((double)kept[i]));
    ck_assert_double_gt(largest, 0.0);
    test.call.scale = -2.5;
    ck_assert_double_eq(loss_value(loss, &test), value);
    for (i = 0; i < count; i++) {
        const double apart = (double)((const float *)test.diffs[0].data)[i] + 2.5 * (double)kept[i];

        ck_assert_double_le(fabs(apart), tolerance * largest);
    }
    test.call.diff_inputs = NULL;
    ck_assert_double_eq(loss_value(loss, &test), value);
    free(kept);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}

#endif
