/**
 * Rows against very many constant candidates, a queue: what a softmax over them needs, without an array of
 * rows * candidates. For each row a, with the scores s_j = a . c_j of all candidates,
 *
 *     top  = max over j of s_j
 *     sum  = sum over j of exp(scale * (s_j - top))
 *     pull = sum over j of exp(scale * (s_j - top)) c_j
 *
 * so that log(sum) + scale * top is the logarithm of the softmax's denominator, and scale * pull / sum its gradient.
 */
#ifndef SSLCV__SCAN_H
#define SSLCV__SCAN_H

#include "core/error.h"

#include <stdint.h>

typedef struct sslcv__scan {
    const float *rows;       /* (num_rows, dim) */
    const float *candidates; /* (num_candidates, dim) */
    int64_t num_rows, num_candidates, dim;
    int64_t threads; /* of the context */
    float scale;     /* > 0, finite */
    float *top;      /* out: (num_rows) */
    double *sum;     /* out: (num_rows) */
    float *pull;     /* out: (num_rows, dim); NULL: not wanted, which saves half of the work */
} sslcv__scan;

/**
 * Place working memory as sslcv__loss_place() does; reads the sizes alone.
 *
 * @param memory Out: its begin.
 * @return 0: too large.
 */
int sslcv__scan_place(const sslcv__scan *scan, void *base, int64_t *offset, void **memory);

/** Inside a compute frame. The same bits for any number of threads. Scores that are NaN give NaN. */
sslcv_status sslcv__scan_run(const sslcv__scan *scan, void *memory);

#endif
