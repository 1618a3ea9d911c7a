/** What the suites about the engine share: the comparison of a graph with its naive twin. */
#ifndef SSLCV__TESTS_NET_SUPPORT_H
#define SSLCV__TESTS_NET_SUPPORT_H

#include "memory_support.h"

#include "core/context.h"
#include "core/rng.h"
#include "naive_net.h"
#include "nn/tape.h"

static sslcv_context *context;
static sslcv_tape *tape;

static inline void set_up(void)
{
    context = f32_context();
    OK(sslcv_tape_create(context, &tape));
}

static inline void tear_down(void)
{
    sslcv_tape_destroy(tape);
    sslcv_context_destroy(context);
}

static inline sslcv_status forward(sslcv_tape *on, const sslcv__net *net, const sslcv_tensor *input, const char *name,
                                   int32_t flags, int32_t last_node)
{
    const sslcv_pass pass = {.struct_size = sizeof pass, .flags = flags, .bn_splits = 1};

    return sslcv__tape_forward(on, &context->object, net, input, name, &pass, last_node);
}

static inline void draw(float *values, int64_t count, uint64_t seed)
{
    sslcv__rng rng;
    int64_t i;

    sslcv__rng_init(&rng, seed, 0, SSLCV__STREAM_HOST);
    for (i = 0; i < count; i++) values[i] = (float)sslcv__rng_normal(&rng);
}

/* All floating variables at random; variances positive. */
static inline void randomize(sslcv__net *net, uint64_t seed)
{
    int64_t i, j;

    for (i = 0; i < net->variables.count; i++) {
        sslcv__variable *v = net->variables.items[i];
        float *plain;

        if (v->dtype != SSLCV_F32) continue;
        plain = malloc((size_t)v->count * sizeof *plain);
        draw(plain, v->count, seed + 100 + (uint64_t)i);
        for (j = 0; j < v->count; j++) {
            if (v->role == SSLCV_ROLE_NORM) plain[j] = 0.5f * plain[j] + 1.0f;
            if (v->role == SSLCV_ROLE_WEIGHT) plain[j] *= 0.2f;
            if (strstr(v->name, "running_var")) plain[j] = 0.5f + plain[j] * plain[j];
        }
        OK(sslcv__variable_write(context, v, SSLCV_STATE_VALUE, plain));
        free(plain);
    }
}

/* Largest difference, as a share of the largest expected value. */
static inline double distance(const float *values, const double *expected, int64_t count)
{
    double worst = 0, largest = 1e-6;
    int64_t i;

    for (i = 0; i < count; i++) {
        worst = fmax(worst, fabs(values[i] - expected[i]));
        largest = fmax(largest, fabs(expected[i]));
    }
    return worst / largest;
}

static inline double *to_double(const float *values, int64_t count)
{
    double *copy = malloc((size_t)count * sizeof *copy);
    int64_t i;

    for (i = 0; i < count; i++) copy[i] = values[i];
    return copy;
}

#define NEAR(values, expected, count, what)                                                                            \
    do {                                                                                                               \
        const double near_distance = distance(values, expected, count);                                                \
        ck_assert_msg(near_distance < 2e-5, "%s: off by %g of the largest", what, near_distance);                      \
    } while (0)

static inline void compare_gradients(const sslcv__net *net, const naive *twin, double times)
{
    int64_t i, j;

    for (i = 0; i < net->variables.count; i++) {
        const sslcv__variable *v = net->variables.items[i];
        float *plain;

        if (!v->gradient) continue;
        plain = malloc((size_t)v->count * sizeof *plain);
        OK(sslcv__variable_read(context, v, SSLCV_STATE_GRADIENT, plain));
        for (j = 0; j < v->count; j++) plain[j] = (float)(plain[j] / times);
        NEAR(plain, twin->gradient[i], v->count, v->name);
        free(plain);
    }
}

/* One pass of the engine and of the twin over the same graph. Draws again where a value lies so near to a ReLU's kink
   that rounding could put it on the other side. */
static inline void compare(sslcv__net *net, const int64_t shape[4], int32_t flags, uint64_t seed)
{
    const int32_t last = net->num_nodes - 1;
    const int64_t count = naive_count(shape);
    const int rows = net->rows, pool = !rows && !(flags & SSLCV_PASS_MAP);
    sslcv_tensor input, output, diff;
    float *x = malloc((size_t)count * sizeof *x), *g;
    double *exact = NULL, *exact_g;
    naive *twin = NULL;
    int64_t outputs;

    do {
        if (twin) naive_free(twin);
        free(exact);
        randomize(net, seed++);
        draw(x, count, seed);
        exact = to_double(x, count);
        twin = naive_create(net, last, pool, flags & SSLCV_PASS_TRAIN);
        naive_forward(twin, shape, exact);
    } while (twin->margin < 2e-6);

    OK(sslcv_tensor_init(&input, SSLCV_F32, x, rows ? 2 : 4, shape));
    OK(forward(tape, net, &input, "input", flags, last));
    OK(sslcv_tape_output(tape, &output));
    outputs = naive_count(twin->shape[twin->num_nodes - 1]);
    NEAR(output.data, twin->y[twin->num_nodes - 1], outputs, "output");

    if (flags & SSLCV_PASS_GRADIENT) {
        g = malloc((size_t)outputs * sizeof *g);
        draw(g, outputs, seed + 7);
        exact_g = to_double(g, outputs);
        naive_backward(twin, exact_g);
        diff = output;
        diff.data = g;
        OK(sslcv_tape_backward(tape, &diff));
        compare_gradients(net, twin, 1.0);
        if (rows || (flags & SSLCV_PASS_INPUT_GRADIENT)) {
            OK(sslcv_tape_diff_input(tape, &diff));
            NEAR(diff.data, twin->dy[0], count, "input gradient");
        }
        free(exact_g);
        free(g);
    }
    naive_free(twin);
    free(exact);
    free(x);
}

static const int32_t ALL = SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT | SSLCV_PASS_INPUT_GRADIENT;

#endif
