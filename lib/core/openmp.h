/**
 * OpenMP's functions. Clang brings no runtime that could share a process with oneDNN's libgomp, so it compiles this
 * library without parallel regions (docs/packaging.md) and has no omp.h; what oneDNN asks of libgomp is still set here.
 */
#ifndef SSLCV__OPENMP_H
#define SSLCV__OPENMP_H

#if defined(_OPENMP)
#include <omp.h>
#else
int omp_get_dynamic(void);
int omp_get_max_threads(void);
int omp_get_thread_limit(void);
int omp_get_thread_num(void);
int omp_in_parallel(void);
double omp_get_wtime(void);
void omp_set_dynamic(int dynamic);
void omp_set_num_threads(int threads);
#endif

#endif
