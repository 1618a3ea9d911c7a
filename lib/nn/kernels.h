/**
 * Layers that oneDNN has no primitive for, on floats wherever they lie. All are threaded over fixed parts, so results
 * do not depend on timing; inside a compute frame.
 */
#ifndef SSLCV__KERNELS_H
#define SSLCV__KERNELS_H

#include "core/error.h"

/** y <- max(a + b, 0); y may be a or b. */
void sslcv__add_relu(const float *a, const float *b, float *y, int64_t count);

/** d <- dy where y > 0, else 0; d may be dy. */
void sslcv__relu_mask(const float *y, const float *dy, float *d, int64_t count);

/** sum <- a + b; sum may be either. */
void sslcv__sum(const float *a, const float *b, float *sum, int64_t count);

/** y: (rows, columns) <- y + bias in every row. */
void sslcv__add_bias(const float *bias, float *y, int64_t rows, int64_t columns);

/** sums: (columns) <- sums * keep + sum over rows of dy. */
void sslcv__sum_rows(const float *dy, float keep, float *sums, int64_t rows, int64_t columns);

/** 1 when every value is finite. */
int sslcv__all_finite(const float *x, int64_t count);

#endif
