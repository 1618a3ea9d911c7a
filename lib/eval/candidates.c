#include "eval/candidates.h"

#include "core/simd.h"

#include <math.h>

enum {
    SPARE = 512, /* candidates beyond 2 k */
    HALVES = 20, /* steps towards the k-th largest product */
    FEW = 16,    /* so near is near enough: k / FEW more */
    LANES = 16,  /* also the floats of a cache line */
    AHEAD = 2    /* candidates whose rows are fetched while one is scored: they lie anywhere */
};

/* Products of two f32 are exact in double. Summed in one order: LANES interleaved sums, their halves, then the rest. */
SSLCV__CLONES static double dot(const float *a, const float *b, int64_t d)
{
    double lane[LANES] = {0.0}, rest = 0.0;
    int64_t i;
    int l, half;

    for (i = 0; i + LANES <= d; i += LANES) {
        for (l = 0; l < LANES; l++) lane[l] += (double)a[i + l] * (double)b[i + l];
    }
    for (; i < d; i++) rest += (double)a[i] * (double)b[i];
    for (half = LANES / 2; half > 0; half /= 2) {
        for (l = 0; l < half; l++) lane[l] += lane[l + half];
    }
    return lane[0] + rest;
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

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t sslcv__candidates_room(int64_t n, int64_t k)
{
    return smaller(n + 1, k <= n / 2 ? 2 * k + SPARE : n + 1);
}

/* A sum of d products in f32, in whatever order, is off by at most d u |x||y| to first order, where both lengths are 1;
   the rest covers the second order, the rounding of x and y, and flushed denormals. */
double sslcv__candidates_margin(int64_t d)
{
    const double unit_roundoff = 1.0 / (1 << 24);

    return 1.01 * (double)(d + 16) * unit_roundoff;
}

void sslcv__candidates_clear(sslcv__candidates *c)
{
    c->size = 0;
    c->least = -INFINITY;
}

/* Rounded downwards, so that no candidate is lost. */
static void raise_least(sslcv__candidates *c, double least)
{
    float rounded = (float)least;

    if ((double)rounded > least) rounded = nextafterf(rounded, -INFINITY);
    if (rounded > c->least) c->least = rounded;
}

SSLCV__CLONES static int64_t count_from(const float *x, int64_t n, float least)
{
    int64_t count = 0, i;

    for (i = 0; i < n; i++) count += x[i] >= least;
    return count;
}

/* A value that at least k products are not below, and few more. By halves: each is a look at all without a branch. */
static float near_largest(const sslcv__candidate_rule *rule, const sslcv__candidates *c)
{
    const float bound = 1.0f + 2.0f * (float)rule->margin; /* of rows of length 1 */
    float low = c->least > -bound ? c->least : -bound, high = bound;
    int64_t i;

    for (i = 0; i < HALVES; i++) {
        const float middle = low + (high - low) / 2;
        const int64_t count = count_from(c->products, c->size, middle);

        if (count < rule->k) {
            high = middle;
            continue;
        }
        low = middle;
        if (count <= rule->k + rule->k / FEW) break;
    }
    return low;
}

/* Keep what may be among the nearest, as far as products can tell; in the order of rows. */
static void thin_out(const sslcv__candidate_rule *rule, sslcv__candidates *c)
{
    int64_t kept = 0, i;

    if (c->size <= rule->k) return;
    raise_least(c, near_largest(rule, c) - 2 * rule->margin);
    for (i = 0; i < c->size; i++) {
        const float product = c->products[i];

        c->products[kept] = product;
        c->indices[kept] = c->indices[i];
        kept += product >= c->least;
    }
    c->size = kept;
}

static void fetch(const sslcv__candidate_rule *rule, const sslcv__candidates *c, int64_t i)
{
    const float *row = rule->rows + c->indices[i] * rule->d;
    int64_t j;

    for (j = 0; j < rule->d; j += LANES) __builtin_prefetch(row + j);
}

static void score(const sslcv__candidate_rule *rule, sslcv__candidates *c)
{
    int64_t i;

    for (i = 0; i < smaller(AHEAD, c->size); i++) fetch(rule, c, i);
    for (i = 0; i < c->size; i++) {
        if (i + AHEAD < c->size) fetch(rule, c, i + AHEAD);
        c->nearest[i].index = c->indices[i];
        c->nearest[i].similarity = dot(c->unit, rule->rows + c->indices[i] * rule->d, rule->d);
    }
    c->found = smaller(rule->k, c->size);
    bring_forward(c->nearest, c->size, c->found);
}

/* Similarities take the place of products, which they are nearer to than the margin, too. */
static void keep_nearest(const sslcv__candidate_rule *rule, sslcv__candidates *c)
{
    int64_t i;

    score(rule, c);
    for (i = 0; i < c->found; i++) {
        c->products[i] = (float)c->nearest[i].similarity;
        c->indices[i] = c->nearest[i].index;
    }
    c->size = c->found;
    raise_least(c, furthest_of(c->nearest, c->found) - rule->margin);
}

void sslcv__candidates_add(const sslcv__candidate_rule *rule, sslcv__candidates *c, float product, int64_t index)
{
    c->products[c->size] = product;
    c->indices[c->size++] = index;
    if (c->size < rule->room) return;
    thin_out(rule, c);
    if (c->size > rule->room - rule->room / 4) keep_nearest(rule, c);
}

void sslcv__candidates_settle(const sslcv__candidate_rule *rule, sslcv__candidates *c)
{
    thin_out(rule, c);
    score(rule, c);
}

void sslcv__candidates_join(const sslcv__candidate_rule *rule, sslcv__candidates *c, const sslcv__candidates *others)
{
    int64_t i;

    /* Of different rows, and at most k on either side: there is room. */
    for (i = 0; i < others->found; i++) c->nearest[c->found++] = others->nearest[i];
    if (c->found <= rule->k) return;
    bring_forward(c->nearest, c->found, rule->k);
    c->found = rule->k;
}

void sslcv__candidates_sort(sslcv__candidates *c)
{
    sort(c->nearest, c->found);
}
