/* Winograd kernels for AVX2 with FMA, with blocks of 8 channels. The Makefile gives the options. */
#include "dnn/winograd_kernel.h"

#if defined(__x86_64__)

#include <immintrin.h>

typedef __m256 vector;

#define WINOGRAD_MAX_ROWS 6

enum { WIDTH = 8, OUTER_ROWS = 4, SINGLE_OUTER_ROWS = 8 };

static inline vector load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void store(float *p, vector x)
{
    _mm256_storeu_ps(p, x);
}

static inline vector all(float x)
{
    return _mm256_set1_ps(x);
}

static inline vector zero(void)
{
    return _mm256_setzero_ps();
}

static inline vector plus(vector a, vector b)
{
    return _mm256_add_ps(a, b);
}

static inline vector minus(vector a, vector b)
{
    return _mm256_sub_ps(a, b);
}

static inline vector times(vector a, vector b)
{
    return _mm256_mul_ps(a, b);
}

/* a b + c and c - a b */
static inline vector multiply_add(vector a, vector b, vector c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vector multiply_minus(vector a, vector b, vector c)
{
    return _mm256_fnmadd_ps(a, b, c);
}

/* The second one if either is NaN. */
static inline vector larger(vector a, vector b)
{
    return _mm256_max_ps(a, b);
}

static inline vector load_bf16(const uint16_t *p)
{
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));

    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

/* To nearest, ties to even; a NaN stays one. */
static inline void store_bf16(uint16_t *p, vector x)
{
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    const __m256i result = _mm256_blendv_epi8(rounded, _mm256_set1_epi32(0x7fc00000), nan);
    const __m256i halves = _mm256_srli_epi32(result, 16);

    _mm_storeu_si128((__m128i *)p,
                     _mm_packus_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1)));
}

#include "dnn/winograd_template.h"

const sslcv__winograd_kernels sslcv__winograd_avx2 = WINOGRAD_KERNELS;

#endif
