/** Eigenvalues of a symmetric matrix, without vectors: for the effective rank of features. */
#ifndef SSLCV__EIGEN_H
#define SSLCV__EIGEN_H

#include "core/error.h"

#include <sslcv/context.h>

/**
 * About 2 n^3 operations. Inside a compute frame.
 *
 * @param matrix (n, n), both halves; destroyed.
 * @param values Out: n, ascending; each within some n * 2^-52 of the largest magnitude.
 * @return SSLCV_ERR_OUT_OF_MEMORY; SSLCV_ERR_CANCELLED.
 */
sslcv_status sslcv__eigenvalues(sslcv_context *context, double *matrix, int64_t n, double *values);

#endif
