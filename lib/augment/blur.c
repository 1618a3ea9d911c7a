/**
 * Gaussian blur: the exact separable filter (SimCLR's and torchvision's), not the box blurs of Pillow. Taps are
 * exp(-k^2 / (2 sigma^2)), cut off at 3 sigma and normalised. Beyond its edges the picture is mirrored about the edge
 * pixels, d c b | a b c d | c b a, again and again where it is smaller than the kernel.
 */
#include "augment/transform.h"

#include "core/simd.h"

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

/** Pairs of rows that are added in one go: what limits is how often dst goes through the cache. */
enum { PAIRS = 3 };

/** dst = tap center + the sum of taps[k] (before[k] + after[k]). center may be dst, others not. */
SSLCV__CLONES static void add_pairs(const float *center, float tap, const float *const *before,
                                    const float *const *after, const float *taps, int64_t width, float *dst)
{
    const float *a0 = before[0], *a1 = before[1], *a2 = before[2], *b0 = after[0], *b1 = after[1], *b2 = after[2];
    const float t0 = taps[0], t1 = taps[1], t2 = taps[2];
    int64_t x;

#pragma omp simd
    for (x = 0; x < width; x++) {
        dst[x] = tap * center[x] + t0 * (a0[x] + b0[x]) + t1 * (a1[x] + b1[x]) + t2 * (a2[x] + b2[x]);
    }
}

/** rows: the center, then the two at distance k = 1 .. radius each. taps: (radius + 1). */
static void blur_line(const float *const *rows, const float *taps, int64_t radius, int64_t width, float *dst)
{
    const float *center = rows[0], *before[PAIRS], *after[PAIRS];
    float tap = taps[0], some[PAIRS];
    int64_t k, i;

    for (k = 1; k <= radius; k += PAIRS) {
        for (i = 0; i < PAIRS; i++) {
            const int64_t at = k + i <= radius ? k + i : radius; /* too many: again, with weight 0 */

            before[i] = rows[2 * at - 1];
            after[i] = rows[2 * at];
            some[i] = k + i <= radius ? taps[at] : 0.0f;
        }
        add_pairs(center, tap, before, after, some, width, dst);
        center = dst;
        tap = 1.0f;
    }
}

/** A row of the picture, blurred along itself. */
static void blur_row(const float *src, int64_t width, const float *taps, int64_t radius, const float **rows,
                     float *line, float *dst)
{
    int64_t k;

    memcpy(line + radius, src, (size_t)width * sizeof *line);
    rows[0] = line + radius;
    for (k = 1; k <= radius; k++) {
        line[radius - k] = src[mirror(-k, width)];
        line[radius + width - 1 + k] = src[mirror(width - 1 + k, width)];
        rows[2 * k - 1] = line + radius - k;
        rows[2 * k] = line + radius + k;
    }
    blur_line(rows, taps, radius, width, dst);
}

/**
 * Rows are blurred along themselves into a ring of as many as a column needs, which stays in the first-level cache; a
 * new row of the result takes the place of one that has been read.
 */
static void blur_plane(float *plane, int64_t height, int64_t width, const float *taps, int64_t radius,
                       const float **rows, float *line, float *ring)
{
    const int64_t length = 2 * radius + 1 < height ? 2 * radius + 1 : height;
    int64_t y, next = 0, k;

    for (y = 0; y < height; y++) {
        for (; next < height && next <= y + radius; next++) {
            blur_row(plane + next * width, width, taps, radius, rows, line, ring + next % length * width);
        }
        rows[0] = ring + y % length * width;
        for (k = 1; k <= radius; k++) {
            rows[2 * k - 1] = ring + mirror(y - k, height) % length * width;
            rows[2 * k] = ring + mirror(y + k, height) % length * width;
        }
        blur_line(rows, taps, radius, width, plane + y * width);
    }
}

int64_t sslcv__blur_bytes(int64_t height, int64_t width, int64_t radius)
{
    const int64_t length = 2 * radius + 1 < height ? 2 * radius + 1 : height;
    const int64_t floats = radius + 1 + width + 2 * radius + length * width; /* taps, line, ring */

    return (2 * radius + 1) * (int64_t)sizeof(float *) + floats * (int64_t)sizeof(float);
}

void sslcv__blur(float *planes, int64_t channels, int64_t height, int64_t width, double sigma, int64_t radius,
                 void *work)
{
    const float **rows = work;
    float *taps = (float *)(void *)(rows + 2 * radius + 1), *line = taps + radius + 1,
          *ring = line + width + 2 * radius;
    int64_t c;

    make_taps(sigma, radius, taps);
    for (c = 0; c < channels; c++) {
        blur_plane(planes + c * height * width, height, width, taps, radius, rows, line, ring);
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
    void *work;

    if (radius == 0) return SSLCV_OK;
    SSLCV__TRY(
        sslcv__scratch_room(picture->scratch, SSLCV__SLOT_WORK, sslcv__blur_bytes(shape[1], shape[2], radius), &work));
    SSLCV__TRY(sslcv__picture_own(picture));
    sslcv__blur(picture->now.data, shape[0], shape[1], shape[2], sigma, radius, work);
end:
    return status;
}

const sslcv__transform_class sslcv__gaussian_blur = {.name = "gaussian_blur",
                                                     .reads = SSLCV__READS_PROBABILITY | SSLCV__READS_RANGE,
                                                     .defaults = blur_defaults,
                                                     .check = blur_check,
                                                     .apply = blur_apply};
