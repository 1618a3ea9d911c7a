/**
 * Squares of products of columns, without the (dim, dim) array.
 *
 * M = A^T B has dim^2 elements, most of them superfluous when there are fewer rows than columns: the sum of all their
 * squares is
 *
 *     |A^T B|^2 = trace(B^T A A^T B) = sum over r, s of (A A^T)_rs (B B^T)_rs
 *
 * of two arrays of rows^2, and so is the gradient, B M^T = (B B^T) A. The diagonal is then taken away:
 *
 *                      sum                                     diff_a                       operations
 *     by rows      <A A^T, B B^T> - sum of M_ii^2         (B B^T) A - B diag(M)         8 rows^2 dim
 *     by columns   sum over i != j of M_ij^2              B M'^T                        6 rows dim^2
 *
 * At 256 rows of 8192 the first is 24 times as fast. It loses digits when the diagonal makes up nearly all of the sum,
 * which it cannot do as long as the columns are of similar length and there are fewer rows: M has rank rows - 1, and
 * dim elements of its diagonal need more than that. Where it does happen (a few columns much longer than the rest), the
 * sum is made by columns after all.
 *
 * Both go in blocks of rows of their square arrays, so that memory does not grow with the square:
 *
 *     by rows      for each block R of rows:       K_a = A_R A^T, K_b = B_R B^T, diff_a_R = K_b A, diff_b_R = K_a B
 *     by columns   for each block I of columns:    M_I = A_I^T B, diff_a_I = B M_I^T, diff_b += A_I M_I
 */
#include "loss/correlation.h"

#include "core/simd.h"
#include "dnn/dnn.h"

enum { LANES = 16, LINE = 16 };    /* LINE: floats of a cache line */
enum { BLOCK_FLOATS = 1 << 22 };   /* 16 MiB */
enum { LARGEST_LOSS_OF_SUM = 16 }; /* the sum by rows may be this much smaller than what it is a difference of */

/* ---- columns ---- */

int64_t sslcv__correlation_stride(int64_t dim)
{
    return ((dim + LINE - 1) / LINE | 1) * LINE;
}

/* Distances are from the first row: no farther from the mean than the variance allows, so that in double the square of
   that distance can be taken away. */
SSLCV__CLONES static void add_moments(const float *x, const float *first, int64_t count, double *sum, double *square)
{
    int64_t j;

    for (j = 0; j < count; j++) {
        const double d = (double)x[j] - (double)first[j];

        sum[j] += d;
        square[j] += d * d;
    }
}

void sslcv__column_moments(const float *x, int64_t rows, int64_t dim, int64_t from, int64_t count, double *mean,
                           double *squares)
{
    int64_t i, j;

    for (j = 0; j < count; j++) mean[j] = squares[j] = 0.0;
    for (i = 1; i < rows; i++) add_moments(x + i * dim + from, x + from, count, mean, squares);
    for (j = 0; j < count; j++) {
        const double offset = mean[j] / (double)rows, rest = squares[j] - mean[j] * offset;

        squares[j] = rest > 0.0 ? rest : 0.0;
        mean[j] = (double)x[from + j] + offset;
    }
}

sslcv_status sslcv__correlation_check(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const sslcv__loss_input *in = &job->inputs[0];
    const sslcv_status status = sslcv__loss_check_positions(loss, job);

    if (status != SSLCV_OK) return status;
    if (in->views != 2) {
        return sslcv__invalid("inputs[0] has %lld view%s; %s takes 2", (long long)in->views, in->views == 1 ? "" : "s",
                              loss->kind->name);
    }
    if (in->samples < 2) return sslcv__invalid("inputs[0] has 1 sample; %s needs 2 or more", loss->kind->name);
    return SSLCV_OK;
}

/* ---- memory ---- */

static int64_t rows_of_block(int64_t length, int64_t rows)
{
    const int64_t fit = BLOCK_FLOATS / length;

    return fit < 1 ? 1 : (fit > rows ? rows : fit);
}

int sslcv__correlation_place(void *base, int64_t *offset, int64_t rows, int64_t dim, sslcv__correlation_blocks *blocks)
{
    const int64_t square = sslcv__correlation_stride(rows), wide = sslcv__correlation_stride(dim);
    const int64_t by_rows = rows_of_block(2 * square, rows), by_columns = rows_of_block(wide, dim);
    const int64_t first = by_rows * 2 * square, second = by_columns * wide;

    return sslcv__loss_place(base, offset, first > second ? first : second, sizeof(float), &blocks->memory) &&
           sslcv__loss_place(base, offset, by_rows > by_columns ? by_rows : by_columns, sizeof(double), &blocks->sums);
}

static int lay_out(const sslcv__loss_job *job, void *base, sslcv__correlation_memory *m, int64_t *bytes)
{
    const int64_t n = job->samples, d = job->inputs[0].dim;
    int64_t v;
    int fits = 1;

    *bytes = 0;
    m->stride = sslcv__correlation_stride(d);
    for (v = 0; v < 2; v++) {
        fits = fits && sslcv__loss_place(base, bytes, n * m->stride, sizeof(float), &m->views[v]) &&
               sslcv__loss_place(base, bytes, n * m->stride, sizeof(float), &m->diffs[v]);
    }
    return fits && sslcv__loss_place(base, bytes, 2 * d, sizeof(double), &m->by_view) &&
           sslcv__loss_place(base, bytes, d, sizeof(double), &m->by_column) &&
           sslcv__correlation_place(base, bytes, n, d, &m->blocks);
}

sslcv_status sslcv__correlation_bytes(const sslcv_loss *loss, const sslcv__loss_job *job, int64_t *bytes)
{
    sslcv__correlation_memory memory;

    return sslcv__loss_placed(loss, job, lay_out(job, NULL, &memory, bytes));
}

sslcv__correlation_memory sslcv__correlation_memory_of(const sslcv__loss_job *job)
{
    sslcv__correlation_memory memory;
    int64_t bytes;

    lay_out(job, job->memory, &memory, &bytes);
    return memory;
}

/* Rows of a product are float sums of their own: each is cut into short chains. */
SSLCV__CLONES static double products_of(const float *x, const float *y, int64_t count)
{
    double lane[LANES] = {0.0}, sum = 0.0;
    int64_t j;
    int l;

    for (j = 0; j + LANES <= count; j += LANES) {
        for (l = 0; l < LANES; l++) lane[l] += (double)x[j + l] * (double)y[j + l];
    }
    for (; j < count; j++) sum += (double)x[j] * (double)y[j];
    for (l = 0; l < LANES; l++) sum += lane[l];
    return sum;
}

SSLCV__CLONES static void take_away(const float *x, const double *factors, int64_t count, float *y)
{
    int64_t j;

    for (j = 0; j < count; j++) y[j] = (float)((double)y[j] - factors[j] * (double)x[j]);
}

static double add_up(const double *sums, int64_t count)
{
    double sum = 0.0;
    int64_t i;

    for (i = 0; i < count; i++) sum += sums[i];
    return sum;
}

/* ---- by rows ---- */

/* diff <- gram x - x' diag, for the rows of a block. */
static sslcv_status differentiate_rows(const sslcv__correlation *c, const float *gram, const float *x,
                                       const float *diagonal_of, int64_t from, int64_t count, float *diff)
{
    const int64_t d = c->dim, stride = sslcv__correlation_stride(d);
    const sslcv_status status = sslcv__gemm(0, 0, count, d, c->rows, 1.0f, gram, sslcv__correlation_stride(c->rows), x,
                                            stride, 0.0f, diff + from * stride, stride);
    int64_t i;

    if (status != SSLCV_OK) return status;
#pragma omp parallel for schedule(static)
    for (i = from; i < from + count; i++) take_away(diagonal_of + i * stride, c->diagonal, d, diff + i * stride);
    return SSLCV_OK;
}

static sslcv_status correlate_block_of_rows(const sslcv__correlation *c, int64_t from, int64_t count, double *sum)
{
    const int64_t d = c->dim, n = c->rows, wide = sslcv__correlation_stride(d), square = sslcv__correlation_stride(n);
    float *gram_a = c->blocks.memory, *gram_b = c->a == c->b ? gram_a : gram_a + count * square;
    sslcv_status status;
    int64_t i;

    status = sslcv__gemm(0, 1, count, n, d, 1.0f, c->a + from * wide, wide, c->a, wide, 0.0f, gram_a, square);
    if (status == SSLCV_OK && gram_b != gram_a) {
        status = sslcv__gemm(0, 1, count, n, d, 1.0f, c->b + from * wide, wide, c->b, wide, 0.0f, gram_b, square);
    }
    if (status != SSLCV_OK) return status;
#pragma omp parallel for schedule(static)
    for (i = 0; i < count; i++) c->blocks.sums[i] = products_of(gram_a + i * square, gram_b + i * square, n);
    *sum += add_up(c->blocks.sums, count);
    if (!c->diff_a) return SSLCV_OK;
    status = differentiate_rows(c, gram_b, c->a, c->b, from, count, c->diff_a);
    if (status != SSLCV_OK || gram_b == gram_a) return status;
    return differentiate_rows(c, gram_a, c->b, c->a, from, count, c->diff_b);
}

/* *is_exact: 0 when too many digits are lost. */
static sslcv_status correlate_by_rows(const sslcv__correlation *c, double *sum, int *is_exact)
{
    const int64_t block = rows_of_block(2 * sslcv__correlation_stride(c->rows), c->rows);
    double all = 0.0, diagonal = 0.0;
    int64_t from, j;

    for (from = 0; from < c->rows; from += block) {
        const int64_t left = c->rows - from;
        const sslcv_status status = correlate_block_of_rows(c, from, left < block ? left : block, &all);

        if (status != SSLCV_OK) return status;
    }
    for (j = 0; j < c->dim; j++) diagonal += c->diagonal[j] * c->diagonal[j];
    *sum = all - diagonal;
    *is_exact = *sum * LARGEST_LOSS_OF_SUM >= all;
    return SSLCV_OK;
}

/* ---- by columns ---- */

static sslcv_status correlate_block_of_columns(const sslcv__correlation *c, int64_t from, int64_t count, double *sum)
{
    const int64_t d = c->dim, n = c->rows, stride = sslcv__correlation_stride(d);
    float *m = c->blocks.memory;
    sslcv_status status = sslcv__gemm(1, 0, count, d, n, 1.0f, c->a + from, stride, c->b, stride, 0.0f, m, stride);
    int64_t i;

    if (status != SSLCV_OK) return status;
#pragma omp parallel for schedule(static)
    for (i = 0; i < count; i++) {
        m[i * stride + from + i] = 0.0f;
        c->blocks.sums[i] = products_of(m + i * stride, m + i * stride, d);
    }
    *sum += add_up(c->blocks.sums, count);
    if (!c->diff_a) return SSLCV_OK;
    status = sslcv__gemm(0, 1, n, count, d, 1.0f, c->b, stride, m, stride, 0.0f, c->diff_a + from, stride);
    if (status != SSLCV_OK || c->a == c->b) return status;
    return sslcv__gemm(0, 0, n, d, count, 1.0f, c->a + from, stride, m, stride, from > 0 ? 1.0f : 0.0f, c->diff_b,
                       stride);
}

static sslcv_status correlate_by_columns(const sslcv__correlation *c, double *sum)
{
    const int64_t block = rows_of_block(sslcv__correlation_stride(c->dim), c->dim);
    int64_t from;

    *sum = 0.0;
    for (from = 0; from < c->dim; from += block) {
        const int64_t left = c->dim - from;
        const sslcv_status status = correlate_block_of_columns(c, from, left < block ? left : block, sum);

        if (status != SSLCV_OK) return status;
    }
    return SSLCV_OK;
}

sslcv_status sslcv__correlate(const sslcv__correlation *correlation, double *sum)
{
    int is_exact = 0;

    if (correlation->rows <= correlation->dim / 4 * 3) {
        const sslcv_status status = correlate_by_rows(correlation, sum, &is_exact);

        if (status != SSLCV_OK || is_exact) return status;
    }
    return correlate_by_columns(correlation, sum);
}
