/**
 * Walker: An efficient method for generating discrete random variables with general distributions, 1977; the tables
 * are built as in Vose: A linear algorithm for generating random numbers with a given distribution, 1991. A word is
 * brought to 0 .. n - 1 as in Lemire: Fast random integer generation in an interval, 2019.
 */
#include "loss/draws.h"

#include "core/error.h"
#include "core/memory.h"
#include "core/rng.h"
#include "core/simd.h"

#include <math.h>
#include <string.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { GROUP = SSLCV__DRAWS_GROUP, BLOCKS = GROUP / 4, ROUNDS = 8, REDRAWN = 1 };

uint64_t sslcv__draws_key(uint64_t seed, uint64_t call)
{
    return sslcv__rng_derive(seed, call, SSLCV__STREAM_NEGATIVES);
}

/* ---- words ---- */

/**
 * 16 blocks of Philox4x32-10 side by side, those of the stream (key, position, number) of core/rng.h from block
 * first on; words[16 * i + b] is word i of block first + b.
 */
SSLCV__CLONES static void take_words(const uint32_t *name, uint32_t first, uint32_t *words)
{
    uint32_t k0 = name[0], k1 = name[1];
    uint32_t c0[BLOCKS], c1[BLOCKS], c2[BLOCKS], c3[BLOCKS];
    int b, round;

    for (b = 0; b < BLOCKS; b++) c0[b] = first + (uint32_t)b;
    for (b = 0; b < BLOCKS; b++) c1[b] = name[2];
    for (b = 0; b < BLOCKS; b++) c2[b] = name[3];
    for (b = 0; b < BLOCKS; b++) c3[b] = name[4];
    for (round = 0; round < 10; round++) {
        for (b = 0; b < BLOCKS; b++) {
            const uint64_t p = (uint64_t)c0[b] * 0xd2511f53u, q = (uint64_t)c2[b] * 0xcd9e8d57u;

            c0[b] = (uint32_t)(q >> 32) ^ c1[b] ^ k0;
            c1[b] = (uint32_t)q;
            c2[b] = (uint32_t)(p >> 32) ^ c3[b] ^ k1;
            c3[b] = (uint32_t)p;
        }
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    memcpy(words, c0, sizeof c0);
    memcpy(words + BLOCKS, c1, sizeof c1);
    memcpy(words + 2 * BLOCKS, c2, sizeof c2);
    memcpy(words + 3 * BLOCKS, c3, sizeof c3);
}

void sslcv__draws_words(uint64_t key, int64_t position, uint32_t number, int64_t group, uint32_t *words)
{
    const uint32_t name[5] = {(uint32_t)key, (uint32_t)(key >> 32), number, (uint32_t)position,
                              (uint32_t)((uint64_t)position >> 32)};

    take_words(name, (uint32_t)(group * BLOCKS), words);
}

static void words_of(const sslcv__draw_stream *stream, int64_t group, uint32_t *words)
{
    sslcv__draws_words(stream->key, stream->position, stream->number, group, words);
}

/* ---- with replacement ---- */

/**
 * Word w stands for row floor(w n / 2^32). Of the 2^32 words some rows then have one more than others: the words whose
 * remainder w n mod 2^32 is below 2^32 mod n are one too many, and are drawn again.
 *
 * @return Not 0: there are such words.
 */
SSLCV__CLONES static uint32_t rows_of_words(const uint32_t *words, uint32_t n, uint32_t excess, int32_t *rows)
{
    uint32_t any = 0;
    int j;

    for (j = 0; j < GROUP; j++) rows[j] = (int32_t)((uint64_t)words[j] * n >> 32);
    for (j = 0; j < GROUP; j++) any |= (uint32_t)(words[j] * n < excess);
    return any;
}

static void draw_rows(const sslcv__draws *draws, const sslcv__draw_stream *stream, int64_t group, const uint32_t *words,
                      int32_t *rows)
{
    const uint32_t n = (uint32_t)draws->rows, excess = (0u - n) % n;
    int64_t j;

    if (!rows_of_words(words, n, excess, rows)) return;
    for (j = 0; j < GROUP; j++) {
        const uint64_t key = sslcv__rng_derive(stream->key, (uint64_t)(group * GROUP + j), REDRAWN);
        sslcv__rng rng;

        if (words[j] * n >= excess) continue;
        sslcv__rng_init(&rng, key, (uint64_t)stream->position, stream->number);
        rows[j] = (int32_t)sslcv__rng_below(&rng, draws->rows);
    }
}

static void draw_weighted(const sslcv__draws *draws, const sslcv__draw_stream *stream, int64_t group, int32_t *rows)
{
    uint32_t words[GROUP], coins[GROUP];
    int j;

    words_of(stream, 2 * group, words);
    words_of(stream, 2 * group + 1, coins);
    draw_rows(draws, stream, group, words, rows);
    for (j = 0; j < GROUP; j++) {
        if (coins[j] >= draws->keep[rows[j]]) rows[j] = draws->other[rows[j]];
    }
}

/* ---- without ---- */

/* A number that depends on all bits of x (Wellons: "lowbias32", 2018). */
ALWAYS_INLINE uint32_t mixed(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

/**
 * A permutation of the numbers of so many bits: a Feistel network, whose halves change each other in turn, with a key
 * for each round. Those below end already stay.
 *
 * @return Not 0: some still are not below end.
 */
SSLCV__CLONES static uint32_t permute(uint32_t *numbers, int bits, const uint32_t *keys, uint32_t end)
{
    const int low_bits = bits / 2;
    const uint32_t low_mask = (1u << low_bits) - 1, high_mask = (1u << (bits - low_bits)) - 1;
    uint32_t low[GROUP], high[GROUP], above = 0;
    int round, j;

    for (j = 0; j < GROUP; j++) low[j] = numbers[j] & low_mask;
    for (j = 0; j < GROUP; j++) high[j] = numbers[j] >> low_bits;
    for (round = 0; round < ROUNDS; round += 2) {
        for (j = 0; j < GROUP; j++) low[j] ^= mixed(high[j] ^ keys[round]) & low_mask;
        for (j = 0; j < GROUP; j++) high[j] ^= mixed(low[j] ^ keys[round + 1]) & high_mask;
    }
    for (j = 0; j < GROUP; j++) {
        const uint32_t next = high[j] << low_bits | low[j];

        numbers[j] = numbers[j] < end ? numbers[j] : next;
    }
    for (j = 0; j < GROUP; j++) above |= (uint32_t)(numbers[j] >= end);
    return above;
}

/**
 * Of the n - 1 rows that are not the own one, the place-th in a random order. A place is permuted once, and again until
 * it falls below n - 1: that walks along a cycle of the permutation, so no two places meet. At least 8 bits, as
 * networks of fewer have too few permutations.
 */
static void draw_distinct(const sslcv__draws *draws, const sslcv__draw_stream *stream, int64_t group, int64_t count,
                          int32_t *rows)
{
    const uint32_t others = (uint32_t)(draws->rows - 1);
    uint32_t keys[GROUP], numbers[GROUP], end = 0; /* below 0 is none: the first time, all move */
    int bits = 8;
    int64_t j;

    while (others > 1u << bits) bits++;
    words_of(stream, 0, keys);
    for (j = 0; j < GROUP; j++) numbers[j] = (uint32_t)(group * GROUP + (j < count ? j : 0));
    while (permute(numbers, bits, keys, end)) end = others;
    for (j = 0; j < count; j++) rows[j] = (int32_t)numbers[j] + (numbers[j] >= (uint32_t)stream->own);
}

void sslcv__draws_take(const sslcv__draws *draws, const sslcv__draw_stream *stream, int64_t group, int64_t count,
                       int32_t *rows)
{
    int32_t all[GROUP];

    if (draws->distinct) {
        draw_distinct(draws, stream, group, count, rows);
        return;
    }
    if (draws->other) {
        draw_weighted(draws, stream, group, all);
    } else {
        uint32_t words[GROUP];

        words_of(stream, group, words);
        draw_rows(draws, stream, group, words, all);
    }
    memcpy(rows, all, (size_t)count * sizeof *rows);
}

/* ---- aliases ---- */

static sslcv_status sum_weights(const double *weights, int64_t rows, double *sum)
{
    int64_t r;

    *sum = 0.0;
    for (r = 0; r < rows; r++) {
        if (!(weights[r] >= 0.0 && weights[r] <= 1e300)) {
            return sslcv__invalid("row_weights[%lld] is %g; must be 0 .. 1e300", (long long)r, weights[r]);
        }
        *sum += weights[r];
    }
    if (*sum > 0.0 && isfinite(*sum)) return SSLCV_OK;
    return sslcv__invalid("the sum of row_weights is %g; must be > 0 and finite", *sum);
}

/**
 * n buckets of equal size: bucket r holds row r up to keep[r] and, above, a part of one row that has more than a
 * bucket's worth. rest[r] is what is left of row r, in buckets. Rows below 1 stand in front of stack, others at its
 * end.
 */
static void fill_buckets(sslcv__draws *draws, double *rest, int32_t *stack)
{
    const int64_t n = draws->rows;
    int64_t poor = 0, rich = n, r;

    for (r = 0; r < n; r++) {
        if (rest[r] < 1.0) {
            stack[poor++] = (int32_t)r;
        } else {
            stack[--rich] = (int32_t)r;
        }
    }
    while (poor > 0 && rich < n) {
        const int32_t from = stack[--poor], giver = stack[rich];

        draws->keep[from] = (uint32_t)(rest[from] * 4294967296.0);
        draws->other[from] = giver;
        rest[giver] -= 1.0 - rest[from];
        if (rest[giver] < 1.0) {
            rich++;
            stack[poor++] = giver;
        }
    }
    /* What is left fills its bucket, up to rounding, as the sum was n: with other = r, keep does not matter. */
    while (poor > 0) {
        const int32_t from = stack[--poor];

        draws->other[from] = from;
    }
    for (; rich < n; rich++) draws->other[stack[rich]] = stack[rich];
}

sslcv_status sslcv__draws_init(sslcv__draws *draws, sslcv_context *context, int64_t rows, int32_t distinct,
                               const double *weights)
{
    double *rest = NULL, sum;
    int32_t *stack = NULL;
    sslcv_status status = SSLCV_OK;
    int64_t r;

    memset(draws, 0, sizeof *draws);
    draws->rows = rows;
    draws->distinct = distinct;
    if (!weights) return SSLCV_OK;
    SSLCV__TRY(sum_weights(weights, rows, &sum));
    SSLCV__TRY(sslcv__alloc_array(context, rows, sizeof *rest, (void **)&rest));
    SSLCV__TRY(sslcv__alloc_array(context, rows, sizeof *stack, (void **)&stack));
    SSLCV__TRY(sslcv__alloc_array(context, rows, sizeof *draws->keep, (void **)&draws->keep));
    SSLCV__TRY(sslcv__alloc_array(context, rows, sizeof *draws->other, (void **)&draws->other));
    SSLCV__TRY(sslcv__alloc_array(context, rows, sizeof *draws->rates, (void **)&draws->rates));
    for (r = 0; r < rows; r++) {
        rest[r] = weights[r] / sum * (double)rows;
        draws->rates[r] = (float)rest[r];
    }
    fill_buckets(draws, rest, stack);
end:
    sslcv__free(context, rest);
    sslcv__free(context, stack);
    if (status != SSLCV_OK) sslcv__draws_free(draws, context);
    return status;
}

void sslcv__draws_free(sslcv__draws *draws, sslcv_context *context)
{
    sslcv__free(context, draws->keep);
    sslcv__free(context, draws->other);
    sslcv__free(context, draws->rates);
    memset(draws, 0, sizeof *draws);
}
