/**
 * Exact search for the k nearest rows by cosine, in memory that does not grow with the number of queries.
 *
 * The similarity of two rows u, v of length 1 is their dot product in double precision, summed in one fixed order; of
 * equal similarities the lower index is nearer. This is a strict order, so the result is the same for any number of
 * threads, tiling and matrix product.
 */
#ifndef SSLCV__SEARCH_H
#define SSLCV__SEARCH_H

#include "eval/candidates.h"
#include "eval/features.h"

typedef struct sslcv__search {
    const float *rows; /* (n, d), each of length 1 */
    int64_t n, d;
    int64_t k;                       /* <= n, and < n where queries exclude themselves */
    const sslcv__features *queries;  /* of d dimensions; have passed sslcv__features_check() */
    const int64_t *exclude;          /* NULL, or for each query a row that is not its neighbour, -1: none */
    /* Called once for each query, in any order, by several threads at once: the number of the thread, below
       omp_get_max_threads() outside, the query, its k nearest rows, nearest first. */
    void (*take)(void *user, int thread, int64_t query, const sslcv__neighbour *nearest);
    void *user;
} sslcv__search;

/**
 * Search for all queries. Inside a compute frame.
 *
 * @return SSLCV_ERR_CANCELLED, behind which some queries were taken.
 */
sslcv_status sslcv__search_run(sslcv_context *context, const sslcv__search *search);

#endif
