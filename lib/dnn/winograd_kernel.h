/**
 * What winograd.c asks of a processor's kernels. winograd_avx512.c and winograd_avx2.c have them: both compile
 * winograd_template.h, for vectors of 16 and 8.
 *
 * A kernel works for the thread that calls it. b is the block, the channels of a vector. Transformed tiles lie as
 *
 *     (6, blocks of channels, tiles, 6, b)
 *
 * with steps that the caller chooses, between lines of six points and between blocks of channels. What works at one
 * point gets the address of its first vector; the next tile's is six vectors on. Out channels of a product come as
 * two vectors, a pair; the last of an odd number comes alone.
 */
#ifndef SSLCV__WINOGRAD_KERNEL_H
#define SSLCV__WINOGRAD_KERNEL_H

#include "dnn/winograd.h"

enum { SSLCV__WINOGRAD_POINTS = 36 };

/** Images in blocks of channels, cut into tiles of 4x4: tile = (image * tiles_high + row) * tiles_wide + column. */
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
    /**
     * One or two blocks of b filters and b channels, (3, 3, b in, b out), into transformed (b in, vectors * b out) +
     * point * step. scale: of these filters, or NULL. stream: past the caches.
     */
    void (*weights)(const float *const blocks[2], int vectors, const float *scale, float *transformed, int64_t step,
                    int stream);

    /** As weights, of filters turned by 180 degrees, with in and out exchanged. */
    void (*turned_weights)(const float *const blocks[2], int vectors, float *transformed, int64_t step, int stream);

    /** Patches of 6x6 pixels around the tiles of src, into v + line * step + tile * 6 b. */
    void (*patches)(const sslcv__winograd_tiles *tiles, const void *src, float *v, int64_t step);

    /** Tiles of gradients, into w + line * step + tile * 6 b: the transpose of results. */
    void (*gradients)(const sslcv__winograd_tiles *tiles, const void *diff_dst, float *w, int64_t step);

    /** m (vectors, count, (6) b) = v (in_blocks, count, (6) b) u (in_blocks * b, vectors * b), at one point. */
    void (*product)(int64_t count, int64_t in_blocks, const float *v, int64_t v_step, const float *u, int vectors,
                    float *m, int64_t m_step);

    /** Tiles of dst from m + line * step + tile * 6 b. stream: past the caches; rows of dst are whole cache lines. */
    void (*results)(const sslcv__winograd_tiles *tiles, const float *m, int64_t step, void *dst,
                    const sslcv__winograd_post *post, int stream);

    /** sum (b, vectors * b) [+]= v (count, b) turned times w (vectors, count, b); rows are v_next and w_next apart. */
    void (*outer)(int64_t count, const float *v, int64_t v_next, const float *w, int64_t w_next, int64_t w_step,
                  int vectors, float *sum, int add);

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
