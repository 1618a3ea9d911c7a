/** What the suites share that compare backbones with PyTorch's numbers of tests/golden. Behind backbone_support.h. */
#ifndef SSLCV__TESTS_GOLDEN_SUPPORT_H
#define SSLCV__TESTS_GOLDEN_SUPPORT_H

#include "backbone_support.h"

#include <stdio.h>

static inline double along(const float *v, int64_t count, int64_t seed)
{
    float *other = malloc((size_t)count * sizeof *other);
    double sum = 0;
    int64_t i;

    golden_input(seed, count, other);
    for (i = 0; i < count; i++) sum += (double)v[i] * other[i];
    free(other);
    return sum;
}

static inline int64_t count_parameters(sslcv_state *state)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    int64_t i, count = 0;

    for (i = 0; sslcv_state_get_entry(state, i, &entry) == SSLCV_OK; i++) {
        count += (entry.role & SSLCV_ROLE_PARAMETERS) != 0;
    }
    return count;
}

static inline void check_output(FILE *file, const float *y, int64_t count)
{
    double norm, value;
    int expected;
    int64_t i;

    ck_assert_int_eq(fscanf(file, " output %d %lf", &expected, &norm), 2);
    ck_assert_int_eq(count, expected);
    CLOSE(norm_of(y, count) / norm, 1.0, 1e-5);
    for (i = 0; i < count; i += 13) {
        ck_assert_int_eq(fscanf(file, "%lf", &value), 1);
        ck_assert_msg(fabs(y[i] - value) < 2e-5 * norm, "feature %d is %g; expected %g", (int)i, y[i], value);
    }
}

/* Norm and projection within 1e-4 of the norm; norms of almost nothing (shifts in front of a norm) aside. */
static inline void check_gradient(FILE *file, sslcv_state *state, int64_t seed)
{
    double norm, projection, size;
    sslcv_tensor diff;
    char name[64];
    float *v = NULL;
    int64_t count;

    ck_assert_int_eq(fscanf(file, " gradient %63s %lf %lf", name, &norm, &projection), 3);
    size = fmax(norm, 1e-2);
    if (norm < 1e-9) size = 1.0; /* a bias in front of a norm that measures: 0 and the rest rounding */
    if (strcmp(name, "input") == 0) {
        OK(sslcv_tape_diff_input(tape, &diff));
        count = diff.shape[0] * diff.shape[1] * diff.shape[2] * diff.shape[3];
    } else {
        diff.data = v = read_state(state, name, SSLCV_STATE_GRADIENT, &count);
    }
    ck_assert_msg(fabs(norm_of(diff.data, count) - norm) < 1e-4 * size, "%s: norm %g; expected %g", name,
                  norm_of(diff.data, count), norm);
    ck_assert_msg(fabs(along(diff.data, count, seed) - projection) < 1e-4 * size, "%s: projection %g; expected %g",
                  name, along(diff.data, count, seed), projection);
    free(v);
}

#endif
