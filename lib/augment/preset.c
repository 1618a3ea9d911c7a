/**
 * Published chains, by name.
 *
 * simclr: Chen et al. 2020, colour strength 1. simclr-cifar: as lightly's benchmark trains 32-pixel images, colour
 * strength .5. finetune, eval: the usual ones of ImageNet and of CIFAR (He et al. 2016).
 */
#include "augment/transform.h"

#include "core/error.h"
#include "core/object.h"

#include <stdio.h>
#include <string.h>

enum step {
    END,
    RESIZED_CROP,
    PADDED_CROP,
    FIT,
    SHORTER_SIDE,
    CENTER,
    FLIP,
    JITTER,
    HALF_JITTER,
    GRAY,
    BLUR,
    NORMALIZE
};

enum { MAX_STEPS = 8 };

static const struct preset {
    const char *name;
    int64_t views, size;
    enum step steps[MAX_STEPS]; /* up to END */
} presets[] = {{"simclr", 2, 224, {RESIZED_CROP, FLIP, JITTER, GRAY, BLUR}},
               {"simclr-cifar", 2, 32, {RESIZED_CROP, FLIP, HALF_JITTER, GRAY, NORMALIZE}},
               {"finetune", 1, 224, {RESIZED_CROP, FLIP, NORMALIZE}},
               {"finetune-cifar", 1, 32, {FIT, PADDED_CROP, FLIP, NORMALIZE}},
               {"eval", 1, 224, {SHORTER_SIDE, CENTER, NORMALIZE}},
               {"eval-cifar", 1, 32, {FIT, NORMALIZE}}};

enum { NUM_PRESETS = sizeof presets / sizeof *presets };

static int32_t kind_of(enum step step)
{
    switch (step) {
    case RESIZED_CROP: return SSLCV_TRANSFORM_RANDOM_RESIZED_CROP;
    case PADDED_CROP: return SSLCV_TRANSFORM_RANDOM_CROP;
    case FIT:
    case SHORTER_SIDE: return SSLCV_TRANSFORM_RESIZE;
    case CENTER: return SSLCV_TRANSFORM_CENTER_CROP;
    case FLIP: return SSLCV_TRANSFORM_HORIZONTAL_FLIP;
    case JITTER:
    case HALF_JITTER: return SSLCV_TRANSFORM_COLOR_JITTER;
    case GRAY: return SSLCV_TRANSFORM_GRAYSCALE;
    case BLUR: return SSLCV_TRANSFORM_GAUSSIAN_BLUR;
    default: return SSLCV_TRANSFORM_NORMALIZE;
    }
}

static void set_jitter(sslcv_transform *t, double strength)
{
    t->brightness = t->contrast = t->saturation = 0.8 * strength;
    t->hue = 0.2 * strength;
    t->probability = 0.8;
}

static void set_imagenet_statistics(sslcv_transform *t)
{
    static const double mean[3] = {0.485, 0.456, 0.406}, deviation[3] = {0.229, 0.224, 0.225};

    memcpy(t->mean, mean, sizeof mean);
    memcpy(t->std, deviation, sizeof deviation);
    t->count = 3;
}

static sslcv_status add_step(sslcv_augmenter *augmenter, int64_t view, enum step step, int64_t size)
{
    sslcv_transform t;
    const sslcv_status status = sslcv_transform_init(&t, sizeof t, kind_of(step));

    if (status != SSLCV_OK) return status;
    if (step <= CENTER) t.height = t.width = size;
    switch (step) {
    case PADDED_CROP: t.padding = 4; break;
    case SHORTER_SIDE:
        t.height = (size * 256 + 112) / 224;
        t.width = 0;
        break;
    case JITTER: set_jitter(&t, 1.0); break;
    case HALF_JITTER: set_jitter(&t, 0.5); break;
    case NORMALIZE: set_imagenet_statistics(&t); break;
    default: break;
    }
    return sslcv_augmenter_add(augmenter, view, &t);
}

static const struct preset *find_preset(const char *name)
{
    int i;

    for (i = 0; i < NUM_PRESETS; i++) {
        if (strcmp(name, presets[i].name) == 0) return &presets[i];
    }
    return NULL;
}

static sslcv_status no_such_preset(const char *name)
{
    char names[160] = "";
    size_t used = 0;
    int i;

    for (i = 0; i < NUM_PRESETS; i++) {
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", presets[i].name);
    }
    return sslcv__fail(SSLCV_ERR_NOT_FOUND, "there is no preset \"%.64s\"; there are %s", name, names);
}

static sslcv_status add_views(sslcv_augmenter *augmenter, const struct preset *p, int64_t size)
{
    sslcv_status status = SSLCV_OK;
    int64_t view, i;
    int step;

    for (i = 0; i < p->views; i++) {
        SSLCV__TRY(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
        for (step = 0; step < MAX_STEPS && p->steps[step] != END; step++) {
            SSLCV__TRY(add_step(augmenter, view, p->steps[step], size));
        }
    }
end:
    return status;
}

sslcv_status sslcv_augmenter_add_preset(sslcv_augmenter *augmenter, const char *preset, int64_t size, int64_t *first,
                                        int64_t *count)
{
    const int64_t max_size = SSLCV__MAX_SIDE * 224 / 256;
    sslcv_status status = sslcv__check(augmenter, SSLCV__AUGMENTER, "augmenter");
    const struct preset *p;
    int64_t before;

    if (status != SSLCV_OK) return status;
    if (!preset) return sslcv__null("preset");
    p = find_preset(preset);
    if (!p) return no_such_preset(preset);
    if (size < 0 || size > max_size) {
        return sslcv__invalid("size is %lld; must be 0 .. %lld", (long long)size, (long long)max_size);
    }
    before = sslcv__augmenter_num_views(augmenter);
    status = add_views(augmenter, p, size ? size : p->size);
    if (status != SSLCV_OK) {
        sslcv__augmenter_drop_views(augmenter, before);
        return status;
    }
    if (first) *first = before;
    if (count) *count = p->views;
    return SSLCV_OK;
}
