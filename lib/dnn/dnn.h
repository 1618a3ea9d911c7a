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
 * Names are oneDNN's: src dst weights bias diff_* workspace scratchpad. The scratchpad is always the user's: a
 * primitive made on one thread may then run on another. Images and their gradients are f32 or bf16; weights at home,
 * their gradients and everything else are f32.
 *
 *     op.c            what all ops share, and copies between layouts
 *     convolution.c   which algorithm a convolution takes
 *     winograd*       our own F(4x4, 3x3), an op like the others
 *     small_maps.c    our own backward weights for maps of a few pixels
 *     v2/, v3/        the primitives of oneDNN 2.6 .. 2.7 and 3.x
 */
#ifndef SSLCV__DNN_H
#define SSLCV__DNN_H

#include "core/error.h"

#include <sslcv/context.h>
#include <sslcv/tensor.h>

/* ---- layouts: how a tensor lies in memory, plain or blocked; its dtype is SSLCV_F32 or SSLCV_BF16 ---- */

typedef struct sslcv__layout sslcv__layout;

enum { SSLCV__DNN_MAX_DIMS = 5 };

/** Dense row-major. */
sslcv_status sslcv__layout_plain(sslcv_context *context, int32_t dtype, int32_t ndim, const int64_t *shape,
                                 sslcv__layout **out);
/** Images (N, C/b, H, W, b): nChw16c or nChw8c. */
sslcv_status sslcv__layout_images(sslcv_context *context, int32_t dtype, const int64_t shape[4], int32_t block,
                                  sslcv__layout **out);
/** Filters (O/b, I/b, h, w, b of I, b of O), f32: OIhw16i16o or OIhw8i8o. */
sslcv_status sslcv__layout_filters(sslcv_context *context, const int64_t shape[4], int32_t block, sslcv__layout **out);
/** The same in another dtype. */
sslcv_status sslcv__layout_as(sslcv_context *context, const sslcv__layout *layout, int32_t dtype, sslcv__layout **out);
sslcv_status sslcv__layout_copy(sslcv_context *context, const sslcv__layout *layout, sslcv__layout **out);
void         sslcv__layout_free(sslcv_context *context, sslcv__layout *layout); /* NULL is accepted */
int64_t      sslcv__layout_bytes(const sslcv__layout *layout); /* with the padding of blocked layouts, which is 0 */
int32_t      sslcv__layout_dtype(const sslcv__layout *layout);
int          sslcv__layout_equal(const sslcv__layout *a, const sslcv__layout *b);

/**
 * Where element (n, c, s) of images lies, s a pixel, in elements:
 *
 *     n * batch_stride + (c / block) * block_stride + s * pixel_stride + c % block
 *
 * The outermost axis of filters is n: with them block is that of the output channels, and filter o begins at
 * (o / block) * block_stride + o % block.
 */
typedef struct sslcv__layout_form {
    int64_t block, batch_stride, block_stride, pixel_stride;
} sslcv__layout_form;

/** SSLCV_ERR_UNSUPPORTED: it lies in no such form; the kernels of lib/nn need one. */
sslcv_status sslcv__layout_image_form(const sslcv__layout *layout, sslcv__layout_form *form);
/** Of filters: block and block_stride alone. */
sslcv_status sslcv__layout_filter_form(const sslcv__layout *layout, sslcv__layout_form *form);

/** Copy between layouts, once, outside of steps: weights in and out. */
sslcv_status sslcv__layout_convert(sslcv_context *context, const sslcv__layout *from, const void *src,
                                   const sslcv__layout *to, void *dst);

/* ---- ops ---- */

typedef struct sslcv__op sslcv__op;

typedef enum sslcv__arg {
    SSLCV__SRC,
    SSLCV__WEIGHTS,
    SSLCV__BIAS,
    SSLCV__DST,
    SSLCV__DIFF_SRC,
    SSLCV__DIFF_WEIGHTS,
    SSLCV__DIFF_DST,
    SSLCV__WORKSPACE,
    SSLCV__SCRATCHPAD,
    SSLCV__ARG_COUNT
} sslcv__arg;

void                 sslcv__op_free(sslcv_context *context, sslcv__op *op); /* NULL is accepted */
const sslcv__layout *sslcv__op_layout(const sslcv__op *op, sslcv__arg arg); /* NULL: not an argument of this op */
int64_t              sslcv__op_bytes(const sslcv__op *op, sslcv__arg arg);  /* 0: not an argument */
sslcv_status         sslcv__op_bind(sslcv__op *op, sslcv__arg arg, void *memory);
sslcv_status         sslcv__op_run(sslcv__op *op);
const char          *sslcv__op_implementation(const sslcv__op *op); /* oneDNN's name: "jit:avx512_core"; "own:..." */

/** Shape of a convolution; square dilation 1, no groups. */
typedef struct sslcv__conv_shape {
    int64_t batch, in_channels, in_height, in_width;
    int64_t out_channels, kernel_height, kernel_width;
    int64_t stride, padding; /* both axes */
    int32_t dtype;           /* of src and dst and their gradients: SSLCV_F32 or SSLCV_BF16 */
    int32_t reserved;
} sslcv__conv_shape;

int64_t sslcv__conv_out_size(int64_t in, int64_t kernel, int64_t stride, int64_t padding);

/** What an inference pass does before a result goes to memory: dst <- [relu](convolution + bias [+ dst]). */
typedef struct sslcv__conv_post {
    int32_t sum;  /* 1: adds what dst holds before */
    int32_t relu;
} sslcv__conv_post;

/**
 * Convolutions, in whatever layouts suit this shape best; a caller whose tensors lie otherwise reorders. The algorithm
 * follows one fixed rule by shape (convolution.c), so that results are reproducible.
 *
 * DIFF_WEIGHTS are f32; WEIGHTS have the dtype that the implementation reads. SSLCV_BF16 needs sslcv__backend_bf16().
 *
 * @param post Of an inference pass: BIAS (out_channels, f32) becomes an argument, and WEIGHTS are those that
 *             sslcv__op_fold() makes. NULL: of a pass of training.
 */
sslcv_status sslcv__op_conv_forward(sslcv_context *context, const sslcv__conv_shape *shape,
                                    const sslcv__conv_post *post, sslcv__op **out);
sslcv_status sslcv__op_conv_backward_data(sslcv_context *context, const sslcv__conv_shape *shape, sslcv__op **out);
sslcv_status sslcv__op_conv_backward_weights(sslcv_context *context, const sslcv__conv_shape *shape, sslcv__op **out);

/** The layout that f32 weights have at home: what a training pass over images of a middling size reads. */
sslcv_status sslcv__conv_home_layout(sslcv_context *context, const int64_t shape[4], int64_t stride, int64_t padding,
                                     sslcv__layout **out);

/**
 * Weights for the inference op of a convolution with a batch norm behind it: each filter times its scale. Not for
 * steps: allocates.
 *
 * @param home    Layout of weights.
 * @param scale   (out_channels).
 * @param folded  Out: op's WEIGHTS.
 */
sslcv_status sslcv__op_fold(sslcv_context *context, const sslcv__op *op, const sslcv__layout *home,
                            const float *weights, const float *scale, void *folded);

/** dst in a layout like src's; in training a WORKSPACE says where each maximum stood. */
sslcv_status sslcv__op_max_pool_forward(sslcv_context *context, const sslcv__layout *src, int64_t kernel,
                                        int64_t stride, int64_t padding, int training, sslcv__op **out);
/** forward: its training op. */
sslcv_status sslcv__op_max_pool_backward(sslcv_context *context, const sslcv__layout *src, int64_t kernel,
                                         int64_t stride, int64_t padding, const sslcv__op *forward, sslcv__op **out);

/** src -> dst in another layout or dtype; accumulate: dst += src. */
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
