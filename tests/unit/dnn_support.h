/** What the suites of lib/dnn share: tensors, plain f32 outside and in any layout inside, and convolutions to try. */
#ifndef SSLCV__TESTS_DNN_SUPPORT_H
#define SSLCV__TESTS_DNN_SUPPORT_H

#include "memory_support.h"

#include "core/backend.h"
#include "core/compute.h"
#include "core/memory.h"
#include "dnn/dnn.h"
#include "dnn/op.h"

/* ---- tensors ---- */

static sslcv_context *context;
static sslcv__compute frame;
static int64_t bytes_before;

static inline int64_t bytes_held(void)
{
    sslcv_context_info info = {.struct_size = sizeof info};

    OK(sslcv_context_get_info(context, &info));
    return info.bytes;
}

static inline void begin(void)
{
    context = new_context(NULL, 2);
    OK(sslcv__compute_begin(context, &frame));
    bytes_before = bytes_held();
}

static inline void finish(void)
{
    ck_assert_int_eq(bytes_held(), bytes_before);
    sslcv__compute_end(&frame);
    sslcv_context_destroy(context);
}

static inline void *memory_of(int64_t bytes)
{
    void *memory;

    OK(sslcv__alloc(context, bytes, &memory));
    memset(memory, 0xEE, (size_t)bytes); /* what is not written shows */
    return memory;
}

static inline float *floats(int64_t count)
{
    return memory_of(count * (int64_t)sizeof(float));
}

static inline int64_t count_of(const int64_t shape[4])
{
    return shape[0] * shape[1] * shape[2] * shape[3];
}

/** Exact in bf16, so that both types see the same numbers. */
static inline float *values_of(int64_t seed, int64_t count)
{
    float *values = floats(count);
    int64_t i;

    golden_input(seed, count, values);
    for (i = 0; i < count; i++) values[i] = roundf(values[i] * 128.0f) / 128.0f;
    return values;
}

/** Plain values in the layout. */
static inline void *put(const sslcv__layout *layout, int ndim, const int64_t *shape, const float *values)
{
    void *memory = memory_of(sslcv__layout_bytes(layout));
    sslcv__layout *plain;

    OK(sslcv__layout_plain(context, SSLCV_F32, ndim, shape, &plain));
    OK(sslcv__layout_convert(context, plain, values, layout, memory));
    sslcv__layout_free(context, plain);
    return memory;
}

static inline float *get(const sslcv__layout *layout, int ndim, const int64_t *shape, const void *memory)
{
    sslcv__layout *plain;
    float *values;

    OK(sslcv__layout_plain(context, SSLCV_F32, ndim, shape, &plain));
    values = memory_of(sslcv__layout_bytes(plain));
    OK(sslcv__layout_convert(context, layout, memory, plain, values));
    sslcv__layout_free(context, plain);
    return values;
}

/** Runs the op on plain values of 4 dimensions; inputs[arg] NULL: an output, or not an argument. */
static inline float *run_op(sslcv__op *op, const float *const inputs[SSLCV__ARG_COUNT], const int64_t *const shapes[],
                            sslcv__arg wanted)
{
    void *memory[SSLCV__ARG_COUNT];
    float *result;
    int arg;

    for (arg = 0; arg < SSLCV__ARG_COUNT; arg++) {
        const sslcv__layout *layout = sslcv__op_layout(op, (sslcv__arg)arg);
        memory[arg] = NULL;
        if (!layout) continue;
        memory[arg] = inputs[arg] ? put(layout, 4, shapes[arg], inputs[arg]) : memory_of(sslcv__layout_bytes(layout));
        OK(sslcv__op_bind(op, (sslcv__arg)arg, memory[arg]));
    }
    OK(sslcv__op_run(op));
    result = get(sslcv__op_layout(op, wanted), 4, shapes[wanted], memory[wanted]);
    for (arg = 0; arg < SSLCV__ARG_COUNT; arg++) sslcv__free(context, memory[arg]);
    return result;
}

static inline void check_close(const char *what, const float *values, const double *expected, int64_t count,
                               double tolerance)
{
    int64_t i;

    for (i = 0; i < count; i++) {
        ck_assert_msg(fabs(values[i] - expected[i]) <= tolerance * fmax(1.0, fabs(expected[i])),
                      "%s: element %lld is %.9g; expected %.9g", what, (long long)i, values[i], expected[i]);
    }
}

static inline double *doubles(int64_t count)
{
    double *values;

    OK(sslcv__alloc_array(context, count, sizeof *values, (void **)&values));
    return values;
}

/* ---- convolutions ---- */

typedef struct conv {
    sslcv__conv_shape shape;
    int64_t src[4], weights[4], dst[4], bias[1];
} conv;

typedef struct conv_case {
    int64_t batch, in, out, size, kernel, stride, padding;
} conv_case;

/** Stems, strides, pointwise, channel counts that fit no block, one pixel. */
static const conv_case conv_cases[] = {
    {2, 3, 64, 12, 3, 1, 1},   {2, 3, 64, 23, 7, 2, 3},  {2, 64, 64, 9, 3, 1, 1},  {2, 64, 128, 9, 3, 2, 1},
    {3, 64, 128, 9, 1, 2, 0},  {2, 64, 256, 7, 1, 1, 0}, {2, 5, 7, 8, 3, 1, 1},    {2, 24, 40, 8, 3, 2, 1},
    {4, 64, 64, 1, 3, 1, 1},   {1, 1, 1, 5, 3, 1, 1},    {8, 16, 32, 1, 3, 2, 1},  {8, 32, 64, 2, 3, 2, 1},
    {160, 16, 16, 8, 3, 2, 1}, {37, 32, 48, 2, 3, 1, 1}, {20, 48, 16, 4, 3, 2, 1}, {7, 16, 32, 5, 5, 2, 1}};

enum { CONV_CASES = sizeof conv_cases / sizeof *conv_cases };

static inline conv conv_of(const conv_case *c, int32_t dtype)
{
    const int64_t out = sslcv__conv_out_size(c->size, c->kernel, c->stride, c->padding);
    const conv made = {.shape = {.batch = c->batch,
                                 .in_channels = c->in,
                                 .in_height = c->size,
                                 .in_width = c->size,
                                 .out_channels = c->out,
                                 .kernel_height = c->kernel,
                                 .kernel_width = c->kernel,
                                 .stride = c->stride,
                                 .padding = c->padding,
                                 .dtype = dtype},
                       .src = {c->batch, c->in, c->size, c->size},
                       .weights = {c->out, c->in, c->kernel, c->kernel},
                       .dst = {c->batch, c->out, out, out},
                       .bias = {c->out}};

    return made;
}

#endif
