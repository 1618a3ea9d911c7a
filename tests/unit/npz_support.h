/** What the suites of NumPy's files share: headers and archives put together by hand, so that they can be wrong. */
#ifndef SSLCV__TESTS_NPZ_SUPPORT_H
#define SSLCV__TESTS_NPZ_SUPPORT_H

#include "safetensors_support.h"

#include <zlib.h>

/* ---- bytes that grow ---- */

enum { PILE_BYTES = 1 << 19 };

typedef struct pile {
    char bytes[PILE_BYTES];
    int64_t size;
} pile;

static inline void pile_add(pile *p, const void *bytes, int64_t size)
{
    ck_assert_int_le(p->size + size, PILE_BYTES);
    memcpy(p->bytes + p->size, bytes, (size_t)size);
    p->size += size;
}

static inline void pile_number(pile *p, uint64_t number, int bytes)
{
    int i;

    for (i = 0; i < bytes; i++, number >>= 8) {
        const char byte = (char)(number & 0xff);
        pile_add(p, &byte, 1);
    }
}

static inline memory_file pile_file(const pile *p)
{
    memory_file file = {malloc((size_t)p->size + 1), p->size, 0, 1 << 20, 0};

    ck_assert_ptr_nonnull(file.bytes);
    memcpy(file.bytes, p->bytes, (size_t)p->size);
    return file;
}

/* ---- .npy ---- */

/** A file of this version whose header is text, then data. */
static inline void npy_add(pile *p, int version, const char *text, const void *data, int64_t size)
{
    pile_add(p, "\x93NUMPY", 6);
    pile_number(p, (uint64_t)version, 2);
    pile_number(p, strlen(text), version == 1 ? 2 : 4);
    pile_add(p, text, (int64_t)strlen(text));
    pile_add(p, data, size);
}

#define HEADER(descr, order, shape) "{'descr': '" descr "', 'fortran_order': " order ", 'shape': " shape ", }\n"

/* ---- .npz ---- */

/** What an archive says of a member; each field that is not 0 replaces what is true. */
typedef struct member_lies {
    uint64_t crc, packed, unpacked, offset, flags, method, local_flags, local_method, local_crc, local_size;
    const char *local_name;
    int extra_64; /* 1: sizes in the extra field; 2: an extra field too short; 3: one that leads beyond its end */
} member_lies;

typedef struct archive {
    pile body, directory;
    int count;
} archive;

/** data deflated without zlib's frame. */
static inline int64_t deflate_raw(const void *data, int64_t size, char *to, int64_t room)
{
    z_stream stream = {0};

    ck_assert_int_eq(deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)data;
    stream.avail_in = (uInt)size;
    stream.next_out = (Bytef *)to;
    stream.avail_out = (uInt)room;
    ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return (char *)stream.next_out - to;
}

static inline void extra_add(pile *p, const member_lies *lies, uint64_t unpacked, uint64_t packed)
{
    if (!lies->extra_64) return;
    pile_number(p, 0x7777, 2); /* another program's */
    pile_number(p, 1, 2);
    pile_number(p, 0, 1);
    pile_number(p, 1, 2);
    pile_number(p, lies->extra_64 == 1 ? 16 : lies->extra_64 == 2 ? 8 : 200, 2);
    pile_number(p, unpacked, 8);
    if (lies->extra_64 == 1) pile_number(p, packed, 8);
}

static inline uint64_t or_lie(uint64_t truth, uint64_t lie)
{
    return lie ? lie : truth;
}

/** packed: what is in the archive; unpacked and crc of what it was made from. */
static inline void member_add(archive *a, const char *name, int method, const char *packed, int64_t packed_bytes,
                              const void *data, int64_t bytes, const member_lies *given)
{
    const member_lies none = {0}, *lies = given ? given : &none;
    const uint64_t crc = crc32(crc32(0, Z_NULL, 0), data, (uInt)bytes), offset = (uint64_t)a->body.size;
    const uint64_t told_packed = or_lie((uint64_t)packed_bytes, lies->packed);
    const uint64_t told_unpacked = or_lie((uint64_t)bytes, lies->unpacked);
    const int64_t extra = lies->extra_64 == 0 ? 0 : lies->extra_64 == 1 ? 25 : 17;
    const char *local_name = lies->local_name ? lies->local_name : name;

    pile_add(&a->body, "PK\3\4\x14\0", 6);
    pile_number(&a->body, or_lie(lies->flags, lies->local_flags), 2);
    pile_number(&a->body, or_lie(or_lie((uint64_t)method, lies->method), lies->local_method), 2);
    pile_number(&a->body, 0x21 << 16, 4);
    pile_number(&a->body, or_lie(or_lie(crc, lies->crc), lies->local_crc), 4);
    pile_number(&a->body, extra ? 0xffffffff : or_lie(told_packed, lies->local_size), 4);
    pile_number(&a->body, extra ? 0xffffffff : or_lie(told_unpacked, lies->local_size), 4);
    pile_number(&a->body, strlen(local_name), 2);
    pile_number(&a->body, (uint64_t)extra, 2);
    pile_add(&a->body, local_name, (int64_t)strlen(local_name));
    extra_add(&a->body, lies, told_unpacked, told_packed);
    pile_add(&a->body, packed, packed_bytes);

    pile_add(&a->directory, "PK\1\2\x14\0\x14\0", 8);
    pile_number(&a->directory, lies->flags, 2);
    pile_number(&a->directory, or_lie((uint64_t)method, lies->method), 2);
    pile_number(&a->directory, 0x21 << 16, 4);
    pile_number(&a->directory, or_lie(crc, lies->crc), 4);
    pile_number(&a->directory, extra ? 0xffffffff : told_packed, 4);
    pile_number(&a->directory, extra ? 0xffffffff : told_unpacked, 4);
    pile_number(&a->directory, strlen(name), 2);
    pile_number(&a->directory, (uint64_t)extra, 2);
    pile_number(&a->directory, 0, 10);
    pile_number(&a->directory, or_lie(offset, lies->offset), 4);
    pile_add(&a->directory, name, (int64_t)strlen(name));
    extra_add(&a->directory, lies, told_unpacked, told_packed);
    a->count++;
}

/** An .npy file as a member, stored or deflated. */
static inline void array_add(archive *a, const char *name, int deflated, const char *text, const void *data,
                             int64_t size, const member_lies *lies)
{
    pile *npy = calloc(1, sizeof *npy);
    char *packed = malloc(PILE_BYTES);
    int64_t bytes;

    ck_assert_ptr_nonnull(npy);
    ck_assert_ptr_nonnull(packed);
    npy_add(npy, 1, text, data, size);
    bytes = npy->size;
    if (deflated) bytes = deflate_raw(npy->bytes, npy->size, packed, PILE_BYTES);
    member_add(a, name, deflated ? 8 : 0, deflated ? packed : npy->bytes, bytes, npy->bytes, npy->size, lies);
    free(packed);
    free(npy);
}

/** Numbers of the end record that replace the true ones where not 0. */
typedef struct end_lies {
    uint64_t count, bytes, offset, disk, comment;
} end_lies;

static inline memory_file archive_file(archive *a, const end_lies *given)
{
    const end_lies none = {0}, *lies = given ? given : &none;
    const uint64_t offset = (uint64_t)a->body.size, bytes = (uint64_t)a->directory.size;

    pile_add(&a->body, a->directory.bytes, a->directory.size);
    pile_add(&a->body, "PK\5\6", 4);
    pile_number(&a->body, lies->disk, 4);
    pile_number(&a->body, or_lie((uint64_t)a->count, lies->count), 2);
    pile_number(&a->body, or_lie((uint64_t)a->count, lies->count), 2);
    pile_number(&a->body, or_lie(bytes, lies->bytes), 4);
    pile_number(&a->body, or_lie(offset, lies->offset), 4);
    pile_number(&a->body, lies->comment, 2);
    return pile_file(&a->body);
}

static inline archive *make_archive(void)
{
    archive *a = calloc(1, sizeof *a);

    ck_assert_ptr_nonnull(a);
    return a;
}

#endif
