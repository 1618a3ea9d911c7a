/**
 * Layers that oneDNN has no primitive for, or none that is better than a loop. All are threaded over fixed parts, so
 * results do not depend on timing; inside a compute frame.
 */
#ifndef SSLCV__KERNELS_H
#define SSLCV__KERNELS_H

#include "nn/norm.h"

#include "core/error.h"

/* ---- maps: arrays of f32, or of bf16, with arithmetic in f32. What is not a number stays so behind a ReLU. ---- */

/** y <- max(a + b, 0); y may be a or b. */
void sslcv__map_add_relu(int bf16, const void *a, const void *b, void *y, int64_t count);

/** y <- max(x, 0); y may be x. */
void sslcv__map_relu(int bf16, const void *x, void *y, int64_t count);

/** d <- dy where y > 0, else 0, the gradient of both from their result; d may be dy. */
void sslcv__map_relu_mask(int bf16, const void *y, const void *dy, void *d, int64_t count);

/** sum <- a + b; sum may be either. */
void sslcv__map_sum(int bf16, const void *a, const void *b, void *sum, int64_t count);

/** Arrays that do not overlap. */
void sslcv__convert_to_bf16(const float *x, uint16_t *y, int64_t count);
void sslcv__convert_from_bf16(const uint16_t *x, float *y, int64_t count);

/** y: (N, C) f32 <- means of x over its pixels. Groups do not matter. */
void sslcv__spatial_mean(const sslcv__norm_shape *shape, const void *x, float *y);

/** dx <- dy / pixels, in every pixel; padding <- 0. */
void sslcv__spatial_mean_backward(const sslcv__norm_shape *shape, const float *dy, void *dx);

/* ---- f32 ---- */

/** sum <- a + b; sum may be either. */
void sslcv__sum(const float *a, const float *b, float *sum, int64_t count);

/** y: (rows, columns) <- y + bias in every row. */
void sslcv__add_bias(const float *bias, float *y, int64_t rows, int64_t columns);

/** sums: (columns) <- sums * keep + sum over rows of dy. */
void sslcv__sum_rows(const float *dy, float keep, float *sums, int64_t rows, int64_t columns);

/** 1 when every value is finite. */
int sslcv__all_finite(const float *x, int64_t count);

#endif
