/** Crops, resizing and flips: what moves pixels. */
#include "augment/transform.h"

#include "core/simd.h"

#include <math.h>

_Static_assert((int)SSLCV_INTERPOLATION_BILINEAR == (int)SSLCV__BILINEAR &&
                   (int)SSLCV_INTERPOLATION_BICUBIC == (int)SSLCV__BICUBIC &&
                   (int)SSLCV_INTERPOLATION_NEAREST == (int)SSLCV__NEAREST,
               "one numbering");

enum { TRIES = 10 };

static sslcv_status check_size(const char *name, const sslcv_transform *t)
{
    const sslcv_status status = sslcv__transform_check_int(name, "height", t->height, 1, SSLCV__MAX_SIDE);

    if (status != SSLCV_OK) return status;
    return sslcv__transform_check_int(name, "width", t->width, 1, SSLCV__MAX_SIDE);
}

static sslcv_status fixed_shape(const sslcv_transform *t, int64_t shape[3])
{
    shape[1] = t->height;
    shape[2] = t->width;
    return SSLCV_OK;
}

static sslcv_status resize_box(sslcv__picture *picture, const sslcv__box *box, int64_t height, int64_t width,
                               int32_t filter)
{
    const int64_t channels = picture->now.shape[0];
    sslcv_status status;
    float *dst;
    void *work;

    SSLCV__TRY(sslcv__scratch_room(picture->scratch, SSLCV__SLOT_WORK,
                                   sslcv__resize_bytes(&picture->now, box, height, width, filter), &work));
    SSLCV__TRY(sslcv__picture_next(picture, channels, height, width, &dst));
    sslcv__resize(&picture->now, box, height, width, filter, work, dst);
    sslcv__picture_take(picture, channels, height, width, dst);
end:
    return status;
}

static sslcv_status crop_box(sslcv__picture *picture, const sslcv__box *box)
{
    const int64_t channels = picture->now.shape[0];
    float *dst;
    const sslcv_status status = sslcv__picture_next(picture, channels, box->height, box->width, &dst);

    if (status != SSLCV_OK) return status;
    sslcv__crop(&picture->now, box, dst);
    sslcv__picture_take(picture, channels, box->height, box->width, dst);
    return SSLCV_OK;
}

/* ---- random resized crop (Szegedy et al. 2015; this rule: torchvision) ---- */

static void rrc_defaults(sslcv_transform *t)
{
    t->min = 0.08;
    t->max = 1.0;
    t->ratio_min = 3.0 / 4.0;
    t->ratio_max = 4.0 / 3.0;
}

static sslcv_status rrc_check(const sslcv_transform *t)
{
    const char *name = sslcv__random_resized_crop.name;
    sslcv_status status;

    SSLCV__TRY(check_size(name, t));
    SSLCV__TRY(sslcv__transform_check_positive(name, "max", t->max, 1.0));
    SSLCV__TRY(sslcv__transform_check_positive(name, "min", t->min, t->max));
    SSLCV__TRY(sslcv__transform_check_real(name, "ratio_max", t->ratio_max, 1e-3, 1e3));
    SSLCV__TRY(sslcv__transform_check_real(name, "ratio_min", t->ratio_min, 1e-3, t->ratio_max));
end:
    return status;
}

static int64_t nearest(double x)
{
    return (int64_t)floor(x + 0.5);
}

void sslcv__draw_box(const sslcv_transform *t, sslcv__rng *rng, int64_t height, int64_t width, sslcv__box *box)
{
    const double H = (double)height, W = (double)width;
    const double log_min = log(t->ratio_min), log_max = log(t->ratio_max);
    int i;

    for (i = 0; i < TRIES; i++) {
        const double area = H * W * sslcv__rng_range(rng, t->min, t->max);
        const double ratio = exp(sslcv__rng_range(rng, log_min, log_max));

        box->width = nearest(sqrt(area * ratio));
        box->height = nearest(sqrt(area / ratio));
        if (box->width < 1 || box->width > width || box->height < 1 || box->height > height) continue;
        box->top = sslcv__rng_below(rng, height - box->height + 1);
        box->left = sslcv__rng_below(rng, width - box->width + 1);
        return;
    }
    box->width = width;
    box->height = height;
    if (W < t->ratio_min * H)
        box->height = nearest(W / t->ratio_min);
    else if (W > t->ratio_max * H)
        box->width = nearest(H * t->ratio_max);
    if (box->height < 1) box->height = 1;
    if (box->width < 1) box->width = 1;
    box->top = (height - box->height) / 2;
    box->left = (width - box->width) / 2;
}

static sslcv_status rrc_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    sslcv__box box;

    sslcv__draw_box(t, rng, picture->now.shape[1], picture->now.shape[2], &box);
    return resize_box(picture, &box, t->height, t->width, t->interpolation);
}

const sslcv__transform_class sslcv__random_resized_crop = {.name = "random_resized_crop",
                                                           .reads = SSLCV__READS_SIZE | SSLCV__READS_INTERPOLATION |
                                                                    SSLCV__READS_RANGE | SSLCV__READS_RATIO,
                                                           .defaults = rrc_defaults,
                                                           .check = rrc_check,
                                                           .shape = fixed_shape,
                                                           .apply = rrc_apply};

/* ---- random crop ---- */

static sslcv_status random_crop_check(const sslcv_transform *t)
{
    const sslcv_status status = check_size(sslcv__random_crop.name, t);

    if (status != SSLCV_OK) return status;
    return sslcv__transform_check_int(sslcv__random_crop.name, "padding", t->padding, 0, SSLCV__MAX_SIDE);
}

static sslcv_status random_crop_shape(const sslcv_transform *t, int64_t shape[3])
{
    if ((shape[1] != 0 && shape[1] + 2 * t->padding < t->height) ||
        (shape[2] != 0 && shape[2] + 2 * t->padding < t->width)) {
        return sslcv__invalid("random_crop takes %lld x %lld of an image of %lld x %lld with padding %lld; it must not "
                              "be larger",
                              (long long)t->height, (long long)t->width, (long long)shape[1], (long long)shape[2],
                              (long long)t->padding);
    }
    return fixed_shape(t, shape);
}

static sslcv_status random_crop_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t *shape = picture->now.shape;
    sslcv__box box = {0, 0, t->height, t->width};

    box.top = sslcv__rng_below(rng, shape[1] + 2 * t->padding - t->height + 1) - t->padding;
    box.left = sslcv__rng_below(rng, shape[2] + 2 * t->padding - t->width + 1) - t->padding;
    return crop_box(picture, &box);
}

const sslcv__transform_class sslcv__random_crop = {.name = "random_crop",
                                                   .reads = SSLCV__READS_SIZE | SSLCV__READS_PADDING,
                                                   .check = random_crop_check,
                                                   .shape = random_crop_shape,
                                                   .apply = random_crop_apply};

/* ---- centre crop ---- */

/** Half of what is cut away, ties to even; half of what is missing, rounded down, as torchvision has it. */
static int64_t center_offset(int64_t size, int64_t cut)
{
    const int64_t rest = size - cut;

    if (rest < 0) return -(-rest / 2);
    return rest / 2 + (rest % 4 == 3);
}

static sslcv_status center_crop_check(const sslcv_transform *t)
{
    return check_size(sslcv__center_crop.name, t);
}

static sslcv_status center_crop_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t *shape = picture->now.shape;
    const sslcv__box box = {center_offset(shape[1], t->height), center_offset(shape[2], t->width), t->height, t->width};

    (void)rng;
    return crop_box(picture, &box);
}

const sslcv__transform_class sslcv__center_crop = {.name = "center_crop",
                                                   .reads = SSLCV__READS_SIZE,
                                                   .check = center_crop_check,
                                                   .shape = fixed_shape,
                                                   .apply = center_crop_apply};

/* ---- resize ---- */

static sslcv_status resize_check(const sslcv_transform *t)
{
    const sslcv_status status =
        sslcv__transform_check_int(sslcv__resizing.name, "height", t->height, 1, SSLCV__MAX_SIDE);

    if (status != SSLCV_OK) return status;
    return sslcv__transform_check_int(sslcv__resizing.name, "width", t->width, 0, SSLCV__MAX_SIDE);
}

static sslcv_status resize_shape(const sslcv_transform *t, int64_t shape[3])
{
    const int64_t H = shape[1], W = shape[2];

    if (t->width != 0) return fixed_shape(t, shape);
    if (H == 0 || W == 0) {
        shape[1] = shape[2] = 0;
        return SSLCV_OK;
    }
    shape[1] = H <= W ? t->height : t->height * H / W; /* sides < 2^31, height <= 2^16 */
    shape[2] = H <= W ? t->height * W / H : t->height;
    if (shape[1] > SSLCV__MAX_SIDE || shape[2] > SSLCV__MAX_SIDE) {
        return sslcv__invalid("resize makes %lld x %lld of an image of %lld x %lld; must be at most %d",
                              (long long)shape[1], (long long)shape[2], (long long)H, (long long)W, SSLCV__MAX_SIDE);
    }
    return SSLCV_OK;
}

static sslcv_status resize_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t *now = picture->now.shape;
    const sslcv__box all = {0, 0, now[1], now[2]};
    int64_t shape[3] = {now[0], now[1], now[2]};
    const sslcv_status status = resize_shape(t, shape);

    (void)rng;
    if (status != SSLCV_OK || (shape[1] == now[1] && shape[2] == now[2])) return status;
    return resize_box(picture, &all, shape[1], shape[2], t->interpolation);
}

const sslcv__transform_class sslcv__resizing = {.name = "resize",
                                                .reads = SSLCV__READS_SIZE | SSLCV__READS_INTERPOLATION,
                                                .check = resize_check,
                                                .shape = resize_shape,
                                                .apply = resize_apply};

/* ---- flips ---- */

static void flip_defaults(sslcv_transform *t)
{
    t->probability = 0.5;
}

SSLCV__CLONES static void mirror_row(float *row, int64_t width)
{
    int64_t x;

#pragma omp simd
    for (x = 0; x < width / 2; x++) {
        const float left = row[x], right = row[width - 1 - x];

        row[x] = right;
        row[width - 1 - x] = left;
    }
}

SSLCV__CLONES static void swap_rows(float *restrict a, float *restrict b, int64_t width)
{
    int64_t x;

#pragma omp simd
    for (x = 0; x < width; x++) {
        const float value = a[x];

        a[x] = b[x];
        b[x] = value;
    }
}

static sslcv_status horizontal_flip_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const sslcv_status status = sslcv__picture_own(picture);
    const int64_t rows = picture->now.shape[0] * picture->now.shape[1], width = picture->now.shape[2];
    float *row = picture->now.data;
    int64_t i;

    (void)t;
    (void)rng;
    if (status != SSLCV_OK) return status;
    for (i = 0; i < rows; i++) mirror_row(row + i * width, width);
    return SSLCV_OK;
}

static sslcv_status vertical_flip_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const sslcv_status status = sslcv__picture_own(picture);
    const int64_t channels = picture->now.shape[0], height = picture->now.shape[1], width = picture->now.shape[2];
    float *plane = picture->now.data;
    int64_t c, y;

    (void)t;
    (void)rng;
    if (status != SSLCV_OK) return status;
    for (c = 0; c < channels; c++, plane += height * width) {
        for (y = 0; y < height / 2; y++) swap_rows(plane + y * width, plane + (height - 1 - y) * width, width);
    }
    return SSLCV_OK;
}

const sslcv__transform_class sslcv__horizontal_flip = {.name = "horizontal_flip",
                                                       .reads = SSLCV__READS_PROBABILITY,
                                                       .defaults = flip_defaults,
                                                       .apply = horizontal_flip_apply};

const sslcv__transform_class sslcv__vertical_flip = {.name = "vertical_flip",
                                                     .reads = SSLCV__READS_PROBABILITY,
                                                     .defaults = flip_defaults,
                                                     .apply = vertical_flip_apply};
