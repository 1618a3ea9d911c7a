/* For AVX2 with FMA, which has 16 registers. The Makefile gives the options. */
#if defined(__x86_64__)

#define MATMUL sslcv__matmul_avx2

enum { WIDTH = 8 };
#define MAX_ROWS 6

#include "nn/matmul_template.h"

#endif
