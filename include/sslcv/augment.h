/**
 * @file augment.h
 * The augmenter: a list of views of one image, each a chain of transforms.
 *
 *     int64_t view;
 *     sslcv_transform t;
 *     sslcv_augmenter_create(context, &augmenter);
 *     sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view);
 *     sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_RANDOM_RESIZED_CROP);
 *     t.height = t.width = 32;
 *     sslcv_augmenter_add_transform(augmenter, view, &t);
 *
 * A view starts from the image or from the result of an earlier view. The second form is how views share a crop: views
 * 1 and 2 below continue from view 0 and select its channels, so that their pixels lie on each other.
 *
 *     image -+- view 0: crop, flip, normalise -+- view 1: channels 0..0
 *            |                                 +- view 2: channels 1..2
 *            +- view 3: crop, patches 3x3, jitter, normalise      (9 patches an image)
 *
 * A batch of B images gives, for a view, a dense f32 tensor (B * P, C, H, W). P is the number of patches, 1 without
 * SSLCV_TRANSFORM_PATCHES; patch p (row-major in the grid, or as shuffled) of image b is row b * P + p.
 *
 * Chains run on f32 values in [0, 1] (u8 and u16 divided by full scale) with the arithmetic of torchvision on float
 * tensors: nothing is rounded to bytes in between. Draws depend only on (seed, epoch, sample, view, patch, place in
 * the chain): not on threads, batch size or what else is computed. An augmenter that has been used is fixed.
 */
#ifndef SSLCV_AUGMENT_H
#define SSLCV_AUGMENT_H

#include "context.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sslcv_augmenter sslcv_augmenter;

enum { SSLCV_SOURCE_IMAGE = -1 };

/** Also of backbones. Arrays of this length are part of sslcv_transform: it never changes. */
enum { SSLCV_MAX_CHANNELS = 16 };

/**
 * Each: what it does; the fields that it reads, with its defaults. No default: must be set. Those that read probability
 * read with_previous (0) too. docs/augment.md has formulas and sources.
 */
enum sslcv_transform_kind {
    /** A box of the image, resized: height, width; interpolation; area share min .. max (.08, 1); ratio_min ..
        ratio_max (3/4, 4/3). Ten tries, then the largest centred box with a ratio in range. */
    SSLCV_TRANSFORM_RANDOM_RESIZED_CROP = 1,
    /** height, width; padding (0). Images that are smaller even with padding are refused. */
    SSLCV_TRANSFORM_RANDOM_CROP = 2,
    /** height, width. Zeros around an image that is smaller. */
    SSLCV_TRANSFORM_CENTER_CROP = 3,
    /** height, width; interpolation. width 0 (default): the shorter side becomes height. */
    SSLCV_TRANSFORM_RESIZE = 4,
    SSLCV_TRANSFORM_HORIZONTAL_FLIP = 5, /* probability (.5) */
    SSLCV_TRANSFORM_VERTICAL_FLIP   = 6, /* probability (.5) */
    /** Counter-clockwise by min .. max (0, 3) quarter turns, both whole numbers; probability (1). Images must be square
        where a turn that swaps height and width may be made or not. */
    SSLCV_TRANSFORM_ROTATE90 = 7,
    /** brightness, contrast, saturation, hue (.4 .4 .4 .1) in an order drawn for each image; probability (1). Results
        are clipped to [0, 1]. On 1 channel brightness and contrast only; on other numbers than 1 and 3 saturation and
        hue must be 0. Contrast is about the mean luma of 3 channels, else about the mean of all values. */
    SSLCV_TRANSFORM_COLOR_JITTER = 8,
    /** Luma .2989 R + .587 G + .114 B; probability (.2); count: channels left, 0 (default) as before, or 1, which
        needs probability 1. 3 channels; 1 channel stays as it is. */
    SSLCV_TRANSFORM_GRAYSCALE = 9,
    /** sigma min .. max pixels (.1, 2); probability (.5). A separable Gaussian, cut off at 3 sigma and normalised,
        the picture mirrored about its edge pixels. */
    SSLCV_TRANSFORM_GAUSSIAN_BLUR = 10,
    /** v becomes 1 - v where v >= threshold min .. max (.5, .5); probability (.2). */
    SSLCV_TRANSFORM_SOLARIZE = 11,
    /** The byte that v is, its low bits zeroed: bits min .. max (4, 7) are left, whole numbers in 1 .. 8; probability
        (1). */
    SSLCV_TRANSFORM_POSTERIZE = 12,
    /** Mixed with itself smoothed, f x + (1 - f) smooth, clipped to [0, 1]: factor f min .. max (.1, 1.9), >= 0;
        probability (1). Pixels of the edge stay. */
    SSLCV_TRANSFORM_SHARPNESS     = 13,
    SSLCV_TRANSFORM_AUTOCONTRAST  = 14, /* each channel's least value becomes 0, its largest 1; probability (1) */
    SSLCV_TRANSFORM_RANDOM_WINDOW = 15, /* a random height x width window stays in place, 0 outside; probability (1) */
    /** R, G, B to color_space, in its usual units: L is 0 .. 100, luma of YCbCr 16 .. 235. 3 channels. */
    SSLCV_TRANSFORM_CONVERT_COLOR   = 16,
    SSLCV_TRANSFORM_SELECT_CHANNELS = 17, /* first (0), count */
    SSLCV_TRANSFORM_DROP_CHANNELS   = 18, /* one channel, drawn, is copied to all; probability (1) */
    SSLCV_TRANSFORM_SOBEL           = 19, /* two gradient channels of the mean of all channels, 0 around the image */
    /** (x - mean[c]) / std[c]; default mean 0, std 1. count: how many entries are given, 0 (default): one for each
        channel of the image. When an image has another number of channels than count, each of its channels takes the
        average of the given means and the average of the given deviations; so presets take grey images too. */
    SSLCV_TRANSFORM_NORMALIZE = 20,
    /** rows x columns (1 .. 256 each) patches of height x width; placement, shuffle (0). A grid that does not fit the
        image is refused. What follows in the chain, and in views that continue from this one, is drawn for each patch
        by itself. Once from an image to a view. */
    SSLCV_TRANSFORM_PATCHES = 21,
    /** callbacks; count, height, width: result's shape, 0 (default) as before; probability (1), which must be 1 where
        the shape changes. */
    SSLCV_TRANSFORM_CUSTOM = 22,
    /** A pixel is what lies f y, or f x, to its right, or below it, with f min .. max (-.3, .3); interpolation
        (bilinear) or nearest; probability (1). So for the next three. 0 where nothing lies. */
    SSLCV_TRANSFORM_SHEAR_X = 23,
    SSLCV_TRANSFORM_SHEAR_Y = 24,
    /** Whole pixels: min .. max (-150/331, 150/331) of the width, or of the height, left or up. */
    SSLCV_TRANSFORM_TRANSLATE_X = 25,
    SSLCV_TRANSFORM_TRANSLATE_Y = 26,
    SSLCV_TRANSFORM_ROTATE      = 27, /* counter-clockwise about the middle by min .. max degrees (-30, 30) */
    /** All bytes of each channel equally often, as near as whole levels allow; probability (1). Images of fewer than
        256 pixels stay as they are, but for rounding to bytes. */
    SSLCV_TRANSFORM_EQUALIZE = 28,
    /** count (2) of AutoAugment's 14 operations, each as likely, one after the other: shears, translations, rotation
        (nearest), autocontrast, invert, equalise, solarise, posterise, contrast, saturation, brightness, sharpness, in
        their whole ranges; probability (1). 1 or 3 channels. */
    SSLCV_TRANSFORM_AUTOAUGMENT = 29,
    /** Control points a quarter of a side apart move by normal shifts of deviation min .. max (.15, .15) of that
        distance, and the image follows; bilinear, mirrored about edge pixels; probability (1). */
    SSLCV_TRANSFORM_ELASTIC = 30,
    /** A smooth random curve for each channel from U(-.1, .1) at 0 to U(.9, 1.1) at 1 with slopes about .5 .. 2,
        clipped to [0, 1]; probability (1). */
    SSLCV_TRANSFORM_TONE_CURVE = 31
};

/**
 * Bilinear and bicubic (a = -0.5) are anti-aliased when they shrink, and clamped to the box that is resized; bicubic
 * results are clipped to [0, 1]. Nearest takes the pixel that the centre of the new one falls into.
 */
enum sslcv_interpolation {
    SSLCV_INTERPOLATION_BILINEAR = 0,
    SSLCV_INTERPOLATION_BICUBIC  = 1,
    SSLCV_INTERPOLATION_NEAREST  = 2
};

/** Lab: CIE 1976 of sRGB under D65, 2 degrees. YDbDr and YCbCr (BT.601): linear in R, G, B as they are. */
enum sslcv_color_space { SSLCV_COLOR_LAB = 1, SSLCV_COLOR_YDBDR = 2, SSLCV_COLOR_YCBCR = 3 };

enum sslcv_placement {
    /** Evenly from edge to edge, row r at r (H - height) / (rows - 1), which must be whole and above 0; with one row,
        height is H. Likewise columns (CPC). */
    SSLCV_PLACEMENT_OVERLAP = 0,
    /** At a random place inside its own cell of H / rows x W / columns, which must be whole (jigsaw, PIRL). */
    SSLCV_PLACEMENT_CELL = 1
};

/** Set in a callback table's flags: the host promises that its functions may run on any thread, several at once. */
enum { SSLCV_CALLBACK_ANY_THREAD = 1 };

/** A transform of the host. Without SSLCV_CALLBACK_ANY_THREAD the whole chain runs on the thread inside the library. */
typedef struct sslcv_transform_callbacks {
    size_t  struct_size;
    void   *user;
    /** src, dst: (channels, height, width), dense f32, valid during the call; dst is not set yet. random: 64 bits that
        belong to this draw alone; use them as the seed of anything random. Positive: the sample fails as an unreadable
        image would (SSLCV_ERR_IO); negative: stop, with SSLCV_ERR_CANCELLED. */
    int32_t (*apply)(void *user, const sslcv_tensor *src, sslcv_tensor *dst, uint64_t random);
    void    (*destroy)(void *user); /* once, with the augmenter that took the table; may be NULL */
    int32_t flags;                  /* 0 or SSLCV_CALLBACK_ANY_THREAD */
    int32_t reserved;               /* 0 */
} sslcv_transform_callbacks;

typedef struct sslcv_transform {
    size_t  struct_size;
    int32_t kind;
    int32_t interpolation;                      /* SSLCV_INTERPOLATION_*; default bilinear */
    double  probability;                        /* 0 .. 1 that it is applied */
    int64_t height, width;                      /* pixels, 1 .. 65536 */
    int64_t rows, columns;                      /* of the patch grid */
    int64_t padding;                            /* pixels of zeros on each side, 0 .. 65536 */
    int64_t first, count;                       /* channels, within SSLCV_MAX_CHANNELS */
    double  min, max;                           /* range of the uniform draw; unit and default by kind */
    double  ratio_min, ratio_max;               /* width / height, drawn log-uniformly */
    double  brightness, contrast, saturation;   /* >= 0; factor from max(0, 1 - x) .. 1 + x */
    double  hue;                                /* turns, 0 .. .5; shift from -hue .. hue */
    double  mean[SSLCV_MAX_CHANNELS];
    double  std[SSLCV_MAX_CHANNELS];            /* > 0 */
    int32_t color_space;                        /* SSLCV_COLOR_*; no default */
    int32_t placement;                          /* SSLCV_PLACEMENT_*; default overlap */
    int32_t shuffle;                            /* 1: random order of the patches; 0: row-major */
    int32_t with_previous;                      /* 1: applied exactly when the one before it in the chain is, and
                                                   probability is not drawn (a group with one coin: PIRL) */
    const sslcv_transform_callbacks *callbacks; /* copied */
} sslcv_transform;

typedef struct sslcv_view_info {
    size_t  struct_size;
    int64_t channels, height, width; /* of one patch; 0 where it follows the image's */
    int64_t rows, columns;           /* of the patch grid; 1, 1 without; P = rows * columns */
} sslcv_view_info;

/**
 * Make an augmenter without views.
 *
 * @param context   Not NULL.
 * @param augmenter Out: owned.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_augmenter_create(sslcv_context *context, sslcv_augmenter **augmenter);

/**
 * Give back the caller's reference; NULL is accepted.
 *
 * @param augmenter NULL or a handle.
 * @threads One thread at a time per handle.
 * @since   0.1
 */
SSLCV_API void sslcv_augmenter_destroy(sslcv_augmenter *augmenter);

/**
 * Append a view with an empty chain.
 *
 * @param augmenter Not NULL.
 * @param source    SSLCV_SOURCE_IMAGE or the index of an earlier view whose result this one continues.
 * @param view      Out: its index, counted from 0; may be NULL.
 * @return SSLCV_OK; SSLCV_ERR_STATE (already used).
 * @threads One thread at a time per augmenter.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_augmenter_add_view(sslcv_augmenter *augmenter, int64_t source, int64_t *view);

/**
 * Set every field to the defaults of a kind.
 *
 * @param transform   Not NULL.
 * @param struct_size sizeof(sslcv_transform).
 * @param kind        SSLCV_TRANSFORM_RANDOM_RESIZED_CROP ...
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_transform_init(sslcv_transform *transform, size_t struct_size, int32_t kind);

/**
 * Append a transform to a view's chain.
 *
 * @param augmenter Not NULL.
 * @param view      Index from add_view.
 * @param transform Copied, with its callback table. A field that its kind does not read must be as init left it. A
 *                  chain that no image can pass is refused.
 * @return SSLCV_OK; SSLCV_ERR_STATE (already used, a view that another already continues, or patches of patches).
 * @threads One thread at a time per augmenter.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_augmenter_add_transform(sslcv_augmenter *augmenter, int64_t view, const sslcv_transform *transform);

/**
 * Append the published views of a method. An unknown name fails and lists them.
 *
 *     simclr          2 views: random resized crop, flip, jitter .8 .8 .8 .2 (probability .8), grey .2, blur .5; no
 *                     normalisation (224)
 *     simclr-cifar    2 views: random resized crop, flip, jitter .4 .4 .4 .1 (probability .8), grey .2 (32)
 *     moco-v1         2 views: crop of at least .2, grey .2, jitter .4 .4 .4 .4, flip (224)
 *     moco-v2         2 views: crop of at least .2, jitter .4 .4 .4 .1 (.8), grey .2, blur .5, flip (224)
 *     moco-cifar      simclr-cifar
 *     swav            8 views: 2 crops of .14 .. 1 and 6 of .05 .. .14 with 96/224 of size, flip, jitter
 *                     .8 .8 .8 .2 (.8), grey .2, blur .5 (224, 96)
 *     swav-cifar      2 views: simclr-cifar with crops of at least .14
 *     byol            2 views: bicubic crop, flip, jitter .4 .4 .2 .1 (.8), grey .2, blur; in view 1 blur .1 and
 *                     solarise .2 (224)
 *     byol-cifar      2 views: crop, flip, jitter .4 .4 .2 .1 (.8), grey .2; in view 1 solarise .2 (32)
 *     simsiam         moco-v2
 *     simsiam-cifar   2 views: simclr-cifar with crops of at least .2
 *     barlow, vicreg  byol; barlow-cifar, vicreg-cifar: byol-cifar
 *     dino            10 views: 2 as byol with crops of at least .4, 8 with crops of .05 .. .4 and 96/224 of size and
 *                     blur .5 (224, 96)
 *     dino-cifar      2 views: byol-cifar with crops of at least .4
 *     pirl-jigsaw     2 views. 0: crop, jitter .4 .4 .4 .2, then with .66 posterise, sharpness, solarise and
 *                     autocontrast, then grey .2, flip (224). 1: crop of at least .6 to 255/224 of size, 9 patches (64)
 *                     in cells of a third (85), shuffled, each with the rest of that chain
 *     pirl-rotation   2 views: as view 0 of pirl-jigsaw; view 1 turned by 0 .. 3 quarters
 *     pirl-jigsaw-blur, pirl-rotation-blur  the same with flip, jitter .8 .8 .8 .2 (.8), grey .2, blur .5 in place of
 *                     that chain
 *     pirl-cifar      2 views. 0: simclr-cifar. 1: crop of at least .6 to 36/32 of size, 9 patches (10) in cells of a
 *                     third (12), shuffled, each with jitter .4 .4 .4 .1 (.8), grey .2, flip
 *     pirl-rotation-cifar  2 views: simclr-cifar; view 1 turned by 0 .. 3 quarters
 *     cmc             3 views. 0: crop, flip, Lab scaled to [-1, 1] (224). 1, 2: its channels L and ab
 *     cmc-cifar       the same (32)
 *     cpc             1 view: resize to 300/256 of size, random crop, flip, grey, 7 x 7 patches of size / 4 at
 *                     half of that apart, 0 outside a window of 60/64 of each (256)
 *     cpc-cifar       1 view: random crop with padding 4, flip, jitter .4 .4 .4 .1 (.8), grey .25, 7 x 7 patches of
 *                     size / 4 at half of that apart (32)
 *     cpc-v2          1 view: resize to 300/260 of size, random crop, flip, 6 x 6 patches of 80/260 at 36/260 apart,
 *                     each with 2 operations of AutoAugment, elastic deformation and shears .2, tone curves .2,
 *                     jitter .5 .5 .5 0 (.8), grey .25 (260)
 *     cpc-v2-cifar    1 view: resize to 32/30 of size, random crop with padding 2, flip, 5 x 5 patches of size / 3 at
 *                     half of that apart, each with 2 operations of AutoAugment, grey .25 (30)
 *     deepcluster     1 view: random resized crop, flip (224); deepcluster-cifar (32)
 *     deepcluster-v2  swav; deepcluster-v2-cifar: swav-cifar
 *     finetune        1 view: random resized crop, flip (224)
 *     finetune-cifar  1 view: resize to size x size, random crop of it with padding 4, flip (32)
 *     eval            1 view: shorter side to 256/224 of size, centre crop (224)
 *     eval-cifar      1 view: resize to size x size (32)
 *     cmc-eval, cpc-eval  the views of cmc and cpc with nothing drawn; cmc-eval-cifar, cpc-eval-cifar
 *     cpc-v2-eval     likewise, of cpc-v2; cpc-v2-eval-cifar
 *
 * In brackets probabilities and the published size, in pixels; crops are of .08 .. 1 where nothing is said. All but
 * "simclr" and those of cmc end with ImageNet's mean and deviation, whatever the data; swav and deepcluster-v2 with the
 * deviation .228 for red that their code has. A resize of an image that has the size already changes nothing. All take
 * images of 1 or 3 channels, those of cmc 3. Sizes must be divided by 8 in cpc, 65 in cpc-v2, 6 in cpc-v2-cifar.
 * docs/augment.md has the sources.
 *
 * @param augmenter Not NULL.
 * @param preset    Name.
 * @param size      Height and width of the (large) crop, 1 .. 57344 pixels; 0: as published.
 * @param first     Out: index of the first view added; may be NULL.
 * @param count     Out: views added; may be NULL.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND; SSLCV_ERR_STATE.
 * @threads One thread at a time per augmenter.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_augmenter_add_preset(sslcv_augmenter *augmenter, const char *preset, int64_t size,
                                                  int64_t *first, int64_t *count);

/**
 * Shape of a view.
 *
 * @param augmenter Not NULL.
 * @param view      0 .. number of views - 1.
 * @param info      In: struct_size. Out: the rest.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (past the last view: so count them).
 * @threads Any while nobody adds.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_augmenter_get_view(const sslcv_augmenter *augmenter, int64_t view, sslcv_view_info *info);

/**
 * Make one view of one image, exactly as a loader would.
 *
 * @param augmenter Not NULL.
 * @param image     (C, H, W), C 1 .. SSLCV_MAX_CHANNELS, SSLCV_U8, U16 or F32, any strides.
 * @param seed      Seed of the draws; any value.
 * @param epoch     >= 0.
 * @param sample    >= 0: index of the image in its data set.
 * @param view      Index.
 * @param out       (C, H, W), or (P, C, H, W) when P > 1; dense f32; data NULL asks for the shape.
 * @return SSLCV_OK; SSLCV_ERR_IO, SSLCV_ERR_CANCELLED (a custom transform's answer was positive, negative);
 *         SSLCV_ERR_NUMERIC (an F32 image with a value that is not finite); SSLCV_ERR_NOT_FOUND (no such view).
 * @threads Any, several at once, unless a custom transform lacks SSLCV_CALLBACK_ANY_THREAD.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_augmenter_apply(sslcv_augmenter *augmenter, const sslcv_tensor *image, uint64_t seed,
                                             int64_t epoch, int64_t sample, int64_t view, sslcv_tensor *out);

#ifdef __cplusplus
}
#endif
#endif
