/**
 * Batch norm with what stands behind it in a residual network, in one pass each way:
 *
 *     forward     y = [relu] (a x + b [+ r])        a = scale / sqrt(variance + epsilon), b = shift - a mean
 *     backward    d = (g [+ g2]) [where y > 0]      g, g2: gradients that meet at y; r's gradient is d itself
 *                 scale' = sum d xhat,  shift' = sum d,  x' = a (d - shift'/m - xhat scale'/m)
 *
 * oneDNN has batch norm and batch norm with ReLU; the sum of the shortcut, its ReLU and the meeting of two gradients
 * would be passes over memory of their own. x is what is kept for backward: y comes from it again (sslcv__norm_apply).
 * Groups: statistics of each of G equal parts of the batch alone (split batch norm).
 *
 * Sums are taken in double, over fixed pieces whose results are added in their order: results do not depend on the
 * number of threads. Inside a compute frame; nothing is allocated.
 */
#ifndef SSLCV__NORM_H
#define SSLCV__NORM_H

#include <stdint.h>

/**
 * How x and all arrays like it lie: element (n, c, s), s a pixel, at
 *
 *     n * batch_stride + (c / block) * block_stride + s * pixel_stride + c % block
 *
 *     nChw16c   block 16, pixel_stride 16, block_stride 16 S, batch_stride S (C rounded up to 16); padding stays 0
 *     nhwc      block C, pixel_stride C            (also rows of heads: S = 1)
 *     nchw      block 1, pixel_stride 1, block_stride S
 */
typedef struct sslcv__norm_shape {
    int64_t batch, channels, pixels;
    int64_t block, batch_stride, block_stride, pixel_stride; /* in elements */
    int64_t groups;                                          /* divides batch; 1: ordinary batch norm */
    int32_t bf16;                                            /* elements are bf16, else f32; all else is f32 */
    int32_t reserved;
} sslcv__norm_shape;

/** Bytes of scratch that any of these needs, aligned to 64. */
int64_t sslcv__norm_scratch_bytes(const sslcv__norm_shape *shape);

/** mean, variance (population): (groups, channels). */
void sslcv__norm_statistics(const sslcv__norm_shape *shape, const void *x, float *mean, float *variance, void *scratch);

typedef struct sslcv__norm_affine {
    const float *mean, *variance; /* (groups, channels); both NULL: a = scale, for a bias alone */
    const float *scale, *shift;   /* (channels); NULL: 1, 0 */
    double epsilon;
} sslcv__norm_affine;

/** y <- [relu](a (x - mean) + shift [+ r]). r: NULL: none. y may be x or r. What is not a number stays so. */
void sslcv__norm_apply(const sslcv__norm_shape *shape, const sslcv__norm_affine *affine, const void *x, const void *r,
                       int relu, void *y, void *scratch);

/**
 * Statistics and apply in one: bit for bit what the two give, but where a channel block fits into the cache x comes
 * from memory once. Of affine only scale, shift and epsilon are read; mean and variance are written. y may be r, not x.
 */
void sslcv__norm_forward(const sslcv__norm_shape *shape, const sslcv__norm_affine *affine, const void *x, const void *r,
                         int relu, void *y, float *mean, float *variance, void *scratch);

typedef enum sslcv__norm_mask {
    SSLCV__NORM_MASK_NONE,
    SSLCV__NORM_MASK_Y, /* where y > 0 */
    SSLCV__NORM_MASK_X  /* where a (x - mean) + shift > 0, that is y without r: y need not be kept */
} sslcv__norm_mask;

typedef struct sslcv__norm_gradient {
    const void *x;
    const void *y;  /* for MASK_Y */
    const void *g;
    const void *g2; /* NULL: none */
    void *d;        /* receives the masked sum; NULL: not wanted. May be g or g2. x' is made from it as it is stored */
    void *diff_x;   /* may be d, g or g2; NULL: not wanted */
    float *diff_scale, *diff_shift; /* (channels), written; summed over groups. NULL: not wanted */
    sslcv__norm_mask mask;
    int32_t given_statistics; /* 1: mean and variance are constants (evaluation, frozen): x' = a d */
} sslcv__norm_gradient;

/** One read of everything for the sums, one more for diff_x, by channels so that the second finds it in cache. */
void sslcv__norm_backward(const sslcv__norm_shape *shape, const sslcv__norm_affine *affine,
                          const sslcv__norm_gradient *gradient, void *scratch);

#endif
