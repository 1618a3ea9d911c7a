/**
 * Anchors against candidates that lie in the batch and get gradients too: the core of InfoNCE, whose derivation is in
 * info_nce.c.
 */
#ifndef SSLCV__CONTRAST_H
#define SSLCV__CONTRAST_H

#include "core/error.h"

#include <stdint.h>

/** Column j shows the sample j % samples, as row r shows r % samples. */
typedef struct sslcv__contrast {
    const float *anchors;    /* (rows, dim), unit rows */
    const float *candidates; /* (columns, dim), unit rows */
    float *diff_anchors;     /* added to; NULL: no gradients */
    float *diff_candidates;
    int64_t rows, columns, samples, dim;
    int32_t excludes_self; /* 1: anchors and candidates are one array, as are their diffs; a row is not its own */
    int32_t reserved;
    double scale;  /* 1 / temperature */
    double weight; /* of each anchor in the gradient */
} sslcv__contrast;

/** Sums over all anchors scored; a caller sets them to 0. */
typedef struct sslcv__contrast_sums {
    double loss;
    int64_t first, anchors; /* anchors with a positive ahead of all that is none; all anchors */
} sslcv__contrast_sums;

/** Place working memory as sslcv__loss_place() does, for contrasts of this many rows and columns. 0: too large. */
int sslcv__contrast_place(void *base, int64_t *offset, int64_t rows, int64_t columns, void **memory);

/** Inside a compute frame. A failure leaves diffs in any state. */
sslcv_status sslcv__contrast_run(const sslcv__contrast *contrast, void *memory, sslcv__contrast_sums *sums);

#endif
