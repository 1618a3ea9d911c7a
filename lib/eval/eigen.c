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
 */
#include "eval/eigen.h"

#include "core/context.h"
#include "core/memory.h"

#include <float.h>
#include <math.h>

typedef struct tridiagonal {
    int64_t n;
    double *diagonal; /* n */
    double *squares;  /* n: of the entry left of the diagonal; [0] is 0 */
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
    }
    t->diagonal[0] = a[0];
    t->squares[0] = 0;
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

sslcv_status sslcv__eigenvalues(sslcv_context *context, double *matrix, int64_t n, double *values)
{
    tridiagonal t = {.n = n};
    double *q = NULL; /* n */
    double bound;
    int64_t k;
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(context, n, sizeof(double), (void **)&t.diagonal));
    SSLCV__TRY(sslcv__alloc_array(context, n, sizeof(double), (void **)&t.squares));
    SSLCV__TRY(sslcv__alloc_array(context, n, sizeof(double), (void **)&q));
    SSLCV__TRY(reduce(context, matrix, q, &t));
    bound = bound_of(&t);
#pragma omp parallel for schedule(static)
    for (k = 0; k < n; k++) values[k] = bisect(&t, k, -bound, bound, bound * DBL_EPSILON);
end:
    sslcv__free(context, t.diagonal);
    sslcv__free(context, t.squares);
    sslcv__free(context, q);
    return status;
}
