/** Files in memory for the targets that read states. */
#ifndef SSLCV__FUZZ_STREAMS_H
#define SSLCV__FUZZ_STREAMS_H

#include "fuzz.h"

#include <zlib.h>

/** bytes are malloc's, of exactly this size while reading, so that reading beyond them is seen. */
typedef struct file {
    uint8_t *bytes;
    size_t size, place, room;
    size_t step; /* bytes a call at most */
} file;

static inline int64_t file_read(void *user, void *buffer, int64_t size)
{
    file *f = user;
    size_t part = f->size - f->place;

    REQUIRE(size >= 0);
    if (part > (size_t)size) part = (size_t)size;
    if (part > f->step) part = f->step;
    if (part) memcpy(buffer, f->bytes + f->place, part);
    f->place += part;
    return (int64_t)part;
}

static inline void file_put(file *f, const void *bytes, size_t size)
{
    while (f->room < f->size + size) {
        f->room = f->room ? 2 * f->room : 256;
        f->bytes = realloc(f->bytes, f->room);
        REQUIRE(f->bytes);
    }
    if (size) memcpy(f->bytes + f->size, bytes, size);
    f->size += size;
}

static inline void file_number(file *f, uint64_t number, int bytes)
{
    for (; bytes > 0; bytes--, number >>= 8) {
        const uint8_t byte = (uint8_t)number;
        file_put(f, &byte, 1);
    }
}

static inline int64_t file_write(void *user, const void *buffer, int64_t size)
{
    REQUIRE(size > 0);
    file_put(user, buffer, (size_t)size);
    return size;
}

/** From its beginning; step 0: all at once. */
static inline sslcv_stream file_stream(file *f, size_t step)
{
    const sslcv_stream stream = {sizeof stream, f, file_read, file_write};

    f->place = 0;
    f->step = step ? step : SIZE_MAX;
    return stream;
}

static inline void file_free(file *f)
{
    free(f->bytes);
    *f = (file){0};
}

/** The file without room to spare. */
static inline void file_trim(file *f)
{
    uint8_t *bytes = malloc(f->size ? f->size : 1);

    REQUIRE(bytes);
    if (f->size) memcpy(bytes, f->bytes, f->size);
    free(f->bytes);
    f->bytes = bytes;
    f->room = f->size;
}

/** bytes deflated; bits: zlib's window, negative without its frame, + 16 as gzip. */
static inline file file_deflated(const uint8_t *bytes, size_t size, int bits)
{
    file packed = {0};
    z_stream stream = {0};
    uint8_t part[4096];
    int done;

    REQUIRE(deflateInit2(&stream, 1, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)bytes;
    stream.avail_in = (uInt)size;
    do {
        stream.next_out = part;
        stream.avail_out = sizeof part;
        done = deflate(&stream, Z_FINISH);
        file_put(&packed, part, sizeof part - stream.avail_out);
    } while (done == Z_OK);
    REQUIRE(done == Z_STREAM_END);
    deflateEnd(&stream);
    return packed;
}

/**
 * A safetensors file of what comes behind its first 8 bytes: the length of the JSON object that this begins with is put
 * in front, and its checksum is made right where it has one. So changed headers and tensors get as far as those of a file
 * that somebody made on purpose.
 */
static inline file file_mended(const uint8_t *bytes, size_t size)
{
    static const char key[] = "{\"__metadata__\":{\"sslcv.checksum\":\"";
    const size_t place = 8 + sizeof key - 1;
    size_t length = 0;
    int depth = 0, text = 0;
    char digits[9];
    file f = {0};

    for (; length < size; length++) {
        const uint8_t c = bytes[length];

        if (text) {
            if (c == '\\') length++;
            else if (c == '"') text = 0;
        } else if (c == '"') {
            text = 1;
        } else if (c == '{' || c == '}') {
            depth += c == '{' ? 1 : -1;
            if (depth <= 0) break;
        }
    }
    length = length + 1 < size ? length + 1 : size;
    while (length < size && bytes[length] == ' ') length++;
    file_number(&f, length, 8);
    file_put(&f, bytes, size);
    if (f.size >= place + 8 && memcmp(f.bytes + 8, key, sizeof key - 1) == 0) {
        memset(f.bytes + place, '0', 8);
        snprintf(digits, sizeof digits, "%08lx", crc32(crc32(0, Z_NULL, 0), f.bytes, (uInt)f.size));
        memcpy(f.bytes + place, digits, 8);
    }
    return f;
}

#endif
