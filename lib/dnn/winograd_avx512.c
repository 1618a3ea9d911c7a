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

/* To nearest, ties to even; a NaN stays one. */
static inline void store_bf16(uint16_t *p, vector x)
{
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    const __m512i result = _mm512_mask_mov_epi32(rounded, nan, _mm512_set1_epi32(0x7fc00000));

    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(result, 16)));
}

#include "dnn/winograd_template.h"

const sslcv__winograd_kernels sslcv__winograd_avx512 = WINOGRAD_KERNELS;

#endif
