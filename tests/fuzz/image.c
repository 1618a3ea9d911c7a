/* Images from strangers: whatever the bytes are, a status or an image within the limits. */
#include "fuzz.h"

#include "image/decode.h"

/** Reads every value, and finds them where the tensor says. */
static void check_image(const sslcv_tensor *image, const int64_t shape[3], const sslcv__decode_limits *limits)
{
    const int wide = image->dtype == SSLCV_U16;
    unsigned sum = 0;
    int64_t c, y, x;

    REQUIRE(image->ndim == 3 && (image->dtype == SSLCV_U8 || wide));
    REQUIRE(memcmp(image->shape, shape, 3 * sizeof *shape) == 0);
    REQUIRE(shape[0] >= 1 && shape[0] <= 4 && shape[1] >= 1 && shape[2] >= 1);
    REQUIRE(shape[1] * shape[2] <= limits->max_pixels);
    for (c = 0; c < shape[0]; c++) {
        for (y = 0; y < shape[1]; y++) {
            for (x = 0; x < shape[2]; x++) {
                const int64_t at = c * image->strides[0] + y * image->strides[1] + x * image->strides[2];
                sum += wide ? ((const uint16_t *)image->data)[at] : ((const uint8_t *)image->data)[at];
            }
        }
    }
    /* A value that was never written is seen where the sum is used (MemorySanitizer, valgrind). */
    REQUIRE(sum != UINT32_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t channels[4] = {0, 1, 3, 3};
    fuzz_input in = {data, size};
    const uint64_t flags = take(&in, 1);
    const sslcv__decode_limits limits = {.max_pixels = flags & 4 ? 64 : 1 << 14,
                                         .max_bytes = 1 << 16,
                                         .min_side = flags & 8 ? 1 + (int64_t)(flags >> 4) : 0};
    fuzz_memory memory;
    sslcv_context *context = fuzz_context(&memory, 4 << 20);
    sslcv_tensor image = {0};
    int64_t shape[3] = {0};
    int known;

    known =
        sane(sslcv__decode_shape(context, in.bytes, (int64_t)in.left, "image", channels[flags & 3], &limits, shape));
    if (sane(sslcv__decode(context, in.bytes, (int64_t)in.left, "image", channels[flags & 3], &limits, &image))) {
        REQUIRE(known);
        check_image(&image, shape, &limits);
        sslcv__decode_free(context, &image);
    }
    fuzz_end(context, &memory);
    return 0;
}
