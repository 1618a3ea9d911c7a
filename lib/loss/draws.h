/**
 * Which rows of a bank a sample meets. A draw is a function of its stream's name and its place in it, so that nothing
 * is stored, any thread can draw any part, and a run that resumes draws what the uninterrupted one would have drawn.
 *
 *     uniform    with replacement, each of the n rows as often as the others: exactly, by rejection
 *     weighted   with replacement, row r with probability share_r, by Walker's aliases: 2^32 steps
 *     distinct   without the own row and none twice: the first places of a keyed permutation of the n - 1 others
 */
#ifndef SSLCV__DRAWS_H
#define SSLCV__DRAWS_H

#include <sslcv/context.h>

#include <stdint.h>

/** Draws are taken in groups of this many, as many words as 16 blocks of Philox have. */
enum { SSLCV__DRAWS_GROUP = 64 };

typedef struct sslcv__draws {
    int64_t   rows;     /* n, 1 .. 2^31 - 1 */
    int32_t   distinct;
    int32_t   reserved;
    uint32_t *keep;     /* (n), weighted: row r stays r when the second word is below keep[r] ... */
    int32_t  *other;    /* (n) ... else it is this one; NULL: not weighted */
    float    *rates;    /* (n), n * share: 1 for a row that is drawn as often as it would be without weights */
} sslcv__draws;

/** Name of a stream: one sample of one call. */
typedef struct sslcv__draw_stream {
    uint64_t key;      /* of the call */
    int64_t  position; /* of the sample in the batch */
    int64_t  own;      /* its row */
    uint32_t number;   /* of the stream, when a sample has several */
    uint32_t reserved;
} sslcv__draw_stream;

/** Random words, as many as a group has: those of Philox's blocks 16 * group ... of (key, position, number). */
void sslcv__draws_words(uint64_t key, int64_t position, uint32_t number, int64_t group, uint32_t *words);

/** The key of a loss's call-th call. */
uint64_t sslcv__draws_key(uint64_t seed, uint64_t call);

/**
 * Prepare draws from rows 0 .. rows - 1.
 *
 * @param weights (rows), >= 0, their sum > 0; NULL: all alike. Not with distinct.
 * @return SSLCV_ERR_INVALID_ARGUMENT: a weight, or their sum, out of range.
 */
sslcv_status sslcv__draws_init(sslcv__draws *draws, sslcv_context *context, int64_t rows, int32_t distinct,
                               const double *weights);
void sslcv__draws_free(sslcv__draws *draws, sslcv_context *context); /* zeroed ones are accepted */

/** Draws group * SSLCV__DRAWS_GROUP and the count - 1 after it. distinct: all places drawn are below n - 1. */
void sslcv__draws_take(const sslcv__draws *draws, const sslcv__draw_stream *stream, int64_t group, int64_t count,
                       int32_t *rows);

#endif
