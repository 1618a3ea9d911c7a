#include "nn/row_kernels.h"

#include <math.h>

#include "core/rng.h"

static const double norm_floor = 1e-12;

/* ---- GELU ---- */

static float normal_share(float x)
{
    return 0.5f * (1.0f + erff(x * 0.70710678118654752f));
}

void sslcv__rows_gelu(const float *x, int64_t count, float *y)
{
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < count; i++) y[i] = x[i] * normal_share(x[i]);
}

void sslcv__rows_gelu_backward(const float *x, const float *dy, int64_t count, float *dx)
{
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < count; i++) {
        const float density = 0.39894228040143268f * expf(-0.5f * x[i] * x[i]);

        dx[i] = dy[i] * (normal_share(x[i]) + x[i] * density);
    }
}

/* ---- dropout ---- */

/* A block of elements has a stream of its own, so that threads share the work and the draws do not depend on them. */
enum { BLOCK = 4096 };

static void drop_block(const float *x, int64_t count, uint64_t limit, float scale, uint64_t key, int64_t block,
                       float *y)
{
    sslcv__rng rng;
    int64_t i;

    sslcv__rng_init(&rng, key, (uint64_t)block, 0);
    for (i = 0; i < count; i++) y[i] = sslcv__rng_u32(&rng) < limit ? 0.0f : scale * x[i];
}

void sslcv__rows_drop(const float *x, int64_t count, double rate, uint64_t key, float *y)
{
    const int64_t blocks = (count + BLOCK - 1) / BLOCK;
    const uint64_t limit = (uint64_t)(rate * 4294967296.0);
    const float scale = rate < 1.0 ? (float)(1.0 / (1.0 - rate)) : 0.0f;
    int64_t b;

#pragma omp parallel for schedule(static)
    for (b = 0; b < blocks; b++) {
        const int64_t left = count - b * BLOCK;

        drop_block(x + b * BLOCK, left < BLOCK ? left : BLOCK, limit, scale, key, b, y + b * BLOCK);
    }
}

/* ---- gates ---- */

static float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

void sslcv__rows_gate(const float *x, int64_t rows, int64_t dim, float *y)
{
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < rows; i++) {
        const float *a = x + i * 2 * dim, *b = a + dim;
        int64_t j;

        for (j = 0; j < dim; j++) y[i * dim + j] = tanhf(a[j]) * sigmoid(b[j]);
    }
}

void sslcv__rows_gate_backward(const float *x, const float *dy, int64_t rows, int64_t dim, float *dx)
{
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < rows; i++) {
        const float *a = x + i * 2 * dim, *b = a + dim, *g = dy + i * dim;
        float *da = dx + i * 2 * dim, *db = da + dim;
        int64_t j;

        for (j = 0; j < dim; j++) {
            const float t = tanhf(a[j]), s = sigmoid(b[j]);

            da[j] = g[j] * (1.0f - t * t) * s;
            db[j] = g[j] * t * s * (1.0f - s);
        }
    }
}

/* ---- unit vectors ---- */

void sslcv__rows_inverse_norms(const float *w, int64_t rows, int64_t dim, float *inverse)
{
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < rows; i++) {
        const float *row = w + i * dim;
        double sum = 0.0;
        int64_t j;

#pragma omp simd reduction(+ : sum)
        for (j = 0; j < dim; j++) sum += (double)row[j] * (double)row[j];
        inverse[i] = (float)(1.0 / fmax(sqrt(sum), norm_floor));
    }
}

void sslcv__rows_scale_columns(const float *x, const float *scale, int64_t rows, int64_t columns, float *y)
{
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < rows; i++) {
        const float *from = x + i * columns;
        float *to = y + i * columns;
        int64_t j;

        for (j = 0; j < columns; j++) to[j] = from[j] * scale[j];
    }
}

void sslcv__rows_dot_columns(const float *a, const float *b, int64_t rows, int64_t columns, float *sums)
{
    enum { WIDTH = 256 };
    int64_t first;

#pragma omp parallel for schedule(static)
    for (first = 0; first < columns; first += WIDTH) {
        const int64_t width = columns - first < WIDTH ? columns - first : WIDTH;
        double sum[WIDTH] = {0.0};
        int64_t i, j;

        for (i = 0; i < rows; i++) {
            const float *p = a + i * columns + first, *q = b + i * columns + first;

            for (j = 0; j < width; j++) sum[j] += (double)p[j] * (double)q[j];
        }
        for (j = 0; j < width; j++) sums[first + j] = (float)sum[j];
    }
}

void sslcv__rows_remove_along(const float *w, const float *inverse, const float *along, int64_t rows, int64_t dim,
                              float *g)
{
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < rows; i++) {
        const float factor = along[i] * inverse[i];
        int64_t j;

        for (j = 0; j < dim; j++) g[i * dim + j] -= factor * w[i * dim + j];
    }
}
