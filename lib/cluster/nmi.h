/** How much two labellings of the same samples tell about each other. */
#ifndef SSLCV__NMI_H
#define SSLCV__NMI_H

#include "core/error.h"

#include <sslcv/context.h>

/**
 * Mutual information over the mean of the two entropies, 0 .. 1; 1 where both have one class only. Samples with a
 * negative label in either are left out.
 *
 * @param a, b  n labels each, any numbers.
 * @param value Out: NaN where no sample has both.
 * @return SSLCV_ERR_OUT_OF_MEMORY.
 */
sslcv_status sslcv__nmi(sslcv_context *context, const int64_t *a, const int64_t *b, int64_t n, double *value);

#endif
