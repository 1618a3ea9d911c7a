/**
 * Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, Random123). A stream is named by what it is for, not
 * by what was drawn before it, so results depend neither on the order of work nor on the number of threads, and a run
 * that resumes draws what the uninterrupted one would have drawn.
 *
 *     sslcv__rng_init(&rng, sslcv__rng_derive(seed, epoch, SSLCV__STREAM_VIEWS), sample, view);
 */
#ifndef SSLCV__RNG_H
#define SSLCV__RNG_H

#include <stdint.h>

/** What streams are for: the last argument of sslcv__rng_derive(), so that no two uses of one seed meet. */
enum sslcv__stream {
    SSLCV__STREAM_WEIGHTS = 1, /* initial weights */
    SSLCV__STREAM_ORDER,       /* order of samples in an epoch */
    SSLCV__STREAM_VIEWS,       /* augmentation */
    SSLCV__STREAM_SPLIT,       /* label splits */
    SSLCV__STREAM_PROBE,       /* mini-batches of probes, bootstrap */
    SSLCV__STREAM_HOST,        /* handed to callbacks */
    SSLCV__STREAM_NEGATIVES,   /* rows that a loss draws */
    SSLCV__STREAM_PASSES,      /* shuffling and dropout of a trainer's passes */
    SSLCV__STREAM_SHUFFLE,     /* rows of a pass */
    SSLCV__STREAM_DROPOUT,     /* elements of a pass */
    SSLCV__STREAM_CLUSTERS     /* first centres and splits of k-means */
};

typedef struct sslcv__rng {
    uint32_t key[2];
    uint32_t counter[4]; /* block number, b, low and high half of a */
    uint32_t block[4];
    int32_t used; /* of block */
    int32_t reserved;
} sslcv__rng;

/** Start the stream (seed, a, b). */
void sslcv__rng_init(sslcv__rng *rng, uint64_t seed, uint64_t a, uint32_t b);

/** A seed that depends on all three; the way to key a stream by more than two numbers. */
uint64_t sslcv__rng_derive(uint64_t seed, uint64_t a, uint32_t b);

uint32_t sslcv__rng_u32(sslcv__rng *rng);
uint64_t sslcv__rng_u64(sslcv__rng *rng);
double sslcv__rng_uniform(sslcv__rng *rng);                        /* [0, 1), 53 bits */
double sslcv__rng_range(sslcv__rng *rng, double low, double high); /* [low, high) */
int64_t sslcv__rng_below(sslcv__rng *rng, int64_t n);              /* 0 .. n - 1, without bias; n >= 1 */
double sslcv__rng_normal(sslcv__rng *rng);                         /* mean 0, deviation 1 (Box-Muller) */
/** Two of them for the price of one. */
void sslcv__rng_normal_pair(sslcv__rng *rng, double pair[2]);

/** A random order of the numbers 0 .. n - 1 (Fisher-Yates). */
void sslcv__rng_permutation(sslcv__rng *rng, int64_t *order, int64_t n);

#endif
