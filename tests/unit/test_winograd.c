/*
 * lib/dnn/winograd: against sums in double, one pixel at a time. Scratch and results start as NaN, so that whatever is
 * read before it is written, or not written, shows.
 */
#include "support.h"

#include "dnn/winograd.h"

#include <stdint.h>

typedef sslcv__winograd_shape shape_of_case;

enum { GUARD = 64, SAMPLES = 1500 };

/*
 * f32 errors relative to the largest result: the largest seen here are 2.8e-6, and 4.5e-6 in backward weights. Results
 * in bf16, of eight bits, may also be half a step of it away.
 */
static const double TOLERANCE = 5e-6, WEIGHTS_TOLERANCE = 8e-6, BF16_ROUNDING = 1.0 / 256;

/* ---- memory ---- */

static void *fresh(int64_t bytes)
{
    const size_t size = ((size_t)bytes + GUARD + 63) / 64 * 64;
    void *memory = aligned_alloc(64, size);

    ck_assert_ptr_nonnull(memory);
    memset(memory, 0xff, size);
    return memory;
}

/* Nothing was written behind the end. */
static void release(void *memory, int64_t bytes)
{
    const unsigned char *end = (const unsigned char *)memory + bytes;
    int i;

    for (i = 0; i < GUARD; i++) ck_assert_msg(end[i] == 0xff, "byte %d behind the end was written", i);
    free(memory);
}

static float from_bf16(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint16_t to_bf16(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Images in blocks, (N, C/b, H, W, b). */
typedef struct pictures {
    int64_t batch, channels, height, width, block;
    int bf16;
    void *data;
} pictures;

static int64_t picture_count(const pictures *p)
{
    return p->batch * p->channels * p->height * p->width;
}

static int64_t picture_bytes(const pictures *p)
{
    return picture_count(p) * (p->bf16 ? 2 : 4);
}

static pictures new_pictures(const shape_of_case *s, int64_t channels)
{
    pictures p = {s->batch, channels, s->height, s->width, s->block, s->bf16, NULL};

    p.data = fresh(picture_bytes(&p));
    return p;
}

static double at(const pictures *p, int64_t n, int64_t c, int64_t y, int64_t x)
{
    const int64_t b = p->block;
    int64_t i;

    if (y < 0 || x < 0 || y >= p->height || x >= p->width) return 0.0;
    i = (((n * (p->channels / b) + c / b) * p->height + y) * p->width + x) * b + c % b;
    return p->bf16 ? from_bf16(((const uint16_t *)p->data)[i]) : ((const float *)p->data)[i];
}

static void fill(pictures *p, int64_t seed)
{
    const int64_t count = picture_count(p);
    float *values = fresh(count * 4);
    int64_t i;

    golden_input(seed, count, values);
    for (i = 0; i < count; i++) {
        if (p->bf16)
            ((uint16_t *)p->data)[i] = to_bf16(values[i]);
        else
            ((float *)p->data)[i] = values[i];
    }
    free(values);
}

static int64_t weight_count(const shape_of_case *s)
{
    return s->in_channels * s->out_channels * 9;
}

static int64_t weight_index(const shape_of_case *s, int64_t o, int64_t i, int64_t ky, int64_t kx)
{
    const int64_t b = s->block;

    return ((((o / b) * (s->in_channels / b) + i / b) * 9 + ky * 3 + kx) * b + i % b) * b + o % b;
}

static float *new_weights(const shape_of_case *s, int64_t seed)
{
    float *weights = fresh(weight_count(s) * 4);

    golden_input(seed, weight_count(s), weights);
    return weights;
}

/* ---- the naive twins ---- */

static double naive_forward(const shape_of_case *s, const pictures *src, const float *w, int64_t n, int64_t o,
                            int64_t y, int64_t x)
{
    double sum = 0.0;
    int64_t i, ky, kx;

    for (i = 0; i < s->in_channels; i++) {
        for (ky = 0; ky < 3; ky++) {
            for (kx = 0; kx < 3; kx++) {
                sum += at(src, n, i, y + ky - 1, x + kx - 1) * (double)w[weight_index(s, o, i, ky, kx)];
            }
        }
    }
    return sum;
}

static double naive_backward_data(const shape_of_case *s, const pictures *diff_dst, const float *w, int64_t n,
                                  int64_t i, int64_t y, int64_t x)
{
    double sum = 0.0;
    int64_t o, ky, kx;

    for (o = 0; o < s->out_channels; o++) {
        for (ky = 0; ky < 3; ky++) {
            for (kx = 0; kx < 3; kx++) {
                sum += at(diff_dst, n, o, y + 1 - ky, x + 1 - kx) * (double)w[weight_index(s, o, i, ky, kx)];
            }
        }
    }
    return sum;
}

static double naive_backward_weights(const shape_of_case *s, const pictures *src, const pictures *diff_dst, int64_t o,
                                     int64_t i, int64_t ky, int64_t kx)
{
    double sum = 0.0;
    int64_t n, y, x;

    for (n = 0; n < s->batch; n++) {
        for (y = 0; y < s->height; y++) {
            for (x = 0; x < s->width; x++) sum += at(diff_dst, n, o, y, x) * at(src, n, i, y + ky - 1, x + kx - 1);
        }
    }
    return sum;
}

/* ---- comparing ---- */

/* Errors of some results, or of all where they are few. */
typedef struct errors {
    double largest, worst; /* of |expected|, of |value - expected| less what rounding to bf16 may have done */
    int64_t not_finite;
} errors;

static void compare(errors *e, double value, double expected, int bf16)
{
    const double error = fabs(value - expected) - (bf16 ? BF16_ROUNDING * fabs(expected) : 0.0);

    if (!isfinite(value)) e->not_finite++;
    e->largest = fmax(e->largest, fabs(expected));
    e->worst = fmax(e->worst, error);
}

static void check(const errors *e, double tolerance, const shape_of_case *s, const char *what)
{
    ck_assert_msg(e->not_finite == 0 && e->worst <= tolerance * e->largest,
                  "%s of %ldx%ldx%ldx%ld -> %ld, block %d%s: error %.3g of the largest (%.3g), %ld not finite", what,
                  (long)s->batch, (long)s->in_channels, (long)s->height, (long)s->width, (long)s->out_channels,
                  s->block, s->bf16 ? ", bf16" : "", e->worst / e->largest, e->largest, (long)e->not_finite);
}

/* Result number of count: all of them, or SAMPLES spread over them, the last one included. */
static int64_t sample(int64_t k, int64_t count)
{
    if (count <= SAMPLES) return k;
    return k == SAMPLES - 1 ? count - 1 : (k * 7919 + k * (count / SAMPLES)) % count;
}

static int64_t sample_count(int64_t count)
{
    return count < SAMPLES ? count : SAMPLES;
}

typedef double (*naive_picture)(const shape_of_case *s, const pictures *from, const float *w, int64_t n, int64_t c,
                                int64_t y, int64_t x);

static errors compare_pictures(const shape_of_case *s, const pictures *result, naive_picture naive,
                               const pictures *from, const float *w)
{
    const int64_t count = picture_count(result);
    errors e = {0.0, 0.0, 0};
    int64_t k;

    for (k = 0; k < sample_count(count); k++) {
        const int64_t i = sample(k, count), x = i % s->width, y = i / s->width % s->height;
        const int64_t c = i / (s->width * s->height) % result->channels;
        const int64_t n = i / (s->width * s->height * result->channels);

        compare(&e, at(result, n, c, y, x), naive(s, from, w, n, c, y, x), s->bf16);
    }
    return e;
}

/* ---- running ---- */

static float *transform(const shape_of_case *s, sslcv__winograd_direction direction, const float *w, const float *scale)
{
    float *transformed = fresh(sslcv__winograd_weights_bytes(s));

    sslcv__winograd_transform_weights(s, direction, w, scale, transformed);
    return transformed;
}

static void forward(const shape_of_case *s, const pictures *src, const float *transformed, pictures *dst,
                    const sslcv__winograd_post *post, int threads)
{
    const int64_t bytes = sslcv__winograd_scratch_bytes(s, SSLCV__WINOGRAD_FORWARD, threads);
    void *scratch = fresh(bytes);

    sslcv__winograd_forward(s, src->data, transformed, dst->data, post, threads, scratch);
    release(scratch, bytes);
}

static void backward_data(const shape_of_case *s, const pictures *diff_dst, const float *transformed,
                          pictures *diff_src, int threads)
{
    const int64_t bytes = sslcv__winograd_scratch_bytes(s, SSLCV__WINOGRAD_BACKWARD_DATA, threads);
    void *scratch = fresh(bytes);

    sslcv__winograd_backward_data(s, diff_dst->data, transformed, diff_src->data, threads, scratch);
    release(scratch, bytes);
}

static void backward_weights(const shape_of_case *s, const pictures *src, const pictures *diff_dst, float *diff_weights,
                             int threads)
{
    const int64_t bytes = sslcv__winograd_scratch_bytes(s, SSLCV__WINOGRAD_BACKWARD_WEIGHTS, threads);
    void *scratch = fresh(bytes);

    sslcv__winograd_backward_weights(s, src->data, diff_dst->data, diff_weights, threads, scratch);
    release(scratch, bytes);
}

/* All three directions of one shape, with one thread and with three. */
static void check_shape(const shape_of_case *s)
{
    pictures src = new_pictures(s, s->in_channels), dst = new_pictures(s, s->out_channels);
    pictures diff_dst = new_pictures(s, s->out_channels), diff_src = new_pictures(s, s->in_channels);
    pictures again = new_pictures(s, s->out_channels), back_again = new_pictures(s, s->in_channels);
    float *weights = new_weights(s, 3), *diff_weights = fresh(weight_count(s) * 4);
    float *ahead = transform(s, SSLCV__WINOGRAD_FORWARD, weights, NULL);
    float *back = transform(s, SSLCV__WINOGRAD_BACKWARD_DATA, weights, NULL);
    errors e = {0.0, 0.0, 0};
    int64_t k;

    fill(&src, 1);
    fill(&diff_dst, 2);
    forward(s, &src, ahead, &dst, NULL, 1);
    e = compare_pictures(s, &dst, naive_forward, &src, weights);
    check(&e, TOLERANCE, s, "forward");
    backward_data(s, &diff_dst, back, &diff_src, 1);
    e = compare_pictures(s, &diff_src, naive_backward_data, &diff_dst, weights);
    check(&e, TOLERANCE, s, "backward data");
    /* Sums over channels have one order, whatever the threads. */
    forward(s, &src, ahead, &again, NULL, 3);
    ck_assert_mem_eq(dst.data, again.data, (size_t)picture_bytes(&dst));
    backward_data(s, &diff_dst, back, &back_again, 3);
    ck_assert_mem_eq(diff_src.data, back_again.data, (size_t)picture_bytes(&diff_src));

    for (k = 1; k <= 3; k += 2) {
        const int64_t count = weight_count(s);
        float *first = fresh(count * 4);
        int64_t j;

        backward_weights(s, &src, &diff_dst, diff_weights, (int)k);
        memset(&e, 0, sizeof e);
        for (j = 0; j < sample_count(count); j++) {
            const int64_t i = sample(j, count), kx = i % 3, ky = i / 3 % 3, in = i / 9 % s->in_channels;
            const int64_t out = i / (9 * s->in_channels);

            compare(&e, (double)diff_weights[weight_index(s, out, in, ky, kx)],
                    naive_backward_weights(s, &src, &diff_dst, out, in, ky, kx), 0);
        }
        check(&e, WEIGHTS_TOLERANCE, s, "backward weights");
        memcpy(first, diff_weights, (size_t)count * 4);
        backward_weights(s, &src, &diff_dst, diff_weights, (int)k);
        ck_assert_mem_eq(first, diff_weights, (size_t)count * 4);
        release(first, count * 4);
    }
    release(src.data, picture_bytes(&src));
    release(dst.data, picture_bytes(&dst));
    release(diff_dst.data, picture_bytes(&dst));
    release(diff_src.data, picture_bytes(&src));
    release(again.data, picture_bytes(&dst));
    release(back_again.data, picture_bytes(&src));
    release(weights, weight_count(s) * 4);
    release(diff_weights, weight_count(s) * 4);
    release(ahead, sslcv__winograd_weights_bytes(s));
    release(back, sslcv__winograd_weights_bytes(s));
}

/* Channels in blocks. */
typedef struct size_of_case {
    int64_t batch, in, out, height, width;
} size_of_case;

static const size_of_case SIZES[] = {
    {1, 1, 1, 1, 1},   {1, 1, 1, 4, 4},  {2, 1, 2, 2, 3},  {3, 2, 1, 5, 2},   {1, 3, 2, 3, 9},
    {2, 2, 3, 7, 7},   {1, 1, 1, 14, 6}, {1, 4, 5, 8, 8},  {20, 1, 1, 13, 5}, {5, 4, 4, 16, 16},
    {3, 12, 12, 7, 4}, {2, 3, 5, 12, 1}, {1, 9, 8, 11, 7}, {2, 1, 1, 32, 32},
};

enum { SIZE_COUNT = sizeof SIZES / sizeof SIZES[0] };

static void check_sizes(int32_t block, int bf16)
{
    int i;

    if (sslcv__winograd_block(block) != block) return;
    for (i = 0; i < SIZE_COUNT; i++) {
        const size_of_case *z = &SIZES[i];
        const shape_of_case s = {z->batch, z->in * block, z->out * block, z->height, z->width, block, bf16};

        ck_assert_int_eq(sslcv__winograd_supports(&s), 1);
        check_shape(&s);
    }
}

START_TEST(blocks_of_16)
{
    check_sizes(16, 0);
}
END_TEST

START_TEST(blocks_of_16_in_bf16)
{
    check_sizes(16, 1);
}
END_TEST

START_TEST(blocks_of_8)
{
    check_sizes(8, 0);
}
END_TEST

START_TEST(blocks_of_8_in_bf16)
{
    check_sizes(8, 1);
}
END_TEST

/* So many tiles that they take several passes, for few channels and for many. */
START_TEST(several_passes)
{
    const int32_t block = sslcv__winograd_block(16);
    const shape_of_case few = {40, 32, 16, 16, 15, block, 0}, many = {60, 256, 272, 9, 8, block, 0};

    if (block == 0) return;
    check_shape(&few);
    check_shape(&many);
}
END_TEST

/* Images so large that they are fetched ahead, and written past the caches. */
START_TEST(large_images)
{
    const int32_t block = _i & 2 ? 16 : 8;
    const shape_of_case s = {(_i & 1 ? 72 : 36) * (block == 16 ? 1 : 2), block, 2 * block, 66, 60, block, _i & 1};
    const sslcv__winograd_post none = {NULL, NULL, 0, 0};
    pictures src, dst;
    float *weights, *transformed;
    errors e;

    if (sslcv__winograd_block(block) != block) return;
    src = new_pictures(&s, s.in_channels);
    dst = new_pictures(&s, s.out_channels);
    ck_assert_int_ge(picture_bytes(&src) + picture_bytes(&dst), 24 << 20);
    weights = new_weights(&s, 3);
    transformed = transform(&s, SSLCV__WINOGRAD_FORWARD, weights, NULL);
    fill(&src, 1);
    forward(&s, &src, transformed, &dst, &none, 2);
    e = compare_pictures(&s, &dst, naive_forward, &src, weights);
    check(&e, TOLERANCE, &s, "forward");
    release(src.data, picture_bytes(&src));
    release(dst.data, picture_bytes(&dst));
    release(weights, weight_count(&s) * 4);
    release(transformed, sslcv__winograd_weights_bytes(&s));
}
END_TEST

/* dst <- relu(dst + bias + add), weights scaled by filter; add may be dst. */
static void check_post(int32_t block, int bf16, int with_bias, int with_add, int relu)
{
    const shape_of_case s = {2, 2 * block, 3 * block, 6, 9, block, bf16};
    pictures src = new_pictures(&s, s.in_channels), dst = new_pictures(&s, s.out_channels);
    pictures add = new_pictures(&s, s.out_channels);
    float *weights = new_weights(&s, 3), *bias = fresh(s.out_channels * 4), *scale = fresh(s.out_channels * 4);
    float *transformed;
    const sslcv__winograd_post post = {with_bias ? bias : NULL, with_add ? dst.data : NULL, relu, 0};
    errors e = {0.0, 0.0, 0};
    int64_t n, o, y, x, below = 0;

    fill(&src, 1);
    fill(&add, 5);
    if (with_add) memcpy(dst.data, add.data, (size_t)picture_bytes(&dst));
    golden_input(6, s.out_channels, bias);
    golden_input(7, s.out_channels, scale);
    transformed = transform(&s, SSLCV__WINOGRAD_FORWARD, weights, scale);
    forward(&s, &src, transformed, &dst, &post, 2);
    for (n = 0; n < s.batch; n++) {
        for (o = 0; o < s.out_channels; o++) {
            for (y = 0; y < s.height; y++) {
                for (x = 0; x < s.width; x++) {
                    double expected = (double)scale[o] * naive_forward(&s, &src, weights, n, o, y, x);

                    if (with_bias) expected += (double)bias[o];
                    if (with_add) expected += at(&add, n, o, y, x);
                    below += expected < 0.0;
                    if (relu) expected = fmax(expected, 0.0);
                    compare(&e, at(&dst, n, o, y, x), expected, bf16);
                }
            }
        }
    }
    ck_assert_int_gt(below, 0);
    check(&e, TOLERANCE, &s, "post");
    release(src.data, picture_bytes(&src));
    release(dst.data, picture_bytes(&dst));
    release(add.data, picture_bytes(&dst));
    release(weights, weight_count(&s) * 4);
    release(bias, s.out_channels * 4);
    release(scale, s.out_channels * 4);
    release(transformed, sslcv__winograd_weights_bytes(&s));
}

START_TEST(what_inference_adds)
{
    const int32_t block = _i & 16 ? 16 : 8;

    if (sslcv__winograd_block(block) == block) check_post(block, _i & 8, _i & 4, _i & 2, _i & 1);
}
END_TEST

/* A NaN comes out as NaN, not as a number: the training loop looks for it. */
START_TEST(not_a_number)
{
    const int32_t block = _i & 2 ? 16 : 8;
    const shape_of_case s = {1, block, block, 4, 4, block, _i & 1};
    const sslcv__winograd_post post = {NULL, NULL, 1, 0};
    pictures src, dst;
    float *weights, *transformed;

    if (sslcv__winograd_block(block) != block) return;
    src = new_pictures(&s, s.in_channels);
    dst = new_pictures(&s, s.out_channels);
    weights = new_weights(&s, 3);
    transformed = transform(&s, SSLCV__WINOGRAD_FORWARD, weights, NULL);
    fill(&src, 1);
    if (s.bf16)
        ((uint16_t *)src.data)[0] = 0x7fc0;
    else
        ((float *)src.data)[0] = NAN;
    forward(&s, &src, transformed, &dst, &post, 1);
    ck_assert(isnan(at(&dst, 0, block - 1, 0, 0)));
    release(src.data, picture_bytes(&src));
    release(dst.data, picture_bytes(&dst));
    release(weights, weight_count(&s) * 4);
    release(transformed, sslcv__winograd_weights_bytes(&s));
}
END_TEST

START_TEST(what_is_supported)
{
    const int32_t block = sslcv__winograd_block(16);
    shape_of_case s = {1, 2 * block, block, 5, 5, block, 0};

    ck_assert_int_eq(sslcv__winograd_block(4), 0);
    ck_assert_int_le(sslcv__winograd_block(8), 8);
    if (block == 0) return;
    ck_assert_int_eq(sslcv__winograd_supports(&s), 1);
    s.in_channels = block + 1;
    ck_assert_int_eq(sslcv__winograd_supports(&s), 0);
    s.in_channels = block;
    s.out_channels = 3;
    ck_assert_int_eq(sslcv__winograd_supports(&s), 0);
    s.out_channels = block;
    s.block = 4;
    ck_assert_int_eq(sslcv__winograd_supports(&s), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("winograd");
    TCase *sums = tcase_create("against sums in double"), *rest = tcase_create("the rest");

    tcase_set_timeout(sums, 60);
    tcase_add_test(sums, blocks_of_16);
    tcase_add_test(sums, blocks_of_16_in_bf16);
    tcase_add_test(sums, blocks_of_8);
    tcase_add_test(sums, blocks_of_8_in_bf16);
    tcase_add_test(sums, several_passes);
    tcase_add_loop_test(sums, large_images, 0, 4);
    suite_add_tcase(suite, sums);
    tcase_add_loop_test(rest, what_inference_adds, 0, 32);
    tcase_add_loop_test(rest, not_a_number, 0, 4);
    tcase_add_test(rest, what_is_supported);
    suite_add_tcase(suite, rest);
    return run_suite(suite);
}
