/*
 * Two steps (Golub and Van Loan, "Matrix Computations", sections 8.3 and 8.4):
 *
 *   1. Householder reflections make the matrix tridiagonal, from the last row up. With v the part of row i left of the
 *      diagonal, changed so that (I - v v^T / h) maps the row to one entry:
 *
 *          p = A v / h,  q = p - (v.p / 2h) v,  A <- A - v q^T - q v^T       on rows and columns 0 .. i - 1
 *
 *   2. Bisection: the number of eigenvalues below x is the number of negative pivots of T - x I. It can't fail to
 *      converge, every value is found by itself, and costs 60 n.
 *   3. For vectors, inverse iteration: y <- (T - x I)^-1 y from random ones, kept orthogonal to those of all values
 *      near by, as in LAPACK's dstein. Then the reflections once more, on y, in the opposite order. They still stand in
 *      the matrix: v in row i, and h is v.v / 2.
 */
#include "eval/eigen.h"

#include "core/context.h"
#include "core/memory.h"
#include "core/rng.h"

#include <float.h>
#include <math.h>
#include <string.h>

typedef struct tridiagonal {
    int64_t n;
    double *diagonal; /* n */
    double *squares;  /* n: of the entry left of the diagonal; [0] is 0 */
    double *left;     /* n: those entries */
} tridiagonal;

static double dot(const double *a, const double *b, int64_t n)
{
    double even = 0, odd = 0;
    int64_t i;

    for (i = 0; i + 2 <= n; i += 2) {
        even += a[i] * b[i];
        odd += a[i + 1] * b[i + 1];
    }
    return i < n ? even + odd + a[i] * b[i] : even + odd;
}

/* v in place of a row's first i entries; returns h = v.v / 2 and the entry that is left, 0 when nothing is to do. */
static double make_reflection(double *v, int64_t i, double *entry)
{
    const double norm = sqrt(dot(v, v, i));

    *entry = v[i - 1] > 0 ? -norm : norm;
    if (norm == 0) return 0;
    v[i - 1] -= *entry;
    return norm * norm - *entry * (v[i - 1] + *entry);
}

static void reflect(double *a, int64_t n, int64_t i, const double *v, double h, double *q)
{
    double scale;
    int64_t r, c;

#pragma omp parallel for schedule(static)
    for (r = 0; r < i; r++) q[r] = dot(a + r * n, v, i) / h;
    scale = dot(v, q, i) / (2 * h);
    for (r = 0; r < i; r++) q[r] -= scale * v[r];
#pragma omp parallel for schedule(static) private(c)
    for (r = 0; r < i; r++) {
        double *row = a + r * n;

        for (c = 0; c < i; c++) row[c] -= v[r] * q[c] + q[r] * v[c];
    }
}

static sslcv_status reduce(const sslcv_context *context, double *a, double *q, tridiagonal *t)
{
    const int64_t n = t->n;
    int64_t i;
    sslcv_status status;

    for (i = n - 1; i > 0; i--) {
        double *v = a + i * n, entry, h;

        status = sslcv__context_check_cancel(context);
        if (status != SSLCV_OK) return status;
        t->diagonal[i] = v[i];
        h = make_reflection(v, i, &entry);
        if (i > 1 && h > 0) reflect(a, n, i, v, h, q);
        t->squares[i] = entry * entry;
        t->left[i] = i > 1 ? entry : -entry; /* the last one is not reflected */
    }
    t->diagonal[0] = a[0];
    t->squares[0] = t->left[0] = 0;
    return SSLCV_OK;
}

/* Eigenvalues below x. */
static int64_t count_below(const tridiagonal *t, double x, double tiny)
{
    double pivot = 1;
    int64_t below = 0, i;

    for (i = 0; i < t->n; i++) {
        pivot = t->diagonal[i] - x - t->squares[i] / pivot;
        if (fabs(pivot) < tiny) pivot = -tiny;
        below += pivot < 0;
    }
    return below;
}

/* The eigenvalue that k others are not above. */
static double bisect(const tridiagonal *t, int64_t k, double low, double high, double tolerance)
{
    const double tiny = tolerance * DBL_EPSILON + DBL_MIN;

    while (high - low > tolerance) {
        const double middle = low + (high - low) / 2;

        if (middle <= low || middle >= high) break;
        if (count_below(t, middle, tiny) > k) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return low + (high - low) / 2;
}

/* Gershgorin: all eigenvalues lie within +- this. */
static double bound_of(const tridiagonal *t)
{
    double bound = 0;
    int64_t i;

    for (i = 0; i < t->n; i++) {
        const double left = sqrt(t->squares[i]), right = i + 1 < t->n ? sqrt(t->squares[i + 1]) : 0;

        bound = fmax(bound, fabs(t->diagonal[i]) + left + right);
    }
    return bound;
}

enum { TRIDIAGONAL_ROOM = 4 }; /* doubles for each row */

static sslcv_status tridiagonalize(sslcv_context *context, double *matrix, int64_t n, double *room, tridiagonal *t)
{
    memset(room, 0, (size_t)(TRIDIAGONAL_ROOM * n) * sizeof *room);
    *t = (tridiagonal){.n = n, .diagonal = room, .squares = room + n, .left = room + 2 * n};
    return reduce(context, matrix, room + 3 * n, t);
}

sslcv_status sslcv__eigenvalues(sslcv_context *context, double *matrix, int64_t n, double *values)
{
    tridiagonal t;
    double bound, *room = NULL;
    int64_t k;
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(context, n, TRIDIAGONAL_ROOM * sizeof *room, (void **)&room));
    SSLCV__TRY(tridiagonalize(context, matrix, n, room, &t));
    bound = bound_of(&t);
#pragma omp parallel for schedule(static)
    for (k = 0; k < n; k++) values[k] = bisect(&t, k, -bound, bound, bound * DBL_EPSILON);
end:
    sslcv__free(context, room);
    return status;
}

/* ---- vectors ---- */

/** T - x I = P L U, one row of each. U has three diagonals, as rows change places. */
typedef struct factor {
    double pivot, next, second; /* of U */
    double multiplier;          /* of L */
    int32_t swapped;            /* with the row below */
    int32_t reserved;
} factor;

static void factorize(const tridiagonal *t, double x, double tiny, factor *f)
{
    double pivot = t->diagonal[0] - x, next = t->n > 1 ? t->left[1] : 0;
    int64_t i;

    for (i = 0; i < t->n; i++) {
        const int is_last = i + 1 == t->n;
        const double below = is_last ? 0 : t->left[i + 1], diagonal = is_last ? 0 : t->diagonal[i + 1] - x;
        const double beyond = i + 2 < t->n ? t->left[i + 2] : 0;

        if (fabs(below) > fabs(pivot)) {
            f[i] = (factor){below, diagonal, beyond, pivot / below, 1, 0};
            pivot = next - f[i].multiplier * diagonal;
            next = -f[i].multiplier * beyond;
        } else {
            if (fabs(pivot) < tiny) pivot = pivot < 0 ? -tiny : tiny;
            f[i] = (factor){pivot, next, 0, below / pivot, 0, 0};
            pivot = diagonal - f[i].multiplier * next;
            next = beyond;
        }
    }
}

static void solve(const factor *f, int64_t n, double *y)
{
    int64_t i;

    for (i = 0; i + 1 < n; i++) {
        if (f[i].swapped) {
            const double kept = y[i];

            y[i] = y[i + 1];
            y[i + 1] = kept - f[i].multiplier * y[i];
        } else {
            y[i + 1] -= f[i].multiplier * y[i];
        }
    }
    for (i = n - 1; i >= 0; i--) {
        double sum = y[i];

        if (i + 1 < n) sum -= f[i].next * y[i + 1];
        if (i + 2 < n) sum -= f[i].second * y[i + 2];
        y[i] = sum / f[i].pivot;
    }
}

/* Largest value first, so that no square leaves the range of double. */
static void normalize(double *y, int64_t n)
{
    double largest = 0, length;
    int64_t i;

    for (i = 0; i < n; i++) largest = fmax(largest, fabs(y[i]));
    for (i = 0; i < n; i++) y[i] /= largest;
    length = sqrt(dot(y, y, n));
    for (i = 0; i < n; i++) y[i] /= length;
}

static void make_orthogonal(const double *vectors, int64_t count, int64_t n, double *y)
{
    int64_t k, i;

    for (k = 0; k < count; k++) {
        const double *v = vectors + k * n, along = dot(v, y, n);

        for (i = 0; i < n; i++) y[i] -= along * v[i];
    }
}

/* Vectors of T, for values in descending order. */
static sslcv_status iterate(const sslcv_context *context, const tridiagonal *t, const double *values, int64_t count,
                            factor *f, double *vectors)
{
    enum { ROUNDS = 4 };
    const double bound = bound_of(t), near = 1e-3 * bound, tiny = DBL_EPSILON * bound + DBL_MIN;
    const int64_t n = t->n;
    int64_t group = 0, k, i;
    double x = 0;

    for (k = 0; k < count; k++) {
        const sslcv_status status = sslcv__context_check_cancel(context);
        double *y = vectors + k * n;
        sslcv__rng rng;
        int round;

        if (status != SSLCV_OK) return status;
        if (k > 0 && values[k - 1] - values[k] > near) group = k;
        /* Equal values are told apart a little, or all rounds would lead to one vector. */
        x = k > group ? fmin(values[k], x - 10 * DBL_EPSILON * fabs(x) - DBL_MIN) : values[k];
        factorize(t, x, tiny, f);
        sslcv__rng_init(&rng, 1, (uint64_t)k, 0);
        for (i = 0; i < n; i++) y[i] = sslcv__rng_uniform(&rng) - 0.5;
        for (round = 0; round < ROUNDS; round++) {
            solve(f, n, y);
            normalize(y, n);
            make_orthogonal(vectors + group * n, k - group, n, y);
            make_orthogonal(vectors + group * n, k - group, n, y);
            normalize(y, n);
        }
    }
    return SSLCV_OK;
}

/* From vectors of T to those of the matrix: its reflections, some vectors at a time, so that each is read seldom. */
static void reflect_back(const double *a, int64_t n, double *vectors, int64_t count)
{
    enum { CHUNK = 8 };
    int64_t first;

#pragma omp parallel for schedule(dynamic)
    for (first = 0; first < count; first += CHUNK) {
        const int64_t end = first + CHUNK < count ? first + CHUNK : count;
        int64_t i, k, j;

        for (i = 2; i < n; i++) {
            const double *v = a + i * n, h = dot(v, v, i) / 2;

            if (!(h > 0)) continue;
            for (k = first; k < end; k++) {
                double *y = vectors + k * n;
                const double along = dot(v, y, i) / h;

                for (j = 0; j < i; j++) y[j] -= along * v[j];
            }
        }
    }
}

_Static_assert(SSLCV__EIGEN_ROOM * sizeof(double) == TRIDIAGONAL_ROOM * sizeof(double) + sizeof(factor), "room");

sslcv_status sslcv__eigenvectors(sslcv_context *context, double *matrix, int64_t n, int64_t k, double *values,
                                 double *vectors, double *room)
{
    factor *f = (factor *)(room + TRIDIAGONAL_ROOM * n);
    tridiagonal t;
    double bound;
    int64_t i;
    sslcv_status status;

    SSLCV__TRY(tridiagonalize(context, matrix, n, room, &t));
    bound = bound_of(&t);
#pragma omp parallel for schedule(static)
    for (i = 0; i < k; i++) values[i] = bisect(&t, n - 1 - i, -bound, bound, bound * DBL_EPSILON);
    SSLCV__TRY(iterate(context, &t, values, k, f, vectors));
    reflect_back(matrix, n, vectors, k);
end:
    return status;
}
