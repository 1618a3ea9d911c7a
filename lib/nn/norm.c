#include "nn/norm.h"

#include "core/bf16.h"
#include "core/simd.h"

#include <math.h>
#include <omp.h>
#include <stddef.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/*
 * Everything is rows of 16 lanes. Lanes are channels, where 16 or more lie side by side (tiles), or a few channels of
 * consecutive pixels, where fewer do:
 *
 *     unit     what has sums of its own together: a channel block of a group, or all channels of a group (nhwc)
 *     task     a fixed part of a unit's rows, the work of one thread; leaves its sums in double in scratch
 *     piece    some 256 rows: sums over them are taken in f32
 *
 * Neither depends on the number of threads, and tasks' sums are added in their order.
 */
enum { LANES = 16, PIECE_ROWS = 256, STEP_ROWS = 32, STRIP = 32, MAX_TASKS = 32 };
enum { TASK_BYTES = 1 << 16, CACHE_BYTES = 12 << 20, STREAM_BYTES = 24 << 20, SERIAL_BYTES = 1 << 15 };

enum { MEAN, FACTOR, SHIFT, CORRECTION, SLOPE, COEFFICIENTS }; /* per tile, LANES each; see apply_rows, gradient_rows */
enum { X, Y, G, G2, INPUTS };                                  /* forward: r is Y */
enum { D, OUT, OUTPUTS };
enum { REDUCE = 1, MAP = 2 };

typedef const float (*coefficients)[LANES];
typedef float (*sums)[LANES];

/* ---- rows: plain loops over 16 lanes, for the vectoriser ---- */

typedef struct rows {
    const void *in[INPUTS];
    void *out[OUTPUTS];
    int64_t images, image_stride; /* strides in elements */
    int64_t count, stride;        /* rows of an image */
    int32_t relu, mask, given, stream;
} rows;

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE float get(const void *p, int64_t i, int bf16)
{
    return bf16 ? sslcv__f32_from_bf16(((const uint16_t *)p)[i]) : ((const float *)p)[i];
}

/* Past the caches, for arrays that would not be found there anyway: an ordinary store reads its line first. */
ALWAYS_INLINE void put_row(void *p, int64_t at, const float *row, int bf16, int stream)
{
    int l;

    if (bf16) {
        uint16_t half[LANES];

        for (l = 0; l < LANES; l++) half[l] = sslcv__f32_to_bf16(row[l]);
#if defined(__SSE2__)
        if (stream) {
            for (l = 0; l < 2; l++) {
                _mm_stream_si128((__m128i *)((uint16_t *)p + at) + l, _mm_loadu_si128((const __m128i *)half + l));
            }
            return;
        }
#endif
        memcpy((uint16_t *)p + at, half, sizeof half);
        return;
    }
#if defined(__SSE2__)
    if (stream) {
        for (l = 0; l < 4; l++) _mm_stream_ps((float *)p + at + 4 * l, _mm_loadu_ps(row + 4 * l));
        return;
    }
#endif
    (void)stream;
    memcpy((float *)p + at, row, LANES * sizeof *row);
}

/* sum += x - k, squares += (x - k)^2. */
ALWAYS_INLINE void statistics_body(const rows *view, const float *restrict k, float *restrict sum,
                                   float *restrict squares, int bf16)
{
    const rows v = *view; /* a copy that no store can change */
    const void *x = v.in[X];
    const int64_t step = v.stride;
    int64_t n, i;
    int l;

    for (n = 0; n < v.images; n++) {
        int64_t at = n * v.image_stride;

        for (i = 0; i + 4 <= v.count; i += 4, at += 4 * step) {
            for (l = 0; l < LANES; l++) {
                const float a = get(x, at + l, bf16) - k[l], b = get(x, at + step + l, bf16) - k[l];
                const float c = get(x, at + 2 * step + l, bf16) - k[l], d = get(x, at + 3 * step + l, bf16) - k[l];

                sum[l] += (a + b) + (c + d);
                squares[l] += (a * a + b * b) + (c * c + d * d);
            }
        }
        for (; i < v.count; i++, at += step) {
            for (l = 0; l < LANES; l++) {
                const float a = get(x, at + l, bf16) - k[l];

                sum[l] += a;
                squares[l] += a * a;
            }
        }
    }
}

SSLCV__CLONES static void statistics_f32(const rows *v, const float *k, sums s)
{
    statistics_body(v, k, s[0], s[1], 0);
}

SSLCV__CLONES static void statistics_bf16(const rows *v, const float *k, sums s)
{
    statistics_body(v, k, s[0], s[1], 1);
}

/* y = [relu]((x - mean) factor + shift [+ r]). What is not a number stays so behind the ReLU. */
ALWAYS_INLINE void apply_body(const rows *view, const float *restrict mean, const float *restrict factor,
                              const float *restrict shift, int adds, int relu, int stream, int bf16)
{
    const rows v = *view; /* a copy that no store can change */
    const void *x = v.in[X], *r = v.in[Y];
    int64_t n, i;
    int l;

    for (n = 0; n < v.images; n++) {
        int64_t at = n * v.image_stride;

        for (i = 0; i < v.count; i++, at += v.stride) {
            float row[LANES];

            for (l = 0; l < LANES; l++) {
                float y = (get(x, at + l, bf16) - mean[l]) * factor[l] + shift[l];

                if (adds) y += get(r, at + l, bf16);
                if (relu) y = y < 0.0f ? 0.0f : y;
                row[l] = y;
            }
            put_row(v.out[OUT], at, row, bf16, stream);
        }
    }
}

/* One call for each combination, so that no test is left inside the loops. */
ALWAYS_INLINE void apply_select(const rows *v, coefficients c, int stream, int bf16)
{
    if (v->in[Y]) {
        if (v->relu)
            apply_body(v, c[MEAN], c[FACTOR], c[SHIFT], 1, 1, stream, bf16);
        else
            apply_body(v, c[MEAN], c[FACTOR], c[SHIFT], 1, 0, stream, bf16);
    } else {
        if (v->relu)
            apply_body(v, c[MEAN], c[FACTOR], c[SHIFT], 0, 1, stream, bf16);
        else
            apply_body(v, c[MEAN], c[FACTOR], c[SHIFT], 0, 0, stream, bf16);
    }
}

SSLCV__CLONES static void apply_f32(const rows *v, coefficients c)
{
    if (v->stream)
        apply_select(v, c, 1, 0);
    else
        apply_select(v, c, 0, 0);
}

SSLCV__CLONES static void apply_bf16(const rows *v, coefficients c)
{
    if (v->stream)
        apply_select(v, c, 1, 1);
    else
        apply_select(v, c, 0, 1);
}

/* d of one element, whose x - mean is given. */
ALWAYS_INLINE float masked(const rows *v, int64_t at, float centred, float factor, float shift, int mask, int two,
                           int bf16)
{
    float d = get(v->in[G], at, bf16);

    if (two) d += get(v->in[G2], at, bf16);
    if (mask == SSLCV__NORM_MASK_Y) d = get(v->in[Y], at, bf16) > 0.0f ? d : 0.0f;
    if (mask == SSLCV__NORM_MASK_X) d = centred * factor + shift > 0.0f ? d : 0.0f;
    return d;
}

/* sum += d, products += d (x - mean). */
ALWAYS_INLINE void sums_body(const rows *view, coefficients c, float *restrict sum, float *restrict products, int mask,
                             int two, int bf16)
{
    const rows v = *view; /* a copy that no store can change */
    const float *restrict mean = c[MEAN], *restrict f = c[FACTOR], *restrict s = c[SHIFT];
    const void *x = v.in[X];
    const int64_t step = v.stride;
    int64_t n, i;
    int l;

    for (n = 0; n < v.images; n++) {
        int64_t at = n * v.image_stride;

        for (i = 0; i + 2 <= v.count; i += 2, at += 2 * step) {
            for (l = 0; l < LANES; l++) {
                const float xa = get(x, at + l, bf16) - mean[l], xb = get(x, at + step + l, bf16) - mean[l];
                const float a = masked(&v, at + l, xa, f[l], s[l], mask, two, bf16);
                const float b = masked(&v, at + step + l, xb, f[l], s[l], mask, two, bf16);

                sum[l] += a + b;
                products[l] += a * xa + b * xb;
            }
        }
        for (; i < v.count; i++, at += step) {
            for (l = 0; l < LANES; l++) {
                const float xa = get(x, at + l, bf16) - mean[l];
                const float a = masked(&v, at + l, xa, f[l], s[l], mask, two, bf16);

                sum[l] += a;
                products[l] += a * xa;
            }
        }
    }
}

/* x' = factor d - correction - (x - mean) slope. */
ALWAYS_INLINE void gradient_body(const rows *view, coefficients c, int mask, int two, int bf16)
{
    const rows v = *view; /* a copy that no store can change */
    const float *restrict mean = c[MEAN], *restrict f = c[FACTOR], *restrict s = c[SHIFT];
    const float *restrict correction = c[CORRECTION], *restrict slope = c[SLOPE];
    const void *x = v.in[X];
    int64_t n, i;
    int l;

    for (n = 0; n < v.images; n++) {
        int64_t at = n * v.image_stride;

        for (i = 0; i < v.count; i++, at += v.stride) {
            float d[LANES], row[LANES];

            for (l = 0; l < LANES; l++) {
                const float centred = get(x, at + l, bf16) - mean[l];

                d[l] = masked(&v, at + l, centred, f[l], s[l], mask, two, bf16);
                row[l] = d[l] * f[l] - correction[l] - centred * slope[l];
            }
            if (v.out[D]) {
                if (v.stream)
                    put_row(v.out[D], at, d, bf16, 1);
                else
                    put_row(v.out[D], at, d, bf16, 0);
            }
            if (v.out[OUT]) {
                if (v.stream)
                    put_row(v.out[OUT], at, row, bf16, 1);
                else
                    put_row(v.out[OUT], at, row, bf16, 0);
            }
        }
    }
}

ALWAYS_INLINE void sums_masks(const rows *v, coefficients c, sums s, int two, int bf16)
{
    switch (v->mask) {
    case SSLCV__NORM_MASK_Y: sums_body(v, c, s[0], s[1], SSLCV__NORM_MASK_Y, two, bf16); break;
    case SSLCV__NORM_MASK_X: sums_body(v, c, s[0], s[1], SSLCV__NORM_MASK_X, two, bf16); break;
    default: sums_body(v, c, s[0], s[1], SSLCV__NORM_MASK_NONE, two, bf16); break;
    }
}

SSLCV__CLONES static void sums_f32(const rows *v, coefficients c, sums s)
{
    if (v->in[G2])
        sums_masks(v, c, s, 1, 0);
    else
        sums_masks(v, c, s, 0, 0);
}

SSLCV__CLONES static void sums_bf16(const rows *v, coefficients c, sums s)
{
    if (v->in[G2])
        sums_masks(v, c, s, 1, 1);
    else
        sums_masks(v, c, s, 0, 1);
}

ALWAYS_INLINE void gradient_masks(const rows *v, coefficients c, int two, int bf16)
{
    switch (v->mask) {
    case SSLCV__NORM_MASK_Y: gradient_body(v, c, SSLCV__NORM_MASK_Y, two, bf16); break;
    case SSLCV__NORM_MASK_X: gradient_body(v, c, SSLCV__NORM_MASK_X, two, bf16); break;
    default: gradient_body(v, c, SSLCV__NORM_MASK_NONE, two, bf16); break;
    }
}

SSLCV__CLONES static void gradient_f32(const rows *v, coefficients c)
{
    if (v->in[G2])
        gradient_masks(v, c, 1, 0);
    else
        gradient_masks(v, c, 0, 0);
}

SSLCV__CLONES static void gradient_bf16(const rows *v, coefficients c)
{
    if (v->in[G2])
        gradient_masks(v, c, 1, 1);
    else
        gradient_masks(v, c, 0, 1);
}

/* ---- the shape as rows ---- */

typedef struct form {
    int64_t size;                                   /* bytes of an element */
    int64_t groups, units;                          /* units: of a group */
    int64_t unit_stride;                            /* elements */
    int64_t tiles, last_lanes;                      /* tiles of a unit, lanes of the last of them */
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

static form form_of(const sslcv__norm_shape *shape)
{
    /* Maps of one pixel are rows of channels, with their padding, whatever they are called. */
    const int rows_of_channels = shape->pixels == 1 && shape->block_stride == shape->block;
    const int64_t block = rows_of_channels ? divide_up(shape->channels, shape->block) * shape->block : shape->block;
    const int64_t pixel_stride = rows_of_channels ? shape->batch_stride : shape->pixel_stride;
    form f = {.size = shape->bf16 ? 2 : 4, .groups = shape->groups};
    int64_t pixels = shape->pixels, all_rows;

    f.images = shape->batch / shape->groups;
    f.count = f.images * pixels;
    f.units = divide_up(shape->channels, block);
    f.unit_stride = shape->block_stride;
    f.image_stride = shape->batch_stride;
    if (shape->batch_stride == pixels * pixel_stride) { /* nothing lies between the images: they are as one */
        pixels *= f.images;
        f.image_stride *= f.images;
        f.images = 1;
    }
    if (block < LANES && LANES % block == 0 && pixel_stride == block) {
        f.width = block;
        f.tiles = 1;
        f.last_lanes = LANES;
        f.rows = pixels * block / LANES;
        f.row_stride = LANES;
        f.tail = pixels * block % LANES;
    } else {
        f.width = LANES;
        f.tiles = divide_up(block, LANES);
        f.last_lanes = block - (f.tiles - 1) * LANES;
        f.rows = pixels;
        f.row_stride = pixel_stride;
    }
    all_rows = f.rows + (f.tail > 0);
    f.images_per_piece = between(PIECE_ROWS / all_rows, 1, f.images);
    f.pieces_per_image = f.images_per_piece > 1 ? 1 : divide_up(all_rows, PIECE_ROWS);
    f.pieces = divide_up(f.images, f.images_per_piece) * f.pieces_per_image;
    f.unit_bytes = f.images * all_rows * f.tiles * LANES * f.size;
    f.tasks = between(f.unit_bytes / TASK_BYTES, 1, f.pieces < MAX_TASKS ? f.pieces : MAX_TASKS);
    return f;
}

/* Channel of a lane of a tile of a unit; -1: padding. */
static int64_t channel_of(const sslcv__norm_shape *shape, const form *f, int64_t unit, int64_t tile, int64_t lane)
{
    const int64_t width = f->units == 1 ? shape->channels : shape->block;
    const int64_t within = tile * LANES + lane % f->width;
    const int64_t channel = unit * width + within;

    return within < width && channel < shape->channels ? channel : -1;
}

/* ---- a job: what to do with the arrays ---- */

typedef struct job {
    const sslcv__norm_shape *shape;
    form f;
    const sslcv__norm_affine *affine; /* NULL: statistics alone */
    const char *in[INPUTS];
    char *out[OUTPUTS];
    float *mean, *variance; /* results of statistics */
    int32_t what;           /* REDUCE, MAP */
    int32_t backward;
    int32_t relu, mask, given, stream;
    float (*table)[COEFFICIENTS][LANES]; /* (groups, units, tiles) */
    double (*totals)[2][LANES];          /* (groups, units, tiles) */
    double (*parts)[2][LANES];           /* (groups, units, tasks, tiles) */
} job;

static int64_t table_bytes(const form *f)
{
    return f->groups * f->units * f->tiles * (int64_t)sizeof(float[COEFFICIENTS][LANES]);
}

static int64_t totals_bytes(const form *f)
{
    return f->groups * f->units * f->tiles * (int64_t)sizeof(double[2][LANES]);
}

int64_t sslcv__norm_scratch_bytes(const sslcv__norm_shape *shape)
{
    const form f = form_of(shape);

    return table_bytes(&f) + totals_bytes(&f) * (1 + f.tasks);
}

static job new_job(const sslcv__norm_shape *shape, const sslcv__norm_affine *affine, void *scratch)
{
    job j = {.shape = shape, .f = form_of(shape), .affine = affine};

    j.table = scratch;
    j.totals = (void *)((char *)scratch + table_bytes(&j.f));
    j.parts = (void *)((char *)scratch + table_bytes(&j.f) + totals_bytes(&j.f));
    return j;
}

/* ---- tiles that are not 16 lanes wide are worked on in a copy, in f32 ---- */

typedef struct run {
    int64_t at; /* first element */
    int64_t images, image_stride, rows, stride;
    int64_t lanes;
} run;

static void call(const job *j, int what, const rows *v, int bf16, coefficients c, sums s)
{
    if (what == REDUCE && j->backward)
        (bf16 ? sums_bf16 : sums_f32)(v, c, s);
    else if (what == REDUCE)
        (bf16 ? statistics_bf16 : statistics_f32)(v, c[MEAN], s);
    else if (j->backward)
        (bf16 ? gradient_bf16 : gradient_f32)(v, c);
    else
        (bf16 ? apply_bf16 : apply_f32)(v, c);
}

/* Lanes that are missing are such that they add nothing to any sum. */
static void copy_in(const job *j, const char *array, const run *r, int64_t at, int64_t count, const float *fill,
                    float (*copy)[LANES])
{
    int64_t i, l;

    for (i = 0; i < count; i++) {
        const int64_t first = at + i * r->stride;

        memcpy(copy[i], fill, sizeof copy[i]);
        if (j->shape->bf16) {
            const uint16_t *from = (const uint16_t *)array + first;
            for (l = 0; l < r->lanes; l++) copy[i][l] = sslcv__f32_from_bf16(from[l]);
        } else {
            memcpy(copy[i], (const float *)array + first, (size_t)r->lanes * sizeof(float));
        }
    }
}

static void copy_out(const job *j, char *array, const run *r, int64_t at, int64_t count, float (*copy)[LANES])
{
    int64_t i, l;

    for (i = 0; i < count; i++) {
        const int64_t first = at + i * r->stride;

        if (j->shape->bf16) {
            uint16_t *to = (uint16_t *)array + first;
            for (l = 0; l < r->lanes; l++) to[l] = sslcv__f32_to_bf16(copy[i][l]);
        } else {
            memcpy((float *)array + first, copy[i], (size_t)r->lanes * sizeof(float));
        }
    }
}

static void call_in_copy(const job *j, int what, const run *r, coefficients c, sums s)
{
    enum { COPY_ROWS = 16 };
    static const float zeros[LANES] = {0};
    float in[INPUTS][COPY_ROWS][LANES], out[OUTPUTS][COPY_ROWS][LANES];
    rows v = {.images = 1, .stride = LANES, .relu = j->relu, .mask = j->mask};
    int64_t n, i;
    int a;

    for (a = 0; a < INPUTS; a++) v.in[a] = j->in[a] ? in[a] : NULL;
    for (a = 0; a < OUTPUTS; a++) v.out[a] = j->out[a] ? out[a] : NULL;
    for (n = 0; n < r->images; n++) {
        for (i = 0; i < r->rows; i += COPY_ROWS) {
            const int64_t at = r->at + n * r->image_stride + i * r->stride;

            v.count = r->rows - i < COPY_ROWS ? r->rows - i : COPY_ROWS;
            for (a = 0; a < INPUTS; a++) {
                if (j->in[a]) copy_in(j, j->in[a], r, at, v.count, a == X ? c[MEAN] : zeros, in[a]);
            }
            call(j, what, &v, 0, c, s);
            for (a = 0; a < OUTPUTS && what == MAP; a++) {
                if (j->out[a]) copy_out(j, j->out[a], r, at, v.count, out[a]);
            }
        }
    }
}

static void call_rows(const job *j, int what, const run *r, coefficients c, sums s)
{
    rows v = {.images = r->images,
              .image_stride = r->image_stride,
              .count = r->rows,
              .stride = r->stride,
              .relu = j->relu,
              .mask = j->mask,
              .stream = j->stream};
    int a;

    if (r->rows == 0) return;
    if (r->lanes < LANES) {
        call_in_copy(j, what, r, c, s);
        return;
    }
    for (a = 0; a < INPUTS; a++) v.in[a] = j->in[a] ? j->in[a] + r->at * j->f.size : NULL;
    for (a = 0; a < OUTPUTS; a++) v.out[a] = j->out[a] ? j->out[a] + r->at * j->f.size : NULL;
    call(j, what, &v, j->shape->bf16, c, s);
}

/* ---- pieces ---- */

typedef struct piece {
    int64_t images, first_row, rows; /* full rows of each image */
    int64_t at;                      /* of the first image's row 0, tile 0 */
    int64_t tail;                    /* lanes behind the last row, else 0 */
} piece;

static piece piece_of(const job *j, int64_t group, int64_t unit, int64_t index)
{
    const form *f = &j->f;
    const int64_t image = index / f->pieces_per_image * f->images_per_piece, part = index % f->pieces_per_image;
    const int64_t batch = j->shape->batch / f->groups; /* images of a group, also where they are as one */
    piece p = {0};

    p.images = f->images - image < f->images_per_piece ? f->images - image : f->images_per_piece;
    if (f->pieces_per_image == 1) {
        p.rows = f->rows;
        p.tail = f->tail;
    } else {
        p.first_row = part * PIECE_ROWS;
        p.rows = f->rows - p.first_row < PIECE_ROWS ? f->rows - p.first_row : PIECE_ROWS;
        if (part == f->pieces_per_image - 1) p.tail = f->tail;
    }
    p.at = group * batch * j->shape->batch_stride + image * f->image_stride + unit * f->unit_stride;
    return p;
}

/* Rows of a strip of tiles. Tiles side by side take turns every few rows, so that memory is read in its order. */
static void strip_rows(const job *j, int what, const piece *p, int64_t first_tile, int64_t tiles,
                       float (*const c)[COEFFICIENTS][LANES], float (*const s)[2][LANES])
{
    const form *f = &j->f;
    const int64_t step = f->tiles == 1 ? p->rows : STEP_ROWS;
    const int64_t together = f->tiles == 1 ? p->images : 1; /* images of one call */
    int64_t n, i, t;

    for (n = 0; n < p->images; n += together) {
        for (i = 0; i < p->rows; i += step) {
            for (t = 0; t < tiles; t++) {
                const int64_t row = (p->first_row + i) * f->row_stride;
                const run r = {.at = p->at + n * f->image_stride + row + (first_tile + t) * LANES,
                               .images = together,
                               .image_stride = f->image_stride,
                               .rows = p->rows - i < step ? p->rows - i : step,
                               .stride = f->row_stride,
                               .lanes = first_tile + t == f->tiles - 1 ? f->last_lanes : LANES};
                call_rows(j, what, &r, (coefficients)c[t], s ? s[t] : NULL);
            }
        }
    }
    if (p->tail) {
        const run r = {.at = p->at + f->rows * f->row_stride,
                       .images = p->images,
                       .image_stride = f->image_stride,
                       .rows = 1,
                       .stride = LANES,
                       .lanes = p->tail};
        call_rows(j, what, &r, (coefficients)c[0], s ? s[0] : NULL);
    }
}

/*
 * Squares are taken of distances to the mean k of the piece's first rows. They exceed those to the mean of the piece by
 * 16 times at most, as those first rows are among them: so little is lost when sums of f32 are brought to the exact mean,
 * whatever the data. In double they are then moved to the distance from one value for the whole channel.
 */
static void reduce_statistics(const job *j, const piece *p, int64_t first_tile, int64_t tiles,
                              float (*const c)[COEFFICIENTS][LANES], double (*const part)[2][LANES])
{
    const piece first = {.images = 1, .first_row = p->first_row, .rows = p->rows < 16 ? p->rows : 16, .at = p->at};
    float k[STRIP][COEFFICIENTS][LANES], s[STRIP][2][LANES];
    int64_t t, l;

    memset(s, 0, (size_t)tiles * sizeof *s);
    if (first.rows) strip_rows(j, REDUCE, &first, first_tile, tiles, c, s);
    for (t = 0; t < tiles; t++) {
        for (l = 0; l < LANES; l++) {
            k[t][MEAN][l] = c[t][MEAN][l] + (first.rows ? s[t][0][l] / (float)first.rows : 0.0f);
        }
    }
    memset(s, 0, (size_t)tiles * sizeof *s);
    strip_rows(j, REDUCE, p, first_tile, tiles, k, s);
    for (t = 0; t < tiles; t++) {
        for (l = 0; l < LANES; l++) {
            const double count = (double)(p->images * (p->rows + (l < p->tail)));
            const double moved = (double)k[t][MEAN][l] - (double)c[t][MEAN][l], sum = s[t][0][l];

            part[t][0][l] += sum + count * moved;
            part[t][1][l] += (double)s[t][1][l] + moved * (2.0 * sum + count * moved);
        }
    }
}

static void reduce_gradient(const job *j, const piece *p, int64_t first_tile, int64_t tiles,
                            float (*const c)[COEFFICIENTS][LANES], double (*const part)[2][LANES])
{
    float s[STRIP][2][LANES];
    int64_t t, l;

    memset(s, 0, (size_t)tiles * sizeof *s);
    strip_rows(j, REDUCE, p, first_tile, tiles, c, s);
    for (t = 0; t < tiles; t++) {
        for (l = 0; l < LANES; l++) {
            part[t][0][l] += s[t][0][l];
            part[t][1][l] += s[t][1][l];
        }
    }
}

static void do_piece(const job *j, int what, int64_t u, int64_t task, int64_t index)
{
    const form *f = &j->f;
    const piece p = piece_of(j, u / f->units, u % f->units, index);
    int64_t t;

    for (t = 0; t < f->tiles; t += STRIP) {
        const int64_t tiles = f->tiles - t < STRIP ? f->tiles - t : STRIP;
        float(*const c)[COEFFICIENTS][LANES] = j->table + u * f->tiles + t;
        double(*const part)[2][LANES] = j->parts + (u * f->tasks + task) * f->tiles + t;

        if (what & REDUCE && j->backward)
            reduce_gradient(j, &p, t, tiles, c, part);
        else if (what & REDUCE)
            reduce_statistics(j, &p, t, tiles, c, part);
        if (what & MAP) strip_rows(j, MAP, &p, t, tiles, c, NULL);
    }
}

/* The second pass walks backwards: what the first read last is what the caches hold. */
static void do_task(const job *j, int what, int64_t u, int64_t task)
{
    const form *f = &j->f;
    const int64_t first = f->pieces * task / f->tasks, last = f->pieces * (task + 1) / f->tasks;
    int64_t i;

    if (what & REDUCE) memset(j->parts + (u * f->tasks + task) * f->tiles, 0, (size_t)f->tiles * sizeof *j->parts);
    for (i = first; i < last; i++) do_piece(j, what, u, task, what == MAP ? last - 1 - (i - first) : i);
#if defined(__SSE2__)
    if (what & MAP && j->stream) _mm_sfence();
#endif
}

/* ---- coefficients ---- */

static void set_affine(const job *j, int64_t group, int64_t channel, float (*c)[LANES], int64_t lane)
{
    const sslcv__norm_affine *a = j->affine;
    const int64_t at = group * j->shape->channels + channel;
    const double factor = (a->scale ? a->scale[channel] : 1.0) / sqrt((double)a->variance[at] + a->epsilon);

    c[MEAN][lane] = a->mean[at];
    c[FACTOR][lane] = (float)factor;
    c[SHIFT][lane] = a->shift ? a->shift[channel] : 0.0f;
}

/* Before the first pass: the affine map, or for statistics a value of each channel, its first. Padding gets zeros. */
static void prepare(const job *j, int64_t u, int64_t tile)
{
    const form *f = &j->f;
    float(*c)[LANES] = j->table[u * f->tiles + tile];
    const piece p = piece_of(j, u / f->units, u % f->units, 0);
    int64_t l;

    memset(c, 0, sizeof *j->table);
    for (l = 0; l < LANES; l++) {
        const int64_t channel = channel_of(j->shape, f, u % f->units, tile, l);
        const int64_t at = p.at + tile * LANES + l % f->width;

        if (channel < 0) continue;
        if (j->backward || !(j->what & REDUCE))
            set_affine(j, u / f->units, channel, c, l);
        else
            c[MEAN][l] =
                j->shape->bf16 ? sslcv__f32_from_bf16(((const uint16_t *)j->in[X])[at]) : ((const float *)j->in[X])[at];
    }
}

/* Between the passes: the tasks' sums in their order, and what follows from them. */
static void finish(const job *j, int64_t u, int64_t tile)
{
    const form *f = &j->f;
    const int64_t group = u / f->units;
    const double share = 1.0 / (double)f->count;
    float(*c)[LANES] = j->table[u * f->tiles + tile];
    double(*total)[LANES] = j->totals[u * f->tiles + tile];
    int64_t i, l;

    memset(total, 0, sizeof *j->totals);
    for (i = 0; i < f->tasks; i++) {
        double(*const part)[LANES] = j->parts[(u * f->tasks + i) * f->tiles + tile];
        for (l = 0; l < LANES; l++) {
            total[0][l] += part[0][l];
            total[1][l] += part[1][l];
        }
    }
    for (l = f->width; l < LANES; l++) {
        total[0][l % f->width] += total[0][l];
        total[1][l % f->width] += total[1][l];
    }
    for (l = 0; l < LANES; l++) {
        const int64_t channel = channel_of(j->shape, f, u % f->units, tile, l);
        const double a = total[0][l % f->width] * share, b = total[1][l % f->width] * share;

        if (channel < 0) continue;
        if (j->backward) {
            const int64_t at = group * j->shape->channels + channel;
            const double inverse = 1.0 / ((double)j->affine->variance[at] + j->affine->epsilon);

            if (j->given) continue;
            c[CORRECTION][l] = (float)(c[FACTOR][l] * a);
            c[SLOPE][l] = (float)(c[FACTOR][l] * inverse * b);
        } else {
            const int64_t at = group * j->shape->channels + channel;
            const double spread = b - a * a;

            if (l < f->width) {
                j->mean[at] = (float)(c[MEAN][l] + a);
                j->variance[at] = (float)(spread < 0.0 ? 0.0 : spread);
            }
            if (j->what & MAP) set_affine(j, group, channel, c, l);
        }
    }
}

/* ---- the passes ---- */

/* Arrays that are touched, each once. */
static int64_t count_arrays(const job *j)
{
    int64_t count = 0;
    int i, k;

    for (i = 0; i < INPUTS; i++) count += j->in[i] != NULL;
    for (k = 0; k < OUTPUTS; k++) {
        int known = j->out[k] == NULL;

        for (i = 0; i < INPUTS; i++) known |= j->out[k] == j->in[i];
        count += !known;
    }
    return count;
}

/* Large results that replace no input and whose rows are aligned. */
static int may_stream(const job *j)
{
    const form *f = &j->f;
    const int64_t strides = f->image_stride | f->row_stride | f->unit_stride | j->shape->batch_stride;
    int i, k, any = 0;

    if (strides * f->size % 16 != 0 || f->unit_bytes * f->units * f->groups < STREAM_BYTES) return 0;
    for (k = 0; k < OUTPUTS; k++) {
        if (!j->out[k]) continue;
        if ((uintptr_t)j->out[k] % 16 != 0) return 0;
        for (i = 0; i < INPUTS; i++) {
            if (j->out[k] == j->in[i]) return 0;
        }
        any = 1;
    }
    return any;
}

/* Both passes of a unit by one thread: nobody waits, and what is small is found in the core's own cache. */
static void unit_by_unit(const job *j, int64_t units, int parallel)
{
    const form *f = &j->f;
    int64_t u;

#pragma omp parallel for schedule(dynamic) if (parallel)
    for (u = 0; u < units; u++) {
        int64_t i;

        for (i = 0; i < f->tasks; i++) do_task(j, REDUCE, u, i);
        for (i = 0; i < f->tiles; i++) finish(j, u, i);
        for (i = f->tasks - 1; i >= 0; i--) do_task(j, MAP, u, i);
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
            const int64_t last = first + chunk < units ? first + chunk : units;
            const int64_t tasks = (last - first) * f->tasks, tiles = (last - first) * f->tiles;
            int64_t i;

#pragma omp for schedule(dynamic)
            for (i = 0; i < tasks; i++) do_task(j, REDUCE, first + i / f->tasks, i % f->tasks);
#pragma omp for schedule(static)
            for (i = 0; i < tiles; i++) finish(j, first + i / f->tiles, i % f->tiles);
#pragma omp for schedule(dynamic) nowait
            for (i = 0; i < tasks; i++) {
                const int64_t back = tasks - 1 - i;
                do_task(j, MAP, first + back / f->tasks, back % f->tasks);
            }
        }
    }
}

/* The map needs no sums, or there is only one of the two: one pass, piece by piece. */
static void one_pass(const job *j, int64_t units, int parallel)
{
    const form *f = &j->f;
    const int64_t tasks = units * f->tasks;
    int64_t i;

#pragma omp parallel for schedule(dynamic) if (parallel)
    for (i = 0; i < tasks; i++) do_task(j, j->what, i / f->tasks, i % f->tasks);
    if (j->what & REDUCE) {
        for (i = 0; i < units * f->tiles; i++) finish(j, i / f->tiles, i % f->tiles);
    }
}

static void run_job(job *j)
{
    const form *f = &j->f;
    const int64_t units = f->groups * f->units;
    const int64_t bytes = f->unit_bytes * count_arrays(j);
    const int64_t threads = omp_get_max_threads();
    const int parallel = bytes * units >= SERIAL_BYTES;
    int64_t i;

    if (j->what & MAP) j->stream = may_stream(j);
    for (i = 0; i < units * f->tiles; i++) prepare(j, i / f->tiles, i % f->tiles);
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

    j.in[X] = x;
    j.mean = mean;
    j.variance = variance;
    j.what = REDUCE;
    run_job(&j);
}

void sslcv__norm_apply(const sslcv__norm_shape *shape, const sslcv__norm_affine *affine, const void *x, const void *r,
                       int relu, void *y, void *scratch)
{
    job j = new_job(shape, affine, scratch);

    j.in[X] = x;
    j.in[Y] = r;
    j.out[OUT] = y;
    j.relu = relu;
    j.what = MAP;
    run_job(&j);
}

void sslcv__norm_forward(const sslcv__norm_shape *shape, const sslcv__norm_affine *affine, const void *x, const void *r,
                         int relu, void *y, float *mean, float *variance, void *scratch)
{
    const sslcv__norm_affine own = {mean, variance, affine->scale, affine->shift, affine->epsilon};
    job j = new_job(shape, &own, scratch);

    j.in[X] = x;
    j.in[Y] = r;
    j.out[OUT] = y;
    j.mean = mean;
    j.variance = variance;
    j.relu = relu;
    j.what = REDUCE | MAP;
    run_job(&j);
}

/* Gradients of scale and shift: sums over the groups, in their order. */
static void sum_groups(const job *j, float *diff_scale, float *diff_shift)
{
    const form *f = &j->f;
    const int64_t channels = j->shape->channels, width = f->units == 1 ? channels : j->shape->block;
    int64_t c, g;

    for (c = 0; c < channels; c++) {
        const int64_t unit = c / width, tile = c % width / LANES, lane = c % width % LANES;
        double scale = 0.0, shift = 0.0;

        for (g = 0; g < f->groups; g++) {
            double(*const total)[LANES] = j->totals[(g * f->units + unit) * f->tiles + tile];

            shift += total[0][lane];
            scale += total[1][lane] / sqrt((double)j->affine->variance[g * channels + c] + j->affine->epsilon);
        }
        if (diff_scale) diff_scale[c] = (float)scale;
        if (diff_shift) diff_shift[c] = (float)shift;
    }
}

void sslcv__norm_backward(const sslcv__norm_shape *shape, const sslcv__norm_affine *affine,
                          const sslcv__norm_gradient *gradient, void *scratch)
{
    job j = new_job(shape, affine, scratch);
    const int map = gradient->diff_x != NULL || gradient->d != NULL;
    const int sums_wanted = gradient->diff_scale != NULL || gradient->diff_shift != NULL;

    j.in[X] = gradient->x;
    j.in[Y] = gradient->mask == SSLCV__NORM_MASK_Y ? gradient->y : NULL;
    j.in[G] = gradient->g;
    j.in[G2] = gradient->g2;
    j.out[D] = gradient->d == gradient->diff_x ? NULL : gradient->d; /* x' comes to lie over it */
    j.out[OUT] = gradient->diff_x;
    j.backward = 1;
    j.mask = (int32_t)gradient->mask;
    j.given = gradient->given_statistics || !gradient->diff_x; /* nothing of the second pass depends on the sums */
    j.what = (sums_wanted || !j.given ? REDUCE : 0) | (map ? MAP : 0);
    run_job(&j);
    if (sums_wanted) sum_groups(&j, gradient->diff_scale, gradient->diff_shift);
}
