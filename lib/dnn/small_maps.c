/*
 * Backward weights of convolutions over maps of a few pixels: patches of CPC, pieces of a jigsaw, the last stages of
 * small networks. oneDNN's kernel walks along a row of the map, and of rows of one or two pixels it makes a fifth of
 * its speed and less: 12,544 maps of one pixel with 128 channels, 3x3, take 29 ms on two cores of a Zen 4, here 2.0;
 * of 4x4 pixels half as long, of more no shorter, and 1x1 filters are quick everywhere. Here each tap of the filter is a sum of outer products over images:
 *
 *     diff_weights[tap] (in, out)  =  sum over pairs of pixels that the tap joins     one pass over the images of a
 *                                     sum over images   src (in) x diff_dst (out)     chunk, sums in registers
 *
 * so a tap that lies in the padding throughout costs nothing: on maps of one pixel eight of nine. Sums of a chunk of
 * images begin at zero and are added to those of the chunks before: a single chain over all of them rounds worse.
 *
 *     squares   a block of input channels with two of output channels, all taps: a thread's piece of work; where they are
 *               few and don't come out even, each thread has a part of the images instead, with sums of its own
 *     scratchpad   | sums of part 0 | sums of part 1 | ...   with one part none: sums go to diff_weights
 */
#include "core/checked.h"
#include "core/context.h"
#include "core/memory.h"
#include "dnn/op.h"
#include "dnn/winograd_kernel.h"

#include <stdio.h>
#include <string.h>

enum { CHUNK_BYTES = 192 << 10, MIN_CHUNK = 16, MAX_CHUNK = 512, SQUARES_PER_THREAD = 4, MAX_PIXELS = 16 };

typedef struct small_op {
    sslcv__op op; /* first */
    sslcv__conv_shape shape;
    const sslcv__winograd_kernels *kernels;
    int64_t out_height, out_width;
    int64_t in_blocks, out_blocks, pairs, block; /* pairs of out_blocks */
    int64_t chunk, parts;                        /* images */
    int64_t weights;                             /* floats */
    int32_t threads;
    int32_t reserved;
} small_op;

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static const sslcv__winograd_kernels *kernels_of(int32_t block)
{
#if defined(__x86_64__)
    if (block == 16) return &sslcv__winograd_avx512;
    if (block == 8) return &sslcv__winograd_avx2;
#endif
    (void)block;
    return NULL;
}

int sslcv__small_maps_fit(const sslcv__conv_shape *s)
{
    const int64_t block = sslcv__winograd_block(sslcv__backend_block());
    const int64_t high = sslcv__conv_out_size(s->in_height, s->kernel_height, s->stride, s->padding);
    const int64_t wide = sslcv__conv_out_size(s->in_width, s->kernel_width, s->stride, s->padding);

    return block != 0 && s->dtype == SSLCV_F32 && s->in_channels % block == 0 && s->out_channels % block == 0 &&
           s->kernel_height * s->kernel_width > 1 && high * wide <= MAX_PIXELS;
}

/* ---- the sums ---- */

/* Of one square, tap and chunk. square (block, vectors * block). 1: it has been written. */
static int sum_tap(const small_op *s, int64_t in, int64_t pair, int vectors, int64_t tap, int64_t first, int64_t count,
                   float *square)
{
    const sslcv__conv_shape *shape = &s->shape;
    const int64_t src_image = shape->in_channels * shape->in_height * shape->in_width;
    const int64_t dst_pixels = s->out_height * s->out_width, dst_image = shape->out_channels * dst_pixels;
    const float *src = (const float *)s->op.memory[SSLCV__SRC] + first * src_image +
                       in * shape->in_height * shape->in_width * s->block;
    const float *diff_dst =
        (const float *)s->op.memory[SSLCV__DIFF_DST] + first * dst_image + 2 * pair * dst_pixels * s->block;
    const int64_t ky = tap / shape->kernel_width, kx = tap % shape->kernel_width;
    int64_t oy, ox;
    int written = 0;

    for (oy = 0; oy < s->out_height; oy++) {
        const int64_t iy = oy * shape->stride + ky - shape->padding;

        if (iy < 0 || iy >= shape->in_height) continue;
        for (ox = 0; ox < s->out_width; ox++) {
            const int64_t ix = ox * shape->stride + kx - shape->padding;

            if (ix < 0 || ix >= shape->in_width) continue;
            s->kernels->outer(count, src + (iy * shape->in_width + ix) * s->block, src_image,
                              diff_dst + (oy * s->out_width + ox) * s->block, dst_image, dst_pixels * s->block, vectors,
                              square, written);
            written = 1;
        }
    }
    return written;
}

/* square into the blocks of one or two vectors; they lie block_step apart. */
static void add_square(const small_op *s, const float *square, int vectors, float *to, int64_t block_step)
{
    int64_t i, j;
    int v;

    for (v = 0; v < vectors; v++) {
        for (i = 0; i < s->block; i++) {
            const float *from = square + (i * vectors + v) * s->block;
            float *row = to + v * block_step + i * s->block;

            for (j = 0; j < s->block; j++) row[j] += from[j];
        }
    }
}

/* Images first .. end - 1 of a square, into sums, which lie as the weights. */
static void sum_square(const small_op *s, int64_t in, int64_t pair, int64_t first, int64_t end, float *sums)
{
    const int64_t taps = s->shape.kernel_height * s->shape.kernel_width, area = s->block * s->block;
    const int64_t block_step = s->in_blocks * taps * area;
    const int vectors = 2 * pair + 1 < s->out_blocks ? 2 : 1;
    float *to = sums + (2 * pair * s->in_blocks + in) * taps * area;
    float square[16 * 2 * 16];
    int64_t tap, count;
    int v;

    for (v = 0; v < vectors; v++) memset(to + v * block_step, 0, (size_t)(taps * area) * sizeof(float));
    for (; first < end; first += count) {
        count = smaller(s->chunk, end - first);
        for (tap = 0; tap < taps; tap++) {
            if (sum_tap(s, in, pair, vectors, tap, first, count, square)) {
                add_square(s, square, vectors, to + tap * area, block_step);
            }
        }
    }
}

static sslcv_status run(sslcv__op *op)
{
    small_op *s = (small_op *)op;
    float *diff_weights = op->memory[SSLCV__DIFF_WEIGHTS];
    float *sums = s->parts > 1 ? op->memory[SSLCV__SCRATCHPAD] : diff_weights;
    const int64_t squares = s->in_blocks * s->pairs;

#pragma omp parallel num_threads(s->threads)
    {
        int64_t i, part;

        /* A part's chunks come again for each square while they are in the cache that its thread is at. */
#pragma omp for schedule(static)
        for (i = 0; i < s->parts * squares; i++) {
            part = i / squares;
            sum_square(s, i % s->in_blocks, i % squares / s->in_blocks, part * s->shape.batch / s->parts,
                       (part + 1) * s->shape.batch / s->parts, sums + part * s->weights);
        }
        if (s->parts > 1) {
#pragma omp for schedule(static)
            for (i = 0; i < s->weights; i++) {
                float sum = sums[i];

                for (part = 1; part < s->parts; part++) sum += sums[part * s->weights + i];
                diff_weights[i] = sum;
            }
        }
    }
    return SSLCV_OK;
}

/* ---- the op ---- */

static void choose_blocking(small_op *s)
{
    const sslcv__conv_shape *shape = &s->shape;
    const int64_t floats = s->block * (shape->in_height * shape->in_width + 2 * s->out_height * s->out_width);
    const int64_t chunk = CHUNK_BYTES / (floats * (int64_t)sizeof(float)), squares = s->in_blocks * s->pairs;

    s->chunk = chunk < MIN_CHUNK ? MIN_CHUNK : smaller(chunk, MAX_CHUNK);
    s->parts =
        squares % s->threads == 0 || squares >= SQUARES_PER_THREAD * s->threads ? 1 : smaller(s->threads, shape->batch);
}

static sslcv_status set_layouts(sslcv_context *context, small_op *s)
{
    const sslcv__conv_shape *shape = &s->shape;
    const int64_t in[4] = {shape->batch, shape->in_channels, shape->in_height, shape->in_width};
    const int64_t out[4] = {shape->batch, shape->out_channels, s->out_height, s->out_width};
    const int64_t filters[4] = {shape->out_channels, shape->in_channels, shape->kernel_height, shape->kernel_width};
    const int32_t block = (int32_t)s->block;
    int64_t scratch[1];
    sslcv__layout **layouts = s->op.layouts;
    sslcv_status status;

    SSLCV__TRY(sslcv__layout_images(context, SSLCV_F32, in, block, &layouts[SSLCV__SRC]));
    SSLCV__TRY(sslcv__layout_images(context, SSLCV_F32, out, block, &layouts[SSLCV__DIFF_DST]));
    SSLCV__TRY(sslcv__layout_filters(context, filters, block, &layouts[SSLCV__DIFF_WEIGHTS]));
    if (s->parts == 1) goto end;
    if (!sslcv__multiply(s->weights, s->parts, &scratch[0])) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "sums of filters for %lld threads have no room", (long long)s->parts);
    }
    status = sslcv__layout_plain(context, SSLCV_F32, 1, scratch, &layouts[SSLCV__SCRATCHPAD]);
end:
    return status;
}

static const sslcv__op_kind small_kind = {run, NULL, NULL, NULL};

sslcv_status sslcv__op_small_maps(sslcv_context *context, const sslcv__conv_shape *shape, sslcv__op **out)
{
    const int32_t block = sslcv__winograd_block(sslcv__backend_block());
    small_op *s;
    sslcv_status status = sslcv__alloc_array(context, 1, sizeof *s, (void **)&s);

    if (status != SSLCV_OK) return status;
    s->op.kind = &small_kind;
    s->shape = *shape;
    s->kernels = kernels_of(block);
    s->block = block;
    s->out_height = sslcv__conv_out_size(shape->in_height, shape->kernel_height, shape->stride, shape->padding);
    s->out_width = sslcv__conv_out_size(shape->in_width, shape->kernel_width, shape->stride, shape->padding);
    s->in_blocks = shape->in_channels / block;
    s->out_blocks = shape->out_channels / block;
    s->pairs = (s->out_blocks + 1) / 2;
    s->weights = shape->out_channels * shape->in_channels * shape->kernel_height * shape->kernel_width;
    s->threads = context->threads;
    choose_blocking(s);
    snprintf(s->op.implementation, sizeof s->op.implementation, "own:small_maps:%s", block == 16 ? "avx512" : "avx2");
    status = set_layouts(context, s);
    if (status == SSLCV_OK) {
        *out = &s->op;
    } else {
        sslcv__op_free(context, &s->op);
    }
    return status;
}
