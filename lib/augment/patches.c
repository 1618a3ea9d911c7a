/**
 * Pieces of an image: a grid of patches, and a window.
 *
 * Patches are what a chain is cut by: the transforms before them see the image, those after them one patch at a time
 * (run.c). Where they lie is drawn here, in the order of the result; what is cut is read where it lies.
 */
#include "augment/transform.h"

#include <string.h>

enum { MAX_GRID = 256 }; /* rows, and columns */

static sslcv_status check_size(const char *name, const sslcv_transform *t)
{
    const sslcv_status status = sslcv__transform_check_int(name, "height", t->height, 1, SSLCV__MAX_SIDE);

    if (status != SSLCV_OK) return status;
    return sslcv__transform_check_int(name, "width", t->width, 1, SSLCV__MAX_SIDE);
}

/* ---- patches ---- */

static sslcv_status patches_check(const sslcv_transform *t)
{
    const char *name = sslcv__patches.name;
    sslcv_status status;

    SSLCV__TRY(check_size(name, t));
    SSLCV__TRY(sslcv__transform_check_int(name, "rows", t->rows, 1, MAX_GRID));
    SSLCV__TRY(sslcv__transform_check_int(name, "columns", t->columns, 1, MAX_GRID));
    SSLCV__TRY(
        sslcv__transform_check_int(name, "placement", t->placement, SSLCV_PLACEMENT_OVERLAP, SSLCV_PLACEMENT_CELL));
    SSLCV__TRY(sslcv__transform_check_int(name, "shuffle", t->shuffle, 0, 1));
end:
    return status;
}

/** Patches along one axis: names for the message. */
typedef struct axis {
    const char *many, *one, *side; /* "rows", "row", "height" */
} axis;

static sslcv_status check_axis(const axis *a, int32_t placement, int64_t count, int64_t patch, int64_t size)
{
    const int64_t rest = size - patch;

    if (size == 0) return SSLCV_OK;
    if (placement == SSLCV_PLACEMENT_CELL) {
        if (size % count == 0 && patch <= size / count) return SSLCV_OK;
        return sslcv__invalid(
            "patches: %lld %s in an image of %s %lld make cells of %.6g pixels; it must be whole, and "
            "not smaller than a patch of %lld",
            (long long)count, a->many, a->side, (long long)size, (double)size / (double)count, (long long)patch);
    }
    if (count == 1) {
        if (rest == 0) return SSLCV_OK;
        return sslcv__invalid("patches: one %s of %s %lld in an image of %s %lld; must be equal", a->one, a->side,
                              (long long)patch, a->side, (long long)size);
    }
    if (rest > 0 && rest % (count - 1) == 0) return SSLCV_OK;
    return sslcv__invalid("patches: %lld %s of %s %lld in an image of %s %lld lie %lld / %lld pixels apart; it must be "
                          "whole and above 0",
                          (long long)count, a->many, a->side, (long long)patch, a->side, (long long)size,
                          (long long)rest, (long long)(count - 1));
}

static sslcv_status patches_shape(const sslcv_transform *t, int64_t shape[3])
{
    static const axis down = {"rows", "row", "height"}, across = {"columns", "column", "width"};
    sslcv_status status;

    SSLCV__TRY(check_axis(&down, t->placement, t->rows, t->height, shape[1]));
    SSLCV__TRY(check_axis(&across, t->placement, t->columns, t->width, shape[2]));
    shape[1] = t->height;
    shape[2] = t->width;
end:
    return status;
}

/** Begin of a patch along one axis. */
static int64_t place(const sslcv_transform *t, sslcv__rng *rng, int64_t index, int64_t count, int64_t patch,
                     int64_t size)
{
    if (t->placement == SSLCV_PLACEMENT_CELL) {
        return index * (size / count) + sslcv__rng_below(rng, size / count - patch + 1);
    }
    return count == 1 ? 0 : index * ((size - patch) / (count - 1));
}

void sslcv__draw_patches(const sslcv_transform *t, sslcv__rng *rng, int64_t height, int64_t width,
                         sslcv__corner *corners, int64_t *order)
{
    const int64_t count = t->rows * t->columns;
    int64_t i;

    if (t->shuffle) {
        sslcv__rng_permutation(rng, order, count);
    } else {
        for (i = 0; i < count; i++) order[i] = i;
    }
    for (i = 0; i < count; i++) {
        corners[i].top = place(t, rng, order[i] / t->columns, t->rows, t->height, height);
        corners[i].left = place(t, rng, order[i] % t->columns, t->columns, t->width, width);
    }
}

const sslcv__transform_class sslcv__patches = {
    .name = "patches", .reads = SSLCV__READS_SIZE | SSLCV__READS_GRID, .check = patches_check, .shape = patches_shape};

/* ---- window ---- */

static sslcv_status window_check(const sslcv_transform *t)
{
    return check_size(sslcv__random_window.name, t);
}

static sslcv_status window_shape(const sslcv_transform *t, int64_t shape[3])
{
    if ((shape[1] == 0 || t->height <= shape[1]) && (shape[2] == 0 || t->width <= shape[2])) return SSLCV_OK;
    return sslcv__invalid("random_window keeps %lld x %lld of an image of %lld x %lld; it must not be larger",
                          (long long)t->height, (long long)t->width, (long long)shape[1], (long long)shape[2]);
}

static sslcv_status window_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t channels = picture->now.shape[0], height = picture->now.shape[1], width = picture->now.shape[2];
    const int64_t top = sslcv__rng_below(rng, height - t->height + 1);
    const int64_t left = sslcv__rng_below(rng, width - t->width + 1), right = left + t->width;
    const sslcv_status status = sslcv__picture_own(picture);
    float *row = picture->now.data;
    int64_t c, y;

    if (status != SSLCV_OK) return status;
    for (c = 0; c < channels; c++) {
        for (y = 0; y < height; y++, row += width) {
            const int inside = y >= top && y < top + t->height;

            memset(row, 0, (size_t)(inside ? left : width) * sizeof *row);
            if (inside) memset(row + right, 0, (size_t)(width - right) * sizeof *row);
        }
    }
    return SSLCV_OK;
}

const sslcv__transform_class sslcv__random_window = {.name = "random_window",
                                                     .reads = SSLCV__READS_PROBABILITY | SSLCV__READS_SIZE,
                                                     .check = window_check,
                                                     .shape = window_shape,
                                                     .apply = window_apply};
