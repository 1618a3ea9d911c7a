#include "nn/kernels.h"

#include <stdint.h>
#include <string.h>

void sslcv__add_relu(const float *a, const float *b, float *y, int64_t count)
{
    int64_t i;

#pragma omp parallel for simd schedule(static)
    for (i = 0; i < count; i++) {
        const float sum = a[i] + b[i];
        y[i] = sum > 0.0f ? sum : 0.0f;
    }
}

void sslcv__relu_mask(const float *y, const float *dy, float *d, int64_t count)
{
    int64_t i;

#pragma omp parallel for simd schedule(static)
    for (i = 0; i < count; i++) {
        const float whole = dy[i]; /* read in any case: a read behind the test would keep the loop scalar */
        d[i] = y[i] > 0.0f ? whole : 0.0f;
    }
}

void sslcv__sum(const float *a, const float *b, float *sum, int64_t count)
{
    int64_t i;

#pragma omp parallel for simd schedule(static)
    for (i = 0; i < count; i++) sum[i] = a[i] + b[i];
}

void sslcv__add_bias(const float *bias, float *y, int64_t rows, int64_t columns)
{
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < rows; i++) {
        float *row = y + i * columns;
        int64_t j;

        for (j = 0; j < columns; j++) row[j] += bias[j];
    }
}

void sslcv__sum_rows(const float *dy, float keep, float *sums, int64_t rows, int64_t columns)
{
    enum { BLOCK = 64 };
    const int64_t blocks = (columns + BLOCK - 1) / BLOCK;
    int64_t b;

    /* A thread owns columns, so that each sum runs over the rows in their order. */
#pragma omp parallel for schedule(static)
    for (b = 0; b < blocks; b++) {
        const int64_t first = b * BLOCK, width = columns - first < BLOCK ? columns - first : BLOCK;
        double block[BLOCK] = {0};
        int64_t i, j;

        for (i = 0; i < rows; i++) {
            const float *row = dy + i * columns + first;
            for (j = 0; j < width; j++) block[j] += row[j];
        }
        for (j = 0; j < width; j++) {
            const float old = keep != 0.0f ? keep * sums[first + j] : 0.0f;
            sums[first + j] = old + (float)block[j];
        }
    }
}

int sslcv__all_finite(const float *x, int64_t count)
{
    enum { BLOCK = 4096 };
    const int64_t blocks = (count + BLOCK - 1) / BLOCK;
    int bad = 0;
    int64_t b;

    /* Infinity and NaN are the values whose exponent bits are all set. */
#pragma omp parallel for schedule(static) reduction(| : bad)
    for (b = 0; b < blocks; b++) {
        const int64_t first = b * BLOCK, last = first + BLOCK < count ? first + BLOCK : count;
        uint32_t worst = 0;
        int64_t i;

        for (i = first; i < last; i++) {
            uint32_t bits;
            memcpy(&bits, &x[i], sizeof bits);
            bits &= 0x7f800000u;
            worst = bits > worst ? bits : worst;
        }
        bad |= worst == 0x7f800000u;
    }
    return !bad;
}
