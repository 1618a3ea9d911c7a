/* Batch norm and the other kernels of a network against twins in double: all layouts, f32 and bf16, groups, masks. */
#include "support.h"

#include "core/bf16.h"
#include "core/openmp.h"
#include "core/rng.h"
#include "nn/kernels.h"
#include "nn/norm.h"

/* One rounding of f32 and of bf16, as a share of the value. Sums of f32 run over 256 values at most. */
static const double u = 0x1p-24, u_bf16 = 0x1p-8, chain = 260 * 0x1p-24, epsilon = 1e-5;

typedef enum layout { NCHW16C, NCHW8C, NHWC, NCHW, NHWC_APART, NUM_LAYOUTS } layout;

static sslcv__norm_shape make_shape(layout form, int64_t batch, int64_t channels, int64_t pixels, int64_t groups,
                                    int32_t bf16)
{
    sslcv__norm_shape s = {.batch = batch, .channels = channels, .pixels = pixels, .groups = groups, .bf16 = bf16};

    s.block = form == NCHW16C ? 16 : form == NCHW8C ? 8 : form == NCHW ? 1 : channels;
    s.pixel_stride = s.block;
    s.block_stride = s.block * pixels;
    s.batch_stride = (channels + s.block - 1) / s.block * s.block_stride;
    if (form == NHWC_APART) s.batch_stride += 5;
    return s;
}

static int64_t place(const sslcv__norm_shape *s, int64_t n, int64_t c, int64_t p)
{
    return n * s->batch_stride + c / s->block * s->block_stride + p * s->pixel_stride + c % s->block;
}

static float read_at(const sslcv__norm_shape *s, const void *array, int64_t at)
{
    return s->bf16 ? sslcv__f32_from_bf16(((const uint16_t *)array)[at]) : ((const float *)array)[at];
}

static void write_at(const sslcv__norm_shape *s, void *array, int64_t at, float value)
{
    if (s->bf16)
        ((uint16_t *)array)[at] = sslcv__f32_to_bf16(value);
    else
        ((float *)array)[at] = value;
}

static size_t bytes_of(const sslcv__norm_shape *s)
{
    return (size_t)(s->batch * s->batch_stride) * (s->bf16 ? 2 : 4);
}

/* Padding and gaps are 0. Every seventh value or so is exactly 0 with zeros, as behind a ReLU. */
static void *draw_map(const sslcv__norm_shape *s, uint64_t seed, double mean, double deviation, int zeros)
{
    void *array = calloc(1, bytes_of(s));
    sslcv__rng rng;
    int64_t n, c, p;

    sslcv__rng_init(&rng, seed, 0, SSLCV__STREAM_HOST);
    for (n = 0; n < s->batch; n++) {
        for (c = 0; c < s->channels; c++) {
            for (p = 0; p < s->pixels; p++) {
                const double value = mean + deviation * sslcv__rng_normal(&rng);
                write_at(s, array, place(s, n, c, p), zeros && value < 0 ? 0.0f : (float)value);
            }
        }
    }
    return array;
}

static float *draw_row(int64_t count, uint64_t seed, float mean, float deviation)
{
    float *row = malloc((size_t)count * sizeof *row);
    sslcv__rng rng;
    int64_t i;

    sslcv__rng_init(&rng, seed, 0, SSLCV__STREAM_HOST);
    for (i = 0; i < count; i++) row[i] = mean + deviation * (float)sslcv__rng_normal(&rng);
    return row;
}

static void *new_scratch(const sslcv__norm_shape *s)
{
    return aligned_alloc(64, (size_t)((sslcv__norm_scratch_bytes(s) + 63) / 64 * 64));
}

/* A copy, or, of NULL, all garbage: padding must be written too. */
static void *filled(const sslcv__norm_shape *s, const void *like)
{
    void *array = malloc(bytes_of(s));

    if (like)
        memcpy(array, like, bytes_of(s));
    else
        memset(array, 0x3f, bytes_of(s));
    return array;
}

/* Every image has the same bits, and what lies between images may differ. */
static void check_same(const sslcv__norm_shape *s, const void *a, const void *b)
{
    const size_t size = s->bf16 ? 2 : 4;
    const int64_t blocks = (s->channels + s->block - 1) / s->block;
    int64_t n;

    for (n = 0; n < s->batch; n++) {
        const size_t at = (size_t)(n * s->batch_stride) * size;
        ck_assert_mem_eq((const char *)a + at, (const char *)b + at, (size_t)(blocks * s->block * s->pixels) * size);
    }
}

/* Padding of blocks is 0 (gaps between images are not an array's). */
static void check_padding(const sslcv__norm_shape *s, const void *array)
{
    const int64_t all = (s->channels + s->block - 1) / s->block * s->block;
    int64_t n, c, p;

    for (n = 0; n < s->batch; n++) {
        for (c = s->channels; c < all; c++) {
            for (p = 0; p < s->pixels; p++) {
                if (read_at(s, array, place(s, n, c, p)) != 0.0f) ck_abort_msg("channel %d is not 0", (int)c);
            }
        }
    }
}

/* |value - expected| <= bound. Check notes every assertion in a file: millions of them must not be. */
#define WITHIN(value, expected, bound)                                                                                 \
    do {                                                                                                               \
        const double within_value = (value), within_expected = (expected), within_bound = (bound);                     \
        if (!(fabs(within_value - within_expected) <= within_bound)) {                                                 \
            ck_abort_msg("%s is %.9g; expected %.9g within %g", #value, within_value, within_expected, within_bound);  \
        }                                                                                                              \
    } while (0)

/* ---- statistics and forward ---- */

static void check_statistics(const sslcv__norm_shape *s, const void *x, const float *mean, const float *variance)
{
    const int64_t images = s->batch / s->groups;
    int64_t g, c, n, p;

    for (g = 0; g < s->groups; g++) {
        for (c = 0; c < s->channels; c++) {
            const double count = (double)(images * s->pixels);
            double sum = 0, squares = 0, m;

            for (n = g * images; n < (g + 1) * images; n++) {
                for (p = 0; p < s->pixels; p++) sum += read_at(s, x, place(s, n, c, p));
            }
            m = sum / count;
            for (n = g * images; n < (g + 1) * images; n++) {
                for (p = 0; p < s->pixels; p++) {
                    const double d = read_at(s, x, place(s, n, c, p)) - m;
                    squares += d * d;
                }
            }
            /* Of distances to a value of the piece: |x - k| is 2 deviations in the mean, its square 2 variances. */
            WITHIN(mean[g * s->channels + c], m, u * fabs(m) + 2 * chain * sqrt(squares / count));
            WITHIN(variance[g * s->channels + c], squares / count, 2 * chain * squares / count);
        }
    }
}

static void check_apply(const sslcv__norm_shape *s, const sslcv__norm_affine *a, const void *x, const void *r, int relu,
                        const void *y)
{
    const int64_t images = s->batch / s->groups;
    int64_t n, c, p;

    for (n = 0; n < s->batch; n++) {
        for (c = 0; c < s->channels; c++) {
            const int64_t i = n / images * s->channels + c;
            const double factor = (a->scale ? a->scale[c] : 1.0) / sqrt((double)a->variance[i] + a->epsilon);
            const double shift = a->shift ? a->shift[c] : 0.0;

            for (p = 0; p < s->pixels; p++) {
                const int64_t at = place(s, n, c, p);
                const double product = ((double)read_at(s, x, at) - a->mean[i]) * factor;
                const double add = r ? read_at(s, r, at) : 0.0, whole = product + shift + add;
                const double expected = relu && whole < 0 ? 0.0 : whole;

                WITHIN(read_at(s, y, at), expected,
                       5 * u * (fabs(product) + fabs(shift) + fabs(add)) + (s->bf16 ? u_bf16 * fabs(expected) : 0));
            }
        }
    }
    check_padding(s, y);
}

static void compare_forward(const sslcv__norm_shape *s, double mean_of_x, uint64_t seed)
{
    const int64_t rows = s->groups * s->channels;
    void *x = draw_map(s, seed, mean_of_x, 1.0, 0), *r = draw_map(s, seed + 1, 0.0, 1.0, 0), *scratch = new_scratch(s);
    float *scale = draw_row(s->channels, seed + 2, 1.0f, 0.3f), *shift = draw_row(s->channels, seed + 3, 0.0f, 1.0f);
    float *mean = malloc((size_t)rows * sizeof *mean), *variance = malloc((size_t)rows * sizeof *variance);
    float *mean_again = malloc((size_t)rows * sizeof *mean), *variance_again = malloc((size_t)rows * sizeof *variance);
    sslcv__norm_affine affine = {mean, variance, scale, shift, epsilon};
    int relu, adds;

    sslcv__norm_statistics(s, x, mean, variance, scratch);
    check_statistics(s, x, mean, variance);
    for (relu = 0; relu < 2; relu++) {
        for (adds = 0; adds < 2; adds++) {
            void *y = filled(s, x), *again = filled(s, NULL); /* y is x; then y is r */

            sslcv__norm_apply(s, &affine, x, adds ? r : NULL, relu, again, scratch);
            check_apply(s, &affine, x, adds ? r : NULL, relu, again);
            sslcv__norm_apply(s, &affine, y, adds ? r : NULL, relu, y, scratch);
            check_same(s, y, again);
            memcpy(y, r, bytes_of(s));
            sslcv__norm_forward(s, &affine, x, adds ? y : NULL, relu, y, mean_again, variance_again, scratch);
            check_same(s, y, again);
            ck_assert_mem_eq(mean_again, mean, (size_t)rows * sizeof *mean);
            ck_assert_mem_eq(variance_again, variance, (size_t)rows * sizeof *variance);
            free(y);
            free(again);
        }
        affine.scale = affine.shift = NULL; /* with the ReLU: without both */
    }
    free(x), free(r), free(scratch), free(scale), free(shift), free(mean), free(variance), free(mean_again);
    free(variance_again);
}

static const int64_t channel_counts[] = {16, 24, 3, 40};

START_TEST(forward_equals_twin)
{
    static const int64_t pixel_counts[] = {1, 35, 300};
    size_t c, p;
    int32_t bf16;
    int64_t groups;

    for (c = 0; c < 4; c++) {
        for (p = 0; p < 3; p++) {
            for (bf16 = 0; bf16 < 2; bf16++) {
                for (groups = 1; groups <= 4; groups += 3) {
                    const sslcv__norm_shape s =
                        make_shape((layout)_i, 12, channel_counts[c], pixel_counts[p], groups, bf16);
                    compare_forward(&s, 0.3, 1000 + 10 * (uint64_t)c + p);
                }
            }
        }
    }
}
END_TEST

START_TEST(large_mean_keeps_the_variance)
{
    const sslcv__norm_shape s = make_shape((layout)_i, 8, 40, 35, 1, 0),
                            large = make_shape((layout)_i, 16, 24, 1024, 1, 0);

    compare_forward(&s, 1000.0, 7);
    compare_forward(&large, -1000.0, 8);
}
END_TEST

/* ---- backward ---- */

typedef struct backward {
    sslcv__norm_shape shape;
    sslcv__norm_affine affine;
    void *x, *y, *g, *g2, *scratch;
    float *mean, *variance, *scale, *shift;
} backward;

static backward new_backward(const sslcv__norm_shape *s, uint64_t seed)
{
    const int64_t rows = s->groups * s->channels;
    backward b = {.shape = *s};
    int64_t i;

    b.x = draw_map(s, seed, 0.4, 1.0, 0);
    b.y = draw_map(s, seed + 1, 0.0, 1.0, 1);
    b.g = draw_map(s, seed + 2, 0.1, 1.0, 0);
    b.g2 = draw_map(s, seed + 3, 0.0, 2.0, 0);
    b.scratch = new_scratch(s);
    b.mean = draw_row(rows, seed + 4, 0.4f, 0.1f);
    b.variance = draw_row(rows, seed + 5, 0.0f, 0.5f);
    for (i = 0; i < rows; i++) b.variance[i] = 0.5f + b.variance[i] * b.variance[i];
    b.scale = draw_row(s->channels, seed + 6, 1.0f, 0.3f);
    b.shift = draw_row(s->channels, seed + 7, 0.0f, 0.5f);
    b.affine = (sslcv__norm_affine){b.mean, b.variance, b.scale, b.shift, epsilon};
    return b;
}

static void free_backward(backward *b)
{
    free(b->x), free(b->y), free(b->g), free(b->g2), free(b->scratch);
    free(b->mean), free(b->variance), free(b->scale), free(b->shift);
}

/* In f32 as the kernel: whether d passes must not hang on a rounding. */
static float twin_d(const backward *b, const void *g2, int mask, int64_t group, int64_t c, int64_t at)
{
    const sslcv__norm_shape *s = &b->shape;
    const int64_t i = group * s->channels + c;
    const float factor = (float)((double)b->scale[c] / sqrt((double)b->variance[i] + epsilon));
    const float whole = read_at(s, b->g, at) + (g2 ? read_at(s, g2, at) : 0.0f);

    if (mask == SSLCV__NORM_MASK_Y) return read_at(s, b->y, at) > 0.0f ? whole : 0.0f;
    if (mask == SSLCV__NORM_MASK_X) {
        const float centred = read_at(s, b->x, at) - b->mean[i], product = centred * factor;
        return product + b->shift[c] > 0.0f ? whole : 0.0f;
    }
    return whole;
}

/* from_d: x' was made from d as it was stored. */
static void check_backward(const backward *b, const void *g2, int mask, int given, int from_d, const void *d,
                           const void *diff_x, const float *diff_scale, const float *diff_shift)
{
    const sslcv__norm_shape *s = &b->shape;
    const int64_t images = s->batch / s->groups;
    const double count = (double)(images * s->pixels), out = s->bf16 ? u_bf16 : u;
    const double stored = s->bf16 && from_d && g2 ? u_bf16 : 0; /* a g alone is what it is, or 0 */
    int64_t c, g, n, p;

    for (c = 0; c < s->channels; c++) {
        double scale = 0, scale_size = 0, shift = 0, shift_size = 0; /* sizes: sums of absolute values */

        for (g = 0; g < s->groups; g++) {
            const double mean = b->mean[g * s->channels + c];
            const double inverse = 1.0 / sqrt((double)b->variance[g * s->channels + c] + epsilon);
            double sum = 0, sum_size = 0, product = 0, product_size = 0;

            for (n = g * images; n < (g + 1) * images; n++) {
                for (p = 0; p < s->pixels; p++) {
                    const int64_t at = place(s, n, c, p);
                    const double value = twin_d(b, g2, mask, g, c, at);
                    const double normed = (read_at(s, b->x, at) - mean) * inverse;

                    sum += value;
                    sum_size += fabs(value);
                    product += value * normed;
                    product_size += fabs(value * normed);
                }
            }
            shift += sum, shift_size += sum_size;
            scale += product, scale_size += product_size;
            for (n = g * images; n < (g + 1) * images; n++) {
                for (p = 0; p < s->pixels; p++) {
                    const int64_t at = place(s, n, c, p);
                    const double value = twin_d(b, g2, mask, g, c, at), a = b->scale[c] * inverse;
                    const double normed = (read_at(s, b->x, at) - mean) * inverse;
                    const double first = given ? 0 : a * sum / count, second = given ? 0 : a * normed * product / count;
                    const double expected = a * value - first - second;
                    const double sums = given ? 0 : fabs(a) * (sum_size + fabs(normed) * product_size) / count;

                    if (d) WITHIN(read_at(s, d, at), value, s->bf16 ? u_bf16 * fabs(value) : 0);
                    if (diff_x) {
                        WITHIN(read_at(s, diff_x, at), expected,
                               chain * sums + 6 * u * (fabs(a * value) + fabs(first) + fabs(second)) +
                                   out * fabs(expected) + stored * fabs(a * value));
                    }
                }
            }
        }
        if (diff_scale) WITHIN(diff_scale[c], scale, chain * scale_size + u * fabs(scale));
        if (diff_shift) WITHIN(diff_shift[c], shift, chain * shift_size + u * fabs(shift));
    }
    if (d) check_padding(s, d);
    if (diff_x) check_padding(s, diff_x);
}

static void compare_backward(const sslcv__norm_shape *s, uint64_t seed)
{
    backward b = new_backward(s, seed);
    float *scale = malloc((size_t)s->channels * sizeof *scale), *shift = malloc((size_t)s->channels * sizeof *shift);
    float *again = malloc((size_t)s->channels * sizeof *again);
    int mask, two, given;

    for (mask = 0; mask < 3; mask++) {
        for (two = 0; two < 2; two++) {
            for (given = 0; given < 2; given++) {
                void *d = filled(s, NULL), *diff_x = filled(s, NULL), *in_g = filled(s, b.g), *in_g2 = filled(s, b.g2);
                const void *g2 = two ? b.g2 : NULL;
                sslcv__norm_gradient k = {b.x, b.y, b.g, g2, d, diff_x, scale, shift, (sslcv__norm_mask)mask, given};

                sslcv__norm_backward(s, &b.affine, &k, b.scratch);
                check_backward(&b, g2, mask, given, 1, d, diff_x, scale, shift);

                /* d over g, x' over g2 where there is one */
                k.g = k.d = in_g;
                if (two)
                    k.g2 = k.diff_x = in_g2;
                else
                    memset(diff_x, 0x3f, bytes_of(s));
                sslcv__norm_backward(s, &b.affine, &k, b.scratch);
                check_same(s, in_g, d);
                check_backward(&b, g2, mask, given, 1, in_g, k.diff_x, scale, shift);

                /* x' over d over g, no gradient of shift; then d alone; x' over g; sums alone */
                memcpy(in_g, b.g, bytes_of(s));
                k = (sslcv__norm_gradient){b.x, b.y, in_g, g2, in_g, in_g, again, NULL, (sslcv__norm_mask)mask, given};
                sslcv__norm_backward(s, &b.affine, &k, b.scratch);
                check_backward(&b, g2, mask, given, 1, NULL, in_g, again, NULL);
                ck_assert_mem_eq(again, scale, (size_t)s->channels * sizeof *scale);
                memcpy(in_g2, in_g, bytes_of(s));
                k.g = b.g, k.d = diff_x, k.diff_x = NULL, k.diff_scale = NULL, k.diff_shift = again;
                sslcv__norm_backward(s, &b.affine, &k, b.scratch);
                check_same(s, diff_x, d);
                ck_assert_mem_eq(again, shift, (size_t)s->channels * sizeof *shift);
                memcpy(in_g, b.g, bytes_of(s));
                k.g = k.diff_x = in_g, k.d = NULL, k.diff_scale = again, k.diff_shift = NULL;
                sslcv__norm_backward(s, &b.affine, &k, b.scratch);
                check_backward(&b, g2, mask, given, 0, NULL, in_g, again, NULL);
                if (!s->bf16 || !two) check_same(s, in_g, in_g2);
                k.g = b.g, k.diff_x = NULL, k.diff_scale = scale, k.diff_shift = shift;
                memset(scale, 0, (size_t)s->channels * sizeof *scale);
                sslcv__norm_backward(s, &b.affine, &k, b.scratch);
                check_backward(&b, g2, mask, given, 0, NULL, NULL, scale, shift);
                free(d), free(diff_x), free(in_g), free(in_g2);
            }
        }
    }
    free_backward(&b);
    free(scale), free(shift), free(again);
}

START_TEST(backward_equals_twin)
{
    static const int64_t pixel_counts[] = {1, 35, 300};
    size_t c, p;
    int32_t bf16;
    int64_t groups;

    for (c = 0; c < 4; c++) {
        for (p = 0; p < 3; p++) {
            for (bf16 = 0; bf16 < 2; bf16++) {
                for (groups = 1; groups <= 4; groups += 3) {
                    const sslcv__norm_shape s =
                        make_shape((layout)_i, 4, channel_counts[c], pixel_counts[p], groups, bf16);
                    compare_backward(&s, 2000 + 10 * (uint64_t)c + p);
                }
            }
        }
    }
}
END_TEST

/* Statistics are part of the gradient: against differences of the forward twin would be loose, so by its invariants. */
START_TEST(gradient_is_orthogonal_to_constants_and_x)
{
    const sslcv__norm_shape s = make_shape((layout)_i, 6, 24, 35, 2, 0);
    backward b = new_backward(&s, 77);
    void *diff_x = filled(&s, NULL);
    float *scale = malloc(24 * sizeof *scale), *shift = malloc(24 * sizeof *shift);
    sslcv__norm_gradient k = {b.x, NULL, b.g, NULL, NULL, diff_x, scale, shift, SSLCV__NORM_MASK_X, 0};
    int64_t g, c, n, p;

    b.affine.epsilon = 0.0; /* then x' is orthogonal to x exactly */
    sslcv__norm_statistics(&s, b.x, b.mean, b.variance, b.scratch);
    sslcv__norm_backward(&s, &b.affine, &k, b.scratch);
    for (g = 0; g < 2; g++) {
        for (c = 0; c < 24; c++) {
            double sum = 0, product = 0;

            for (n = 3 * g; n < 3 * g + 3; n++) {
                for (p = 0; p < 35; p++) {
                    const double value = ((float *)diff_x)[place(&s, n, c, p)];
                    sum += value;
                    product += value * (((float *)b.x)[place(&s, n, c, p)] - b.mean[g * 24 + c]);
                }
            }
            ck_assert_double_lt(fabs(sum), 105 * 2 * chain);
            ck_assert_double_lt(fabs(product), 105 * 4 * chain);
        }
    }
    free_backward(&b);
    free(diff_x), free(scale), free(shift);
}
END_TEST

/* ---- the same bits whatever the number of threads, in cache and past it ---- */

START_TEST(threads_give_equal_bits)
{
    static const struct {
        int64_t batch, channels, pixels, groups;
    } cases[] = {{16, 40, 300, 1}, {16, 64, 256, 4}, {64, 200, 1, 1}};
    const int before = omp_get_max_threads();
    size_t i;
    int32_t bf16;

    for (i = 0; i < 3; i++) {
        for (bf16 = 0; bf16 < 2; bf16++) {
            const sslcv__norm_shape s =
                make_shape((layout)_i, cases[i].batch, cases[i].channels, cases[i].pixels, cases[i].groups, bf16);
            const size_t bytes = bytes_of(&s), rows = (size_t)(s.groups * s.channels) * sizeof(float);
            backward b = new_backward(&s, 3000 + i);
            char *results[2];
            int t;

            for (t = 0; t < 2; t++) {
                char *r = results[t] = calloc(1, 3 * bytes + 4 * rows);
                float *mean = (float *)(r + 3 * bytes), *variance = mean + s.groups * s.channels;
                float *scale = variance + s.groups * s.channels, *shift = scale + s.groups * s.channels;
                const sslcv__norm_gradient k = {
                    b.x, b.y, b.g, b.g2, r + bytes, r + 2 * bytes, scale, shift, SSLCV__NORM_MASK_Y, 0};

                omp_set_num_threads(t + 1);
                sslcv__norm_forward(&s, &b.affine, b.x, b.g, 1, r, mean, variance, b.scratch);
                sslcv__norm_backward(&s, &b.affine, &k, b.scratch);
            }
            ck_assert_mem_eq(results[0], results[1], 3 * bytes + 4 * rows);
            free(results[0]), free(results[1]);
            free_backward(&b);
        }
    }
    omp_set_num_threads(before);
}
END_TEST

/* Large results are stored past the caches, unless they lie over an input. */
START_TEST(large_results_are_the_same)
{
    const sslcv__norm_shape s = make_shape(NCHW16C, 100, 64, _i ? 2048 : 1024, 1, _i);
    const int64_t count = s.batch * s.batch_stride;
    backward b = {.shape = s, .scratch = new_scratch(&s)};
    void *x = malloc(bytes_of(&s)), *g = malloc(bytes_of(&s)), *y = filled(&s, NULL), *d = filled(&s, NULL);
    float mean[64], variance[64], scale[2][64], shift[2][64];
    const sslcv__norm_affine affine = {mean, variance, NULL, NULL, epsilon};
    sslcv__norm_gradient k = {x, NULL, g, NULL, NULL, d, scale[0], shift[0], SSLCV__NORM_MASK_X, 0};
    uint32_t state = 1;
    int64_t i;

    ck_assert_uint_ge(bytes_of(&s), (size_t)25 << 20);
    for (i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        write_at(&s, x, i, (float)(state >> 8) * 0x1p-24f);
        write_at(&s, g, i, (float)(state >> 8 & 1023u) - 512.0f);
    }
    sslcv__norm_forward(&s, &affine, x, NULL, 1, y, mean, variance, b.scratch);
    sslcv__norm_backward(&s, &affine, &k, b.scratch);
    for (i = 0; i < 64; i++) ck_assert(fabs(mean[i] - 0.5) < 0.01 && fabs(variance[i] - 1.0 / 12) < 0.01);
    k.g = k.diff_x = g, k.diff_scale = scale[1], k.diff_shift = shift[1];
    sslcv__norm_backward(&s, &affine, &k, b.scratch);
    sslcv__norm_apply(&s, &affine, x, NULL, 1, x, b.scratch);
    ck_assert_int_eq(memcmp(x, y, bytes_of(&s)), 0);
    ck_assert_int_eq(memcmp(g, d, bytes_of(&s)), 0);
    ck_assert_mem_eq(scale[0], scale[1], sizeof scale[0]);
    ck_assert_mem_eq(shift[0], shift[1], sizeof shift[0]);
    free(x), free(g), free(y), free(d), free(b.scratch);
}
END_TEST

/* ---- the other kernels ---- */

START_TEST(spatial_mean_equals_twin)
{
    static const int64_t pixel_counts[] = {1, 16, 300};
    size_t c, k;

    for (c = 0; c < 4; c++) {
        for (k = 0; k < 6; k++) {
            const int32_t bf16 = k >= 3;
            const sslcv__norm_shape s = make_shape((layout)_i, 3, channel_counts[c], pixel_counts[k % 3], 1, bf16);
            void *x = draw_map(&s, 500 + c, 0.5, 1.0, 0), *dx = filled(&s, NULL);
            float *y = malloc((size_t)(s.batch * s.channels) * sizeof *y);
            int64_t n, channel, p;

            sslcv__spatial_mean(&s, x, y);
            sslcv__spatial_mean_backward(&s, y, dx);
            for (n = 0; n < s.batch; n++) {
                for (channel = 0; channel < s.channels; channel++) {
                    const float value = y[n * s.channels + channel], share = value / (float)s.pixels;
                    double sum = 0, size = 0;

                    for (p = 0; p < s.pixels; p++) {
                        const int64_t at = place(&s, n, channel, p);

                        sum += read_at(&s, x, at);
                        size += fabs(read_at(&s, x, at));
                        WITHIN(read_at(&s, dx, at), share, bf16 ? u_bf16 * fabs(share) : 0);
                    }
                    WITHIN(value, sum / (double)s.pixels, chain * size / (double)s.pixels);
                }
            }
            check_padding(&s, dx);
            free(x), free(dx), free(y);
        }
    }
}
END_TEST

/* Each kernel in place over either input, with a count that is no multiple of anything, twice a part and more. */
START_TEST(maps_equal_twins)
{
    const int64_t count = 20011;
    const sslcv__norm_shape s = {.batch = 1, .batch_stride = count, .bf16 = _i}; /* for read_at and bytes_of */
    float *a = draw_row(count, 1, 0.0f, 1.0f), *b = draw_row(count, 2, 0.0f, 1.0f);
    void *ma = malloc(bytes_of(&s)), *mb = malloc(bytes_of(&s)), *out = malloc(bytes_of(&s));
    int64_t i;
    int where;

    a[5] = NAN;
    a[6] = -0.0f, b[6] = 0.0f;
    a[7] = 0.0f, b[7] = 1.0f;
    for (i = 0; i < count; i++) {
        write_at(&s, ma, i, a[i]), a[i] = read_at(&s, ma, i);
        write_at(&s, mb, i, b[i]), b[i] = read_at(&s, mb, i);
    }
    for (where = 0; where < 12; where++) {
        const int kind = where / 3;
        void *in_a = filled(&s, ma), *in_b = filled(&s, mb), *y = where % 3 == 0 ? in_a : where % 3 == 1 ? in_b : out;

        if (kind == 0) sslcv__map_add_relu(_i, in_a, in_b, y, count);
        if (kind == 1) sslcv__map_sum(_i, in_a, in_b, y, count);
        if (kind == 2) sslcv__map_relu_mask(_i, in_a, in_b, y, count);
        if (kind == 3) sslcv__map_relu(_i, in_a, y, count);
        for (i = 0; i < count; i++) {
            const float sum = kind == 3 ? a[i] : a[i] + b[i];
            float expected = kind == 1 ? sum : kind == 2 ? a[i] > 0 ? b[i] : 0.0f : sum > 0 ? sum : 0.0f;

            if (i == 5 && kind != 2) {
                if (!isnan(read_at(&s, y, i))) ck_abort_msg("kind %d: NaN is lost", kind);
                continue;
            }
            if (_i) expected = sslcv__f32_from_bf16(sslcv__f32_to_bf16(expected));
            if (read_at(&s, y, i) != expected) {
                ck_abort_msg("kind %d, element %d: %g, not %g", kind, (int)i, read_at(&s, y, i), expected);
            }
        }
        free(in_a), free(in_b);
    }
    free(a), free(b), free(ma), free(mb), free(out);
}
END_TEST

START_TEST(conversion_equals_that_of_single_values)
{
    const int64_t count = 65536 * 2;
    float *x = malloc((size_t)count * sizeof *x), *back = malloc((size_t)count * sizeof *back);
    uint16_t *y = malloc((size_t)count * sizeof *y);
    int64_t i;

    for (i = 0; i < count; i++) { /* all exponents and signs; bits below the last kept one at random */
        const uint32_t bits = (uint32_t)i << 15 ^ ((uint32_t)i * 2654435761u >> 17);
        memcpy(&x[i], &bits, sizeof x[i]);
    }
    sslcv__convert_to_bf16(x, y, count);
    sslcv__convert_from_bf16(y, back, count);
    for (i = 0; i < count; i++) {
        if (y[i] != sslcv__f32_to_bf16(x[i])) ck_abort_msg("%g is %x", x[i], y[i]);
        if (isnan(x[i]) != isnan(back[i])) ck_abort_msg("%g comes back as %g", x[i], back[i]);
        if (!isnan(x[i]) && back[i] != sslcv__f32_from_bf16(y[i])) ck_abort_msg("%x is %g", y[i], back[i]);
        if (fabs(x[i]) < 3e38 && fabs(x[i]) > 1e-37) WITHIN(back[i], x[i], u_bf16 * fabs(x[i]));
    }
    free(x), free(back), free(y);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("norm");
    TCase *tcase = tcase_create("norm");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, forward_equals_twin, 0, NUM_LAYOUTS);
    tcase_add_loop_test(tcase, large_mean_keeps_the_variance, 0, NUM_LAYOUTS);
    tcase_add_loop_test(tcase, backward_equals_twin, 0, NUM_LAYOUTS);
    tcase_add_loop_test(tcase, gradient_is_orthogonal_to_constants_and_x, 0, NUM_LAYOUTS);
    tcase_add_loop_test(tcase, threads_give_equal_bits, 0, NUM_LAYOUTS);
    tcase_add_loop_test(tcase, large_results_are_the_same, 0, 2);
    tcase_add_loop_test(tcase, spatial_mean_equals_twin, 0, NUM_LAYOUTS);
    tcase_add_loop_test(tcase, maps_equal_twins, 0, 2);
    tcase_add_test(tcase, conversion_equals_that_of_single_values);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(make_suite());
}
