/** An order of samples in which all classes come equally often. */
#ifndef SSLCV__BALANCED_H
#define SSLCV__BALANCED_H

#include "core/error.h"

#include <sslcv/context.h>

/**
 * DeepCluster's: of n samples, each class with members gives n / classes + 1, different ones where it has more than
 * that, else drawn with replacement; all shuffled, and the first n are taken.
 *
 * @param labels  n; samples with a negative one do not come.
 * @param order   Out: n samples.
 * @param repeats Out: n; how often the sample has stood in front of this place.
 * @return SSLCV_ERR_LIMIT: no sample has a label.
 */
sslcv_status sslcv__order_by_class(sslcv_context *context, const int64_t *labels, int64_t n, uint64_t seed,
                                   int64_t epoch, int64_t *order, int32_t *repeats);

#endif
