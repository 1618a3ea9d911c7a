/**
 * JPEG by libjpeg (libjpeg-turbo), where the build has it; else stb_image decodes JPEG too. Any thread.
 *
 * It is faster by its vector code, and can decode at a half, a quarter or an eighth of the size for less work still.
 * Its pixels differ from stb_image's by a few of 255: rounding of the inverse transform, and how colour planes that are
 * stored smaller are enlarged. Working memory is libjpeg's own malloc; it is bounded.
 */
#ifndef SSLCV__JPEG_H
#define SSLCV__JPEG_H

#include <sslcv/context.h>

#include "image/format.h"

/** 1: this build has libjpeg, and it can turn the file into grey or R, G, B. */
int sslcv__jpeg_supports(const sslcv__image_header *header);

/**
 * Decode.
 *
 * @param header   Of the file, which has passed sslcv__image_damage().
 * @param shrink   1, 2, 4 or 8: the result is ceil(width / shrink) x ceil(height / shrink).
 * @param channels 1 or 3.
 * @param pixels   Room for them, the channels of a pixel together; undefined after a failure.
 * @return SSLCV_ERR_FORMAT (damaged, also where libjpeg would go on with grey); SSLCV_ERR_OUT_OF_MEMORY. With message.
 */
sslcv_status sslcv__jpeg_decode(const uint8_t *bytes, int64_t size, const char *name, const sslcv__image_header *header,
                                int64_t shrink, int64_t channels, uint8_t *pixels);

#endif
