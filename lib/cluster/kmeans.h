/**
 * k-means: for sslcv_kmeans(), and for the loss whose labels are clusters.
 *
 * Results are the same bits for any number of threads: rows go in blocks that do not depend on it, and every sum is
 * made by one thread, in the order of the rows.
 */
#ifndef SSLCV__KMEANS_H
#define SSLCV__KMEANS_H

#include "core/error.h"

#include <sslcv/context.h>

/** What is clustered: finite, and when spherical no row of zeros. */
typedef struct sslcv__points {
    const float   *data; /* dense rows of d values */
    const int64_t *rows; /* n of them, by index, in any order; NULL: 0 .. n - 1 */
    int64_t        n, d;
} sslcv__points;

typedef struct sslcv__kmeans_settings {
    int64_t  clusters;   /* 1 .. n, below 2^31 */
    int64_t  iterations; /* >= 0; fewer when nothing changes any more */
    uint64_t seed;       /* of the first centres, and of splits */
    int32_t  spherical;  /* 1: by the cosine, centres of length 1, and a cluster without members keeps its centre;
                            0: by the distance, and a cluster without members splits a large one */
    int32_t  warm_start; /* 1: begin from the given centres; 0: from rows drawn at random */
} sslcv__kmeans_settings;

typedef struct sslcv__kmeans_result {
    double  objective; /* mean squared distance to the own centre; spherical: mean cosine with it */
    int64_t used;      /* clusters with members */
    int64_t rounds;    /* assignments made: at most iterations + 1 */
} sslcv__kmeans_result;

/**
 * Rounds of (assign, move centres), and a last assignment. Inside a compute frame.
 *
 * @param centres     (clusters, d): in when warm_start is 1; out.
 * @param assignments Out: n, of the points' rows in their order.
 * @param history     Out: iterations + 1 objectives, one a round; those of rounds not needed are as the last. May be
 *                    NULL. Never gets worse from one to the next, but for rounding.
 * @return SSLCV_ERR_NUMERIC (a warm centre that is not finite, or without direction when spherical);
 *         SSLCV_ERR_OUT_OF_MEMORY; SSLCV_ERR_CANCELLED. Outputs are untouched then, history apart.
 */
sslcv_status sslcv__kmeans(sslcv_context *context, const sslcv__points *points, const sslcv__kmeans_settings *settings,
                           float *centres, int64_t *assignments, double *history, sslcv__kmeans_result *result);

#endif
