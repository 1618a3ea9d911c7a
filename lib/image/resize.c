#include "image/resize.h"

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
    const int64_t taps = filter == SSLCV__NEAREST ? 1 : (int64_t)ceil(2.0 * filter_radius(filter) * fmax(scale, 1.0));

    return taps < old ? taps : old;
}

static void make_nearest(axis *a, int64_t old, int64_t new)
{
    int64_t i;

    a->taps = 1;
    for (i = 0; i < new; i++) {
        const int64_t at = (int64_t)(((double)i + 0.5) * ((double)old / (double)new));

        a->starts[i] = (int32_t)(at < old ? at : old - 1);
        a->weights[i] = 1.0f;
    }
}

static void make_axis(axis *a, int64_t old, int64_t new, int32_t filter)
{
    const double scale = (double)old / (double)new, stretch = fmax(scale, 1.0);
    const double radius = filter_radius(filter) * stretch;
    int64_t i, k;

    if (filter == SSLCV__NEAREST) {
        make_nearest(a, old, new);
        return;
    }
    a->taps = max_taps(old, new, filter);
    for (i = 0; i < new; i++) {
        const double center = ((double)i + 0.5) * scale;
        const int64_t low = (int64_t)fmax(center - radius + 0.5, 0.0);
        const int64_t high = (int64_t)fmin(center + radius + 0.5, (double)old);
        const int64_t start = low < old - a->taps ? low : old - a->taps;
        float *weights = a->weights + i * a->taps;
        double sum = 0.0;

        for (k = low; k < high; k++) sum += filter_value(filter, ((double)k + 0.5 - center) / stretch);
        for (k = 0; k < a->taps; k++) {
            const int64_t x = start + k;
            const int inside = x >= low && x < high;

            weights[k] = inside ? (float)(filter_value(filter, ((double)x + 0.5 - center) / stretch) / sum) : 0.0f;
        }
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
    int64_t bytes = round_up(height * 4) + round_up(height * max_taps(box->height, height, filter) * 4);

    bytes += round_up(width * 4) + round_up(width * max_taps(box->width, width, filter) * 4);
    if (needs_copy(image)) return bytes + round_up(box->width * 4) + image->shape[0] * box->height * box->width * 4;
    return bytes + round_up(find_layout(image, box->width).length * 4);
}

/** sums = weight * src, or += with add. */
#define ADD_RUN(name, type)                                                                                            \
    static void name(const void *source, float weight, int add, int64_t count, float *sums)                            \
    {                                                                                                                  \
        const type *src = source;                                                                                      \
        int64_t i;                                                                                                     \
                                                                                                                       \
        if (add) {                                                                                                     \
            _Pragma("omp simd") for (i = 0; i < count; i++) sums[i] += weight * (float)src[i];                         \
        } else {                                                                                                       \
            _Pragma("omp simd") for (i = 0; i < count; i++) sums[i] = weight * (float)src[i];                          \
        }                                                                                                              \
    }

ADD_RUN(add_u8, uint8_t)
ADD_RUN(add_u16, uint16_t)
ADD_RUN(add_f32, float)

static void add_run(int32_t dtype, const void *src, float weight, int add, int64_t count, float *sums)
{
    if (dtype == SSLCV_U8)
        add_u8(src, weight, add, count, sums);
    else if (dtype == SSLCV_U16)
        add_u16(src, weight, add, count, sums);
    else
        add_f32(src, weight, add, count, sums);
}

static float full_scale(int32_t dtype)
{
    return dtype == SSLCV_U8 ? 255.0f : dtype == SSLCV_U16 ? 65535.0f : 1.0f;
}

/** The horizontal pass: row holds the sums of one channel, step apart. */
static void resample_row(const float *row, int64_t step, const axis *x, int64_t width, float *dst)
{
    int64_t i, k;

    if (x->taps == 2) { /* bilinear upwards */
        for (i = 0; i < width; i++) {
            const float *p = row + x->starts[i] * step;

            dst[i] = p[0] * x->weights[2 * i] + p[step] * x->weights[2 * i + 1];
        }
        return;
    }
    for (i = 0; i < width; i++) {
        const float *p = row + x->starts[i] * step, *weights = x->weights + i * x->taps;
        float sum = 0.0f;

        for (k = 0; k < x->taps; k++) sum += p[k * step] * weights[k];
        dst[i] = sum;
    }
}

static void finish_row(float *row, int64_t width, float full, int clip)
{
    int64_t i;

    if (full != 1.0f) {
#pragma omp simd
        for (i = 0; i < width; i++) row[i] /= full;
    }
    if (clip) {
#pragma omp simd
        for (i = 0; i < width; i++) row[i] = row[i] < 0.0f ? 0.0f : row[i] > 1.0f ? 1.0f : row[i];
    }
}

/** data: the element (channel 0 of a run's first pixel) of the box's first row. */
static void resize_runs(const char *data, const sslcv_tensor *image, int64_t box_width, const axis *y, int64_t height,
                        const axis *x, int64_t width, int clip, float *sums, float *dst)
{
    const layout l = find_layout(image, box_width);
    const int64_t size = sslcv_dtype_size(image->dtype), channels = image->shape[0];
    /* with channels in descending order the run begins at the last one */
    const int64_t lead = l.runs == 1 && image->strides[0] < 0 ? (channels - 1) * image->strides[0] : 0;
    int64_t run, i, k, c;

    for (run = 0; run < l.runs; run++) {
        const char *base = data + (run * image->strides[0] + lead) * size;

        for (i = 0; i < height; i++) {
            const float *weights = y->weights + i * y->taps;
            int add = 0;

            for (k = 0; k < y->taps; k++) {
                if (weights[k] == 0.0f) continue;
                add_run(image->dtype, base + (y->starts[i] + k) * image->strides[1] * size, weights[k], add, l.length,
                        sums);
                add = 1;
            }
            for (c = run; c < (l.runs == 1 ? channels : run + 1); c++) {
                const float *row = sums + (l.runs == 1 ? c * image->strides[0] - lead : 0);
                float *out = dst + (c * height + i) * width;

                resample_row(row, l.step, x, width, out);
                finish_row(out, width, full_scale(image->dtype), clip);
            }
        }
    }
}

void sslcv__resize(const sslcv_tensor *image, const sslcv__box *box, int64_t height, int64_t width, int32_t filter,
                   void *work, float *dst)
{
    const int64_t size = sslcv_dtype_size(image->dtype), shape[3] = {image->shape[0], box->height, box->width};
    const char *data =
        (const char *)image->data + (box->top * image->strides[1] + box->left * image->strides[2]) * size;
    char *at = work;
    sslcv_tensor copy;
    axis y, x;

    if (box->height == height && box->width == width) {
        sslcv__crop(image, box, dst);
        return;
    }
    y.starts = (int32_t *)(void *)at, at += round_up(height * 4);
    y.weights = (float *)(void *)at, at += round_up(height * max_taps(box->height, height, filter) * 4);
    x.starts = (int32_t *)(void *)at, at += round_up(width * 4);
    x.weights = (float *)(void *)at, at += round_up(width * max_taps(box->width, width, filter) * 4);
    make_axis(&y, box->height, height, filter);
    make_axis(&x, box->width, width, filter);
    if (needs_copy(image)) {
        float *cut = (float *)(void *)(at + round_up(box->width * 4));

        sslcv__crop(image, box, cut);
        sslcv_tensor_init(&copy, SSLCV_F32, cut, 3, shape);
        image = &copy;
        data = (const char *)cut;
    }
    resize_runs(data, image, box->width, &y, height, &x, width, filter == SSLCV__BICUBIC, (float *)(void *)at, dst);
}

/* ---- cutting out ---- */

#define CUT_RUN(name, type, full)                                                                                      \
    static void name(const void *source, int64_t stride, int64_t count, float *dst)                                    \
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
