/**
 * Colour jitter, grey, solarise. Planes are R, G, B behind each other; values and results are in [0, 1].
 *
 * Jitter is torchvision's on float tensors: every operation mixes the image with another one,
 *
 *     x <- clip(f x + (1 - f) d),   d = 0 (brightness), the mean luma of the image (contrast), its luma (saturation),
 *
 * except hue, which is turned. In the code below a colour is high = max(R, G, B), chroma = high - min(R, G, B), and
 * hue, in sixths of a turn; the way back needs no cases either (any of R, G, B, by n = 5, 3, 1):
 *
 *     c = high - chroma max(0, min(k, 4 - k, 1)),   k = (n + hue) mod 6.
 *
 * The operations of a jitter follow each other on one block of pixels after the other, while it is in the first-level
 * cache. Only contrast must have seen the whole image: its mean is summed up while the operations before it run.
 */
#include "augment/transform.h"

#include "core/simd.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const float red_weight = 0.2989f, green_weight = 0.587f, blue_weight = 0.114f;

static inline float clip(float v)
{
    return v < 0.0f ? 0.0f : v > 1.0f ? 1.0f : v;
}

static inline float larger(float a, float b)
{
    return a > b ? a : b;
}

static inline float smaller(float a, float b)
{
    return a < b ? a : b;
}

/* ---- kernels: a block of each of the three planes, or of one ---- */

enum {
    BLOCK = 1024, /* pixels: three planes of them take 12 KiB */
    LANES = 16    /* of a sum, whatever the processor has, so that all of them round alike */
};

/** values = clip(factor values + rest); brightness, and contrast once its mean is known. */
SSLCV__CLONES static void mix_values(float *values, int64_t count, float factor, float rest)
{
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) values[i] = clip(factor * values[i] + rest);
}

/** Every compiler target has vectors of this size; four of them hold the LANES of a sum. */
typedef float quad __attribute__((vector_size(16), aligned(4), may_alias));

SSLCV__CLONES static float add_values(const float *values, int64_t count)
{
    quad a = {0.0f}, b = {0.0f}, c = {0.0f}, d = {0.0f};
    float rest = 0.0f;
    int64_t i;

    for (i = 0; i + LANES <= count; i += LANES) {
        const quad *v = (const quad *)(values + i);

        a += v[0], b += v[1], c += v[2], d += v[3];
    }
    for (; i < count; i++) rest += values[i];
    a = (a + b) + (c + d);
    return ((a[0] + a[1]) + (a[2] + a[3])) + rest;
}

SSLCV__CLONES static void saturate(float *restrict r, float *restrict g, float *restrict b, int64_t count, float factor)
{
    const float other = 1.0f - factor;
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) {
        const float gray = red_weight * r[i] + green_weight * g[i] + blue_weight * b[i];
        const float rest = other * gray;

        r[i] = clip(factor * r[i] + rest);
        g[i] = clip(factor * g[i] + rest);
        b[i] = clip(factor * b[i] + rest);
    }
}

static inline float channel_of_hue(float high, float chroma, float k) /* k in [0, 12) */
{
    k = k >= 6.0f ? k - 6.0f : k;
    return high - chroma * larger(0.0f, smaller(smaller(k, 4.0f - k), 1.0f));
}

/** shift: in sixths of a turn, [0, 6]. */
SSLCV__CLONES static void turn_hue(float *restrict r, float *restrict g, float *restrict b, int64_t count, float shift)
{
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) {
        const float R = r[i], G = g[i], B = b[i];
        const float high = larger(R, larger(G, B)), chroma = high - smaller(R, smaller(G, B));
        const float unit = chroma > 0.0f ? 1.0f / chroma : 0.0f;
        const float from_green = 2.0f + (B - R) * unit, from_blue = 4.0f + (R - G) * unit;
        float hue = high == R ? (G - B) * unit : high == G ? from_green : from_blue; /* [-1, 5] */

        hue += shift;
        hue = hue >= 6.0f ? hue - 6.0f : hue;
        hue = hue < 0.0f ? hue + 6.0f : hue; /* [0, 6] */
        r[i] = channel_of_hue(high, chroma, hue + 5.0f);
        g[i] = channel_of_hue(high, chroma, hue + 3.0f);
        b[i] = channel_of_hue(high, chroma, hue + 1.0f);
    }
}

SSLCV__CLONES static void make_gray(const float *r, const float *g, const float *b, int64_t count, float *gray)
{
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) gray[i] = red_weight * r[i] + green_weight * g[i] + blue_weight * b[i];
}

SSLCV__CLONES static void invert_values(float *values, int64_t count, float threshold)
{
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) values[i] = values[i] >= threshold ? 1.0f - values[i] : values[i];
}

/* ---- operations, one after the other on each block ---- */

enum operation_kind { BRIGHTNESS, CONTRAST, SATURATION, HUE, NUM_OPERATIONS }; /* as numbered in a jitter's order */

typedef struct operation {
    enum operation_kind kind;
    float factor; /* HUE: shift */
    float rest;   /* CONTRAST: once the mean is known */
} operation;

static void operate(const operation *o, float *block, int64_t channels, int64_t pixels, int64_t count)
{
    float *second = block + pixels, *third = second + pixels;
    int64_t c;

    switch (o->kind) {
    case SATURATION: saturate(block, second, third, count, o->factor); break;
    case HUE: turn_hue(block, second, third, count, o->factor); break;
    default:
        for (c = 0; c < channels; c++) mix_values(block + c * pixels, count, o->factor, o->rest);
        break;
    }
}

/** What a block adds to the sum of lumas; of images that are not R, G, B: of values. */
static double sum_block(const float *block, int64_t channels, int64_t pixels, int64_t count)
{
    const float weights[3] = {red_weight, green_weight, blue_weight};
    double sum = 0.0;
    int64_t c;

    for (c = 0; c < channels; c++) {
        sum += (channels == 3 ? (double)weights[c] : 1.0) * (double)add_values(block + c * pixels, count);
    }
    return sum;
}

/** sum: NULL, or out: of all blocks as they are then; in double, so that large images lose nothing. */
static void sweep(const operation *operations, int num, float *planes, int64_t channels, int64_t pixels, double *sum)
{
    int64_t begin;
    int i;

    if (sum) *sum = 0.0;
    for (begin = 0; begin < pixels; begin += BLOCK) {
        const int64_t count = begin + BLOCK < pixels ? BLOCK : pixels - begin;

        for (i = 0; i < num; i++) operate(&operations[i], planes + begin, channels, pixels, count);
        if (sum) *sum += sum_block(planes + begin, channels, pixels, count);
    }
}

/** At most one of the operations is CONTRAST. */
static void run_operations(operation *operations, int num, float *planes, int64_t channels, int64_t pixels)
{
    int contrast = 0;
    double sum;

    while (contrast < num && operations[contrast].kind != CONTRAST) contrast++;
    if (contrast < num) {
        operation *o = &operations[contrast];

        sweep(operations, contrast, planes, channels, pixels, &sum);
        o->rest = (1.0f - o->factor) * (float)(sum / (double)(channels == 3 ? pixels : channels * pixels));
        operations = o;
        num -= contrast;
    }
    sweep(operations, num, planes, channels, pixels, NULL);
}

static void run_operation(enum operation_kind kind, float factor, float *planes, int64_t channels, int64_t pixels)
{
    operation o = {kind, factor, 0.0f};

    run_operations(&o, 1, planes, channels, pixels);
}

static float shift_of(float turns)
{
    return 6.0f * (turns - floorf(turns));
}

void sslcv__adjust_brightness(float *planes, int64_t channels, int64_t pixels, float factor)
{
    run_operation(BRIGHTNESS, factor, planes, channels, pixels);
}

void sslcv__adjust_contrast(float *planes, int64_t channels, int64_t pixels, float factor)
{
    run_operation(CONTRAST, factor, planes, channels, pixels);
}

void sslcv__adjust_saturation(float *planes, int64_t pixels, float factor)
{
    run_operation(SATURATION, factor, planes, 3, pixels);
}

void sslcv__adjust_hue(float *planes, int64_t pixels, float turns)
{
    run_operation(HUE, shift_of(turns), planes, 3, pixels);
}

void sslcv__to_gray(float *planes, int64_t pixels, int64_t channels_out)
{
    float *r = planes, *g = planes + pixels, *b = planes + 2 * pixels;
    int64_t begin;

    for (begin = 0; begin < pixels; begin += BLOCK) {
        const int64_t count = begin + BLOCK < pixels ? BLOCK : pixels - begin;

        make_gray(r + begin, g + begin, b + begin, count, r + begin);
        if (channels_out == 1) continue;
        memcpy(g + begin, r + begin, (size_t)count * sizeof *g);
        memcpy(b + begin, r + begin, (size_t)count * sizeof *b);
    }
}

void sslcv__invert_above(float *values, int64_t count, float threshold)
{
    invert_values(values, count, threshold);
}

/* ---- colour jitter ---- */

static void jitter_defaults(sslcv_transform *t)
{
    t->brightness = t->contrast = t->saturation = 0.4;
    t->hue = 0.1;
}

static sslcv_status jitter_check(const sslcv_transform *t)
{
    const char *name = sslcv__color_jitter.name;
    sslcv_status status;

    SSLCV__TRY(sslcv__transform_check_real(name, "brightness", t->brightness, 0.0, 1e6));
    SSLCV__TRY(sslcv__transform_check_real(name, "contrast", t->contrast, 0.0, 1e6));
    SSLCV__TRY(sslcv__transform_check_real(name, "saturation", t->saturation, 0.0, 1e6));
    SSLCV__TRY(sslcv__transform_check_real(name, "hue", t->hue, 0.0, 0.5));
end:
    return status;
}

static sslcv_status jitter_shape(const sslcv_transform *t, int64_t shape[3])
{
    if (shape[0] <= 1 || shape[0] == 3 || (t->saturation == 0.0 && t->hue == 0.0)) return SSLCV_OK;
    return sslcv__invalid("color_jitter changes saturation or hue of an image of %lld channels; it must have 1 or 3",
                          (long long)shape[0]);
}

void sslcv__draw_jitter(const sslcv_transform *t, sslcv__rng *rng, sslcv__jitter_draw *draw)
{
    sslcv__rng_permutation(rng, draw->order, 4);
    draw->brightness = sslcv__rng_range(rng, fmax(0.0, 1.0 - t->brightness), 1.0 + t->brightness);
    draw->contrast = sslcv__rng_range(rng, fmax(0.0, 1.0 - t->contrast), 1.0 + t->contrast);
    draw->saturation = sslcv__rng_range(rng, fmax(0.0, 1.0 - t->saturation), 1.0 + t->saturation);
    draw->hue = sslcv__rng_range(rng, -t->hue, t->hue);
}

void sslcv__jitter(float *planes, int64_t channels, int64_t pixels, const sslcv_transform *t,
                   const sslcv__jitter_draw *draw)
{
    const operation drawn[NUM_OPERATIONS] = {{BRIGHTNESS, (float)draw->brightness, 0.0f},
                                             {CONTRAST, (float)draw->contrast, 0.0f},
                                             {SATURATION, (float)draw->saturation, 0.0f},
                                             {HUE, shift_of((float)draw->hue), 0.0f}};
    const int colored = channels == 3;
    const int wanted[NUM_OPERATIONS] = {t->brightness > 0.0, t->contrast > 0.0, t->saturation > 0.0 && colored,
                                        t->hue > 0.0 && colored};
    operation operations[NUM_OPERATIONS];
    int num = 0, i;

    for (i = 0; i < NUM_OPERATIONS; i++) {
        if (wanted[draw->order[i]]) operations[num++] = drawn[draw->order[i]];
    }
    run_operations(operations, num, planes, channels, pixels);
}

static sslcv_status jitter_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t *shape = picture->now.shape;
    const sslcv_status status = sslcv__picture_own(picture);
    sslcv__jitter_draw draw;

    if (status != SSLCV_OK) return status;
    sslcv__draw_jitter(t, rng, &draw);
    sslcv__jitter(picture->now.data, shape[0], shape[1] * shape[2], t, &draw);
    return SSLCV_OK;
}

const sslcv__transform_class sslcv__color_jitter = {.name = "color_jitter",
                                                    .reads = SSLCV__READS_COLOR | SSLCV__READS_PROBABILITY,
                                                    .defaults = jitter_defaults,
                                                    .check = jitter_check,
                                                    .shape = jitter_shape,
                                                    .apply = jitter_apply};

/* ---- grey ---- */

static void rare_defaults(sslcv_transform *t)
{
    t->probability = 0.2;
}

static sslcv_status gray_check(const sslcv_transform *t)
{
    const sslcv_status status = sslcv__transform_check_int(sslcv__grayscale.name, "count", t->count, 0, 1);

    if (status != SSLCV_OK || t->count == 0 || (t->probability == 1.0 && !t->with_previous)) return status;
    return sslcv__invalid("grayscale.probability is %g and with_previous %d; must be 1 and 0 when count is 1",
                          t->probability, (int)t->with_previous);
}

static sslcv_status gray_shape(const sslcv_transform *t, int64_t shape[3])
{
    if (shape[0] > 1 && shape[0] != 3) {
        return sslcv__invalid("grayscale gets an image of %lld channels; it must have 1 or 3", (long long)shape[0]);
    }
    if (t->count == 1) shape[0] = 1;
    return SSLCV_OK;
}

static sslcv_status gray_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t *shape = picture->now.shape;
    sslcv_status status;

    (void)rng;
    if (shape[0] == 1) return SSLCV_OK;
    status = sslcv__picture_own(picture);
    if (status != SSLCV_OK) return status;
    sslcv__to_gray(picture->now.data, shape[1] * shape[2], t->count == 1 ? 1 : 3);
    if (t->count == 1) picture->now.shape[0] = 1;
    return SSLCV_OK;
}

const sslcv__transform_class sslcv__grayscale = {.name = "grayscale",
                                                 .reads = SSLCV__READS_PROBABILITY | SSLCV__READS_COUNT,
                                                 .defaults = rare_defaults,
                                                 .check = gray_check,
                                                 .shape = gray_shape,
                                                 .apply = gray_apply};

/* ---- solarise ---- */

static void solarize_defaults(sslcv_transform *t)
{
    rare_defaults(t);
    t->min = t->max = 0.5;
}

static sslcv_status solarize_check(const sslcv_transform *t)
{
    const sslcv_status status = sslcv__transform_check_real(sslcv__solarize.name, "max", t->max, -FLT_MAX, FLT_MAX);

    if (status != SSLCV_OK) return status;
    return sslcv__transform_check_real(sslcv__solarize.name, "min", t->min, -FLT_MAX, t->max);
}

static sslcv_status solarize_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t *shape = picture->now.shape;
    const sslcv_status status = sslcv__picture_own(picture);

    if (status != SSLCV_OK) return status;
    sslcv__invert_above(picture->now.data, shape[0] * shape[1] * shape[2],
                        (float)sslcv__rng_range(rng, t->min, t->max));
    return SSLCV_OK;
}

const sslcv__transform_class sslcv__solarize = {.name = "solarize",
                                                .reads = SSLCV__READS_PROBABILITY | SSLCV__READS_RANGE,
                                                .defaults = solarize_defaults,
                                                .check = solarize_check,
                                                .apply = solarize_apply};
