/**
 * What winograd.c asks of a processor's kernels. winograd_avx512.c and winograd_avx2.c have them: both compile
 * winograd_template.h, for vectors of 16 and 8.
 *
 * A kernel works for the thread that calls it. b is the block, the channels of a vector. Transformed tiles lie as
 *
 *     (36, blocks of channels, tiles, b)
 *
 * with steps that the caller chooses: between the 36 points of the transform, and between blocks of channels. Out
 * channels of a product come as two vectors, a pair; the last of an odd number comes alone.
 */
#ifndef SSLCV__WINOGRAD_KERNEL_H
#define SSLCV__WINOGRAD_KERNEL_H

#include "dnn/winograd.h"

enum { SSLCV__WINOGRAD_POINTS = 36 };

/** Images in blocks of channels, and how they are cut into tiles of 4x4: tile = (image * high + row) * wide + column. */
typedef struct sslcv__winograd_images {
    int64_t blocks, height, width, tiles_high, tiles_wide;
    int32_t block, bf16;
} sslcv__winograd_images;

/** Some tiles of one block of channels. */
typedef struct sslcv__winograd_tiles {
    const sslcv__winograd_images *images;
    int64_t block; /* which block of channels */
    int64_t first, count;
} sslcv__winograd_tiles;

typedef struct sslcv__winograd_kernels {
    /** One block of b filters and b channels, (3, 3, b in, b out), into transformed + point * step + in * in_step. */
    void (*weights)(const float *weights, const float *scale, float *transformed, int64_t step, int64_t in_step);

    /** As weights, of filters turned by 180 degrees, with in and out exchanged. */
    void (*turned_weights)(const float *weights, float *transformed, int64_t step, int64_t in_step);

    /** Patches of 6x6 pixels around the tiles of src, into v + point * step + tile * b. */
    void (*patches)(const sslcv__winograd_tiles *tiles, const void *src, float *v, int64_t step);

    /** Tiles of gradients, into w + point * step + tile * b: the transpose of results. */
    void (*gradients)(const sslcv__winograd_tiles *tiles, const void *diff_dst, float *w, int64_t step);

    /** m (vectors, count, b) = v (in_blocks, count, b) u (in_blocks * b, vectors * b), at one point. */
    void (*product)(int64_t count, int64_t in_blocks, const float *v, int64_t v_step, const float *u, int vectors,
                    float *m, int64_t m_step);

    /** Tiles of dst from m + point * step + tile * b. */
    void (*results)(const sslcv__winograd_tiles *tiles, const float *m, int64_t step, void *dst,
                    const sslcv__winograd_post *post);

    /** sum (b, vectors * b) [+]= v (count, b) turned times w (vectors, count, b), at one point. */
    void (*outer)(int64_t count, const float *v, const float *w, int64_t w_step, int vectors, float *sum, int add);

    /**
     * Weights' gradients of one block, (3, 3, b in, b out), from the sums of parts: sums + part * part_step +
     * point * step + in * in_step. add: to those that are there.
     */
    void (*weight_gradients)(const float *sums, int parts, int64_t part_step, int64_t step, int64_t in_step,
                             float *diff_weights, int add);
} sslcv__winograd_kernels;

#if defined(__x86_64__)
extern const sslcv__winograd_kernels sslcv__winograd_avx512; /* b is 16 */
extern const sslcv__winograd_kernels sslcv__winograd_avx2;   /* b is 8 */
#endif

#endif
