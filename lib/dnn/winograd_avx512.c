/* Winograd kernels for AVX-512 (f, bw, vl, dq), with blocks of 16 channels. The Makefile gives the options. */
#include "dnn/winograd_kernel.h"

#if defined(__x86_64__)

#include <immintrin.h>

typedef __m512 vector;

#define WINOGRAD_MAX_ROWS 14

enum { WIDTH = 16, OUTER_ROWS = 8, SINGLE_OUTER_ROWS = 16 };

static inline vector load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void store(float *p, vector x)
{
    _mm512_storeu_ps(p, x);
}

static inline vector all(float x)
{
    return _mm512_set1_ps(x);
}

static inline vector zero(void)
{
    return _mm512_setzero_ps();
}

static inline vector plus(vector a, vector b)
{
    return _mm512_add_ps(a, b);
}

static inline vector minus(vector a, vector b)
{
    return _mm512_sub_ps(a, b);
}

static inline vector times(vector a, vector b)
{
    return _mm512_mul_ps(a, b);
}

/* a b + c and c - a b */
static inline vector multiply_add(vector a, vector b, vector c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vector multiply_minus(vector a, vector b, vector c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

/* The second one if either is NaN. */
static inline vector larger(vector a, vector b)
{
    return _mm512_max_ps(a, b);
}

static inline vector load_bf16(const uint16_t *p)
{
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));

    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

/* Past the caches, to an address of whole vectors; seen by others after a fence. */
static inline void store_stream(float *p, vector x)
{
    _mm512_stream_ps(p, x);
}

static inline void fence(void)
{
    _mm_sfence();
}

/* The upper half of each lane is the value in bf16: to nearest, ties to even; a NaN stays one. */
static inline __m512i round_bf16(vector x)
{
    /* Any NaN becomes the one that rounding leaves alone: class 0 and 1 of the table give token 3. */
    const __m512i bits = _mm512_castps_si512(_mm512_fixupimm_ps(x, x, _mm512_set1_epi32(0x33), 0));
    const __mmask16 odd = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x10000));
    const __m512i rounded = _mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff));

    return _mm512_mask_add_epi32(rounded, odd, rounded, _mm512_set1_epi32(1));
}

static inline void store_bf16(uint16_t *p, vector x)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(round_bf16(x), 16)));
}

static inline void store_bf16_pair(uint16_t *p, vector x, vector y, int stream)
{
    static const uint16_t UPPER[32] = {1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31,
                                       33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63};
    const __m512i both = _mm512_permutex2var_epi16(round_bf16(x), _mm512_loadu_si512(UPPER), round_bf16(y));

    if (stream)
        _mm512_stream_si512((__m512i *)p, both);
    else
        _mm512_storeu_si512(p, both);
}

/* A matrix of 16x16: pairs, fours, eights and halves of rows are woven together. */
static inline void transpose(const float *from, float *to)
{
    __m512 a[16], b[16];
    int i;

    for (i = 0; i < 16; i++) a[i] = load(from + 16 * i);
    for (i = 0; i < 16; i += 2) {
        b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
    }
    for (i = 0; i < 16; i += 4) {
        a[i] = _mm512_shuffle_ps(b[i], b[i + 2], 0x44);
        a[i + 1] = _mm512_shuffle_ps(b[i], b[i + 2], 0xee);
        a[i + 2] = _mm512_shuffle_ps(b[i + 1], b[i + 3], 0x44);
        a[i + 3] = _mm512_shuffle_ps(b[i + 1], b[i + 3], 0xee);
    }
    for (i = 0; i < 4; i++) {
        b[i] = _mm512_shuffle_f32x4(a[i], a[i + 4], 0x88);
        b[i + 4] = _mm512_shuffle_f32x4(a[i], a[i + 4], 0xdd);
        b[i + 8] = _mm512_shuffle_f32x4(a[i + 8], a[i + 12], 0x88);
        b[i + 12] = _mm512_shuffle_f32x4(a[i + 8], a[i + 12], 0xdd);
    }
    for (i = 0; i < 8; i++) {
        store(to + 16 * i, _mm512_shuffle_f32x4(b[i], b[i + 8], 0x88));
        store(to + 16 * (i + 8), _mm512_shuffle_f32x4(b[i], b[i + 8], 0xdd));
    }
}

#include "dnn/winograd_template.h"

const sslcv__winograd_kernels sslcv__winograd_avx512 = WINOGRAD_KERNELS;

#endif
