/**
 * What an encoded image says of itself, read without decoding, and whether the file is whole. No allocation. Any
 * thread.
 *
 * Decoders fill what a cut-off file lacks with grey or black and report success; so the file's own structure is
 * checked first: markers of JPEG up to the last, chunks and checksums of PNG, sizes of BMP and PNM.
 */
#ifndef SSLCV__FORMAT_H
#define SSLCV__FORMAT_H

#include <stdint.h>

enum sslcv__image_format { SSLCV__JPEG = 1, SSLCV__PNG, SSLCV__BMP, SSLCV__PNM };

typedef struct sslcv__image_header {
    int32_t format;
    int32_t bits;          /* of a value as decoded: 8 or 16 */
    int64_t width, height; /* >= 1 */
    int64_t channels;      /* 1 or 3, alpha not counted */
    int64_t components;    /* JPEG: of a pixel as stored; 4: CMYK */
    int64_t pixels_at;     /* PNM: offset of the first value */
    int64_t max_value;     /* PNM: full scale, 1 .. 65535 */
} sslcv__image_header;

/** @return NULL, or what is wrong: "it is not a JPEG, PNG, BMP, PGM or PPM image". */
const char *sslcv__image_header_read(const uint8_t *bytes, int64_t size, sslcv__image_header *header);

/** The whole file behind a header that was read. @return NULL, or what is wrong: "it ends too early". */
const char *sslcv__image_damage(const uint8_t *bytes, int64_t size, const sslcv__image_header *header);

#endif
