/**
 * Convolution 3x3, stride 1, padding 1 by Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, "Fast Algorithms
 * for Convolutional Neural Networks", 2016), in f32 arithmetic, with images in f32 or bf16. 36 products of matrices
 * take 4 times fewer multiplications than the convolution; the passes around them cost some of that back:
 *
 *     6x6 patch --B' d B--> V[36] (tiles, in)  --x U[36] (in, out)-->  M[36] (tiles, out) --A' m A--> 4x4 pixels
 *                                                ^
 *     3x3 weights --G g G'-----------------------+
 *
 * All of it is done for one block of tiles at a time, small enough that V and M stay in the second-level cache of the
 * core that works on it. Backward data is the same with weights turned by 180 degrees and in and out exchanged;
 * backward weights sums V' W over all tiles, where W are the transformed gradients, and transforms once at the end.
 *
 * Memory is oneDNN's blocked form, b channels together (16 with AVX-512, 8 with AVX2):
 *
 *     images   (N, C/b, H, W, b)                 nChw16c, nChw8c
 *     weights  (O/b, I/b, 3, 3, b in, b out)     OIhw16i16o, OIhw8i8o; always f32
 *
 * Inside a compute frame. Nothing is allocated: scratch and transformed weights are the caller's, aligned to 64.
 */
#ifndef SSLCV__WINOGRAD_H
#define SSLCV__WINOGRAD_H

#include <stdint.h>

typedef struct sslcv__winograd_shape {
    int64_t batch, in_channels, out_channels, height, width;
    int32_t block; /* b: 16 or 8 */
    int32_t bf16;  /* images are bf16, else f32 */
} sslcv__winograd_shape;

typedef enum sslcv__winograd_direction {
    SSLCV__WINOGRAD_FORWARD,
    SSLCV__WINOGRAD_BACKWARD_DATA,
    SSLCV__WINOGRAD_BACKWARD_WEIGHTS
} sslcv__winograd_direction;

/** b for this processor: 16 with AVX-512, 8 with AVX2 and FMA, 0: no kernels. max_block: 16, or 8 to ask for AVX2. */
int32_t sslcv__winograd_block(int32_t max_block);

/** 1: block is what the processor can, and both channel counts are multiples of it. */
int sslcv__winograd_supports(const sslcv__winograd_shape *shape);

/** Bytes of the transformed weights, for FORWARD and BACKWARD_DATA. */
int64_t sslcv__winograd_weights_bytes(const sslcv__winograd_shape *shape);

/** Bytes of scratch for a run with so many threads. */
int64_t sslcv__winograd_scratch_bytes(const sslcv__winograd_shape *shape, sslcv__winograd_direction direction,
                                      int threads);

/**
 * Transform weights for FORWARD or BACKWARD_DATA.
 *
 * @param scale (out_channels), multiplies the weights of each filter (a folded batch norm); NULL: 1. FORWARD only.
 */
void sslcv__winograd_transform_weights(const sslcv__winograd_shape *shape, sslcv__winograd_direction direction,
                                       const float *weights, const float *scale, float *transformed);

/** What an inference pass adds while the result is in registers: dst <- relu(dst + bias + add). */
typedef struct sslcv__winograd_post {
    const float *bias; /* (out_channels); NULL: none */
    const void  *add;  /* like dst; NULL: none. May be dst itself */
    int32_t      relu;
    int32_t      reserved;
} sslcv__winograd_post;

/** dst (N, out, H, W) from src (N, in, H, W). post: NULL: none. threads: as in scratch_bytes. */
void sslcv__winograd_forward(const sslcv__winograd_shape *shape, const void *src, const float *transformed, void *dst,
                             const sslcv__winograd_post *post, int threads, void *scratch);

/** diff_src (N, in, H, W) from diff_dst (N, out, H, W). */
void sslcv__winograd_backward_data(const sslcv__winograd_shape *shape, const void *diff_dst, const float *transformed,
                                   void *diff_src, int threads, void *scratch);

/** diff_weights, in the weights' form, f32. Sums run in an order that threads alone determine. */
void sslcv__winograd_backward_weights(const sslcv__winograd_shape *shape, const void *src, const void *diff_dst,
                                      float *diff_weights, int threads, void *scratch);

#endif
