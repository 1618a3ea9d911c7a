/** Posterise and autocontrast: what becomes of a value depends on the value alone, or on its plane's extremes too. */
#include "augment/transform.h"

#include "core/simd.h"

/* ---- posterise ---- */

/**
 * levels: 2^bits. Of v = b / 255 with a byte b, floor(levels v) is b shifted right by 8 - bits, for all bytes and bits,
 * but for b = 255, where it is one too many.
 */
SSLCV__CLONES static void keep_levels(float *values, int64_t count, float levels)
{
    const float step = 256.0f / levels, top = levels - 1.0f;
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) {
        const float v = levels * values[i];
        const int32_t level = (int32_t)(v > 0.0f ? (v < top ? v : top) : 0.0f); /* no number: 0 */

        values[i] = (float)level * step / 255.0f;
    }
}

void sslcv__keep_bits(float *values, int64_t count, int64_t bits)
{
    keep_levels(values, count, (float)(1 << bits));
}

static void posterize_defaults(sslcv_transform *t)
{
    t->min = 4.0;
    t->max = 7.0;
}

static sslcv_status posterize_check(const sslcv_transform *t)
{
    return sslcv__transform_check_whole(sslcv__posterize.name, t, 1, 8);
}

static sslcv_status posterize_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t *shape = picture->now.shape;
    const sslcv_status status = sslcv__picture_own(picture);

    if (status != SSLCV_OK) return status;
    sslcv__keep_bits(picture->now.data, shape[0] * shape[1] * shape[2], sslcv__draw_whole(t, rng));
    return SSLCV_OK;
}

const sslcv__transform_class sslcv__posterize = {.name = "posterize",
                                                 .reads = SSLCV__READS_PROBABILITY | SSLCV__READS_RANGE,
                                                 .defaults = posterize_defaults,
                                                 .check = posterize_check,
                                                 .apply = posterize_apply};

/* ---- autocontrast ---- */

SSLCV__CLONES static void find_extremes(const float *values, int64_t count, float extremes[2])
{
    float low = values[0], high = values[0];
    int64_t i;

#pragma omp simd reduction(min : low) reduction(max : high)
    for (i = 1; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    extremes[0] = low;
    extremes[1] = high;
}

SSLCV__CLONES static void shift_and_scale(float *values, int64_t count, float low, float scale)
{
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) {
        const float v = (values[i] - low) * scale;

        values[i] = v < 0.0f ? 0.0f : v > 1.0f ? 1.0f : v;
    }
}

void sslcv__stretch(float *values, int64_t count)
{
    float extremes[2];

    find_extremes(values, count, extremes);
    if (extremes[0] < extremes[1]) shift_and_scale(values, count, extremes[0], 1.0f / (extremes[1] - extremes[0]));
}

static sslcv_status autocontrast_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t *shape = picture->now.shape, pixels = shape[1] * shape[2];
    const sslcv_status status = sslcv__picture_own(picture);
    int64_t c;

    (void)t;
    (void)rng;
    if (status != SSLCV_OK) return status;
    for (c = 0; c < shape[0]; c++) sslcv__stretch((float *)picture->now.data + c * pixels, pixels);
    return SSLCV_OK;
}

const sslcv__transform_class sslcv__autocontrast = {
    .name = "autocontrast", .reads = SSLCV__READS_PROBABILITY, .apply = autocontrast_apply};
