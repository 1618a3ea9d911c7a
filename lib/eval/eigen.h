/** Eigenvalues of a symmetric matrix: for the effective rank of features; and the first vectors: for whitening. */
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

enum { SSLCV__EIGEN_ROOM = 9 }; /* doubles of working memory for each row */

/**
 * The k largest, with vectors. About 4/3 n^3 + 2 k n^2 + 16 k^2 n operations. Inside a compute frame. Allocates nothing,
 * so that callers need not fail half-way.
 *
 * @param matrix  (n, n), both halves; destroyed.
 * @param values  Out: k, descending; each as above.
 * @param vectors Out: (k, n), one a row, of length 1 and orthogonal to each other to some n * 2^-52.
 * @param room    SSLCV__EIGEN_ROOM * n.
 * @return SSLCV_ERR_CANCELLED.
 */
sslcv_status sslcv__eigenvectors(sslcv_context *context, double *matrix, int64_t n, int64_t k, double *values,
                                 double *vectors, double *room);

#endif
