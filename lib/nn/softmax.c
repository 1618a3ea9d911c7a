#include "nn/softmax.h"

#include "core/simd.h"

#include <string.h>

/* Sums run in fixed lanes, whatever the width of the processor's registers, so that their bits do not depend on it. */
enum { LANES = 16 };
/* Rows that are added up in float before they go to double. */
enum { HEIGHT = 32 };

/**
 * exp(x) = 2^n exp(r) with n the integer nearest to x / log 2 and |r| <= log(2) / 2. Adding and taking away 1.5 * 2^23
 * rounds to an integer, which then stands in the sum's last bits. log 2 is split so that n times its upper part is
 * exact. The polynomial is that of Cephes' expf (Moshier), of degree 7, with an error of 2e-7 of r's range; its terms
 * are taken in pairs, as one after the other they are a chain that the processor waits for.
 */
static inline float exp_inside(float x)
{
    const float shifted = x * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    const float r2 = r * r, high = 1.9875691500e-4f * r + 1.3981999507e-3f;
    const float middle = 8.3334519073e-3f * r + 4.1665795894e-2f, low = 1.6666665459e-1f * r + 5.0000001201e-1f;
    const float p = ((high * r2 + middle) * r2 + low) * r2 + r + 1.0f;
    float result;
    uint32_t exponent, bits;

    memcpy(&exponent, &shifted, sizeof exponent);
    memcpy(&bits, &p, sizeof bits);
    bits += exponent << 23; /* the magic number's own bits fall off at the top */
    memcpy(&result, &bits, sizeof result);
    return result;
}

/* Below the range exp_inside() gives anything, which is not chosen. */
static inline float exp_below(float x)
{
    const float e = exp_inside(x);

    return x < -87.3f ? 0.0f : e;
}

static inline float exp_of(float x)
{
    return exp_below(88.3f < x ? 88.3f : x);
}

SSLCV__CLONES float sslcv__row_max(const float *x, int64_t count)
{
    float lane[LANES], top = x[0];
    int64_t i;
    int l;

    for (l = 0; l < LANES; l++) lane[l] = top;
    for (i = 0; i + LANES <= count; i += LANES) {
        for (l = 0; l < LANES; l++) lane[l] = x[i + l] > lane[l] ? x[i + l] : lane[l];
    }
    for (; i < count; i++) top = x[i] > top ? x[i] : top;
    for (l = 0; l < LANES; l++) top = lane[l] > top ? lane[l] : top;
    return top;
}

SSLCV__CLONES double sslcv__row_exp(const float *x, int64_t count, float shift, float scale, float *y)
{
    double lane[LANES] = {0.0}, sum = 0.0;
    int64_t i;
    int l;

    for (i = 0; i + LANES <= count; i += LANES) {
        float block[LANES];

        for (l = 0; l < LANES; l++) block[l] = exp_of(scale * (x[i + l] - shift));
        for (l = 0; l < LANES; l++) lane[l] += (double)block[l];
        for (l = 0; l < LANES; l++) y[i + l] = block[l];
    }
    for (; i < count; i++) {
        y[i] = exp_of(scale * (x[i] - shift));
        sum += (double)y[i];
    }
    for (l = 0; l < LANES; l++) sum += lane[l];
    return sum;
}

SSLCV__CLONES void sslcv__row_scale(float *y, int64_t count, float factor)
{
    int64_t i;

    for (i = 0; i < count; i++) y[i] *= factor;
}

SSLCV__CLONES void sslcv__row_add(const float *x, int64_t count, float factor, float *y)
{
    int64_t i;

    for (i = 0; i < count; i++) y[i] += factor * x[i];
}

SSLCV__CLONES double sslcv__row_dot(const float *x, const float *y, int64_t count)
{
    float lane[LANES] = {0.0f};
    double sum = 0.0;
    int64_t i;
    int l;

    for (i = 0; i + LANES <= count; i += LANES) {
        for (l = 0; l < LANES; l++) lane[l] += x[i + l] * y[i + l];
    }
    for (; i < count; i++) sum += (double)x[i] * (double)y[i];
    for (l = 0; l < LANES; l++) sum += (double)lane[l];
    return sum;
}

/* 16 columns at a time, with copies of top, shift and sum, are what the compiler keeps in registers. */

SSLCV__CLONES void sslcv__columns_max(const float *x, int64_t rows, int64_t columns, float *top)
{
    int64_t first, r;
    int l;

    for (first = 0; first < columns; first += LANES) {
        const float *y = x + first;
        float lane[LANES];

        for (l = 0; l < LANES; l++) lane[l] = top[first + l];
        for (r = 0; r < rows; r++, y += columns) {
            for (l = 0; l < LANES; l++) lane[l] = y[l] > lane[l] ? y[l] : lane[l];
        }
        for (l = 0; l < LANES; l++) top[first + l] = lane[l];
    }
}

/** Of one column of 16; rows is at most HEIGHT. */
static inline void exp_tile(float *x, int64_t rows, int64_t columns, const float *shift, float scale, double *sum)
{
    float lane[LANES] = {0.0f};
    int64_t r;
    int l;

    for (r = 0; r < rows; r++, x += columns) {
        float block[LANES];

        for (l = 0; l < LANES; l++) block[l] = exp_below(scale * (x[l] - shift[l]));
        for (l = 0; l < LANES; l++) lane[l] += block[l];
        for (l = 0; l < LANES; l++) x[l] = block[l];
    }
    for (l = 0; l < LANES; l++) sum[l] += (double)lane[l];
}

SSLCV__CLONES void sslcv__columns_exp(float *x, int64_t rows, int64_t columns, const float *shift, float scale,
                                      double *sum)
{
    int64_t first, from;
    int l;

    for (first = 0; first < columns; first += LANES) {
        float own[LANES];

        for (l = 0; l < LANES; l++) own[l] = shift[first + l];
        for (from = 0; from < rows; from += HEIGHT) {
            const int64_t height = rows - from < HEIGHT ? rows - from : HEIGHT;

            exp_tile(x + from * columns + first, height, columns, own, scale, sum + first);
        }
    }
}
