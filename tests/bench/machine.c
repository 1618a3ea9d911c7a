/*
 * What the processor can do at most, to hold figures against: multiplications and additions a second, in f32 and with
 * bf16's dot product, and bytes a second from and to memory. All threads together.
 *
 *     machine [--threads 0]
 *
 * Prints one JSON object; 0 stands for what this program does not know to measure here.
 */
#include "serve.h"

#include <omp.h>

enum { CHAINS = 12, ROUNDS = 7, ARRAYS = 3 };

static const int64_t repeats = 4000000;
static const int64_t floats_per_array = 24 << 20; /* 96 MiB: no cache holds three */

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

/*
 * Twelve independent chains: enough to keep two units of latency 4 busy. Each returns the operations that it made. What
 * depends on the result must be used, or the compiler drops the loop.
 */
__attribute__((target("avx512f"))) static double f32_avx512(volatile float *sink)
{
    __m512 chain[CHAINS];
    const __m512 factor = _mm512_set1_ps(0.999f), term = _mm512_set1_ps(0.001f);
    int64_t i;
    int k;

    for (k = 0; k < CHAINS; k++) chain[k] = _mm512_set1_ps((float)k);
    for (i = 0; i < repeats; i++) {
#pragma GCC unroll 12
        for (k = 0; k < CHAINS; k++) chain[k] = _mm512_fmadd_ps(chain[k], factor, term);
    }
    for (k = 1; k < CHAINS; k++) chain[0] = _mm512_add_ps(chain[0], chain[k]);
    *sink = _mm512_reduce_add_ps(chain[0]);
    return 2.0 * 16.0 * CHAINS * (double)repeats;
}

__attribute__((target("avx2,fma"))) static double f32_avx2(volatile float *sink)
{
    __m256 chain[CHAINS];
    const __m256 factor = _mm256_set1_ps(0.999f), term = _mm256_set1_ps(0.001f);
    float lanes[8];
    int64_t i;
    int k;

    for (k = 0; k < CHAINS; k++) chain[k] = _mm256_set1_ps((float)k);
    for (i = 0; i < repeats; i++) {
#pragma GCC unroll 12
        for (k = 0; k < CHAINS; k++) chain[k] = _mm256_fmadd_ps(chain[k], factor, term);
    }
    for (k = 1; k < CHAINS; k++) chain[0] = _mm256_add_ps(chain[0], chain[k]);
    _mm256_storeu_ps(lanes, chain[0]);
    *sink = lanes[0];
    return 2.0 * 8.0 * CHAINS * (double)repeats;
}

#if __GNUC__ >= 10
__attribute__((target("avx512f,avx512bf16"))) static double bf16_avx512(volatile float *sink)
{
    __m512 chain[CHAINS];
    const __m512bh factor = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5f), _mm512_set1_ps(0.25f));
    int64_t i;
    int k;

    for (k = 0; k < CHAINS; k++) chain[k] = _mm512_set1_ps((float)k);
    for (i = 0; i < repeats; i++) {
#pragma GCC unroll 12
        for (k = 0; k < CHAINS; k++) chain[k] = _mm512_dpbf16_ps(chain[k], factor, factor);
    }
    for (k = 1; k < CHAINS; k++) chain[0] = _mm512_add_ps(chain[0], chain[k]);
    *sink = _mm512_reduce_add_ps(chain[0]);
    return 4.0 * 16.0 * CHAINS * (double)repeats;
}
#endif

static double multiply(int bf16, volatile float *sink)
{
#if __GNUC__ >= 10
    if (bf16) return __builtin_cpu_supports("avx512bf16") ? bf16_avx512(sink) : 0.0;
#else
    if (bf16) return 0.0;
#endif
    if (__builtin_cpu_supports("avx512f")) return f32_avx512(sink);
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? f32_avx2(sink) : 0.0;
}
#else
static double multiply(int bf16, volatile float *sink)
{
    *sink = (float)bf16;
    return 0.0;
}
#endif

/* The best of several rounds: what else runs on the machine only makes it slower. */
static double gflops(int bf16)
{
    double best = 0.0;
    int round;

    for (round = 0; round < ROUNDS; round++) {
        const double start = bench_clock();
        double operations = 0.0, rate;

#pragma omp parallel reduction(+ : operations)
        {
            volatile float sink;

            operations += multiply(bf16, &sink);
        }
        rate = 1e-9 * operations / (bench_clock() - start);
        if (rate > best) best = rate;
    }
    return best;
}

/* a <- b + s c: two arrays are read and one is written, which on most processors reads it first. */
static double gigabytes_per_second(void)
{
    float *memory = malloc((size_t)(ARRAYS * floats_per_array) * sizeof *memory);
    float *a = memory, *b, *c;
    double best = 0.0;
    int64_t i;
    int round;

    if (!memory) return 0.0;
    b = a + floats_per_array;
    c = b + floats_per_array;
#pragma omp parallel for
    for (i = 0; i < floats_per_array; i++) {
        a[i] = 0.0f;
        b[i] = 1.0f;
        c[i] = (float)i;
    }
    for (round = 0; round < ROUNDS; round++) {
        const double start = bench_clock();
        double rate;

#pragma omp parallel for
        for (i = 0; i < floats_per_array; i++) a[i] = b[i] + 0.5f * c[i];
        rate = 1e-9 * (double)(ARRAYS * floats_per_array) * sizeof *memory / (bench_clock() - start);
        if (rate > best) best = rate;
    }
    free(memory);
    return best;
}

int main(int argc, char **argv)
{
    int64_t threads = 0;
    const bench_option options[] = {
        {"threads", "default 0: the processors that this process may use", .integer = &threads},
    };
    json_t *found;

    bench_parse(argc, argv, options, (int)(sizeof options / sizeof options[0]));
    if (threads > 0) omp_set_num_threads((int)threads);
    found = json_pack("{s:i, s:f, s:f, s:f}", "threads", omp_get_max_threads(), "f32_gflops", gflops(0), "bf16_gflops",
                      gflops(1), "gigabytes_per_second", gigabytes_per_second());
    bench_print_json(found, JSON_COMPACT);
    json_decref(found);
    return 0;
}
