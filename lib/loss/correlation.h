/**
 * What redundancy reduction is made of (Barlow Twins, VICReg): columns of two views, their moments, and the squares of
 * all products of two different columns. Inside a compute frame.
 */
#ifndef SSLCV__CORRELATION_H
#define SSLCV__CORRELATION_H

#include "loss/loss.h"

/** Columns that a thread takes at a time, whatever the number of threads. */
enum { SSLCV__COLUMNS = 128 };

/** check() of a kind with one input (2, N, D), N >= 2. */
sslcv_status sslcv__correlation_check(const sslcv_loss *loss, const sslcv__loss_job *job);

/**
 * Mean and sum of squared distances from it, of columns from .. from + count - 1, at most SSLCV__COLUMNS.
 *
 * @param x       (rows, dim), finite.
 * @param mean    Out: (count).
 * @param squares Out: (count); exactly 0 for a column of equal values.
 */
void sslcv__column_moments(const float *x, int64_t rows, int64_t dim, int64_t from, int64_t count, double *mean,
                           double *squares);

/**
 * Floats between rows of arrays that matrix products read column by column: an odd number of cache lines, as with the
 * usual powers of two all rows would meet in the same few sets of the cache. Products of 256 rows of 8192 take half the
 * time so.
 */
int64_t sslcv__correlation_stride(int64_t dim);

/** Memory of sslcv__correlate(), placed with sslcv__loss_place(). */
typedef struct sslcv__correlation_blocks {
    float *memory;
    double *sums;
} sslcv__correlation_blocks;

int sslcv__correlation_place(void *base, int64_t *offset, int64_t rows, int64_t dim, sslcv__correlation_blocks *blocks);

/** Working memory of a kind: two views, what comes of them, and per column what the kind needs. */
typedef struct sslcv__correlation_memory {
    float *views[2];   /* (N, D) each, rows a stride apart */
    float *diffs[2];   /* likewise */
    double *by_view;   /* (2, D) */
    double *by_column; /* (D) */
    int64_t stride;
    sslcv__correlation_blocks blocks;
} sslcv__correlation_memory;

/** Lay it out in the job's memory. memory_bytes() of a kind is this, and score() and differentiate() find it again. */
sslcv_status sslcv__correlation_bytes(const sslcv_loss *loss, const sslcv__loss_job *job, int64_t *bytes);
sslcv__correlation_memory sslcv__correlation_memory_of(const sslcv__loss_job *job);

typedef struct sslcv__correlation {
    const float *a, *b;     /* (rows, dim), sslcv__correlation_stride(dim) apart; may be one array */
    float *diff_a, *diff_b; /* likewise, not the inputs; NULL: no gradients. diff_b is not used when a is b */
    const double *diagonal; /* (dim): sum over rows of a_i b_i */
    int64_t rows, dim;
    sslcv__correlation_blocks blocks;
} sslcv__correlation;

/**
 * With M = A^T B, and M' = M with a diagonal of 0:
 *
 *     *sum   = sum of the squares of M'
 *     diff_a = B M'^T = 1/2 d sum / dA,  diff_b = A M' = 1/2 d sum / dB      a and b different arrays
 *     diff_a = A M' = 1/4 d sum / dA                                         one array
 */
sslcv_status sslcv__correlate(const sslcv__correlation *correlation, double *sum);

#endif
