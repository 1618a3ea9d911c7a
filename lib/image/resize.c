#include "image/resize.h"

#include "core/simd.h"

#include <math.h>
#include <string.h>

/*
 * A resize is two passes of weighted sums, one for each axis (as Pillow does it, but the vertical pass comes first):
 *
 *     source rows, as stored      |rgbrgbrgb...|  u8         vertical: whole rows, whatever their channels, are added
 *                                 |rgbrgbrgb...|             up with one weight each: long runs, no gaps
 *                                        v
 *     one sum row                 |rgbrgbrgb...|  f32        horizontal: for each channel and new pixel a few
 *                                        v                   neighbours, one weight each
 *     a row of each plane         |rrrr| |gggg| |bbbb|
 *
 * Weights of the new pixel i: f((x + 1/2 - c) / s) over the old pixels x, normalised to sum 1, where s = max(1, old /
 * new) and c = (i + 1/2) old / new. f is the triangle or the cubic convolution kernel (Keys 1981, a = -1/2).
 */
enum { GROUP = 4 }; /* rows that are added up, or values that are moved, in one go */

typedef struct axis {
    int64_t taps;    /* weights of each new pixel */
    int32_t *starts; /* (new) first old pixel; start + taps <= old */
    float *weights;  /* (new, taps) */
} axis;

/** How the source lies in memory: a run holds the values that the vertical pass adds up in one go. */
typedef struct layout {
    int64_t runs;   /* C for planes, 1 where the channels of a pixel lie together */
    int64_t step;   /* from one pixel to the next in a run: 1, or the values of a pixel */
    int64_t length; /* of a run: from its first to its last value that counts */
} layout;

static double filter_radius(int32_t filter)
{
    return filter == SSLCV__BICUBIC ? 2.0 : 1.0;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

static double filter_value(int32_t filter, double x)
{
    x = fabs(x);
    if (filter != SSLCV__BICUBIC) return x < 1.0 ? 1.0 - x : 0.0;
    if (x < 1.0) return (1.5 * x - 2.5) * x * x + 1.0;
    return x < 2.0 ? ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0 : 0.0;
}

/** Old pixels whose centres lie in an interval of twice the radius; fewer when there are no more. */
static int64_t max_taps(int64_t old, int64_t new, int32_t filter)
{
    const double scale = (double)old / (double)new;
    const int64_t taps = filter == SSLCV__NEAREST ? 1 : (int64_t)ceil(2.0 * filter_radius(filter) * larger(scale, 1.0));

    return taps < old ? taps : old;
}

static void make_nearest(axis *a, int64_t old, int64_t new, double full)
{
    int64_t i;

    a->taps = 1;
    for (i = 0; i < new; i++) {
        const int64_t at = (int64_t)(((double)i + 0.5) * ((double)old / (double)new));

        a->starts[i] = (int32_t)(at < old ? at : old - 1);
        a->weights[i] = (float)(1.0 / full);
    }
}

/** The weights of a new pixel add up to 1 / full. */
static void make_axis(axis *a, int64_t old, int64_t new, int32_t filter, double full)
{
    const double scale = (double)old / (double)new, stretch = larger(scale, 1.0), shrink = 1.0 / stretch;
    const double radius = filter_radius(filter) * stretch;
    int64_t i, k;

    if (filter == SSLCV__NEAREST) {
        make_nearest(a, old, new, full);
        return;
    }
    a->taps = max_taps(old, new, filter);
    for (i = 0; i < new; i++) {
        const double center = ((double)i + 0.5) * scale;
        const int64_t low = (int64_t)larger(center - radius + 0.5, 0.0);
        const int64_t high = (int64_t)smaller(center + radius + 0.5, (double)old);
        const int64_t start = low < old - a->taps ? low : old - a->taps;
        float *weights = a->weights + i * a->taps;
        double sum = 0.0;

        for (k = 0; k < a->taps; k++) {
            const int64_t x = start + k;
            const int inside = x >= low && x < high;
            const double value = inside ? filter_value(filter, ((double)x + 0.5 - center) * shrink) : 0.0;

            weights[k] = (float)value;
            sum += value;
        }
        sum = 1.0 / (sum * full);
        for (k = 0; k < a->taps; k++) weights[k] = (float)(sum * (double)weights[k]);
        a->starts[i] = (int32_t)start;
    }
}

static layout find_layout(const sslcv_tensor *image, int64_t width)
{
    const int64_t pixel = image->strides[2], channel = image->strides[0], channels = image->shape[0];
    const int64_t spread = (channels - 1) * (channel < 0 ? -channel : channel);
    layout l = {channels, 1, width};

    if (pixel > 1 && channels > 1 && spread < pixel) { /* channels of a pixel side by side */
        l.runs = 1;
        l.step = pixel;
        l.length = (width - 1) * pixel + spread + 1;
    } else if (pixel > 0 && pixel <= 16) {
        l.step = pixel;
        l.length = (width - 1) * pixel + 1;
    }
    return l;
}

/** Runs must not have gaps that are wider than the pixels, nor go backwards: such sources are cut out first. */
static int needs_copy(const sslcv_tensor *image)
{
    const int64_t pixel = image->strides[2];

    return image->shape[2] > 1 && (pixel < 1 || pixel > 16);
}

static int64_t round_up(int64_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

int64_t sslcv__resize_bytes(const sslcv_tensor *image, const sslcv__box *box, int64_t height, int64_t width,
                            int32_t filter)
{
    const int64_t y_taps = max_taps(box->height, height, filter), x_taps = max_taps(box->width, width, filter);
    const int64_t weights = round_up(height * y_taps * 4) + round_up(width * x_taps * 4);
    const int64_t axes = weights + round_up(height * 4) + round_up(width * 4);
    const int64_t line = round_up(width * GROUP * 4);
    const int64_t length = needs_copy(image) ? box->width : find_layout(image, box->width).length;
    const int64_t rows = round_up((length + GROUP) * 4) + round_up(GROUP * length * 4);

    return axes + line + rows + (needs_copy(image) ? image->shape[0] * box->height * box->width * 4 : 0);
}

#define WIDEN(name, type)                                                                                              \
    SSLCV__CLONES static void name(const void *source, int64_t count, float *dst)                                      \
    {                                                                                                                  \
        const type *src = source;                                                                                      \
        int64_t i;                                                                                                     \
                                                                                                                       \
        _Pragma("omp simd") for (i = 0; i < count; i++) dst[i] = (float)src[i];                                        \
    }

WIDEN(widen_u8, uint8_t)
WIDEN(widen_u16, uint16_t)

/** sums = the weighted sum of 1 .. GROUP rows; with add, plus what sums was. */
SSLCV__CLONES static void add_rows(const float *const *rows, const float *weights, int64_t num, int add, int64_t count,
                                   float *sums)
{
    const float *a = rows[0], *b = rows[num > 1 ? 1 : 0], *c = rows[num > 2 ? 2 : 0], *d = rows[num > 3 ? 3 : 0];
    const float wa = weights[0], wb = num > 1 ? weights[1] : 0.0f;
    const float wc = num > 2 ? weights[2] : 0.0f, wd = num > 3 ? weights[3] : 0.0f;
    int64_t i;

    if (add) {
#pragma omp simd
        for (i = 0; i < count; i++) sums[i] += wa * a[i] + wb * b[i] + wc * c[i] + wd * d[i];
    } else if (num <= 2) {
#pragma omp simd
        for (i = 0; i < count; i++) sums[i] = wa * a[i] + wb * b[i];
    } else {
#pragma omp simd
        for (i = 0; i < count; i++) sums[i] = wa * a[i] + wb * b[i] + wc * c[i] + wd * d[i];
    }
}

/** Source rows as floats. GROUP of them are kept, as a row counts for several new ones: row i at i % GROUP. */
typedef struct row_cache {
    const char *base; /* row 0 */
    int64_t stride;   /* from row to row, elements */
    int64_t length;   /* of a row */
    int32_t dtype;
    int32_t reserved;
    int64_t held[GROUP]; /* the row that lies there; -1: none */
    float *rows;         /* (GROUP, length) */
} row_cache;

static const float *cached_row(row_cache *cache, int64_t row)
{
    const char *src = cache->base + row * cache->stride * sslcv_dtype_size(cache->dtype);
    float *dst = cache->rows + row % GROUP * cache->length;

    if (cache->dtype == SSLCV_F32) return (const float *)(const void *)src;
    if (cache->held[row % GROUP] == row) return dst;
    if (cache->dtype == SSLCV_U8)
        widen_u8(src, cache->length, dst);
    else
        widen_u16(src, cache->length, dst);
    cache->held[row % GROUP] = row;
    return dst;
}

/** The vertical pass for one new row. */
static void sum_rows(row_cache *cache, int64_t first, const float *weights, int64_t taps, float *sums)
{
    const float *rows[GROUP];
    int64_t k, i, num;
    int add = 0;

    while (taps > 1 && weights[taps - 1] == 0.0f) taps--; /* at the edges */
    for (k = 0; k < taps - 1 && weights[k] == 0.0f;) k++;
    for (; k < taps; k += num, add = 1) {
        num = taps - k < GROUP ? taps - k : GROUP;
        for (i = 0; i < num; i++) rows[i] = cached_row(cache, first + k + i);
        add_rows(rows, weights + k, num, add, cache->length, sums);
    }
}

static double full_scale(int32_t dtype)
{
    return dtype == SSLCV_U8 ? 255.0 : dtype == SSLCV_U16 ? 65535.0 : 1.0;
}

/** The horizontal pass: row holds the sums of one channel, step apart. */
SSLCV__CLONES static void resample_row(const float *row, int64_t step, const axis *x, int64_t width,
                                       float *restrict dst)
{
    const float *weights = x->weights;
    const int32_t *starts = x->starts;
    const int64_t taps = x->taps;
    int64_t i, k;

    if (taps == 2) { /* bilinear upwards */
        for (i = 0; i < width; i++) {
            const float *p = row + starts[i] * step;

            dst[i] = p[0] * weights[2 * i] + p[step] * weights[2 * i + 1];
        }
        return;
    }
    for (i = 0; i < width; i++, weights += taps) {
        const float *p = row + starts[i] * step;
        float sum = 0.0f;

        for (k = 0; k < taps; k++) sum += p[k * step] * weights[k];
        dst[i] = sum;
    }
}

/** The values of a pixel and what follows them, together. Every compiler target has vectors of this size. */
typedef float pixel __attribute__((vector_size(16), aligned(4), may_alias));

_Static_assert(sizeof(pixel) == GROUP * sizeof(float), "one value a channel");

/** Taps that are a constant in the caller are a loop without branches here. */
static inline __attribute__((always_inline)) void weigh_pixels(const float *row, int64_t step, const axis *x,
                                                               int64_t taps, int64_t width, float *line)
{
    const float *weights = x->weights;
    const int32_t *starts = x->starts;
    int64_t i, k;

    for (i = 0; i < width; i++, weights += taps) {
        const float *p = row + starts[i] * step;
        pixel sum = *(const pixel *)p * weights[0];

#pragma GCC unroll 4
        for (k = 1; k < taps; k++) sum += *(const pixel *)(p + k * step) * weights[k];
        *(pixel *)(line + i * GROUP) = sum;
    }
}

/** The same for three channels side by side; the fourth value of a pixel does not count. line: (width, GROUP). */
SSLCV__CLONES static void resample_pixels(const float *row, int64_t step, const axis *x, int64_t width, float *line)
{
    switch (x->taps) {
    case 2: weigh_pixels(row, step, x, 2, width, line); break;
    case 3: weigh_pixels(row, step, x, 3, width, line); break;
    case 4: weigh_pixels(row, step, x, 4, width, line); break;
    default: weigh_pixels(row, step, x, x->taps, width, line); break;
    }
}

SSLCV__CLONES static void split_pixels(const float *line, int64_t width, float *restrict first, float *restrict second,
                                       float *restrict third)
{
    int64_t i;

#pragma omp simd
    for (i = 0; i < width; i++) {
        first[i] = line[GROUP * i];
        second[i] = line[GROUP * i + 1];
        third[i] = line[GROUP * i + 2];
    }
}

SSLCV__CLONES static void clip_row(float *row, int64_t width)
{
    int64_t i;

#pragma omp simd
    for (i = 0; i < width; i++) row[i] = row[i] < 0.0f ? 0.0f : row[i] > 1.0f ? 1.0f : row[i];
}

/** Where the working memory of a resize goes. */
typedef struct plan {
    axis y, x;
    int64_t height, width;
    int clip;
    float *line; /* (width, GROUP) */
    float *sums; /* of a run, and GROUP more */
    float *rows; /* (GROUP, length of a run) */
} plan;

/** One new row of the channels first .. last - 1 from their sums. offsets: of the channels in sums. */
static void resample_channels(const plan *p, const sslcv_tensor *image, const layout *l, int64_t lead, int64_t first,
                              int64_t last, int64_t row, float *dst)
{
    const int64_t plane = p->height * p->width, channel = image->strides[0];
    float *out = dst + row * p->width;
    int64_t c;

    if (l->runs == 1 && last == 3 && (channel == 1 || channel == -1)) {
        resample_pixels(p->sums, l->step, &p->x, p->width, p->line);
        split_pixels(p->line, p->width, out + (channel == 1 ? 0 : 2 * plane), out + plane,
                     out + (channel == 1 ? 2 * plane : 0));
    } else {
        for (c = first; c < last; c++) {
            resample_row(p->sums + (l->runs == 1 ? c * channel - lead : 0), l->step, &p->x, p->width, out + c * plane);
        }
    }
    for (c = first; c < last && p->clip; c++) clip_row(out + c * plane, p->width);
}

/** data: the element (channel 0 of a run's first pixel) of the box's first row. */
static void resize_runs(const char *data, const sslcv_tensor *image, int64_t box_width, const plan *p, float *dst)
{
    const layout l = find_layout(image, box_width);
    const int64_t size = sslcv_dtype_size(image->dtype), channels = image->shape[0];
    /* with channels in descending order the run begins at the last one */
    const int64_t lead = l.runs == 1 && image->strides[0] < 0 ? (channels - 1) * image->strides[0] : 0;
    int64_t run, i;

    memset(p->sums + l.length, 0, GROUP * sizeof *p->sums);
    for (run = 0; run < l.runs; run++) {
        row_cache cache = {.base = data + (run * image->strides[0] + lead) * size,
                           .stride = image->strides[1],
                           .length = l.length,
                           .dtype = image->dtype,
                           .held = {-1, -1, -1, -1},
                           .rows = p->rows};

        for (i = 0; i < p->height; i++) {
            sum_rows(&cache, p->y.starts[i], p->y.weights + i * p->y.taps, p->y.taps, p->sums);
            resample_channels(p, image, &l, lead, run, l.runs == 1 ? channels : run + 1, i, dst);
        }
    }
}

void sslcv__resize(const sslcv_tensor *image, const sslcv__box *box, int64_t height, int64_t width, int32_t filter,
                   void *work, float *dst)
{
    const int64_t size = sslcv_dtype_size(image->dtype), shape[3] = {image->shape[0], box->height, box->width};
    const char *data =
        (const char *)image->data + (box->top * image->strides[1] + box->left * image->strides[2]) * size;
    const int64_t length = needs_copy(image) ? box->width : find_layout(image, box->width).length;
    plan p = {.height = height, .width = width, .clip = filter == SSLCV__BICUBIC};
    char *at = work;
    sslcv_tensor copy;

    if (box->height == height && box->width == width) {
        sslcv__crop(image, box, dst);
        return;
    }
    p.y.starts = (int32_t *)(void *)at, at += round_up(height * 4);
    p.y.weights = (float *)(void *)at, at += round_up(height * max_taps(box->height, height, filter) * 4);
    p.x.starts = (int32_t *)(void *)at, at += round_up(width * 4);
    p.x.weights = (float *)(void *)at, at += round_up(width * max_taps(box->width, width, filter) * 4);
    p.line = (float *)(void *)at, at += round_up(width * GROUP * 4);
    p.sums = (float *)(void *)at, at += round_up((length + GROUP) * 4);
    p.rows = (float *)(void *)at, at += round_up(GROUP * length * 4);
    if (needs_copy(image)) {
        float *cut = (float *)(void *)at;

        sslcv__crop(image, box, cut);
        sslcv_tensor_init(&copy, SSLCV_F32, cut, 3, shape);
        image = &copy;
        data = (const char *)cut;
    }
    make_axis(&p.y, box->height, height, filter, full_scale(image->dtype));
    make_axis(&p.x, box->width, width, filter, 1.0);
    resize_runs(data, image, box->width, &p, dst);
}

/* ---- cutting out ---- */

#define CUT_RUN(name, type, full)                                                                                      \
    SSLCV__CLONES static void name(const void *source, int64_t stride, int64_t count, float *dst)                      \
    {                                                                                                                  \
        const type *src = source;                                                                                      \
        int64_t i;                                                                                                     \
                                                                                                                       \
        _Pragma("omp simd") for (i = 0; i < count; i++) dst[i] = (float)src[i * stride] / (full);                      \
    }

CUT_RUN(cut_u8, uint8_t, 255.0f)
CUT_RUN(cut_u16, uint16_t, 65535.0f)
CUT_RUN(cut_f32, float, 1.0f)

static void cut_run(const sslcv_tensor *image, int64_t c, int64_t y, int64_t x, int64_t count, float *dst)
{
    const int64_t at = c * image->strides[0] + y * image->strides[1] + x * image->strides[2];
    const char *src = (const char *)image->data + at * sslcv_dtype_size(image->dtype);

    if (image->dtype == SSLCV_U8)
        cut_u8(src, image->strides[2], count, dst);
    else if (image->dtype == SSLCV_U16)
        cut_u16(src, image->strides[2], count, dst);
    else
        cut_f32(src, image->strides[2], count, dst);
}

void sslcv__crop(const sslcv_tensor *image, const sslcv__box *box, float *dst)
{
    const int64_t H = image->shape[1], W = image->shape[2];
    const int64_t x0 = box->left < 0 ? -box->left : 0; /* inside: x0 .. x1 - 1 */
    const int64_t x1 = W - box->left < box->width ? W - box->left : box->width;
    int64_t c, i;

    for (c = 0; c < image->shape[0]; c++) {
        for (i = 0; i < box->height; i++, dst += box->width) {
            const int64_t y = box->top + i;

            if (y < 0 || y >= H || x0 >= x1) {
                memset(dst, 0, (size_t)box->width * sizeof *dst);
                continue;
            }
            memset(dst, 0, (size_t)x0 * sizeof *dst);
            cut_run(image, c, y, box->left + x0, x1 - x0, dst + x0);
            memset(dst + x1, 0, (size_t)(box->width - x1) * sizeof *dst);
        }
    }
}
