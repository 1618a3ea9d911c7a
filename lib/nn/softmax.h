/**
 * Rows of exponentials: what every softmax over candidates, prototypes, a queue or a bank is made of. Leaves, without
 * threads, so that a caller's parallel loop runs them row by row. Products and sums are fused where the processor can
 * (x86-64-v4), so the last bit differs between kinds of processors.
 */
#ifndef SSLCV__SOFTMAX_H
#define SSLCV__SOFTMAX_H

#include <stdint.h>

/** The largest of count >= 1 values, none of them NaN. */
float sslcv__row_max(const float *x, int64_t count);

/**
 * y <- exp(scale * (x - shift)), within 2 units of the last place of the exact exponential of the rounded argument;
 * 0 below exp(-87.3), and exp(88.3) above. y may be x.
 *
 * @return Their sum, in double.
 */
double sslcv__row_exp(const float *x, int64_t count, float shift, float scale, float *y);

/** y <- y * factor. */
void sslcv__row_scale(float *y, int64_t count, float factor);

/** y <- y + factor * x. */
void sslcv__row_add(const float *x, int64_t count, float factor, float *y);

/** Sum of x * y: 16 sums in float, then added in double. For rows of up to some thousand values. */
double sslcv__row_dot(const float *x, const float *y, int64_t count);

/*
 * The same for all columns of x, (rows, columns), at once: softmaxes that stand upright, as products of turned matrices
 * leave them (matmul.h). columns is a multiple of 16.
 */

/** top[i] <- the largest of top[i] and column i. */
void sslcv__columns_max(const float *x, int64_t rows, int64_t columns, float *top);

/**
 * x <- exp(scale * (x - shift[i])) in column i, of which no value is above shift[i]; as precise as sslcv__row_exp().
 * sum[i] += its sum, 32 in float, then double.
 */
void sslcv__columns_exp(float *x, int64_t rows, int64_t columns, const float *shift, float scale, double *sum);

#endif
