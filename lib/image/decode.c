#include "image/decode.h"

#include "core/error.h"
#include "core/memory.h"
#include "core/tensor.h"
#include "image/format.h"
#include "image/jpeg.h"

#include <limits.h>
#include <string.h>

/*
 * stb_image asks for memory without saying for whom. What it may use in the call that runs on this thread stands here;
 * limit keeps a file whose compressed data grow far beyond the picture from taking what it likes.
 */
static _Thread_local struct {
    sslcv_context *context;
    sslcv_status status;
    int32_t refused; /* 1: a block was larger than limit */
    int64_t limit;   /* bytes of one block */
} decoding;

enum { ZEROED = 1 << 16 }; /* its state is smaller than that, and in damaged files is read before it is set */

static void *stb_allocate(size_t bytes)
{
    sslcv_status status;
    void *memory;

    if (bytes > (size_t)decoding.limit) {
        decoding.refused = 1;
        return NULL;
    }
    status = sslcv__alloc(decoding.context, (int64_t)bytes, &memory);
    if (status != SSLCV_OK) decoding.status = status;
    if (memory && bytes <= ZEROED) memset(memory, 0, bytes);
    return memory;
}

static void stb_free(void *memory)
{
    sslcv__free(decoding.context, memory);
}

static void *stb_reallocate(void *memory, size_t old_bytes, size_t bytes)
{
    void *grown = stb_allocate(bytes);

    if (!grown) return NULL;
    if (memory) memcpy(grown, memory, old_bytes < bytes ? old_bytes : bytes);
    stb_free(memory);
    return grown;
}

#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_NO_STDIO
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_GIF
#define stbi_set_unpremultiply_on_load_thread        stbi_set_unpremultiply_on_load /* declared, but never defined */
#define STBI_ASSERT(condition)                       ((void)0)
#define STBI_MALLOC(bytes)                           stb_allocate(bytes)
#define STBI_FREE(memory)                            stb_free(memory)
#define STBI_REALLOC_SIZED(memory, old_bytes, bytes) stb_reallocate(memory, old_bytes, bytes)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wshadow"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

int sslcv__is_image_name(const char *name)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".bmp", ".pgm", ".ppm"};
    const char *dot = strrchr(name, '.');
    size_t i, k;

    if (!dot || dot == name || dot[-1] == '/') return 0;
    for (i = 0; i < sizeof endings / sizeof *endings; i++) {
        if (strlen(dot) != strlen(endings[i])) continue;
        for (k = 1; dot[k] != 0 && (dot[k] | 32) == endings[i][k]; k++) continue;
        if (dot[k] == 0) return 1;
    }
    return 0;
}

static sslcv_status read_header(const void *bytes, int64_t size, const char *name, int64_t channels,
                                const sslcv__decode_limits *limits, sslcv__image_header *h)
{
    const char *wrong;

    if (channels != 0 && channels != 1 && channels != 3) {
        return sslcv__invalid("channels is %lld; must be 0, 1 or 3", (long long)channels);
    }
    if (!bytes || size <= 0) return sslcv__fail(SSLCV_ERR_FORMAT, "%s: it is empty", name);
    if (size > limits->max_bytes || size > INT_MAX) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "%s has %lld bytes; the limit is %lld", name, (long long)size,
                           (long long)(limits->max_bytes < INT_MAX ? limits->max_bytes : INT_MAX));
    }
    wrong = sslcv__image_header_read(bytes, size, h);
    if (wrong) return sslcv__fail(SSLCV_ERR_FORMAT, "%s: %s", name, wrong);
    if (h->height > limits->max_pixels / h->width) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "%s has %lld x %lld pixels; the limit is %lld in all", name,
                           (long long)h->width, (long long)h->height, (long long)limits->max_pixels);
    }
    return SSLCV_OK;
}

static int64_t shrunk(int64_t side, int64_t shrink)
{
    return (side + shrink - 1) / shrink;
}

/** 1, 2, 4 or 8. */
static int64_t shrink_of(const sslcv__image_header *h, const sslcv__decode_limits *limits)
{
    const int64_t side = h->height < h->width ? h->height : h->width;
    int64_t shrink = 1;

    if (limits->min_side <= 0) return 1;
    while (shrink < 8 && shrunk(side, 2 * shrink) >= limits->min_side) shrink *= 2;
    return shrink;
}

sslcv_status sslcv__decode_shape(sslcv_context *context, const void *bytes, int64_t size, const char *name,
                                 int64_t channels, const sslcv__decode_limits *limits, int64_t shape[3])
{
    sslcv__image_header h;
    const sslcv_status status = read_header(bytes, size, name, channels, limits, &h);

    (void)context;
    if (status != SSLCV_OK) return status;
    shape[0] = channels ? channels : h.channels;
    shape[1] = shrunk(h.height, shrink_of(&h, limits));
    shape[2] = shrunk(h.width, shrink_of(&h, limits));
    return SSLCV_OK;
}

/** Values of one PNM pixel, brought to the full scale of their dtype. A value beyond the file's full scale is that. */
static void read_pnm_pixel(const uint8_t *src, const sslcv__image_header *h, uint32_t value[3])
{
    const uint32_t full = h->bits == 16 ? 65535 : 255, top = (uint32_t)h->max_value;
    int64_t c;

    for (c = 0; c < h->channels; c++) {
        uint32_t v = h->bits == 16 ? (uint32_t)src[2 * c] << 8 | src[2 * c + 1] : src[c];

        v = v < top ? v : top;
        value[c] = top == full ? v : (uint32_t)(((uint64_t)v * full + top / 2) / top);
    }
    for (; c < 3; c++) value[c] = value[0];
}

/** Grey of a colour pixel as the decoder of the other formats has it: weights 77, 150, 29 of 256. */
static sslcv_status decode_pnm(sslcv_context *context, const uint8_t *bytes, const sslcv__image_header *h,
                               int64_t channels, void **pixels)
{
    const int64_t count = h->width * h->height, step = h->channels * h->bits / 8;
    const sslcv_status status = sslcv__alloc(context, count * channels * h->bits / 8, pixels);
    int64_t i, c;

    if (status != SSLCV_OK) return status;
    for (i = 0; i < count; i++) {
        uint32_t value[3];

        read_pnm_pixel(bytes + h->pixels_at + i * step, h, value);
        if (h->channels > channels) value[0] = (77 * value[0] + 150 * value[1] + 29 * value[2]) >> 8;
        for (c = 0; c < channels; c++) {
            if (h->bits == 16)
                ((uint16_t *)*pixels)[i * channels + c] = (uint16_t)value[c];
            else
                ((uint8_t *)*pixels)[i * channels + c] = (uint8_t)value[c];
        }
    }
    return SSLCV_OK;
}

static sslcv_status decode_stb(sslcv_context *context, const uint8_t *bytes, int64_t size, const char *name,
                               const sslcv__image_header *h, int64_t channels, void **pixels)
{
    int width = 0, height = 0, stored;
    sslcv_status status = SSLCV_OK;

    if (h->width > STBI_MAX_DIMENSIONS || h->height > STBI_MAX_DIMENSIONS) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "%s has %lld x %lld pixels; the limit is %d a side", name,
                           (long long)h->width, (long long)h->height, STBI_MAX_DIMENSIONS);
    }
    decoding.context = context;
    decoding.status = SSLCV_OK;
    decoding.refused = 0;
    decoding.limit = 32 * (h->width + 64) * (h->height + 64) + 4 * size + (1 << 20); /* >= 4 x 16 bits, doubled */
    if (h->bits == 16) {
        *pixels = stbi_load_16_from_memory(bytes, (int)size, &width, &height, &stored, (int)channels);
    } else {
        *pixels = stbi_load_from_memory(bytes, (int)size, &width, &height, &stored, (int)channels);
    }
    if (decoding.status != SSLCV_OK) {
        status = decoding.status;
    } else if (!*pixels) {
        status = sslcv__fail(SSLCV_ERR_FORMAT, "%s: it is damaged: %s", name,
                             decoding.refused ? "it unpacks to more than its size" : stbi_failure_reason());
    } else if (width != h->width || height != h->height) {
        status = sslcv__fail(SSLCV_ERR_FORMAT, "%s: it is damaged: it has two sizes", name);
    }
    if (status != SSLCV_OK) {
        sslcv__free(context, *pixels);
        *pixels = NULL;
    }
    decoding.context = NULL;
    return status;
}

static sslcv_status decode_jpeg(sslcv_context *context, const uint8_t *bytes, int64_t size, const char *name,
                                const sslcv__image_header *h, int64_t shrink, int64_t channels, void **pixels)
{
    sslcv_status status =
        sslcv__alloc(context, shrunk(h->width, shrink) * shrunk(h->height, shrink) * channels, pixels);

    if (status != SSLCV_OK) return status;
    status = sslcv__jpeg_decode(bytes, size, name, h, shrink, channels, *pixels);
    if (status == SSLCV_OK) return SSLCV_OK;
    sslcv__free(context, *pixels);
    *pixels = NULL;
    return status;
}

/** The mean of the values of a square, which the picture's edge may cut off. */
#define MEAN_OF(name, type)                                                                                            \
    static type name(const type *src, int64_t pixel, int64_t row, int64_t height, int64_t width)                       \
    {                                                                                                                  \
        uint32_t sum = 0, count = (uint32_t)(height * width);                                                          \
        int64_t y, x;                                                                                                  \
                                                                                                                       \
        for (y = 0; y < height; y++) {                                                                                 \
            for (x = 0; x < width; x++) sum += src[y * row + x * pixel];                                               \
        }                                                                                                              \
        return (type)((sum + count / 2) / count);                                                                      \
    }

MEAN_OF(mean_u8, uint8_t)
MEAN_OF(mean_u16, uint16_t)

/** pixels become those of the smaller picture, in memory of their own size: a cache may keep them. */
static sslcv_status shrink_pixels(sslcv_context *context, const sslcv__image_header *h, int64_t shrink,
                                  int64_t channels, void **pixels)
{
    const int64_t row = h->width * channels, count = shrunk(h->width, shrink) * shrunk(h->height, shrink) * channels;
    const uint16_t *deep = *pixels;
    const uint8_t *flat = *pixels;
    int64_t y, x, c, to = 0;
    void *small = NULL;
    const sslcv_status status = sslcv__alloc(context, count * h->bits / 8, &small);

    for (y = 0; status == SSLCV_OK && y < h->height; y += shrink) {
        const int64_t height = h->height - y < shrink ? h->height - y : shrink;

        for (x = 0; x < h->width; x += shrink) {
            const int64_t width = h->width - x < shrink ? h->width - x : shrink, from = y * row + x * channels;

            for (c = 0; c < channels; c++, to++) {
                if (h->bits == 16)
                    ((uint16_t *)small)[to] = mean_u16(deep + from + c, channels, row, height, width);
                else
                    ((uint8_t *)small)[to] = mean_u8(flat + from + c, channels, row, height, width);
            }
        }
    }
    sslcv__free(context, *pixels);
    *pixels = small;
    return status;
}

sslcv_status sslcv__decode(sslcv_context *context, const void *bytes, int64_t size, const char *name, int64_t channels,
                           const sslcv__decode_limits *limits, sslcv_tensor *image)
{
    sslcv__image_header h;
    void *pixels = NULL;
    const char *wrong;
    int64_t shrink;
    sslcv_status status = read_header(bytes, size, name, channels, limits, &h);

    if (status != SSLCV_OK) return status;
    wrong = sslcv__image_damage(bytes, size, &h);
    if (wrong) return sslcv__fail(SSLCV_ERR_FORMAT, "%s: it is damaged: %s", name, wrong);
    if (channels == 0) channels = h.channels;
    shrink = shrink_of(&h, limits);
    if (h.format == SSLCV__PNM)
        status = decode_pnm(context, bytes, &h, channels, &pixels);
    else if (sslcv__jpeg_supports(&h))
        status = decode_jpeg(context, bytes, size, name, &h, shrink, channels, &pixels);
    else
        status = decode_stb(context, bytes, size, name, &h, channels, &pixels);
    if (status == SSLCV_OK && shrink > 1 && !sslcv__jpeg_supports(&h)) {
        status = shrink_pixels(context, &h, shrink, channels, &pixels);
    }
    if (status != SSLCV_OK) return status;
    return sslcv_tensor_init_pixels(image, h.bits == 16 ? SSLCV_U16 : SSLCV_U8, pixels, shrunk(h.width, shrink),
                                    shrunk(h.height, shrink), channels, 0, SSLCV_PIXELS_AS_STORED);
}

void sslcv__decode_free(sslcv_context *context, sslcv_tensor *image)
{
    sslcv__free(context, image->data);
    memset(image, 0, sizeof *image);
}
