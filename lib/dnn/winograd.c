/* Winograd convolution: the blocking, and the work of threads. The arithmetic is in winograd_template.h. */
#include "dnn/winograd.h"

#include "core/checked.h"
#include "dnn/winograd_kernel.h"

#include <omp.h>
#include <stddef.h>

enum {
    POINTS = SSLCV__WINOGRAD_POINTS,
    LINE_FLOATS = 16, /* a cache line */
};

#ifdef WINOGRAD_TUNE
int tune_private = 0, tune_chunk = 0, tune_shared = 0, tune_mode = -1;
#endif

int32_t sslcv__winograd_block(int32_t max_block)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (max_block >= 16 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
        return 16;
    }
    if (max_block >= 8 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 8;
#endif
    (void)max_block;
    return 0;
}

int sslcv__winograd_supports(const sslcv__winograd_shape *shape)
{
    const int32_t b = shape->block;

    return (b == 16 || b == 8) && sslcv__winograd_block(b) == b && shape->in_channels > 0 && shape->out_channels > 0 &&
           shape->in_channels % b == 0 && shape->out_channels % b == 0 && shape->batch > 0 && shape->height > 0 &&
           shape->width > 0;
}

static const sslcv__winograd_kernels *kernels_of(const sslcv__winograd_shape *shape)
{
#if defined(__x86_64__)
    return shape->block == 16 ? &sslcv__winograd_avx512 : &sslcv__winograd_avx2;
#else
    (void)shape;
    return NULL;
#endif
}

/* ---- blocking ---- */

/*
 * How a run is cut. Tiles go through all three steps in passes of so many that what lies between the steps stays in a
 * cache:
 *
 *     private  a thread takes a pass through all steps by itself; V and M are its own, in its second-level cache. For
 *              few channels: then the transformed weights, which each pass reads, are small too.
 *     shared   threads transform the patches of a pass together, then each takes pairs of out channels through the
 *              products of the whole pass. V lies in the third-level cache and is read once a pair, transformed weights
 *              are read once a pass. For many channels.
 *
 * (36, blocks, tiles, b) has an odd number of cache lines from one point to the next: writing one tile would meet few
 * sets of the cache otherwise.
 */
typedef struct blocking {
    int shared;
    int64_t pass;                      /* tiles */
    int64_t part;                      /* tiles that go through the products at a time; private: pass */
    int64_t chunk;                     /* pairs of out channels whose M is there at a time */
    int64_t pairs;                     /* of out channels, an odd block at the end counts */
    int64_t v_step, v_point, v_floats; /* from block to block, from point to point, all */
    int64_t m_step, m_point, m_floats;
} blocking;

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t odd_lines(int64_t floats)
{
    return (divide_up(floats, LINE_FLOATS) | 1) * LINE_FLOATS;
}

static sslcv__winograd_images images_of(const sslcv__winograd_shape *shape, int64_t channels)
{
    const sslcv__winograd_images images = {
        channels / shape->block,    shape->height, shape->width, divide_up(shape->height, 4),
        divide_up(shape->width, 4), shape->block,  shape->bf16};

    return images;
}

static int64_t tiles_of(const sslcv__winograd_shape *shape)
{
    return shape->batch * divide_up(shape->height, 4) * divide_up(shape->width, 4);
}

static blocking product_blocking(const sslcv__winograd_shape *shape, int64_t in_channels, int64_t out_channels,
                                 int threads)
{
    enum { PRIVATE_FLOATS = 1 << 17, SHARED_FLOATS = 1 << 21 };
    const int64_t b = shape->block, tiles = tiles_of(shape);
    blocking s;

    s.shared = in_channels * out_channels > 128 * 128;
    s.pairs = divide_up(out_channels / b, 2);
    if (s.shared) {
        s.chunk = 1;
        s.pass = SHARED_FLOATS / (POINTS * in_channels);
        s.part = smaller(s.pass, 128);
    } else {
        s.chunk = smaller(s.pairs, 128 / b / 2);
        s.pass = PRIVATE_FLOATS / (POINTS * (in_channels + s.chunk * 2 * b));
    }
#ifdef WINOGRAD_TUNE
    if (tune_mode >= 0) s.shared = tune_mode;
    if (tune_chunk) s.chunk = smaller(s.pairs, tune_chunk);
    if (tune_private && !s.shared) s.pass = tune_private;
    if (s.shared) {
        if (tune_shared) s.pass = tune_shared;
        s.part = tune_private ? tune_private : 128;
        s.part = smaller(s.part, s.pass);
    }
#endif
    if (s.pass < 8) s.pass = 8;
    if (!s.shared) {
        s.pass = smaller(s.pass, divide_up(tiles, threads));
        s.part = s.pass;
    }
    s.pass = smaller(s.pass, tiles);
    s.part = smaller(s.part, s.pass);
    s.v_step = s.pass * b;
    s.v_point = odd_lines(s.v_step * (in_channels / b));
    s.v_floats = s.v_point * POINTS;
    s.m_step = s.part * b;
    s.m_point = odd_lines(s.m_step * s.chunk * 2);
    s.m_floats = s.m_point * POINTS;
    return s;
}

/* Sums of weights' gradients: a square of one block of channels by a pair of blocks of filters, at all points. */
typedef struct sum_blocking {
    int shared; /* each square is summed by one thread over all tiles; else each thread sums all squares over its tiles */
    int64_t pass;
    int64_t in_blocks, out_blocks, pairs;
    int64_t v_step, v_point, v_floats, w_point, w_floats;
    int64_t square, sum_floats; /* shared: sum_floats is one square */
} sum_blocking;

static sum_blocking gradient_blocking(const sslcv__winograd_shape *shape, int threads)
{
    enum { PRIVATE_FLOATS = 1 << 17, SHARED_FLOATS = 1 << 21 };
    const int64_t b = shape->block, tiles = tiles_of(shape);
    sum_blocking s;

    s.in_blocks = shape->in_channels / b;
    s.out_blocks = shape->out_channels / b;
    s.pairs = divide_up(s.out_blocks, 2);
    s.shared = shape->in_channels * shape->out_channels > 64 * 64;
    s.pass = (s.shared ? SHARED_FLOATS : PRIVATE_FLOATS) / (POINTS * (shape->in_channels + shape->out_channels));
#ifdef WINOGRAD_TUNE
    if (tune_mode >= 0) s.shared = tune_mode;
    if (s.shared && tune_shared) s.pass = tune_shared;
    if (!s.shared && tune_private) s.pass = tune_private;
#endif
    if (s.pass < 16) s.pass = 16;
    s.pass = smaller(s.pass, s.shared ? tiles : divide_up(tiles, threads));
    s.v_step = s.pass * b;
    s.v_point = odd_lines(s.v_step * s.in_blocks);
    s.v_floats = s.v_point * POINTS;
    s.w_point = odd_lines(s.v_step * s.out_blocks);
    s.w_floats = s.w_point * POINTS;
    s.square = POINTS * b * 2 * b;
    s.sum_floats = s.shared ? s.square : s.square * s.in_blocks * s.pairs;
    return s;
}

/* count * size, or what no allocator has. */
static int64_t times_or_too_many(int64_t count, int64_t size)
{
    int64_t product;

    return sslcv__multiply(count, size, &product) ? product : INT64_MAX;
}

int64_t sslcv__winograd_weights_bytes(const sslcv__winograd_shape *shape)
{
    const int64_t pairs = times_or_too_many(shape->in_channels, shape->out_channels);

    return times_or_too_many(pairs, POINTS * (int64_t)sizeof(float));
}

int64_t sslcv__winograd_scratch_bytes(const sslcv__winograd_shape *shape, sslcv__winograd_direction direction,
                                      int threads)
{
    int64_t floats;

    if (direction == SSLCV__WINOGRAD_BACKWARD_WEIGHTS) {
        const sum_blocking s = gradient_blocking(shape, threads);
        floats = s.shared ? s.v_floats + s.w_floats + threads * s.sum_floats
                          : threads * (s.v_floats + s.w_floats + s.sum_floats);
    } else {
        const int back = direction == SSLCV__WINOGRAD_BACKWARD_DATA;
        const blocking s = product_blocking(shape, back ? shape->out_channels : shape->in_channels,
                                            back ? shape->in_channels : shape->out_channels, threads);
        floats = (s.shared ? s.v_floats : threads * s.v_floats) + threads * s.m_floats;
    }
    return floats * (int64_t)sizeof(float);
}

/* ---- forward, backward data ---- */

/*
 * Transformed weights: (pairs of out blocks, 36, in channels, two vectors of out channels); in the last pair of an odd
 * number one vector.
 */
static int64_t pair_floats(const sslcv__winograd_shape *shape, int64_t in_channels)
{
    return POINTS * in_channels * 2 * shape->block;
}

static int vectors_of_pair(int64_t out_blocks, int64_t pair)
{
    return 2 * pair + 1 < out_blocks ? 2 : 1;
}

void sslcv__winograd_transform_weights(const sslcv__winograd_shape *shape, sslcv__winograd_direction direction,
                                       const float *weights, const float *scale, float *transformed)
{
    const sslcv__winograd_kernels *k = kernels_of(shape);
    const int64_t b = shape->block, in_blocks = shape->in_channels / b, out_blocks = shape->out_channels / b;
    const int back = direction == SSLCV__WINOGRAD_BACKWARD_DATA;
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < in_blocks * out_blocks; i++) {
        const int64_t out = i / in_blocks, in = i % in_blocks; /* of the weights; back exchanges their parts */
        const int64_t from = back ? out : in, to = back ? in : out;
        const int64_t from_channels = back ? shape->out_channels : shape->in_channels;
        const int64_t pair = to / 2;
        const int vectors = vectors_of_pair(back ? in_blocks : out_blocks, pair);
        const int64_t in_step = vectors * b, step = from_channels * in_step;
        float *u = transformed + pair * pair_floats(shape, from_channels) + from * b * in_step + to % 2 * b;

        if (back)
            k->turned_weights(weights + i * 9 * b * b, u, step, in_step);
        else
            k->weights(weights + i * 9 * b * b, scale != NULL ? scale + out * b : NULL, u, step, in_step);
    }
}

typedef struct product_run {
    const sslcv__winograd_kernels *kernels;
    const sslcv__winograd_shape *shape;
    sslcv__winograd_images from, to;
    blocking cut;
    const void *src;
    const float *transformed;
    void *dst;
    const sslcv__winograd_post *post;
} product_run;

/* V of all blocks of channels, or of one. */
static void transform_patches(const product_run *run, int64_t block, int64_t first, int64_t count, float *v)
{
    const sslcv__winograd_tiles tiles = {&run->from, block, first, count};

    run->kernels->patches(&tiles, run->src, v, run->cut.v_point);
}

/* Tiles first .. first + count, whose patches are in v, to dst, for some pairs of out channels. */
static void multiply_and_finish(const product_run *run, int64_t first, int64_t count, const float *v,
                                int64_t first_pair, int64_t pairs, float *m)
{
    const blocking *s = &run->cut;
    const int64_t b = run->shape->block, in_channels = run->from.blocks * b;
    const int64_t whole_pair = pair_floats(run->shape, in_channels);
    const int64_t last_block = smaller(2 * (first_pair + pairs), run->to.blocks);
    int64_t i, block;
    int point;

    for (point = 0; point < POINTS; point++) {
        for (i = 0; i < pairs; i++) {
            const int vectors = vectors_of_pair(run->to.blocks, first_pair + i);
            const float *u = run->transformed + (first_pair + i) * whole_pair + point * in_channels * vectors * b;

            run->kernels->product(count, run->from.blocks, v + point * s->v_point, s->v_step, u, vectors,
                                  m + point * s->m_point + 2 * i * s->m_step, s->m_step);
        }
    }
    for (block = 2 * first_pair; block < last_block; block++) {
        const sslcv__winograd_tiles tiles = {&run->to, block, first, count};

        run->kernels->results(&tiles, m + (block - 2 * first_pair) * s->m_step, s->m_point, run->dst, run->post);
    }
}

static void run_private(const product_run *run, int threads, float *scratch)
{
    const blocking *s = &run->cut;
    const int64_t tiles = tiles_of(run->shape), passes = divide_up(tiles, s->pass);

#pragma omp parallel num_threads(threads)
    {
        float *v = scratch + omp_get_thread_num() * (s->v_floats + s->m_floats), *m = v + s->v_floats;
        int64_t pass, block, pair;

#pragma omp for schedule(dynamic)
        for (pass = 0; pass < passes; pass++) {
            const int64_t first = pass * s->pass, count = smaller(s->pass, tiles - first);

            for (block = 0; block < run->from.blocks; block++) {
                transform_patches(run, block, first, count, v + block * s->v_step);
            }
            for (pair = 0; pair < s->pairs; pair += s->chunk) {
                multiply_and_finish(run, first, count, v, pair, smaller(s->chunk, s->pairs - pair), m);
            }
        }
    }
}

static void run_shared(const product_run *run, int threads, float *scratch)
{
    enum { PATCH_TILES = 16 };
    const blocking *s = &run->cut;
    const int64_t tiles = tiles_of(run->shape), b = run->shape->block;
    const int64_t chunks = divide_up(s->pairs, s->chunk);
    float *v = scratch;

#pragma omp parallel num_threads(threads)
    {
        float *m = scratch + s->v_floats + omp_get_thread_num() * s->m_floats;
        int64_t first, i;

        for (first = 0; first < tiles; first += s->pass) {
            const int64_t count = smaller(s->pass, tiles - first);
            const int64_t parts = divide_up(count, s->part), groups = divide_up(count, PATCH_TILES);

#pragma omp for schedule(static)
            for (i = 0; i < run->from.blocks * groups; i++) {
                const int64_t block = i / groups, at = i % groups * PATCH_TILES;

                transform_patches(run, block, first + at, smaller(PATCH_TILES, count - at),
                                  v + block * s->v_step + at * b);
            }
#pragma omp for schedule(dynamic)
            for (i = 0; i < chunks * parts; i++) {
                const int64_t pair = i / parts * s->chunk, at = i % parts * s->part;

                multiply_and_finish(run, first + at, smaller(s->part, count - at), v + at * b, pair,
                                    smaller(s->chunk, s->pairs - pair), m);
            }
        }
    }
}

void sslcv__winograd_forward(const sslcv__winograd_shape *shape, const void *src, const float *transformed, void *dst,
                             const sslcv__winograd_post *post, int threads, void *scratch)
{
    const product_run run = {kernels_of(shape),
                             shape,
                             images_of(shape, shape->in_channels),
                             images_of(shape, shape->out_channels),
                             product_blocking(shape, shape->in_channels, shape->out_channels, threads),
                             src,
                             transformed,
                             dst,
                             post};

    if (run.cut.shared)
        run_shared(&run, threads, scratch);
    else
        run_private(&run, threads, scratch);
}

void sslcv__winograd_backward_data(const sslcv__winograd_shape *shape, const void *diff_dst, const float *transformed,
                                   void *diff_src, int threads, void *scratch)
{
    sslcv__winograd_shape turned = *shape;

    turned.in_channels = shape->out_channels;
    turned.out_channels = shape->in_channels;
    sslcv__winograd_forward(&turned, diff_dst, transformed, diff_src, NULL, threads, scratch);
}

/* ---- backward weights ---- */

typedef struct sum_run {
    const sslcv__winograd_kernels *kernels;
    const sslcv__winograd_shape *shape;
    sslcv__winograd_images in, out;
    sum_blocking cut;
    const void *src, *diff_dst;
    float *diff_weights;
} sum_run;

/* One block of V or, behind those, of W. */
static void transform_block(const sum_run *run, int64_t block, int64_t first, int64_t count, float *v, float *w)
{
    const sum_blocking *s = &run->cut;

    if (block < s->in_blocks) {
        const sslcv__winograd_tiles tiles = {&run->in, block, first, count};
        run->kernels->patches(&tiles, run->src, v + block * s->v_step, s->v_point);
    } else {
        const sslcv__winograd_tiles tiles = {&run->out, block - s->in_blocks, first, count};
        run->kernels->gradients(&tiles, run->diff_dst, w + (block - s->in_blocks) * s->v_step, s->w_point);
    }
}

/* One square at one point. */
static void add_square(const sum_run *run, int point, int64_t in, int64_t pair, int64_t count, const float *v,
                       const float *w, float *square, int add)
{
    const sum_blocking *s = &run->cut;
    const int64_t b = run->shape->block;
    const int vectors = vectors_of_pair(s->out_blocks, pair);

    run->kernels->outer(count, v + point * s->v_point + in * s->v_step, w + point * s->w_point + 2 * pair * s->v_step,
                        s->v_step, vectors, square + point * b * vectors * b, add);
}

static void finish_square(const sum_run *run, int64_t in, int64_t pair, const float *square, int parts,
                          int64_t part_step, int add)
{
    const sum_blocking *s = &run->cut;
    const int64_t b = run->shape->block;
    const int vectors = vectors_of_pair(s->out_blocks, pair);
    int i;

    for (i = 0; i < vectors; i++) {
        float *to = run->diff_weights + ((2 * pair + i) * s->in_blocks + in) * 9 * b * b;
        run->kernels->weight_gradients(square + i * b, parts, part_step, b * vectors * b, vectors * b, to, add);
    }
}

/* A part of the tiles for each of threads: also where the runtime has fewer, the sums are the same. */
static void sum_private(const sum_run *run, int threads, float *scratch)
{
    const sum_blocking *s = &run->cut;
    const int64_t tiles = tiles_of(run->shape), squares = s->in_blocks * s->pairs;
    const int64_t part_floats = s->v_floats + s->w_floats + s->sum_floats;

#pragma omp parallel num_threads(threads)
    {
        int64_t part, i;

#pragma omp for schedule(static)
        for (part = 0; part < threads; part++) {
            const int64_t end = (part + 1) * tiles / threads;
            float *sums = scratch + part * part_floats, *v = sums + s->sum_floats, *w = v + s->v_floats;
            int64_t first = part * tiles / threads, pass;
            int point;

            for (i = 0; first == end && i < s->sum_floats; i++) sums[i] = 0.0f;
            for (pass = 0; first < end; pass++, first += s->pass) {
                const int64_t count = smaller(s->pass, end - first);

                for (i = 0; i < s->in_blocks + s->out_blocks; i++) transform_block(run, i, first, count, v, w);
                for (point = 0; point < POINTS; point++) {
                    for (i = 0; i < squares; i++) {
                        add_square(run, point, i % s->in_blocks, i / s->in_blocks, count, v, w, sums + i * s->square,
                                   pass > 0);
                    }
                }
            }
        }
#pragma omp for schedule(static)
        for (i = 0; i < squares; i++) {
            finish_square(run, i % s->in_blocks, i / s->in_blocks, scratch + i * s->square, threads, part_floats, 0);
        }
    }
}

static void sum_shared(const sum_run *run, int threads, float *scratch)
{
    enum { PATCH_TILES = 16 };
    const sum_blocking *s = &run->cut;
    const int64_t tiles = tiles_of(run->shape), b = run->shape->block;
    const int64_t squares = s->in_blocks * s->pairs;
    float *v = scratch, *w = v + s->v_floats;

#pragma omp parallel num_threads(threads)
    {
        float *square = w + s->w_floats + omp_get_thread_num() * s->sum_floats;
        int64_t first, i;
        int point;

        for (first = 0; first < tiles; first += s->pass) {
            const int64_t count = smaller(s->pass, tiles - first), groups = divide_up(count, PATCH_TILES);

#pragma omp for schedule(static)
            for (i = 0; i < (s->in_blocks + s->out_blocks) * groups; i++) {
                const int64_t at = i % groups * PATCH_TILES;

                transform_block(run, i / groups, first + at, smaller(PATCH_TILES, count - at), v + at * b, w + at * b);
            }
#pragma omp for schedule(dynamic)
            for (i = 0; i < squares; i++) {
                const int64_t in = i % s->in_blocks, pair = i / s->in_blocks;

                for (point = 0; point < POINTS; point++) add_square(run, point, in, pair, count, v, w, square, 0);
                finish_square(run, in, pair, square, 1, 0, first > 0);
            }
        }
    }
}

void sslcv__winograd_backward_weights(const sslcv__winograd_shape *shape, const void *src, const void *diff_dst,
                                      float *diff_weights, int threads, void *scratch)
{
    const sum_run run = {kernels_of(shape),
                         shape,
                         images_of(shape, shape->in_channels),
                         images_of(shape, shape->out_channels),
                         gradient_blocking(shape, threads),
                         src,
                         diff_dst,
                         diff_weights};

    if (run.cut.shared)
        sum_shared(&run, threads, scratch);
    else
        sum_private(&run, threads, scratch);
}
