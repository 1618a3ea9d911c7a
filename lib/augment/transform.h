/**
 * Inside the augmenter: the picture that goes down a chain, and what every kind of transform brings.
 *
 * A picture is (channels, height, width). It begins as its source, of any dtype and strides, which is not ours to
 * write; the first transform that makes new pixels, or sslcv__picture_own(), turns it into dense f32 in one of the two
 * buffers of the scratch. Crops so read an image where it lies, and only the part that they need.
 */
#ifndef SSLCV__TRANSFORM_H
#define SSLCV__TRANSFORM_H

#include <sslcv/augment.h>

#include "augment/augmenter.h"
#include "core/error.h"
#include "core/rng.h"
#include "image/resize.h"

enum { SSLCV__MAX_SIDE = 65536 }; /* pixels of a result */

enum sslcv__scratch_slot {
    SSLCV__SLOT_EVEN,    /* the picture is in one of these two, or still in its source */
    SSLCV__SLOT_ODD,
    SSLCV__SLOT_WORK,    /* of one transform, during it */
    SSLCV__SLOT_WHOLE,   /* what patches are cut out of */
    SSLCV__SLOT_PATCHES, /* where they lie */
    SSLCV__SLOT_ANSWER,  /* of sslcv_augmenter_apply(), until all patches are made */
    SSLCV__SLOT_RESULTS, /* the table of views of a run */
    SSLCV__NUM_SLOTS
};

struct sslcv__augment_scratch {
    sslcv_context *context; /* the owner keeps it alive */
    void         **slots;   /* SSLCV__NUM_SLOTS, then one for each view that others continue */
    int64_t       *bytes;   /* of each */
    int64_t        num_slots;
};

/** Room for bytes in a slot; what was in it is lost. Allocates only when it has to grow. */
sslcv_status sslcv__scratch_room(sslcv__augment_scratch *scratch, int64_t slot, int64_t bytes, void *room);

/** What is in one slot is in the other afterwards; both below the number of slots. */
void sslcv__scratch_swap(sslcv__augment_scratch *scratch, int64_t a, int64_t b);

typedef struct sslcv__picture {
    sslcv_tensor            now; /* (channels, height, width) */
    sslcv__augment_scratch *scratch;
    int64_t                 slot; /* where now is dense f32 and ours; -1: still the source */
    float                  *out;  /* for the last transform of a chain: where its result may go at once; else NULL */
    int64_t                 out_floats; /* of that result */
} sslcv__picture;

/** Make it dense f32 that can be written. */
sslcv_status sslcv__picture_own(sslcv__picture *picture);

/** Room for the result of a transform, (channels, height, width), apart from what the picture is now: out, where that
    is what goes there. After it a transform must not fail any more. */
sslcv_status sslcv__picture_next(sslcv__picture *picture, int64_t channels, int64_t height, int64_t width, float **dst);

/** That result is the picture from now on. */
void sslcv__picture_take(sslcv__picture *picture, int64_t channels, int64_t height, int64_t width, float *dst);

/** One kind of transform. defaults, check and shape may be NULL; apply of patches alone is. */
typedef struct sslcv__transform_class {
    const char *name; /* for messages: "color_jitter" */
    uint32_t    reads; /* fields, a bit each: transform.c */
    uint32_t    reserved;
    void (*defaults)(sslcv_transform *t);
    sslcv_status (*check)(const sslcv_transform *t);
    /** Shape in, shape out. 0: not known. Refuses what apply could not take. */
    sslcv_status (*shape)(const sslcv_transform *t, int64_t shape[3]);
    /** The picture has passed shape. */
    sslcv_status (*apply)(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture);
} sslcv__transform_class;

extern const sslcv__transform_class sslcv__random_resized_crop, sslcv__random_crop, sslcv__center_crop, sslcv__resizing;
extern const sslcv__transform_class sslcv__horizontal_flip, sslcv__vertical_flip, sslcv__rotate90;
extern const sslcv__transform_class sslcv__color_jitter, sslcv__grayscale, sslcv__solarize;
extern const sslcv__transform_class sslcv__posterize, sslcv__autocontrast, sslcv__convert_color_space;
extern const sslcv__transform_class sslcv__gaussian_blur, sslcv__sharpness, sslcv__sobel;
extern const sslcv__transform_class sslcv__select_channels, sslcv__drop_channels, sslcv__normalize, sslcv__custom;
extern const sslcv__transform_class sslcv__random_window, sslcv__patches;
extern const sslcv__transform_class sslcv__shear_x, sslcv__shear_y, sslcv__translate_x, sslcv__translate_y;
extern const sslcv__transform_class sslcv__rotate;
extern const sslcv__transform_class sslcv__equalization, sslcv__autoaugment, sslcv__elastic, sslcv__tone_curve;

/** Bits of sslcv__transform_class.reads. */
enum {
    SSLCV__READS_SIZE          = 1 << 0, /* height, width */
    SSLCV__READS_INTERPOLATION = 1 << 1,
    SSLCV__READS_PROBABILITY   = 1 << 2,
    SSLCV__READS_PADDING       = 1 << 3,
    SSLCV__READS_FIRST         = 1 << 4,
    SSLCV__READS_COUNT         = 1 << 5,
    SSLCV__READS_RANGE         = 1 << 6, /* min, max */
    SSLCV__READS_RATIO         = 1 << 7,
    SSLCV__READS_COLOR         = 1 << 8, /* brightness, contrast, saturation, hue */
    SSLCV__READS_MEAN          = 1 << 9, /* mean, std */
    SSLCV__READS_CALLBACKS     = 1 << 10,
    SSLCV__READS_GRID          = 1 << 11, /* rows, columns, placement, shuffle */
    SSLCV__READS_COLOR_SPACE   = 1 << 12
};

const sslcv__transform_class *sslcv__transform_class_of(int32_t kind); /* NULL: no such kind */

/** Take back the last views, keep that many. */
void sslcv__augmenter_drop_views(sslcv_augmenter *augmenter, int64_t keep);

/** Everything that can be wrong with a transform by itself. */
sslcv_status sslcv__transform_check(const sslcv_transform *t);

/** SSLCV_ERR_INVALID_ARGUMENT unless low <= value <= high: "crop.height is 0; must be 1 .. 65536". */
sslcv_status sslcv__transform_check_int(const char *name, const char *field, int64_t value, int64_t low, int64_t high);

/** The same for reals; not a number is never in range. */
sslcv_status sslcv__transform_check_real(const char *name, const char *field, double value, double low, double high);
sslcv_status sslcv__transform_check_positive(const char *name, const char *field, double value, double high);

/** min and max are whole numbers, low <= min <= max <= high. */
sslcv_status sslcv__transform_check_whole(const char *name, const sslcv_transform *t, int64_t low, int64_t high);

/** One of min .. max, where both are whole numbers. */
int64_t sslcv__draw_whole(const sslcv_transform *t, sslcv__rng *rng);

/* ---- what transforms do once the draws are made; tests call them too ---- */

typedef struct sslcv__jitter_draw {
    double  brightness, contrast, saturation, hue; /* factors; hue in turns */
    int64_t order[4];                              /* 0 brightness, 1 contrast, 2 saturation, 3 hue */
} sslcv__jitter_draw;

/** The box of a random resized crop (torchvision's rule). */
void sslcv__draw_box(const sslcv_transform *t, sslcv__rng *rng, int64_t height, int64_t width, sslcv__box *box);

void sslcv__draw_jitter(const sslcv_transform *t, sslcv__rng *rng, sslcv__jitter_draw *draw);

/** All planes have pixels values; they lie behind each other. */
void sslcv__jitter(float *planes, int64_t channels, int64_t pixels, const sslcv_transform *t,
                   const sslcv__jitter_draw *draw);
void sslcv__adjust_brightness(float *planes, int64_t channels, int64_t pixels, float factor);
void sslcv__adjust_contrast(float *planes, int64_t channels, int64_t pixels, float factor);
void sslcv__adjust_saturation(float *planes, int64_t pixels, float factor); /* 3 planes, also those below */
void sslcv__adjust_hue(float *planes, int64_t pixels, float turns);
void sslcv__to_gray(float *planes, int64_t pixels, int64_t channels_out);
void sslcv__invert_above(float *values, int64_t count, float threshold);

/** values become the bytes that they are, with that many of the upper bits left. */
void sslcv__keep_bits(float *values, int64_t count, int64_t bits);
void sslcv__stretch(float *values, int64_t count); /* least value to 0, largest to 1; of one plane */
void sslcv__convert_color(float *planes, int64_t pixels, int32_t color_space);

/** dst apart from planes; both (channels, height, width). */
void sslcv__sharpen(const float *planes, int64_t channels, int64_t height, int64_t width, float factor, float *dst);

/** dst: (2, height, width), change along x, then along y; plane: (height + 2) rows of width + 2, the outer ones 0. */
void sslcv__sobel_filter(const float *plane, int64_t height, int64_t width, float *dst);

/** One plane, counter-clockwise by turns quarters; dst apart from it. */
void sslcv__turn_plane(const float *plane, int64_t height, int64_t width, int64_t turns, float *dst);

/** Bytes of working memory for sslcv__blur(), aligned as pointers are. */
int64_t sslcv__blur_bytes(int64_t height, int64_t width, int64_t radius);

/** In place; the kernel is exp(-k^2 / (2 sigma^2)), k = -radius .. radius, normalised; radius >= 1. */
void sslcv__blur(float *planes, int64_t channels, int64_t height, int64_t width, double sigma, int64_t radius,
                 void *work);

/** dst apart from planes; m: affine.c; BILINEAR or NEAREST. */
void sslcv__affine(const float *planes, int64_t channels, int64_t height, int64_t width, const double m[6],
                   int32_t interpolation, float *dst);
/** The matrix that turns an image counter-clockwise about its middle. */
void sslcv__rotation(double degrees, int64_t height, int64_t width, double m[6]);

/** One plane; with too few pixels for a step of a level, only rounded to bytes. */
void sslcv__equalize(float *values, int64_t count);

enum { SSLCV__CURVE_POINTS = 5, SSLCV__ELASTIC_CELLS = 4, SSLCV__ELASTIC_POINTS = SSLCV__ELASTIC_CELLS + 3 };

/** What becomes of 0, 1/4 ... 1; the curve through the first and last, near the others. values: of one plane. */
void sslcv__draw_curve(sslcv__rng *rng, double points[SSLCV__CURVE_POINTS]);
void sslcv__bend(float *values, int64_t count, const double points[SSLCV__CURVE_POINTS]);

/** Uniform cubic B-spline at f, 0 .. 1, behind the second of four control points. */
double sslcv__spline(const double *points, int64_t stride, double f);

/**
 * Each pixel is what lies, in pixels, so far down and across of it. dst apart from planes.
 *
 * @param down, across SSLCV__ELASTIC_POINTS in square, row-major: shifts of control points a quarter of a side apart,
 *                     of which the second is on the image's edge.
 */
void sslcv__deform(const float *planes, int64_t channels, int64_t height, int64_t width, const double *down,
                   const double *across, float *dst);

/* ---- patches ---- */

/** Upper left pixel of a patch. */
typedef struct sslcv__corner {
    int64_t top, left;
} sslcv__corner;

/**
 * Where the patches lie, in the order of the result. The grid fits the image.
 *
 * @param corners rows * columns.
 * @param order   Working memory: rows * columns.
 */
void sslcv__draw_patches(const sslcv_transform *t, sslcv__rng *rng, int64_t height, int64_t width,
                         sslcv__corner *corners, int64_t *order);

#endif
