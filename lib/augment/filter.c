/** Filters of 3 x 3: sharpness (torchvision's on float tensors) and Sobel gradients (DeepCluster's front end). */
#include "augment/transform.h"

#include "core/simd.h"

#include <string.h>

static inline float clip(float v)
{
    return v < 0.0f ? 0.0f : v > 1.0f ? 1.0f : v;
}

/* ---- sharpness ---- */

/** A row between two others, without its ends. The smooth one is 1 1 1, 1 5 1, 1 1 1 by 13. */
SSLCV__CLONES static void sharpen_row(const float *above, const float *row, const float *below, int64_t width,
                                      float factor, float *restrict dst)
{
    const float other = 1.0f - factor;
    int64_t x;

#pragma omp simd
    for (x = 1; x < width - 1; x++) {
        const float ends = (above[x - 1] + above[x] + above[x + 1]) + (below[x - 1] + below[x] + below[x + 1]);
        const float smooth = (ends + (row[x - 1] + row[x + 1]) + 5.0f * row[x]) / 13.0f;

        dst[x] = clip(factor * row[x] + other * smooth);
    }
}

/** Pixels that have no neighbours on all sides are smooth as they are. */
static void copy_clipped(const float *src, int64_t count, float *dst)
{
    int64_t i;

    for (i = 0; i < count; i++) dst[i] = clip(src[i]);
}

void sslcv__sharpen(const float *planes, int64_t channels, int64_t height, int64_t width, float factor, float *dst)
{
    int64_t c, y;

    for (c = 0; c < channels; c++, planes += height * width, dst += height * width) {
        for (y = 0; y < height; y++) {
            const float *row = planes + y * width;
            float *to = dst + y * width;

            if (y == 0 || y == height - 1 || width < 3) {
                copy_clipped(row, width, to);
                continue;
            }
            to[0] = clip(row[0]);
            sharpen_row(row - width, row, row + width, width, factor, to);
            to[width - 1] = clip(row[width - 1]);
        }
    }
}

static void sharpness_defaults(sslcv_transform *t)
{
    t->min = 0.1;
    t->max = 1.9;
}

static sslcv_status sharpness_check(const sslcv_transform *t)
{
    const sslcv_status status = sslcv__transform_check_real(sslcv__sharpness.name, "max", t->max, 0.0, 1e6);

    if (status != SSLCV_OK) return status;
    return sslcv__transform_check_real(sslcv__sharpness.name, "min", t->min, 0.0, t->max);
}

static sslcv_status sharpness_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t channels = picture->now.shape[0], height = picture->now.shape[1], width = picture->now.shape[2];
    const float factor = (float)sslcv__rng_range(rng, t->min, t->max);
    float *const out = picture->out;
    sslcv_status status;
    float *dst;

    picture->out = NULL; /* what it is made from must lie elsewhere */
    SSLCV__TRY(sslcv__picture_own(picture));
    picture->out = out;
    SSLCV__TRY(sslcv__picture_next(picture, channels, height, width, &dst));
    sslcv__sharpen(picture->now.data, channels, height, width, factor, dst);
    sslcv__picture_take(picture, channels, height, width, dst);
end:
    return status;
}

const sslcv__transform_class sslcv__sharpness = {.name = "sharpness",
                                                 .reads = SSLCV__READS_PROBABILITY | SSLCV__READS_RANGE,
                                                 .defaults = sharpness_defaults,
                                                 .check = sharpness_check,
                                                 .apply = sharpness_apply};

/* ---- Sobel ---- */

/** plane: 0 around it, rows of width + 2. */
SSLCV__CLONES static void sobel_row(const float *above, const float *row, const float *below, int64_t width,
                                    float *restrict across, float *restrict down)
{
    int64_t x;

#pragma omp simd
    for (x = 0; x < width; x++) {
        const float a = above[x], b = above[x + 1], c = above[x + 2];
        const float d = below[x], e = below[x + 1], f = below[x + 2];

        across[x] = (a - c) + 2.0f * (row[x] - row[x + 2]) + (d - f);
        down[x] = (a - d) + 2.0f * (b - e) + (c - f);
    }
}

void sslcv__sobel_filter(const float *plane, int64_t height, int64_t width, float *dst)
{
    const int64_t pitch = width + 2;
    int64_t y;

    for (y = 0; y < height; y++, plane += pitch, dst += width) {
        sobel_row(plane, plane + pitch, plane + 2 * pitch, width, dst, dst + height * width);
    }
}

SSLCV__CLONES static void add_row(const float *restrict row, int64_t width, float weight, float *restrict sum)
{
    int64_t x;

#pragma omp simd
    for (x = 0; x < width; x++) sum[x] += weight * row[x];
}

/** The mean of all channels, with a frame of 0. */
static void frame_mean(const float *planes, int64_t channels, int64_t height, int64_t width, float *plane)
{
    const int64_t pitch = width + 2;
    int64_t c, y;

    memset(plane, 0, (size_t)((height + 2) * pitch) * sizeof *plane);
    for (y = 0; y < height; y++) {
        float *sum = plane + (y + 1) * pitch + 1;

        for (c = 0; c < channels; c++) add_row(planes + (c * height + y) * width, width, 1.0f / (float)channels, sum);
    }
}

static sslcv_status sobel_shape(const sslcv_transform *t, int64_t shape[3])
{
    (void)t;
    shape[0] = 2;
    return SSLCV_OK;
}

static sslcv_status sobel_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t channels = picture->now.shape[0], height = picture->now.shape[1], width = picture->now.shape[2];
    const int64_t bytes = (height + 2) * (width + 2) * (int64_t)sizeof(float);
    float *plane, *dst;
    sslcv_status status;

    (void)t;
    (void)rng;
    SSLCV__TRY(sslcv__scratch_room(picture->scratch, SSLCV__SLOT_WORK, bytes, &plane));
    SSLCV__TRY(sslcv__picture_own(picture));
    SSLCV__TRY(sslcv__picture_next(picture, 2, height, width, &dst));
    frame_mean(picture->now.data, channels, height, width, plane);
    sslcv__sobel_filter(plane, height, width, dst);
    sslcv__picture_take(picture, 2, height, width, dst);
end:
    return status;
}

const sslcv__transform_class sslcv__sobel = {.name = "sobel", .shape = sobel_shape, .apply = sobel_apply};
