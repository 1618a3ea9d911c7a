/** Turns by quarters. */
#include "augment/transform.h"

/* ---- one plane ---- */

enum { TILE = 16 }; /* pixels: what a tile reads and writes stays in the first-level cache */

/** dst (width, height): its first row is the last column of plane, downwards; or the first column, upwards. */
static void transpose(const float *plane, int64_t height, int64_t width, int counter_clockwise, float *dst)
{
    int64_t top, left, y, x;

    for (top = 0; top < height; top += TILE) {
        const int64_t bottom = top + TILE < height ? top + TILE : height;

        for (left = 0; left < width; left += TILE) {
            const int64_t right = left + TILE < width ? left + TILE : width;

            for (x = left; x < right; x++) {
                float *row = dst + (counter_clockwise ? width - 1 - x : x) * height;

                for (y = top; y < bottom; y++) {
                    row[counter_clockwise ? y : height - 1 - y] = plane[y * width + x];
                }
            }
        }
    }
}

void sslcv__turn_plane(const float *plane, int64_t height, int64_t width, int64_t turns, float *dst)
{
    const int64_t pixels = height * width;
    int64_t i;

    switch (turns) {
    case 1: transpose(plane, height, width, 1, dst); break;
    case 3: transpose(plane, height, width, 0, dst); break;
    default:
        for (i = 0; i < pixels; i++) dst[i] = plane[turns == 2 ? pixels - 1 - i : i];
        break;
    }
}

/* ---- transform ---- */

static void rotate_defaults(sslcv_transform *t)
{
    t->max = 3.0;
}

static sslcv_status rotate_check(const sslcv_transform *t)
{
    return sslcv__transform_check_whole(sslcv__rotate90.name, t, 0, 3);
}

static sslcv_status rotate_shape(const sslcv_transform *t, int64_t shape[3])
{
    const int64_t height = shape[1];
    const int is_fixed = t->min == t->max, is_even = t->min == 0.0 || t->min == 2.0;

    if (is_fixed && is_even) return SSLCV_OK;
    if (is_fixed && t->probability == 1.0 && !t->with_previous) {
        shape[1] = shape[2];
        shape[2] = height;
        return SSLCV_OK;
    }
    if (shape[1] == 0 || shape[2] == 0 || shape[1] == shape[2]) return SSLCV_OK;
    return sslcv__invalid("rotate90 gets an image of %lld x %lld; it must be square, as not all turns swap the sides",
                          (long long)shape[1], (long long)shape[2]);
}

static sslcv_status rotate_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t channels = picture->now.shape[0], height = picture->now.shape[1], width = picture->now.shape[2];
    const int64_t turns = sslcv__draw_whole(t, rng);
    const int64_t rows = turns % 2 ? width : height, columns = turns % 2 ? height : width;
    float *const out = picture->out;
    const float *src;
    sslcv_status status;
    float *dst;
    int64_t c;

    if (turns == 0) return SSLCV_OK;
    picture->out = NULL; /* what is turned must lie elsewhere */
    SSLCV__TRY(sslcv__picture_own(picture));
    picture->out = out;
    SSLCV__TRY(sslcv__picture_next(picture, channels, rows, columns, &dst));
    src = picture->now.data;
    for (c = 0; c < channels; c++) {
        sslcv__turn_plane(src + c * height * width, height, width, turns, dst + c * height * width);
    }
    sslcv__picture_take(picture, channels, rows, columns, dst);
end:
    return status;
}

const sslcv__transform_class sslcv__rotate90 = {.name = "rotate90",
                                                .reads = SSLCV__READS_PROBABILITY | SSLCV__READS_RANGE,
                                                .defaults = rotate_defaults,
                                                .check = rotate_check,
                                                .shape = rotate_shape,
                                                .apply = rotate_apply};
