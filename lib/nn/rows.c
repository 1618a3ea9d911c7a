#include "nn/rows.h"

#include <math.h>

static const double norm_floor = 1e-12;

/* Values below which waking threads costs more than they bring. */
enum { WORTH_THREADS = 1 << 18 };

static double dot(const float *a, const float *b, int64_t dim)
{
    double sum = 0.0;
    int64_t j;

#pragma omp simd reduction(+ : sum)
    for (j = 0; j < dim; j++) sum += (double)a[j] * (double)b[j];
    return sum;
}

void sslcv__rows_normalize(const float *x, int64_t rows, int64_t dim, float *unit, double *norms)
{
    int64_t i;

#pragma omp parallel for schedule(static) if (rows * dim >= WORTH_THREADS)
    for (i = 0; i < rows; i++) {
        const float *from = x + i * dim;
        float *to = unit + i * dim;
        const double norm = sqrt(dot(from, from, dim));
        const double inverse = 1.0 / fmax(norm, norm_floor);
        int64_t j;

#pragma omp simd
        for (j = 0; j < dim; j++) to[j] = (float)((double)from[j] * inverse);
        norms[i] = norm;
    }
}

void sslcv__rows_normalize_backward(const float *unit, const double *norms, const float *diff_unit, int64_t rows,
                                    int64_t dim, float *diff_x)
{
    int64_t i;

#pragma omp parallel for schedule(static) if (rows * dim >= WORTH_THREADS)
    for (i = 0; i < rows; i++) {
        const float *u = unit + i * dim, *diff = diff_unit + i * dim;
        float *to = diff_x + i * dim;
        const double inverse = 1.0 / fmax(norms[i], norm_floor);
        const double along = norms[i] > norm_floor ? dot(u, diff, dim) : 0.0;
        int64_t j;

#pragma omp simd
        for (j = 0; j < dim; j++) to[j] = (float)(((double)diff[j] - (double)u[j] * along) * inverse);
    }
}
