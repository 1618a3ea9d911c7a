/**
 * The safetensors container, read and written. docs/checkpoint-format.md says what the bytes mean.
 *
 *     | u64 N | N bytes of JSON, padded with spaces | data part: the tensors, without gaps |
 *       8       {"__metadata__":{...},"NAME":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},...}
 *
 * Reading takes any such file; what it finds is checked here once and for all, so that callers need check nothing but
 * names, dtypes and shapes against what they want.
 */
#ifndef SSLCV__SAFETENSORS_H
#define SSLCV__SAFETENSORS_H

#include <sslcv/state.h>

#include <jansson.h>

#include "core/error.h"
#include "io/bytes.h"
#include "nn/state.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors files are little-endian, and so must be the machine"
#endif

enum { SSLCV__SAFETENSORS_MAX_HEADER = 100000000 }; /* bytes; the limit of the reference reader */

/* Files of this library begin with SSLCV__SAFETENSORS_START behind the length, then 8 hexadecimal digits: the CRC-32 of
   the whole file with zeros in place of the digits. */
#define SSLCV__SAFETENSORS_START "{\"__metadata__\":{\"sslcv.checksum\":\""
enum { SSLCV__SAFETENSORS_DIGITS = 8 };

/** Metadata that is the container's own; the rest belongs to the state. */
int sslcv__safetensors_own_key(const char *key);

/* ---- reading ---- */

typedef struct sslcv__safetensors_entry {
    const char *name;       /* borrowed from the header, as is dtype_name */
    const char *dtype_name; /* "F32" */
    const char *data;       /* not aligned */
    int64_t bytes;          /* of data */
    int32_t dtype;          /* SSLCV_F32 ...; 0: one that this library does not know */
    int32_t ndim;           /* may exceed SSLCV_MAX_DIMS; shape then has the first ones */
    int64_t shape[SSLCV_MAX_DIMS];
    int32_t is_ours; /* for the loader: a tensor of the state has this name */
    int32_t reserved;
} sslcv__safetensors_entry;

typedef struct sslcv__safetensors {
    sslcv_context *context;
    const char *path; /* for messages; borrowed */
    char *bytes;      /* the whole file */
    int64_t size;
    json_t *header;
    json_t *metadata; /* in the header; NULL: none */
    int64_t count;
    sslcv__safetensors_entry *entries;  /* in the header's order */
    sslcv__safetensors_entry **by_name; /* sorted */
} sslcv__safetensors;

/**
 * Read and check a whole file.
 *
 * @param path   NULL: from stream. Borrowed until close.
 * @param file   Out: to be closed also after failure.
 */
sslcv_status sslcv__safetensors_open(sslcv_context *context, const char *path, const sslcv_stream *stream,
                                     int64_t max_bytes, sslcv__safetensors *file);
void sslcv__safetensors_close(sslcv__safetensors *file); /* zeroed is accepted */

/** The entry whose name is prefix and name joined; NULL: none. */
sslcv__safetensors_entry *sslcv__safetensors_find(const sslcv__safetensors *file, const char *prefix, const char *name);

/** NULL: no such key. */
const char *sslcv__safetensors_metadata(const sslcv__safetensors *file, const char *key);

/** SSLCV_ERR_UNSUPPORTED unless the entry has a dtype and a number of axes that this library knows. */
sslcv_status sslcv__safetensors_check_known(const sslcv__safetensors *file, const sslcv__safetensors_entry *entry);

/* ---- writing ---- */

/** The dtype's name in files, "F32"; NULL: none. */
const char *sslcv__safetensors_dtype_name(int32_t dtype);

#endif
