/** The loops of layers that only heads have (nn/plan_rows.c); grid.h has those on grids. Inside a compute frame. */
#ifndef SSLCV__ROW_KERNELS_H
#define SSLCV__ROW_KERNELS_H

#include <stdint.h>

/** y = x Phi(x) = x / 2 (1 + erf(x / sqrt 2)); dx = dy (Phi(x) + x phi(x)). */
void sslcv__rows_gelu(const float *x, int64_t count, float *y);
void sslcv__rows_gelu_backward(const float *x, const float *dy, int64_t count, float *dx);

/**
 * y = x / (1 - rate), or 0 with probability rate (1: always). Which elements is a matter of key and place alone: the
 * same call makes the gradient of one of its inputs' from that of its result.
 */
void sslcv__rows_drop(const float *x, int64_t count, double rate, uint64_t key, float *y);

/** x: (rows, 2 dim), halves a and b; y: (rows, dim) = tanh(a) sigmoid(b). */
void sslcv__rows_gate(const float *x, int64_t rows, int64_t dim, float *y);
void sslcv__rows_gate_backward(const float *x, const float *dy, int64_t rows, int64_t dim, float *dx);

/** inverse: (rows) = 1 / max(|w|, 1e-12) of each row of w: (rows, dim). */
void sslcv__rows_inverse_norms(const float *w, int64_t rows, int64_t dim, float *inverse);

/** y = x, its columns times scale; y may be x. */
void sslcv__rows_scale_columns(const float *x, const float *scale, int64_t rows, int64_t columns, float *y);

/** sums: (columns) = of each column the product of a and b, summed over rows. */
void sslcv__rows_dot_columns(const float *a, const float *b, int64_t rows, int64_t columns, float *sums);

/** Of each row: g <- g - along inverse w. What a unit vector's gradient has along the vector is none. */
void sslcv__rows_remove_along(const float *w, const float *inverse, const float *along, int64_t rows, int64_t dim,
                              float *g);

#endif
