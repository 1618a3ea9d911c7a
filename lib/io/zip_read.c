/** Reading archives that nobody can be trusted with: every number is checked against the bytes that are there. */
#include "io/zip.h"

#include "core/checked.h"
#include "core/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOCAL_BYTES = 30,
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    MAX_COMMENT = 65535,
    EXTRA_64 = 1, /* the extra field with sizes and offset of 64 bits */
    FLAG_ENCRYPTED = 1,
    FLAG_SIZES_BEHIND = 8, /* the local header has zeros for sizes and checksum */
    STORED = 0,
    DEFLATED = 8,
    DEFLATE_RATIO = 1032, /* deflate packs no tighter than this */
    MOST_AT_ONCE = 1 << 30
};

typedef struct archive {
    sslcv_context *context;
    const char *path;
    const unsigned char *bytes;
    int64_t size;
    int64_t count;     /* of members */
    int64_t directory; /* offset */
    int64_t directory_bytes;
    sslcv__zip_member *members;
} archive;

static uint32_t u16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static uint64_t u64(const unsigned char *p)
{
    return (uint64_t)u32(p) | (uint64_t)u32(p + 4) << 32;
}

static sslcv_status damaged(const char *path, const char *what)
{
    return sslcv__fail(SSLCV_ERR_FORMAT, "%s is a damaged zip archive: %s", path, what);
}

static int has(const archive *a, uint64_t offset, uint64_t bytes)
{
    const uint64_t size = (uint64_t)a->size;

    return offset <= size && bytes <= size - offset;
}

/* ---- where the directory is ---- */

/** The record that ends the archive: the last one whose comment ends with the file. */
static sslcv_status find_end(const archive *a, int64_t *end)
{
    const int64_t last = a->size - END_BYTES;
    int64_t i;

    for (i = last; i >= 0 && i >= last - MAX_COMMENT; i--) {
        if (memcmp(a->bytes + i, "PK\5\6", 4) != 0 || i + END_BYTES + u16(a->bytes + i + 20) != a->size) continue;
        *end = i;
        return SSLCV_OK;
    }
    return damaged(a->path, "it has no directory; it may be cut off");
}

/** The record of 64 bits that a locator in front of the end points to. */
static sslcv_status find_end64(const archive *a, int64_t end, uint64_t numbers[3], int64_t *directory_end)
{
    const unsigned char *locator = a->bytes + end - LOCATOR_BYTES;
    const uint64_t offset = u64(locator + 8);
    const unsigned char *record;

    if (u32(locator + 4) != 0 || u32(locator + 16) > 1) return damaged(a->path, "it is one of several parts");
    if (offset > (uint64_t)(end - LOCATOR_BYTES) || !has(a, offset, END64_BYTES) ||
        memcmp(a->bytes + offset, "PK\6\6", 4) != 0) {
        return damaged(a->path, "the locator of its directory points elsewhere");
    }
    record = a->bytes + offset;
    if (u32(record + 16) != 0 || u32(record + 20) != 0 || u64(record + 24) != u64(record + 32)) {
        return damaged(a->path, "it is one of several parts");
    }
    numbers[0] = u64(record + 32);
    numbers[1] = u64(record + 40);
    numbers[2] = u64(record + 48);
    *directory_end = (int64_t)offset;
    return SSLCV_OK;
}

static sslcv_status find_directory(archive *a)
{
    int64_t end = 0, directory_end;
    const unsigned char *record;
    uint64_t numbers[3] = {0}; /* members; bytes and offset of the directory */
    sslcv_status status = find_end(a, &end);

    if (status != SSLCV_OK) return status;
    record = a->bytes + end;
    directory_end = end;
    if (end >= LOCATOR_BYTES && memcmp(record - LOCATOR_BYTES, "PK\6\7", 4) == 0) {
        status = find_end64(a, end, numbers, &directory_end);
        if (status != SSLCV_OK) return status;
    } else {
        if (u16(record + 4) != 0 || u16(record + 6) != 0 || u16(record + 8) != u16(record + 10)) {
            return damaged(a->path, "it is one of several parts");
        }
        numbers[0] = u16(record + 10);
        numbers[1] = u32(record + 12);
        numbers[2] = u32(record + 16);
    }
    if (!has(a, numbers[2], numbers[1]) || numbers[2] + numbers[1] != (uint64_t)directory_end) {
        return damaged(a->path, "its directory is not where its end says");
    }
    if (numbers[0] > numbers[1] / CENTRAL_BYTES) return damaged(a->path, "its directory is too short for its members");
    a->count = (int64_t)numbers[0];
    a->directory_bytes = (int64_t)numbers[1];
    a->directory = (int64_t)numbers[2];
    return SSLCV_OK;
}

/* ---- members ---- */

/** What an entry of the directory or a local header says. */
typedef struct header {
    const unsigned char *name;
    int64_t name_bytes;
    uint32_t flags, method, crc;
    uint64_t packed, unpacked, offset;
} header;

/** Numbers that did not fit into 32 bits stand in the extra field, in this order, and only those. */
static int read_extra(const unsigned char *extra, int64_t bytes, uint64_t *numbers[3])
{
    int missing = 0, i;

    for (i = 0; i < 3; i++) missing += numbers[i] && *numbers[i] == 0xFFFFFFFF;
    while (bytes >= 4 && missing > 0) {
        const unsigned char *field = extra + 4;
        int64_t field_bytes = u16(extra + 2);

        if (field_bytes > bytes - 4) return 0;
        extra += 4 + field_bytes;
        bytes -= 4 + field_bytes;
        if (u16(field - 4) != EXTRA_64) continue;
        for (i = 0; i < 3; i++) {
            if (!numbers[i] || *numbers[i] != 0xFFFFFFFF) continue;
            if (field_bytes < 8) return 0;
            *numbers[i] = u64(field);
            field += 8;
            field_bytes -= 8;
        }
        missing = 0;
    }
    return missing == 0;
}

static int read_central(const unsigned char *p, int64_t bytes, header *h, int64_t *used)
{
    uint64_t *numbers[3] = {&h->unpacked, &h->packed, &h->offset};
    int64_t extra_bytes;

    if (bytes < CENTRAL_BYTES || memcmp(p, "PK\1\2", 4) != 0) return 0;
    h->flags = u16(p + 8);
    h->method = u16(p + 10);
    h->crc = u32(p + 16);
    h->packed = u32(p + 20);
    h->unpacked = u32(p + 24);
    h->name_bytes = u16(p + 28);
    extra_bytes = u16(p + 30);
    h->offset = u32(p + 42);
    h->name = p + CENTRAL_BYTES;
    *used = CENTRAL_BYTES + h->name_bytes + extra_bytes + u16(p + 32);
    return *used <= bytes && u16(p + 34) == 0 && read_extra(h->name + h->name_bytes, extra_bytes, numbers);
}

/** The local header must say the same, so that there are no two readings of one archive. */
static sslcv_status check_local(const archive *a, const header *h, uint64_t *data)
{
    uint64_t packed, unpacked, front, *numbers[3] = {&unpacked, &packed, NULL};
    const unsigned char *p;

    if (!has(a, h->offset, LOCAL_BYTES) || memcmp(a->bytes + h->offset, "PK\3\4", 4) != 0) {
        return damaged(a->path, "a member is not where the directory says");
    }
    p = a->bytes + h->offset;
    front = LOCAL_BYTES + (uint64_t)u16(p + 26) + u16(p + 28);
    packed = u32(p + 18);
    unpacked = u32(p + 22);
    if (!has(a, h->offset, front) || (int64_t)u16(p + 26) != h->name_bytes ||
        memcmp(p + LOCAL_BYTES, h->name, (size_t)h->name_bytes) != 0 || u16(p + 8) != h->method ||
        ((u16(p + 6) ^ h->flags) & (FLAG_ENCRYPTED | FLAG_SIZES_BEHIND)) != 0) {
        return damaged(a->path, "a member's header and the directory differ");
    }
    if (!read_extra(p + LOCAL_BYTES + h->name_bytes, u16(p + 28), numbers)) {
        return damaged(a->path, "a member's header lacks its sizes");
    }
    if (!(h->flags & FLAG_SIZES_BEHIND) && (u32(p + 14) != h->crc || packed != h->packed || unpacked != h->unpacked)) {
        return damaged(a->path, "a member's header and the directory differ");
    }
    *data = h->offset + front;
    return SSLCV_OK;
}

static sslcv_status check_kind(const archive *a, const header *h)
{
    if (h->flags & FLAG_ENCRYPTED) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "%s is an encrypted zip archive", a->path);
    }
    if (h->method != STORED && h->method != DEFLATED) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED,
                           "%s is a zip archive whose members are compressed by method %u; known are 0 (stored) and 8 "
                           "(deflate)",
                           a->path, (unsigned)h->method);
    }
    return SSLCV_OK;
}

static sslcv_status read_member(const archive *a, const header *h, sslcv__zip_member *member)
{
    uint64_t data = 0;
    sslcv_status status;

    SSLCV__TRY(check_kind(a, h));
    SSLCV__TRY(check_local(a, h, &data));
    if (!has(a, data, h->packed) || data + h->packed > (uint64_t)a->directory) {
        return damaged(a->path, "a member is longer than the archive");
    }
    if (h->method == STORED ? h->unpacked != h->packed : h->unpacked / DEFLATE_RATIO > h->packed) {
        return damaged(a->path, "a member's size cannot be true");
    }
    member->name = (const char *)h->name;
    member->name_bytes = h->name_bytes;
    member->data = (const char *)a->bytes + data;
    member->packed = (int64_t)h->packed;
    member->unpacked = (int64_t)h->unpacked;
    member->crc = h->crc;
    member->deflated = h->method == DEFLATED;
    member->has_checksum = 1;
end:
    return status;
}

/** A member from its local header to the end of its data. */
typedef struct extent {
    int64_t begin, end;
} extent;

static int compare_extent(const void *left, const void *right)
{
    const extent *a = left, *b = right;

    return (a->begin > b->begin) - (a->begin < b->begin);
}

static sslcv_status check_overlap(const archive *a, extent *extents)
{
    int64_t i;

    qsort(extents, (size_t)a->count, sizeof *extents, compare_extent);
    for (i = 1; i < a->count; i++) {
        if (extents[i].begin < extents[i - 1].end) return damaged(a->path, "two members overlap");
    }
    return SSLCV_OK;
}

static sslcv_status read_members(archive *a, extent *extents)
{
    const unsigned char *p = a->bytes + a->directory;
    int64_t left = a->directory_bytes, i;

    for (i = 0; i < a->count; i++) {
        header h = {0};
        int64_t used = 0;
        sslcv_status status;

        if (!read_central(p, left, &h, &used)) return damaged(a->path, "its directory has an entry that is none");
        status = read_member(a, &h, &a->members[i]);
        if (status != SSLCV_OK) return status;
        extents[i].begin = (int64_t)h.offset;
        extents[i].end = a->members[i].data + a->members[i].packed - (const char *)a->bytes;
        p += used;
        left -= used;
    }
    if (left != 0) return damaged(a->path, "its directory has more than its members");
    return check_overlap(a, extents);
}

sslcv_status sslcv__zip_open(sslcv_context *context, const char *path, const char *bytes, int64_t size,
                             sslcv__zip_member **members, int64_t *count)
{
    archive a = {.context = context, .path = path, .bytes = (const unsigned char *)bytes, .size = size};
    extent *extents = NULL;
    sslcv_status status;

    *members = NULL;
    SSLCV__TRY(find_directory(&a));
    SSLCV__TRY(sslcv__alloc_array(context, a.count, sizeof *a.members, (void **)&a.members));
    SSLCV__TRY(sslcv__alloc_array(context, a.count, sizeof *extents, (void **)&extents));
    SSLCV__TRY(read_members(&a, extents));
    *members = a.members;
    *count = a.count;
    a.members = NULL;
end:
    sslcv__free(context, extents);
    sslcv__free(context, a.members);
    return status;
}

/* ---- one member ---- */

const char *sslcv__zip_shown_name(const sslcv__zip_member *member, char text[SSLCV__ZIP_SHOWN])
{
    const int64_t most = SSLCV__ZIP_SHOWN - 4;
    int64_t bytes = member->name_bytes, i;

    if (bytes > most) {
        for (bytes = most; bytes > 0 && ((unsigned char)member->name[bytes] & 0xC0) == 0x80;) bytes--;
    }
    memcpy(text, member->name, (size_t)bytes);
    text[bytes] = 0;
    if (strlen(text) == (size_t)bytes && sslcv__utf8_check(text, "a name") == SSLCV_OK) return text;
    for (i = 0; i < bytes; i++) {
        if (text[i] < ' ' || text[i] > '~') text[i] = '?';
    }
    return text;
}

static sslcv_status bad_member(const sslcv__zip_reader *reader, const char *what)
{
    char name[SSLCV__ZIP_SHOWN];

    return sslcv__fail(SSLCV_ERR_FORMAT, "%s: %s is damaged: %s", reader->path,
                       sslcv__zip_shown_name(reader->member, name), what);
}

static voidpf zlib_allocate(voidpf context, uInt items, uInt size)
{
    void *memory;

    return sslcv__alloc_array(context, items, size, &memory) == SSLCV_OK ? memory : Z_NULL;
}

static void zlib_free(voidpf context, voidpf memory)
{
    sslcv__free(context, memory);
}

sslcv_status sslcv__zip_begin(sslcv_context *context, const char *path, const sslcv__zip_member *member,
                              sslcv__zip_reader *reader)
{
    memset(reader, 0, sizeof *reader);
    reader->path = path;
    reader->member = member;
    reader->crc = crc32(0, Z_NULL, 0);
    if (!member->deflated) return SSLCV_OK;
    reader->stream.zalloc = zlib_allocate;
    reader->stream.zfree = zlib_free;
    reader->stream.opaque = context;
    if (inflateInit2(&reader->stream, -MAX_WBITS) != Z_OK) return SSLCV_ERR_OUT_OF_MEMORY; /* the message is there */
    reader->is_open = 1;
    return SSLCV_OK;
}

void sslcv__zip_end(sslcv__zip_reader *reader)
{
    if (reader->is_open) inflateEnd(&reader->stream);
    reader->is_open = 0;
}

static uInt clip(int64_t size)
{
    return size > MOST_AT_ONCE ? (uInt)MOST_AT_ONCE : (uInt)size;
}

/** One call of inflate() for at most size bytes; got: how many came. */
static sslcv_status inflate_some(sslcv__zip_reader *reader, char *to, int64_t size, int64_t *got)
{
    const sslcv__zip_member *member = reader->member;
    z_stream *stream = &reader->stream;
    int result;

    stream->next_in = (Bytef *)(uintptr_t)(member->data + reader->used); /* read only; zlib has no const */
    stream->avail_in = clip(member->packed - reader->used);
    stream->next_out = (Bytef *)to;
    stream->avail_out = clip(size);
    result = inflate(stream, Z_NO_FLUSH); /* Z_BUF_ERROR: there is nothing left to read */
    reader->used = (const char *)stream->next_in - member->data;
    *got = (char *)stream->next_out - to;
    reader->is_ended = result == Z_STREAM_END;
    if (result == Z_MEM_ERROR) return SSLCV_ERR_OUT_OF_MEMORY;
    if (result == Z_OK || result == Z_STREAM_END) return SSLCV_OK;
    return bad_member(reader, stream->msg ? stream->msg : "it ends too early");
}

static sslcv_status inflate_all(sslcv__zip_reader *reader, char *to, int64_t size)
{
    while (size > 0) {
        int64_t got = 0;
        sslcv_status status;

        if (reader->is_ended) return bad_member(reader, "it ends too early");
        status = inflate_some(reader, to, size, &got);
        if (status != SSLCV_OK) return status;
        to += got;
        size -= got;
    }
    return SSLCV_OK;
}

sslcv_status sslcv__zip_read(sslcv__zip_reader *reader, void *to, int64_t size)
{
    const sslcv__zip_member *member = reader->member;
    const char *bytes = to;

    if (size > member->unpacked - reader->place) return bad_member(reader, "it ends too early");
    if (member->deflated) {
        const sslcv_status status = inflate_all(reader, to, size);
        if (status != SSLCV_OK) return status;
    } else if (size > 0) {
        memcpy(to, member->data + reader->place, (size_t)size);
    }
    reader->place += size;
    while (size > 0) {
        const uInt part = clip(size);

        reader->crc = crc32(reader->crc, (const Bytef *)bytes, part);
        bytes += part;
        size -= part;
    }
    return SSLCV_OK;
}

sslcv_status sslcv__zip_finish(sslcv__zip_reader *reader)
{
    const sslcv__zip_member *member = reader->member;
    char spare;
    int64_t got = 0;

    if (reader->place != member->unpacked) return bad_member(reader, "it is longer than what it holds");
    while (member->deflated && !reader->is_ended) {
        const sslcv_status status = inflate_some(reader, &spare, 1, &got);

        if (status != SSLCV_OK) return status;
        if (got > 0) return bad_member(reader, "it unpacks to more than the archive says");
    }
    if (member->deflated && reader->used != member->packed)
        return bad_member(reader, "it is longer than what it holds");
    if (member->has_checksum && (uint32_t)reader->crc != member->crc) {
        char what[80];

        snprintf(what, sizeof what, "its CRC-32 is %08lx, the archive says %08lx", reader->crc,
                 (unsigned long)member->crc);
        return bad_member(reader, what);
    }
    return SSLCV_OK;
}
