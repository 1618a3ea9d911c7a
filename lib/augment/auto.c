/**
 * What CPC-v2 does to the colours of a patch: equalisation, random tone curves; and AutoAugment's operations at random.
 */
#include "augment/transform.h"

#include <math.h>

/* ---- equalise: Pillow's, on the bytes that values are ---- */

enum { LEVELS = 256 };

static int64_t level_of(float v)
{
    return v > 0.0f ? (v < 1.0f ? (int64_t)(255.0f * v + 0.5f) : LEVELS - 1) : 0; /* no number: 0 */
}

void sslcv__equalize(float *values, int64_t count)
{
    int64_t histogram[LEVELS] = {0}, i, step, sum, last = 0;
    float table[LEVELS];

    for (i = 0; i < count; i++) histogram[level_of(values[i])]++;
    for (i = 0; i < LEVELS; i++) {
        if (histogram[i] > 0) last = histogram[i];
    }
    step = (count - last) / (LEVELS - 1);
    for (sum = step / 2, i = 0; i < LEVELS; sum += histogram[i], i++) {
        const int64_t level = step > 0 ? sum / step : i;

        table[i] = (float)(level < LEVELS ? level : LEVELS - 1) / 255.0f;
    }
    for (i = 0; i < count; i++) values[i] = table[level_of(values[i])];
}

static sslcv_status equalize_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t *shape = picture->now.shape, pixels = shape[1] * shape[2];
    const sslcv_status status = sslcv__picture_own(picture);
    int64_t c;

    (void)t;
    (void)rng;
    if (status != SSLCV_OK) return status;
    for (c = 0; c < shape[0]; c++) sslcv__equalize((float *)picture->now.data + c * pixels, pixels);
    return SSLCV_OK;
}

const sslcv__transform_class sslcv__equalization = {
    .name = "equalize", .reads = SSLCV__READS_PROBABILITY, .apply = equalize_apply};

/* ---- tone curves: colour histograms of De Fauw et al. 2018 ---- */

enum { CURVE_CELLS = SSLCV__CURVE_POINTS - 1 };

/** Between two points dx apart, so that both slopes stay within .5 .. 2. */
static double draw_between(sslcv__rng *rng, double left, double right, double dx)
{
    const double low = fmax(left + 0.5 * dx, right - 2.0 * dx), high = fmin(left + 2.0 * dx, right - 0.5 * dx);

    return sslcv__rng_range(rng, low, high);
}

void sslcv__draw_curve(sslcv__rng *rng, double points[SSLCV__CURVE_POINTS])
{
    int64_t span, i;

    points[0] = sslcv__rng_range(rng, -0.1, 0.1);
    points[CURVE_CELLS] = sslcv__rng_range(rng, 0.9, 1.1);
    for (span = CURVE_CELLS; span > 1; span /= 2) {
        for (i = 0; i < CURVE_CELLS; i += span) {
            points[i + span / 2] =
                draw_between(rng, points[i], points[i + span], 0.5 * (double)span / (double)CURVE_CELLS);
        }
    }
}

void sslcv__bend(float *values, int64_t count, const double points[SSLCV__CURVE_POINTS])
{
    double all[SSLCV__CURVE_POINTS + 2]; /* a point more on each side, so that the curve meets the first and the last */
    int64_t i;

    for (i = 0; i < SSLCV__CURVE_POINTS; i++) all[i + 1] = points[i];
    all[0] = 2.0 * all[1] - all[2];
    all[SSLCV__CURVE_POINTS + 1] = 2.0 * all[SSLCV__CURVE_POINTS] - all[SSLCV__CURVE_POINTS - 1];
    for (i = 0; i < count; i++) {
        const double v = values[i] > 0.0f ? (values[i] < 1.0f ? (double)values[i] : 1.0) : 0.0, t = v * CURVE_CELLS;
        const int64_t cell = t < CURVE_CELLS ? (int64_t)t : CURVE_CELLS - 1;
        const double bent = sslcv__spline(all + cell, 1, t - (double)cell);

        values[i] = (float)fmin(fmax(bent, 0.0), 1.0);
    }
}

static sslcv_status curve_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    const int64_t *shape = picture->now.shape, pixels = shape[1] * shape[2];
    const sslcv_status status = sslcv__picture_own(picture);
    double points[SSLCV__CURVE_POINTS];
    int64_t c;

    (void)t;
    if (status != SSLCV_OK) return status;
    for (c = 0; c < shape[0]; c++) {
        sslcv__draw_curve(rng, points);
        sslcv__bend((float *)picture->now.data + c * pixels, pixels, points);
    }
    return SSLCV_OK;
}

const sslcv__transform_class sslcv__tone_curve = {
    .name = "tone_curve", .reads = SSLCV__READS_PROBABILITY, .apply = curve_apply};

/* ---- AutoAugment's operations ---- */

/** Each is a transform of its own with the range of Cubuk et al. 2019, table 1. */
static const struct operation {
    int32_t kind, has_range;
    double min, max;
    double color[3]; /* brightness, contrast, saturation: .1 .. 1.9 */
} operations[] = {{.kind = SSLCV_TRANSFORM_SHEAR_X},
                  {.kind = SSLCV_TRANSFORM_SHEAR_Y},
                  {.kind = SSLCV_TRANSFORM_TRANSLATE_X},
                  {.kind = SSLCV_TRANSFORM_TRANSLATE_Y},
                  {.kind = SSLCV_TRANSFORM_ROTATE},
                  {.kind = SSLCV_TRANSFORM_AUTOCONTRAST},
                  {.kind = SSLCV_TRANSFORM_SOLARIZE, .has_range = 1, .min = 0.0, .max = 0.0}, /* invert */
                  {.kind = SSLCV_TRANSFORM_EQUALIZE},
                  {.kind = SSLCV_TRANSFORM_SOLARIZE, .has_range = 1, .min = 0.0, .max = 1.0},
                  {.kind = SSLCV_TRANSFORM_POSTERIZE, .has_range = 1, .min = 4.0, .max = 8.0},
                  {.kind = SSLCV_TRANSFORM_COLOR_JITTER, .color = {0.0, 0.9, 0.0}},
                  {.kind = SSLCV_TRANSFORM_COLOR_JITTER, .color = {0.0, 0.0, 0.9}},
                  {.kind = SSLCV_TRANSFORM_COLOR_JITTER, .color = {0.9, 0.0, 0.0}},
                  {.kind = SSLCV_TRANSFORM_SHARPNESS}};

enum { NUM_OPERATIONS = sizeof operations / sizeof operations[0], MAX_COUNT = 16 };

static void auto_defaults(sslcv_transform *t)
{
    t->count = 2;
}

static sslcv_status auto_check(const sslcv_transform *t)
{
    return sslcv__transform_check_int(sslcv__autoaugment.name, "count", t->count, 1, MAX_COUNT);
}

static sslcv_status auto_shape(const sslcv_transform *t, int64_t shape[3])
{
    (void)t;
    if (shape[0] == 0 || shape[0] == 1 || shape[0] == 3) return SSLCV_OK;
    return sslcv__invalid("autoaugment gets an image of %lld channels; it must have 1 or 3", (long long)shape[0]);
}

static void set_operation(sslcv_transform *t, const struct operation *o)
{
    sslcv_transform_init(t, sizeof *t, o->kind);
    if (o->has_range) {
        t->min = o->min;
        t->max = o->max;
    }
    if (o->kind == SSLCV_TRANSFORM_COLOR_JITTER) {
        t->brightness = o->color[0];
        t->contrast = o->color[1];
        t->saturation = o->color[2];
        t->hue = 0.0;
    }
    if (sslcv__transform_class_of(o->kind)->reads & SSLCV__READS_INTERPOLATION) {
        t->interpolation = SSLCV_INTERPOLATION_NEAREST;
    }
}

/** Only the last one may leave its result where the view is wanted: the next one's source must lie elsewhere. */
static sslcv_status auto_apply(const sslcv_transform *t, sslcv__rng *rng, sslcv__picture *picture)
{
    float *const out = picture->out;
    sslcv_status status = SSLCV_OK;
    sslcv_transform each;
    int64_t i;

    picture->out = NULL;
    for (i = 0; i < t->count; i++) {
        set_operation(&each, &operations[sslcv__rng_below(rng, NUM_OPERATIONS)]);
        if (i == t->count - 1) picture->out = out;
        SSLCV__TRY(sslcv__transform_class_of(each.kind)->apply(&each, rng, picture));
    }
end:
    return status;
}

const sslcv__transform_class sslcv__autoaugment = {.name = "autoaugment",
                                                   .reads = SSLCV__READS_PROBABILITY | SSLCV__READS_COUNT,
                                                   .defaults = auto_defaults,
                                                   .check = auto_check,
                                                   .shape = auto_shape,
                                                   .apply = auto_apply};
