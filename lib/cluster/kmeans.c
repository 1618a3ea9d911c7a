/*
 * Lloyd's rounds: each row to its nearest centre, each centre to the mean of its rows. Rows of a cluster are listed by
 * counting sort, and a cluster's sum is made by one thread, in double.
 *
 * Distances do not change when all is shifted, so the mean of the data is taken off first: |x - c|^2 comes from x.c and
 * |c|^2, which would cancel where the mean is large.
 *
 * A cluster without members, when not spherical, splits a large one as in faiss (Johnson, Douze, Jegou 2017), which
 * DeepCluster uses: it gets that one's centre, each value up or down by 1/1024 of it. Which one is drawn with
 * probability by size. In faiss the large one moves the other way; here it stays, so that the objective never rises,
 * and the signs are drawn, so that a cluster may be split twice at a time.
 */
#include "cluster/kmeans.h"

#include "cluster/nearest.h"
#include "core/checked.h"
#include "core/context.h"
#include "core/memory.h"
#include "core/openmp.h"
#include "core/rng.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const float split_step = 1.0f / 1024.0f;

/** A run. */
typedef struct run {
    sslcv__clustering c;
    const sslcv__kmeans_settings *settings;
    int64_t *starts; /* (clusters + 1): of each cluster's rows in order */
    int64_t *order;  /* (n): points by cluster, ascending within one */
    int64_t *counts; /* (clusters): members, while clusters are split */
    double *sums;    /* (threads, d) */
    float *row;      /* (threads, d) */
    int64_t empty;   /* clusters without members at the last move */
} run;

/* ---- forms ---- */

/* The mean, added up in double, column by column in the order of the rows. */
static void find_mean(run *r)
{
    const sslcv__points *p = r->c.points;
    double *sum = r->sums;
    int64_t i, j;

    memset(sum, 0, (size_t)p->d * sizeof *sum);
    for (i = 0; i < p->n; i++) {
        const float *x = p->data + (p->rows ? p->rows[i] : i) * p->d;

        for (j = 0; j < p->d; j++) sum[j] += (double)x[j];
    }
    for (j = 0; j < p->d; j++) r->c.shift[j] = (float)(sum[j] / (double)p->n);
}

static double length_of(const float *x, int64_t d)
{
    double sum = 0.0;
    int64_t j;

    for (j = 0; j < d; j++) sum += (double)x[j] * (double)x[j];
    return sqrt(sum);
}

static void find_lengths(run *r)
{
    const sslcv__points *p = r->c.points;
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < p->n; i++) {
        r->c.scale[i] = 1.0 / length_of(p->data + (p->rows ? p->rows[i] : i) * p->d, p->d);
    }
}

static void set_bias(run *r)
{
    const int64_t d = r->c.points->d;
    int64_t k;

    if (r->c.spherical) return; /* 0 */
#pragma omp parallel for schedule(static)
    for (k = 0; k < r->c.clusters; k++) {
        const double length = length_of(r->c.centres + k * d, d);

        r->c.bias[k] = (float)(-0.5 * length * length);
    }
}

/* ---- first centres ---- */

/* Different rows: the first places of a random order of all. */
static void draw_centres(run *r)
{
    sslcv__rng rng;
    int64_t k;

    sslcv__rng_init(&rng, sslcv__rng_derive(r->settings->seed, 0, SSLCV__STREAM_CLUSTERS), 0, 0);
    sslcv__rng_permutation(&rng, r->order, r->c.points->n);
    for (k = 0; k < r->c.clusters; k++) {
        sslcv__nearest_form(&r->c, r->order[k], r->c.centres + k * r->c.points->d);
    }
}

static sslcv_status take_centres(run *r, const float *given)
{
    const int64_t d = r->c.points->d;
    int64_t k, j;

    for (k = 0; k < r->c.clusters; k++) {
        const float *from = given + k * d;
        float *to = r->c.centres + k * d;
        double length = 0.0;

        for (j = 0; j < d; j++) {
            if (!isfinite(from[j])) {
                return sslcv__fail(SSLCV_ERR_NUMERIC, "centroids[%lld][%lld] is %g; must be finite", (long long)k,
                                   (long long)j, (double)from[j]);
            }
        }
        if (r->c.spherical) length = length_of(from, d);
        if (r->c.spherical && !(length > 0.0)) {
            return sslcv__fail(SSLCV_ERR_NUMERIC, "centroids[%lld] is a row of zeros, which has no direction",
                               (long long)k);
        }
        for (j = 0; j < d; j++) to[j] = r->c.spherical ? (float)((double)from[j] / length) : from[j] - r->c.shift[j];
    }
    return SSLCV_OK;
}

/* ---- moving centres ---- */

static void list_members(run *r)
{
    const int64_t n = r->c.points->n, k = r->c.clusters;
    int64_t i;

    memset(r->starts, 0, (size_t)(k + 1) * sizeof *r->starts);
    for (i = 0; i < n; i++) r->starts[r->c.nearest[i] + 1]++;
    r->empty = 0;
    for (i = 0; i < k; i++) {
        r->empty += r->starts[i + 1] == 0;
        r->starts[i + 1] += r->starts[i];
        r->counts[i] = r->starts[i];
    }
    for (i = 0; i < n; i++) r->order[r->counts[r->c.nearest[i]]++] = i;
}

/* To the mean of the members, or its direction; without members, or a direction, it stays. */
static void move_centre(run *r, int64_t k, double *sum, float *row)
{
    const int64_t d = r->c.points->d, begin = r->starts[k], end = r->starts[k + 1];
    float *centre = r->c.centres + k * d;
    double factor = 0.0;
    int64_t i, j;

    if (begin == end) return;
    memset(sum, 0, (size_t)d * sizeof *sum);
    for (i = begin; i < end; i++) {
        sslcv__nearest_form(&r->c, r->order[i], row);
        for (j = 0; j < d; j++) sum[j] += (double)row[j];
    }
    factor = 1.0 / (double)(end - begin);
    if (r->c.spherical) {
        double square = 0.0;

        for (j = 0; j < d; j++) square += sum[j] * sum[j];
        /* What rounding of the rows has left of a sum of nothing is no direction. */
        if (sqrt(square) < FLT_EPSILON * (double)(end - begin)) return;
        factor = 1.0 / sqrt(square);
    }
    for (j = 0; j < d; j++) centre[j] = (float)(sum[j] * factor);
}

static void move_centres(run *r)
{
    const int64_t d = r->c.points->d;
    int64_t k;

#pragma omp parallel for schedule(dynamic)
    for (k = 0; k < r->c.clusters; k++) {
        move_centre(r, k, r->sums + omp_get_thread_num() * d, r->row + omp_get_thread_num() * d);
    }
}

/* A cluster that can give some: drawn by its members but one. There is one, as there are no more clusters than rows. */
static int64_t draw_large(const run *r, sslcv__rng *rng, int64_t spare)
{
    int64_t left = sslcv__rng_below(rng, spare), k;

    for (k = 0; k < r->c.clusters - 1; k++) {
        if (r->counts[k] < 2) continue;
        left -= r->counts[k] - 1;
        if (left < 0) break;
    }
    return k;
}

static void split_clusters(run *r, int64_t round)
{
    const int64_t clusters = r->c.clusters, d = r->c.points->d;
    int64_t spare = r->c.points->n - (clusters - r->empty), k, j;
    sslcv__rng rng;
    uint32_t signs = 0;

    if (r->empty == 0) return;
    sslcv__rng_init(&rng, sslcv__rng_derive(r->settings->seed, (uint64_t)round + 1, SSLCV__STREAM_CLUSTERS), 0, 0);
    for (k = 0; k < clusters; k++) r->counts[k] = r->starts[k + 1] - r->starts[k];
    for (k = 0; k < clusters; k++) {
        const float *from;
        int64_t large;

        if (r->starts[k] < r->starts[k + 1]) continue;
        large = draw_large(r, &rng, spare);
        from = r->c.centres + large * d;
        for (j = 0; j < d; j++) {
            if (j % 32 == 0) signs = sslcv__rng_u32(&rng);
            r->c.centres[k * d + j] = from[j] * (signs >> j % 32 & 1 ? 1.0f + split_step : 1.0f - split_step);
        }
        r->counts[k] = r->counts[large] / 2;
        r->counts[large] -= r->counts[k];
        spare--; /* one cluster more shares the same members */
    }
}

/* ---- a run ---- */

static sslcv_status allocate(run *r)
{
    const int64_t threads = r->c.context->threads, n = r->c.points->n, d = r->c.points->d, k = r->c.clusters;
    sslcv_context *context = r->c.context;
    int64_t values;
    sslcv_status status;

    if (!sslcv__multiply(k, d, &values)) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "%lld centres of %lld values do not fit in memory", (long long)k,
                           (long long)d);
    }
    SSLCV__TRY(sslcv__alloc_array(context, values, sizeof(float), (void **)&r->c.centres));
    SSLCV__TRY(sslcv__alloc_array(context, k, sizeof(float), (void **)&r->c.bias));
    SSLCV__TRY(sslcv__alloc_array(context, n, sizeof(int32_t), (void **)&r->c.nearest));
    SSLCV__TRY(sslcv__alloc_array(context, r->c.blocks, sizeof(double), (void **)&r->c.sums));
    SSLCV__TRY(sslcv__alloc_array(context, r->c.blocks, sizeof(int64_t), (void **)&r->c.changes));
    SSLCV__TRY(sslcv__alloc_array(context, threads * r->c.scratch_floats, sizeof(float), (void **)&r->c.scratch));
    if (r->c.spherical) {
        SSLCV__TRY(sslcv__alloc_array(context, n, sizeof(double), (void **)&r->c.scale));
    } else {
        SSLCV__TRY(sslcv__alloc_array(context, d, sizeof(float), (void **)&r->c.shift));
    }
    SSLCV__TRY(sslcv__alloc_array(context, k + 1, sizeof(int64_t), (void **)&r->starts));
    SSLCV__TRY(sslcv__alloc_array(context, k, sizeof(int64_t), (void **)&r->counts));
    SSLCV__TRY(sslcv__alloc_array(context, n, sizeof(int64_t), (void **)&r->order));
    SSLCV__TRY(sslcv__alloc_array(context, threads * d, sizeof(double), (void **)&r->sums));
    SSLCV__TRY(sslcv__alloc_array(context, threads * d, sizeof(float), (void **)&r->row));
end:
    return status;
}

static void free_run(run *r)
{
    sslcv_context *context = r->c.context;

    sslcv__free(context, r->c.centres);
    sslcv__free(context, r->c.bias);
    sslcv__free(context, r->c.nearest);
    sslcv__free(context, r->c.sums);
    sslcv__free(context, r->c.changes);
    sslcv__free(context, r->c.scratch);
    sslcv__free(context, r->c.scale);
    sslcv__free(context, r->c.shift);
    sslcv__free(context, r->starts);
    sslcv__free(context, r->counts);
    sslcv__free(context, r->order);
    sslcv__free(context, r->sums);
    sslcv__free(context, r->row);
}

static sslcv_status begin(run *r, const float *centres)
{
    int64_t i;

    if (r->c.spherical) {
        find_lengths(r);
    } else {
        find_mean(r);
    }
    for (i = 0; i < r->c.points->n; i++) r->c.nearest[i] = -1;
    if (r->settings->warm_start) return take_centres(r, centres);
    draw_centres(r);
    return SSLCV_OK;
}

static sslcv_status iterate(run *r, double *history, sslcv__kmeans_result *result)
{
    const int64_t iterations = r->settings->iterations;
    int64_t round, changed;
    sslcv_status status;

    for (round = 0;; round++) {
        set_bias(r);
        SSLCV__TRY(sslcv__nearest_find(&r->c, &result->objective, &changed));
        if (history) history[round] = result->objective;
        list_members(r);
        /* The same members have the same means, so all further rounds would end as this one, but for splits. */
        if (round == iterations || (changed == 0 && (r->c.spherical || r->empty == 0))) break;
        move_centres(r);
        if (!r->c.spherical) split_clusters(r, round);
    }
    result->rounds = round + 1;
    result->used = r->c.clusters - r->empty;
    for (; history && round < iterations; round++) history[round + 1] = result->objective;
end:
    return status;
}

static void hand_out(const run *r, float *centres, int64_t *assignments)
{
    const int64_t d = r->c.points->d;
    int64_t i, j;

    for (i = 0; i < r->c.points->n; i++) assignments[i] = r->c.nearest[i];
    for (i = 0; i < r->c.clusters; i++) {
        for (j = 0; j < d; j++) centres[i * d + j] = r->c.centres[i * d + j] + (r->c.shift ? r->c.shift[j] : 0.0f);
    }
}

sslcv_status sslcv__kmeans(sslcv_context *context, const sslcv__points *points, const sslcv__kmeans_settings *settings,
                           float *centres, int64_t *assignments, double *history, sslcv__kmeans_result *result)
{
    run r = {.settings = settings};
    sslcv_status status;

    r.c.context = context;
    r.c.points = points;
    r.c.clusters = settings->clusters;
    r.c.spherical = settings->spherical;
    sslcv__nearest_plan(&r.c);
    SSLCV__TRY(allocate(&r));
    SSLCV__TRY(begin(&r, centres));
    SSLCV__TRY(iterate(&r, history, result));
    hand_out(&r, centres, assignments);
end:
    free_run(&r);
    return status;
}
