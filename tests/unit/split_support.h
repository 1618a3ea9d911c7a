/** What the suites about split batch norm share: a context and a tape, passes, a small residual graph. */
#ifndef SSLCV__TESTS_SPLIT_SUPPORT_H
#define SSLCV__TESTS_SPLIT_SUPPORT_H

#include "memory_support.h"

#include "core/context.h"
#include "core/rng.h"
#include "core/tensor.h"
#include "nn/plan_build.h"
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

static inline void draw(float *values, int64_t count, uint64_t seed)
{
    sslcv__rng rng;
    int64_t i;

    sslcv__rng_init(&rng, seed, 0, SSLCV__STREAM_HOST);
    for (i = 0; i < count; i++) values[i] = (float)sslcv__rng_normal(&rng);
}

static inline double *to_double(const float *values, int64_t count)
{
    double *copy = malloc((size_t)count * sizeof *copy);
    int64_t i;

    for (i = 0; i < count; i++) copy[i] = values[i];
    return copy;
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

static inline sslcv_pass pass_of(int32_t flags, int32_t splits, uint64_t random)
{
    const sslcv_pass pass = {sizeof pass, flags, splits, random, NULL};

    return pass;
}

static inline sslcv_status forward(sslcv__net *net, const sslcv_tensor *input, sslcv_pass pass)
{
    return sslcv__tape_forward(tape, &context->object, net, input, "input", &pass, net->num_nodes - 1);
}

enum { EVALUATION = 0, TRAIN = SSLCV_PASS_TRAIN, SHUFFLE = SSLCV_PASS_SHUFFLE, MAP = SSLCV_PASS_MAP };
enum { ALL = SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT | SSLCV_PASS_INPUT_GRADIENT };

/* A stem and two blocks: one with an identity shortcut, one with a projection, as ResNets have them. */
static inline void build_residual(sslcv__net *net, int64_t channels, int64_t width)
{
    int32_t x, main, side;

    OK(sslcv__net_init(net, context, 0, channels));
    OK(sslcv__net_convolution(net, 0, "conv1", width, 3, 1, 1, &x));
    OK(sslcv__net_batch_norm(net, x, "bn1", 2, 1, &x));
    net->stage = 1;
    OK(sslcv__net_convolution(net, x, "a.conv1", width, 3, 1, 1, &main));
    OK(sslcv__net_batch_norm(net, main, "a.bn1", 2, 1, &main));
    OK(sslcv__net_convolution(net, main, "a.conv2", width, 3, 1, 1, &main));
    OK(sslcv__net_batch_norm(net, main, "a.bn2", 2, 0, &main));
    OK(sslcv__net_add_relu(net, main, x, &x));
    net->stage = 2;
    OK(sslcv__net_convolution(net, x, "b.conv1", 2 * width, 3, 2, 1, &main));
    OK(sslcv__net_batch_norm(net, main, "b.bn1", 2, 1, &main));
    OK(sslcv__net_convolution(net, main, "b.conv2", 2 * width, 3, 1, 1, &main));
    OK(sslcv__net_batch_norm(net, main, "b.bn2", 2, 0, &main));
    OK(sslcv__net_convolution(net, x, "b.side", 2 * width, 1, 2, 0, &side));
    OK(sslcv__net_batch_norm(net, side, "b.side_bn", 2, 0, &side));
    OK(sslcv__net_add_relu(net, main, side, &x));
}

#endif
