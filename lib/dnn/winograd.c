/* Winograd convolution: the blocking, and the work of threads. The arithmetic is in winograd_template.h. */
#include "dnn/winograd.h"

#include "core/checked.h"
#include "core/openmp.h"
#include "dnn/winograd_kernel.h"

#include <stddef.h>

enum {
    POINTS = SSLCV__WINOGRAD_POINTS,
    LINE = 6,                    /* points */
    PRIVATE_WEIGHTS = 128 * 128, /* in times out channels: beyond, threads share passes */
    CACHE_LINE = 64,             /* bytes */
    FETCH_BYTES = 4 << 20,       /* images of this size are not in the cache of a core, */
    STREAM_BYTES = 24 << 20,     /* of that size in no cache */
};

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
    int64_t pass;                     /* tiles */
    int64_t part;                     /* tiles that go through the products at a time; private: pass */
    int64_t chunk;                    /* pairs of out channels whose M is there at a time */
    int64_t pairs;                    /* of out channels, an odd block at the end counts */
    int64_t v_step, v_line, v_floats; /* from block to block, from point to point, all */
    int64_t m_step, m_line, m_floats;
} blocking;

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* The size of parts of nearly the same size, none above most. */
static int64_t even_parts(int64_t count, int64_t most)
{
    return divide_up(count, divide_up(count, most));
}

static int64_t odd_lines(int64_t floats)
{
    const int64_t line_floats = CACHE_LINE / (int64_t)sizeof(float);

    return (divide_up(floats, line_floats) | 1) * line_floats;
}

/* Of (6, blocks, tiles, 6, b). */
static int64_t point_at(int point, int64_t line_step, int64_t b)
{
    return point / LINE * line_step + point % LINE * b;
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
    enum { PRIVATE_FLOATS = 1 << 17, PRIVATE_TILES = 56, SHARED_FLOATS = 5 << 18, SHARED_PART = 56 };
    const int64_t b = shape->block, tiles = tiles_of(shape);
    blocking s;

    s.shared = in_channels * out_channels > PRIVATE_WEIGHTS;
    s.pairs = divide_up(out_channels / b, 2);
    if (s.shared) {
        s.chunk = 1;
        s.pass = SHARED_FLOATS / (POINTS * in_channels);
        s.part = SHARED_PART;
    } else {
        s.chunk = smaller(s.pairs, 128 / b / 2);
        s.pass = smaller(PRIVATE_TILES, PRIVATE_FLOATS / (POINTS * (in_channels + s.chunk * 2 * b)));
    }
    if (s.pass < 8) s.pass = 8;
    if (!s.shared) {
        s.pass = smaller(s.pass, divide_up(tiles, threads));
        s.part = s.pass;
    }
    s.pass = even_parts(tiles, s.pass);
    s.part = even_parts(s.pass, s.part);
    s.v_step = s.pass * LINE * b;
    s.v_line = odd_lines(s.v_step * (in_channels / b));
    s.v_floats = s.v_line * LINE;
    s.m_step = s.part * LINE * b;
    s.m_line = odd_lines(s.m_step * s.chunk * 2);
    s.m_floats = s.m_line * LINE;
    return s;
}

/* Sums of weights' gradients: a square of one block of channels by a pair of blocks of filters, at all points. */
typedef struct sum_blocking {
    int shared; /* one thread sums a square over all tiles; else each sums all squares over its part of the tiles */
    int64_t pass;
    int64_t in_blocks, out_blocks, pairs;
    int64_t v_step, v_line, v_floats, w_line, w_floats;
    int64_t square_point, square, sum_floats; /* shared: sum_floats is one square */
} sum_blocking;

static sum_blocking gradient_blocking(const sslcv__winograd_shape *shape, int threads)
{
    enum { PRIVATE_TILES = 48, SHARED_FLOATS = 1 << 21 };
    const int64_t b = shape->block, tiles = tiles_of(shape);
    sum_blocking s;

    s.in_blocks = shape->in_channels / b;
    s.out_blocks = shape->out_channels / b;
    s.pairs = divide_up(s.out_blocks, 2);
    s.shared = shape->in_channels * shape->out_channels > PRIVATE_WEIGHTS;
    s.pass = s.shared ? SHARED_FLOATS / (POINTS * (shape->in_channels + shape->out_channels)) : PRIVATE_TILES;
    if (s.pass < 16) s.pass = 16;
    if (s.shared)
        s.pass = even_parts(tiles, s.pass);
    else
        s.pass = smaller(s.pass, divide_up(tiles, threads));
    s.v_step = s.pass * LINE * b;
    s.v_line = odd_lines(s.v_step * s.in_blocks);
    s.v_floats = s.v_line * LINE;
    s.w_line = odd_lines(s.v_step * s.out_blocks);
    s.w_floats = s.w_line * LINE;
    s.square_point = b * 2 * b + CACHE_LINE / (int64_t)sizeof(float);
    s.square = POINTS * s.square_point;
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

/* ---- memory that is needed soon ---- */

/*
 * Images that come from memory are fetched a pass ahead, a little at each point, while products are computed: these
 * need none. A fetch is for some tiles of all blocks of channels, and goes on where it stopped.
 */
typedef struct fetch {
    const sslcv__winograd_images *images;
    const char *data;
    int64_t first, count, block; /* tiles; of this block come the next ones */
    int64_t done, left;          /* of the block; of all */
    int64_t image, row, column;  /* of the next tile */
} fetch;

static void start_block(fetch *f)
{
    const int64_t wide = f->images->tiles_wide, high = f->images->tiles_high;

    f->image = f->first / (wide * high);
    f->row = f->first / wide % high;
    f->column = f->first % wide;
    f->done = 0;
}

static fetch start_fetch(const sslcv__winograd_images *images, const void *data, int64_t first, int64_t count)
{
    fetch f = {images, data, first, count, 0, 0, 0, 0, 0, 0};

    if (count <= 0) return f;
    f.left = images->blocks * count;
    start_block(&f);
    return f;
}

/* Always inlined, else GCC takes a function that only fetches for one without effect, and drops it. */
static inline __attribute__((always_inline)) void fetch_tiles(fetch *f, int64_t tiles)
{
    const sslcv__winograd_images *s = f->images;
    const int64_t pixel = s->block * (s->bf16 ? 2 : 4), row_bytes = s->width * pixel;

    for (tiles = smaller(tiles, f->left), f->left -= tiles; tiles > 0; tiles--) {
        const int64_t y = 4 * f->row, high = smaller(4, s->height - y);
        const int64_t bytes = smaller(4, s->width - 4 * f->column) * pixel;
        const char *at =
            f->data + ((f->image * s->blocks + f->block) * s->height + y) * row_bytes + 4 * f->column * pixel;
        int64_t i, j;

        for (i = 0; i < high; i++, at += row_bytes) {
            for (j = 0; j < bytes; j += 64) __builtin_prefetch(at + j, 0, 2);
        }
        if (++f->done == f->count) {
            f->block++;
            start_block(f);
        } else if (++f->column == s->tiles_wide) {
            f->column = 0;
            if (++f->row == s->tiles_high) {
                f->row = 0;
                f->image++;
            }
        }
    }
}

/* Per point, so that all is fetched at the last of so many points. */
static int64_t share(const fetch *f, int64_t points)
{
    return divide_up(f->left, points);
}

static int64_t image_bytes(const sslcv__winograd_shape *shape, int64_t channels)
{
    return shape->batch * channels * shape->height * shape->width * (shape->bf16 ? 2 : 4);
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
    const int back = direction == SSLCV__WINOGRAD_BACKWARD_DATA;
    const int64_t b = shape->block, in_blocks = shape->in_channels / b, out_blocks = shape->out_channels / b;
    /* What the products take for in and out, and how far from one of their blocks to the next the weights lie. */
    const int64_t from_blocks = back ? out_blocks : in_blocks, to_blocks = back ? in_blocks : out_blocks;
    const int64_t square = 9 * b * b, from_step = (back ? in_blocks : 1) * square;
    const int64_t to_step = (back ? 1 : in_blocks) * square;
    const int64_t pairs = divide_up(to_blocks, 2);
    const int stream = sslcv__winograd_weights_bytes(shape) >= STREAM_BYTES;
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < pairs * from_blocks; i++) {
        const int64_t pair = i / from_blocks, from = i % from_blocks;
        const int vectors = vectors_of_pair(to_blocks, pair);
        const float *first = weights + from * from_step + 2 * pair * to_step;
        const float *const blocks[2] = {first, vectors == 2 ? first + to_step : NULL};
        const int64_t step = from_blocks * b * vectors * b;
        float *u = transformed + pair * pair_floats(shape, from_blocks * b) + from * b * vectors * b;

        if (back)
            k->turned_weights(blocks, vectors, u, step, stream);
        else
            k->weights(blocks, vectors, scale != NULL ? scale + 2 * pair * b : NULL, u, step, stream);
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
    int ahead;  /* images are too large for a cache: fetch them a pass ahead */
    int stream; /* even more so: write dst past the caches */
} product_run;

/* V of all blocks of channels, or of one. */
static void transform_patches(const product_run *run, int64_t block, int64_t first, int64_t count, float *v)
{
    const sslcv__winograd_tiles tiles = {&run->from, block, first, count};

    run->kernels->patches(&tiles, run->src, v, run->cut.v_line);
}

/*
 * Tiles first .. first + count, whose patches are in v, to dst, for some pairs of out channels. src: what to fetch
 * meanwhile; NULL: nothing.
 */
static void multiply_and_finish(const product_run *run, int64_t first, int64_t count, const float *v,
                                int64_t first_pair, int64_t pairs, float *m, fetch *src)
{
    const blocking *s = &run->cut;
    const int64_t b = run->shape->block, in_channels = run->from.blocks * b;
    const int64_t whole_pair = pair_floats(run->shape, in_channels);
    const int64_t first_block = 2 * first_pair, last_block = smaller(2 * (first_pair + pairs), run->to.blocks);
    fetch dst = start_fetch(&run->to, run->dst, first, count);
    int64_t src_share = 0, dst_share = 0, i, block;
    int point;

    dst.block = first_block;
    dst.left = (last_block - first_block) * count;
    if (run->ahead && src != NULL) src_share = share(src, divide_up(s->pairs - first_pair, pairs) * POINTS);
    if (run->ahead && !run->stream) dst_share = share(&dst, POINTS);
    for (point = 0; point < POINTS; point++) {
        if (src_share > 0) fetch_tiles(src, src_share);
        if (dst_share > 0) fetch_tiles(&dst, dst_share);
        for (i = 0; i < pairs; i++) {
            const int vectors = vectors_of_pair(run->to.blocks, first_pair + i);
            const float *u = run->transformed + (first_pair + i) * whole_pair + point * in_channels * vectors * b;

            run->kernels->product(count, run->from.blocks, v + point_at(point, s->v_line, b), s->v_step, u, vectors,
                                  m + point_at(point, s->m_line, b) + 2 * i * s->m_step, s->m_step);
        }
    }
    for (block = first_block; block < last_block; block++) {
        const sslcv__winograd_tiles tiles = {&run->to, block, first, count};

        run->kernels->results(&tiles, m + (block - first_block) * s->m_step, s->m_line, run->dst, run->post,
                              run->stream);
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

#pragma omp for schedule(static)
        for (pass = 0; pass < passes; pass++) {
            const int64_t first = pass * s->pass, count = smaller(s->pass, tiles - first);
            fetch next = start_fetch(&run->from, run->src, first + count, smaller(s->pass, tiles - first - count));

            for (block = 0; block < run->from.blocks; block++) {
                transform_patches(run, block, first, count, v + block * s->v_step);
            }
            for (pair = 0; pair < s->pairs; pair += s->chunk) {
                multiply_and_finish(run, first, count, v, pair, smaller(s->chunk, s->pairs - pair), m, &next);
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
                                  v + block * s->v_step + at * LINE * b);
            }
#pragma omp for schedule(dynamic)
            for (i = 0; i < chunks * parts; i++) {
                const int64_t pair = i / parts * s->chunk, at = i % parts * s->part;

                multiply_and_finish(run, first + at, smaller(s->part, count - at), v + at * LINE * b, pair,
                                    smaller(s->chunk, s->pairs - pair), m, NULL);
            }
        }
    }
}

void sslcv__winograd_forward(const sslcv__winograd_shape *shape, const void *src, const float *transformed, void *dst,
                             const sslcv__winograd_post *post, int threads, void *scratch)
{
    const int64_t bytes = image_bytes(shape, shape->in_channels) + image_bytes(shape, shape->out_channels);
    const int64_t row_bytes = shape->width * shape->block * (shape->bf16 ? 2 : 4);
    const int stream = bytes >= STREAM_BYTES && row_bytes % CACHE_LINE == 0 && (uintptr_t)dst % CACHE_LINE == 0;
    product_run run = {kernels_of(shape),
                       shape,
                       images_of(shape, shape->in_channels),
                       images_of(shape, shape->out_channels),
                       product_blocking(shape, shape->in_channels, shape->out_channels, threads),
                       src,
                       transformed,
                       dst,
                       post,
                       bytes >= FETCH_BYTES,
                       stream};

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
    int ahead;
} sum_run;

/* One block of V or, behind those, of W. */
static void transform_block(const sum_run *run, int64_t block, int64_t first, int64_t count, float *v, float *w)
{
    const sum_blocking *s = &run->cut;

    if (block < s->in_blocks) {
        const sslcv__winograd_tiles tiles = {&run->in, block, first, count};
        run->kernels->patches(&tiles, run->src, v + block * s->v_step, s->v_line);
    } else {
        const sslcv__winograd_tiles tiles = {&run->out, block - s->in_blocks, first, count};
        run->kernels->gradients(&tiles, run->diff_dst, w + (block - s->in_blocks) * s->v_step, s->w_line);
    }
}

/* One square at one point. */
static void add_square(const sum_run *run, int point, int64_t in, int64_t pair, int64_t count, const float *v,
                       const float *w, float *square, int add)
{
    const sum_blocking *s = &run->cut;
    const int64_t b = run->shape->block;
    const int vectors = vectors_of_pair(s->out_blocks, pair);

    run->kernels->outer(count, v + point_at(point, s->v_line, b) + in * s->v_step, LINE * b,
                        w + point_at(point, s->w_line, b) + 2 * pair * s->v_step, LINE * b, s->v_step, vectors,
                        square + point * s->square_point, add);
}

/* A 36th of the weights' gradients that a square ends in. Inlined like fetch_tiles. */
static inline __attribute__((always_inline)) void fetch_weights(const sum_run *run, int point, int64_t in, int64_t pair)
{
    const int64_t b = run->shape->block, bytes = 9 * b * b * (int64_t)sizeof(float), part = bytes / POINTS;
    const int vectors = vectors_of_pair(run->cut.out_blocks, pair);
    int64_t i, j;

    for (i = 0; i < vectors; i++) {
        const char *block = (const char *)run->diff_weights + ((2 * pair + i) * run->cut.in_blocks + in) * bytes;
        for (j = 0; j < part; j += CACHE_LINE) __builtin_prefetch(block + point * part + j, 1, 2);
    }
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
        run->kernels->weight_gradients(square + i * b, parts, part_step, s->square_point, vectors * b, to, add);
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
                const int64_t count = smaller(s->pass, end - first), next = smaller(s->pass, end - first - count);
                fetch src = start_fetch(&run->in, run->src, first + count, run->ahead ? next : 0);
                fetch diff_dst = start_fetch(&run->out, run->diff_dst, first + count, run->ahead ? next : 0);
                const int64_t src_share = share(&src, POINTS), diff_share = share(&diff_dst, POINTS);

                for (i = 0; i < s->in_blocks + s->out_blocks; i++) transform_block(run, i, first, count, v, w);
                for (point = 0; point < POINTS; point++) {
                    fetch_tiles(&src, src_share);
                    fetch_tiles(&diff_dst, diff_share);
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

                transform_block(run, i / groups, first + at, smaller(PATCH_TILES, count - at), v + at * LINE * b,
                                w + at * LINE * b);
            }
#pragma omp for schedule(dynamic)
            for (i = 0; i < squares; i++) {
                const int64_t in = i % s->in_blocks, pair = i / s->in_blocks;

                for (point = 0; point < POINTS; point++) {
                    fetch_weights(run, point, in, pair);
                    add_square(run, point, in, pair, count, v, w, square, 0);
                }
                finish_square(run, in, pair, square, 1, 0, first > 0);
            }
        }
    }
}

void sslcv__winograd_backward_weights(const sslcv__winograd_shape *shape, const void *src, const void *diff_dst,
                                      float *diff_weights, int threads, void *scratch)
{
    const int64_t bytes = image_bytes(shape, shape->in_channels) + image_bytes(shape, shape->out_channels);
    const sum_run run = {kernels_of(shape),
                         shape,
                         images_of(shape, shape->in_channels),
                         images_of(shape, shape->out_channels),
                         gradient_blocking(shape, threads),
                         src,
                         diff_dst,
                         diff_weights,
                         bytes >= FETCH_BYTES};

    if (run.cut.shared)
        sum_shared(&run, threads, scratch);
    else
        sum_private(&run, threads, scratch);
}
