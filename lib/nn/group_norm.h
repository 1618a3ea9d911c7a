/**
 * Group norm: statistics of each sample alone, over the pixels of a group of channels that lie side by side. One group
 * is layer norm. Like nn/norm.h, with what stands behind it in one pass:
 *
 *     forward     y = [relu] (a (x - mean) + shift [+ r])        a = scale / sqrt(variance + epsilon)
 *     backward    d = (g [+ g2]) [where y > 0]                   as in batch norm
 *                 x' = a d - (A + xhat B) / sqrt(variance + epsilon)
 *                 A, B: means over the group of scale d, scale d xhat
 *
 * A sample is read a second time while it lies in the cache. Sums are taken in double over fixed pieces; results depend
 * neither on the number of threads nor on the other samples.
 *
 * Shapes are those of nn/norm.h, but groups are of channels: they divide channels. mean, variance: (batch, groups).
 */
#ifndef SSLCV__GROUP_NORM_H
#define SSLCV__GROUP_NORM_H

#include "nn/norm.h"

/** Bytes of scratch that any of these needs, aligned to 64. */
int64_t sslcv__group_norm_scratch_bytes(const sslcv__norm_shape *shape);

/** y <- [relu](norm(x) [+ r]). Of affine only scale, shift and epsilon are read. y may be x or r. */
void sslcv__group_norm_forward(const sslcv__norm_shape *shape, const sslcv__norm_affine *affine, const void *x,
                               const void *r, int relu, void *y, float *mean, float *variance, void *scratch);

/** The same again with the statistics of affine: bit for bit what forward gave. */
void sslcv__group_norm_apply(const sslcv__norm_shape *shape, const sslcv__norm_affine *affine, const void *x,
                             const void *r, int relu, void *y, void *scratch);

/** given_statistics must be 0. diff_scale, diff_shift: sums over the samples. */
void sslcv__group_norm_backward(const sslcv__norm_shape *shape, const sslcv__norm_affine *affine,
                                const sslcv__norm_gradient *gradient, void *scratch);

#endif
