/**
 * Sinkhorn and Knopp's balancing.
 *
 * Knight: The Sinkhorn-Knopp Algorithm: Convergence and Applications, 2008.
 * Cuturi: Sinkhorn Distances: Lightspeed Computation of Optimal Transport, 2013.
 * Caron et al.: Unsupervised Learning of Visual Features by Contrasting Cluster Assignments (SwAV), 2020.
 *
 * Dividing rows and columns in turn keeps the form Q = diag(c) E diag(u) with E = exp((s - shift) / epsilon), so E is
 * made once and only the two vectors change. With c = 1 at first, one iteration is
 *
 *     u_k = 1 / (K sum over b of c_b E_bk)        prototypes
 *     c_b = 1 / (B sum over k of E_bk u_k)        samples
 *
 * which are the published iterates exactly: shift, one number for the whole matrix, falls out of the first u. (A shift
 * for each sample would not: it would be another c at the start, so other codes after three iterations.) c_b and its
 * part of the next u need the same row of E, which is read once for both while it is in the first-level cache:
 *
 *     scores --> E, sums --> u --> [ row . u --> c_b --> sums += c_b row ] --> u --> ... --> row u / (row . u) = code
 *               read, write             read, iterations - 1 times                          read, write
 *
 * Samples go in chunks whose size does not depend on the number of threads; each has column sums of its own, in float,
 * which are then added in double in the order of the chunks.
 *
 * float holds e^-87 and more. Scores that span up to SPAN times epsilon can neither vanish nor overflow, in E or in
 * what u and c make of it. Others go by logarithms, the same iteration with phi = epsilon log u and gamma = epsilon log
 *c: 
 *     phi_k   = -epsilon log( K sum over b of exp((s_bk + gamma_b) / epsilon) )
 *     gamma_b = -epsilon log( B sum over k of exp((s_bk + phi_k) / epsilon) )
 *
 * with the largest term of each sum taken out. Being in units of scores they stay small for any epsilon.
 */
#include "loss/sinkhorn.h"

#include "core/checked.h"
#include "core/simd.h"
#include "loss/loss.h"
#include "nn/softmax.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
    LANES = 16,       /* sums run in fixed lanes, whatever the processor's registers: see nn/softmax.c */
    GROUP = 4,        /* rows at once */
    CHUNK_ROWS = 16,  /* at least */
    MAX_CHUNKS = 128, /* of each kind of sample */
    COLUMN_BLOCK = 256,
    DOT_BLOCK = 1024,
    FIND_BLOCK = 64,
    SPAN = 64
};

typedef struct balance {
    const sslcv__sinkhorn *problem;
    double inverse_epsilon;
    int64_t chunk_rows, extra_chunks, chunks; /* chunks of extra samples are the first */
    float *scale;                             /* (K): u */
    double *phi;                              /* (K) */
    double *top;                              /* (K): largest s_bk + gamma_b */
    double *gamma;                            /* (B) */
    double *sums;                             /* (chunks, K), or floats in the same place */
    float *scratch;                           /* (chunks, K) */
} balance;

/** Samples of one kind that one thread works on. */
typedef struct chunk {
    const float *scores;  /* (rows, K) */
    float *x;             /* likewise: E, or the scores while logarithms are used; codes in the end */
    int64_t first;        /* of all samples */
    int64_t first_wanted; /* row of codes; < 0: extra samples */
    int64_t rows;
} chunk;

/* ---- leaves ---- */

/* sums[r] = row r . u of up to GROUP rows, one behind the other. Lanes go to doubles before they grow long. */
SSLCV__CLONES static void dot_rows(const float *x, int64_t rows, const float *u, int64_t count, double *sums)
{
    const float *x0 = x, *x1 = x + (rows > 1 ? count : 0), *x2 = x + (rows > 2 ? 2 * count : 0);
    const float *x3 = x + (rows > 3 ? 3 * count : 0);
    double total[GROUP] = {0.0};
    int64_t i = 0;
    int l, r;

    while (i + LANES <= count) {
        const int64_t end = i + DOT_BLOCK < count ? i + DOT_BLOCK : count;
        float lane[GROUP][LANES] = {{0.0f}};

        for (; i + LANES <= end; i += LANES) {
            for (l = 0; l < LANES; l++) lane[0][l] += x0[i + l] * u[i + l];
            for (l = 0; l < LANES; l++) lane[1][l] += x1[i + l] * u[i + l];
            for (l = 0; l < LANES; l++) lane[2][l] += x2[i + l] * u[i + l];
            for (l = 0; l < LANES; l++) lane[3][l] += x3[i + l] * u[i + l];
        }
        for (r = 0; r < GROUP; r++) {
            for (l = 0; l < LANES; l++) total[r] += (double)lane[r][l];
        }
    }
    for (r = 0; r < rows; r++) {
        int64_t j;

        for (j = i; j < count; j++) total[r] += (double)x[r * count + j] * (double)u[j];
        sums[r] = total[r];
    }
}

/* y += c[r] * row r. */
SSLCV__CLONES static void add_group(const float *x, const float *c, int64_t count, float *y)
{
    const float *x0 = x, *x1 = x + count, *x2 = x + 2 * count, *x3 = x + 3 * count;
    const float c0 = c[0], c1 = c[1], c2 = c[2], c3 = c[3];
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) y[i] = ((y[i] + c0 * x0[i]) + c1 * x1[i]) + (c2 * x2[i] + c3 * x3[i]);
}

static void add_rows(const float *x, const float *c, int64_t rows, int64_t count, float *y)
{
    int64_t r;

    if (rows == GROUP) {
        add_group(x, c, count, y);
    } else {
        for (r = 0; r < rows; r++) sslcv__row_add(x + r * count, count, c[r], y);
    }
}

/* x <- x * u * factor, added to sums; the largest is returned. */
SSLCV__CLONES static float finish_row(float *x, const float *u, float factor, int64_t count, float *sums)
{
    float lane[LANES] = {0.0f}, top = 0.0f;
    int64_t i;
    int l;

    for (i = 0; i + LANES <= count; i += LANES) {
        float code[LANES];

        for (l = 0; l < LANES; l++) code[l] = x[i + l] * u[i + l] * factor;
        for (l = 0; l < LANES; l++) x[i + l] = code[l];
        for (l = 0; l < LANES; l++) sums[i + l] += code[l];
        for (l = 0; l < LANES; l++) lane[l] = code[l] > lane[l] ? code[l] : lane[l];
    }
    for (; i < count; i++) {
        x[i] = x[i] * u[i] * factor;
        sums[i] += x[i];
        top = x[i] > top ? x[i] : top;
    }
    for (l = 0; l < LANES; l++) top = lane[l] > top ? lane[l] : top;
    return top;
}

SSLCV__CLONES static int64_t find_first(const float *x, int64_t count, float value)
{
    int64_t i;

    for (i = 0; i + FIND_BLOCK <= count; i += FIND_BLOCK) {
        int32_t found = 0;
        int l;

        for (l = 0; l < FIND_BLOCK; l++) found |= x[i + l] == value;
        if (found) break;
    }
    while (i < count - 1 && x[i] != value) i++;
    return i;
}

SSLCV__CLONES static void add_to_doubles(const float *x, int64_t count, double *y)
{
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) y[i] += (double)x[i];
}

SSLCV__CLONES static void row_range(const float *x, int64_t count, float range[2])
{
    float low[LANES], high[LANES];
    int64_t i;
    int l;

    for (l = 0; l < LANES; l++) low[l] = high[l] = x[0];
    for (i = 0; i + LANES <= count; i += LANES) {
        for (l = 0; l < LANES; l++) low[l] = x[i + l] < low[l] ? x[i + l] : low[l];
        for (l = 0; l < LANES; l++) high[l] = x[i + l] > high[l] ? x[i + l] : high[l];
    }
    for (; i < count; i++) {
        low[0] = x[i] < low[0] ? x[i] : low[0];
        high[0] = x[i] > high[0] ? x[i] : high[0];
    }
    for (l = 0; l < LANES; l++) {
        range[0] = low[l] < range[0] ? low[l] : range[0];
        range[1] = high[l] > range[1] ? high[l] : range[1];
    }
}

/* Largest of x + phi. */
SSLCV__CLONES static double shifted_max(const float *x, const double *phi, int64_t count)
{
    double top = (double)x[0] + phi[0];
    int64_t i;

#pragma omp simd reduction(max : top)
    for (i = 0; i < count; i++) {
        const double value = (double)x[i] + phi[i];

        top = value > top ? value : top;
    }
    return top;
}

/* y = (x + phi - top) * inverse, in double as the sum may be a difference of equal ones. */
SSLCV__CLONES static void shifted_row(const float *x, const double *phi, double top, double inverse, int64_t count,
                                      float *y)
{
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) y[i] = (float)((((double)x[i] + phi[i]) - top) * inverse);
}

/* The same for a row whose gamma is one number and whose tops are many. */
SSLCV__CLONES static void shifted_columns(const float *x, double gamma, const double *top, double inverse,
                                          int64_t count, float *y)
{
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) y[i] = (float)((((double)x[i] + gamma) - top[i]) * inverse);
}

SSLCV__CLONES static void raise_columns(const float *x, double gamma, int64_t count, double *top)
{
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) {
        const double value = (double)x[i] + gamma;

        top[i] = value > top[i] ? value : top[i];
    }
}

/* ---- chunks ---- */

static int64_t divide_up(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}

static int64_t chunk_rows_of(int64_t samples)
{
    const int64_t rows = divide_up(divide_up(samples, MAX_CHUNKS), GROUP) * GROUP;

    return rows > CHUNK_ROWS ? rows : CHUNK_ROWS;
}

static chunk chunk_of(const balance *b, int64_t index)
{
    const sslcv__sinkhorn *p = b->problem;
    const int is_extra = index < b->extra_chunks;
    const int64_t from = (is_extra ? index : index - b->extra_chunks) * b->chunk_rows;
    const int64_t left = (is_extra ? p->num_extra : p->rows) - from;
    chunk c;

    c.scores = (is_extra ? p->extra : p->scores) + from * p->columns;
    c.x = (is_extra ? p->extra : p->codes) + from * p->columns;
    c.first = is_extra ? from : p->num_extra + from;
    c.first_wanted = is_extra ? -1 : from;
    c.rows = left < b->chunk_rows ? left : b->chunk_rows;
    return c;
}

static float *float_sums(const balance *b, int64_t index)
{
    return (float *)b->sums + index * b->problem->columns;
}

static double *double_sums(const balance *b, int64_t index)
{
    return b->sums + index * b->problem->columns;
}

/* Sums of the chunks from a first one on, for columns from .. from + count. */
static void add_chunks(const balance *b, int64_t first, int64_t from, int64_t count, double *total)
{
    int64_t i;

    memset(total, 0, (size_t)count * sizeof *total);
    for (i = first; i < b->chunks; i++) add_to_doubles(float_sums(b, i) + from, count, total);
}

static int64_t block_length(int64_t columns, int64_t block)
{
    const int64_t left = columns - block * COLUMN_BLOCK;

    return left < COLUMN_BLOCK ? left : COLUMN_BLOCK;
}

/* ---- E as it is ---- */

static void exponentials(const balance *b, float shift)
{
    const int64_t columns = b->problem->columns;
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < b->chunks; i++) {
        const chunk c = chunk_of(b, i);
        float *sums = float_sums(b, i);
        int64_t r;

        memset(sums, 0, (size_t)columns * sizeof *sums);
        for (r = 0; r < c.rows; r++) {
            float *x = c.x + r * columns;

            sslcv__row_exp(c.scores + r * columns, columns, shift, (float)b->inverse_epsilon, x);
            sslcv__row_add(x, columns, 1.0f, sums);
        }
    }
}

/* Of 0 it is 0, which does not occur; NaN stays NaN. */
static float inverse_of(double sum, double factor)
{
    return sum == 0.0 ? 0.0f : (float)(1.0 / (factor * sum));
}

/* u from the sums. */
static void scale_prototypes(const balance *b)
{
    const int64_t columns = b->problem->columns, blocks = divide_up(columns, COLUMN_BLOCK);
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < blocks; i++) {
        const int64_t from = i * COLUMN_BLOCK, count = block_length(columns, i);
        double total[COLUMN_BLOCK];
        int64_t k;

        add_chunks(b, 0, from, count, total);
        for (k = 0; k < count; k++) {
            b->scale[from + k] = inverse_of(total[k], (double)columns);
        }
    }
}

/* c of each sample, and what it adds to the next sums. */
static void scale_samples(const balance *b)
{
    const int64_t columns = b->problem->columns;
    const double samples = (double)(b->problem->rows + b->problem->num_extra);
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < b->chunks; i++) {
        const chunk c = chunk_of(b, i);
        float *sums = float_sums(b, i);
        int64_t r, g;

        memset(sums, 0, (size_t)columns * sizeof *sums);
        for (r = 0; r < c.rows; r += GROUP) {
            const int64_t group = c.rows - r < GROUP ? c.rows - r : GROUP;
            double dots[GROUP];
            float factors[GROUP];

            dot_rows(c.x + r * columns, group, b->scale, columns, dots);
            for (g = 0; g < group; g++) factors[g] = inverse_of(dots[g], samples);
            add_rows(c.x + r * columns, factors, group, columns, sums);
        }
    }
}

/* And the codes: their last c, B times. */
static void finish(const balance *b)
{
    const int64_t columns = b->problem->columns;
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = b->extra_chunks; i < b->chunks; i++) {
        const chunk c = chunk_of(b, i);
        float *sums = float_sums(b, i);
        int64_t r, g;

        memset(sums, 0, (size_t)columns * sizeof *sums);
        for (r = 0; r < c.rows; r += GROUP) {
            const int64_t group = c.rows - r < GROUP ? c.rows - r : GROUP;
            double dots[GROUP];

            dot_rows(c.x + r * columns, group, b->scale, columns, dots);
            for (g = 0; g < group; g++) {
                float *x = c.x + (r + g) * columns;
                const float top = finish_row(x, b->scale, inverse_of(dots[g], 1.0), columns, sums);

                b->problem->largest[c.first_wanted + r + g] = find_first(x, columns, top);
            }
        }
    }
}

static void run_plain(const balance *b, float shift)
{
    int64_t i;

    exponentials(b, shift);
    for (i = 1; i < b->problem->iterations; i++) {
        scale_prototypes(b);
        scale_samples(b);
    }
    scale_prototypes(b);
    finish(b);
}

/* ---- by logarithms ---- */

/* phi from gamma: first the largest term of each prototype, then the sum. */
static void log_prototypes(const balance *b)
{
    const int64_t columns = b->problem->columns, blocks = divide_up(columns, COLUMN_BLOCK);
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < b->chunks; i++) {
        const chunk c = chunk_of(b, i);
        double *top = double_sums(b, i);
        int64_t r, k;

        for (k = 0; k < columns; k++) top[k] = -DBL_MAX;
        for (r = 0; r < c.rows; r++) raise_columns(c.x + r * columns, b->gamma[c.first + r], columns, top);
    }
#pragma omp parallel for schedule(static)
    for (i = 0; i < blocks; i++) {
        const int64_t from = i * COLUMN_BLOCK, count = block_length(columns, i);
        int64_t n, k;

        memcpy(b->top + from, double_sums(b, 0) + from, (size_t)count * sizeof *b->top);
        for (n = 1; n < b->chunks; n++) {
            const double *top = double_sums(b, n) + from;

            for (k = 0; k < count; k++) b->top[from + k] = fmax(b->top[from + k], top[k]);
        }
    }
#pragma omp parallel for schedule(static)
    for (i = 0; i < b->chunks; i++) {
        const chunk c = chunk_of(b, i);
        double *sums = double_sums(b, i);
        float *scratch = b->scratch + i * columns;
        int64_t r;

        memset(sums, 0, (size_t)columns * sizeof *sums);
        for (r = 0; r < c.rows; r++) {
            shifted_columns(c.x + r * columns, b->gamma[c.first + r], b->top, b->inverse_epsilon, columns, scratch);
            sslcv__row_exp(scratch, columns, 0.0f, 1.0f, scratch);
            add_to_doubles(scratch, columns, sums);
        }
    }
#pragma omp parallel for schedule(static)
    for (i = 0; i < blocks; i++) {
        const int64_t from = i * COLUMN_BLOCK, count = block_length(columns, i);
        int64_t n, k;

        for (k = from; k < from + count; k++) {
            double sum = 0.0;

            for (n = 0; n < b->chunks; n++) sum += double_sums(b, n)[k];
            b->phi[k] = -b->top[k] - b->problem->epsilon * log((double)columns * sum);
        }
    }
}

/* gamma from phi; in the last iteration codes instead, where they are wanted. */
static void log_samples(const balance *b, int is_last)
{
    const int64_t columns = b->problem->columns;
    const double samples = (double)(b->problem->rows + b->problem->num_extra);
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = is_last ? b->extra_chunks : 0; i < b->chunks; i++) {
        const chunk c = chunk_of(b, i);
        float *scratch = b->scratch + i * columns;
        int64_t r;

        for (r = 0; r < c.rows; r++) {
            float *x = c.x + r * columns, *y = is_last ? x : scratch;
            const double top = shifted_max(x, b->phi, columns);
            double sum;

            shifted_row(x, b->phi, top, b->inverse_epsilon, columns, y);
            sum = sslcv__row_exp(y, columns, 0.0f, 1.0f, y);
            b->gamma[c.first + r] = -top - b->problem->epsilon * log(samples * sum);
            if (!is_last) continue;
            sslcv__row_scale(y, columns, (float)(1.0 / sum));
            b->problem->largest[c.first_wanted + r] = find_first(y, columns, sslcv__row_max(y, columns));
        }
    }
}

static void sum_codes(const balance *b)
{
    const int64_t columns = b->problem->columns;
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = b->extra_chunks; i < b->chunks; i++) {
        const chunk c = chunk_of(b, i);
        float *sums = float_sums(b, i);
        int64_t r;

        memset(sums, 0, (size_t)columns * sizeof *sums);
        for (r = 0; r < c.rows; r++) sslcv__row_add(c.x + r * columns, columns, 1.0f, sums);
    }
}

static void run_by_logarithms(const balance *b)
{
    const sslcv__sinkhorn *p = b->problem;
    int64_t i;

    if (p->codes != p->scores) memcpy(p->codes, p->scores, (size_t)(p->rows * p->columns) * sizeof *p->codes);
    memset(b->gamma, 0, (size_t)(p->num_extra + p->rows) * sizeof *b->gamma);
    for (i = 1; i <= p->iterations; i++) {
        log_prototypes(b);
        log_samples(b, i == p->iterations);
    }
    sum_codes(b);
}

/* ---- both ---- */

static void find_range(const balance *b, float range[2])
{
    float *ends = b->scratch; /* two of each chunk */
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < b->chunks; i++) {
        const chunk c = chunk_of(b, i);

        ends[2 * i] = ends[2 * i + 1] = c.scores[0];
        row_range(c.scores, c.rows * b->problem->columns, ends + 2 * i);
    }
    range[0] = ends[0];
    range[1] = ends[1];
    for (i = 1; i < b->chunks; i++) {
        range[0] = fminf(range[0], ends[2 * i]);
        range[1] = fmaxf(range[1], ends[2 * i + 1]);
    }
}

static void add_mass(const balance *b)
{
    const int64_t columns = b->problem->columns, blocks = divide_up(columns, COLUMN_BLOCK);
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < blocks; i++) {
        add_chunks(b, b->extra_chunks, i * COLUMN_BLOCK, block_length(columns, i), b->problem->mass + i * COLUMN_BLOCK);
    }
}

/* Room for the chunks of any division of the samples into extra ones and others. */
static int lay_out(int64_t samples, int64_t columns, void *memory, balance *b, int64_t *bytes)
{
    const int64_t chunks = divide_up(samples, chunk_rows_of(samples)) + 1;
    int64_t cells;

    *bytes = 0;
    return sslcv__multiply(chunks, columns > 2 ? columns : 2, &cells) &&
           sslcv__loss_place(memory, bytes, columns, sizeof(float), &b->scale) &&
           sslcv__loss_place(memory, bytes, columns, sizeof(double), &b->phi) &&
           sslcv__loss_place(memory, bytes, columns, sizeof(double), &b->top) &&
           sslcv__loss_place(memory, bytes, samples, sizeof(double), &b->gamma) &&
           sslcv__loss_place(memory, bytes, cells, sizeof(double), &b->sums) &&
           sslcv__loss_place(memory, bytes, cells, sizeof(float), &b->scratch);
}

int sslcv__sinkhorn_bytes(int64_t samples, int64_t columns, int64_t *bytes)
{
    balance b;

    return lay_out(samples, columns, NULL, &b, bytes);
}

void sslcv__sinkhorn_run(const sslcv__sinkhorn *problem)
{
    const int64_t samples = problem->num_extra + problem->rows;
    balance b = {.problem = problem, .inverse_epsilon = 1.0 / problem->epsilon};
    float range[2] = {(float)-problem->bound, (float)problem->bound};
    int64_t bytes;

    if (!lay_out(samples, problem->columns, problem->memory, &b, &bytes)) return; /* not what was measured */
    b.chunk_rows = chunk_rows_of(samples);
    b.extra_chunks = divide_up(problem->num_extra, b.chunk_rows);
    b.chunks = b.extra_chunks + divide_up(problem->rows, b.chunk_rows);
    if (!(2.0 * problem->bound / SPAN <= problem->epsilon)) find_range(&b, range);
    if (((double)range[1] - (double)range[0]) / SPAN <= problem->epsilon) {
        run_plain(&b, range[1]);
    } else {
        run_by_logarithms(&b);
    }
    add_mass(&b);
}
