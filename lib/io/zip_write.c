#include "io/zip.h"

enum { STORED = 0, VERSION = 20, VERSION_64 = 45, FLAG_UTF8 = 1 << 11, DATE_1980 = 1 << 5 | 1, EXTRA_64 = 1 };

/** A record under way; the first failure stays. */
typedef struct record {
    sslcv__bytes *to;
    sslcv_status status;
} record;

static void put(record *r, uint64_t number, int bytes)
{
    char text[8];
    int i;

    for (i = 0; i < bytes; i++) text[i] = (char)(number >> (8 * i) & 0xFF);
    if (r->status == SSLCV_OK) r->status = sslcv__bytes_append(r->to, text, bytes);
}

static void put_text(record *r, const char *text, int64_t bytes)
{
    if (r->status == SSLCV_OK) r->status = sslcv__bytes_append(r->to, text, bytes);
}

/** Names of ASCII alone need no mark; others are UTF-8, and say so. */
static int is_ascii(const sslcv__zip_part *part)
{
    int64_t i;

    for (i = 0; i < part->name_bytes; i++) {
        if ((unsigned char)part->name[i] >= 0x80) return 0;
    }
    return 1;
}

static void put_common(record *r, const sslcv__zip_part *part, int is_64)
{
    put(r, is_64 ? VERSION_64 : VERSION, 2);
    put(r, is_ascii(part) ? 0 : FLAG_UTF8, 2);
    put(r, STORED, 2);
    put(r, 0, 2); /* midnight */
    put(r, DATE_1980, 2);
    put(r, part->crc, 4);
}

sslcv_status sslcv__zip_append_local(sslcv__bytes *to, const sslcv__zip_part *part, int64_t limit)
{
    const int is_64 = part->bytes >= limit;
    record r = {to, SSLCV_OK};
    int i;

    put_text(&r, "PK\3\4", 4);
    put_common(&r, part, is_64);
    for (i = 0; i < 2; i++) put(&r, is_64 ? 0xFFFFFFFF : (uint64_t)part->bytes, 4);
    put(&r, (uint64_t)part->name_bytes, 2);
    put(&r, is_64 ? 20 : 0, 2);
    put_text(&r, part->name, part->name_bytes);
    if (!is_64) return r.status;
    put(&r, EXTRA_64, 2);
    put(&r, 16, 2);
    for (i = 0; i < 2; i++) put(&r, (uint64_t)part->bytes, 8);
    return r.status;
}

sslcv_status sslcv__zip_append_central(sslcv__bytes *to, const sslcv__zip_part *part, int64_t limit)
{
    const int size_64 = part->bytes >= limit, offset_64 = part->offset >= limit;
    const int extra = 16 * size_64 + 8 * offset_64;
    record r = {to, SSLCV_OK};
    int i;

    put_text(&r, "PK\1\2", 4);
    put(&r, extra ? VERSION_64 : VERSION, 2);
    put_common(&r, part, extra > 0);
    for (i = 0; i < 2; i++) put(&r, size_64 ? 0xFFFFFFFF : (uint64_t)part->bytes, 4);
    put(&r, (uint64_t)part->name_bytes, 2);
    put(&r, extra ? (uint64_t)extra + 4 : 0, 2);
    put(&r, 0, 2); /* comment */
    put(&r, 0, 2); /* disk */
    put(&r, 0, 2); /* attributes of the file, inside and out */
    put(&r, 0, 4);
    put(&r, offset_64 ? 0xFFFFFFFF : (uint64_t)part->offset, 4);
    put_text(&r, part->name, part->name_bytes);
    if (extra) {
        put(&r, EXTRA_64, 2);
        put(&r, (uint64_t)extra, 2);
    }
    for (i = 0; i < 2 * size_64; i++) put(&r, (uint64_t)part->bytes, 8);
    if (offset_64) put(&r, (uint64_t)part->offset, 8);
    return r.status;
}

/** The end in 64 bits and the locator that points to it. */
static void put_end_64(record *r, int64_t count, int64_t offset, int64_t bytes)
{
    put_text(r, "PK\6\6", 4);
    put(r, 44, 8); /* bytes of this record from here on */
    put(r, VERSION_64, 2);
    put(r, VERSION_64, 2);
    put(r, 0, 8); /* disks */
    put(r, (uint64_t)count, 8);
    put(r, (uint64_t)count, 8);
    put(r, (uint64_t)bytes, 8);
    put(r, (uint64_t)offset, 8);
    put_text(r, "PK\6\7", 4);
    put(r, 0, 4);
    put(r, (uint64_t)offset + (uint64_t)bytes, 8);
    put(r, 1, 4);
}

sslcv_status sslcv__zip_append_end(sslcv__bytes *to, int64_t count, int64_t offset, int64_t bytes, int64_t limit)
{
    const int count_64 = count >= (limit & 0xFFFF), bytes_64 = bytes >= limit, offset_64 = offset >= limit;
    record r = {to, SSLCV_OK};
    int i;

    if (count_64 || bytes_64 || offset_64) put_end_64(&r, count, offset, bytes);
    put_text(&r, "PK\5\6", 4);
    put(&r, 0, 4); /* disks */
    for (i = 0; i < 2; i++) put(&r, count_64 ? 0xFFFF : (uint64_t)count, 2);
    put(&r, bytes_64 ? 0xFFFFFFFF : (uint64_t)bytes, 4);
    put(&r, offset_64 ? 0xFFFFFFFF : (uint64_t)offset, 4);
    put(&r, 0, 2); /* comment */
    return r.status;
}
