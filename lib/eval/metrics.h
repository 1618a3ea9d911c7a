/** Figures of scores, for sslcv_metrics_compute() and for sslcv_probe_evaluate(). */
#ifndef SSLCV__METRICS_H
#define SSLCV__METRICS_H

#include "eval/features.h"

/** Scores of labelled rows: no NaN, and each label a column. count: out, of rows with a label; at least 1. */
sslcv_status sslcv__scores_check(const sslcv__features *scores, const int64_t *labels, int64_t *count);

/** Classes in front of label in a row of scores: higher ones, or as high with a lower index. */
int64_t sslcv__scores_rank(const float *scores, int64_t classes, int64_t label);

/**
 * @param metrics   Out: all but struct_size.
 * @param confusion Out: [truth][prediction]; may be NULL.
 * @return SSLCV_ERR_NUMERIC (NaN); SSLCV_ERR_INVALID_ARGUMENT (a label that is no column; no label at all). Outputs
 *         are untouched then.
 */
sslcv_status sslcv__metrics_compute(sslcv_context *context, const sslcv__features *scores, const int64_t *labels,
                                    sslcv_metrics *metrics, int64_t *confusion);

#endif
