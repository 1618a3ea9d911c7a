/*
 * The IDX files of MNIST (LeCun) and its followers, big-endian:
 *
 *     images  | 0x00000803 | count | rows | columns | count * rows * columns bytes |
 *     labels  | 0x00000801 | count | count bytes |
 */
#include "data/records.h"

#include "core/checked.h"
#include "core/file.h"
#include "core/memory.h"
#include "core/tensor.h"

enum { IMAGES_MAGIC = 0x803, LABELS_MAGIC = 0x801, IMAGES_HEADER = 16, LABELS_HEADER = 8 };

static int64_t big_endian(const unsigned char *p)
{
    return (int64_t)p[0] << 24 | (int64_t)p[1] << 16 | (int64_t)p[2] << 8 | (int64_t)p[3];
}

static sslcv_status check_magic(const char *path, const unsigned char *bytes, int64_t size, int64_t header,
                                int64_t magic)
{
    if (size < header) {
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s has %lld bytes; an IDX header has %lld", path, (long long)size,
                           (long long)header);
    }
    if (big_endian(bytes) != magic) {
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s begins with 0x%08llx; IDX %s begin with 0x%08llx", path,
                           (unsigned long long)big_endian(bytes), magic == IMAGES_MAGIC ? "images" : "labels",
                           (unsigned long long)magic);
    }
    return SSLCV_OK;
}

/** The header's sizes against the file's. */
static sslcv_status check_images(const sslcv_dataset *dataset, const unsigned char *bytes, int64_t size)
{
    const char *path = dataset->options.path;
    const int64_t count = big_endian(bytes + 4), height = big_endian(bytes + 8), width = big_endian(bytes + 12);
    int64_t pixels, total;

    if (height < 1 || width < 1) {
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s has images of %lld x %lld pixels", path, (long long)width,
                           (long long)height);
    }
    if (!sslcv__multiply(height, width, &pixels) || pixels > dataset->options.max_pixels) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "%s has images of %lld x %lld pixels; max_pixels is %lld", path,
                           (long long)width, (long long)height, (long long)dataset->options.max_pixels);
    }
    if (!sslcv__multiply(count, pixels, &total) || total != size - IMAGES_HEADER) {
        return sslcv__fail(SSLCV_ERR_FORMAT,
                           "%s has %lld bytes behind its header, which announces %lld images of %lld x %lld", path,
                           (long long)(size - IMAGES_HEADER), (long long)count, (long long)width, (long long)height);
    }
    if (count == 0) return sslcv__fail(SSLCV_ERR_NOT_FOUND, "%s has no image in it", path);
    return SSLCV_OK;
}

static sslcv_status read_images(sslcv_dataset *dataset, sslcv__records *records)
{
    const char *path = dataset->options.path;
    sslcv__part *part = &records->parts[0];
    const unsigned char *bytes;
    int64_t shape[3], size;
    sslcv_status status;

    SSLCV__TRY(sslcv__file_read(dataset->object.context, path, dataset->options.max_file_bytes, &part->memory, &size));
    bytes = part->memory;
    SSLCV__TRY(check_magic(path, bytes, size, IMAGES_HEADER, IMAGES_MAGIC));
    SSLCV__TRY(check_images(dataset, bytes, size));

    shape[0] = dataset->options.channels == 3 ? 3 : 1;
    shape[1] = big_endian(bytes + 8);
    shape[2] = big_endian(bytes + 12);
    sslcv__tensor_set(&records->image, SSLCV_U8, NULL, 3, shape);
    if (shape[0] == 3) records->image.strides[0] = 0; /* one plane serves as all three */
    records->pixel_stride = shape[1] * shape[2];
    records->num_parts = 1;
    part->pixels = bytes + IMAGES_HEADER;
    part->count = big_endian(bytes + 4);
end:
    return status;
}

static sslcv_status read_labels(sslcv_dataset *dataset, sslcv__records *records)
{
    const char *path = dataset->options.labels_path;
    sslcv__part *part = &records->parts[0];
    int64_t size, count, classes = 0, i;
    const unsigned char *bytes;
    sslcv_status status;

    if (!path) return SSLCV_OK;
    SSLCV__TRY(sslcv__file_read(dataset->object.context, path, dataset->options.max_file_bytes, &records->label_memory,
                                &size));
    bytes = records->label_memory;
    SSLCV__TRY(check_magic(path, bytes, size, LABELS_HEADER, LABELS_MAGIC));
    count = big_endian(bytes + 4);
    if (count != size - LABELS_HEADER) {
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s has %lld bytes behind its header, which announces %lld labels", path,
                           (long long)(size - LABELS_HEADER), (long long)count);
    }
    if (count != part->count) {
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s has %lld labels; %s has %lld images", path, (long long)count,
                           dataset->options.path, (long long)part->count);
    }
    for (i = 0; i < count; i++) {
        if (bytes[LABELS_HEADER + i] >= classes) classes = bytes[LABELS_HEADER + i] + 1;
    }
    part->labels = bytes + LABELS_HEADER;
    records->label_stride = 1;
    atomic_store(&dataset->num_classes, classes);
end:
    return status;
}

sslcv_status sslcv__idx_open(sslcv_dataset *dataset)
{
    sslcv__records *records;
    sslcv_status status;

    SSLCV__TRY(sslcv__records_open(dataset, &records));
    SSLCV__TRY(read_images(dataset, records));
    SSLCV__TRY(read_labels(dataset, records));
    sslcv__records_finish(dataset);
end:
    return status;
}
