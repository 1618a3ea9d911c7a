/**
 * Colour spaces, as scikit-image defines them: Lab by way of linear sRGB and XYZ, and YDbDr and YCbCr, which are linear
 * in R, G, B as they are stored.
 *
 * Roots are made without the library's powf(), which takes one value at a time: a guess from the exponent bits, then
 * two of Halley's steps, which cube the error each (from 6 % to less than rounding) and are written as what they add,
 * so that their own rounding hardly counts. x^2.4 is x^2 (x^(1/5))^2.
 */
#include "augment/transform.h"

#include "core/simd.h"

#include <string.h>

enum { BLOCK = 1024 }; /* pixels: three planes of them stay in the first-level cache from step to step */

/** x > 0 and normal, within 6 % of the n-th root: bits are about a logarithm. one: (1 - 1 / n) times the bits of 1. */
static inline float guess_root(float x, float by_n, int32_t one)
{
    int32_t bits;

    memcpy(&bits, &x, sizeof bits);
    bits = (int32_t)((float)bits * by_n) + one;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float cube_root(float x)
{
    float y = guess_root(x, 1.0f / 3.0f, 709921077), t;

    t = y * y * y;
    y += y * (x - t) / (2.0f * t + x);
    t = y * y * y;
    return y + y * (x - t) / (2.0f * t + x);
}

static inline float fifth_root(float x)
{
    float y = guess_root(x, 0.2f, 852000000), t;

    t = y * y * y * y * y;
    y += y * (x - t) / (3.0f * t + 2.0f * x);
    t = y * y * y * y * y;
    return y + y * (x - t) / (3.0f * t + 2.0f * x);
}

/** sRGB to light. */
SSLCV__CLONES static void linearize(float *values, int64_t count)
{
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) {
        const float c = values[i];
        const float u = (c > 0.04045f ? c + 0.055f : 1.0f) / 1.055f;
        const float root = fifth_root(u);

        values[i] = c > 0.04045f ? (u * u) * (root * root) : c / 12.92f;
    }
}

/** The function of Lab, in place. */
SSLCV__CLONES static void compress(float *values, int64_t count)
{
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) {
        const float t = values[i];
        const float root = cube_root(t > 0.008856f ? t : 1.0f);

        values[i] = t > 0.008856f ? root : 7.787f * t + 16.0f / 116.0f;
    }
}

typedef struct matrix {
    float rows[3][3], offsets[3];
} matrix;

SSLCV__CLONES static void mix_planes(const matrix *m, float *restrict r, float *restrict g, float *restrict b,
                                     int64_t count)
{
    const float m00 = m->rows[0][0], m01 = m->rows[0][1], m02 = m->rows[0][2], o0 = m->offsets[0];
    const float m10 = m->rows[1][0], m11 = m->rows[1][1], m12 = m->rows[1][2], o1 = m->offsets[1];
    const float m20 = m->rows[2][0], m21 = m->rows[2][1], m22 = m->rows[2][2], o2 = m->offsets[2];
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) {
        const float R = r[i], G = g[i], B = b[i];

        r[i] = m00 * R + m01 * G + m02 * B + o0;
        g[i] = m10 * R + m11 * G + m12 * B + o1;
        b[i] = m20 * R + m21 * G + m22 * B + o2;
    }
}

/** sRGB's light to X, Y, Z, each by that of white (D65, 2 degrees: .95047, 1, 1.08883). */
static const matrix light_to_xyz = {
    {{(float)(.412453 / .95047), (float)(.357580 / .95047), (float)(.180423 / .95047)},
     {.212671f, .715160f, .072169f},
     {(float)(.019334 / 1.08883), (float)(.119193 / 1.08883), (float)(.950227 / 1.08883)}},
    {0.0f, 0.0f, 0.0f}};
/** f(X), f(Y), f(Z) to L, a, b. */
static const matrix xyz_to_lab = {{{0.0f, 116.0f, 0.0f}, {500.0f, -500.0f, 0.0f}, {0.0f, 200.0f, -200.0f}},
                                  {-16.0f, 0.0f, 0.0f}};
static const matrix rgb_to_ydbdr = {{{.299f, .587f, .114f}, {-.450f, -.883f, 1.333f}, {-1.333f, 1.116f, .217f}},
                                    {0.0f, 0.0f, 0.0f}};
static const matrix rgb_to_ycbcr = {
    {{65.481f, 128.553f, 24.966f}, {-37.797f, -74.203f, 112.0f}, {112.0f, -93.786f, -18.214f}},
    {16.0f, 128.0f, 128.0f}};

static void to_lab(float *r, float *g, float *b, int64_t count)
{
    linearize(r, count);
    linearize(g, count);
    linearize(b, count);
    mix_planes(&light_to_xyz, r, g, b, count);
    compress(r, count);
    compress(g, count);
    compress(b, count);
    mix_planes(&xyz_to_lab, r, g, b, count);
}

void sslcv__convert_color(float *planes, int64_t pixels, int32_t color_space)
{
    float *r = planes, *g = planes + pixels, *b = planes + 2 * pixels;
    int64_t begin;

    for (begin = 0; begin < pixels; begin += BLOCK) {
        const int64_t count = begin + BLOCK < pixels ? BLOCK : pixels - begin;

        switch (color_space) {
        case SSLCV_COLOR_LAB: to_lab(r + begin, g + begin, b + begin, count); break;
        case SSLCV_COLOR_YDBDR: mix_planes(&rgb_to_ydbdr, r + begin, g + begin, b + begin, count); break;
        default: mix_planes(&rgb_to_ycbcr, r + begin, g + begin, b + begin, count); break;
        }
    }
}

static sslcv_status convert_check(const sslcv_transform *t)
{
    return sslcv__transform_check_int(sslcv__convert_color_space.name, "color_space", t->color_space, SSLCV_COLOR_LAB,
                                      SSLCV_COLOR_YCBCR);
}

static sslcv_status convert_shape(const sslcv_transform *t, int64_t shape[3])
{
    (void)t;
    if (shape[0] != 0 && shape[0] != 3) {
        return sslcv__invalid("convert_color gets an image of %lld channels; it must have 3", (long long)shape[0]);
    }
    shape[0] = 3;
    return SSLCV_OK;
}

static sslcv_status convert_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t *shape = picture->now.shape;
    const sslcv_status status = sslcv__picture_own(picture);

    (void)rng;
    if (status != SSLCV_OK) return status;
    sslcv__convert_color(picture->now.data, shape[1] * shape[2], t->color_space);
    return SSLCV_OK;
}

const sslcv__transform_class sslcv__convert_color_space = {.name = "convert_color",
                                                           .reads = SSLCV__READS_COLOR_SPACE,
                                                           .check = convert_check,
                                                           .shape = convert_shape,
                                                           .apply = convert_apply};
