/*
 * Pictures drawn in memory, so that every example runs without data: discs, squares, and stripes of two directions, in
 * random colours on random backgrounds. The class is the shape. Not part of the library.
 */
#ifndef SYNTHETIC_H
#define SYNTHETIC_H

#include <sslcv/sslcv.h>

#include <stdint.h>
#include <stdlib.h>

enum { SYNTHETIC_CLASSES = 4 };

/** A number in 0 .. below - 1, from a linear congruential generator. */
static inline int32_t synthetic_random(uint64_t *state, int32_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (int32_t)((*state >> 33) % (uint64_t)below);
}

/** Whether the pixel at (x, y), relative to the shape's centre, belongs to the shape. */
static inline int32_t synthetic_inside(int64_t shape, int32_t x, int32_t y, int32_t radius)
{
    switch (shape) {
    case 0: return x * x + y * y <= radius * radius;
    case 1: return abs(x) <= radius && abs(y) <= radius;
    case 2: return (x + 4096) / 3 % 2;
    default: return (y + 4096) / 3 % 2;
    }
}

/** Draw one picture: RGB, interleaved, size * size * 3 bytes with row_bytes from one row to the next. */
static inline void synthetic_draw(unsigned char *pixels, int32_t size, int32_t row_bytes, int64_t shape,
                                  uint64_t *random)
{
    unsigned char color[2][3];
    const int32_t radius = size / 5 + synthetic_random(random, size / 6 + 1);
    const int32_t center_x = size / 2 + synthetic_random(random, size / 4 + 1) - size / 8;
    const int32_t center_y = size / 2 + synthetic_random(random, size / 4 + 1) - size / 8;

    for (int32_t c = 0; c < 3; c++) {
        color[0][c] = (unsigned char)synthetic_random(random, 128);
        color[1][c] = (unsigned char)(128 + synthetic_random(random, 128));
    }
    for (int32_t y = 0; y < size; y++) {
        for (int32_t x = 0; x < size; x++) {
            const int32_t inside = synthetic_inside(shape, x - center_x, y - center_y, radius);

            for (int32_t c = 0; c < 3; c++) pixels[y * row_bytes + x * 3 + c] = color[inside][c];
        }
    }
}

/** A data set of count pictures of size x size pixels, 3 channels, with labels. */
static inline sslcv_status synthetic_dataset(sslcv_context *context, int64_t count, int32_t size, uint64_t seed,
                                             sslcv_dataset **out)
{
    unsigned char *pixels = malloc((size_t)size * (size_t)size * 3);
    sslcv_dataset *dataset = NULL;
    sslcv_dataset_options options;
    sslcv_tensor image;
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;

    if (!pixels) goto end;
    if ((status = sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_LIST)) != SSLCV_OK) goto end;
    options.num_classes = SYNTHETIC_CLASSES;
    if ((status = sslcv_dataset_create(context, &options, &dataset)) != SSLCV_OK) goto end;
    status = sslcv_tensor_init_pixels(&image, SSLCV_U8, pixels, size, size, 3, 0, SSLCV_PIXELS_RGB);
    for (int64_t i = 0; i < count && status == SSLCV_OK; i++) {
        const int64_t label = i % SYNTHETIC_CLASSES;

        synthetic_draw(pixels, size, size * 3, label, &seed);
        status = sslcv_dataset_add_images(dataset, &image, &label, NULL);
    }
    if (status == SSLCV_OK) {
        *out = dataset;
        dataset = NULL;
    }
end:
    sslcv_dataset_destroy(dataset);
    free(pixels);
    return status;
}

#endif
