#include "nn/norm.h"

#include "core/bf16.h"
#include "core/openmp.h"
#include "nn/norm_rows.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/*
 * Everything is rows of 16 lanes. Lanes are channels, where 16 or more lie side by side, or a few channels of
 * consecutive pixels, where fewer do:
 *
 *     tile     the channels of one row; they have sums of their own in each group
 *     unit     tiles that lie beside each other in memory, so many that a page of it is read at a time
 *     task     a fixed part of a unit's rows, the work of one thread; leaves its sums in double in scratch
 *     piece    some 256 rows of each tile: sums over them are taken in f32
 *
 * None depends on the number of threads, and tasks' sums are added in their order.
 */
enum { PIECE_ROWS = 256, CALL_ROWS = 64, STRIP = 32, MAX_TASKS = 32 };
enum {
    RUN_BYTES = 1 << 12,
    TASK_BYTES = 1 << 16,
    SERIAL_BYTES = 1 << 15,
    CACHE_BYTES = 12 << 20,
    STREAM_BYTES = 4 << 20,
    STREAM_BYTES_BF16 = 12 << 20 /* half lines at a time: less is gained */
};

enum { REDUCE = 1, MAP = 2 };

/* ---- the shape as rows ---- */

typedef struct form {
    int64_t size;                                   /* bytes of an element */
    int64_t groups, tiles;                          /* tiles: of a group */
    int64_t units, unit_tiles;                      /* units of a group, tiles of a unit; the last may have fewer */
    int64_t block, block_tiles, last_lanes;         /* tiles of a block of channels, lanes of the last of them */
    int64_t width;                                  /* channels of a tile: LANES, or fewer that repeat */
    int64_t images, image_stride, rows, row_stride; /* of a group; rows of LANES lanes */
    int64_t tail;                                   /* lanes behind the last full row of an image */
    int64_t pieces, pieces_per_image, images_per_piece;
    int64_t tasks; /* of a unit */
    int64_t unit_bytes;
    int64_t count; /* values of one channel in a group */
} form;

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t between(int64_t value, int64_t lowest, int64_t highest)
{
    return value < lowest ? lowest : value > highest ? highest : value;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void cut(form *f)
{
    const int64_t all_rows = f->rows + (f->tail > 0), run_bytes = all_rows * LANES * f->size;

    f->unit_tiles = f->block_tiles > 1 ? f->block_tiles : between(RUN_BYTES / run_bytes, 1, f->tiles);
    f->units = divide_up(f->tiles, f->unit_tiles);
    f->images_per_piece = between(PIECE_ROWS / all_rows, 1, f->images);
    f->pieces_per_image = f->images_per_piece > 1 ? 1 : divide_up(all_rows, PIECE_ROWS);
    f->pieces = divide_up(f->images, f->images_per_piece) * f->pieces_per_image;
    f->unit_bytes = f->images * f->unit_tiles * run_bytes;
    f->tasks = between(f->unit_bytes / TASK_BYTES, 1, smaller(f->pieces, MAX_TASKS));
}

static form form_of(const sslcv__norm_shape *shape)
{
    /* Maps of one pixel are rows of channels, with their padding, whatever they are called. */
    const int rows_of_channels = shape->pixels == 1 && shape->block_stride == shape->block;
    const int64_t padded = divide_up(shape->channels, shape->block) * shape->block;
    const int64_t pixel_stride = rows_of_channels ? shape->batch_stride : shape->pixel_stride;
    form f = {.size = shape->bf16 ? 2 : 4, .groups = shape->groups};
    int64_t pixels = shape->pixels;

    f.block = rows_of_channels ? padded : shape->block;
    f.images = shape->batch / shape->groups;
    f.count = f.images * pixels;
    f.image_stride = shape->batch_stride;
    if (shape->batch_stride == pixels * pixel_stride) { /* nothing lies between the images: they are as one */
        pixels *= f.images;
        f.image_stride *= f.images;
        f.images = 1;
    }
    if (f.block < LANES && LANES % f.block == 0 && pixel_stride == f.block) {
        f.width = f.block;
        f.block_tiles = 1;
        f.last_lanes = LANES;
        f.rows = pixels * f.block / LANES;
        f.row_stride = LANES;
        f.tail = pixels * f.block % LANES;
    } else {
        f.width = LANES;
        f.block_tiles = divide_up(f.block, LANES);
        f.last_lanes = f.block - (f.block_tiles - 1) * LANES;
        f.rows = pixels;
        f.row_stride = pixel_stride;
    }
    f.tiles = divide_up(shape->channels, f.block) * f.block_tiles;
    cut(&f);
    return f;
}

/* Where a tile begins, in the first pixel of an image. */
static int64_t tile_at(const sslcv__norm_shape *shape, const form *f, int64_t tile)
{
    return tile / f->block_tiles * shape->block_stride + tile % f->block_tiles * LANES;
}

/* Channel of a lane; -1: padding. */
static int64_t channel_of(const sslcv__norm_shape *shape, const form *f, int64_t tile, int64_t lane)
{
    const int64_t within = tile % f->block_tiles * LANES + lane % f->width;
    const int64_t channel = tile / f->block_tiles * f->block + within;

    return within < f->block && channel < shape->channels ? channel : -1;
}

/* Tiles of a unit: all have as many, but the last. */
static int64_t tiles_of(const form *f, int64_t unit)
{
    return smaller(f->unit_tiles, f->tiles - unit * f->unit_tiles);
}

/* ---- a job: what to do with the arrays ---- */

/* One way over the arrays. */
typedef struct pass {
    const char *in[INPUTS];
    char *out; /* D of the first pass, OUT of the second */
    int32_t mask, stream;
} pass;

typedef struct job {
    const sslcv__norm_shape *shape;
    form f;
    const sslcv__norm_affine *affine; /* NULL: statistics alone */
    pass reduce, map;
    float *mean, *variance; /* results of statistics */
    int32_t what;           /* REDUCE, MAP */
    int32_t backward, relu, given;
    float (*table)[COEFFICIENTS][LANES]; /* (groups, tiles) */
    double (*totals)[2][LANES];          /* (groups, tiles) */
    double (*parts)[2][LANES];           /* (groups, units, tasks, unit_tiles) */
} job;

static int64_t table_bytes(const form *f)
{
    return f->groups * f->tiles * (int64_t)sizeof(float[COEFFICIENTS][LANES]);
}

static int64_t totals_bytes(const form *f)
{
    return f->groups * f->tiles * (int64_t)sizeof(double[2][LANES]);
}

int64_t sslcv__norm_scratch_bytes(const sslcv__norm_shape *shape)
{
    const form f = form_of(shape);
    const int64_t parts = f.groups * f.units * f.tasks * f.unit_tiles * (int64_t)sizeof(double[2][LANES]);

    return table_bytes(&f) + totals_bytes(&f) + parts;
}

static job new_job(const sslcv__norm_shape *shape, const sslcv__norm_affine *affine, void *scratch)
{
    job j = {.shape = shape, .f = form_of(shape), .affine = affine};

    j.table = scratch;
    j.totals = (void *)((char *)scratch + table_bytes(&j.f));
    j.parts = (void *)((char *)scratch + table_bytes(&j.f) + totals_bytes(&j.f));
    return j;
}

/* ---- calls of the loops ---- */

typedef struct run {
    int64_t at; /* first element */
    int64_t images, image_stride, rows, stride;
    int64_t lanes;
} run;

static void call(const job *j, int what, const rows *v, int bf16, coefficients c, sums s)
{
    if (what == REDUCE && j->backward) sslcv__norm_rows_sums(bf16, v, c, s);
    if (what == REDUCE && !j->backward) sslcv__norm_rows_statistics(bf16, v, c[MEAN], s);
    if (what == MAP && j->backward) sslcv__norm_rows_gradient(bf16, v, c);
    if (what == MAP && !j->backward) sslcv__norm_rows_apply(bf16, v, c);
}

static void copy_in(const char *array, int bf16, const run *r, int64_t at, int64_t count, const float *fill,
                    float (*copy)[LANES])
{
    int64_t i, l;

    for (i = 0; i < count; i++) {
        const int64_t first = at + i * r->stride;

        memcpy(copy[i], fill, sizeof copy[i]);
        for (l = 0; l < r->lanes; l++) copy[i][l] = get(array, first + l, bf16);
    }
}

static void copy_out(char *array, int bf16, const run *r, int64_t at, int64_t count, float (*copy)[LANES])
{
    int64_t i, l;

    for (i = 0; i < count; i++) {
        const int64_t first = at + i * r->stride;

        for (l = 0; l < r->lanes; l++) {
            if (bf16)
                ((uint16_t *)array)[first + l] = sslcv__f32_to_bf16(copy[i][l]);
            else
                ((float *)array)[first + l] = copy[i][l];
        }
    }
}

/* Tiles that are not 16 lanes wide, in a copy, in f32. Lanes that are missing are such that they add to no sum. */
static void call_in_copy(const job *j, int what, const pass *p, const run *r, coefficients c, sums s)
{
    enum { COPY_ROWS = 16 };
    static const float zeros[LANES] = {0};
    const int bf16 = j->shape->bf16, result = what == REDUCE ? D : OUT;
    float in[INPUTS][COPY_ROWS][LANES], out[COPY_ROWS][LANES];
    rows v = {.images = 1, .stride = LANES, .relu = j->relu, .mask = p->mask};
    int64_t n, i;
    int a;

    for (a = 0; a < INPUTS; a++) v.in[a] = p->in[a] ? in[a] : NULL;
    v.out[result] = p->out ? out : NULL;
    for (n = 0; n < r->images; n++) {
        for (i = 0; i < r->rows; i += COPY_ROWS) {
            const int64_t at = r->at + n * r->image_stride + i * r->stride;

            v.count = smaller(r->rows - i, COPY_ROWS);
            for (a = 0; a < INPUTS; a++) {
                if (p->in[a]) copy_in(p->in[a], bf16, r, at, v.count, a == X ? c[MEAN] : zeros, in[a]);
            }
            call(j, what, &v, 0, c, s);
            if (p->out) copy_out(p->out, bf16, r, at, v.count, out);
        }
    }
}

static void call_rows(const job *j, int what, const run *r, coefficients c, sums s)
{
    const pass *p = what == REDUCE ? &j->reduce : &j->map;
    rows v = {.images = r->images,
              .image_stride = r->image_stride,
              .count = r->rows,
              .stride = r->stride,
              .relu = j->relu,
              .mask = p->mask,
              .stream = p->stream};
    int a;

    if (r->lanes < LANES) {
        call_in_copy(j, what, p, r, c, s);
        return;
    }
    for (a = 0; a < INPUTS; a++) v.in[a] = p->in[a] ? p->in[a] + r->at * j->f.size : NULL;
    if (p->out) v.out[what == REDUCE ? D : OUT] = p->out + r->at * j->f.size;
    call(j, what, &v, j->shape->bf16, c, s);
}

/* ---- pieces ---- */

typedef struct piece {
    int64_t images, first_row, rows; /* full rows of each image */
    int64_t at;                      /* of the first image's first pixel and channel */
    int64_t tail;                    /* lanes behind the last row, else 0 */
} piece;

static piece piece_of(const job *j, int64_t group, int64_t index)
{
    const form *f = &j->f;
    const int64_t image = index / f->pieces_per_image * f->images_per_piece, part = index % f->pieces_per_image;
    const int64_t batch = j->shape->batch / f->groups; /* images of a group, also where they are as one */
    piece p = {.images = smaller(f->images - image, f->images_per_piece), .rows = f->rows, .tail = f->tail};

    if (f->pieces_per_image > 1) {
        p.first_row = part * PIECE_ROWS;
        p.rows = smaller(f->rows - p.first_row, PIECE_ROWS);
        if (part < f->pieces_per_image - 1) p.tail = 0;
    }
    p.at = group * batch * j->shape->batch_stride + image * f->image_stride;
    return p;
}

/* Tiles side by side: first to first + count of a group. */
typedef struct strip {
    int64_t first, count;
    float (*c)[COEFFICIENTS][LANES];
} strip;

/* Tiles take turns every few rows, so that memory is read more or less in its order. */
static void strip_rows(const job *j, int what, const piece *p, const strip *tiles, float (*s)[2][LANES])
{
    const form *f = &j->f;
    const int alone = f->unit_tiles == 1;
    const int64_t step = alone ? p->rows : smaller(p->rows, CALL_ROWS);
    const int64_t together = alone ? p->images : step < CALL_ROWS ? CALL_ROWS / between(step, 1, CALL_ROWS) : 1;
    int64_t n, i, t;

    for (n = 0; n < p->images; n += together) {
        run r = {.images = smaller(p->images - n, together), .image_stride = f->image_stride, .stride = f->row_stride};

        for (i = 0; i < p->rows; i += step) {
            r.rows = smaller(p->rows - i, step);
            for (t = 0; t < tiles->count; t++) {
                const int64_t tile = tiles->first + t, row = p->first_row + i;

                r.at = p->at + n * f->image_stride + row * f->row_stride + tile_at(j->shape, f, tile);
                r.lanes = tile % f->block_tiles == f->block_tiles - 1 ? f->last_lanes : LANES;
                call_rows(j, what, &r, (coefficients)tiles->c[t], s ? s[t] : NULL);
            }
        }
        for (t = 0; t < tiles->count && p->tail; t++) {
            r.rows = 1;
            r.at = p->at + n * f->image_stride + f->rows * f->row_stride + tile_at(j->shape, f, tiles->first + t);
            r.lanes = p->tail;
            call_rows(j, what, &r, (coefficients)tiles->c[t], s ? s[t] : NULL);
        }
    }
}

/*
 * Squares are taken of distances to the mean k of the piece's first rows. They exceed those to the mean of the piece by
 * 16 times at most, as those first rows are among them: so little is lost when sums of f32 are brought to the exact
 * mean, whatever the data. In double they are then moved to the distance from one value for the whole channel.
 */
static void reduce_statistics(const job *j, const piece *p, const strip *tiles, double (*part)[2][LANES])
{
    const piece first = {.images = 1, .first_row = p->first_row, .rows = smaller(p->rows, 16), .at = p->at};
    float k[STRIP][COEFFICIENTS][LANES], s[STRIP][2][LANES];
    const strip shifted = {tiles->first, tiles->count, k};
    int64_t t, l;

    memset(s, 0, (size_t)tiles->count * sizeof *s);
    strip_rows(j, REDUCE, &first, tiles, s);
    for (t = 0; t < tiles->count; t++) {
        for (l = 0; l < LANES; l++) {
            k[t][MEAN][l] = tiles->c[t][MEAN][l] + (first.rows ? s[t][0][l] / (float)first.rows : 0.0f);
        }
    }
    memset(s, 0, (size_t)tiles->count * sizeof *s);
    strip_rows(j, REDUCE, p, &shifted, s);
    for (t = 0; t < tiles->count; t++) {
        for (l = 0; l < LANES; l++) {
            const double count = (double)(p->images * (p->rows + (l < p->tail)));
            const double moved = (double)k[t][MEAN][l] - (double)tiles->c[t][MEAN][l], sum = s[t][0][l];

            part[t][0][l] += sum + count * moved;
            part[t][1][l] += (double)s[t][1][l] + moved * (2.0 * sum + count * moved);
        }
    }
}

static void reduce_gradient(const job *j, const piece *p, const strip *tiles, double (*part)[2][LANES])
{
    float s[STRIP][2][LANES];
    int64_t t, l;

    memset(s, 0, (size_t)tiles->count * sizeof *s);
    strip_rows(j, REDUCE, p, tiles, s);
    for (t = 0; t < tiles->count; t++) {
        for (l = 0; l < LANES; l++) {
            part[t][0][l] += s[t][0][l];
            part[t][1][l] += s[t][1][l];
        }
    }
}

static double (*parts_of(const job *j, int64_t u, int64_t task))[2][LANES]
{
    return j->parts + (u * j->f.tasks + task) * j->f.unit_tiles;
}

static void do_piece(const job *j, int what, int64_t u, int64_t task, int64_t index)
{
    const form *f = &j->f;
    const int64_t group = u / f->units, unit = u % f->units, count = tiles_of(f, unit);
    const piece p = piece_of(j, group, index);
    int64_t t;

    for (t = 0; t < count; t += STRIP) {
        const int64_t first = unit * f->unit_tiles + t;
        const strip tiles = {first, smaller(count - t, STRIP), j->table + group * f->tiles + first};

        if (what & REDUCE && j->backward) reduce_gradient(j, &p, &tiles, parts_of(j, u, task) + t);
        if (what & REDUCE && !j->backward) reduce_statistics(j, &p, &tiles, parts_of(j, u, task) + t);
        if (what & MAP) strip_rows(j, MAP, &p, &tiles, NULL);
    }
}

/* The second pass walks backwards: what the first read last is what the caches hold. */
static void do_task(const job *j, int what, int64_t u, int64_t task)
{
    const form *f = &j->f;
    const int64_t first = f->pieces * task / f->tasks, last = f->pieces * (task + 1) / f->tasks;
    int64_t i;

    if (what & REDUCE) memset(parts_of(j, u, task), 0, (size_t)f->unit_tiles * sizeof *j->parts);
    for (i = first; i < last; i++) do_piece(j, what, u, task, what == MAP ? last - 1 - (i - first) : i);
#if defined(__SSE2__)
    if (j->reduce.stream || j->map.stream) _mm_sfence();
#endif
}

/* ---- coefficients ---- */

static void set_affine(const job *j, int64_t group, int64_t channel, float (*c)[LANES], int64_t lane)
{
    const sslcv__norm_affine *a = j->affine;
    const int64_t at = group * j->shape->channels + channel;
    const double scale = a->scale ? a->scale[channel] : 1.0;
    const double factor = a->variance ? scale / sqrt((double)a->variance[at] + a->epsilon) : scale;

    c[MEAN][lane] = a->mean ? a->mean[at] : 0.0f;
    c[FACTOR][lane] = (float)factor;
    c[SHIFT][lane] = a->shift ? a->shift[channel] : 0.0f;
}

/* Before the first pass: the affine map, or for statistics a value of each channel, its first. Padding gets zeros. */
static void prepare(const job *j, int64_t group, int64_t tile)
{
    const form *f = &j->f;
    const int64_t at = piece_of(j, group, 0).at + tile_at(j->shape, f, tile);
    float(*c)[LANES] = j->table[group * f->tiles + tile];
    int64_t l;

    memset(c, 0, sizeof *j->table);
    for (l = 0; l < LANES; l++) {
        const int64_t channel = channel_of(j->shape, f, tile, l);

        if (channel < 0) continue;
        if (j->backward || !(j->what & REDUCE))
            set_affine(j, group, channel, c, l);
        else
            c[MEAN][l] = get(j->reduce.in[X], at + l % f->width, j->shape->bf16);
    }
}

/* The tasks' sums in their order, of all lanes of a channel. */
static void add_parts(const job *j, int64_t group, int64_t tile, double (*total)[LANES])
{
    const form *f = &j->f;
    const int64_t u = group * f->units + tile / f->unit_tiles;
    int64_t i, l;

    memset(total, 0, sizeof *j->totals);
    for (i = 0; i < f->tasks; i++) {
        double(*const part)[LANES] = parts_of(j, u, i)[tile % f->unit_tiles];
        for (l = 0; l < LANES; l++) {
            total[0][l] += part[0][l];
            total[1][l] += part[1][l];
        }
    }
    for (l = f->width; l < LANES; l++) {
        total[0][l % f->width] += total[0][l];
        total[1][l % f->width] += total[1][l];
    }
}

/* Between the passes: sums, and what follows from them. */
static void finish(const job *j, int64_t group, int64_t tile)
{
    const form *f = &j->f;
    float(*c)[LANES] = j->table[group * f->tiles + tile];
    double(*total)[LANES] = j->totals[group * f->tiles + tile];
    int64_t l;

    add_parts(j, group, tile, total);
    for (l = 0; l < LANES; l++) {
        const int64_t channel = channel_of(j->shape, f, tile, l), at = group * j->shape->channels + channel;
        const double a = total[0][l % f->width] / (double)f->count, b = total[1][l % f->width] / (double)f->count;

        if (channel < 0) continue;
        if (j->backward) {
            c[CORRECTION][l] = j->given ? 0.0f : (float)(c[FACTOR][l] * a);
            c[SLOPE][l] =
                j->given ? 0.0f : (float)(c[FACTOR][l] * b / ((double)j->affine->variance[at] + j->affine->epsilon));
            continue;
        }
        if (l < f->width) {
            const double spread = b - a * a;

            j->mean[at] = (float)(c[MEAN][l] + a);
            j->variance[at] = (float)(spread < 0.0 ? 0.0 : spread);
        }
        if (j->what & MAP) set_affine(j, group, channel, c, l);
    }
}

static void finish_unit(const job *j, int64_t u)
{
    const int64_t unit = u % j->f.units, count = tiles_of(&j->f, unit);
    int64_t t;

    for (t = 0; t < count; t++) finish(j, u / j->f.units, unit * j->f.unit_tiles + t);
}

/* ---- the passes ---- */

/* Both passes of a unit by one thread: nobody waits, and what is small is found in the core's own cache. */
static void unit_by_unit(const job *j, int64_t units, int parallel)
{
    int64_t u;

#pragma omp parallel for schedule(dynamic) if (parallel)
    for (u = 0; u < units; u++) {
        int64_t i;

        for (i = 0; i < j->f.tasks; i++) do_task(j, REDUCE, u, i);
        finish_unit(j, u);
        for (i = j->f.tasks - 1; i >= 0; i--) do_task(j, MAP, u, i);
    }
}

/* All threads on a few units, as many as fit in the cache that they share. */
static void chunk_by_chunk(const job *j, int64_t units, int64_t chunk, int parallel)
{
    const form *f = &j->f;

#pragma omp parallel if (parallel)
    {
        int64_t first;

        for (first = 0; first < units; first += chunk) {
            const int64_t count = smaller(chunk, units - first), tasks = count * f->tasks;
            int64_t i;

#pragma omp for schedule(dynamic)
            for (i = 0; i < tasks; i++) do_task(j, REDUCE, first + i / f->tasks, i % f->tasks);
#pragma omp for schedule(dynamic)
            for (i = 0; i < count; i++) finish_unit(j, first + i);
#pragma omp for schedule(dynamic) nowait
            for (i = 0; i < tasks; i++) {
                const int64_t back = tasks - 1 - i;
                do_task(j, MAP, first + back / f->tasks, back % f->tasks);
            }
        }
    }
}

/* The map needs no sums, or there is only one of the two: one way over the arrays, piece by piece. */
static void one_pass(const job *j, int64_t units, int parallel)
{
    const int64_t tasks = units * j->f.tasks;
    int64_t i;

#pragma omp parallel for schedule(dynamic) if (parallel)
    for (i = 0; i < tasks; i++) do_task(j, j->what, i / j->f.tasks, i % j->f.tasks);
    for (i = 0; i < units && j->what & REDUCE; i++) finish_unit(j, i);
}

/* A result that replaces no input and whose rows are aligned. */
static int32_t may_stream(const job *j, const pass *p)
{
    const form *f = &j->f;
    const int64_t strides = f->image_stride | f->row_stride | j->shape->block_stride | j->shape->batch_stride;
    int i;

    if (!p->out || (uintptr_t)p->out % 16 != 0 || strides * f->size % 16 != 0) return 0;
    for (i = 0; i < INPUTS; i++) {
        if (p->out == p->in[i]) return 0;
    }
    return 1;
}

static void run_job(job *j)
{
    const form *f = &j->f;
    const int64_t units = f->groups * f->units, threads = omp_get_max_threads();
    int64_t arrays = j->reduce.out || j->map.out, bytes, i, t;
    int parallel;

    for (i = 0; i < INPUTS; i++) arrays += j->reduce.in[i] != NULL || j->map.in[i] != NULL;
    bytes = f->unit_bytes * arrays;
    parallel = bytes * units >= SERIAL_BYTES;
    if (f->unit_bytes * units >= (j->shape->bf16 ? STREAM_BYTES_BF16 : STREAM_BYTES)) {
        j->map.stream = may_stream(j, &j->map);
        /* d is read again soon, where it can stay in a cache so long. */
        j->reduce.stream = bytes > CACHE_BYTES && may_stream(j, &j->reduce);
    }
    for (i = 0; i < f->groups; i++) {
        for (t = 0; t < f->tiles; t++) prepare(j, i, t);
    }
    if (j->what != (REDUCE | MAP) || j->given)
        one_pass(j, units, parallel);
    else if (units >= 2 * threads && bytes * threads <= CACHE_BYTES)
        unit_by_unit(j, units, parallel);
    else
        chunk_by_chunk(j, units, between(CACHE_BYTES / bytes, 1, units), parallel);
}

/* ---- the calls ---- */

void sslcv__norm_statistics(const sslcv__norm_shape *shape, const void *x, float *mean, float *variance, void *scratch)
{
    job j = new_job(shape, NULL, scratch);

    j.reduce.in[X] = x;
    j.mean = mean;
    j.variance = variance;
    j.what = REDUCE;
    run_job(&j);
}

void sslcv__norm_apply(const sslcv__norm_shape *shape, const sslcv__norm_affine *affine, const void *x, const void *r,
                       int relu, void *y, void *scratch)
{
    job j = new_job(shape, affine, scratch);

    j.map.in[X] = x;
    j.map.in[Y] = r;
    j.map.out = y;
    j.relu = relu;
    j.what = MAP;
    run_job(&j);
}

void sslcv__norm_forward(const sslcv__norm_shape *shape, const sslcv__norm_affine *affine, const void *x, const void *r,
                         int relu, void *y, float *mean, float *variance, void *scratch)
{
    const sslcv__norm_affine own = {mean, variance, affine->scale, affine->shift, affine->epsilon};
    job j = new_job(shape, &own, scratch);

    j.reduce.in[X] = x;
    j.mean = mean;
    j.variance = variance;
    j.map.in[X] = x;
    j.map.in[Y] = r;
    j.map.out = y;
    j.relu = relu;
    j.what = REDUCE | MAP;
    run_job(&j);
}

/* Gradients of scale and shift: sums over the groups, in their order. */
static void sum_groups(const job *j, float *diff_scale, float *diff_shift)
{
    const form *f = &j->f;
    const int64_t channels = j->shape->channels;
    int64_t c, g;

    for (c = 0; c < channels; c++) {
        const int64_t within = c % f->block, tile = c / f->block * f->block_tiles + within / LANES,
                      lane = within % LANES;
        double scale = 0.0, shift = 0.0;

        for (g = 0; g < f->groups; g++) {
            double(*const total)[LANES] = j->totals[g * f->tiles + tile];

            shift += total[0][lane];
            if (!diff_scale) continue;
            scale += total[1][lane] / sqrt((double)j->affine->variance[g * channels + c] + j->affine->epsilon);
        }
        if (diff_scale) diff_scale[c] = (float)scale;
        if (diff_shift) diff_shift[c] = (float)shift;
    }
}

/*
 * Where d is wanted the first pass stores it, and the second has only that and x to read. Else the second reads what
 * the first has read: a store of d would cost as much.
 */
void sslcv__norm_backward(const sslcv__norm_shape *shape, const sslcv__norm_affine *affine,
                          const sslcv__norm_gradient *gradient, void *scratch)
{
    const sslcv__norm_gradient *k = gradient;
    const int sums_wanted = k->diff_scale != NULL || k->diff_shift != NULL;
    const pass all = {.in = {k->x, k->mask == SSLCV__NORM_MASK_Y ? k->y : NULL, k->g, k->g2}, .mask = (int32_t)k->mask};
    const pass rest = {.in = {k->x, NULL, k->d, NULL}, .mask = SSLCV__NORM_MASK_NONE};
    job j = new_job(shape, affine, scratch);

    j.backward = 1;
    j.given = k->given_statistics;
    j.what = (sums_wanted || k->d || !j.given ? REDUCE : 0) | (k->diff_x ? MAP : 0);
    if (j.what & REDUCE) {
        j.reduce = all;
        j.reduce.out = k->d;
    }
    if (j.what & MAP) {
        j.map = k->d ? rest : all;
        j.map.out = k->diff_x;
    }
    run_job(&j);
    if (sums_wanted) sum_groups(&j, k->diff_scale, k->diff_shift);
}
