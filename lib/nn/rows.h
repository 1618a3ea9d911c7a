/** Rows of unit length, and the way back: for heads, and for losses that compare directions. Inside a compute frame. */
#ifndef SSLCV__ROWS_H
#define SSLCV__ROWS_H

#include <stdint.h>

/**
 * unit = x / max(|x|, 1e-12) for each row.
 *
 * @param x     (rows, dim), finite.
 * @param unit  Out: (rows, dim).
 * @param norms Out: (rows), |x|.
 */
void sslcv__rows_normalize(const float *x, int64_t rows, int64_t dim, float *unit, double *norms);

/**
 * Gradient through it. With n = |x| > 1e-12 and u = x / n, du/dx = (I - u u^T) / n, so
 *
 *     diff_x = (diff_unit - u (u . diff_unit)) / n
 *
 * which is orthogonal to x. Below the floor u = 1e12 x, and diff_x = 1e12 diff_unit.
 */
void sslcv__rows_normalize_backward(const float *unit, const double *norms, const float *diff_unit, int64_t rows,
                                    int64_t dim, float *diff_x);

#endif
