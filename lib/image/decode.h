/**
 * Encoded images to pixels: JPEG, PNG, BMP, PGM, PPM. The only file that knows stb_image is decode.c; jpeg.c knows
 * libjpeg. Any thread.
 *
 * The file is a stranger's: sizes are read from its header and checked against the limits before pixels are decoded.
 */
#ifndef SSLCV__DECODE_H
#define SSLCV__DECODE_H

#include <sslcv/context.h>
#include <sslcv/tensor.h>

typedef struct sslcv__decode_limits {
    int64_t max_pixels; /* width * height */
    int64_t max_bytes;  /* of the file */
    int64_t min_side;   /* > 0: shrink to a half, a quarter or an eighth while both sides keep so many pixels; 0: no */
} sslcv__decode_limits;

/** Is this name's ending one of an image file? Case does not matter. */
int sslcv__is_image_name(const char *name);

/**
 * Shape without decoding.
 *
 * @param name  For messages.
 * @param shape Out: (C, H, W), C as converted, H and W as shrunk.
 */
sslcv_status sslcv__decode_shape(sslcv_context *context, const void *bytes, int64_t size, const char *name,
                                 int64_t channels, const sslcv__decode_limits *limits, int64_t shape[3]);

/**
 * Decode.
 *
 * @param channels 1 or 3: convert to so many; 0: as stored.
 * @param image    Out: (C, H, W), SSLCV_U8 (U16 for 16-bit files), strided; its memory is given back by
 *                 sslcv__decode_free().
 * @return SSLCV_ERR_FORMAT (damaged, or not an image); SSLCV_ERR_LIMIT. The message has the name.
 */
sslcv_status sslcv__decode(sslcv_context *context, const void *bytes, int64_t size, const char *name, int64_t channels,
                           const sslcv__decode_limits *limits, sslcv_tensor *image);

void sslcv__decode_free(sslcv_context *context, sslcv_tensor *image);

#endif
