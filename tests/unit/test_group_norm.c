/* Group norm against a twin in double: all layouts, f32 and bf16, numbers of groups, masks; and what it promises. */
#include "support.h"

#include "core/bf16.h"
#include "core/openmp.h"
#include "core/rng.h"
#include "nn/group_norm.h"

static const double epsilon = 1e-5;

typedef enum layout { NCHW16C, NCHW8C, NHWC, NCHW, NUM_LAYOUTS } layout;

static const struct {
    int64_t batch, channels, groups, height, width;
} sizes[] = {{3, 32, 32, 4, 4}, {2, 64, 32, 5, 5},  {2, 64, 1, 3, 3},    {5, 32, 4, 1, 1},   {2, 40, 1, 7, 3},
             {3, 48, 2, 6, 5},  {2, 24, 3, 3, 5},   {1, 96, 32, 17, 16}, {1, 16, 1, 40, 20}, {66, 64, 32, 2, 2},
             {2, 7, 1, 4, 5},   {2, 10, 5, 19, 19}, {2, 64, 1, 8, 8}};
enum { NUM_SIZES = sizeof sizes / sizeof sizes[0] };

static sslcv__norm_shape make_shape(int size, layout form, int32_t bf16)
{
    sslcv__norm_shape s = {.batch = sizes[size].batch,
                           .channels = sizes[size].channels,
                           .pixels = sizes[size].height * sizes[size].width,
                           .groups = sizes[size].groups,
                           .bf16 = bf16};

    s.block = form == NCHW16C ? 16 : form == NCHW8C ? 8 : form == NCHW ? 1 : s.channels;
    s.pixel_stride = s.block;
    s.block_stride = s.block * s.pixels;
    s.batch_stride = (s.channels + s.block - 1) / s.block * s.block_stride;
    return s;
}

static int64_t elements(const sslcv__norm_shape *s)
{
    return s->batch * s->batch_stride;
}

static int64_t place(const sslcv__norm_shape *s, int64_t n, int64_t c, int64_t p)
{
    return n * s->batch_stride + c / s->block * s->block_stride + p * s->pixel_stride + c % s->block;
}

static float read_at(const sslcv__norm_shape *s, const void *array, int64_t at)
{
    return s->bf16 ? sslcv__f32_from_bf16(((const uint16_t *)array)[at]) : ((const float *)array)[at];
}

static void *new_map(const sslcv__norm_shape *s)
{
    return aligned_alloc(64, (size_t)(elements(s) * 4 + 63) / 64 * 64);
}

/* Padding is 0. */
static void *draw_map(const sslcv__norm_shape *s, uint64_t seed, double mean, double deviation)
{
    void *array = new_map(s);
    sslcv__rng rng;
    int64_t n, c, p;

    memset(array, 0, (size_t)elements(s) * 4);
    sslcv__rng_init(&rng, seed, 0, SSLCV__STREAM_HOST);
    for (n = 0; n < s->batch; n++)
        for (c = 0; c < s->channels; c++)
            for (p = 0; p < s->pixels; p++) {
                const float v = (float)(mean + deviation * sslcv__rng_normal(&rng));
                if (s->bf16)
                    ((uint16_t *)array)[place(s, n, c, p)] = sslcv__f32_to_bf16(v);
                else
                    ((float *)array)[place(s, n, c, p)] = v;
            }
    return array;
}

/* ---- a set of arrays ---- */

typedef struct arrays {
    sslcv__norm_shape s;
    void *x, *r, *g, *g2, *y, *d, *diff_x, *scratch;
    float *mean, *variance, *scale, *shift, *diff_scale, *diff_shift;
    sslcv__norm_affine affine;
} arrays;

static float *draw_row(int64_t count, uint64_t seed, float mean, float deviation)
{
    float *row = malloc((size_t)count * sizeof *row);
    sslcv__rng rng;
    int64_t i;

    sslcv__rng_init(&rng, seed, 1, SSLCV__STREAM_HOST);
    for (i = 0; i < count; i++) row[i] = mean + deviation * (float)sslcv__rng_normal(&rng);
    return row;
}

static arrays make_arrays(int size, layout form, int32_t bf16, double mean)
{
    arrays a = {.s = make_shape(size, form, bf16)};
    const int64_t groups = a.s.batch * a.s.groups;

    a.x = draw_map(&a.s, 1, mean, 1.5);
    a.r = draw_map(&a.s, 2, 0.1, 1.0);
    a.g = draw_map(&a.s, 3, 0.2, 1.0);
    a.g2 = draw_map(&a.s, 4, 0.0, 2.0);
    a.y = draw_map(&a.s, 5, 0.0, 1.0);
    a.d = draw_map(&a.s, 6, 0.0, 1.0);
    a.diff_x = draw_map(&a.s, 7, 0.0, 1.0);
    a.scratch = aligned_alloc(64, (size_t)(sslcv__group_norm_scratch_bytes(&a.s) + 63) / 64 * 64);
    a.mean = draw_row(groups, 8, 0, 1);
    a.variance = draw_row(groups, 9, 0, 1);
    a.scale = draw_row(a.s.channels, 10, 1.0f, 0.3f);
    a.shift = draw_row(a.s.channels, 11, 0.0f, 0.5f);
    a.diff_scale = draw_row(a.s.channels, 12, 0, 1);
    a.diff_shift = draw_row(a.s.channels, 13, 0, 1);
    a.affine = (sslcv__norm_affine){a.mean, a.variance, a.scale, a.shift, epsilon};
    return a;
}

static void free_arrays(arrays *a)
{
    free(a->x), free(a->r), free(a->g), free(a->g2), free(a->y), free(a->d), free(a->diff_x), free(a->scratch);
    free(a->mean), free(a->variance), free(a->scale), free(a->shift), free(a->diff_scale), free(a->diff_shift);
}

static void forward(arrays *a, const void *r, int relu)
{
    const sslcv__norm_affine affine = {NULL, NULL, a->scale, a->shift, epsilon};

    sslcv__group_norm_forward(&a->s, &affine, a->x, r, relu, a->y, a->mean, a->variance, a->scratch);
}

/* ---- the twin ---- */

static void twin_statistics(const arrays *a, int64_t n, int64_t group, double *mean, double *variance)
{
    const int64_t size = a->s.channels / a->s.groups;
    const double count = (double)(size * a->s.pixels);
    int64_t c, p;

    *mean = *variance = 0;
    for (c = group * size; c < (group + 1) * size; c++)
        for (p = 0; p < a->s.pixels; p++) *mean += read_at(&a->s, a->x, place(&a->s, n, c, p)) / count;
    for (c = group * size; c < (group + 1) * size; c++)
        for (p = 0; p < a->s.pixels; p++) {
            const double v = read_at(&a->s, a->x, place(&a->s, n, c, p)) - *mean;
            *variance += v * v / count;
        }
}

/* Values within a rounding of what was expected, relative to size. */
#define WITHIN(value, expected, size, what)                                                                            \
    ck_assert_msg(fabs((double)(value) - (expected)) <= (a->s.bf16 ? 0x1p-8 : 4e-6) * fmax(fabs(expected), (size)),    \
                  "%s: %g; expected %g", what, (double)(value), (double)(expected))

static void check_padding(const arrays *a, const void *array)
{
    const int64_t padded = (a->s.channels + a->s.block - 1) / a->s.block * a->s.block;
    int64_t n, c, p;

    for (n = 0; n < a->s.batch; n++)
        for (c = a->s.channels; c < padded; c++)
            for (p = 0; p < a->s.pixels; p++) ck_assert_float_eq(read_at(&a->s, array, place(&a->s, n, c, p)), 0.0f);
}

static void check_forward(const arrays *a, const void *r, int relu)
{
    const int64_t size = a->s.channels / a->s.groups;
    double mean = 0, variance = 1;
    int64_t n, c, p;

    for (n = 0; n < a->s.batch; n++)
        for (c = 0; c < a->s.channels; c++) {
            if (c % size == 0) {
                twin_statistics(a, n, c / size, &mean, &variance);
                CLOSE(a->mean[n * a->s.groups + c / size], mean, 2e-7);
                CLOSE(a->variance[n * a->s.groups + c / size], variance, 2e-6);
            }
            for (p = 0; p < a->s.pixels; p++) {
                const int64_t at = place(&a->s, n, c, p);
                double y = (read_at(&a->s, a->x, at) - mean) / sqrt(variance + epsilon) * a->scale[c] + a->shift[c];

                if (r) y += read_at(&a->s, r, at);
                if (relu && y < 0) y = 0;
                WITHIN(read_at(&a->s, a->y, at), y, 2.0, "y");
            }
        }
    check_padding(a, a->y);
}

/* Whether a value passes is decided in f32, as the kernel does it. */
static double twin_d(const arrays *a, const void *g2, int mask, int64_t n, int64_t c, int64_t at)
{
    const int64_t group = n * a->s.groups + c / (a->s.channels / a->s.groups);
    const float factor = (float)(1.0 / sqrt((double)a->variance[group] + epsilon) * a->scale[c]);
    const float product = (read_at(&a->s, a->x, at) - a->mean[group]) * factor;
    const double d = read_at(&a->s, a->g, at) + (g2 ? read_at(&a->s, g2, at) : 0.0f);

    if (mask == SSLCV__NORM_MASK_Y) return read_at(&a->s, a->y, at) > 0.0f ? d : 0.0;
    if (mask == SSLCV__NORM_MASK_X) return product + a->shift[c] > 0.0f ? d : 0.0;
    return d;
}

static void check_group(const arrays *a, const void *g2, int mask, int wants_d, int64_t n, int64_t group, double *scale,
                        double *shift)
{
    const int64_t size = a->s.channels / a->s.groups, i = n * a->s.groups + group;
    const double inverse = 1.0 / sqrt((double)a->variance[i] + epsilon), count = (double)(size * a->s.pixels);
    double sum = 0, along = 0;
    int64_t c, p;

    for (c = group * size; c < (group + 1) * size; c++)
        for (p = 0; p < a->s.pixels; p++) {
            const int64_t at = place(&a->s, n, c, p);
            const double d = twin_d(a, g2, mask, n, c, at), unit = (read_at(&a->s, a->x, at) - a->mean[i]) * inverse;

            if (wants_d) WITHIN(read_at(&a->s, a->d, at), d, 1.0, "d");
            sum += a->scale[c] * d;
            along += a->scale[c] * d * unit;
            shift[c] += d;
            scale[c] += d * unit;
        }
    for (c = group * size; c < (group + 1) * size; c++)
        for (p = 0; p < a->s.pixels; p++) {
            const int64_t at = place(&a->s, n, c, p);
            const double unit = (read_at(&a->s, a->x, at) - a->mean[i]) * inverse;
            const double d = a->scale[c] * (wants_d ? read_at(&a->s, a->d, at) : twin_d(a, g2, mask, n, c, at));

            WITHIN(read_at(&a->s, a->diff_x, at), inverse * (d - (sum + unit * along) / count), 4.0, "diff_x");
        }
}

static void check_backward(const arrays *a, const void *g2, int mask, int wants_d)
{
    double *scale = calloc((size_t)a->s.channels, sizeof *scale), *shift = calloc((size_t)a->s.channels, sizeof *shift);
    const double size = 2.0 * sqrt((double)(a->s.batch * a->s.pixels));
    int64_t n, c, group;

    for (n = 0; n < a->s.batch; n++)
        for (group = 0; group < a->s.groups; group++) check_group(a, g2, mask, wants_d, n, group, scale, shift);
    for (c = 0; c < a->s.channels; c++) {
        WITHIN(a->diff_scale[c], scale[c], size, "diff_scale");
        WITHIN(a->diff_shift[c], shift[c], size, "diff_shift");
    }
    check_padding(a, a->diff_x);
    free(scale);
    free(shift);
}

/* ---- tests; _i: layouts, f32 and bf16 ---- */

START_TEST(forward_equals_twin)
{
    int size, way;

    for (size = 0; size < NUM_SIZES; size++) {
        for (way = 0; way < 4; way++) {
            arrays a = make_arrays(size, _i / 2, _i % 2, way == 3 ? 10.0 : 0.4);

            forward(&a, way & 1 ? a.r : NULL, way >> 1);
            check_forward(&a, way & 1 ? a.r : NULL, way >> 1);
            free_arrays(&a);
        }
    }
}
END_TEST

static void backward(arrays *a, const void *g2, int mask, int wants_d, const void *g)
{
    const sslcv__norm_gradient gradient = {.x = a->x,
                                           .y = a->y,
                                           .g = g,
                                           .g2 = g2,
                                           .d = wants_d ? a->d : NULL,
                                           .diff_x = a->diff_x,
                                           .diff_scale = a->diff_scale,
                                           .diff_shift = a->diff_shift,
                                           .mask = mask};

    sslcv__group_norm_backward(&a->s, &a->affine, &gradient, a->scratch);
}

START_TEST(backward_equals_twin)
{
    int size, way;

    for (size = 0; size < NUM_SIZES; size++) {
        for (way = size % 2; way < 12; way += 2) { /* each of them with every other size */
            arrays a = make_arrays(size, _i / 2, _i % 2, 0.4);
            const int mask = way / 4, wants_d = way / 2 % 2;
            const void *g2 = (way + way / 4) % 2 ? a.g2 : NULL;

            forward(&a, mask == SSLCV__NORM_MASK_Y ? a.r : NULL, mask != SSLCV__NORM_MASK_NONE);
            backward(&a, g2, mask, wants_d, a.g);
            check_backward(&a, g2, mask, wants_d);
            free_arrays(&a);
        }
    }
}
END_TEST

/* y over x, over r; the gradient over g: as with arrays of their own, bit by bit; apply gives what forward gave. */
START_TEST(in_place_is_the_same)
{
    int size;

    for (size = 0; size < NUM_SIZES; size++) {
        arrays a = make_arrays(size, _i / 2, _i % 2, 0.4);
        const size_t bytes = (size_t)elements(&a.s) * (a.s.bf16 ? 2 : 4);
        void *copy = new_map(&a.s);

        forward(&a, a.r, 1);
        sslcv__group_norm_apply(&a.s, &a.affine, a.x, a.r, 1, a.d, a.scratch);
        ck_assert_mem_eq(a.y, a.d, bytes);
        backward(&a, a.g2, SSLCV__NORM_MASK_Y, 0, a.g);
        memcpy(copy, a.diff_x, bytes);
        memcpy(a.diff_x, a.g, bytes);
        backward(&a, a.g2, SSLCV__NORM_MASK_Y, 0, a.diff_x);
        ck_assert_mem_eq(a.diff_x, copy, bytes);
        memcpy(copy, a.x, bytes);
        sslcv__group_norm_apply(&a.s, &a.affine, copy, a.r, 1, copy, a.scratch);
        ck_assert_mem_eq(copy, a.y, bytes);
        memcpy(copy, a.r, bytes);
        sslcv__group_norm_forward(&a.s, &a.affine, a.x, copy, 1, copy, a.mean, a.variance, a.scratch);
        ck_assert_mem_eq(copy, a.y, bytes);
        free(copy);
        free_arrays(&a);
    }
}
END_TEST

/* Neither the number of threads nor the other samples show in a result. */
START_TEST(samples_stand_alone)
{
    int size;

    for (size = 0; size < NUM_SIZES; size++) {
        arrays a = make_arrays(size, _i / 2, _i % 2, 0.4), one = make_arrays(size, _i / 2, _i % 2, 0.4);
        const size_t bytes = (size_t)elements(&a.s) * (a.s.bf16 ? 2 : 4), sample = bytes / (size_t)a.s.batch;

        forward(&a, NULL, 1);
        backward(&a, NULL, SSLCV__NORM_MASK_X, 0, a.g);
        omp_set_num_threads(3);
        forward(&one, NULL, 1);
        backward(&one, NULL, SSLCV__NORM_MASK_X, 0, one.g);
        omp_set_num_threads(1);
        ck_assert_mem_eq(a.y, one.y, bytes);
        ck_assert_mem_eq(a.diff_x, one.diff_x, bytes);
        ck_assert_mem_eq(a.diff_scale, one.diff_scale, (size_t)a.s.channels * sizeof(float));
        one.s.batch = 1; /* the last sample, alone */
        memmove(one.x, (char *)one.x + sample * (size_t)(a.s.batch - 1), sample);
        forward(&one, NULL, 1);
        ck_assert_mem_eq(one.y, (char *)a.y + sample * (size_t)(a.s.batch - 1), sample);
        free_arrays(&one);
        free_arrays(&a);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("group_norm");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, forward_equals_twin, 0, 2 * NUM_LAYOUTS);
    tcase_add_loop_test(all, backward_equals_twin, 0, 2 * NUM_LAYOUTS);
    tcase_add_loop_test(all, in_place_is_the_same, 0, 2 * NUM_LAYOUTS);
    tcase_add_loop_test(all, samples_stand_alone, 0, 2 * NUM_LAYOUTS);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
