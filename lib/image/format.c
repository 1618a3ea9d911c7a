#include "image/format.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

static const char cut_off[] = "it ends too early";

static int64_t big16(const uint8_t *p)
{
    return (int64_t)p[0] << 8 | p[1];
}

static int64_t big32(const uint8_t *p)
{
    return big16(p) << 16 | big16(p + 2);
}

static int64_t little16(const uint8_t *p)
{
    return (int64_t)p[1] << 8 | p[0];
}

static int64_t little32(const uint8_t *p)
{
    return little16(p + 2) << 16 | little16(p);
}

/* ---- JPEG: FF marker, length, segment; after a start of scan come coded data, in which FF is followed by 00 ---- */

enum { JPEG_DHT = 0xc4, JPEG_SOI = 0xd8, JPEG_EOI = 0xd9, JPEG_SOS = 0xda, JPEG_TEM = 0x01 };

static int jpeg_is_frame(int marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

static int jpeg_is_alone(int marker) /* without a segment */
{
    return marker == 0 || marker == JPEG_TEM || (marker >= 0xd0 && marker <= JPEG_SOI);
}

/** The next marker with a segment, or the end of image, from *at on; *at: behind it. 0: none. */
static int jpeg_next(const uint8_t *bytes, int64_t size, int64_t *at)
{
    while (*at < size - 1) {
        const uint8_t *found = memchr(bytes + *at, 0xff, (size_t)(size - 1 - *at));

        if (!found) break;
        *at = found - bytes + 1;
        if (*found == 0xff && found[1] != 0xff) {
            const int marker = found[1];

            (*at)++;
            if (!jpeg_is_alone(marker)) return marker;
        }
    }
    return 0;
}

static int64_t jpeg_segment(const uint8_t *bytes, int64_t size, int64_t at) /* its length; 0: does not fit */
{
    const int64_t length = size - at < 2 ? 0 : big16(bytes + at);

    return length < 2 || length > size - at ? 0 : length;
}

static const char *jpeg_header(const uint8_t *bytes, int64_t size, sslcv__image_header *h)
{
    int64_t at = 2, length;
    int marker;

    for (;; at += length) {
        marker = jpeg_next(bytes, size, &at);
        if (marker == 0) return cut_off;
        if (marker == JPEG_EOI || marker == JPEG_SOS) return "it has no frame header";
        length = jpeg_segment(bytes, size, at);
        if (length == 0) return cut_off;
        if (jpeg_is_frame(marker)) break;
    }
    if (marker > 0xc2) return "its JPEG coding (lossless or arithmetic) is not supported";
    if (length < 8 || bytes[at + 2] != 8) return "its JPEG frame header is not of 8-bit values";
    h->height = big16(bytes + at + 3);
    h->width = big16(bytes + at + 5);
    h->components = bytes[at + 7];
    h->channels = h->components >= 3 ? 3 : 1;
    return NULL;
}

/** Huffman tables, each of class and number, 16 counts, and as many codes: at most 256, or stb_image 2.27 writes beyond
    its arrays. */
static int jpeg_codes_fit(const uint8_t *segment, int64_t length)
{
    int64_t at = 2;

    while (length - at >= 17) {
        int64_t codes = 0, i;

        for (i = 1; i <= 16; i++) codes += segment[at + i];
        if (codes > 256) return 0;
        at += 17 + codes;
    }
    return at == length;
}

enum { JPEG_MAX_SCANS = 128 }; /* each costs a walk over all blocks, however short it is; encoders make a dozen */

static const char *jpeg_damage(const uint8_t *bytes, int64_t size)
{
    int64_t at = 2, frames = 0, scans = 0, length;
    int marker;

    for (;; at += length) {
        marker = jpeg_next(bytes, size, &at);
        if (marker == 0) return cut_off;
        if (marker == JPEG_EOI) break;
        length = jpeg_segment(bytes, size, at);
        if (length == 0) return cut_off;
        frames += jpeg_is_frame(marker);
        scans += marker == JPEG_SOS;
        if (frames > 1) return "it has two frame headers";
        if (scans > JPEG_MAX_SCANS) return "it has too many scans";
        if (marker == JPEG_DHT && !jpeg_codes_fit(bytes + at, length)) return "it has a damaged Huffman table";
    }
    return scans == 0 ? "it has no picture data" : NULL;
}

/* ---- PNG: chunks of length, type, data, CRC-32 of type and data ---- */

static const uint8_t png_signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

static const char *png_header(const uint8_t *bytes, int64_t size, sslcv__image_header *h)
{
    static const uint8_t apple[4] = {'C', 'g', 'B', 'I'};
    static const uint8_t ihdr[8] = {0, 0, 0, 13, 'I', 'H', 'D', 'R'};

    if (size < 33) return cut_off;
    if (memcmp(bytes + 12, apple, 4) == 0) return "it is an iOS variant of PNG, which is not supported";
    if (memcmp(bytes + 8, ihdr, 8) != 0) return "it does not begin with an IHDR chunk";
    h->width = big32(bytes + 16);
    h->height = big32(bytes + 20);
    h->bits = bytes[24] == 16 ? 16 : 8;
    h->channels = bytes[25] & 2 ? 3 : 1; /* bit 1: colour, also of a palette */
    return NULL;
}

/* Those that decoders must know. At any other stb_image writes its name into an array that all threads share. */
static int png_is_known(const uint8_t *type)
{
    return memcmp(type, "IHDR", 4) == 0 || memcmp(type, "PLTE", 4) == 0 || memcmp(type, "IDAT", 4) == 0 ||
           memcmp(type, "IEND", 4) == 0;
}

static const char *png_damage(const uint8_t *bytes, int64_t size)
{
    int64_t at = 8;

    while (size - at >= 12) {
        const int64_t length = big32(bytes + at);
        const uint8_t *type = bytes + at + 4;

        if (length > INT_MAX || length > size - at - 12) return cut_off;
        if (!(type[0] & 32) && !png_is_known(type)) return "it has a chunk that is not known";
        if (!(type[0] & 32) && /* a capital: a chunk that decoders need */
            (int64_t)crc32(crc32(0, Z_NULL, 0), type, (uInt)(length + 4)) != big32(type + 4 + length)) {
            return "a checksum in it is wrong";
        }
        if (memcmp(type, "IEND", 4) == 0) return NULL;
        at += length + 12;
    }
    return cut_off;
}

/* ---- BMP ---- */

static int64_t bmp_bits_per_pixel(const uint8_t *bytes)
{
    return little32(bytes + 14) == 12 ? little16(bytes + 24) : little16(bytes + 28);
}

static const char *bmp_header(const uint8_t *bytes, int64_t size, sslcv__image_header *h)
{
    if (size < 34) return cut_off;
    h->channels = 3;
    if (little32(bytes + 14) == 12) { /* the header of OS/2 */
        h->width = little16(bytes + 18);
        h->height = little16(bytes + 20);
        return NULL;
    }
    h->width = little32(bytes + 18);
    h->height = little32(bytes + 22);
    if (h->height > INT_MAX) h->height = ((int64_t)1 << 32) - h->height; /* negative: top row first */
    return little32(bytes + 30) == 1 || little32(bytes + 30) == 2 ? "it is a compressed BMP, which is not supported"
                                                                  : NULL;
}

static const char *bmp_damage(const uint8_t *bytes, int64_t size, const sslcv__image_header *h)
{
    const int64_t row = (h->width * bmp_bits_per_pixel(bytes) + 31) / 32 * 4; /* < 2^31 * 2^16 */
    const int64_t left = size - little32(bytes + 10);

    return left < 0 || (row > 0 && left / row < h->height) ? cut_off : NULL;
}

/* ---- PNM: "P5 width height max" in text, one white space, the values ---- */

static int is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/** The next number of the header, with comments skipped; -1: none, or more than 9 digits. */
static int64_t pnm_number(const uint8_t *bytes, int64_t size, int64_t *at)
{
    int64_t value = 0, digits = 0;

    while (*at < size && (is_space(bytes[*at]) || bytes[*at] == '#')) {
        if (bytes[*at] == '#') {
            while (*at < size && bytes[*at] != '\n' && bytes[*at] != '\r') (*at)++;
        } else {
            (*at)++;
        }
    }
    for (; *at < size && bytes[*at] >= '0' && bytes[*at] <= '9' && digits < 10; (*at)++, digits++) {
        value = value * 10 + (bytes[*at] - '0');
    }
    return digits == 0 || digits == 10 ? -1 : value;
}

static const char *pnm_header(const uint8_t *bytes, int64_t size, sslcv__image_header *h)
{
    int64_t at = 2;

    h->channels = bytes[1] == '6' ? 3 : 1;
    h->width = pnm_number(bytes, size, &at);
    h->height = pnm_number(bytes, size, &at);
    h->max_value = pnm_number(bytes, size, &at);
    if (h->max_value < 1 || h->max_value > 65535) return "its full scale is not 1 .. 65535";
    if (at >= size || !is_space(bytes[at])) return "its header does not end";
    h->bits = h->max_value > 255 ? 16 : 8;
    h->pixels_at = at + 1;
    return NULL;
}

static const char *pnm_damage(int64_t size, const sslcv__image_header *h)
{
    const int64_t row = h->width * h->channels * h->bits / 8; /* < 10^9 * 6 */

    return (size - h->pixels_at) / row < h->height ? cut_off : NULL;
}

/* ---- all ---- */

static int format_of(const uint8_t *bytes, int64_t size)
{
    if (size >= 3 && bytes[0] == 0xff && bytes[1] == JPEG_SOI && bytes[2] == 0xff) return SSLCV__JPEG;
    if (size >= 8 && memcmp(bytes, png_signature, 8) == 0) return SSLCV__PNG;
    if (size >= 2 && bytes[0] == 'B' && bytes[1] == 'M') return SSLCV__BMP;
    if (size >= 3 && bytes[0] == 'P' && (bytes[1] == '5' || bytes[1] == '6') &&
        (is_space(bytes[2]) || bytes[2] == '#')) {
        return SSLCV__PNM;
    }
    return 0;
}

const char *sslcv__image_header_read(const uint8_t *bytes, int64_t size, sslcv__image_header *header)
{
    sslcv__image_header h = {0};
    const char *wrong = "it is not a JPEG, PNG, BMP, PGM or PPM image";

    h.format = format_of(bytes, size);
    h.bits = 8;
    switch (h.format) {
    case SSLCV__JPEG: wrong = jpeg_header(bytes, size, &h); break;
    case SSLCV__PNG: wrong = png_header(bytes, size, &h); break;
    case SSLCV__BMP: wrong = bmp_header(bytes, size, &h); break;
    case SSLCV__PNM: wrong = pnm_header(bytes, size, &h); break;
    default: break;
    }
    if (wrong) return wrong;
    if (h.width < 1 || h.width > INT_MAX || h.height < 1 || h.height > INT_MAX) return "its width or height is wrong";
    *header = h;
    return NULL;
}

const char *sslcv__image_damage(const uint8_t *bytes, int64_t size, const sslcv__image_header *header)
{
    switch (header->format) {
    case SSLCV__JPEG: return jpeg_damage(bytes, size);
    case SSLCV__PNG: return png_damage(bytes, size);
    case SSLCV__BMP: return bmp_damage(bytes, size, header);
    default: return pnm_damage(size, header);
    }
}
