/* For any processor: vectors of 4, 16 registers. */
#define MATMUL sslcv__matmul_any

enum { WIDTH = 4 };
#define MAX_ROWS 6

#include "nn/matmul_template.h"

#if defined(__x86_64__)
/* What is left of columns that are no multiple of 32 goes by halves of registers. */
static void run_avx512(const sslcv__matmul *p)
{
    enum { COLUMNS = 32 };
    const int64_t wide = p->n / COLUMNS * COLUMNS;
    sslcv__matmul part = *p;

    part.n = wide;
    if (wide > 0) sslcv__matmul_avx512(&part);
    if (wide == p->n) return;
    if (wide > 0) part.next_floats = 0;
    part.n = p->n - wide;
    part.b += wide;
    part.c += wide;
    sslcv__matmul_avx2(&part);
}
#endif

void sslcv__matmul_run(const sslcv__matmul *p)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
            run_avx512(p);
        } else {
            sslcv__matmul_avx2(p);
        }
        return;
    }
#endif
    sslcv__matmul_any(p);
}

void sslcv__matmul_turn(const float *from, int64_t rows, int64_t columns, int64_t width, float *to)
{
    int64_t r, i;

    for (i = 0; i < columns; i++, to += width) {
        for (r = 0; r < rows; r++) to[r] = from[r * columns + i];
        for (; r < width; r++) to[r] = 0.0f;
    }
}
