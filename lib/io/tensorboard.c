/*
 * TensorBoard's event files: records of TensorFlow (TFRecord), each with a message of Protocol Buffers in it.
 *
 *     record   | u64 size | u32 check(size) | size bytes: an event | u32 check(event) |      little-endian
 *     event    wall_time = 1: double   step = 2: int64   file_version = 3: string   summary = 5: message
 *     summary  value = 1: message, for each scalar
 *     value    tag = 1: string   simple_value = 2: float
 *
 * A field is a varint of 8 * number + wire type (0 varint, 1 eight bytes, 2 size and bytes, 5 four bytes), then the
 * value. A step of 0 is left out, as Protocol Buffers do; the bytes are those of TensorBoard's own writer.
 */
#include "io/scalars.h"

#include <string.h>

enum {
    WALL_TIME = 1 << 3 | 1,
    STEP = 2 << 3 | 0,
    FILE_VERSION = 3 << 3 | 2,
    SUMMARY = 5 << 3 | 2,
    VALUE = 1 << 3 | 2,
    TAG = 1 << 3 | 2,
    SIMPLE_VALUE = 2 << 3 | 5
};

enum { HEAD_BYTES = 12, VARINT_BYTES = 10 };

/* ---- checksums ---- */

/*
 * CRC-32C (Castagnoli, reflected), bit by bit: records are small. Masked, because a checksum of bytes that have a
 * checksum in them is a bad one.
 */
static uint32_t check(const void *bytes, int64_t size)
{
    const unsigned char *p = bytes;
    uint32_t crc = 0xFFFFFFFFu;
    int64_t i;
    int bit;

    for (i = 0; i < size; i++) {
        crc ^= p[i];
        for (bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

static void store(unsigned char *bytes, uint64_t value, int size)
{
    int i;

    for (i = 0; i < size; i++) bytes[i] = (unsigned char)(value >> 8 * i);
}

/* ---- Protocol Buffers ---- */

static int make_varint(uint64_t value, unsigned char *bytes)
{
    int size = 0;

    for (; value >= 0x80; value >>= 7) bytes[size++] = (unsigned char)(value | 0x80);
    bytes[size++] = (unsigned char)value;
    return size;
}

static int varint_size(uint64_t value)
{
    unsigned char bytes[VARINT_BYTES];

    return make_varint(value, bytes);
}

static sslcv_status append_varint(sslcv__bytes *to, uint64_t value)
{
    unsigned char bytes[VARINT_BYTES];

    return sslcv__bytes_append(to, bytes, make_varint(value, bytes));
}

/* A field of four or eight bytes. */
static sslcv_status append_fixed(sslcv__bytes *to, unsigned char field, uint64_t value, int size)
{
    unsigned char bytes[9];

    bytes[0] = field;
    store(bytes + 1, value, size);
    return sslcv__bytes_append(to, bytes, 1 + size);
}

/* A field's number and the size of what follows: a message or a string. */
static sslcv_status append_head(sslcv__bytes *to, unsigned char field, int64_t size)
{
    const sslcv_status status = sslcv__bytes_append(to, &field, 1);

    return status == SSLCV_OK ? append_varint(to, (uint64_t)size) : status;
}

static sslcv_status append_wall_time(sslcv__bytes *to, double seconds)
{
    uint64_t bits;

    memcpy(&bits, &seconds, sizeof bits);
    return append_fixed(to, WALL_TIME, bits, 8);
}

/* Bytes of a message within another one. */
static int64_t with_head(int64_t size)
{
    return 1 + varint_size((uint64_t)size) + size;
}

static int64_t value_size(const sslcv__scalar *scalar)
{
    return with_head((int64_t)strlen(scalar->name)) + 1 + 4;
}

static sslcv_status append_value(sslcv__bytes *to, const sslcv__scalar *scalar)
{
    const int64_t length = (int64_t)strlen(scalar->name);
    const float value = (float)scalar->value;
    uint32_t bits;
    sslcv_status status;

    memcpy(&bits, &value, sizeof bits);
    SSLCV__TRY(append_head(to, VALUE, value_size(scalar)));
    SSLCV__TRY(append_head(to, TAG, length));
    SSLCV__TRY(sslcv__bytes_append(to, scalar->name, length));
    SSLCV__TRY(append_fixed(to, SIMPLE_VALUE, bits, 4));
end:
    return status;
}

/* ---- records ---- */

static sslcv_status begin_record(sslcv__bytes *to, int64_t *begin)
{
    static const char head[HEAD_BYTES] = {0}; /* filled in when the size is known */

    *begin = to->size;
    return sslcv__bytes_append(to, head, HEAD_BYTES);
}

static sslcv_status end_record(sslcv__bytes *to, int64_t begin)
{
    unsigned char *head = (unsigned char *)to->data + begin, tail[4];
    const int64_t size = to->size - begin - HEAD_BYTES;

    store(head, (uint64_t)size, 8);
    store(head + 8, check(head, 8), 4);
    store(tail, check(head + HEAD_BYTES, size), 4);
    return sslcv__bytes_append(to, tail, sizeof tail);
}

sslcv_status sslcv__event_begin(sslcv__bytes *to, double seconds)
{
    static const char version[] = "brain.Event:2";
    int64_t begin;
    sslcv_status status;

    SSLCV__TRY(begin_record(to, &begin));
    SSLCV__TRY(append_wall_time(to, seconds));
    SSLCV__TRY(append_head(to, FILE_VERSION, sizeof version - 1));
    SSLCV__TRY(sslcv__bytes_append(to, version, sizeof version - 1));
    SSLCV__TRY(end_record(to, begin));
end:
    return status;
}

sslcv_status sslcv__event(sslcv__bytes *to, double seconds, int64_t step, const sslcv__scalar *values, int64_t count)
{
    int64_t begin, size = 0, i;
    sslcv_status status;

    for (i = 0; i < count; i++) size += with_head(value_size(&values[i])); /* names are short: no overflow */
    SSLCV__TRY(begin_record(to, &begin));
    SSLCV__TRY(append_wall_time(to, seconds));
    if (step != 0) {
        const unsigned char field = STEP;

        SSLCV__TRY(sslcv__bytes_append(to, &field, 1));
        SSLCV__TRY(append_varint(to, (uint64_t)step));
    }
    SSLCV__TRY(append_head(to, SUMMARY, size));
    for (i = 0; i < count; i++) SSLCV__TRY(append_value(to, &values[i]));
    SSLCV__TRY(end_record(to, begin));
end:
    return status;
}
