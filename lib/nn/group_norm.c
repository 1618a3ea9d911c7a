#include "nn/group_norm.h"

#include "nn/norm_rows.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/*
 * As in norm.c everything is rows of 16 lanes: channels that lie side by side, or a few channels of consecutive pixels.
 *
 *     tile     the channels of one row, in one sample
 *     bundle   tiles that are whole groups: all that is needed to normalise them is within
 *     part     a fixed share of all samples' bundles, the work of one thread at a time, with scratch of its own
 */
enum { PIECE_ROWS = 256, FIRST_ROWS = 16, MAX_PARTS = 64 };
enum { SERIAL_BYTES = 1 << 15, STREAM_BYTES = 4 << 20, STREAM_BYTES_BF16 = 12 << 20 };

/* ---- the shape as tiles ---- */

typedef struct form {
    int64_t size;                           /* bytes of an element */
    int64_t tiles, bundles, bundle_tiles;   /* of a sample; the last bundle may have fewer tiles */
    int64_t block, block_tiles, last_lanes; /* tiles of a block of channels, lanes of the last of them */
    int64_t width;                          /* channels of a tile: LANES, or fewer that repeat */
    int64_t rows, row_stride, tail;         /* of a tile; lanes behind its last full row */
    int64_t group_channels;
    int64_t parts;
} form;

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        const int64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

static form form_of(const sslcv__norm_shape *shape)
{
    form f = {.size = shape->bf16 ? 2 : 4, .block = shape->block};

    if (f.block < LANES && LANES % f.block == 0 && shape->pixel_stride == f.block) {
        f.width = f.block;
        f.block_tiles = 1;
        f.last_lanes = LANES;
        f.rows = shape->pixels * f.block / LANES;
        f.row_stride = LANES;
        f.tail = shape->pixels * f.block % LANES;
    } else {
        f.width = LANES;
        f.block_tiles = divide_up(f.block, LANES);
        f.last_lanes = f.block - (f.block_tiles - 1) * LANES;
        f.rows = shape->pixels;
        f.row_stride = shape->pixel_stride;
    }
    f.tiles = divide_up(shape->channels, f.block) * f.block_tiles;
    f.group_channels = shape->channels / shape->groups;
    /* Whole tiles that are whole groups; where a block ends within a tile the count of channels is not so simple. */
    f.bundle_tiles = f.width == LANES && f.last_lanes < LANES
                         ? f.tiles
                         : smaller(f.tiles, f.group_channels / common_divisor(f.group_channels, f.width));
    f.bundles = divide_up(f.tiles, f.bundle_tiles);
    f.parts = smaller(shape->batch * f.bundles, MAX_PARTS);
    return f;
}

/* Where a tile of a sample begins, in elements. */
static int64_t tile_at(const sslcv__norm_shape *shape, const form *f, int64_t sample, int64_t tile)
{
    return sample * shape->batch_stride + tile / f->block_tiles * shape->block_stride + tile % f->block_tiles * LANES;
}

/* ---- a job ---- */

typedef struct pass {
    const char *in[INPUTS];
    char *out; /* D of the first pass, OUT of the second */
    int32_t mask, stream;
} pass;

enum { STATISTICS = 1, SUMS = 2, APPLY = 4, GRADIENT = 8 };

typedef struct job {
    const sslcv__norm_shape *shape;
    form f;
    const sslcv__norm_affine *affine;
    pass first, second;
    float *mean, *variance; /* STATISTICS: results */
    int32_t what, relu;
    int32_t (*channels)[LANES]; /* (tiles): channel of a lane; -1: padding */
    int32_t (*groups)[LANES];   /* (tiles): its group */
    char *scratch;              /* of the parts */
} job;

/* Scratch of a part. */
typedef struct workspace {
    float (*c)[COEFFICIENTS][LANES]; /* (bundle_tiles) */
    double (*totals)[2][LANES];      /* (bundle_tiles): mean and squares around it, or the sums of backward */
    double (*diff)[2][LANES];        /* (tiles): shift, scale; over the part's samples */
    double (*sums)[3];               /* (groups): two sums, 1 / deviation */
} workspace;

static int64_t workspace_bytes(const sslcv__norm_shape *shape, const form *f)
{
    return f->bundle_tiles * (int64_t)(sizeof(float[COEFFICIENTS][LANES]) + sizeof(double[2][LANES])) +
           f->tiles * (int64_t)sizeof(double[2][LANES]) + divide_up(shape->groups, 8) * 8 * (int64_t)sizeof(double[3]);
}

static workspace workspace_of(const job *j, int64_t part)
{
    const form *f = &j->f;
    workspace w;

    w.c = (void *)(j->scratch + part * workspace_bytes(j->shape, f));
    w.totals = (void *)(w.c + f->bundle_tiles);
    w.diff = w.totals + f->bundle_tiles;
    w.sums = (void *)(w.diff + f->tiles);
    return w;
}

int64_t sslcv__group_norm_scratch_bytes(const sslcv__norm_shape *shape)
{
    const form f = form_of(shape);

    return 2 * f.tiles * (int64_t)sizeof(int32_t[LANES]) + f.parts * workspace_bytes(shape, &f);
}

static job new_job(const sslcv__norm_shape *shape, const sslcv__norm_affine *affine, void *scratch)
{
    job j = {.shape = shape, .f = form_of(shape), .affine = affine};
    const form *f = &j.f;
    int64_t t, l;

    j.channels = scratch;
    j.groups = j.channels + f->tiles;
    j.scratch = (char *)(j.groups + f->tiles);
    for (t = 0; t < f->tiles; t++) {
        for (l = 0; l < LANES; l++) {
            const int64_t within = t % f->block_tiles * LANES + l % f->width;
            const int64_t channel = t / f->block_tiles * f->block + within;
            const int real = within < f->block && channel < shape->channels;

            j.channels[t][l] = real ? (int32_t)channel : -1;
            j.groups[t][l] = real ? (int32_t)(channel / f->group_channels) : -1;
        }
    }
    return j;
}

/* ---- calls of the loops ---- */

static void call(int what, const rows *v, int bf16, coefficients c, sums s)
{
    switch (what) {
    case STATISTICS: sslcv__norm_rows_statistics(bf16, v, c[MEAN], s); break;
    case SUMS: sslcv__norm_rows_sums(bf16, v, c, s); break;
    case APPLY: sslcv__norm_rows_apply(bf16, v, c); break;
    default: sslcv__norm_rows_gradient(bf16, v, c); break;
    }
}

static void copy_rows(char *array, int bf16, int64_t at, int64_t stride, int64_t count, int64_t lanes,
                      const float (*copy)[LANES])
{
    int64_t i, l;

    for (i = 0; i < count; i++) {
        for (l = 0; l < lanes; l++) {
            if (bf16)
                ((uint16_t *)(void *)array)[at + i * stride + l] = sslcv__f32_to_bf16(copy[i][l]);
            else
                ((float *)(void *)array)[at + i * stride + l] = copy[i][l];
        }
    }
}

/* Rows of fewer than 16 lanes, in a copy, in f32. Lanes that are missing are such that they add to no sum. */
static void call_in_copy(const job *j, int what, const pass *p, int64_t at, int64_t count, int64_t lanes,
                         coefficients c, sums s)
{
    enum { COPY_ROWS = 16 };
    const int bf16 = j->shape->bf16, result = what == SUMS ? D : OUT;
    const int64_t stride = j->f.row_stride;
    float in[INPUTS][COPY_ROWS][LANES], out[COPY_ROWS][LANES];
    rows v = {.images = 1, .stride = LANES, .relu = j->relu, .mask = p->mask};
    int64_t first, i, l;
    int a;

    for (a = 0; a < INPUTS; a++) v.in[a] = p->in[a] ? in[a] : NULL;
    v.out[result] = p->out ? out : NULL;
    for (first = 0; first < count; first += COPY_ROWS, at += COPY_ROWS * stride) {
        v.count = smaller(count - first, COPY_ROWS);
        for (a = 0; a < INPUTS; a++) {
            for (i = 0; i < v.count && p->in[a]; i++) {
                for (l = 0; l < LANES; l++) {
                    in[a][i][l] = l < lanes ? get(p->in[a], at + i * stride + l, bf16) : (a == X ? c[MEAN][l] : 0.0f);
                }
            }
        }
        call(what, &v, 0, c, s);
        if (p->out) copy_rows(p->out, bf16, at, stride, v.count, lanes, (const float(*)[LANES])out);
    }
}

/* count rows of a tile from element at on. */
static void call_rows(const job *j, int what, int64_t at, int64_t count, int64_t lanes, coefficients c, sums s)
{
    const pass *p = what & (STATISTICS | SUMS) ? &j->first : &j->second;
    rows v = {
        .images = 1, .count = count, .stride = j->f.row_stride, .relu = j->relu, .mask = p->mask, .stream = p->stream};
    int a;

    if (lanes < LANES) {
        call_in_copy(j, what, p, at, count, lanes, c, s);
        return;
    }
    for (a = 0; a < INPUTS; a++) v.in[a] = p->in[a] ? p->in[a] + at * j->f.size : NULL;
    if (p->out) v.out[what == SUMS ? D : OUT] = p->out + at * j->f.size;
    call(what, &v, j->shape->bf16, c, s);
}

/* ---- tiles ---- */

typedef struct tile {
    int64_t at, lanes;
} tile;

static tile tile_of(const job *j, int64_t sample, int64_t index)
{
    const form *f = &j->f;
    const tile t = {tile_at(j->shape, f, sample, index),
                    index % f->block_tiles == f->block_tiles - 1 ? f->last_lanes : LANES};

    return t;
}

/* Rows first to first + count of a tile, and what is behind the last row where they reach it. */
static void tile_rows(const job *j, int what, const tile *t, int64_t first, int64_t count, coefficients c, sums s)
{
    const form *f = &j->f;
    const int64_t at = t->at + first * f->row_stride;

    if (count > 0) call_rows(j, what, at, count, t->lanes, c, s);
    if (f->tail > 0 && first + count == f->rows) call_rows(j, what, at + count * f->row_stride, 1, f->tail, c, s);
}

/* From a piece's sums around k to the mean and squares of all rows so far, of which seen are behind: Chan et al. */
static void add_piece(int64_t seen, int64_t count, int64_t tail, const float *k, float (*s)[LANES],
                      double (*total)[LANES])
{
    const double inverse[2] = {count > 0 ? 1.0 / (double)count : 0.0, 1.0 / (double)(count + 1)};
    int64_t l;

    for (l = 0; l < LANES; l++) {
        const double moved = s[0][l] * inverse[l < tail], mean = k[l] + moved, squares = s[1][l] - moved * s[0][l];
        const double n = (double)(count + (l < tail)), apart = mean - total[0][l];

        if (seen == 0) {
            total[0][l] = mean;
            total[1][l] = squares;
        } else {
            total[0][l] += apart * n / ((double)seen + n);
            total[1][l] += squares + apart * apart * n * (double)seen / ((double)seen + n);
        }
    }
}

/*
 * Mean of each lane, and the sum of squares around it. Within a piece they are taken of distances to k, the mean of its
 * first rows, in f32: as those are among its rows such squares exceed the ones around the mean 17 times at most, and
 * little is lost when they are moved, in double.
 */
static void measure_tile(const job *j, const tile *t, double (*total)[LANES])
{
    const form *f = &j->f;
    float k[COEFFICIENTS][LANES], s[2][LANES];
    int64_t first, count, l;

    memset(total, 0, sizeof(double[2][LANES]));
    for (first = 0; first == 0 || first < f->rows; first += PIECE_ROWS) {
        const int64_t tail = f->rows - first <= PIECE_ROWS ? f->tail : 0, at = t->at + first * f->row_stride;

        count = smaller(f->rows - first, PIECE_ROWS);
        for (l = 0; l < LANES; l++) {
            k[MEAN][l] = l < (count > 0 ? t->lanes : tail) ? get(j->first.in[X], at + l, j->shape->bf16) : 0.0f;
        }
        if (count > FIRST_ROWS) {
            memset(s, 0, sizeof s);
            call_rows(j, STATISTICS, at, FIRST_ROWS, t->lanes, (coefficients)k, s);
            for (l = 0; l < LANES; l++) k[MEAN][l] += s[0][l] / FIRST_ROWS;
        }
        memset(s, 0, sizeof s);
        tile_rows(j, STATISTICS, t, first, count, (coefficients)k, s);
        add_piece(first, count, tail, k[MEAN], s, total);
    }
}

/* Sums of d and of d (x - mean) of each lane; stores d. */
static void sum_tile(const job *j, const tile *t, coefficients c, double (*total)[LANES])
{
    const form *f = &j->f;
    float s[2][LANES];
    int64_t first, l;

    memset(total, 0, sizeof(double[2][LANES]));
    for (first = 0; first == 0 || first < f->rows; first += PIECE_ROWS) {
        memset(s, 0, sizeof s);
        tile_rows(j, SUMS, t, first, smaller(f->rows - first, PIECE_ROWS), c, s);
        for (l = 0; l < LANES; l++) {
            total[0][l] += s[0][l];
            total[1][l] += s[1][l];
        }
    }
}

/* ---- bundles ---- */

typedef struct bundle {
    int64_t sample, first, count; /* tiles */
    int64_t first_group, end_group;
} bundle;

static bundle bundle_of(const job *j, int64_t unit)
{
    const form *f = &j->f;
    bundle b = {.sample = unit / f->bundles, .first = unit % f->bundles * f->bundle_tiles};

    b.count = smaller(f->bundle_tiles, f->tiles - b.first);
    b.end_group = j->shape->groups;
    if (f->bundles > 1) {
        b.first_group = b.first * f->width / f->group_channels;
        b.end_group = smaller(b.end_group, (b.first + b.count) * f->width / f->group_channels);
    }
    return b;
}

static void clear_sums(const bundle *b, const workspace *w)
{
    int64_t g;

    for (g = b->first_group; g < b->end_group; g++) w->sums[g][0] = w->sums[g][1] = 0.0;
}

/* From the lanes' means and squares to those of their groups. */
static void join_statistics(const job *j, const bundle *b, const workspace *w)
{
    const form *f = &j->f;
    const double count = (double)(j->shape->pixels * f->group_channels);
    const int64_t at = b->sample * j->shape->groups;
    int64_t g, t, l;

    clear_sums(b, w);
    for (t = 0; t < b->count; t++) {
        for (l = 0; l < LANES; l++) {
            const int32_t group = j->groups[b->first + t][l];

            if (group >= 0) w->sums[group][0] += w->totals[t][0][l] * (double)(f->rows + (l < f->tail));
        }
    }
    for (g = b->first_group; g < b->end_group; g++) w->sums[g][0] /= count;
    for (t = 0; t < b->count; t++) {
        for (l = 0; l < LANES; l++) {
            const int32_t group = j->groups[b->first + t][l];
            const double apart = group < 0 ? 0.0 : w->totals[t][0][l] - w->sums[group][0];

            if (group < 0) continue;
            w->sums[group][1] += w->totals[t][1][l] + apart * apart * (double)(f->rows + (l < f->tail));
        }
    }
    for (g = b->first_group; g < b->end_group; g++) {
        j->mean[at + g] = (float)w->sums[g][0];
        j->variance[at + g] = (float)(w->sums[g][1] / count);
    }
}

static void set_affine(const job *j, const bundle *b, const workspace *w)
{
    const sslcv__norm_affine *a = j->affine;
    const int64_t at = b->sample * j->shape->groups;
    int64_t g, t, l;

    for (g = b->first_group; g < b->end_group; g++) {
        w->sums[g][2] = 1.0 / sqrt((double)a->variance[at + g] + a->epsilon);
    }
    memset(w->c, 0, (size_t)b->count * sizeof *w->c);
    for (t = 0; t < b->count; t++) {
        for (l = 0; l < LANES; l++) {
            const int32_t channel = j->channels[b->first + t][l], group = j->groups[b->first + t][l];

            if (channel < 0) continue;
            w->c[t][MEAN][l] = a->mean[at + group];
            w->c[t][FACTOR][l] = (float)(w->sums[group][2] * (a->scale ? a->scale[channel] : 1.0));
            w->c[t][SHIFT][l] = a->shift ? a->shift[channel] : 0.0f;
        }
    }
}

/* From the lanes' sums to those of their groups, and to the part's gradients of scale and shift. */
static void set_slopes(const job *j, const bundle *b, const workspace *w)
{
    const double count = (double)(j->shape->pixels * j->f.group_channels);
    const float *scale = j->affine->scale;
    int64_t g, t, l;

    clear_sums(b, w);
    for (t = 0; t < b->count; t++) {
        for (l = 0; l < LANES; l++) {
            const int32_t channel = j->channels[b->first + t][l], group = j->groups[b->first + t][l];
            const double by = channel >= 0 && scale ? scale[channel] : 1.0;

            if (channel < 0) continue;
            w->sums[group][0] += by * w->totals[t][0][l];
            w->sums[group][1] += by * w->totals[t][1][l];
        }
    }
    for (g = b->first_group; g < b->end_group; g++) {
        const double r = w->sums[g][2];

        w->sums[g][0] *= r / count;
        w->sums[g][1] *= r * r * r / count;
    }
    for (t = 0; t < b->count; t++) {
        for (l = 0; l < LANES; l++) {
            const int32_t group = j->groups[b->first + t][l];
            const double r = group < 0 ? 0.0 : w->sums[group][2];

            if (group < 0) continue;
            w->c[t][CORRECTION][l] = (float)w->sums[group][0];
            w->c[t][SLOPE][l] = (float)w->sums[group][1];
            w->diff[b->first + t][0][l] += w->totals[t][0][l];
            w->diff[b->first + t][1][l] += w->totals[t][1][l] * r;
        }
    }
}

static void do_bundle(const job *j, int64_t unit, const workspace *w)
{
    const bundle b = bundle_of(j, unit);
    int64_t t;

    for (t = 0; t < b.count && j->what & STATISTICS; t++) {
        const tile of = tile_of(j, b.sample, b.first + t);
        measure_tile(j, &of, w->totals[t]);
    }
    if (j->what & STATISTICS) join_statistics(j, &b, w);
    set_affine(j, &b, w);
    for (t = 0; t < b.count && j->what & SUMS; t++) {
        const tile of = tile_of(j, b.sample, b.first + t);
        sum_tile(j, &of, (coefficients)w->c[t], w->totals[t]);
    }
    if (j->what & SUMS) set_slopes(j, &b, w);
    for (t = b.count - 1; t >= 0 && j->what & (APPLY | GRADIENT); t--) { /* what was read last is nearest */
        const tile of = tile_of(j, b.sample, b.first + t);
        tile_rows(j, j->what & (APPLY | GRADIENT), &of, 0, j->f.rows, (coefficients)w->c[t], NULL);
    }
}

static void do_part(const job *j, int64_t part)
{
    const form *f = &j->f;
    const int64_t units = j->shape->batch * f->bundles;
    const workspace w = workspace_of(j, part);
    int64_t unit;

    memset(w.diff, 0, (size_t)f->tiles * sizeof *w.diff);
    for (unit = units * part / f->parts; unit < units * (part + 1) / f->parts; unit++) do_bundle(j, unit, &w);
#if defined(__SSE2__)
    if (j->second.stream) _mm_sfence();
#endif
}

/* A result that replaces no input and whose rows are aligned. */
static int32_t may_stream(const job *j, const pass *p)
{
    const int64_t strides = j->f.row_stride | j->shape->block_stride | j->shape->batch_stride;
    int i;

    if (!p->out || (uintptr_t)p->out % 16 != 0 || strides * j->f.size % 16 != 0) return 0;
    for (i = 0; i < INPUTS; i++) {
        if (p->out == p->in[i]) return 0;
    }
    return 1;
}

static void run_job(job *j)
{
    const int64_t bytes = j->shape->batch * j->shape->batch_stride * j->f.size;
    int64_t part;

    if (bytes >= (j->shape->bf16 ? STREAM_BYTES_BF16 : STREAM_BYTES)) j->second.stream = may_stream(j, &j->second);
#pragma omp parallel for schedule(dynamic) if (bytes >= SERIAL_BYTES)
    for (part = 0; part < j->f.parts; part++) do_part(j, part);
}

/* ---- the calls ---- */

void sslcv__group_norm_forward(const sslcv__norm_shape *shape, const sslcv__norm_affine *affine, const void *x,
                               const void *r, int relu, void *y, float *mean, float *variance, void *scratch)
{
    const sslcv__norm_affine own = {mean, variance, affine->scale, affine->shift, affine->epsilon};
    job j = new_job(shape, &own, scratch);

    j.first.in[X] = x;
    j.mean = mean;
    j.variance = variance;
    j.second = (pass){.in = {x, r}, .out = y};
    j.relu = relu;
    j.what = STATISTICS | APPLY;
    run_job(&j);
}

void sslcv__group_norm_apply(const sslcv__norm_shape *shape, const sslcv__norm_affine *affine, const void *x,
                             const void *r, int relu, void *y, void *scratch)
{
    job j = new_job(shape, affine, scratch);

    j.second = (pass){.in = {x, r}, .out = y};
    j.relu = relu;
    j.what = APPLY;
    run_job(&j);
}

/* The parts' sums in their order, of all lanes of a channel. */
static void sum_parts(const job *j, float *diff_scale, float *diff_shift)
{
    const form *f = &j->f;
    int64_t t, l, lane, part;

    for (t = 0; t < f->tiles; t++) {
        for (l = 0; l < f->width; l++) {
            const int32_t channel = j->channels[t][l];
            double shift = 0.0, scale = 0.0;

            if (channel < 0) continue;
            for (part = 0; part < f->parts; part++) {
                const workspace w = workspace_of(j, part);
                for (lane = l; lane < LANES; lane += f->width) {
                    shift += w.diff[t][0][lane];
                    scale += w.diff[t][1][lane];
                }
            }
            if (diff_shift) diff_shift[channel] = (float)shift;
            if (diff_scale) diff_scale[channel] = (float)scale;
        }
    }
}

void sslcv__group_norm_backward(const sslcv__norm_shape *shape, const sslcv__norm_affine *affine,
                                const sslcv__norm_gradient *gradient, void *scratch)
{
    const sslcv__norm_gradient *k = gradient;
    const pass all = {.in = {k->x, k->mask == SSLCV__NORM_MASK_Y ? k->y : NULL, k->g, k->g2}, .mask = (int32_t)k->mask};
    const pass rest = {.in = {k->x, NULL, k->d, NULL}, .mask = SSLCV__NORM_MASK_NONE};
    job j = new_job(shape, affine, scratch);

    j.first = all;
    j.first.out = k->d;
    j.what = SUMS;
    if (k->diff_x) {
        j.second = k->d ? rest : all;
        j.second.out = k->diff_x;
        j.what |= GRADIENT;
    }
    run_job(&j);
    if (k->diff_scale || k->diff_shift) sum_parts(&j, k->diff_scale, k->diff_shift);
}
