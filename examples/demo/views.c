#include "views.h"

#include "study.h"

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((status = (call)) != SSLCV_OK) goto end;                                                                   \
    } while (0)

enum { NETWORK_SIDE = 56 }; /* pixels: images are enlarged to it */

static sslcv_status add_flip(sslcv_augmenter *augmenter, int64_t view)
{
    sslcv_transform t;
    sslcv_status status;

    TRY(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_HORIZONTAL_FLIP));
    TRY(sslcv_augmenter_add_transform(augmenter, view, &t));
end:
    return status;
}

static sslcv_status add_enlarge(sslcv_augmenter *augmenter, int64_t view)
{
    sslcv_transform t;
    sslcv_status status;

    TRY(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_RESIZE));
    t.height = t.width = NETWORK_SIDE;
    TRY(sslcv_augmenter_add_transform(augmenter, view, &t));
end:
    return status;
}

/* Mean and deviation of the training images' pixels. */
static sslcv_status add_normalize(sslcv_augmenter *augmenter, int64_t view)
{
    sslcv_transform t;
    sslcv_status status;

    TRY(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_NORMALIZE));
    t.mean[0] = 0.2860;
    t.std[0] = 0.3530;
    TRY(sslcv_augmenter_add_transform(augmenter, view, &t));
end:
    return status;
}

/* What two views of one garment may differ in: side, brightness and contrast, place and size. Its outline, which tells
   the classes apart, must survive, so the crop is milder than ImageNet's. The crop comes last because it enlarges. */
static sslcv_status add_contrast_view(sslcv_augmenter *augmenter)
{
    sslcv_transform t;
    int64_t view;
    sslcv_status status;

    TRY(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
    TRY(add_flip(augmenter, view));
    TRY(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_COLOR_JITTER));
    t.brightness = 0.4;
    t.contrast = 0.4;
    t.saturation = t.hue = 0;
    t.probability = 0.8;
    TRY(sslcv_augmenter_add_transform(augmenter, view, &t));
    TRY(add_normalize(augmenter, view));
    TRY(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_RANDOM_RESIZED_CROP));
    t.height = t.width = NETWORK_SIDE;
    t.min = 0.3;
    TRY(sslcv_augmenter_add_transform(augmenter, view, &t));
end:
    return status;
}

sslcv_status views_contrast(sslcv_context *context, sslcv_augmenter **augmenter)
{
    sslcv_status status;

    TRY(sslcv_augmenter_create(context, augmenter));
    TRY(add_contrast_view(*augmenter));
    TRY(add_contrast_view(*augmenter));
end:
    return status;
}

sslcv_status views_supervised(sslcv_context *context, sslcv_augmenter **augmenter)
{
    sslcv_transform t;
    int64_t view;
    sslcv_status status;

    TRY(sslcv_augmenter_create(context, augmenter));
    TRY(sslcv_augmenter_add_view(*augmenter, SSLCV_SOURCE_IMAGE, &view));
    TRY(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_RANDOM_CROP));
    t.height = t.width = STUDY_SIDE;
    t.padding = 2;
    TRY(sslcv_augmenter_add_transform(*augmenter, view, &t));
    TRY(add_flip(*augmenter, view));
    TRY(add_normalize(*augmenter, view));
    TRY(add_enlarge(*augmenter, view));
end:
    return status;
}

sslcv_status views_plain(sslcv_context *context, int32_t enlarge, sslcv_augmenter **augmenter)
{
    int64_t view;
    sslcv_status status;

    TRY(sslcv_augmenter_create(context, augmenter));
    TRY(sslcv_augmenter_add_view(*augmenter, SSLCV_SOURCE_IMAGE, &view));
    TRY(add_normalize(*augmenter, view));
    if (enlarge) TRY(add_enlarge(*augmenter, view));
end:
    return status;
}
