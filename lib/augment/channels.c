/** Select and drop channels, normalise, and the host's own transforms. */
#include "augment/transform.h"

#include "core/simd.h"
#include "core/tensor.h"

#include <float.h>
#include <string.h>

/* ---- select ---- */

static sslcv_status select_check(const sslcv_transform *t)
{
    const char *name = sslcv__select_channels.name;
    const sslcv_status status = sslcv__transform_check_int(name, "first", t->first, 0, SSLCV_MAX_CHANNELS - 1);

    if (status != SSLCV_OK) return status;
    return sslcv__transform_check_int(name, "count", t->count, 1, SSLCV_MAX_CHANNELS - t->first);
}

static sslcv_status select_shape(const sslcv_transform *t, int64_t shape[3])
{
    if (shape[0] != 0 && t->first + t->count > shape[0]) {
        return sslcv__invalid("select_channels takes channels %lld .. %lld of an image of %lld", (long long)t->first,
                              (long long)(t->first + t->count - 1), (long long)shape[0]);
    }
    shape[0] = t->count;
    return SSLCV_OK;
}

/** Nothing moves: the rest of the chain sees fewer planes. */
static sslcv_status select_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t offset = t->first * picture->now.strides[0] * sslcv_dtype_size(picture->now.dtype);

    (void)rng;
    picture->now.data = (char *)picture->now.data + offset;
    picture->now.shape[0] = t->count;
    return SSLCV_OK;
}

const sslcv__transform_class sslcv__select_channels = {.name = "select_channels",
                                                       .reads = SSLCV__READS_FIRST | SSLCV__READS_COUNT,
                                                       .check = select_check,
                                                       .shape = select_shape,
                                                       .apply = select_apply};

/* ---- drop (CPC-v2: no cue from how colours are displaced) ---- */

static sslcv_status drop_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t channels = picture->now.shape[0], pixels = picture->now.shape[1] * picture->now.shape[2];
    const int64_t kept = sslcv__rng_below(rng, channels);
    const sslcv_status status = sslcv__picture_own(picture);
    float *planes = picture->now.data;
    int64_t c;

    (void)t;
    if (status != SSLCV_OK) return status;
    for (c = 0; c < channels; c++) {
        if (c != kept) memcpy(planes + c * pixels, planes + kept * pixels, (size_t)pixels * sizeof *planes);
    }
    return SSLCV_OK;
}

const sslcv__transform_class sslcv__drop_channels = {
    .name = "drop_channels", .reads = SSLCV__READS_PROBABILITY, .apply = drop_apply};

/* ---- normalise ---- */

static sslcv_status normalize_check(const sslcv_transform *t)
{
    const char *name = sslcv__normalize.name;
    sslcv_status status;
    int i;

    SSLCV__TRY(sslcv__transform_check_int(name, "count", t->count, 0, SSLCV_MAX_CHANNELS));
    for (i = 0; i < SSLCV_MAX_CHANNELS; i++) {
        SSLCV__TRY(sslcv__transform_check_real(name, "mean", t->mean[i], -FLT_MAX, FLT_MAX));
        SSLCV__TRY(sslcv__transform_check_positive(name, "std", t->std[i], FLT_MAX));
    }
end:
    return status;
}

static double average(const double *values, int64_t count)
{
    double sum = 0.0;
    int64_t i;

    for (i = 0; i < count; i++) sum += values[i];
    return sum / (double)count;
}

SSLCV__CLONES static void normalize_plane(const float *src, int64_t pixels, float mean, float deviation, float *dst)
{
    int64_t i;

#pragma omp simd
    for (i = 0; i < pixels; i++) dst[i] = (src[i] - mean) / deviation;
}

/** The last transform of most chains: its result goes where the view is wanted, without a copy. */
static sslcv_status normalize_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t *shape = picture->now.shape;
    const int64_t pixels = shape[1] * shape[2];
    const int each = t->count == 0 || t->count == shape[0];
    const float *src;
    sslcv_status status;
    float *dst;
    int64_t c;

    (void)rng;
    SSLCV__TRY(sslcv__picture_own(picture));
    src = picture->now.data;
    dst = picture->out ? picture->out : picture->now.data;
    for (c = 0; c < shape[0]; c++) {
        const double mean = each ? t->mean[c] : average(t->mean, t->count);
        const double deviation = each ? t->std[c] : average(t->std, t->count);

        normalize_plane(src + c * pixels, pixels, (float)mean, (float)deviation, dst + c * pixels);
    }
    picture->now.data = dst;
end:
    return status;
}

const sslcv__transform_class sslcv__normalize = {.name = "normalize",
                                                 .reads = SSLCV__READS_MEAN | SSLCV__READS_COUNT,
                                                 .check = normalize_check,
                                                 .apply = normalize_apply};

/* ---- custom: the augmenter has copied the table, and checked it ---- */

static sslcv_status custom_check(const sslcv_transform *t)
{
    const char *name = sslcv__custom.name;
    sslcv_status status;

    SSLCV__TRY(sslcv__transform_check_int(name, "count", t->count, 0, SSLCV_MAX_CHANNELS));
    SSLCV__TRY(sslcv__transform_check_int(name, "height", t->height, 0, SSLCV__MAX_SIDE));
    SSLCV__TRY(sslcv__transform_check_int(name, "width", t->width, 0, SSLCV__MAX_SIDE));
    if ((t->probability != 1.0 || t->with_previous) && (t->count != 0 || t->height != 0 || t->width != 0)) {
        return sslcv__invalid("custom.probability is %g and with_previous %d; must be 1 and 0 when count, height or "
                              "width is set",
                              t->probability, (int)t->with_previous);
    }
    if (!t->callbacks) return sslcv__null("custom.callbacks");
end:
    return status;
}

static sslcv_status custom_shape(const sslcv_transform *t, int64_t shape[3])
{
    if (t->count != 0) shape[0] = t->count;
    if (t->height != 0) shape[1] = t->height;
    if (t->width != 0) shape[2] = t->width;
    return SSLCV_OK;
}

static sslcv_status custom_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    int64_t shape[3];
    sslcv_tensor src, dst;
    sslcv_status status;
    float *room;
    int32_t answer;

    picture->out = NULL; /* it may fail half-way */
    SSLCV__TRY(sslcv__picture_own(picture));
    src = picture->now;
    shape[0] = src.shape[0], shape[1] = src.shape[1], shape[2] = src.shape[2];
    SSLCV__TRY(custom_shape(t, shape));
    SSLCV__TRY(sslcv__picture_next(picture, shape[0], shape[1], shape[2], &room));
    sslcv__tensor_set(&dst, SSLCV_F32, room, 3, shape);
    answer = t->callbacks->apply(t->callbacks->user, &src, &dst, sslcv__rng_u64(rng));
    if (answer > 0) return sslcv__fail(SSLCV_ERR_IO, "a custom transform answered %d: it can't use the image", answer);
    if (answer < 0) return sslcv__fail(SSLCV_ERR_CANCELLED, "a custom transform answered %d", answer);
    sslcv__picture_take(picture, shape[0], shape[1], shape[2], room);
end:
    return status;
}

const sslcv__transform_class sslcv__custom = {.name = "custom",
                                              .reads = SSLCV__READS_PROBABILITY | SSLCV__READS_COUNT |
                                                       SSLCV__READS_SIZE | SSLCV__READS_CALLBACKS,
                                              .check = custom_check,
                                              .shape = custom_shape,
                                              .apply = custom_apply};
