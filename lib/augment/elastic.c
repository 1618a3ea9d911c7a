/**
 * Elastic deformation: control points of a lattice move at random, and the image follows smoothly (De Fauw et al. 2018,
 * deepmind/multidim-image-augmentation).
 */
#include "augment/transform.h"

#include <math.h>
#include <string.h>

/** Weights of the four control points around a place, of which the second is the last one before it. */
static void spline_weights(double f, double weights[4])
{
    weights[0] = (1.0 - f) * (1.0 - f) * (1.0 - f) / 6.0;
    weights[1] = (3.0 * f * f * f - 6.0 * f * f + 4.0) / 6.0;
    weights[2] = (-3.0 * f * f * f + 3.0 * f * f + 3.0 * f + 1.0) / 6.0;
    weights[3] = f * f * f / 6.0;
}

double sslcv__spline(const double *points, int64_t stride, double f)
{
    double weights[4];

    spline_weights(f, weights);
    return weights[0] * points[0] + weights[1] * points[stride] + weights[2] * points[2 * stride] +
           weights[3] * points[3 * stride];
}

/** One of 0 .. count - 1: mirrored about the first and the last. */
static int64_t mirrored(int64_t i, int64_t count)
{
    const int64_t period = 2 * count - 2;

    if (period == 0) return 0;
    i = i < 0 ? -i % period : i % period;
    return i < count ? i : period - i;
}

/** The place of pixel i among the control points: segment 0 .. CELLS - 1, and how far in it. */
static int64_t find_segment(int64_t i, int64_t count, double *f)
{
    const double t = ((double)i + 0.5) * SSLCV__ELASTIC_CELLS / (double)count;
    const int64_t segment = (int64_t)t;

    *f = t - (double)segment;
    return segment;
}

/** The lattice as a row of pixels sees it: a control point for each column of it. */
static void blend_rows(const double *points, int64_t row, double f, double blended[SSLCV__ELASTIC_POINTS])
{
    int64_t column;

    for (column = 0; column < SSLCV__ELASTIC_POINTS; column++) {
        blended[column] = sslcv__spline(points + row * SSLCV__ELASTIC_POINTS + column, SSLCV__ELASTIC_POINTS, f);
    }
}

static double weigh(const double *points, const double weights[4])
{
    return weights[0] * points[0] + weights[1] * points[1] + weights[2] * points[2] + weights[3] * points[3];
}

static float value_between(const float *plane, int64_t height, int64_t width, double y, double x)
{
    const double top = floor(y), left = floor(x);
    const float fy = (float)(y - top), fx = (float)(x - left);
    const float *above = plane + mirrored((int64_t)top, height) * width;
    const float *below = plane + mirrored((int64_t)top + 1, height) * width;
    const int64_t x0 = mirrored((int64_t)left, width), x1 = mirrored((int64_t)left + 1, width);

    return (1.0f - fy) * ((1.0f - fx) * above[x0] + fx * above[x1]) + fy * ((1.0f - fx) * below[x0] + fx * below[x1]);
}

void sslcv__deform(const float *planes, int64_t channels, int64_t height, int64_t width, const double *down,
                   const double *across, float *dst)
{
    const int64_t pixels = height * width;
    double rows[2][SSLCV__ELASTIC_POINTS], weights[4], f;
    int64_t x, y, c, segment;

    for (y = 0; y < height; y++) {
        segment = find_segment(y, height, &f);
        blend_rows(down, segment, f, rows[0]);
        blend_rows(across, segment, f, rows[1]);
        for (x = 0; x < width; x++) {
            double u, v;

            segment = find_segment(x, width, &f);
            spline_weights(f, weights);
            v = (double)y + weigh(rows[0] + segment, weights);
            u = (double)x + weigh(rows[1] + segment, weights);
            for (c = 0; c < channels; c++) {
                dst[c * pixels + y * width + x] = value_between(planes + c * pixels, height, width, v, u);
            }
        }
    }
}

/* ---- transform ---- */

static void elastic_defaults(sslcv_transform *t)
{
    t->min = t->max = 0.15;
}

static sslcv_status elastic_check(const sslcv_transform *t)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__transform_check_real(sslcv__elastic.name, "max", t->max, 0.0, 10.0));
    SSLCV__TRY(sslcv__transform_check_real(sslcv__elastic.name, "min", t->min, 0.0, t->max));
end:
    return status;
}

static void draw_shifts(sslcv__rng *rng, double deviation, double *points)
{
    int64_t i;

    for (i = 0; i < SSLCV__ELASTIC_POINTS * SSLCV__ELASTIC_POINTS; i++) points[i] = deviation * sslcv__rng_normal(rng);
}

static sslcv_status elastic_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t channels = picture->now.shape[0], height = picture->now.shape[1], width = picture->now.shape[2];
    const double share = sslcv__rng_range(rng, t->min, t->max) / SSLCV__ELASTIC_CELLS;
    double down[SSLCV__ELASTIC_POINTS * SSLCV__ELASTIC_POINTS], across[SSLCV__ELASTIC_POINTS * SSLCV__ELASTIC_POINTS];
    float *const out = picture->out;
    sslcv_status status;
    float *dst;

    draw_shifts(rng, share * (double)height, down);
    draw_shifts(rng, share * (double)width, across);
    picture->out = NULL; /* what it is made from must lie elsewhere */
    SSLCV__TRY(sslcv__picture_own(picture));
    picture->out = out;
    SSLCV__TRY(sslcv__picture_next(picture, channels, height, width, &dst));
    sslcv__deform(picture->now.data, channels, height, width, down, across, dst);
    sslcv__picture_take(picture, channels, height, width, dst);
end:
    return status;
}

const sslcv__transform_class sslcv__elastic = {.name = "elastic",
                                               .reads = SSLCV__READS_PROBABILITY | SSLCV__READS_RANGE,
                                               .defaults = elastic_defaults,
                                               .check = elastic_check,
                                               .apply = elastic_apply};
