/**
 * Loops for more than the oldest processor: a function marked SSLCV__CLONES is compiled three times, for AVX-512, AVX2
 * and the compiler's default, and the loader picks one when the library is loaded (GCC's function multiversioning).
 *
 *     SSLCV__CLONES static void scale(float *x, float by, int64_t count) { for (...) x[i] *= by; }
 *
 * Only leaves: plain loops on plain arrays. No OpenMP inside, as the compiler moves a parallel region into a function
 * of its own that is not cloned: the region calls the clone. Results are the same in all three, bit by bit, as long as
 * no sum is reassociated, since the library is compiled without contraction to fused multiply-add (-std=c11).
 *
 * AVX-512 is asked for as x86-64-v4 (F, BW, CD, DQ, VL), not as "avx512f": without VL, GCC 12 copies short vectors by
 * way of 512-bit registers behind the last VZEROUPPER, and all SSE code that runs later is half as fast.
 */
#ifndef SSLCV__SIMD_H
#define SSLCV__SIMD_H

#if !defined(__x86_64__) || !defined(__GLIBC__) || !defined(__GNUC__) || defined(__clang__) || defined(SSLCV_NO_CLONES)
#define SSLCV__CLONES
#elif __GNUC__ >= 12
#define SSLCV__CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define SSLCV__CLONES __attribute__((target_clones("avx2", "default")))
#endif

#endif
