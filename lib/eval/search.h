/**
 * Exact search for the k nearest rows by cosine, in memory that does not grow with the number of queries.
 *
 *     SSLCV__TRY(sslcv__search_begin(context, rows, n, d, k, num_queries, &search));
 *     for (first = 0; first < num_queries; first += search.block)
 *         SSLCV__TRY(sslcv__search_run(&search, queries, first, count, NULL));   -> search.queries[i].candidates
 *     end: sslcv__search_end(&search);
 *
 * The similarity of two rows u, v of length 1 is their dot product in double precision, summed in one fixed order; of
 * equal similarities the lower index is nearer. This is a strict order, so the result is the same for any number of
 * threads, tiling and matrix product.
 */
#ifndef SSLCV__SEARCH_H
#define SSLCV__SEARCH_H

#include "eval/features.h"

typedef struct sslcv__neighbour {
    double similarity;
    int64_t index; /* of the row */
} sslcv__neighbour;

/** One query of a block. After a run the first k candidates are its nearest rows, nearest first. */
typedef struct sslcv__query {
    const float *unit;            /* d: the query, of length 1 */
    sslcv__neighbour *candidates; /* room for search.room */
    int64_t size;                 /* candidates there are */
    double least;                 /* products below this are not among the nearest */
} sslcv__query;

typedef struct sslcv__search {
    sslcv_context *context;
    const float *rows; /* (n, d), each of length 1; borrowed */
    int64_t n, d, k;
    double margin;                /* no product in the tile is further than this from its similarity */
    int64_t room;                 /* candidates of a query */
    int64_t block;                /* most queries a run */
    float *units;                 /* (block, d) */
    float *tile;                  /* (block, a tile's rows) products by sslcv__gemm() */
    sslcv__query *queries;        /* block */
    sslcv__neighbour *candidates; /* (block, room) */
} sslcv__search;

/** k must be <= n, and < n where queries exclude themselves. On failure too there is a search to end. */
sslcv_status sslcv__search_begin(sslcv_context *context, const float *rows, int64_t n, int64_t d, int64_t k,
                                 int64_t num_queries, sslcv__search *search);

void sslcv__search_end(sslcv__search *search); /* of zeros, with the context set, is accepted */

/**
 * Search for queries first .. first + count - 1, which have passed sslcv__features_check(). Inside a compute frame.
 *
 * @param exclude NULL, or for each query of the whole array a row that is not its neighbour, -1: none.
 * @return SSLCV_ERR_CANCELLED.
 */
sslcv_status sslcv__search_run(sslcv__search *search, const sslcv__features *queries, int64_t first, int64_t count,
                               const int64_t *exclude);

#endif
