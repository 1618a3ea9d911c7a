/*
 * Whitening in two steps, as one in f32 would not do where directions differ much in variance. With X the centred rows:
 *
 *     1.  C = X^T X / (n - 1),  C v_i = w_i v_i           Y = X V,  columns divided by sqrt(w_i)
 *     2.  D = Y^T Y / (n - 1) = 1 + small,                Z = Y D^-1/2
 *
 * C is a sum of products of blocks of rows, each made in f32 and added up in double: an entry is off by some 1e-7 of
 * the largest variance. A direction of 1e-4 of that then has 1e-3 of another's in it, and D tells so to 1e-7.
 */
#include "eval/features.h"

#include "core/checked.h"
#include "core/compute.h"
#include "core/context.h"
#include "core/memory.h"
#include "dnn/dnn.h"
#include "eval/eigen.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 512 };

/* Variance below this share of the largest is noise of the sums. */
static const double least_share = 1e-6;

typedef struct whitening {
    sslcv_context *context;
    const sslcv__features *features;
    int64_t k;
    double *mean;    /* (d) */
    float *rows;     /* (BLOCK, d): centred */
    float *products; /* (d, d) of a block */
    double *gram;    /* (d, d), then (k, k) */
    double *values;  /* (k) */
    double *vectors; /* (k, d), then (k, k) */
    float *project;  /* (k, d) */
    float *correct;  /* (k, k) */
    double *room;    /* of the eigenvectors */
} whitening;

static sslcv_status allocate(whitening *w)
{
    const int64_t d = w->features->d, k = w->k;
    sslcv_context *context = w->context;
    int64_t square;
    sslcv_status status;

    if (!sslcv__multiply(d, d, &square)) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "a matrix of %lld x %lld does not fit in memory", (long long)d,
                           (long long)d);
    }
    SSLCV__TRY(sslcv__alloc_array(context, d, sizeof(double), (void **)&w->mean));
    SSLCV__TRY(sslcv__alloc_array(context, BLOCK * d, sizeof(float), (void **)&w->rows));
    SSLCV__TRY(sslcv__alloc_array(context, square, sizeof(float), (void **)&w->products));
    SSLCV__TRY(sslcv__alloc_array(context, square, sizeof(double), (void **)&w->gram));
    SSLCV__TRY(sslcv__alloc_array(context, k, sizeof(double), (void **)&w->values));
    SSLCV__TRY(sslcv__alloc_array(context, k * d, sizeof(double), (void **)&w->vectors));
    SSLCV__TRY(sslcv__alloc_array(context, k * d, sizeof(float), (void **)&w->project));
    SSLCV__TRY(sslcv__alloc_array(context, k * k, sizeof(float), (void **)&w->correct));
    SSLCV__TRY(sslcv__alloc_array(context, d, SSLCV__EIGEN_ROOM * sizeof(double), (void **)&w->room));
end:
    return status;
}

static void free_all(whitening *w)
{
    sslcv__free(w->context, w->mean);
    sslcv__free(w->context, w->rows);
    sslcv__free(w->context, w->products);
    sslcv__free(w->context, w->gram);
    sslcv__free(w->context, w->values);
    sslcv__free(w->context, w->vectors);
    sslcv__free(w->context, w->project);
    sslcv__free(w->context, w->correct);
    sslcv__free(w->context, w->room);
}

static int64_t block_at(int64_t n, int64_t first)
{
    return n - first < BLOCK ? n - first : BLOCK;
}

/* Columns' means, rows added in their order. */
static void find_mean(const float *data, int64_t n, int64_t d, double *mean)
{
    int64_t i, j;

    memset(mean, 0, (size_t)d * sizeof *mean);
    for (i = 0; i < n; i++) {
        for (j = 0; j < d; j++) mean[j] += (double)data[i * d + j];
    }
    for (j = 0; j < d; j++) mean[j] /= (double)n;
}

static void load_rows(const float *data, int64_t d, const double *mean, int64_t first, int64_t count, float *rows)
{
    int64_t i, j;

#pragma omp parallel for schedule(static) private(j)
    for (i = 0; i < count; i++) {
        const float *from = data + (first + i) * d;

        for (j = 0; j < d; j++) rows[i * d + j] = (float)((double)from[j] - mean[j]);
    }
}

/* gram <- covariance of the rows; mean is their mean. */
static sslcv_status find_covariance(whitening *w, const float *data, int64_t n, int64_t d)
{
    int64_t first, i;
    sslcv_status status = SSLCV_OK;

    find_mean(data, n, d, w->mean);
    memset(w->gram, 0, (size_t)(d * d) * sizeof *w->gram);
    for (first = 0; first < n; first += BLOCK) {
        const int64_t count = block_at(n, first);

        SSLCV__TRY(sslcv__context_check_cancel(w->context));
        load_rows(data, d, w->mean, first, count, w->rows);
        SSLCV__TRY(sslcv__gemm(1, 0, d, d, count, 1.0f, w->rows, d, w->rows, d, 0.0f, w->products, d));
#pragma omp parallel for schedule(static)
        for (i = 0; i < d * d; i++) w->gram[i] += (double)w->products[i];
    }
#pragma omp parallel for schedule(static)
    for (i = 0; i < d * d; i++) w->gram[i] /= (double)(n - 1);
end:
    return status;
}

/* Of a vector and its negative the one whose largest value is positive. */
static double sign_of(const double *vector, int64_t d)
{
    int64_t largest = 0, j;

    for (j = 1; j < d; j++) {
        if (fabs(vector[j]) > fabs(vector[largest])) largest = j;
    }
    return vector[largest] < 0 ? -1.0 : 1.0;
}

static sslcv_status find_directions(whitening *w)
{
    const int64_t d = w->features->d;
    int64_t i, j;
    sslcv_status status;

    SSLCV__TRY(find_covariance(w, w->features->data, w->features->n, d));
    SSLCV__TRY(sslcv__eigenvectors(w->context, w->gram, d, w->k, w->values, w->vectors, w->room));
    for (i = 0; i < w->k && w->values[i] > least_share * w->values[0]; i++) {
        const double *vector = w->vectors + i * d, factor = sign_of(vector, d) / sqrt(w->values[i]);

        for (j = 0; j < d; j++) w->project[i * d + j] = (float)(vector[j] * factor);
    }
    if (i < w->k) {
        return sslcv__fail(SSLCV_ERR_NUMERIC, "%s has %lld directions with variance; reduced asks for %lld",
                           w->features->name, (long long)i, (long long)w->k);
    }
end:
    return status;
}

static sslcv_status project(whitening *w, float *reduced)
{
    const int64_t n = w->features->n, d = w->features->d, k = w->k;
    int64_t first;
    sslcv_status status = SSLCV_OK;

    for (first = 0; first < n; first += BLOCK) {
        const int64_t count = block_at(n, first);

        SSLCV__TRY(sslcv__context_check_cancel(w->context));
        load_rows(w->features->data, d, w->mean, first, count, w->rows);
        SSLCV__TRY(sslcv__gemm(0, 1, count, k, d, 1.0f, w->rows, d, w->project, d, 0.0f, reduced + first * k, k));
    }
end:
    return status;
}

/* correct <- D^-1/2 = sum over its vectors of v v^T / sqrt(value). */
static sslcv_status find_correction(whitening *w, const float *reduced)
{
    const int64_t k = w->k;
    int64_t r, c, i;
    sslcv_status status;

    SSLCV__TRY(find_covariance(w, reduced, w->features->n, k));
    SSLCV__TRY(sslcv__eigenvectors(w->context, w->gram, k, k, w->values, w->vectors, w->room));
    if (!(w->values[k - 1] > 0.0)) {
        return sslcv__fail(SSLCV_ERR_NUMERIC, "%s has fewer than %lld directions with variance", w->features->name,
                           (long long)k);
    }
#pragma omp parallel for schedule(static) private(c, i)
    for (r = 0; r < k; r++) {
        for (c = 0; c < k; c++) {
            double sum = 0.0;

            for (i = 0; i < k; i++) sum += w->vectors[i * k + r] * w->vectors[i * k + c] / sqrt(w->values[i]);
            w->correct[r * k + c] = (float)sum;
        }
    }
end:
    return status;
}

/* A row that is the mean stays 0. */
static void make_unit(float *row, int64_t k)
{
    int64_t j;

    for (j = 0; j < k; j++) {
        if (row[j] != 0.0f) {
            sslcv__row_normalize(row, k, row);
            return;
        }
    }
}

static sslcv_status correct(whitening *w, int normalize, float *reduced)
{
    const int64_t n = w->features->n, k = w->k;
    int64_t first, i;
    sslcv_status status = SSLCV_OK;

    for (first = 0; first < n; first += BLOCK) {
        const int64_t count = block_at(n, first);
        float *rows = reduced + first * k;

        load_rows(reduced, k, w->mean, first, count, w->rows);
        SSLCV__TRY(sslcv__gemm(0, 0, count, k, k, 1.0f, w->rows, k, w->correct, k, 0.0f, rows, k));
        if (!normalize) continue;
#pragma omp parallel for schedule(static)
        for (i = 0; i < count; i++) make_unit(rows + i * k, k);
    }
end:
    return status;
}

sslcv_status sslcv_pca_whiten(sslcv_context *context, const sslcv_tensor *features, int32_t normalize,
                              sslcv_tensor *reduced)
{
    whitening w = {.context = context};
    sslcv__features read, answer;
    sslcv__compute frame = {.active = 0};
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    SSLCV__TRY(sslcv__features_read(features, "features", &read));
    SSLCV__TRY(sslcv__features_read(reduced, "reduced", &answer));
    if (normalize != 0 && normalize != 1) return sslcv__invalid("normalize is %d; must be 0 or 1", (int)normalize);
    if (answer.n != read.n || answer.d > read.d || answer.d >= read.n) {
        return sslcv__invalid("reduced has shape (%lld, %lld); must be (%lld, k) with k <= %lld", (long long)answer.n,
                              (long long)answer.d, (long long)read.n,
                              (long long)(read.d < read.n ? read.d : read.n - 1));
    }
    SSLCV__TRY(sslcv__features_check(&read, NULL, 0));
    w.features = &read;
    w.k = answer.d;
    SSLCV__TRY(allocate(&w));
    SSLCV__TRY(sslcv__compute_begin(context, &frame));
    SSLCV__TRY(find_directions(&w));
    SSLCV__TRY(project(&w, reduced->data));
    SSLCV__TRY(find_correction(&w, reduced->data));
    SSLCV__TRY(correct(&w, normalize, reduced->data));
end:
    sslcv__compute_end(&frame);
    if (w.context) free_all(&w);
    return status;
}
