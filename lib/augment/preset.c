/**
 * Published chains, by name. Sources and what differs from them: docs/augment.md.
 *
 * A preset is a few views, a view a chain of steps, and a step a transform with its numbers. What is measured in pixels
 * is a part of the preset's size, so that every preset can be had smaller.
 */
#include "augment/transform.h"

#include "core/error.h"
#include "core/object.h"

#include <stdio.h>
#include <string.h>

enum step {
    END,
    CONTINUE, /* at the beginning: from the preset's first view, not from the image */
    /* crops of the image, by the least share of its area */
    CROP,
    CROP_14,
    CROP_20,
    CROP_BICUBIC,
    CROP_40_BICUBIC,
    CROP_40,
    SMALL_14, /* .05 .. .14, 96 of 224 pixels */
    SMALL_40, /* .05 .. .4, bicubic */
    JIGSAW_SOURCE,
    SMALL_JIGSAW_SOURCE,
    PADDED_CROP,
    FIT,
    SHORTER_SIDE,
    CENTER,
    CPC_FIT,
    RANDOM_CROP,
    FLIP,
    TURN,
    /* brightness, contrast, saturation, hue */
    JITTER_8882,
    JITTER_4441,
    JITTER_4421,
    JITTER_4444_ALWAYS,
    JITTER_4442_ALWAYS,
    GRAY,
    GRAY_25,
    GRAY_ALWAYS,
    BLUR,
    BLUR_10,
    BLUR_ALWAYS,
    SOLARIZE,
    POSTERIZE_66, /* and what goes with it */
    SHARPNESS_TOO,
    SOLARIZE_TOO,
    AUTOCONTRAST_TOO,
    LAB,
    NORMALIZE,
    NORMALIZE_SWAV,
    NORMALIZE_LAB,
    FIRST_CHANNEL,
    OTHER_CHANNELS,
    JIGSAW,
    SMALL_JIGSAW,
    CPC_GRID,
    CPC_WINDOW,
    CPC_V2_FIT,
    CPC_V2_GRID,
    SMALL_CPC_V2_FIT,
    SMALL_PADDED_CROP,
    SMALL_CPC_V2_GRID,
    AUTOAUGMENT,
    ELASTIC_20, /* and what goes with it */
    SHEAR_X_TOO,
    SHEAR_Y_TOO,
    TONE_CURVE_20,
    JITTER_5550,
    NUM_STEPS
};

/** Numbers of a step. Zeros: as sslcv_transform_init() has them. */
static const struct numbers {
    int32_t kind, interpolation;
    int64_t part, of, multiple; /* pixels: size * part / of, rounded to a multiple; of 0: no size, multiple 0: 1 */
    double probability, min, max;
    double color[4];
    int32_t with_previous, reserved;
} all_numbers[NUM_STEPS] = {
    [CROP] = {.kind = SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, .part = 1, .of = 1},
    [CROP_14] = {.kind = SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, .part = 1, .of = 1, .min = .14, .max = 1},
    [CROP_20] = {.kind = SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, .part = 1, .of = 1, .min = .2, .max = 1},
    [CROP_BICUBIC] = {SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, SSLCV_INTERPOLATION_BICUBIC, .part = 1, .of = 1},
    [CROP_40_BICUBIC] = {SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, SSLCV_INTERPOLATION_BICUBIC, .part = 1, .of = 1,
                         .min = .4, .max = 1},
    [CROP_40] = {.kind = SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, .part = 1, .of = 1, .min = .4, .max = 1},
    [SMALL_14] = {.kind = SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, .part = 96, .of = 224, .min = .05, .max = .14},
    [SMALL_40] = {SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, SSLCV_INTERPOLATION_BICUBIC, .part = 96, .of = 224, .min = .05,
                  .max = .4},
    [JIGSAW_SOURCE] =
        {.kind = SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, .part = 255, .of = 224, .multiple = 3, .min = .6, .max = 1},
    [SMALL_JIGSAW_SOURCE] =
        {.kind = SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, .part = 36, .of = 32, .multiple = 3, .min = .6, .max = 1},
    [PADDED_CROP] = {.kind = SSLCV_TRANSFORM_RANDOM_CROP, .part = 1, .of = 1},
    [FIT] = {.kind = SSLCV_TRANSFORM_RESIZE, .part = 1, .of = 1},
    [SHORTER_SIDE] = {.kind = SSLCV_TRANSFORM_RESIZE, .part = 256, .of = 224},
    [CENTER] = {.kind = SSLCV_TRANSFORM_CENTER_CROP, .part = 1, .of = 1},
    [CPC_FIT] = {.kind = SSLCV_TRANSFORM_RESIZE, .part = 300, .of = 256},
    [RANDOM_CROP] = {.kind = SSLCV_TRANSFORM_RANDOM_CROP, .part = 1, .of = 1},
    [FLIP] = {.kind = SSLCV_TRANSFORM_HORIZONTAL_FLIP},
    [TURN] = {.kind = SSLCV_TRANSFORM_ROTATE90},
    [JITTER_8882] = {.kind = SSLCV_TRANSFORM_COLOR_JITTER, .probability = .8, .color = {.8, .8, .8, .2}},
    [JITTER_4441] = {.kind = SSLCV_TRANSFORM_COLOR_JITTER, .probability = .8, .color = {.4, .4, .4, .1}},
    [JITTER_4421] = {.kind = SSLCV_TRANSFORM_COLOR_JITTER, .probability = .8, .color = {.4, .4, .2, .1}},
    [JITTER_4444_ALWAYS] = {.kind = SSLCV_TRANSFORM_COLOR_JITTER, .color = {.4, .4, .4, .4}},
    [JITTER_4442_ALWAYS] = {.kind = SSLCV_TRANSFORM_COLOR_JITTER, .color = {.4, .4, .4, .2}},
    [GRAY] = {.kind = SSLCV_TRANSFORM_GRAYSCALE},
    [GRAY_25] = {.kind = SSLCV_TRANSFORM_GRAYSCALE, .probability = .25},
    [GRAY_ALWAYS] = {.kind = SSLCV_TRANSFORM_GRAYSCALE, .probability = 1},
    [BLUR] = {.kind = SSLCV_TRANSFORM_GAUSSIAN_BLUR},
    [BLUR_10] = {.kind = SSLCV_TRANSFORM_GAUSSIAN_BLUR, .probability = .1},
    [BLUR_ALWAYS] = {.kind = SSLCV_TRANSFORM_GAUSSIAN_BLUR, .probability = 1},
    [SOLARIZE] = {.kind = SSLCV_TRANSFORM_SOLARIZE},
    [POSTERIZE_66] = {.kind = SSLCV_TRANSFORM_POSTERIZE, .probability = .66},
    [SHARPNESS_TOO] = {.kind = SSLCV_TRANSFORM_SHARPNESS, .with_previous = 1},
    [SOLARIZE_TOO] = {.kind = SSLCV_TRANSFORM_SOLARIZE, .min = 0, .max = 1, .with_previous = 1},
    [AUTOCONTRAST_TOO] = {.kind = SSLCV_TRANSFORM_AUTOCONTRAST, .with_previous = 1},
    [LAB] = {.kind = SSLCV_TRANSFORM_CONVERT_COLOR},
    [NORMALIZE] = {.kind = SSLCV_TRANSFORM_NORMALIZE},
    [NORMALIZE_SWAV] = {.kind = SSLCV_TRANSFORM_NORMALIZE},
    [NORMALIZE_LAB] = {.kind = SSLCV_TRANSFORM_NORMALIZE},
    [FIRST_CHANNEL] = {.kind = SSLCV_TRANSFORM_SELECT_CHANNELS},
    [OTHER_CHANNELS] = {.kind = SSLCV_TRANSFORM_SELECT_CHANNELS},
    [JIGSAW] = {.kind = SSLCV_TRANSFORM_PATCHES, .part = 64, .of = 224},
    [SMALL_JIGSAW] = {.kind = SSLCV_TRANSFORM_PATCHES, .part = 10, .of = 32},
    [CPC_GRID] = {.kind = SSLCV_TRANSFORM_PATCHES, .part = 1, .of = 4},
    [CPC_WINDOW] = {.kind = SSLCV_TRANSFORM_RANDOM_WINDOW, .part = 15, .of = 64},
    [CPC_V2_FIT] = {.kind = SSLCV_TRANSFORM_RESIZE, .part = 300, .of = 260},
    [CPC_V2_GRID] = {.kind = SSLCV_TRANSFORM_PATCHES, .part = 80, .of = 260},
    [SMALL_CPC_V2_FIT] = {.kind = SSLCV_TRANSFORM_RESIZE, .part = 32, .of = 30},
    [SMALL_PADDED_CROP] = {.kind = SSLCV_TRANSFORM_RANDOM_CROP, .part = 1, .of = 1},
    [SMALL_CPC_V2_GRID] = {.kind = SSLCV_TRANSFORM_PATCHES, .part = 1, .of = 3},
    [AUTOAUGMENT] = {.kind = SSLCV_TRANSFORM_AUTOAUGMENT},
    [ELASTIC_20] = {.kind = SSLCV_TRANSFORM_ELASTIC, .probability = .2},
    [SHEAR_X_TOO] = {.kind = SSLCV_TRANSFORM_SHEAR_X, .with_previous = 1},
    [SHEAR_Y_TOO] = {.kind = SSLCV_TRANSFORM_SHEAR_Y, .with_previous = 1},
    [TONE_CURVE_20] = {.kind = SSLCV_TRANSFORM_TONE_CURVE, .probability = .2},
    [JITTER_5550] = {.kind = SSLCV_TRANSFORM_COLOR_JITTER, .probability = .8, .color = {.5, .5, .5, 0}}};

enum { MAX_STEPS = 12, MAX_CHAINS = 3, CPC_CELLS = 7, CPC_V2_CELLS = 6, SMALL_CPC_V2_CELLS = 5 };

typedef struct chain {
    int64_t views;              /* that many alike */
    enum step steps[MAX_STEPS]; /* up to END */
} chain;

#define SMALL_COLOR       FLIP, JITTER_4441, GRAY, NORMALIZE
#define MOCO_V2           CROP_20, JITTER_4441, GRAY, BLUR, FLIP, NORMALIZE
#define SWAV_COLOR        FLIP, JITTER_8882, GRAY, BLUR, NORMALIZE_SWAV
#define BYOL_COLOR        FLIP, JITTER_4421, GRAY
#define BYOL_FIRST        BYOL_COLOR, BLUR_ALWAYS, NORMALIZE
#define BYOL_SECOND       BYOL_COLOR, BLUR_10, SOLARIZE, NORMALIZE
#define SMALL_BYOL_SECOND BYOL_COLOR, SOLARIZE, NORMALIZE
#define CPC_V2_COLOR      ELASTIC_20, SHEAR_X_TOO, SHEAR_Y_TOO, TONE_CURVE_20, JITTER_5550, GRAY_25
#define PIRL_COLOR        JITTER_4442_ALWAYS, POSTERIZE_66, SHARPNESS_TOO, SOLARIZE_TOO, AUTOCONTRAST_TOO, GRAY, FLIP
#define PIRL_BLUR         FLIP, JITTER_8882, GRAY, BLUR

/* clang-format off: a line for each view, or for all */
static const struct preset {
    const char *name;
    int64_t size;
    chain chains[MAX_CHAINS];
} presets[] = {
    {"simclr", 224, {{2, {CROP, FLIP, JITTER_8882, GRAY, BLUR}}}},
    {"simclr-cifar", 32, {{2, {CROP, SMALL_COLOR}}}},
    {"moco-v1", 224, {{2, {CROP_20, GRAY, JITTER_4444_ALWAYS, FLIP, NORMALIZE}}}},
    {"moco-v2", 224, {{2, {MOCO_V2}}}},
    {"moco-cifar", 32, {{2, {CROP, SMALL_COLOR}}}},
    {"swav", 224, {{2, {CROP_14, SWAV_COLOR}}, {6, {SMALL_14, SWAV_COLOR}}}},
    {"swav-cifar", 32, {{2, {CROP_14, SMALL_COLOR}}}},
    {"byol", 224, {{1, {CROP_BICUBIC, BYOL_FIRST}}, {1, {CROP_BICUBIC, BYOL_SECOND}}}},
    {"byol-cifar", 32, {{1, {CROP, BYOL_COLOR, NORMALIZE}}, {1, {CROP, SMALL_BYOL_SECOND}}}},
    {"simsiam", 224, {{2, {MOCO_V2}}}},
    {"simsiam-cifar", 32, {{2, {CROP_20, SMALL_COLOR}}}},
    {"barlow", 224, {{1, {CROP_BICUBIC, BYOL_FIRST}}, {1, {CROP_BICUBIC, BYOL_SECOND}}}},
    {"barlow-cifar", 32, {{1, {CROP, BYOL_COLOR, NORMALIZE}}, {1, {CROP, SMALL_BYOL_SECOND}}}},
    {"vicreg", 224, {{1, {CROP_BICUBIC, BYOL_FIRST}}, {1, {CROP_BICUBIC, BYOL_SECOND}}}},
    {"vicreg-cifar", 32, {{1, {CROP, BYOL_COLOR, NORMALIZE}}, {1, {CROP, SMALL_BYOL_SECOND}}}},
    {"dino",
     224,
     {{1, {CROP_40_BICUBIC, BYOL_FIRST}},
      {1, {CROP_40_BICUBIC, BYOL_SECOND}},
      {8, {SMALL_40, BYOL_COLOR, BLUR, NORMALIZE}}}},
    {"dino-cifar", 32, {{1, {CROP_40, BYOL_COLOR, NORMALIZE}}, {1, {CROP_40, SMALL_BYOL_SECOND}}}},
    {"pirl-jigsaw", 224, {{1, {CROP, PIRL_COLOR, NORMALIZE}}, {1, {JIGSAW_SOURCE, JIGSAW, PIRL_COLOR, NORMALIZE}}}},
    {"pirl-rotation", 224, {{1, {CROP, PIRL_COLOR, NORMALIZE}}, {1, {CROP, PIRL_COLOR, TURN, NORMALIZE}}}},
    {"pirl-jigsaw-blur", 224, {{1, {CROP, PIRL_BLUR, NORMALIZE}}, {1, {JIGSAW_SOURCE, JIGSAW, PIRL_BLUR, NORMALIZE}}}},
    {"pirl-rotation-blur", 224, {{1, {CROP, PIRL_BLUR, NORMALIZE}}, {1, {CROP, PIRL_BLUR, TURN, NORMALIZE}}}},
    {"pirl-cifar",
     32,
     {{1, {CROP, SMALL_COLOR}}, {1, {SMALL_JIGSAW_SOURCE, SMALL_JIGSAW, JITTER_4441, GRAY, FLIP, NORMALIZE}}}},
    {"pirl-rotation-cifar", 32, {{1, {CROP, SMALL_COLOR}}, {1, {CROP, FLIP, JITTER_4441, GRAY, TURN, NORMALIZE}}}},
    {"cmc",
     224,
     {{1, {CROP, FLIP, LAB, NORMALIZE_LAB}}, {1, {CONTINUE, FIRST_CHANNEL}}, {1, {CONTINUE, OTHER_CHANNELS}}}},
    {"cmc-cifar",
     32,
     {{1, {CROP, FLIP, LAB, NORMALIZE_LAB}}, {1, {CONTINUE, FIRST_CHANNEL}}, {1, {CONTINUE, OTHER_CHANNELS}}}},
    {"cpc", 256, {{1, {CPC_FIT, RANDOM_CROP, FLIP, GRAY_ALWAYS, NORMALIZE, CPC_GRID, CPC_WINDOW}}}},
    {"cpc-cifar", 32, {{1, {FIT, PADDED_CROP, FLIP, JITTER_4441, GRAY_25, NORMALIZE, CPC_GRID}}}},
    {"deepcluster", 224, {{1, {CROP, FLIP, NORMALIZE}}}},
    {"deepcluster-cifar", 32, {{1, {CROP, FLIP, NORMALIZE}}}},
    {"deepcluster-v2", 224, {{2, {CROP_14, SWAV_COLOR}}, {6, {SMALL_14, SWAV_COLOR}}}},
    {"deepcluster-v2-cifar", 32, {{2, {CROP_14, SMALL_COLOR}}}},
    {"finetune", 224, {{1, {CROP, FLIP, NORMALIZE}}}},
    {"finetune-cifar", 32, {{1, {FIT, PADDED_CROP, FLIP, NORMALIZE}}}},
    {"eval", 224, {{1, {SHORTER_SIDE, CENTER, NORMALIZE}}}},
    {"eval-cifar", 32, {{1, {FIT, NORMALIZE}}}},
    {"cmc-eval",
     224,
     {{1, {SHORTER_SIDE, CENTER, LAB, NORMALIZE_LAB}},
      {1, {CONTINUE, FIRST_CHANNEL}},
      {1, {CONTINUE, OTHER_CHANNELS}}}},
    {"cmc-eval-cifar",
     32,
     {{1, {FIT, LAB, NORMALIZE_LAB}}, {1, {CONTINUE, FIRST_CHANNEL}}, {1, {CONTINUE, OTHER_CHANNELS}}}},
    {"cpc-eval", 256, {{1, {CPC_FIT, CENTER, GRAY_ALWAYS, NORMALIZE, CPC_GRID}}}},
    {"cpc-eval-cifar", 32, {{1, {FIT, NORMALIZE, CPC_GRID}}}},
    {"cpc-v2", 260, {{1, {CPC_V2_FIT, RANDOM_CROP, FLIP, CPC_V2_GRID, AUTOAUGMENT, CPC_V2_COLOR, NORMALIZE}}}},
    {"cpc-v2-cifar",
     30,
     {{1, {SMALL_CPC_V2_FIT, SMALL_PADDED_CROP, FLIP, SMALL_CPC_V2_GRID, AUTOAUGMENT, GRAY_25, NORMALIZE}}}},
    {"cpc-v2-eval", 260, {{1, {CPC_V2_FIT, CENTER, NORMALIZE, CPC_V2_GRID}}}},
    {"cpc-v2-eval-cifar", 30, {{1, {SMALL_CPC_V2_FIT, CENTER, NORMALIZE, SMALL_CPC_V2_GRID}}}}};
/* clang-format on */

enum { NUM_PRESETS = sizeof presets / sizeof *presets };

/* ---- a step's transform ---- */

static void set_statistics(sslcv_transform *t, const double mean[3], const double deviation[3])
{
    memcpy(t->mean, mean, 3 * sizeof *mean);
    memcpy(t->std, deviation, 3 * sizeof *deviation);
    t->count = 3;
}

static void set_patches(sslcv_transform *t, int64_t cells, int32_t placement)
{
    t->rows = t->columns = cells;
    t->placement = placement;
    t->shuffle = placement == SSLCV_PLACEMENT_CELL;
}

/** What the table of numbers has no column for. */
static void set_special(sslcv_transform *t, enum step step)
{
    static const double imagenet_mean[3] = {.485, .456, .406}, imagenet_deviation[3] = {.229, .224, .225};
    static const double swav_deviation[3] = {.228, .224, .225};
    static const double lab_mean[3] = {50, 6.025, -6.6895}, lab_deviation[3] = {50, 92.208, 101.1675};

    switch (step) {
    case PADDED_CROP: t->padding = 4; break;
    case SMALL_PADDED_CROP: t->padding = 2; break;
    case SHORTER_SIDE: t->width = 0; break;
    case LAB: t->color_space = SSLCV_COLOR_LAB; break;
    case NORMALIZE: set_statistics(t, imagenet_mean, imagenet_deviation); break;
    case NORMALIZE_SWAV: set_statistics(t, imagenet_mean, swav_deviation); break;
    case NORMALIZE_LAB: set_statistics(t, lab_mean, lab_deviation); break;
    case FIRST_CHANNEL: t->count = 1; break;
    case OTHER_CHANNELS:
        t->first = 1;
        t->count = 2;
        break;
    case JIGSAW:
    case SMALL_JIGSAW: set_patches(t, 3, SSLCV_PLACEMENT_CELL); break;
    case CPC_GRID: set_patches(t, CPC_CELLS, SSLCV_PLACEMENT_OVERLAP); break;
    case CPC_V2_GRID: set_patches(t, CPC_V2_CELLS, SSLCV_PLACEMENT_OVERLAP); break;
    case SMALL_CPC_V2_GRID: set_patches(t, SMALL_CPC_V2_CELLS, SSLCV_PLACEMENT_OVERLAP); break;
    default: break;
    }
}

static int64_t pixels_of(const struct numbers *n, int64_t size)
{
    const int64_t multiple = n->multiple ? n->multiple : 1, unit = n->of * multiple;
    const int64_t pixels = (size * n->part + unit / 2) / unit * multiple;

    return pixels > 0 ? pixels : multiple;
}

static sslcv_status add_step(sslcv_augmenter *augmenter, int64_t view, enum step step, int64_t size)
{
    const struct numbers *n = &all_numbers[step];
    sslcv_transform t;
    const sslcv_status status = sslcv_transform_init(&t, sizeof t, n->kind);

    if (status != SSLCV_OK) return status;
    t.interpolation = n->interpolation;
    if (n->of != 0) t.height = t.width = pixels_of(n, size);
    if (n->probability > 0.0) t.probability = n->probability;
    if (n->max > 0.0) {
        t.min = n->min;
        t.max = n->max;
    }
    if (n->color[0] > 0.0) {
        t.brightness = n->color[0];
        t.contrast = n->color[1];
        t.saturation = n->color[2];
        t.hue = n->color[3];
    }
    t.with_previous = n->with_previous;
    set_special(&t, step);
    return sslcv_augmenter_add_transform(augmenter, view, &t);
}

/* ---- presets ---- */

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
    char names[800] = ""; /* of all, and of a message */
    size_t used = 0;
    int i;

    for (i = 0; i < NUM_PRESETS && used < sizeof names; i++) {
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", presets[i].name);
    }
    return sslcv__fail(SSLCV_ERR_NOT_FOUND, "there is no preset \"%.64s\"; there are %s", name, names);
}

static sslcv_status add_chain(sslcv_augmenter *augmenter, const chain *c, int64_t size, int64_t first)
{
    const int begin = c->steps[0] == CONTINUE;
    sslcv_status status = SSLCV_OK;
    int64_t view, i;
    int step;

    for (i = 0; i < c->views; i++) {
        SSLCV__TRY(sslcv_augmenter_add_view(augmenter, begin ? first : SSLCV_SOURCE_IMAGE, &view));
        for (step = begin; step < MAX_STEPS && c->steps[step] != END; step++) {
            SSLCV__TRY(add_step(augmenter, view, c->steps[step], size));
        }
    }
end:
    return status;
}

static sslcv_status add_views(sslcv_augmenter *augmenter, const struct preset *p, int64_t size)
{
    const int64_t first = sslcv__augmenter_num_views(augmenter);
    sslcv_status status = SSLCV_OK;
    int i;

    for (i = 0; i < MAX_CHAINS; i++) SSLCV__TRY(add_chain(augmenter, &p->chains[i], size, first));
end:
    if (status != SSLCV_OK) sslcv__augmenter_drop_views(augmenter, first);
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
    if (status != SSLCV_OK) return status;
    if (first) *first = before;
    if (count) *count = sslcv__augmenter_num_views(augmenter) - before;
    return SSLCV_OK;
}
