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

/* Past the caches, to an address of whole vectors; seen by others after a fence. */
static inline void store_stream(float *p, vector x)
{
    _mm256_stream_ps(p, x);
}

static inline void fence(void)
{
    _mm_sfence();
}

/* In bf16, in 32 bits: to nearest, ties to even; a NaN stays one. */
static inline __m256i round_bf16(vector x)
{
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));

    return _mm256_srli_epi32(_mm256_blendv_epi8(rounded, _mm256_set1_epi32(0x7fc00000), nan), 16);
}

static inline void store_bf16(uint16_t *p, vector x)
{
    const __m256i half = round_bf16(x);

    _mm_storeu_si128((__m128i *)p, _mm_packus_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1)));
}

static inline void store_bf16_pair(uint16_t *p, vector x, vector y, int stream)
{
    const __m256i both = _mm256_permute4x64_epi64(_mm256_packus_epi32(round_bf16(x), round_bf16(y)), 0xd8);

    if (stream)
        _mm256_stream_si256((__m256i *)p, both);
    else
        _mm256_storeu_si256((__m256i *)p, both);
}

/* A matrix of 8x8: pairs, fours and halves of rows are woven together. */
static inline void transpose(const float *from, float *to)
{
    __m256 a[8], b[8];
    int i;

    for (i = 0; i < 8; i++) a[i] = load(from + 8 * i);
    for (i = 0; i < 8; i += 2) {
        b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
    }
    for (i = 0; i < 8; i += 4) {
        a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
        a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xee);
        a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
        a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xee);
    }
    for (i = 0; i < 4; i++) {
        store(to + 8 * i, _mm256_permute2f128_ps(a[i], a[i + 4], 0x20));
        store(to + 8 * (i + 4), _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
    }
}

#include "dnn/winograd_template.h"

const sslcv__winograd_kernels sslcv__winograd_avx2 = WINOGRAD_KERNELS;

#endif
