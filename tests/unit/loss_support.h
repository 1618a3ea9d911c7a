/**
 * What tests of losses share: calls, and the comparison of a loss with its naive twin. A twin is the loss's value in
 * double, written from the formula with plain loops. Its gradients are its central differences, so that one comparison
 * checks value, gradients and formula, against code that shares nothing with the library.
 */
#ifndef SSLCV__TESTS_LOSS_SUPPORT_H
#define SSLCV__TESTS_LOSS_SUPPORT_H

#include "memory_support.h"

#include <sslcv/losses.h>
#include <sslcv/state.h>

#include <math.h>
#include <stdio.h>

#include "core/rng.h"

enum { LOSS_MAX_INPUTS = 16, LOSS_MAX_VALUES = 1 << 14 };

/** One call: inputs of the axes (V, N, P, D), each with a place for its gradient. */
typedef struct loss_test {
    sslcv_loss_call call;
    sslcv_tensor inputs[LOSS_MAX_INPUTS], diffs[LOSS_MAX_INPUTS];
} loss_test;

static inline void loss_test_init(loss_test *test)
{
    OK(sslcv_loss_call_init(&test->call, sizeof test->call));
    test->call.inputs = test->inputs;
    test->call.diff_inputs = test->diffs;
}

/** diff NULL: this input's gradient is not wanted. positions 1: three axes. */
static inline void loss_test_add(loss_test *test, int64_t views, int64_t samples, int64_t positions, int64_t dim,
                                 float *data, float *diff)
{
    const int64_t three[3] = {views, samples, dim}, four[4] = {views, samples, positions, dim};
    const int64_t i = test->call.num_inputs++;
    const int32_t ndim = positions == 1 ? 3 : 4;

    OK(sslcv_tensor_init(&test->inputs[i], SSLCV_F32, data, ndim, positions == 1 ? three : four));
    OK(sslcv_tensor_init(&test->diffs[i], SSLCV_F32, diff, ndim, positions == 1 ? three : four));
}

static inline int64_t loss_test_count(const loss_test *test, int64_t input)
{
    int64_t count = 1;
    int32_t i;

    for (i = 0; i < test->inputs[input].ndim; i++) count *= test->inputs[input].shape[i];
    return count;
}

/** The value; diffs are filled. */
static inline double loss_value(sslcv_loss *loss, loss_test *test)
{
    OK(sslcv_loss_compute(loss, &test->call));
    return test->call.value;
}

static inline double loss_metric(const sslcv_loss *loss, const char *name)
{
    const char *found;
    double value;
    int64_t i;

    for (i = 0;; i++) {
        OK(sslcv_loss_get_metric(loss, i, &found, &value));
        if (strcmp(found, name) == 0) return value;
    }
}

/** Where a tensor of the loss's state is; the state is the caller's. */
static inline sslcv_state *loss_find(sslcv_loss *loss, const char *name, sslcv_state_entry *entry, int64_t *index)
{
    sslcv_state *state;

    OK(sslcv_loss_get_state(loss, &state));
    OK(sslcv_state_find(state, name, index));
    entry->struct_size = sizeof *entry;
    OK(sslcv_state_get_entry(state, *index, entry));
    return state;
}

static inline int64_t loss_entry_count(const sslcv_state_entry *entry)
{
    int64_t count = 1;
    int32_t i;

    for (i = 0; i < entry->ndim; i++) count *= entry->shape[i];
    return count;
}

/** A tensor of the loss's state (part SSLCV_STATE_VALUE) or its gradient; dtype as it is there. */
static inline void loss_read(sslcv_loss *loss, const char *name, int32_t part, int32_t dtype, int64_t count,
                             void *values)
{
    sslcv_state_entry entry;
    sslcv_tensor tensor;
    int64_t index;
    sslcv_state *state = loss_find(loss, name, &entry, &index);

    ck_assert_int_eq(loss_entry_count(&entry), count);
    OK(sslcv_tensor_init(&tensor, dtype, values, entry.ndim, entry.shape));
    OK(sslcv_state_get(state, index, part, &tensor));
    sslcv_state_destroy(state);
}

static inline void loss_write(sslcv_loss *loss, const char *name, int32_t part, int32_t dtype, int64_t count,
                              void *values)
{
    sslcv_state_entry entry;
    sslcv_tensor tensor;
    int64_t index;
    sslcv_state *state = loss_find(loss, name, &entry, &index);

    ck_assert_int_eq(loss_entry_count(&entry), count);
    OK(sslcv_tensor_init(&tensor, dtype, values, entry.ndim, entry.shape));
    OK(sslcv_state_set(state, index, part, &tensor));
    sslcv_state_destroy(state);
}

static inline void random_values(sslcv__rng *rng, int64_t count, double scale, float *values)
{
    int64_t i;

    for (i = 0; i < count; i++) values[i] = (float)(scale * sslcv__rng_normal(rng));
}

/** G with rows of unit length, as its "nG". */
static inline void golden_rows(int64_t seed, int64_t rows, int64_t dim, float *values)
{
    int64_t i, j;

    golden_input(seed, rows * dim, values);
    for (i = 0; i < rows; i++) {
        double sum = 0.0;

        for (j = 0; j < dim; j++) sum += (double)values[i * dim + j] * (double)values[i * dim + j];
        for (j = 0; j < dim; j++) values[i * dim + j] = (float)((double)values[i * dim + j] / sqrt(sum));
    }
}

/**
 * The loss in double.
 *
 * @param user   Of the test: options, ids, labels, what is remembered.
 * @param inputs The call's inputs, then the parameters named to check_twin().
 */
typedef double (*loss_twin)(void *user, const double *const *inputs);

static inline void check_differences(loss_twin twin, void *user, double **inputs, int64_t input, int64_t count,
                                     const float *diff, double scale, double tolerance)
{
    static double exact[LOSS_MAX_VALUES];
    const double step = 1e-5;
    double largest = 0.0;
    int64_t i;

    ck_assert_int_le(count, LOSS_MAX_VALUES);
    for (i = 0; i < count; i++) {
        const double x = inputs[input][i];
        double above;

        inputs[input][i] = x + step;
        above = twin(user, (const double *const *)inputs);
        inputs[input][i] = x - step;
        exact[i] = (above - twin(user, (const double *const *)inputs)) / (2.0 * step);
        inputs[input][i] = x;
        largest = fmax(largest, fabs(exact[i]));
    }
    for (i = 0; i < count; i++) {
        ck_assert_msg(fabs((double)diff[i] / scale - exact[i]) <= tolerance * fmax(largest, 1e-3),
                      "gradient of input %d, element %d: %.9g, differences say %.9g (largest %.3g)", (int)input, (int)i,
                      (double)diff[i] / scale, exact[i], largest);
    }
}

/**
 * Value within value_tolerance (relative, or absolute below 1), every gradient that is wanted, and those of the named
 * parameters, within gradient_tolerance of the largest of its array. One call of the loss, with the test's flags:
 * without SSLCV_CALL_REMEMBER the loss stays as it is.
 *
 * @param parameters Names in the loss's state of f32 parameters; their values are the twin's further inputs.
 */
static inline void check_twin(sslcv_loss *loss, loss_test *test, loss_twin twin, void *user,
                              const char *const *parameters, int64_t num_parameters, double value_tolerance,
                              double gradient_tolerance)
{
    static double exact[LOSS_MAX_INPUTS][LOSS_MAX_VALUES];
    static float values[LOSS_MAX_VALUES];
    double *inputs[LOSS_MAX_INPUTS], expected;
    int64_t counts[LOSS_MAX_INPUTS], i, k;
    const int64_t num_inputs = test->call.num_inputs;

    for (i = 0; i < num_inputs; i++) {
        counts[i] = loss_test_count(test, i);
        ck_assert_int_le(counts[i], LOSS_MAX_VALUES);
        for (k = 0; k < counts[i]; k++) exact[i][k] = (double)((const float *)test->inputs[i].data)[k];
        inputs[i] = exact[i];
    }
    /* Gradients of parameters are added up until an optimizer takes them: from 0. */
    for (i = 0; i < num_parameters; i++) {
        sslcv_state_entry entry;
        int64_t index, *count = &counts[num_inputs + i];

        sslcv_state_destroy(loss_find(loss, parameters[i], &entry, &index));
        *count = loss_entry_count(&entry);
        ck_assert_int_le(*count, LOSS_MAX_VALUES);
        memset(values, 0, sizeof values);
        loss_write(loss, parameters[i], SSLCV_STATE_GRADIENT, SSLCV_F32, *count, values);
        loss_read(loss, parameters[i], SSLCV_STATE_VALUE, SSLCV_F32, *count, values);
        for (k = 0; k < *count; k++) exact[num_inputs + i][k] = (double)values[k];
        inputs[num_inputs + i] = exact[num_inputs + i];
    }
    loss_value(loss, test);
    expected = twin(user, (const double *const *)inputs);
    ck_assert_msg(fabs(test->call.value - expected) <= value_tolerance * fmax(1.0, fabs(expected)),
                  "value %.12g, twin %.12g", test->call.value, expected);
    for (i = 0; i < num_inputs; i++) {
        if (!test->diffs[i].data) continue;
        check_differences(twin, user, inputs, i, counts[i], test->diffs[i].data, test->call.scale, gradient_tolerance);
    }
    for (i = 0; i < num_parameters; i++) {
        loss_read(loss, parameters[i], SSLCV_STATE_GRADIENT, SSLCV_F32, counts[num_inputs + i], values);
        check_differences(twin, user, inputs, num_inputs + i, counts[num_inputs + i], values, test->call.scale,
                          gradient_tolerance);
    }
}

#endif
