/* For AVX-512, which has 32 registers. The Makefile gives the options. */
#if defined(__x86_64__)

#define MATMUL sslcv__matmul_avx512

enum { WIDTH = 16 };
#define MAX_ROWS 14

#include "nn/matmul_template.h"

#endif
