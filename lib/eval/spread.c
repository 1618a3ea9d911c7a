/*
 * Collapse figures. u_i are the rows scaled to length 1, n of them in d dimensions, m their mean.
 *
 *     std     mean over dimensions of the deviation (n - 1) of u, times sqrt(d) (SimSiam, figure 2)
 *     cosine  mean over i != j of u_i.u_j = (|n m|^2 - n) / (n (n - 1)):     the pairs are never formed
 *     rank    exp(-sum p_k log p_k), p_k = s_k / sum s, s the singular values of the features
 *             (Roy and Vetterli 2007; RankMe, Garrido et al. 2023)
 *
 * Singular values are roots of the eigenvalues of the smaller of X^T X and X X^T. That product is summed in double: in
 * f32 the noise of hundreds of empty dimensions would count as rank.
 */
#include "eval/eigen.h"
#include "eval/features.h"

#include "core/compute.h"
#include "core/context.h"
#include "core/memory.h"
#include "core/object.h"
#include "core/options.h"

#include <float.h>
#include <math.h>

enum {
    RANK_ROWS = 8192, /* enough for d = 2048; RankMe's figure settles at some 10 d */
    SLAB = 64
};

/* Mean first, then distances from it: near a collapse a difference of sums of squares would cancel. */
static sslcv_status compute_std(sslcv_context *context, const sslcv__features *f, sslcv_spread *spread)
{
    const int64_t n = f->n, d = f->d;
    double *lengths = NULL; /* n: 1 / |x| */
    double *mean = NULL, *variance = NULL;
    double deviations = 0, square = 0;
    int64_t i, j;
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(context, n, sizeof *lengths, (void **)&lengths));
    SSLCV__TRY(sslcv__alloc_array(context, d, sizeof *mean, (void **)&mean));
    SSLCV__TRY(sslcv__alloc_array(context, d, sizeof *variance, (void **)&variance));
    for (i = 0; i < n; i++) {
        const float *row = f->data + i * d;
        double sum = 0;

        for (j = 0; j < d; j++) sum += (double)row[j] * (double)row[j];
        lengths[i] = 1 / sqrt(sum);
        for (j = 0; j < d; j++) mean[j] += row[j] * lengths[i] / (double)n;
    }
    for (i = 0; i < n; i++) {
        const float *row = f->data + i * d;

        for (j = 0; j < d; j++) {
            const double distance = row[j] * lengths[i] - mean[j];

            variance[j] += distance * distance / (double)(n - 1);
        }
    }
    for (j = 0; j < d; j++) {
        deviations += sqrt(variance[j]);
        square += mean[j] * mean[j];
    }
    spread->std = deviations / (double)d * sqrt((double)d);
    spread->cosine = ((double)n * square - 1) / (double)(n - 1);
end:
    sslcv__free(context, lengths);
    sslcv__free(context, mean);
    sslcv__free(context, variance);
    return status;
}

/*
 * The features, or every so many of their rows, as items and terms of the product: gram[a][b] = sum over terms t of
 * x(a, t) x(b, t). Items are dimensions and terms are rows, or the other way round where there are fewer rows.
 */
typedef struct product {
    const float *data;
    int64_t items, item_stride;
    int64_t terms, term_stride;
    double *slab; /* (SLAB, items): some terms, in double */
    double *gram; /* (items, items) */
} product;

static void load_slab(const product *p, int64_t first, int64_t count)
{
    int64_t t, a;

    for (t = 0; t < count; t++) {
        const float *term = p->data + (first + t) * p->term_stride;

        for (a = 0; a < p->items; a++) p->slab[t * p->items + a] = term[a * p->item_stride];
    }
    for (; t < SLAB; t++) {
        for (a = 0; a < p->items; a++) p->slab[t * p->items + a] = 0;
    }
}

/* Row a of the upper half, four terms at a time, so that it is read and written only once for them. */
static void add_slab(const product *p, int64_t a)
{
    double *row = p->gram + a * p->items;
    int64_t t, b;

    for (t = 0; t < SLAB; t += 4) {
        const double *x = p->slab + t * p->items, *y = x + p->items, *z = y + p->items, *w = z + p->items;
        const double xa = x[a], ya = y[a], za = z[a], wa = w[a];

        for (b = a; b < p->items; b++) row[b] += (xa * x[b] + ya * y[b]) + (za * z[b] + wa * w[b]);
    }
}

static sslcv_status compute_gram(const sslcv_context *context, const product *p)
{
    int64_t first, a, b;
    sslcv_status status;

    for (first = 0; first < p->terms; first += SLAB) {
        status = sslcv__context_check_cancel(context);
        if (status != SSLCV_OK) return status;
        load_slab(p, first, p->terms - first < SLAB ? p->terms - first : SLAB);
        /* Rows get shorter: deal them out one by one. Each is summed by one thread, in order. */
#pragma omp parallel for schedule(static, 1)
        for (a = 0; a < p->items; a++) add_slab(p, a);
    }
    for (a = 0; a < p->items; a++) {
        for (b = 0; b < a; b++) p->gram[a * p->items + b] = p->gram[b * p->items + a];
    }
    return SSLCV_OK;
}

/* Eigenvalues below what rounding can tell from 0 are 0. */
static double entropy_rank(const double *eigenvalues, int64_t n)
{
    const double noise = eigenvalues[n - 1] * (double)n * DBL_EPSILON;
    double sum = 0, entropy = 0;
    int64_t i;

    for (i = 0; i < n; i++) {
        if (eigenvalues[i] > noise) sum += sqrt(eigenvalues[i]);
    }
    for (i = 0; i < n; i++) {
        if (eigenvalues[i] > noise) {
            const double p = sqrt(eigenvalues[i]) / sum;

            entropy -= p * log(p);
        }
    }
    return exp(entropy);
}

static sslcv_status compute_rank(sslcv_context *context, const sslcv__features *f, double *rank)
{
    const int64_t rows = f->n < RANK_ROWS ? f->n : RANK_ROWS, step = f->n / rows;
    product p = {.data = f->data, .items = f->d, .item_stride = 1, .terms = rows, .term_stride = step * f->d};
    double *values = NULL;
    sslcv_status status;

    if (rows < f->d) p = (product){f->data, rows, step * f->d, f->d, 1, NULL, NULL};
    SSLCV__TRY(sslcv__alloc_array(context, SLAB * p.items, sizeof(double), (void **)&p.slab));
    SSLCV__TRY(sslcv__alloc_array(context, p.items * p.items, sizeof(double), (void **)&p.gram));
    SSLCV__TRY(sslcv__alloc_array(context, p.items, sizeof(double), (void **)&values));
    SSLCV__TRY(compute_gram(context, &p));
    SSLCV__TRY(sslcv__eigenvalues(context, p.gram, p.items, values));
    *rank = entropy_rank(values, p.items);
end:
    sslcv__free(context, p.slab);
    sslcv__free(context, p.gram);
    sslcv__free(context, values);
    return status;
}

sslcv_status sslcv_spread_compute(sslcv_context *context, const sslcv_tensor *features, sslcv_spread *spread)
{
    sslcv_spread full = {.struct_size = sizeof full};
    sslcv__features read;
    sslcv__compute frame;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    SSLCV__TRY(sslcv__features_read(features, "features", &read));
    SSLCV__TRY(sslcv__struct_check("spread", spread, sizeof full));
    if (read.n < 2) return sslcv__invalid("features has 1 row; a spread needs at least 2");
    SSLCV__TRY(sslcv__features_check(&read, NULL, 1));
    SSLCV__TRY(sslcv__compute_begin(context, &frame));
    status = compute_std(context, &read, &full);
    if (status == SSLCV_OK) status = compute_rank(context, &read, &full.effective_rank);
    sslcv__compute_end(&frame);
    if (status == SSLCV_OK) status = sslcv__struct_fill("spread", spread, sizeof full, &full, sizeof full);
end:
    return status;
}
