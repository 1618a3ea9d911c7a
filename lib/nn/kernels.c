#include "nn/kernels.h"

#include "core/bf16.h"
#include "core/simd.h"

#include <stdint.h>
#include <string.h>

enum { PART = 8192, LANES = 16, CHAIN = 256 }; /* PART: elements that a thread takes at a time; CHAIN: a sum in f32 */

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE float get(const void *p, int64_t i, int bf16)
{
    return bf16 ? sslcv__f32_from_bf16(((const uint16_t *)p)[i]) : ((const float *)p)[i];
}

ALWAYS_INLINE void put(void *p, int64_t i, float value, int bf16)
{
    if (bf16)
        ((uint16_t *)p)[i] = sslcv__f32_to_bf16(value);
    else
        ((float *)p)[i] = value;
}

/* ---- element by element. "omp simd" says that in place is fine; it makes no parallel region (core/simd.h) ---- */

typedef void map_part(const void *a, const void *b, void *y, int64_t count);

#define MAP(name, bf16, expression)                                                                                    \
    SSLCV__CLONES static void name(const void *a, const void *b, void *y, int64_t count)                               \
    {                                                                                                                  \
        int64_t i;                                                                                                     \
                                                                                                                       \
        _Pragma("omp simd") for (i = 0; i < count; i++)                                                                \
        {                                                                                                              \
            const float va = get(a, i, bf16), vb = get(b, i, bf16);                                                    \
            (void)vb;                                                                                                  \
            put(y, i, expression, bf16);                                                                               \
        }                                                                                                              \
    }

MAP(add_relu_f32, 0, va + vb < 0.0f ? 0.0f : va + vb)
MAP(add_relu_bf16, 1, va + vb < 0.0f ? 0.0f : va + vb)
MAP(relu_mask_f32, 0, va > 0.0f ? vb : 0.0f)
MAP(relu_mask_bf16, 1, va > 0.0f ? vb : 0.0f)
MAP(sum_f32, 0, va + vb)
MAP(sum_bf16, 1, va + vb)
MAP(relu_f32, 0, va < 0.0f ? 0.0f : va)
MAP(relu_bf16, 1, va < 0.0f ? 0.0f : va)

static void map(map_part *part, int64_t size, const void *a, const void *b, void *y, int64_t count)
{
    const int64_t parts = (count + PART - 1) / PART;
    int64_t p;

#pragma omp parallel for schedule(static) if (parts > 1)
    for (p = 0; p < parts; p++) {
        const int64_t first = p * PART, at = first * size;
        part((const char *)a + at, (const char *)b + at, (char *)y + at, count - first < PART ? count - first : PART);
    }
}

void sslcv__map_add_relu(int bf16, const void *a, const void *b, void *y, int64_t count)
{
    map(bf16 ? add_relu_bf16 : add_relu_f32, bf16 ? 2 : 4, a, b, y, count);
}

void sslcv__map_relu(int bf16, const void *x, void *y, int64_t count)
{
    map(bf16 ? relu_bf16 : relu_f32, bf16 ? 2 : 4, x, x, y, count);
}

void sslcv__map_relu_mask(int bf16, const void *y, const void *dy, void *d, int64_t count)
{
    map(bf16 ? relu_mask_bf16 : relu_mask_f32, bf16 ? 2 : 4, y, dy, d, count);
}

void sslcv__map_sum(int bf16, const void *a, const void *b, void *sum, int64_t count)
{
    map(bf16 ? sum_bf16 : sum_f32, bf16 ? 2 : 4, a, b, sum, count);
}

void sslcv__sum(const float *a, const float *b, float *sum, int64_t count)
{
    map(sum_f32, 4, a, b, sum, count);
}

SSLCV__CLONES static void to_bf16(const float *restrict x, uint16_t *restrict y, int64_t count)
{
    int64_t i;

    for (i = 0; i < count; i++) y[i] = sslcv__f32_to_bf16(x[i]);
}

SSLCV__CLONES static void from_bf16(const uint16_t *restrict x, float *restrict y, int64_t count)
{
    int64_t i;

    for (i = 0; i < count; i++) y[i] = sslcv__f32_from_bf16(x[i]);
}

void sslcv__convert_to_bf16(const float *x, uint16_t *y, int64_t count)
{
    const int64_t parts = (count + PART - 1) / PART;
    int64_t p;

#pragma omp parallel for schedule(static) if (parts > 1)
    for (p = 0; p < parts; p++) to_bf16(x + p * PART, y + p * PART, count - p * PART < PART ? count - p * PART : PART);
}

void sslcv__convert_from_bf16(const uint16_t *x, float *y, int64_t count)
{
    const int64_t parts = (count + PART - 1) / PART;
    int64_t p;

#pragma omp parallel for schedule(static) if (parts > 1)
    for (p = 0; p < parts; p++)
        from_bf16(x + p * PART, y + p * PART, count - p * PART < PART ? count - p * PART : PART);
}

/* ---- means over pixels: up to 16 channels that lie side by side, of one image ---- */

ALWAYS_INLINE void add_pixels_body(const void *x, int64_t pixels, int64_t stride, int lanes, double *total, int bf16)
{
    int64_t first, i;
    int l;

    for (first = 0; first < pixels; first += CHAIN) {
        const int64_t last = first + CHAIN < pixels ? first + CHAIN : pixels;
        float sum[LANES] = {0};

        for (i = first; i < last; i++) {
            for (l = 0; l < lanes; l++) sum[l] += get(x, i * stride + l, bf16);
        }
        for (l = 0; l < lanes; l++) total[l] += sum[l];
    }
}

SSLCV__CLONES static void add_pixels(int bf16, const void *x, int64_t pixels, int64_t stride, int lanes, double *total)
{
    if (bf16) {
        if (lanes == LANES)
            add_pixels_body(x, pixels, stride, LANES, total, 1);
        else
            add_pixels_body(x, pixels, stride, lanes, total, 1);
    } else {
        if (lanes == LANES)
            add_pixels_body(x, pixels, stride, LANES, total, 0);
        else
            add_pixels_body(x, pixels, stride, lanes, total, 0);
    }
}

ALWAYS_INLINE void fill_pixels_body(const float *row, int64_t pixels, int64_t stride, int lanes, void *dx, int bf16)
{
    int64_t i;
    int l;

    for (i = 0; i < pixels; i++) {
        for (l = 0; l < lanes; l++) put(dx, i * stride + l, row[l], bf16);
    }
}

SSLCV__CLONES static void fill_pixels(int bf16, const float *restrict row, int64_t pixels, int64_t stride, int lanes,
                                      void *restrict dx)
{
    if (bf16) {
        if (lanes == LANES)
            fill_pixels_body(row, pixels, stride, LANES, dx, 1);
        else
            fill_pixels_body(row, pixels, stride, lanes, dx, 1);
    } else {
        if (lanes == LANES)
            fill_pixels_body(row, pixels, stride, LANES, dx, 0);
        else
            fill_pixels_body(row, pixels, stride, lanes, dx, 0);
    }
}

/* Block number b of all images: where it lies, and which of its channels are real. */
typedef struct channel_block {
    int64_t at, lanes; /* elements */
    int64_t channel, channels;
} channel_block;

static int64_t blocks_of(const sslcv__norm_shape *s)
{
    return (s->channels + s->block - 1) / s->block;
}

static channel_block block_of(const sslcv__norm_shape *s, int64_t b)
{
    const int64_t blocks = blocks_of(s), n = b / blocks, first = b % blocks * s->block;
    const int64_t channels = s->channels - first < s->block ? s->channels - first : s->block;

    return (channel_block){n * s->batch_stride + b % blocks * s->block_stride, s->block, n * s->channels + first,
                           channels};
}

void sslcv__spatial_mean(const sslcv__norm_shape *shape, const void *x, float *y)
{
    const int64_t blocks = shape->batch * blocks_of(shape), size = shape->bf16 ? 2 : 4;
    int64_t b;

#pragma omp parallel for schedule(static)
    for (b = 0; b < blocks; b++) {
        const channel_block block = block_of(shape, b);
        int64_t c, l;

        for (c = 0; c < block.channels; c += LANES) {
            const int64_t channels = block.channels - c < LANES ? block.channels - c : LANES;
            const int64_t lanes = block.lanes - c < LANES ? block.lanes - c : LANES;
            double total[LANES] = {0};

            add_pixels(shape->bf16, (const char *)x + (block.at + c) * size, shape->pixels, shape->pixel_stride,
                       (int)lanes, total);
            for (l = 0; l < channels; l++) y[block.channel + c + l] = (float)(total[l] / (double)shape->pixels);
        }
    }
}

void sslcv__spatial_mean_backward(const sslcv__norm_shape *shape, const float *dy, void *dx)
{
    const int64_t blocks = shape->batch * blocks_of(shape), size = shape->bf16 ? 2 : 4;
    int64_t b;

#pragma omp parallel for schedule(static)
    for (b = 0; b < blocks; b++) {
        const channel_block block = block_of(shape, b);
        int64_t c, l;

        for (c = 0; c < block.lanes; c += LANES) {
            const int64_t lanes = block.lanes - c < LANES ? block.lanes - c : LANES;
            float row[LANES] = {0};

            for (l = 0; l < lanes && c + l < block.channels; l++) {
                row[l] = dy[block.channel + c + l] / (float)shape->pixels;
            }
            fill_pixels(shape->bf16, row, shape->pixels, shape->pixel_stride, (int)lanes,
                        (char *)dx + (block.at + c) * size);
        }
    }
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
#pragma omp parallel for schedule(static) reduction(| : bad) if (count >= 1 << 18) /* else not worth the waking */
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
