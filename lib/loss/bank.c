#include "loss/bank.h"

#include "core/bf16.h"
#include "core/simd.h"
#include "loss/draws.h"

#include <math.h>
#include <string.h>

/* What a cloned function calls must become part of it, or it would run as compiled for the oldest processor. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { LANES = 16, LINE = 64 };

ALWAYS_INLINE const char *address(const sslcv__bank *bank, int64_t row)
{
    return (const char *)bank->rows + row * bank->dim * (bank->bf16 ? 2 : 4);
}

ALWAYS_INLINE float element(const void *row, int64_t j, int bf16)
{
    return bf16 ? sslcv__f32_from_bf16(((const uint16_t *)row)[j]) : ((const float *)row)[j];
}

/* ---- scores ---- */

/* 16 lanes to one sum, always in this order. */
ALWAYS_INLINE void fold(const float *lane, float *half)
{
    int l;

    for (l = 0; l < LANES / 2; l++) half[l] = lane[l] + lane[l + LANES / 2];
}

/* Four rows at a time: their sums run side by side, and x is loaded once. */
ALWAYS_INLINE void dot_four(const char *const *row, const float *x, int64_t dim, int bf16, float *dots)
{
    const char *const p = row[0], *const q = row[1], *const r = row[2], *const s = row[3];
    float a[LANES] = {0.0f}, b[LANES] = {0.0f}, c[LANES] = {0.0f}, d[LANES] = {0.0f}, half[4][LANES / 2];
    int64_t j;
    int l, i;

    for (j = 0; j + LANES <= dim; j += LANES) {
        for (l = 0; l < LANES; l++) a[l] += element(p, j + l, bf16) * x[j + l];
        for (l = 0; l < LANES; l++) b[l] += element(q, j + l, bf16) * x[j + l];
        for (l = 0; l < LANES; l++) c[l] += element(r, j + l, bf16) * x[j + l];
        for (l = 0; l < LANES; l++) d[l] += element(s, j + l, bf16) * x[j + l];
    }
    fold(a, half[0]);
    fold(b, half[1]);
    fold(c, half[2]);
    fold(d, half[3]);
    for (i = 0; i < 4; i++) {
        const float *h = half[i];

        dots[i] = ((h[0] + h[4]) + (h[2] + h[6])) + ((h[1] + h[5]) + (h[3] + h[7]));
    }
    for (; j < dim; j++) {
        for (i = 0; i < 4; i++) dots[i] += element(row[i], j, bf16) * x[j];
    }
}

ALWAYS_INLINE void fetch(const sslcv__bank_next *next, int64_t from)
{
    const int64_t bytes = next->bank->dim * (next->bank->bf16 ? 2 : 4);
    int64_t i, at;

    for (i = from; i < from + 4 && i < next->count; i++) {
        const char *row = address(next->bank, next->rows[i]);

        for (at = 0; at < bytes; at += LINE) __builtin_prefetch(row + at, 0, 2);
    }
}

ALWAYS_INLINE void dot_all(const sslcv__bank *bank, const int32_t *rows, int64_t count, const float *x,
                           const sslcv__bank_next *next, int bf16, float *dots)
{
    int64_t j, i;

    for (j = 0; j < count; j += 4) {
        const char *row[4];
        float four[4];

        if (next->bank) fetch(next, j);
        for (i = 0; i < 4; i++) row[i] = address(bank, rows[j + i < count ? j + i : j]);
        dot_four(row, x, bank->dim, bf16, four);
        for (i = 0; i < 4 && j + i < count; i++) dots[j + i] = four[i];
    }
}

SSLCV__CLONES static void dot_f32(const sslcv__bank *bank, const int32_t *rows, int64_t count, const float *x,
                                  const sslcv__bank_next *next, float *dots)
{
    dot_all(bank, rows, count, x, next, 0, dots);
}

SSLCV__CLONES static void dot_bf16(const sslcv__bank *bank, const int32_t *rows, int64_t count, const float *x,
                                   const sslcv__bank_next *next, float *dots)
{
    dot_all(bank, rows, count, x, next, 1, dots);
}

void sslcv__bank_dot(const sslcv__bank *bank, const int32_t *rows, int64_t count, const float *x,
                     const sslcv__bank_next *next, float *dots)
{
    static const sslcv__bank_next nothing = {0};

    (bank->bf16 ? dot_bf16 : dot_f32)(bank, rows, count, x, next ? next : &nothing, dots);
}

/* ---- weighted sums ---- */

ALWAYS_INLINE void add_lanes(float *sum, const float *lane)
{
    int l;

    for (l = 0; l < LANES; l++) sum[l] += lane[l];
}

/* 64 columns at a time stay in registers while all rows pass. */
ALWAYS_INLINE void add_all(const sslcv__bank *bank, const int32_t *rows, int64_t count, const float *weights, int bf16,
                           float *sum)
{
    const int64_t dim = bank->dim;
    int64_t j, i;
    int l;

    for (j = 0; j + 4 * LANES <= dim; j += 4 * LANES) {
        float a[LANES] = {0.0f}, b[LANES] = {0.0f}, c[LANES] = {0.0f}, d[LANES] = {0.0f};

        for (i = 0; i < count; i++) {
            const char *row = address(bank, rows[i]);
            const float w = weights[i];

            for (l = 0; l < LANES; l++) a[l] += w * element(row, j + l, bf16);
            for (l = 0; l < LANES; l++) b[l] += w * element(row, j + LANES + l, bf16);
            for (l = 0; l < LANES; l++) c[l] += w * element(row, j + 2 * LANES + l, bf16);
            for (l = 0; l < LANES; l++) d[l] += w * element(row, j + 3 * LANES + l, bf16);
        }
        add_lanes(sum + j, a);
        add_lanes(sum + j + LANES, b);
        add_lanes(sum + j + 2 * LANES, c);
        add_lanes(sum + j + 3 * LANES, d);
    }
    for (; j < dim; j++) {
        float one = 0.0f;

        for (i = 0; i < count; i++) one += weights[i] * element(address(bank, rows[i]), j, bf16);
        sum[j] += one;
    }
}

SSLCV__CLONES static void add_f32(const sslcv__bank *bank, const int32_t *rows, int64_t count, const float *weights,
                                  float *sum)
{
    add_all(bank, rows, count, weights, 0, sum);
}

SSLCV__CLONES static void add_bf16(const sslcv__bank *bank, const int32_t *rows, int64_t count, const float *weights,
                                   float *sum)
{
    add_all(bank, rows, count, weights, 1, sum);
}

void sslcv__bank_add(const sslcv__bank *bank, const int32_t *rows, int64_t count, const float *weights, float *sum)
{
    (bank->bf16 ? add_bf16 : add_f32)(bank, rows, count, weights, sum);
}

/* ---- rows ---- */

/* Values from column on. */
static void put(const sslcv__bank *bank, int64_t row, int64_t column, int64_t count, const float *values)
{
    const int64_t at = row * bank->dim + column;
    uint16_t *narrow = (uint16_t *)bank->rows + at;
    int64_t j;

    if (!bank->bf16) memcpy((float *)bank->rows + at, values, (size_t)count * sizeof(float));
    for (j = 0; bank->bf16 && j < count; j++) narrow[j] = sslcv__f32_to_bf16(values[j]);
}

void sslcv__bank_store(const sslcv__bank *bank, int64_t row, const float *x)
{
    put(bank, row, 0, bank->dim, x);
}

/* Odd multiples of 2^-24 in -1 .. 1, so that no value is 0 and every row has a direction. */
SSLCV__CLONES static void uniform_of(const uint32_t *words, float *values)
{
    int j;

    for (j = 0; j < SSLCV__DRAWS_GROUP; j++) {
        values[j] = (float)(2 * (int32_t)(words[j] >> 8) + 1 - (1 << 24)) * 0x1p-24f;
    }
}

static int64_t uniform_values(const sslcv__bank *bank, uint64_t seed, int64_t row, int64_t from, float *values)
{
    uint32_t words[SSLCV__DRAWS_GROUP];
    const int64_t left = bank->dim - from;

    sslcv__draws_words(seed, row, 0, from / SSLCV__DRAWS_GROUP, words);
    uniform_of(words, values);
    return left < SSLCV__DRAWS_GROUP ? left : SSLCV__DRAWS_GROUP;
}

static void fill_row(const sslcv__bank *bank, uint64_t seed, int64_t row, int unit)
{
    float values[SSLCV__DRAWS_GROUP];
    double factor = sqrt(3.0 / (double)bank->dim);
    int64_t j, i, count;

    if (unit) {
        double squares = 0.0;

        for (j = 0; j < bank->dim; j += count) {
            count = uniform_values(bank, seed, row, j, values);
            for (i = 0; i < count; i++) squares += (double)values[i] * (double)values[i];
        }
        factor = 1.0 / sqrt(squares);
    }
    for (j = 0; j < bank->dim; j += count) {
        count = uniform_values(bank, seed, row, j, values);
        for (i = 0; i < count; i++) values[i] = (float)((double)values[i] * factor);
        put(bank, row, j, count, values);
    }
}

void sslcv__bank_fill(const sslcv__bank *bank, uint64_t seed, int unit)
{
    int64_t row;

#pragma omp parallel for schedule(static)
    for (row = 0; row < bank->count; row++) fill_row(bank, seed, row, unit);
}

int sslcv__bank_mix(const sslcv__bank *bank, int64_t row, double momentum, const float *x, float *out)
{
    const char *old = address(bank, row);
    double squares = 0.0, length;
    int64_t j;

    for (j = 0; j < bank->dim; j++) {
        const double mixed = momentum * (double)element(old, j, bank->bf16) + (1.0 - momentum) * (double)x[j];

        squares += mixed * mixed;
    }
    length = sqrt(squares);
    if (!(length >= 1e-12 && length <= 1e30)) {
        for (j = 0; j < bank->dim; j++) out[j] = element(old, j, bank->bf16);
        return 0;
    }
    for (j = 0; j < bank->dim; j++) {
        const double mixed = momentum * (double)element(old, j, bank->bf16) + (1.0 - momentum) * (double)x[j];

        out[j] = (float)(mixed / length);
    }
    return 1;
}
