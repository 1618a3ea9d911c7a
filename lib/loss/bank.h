/**
 * A bank: a row for each sample of the data set, f32 or bf16, in memory of a variable. What reads it are leaves without
 * threads, for a caller's parallel loop; they give the same bits on every processor.
 */
#ifndef SSLCV__BANK_H
#define SSLCV__BANK_H

#include <stdint.h>

typedef struct sslcv__bank {
    void   *rows;  /* (count, dim) */
    int64_t count, dim;
    int32_t bf16;  /* 1: uint16_t, else float */
    int32_t reserved;
} sslcv__bank;

/** Rows that will be read soon, and so are fetched while others are worked on. */
typedef struct sslcv__bank_next {
    const sslcv__bank *bank; /* NULL: none */
    const int32_t *rows;
    int64_t count;
} sslcv__bank_next;

/** dots[j] = row rows[j] . x, sums in float in fixed lanes. */
void sslcv__bank_dot(const sslcv__bank *bank, const int32_t *rows, int64_t count, const float *x,
                     const sslcv__bank_next *next, float *dots);

/** sum <- sum + weights[0] row rows[0] + ... The rows' sum is made first, then added. */
void sslcv__bank_add(const sslcv__bank *bank, const int32_t *rows, int64_t count, const float *weights, float *sum);

/**
 * First values: uniform in +-sqrt(3 / dim), with unit then of unit length. A function of seed and row. Inside a compute
 * frame; threads.
 */
void sslcv__bank_fill(const sslcv__bank *bank, uint64_t seed, int unit);

/**
 * unit(momentum * row + (1 - momentum) * x), in double.
 *
 * @param x   (dim).
 * @param out (dim), may be x.
 * @return 0: its length is 0 or not finite, out is the row as it is.
 */
int sslcv__bank_mix(const sslcv__bank *bank, int64_t row, double momentum, const float *x, float *out);

/** Overwrite a row, rounded to the bank's dtype. */
void sslcv__bank_store(const sslcv__bank *bank, int64_t row, const float *x);

#endif
