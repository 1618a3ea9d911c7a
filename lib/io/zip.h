/**
 * Zip archives (PKWARE's APPNOTE.TXT 6.3) as npz files are: members stored or deflated, sizes and offsets of 64 bits
 * where they need them, one disk, no encryption.
 *
 *     | local header, name, data | local header, name, data | ... | central directory | end of it |
 */
#ifndef SSLCV__ZIP_H
#define SSLCV__ZIP_H

#include <sslcv/context.h>

#include <zlib.h>

#include "io/bytes.h"

typedef struct sslcv__zip_member {
    const char *name; /* in the archive: no 0 at its end */
    int64_t name_bytes;
    const char *data; /* in the archive */
    int64_t packed;   /* bytes of data */
    int64_t unpacked; /* as the archive says; at most 1032 times packed */
    uint32_t crc;
    int32_t deflated;     /* 0: stored, packed == unpacked */
    int32_t has_checksum; /* 0: crc is not to be looked at */
    int32_t reserved;
} sslcv__zip_member;

/* ---- reading ---- */

enum { SSLCV__ZIP_SHOWN = 204 };

/** The name for messages, which are UTF-8: cut to 200 bytes, and where it is no UTF-8, with '?' for what is not ASCII. */
const char *sslcv__zip_shown_name(const sslcv__zip_member *member, char text[SSLCV__ZIP_SHOWN]);

/**
 * The directory of an archive in memory. Checked: everything lies within the bytes, members overlap neither each other
 * nor the directory, local headers agree with it. Not checked: names, and what the members hold.
 *
 * @param members Out: owned, sslcv__free(); in the directory's order. NULL on failure.
 */
sslcv_status sslcv__zip_open(sslcv_context *context, const char *path, const char *bytes, int64_t size,
                             sslcv__zip_member **members, int64_t *count);

/** One member from its first byte to its last. All errors of data are SSLCV_ERR_FORMAT. */
typedef struct sslcv__zip_reader {
    const char *path;
    const sslcv__zip_member *member;
    int64_t place; /* bytes given */
    int64_t used;  /* bytes of data read */
    uLong crc;
    int is_open;
    int is_ended; /* the deflated stream has said so */
    z_stream stream;
} sslcv__zip_reader;

/** path and member are borrowed. sslcv__zip_end() is due also after failure. */
sslcv_status sslcv__zip_begin(sslcv_context *context, const char *path, const sslcv__zip_member *member,
                              sslcv__zip_reader *reader);
sslcv_status sslcv__zip_read(sslcv__zip_reader *reader, void *to, int64_t size); /* exactly so many */
sslcv_status sslcv__zip_finish(sslcv__zip_reader *reader); /* that was all, and the checksum is right */
void sslcv__zip_end(sslcv__zip_reader *reader);            /* zeroed is accepted */

/* ---- writing: stored members only, their time 1980-01-01, so that equal contents give equal bytes ---- */

enum { SSLCV__ZIP_MAX_NAME = 65535 };

typedef struct sslcv__zip_part {
    const char *name;
    int64_t name_bytes; /* 1 .. SSLCV__ZIP_MAX_NAME; UTF-8 */
    int64_t bytes;      /* of the data, which follows its local header */
    int64_t offset;     /* of the local header */
    uint32_t crc;
    uint32_t reserved;
} sslcv__zip_part;

/** From it on a size, an offset or a count (there 16 bits of it) is written in 64 bits; tests set it lower. */
#define SSLCV__ZIP_LIMIT ((int64_t)0xFFFFFFFF)

sslcv_status sslcv__zip_append_local(sslcv__bytes *to, const sslcv__zip_part *part, int64_t limit);
sslcv_status sslcv__zip_append_central(sslcv__bytes *to, const sslcv__zip_part *part, int64_t limit);
/** The directory begins at offset and has bytes. */
sslcv_status sslcv__zip_append_end(sslcv__bytes *to, int64_t count, int64_t offset, int64_t bytes, int64_t limit);

#endif
