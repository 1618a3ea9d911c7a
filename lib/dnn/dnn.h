/**
 * The one door to oneDNN. No other folder includes its headers or knows its version: a back end is a folder beside
 * this file (v2/) that implements all of it.
 *
 * An op is one oneDNN primitive with fixed shapes. A plan creates it once, binds each of its arguments to memory whose
 * address does not change, and runs it every step: running creates and allocates nothing.
 *
 *     conv_forward = sslcv__op_conv_forward(...)        which memory layouts does it want?
 *     layout       = sslcv__op_layout(op, SSLCV__DST)   -> the next op's src, the arena's size
 *     sslcv__op_bind(op, SSLCV__SRC, address) ...
 *     sslcv__op_run(op)                                 each step
 *
 * Memory is f32. Names are oneDNN's: src dst weights bias diff_* mean variance scale shift workspace scratchpad.
 * The scratchpad is always the user's: a primitive made on one thread may then run on another.
 */
#ifndef SSLCV__DNN_H
#define SSLCV__DNN_H

#include "core/error.h"

#include <sslcv/context.h>

/* ---- layouts: how a tensor lies in memory, plain or blocked ---- */

typedef struct sslcv__layout sslcv__layout;

enum { SSLCV__DNN_MAX_DIMS = 5 };

/** Dense row-major. */
sslcv_status sslcv__layout_plain(sslcv_context *context, int32_t ndim, const int64_t *shape, sslcv__layout **out);
/** A matrix of rows as images of one pixel, (rows, columns, 1, 1), channels last: what batch norm takes fast. */
sslcv_status sslcv__layout_rows(sslcv_context *context, int64_t rows, int64_t columns, sslcv__layout **out);
sslcv_status sslcv__layout_copy(sslcv_context *context, const sslcv__layout *layout, sslcv__layout **out);
void         sslcv__layout_free(sslcv_context *context, sslcv__layout *layout); /* NULL is accepted */
int64_t      sslcv__layout_bytes(const sslcv__layout *layout); /* with the padding of blocked layouts, which is 0 */
int          sslcv__layout_equal(const sslcv__layout *a, const sslcv__layout *b);

/** Copy between layouts, once, outside of steps: weights in and out. */
sslcv_status sslcv__layout_convert(sslcv_context *context, const sslcv__layout *from, const float *src,
                                   const sslcv__layout *to, float *dst);

/* ---- ops ---- */

typedef struct sslcv__op sslcv__op;

typedef enum sslcv__arg {
    SSLCV__SRC,
    SSLCV__WEIGHTS,
    SSLCV__BIAS,
    SSLCV__DST,
    SSLCV__DIFF_SRC,
    SSLCV__DIFF_WEIGHTS,
    SSLCV__DIFF_BIAS,
    SSLCV__DIFF_DST,
    SSLCV__MEAN,
    SSLCV__VARIANCE,
    SSLCV__SCALE,
    SSLCV__SHIFT,
    SSLCV__DIFF_SCALE,
    SSLCV__DIFF_SHIFT,
    SSLCV__WORKSPACE,
    SSLCV__SCRATCHPAD,
    SSLCV__ARG_COUNT
} sslcv__arg;

void                 sslcv__op_free(sslcv_context *context, sslcv__op *op); /* NULL is accepted */
const sslcv__layout *sslcv__op_layout(const sslcv__op *op, sslcv__arg arg); /* NULL: not an argument of this op */
int64_t              sslcv__op_bytes(const sslcv__op *op, sslcv__arg arg);  /* 0: not an argument */
sslcv_status         sslcv__op_bind(sslcv__op *op, sslcv__arg arg, void *memory);
sslcv_status         sslcv__op_run(sslcv__op *op);
const char          *sslcv__op_implementation(const sslcv__op *op); /* oneDNN's name: "jit:avx512_core" */

/** Shape of a convolution; square dilation 1, no groups. */
typedef struct sslcv__conv_shape {
    int64_t batch, in_channels, in_height, in_width;
    int64_t out_channels, kernel_height, kernel_width;
    int64_t stride, padding; /* both axes */
} sslcv__conv_shape;

int64_t sslcv__conv_out_size(int64_t in, int64_t kernel, int64_t stride, int64_t padding);

/**
 * Convolutions, in whatever layouts oneDNN likes best for this shape; a caller whose tensors lie otherwise reorders. The
 * algorithm follows one fixed rule by shape, so that results are reproducible: Winograd F(4x4, 3x3) for 3x3, stride 1,
 * at least 64 channels in and out, where the context allows it and oneDNN has it; else direct.
 */
sslcv_status sslcv__op_conv_forward(sslcv_context *context, const sslcv__conv_shape *shape, sslcv__op **out);
sslcv_status sslcv__op_conv_backward_data(sslcv_context *context, const sslcv__conv_shape *shape, sslcv__op **out);
sslcv_status sslcv__op_conv_backward_weights(sslcv_context *context, const sslcv__conv_shape *shape, sslcv__op **out);

/**
 * Batch norm over all but axis 1. SRC, DST, MEAN, VARIANCE (population), SCALE, SHIFT, and with relu in training a
 * WORKSPACE that backward needs.
 *
 * @param given_statistics 1: mean and variance are read; 0: they are those of src, and written.
 * @param relu             1: fuse a ReLU behind it.
 * @param training         1: a backward op will follow.
 */
sslcv_status sslcv__op_batch_norm_forward(sslcv_context *context, const sslcv__layout *data, double epsilon,
                                          int given_statistics, int relu, int training, sslcv__op **out);
sslcv_status sslcv__op_batch_norm_backward(sslcv_context *context, const sslcv__layout *data, double epsilon,
                                           int given_statistics, int relu, const sslcv__op *forward, sslcv__op **out);

sslcv_status sslcv__op_relu_forward(sslcv_context *context, const sslcv__layout *data, sslcv__op **out);
/** From the result: DST, DIFF_DST, DIFF_SRC. */
sslcv_status sslcv__op_relu_backward(sslcv_context *context, const sslcv__layout *data, const sslcv__op *forward,
                                     sslcv__op **out);

/** dst in a layout like src's; in training a WORKSPACE says where each maximum stood. */
sslcv_status sslcv__op_max_pool_forward(sslcv_context *context, const sslcv__layout *src, int64_t kernel,
                                        int64_t stride, int64_t padding, int training, sslcv__op **out);
sslcv_status sslcv__op_max_pool_backward(sslcv_context *context, const sslcv__layout *src, int64_t kernel,
                                         int64_t stride, int64_t padding, const sslcv__op *forward, sslcv__op **out);

/** Mean over height and width: dst is (N, C, 1, 1). */
sslcv_status sslcv__op_mean_forward(sslcv_context *context, const sslcv__layout *src, sslcv__op **out);
sslcv_status sslcv__op_mean_backward(sslcv_context *context, const sslcv__layout *src, const sslcv__op *forward,
                                     sslcv__op **out);

/** src -> dst in another layout; accumulate: dst += src. */
sslcv_status sslcv__op_reorder(sslcv_context *context, const sslcv__layout *src, const sslcv__layout *dst,
                               int accumulate, sslcv__op **out);

/* ---- matrix product ---- */

/**
 * c <- alpha * op(a) op(b) + beta * c, row-major; op(a) is (m, k), op(b) is (k, n), c is (m, n). With beta 0 c is not
 * read. Inside a compute frame (core/compute.h). oneDNN packs operands in memory of its own.
 */
sslcv_status sslcv__gemm(int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, float alpha,
                         const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

#endif
