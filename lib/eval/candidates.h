/**
 * The k rows nearest to one query, found among products in f32 that are off by a margin at most.
 *
 * If the k-th best product so far is v, k rows have similarities of at least v - margin, so a row whose product is
 * below v - 2 margin is not among the nearest. What passes is a candidate. When there is no room for more they are
 * thinned out by that rule; the few that are left at the end are scored in double. Where products tell too little apart
 * for that to make room, candidates are scored earlier, and only k are kept.
 *
 *     sslcv__candidates_clear(c);
 *     for all rows: if (product >= c->least) sslcv__candidates_add(rule, c, product, row);
 *     sslcv__candidates_settle(rule, c);
 *     sslcv__candidates_sort(c);                       -> c->nearest: the k nearest, nearest first
 */
#ifndef SSLCV__CANDIDATES_H
#define SSLCV__CANDIDATES_H

#include <stdint.h>

typedef struct sslcv__neighbour {
    double similarity;
    int64_t index; /* of the row */
} sslcv__neighbour;

/** What all queries of a search have in common. */
typedef struct sslcv__candidate_rule {
    const float *rows; /* (n, d), each of length 1 */
    int64_t d, k;
    int64_t room;  /* candidates of a query; sslcv__candidates_room() */
    double margin; /* no product is further than this from its similarity; sslcv__candidates_margin() */
} sslcv__candidate_rule;

typedef struct sslcv__candidates {
    const float *unit; /* d: the query, of length 1 */
    float *products;   /* (room) */
    int64_t *indices;  /* (room): of their rows */
    int64_t size;
    float least;               /* products below this are not among the nearest */
    int64_t found;             /* of nearest, once settled */
    sslcv__neighbour *nearest; /* (room); several that are not settled at once may share it */
} sslcv__candidates;

/** Room for k of n rows. */
int64_t sslcv__candidates_room(int64_t n, int64_t k);

/** The largest error of a product of two rows of length 1 and d values in f32, summed in whatever order. */
double sslcv__candidates_margin(int64_t d);

void sslcv__candidates_clear(sslcv__candidates *c); /* none, and all are welcome */

void sslcv__candidates_add(const sslcv__candidate_rule *rule, sslcv__candidates *c, float product, int64_t index);

/** Score in double: nearest has the k nearest, in any order; all, if there are fewer. */
void sslcv__candidates_settle(const sslcv__candidate_rule *rule, sslcv__candidates *c);

/** Take in those of the same query among other rows. Both are settled, and the result is. */
void sslcv__candidates_join(const sslcv__candidate_rule *rule, sslcv__candidates *c, const sslcv__candidates *others);

void sslcv__candidates_sort(sslcv__candidates *c); /* nearest first */

#endif
