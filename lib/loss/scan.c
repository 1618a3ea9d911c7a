/**
 * One pass over the candidates with a running maximum, as in Dao et al.: FlashAttention, 2022. The candidates lie in
 * fixed parts; a part is the work of one thread, which walks it in blocks, and takes the rows in panels of 32 through
 * each block:
 *
 *       rows               for each block C of the part, for each panel A of rows:    S = C A^T     (block, 32)
 *      +------+ part 0                                                                top <- max(top, S)
 *      |      | ...                                                                   S <- exp(scale * (S - top))
 *      |      | part 31                                                               sum += S
 *      +------+                                                                       pull += S^T C
 *     candidates           where top grows, sum and pull shrink by exp(scale * (before - top)) first
 *
 * A and S stay in the first-level cache, C and the part's pulls in the second, where the next block is fetched
 * meanwhile. Rows lie turned, as matmul.h needs them: once for all blocks. They go in groups of at most 256, filled up
 * with zeros to a multiple of 16; the last panel may have 16. Candidates are used where they lie or, where dim is no
 * multiple of 16 or one of 1024, in a copy of the block with zeros behind each. At the end parts are brought to a
 * common top and added up, in their order.
 */
#include "loss/scan.h"

#include "core/checked.h"
#include "core/openmp.h"
#include "loss/loss.h"
#include "nn/matmul.h"
#include "nn/softmax.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { ROWS = 256, PANEL = 32, STEP = SSLCV__MATMUL_STEP };
enum { PARTS = 32, PART_FLOOR = 256 }; /* parts; candidates that are worth one */
enum { BLOCK = SSLCV__MATMUL_DEPTH };  /* candidates at a time */
enum { PAGE = 1024 };                  /* floats; rows so far apart would meet in one set of the first-level cache */
/* What a processor fetches ahead for one thread must not be what the next one writes: an eighth of the time. */
enum { GAP = 2 * PAGE, SCORES = BLOCK * PANEL + GAP };

/** Of one group of rows. */
typedef struct plan {
    int64_t rows;  /* with those that fill up */
    int64_t width; /* dim with what fills up */
    int64_t parts;
    int64_t length; /* candidates of a part; the last may have fewer */
} plan;

typedef struct workspace {
    float *rows;   /* panels of (dim, 32), the last (dim, 16) if rows is an odd multiple of 16 */
    float *scores; /* (threads, BLOCK, 32), with gaps */
    float *copies; /* (threads, BLOCK, width), with gaps, where width is not dim */
    float *tops;   /* (parts, rows) */
    double *sums;  /* (parts, rows) */
    float *pulls;  /* (parts, rows, width) */
} workspace;

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a - 1) / b + 1;
}

static int64_t fill_up(int64_t a)
{
    return divide_up(a, STEP) * STEP;
}

static plan make_plan(const sslcv__scan *s)
{
    const int64_t groups = divide_up(s->num_rows, ROWS);
    const int64_t parts = smaller(divide_up(s->num_candidates, PART_FLOOR), PARTS);
    plan p;

    p.rows = fill_up(divide_up(s->num_rows, groups));
    p.width = fill_up(s->dim);
    if (p.width % PAGE == 0) p.width += STEP;
    p.length = divide_up(divide_up(s->num_candidates, parts), BLOCK) * BLOCK;
    p.parts = divide_up(s->num_candidates, p.length);
    return p;
}

static int lay_out(const sslcv__scan *s, const plan *p, void *base, int64_t *offset, workspace *work)
{
    const int64_t floats = sizeof(float), part_rows = p->parts * p->rows, threads = smaller(s->threads, p->parts);
    int64_t rows, copies, pulls;

    return sslcv__multiply(p->rows, s->dim, &rows) && sslcv__multiply(BLOCK, p->width, &copies) &&
           sslcv__add(copies, GAP, &copies) && sslcv__multiply(threads, copies, &copies) &&
           sslcv__multiply(part_rows, p->width, &pulls) && sslcv__loss_place(base, offset, rows, floats, &work->rows) &&
           sslcv__loss_place(base, offset, threads, SCORES * floats, &work->scores) &&
           sslcv__loss_place(base, offset, p->width > s->dim ? copies : 0, floats, &work->copies) &&
           sslcv__loss_place(base, offset, part_rows, floats, &work->tops) &&
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

/** A panel of rows, in a part. */
typedef struct panel {
    int64_t width;     /* 32 or 16 */
    const float *rows; /* (dim, width) */
    float *top;        /* (width) */
    double *sum;       /* (width) */
    float *pull;       /* (width, p->width) */
} panel;

/* Bring what is summed up to a new top. */
static void shrink(const plan *p, const sslcv__scan *s, const panel *rows, const float *before)
{
    int64_t r;

    for (r = 0; r < rows->width; r++) {
        double factor;

        if (rows->top[r] == before[r]) continue;
        factor = exp((double)s->scale * ((double)before[r] - (double)rows->top[r]));
        rows->sum[r] *= factor;
        if (s->pull) sslcv__row_scale(rows->pull + r * p->width, p->width, (float)factor);
    }
}

/** A block of candidates. */
typedef struct candidate_block {
    const float *candidates; /* (count, p->width) */
    int64_t count;
    int first;         /* of its part */
    const float *next; /* the block that follows, wherever that is */
    int64_t next_floats;
} candidate_block;

/* from, to: what of the next block is fetched. */
static void meet(const sslcv__scan *s, const plan *p, const panel *rows, const candidate_block *block, int64_t from,
                 int64_t to, float *scores)
{
    const sslcv__matmul scoring = {.m = block->count,
                                   .n = rows->width,
                                   .k = s->dim,
                                   .a = block->candidates,
                                   .a_row = p->width,
                                   .a_column = 1,
                                   .b = rows->rows,
                                   .b_row = rows->width,
                                   .c = scores,
                                   .c_row = rows->width};
    const sslcv__matmul pulling = {.m = rows->width,
                                   .n = p->width,
                                   .k = block->count,
                                   .a = scores,
                                   .a_row = 1,
                                   .a_column = rows->width,
                                   .b = block->candidates,
                                   .b_row = p->width,
                                   .c = rows->pull,
                                   .c_row = p->width,
                                   .add = !block->first,
                                   .next = block->next + from,
                                   .next_floats = to - from};
    float before[PANEL];

    sslcv__matmul_run(&scoring);
    memcpy(before, rows->top, (size_t)rows->width * sizeof *before);
    sslcv__columns_max(scores, block->count, rows->width, rows->top);
    if (!block->first) shrink(p, s, rows, before);
    sslcv__columns_exp(scores, block->count, rows->width, rows->top, s->scale, rows->sum);
    if (s->pull) sslcv__matmul_run(&pulling);
}

static void copy_rows(const float *from, int64_t rows, int64_t columns, int64_t stride, float *to)
{
    int64_t r;

    for (r = 0; r < rows; r++, from += columns, to += stride) {
        memcpy(to, from, (size_t)columns * sizeof *to);
        memset(to + columns, 0, (size_t)(stride - columns) * sizeof *to);
    }
}

static void walk_part(const sslcv__scan *s, const plan *p, const workspace *work, int64_t part, int thread)
{
    const int64_t d = s->dim, begin = part * p->length, end = smaller(begin + p->length, s->num_candidates);
    float *scores = work->scores + thread * SCORES, *copy = work->copies + thread * (BLOCK * p->width + GAP);
    int64_t from, r;

    for (r = part * p->rows; r < (part + 1) * p->rows; r++) {
        work->tops[r] = -FLT_MAX;
        work->sums[r] = 0.0;
    }
    for (from = begin; from < end; from += BLOCK) {
        candidate_block block = {s->candidates + from * d, smaller(BLOCK, end - from), from == begin, NULL, 0};

        block.next = block.candidates + block.count * d;
        block.next_floats = smaller(BLOCK, s->num_candidates - from - block.count) * d;
        if (p->width > d) {
            copy_rows(block.candidates, block.count, d, p->width, copy);
            block.candidates = copy;
        }
        for (r = 0; r < p->rows; r += PANEL) {
            const int64_t at = part * p->rows + r, width = smaller(PANEL, p->rows - r);
            const panel rows = {width, work->rows + r * d, work->tops + at, work->sums + at,
                                work->pulls + at * p->width};

            meet(s, p, &rows, &block, block.next_floats * r / p->rows, block.next_floats * (r + width) / p->rows,
                 scores);
        }
    }
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
        if (s->pull) sslcv__row_add(work->pulls + from * p->width, s->dim, (float)factor, s->pull + to * s->dim);
    }
    s->top[to] = top;
    s->sum[to] = sum;
}

static void run_group(const sslcv__scan *s, const plan *p, const workspace *work, int64_t first, int64_t rows)
{
    int64_t i;

    for (i = 0; i < p->rows; i += PANEL) {
        const int64_t count = i < rows ? smaller(PANEL, rows - i) : 0, width = smaller(PANEL, p->rows - i);

        sslcv__matmul_turn(s->rows + (first + i) * s->dim, count, s->dim, width, work->rows + i * s->dim);
    }
    /* With more threads than parts the last ones get none, so numbers stay below the number of parts. */
#pragma omp parallel for schedule(static)
    for (i = 0; i < p->parts; i++) walk_part(s, p, work, i, omp_get_thread_num());
#pragma omp parallel for schedule(static)
    for (i = 0; i < rows; i++) join_row(s, p, work, i, first + i);
}

sslcv_status sslcv__scan_run(const sslcv__scan *s, void *memory)
{
    const plan p = make_plan(s);
    workspace work;
    int64_t offset = 0, first;

    if (!lay_out(s, &p, memory, &offset, &work)) return sslcv__fail(SSLCV_ERR_LIMIT, "no memory was planned");
    for (first = 0; first < s->num_rows; first += p.rows) {
        run_group(s, &p, &work, first, smaller(p.rows, s->num_rows - first));
    }
    return SSLCV_OK;
}
