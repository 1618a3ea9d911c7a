/*
 * The nearest centre is that with the largest x.c - |c|^2 / 2. Rows go in blocks and centres in tiles, a thread does a
 * block:
 *
 *                centres   0 .. TILE   TILE .. 2 TILE   ...
 *     block of rows        |  products   |                      ->  largest product of each row so far, and whose
 *                          |  by gemm    |
 *
 * so nothing of the size rows * centres is ever there. Products are made within one thread: gemm called from all of
 * them does not cut its sums by the number of threads. The distance itself is then made anew, in double.
 */
#include "cluster/nearest.h"

#include "core/context.h"
#include "core/openmp.h"
#include "core/simd.h"
#include "dnn/dnn.h"

#include <float.h>
#include <math.h>

enum { TILE = 1024, MOST_ROWS = 512, LEAST_ROWS = 32, WANTED_BLOCKS = 256, LANES = 16 };

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void sslcv__nearest_plan(sslcv__clustering *c)
{
    const int64_t n = c->points->n, share = (n / WANTED_BLOCKS + LANES) / LANES * LANES;
    const int64_t block = smaller(share < LEAST_ROWS ? LEAST_ROWS : share, MOST_ROWS);

    c->block = smaller(block, n);
    c->blocks = (n + c->block - 1) / c->block;
    /* Rows, products, the largest product of each row. Whole cache lines, so that no two threads share one. */
    c->scratch_floats = c->block * (c->points->d + smaller(TILE, c->clusters) + 1);
    c->scratch_floats = (c->scratch_floats + LANES - 1) / LANES * LANES;
}

static const float *source_row(const sslcv__clustering *c, int64_t i)
{
    return c->points->data + (c->points->rows ? c->points->rows[i] : i) * c->points->d;
}

void sslcv__nearest_form(const sslcv__clustering *c, int64_t i, float *row)
{
    const float *x = source_row(c, i);
    const int64_t d = c->points->d;
    int64_t j;

    if (c->spherical) {
        for (j = 0; j < d; j++) row[j] = (float)((double)x[j] * c->scale[i]);
    } else {
        for (j = 0; j < d; j++) row[j] = x[j] - c->shift[j];
    }
}

/* The largest of products[i] + bias[i], in products' place; more than best, or best. *at is changed with it. */
SSLCV__CLONES static float take_largest(float *products, const float *bias, int64_t count, float best, int64_t first,
                                        int32_t *at)
{
    float lane[LANES], top = best;
    int64_t i;
    int l;

    for (l = 0; l < LANES; l++) lane[l] = best;
    for (i = 0; i + LANES <= count; i += LANES) {
        for (l = 0; l < LANES; l++) {
            const float x = products[i + l] + bias[i + l];

            products[i + l] = x;
            lane[l] = x > lane[l] ? x : lane[l];
        }
    }
    for (; i < count; i++) {
        products[i] += bias[i];
        top = products[i] > top ? products[i] : top;
    }
    for (l = 0; l < LANES; l++) top = lane[l] > top ? lane[l] : top;
    if (!(top > best)) return best;
    for (i = 0; products[i] != top;) i++;
    *at = (int32_t)(first + i);
    return top;
}

/* Products of two f32 are exact in double. */
SSLCV__CLONES static double squared_distance(const float *x, const float *c, int64_t d)
{
    double lane[LANES] = {0.0}, sum = 0.0;
    int64_t j;
    int l;

    for (j = 0; j + LANES <= d; j += LANES) {
        for (l = 0; l < LANES; l++) {
            const double apart = (double)x[j + l] - (double)c[j + l];

            lane[l] += apart * apart;
        }
    }
    for (; j < d; j++) sum += ((double)x[j] - (double)c[j]) * ((double)x[j] - (double)c[j]);
    for (l = 0; l < LANES; l++) sum += lane[l];
    return sum;
}

SSLCV__CLONES static double dot(const float *x, const float *c, int64_t d)
{
    double lane[LANES] = {0.0}, sum = 0.0;
    int64_t j;
    int l;

    for (j = 0; j + LANES <= d; j += LANES) {
        for (l = 0; l < LANES; l++) lane[l] += (double)x[j + l] * (double)c[j + l];
    }
    for (; j < d; j++) sum += (double)x[j] * (double)c[j];
    for (l = 0; l < LANES; l++) sum += lane[l];
    return sum;
}

static sslcv_status find_block(const sslcv__clustering *c, int64_t b, float *scratch)
{
    const int64_t d = c->points->d, first = b * c->block, rows = smaller(c->block, c->points->n - first);
    float *x = scratch, *best = x + c->block * d, *products = best + c->block;
    int32_t found[MOST_ROWS];
    double sum = 0.0;
    int64_t changes = 0, from, i;

    for (i = 0; i < rows; i++) {
        sslcv__nearest_form(c, first + i, x + i * d);
        best[i] = -FLT_MAX;
        found[i] = 0;
    }
    for (from = 0; from < c->clusters; from += TILE) {
        const int64_t count = smaller(TILE, c->clusters - from);
        const sslcv_status status =
            sslcv__gemm(0, 1, rows, count, d, 1.0f, x, d, c->centres + from * d, d, 0.0f, products, count);

        if (status != SSLCV_OK) return status;
        for (i = 0; i < rows; i++) {
            best[i] = take_largest(products + i * count, c->bias + from, count, best[i], from, &found[i]);
        }
    }
    for (i = 0; i < rows; i++) {
        const float *centre = c->centres + found[i] * d;

        sum += c->spherical ? dot(x + i * d, centre, d) : squared_distance(x + i * d, centre, d);
        changes += found[i] != c->nearest[first + i];
        c->nearest[first + i] = found[i];
    }
    c->sums[b] = sum;
    c->changes[b] = changes;
    return SSLCV_OK;
}

sslcv_status sslcv__nearest_find(sslcv__clustering *c, double *objective, int64_t *changed)
{
    sslcv_status status = SSLCV_OK; /* the others are negative */
    double sum = 0.0;
    int64_t b;

#pragma omp parallel for schedule(dynamic) reduction(min : status)
    for (b = 0; b < c->blocks; b++) {
        sslcv_status done =
            atomic_load_explicit(&c->context->cancelled, memory_order_relaxed) ? SSLCV_ERR_CANCELLED : SSLCV_OK;

        if (done == SSLCV_OK) done = find_block(c, b, c->scratch + omp_get_thread_num() * c->scratch_floats);
        status = done < status ? done : status;
    }
    /* The message of the failure stayed with the thread that met it. */
    if (status == SSLCV_ERR_CANCELLED) return sslcv__fail(status, "cancelled by sslcv_context_cancel()");
    if (status != SSLCV_OK) return sslcv__fail(status, "gemm of rows and %lld centres failed", (long long)c->clusters);
    *changed = 0;
    for (b = 0; b < c->blocks; b++) {
        sum += c->sums[b];
        *changed += c->changes[b];
    }
    *objective = sum / (double)c->points->n;
    return SSLCV_OK;
}
