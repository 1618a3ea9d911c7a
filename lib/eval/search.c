/*
 * A thread takes a group of queries through all rows, or where there are fewer groups than threads, through a part of
 * them:
 *
 *                 rows 0 .. BLOCK   BLOCK .. 2 BLOCK   ...
 *     group     panel 0 |  products  |                       ->  each query collects candidates: rows that may be among
 *     of        panel 1 |            |                           its k nearest (candidates.h)
 *     queries   ...     |            |
 *
 * A panel are 32 queries, turned, as matmul.h needs them: once for all rows. Rows are multiplied where they lie, and a
 * panel's products with a block stay in the first-level cache, where most are compared with what the queries have
 * already and forgotten.
 */
#include "eval/search.h"

#include "core/context.h"
#include "core/memory.h"
#include "core/openmp.h"
#include "core/simd.h"
#include "nn/matmul.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
    PANEL = 32,
    MOST_QUERIES = 128, /* a group */
    TASKS = 4,          /* for each thread, where there are enough queries */
    BLOCK = 128,        /* rows at a time */
    PAGE = 1024,        /* floats; rows so far apart would meet in one set of the first-level cache */
    LINE = 16,          /* floats */
    GAP = 2 * PAGE      /* floats between what threads write: what one fetches ahead must not be another's */
};

static const int64_t most_candidates = 1 << 18; /* of all queries of a group: 4 MiB */

/** How the work is cut up. */
typedef struct plan {
    sslcv__candidate_rule rule;
    int64_t threads;
    int64_t group, groups; /* queries of a group; the last may have fewer */
    int64_t length, parts; /* rows of a part */
    int64_t slots;         /* groups whose candidates are there at once */
    int64_t width;         /* floats from row to row of a block: d, or more where it is copied */
    int64_t floats;        /* memory of a thread */
} plan;

/** A thread's. All in one piece. */
typedef struct workspace {
    float *units;    /* (group, d) */
    float *panels;   /* for each panel (d, PANEL) */
    float *products; /* (BLOCK, PANEL) */
    float *copy;     /* (BLOCK, width), where width is not d */
} workspace;

typedef struct memory {
    float *floats;
    sslcv__candidates *candidates; /* (slots, group) */
    float *products;               /* (slots, group, room) */
    int64_t *indices;              /* likewise */
    sslcv__neighbour *nearest;     /* (slots, room), or (slots, group, room) where parts are joined */
} memory;

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a - 1) / b + 1;
}

static int64_t fill_up(int64_t a, int64_t to)
{
    return divide_up(a, to) * to;
}

/* No product here is near 2^63: rows of d floats are in memory, and n of them. */
static plan make_plan(const sslcv__search *s)
{
    const int64_t m = s->queries->n, threads = omp_get_max_threads();
    plan p = {.rule = {s->rows, s->d, s->k, sslcv__candidates_room(s->n, s->k), sslcv__candidates_margin(s->d)}};
    int64_t group = fill_up(divide_up(m, TASKS * threads), PANEL);

    group = smaller(smaller(group, MOST_QUERIES), larger(most_candidates / p.rule.room, 1));
    p.threads = threads;
    p.group = smaller(group, m);
    p.groups = divide_up(m, p.group);
    p.parts = p.groups < threads ? smaller(divide_up(threads, p.groups), divide_up(s->n, BLOCK)) : 1;
    p.length = fill_up(divide_up(s->n, p.parts), BLOCK);
    p.parts = divide_up(s->n, p.length);
    p.slots = p.parts > 1 ? p.groups * p.parts : threads;
    p.width = s->d % PAGE == 0 ? s->d + LINE : s->d;
    p.floats = p.group * s->d + fill_up(p.group, PANEL) * s->d + BLOCK * PANEL;
    p.floats = fill_up(p.floats + (p.width > s->d ? BLOCK * p.width : 0), LINE) + GAP;
    return p;
}

static workspace lay_out(const sslcv__search *s, const plan *p, float *floats)
{
    workspace w;

    w.products = floats;
    w.panels = w.products + BLOCK * PANEL;
    w.units = w.panels + fill_up(p->group, PANEL) * s->d;
    w.copy = w.units + p->group * s->d;
    return w;
}

/* ---- one group and one part of the rows ---- */

/* Which of a row's products with a panel may matter: a bit for each. */
SSLCV__CLONES static void compare(const float *products, int64_t rows, const float *least, uint32_t *hits)
{
    int64_t i;
    int q;

    for (i = 0; i < rows; i++, products += PANEL) {
        uint32_t found = 0;

        for (q = 0; q < PANEL; q++) found |= products[q] >= least[q] ? 1u << q : 0;
        hits[i] = found;
    }
}

/** What one panel meets. */
typedef struct row_block {
    const float *rows; /* (count, p->width) */
    int64_t first, count;
    const float *next; /* fetched meanwhile */
    int64_t next_floats;
} row_block;

static void collect(const plan *p, const row_block *block, const float *products, const int64_t *exclude, int64_t count,
                    sslcv__candidates *c)
{
    float least[PANEL];
    uint32_t hits[BLOCK];
    int64_t i;
    int q;

    /* What a panel lacks has products of 0, which are below this. */
    for (q = 0; q < PANEL; q++) least[q] = q < count ? c[q].least : FLT_MAX;
    compare(products, block->count, least, hits);
    for (i = 0; i < block->count; i++) {
        uint32_t left;

        for (left = hits[i]; left; left &= left - 1) {
            float x;

            q = __builtin_ctz(left);
            x = products[i * PANEL + q];

            if (x < c[q].least || (exclude && exclude[q] == block->first + i)) continue;
            sslcv__candidates_add(&p->rule, &c[q], x, block->first + i);
        }
    }
}

static void meet(const sslcv__search *s, const plan *p, const workspace *w, const row_block *block, int64_t panel,
                 int64_t from, int64_t to)
{
    const sslcv__matmul product = {.m = block->count,
                                   .n = PANEL,
                                   .k = s->d,
                                   .a = block->rows,
                                   .a_row = p->width,
                                   .a_column = 1,
                                   .b = w->panels + panel * PANEL * s->d,
                                   .b_row = PANEL,
                                   .c = w->products,
                                   .c_row = PANEL,
                                   .next = block->next + from,
                                   .next_floats = to - from};

    sslcv__matmul_run(&product);
}

static void take_block(const sslcv__search *s, const plan *p, const workspace *w, const row_block *block,
                       const int64_t *exclude, int64_t queries, sslcv__candidates *c)
{
    const int64_t panels = divide_up(queries, PANEL);
    int64_t i;

    for (i = 0; i < panels; i++) {
        const int64_t at = i * PANEL;

        meet(s, p, w, block, i, block->next_floats * i / panels, block->next_floats * (i + 1) / panels);
        collect(p, block, w->products, exclude ? exclude + at : NULL, smaller(PANEL, queries - at), c + at);
    }
}

static void copy_rows(const sslcv__search *s, const plan *p, const float *rows, int64_t count, float *copy)
{
    int64_t i;

    for (i = 0; i < count; i++) memcpy(copy + i * p->width, rows + i * s->d, (size_t)s->d * sizeof *copy);
}

static void prepare(const sslcv__search *s, const workspace *w, int64_t first, int64_t queries, sslcv__candidates *c)
{
    const int64_t d = s->d;
    int64_t i;

    for (i = 0; i < queries; i++) {
        sslcv__row_normalize(s->queries->data + (first + i) * d, d, w->units + i * d);
        c[i].unit = w->units + i * d;
        sslcv__candidates_clear(&c[i]);
    }
    for (i = 0; i < queries; i += PANEL) {
        sslcv__matmul_turn(w->units + i * d, smaller(PANEL, queries - i), d, PANEL, w->panels + i * d);
    }
}

static int is_cancelled(const sslcv_context *context)
{
    return atomic_load_explicit(&context->cancelled, memory_order_relaxed) != 0;
}

/* The candidates of a group in a part. */
static sslcv_status walk(const sslcv_context *context, const sslcv__search *s, const plan *p, const workspace *w,
                         int64_t group, int64_t part, sslcv__candidates *c)
{
    const int64_t first = group * p->group, queries = smaller(p->group, s->queries->n - first);
    const int64_t begin = part * p->length, end = smaller(begin + p->length, s->n);
    int64_t at;

    prepare(s, w, first, queries, c);
    for (at = begin; at < end; at += BLOCK) {
        row_block block = {s->rows + at * s->d, at, smaller(BLOCK, end - at), NULL, 0};

        if (is_cancelled(context)) return SSLCV_ERR_CANCELLED;
        block.next = block.rows + block.count * s->d;
        block.next_floats = smaller(BLOCK, s->n - at - block.count) * s->d;
        if (p->width > s->d) {
            copy_rows(s, p, block.rows, block.count, w->copy);
            block.rows = w->copy;
        }
        take_block(s, p, w, &block, s->exclude ? s->exclude + first : NULL, queries, c);
    }
    return SSLCV_OK;
}

/* ---- all ---- */

static void finish(const sslcv__search *s, int64_t query, sslcv__candidates *c)
{
    sslcv__candidates_sort(c);
    s->take(s->user, omp_get_thread_num(), query, c->nearest);
}

static sslcv_status do_task(const sslcv_context *context, const sslcv__search *s, const plan *p, const memory *held,
                            int64_t task)
{
    const int thread = omp_get_thread_num();
    const workspace w = lay_out(s, p, held->floats + thread * p->floats);
    const int64_t group = task / p->parts, first = group * p->group;
    sslcv__candidates *c = held->candidates + (p->parts > 1 ? task : thread) * p->group;
    const sslcv_status status = walk(context, s, p, &w, group, task % p->parts, c);
    int64_t i;

    if (status != SSLCV_OK) return status;
    for (i = 0; i < smaller(p->group, s->queries->n - first); i++) {
        sslcv__candidates_settle(&p->rule, &c[i]);
        if (p->parts == 1) finish(s, first + i, &c[i]);
    }
    return SSLCV_OK;
}

/* What the parts have found, in the candidates of the first. */
static void join(const sslcv__search *s, const plan *p, const memory *held, int64_t query)
{
    sslcv__candidates *c = held->candidates + query / p->group * p->parts * p->group + query % p->group;
    int64_t part;

    for (part = 1; part < p->parts; part++) sslcv__candidates_join(&p->rule, c, c + part * p->group);
    finish(s, query, c);
}

static sslcv_status allocate(sslcv_context *context, const plan *p, memory *held)
{
    const int64_t all = p->slots * p->group, room = p->rule.room, sharing = p->parts > 1 ? 1 : p->group;
    int64_t i;
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(context, p->threads * p->floats, sizeof(float), (void **)&held->floats));
    SSLCV__TRY(sslcv__alloc_array(context, all, sizeof *held->candidates, (void **)&held->candidates));
    SSLCV__TRY(sslcv__alloc_array(context, all * room, sizeof(float), (void **)&held->products));
    SSLCV__TRY(sslcv__alloc_array(context, all * room, sizeof(int64_t), (void **)&held->indices));
    SSLCV__TRY(sslcv__alloc_array(context, all / sharing * room, sizeof *held->nearest, (void **)&held->nearest));
    for (i = 0; i < all; i++) {
        held->candidates[i].products = held->products + i * room;
        held->candidates[i].indices = held->indices + i * room;
        held->candidates[i].nearest = held->nearest + i / sharing * room;
    }
end:
    return status;
}

sslcv_status sslcv__search_run(sslcv_context *context, const sslcv__search *s)
{
    const plan p = make_plan(s);
    memory held = {0};
    sslcv_status status, found = SSLCV_OK; /* the others are negative */
    int64_t i;

    SSLCV__TRY(allocate(context, &p, &held));
#pragma omp parallel for schedule(dynamic) reduction(min : found)
    for (i = 0; i < p.groups * p.parts; i++) {
        const sslcv_status done = is_cancelled(context) ? SSLCV_ERR_CANCELLED : do_task(context, s, &p, &held, i);

        found = done < found ? done : found;
    }
    if (found != SSLCV_OK) {
        status = sslcv__fail(found, "cancelled by sslcv_context_cancel()");
        goto end;
    }
    if (p.parts > 1) {
#pragma omp parallel for schedule(static)
        for (i = 0; i < s->queries->n; i++) join(s, &p, &held, i);
    }
end:
    sslcv__free(context, held.floats);
    sslcv__free(context, held.candidates);
    sslcv__free(context, held.products);
    sslcv__free(context, held.indices);
    sslcv__free(context, held.nearest);
    return status;
}
