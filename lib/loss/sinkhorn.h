/**
 * Codes of equal use from scores, by Sinkhorn and Knopp's balancing of rows and columns as SwAV has it. A leaf of
 * losses that give samples to prototypes.
 */
#ifndef SSLCV__SINKHORN_H
#define SSLCV__SINKHORN_H

#include <stdint.h>

/**
 * B = num_extra + rows samples, K = columns prototypes. From Q = exp(scores / epsilon), so many times:
 *
 *     each column's (prototype's) sum becomes 1 / K, then each row's (sample's) sum 1 / B
 *
 * and at last times B, so that each code sums to 1. Not run until it converges: that would be other codes.
 */
typedef struct sslcv__sinkhorn {
    const float *scores; /* (rows, columns), finite */
    float *codes;        /* out: (rows, columns); may be scores */
    float *extra;        /* (num_extra, columns): scores of samples that stand beside them; overwritten */
    int64_t rows, num_extra, columns;
    int64_t iterations;  /* >= 1 */
    double epsilon;      /* > 0 */
    double bound;        /* no score is larger, whatever its sign; INFINITY: not known, which costs a look at them */
    int64_t *largest;    /* out: (rows), the first largest entry of each code */
    double *mass;        /* out: (columns), sums of the codes */
    void *memory;        /* sslcv__sinkhorn_bytes(), at a multiple of 64 */
} sslcv__sinkhorn;

/** @return 0: more than an int64_t holds. */
int sslcv__sinkhorn_bytes(int64_t samples, int64_t columns, int64_t *bytes);

/** Inside a compute frame. Every result is finite and every code sums to 1; the same bits for any number of threads. */
void sslcv__sinkhorn_run(const sslcv__sinkhorn *problem);

#endif
