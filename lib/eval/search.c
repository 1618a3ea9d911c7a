/*
 * Queries go in blocks, rows in tiles:
 *
 *                rows   0 .. TILE   TILE .. 2 TILE   ...
 *     query 0         |  product  |
 *     query 1         |  by gemm  |       ->  each query collects candidates: rows that may be among its k nearest
 *     ...             |           |
 *
 * A product in f32 is off by some margin at most. If the k-th best value so far is v, k rows have similarities of at
 * least v - margin, so a row whose product is below v - 2 margin is not among the nearest. When a query's room for
 * candidates is full they are thinned out by that rule; the few that are left at the end are scored in double. Where
 * products tell too little apart for that to make room, candidates are scored earlier, and only k are kept.
 */
#include "eval/search.h"

#include "core/context.h"
#include "core/memory.h"
#include "dnn/dnn.h"

#include <math.h>

enum {
    TILE = 2048,               /* rows */
    MOST_QUERIES = 128,        /* a block */
    MOST_CANDIDATES = 1 << 20, /* of all queries of a block: 16 MiB */
    SPARE = 512                /* candidates beyond 2 k */
};

/* Products of two f32 are exact in double. Summed in one order: four interleaved sums, named so that they stay in
   registers, then those. */
static double dot(const float *a, const float *b, int64_t d)
{
    double sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
    int64_t i;

    for (i = 0; i + 4 <= d; i += 4) {
        sum0 += (double)a[i] * (double)b[i];
        sum1 += (double)a[i + 1] * (double)b[i + 1];
        sum2 += (double)a[i + 2] * (double)b[i + 2];
        sum3 += (double)a[i + 3] * (double)b[i + 3];
    }
    for (; i < d; i++) sum0 += (double)a[i] * (double)b[i];
    return (sum0 + sum1) + (sum2 + sum3);
}

static int is_nearer(sslcv__neighbour a, sslcv__neighbour b)
{
    return a.similarity > b.similarity || (a.similarity == b.similarity && a.index < b.index);
}

/* heap[0] is the furthest; a parent is never nearer than its children. */
static void sift_down(sslcv__neighbour *heap, int64_t size, int64_t at)
{
    for (;;) {
        const int64_t left = 2 * at + 1;
        const sslcv__neighbour moved = heap[at];
        int64_t further = left;

        if (left >= size) return;
        if (left + 1 < size && is_nearer(heap[left], heap[left + 1])) further = left + 1;
        if (!is_nearer(moved, heap[further])) return;
        heap[at] = heap[further];
        heap[further] = moved;
        at = further;
    }
}

/* Nearest first. Heap sort: in place, and never worse than n log n. */
static void sort(sslcv__neighbour *items, int64_t size)
{
    int64_t i;

    for (i = size / 2 - 1; i >= 0; i--) sift_down(items, size, i);
    while (size > 1) {
        const sslcv__neighbour furthest = items[0];

        size--;
        items[0] = items[size];
        items[size] = furthest;
        sift_down(items, size, 0);
    }
}

static void swap(sslcv__neighbour *a, sslcv__neighbour *b)
{
    const sslcv__neighbour kept = *a;

    *a = *b;
    *b = kept;
}

/* Bring the k nearest to the front, in any order: quickselect, about 3 n steps. 1 <= k <= size. */
static void bring_forward(sslcv__neighbour *items, int64_t size, int64_t k)
{
    int64_t low = 0, high = size - 1;

    while (low < high) {
        const sslcv__neighbour pivot = items[low + (high - low) / 2];
        int64_t left = low, right = high;

        /* Nearer ones to the left of right, further ones to the right of left. */
        while (left <= right) {
            while (is_nearer(items[left], pivot)) left++;
            while (is_nearer(pivot, items[right])) right--;
            if (left <= right) swap(&items[left++], &items[right--]);
        }
        if (k - 1 <= right) {
            high = right;
        } else if (k - 1 >= left) {
            low = left;
        } else {
            return;
        }
    }
}

/* The furthest of the first k. */
static double furthest_of(const sslcv__neighbour *items, int64_t k)
{
    double least = items[0].similarity;
    int64_t i;

    for (i = 1; i < k; i++) {
        if (items[i].similarity < least) least = items[i].similarity;
    }
    return least;
}

/* Keep what may be among the nearest, as far as products can tell. */
static void thin_out(const sslcv__search *search, sslcv__query *query)
{
    int64_t kept = search->k, i;
    double least;

    if (query->size <= search->k) return;
    bring_forward(query->candidates, query->size, search->k);
    least = furthest_of(query->candidates, search->k) - 2 * search->margin;
    for (i = kept; i < query->size; i++) {
        if (query->candidates[i].similarity >= least) query->candidates[kept++] = query->candidates[i];
    }
    query->size = kept;
    if (least > query->least) query->least = least;
}

/* Score the candidates in double, and keep the k nearest. */
static void settle(const sslcv__search *search, sslcv__query *query)
{
    double least;
    int64_t i;

    for (i = 0; i < query->size; i++) {
        sslcv__neighbour *candidate = &query->candidates[i];

        candidate->similarity = dot(query->unit, search->rows + candidate->index * search->d, search->d);
    }
    if (query->size < search->k) return;
    bring_forward(query->candidates, query->size, search->k);
    query->size = search->k;
    least = furthest_of(query->candidates, search->k) - search->margin;
    if (least > query->least) query->least = least;
}

/* What rows first .. first + count - 1 have for one query. */
static void collect(const sslcv__search *search, sslcv__query *query, const float *products, int64_t first,
                    int64_t count, int64_t excluded)
{
    int64_t i;

    for (i = 0; i < count; i++) {
        if ((double)products[i] < query->least || first + i == excluded) continue;
        query->candidates[query->size++] = (sslcv__neighbour){products[i], first + i};
        if (query->size < search->room) continue;
        thin_out(search, query);
        if (query->size > search->room - search->room / 4) settle(search, query);
    }
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

sslcv_status sslcv__search_begin(sslcv_context *context, const float *rows, int64_t n, int64_t d, int64_t k,
                                 int64_t num_queries, sslcv__search *search)
{
    const double unit_roundoff = 1.0 / (1 << 24);
    const int64_t room = smaller(n + 1, k <= n / 2 ? 2 * k + SPARE : n + 1);
    const int64_t block = smaller(smaller(num_queries, MOST_QUERIES), 1 + MOST_CANDIDATES / room);
    int64_t i;
    sslcv_status status;

    *search = (sslcv__search){.context = context, .rows = rows, .n = n, .d = d, .k = k, .room = room, .block = block};
    /* A sum of d products in f32, in whatever order, is off by at most d u |x||y| to first order, where both lengths
       are 1; the rest covers the second order, the rounding of x and y, and flushed denormals. */
    search->margin = 1.01 * (double)(d + 16) * unit_roundoff;
    SSLCV__TRY(sslcv__alloc_array(context, block * d, sizeof(float), (void **)&search->units));
    SSLCV__TRY(sslcv__alloc_array(context, block * TILE, sizeof(float), (void **)&search->tile));
    SSLCV__TRY(sslcv__alloc_array(context, block, sizeof *search->queries, (void **)&search->queries));
    SSLCV__TRY(sslcv__alloc_array(context, block * room, sizeof *search->candidates, (void **)&search->candidates));
    for (i = 0; i < block; i++) {
        search->queries[i].unit = search->units + i * d;
        search->queries[i].candidates = search->candidates + i * room;
    }
end:
    return status;
}

void sslcv__search_end(sslcv__search *search)
{
    sslcv__free(search->context, search->units);
    sslcv__free(search->context, search->tile);
    sslcv__free(search->context, search->queries);
    sslcv__free(search->context, search->candidates);
}

sslcv_status sslcv__search_run(sslcv__search *search, const sslcv__features *queries, int64_t first, int64_t count,
                               const int64_t *exclude)
{
    static const sslcv__row_form length = {.kind = SSLCV_STANDARDIZE_LENGTH};
    const int64_t d = search->d;
    int64_t at, i;
    sslcv_status status;

    sslcv__features_gather(queries, &length, NULL, first, count, search->units);
    for (i = 0; i < count; i++) {
        search->queries[i].size = 0;
        search->queries[i].least = -INFINITY;
    }
    for (at = 0; at < search->n; at += TILE) {
        const int64_t rows = smaller(TILE, search->n - at);

        status = sslcv__context_check_cancel(search->context);
        if (status != SSLCV_OK) return status;
        status =
            sslcv__gemm(0, 1, count, rows, d, 1, search->units, d, search->rows + at * d, d, 0, search->tile, TILE);
        if (status != SSLCV_OK) return status;
#pragma omp parallel for schedule(static)
        for (i = 0; i < count; i++) {
            collect(search, &search->queries[i], search->tile + i * TILE, at, rows, exclude ? exclude[first + i] : -1);
        }
    }
#pragma omp parallel for schedule(static)
    for (i = 0; i < count; i++) {
        sslcv__query *query = &search->queries[i];

        thin_out(search, query);
        settle(search, query);
        sort(query->candidates, query->size);
    }
    return SSLCV_OK;
}
