/**
 * Shears, shifts and turns, as Pillow's affine transform has them: the pixel at (x, y) is what lies at
 *
 *     (m0 (x + .5) + m1 (y + .5) + m2, m3 (x + .5) + m4 (y + .5) + m5)
 *
 * of the image, whose pixel (x, y) covers x .. x + 1, y .. y + 1. Outside of the image lie zeros.
 */
#include "augment/transform.h"

#include <math.h>
#include <string.h>

enum { PLACES = 4 };

/** Where a value comes from: pixels of a plane, and their weights; no places at all is outside. */
typedef struct source {
    int64_t at[PLACES];
    float weights[PLACES];
} source;

static int64_t inside(int64_t i, int64_t count)
{
    return i < 0 ? 0 : i < count ? i : count - 1;
}

/** Between the centres of four pixels; beyond those of the edge, the edge. */
static void find_between(double u, double v, int64_t height, int64_t width, source *s)
{
    const double left = floor(u - 0.5), top = floor(v - 0.5);
    const float x = (float)(u - 0.5 - left), y = (float)(v - 0.5 - top);
    const int64_t x0 = inside((int64_t)left, width), x1 = inside((int64_t)left + 1, width);
    const int64_t y0 = inside((int64_t)top, height) * width, y1 = inside((int64_t)top + 1, height) * width;

    *s = (source){{y0 + x0, y0 + x1, y1 + x0, y1 + x1},
                  {(1.0f - x) * (1.0f - y), x * (1.0f - y), (1.0f - x) * y, x * y}};
}

void sslcv__affine(const float *planes, int64_t channels, int64_t height, int64_t width, const double m[6],
                   int32_t interpolation, float *dst)
{
    const int64_t pixels = height * width;
    int64_t x, y, c, i;
    source s;

    for (i = 0, y = 0; y < height; y++) {
        for (x = 0; x < width; x++, i++) {
            const double u = m[0] * ((double)x + 0.5) + m[1] * ((double)y + 0.5) + m[2];
            const double v = m[3] * ((double)x + 0.5) + m[4] * ((double)y + 0.5) + m[5];

            if (u < 0.0 || v < 0.0 || u >= (double)width || v >= (double)height) {
                for (c = 0; c < channels; c++) dst[c * pixels + i] = 0.0f;
            } else if (interpolation == SSLCV_INTERPOLATION_NEAREST) {
                for (c = 0; c < channels; c++)
                    dst[c * pixels + i] = planes[c * pixels + (int64_t)v * width + (int64_t)u];
            } else {
                find_between(u, v, height, width, &s);
                for (c = 0; c < channels; c++) {
                    const float *plane = planes + c * pixels;

                    dst[c * pixels + i] = s.weights[0] * plane[s.at[0]] + s.weights[1] * plane[s.at[1]] +
                                          s.weights[2] * plane[s.at[2]] + s.weights[3] * plane[s.at[3]];
                }
            }
        }
    }
}

/* ---- transforms ---- */

static sslcv_status apply_matrix(const sslcv_transform *t, const double m[6], sslcv__picture *picture)
{
    const int64_t channels = picture->now.shape[0], height = picture->now.shape[1], width = picture->now.shape[2];
    float *const out = picture->out;
    sslcv_status status;
    float *dst;

    picture->out = NULL; /* what it is made from must lie elsewhere */
    SSLCV__TRY(sslcv__picture_own(picture));
    picture->out = out;
    SSLCV__TRY(sslcv__picture_next(picture, channels, height, width, &dst));
    sslcv__affine(picture->now.data, channels, height, width, m, t->interpolation, dst);
    sslcv__picture_take(picture, channels, height, width, dst);
end:
    return status;
}

static sslcv_status check_range(const char *name, const sslcv_transform *t, double largest)
{
    sslcv_status status;

    if (t->interpolation == SSLCV_INTERPOLATION_BICUBIC) {
        return sslcv__invalid("%s.interpolation is BICUBIC; must be BILINEAR or NEAREST", name);
    }
    SSLCV__TRY(sslcv__transform_check_real(name, "max", t->max, -largest, largest));
    SSLCV__TRY(sslcv__transform_check_real(name, "min", t->min, -largest, t->max));
end:
    return status;
}

/* min .. max about 0 */
static void set_range(sslcv_transform *t, double most)
{
    t->min = -most;
    t->max = most;
}

static void shear_defaults(sslcv_transform *t)
{
    set_range(t, 0.3);
}

static sslcv_status shear_x_check(const sslcv_transform *t)
{
    return check_range(sslcv__shear_x.name, t, 1e3);
}

static sslcv_status shear_x_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const double m[6] = {1.0, sslcv__rng_range(rng, t->min, t->max), 0.0, 0.0, 1.0, 0.0};

    return apply_matrix(t, m, picture);
}

static sslcv_status shear_y_check(const sslcv_transform *t)
{
    return check_range(sslcv__shear_y.name, t, 1e3);
}

static sslcv_status shear_y_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const double m[6] = {1.0, 0.0, 0.0, sslcv__rng_range(rng, t->min, t->max), 1.0, 0.0};

    return apply_matrix(t, m, picture);
}

static void translate_defaults(sslcv_transform *t)
{
    set_range(t, 150.0 / 331.0);
}

static sslcv_status translate_x_check(const sslcv_transform *t)
{
    return check_range(sslcv__translate_x.name, t, 1.0);
}

static sslcv_status translate_x_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const double pixels = trunc(sslcv__rng_range(rng, t->min, t->max) * (double)picture->now.shape[2]);
    const double m[6] = {1.0, 0.0, pixels, 0.0, 1.0, 0.0};

    return apply_matrix(t, m, picture);
}

static sslcv_status translate_y_check(const sslcv_transform *t)
{
    return check_range(sslcv__translate_y.name, t, 1.0);
}

static sslcv_status translate_y_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const double pixels = trunc(sslcv__rng_range(rng, t->min, t->max) * (double)picture->now.shape[1]);
    const double m[6] = {1.0, 0.0, 0.0, 0.0, 1.0, pixels};

    return apply_matrix(t, m, picture);
}

static void rotate_defaults(sslcv_transform *t)
{
    set_range(t, 30.0);
}

static sslcv_status rotate_check(const sslcv_transform *t)
{
    return check_range(sslcv__rotate.name, t, 360.0);
}

void sslcv__rotation(double degrees, int64_t height, int64_t width, double m[6])
{
    const double radians = degrees * (3.14159265358979323846 / 180.0), c = cos(radians), s = sin(radians);
    const double x = 0.5 * (double)width, y = 0.5 * (double)height;

    m[0] = c;
    m[1] = -s;
    m[2] = x - c * x + s * y;
    m[3] = s;
    m[4] = c;
    m[5] = y - s * x - c * y;
}

static sslcv_status rotate_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    double m[6];

    sslcv__rotation(sslcv__rng_range(rng, t->min, t->max), picture->now.shape[1], picture->now.shape[2], m);
    return apply_matrix(t, m, picture);
}

enum { READS = SSLCV__READS_PROBABILITY | SSLCV__READS_RANGE | SSLCV__READS_INTERPOLATION };

const sslcv__transform_class sslcv__shear_x = {
    .name = "shear_x", .reads = READS, .defaults = shear_defaults, .check = shear_x_check, .apply = shear_x_apply};
const sslcv__transform_class sslcv__shear_y = {
    .name = "shear_y", .reads = READS, .defaults = shear_defaults, .check = shear_y_check, .apply = shear_y_apply};
const sslcv__transform_class sslcv__translate_x = {.name = "translate_x",
                                                   .reads = READS,
                                                   .defaults = translate_defaults,
                                                   .check = translate_x_check,
                                                   .apply = translate_x_apply};
const sslcv__transform_class sslcv__translate_y = {.name = "translate_y",
                                                   .reads = READS,
                                                   .defaults = translate_defaults,
                                                   .check = translate_y_check,
                                                   .apply = translate_y_apply};
const sslcv__transform_class sslcv__rotate = {
    .name = "rotate", .reads = READS, .defaults = rotate_defaults, .check = rotate_check, .apply = rotate_apply};
