/**
 * Products of matrices that lie in a cache, for callers that walk large arrays block by block and use each block for
 * more than one product; oneDNN's gemm copies both of its matrices first, at every call. A leaf: without threads,
 * without memory of its own, nothing that can fail.
 *
 *        b (k, n)  row by row                  c [+]= a b:  a tile of c, some rows by two registers, stays in registers
 *       +----+----+----+                                    while it runs through k: two vectors of b's row and one
 *       |    |    |    |                                    value of each row of a are all that is read for it
 *       +----+----+----+
 *     +--+ ....                                b is read along its rows, so it is copied only where it lies the other
 *     |  | tile                                way round (sslcv__matmul_turn()); of a single values are read, so it
 *     +--+ ....                                may lie as it likes: turned, its two distances change places
 *     a (m, k)         c (m, n)
 *
 * A value of c is a chain of fused multiply-adds over up to SSLCV__MATMUL_DEPTH values of k; chains are added in their
 * order. The same bits with any m and n, and with any x86 processor that has FMA.
 */
#ifndef SSLCV__MATMUL_H
#define SSLCV__MATMUL_H

#include <stdint.h>

enum {
    SSLCV__MATMUL_STEP = 16,   /* n is a multiple of it; of twice as much is quicker */
    SSLCV__MATMUL_DEPTH = 128, /* of k: 32 columns of b fill half of a first-level cache */
};

typedef struct sslcv__matmul {
    int64_t m, n, k; /* k may be 0 */
    const float *a;
    int64_t a_row, a_column; /* distances of rows, of columns */
    const float *b;
    int64_t b_row;
    float *c; /* meets neither a nor b */
    int64_t c_row;
    int64_t add; /* 0: c is overwritten, unread */
    const float *next;
    int64_t next_floats; /* of what the caller reads afterwards, fetched into the second-level cache meanwhile; or 0 */
} sslcv__matmul;

void sslcv__matmul_run(const sslcv__matmul *p);

/** to (columns, width) <- from (rows, columns) turned; zeros behind the rows. */
void sslcv__matmul_turn(const float *from, int64_t rows, int64_t columns, int64_t width, float *to);

/* sslcv__matmul_run() by kind of processor: with AVX-512, where n is a multiple of 32; with AVX2 and FMA; any. */
#if defined(__x86_64__)
void sslcv__matmul_avx512(const sslcv__matmul *p);
void sslcv__matmul_avx2(const sslcv__matmul *p);
#endif
void sslcv__matmul_any(const sslcv__matmul *p);

#endif
