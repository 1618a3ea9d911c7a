#include "nn/norm_rows.h"

#include "core/bf16.h"
#include "core/simd.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* stream: past the caches, for arrays that would not be found there anyway: an ordinary store reads its line first. */
ALWAYS_INLINE void put_row(void *p, int64_t at, const float *row, int bf16, int32_t stream)
{
    uint16_t half[LANES];
    int l;

    for (l = 0; l < LANES && bf16; l++) half[l] = sslcv__f32_to_bf16(row[l]);
#if defined(__SSE2__)
    if (stream) {
        for (l = 0; l < 4 && !bf16; l++) _mm_stream_ps((float *)p + at + 4 * l, _mm_loadu_ps(row + 4 * l));
        for (l = 0; l < 2 && bf16; l++) {
            _mm_stream_si128((__m128i *)((uint16_t *)p + at) + l, _mm_loadu_si128((const __m128i *)half + l));
        }
        return;
    }
#endif
    (void)stream;
    if (bf16)
        memcpy((uint16_t *)p + at, half, sizeof half);
    else
        memcpy((float *)p + at, row, LANES * sizeof *row);
}

/* sum += x - k, squares += (x - k)^2. */
ALWAYS_INLINE void statistics_body(const rows *view, const float *restrict k, float *restrict sum,
                                   float *restrict squares, int bf16)
{
    const rows v = *view; /* a copy that no store can change */
    const void *x = v.in[X];
    const int64_t step = v.stride;
    int64_t n, i;
    int l;

    for (n = 0; n < v.images; n++) {
        int64_t at = n * v.image_stride;

        for (i = 0; i + 4 <= v.count; i += 4, at += 4 * step) {
            for (l = 0; l < LANES; l++) {
                const float a = get(x, at + l, bf16) - k[l], b = get(x, at + step + l, bf16) - k[l];
                const float c = get(x, at + 2 * step + l, bf16) - k[l], d = get(x, at + 3 * step + l, bf16) - k[l];

                sum[l] += (a + b) + (c + d);
                squares[l] += (a * a + b * b) + (c * c + d * d);
            }
        }
        for (; i < v.count; i++, at += step) {
            for (l = 0; l < LANES; l++) {
                const float a = get(x, at + l, bf16) - k[l];

                sum[l] += a;
                squares[l] += a * a;
            }
        }
    }
}

SSLCV__CLONES static void statistics_f32(const rows *v, const float *k, sums s)
{
    statistics_body(v, k, s[0], s[1], 0);
}

SSLCV__CLONES static void statistics_bf16(const rows *v, const float *k, sums s)
{
    statistics_body(v, k, s[0], s[1], 1);
}

/* y = [relu]((x - mean) factor + shift [+ r]). What is not a number stays so behind the ReLU. */
ALWAYS_INLINE void apply_body(const rows *view, const float *restrict mean, const float *restrict factor,
                              const float *restrict shift, int adds, int bf16)
{
    const rows v = *view; /* a copy that no store can change */
    const void *x = v.in[X], *r = v.in[Y];
    const float least = v.relu ? 0.0f : -INFINITY;
    int64_t n, i;
    int l;

    for (n = 0; n < v.images; n++) {
        int64_t at = n * v.image_stride;

        for (i = 0; i < v.count; i++, at += v.stride) {
            float row[LANES];

            for (l = 0; l < LANES; l++) {
                float y = (get(x, at + l, bf16) - mean[l]) * factor[l] + shift[l];

                if (adds) y += get(r, at + l, bf16);
                row[l] = y < least ? least : y;
            }
            put_row(v.out[OUT], at, row, bf16, v.stream);
        }
    }
}

/* One body for each combination, so that no test is left inside the innermost loops. */
ALWAYS_INLINE void apply_select(const rows *v, coefficients c, int bf16)
{
    if (v->in[Y])
        apply_body(v, c[MEAN], c[FACTOR], c[SHIFT], 1, bf16);
    else
        apply_body(v, c[MEAN], c[FACTOR], c[SHIFT], 0, bf16);
}

SSLCV__CLONES static void apply_f32(const rows *v, coefficients c)
{
    apply_select(v, c, 0);
}

SSLCV__CLONES static void apply_bf16(const rows *v, coefficients c)
{
    apply_select(v, c, 1);
}

/* d of one element, whose x - mean is given. */
ALWAYS_INLINE float masked(const rows *v, int64_t at, float centred, float factor, float shift, int mask, int two,
                           int bf16)
{
    float d = get(v->in[G], at, bf16);

    if (two) d += get(v->in[G2], at, bf16);
    if (mask == SSLCV__NORM_MASK_Y) d = get(v->in[Y], at, bf16) > 0.0f ? d : 0.0f;
    if (mask == SSLCV__NORM_MASK_X) d = centred * factor + shift > 0.0f ? d : 0.0f;
    return d;
}

/* sum += d, products += d (x - mean); d is kept where it is wanted. */
ALWAYS_INLINE void sums_body(const rows *view, coefficients c, float *restrict sum, float *restrict products, int mask,
                             int two, int keeps, int bf16)
{
    const rows v = *view; /* a copy that no store can change */
    const float *restrict mean = c[MEAN], *restrict f = c[FACTOR], *restrict s = c[SHIFT];
    const void *x = v.in[X];
    const int64_t step = v.stride;
    int64_t n, i;
    int l;

    for (n = 0; n < v.images; n++) {
        int64_t at = n * v.image_stride;

        for (i = 0; i + 2 <= v.count; i += 2, at += 2 * step) {
            float da[LANES], db[LANES];

            for (l = 0; l < LANES; l++) {
                const float xa = get(x, at + l, bf16) - mean[l], xb = get(x, at + step + l, bf16) - mean[l];

                da[l] = masked(&v, at + l, xa, f[l], s[l], mask, two, bf16);
                db[l] = masked(&v, at + step + l, xb, f[l], s[l], mask, two, bf16);
                sum[l] += da[l] + db[l];
                products[l] += da[l] * xa + db[l] * xb;
            }
            if (keeps) {
                put_row(v.out[D], at, da, bf16, v.stream);
                put_row(v.out[D], at + step, db, bf16, v.stream);
            }
        }
        for (; i < v.count; i++, at += step) {
            float da[LANES];

            for (l = 0; l < LANES; l++) {
                const float xa = get(x, at + l, bf16) - mean[l];

                da[l] = masked(&v, at + l, xa, f[l], s[l], mask, two, bf16);
                sum[l] += da[l];
                products[l] += da[l] * xa;
            }
            if (keeps) put_row(v.out[D], at, da, bf16, v.stream);
        }
    }
}

/* x' = factor d - correction - (x - mean) slope. */
ALWAYS_INLINE void gradient_body(const rows *view, coefficients c, int mask, int two, int bf16)
{
    const rows v = *view; /* a copy that no store can change */
    const float *restrict mean = c[MEAN], *restrict f = c[FACTOR], *restrict s = c[SHIFT];
    const float *restrict correction = c[CORRECTION], *restrict slope = c[SLOPE];
    const void *x = v.in[X];
    int64_t n, i;
    int l;

    for (n = 0; n < v.images; n++) {
        int64_t at = n * v.image_stride;

        for (i = 0; i < v.count; i++, at += v.stride) {
            float row[LANES];

            for (l = 0; l < LANES; l++) {
                const float centred = get(x, at + l, bf16) - mean[l];
                const float d = masked(&v, at + l, centred, f[l], s[l], mask, two, bf16);

                row[l] = d * f[l] - correction[l] - centred * slope[l];
            }
            put_row(v.out[OUT], at, row, bf16, v.stream);
        }
    }
}

ALWAYS_INLINE void sums_masks(const rows *v, coefficients c, sums s, int two, int keeps, int bf16)
{
    switch (v->mask) {
    case SSLCV__NORM_MASK_Y: sums_body(v, c, s[0], s[1], SSLCV__NORM_MASK_Y, two, keeps, bf16); break;
    case SSLCV__NORM_MASK_X: sums_body(v, c, s[0], s[1], SSLCV__NORM_MASK_X, two, keeps, bf16); break;
    default: sums_body(v, c, s[0], s[1], SSLCV__NORM_MASK_NONE, two, keeps, bf16); break;
    }
}

ALWAYS_INLINE void sums_select(const rows *v, coefficients c, sums s, int bf16)
{
    switch ((v->in[G2] != NULL) + 2 * (v->out[D] != NULL)) {
    case 0: sums_masks(v, c, s, 0, 0, bf16); break;
    case 1: sums_masks(v, c, s, 1, 0, bf16); break;
    case 2: sums_masks(v, c, s, 0, 1, bf16); break;
    default: sums_masks(v, c, s, 1, 1, bf16); break;
    }
}

SSLCV__CLONES static void sums_f32(const rows *v, coefficients c, sums s)
{
    sums_select(v, c, s, 0);
}

SSLCV__CLONES static void sums_bf16(const rows *v, coefficients c, sums s)
{
    sums_select(v, c, s, 1);
}

ALWAYS_INLINE void gradient_masks(const rows *v, coefficients c, int two, int bf16)
{
    switch (v->mask) {
    case SSLCV__NORM_MASK_Y: gradient_body(v, c, SSLCV__NORM_MASK_Y, two, bf16); break;
    case SSLCV__NORM_MASK_X: gradient_body(v, c, SSLCV__NORM_MASK_X, two, bf16); break;
    default: gradient_body(v, c, SSLCV__NORM_MASK_NONE, two, bf16); break;
    }
}

ALWAYS_INLINE void gradient_select(const rows *v, coefficients c, int bf16)
{
    if (v->in[G2])
        gradient_masks(v, c, 1, bf16);
    else
        gradient_masks(v, c, 0, bf16);
}

SSLCV__CLONES static void gradient_f32(const rows *v, coefficients c)
{
    gradient_select(v, c, 0);
}

SSLCV__CLONES static void gradient_bf16(const rows *v, coefficients c)
{
    gradient_select(v, c, 1);
}

/* The loader picks a clone; each call is some thousand values long. */
void sslcv__norm_rows_statistics(int bf16, const rows *v, const float *k, sums s)
{
    (bf16 ? statistics_bf16 : statistics_f32)(v, k, s);
}

void sslcv__norm_rows_apply(int bf16, const rows *v, coefficients c)
{
    (bf16 ? apply_bf16 : apply_f32)(v, c);
}

void sslcv__norm_rows_sums(int bf16, const rows *v, coefficients c, sums s)
{
    (bf16 ? sums_bf16 : sums_f32)(v, c, s);
}

void sslcv__norm_rows_gradient(int bf16, const rows *v, coefficients c)
{
    (bf16 ? gradient_bf16 : gradient_f32)(v, c);
}
