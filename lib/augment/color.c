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
 */
#include "augment/transform.h"

#include <float.h>
#include <math.h>

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

void sslcv__adjust_brightness(float *planes, int64_t channels, int64_t pixels, float factor)
{
    const int64_t count = channels * pixels;
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) planes[i] = clip(factor * planes[i]);
}

/** In double from block to block, so that large images lose nothing; the order is fixed. */
static double sum_of(const float *values, int64_t count)
{
    enum { BLOCK = 512 };
    double sum = 0.0;
    int64_t begin, i;

    for (begin = 0; begin < count; begin += BLOCK) {
        const int64_t end = begin + BLOCK < count ? begin + BLOCK : count;
        float block = 0.0f;

#pragma omp simd reduction(+ : block)
        for (i = begin; i < end; i++) block += values[i];
        sum += (double)block;
    }
    return sum;
}

void sslcv__adjust_contrast(float *planes, int64_t channels, int64_t pixels, float factor)
{
    const int64_t count = channels * pixels;
    double mean;
    float rest;
    int64_t i;

    if (channels == 3) {
        mean = ((double)red_weight * sum_of(planes, pixels) + (double)green_weight * sum_of(planes + pixels, pixels) +
                (double)blue_weight * sum_of(planes + 2 * pixels, pixels)) /
               (double)pixels;
    } else {
        mean = sum_of(planes, count) / (double)count;
    }
    rest = (1.0f - factor) * (float)mean;
#pragma omp simd
    for (i = 0; i < count; i++) planes[i] = clip(factor * planes[i] + rest);
}

void sslcv__adjust_saturation(float *planes, int64_t pixels, float factor)
{
    float *restrict r = planes, *restrict g = planes + pixels, *restrict b = planes + 2 * pixels;
    int64_t i;

#pragma omp simd
    for (i = 0; i < pixels; i++) {
        const float gray = red_weight * r[i] + green_weight * g[i] + blue_weight * b[i];
        const float rest = (1.0f - factor) * gray;

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

void sslcv__adjust_hue(float *planes, int64_t pixels, float turns)
{
    float *restrict r = planes, *restrict g = planes + pixels, *restrict b = planes + 2 * pixels;
    const float shift = 6.0f * (turns - floorf(turns));
    int64_t i;

#pragma omp simd
    for (i = 0; i < pixels; i++) {
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

void sslcv__to_gray(float *planes, int64_t pixels, int64_t channels_out)
{
    float *restrict r = planes, *restrict g = planes + pixels, *restrict b = planes + 2 * pixels;
    int64_t i;

#pragma omp simd
    for (i = 0; i < pixels; i++) r[i] = red_weight * r[i] + green_weight * g[i] + blue_weight * b[i];
    if (channels_out == 1) return;
#pragma omp simd
    for (i = 0; i < pixels; i++) g[i] = b[i] = r[i];
}

void sslcv__invert_above(float *values, int64_t count, float threshold)
{
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) values[i] = values[i] >= threshold ? 1.0f - values[i] : values[i];
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
    const int colored = channels == 3;
    int i;

    for (i = 0; i < 4; i++) {
        switch (draw->order[i]) {
        case 0:
            if (t->brightness > 0.0) sslcv__adjust_brightness(planes, channels, pixels, (float)draw->brightness);
            break;
        case 1:
            if (t->contrast > 0.0) sslcv__adjust_contrast(planes, channels, pixels, (float)draw->contrast);
            break;
        case 2:
            if (t->saturation > 0.0 && colored) sslcv__adjust_saturation(planes, pixels, (float)draw->saturation);
            break;
        default:
            if (t->hue > 0.0 && colored) sslcv__adjust_hue(planes, pixels, (float)draw->hue);
            break;
        }
    }
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

    if (status != SSLCV_OK || t->count == 0 || t->probability == 1.0) return status;
    return sslcv__invalid("grayscale.probability is %g; must be 1 when count is 1", t->probability);
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
