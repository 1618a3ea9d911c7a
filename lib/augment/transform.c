#include "augment/transform.h"

#include "core/memory.h"
#include "core/options.h"
#include "core/tensor.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

const sslcv__transform_class *sslcv__transform_class_of(int32_t kind)
{
    switch (kind) {
    case SSLCV_TRANSFORM_RANDOM_RESIZED_CROP: return &sslcv__random_resized_crop;
    case SSLCV_TRANSFORM_RANDOM_CROP: return &sslcv__random_crop;
    case SSLCV_TRANSFORM_CENTER_CROP: return &sslcv__center_crop;
    case SSLCV_TRANSFORM_RESIZE: return &sslcv__resizing;
    case SSLCV_TRANSFORM_HORIZONTAL_FLIP: return &sslcv__horizontal_flip;
    case SSLCV_TRANSFORM_VERTICAL_FLIP: return &sslcv__vertical_flip;
    case SSLCV_TRANSFORM_ROTATE90: return &sslcv__rotate90;
    case SSLCV_TRANSFORM_COLOR_JITTER: return &sslcv__color_jitter;
    case SSLCV_TRANSFORM_GRAYSCALE: return &sslcv__grayscale;
    case SSLCV_TRANSFORM_GAUSSIAN_BLUR: return &sslcv__gaussian_blur;
    case SSLCV_TRANSFORM_SOLARIZE: return &sslcv__solarize;
    case SSLCV_TRANSFORM_POSTERIZE: return &sslcv__posterize;
    case SSLCV_TRANSFORM_SHARPNESS: return &sslcv__sharpness;
    case SSLCV_TRANSFORM_AUTOCONTRAST: return &sslcv__autocontrast;
    case SSLCV_TRANSFORM_RANDOM_WINDOW: return &sslcv__random_window;
    case SSLCV_TRANSFORM_CONVERT_COLOR: return &sslcv__convert_color_space;
    case SSLCV_TRANSFORM_SELECT_CHANNELS: return &sslcv__select_channels;
    case SSLCV_TRANSFORM_DROP_CHANNELS: return &sslcv__drop_channels;
    case SSLCV_TRANSFORM_SOBEL: return &sslcv__sobel;
    case SSLCV_TRANSFORM_NORMALIZE: return &sslcv__normalize;
    case SSLCV_TRANSFORM_PATCHES: return &sslcv__patches;
    case SSLCV_TRANSFORM_CUSTOM: return &sslcv__custom;
    case SSLCV_TRANSFORM_SHEAR_X: return &sslcv__shear_x;
    case SSLCV_TRANSFORM_SHEAR_Y: return &sslcv__shear_y;
    case SSLCV_TRANSFORM_TRANSLATE_X: return &sslcv__translate_x;
    case SSLCV_TRANSFORM_TRANSLATE_Y: return &sslcv__translate_y;
    case SSLCV_TRANSFORM_ROTATE: return &sslcv__rotate;
    case SSLCV_TRANSFORM_EQUALIZE: return &sslcv__equalization;
    case SSLCV_TRANSFORM_AUTOAUGMENT: return &sslcv__autoaugment;
    case SSLCV_TRANSFORM_ELASTIC: return &sslcv__elastic;
    case SSLCV_TRANSFORM_TONE_CURVE: return &sslcv__tone_curve;
    default: return NULL;
    }
}

/* ---- options ---- */

static sslcv_status set_defaults(sslcv_transform *t, int32_t kind)
{
    const sslcv__transform_class *class = sslcv__transform_class_of(kind);
    int i;

    if (!class) return sslcv__invalid("transform.kind is %d; must be one of SSLCV_TRANSFORM_*", kind);
    memset(t, 0, sizeof *t);
    t->struct_size = sizeof *t;
    t->kind = kind;
    t->probability = 1.0;
    for (i = 0; i < SSLCV_MAX_CHANNELS; i++) t->std[i] = 1.0;
    if (class->defaults) class->defaults(t);
    return SSLCV_OK;
}

sslcv_status sslcv_transform_init(sslcv_transform *transform, size_t struct_size, int32_t kind)
{
    sslcv_transform defaults;
    const sslcv_status status = set_defaults(&defaults, kind);

    if (status != SSLCV_OK) return status;
    return sslcv__options_init("transform", transform, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

sslcv_status sslcv__transform_check_int(const char *name, const char *field, int64_t value, int64_t low, int64_t high)
{
    if (value >= low && value <= high) return SSLCV_OK;
    return sslcv__invalid("%s.%s is %lld; must be %lld .. %lld", name, field, (long long)value, (long long)low,
                          (long long)high);
}

sslcv_status sslcv__transform_check_real(const char *name, const char *field, double value, double low, double high)
{
    if (value >= low && value <= high) return SSLCV_OK;
    return sslcv__invalid("%s.%s is %g; must be %g .. %g", name, field, value, low, high);
}

sslcv_status sslcv__transform_check_positive(const char *name, const char *field, double value, double high)
{
    if (value > 0.0 && value <= high) return SSLCV_OK;
    return sslcv__invalid("%s.%s is %g; must be > 0 and <= %g", name, field, value, high);
}

sslcv_status sslcv__transform_check_whole(const char *name, const sslcv_transform *t, int64_t low, int64_t high)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__transform_check_real(name, "max", t->max, (double)low, (double)high));
    SSLCV__TRY(sslcv__transform_check_real(name, "min", t->min, (double)low, t->max));
    if (t->min != floor(t->min)) return sslcv__invalid("%s.min is %g; must be a whole number", name, t->min);
    if (t->max != floor(t->max)) return sslcv__invalid("%s.max is %g; must be a whole number", name, t->max);
end:
    return status;
}

int64_t sslcv__draw_whole(const sslcv_transform *t, sslcv__rng *rng)
{
    return (int64_t)t->min + sslcv__rng_below(rng, (int64_t)(t->max - t->min) + 1);
}

/** A field that a kind does not read must be as init left it: it was set by mistake, or for another kind. */
static sslcv_status check_unread(const sslcv_transform *t, const sslcv__transform_class *class)
{
#define FIELD(bit, field)                                                                                              \
    {                                                                                                                  \
        bit, #field, offsetof(sslcv_transform, field), sizeof t->field                                                 \
    }
    static const struct {
        uint32_t bit;
        const char *name;
        size_t offset, size;
    } fields[] = {FIELD(SSLCV__READS_SIZE, height),
                  FIELD(SSLCV__READS_SIZE, width),
                  FIELD(SSLCV__READS_INTERPOLATION, interpolation),
                  FIELD(SSLCV__READS_PROBABILITY, probability),
                  FIELD(SSLCV__READS_PROBABILITY, with_previous),
                  FIELD(SSLCV__READS_PADDING, padding),
                  FIELD(SSLCV__READS_FIRST, first),
                  FIELD(SSLCV__READS_COUNT, count),
                  FIELD(SSLCV__READS_RANGE, min),
                  FIELD(SSLCV__READS_RANGE, max),
                  FIELD(SSLCV__READS_RATIO, ratio_min),
                  FIELD(SSLCV__READS_RATIO, ratio_max),
                  FIELD(SSLCV__READS_COLOR, brightness),
                  FIELD(SSLCV__READS_COLOR, contrast),
                  FIELD(SSLCV__READS_COLOR, saturation),
                  FIELD(SSLCV__READS_COLOR, hue),
                  FIELD(SSLCV__READS_MEAN, mean),
                  FIELD(SSLCV__READS_MEAN, std),
                  FIELD(SSLCV__READS_CALLBACKS, callbacks),
                  FIELD(SSLCV__READS_GRID, rows),
                  FIELD(SSLCV__READS_GRID, columns),
                  FIELD(SSLCV__READS_GRID, placement),
                  FIELD(SSLCV__READS_GRID, shuffle),
                  FIELD(SSLCV__READS_COLOR_SPACE, color_space)};
#undef FIELD
    sslcv_transform defaults;
    size_t i;

    set_defaults(&defaults, t->kind);
    for (i = 0; i < sizeof fields / sizeof *fields; i++) {
        if ((class->reads & fields[i].bit) == 0 &&
            memcmp((const char *)t + fields[i].offset, (const char *)&defaults + fields[i].offset, fields[i].size) !=
                0) {
            return sslcv__invalid("%s.%s is set, but %s does not read it", class->name, fields[i].name, class->name);
        }
    }
    return SSLCV_OK;
}

sslcv_status sslcv__transform_check(const sslcv_transform *t)
{
    const sslcv__transform_class *class = sslcv__transform_class_of(t->kind);
    sslcv_status status;

    if (!class) return sslcv__invalid("transform.kind is %d; must be one of SSLCV_TRANSFORM_*", t->kind);
    SSLCV__TRY(check_unread(t, class));
    SSLCV__TRY(sslcv__transform_check_int(class->name, "interpolation", t->interpolation, SSLCV_INTERPOLATION_BILINEAR,
                                          SSLCV_INTERPOLATION_NEAREST));
    SSLCV__TRY(sslcv__transform_check_real(class->name, "probability", t->probability, 0.0, 1.0));
    SSLCV__TRY(sslcv__transform_check_int(class->name, "with_previous", t->with_previous, 0, 1));
    if (class->check) SSLCV__TRY(class->check(t));
end:
    return status;
}

/* ---- scratch ---- */

sslcv_status sslcv__augment_scratch_create(sslcv_context *context, sslcv__augment_scratch **out)
{
    sslcv__augment_scratch *scratch;
    const sslcv_status status = sslcv__alloc_array(context, 1, sizeof *scratch, (void **)&scratch);

    if (status != SSLCV_OK) return status;
    scratch->context = context;
    *out = scratch;
    return SSLCV_OK;
}

void sslcv__augment_scratch_free(sslcv__augment_scratch *scratch)
{
    int64_t i;

    if (!scratch) return;
    for (i = 0; i < scratch->num_slots; i++) sslcv__free(scratch->context, scratch->slots[i]);
    sslcv__free(scratch->context, scratch->slots);
    sslcv__free(scratch->context, scratch->bytes);
    sslcv__free(scratch->context, scratch);
}

static sslcv_status add_slots(sslcv__augment_scratch *scratch, int64_t count)
{
    const int64_t old = scratch->num_slots;
    sslcv_status status;

    SSLCV__TRY(sslcv__grow_array(scratch->context, old, count, sizeof *scratch->slots, (void **)&scratch->slots));
    SSLCV__TRY(sslcv__grow_array(scratch->context, old, count, sizeof *scratch->bytes, (void **)&scratch->bytes));
    scratch->num_slots = count;
end:
    return status;
}

sslcv_status sslcv__scratch_room(sslcv__augment_scratch *scratch, int64_t slot, int64_t bytes, void *room)
{
    sslcv_status status = SSLCV_OK;

    if (slot >= scratch->num_slots) SSLCV__TRY(add_slots(scratch, slot + 4));
    if (!scratch->slots[slot] || bytes > scratch->bytes[slot]) {
        const int64_t larger = scratch->bytes[slot] + scratch->bytes[slot] / 2; /* boxes differ: do not creep up */
        const int64_t wanted = bytes > larger ? bytes : larger;

        sslcv__free(scratch->context, scratch->slots[slot]);
        scratch->slots[slot] = NULL;
        scratch->bytes[slot] = 0;
        SSLCV__TRY(sslcv__alloc(scratch->context, wanted, &scratch->slots[slot]));
        scratch->bytes[slot] = wanted;
    }
    *(void **)room = scratch->slots[slot];
end:
    return status;
}

void sslcv__scratch_swap(sslcv__augment_scratch *scratch, int64_t a, int64_t b)
{
    void *const slot = scratch->slots[a];
    const int64_t bytes = scratch->bytes[a];

    scratch->slots[a] = scratch->slots[b];
    scratch->bytes[a] = scratch->bytes[b];
    scratch->slots[b] = slot;
    scratch->bytes[b] = bytes;
}

/* ---- picture ---- */

sslcv_status sslcv__picture_next(sslcv__picture *picture, int64_t channels, int64_t height, int64_t width, float **dst)
{
    const int64_t slot = picture->slot == SSLCV__SLOT_EVEN ? SSLCV__SLOT_ODD : SSLCV__SLOT_EVEN;

    if (picture->out && channels * height * width == picture->out_floats) {
        *dst = picture->out;
        return SSLCV_OK;
    }
    return sslcv__scratch_room(picture->scratch, slot, channels * height * width * (int64_t)sizeof(float), dst);
}

void sslcv__picture_take(sslcv__picture *picture, int64_t channels, int64_t height, int64_t width, float *dst)
{
    const int64_t shape[3] = {channels, height, width};

    sslcv__tensor_set(&picture->now, SSLCV_F32, dst, 3, shape);
    picture->slot = picture->slot == SSLCV__SLOT_EVEN ? SSLCV__SLOT_ODD : SSLCV__SLOT_EVEN;
}

sslcv_status sslcv__picture_own(sslcv__picture *picture)
{
    const int64_t *shape = picture->now.shape;
    const sslcv__box all = {0, 0, shape[1], shape[2]};
    sslcv_status status;
    float *dst;

    if (picture->slot >= 0) return SSLCV_OK;
    status = sslcv__picture_next(picture, shape[0], shape[1], shape[2], &dst);
    if (status != SSLCV_OK) return status;
    sslcv__crop(&picture->now, &all, dst);
    sslcv__picture_take(picture, shape[0], shape[1], shape[2], dst);
    return SSLCV_OK;
}
