/** What the suites about heads share: numbers of PyTorch, passes in one call, finite differences. */
#ifndef SSLCV__TESTS_HEAD_SUPPORT_H
#define SSLCV__TESTS_HEAD_SUPPORT_H

#include "backbone_support.h"

#include <stdio.h>

#include "model/head.h"
#include "nn/state.h"

enum { HEAD_MAX = 4096 }; /* floats of an input or output in these tests */

static inline int64_t elements(const sslcv_tensor *tensor)
{
    int64_t count = 1, i;

    for (i = 0; i < tensor->ndim; i++) count *= tensor->shape[i];
    return count;
}

/** An MLP's options. */
static inline sslcv_mlp_options mlp_of(int64_t in, int64_t hidden, int64_t out, int32_t layers)
{
    sslcv_mlp_options options;

    OK(sslcv_mlp_options_init(&options, sizeof options));
    options.in_dim = in;
    options.hidden_dim = hidden;
    options.out_dim = out;
    options.num_layers = layers;
    return options;
}

/** scale * G(seed) in a tensor of these axes, over the caller's memory. */
static inline sslcv_tensor drawn(float *memory, int64_t seed, float scale, int32_t ndim, const int64_t *shape)
{
    sslcv_tensor tensor;
    int64_t i;

    OK(sslcv_tensor_init(&tensor, SSLCV_F32, memory, ndim, shape));
    ck_assert_int_le(elements(&tensor), HEAD_MAX);
    golden_input(seed, elements(&tensor), memory);
    for (i = 0; i < elements(&tensor); i++) memory[i] *= scale;
    return tensor;
}

static inline sslcv_pass pass_of(int32_t flags, uint64_t random)
{
    sslcv_pass pass;

    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = flags;
    pass.random = random;
    return pass;
}

/** Forward; the output is the tape's. */
static inline sslcv_tensor run_head(sslcv_head *head, const sslcv_tensor *input, int32_t flags)
{
    const sslcv_pass pass = pass_of(flags, 7);
    sslcv_tensor output;

    OK(sslcv_head_forward(head, input, &pass, tape));
    OK(sslcv_tape_output(tape, &output));
    return output;
}

/** Every parameter by G(100 + its number). */
static inline void draw_head(sslcv_head *head, float scale)
{
    const sslcv__variables *set = &head->net.variables;
    int64_t i, j, index = 0;

    for (i = 0; i < set->count; i++) {
        float *v = set->items[i]->value;

        if (!(set->items[i]->role & SSLCV_ROLE_PARAMETERS)) continue;
        golden_input(100 + index++, set->items[i]->count, v);
        for (j = 0; j < set->items[i]->count; j++) v[j] *= scale;
    }
}

/* ---- PyTorch's numbers: tests/golden/heads.txt ---- */

static inline void check_tensor_gradients(FILE *file, const sslcv_head *head, int tensors)
{
    const sslcv__variables *set = &head->net.variables;
    int64_t i, j;
    int index = 0;

    for (i = 0; i < set->count; i++) {
        const sslcv__variable *v = set->items[i];
        char name[64];
        double norm, along, sum = 0;
        float *other;
        long count;

        if (!(v->role & SSLCV_ROLE_PARAMETERS)) continue;
        ck_assert_int_eq(fscanf(file, " tensor %63s %ld %lf %lf", name, &count, &norm, &along), 4);
        ck_assert_str_eq(v->name, name);
        ck_assert_int_eq(v->count, count);
        other = malloc((size_t)count * sizeof *other);
        golden_input(900 + index++, count, other);
        for (j = 0; j < count; j++) sum += (double)v->gradient[j] * other[j];
        free(other);
        ck_assert_msg(fabs(norm_of(v->gradient, count) - norm) <= 1e-5 * fmax(norm, 0.1) &&
                          fabs(sum - along) <= 1e-5 * fmax(norm, 0.1),
                      "gradient of %s: norm %.9g, expected %.9g; along %.9g, expected %.9g", name,
                      norm_of(v->gradient, count), norm, sum, along);
    }
    ck_assert_int_eq(index, tensors);
}

static inline void check_values(FILE *file, const char *what, const sslcv_tensor *values)
{
    const float *v = values->data;
    double expected, largest = 0;
    char name[16];
    long count;
    int64_t i;

    ck_assert_int_eq(fscanf(file, " %15s %ld", name, &count), 2);
    ck_assert_str_eq(name, what);
    ck_assert_int_eq(elements(values), count);
    for (i = 0; i < count; i++) largest = fmax(largest, fabs((double)v[i]));
    for (i = 0; i < count; i++) {
        ck_assert_int_eq(fscanf(file, "%lf", &expected), 1);
        ck_assert_msg(fabs(v[i] - expected) <= 2e-6 * fmax(largest, 1.0), "%s[%d] is %.9g; expected %.9g", what, (int)i,
                      v[i], expected);
    }
}

/** A head with tensors as drawn there, run forward and back over 2 G(3) of these axes. */
static inline void check_golden(const char *label, sslcv_head *head, int32_t ndim, const int64_t *shape)
{
    FILE *file = fopen("tests/golden/heads.txt", "r");
    static float x[HEAD_MAX], g[HEAD_MAX];
    const sslcv_tensor input = drawn(x, 3, 2.0f, ndim, shape);
    sslcv_tensor output, diff;
    static char line[65536];
    char name[64];
    int tensors = 0;

    ck_assert_msg(file != NULL, "tests/golden/heads.txt is missing: run from the root of the repository");
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "case %63s %d", name, &tensors) == 2 && strcmp(name, label) == 0) break;
        tensors = 0;
    }
    ck_assert_msg(tensors > 0, "no case %s", label);
    draw_head(head, 1.0f);
    output = run_head(head, &input, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT);
    diff = drawn(g, 2, 1.0f, output.ndim, output.shape);
    OK(sslcv_tape_backward(tape, &diff));
    check_tensor_gradients(file, head, tensors);
    check_values(file, "output", &output);
    OK(sslcv_tape_diff_input(tape, &diff));
    check_values(file, "input", &diff);
    fclose(file);
}

/* ---- what holds for every kind ---- */

/** A copy gives the same bits, and is independent. */
static inline void check_clone(sslcv_head *head, const sslcv_tensor *input)
{
    sslcv_tensor output = run_head(head, input, 0);
    const int64_t count = elements(&output);
    float *first = malloc((size_t)count * sizeof *first);
    sslcv_head_info a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
    char text[2][256];
    sslcv_head *copy;

    memcpy(first, output.data, (size_t)count * sizeof *first);
    OK(sslcv_head_clone(head, &copy));
    output = run_head(copy, input, 0);
    ck_assert_mem_eq(first, output.data, (size_t)count * sizeof *first);
    OK(sslcv_head_get_info(head, &a));
    OK(sslcv_head_get_info(copy, &b));
    ck_assert_str_eq(a.kind, b.kind);
    ck_assert_int_eq(a.in_dim, b.in_dim);
    ck_assert_int_eq(a.out_dim, b.out_dim);
    ck_assert_int_eq(a.num_parameters, b.num_parameters);
    sslcv__head_describe(head, text[0], sizeof text[0]);
    sslcv__head_describe(copy, text[1], sizeof text[1]);
    ck_assert_str_eq(text[0], text[1]);
    draw_head(copy, 3.0f);
    output = run_head(head, input, 0);
    ck_assert_mem_eq(first, output.data, (size_t)count * sizeof *first);
    sslcv_head_destroy(copy);
    free(first);
}

/** New weights from one seed are those of a head made with it, and those of another seed are others. */
static inline void check_reset(sslcv_head *head, sslcv_head *(*make_seeded)(uint64_t seed))
{
    sslcv_head *other = make_seeded(5);
    const sslcv__variables *a = &head->net.variables, *b = &other->net.variables;
    int64_t i;

    draw_head(head, 3.0f);
    for (i = 0; i < a->count; i++) a->items[i]->has_gradient = a->items[i]->gradient != NULL;
    OK(sslcv_head_reset(head, 5));
    ck_assert_int_eq(a->count, b->count);
    for (i = 0; i < a->count; i++) {
        ck_assert_str_eq(a->items[i]->name, b->items[i]->name);
        ck_assert_mem_eq(a->items[i]->value, b->items[i]->value, (size_t)a->items[i]->stored_bytes);
        ck_assert_int_eq(a->items[i]->has_gradient, 0);
    }
    OK(sslcv_head_reset(head, 6));
    ck_assert_mem_ne(a->items[0]->value, b->items[0]->value, (size_t)a->items[0]->stored_bytes);
    sslcv_head_destroy(other);
}

/** sum over elements of output times G(2), in double. */
static inline double value_of(sslcv_head *head, const sslcv_tensor *input, int32_t flags)
{
    const sslcv_tensor output = run_head(head, input, flags);
    static float g[HEAD_MAX];
    double sum = 0;
    int64_t i;

    golden_input(2, elements(&output), g);
    for (i = 0; i < elements(&output); i++) sum += (double)((const float *)output.data)[i] * g[i];
    return sum;
}

/* The slope along one number against its gradient; smooth heads only. */
static inline void check_slope(sslcv_head *head, const sslcv_tensor *input, int32_t flags, float *place, double slope,
                               double scale, const char *name)
{
    const float kept = *place;
    double up, down, steps;

    *place = kept + 0.01f;
    up = value_of(head, input, flags);
    steps = *place;
    *place = kept - 0.01f;
    down = value_of(head, input, flags);
    steps -= *place;
    *place = kept;
    ck_assert_msg(fabs((up - down) / steps - slope) <= 2e-3 * fmax(scale, 0.05), "slope along %s is %g; gradient %g",
                  name, (up - down) / steps, slope);
}

/** Every stride-th number of the input and of the parameters. */
static inline void check_finite_differences(sslcv_head *head, sslcv_tensor *input, int32_t flags, int64_t stride)
{
    const sslcv__variables *set = &head->net.variables;
    const sslcv_tensor output = run_head(head, input, flags | SSLCV_PASS_GRADIENT);
    const int64_t count = elements(input);
    static float g[HEAD_MAX], dx[HEAD_MAX];
    float *kept[64];
    sslcv_tensor diff = drawn(g, 2, 1.0f, output.ndim, output.shape);
    int64_t i, j;

    OK(sslcv_tape_backward(tape, &diff));
    OK(sslcv_tape_diff_input(tape, &diff));
    memcpy(dx, diff.data, (size_t)count * sizeof *dx);
    for (i = 0; i < set->count; i++) {
        const sslcv__variable *v = set->items[i];

        if (!v->gradient) continue;
        kept[i] = malloc((size_t)v->stored_bytes);
        memcpy(kept[i], v->gradient, (size_t)v->stored_bytes);
    }
    for (j = 0; j < count; j += stride) {
        check_slope(head, input, flags, (float *)input->data + j, dx[j], norm_of(dx, count), "the input");
    }
    for (i = 0; i < set->count; i++) {
        const sslcv__variable *v = set->items[i];

        if (!v->gradient) continue;
        for (j = 0; j < v->count; j += stride) {
            check_slope(head, input, flags, (float *)v->value + j, kept[i][j], norm_of(kept[i], v->count), v->name);
        }
        free(kept[i]);
    }
}

#endif
