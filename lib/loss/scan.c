/**
 * One pass over the candidates with a running maximum, as in Dao et al.: FlashAttention, 2022. The candidates lie in
 * fixed parts; a part is the work of one thread, which walks it in blocks that stay in its cache:
 *
 *       rows              for each block C_b of the part:   S = C_b A^T             (gemm)
 *      +------+ part 0                                      top <- max(top, S)
 *      |      | ...                                         S <- exp(scale * (S - top)), sum += S
 *      |      | part 31                                     pull += S^T C_b         (gemm)
 *      +------+
 *     candidates          where top grows, sum and pull shrink by exp(scale * (before - top)) first
 *
 * S stands upright, a column for each row, as both gemms and the exponentials are quickest so. Rows go in groups of at
 * most 256, filled up with zeros to a multiple of 16. At the end parts are brought to a common top and added up, in
 * their order.
 */
#include "loss/scan.h"

#include "core/checked.h"
#include "dnn/dnn.h"
#include "loss/loss.h"
#include "nn/softmax.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <string.h>

enum { ROWS = 256, STEP = 16 };
enum { PARTS = 32, PART_FLOOR = 256 }; /* parts; candidates that are worth one */
enum { BLOCK_FLOATS = 1 << 17, BLOCK_LIMIT = 4096 };

/** Of one group of rows. */
typedef struct plan {
    int64_t rows; /* with those that fill up */
    int64_t parts;
    int64_t length; /* candidates of a part; the last may have fewer */
    int64_t block;  /* candidates at a time */
} plan;

typedef struct workspace {
    float *rows;   /* (rows, dim) */
    float *scores; /* (threads, block, rows) */
    float *tops;   /* (parts, rows) */
    float *before; /* (parts, rows) */
    double *sums;  /* (parts, rows) */
    float *pulls;  /* (parts, rows, dim) */
} workspace;

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a - 1) / b + 1;
}

static plan make_plan(const sslcv__scan *s)
{
    const int64_t groups = divide_up(s->num_rows, ROWS);
    const int64_t parts = smaller(divide_up(s->num_candidates, PART_FLOOR), PARTS);
    plan p;

    p.rows = divide_up(divide_up(s->num_rows, groups), STEP) * STEP;
    p.length = divide_up(divide_up(s->num_candidates, parts), STEP) * STEP;
    p.parts = divide_up(s->num_candidates, p.length);
    p.block = smaller(smaller(BLOCK_FLOATS / p.rows, BLOCK_LIMIT), p.length);
    return p;
}

static int lay_out(const sslcv__scan *s, const plan *p, void *base, int64_t *offset, workspace *work)
{
    const int64_t floats = sizeof(float), part_rows = p->parts * p->rows;
    int64_t rows, pulls;

    return sslcv__multiply(p->rows, s->dim, &rows) && sslcv__multiply(part_rows, s->dim, &pulls) &&
           sslcv__loss_place(base, offset, rows, floats, &work->rows) &&
           sslcv__loss_place(base, offset, smaller(s->threads, p->parts), p->block * p->rows * floats, &work->scores) &&
           sslcv__loss_place(base, offset, part_rows, floats, &work->tops) &&
           sslcv__loss_place(base, offset, part_rows, floats, &work->before) &&
           sslcv__loss_place(base, offset, part_rows, sizeof(double), &work->sums) &&
           sslcv__loss_place(base, offset, pulls, floats, &work->pulls);
}

int sslcv__scan_place(const sslcv__scan *s, void *base, int64_t *offset, void **memory)
{
    const plan p = make_plan(s);
    workspace work;

    if (base) *memory = (char *)base + *offset;
    return lay_out(s, &p, base, offset, &work);
}

/* ---- one part ---- */

/* Bring what is summed up to a new top. */
static void shrink(const plan *p, const sslcv__scan *s, const float *before, const float *top, double *sum, float *pull)
{
    int64_t r;

    for (r = 0; r < p->rows; r++) {
        const double factor = exp((double)s->scale * ((double)before[r] - (double)top[r]));

        if (top[r] == before[r]) continue;
        sum[r] *= factor;
        if (s->pull) sslcv__row_scale(pull + r * s->dim, s->dim, (float)factor);
    }
}

static sslcv_status walk_part(const sslcv__scan *s, const plan *p, const workspace *work, int64_t part, float *scores)
{
    const int64_t begin = part * p->length, end = smaller(begin + p->length, s->num_candidates);
    float *top = work->tops + part * p->rows, *before = work->before + part * p->rows;
    float *pull = work->pulls + part * p->rows * s->dim;
    double *sum = work->sums + part * p->rows;
    sslcv_status status = SSLCV_OK;
    int64_t from, r;

    for (r = 0; r < p->rows; r++) {
        top[r] = -FLT_MAX;
        sum[r] = 0.0;
    }
    for (from = begin; from < end && status == SSLCV_OK; from += p->block) {
        const int64_t count = smaller(p->block, end - from), d = s->dim;
        const float *candidates = s->candidates + from * d;

        memcpy(before, top, (size_t)p->rows * sizeof *top);
        status = sslcv__gemm(0, 1, count, p->rows, d, 1.0f, candidates, d, work->rows, d, 0.0f, scores, p->rows);
        if (status != SSLCV_OK) break;
        sslcv__columns_max(scores, count, p->rows, top);
        if (from > begin) shrink(p, s, before, top, sum, pull);
        sslcv__columns_exp(scores, count, p->rows, top, s->scale, sum);
        if (!s->pull) continue;
        status = sslcv__gemm(1, 0, p->rows, d, count, 1.0f, scores, p->rows, candidates, d, from > begin ? 1.0f : 0.0f,
                             pull, d);
    }
    return status;
}

/* ---- all parts of one group of rows ---- */

static void join_row(const sslcv__scan *s, const plan *p, const workspace *work, int64_t row, int64_t to)
{
    float top = -FLT_MAX;
    double sum = 0.0;
    int64_t part;

    for (part = 0; part < p->parts; part++) top = fmaxf(top, work->tops[part * p->rows + row]);
    if (s->pull) memset(s->pull + to * s->dim, 0, (size_t)s->dim * sizeof *s->pull);
    for (part = 0; part < p->parts; part++) {
        const int64_t from = part * p->rows + row;
        const double factor = exp((double)s->scale * ((double)work->tops[from] - (double)top));

        sum += factor * work->sums[from];
        if (s->pull) sslcv__row_add(work->pulls + from * s->dim, s->dim, (float)factor, s->pull + to * s->dim);
    }
    s->top[to] = top;
    s->sum[to] = sum;
}

static sslcv_status run_group(const sslcv__scan *s, const plan *p, const workspace *work, int64_t first, int64_t rows)
{
    const int64_t d = s->dim;
    sslcv_status status = SSLCV_OK; /* the others are negative */
    int64_t i;

    memcpy(work->rows, s->rows + first * d, (size_t)(rows * d) * sizeof *work->rows);
    memset(work->rows + rows * d, 0, (size_t)((p->rows - rows) * d) * sizeof *work->rows);
    /* With more threads than parts the last ones get none, so numbers stay below the number of parts. */
#pragma omp parallel for schedule(static) reduction(min : status)
    for (i = 0; i < p->parts; i++) {
        float *scores = work->scores + omp_get_thread_num() * p->block * p->rows;
        const sslcv_status walked = walk_part(s, p, work, i, scores);

        status = walked < status ? walked : status;
    }
    /* The message of the failure stayed with the thread that met it. */
    if (status != SSLCV_OK) return sslcv__fail(status, "gemm of %lld rows and a queue failed", (long long)p->rows);
#pragma omp parallel for schedule(static)
    for (i = 0; i < rows; i++) join_row(s, p, work, i, first + i);
    return SSLCV_OK;
}

sslcv_status sslcv__scan_run(const sslcv__scan *s, void *memory)
{
    const plan p = make_plan(s);
    workspace work;
    int64_t offset = 0, first;
    sslcv_status status = SSLCV_OK;

    if (!lay_out(s, &p, memory, &offset, &work)) return sslcv__fail(SSLCV_ERR_LIMIT, "no memory was planned");
    for (first = 0; first < s->num_rows && status == SSLCV_OK; first += p.rows) {
        status = run_group(s, &p, &work, first, smaller(p.rows, s->num_rows - first));
    }
    return status;
}
