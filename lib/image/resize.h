/**
 * Boxes of pictures to dense f32 planes: cut out, or resized. Sources are read where they lie, of any strides, U8, U16
 * or F32; results are divided by full scale (255, 65535, 1). Any thread.
 */
#ifndef SSLCV__RESIZE_H
#define SSLCV__RESIZE_H

#include <sslcv/tensor.h>

enum sslcv__filter { SSLCV__BILINEAR = 0, SSLCV__BICUBIC = 1, SSLCV__NEAREST = 2 };

typedef struct sslcv__box {
    int64_t top, left, height, width; /* pixels */
} sslcv__box;

/** Bytes of working memory for sslcv__resize(). */
int64_t sslcv__resize_bytes(const sslcv_tensor *image, const sslcv__box *box, int64_t height, int64_t width,
                            int32_t filter);

/**
 * Resize a box as if it had been cut out first: pixels outside it do not count.
 *
 * @param image (C, H, W).
 * @param box   Inside the image, at least 1 x 1.
 * @param work  sslcv__resize_bytes() of them, aligned to 8.
 * @param dst   (C, height, width).
 */
void sslcv__resize(const sslcv_tensor *image, const sslcv__box *box, int64_t height, int64_t width, int32_t filter,
                   void *work, float *dst);

/** Cut a box out. What of it lies outside the image becomes 0. dst: (C, box height, box width). */
void sslcv__crop(const sslcv_tensor *image, const sslcv__box *box, float *dst);

#endif
