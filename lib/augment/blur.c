/**
 * Gaussian blur: the exact separable filter (SimCLR's and torchvision's), not the box blurs of Pillow. Taps are
 * exp(-k^2 / (2 sigma^2)), cut off at 3 sigma and normalised. Beyond its edges the picture is mirrored about the edge
 * pixels, d c b | a b c d | c b a, again and again where it is smaller than the kernel.
 */
#include "augment/transform.h"

#include <math.h>
#include <string.h>

enum { MAX_SIGMA = 1000 };

static int64_t mirror(int64_t i, int64_t n)
{
    const int64_t period = 2 * (n - 1);

    if (n == 1) return 0;
    i = i < 0 ? -i : i;
    i %= period;
    return i < n ? i : period - i;
}

/** taps: (radius + 1), of distance 0, 1, 2 ... */
static void make_taps(double sigma, int64_t radius, float *taps)
{
    double sum = 1.0;
    int64_t k;

    for (k = 1; k <= radius; k++) sum += 2.0 * exp(-0.5 * (double)(k * k) / (sigma * sigma));
    for (k = 0; k <= radius; k++) taps[k] = (float)(exp(-0.5 * (double)(k * k) / (sigma * sigma)) / sum);
}

/** dst = tap 0 of src, or += tap k of the two rows at distance k. */
static void begin_row(const float *src, float tap, int64_t width, float *restrict dst)
{
    int64_t x;

#pragma omp simd
    for (x = 0; x < width; x++) dst[x] = tap * src[x];
}

static void add_rows(const float *a, const float *b, float tap, int64_t width, float *restrict dst)
{
    int64_t x;

#pragma omp simd
    for (x = 0; x < width; x++) dst[x] += tap * (a[x] + b[x]);
}

static void blur_rows(const float *plane, int64_t height, int64_t width, const float *taps, int64_t radius, float *line,
                      float *dst)
{
    int64_t y, k;

    for (y = 0; y < height; y++, plane += width, dst += width) {
        memcpy(line + radius, plane, (size_t)width * sizeof *line);
        for (k = 1; k <= radius; k++) {
            line[radius - k] = plane[mirror(-k, width)];
            line[radius + width - 1 + k] = plane[mirror(width - 1 + k, width)];
        }
        begin_row(line + radius, taps[0], width, dst);
        for (k = 1; k <= radius; k++) add_rows(line + radius - k, line + radius + k, taps[k], width, dst);
    }
}

static void blur_columns(const float *plane, int64_t height, int64_t width, const float *taps, int64_t radius,
                         float *dst)
{
    int64_t y, k;

    for (y = 0; y < height; y++, dst += width) {
        begin_row(plane + y * width, taps[0], width, dst);
        for (k = 1; k <= radius; k++) {
            add_rows(plane + mirror(y - k, height) * width, plane + mirror(y + k, height) * width, taps[k], width, dst);
        }
    }
}

int64_t sslcv__blur_floats(int64_t height, int64_t width, int64_t radius)
{
    return radius + 1 + width + 2 * radius + height * width; /* taps, line, plane */
}

void sslcv__blur(float *planes, int64_t channels, int64_t height, int64_t width, double sigma, int64_t radius,
                 float *work)
{
    float *taps = work, *line = taps + radius + 1, *half = line + width + 2 * radius;
    int64_t c;

    make_taps(sigma, radius, taps);
    for (c = 0; c < channels; c++, planes += height * width) {
        blur_rows(planes, height, width, taps, radius, line, half);
        blur_columns(half, height, width, taps, radius, planes);
    }
}

static void blur_defaults(sslcv_transform *t)
{
    t->probability = 0.5;
    t->min = 0.1;
    t->max = 2.0;
}

static sslcv_status blur_check(const sslcv_transform *t)
{
    const sslcv_status status = sslcv__transform_check_real(sslcv__gaussian_blur.name, "max", t->max, 0.0, MAX_SIGMA);

    if (status != SSLCV_OK) return status;
    return sslcv__transform_check_real(sslcv__gaussian_blur.name, "min", t->min, 0.0, t->max);
}

static sslcv_status blur_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t *shape = picture->now.shape;
    const double sigma = sslcv__rng_range(rng, t->min, t->max);
    const int64_t radius = (int64_t)ceil(3.0 * sigma);
    sslcv_status status;
    float *work;

    if (radius == 0) return SSLCV_OK;
    SSLCV__TRY(sslcv__picture_own(picture));
    SSLCV__TRY(sslcv__scratch_room(picture->scratch, SSLCV__SLOT_WORK,
                                   sslcv__blur_floats(shape[1], shape[2], radius) * (int64_t)sizeof *work, &work));
    sslcv__blur(picture->now.data, shape[0], shape[1], shape[2], sigma, radius, work);
end:
    return status;
}

const sslcv__transform_class sslcv__gaussian_blur = {.name = "gaussian_blur",
                                                     .reads = SSLCV__READS_PROBABILITY | SSLCV__READS_RANGE,
                                                     .defaults = blur_defaults,
                                                     .check = blur_check,
                                                     .apply = blur_apply};
